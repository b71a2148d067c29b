"""Join change failures to the proofs of their fixes: those of the ledger, of earlier audits, and new ones.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pytest_bugsle import audits
from pytest_bugsle.delivery.changed import history_place
from pytest_bugsle.delivery.sources import read_records
from pytest_bugsle.regression.record import audit, by_commit, ledger
from pytest_bugsle.results import FlakyGuard
from pytest_bugsle.store.cache import open_cache
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.place import state_folder

if TYPE_CHECKING:
    from pytest_bugsle.delivery.guarded import Status
    from pytest_bugsle.gate import Request
    from pytest_bugsle.git.repository import Repository

_AT_ONCE = 500
"""Commits on one command line."""


def known(repo: Repository, fixes: Collection[str]) -> dict[str, Status]:
    """Return what is known of these fixes (full names), without a run: of an audit or a proof, else of the ledger."""
    found: dict[str, Status] = {}
    written = None if repo.is_bare else ledger.read(ledger.place(repo.top))
    if written is not None:
        found |= {commit: "unguarded" for commit in fixes if commit in written.debt}
        found |= {commit: "guarded" for commit in fixes if commit in written.guards}
    records = read_records(repo)
    folder = state_folder(repo.top, bare=repo.is_bare)
    cache, _ = open_cache(folder, lambda path: not repo.is_bare and records.tracks(path))
    for commit, is_held in by_commit.held_commits(cache).items():
        if commit in fixes:
            found[commit] = "guarded" if is_held else "unguarded"
    return found


def flaky_guards(repo: Repository, store: str | None) -> list[FlakyGuard] | None:
    """Return the ledger's guards that failed and passed at one version of the code, those that guard most first.

    Of a test with parameters the one that flickers most speaks. None where there is no ledger, or no history of the tests' runs.
    """
    written = None if repo.is_bare else ledger.read(ledger.place(repo.top))
    place = history_place(repo, store)
    if written is None or place is None:
        return None
    fixes: dict[str, list[str]] = {}
    for commit, guard in written.guards.items():
        for test in guard.tests:
            fixes.setdefault(test, []).append(commit)
    try:
        with open_history(place) as history:
            tallies = history.tallies()
    except StoreError:  # the causes stand without it
        return None
    found: dict[str, FlakyGuard] = {}
    for tally in tallies:
        name = tally.test.partition("[")[0]
        if name in fixes and tally.mixed_versions:
            before = found.get(name)
            found[name] = FlakyGuard(
                test=name,
                fixes=sorted(fixes[name]),
                versions=max(tally.mixed_versions, before.versions if before else 0),
                broken=max(tally.runs_broken, before.broken if before else 0),
                runs=max(tally.runs, before.runs if before else 0),
            )
    return sorted(found.values(), key=lambda one: (-len(one.fixes), -one.broken, one.test))


def proven(
    request: Request, repo: Repository, fixes: Collection[str], budget: float | None
) -> tuple[dict[str, Status], list[str]]:
    """Prove these fixes, each at its own commit; and say of how many nothing is known all the same.

    An audit proves what HEAD contains; the fixes of other lines stay unknown. `budget` is in seconds.
    """
    wanted = audits.Wanted(
        request=request, since=_before(repo, fixes), only=frozenset(fixes), budget=budget, branches=False
    )
    with audits.prepare(wanted) as found:
        result = audits.finish(found)
        trouble = found.plan.trouble
    request.say("")
    statuses: dict[str, Status] = {}
    for fix in result.fixes:
        if audit.is_held(fix) or audit.is_unheld(fix):
            status: Status = "guarded" if audit.is_held(fix) else "unguarded"
            statuses |= {commit: status for commit in (fix.commit, *fix.commits) if commit in fixes}
    said = [] if trouble is None else [f"--prove: {trouble.what}"]
    left = len(fixes) - len(statuses)
    if left:
        said.append(f"--prove: of {left} of {len(fixes)} fixes nothing is known, see `bugsle audit`")
    return statuses, said


def _before(repo: Repository, fixes: Collection[str]) -> str | None:
    """Return a commit that is older than all of the fixes, so that no more history is read than need be."""
    oldest, *others = sorted(fixes)
    for start in range(0, len(others), _AT_ONCE):
        asked = ("merge-base", "--octopus", oldest, *others[start : start + _AT_ONCE])
        found = repo.run(*asked, ok=(0, 1)).decode().split()
        if not found:
            return None
        oldest = found[0]
    return repo.resolve(f"{oldest}^")
