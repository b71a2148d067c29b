"""`bugsle flaky quarantine add | release`: excuse the known errors of a flaky test, until a day.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import BugsleError, ExitCode, UndecidedError, UsageError
from pytest_bugsle.flaky import quarantine as excused
from pytest_bugsle.flaky.command_shared import (
    EVERY_ATTEMPT,
    history_of,
    known_test,
    nearest_test,
    now,
    repo_option,
    say,
    store_option,
)
from pytest_bugsle.report.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.store.questions import PastAttempt

_COMMIT = f"commit {excused.SHOWN}: git add :/{excused.FOLDER} && git commit"
_ISSUE = re.compile(r"https?://[^\s/]+/\S+|[\w./-]*[#!]\d+|[A-Za-z][\w.]*(?:-\w+)*-\d+")


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
@store_option
@repo_option
def quarantine_add(
    id: str, issue: str, owner: str | None, cause: str | None, days: int, store: str | None, repo: Path
) -> int:
    """Quarantine a test that the history has seen pass and fail at one version of the code.

    It still runs. Excused are the errors that it is known by, and nothing else. To renew an entry, the test
    must have failed since.
    """
    if not _ISSUE.fullmatch(issue):
        raise click.BadParameter("it must be a URL, or a reference such as #42.", param_hint="--issue")
    with history_of(repo, store) as (repository, history):
        place = _place(repository)
        entries = excused.read(place)
        test = known_test(history, id)
        past = history.past(test, EVERY_ATTEMPT)
        before = next((entry for entry in entries if entry.id == test), None)
        owner = owner or (before.owner if before else repository.config("user.name")) or ""
    if not owner.strip():
        raise UsageError(
            "nobody owns the entry.", why="git knows no user.name.", hint="name somebody: --owner NAME"
        )
    found = excused.evidence(past)
    today = now().date()
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
    say(
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
@store_option
@repo_option
def quarantine_release(id: str, force: bool, reason: str | None, store: str | None, repo: Path) -> int:
    """Take a test out of the quarantine, once it passed often enough in a row since it was added."""
    if force != bool((reason or "").strip()):
        raise click.UsageError("--force and --reason TEXT go together.")
    with commands.opened(repo) as repository:
        place = _place(repository)
        entries = excused.read(place)
        names = [entry.id for entry in entries]
        test = id if id in names else nearest_test(id, names, "in the quarantine")
        entry = next(entry for entry in entries if entry.id == test)
    past: Sequence[PastAttempt] = ()
    try:
        with history_of(repo, store) as (_, history):
            past = history.past(test, EVERY_ATTEMPT)
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
    say(f"released: {test}", f"    {how} ({counted})", _COMMIT)
    return int(ExitCode.PASS)


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
