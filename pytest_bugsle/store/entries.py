"""What rooms keep from run to run beside attempts: small texts, each known by kind, owner, name and digest.  PYTEST_DONT_REWRITE

Two that write at the same time lose nothing: an entry that is there already stays one, with the newer content.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.store.records import escaped, key, unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_bugsle.store.database import Database

_COLUMNS = "kind, owner, name, digest, written, content"
_INSERT = (
    f"INSERT INTO bugsle_entry (entry, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608  our names
    "ON CONFLICT (entry) DO UPDATE SET written = excluded.written, content = excluded.content "
    "WHERE excluded.written > bugsle_entry.written AND excluded.content <> bugsle_entry.content"
)
_OF_KIND = f"SELECT {_COLUMNS} FROM bugsle_entry WHERE kind = ? ORDER BY written, entry"  # noqa: S608  our names
_OF_OWNER = f"SELECT {_COLUMNS} FROM bugsle_entry WHERE kind = ? AND owner = ? ORDER BY written, entry"  # noqa: S608  our names
_ALL = f"SELECT {_COLUMNS} FROM bugsle_entry ORDER BY written, entry"  # noqa: S608  our names
_COUNT = "SELECT count(*) FROM bugsle_entry WHERE kind = ? AND owner = ? AND name = ?"
_DROP = "DELETE FROM bugsle_entry WHERE entry = ? AND content = ?"


class Entry(msgspec.Struct, frozen=True):
    """One text that is kept; `written` in UTC seconds since the epoch."""

    kind: str
    owner: str
    name: str
    digest: str
    written: float
    content: str

    @property
    def number(self) -> int:
        """Return the number by which the entry is found, the same in every store."""
        return key(self.kind, self.owner, self.name, self.digest)


def put(database: Database, entries: Iterable[Entry]) -> int:
    """Keep entries, within a writing transaction; say how many were new or have a newer content."""
    rows: list[tuple[Any, ...]] = [_row(entry) for entry in entries]
    # One order for all who write: two that lock the same rows in different orders wait for one another.
    rows.sort(key=lambda row: row[0])
    return database.execute_many(_INSERT, rows)


def put_next(database: Database, entry: Entry, expected: int) -> bool:
    """Keep an entry, within a writing transaction, if its name has just as many as expected; say whether it has."""
    database.exclude(key(entry.kind, entry.owner, entry.name))
    there = database.rows(_COUNT, (escaped(entry.kind), escaped(entry.owner), escaped(entry.name)))[0][0]
    if there != expected:
        return False
    put(database, [entry])
    return True


def entries(database: Database, kind: str, owner: str | None = None) -> list[Entry]:
    """Return the entries of a kind, or those of one owner, oldest first; ValueError where a value is of a wrong type."""
    if owner is None:
        return [_read(row) for row in database.rows(_OF_KIND, (escaped(kind),))]
    return [_read(row) for row in database.rows(_OF_OWNER, (escaped(kind), escaped(owner)))]


def everything(database: Database) -> list[Entry]:
    """Return all entries, oldest first."""
    return [_read(row) for row in database.rows(_ALL)]


def drop(database: Database, sent: Iterable[Entry]) -> None:
    """Delete entries as they were sent; one that has a newer content since stays."""
    database.execute_many(_DROP, [(entry.number, escaped(entry.content)) for entry in sent])


def _row(entry: Entry) -> tuple[Any, ...]:
    written = entry.written if math.isfinite(entry.written) else 0.0
    texts = (entry.kind, entry.owner, entry.name, entry.digest)
    return (entry.number, *map(escaped, texts), written, escaped(entry.content))


def _read(row: Sequence[Any]) -> Entry:
    *texts, written, content = row
    if not all(isinstance(text, str) for text in (*texts, content)) or not isinstance(written, int | float):
        raise ValueError(f"{row!r:.60} is no entry")
    kind, owner, name, digest, text = map(unescaped, (*texts, content))
    return Entry(kind, owner, name, digest, float(written), text)
