"""The one driver of searches: a judge yields probes, they run in batches within a budget.  PYTEST_DONT_REWRITE

A judge is a generator. It yields a tuple of probes, is sent a mapping from each probe to its
answer, and returns its judgement. It is pure: whatever it learns comes in as answers. The driver
asks all judges for their next probes, hands the whole batch to `run` (which may merge probes that
one process can answer), and goes on until every judge has returned or the budget is used up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

K = TypeVar("K")
P = TypeVar("P")
A = TypeVar("A")
J = TypeVar("J")


def drive(
    judges: Mapping[K, Generator[tuple[P, ...], Mapping[P, A], J]],
    run: Callable[[Sequence[P]], Mapping[P, A]],
    affordable: Callable[[], bool] = lambda: True,
) -> dict[K, J | None]:
    """Run every judge to its end and return the judgements in the order of `judges`.

    A judge whose probes `run` did not answer, or that still had probes when `affordable` said no,
    gets None: it is not judged.
    """
    judgements: dict[K, J | None] = dict.fromkeys(judges)
    waiting: dict[K, tuple[P, ...]] = {}

    def advance(key: K, answers: Mapping[P, A] | None) -> None:
        judge = judges[key]
        try:
            probes = next(judge) if answers is None else judge.send(answers)
        except StopIteration as end:
            judgements[key] = end.value
            waiting.pop(key, None)
        else:
            waiting[key] = probes

    for key in judges:
        advance(key, None)
    while waiting and affordable():
        batch = tuple(dict.fromkeys(probe for probes in waiting.values() for probe in probes))
        answers = run(batch)
        for key, probes in list(waiting.items()):
            if all(probe in answers for probe in probes):
                advance(key, {probe: answers[probe] for probe in probes})
            else:
                judges[key].close()
                waiting.pop(key)
    for key in waiting:
        judges[key].close()
    return judgements
