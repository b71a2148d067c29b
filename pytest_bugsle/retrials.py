"""Run tests of a session again, in clean copies: new and changed ones, and those that failed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
import os
import posixpath
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from pytest_bugsle.errors import BugsleError, UndecidedError
from pytest_bugsle.flaky import burning, gather, verdict, veto
from pytest_bugsle.flaky.attempts import stable_id
from pytest_bugsle.flaky.examining import Examined, examine
from pytest_bugsle.flaky.explaining import plural
from pytest_bugsle.flaky.failures import Failure, failures_of
from pytest_bugsle.flaky.probing import Prober
from pytest_bugsle.gate import Plan, pool_of
from pytest_bugsle.results import FlakyTest
from pytest_bugsle.runner import environment, inner
from pytest_bugsle.runner.outcome import Selector
from pytest_bugsle.runner.sequences import Sequences
from pytest_bugsle.stats.power import sentence

if TYPE_CHECKING:
    from pytest_bugsle.findings import Finding
    from pytest_bugsle.flaky.recording import Recording
    from pytest_bugsle.runner.outcome import Item, Request
    from pytest_bugsle.store.records import CodeVersion

_BURN_SHARE = 0.25
"""Of the budget, at most, for the burn-in of new and changed tests."""
_ROUNDS = 6
"""Runs of each test for which there must be time: with fewer a burn-in says next to nothing."""
_A_TEST = 0.002
"""Seconds that a run of a test takes beside the test itself."""
SECONDS = 30.0
"""Of the budget, for all failures."""
_ENOUGH = 60
"""Straight passes, by the rule of the burn-in (rates.RULE)."""
_WORTH_TRYING = 2.0
"""Seconds: less is gone before pytest has collected."""
_LONGEST_PREFIX = 0.3
"""Share of the time that a replay of what ran before may take."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Tried:
    """Failures that were tried again, and where."""

    examined: list[Examined]
    ground: gather.Ground
    asked: Request
    items: Sequence[Item]
    numbers: Mapping[str, int]
    unordered: Sequence[str]


class Retrials:
    """What is found out about a session's tests by running them again."""

    def __init__(
        self,
        plan: Plan,
        recording: Recording,
        version: CodeVersion,
        left: Collection[str],
        doubles: Collection[str],
    ) -> None:
        """`left` is what the session's tests left in the work tree, `doubles` are ids that several tests share."""
        self._left = left
        self._doubles = doubles
        self.plan = plan
        self.recording = recording
        self._version = version
        self._burned: list[FlakyTest] = []
        self._burn_notes: list[str] = []

    @property
    def burned(self) -> tuple[list[FlakyTest], list[str]]:
        """Return the new and changed tests that vary, and notes."""
        return self._burned, self._burn_notes

    def burn(self, collected: frozenset[str]) -> dict[str, str]:
        """Burn in the new and changed tests of the range that did not fail here."""
        plan, request = self.plan, self.plan.request
        seconds = min(request.settings.burn_in, _BURN_SHARE * request.settings.seconds(ci=request.ci))
        base = plan.range.base if plan.range else None
        if not seconds or base is None or plan.repo is None or not collected:
            return {}
        try:
            return self._burned_in(collected, base, seconds)
        except BugsleError as error:
            self._burn_notes.append(f"new and changed tests were not burnt in: {error.what}")
            return {}

    def _burned_in(self, collected: frozenset[str], base: str, seconds: float) -> dict[str, str]:
        plan, request, recording = self.plan, self.plan.request, self.recording
        assert plan.repo is not None
        changed = gather.changed_tests(plan.repo, base, self._relative(), collected)
        changed -= {failure.id for failure in failures_of(recording, self._doubles)}
        burnt = {id_ for id_ in changed if recording.burnt(id_, self._version)}
        changed -= burnt
        if not changed:
            self._tell_burned(0, [_ENOUGH] * len(burnt), left_out=0)
            return {}
        known = len(changed)
        changed = self._affordable(changed, seconds)
        repo, pool = plan.repo, pool_of(plan)
        until = time.monotonic() + seconds

        def lay(number: int) -> gather.Ground:
            return gather.Ground.lay(
                repo, pool, request.configuration, request.settings.copy, number, self._left
            )

        ground = lay(0)
        files = dict.fromkeys(id_.partition("::")[0] for id_ in sorted(changed))
        python = request.python or sys.executable
        asked = ground.request(python, (*request.args, *files), request.settings.timeout, seconds)
        found = {}
        with Sequences(asked, ground.tidy) as sequences:
            numbers = [item.number for item in sequences.items if item.id in changed]
            burned = burning.burn_in(Prober(sequences, lay), numbers, until, request.say)
            for number, one in burned.items():
                item = sequences.items[number]
                for outcome, duration, error in burning.errors_of(one):
                    recording.add(item.id, "burn-in", outcome, duration, error)
                if one.varies:
                    found[item.id] = f"new or changed, it {one.sentence} of its burn-in"
                    outcomes = [sighting.outcome for sighting in one.sightings]
                    test = verdict.result_of(
                        sequences.items, number, outcomes, one.found, sequences.unordered, self._top()
                    )
                    low, high = one.sampling.interval()
                    why = f"in its burn-in as a new or changed test it {one.sentence}"
                    why += f"; {test.why}" if test.why else ""
                    categories = test.categories or ["non-deterministic"]
                    test = msgspec.structs.replace(test, why=why, interval=(low, high), categories=categories)
                    self._burned.append(test)
        passes = [
            min(one.sampling.trials, _ENOUGH)
            for one in burned.values()
            if not one.varies and (one.sampling.trials or not one.outcomes)  # a skip says nothing of a test
        ]
        self._tell_burned(len(found), [*passes, *[_ENOUGH] * len(burnt)], left_out=known - len(changed))
        return found

    def _affordable(self, changed: set[str], seconds: float) -> set[str]:
        """Return the tests of which a few runs each fit into the time: those that a proof may need first."""
        took: dict[str, float] = {}
        for attempt in self.recording.attempts.ended:
            took[attempt.id] = attempt.duration + _A_TEST
        linked = self.plan.fixes.links_by_test() if self.plan.fixes is not None else {}
        chosen: set[str] = set()
        left = seconds / _ROUNDS
        for id_ in sorted(
            changed, key=lambda id_: (id_.partition("[")[0] not in linked, took.get(id_, 0), id_)
        ):
            left -= took.get(id_, _A_TEST)
            if left < 0 and chosen:
                break
            chosen.add(id_)
        return chosen

    def _tell_burned(self, vary: int, passes: Sequence[int], *, left_out: int) -> None:
        """Say how many tests were burnt in, now or at this version of the code before, and what that would miss.

        `passes` are those of each test that does not vary, `left_out` counts the tests for which there was no time.
        """
        run = [number for number in passes if number]
        left_out += len(passes) - len(run)
        if not vary and not run and not left_out:
            return
        text = f"burn-in: {plural(vary + len(run) + left_out, 'new or changed test')}, {vary} of them vary"
        if run:
            whom = "the others" if not left_out else plural(len(run), "other")
            text += f"; {whom} passed {plural(min(run), 'time')} or more ({sentence(min(run))})"
        if left_out:
            text += f"; {left_out} did not run again: `burn_in` is over"
        self._burn_notes.append(text)

    def _relative(self) -> str:
        """Return pytest's rootdir, seen from the repository's top."""
        top = self.plan.repo.top if self.plan.repo else "."
        return os.path.relpath(self.plan.request.configuration.rootdir, top).replace(os.sep, "/")

    def _top(self) -> str:
        rootdir = self._relative()
        return "" if rootdir == "." else rootdir + "/"

    # --- failures ----------------------------------------------------------------------------------

    def examined(self, excused: Collection[str] = ()) -> tuple[list[FlakyTest], list[Finding], list[str]]:
        """Try the failures again that no quarantine has `excused`, as many and as long as the budget allows."""
        failures = [one for one in failures_of(self.recording, self._doubles) if one.id not in excused]
        if not failures:
            return [], [], []
        if self.recording.is_disaster:
            return (
                [],
                [],
                ["most tests failed: none was tried again, since that says nothing of any one of them"],
            )
        limit = self.plan.request.settings.examine
        notes = []
        if len(failures) > limit:
            notes.append(
                f"{len(failures) - limit} of {len(failures)} failed tests were not tried again (`examine`)"
            )
        if not limit:
            return [], [], notes
        try:
            tests, findings = self._tried(failures[:limit])
        except BugsleError as error:
            return [], [], [*notes, f"failed tests were not tried again: {error.what}"]
        return tests, findings, notes

    def _tried(self, failures: Sequence[Failure]) -> tuple[list[FlakyTest], list[Finding]]:
        plan, request = self.plan, self.plan.request
        assert plan.repo is not None
        left = plan.started + request.settings.seconds(ci=request.ci) - time.monotonic()
        seconds = min(SECONDS, left)
        if seconds < _WORTH_TRYING:
            raise UndecidedError("the budget was used up")
        until = time.monotonic() + seconds
        failures = [_within(failure, seconds) for failure in failures]
        tried = self._run(failures, until, None)
        for one in tried.examined:
            self._keep(one)
        vetoes = self._vetoes(tried.ground, tried.asked, tried.examined)
        new = [
            one.failure
            for one in tried.examined
            if one.is_flaky and one.failure.id in vetoes and vetoes[one.failure.id].word == "runs"
        ]
        return self._told(tried, vetoes, self._at_base(new, until))

    def _at_base(self, failures: Sequence[Failure], until: float) -> dict[str, Examined]:
        """Ask the base version about failures that may be new: it is the arbiter, where there is time for it."""
        base = self.plan.range.base if self.plan.range else None
        if not failures or base is None or until - time.monotonic() < _WORTH_TRYING:
            return {}
        try:
            tried = self._run(failures, until, base)
        except BugsleError:
            return {}  # a test that is new has no base
        return {one.failure.id: one for one in tried.examined if one.found is not None and one.is_same}

    def _run(self, failures: Sequence[Failure], until: float, commit: str | None) -> _Tried:
        """Try failures again in a copy of the tree as the session found it, or of a commit."""
        plan, request = self.plan, self.plan.request
        assert plan.repo is not None
        repo, pool, left = plan.repo, pool_of(plan), self._left if commit is None else ()

        def lay(number: int) -> gather.Ground:
            copy = request.settings.copy
            return gather.Ground.lay(repo, pool, request.configuration, copy, number, left, commit)

        ground = lay(0)
        files = dict.fromkeys(
            id_.partition("::")[0] for failure in failures for id_ in (*failure.before, failure.id)
        )
        there = [file for file in files if (ground.where / self._relative() / file).exists()]
        if not there:
            raise UndecidedError("their files are not in a clean copy of the tree: git ignores them")
        python = request.python or sys.executable
        seconds = until - time.monotonic()
        asked = ground.request(python, (*request.args, *there), request.settings.timeout, seconds)
        with Sequences(asked, ground.tidy) as sequences:
            numbers = {stable_id(item.id): item.number for item in reversed(sequences.items)}
            alone = [one for one in failures if one.id not in self._doubles]
            shared = [one for one in failures if one.id in self._doubles]
            examined = [Examined(one, None, "several tests share its id") for one in shared]
            examined += examine(alone, Prober(sequences, lay), numbers, until, request.say)
            return _Tried(examined, ground, asked, sequences.items, numbers, sequences.unordered)

    def _vetoes(
        self, ground: gather.Ground, asked: Request, examined: Sequence[Examined]
    ) -> Mapping[str, veto.Veto]:
        """Return what each failed test runs of the change; nothing where no base is known."""
        base = self.plan.range.base if self.plan.range else None
        tried = [one for one in examined if one.found is not None]
        if base is None or not tried:
            return {}
        changed = gather.changed_lines(ground, base)
        wanted: dict[str, set[int]] = {}
        for kind in (changed.groups, changed.at_import):
            for path, groups in kind.items():
                wanted.setdefault(path, set()).update(line for group in groups for line in group)
        run = None
        if wanted:
            python = asked.python
            top = posixpath.normpath(asked.rootdir)
            selectors = tuple(
                Selector(posixpath.normpath(posixpath.join(top, one.failure.id.partition("::")[0])))
                for one in tried
            )
            run = inner.run(
                dataclasses.replace(
                    asked,
                    everything=False,
                    selectors=tuple(dict.fromkeys(selectors)),
                    reach={path: tuple(sorted(lines)) for path, lines in wanted.items()},
                    coverage_dir=environment.lent_coverage(python),
                    args=self.plan.request.args,
                    deadline=SECONDS,
                )
            )
        found = {}
        for one in tried:
            reached = run.reached.get(one.failure.id, {}) if run else {}
            note = "" if run is None else run.reach_note
            if run is not None and one.failure.id not in run.outcomes:
                note = note or "the test could not be measured"
            if run is not None and one.failure.id in run.spawned:
                note = note or "it starts processes, in which nothing is measured"
            found[one.failure.id] = veto.judge(changed, reached, run.reached_import if run else {}, note)
        return found

    def _told(
        self,
        tried: _Tried,
        vetoes: Mapping[str, veto.Veto],
        at_base: Mapping[str, Examined],
    ) -> tuple[list[FlakyTest], list[Finding]]:
        """Return each examined failure as a result, and a finding for each that varies."""
        request = self.plan.request
        tests: list[FlakyTest] = []
        findings: list[Finding] = []
        for one in tried.examined:
            said = vetoes.get(one.failure.id)
            why = "; ".join(part for part in (one.sentence, said.sentence if said else "") if part)
            if not one.is_same:
                why += "; in a clean copy of the tree it fails with another error: is a file missing there?"
            elif one.is_only_here:
                why += "; in a clean copy of the tree it never failed: does it meet an ignored file here?"
            before = at_base.get(one.failure.id)
            if before is not None:
                why += f"; at the base {before.sentence}"
            if one.found is None:
                tests.append(
                    FlakyTest(
                        id=one.failure.id,
                        categories=[],
                        failures=0,
                        attempts=0,
                        interval=None,
                        probes=0,
                        why=why,
                    )
                )
                continue
            test = verdict.result_of(
                tried.items,
                tried.numbers[stable_id(one.failure.id)],
                one.outcomes,
                one.found,
                tried.unordered,
                self._top(),
            )
            if one.is_flaky and test.categories in ([], ["failing"]):
                test = msgspec.structs.replace(test, categories=["non-deterministic"])
            if one.failure.passed_too:
                why = f"another attempt of it passed in this run; {why}"
            test = msgspec.structs.replace(test, id=one.failure.id, why=why, in_session=True)
            tests.append(test)
            old = before is not None and before.fails and not before.failure.is_cut
            findings += verdict.session_finding(
                test, one, None if old else said, request.settings.rules, ci=request.ci
            )
        return tests, findings

    def _keep(self, one: Examined) -> None:
        """Keep the planned attempts in the history, beside those of the session."""
        if one.found is None:
            return
        for mode, outcomes in (
            ("alone", one.found.alone),
            ("in-process", one.found.second),
            ("prefix", one.found.replayed),
        ):
            for outcome in outcomes:
                known = one.failure.fingerprint if outcome == "failed" and one.is_same else ""
                self.recording.add(one.failure.id, mode, outcome, 0.0, known)


def _within(failure: Failure, seconds: float) -> Failure:
    """Return the failure without what ran before it where replaying that would take most of the time."""
    if failure.seconds_before <= _LONGEST_PREFIX * seconds:
        return failure
    return structs.replace(failure, before=(), is_cut=True)
