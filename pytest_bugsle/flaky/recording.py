"""Keep every attempt of a session in the history, as it ends.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_bugsle.errors import BugsleError
from pytest_bugsle.flaky.attempts import Attempts, stable_id
from pytest_bugsle.store.records import NEITHER, PASSING, AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_bugsle.flaky.attempts import Attempt
    from pytest_bugsle.store.history import History
    from pytest_bugsle.store.records import CodeVersion, RunRecord

_AT_ONCE = 0.01
_SHARE = 1 / 60
"""Seconds, and share of the session's time, that writing may take; so much unspent, each attempt is written as it
ends. Beyond it they wait for one another: what waits is what a kill can lose."""


class Recording:
    """One session's attempts on their way into the history; no trouble with it costs the session anything."""

    def __init__(self, run: RunRecord, opened: Callable[[], History], top: str) -> None:
        """`top` is the folder to which the files of errors are relative."""
        self.attempts = Attempts(top)
        self.notes: list[str] = []
        self.unstable: dict[str, str] = {}
        self._run = run
        self._waiting: list[AttemptRecord] = []
        self._seq = 0
        self._begun = time.monotonic()
        self._spent = 0.0
        self._keys: dict[str, str] = {}
        self._twins: dict[str, int] = {}
        self._history: History | None = None
        try:
            self._history = opened()
            self._history.begin(run)
        except BugsleError as error:
            self._give_up(error)

    def note(self, report: pytest.TestReport) -> None:
        """Take a report in, and write when it is time."""
        for ended in self.attempts.note(report):
            self._wait(ended)
        if self._waiting and self._spent <= _AT_ONCE + _SHARE * (time.monotonic() - self._begun):
            self._flush()

    def key(self, id_: str) -> str:
        """Return by what a test is known in the history: its id, but for what changes with the process."""
        known = self._keys.get(id_)
        if known is None:
            stable = stable_id(id_)
            twins = self._twins[stable] = self._twins.get(stable, -1) + 1
            known = self._keys[id_] = stable if not twins else f"{stable}#{twins}"
            if stable != id_:
                self.unstable[id_] = stable
        return known

    def add(self, id_: str, mode: str, outcome: str, duration: float, fingerprint: str) -> None:
        """Keep an attempt that was made to find out about a failure."""
        self._queue(
            AttemptRecord(
                seq=self._next(),
                test=self.key(id_),
                mode=mode,
                outcome=outcome,
                duration=duration,
                fingerprint=fingerprint,
            )
        )

    @property
    def is_disaster(self) -> bool:
        """Say whether most tests failed: then the run says nothing of any one of them."""
        if not any(attempt.failed for attempt in self.attempts.ended):
            return False
        from pytest_bugsle.flaky.rates import DISASTER_SHARE, DISASTER_TESTS

        first = [attempt for attempt in self.attempts.ended if attempt.number == 1 and not attempt.skipped]
        failed = sum(attempt.failed for attempt in first)
        return len(first) >= DISASTER_TESTS and failed > DISASTER_SHARE * len(first)

    def outcomes(self, id_: str, version: CodeVersion) -> dict[bool, int]:
        """Return how often a test's first attempts failed (True) and passed, for one version of the code."""
        return self._counted(id_, version, "suite")

    def burnt(self, id_: str, version: CodeVersion) -> bool:
        """Say whether a test survived its burn-in at this version of the code."""
        from pytest_bugsle.flaky.rates import RULE

        counts = self._counted(id_, version, "burn-in")
        return not counts.get(True) and RULE.decide(0, counts.get(False, 0)) == "stable"

    def _counted(self, id_: str, version: CodeVersion, mode: str) -> dict[bool, int]:
        found: dict[bool, int] = {}
        if self._history is None:
            return found
        try:
            self._flush()
            for row in self._history.outcomes(self.key(id_), version):
                if row.mode == mode and row.outcome not in NEITHER:
                    failed = row.outcome not in PASSING
                    found[failed] = found.get(failed, 0) + row.count
        except BugsleError as error:
            self._give_up(error)
        return found

    def end_tests(self) -> None:
        """Take in what never came to its end."""
        for attempt in self.attempts.close():
            self._wait(attempt)

    def close(self, collected: int) -> None:
        """Write what is left, and that the session has ended."""
        self._flush()
        if self._history is not None:
            try:
                self._history.finish(self._run.run_id, collected=collected, disaster=self.is_disaster)
            except BugsleError as error:
                self._give_up(error)
        if self._history is not None:
            self.notes += self._history.notes
            self._history.close()
            self._history = None

    def _wait(self, attempt: Attempt) -> None:
        self._queue(
            AttemptRecord(
                seq=self._next(),
                test=self.key(attempt.id),
                attempt=attempt.number,
                position=attempt.position,
                worker=attempt.worker,
                setup=attempt.phases.get("setup", ""),
                call=attempt.phases.get("call", ""),
                teardown=attempt.phases.get("teardown", ""),
                outcome=attempt.outcome,
                duration=attempt.duration,
                fingerprint=attempt.fingerprint if attempt.failed else "",
            )
        )

    def _queue(self, record: AttemptRecord) -> None:
        if self._history is not None:
            self._waiting.append(record)

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _flush(self) -> None:
        if self._history is None or not self._waiting:
            return
        begun = time.monotonic()
        try:
            self._history.add(self._run.run_id, self._waiting)
        except BugsleError as error:
            self._give_up(error)
        self._waiting = []
        self._spent += time.monotonic() - begun

    def _give_up(self, error: BugsleError) -> None:
        self.notes.append(f"the attempts of this run are not kept: {error.what}")
        if self._history is not None:
            self.notes += self._history.notes
            self._history.close()
        self._history = None
