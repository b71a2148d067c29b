"""What a number of runs can see, and what it would miss.  PYTEST_DONT_REWRITE

All of it is the geometric distribution: independent runs that fail at a rate. Source: Johnson, Kemp
and Kotz, "Univariate discrete distributions", 3rd edition, 2005, chapter 5.
"""

from __future__ import annotations

from math import ceil, expm1, log1p

from pytest_bugsle.stats.binomial import check_inside, check_rate
from pytest_bugsle.stats.intervals import LEVEL

RARE = 0.01
"""The failure rate by which a sentence on power measures, where nothing else is said."""


def _check_runs(runs: int) -> None:
    if runs < 0:
        raise ValueError(f"runs == {runs}, must be >= 0.")


def miss(rate: float, runs: int) -> float:
    """Return the chance that a test with this failure rate passes all runs: (1 - rate) ** runs."""
    check_rate("rate", rate)
    _check_runs(runs)
    return float((1 - rate) ** runs)


def see_both(rate: float, runs: int) -> float:
    """Return the chance to see a pass and a failure: 1 - rate ** runs - (1 - rate) ** runs."""
    passes, failures = miss(rate, runs), miss(1 - rate, runs)
    return max(0.0, 1 - passes - failures)


def hide(rate: float, retries: int) -> float:
    """Return how often "any pass wins" turns a failure at this rate green: 1 - rate ** (retries + 1).

    What is right the first time is part of it: it is the chance that a broken test does not block.
    """
    check_rate("rate", rate)
    if retries < 0:
        raise ValueError(f"retries == {retries}, must be >= 0.")
    return float(1 - rate ** (retries + 1))


def runs_to_see(rate: float, chance: float = LEVEL) -> int:
    """Return the least number of runs that see a failure with this chance: log(1 - chance) / log(1 - rate).

    ValueError for a rate of 0: no number of runs shows what never fails.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate == {rate}, must be over 0, to 1.")
    check_inside("chance", chance)
    if rate == 1:
        return 1
    runs = max(1, ceil(log1p(-chance) / log1p(-rate)))
    # The quotient of two logarithms may fall on either side of a whole number.
    while runs > 1 and miss(rate, runs - 1) <= 1 - chance:
        runs -= 1
    while miss(rate, runs) > 1 - chance:
        runs += 1
    return runs


def rate_seen(runs: int, chance: float = LEVEL) -> float:
    """Return the least failure rate that so many runs see with this chance: 1 - (1 - chance) ** (1 / runs).

    After as many passes it is the highest rate that they leave open (one-sided, exact). No runs see a rate
    of 1 alone. Source: J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all
    right?", JAMA 249 (1983), 1743-1745: the rule of three, 3 / runs, is its approximation.
    """
    _check_runs(runs)
    check_inside("chance", chance)
    return -expm1(log1p(-chance) / runs) if runs else 1.0


def percent(share: float) -> str:
    """Write a share in per cent, to three digits: `1.75 %`, `under 0.01 %`."""
    check_rate("share", share)
    if 0 < share < 0.0001:
        return "under 0.01 %"
    if 0.9999 < share < 1:
        return "over 99.99 %"
    digits = f"{100 * share:.4g}" if share > 0.999 else f"{100 * share:.3g}"
    return f"{digits} %"


def times_in(chance: float) -> str:
    """Write a chance as `9 times in 10`, by the roundest number that is not far off.

    Not far off: by at most a tenth of the chance and of its complement.
    """
    check_rate("chance", chance)
    if chance in (0, 1):
        return "always" if chance else "never"
    for whole in (10, 100, 1_000, 10_000):
        count = round(chance * whole)
        if 0 < count < whole and abs(count / whole - chance) <= min(chance, 1 - chance) / 10:
            return f"once in {whole:,}" if count == 1 else f"{count:,} times in {whole:,}"
    return "less than once in 10,000" if chance < 0.5 else "all but less than once in 10,000"


def sentence(runs: int, rate: float = RARE) -> str:
    """Say what so many passes would miss: `10 passes would miss a 1 % flake 9 times in 10`."""
    passes = "1 pass" if runs == 1 else f"{runs:,} passes"
    return f"{passes} would miss a {percent(rate)} flake {times_in(miss(rate, runs))}"
