"""A plan judged before its data: does it give the power that it promises?  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import messages
from pytest_bugsle.experiment.design import Design, days_left, means_needed, shares_needed, whole
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.stats import sizes


def judge_plan(
    design: Design, *, n: Any = None, per_day: float | None = None, test: str = ""
) -> ExperimentResult:
    """Say whether the planned units show the planned effect; UsageError where the plan says too little.

    `n` is a number for each arm, or (control, treatment); without it `per_day` units of both arms in `design.days`.
    """
    planned = design.mde if design.mde is not None else design.mde_difference
    if design.baseline is None or (planned is None and design.margin is None):
        raise UsageError(
            "a plan needs a baseline and an effect to be shown.",
            why="how many units are enough depends on both",
            hint="ab_gate.design(baseline=0.10, mde=0.05, n=60_000), for means also deviation=",
        )
    kind: messages.Kind = "share" if design.deviation is None else "mean"
    if design.deviation is None:
        if not 0 < design.baseline < 1:
            raise UsageError(
                f"baseline is {design.baseline}, and must lie between 0 and 1 for a share.",
                hint="for a mean give its deviation= as well",
            )
        needed = shares_needed(design, design.baseline)
    else:
        needed = means_needed(design, design.baseline, (design.deviation, design.deviation))
    if needed is None:
        raise UsageError(
            "no size shows the planned effect.",
            why="it leads out of 0 to 1, or is not over the margin",
            hint="mde=0.05",
        )
    units = whole(needed[0]), whole(needed[1])
    there = _units(design, n, per_day)
    enough = all(have >= want for have, want in zip(there, units, strict=True))
    effect = (
        messages.within(design, kind)
        if planned is None
        else messages.effect_text(design.sign * planned, kind, relative=design.mde is not None)
    )
    many = (
        f"{units[0]:,} per arm"
        if units[0] == units[1]
        else f"{units[0]:,} in control and {units[1]:,} in treatment"
    )
    days = None
    if per_day:
        days = max(
            want * (1 + other) / per_day
            for want, other in ((units[0], design.ratio), (units[1], 1 / design.ratio))
        )
    elif design.days:
        days = design.days + (days_left(there, units, design.days) or 0.0)
    why = f"{effect} at power {design.power:g} needs {many}; planned are {there[0]:,} and {there[1]:,}"
    lines = [
        f"{'PASS' if enough else 'FAIL'} plan of {design.metric}: {why}",
        f"  power of the plan: {_power(design, there):.2f}",
    ]
    if days is not None:
        lines.append(f"  the test takes {days:,.1f} days at this rate")
    if not enough:
        lines.append(
            "  next: plan more units, or a larger effect; a test without power finds little but noise"
        )
    return ExperimentResult(
        metric=design.metric,
        outcome="pass" if enough else "fail",
        effect=None,
        interval=None,
        relative=None,
        p_value=None,
        n={"control": there[0], "treatment": there[1]},
        n_needed=units[0],
        n_needed_by_arm={"control": units[0], "treatment": units[1]},
        days_needed=days,
        checks=[],
        look=None,
        test=test,
        method="plan",
        why=why,
        role=design.role,
        alpha=design.alpha,
        message="\n".join(lines),
    )


def _units(design: Design, n: Any, per_day: float | None) -> tuple[int, int]:
    if n is None and per_day and design.days:
        both = per_day * design.days
        return int(both / (1 + design.ratio)), int(both * design.ratio / (1 + design.ratio))
    arms = (n, n * design.ratio) if isinstance(n, int | float) and not isinstance(n, bool) else n
    try:
        control, treatment = (int(arm) for arm in arms)
    except (TypeError, ValueError):
        control = treatment = 0
    if control < 2 or treatment < 2:
        raise UsageError(
            f"n is {n!r}, and must be the units of each arm.",
            hint="n=5_000, n=(5_000, 10_000), or per_day=400 with days=14",
        )
    return control, treatment


def _power(design: Design, n: tuple[int, int]) -> float:
    """Return the power that these units give the plan."""
    assert design.baseline is not None
    if design.margin is not None:
        # Both one-sided tests must reject where nothing differs: 1 less what each of them misses.
        alone = design.both_ways()[0]
        return max(0.0, 2 * _power_of(alone, 0.0, alone.margin_difference(design.baseline), n) - 1)
    off = design.planned_difference(design.baseline)
    assert off is not None
    return _power_of(design, off, design.margin_difference(design.baseline), n)


def _power_of(design: Design, off: float, margin: float, n: tuple[int, int]) -> float:
    assert design.baseline is not None
    ratio = n[1] / n[0]
    if design.deviation is None:
        return sizes.shares_power(
            design.baseline,
            design.baseline + off,
            n[0],
            alpha=design.alpha,
            margin=margin,
            ratio=ratio,
            sides=design.sides,
        )
    return sizes.means_power(
        off - margin, design.deviation, n[0], alpha=design.alpha, ratio=ratio, sides=design.sides
    )
