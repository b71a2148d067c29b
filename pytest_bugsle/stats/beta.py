"""The beta distribution, and the exact bounds of a share that it gives.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from math import exp, lgamma, log, log1p

from pytest_bugsle.stats.binomial import check_inside, check_rate, outer_root

_SMALLEST = 1e-300
"""What stands for 0 in a denominator of the continued fraction."""

_CLOSE = 1e-15

_MOST_TERMS = 100_000
"""Convergence takes some √max(a, b) terms: this is enough for 10^9 trials."""


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the chance that a beta variable with shapes a, b > 0 is at most x, within 0 and 1.

    The regularised incomplete beta function by its continued fraction, evaluated by Lentz's method as
    modified by Thompson and Barnett. ValueError for shapes that are not positive and an x outside 0 and 1.
    Sources: NIST Digital Library of Mathematical Functions, 8.17.22; W. H. Press et al., "Numerical recipes",
    3rd edition, 2007, section 6.4.
    """
    check_rate("x", x)
    if not (a > 0 and b > 0):
        raise ValueError(f"shapes {a} and {b}, must be > 0.")
    if x in (0, 1):
        return float(x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _fraction(x, a, b) / a)
    # On this side of the mean the fraction converges slowly, and that of the other tail fast.
    return max(0.0, 1 - front * _fraction(1 - x, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    c, d = 1.0, _off_zero(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _off_zero(1 + term * d)
            c = _off_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _off_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


def lower_bound(successes: float, trials: float, level: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a share; counts may be fractions.

    The share at which so many successes or more have a chance of 1 - level: the (1 - level) quantile of the
    beta distribution with shapes successes and trials - successes + 1. It is 0 without successes or trials.
    ValueError for counts that contradict themselves. Source: C. J. Clopper and E. S. Pearson, "The use of
    confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934), 404-413.
    """
    check_shares(successes, trials)
    check_inside("level", level)
    if successes == 0:
        return 0.0
    return outer_root(lambda rate: at_least(successes, trials, rate) <= 1 - level, 0.0, successes / trials)


def upper_bound(successes: float, trials: float, level: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a share; 1 without trials."""
    check_shares(successes, trials)
    return 1 - lower_bound(trials - successes, trials, level)


def at_least(successes: float, trials: float, rate: float) -> float:
    """Return the chance of at least so many successes at a rate: the binomial's, between whole counts the beta's."""
    check_shares(successes, trials)
    return 1.0 if successes == 0 else beta_cdf(rate, successes, trials - successes + 1)


def at_most(successes: float, trials: float, rate: float) -> float:
    """Return the chance of at most so many successes at a rate, in the same way."""
    return at_least(trials - successes, trials, 1 - rate)


def check_shares(successes: float, trials: float) -> None:
    """Raise ValueError, naming the value, unless 0 <= successes <= trials."""
    if not 0 <= successes <= trials:
        raise ValueError(f"successes == {successes}, must be between 0 and {trials}.")
