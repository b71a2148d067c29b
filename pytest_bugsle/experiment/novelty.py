"""Does the effect fade with the days since the first exposure?  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_bugsle.experiment.design import Design
from pytest_bugsle.results import ExperimentCheck
from pytest_bugsle.stats.means import welch
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.trends import weighted_slope

LEAST_DAYS = 4
ALPHA = 0.01


def fading(by_day: Mapping[int, tuple[Moments, Moments]], design: Design, level: float) -> ExperimentCheck:
    """Check that the effect after the first days still clears the least effect, where it falls day by day.

    A slope alone is no reason to worry: what counts is what is left. The days after the first third are the settled
    window. Source: the weighted line through the daily effects; R. Kohavi, D. Tang and Y. Xu, "Trustworthy online
    controlled experiments", 2020, chapter 3.
    """
    days = sorted(day for day, (c, t) in by_day.items() if c.n > 1 and t.n > 1)
    daily = [welch(*by_day[day]) for day in days]
    slope = weighted_slope(days, [found.value for found in daily], [found.error for found in daily])
    if len(days) < LEAST_DAYS or slope is None:
        return ExperimentCheck(
            name="effect-fades", outcome="pass", message=f"{len(days)} days say nothing of a trend"
        )
    settled = days[len(days) // 3 :]
    control, treatment = by_day[settled[0]]
    for day in settled[1:]:
        control, treatment = control.merge(by_day[day][0]), treatment.merge(by_day[day][1])
    left = welch(control, treatment)
    low, high = left.interval(level)
    low = low if design.sign > 0 else -high
    text = (
        f"the effect changes by {slope.value:+.3g} a day (p = {slope.p_value:.2g}); from day {settled[0]} on it is "
        f"{left.value:+.4g}"
    )
    margin = design.sign * design.margin_difference(control.mean)
    fades = slope.p_value < ALPHA and slope.value * design.sign < 0 and low <= margin
    return ExperimentCheck(
        name="effect-fades",
        rule="BUG308" if fades else None,
        outcome="undecided" if fades else "pass",
        message=text + (", which no longer clears the least effect" if fades else ""),
        p_value=slope.p_value,
    )
