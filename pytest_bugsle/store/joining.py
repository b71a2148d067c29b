"""How runs and attempts get into a history: a batch of a run, or all that another one holds.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.store.database import CorruptError
from pytest_bugsle.store.entries import Entry, everything, put
from pytest_bugsle.store.records import (
    ATTEMPT_COLUMNS,
    RUN_COLUMNS,
    AttemptRecord,
    RunRecord,
    attempt_row,
    key,
    read_attempt,
    read_run,
    run_row,
    test_rows,
)
from pytest_bugsle.store.schema import MIGRATIONS, migrate, schema_version
from pytest_bugsle.store.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_bugsle.store.database import Database

_PART = 5000
_BEFORE_ALL = -(2**63)
_INSERT_RUN = (
    f"INSERT INTO bugsle_run (run, version, {', '.join(RUN_COLUMNS)}) "  # noqa: S608  our names
    f"VALUES ({', '.join('?' * (len(RUN_COLUMNS) + 2))}) ON CONFLICT DO NOTHING"
)
_INSERT_TEST = "INSERT INTO bugsle_test (test, name) VALUES (?, ?) ON CONFLICT DO NOTHING"
_INSERT_ATTEMPT = (
    f"INSERT INTO bugsle_attempt (run, {', '.join(ATTEMPT_COLUMNS)}, first, failed) "  # noqa: S608  our names
    f"VALUES ({', '.join('?' * (len(ATTEMPT_COLUMNS) + 3))}) ON CONFLICT DO NOTHING"
)
_END_RUN = "UPDATE bugsle_run SET collected = ?, ended = 1, disaster = ? WHERE run = ? AND ended = 0"
_RUNS = f"SELECT run, {', '.join(RUN_COLUMNS)} FROM bugsle_run ORDER BY started, run"  # noqa: S608  our names
_ATTEMPTS = (
    f"SELECT {', '.join('t.name' if name == 'test' else f'a.{name}' for name in ATTEMPT_COLUMNS)} "  # noqa: S608  our names
    "FROM bugsle_attempt a LEFT JOIN bugsle_test t ON t.test = a.test "
    f"WHERE a.run = ? AND a.seq > ? ORDER BY a.seq LIMIT {_PART}"
)
_DROP_ATTEMPT = "DELETE FROM bugsle_attempt WHERE run = ? AND test = ? AND seq = ?"
_DROP_RUN = """DELETE FROM bugsle_run WHERE run = ? AND ended = ?
    AND NOT EXISTS (SELECT 1 FROM bugsle_attempt a WHERE a.run = bugsle_run.run)"""
_DROP_TESTS = """DELETE FROM bugsle_test
    WHERE NOT EXISTS (SELECT 1 FROM bugsle_attempt a WHERE a.test = bugsle_test.test)"""


class Merged(msgspec.Struct, frozen=True):
    """How many runs, attempts and other entries were new."""

    runs: int
    attempts: int
    entries: int = 0


def insert(database: Database, run: RunRecord, attempts: Iterable[AttemptRecord]) -> Merged:
    """Record a run and attempts of it, within a transaction; say what was new.

    The run comes along each time: its row may have been sent and cleared, or be in a file put aside.
    """
    batch, number = sorted(attempts, key=lambda attempt: attempt.seq), key(run.run_id)
    runs = database.execute(_INSERT_RUN, run_row(run))
    if run.ended and not runs:
        database.execute(_END_RUN, (run.collected, int(run.disaster), number))
    database.execute_many(_INSERT_TEST, test_rows(batch))
    return Merged(
        runs, database.execute_many(_INSERT_ATTEMPT, [attempt_row(number, attempt) for attempt in batch])
    )


def take(
    target: Database,
    source: Database,
    sent: Callable[[int, RunRecord, list[AttemptRecord]], None] | None = None,
    sent_entries: Callable[[list[Entry]], None] | None = None,
) -> Merged:
    """Record in `target` all that `source` holds, part by part; say what was new.

    `sent` is told of each part, by the run's number in `source`, once it is committed, and `sent_entries` of the
    other entries. ValueError where
    `source` holds what was never written by us.
    """
    runs = attempts = 0
    for number, *row in source.rows(_RUNS):
        run, last = read_run(row), _BEFORE_ALL
        while True:
            part = [read_attempt(row) for row in source.rows(_ATTEMPTS, (number, last))]
            with target.writing():
                new = insert(target, run, part)
            runs, attempts = runs + new.runs, attempts + new.attempts
            if sent is not None:
                sent(number, run, part)
            if len(part) < _PART:
                break
            last = part[-1].seq
    kept = everything(source)
    with target.writing():
        new_entries = put(target, kept)
    if sent_entries is not None:
        sent_entries(kept)
    return Merged(runs, attempts, new_entries)


def drop(database: Database, number: int, run: RunRecord, attempts: Iterable[AttemptRecord]) -> None:
    """Delete these attempts, and the run if that was all of it and it has not ended since it was read."""
    with database.writing():
        database.execute_many(
            _DROP_ATTEMPT, [(number, key(attempt.test), attempt.seq) for attempt in attempts]
        )
        database.execute(_DROP_RUN, (number, int(run.ended)))
        database.execute(_DROP_TESTS)


def open_source(path: Path, folder: Path) -> SQLiteDatabase:
    """Open a history to be read; one of an older version is brought forward in a copy within `folder`."""
    hint = "name a history.db that a run has written"
    if not path.is_file():
        raise UsageError(f"there is no history {path}", hint=hint)
    with _damage_is_usage(path), ExitStack() as opened:
        source = opened.enter_context(closing(SQLiteDatabase(path, busy_seconds=5.0, read_only=True)))
        version = schema_version(source)
        if not version:
            raise UsageError(f"{path} is no history", hint=hint)
        if version < len(MIGRATIONS):
            copy = opened.enter_context(closing(SQLiteDatabase(folder / "copy.db", busy_seconds=5.0)))
            source.copy_into(copy)
            source.close()
            migrate(copy)
            source = copy
        opened.pop_all()
        return source


@contextmanager
def _damage_is_usage(path: Path) -> Iterator[None]:
    try:
        yield
    except CorruptError as error:
        raise UsageError(f"{path} cannot be read: {error.what}", hint="leave that file out") from error
