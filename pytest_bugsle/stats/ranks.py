"""Intervals that rest on the order of values alone: for a median, and for how far two samples lie apart.  PYTEST_DONT_REWRITE

Durations have long tails: one bad week moves a mean anywhere, and a rank by one place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, sqrt

from pytest_bugsle.stats.intervals import LEVEL, z_score


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much one sample is larger than another, and the interval of that; None where there are too few."""

    estimate: float
    interval: tuple[int, int] | None


def median_interval(ranked: Sequence[int], level: float = LEVEL) -> tuple[int, int] | None:
    """Return between which of the sorted values the median of all that could be sampled lies; None for too few.

    There are enough from eight on. By the normal approximation of the sign test, rounded outwards, so that
    the level is kept. Source: W. J. Conover, "Practical nonparametric statistics", 3rd edition, 1999,
    section 3.2.
    """
    n = len(ranked)
    rank = floor((n - z_score(level) * sqrt(n)) / 2)
    return (ranked[rank - 1], ranked[n - rank]) if rank >= 1 else None


def shift(new: Sequence[int], old: Sequence[int], level: float = LEVEL) -> Shift:
    """Return the median of all differences new - old (Hodges and Lehmann), and its interval.

    The interval has the shifts that the test of Mann and Whitney does not reject, by its normal approximation,
    rounded outwards. Ties need no correction of their own: they make the statistic vary less, and without it
    the interval is at most too wide. ValueError for an empty sample. Sources: J. L. Hodges and E. L. Lehmann,
    "Estimates of location based on rank tests", Annals of Mathematical Statistics 34 (1963), 598-611; M.
    Hollander, D. A. Wolfe and E. Chicken, "Nonparametric statistical methods", 3rd edition, 2014, section 4.3.
    """
    if not new or not old:
        raise ValueError(f"samples of {len(new)} and {len(old)} values, must have one each.")
    left, right = sorted(new), sorted(old)
    pairs = len(left) * len(right)
    middle = (_difference(left, right, (pairs + 1) // 2) + _difference(left, right, pairs // 2 + 1)) / 2
    spread = sqrt(pairs * (len(left) + len(right) + 1) / 12)
    rank = floor(pairs / 2 - z_score(level) * spread)
    if rank < 1:
        return Shift(middle, None)
    return Shift(middle, (_difference(left, right, rank), _difference(left, right, pairs - rank + 1)))


def _difference(left: Sequence[int], right: Sequence[int], rank: int) -> int:
    """Return the difference left - right of that rank (1: the smallest) of all pairs of two sorted lists.

    By bisection over the value: a list of all pairs of two long samples would fill the memory.
    """
    counted = Counter(right)
    low, high = left[0] - right[-1], left[-1] - right[0]
    while low < high:
        tried = (low + high) // 2
        if sum(times * bisect_right(left, value + tried) for value, times in counted.items()) >= rank:
            high = tried
        else:
            low = tried + 1
    return low
