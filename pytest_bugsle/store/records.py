"""What a history holds: runs and attempts, and how they become rows and come back.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from pytest_bugsle.patterns import lazy_pattern

PASSING = frozenset({"passed", "xfailed", "xpassed"})
NEITHER = frozenset({"", "skipped", "missing"})
FIRST_MODE = "suite"

_ESCAPE = lazy_pattern("[\x00\x1a\ud800-\udfff]")
_ESCAPED = lazy_pattern("\x1a([0-9a-f]{4})")


class CodeVersion(NamedTuple):
    """The code that ran: git tree, digest of uncommitted changes, digest of the dependency lock.

    Not the commit: a rebase keeps the tree, and a dirty tree is no commit. Without a tree the code is
    unknown, and equal to no other.
    """

    tree: str = ""
    dirty: str = ""
    lock: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One run of pytest; `started` in UTC seconds since the epoch, texts '' where unknown.

    `disaster`: so much failed that it says nothing about single tests. `ended`: it was not killed.
    """

    run_id: str
    started: float
    commit_sha: str = ""
    tree: str = ""
    dirty: str = ""
    lock: str = ""
    base: str = ""
    branch: str = ""
    job: str = ""
    python: str = ""
    platform: str = ""
    pytest: str = ""
    seed: str = ""
    hashseed: str = ""
    order_id: str = ""
    workers: int = 0
    mode: str = FIRST_MODE
    collected: int = 0
    ended: bool = False
    disaster: bool = False

    @property
    def version(self) -> CodeVersion:
        """Return the version of the code that ran."""
        return CodeVersion(self.tree, self.dirty, self.lock)


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One attempt of one test; `seq` is its number in the run, `attempt` 1 for the first of its mode.

    `mode` is 'suite', 'in-process', 'alone', 'prefix', 'burn-in' or 'hunt'; `setup`, `call` and `teardown`
    are outcomes of phases, '' where not run; `duration` in seconds; `covers_changed` is how many changed
    lines it ran, None where unknown.
    """

    seq: int
    test: str
    attempt: int = 1
    mode: str = FIRST_MODE
    position: int = 0
    worker: str = ""
    setup: str = ""
    call: str = ""
    teardown: str = ""
    outcome: str
    duration: float = 0.0
    fingerprint: str = ""
    covers_changed: int | None = None

    @property
    def failed(self) -> bool | None:
        """Say whether it failed; None where it did neither (skipped). An unknown outcome is a failure."""
        return None if self.outcome in NEITHER else self.outcome not in PASSING


RUN_COLUMNS = RunRecord.__struct_fields__
ATTEMPT_COLUMNS = AttemptRecord.__struct_fields__
_RUN_TYPES = tuple(map(str, RunRecord.__annotations__.values()))
_ATTEMPT_TYPES = tuple(map(str, AttemptRecord.__annotations__.values()))


@lru_cache(maxsize=65_536)  # a test is keyed twice a batch, and again in the next run of a merge
def key(*texts: str) -> int:
    """Return the 64-bit number by which a run, a test or a version is found: BLAKE2b over its texts.

    Runs and tests keep their numbers from store to store, so joining two stores renumbers nothing. Among a
    million tests two share a number with a chance of 3e-8.
    """
    digest = hashlib.blake2b("\x00".join(map(escaped, texts)).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big", signed=True)


def version_key(version: CodeVersion) -> int | None:
    """Return the number of a version; None, which equals nothing, for unknown code."""
    return key(*version) if version.tree else None


def escaped(text: str) -> str:
    """Return a text that every database can hold: NUL and lone surrogates as U+001A and four digits."""
    if text.isascii() and text.isprintable():
        return text
    return _ESCAPE.sub(lambda match: f"\x1a{ord(match[0]):04x}", text)


def unescaped(text: str) -> str:
    """Return the text that was `escaped`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def run_values(run: RunRecord) -> tuple[object, ...]:
    """Return the values of `RUN_COLUMNS`, as every store can hold them."""
    return tuple(map(_stored, msgspec.structs.astuple(run)))


def run_row(run: RunRecord) -> tuple[object, ...]:
    """Return the row of a run: its key, its version's key, and `RUN_COLUMNS`."""
    return (key(run.run_id), version_key(run.version), *run_values(run))


def attempt_row(run: int, attempt: AttemptRecord) -> tuple[object, ...]:
    """Return the row of an attempt of run number `run`: see the table's columns."""
    seq, test, number, mode, position, *words, duration, known, covers = msgspec.structs.astuple(attempt)
    return (
        *(run, seq, key(test), number, escaped(mode), position, *_escaped_each(*words)),
        duration if math.isfinite(duration) else 0.0,  # SQLite would make NULL of NaN
        *(escaped(known), covers, int(mode == FIRST_MODE and number == 1), _failed(words[-1])),
    )


@lru_cache(maxsize=1024)  # nearly all attempts of a session have the same
def _escaped_each(*words: str) -> tuple[str, ...]:
    return tuple(map(escaped, words))


def _failed(outcome: str) -> int | None:
    return None if outcome in NEITHER else int(outcome not in PASSING)


def test_rows(attempts: Iterable[AttemptRecord]) -> list[tuple[int, str]]:
    """Return number and name of each test, in the order of the numbers.

    One order for all who write: two that lock the same rows in different orders wait for one another.
    """
    return sorted({(key(name), escaped(name)) for name in {attempt.test for attempt in attempts}})


def read_run(row: Sequence[Any]) -> RunRecord:
    """Return the run of a row of `RUN_COLUMNS`; ValueError where a value has the wrong type."""
    return RunRecord(**dict(zip(RUN_COLUMNS, map(_read, _RUN_TYPES, row), strict=True)))


def read_attempt(row: Sequence[Any]) -> AttemptRecord:
    """Return the attempt of a row of `ATTEMPT_COLUMNS`, `test` by its name; ValueError as above."""
    return AttemptRecord(**dict(zip(ATTEMPT_COLUMNS, map(_read, _ATTEMPT_TYPES, row), strict=True)))


def _stored(value: object) -> object:
    kind = type(value)
    if kind is str:
        return escaped(value)  # type: ignore[arg-type]
    if kind is int or value is None:
        return value
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0  # SQLite would make NULL of NaN
    return int(value)  # type: ignore[call-overload]


def _read(kind: str, value: object) -> Any:
    """Return a stored value as its field's type: a file from elsewhere may hold anything anywhere."""
    if kind == "str" and isinstance(value, str):
        return unescaped(value)
    if kind == "float" and isinstance(value, int | float):
        return float(value)
    if kind == "bool" and isinstance(value, int):
        return bool(value)
    if kind in {"int", "int | None"} and isinstance(value, int):
        return value
    if kind == "int | None" and value is None:
        return None
    raise ValueError(f"{value!r:.40} stands where a value of type {kind} belongs")
