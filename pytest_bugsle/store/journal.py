"""Attempts of one run as they end, in a file of its own: a killed run loses none of them.  PYTEST_DONT_REWRITE

A line is a JSON array: the run first, then its attempts, each by the fields of its record. The history takes
the file in when the run ends; what a killed run left, or a history out of reach refused, is taken in by who
opens the history next. A run holds a lock on its file for as long as it lives.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import astuple, replace

from pytest_bugsle.locks import locked
from pytest_bugsle.store.records import AttemptRecord, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_bugsle.store.history import History

FOLDER = "runs"
_SUFFIX = ".jsonl"
_PATIENCE = 100
_encode = msgspec.json.Encoder().encode

T = TypeVar("T", RunRecord, AttemptRecord)


class Journal:
    """The file of one run; every method may raise OSError, and what was added before stays."""

    def __init__(self, folder: Path, run: RunRecord) -> None:
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "it is a symbolic link", str(folder))
        self.path = folder / f"{run.run_id}{_SUFFIX}"
        self._handle = _own(self.path)
        self._identity = _identity(self._handle)
        self._write(run)

    def add(self, attempt: AttemptRecord) -> None:
        """Write one attempt."""
        self._write(attempt if math.isfinite(attempt.duration) else replace(attempt, duration=0.0))

    def close(self, *, keep: bool) -> None:
        """Let go of the file; it is deleted unless someone is still to take it in."""
        if not keep:
            with suppress(OSError):
                self.path.unlink()
        with suppress(OSError):
            if _identity(self._handle) == self._identity:
                os.close(self._handle)

    def _write(self, record: RunRecord | AttemptRecord) -> None:
        # A test may close every descriptor, and open a file of its own under our number.
        if _identity(self._handle) != self._identity:
            raise OSError(errno.EBADF, "a test closed it", str(self.path))
        try:
            line = _encode(record) + b"\n"
        except UnicodeEncodeError:  # a lone surrogate, for which JSON has an escape
            line = json.dumps(astuple(record)).encode() + b"\n"
        if os.write(self._handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def anything_left(folder: Path) -> bool:
    """Say whether the folder has a journal."""
    return not folder.is_symlink() and any(folder.glob(f"*{_SUFFIX}"))


def take_left(folder: Path, history: History) -> int:
    """Record what runs that are gone have left in a folder, and delete their files; return how many there were.

    StoreError where the history cannot be written: the file then stays. What is torn or no journal is passed over.
    """
    taken = 0
    if folder.is_symlink() or not folder.is_dir():
        return taken
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        handle = None if path.is_symlink() else locked(path, os.O_RDWR)
        if handle is None:
            continue
        try:
            read = _read(path.read_bytes())
            if read is not None:
                history.record(*read)
                taken += 1
        finally:
            os.close(handle)  # Windows deletes no file that is open
        with suppress(OSError):
            path.unlink()
    return taken


def _read(content: bytes) -> tuple[RunRecord, list[AttemptRecord]] | None:
    """Return a run and its attempts; the last line of a killed run may be torn."""
    first, *rest = content.split(b"\n")[:-1] or [b""]
    run = _record(first, RunRecord)
    if run is None:
        return None
    return run, [attempt for line in rest if (attempt := _record(line, AttemptRecord)) is not None]


def _record(line: bytes, kind: type[T]) -> T | None:
    """Return what a line holds; None where it is torn, or something else."""
    try:
        return msgspec.convert(json.loads(line), kind)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None


def _identity(handle: int) -> tuple[int, int] | None:
    try:
        facts = os.fstat(handle)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _own(path: Path) -> int:
    """Make the file and lock it; who looks for what was left may hold it for a moment, or delete it as empty."""
    for _ in range(_PATIENCE):
        handle = locked(path, os.O_RDWR | os.O_CREAT)
        if handle is not None:
            return handle
        time.sleep(0.01)
    raise OSError(errno.EWOULDBLOCK, "it is locked", str(path))
