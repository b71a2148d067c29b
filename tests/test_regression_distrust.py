"""A guard that is flaky is no guard."""

from __future__ import annotations

from pytest_bugsle.regression.distrust import without_flaky
from pytest_bugsle.results import FixResult, Status, TestResult


def linked(id: str, shows: Status) -> TestResult:
    """Make a linked test."""
    return TestResult(id=id, links=[], before=None, after=None, before_error=None, reached=None, shows=shows)


def fix_of(*tests: TestResult, status: Status = "proven") -> FixResult:
    """Make a proven fix."""
    return FixResult(
        commit="a" * 40,
        subject="fix: it",
        bugs=[],
        judgement="fix",
        reasons=[],
        status=status,
        why="",
        tests=list(tests),
        commits=["a" * 40],
        paths=[],
    )


def test_without_another_guard_the_fix_is_undecided_and_says_why() -> None:
    """What holds a fix today and not tomorrow does not hold it."""
    found = without_flaky(fix_of(linked("t.py::a", "proven")), {"t.py::a": "it passed and failed"})
    assert (found.status, found.tests[0].shows) == ("undecided", "undecided")
    assert "t.py::a is flaky" in found.why and "it passed and failed" in found.why


def test_with_another_guard_the_fix_stays_proven() -> None:
    """The flaky one no longer counts as a guard."""
    fix = fix_of(linked("t.py::a", "proven"), linked("t.py::b", "proven"))
    found = without_flaky(fix, {"t.py::a": "why"})
    assert found.status == "proven"
    assert [test.shows for test in found.tests] == ["undecided", "proven"]


def test_what_is_not_proven_or_not_flaky_stays_as_it_is() -> None:
    """A flaky test that is no guard changes nothing."""
    fix = fix_of(linked("t.py::a", "proven"), linked("t.py::b", "passes-without-fix"))
    assert without_flaky(fix, {"t.py::b": "why", "t.py::c": "why"}) == fix
    other = fix_of(linked("t.py::a", "passes-without-fix"), status="passes-without-fix")
    assert without_flaky(other, {"t.py::a": "why"}) == other
