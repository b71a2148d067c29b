"""Intervals for shares, and for what two of them differ by.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from math import hypot, sqrt

LEVEL = 0.95
"""The confidence of an interval where nothing else is said."""

_Z = 1.9599639845400536
"""The normal quantile of LEVEL; asking `statistics` for it would cost a command 10 ms at its start."""


def wilson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the Wilson score interval of a share, both ends within 0 and 1.

    It is right for few trials and for shares near 0 and 1, where share ± z·√(share·(1−share)/trials) is not.
    ValueError where no share can be had. Source: E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209-212; the form
    without continuity correction of L. D. Brown, T. T. Cai and A. DasGupta, "Interval estimation for a
    binomial proportion", Statistical Science 16 (2001), 101-133, equation (4).
    """
    if trials < 1:
        raise ValueError(f"trials == {trials}, must be >= 1.")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes == {successes}, must be between 0 and {trials}.")
    z = z_score(level)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    margin = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At the ends the formula gives exactly 0 and 1, and floating point nearly so.
    low = 0.0 if successes == 0 else max(0.0, (centre - margin) / scale)
    high = 1.0 if successes == trials else min(1.0, (centre + margin) / scale)
    return low, high


def difference(
    successes: int, trials: int, base_successes: int, base_trials: int, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of a share less that of a base, between -1 and 1: the hybrid of two Wilson intervals.

    ValueError where either share cannot be had. Source: R. G. Newcombe, "Interval estimation for the
    difference between independent proportions: comparison of eleven methods", Statistics in Medicine 17
    (1998), 873-890, method 10.
    """
    low, high = wilson(successes, trials, level)
    base_low, base_high = wilson(base_successes, base_trials, level)
    share, base = successes / trials, base_successes / base_trials
    return (
        share - base - hypot(share - low, base_high - base),
        share - base + hypot(high - share, base - base_low),
    )


def z_score(level: float = LEVEL) -> float:
    """Return how many standard errors an interval of this level reaches to either side."""
    if not 0 < level < 1:
        raise ValueError(f"level == {level}, must be between 0 and 1.")
    return _Z if level == LEVEL else _normal_quantile((1 + level) / 2)


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)
