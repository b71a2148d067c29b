"""The tests that failed in a session, with what ran before each.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pytest_bugsle.flaky.attempts import Attempt
    from pytest_bugsle.flaky.recording import Recording


class Failure(msgspec.Struct, frozen=True):
    """A test that failed in the session: what ran before it in its process, and by what its error is known.

    `passed_too`: another attempt of it passed in the same session. `seconds_before` is what ran before took.
    """

    id: str
    before: tuple[str, ...]
    fingerprint: str
    message: str
    seconds_before: float = 0.0
    passed_too: bool = False
    is_cut: bool = False
    """What ran before it would take too long to run again."""


def failures_of(recording: Recording, doubles: Collection[str] = ()) -> Iterator[Failure]:
    """Yield the tests of which an attempt failed, in the order in which they did.

    Of `doubles`, ids that several tests share, nobody knows whether the same test passed too.
    """
    by_worker: dict[str, list[Attempt]] = {}
    passed: set[str] = set()
    failed: dict[str, tuple[Attempt, int]] = {}
    for attempt in sorted(recording.attempts.ended, key=lambda one: one.position):
        line = by_worker.setdefault(attempt.worker, [])
        if attempt.failed:
            failed.setdefault(attempt.id, (attempt, len(line)))
        elif not attempt.skipped:
            passed.add(attempt.id)
        line.append(attempt)
    for id_, (attempt, place) in failed.items():
        before = by_worker[attempt.worker][:place]
        yield Failure(
            id_,
            tuple(dict.fromkeys(one.id for one in before if one.id != id_)),
            attempt.fingerprint,
            attempt.message,
            sum(one.duration for one in before),
            id_ in passed and id_ not in doubles,
        )
