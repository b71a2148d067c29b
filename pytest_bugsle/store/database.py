"""One connection over DB-API, the same statements for SQLite and PostgreSQL, and its errors.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pytest_bugsle.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager


class StoreError(ProgramError):
    """The store cannot be read or written now: locked, read-only, full, out of reach. A run goes on without."""


class CorruptError(StoreError):
    """The file is no database, or a damaged one."""


class Database:
    """A connection; statements are written with `?` and in the SQL that both databases share.

    `name` is what messages call it, without a password. One thread at a time.
    """

    begin_write = "BEGIN"
    begin_read = "BEGIN"
    placeholder = "?"
    is_file = False

    def __init__(self, connection: Any, name: str) -> None:
        self._connection = connection
        self.name = name

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self.watched():
            cursor = self._connection.cursor()
            cursor.execute(self._own(statement), parameters)
            return list(cursor.fetchall())

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; return how many rows it changed."""
        with self.watched():
            cursor = self._connection.cursor()
            cursor.execute(self._own(statement), parameters)
            return max(int(cursor.rowcount), 0)

    def execute_many(self, statement: str, parameters: Iterable[Sequence[object]]) -> int:
        """Run one statement for each of `parameters`; return how many rows all of them changed."""
        sets = list(parameters)
        if not sets:
            return 0
        with self.watched():
            cursor = self._connection.cursor()
            cursor.executemany(self._own(statement), sets)
            return max(int(cursor.rowcount), 0)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold one transaction that writes: all of it is kept, or nothing."""
        with self._transaction(self.begin_write):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold one transaction whose queries see the same state."""
        with self._transaction(self.begin_read):
            yield

    def exclude_migrations(self) -> None:
        """Wait, within a writing transaction, until nobody else changes the schema."""

    def exclude(self, number: int) -> None:
        """Wait, within a writing transaction, until nobody else excludes the same number."""

    def has_table(self, name: str) -> bool:
        """Say whether the table is there."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection; closing twice is no error, nor is closing a broken one."""
        with suppress(Exception):  # what was committed is kept; nobody waits for a goodbye
            self._connection.close()

    def watched(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into ours, and end a call that takes too long."""
        raise NotImplementedError

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.execute(begin)
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(StoreError):  # a lost connection has rolled back already
                self.execute("ROLLBACK")
            raise

    def _own(self, statement: str) -> str:
        return statement.replace("?", self.placeholder)
