"""A real PostgreSQL server of one's own, on a Unix socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCOUNTS = ("postgres", "nobody")


class NoServer(Exception):
    """A server cannot be started here; the message says why."""


class Server:
    """A running server; `url(database)` is where it is reached."""

    def __init__(self, programs: Path, folder: Path, account: list[str]) -> None:
        self._programs, self._folder, self._account = programs, folder, account
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.password = "s3cret/p@ss"  # noqa: S105  of a server that lives as long as a test

    def url(self, database: str = "postgres", password: str | None = None) -> str:
        """Return a URL of a database; by its socket's folder, so no port is taken."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://bugsle:{secret}@/{database}?host={quote(str(self._folder), safe='')}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def prepare(self) -> None:
        """Make the server's files."""
        secret = self._folder / "password"
        secret.write_text(self.password + "\n")
        secret.chmod(0o644)
        self._call("initdb", "-D", self._data, "-U", "bugsle", "--pwfile", str(secret), "-A", "scram-sha-256",
                   "-E", "UTF8", "--no-locale", "--no-sync")  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [*self._account, str(self._programs / "postgres"), "-D", self._data, "-k", str(self._folder),
             "-c", "listen_addresses=", "-c", "fsync=off", "-c", "logging_collector=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder,
            start_new_session=True,
        )  # fmt: skip
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder), "-U", "bugsle"]
        end = time.monotonic() + 30
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise NoServer("PostgreSQL's server did not come up")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, with every connection to it."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)  # fast shutdown: sessions are ended
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def processes(self) -> list[int]:
        """Return the ids of the server's processes, its own first."""
        assert self._process is not None
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return [self._process.pid, *map(int, found.stdout.split())]

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._account, str(self._programs / program), *arguments],
            capture_output=True, text=True, errors="replace", cwd=self._folder, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoServer(f"{program} failed: {done.stderr.strip()[-200:]}")


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Start a server and end it afterwards; NoServer where that cannot be done."""
    if find_spec("psycopg") is None:
        raise NoServer("psycopg is not installed: pip install 'pytest-bugsle[postgres]'")
    programs = _programs()
    # the path of a socket has little room, and an account of its own must be able to enter the folder
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        account = _account(folder)
        server = Server(programs, folder, account)
        server.prepare()
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    debian = Path("/usr/lib/postgresql")
    versions = debian.iterdir() if debian.is_dir() else ()
    numbered = [version for version in versions if version.name.isdigit()]
    places += [version / "bin" for version in sorted(numbered, key=lambda version: -int(version.name))]
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return place
    raise NoServer("PostgreSQL's programs (initdb, postgres, pg_isready) are not installed")


def _account(folder: Path) -> list[str]:
    """Return what runs a program as somebody else where we are root, whom the server refuses."""
    if sys.platform == "win32":
        raise NoServer("no server is started on Windows")
    if os.geteuid() != 0:
        return []
    import pwd

    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoServer("PostgreSQL does not run as root, and setpriv, to run it as somebody else, is missing")
    for name in _ACCOUNTS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        folder.chmod(0o755)
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [setpriv, *ids, "--"]
    raise NoServer(f"PostgreSQL does not run as root, and no account of {_ACCOUNTS} is there")
