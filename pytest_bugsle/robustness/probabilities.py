"""Read what a model says of its own certainty, and refuse what is no probability.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Any

from pytest_bugsle.robustness.judgement import shown

TOLERANCE = 1e-3
"""How far the sum of a row may be from 1: half precision leaves that much."""


class NoProbabilityError(ValueError):
    """What was handed over as probabilities is none; the text names the row."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """What the model chose for each example, how sure it was, and its Brier score against the labels."""

    predicted: tuple[Hashable, ...]
    confidence: tuple[float, ...]
    correct: tuple[bool, ...]
    brier: float


def certainty(
    probabilities: Sequence[Any], labels: Sequence[Hashable], classes: Sequence[Hashable] | None = None
) -> Certainty:
    """Return the certainty of each answer, by the largest of its probabilities.

    A row is a mapping from class to probability, a sequence in the order of `classes`, or one number: the
    chance of the second of two `classes`, by default of 1 among 0 and 1. Of a tie the first class is taken, as
    argmax does. The Brier score is the mean over examples of the summed squares over the classes, for two
    classes over the second alone. NoProbabilityError for numbers below 0 or above 1 (logits), not a number,
    sums that are not 1, and labels that are no class; ValueError where the lengths differ. Source: G. W. Brier,
    "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950), 1-3.
    """
    if len(probabilities) != len(labels):
        raise ValueError(f"{len(probabilities)} rows and {len(labels)} labels, must be as many.")
    predicted: list[Hashable] = []
    confidence: list[float] = []
    scores: list[float] = []
    for place, (given, label) in enumerate(zip(probabilities, labels, strict=True)):
        row = _row(given, classes, place)
        if label not in row:
            raise NoProbabilityError(
                f"row {place}: the label {shown(label)} is none of the classes {shown(list(row))}."
            )
        best = max(row, key=lambda one: row[one])
        predicted.append(best)
        confidence.append(min(1.0, row[best]))
        squares = fsum((share - (one == label)) ** 2 for one, share in row.items())
        scores.append(squares / 2 if len(row) == 2 else squares)
    return Certainty(
        tuple(predicted),
        tuple(confidence),
        tuple(one == label for one, label in zip(predicted, labels, strict=True)),
        fsum(scores) / len(scores) if scores else 0.0,
    )


def _row(given: Any, classes: Sequence[Hashable] | None, place: int) -> dict[Hashable, float]:
    """Return class -> probability of one row; NoProbabilityError where it is none."""
    if given is None:
        raise NoProbabilityError(f"row {place}: no probabilities.")
    if isinstance(given, Mapping):
        row = {one: _number(share, place) for one, share in given.items()}
    elif isinstance(given, str | bytes):
        raise NoProbabilityError(f"row {place}: {shown(given)} is no probability.")
    elif hasattr(given, "__len__"):
        shares = [_number(share, place) for share in given]
        known = list(range(len(shares))) if classes is None else list(classes)
        if len(known) != len(shares):
            raise NoProbabilityError(f"row {place}: {len(shares)} numbers for {len(known)} classes.")
        row = dict(zip(known, shares, strict=True))
    else:
        share = _number(given, place)
        first, second = (0, 1) if classes is None else _pair(classes, place)
        row = {first: 1 - share, second: share}
    if not row:
        raise NoProbabilityError(f"row {place}: no class at all.")
    outside = [share for share in row.values() if not -TOLERANCE <= share <= 1 + TOLERANCE]
    if outside:
        raise NoProbabilityError(
            f"row {place}: {outside[0]:g} is no probability, it looks like a logit: apply softmax or a sigmoid first."
        )
    total = fsum(row.values())
    if abs(total - 1) > TOLERANCE:
        raise NoProbabilityError(
            f"row {place}: the sum is {total:g}, not 1: scores of separate labels, or not normalised."
        )
    return {one: min(1.0, max(0.0, share)) for one, share in row.items()}


def _pair(classes: Sequence[Hashable], place: int) -> tuple[Hashable, Hashable]:
    if len(classes) != 2:
        raise NoProbabilityError(f"row {place}: one number for {len(classes)} classes.")
    return classes[0], classes[1]


def _number(value: Any, place: int) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise NoProbabilityError(f"row {place}: {shown(value)} is no number.") from None
    if not isfinite(number):
        raise NoProbabilityError(f"row {place}: {number} is no probability.")
    return number
