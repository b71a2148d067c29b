"""Ask why, once it is known what a test depends on: which state others leave, which factor turns it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_bugsle.flaky.causes import Investigation, investigate
from pytest_bugsle.flaky.explaining import outcome_of
from pytest_bugsle.probes import drive
from pytest_bugsle.results import StateDifference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.flaky.causes import Answer, Probe
    from pytest_bugsle.flaky.explaining import Explanation
    from pytest_bugsle.flaky.factors import Factor
    from pytest_bugsle.flaky.probing import Prober

MOST_RESTORED = 25
"""Differences that are put back, one after the other, to see which one turns the outcome."""
_TOLD = 5


def state_of(prober: Prober, test: int, found: Explanation) -> list[StateDifference]:
    """Return what the tests that it depends on leave behind; the one that turns the outcome comes first.

    A difference is named as the reason only if the outcome turns when it alone is put back. The snapshot
    itself keeps objects alive, which may change a test: with it and nothing put back, the outcome must stand.
    """
    sequences = prober.sequences
    before = found.polluters or found.setters or found.many
    if not before and "not-idempotent" in found.categories:
        before = (test,)
    if not before or not sequences.forks:
        return []
    shown = "passed" if "brittle" in found.categories else "failed"
    ran, left, _ = sequences.watched((*before, test), len(before))
    found.probes += 1
    told = [
        StateDifference(kind=one["kind"], name=one["name"], was=one["was"], now=one["now"]) for one in left
    ]
    if outcome_of(ran) != shown:
        return []
    for one, difference in [pair for pair in zip(left, told, strict=True) if pair[0]["restorable"]][
        :MOST_RESTORED
    ]:
        if sequences.spent:
            break
        ran, _, done = sequences.watched((*before, test), len(before), (one["kind"], one["name"]))
        found.probes += 1
        if done and ran.last is not None and outcome_of(ran) == found.alone[0]:
            turning = StateDifference(
                kind=difference.kind, name=difference.name, was=difference.was, now=difference.now, turns=True
            )
            return [turning, *(other for other in told if other is not difference)][:_TOLD]
    return told[:_TOLD]


def cause_of(
    prober: Prober, test: int, found: Explanation, factors: Sequence[Factor], most: int
) -> Investigation | None:
    """Look for the factor that turns the outcome of a test that no other test turns; None out of time."""
    failures = found.alone.count("failed")
    sequences = prober.sequences

    def answer(probe: Probe) -> Answer:
        if sequences.spent:
            return None
        world = dict(probe.world)
        seed = world.pop("hashseed", None)
        if probe.fresh or not sequences.forks:
            environ = {"PYTHONHASHSEED": str(seed if seed is not None else 0)}
            ran = prober.run_apart((test,), environ, tuple(world.items()))
        else:
            ran = sequences.inside((test,), world)
        return outcome_of(ran) if ran.outcomes else None

    def run(probes: Sequence[Probe]) -> Mapping[Probe, Answer]:
        return {probe: answer(probe) for probe in probes}

    judge = investigate(sequences.items[test].id, failures, max(1, len(found.alone)), factors, most=most)
    return drive({test: judge}, run)[test]
