"""How many units a comparison of two arms needs, what it can detect, and with what power.  PYTEST_DONT_REWRITE

`ratio` is treatment units per control unit, `sides` is 1 or 2, and a size is that of the control arm,
not rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from math import asin, isnan, sqrt

from pytest_bugsle.stats.binomial import check_inside, check_rate
from pytest_bugsle.stats.proportions import constrained, normal_quantile, normal_tail


def _check(alpha: float, power: float, ratio: float, sides: int) -> None:
    check_inside("alpha", alpha)
    check_inside("power", power)
    if not ratio > 0:
        raise ValueError(f"ratio == {ratio}, must be > 0.")
    if sides not in (1, 2):
        raise ValueError(f"sides == {sides}, must be 1 or 2.")


def _shares_errors(control: float, treatment: float, margin: float, ratio: float) -> tuple[float, float]:
    """Return the standard errors for one control unit where the margin is true, and where the shares are."""
    null_c, null_t = constrained((control, 1.0), (treatment * ratio, ratio), margin)  # type: ignore[arg-type]  # shares of a unit
    null = null_c * (1 - null_c) + null_t * (1 - null_t) / ratio
    true = control * (1 - control) + treatment * (1 - treatment) / ratio
    return sqrt(null), sqrt(true)


def shares_size(
    control: float,
    treatment: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    margin: float = 0.0,
    ratio: float = 1.0,
    sides: int = 2,
) -> float:
    """Return the units of control that show a difference of shares of more than `margin`.

    (z_alpha · null error + z_power · true error)² / (difference - margin)². At a margin of 0 and two sides that is
    Fleiss' formula and R's power.prop.test. Sources: J. L. Fleiss, "Statistical methods for rates and
    proportions", 2nd edition, 1981, section 3.2; for a margin Farrington and Manning (1990), as in proportions.
    """
    _check(alpha, power, ratio, sides)
    check_rate("control", control)
    check_rate("treatment", treatment)
    off = treatment - control - margin
    if off == 0:
        raise ValueError("the difference equals the margin: no size shows it.")
    null, true = _shares_errors(control, treatment, margin, ratio)
    z = normal_quantile(1 - alpha / sides) * null + normal_quantile(power) * true
    return (z / off) ** 2


def shares_power(
    control: float,
    treatment: float,
    size: float,
    *,
    alpha: float = 0.05,
    margin: float = 0.0,
    ratio: float = 1.0,
    sides: int = 2,
) -> float:
    """Return the chance that so many units of control show a difference; with two sides, on either of them."""
    _check(alpha, 0.5, ratio, sides)
    null, true = _shares_errors(control, treatment, margin, ratio)
    off = abs(treatment - control - margin) * sqrt(size)
    if true == 0:
        return 1.0 if off > normal_quantile(1 - alpha / sides) * null else 0.0
    z = normal_quantile(1 - alpha / sides) * null
    return normal_tail((z - off) / true) + (normal_tail((z + off) / true) if sides == 2 else 0.0)


def shares_detectable(
    control: float,
    size: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
    sides: int = 2,
) -> float | None:
    """Return the least rise over the control's share that so many units show; None where none up to 1 is."""
    _check(alpha, power, ratio, sides)

    def short(rise: float) -> float:
        found = shares_power(control, control + rise, size, alpha=alpha, ratio=ratio, sides=sides)
        return found - power

    room = 1 - control
    if room <= 0 or short(room) < 0:
        return None
    return _root(short, room * 1e-12, room)


def effect_h(control: float, treatment: float) -> float:
    """Return Cohen's h, 2·asin(sqrt(pt)) - 2·asin(sqrt(pc)): the effect whose variance no share changes.

    Source: J. Cohen, "Statistical power analysis for the behavioral sciences", 2nd edition, 1988, chapter 6.
    """
    return 2 * asin(sqrt(treatment)) - 2 * asin(sqrt(control))


def _arcsine_power(h: float, size: float, alpha: float, ratio: float) -> float:
    """Return the power for an effect h, both tails counted."""
    z, off = normal_quantile(1 - alpha / 2), abs(h) * sqrt(size * ratio / (1 + ratio))
    return normal_tail(z - off) + normal_tail(z + off)


def arcsine_size(h: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0) -> float:
    """Return the units of control that show an effect h, two-sided."""
    _check(alpha, power, ratio, 2)
    return _root(lambda size: _arcsine_power(h, size, alpha, ratio) - power, 1e-6, 1e15)


def arcsine_detectable(size: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0) -> float:
    """Return the least effect h that so many units of control show, two-sided."""
    _check(alpha, power, ratio, 2)
    return _root(lambda h: _arcsine_power(h, size, alpha, ratio) - power, 1e-12, 100.0)


def means_size(
    difference: float,
    deviation_control: float,
    deviation_treatment: float | None = None,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
    sides: int = 2,
) -> float:
    """Return the units of control that show a difference of means: (za + zb)² (sc² + st²/ratio) / difference².

    By the normal distribution, as planned sizes are large. `difference` is what is left over the margin.
    Source: S.-C. Chow, J. Shao and H. Wang, "Sample size calculations in clinical research", 2008, section 3.2.
    """
    _check(alpha, power, ratio, sides)
    if difference == 0:
        raise ValueError("difference == 0: no size shows it.")
    other = deviation_control if deviation_treatment is None else deviation_treatment
    z = normal_quantile(1 - alpha / sides) + normal_quantile(power)
    return z * z * ((deviation_control / difference) ** 2 + (other / difference) ** 2 / ratio)


def means_power(
    difference: float,
    deviation: float,
    size: float,
    *,
    alpha: float = 0.05,
    ratio: float = 1.0,
    sides: int = 2,
) -> float:
    """Return the chance that so many units of control show a difference of means; one deviation for both arms."""
    _check(alpha, 0.5, ratio, sides)
    z = normal_quantile(1 - alpha / sides)
    off = abs(difference) / (deviation * sqrt((1 + 1 / ratio) / size))
    return normal_tail(z - off) + (normal_tail(z + off) if sides == 2 else 0.0)


def t_test_size(d: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0) -> float:
    """Return the units of control that show a standardised difference d, by the noncentral t, both tails."""
    _check(alpha, power, ratio, 2)
    from scipy import special

    def short(size: float) -> float:
        df = size * (1 + ratio) - 2
        off = abs(d) * sqrt(size * ratio / (1 + ratio))
        limit = special.stdtrit(df, 1 - alpha / 2)
        lower = float(special.nctdtr(df, off, -limit))
        # Far out it is not a number, where it would be less than 1e-100.
        return float(1 - special.nctdtr(df, off, limit)) + (0.0 if isnan(lower) else lower) - power

    plain = means_size(d, 1.0, alpha=alpha, power=power, ratio=ratio)
    return _root(short, 1 + 1 / (1 + ratio), 1.5 * plain + 10)


def design_effect(cluster_size: float, correlation: float) -> float:
    """Return by how much clusters raise the size that is needed: 1 + (m - 1)·icc.

    Source: L. Kish, "Survey sampling", 1965, section 5.4.
    """
    return 1 + (cluster_size - 1) * correlation


def _root(short: Callable[[float], float], low: float, high: float) -> float:
    from scipy import optimize

    if short(low) >= 0:
        return low
    return float(optimize.brentq(short, low, high, xtol=1e-13, rtol=1e-13, maxiter=500))
