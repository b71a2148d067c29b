"""The judgement: an interval against the least effect that ships.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from pytest_bugsle.experiment import messages
from pytest_bugsle.experiment.design import Design, days_left, whole
from pytest_bugsle.experiment.evidence import Evidence, Interval
from pytest_bugsle.experiment.sequential import look_at, look_p
from pytest_bugsle.results import (
    ExperimentCheck,
    ExperimentLook,
    ExperimentResult,
    Outcome,
    RelativeEffect,
)

ARMS = ("control", "treatment")


def invalid(
    design: Design,
    checks: Sequence[ExperimentCheck],
    n: dict[str, int] | None = None,
    *,
    test: str = "",
    notes: Sequence[str] = (),
) -> ExperimentResult:
    """Return the result where the data contradict themselves or a check fires: no effect is shown."""
    fired = [check for check in checks if check.outcome == "invalid"]
    made = ExperimentResult(
        metric=design.metric,
        outcome="invalid",
        effect=None,
        interval=None,
        relative=None,
        p_value=None,
        n=n or {},
        n_needed=None,
        checks=list(checks),
        look=None,
        test=test,
        why="; ".join(check.message for check in fired),
        role=design.role,
        notes=list(notes),
    )
    return messages.with_message(made, design, None)


def judge(
    evidence: Evidence,
    design: Design,
    *,
    checks: Sequence[ExperimentCheck] = (),
    past: Sequence[float] | None = None,
    arms: tuple[str, str] = ARMS,
    test: str = "",
    notes: Sequence[str] = (),
) -> ExperimentResult:
    """Return the result of one metric; a check that fired withholds the effect."""
    n = dict(zip(arms, evidence.n, strict=True))
    if any(check.outcome == "invalid" for check in checks):
        return invalid(design, checks, n, test=test, notes=notes)
    needed = evidence.needed(design)
    look = look_at(design, evidence.n, needed, past)
    interval = evidence.interval(look.alpha)
    lift, lift_interval = evidence.lift, evidence.lift_interval(look.alpha)
    units = None if needed is None else (whole(needed[0]), whole(needed[1]))
    p_value = look_p(design, look, evidence.z, evidence.test_p, evidence.n)
    if not all(isfinite(value) for value in (evidence.effect, *interval, p_value)):
        broken = ExperimentCheck(
            name="finite", outcome="invalid", message="a figure of the effect is not finite"
        )
        return invalid(design, [*checks, broken], n, test=test, notes=notes)
    outcome, why = _decide(evidence, design, look, interval, lift_interval, units)
    doubts = [check.message for check in checks if check.outcome == "undecided"]
    if outcome == "pass" and doubts:
        outcome, why = "undecided", doubts[0]
    result = ExperimentResult(
        metric=design.metric,
        outcome=outcome,
        effect=evidence.effect,
        interval=interval,
        relative=RelativeEffect(effect=lift, interval=lift_interval),
        p_value=p_value,
        n=n,
        n_needed=None if units is None else units[0],
        n_needed_by_arm={} if units is None else dict(zip(arms, units, strict=True)),
        days_needed=None if units is None else days_left(evidence.n, units, design.days),
        checks=list(checks),
        look=look,
        test=test,
        method=f"{evidence.method}; {evidence.test}",
        why=why,
        values=dict(zip(arms, (evidence.control, evidence.treatment), strict=True)),
        role=design.role,
        alpha=design.alpha,
        decision_p_value=_decision_p(evidence, design, look),
        notes=[*notes, *evidence.notes],
    )
    return messages.with_message(result, design, evidence)


def _decide(
    evidence: Evidence,
    design: Design,
    look: ExperimentLook,
    interval: Interval,
    lift_interval: Interval | None,
    units: tuple[int, int] | None,
) -> tuple[Outcome, str]:
    """Return the outcome and its reason, in the words of the least effect."""
    least = messages.effect_text(design.least, evidence.kind, relative=design.is_relative)
    low, high = _improvement(interval, design.sign)
    reached = units is not None and all(have >= want for have, want in zip(evidence.n, units, strict=True))
    if design.is_relative:
        if lift_interval is None:
            # What is surely no improvement at all is surely none of this size.
            if high < 0 <= design.least:
                return "fail", f"the effect is below {least}: even the upper end is below 0"
            if reached:
                return "fail", f"not shown at the planned size: a lift of {least} has no bounds here"
            return (
                "undecided",
                f"a lift of {least} cannot be judged: relative to this control it has no bounds",
            )
        low, high = _improvement(lift_interval, design.sign)
    if low > design.least:
        if look.method == "fixed" and units is not None and not reached:
            return "undecided", "fewer units than planned: what looks clear this early is often chance"
        if evidence.exact and not design.least and evidence.test_p > look.alpha:
            return "undecided", "the interval is clear of it, and the exact test is not"
        return "pass", f"the lower end is over {least}"
    if high < design.least:
        return "fail", f"even the upper end is below {least}"
    if reached:
        return "fail", f"not shown at the planned size: the lower end is not over {least}"
    return "undecided", f"{least} lies within the interval"


def _decision_p(evidence: Evidence, design: Design, look: ExperimentLook) -> float | None:
    """Return the p-value for a family of decisions: on the scale on which this look passes below alpha."""
    over = evidence.over(design)
    if over is None:
        return None
    p_value = 2 * over
    if evidence.exact and not design.least:
        p_value = max(p_value, evidence.test_p)
    return min(1.0, p_value * design.alpha / look.alpha)


def _improvement(interval: Interval, sign: int) -> Interval:
    return interval if sign > 0 else (-interval[1], -interval[0])
