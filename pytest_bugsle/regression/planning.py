"""Plan: which units are asked for, what they change, and which tests are linked to them.  PYTEST_DONT_REWRITE

Most runs have no fix in their range: what only a proof needs is imported when there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.results import FixResult, Link, TestResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.history.units import Unit
    from pytest_bugsle.regression.gather import Surveyor, TreeSides
    from pytest_bugsle.regression.proof import Where
    from pytest_bugsle.results import Status
    from pytest_bugsle.runner.outcome import Selector

_OUT_OF_SCOPE = "it changes nothing in the source that the gate answers for (setting `source`)"
_NOT_LINKED = "no test is linked to it; `bugsle prove` also looks for one that flips"


class PlannedFix(msgspec.Struct, frozen=True):
    """One unit with what is known before any test runs.

    `steps` are its changes, newest first: (old commit or tree, new commit, changes). `tree` is the
    tree that it is judged in, `commit` what HEAD is there.
    """

    unit: Unit
    steps: tuple[tuple[str, str, tuple[Change, ...]], ...]
    asked: bool
    in_scope: bool
    paths: tuple[str, ...] = ()
    tree: str = ""
    commit: str | None = None
    linked: Mapping[Selector, tuple[Link, ...]] = {}

    def linked_ids(self, rootdir: str) -> list[tuple[str, tuple[Link, ...]]]:
        """Return the linked tests by id without parameters, as pytest writes ids from its rootdir."""
        prefix = "" if rootdir == "." else f"{rootdir}/"
        return [
            (f"{selector.path.removeprefix(prefix)}::{name.replace('.', '::')}", links)
            for selector, links in self.linked.items()
            for name in sorted(selector.names or ())
        ]

    def result(
        self,
        status: Status | None,
        why: str = "",
        tests: Sequence[TestResult] = (),
        *,
        place: str | None = None,
        where: Where | None = None,
    ) -> FixResult:
        """Return what a report says of this unit."""
        unit = self.unit
        return FixResult(
            commit=unit.head,
            subject=unit.subject,
            bugs=list(unit.bugs),
            judgement=unit.judgement.answer,
            reasons=[str(reason) for reason in unit.judgement.reasons],
            status=status,
            why=why,
            tests=list(tests),
            commits=[commit.sha for commit in (*unit.commits, *unit.parts)],
            paths=list(self.paths),
            place=place,
            judged_at=where,
        )

    def unproven(self) -> FixResult | None:
        """Return the result of a unit that no proof is due for; None where one is."""
        if not self.asked:
            return self.result(None)
        return None if self.in_scope else self.result("out-of-scope", _OUT_OF_SCOPE)


class Fixes(msgspec.Struct):
    """The units of one run, with their links."""

    surveyor: Surveyor
    proof: bool = True
    own_commit: bool = False
    planned: list[PlannedFix] = []
    notes: list[str] = []
    _snapshot: tuple[str, str | None] | None = None
    _trees: set[str] = set()

    def plan(
        self,
        units: Sequence[Unit],
        sides_of: Callable[[Unit], TreeSides],
        *,
        named: bool,
        pool: Callable[[], Pool],
    ) -> None:
        """Find out which units are asked for, what they change, and which tests are linked to them.

        `sides_of` gives the tree by which a unit's changes are told apart.
        """
        for unit in units:
            if not (named or unit.judgement.is_fix):
                self.planned.append(PlannedFix(unit, (), asked=False, in_scope=False))
                continue
            steps = tuple(self.surveyor.steps(unit))
            sides = sides_of(unit)
            found = [change for _, _, changes in steps for change in changes]
            paths = tuple(dict.fromkeys(change.path for change in sides.source(found)))
            planned = PlannedFix(unit, steps, asked=True, in_scope=sides.in_scope(found), paths=paths)
            self.planned.append(self._linked(planned, pool) if planned.in_scope else planned)

    def _linked(self, planned: PlannedFix, pool: Callable[[], Pool]) -> PlannedFix:
        from msgspec.structs import replace

        from pytest_bugsle.regression import linking

        tree, commit = self._tree_under_test(planned.unit, pool)
        self._trees.add(tree)
        sides = self.surveyor.ground(tree, pool().repo if self.proof else None)
        linked = linking.find(self.surveyor, sides, planned.unit, planned.steps, tree)
        self.notes += linked.broken
        return replace(planned, tree=tree, commit=commit, linked=linked.tests)

    def _tree_under_test(self, unit: Unit, pool: Callable[[], Pool]) -> tuple[str, str | None]:
        """Return the tree that a unit is judged in: the user's, where that contains it, else its own."""
        repo = self.surveyor.repo
        head = repo.head().sha
        if repo.resolve(unit.head) is None:  # the uncommitted change has a tree and no commit
            return unit.head, head
        if self.own_commit or head is None or repo.is_bare or not repo.is_ancestor(unit.head, head):
            return repo.tree_of(unit.head), unit.head
        if not self.proof:
            return repo.tree_of(head), head
        if self._snapshot is None:
            self._snapshot = pool().snapshot(), head
            self.notes += [f"left out of the clean copy: {path}" for path in pool().left_out]
        return self._snapshot

    def tracks(self, path: str) -> bool:
        """Say whether any tree of this run holds `path`."""
        return any(path in self.surveyor.ground(tree).listing for tree in self._trees)

    def unit_in_words(self) -> str:
        """Return how the range was cut into units."""
        kinds = [planned.unit.kind for planned in self.planned]
        return ", ".join(f"{kinds.count(kind)} by {kind}" for kind in dict.fromkeys(kinds)) or "none"

    def links_by_test(self) -> dict[str, list[tuple[str, str]]]:
        """Return (fix, kind of link) by test id without parameters."""
        found: dict[str, list[tuple[str, str]]] = {}
        for planned in self.planned:
            for id, links in planned.linked_ids(self.surveyor.rootdir):
                found.setdefault(id, []).append((planned.unit.head, links[0].kind))
        return found

    def linked_only(self) -> list[FixResult]:
        """Return the results of the linkage alone, no test having run."""
        results = []
        for planned in self.planned:
            settled = planned.unproven()
            if settled is None and not planned.linked:
                settled = planned.result("no-test", _NOT_LINKED)
            if settled is None:
                ids = planned.linked_ids(self.surveyor.rootdir)
                settled = planned.result(None, tests=[_only_linked(id, links) for id, links in ids])
            results.append(settled)
        return results


def _only_linked(id: str, links: Sequence[Link]) -> TestResult:
    return TestResult(
        id=id, links=list(links), before=None, after=None, before_error=None, reached=None, shows=None
    )
