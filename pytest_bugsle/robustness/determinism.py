"""Does the model answer the same again: a second time, in another order, batch or process?  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from pytest_bugsle.robustness.bounds import LEVEL, rate_bound
from pytest_bugsle.robustness.judgement import (
    NOT_DETERMINISTIC,
    Figure,
    Judgement,
    Listed,
    Outcome,
    Remark,
    count,
    headline,
    listing,
    named,
    percent,
    shown,
    unjudged,
    unusable,
)

TOLERANCE = 1e-5
"""Of scores: single precision in another batch differs by some 1e-6."""

_CAUSES = {
    "second call": "chance that is not seeded, or a state that calls change",
    "other order": "a state that earlier inputs leave behind",
    "other batch": "answers that depend on the other inputs of a batch (normalisation, padding)",
    "other process": "a start that is not seeded: weights, hashes of text, the order of a set",
}


def difference(one: Any, other: Any) -> float | None:
    """Return by how much two answers differ at most in a number; None where they are not of one kind, or differ in a word.

    Sequences and arrays are compared place by place, mappings by key. NaN equals NaN, an infinity itself.
    """
    one, other = _plain(one), _plain(other)
    if isinstance(one, bool | str | bytes) or isinstance(other, bool | str | bytes) or one is None:
        return 0.0 if type(one) is type(other) and one == other else None
    if isinstance(one, int | float) and isinstance(other, int | float):
        return _apart(one, other)
    pairs: list[tuple[Any, Any]]
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return None
        pairs = [(one[key], other[key]) for key in one]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return None
        pairs = list(zip(one, other, strict=True))
    else:
        return 0.0 if one == other else None
    worst = 0.0
    for pair in pairs:
        found = difference(*pair)
        if found is None:
            return None
        worst = max(worst, found)
    return worst


def _plain(value: Any) -> Any:
    """Return arrays and numbers of numpy, torch and their kin as lists and numbers of Python."""
    if hasattr(value, "tolist") and not isinstance(value, list | tuple | Mapping):
        return value.tolist()
    return value


def _apart(one: float, other: float) -> float:
    if one == other:
        return 0.0
    try:
        off = abs(float(one) - float(other))
        return 0.0 if isnan(one) and isnan(other) else float("inf") if isnan(off) else off
    except OverflowError:  # whole numbers may be too large for a float
        return float("inf")


def deterministic(
    answers: Sequence[Any],
    again: Mapping[str, Sequence[Any]],
    *,
    tolerance: float = TOLERANCE,
    ids: Sequence[str] | None = None,
    inputs: Sequence[Any] | None = None,
    level: float = LEVEL,
) -> Judgement:
    """Judge whether every variation of the call gave the same answers.

    `again` maps the name of a variation ("second call", "other order", "other batch", "other process") to its
    answers, in the order of the examples. Words must be equal, numbers within `tolerance` (labels that are whole
    numbers differ by 1 at least). Any difference fails and is named with its variation. Examples count once, however many variations they differ in.
    """
    gate = "deterministic"
    if not tolerance >= 0:
        raise ValueError(f"tolerance == {tolerance}, must be >= 0.")
    n = len(answers)
    names = named(ids, n)
    if not n or not again:
        return unjudged(gate, "no examples" if again else "no call was repeated", n)
    for variation, others in again.items():
        if len(others) != n:
            return unusable(gate, f"{variation}: {len(others)} answers for {n} examples", n)
    changed: dict[int, list[str]] = {}
    figures, lines, causes = [], [], []
    for variation, others in again.items():
        apart = [difference(one, other) for one, other in zip(answers, others, strict=True)]
        differing = [place for place, off in enumerate(apart) if off is None or off > tolerance]
        for place in differing:
            changed.setdefault(place, []).append(variation)
        largest = max((off for off in apart if off is not None), default=0.0)
        bits = sum(off is not None and 0 < off <= tolerance for off in apart)
        figures.append(_figure(variation, len(differing), n, level))
        said = f"  {variation}: {len(differing)} of {n} differ"
        if bits:
            said += f"; {bits} within the tolerance {tolerance:g}"
        if largest:
            said += f"; scores by up to {largest:.2g}"
        lines.append(said)
        if differing and variation in _CAUSES:
            causes.append(f"  {variation}: look for {_CAUSES[variation]}")
    outcome: Outcome = "fail" if changed else "pass"
    bound = rate_bound(len(changed), n, level)
    listed = tuple(
        Listed(names[place], _told(place, changed[place], answers, again, inputs))
        for place in sorted(changed)
    )
    kinds = ", ".join(name for name in again if any(name in found for found in changed.values()))
    first = (
        f"{len(changed)} of {n} examples are answered otherwise in: {kinds}"
        if changed
        else f"{count(n, 'example')}, the same answers in {count(len(again), 'variation')}"
    )
    lines = [headline(gate, outcome, first), *lines, *causes, *listing(listed)]
    if not changed:
        lines.append(
            f"  fewer than {percent(bound.upper)} of such inputs can differ ({level:.0%}); short and doubtful inputs show more"
        )
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=n,
        message=tuple(lines),
        figures=(Figure("differing", bound.rate, n, bound.lower, bound.upper, 0.0), *figures),
        limit=0.0,
        remarks=(Remark(NOT_DETERMINISTIC, first),) if changed else (),
        examples=listed,
        tests=len(again),
    )


def _figure(variation: str, differing: int, n: int, level: float) -> Figure:
    bound = rate_bound(differing, n, level)
    return Figure(variation, bound.rate, n, bound.lower, bound.upper, 0.0)


def _told(
    place: int,
    variations: Sequence[str],
    answers: Sequence[Any],
    again: Mapping[str, Sequence[Any]],
    inputs: Sequence[Any] | None,
) -> str:
    first = variations[0]
    said = f"{shown(answers[place], 30)} -> {shown(again[first][place], 30)} ({', '.join(variations)})"
    return said if inputs is None else f"{said}: {shown(inputs[place])}"
