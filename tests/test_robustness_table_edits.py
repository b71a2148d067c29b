"""Changed rows stay rows: of their type, whole numbers whole, flags and one-hots valid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness import ModelGate, table_edits
from pytest_bugsle.robustness.table_edits import columns_of

TRAINING = [
    {"age": 20 + place, "pay": 1000.5 + 10 * place, "red": place % 2, "blue": 1 - place % 2, "city": "Rom"}
    for place in range(40)
]
COLUMNS = columns_of(TRAINING)
EDITS = [
    table_edits.unit_slip,
    table_edits.rounding,
    table_edits.noise,
    table_edits.missing,
    table_edits.column_order,
    table_edits.out_of_range,
]

rows = st.fixed_dictionaries(
    {
        "age": st.integers(0, 100),
        "pay": st.floats(-1e5, 1e5) | st.none() | st.just(float("nan")),
        "red": st.sampled_from([0, 1]),
        "blue": st.sampled_from([0, 1]),
        "city": st.text(max_size=3),
    }
)


def test_columns_are_those_of_numbers() -> None:
    """Flags, one-hots and words are none; whole ones are known as such."""
    assert set(COLUMNS) == {"age", "pay"}
    assert COLUMNS["age"].whole and not COLUMNS["pay"].whole
    assert (COLUMNS["age"].low, COLUMNS["age"].high) == (20, 59)
    assert COLUMNS["age"].spread == pytest.approx(11.69, abs=0.01)
    assert columns_of([]) == {}
    assert set(columns_of([[1.5, "a", None], [2.5, "b", 3]])) == {0, 2}
    assert columns_of([{"a": float("nan")}, {"a": True}]) == {}


@settings(max_examples=150, deadline=None)
@given(rows, st.integers(0, 1000), st.sampled_from(EDITS))
def test_a_changed_row_is_another_valid_row(row: dict[str, Any], seed: int, edit: Callable[..., Any]) -> None:
    """Or None; the original stays as it was, and the same seed gives the same row."""
    before = repr(row)
    made = edit(row, seeded(seed), COLUMNS)
    assert repr(row) == before
    assert repr(edit(row, seeded(seed), COLUMNS)) == repr(made)
    if made is None:
        return
    assert repr(made) != before
    assert set(made) == set(row)
    assert (made["red"], made["blue"], made["city"]) == (row["red"], row["blue"], row["city"])
    if edit is not table_edits.missing:
        assert isinstance(made["age"], int)


def test_each_edit_does_what_it_says() -> None:
    """On one row."""
    row = {"age": 40, "pay": 1234.5, "red": 1}
    slips = [table_edits.unit_slip(row, seeded(seed), COLUMNS) for seed in range(40)]
    assert {(made["age"], made["pay"]) for made in slips} == {
        (40_000, 1234.5), (40, 1234.5 * 1000), (40, 1234.5 / 1000),
    }  # fmt: skip
    assert table_edits.unit_slip({"age": 4}, seeded(0), COLUMNS, factor=10) == {"age": 40}
    assert table_edits.rounding(row, seeded(0), COLUMNS) == {"age": 40, "pay": 1200.0, "red": 1}
    far = [table_edits.out_of_range(row, seeded(seed), COLUMNS) for seed in range(20)]
    assert {made["age"] for made in far} == {40, 59 + 390, 20 - 390}
    gone = [table_edits.missing(row, seeded(seed), COLUMNS) for seed in range(20)]
    assert {math.isnan(made["age"]) for made in gone} == {True, False}
    turned = table_edits.column_order(row, seeded(0), COLUMNS)
    assert turned == row and list(turned) != list(row)


def test_noise_has_the_size_of_the_training_spread() -> None:
    """A tenth of it."""
    random = seeded(1)
    made = [table_edits.noise({"pay": 1234.5}, random, COLUMNS)["pay"] - 1234.5 for _ in range(400)]
    assert math.sqrt(sum(one * one for one in made) / 400) == pytest.approx(
        0.1 * COLUMNS["pay"].spread, rel=0.15
    )


def test_what_does_not_apply_is_none() -> None:
    """No number, nothing to round, no names to reorder."""
    words = {"city": "Rom"}
    assert all(
        edit(words, seeded(0), COLUMNS) is None for edit in EDITS if edit is not table_edits.column_order
    )
    assert table_edits.column_order(words, seeded(0), COLUMNS) is None
    assert table_edits.column_order([1, 2], seeded(0), {}) is None
    assert table_edits.rounding({"pay": 1200.0}, seeded(0), COLUMNS) is None
    assert table_edits.unit_slip({"age": 0}, seeded(0), COLUMNS) is None
    assert table_edits.noise({"pay": float("inf")}, seeded(0), COLUMNS) is None


def test_rows_keep_their_type() -> None:
    """Lists, tuples, arrays; an array of whole numbers becomes one of floats for a missing value alone."""
    columns = columns_of([(1.5, 10), (2.5, 20)])
    assert isinstance(table_edits.noise((1.7, 15), seeded(0), columns), tuple)
    assert isinstance(table_edits.noise([1.7, 15], seeded(0), columns), list)
    numpy = pytest.importorskip("numpy")
    columns = columns_of(numpy.array([[1, 10], [2, 20], [3, 30]]))
    row = numpy.array([2, 25])
    slipped = table_edits.unit_slip(row, seeded(0), columns)
    assert slipped.dtype == row.dtype and row.tolist() == [2, 25]
    assert numpy.isnan(table_edits.missing(row, seeded(0), columns)).sum() == 1


def test_numbers_too_large_for_a_square_have_a_spread() -> None:
    """Without an error."""
    assert columns_of([{"a": 1e300}, {"a": -1e300}])["a"].spread == math.inf


def test_noise_of_rows_is_in_the_units_of_each_column() -> None:
    """Not in those of all numbers: a large column would drown a small one."""
    rows = [(1000.0 * number, 0.01 * (number % 2)) for number in range(160)]
    gate = ModelGate(lambda row: "odd" if row[1] > 0.005 else "even", rows)
    gate.invariant("noise", max_flip_rate=0.05)
    assert [(one.perturbation, one.outcome) for one in gate.results()] == [("noise.row", "pass")]
    images = ModelGate(lambda image: "same", [[[1.0, number], [2.0, 0.5]] for number in range(160)])
    images.invariant("noise", max_flip_rate=0.05)
    assert [one.perturbation for one in images.results()] == ["noise.array"]
