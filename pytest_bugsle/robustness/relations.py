"""What two answers must have to do with each other, as values: judged by, saved with a case, replayed by.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Self, TypeAlias

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.answers import Answer

Target: TypeAlias = str | int | float | bool | None
_SLACK = 1e-9
"""Sums of floats: 0.9 - 0.8 is less than 0.1."""


class Same(msgspec.Struct, frozen=True, tag="same", tag_field="kind"):
    """The same label, and scores that differ by no more than a tolerance: absolute, plus a share of the first."""

    score_tolerance: float | None = None
    relative_tolerance: float = 0.0

    def broken(self, before: Answer, after: Answer) -> bool:
        """Say whether the answer changed; UsageError for numbers without a tolerance."""
        if after.error:
            return True
        numbers = before.value is not None or after.value is not None
        if numbers and not self.tolerates:
            raise UsageError(
                "the model answers numbers, and no tolerance is given.",
                why="how far apart two numbers may be is yours to say",
                hint="score_tolerance=0.05, relative_tolerance=0.01, or let the model return labels",
            )
        if not numbers and before.label != after.label:
            return True
        if not self.tolerates:
            return False
        one, other = (
            (before.number, after.number)
            if numbers
            else (before.scores.get(before.label), after.scores.get(before.label))
        )
        if one is None and other is None:
            raise UsageError(
                "the model answers labels without scores, and a tolerance of scores is given.",
                why="no score was compared, and what was asked for would pass unseen",
                hint="let it return scores by label, or numbers (2.0, for 2 is a label); or leave the tolerance out",
            )
        if one is None or other is None:
            return True
        return abs(other - one) > (self.score_tolerance or 0.0) + self.relative_tolerance * abs(one)

    @property
    def tolerates(self) -> bool:
        """Say whether scores are compared at all."""
        return self.score_tolerance is not None or self.relative_tolerance != 0

    def said(self, answer: Answer, before: Answer) -> str:
        """Return an answer as a failure shows it."""
        return answer.shown()

    def for_parts(self) -> Self:
        """Return the relation by which a failing variation is shrunk."""
        return self

    def demand(self) -> str:
        """Return what is asked, in words."""
        if not self.tolerates:
            return "the label must stay"
        sizes = [f"{self.score_tolerance:g}"] if self.score_tolerance is not None else []
        sizes += [f"{100 * self.relative_tolerance:g} %"] if self.relative_tolerance else []
        return f"the answer must stay, and its score within {' + '.join(sizes)}"


class Direction(msgspec.Struct, frozen=True, tag="direction", tag_field="kind"):
    """The score falls by at least `lower_by`, or rises by `higher_by`; 0 allows it to stay.

    The score is the number, or that of the label `target` (without it, that of the example's own label).
    """

    lower_by: float | None = None
    higher_by: float | None = None
    target: Target = None

    def broken(self, before: Answer, after: Answer) -> bool:
        """Say whether the score moved otherwise; UsageError where there is none."""
        if after.error:
            return True
        label = before.label if self.target is None else self.target
        if before.value is not None or after.value is not None:
            one, other = before.number, after.number
        else:
            one, other = before.scores.get(label), after.scores.get(label)
        if one is None or other is None:
            raise UsageError(
                f"the model gives no score for {label!r}.",
                why="a direction is one of a score; a label has none",
                hint="let it return scores by label, or a number; target= names the label",
            )
        if self.lower_by is not None:
            return other - one > -self.lower_by + _SLACK
        return other - one < (self.higher_by or 0.0) - _SLACK

    def said(self, answer: Answer, before: Answer) -> str:
        """Return an answer as a failure shows it: the score that should move, and not that of another label."""
        label = before.label if self.target is None else self.target
        score = answer.scores.get(label)
        return answer.shown() if answer.error or score is None else f"{label} {score:.4f}"

    def for_parts(self) -> Direction:
        """Return the relation by which a failing variation is shrunk: that the score does not move the wrong way.

        Not that it moves far enough: a part of the edits without any meaning breaks that by itself.
        """
        if self.lower_by is not None:
            return Direction(lower_by=0.0, target=self.target)
        return Direction(higher_by=0.0, target=self.target)

    def demand(self) -> str:
        """Return what is asked, in words."""
        whose = "the score" if self.target is None else f"the score of {self.target!r}"
        way, size = ("fall", self.lower_by) if self.lower_by is not None else ("rise", self.higher_by)
        other = "rise" if way == "fall" else "fall"
        return f"{whose} must {way} by {size:g}" if size else f"{whose} must not {other}"


Relation: TypeAlias = Same | Direction
