"""A guard that is flaky is no guard.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_bugsle.results import FixResult


def without_flaky(fix: FixResult, distrusted: Mapping[str, str]) -> FixResult:
    """Return a fix as it stands without the guards that are flaky; `distrusted` says why, by test id.

    With another guard left the fix stays proven; without one it is undecided, which is no pass.
    """
    flaky = [test for test in fix.tests if test.shows == "proven" and test.id in distrusted]
    if fix.status != "proven" or not flaky:
        return fix
    tests = [
        structs.replace(test, shows="undecided", why=f"flaky: {distrusted[test.id]}")
        if test in flaky
        else test
        for test in fix.tests
    ]
    if any(test.shows == "proven" for test in tests):
        return structs.replace(fix, tests=tests)
    first = flaky[0]
    why = f"its guard {first.id} is flaky, and a flaky guard is none: {distrusted[first.id]}"
    return structs.replace(fix, tests=tests, status="undecided", why=why, edits=[])
