"""What a model must refuse, it refuses with an error and not with a guess.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_bugsle.robustness.answers import shortened
from pytest_bugsle.robustness.judgement import (
    BAD_INPUT_ANSWERED,
    SHOWN,
    Figure,
    Judgement,
    Listed,
    Outcome,
    Remark,
    headline,
    unjudged,
)
from pytest_bugsle.robustness.traits import is_missing

TOO_LONG = 10_000
"""Characters of a text or elements of an array."""

Kind = Literal["text", "row", "array"]

_ACCIDENTS = frozenset(
    {"KeyboardInterrupt", "MemoryError", "ProgramError", "RecursionError", "SystemError", "SystemExit"}
)
"""Errors by which an input is not refused: it brought the program down, or (ours) an endpoint gave no answer."""


@dataclass(frozen=True, slots=True)
class BadInput:
    """An input that is to be refused, and its name."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened with a bad input; `detail` is the type of the error, the answer as text, or the time limit."""

    name: str
    happened: Literal["raised", "answered", "timed out", "died"]
    detail: str = ""


def kind_of(example: Any) -> Kind:
    """Return what an example is: a text, a row (a mapping), or an array (whatever else has a length)."""
    if isinstance(example, str):
        return "text"
    return "row" if isinstance(example, Mapping) else "array"


def bad_inputs(
    example: Any,
    *,
    empty: bool = True,
    whitespace: bool = False,
    too_long: int | None = None,
    nan: bool = False,
    infinite: bool = False,
    none: bool = False,
    wrong_type: bool = False,
    columns: bool = False,
) -> tuple[BadInput, ...]:
    """Return the bad inputs of the asked kinds, made after a good example; none of a kind that it cannot have.

    `too_long` is the number of characters or elements that is one too few to be refused: the input has one more.
    """
    if too_long is not None and too_long < 1:
        raise ValueError(f"too_long == {too_long}, must be >= 1.")
    kind = kind_of(example)
    made: list[BadInput] = []
    if empty:
        nothing = "" if kind == "text" else {} if kind == "row" else _like(example, [])
        made.append(BadInput("empty", nothing))
    if whitespace and kind == "text":
        made.append(BadInput("whitespace only", " \t\n\u00a0"))
    if too_long is not None and kind != "row":
        long = _lengthened(example, too_long + 1)
        if long is not None:
            made.append(BadInput(f"too long ({too_long + 1:,})", long))
    for asked, name, value in (
        (nan, "NaN", float("nan")),
        (infinite, "infinity", float("inf")),
    ):
        changed = _with_number(example, value) if asked else None
        if changed is not None:
            made.append(BadInput(name, changed))
    if none:
        made.append(BadInput("None", None))
    if wrong_type:
        made.append(BadInput("wrong type", 12345 if kind == "text" else "a text"))
    if columns and kind != "text":
        made += _wrong_columns(example)
    return tuple(made)


def _lengthened(example: Any, length: int) -> Any:
    if isinstance(example, str):
        seed = f"{example} " if example else "word "
        return (seed * (length // len(seed) + 1))[:length]
    values = _as_list(example)
    return _like(example, (values * (length // len(values) + 1))[:length]) if values else None


def _as_list(example: Any) -> list[Any]:
    made = example.tolist() if hasattr(example, "tolist") else example
    return list(made) if hasattr(made, "__len__") else [made]


def _with_number(example: Any, value: float) -> Any:
    """Return the example with its first number replaced; None where it has none."""
    if isinstance(example, Mapping):
        for key, held in example.items():
            if _is_number(held):
                return {**example, key: value}
        return None
    if isinstance(example, str):
        return None
    values = _as_list(example)
    for place, held in enumerate(values):
        inner = value if _is_number(held) else None
        if inner is None and isinstance(held, list | tuple):
            inner = _with_number(list(held), value)
        if inner is not None:
            return _like(example, [*values[:place], inner, *values[place + 1 :]])
    return None


def _like(example: Any, values: list[Any]) -> Any:
    """Return values as the example holds its own: a model that takes arrays refuses a list by accident."""
    if hasattr(example, "dtype") and hasattr(example, "tolist"):
        import numpy as np

        whole = example.dtype.kind in "biu" and not all(isinstance(each, int) for each in _leaves(values))
        return np.asarray(values, dtype=float if whole else example.dtype)
    return tuple(values) if isinstance(example, tuple) else values


def _leaves(values: Any) -> Iterator[Any]:
    for each in values:
        if isinstance(each, list | tuple):
            yield from _leaves(each)
        else:
            yield each


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_missing(value)


def _wrong_columns(example: Any) -> list[BadInput]:
    if isinstance(example, Mapping):
        rest = dict(list(example.items())[1:])
        return [
            BadInput("a column missing", rest),
            BadInput("an unknown column", {**example, "no such column": 1}),
        ]
    values = _as_list(example)
    return [
        BadInput("a column missing", _like(example, values[1:])),
        BadInput("a column too many", _like(example, [*values, *values[-1:]])),
    ]


def refused(attempts: Sequence[Attempt], impossible: Sequence[str] = ()) -> Judgement:
    """Judge whether each bad input was refused with an error; `impossible` are kinds that no example can have.

    An answer is a guess, whatever it says; a time limit, the death of the process, and errors such as
    MemoryError or RecursionError are accidents. All of them fail; no attempt at all is undecided.
    """
    gate = "refuses"
    if not attempts:
        return unjudged(
            gate, "no bad input could be made for such examples: name some, or hand over your own"
        )
    lines, listed = [], []
    for one in attempts:
        why = _why_not(one)
        if why is None:
            lines.append(f"  {one.name}: refused ({one.detail or 'an error'})")
        else:
            lines.append(f"  {one.name}: {why}")
            listed.append(Listed(one.name, why))
    lines += [f"  {kind}: not tried, such examples cannot have it" for kind in impossible]
    if listed:
        lines.append("  next: let the model raise an error for these before it answers")
    outcome: Outcome = "fail" if listed else "pass"
    said = f"{len(attempts) - len(listed)} of {len(attempts)} bad inputs are refused with an error"
    remarks = tuple(Remark(BAD_INPUT_ANSWERED, f"{one.id} is not refused: {one.text}") for one in listed)
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=len(attempts),
        message=(headline(gate, outcome, said), *lines),
        figures=(Figure("not refused", len(listed) / len(attempts), len(attempts), limit=0.0),),
        limit=0.0,
        remarks=remarks,
        examples=tuple(listed),
        tests=len(attempts),
    )


def _why_not(attempt: Attempt) -> str | None:
    """Return why an attempt is no refusal; None where it is."""
    if attempt.happened == "answered":
        return f"answered {shortened(attempt.detail, SHOWN)} where an error is due"
    if attempt.happened == "timed out":
        return f"no answer and no error within {attempt.detail or 'the time limit'}"
    if attempt.happened == "died":
        return f"the process died{f' ({attempt.detail})' if attempt.detail else ''}"
    if attempt.detail in _ACCIDENTS:
        return f"{attempt.detail}: an accident, no refusal"
    return None
