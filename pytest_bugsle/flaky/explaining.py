"""Say of one test whose outcome varies what it depends on.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pytest_bugsle.flaky.attempts import error_print
from pytest_bugsle.flaky.search import MOST_MEMBERS, Answers, Probe, deciding
from pytest_bugsle.runner.outcome import Ran

Category = Literal[
    "victim", "brittle", "not-idempotent", "non-deterministic", "probabilistic", "failing", "stable"
]
Verdict = Literal["passed", "failed", "skipped"]
CONFIRMATIONS = 3
"""Runs in clean processes that must agree before anything is said."""
ALONE = 10
"""Runs alone: of a coin, fewer agree by chance so often that it would be taken for a victim."""
_ORDERED: Mapping[str, Category] = {"failed": "victim", "passed": "brittle"}
_CLEANED = 2
"""Orders in which the test passed after its polluters that are looked into."""


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" + "s" * (count != 1)


def verdict(status: str) -> Verdict:
    """Return what an outcome says of a test: a skip is neither pass nor failure."""
    if status in ("passed", "xfailed", "xpassed"):
        return "passed"
    return "skipped" if status in ("skipped", "missing") else "failed"


def outcome_of(ran: Ran) -> Verdict:
    """Return what a sequence shows of its last test; one that an earlier test cut short shows nothing."""
    return verdict(ran.last.status) if ran.last is not None else "skipped"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One outcome of the test after a prefix of others."""

    before: tuple[int, ...]
    outcome: Verdict


@dataclass(slots=True)
class Explanation:
    """What a test's outcome depends on; numbers are of tests, in the order that is needed.

    What stands in it holds at any time: a search that is out of time leaves what it has.
    """

    categories: set[Category] = field(default_factory=set)
    polluters: tuple[int, ...] = ()
    setters: tuple[int, ...] = ()
    cleaners: tuple[int, ...] = ()
    many: tuple[int, ...] = ()
    """Tests that turn the outcome together, where a few are not enough."""
    why: str = ""
    shown: tuple[int, ...] = ()
    """A sequence that shows it in a clean process."""
    plain: bool = False
    """Whether `pytest` with these ids as arguments shows it."""
    confirmed: int = 0
    probes: int = 0
    alone: list[Verdict] = field(default_factory=list)
    second: list[Verdict] = field(default_factory=list)
    """What it did when it ran again in the same process, right after it ran alone."""
    replayed: list[Verdict] = field(default_factory=list)
    """What it did after the same tests as where it was seen."""
    errors: set[str] = field(default_factory=set)
    """By what the errors are known that it showed alone or after the same tests."""


Explaining: TypeAlias = Generator[tuple[Probe, ...], Answers, Explanation]


def explain(
    test: int,
    sightings: Sequence[Sighting],
    known: Sequence[tuple[int, ...]] = (),
    *,
    alone: int = ALONE,
    replays: int = 0,
    found: Explanation | None = None,
) -> Explaining:
    """Find out by experiments on what the outcome of a test depends.

    `sightings` are its outcomes in the orders that were tried; `known` are polluters and setters of other
    tests, which are tried first: what pollutes one test often pollutes the next. It is run `alone` so many
    times; what was seen is run again `replays` times first, or, with none, only where the search does not end
    in a confirmed answer. What comes out is written into `found` as it is known, and returned.
    """
    found = Explanation() if found is None else found
    twice = tuple(Probe((test, test), repeat=number) for number in range(CONFIRMATIONS))
    once = tuple(Probe((test,), repeat=number) for number in range(alone - CONFIRMATIONS))
    answers = yield (*twice, *once)
    runs = [answers[probe].outcomes for probe in (*twice, *once)]
    found.alone = [verdict(outcomes[0].status) for outcomes in runs if outcomes]
    found.second = second = [verdict(outcomes[1].status) for outcomes in runs if len(outcomes) > 1]
    found.errors |= {error_print(outcomes[0]) for outcomes in runs if outcomes}
    found.probes += len(runs)
    if len(set(found.alone)) > 1:
        found.categories.add("non-deterministic")
        found.why = f"alone it failed {found.alone.count('failed')} of {len(found.alone)} times"
        return found
    if not found.alone:
        found.why = "it did not come to run alone"
        return found
    if found.alone[0] == "passed" and "failed" in second:
        yield from _second(test, second, found)
    opposite = "passed" if found.alone[0] == "failed" else "failed"
    turning = [sighting for sighting in sightings if sighting.outcome == opposite and sighting.before]
    if turning:
        first = min(turning, key=lambda sighting: len(sighting.before))
        yield from _ordered(test, first, opposite, known, replays, found)
    if not found.categories:
        if found.alone[0] == "failed":
            found.categories.add("failing")
            found.shown = (test,)
        elif any(sighting.outcome == "failed" for sighting in sightings):
            found.categories.add("non-deterministic")
    return found


def _second(
    test: int, second: list[Verdict], found: Explanation
) -> Generator[tuple[Probe, ...], Answers, None]:
    """Confirm that the test fails when it runs a second time in one process."""
    if set(second) != {"failed"}:
        found.categories.add("non-deterministic")
        found.why = f"run again in the same process it failed {second.count('failed')} of {len(second)} times"
        return
    clean = tuple(Probe((test, test), apart=True, repeat=number) for number in range(CONFIRMATIONS))
    answers = yield clean
    found.probes += len(clean)
    agreed = sum(
        [verdict(outcome.status) for outcome in answers[probe].outcomes] == ["passed", "failed"]
        for probe in clean
    )
    if agreed == len(clean):
        found.categories.add("not-idempotent")
        found.why = "it passes, and fails when it runs again in the same process"
        found.shown = (test, test)
        found.confirmed = agreed


def _ordered(
    test: int,
    sighting: Sighting,
    opposite: str,
    known: Sequence[tuple[int, ...]],
    replays: int,
    found: Explanation,
) -> Generator[tuple[Probe, ...], Answers, None]:
    """Find which of the tests before it turn the outcome, and confirm that in clean processes."""

    def turned(ran: Ran) -> bool:
        return outcome_of(ran) == opposite

    for members in known:
        if test not in members:
            probe = Probe((*members, test))
            answers = yield (probe,)
            found.probes += 1
            if turned(answers[probe]) and (yield from _search(test, members, turned, opposite, found)):
                return
    before = sighting.before
    tried = []
    if replays:
        tried = yield from _replayed(test, before, replays, turned, found)
        if all(tried):  # so much is known, should there be no time to find out more
            found.categories.add(_ORDERED[opposite])
    if all(tried) and (yield from _search(test, before, turned, opposite, found)):
        return
    found.categories.discard(_ORDERED[opposite])
    if not replays:
        tried = yield from _replayed(test, before, CONFIRMATIONS - 1, turned, found)
    if all(tried):
        if (yield from _search(test, before, turned, opposite, found, apart=True)):
            return
        found.categories.add("probabilistic")
        found.why = (
            f"it {opposite} after {len(before)} other tests, which no clean process could show in fewer"
        )
        return
    found.categories.add("probabilistic" if any(tried) else "non-deterministic")
    times = f"{1 + sum(tried)} of {1 + len(tried)} runs"
    found.why = f"after the same {plural(len(before), 'test')} it {opposite} in {times}"


def _replayed(
    test: int, before: tuple[int, ...], times: int, turned: Callable[[Ran], bool], found: Explanation
) -> Generator[tuple[Probe, ...], Answers, list[bool]]:
    """Run what was seen again, and return whether the outcome was the same each time."""
    replays = tuple(Probe((*before, test), hold=len(before), repeat=number) for number in range(times))
    answers = yield replays
    found.probes += len(replays)
    found.replayed = [outcome_of(answers[probe]) for probe in replays]
    found.errors |= {error_print(last) for probe in replays if (last := answers[probe].last) is not None}
    return [turned(answers[probe]) for probe in replays]


def _search(
    test: int,
    before: tuple[int, ...],
    turned: Callable[[Ran], bool],
    opposite: str,
    found: Explanation,
    *,
    apart: bool = False,
) -> Generator[tuple[Probe, ...], Answers, bool]:
    """Find a minimal part of `before` that turns the outcome; say whether clean processes agree."""
    members = yield from _counted(deciding((), before, test, turned, apart=apart), found)
    many = members is not None and len(members) > MOST_MEMBERS
    if many:
        members = before
    if not members or not (yield from _confirm(test, members, opposite, found)):
        return False
    found.confirmed = CONFIRMATIONS
    found.categories.add(_ORDERED[opposite])
    if many:
        found.many = members
        found.shown = ()  # no command line has room for it: an order is saved
        found.why = f"it {opposite} after {len(before)} other tests, and {MOST_MEMBERS} of them were not found to be enough"
        return True
    found.shown = (*members, test)
    if opposite == "failed":
        found.polluters = members
    else:
        found.setters = members
    return True


def _confirm(
    test: int, members: tuple[int, ...], opposite: str, found: Explanation
) -> Generator[tuple[Probe, ...], Answers, bool]:
    """Say whether clean processes agree; alone, the forks have shown it three times already.

    They run side by side first. Tests may meet outside the tree, in a home folder or at a port: where they do
    not agree they are asked again, one after the other.
    """
    for beside in (True, False):
        alone = Probe((test,), apart=True, beside=beside)
        after = tuple(
            Probe((*members, test), apart=True, beside=beside, repeat=number)
            for number in range(CONFIRMATIONS)
        )
        answers = yield (alone, *after)
        found.probes += 1 + len(after)
        if outcome_of(answers[alone]) == found.alone[0] and all(
            outcome_of(answers[one]) == opposite for one in after
        ):
            found.plain = all(answers[probe].plain for probe in after)
            return True
    return False


def _candidates(polluters: tuple[int, ...], sightings: Sequence[Sighting]) -> Iterator[tuple[int, ...]]:
    """Yield sequences in which a cleaner may be, the best first.

    Where the test passed though the polluters ran before it, a cleaner stood between.
    """
    passed = [sighting for sighting in sightings if sighting.outcome == "passed"]
    for sighting in [one for one in passed if set(polluters) <= set(one.before)][:_CLEANED]:
        last = max(sighting.before.index(polluter) for polluter in polluters)
        yield sighting.before[last + 1 :]


def clean(
    test: int, found: Explanation, sightings: Sequence[Sighting]
) -> Generator[tuple[Probe, ...], Answers, None]:
    """Look for a test that takes the polluters' effect away: it names the state.

    What is found is written into the explanation. Where the test never passed after its polluters, there is
    no sign of a cleaner, and none is looked for.
    """

    def turned(ran: Ran) -> bool:
        return outcome_of(ran) == "passed"

    for order in _candidates(found.polluters, sightings):
        everything = Probe((*found.polluters, *order, test))
        answers = yield (everything,)
        found.probes += 1
        if not order or not turned(answers[everything]):
            continue
        cleaners = yield from _counted(deciding(found.polluters, order, test, turned), found)
        if cleaners and len(cleaners) <= MOST_MEMBERS:
            apart = tuple(
                Probe((*found.polluters, *cleaners, test), apart=True, repeat=number)
                for number in range(CONFIRMATIONS)
            )
            answers = yield apart
            found.probes += len(apart)
            if all(turned(answers[probe]) for probe in apart):
                found.cleaners = cleaners
                return


def _counted(
    search: Generator[tuple[Probe, ...], Answers, tuple[int, ...] | None], found: Explanation
) -> Generator[tuple[Probe, ...], Answers, tuple[int, ...] | None]:
    """Hand a search on, counting its probes."""
    try:
        probes = next(search)
        while True:
            found.probes += len(probes)
            probes = search.send((yield probes))
    except StopIteration as end:
        value: tuple[int, ...] | None = end.value
        return value
