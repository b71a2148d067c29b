"""Attempts go into the history as they end, and no trouble with it costs the session anything."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trap_suites import kept, runs

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.flaky.recording import Recording
from pytest_bugsle.store.history import History, open_history
from pytest_bugsle.store.journal import FOLDER, take_left
from pytest_bugsle.store.records import CodeVersion, RunRecord

PHASES = ("setup", "call", "teardown")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the history is."""
    return tmp_path / "history.db"


def record(store: Path, opened: Callable[[], History] | None = None) -> Recording:
    """A recording into this file."""
    run = RunRecord(run_id=uuid.uuid4().hex, started=time.time(), tree="t")
    opened = opened or (lambda: open_history(store, busy_seconds=0.05))
    return Recording(run, opened, str(store.parent), journals=store.parent / FOLDER)


def take_in(store: Path) -> int:
    """Open the history as the next run does."""
    with open_history(store) as history:
        return take_left(store.parent / FOLDER, history)


def waiting(store: Path) -> list[Path]:
    """The journals that stand beside a history."""
    return sorted((store.parent / FOLDER).glob("*"))


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


def test_a_killed_session_has_left_all_that_ended(store: Path) -> None:
    """The next run takes it in, and no run that is alive: of what had not ended nothing is known."""
    recording = record(store)
    for number in range(1000):
        ran(recording, f"t.py::test_{number}")
    recording.note(report("setup", id_="t.py::test_hangs"))
    assert (take_in(store), kept(store)) == (0, [])
    assert recording._journal is not None
    os.close(recording._journal._handle)  # as the end of the process does
    assert (take_in(store), take_in(store)) == (1, 0)
    assert [one.test for one in kept(store)] == [f"t.py::test_{number}" for number in range(1000)]
    assert runs(store) == [(False, 0, False)]
    assert waiting(store) == []


def test_what_was_interrupted_is_not_kept(store: Path) -> None:
    """Nobody knows how it would have ended; a failure that was reported is known."""
    recording = record(store)
    recording.note(report("setup", id_="t.py::test_a"))
    recording.note(report("setup", id_="t.py::test_b"))
    recording.note(report("call", "failed", id_="t.py::test_b"))
    recording.end_tests()
    recording.close(2)
    assert [(one.test, one.outcome) for one in kept(store)] == [("t.py::test_b", "failed")]


def test_a_failure_is_kept_as_it_was_reported(store: Path) -> None:
    """Before its teardown: another plugin, or the quarantine, may turn the report into something else."""
    recording = record(store)
    failed = report("call", "failed")
    for one in (report("setup"), failed):
        recording.note(one)
    failed.outcome = "skipped"
    failed.wasxfail = "excused"
    recording.note(report("teardown"))
    recording.close(1)
    assert [one.outcome for one in kept(store)] == ["failed"]


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
    assert waiting(store) == []
    assert [one.failed for one in recording.attempts.ended] == [True]
    assert not store.exists()


def test_a_history_that_cannot_be_written_gets_it_later(store: Path) -> None:
    """It is said once, nobody waits for the lock again, and the next run takes in what waits."""
    recording = record(store)
    open_history(store).close()
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ran(recording, "t.py::test_a")
        recording.end_tests()
        assert recording.outcomes("t.py::test_a", CodeVersion("t")) == {}
        recording.close(1)
        other.execute("ROLLBACK")
    (note,) = recording.notes
    (journal,) = waiting(store)
    assert "is locked by another program" in note and f"wait in {journal}" in note
    assert kept(store) == []
    assert (take_in(store), waiting(store)) == (1, [])
    assert [one.test for one in kept(store)] == ["t.py::test_a"]


def test_a_test_that_closes_every_descriptor_costs_the_journal_alone(store: Path) -> None:
    """Not a byte goes into the file that has our number by then; at its end the session is kept."""
    recording = record(store)
    ran(recording, "t.py::test_a")
    mine = os.open(store.parent / "mine.txt", os.O_RDWR | os.O_CREAT)
    assert recording._journal is not None
    os.dup2(mine, recording._journal._handle)
    ran(recording, "t.py::test_b")
    recording.end_tests()
    recording.close(2)
    assert (store.parent / "mine.txt").read_bytes() == b""
    assert ["a test closed it" in note for note in recording.notes] == [True]
    assert [one.test for one in kept(store)] == ["t.py::test_a", "t.py::test_b"]
    os.close(mine)


def test_a_history_that_fails_at_the_end_is_a_note(store: Path) -> None:
    """Closing raises nothing either, nor does closing again."""
    recording = record(store)
    open_history(store).close()
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
