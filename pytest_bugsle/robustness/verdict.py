"""What model gates add to the verdict of a run, and the findings that they make.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_bugsle.findings import Finding, Level, Verdict, make_finding
from pytest_bugsle.results import ModelResult, Result


def findings_of(
    results: Sequence[ModelResult], levels: Mapping[str, Level], *, ci: bool
) -> Iterator[Finding]:
    """Yield what is to be said of the results, each at its test."""
    for result in results:
        path = result.test.partition("::")[0] or None
        for finding in result.findings:
            yield make_finding(finding.rule, finding.message, levels=levels, ci=ci, path=path)


def verdict_of(results: Sequence[ModelResult]) -> Verdict:
    """Return one verdict: invalid input and a fail are fails; what does not decide changes nothing."""
    outcomes = {result.outcome for result in results if result.decides}
    if outcomes & {"fail", "invalid"}:
        return "fail"
    return "undecided" if "undecided" in outcomes else "pass"


def joined(
    result: Result,
    results: Sequence[ModelResult],
    levels: Mapping[str, Level],
    *,
    ci: bool,
    excused: Collection[str] = (),
) -> Result:
    """Return a run's result with its model gates: the worse verdict of both.

    A finding that is an error fails the run, its gate's own outcome notwithstanding: a few confident errors are
    within a rate, and are to be looked at. What the gates of `excused` tests say decides nothing.
    """
    deciding = [each for each in results if each.test not in excused]
    findings = list(findings_of(deciding, levels, ci=ci))
    own: Verdict = "fail" if any(each.level == "error" for each in findings) else verdict_of(deciding)
    told = findings_of([each for each in results if each.test in excused], levels, ci=ci)
    return result.with_gates(own, [*findings, *(each.excused() for each in told)], models=list(results))
