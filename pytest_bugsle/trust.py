"""Compose what a session says of its own tests: attempts kept, failures tried again.  PYTEST_DONT_REWRITE

A failed test stays failed, whatever is found out. All experiments run in clean copies, in processes of their
own: nothing in the user's session is run twice, so that no fixture, plugin or worker there can notice.
"""

from __future__ import annotations

import platform
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.findings import make_finding
from pytest_bugsle.flaky.failures import failures_of
from pytest_bugsle.flaky.recording import Recording
from pytest_bugsle.flaky.version import code_version
from pytest_bugsle.gate import Plan, verdict_of
from pytest_bugsle.git.diff import changes
from pytest_bugsle.results import FlakyTest, Result
from pytest_bugsle.runner import facts
from pytest_bugsle.store.place import state_folder
from pytest_bugsle.store.records import CodeVersion, RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.retrials import Retrials
    from pytest_bugsle.store.history import History

FILE = "history.db"


class Watch:
    """What the gate keeps of a session's tests, and finds out about those that failed."""

    def __init__(self, plan: Plan, *, pytest_version: str, workers: int) -> None:
        """Open the history, and record that a run has begun; trouble with it becomes a note."""
        request = plan.request
        self.plan = plan
        self._retrials: Retrials | None = None
        self._version = CodeVersion()
        self._touched = False
        self._recording: Recording | None = None
        if plan.repo is None:
            return
        here = facts.collect()  # a session proves with the interpreter that runs it
        version, self._touched = code_version(plan.repo, here["digest"])
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
            python=here["version"],
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
            for failure in failures_of(recording)
            if failure.passed_too
        }
        found |= self._known(collected)
        if not recording.is_disaster and self._may_be_new(collected):
            began = time.monotonic()
            found |= self._again(recording).burn(collected)
            self.plan.spent += time.monotonic() - began
        return found

    def judge(self, result: Result, collected: int) -> Result:
        """Return the result with what is known of the session's failures."""
        recording = self._recording
        if recording is None:
            return result
        recording.end_tests()
        tests: list[FlakyTest] = []
        findings: list[Finding] = []
        notes: list[str] = []
        if any(attempt.failed for attempt in recording.attempts.ended):
            tests, findings, notes = self._again(recording).examined()
        if self._retrials is not None:
            from pytest_bugsle.flaky import verdict

            known = {test.id for test in tests}
            burned, more = self._retrials.burned
            varying = [test for test in burned if test.id not in known]
            settings, ci = self.plan.request.settings, self.plan.request.ci
            tests += varying
            findings += verdict.findings_of(varying, settings.rules, ci=ci)
            notes += more
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

    def _again(self, recording: Recording) -> Retrials:
        """Return what runs tests again: a session in which there is nothing to run does not import it."""
        if self._retrials is None:
            from pytest_bugsle.retrials import Retrials

            self._retrials = Retrials(self.plan, recording, self._version)
        return self._retrials

    def _may_be_new(self, collected: frozenset[str]) -> bool:
        """Say whether the change touches any Python: else no test is new or changed."""
        plan = self.plan
        base = plan.range.base if plan.range else None
        if base is None or plan.repo is None or not collected:
            return False
        if self._touched:
            return True
        assert plan.range is not None
        return any(change.path.endswith(".py") for change in changes(plan.repo, base, plan.range.head))

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
