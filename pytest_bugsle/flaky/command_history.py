"""`bugsle flaky list | show | merge | quarantine …`: what the history holds, and what it excuses.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections import Counter
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import BugsleError, ExitCode, UndecidedError, UsageError
from pytest_bugsle.flaky import quarantine as excused
from pytest_bugsle.flaky.attempts import stable_id
from pytest_bugsle.flaky.rates import LEAST_OVERLAP, Rate
from pytest_bugsle.flaky.version import anything_kept, open_kept
from pytest_bugsle.report import past as told
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.words import plural
from pytest_bugsle.store.records import FIRST_MODE, CodeVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.report.terminal import Line
    from pytest_bugsle.store.history import History
    from pytest_bugsle.store.questions import PastAttempt, Tally

_EVERY_ATTEMPT = 100_000
_ENOUGH = 1_000
"""Attempts of a test by which it is known which others fail with it."""
_MOST_COMPARED = 200
_COMMIT = f"commit {excused.SHOWN}: git add :/{excused.FOLDER} && git commit"
_DAYS = re.compile(r"\d{1,6}", re.ASCII)
_ISSUE = re.compile(r"https?://[^\s/]+/\S+|[\w./-]*[#!]\d+|[A-Za-z][\w.]*(?:-\w+)*-\d+")

_repo = click.option(
    "--repo",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository (default: here).",
)
_store = click.option(
    "--store", metavar="URL", help="The history in this PostgreSQL, not .bugsle/history.db."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_verbose = click.option("-v", "--verbose", count=True, help="Name all tests that fail together.")


def _since(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Read a number of days, or a date, as UTC seconds."""
    if value is None:
        return None
    if _DAYS.fullmatch(value):
        return _now().timestamp() - int(value) * 86_400
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
@_store
@_repo
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
    with _history(repo, store) as (repository, history):
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
@_store
@_repo
def show_test(id: str, limit: int, as_json: bool, verbose: int, store: str | None, repo: Path) -> int:
    """Show the past of a test: its history as a strip, its rate, its errors, its causes.

    The end or a part of an id is enough where only one test has it.
    """
    with _history(repo, store) as (repository, history):
        entries = excused.read(excused.place(repository.top)) if not repository.is_bare else ()
        test = _known(history, id)
        past = history.past(test, _EVERY_ATTEMPT)
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
@_store
@_repo
def merge(files: tuple[Path, ...], store: str | None, repo: Path) -> int:
    """Take the histories of other runs into this one; again does no harm.

    FILE is a `history.db`, such as parallel jobs leave behind. One that cannot be read is named, and the
    others are taken all the same.
    """
    failed = False
    with _history(repo, store, make=True) as (_, history):
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


@click.group()
def quarantine() -> None:
    """Excuse a flaky test's known errors until a day, in a file that is reviewed."""


@quarantine.command("add")
@click.argument("id", metavar="ID")
@click.option("--issue", required=True, metavar="URL|#42", help="Where its repair is followed up.")
@click.option("--owner", metavar="NAME", help="Who sees to it (default: git's user.name).")
@click.option("--cause", metavar="TEXT", help="Why it is flaky, as far as that is known.")
@click.option(
    "--days", type=click.IntRange(1, excused.LONGEST), default=excused.LONGEST, show_default=True,
    help="How long.",
)  # fmt: skip
@_store
@_repo
def quarantine_add(
    id: str, issue: str, owner: str | None, cause: str | None, days: int, store: str | None, repo: Path
) -> int:
    """Quarantine a test that the history has seen pass and fail at one version of the code.

    It still runs. Excused are the errors that it is known by, and nothing else. To renew an entry, the test
    must have failed since.
    """
    if not _ISSUE.fullmatch(issue):
        raise click.BadParameter("it must be a URL, or a reference such as #42.", param_hint="--issue")
    with _history(repo, store) as (repository, history):
        place = _place(repository)
        entries = excused.read(place)
        test = _known(history, id)
        past = history.past(test, _EVERY_ATTEMPT)
        before = next((entry for entry in entries if entry.id == test), None)
        owner = owner or (before.owner if before else repository.config("user.name")) or ""
    if not owner.strip():
        raise UsageError(
            "nobody owns the entry.", why="git knows no user.name.", hint="name somebody: --owner NAME"
        )
    found = excused.evidence(past)
    today = _now().date()
    _refuse(test, found, before, today)
    entry = excused.Entry(
        id=test,
        cause=cause if cause is not None else before.cause if before else "",
        failures=found.failures,
        attempts=found.attempts,
        fingerprints=found.fingerprints,
        owner=owner,
        issue=issue,
        added=today,
        expires=today + dt.timedelta(days=days),
    )
    excused.write(place, [entry, *(each for each in entries if each.id != test)])
    _say(
        f"{'renewed' if before else 'added'}: {test}",
        f"    failed {found.failures} of {found.attempts} attempts, with "
        f"{plural(len(found.fingerprints), 'error')} that {'is' if len(found.fingerprints) == 1 else 'are'} "
        f"excused until {entry.expires}; owner {owner}, {issue}",
        _COMMIT,
    )
    return int(ExitCode.PASS)


@quarantine.command("release")
@click.argument("id", metavar="ID")
@click.option("--force", is_flag=True, help="Release it though it is not shown to be stable.")
@click.option("--reason", metavar="TEXT", help="With --force: why.")
@_store
@_repo
def quarantine_release(id: str, force: bool, reason: str | None, store: str | None, repo: Path) -> int:
    """Take a test out of the quarantine, once it passed often enough in a row since it was added."""
    if force != bool((reason or "").strip()):
        raise click.UsageError("--force and --reason TEXT go together.")
    with commands.opened(repo) as repository:
        place = _place(repository)
        entries = excused.read(place)
        names = [entry.id for entry in entries]
        test = id if id in names else _nearest(id, names, "in the quarantine")
        entry = next(entry for entry in entries if entry.id == test)
    past: Sequence[PastAttempt] = ()
    try:
        with _history(repo, store) as (_, history):
            past = history.past(test, _EVERY_ATTEMPT)
    except BugsleError:
        if not force:
            raise
    seen = excused.recovery(past, entry.added)
    counted = (
        f"since it was added on {entry.added} it failed {plural(seen.failures, 'time')}, "
        f"and then passed {plural(seen.passes, 'time')}"
        if seen.failures
        else f"since it was added on {entry.added} it passed {plural(seen.passes, 'time')}"
    )
    if not seen.is_shown and not force:
        raise UndecidedError(
            f"{test} is not shown to be stable: {plural(seen.needed - seen.passes, 'more straight pass', 'more straight passes')} needed.",
            why=f"{counted}; {seen.needed} in a row show, with an error of at most 5 %, that it fails less than "
            "once in 20 times.",
            hint="let the suite run with --bugsle, or release it all the same: --force --reason TEXT",
        )
    excused.write(place, [each for each in entries if each.id != test])
    how = f"by force: {reason}" if force and not seen.is_shown else "it is shown to be stable"
    _say(f"released: {test}", f"    {how} ({counted})", _COMMIT)
    return int(ExitCode.PASS)


# --- the history -----------------------------------------------------------------------------------


@contextmanager
def _history(repo: Path, store: str | None, *, make: bool = False) -> Iterator[tuple[Repository, History]]:
    """Open the history that holds here; UndecidedError where there is none yet, unless it is made."""
    with commands.opened(repo) as repository:
        url = commands.settings_of(repo, repository, store=store).store
        there = bool(url) and ("://" in str(url) or Path(str(url)).exists())
        if not make and not there and (url or not anything_kept(repository)):
            raise UndecidedError(
                f"there is no history of tests in {repository.top} yet.",
                hint="let one run write it: pytest --bugsle",
            )
        with open_kept(repository, url) as history:
            try:
                yield repository, history
            finally:
                for note in history.notes:
                    click.echo(for_terminal(f"note: {note}"), err=True)


def _nothing(history: History) -> UndecidedError:
    return UndecidedError(
        f"the history {history.name} holds no test for that time.",
        hint="let one run write it: pytest --bugsle",
    )


def _known(history: History, name: str) -> str:
    """Return the test that a name means; UsageError with what is near where that is not clear."""
    for id_ in (name, stable_id(name)):
        if history.past(id_, 1):
            return id_
    return _nearest(name, [tally.test for tally in history.tallies()], "in the history")


def _nearest(name: str, names: Sequence[str], where: str) -> str:
    """Return the one test of which `name` is the end, or else a part."""
    tests: tuple[Callable[[str], bool], ...] = (
        lambda each: each.endswith((f"::{name}", f"/{name}")),
        lambda each: each.endswith(name),
        lambda each: name in each,
    )
    found: list[str] = []
    for test in tests:
        found = [each for each in names if test(each)] if name else []
        if len(found) == 1:
            return found[0]
        if found:
            break
    near = found or difflib.get_close_matches(name, names, n=3)
    what = f"{len(found)} tests {where} are called {name}." if found else f"there is no test {name} {where}."
    more = f" and {len(near) - 5} more" if len(near) > 5 else ""
    raise UsageError(
        what,
        hint=f"{'name one' if found else 'did you mean'}: {', '.join(near[:5])}{more}"
        if near
        else "the names are in: bugsle flaky list",
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
        expired=bool(entry and _now().date() > entry.expires),
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
        said = "quarantine ended on" if _now().date() > entry.expires else "quarantined until"
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


def _refuse(
    test: str,
    found: excused.Evidence,
    before: excused.Entry | None,
    today: dt.date,
) -> None:
    """Raise UndecidedError where the history does not show what an entry claims (BUG205)."""
    again = f"run it more often: pytest --bugsle, or look on purpose: bugsle flaky hunt --suspect {test}"
    why = "what is excused without evidence may be a real failure (BUG205)."
    if not found.mixed:
        raise UndecidedError(
            f"{test} is not shown to be flaky: no version of the code saw it pass and fail.",
            why=why,
            hint=again,
        )
    if not found.fingerprints:
        raise UndecidedError(
            f"{test} has no error that could be excused: a crash and an error in setup or teardown never are.",
            why=why,
            hint="mend what makes it crash or its fixtures fail",
        )
    if before is not None and found.last <= before.added:
        raise UndecidedError(
            f"{test} did not fail since it was quarantined on {before.added}: there is no reason to renew that.",
            why=why,
            hint=f"release it: bugsle flaky quarantine release {test}",
        )
    if (today - found.last).days > excused.LONGEST:
        raise UndecidedError(
            f"{test} was not flaky since {found.last}, more than {excused.LONGEST} days ago.",
            why=why,
            hint=again,
        )


def _place(repository: Repository) -> Path:
    if repository.is_bare:
        raise UsageError(
            f"{repository.top} is a bare repository.",
            why="the quarantine is a file of the work tree.",
            hint="name a work tree by --repo PATH",
        )
    return excused.place(repository.top)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(for_terminal(line))


def _print(value: told.Ranking | told.PastTest, lines: Iterable[Line], *, as_json: bool) -> None:
    if as_json:
        click.echo(told.in_json(value))
    else:
        commands.print_lines(lines, ())


def _now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)
