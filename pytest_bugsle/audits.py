"""Compose an audit: the fixes of a history, the ledger and today's guards, into one result.  PYTEST_DONT_REWRITE

`prepare` reads the history, `finish` proves what no earlier audit has kept. Each result is kept as soon as it
is there, so that an audit that ended, however that was, goes on where it stopped.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from pytest_bugsle import gate, guarding
from pytest_bugsle.errors import ProgramError, UndecidedError, UsageError
from pytest_bugsle.gate import cache_of, nothing_judged, result_of, terms_of
from pytest_bugsle.git.log import read_log
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.history.releases import read_releases
from pytest_bugsle.regression.planning import Fixes
from pytest_bugsle.regression.record import audit, auditing, baseline, ledger
from pytest_bugsle.results import FixResult, GuardResult, Range, Result, Timings
from pytest_bugsle.scope import commit_named
from pytest_bugsle.store.place import state_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.history.units import Unit

_LITTLE_ROOM = 1024 * 1024
_STUBBORN = 2
"""After so many failures of a program in a row it is no single commit's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a command asks of an audit, beside what it asks of the gate; `budget` is in seconds."""

    request: gate.Request
    since: str | None = None
    until: str | None = None
    limit: int | None = None
    only: frozenset[str] | None = None
    """Commits, of which alone the fixes are judged."""
    budget: float | None = None
    retry: bool = False
    branches: bool = True
    guards: bool = False
    write_baseline: bool = False


@dataclass(slots=True)
class Audit:
    """An audit under way."""

    wanted: Wanted
    plan: gate.Plan
    units: Sequence[Unit] = ()
    beyond: Sequence[Unit] = ()
    """Fixes of the range that the limit leaves out."""
    judged: dict[str, FixResult] = field(default_factory=dict)
    """What is known by now, by the newest commit of each fix."""
    open: dict[str, str] = field(default_factory=dict)
    """Why a fix is not judged yet, by its newest commit."""
    ledger: ledger.Ledger | None = None
    path: Path | None = None
    """Where the ledger stands; None in a repository without a work tree."""
    guards: list[GuardResult] = field(default_factory=list)
    cached: int = 0
    _kept: auditing.Kept | None = None
    _auditor: auditing.Auditor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.plan.close()

    def progress(self) -> str:
        """Return how far an audit came that was interrupted."""
        if not self.units:
            return "nothing was judged yet"
        known = len(self.judged) - self.kept.refused
        return f"{known} of {len(self.units)} fixes are judged and kept; the same command goes on from there"

    @property
    def repo(self) -> Repository:
        """Return the repository under audit."""
        assert self.plan.repo is not None
        return self.plan.repo

    @property
    def fixes(self) -> Fixes:
        """Return what the gate's parts ask of a plan: the surveyor, and what the trees under audit track."""
        assert self.plan.fixes is not None
        return self.plan.fixes

    @property
    def kept(self) -> auditing.Kept:
        """Return the results of earlier audits."""
        if self._kept is None:
            request = self.plan.request
            python = request.python or sys.executable
            surveyor = self.fixes.surveyor
            cache = cache_of(self.plan, self.fixes)
            self._kept = auditing.Kept(cache, python, request.args, request.settings, surveyor.rootdir)
        return self._kept

    @property
    def end(self) -> float:
        """Return when the budget ends, in seconds of time.monotonic."""
        budget = self.wanted.budget
        return float("inf") if budget is None else self.plan.started + budget

    @property
    def auditor(self) -> auditing.Auditor:
        """Return what proves fixes; with the first of them it takes the pool."""
        if self._auditor is None:
            terms = replace(terms_of(self.plan, self.fixes, None), cache=self.kept.cache)
            self._auditor = auditing.Auditor(self.fixes.surveyor, terms, self.kept, self.end)
        return self._auditor

    def timings(self) -> Timings:
        """Return what the runs of this audit took."""
        done = self._auditor
        if done is None:
            return Timings(cached=self.cached)
        return Timings(tests=round(done.seconds, 3), runs=done.runs, cached=self.cached)

    def remarks(self) -> list[str]:
        """Return what the proofs had to say beside their results."""
        return self._auditor.notes if self._auditor is not None else []

    @property
    def book(self) -> str:
        """Return the ledger's path as a report tells it: relative to the repository's top."""
        assert self.path is not None
        return self.path.relative_to(self.repo.top).as_posix()

    def results(self) -> list[FixResult]:
        """Return all fixes, newest first; one that was not judged says so."""
        return [
            self.judged.get(unit.head)
            or auditing.undecided(
                unit, self.open.get(unit.head, f"{audit.NOT_YET}: the audit ended before it")
            )
            for unit in self.units
        ]

    def covered(self) -> set[str]:
        """Return the commits that this audit has an answer for."""
        unknown = [unit for unit in self.units if unit.head not in self.judged]
        without = {c.sha for unit in (*self.beyond, *unknown) for c in (*unit.commits, *unit.parts)}
        return {commit.sha for commit in self.plan.commits} - without


def prepare(wanted: Wanted) -> Audit:
    """Read the history and the ledger; UsageError for what is asked for and is not there."""
    settings = wanted.request.settings
    settings = msgspec.structs.replace(
        settings,
        # Of a history, no range is one unit; and what a branch misses is an error here, and no remark.
        unit="commit" if settings.unit == "range" else settings.unit,
        proof="fix",
        rules={"BUG109": "error", **settings.rules},
    )
    request = structs.replace(wanted.request, settings=settings, what_else=True)
    found = Audit(wanted, gate.Plan(request, time.monotonic()))
    try:
        _prepare(found)
    except (UndecidedError, ProgramError) as error:
        found.plan.trouble = error
    except BaseException:
        found.plan.close()
        raise
    return found


def _prepare(found: Audit) -> None:
    wanted, plan, request = found.wanted, found.plan, found.plan.request
    plan.repo = repo = Repository.open(request.start)
    found.path = None if repo.is_bare else ledger.place(repo.top)
    found.ledger = ledger.read(found.path) if found.path else None
    if (wanted.guards or wanted.write_baseline) and found.path is None:
        raise UsageError(
            "a bare repository has no ledger.",
            why="it is a file that is committed, in the work tree.",
            hint="run it in a clone with a work tree.",
        )
    if wanted.guards and found.ledger is None:
        raise UsageError(
            f"there is no ledger {found.path}.",
            why="it lists the guards that are tried.",
            hint="bugsle audit --write-baseline",
        )
    head = repo.head().sha
    if head is None and wanted.until is None:
        raise UndecidedError(
            "there is no commit yet.", why="an audit reads the history.", hint="commit something first."
        )
    why = "an audit reads the commits between two that are here."
    until = commit_named(repo, wanted.until or "HEAD", why=why)
    since = None if wanted.since is None else commit_named(repo, wanted.since, why=why)
    surveyor = auditing.Judging(repo, request.configuration, request.settings, request.is_fix)
    trees = {repo.tree_of(commit) for commit in (until, head) if commit is not None}
    plan.fixes = Fixes(surveyor, own_commit=True, _trees=trees)
    if wanted.guards:
        plan.range = Range(base=until, head=until, why="the guards of the ledger", commits=0)
        return
    request.say("reading the history")
    plan.commits = read_log(repo, since, until)
    fixes = surveyor.fixes(plan.commits, found.kept.cache, base=since, head=until)
    if wanted.only is not None:
        fixes = [fix for fix in fixes if any(c.sha in wanted.only for c in (*fix.commits, *fix.parts))]
    found.units, found.beyond = fixes[: wanted.limit], fixes[len(fixes[: wanted.limit]) :]
    why = "the whole history" if since is None else "the history since a commit"
    plan.range = Range(base=since, head=until, why=why, commits=len(plan.commits))
    if repo.is_shallow():
        plan.notes.append("this clone is shallow, so that older fixes are not here: git fetch --unshallow")
    if found.beyond:
        plan.notes.append(f"{len(found.beyond)} older fixes were left out (--limit {wanted.limit})")


def finish(found: Audit) -> Result:
    """Prove what is not kept, and say what the history shows."""
    plan = found.plan
    if plan.trouble is not None:
        return nothing_judged(plan, plan.trouble)
    if found.wanted.guards:
        return guarding.guarded(found)
    _prove(found)
    if found.wanted.branches and plan.trouble is None:
        guarding.try_branches(found)
    if found.wanted.write_baseline and plan.trouble is None:
        guarding.write_baseline(found)
    plan.request.say("")
    return _shown(found)


def _prove(found: Audit) -> None:
    """Judge the fixes that are not kept, one by one, the newest first."""
    plan, kept = found.plan, found.kept
    for unit in found.units:
        fix = kept.get(unit)
        if fix is not None and not (found.wanted.retry and fix.status == "undecided"):
            found.judged[unit.head] = fix
            found.cached += 1
    waiting = [unit for unit in found.units if unit.head not in found.judged]
    began, failed = time.monotonic(), 0
    for number, unit in enumerate(waiting):
        if found.end - time.monotonic() < auditing.WORTH_STARTING:
            late = f"{audit.NOT_YET}: the budget was used up before its turn"
            found.open |= {other.head: late for other in waiting[number:]}
            return
        _say(found, unit, number, len(waiting), began)
        try:
            # Another audit may have judged it since.
            fix = (None if found.wanted.retry else kept.get(unit)) or found.auditor.judge(unit)
            if fix.why.startswith(audit.NOT_YET):
                found.open[unit.head] = fix.why
            else:
                found.judged[unit.head] = fix
            _check_room(found)
            failed = 0
        except ProgramError as error:
            failed += 1
            if unit.head not in found.judged:
                found.open[unit.head] = error.what
            if failed == _STUBBORN or _is_full(found):
                plan.trouble = error
                late = f"{audit.NOT_YET}: {error.what}"
                found.open |= {other.head: late for other in waiting[number + 1 :]}
                return


def _say(found: Audit, unit: Unit, number: int, waiting: int, began: float) -> None:
    known = found.judged.values()
    judged = sum(audit.is_held(fix) or audit.is_unheld(fix) for fix in known)
    held = sum(audit.is_held(fix) for fix in known)
    text = f"fix {len(known) + len(found.open) + 1} of {len(found.units)}, {held} of {judged} held"
    if number:
        left = (time.monotonic() - began) / number * (waiting - number)
        text += f", {duration(left)} left"
    text += f"  {unit.head[:7]} {unit.subject[:40]}"
    request = found.plan.request
    request.say(text)
    auditor = found.auditor
    auditor.terms = replace(auditor.terms, say=lambda more: request.say(f"{text}  {more}" if more else ""))


def duration(seconds: float) -> str:
    """Return a time in words, as exact as a guess deserves."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _is_full(found: Audit) -> bool:
    """Say whether the disk of the pool, or of what is kept, has no room left."""
    return _has_no_room(found.auditor.terms.pool.root) or _has_no_room(_state(found))


def _has_no_room(place: Path) -> bool:
    try:
        return shutil.disk_usage(place).free < _LITTLE_ROOM
    except OSError:
        return False


def _state(found: Audit) -> Path:
    return state_folder(found.repo.top, bare=found.repo.is_bare) or found.repo.top


def _check_room(found: Audit) -> None:
    """Raise ProgramError where results cannot be kept for want of room: judging on would be for nothing."""
    if found.kept.refused and _has_no_room(_state(found)):
        raise ProgramError(
            f"no space left in {_state(found)}",
            why="what an audit finds is kept there, in cache.db.",
            hint=f"make room. {found.progress()}.",
        )


def _shown(found: Audit) -> Result:
    """Return what the gate's own judge says of the fixes, and what they show together."""
    plan, known = found.plan, found.ledger
    asked = found.wanted.request.change_finding
    by_commit = {fix.commit: fix for fix in found.results()}
    accepted = {
        commit for commit, fix in by_commit.items() if known is not None and baseline.is_accepted(fix, known)
    }

    def levelled(finding: Finding) -> Finding:
        level = finding.level
        if known is None:
            level = level if finding.rule == "BUG001" or level == "off" else "info"
        elif finding.rule == "BUG001":
            level = "off" if accepted >= by_commit.keys() else level
        elif finding.commit in accepted and finding.rule not in _NOT_DEBT:
            level = "off"
        finding = msgspec.structs.replace(finding, level=level)
        return asked(finding) if asked is not None else finding

    refused = found.kept.refused
    if refused:
        plan.notes.append(f"{refused} results could not be kept: they are judged again next time")
    plan.notes += found.remarks()
    plan.request = structs.replace(plan.request, change_finding=levelled)
    result = result_of(plan, found.results(), found.timings())
    assert plan.range is not None
    releases = read_releases(found.repo, plan.range.head, plan.range.base)
    shown = audit.audit_of(
        result.fixes,
        since=found.wanted.since,
        until=found.wanted.until or "HEAD",
        release_of={fix.commit: releases.first(fix.commit, fix.paths) for fix in result.fixes},
        releases=releases.order(),
        ledger=found.book if known is not None else None,
        debt=known.debt if known is not None else (),
        paid=guarding.paid(found),
        guards=found.guards,
    )
    unsure = any(finding.rule == "BUG104" and finding.level != "info" for finding in result.findings)
    unsure = (
        unsure or plan.trouble is not None or (plan.request.settings.strict and result.counts.undecided > 0)
    )
    return msgspec.structs.replace(
        result, audit=shown, verdict=gate.verdict_of(result.findings, undecided=unsure)
    )


_NOT_DEBT = frozenset({"BUG002", "BUG003", "BUG108", "BUG109"})
"""Rules that a ledger does not lift: it is about fixes and their guards."""
