"""Quantiles, ranks and resampled means: what two arms say where a mean says too little.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

from pytest_bugsle.experiment.design import Design, means_needed
from pytest_bugsle.experiment.evidence import Evidence, Interval
from pytest_bugsle.experiment.means import SAME, ConstantArms
from pytest_bugsle.experiment.measures import Measure
from pytest_bugsle.stats import mann_whitney, quantiles, resampling
from pytest_bugsle.stats.proportions import normal_quantile


def evidence_of_values(measure: Measure, control: Any, treatment: Any) -> Evidence:
    """Return what two columns of finite numbers say; ValueError for fewer than two values in an arm."""
    if measure.quantile is not None:
        arms = [
            quantiles.of_sorted(sorted(map(float, arm)), measure.quantile) for arm in (control, treatment)
        ]
        return of_quantiles(arms[0], arms[1], measure.quantile)
    return of_ranks(control, treatment) if measure.method == "rank" else of_resamples(control, treatment)


def quantile_name(q: float) -> str:
    """Name a quantile: the median, or the 0.95 quantile."""
    return "median" if q == 0.5 else f"{q:g} quantile"


def of_quantiles(
    control: quantiles.Order, treatment: quantiles.Order, q: float, *, clustered: bool = False
) -> Evidence:
    """Return what the order statistics of two arms say of the difference of a quantile."""

    def at(z: float) -> Interval | None:
        return quantiles.difference_limits(control, treatment, z)

    def lift_at(z: float) -> Interval | None:
        return quantiles.lift_limits(control, treatment, z)

    def over(design: Design) -> float | None:
        limits: Callable[[float], Interval | None] = lift_at if design.is_relative else at
        if limits(0.0) is None:
            return None
        # With sign: an improvement of less than -least downwards is an effect below least.
        above = quantiles.tail_over(limits, design.sign * design.least)
        return above if design.sign > 0 else 1 - above

    deviations = control.deviation, treatment.deviation

    def needed(design: Design) -> tuple[float, float] | None:
        baseline = control.value if design.baseline is None else design.baseline
        if design.deviation is not None:
            return means_needed(design, baseline, (design.deviation, design.deviation))
        if deviations[0] is None or deviations[1] is None:
            return None
        return means_needed(design, baseline, (deviations[0], deviations[1]))

    def detectable(design: Design) -> float | None:
        if deviations[0] is None or deviations[1] is None:
            return None
        squared = deviations[0] ** 2 / control.units + deviations[1] ** 2 / treatment.units
        return _reach(design) * sqrt(squared) or None

    above = quantiles.tail_over(at, 0.0)
    test_p = min(1.0, 2 * min(above, 1 - above)) if at(0.0) is not None else 1.0
    notes = []
    if at(1.96) is None:
        least = min(control.units, treatment.units)
        notes.append(
            f"{least:,} units leave too few values beyond the {quantile_name(q)} for an interval of 95 %: some "
            f"{_least_units(q):,} independent ones do"
        )
    return Evidence(
        kind="quantile",
        control=control.value,
        treatment=treatment.value,
        n=(control.units, treatment.units),
        interval=lambda alpha: at(normal_quantile(1 - alpha / 2)),
        lift_interval=lambda alpha: None if control.value == 0 else lift_at(normal_quantile(1 - alpha / 2)),
        z=-normal_quantile(above) if 0 < above < 1 else 0.0,
        test_p=test_p,
        test="the interval that leaves 0 out",
        method="order statistics" + (" with the variance between units" if clustered else ""),
        over=over,
        needed=needed,
        detectable=detectable,
        notes=tuple(notes),
        label=quantile_name(q),
    )


def _least_units(q: float) -> int:
    n = 2
    while len(quantiles.places(n, q, quantiles.plain_error(n, q))) <= 98:  # up to 1.96 standard errors
        n += max(1, n // 50)
    return n


def _reach(design: Design) -> float:
    return normal_quantile(1 - design.alpha / design.sides) + normal_quantile(design.power)


def of_ranks(control: Any, treatment: Any) -> Evidence:
    """Return what Mann and Whitney's test says, and Hodges and Lehmann's shift."""
    ranked = mann_whitney.Ranked.of(control, treatment)
    n = (len(ranked.control), len(ranked.treatment))

    def over(design: Design) -> float:
        if design.sign > 0:
            return ranked.p_above(design.least)
        return mann_whitney.Ranked(ranked.treatment, ranked.control).p_above(design.least)

    def needed(design: Design) -> tuple[float, float] | None:
        planned = design.margin if design.margin is not None else design.mde_difference
        if planned is None:
            return None
        power = design.power if design.margin is None else (1 + design.power) / 2
        found = mann_whitney.size(
            ranked,
            planned - design.least,
            alpha=design.alpha,
            power=power,
            ratio=design.ratio,
            sides=design.sides,
        )
        return None if found is None else (found, found * design.ratio)

    notes = [
        f"a treatment value exceeds one of control {100 * ranked.superiority():.1f} times in 100, ties split"
    ]
    if ranked.tied() > 0.1:
        notes.append(
            f"{100 * ranked.tied():.0f} % of all pairs are equal: a shift says little of such values; judge the share "
            "that is not 0, and the mean, each for itself"
        )
    middles = [quantiles.of_sorted(arm, 0.5).value for arm in (ranked.control, ranked.treatment)]
    return Evidence(
        kind="shift",
        control=middles[0],
        treatment=middles[1],
        n=n,
        interval=ranked.interval,
        lift_interval=lambda alpha: None,
        z=ranked.statistic(),
        test_p=ranked.p_value(),
        test="Mann-Whitney",
        method="Hodges-Lehmann shift",
        over=over,
        needed=needed,
        detectable=lambda design: None,
        exact=True,
        notes=tuple(notes),
        estimate=ranked.shift(),
        label="median",
    )


def of_resamples(control: Any, treatment: Any) -> Evidence:
    """Return what the bootstrap of Welch's t says; ConstantArms for two constants that differ."""
    draws = resampling.draws_of(control, treatment)
    found, lifted = resampling.difference(*draws), resampling.lift(*draws)
    n = (len(control), len(treatment))
    constant = found.error == 0
    if constant and found.value != 0:
        raise ConstantArms(
            f"both arms are constant, {draws[0].mean:g} and {draws[1].mean:g}: no test can tell chance from effect"
        )
    deviations = sqrt(draws[0].squared * n[0]), sqrt(draws[1].squared * n[1])

    def over(design: Design) -> float | None:
        chosen = lifted if design.is_relative else found
        if chosen is None or constant:
            return None
        least = design.sign * design.least
        return chosen.p_above(least) if design.sign > 0 else chosen.p_below(least)

    def needed(design: Design) -> tuple[float, float] | None:
        baseline = draws[0].mean if design.baseline is None else design.baseline
        one = design.deviation
        return means_needed(design, baseline, deviations if one is None else (one, one))

    more = [
        f"{n[place]:,} in {arm}"
        for place, arm in enumerate(("control", "treatment"))
        if n[place] > resampling.BAGS
    ]
    notes = [f"{resampling.RESAMPLES:,} resamples, the same each time: their seed is made of the data"]
    if more:
        notes.append(
            f"resampled are {resampling.BAGS:,} bags of values an arm, as there are {' and '.join(more)}"
        )
    return Evidence(
        kind="mean",
        control=draws[0].mean,
        treatment=draws[1].mean,
        n=n,
        interval=lambda alpha: None if constant else found.interval(alpha),
        lift_interval=lambda alpha: None if lifted is None or constant else lifted.interval(alpha),
        z=0.0 if constant else found.value / found.error,
        test_p=1.0 if constant else min(1.0, 2 * min(found.p_above(), found.p_below())),
        test="bootstrap t",
        method="bootstrap t, no narrower than Student's",
        over=over,
        needed=needed,
        detectable=lambda design: _reach(design) * found.error or None,
        notes=tuple(notes),
        without=SAME if constant else "the resamples leave an end of the interval open",
    )
