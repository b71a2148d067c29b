"""What a model predicts of its examples, as the judges of errors, groups and scores take it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
import random
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness import baseline, calibration, confident, determinism, fairness, slices
from pytest_bugsle.robustness.answers import Answer, shortened
from pytest_bugsle.robustness.edits import digest_of
from pytest_bugsle.robustness.judgement import Judgement, shown

_OTHER = "other"
_MOST_OTHERS = 10_000
"""Labels that a model may have beside the one that it names: a share below one of so many is none of a best label."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to examples beside the right ones; examples on which the model raises are left out.

    `places` are those of the examples that are left, in what the user gave.
    """

    examples: Sequence[Any]
    answers: Sequence[Answer]
    labels: Sequence[Hashable] | None
    seed: int = 0
    places: Sequence[int] = ()

    def right(self, gate: str) -> Sequence[Hashable]:
        """Return the right answers; UsageError where there are none, or none that the model ever gives."""
        if self.labels is None:
            raise UsageError(
                f"{gate} needs the right answers.", why="without them no answer is wrong", hint="labels=[…]"
            )
        _same_names(self.answers, self.labels)
        return self.labels

    @property
    def labels_given(self) -> list[Hashable]:
        """Return the labels that the model gave."""
        return [answer.label for answer in self.answers]

    def ids(self) -> list[str]:
        """Return the ids of the examples: by what they hold, so that they outlive a change of order."""
        return [digest_of(example).hex()[:12] for example in self.examples]

    def probabilities(self) -> list[dict[Any, float]] | None:
        """Return a row of probabilities for each example; None where the model gives none."""
        if not all(answer.scores for answer in self.answers):
            return None
        labels = self.labels or [None] * len(self.answers)
        return [_row(answer, label) for answer, label in zip(self.answers, labels, strict=True)]


def _same_names(answers: Sequence[Answer], labels: Sequence[Hashable], of: str = "the model") -> None:
    """Raise UsageError where no answer is ever one of the labels: they are other names, most likely."""
    said = {name for answer in answers for name in (answer.label, *answer.scores)}
    if answers and not said & set(labels):
        given = {answer.label for answer in answers}
        raise UsageError(
            f"no answer of {of} is ever one of the labels: {_some(given)}, and {_some(set(labels))}.",
            why="then each answer is wrong, which says more of the names than of the model",
            hint="translate one into the other; classes= names the columns of scores",
        )


def _some(labels: Collection[Hashable]) -> str:
    return shortened(", ".join(sorted(map(repr, labels))), 80)


def _row(answer: Answer, label: Hashable) -> dict[Any, float]:
    """Return all probabilities; where only the label's own is there, the rest goes to the right one and to others."""
    if len(answer.scores) != 1:
        return dict(answer.scores)
    sure = answer.scores[answer.label]
    if not 0 < sure <= 1:
        return dict(answer.scores)
    many = int((1 - sure) / sure) + 1  # so many others that none is as likely
    if many > _MOST_OTHERS:
        return dict(answer.scores)
    names: list[Any] = [f"{_OTHER} {number}" for number in range(many)]
    if label != answer.label and label is not None:
        names[0] = label
    return {answer.label: sure, **dict.fromkeys(names, (1 - sure) / many)}


def calibrated(made: Predictions, *, max_excess: float, bins: int | None) -> Judgement:
    """Judge the model's confidence."""
    right = made.right("calibrated")
    more: dict[str, Any] = {} if bins is None else {"bins": bins}
    chance = random.Random(made.seed)  # noqa: S311  # resampling, no secrets
    return calibration.calibrated(
        made.probabilities(), right, uniform=chance.random, max_excess=max_excess, **more
    )


def confident_errors(
    made: Predictions, *, threshold: float, max_rate: float, triaged: Collection[str]
) -> Judgement:
    """Judge the errors of which the model was sure."""
    return confident.confident_errors(
        made.probabilities(),
        made.right("confident_errors"),
        threshold=threshold,
        max_rate=max_rate,
        ids=made.ids(),
        inputs=list(made.examples),
        triaged=triaged,
    )


def weak_slices(
    made: Predictions,
    names: Sequence[str] | None,
    columns: Mapping[str, Sequence[Any]] | None,
    **options: Any,
) -> Judgement:
    """Judge groups of examples; UsageError names the nearest dimension."""
    right = made.right("slices")
    sure = [answer.confidence for answer in made.answers]
    known = slices.dimensions(
        predicted=made.labels_given,
        labels=right,
        inputs=list(made.examples),
        confidence=[each for each in sure if each is not None] if None not in sure else None,
        columns=columns,
    )
    wanted = list(known) if names is None else [*names, *(columns or {})]
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"there is no dimension {name!r}.", hint=hint)
    correct = [one == other for one, other in zip(made.labels_given, right, strict=True)]
    return slices.weak_slices(
        correct,
        {name: known[name] for name in wanted},
        predefined=None if names is None else wanted,
        keys=made.ids(),
        told=[
            f"{shown(answer.label, 30)}, is {shown(label, 30)}: {shown(example)}"
            for answer, label, example in zip(made.answers, right, made.examples, strict=True)
        ],
        **options,
    )


def fair(
    made: Predictions, groups: Sequence[Hashable], *, positive: Hashable, max_gap: float, **options: Any
) -> Judgement:
    """Judge the gaps between groups; UsageError where the positive label is none."""
    labels = list(dict.fromkeys([*made.labels_given, *(made.labels or ())]))
    if positive not in labels:
        raise UsageError(
            f"the positive label {positive!r} is none of {_some(labels)}.",
            hint="positive= (--positive) names the label that helps",
        )
    return fairness.fair(
        groups, made.labels_given, made.labels, positive=positive, max_gap=max_gap, **options
    )


def not_worse_than(
    made: Predictions, other: Sequence[Answer], *, margin: float | None, name: str
) -> Judgement:
    """Judge a model beside the one before it; what that one raises on takes no part."""
    more: dict[str, Any] = {} if margin is None else {"margin": margin}
    labels = made.right("not_worse_than")
    kept = [place for place, answer in enumerate(other) if not answer.error]
    _same_names([other[place] for place in kept], labels, f"the baseline {name}")
    ids = made.ids()
    judgement = baseline.not_worse_than(
        [made.answers[place].label for place in kept],
        [other[place].label for place in kept],
        [labels[place] for place in kept],
        ids=[ids[place] for place in kept],
        inputs=[made.examples[place] for place in kept],
        **more,
    )
    if len(kept) == len(other):
        return judgement
    said = f"  {len(other) - len(kept):,} examples left out on which the baseline {name} raises"
    return replace(judgement, message=(*judgement.message, said))


def deterministic(
    made: Predictions, again: Mapping[str, Sequence[Answer]], *, tolerance: float | None
) -> Judgement:
    """Judge answers that were asked for again."""
    more: dict[str, Any] = {} if tolerance is None else {"tolerance": tolerance}
    return determinism.deterministic(
        [_plain(answer) for answer in made.answers],
        {name: [_plain(answer) for answer in answers] for name, answers in again.items()},
        ids=made.ids(),
        inputs=list(made.examples),
        **more,
    )


def _plain(answer: Answer) -> Any:
    if answer.error:
        return answer.error
    if answer.value is not None:
        return answer.value
    return [answer.label, dict(answer.scores)] if answer.scores else answer.label
