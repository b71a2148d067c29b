"""See a fix of a real repository as the finders of leads see it, and prove it."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_bugsle.git.log import read_log
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.elsewhere.what_else import WhatElse
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.planning import Fixes, PlannedFix
from pytest_bugsle.regression.proving import Terms, prove
from pytest_bugsle.runner.configuration import read_configuration
from pytest_bugsle.settings import Settings
from pytest_bugsle.store.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_bugsle.regression.elsewhere.leads import FixView
    from pytest_bugsle.results import FixResult


def surveyor_of(top: Path) -> Surveyor:
    """Open a repository as the gate does."""
    return Surveyor(Repository.open(top), read_configuration(top, top), Settings())


def planned_fix(surveyor: Surveyor, ref: str, pool: Pool | None = None) -> PlannedFix:
    """Plan one commit, whatever it is judged to be; without a pool no proof can follow."""
    sha = surveyor.repo.resolve(ref)
    assert sha is not None
    commit = read_log(surveyor.repo, None, sha, limit=1)[0]
    base = commit.parents[0] if commit.parents else None
    units = surveyor.units([commit], lambda: surveyor.ground(commit.tree), base=base, head=sha)
    fixes = Fixes(surveyor, proof=pool is not None)

    def lent() -> Pool:
        assert pool is not None
        return pool

    fixes.plan(units, lambda unit: surveyor.ground(commit.tree), named=True, pool=lent)
    return fixes.planned[0]


def fix_view(top: Path, ref: str = "HEAD") -> FixView:
    """Return the view of one commit; the tree searched is HEAD's."""
    surveyor = surveyor_of(top)
    head = surveyor.repo.head().sha or ""
    return WhatElse(surveyor, Cache(None), surveyor.repo, head).view(planned_fix(surveyor, ref))


def view_of(surveyor: Surveyor, planned: PlannedFix, pool: Pool) -> FixView:
    """Return the view of a planned fix, objects read by way of the pool."""
    return WhatElse(surveyor, Cache(None), pool.repo, surveyor.repo.head().sha or "").view(planned)


@contextmanager
def proven(
    top: Path, ref: str = "HEAD", *, budget: float = 60.0, cache: Cache | None = None, python: str = ""
) -> Iterator[tuple[Surveyor, PlannedFix, FixResult, Terms]]:
    """Prove one commit in a pool beside the repository."""
    surveyor = surveyor_of(top)
    with Pool.acquire(surveyor.repo, top.parent / "pool") as pool:
        planned = planned_fix(surveyor, ref, pool)
        terms = Terms(
            python=python or sys.executable,
            args=(),
            deadline=time.monotonic() + 60,
            timeout=20.0,
            copy=(),
            no_reach="not measured",
            cache=cache or Cache(None),
            pool=pool,
            say=lambda text: None,
        )
        fixes = Fixes(surveyor, planned=[planned])
        (result,) = prove(fixes, terms).results
        yield surveyor, planned, result, replace(terms, deadline=time.monotonic() + budget)
    surveyor.repo.close()
