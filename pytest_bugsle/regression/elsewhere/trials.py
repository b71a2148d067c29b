"""Run the guards of a fix on other branches, without the fix and with it merged in.  PYTEST_DONT_REWRITE

Red there, and green with the fix merged in: the branch misses the fix. The experiment is that of a proof
with another pair of trees. *Before* is the branch with the guards laid over it, which it rarely has;
*after* is the same with the fix merged in: without that control a red guard may only say that the branch
is old.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle import __version__
from pytest_bugsle.errors import BugsleError
from pytest_bugsle.probes import drive
from pytest_bugsle.regression.elsewhere.branches import command
from pytest_bugsle.regression.elsewhere.porting import Porting
from pytest_bugsle.regression.linking import selector_of
from pytest_bugsle.regression.proof import (
    Case,
    Evidence,
    Pair,
    Probe,
    Proof,
    describe,
    is_timeout,
    judge,
)
from pytest_bugsle.regression.runs import Runs
from pytest_bugsle.results import Lead
from pytest_bugsle.runner.environment import interpreter_facts
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from pytest_bugsle.regression.elsewhere.branches import Branch
    from pytest_bugsle.regression.elsewhere.porting import Ported
    from pytest_bugsle.regression.gather import Surveyor
    from pytest_bugsle.regression.planning import PlannedFix
    from pytest_bugsle.regression.proving import Terms
    from pytest_bugsle.results import FixResult, TestResult
    from pytest_bugsle.runner.outcome import Error, Outcome, Run

MOST_GUARDS = 5
"""Guards that run on a branch; one would do, and the others make up for what the branch lacks of it."""
_ROOM, _VERSION = "branches", 1
_UNDECIDED = 0.15
_PROBABLE = 0.4
_OF_A_NAME = frozenset({"ImportError", "AttributeError", "NameError", "TypeError"})


class Trials:
    """Tries one proven fix on branches, one after the other."""

    def __init__(self, surveyor: Surveyor, planned: PlannedFix, fix: FixResult, terms: Terms) -> None:
        self.surveyor = surveyor
        self.planned = planned
        self.terms = terms
        self.repo = terms.pool.repo
        tree = planned.tree
        if fix.judged_at == "commit" and self.repo.resolve(planned.unit.head) is not None:
            tree = self.repo.tree_of(planned.unit.head)
        self.home = surveyor.ground(tree, self.repo)
        self.guards: dict[Selector, TestResult] = {}
        for test in fix.tests:
            selector = selector_of(test.id, surveyor.rootdir)
            if test.shows == "proven" and selector.path in self.home.listing:
                self.guards.setdefault(selector, test)
        for selector in [*self.guards][MOST_GUARDS:]:
            del self.guards[selector]
        paths = frozenset(selector.path for selector in self.guards)
        self.porting = Porting(surveyor, terms.pool, planned.steps, self.home, paths)

    def run(self, branches: Sequence[Branch]) -> dict[str, Lead]:
        """Return what was found out, by branch: `proven` is True, False (no bug there) or None (undecided).

        A branch that is not in the result was not tried: the budget was used up, there is no guard, or it
        has none of the code that the fix changes.
        """
        found: dict[str, Lead] = {}
        runs = self.terms.runs(self.surveyor, {}, "a trial on a branch measures no reach")
        for branch in branches if self.guards else ():
            key = self._key(branch)
            lead = self._kept(key)
            if lead is None and runs.affordable():
                lead = self._tried(branch, runs)
                if key and lead is not None and lead.proven is not None:
                    with suppress(UnicodeEncodeError):
                        self.terms.cache.put(_ROOM, key, msgspec.json.encode(lead))
            if lead is not None:
                # Two branches at one commit share a trial, and not what is to be typed.
                told = self._command(branch)
                found[branch.name] = msgspec.structs.replace(lead, branch=branch.name, command=told)
        return found

    def _tried(self, branch: Branch, runs: Runs) -> Lead | None:
        """Try one branch, and once more with all that may stand around the guards where they do not run."""
        lead: Lead | None = None
        bare = ""
        for widely in (False, True):
            trial = self.porting.to(branch, widely=widely)
            if trial is None or trial.bare == bare:
                return lead
            if trial.why and not trial.difference.files and trial.control:
                return self._lead(branch, trial.why, 0.0, proven=False)
            bare = trial.bare
            lead, runnable = self._judged(branch, trial, runs)
            if runnable or not runs.affordable():
                return lead
        return lead

    def _judged(self, branch: Branch, trial: Ported, runs: Runs) -> tuple[Lead | None, bool]:
        """Return what a trial shows, and whether the guards could be run at all."""
        key = f"{self.planned.unit.head} {branch.commit}"
        for side in ("before", "after"):
            runs.grounds[key, "commit", side] = trial.difference.ground(side)
        linked = {selector: tuple(test.links) for selector, test in self.guards.items()}
        if not trial.control:
            reds = drive({key: _twice(key, frozenset(linked))}, runs, runs.affordable)[key]
            return (None, True) if reds is None else self._without_control(branch, trial, *reds)
        pair = Pair("commit", trial.bare, trial.difference.after, linked, (), frozenset())
        case = Case(key, (pair,), trial.difference.added)
        proof = drive({key: judge(case)}, runs, runs.affordable)[key]
        return (None, True) if proof is None else self._with_control(branch, trial, proof)

    def _with_control(self, branch: Branch, trial: Ported, proof: Proof) -> tuple[Lead | None, bool]:
        for test in proof.tests:
            if test.shows == "proven":
                said = _said(test.before.error) if test.before else ""
                why = f"{test.id} fails there ({said}) and passes with the fix merged in"
                return self._lead(branch, why, 1.0, proven=True), True
        if proof.status == "passes-without-fix":
            return self._lead(branch, "its guards pass there", 0.0, proven=False), True
        for test in proof.tests:
            if test.shows == "guard-fails" and self._is_the_bug(test, same=True):
                assert test.before is not None
                why = (
                    f"{test.id} fails there as it does without the fix ({_said(test.before.error)}), and "
                    "merging the fix in is not enough: it has to be ported by hand"
                )
                return self._lead(branch, why, 1.0, proven=True), True
        first = next((test for test in proof.tests if test.why), None)
        why = first.why if first is not None else proof.why
        named = f"{first.id}: {why}" if first is not None and not why.startswith(first.id) else why
        if proof.status == "guard-fails":
            why = f"its guard fails there with and without the fix merged in: {named}"
            return self._lead(branch, why, _PROBABLE, proven=None), True
        runnable = any(test.before is not None and test.before.status != "error" for test in proof.tests)
        return self._lead(branch, f"its guard cannot tell there: {named}", _UNDECIDED, proven=None), runnable

    def _without_control(
        self, branch: Branch, trial: Ported, first: Run, second: Run
    ) -> tuple[Lead | None, bool]:
        """Judge by the red alone: the fix cannot be merged in by itself."""
        if first.wrong_tree:
            why = f"its guard did not run against the branch: {first.wrong_tree[0]}"
            return self._lead(branch, why, _UNDECIDED, proven=None), True
        outcomes = [
            o for o in first.outcomes.values() if o.status != "missing" and self._guard(o) is not None
        ]
        steady = [o for o in outcomes if _status(second, o.id) == o.status]
        for outcome in steady:
            test = _evidence(outcome, self._guard(outcome))
            if self._is_the_bug(test, same=True):
                why = (
                    f"{outcome.id} fails there as it does without the fix ({_said(outcome.error)}); "
                    f"{trial.why}: it has to be ported by hand"
                )
                return self._lead(branch, why, 1.0, proven=True), True
            if self._is_the_bug(test, same=False):
                # Nearly every guard raises AssertionError: that alone does not make it the same bug.
                why = f"{outcome.id} fails there, but differently ({_said(outcome.error)}); {trial.why}"
                return self._lead(branch, why, _PROBABLE, proven=None), True
        if steady and all(outcome.status == "passed" for outcome in steady):
            return self._lead(branch, "its guards pass there", 0.0, proven=False), True
        said = next((f"{o.id}: {_said(o.error)}" for o in outcomes if o.error is not None), "")
        error = next(iter(first.collect_errors.values()), None)
        said = said or (_said(error) if error else first.problem or "it gave no result")
        runnable = any(outcome.status not in ("error", "passed") for outcome in outcomes)
        why = f"its guard cannot tell there: {said}; {trial.why}"
        return self._lead(branch, why, _UNDECIDED, proven=None), runnable

    def _is_the_bug(self, test: Evidence, *, same: bool) -> bool:
        """Say whether a guard is red for the reason for which it was red without the fix.

        The exception must be of the same type; where it is about a name, which an old branch may lack for
        reasons of its own, or where `same` asks for it, the message must be the same too.
        """
        guard = self._guard(test.before) if test.before is not None else None
        error = test.before.error if test.before is not None else None
        if guard is None or error is None or test.before is None:
            return False
        if test.before.status not in ("failed", "xfailed") or is_timeout(error):
            return False
        said = guard.before_error or ""
        if same or not _OF_A_NAME.isdisjoint(error.mro):
            return describe(error) == said
        return error.type == said.partition(":")[0]

    def _guard(self, outcome: Outcome) -> TestResult | None:
        for selector, test in self.guards.items():
            if selector.path == outcome.path and (selector.names is None or outcome.name in selector.names):
                return test
        return None

    def _lead(self, branch: Branch, why: str, confidence: float, *, proven: bool | None) -> Lead:
        return Lead(
            kind="branch",
            confidence=confidence,
            evidence=why,
            branch=branch.name,
            command=self._command(branch),
            proven=proven,
        )

    def _command(self, branch: Branch) -> str:
        return command(self.repo, branch, [commit.sha for commit in self.planned.unit.commits])

    def _key(self, branch: Branch) -> str:
        """Return what decides a trial: the branch, the fix and its guards, and the interpreter."""
        try:
            facts = interpreter_facts(self.terms.python)
        except BugsleError:
            return ""
        terms = self.terms
        guards = [
            (selector.path, sorted(selector.names or ()), self.home.listing[selector.path].sha)
            for selector in self.guards
        ]
        decides = (
            (_VERSION, __version__, facts.version, facts.platform, facts.digest),
            (terms.args, terms.copy, terms.timeout),
            (branch.commit, guards, [(old, new) for old, new, _ in self.planned.steps]),
        )
        return hashlib.sha256(repr(decides).encode("utf-8", "surrogateescape")).hexdigest()

    def _kept(self, key: str) -> Lead | None:
        kept = self.terms.cache.get(_ROOM, key) if key else None
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(kept, type=Lead) if kept else None
        return None


def _said(error: Error | None) -> str:
    """Describe an error without the place of our own copy, which an ImportError ends with."""
    return re.sub(r" \((?:[A-Za-z]:)?[/\\][^()]*\)\Z", "", describe(error))


def _twice(
    key: str, selectors: frozenset[Selector]
) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], tuple[Run, Run]]:
    runs: list[Run] = []
    for repeat in (0, 1):
        probe = Probe(key, "commit", "before", selectors, repeat=repeat)
        runs.append((yield (probe,))[probe])
    return runs[0], runs[1]


def _status(run: Run, id: str) -> str:
    outcome = run.outcomes.get(id)
    return outcome.status if outcome is not None else ""


def _evidence(outcome: Outcome, guard: TestResult | None) -> Evidence:
    selector = Selector(outcome.path, frozenset({outcome.name}))
    return Evidence(outcome.id, selector, tuple(guard.links) if guard else (), outcome, None, "undecided")
