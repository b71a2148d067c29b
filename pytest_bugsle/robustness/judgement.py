"""What a judge of a model hands out: an outcome, its figures with bounds, and the lines that a user reads.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_bugsle.results import ModelGap, ModelGroup

Outcome = Literal["pass", "fail", "undecided", "invalid"]

NOT_DETERMINISTIC: Final = "BUG403"
BAD_INPUT_ANSWERED: Final = "BUG404"
CONFIDENT_AND_WRONG: Final = "BUG405"
MISCALIBRATED: Final = "BUG406"
WEAK_SLICE: Final = "BUG407"
UNFAIR_GAP: Final = "BUG408"
WORSE_THAN_BASELINE: Final = "BUG409"

SHOWN = 60
"""Characters of a value that a message shows."""

LISTED = 5
"""Examples that a message names; the judgement holds all."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a judgement, with its one-sided bounds where it has them, the n behind it, and its limit."""

    name: str
    value: float | None
    n: int
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding of a judge: the code of its rule, and what it says."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An example that a judgement rests on: its id and what is to be said of it."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """A point of a reliability diagram: mean confidence, the share that was right, and where chance would put it."""

    confidence: float
    right: float
    n: int
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer of one judge.

    `limit` is what was asked, None where nothing was; `n_needed` the examples that would settle it, None where
    it is settled or no number would; `tests` counts the hypotheses tested. `message` has one line an entry, the
    first of them the verdict; `reliability` the points of a diagram, of calibration alone; `groups` are the slices
    or groups that were compared, `gaps` the widest between the latter.
    """

    gate: str
    outcome: Outcome
    n: int
    message: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    limit: float | None = None
    n_needed: int | None = None
    remarks: tuple[Remark, ...] = ()
    examples: tuple[Listed, ...] = ()
    tests: int = 0
    reliability: tuple[ReliabilityBin, ...] = ()
    groups: tuple[ModelGroup, ...] = ()
    gaps: tuple[ModelGap, ...] = ()

    def figure(self, name: str) -> Figure:
        """Return the figure of that name; KeyError where there is none."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)


def unusable(gate: str, why: str, n: int = 0, limit: float | None = None) -> Judgement:
    """Return the judgement of data that contradict themselves."""
    return Judgement(gate=gate, outcome="invalid", n=n, message=(f"INVALID {gate}: {why}",), limit=limit)


def unjudged(
    gate: str, why: str, n: int = 0, limit: float | None = None, n_needed: int | None = None
) -> Judgement:
    """Return the judgement where what it needs is not there."""
    return Judgement(
        gate=gate,
        outcome="undecided",
        n=n,
        message=(f"UNDECIDED {gate}: {why}",),
        limit=limit,
        n_needed=n_needed,
    )


def headline(gate: str, outcome: Outcome, said: str) -> str:
    """Return the first line of a message."""
    return f"{outcome.upper()} {gate}: {said}"


def shown(value: object, most: int = SHOWN) -> str:
    """Return a value on one line with what is invisible escaped, shortened in its middle."""
    # A long text is cut before repr: that of a million characters takes longer than the judge.
    if isinstance(value, str) and len(value) > 4 * most:
        value = value[: 2 * most] + value[-2 * most :]
    text = repr(value)
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def word(value: object, most: int = 30) -> str:
    """Return a value as `shown` does, text without its quotes: for names of groups and columns."""
    text = shown(value, most)
    return text[1:-1] if isinstance(value, str) else text


def unshortened(value: object) -> str:
    """Return a value as a text that tells it from others: two that share their ends are two."""
    return value if isinstance(value, str) else repr(value)


def count(n: int, noun: str) -> str:
    """Return a number with its noun in the singular or the plural."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(share: float | None) -> str:
    """Return a share in percent with as many digits as tell it from its neighbours."""
    if share is None:
        return "-"
    digits = 1 if share == 0 or abs(share) >= 0.1 else 2
    return f"{100 * share:.{digits}f} %"


def named(ids: Sequence[str] | None, n: int) -> list[str]:
    """Return the ids of n examples: the given ones, or their places from 0. ValueError for another number."""
    if ids is None:
        return [str(place) for place in range(n)]
    if len(ids) != n:
        raise ValueError(f"{len(ids)} ids for {n} examples, must be as many.")
    return list(ids)


def listing(examples: Sequence[Listed], most: int = LISTED, *, width: int = 30) -> list[str]:
    """Return the lines that name the first examples, by so many characters of their ids, and count the others."""
    lines = [f"  {shown(one.id, width)}: {one.text}" for one in examples[:most]]
    if len(examples) > most:
        lines.append(f"  and {len(examples) - most} more")
    return lines
