"""A history in PostgreSQL: out of reach, gone in the middle, sent later, and no password shown."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_server import NoServer, Server, postgres_server

from pytest_bugsle.errors import UsageError
from pytest_bugsle.store import joining, postgres
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.postgres import shown
from pytest_bugsle.store.records import AttemptRecord, RunRecord

psycopg = pytest.importorskip(
    "psycopg", reason="psycopg is not installed: pip install 'pytest-bugsle[postgres]'"
)

NOWHERE = "postgresql://me:hunter2@127.0.0.1:1/db"  # nothing listens on port 1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running PostgreSQL server, or a skip that says why there is none."""
    try:
        with postgres_server() as running:
            yield running
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """The file that stands in for a server."""
    return tmp_path / "outbox.db"


def record(where: str | Path, outbox: Path | None, name: str, attempts: int = 3) -> list[str]:
    """Record a run; return the notes of doing so."""
    with open_history(where, fallback=outbox) as history:
        history.begin(RunRecord(run_id=name, started=1000.0, tree="t"))
        history.add(name, batch(attempts))
        history.finish(name, collected=attempts, disaster=False)
        return history.notes


def batch(count: int, first: int = 0) -> list[AttemptRecord]:
    """Passed attempts of as many tests."""
    return [AttemptRecord(seq=n, test=f"t.py::{n}", outcome="passed") for n in range(first, first + count)]


def rows(path: Path) -> tuple[int, ...]:
    """How many runs, attempts and tests a file holds."""
    with closing(sqlite3.connect(path)) as connection:
        return tuple(
            connection.execute(f"SELECT count(*) FROM bugsle_{table}").fetchone()[0]  # noqa: S608  our names
            for table in ("run", "attempt", "test")
        )


def counts(url: str) -> tuple[int, int]:
    """How many ended runs and how many attempts a database holds."""
    with psycopg.connect(url) as connection:
        runs = connection.execute("SELECT count(*) FROM bugsle_run WHERE ended = 1").fetchone()[0]
        return runs, connection.execute("SELECT count(*) FROM bugsle_attempt").fetchone()[0]


# ---- out of reach


def test_a_server_out_of_reach_is_a_store_error() -> None:
    """Without a stand-in it is said where it was looked for, and not with which password."""
    with pytest.raises(StoreError, match=r"postgresql://me@127\.0\.0\.1:1/db cannot be reached") as error:
        open_history(NOWHERE)
    assert "hunter2" not in str(error.value) + repr(error.value.__cause__)


@pytest.mark.parametrize("url", [NOWHERE, "postgresql://me:hunter2@host.invalid/db"], ids=["refused", "name"])
def test_recorded_locally_instead(url: str, outbox: Path) -> None:
    """The run goes on in the outbox, and a note says so."""
    (note,) = record(url, outbox, "r1")
    assert f"recorded in {outbox} instead" in note and "hunter2" not in note
    assert rows(outbox) == (1, 3, 3)


def test_a_server_that_never_answers(outbox: Path) -> None:
    """Three seconds are waited, name and handshake together, and no thread of ours goes on for long."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        begin = time.monotonic()
        notes = record(f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db", outbox, "r1")
        waited = time.monotonic() - begin
    assert waited < 30  # far below what the system would wait by itself
    assert "cannot be reached" in notes[0]


def test_a_wrong_password_is_out_of_reach(server: Server, outbox: Path) -> None:
    """It may be right tomorrow: what was recorded is kept until then."""
    (note,) = record(server.url(password="wrong-one"), outbox, "r1")  # noqa: S106  a wrong one
    assert "password authentication failed" in note
    assert "wrong-one" not in note and rows(outbox)[1] == 3


def test_no_stand_in_needs_no_driver_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without psycopg the message says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="needs psycopg") as error:
        open_history(NOWHERE, fallback=tmp_path / "outbox.db")
    assert "pytest-bugsle[postgres]" in error.value.hint


def test_a_file_needs_no_driver(tmp_path: Path) -> None:
    """Neither psycopg nor our module for it is loaded for a history in a file."""
    code = (
        "import sys; from pytest_bugsle.store.history import open_history; open_history(sys.argv[1]).close();"
        "print([name for name in sys.modules if 'psycopg' in name or name.endswith('store.postgres')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "h.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:secret@host:5432/db?password=secret", "postgresql://me@host:5432/db"),
        ("postgres://:secret@/db?host=/run", "postgres://@/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://me:sec/r@et@host/db", "postgresql://me@host/db"),
        ("postgresql://me:secret?x@host/db", "postgresql://***"),
        ("postgresql://me:secret#x@host/db", "postgresql://***"),
        ("postgresql:///db?user=me&password=s@cret", "postgresql://***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, name: str) -> None:
    """User, host and database are shown; options, which may hold a password, are not."""
    assert shown(url) == name


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sec%ret@host/db",
        "postgresql://me:sec%ret@host/db?nonsense=sec%ret",
        "postgresql://me@host/db?password=sec%25ret&nonsense=1",
        "postgresql://[me:sec%ret@host/db",
        "postgresql://127.0.0.1:1/db?password=sec%25ret",
        "postgresql://me:sec%25ret@127.0.0.1:1/db",
        "postgresql://me:sec%25ret@127.0.0.1:nonsense/db",
    ],
)
def test_no_message_holds_a_password(url: str) -> None:
    """Neither a URL that cannot be read nor a server that is not there makes us repeat it."""
    with pytest.raises((UsageError, StoreError)) as error:
        open_history(url)
    assert "sec%ret" not in str(error.value) and "sec%25ret" not in str(error.value)
    assert error.value.__suppress_context__


# ---- sent later


def test_the_outbox_is_sent_by_the_next_opening(server: Server, outbox: Path) -> None:
    """What was recorded locally is in the server afterwards, the outbox empty, and a note says so once."""
    url = server.new_database()
    record(NOWHERE, outbox, "r1")
    record(NOWHERE, outbox, "r2")
    notes = record(url, outbox, "r3")
    assert notes == [f"sent 6 attempts of 2 runs from {outbox}"]
    assert counts(url) == (3, 9)
    assert rows(outbox) == (0, 0, 0)
    assert record(url, outbox, "r4") == []


def test_a_server_that_goes_away_in_the_middle(outbox: Path) -> None:
    """The batch that failed and the rest are recorded locally; nothing is lost, nothing there twice."""
    try:
        with postgres_server() as server:
            url = server.url()
            with open_history(url, fallback=outbox) as history:
                history.begin(RunRecord(run_id="r", started=1000.0, tree="t"))
                history.add("r", batch(3))
                server.stop()
                history.add("r", batch(3, first=3))
                history.add("r", batch(3, first=6))
                history.finish("r", collected=9, disaster=False)
                (note,) = history.notes
                assert "cannot be used" in note and server.password not in note
            assert rows(outbox) == (1, 6, 6)
            server.start()
            assert record(url, outbox, "r2") == [f"sent 6 attempts of 0 runs from {outbox}"]
            assert counts(url) == (2, 12)
    except NoServer as error:
        pytest.skip(str(error))


def test_a_server_that_freezes_in_the_middle(monkeypatch: pytest.MonkeyPatch, outbox: Path) -> None:
    """It is not waited for longer than a call may take, and no thread is left that waits on."""
    monkeypatch.setattr(postgres, "_CALL_SECONDS", 0.5)
    try:
        with postgres_server() as server, open_history(server.url(), fallback=outbox) as history:
            history.begin(RunRecord(run_id="r", started=1000.0, tree="t"))
            threads = threading.active_count()
            frozen = server.processes()
            for process in frozen:
                os.kill(process, signal.SIGSTOP)
            try:
                history.add("r", batch(3))
            finally:
                for process in frozen:
                    os.kill(process, signal.SIGCONT)
            assert "no answer in 0.5 s" in history.notes[0]
            assert rows(outbox) == (1, 3, 3)
            assert threading.active_count() == threads
    except NoServer as error:
        pytest.skip(str(error))


def test_a_failure_while_sending_clears_nothing(server: Server, outbox: Path) -> None:
    """What was not committed stays in the outbox, and the run is recorded there too."""
    url = server.new_database()
    record(NOWHERE, outbox, "r1")
    record(url, None, "r0")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE bugsle_attempt ADD CONSTRAINT none CHECK (seq <> 2) NOT VALID")
        notes = record(url, outbox, "r2")
        assert "recorded in" in notes[0]
        assert rows(outbox) == (2, 6, 3)
        connection.execute("ALTER TABLE bugsle_attempt DROP CONSTRAINT none")
    record(url, outbox, "r3")
    assert (counts(url), rows(outbox)) == ((4, 12), (0, 0, 0))


def test_what_is_recorded_while_it_is_sent_stays(
    server: Server, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that still records into the outbox loses neither a batch nor its end to another's sending."""
    url = server.new_database()
    plain = joining.drop
    with open_history(NOWHERE, fallback=outbox) as recording:
        recording.begin(RunRecord(run_id="r", started=1000.0, tree="t"))
        recording.add("r", batch(3))

        def late(*arguments: object) -> None:
            recording.add("r", batch(3, first=3))
            recording.finish("r", collected=6, disaster=False)
            plain(*arguments)

        monkeypatch.setattr("pytest_bugsle.store.history.drop", late)
        open_history(url, fallback=outbox).close()
    monkeypatch.undo()
    assert rows(outbox) == (1, 3, 3)
    assert counts(url) == (0, 3)
    open_history(url, fallback=outbox).close()
    assert (counts(url), rows(outbox)) == ((1, 6), (0, 0, 0))


def test_a_run_whose_row_was_sent_goes_on(server: Server, outbox: Path) -> None:
    """After its row was sent and cleared, the next batch brings it along again."""
    url = server.new_database()
    with open_history(NOWHERE, fallback=outbox) as recording:
        recording.begin(RunRecord(run_id="r", started=1000.0, tree="t"))
        recording.add("r", batch(3))
        open_history(url, fallback=outbox).close()
        assert rows(outbox) == (0, 0, 0)
        recording.add("r", batch(3, first=3))
        recording.finish("r", collected=6, disaster=True)
    open_history(url, fallback=outbox).close()
    assert (counts(url), rows(outbox)) == ((1, 6), (0, 0, 0))


@pytest.mark.slow
def test_many_that_send_the_same_outbox_at_once(server: Server, outbox: Path) -> None:
    """Each row arrives once, whoever sends it, and the outbox is empty afterwards."""
    url = server.new_database()
    for number in range(20):
        record(NOWHERE, outbox, f"r{number}", 50)
    code = (
        "import sys; from pathlib import Path; from pytest_bugsle.store.history import open_history;"
        "h = open_history(sys.argv[1], fallback=Path(sys.argv[2]), busy_seconds=60.0); print(h.name); h.close()"
    )
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(outbox)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(6)
    ]
    assert {sender.communicate()[0] for sender in senders} == {shown(url) + "\n"}
    assert (counts(url), rows(outbox)) == ((20, 1000), (0, 0, 0))


def test_an_outbox_that_cannot_be_cleared(server: Server, outbox: Path) -> None:
    """It is sent, a note says that it will be sent again, and that harms nothing."""
    url = server.new_database()
    record(NOWHERE, outbox, "r1")
    with closing(sqlite3.connect(outbox, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with open_history(url, fallback=outbox, busy_seconds=0.1) as history:
            assert "is sent again next time" in history.notes[0]
            assert history.name == shown(url)
    assert (counts(url), rows(outbox)[1]) == ((1, 3), 3)
    record(url, outbox, "r2")
    assert (counts(url), rows(outbox)) == ((2, 6), (0, 0, 0))


def test_an_outbox_that_cannot_be_read(server: Server, tmp_path: Path, outbox: Path) -> None:
    """A damaged one is kept aside, a link is not followed; the server is used all the same."""
    url = server.new_database()
    outbox.write_bytes(b"no database" * 100)
    assert "outbox.db.corrupt-1" in record(url, outbox, "r1")[0]
    link = tmp_path / "link.db"
    link.symlink_to(outbox)
    assert "symbolic link" in record(url, link, "r2")[0]
    assert counts(url) == (2, 6)


def test_a_strangers_outbox(server: Server, outbox: Path) -> None:
    """Values that we never wrote are not sent, and cost the run nothing."""
    url = server.new_database()
    record(NOWHERE, outbox, "r1")
    with closing(sqlite3.connect(outbox)) as connection, connection:
        connection.execute("UPDATE bugsle_attempt SET outcome = x'00'")
    assert "was not sent whole" in record(url, outbox, "r2")[0]
    assert counts(url) == (1, 3) and rows(outbox)[1] == 3


# ---- a server that others use too


def test_a_newer_schema_is_refused(server: Server, outbox: Path) -> None:
    """As with a file: nothing is guessed, and nothing recorded elsewhere behind the user's back."""
    url = server.new_database()
    record(url, None, "r1")
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO bugsle_schema VALUES (99, '7.1.0')")
    with pytest.raises(UsageError, match=r"pytest-bugsle 7\.1\.0") as error:
        open_history(url, fallback=outbox)
    assert server.password not in str(error.value)


def test_a_database_with_others_tables(server: Server) -> None:
    """A team's database may hold other tables; ours have a name of their own."""
    url = server.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE run (x int)")
        connection.execute("CREATE TABLE attempt (x int)")
    record(url, None, "r1")
    assert counts(url) == (1, 3)


def test_an_account_that_may_only_read_and_write(server: Server) -> None:
    """Once the tables are there, no right to make tables is needed to record."""
    url = server.new_database()
    record(url, None, "r1")
    database = url.partition("/test_")[2].partition("?")[0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE writer_{database} LOGIN PASSWORD 'w'")
        connection.execute(
            f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO writer_{database}"
        )
    record(url.replace("bugsle:s3cret%2Fp%40ss", f"writer_{database}:w"), None, "r2")
    assert counts(url) == (2, 6)
