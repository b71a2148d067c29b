"""Changes that arrays and images meet in the wild: shift, noise, brightness, blur, single precision.  PYTEST_DONT_REWRITE

Each takes an array (of numpy, or nested lists), a `random.Random` and the range of its values, and returns a changed
one of the same shape and kind, or None where it does not apply or changes nothing. An image is (rows, columns) or
(rows, columns, channels). Whole numbers stay whole, and every value stays within the range. numpy is imported
only where the array is one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import copysign, fsum, inf, isfinite, sqrt
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from pytest_bugsle.robustness.traits import is_missing

if TYPE_CHECKING:
    from random import Random

NOISE = 0.1
"""Standard deviation of noise, in units of the spread of values."""

BRIGHTNESS = 0.8


@dataclass(frozen=True, slots=True)
class Values:
    """The values that arrays had in training: their range, their spread, and whether all were whole numbers."""

    low: float
    high: float
    spread: float
    whole: bool


def values_of(arrays: Iterable[Any]) -> Values:
    """Return the range and spread of all finite values; ValueError where there is none."""
    low, high, n, mean, squares, whole = float("inf"), float("-inf"), 0, 0.0, 0.0, True
    for array in arrays:
        numbers = [float(value) for value in _flat(_lists(array)) if isfinite(value)]
        if not numbers:
            continue
        low, high = min(low, *numbers), max(high, *numbers)
        whole = whole and all(value.is_integer() for value in numbers)
        # Moments merge (Chan, Golub and LeVeque), so that no list of all values is held.
        own = fsum(numbers) / len(numbers)
        off, total = own - mean, n + len(numbers)
        # A product, for a power raises where it is too large for a float.
        squares += (
            sum((value - own) * (value - own) for value in numbers) + off * off * n * len(numbers) / total
        )
        mean += off * len(numbers) / total
        n = total
    if not n:
        raise ValueError("no finite value in any array.")
    return Values(low, high, sqrt(squares / max(1, n - 1)), whole)


def shift(array: Any, random: Random, values: Values, *, rows: int = 0, columns: int = 1) -> Any:
    """Return an image moved down by `rows` and right by `columns` (negative: up, left), the lowest value coming in.

    It does not apply to arrays of one dimension, whose places are names.
    """
    made = _lists(array)
    if not _is_image(made):
        return None
    height, width = len(made), len(made[0])
    empty = _filled(made[0][0], values.low)
    moved = [
        [
            made[row - rows][column - columns]
            if 0 <= row - rows < height and 0 <= column - columns < width
            else empty
            for column in range(width)
        ]
        for row in range(height)
    ]
    return _same_kind(array, made, moved)


def noise(array: Any, random: Random, values: Values, *, size: float = NOISE) -> Any:
    """Return the array with normal noise on every value, `size` times the spread, within the range."""
    return _each(array, values, lambda value: value + random.gauss(0.0, size * values.spread))


def brightness(array: Any, random: Random, values: Values, *, factor: float = BRIGHTNESS) -> Any:
    """Return the array with every value moved from the lowest by `factor`: under 1 darker, over 1 brighter."""
    return _each(array, values, lambda value: values.low + (value - values.low) * factor)


def contrast(array: Any, random: Random, values: Values, *, factor: float = 1.25) -> Any:
    """Return the array with every value moved from the middle of the range by `factor`."""
    middle = (values.low + values.high) / 2
    return _each(array, values, lambda value: middle + (value - middle) * factor)


def blur(array: Any, random: Random, values: Values) -> Any:
    """Return an image in which each value is the mean of its 3 × 3 neighbours, its edges repeated outwards."""
    made = _lists(array)
    if not _is_image(made):
        return None
    height, width = len(made), len(made[0])

    def mean(cells: list[Any]) -> Any:
        if isinstance(cells[0], list):
            return [mean([cell[channel] for cell in cells]) for channel in range(len(cells[0]))]
        return _within(fsum(cells) / len(cells), values)

    blurred = [
        [
            mean(
                [
                    made[min(max(row + down, 0), height - 1)][min(max(column + right, 0), width - 1)]
                    for down in (-1, 0, 1)
                    for right in (-1, 0, 1)
                ]
            )
            for column in range(width)
        ]
        for row in range(height)
    ]
    return _same_kind(array, made, blurred)


def one_pixel(array: Any, random: Random, values: Values) -> Any:
    """Return the array with one of its values at the highest, and all channels of that pixel."""
    made = _lists(array)
    if not isinstance(made, list) or not made:
        return None
    row = random.randrange(len(made))
    changed = list(made)
    if isinstance(made[row], list) and made[row]:
        column = random.randrange(len(made[row]))
        inner = list(made[row])
        inner[column] = _filled(inner[column], values.high)
        changed[row] = inner
    else:
        changed[row] = _filled(made[row], values.high)
    return _same_kind(array, made, changed)


def float32(array: Any, random: Random, values: Values) -> Any:
    """Return the array after a round trip through single precision; whole numbers under 2²⁴ and float32 do not change."""
    return _each(array, None, _rounded)


def _rounded(value: float) -> float:
    try:
        return float(unpack("<f", pack("<f", value))[0])
    except OverflowError:
        return copysign(inf, value)


def _each(array: Any, values: Values | None, change: Callable[[float], float]) -> Any:
    """Return the array with every finite value changed, within the values where they are given."""

    def changed(part: Any) -> Any:
        if isinstance(part, list):
            return [changed(inner) for inner in part]
        if not isfinite(part):
            return part
        new = change(part) if values is None else _within(change(part), values)
        # 4 is not to become 4.0.
        return part if new == part else new

    made = _lists(array)
    return _same_kind(array, made, changed(made))


def _within(value: float, values: Values) -> float:
    held = min(max(value, values.low), values.high)
    return round(held) if values.whole else held


def _lists(array: Any) -> Any:
    """Return an array, or nested sequences, as nested lists."""
    if hasattr(array, "tolist"):
        return array.tolist()
    return [_lists(part) for part in array] if isinstance(array, list | tuple) else array


def _same_kind(array: Any, before: Any, after: Any) -> Any:
    """Return the changed lists as the array was; None where nothing changed."""
    if _same(before, after):
        return None
    if hasattr(array, "dtype"):
        import numpy

        made = numpy.asarray(after, dtype=array.dtype)
        return None if numpy.array_equal(made, array, equal_nan=array.dtype.kind == "f") else made
    return _as_tuples(array, after)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other) or (is_missing(one) and is_missing(other))


def _as_tuples(array: Any, made: Any) -> Any:
    """Return lists with tuples where the original has them."""
    if not isinstance(made, list):
        return made
    inner = [_as_tuples(part, changed) for part, changed in zip(array, made, strict=True)]
    return tuple(inner) if isinstance(array, tuple) else inner


def _is_image(made: Any) -> bool:
    return isinstance(made, list) and bool(made) and isinstance(made[0], list) and bool(made[0])


def _filled(cell: Any, value: float) -> Any:
    """Return a pixel of the same shape that holds one value."""
    if isinstance(cell, list):
        return [_filled(part, value) for part in cell]
    return round(value) if isinstance(cell, int) and float(value).is_integer() else value


def _flat(part: Any) -> Iterator[float]:
    if isinstance(part, list):
        for inner in part:
            yield from _flat(inner)
    else:
        yield part
