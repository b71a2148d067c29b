"""The report on a terminal, as lines with a style each; no colour codes of its own.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.words import (
    VERDICTS,
    Fold,
    asked,
    deciding,
    edits_line,
    failure_line,
    folded,
    lead_line,
    place,
    plural,
    range_line,
    sentence,
    short,
    sorted_findings,
    summary,
    waiver_line,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import FixResult, Result, TestResult

Style = Literal["green", "red", "yellow", "dim"]

#: How many tests of a fix, fixes that need nothing, and findings are shown without -v.
MOST_TESTS = 30
MOST_FIXES = 100
MOST_FINDINGS = 100
#: How many of the places that may need a patch too stand under a fix; what is weaker than this is left out.
MOST_LEADS = 3
WEAKEST_LEAD = 0.2
#: No line is longer than this many characters: a subject may be a megabyte.
MOST_TEXT = 1000
_COLUMN = 12
_INDENT = " " * (_COLUMN + 2)

_STYLES: Mapping[str | None, Style] = {
    "proven": "green",
    "passes-without-fix": "red",
    "no-test": "red",
    "guard-fails": "red",
    "existence-only": "yellow",
    "undecided": "yellow",
    "waived": "dim",
    "out-of-scope": "dim",
    "not-in-run": "dim",
}
_LEVEL_STYLES: Mapping[str, Style] = {"error": "red", "warning": "yellow", "info": "dim"}
_VERDICT_STYLES: Mapping[str, Style] = {"pass": "green", "fail": "red", "undecided": "yellow"}
#: Where the reason is news without being asked for; elsewhere the tests or the findings say it.
_REASONED = frozenset({"undecided", "waived", "out-of-scope", "not-in-run"})


class Line(NamedTuple):
    """One line of text, harmless on a terminal, and how to show it."""

    text: str
    style: Style | None = None


def lines(result: Result, verbosity: int = 0, *, failed: int = 0) -> list[Line]:
    """Return the lines of a report: below 0 only what is wrong, above 0 everything.

    `failed` counts what failed in the surrounding session, so that no pass of ours is read as a pass of that.
    """
    findings = sorted_findings(result)
    word = VERDICTS[result.verdict]
    if failed and result.verdict == "pass":
        word += f" (this gate; {plural(failed, 'test')} failed)"
    last = _line(f"{summary(result)}  {word}", _VERDICT_STYLES[result.verdict])
    if verbosity < 0:
        well = result.verdict == "pass" and all(finding.level == "info" for finding in findings)
        return [] if well else [*(line for finding in findings for line in _finding(finding)), last]
    everything = verbosity > 0
    report = [_line(range_line(result))]
    report.extend(_fixes(result, everything=everything))
    if isinstance(result.tests, list):
        report.extend(_line(failure_line(test), "yellow") for test in result.tests)
    report.extend(
        _line(waiver_line(waiver), "dim" if waiver.state == "used" else "yellow") for waiver in result.waivers
    )
    report.extend(_line(f"note: {note}", "yellow") for note in result.notes)
    shown = findings if everything else findings[:MOST_FINDINGS]
    for finding in shown:
        report.extend(_finding(finding))
    if len(findings) > len(shown):
        report.append(
            _line(f"and {plural(len(findings) - len(shown), 'more finding')}: -v shows them", "dim")
        )
    report.append(last)
    return report


def _line(text: str, style: Style | None = None) -> Line:
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT - 1] + "…"
    return Line(for_terminal(text), style)


def _fixes(result: Result, *, everything: bool) -> Iterator[Line]:
    rows = [fix for fix in result.fixes if asked(fix)]
    rows += [fix for fix in result.fixes if not asked(fix) and fix.judgement == "maybe"]
    if everything:
        rows += [fix for fix in result.fixes if not asked(fix) and fix.judgement == "no"]
    left = MOST_FIXES
    hidden = 0
    for fix in rows:
        if _STYLES.get(fix.status, "dim") in {"green", "dim"} and not everything:
            left -= 1
            if left < 0:
                hidden += 1
                continue
        yield from _fix(fix, everything=everything)
    if hidden:
        yield _line(f"and {hidden} more that need nothing: -v shows them", "dim")


def _fix(fix: FixResult, *, everything: bool) -> Iterator[Line]:
    style = _STYLES.get(fix.status) if asked(fix) else "dim"
    yield _line(f"{word(fix):<{_COLUMN - 1}} {short(fix.commit)} {fix.subject}", style)
    if fix.why and (everything or fix.status in _REASONED):
        yield _line(_INDENT + fix.why)
    if everything:
        if fix.reasons:
            yield _line(f"{_INDENT}{_judged(fix)}: {'; '.join(fix.reasons)}", "dim")
        if fix.bugs:
            yield _line(f"{_INDENT}bugs: {', '.join(fix.bugs)}", "dim")
        for test in fix.tests:
            yield from _test_in_full(test)
    elif fix.status not in _REASONED - {"undecided"}:
        yield from _tests_in_short(deciding(fix))
    yield from _beyond(fix, everything=everything)


def _beyond(fix: FixResult, *, everything: bool) -> Iterator[Line]:
    """Yield what putting back its edits showed, and where else a patch may be needed."""
    if edits := edits_line(fix):
        yield _line(_INDENT + edits, "yellow" if any(e.guarded is False for e in fix.edits) else None)
    leads = [lead for lead in fix.what_else if lead.kind != "edit"]  # a finding says it
    shown = leads if everything else [lead for lead in leads if lead.confidence >= WEAKEST_LEAD][:MOST_LEADS]
    for lead in shown:
        yield _line(f"{_INDENT}what else? {lead_line(lead)}", "yellow" if lead.proven else None)
    if len(leads) > len(shown):
        more = plural(len(leads) - len(shown), "more place")
        yield _line(f"{_INDENT}{more}: `bugsle what-else {short(fix.commit)}`", "dim")


def what_else_lines(result: Result, verbosity: int = 0) -> list[Line]:
    """Return the lines of `bugsle what-else`: each fix with its whole list, in rank order."""
    report: list[Line] = []
    for fix in result.fixes:
        if not asked(fix):
            continue
        report.append(_line(f"{short(fix.commit)} {fix.subject}", _STYLES.get(fix.status)))
        if edits := edits_line(fix):
            report.append(_line(f"  {edits}"))
        if not fix.what_else:
            report.append(_line("  nothing else was found that looks as if it needs a patch", "dim"))
        for number, lead in enumerate(fix.what_else, 1):
            report.append(_line(f"{number:>3}. {lead_line(lead)}", "yellow" if lead.proven else None))
            if lead.code:
                report.append(_line(f"       {lead.code}", "dim"))
            if lead.command and verbosity >= 0:
                report.append(_line(f"       $ {lead.command}", "dim"))
    report += [_line(f"note: {note}", "yellow") for note in result.notes]
    if not report:
        report.append(_line(f"{range_line(result)}: no fix to look at", "dim"))
    for finding in sorted_findings(result):
        report.extend(_finding(finding))
    return report


def _judged(fix: FixResult) -> str:
    return {"fix": "a bug fix", "maybe": "maybe a bug fix", "no": "no bug fix"}[fix.judgement]


def _tests_in_short(tests: list[TestResult]) -> Iterator[Line]:
    folds = folded(tests)
    for fold in folds[:MOST_TESTS]:
        yield _line(_INDENT + _folded_text(fold))
    hidden = len(tests) - sum(fold.more + 1 for fold in folds[:MOST_TESTS])
    if hidden:
        yield _line(f"{_INDENT}and {plural(hidden, 'more test')}: -v shows them", "dim")


def _folded_text(fold: Fold) -> str:
    more = f" (and {plural(fold.more, 'more case')})" if fold.more else ""
    return f"{fold.test.id}{more}  {sentence(fold.test)}"


def _test_in_full(test: TestResult) -> Iterator[Line]:
    yield _line(f"{_INDENT}{test.id}  {sentence(test)}")
    if test.shows in {"proven", "passes-without-fix", "existence-only"} and test.why:
        yield _line(f"{_INDENT}  {test.why}", "dim")
    if test.links and (test.shows or test.before or test.after or test.why):
        linked = ", ".join(f"{link.kind} ({link.evidence})" for link in test.links)
        yield _line(f"{_INDENT}  linked by {linked}", "dim")
    if test.reached and test.reached.missed:
        yield _line(f"{_INDENT}  not run: {', '.join(test.reached.missed)}", "dim")
    if test.reached and test.reached.note and test.reached.of:
        yield _line(f"{_INDENT}  {test.reached.note}", "dim")


def _finding(finding: Finding) -> Iterator[Line]:
    where = place(finding)
    yield _line(
        f"{where}: " * bool(where) + f"{finding.rule} {finding.message}", _LEVEL_STYLES[finding.level]
    )
    for text in finding.help.split("\n") if finding.help else ():  # lines to type stay lines
        yield _line(f"  {text}", "dim")
