"""Guards that decay: put each bug of the ledger back into today's code, and see who notices.  PYTEST_DONT_REWRITE

A bug is put back by its kept edits, each where it still finds its place. Where not all do, the fix's commit
is merged out of today's tree, if it is in the repository; else what could be put back is tried. Only a bug
that is back as a whole, and passes unnoticed, shows a weakened guard: of a part the fixed code may have
become something else, so that nobody has to notice.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from pytest_bugsle.probes import drive
from pytest_bugsle.regression.proof import Case, Probe, _Sides, is_existence, shown
from pytest_bugsle.regression.record.culprits import Past, Place, Version, first_of, since_when, stops
from pytest_bugsle.regression.record.ledger import Guard
from pytest_bugsle.regression.record.relapses import Relapse, Relapses, edits_of
from pytest_bugsle.regression.runs import Runs
from pytest_bugsle.regression.sides import is_native
from pytest_bugsle.results import GuardResult, LinkKind
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_bugsle.regression.gather import Surveyor
    from pytest_bugsle.regression.planning import PlannedFix
    from pytest_bugsle.regression.proving import Terms
    from pytest_bugsle.regression.trees import Difference
    from pytest_bugsle.results import FixResult, GuardState, TestResult
    from pytest_bugsle.runner.outcome import Outcome, Run

MOST_TESTS = 10
"""Tests that a guard keeps; more of them notice no more."""

_STRENGTH = {kind: rank for rank, kind in enumerate(get_args(LinkKind))}
_BUDGET = "the budget was used up before its tests had run (setting `budget`)"

_Notice = Literal["notices", "passes", "skipped", "xfailed", "gone", "unclear"]


def guard_of(surveyor: Surveyor, planned: PlannedFix, fix: FixResult) -> Guard | None:
    """Return what is kept of a proven fix; None for any other, and where its bug could not be put back."""
    if fix.status != "proven" or surveyor.repo.resolve(fix.commit) is None:
        return None
    proven = sorted((test for test in fix.tests if test.shows == "proven"), key=_strength)
    tests = list(dict.fromkeys(test.id.partition("[")[0] for test in proven))[:MOST_TESTS]
    edits = tuple(edits_of(surveyor.ground(planned.tree), planned.steps))
    if not edits:
        return None
    return Guard(fix.commit, tuple(fix.bugs), fix.subject, tuple(sorted(tests)), edits)


def _strength(test: TestResult) -> tuple[int, int, str]:
    missed = len(test.reached.missed) if test.reached is not None else 0
    return min((_STRENGTH[link.kind] for link in test.links), default=len(_STRENGTH)), missed, test.id


@dataclass(frozen=True, slots=True)
class _Asked:
    """One test of a guard, by its kept id, and where it is today; `stops` where its text can skip it."""

    id: str
    place: Place
    moved: str = ""
    lost: Version | None = None
    stops: bool = False


@dataclass(frozen=True, slots=True)
class _Trial:
    """A guard whose bug is back in today's tree, and its tests there."""

    guard: Guard
    relapse: Relapse
    difference: Difference
    tests: Mapping[Selector, _Asked]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one test showed."""

    asked: _Asked
    does: _Notice
    why: str = ""


def try_guards(surveyor: Surveyor, guards: Sequence[Guard], terms: Terms) -> list[GuardResult]:
    """Put each guard's bug back into today's tree and say, in the same order, whether the guard notices."""
    if not guards:
        return []
    today = _Today.of(surveyor, terms)
    results: dict[str, GuardResult] = {}
    trials: dict[str, _Trial] = {}
    for number, guard in enumerate(guards, 1):
        terms.say(f"guard {number} of {len(guards)}: putting the bug of {guard.commit[:7]} back")
        if not today.runs.affordable():
            results[guard.commit] = _result(guard, Relapse(None, 0), "undecided", _BUDGET)
            continue
        relapse = today.relapses.of(guard)
        if relapse.difference is None:
            results[guard.commit] = _result(guard, relapse, "not-applicable", relapse.why)
            continue
        trials[guard.commit] = _Trial(guard, relapse, relapse.difference, today.asked(guard))
        for side in ("before", "after"):
            today.runs.grounds[guard.commit, "tree", side] = relapse.difference.ground(side)
    judges = {key: _judge(trial, terms.outcomes) for key, trial in trials.items()}
    judged = drive(judges, today.run, today.runs.affordable)
    for key, trial in trials.items():
        seen = judged[key]
        results[key] = (
            _result(trial.guard, trial.relapse, "undecided", _BUDGET)
            if seen is None
            else _weighed(today, trial, seen)
        )
    terms.say("")
    return [results[guard.commit] for guard in guards]


@dataclass(frozen=True, slots=True)
class _Today:
    """The tree under test, its past, and the runs in it."""

    surveyor: Surveyor
    terms: Terms
    past: Past
    relapses: Relapses
    runs: Runs

    @classmethod
    def of(cls, surveyor: Surveyor, terms: Terms) -> _Today:
        repo, pool = surveyor.repo, terms.pool
        head = repo.head().sha
        tree = repo.tree_of(head) if repo.is_bare and head is not None else pool.snapshot()
        past = Past(surveyor, pool.repo, surveyor.ground(tree, pool.repo), head)
        runs = terms.runs(surveyor, {}, "a guard is asked whether it notices, not what it reaches")
        return cls(surveyor, terms, past, Relapses(past, pool), runs)

    def run(self, probes: Sequence[Probe]) -> dict[Probe, Run]:
        """Run the after sides together, and each before side in its turn, as far as the budget goes."""
        answers = self.runs([probe for probe in probes if probe.side == "after"])
        alone = [probe for probe in probes if probe.side == "before"]
        for number, probe in enumerate(alone, 1):
            self.terms.say(f"bug {number} of {len(alone)}: {probe.fix[:7]}")
            answers |= self.runs.in_turn([probe], 2 * self.terms.timeout)
        return answers

    def asked(self, guard: Guard) -> dict[Selector, _Asked]:
        """Return the guard's tests where they stand today; one that is nowhere is asked for where it was."""
        asked = {}
        prefix = "" if self.surveyor.rootdir == "." else f"{self.surveyor.rootdir}/"
        for id in guard.tests:
            path, _, name = id.partition("::")
            kept = Place(posixpath.normpath(prefix + path), name.replace("::", "."))
            place, version = self.past.whereabouts(kept, self.past.since(guard.commit))
            moved = ""
            if place is not None and place != kept:
                moved = f"{id} is now {place.path}::{place.name.replace('.', '::')}"
            place = place or kept
            names = frozenset({place.name}) if place.name else None
            stopping = bool(stops(self.past.today(place.path), place.name))
            lost = None if moved else version
            asked[Selector(place.path, names)] = _Asked(id, place, moved, lost, stopping)
        return asked

    def noticed(self, trial: _Trial, test: Place, version: Version, name: str) -> bool | None:
        """Say whether a test noticed the bug as it was written before a change; None where that is unclear."""
        entry, old = self.past.sides.listing.get(test.path), version.change.old_blob
        if entry is None or old is None or not self.runs.affordable():
            return None
        content = self.past.repo.blob(old)
        key = f"{trial.guard.commit} before {version.commit}"
        selector = Selector(test.path, frozenset({name}))
        for side in ("before", "after"):
            ground = trial.difference.ground(side)
            tree = self.terms.pool.write_tree(ground.tree, {test.path: (entry.mode, content)})
            self.runs.grounds[key, "tree", side] = replace(ground, tree=tree)
        before, after = (Probe(key, "tree", side, frozenset({selector})) for side in ("before", "after"))
        answers = self.run((before, after))
        if len(answers) < 2:
            return None
        asked = _Asked("", Place(test.path, name))
        seen = _read(trial, asked, selector, _Sides(answers[before], answers[after]), {})
        return None if seen.does in ("unclear", "gone") else seen.does == "notices"


def _judge(
    trial: _Trial, outside: Mapping[str, str]
) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], tuple[_Seen, ...]]:
    """Run a guard's tests with the fix, and those that pass without it. Pure."""
    key = trial.guard.commit
    selectors = frozenset(trial.tests)
    after = Probe(key, "tree", "after", selectors)
    with_fix = (yield (after,))[after]
    alive = frozenset(s for s in selectors if any(o.status == "passed" for o in _of(with_fix, s).values()))
    if not alive:
        return tuple(
            _read(trial, asked, s, _Sides(with_fix, with_fix), outside) for s, asked in trial.tests.items()
        )
    sides = yield from _without(trial, alive, with_fix, repeat=0)
    seen = [_read(trial, asked, s, sides, outside) for s, asked in trial.tests.items()]
    silent = [each for each in seen if each.does == "passes"]
    if silent and not any(each.does == "notices" for each in seen):
        # It will be said of a commit that it did this: so it is asked twice.
        again = yield from _without(trial, alive, with_fix, repeat=1)
        seen = [
            _agreed(each, _read(trial, each.asked, s, again, outside))
            for each, s in zip(seen, trial.tests, strict=True)
        ]
    return tuple(seen)


def _without(
    trial: _Trial, selectors: frozenset[Selector], with_fix: Run, *, repeat: int
) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], _Sides]:
    key = trial.guard.commit
    before = Probe(key, "tree", "before", selectors, repeat)
    run = (yield (before,))[before]
    stubbed = any(is_existence(error, trial.difference.added) for error in run.collect_errors.values())
    if stubbed:
        before = replace(before, stub=True)
        run = (yield (before,))[before]
    return _Sides(run, with_fix, stubbed)


def _agreed(first: _Seen, second: _Seen) -> _Seen:
    if first.does == second.does:
        return first
    return _Seen(
        first.asked,
        "unclear",
        f"{first.asked.id} is flaky: with the bug put back it passed once and not again",
    )


def _of(run: Run, selector: Selector) -> dict[str, Outcome]:
    return {
        id: outcome
        for id, outcome in run.outcomes.items()
        if outcome.path == selector.path
        and (selector.names is None or outcome.name in selector.names)
        and outcome.status != "missing"
    }


def _read(
    trial: _Trial, asked: _Asked, selector: Selector, sides: _Sides, outside: Mapping[str, str]
) -> _Seen:
    """Return what one test showed, over all its parameters."""
    case = Case(trial.guard.commit, (), trial.difference.added, outside)
    after, before = _of(sides.after, selector), _of(sides.before, selector)
    if not after:
        run = sides.after
        read = not (run.problem or run.wrong_tree) and run.collect_errors.keys().isdisjoint(
            ("", selector.path)
        )
        if read and run.ended == "finished" and run.exit_code in (0, 1, 5, None):
            # A file that skips itself as a whole is not collected.
            return _Seen(asked, "skipped" if asked.stops else "gone")
    told = {id: shown(case, selector, id, before.get(id), one, sides) for id, one in after.items()}
    passing = {id: says for id, says in told.items() if after[id].status == "passed"}
    whys = [why for _, why in told.values() if why]
    if any(status == "proven" for status, _ in passing.values()):
        return _Seen(asked, "notices")
    if passing and all(status == "passes-without-fix" for status, _ in passing.values()):
        return _Seen(asked, "passes")
    if not passing and after:
        statuses = {_marked(outcome) for outcome in after.values()}
        if statuses <= {"xfailed", "xpassed", "skipped"}:
            reason = next((outcome.reason for outcome in after.values() if outcome.reason), "")
            reason = reason.removeprefix("Skipped: ")
            return _Seen(asked, "skipped" if statuses == {"skipped"} else "xfailed", reason)
    if any(status == "existence-only" for status, _ in passing.values()):
        why = f"{asked.id} fails only because a name is missing where the bug is put back: {whys[0]}"
        return _Seen(asked, "unclear", why)
    if not told:
        whys = [shown(case, selector, "", None, None, sides)[1]]
    return _Seen(asked, "unclear", f"{asked.id}: {whys[0]}" if whys else f"{asked.id} could not be read")


def _marked(outcome: Outcome) -> str:
    """Return the status of a test; pytest calls one failed that is marked strictly xfail and passes."""
    strict = outcome.error is not None and outcome.error.type == "XPASS(strict)"
    return "xpassed" if strict else outcome.status


def _weighed(today: _Today, trial: _Trial, seen: Sequence[_Seen]) -> GuardResult:
    """Return the verdict on a guard: it is held where any of its tests notices."""
    relapse = trial.relapse
    moved = [each.asked.moved for each in seen if each.asked.moved]

    def said(state: GuardState, *whys: str, cause: str = "", culprit: str | None = None) -> GuardResult:
        why = "; ".join(why for why in whys if why)
        return _result(trial.guard, relapse, state, why, cause=cause, culprit=culprit)

    if any(each.does == "notices" for each in seen):
        lost = [_told(each) for each in seen if each.does in ("gone", "skipped", "xfailed")]
        return said("held", relapse.why, *moved, *lost)
    unclear = [each.why for each in seen if each.does == "unclear"]
    if unclear:
        return said("undecided", unclear[0])
    worst = min(seen, key=lambda each: _WORST.index(each.does))
    if worst.does == "passes":
        if not relapse.whole:
            return said("not-applicable", relapse.why)
        native = sorted(path for path in trial.difference.changed if is_native(path))
        if native:
            return said("undecided", f"{native[0]} is compiled, and nothing is built anew with the bug in it")
    blamed = _blame(today, trial, worst)
    if blamed is None:
        return said(
            "undecided", f"{worst.asked.id} is skipped here, by no change of its own file{_reason(worst)}"
        )
    culprit, why = blamed
    others = [_told(each) for each in seen if each is not worst]
    return said("weakened", why, relapse.why, *moved, *others, cause=_CAUSES[worst.does], culprit=culprit)


_CAUSES = {"passes": "passes", "gone": "deleted", "skipped": "skipped", "xfailed": "xfailed"}
_WORST = ("passes", "xfailed", "skipped", "gone")
_TOLD = {
    "passes": "passes with the bug put back",
    "xfailed": "is marked xfail",
    "skipped": "is skipped",
    "gone": "is no longer there",
}


def _told(seen: _Seen) -> str:
    return f"{seen.asked.id} {_TOLD[seen.does]}"


def _reason(seen: _Seen) -> str:
    return f" ({seen.why})" if seen.why else ""


def _blame(today: _Today, trial: _Trial, seen: _Seen) -> tuple[str | None, str] | None:
    """Return the commit that weakened a test, and what to say of it; None where nobody did."""
    past, since, told = today.past, today.past.since(trial.guard.commit), _told(seen)
    if seen.does == "passes":
        return _blame_for_passing(today, trial, seen)
    if seen.does == "gone":
        version = seen.asked.lost
        if version is None:
            there = seen.asked.place.name in past.today(seen.asked.place.path).tests
            return None, f"{seen.asked.id} is there, but no longer collected" if there else told
        return version.commit or None, f"{seen.asked.id} was taken out{since_when(version)}"
    version = past.stopped(seen.asked.place, since)
    if version is not None:
        return version.commit or None, f"{told}{since_when(version)}{_reason(seen)}"
    return None if seen.does == "skipped" else (None, f"{told}, by no change of its own file{_reason(seen)}")


def _blame_for_passing(today: _Today, trial: _Trial, seen: _Seen) -> tuple[str | None, str]:
    place, told = seen.asked.place, _told(seen)
    altered = today.past.altered(place, today.past.since(trial.guard.commit))
    if not altered:
        return None, f"{told}; the test itself is unchanged: the code around it changed"
    found = first_of(len(altered), lambda index: today.noticed(trial, place, *altered[index]))
    if found is None and len(altered) == 1:
        found = 0
    if found is None:
        shas = ", ".join(version.commit[:7] or "the uncommitted change" for version, _ in altered[:5])
        return None, f"{told}; one of the changes of it did that: {shas}"
    if found == len(altered):
        return None, f"{told}, and so do its earlier versions: the code around it changed"
    version = altered[found][0]
    return version.commit or None, f"{told}{since_when(version)}"


def _result(
    guard: Guard,
    relapse: Relapse,
    state: GuardState,
    why: str = "",
    *,
    cause: str = "",
    culprit: str | None = None,
) -> GuardResult:
    return GuardResult(
        commit=guard.commit,
        subject=guard.subject,
        bugs=list(guard.bugs),
        tests=list(guard.tests),
        state=state,
        cause=cause,
        culprit=culprit,
        why=why,
        applied=relapse.applied,
        edits=len(guard.edits),
    )
