"""Prove planned fixes: ask the cache, run the experiments, write down what they showed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pytest_bugsle import __version__
from pytest_bugsle.errors import BugsleError
from pytest_bugsle.probes import drive
from pytest_bugsle.regression import linking
from pytest_bugsle.regression.proof import Case, Pair, describe, judge
from pytest_bugsle.regression.reach import reach_of
from pytest_bugsle.regression.runs import Runs
from pytest_bugsle.regression.sides import is_native, is_prose
from pytest_bugsle.regression.trees import Conflict, Difference, lay_out
from pytest_bugsle.results import FixResult, TestResult
from pytest_bugsle.runner.environment import interpreter_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.git.repository import Entry
    from pytest_bugsle.regression.gather import Surveyor, TreeSides
    from pytest_bugsle.regression.planning import Fixes, PlannedFix
    from pytest_bugsle.regression.proof import Evidence, Proof, Side, Where
    from pytest_bugsle.regression.runs import Ground
    from pytest_bugsle.store.cache import Cache

_ROOM = "proof"
_EDITS = "edits"
_VERSION = 1
"""Raise it when the same evidence may be judged otherwise: kept proofs are then asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the experiments are run, and what is known from outside of them.

    `collected` are the test ids of the surrounding session (None outside of one), `partial` says that
    it ran a part of the suite; `outcomes` are by test id.
    """

    python: str
    args: tuple[str, ...]
    deadline: float
    timeout: float
    copy: tuple[str, ...]
    no_reach: str
    cache: Cache
    pool: Pool
    say: Callable[[str], None]
    collected: frozenset[str] | None = None
    partial: bool = False
    outcomes: Mapping[str, str] = field(default_factory=dict)
    is_linked: Callable[[FixResult, str], bool] | None = None
    edits: bool = False
    """Also put each edit of a proven fix back alone."""

    def runs(self, surveyor: Surveyor, grounds: dict[tuple[str, Where, Side], Ground], no_reach: str) -> Runs:
        """Return what answers probes on these terms; `no_reach` says why reach is not measured."""
        return Runs(
            pool=self.pool,
            python=self.python,
            user_top=surveyor.repo.top,
            rootdir=surveyor.rootdir,
            inifile=surveyor.inifile,
            grounds=grounds,
            timeout=self.timeout,
            deadline=self.deadline,
            args=self.args,
            copy=self.copy,
            no_reach=no_reach,
            say=self.say,
        )


@dataclass(slots=True)
class Proven:
    """The results in the order of the plan, and what they cost."""

    results: list[FixResult]
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    runs: int = 0
    cached: int = 0


@dataclass(slots=True)
class _Experiment:
    """The trees of one fix, or why there are none."""

    planned: PlannedFix
    pairs: list[Pair] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    why: str = ""
    note: str = ""
    key: str = ""


def prove(fixes: Fixes, terms: Terms) -> Proven:
    """Run the experiments that the cache does not know."""
    surveyor = fixes.surveyor
    done = Proven([])
    results: dict[str, FixResult] = {}
    experiments: dict[str, _Experiment] = {}
    laid_out: dict[str, _Experiment] = {}
    for planned in fixes.planned:
        key = planned.unit.head
        settled = planned.unproven()
        if settled is None and terms.is_linked is not None:
            planned = _with_hook_links(planned, surveyor.rootdir, terms)
        if settled is None and terms.partial and not _in_run(planned, surveyor.rootdir, terms):
            why = "none of its linked tests was collected" if planned.linked else "no test is linked to it"
            settled = planned.result("not-in-run", f"{why}, and this is a partial run")
        if settled is None:
            experiment = _experiment(surveyor, planned, terms)
            settled = (
                planned.result("undecided", experiment.why)
                if experiment.why
                else _kept(experiment, terms, done)
            )
            if not experiment.why:
                laid_out[key] = experiment
            if settled is None:
                experiments[key] = experiment
                continue
        results[key] = settled
    runs = terms.runs(surveyor, _grounds(laid_out), terms.no_reach)
    if experiments:
        results.update(_prove_whole(experiments, runs, terms))
    if terms.edits:
        proven = {key: e for key, e in laid_out.items() if results[key].status == "proven"}
        results.update(_prove_edits(proven, results, runs, terms, surveyor.rootdir))
    done.seconds, done.runs = round(runs.seconds, 3), runs.started
    if runs.started:
        if runs.dropped:
            options = " ".join(sorted(runs.dropped))
            done.notes.append(
                f"left out of the proofs, since no plugin of {terms.python} knows it: {options}"
            )
        done.notes += [f"not copied into the clean copy: {path}" for path in terms.pool.uncopied[:10]]
    done.results = [results[planned.unit.head] for planned in fixes.planned]
    return done


def _with_hook_links(planned: PlannedFix, rootdir: str, terms: Terms) -> PlannedFix:
    """Add the links that a hook of the project knows."""
    assert terms.is_linked is not None
    fix = planned.result(None)
    ids = {id.partition("[")[0] for id in terms.collected or () if terms.is_linked(fix, id)}
    return replace(planned, linked=linking.plus_named(planned.linked, ids, rootdir)) if ids else planned


def _in_run(planned: PlannedFix, rootdir: str, terms: Terms) -> bool:
    wanted = {id for id, _ in planned.linked_ids(rootdir)}
    return not wanted.isdisjoint(id.partition("[")[0] for id in terms.collected or ())


def _experiment(surveyor: Surveyor, planned: PlannedFix, terms: Terms) -> _Experiment:
    """Lay out the trees that a fix is judged in: the tree under test, then its own commit's."""
    experiment = _Experiment(planned)
    repo, pool = surveyor.repo, terms.pool
    own = "" if repo.resolve(planned.unit.head) is None else repo.tree_of(planned.unit.head)
    wheres: list[tuple[Where, str, str | None]] = [("tree", planned.tree, planned.commit)]
    here = surveyor.ground(planned.tree, pool.repo)
    if own and own != planned.tree and _weighty(surveyor.ground(own, pool.repo)) != _weighty(here):
        wheres.append(("commit", own, planned.unit.head))
    for where, tree, commit in wheres:
        try:
            difference = lay_out(surveyor, pool, planned.steps, tree, commit)
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
            linked = linking.find(surveyor, difference.sides, planned.unit, planned.steps, tree).tests
        near = linking.near(difference.sides, planned.steps, sorted(difference.changed))
        touched = linking.touched(difference.sides, planned.steps)
        experiment.differences.append(difference)
        experiment.pairs.append(Pair(where, difference.before, difference.after, linked, near, touched))
    if not experiment.pairs:
        experiment.why = f"it cannot be taken out alone: {experiment.note}"
    else:
        experiment.note = experiment.note or "the tree under test without it does not run"
        experiment.key = _key(experiment, terms)
    return experiment


def _weighty(sides: TreeSides) -> dict[str, Entry]:
    """Return what of a tree can decide a proof: all but documents and the like."""
    return {path: entry for path, entry in sides.listing.items() if not is_prose(path, sides.layout)}


def _key(experiment: _Experiment, terms: Terms) -> str:
    """Return what decides a proof: the trees' source and test blobs, the interpreter and what is installed there."""
    try:
        facts = interpreter_facts(terms.python)
    except BugsleError:
        return ""  # the run itself will say what is wrong with it
    decides = (
        _VERSION,
        __version__,
        facts.version,
        facts.platform,
        facts.digest,
        terms.args,
        terms.copy,
        terms.timeout,
    )
    digest = hashlib.sha256(repr(decides).encode())
    digest.update(repr([(old, new) for old, new, _ in experiment.planned.steps]).encode())
    for pair, difference in zip(experiment.pairs, experiment.differences, strict=True):
        links = sorted(
            (s.path, sorted(s.names or ()), [link.kind for link in found]) for s, found in pair.linked.items()
        )
        digest.update(repr((pair.where, links)).encode())
        for path, entry in sorted(_weighty(difference.sides).items()):
            digest.update(f"{path}\0{entry.mode}{entry.sha}\n".encode("utf-8", "surrogateescape"))
        for file in difference.files:
            digest.update(repr((file.before_path, file.after_path)).encode())
            digest.update(hashlib.sha256(file.before or b"").digest())
    return digest.hexdigest()


def _kept(experiment: _Experiment, terms: Terms, done: Proven) -> FixResult | None:
    kept = terms.cache.get(_ROOM, experiment.key) if experiment.key else None
    if kept is None:
        return None
    try:
        known = msgspec.json.decode(kept, type=FixResult)
    except msgspec.DecodeError:
        return None
    done.cached += 1
    return experiment.planned.result(
        known.status, known.why, known.tests, place=known.place, where=known.judged_at
    )


def _grounds(experiments: Mapping[str, _Experiment]) -> dict[tuple[str, Where, Side], Ground]:
    return {
        (key, pair.where, side): difference.ground(side)
        for key, experiment in experiments.items()
        for pair, difference in zip(experiment.pairs, experiment.differences, strict=True)
        for side in ("before", "after")
    }


def _prove_whole(experiments: Mapping[str, _Experiment], runs: Runs, terms: Terms) -> dict[str, FixResult]:
    judges = {
        key: judge(Case(key, tuple(experiment.pairs), experiment.differences[0].added, terms.outcomes))
        for key, experiment in experiments.items()
    }
    proofs = drive(judges, runs, runs.affordable)
    results = {}
    for key, experiment in experiments.items():
        proof = proofs[key]
        if proof is None:
            why = "the budget was used up before its tests had run on both sides (setting `budget`)"
            results[key] = experiment.planned.result("undecided", why)
            continue
        results[key] = _written_down(experiment, proof)
        if experiment.key and proof.keep and results[key].status != "undecided":
            with suppress(UnicodeEncodeError):  # a name that is no UTF-8: asked again next time
                terms.cache.put(_ROOM, experiment.key, msgspec.json.encode(results[key]))
    return results


def _prove_edits(
    proven: Mapping[str, _Experiment],
    results: Mapping[str, FixResult],
    runs: Runs,
    terms: Terms,
    rootdir: str,
) -> dict[str, FixResult]:
    """Put each edit of the proven fixes back alone; no fix may use up the time of those behind it."""
    from pytest_bugsle.regression.edit_proving import EditProof, decode_judged, encode

    found = {}
    for number, (key, experiment) in enumerate(proven.items()):
        fix = results[key]
        where = fix.judged_at or "tree"
        pairs = zip(experiment.pairs, experiment.differences, strict=True)
        pair, difference = next((p, d) for p, d in pairs if p.where == where)
        room = f"{experiment.key} {where}" if experiment.key else ""
        judged = decode_judged(terms.cache.get(_EDITS, room) if room else None)
        now = time.monotonic()
        runs.deadline = now + (terms.deadline - now) / (len(proven) - number)
        near = pair.near[0] if pair.near else ()
        edits = EditProof(fix, where, difference, near, rootdir, runs, terms.timeout)(judged)
        found[key] = msgspec.structs.replace(fix, edits=edits)
        if room and (judged.alone or judged.joint):
            with suppress(UnicodeEncodeError):
                terms.cache.put(_EDITS, room, encode(judged))
    runs.deadline = terms.deadline
    return found


def _written_down(experiment: _Experiment, proof: Proof) -> FixResult:
    pairs = zip(experiment.pairs, experiment.differences, strict=True)
    difference = next(difference for pair, difference in pairs if pair.where == proof.where)
    tests = [_test_result(test, difference, proof) for test in proof.tests]
    first = next(((path, s.first_line) for side, path, s in difference.statements if side == "after"), None)
    place = f"{first[0]}:{first[1]}" if first is not None and proof.where == "tree" else None
    why, status = proof.why, proof.status
    native = sorted(path for path in difference.changed if is_native(path))
    if native and status != "proven":
        # The clean copy carries the extension as it was built with the fix: on both sides.
        status = "undecided"
        why = f"it changes {native[0]}, which is compiled, and nothing is built anew without it"
    if proof.where == "commit":
        why = f"{why}; " * bool(why) + f"judged at its own commit: {experiment.note}"
    return experiment.planned.result(status, why, tests, place=place, where=proof.where)


def _test_result(test: Evidence, difference: Difference, proof: Proof) -> TestResult:
    before = test.before
    proven = test.shows == "proven"
    return TestResult(
        id=test.id,
        links=list(test.links),
        before=before.status if before else None,
        after=test.after.status if test.after else None,
        before_error=describe(before.error) if before and before.error else None,
        reached=reach_of(test.id, difference.statements, proof.before, proof.after) if proven else None,
        shows=test.shows,
        why=test.why,
    )
