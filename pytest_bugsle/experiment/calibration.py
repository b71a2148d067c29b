"""Are a metric's p-values what they say? Its own table, dealt anew to the arms many times, must say so.  PYTEST_DONT_REWRITE

An A/A test on the user's data: units are dealt to the arms by chance, so that there is no effect, and the metric goes
through the same tests as before. Then p-values are uniform, and one in twenty is below 0.05. Sources: A. Fabijan et al.,
"p-values for your p-values: checking metric trustworthiness by simulated A/A tests" (Microsoft ExP, 2020); R. Kohavi,
D. Tang and Y. Xu, "Trustworthy online controlled experiments", 2020, chapter 19.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import cuped, means, proportions
from pytest_bugsle.experiment.messages import p_text
from pytest_bugsle.results import ExperimentCheck
from pytest_bugsle.stats.intervals import wilson
from pytest_bugsle.stats.moments import Moments, PairedMoments

LEVEL = 0.001
"""At which p-values that are not uniform are an error: a false alarm withholds a whole effect."""

ALPHA = 0.05
"""The level whose rate is named in the message."""

LEAST, MOST = 100, 100_000
"""How often a table may be dealt anew: fewer times show nothing, more only take time."""

_HEAVY = 0.1

COLUMNS = ("n", "y", "d", "x", "yy", "dd", "xx", "yd", "yx", "dx")
"""What is summed up for each group of units: how many, metric, denominator, covariate, and their products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """A table as groups of units that are dealt to the arms as wholes: a row of COLUMNS for each.

    The sums are around `centre` (of y, d and x). `kind` is how the metric is tested. `heaviest` is the largest
    share that one unit has in the metric's sum of squares. `clusters` is the column whose values are always in one arm.
    """

    sums: Any
    centre: tuple[float, float, float]
    kind: Literal["share", "mean", "ratio"]
    adjusted: bool
    heaviest: float = 0.0
    clusters: str | None = None
    units: str | None = None


def check_times(times: int) -> int:
    """Return how often to deal anew; UsageError where that shows nothing, or takes for ever."""
    if not LEAST <= times <= MOST:
        raise UsageError(
            f"the table is to be dealt anew {times:,} times, and must be {LEAST} to {MOST:,} times.",
            why="fewer tell chance from error badly",
            hint="--bugsle-aa 1000",
        )
    return times


def calibrated(groups: Groups, n: Sequence[int], times: int, *, seed: int = 1) -> ExperimentCheck:
    """Check that the p-values of control and treatment, of `n` units, are uniform where arms are dealt by chance.

    The check fires at LEVEL. The same table gives the same answer.
    """
    check_times(times)
    made = p_values(groups, n, times, seed=seed)
    distance, p_value = distance_from_uniform(made)
    wrong = sum(value < ALPHA for value in made)
    low, high = wilson(wrong, len(made), level=0.95)
    seen = (
        f"p < {ALPHA:g} in {100 * wrong / len(made):.1f} % of {len(made):,} deals of the same units to the arms "
        f"(95 %: {100 * low:.1f} to {100 * high:.1f} %)"
    )
    bad = p_value < LEVEL
    text = f"{seen} where 5 % are right; the p-values are not uniform ({p_text(p_value)} at level {LEVEL:g}, furthest off by {distance:.3f})"
    return ExperimentCheck(
        name="p-values-not-uniform",
        rule="BUG312" if bad else None,
        outcome="invalid" if bad else "pass",
        message=f"{text}: {_reason(groups, wrong / len(made))}" if bad else f"{seen}, as it should be",
        p_value=p_value,
    )


def _reason(groups: Groups, rate: float) -> str:
    """Say what makes p-values go wrong, and what to do."""
    if groups.clusters is not None and rate > ALPHA:
        inner = "a row" if groups.units is None else f"a {groups.units!r}"
        return (
            f"{inner} is no unit of its own, as all rows of a {groups.clusters!r} are in one arm: "
            f"unit={groups.clusters!r}"
        )
    if groups.heaviest > _HEAVY:
        return (
            f"one unit has {100 * groups.heaviest:.0f} % of the metric's sum of squares: a metric with so heavy a "
            "tail needs a cap (winsorising), a rank test, or many more units"
        )
    if rate > ALPHA:
        return "the units are more alike than their test believes: name the unit of randomisation with unit="
    return "the test errs less often than it may, and finds less: the metric is too coarse or too skewed for so few units"


def distance_from_uniform(made: Sequence[float]) -> tuple[float, float]:
    """Return the largest distance of the p-values from uniform ones, and its p-value (Kolmogorov and Smirnov).

    Counts make p-values that take few values. An exact test has P(p <= v) = v at each of these and between them less;
    one by the normal distribution is off by half the step. So the distance is taken at the values alone, less half
    of the largest tie: for p-values without ties it is the classic one, less 1 / (2n).
    """
    import numpy as np
    from scipy import special

    values, many = np.unique(np.asarray(made, dtype=float), return_counts=True)
    total = len(made)
    off = float(np.abs(np.cumsum(many) / total - values).max())
    distance = max(0.0, off - float(many.max()) / total / 2)
    return distance, float(special.kolmogorov(sqrt(total) * distance))


def p_values(groups: Groups, n: Sequence[int], times: int, *, seed: int = 1) -> list[float]:
    """Return the p-value of no effect for each deal, in which the arms have their shares of the groups."""
    test = _test_of(groups)
    made = []
    for control, treatment in _deals(groups, n, times, seed):
        found = test(control, treatment)
        if found is not None:
            made.append(found)
    return made or [1.0]


def _deals(groups: Groups, n: Sequence[int], times: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield the sums of both arms for each deal."""
    import numpy as np

    rng = np.random.default_rng(seed)
    sums = np.asarray(groups.sums, dtype=float)
    many, total = len(sums), sums.sum(axis=0)
    # As many groups as the treatment has of all units; at least one is left to each arm.
    treated = min(many - 1, max(1, round(many * n[1] / sum(n))))
    labels: Any = np.zeros(many, dtype=np.uint8)
    labels[:treated] = 1
    block = max(1, min(times, 2_000_000 // many))
    for start in range(0, times, block):
        rows = np.tile(labels, (min(block, times - start), 1))
        rng.permuted(rows, axis=1, out=rows)
        treatment = rows.astype(float) @ sums
        yield from zip(total - treatment, treatment, strict=True)


def _test_of(groups: Groups) -> Callable[[Any, Any], float | None]:
    """Return the metric's own test, from the sums of two arms to a p-value; None where it says nothing."""
    if groups.kind == "share":
        return lambda control, treatment: _shares(groups, control, treatment)
    return lambda control, treatment: _means(groups, control, treatment)


def _shares(groups: Groups, control: Any, treatment: Any) -> float | None:
    centre = groups.centre[0]
    counts = [(round(arm[1] + centre * arm[0]), round(arm[0])) for arm in (control, treatment)]
    if min(counts[0][1], counts[1][1]) < 2:
        return None
    return proportions.evidence_of(*counts).test_p


def _means(groups: Groups, control: Any, treatment: Any) -> float | None:
    if min(control[0], treatment[0]) < 2:
        return None
    arms = [_paired(groups, arm) for arm in (control, treatment)]
    contrast = None
    if groups.adjusted:
        made = cuped.adjust(*arms)
        moments, contrast = (made.control, made.treatment), made.contrast
    else:
        moments = arms[0].y, arms[1].y
    try:
        return means.evidence_of(*moments, contrast=contrast).test_p
    except means.ConstantArms:
        return None


def _paired(groups: Groups, sums: Any) -> PairedMoments:
    """Return the moments of metric and covariate of one arm; of a ratio, of its linearised units."""
    n, y, d, x, yy, dd, xx, yd, yx, dx = (float(value) for value in sums)
    units = round(n)
    made_x = Moments.shifted(units, groups.centre[2], x, xx)
    if groups.kind != "ratio":
        return PairedMoments(Moments.shifted(units, groups.centre[0], y, yy), made_x, yx - y * x / n)
    mean_y, mean_d = groups.centre[0] + y / n, groups.centre[1] + d / n
    if mean_d == 0:
        return PairedMoments(Moments(0, 0.0, 0.0), made_x, 0.0)
    ratio = mean_y / mean_d
    squares = (yy - y * y / n) - 2 * ratio * (yd - y * d / n) + ratio * ratio * (dd - d * d / n)
    products = (yx - y * x / n) - ratio * (dx - d * x / n)
    return PairedMoments(Moments(units, ratio, max(0.0, squares) / mean_d**2), made_x, products / mean_d)
