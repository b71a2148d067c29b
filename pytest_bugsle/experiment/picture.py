"""An effect and its interval in one line of plain ASCII, for a terminal of 80 columns.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_bugsle.results import ExperimentResult

COLUMNS = 78
"""What a line takes at most; the message indents it by two."""

_LEAST_WIDTH = 16


def interval_picture(result: ExperimentResult) -> str:
    """Return the interval against the least effect that ships; empty where there is nothing to draw.

    `[` and `]` are the interval's ends, `o` is the effect and `|` the least that ships. What of the interval would
    ship is drawn as `=`, the rest as `-`. The numbers at both ends are those of the interval.
    """
    drawn = _judged(result)
    if drawn is None:
        return ""
    from pytest_bugsle.experiment.messages import signed  # it draws by this module

    low, effect, high, least, better, unit = drawn
    within = result.within
    digits = ".1f" if unit else ".3g"
    left, right = f"{signed(low, digits)}{unit} ", f" {signed(high, digits)}{unit}"
    key = "   | least that ships" if least else "   | 0"
    if within is not None:
        key = "   | margins"
    width = max(_LEAST_WIDTH, COLUMNS - 2 - len(left) - len(right) - len(key))
    if within is not None:
        margin = within * (100 if unit else 1)
        return left + draw_within(low, effect, high, margin, width=width) + right + key
    return left + draw(low, effect, high, least, better=better, width=width) + right + key


def draw(low: float, effect: float, high: float, least: float, *, better: int, width: int) -> str:
    """Return an interval and the least effect on a line of `width` columns; `better` is 1 where up is, else -1.

    However near they are, an end that is beyond the least effect is drawn beyond it, and one that is not is not.
    """
    first, last = min(low, least), max(high, least)
    room = last - first
    cells = ["."] * width

    def column(value: float) -> int:
        return 2 + round((width - 5) * ((value - first) / room)) if room > 0 else width // 2

    start, end, mark = column(low), column(high), column(least)
    if low > least:
        mark = min(mark, start - 1)
    elif high < least:
        mark = max(mark, end + 1)
    else:
        mark = min(max(mark, start + 1), end - 1)
    for place in range(start, end + 1):
        ships = place > mark if better > 0 else place < mark
        cells[place] = "=" if ships else "-"
    cells[start], cells[end] = "[", "]"
    cells[column(effect)] = "o"
    cells[mark] = "|"
    return "".join(cells)


def draw_within(low: float, effect: float, high: float, margin: float, *, width: int) -> str:
    """Return an interval and the margins around 0 on a line of `width` columns; `=` is what lies within them."""
    first, last = min(low, -margin), max(high, margin)
    cells = ["."] * width

    def column(value: float) -> int:
        return 2 + round((width - 5) * ((value - first) / (last - first)))

    start, end = column(low), column(high)
    marks = [column(-margin), column(margin)]
    # An end that is within a margin is drawn within it, one that is beyond is drawn beyond.
    marks[0] = min(marks[0], start - 1) if low > -margin else max(marks[0], start + 1)
    marks[1] = max(marks[1], end + 1) if high < margin else min(marks[1], end - 1)
    for place in range(start, end + 1):
        cells[place] = "=" if marks[0] < place < marks[1] else "-"
    cells[start], cells[end] = "[", "]"
    cells[column(effect)] = "o"
    for mark in marks:
        cells[mark] = "|"
    return "".join(cells)


def _judged(result: ExperimentResult) -> tuple[float, float, float, float, int, str] | None:
    """Return low, effect, high and the least effect as they were judged, the direction and the unit."""
    better = 1 if result.direction == "up" else -1
    lift = result.relative
    if result.least_is_relative:
        if lift is None or lift.effect is None or lift.interval is None:
            return None
        low, high = lift.interval
        return 100 * low, 100 * lift.effect, 100 * high, 100 * better * result.least, better, " %"
    if result.effect is None or result.interval is None:
        return None
    scale, unit = (100.0, " pp") if result.kind == "share" else (1.0, "")
    low, high = result.interval
    return scale * low, scale * result.effect, scale * high, scale * better * result.least, better, unit
