"""A hunt whose time ends in the middle of a search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from flaky_suites import Simulated

from pytest_bugsle.flaky.hunting import Hunt
from pytest_bugsle.flaky.probing import Prober
from pytest_bugsle.flaky.search import Answers, Probe

LEFT = "1 test not explained to the end: the time was used up"


@pytest.mark.parametrize(
    ("batches", "categories", "told"),
    [(1, None, True), (2, {"not-idempotent"}, True), (99, {"victim", "not-idempotent"}, False)],
)
def test_what_was_found_by_then_is_kept_and_the_rest_is_counted(
    batches: int, categories: set[str] | None, told: bool
) -> None:
    """Of a test that fails a second time, and after another one."""
    suite = Simulated(lambda before, test: test == 19 and (19 in before or 5 in before))
    items = [SimpleNamespace(number=number, id=f"t.py::test_{number}") for number in range(20)]
    sequences = SimpleNamespace(items=items, forks=True, spent=False)
    sequences.watched = lambda tests, count: (suite.ran(Probe(tests)), [], False)

    def run_all(probes: Sequence[Probe]) -> Answers:
        nonlocal batches
        batches -= 1
        sequences.spent = batches <= 0
        return {probe: suite.ran(probe) for probe in probes}

    prober = SimpleNamespace(
        sequences=sequences,
        clean_seconds=0.0,
        run=suite.ran,
        run_all=run_all,
        run_apart=lambda tests, environ: suite.ran(Probe(tests)),
    )
    hunt = Hunt(cast("Prober", prober), time.monotonic() + 60, lambda text: None, wanted=frozenset({19}))
    hunt.run()
    found = hunt.explanations.get(19)
    assert (found and found.categories) == categories
    assert (LEFT in hunt.notes) is told
