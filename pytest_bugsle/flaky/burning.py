"""Burn in new and changed tests: run them again, in fresh orders and fresh processes, before anyone trusts them.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.flaky.attempts import error_print
from pytest_bugsle.flaky.explaining import Explanation, Sighting, explain, verdict
from pytest_bugsle.flaky.orders import shuffles
from pytest_bugsle.flaky.rates import RULE
from pytest_bugsle.flaky.search import Probe
from pytest_bugsle.probes import drive
from pytest_bugsle.stats.power import sentence
from pytest_bugsle.stats.sequential import Sampling

if TYPE_CHECKING:
    from pytest_bugsle.flaky.probing import Prober
    from pytest_bugsle.runner.outcome import Outcome

_APART = 2
"""Rounds in clean processes, each under another hash seed, before the forks go on."""


@dataclass(slots=True)
class Burned:
    """One test after its burn-in; skips are no trials."""

    sampling: Sampling
    sightings: list[Sighting] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    found: Explanation | None = None

    @property
    def varies(self) -> bool:
        """Say whether it passed and failed."""
        return 0 < self.sampling.failures < self.sampling.trials

    @property
    def settled(self) -> bool:
        """Say whether no further run is needed: it varies, or the rule says it is stable, or it is skipped."""
        skipped = len(self.outcomes) >= 1 + _APART and not self.sampling.trials
        return self.varies or self.sampling.decision == "stable" or skipped

    @property
    def sentence(self) -> str:
        """Say what was seen, and what that would miss."""
        seen = f"failed {self.sampling.failures} of {self.sampling.trials} runs"
        return seen if self.sampling.failures else f"{seen} ({sentence(self.sampling.trials)})"


def burn_in(
    prober: Prober, tests: Sequence[int], until: float, say: Callable[[str], None]
) -> dict[int, Burned]:
    """Run tests in rounds, each in a new order and a new process, until each is settled or the time is over."""
    burned = {test: Burned(RULE.start()) for test in tests}
    ids = [prober.sequences.items[test].id for test in tests]
    for number, order in enumerate(shuffles(ids)):
        due = [tests[place] for place in order.tests if not burned[tests[place]].settled]
        if not due or time.monotonic() >= until or prober.sequences.spent:
            break
        say(f"burn-in of new and changed tests: round {number + 1}, {len(due)} tests")
        if number < _APART or not prober.sequences.forks:
            ran = prober.run_apart(due, {"PYTHONHASHSEED": str(number + 1)})
        else:
            ran = prober.run(Probe(tuple(due), repeat=number))
        if not ran.outcomes or ran.ended in ("budget", "unable"):
            break
        for place, outcome in enumerate(ran.outcomes[: len(due)]):
            one = burned[due[place]]
            said = verdict(outcome.status)
            one.outcomes.append(outcome)
            one.sightings.append(Sighting(tuple(due[:place]), said))
            if said != "skipped":
                one.sampling = one.sampling.record(said == "failed")
        if all(one.sampling.trials == one.sampling.failures for one in burned.values()) and number >= _APART:
            break  # what fails every time is not flaky, and the session has said so
    for test, one in burned.items():
        one.sampling = one.sampling.end()
        if one.varies and time.monotonic() < until:
            say(f"why {prober.sequences.items[test].id} varies")
            judge = explain(test, one.sightings)
            one.found = drive({test: judge}, prober.run_all, lambda: time.monotonic() < until)[test]
    return burned


def errors_of(one: Burned) -> list[tuple[str, float, str]]:
    """Return each run as (outcome, seconds, by what its error is known)."""
    return [(outcome.status, outcome.duration, error_print(outcome)) for outcome in one.outcomes]


__all__ = ["RULE", "Burned", "burn_in", "errors_of"]
