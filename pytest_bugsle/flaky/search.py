"""Find the tests before another one that turn its outcome.  PYTEST_DONT_REWRITE

The outcome of a test is known at both ends: after nothing, and after a whole prefix, where it is another.
So there is a place at which it turns: without the test at that place the old outcome, with it the new one.
Halving finds such a place whatever lies between (several polluters, cleaners, pairs in an order), because
one of the halves always has a turn. The test found is then held fixed right before the target, and if that
is not enough, the search goes on in what stood before it. Each round costs one run of the prefix, since
what the halves have in common is run once.

Plain bisection (which half fails?) and delta debugging (A. Zeller and R. Hildebrandt, "Simplifying and
isolating failure-inducing input", IEEE Transactions on Software Engineering 28 (2002)) ask another
question, which a conjunction in both halves, or a cleaner in one, leaves without an answer, or makes dear.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pytest_bugsle.runner.outcome import Ran


@dataclass(frozen=True, slots=True)
class Probe:
    """One sequence of tests to run, by their numbers.

    The first `hold` tests are likely to come again; `apart` asks for a process of its own, which collects no
    more than it runs, and `beside` allows others at the same time; `repeat` tells probes of the same sequence
    apart.
    """

    tests: tuple[int, ...]
    hold: int = 0
    apart: bool = False
    beside: bool = False
    repeat: int = 0


MOST_MEMBERS = 20
"""Tests that a search holds fixed before it ends: where a cache fills up, each of hundreds does its part."""

Answers: TypeAlias = Mapping[Probe, Ran]
Search: TypeAlias = Generator[tuple[Probe, ...], Answers, "tuple[int, ...] | None"]


def deciding(
    head: tuple[int, ...],
    prefix: tuple[int, ...],
    target: int,
    turned: Callable[[Ran], bool],
    *,
    apart: bool = False,
) -> Search:
    """Return a minimal part of `prefix`, in its order, that turns the target's outcome after `head`.

    `turned` says whether a run shows the new outcome: it does after the whole prefix, and does not after
    `head` alone. None where the outcome does not turn as it did (then it is no function of the order). More than
    MOST_MEMBERS stand for no answer: so many were not enough yet.
    """

    def probe(middle: tuple[int, ...], tail: tuple[int, ...]) -> Probe:
        before = (*head, *middle)
        return Probe((*before, *tail, target), hold=len(before), apart=apart)

    found: tuple[int, ...] = ()
    while True:
        low, high = 0, len(prefix)
        while high - low > 1:
            middle = (low + high) // 2
            asked = probe(prefix[:middle], found)
            answers = yield (asked,)
            low, high = (low, middle) if turned(answers[asked]) else (middle, high)
        if not prefix:
            return None
        found = (prefix[low], *found)
        prefix = prefix[:low]
        asked = probe((), found)
        answers = yield (asked,)
        if turned(answers[asked]):
            break
        if len(found) > MOST_MEMBERS:
            return found
    left_out = True
    while left_out and len(found) > 1:  # what one pass leaves out may make another member needless
        left_out = False
        for member in found:
            fewer = tuple(test for test in found if test != member)
            asked = probe((), fewer)
            answers = yield (asked,)
            if turned(answers[asked]):
                found, left_out = fewer, True
                break
    return found
