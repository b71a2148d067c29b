"""Judgements as results: what the report holds, and the lines that a user reads.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.report.characters import quoted
from pytest_bugsle.results import ModelFinding, ModelPoint, ModelResult, Outcome
from pytest_bugsle.robustness.cases import folder_name
from pytest_bugsle.robustness.edits import unboxed
from pytest_bugsle.robustness.invariance import Asked, Judged
from pytest_bugsle.robustness.judgement import Judgement
from pytest_bugsle.robustness.messages import (
    brief,
    failure_lines,
    failure_of,
    shown,
    variation_lines,
)
from pytest_bugsle.robustness.relations import Same
from pytest_bugsle.robustness.replaying import Replayed, states
from pytest_bugsle.settings import CASES

_MOST_LISTED = 5
SAVED = (
    "next: mend the model; `bugsle accept models` keeps what was saved as cases that fail whatever the limit"
)
UNDECIDED = "BUG410"
RAISES = "BUG411"
RETURNS = "BUG412"
FLIPS = "BUG401"
DIRECTION = "BUG402"


def of_variations(
    judged: Judged, asked: Asked, *, model: str, test: str, saved: str | None, verb: str
) -> ModelResult:
    """Return the result of one perturbation."""
    varied, bound = judged.varied, judged.bound
    notes = [f"{varied.not_valid:,} not valid"] if varied.not_valid else []
    if judged.unusable:
        notes.append(f"{judged.unusable:,} left out on which the model raises")
    if judged.twins:
        notes.append(f"{judged.twins:,} near-duplicates counted as one with their like")
    result = ModelResult(
        gate=asked.gate,
        family=varied.perturbation.family,
        perturbation=varied.perturbation.name,
        nature=varied.perturbation.nature,
        outcome=judged.outcome,
        trials=bound.trials,
        no_ops=varied.no_ops,
        duplicates=varied.duplicates,
        flips=bound.flips,
        rate=bound.rate,
        interval=None if bound.rate is None else (bound.lower, bound.upper),
        limit=judged.limit,
        level=bound.level,
        n_needed=judged.n_needed,
        examples=bound.examples,
        flipping=bound.flipping,
        decides=judged.decides,
        adjusted_p_value=judged.adjusted_p_value,
        smallest=failure_of(judged.smallest, asked.relation) if judged.smallest else None,
        saved=saved,
        model=model,
        test=test,
        notes=notes,
        why=judged.why,
    )
    lines = variation_lines(result, judged, asked, verb=verb)
    if result.smallest is not None:
        result = msgspec.structs.replace(result, smallest=brief(result.smallest))
    findings = []
    if result.decides and result.outcome != "pass":
        rule = (
            UNDECIDED
            if result.outcome == "undecided"
            else DIRECTION
            if asked.gate == "directional"
            else FLIPS
        )
        findings = [ModelFinding(rule=rule, message=shown([f"{model}: {lines[0].partition(' ')[2]}"]))]
    return msgspec.structs.replace(result, message=shown(lines), findings=findings)


def of_judgement(judgement: Judgement, gate: str, *, model: str, test: str) -> ModelResult:
    """Return the result of a judge of predictions; its first figure with bounds is the rate."""
    main = next((each for each in judgement.figures if each.lower is not None), None)
    figures = {each.name: each.value for each in judgement.figures if each.value is not None}
    findings = [ModelFinding(rule=each.rule, message=f"{model}: {each.text}") for each in judgement.remarks]
    why = judgement.message[0].partition(": ")[2]
    if judgement.outcome == "undecided":
        findings.append(ModelFinding(rule=UNDECIDED, message=f"{model}: {judgement.gate}: {why}"))
    return ModelResult(
        gate=gate,
        family=judgement.gate,
        outcome=judgement.outcome,
        trials=judgement.n,
        examples=judgement.n,
        rate=main.value if main else None,
        interval=None
        if main is None or main.lower is None or main.upper is None
        else (main.lower, main.upper),
        limit=judgement.limit,
        n_needed=judgement.n_needed,
        figures=figures,
        reliability=[
            ModelPoint(
                confidence=each.confidence, right=each.right, n=each.n, lower=each.lower, upper=each.upper
            )
            for each in judgement.reliability
        ],
        groups=list(judgement.groups),
        gaps=list(judgement.gaps),
        findings=[msgspec.structs.replace(each, message=shown([each.message])) for each in findings],
        notes=[shown([f"{each.id}: {each.text}"]) for each in judgement.examples],
        model=model,
        test=test,
        why=why,
        message=shown(list(judgement.message)),
    )


def of_replay(
    replayed: Sequence[Replayed], said: Sequence[str], lost: Sequence[str], *, model: str, test: str
) -> ModelResult:
    """Return what the saved cases say: an accepted one that fails again fails, one that cannot be judged is undecided.

    So is one whose file is none any more, or whose test is gone (`lost`): what it guarded is not guarded.
    """
    accepted = [each for each in replayed if each.accepted]
    new = len(replayed) - len(accepted)
    back = states(replayed, "fails", accepted=True)
    mute = states(replayed, "cannot be judged", accepted=True)
    notes = [*lost, *said]
    if new:
        still = len(states(replayed, "fails", accepted=False))
        notes.append(
            f"{new:,} saved by earlier runs replayed: {still:,} still {'fails' if still == 1 else 'fail'}"
        )
    notes += [
        f"{each.case.perturbation} {each.case.name()} cannot be judged: {each.why}"
        for each in replayed
        if each.state == "cannot be judged"
    ]
    outcome: Outcome = "fail" if back else "undecided" if mute or lost else "pass"
    why = f"{len(back):,} of {len(accepted):,} accepted cases fail again"
    if lost:
        why = f"{why}, {len(lost):,} cannot be replayed" if accepted else "accepted cases cannot be replayed"
    lines = [f"{outcome.upper()} replay: {why}"]
    if not accepted and not lost and notes:
        why = notes[-1]
        lines = [f"replay: {why}"]
    failures = [failure_of(each.found, each.case.relation or Same()) for each in back]
    for each, failure in zip(back[:_MOST_LISTED], failures, strict=False):
        bug = f", bug {each.case.bug}" if each.case.bug else ""
        demand = (each.case.relation or Same()).demand()
        lines += [f"  {each.case.perturbation}{bug}: {demand}", *failure_lines(failure)]
        lines.append(f"  case: {CASES}/{folder_name(each.case.test)}/{each.case.name()}")
    if back:
        lines.append("  next: mend the model; delete the file of a case that is no fault")
    lines += [f"  {note}" for note in notes if note != why]
    if any("next: " not in each for each in lost):
        lines.append("  next: mend or delete the file of what is not replayed")
    bugs = sorted({each.case.bug for each in back if each.case.bug})
    findings = []
    if back:
        named = f" ({', '.join(bugs)})" if bugs else ""
        findings = [ModelFinding(rule=RETURNS, message=shown([f"{model}: {why}{named}"]))]
    elif mute or lost:
        findings = [
            ModelFinding(rule=UNDECIDED, message=shown([f"{model}: {lost[0] if lost else notes[-1]}"]))
        ]
    return ModelResult(
        gate="replay",
        family="saved cases",
        outcome=outcome,
        trials=len(replayed),
        flips=len(back),
        decides=bool(accepted or lost),
        model=model,
        test=test,
        notes=[shown([note]) for note in notes],
        smallest=brief(failures[0]) if failures else None,
        why=why,
        findings=findings,
        message=shown(lines),
    )


def of_raising(raising: Sequence[tuple[Hashable, str]], many: int, *, model: str, test: str) -> ModelResult:
    """Return what is said of examples on which the model raises."""
    why = f"the model raises on {len(raising):,} of {many:,} examples, which are left out"
    lines = [
        f"FAIL answers: {why}",
        *(f"  {_named(probe)}: {error}" for probe, error in raising[:_MOST_LISTED]),
    ]
    return ModelResult(
        gate="answers",
        family="examples",
        outcome="fail",
        trials=many,
        flips=len(raising),
        rate=len(raising) / many,
        examples=many,
        model=model,
        test=test,
        why=why,
        findings=[ModelFinding(rule=RAISES, message=shown([f"{model}: {why}: {raising[0][1]}"]))],
        message=shown(lines),
    )


def of_silence(error: UndecidedError, *, model: str, test: str) -> ModelResult:
    """Return what is said of a model that does not answer."""
    return ModelResult(
        gate="answers",
        family="examples",
        outcome="undecided",
        trials=0,
        model=model,
        test=test,
        why=error.what,
        findings=[ModelFinding(rule=UNDECIDED, message=shown([error.what]))],
        message=shown([f"UNDECIDED answers: {error.what}", *str(error).splitlines()[1:]]),
    )


def _named(probe: Hashable) -> str:
    value = unboxed(probe)
    return quoted(value[:80]) if isinstance(value, str) else repr(value)[:80]
