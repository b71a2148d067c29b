"""Two answers to the same question: what their disagreements say.  PYTEST_DONT_REWRITE

`first` counts the pairs that speak for one side alone, `second` those for the other, `trials` all pairs.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from pytest_bugsle.stats.binomial import check_inside, outer_root, upper_tail


def _check(first: int, second: int, trials: int) -> None:
    if first < 0 or second < 0 or first + second > trials:
        raise ValueError(f"{first} and {second} discordant pairs of {trials}, must be no more than all.")


def mcnemar_greater(first: int, second: int) -> float:
    """Return how likely so many of the discordant pairs are on the first side, if both sides are as likely.

    The exact one-sided p-value; 1 without discordant pairs. Source: Q. McNemar, "Note on the sampling error of
    the difference between correlated proportions or percentages", Psychometrika 12 (1947), 153-157, by the
    binomial distribution.
    """
    _check(first, second, first + second)
    return upper_tail(first, first + second, 0.5)


def paired_score_z(first: int, second: int, trials: int, difference: float) -> float:
    """Return the score statistic of a true difference first/trials - second/trials between -1 and 1.

    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17 (1998), 891-908, equations (17) to (20).
    """
    _check(first, second, trials)
    a = 2 * trials
    b = -first - second + (2 * trials - first + second) * difference
    c = -second * difference * (1 - difference)
    share = (sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = trials * (2 * share + difference * (1 - difference))
    off = first - second - trials * difference
    if variance <= 0:
        return 0.0 if off == 0 else float("inf") if off > 0 else float("-inf")
    return off / sqrt(variance)


def paired_bounds(first: int, second: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the one-sided score bounds of first/trials - second/trials; -1 and 1 without pairs.

    Without discordant pairs they are z²/(n + z²) to either side, as Wilson's are of a share of 0.
    """
    _check(first, second, trials)
    check_inside("level", level)
    if not trials:
        return -1.0, 1.0
    z = NormalDist().inv_cdf(level)
    middle = (first - second) / trials
    low = outer_root(lambda off: paired_score_z(first, second, trials, off) >= z, -1.0, middle)
    high = outer_root(lambda off: paired_score_z(first, second, trials, off) <= -z, 1.0, middle)
    return low, high
