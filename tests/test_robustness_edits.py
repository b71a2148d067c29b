"""Variations as edits: applied, found, named and seeded alike in each process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.robustness.edits import Boxed, apply, boxed, differences, digest_of, fits, seeded, unboxed

numpy = pytest.importorskip("numpy")


@given(st.text(), st.text())
def test_the_differences_of_two_texts_make_the_second_of_the_first(before: str, after: str) -> None:
    """And no difference is none."""
    edits = differences(before, after)
    assert fits(before, edits) and apply(before, edits) == after
    assert bool(edits) == (before != after)


@given(st.dictionaries(st.text(), st.integers() | st.floats() | st.text()), st.data())
def test_the_differences_of_two_rows_are_their_fields(row: dict[str, Any], data: st.DataObject) -> None:
    """Each changed field is one edit."""
    changed = {key: data.draw(st.integers()) for key in row}
    edits = differences(row, changed)
    assert digest_of(apply(row, edits)) == digest_of(changed)
    assert {place for place, _ in edits} <= set(row)


@given(st.text(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4))
def test_any_part_of_a_variation_is_a_variation(text: str, places: list[tuple[int, int]]) -> None:
    """Edits count in the original, so that each can be left out."""
    edits = differences(text, text.upper() + "!")
    for left_out in range(len(edits)):
        assert fits(text, edits[:left_out] + edits[left_out + 1 :])
    assert apply(text, []) == text


def test_arrays_differ_place_by_place() -> None:
    """And the array itself is left as it is."""
    before = numpy.array([[1.0, 2.0], [numpy.nan, 4.0]])
    after = numpy.array([[1.0, 5.0], [numpy.nan, 4.0]])
    edits = differences(before, after)
    assert edits == [((0, 1), 5.0)]
    assert apply(before, edits)[0, 1] == 5.0 and before[0, 1] == 2.0


@pytest.mark.parametrize("value", [[1, 2], (1, 2), {"a": 1}, 1.5, None, b"x"], ids=repr)
def test_what_cannot_be_hashed_can_be_asked_once(value: Any) -> None:
    """By what it holds."""
    assert boxed(value) == boxed(value) and len({boxed(value), boxed(value)}) == 1
    assert unboxed(boxed(value)) == value and boxed("text") == "text"


def test_what_looks_alike_is_told_apart() -> None:
    """A text from a number, a list from a tuple, one array from another of the same bytes."""
    values = [1, 1.0, True, "1", [1], (1,), numpy.zeros(2), numpy.zeros((1, 2)), numpy.zeros(2, "int64")]
    assert len({digest_of(value) for value in values}) == len(values)
    assert isinstance(boxed([1]), Boxed) and boxed([1]) != boxed([1, 2])


@pytest.mark.parametrize(
    "edits", [[(0, 9, "x")], [(2, 1, "x")], [(0, 2, "x"), (1, 3, "y")], [(0, 1)], [(0, 1, 5)], [(-1, 1, "x")]]
)
def test_edits_that_do_not_fit_a_text_are_told(edits: Any) -> None:
    """Out of its bounds, overlapping, or no edits of a text."""
    assert not fits("abc", edits)


def test_edits_that_do_not_fit_a_row_are_told() -> None:
    """A place that is not there."""
    assert not fits([1, 2], [(5, 0)]) and fits([1, 2], [(1, 0)])


def test_a_variant_has_the_same_chance_in_each_process() -> None:
    """Whatever hashes are salted with; and another for each of its parts."""
    code = "from pytest_bugsle.robustness.edits import seeded; print(seeded(3, 'typos.key', 'a text', 1).random())"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path)},
            check=True, capture_output=True, text=True,
        ).stdout
        for salt in ("1", "2")
    }  # fmt: skip
    assert told == {f"{seeded(3, 'typos.key', 'a text', 1).random()}\n"}
    others = [
        (4, "typos.key", "a text", 1),
        (3, "typos.swap", "a text", 1),
        (3, "typos.key", "b", 1),
        (3, "typos.key", "a text", 2),
    ]
    assert len({seeded(*each).random() for each in [(3, "typos.key", "a text", 1), *others]}) == 5


def test_what_an_object_holds_is_what_counts() -> None:
    """Not its address, and not only what its repr shows."""
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")

    class Thing:
        def __init__(self, held: Any) -> None:
            self.held = held

    class Image:
        mode, size = "L", (2, 1)

        def __init__(self, content: bytes) -> None:
            self.content = content

        def tobytes(self) -> bytes:
            return self.content

    long = list(range(200))
    other = [*long[:100], -1, *long[101:]]
    for make in (
        lambda held: numpy.array(["a", *(float(each) for each in held)], dtype=object),
        pandas.Series,
        polars.Series,
        lambda held: pandas.DataFrame({"a": held}),
        lambda held: polars.DataFrame({"a": held}),
        lambda held: Thing([each / 2 for each in held]),
        lambda held: Image(bytes(each % 251 for each in held)),
        lambda held: {str(each) for each in held},
    ):
        assert digest_of(make(long)) == digest_of(make(list(long))) != digest_of(make(other))
    assert digest_of(pandas.Series(long)) != digest_of(pandas.Series(long, index=other))


def test_arrays_of_objects_differ_place_by_place() -> None:
    """A row of a table of texts and numbers."""
    numpy = pytest.importorskip("numpy")
    before, after = numpy.array(["a", 1.0], dtype=object), numpy.array(["a", 2.0], dtype=object)
    assert differences(before, after) == [((1,), 2.0)]


def test_a_name_of_strangers_seeds_too() -> None:
    """A lone surrogate in it."""
    assert seeded(0, "mine.\ud800", "a", 0).random() != seeded(0, "mine.\ud801", "a", 0).random()


def test_a_long_text_is_compared_at_once() -> None:
    """Without the square of its words."""
    before = "word " * 200_000
    edits = differences(before, before.upper())
    assert len(edits) == 1 and apply(before, edits) == before.upper()
