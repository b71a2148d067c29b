"""What a user hands over: numbers within their bounds; examples, labels and columns in any container.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf, isfinite
from typing import Any

from pytest_bugsle.errors import HIDDEN, UsageError
from pytest_bugsle.robustness.traits import is_missing

__tracebackhide__ = HIDDEN

_LONGEST = 1e9
"""Seconds that a lock can wait for, with room to spare."""


def number(
    name: str, value: Any, low: float = -inf, high: float = inf, *, example: float | str = 0.05
) -> float:
    """Return the value as a float; UsageError where it is no number, not finite, or not within the bounds."""
    try:
        found = None if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None:
        raise UsageError(f"{name} == {value!r}, must be a number.", hint=f"{name}={example}")
    if not (isfinite(found) and low <= found <= high):
        bounds = (
            "finite" if low == -inf else f"at least {low:g}" if high == inf else f"from {low:g} to {high:g}"
        )
        raise UsageError(f"{name} == {value}, must be {bounds}.", hint=f"{name}={example}")
    return found


def share(name: str, value: Any, *, example: float | str = 0.05) -> float:
    """Return a number from 0 to 1."""
    return number(name, value, 0.0, 1.0, example=example)


def size(name: str, value: Any, *, example: float | str = 0.05) -> float | None:
    """Return a number that is not below 0, or None: a tolerance that is not a number would let everything through."""
    return None if value is None else number(name, value, 0.0, example=example)


def seconds(name: str, value: Any) -> float | None:
    """Return a time limit, None for none."""
    return (
        None
        if value is None
        else number(name, value, 0.001, _LONGEST, example="60, or None to wait for ever")
    )


def whole(name: str, value: Any, least: int = 1, *, example: int = 1) -> int:
    """Return a whole number that is not too small."""
    found = plain(value)
    if isinstance(found, bool) or not isinstance(found, int):
        raise UsageError(f"{name} == {value!r}, must be a whole number.", hint=f"{name}={example}")
    if found < least:
        raise UsageError(f"{name} == {found}, must be at least {least}.", hint=f"{name}={example}")
    return found


def plain(value: Any) -> Any:
    """Return numpy's scalars as those of Python, so that a label is equal to an answer."""
    if hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def examples_of(given: Any) -> list[Any]:
    """Return examples one by one: the rows of a data frame are mappings, tensors are arrays.

    UsageError for what would fall apart into something else: a single text into letters, a mapping into its keys.
    """
    if isinstance(given, str | bytes | Mapping | set | frozenset):
        raise UsageError(
            f"the examples are a {type(given).__name__}, and no list of examples.",
            why="a text would be taken letter by letter, a mapping by its keys, and a set has no order",
            hint="robustness(model, [example, …])",
        )
    if hasattr(given, "columns"):
        return [dict(row) for row in rows_of("the examples", given)]
    if hasattr(given, "toarray"):
        raise UsageError(
            "the examples are a sparse matrix.",
            why="its rows cannot be varied",
            hint="hand over what the matrix is made of and a model that begins there, or examples.toarray()",
        )
    return [_example(each) for each in _listed("the examples", given)]


def rows_of(what: str, frame: Any) -> list[Mapping[Any, Any]]:
    """Return the rows of a data frame of pandas or polars, or of what has their columns."""
    names = list(frame.columns)
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise UsageError(
            f"{what} have two columns {twice!r}.",
            why="which of them is meant cannot be said",
            hint="give each column a name of its own",
        )
    if hasattr(frame, "to_dicts"):
        made: list[Mapping[Any, Any]] = frame.to_dicts()
    elif hasattr(frame, "to_dict"):
        made = frame.to_dict("records")
    else:
        raise UsageError(
            f"{what} are a {type(frame).__name__}, whose rows are not known.", hint="a list of rows"
        )
    return made


def _example(example: Any) -> Any:
    if isinstance(example, str):
        return str(example)  # numpy's own, which is no other text
    # A tensor is varied as an array, and a module makes a tensor of it again.
    if hasattr(example, "detach") and hasattr(example, "cpu"):
        return example.detach().cpu().numpy()
    return plain(example)


def _listed(what: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes):
        raise UsageError(f"{what}: a single text, and not one for each example.", hint="a list")
    if not isinstance(given, Iterable) and not hasattr(given, "__getitem__"):
        raise UsageError(f"{what}: {type(given).__name__} is no list.", hint="a list, one for each example")
    try:
        return list(given)
    except TypeError as error:  # an array without dimensions
        raise UsageError(f"{what}: {error}.", hint="a list, one for each example") from error


def labels_of(given: Any) -> list[Any]:
    """Return the right answers; UsageError where one is missing, or is nothing that can be compared as one."""
    labels = column_of("labels", given)
    for place, label in enumerate(labels):
        if label is None:
            raise UsageError(
                f"labels: {sum(each is None for each in labels):,} of {len(labels):,} are missing, first that at {place}.",
                why="without the right answer no answer is wrong",
                hint="leave out the examples that have none",
            )
        if not _is_hashable(label):
            raise UsageError(
                f"labels: that at {place} is {type(label).__name__}.",
                why="answers are compared with one label each",
                hint="a text or a number for each example; of several labels judge one at a time",
            )
    return labels


def column_of(what: str, given: Any) -> list[Any]:
    """Return values by their order, whatever their index; what is missing (NaN, NaT, NA) is None."""
    if hasattr(given, "columns") or isinstance(given, Mapping | set | frozenset):
        raise UsageError(
            f"{what}: {type(given).__name__} is no column.",
            why="which value belongs to which example cannot be said",
            hint="a list with one for each example, in their order",
        )
    return [None if is_missing(value) else plain(value) for value in _listed(what, given)]


def groups_of_people(given: Any) -> list[Any]:
    """Return the groups of examples; UsageError for what cannot be one."""
    groups = column_of("groups", given)
    wrong = next((each for each in groups if not _is_hashable(each)), None)
    if wrong is not None:
        raise UsageError(
            f"groups: {type(wrong).__name__} is no group.", hint="a text or a number for each example"
        )
    return groups


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
