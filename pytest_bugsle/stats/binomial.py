"""Exact tails of the binomial and the hypergeometric distribution.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, fsum, lgamma, log, log1p

from pytest_bugsle.stats.intervals import LEVEL

_NEGLIGIBLE = 1e-18
"""Of a sum: a term below it changes no digit of a float."""


def check_counts(failures: int, trials: int, least: int = 0) -> None:
    """Raise ValueError, naming the value, unless 0 <= failures <= trials and trials >= least."""
    if trials < least:
        raise ValueError(f"trials == {trials}, must be >= {least}.")
    if not 0 <= failures <= trials:
        raise ValueError(f"failures == {failures}, must be between 0 and {trials}.")


def check_inside(name: str, value: float) -> None:
    """Raise ValueError, naming the value, unless it lies between 0 and 1 and is neither."""
    if not 0 < value < 1:
        raise ValueError(f"{name} == {value}, must be between 0 and 1.")


def check_rate(name: str, value: float) -> None:
    """Raise ValueError, naming the value, unless it is a probability: 0 and 1 are."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} == {value}, must be from 0 to 1.")


def log_choose(n: int, k: int) -> float:
    """Return the natural logarithm of the number of ways to choose k of n, 0 <= k <= n, by log-gamma."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def upper_tail(failures: int, trials: int, rate: float) -> float:
    """Return the chance of at least so many failures in independent trials that fail at a rate.

    The sum of the binomial probabilities, from the largest term outwards. ValueError for a rate that is
    none or for fewer than 0 trials. Source: Johnson, Kemp and Kotz, "Univariate discrete distributions",
    3rd edition, 2005, section 3.2 (the ratio of neighbouring terms).
    """
    check_counts(0, trials)
    check_rate("rate", rate)
    if failures <= 0:
        return 1.0
    if failures > trials or rate == 0:
        return 0.0
    if rate == 1:
        return 1.0
    if failures < trials * rate:
        # On this side of the mean the terms grow at first: the other tail is the short one.
        return 1 - upper_tail(trials - failures + 1, trials, 1 - rate)
    term = exp(
        log_choose(trials, failures) + failures * log(rate) + (trials - failures) * log1p(-rate),
    )
    total = 0.0
    for k in range(failures, trials + 1):
        total += term
        term *= (trials - k) / (k + 1) * rate / (1 - rate)
        if term < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


def outer_root(positive: Callable[[float], bool], start: float, end: float) -> float:
    """Return the last float from `start` at which `positive` still holds, by bisection towards `end`.

    `positive` must hold from `start` up to some place and not beyond. The answer errs towards `start`.
    """
    while True:
        middle = (start + end) / 2
        if middle in (start, end):
            return start
        if positive(middle):
            start = middle
        else:
            end = middle


def clopper_pearson(failures: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a rate after a number of trials fixed beforehand, within 0 and 1.

    Each end is wrong with a chance of at most (1 - level) / 2, whatever the rate, where Wilson's keeps its
    level on average alone. No trials leave everything open. ValueError for counts that contradict
    themselves. Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits
    illustrated in the case of the binomial", Biometrika 26 (1934), 404-413.
    """
    check_counts(failures, trials)
    check_inside("level", level)
    error = (1 - level) / 2

    def low(count: int) -> float:
        if count == 0:
            return 0.0
        return outer_root(lambda rate: upper_tail(count, trials, rate) <= error, 0.0, count / trials)

    return low(failures), 1 - low(trials - failures)


def fisher_greater(failures: int, trials: int, base_failures: int, base_trials: int) -> float:
    """Return how likely so many of all failures fall on these trials, if they fail no more than the base's.

    The one-sided p-value of Fisher's exact test: the upper tail of the hypergeometric distribution, given
    the failures in both together. A small one says that these trials fail more often than the base's. It
    is 1 where either side has no trials. ValueError for counts that contradict themselves. Source: R. A.
    Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98 (1935), 39-82.
    """
    check_counts(failures, trials)
    check_counts(base_failures, base_trials)
    return _hypergeometric_tail(failures, trials, base_trials, failures + base_failures)


def _hypergeometric_tail(least: int, trials: int, others: int, both: int) -> float:
    """Return the chance that at least so many of both sides' failures, dealt at random, fall on the trials."""
    if least <= max(0, both - others):
        return 1.0
    if least * (trials + others) < trials * both:
        # As above: and the terms so far below the mean may be too small for a float.
        return 1 - _hypergeometric_tail(both - least + 1, others, trials, both)
    term = exp(
        log_choose(trials, least) + log_choose(others, both - least) - log_choose(trials + others, both)
    )
    total = 0.0
    for k in range(least, min(trials, both) + 1):
        total += term
        term *= (trials - k) * (both - k) / ((k + 1) * (others - both + k + 1))
        if term < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


def fisher_two_sided(failures: int, trials: int, base_failures: int, base_trials: int) -> float:
    """Return the two-sided p-value of Fisher's exact test: all tables no more likely than this one.

    Counted from the cell of both small margins, so that it takes few terms where this one is small, whatever the
    number of trials. ValueError for counts that contradict themselves.
    Source as of fisher_greater; which tables count as in R's fisher.test.
    """
    check_counts(failures, trials)
    check_counts(base_failures, base_trials)
    both, total = failures + base_failures, trials + base_trials
    cell, row, column = failures, trials, both
    if 2 * row > total:
        cell, row = base_failures, base_trials
    if 2 * column > total:
        cell, column = row - cell, total - column
    # The chances of the cell's counts in units of the likeliest, outwards to what is no float any more.
    likeliest = (row + 1) * (column + 1) // (total + 2)
    chances = {likeliest: 1.0}
    for step in (1, -1):
        k, chance = likeliest, 1.0
        while chance > 0 and 0 <= k + step <= min(row, column):
            low = min(k, k + step)
            odds = (row - low) * (column - low) / ((low + 1) * (total - row - column + low + 1))
            chance *= odds if step > 0 else 1 / odds
            k += step
            chances[k] = chance
    limit = chances.get(cell, 0.0) * (1 + 1e-7)
    return fsum(chance for chance in chances.values() if chance <= limit) / fsum(chances.values())
