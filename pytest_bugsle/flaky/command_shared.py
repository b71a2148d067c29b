"""What the commands on the history share: where it is, and which test a name means.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import difflib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import UndecidedError, UsageError
from pytest_bugsle.flaky.attempts import stable_id
from pytest_bugsle.flaky.version import anything_kept, open_kept
from pytest_bugsle.report.escape import for_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.store.history import History

EVERY_ATTEMPT = 100_000
"""More attempts of one test than any history holds."""

repo_option = click.option(
    "--repo",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository (default: here).",
)
store_option = click.option(
    "--store", metavar="URL", help="The history in this PostgreSQL, not .bugsle/history.db."
)


@contextmanager
def history_of(repo: Path, store: str | None, *, make: bool = False) -> Iterator[tuple[Repository, History]]:
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


def known_test(history: History, name: str) -> str:
    """Return the test that a name means; UsageError with what is near where that is not clear."""
    for id_ in (name, stable_id(name)):
        if history.past(id_, 1):
            return id_
    return nearest_test(name, [tally.test for tally in history.tallies()], "in the history")


def nearest_test(name: str, names: Sequence[str], where: str) -> str:
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


def say(*lines: str) -> None:
    """Print lines, with what strangers wrote in them escaped."""
    for line in lines:
        click.echo(for_terminal(line))


def now() -> dt.datetime:
    """Return this moment in UTC."""
    return dt.datetime.now(tz=dt.UTC)
