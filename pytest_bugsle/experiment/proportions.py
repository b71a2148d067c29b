"""Shares: successes of trials in two arms.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from math import log1p
from typing import Any, Literal

from pytest_bugsle.experiment.design import Design, shares_needed
from pytest_bugsle.experiment.evidence import Evidence, Interval
from pytest_bugsle.stats import proportions, sizes
from pytest_bugsle.stats.binomial import fisher_two_sided
from pytest_bugsle.stats.moments import LARGEST
from pytest_bugsle.stats.proportions import Counts

SMALL = 5
"""Below this expected cell the normal distribution is no approximation: the counts are counted out."""


def whole_counts(arm: str, counts: Any) -> Counts:
    """Return successes and trials as plain integers; ValueError names the arm and the value."""
    from numbers import Integral

    if not isinstance(counts, tuple | list) or len(counts) != 2:
        raise ValueError(f"{arm} is {counts!r}, must be (successes, trials).")
    for name, value in zip(("successes", "trials"), counts, strict=True):
        # A numpy bool is no Integral.
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{arm} {name} is {value!r}, must be a whole number.")  # noqa: TRY004  # it is data
    made = (int(counts[0]), int(counts[1]))
    if made[1] < 2:
        raise ValueError(f"{arm} trials is {made[1]}, must be at least 2.")
    if made[1] > LARGEST:
        raise ValueError(f"{arm} trials is over {LARGEST:.0g}, which no experiment has.")
    if not 0 <= made[0] <= made[1]:
        raise ValueError(f"{arm} successes is {made[0]}, must be from 0 to its trials, {made[1]}.")
    return made


def exact_p(
    control: Counts, treatment: Counts, method: Literal["fisher", "barnard", "boschloo"] = "fisher"
) -> float:
    """Return the exact two-sided p-value of equal shares.

    Fisher's by our own sum: scipy's takes 8 s for a billion trials, and says 0 for 1 of 3 against the half of 2^60.
    """
    if method == "fisher":
        return fisher_two_sided(*treatment, *control)
    from scipy import stats

    table = [[treatment[0], control[0]], [treatment[1] - treatment[0], control[1] - control[0]]]
    made = stats.barnard_exact(table) if method == "barnard" else stats.boschloo_exact(table)
    return float(made.pvalue)


def evidence_of(control: Counts, treatment: Counts) -> Evidence:
    """Return what the counts say: score interval and pooled z, Fisher's test where a cell is small."""
    z = proportions.pooled_z(control, treatment)
    small = proportions.least_expected(control, treatment) < SMALL
    notes = []
    if small:
        notes.append(
            f"an expected cell is under {SMALL}: the p-value is Fisher's exact one, and a pass needs both it and "
            "the interval; the lift's interval is by the score test"
        )
    if not control[0]:
        notes.append("the lift is undefined: the control rate is 0")

    def over(design: Design) -> float | None:
        if not design.is_relative:
            at = proportions.score_z(control, treatment, design.sign * design.least)
            return proportions.normal_tail(design.sign * at)
        least = design.sign * design.least
        if control[0] and least <= -1:
            # No share falls by more than all of it.
            return 0.0 if design.sign > 0 and (least < -1 or treatment[0]) else 1.0
        if not control[0] or not (treatment[0] or small):
            return None
        if small:
            at = proportions.ratio_score_z(control, treatment, 1 + design.sign * design.least)
            return proportions.normal_tail(design.sign * at)
        middle, error = proportions.log_ratio(control, treatment)
        off = design.sign * (middle - log1p(design.sign * design.least))
        return proportions.normal_tail(off / error) if error else float(off <= 0)

    def needed(design: Design) -> tuple[float, float] | None:
        return shares_needed(design, control[0] / control[1] if design.baseline is None else design.baseline)

    def detectable(design: Design) -> float | None:
        baseline = control[0] / control[1]
        base = baseline if design.direction == "up" else 1 - baseline
        return sizes.shares_detectable(
            base,
            control[1],
            alpha=design.alpha,
            power=design.power,
            ratio=treatment[1] / control[1],
            sides=design.sides,
        )

    def interval(alpha: float) -> Interval:
        return proportions.score(control, treatment, alpha)

    return Evidence(
        kind="share",
        control=control[0] / control[1],
        treatment=treatment[0] / treatment[1],
        n=(control[1], treatment[1]),
        interval=interval,
        lift_interval=lambda alpha: (proportions.koopman if small else proportions.katz)(
            control, treatment, alpha
        ),
        z=z,
        test_p=exact_p(control, treatment) if small else min(1.0, 2 * proportions.normal_tail(abs(z))),
        test="Fisher's exact test" if small else "pooled z",
        method="score interval",
        over=over,
        needed=needed,
        detectable=detectable,
        exact=small,
        counts=(control[0], treatment[0]),
        notes=tuple(notes),
    )
