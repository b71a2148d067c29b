"""The room's face as plain functions: one metric in, one result out.  PYTEST_DONT_REWRITE

`control` and `treatment` may also be summaries, and the keyword arguments are those of Design.
"""

from __future__ import annotations

import sys
from collections.abc import Sized
from math import inf, isfinite
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import (
    calibration,
    cuped,
    heavy_tails,
    means,
    outcome,
    plan,
    proportions,
    ratios,
)
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.looks import Memory
from pytest_bugsle.experiment.measures import Measure, cut_note
from pytest_bugsle.report.escape import visible
from pytest_bugsle.results import ExperimentCheck, ExperimentResult
from pytest_bugsle.stats import quantiles
from pytest_bugsle.stats.means import Contrast
from pytest_bugsle.stats.moments import LARGEST, Moments, PairedMoments


def contradiction(message: str, rule: str = "BUG302", name: str = "contradictory-data") -> ExperimentCheck:
    """Return the check that fires where the data cannot be what they say they are."""
    return ExperimentCheck(name=name, rule=rule, outcome="invalid", message=visible(message.rstrip(".")))


def judge_proportions(
    control: Any, treatment: Any, *, past: Memory | None = None, test: str = "", **design: Any
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
    aa: int = 0,
    method: str = "welch",
    winsorise: Any = None,
    past: Memory | None = None,
    test: str = "",
    **design: Any,
) -> ExperimentResult:
    """Judge two means, from values, or {"mean": …, "deviation": …, "n": …}; covariates take out variance.

    `aa` deals values anew to the arms so many times, and checks that the p-values are uniform then.
    `method="rank"` compares ranks and `"bootstrap"` resamples the mean, `winsorise=0.99` cuts the values beyond that share
    of both arms together.
    """
    made = Design(**design)
    measure = Measure.of(None, method, winsorise)
    measure.check(made)
    covariates = control_covariate is not None or treatment_covariate is not None
    if (not measure.is_mean or measure.winsorise is not None) and covariates:
        raise UsageError(
            "a covariate goes with Welch's test of plain means alone here.",
            hint="a table takes covariate= and winsorise= together; leave method= away",
        )
    if not measure.is_mean or measure.winsorise is not None:
        return _judge_values(measure, made, control, treatment, past, test)
    notes: tuple[str, ...] = ()
    name = "Welch"
    contrast: Contrast | None = None
    try:
        if covariates:
            adjusted = cuped.adjust(
                pairs_of("control", control, control_covariate),
                pairs_of("treatment", treatment, treatment_covariate),
            )
            arms, contrast = (adjusted.control, adjusted.treatment), adjusted.contrast
            name = "Welch on CUPED"
            notes = (cuped.note(adjusted),)
        else:
            arms = moments_of("control", control), moments_of("treatment", treatment)
        evidence = means.evidence_of(*arms, method=name, contrast=contrast, notes=notes)
    except means.ConstantArms as error:
        return outcome.invalid(made, [contradiction(str(error), "BUG306", "constant-arms")], test=test)
    except (TypeError, ValueError) as error:
        return outcome.invalid(made, [contradiction(str(error))], test=test)
    ran = _dealt_anew((control, treatment), (control_covariate, treatment_covariate), aa, ratio=False)
    return outcome.judge(evidence, made, checks=ran, past=past, test=test)


def judge_quantile(
    control: Any,
    treatment: Any,
    *,
    q: float = 0.5,
    past: Memory | None = None,
    test: str = "",
    **design: Any,
) -> ExperimentResult:
    """Judge the difference of a quantile of two columns of independent values; `q=0.5` is the median."""
    return _judge_values(Measure.of(q), Design(**design), control, treatment, past, test)


def _judge_values(
    measure: Measure, design: Design, control: Any, treatment: Any, past: Memory | None, test: str
) -> ExperimentResult:
    notes: list[str] = []
    try:
        arms = values_of("control", control), values_of("treatment", treatment)
        if measure.winsorise is not None:
            arms, note = winsorised(measure.winsorise, *arms)
            notes.append(note)
        evidence = (
            means.evidence_of(*(Moments.of(arm) for arm in arms))
            if measure.is_mean
            else heavy_tails.evidence_of_values(measure, *arms)
        )
    except means.ConstantArms as error:
        return outcome.invalid(design, [contradiction(str(error), "BUG306", "constant-arms")], test=test)
    except (TypeError, ValueError) as error:
        return outcome.invalid(design, [contradiction(str(error))], test=test)
    return outcome.judge(evidence, design, past=past, test=test, notes=notes)


def values_of(arm: str, given: Any) -> list[float]:
    """Return finite values; ValueError names the arm and what is wrong."""
    if isinstance(given, dict | str):
        raise ValueError(f"{arm} is {given!r}, must be values: sums are not enough here")  # noqa: TRY004  # it is data
    made = []
    try:
        for value in given:
            if isinstance(value, str):
                raise ValueError(f"{arm}: a value is {value!r}, must be a number")  # noqa: TRY004  # it is data
            number = float(value)
            if not isfinite(number):
                raise ValueError(f"{arm}: a value is {number}, must be finite")
            if abs(number) > LARGEST:
                raise ValueError(f"{arm}: a value is {number:g}, too large for its variance to be squared")
            # What is so near 0 that its square is none is 0.
            made.append(number if abs(number) > 1 / LARGEST else 0.0)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"{arm}: {error}") from error
    if len(made) < 2:
        raise ValueError(f"{arm} n is {len(made)}, must be at least 2")
    return made


def pairs_of(arm: str, first: Any, second: Any) -> PairedMoments:
    """Return the moments of two columns; ValueError names the arm and what is wrong."""
    return PairedMoments.of(values_of(arm, first), values_of(f"{arm}, second column", second))


def winsorised(
    shares: tuple[float, float], control: list[float], treatment: list[float]
) -> tuple[tuple[list[float], list[float]], str]:
    """Return both arms with the values beyond these shares of both together put to the cut, and what is to be said."""
    both = sorted([*control, *treatment])
    bounds = tuple(quantiles.of_sorted(both, share).value if 0 < share < 1 else None for share in shares)
    low, high = -inf if bounds[0] is None else bounds[0], inf if bounds[1] is None else bounds[1]
    arms = {"control": control, "treatment": treatment}
    cut = {name: sum(value < low or value > high for value in arm) for name, arm in arms.items()}
    made = tuple([min(high, max(low, value)) for value in arm] for arm in arms.values())
    return (made[0], made[1]), cut_note(
        (bounds[0], bounds[1]), cut, {name: len(arm) for name, arm in arms.items()}
    )


def judge_ratio(
    control: Any,
    treatment: Any,
    *,
    aa: int = 0,
    past: Memory | None = None,
    test: str = "",
    **design: Any,
) -> ExperimentResult:
    """Judge two ratios of sums, each (numerators, denominators) by unit of randomisation."""
    made = Design(**design)
    try:
        arms = [
            ratios.linearised(pairs_of(name, *arm))
            for name, arm in (("control", control), ("treatment", treatment))
        ]
        evidence = means.evidence_of(*arms, kind="ratio", method="delta method")
    except means.ConstantArms as error:
        return outcome.invalid(made, [contradiction(str(error), "BUG306", "constant-arms")], test=test)
    except (TypeError, ValueError) as error:
        return outcome.invalid(made, [contradiction(str(error))], test=test)
    ran = _dealt_anew((control[0], treatment[0]), (control[1], treatment[1]), aa, ratio=True)
    return outcome.judge(evidence, made, checks=ran, past=past, test=test)


def _dealt_anew(
    values: tuple[Any, Any], others: tuple[Any, Any], times: int, *, ratio: bool
) -> list[ExperimentCheck]:
    """Return the check of values that are dealt anew; a summary has none to be dealt."""
    if not times or not all(isinstance(arm, Sized) and not isinstance(arm, dict) for arm in values):
        return []
    calibration.check_times(times)
    from pytest_bugsle.experiment.dealing import groups_of_values

    arms = [(values[place], () if others[place] is None else others[place]) for place in (0, 1)]
    groups = groups_of_values(arms[0], arms[1], ratio=ratio)
    return [calibration.calibrated(groups, [len(arm) for arm in values], times)]


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
        if max(abs(mean), deviation) > LARGEST or n > 1 / sys.float_info.epsilon:
            raise ValueError(
                f"{arm} mean is {mean}, deviation {deviation} and n {n}, too large to be reckoned with"
            )
        mean, deviation = (value if abs(value) > 1 / LARGEST else 0.0 for value in (mean, deviation))
        return Moments(int(n), mean, deviation * deviation * (int(n) - 1))
    return Moments.of(values_of(arm, given))
