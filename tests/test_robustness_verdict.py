"""What model gates add to the verdict of a run: the worst that decides, and findings that are errors."""

from __future__ import annotations

import pytest

from pytest_bugsle.results import Counts, ModelFinding, ModelResult, Outcome, Result
from pytest_bugsle.robustness.verdict import joined, verdict_of


def result(outcome: Outcome, *, decides: bool = True, rule: str = "") -> ModelResult:
    """Return what one gate says."""
    findings = [ModelFinding(rule=rule, message="m")] if rule else []
    return ModelResult(
        gate="invariant", family="case", outcome=outcome, trials=1, decides=decides, findings=findings
    )


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], "pass"),
        ([("pass", True), ("undecided", False), ("fail", False)], "pass"),
        ([("pass", True), ("undecided", True)], "undecided"),
        ([("undecided", True), ("fail", True)], "fail"),
        ([("pass", True), ("invalid", True)], "fail"),
    ],
)
def test_the_worst_that_decides_is_the_verdict(outcomes: list[tuple[Outcome, bool]], verdict: str) -> None:
    """What came with its family and says nothing changes nothing."""
    assert verdict_of([result(outcome, decides=decides) for outcome, decides in outcomes]) == verdict


def test_a_finding_that_is_an_error_fails_the_run() -> None:
    """By the levels of the rules; the worse of both verdicts stays."""
    run = Result(verdict="undecided", range=None, fixes=[], counts=Counts(), findings=[])
    sure = result("pass", rule="BUG405")
    assert joined(run, [sure], {}, ci=False).verdict == "fail"
    assert joined(run, [sure], {"BUG405": "warning"}, ci=False).verdict == "undecided"
    assert joined(run, [result("pass")], {}, ci=False).verdict == "undecided"
