"""`bugsle flaky list | show | merge`: what the history holds.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import ExitCode, UndecidedError, UsageError
from pytest_bugsle.flaky import quarantine as excused
from pytest_bugsle.flaky.command_shared import (
    EVERY_ATTEMPT,
    history_of,
    known_test,
    now,
    repo_option,
    store_option,
)
from pytest_bugsle.flaky.rates import LEAST_OVERLAP, Rate
from pytest_bugsle.report import past as told
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.words import plural
from pytest_bugsle.store.records import FIRST_MODE, CodeVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_bugsle.report.terminal import Line
    from pytest_bugsle.store.history import History
    from pytest_bugsle.store.questions import PastAttempt, Tally

_ENOUGH = 1_000
"""Attempts of a test by which it is known which others fail with it."""
_MOST_COMPARED = 200
_DAYS = re.compile(r"\d{1,6}", re.ASCII)


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_verbose = click.option("-v", "--verbose", count=True, help="Name all tests that fail together.")


def _since(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Read a number of days, or a date, as UTC seconds."""
    if value is None:
        return None
    if _DAYS.fullmatch(value):
        return now().timestamp() - int(value) * 86_400
    try:
        return dt.datetime.combine(dt.date.fromisoformat(value), dt.time(), dt.UTC).timestamp()
    except ValueError:
        raise click.BadParameter("it must be a number of days, or a date such as 2030-12-31.") from None


@click.command("list")
@click.option("--since", callback=_since, metavar="DAYS|DATE", help="Leave out what ran before.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show the N worst.")
@_json
@_verbose
@click.option("-q", "--quiet", is_flag=True, help="One line a test.")
@store_option
@repo_option
def list_tests(
    since: float | None,
    limit: int,
    as_json: bool,
    verbose: int,
    quiet: bool,
    store: str | None,
    repo: Path,
) -> int:
    """Rank the flaky tests of the history by what they cost: runs broken, then time.

    A test is flaky when it passed and failed at one version of the code. What failed with every attempt of
    its version is counted and not listed. Tests that fail together are listed once.
    """
    with history_of(repo, store) as (repository, history):
        entries = excused.read(excused.place(repository.top)) if not repository.is_bare else ()
        tallies = history.tallies(since=since)
        if not tallies:
            raise _nothing(history)
        groups = _grouped(
            history, sorted((each for each in tallies if each.mixed_versions), key=_cost(tallies))
        )
    ranking = told.Ranking(
        tests=tuple(_row(group, _whole_run(tallies), entries) for group in groups[:limit]),
        seen=len(tallies),
        unproven=sum(1 for each in tallies if each.failures and not each.mixed_versions),
        hidden=sum(map(len, groups[limit:])),
    )
    _print(ranking, told.list_lines(ranking, verbose - quiet), as_json=as_json)
    return int(ExitCode.PASS)


@click.command("show")
@click.argument("id", metavar="ID")
@click.option(
    "--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Show the last N attempts."
)
@_json
@_verbose
@store_option
@repo_option
def show_test(id: str, limit: int, as_json: bool, verbose: int, store: str | None, repo: Path) -> int:
    """Show the past of a test: its history as a strip, its rate, its errors, its causes.

    The end or a part of an id is enough where only one test has it.
    """
    with history_of(repo, store) as (repository, history):
        entries = excused.read(excused.place(repository.top)) if not repository.is_bare else ()
        test = known_test(history, id)
        past = history.past(test, EVERY_ATTEMPT)
        flaky = [each.test for each in history.tallies() if each.mixed_versions and each.test != test]
        events = _events(past)
        together = [
            other
            for other in flaky[:_MOST_COMPARED]
            if _overlap(events, _events(history.past(other, _ENOUGH))) >= LEAST_OVERLAP
        ]
    entry = next((each for each in entries if each.id == test), None)
    shown = _past(test, past, limit, tuple(together), entry)
    _print(shown, told.show_lines(shown, verbose), as_json=as_json)
    return int(ExitCode.PASS)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@store_option
@repo_option
def merge(files: tuple[Path, ...], store: str | None, repo: Path) -> int:
    """Take the histories of other runs into this one; again does no harm.

    FILE is a `history.db`, such as parallel jobs leave behind. One that cannot be read is named, and the
    others are taken all the same.
    """
    failed = False
    with history_of(repo, store, make=True) as (_, history):
        for path in files:
            try:
                merged = history.merge(path)
            except UsageError as error:
                failed = True
                for line in str(error).splitlines():
                    click.echo(for_terminal(line), err=True)
                continue
            took = f"{plural(merged.runs, 'run')}, {plural(merged.attempts, 'attempt')}"
            if not merged.runs and not merged.attempts:
                took = "nothing new"
            click.echo(for_terminal(f"{path}: {took}"))
    return int(ExitCode.USAGE if failed else ExitCode.PASS)


# --- the history -----------------------------------------------------------------------------------


def _nothing(history: History) -> UndecidedError:
    return UndecidedError(
        f"the history {history.name} holds no test for that time.",
        hint="let one run write it: pytest --bugsle",
    )


def _cost(tallies: Iterable[Tally]) -> Callable[[Tally], tuple[float, float, str]]:
    whole = _whole_run(tallies)
    return lambda each: (-each.runs_broken, -_seconds(each, whole), each.test)


def _whole_run(tallies: Iterable[Tally]) -> float:
    """Return how long a run of all tests takes: the mean of each test's own time in a run."""
    return sum((each.seconds - each.rerun_seconds) / each.runs for each in tallies if each.runs)


def _seconds(tally: Tally, whole: float) -> float:
    return tally.rerun_seconds + tally.runs_broken * whole


def _events(past: Iterable[PastAttempt]) -> frozenset[tuple[str, str]]:
    """Return the runs in which a test failed, each with its error; a failure without one is no event."""
    return frozenset(
        (each.run_id, each.fingerprint)
        for each in past
        if excused.has_failed(each.outcome) and not each.disaster and each.fingerprint
    )


def _overlap(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def _grouped(history: History, ranked: Sequence[Tally]) -> list[list[Tally]]:
    """Put each test behind the first before it that fails in the same runs with the same errors."""
    groups: list[list[Tally]] = []
    firsts: list[frozenset[tuple[str, str]]] = []
    for number, tally in enumerate(ranked):
        events = _events(history.past(tally.test, _ENOUGH)) if number < _MOST_COMPARED else frozenset()
        for group, first in zip(groups, firsts, strict=True):
            if _overlap(events, first) >= LEAST_OVERLAP:
                group.append(tally)
                break
        else:
            groups.append([tally])
            firsts.append(events)
    return groups


def _row(group: Sequence[Tally], whole: float, entries: Iterable[excused.Entry]) -> told.FlakyRow:
    first = group[0]
    entry = next((each for each in entries if each.id == first.test), None)
    rate = Rate(first.first_failures, first.first_attempts, "fixed")
    return told.FlakyRow(
        id=first.test,
        runs_broken=first.runs_broken,
        seconds=round(_seconds(first, whole), 3),
        failures=rate.failures,
        attempts=rate.trials,
        interval=rate.interval() if rate.trials else None,
        versions=first.mixed_versions,
        last_seen=excused.day_of(first.last_seen).isoformat(),
        quarantined=entry.expires.isoformat() if entry else "",
        expired=bool(entry and now().date() > entry.expires),
        together=tuple(each.test for each in group[1:]),
    )


def _past(
    test: str,
    past: Sequence[PastAttempt],
    limit: int,
    together: tuple[str, ...],
    entry: excused.Entry | None,
) -> told.PastTest:
    counted = [each for each in past if not each.disaster and excused.has_failed(each.outcome) is not None]
    failed = [each for each in counted if excused.has_failed(each.outcome)]
    first = [each for each in counted if each.mode == FIRST_MODE and each.attempt == 1]
    rate = Rate(sum(excused.has_failed(each.outcome) is True for each in first), len(first), "fixed")
    ways = Counter(each.mode for each in counted)
    failing = Counter(each.mode for each in failed)
    said = ""
    if entry is not None:
        said = "quarantine ended on" if now().date() > entry.expires else "quarantined until"
        said += f" {entry.expires} (owner {entry.owner}, {entry.issue})"
    return told.PastTest(
        id=test,
        failures=rate.failures,
        attempts=rate.trials,
        interval=rate.interval() if rate.trials else None,
        mixed=excused.evidence(past).mixed,
        versions=tuple(_versions(past[-limit:])),
        hidden=max(0, len(past) - limit),
        modes=tuple(
            told.ModeCount(mode=mode, failures=failing[mode], attempts=ways[mode]) for mode in sorted(ways)
        ),
        errors=tuple(sorted(Counter(each.fingerprint for each in failed).items(), key=lambda pair: -pair[1])),
        together=together,
        cause=entry.cause if entry else "",
        quarantine=said,
    )


def _versions(past: Iterable[PastAttempt]) -> Iterator[told.PastVersion]:
    """Group attempts by version and run; code that is not known is equal to no other."""
    for _, attempts in groupby(past, key=lambda each: each.version if each.version.tree else each.run_id):
        runs, version = [], CodeVersion()
        for _, of_run in groupby(attempts, key=lambda each: each.run_id):
            tried = list(of_run)
            version = tried[0].version
            runs.append(
                told.PastRun(
                    started=excused.day_of(tried[0].started).isoformat(),
                    suite=tuple(each.outcome for each in tried if each.mode == FIRST_MODE),
                    tried=tuple(each.outcome for each in tried if each.mode != FIRST_MODE),
                    disaster=tried[0].disaster,
                )
            )
        yield told.PastVersion(tree=version.tree, dirty=bool(version.dirty), runs=tuple(runs))


# --- the quarantine --------------------------------------------------------------------------------


def _print(value: told.Ranking | told.PastTest, lines: Iterable[Line], *, as_json: bool) -> None:
    if as_json:
        click.echo(told.in_json(value))
    else:
        commands.print_lines(lines, ())
