"""Histories in a PostgreSQL server: reached within seconds or not at all.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pytest_bugsle.errors import UsageError
from pytest_bugsle.store.database import Database, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("postgresql://", "postgres://")
_CONNECT_SECONDS = 3
_CALL_SECONDS = 20.0
_MIGRATION_LOCK = 0x62756773  # any number that nobody else is likely to take


class PostgresDatabase(Database):
    """One connection to a PostgreSQL server."""

    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    placeholder = "%s"

    def __init__(self, url: str) -> None:
        """Connect within three seconds, name resolution included.

        Raise UsageError for a wrong URL or a missing driver, StoreError where there is no answer.
        """
        self._secrets = _passwords(url)
        super().__init__(self._connected(url), shown(url))

    def exclude_migrations(self) -> None:
        """Wait, within a writing transaction, until nobody else changes the schema."""
        self.rows("SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))

    def exclude(self, number: int) -> None:
        """Wait, within a writing transaction, until nobody else excludes the same number."""
        self.rows("SELECT pg_advisory_xact_lock(?)", (number,))

    def has_table(self, name: str) -> bool:
        """Say whether the table is there."""
        # not to_regclass: it may answer from a cache that is older than a lock just waited for
        found = self.rows(
            "SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = ? AND schemaname = ANY (current_schemas(false))",
            (name,),
        )
        return bool(found)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn the driver's errors into ours; a call that gets no answer is ended by closing its socket."""
        import psycopg

        late = threading.Event()
        timer = threading.Timer(_CALL_SECONDS, self._cut, (late,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.Error as error:
            reason = f"no answer in {_CALL_SECONDS:g} s" if late.is_set() else self._scrubbed(error)
            raise StoreError(f"the history {self.name} cannot be used: {reason}") from None
        finally:
            timer.cancel()
            timer.join()  # no thread is left behind: whoever forks next must be alone

    def _cut(self, late: threading.Event) -> None:
        late.set()
        with suppress(Exception):  # closed in the meantime, or a system without such descriptors
            if sys.platform != "win32":
                with socket.socket(fileno=os.dup(self._connection.pgconn.socket)) as ours:
                    ours.shutdown(socket.SHUT_RDWR)

    def _connected(self, url: str) -> Any:
        """Connect in a thread of its own: looking up a name knows no time limit."""
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as error:
            raise UsageError(
                "a history in PostgreSQL needs psycopg, which is not installed",
                hint="pip install 'pytest-bugsle[postgres]'",
            ) from error
        try:
            conninfo_to_dict(url)
        except psycopg.Error:
            raise UsageError(
                f"the history's URL is not one of PostgreSQL: {shown(url)}",
                hint="postgresql://user@host:5432/database, special characters of a password as %XX",
            ) from None  # the driver repeats what it could not read, a password among it
        result: list[Any] = []
        abandoned = threading.Event()

        def connect() -> None:
            try:
                connection = psycopg.connect(
                    url,
                    autocommit=True,
                    prepare_threshold=None,  # poolers between us and the server may not know them
                    connect_timeout=_CONNECT_SECONDS,
                    client_encoding="utf8",
                    application_name="pytest-bugsle",
                )
            except Exception as error:  # noqa: BLE001  handed to the caller, whatever it is
                result.append(error)
                return
            result.append(connection)
            if abandoned.is_set():
                connection.close()

        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(_CONNECT_SECONDS)
        if not result:
            abandoned.set()
        answer = result[0] if result else TimeoutError(f"no answer in {_CONNECT_SECONDS} s")
        if isinstance(answer, Exception):
            raise StoreError(
                f"the history {shown(url)} cannot be reached: {self._scrubbed(answer)}",
                hint="see that the server runs and that its name, port, user and password are right",
            ) from None
        return answer

    def _scrubbed(self, error: Exception) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def shown(url: str) -> str:
    """Return scheme, user, host, port and database of a URL: never a password, nor the options after `?`."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("?")[0].partition("#")[0]
    login, at, host = place.rpartition("@")
    if "@" in rest[len(place) :]:  # a password with a bare `?` or `#` in it: no telling where it ends
        return f"{scheme}://***"
    return f"{scheme}://{login.partition(':')[0]}{at}{host}"


def _passwords(url: str) -> list[str]:
    """Return every form in which the URL's password may turn up in a message, longest first."""
    found = {url}
    rest = url.partition("://")[2]
    for text in (rest, rest.partition("?")[0]):
        for login in (text.partition("@")[0], text.rpartition("@")[0]):
            if "@" in text:
                found.add(login.partition(":")[2])
    with suppress(ValueError):
        query = urlsplit(url).query
        found.update(value for name, value in parse_qsl(query) if "password" in name)
        found.update(
            pair.partition("=")[2] for pair in query.split("&") if "password" in pair.partition("=")[0]
        )
    found.update([unquote(text) for text in found])
    return sorted((text for text in found if text), key=len, reverse=True)
