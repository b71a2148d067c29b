"""CUPED: what units did before the experiment takes variance out of what they do in it.  PYTEST_DONT_REWRITE

Source: A. Deng, Y. Xu, R. Kohavi and T. Walker, "Improving the sensitivity of online controlled experiments by
utilizing pre-experiment data", WSDM 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from pytest_bugsle.stats.means import Contrast
from pytest_bugsle.stats.moments import Moments, PairedMoments


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The moments of y - theta · (x - mean of x) in both arms, with theta and the share of variance gone."""

    theta: float
    control: Moments
    treatment: Moments
    reduction: float
    contrast: Contrast
    """The variance of treatment - r · control: both hold the mean of x over all units, so they are not independent."""


def reduction(both: PairedMoments) -> float:
    """Return the share of y's variance that the covariate takes out: the squared correlation."""
    if both.x.squares <= 0 or both.y.squares <= 0:
        return 0.0
    return min(1.0, both.products**2 / (both.x.squares * both.y.squares))


def adjust(control: PairedMoments, treatment: PairedMoments) -> Adjusted:
    """Return both arms adjusted by one theta, that of all units together.

    A theta for each arm would take some of the effect out with the covariate. The centre is the mean of all, so
    that the level of the metric stays, and with it the relative lift. A constant covariate has a theta of 0.
    """
    both = control.merge(treatment)
    theta = both.products / both.x.squares if both.x.squares > 0 else 0.0
    centre = both.x.mean
    arms = control.less(theta, centre), treatment.less(theta, centre)
    return Adjusted(theta, *arms, reduction(both), _contrast(control, treatment, theta))


def _contrast(control: PairedMoments, treatment: PairedMoments, theta: float) -> Contrast:
    """Return the variance of t - r·c by the means of the arms, which are independent.

    With the share w of units that are in the treatment, t - r·c = yt - r·yc - theta·(1 - w + r·w)·(xt - xc).
    """
    n_c, n_t = control.y.n, treatment.y.n
    if min(n_c, n_t) < 2:
        return 0.0, 0.0, 0.0
    g0, g1 = theta * n_c / (n_c + n_t), theta * n_t / (n_c + n_t)
    x = control.x.variance / n_c + treatment.x.variance / n_t
    xy_c, xy_t = control.covariance / n_c, treatment.covariance / n_t
    return (
        treatment.y.variance / n_t - 2 * g0 * xy_t + g0 * g0 * x,
        2 * (g0 * g1 * x - g1 * xy_t - g0 * xy_c),
        control.y.variance / n_c - 2 * g1 * xy_c + g1 * g1 * x,
    )


def ancova(
    control_y: Sequence[float],
    control_x: Sequence[float],
    treatment_y: Sequence[float],
    treatment_x: Sequence[float],
) -> tuple[float, float]:
    """Return the adjusted difference of a regression on arm and covariate, with its HC2 error.

    A cross-check of `adjust` on small tables. Source: J. G. MacKinnon and H. White, "Some
    heteroskedasticity-consistent covariance matrix estimators", Journal of Econometrics 29 (1985), 305-325.
    """
    import numpy as np

    y = np.concatenate([control_y, treatment_y]).astype(float)
    x = np.concatenate([control_x, treatment_x]).astype(float)
    arm = np.concatenate([np.zeros(len(control_y)), np.ones(len(treatment_y))])
    rows = np.column_stack([np.ones_like(y), arm, x - x.mean()])
    inverse = np.linalg.inv(rows.T @ rows)
    found = inverse @ rows.T @ y
    leverage = np.einsum("ij,jk,ik->i", rows, inverse, rows)
    weights = (y - rows @ found) ** 2 / (1 - leverage)
    spread = inverse @ (rows.T * weights) @ rows @ inverse
    return float(found[1]), sqrt(float(spread[1, 1]))


def note(adjusted: Adjusted) -> str:
    """Say what the covariate did."""
    if adjusted.theta == 0:
        return "CUPED changes nothing: the covariate is constant, or says nothing of the metric"
    return f"CUPED takes out {100 * adjusted.reduction:.1f} % of the variance (theta {adjusted.theta:.4g} of all units)"
