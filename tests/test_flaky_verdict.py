"""What a hunt's numbers are called, where no experiment has told what they depend on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from pytest_bugsle.flaky import verdict
from pytest_bugsle.flaky.explaining import Verdict
from pytest_bugsle.results import FlakyTest
from pytest_bugsle.runner.outcome import Item

ITEM = cast("Item", SimpleNamespace(id="t.py::a", path="t.py", line=3))


def told(*outcomes: Verdict) -> FlakyTest:
    """Give the result of a test that showed these outcomes."""
    return verdict.result_of([ITEM], 0, outcomes, None, (), "")


@pytest.mark.parametrize(
    ("outcomes", "categories", "failed", "message"),
    [
        ((), [], (0, 0), None),
        (("skipped", "skipped"), [], (0, 0), None),
        (("passed", "skipped"), ["stable"], (0, 1), None),
        (("failed", "failed"), ["failing"], (2, 2), None),
        (("failed", "passed"), [], (1, 2), "t.py::a varies: it failed in 1 of 2 runs"),
        (
            ("failed", "skipped"),
            [],
            (1, 1),
            "t.py::a varies: it failed in 1 of 1 runs, and was skipped in others",
        ),
    ],
)
def test_skips_are_counted_neither_way(
    outcomes: tuple[Verdict, ...], categories: list[str], failed: tuple[int, int], message: str | None
) -> None:
    """Who never failed is no finding, and who was skipped in between did not fail every time."""
    test = told(*outcomes)
    assert (test.categories, (test.failures, test.attempts)) == (categories, failed)
    assert (test.interval is None) == (failed[1] == 0)
    found = [finding.message for finding in verdict.findings_of([test], {}, ci=False)]
    assert found == ([message] if message else [])
