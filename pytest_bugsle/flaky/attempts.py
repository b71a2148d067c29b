"""Read attempts from pytest's reports: what happened in each phase, and by what an error is known again.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_bugsle.runner.outcome import Outcome

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{5,16}\b")
_UUID = re.compile(
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{32}\b"
)
_NUMBER = re.compile(r"\d+")
_QUALIFIED = re.compile(r"^(?:\w+\.)+(\w+)(?=:|$)")
_PHASES = ("setup", "call", "teardown")
_LONGEST = 300


def stable_id(id_: str) -> str:
    """Return a test id without what differs from process to process: addresses of objects, and uuids."""
    return _UUID.sub("<uuid>", _ADDRESS.sub("<address>", id_))


def fingerprint(message: str, path: str) -> str:
    """Return by what an error is known again: its type, the shape of its first line, and its file.

    Numbers, addresses and uuids are no part of it, nor is the line: they differ from run to run, and from
    commit to commit. '' where there is no error.
    """
    if not message:
        return ""
    first = message.strip().partition("\n")[0][:_LONGEST]
    first = _QUALIFIED.sub(r"\1", first).removeprefix("AssertionError: ")
    shape = _NUMBER.sub("0", stable_id(first))
    return hashlib.blake2b(f"{shape}\0{path}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def error_print(outcome: Outcome) -> str:
    """Return by what the error of an outcome in a clean copy is known; '' where there is none."""
    error = outcome.error
    if error is None:
        return ""
    return fingerprint(f"{error.type}: {error.message}", error.frames[-1].path if error.frames else "")


def inside(path: str, top: str) -> str:
    """Return a file's path relative to a folder, '' where it lies elsewhere."""
    prefix = top.rstrip("/\\") + os.sep
    if not os.path.isabs(path):
        return path.replace(os.sep, "/")
    return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else ""


@dataclass(slots=True)
class Attempt:
    """One attempt at one test, as its reports come in."""

    id: str
    worker: str
    position: int
    number: int
    phases: dict[str, str] = field(default_factory=dict)
    duration: float = 0.0
    message: str = ""
    path: str = ""
    died: bool = False
    subtest_failed: bool = False

    @property
    def outcome(self) -> str:
        """Return 'passed', 'failed', 'error', 'skipped', 'xfailed', 'xpassed' or 'died'.

        pytest itself leaves the parent of a failed subtest "passed" in its reports: it is derived here.
        """
        if self.died:
            return "died"
        setup, call, teardown = (self.phases.get(phase, "") for phase in _PHASES)
        if setup == "failed":
            return "error"
        if call == "failed" or self.subtest_failed:
            return "failed"
        if teardown == "failed":
            return "error"
        return call or setup or "died"

    @property
    def failed(self) -> bool:
        """Say whether it failed in any phase."""
        return self.outcome in ("failed", "error", "died")

    @property
    def skipped(self) -> bool:
        """Say whether it was skipped: neither a pass nor a failure."""
        return self.outcome == "skipped"

    @property
    def fingerprint(self) -> str:
        """Return by what its error is known again."""
        return fingerprint(self.message, self.path)


@dataclass(slots=True)
class Attempts:
    """All attempts of a session, in the order in which they ended; `top` is what files are relative to."""

    top: str
    ended: list[Attempt] = field(default_factory=list)
    _open: dict[tuple[str, str], Attempt] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _positions: dict[str, int] = field(default_factory=dict)

    def note(self, report: pytest.TestReport) -> Attempt | None:
        """Take one report in; return the attempt that it ends."""
        worker = str(getattr(report, "worker_id", ""))
        key = (worker, report.nodeid)
        attempt = self._open.get(key)
        when = report.when or ""
        if attempt is None or (when == "setup" and attempt.phases):
            if attempt is not None:
                self._end(key)
            attempt = self._begin(key)
        if when not in _PHASES:  # xdist's word for a worker that died
            attempt.died = True
            self._blame(attempt, report)
            return self._end(key)
        if "subtest" in type(report).__name__.lower():
            if report.failed:
                attempt.subtest_failed = True
                self._blame(attempt, report)
            return None
        attempt.duration += report.duration
        attempt.phases[when] = _word(report)
        if report.outcome not in ("passed", "skipped"):
            self._blame(attempt, report)
        return self._end(key) if when == "teardown" else None

    def close(self) -> list[Attempt]:
        """End what never came to its teardown: its worker died."""
        left = list(self._open)
        return [self._end(key) for key in left]

    def _begin(self, key: tuple[str, str]) -> Attempt:
        worker, id_ = key
        self._numbers[id_] = self._numbers.get(id_, 0) + 1
        self._positions[worker] = self._positions.get(worker, -1) + 1
        attempt = Attempt(id_, worker, self._positions[worker], self._numbers[id_])
        self._open[key] = attempt
        return attempt

    def _end(self, key: tuple[str, str]) -> Attempt:
        attempt = self._open.pop(key)
        self.ended.append(attempt)
        return attempt

    def _blame(self, attempt: Attempt, report: Any) -> None:
        if not attempt.message:
            attempt.message, path = _error_of(report)
            attempt.path = inside(path, self.top)


def _word(report: pytest.TestReport) -> str:
    """Return a phase's outcome; what other plugins call a rerun is a failure that somebody would hide."""
    if hasattr(report, "wasxfail"):
        if report.skipped:
            return "xfailed"
        return "xpassed" if report.passed and report.when == "call" else str(report.outcome)
    return "failed" if report.outcome not in ("passed", "skipped") else report.outcome


def _error_of(report: Any) -> tuple[str, str]:
    """Return the first line that tells of the error, and the file in which it was raised."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message), str(crash.path)
    text = str(report.longrepr or "").strip()
    return (text.rpartition("\n")[2] or "failed"), ""
