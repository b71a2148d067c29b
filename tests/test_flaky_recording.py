"""Attempts go into the history as they end, and no trouble with it costs the session anything."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trap_suites import kept, runs

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.flaky.recording import Recording
from pytest_bugsle.store.history import History, open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

PHASES = ("setup", "call", "teardown")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the history is."""
    return tmp_path / "history.db"


def record(store: Path, opened: Callable[[], History] | None = None) -> Recording:
    """A recording into this file."""
    run = RunRecord(run_id=uuid.uuid4().hex, started=time.time(), tree="t")
    return Recording(run, opened or (lambda: open_history(store, busy_seconds=0.05)), str(store.parent))


def report(when: str, outcome: str = "passed", id_: str = "t.py::test_it") -> pytest.TestReport:
    """One of pytest's own reports."""
    return pytest.TestReport(
        nodeid=id_,
        location=("t.py", 1, "test_it"),
        keywords={},
        outcome=outcome,  # type: ignore[arg-type]  # a plugin's own outcomes too
        longrepr=None if outcome == "passed" else "Error: it broke",
        when=when,  # type: ignore[arg-type]
        duration=0.25,
    )


def ran(recording: Recording, id_: str, outcome: str = "passed") -> None:
    """Report a test whose call ends so."""
    for when in PHASES:
        recording.note(report(when, outcome if when == "call" else "passed", id_))


def test_a_session_is_kept_with_its_attempts(store: Path) -> None:
    """Phases, outcome and fingerprint; the run has ended, and says how many tests there were."""
    recording = record(store)
    ran(recording, "t.py::test_a")
    ran(recording, "t.py::test_b", "failed")
    recording.end_tests()
    recording.close(7)
    first, second = kept(store)
    assert (first.test, first.phases, first.outcome) == ("t.py::test_a", ("passed",) * 3, "passed")
    assert (second.phases, second.outcome) == (("passed", "failed", "passed"), "failed")
    assert second.fingerprint and not first.fingerprint
    assert runs(store) == [(True, 7, False)]
    assert recording.notes == []


def test_what_has_ended_is_written_before_the_session_ends(store: Path) -> None:
    """A kill loses what ended since the last write, no more: one that is open has not ended."""
    recording = record(store)
    for number in range(5):
        ran(recording, f"t.py::test_{number}")
        time.sleep(0.05)
    recording.note(report("setup", id_="t.py::test_hangs"))
    deadline = time.monotonic() + 10
    while len(kept(store)) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
        recording.note(report("setup", id_=f"t.py::{time.monotonic()}"))
    assert [one.test for one in kept(store)] == [f"t.py::test_{number}" for number in range(5)]
    assert runs(store) == [(False, 0, False)]
    recording.close(5)


def test_quick_tests_share_a_write(store: Path) -> None:
    """Writing every one of a thousand would take longer than the tests do."""
    recording = record(store)
    seen = []
    for number in range(1000):
        ran(recording, f"t.py::test_{number}")
        if number % 100 == 50:
            seen.append(len(kept(store)))
    recording.close(1000)
    assert len(kept(store)) == 1000
    assert seen == sorted(seen) and seen[-1] > 0


class SlowHistory(History):
    """A history as on a server that is far away."""

    writes = 0

    def add(self, run_id: str, attempts: Iterable[AttemptRecord]) -> int:
        """Take longer than the tests do."""
        self.writes += 1
        time.sleep(0.03)
        return super().add(run_id, attempts)


def test_a_slow_history_is_not_asked_for_every_test(store: Path) -> None:
    """Writing has its share of the time: what is too dear alone is written together."""
    history = SlowHistory(store, fallback=None, busy_seconds=1.0)
    recording = record(store, lambda: history)
    for number in range(50):
        ran(recording, f"t.py::test_{number}")
    recording.close(50)
    assert 1 < history.writes < 25
    assert len(kept(store)) == 50


def test_what_was_interrupted_is_not_kept(store: Path) -> None:
    """Nobody knows how it would have ended; a failure that was reported is known."""
    recording = record(store)
    recording.note(report("setup", id_="t.py::test_a"))
    recording.note(report("setup", id_="t.py::test_b"))
    recording.note(report("call", "failed", id_="t.py::test_b"))
    recording.end_tests()
    recording.close(2)
    assert [(one.test, one.outcome) for one in kept(store)] == [("t.py::test_b", "failed")]


def test_planned_attempts_stand_beside_those_of_the_session(store: Path) -> None:
    """By their mode; their test is the same."""
    recording = record(store)
    ran(recording, "t.py::test_a", "failed")
    for mode in ("alone", "in-process", "prefix"):
        recording.add("t.py::test_a", mode, "passed", 0.5, "")
    recording.close(1)
    assert [(one.test, one.mode, one.outcome) for one in kept(store, None)] == [
        ("t.py::test_a", "suite", "failed"),
        ("t.py::test_a", "alone", "passed"),
        ("t.py::test_a", "in-process", "passed"),
        ("t.py::test_a", "prefix", "passed"),
    ]


def test_a_history_that_cannot_be_opened_is_a_note(store: Path) -> None:
    """The attempts are known all the same: the failures can be tried again."""

    def refused() -> History:
        raise UndecidedError("there is no folder that can be written to")

    recording = record(store, refused)
    ran(recording, "t.py::test_a", "failed")
    recording.add("t.py::test_a", "alone", "passed", 0.5, "")
    recording.end_tests()
    recording.close(1)
    assert recording.notes == [
        "the attempts of this run are not kept: there is no folder that can be written to"
    ]
    assert [one.failed for one in recording.attempts.ended] == [True]
    assert not store.exists()


def test_a_history_that_fails_in_the_middle_is_a_note(store: Path) -> None:
    """What was written before stays; it is said once, and nobody waits for the lock again."""
    recording = record(store)
    ran(recording, "t.py::test_a")
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            time.sleep(0.05)
            ran(recording, f"t.py::test_b{number}")
        other.execute("ROLLBACK")
    recording.end_tests()
    recording.close(4)
    (note,) = recording.notes
    assert "the attempts of this run are not kept" in note and "is locked by another program" in note
    assert [one.test for one in kept(store)] == ["t.py::test_a"]
    assert runs(store) == [(False, 0, False)]
    assert len(recording.attempts.ended) == 4


def test_a_history_that_fails_at_the_end_is_a_note(store: Path) -> None:
    """Closing raises nothing either, nor does closing again."""
    recording = record(store)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recording.close(1)
    recording.close(1)
    assert len(recording.notes) == 1 and "is locked" in recording.notes[0]


def test_notes_of_the_history_are_handed_on(store: Path) -> None:
    """A damaged one is kept aside, which the user is told."""
    store.write_bytes(b"no database" * 100)
    recording = record(store)
    ran(recording, "t.py::test_a")
    recording.close(1)
    (note,) = recording.notes
    assert "is damaged" in note and "kept as" in note
    assert store.with_name("history.db.corrupt-1").read_bytes() == b"no database" * 100
    assert len(kept(store)) == 1


def test_an_id_that_changes_with_the_process_is_kept_by_what_stays(store: Path) -> None:
    """Twins that only differ in what changes are told apart by their order; what is stable is its own name."""
    recording = record(store)
    ids = [f"t.py::test_it[<object at 0x7f2d3b28{digits}>]" for digits in ("48d0", "4910", "49f0")]
    for id_ in (*ids, "t.py::test_plain", ids[1]):
        ran(recording, id_)
    recording.close(4)
    name = "t.py::test_it[<object at <address>>]"
    assert [one.test for one in kept(store)] == [
        name,
        f"{name}#1",
        f"{name}#2",
        "t.py::test_plain",
        f"{name}#1",
    ]
    assert recording.unstable == dict.fromkeys(ids, name)


@pytest.mark.parametrize(
    ("failed", "passed", "skipped", "disaster"),
    [
        (6, 4, 0, True),
        (5, 5, 0, False),
        (9, 0, 0, False),
        (10, 0, 0, True),
        (6, 4, 90, True),
        (6, 3, 90, False),
    ],
)
def test_most_tests_failing_is_a_disaster(
    store: Path, failed: int, passed: int, skipped: int, disaster: bool
) -> None:
    """More than half of ten or more that did not skip; such a run is left out of rates."""
    recording = record(store)
    for outcome, count in (("failed", failed), ("passed", passed), ("skipped", skipped)):
        for number in range(count):
            ran(recording, f"t.py::test_{outcome}_{number}", outcome)
    assert recording.is_disaster is disaster
    recording.close(failed + passed + skipped)
    assert runs(store)[0][2] is disaster


def test_a_second_attempt_is_no_second_test(store: Path) -> None:
    """Reruns of three broken tests make no disaster of eleven."""
    recording = record(store)
    for number in range(3):
        for _ in range(4):
            ran(recording, f"t.py::test_failed_{number}", "failed")
    for number in range(8):
        ran(recording, f"t.py::test_passed_{number}")
    assert not recording.is_disaster
    recording.close(11)
    assert [one.attempt for one in kept(store)][:4] == [1, 2, 3, 4]


REPORTS = st.tuples(
    st.sampled_from([*PHASES, "???"]),
    st.sampled_from(["passed", "failed", "skipped", "rerun"]),
    st.sampled_from(["t.py::a", "t.py::b", "t.py::\x00\ud800", "t.py::[0xdeadbeef00]", ""]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REPORTS, max_size=30))
def test_any_order_of_reports_is_kept(tmp_path: Path, reports: list[tuple[str, str, str]]) -> None:
    """Nothing is raised, and each attempt that ended is in the history once, in its order."""
    store = tmp_path / f"{uuid.uuid4()}.db"
    recording = record(store)
    for one in reports:
        recording.note(report(*one))
    recording.end_tests()
    recording.close(len(reports))
    assert [one.outcome for one in kept(store)] == [one.outcome for one in recording.attempts.ended]
    assert recording.notes == []
    failed = [one for one in recording.attempts.ended if one.failed]
    assert all(one.fingerprint for one in failed)
