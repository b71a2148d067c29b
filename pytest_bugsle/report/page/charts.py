"""Charts in plain SVG: pure functions from values to markup, coloured by the page's style sheet.  PYTEST_DONT_REWRITE

Every chart that carries text is 340 units wide, the room on the smallest phone, so that its text is never
scaled below what can be read; a wide screen shows several side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from pytest_bugsle.report.escape import for_xml, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 340
_LEFT, _RIGHT, _TOP, _PLOT = 40, 8, 10, 110
_ROW = 38
#: Height of a mark in a strip, so that no outcome is told by its colour alone.
_HEIGHTS = {".": 5, "s": 2, "x": 5}
_MARKS = {".": "good", "s": "mute", "x": "mute"}
_STEP, _TALL, _GAP = 7, 14, 5
_LONGEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One period: a value with its interval, from how many (`n`), and what failed in it (`marks`)."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of a forest: an estimate with its interval."""

    label: str
    value: float
    low: float
    high: float


def number(value: float) -> str:
    """Return a number with three significant digits and no exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ticks(most: float, least: float = 0.0) -> list[float]:
    """Return three to six round numbers that span `least` to `most` (steps of 1, 2 or 5 × 10^k)."""
    span = most - least
    if not math.isfinite(span) or span <= 1e-9 * max(1.0, abs(least), abs(most)):
        return [least, least + 1.0]
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def trend(points: Sequence[Point], *, name: str, title: str, unit: str = "") -> Markup:
    """Return values over time as steps with their intervals; a triangle marks a period with failures.

    `name` makes the ids of one page unique. A period without a value leaves a gap.
    """
    highest = max((max(p.high or 0.0, p.value or 0.0) for p in points), default=0.0)
    scale = ticks(highest if math.isfinite(highest) else 0.0)
    if all(p.high is None and (p.value is None or float(p.value).is_integer()) for p in points):
        scale = [tick for tick in scale if tick.is_integer()]  # nobody deploys half a time
    top = scale[-1]
    height = _TOP + _PLOT + 44
    slot = (WIDTH - _LEFT - _RIGHT) / max(1, len(points))

    def y(value: float) -> float:
        return _TOP + _PLOT * (1 - min(max(value, 0.0), top) / top)

    parts = [
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>'
        ).format(
            _LEFT, WIDTH - _RIGHT, _n(y(tick)), _n(y(tick)), _LEFT - 5, _n(y(tick) + 4), number(tick) + unit
        )
        for tick in scale
    ]
    line: list[str] = []
    for index, point in enumerate(points):
        left, middle = _LEFT + index * slot, _LEFT + (index + 0.5) * slot
        if point.value is None:
            line.append("")
        else:
            half = min(slot / 2, 9.0)
            if point.low is not None and point.high is not None:
                parts.append(
                    Markup('<rect class="band" x="{}" width="{}" y="{}" height="{}"/>').format(
                        _n(middle - half * 0.7),
                        _n(half * 1.4),
                        _n(y(point.high)),
                        _n(max(1.0, y(point.low) - y(point.high))),
                    )
                )
            start = "L" if line and line[-1] else "M"
            line.append(f"{start}{_n(left)} {_n(y(point.value))}H{_n(left + slot)}")
            parts.append(
                Markup('<circle class="dot" cx="{}" cy="{}" r="2.5"/>').format(_n(middle), _n(y(point.value)))
            )
        if point.marks:
            base = _TOP + _PLOT + 5
            parts.append(
                Markup('<path class="bad" d="M{} {}l-4 7h8z"><title>{}</title></path>').format(
                    _n(middle), base, _cut(f"{point.label}: {', '.join(point.marks)}")
                )
            )
    parts.append(Markup('<path class="line" d="{}"/>').format("".join(line)))
    parts += _labels(points, slot, height)
    return _svg(name, title, _described(points, unit), WIDTH, height, parts)


def _labels(points: Sequence[Point], slot: float, height: int) -> Iterable[Markup]:
    """Yield the labels of the first, the last, and as many between as there is room for."""
    every = max(1, math.ceil(62 / slot))
    for index, point in enumerate(points):
        if (len(points) - 1 - index) % every == 0:
            x = _LEFT + (index + 0.5) * slot
            anchor = "end" if x > WIDTH - 30 else "middle"
            text = point.label if len(point.label) <= 10 else point.label[:9] + "…"
            at = WIDTH - 2 if anchor == "end" else x
            yield Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _n(at), height - 12, anchor, _plain(text)
            )


def interval_bar(value: float | None, low: float | None, high: float | None, *, most: float = 1.0) -> Markup:
    """Return a bar with its interval for a table's cell; the numbers stand in the cells beside it.

    It holds no text and may be stretched, and readers of the page aloud are not told of it.
    """

    def x(at: float) -> float:
        return 100 * min(max(at / most, 0.0), 1.0) if most > 0 else 0.0

    parts = [Markup('<rect class="track" width="100" height="12"/>')]
    if value is not None:
        parts.append(Markup('<rect class="bar" width="{}" height="12"/>').format(_n(x(value))))
    if low is not None and high is not None:
        parts.append(
            Markup('<path class="whisker" d="M{0} 6H{1}M{0} 2V10M{1} 2V10"/>').format(_n(x(low)), _n(x(high)))
        )
    return Markup(
        '<svg class="cell" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(Markup().join(parts))


def strip(words: Sequence[str], *, name: str, title: str) -> Markup:
    """Return outcomes in time as marks, one word for each version of the code: a failure stands tall.

    Letters are those of `bugsle flaky show`: `.` passed, `s` skipped, `x` failed as expected, all others
    trouble, of which `F` is solid and the rest are hollow.
    """
    parts: list[Markup] = []
    x, y = 0, 0
    for word in words:
        if x and x + len(word) * _STEP > WIDTH:
            x, y = 0, y + _TALL + 6
        for letter in word:
            if x + _STEP > WIDTH:
                x, y = 0, y + _TALL + 6
            tall = _HEIGHTS.get(letter, _TALL)
            look = _MARKS.get(letter, "bad" if letter == "F" else "bad hollow")
            parts.append(
                Markup('<rect class="{}" x="{}" y="{}" width="4" height="{}"/>').format(
                    look, x + 1, y + _TALL - tall + 1, tall
                )
            )
            x += _STEP
        x += _GAP
    letters = "".join(words)
    trouble = sum(letter not in ".sx" for letter in letters)
    said = f"{len(letters)} attempts, {trouble} of them not passed, oldest first: {' '.join(words)}"
    return _svg(name, title, said, WIDTH, y + _TALL + 2, parts, kind="strip")


def forest(
    rows: Sequence[Effect], *, name: str, title: str, margin: float | None = None, unit: str = ""
) -> Markup:
    """Return effects with their intervals around zero, and the margin that none may cross as a dashed line."""
    ends = [0.0, *([margin] if margin is not None else [])]
    ends += [end for row in rows for end in (row.low, row.high) if math.isfinite(end)]
    scale = ticks(max(ends), min(ends))
    least, most = scale[0], scale[-1]
    height = 8 + _ROW * len(rows) + 22

    def x(value: float) -> float:
        return 8 + (WIDTH - 16) * (min(max(value, least), most) - least) / (most - least)

    bottom = height - 20
    parts = [
        Markup('<line class="grid" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(_n(x(tick)), bottom)
        for tick in scale
    ]
    parts.append(Markup('<line class="axis" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(_n(x(0.0)), bottom))
    if margin is not None:
        parts.append(
            Markup('<line class="margin" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(_n(x(margin)), bottom)
        )
    for index, row in enumerate(rows):
        y = 8 + index * _ROW
        parts.append(
            Markup(
                '<text class="over" x="8" y="{0}">{1}</text><path class="whisker" d="M{2} {4}H{3}M{2} {5}V{6}M{3} {5}V{6}"/>'
                '<rect class="dot" x="{7}" y="{8}" width="7" height="7"/>'
            ).format(
                y + 11,
                _cut(row.label),
                _n(x(row.low)),
                _n(x(row.high)),
                y + 22,
                y + 17,
                y + 27,
                _n(x(row.value) - 3.5),
                _n(y + 18.5),
            )
        )
    for index, tick in enumerate(scale):
        anchor = "start" if index == 0 else "end" if index == len(scale) - 1 else "middle"
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _n(x(tick)), height - 6, anchor, number(tick) + unit
            )
        )
    said = "; ".join(
        f"{_cut(r.label)} {number(r.value)}{unit} ({number(r.low)} to {number(r.high)})" for r in rows
    )
    if margin is not None:
        said += f"; margin {number(margin)}{unit}"
    return _svg(name, title, said, WIDTH, height, parts)


def _described(points: Sequence[Point], unit: str) -> str:
    known = [point for point in points if point.value is not None]
    if not known:
        return "no period has a value"
    first, last = known[0], known[-1]
    failed = sum(bool(point.marks) for point in points)
    text = f"{len(points)} periods, from {number(first.value or 0.0)}{unit} in {_cut(first.label)}"
    text += f" to {number(last.value or 0.0)}{unit} in {_cut(last.label)}"
    return text + (f"; {failed} with deployments that failed" if failed else "")


def _svg(
    name: str, title: str, said: str, width: int, height: int, parts: Iterable[Markup], kind: str = "chart"
) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>{}</svg>'
    ).format(kind, width, height, name, name, name, _plain(title), name, _plain(said), Markup().join(parts))


def _plain(text: str) -> str:
    """Return the text on one line, as XML can hold it."""
    return for_xml(visible(text))


def _cut(text: str) -> str:
    text = _plain(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
