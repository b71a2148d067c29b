"""A key-value cache in one SQLite file, safe under kill and under two writers.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "cache.db"
_VERSION = 1
_BUSY_SECONDS = 5.0


class Cache:
    """Bytes by room and key. Every failure to read or write is a miss: a cache is never worth a verdict."""

    def __init__(self, path: Path | None) -> None:
        """Use the file at `path`, made at the first write; None, or a link, keeps nothing."""
        self._path = None if path is None or path.is_symlink() else path  # a checkout may contain anything

    def get(self, room: str, key: str) -> bytes | None:
        """Return what was put under `key`, or None."""
        if self._path is None or not self._path.exists():
            return None
        try:
            with closing(self._connect()) as connection:
                row = connection.execute(
                    "SELECT value FROM cache WHERE room = ? AND key = ?", (room, key)
                ).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else bytes(row[0])

    def all_of(self, room: str) -> dict[str, bytes]:
        """Return all that is kept in a room, by key."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            with closing(self._connect()) as connection:
                rows = connection.execute("SELECT key, value FROM cache WHERE room = ?", (room,)).fetchall()
        except sqlite3.Error:
            return {}
        return {key: bytes(value) for key, value in rows}

    def put(self, room: str, key: str, value: bytes) -> bool:
        """Keep `value` under `key`; say whether that could be done."""
        if self._path is None:
            return False
        try:
            self._write(room, key, value)
        except sqlite3.OperationalError:
            return False  # locked, read-only or no room: the answer stands, it is only not kept
        except sqlite3.DatabaseError:
            with suppress(OSError):  # not a database: a cache that cannot be read is begun anew
                self._path.unlink()
            try:
                self._write(room, key, value)
            except sqlite3.Error:
                return False
        return True

    def _write(self, room: str, key: str, value: bytes) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "INSERT OR REPLACE INTO cache (room, key, value) VALUES (?, ?, ?)", (room, key, value)
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(str(self._path), timeout=_BUSY_SECONDS)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                with connection:
                    connection.execute("DROP TABLE IF EXISTS cache")
                    connection.execute(
                        "CREATE TABLE cache (room TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (room, key))"
                    )
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection


def open_cache(folder: Path | None, tracks: Callable[[str], bool]) -> tuple[Cache, str | None]:
    """Return the cache in a state folder, and the file for which it was refused.

    A change could bring its own "proofs" along: what is committed (`tracks` knows) is never believed.
    """
    for name in (FILE, f"{FILE}-journal", f"{FILE}-wal"):
        if tracks(f".bugsle/{name}"):
            return Cache(None), f".bugsle/{name}"
    return Cache(folder / FILE if folder is not None else None), None
