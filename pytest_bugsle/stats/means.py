"""Tests and intervals of two means, and of their ratio, from moments alone.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

from pytest_bugsle.stats.binomial import check_inside
from pytest_bugsle.stats.moments import Moments


@dataclass(frozen=True, slots=True)
class Difference:
    """An estimated difference, its standard error and its degrees of freedom."""

    value: float
    error: float
    df: float

    def statistic(self, margin: float = 0.0) -> float:
        """Return how many standard errors the difference is above `margin`; ValueError without any error."""
        if self.error <= 0:
            raise ValueError("the standard error is 0: both arms are constant.")
        return (self.value - margin) / self.error

    def p_above(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of a difference of more than `margin`."""
        return student_tail(self.statistic(margin), self.df)

    def p_below(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of a difference of less than `margin`."""
        return student_tail(-self.statistic(margin), self.df)

    def p_value(self) -> float:
        """Return the two-sided p-value of no difference."""
        return min(1.0, 2 * min(self.p_above(), self.p_below()))

    def p_equivalent(self, low: float, high: float) -> float:
        """Return the p-value of a difference within the margins, by two one-sided tests.

        Source: D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
        Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680.
        """
        if not low < high:
            raise ValueError(f"low == {low}, must be < high == {high}.")
        return max(self.p_above(low), self.p_below(high))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the two-sided interval at 1 - alpha."""
        reach = quantile(self.df, 1 - alpha / 2) * self.error
        return self.value - reach, self.value + reach


def student_tail(t: float, df: float) -> float:
    """Return the chance that Student's t exceeds a value; right far out, where 1 - cdf gives 0."""
    from scipy import special

    return float(special.stdtr(df, -t))


def quantile(df: float, share: float) -> float:
    """Return the quantile of Student's t."""
    from scipy import special

    check_inside("share", share)
    return float(special.stdtrit(df, share))


def welch(control: Moments, treatment: Moments) -> Difference:
    """Return the difference of two means, with each arm's own variance and Satterthwaite's df.

    ValueError for fewer than two values in an arm. Two constant arms have an error of 0. Source: B. L. Welch,
    "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35. scipy's ttest_ind_from_stats is the same, and slow to import.
    """
    for arm, moments in (("control", control), ("treatment", treatment)):
        if moments.n < 2:
            raise ValueError(f"{arm} n == {moments.n}, must be >= 2.")
    share_c, share_t = control.variance / control.n, treatment.variance / treatment.n
    squared = share_c + share_t
    if squared > 0:
        # As shares of the sum: squares of tiny variances would vanish.
        df = 1 / ((share_c / squared) ** 2 / (control.n - 1) + (share_t / squared) ** 2 / (treatment.n - 1))
    else:
        df = float(control.n + treatment.n - 2)
    return Difference(treatment.mean - control.mean, sqrt(squared), df)


def lift_error(control: Moments, treatment: Moments) -> float:
    """Return the standard error of the relative lift by the delta method; ValueError for a control mean of 0.

    Source: A. Deng, U. Knoblich and J. Lu, "Applying the delta method in metric analytics", KDD 2018.
    """
    if control.mean == 0:
        raise ValueError("control mean == 0, a lift is not defined.")
    share_c, share_t = control.variance / control.n, treatment.variance / treatment.n
    return sqrt(share_t / control.mean**2 + treatment.mean**2 * share_c / control.mean**4)


def log_lift(control: Moments, treatment: Moments, alpha: float) -> tuple[float, float] | None:
    """Return the lift's interval on the logarithm's scale, Welch's df on the squared coefficients of variation.

    None unless both means are positive.
    """
    if control.mean <= 0 or treatment.mean <= 0:
        return None
    scaled = (control.scaled(1 / control.mean), treatment.scaled(1 / treatment.mean))
    made = welch(*scaled)
    reach = quantile(made.df, 1 - alpha / 2) * made.error
    middle = log(treatment.mean / control.mean)
    return exp(middle - reach) - 1, exp(middle + reach) - 1


Contrast = tuple[float, float, float]
"""The variance of t - r·c as a polynomial of r: of two independent estimates (vt, 0, vc)."""


def fieller(
    control: float, treatment: float, variance: Contrast, quantile: float
) -> tuple[float, float] | None:
    """Return the interval of the relative lift t / c - 1, or None where it is unbounded.

    `variance` is that of t - r·c, `quantile` that of the level. The ratios r for which t - r·c is not significant lie
    between the roots of a quadratic, unbounded where the control itself may be 0. A lift is taken relative to
    the size of the control, so that its sign is that of the difference; the ends are in order. Source: E. C.
    Fieller, "Some problems in interval estimation", Journal of the Royal Statistical Society B 16 (1954), 175-185.
    """
    c, t = control, treatment
    constant, linear, square = variance
    squared = quantile * quantile
    a = c * c - squared * square
    if a <= 0:
        return None
    b = c * t + squared * linear / 2
    # b² - a·(t² - q²·constant), without the difference of large numbers where both estimates are sure.
    under = squared * (
        c * c * constant
        + t * t * square
        + c * t * linear
        + squared * (linear * linear / 4 - constant * square)
    )
    root = sqrt(max(0.0, under))
    ends = ((b - root) / a - 1, (b + root) / a - 1)
    return ends if c > 0 else (-ends[1], -ends[0])
