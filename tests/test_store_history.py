"""The history of attempts: the same on SQLite and on PostgreSQL, and what befalls a file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import NoServer, Server, postgres_server

from pytest_bugsle import __version__
from pytest_bugsle.errors import UsageError
from pytest_bugsle.store import schema
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.questions import OutcomeCount
from pytest_bugsle.store.records import (
    ATTEMPT_COLUMNS,
    RUN_COLUMNS,
    AttemptRecord,
    CodeVersion,
    RunRecord,
    attempt_row,
    escaped,
    read_attempt,
    read_run,
    run_row,
    unescaped,
)

HOSTILE = ("t.py::test[\x00]", "t.py::test[\ud800x\udfff]", "t.py::a\nb\r\x1b[2J", "t.py::" + "x" * 100_000,
           "t.py::\x1a0000", "t.py::\\x00", "t.py::'; DROP TABLE bugsle_run; --", "", "t.py::%s ? %(a)s")  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running PostgreSQL server, or a skip that says why there is none."""
    try:
        with postgres_server() as running:
            yield running
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty history is kept: a file, or a database of a server."""
    if request.param == "sqlite":
        return tmp_path / "history.db"
    return request.getfixturevalue("server").new_database()


def run(run_id: str = "r1", started: float = 1000.0, **more: object) -> RunRecord:
    """A run of one version of the code, unless told otherwise."""
    return RunRecord(run_id=run_id, started=started, **{"tree": "tree", **more})


def attempt(seq: int, test: str = "t.py::a", outcome: str = "passed", **more: object) -> AttemptRecord:
    """An attempt that took a second."""
    return AttemptRecord(**{"seq": seq, "test": test, "outcome": outcome, "duration": 1.0, **more})


def record(
    where: Path | str, run_record: RunRecord, *attempts: AttemptRecord, disaster: bool = False
) -> None:
    """Record a whole run."""
    with open_history(where) as history:
        history.begin(run_record)
        history.add(run_record.run_id, attempts)
        history.finish(run_record.run_id, collected=len(attempts), disaster=disaster)


def contents(path: Path) -> tuple[list, list]:
    """All runs and attempts of a file."""
    with closing(sqlite3.connect(path)) as connection:
        runs = connection.execute(
            f"SELECT {', '.join(RUN_COLUMNS)} FROM bugsle_run ORDER BY run_id"  # noqa: S608  our names
        ).fetchall()
        attempts = connection.execute(
            "SELECT run_id, seq, name, outcome FROM bugsle_attempt JOIN bugsle_run USING (run) "
            "JOIN bugsle_test USING (test) ORDER BY run_id, seq"
        ).fetchall()
    return runs, attempts


# ---- the same on both


def test_everything_comes_back(where: Path | str) -> None:
    """What is recorded of an attempt is read again, from the version to the fingerprint."""
    record(
        where,
        run(dirty="d", lock="l"),
        attempt(1, outcome="failed", fingerprint="f", mode="alone", attempt=2),
    )
    with open_history(where) as history:
        (entry,) = history.past("t.py::a")
    assert (entry.started, entry.run_id, entry.version) == (1000.0, "r1", ("tree", "d", "l"))
    assert (entry.mode, entry.attempt, entry.outcome, entry.duration) == ("alone", 2, "failed", 1.0)
    assert (entry.fingerprint, entry.disaster) == ("f", False)


def test_adding_again_adds_nothing(where: Path | str) -> None:
    """A batch that was sent twice is there once, and the first word stands."""
    with open_history(where) as history:
        history.begin(run())
        assert history.add("r1", [attempt(1), attempt(2)]) == 2
        history.begin(run(started=5.0))
        assert history.add("r1", [attempt(1, outcome="failed"), attempt(2), attempt(3)]) == 1
        assert [entry.outcome for entry in history.past("t.py::a")] == ["passed"] * 3
        assert {entry.started for entry in history.past("t.py::a")} == {1000.0}


def test_tally_counts_first_attempts_apart(where: Path | str) -> None:
    """A rerun counts as an attempt and as time, not as one of the suite's own."""
    record(
        where, run(),
        attempt(1, outcome="failed", fingerprint="f"),
        attempt(2, mode="in-process", duration=3.0),
        attempt(3, mode="alone", outcome="error", fingerprint="g", duration=0.5),
        attempt(4, mode="alone", attempt=2, outcome="timeout", fingerprint="g"),
        attempt(5, "t.py::b", "skipped"),
        attempt(6, "t.py::c", "xfailed"),
    )  # fmt: skip
    with open_history(where) as history:
        a, b, c = history.tallies()
    assert (a.test, a.runs, a.attempts, a.failures) == ("t.py::a", 1, 4, 3)
    assert (a.first_attempts, a.first_failures, a.last_seen) == (1, 1, 1000.0)
    assert (a.seconds, a.rerun_seconds) == (5.5, 4.5)
    assert (a.runs_broken, a.mixed_versions) == (1, 1)
    assert a.fingerprints == (("g", 2), ("f", 1))
    assert (b.test, b.runs, b.attempts, b.first_attempts) == ("t.py::b", 1, 0, 0)
    assert (c.attempts, c.failures, c.first_attempts, c.fingerprints) == (1, 0, 1, ())


def test_a_version_is_its_tree_and_not_its_commit(where: Path | str) -> None:
    """Both outcomes count as a flake on one tree, dirt and lock; another dirt or lock is another version."""
    for number, (outcome, more) in enumerate([
        ("passed", {"commit_sha": "1"}),
        ("failed", {"commit_sha": "2"}),
        ("failed", {"dirty": "x"}),
        ("failed", {"lock": "x"}),
        ("failed", {"dirty": "x", "lock": "x"}),
    ]):  # fmt: skip
        record(where, run(f"r{number}", **more), attempt(1, outcome=outcome))
    with open_history(where) as history:
        (tally,) = history.tallies()
    assert (tally.runs, tally.failures, tally.runs_broken, tally.mixed_versions) == (5, 4, 1, 1)


def test_unknown_code_equals_nothing(where: Path | str) -> None:
    """Without a tree, a pass and a failure are no evidence of a flake."""
    record(where, run("r1", tree=""), attempt(1))
    record(where, run("r2", tree=""), attempt(1, outcome="failed"))
    with open_history(where) as history:
        (tally,) = history.tallies()
        assert (tally.runs, tally.failures, tally.runs_broken, tally.mixed_versions) == (2, 1, 0, 0)
        assert history.outcomes("t.py::a", CodeVersion()) == []
        assert len(history.outcomes("t.py::a")) == 2


def test_only_the_suites_own_attempts_break_a_run(where: Path | str) -> None:
    """A failure in a hunt or in a rerun breaks no run, and three broken runs of a version are three."""
    record(where, run("r0"), attempt(1))
    for name in ("r1", "r2", "r3"):
        record(where, run(name), attempt(1, outcome="failed"), attempt(2, outcome="failed", mode="alone"))
    record(where, run("r4", mode="hunt"), attempt(1, outcome="failed", mode="hunt"))
    record(where, run("r5"), attempt(1), attempt(2, attempt=2, outcome="failed"))
    with open_history(where) as history:
        (tally,) = history.tallies()
    assert (tally.runs, tally.runs_broken, tally.mixed_versions) == (6, 3, 1)
    assert (tally.first_attempts, tally.first_failures) == (5, 3)


def test_disasters_are_left_out_but_shown(where: Path | str) -> None:
    """A run in which most failed counts in no rate and is no pass of its version; its past shows it."""
    record(where, run("r1"), attempt(1, outcome="failed"))
    record(where, run("r2", 2000.0), attempt(1), attempt(2, "t.py::b", "failed"), disaster=True)
    with open_history(where) as history:
        (tally,) = history.tallies()
        assert (tally.test, tally.runs, tally.runs_broken, tally.last_seen) == ("t.py::a", 1, 0, 1000.0)
        assert [entry.disaster for entry in history.past("t.py::a")] == [False, True]
        assert [count.outcome for count in history.outcomes("t.py::a")] == ["failed"]


def test_tallies_since_a_time(where: Path | str) -> None:
    """Runs before it are left out, and the test with them; that the version passed before still counts."""
    record(where, run("r1", 1000.0), attempt(1), attempt(2, "t.py::old", "failed", fingerprint="f"))
    record(where, run("r2", 2000.0), attempt(1, outcome="failed", fingerprint="g"))
    with open_history(where) as history:
        (tally,) = history.tallies(since=2000.0)
        assert len(history.tallies(since=1000.0)) == len(history.tallies()) == 2
    assert (tally.test, tally.runs, tally.failures, tally.runs_broken) == ("t.py::a", 1, 1, 1)
    assert tally.fingerprints == (("g", 1),)


def test_past_is_newest_last_and_limited(where: Path | str) -> None:
    """The last attempts in the order of runs and, within one, of attempts."""
    for number in (3, 1, 2):
        record(
            where, run(f"r{number}", float(number)), attempt(2, fingerprint="b"), attempt(1, fingerprint="a")
        )
    with open_history(where) as history:
        assert [(e.run_id, e.fingerprint) for e in history.past("t.py::a", 3)] == [
            ("r2", "b"), ("r3", "a"), ("r3", "b")]  # fmt: skip
        assert history.past("t.py::nobody") == []


def test_outcomes_by_version_mode_and_fingerprint(where: Path | str) -> None:
    """First attempts of each mode are counted, later ones not."""
    first = attempt(1, outcome="failed", fingerprint="f")
    record(where, run("r1"), first, attempt(2, mode="alone"), attempt(3, mode="alone", attempt=2))
    record(where, run("r2"), first)
    record(where, run("r3", tree="other"), attempt(1))
    version = CodeVersion("tree")
    with open_history(where) as history:
        of_one = history.outcomes("t.py::a", version)
        of_all = history.outcomes("t.py::a")
    assert of_one == [
        OutcomeCount(version=version, mode="alone", outcome="passed", fingerprint="", count=1),
        OutcomeCount(version=version, mode="suite", outcome="failed", fingerprint="f", count=2),
    ]
    assert [(count.version.tree, count.outcome) for count in of_all] == [
        ("other", "passed"), ("tree", "passed"), ("tree", "failed")]  # fmt: skip


@pytest.mark.parametrize("test", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_ids_come_back(where: Path | str, test: str) -> None:
    """NUL, lone surrogates, control characters, SQL and 100 kB are names like others."""
    record(where, run(test, branch=test), attempt(1, test, "failed", fingerprint=test))
    with open_history(where) as history:
        assert [tally.test for tally in history.tallies()] == [test]
        assert history.tallies()[0].fingerprints == ((test, 1),)
        assert [entry.run_id for entry in history.past(test)] == [test]
        assert history.outcomes(test, CodeVersion("tree"))[0].fingerprint == test


def test_numbers_that_are_none(where: Path | str) -> None:
    """A clock that went wrong leaves no row behind that cannot be summed up."""
    record(where, run(started=float("nan")), attempt(1, duration=float("inf")), attempt(2, covers_changed=3))
    with open_history(where) as history:
        (tally,) = history.tallies()
    assert (tally.seconds, tally.last_seen) == (1.0, 0.0)


def test_merging_twice_does_no_harm(where: Path | str, tmp_path: Path) -> None:
    """Two jobs' files are joined; what is there already is counted as none."""
    for job in ("a", "b"):
        record(tmp_path / f"{job}.db", run(f"job-{job}"), attempt(1), attempt(2, "t.py::b"))
    with open_history(where) as history:
        for _ in range(2):
            found = [history.merge(tmp_path / f"{job}.db") for job in ("a", "b")]
            assert [tally.runs for tally in history.tallies()] == [2, 2]
            if _ == 0:
                assert [(one.runs, one.attempts) for one in found] == [(1, 2), (1, 2)]
        assert [(one.runs, one.attempts) for one in found] == [(0, 0), (0, 0)]


def test_merging_ends_a_run_that_was_open(where: Path | str, tmp_path: Path) -> None:
    """A run that was taken while it ran is completed by its whole record."""
    path = tmp_path / "job.db"
    with open_history(path) as job, open_history(where) as history:
        job.begin(run())
        job.add("r1", [attempt(1)])
        assert history.merge(path).attempts == 1
        job.add("r1", [attempt(2)])
        job.finish("r1", collected=2, disaster=True)
        assert (history.merge(path).runs, history.merge(path).attempts) == (0, 0)
        assert history.tallies() == []
        assert len(history.past("t.py::a")) == 2


def test_a_runs_first_end_stands(where: Path | str, tmp_path: Path) -> None:
    """A file that says otherwise of a run that has ended here changes nothing."""
    record(where, run(), attempt(1))
    record(tmp_path / "job.db", run(), attempt(1), disaster=True)
    with open_history(where) as history:
        history.merge(tmp_path / "job.db")
        assert [tally.runs for tally in history.tallies()] == [1]


def test_an_interrupt_undoes_its_batch_alone(where: Path | str) -> None:
    """After an interrupt in the middle of a batch the history can be used on, without that batch."""

    def interrupted() -> None:
        history._database.execute("INSERT INTO bugsle_test (test, name) VALUES (?, ?)", (1, "half"))
        raise KeyboardInterrupt

    with open_history(where) as history:
        history.begin(run())
        with pytest.raises(KeyboardInterrupt):
            history._write(lambda database: interrupted())
        assert history.add("r1", [attempt(1)]) == 1
        assert history._database.rows("SELECT name FROM bugsle_test") == [("t.py::a",)]


def test_merging_hostile_names_and_many_parts(
    where: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one part of rows is taken, in the order of the attempts, names unharmed."""
    monkeypatch.setattr("pytest_bugsle.store.joining._PART", 2)
    monkeypatch.setattr("pytest_bugsle.store.joining._ATTEMPTS", _attempts_of_two())
    record(tmp_path / "job.db", run(), *[attempt(-n, name) for n, name in enumerate(HOSTILE)])
    with open_history(where) as history:
        assert history.merge(tmp_path / "job.db").attempts == len(HOSTILE)
        assert [tally.test for tally in history.tallies()] == sorted(HOSTILE)


def _attempts_of_two() -> str:
    from pytest_bugsle.store import joining

    return joining._ATTEMPTS.replace(f"LIMIT {joining._PART}", "LIMIT 2")


_WRITER = """
import sys
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord
where, name = sys.argv[1:]
with open_history(where, busy_seconds=60.0) as history:
    history.begin(RunRecord(run_id=name, started=1.0, tree="t"))
    for batch in range(5):
        history.add(name, [
            AttemptRecord(seq=batch * 20 + n, test=f"t.py::{n}", outcome="passed") for n in range(20)])
    history.finish(name, collected=20, disaster=False)
"""


@pytest.mark.slow
def test_sixteen_writers_at_once(where: Path | str) -> None:
    """Sixteen processes begin one new history at once; every row of each is there."""
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(where), f"r{n}"], stderr=subprocess.PIPE)
        for n in range(16)
    ]
    assert [writer.communicate()[1] for writer in writers] == [b""] * 16
    with open_history(where) as history:
        tallies = history.tallies()
    assert [(tally.runs, tally.attempts) for tally in tallies] == [(16, 80)] * 20
    assert Counter(history.notes) == Counter()


# ---- values


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=40))
def test_escaping_is_reversible(text: str) -> None:
    """Any text comes back, and what is stored is valid UTF-8 without NUL."""
    assert unescaped(escaped(text)) == text
    assert b"\x00" not in escaped(text).encode()


@given(st.builds(AttemptRecord, duration=st.floats(allow_nan=False, allow_infinity=False)))
def test_an_attempts_row_comes_back(record_: AttemptRecord) -> None:
    """An attempt is what its row says."""
    row = dict(zip(ATTEMPT_COLUMNS, attempt_row(1, record_)[1:], strict=False))
    assert read_attempt([*{**row, "test": escaped(record_.test)}.values()]) == record_


@given(st.builds(RunRecord, started=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_runs_row_comes_back(record_: RunRecord) -> None:
    """A run is what its row says."""
    assert read_run(run_row(record_)[2:]) == record_


def test_an_unknown_outcome_is_a_failure() -> None:
    """A word nobody knows is never taken for a pass."""
    outcomes = ["passed", "xfailed", "xpassed", "failed", "error", "timeout", "died", "what?", "skipped", ""]
    assert [attempt(1, outcome=outcome).failed for outcome in outcomes] == [False] * 3 + [True] * 5 + [
        None
    ] * 2


# ---- what befalls a file


def test_a_killed_run_keeps_every_batch(tmp_path: Path) -> None:
    """After SIGKILL all that was added is there, and the run is not marked as ended."""
    path = tmp_path / "history.db"
    code = _WRITER.replace(
        "    history.finish", "    print('added', flush=True); import time; time.sleep(60)\n    #"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path), "r"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"added\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with open_history(path) as history:
        assert sum(tally.attempts for tally in history.tallies()) == 100
        assert history.notes == []
    assert contents(path)[0][0][RUN_COLUMNS.index("ended")] == 0


def test_it_is_kept_in_wal_mode(tmp_path: Path) -> None:
    """A reader never waits for a writer, and a commit waits for no disk."""
    path = tmp_path / "history.db"
    with open_history(path) as history:
        assert history._database.rows("PRAGMA journal_mode") == [("wal",)]
        assert history._database.rows("PRAGMA synchronous") == [(1,)]
        with history._database.writing():
            pass


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    """What is no database is renamed, numbered, never overwritten, and a new one begun."""
    path = tmp_path / "history.db"
    for number in (1, 2):
        path.write_bytes(b"no database at all, %d" % number * 100)
        with open_history(path) as history:
            history.begin(run())
            (note,) = history.notes
        assert f"history.db.corrupt-{number}" in note and "damaged" in note
        assert (
            tmp_path / f"history.db.corrupt-{number}"
        ).read_bytes() == b"no database at all, %d" % number * 100
    assert len(contents(path)[0]) == 1


def test_damage_found_later_is_kept_aside_too(tmp_path: Path) -> None:
    """Pages that turn out damaged while recording cost the run nothing: the batch is in the new file."""
    path = tmp_path / "history.db"
    record(path, run("old"), *[attempt(n, f"t.py::{n}") for n in range(500)])
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with open_history(path) as history:
        history.begin(run())
        history.add("r1", [attempt(1)])
        history.finish("r1", collected=1, disaster=False)
        assert "corrupt-1" in history.notes[0]
        assert [tally.test for tally in history.tallies()] == ["t.py::a"]
    assert (tmp_path / "history.db.corrupt-1").stat().st_size == size


def test_two_that_find_the_damage_put_one_file_aside(tmp_path: Path) -> None:
    """The second one sees that the file is another one by now, and goes on with it."""
    path = tmp_path / "history.db"
    record(path, run("old"), attempt(1))
    first, second = open_history(path), open_history(path)
    with first, second:
        damage = sqlite3.DatabaseError("database disk image is malformed")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        from pytest_bugsle.store.database import CorruptError

        for history in (first, second):
            assert history._put_damaged_aside(CorruptError("damaged"))
            history.begin(run(f"of-{id(history)}"))
            history.add(f"of-{id(history)}", [attempt(1)])
    assert len(contents(path)[0]) == 2
    assert not (tmp_path / "history.db.corrupt-2").exists()
    assert (tmp_path / "history.db.corrupt-1-wal").exists()  # it was open, and its log may hold rows
    assert (len(first.notes), len(second.notes)) == (1, 0)


def test_a_history_from_a_newer_program_is_refused(tmp_path: Path) -> None:
    """The message names the version to install; the file is not touched."""
    path = tmp_path / "history.db"
    record(path, run())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO bugsle_schema VALUES (99, '7.1.0')")
    before = contents(path)
    with pytest.raises(UsageError, match=r"pytest-bugsle 7\.1\.0 \(schema 99\)") as error:
        open_history(path)
    assert "pytest-bugsle>=7.1.0" in error.value.hint and __version__ in error.value.why
    with open_history(tmp_path / "other.db") as other, pytest.raises(UsageError, match="schema 99"):
        other.merge(path)
    assert contents(path) == before and not list(tmp_path.glob("*corrupt*"))


def test_a_versions_program_from_a_stranger_is_not_repeated(tmp_path: Path) -> None:
    """What stands where a version belongs never becomes a command to type."""
    path = tmp_path / "job.db"
    record(path, run())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO bugsle_schema VALUES (99, '1; curl evil | sh')")
    with open_history(tmp_path / "history.db") as history, pytest.raises(UsageError) as error:
        history.merge(path)
    assert "curl" not in str(error.value)


def test_an_older_history_is_brought_forward(
    where: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new step is applied once to a real older history, its rows kept; a merged older file is not changed."""
    record(where, run(), attempt(1, outcome="failed"))
    record(tmp_path / "job.db", run("job"), attempt(1))
    step = ("ALTER TABLE bugsle_test ADD COLUMN owner text", "UPDATE bugsle_test SET owner = name")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    monkeypatch.setattr("pytest_bugsle.store.joining.MIGRATIONS", schema.MIGRATIONS)
    before = (tmp_path / "job.db").read_bytes()
    for _ in range(2):
        with open_history(where) as history:
            assert history._database.rows("SELECT owner FROM bugsle_test") == [("t.py::a",)]
            versions = history._database.rows("SELECT version FROM bugsle_schema ORDER BY version")
            assert [version for (version,) in versions] == list(range(1, len(schema.MIGRATIONS) + 1))
            history.merge(tmp_path / "job.db")
            assert [tally.runs for tally in history.tallies()] == [2]
    assert (tmp_path / "job.db").read_bytes() == before


def test_a_step_that_fails_leaves_the_older_history(
    where: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a step is done, or nothing of it."""
    record(where, run(), attempt(1))
    steps = (*schema.MIGRATIONS, ("ALTER TABLE bugsle_test ADD COLUMN owner text", "SELECT nonsense"))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", steps)
        with pytest.raises(StoreError, match="nonsense"):
            open_history(where)
    with open_history(where) as history, pytest.raises(StoreError, match="owner"):
        history._database.rows("SELECT owner FROM bugsle_test")


_VERSION_1 = """
CREATE TABLE bugsle_schema (version bigint PRIMARY KEY NOT NULL, program text);
CREATE TABLE bugsle_run (run bigint PRIMARY KEY NOT NULL, version bigint, run_id text NOT NULL,
    started double precision NOT NULL, commit_sha text NOT NULL, tree text NOT NULL, dirty text NOT NULL,
    lock text NOT NULL, base text NOT NULL, branch text NOT NULL, job text NOT NULL, python text NOT NULL,
    platform text NOT NULL, pytest text NOT NULL, seed text NOT NULL, hashseed text NOT NULL,
    order_id text NOT NULL, workers bigint NOT NULL, mode text NOT NULL, collected bigint NOT NULL,
    ended smallint NOT NULL, disaster smallint NOT NULL);
CREATE INDEX bugsle_run_version ON bugsle_run (version);
CREATE TABLE bugsle_test (test bigint PRIMARY KEY NOT NULL, name text NOT NULL);
CREATE TABLE bugsle_attempt (run bigint NOT NULL, seq bigint NOT NULL, test bigint NOT NULL,
    attempt bigint NOT NULL, mode text NOT NULL, position bigint NOT NULL, worker text NOT NULL,
    setup text NOT NULL, call text NOT NULL, teardown text NOT NULL, outcome text NOT NULL,
    duration double precision NOT NULL, fingerprint text NOT NULL, covers_changed bigint,
    first smallint NOT NULL, failed smallint, PRIMARY KEY (run, seq));
CREATE INDEX bugsle_attempt_test ON bugsle_attempt (test, run, first, failed, duration);
CREATE INDEX bugsle_attempt_failed ON bugsle_attempt (test, run) WHERE failed = 1;
INSERT INTO bugsle_schema VALUES (1, '0.1.0');
INSERT INTO bugsle_run VALUES (-8526389137811043383, 5, 'old', 7.0, '', 't', '', '', '', '', '', '', '', '',
    '', '', '', 0, 'suite', 1, 1, 0);
INSERT INTO bugsle_test VALUES (42, 't.py::a');
INSERT INTO bugsle_attempt VALUES (-8526389137811043383, 1, 42, 1, 'suite', 0, '', 'passed', 'failed',
    'passed', 'failed', 0.5, 'f', NULL, 1, 1);
"""


def test_a_file_of_schema_1_is_still_read(tmp_path: Path) -> None:
    """The tables of the first version are frozen here: who changes them adds a step."""
    path, new = tmp_path / "old.db", tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_VERSION_1)
    with open_history(path) as old, open_history(new) as fresh:
        (tally,) = old.tallies()
        assert (tally.test, tally.failures, tally.last_seen) == ("t.py::a", 1, 7.0)
        schemas = [
            [" ".join(sql.split()).replace("( ", "(") for (sql,) in history._database.rows(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")]
            for history in (old, fresh)
        ]  # fmt: skip
    assert schemas[0] == schemas[1]


def test_an_attempt_of_schema_1_is_carried_over_whole(tmp_path: Path) -> None:
    """Each of its columns, into the table as it is laid out now."""
    path = tmp_path / "old.db"
    columns = (
        "run, seq, test, attempt, mode, position, worker, setup, call, teardown, outcome, duration, fingerprint, "
        "covers_changed, first, failed"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_VERSION_1)
        row = (-8526389137811043383, 2, 42, 3, "hunt", 4, "gw1", "a", "b", "c", "d", 1.5, "e", 6, 0, None)
        connection.execute(f"INSERT INTO bugsle_attempt VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        connection.commit()
        before = connection.execute(f"SELECT {columns} FROM bugsle_attempt ORDER BY seq").fetchall()  # noqa: S608
    open_history(path).close()
    with closing(sqlite3.connect(path)) as connection:
        after = connection.execute(f"SELECT {columns} FROM bugsle_attempt ORDER BY seq").fetchall()  # noqa: S608
    assert after == before and len(after) == 2


def test_a_run_is_no_more_work_to_write_for_what_is_there_already(tmp_path: Path) -> None:
    """The pages that a run of 1,000 tests changes: as many in the thirtieth as in the second."""
    path = tmp_path / "history.db"
    log = path.with_name("history.db-wal")
    pages = []
    with open_history(path) as history:
        for number in range(30):
            history._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            tests = [AttemptRecord(seq=n, test=f"t.py::test_{n}", outcome="passed") for n in range(1, 1001)]
            history.record(RunRecord(run_id=f"run-{number}", started=float(number)), tests)
            pages.append(log.stat().st_size // 4096)
    assert pages[-1] < 1.3 * pages[1], pages


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """A file with other tables is left alone, to be written and to be merged."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (name)")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another program's database"):
        open_history(path)
    with open_history(tmp_path / "history.db") as history, pytest.raises(UsageError, match="is no history"):
        history.merge(path)
    assert path.read_bytes() == before


def test_whenever_another_session_begins_the_same_history_it_is_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each statement of an opening in turn, another session makes the file, the log or the tables."""
    connect = sqlite3.connect
    run = RunRecord(run_id="ours", started=1.0)

    def begin(path: Path, moment: int) -> int:
        """Open a history while another session is faster from statement `moment` on; return how many there were."""
        statements = 0

        def step(_: str) -> None:
            nonlocal statements
            statements += 1
            if statements == moment:
                with suppress(StoreError), monkeypatch.context() as other:
                    other.setattr(sqlite3, "connect", connect)
                    open_history(path, busy_seconds=0.0).close()

        def traced(*args: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*args, **options)
            connection.set_trace_callback(step)
            return connection

        with monkeypatch.context() as patched:
            patched.setattr(sqlite3, "connect", traced)
            with open_history(path) as history:
                history.record(run, [AttemptRecord(seq=1, test="t.py::a", outcome="passed")])
                assert history.notes == []
                assert [tally.test for tally in history.tallies()] == ["t.py::a"]
        return statements

    statements = begin(tmp_path / "alone.db", 0)
    assert statements > 20
    for moment in range(1, statements + 1):
        begin(tmp_path / f"{moment}.db", moment)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE bugsle_attempt SET seq = 'x' || seq", "where a value of type int belongs"),
        ("UPDATE bugsle_attempt SET outcome = x'00ff'", "where a value of type str belongs"),
        ("UPDATE bugsle_run SET started = 'soon'", "where a value of type float belongs"),
        ("DELETE FROM bugsle_test", "None stands where a value of type str belongs"),
    ],
)
def test_merging_a_strangers_file(tmp_path: Path, statement: str, message: str) -> None:
    """Values of a wrong type are refused by name, not recorded."""
    path = tmp_path / "job.db"
    record(path, run(), attempt(1))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with open_history(tmp_path / "history.db") as history:
        with pytest.raises(UsageError, match=message):
            history.merge(path)
        assert history.tallies() == []


def test_merging_what_is_not_there_or_damaged(tmp_path: Path) -> None:
    """A missing file is not made, a damaged one is not moved: it is somebody's artifact."""
    with open_history(tmp_path / "history.db") as history:
        with pytest.raises(UsageError, match="there is no history"):
            history.merge(tmp_path / "nothing.db")
        (tmp_path / "bad.db").write_bytes(b"x" * 5000)
        with pytest.raises(UsageError, match="cannot be read"):
            history.merge(tmp_path / "bad.db")
        assert history.merge(tmp_path / "history.db").runs == 0
    assert not (tmp_path / "nothing.db").exists() and (tmp_path / "bad.db").exists()


def test_a_locked_history_is_a_store_error(tmp_path: Path) -> None:
    """Who holds the lock longer than is waited for costs a note; the batch can be added afterwards."""
    path = tmp_path / "history.db"
    with open_history(path, busy_seconds=0.1) as history:
        history.begin(run())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="is locked by another program"):
                history.add("r1", [attempt(1)])
            assert history.tallies() == []
        assert history.add("r1", [attempt(1)]) == 1


def test_a_file_has_no_stand_in(tmp_path: Path) -> None:
    """What is meant for a file is never put into an outbox, from which only a server is sent to."""
    path, outbox = tmp_path / "history.db", tmp_path / "outbox.db"
    with (
        open_history(path, fallback=outbox, busy_seconds=0.1) as history,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked"):
            history.begin(run())
    assert not outbox.exists()


def test_a_full_disk_is_a_store_error(tmp_path: Path) -> None:
    """What was recorded before stays, what did not fit is not there by halves."""
    path = tmp_path / "history.db"
    with open_history(path) as history:
        history.begin(run())
        history.add("r1", [attempt(1)])
        (pages,) = history._database.rows("PRAGMA page_count")[0]
        history._database.rows(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="no room left on its disk"):
            history.add("r1", [attempt(n, f"t.py::{n}" * 20) for n in range(2, 2000)])
        assert [tally.attempts for tally in history.tallies()] == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes")
def test_a_read_only_history_can_be_asked(tmp_path: Path) -> None:
    """Nothing can be recorded in it, which is said; and nothing can be begun in a read-only folder."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv, to be somebody else, is missing")
    code = f"""if True:
        import sys
        sys.path[:0] = {[entry for entry in sys.path if entry]!r}
        from pathlib import Path
        from pytest_bugsle.store.database import StoreError
        from pytest_bugsle.store.history import open_history
        from pytest_bugsle.store.records import RunRecord
        for name in ("history.db", "new.db"):
            try:
                history = open_history(Path(name))
                print(len(history.tallies()))
                history.begin(RunRecord(run_id="r", started=1.0))
            except StoreError as error:
                print(error.what)
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record(folder / "history.db", run(), attempt(1))
        (folder / "history.db").chmod(0o444)
        folder.chmod(0o555)
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*drop, sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
        )
        folder.chmod(0o755)
    if "Permission denied" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("nobody may not read this installation")
    assert done.stdout.splitlines() == [
        "1", "the history history.db is read-only", "the history new.db cannot be opened"], done.stderr  # fmt: skip


@pytest.mark.parametrize("name", ["history.db", "history.db-wal", "history.db-shm", "history.db-journal"])
def test_links_are_refused(tmp_path: Path, name: str) -> None:
    """A link where the history or its log belongs is not followed."""
    victim = tmp_path / "precious"
    victim.write_bytes(b"")
    (tmp_path / ".bugsle").mkdir()
    (tmp_path / ".bugsle" / name).symlink_to(victim)
    with pytest.raises(UsageError, match="symbolic link"):
        open_history(tmp_path / ".bugsle" / "history.db")
    assert victim.read_bytes() == b""


def test_a_linked_state_folder_is_refused(tmp_path: Path) -> None:
    """`.bugsle` itself, and folders in it, are no links; above it they may be."""
    (tmp_path / "real" / ".bugsle").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    record(tmp_path / "linked" / ".bugsle" / "history.db", run())
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / ".bugsle").symlink_to(tmp_path / "real" / ".bugsle")
    with pytest.raises(UsageError, match="symbolic link"):
        open_history(tmp_path / "repository" / ".bugsle" / "history.db")
    with pytest.raises(UsageError, match="is no file"):
        open_history(tmp_path / "real")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is not made: the state folder is somebody else's affair."""
    with pytest.raises(StoreError, match="cannot be opened"):
        open_history(tmp_path / "no" / "history.db")


def test_other_schemes_are_refused_without_their_password() -> None:
    """Only PostgreSQL's URLs are known."""
    with pytest.raises(UsageError, match="cannot be kept at mysql://me@host/db") as error:
        open_history("mysql://me:secret@host/db")
    assert "secret" not in str(error.value)


@pytest.mark.slow
def test_ten_thousand_of_many_runs(tmp_path: Path) -> None:
    """Rates, broken runs and fingerprints of a larger history are those that a plain count gives."""
    path = tmp_path / "history.db"
    expected: Counter[tuple[str, str]] = Counter()
    begin = time.monotonic()
    with open_history(path) as history:
        for number in range(50):
            history.begin(run(f"r{number}", float(number), tree=f"tree-{number // 3}"))
            batch = []
            for n in range(200):
                failed = (number * 7 + n * 13) % 41 == 0
                batch.append(
                    attempt(n, f"t.py::{n}", "failed" if failed else "passed", fingerprint="f" * failed)
                )
                expected[f"t.py::{n}", batch[-1].outcome] += 1
            history.add(f"r{number}", batch)
        tallies = history.tallies()
    assert begin <= time.monotonic()
    assert {tally.test: tally.failures for tally in tallies if tally.failures} == {
        test: count for (test, outcome), count in expected.items() if outcome == "failed"
    }
    assert all(tally.attempts == tally.runs == 50 for tally in tallies)


def test_records_are_frozen() -> None:
    """A record is a value."""
    with pytest.raises(AttributeError, match="immutable"):
        run().started = 2.0  # type: ignore[misc]
