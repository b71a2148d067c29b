"""What a history is asked: tallies of all tests, and the past of one.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.store.records import FIRST_MODE, CodeVersion, key, unescaped

if TYPE_CHECKING:
    from pytest_bugsle.store.database import Database

# Unknown code has no version, and NULL equals nothing.
# CROSS JOIN keeps SQLite to the order in which tables are named, and means the same in PostgreSQL. A file has its
# attempts by run and then test: one test is looked up in each run, 4 µs each, and a tally of all reads all.
_TALLIES = """
SELECT t.name, c.* FROM (
    SELECT a.test AS test, count(DISTINCT a.run), count(a.failed), count(*) FILTER (WHERE a.failed = 1),
        count(*) FILTER (WHERE a.first = 1 AND a.failed IS NOT NULL),
        count(*) FILTER (WHERE a.first = 1 AND a.failed = 1),
        sum(a.duration), sum(a.duration) FILTER (WHERE a.first = 0), max(r.started)
    FROM bugsle_attempt a CROSS JOIN bugsle_run r
    WHERE r.run = a.run AND r.disaster = 0 AND r.started >= ?
    GROUP BY a.test) c
CROSS JOIN bugsle_test t WHERE t.test = c.test"""
_FINGERPRINTS = """
SELECT a.test, a.fingerprint, count(*)
FROM bugsle_attempt a CROSS JOIN bugsle_run r
WHERE a.failed = 1 AND r.run = a.run AND r.disaster = 0 AND r.started >= ?
GROUP BY a.test, a.fingerprint"""
_MIXED = """
WITH failing AS (
    SELECT a.test AS test, r.version AS version,
        count(DISTINCT CASE WHEN a.first = 1 THEN a.run END) AS broken
    FROM bugsle_attempt a CROSS JOIN bugsle_run r
    WHERE a.failed = 1 AND r.run = a.run AND r.disaster = 0 AND r.started >= ?
    GROUP BY a.test, r.version)
SELECT f.test, count(*), sum(f.broken) FROM failing f
WHERE EXISTS (
    SELECT 1 FROM bugsle_run q CROSS JOIN bugsle_attempt p
    WHERE q.version = f.version AND q.disaster = 0 AND p.run = q.run AND p.test = f.test AND p.failed = 0)
GROUP BY f.test"""
_PAST = """
SELECT r.started, r.run_id, r.tree, r.dirty, r.lock, r.disaster,
    a.mode, a.attempt, a.outcome, a.duration, a.fingerprint
FROM bugsle_run r CROSS JOIN bugsle_attempt a
WHERE a.run = r.run AND a.test = ?
ORDER BY r.started DESC, r.run DESC, a.seq DESC LIMIT ?"""
_OUTCOMES = """
SELECT r.tree, r.dirty, r.lock, a.mode, a.outcome, a.fingerprint, count(*)
FROM bugsle_run r CROSS JOIN bugsle_attempt a
WHERE r.disaster = 0 AND a.run = r.run AND a.test = ? AND a.attempt = 1
GROUP BY r.tree, r.dirty, r.lock, a.mode, a.outcome, a.fingerprint"""

_SUITES = """
SELECT r.started, sum(a.duration), count(*)
FROM bugsle_run r CROSS JOIN bugsle_attempt a
WHERE r.started >= ? AND r.mode = ? AND r.ended = 1 AND r.disaster = 0
    AND a.run = r.run AND a.mode = r.mode AND a.attempt = 1
GROUP BY r.run, r.started ORDER BY r.started"""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What the history says of one test, disasters left out; skips are no attempts.

    `first_failures` of `first_attempts` are of the suite's own, unselected attempts: what a rate is made of.
    `runs_broken` are runs whose first attempt failed though the same version of the code also passed;
    `mixed_versions` are versions with both outcomes. `fingerprints` are those of failures with their
    counts, most frequent first; `rerun_seconds` is the part of `seconds` that was no first attempt.
    """

    test: str
    runs: int
    attempts: int
    failures: int
    first_attempts: int
    first_failures: int
    runs_broken: int
    mixed_versions: int
    fingerprints: tuple[tuple[str, int], ...]
    seconds: float
    rerun_seconds: float
    last_seen: float


class PastAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt in a test's past; `started` is its run's, in UTC seconds."""

    started: float
    run_id: str
    version: CodeVersion
    disaster: bool
    mode: str
    attempt: int
    outcome: str
    duration: float
    fingerprint: str


class OutcomeCount(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """How many first attempts of a mode ended so, for one version of the code."""

    version: CodeVersion
    mode: str
    outcome: str
    fingerprint: str
    count: int


def tallies(database: Database, since: float | None) -> list[Tally]:
    """Return the tally of every test seen in runs from `since` on, by name.

    That a version also passed may be known from before `since`.
    """
    begin = (-math.inf if since is None else since,)
    fingerprints: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for test, fingerprint, count in database.rows(_FINGERPRINTS, begin):
        fingerprints[test].append((unescaped(fingerprint), int(count)))
    mixed = {test: (int(versions), int(broken)) for test, versions, broken in database.rows(_MIXED, begin)}
    found = [
        Tally(
            test=unescaped(name),
            runs=int(runs),
            attempts=int(attempts),
            failures=int(failures),
            first_attempts=int(first_attempts),
            first_failures=int(first_failures),
            runs_broken=mixed.get(test, (0, 0))[1],
            mixed_versions=mixed.get(test, (0, 0))[0],
            fingerprints=tuple(sorted(fingerprints[test], key=lambda pair: (-pair[1], pair[0])))
            if test in fingerprints
            else (),
            seconds=round(float(seconds or 0.0), 6),  # a sum's last digits depend on its order
            rerun_seconds=round(float(rerun_seconds or 0.0), 6),
            last_seen=float(last_seen),
        )
        for name, test, runs, attempts, failures, first_attempts, first_failures, seconds, rerun_seconds, last_seen in database.rows(
            _TALLIES, begin
        )
    ]
    return sorted(found, key=lambda tally: tally.test)


def past(database: Database, test: str, limit: int) -> list[PastAttempt]:
    """Return the last `limit` attempts of a test, newest last."""
    return [
        PastAttempt(
            started=started,
            run_id=unescaped(run_id),
            version=CodeVersion(unescaped(tree), unescaped(dirty), unescaped(lock)),
            disaster=bool(disaster),
            mode=unescaped(mode),
            attempt=attempt,
            outcome=unescaped(outcome),
            duration=duration,
            fingerprint=unescaped(fingerprint),
        )
        for started, run_id, tree, dirty, lock, disaster, mode, attempt, outcome, duration, fingerprint in reversed(
            database.rows(_PAST, (key(test), limit))
        )
    ]


def outcomes(database: Database, test: str, version: CodeVersion | None) -> list[OutcomeCount]:
    """Return how often first attempts of a test ended how, disasters left out, sorted.

    For one version, or for all; of unknown code (without a tree) nothing is said when a version is asked for.
    """
    counts = [
        OutcomeCount(
            version=CodeVersion(unescaped(tree), unescaped(dirty), unescaped(lock)),
            mode=unescaped(mode),
            outcome=unescaped(outcome),
            fingerprint=unescaped(fingerprint),
            count=int(count),
        )
        for tree, dirty, lock, mode, outcome, fingerprint, count in database.rows(_OUTCOMES, (key(test),))
    ]
    return sorted(count for count in counts if version is None or (version.tree and count.version == version))


def suites(database: Database, since: float) -> list[tuple[float, float, int]]:
    """Return start, seconds of its tests and their number of each run of a suite that ended, oldest first."""
    rows = database.rows(_SUITES, (since, FIRST_MODE))
    return [(float(started), float(seconds), int(tests)) for started, seconds, tests in rows]
