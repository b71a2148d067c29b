"""What A/B tests add to the verdict of a run, and the findings that they make.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_bugsle.findings import Finding, Level, Verdict, make_finding
from pytest_bugsle.results import ExperimentResult, Result

_OUTCOME_RULES = {"fail": "BUG310", "undecided": "BUG311"}


def findings_of(
    results: Sequence[ExperimentResult], levels: Mapping[str, Level], *, ci: bool
) -> Iterator[Finding]:
    """Yield what is to be said of the results: checks that fired, and outcomes that are no pass."""
    for result in results:
        path = result.test.partition("::")[0] or None
        for check in result.checks:
            if check.outcome != "pass" and check.rule:
                text = f"{result.metric}: {check.message}"
                yield make_finding(check.rule, text, levels=levels, ci=ci, path=path)
        code = _OUTCOME_RULES.get(result.outcome)
        if code and result.role != "exploratory":
            needed = (
                f"; {result.n_needed:,} per arm are needed" if result.n_needed and code == "BUG311" else ""
            )
            yield make_finding(
                code, f"{result.metric}: {result.why}{needed}", levels=levels, ci=ci, path=path
            )


def verdict_of(results: Sequence[ExperimentResult]) -> Verdict:
    """Return one verdict: invalid data and a fail are fails; what is exploratory decides nothing."""
    outcomes = {
        result.outcome for result in results if result.role != "exploratory" or result.outcome == "invalid"
    }
    if outcomes & {"fail", "invalid"}:
        return "fail"
    return "undecided" if "undecided" in outcomes else "pass"


def joined(
    result: Result,
    results: Sequence[ExperimentResult],
    levels: Mapping[str, Level],
    *,
    ci: bool,
    excused: Collection[str] = (),
) -> Result:
    """Return a run's result with its A/B tests: the worse verdict of both; `excused` tests decide nothing."""
    deciding = [each for each in results if each.test not in excused]
    findings = list(findings_of(deciding, levels, ci=ci))
    told = findings_of([each for each in results if each.test in excused], levels, ci=ci)
    findings += (each.excused() for each in told)
    return result.with_gates(verdict_of(deciding), findings, experiments=list(results))
