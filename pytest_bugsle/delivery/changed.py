"""Read what the commits of a window changed, and the runs of the suite, for the causes of its figures.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_bugsle.delivery.figures import outline
from pytest_bugsle.delivery.why import Changed, SuiteRun, causes, links_of, wanted_commits
from pytest_bugsle.git.diff import parse_raw
from pytest_bugsle.git.stream import PINNED
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.place import state_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_bugsle.delivery.figures import Wanted
    from pytest_bugsle.delivery.gather import History
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.results import DeliveryCauses, Failure

_FIELDS = ("%H", "%aN", "%aE", "%s", "%b")
_LOG = (
    "log",
    "--no-walk=unsorted",
    "--stdin",
    "-z",
    "--format=tformat:" + "%x00".join(_FIELDS),
    "--no-notes",
)
#: Renames are not looked for: a folder that loses a file is changed by that, too.
_DIFF = ("diff-tree", "--stdin", "--root", "-r", "-z", "--raw", "--no-abbrev", "--no-renames")


def causes_of(
    repo: Repository, history: History, wanted: Wanted, failures: Sequence[Failure], store: str | None
) -> DeliveryCauses:
    """Return the causes of a window's figures; ProgramError where trees were not fetched.

    Two calls of git, over the commits of the window and of the year alone.
    """
    graph = history.graph
    view = outline(graph, history.head, history.deployments, wanted, history.only)
    commits = {*wanted_commits(graph, view)}
    for link in links_of(graph, view, failures):
        commits |= {commit for commit in (link.cause, link.fix) if commit is not None}
    changed = read_changed(repo, history, sorted(commits))
    return causes(graph, view, failures, changed, suite_runs(repo, store, view.start), bots=wanted.bots)


def read_changed(repo: Repository, history: History, commits: Sequence[int]) -> dict[int, Changed]:
    """Return what some commits are and which paths they changed against their first parent."""
    graph = history.graph
    if not commits:
        return {}
    asked = "".join(f"{graph.shas[commit]}\n" for commit in commits).encode()
    paths: dict[str, list[str]] = {}
    for sha, change in parse_raw(repo.run(*_DIFF, input=asked, env=PINNED)):
        paths.setdefault(sha, []).append(change.path)
    fields = repo.run(*_LOG, input=asked, env=PINNED).decode("utf-8", "surrogateescape").split("\0")
    found = {}
    width = len(_FIELDS)
    for start in range(0, len(fields) - width + 1, width):
        sha, author, email, subject, body = fields[start : start + width]
        found[graph.index[sha]] = Changed(author, email, subject, body, tuple(paths.get(sha, ())))
    return found


def history_place(repo: Repository, store: str | None) -> Path | str | None:
    """Return where the history of the tests is kept: the team's URL, else our file; None where there is none."""
    if store:
        return store
    folder = state_folder(repo.top, bare=repo.is_bare)
    place = folder / "history.db" if folder is not None else None
    return place if place is not None and place.exists() else None


def suite_runs(repo: Repository, store: str | None, since: float) -> list[SuiteRun]:
    """Return the runs of the suite that the history of tests has; none where there is no such history."""
    place = history_place(repo, store)
    if place is None:
        return []
    from pytest_bugsle.store.history import open_history

    try:
        with open_history(place) as kept:
            return [SuiteRun(*run) for run in kept.suites(since)]
    except StoreError:  # the figures of the repository stand without it
        return []
