"""The history of attempts: recorded in batches, joined from elsewhere, and asked.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec.structs import replace

from pytest_bugsle.errors import UsageError
from pytest_bugsle.store import entries
from pytest_bugsle.store.database import CorruptError, Database, StoreError
from pytest_bugsle.store.entries import Entry
from pytest_bugsle.store.joining import Merged, drop, insert, open_source, take
from pytest_bugsle.store.questions import OutcomeCount, PastAttempt, Tally, outcomes, past, suites, tallies
from pytest_bugsle.store.records import AttemptRecord, CodeVersion, RunRecord
from pytest_bugsle.store.schema import SCHEMA, migrate
from pytest_bugsle.store.sqlite import SQLiteDatabase, identity, keep_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    T = TypeVar("T")


class History:
    """An open history; made by `open_history`. Every method may raise StoreError.

    `notes` are sentences that the user should read: what was kept aside, recorded elsewhere, or sent.
    """

    def __init__(self, where: Path | str, *, fallback: Path | None, busy_seconds: float) -> None:
        self.notes: list[str] = []
        self._busy_seconds = busy_seconds
        self._fallback = fallback
        self._begun: dict[str, RunRecord] = {}
        self._remote = isinstance(where, str) and "://" in where
        if not isinstance(where, str) or not self._remote:
            self._fallback = None
            self._database: Database = self._open_file(Path(where))
            return
        from pytest_bugsle.store.postgres import SCHEMES, PostgresDatabase, shown

        if not where.startswith(SCHEMES):
            raise UsageError(
                f"a history cannot be kept at {shown(where)}",
                hint="name a file for SQLite, or postgresql://user@host/database",
            )
        try:
            self._database = PostgresDatabase(where)
            try:
                migrate(self._database)
                self._send_fallback()
            except BaseException:
                self._database.close()
                raise
        except StoreError as error:
            if not self._fall_back(error):
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stands_in(self) -> bool:
        """Say whether this is the file that stands in for a server out of reach: what that one holds is unknown."""
        return self._remote and isinstance(self._database, SQLiteDatabase)

    @property
    def name(self) -> str:
        """Return what the history is called in messages: its path, or its URL without the password."""
        return self._database.name

    def close(self) -> None:
        """Close the connection; what was added is kept, of a run that did not finish too."""
        self._database.close()

    def begin(self, run: RunRecord) -> None:
        """Record that a run has begun; again is no error, and the first record stands."""
        self.record(run, ())
        self._begun[run.run_id] = run

    def add(self, run_id: str, attempts: Iterable[AttemptRecord]) -> int:
        """Record attempts of a run that was begun here, all or none; return how many were not there yet.

        After a StoreError the same attempts may be added again.
        """
        return self.record(self._begun[run_id], attempts).attempts

    def finish(self, run_id: str, *, collected: int, disaster: bool) -> None:
        """Record that a run has ended, how many tests it collected, and whether to leave it out of rates."""
        run = replace(self._begun[run_id], collected=collected, ended=True, disaster=disaster)
        self.record(run, ())
        del self._begun[run_id]

    def record(self, run: RunRecord, attempts: Iterable[AttemptRecord]) -> Merged:
        """Record a run as it stands, and attempts of it, all or nothing; say what was new."""
        batch = tuple(attempts)
        return self._write(lambda database: insert(database, run, batch))

    def merge(self, path: Path) -> Merged:
        """Take in what another SQLite history holds; what is here already is left alone.

        UsageError where `path` is no history, damaged, or from a newer program; it is not changed.
        """
        if isinstance(self._database, SQLiteDatabase) and identity(path) == self._database.identity:
            return Merged(0, 0)
        try:
            with tempfile.TemporaryDirectory() as folder, closing(open_source(path, Path(folder))) as source:
                return take(self._database, source)
        except ValueError as error:
            raise UsageError(f"{path} holds what no history does: {error}") from error

    def tallies(self, *, since: float | None = None) -> list[Tally]:
        """Return the tally of every test that was seen in runs from `since` on (UTC seconds), by name."""
        return self._read(lambda database: tallies(database, since))

    def past(self, test: str, limit: int = 100) -> list[PastAttempt]:
        """Return the last `limit` attempts of a test, newest last, those of disasters among them."""
        return self._read(lambda database: past(database, test, limit))

    def outcomes(self, test: str, version: CodeVersion | None = None) -> list[OutcomeCount]:
        """Return how often a test's first attempts ended how, for one version of the code or for each."""
        return self._read(lambda database: outcomes(database, test, version))

    def entries(self, kind: str, owner: str | None = None) -> list[Entry]:
        """Return the entries of a kind, or those of one owner, oldest first."""
        return self._read(lambda database: entries.entries(database, kind, owner))

    def put(self, kept: Iterable[Entry]) -> int:
        """Keep entries; of one that is there the newer content stands. Say how many were new or newer."""
        batch = tuple(kept)
        return self._write(lambda database: entries.put(database, batch))

    def put_next(self, entry: Entry, expected: int) -> bool:
        """Keep an entry if its name has just as many as expected: nobody has written between; say whether it has."""
        return self._write(lambda database: entries.put_next(database, entry, expected))

    def suites(self, since: float) -> list[tuple[float, float, int]]:
        """Return start, seconds of its tests and their number of each run of a suite from `since` on (UTC seconds)."""
        return self._read(lambda database: suites(database, since))

    def _write(self, operation: Callable[[Database], T]) -> T:
        try:
            with self._database.writing():
                return operation(self._database)
        except StoreError as error:
            failed = self._database
            if not self._put_damaged_aside(error) and not self._fall_back(error):
                raise
            failed.close()
        with self._database.writing():
            return operation(self._database)

    def _read(self, operation: Callable[[Database], T]) -> T:
        try:
            with self._database.reading():
                return operation(self._database)
        except StoreError as error:
            if not self._put_damaged_aside(error):
                raise
        with self._database.reading():
            return operation(self._database)

    def _put_damaged_aside(self, error: StoreError) -> bool:
        """Begin a new file in place of one that turned out to be damaged; say whether that was the trouble."""
        if not isinstance(error, CorruptError) or not isinstance(self._database, SQLiteDatabase):
            return False
        damaged = self._database
        damaged.close()
        self._note_aside(error, keep_aside(damaged.path, damaged.identity))
        self._database = self._open_file(damaged.path)
        return True

    def _fall_back(self, error: StoreError) -> bool:
        """Go on in the file that stands in for a server, from now to the end; say whether there is one."""
        fallback, self._fallback = self._fallback, None
        if fallback is None:
            return False
        self._database = self._open_file(fallback)
        self.notes.append(f"{error.what}; recorded in {fallback} instead, and sent when it can be reached")
        return True

    def _open_file(self, path: Path) -> SQLiteDatabase:
        """Open a history's file; a damaged one is kept aside and a new one begun."""
        found = identity(path)
        try:
            return self._migrated(path)
        except CorruptError as error:
            self._note_aside(error, keep_aside(path, found))
        return self._migrated(path)

    def _migrated(self, path: Path) -> SQLiteDatabase:
        database = SQLiteDatabase(path, busy_seconds=self._busy_seconds)
        try:
            _refuse_foreign(database)
            database.choose_journal()
            migrate(database)
        except BaseException:
            database.close()
            raise
        return database

    def _note_aside(self, error: StoreError, aside: Path | None) -> None:
        if aside is not None:
            self.notes.append(f"{error.what}; it was kept as {aside}, and a new one begun")

    def _send_fallback(self) -> None:
        """Send what was recorded while the server was out of reach, and clear it once that is committed.

        Nothing is locked: who sends the same rows at the same time finds them there already.
        """
        if self._fallback is None or not self._fallback.exists():
            return
        try:
            outbox = self._open_file(self._fallback)
        except (StoreError, UsageError) as error:
            self.notes.append(f"what {self._fallback} holds was not sent: {error.what}")
            return
        with closing(outbox):
            try:
                taken = take(
                    self._database,
                    outbox,
                    partial(self._drop_sent, outbox),
                    partial(self._drop_sent_entries, outbox),
                )
            except (ValueError, CorruptError) as error:
                self.notes.append(f"{self._fallback} was not sent whole: {error}")
                return
        if taken.runs or taken.attempts:
            self.notes.append(f"sent {taken.attempts} attempts of {taken.runs} runs from {self._fallback}")

    def _drop_sent_entries(self, outbox: Database, sent: list[Entry]) -> None:
        try:
            with outbox.writing():
                entries.drop(outbox, sent)
        except StoreError as error:
            note = f"{error.what}; what it holds was sent, and is sent again next time"
            if note not in self.notes:
                self.notes.append(note)

    def _drop_sent(
        self, outbox: Database, number: int, run: RunRecord, attempts: list[AttemptRecord]
    ) -> None:
        try:
            drop(outbox, number, run, attempts)
        except StoreError as error:
            note = f"{error.what}; what it holds was sent, and is sent again next time"
            if note not in self.notes:
                self.notes.append(note)


def open_history(where: Path | str, *, fallback: Path | None = None, busy_seconds: float = 5.0) -> History:
    """Open the history at a path (SQLite, made where it is not there) or at a `postgresql://` URL.

    `fallback` is a file that stands in for a server out of reach; what it holds is sent by the next opening
    that reaches the server. `busy_seconds` is how long the lock of a file is waited for.

    Raise StoreError where nothing can be read or recorded, UsageError for a wrong place, a link, another
    program's database, or a history from a newer version of this program.
    """
    return History(where, fallback=fallback, busy_seconds=busy_seconds)


def _refuse_foreign(database: Database) -> None:
    """Raise UsageError for a file that holds other tables and not ours."""
    # One question: between two of them another session may make our tables.
    ((everything, ours),) = database.rows("SELECT count(*), total(name = ?) FROM sqlite_master", (SCHEMA,))
    if everything and not ours:
        raise UsageError(
            f"{database.name} is another program's database, no history",
            hint="name another file",
        )
