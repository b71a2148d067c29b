"""Perturbations of rows and arrays, in the units of the examples at hand.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from random import Random
from typing import Any

from pytest_bugsle.robustness import array_edits, table_edits
from pytest_bugsle.robustness.edits import Edit, differences
from pytest_bugsle.robustness.perturbations import Nature, Perturbation
from pytest_bugsle.robustness.traits import is_missing

_ROWS: Mapping[str, tuple[Callable[..., Any], Nature]] = {
    "units.thousand": (table_edits.unit_slip, "natural"),
    "units.ten": (partial(table_edits.unit_slip, factor=10), "natural"),
    "rounding.digits": (table_edits.rounding, "natural"),
    "noise.row": (table_edits.noise, "natural"),
    "missing.value": (table_edits.missing, "natural"),
    "columns.order": (table_edits.column_order, "natural"),
    "range.out": (table_edits.out_of_range, "adversarial"),
}
_ARRAYS: Mapping[str, tuple[Callable[..., Any], Nature]] = {
    "shift.right": (partial(array_edits.shift, columns=1), "natural"),
    "shift.down": (partial(array_edits.shift, rows=1, columns=0), "natural"),
    "noise.array": (array_edits.noise, "natural"),
    "brightness.darker": (array_edits.brightness, "natural"),
    "brightness.contrast": (array_edits.contrast, "natural"),
    "blur.box": (array_edits.blur, "natural"),
    "precision.float32": (array_edits.float32, "typographic"),
    "pixels.one": (array_edits.one_pixel, "adversarial"),
}


def for_examples(
    examples: Sequence[Any], training: Sequence[Any] | None = None
) -> dict[str, Perturbation] | None:
    """Return the perturbations of examples that are no texts, by name; None for texts.

    Spread and range are those of `training`, by default of the examples themselves.
    """
    first = next((each for each in examples if not is_missing(each)), None)
    if isinstance(first, str):
        return None
    known = [each for each in (examples if training is None else training) if not is_missing(each)]
    # What spread and range need is read when the first perturbation asks, once.
    columns = cache(lambda: table_edits.columns_of(known))
    values = cache(lambda: array_edits.values_of(known))
    made: dict[str, Perturbation] = {}
    if isinstance(first, Mapping) or _depth(first) == 1:
        made |= {name: _bound(name, each, nature, columns, "row") for name, (each, nature) in _ROWS.items()}
    if not isinstance(first, Mapping) and _is_of_numbers(first):
        made |= {
            name: _bound(name, each, nature, values, "array")
            for name, (each, nature) in _ARRAYS.items()
            # Of a row each column has a spread of its own: that of all numbers drowns the small ones.
            if not (name == "noise.array" and "noise.row" in made)
        }
    return made


def _depth(example: Any) -> int:
    if hasattr(example, "ndim"):
        return int(example.ndim)
    return 1 + _depth(example[0]) if isinstance(example, list | tuple) and len(example) else 0


def _is_of_numbers(example: Any) -> bool:
    """Say whether an array, or nested sequences, hold nothing but numbers."""
    if hasattr(example, "dtype"):
        return getattr(example.dtype, "kind", "") in "biuf"
    if isinstance(example, list | tuple):
        return all(map(_is_of_numbers, example))
    return isinstance(example, int | float)


def _bound(
    name: str, change: Callable[..., Any], nature: Nature, known: Callable[[], Any], kind: str
) -> Perturbation:
    def edit(example: Any, random: Random) -> Sequence[Edit] | None:
        changed = change(example, random, known())
        return None if changed is None else differences(example, changed)

    return Perturbation(name, nature, edit, kind)
