"""By how much one sample lies above another, by ranks: Mann and Whitney's test, Hodges and Lehmann's shift.  PYTEST_DONT_REWRITE

scipy.stats.mannwhitneyu has the test, and neither the shift nor its interval. Sources: J. L. Hodges and E. L. Lehmann,
"Estimates of location based on rank tests", Annals of Mathematical Statistics 34 (1963), 598-611; M. Hollander, D. A.
Wolfe and E. Chicken, "Nonparametric statistical methods", 3rd edition, 2014, section 4.3; for the size G. E. Noether,
"Sample size determination for some common nonparametric tests", Journal of the American Statistical Association 82
(1987), 645-647.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, sqrt
from typing import Any

from pytest_bugsle.stats.proportions import normal_quantile, normal_tail


@dataclass(frozen=True, slots=True)
class Ranked:
    """Two samples, each sorted, as arrays of floats."""

    control: Any
    treatment: Any

    @classmethod
    def of(cls, control: Any, treatment: Any) -> Ranked:
        """Return both sorted; ValueError for fewer than two values in an arm."""
        import numpy as np

        arms = [np.sort(np.asarray(arm, dtype=float)) for arm in (control, treatment)]
        for name, arm in zip(("control", "treatment"), arms, strict=True):
            if len(arm) < 2:
                raise ValueError(f"{name} n == {len(arm)}, must be >= 2.")
        return cls(*arms)

    @property
    def pairs(self) -> int:
        """How many pairs of a control and a treatment value there are."""
        return len(self.control) * len(self.treatment)

    def _count(self, by: float, side: str) -> int:
        """Return how many differences t - c are at most `by`, or, on the left side, below it."""
        return int(self.treatment.searchsorted(self.control + by, side=side).sum())

    def above(self, margin: float = 0.0) -> float:
        """Return Mann and Whitney's U: the pairs with t - c over `margin`, half of those that equal it."""
        at_most, below = self._count(margin, "right"), self._count(margin, "left")
        return self.pairs - (at_most + below) / 2

    def superiority(self) -> float:
        """Return the chance that a treatment value exceeds one of control, ties split."""
        return self.above() / self.pairs

    def tied(self) -> float:
        """Return the share of pairs that are equal."""
        return (self._count(0.0, "right") - self._count(0.0, "left")) / self.pairs

    def spread(self, *, ties: bool = False) -> float:
        """Return the standard deviation of U where both arms are alike, corrected for ties where asked."""
        import numpy as np

        n = len(self.control) + len(self.treatment)
        if not ties:
            return sqrt(self.pairs * (n + 1) / 12)
        counts = np.unique(np.concatenate([self.control, self.treatment]), return_counts=True)[1].astype(
            float
        )
        return sqrt(max(0.0, self.pairs / 12 * (n + 1 - float((counts**3 - counts).sum()) / (n * (n - 1)))))

    def statistic(self) -> float:
        """Return U in standard errors, corrected for ties; 0 where all values are equal."""
        spread = self.spread(ties=True)
        return (self.above() - self.pairs / 2) / spread if spread > 0 else 0.0

    def p_value(self) -> float:
        """Return the two-sided p-value of equal arms: exact for few values without ties (scipy)."""
        from scipy import stats

        if self.spread(ties=True) == 0:
            return 1.0
        found = stats.mannwhitneyu(self.treatment, self.control)
        return min(1.0, float(found.pvalue))

    def p_above(self, margin: float) -> float:
        """Return the one-sided p-value of a shift over `margin`, by the normal distribution without ties' correction.

        It inverts `interval`, and errs upwards.
        """
        # Of all pairs: those over the margin and not just at it.
        over = self.pairs - self._count(margin, "right")
        return normal_tail((over - self.pairs / 2) / self.spread())

    def shift(self) -> float:
        """Return the median of all differences treatment - control."""
        low, high = self._difference((self.pairs + 1) // 2), self._difference(self.pairs // 2 + 1)
        return low + (high - low) / 2

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Return the shifts that the test does not reject at alpha, two-sided; None where there are too few values."""
        rank = floor(self.pairs / 2 - normal_quantile(1 - alpha / 2) * self.spread())
        if rank < 1:
            return None
        return self._difference(rank), self._difference(self.pairs - rank + 1)

    def _difference(self, rank: int) -> float:
        """Return the difference of that rank, from 1, of all pairs, by bisection over what floats there are.

        A list of all pairs would fill the memory.
        """
        low, high = float(self.treatment[0] - self.control[-1]), float(self.treatment[-1] - self.control[0])
        while True:
            middle = low + (high - low) / 2
            if not low < middle < high:
                break
            if self._count(middle, "right") >= rank:
                high = middle
            else:
                low = middle
        return self._nearest(low if self._count(low, "right") >= rank else high)

    def _nearest(self, value: float) -> float:
        """Return the difference of a pair that is nearest: the bisection is off by the rounding of a sum."""
        best, off = value, inf
        places = self.treatment.searchsorted(self.control + value)
        for shifted in (places - 1, places):
            there = (shifted >= 0) & (shifted < len(self.treatment))
            if there.any():
                found = self.treatment[shifted[there]] - self.control[there]
                nearest = float(found[abs(found - value).argmin()])
                if abs(nearest - value) < off:
                    best, off = nearest, abs(nearest - value)
        return best


def size(
    ranked: Ranked, shift: float, *, alpha: float, power: float, ratio: float = 1.0, sides: int = 2
) -> float | None:
    """Return the units of control that show this shift of values like the control's; None where it moves no rank.

    Noether's (za + zb)² / (12 · share · (1 - share) · (p - 1/2)²) units of both arms, p the chance that a moved value
    exceeds one of control.
    """
    moved = Ranked(ranked.control, ranked.control + shift).superiority() - 0.5
    if abs(moved) < 1e-9:
        return None
    share = 1 / (1 + ratio)
    z = normal_quantile(1 - alpha / sides) + normal_quantile(power)
    return z * z / (12 * share * (1 - share) * moved * moved) * share
