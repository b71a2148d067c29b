"""Changes that rows of a table meet in the wild: slips of units, rounding, noise, missing and strange values.  PYTEST_DONT_REWRITE

Each takes a row (a mapping, a list, a tuple, or an array of one dimension), a `random.Random` and the columns as
they were in training, and returns a changed row of the same type, or None where it does not apply. Whole numbers
stay whole, and columns that hold nothing but 0 and 1 are never touched: flags and one-hots stay valid.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from typing import TYPE_CHECKING, Any

from pytest_bugsle.robustness.traits import is_missing

if TYPE_CHECKING:
    from random import Random

NOISE = 0.1
"""Standard deviation of noise, in units of the column's spread in training."""

DIGITS = 2
"""Significant digits that rounding leaves."""

FAR = 10
"""How many times its range a value is put beyond the end of it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers in training: its spread (standard deviation), its range, and whether all were whole."""

    spread: float
    low: float
    high: float
    whole: bool


def columns_of(rows: Iterable[Any]) -> dict[Hashable, Column]:
    """Return the columns of numbers by name or place, but for those that hold nothing but 0 and 1.

    A column is one of numbers where every value that is there is one. Empty for no rows.
    """
    values: dict[Hashable, list[Any]] = {}
    for row in rows:
        for key, value in _fields(row):
            if not is_missing(value):
                values.setdefault(key, []).append(value)
    made: dict[Hashable, Column] = {}
    for key, held in values.items():
        if not all(_is_number(value) for value in held) or set(held) <= {0, 1}:
            continue
        numbers = [float(value) for value in held]
        mean = fsum(numbers) / len(numbers)
        # A product, for a power raises where it is too large for a float.
        squares = sum((value - mean) * (value - mean) for value in numbers)
        spread = sqrt(squares / max(1, len(numbers) - 1))
        made[key] = Column(spread, min(numbers), max(numbers), all(value.is_integer() for value in numbers))
    return made


def unit_slip(row: Any, random: Random, columns: Mapping[Hashable, Column], *, factor: int = 1000) -> Any:
    """Return the row with one number in another unit: times or over `factor`, 10 for a slip of the decimal point."""
    able = [key for key, value in _numbers(row, columns) if value != 0]
    if not able:
        return None
    key = random.choice(able)
    value = dict(_fields(row))[key]
    over = random.random() < 0.5 and not columns[key].whole
    return _changed(row, columns, {key: value / factor if over else value * factor})


def rounding(row: Any, random: Random, columns: Mapping[Hashable, Column], *, digits: int = DIGITS) -> Any:
    """Return the row with every number that is not whole at so many significant digits."""
    return _changed(
        row,
        columns,
        {
            key: float(f"{value:.{digits}g}")
            for key, value in _numbers(row, columns)
            if not columns[key].whole
        },
    )


def noise(row: Any, random: Random, columns: Mapping[Hashable, Column], *, size: float = NOISE) -> Any:
    """Return the row with normal noise on every number, `size` times the column's spread."""
    return _changed(
        row,
        columns,
        {key: value + random.gauss(0.0, size * columns[key].spread) for key, value in _numbers(row, columns)},
    )


def missing(row: Any, random: Random, columns: Mapping[Hashable, Column]) -> Any:
    """Return the row with one of its numbers missing: NaN."""
    able = [key for key, _ in _numbers(row, columns)]
    return _put(row, {random.choice(able): float("nan")}) if able else None


def column_order(row: Any, random: Random, columns: Mapping[Hashable, Column]) -> Any:
    """Return a mapping with the same fields in another order; where places are the names it does not apply."""
    if not isinstance(row, Mapping) or len(row) < 2:
        return None
    keys = list(row)
    while keys == list(row):
        random.shuffle(keys)
    return {key: row[key] for key in keys}


def out_of_range(row: Any, random: Random, columns: Mapping[Hashable, Column], *, times: float = FAR) -> Any:
    """Return the row with one number far outside of what it was in training, by so many times its range."""
    able = [key for key, _ in _numbers(row, columns)]
    if not able:
        return None
    key = random.choice(able)
    column = columns[key]
    reach = times * ((column.high - column.low) or abs(column.high) or 1.0)
    return _changed(row, columns, {key: column.high + reach if random.random() < 0.5 else column.low - reach})


def _is_number(value: object) -> bool:
    # numpy's scalars are no int and no float, and register as numbers all the same.
    if isinstance(value, bool | str | bytes) or is_missing(value):
        return False
    if isinstance(value, int | float):
        return True
    return hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 and value.dtype.kind in "iuf"


def _fields(row: Any) -> list[tuple[Hashable, Any]]:
    return list(row.items()) if isinstance(row, Mapping) else list(enumerate(row))


def _numbers(row: Any, columns: Mapping[Hashable, Column]) -> list[tuple[Hashable, Any]]:
    """Return the fields that are finite numbers in columns of numbers."""
    return [
        (key, value)
        for key, value in _fields(row)
        if key in columns and _is_number(value) and isfinite(value)
    ]


def _changed(row: Any, columns: Mapping[Hashable, Column], values: Mapping[Hashable, Any]) -> Any:
    """Return the row with these numbers, whole ones rounded; None where nothing changes."""
    fields = dict(_fields(row))
    made = {
        key: round(value) if columns[key].whole and isfinite(value) else value
        for key, value in values.items()
    }
    made = {key: value for key, value in made.items() if value != fields[key]}
    return _put(row, made) if made else None


def _put(row: Any, values: Mapping[Hashable, Any]) -> Any:
    """Return a copy of the row with these values, of its type; an array of whole numbers becomes one of floats for NaN."""
    if isinstance(row, Mapping):
        return {**row, **values}
    if hasattr(row, "dtype"):
        whole = row.dtype.kind in "iu" and any(isinstance(value, float) for value in values.values())
        made = row.astype(float) if whole else row.copy()
        for key, value in values.items():
            made[key] = value
        return made
    fields: Sequence[Any] = [values.get(place, value) for place, value in enumerate(row)]
    return tuple(fields) if isinstance(row, tuple) else list(fields)
