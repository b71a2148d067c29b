"""Read attempts from pytest's reports: what happened in each phase, and by what an error is known again.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_bugsle.runner.outcome import Outcome

_ADDRESS = lazy_pattern(r"\b0x[0-9a-fA-F]{5,16}\b")
_UUID = lazy_pattern(  # made of time or chance (RFC 9562, versions 1, 4, 6 and 7): digests and names are no such thing
    r"\b[0-9a-f]{8}(-?)[0-9a-f]{4}\1[1467][0-9a-f]{3}\1[89ab][0-9a-f]{3}\1[0-9a-f]{12}\b", re.IGNORECASE
)
_SHORTEST_UUID = 32
_NUMBER = lazy_pattern(r"\d+(?:\.\d+)*(?:[eE][-+]?\d+)?")
_FOLDER = lazy_pattern(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/][^\\/\s'\"<>:]+)+(?=[\\/])")
_QUALIFIED = lazy_pattern(r"^(?:\w+\.)+(\w+)(?=:|$)")
_PHASES = ("setup", "call", "teardown")
_LONGEST = 300
_MOST_READ = 4096
_DIED = "the process died"
_UNUSUAL = frozenset({"wasxfail", "node", "worker_id"})  # what a plugin's report, or that of a worker, has
FAILED = ("failed", "error", "died")


def stable_id(id_: str) -> str:
    """Return a test id without what differs from process to process: addresses of objects, and uuids."""
    if "0x" in id_:
        id_ = _ADDRESS.sub("<address>", id_)
    return _UUID.sub("<uuid>", id_) if len(id_) >= _SHORTEST_UUID else id_


def fingerprint(message: str, path: str) -> str:
    """Return by what an error is known again: its type, the shape of its first line, and its file.

    Numbers, addresses, uuids and folders are no part of it, nor is the line: they differ from run to run,
    from copy to copy, and from commit to commit. '' where there is no error.
    """
    if not message:
        return ""
    first = message.strip().partition("\n")[0][:_MOST_READ]
    first = _QUALIFIED.sub(r"\1", first).removeprefix("AssertionError: ")
    shape = _NUMBER.sub("0", stable_id(_FOLDER.sub("", first)))[:_LONGEST]
    return hashlib.blake2b(f"{shape}\0{path}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def error_print(outcome: Outcome) -> str:
    """Return by what the error of an outcome in a clean copy is known; '' where there is none."""
    error = outcome.error
    if outcome.status == "died":
        return fingerprint(_DIED, "")
    if error is None:
        return ""
    return fingerprint(f"{error.type}: {error.message}", error.frames[-1].path if error.frames else "")


def inside(path: str, top: str) -> str:
    """Return a file's path relative to a folder, '' where it lies elsewhere."""
    prefix = top.rstrip("/\\") + os.sep
    if not os.path.isabs(path):
        return path.replace(os.sep, "/")
    return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else ""


class Attempt(msgspec.Struct, gc=False):
    """One attempt at one test, as its reports come in; the outcome of a phase is '' where it did not run."""

    id: str
    worker: str
    position: int
    number: int
    setup: str = ""
    call: str = ""
    teardown: str = ""
    duration: float = 0.0
    message: str = ""
    path: str = ""
    died: bool = False
    subtest_failed: bool = False

    @property
    def has_begun(self) -> bool:
        """Say whether the outcome of any phase is known."""
        return bool(self.setup or self.call or self.teardown)

    @property
    def outcome(self) -> str:
        """Return 'passed', 'failed', 'error', 'skipped', 'xfailed', 'xpassed' or 'died'.

        pytest itself leaves the parent of a failed subtest "passed" in its reports: it is derived here.
        """
        if self.died:
            return "died"
        setup, call = self.setup, self.call
        if setup == "failed":
            return "error"
        if call == "failed" or self.subtest_failed:
            return "failed"
        if self.teardown == "failed":
            return "error"
        if call or setup in ("skipped", "xfailed"):
            return call or setup
        return "died"  # a setup alone is no pass

    @property
    def failed(self) -> bool:
        """Say whether it failed in any phase."""
        return self.outcome in FAILED

    @property
    def skipped(self) -> bool:
        """Say whether it was skipped: neither a pass nor a failure."""
        return self.outcome == "skipped"

    @property
    def fingerprint(self) -> str:
        """Return by what its error is known again: who died says no more than that, and others speak for it."""
        return fingerprint(_DIED, "") if self.outcome == "died" else fingerprint(self.message, self.path)


class Attempts(msgspec.Struct):
    """All attempts of a session, in the order in which they ended; `top` is what files are relative to."""

    top: str
    ended: list[Attempt] = []
    _open: dict[tuple[str, str], Attempt] = {}
    _numbers: dict[str, int] = {}
    _positions: dict[str, int] = {}

    def note_all(self, reports: Sequence[pytest.TestReport]) -> None:
        """Take reports in, in their order."""
        if len(reports) == 3 and self._note_pass(*reports):
            return
        for report in reports:
            self.note(report)

    def note(self, report: pytest.TestReport) -> None:
        """Take one report in: what it ends joins `ended`."""
        when, key = report.when, (_worker_of(report), report.nodeid)
        attempt = self._open.get(key)
        if attempt is None or (when == "setup" and attempt.has_begun):
            # who tries a test again may leave the teardown out
            if attempt is not None and attempt.outcome != "died":
                self._end(key)
            attempt = self._begin(key)
        if when not in _PHASES:  # xdist's word for a worker that died
            attempt.died = True
            self._blame(attempt, report)
            self._end(key)
            return
        if _is_subtest(type(report).__name__):
            if report.failed:
                attempt.subtest_failed = True
                self._blame(attempt, report)
            return
        attempt.duration += report.duration
        setattr(attempt, when, _word(report))
        if report.outcome not in ("passed", "skipped"):
            self._blame(attempt, report)
        if when == "teardown":
            self._end(key)

    def close(self) -> None:
        """End what never came to its teardown: of what was interrupted, only a failure is known."""
        left, self._open = self._open, {}
        self.ended += (attempt for attempt in left.values() if attempt.message)

    def _note_pass(
        self, setup: pytest.TestReport, call: pytest.TestReport, teardown: pytest.TestReport
    ) -> bool:
        """Take the reports of a test in that passed in this process, and say whether these are such: most are."""
        id_ = call.nodeid
        if (
            not (setup.outcome == call.outcome == teardown.outcome == "passed")
            or not (setup.when == "setup" and call.when == "call" and teardown.when == "teardown")
            or not (setup.nodeid == id_ == teardown.nodeid)
            or not (_is_plain(setup) and _is_plain(call) and _is_plain(teardown))
            or _is_subtest(type(call).__name__)
            or self._open
        ):
            return False
        attempt = self._begin(("", id_))
        attempt.setup = attempt.call = attempt.teardown = "passed"
        attempt.duration = setup.duration + call.duration + teardown.duration
        self._end(("", id_))
        return True

    def _begin(self, key: tuple[str, str]) -> Attempt:
        worker, id_ = key
        self._numbers[id_] = self._numbers.get(id_, 0) + 1
        self._positions[worker] = self._positions.get(worker, -1) + 1
        attempt = Attempt(id_, worker, self._positions[worker], self._numbers[id_])
        self._open[key] = attempt
        return attempt

    def _end(self, key: tuple[str, str]) -> None:
        self.ended.append(self._open.pop(key))

    def _blame(self, attempt: Attempt, report: Any) -> None:
        if not attempt.message:
            attempt.message, path = error_of(report)
            attempt.path = inside(path, self.top)


@lru_cache
def _is_subtest(kind: str) -> bool:
    """Say whether reports of a class of this name tell of a part of a test: pytest's own, and that of pytest-subtests."""
    return "subtest" in kind.lower()


def _is_plain(report: pytest.TestReport) -> bool:
    return _UNUSUAL.isdisjoint(report.__dict__)


def _worker_of(report: Any) -> str:
    """Return the name of the worker that ran the test, or that died of it; '' where there are none."""
    node = getattr(report, "node", None)
    if node is None:
        return str(getattr(report, "worker_id", ""))
    return str(getattr(report, "worker_id", "") or node.gateway.id)


def _word(report: pytest.TestReport) -> str:
    """Return a phase's outcome; what other plugins call a rerun is a failure that somebody would hide."""
    if hasattr(report, "wasxfail"):
        if report.skipped:
            return "xfailed"
        return "xpassed" if report.passed and report.when == "call" else str(report.outcome)
    return "failed" if report.outcome not in ("passed", "skipped") else report.outcome


def error_of(report: Any) -> tuple[str, str]:
    """Return the first line that tells of the error, and the file in which it was raised."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message), str(crash.path)
    text = str(report.longrepr or "").strip()
    return (text.rpartition("\n")[2] or "failed"), ""
