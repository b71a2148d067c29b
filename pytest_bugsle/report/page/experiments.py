"""A/B tests as the page shows them: effects against the margin, looks with their bounds, segments.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from pytest_bugsle.report.page.charts import (
    WIDTH,
    Effect,
    coordinate,
    forest,
    grid_line,
    number,
    svg,
    ticks,
)
from pytest_bugsle.report.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_bugsle.results import ExperimentLook, ExperimentResult, ExperimentSegment, Result

#: How many segments of one column are drawn: the largest ones. The table has more.
MOST_SEGMENTS = 12
_MOST_BOUND = 5.0
_LEFT, _RIGHT, _TOP, _PLOT = 40, 12, 22, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An effect in the unit in which it was judged; `margin` is the least that ships, `within` that of equivalence."""

    effect: float
    low: float
    high: float
    margin: float
    unit: str
    within: float | None = None


def experiments_of(result: Result) -> list[ExperimentResult]:
    """Return the metrics of a run, what decides first, then guardrails, then what is exploratory."""
    found = result.experiments if isinstance(result.experiments, list) else []
    order = ("decision", "guardrail", "exploratory")
    return sorted(found, key=lambda one: order.index(one.role))


def judged(one: ExperimentResult) -> Judged | None:
    """Return the effect as it was judged; None where it is withheld, or has no bounds in that unit."""
    sign = 1 if one.direction == "up" else -1
    if one.least_is_relative:
        lift = one.relative
        if lift is None or lift.effect is None or lift.interval is None:
            return None
        return Judged(
            effect=100 * lift.effect,
            low=100 * lift.interval[0],
            high=100 * lift.interval[1],
            margin=100 * sign * one.least,
            unit=" %",
            within=None if one.within is None else 100 * one.within,
        )
    if one.effect is None or one.interval is None:
        return None
    scale, unit = (100.0, " pp") if one.kind == "share" else (1.0, "")
    return Judged(
        effect=scale * one.effect,
        low=scale * one.interval[0],
        high=scale * one.interval[1],
        margin=scale * sign * one.least,
        unit=unit,
        within=None if one.within is None else scale * one.within,
    )


def effect_chart(one: ExperimentResult, name: str) -> Markup:
    """Return the effect with its interval against the margin; nothing where there is none to show."""
    found = judged(one)
    if found is None:
        return Markup()
    row = Effect(label="effect", value=found.effect, low=found.low, high=found.high, word=one.outcome)
    return forest(
        [row],
        name=name,
        title=f"{one.metric}: effect and interval",
        margin=found.margin if found.within is None else found.within,
        unit=found.unit,
        ships=one.direction if found.within is None else "within",
    )


def overview(found: Sequence[ExperimentResult], name: str) -> Markup:
    """Return the lifts of all metrics in one drawing, each with its own margin; nothing for fewer than two."""
    rows = []
    for one in found:
        lift = one.relative
        if lift is None or lift.effect is None or lift.interval is None:
            continue
        sign = 1 if one.direction == "up" else -1
        absolute = one.least and not one.least_is_relative
        rows.append(
            Effect(
                label=one.metric + (" (guardrail)" if one.role == "guardrail" else ""),
                value=100 * lift.effect,
                low=100 * lift.interval[0],
                high=100 * lift.interval[1],
                margin=None if absolute or one.within is not None else 100 * sign * one.least,
                word=one.outcome,
            )
        )
    if len(rows) < 2:
        return Markup()
    return forest(rows[:MOST_SEGMENTS], name=name, title="Lift of every metric", unit=" %")


def columns_of(one: ExperimentResult) -> Iterator[tuple[str, list[ExperimentSegment]]]:
    """Yield each column of segments with its segments."""
    for column in dict.fromkeys(segment.column for segment in one.segments):
        yield column, [segment for segment in one.segments if segment.column == column]


def segment_chart(
    one: ExperimentResult, column: str, found: Sequence[ExperimentSegment], name: str
) -> Markup:
    """Return the forest of one column's segments, in the metric's own unit, with the effect of the whole."""
    scale, unit = (100.0, " pp") if one.kind == "share" else (1.0, "")
    rows = [
        Effect(
            label=f"{segment.value} (n = {sum(segment.n.values()):,})",
            value=scale * segment.effect,
            low=scale * segment.interval[0],
            high=scale * segment.interval[1],
            word=word_of(segment, one.alpha),
        )
        for segment in found[:MOST_SEGMENTS]
    ]
    if one.effect is not None and one.interval is not None:
        whole = Effect(
            label="all",
            value=scale * one.effect,
            low=scale * one.interval[0],
            high=scale * one.interval[1],
            word=one.outcome,
        )
        rows = [whole, *rows]
    return forest(rows, name=name, title=f"{one.metric} by {column}", unit=unit)


def word_of(segment: ExperimentSegment, alpha: float) -> str:
    """Say whether a segment's effect outlives the adjustment for all of them."""
    return "stands out" if segment.adjusted_p_value < alpha else ""


def bound(look: ExperimentLook) -> float:
    """Return how many standard errors decide at a look."""
    return -NormalDist().inv_cdf(min(0.5, max(1e-15, look.alpha / 2)))


def look_name(look: ExperimentLook) -> str:
    """Return what a look is called: by its number, or by how many units there were."""
    if look.number is not None:
        return f"{look.number} of {look.of}" if look.of else str(look.number)
    return f"n = {look.units:,}" if look.units else "now"


def looks_of(one: ExperimentResult) -> list[ExperimentLook]:
    """Return all looks that are known, this one last."""
    return list(one.looks) or ([one.look] if one.look is not None else [])


def look_chart(looks: Sequence[ExperimentLook], *, name: str, title: str) -> Markup:
    """Return how far the improvement was over the least effect at each look, and what decides there.

    Up is better, in standard errors; a bound beyond the drawing stands at its edge. Left to right is by units,
    or by number where they are not known.
    """
    bounds = [bound(look) for look in looks]
    known = [abs(look.z) for look in looks if look.z is not None]
    most = max(min(max(bounds), _MOST_BOUND), min(max(known, default=0.0), 8.0), 2.5)
    scale = ticks(most, -most)
    high = max(scale[-1], -scale[0])
    places = _places(looks)
    height = _TOP + _PLOT + 24

    def y(value: float) -> float:
        return _TOP + _PLOT * (high - min(max(value, -high), high)) / (2 * high)

    parts = [
        Markup('<text x="4" y="14">standard errors over the least effect that ships</text>'),
        *(grid_line(y(tick), number(tick), right=_RIGHT) for tick in scale if abs(tick) <= high),
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _LEFT, WIDTH - _RIGHT, coordinate(y(0.0)), coordinate(y(0.0))
        ),
    ]
    for sign in (1, -1):
        line = "L".join(
            f"{coordinate(at)} {coordinate(y(sign * each))}" for at, each in zip(places, bounds, strict=True)
        )
        parts.append(Markup('<path class="margin" d="M{}"/>').format(line))
        parts += [
            Markup('<path class="whisker" d="M{} {}h10"/>').format(
                coordinate(at - 5), coordinate(y(sign * each))
            )
            for at, each in zip(places, bounds, strict=True)
        ]
    seen = [(at, y(look.z)) for at, look in zip(places, looks, strict=True) if look.z is not None]
    if len(seen) > 1:
        line = "L".join(f"{coordinate(at)} {coordinate(height_)}" for at, height_ in seen)
        parts.append(Markup('<path class="line" d="M{}"/>').format(line))
    parts += [
        Markup('<circle class="dot" cx="{}" cy="{}" r="3.5"/>').format(coordinate(at), coordinate(height_))
        for at, height_ in seen
    ]
    parts += _names(looks, places, height)
    return svg(name, title, _told(looks, bounds), WIDTH, height, parts)


def _places(looks: Sequence[ExperimentLook]) -> list[float]:
    """Return where each look stands from left to right."""
    units = [look.units for look in looks if look.units]
    sizes = [float(each) for each in units] if len(units) == len(looks) else []
    if sizes != sorted(set(sizes)):
        sizes = []
    sizes = sizes or [float(place + 1) for place in range(len(looks))]
    room = WIDTH - _LEFT - _RIGHT - 24
    return [_LEFT + 12 + room * (size / sizes[-1] if len(sizes) > 1 else 0.5) for size in sizes]


def _names(looks: Sequence[ExperimentLook], places: Sequence[float], height: int) -> Iterator[Markup]:
    """Yield the names of the last look and of those before that have room."""
    right = WIDTH + 40.0
    for look, at in sorted(zip(looks, places, strict=True), key=lambda pair: -pair[1]):
        text = look_name(look)
        half = 3.2 * len(text)
        middle = min(at, WIDTH - 2 - half)
        if middle + half < right - 6:
            right = middle - half
            yield Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                coordinate(middle), height - 6, text
            )


def _told(looks: Sequence[ExperimentLook], bounds: Sequence[float]) -> str:
    said = [
        f"look {look_name(look)}: "
        + ("not defined" if look.z is None else f"{look.z:+.2f} standard errors")
        + f", decides beyond {each:.2f}"
        for look, each in zip(looks, bounds, strict=True)
    ]
    return f"{plural(len(looks), 'look')}: " + "; ".join(said[-20:])


def span(low: float, high: float, scale: float, unit: str) -> str:
    """Return an interval in words."""
    return f"{number(scale * low)} to {number(scale * high)}{unit}"


def scale_of(one: ExperimentResult) -> tuple[float, str]:
    """Return by what a difference of this metric is multiplied to be read, and its unit."""
    return (100.0, " pp") if one.kind == "share" else (1.0, "")


def value_text(one: ExperimentResult, value: float) -> str:
    """Return a share in per cent, a mean as it is."""
    return f"{number(100 * value)} %" if one.kind == "share" else number(value)


Tone = Literal["good", "bad", "warn", "mute"]


def tone(outcome: str) -> Tone:
    """Return the tone of an outcome, which always stands beside it as a word."""
    return {"pass": "good", "fail": "bad", "invalid": "bad", "undecided": "warn"}.get(outcome, "mute")  # type: ignore[return-value]
