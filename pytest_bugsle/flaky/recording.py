"""Keep every attempt of a session in the history, as it ends.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from pytest_bugsle.errors import BugsleError
from pytest_bugsle.flaky.attempts import FAILED, Attempts, stable_id
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.journal import Journal
from pytest_bugsle.store.records import NEITHER, PASSING, AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

    from pytest_bugsle.store.history import History
    from pytest_bugsle.store.questions import PastAttempt
    from pytest_bugsle.store.records import CodeVersion, RunRecord

T = TypeVar("T")


class Recording:
    """One session's attempts on their way into the history; no trouble with it costs the session anything.

    They stand in a journal as they end, and the history takes them in when the session has ended.
    """

    def __init__(
        self, run: RunRecord, opened: Callable[[], History], top: str, *, journals: Path | None = None
    ) -> None:
        """`top` is the folder to which the files of errors are relative, `journals` is where the journal stands."""
        self.attempts = Attempts(top)
        self.notes: list[str] = []
        self.unstable: dict[str, str] = {}
        self.failed = 0
        """How many attempts failed."""
        self._run = run
        self._opened = opened
        self._waiting: list[pytest.TestReport] = []
        self._taken = 0
        self._records: list[AttemptRecord] = []
        self._written = 0
        self._keys: dict[str, str] = {}
        self._twins: dict[str, int] = {}
        self._history: History | None = None
        self._trouble: BugsleError | None = None
        self._closed = False
        self._journal: Journal | None = None
        if journals is not None:
            try:
                self._journal = Journal(journals, run)
            except OSError as error:
                self._stop_journal(error)

    def note(self, report: pytest.TestReport) -> None:
        """Take a report in; what has ended by it is written."""
        self._waiting.append(report)
        # What has passed so far waits for the teardown: together, the reports of a test that passed need one look.
        if report.when == "teardown" or report.outcome != "passed":
            self._take_waiting()

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
        self._keep(
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
        if not self.failed:
            return False
        from pytest_bugsle.flaky.rates import DISASTER_SHARE, DISASTER_TESTS

        first = [attempt for attempt in self.attempts.ended if attempt.number == 1 and not attempt.skipped]
        failed = sum(attempt.failed for attempt in first)
        return len(first) >= DISASTER_TESTS and failed > DISASTER_SHARE * len(first)

    def outcomes(self, id_: str, version: CodeVersion) -> dict[bool, int]:
        """Return how often a test's first attempts failed (True) and passed, for one version of the code."""
        return self._counted(id_, version, "suite")

    def past(self, id_: str, limit: int) -> Sequence[PastAttempt]:
        """Return a test's newest attempts in the history, those of this session left out; none where it has trouble."""
        found = self._asked(lambda history: history.past(self.key(id_), limit)) or ()
        return [attempt for attempt in found if attempt.run_id != self._run.run_id]

    def burnt(self, id_: str, version: CodeVersion) -> bool:
        """Say whether a test survived its burn-in at this version of the code."""
        from pytest_bugsle.flaky.rates import RULE

        counts = self._counted(id_, version, "burn-in")
        return not counts.get(True) and RULE.decide(0, counts.get(False, 0)) == "stable"

    def _counted(self, id_: str, version: CodeVersion, mode: str) -> dict[bool, int]:
        found: dict[bool, int] = {}
        for row in self._asked(lambda history: history.outcomes(self.key(id_), version)) or ():
            if row.mode == mode and row.outcome not in NEITHER:
                failed = row.outcome not in PASSING
                found[failed] = found.get(failed, 0) + row.count
        return found

    def end_tests(self) -> None:
        """Take in what never came to its end."""
        self._take_waiting()
        self.attempts.close()
        self._take_ended()

    def close(self, collected: int) -> None:
        """Hand all of it to the history, with the word that the session has ended."""
        if self._closed:
            return
        self._closed = True
        ended = replace(self._run, collected=collected, ended=True, disaster=self.is_disaster)
        self._told(lambda history: history.record(ended, self._records[self._written :]))
        if self._history is not None:
            self.notes += self._history.notes
            self._history.close()
            self._history = None
        if self._journal is not None:
            self._journal.close(keep=isinstance(self._trouble, StoreError))
            self._journal = None

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.attempts.note_all(waiting)
        self._take_ended()

    def _take_ended(self) -> None:
        ended = self.attempts.ended
        while self._taken < len(ended):
            attempt = ended[self._taken]
            self._taken += 1
            outcome = attempt.outcome
            self.failed += outcome in FAILED
            self._keep(
                AttemptRecord(
                    seq=self._next(),
                    test=self.key(attempt.id),
                    attempt=attempt.number,
                    position=attempt.position,
                    worker=attempt.worker,
                    setup=attempt.setup,
                    call=attempt.call,
                    teardown=attempt.teardown,
                    outcome=outcome,
                    duration=attempt.duration,
                    fingerprint=attempt.fingerprint if outcome in FAILED else "",
                )
            )

    def _keep(self, record: AttemptRecord) -> None:
        self._records.append(record)
        if self._journal is not None:
            try:
                self._journal.add(record)
            except OSError as error:
                self._stop_journal(error)

    def _next(self) -> int:
        return len(self._records) + 1

    def _asked(self, question: Callable[[History], T]) -> T | None:
        """Ask the history, which has all records by then."""

        def asked(history: History) -> T:
            new = self._records[self._written :]
            if new:
                history.record(self._run, new)
                self._written += len(new)
            return question(history)

        return self._told(asked)

    def _told(self, act: Callable[[History], T]) -> T | None:
        """Turn to the history; None where that cannot be done, which is said once."""
        if self._trouble is not None:
            return None
        try:
            if self._history is None:
                self._history = self._opened()
            return act(self._history)
        except BugsleError as error:
            self._give_up(error)
        return None

    def _give_up(self, error: BugsleError) -> None:
        self._trouble = error
        if self._journal is not None and isinstance(error, StoreError):
            self.notes.append(f"{error.what}: the attempts of this run wait in {self._journal.path}")
        else:
            self.notes.append(f"the attempts of this run are not kept: {error.what}")
        if self._history is not None:
            self.notes += self._history.notes
            self._history.close()
            self._history = None

    def _stop_journal(self, error: OSError) -> None:
        """Go on without a journal: then a kill loses the session's attempts."""
        if self._journal is not None:
            self._journal.close(keep=True)
            self._journal = None
        self.notes.append(
            f"attempts are kept only when the session ends: {error.filename or ''}: {error.strerror}"
        )
