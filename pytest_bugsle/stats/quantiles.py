"""The difference of two quantiles, from the order statistics around each of them.  PYTEST_DONT_REWRITE

How many of n values lie below the true quantile is a binomial count, or, where values come in clusters, a ratio of
sums: so the ranks of an interval's ends are known, whatever the values are distributed like. Sources: W. J. Conover,
"Practical nonparametric statistics", 3rd edition, 1999, section 3.2 (ranks); A. Deng, U. Knoblich and J. Lu,
"Applying the delta method in metric analytics: a practical guide with novel ideas", KDD 2018, section 4 (clusters);
G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
Medicine 27 (2008), 1693-1702 (the limits of two arms put together).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, hypot, sqrt

from pytest_bugsle.stats.binomial import check_inside
from pytest_bugsle.stats.means import fieller
from pytest_bugsle.stats.proportions import normal_tail

STEPS = tuple(step / 50 for step in range(401))
"""The standard errors at which order statistics are kept; an interval between two of them takes the wider one."""


@dataclass(frozen=True, slots=True)
class Order:
    """The estimate of a quantile, and the order statistics around it, at each of STEPS as far as there are any.

    `units` are what varies independently: the values, or their clusters.
    """

    units: int
    value: float
    low: tuple[float, ...]
    high: tuple[float, ...]

    def limits(self, z: float) -> tuple[float, float] | None:
        """Return between which values the quantile lies, z standard errors out; None where there are too few."""
        place = bisect_left(STEPS, z - 1e-9)
        return (self.low[place], self.high[place]) if place < len(self.low) else None

    @property
    def deviation(self) -> float | None:
        """What a unit would deviate by, were the estimate a mean: from the width of an interval of 95 %."""
        found = self.limits(1.96)
        return None if found is None else (found[1] - found[0]) / (2 * 1.96) * sqrt(self.units)


def plain_error(n: int, q: float) -> float:
    """Return the standard error of how many of n independent values lie below their quantile."""
    return sqrt(n * q * (1 - q))


def places(n: int, q: float, error: float, *, skewed: bool = True) -> list[tuple[float, float]]:
    """Return the places of both ends in the sorted values, from 1, at each of STEPS; as many as lie within 1 to n.

    n·q + 1/2 -/+ z·error, moved by (1 - 2q)·(z² - 1) / 6 for the skew of the binomial distribution. A place between two
    values is a value between them: P. Nyblom, "Note on interpolated order statistics", Statistics and Probability
    Letters 14 (1992), 129-131. At 0 it is the quantile of type 8 of Hyndman and Fan.
    """
    check_inside("q", q)
    made = []
    for z in STEPS:
        middle = n * q + 0.5 + (1 - 2 * q) * (z * z - 1) / 6 * skewed
        low, high = middle - z * error, middle + z * error
        if low < 1 or high > n:
            break
        made.append((low, high))
    return made


def ranks_of(place: float, n: int) -> tuple[int, int, float]:
    """Return the two ranks that a place lies between, and how far between."""
    low = min(floor(place), n)
    return low, min(n, low + 1), place - low


def middle(n: int, q: float) -> float:
    """Return the place of the estimate: (n - 1)·q + 1.

    Type 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
    (1996), 361-365: the one that numpy, R and DuckDB's quantile_cont have.
    """
    return (n - 1) * q + 1


def order_of(
    at: Callable[[int], float], n: int, q: float, ends: Sequence[tuple[float, float]], units: int
) -> Order:
    """Return the order statistics around a quantile; `at` gives the value of a rank, from 1."""

    def between(place: float) -> float:
        low, high, share = ranks_of(place, n)
        return at(low) if share == 0 else at(low) + share * (at(high) - at(low))

    value = between(middle(n, q))
    return Order(
        units,
        value,
        tuple(min(value, between(low)) for low, _ in ends),
        tuple(max(value, between(high)) for _, high in ends),
    )


def of_sorted(values: Sequence[float], q: float) -> Order:
    """Return the order statistics of sorted, independent values; ValueError for fewer than two."""
    n = len(values)
    if n < 2:
        raise ValueError(f"n == {n}, must be >= 2.")
    return order_of(lambda rank: float(values[rank - 1]), n, q, places(n, q, plain_error(n, q)), n)


def difference_limits(control: Order, treatment: Order, z: float) -> tuple[float, float] | None:
    """Return the interval of treatment less control, z standard errors to each side; None for too few values."""
    ends_c, ends_t = control.limits(z), treatment.limits(z)
    if ends_c is None or ends_t is None:
        return None
    middle = treatment.value - control.value
    return (
        middle - hypot(treatment.value - ends_t[0], ends_c[1] - control.value),
        middle + hypot(ends_t[1] - treatment.value, control.value - ends_c[0]),
    )


def lift_limits(control: Order, treatment: Order, z: float) -> tuple[float, float] | None:
    """Return the interval of the lift relative to the size of the control; None where it has no bound.

    Fieller's, with the distances of the limits as errors, each on the side that counts: the ratios r at which the limits of
    t - r·c just hold 0.
    """
    ends_c, ends_t = control.limits(z), treatment.limits(z)
    if ends_c is None or ends_t is None:
        return None
    c, t = control.value, treatment.value
    down_t, up_t = (t - ends_t[0]) ** 2, (ends_t[1] - t) ** 2
    down_c, up_c = (c - ends_c[0]) ** 2, (ends_c[1] - c) ** 2
    if ends_c[0] <= 0 or ends_t[0] <= 0 or down_c >= c * c:
        # Which side counts turns with the sign of the ratio: the wider one is right for both.
        return fieller(c, t, (max(down_t, up_t), 0.0, max(down_c, up_c)), 1.0)
    # Of the two forms of a root the ones that have a bound whatever the other ends are.
    low = (t * t - down_t) / (c * t + sqrt(max(0.0, c * c * down_t + t * t * up_c - down_t * up_c)))
    high = (c * t + sqrt(max(0.0, c * c * up_t + t * t * down_c - up_t * down_c))) / (c * c - down_c)
    return low - 1, high - 1


def tail_over(limits: Callable[[float], tuple[float, float] | None], margin: float) -> float:
    """Return the one-sided p-value of an effect over `margin`, by the interval that just leaves it out.

    As the ends move in steps, so does the p-value, and errs upwards.
    """
    middle = limits(0.0)
    if middle is None:
        return 1.0
    over = middle[0] > margin

    def outside(place: int) -> bool:
        ends = limits(STEPS[place])
        return ends is not None and (ends[0] > margin if over else ends[1] < margin)

    if not outside(0):
        return 0.5
    inside = bisect_left(range(len(STEPS)), True, key=lambda place: not outside(place))
    z = STEPS[max(0, inside - 1)]
    return normal_tail(z) if over else 1 - normal_tail(z)
