"""Is the model as often right as it says? The calibration error beyond what chance makes.  PYTEST_DONT_REWRITE

A binned calibration error is never 0: of a perfectly calibrated model with 300 examples it is some 0.05. So a
limit on it judges the number of examples. Here it is compared with what chance alone would make of the same
confidences: each example right with the chance that the model states, many times over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, fsum, pi, sqrt
from statistics import NormalDist
from typing import Any

from pytest_bugsle.robustness.bounds import LEVEL, least
from pytest_bugsle.robustness.judgement import (
    MISCALIBRATED,
    Figure,
    Judgement,
    Outcome,
    ReliabilityBin,
    Remark,
    count,
    headline,
    unjudged,
    unusable,
)
from pytest_bugsle.robustness.probabilities import Certainty, NoProbabilityError, certainty

BINS = 10

RESAMPLES = 1000

FEWEST = 20
"""Examples; and on average as many a bin are wanted, else there are fewer bins."""

_NORMAL_FROM = 30.0
"""The variance of a bin's count from which it is taken as normal."""

_NEGLIGIBLE = 1e-15

_STEPS = 10
"""Halvings in the search of a bound: to a thousandth of its range."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Bin:
    """Examples of neighbouring confidence: the confidences, and how many were right."""

    confidences: tuple[float, ...]
    right: int

    @property
    def n(self) -> int:
        """Return the number of examples."""
        return len(self.confidences)

    @property
    def gap(self) -> float:
        """Return the mean confidence less the share that was right: over 0 where the model is too sure."""
        return (fsum(self.confidences) - self.right) / self.n


def bins_of(confidence: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> tuple[Bin, ...]:
    """Return bins of equal mass, at most so many; equal confidences are never parted, so there may be fewer."""
    order = sorted(range(len(confidence)), key=lambda place: confidence[place])
    made: list[Bin] = []
    start, n = 0, len(order)
    for number in range(1, bins + 1):
        stop = max(round(number * n / bins), start)
        while 0 < stop < n and confidence[order[stop]] == confidence[order[stop - 1]]:
            stop += 1
        if stop > start:
            places = order[start:stop]
            made.append(
                Bin(
                    tuple(confidence[place] for place in places),
                    sum(bool(correct[place]) for place in places),
                )
            )
            start = stop
    return tuple(made)


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean over examples of their bin's absolute gap."""
    return fsum(one.n * abs(one.gap) for one in bins) / sum(one.n for one in bins)


def debiased_squared_error(bins: Sequence[Bin]) -> float:
    """Return the squared calibration error less what chance adds to it; below 0 where there was luck.

    Of each bin gap² - a (1 - a) / (n - 1), a the share that was right; a bin of one example has no variance and
    is left out. Source: A. Kumar, P. Liang and T. Ma, "Verified uncertainty calibration", NeurIPS 2019, section 4.
    """
    total, n = [], 0
    for one in bins:
        if one.n > 1:
            share = one.right / one.n
            total.append(one.n * (one.gap**2 - share * (1 - share) / (one.n - 1)))
            n += one.n
    return fsum(total) / n if n else 0.0


def count_quantiles(chances: Sequence[float]) -> Callable[[float], float]:
    """Return the quantile function of the number of successes, each with a chance of its own.

    The exact Poisson-binomial distribution by adding one trial after the other, without the ends that no float
    would notice; normal from a variance of 30. Source: Y. Hong, "On computing the distribution function for the
    Poisson binomial distribution", Computational Statistics and Data Analysis 59 (2013), 41-51, section 2.
    """
    variance = fsum(chance * (1 - chance) for chance in chances)
    if variance >= _NORMAL_FROM:
        mean, deviation = fsum(chances), sqrt(variance)
        return lambda share: mean + deviation * _NORMAL.inv_cdf(min(max(share, 1e-12), 1 - 1e-12))
    first, weights = 0, [1.0]
    for chance in chances:
        if chance >= 1:
            first += 1
            continue
        if chance <= 0:
            continue
        other = 1 - chance
        weights = [
            low * other + high * chance for low, high in zip([*weights, 0.0], [0.0, *weights], strict=True)
        ]
        while weights[-1] < _NEGLIGIBLE:
            weights.pop()
        start = 0
        while weights[start] < _NEGLIGIBLE:
            start += 1
        if start:
            del weights[:start]
            first += start
    sums = list(accumulate(weights))
    last = len(sums) - 1
    return lambda share: float(first + min(last, bisect_left(sums, share * sums[-1])))


class _Chance:
    """What chance makes of the same bins: always the same draws, so that the answers change with the shift alone."""

    def __init__(self, bins: Sequence[Bin], uniform: Callable[[], float], resamples: int) -> None:
        self.bins = bins
        self.n = sum(one.n for one in bins)
        self.draws = [[uniform() for _ in range(resamples)] for _ in bins]

    def errors(self, off: float, *, towards: bool, centred: bool = False) -> list[float]:
        """Return resampled calibration errors of a model whose stated confidences are off by so much.

        `towards` shifts each bin to the side on which its share was seen, else to the other; where that would
        leave 0 to 1, to the side that does not. `centred` gives the part that chance alone makes.
        """
        totals = [0.0] * len(self.draws[0])
        for one, draws in zip(self.bins, self.draws, strict=True):
            stated = fsum(one.confidences)
            up = (one.gap < 0) == towards
            mean = stated / one.n
            step = off if (up and mean + off <= 1) or mean - off < 0 else -off
            chances = [min(1.0, max(0.0, chance + step)) for chance in one.confidences]
            middle = fsum(chances) if centred else stated
            quantile = count_quantiles(chances)
            for place, draw in enumerate(draws):
                totals[place] += abs(quantile(draw) - middle)
        return [total / self.n for total in totals]

    def over(self, error: float, off: float) -> float:
        """Return the p-value of "the model is off by more": by the triangle inequality no error exceeds off + chance."""
        noise = self.errors(off, towards=True, centred=True)
        return _share(noise, lambda one: off + one >= error - _NEGLIGIBLE)

    def under(self, error: float, off: float) -> float:
        """Return the p-value of "the model is off by less".

        Of all ways to be off by so much on average, being so in every bin shows least, as a mean of absolute
        values is convex.
        """
        return max(
            _share(self.errors(off, towards=side), lambda one: one <= error + _NEGLIGIBLE)
            for side in (True, False)
        )


def _share(values: Sequence[float], holds: Callable[[float], bool]) -> float:
    """Return the Monte Carlo p-value, the data counted among the draws.

    Source: B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", Statistical Applications in
    Genetics and Molecular Biology 9 (2010), article 39.
    """
    return (1 + sum(holds(value) for value in values)) / (1 + len(values))


def calibrated(
    probabilities: Sequence[Any] | None,
    labels: Sequence[Hashable],
    *,
    uniform: Callable[[], float],
    classes: Sequence[Hashable] | None = None,
    max_excess: float = 0.02,
    bins: int = BINS,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Judgement:
    """Judge whether the model's confidence is off by no more than `max_excess` on average.

    Pass where a model that is off by `max_excess` would hardly have looked so good, fail where it would hardly
    have looked so bad, each with a chance of 1 - level; else undecided. A limit of 0 is never passed. `uniform` gives numbers from 0 to 1, as
    `random.Random(seed).random` does. Source of the resampling: J. Bröcker and L. A. Smith, "Increasing the
    reliability of reliability diagrams", Weather and Forecasting 22 (2007), 651-661.
    """
    gate = "calibrated"
    if not 0 <= max_excess < 0.5:
        raise ValueError(f"max_excess == {max_excess}, must be from 0 to under 0.5.")
    if probabilities is None or (len(probabilities) and all(row is None for row in probabilities)):
        return unjudged(gate, "the model gives labels and no probabilities", len(labels), max_excess)
    try:
        read = certainty(probabilities, labels, classes)
    except NoProbabilityError as error:
        return unusable(gate, str(error), len(labels), max_excess)
    n = len(labels)
    if n < FEWEST:
        return unjudged(
            gate,
            f"{n} examples, at least {FEWEST} are needed",
            n,
            max_excess,
            _needed_to_pass(max_excess, 0.25, bins),
        )
    made = bins_of(read.confidence, read.correct, max(1, min(bins, n // FEWEST)))
    return _judge(made, read, _Chance(made, uniform, resamples), max_excess, level)


def _judge(bins: Sequence[Bin], read: Certainty, chance: _Chance, limit: float, level: float) -> Judgement:
    n, alpha = chance.n, 1 - level
    error = calibration_error(bins)
    null = sorted(chance.errors(0.0, towards=True))
    expected = fsum(null) / len(null)
    gap = fsum(one.n * one.gap for one in bins) / n
    squared = debiased_squared_error(bins)
    consistent = _share(null, lambda one: one >= error - _NEGLIGIBLE)
    over, under = chance.over(error, limit), chance.under(error, limit)
    outcome: Outcome = "fail" if over <= alpha else "pass" if under <= alpha and limit > 0 else "undecided"
    low = _bound(lambda off: chance.over(error, off) <= alpha, 0.0, min(error, 0.5))
    high = _bound(lambda off: chance.under(error, off) <= alpha, 0.5, 0.0)
    if outcome == "fail":
        low = max(low, limit)
    elif outcome == "pass":
        high = min(high, limit)
    share = sum(read.correct) / n
    variance = max(fsum(one * (1 - one) for one in read.confidence) / n, share * (1 - share))
    true = max(abs(gap), sqrt(max(0.0, squared)))
    needed = None
    if outcome == "undecided":
        needed = (
            _needed_to_fail(true - limit, variance, len(bins))
            if true > limit
            else _needed_to_pass(limit, variance, len(bins))
        )
        if needed is not None and needed <= n:
            # By the approximation they should have been enough: what is here was bad luck.
            needed = 2 * n
    side = "too sure" if gap > 0 else "not sure enough"
    lines = [
        headline(
            "calibrated",
            outcome,
            f"off by {error:.3f} where chance makes {expected:.3f}: excess {error - expected:+.3f}, limit {limit:g}",
        ),
        f"  bounds of the true error {low:.3f} to {high:.3f}, {level:.0%} each",
        f"  n={n}, {count(len(bins), 'bin')} of equal mass, {len(null)} resamples of the stated confidences",
        f"  signed gap {gap:+.3f} ({side} on average), debiased squared error {squared:+.5f}, Brier {read.brier:.3f}",
        f"  as stated? p = {consistent:.3g}",
    ]
    if len(set(read.predicted)) == 1:
        lines.append("  the model predicts one class alone: its confidence there is all that was judged")
    if outcome == "undecided":
        lines.append(
            f"  next: some {needed:,} examples would settle it, were what is seen the truth"
            if needed
            else "  next: no number of examples settles a limit that the error meets exactly"
        )
    worst = max(bins, key=lambda one: abs(one.gap) * one.n)
    remarks: tuple[Remark, ...] = ()
    if outcome == "fail":
        remarks = (
            Remark(
                MISCALIBRATED,
                f"the model's confidence is off by {error:.3f}, {error - expected:.3f} beyond chance (limit {limit:g});"
                f" most between {worst.confidences[0]:.2f} and {worst.confidences[-1]:.2f}, where"
                f" {worst.right} of {worst.n} are right",
            ),
        )
    return Judgement(
        gate="calibrated",
        outcome=outcome,
        n=n,
        message=tuple(lines),
        figures=(
            Figure("calibration error", error, n, low, high, limit),
            Figure(
                "excess over the null", error - expected, n, error - null[_rank(null, level)], None, limit
            ),
            Figure("null calibration error", expected, n, null[_rank(null, alpha)], null[_rank(null, level)]),
            Figure("debiased squared error", squared, n),
            Figure("signed gap", gap, n),
            Figure("Brier score", read.brier, n),
        ),
        limit=limit,
        n_needed=needed,
        remarks=remarks,
        tests=1,
        reliability=reliability(bins, level),
    )


def reliability(bins: Sequence[Bin], level: float = LEVEL) -> tuple[ReliabilityBin, ...]:
    """Return the points of a reliability diagram, each with the band that holds it with this chance if all is as stated."""
    made = []
    for one in bins:
        quantile = count_quantiles(one.confidences)
        made.append(
            ReliabilityBin(
                confidence=fsum(one.confidences) / one.n,
                right=one.right / one.n,
                n=one.n,
                lower=max(0.0, quantile((1 - level) / 2) / one.n),
                upper=min(1.0, quantile((1 + level) / 2) / one.n),
            )
        )
    return tuple(made)


def _rank(values: Sequence[float], share: float) -> int:
    return min(len(values) - 1, int(share * len(values)))


def _bound(holds: Callable[[float], bool], start: float, end: float) -> float:
    """Return how far from `start` towards `end` a condition holds, to a thousandth; `start` where it does not there."""
    if not holds(start):
        return start
    for _ in range(_STEPS):
        middle = (start + end) / 2
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start


def _noise(variance: float, bins: int, n: int) -> float:
    """Return the standard error of one bin's share."""
    return sqrt(max(variance, 1e-4) * bins / n)


def _needed_to_pass(limit: float, variance: float, bins: int) -> int | None:
    """Return the examples with which a calibrated model is told from one that is off by the limit.

    By the mean of the folded normal distribution in each bin. Source: F. C. Leone, L. S. Nelson and R. B.
    Nottingham, "The folded normal distribution", Technometrics 3 (1961), 543-550.
    """
    if limit <= 0:
        return None

    def told_apart(n: int) -> bool:
        noise = _noise(variance, bins, n)
        off = limit / noise
        shift = noise * (sqrt(2 / pi) * (exp(-off * off / 2) - 1) + off * (1 - 2 * _NORMAL.cdf(-off)))
        return shift >= 2 * _NORMAL.inv_cdf(LEVEL) * noise * sqrt((1 - 2 / pi) / bins)

    return least(told_apart, 10**9)


def _needed_to_fail(excess: float, variance: float, bins: int) -> int | None:
    """Return the examples with which an error that exceeds the limit by so much exceeds chance as well."""
    reach = sqrt(2 / pi) + _NORMAL.inv_cdf(LEVEL) * sqrt((1 - 2 / pi) / bins)
    return least(lambda n: reach * _noise(variance, bins, n) <= excess, 10**9)
