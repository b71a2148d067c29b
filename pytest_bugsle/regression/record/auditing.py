"""Judge the fixes of a history, each at its own commit, and keep what was found.  PYTEST_DONT_REWRITE

A fix is judged as its time knew the project: sides by its own tree, and pytest as that tree configures it.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from pytest_bugsle import __version__
from pytest_bugsle.errors import UndecidedError, UsageError
from pytest_bugsle.history.judgement import Judgement
from pytest_bugsle.history.references import Reference
from pytest_bugsle.history.units import Kind, Unit
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.planning import Fixes
from pytest_bugsle.regression.record import by_commit
from pytest_bugsle.regression.record.audit import NOT_YET, is_held, is_unheld
from pytest_bugsle.results import FixResult, Lead
from pytest_bugsle.runner.configuration import Configuration, read_configuration
from pytest_bugsle.runner.environment import interpreter_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.log import Commit
    from pytest_bugsle.git.repository import Entry
    from pytest_bugsle.regression.elsewhere.branches import Branch
    from pytest_bugsle.regression.planning import PlannedFix
    from pytest_bugsle.regression.proving import Terms
    from pytest_bugsle.settings import Settings
    from pytest_bugsle.store.cache import Cache

_ROOM = "audit"
_JUDGED = "audit-judged"
_BRANCHES = "audit-branches"
_VERSION = 1
"""Raise it when the same fix may be judged otherwise: all of a history is then asked again."""
CAP = 10
"""One fix may take this many times the time of one test, so that none stops an audit."""
WORTH_STARTING = 1.0
"""Seconds that must be left of the budget for another fix to make sense."""
_UNCUT = 4
"""A run gets at least a third of the time that is left (see `Runs`): what ended within a quarter was not cut."""
_CONFIGURED_BY = frozenset(
    ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py")
)  # fmt: skip
_T = TypeVar("_T")


class Judging(Surveyor):
    """A surveyor that remembers which pairs of blobs do the same: parsing them is what a judgement costs."""

    differing: dict[str, bool] = msgspec.field(default_factory=dict)

    def _differs(self, change: Change) -> bool:
        key = f"{change.status}{change.mode} {change.old_blob} {change.blob} {change.path.endswith('.py'):d}"
        if key not in self.differing:
            self.differing[key] = super()._differs(change)
        return self.differing[key]

    def fixes(self, commits: Sequence[Commit], cache: Cache, *, base: str | None, head: str) -> list[Unit]:
        """Return the fixes of a range, newest first, as the gate takes its commits together and judges them.

        All of it is kept for this head, and for the next one what the blobs of its commits do.
        """
        room, about = (
            _JUDGED,
            (_VERSION, __version__, base, head, self.policy(), self.configuration, self.settings),
        )
        key = hashlib.sha256(repr(about).encode("utf-8", "backslashreplace")).hexdigest()
        by_sha = {commit.sha: commit for commit in commits}
        kept = _unpacked(cache.get(room, key), list[_KeptUnit])
        if kept is not None and all(unit.is_of(by_sha) for unit in kept):
            return [unit.unit(by_sha) for unit in kept]
        self.differing = _unpacked(cache.get(room, __version__), dict[str, bool]) or {}
        before = len(self.differing)
        units = self.units(commits, lambda: self.ground(self.repo.tree_of(head)), base=base, head=head)
        found = [unit for unit in units if unit.judgement.is_fix]
        if len(self.differing) > before:
            cache.put(room, __version__, _packed(self.differing))
        cache.put(room, key, _packed([_KeptUnit.of(unit) for unit in found]))
        return found


class _KeptUnit(msgspec.Struct, frozen=True):
    """A unit, its commits by name."""

    kind: Kind
    commits: list[str]
    base: str | None
    subject: str
    body: str
    judgement: Judgement
    references: tuple[Reference, ...]
    evidence: list[str]
    parts: list[str]
    picked_from: tuple[str, ...]
    is_backport: bool

    @classmethod
    def of(cls, unit: Unit) -> Self:
        """Return what is to be kept of a unit."""
        return cls(
            unit.kind,
            [commit.sha for commit in unit.commits],
            unit.base,
            unit.subject,
            unit.body,
            unit.judgement,
            unit.references,
            [commit.sha for commit in unit.evidence],
            [commit.sha for commit in unit.parts],
            unit.picked_from,
            unit.is_backport,
        )

    def is_of(self, commits: Mapping[str, Commit]) -> bool:
        """Say whether it is made of these commits."""
        return bool(self.commits) and commits.keys() >= {*self.commits, *self.evidence, *self.parts}

    def unit(self, commits: Mapping[str, Commit]) -> Unit:
        """Return the unit."""
        return Unit(
            self.kind,
            tuple(commits[sha] for sha in self.commits),
            self.commits[0],
            self.base,
            self.subject,
            self.body,
            self.judgement,
            self.references,
            tuple(commits[sha] for sha in self.evidence),
            tuple(commits[sha] for sha in self.parts),
            self.picked_from,
            self.is_backport,
        )


def _packed(value: object) -> bytes:
    # Not by msgspec alone: a name that is no UTF-8 holds half characters, which only `json` writes and reads.
    return json.dumps(msgspec.to_builtins(value)).encode("ascii")


def _unpacked(raw: bytes | None, type: type[_T]) -> _T | None:
    try:
        return None if raw is None else msgspec.convert(json.loads(raw), type)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


@dataclass(slots=True)
class Kept:
    """The results of earlier audits, under all that decides them."""

    cache: Cache
    python: str
    args: tuple[str, ...]
    settings: Settings
    rootdir: str
    refused: int = 0
    """How many results could not be kept."""
    _terms: str = ""

    def __post_init__(self) -> None:
        facts = interpreter_facts(self.python)
        settings = self.settings
        # What decides which commits are fixes is not here: it leaves the proof of one as it was.
        decides = (
            _VERSION,
            __version__,
            (facts.version, facts.implementation, facts.platform, facts.digest),
            self.args,
            (settings.source, settings.tests, settings.marker, settings.copy, settings.timeout),
            self.rootdir,
        )
        self._terms = repr(decides)

    def key(self, unit: Unit) -> str:
        """Return what decides the result of a fix: its commits, what links tests to it, and the terms."""
        shas = [[commit.sha for commit in part] for part in (unit.commits, unit.parts, unit.evidence)]
        return hashlib.sha256(repr((self._terms, unit.kind, unit.base, shas, unit.bugs)).encode()).hexdigest()

    def get(self, unit: Unit) -> FixResult | None:
        """Return the result of a fix, with what its unit says of it today; None where it is not kept."""
        fix = _unpacked(self.cache.get(_ROOM, self.key(unit)), FixResult)
        return told(unit, fix) if fix is not None else None

    def put(self, unit: Unit, fix: FixResult) -> None:
        """Keep a result."""
        bare = msgspec.structs.replace(fix, subject="", bugs=[], reasons=[])
        if not self.cache.put(_ROOM, self.key(unit), _packed(bare)):
            self.refused += 1
        elif is_held(fix) or is_unheld(fix):
            by_commit.keep(
                self.cache, (commit.sha for commit in (*unit.commits, *unit.parts)), held=is_held(fix)
            )

    def leads(self, unit: Unit, branch: Branch, ask: Callable[[], tuple[list[Lead], bool]]) -> list[Lead]:
        """Return what the guards of a fix show on one branch, asked for once for each commit of the branch.

        `ask` says with the leads whether time ran out: those are not kept.
        """
        key = hashlib.sha256(f"{self.key(unit)} {branch!r}".encode("utf-8", "backslashreplace")).hexdigest()
        found = _unpacked(self.cache.get(_BRANCHES, key), list[Lead])
        if found is None:
            found, cut = ask()
            if not cut:
                self.cache.put(_BRANCHES, key, _packed(found))
        return found


def told(unit: Unit, fix: FixResult) -> FixResult:
    """Return a result with what its unit says: how it is called and why it is a fix."""
    return msgspec.structs.replace(
        fix,
        commit=unit.head,
        subject=unit.subject,
        bugs=list(unit.bugs),
        judgement=unit.judgement.answer,
        reasons=[str(reason) for reason in unit.judgement.reasons],
        commits=[commit.sha for commit in (*unit.commits, *unit.parts)],
    )


def _called_from(fix: FixResult, old: str, new: str) -> FixResult:
    """Return a result whose test ids begin at another rootdir: that of its time may not be today's."""
    if old == new:
        return fix
    tests = [
        msgspec.structs.replace(test, id=posixpath.relpath(posixpath.join(old, path), new) + colons + name)
        for test in fix.tests
        for path, colons, name in [test.id.partition("::")]
    ]
    return msgspec.structs.replace(fix, tests=tests)


def undecided(unit: Unit, why: str) -> FixResult:
    """Return the result of a fix that was not tried."""
    empty = FixResult(
        commit="",
        subject="",
        bugs=[],
        judgement="fix",
        reasons=[],
        status="undecided",
        why=why,
        tests=[],
        commits=[],
        paths=[],
    )
    return told(unit, empty)


@dataclass(slots=True)
class Auditor:
    """Proves fixes at their own commits, one by one over one pool."""

    surveyor: Surveyor
    terms: Terms
    kept: Kept
    end: float
    """When the user's budget ends, in seconds of time.monotonic; infinity without one."""
    seconds: float = 0.0
    runs: int = 0
    notes: list[str] = field(default_factory=list)
    _import_lines: dict[str, bytes] = field(default_factory=dict)
    _configurations: dict[tuple[tuple[str, str], ...], Configuration] = field(default_factory=dict)

    def plan(self, unit: Unit) -> tuple[Fixes, PlannedFix]:
        """Find out what a fix changes and which tests are linked to it, as its own commit has them."""
        repo, pool = self.surveyor.repo, self.terms.pool
        tree = repo.tree_of(unit.head)
        listing = repo.listing(tree)
        configuration = self._configured(listing)
        # A surveyor of its own: what is kept by tree would grow with the history.
        own = Surveyor(repo, configuration, self.surveyor.settings, _import_lines=self._import_lines)
        fixes = Fixes(own, own_commit=True)
        fixes.plan((unit,), lambda unit: own.ground(tree), named=True, pool=lambda: pool)
        return fixes, fixes.planned[0]

    def judge(self, unit: Unit) -> FixResult:
        """Prove one fix and keep its result; ProgramError where a program that is needed fails."""
        if any(commit.cut for commit in unit.commits):
            return undecided(unit, "its parent is not in this shallow clone: git fetch --unshallow")
        started = time.monotonic()
        cap = CAP * self.terms.timeout
        left = self.end - started
        try:
            fix = self._proven(unit, started + min(cap, left))
        except (UndecidedError, UsageError) as error:
            fix = undecided(unit, error.what)
        taken = time.monotonic() - started
        if fix.status == "undecided" and taken >= min(cap, left) / _UNCUT:
            if left < cap:
                return undecided(unit, f"{NOT_YET}: the budget ended before its tests had")
            why = f"its tests take too long: a fix is given {cap:g} s, {CAP} times the setting `timeout`"
            fix = msgspec.structs.replace(fix, why=f"{why} ({fix.why})" if fix.tests else why)
        self.kept.put(unit, fix)
        return fix

    def _proven(self, unit: Unit, deadline: float) -> FixResult:
        from pytest_bugsle.regression.proving import prove

        fixes, _ = self.plan(unit)
        proven = prove(fixes, replace(self.terms, deadline=deadline))
        self.seconds += proven.seconds
        self.runs += proven.runs
        self.notes += proven.notes
        fix = _called_from(proven.results[0], fixes.surveyor.rootdir, self.surveyor.rootdir)
        # Lines count in its own commit's tree, which is not the one that a reader has open.
        return msgspec.structs.replace(fix, place=None, judged_at="commit" if fix.judged_at else None)

    def on_branches(self, unit: Unit, fix: FixResult, branches: Sequence[Branch]) -> list[Lead]:
        """Return what the guards of a held fix show on maintained branches."""
        planned: list[tuple[Fixes, PlannedFix]] = []

        def ask(branch: Branch) -> tuple[list[Lead], bool]:
            from pytest_bugsle.regression.elsewhere.branches import try_on
            from pytest_bugsle.regression.elsewhere.what_else import WhatElse

            planned.extend([] if planned else [self.plan(unit)])
            fixes, plan = planned[0]
            own, pool = fixes.surveyor, self.terms.pool
            view = WhatElse(own, self.kept.cache, pool.repo, unit.head).view(plan)
            started = time.monotonic()
            allowed = min(CAP * self.terms.timeout, self.end - started)
            terms = replace(self.terms, deadline=started + allowed)
            there = _called_from(fix, self.surveyor.rootdir, own.rootdir)
            leads = try_on(own, plan, there, (branch,), terms, view=view)
            return (
                leads,
                allowed < CAP * self.terms.timeout and time.monotonic() - started >= allowed / _UNCUT,
            )

        return [lead for branch in branches for lead in self.kept.leads(unit, branch, partial(ask, branch))]

    def _configured(self, listing: dict[str, Entry]) -> Configuration:
        """Return pytest's configuration as a tree has it; today's where that tree's cannot be read."""
        repo, rootdir = self.surveyor.repo, self.surveyor.rootdir
        parts = [] if rootdir == "." else rootdir.split("/")
        folders = {"".join(f"{part}/" for part in parts[:end]) for end in range(len(parts) + 1)}
        wanted = [
            (path, entry.sha)
            for path, entry in sorted(listing.items())
            if path.rpartition("/")[2] in _CONFIGURED_BY
            and path[: path.rfind("/") + 1] in folders
            and entry.mode.startswith("100")
        ]
        key = tuple(wanted)
        if key not in self._configurations:
            with TemporaryDirectory(dir=self.terms.pool.scratch) as folder:
                top = Path(folder).resolve()
                start = top / rootdir
                start.mkdir(parents=True, exist_ok=True)
                for path, sha in wanted:
                    (top / path).parent.mkdir(parents=True, exist_ok=True)
                    (top / path).write_bytes(repo.blob(sha))
                try:
                    found = read_configuration(start, top)
                except UsageError:
                    found = self.surveyor.configuration
                else:
                    ini = found.inifile
                    found = msgspec.structs.replace(
                        found,
                        rootdir=repo.top / found.rootdir.relative_to(top),
                        inifile=repo.top / ini.relative_to(top) if ini else None,
                    )
            self._configurations[key] = found
        return self._configurations[key]
