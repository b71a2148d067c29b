"""Shrink a variation to one of which no edit can be left out.  PYTEST_DONT_REWRITE

Delta debugging, asked in batches: all parts and all complements of one granularity at once. Source: A. Zeller and
R. Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE Transactions on Software Engineering 28
(2002), 183-200, algorithm ddmin. Where there are few edits it begins with each of them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from typing import TypeVar

from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.edits import Edit
from pytest_bugsle.robustness.variations import Variation

_FEW = 32
_MOST_EDITS = 1_000_000
"""Edits that the tries of one variation may hold together: one of a book is left as small as that made it."""
J = TypeVar("J")
Asking = Generator[tuple[Hashable, ...], Mapping[Hashable, Answer], J]
"""A judge: yields what a model is to be asked, is sent the answers, returns its judgement."""


def shrink(variation: Variation, fails: Callable[[Answer], bool]) -> Asking[Variation]:
    """Return the variation with a 1-minimal part of its edits that still fails; all of them do.

    It is not 1-minimal, and says `stopped`, where that would take more tries than _MOST_EDITS allows.
    """
    edits = variation.edits
    spent = 0
    minimal = len(edits) <= 1
    pieces = len(edits) if len(edits) <= _FEW else 2
    while not minimal and spent + len(edits) * pieces <= _MOST_EDITS:
        parts = _split(edits, pieces)
        candidates = list(parts)
        if pieces > 2:
            candidates += _complements(edits, parts)
        spent += len(edits) * pieces
        probes = [variation.part(candidate) for candidate in candidates]
        answers = yield tuple(probes)
        failing = [
            candidate for candidate, probe in zip(candidates, probes, strict=True) if fails(answers[probe])
        ]
        if failing:
            edits = min(failing, key=len)
            pieces = 2
            minimal = len(edits) == 1
        elif pieces < len(edits):
            pieces = min(len(edits), pieces * 2)
        else:
            minimal = True
    return Variation(variation.before, variation.part(edits), edits, stopped=not minimal)


def _complements(edits: tuple[Edit, ...], parts: Sequence[tuple[Edit, ...]]) -> list[tuple[Edit, ...]]:
    made = []
    start = 0
    for part in parts:
        made.append(edits[:start] + edits[start + len(part) :])
        start += len(part)
    return made


def _split(edits: Sequence[Edit], pieces: int) -> list[tuple[Edit, ...]]:
    size, more = divmod(len(edits), pieces)
    found = []
    start = 0
    for number in range(pieces):
        stop = start + size + (number < more)
        found.append(tuple(edits[start:stop]))
        start = stop
    return found


def together(judges: Sequence[Asking[J]]) -> Asking[list[J]]:
    """Run judges side by side: what all of them ask at one time is asked at once."""
    done: dict[int, J] = {}
    waiting: dict[int, tuple[Hashable, ...]] = {}
    sent: dict[int, Mapping[Hashable, Answer] | None] = dict.fromkeys(range(len(judges)))
    while sent:
        for number, answers in sent.items():
            try:
                waiting[number] = next(judges[number]) if answers is None else judges[number].send(answers)
            except StopIteration as end:
                waiting.pop(number, None)
                done[number] = end.value
        if not waiting:
            break
        answers = yield tuple(dict.fromkeys(probe for probes in waiting.values() for probe in probes))
        sent = dict.fromkeys(waiting, answers)
    return [done[number] for number in range(len(judges))]
