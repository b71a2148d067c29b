"""The words that all reports share: what a status, a test and a run are called.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import (
        FixResult,
        FlakyTest,
        Lead,
        Range,
        Reach,
        Result,
        TestResult,
        WaiverResult,
    )

WORDS: Mapping[str, str] = {
    "proven": "PROVEN",
    "passes-without-fix": "NOT HELD",
    "existence-only": "EXISTENCE",
    "no-test": "NO TEST",
    "guard-fails": "FAILS",
    "undecided": "UNDECIDED",
    "waived": "waived",
    "out-of-scope": "out of scope",
    "not-in-run": "not in this run",
}
DECIDED = frozenset({"proven", "passes-without-fix", "existence-only", "no-test", "guard-fails"})
EXEMPT = frozenset({"waived", "out-of-scope", "not-in-run"})
VERDICTS: Mapping[str, str] = {"pass": "PASSED", "fail": "FAILED", "undecided": "UNDECIDED"}

_OUTCOMES: Mapping[str, str] = {
    "passed": "passes",
    "failed": "fails",
    "error": "errors",
    "skipped": "is skipped",
    "xfailed": "fails as expected",
    "xpassed": "passes unexpectedly",
    "timeout": "times out",
    "died": "crashes",
    "missing": "is missing",
}
#: What a report counts its fixes by.
SUMMARY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("proven", ("proven",)),
    ("not held", ("passes-without-fix", "no-test")),
    ("held by existence only", ("existence-only",)),
    ("with a failing test", ("guard-fails",)),
    ("undecided", ("undecided",)),
    ("waived", ("waived",)),
    ("out of scope", ("out-of-scope",)),
    ("not in this run", ("not-in-run",)),
)
_LEVELS: Mapping[str, int] = {"error": 0, "warning": 1, "info": 2}
_HEX = lazy_pattern(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b")


def plural(number: int, one: str, many: str = "") -> str:
    """Return `1 fix`, `2 fixes`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def short(commit: str) -> str:
    """Return a commit, or a range of two, with each full hash cut to seven digits."""
    return _HEX.sub(lambda found: found[0][:7], commit)


def word(fix: FixResult) -> str:
    """Return the status of a unit in a word or two."""
    if fix.status is not None:
        return WORDS[fix.status]
    if fix.judgement == "fix":
        return "LINKED"
    return "maybe" if fix.judgement == "maybe" else "no fix"


def asked(fix: FixResult) -> bool:
    """Say whether the unit is a fix that this run had to answer for."""
    return fix.judgement == "fix" or fix.status is not None


UNCOMMITTED = "the uncommitted change"
"""Why a range ends in a tree that no commit holds yet."""


def range_line(result: Result) -> str:
    """Return which commits were read and what they are."""
    where = result.range
    if where is None:
        return "no range of commits"
    found = sum(fix.judgement == "fix" for fix in result.fixes)
    maybe = sum(fix.judgement == "maybe" for fix in result.fixes)
    units = f"{plural(found, 'bug fix', 'bug fixes') if found else 'no bug fix'}"
    if maybe:
        units += f", {maybe} maybe"
    why = f" ({where.why})" if where.why else ""
    return f"range {_ends(where)}{why}, {plural(where.commits, 'commit')}: {units}"


def _ends(where: Range) -> str:
    head = "(uncommitted)" if where.why == UNCOMMITTED else short(where.head)
    return f"{short(where.base) if where.base else '(start)'}..{head}"


def summary(result: Result) -> str:
    """Return `n of m fixes judged in X s: …`; m leaves out what was out of scope, not in the run or waived.

    Then how many checks of models pass, and of A/B tests, where there are any.
    """
    said = [_of_fixes(result)]
    models = [each.outcome == "pass" for each in result.models or () if each.decides]
    metrics = [each.outcome == "pass" for each in result.experiments or () if each.role != "exploratory"]
    for what, passed in (("model check", models), ("A/B metric", metrics)):
        if passed:
            said.append(f"{sum(passed)} of {plural(len(passed), what)} pass.")
    return " ".join(said)


def _of_fixes(result: Result) -> str:
    fixes = [fix for fix in result.fixes if asked(fix)]
    if not fixes:
        return "0 fixes in the range." if result.range else "0 fixes judged."
    to_judge = sum(fix.status not in EXEMPT for fix in fixes)
    judged = sum(fix.status in DECIDED for fix in fixes)
    parts = []
    for text, statuses in SUMMARY:
        number = sum(fix.status in statuses for fix in fixes)
        if number:
            parts.append(f"{number} {text}")
    linked = sum(fix.status is None and bool(fix.tests) for fix in fixes)
    if linked:
        parts.append(f"{linked} linked")
    details = f": {', '.join(parts)}" if parts else ""
    if not to_judge:
        return f"no fix to judge{details}."
    if linked:  # the linkage alone: no test ran, so nothing was judged
        return f"{plural(to_judge, 'fix', 'fixes')} looked at in {result.timings.total:.1f} s, no test run{details}."
    return f"{judged} of {plural(to_judge, 'fix', 'fixes')} judged in {result.timings.total:.1f} s{details}."


def sentence(test: TestResult) -> str:
    """Return what a linked test did on the two sides, and so what it shows."""
    before = _OUTCOMES.get(test.before or "", test.before or "")
    after = _OUTCOMES.get(test.after or "", test.after or "")
    error = f": {test.before_error}" if test.before_error else ""
    match test.shows:
        case "proven":
            return f"{before or 'fails'} without the fix{error}, passes with it{reach(test.reached)}"
        case "passes-without-fix":
            return "passes without the fix"
        case "existence-only":
            return f"{before or 'fails'} without the fix only because a name is missing{error}"
        case "guard-fails":
            return f"{after or 'fails'} with the fix in place{_because(test)}"
    sides = [f"{before} without the fix"] if before else []
    if after:
        sides.append(f"{after} with it" if sides else f"{after} with the fix")
    if sides:
        return ", ".join(sides) + _because(test)
    if test.why:
        return test.why
    return "linked by " + (", ".join(f"{link.kind} ({link.evidence})" for link in test.links) or "nothing")


def _because(test: TestResult) -> str:
    return f": {test.why}" if test.why else ""


def reach(reached: Reach | None) -> str:
    """Return how many of the changed statements the test runs, as the end of a sentence."""
    if reached is None:
        return ""
    if not reached.of:
        return f"; {reached.note}" if reached.note else ""
    imported = f" ({reached.import_time} at import)" if reached.import_time else ""
    return f"; {reached.ran} of {plural(reached.of, 'changed statement')} run{imported}"


class Fold(NamedTuple):
    """A test, and how many more cases of the same function did the same."""

    test: TestResult
    more: int


def folded(tests: Iterable[TestResult]) -> list[Fold]:
    """Return the tests with parameter cases that did the same on both sides folded into the first."""
    first: dict[tuple[object, ...], TestResult] = {}
    number: dict[tuple[object, ...], int] = {}
    for test in tests:
        path, colons, name = test.id.partition("::")
        key = (path, colons, name.partition("[")[0], test.before, test.after, test.shows)
        first.setdefault(key, test)
        number[key] = number.get(key, 0) + 1
    return [Fold(test, number[key] - 1) for key, test in first.items()]


def deciding(fix: FixResult) -> list[TestResult]:
    """Return the tests that earned the fix its status; all of them where none did."""
    tests = [test for test in fix.tests if test.shows == fix.status] if fix.status else []
    return tests or list(fix.tests)


def edits_line(fix: FixResult) -> str:
    """Return what putting each edit back alone showed; empty where that was not asked."""
    if not fix.edits:
        return ""
    unnoticed = sum(edit.guarded is False for edit in fix.edits)
    open_ = sum(edit.guarded is None for edit in fix.edits)
    text = f"{len(fix.edits) - unnoticed - open_} of {plural(len(fix.edits), 'edit')} noticed when put back alone"
    text += f", {unnoticed} not" if unnoticed else ""
    return text + (f", {open_} not judged" if open_ else "")


def lead_place(lead: Lead) -> str:
    """Return where a lead points: a branch, `path:line`, or `path`."""
    if lead.branch is not None and lead.path is None:
        return lead.branch
    where = lead.path or ""
    where += f":{lead.line}" if lead.line is not None else ""
    return f"{where} on {lead.branch}" if lead.branch is not None else where


def lead_line(lead: Lead) -> str:
    """Return one line on a place that may need a patch too."""
    sure = "shown" if lead.proven else f"{lead.confidence:.0%}"
    return f"{lead.kind} ({sure}) {lead_place(lead)}: {lead.evidence}"


def waiver_line(waiver: WaiverResult) -> str:
    """Return one line on a waiver: rule, what it waives, reason, where it stands, its state."""
    source = waiver.source + (f", until {waiver.expires}" if waiver.expires else "")
    state = "" if waiver.state == "used" else f": {waiver.state}"
    return f"waiver {waiver.rule} of {short(waiver.subject)} ({source}){state}: {waiver.reason}"


def sorted_findings(result: Result) -> Sequence[Finding]:
    """Return the findings that are not switched off, errors first, then by place."""
    return sorted(
        (finding for finding in result.findings if finding.level != "off"),
        key=lambda finding: (
            _LEVELS[finding.level],
            finding.path or "",
            finding.line or 0,
            finding.rule,
            finding.commit or "",
            finding.message,
        ),
    )


def owners(result: Result) -> Mapping[str | None, FixResult]:
    """Return the unit that each commit belongs to."""
    found: dict[str | None, FixResult] = {}
    for fix in result.fixes:
        for commit in (fix.commit, *fix.commits):
            found.setdefault(commit, fix)
    return found


def place(finding: Finding) -> str:
    """Return `path:line`, `path`, or nothing."""
    if finding.path is None:
        return ""
    return finding.path if finding.line is None else f"{finding.path}:{finding.line}"


def split_place(text: str) -> tuple[str, int | None]:
    """Return path and line of `path:line`, or the path alone."""
    path, _, line = text.rpartition(":")
    return (path, int(line)) if path and line.isdecimal() and line.isascii() else (text, None)


def failure_line(test: FlakyTest) -> str:
    """Return what the experiments say of a test that failed in this session."""
    words = ", ".join(test.categories).replace("-", " ") or "not told apart"
    said = "fails every time" if test.categories == ["failing"] else words
    return f"{said}: {test.id}" + (f" ({test.why})" if test.why else "")
