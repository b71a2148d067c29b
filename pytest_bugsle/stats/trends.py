"""A straight line through estimates that are not equally sure.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from pytest_bugsle.stats.means import student_tail


class Slope(NamedTuple):
    """A slope, its standard error, and the two-sided p-value of none."""

    value: float
    error: float
    p_value: float


def weighted_slope(at: Sequence[float], values: Sequence[float], errors: Sequence[float]) -> Slope | None:
    """Return the slope of values over `at`, weighted by 1 / error²; None for fewer than three, or one place.

    The errors count relative to one another, as the scatter around the line says how large they are: Student's t
    with n - 2 degrees of freedom. scipy's linregress takes no weights. Source: N. R. Draper and H. Smith,
    "Applied regression analysis", 3rd edition, 1998, section 9.2.
    """
    rows = [row for row in zip(at, values, errors, strict=True) if row[2] > 0]
    if len(rows) < 3:
        return None
    weights = [1 / error**2 for _, _, error in rows]
    total = sum(weights)
    mid_x = sum(w * x for w, (x, _, _) in zip(weights, rows, strict=True)) / total
    mid_y = sum(w * y for w, (_, y, _) in zip(weights, rows, strict=True)) / total
    squares = sum(w * (x - mid_x) ** 2 for w, (x, _, _) in zip(weights, rows, strict=True))
    if squares <= 0:
        return None
    products = sum(w * (x - mid_x) * (y - mid_y) for w, (x, y, _) in zip(weights, rows, strict=True))
    slope = products / squares
    left = sum(w * (y - mid_y - slope * (x - mid_x)) ** 2 for w, (x, y, _) in zip(weights, rows, strict=True))
    error = sqrt(left / (len(rows) - 2) / squares)
    if error == 0:
        return Slope(slope, 0.0, 1.0 if slope == 0 else 0.0)
    return Slope(slope, error, min(1.0, 2 * student_tail(abs(slope / error), len(rows) - 2)))
