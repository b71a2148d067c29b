"""What is said of a session's failure when the time ends in the middle of the experiments."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from flaky_suites import Simulated

from pytest_bugsle.flaky import examining
from pytest_bugsle.flaky.failures import Failure
from pytest_bugsle.flaky.probing import Prober
from pytest_bugsle.flaky.search import Answers, Probe

NUMBERS = {f"t.py::test_{number}": number for number in range(20)}
VICTIM = Failure("t.py::test_0", tuple(list(NUMBERS)[1:]), "", "")


@pytest.mark.parametrize(
    ("batches", "categories", "words"),
    [
        (1, None, "not tried to the end: the time was used up"),
        (
            2,
            {"victim"},
            "alone it failed 0 of 10 times; after the same 19 tests 2 of 2 times; not tried to the end: the time was used up",
        ),
        (99, {"victim"}, "alone it failed 0 of 10 times; after the same 19 tests 2 of 2 times"),
    ],
)
def test_what_was_found_by_then_is_told(
    monkeypatch: pytest.MonkeyPatch, batches: int, categories: set[str] | None, words: str
) -> None:
    """After the runs alone nothing is known; after the replays a victim is, though not of whom."""
    suite = Simulated(lambda before, test: test == 0 and 5 in before)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(examining, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def run_all(probes: Sequence[Probe]) -> Answers:
        clock.now += 1.0
        return {probe: suite.ran(probe) for probe in probes}

    prober = cast("Prober", SimpleNamespace(run_all=run_all))
    (one,) = examining.examine([VICTIM], prober, NUMBERS, float(batches), lambda text: None)
    assert (one.found and one.found.categories, one.sentence) == (categories, words)
    assert one.is_flaky is (categories is not None)
    assert bool(one.found and one.found.polluters) is (batches == 99)
