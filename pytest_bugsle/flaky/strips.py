"""A test's past as words of letters, one word for each version of the code.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_bugsle.results import OUTCOME_MARKS
from pytest_bugsle.store.records import FIRST_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_bugsle.results import FlakyTest
    from pytest_bugsle.store.questions import PastAttempt

#: How many attempts of a test are asked for: reruns and runs on purpose, which are no part of it, among them.
MOST = 400


def strip(past: Iterable[PastAttempt]) -> list[str]:
    """Return the suite's first attempts, oldest first; runs in which most tests failed are left out.

    Code whose version is not known is equal to no other.
    """
    first = (each for each in past if each.mode == FIRST_MODE and each.attempt == 1 and not each.disaster)
    return [
        "".join(OUTCOME_MARKS.get(each.outcome, "?") for each in attempts)
        for _, attempts in groupby(first, key=lambda each: each.version if each.version.tree else each.run_id)
    ]


def with_history(
    tests: Sequence[FlakyTest], past: Callable[[str, int], Sequence[PastAttempt]]
) -> list[FlakyTest]:
    """Return the tests with their past, but for those that showed one outcome alone."""
    return [
        replace(test, history=strip(past(test.id, MOST)))
        if test.categories not in (["stable"], ["failing"])
        else test
        for test in tests
    ]
