"""Tests and intervals of the difference of two shares.  PYTEST_DONT_REWRITE

Everywhere `control` and `treatment` are (successes, trials), and the difference is treatment less control.
"""

from __future__ import annotations

from math import acos, cos, exp, hypot, inf, log, pi, sqrt

from pytest_bugsle.stats.binomial import check_inside, outer_root
from pytest_bugsle.stats.intervals import wilson

Counts = tuple[int, int]
"""Successes and trials."""

_LEAST_RATIO = 1e-80
"""Nearer to 0 no ratio of shares is looked for."""


def normal_quantile(share: float) -> float:
    """Return the value that a standard normal variable stays below with this chance."""
    from scipy import special

    return float(special.ndtri(share))


def normal_tail(z: float) -> float:
    """Return the chance that a standard normal variable exceeds z; right far out, where 1 - cdf gives 0."""
    from scipy import special

    return float(special.ndtr(-z))


def check(control: Counts, treatment: Counts) -> None:
    """Raise ValueError, naming the value, unless both arms have trials and no more successes than these."""
    for arm, (successes, trials) in (("control", control), ("treatment", treatment)):
        if trials < 1:
            raise ValueError(f"{arm} trials == {trials}, must be >= 1.")
        if not 0 <= successes <= trials:
            raise ValueError(f"{arm} successes == {successes}, must be between 0 and {trials}.")


def difference(control: Counts, treatment: Counts) -> float:
    """Return the share of the treatment less that of the control."""
    return treatment[0] / treatment[1] - control[0] / control[1]


def pooled_z(control: Counts, treatment: Counts) -> float:
    """Return the z statistic of equal shares: d / sqrt(p (1 - p) (1/nc + 1/nt)), p of both arms together.

    Its square is Pearson's chi-square of the 2 × 2 table. Where all trials or none succeeded there is no
    difference and no variance: 0.
    """
    check(control, treatment)
    share = (control[0] + treatment[0]) / (control[1] + treatment[1])
    variance = share * (1 - share) * (1 / control[1] + 1 / treatment[1])
    return difference(control, treatment) / sqrt(variance) if variance > 0 else 0.0


def least_expected(control: Counts, treatment: Counts) -> float:
    """Return the smallest cell of the 2 × 2 table that equal shares would let expect."""
    successes, trials = control[0] + treatment[0], control[1] + treatment[1]
    return min(successes, trials - successes) * min(control[1], treatment[1]) / trials


def unpooled_error(control: Counts, treatment: Counts) -> float:
    """Return the standard error of the difference, each arm by its own share."""
    variance = 0.0
    for successes, trials in (control, treatment):
        share = successes / trials
        variance += share * (1 - share) / trials
    return sqrt(variance)


def wald(control: Counts, treatment: Counts, alpha: float) -> tuple[float, float]:
    """Return d ∓ z·se with each arm's own variance. It covers too little for few trials and rare successes."""
    check(control, treatment)
    reach = normal_quantile(1 - alpha / 2) * unpooled_error(control, treatment)
    middle = difference(control, treatment)
    return middle - reach, middle + reach


def agresti_caffo(control: Counts, treatment: Counts, alpha: float) -> tuple[float, float]:
    """Return Wald's interval after one success and one failure were added to each arm.

    Source: A. Agresti and B. Caffo, "Simple and effective confidence intervals for proportions and
    differences of proportions result from adding two successes and two failures", The American
    Statistician 54 (2000), 280-288.
    """
    check(control, treatment)
    return wald((control[0] + 1, control[1] + 2), (treatment[0] + 1, treatment[1] + 2), alpha)


def newcombe(control: Counts, treatment: Counts, alpha: float) -> tuple[float, float]:
    """Return the hybrid score interval: each arm's Wilson limits, combined.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions:
    comparison of eleven methods", Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    check(control, treatment)
    (low_c, high_c), (low_t, high_t) = (wilson(*arm, level=1 - alpha) for arm in (control, treatment))
    share_c, share_t = control[0] / control[1], treatment[0] / treatment[1]
    middle = share_t - share_c
    return (
        max(-1.0, middle - hypot(share_t - low_t, high_c - share_c)),
        min(1.0, middle + hypot(high_t - share_t, share_c - low_c)),
    )


def constrained(control: Counts, treatment: Counts, margin: float) -> tuple[float, float]:
    """Return the likeliest shares of control and treatment among those that differ by exactly `margin`.

    The root of the cubic of O. S. Miettinen and M. Nurminen, "Comparative analysis of two rates",
    Statistics in Medicine 4 (1985), 213-226, appendix 1; trials may be fractions, for planning.
    """
    (x_c, n_c), (x_t, n_t) = control, treatment
    n, x = n_c + n_t, x_c + x_t
    l2 = (n_t + 2 * n_c) * margin - n - x
    l1 = (n_c * margin - n - 2 * x_c) * margin + x
    l0 = x_c * margin * (1 - margin)
    shift = l2 / (3 * n)
    q = shift**3 - l1 * l2 / (6 * n * n) + l0 / (2 * n)
    p = sqrt(max(0.0, shift * shift - l1 / (3 * n)))
    p = p if q > 0 else -p
    # Rounding may carry the cosine just over 1.
    angle = (pi + acos(max(-1.0, min(1.0, q / p**3)) if p**3 else 0.0)) / 3
    least, most = max(0.0, -margin), min(1.0, 1 - margin)
    share = max(least, min(most, 2 * p * cos(angle) - shift))
    return share, min(1.0, max(0.0, share + margin))


def score_z(control: Counts, treatment: Counts, margin: float) -> float:
    """Return the score statistic of a difference of `margin`; at 0 it is the pooled z.

    Sources: R. W. Mee, "Confidence bounds for the difference between two probabilities", Biometrics 40
    (1984), 1175-1176; C. P. Farrington and G. Manning, "Test statistics and sample size formulae for
    comparative binomial trials with null hypothesis of non-zero risk difference or non-unity relative
    risk", Statistics in Medicine 9 (1990), 1447-1454.
    """
    share_c, share_t = constrained(control, treatment, margin)
    variance = share_c * (1 - share_c) / control[1] + share_t * (1 - share_t) / treatment[1]
    off = difference(control, treatment) - margin
    if variance > 0:
        return off / sqrt(variance)
    return 0.0 if off == 0 else inf if off > 0 else -inf


def score(control: Counts, treatment: Counts, alpha: float) -> tuple[float, float]:
    """Return the differences that the score test does not reject at `alpha`, two-sided (Mee).

    It leaves 0 out where the pooled z test rejects equal shares, and nowhere else. Both ends err outwards.
    """
    check(control, treatment)
    check_inside("alpha", alpha)
    z = normal_quantile(1 - alpha / 2)
    middle = difference(control, treatment)
    low = outer_root(lambda margin: score_z(control, treatment, margin) > z, -1.0, middle)
    high = outer_root(lambda margin: score_z(control, treatment, margin) < -z, 1.0, middle)
    return low, high


def farrington_manning(control: Counts, treatment: Counts, margin: float) -> float:
    """Return the one-sided p-value of non-inferiority, H1: the difference exceeds -margin."""
    check(control, treatment)
    return normal_tail(score_z(control, treatment, -margin))


def katz(control: Counts, treatment: Counts, alpha: float) -> tuple[float, float] | None:
    """Return the interval of the relative lift pt / pc - 1 on the logarithm's scale; None without successes.

    Source: D. Katz, J. Baptista, S. P. Azen and M. C. Pike, "Obtaining confidence intervals for the risk
    ratio in cohort studies", Biometrics 34 (1978), 469-474. scipy.stats.contingency.relative_risk has it,
    and takes more than a second to be imported.
    """
    check(control, treatment)
    if not control[0] or not treatment[0]:
        return None
    middle, error = log_ratio(control, treatment)
    reach = normal_quantile(1 - alpha / 2) * error
    return exp(middle - reach) - 1, exp(middle + reach) - 1


def ratio_score_z(control: Counts, treatment: Counts, ratio: float) -> float:
    """Return the score statistic of pt / pc = `ratio` (over 0); at 1 it is the pooled z.

    The likeliest shares at that ratio are the root of a quadratic. Source: O. S. Miettinen and M. Nurminen,
    "Comparative analysis of two rates", Statistics in Medicine 4 (1985), 213-226, without their factor n / (n - 1);
    its square is the chi-square of P. A. R. Koopman, "Confidence intervals for the ratio of two binomial
    proportions", Biometrics 40 (1984), 513-517.
    """
    (x_c, n_c), (x_t, n_t) = control, treatment
    a, b, c = (n_c + n_t) * ratio, n_t * ratio + x_t + n_c + x_c * ratio, x_c + x_t
    share_c = min(1.0, 1 / ratio, 2 * c / (b + sqrt(max(0.0, b * b - 4 * a * c))) if c else 0.0)
    share_t = min(1.0, ratio * share_c)
    variance = share_t * (1 - share_t) / n_t + ratio * ratio * share_c * (1 - share_c) / n_c
    off = x_t / n_t - ratio * x_c / n_c
    if variance > 0:
        return off / sqrt(variance)
    return 0.0 if off == 0 else inf if off > 0 else -inf


def koopman(control: Counts, treatment: Counts, alpha: float) -> tuple[float, float] | None:
    """Return the relative lifts pt / pc - 1 that the score test does not reject; None without successes in control.

    It holds where Katz's interval has no width: in an arm in which all trials succeed. Both ends err outwards.
    """
    check(control, treatment)
    check_inside("alpha", alpha)
    if not control[0]:
        return None
    z = normal_quantile(1 - alpha / 2)
    low = _least_ratio(control, treatment, z) if treatment[0] else 0.0
    return low - 1, 1 / _least_ratio(treatment, control, z) - 1


def _least_ratio(control: Counts, treatment: Counts, z: float) -> float:
    """Return the least ratio pt / pc that the score test does not reject; the greatest is that of the arms swapped."""
    # By ratio / (1 + ratio), which has two ends.
    middle = treatment[0] * control[1] / (treatment[0] * control[1] + control[0] * treatment[1])

    def rejected(place: float) -> bool:
        return ratio_score_z(control, treatment, place / (1 - place)) > z

    low = outer_root(rejected, _LEAST_RATIO, middle)
    return low / (1 - low)


def log_ratio(control: Counts, treatment: Counts) -> tuple[float, float]:
    """Return the logarithm of pt / pc and its standard error (Katz); both arms need successes."""
    ratio = treatment[0] * control[1] / (treatment[1] * control[0])
    squared = 1 / treatment[0] - 1 / treatment[1] + 1 / control[0] - 1 / control[1]
    return log(ratio), sqrt(max(0.0, squared))
