"""The judgement: an interval against the least effect that ships.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import isfinite
from typing import Literal

import msgspec

from pytest_bugsle.experiment import messages
from pytest_bugsle.experiment.design import Design, days_left, whole
from pytest_bugsle.experiment.evidence import Evidence, Interval
from pytest_bugsle.experiment.looks import Memory, PastLook, before, data_digest, terms_of
from pytest_bugsle.experiment.sequential import is_spent, look_at, look_p
from pytest_bugsle.results import (
    ExperimentCheck,
    ExperimentLook,
    ExperimentResult,
    ExperimentSegment,
    Outcome,
    RelativeEffect,
)
from pytest_bugsle.stats.proportions import normal_quantile

ARMS = ("control", "treatment")

FORGOTTEN = "this look is in no ledger that lasts: `bugsle accept` and a commit keep it, else the next one does not count it"


def invalid(
    design: Design,
    checks: Sequence[ExperimentCheck],
    n: dict[str, int] | None = None,
    *,
    test: str = "",
    notes: Sequence[str] = (),
    segments: Sequence[ExperimentSegment] = (),
    kind: Literal["share", "mean", "ratio", "quantile", "shift"] = "mean",
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
        direction=design.direction,
        least=design.least,
        least_is_relative=design.is_relative,
        within=design.margin,
        kind=kind,
        segments=list(segments),
        notes=list(notes),
    )
    return messages.with_message(made, design, None)


def judge(
    evidence: Evidence,
    design: Design,
    *,
    checks: Sequence[ExperimentCheck] = (),
    past: Memory | None = None,
    arms: tuple[str, str] = ARMS,
    test: str = "",
    notes: Sequence[str] = (),
    segments: Sequence[ExperimentSegment] = (),
) -> ExperimentResult:
    """Return the result of one metric; a check that fired withholds the effect.

    `past` is what is remembered of earlier looks; without it nothing is.
    """
    n = dict(zip(arms, evidence.n, strict=True))
    notes = [*notes, *(past.notes if past is not None else ())]
    if any(check.outcome == "invalid" for check in checks):
        fired = {check.name for check in checks if check.outcome == "invalid"}
        # The segments are what a reversal is shown by.
        kept = segments if fired == {"simpsons-paradox"} else ()
        return invalid(design, checks, n, test=test, notes=notes, segments=kept, kind=evidence.kind)
    needed = evidence.needed(design)
    look, earlier, data = _look(design, evidence, needed, past)
    if past is not None and past.forgets(design.metric, data):
        notes.append(FORGOTTEN)
    interval = evidence.interval(look.alpha)
    lift, lift_interval = evidence.lift, evidence.lift_interval(look.alpha)
    units = None if needed is None else (whole(needed[0]), whole(needed[1]))
    p_value = look_p(design, look, evidence.z, evidence.test_p, evidence.n)
    if not all(isfinite(value) for value in (evidence.effect, *(interval or ()), p_value)):
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
        looks=[*(one.shown() for one in earlier), look],
        experiment="" if past is None else past.experiment,
        data=data,
        notes=[*notes, *evidence.notes],
        kind=evidence.kind,
        direction=design.direction,
        least=design.least,
        least_is_relative=design.is_relative,
        within=design.margin,
        segments=list(segments),
    )
    return messages.with_message(result, design, evidence)


def _look(
    design: Design, evidence: Evidence, needed: tuple[float, float] | None, past: Memory | None
) -> tuple[ExperimentLook, list[PastLook], str]:
    """Return this look, those before it, and the digest of its data where anything is remembered."""
    z = _improvement_z(evidence, design)
    if past is None:
        made, earlier, data = look_at(design, evidence.n, needed, None), [], ""
    else:
        remembered, data = past.of(design.metric), data_digest(evidence)
        made = look_at(design, evidence.n, needed, remembered, data, past.unkept)
        earlier = before(remembered or (), data)
    return msgspec.structs.replace(made, z=z, units=sum(evidence.n), terms=terms_of(design)), earlier, data


def _decide(
    evidence: Evidence,
    design: Design,
    look: ExperimentLook,
    interval: Interval | None,
    lift_interval: Interval | None,
    units: tuple[int, int] | None,
) -> tuple[Outcome, str]:
    """Return the outcome and its reason, in the words of the least effect."""
    least = messages.effect_text(design.sign * design.least, evidence.kind, relative=design.is_relative)
    near, far = ("lower", "upper") if design.sign > 0 else ("upper", "lower")
    beyond, short = ("over", "below") if design.sign > 0 else ("below", "over")
    if interval is None:
        return "undecided", evidence.without
    low, high = _improvement(interval, design.sign)
    last = look.of is None or look.number == look.of
    reached = units is not None and last and all(map(operator.ge, evidence.n, units))
    if is_spent(design, look) and not reached:
        return "fail", f"no alpha is left to show an effect {beyond} {least}: it was spent at earlier looks"
    if design.margin is not None:
        bounds = lift_interval if design.is_relative else interval
        return _equivalent(
            design, design.margin, messages.within(design, evidence.kind), look, bounds, units, reached
        )
    if design.is_relative:
        if lift_interval is None:
            # What is surely no improvement at all is surely none of this size.
            if high < 0 <= design.least:
                return "fail", f"the effect is {short} {least}: even the {far} end is {short} 0"
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
        return "pass", f"the {near} end is {beyond} {least}"
    if high < design.least:
        return "fail", f"even the {far} end is {short} {least}"
    if reached:
        return "fail", f"not shown at the planned size: the {near} end is not {beyond} {least}"
    return "undecided", f"{least} lies within the interval"


def _equivalent(
    design: Design,
    margin: float,
    within: str,
    look: ExperimentLook,
    bounds: Interval | None,
    units: tuple[int, int] | None,
    reached: bool,
) -> tuple[Outcome, str]:
    """Return the outcome of two one-sided tests: pass where the whole interval lies within the margins."""
    if bounds is not None and -margin < bounds[0] and bounds[1] < margin:
        if look.method == "fixed" and units is not None and not reached:
            return "undecided", "fewer units than planned: what looks clear this early is often chance"
        return "pass", f"the whole interval lies {within}"
    if bounds is not None and (bounds[0] > margin or bounds[1] < -margin):
        return "fail", f"no part of the interval lies {within}"
    if reached:
        return "fail", f"not shown at the planned size: the interval does not lie {within}"
    if bounds is None:
        return "undecided", f"whether the lift lies {within} cannot be judged: it has no bounds"
    return "undecided", f"the interval lies neither {within} nor outside"


def _decision_p(evidence: Evidence, design: Design, look: ExperimentLook) -> float | None:
    """Return the p-value for a family of decisions: on the scale on which this look passes below alpha."""
    tests = [design] if design.margin is None else design.both_ways()
    found = [evidence.over(test) for test in tests]
    over = [value for value in found if value is not None]
    if len(over) < len(found):
        return None
    p_value = 2 * max(over)
    if evidence.exact and not design.least and design.margin is None:
        p_value = max(p_value, evidence.test_p)
    return min(1.0, p_value * design.alpha / look.alpha)


def _improvement_z(evidence: Evidence, design: Design) -> float | None:
    """Return the improvement over the least effect in standard errors; what is too far out to tell is 38."""
    over = evidence.over(design)
    return None if over is None else max(-38.0, min(38.0, -normal_quantile(over)))


def _improvement(interval: Interval, sign: int) -> Interval:
    return interval if sign > 0 else (-interval[1], -interval[0])
