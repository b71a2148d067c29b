"""Run a hunt: orders, each test alone and twice, then why, for each test whose outcome varies.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.flaky.explaining import Explanation, Sighting, Verdict, clean, explain, plural, verdict
from pytest_bugsle.flaky.orders import Order, backwards, natural, shuffles
from pytest_bugsle.flaky.reasons import cause_of, state_of
from pytest_bugsle.flaky.search import Probe
from pytest_bugsle.probes import drive

if TYPE_CHECKING:
    from pytest_bugsle.flaky.causes import Investigation
    from pytest_bugsle.flaky.factors import Factor
    from pytest_bugsle.flaky.probing import Prober
    from pytest_bugsle.results import StateDifference
    from pytest_bugsle.runner.outcome import Outcome, Ran
    from pytest_bugsle.runner.sequences import Sequences

SHUFFLES = 8
"""Shuffled orders: of 34 tests of seven projects that vary with the order, reversing shows 24, this the others."""
HASH_SEEDS = (1, 2)
"""Beside the 0 of all forks: sets of strings come in another order under each."""
_FOR_ALONE = 0.45
_FOR_ORDERS = 0.6
_MOST_PROBES = 600
"""Shares of the time after which tests are no longer run alone, and no further order is begun."""


@dataclass(slots=True)
class Known:
    """What the planned runs showed of one test."""

    sightings: list[tuple[int, int, Verdict]] = field(default_factory=list)
    """Which segment, at which place, with which outcome."""
    alone: Verdict | None = None
    second: Verdict | None = None

    @property
    def outcomes(self) -> list[Verdict]:
        """Return all first outcomes."""
        found = [outcome for _, _, outcome in self.sightings]
        return [*found, self.alone] if self.alone else found

    @property
    def varies(self) -> bool:
        """Say whether it failed and did not fail, or fails when it runs again."""
        seen = set(self.outcomes)
        return ("failed" in seen and len(seen) > 1) or (self.alone == "passed" and self.second == "failed")


@dataclass(slots=True)
class Hunt:
    """One hunt over collected tests; `wanted` are the numbers of those to look into (None: all)."""

    prober: Prober
    until: float
    say: Callable[[str], None]
    factors: Sequence[Factor] = ()
    wanted: frozenset[int] | None = None
    began: float = field(default_factory=time.monotonic)
    known: dict[int, Known] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    explanations: dict[int, Explanation] = field(default_factory=dict)
    state: dict[int, list[StateDifference]] = field(default_factory=dict)
    causes: dict[int, Investigation | None] = field(default_factory=dict)
    search_seconds: float = 0.0
    attempts: list[tuple[int, str, Outcome]] = field(default_factory=list)
    """Every planned run of a test: its number, how it was run, and what came of it."""
    _segments: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def sequences(self) -> Sequences:
        """Return what runs the tests."""
        return self.prober.sequences

    def run(self) -> None:
        """Look for tests whose outcome varies, and explain each."""
        self.known = {item.number: Known() for item in self.sequences.items}
        for order in self._orders():
            self.say(f"order {len(self.orders) + 1}: {order.name}")
            self._try(order)
        self._hash_seeds()
        self._explain()

    # --- looking -----------------------------------------------------------------------------------

    def _orders(self) -> Iterator[Order]:
        """Yield the orders to try, and run the tests alone in between."""
        ids = [item.id for item in self.sequences.items]
        yield self._cut(natural(ids))
        if self.wanted is None or not self._settled():
            yield self._cut(backwards(ids))
        self._alone()
        for number, order in enumerate(shuffles(ids)):
            if number == SHUFFLES or self._share() > _FOR_ORDERS or (self.wanted and self._settled()):
                return
            yield self._cut(order)

    def _hash_seeds(self) -> None:
        """Run the order of collection in clean processes with other hash seeds: forks share one."""
        if self.wanted is not None:
            return
        tests = natural([item.id for item in self.sequences.items]).tests
        for seed in HASH_SEEDS:
            if self._share() > _FOR_ORDERS:
                self.notes.append(f"PYTHONHASHSEED={seed} was not tried: the time was used up")
                return
            self.say(f"the order of collection with PYTHONHASHSEED={seed}")
            self._take(tests, self.prober.run_apart(tests, {"PYTHONHASHSEED": str(seed)}))

    def _settled(self) -> bool:
        """Say whether each test that was asked for is known to vary."""
        if self.wanted is None:
            return False
        for number in self.wanted:
            if self.known[number].alone is None:
                self._run_alone(number)
        return all(self.known[number].varies for number in self.wanted)

    def _cut(self, order: Order) -> Order:
        """Leave out what comes after the last test that was asked for."""
        if self.wanted is None:
            return order
        last = max(place for place, number in enumerate(order.tests) if number in self.wanted)
        return Order(order.name, order.tests[: last + 1])

    def _share(self) -> float:
        return (time.monotonic() - self.began) / max(0.001, self.until - self.began)

    def _try(self, order: Order) -> None:
        """Run one order; a test that ends its process costs the others their place and not their turn."""
        self.orders.append(order)
        rest = order.tests
        while rest and not self.sequences.spent:
            # Half of it is held where a search will follow at once: it begins with that half.
            half = (len(rest) - 1) // 2 if self.wanted is not None and len(self.orders) == 1 else 0
            ran = self.prober.run(Probe(rest, hold=half, repeat=len(self.orders)))
            segment = self._take(rest, ran)
            if ran.ended not in ("died", "timeout") or not segment:
                break
            rest = rest[len(segment) :]

    def _take(self, tests: tuple[int, ...], ran: Ran) -> tuple[int, ...]:
        """Note what a run shows of its tests; return those that it came to."""
        segment = tests[: len(ran.outcomes)]
        self._segments.append(segment)
        for place, (number, outcome) in enumerate(zip(segment, ran.outcomes, strict=True)):
            found = verdict(outcome.status)
            self.attempts.append((number, "hunt", outcome))
            self.known[number].sightings.append((len(self._segments) - 1, place, found))
        return segment

    def _alone(self) -> None:
        """Run each test alone and once more, as long as there is time; not where each costs a process."""
        if not self.sequences.forks:
            self.notes.append("tests were not run alone: a thread that was started at import forbids forks")
            return
        due = sorted(self.wanted) if self.wanted is not None else list(self.known)
        for done, number in enumerate(due):
            if self._share() > _FOR_ALONE:
                self.notes.append(f"{len(due) - done} tests were not run alone: the time was used up")
                return
            if done % 25 == 0:
                self.say(f"alone and twice: {done} of {len(due)}")
            if self.known[number].alone is None:
                self._run_alone(number)

    def _run_alone(self, number: int) -> None:
        ran = self.prober.run(Probe((number, number)))
        self.attempts += [
            (number, mode, one) for mode, one in zip(("alone", "in-process"), ran.outcomes, strict=False)
        ]
        outcomes = [verdict(outcome.status) for outcome in ran.outcomes]
        known = self.known[number]
        known.alone = outcomes[0] if outcomes else None
        known.second = outcomes[1] if len(outcomes) > 1 else None

    # --- explaining --------------------------------------------------------------------------------

    def _explain(self) -> None:
        """Find out why, for each test that varies."""
        suspects = [
            number
            for number, known in self.known.items()
            if known.varies and (self.wanted is None or number in self.wanted)
        ]
        unexplained = 0
        for done, number in enumerate(suspects):
            self.say(f"why {self.sequences.items[number].id} ({done + 1} of {len(suspects)})")
            sets = {found.polluters or found.setters: None for found in self.explanations.values()}
            sets.pop((), None)
            begun, clean_before = time.monotonic(), self.prober.clean_seconds
            found = Explanation()
            judge = explain(number, self._sightings(number), tuple(sets), found=found)
            ended = drive({number: judge}, self.prober.run_all, lambda: not self.sequences.spent)[number]
            self.search_seconds += time.monotonic() - begun - (self.prober.clean_seconds - clean_before)
            unexplained += ended is None
            if ended is not None or found.categories:
                self.explanations[number] = found
        seen: set[tuple[int, ...]] = set()
        for number, found in self.explanations.items():
            if found.polluters and found.polluters not in seen:
                seen.add(found.polluters)
                self.say(f"what cleans up before {self.sequences.items[number].id}")
                cleaning = clean(number, found, self._sightings(number))
                drive({number: cleaning}, self.prober.run_all, lambda: not self.sequences.spent)
        self._reasons()
        if unexplained:
            self.notes.append(f"{plural(unexplained, 'test')} not explained to the end: the time was used up")

    def failing_order(self, number: int) -> tuple[int, ...]:
        """Return the shortest order in which a test was seen to fail, up to the test; empty where it was not."""
        found = [
            self._segments[segment][: place + 1]
            for segment, place, outcome in self.known[number].sightings
            if outcome == "failed"
        ]
        return min(found, key=len, default=())

    def _sightings(self, number: int) -> list[Sighting]:
        return [
            Sighting(self._segments[segment][:place], outcome)
            for segment, place, outcome in self.known[number].sightings
        ]

    def _reasons(self) -> None:
        """Find the state behind what depends on others, and the factor behind the rest, while there is time."""
        told: set[tuple[tuple[int, ...], ...]] = set()
        for number, found in self.explanations.items():
            if self.sequences.spent:
                return
            name = self.sequences.items[number].id
            group = (found.polluters, found.setters) if found.polluters or found.setters else (found.shown,)
            if found.confirmed and group not in told:
                told.add(group)
                self.say(f"what others leave behind for {name}")
                self.state[number] = state_of(self.prober, number, found)
            elif found.categories == {"non-deterministic"} and self.sequences.forks:
                self.say(f"what turns the outcome of {name}")
                self.causes[number] = cause_of(self.prober, number, found, self.factors, _MOST_PROBES)
