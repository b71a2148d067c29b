"""Compose what a session says of its own tests: attempts kept, failures tried again.  PYTEST_DONT_REWRITE

A failed test stays failed, whatever is found out. All experiments run in clean copies, in processes of their
own: nothing in the user's session is run twice, so that no fixture, plugin or worker there can notice.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import posixpath
import sys
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.errors import BugsleError, UndecidedError
from pytest_bugsle.findings import make_finding
from pytest_bugsle.flaky import burning, gather, verdict, veto
from pytest_bugsle.flaky.examining import Examined, Failure, examine
from pytest_bugsle.flaky.probing import Prober
from pytest_bugsle.flaky.recording import Recording
from pytest_bugsle.gate import Plan, pool_of, verdict_of
from pytest_bugsle.results import FlakyTest, Result
from pytest_bugsle.runner import environment, inner
from pytest_bugsle.runner.outcome import Selector
from pytest_bugsle.runner.sequences import Sequences
from pytest_bugsle.stats.power import sentence
from pytest_bugsle.store.place import state_folder
from pytest_bugsle.store.records import CodeVersion, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.flaky.attempts import Attempt
    from pytest_bugsle.runner.outcome import Item, Request
    from pytest_bugsle.store.history import History

FILE = "history.db"
_BURN_SHARE = 0.25
"""Of the budget, at most, for the burn-in of new and changed tests."""
SECONDS = 30.0
"""Of the budget, for all of them."""
_WORTH_TRYING = 2.0
"""Seconds: less is gone before pytest has collected."""
_LONGEST_PREFIX = 0.3
"""Share of the time that a replay of what ran before may take."""


class Watch:
    """What the gate keeps of a session's tests, and finds out about those that failed."""

    def __init__(self, plan: Plan, *, pytest_version: str, workers: int) -> None:
        """Open the history, and record that a run has begun; trouble with it becomes a note."""
        request = plan.request
        self.plan = plan
        self._burned: list[FlakyTest] = []
        self._burn_notes: list[str] = []
        self._version = CodeVersion()
        self._recording: Recording | None = None
        if plan.repo is None:
            return
        facts = environment.interpreter_facts(request.python or sys.executable)
        version = gather.code_version(plan.repo, facts.digest)
        self._version = version
        head = plan.repo.head()
        run = RunRecord(
            run_id=uuid.uuid4().hex,
            started=time.time(),
            commit_sha=head.sha or "",
            tree=version.tree,
            dirty=version.dirty,
            lock=version.lock,
            base=(plan.range.base if plan.range else "") or "",
            branch=head.branch or "",
            job=request.environ.get("GITHUB_JOB") or request.environ.get("CI_JOB_NAME") or "",
            python=facts.version,
            platform=platform.platform(),
            pytest=pytest_version,
            hashseed=request.environ.get("PYTHONHASHSEED", ""),
            workers=workers,
        )
        self._recording = Recording(run, self._open, str(plan.repo.top))

    def _open(self) -> History:
        from pytest_bugsle.store.history import open_history

        assert self.plan.repo is not None
        folder = state_folder(self.plan.repo.top, bare=self.plan.repo.is_bare)
        url = self.plan.request.settings.store
        if folder is None and url is None:
            raise UndecidedError("there is no folder that can be written to")
        local = folder / FILE if folder is not None else None
        if url is not None:
            return open_history(url, fallback=local)
        assert local is not None
        return open_history(local)

    def note(self, report: pytest.TestReport) -> None:
        """Take one report in."""
        if self._recording is not None:
            self._recording.note(report)

    def close(self, collected: int) -> None:
        """Write what is left."""
        if self._recording is not None:
            self._recording.end_tests()
            self._recording.close(collected)

    def distrusted(self, collected: frozenset[str]) -> dict[str, str]:
        """Return which tests are no guards though they flip, and why: a guard that flickers proves nothing.

        These are tests with both outcomes in this session, or at this version of the code in the history, and
        new or changed tests that did not survive their burn-in, which is run here.
        """
        recording = self._recording
        if recording is None:
            return {}
        recording.end_tests()
        found = {
            failure.id: "it passed and failed in this session"
            for failure in _failures(recording)
            if failure.passed_too
        }
        found |= self._known(collected)
        if not recording.is_disaster:
            began = time.monotonic()
            found |= self._burn(recording, collected)
            self.plan.spent += time.monotonic() - began
        return found

    def judge(self, result: Result, collected: int) -> Result:
        """Return the result with what is known of the session's failures."""
        recording = self._recording
        if recording is None:
            return result
        recording.end_tests()
        tests, findings, notes = self._examined(recording)
        known = {test.id for test in tests}
        tests += [test for test in self._burned if test.id not in known]
        findings += verdict.findings_of(
            [test for test in self._burned if test.id not in known],
            self.plan.request.settings.rules,
            ci=self.plan.request.ci,
        )
        notes += self._burn_notes
        if recording.unstable:
            findings += self._unstable(recording.unstable)
        recording.close(collected)
        findings = [finding for finding in findings if finding.level != "off"]
        if self.plan.request.change_finding is not None:
            findings = [self.plan.request.change_finding(finding) for finding in findings]
        every = [*result.findings, *findings]
        return msgspec.structs.replace(
            result,
            tests=tests or msgspec.UNSET,
            findings=every,
            notes=list(dict.fromkeys([*result.notes, *notes, *recording.notes])),
            verdict=verdict_of(every, undecided=result.verdict == "undecided"),
        )

    # --- guards ------------------------------------------------------------------------------------

    def _known(self, collected: frozenset[str]) -> dict[str, str]:
        """Return which linked tests have both outcomes in the history, at this very version of the code."""
        fixes, recording = self.plan.fixes, self._recording
        if fixes is None or recording is None or not self._version.tree:
            return {}
        linked = fixes.links_by_test()
        found = {}
        for id_ in collected:
            if id_.partition("[")[0] in linked:
                counts = recording.outcomes(id_, self._version)
                failed, passed = counts.get(True, 0), counts.get(False, 0)
                if failed and passed:
                    runs = failed + passed
                    found[id_] = f"it failed in {failed} of {runs} runs of this very code in the history"
        return found

    def _burn(self, recording: Recording, collected: frozenset[str]) -> dict[str, str]:
        """Burn in the new and changed tests of the range that did not fail here."""
        plan, request = self.plan, self.plan.request
        seconds = min(request.settings.burn_in, _BURN_SHARE * request.settings.seconds(ci=request.ci))
        base = plan.range.base if plan.range else None
        if not seconds or base is None or plan.repo is None or not collected:
            return {}
        try:
            return self._burned_in(recording, collected, base, seconds)
        except BugsleError as error:
            self._burn_notes.append(f"new and changed tests were not burnt in: {error.what}")
            return {}

    def _burned_in(
        self, recording: Recording, collected: frozenset[str], base: str, seconds: float
    ) -> dict[str, str]:
        plan, request = self.plan, self.plan.request
        assert plan.repo is not None
        changed = gather.changed_tests(plan.repo, base, self._relative(), collected)
        changed -= {id_ for id_ in changed if recording.burnt(id_, self._version)}
        changed -= {failure.id for failure in _failures(recording)}
        if not changed:
            return {}
        repo, pool = plan.repo, pool_of(plan)
        until = time.monotonic() + seconds

        def lay(number: int) -> gather.Ground:
            return gather.Ground.lay(repo, pool, request.configuration, request.settings.copy, number)

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
                for outcome, duration, known in burning.errors_of(one):
                    recording.add(item.id, "burn-in", outcome, duration, known)
                if one.varies:
                    found[item.id] = f"new or changed, it {one.sentence} of its burn-in"
                    outcomes = [s.outcome for s in one.sightings if s.outcome != "skipped"]
                    test = verdict.result_of(
                        sequences.items, number, outcomes, one.found, sequences.unordered, self._top()
                    )
                    low, high = one.sampling.interval()
                    why = f"in its burn-in as a new or changed test it {one.sentence}"
                    why += f"; {test.why}" if test.why else ""
                    categories = test.categories or ["non-deterministic"]
                    test = msgspec.structs.replace(test, why=why, interval=(low, high), categories=categories)
                    self._burned.append(test)
        least = min((one.sampling.trials for one in burned.values() if not one.varies), default=0)
        if burned:
            text = f"burn-in: {len(burned)} new or changed tests, {len(found)} of them vary"
            self._burn_notes.append(
                f"{text}; the others passed {least} times or more ({sentence(least)})" if least else text
            )
        return found

    def _relative(self) -> str:
        """Return pytest's rootdir, seen from the repository's top."""
        top = self.plan.repo.top if self.plan.repo else "."
        return os.path.relpath(self.plan.request.configuration.rootdir, top).replace(os.sep, "/")

    def _top(self) -> str:
        rootdir = self._relative()
        return "" if rootdir == "." else rootdir + "/"

    # --- failures ----------------------------------------------------------------------------------

    def _examined(self, recording: Recording) -> tuple[list[FlakyTest], list[Finding], list[str]]:
        """Try the failures again, as many and as long as the budget allows."""
        failures = list(_failures(recording))
        if not failures:
            return [], [], []
        if recording.is_disaster:
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
            tests, findings = self._tried(failures[:limit], recording)
        except BugsleError as error:
            return [], [], [*notes, f"failed tests were not tried again: {error.what}"]
        return tests, findings, notes

    def _tried(
        self, failures: Sequence[Failure], recording: Recording
    ) -> tuple[list[FlakyTest], list[Finding]]:
        plan, request = self.plan, self.plan.request
        assert plan.repo is not None
        left = plan.started + request.settings.seconds(ci=request.ci) - time.monotonic()
        seconds = min(SECONDS, left)
        if seconds < _WORTH_TRYING:
            raise UndecidedError("the budget was used up")
        until = time.monotonic() + seconds
        pool = pool_of(plan)

        def lay(number: int) -> gather.Ground:
            assert plan.repo is not None
            return gather.Ground.lay(plan.repo, pool, request.configuration, request.settings.copy, number)

        ground = lay(0)
        failures = [_within(failure, seconds) for failure in failures]
        files = dict.fromkeys(
            id_.partition("::")[0] for failure in failures for id_ in (*failure.before, failure.id)
        )
        python = request.python or sys.executable
        asked = ground.request(python, (*request.args, *files), request.settings.timeout, seconds)
        with Sequences(asked, ground.tidy) as sequences:
            numbers = {item.id: item.number for item in reversed(sequences.items)}
            prober = Prober(sequences, lay)
            examined = list(examine(failures, prober, numbers, until, request.say))
            items, unordered = sequences.items, sequences.unordered
        for one in examined:
            self._keep(one, recording)
        vetoes = self._vetoes(ground, asked, examined)
        return self._told(examined, vetoes, items, numbers, unordered)

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
            found[one.failure.id] = veto.judge(changed, reached, run.reached_import if run else {}, note)
        return found

    def _told(
        self,
        examined: Sequence[Examined],
        vetoes: Mapping[str, veto.Veto],
        items: Sequence[Item],
        numbers: Mapping[str, int],
        unordered: Sequence[str],
    ) -> tuple[list[FlakyTest], list[Finding]]:
        """Return each examined failure as a result, and a finding for each that varies."""
        request = self.plan.request
        rootdir = os.path.relpath(
            request.configuration.rootdir, self.plan.repo.top if self.plan.repo else "."
        )
        top = "" if rootdir == "." else rootdir.replace(os.sep, "/") + "/"
        tests: list[FlakyTest] = []
        findings: list[Finding] = []
        for one in examined:
            said = vetoes.get(one.failure.id)
            why = "; ".join(part for part in (one.sentence, said.sentence if said else "") if part)
            if not one.is_same:
                why += "; in a clean copy of the tree it fails with another error: is a file missing there?"
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
            test = verdict.result_of(items, numbers[one.failure.id], one.outcomes, one.found, unordered, top)
            if one.is_flaky and test.categories in ([], ["failing"]):
                test = msgspec.structs.replace(test, categories=["non-deterministic"])
            if one.failure.passed_too:
                why = f"another attempt of it passed in this run; {why}"
            test = msgspec.structs.replace(test, why=why)
            tests.append(test)
            findings += verdict.session_finding(test, one, said, request.settings.rules, ci=request.ci)
        return tests, findings

    def _keep(self, one: Examined, recording: Recording) -> None:
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
                recording.add(one.failure.id, mode, outcome, 0.0, known)

    def _unstable(self, ids: Mapping[str, str]) -> list[Finding]:
        request = self.plan.request
        first, stable = next(iter(ids.items()))
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        return [
            make_finding(
                "BUG206",
                f"{first}{more}: the id changes from process to process, it is kept as {stable}",
                levels=request.settings.rules,
                ci=request.ci,
            )
        ]


def _failures(recording: Recording) -> Iterator[Failure]:
    """Yield the tests of which an attempt failed, in the order in which they did."""
    by_worker: dict[str, list[Attempt]] = {}
    passed: set[str] = set()
    failed: dict[str, tuple[Attempt, int]] = {}
    for attempt in sorted(recording.attempts.ended, key=lambda one: one.position):
        line = by_worker.setdefault(attempt.worker, [])
        if attempt.failed:
            failed.setdefault(attempt.id, (attempt, len(line)))
        elif not attempt.skipped:
            passed.add(attempt.id)
        line.append(attempt)
    for id_, (attempt, place) in failed.items():
        before = by_worker[attempt.worker][:place]
        yield Failure(
            id_,
            tuple(dict.fromkeys(one.id for one in before if one.id != id_)),
            attempt.fingerprint,
            attempt.message,
            sum(one.duration for one in before),
            id_ in passed,
        )


def _within(failure: Failure, seconds: float) -> Failure:
    """Return the failure without what ran before it where replaying that would take most of the time."""
    if failure.seconds_before <= _LONGEST_PREFIX * seconds:
        return failure
    return dataclasses.replace(failure, before=(), is_cut=True)
