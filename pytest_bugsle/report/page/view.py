"""What the page says of a result before its sections do: the verdict, why, and what is there.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pytest_bugsle.report.flaky import varies
from pytest_bugsle.report.page.delivery import key_figures
from pytest_bugsle.report.page.experiments import experiments_of
from pytest_bugsle.report.page.models import gates_of, models_of
from pytest_bugsle.report.words import (
    DECIDED,
    EXEMPT,
    SUMMARY,
    VERDICTS,
    asked,
    deciding,
    plural,
    range_line,
    short,
    sorted_findings,
)
from pytest_bugsle.results import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_bugsle.results import FixResult, FlakyTest, Result, TestResult

_MOST_REASONS = 3
#: The tone of a status: what is good, bad, open, and of no weight.
TONES: Mapping[str, str] = {
    "proven": "good",
    "passes-without-fix": "bad",
    "no-test": "bad",
    "guard-fails": "bad",
    "existence-only": "warn",
    "undecided": "warn",
    "pass": "good",
    "fail": "bad",
    "invalid": "bad",
    "error": "bad",
    "warning": "warn",
    "info": "mute",
    "held": "good",
    "weakened": "bad",
}
_SEVERITY: Mapping[str, int] = {"bad": 0, "warn": 1, "good": 2, "mute": 3}


class Fact(NamedTuple):
    """A figure of the first lines: how many, of what, and its tone."""

    number: str
    text: str
    tone: str = "mute"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its template, its heading, and how many it holds (None: not to be counted)."""

    id: str
    title: str
    count: int | None = None


def tone(status: str | None) -> str:
    """Return the tone of a status, a level or a verdict."""
    return TONES.get(status or "", "mute")


def ordered(result: Result) -> list[FixResult]:
    """Return the units to show, what needs work first; units judged to be no fix are left out."""
    shown = [fix for fix in result.fixes if asked(fix) or fix.judgement == "maybe"]
    return sorted(shown, key=lambda fix: (not asked(fix), _SEVERITY[tone(fix.status)]))


def beside(fix: FixResult) -> list[TestResult]:
    """Return the tests that did not decide the fix's status."""
    decided = {test.id for test in deciding(fix)}
    return [test for test in fix.tests if test.id not in decided]


def tests_of(result: Result) -> list[FlakyTest]:
    """Return the tests that were tried again, those that vary first."""
    tests = result.tests if isinstance(result.tests, list) else []
    return sorted(tests, key=lambda test: not is_loud(test))


def is_loud(test: FlakyTest) -> bool:
    """Say whether a test showed more than one outcome."""
    return varies(test) and test.categories not in (["stable"], ["failing"])


def reasons(result: Result) -> tuple[list[str], int]:
    """Return why the verdict is what it is, a few lines, and how many more there are."""
    findings = sorted_findings(result)
    errors = [finding.message for finding in findings if finding.level == "error"]
    warnings = [finding.message for finding in findings if finding.level == "warning"]
    match result.verdict:
        case "fail":
            said = errors
        case "undecided":
            open_ = [fix.why for fix in result.fixes if fix.status == "undecided" and fix.why]
            said = errors or list(dict.fromkeys(open_)) or list(result.notes) or warnings
        case _:
            said = warnings
    return said[:_MOST_REASONS], max(0, len(said) - _MOST_REASONS)


def title(result: Result) -> tuple[str, str]:
    """Return the page's heading and its tone: the verdict, but for a list of hotspots, which judges nothing."""
    if isinstance(result.hotspots, list) and result.verdict == "pass" and not result.fixes:
        return "Hotspots", "mute"
    return VERDICTS[result.verdict], "warn" if result.verdict == "undecided" else tone(result.verdict)


def headline(result: Result) -> str:
    """Return what was looked at, in one line and without the seconds, which differ from run to run."""
    if isinstance(result.audit, msgspec.UnsetType) and result.fixes:
        to_judge = sum(asked(fix) and fix.status not in EXEMPT for fix in result.fixes)
        judged = sum(fix.status in DECIDED for fix in result.fixes)
        linked = any(fix.status is None and fix.tests for fix in result.fixes)
        if linked:  # the linkage alone: no test ran, so nothing was judged
            return f"{plural(to_judge, 'fix', 'fixes')} looked at, no test run; {range_line(result)}"
        return f"{judged} of {plural(to_judge, 'fix', 'fixes')} judged; {range_line(result)}"
    if result.range is None:
        return ""
    if not result.fixes and not isinstance(result.hotspots, msgspec.UnsetType):
        where = result.range
        return f"{where.why}, {plural(where.commits, 'commit')} up to {short(where.head)}"
    return range_line(result)


def facts(result: Result) -> Iterator[Fact]:
    """Yield the figures of the first lines."""
    for text, statuses in SUMMARY:
        number = sum(fix.status in statuses for fix in result.fixes)
        if number:
            yield Fact(str(number), text, tone(statuses[0]))
    if not isinstance(result.audit, msgspec.UnsetType) and result.audit.total.share is not None:
        yield Fact(f"{percent(result.audit.total.share)} %", "of judged fixes held", "mute")
    tests = tests_of(result)
    if tests:
        varying = sum(map(is_loud, tests))
        yield Fact(str(varying), f"of {plural(len(tests), 'test')} vary", "bad" if varying else "good")
    outcomes = [one.outcome for one in experiments_of(result)]
    for outcome in ("pass", "fail", "undecided", "invalid"):
        if number := outcomes.count(outcome):
            yield Fact(str(number), f"of {plural(len(outcomes), 'metric')} {outcome}", tone(outcome))
    checks: list[str] = [one.outcome for one in models_of(result) if one.decides]
    for outcome in ("pass", "fail", "undecided", "invalid"):
        if number := checks.count(outcome):
            yield Fact(str(number), f"of {plural(len(checks), 'model check')} {outcome}", tone(outcome))
    for name, value in key_figures(result):
        yield Fact(value, name)
    levels = [finding.level for finding in result.findings]
    for level in ("error", "warning"):
        if number := levels.count(level):
            yield Fact(str(number), level if number == 1 else f"{level}s", tone(level))


def sections(result: Result) -> Iterator[Section]:
    """Yield the parts that this result fills, in their order on the page."""
    if isinstance(result.delivery, Delivery):
        yield Section("delivery", "Delivery")
    audited = not isinstance(result.audit, msgspec.UnsetType)
    if audited:
        yield Section("audit", "Audit of the history")
    shown = len(ordered(result))
    if shown and not audited:
        yield Section("fixes", "Fixes and their proofs", shown)
    if metrics := len(experiments_of(result)):
        yield Section("experiments", "A/B tests: may it ship?", metrics)
    if gates := len(gates_of(result)):
        yield Section("models", "Models: may they ship?", gates)
    if leads := sum(len(fix.what_else) for fix in result.fixes):
        yield Section("leads", "What else needs a patch?", leads)
    if isinstance(result.tests, list) and result.tests:
        loud = sum(map(is_loud, result.tests))
        yield Section(
            "tests", "Tests that vary" if loud else "Tests that were tried", loud or len(result.tests)
        )
    if found := len(sorted_findings(result)):
        yield Section("findings", "Findings", found)
    if shown and audited:  # the shares say more than hundreds of fixes, one by one
        yield Section("fixes", "Fixes and their proofs", shown)
    if not isinstance(result.hotspots, msgspec.UnsetType) and result.hotspots:
        yield Section("hotspots", "Hotspots", len(result.hotspots))
    if result.waivers or result.notes:
        yield Section("notes", "Waivers and notes", len(result.waivers) + len(result.notes))


def percent(share: float) -> str:
    """Return a share in percent; one that is not quite all, or not quite nothing, does not read as that."""
    whole = round(100 * share)
    return f"{100 * share:.1f}" if whole in (0, 100) and share not in (0.0, 1.0) else str(whole)
