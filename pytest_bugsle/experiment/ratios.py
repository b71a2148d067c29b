"""Ratio metrics, clicks per view, where the unit of randomisation is neither: the delta method.  PYTEST_DONT_REWRITE

Source: A. Deng, U. Knoblich and J. Lu, "Applying the delta method in metric analytics: a practical guide with
novel ideas", KDD 2018. Rows of one user are not independent: to test them row by row is wrong in one of five A/A
tests where it should be in one of twenty.
"""

from __future__ import annotations

from pytest_bugsle.stats.means import Difference, welch
from pytest_bugsle.stats.moments import Moments, PairedMoments


def linearised(arm: PairedMoments) -> Moments:
    """Return moments with the ratio of sums as mean and the variance of (y - ratio · x) / mean of x, by unit.

    `arm.y` is the numerator and `arm.x` the denominator of each unit. ValueError for a mean denominator of 0.
    """
    if arm.x.mean == 0:
        raise ValueError("the denominators add up to 0: the ratio is not defined.")
    ratio = arm.y.mean / arm.x.mean
    plain = arm.less(ratio, arm.x.mean).scaled(1 / arm.x.mean)
    return Moments(plain.n, ratio, plain.squares)


def difference(control: PairedMoments, treatment: PairedMoments) -> Difference:
    """Return the difference of the ratios, by Welch on the linearised units."""
    return welch(linearised(control), linearised(treatment))
