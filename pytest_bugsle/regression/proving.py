"""Prove the fixes of a range: plan, ask the cache, run the experiments, write down what they showed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle import __version__
from pytest_bugsle.errors import ProgramError
from pytest_bugsle.probes import drive
from pytest_bugsle.regression import linking
from pytest_bugsle.regression.proof import Case, Pair, describe, judge
from pytest_bugsle.regression.reach import reach_of
from pytest_bugsle.regression.runs import Runs
from pytest_bugsle.regression.sides import Side
from pytest_bugsle.regression.trees import Conflict, Difference, lay_out
from pytest_bugsle.results import FixResult, Link, TestResult
from pytest_bugsle.runner.environment import interpreter_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.history.units import Unit
    from pytest_bugsle.regression.gather import Surveyor, TreeSides
    from pytest_bugsle.regression.proof import Evidence, Proof, Side as RunSide, Where
    from pytest_bugsle.regression.runs import Ground
    from pytest_bugsle.results import Status
    from pytest_bugsle.store.cache import Cache

_ROOM = "proof"
_VERSION = 1
"""Raise it when the same evidence may be judged otherwise: kept proofs are then asked again."""


@dataclass(frozen=True, slots=True)
class PlannedFix:
    """One unit with what is known before any test runs."""

    unit: Unit
    steps: tuple[tuple[str, str, tuple[Change, ...]], ...]
    asked: bool
    in_scope: bool
    paths: tuple[str, ...]
    tree: str = ""
    commit: str | None = None
    linked: linking.Linked = linking.NOTHING


@dataclass(slots=True)
class Fixes:
    """The units of one run, from plan to result."""

    surveyor: Surveyor
    say: Callable[[str], None]
    proof: bool = True
    own_commit: bool = False
    planned: list[PlannedFix] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    runs: int = 0
    cached: int = 0
    _trees: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    _named: bool = False

    def plan(self, units: Sequence[Unit], *, named: bool, pool: Callable[[], Pool]) -> None:
        """Find out which units are asked for, what they change, and which tests are linked to them."""
        self._named = named
        for unit in units:
            asked = named or unit.judgement.is_fix
            steps = tuple(self.surveyor.steps(unit))
            ground = self._ground_before(unit)
            found = [change for _, _, changes in steps for change in changes]
            scope = ground.in_scope(found)
            paths = tuple(dict.fromkeys(change.path for change in ground.source(found)))
            planned = PlannedFix(unit, steps, asked, scope, paths)
            if asked and scope:
                tree, commit = self._tree_under_test(unit, pool)
                reader = pool().repo if self.proof else self.surveyor.repo
                sides = self.surveyor.ground(tree, reader)
                linked = linking.find(self.surveyor, sides, unit, steps, tree)
                self.notes += linked.broken
                planned = PlannedFix(unit, steps, asked, scope, paths, tree, commit, linked)
            self.planned.append(planned)

    def _ground_before(self, unit: Unit) -> TreeSides:
        """Return the layout by which a unit's own changes are told apart."""
        return self.surveyor.ground(unit.commits[0].tree)

    def _tree_under_test(self, unit: Unit, pool: Callable[[], Pool]) -> tuple[str, str | None]:
        """Return the tree that a unit is judged in: the user's, where that contains it, else its own."""
        repo = self.surveyor.repo
        if unit.head not in self._trees:
            head = repo.head().sha
            if repo.resolve(unit.head) is None:  # the uncommitted change has a tree and no commit
                self._trees[unit.head] = (unit.head, head)
            elif self.own_commit or head is None or repo.is_bare or not repo.is_ancestor(unit.head, head):
                self._trees[unit.head] = (repo.tree_of(unit.head), unit.head)
            elif not self.proof:
                self._trees[unit.head] = (repo.tree_of(head), head)
            else:
                if "" not in self._trees:
                    self._trees[""] = (pool().snapshot(), head)
                    self.notes += [f"left out of the clean copy: {path}" for path in pool().left_out]
                self._trees[unit.head] = self._trees[""]
        return self._trees[unit.head]

    def tracks(self, path: str) -> bool:
        """Say whether any tree of this run holds `path`."""
        return any(path in self.surveyor.ground(tree).listing for tree, _ in self._trees.values())

    def unit_in_words(self) -> str:
        """Return how the range was cut into units."""
        kinds = [planned.unit.kind for planned in self.planned]
        return ", ".join(f"{kinds.count(kind)} by {kind}" for kind in dict.fromkeys(kinds)) or "none"

    def links_by_test(self) -> dict[str, list[tuple[str, str]]]:
        """Return (fix, kind of link) by test id without parameters, as pytest writes ids from its rootdir."""
        found: dict[str, list[tuple[str, str]]] = {}
        prefix = "" if self.surveyor.rootdir == "." else f"{self.surveyor.rootdir}/"
        for planned in self.planned:
            for selector, links in planned.linked.tests.items():
                for name in selector.names or ():
                    id = f"{selector.path.removeprefix(prefix)}::{name.replace('.', '::')}"
                    found.setdefault(id, []).append((planned.unit.head, links[0].kind))
        return found

    def linked_only(self) -> list[FixResult]:
        """Return the results of the linkage alone, no test having run."""
        results = []
        for planned in self.planned:
            status: Status | None = None
            why = ""
            if planned.asked and not planned.in_scope:
                status, why = "out-of-scope", _OUT_OF_SCOPE
            elif planned.asked and not planned.linked.tests:
                status, why = "no-test", "no test is linked to it; `bugsle prove` also looks for one that flips"
            tests = [
                TestResult(
                    id=id,
                    links=list(links),
                    before=None,
                    after=None,
                    before_error=None,
                    reached=None,
                    shows=None,
                )
                for id, links in self._linked_ids(planned)
            ]
            results.append(self._result(planned, status, why, tests))
        return results

    def _linked_ids(self, planned: PlannedFix) -> list[tuple[str, tuple[Link, ...]]]:
        prefix = "" if self.surveyor.rootdir == "." else f"{self.surveyor.rootdir}/"
        return [
            (f"{selector.path.removeprefix(prefix)}::{name.replace('.', '::')}", links)
            for selector, links in planned.linked.tests.items()
            for name in sorted(selector.names or ())
        ]

    def prove(
        self,
        *,
        python: str,
        args: tuple[str, ...],
        deadline: float,
        timeout: float,
        copy: tuple[str, ...],
        no_reach: str,
        cache: Cache,
        pool: Callable[[], Pool],
        collected: frozenset[str] | None,
        outcomes: Mapping[str, str],
        is_linked: Callable[[FixResult, str], bool] | None,
        all_collected: frozenset[str],
    ) -> list[FixResult]:
        """Run the experiments that the cache does not know; `collected` is given in a partial run only."""
        results: dict[str, FixResult] = {}
        experiments: dict[str, _Experiment] = {}
        for planned in self.planned:
            key = planned.unit.head
            if not planned.asked:
                results[key] = self._result(planned, None, "", [])
            elif not planned.in_scope:
                results[key] = self._result(planned, "out-of-scope", _OUT_OF_SCOPE, [])
            else:
                if is_linked is not None:
                    planned = self._with_hook_links(planned, is_linked, all_collected)
                if collected is not None and not self._in_run(planned, collected):
                    results[key] = self._result(
                        planned, "not-in-run", "none of its linked tests was collected in this partial run", []
                    )
                    continue
                experiment = self._experiment(planned, pool(), (python, *args, *copy))
                kept = cache.get(_ROOM, experiment.key) if experiment.key else None
                if experiment.why:
                    results[key] = self._result(planned, "undecided", experiment.why, [])
                elif kept is not None and (known := self._kept(planned, kept)) is not None:
                    self.cached += 1
                    results[key] = known
                else:
                    experiments[key] = experiment
        if experiments:
            results.update(
                self._run(
                    experiments,
                    Runs(
                        pool=pool(),
                        python=python,
                        user_top=self.surveyor.repo.top,
                        rootdir=self.surveyor.rootdir,
                        inifile=self.surveyor.inifile,
                        grounds={
                            (key, pair.where, side): ground
                            for key, experiment in experiments.items()
                            for pair, difference in zip(experiment.pairs, experiment.differences, strict=True)
                            for side, ground in _grounds(difference)
                        },
                        timeout=timeout,
                        deadline=deadline,
                        args=args,
                        copy=copy,
                        no_reach=no_reach,
                        say=self.say,
                    ),
                    outcomes,
                    cache,
                )
            )
            self.notes += [f"not copied into the clean copy (too large): {path}" for path in pool().uncopied[:10]]
        return [results[planned.unit.head] for planned in self.planned]

    def _run(
        self, experiments: Mapping[str, _Experiment], runs: Runs, outcomes: Mapping[str, str], cache: Cache
    ) -> dict[str, FixResult]:
        cases = {
            key: Case(key, tuple(experiment.pairs), experiment.differences[0].added, outcomes)
            for key, experiment in experiments.items()
        }
        proofs = drive({key: judge(case) for key, case in cases.items()}, runs, runs.affordable)
        self.seconds, self.runs = runs.seconds, runs.started
        results = {}
        for key, experiment in experiments.items():
            proof = proofs[key]
            if proof is None:
                results[key] = self._result(
                    experiment.planned, "undecided", "the budget was used up before its tests had run on both sides", []
                )
                continue
            results[key] = self._proven(experiment, proof)
            if experiment.key and proof.keep and proof.status != "undecided":
                cache.put(_ROOM, experiment.key, msgspec.json.encode(results[key]))
        return results

    def _proven(self, experiment: _Experiment, proof: Proof) -> FixResult:
        difference = next(
            d for pair, d in zip(experiment.pairs, experiment.differences, strict=True) if pair.where == proof.where
        )
        tests = [_test_result(test, difference, proof) for test in proof.tests]
        first = next(((path, s.first_line) for side, path, s in difference.statements if side == "after"), None)
        place = f"{first[0]}:{first[1]}" if first is not None and proof.where == "tree" else None
        why = proof.why
        if proof.where == "commit" and experiment.note:
            why = f"{why}; " * bool(why) + f"judged at its own commit: {experiment.note}"
        return self._result(experiment.planned, proof.status, why, tests, place=place, where=proof.where)

    def _experiment(self, planned: PlannedFix, pool: Pool, extra: tuple[str, ...]) -> _Experiment:
        """Lay out the trees that a fix is judged in."""
        experiment = _Experiment(planned)
        repo = self.surveyor.repo
        own = "" if repo.resolve(planned.unit.head) is None else repo.tree_of(planned.unit.head)
        wheres: list[tuple[Where, str, str | None]] = [("tree", planned.tree, planned.commit)]
        if own and own != planned.tree:
            wheres.append(("commit", own, planned.unit.head))
        for where, tree, commit in wheres:
            try:
                difference = lay_out(self.surveyor, pool, planned.steps, tree, commit)
            except Conflict as conflict:
                experiment.note = str(conflict)
                continue
            if difference is None:
                if where == "tree":
                    experiment.why = "it is no longer in the tree: taking it out changes nothing"
                    return experiment
                continue
            linked = planned.linked
            if where == "commit":
                sides = self.surveyor.ground(tree, pool.repo)
                linked = linking.find(self.surveyor, sides, planned.unit, planned.steps, tree)
            experiment.differences.append(difference)
            near = linking.near(self.surveyor, difference.sides, planned.steps, sorted(difference.changed))
            experiment.pairs.append(
                Pair(where, difference.before, difference.after, linked.tests, near, linking.touched(difference.sides, planned.steps))
            )
        if not experiment.pairs:
            experiment.why = f"it cannot be taken out alone: {experiment.note}"
        elif not experiment.note:
            experiment.note = "the tree under test without it does not run"
        experiment.key = self._key(experiment, extra)
        return experiment

    def _key(self, experiment: _Experiment, extra: tuple[str, ...]) -> str:
        """Return what decides a proof: the trees' source and test blobs, the interpreter and what is installed."""
        if not experiment.pairs:
            return ""
        try:
            facts = interpreter_facts(extra[0])
        except ProgramError:
            return ""
        digest = hashlib.sha256(repr((_VERSION, __version__, extra, facts.version, facts.platform, facts.digest)).encode())
        digest.update(repr([(old, new) for old, new, _ in experiment.planned.steps]).encode())
        for pair, difference in zip(experiment.pairs, experiment.differences, strict=True):
            links = sorted((s.path, sorted(s.names or ()), [link.kind for link in found]) for s, found in pair.linked.items())
            digest.update(repr((pair.where, links)).encode())
            for path, entry in sorted(difference.sides.listing.items()):
                if difference.sides.side(path) is not Side.NEUTRAL:
                    digest.update(f"{path}\0{entry.mode}{entry.sha}\n".encode("utf-8", "surrogateescape"))
            for file in difference.files:
                digest.update(repr((file.before_path, file.after_path)).encode())
                digest.update(hashlib.sha256(file.before or b"").digest())
        return digest.hexdigest()

    def _kept(self, planned: PlannedFix, kept: bytes) -> FixResult | None:
        try:
            known = msgspec.json.decode(kept, type=FixResult)
        except msgspec.DecodeError:
            return None
        return msgspec.structs.replace(
            self._result(planned, known.status, known.why, known.tests), place=known.place, judged_at=known.judged_at
        )

    def _in_run(self, planned: PlannedFix, collected: frozenset[str]) -> bool:
        wanted = {id for id, _ in self._linked_ids(planned)}
        return not wanted.isdisjoint(id.partition("[")[0] for id in collected)

    def _with_hook_links(
        self, planned: PlannedFix, is_linked: Callable[[FixResult, str], bool], collected: frozenset[str]
    ) -> PlannedFix:
        """Add the links that a hook of the project knows."""
        fix = self._result(planned, None, "", [])
        prefix = "" if self.surveyor.rootdir == "." else f"{self.surveyor.rootdir}/"
        named = {id.partition("[")[0] for id in collected if is_linked(fix, id)}
        if not named:
            return planned
        return replace(planned, linked=planned.linked.plus_named(named, prefix))

    def _result(
        self,
        planned: PlannedFix,
        status: Status | None,
        why: str,
        tests: list[TestResult],
        *,
        place: str | None = None,
        where: Where | None = None,
    ) -> FixResult:
        unit = planned.unit
        return FixResult(
            commit=unit.head,
            subject=unit.subject,
            bugs=list(unit.bugs),
            judgement=unit.judgement.answer,
            reasons=[str(reason) for reason in unit.judgement.reasons],
            status=status,
            why=why,
            tests=tests,
            commits=[commit.sha for commit in (*unit.commits, *unit.parts)],
            paths=list(planned.paths),
            place=place,
            judged_at=where,
        )


_OUT_OF_SCOPE = "it changes nothing in the source that the gate answers for (setting `source`)"


@dataclass(slots=True)
class _Experiment:
    """The trees of one fix, or why there are none."""

    planned: PlannedFix
    pairs: list[Pair] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    why: str = ""
    note: str = ""
    key: str = ""


def _grounds(difference: Difference) -> tuple[tuple[RunSide, Ground], ...]:
    return (("before", difference.ground("before")), ("after", difference.ground("after")))


def _test_result(test: Evidence, difference: Difference, proof: Proof) -> TestResult:
    before = test.before
    return TestResult(
        id=test.id,
        links=list(test.links),
        before=before.status if before else None,
        after=test.after.status if test.after else None,
        before_error=describe(before.error) if before and before.error else None,
        reached=reach_of(test.id, difference.statements, proof.before, proof.after) if test.shows == "proven" else None,
        shows=test.shows,
        why=test.why,
    )
