"""Charts in plain SVG: pure functions from values to markup, coloured by the page's style sheet.  PYTEST_DONT_REWRITE

Every chart that carries text is 340 units wide, the room on the smallest phone, so that its text is never
scaled below what can be read; a wide screen shows several side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
    """One row of a forest: an estimate with its interval, its own margin, and a word on how it was judged."""

    label: str
    value: float
    low: float
    high: float
    margin: float | None = None
    word: str = ""


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


def grid_line(y: float, label: str, *, right: int = _RIGHT) -> Markup:
    """Return a line across the plot, and what it stands for at its left end."""
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>'
    ).format(_LEFT, WIDTH - right, coordinate(y), coordinate(y), _LEFT - 5, coordinate(y + 4), label)


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

    parts = [grid_line(y(tick), number(tick) + unit) for tick in scale]
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
                        coordinate(middle - half * 0.7),
                        coordinate(half * 1.4),
                        coordinate(y(point.high)),
                        coordinate(max(1.0, y(point.low) - y(point.high))),
                    )
                )
            start = "L" if line and line[-1] else "M"
            line.append(f"{start}{coordinate(left)} {coordinate(y(point.value))}H{coordinate(left + slot)}")
            parts.append(
                Markup('<circle class="dot" cx="{}" cy="{}" r="2.5"/>').format(
                    coordinate(middle), coordinate(y(point.value))
                )
            )
        if point.marks:
            base = _TOP + _PLOT + 5
            parts.append(
                Markup('<path class="bad" d="M{} {}l-4 7h8z"><title>{}</title></path>').format(
                    coordinate(middle), base, cut(f"{point.label}: {', '.join(point.marks)}")
                )
            )
    parts.append(Markup('<path class="line" d="{}"/>').format("".join(line)))
    parts += _labels(points, slot, height)
    return svg(name, title, _described(points, unit), WIDTH, height, parts)


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
                coordinate(at), height - 12, anchor, plain(text)
            )


def interval_bar(value: float | None, low: float | None, high: float | None, *, most: float = 1.0) -> Markup:
    """Return a bar with its interval for a table's cell; the numbers stand in the cells beside it.

    It holds no text and may be stretched, and readers of the page aloud are not told of it.
    """

    def x(at: float) -> float:
        return 100 * min(max(at / most, 0.0), 1.0) if most > 0 else 0.0

    parts = [Markup('<rect class="track" width="100" height="12"/>')]
    if value is not None:
        parts.append(Markup('<rect class="bar" width="{}" height="12"/>').format(coordinate(x(value))))
    if low is not None and high is not None:
        parts.append(
            Markup('<path class="whisker" d="M{0} 6H{1}M{0} 2V10M{1} 2V10"/>').format(
                coordinate(x(low)), coordinate(x(high))
            )
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
    return svg(name, title, said, WIDTH, y + _TALL + 2, parts, kind="strip")


def forest(
    rows: Sequence[Effect],
    *,
    name: str,
    title: str,
    margin: float | None = None,
    unit: str = "",
    ships: Literal["", "up", "down", "within"] = "",
) -> Markup:
    """Return effects with their intervals around zero; a dashed line is the margin of all rows, or of one.

    `ships` says on which side of the margin an effect ships, or that it does within it on both sides of 0: there the
    ground is shaded, and named.
    """
    margins = [] if margin is None else [-margin, margin] if ships == "within" else [margin]
    ends = [0.0, *margins]
    ends += [end for row in rows for end in (row.low, row.high, row.margin) if end is not None]
    finite = [end for end in ends if math.isfinite(end)]
    scale = ticks(max(finite), min(finite))
    least, most = scale[0], scale[-1]
    top = 20 if ships else 4
    height = top + 4 + _ROW * len(rows) + 22
    bottom = height - 20

    def x(value: float) -> float:
        return 8 + (WIDTH - 16) * (min(max(value, least), most) - least) / (most - least)

    parts = []
    if ships == "within" and margin is not None:
        parts.append(_ground(x(-margin), x(margin), top, bottom))
        parts.append(
            Markup('<text x="8" y="14">equal enough: within ±{}{}</text>').format(number(margin), unit)
        )
    elif ships in ("up", "down") and margin is not None:
        parts.append(_side(x(margin), ships, top, bottom))
    parts += [
        Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            coordinate(x(tick)), top, bottom
        )
        for tick in scale
    ]
    zero = coordinate(x(0.0))
    parts.append(Markup('<line class="axis" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(zero, top, bottom))
    parts += [_margin(x(each), top, bottom) for each in margins]
    for index, row in enumerate(rows):
        y = top + 4 + index * _ROW
        if row.margin is not None:
            parts.append(_margin(x(row.margin), y + 14, y + 31))
        parts.append(_row(row, y, (x(row.low), x(row.value), x(row.high))))
    for index, tick in enumerate(scale):
        anchor = "start" if index == 0 else "end" if index == len(scale) - 1 else "middle"
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                coordinate(x(tick)), height - 6, anchor, number(tick) + unit
            )
        )
    return svg(name, title, _told(rows, margin, unit), WIDTH, height, parts)


def _side(x: float, ships: Literal["up", "down"], top: float, bottom: float) -> Markup:
    """Return the ground of the side on which an effect ships, with its name."""
    left, right = (x, WIDTH - 8.0) if ships == "up" else (8.0, x)
    anchor = "start" if ships == "up" else "end"
    word = "ships from here →" if ships == "up" else "← ships from here"
    at = x
    # Where the side is too narrow for its name, this stands on the other one.
    if right - left < 100:
        anchor, at = ("end", WIDTH - 8.0) if ships == "up" else ("start", 8.0)
    return _ground(left, right, top, bottom) + Markup(
        '<text x="{}" y="14" text-anchor="{}">{}</text>'
    ).format(coordinate(at), anchor, word)


def _ground(left: float, right: float, top: float, bottom: float) -> Markup:
    return Markup('<rect class="ships" x="{}" width="{}" y="{}" height="{}"/>').format(
        coordinate(left), coordinate(max(0.0, right - left)), top, bottom - top
    )


def _margin(x: float, top: float, bottom: float) -> Markup:
    return Markup('<line class="margin" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
        coordinate(x), coordinate(top), coordinate(bottom)
    )


def _row(row: Effect, y: float, at: tuple[float, float, float]) -> Markup:
    word = plain(row.word)
    made = Markup(
        '<text class="over" x="8" y="{0}">{1}</text>'
        '<path class="whisker" d="M{2} {5}H{4}M{2} {6}V{7}M{4} {6}V{7}"/>'
        '<rect class="dot" x="{3}" y="{8}" width="7" height="7"/>'
    ).format(
        coordinate(y + 11),
        cut(row.label, _LONGEST - len(word)),
        coordinate(at[0]),
        coordinate(at[1] - 3.5),
        coordinate(at[2]),
        coordinate(y + 22),
        coordinate(y + 17),
        coordinate(y + 27),
        coordinate(y + 18.5),
    )
    if not word:
        return made
    return made + Markup('<text class="over word" x="{}" y="{}" text-anchor="end">{}</text>').format(
        WIDTH - 8, coordinate(y + 11), word
    )


def _told(rows: Sequence[Effect], margin: float | None, unit: str) -> str:
    said = []
    for row in rows:
        text = f"{cut(row.label)} {number(row.value)}{unit} ({number(row.low)} to {number(row.high)})"
        if row.margin is not None:
            text += f", margin {number(row.margin)}{unit}"
        said.append(f"{text}, {row.word}" if row.word else text)
    if margin is not None:
        said.append(f"margin {number(margin)}{unit}")
    return "; ".join(said)


def _described(points: Sequence[Point], unit: str) -> str:
    known = [point for point in points if point.value is not None]
    if not known:
        return "no period has a value"
    first, last = known[0], known[-1]
    failed = sum(bool(point.marks) for point in points)
    text = f"{len(points)} periods, from {number(first.value or 0.0)}{unit} in {cut(first.label)}"
    text += f" to {number(last.value or 0.0)}{unit} in {cut(last.label)}"
    return text + (f"; {failed} with deployments that failed" if failed else "")


def svg(
    name: str, title: str, said: str, width: int, height: int, parts: Iterable[Markup], kind: str = "chart"
) -> Markup:
    """Return a drawing with its title and, in words, what it shows; `name` makes its ids unique on a page."""
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>{}</svg>'
    ).format(kind, width, height, name, name, name, plain(title), name, plain(said), Markup().join(parts))


def plain(text: str) -> str:
    """Return the text on one line, as XML can hold it."""
    return for_xml(visible(text))


def cut(text: str, most: int = _LONGEST) -> str:
    """Return a text on one line, with this many characters at most."""
    text = plain(text)
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"


def coordinate(value: float) -> str:
    """Return a place in a drawing, to a tenth."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
