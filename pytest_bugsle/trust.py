"""Compose what a session says of its own tests: attempts kept, failures tried again.  PYTEST_DONT_REWRITE

A failed test stays failed, whatever is found out. All experiments run in clean copies, in processes of their
own: nothing in the user's session is run twice, so that no fixture, plugin or worker there can notice.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.findings import make_finding
from pytest_bugsle.flaky.recording import Recording
from pytest_bugsle.flaky.version import journals_of, new_run, open_kept, standing
from pytest_bugsle.gate import Plan, verdict_of
from pytest_bugsle.git.dirty import untracked
from pytest_bugsle.results import FlakyTest, Result
from pytest_bugsle.runner import facts
from pytest_bugsle.store.records import CodeVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.flaky.excusing import Quarantine
    from pytest_bugsle.retrials import Retrials


class Watch:
    """What the gate keeps of a session's tests, and finds out about those that failed."""

    def __init__(self, plan: Plan, *, pytest_version: str, workers: int) -> None:
        """Open the history, and record that a run has begun; trouble with it becomes a note."""
        request = plan.request
        self.plan = plan
        self._retrials: Retrials | None = None
        self._quarantine: Quarantine | None = None
        self._version = CodeVersion()
        self._touched = False
        self._before: frozenset[str] = frozenset()
        self.doubles: set[str] = set()
        """Ids that several collected tests share."""
        self._recording: Recording | None = None
        if plan.repo is None:
            return
        here = facts.collect()  # a session proves with the interpreter that runs it
        stands = standing(plan.repo, here["digest"])
        self._version, self._touched, self._before = stands.version, stands.python, stands.untracked
        run = msgspec.structs.replace(
            new_run(stands, request.environ, python=here["version"]),
            base=(plan.range.base if plan.range else "") or "",
            pytest=pytest_version,
            workers=workers,
        )
        repo, url = plan.repo, request.settings.store
        self._recording = Recording(
            run, lambda: open_kept(repo, url), str(repo.top), journals=journals_of(repo)
        )
        if (plan.repo.top / ".bugsle" / "quarantine.toml").is_file() and not plan.repo.is_bare:
            from pytest_bugsle.flaky.excusing import Quarantine

            self._quarantine = Quarantine(plan.repo.top, request.today, self._recording.key)

    def observers(self) -> list[Callable[[pytest.TestReport], None]]:
        """Return who is to be told of each report."""
        found: list[Callable[[pytest.TestReport], None]] = []
        if self._recording is not None:
            found.append(self._recording.note)
        if self._quarantine is not None and self.plan.repo is not None:
            found.append(partial(self._quarantine.excuse, top=str(self.plan.repo.top)))
        return found

    @property
    def excuses(self) -> bool:
        """Say whether any test is in quarantine."""
        return self._quarantine is not None

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
        found: dict[str, str] = {}
        if recording.failed:
            from pytest_bugsle.flaky.failures import failures_of

            failed = failures_of(recording, self.doubles)
            found = {one.id: "it passed and failed in this session" for one in failed if one.passed_too}
        found |= self._known(collected)
        if not recording.is_disaster and self._may_be_new(collected):
            began = time.monotonic()
            found |= self._again(recording).burn(collected)
            self.plan.spent += time.monotonic() - began
        return found

    def judge(self, result: Result, collected: frozenset[str], *, partial: bool) -> Result:
        """Return the result with what is known of the session's failures."""
        recording = self._recording
        if recording is None:
            return result
        recording.end_tests()
        tests: list[FlakyTest] = []
        findings: list[Finding] = []
        notes: list[str] = []
        excused = self._quarantine.excused if self._quarantine is not None else {}
        ended = recording.attempts.ended if recording.failed else ()
        if any(attempt.failed and attempt.id not in excused for attempt in ended):
            tests, findings, notes = self._again(recording).examined(excused)
        if self._retrials is not None:
            from pytest_bugsle.flaky import verdict

            known = {test.id for test in tests}
            burned, more = self._retrials.burned
            varying = [test for test in burned if test.id not in known]
            settings, ci = self.plan.request.settings, self.plan.request.ci
            tests += varying
            findings += verdict.findings_of(varying, settings.rules, ci=ci)
            notes += more
        if self._quarantine is not None:
            request = self.plan.request
            findings += self._quarantine.findings(request.settings.rules, ci=request.ci)
            notes += self._quarantine.notes(None if partial else collected)
        if recording.unstable or self.doubles:
            findings += self._unstable(recording.unstable)
        if tests:
            from pytest_bugsle.flaky.strips import with_history

            tests = with_history(tests, recording.past)
        recording.close(len(collected))
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

            assert self.plan.repo is not None
            left = untracked(self.plan.repo) - self._before
            self._retrials = Retrials(self.plan, recording, self._version, left, self.doubles)
        return self._retrials

    def _may_be_new(self, collected: frozenset[str]) -> bool:
        """Say whether the change touches any Python: else no test is new or changed."""
        plan = self.plan
        if plan.range is None or plan.range.base is None or not collected:
            return False
        changed = (change.path for commit in plan.commits for change in commit.changes)
        return (
            self._touched
            or any(commit.cut for commit in plan.commits)
            or any(path.endswith(".py") for path in changed)
        )

    def _unstable(self, ids: Mapping[str, str]) -> list[Finding]:
        """Return what is wrong with the ids of tests: who has no name of its own cannot be trusted by it."""
        said = []
        if ids:
            first, stable = next(iter(ids.items()))
            more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
            said.append(f"{first}{more}: the id holds an address or a uuid, so it is kept as {stable}")
        if self.doubles:
            first = min(self.doubles)
            more = f" and {len(self.doubles) - 1} more" if len(self.doubles) > 1 else ""
            said.append(f"{first}{more}: several tests share the id, so none of them is known by it")
        request = self.plan.request
        return [make_finding("BUG206", text, levels=request.settings.rules, ci=request.ci) for text in said]
