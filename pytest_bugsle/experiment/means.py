"""Means, and ratios of sums: what Welch's test says of two arms.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from math import sqrt
from typing import Literal

from pytest_bugsle.experiment.design import Design, means_needed
from pytest_bugsle.experiment.evidence import Evidence, Interval
from pytest_bugsle.stats import means
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.proportions import normal_quantile

SAME = "all values of both arms are the same: that they never differ is more than they can show"


class ConstantArms(ValueError):
    """Both arms are constant, at different values: no chance is in them, so no test can be of them."""


def evidence_of(
    control: Moments,
    treatment: Moments,
    *,
    kind: Literal["mean", "ratio"] = "mean",
    method: str = "Welch",
    contrast: means.Contrast | None = None,
    notes: tuple[str, ...] = (),
) -> Evidence:
    """Return what two means say: Welch's interval and test, Fieller's interval of the lift.

    `contrast` is the variance of treatment - r·control where
    the two are not independent. ValueError for fewer than two units in an arm, ConstantArms for two constants that differ.
    """
    found = means.welch(control, treatment)
    independent = (treatment.variance / treatment.n, 0.0, control.variance / control.n)
    variance = independent if contrast is None else contrast
    said = list(notes)
    if found.error == 0 and found.value != 0:
        raise ConstantArms(
            f"both arms are constant, {control.mean:g} and {treatment.mean:g}: no test can tell chance from effect"
        )
    if found.error > 0 and 0 in (control.variance, treatment.variance):
        said.append("one arm is constant")

    def interval(alpha: float) -> Interval | None:
        return found.interval(alpha) if found.error > 0 else None

    def lift_interval(alpha: float) -> Interval | None:
        if control.mean == 0 or found.error == 0:
            return None
        return means.fieller(control.mean, treatment.mean, variance, means.quantile(found.df, 1 - alpha / 2))

    def over(design: Design) -> float | None:
        sign, least = design.sign, design.least
        if not design.is_relative:
            if found.error == 0:
                return None
            return found.p_above(least) if sign > 0 else found.p_below(-least)
        # The lift is over the least where t - (1 + least)·c is over 0: the contrast that Fieller's interval inverts.
        factor = 1 + sign * least * (1 if control.mean > 0 else -1)
        error = sqrt(max(0.0, variance[0] + variance[1] * factor + variance[2] * factor * factor))
        # No look has a higher level: what passes by the interval has a p-value.
        if lift_interval(2 * design.alpha / design.sides) is None:
            return None
        if error == 0:
            return 0.0 if sign * (treatment.mean - factor * control.mean) > 0 else 1.0
        return means.Difference(sign * (treatment.mean - factor * control.mean), error, found.df).p_above()

    def needed(design: Design) -> tuple[float, float] | None:
        baseline = control.mean if design.baseline is None else design.baseline
        one = design.deviation
        return means_needed(
            design, baseline, (control.deviation, treatment.deviation) if one is None else (one, one)
        )

    def detectable(design: Design) -> float | None:
        z = normal_quantile(1 - design.alpha / design.sides) + normal_quantile(design.power)
        return z * sqrt(control.variance / control.n + treatment.variance / treatment.n) or None

    return Evidence(
        kind=kind,
        control=control.mean,
        treatment=treatment.mean,
        n=(control.n, treatment.n),
        interval=interval,
        lift_interval=lift_interval,
        z=found.statistic() if found.error > 0 else 0.0,
        test_p=found.p_value() if found.error > 0 else 1.0,
        test="Welch's t",
        method=f"{method}; lift by Fieller",
        over=over,
        needed=needed,
        detectable=detectable,
        notes=tuple(said),
        without=SAME,
    )
