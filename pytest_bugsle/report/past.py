"""What the history says of tests: the ranking of flaky ones, and the past of one.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.terminal import MOST_TEXT, Line, Style
from pytest_bugsle.report.words import plural
from pytest_bugsle.results import OUTCOME_MARKS
from pytest_bugsle.stats.power import RARE, percent, runs_to_see, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MEANINGS: Mapping[str, str] = {
    ".": "passed",
    "F": "failed",
    "E": "error in setup or teardown",
    "x": "failed as expected",
    "X": "passed unexpectedly",
    "s": "skipped",
    "T": "timed out",
    "!": "died",
    "?": "anything else",
    "[ ]": "more than one attempt in a run",
    "/": "tried again on purpose",
    "( )": "a run in which most tests failed, not counted",
}
_WIDTH = 72
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FlakyRow:
    """One flaky test of the history; `failures` of `attempts` are of the suite's first attempts.

    `runs_broken` are runs that it failed though the same code also passed, `seconds` what it cost: its reruns
    and, for each broken run, the time of a whole one. `interval` is Wilson's of 95 %, null without an attempt.
    `versions` of the code saw both outcomes. `together` are flaky tests that fail in the same runs with the
    same errors. Dates are ISO days; `quarantined` is the last day of its quarantine, empty without one.
    """

    id: str
    runs_broken: int
    seconds: float
    failures: int
    attempts: int
    interval: tuple[float, float] | None
    versions: int
    last_seen: str
    quarantined: str = ""
    expired: bool = False
    together: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Flaky tests, worst first, without the `hidden` last ones; `seen` tests are in the history.

    `unproven` tests failed and are not listed: no version of the code saw both outcomes.
    """

    tests: tuple[FlakyRow, ...]
    seen: int
    unproven: int
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """The outcomes of one test in one run: as the suite ran, and as it was tried again on purpose."""

    started: str
    suite: tuple[str, ...]
    tried: tuple[str, ...]
    disaster: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PastVersion:
    """Runs of one version of the code, oldest first; `tree` is empty where the code is not known."""

    tree: str
    dirty: bool
    runs: tuple[PastRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeCount:
    """How often the test failed when it was run in one way."""

    mode: str
    failures: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTest:
    """The past of one test: `failures` of `attempts` are of the suite's first attempts.

    `errors` are fingerprints of its failures with their counts, '' for errors not known. `quarantine` says
    until when and why it is quarantined, empty if it is not.
    """

    id: str
    failures: int
    attempts: int
    interval: tuple[float, float] | None
    mixed: int
    versions: tuple[PastVersion, ...]
    hidden: int
    modes: tuple[ModeCount, ...]
    errors: tuple[tuple[str, int], ...]
    together: tuple[str, ...] = ()
    cause: str = ""
    quarantine: str = ""


def in_json(value: Ranking | PastTest) -> str:
    """Return it as JSON in ASCII, so that ids which no encoding can hold come through."""
    return json.dumps(msgspec.to_builtins(value), indent=2)


def list_lines(ranking: Ranking, verbosity: int = 0) -> list[Line]:
    """Return the lines of a ranking: below 0 one a test, above 0 all names of tests that fail together."""
    report: list[Line] = []
    for row in ranking.tests:
        style: Style = "dim" if row.quarantined and not row.expired else "red"
        cost = f"{plural(row.runs_broken, 'run')} broken, about {_time(row.seconds)}"
        report.append(_line(f"{cost}: {row.id}", style))
        if verbosity < 0:
            continue
        report.append(
            _line(
                f"    {_counted(row.failures, row.attempts, row.interval)}, both outcomes at "
                f"{plural(row.versions, 'version')} of the code, last run {row.last_seen}"
            )
        )
        if row.together:
            report.append(_line(f"    fails together with {_names(row.together, verbosity)}"))
        if row.quarantined:
            said = "ended on" if row.expired else "until"
            report.append(_line(f"    quarantined, {said} {row.quarantined}", "yellow"))
    if ranking.hidden:
        report.append(_line(f"and {plural(ranking.hidden, 'more test')}: --limit shows them", "dim"))
    if ranking.unproven and verbosity >= 0:
        what = plural(ranking.unproven, "test")
        report.append(_line(f"{what} failed and never passed with the same code: that is not flaky", "dim"))
    shown = len({name for row in ranking.tests for name in (row.id, *row.together)}) + ranking.hidden
    report.append(
        _line(
            f"{shown} flaky of {plural(ranking.seen, 'test')} in the history.",
            "red" if shown else "green",
        )
    )
    return report


def show_lines(past: PastTest, verbosity: int = 0) -> list[Line]:
    """Return the lines of one test's past: above 0 all names of tests that fail together."""
    report = [_line(past.id, "red" if past.mixed else None)]
    if past.hidden:
        report.append(
            _line(f"  {plural(past.hidden, 'earlier attempt')} not shown: --limit shows them", "dim")
        )
    strip = list(_strip(past.versions))
    report += [_line(f"  {day}  {text}") for day, text in strip]
    used = {mark for _, text in strip for mark in text}
    legend = [f"{mark} {meaning}" for mark, meaning in _MEANINGS.items() if mark[0] in used]
    report.append(_line(f"  {', '.join(legend)}; one word for each version of the code", "dim"))
    report.append(_line(f"{_counted(past.failures, past.attempts, past.interval)}{_power(past)}"))
    if past.mixed:
        report.append(_line(f"flaky: both outcomes at {plural(past.mixed, 'version')} of the code", "red"))
    elif any(count.failures for count in past.modes):
        report.append(_line("it failed, and never passed with the same code: that is not flaky"))
    counts = (f"{count.mode} {count.failures} of {count.attempts}" for count in past.modes)
    report.append(_line(f"failed, by how it was run: {', '.join(counts) or 'it was never run'}"))
    report += [
        _line(f"error {fingerprint or '(not known)'}: {plural(count, 'time')}")
        for fingerprint, count in past.errors
    ]
    if past.together:
        report.append(_line(f"fails together with {_names(past.together, verbosity)}"))
    if past.cause:
        report.append(_line(f"cause: {past.cause}"))
    if past.quarantine:
        report.append(_line(past.quarantine, "yellow"))
    return report


def _strip(versions: Sequence[PastVersion]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a strip, each with the day on which it begins."""
    line, day = "", ""
    for version in versions:
        word = "".join(map(_run, version.runs))
        for start in range(0, len(word), _WIDTH):
            part = word[start : start + _WIDTH]
            if line and len(line) + 1 + len(part) > _WIDTH:
                yield day, line
                line = ""
            day = day if line else version.runs[0].started
            line = f"{line} {part}" if line else part
    if line:
        yield day, line


def _run(run: PastRun) -> str:
    suite, tried = (
        "".join(OUTCOME_MARKS.get(outcome, "?") for outcome in outcomes)
        for outcomes in (run.suite, run.tried)
    )
    word = f"{suite}/{tried}" if tried else suite
    if run.disaster:
        return f"({word})"
    return f"[{word}]" if len(word) > 1 else word


def _power(past: PastTest) -> str:
    if not past.attempts:
        return ""
    if not past.failures:
        return f"; {sentence(past.attempts, RARE)}"
    runs = runs_to_see(past.failures / past.attempts)
    return f"; at that rate {plural(runs, 'run')} would show a failure 95 times in 100"


def _counted(failures: int, attempts: int, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "no first attempt in a suite"
    low, high = map(percent, interval)
    return f"failed {failures} of {plural(attempts, 'first attempt')} (95 %: {low} to {high})"


def _names(names: Sequence[str], verbosity: int) -> str:
    most = len(names) if verbosity > 0 else _MOST_NAMES
    more = f" and {len(names) - most} more (-v)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _time(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _line(text: str, style: Style | None = None) -> Line:
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT - 1] + "…"
    return Line(for_terminal(text), style)
