"""Histories in SQLite files: opened with care, and a damaged one kept aside.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UsageError
from pytest_bugsle.store.database import CorruptError, Database, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BESIDE = ("", "-wal", "-shm", "-journal")
_LOCK = ".lock"
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_LOG = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_REASONS = {
    sqlite3.SQLITE_BUSY: ("is locked by another program", "wait for that one to end, then run again"),
    sqlite3.SQLITE_LOCKED: ("is locked by another program", "wait for that one to end, then run again"),
    sqlite3.SQLITE_FULL: ("has no room left on its disk", "make room on that disk"),
    sqlite3.SQLITE_READONLY: ("is read-only", "make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "see that its folder is there and writable"),
}


class SQLiteDatabase(Database):
    """One SQLite file, in WAL mode where its disk allows that."""

    is_file = True
    begin_write = "BEGIN IMMEDIATE"  # a lock that is taken late cannot be waited for

    def __init__(self, path: Path, *, busy_seconds: float, read_only: bool = False) -> None:
        """Open `path`, made where it is not there; `busy_seconds` is how long a lock is waited for."""
        if not read_only:
            refuse_links(path)
        self.path = path
        self.identity = identity(path)
        name = str(path)
        with _errors(name):
            connection = _connect(path, busy_seconds, read_only=read_only)
        super().__init__(connection, name)
        try:
            self.rows("SELECT count(*) FROM sqlite_master")
            self.identity = self.identity or identity(path)
        except BaseException:
            self.close()
            raise

    def has_table(self, name: str) -> bool:
        """Say whether the table is there."""
        return bool(self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn SQLite's errors into ours; it waits no longer than `busy_seconds` by itself."""
        with _errors(self.name):
            yield

    def copy_into(self, other: SQLiteDatabase) -> None:
        """Copy everything into another, empty database."""
        with self.watched():
            self._connection.backup(other._connection)

    def choose_journal(self) -> None:
        """Keep a log beside the file, so that readers and writers do not wait for one another."""
        mode = self.rows("PRAGMA journal_mode")[0][0]
        if mode != "wal":
            try:
                mode = self.rows("PRAGMA journal_mode = WAL")[0][0]
            except CorruptError:
                raise
            except StoreError:  # some network disks have no shared memory, or someone else is at it
                mode = ""
        if mode == "wal":  # a crash of the machine may cost the last commits there, and never the file
            self.execute("PRAGMA synchronous = NORMAL")


def identity(path: Path) -> tuple[int, int] | None:
    """Return by what the file at `path` is told from another one of that name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def keep_aside(path: Path, damaged: tuple[int, int] | None) -> Path | None:
    """Rename the file that was found damaged to the next free `….corrupt-N`, which is returned.

    `damaged` is its identity; None is returned when another process has put it aside in the meantime.
    """
    with _errors(str(path)), closing(_lock(path)):
        if damaged is None or identity(path) != damaged:
            return None
        try:
            return _rename_aside(path)
        except OSError as error:
            raise StoreError(
                f"the damaged history {path} cannot be renamed: {error.strerror}",
                why="it is never overwritten, so there is no place for a new one",
                hint="make its folder writable, or move the file",
            ) from error


def refuse_links(path: Path) -> None:
    """Raise UsageError where the file, or a folder of it from `.bugsle` down, is a link or no plain file.

    A checkout may contain anything: what is written must not end where a link of its leads.
    """
    absolute = path.absolute()
    below = [part for part in (absolute, *absolute.parents) if ".bugsle" in part.parts]
    for place in (*below, *(absolute.with_name(absolute.name + end) for end in (*_BESIDE, _LOCK))):
        if place.is_symlink():
            raise UsageError(
                f"the history {path} is not used: {place} is a symbolic link",
                why="what is recorded would be written wherever it leads",
                hint="remove the link",
            )
    try:
        mode = absolute.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"the history {path} is no file", hint="name a file, or a postgresql:// URL")


@contextmanager
def _errors(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        if code in _CORRUPT:
            raise CorruptError(f"the history {name} is damaged: {error}") from error
        what, hint = _REASONS.get(code, (f"cannot be used: {error}", ""))
        raise StoreError(f"the history {name} {what}", hint=hint) from error


def _code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _connect(path: Path, busy_seconds: float, *, read_only: bool) -> sqlite3.Connection:
    """Connect; a file whose log cannot be begun, in a folder that is not ours to write, is read as it stands."""
    uri = path.absolute().as_uri()
    existed = path.exists()
    connection = sqlite3.connect(
        f"{uri}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if _code(error) not in _NO_LOG or not existed or (log.exists() and log.stat().st_size):
            raise  # rows that stand in a log would be missed, and the file look whole
        return sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    return connection


def _lock(path: Path) -> sqlite3.Connection:
    """Return a connection that holds a lock beside `path`, on any system, until it is closed or dies."""
    lock = sqlite3.connect(f"{path}{_LOCK}", timeout=30.0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except BaseException:
        lock.close()
        raise
    return lock


def _rename_aside(path: Path) -> Path:
    number = 0
    while True:
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{number}")
        try:
            os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # ours from here on
        except FileExistsError:
            continue
        break
    path.replace(aside)
    for end in _BESIDE[1:]:  # a log may hold rows that can be saved; left behind, it would harm the new file
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
    return aside
