"""What used to change with the fixed code, and did not change in the fix.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_bugsle.code.functions import functions
from pytest_bugsle.history.churn import changed_functions
from pytest_bugsle.history.cochange import LARGEST_CHANGESET, Coupling, couplings
from pytest_bugsle.history.messages import excerpt
from pytest_bugsle.regression.elsewhere.repeats import fixed_functions
from pytest_bugsle.regression.sides import Side
from pytest_bugsle.results import Lead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_bugsle.history.past import Past, PastCommit
    from pytest_bugsle.regression.elsewhere.leads import FixedFile, FixView
    from pytest_bugsle.store.cache import Cache

MOST_COMMITS = 100
"""The newest that changed the fixed files: their texts are read to see which functions changed."""
_TEST_WEIGHT = 0.5
"""A test that used to change with the code is a hint at a missing test, and most fixes need no change of it."""
_PROSE_WEIGHT = 0.5
_CONSTRUCTOR_WEIGHT = 0.5
"""A constructor changes with whatever its object carries."""

_KINDS = (
    ("stub", re.compile(r"\.pyi\Z")),
    ("migration", re.compile(r"(?:^|/)(?:migrations|alembic/versions)/")),
    ("runbook", re.compile(r"(?:^|/)(?:runbooks?|playbooks?)(?:/|[^/]*\Z)", re.IGNORECASE)),
    ("changelog", re.compile(r"(?:^|/)(?:CHANGE|HISTORY|NEWS|RELEASE)[^/]*\Z", re.IGNORECASE)),
    ("documentation", re.compile(r"\.(?:rst|md|txt|adoc|ipynb)\Z|(?:^|/)docs?/", re.IGNORECASE)),
    ("configuration", re.compile(r"\.(?:toml|cfg|ini|ya?ml|json|conf|env)\Z|(?:^|/)(?:setup|conf)\.py\Z")),
)

Place = tuple[int, str]
"""A file by its number, and a function by its qualified name."""


def partners(view: FixView, past: Past, cache: Cache | None = None, *, limit: int = 10) -> list[Lead]:
    """Name files, and functions, that changed with the fixed ones before, and not in this fix.

    Only what came before the fix is asked: commits of a few files, by people, with a reason. `cache` keeps
    which functions a commit changed. Confidence is the lower bound of the share of the fixed place's changes
    in which the partner changed too (Wilson, 95 %); halved for tests, prose and constructors, which most fixes
    need not touch. A fix that comes with any test is not asked for another.
    """
    search = _Search(view, past)
    if not search.fixed:
        return []
    inner = [*search.functions(cache)]
    told = {lead.path for lead in inner}
    files = [lead for lead in search.files() if lead.path not in told]
    return sorted([*files, *inner], key=lambda lead: (-lead.confidence, lead.path or "", lead.line or 0))[
        :limit
    ]


@dataclass
class _Search:
    view: FixView
    past: Past

    @cached_property
    def _history(self) -> tuple[list[tuple[PastCommit, Mapping[int, int]]], Mapping[int, int]]:
        """The commits to learn from, newest first, and which file is which at the fix."""
        found, today = self.past.lineages(self.view.base)
        telling = [
            (commit, files)
            for commit, files in found
            if commit.files <= LARGEST_CHANGESET and self.past.is_telling(commit)
        ]
        return telling, today

    def _number(self, path: str) -> int | None:
        number = self.past.numbers.get(path)
        return None if number is None else self._history[1].get(number, number)

    @cached_property
    def fixed(self) -> Mapping[int, FixedFile]:
        """The fixed files that were there before the fix, by number."""
        named = ((self._number(file.old_path), file) for file in self.view.files if file.old_path)
        return {number: file for number, file in named if number is not None}

    @cached_property
    def _touched(self) -> frozenset[int]:
        numbers = map(self._number, self.view.touched)
        return frozenset(number for number in numbers if number is not None)

    @cached_property
    def _at_fix(self) -> Mapping[int, int]:
        return {today: then for then, today in self._history[1].items()}

    def _path(self, number: int) -> str | None:
        """Return where a file stands in the tree: by its name of today, or by that at the fix."""
        names = [self.past.paths[number], self.past.paths[self._at_fix.get(number, number)]]
        if number in self.fixed:
            names.append(self.fixed[number].path or "")
        return next((name for name in names if name in self.view.listing), None)

    def files(self) -> Iterator[Lead]:
        """Yield the partners among files."""
        commits, _ = self._history
        # What is usual is what changes with any code: against all commits, whatever goes with code at all
        # (the list of changes, the tests' helpers) would seem to go with this file.
        if all(self.past.paths[number].endswith(".py") for number in self.fixed):
            python = {number for number, path in enumerate(self.past.paths) if path.endswith(".py")}
            commits = [(commit, files) for commit, files in commits if not python.isdisjoint(files)]
        changesets = [frozenset(files.values()) for _, files in commits]
        tested = any(self.view.side(path) is Side.TEST for path in self.view.touched)
        for found in couplings(changesets, self.fixed):
            path = None if found.partner in self._touched else self._path(found.partner)
            if path is None or path in self.view.touched:
                continue
            kind, weight = self._kind(path)
            if kind == "test file" and tested:
                continue
            last = commits[found.last][0]
            yield Lead(
                kind="partner",
                path=path,
                confidence=round(found.confidence * weight, 3),
                evidence=_evidence(f"this {kind}", self.fixed[found.thing].old_path or "", found, last),
                command=_command(path, last),
            )

    def functions(self, cache: Cache | None) -> Iterator[Lead]:
        """Yield the partners among functions of the source."""
        fixed = {(number, name) for number, file in self.fixed.items() for name in fixed_functions(file)}
        commits = [
            (c, files) for c, files in self._history[0] if not self.fixed.keys().isdisjoint(files.values())
        ]
        commits = commits[:MOST_COMMITS] if fixed else []
        if not commits:
            return
        changed = changed_functions(self.view.repo, [commit for commit, _ in commits], cache)
        changesets: list[frozenset[Place]] = []
        for commit, files in commits:
            numbers = {self.past.paths[path]: number for path, number in files.items()}
            changesets.append(
                frozenset(
                    (numbers[found.file], name)
                    for found in changed[commit.sha]
                    if found.file in numbers
                    for name in (*found.altered, *found.made)
                )
            )
        for coupling in couplings(changesets, fixed):
            lead = self._function(coupling, commits[coupling.last][0])
            if lead is not None:
                yield lead

    def _function(self, found: Coupling[Place], last: PastCommit) -> Lead | None:
        number, name = found.partner
        path = None if number in self._touched and number not in self.fixed else self._path(number)
        if path is None or self.view.side(path) is not Side.SOURCE:
            return None
        entry = self.view.listing[path]
        if entry.mode == "160000":
            return None
        text = self.view.repo.blob(entry.sha)
        span = next((span for span in functions(text) if span.name == name), None)
        if span is None:
            return None
        weight = _CONSTRUCTOR_WEIGHT if name.endswith("__init__") else 1.0
        return Lead(
            kind="partner",
            path=path,
            line=span.line,
            confidence=round(found.confidence * weight, 3),
            evidence=_evidence(f"the function {name}", found.thing[1], found, last),
            code=text.split(b"\n")[span.line - 1].decode("utf-8", "backslashreplace").strip()[:200],
            command=_command(path, last),
        )

    def _kind(self, path: str) -> tuple[str, float]:
        """Return what a partner is, and what a hint at it is worth."""
        side = self.view.side(path)
        if side is Side.TEST:
            return "test file", _TEST_WEIGHT
        for kind, pattern in _KINDS:
            if pattern.search(path):
                return kind, _PROSE_WEIGHT if kind in ("changelog", "documentation") else 1.0
        return ("source file" if side is Side.SOURCE else "file"), 1.0


def _evidence(what: str, fixed: str, found: Coupling[Any], last: PastCommit) -> str:
    return (
        f"{what} changed in {found.shared} of the {found.revisions} commits that changed {fixed} "
        f"({found.degree:.0%}, {found.lift:.1f} times what is usual), and not in this fix; "
        f"last in {last.sha[:7]} (“{excerpt(last.subject)}”)"
    )


def _command(path: str, last: PastCommit) -> str:
    return f"git show {last.sha[:10]} -- {shlex.quote(path)}"
