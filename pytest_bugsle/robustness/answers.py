"""What a model says of one input, whatever it says it in: a label, scores, a number, or an error.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.robustness.arguments import plain
from pytest_bugsle.robustness.traits import is_missing

_MOST_TEXT = 200
_MARK = len(" … 10 characters … ")
NO_ANSWER = "no answer"
"""How the error of an input begins on which a model does not raise, and answers nothing that is finite."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer: `label` of a classifier, `scores` by label, `value` of a regression, `error` where it raised."""

    label: Any = None
    scores: Mapping[Any, float] = field(default_factory=dict)
    value: float | None = None
    error: str = ""

    @property
    def number(self) -> float | None:
        """Return the number that this is beside another one: a regression may answer 0 for 0.0."""
        return (
            self.label if self.value is None and type(self.label) is int and not self.scores else self.value
        )

    @property
    def confidence(self) -> float | None:
        """Return the score of the label, where the model gives one."""
        return self.scores.get(self.label)

    def score_of(self, target: Any = None) -> float | None:
        """Return what is to rise or fall: the number, or the score of a label (its own, where none is named)."""
        if self.value is not None:
            return self.value
        return self.scores.get(self.label if target is None else target)

    def shown(self) -> str:
        """Return the answer in a few words."""
        if self.error:
            return self.error if self.error.startswith(NO_ANSWER) else f"raises {self.error}"
        if self.value is not None:
            return f"{self.value:.4g}"
        sure = self.confidence
        return str(self.label) if sure is None else f"{self.label} ({sure:.2f})"


class NoAnswer(ValueError):
    """What a model returned cannot be read as an answer; the message says what it was."""


class NotFinite(NoAnswer):
    """A model answered NaN or an infinity: it has no answer to this input, and may have one to others."""


def read(raw: Any, classes: Sequence[Any] | None = None) -> Answer:
    """Return the answer that a model's return value for one input is; NoAnswer for what is none.

    A text, a whole number or a truth value is a label; any other number is a value (a label, where there are classes). A mapping is {"label": …,
    "score": …}, or scores by label; a list of the former are scores; a pair of a label and a number is both.
    A row of numbers are scores by `classes` (or by place): logits where they are no probabilities.
    """
    if hasattr(raw, "item") and getattr(raw, "shape", None) == ():
        raw = raw.item()
    if isinstance(raw, Answer):
        return raw
    if isinstance(raw, str | bool | int):
        return Answer(label=raw)
    if isinstance(raw, float):
        if not math.isfinite(raw):
            raise NotFinite(f"{raw}")
        return Answer(value=raw) if classes is None else Answer(label=raw)
    if isinstance(raw, Mapping):
        return _of_mapping(raw)
    if hasattr(raw, "tolist"):
        raw = raw.tolist()
    if isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[0], str) and _is_number(raw[1]):
        return Answer(label=raw[0], scores={raw[0]: _finite(raw[1])})
    if isinstance(raw, list | tuple) and raw:
        if all(isinstance(each, Mapping) and "label" in each and "score" in each for each in raw):
            return _best({_label(each["label"]): _finite(each["score"]) for each in raw})
        if all(_is_number(each) for each in raw):
            return _of_row(raw, classes)
    raise NoAnswer(f"{type(raw).__name__} {shortened(repr(raw))} is no answer")


def _label(value: Any) -> Any:
    """Return a label; NoAnswer for what says nothing, or is not equal to itself."""
    value = plain(value)
    if is_missing(value) or not isinstance(value, Hashable):
        raise NoAnswer(f"the label {shortened(repr(value))} is none")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (hasattr(value, "item") and getattr(value, "shape", None) == ())


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise NotFinite(f"a score of {number}")
    return number


def _best(scores: Mapping[Any, float]) -> Answer:
    return Answer(label=max(scores, key=lambda label: scores[label]), scores=scores)


def _of_mapping(raw: Mapping[Any, Any]) -> Answer:
    if "label" in raw:
        score = raw.get("score")
        label = _label(raw["label"])
        return Answer(label=label, scores={} if score is None else {label: _finite(score)})
    if raw and all(_is_number(value) for value in raw.values()):
        return _best({label: _finite(value) for label, value in raw.items()})
    raise NoAnswer(f"{shortened(repr(raw))} has no label, and is no table of scores")


def _of_row(row: Sequence[Any], classes: Sequence[Any] | None) -> Answer:
    numbers = [_finite(value) for value in row]
    if len(numbers) == 1:
        return Answer(value=numbers[0])
    if classes is not None and len(classes) != len(numbers):
        raise NoAnswer(f"there are {len(numbers)} scores for {len(classes)} classes")
    return _best(dict(zip(range(len(numbers)) if classes is None else classes, numbers, strict=True)))


def shortened(text: str, most: int = _MOST_TEXT) -> str:
    """Return the text, or both ends of it with the number of characters that are left out.

    It is left whole where saying so would be as long as what is left out.
    """
    if len(text) <= most + _MARK:
        return text
    half = most // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters … {text[-half:]}"


def told(error: BaseException) -> str:
    """Return a stranger's error on one line: its kind, and what it says, where it can say it."""
    kind = type(error).__name__
    try:
        said = for_terminal(str(error))
    except Exception:  # noqa: BLE001  # its words may raise, too
        return kind
    return f"{kind}: {shortened(said)}" if said else kind
