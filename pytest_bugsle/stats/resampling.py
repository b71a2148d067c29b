"""Means with heavy tails: the bootstrap of Student's t, by which the skew of the data bends the interval.  PYTEST_DONT_REWRITE

Source: B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, sections 12.5 and 16.2; that it is right to the
second order where percentiles are to the first: P. Hall, "Theoretical comparison of bootstrap confidence intervals",
Annals of Statistics 16 (1988), 927-953. scipy.stats.bootstrap has percentiles and BCa, and not this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

from pytest_bugsle.stats.means import quantile, student_tail, welch
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.proportions import normal_quantile, normal_tail

RESAMPLES = 4999
FEWEST = 10
"""So many resamples must lie beyond an end: further out it goes on as the normal distribution would."""

BAGS = 5_000
"""More values than that are dealt to so many bags, and the means of the bags are resampled: their mean has the variance
and the third moment of that of the values."""

_BLOCK = 2_000_000
_ROUNDING = 1e-24
"""Below it a variance of values that deviate by 1 is that of rounding: all that was drawn is the same value."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """An estimate, its standard error, the sorted t of its resamples, and Student's degrees of freedom.

    On each side the wider of both counts: of few values the resamples know too little of a tail, and where one arm is
    much smaller than the other Student's t does not see the skew.
    """

    value: float
    error: float
    ts: Sequence[float]
    df: float

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Return the two-sided interval at 1 - alpha; None where the resamples leave an end open."""
        low = self.value - self.error * self._t(alpha / 2, upper=True)
        high = self.value - self.error * self._t(alpha / 2, upper=False)
        return (low, high) if isfinite(low) and isfinite(high) else None

    def p_above(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of a value of more than `margin`."""
        t = (self.value - margin) / self.error
        return max(self._tail(t), student_tail(t, self.df))

    def p_below(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of a value of less than `margin`."""
        t = (self.value - margin) / self.error
        return max(1 - self._tail(t), student_tail(-t, self.df))

    @property
    def _least(self) -> float:
        return FEWEST / (len(self.ts) + 1)

    def _t(self, share: float, *, upper: bool) -> float:
        """Return the t that this share lies beyond, of the resamples or of Student's t, whichever is further out."""
        count = max(share, self._least) * (len(self.ts) + 1)
        # The rank errs outwards.
        rank = max(1, int(count + 1e-9))
        t = float(self.ts[-rank] if upper else self.ts[rank - 1])
        if share < self._least:
            t *= normal_quantile(share) / normal_quantile(self._least)
        student = quantile(self.df, 1 - share)
        return max(t, student) if upper else min(t, -student)

    def _tail(self, t: float) -> float:
        """Return the share of resamples beyond t."""
        from bisect import bisect_left, bisect_right

        many = len(self.ts)
        beyond, below = many - bisect_left(self.ts, t), bisect_right(self.ts, t)
        if beyond < FEWEST:
            edge = float(self.ts[-FEWEST])
            return (
                normal_tail(max(1.0, t / edge) * -normal_quantile(self._least)) if edge > 0 else self._least
            )
        if below < FEWEST:
            edge = float(self.ts[FEWEST - 1])
            far = normal_tail(max(1.0, t / edge) * -normal_quantile(self._least)) if edge < 0 else self._least
            return 1 - far
        return (beyond + 1) / (many + 1)


@dataclass(frozen=True, slots=True)
class Draws:
    """The means and squared errors of the resamples of one arm, and of the arm itself."""

    mean: float
    squared: float
    n: int
    means: Any
    squares: Any


def draws_of(control: Any, treatment: Any, resamples: int = RESAMPLES) -> tuple[Draws, Draws]:
    """Return the resamples of both arms; the seeds are made of their values, so that they are the same each time.

    What a value is off its arm's mean is drawn from both arms together, in units of each arm's deviation: a few large
    values that happened to fall into one arm say as much of the other's tail, and drawn from their own arm alone they
    make too many false alarms. The order of the values does not matter. ValueError for fewer than two in an arm.
    """
    from hashlib import blake2b

    import numpy as np

    arms = [np.sort(np.asarray(arm, dtype=float)) + 0.0 for arm in (control, treatment)]  # -0.0 is 0.0
    for name, arm in zip(("control", "treatment"), arms, strict=True):
        if len(arm) < 2:
            raise ValueError(f"{name} n == {len(arm)}, must be >= 2.")
    deviations = [float(arm.std(ddof=1)) for arm in arms]
    pool = np.sort(
        np.concatenate(
            [(arm - arm.mean()) / s for arm, s in zip(arms, deviations, strict=True) if s] or [np.zeros(2)]
        )
    )
    made = []
    seeds = [int.from_bytes(blake2b(arm.tobytes(), digest_size=16).digest(), "big") for arm in arms]
    for arm, deviation, seed in zip(
        arms, deviations, (seeds[0], seeds[1] + (seeds[0] == seeds[1])), strict=True
    ):
        means, squares = _drawn(pool, len(arm), np.random.Generator(np.random.PCG64(seed)), resamples)
        squared = deviation * deviation / len(arm)
        made.append(
            Draws(float(arm.mean()), squared, len(arm), deviation * means, deviation * deviation * squares)
        )
    return made[0], made[1]


def _drawn(pool: Any, size: int, chance: Any, resamples: int) -> tuple[Any, Any]:
    """Return the means of resamples of this size, and their squared errors."""
    import numpy as np

    each = -(-size // BAGS)
    if each > 1:
        # Bags of as many values, dealt at random: fewer to draw, and their mean is spread as that of the values is.
        bags = len(pool) // each
        pool = chance.permutation(pool)[: bags * each].reshape(bags, each).mean(axis=1)
        size = round(size / each)
    means, squares = np.empty(resamples), np.empty(resamples)
    step = max(1, _BLOCK // size)
    for start in range(0, resamples, step):
        stop = min(resamples, start + step)
        drawn = pool[chance.integers(0, len(pool), (stop - start, size), dtype=np.uint32)]
        means[start:stop] = drawn.mean(axis=1)
        squares[start:stop] = drawn.var(axis=1, ddof=1) / size
    squares[squares < _ROUNDING] = 0.0
    return means, squares


def difference(control: Draws, treatment: Draws) -> Resampled:
    """Return the difference of two means, studentised by the variance of each resample (Welch)."""
    import numpy as np

    error = sqrt(control.squared + treatment.squared)
    ts = _studentised(treatment.means - control.means, np.sqrt(treatment.squares + control.squares))
    return Resampled(treatment.mean - control.mean, error, ts, _df(control, treatment))


def _df(control: Draws, treatment: Draws) -> float:
    arms = [Moments(arm.n, arm.mean, arm.squared * arm.n * (arm.n - 1)) for arm in (control, treatment)]
    return welch(arms[0], arms[1]).df


def lift(control: Draws, treatment: Draws) -> Resampled | None:
    """Return the lift relative to the size of the control; None where the control may be 0, or nothing varies.

    Studentised by the delta method in each resample.
    """
    import numpy as np

    size, sign = abs(control.mean), 1 if control.mean > 0 else -1
    if size == 0:
        return None
    sizes = sign * (control.mean + control.means)
    if int((sizes <= 0).sum()) > FEWEST // 2:
        return None
    true = treatment.mean / size
    with np.errstate(all="ignore"):
        ratio = (treatment.mean + treatment.means) / sizes
        errors = np.sqrt(treatment.squares + ratio**2 * control.squares) / sizes
        ts = _studentised(np.where(sizes > 0, ratio - true, -inf), np.where(sizes > 0, errors, 1.0))
    error = sqrt(treatment.squared + true**2 * control.squared) / size
    if error == 0:
        return None  # a treatment of nothing but zeros is off by -100 %, however spread the control is
    return Resampled(true - sign, error, ts, _df(control, treatment))


def _studentised(off: Any, errors: Any) -> Any:
    """Return the sorted quotients; where a resample has no error at all, its t is 0 or boundless."""
    import numpy as np

    with np.errstate(all="ignore"):
        ts = np.where(errors > 0, off / errors, np.where(off == 0, 0.0, np.sign(off) * inf))
    return np.sort(ts)
