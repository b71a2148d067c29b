"""How often deployments go out, with the interval that a count has.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log

from pytest_bugsle.results import Frequency
from pytest_bugsle.stats.binomial import check_inside, outer_root
from pytest_bugsle.stats.intervals import LEVEL

DAY = 86_400
MONTH_DAYS = 30
_NEGLIGIBLE = 1e-18


def poisson_interval(count: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of the mean of a Poisson count; the lower end of a count of 0 is 0.

    Source: F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), 437-442.
    ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count == {count}, must be >= 0.")
    check_inside("level", level)
    error = (1 - level) / 2
    # Far beyond either end, so that bisection has both in its grasp.
    far = count + 10 * (count + 1) ** 0.5 + 10
    at_least: Callable[[float], bool] = lambda mean: _tail(count, mean, 1) <= error  # noqa: E731
    at_most: Callable[[float], bool] = lambda mean: _tail(count, mean, -1) <= error  # noqa: E731
    low = outer_root(at_least, 0.0, float(count)) if count else 0.0
    return low, outer_root(at_most, far, float(count))


def _tail(count: int, mean: float, step: int) -> float:
    """Return the chance of `count` and more (step 1, mean below count) or of it and less (step -1, mean above)."""
    if mean <= 0:
        return 0.0
    term = exp(count * log(mean) - mean - lgamma(count + 1))
    total = 0.0
    k = count
    while term > total * _NEGLIGIBLE and k >= 0:
        total += term
        term *= mean / (k + 1) if step > 0 else k / mean
        k += step
    return total


def frequency(deployments: int, seconds: int) -> Frequency:
    """Return how many deployments there were for 30 days, with its interval; nulls for no time at all."""
    days = seconds / DAY
    if seconds <= 0:
        return Frequency(deployments=deployments, days=days, per_30_days=None, interval=None)
    low, high = poisson_interval(deployments)
    scale = MONTH_DAYS / days
    return Frequency(
        deployments=deployments,
        days=days,
        per_30_days=deployments * scale,
        interval=(low * scale, high * scale),
    )
