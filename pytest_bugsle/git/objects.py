"""Read objects through one long-lived `git cat-file --batch`.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping

from pytest_bugsle.errors import ProgramError

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# The names of one round must fit into a pipe that git does not yet read (16 KiB on macOS): git may be
# blocked on writing an object while we still write names.
_ROUND = 100


class ReaderEndedError(ProgramError):
    """git ended where it should have answered."""


class ObjectReader:
    """Hold the process and read from it; started at the first read, ended by `close`."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._command = command
        self._env = env
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._stop: weakref.finalize[[subprocess.Popen[bytes], int], ObjectReader] | None = None

    def close(self) -> None:
        """End the process; a later read starts a new one."""
        with self._lock:
            self._end()

    def read(self, shas: Iterable[str]) -> Iterator[tuple[str, str, bytes | None]]:
        """Give sha, type and content of each; the content of a missing object is None."""
        asked = list(dict.fromkeys(shas))
        for sha in asked:
            if not _SHA.fullmatch(sha):
                raise ProgramError(f"{sha!a} is not an object name", why="only full object names are read")
        for start in range(0, len(asked), _ROUND):
            yield from self._round(asked[start : start + _ROUND])

    def name(self, expression: str) -> str | None:
        """Give the full name of the object that an expression (one line) means at this moment, or None."""
        ((name, _, content),) = self._round([expression])
        return None if content is None else name

    def _round(self, shas: list[str]) -> list[tuple[str, str, bytes | None]]:
        with self._lock:
            for attempt in (1, 2):  # a process that something else has ended is started again, once
                try:
                    return self._ask(shas)
                except (BrokenPipeError, EOFError) as error:
                    self._end()
                    if attempt == 2:
                        raise ReaderEndedError(
                            "git cat-file ended while objects were read",
                            why="the content of the files is needed",
                            hint="`git fsck` finds a damaged repository",
                        ) from error
                except BaseException:
                    self._end()  # an interrupt leaves half an answer in the pipe
                    raise
        raise AssertionError("unreachable")

    def _ask(self, shas: list[str]) -> list[tuple[str, str, bytes | None]]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(os.fsencode("".join(f"{sha}\n" for sha in shas)))
        process.stdin.flush()
        answers: list[tuple[str, str, bytes | None]] = []
        for sha in shas:
            header = process.stdout.readline()
            fields = header.split()
            if not header.endswith(b"\n"):
                raise EOFError
            if len(fields) != 3 or not fields[2].isdigit():
                answers.append((sha, "missing", None))
                continue
            content = process.stdout.read(int(fields[2]) + 1)
            if len(content) != int(fields[2]) + 1:
                raise EOFError
            answers.append((fields[0].decode(), fields[1].decode(), content[:-1]))
        return answers

    def _running(self) -> subprocess.Popen[bytes]:
        # After a fork the process belongs to the parent: two readers of one pipe mix their answers.
        if self._process is not None and self._owner != os.getpid():
            self._process = None
            if self._stop is not None:
                self._stop.detach()
        if self._process is None:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._env),
            )
            self._process, self._owner = process, os.getpid()
            self._stop = weakref.finalize(self, _stop, process, self._owner)
        return self._process

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
        self._process = self._stop = None


def _stop(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was written and not read by a dead process
                pass
    process.kill()
    process.wait()
