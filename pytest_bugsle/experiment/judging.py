"""The room's face as plain functions: one metric in, one result out.  PYTEST_DONT_REWRITE

`control` and `treatment` may also be summaries, and the keyword arguments are those of Design.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_bugsle.experiment import cuped, means, outcome, plan, proportions, ratios
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.results import ExperimentCheck, ExperimentResult
from pytest_bugsle.stats.means import Contrast
from pytest_bugsle.stats.moments import Moments, PairedMoments


def contradiction(message: str, rule: str = "BUG302", name: str = "contradictory-data") -> ExperimentCheck:
    """Return the check that fires where the data cannot be what they say they are."""
    return ExperimentCheck(name=name, rule=rule, outcome="invalid", message=message.rstrip("."))


def judge_proportions(
    control: Any, treatment: Any, *, past: Sequence[float] | None = None, test: str = "", **design: Any
) -> ExperimentResult:
    """Judge two shares, each (successes, trials); UsageError for a design that contradicts itself."""
    made = Design(**design)
    try:
        arms = proportions.whole_counts("control", control), proportions.whole_counts("treatment", treatment)
    except ValueError as error:
        return outcome.invalid(made, [contradiction(str(error))], test=test)
    return outcome.judge(proportions.evidence_of(*arms), made, past=past, test=test)


def judge_means(
    control: Any,
    treatment: Any,
    *,
    control_covariate: Any = None,
    treatment_covariate: Any = None,
    past: Sequence[float] | None = None,
    test: str = "",
    **design: Any,
) -> ExperimentResult:
    """Judge two means, from values, or {"mean": …, "deviation": …, "n": …}; covariates take out variance."""
    made = Design(**design)
    notes: tuple[str, ...] = ()
    method = "Welch"
    contrast: Contrast | None = None
    try:
        if control_covariate is not None or treatment_covariate is not None:
            adjusted = cuped.adjust(
                PairedMoments.of(control, control_covariate), PairedMoments.of(treatment, treatment_covariate)
            )
            arms, contrast = (adjusted.control, adjusted.treatment), adjusted.contrast
            method = "Welch on CUPED"
            notes = (cuped.note(adjusted),)
        else:
            arms = moments_of("control", control), moments_of("treatment", treatment)
        evidence = means.evidence_of(*arms, method=method, contrast=contrast, notes=notes)
    except means.ConstantArms as error:
        return outcome.invalid(made, [contradiction(str(error), "BUG306", "constant-arms")], test=test)
    except (TypeError, ValueError) as error:
        return outcome.invalid(made, [contradiction(str(error))], test=test)
    return outcome.judge(evidence, made, past=past, test=test)


def judge_ratio(
    control: Any, treatment: Any, *, past: Sequence[float] | None = None, test: str = "", **design: Any
) -> ExperimentResult:
    """Judge two ratios of sums, each (numerators, denominators) by unit of randomisation."""
    made = Design(**design)
    try:
        arms = [ratios.linearised(PairedMoments.of(*arm)) for arm in (control, treatment)]
        evidence = means.evidence_of(*arms, kind="ratio", method="delta method")
    except means.ConstantArms as error:
        return outcome.invalid(made, [contradiction(str(error), "BUG306", "constant-arms")], test=test)
    except (TypeError, ValueError) as error:
        return outcome.invalid(made, [contradiction(str(error))], test=test)
    return outcome.judge(evidence, made, past=past, test=test)


def judge_design(
    *, n: Any = None, per_day: float | None = None, test: str = "", **design: Any
) -> ExperimentResult:
    """Judge a plan: `n` are the units of each arm (or of control and treatment) that there will be.

    Instead of `n`, `per_day` units of both arms in `days` days. UsageError where the plan says too little.
    """
    return plan.judge_plan(Design(**design), n=n, per_day=per_day, test=test)


def moments_of(arm: str, given: Any) -> Moments:
    """Return the moments of values or of a summary; ValueError names the arm and what is wrong."""
    if isinstance(given, Moments):
        return given
    if isinstance(given, dict):
        try:
            n, mean, deviation = given["n"], float(given["mean"]), float(given["deviation"])
        except KeyError as error:
            raise ValueError(f"{arm} lacks {error}: give mean, deviation and n") from error
        if isinstance(n, bool) or int(n) != n or n < 2:
            raise ValueError(f"{arm} n is {n!r}, must be a whole number, at least 2")
        if not (deviation >= 0 and abs(mean) < float("inf") and deviation < float("inf")):
            raise ValueError(
                f"{arm} mean is {mean} and deviation {deviation}, must be finite, the latter not negative"
            )
        return Moments(int(n), mean, deviation * deviation * (int(n) - 1))
    try:
        return Moments.of(given)
    except ValueError as error:
        raise ValueError(f"{arm}: {error}") from error
