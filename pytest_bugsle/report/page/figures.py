"""Figures of delivery as the page shows them: what each is now, in words, and its periods.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_bugsle.report.page.charts import Point, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: How many periods a chart and its table show: the last ones.
MOST_PERIODS = 36
_UNITS = ((86400.0 * 365.25, " y"), (86400.0, " d"), (3600.0, " h"), (60.0, " min"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: `now` and `detail` (its n, interval and tier) in words, and its periods, oldest first."""

    title: str
    now: str
    detail: str = ""
    unit: str = ""
    points: tuple[Point, ...] = ()

    @property
    def shown(self) -> tuple[Point, ...]:
        """Return the last periods."""
        return self.points[-MOST_PERIODS:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one repository, or of several pooled: `detail` is the window and what was read."""

    title: str
    detail: str = ""
    figures: tuple[Figure, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    """What is judged and known of them: a name ('' where it goes on) and a sentence each."""


def unit_of(seconds: Iterable[float | None]) -> tuple[float, str]:
    """Return the largest unit, in seconds and by name, in which the longest of these times is at least 2."""
    longest = max((value for value in seconds if value is not None), default=0.0)
    return next(((size, name) for size, name in _UNITS if longest >= 2 * size), (1.0, " s"))


def durations(points: Sequence[Point]) -> tuple[tuple[Point, ...], str]:
    """Return points in seconds as points in the unit that fits them all, and that unit."""
    size, name = unit_of(value for point in points for value in (point.value, point.high))
    return tuple(_scaled(point, 1 / size) for point in points), name


def percents(points: Sequence[Point]) -> tuple[tuple[Point, ...], str]:
    """Return points that are shares as points in percent, and that unit."""
    return tuple(_scaled(point, 100.0) for point in points), " %"


def duration(seconds: float) -> str:
    """Return a time in the unit that fits it, such as `3.5 d`."""
    size, name = unit_of([seconds])
    return number(seconds / size) + name


def _scaled(point: Point, factor: float) -> Point:
    value, low, high = (
        None if each is None else each * factor for each in (point.value, point.low, point.high)
    )
    return replace(point, value=value, low=low, high=high)
