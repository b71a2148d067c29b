"""Bounds of a rate that hold when trials come in clusters, and the n that would settle a limit.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

from pytest_bugsle.stats.beta import at_least, at_most, lower_bound, upper_bound
from pytest_bugsle.stats.binomial import check_inside, check_rate

LEVEL = 0.95
"""The confidence of each one-sided bound where nothing else is said."""

FEWEST_FOR_DESIGN_EFFECT = 200
"""Examples: with fewer, the variance between them is known too badly to lean on."""

FEWEST_FLIPPING = 20
"""Examples with a flip, and examples with a variant that does not: what the variance between examples must rest on."""

UNSEEN = 3
"""Examples that are added to that variance at its worst place: n examples may have missed a share of 3/n of them."""

_MOST_NEEDED = 10**9

Outcome = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True, slots=True)
class RateBound:
    """A rate with its one-sided bounds, each wrong with a chance of at most 1 - level.

    `rate` is None without examples. `flipping` counts the examples with at least one flip; `effective_n` is
    the number of independent trials that the evidence is worth, never fewer than the examples.
    """

    rate: float | None
    lower: float
    upper: float
    level: float
    examples: int
    trials: int
    flips: int
    flipping: int
    effective_n: float
    rule: Literal["examples", "design effect"]

    def outcome(self, limit: float) -> Outcome:
        """Return pass where the upper bound is within the limit, fail where the lower one is over it."""
        check_rate("limit", limit)
        return "pass" if self.upper <= limit else "fail" if self.lower > limit else "undecided"

    def p_values(self, limit: float) -> tuple[float, float]:
        """Return the p-values of "the rate is below the limit" and of "it is above it", in this order.

        The first is at most 1 - level just where the upper bound is within the limit, the second where the
        lower one is not below it. Both are 1 without examples.
        """
        check_rate("limit", limit)
        if self.rate is None:
            return 1.0, 1.0
        counted = self.rate * self.effective_n
        return at_most(counted, self.effective_n, limit), at_least(counted, self.effective_n, limit)

    def needed(self, limit: float, rate: float | None = None) -> int | None:
        """Return the number of examples that would settle the limit, were `rate` (the observed one) the true one.

        None where no number would: the rate is the limit, or a limit of 0 with no flip. Each further example is
        taken to be worth as many trials as those that are here. Without examples the rate is taken as 0.
        """
        supposed = rate if rate is not None else self.rate or 0.0
        trials = needed_trials(limit, supposed, self.level)
        if trials is None:
            return None
        worth = self.effective_n / self.examples if self.examples else 1.0
        return max(1, -int(-trials // worth))


def rate_bound(successes: int, trials: int, level: float = LEVEL) -> RateBound:
    """Return the bounds of a rate of independent trials."""
    return _bound(successes, trials, trials, successes, successes, trials, "examples", level)


def flip_bound(
    flips_by_example: Sequence[int],
    variants_by_example: Sequence[int],
    *,
    level: float = LEVEL,
    fewest: int = FEWEST_FOR_DESIGN_EFFECT,
    unseen: int = UNSEEN,
) -> RateBound:
    """Return the bounds of the chance that a variant of an example flips; all variants of one are one cluster.

    The rate is the mean of the examples' own rates, so that none counts for more because it has more variants;
    an example without variants is left out. Its bounds are Clopper and Pearson's with the number of examples
    as n, and the sum of their rates, a fraction, as the count. That is exact where each has one variant or all
    variants of an example agree, and errs to the safe side in between: among variables within 0 and 1 of the
    same mean those that are 0 or 1 spread most.

    From `fewest` examples, and with FEWEST_FLIPPING that flip at all and as many that do not always, n is the
    effective one, rate·(1 - rate) over the variance of the mean. To that variance `unseen` examples are added that
    flip always (or never, where that is more): without them it covers too little whenever few examples make most
    of the flips. ValueError for counts that contradict themselves. Source: E. L. Korn and B. I. Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey
    data", Survey Methodology 24 (1998), 193-201; the addition is measured by the benchmark of this room.
    """
    if len(flips_by_example) != len(variants_by_example):
        raise ValueError(
            f"{len(flips_by_example)} counts of flips and {len(variants_by_example)} of variants, must be as many."
        )
    for place, (flips, variants) in enumerate(zip(flips_by_example, variants_by_example, strict=True)):
        if not 0 <= flips <= variants:
            raise ValueError(f"flips_by_example[{place}] == {flips}, must be between 0 and {variants}.")
    rates = [
        flips / variants
        for flips, variants in zip(flips_by_example, variants_by_example, strict=True)
        if variants
    ]
    n, flips, trials = len(rates), sum(flips_by_example), sum(variants_by_example)
    flipping = sum(rate > 0 for rate in rates)
    total = min(fsum(rates), float(n))
    staying = sum(rate < 1 for rate in rates)
    enough = min(flipping, staying) >= FEWEST_FLIPPING and n >= fewest
    if not enough:
        return _bound(total, n, trials, flips, flipping, n, "examples", level)
    effective = min(max(_effective(rates, total / n, unseen), float(n)), float(trials))
    rule: Literal["examples", "design effect"] = "design effect" if effective > n else "examples"
    return _bound(total / n * effective, effective, trials, flips, flipping, n, rule, level)


def _effective(rates: Sequence[float], rate: float, unseen: int) -> float:
    """Return the independent trials that would vary as much as the mean of these rates."""
    n = len(rates)
    squares = fsum((one - rate) ** 2 for one in rates)
    worst = 0.0
    for place in (0.0, 1.0):
        # The squares about the mean of both parts (Chan, Golub and LeVeque's update).
        worst = max(worst, squares + (place - rate) ** 2 * n * unseen / (n + unseen))
    return rate * (1 - rate) * n * (n - 1) / worst


def _bound(
    counted: float,
    effective: float,
    trials: int,
    flips: int,
    flipping: int,
    examples: int,
    rule: Literal["examples", "design effect"],
    level: float,
) -> RateBound:
    check_inside("level", level)
    return RateBound(
        rate=counted / effective if effective else None,
        lower=lower_bound(counted, effective, level),
        upper=upper_bound(counted, effective, level),
        level=level,
        examples=examples,
        trials=trials,
        flips=flips,
        flipping=flipping,
        effective_n=effective,
        rule=rule,
    )


def needed_trials(limit: float, rate: float, level: float = LEVEL) -> int | None:
    """Return the least number of independent trials at which a rate seen exactly settles a limit; None for none."""
    check_rate("limit", limit)
    check_rate("rate", rate)
    check_inside("level", level)
    if rate == limit:
        return None

    def settled(n: int) -> bool:
        if rate < limit:
            return at_most(rate * n, n, limit) <= 1 - level
        return at_least(rate * n, n, limit) <= 1 - level

    return least(settled, _MOST_NEEDED)


def least(holds: Callable[[int], bool], most: int) -> int | None:
    """Return the least number from 1 to `most` for which a condition holds that, once it does, holds on; else None."""
    high = 1
    while not holds(high):
        if high >= most:
            return None
        high = min(most, high * 2)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
