"""The same answers again: what counts as the same, and which variation is to blame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.robustness.determinism import deterministic, difference

values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)

INF, NAN = float("inf"), float("nan")


@given(values)
def test_everything_equals_itself(value: Any) -> None:
    """NaN and infinities as well."""
    assert difference(value, value) == 0


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (1.0, 1.5, 0.5),
        (0.1, NAN, INF),
        (INF, -INF, INF),
        (("pos", 0.5), ("pos", 0.25), 0.25),
        (("pos", 0.5), ("neg", 0.5), None),
        ({"a": 0.5}, {"a": 0.25}, 0.25),
        ({"a": 0.5}, {"b": 0.5}, None),
        ([0.5], [0.5, 0.5], None),
        (True, 1, None),
        (None, 0.0, None),
        ("1", 1, None),
        (b"a", b"b", None),
        ({1, 2}, {1, 2}, 0.0),
        ({1, 2}, {1, 3}, None),
    ],
)
def test_answers_differ_by_a_number_or_in_kind(one: Any, other: Any, apart: float | None) -> None:
    """In both directions."""
    assert difference(one, other) == apart
    assert difference(other, one) == apart


def test_numbers_may_be_too_large_for_a_float() -> None:
    """They are equal, or apart by more than any tolerance."""
    assert difference(10**400, 10**400) == 0
    assert difference(10**400, 1.0) == INF


def test_arrays_are_compared_by_their_numbers() -> None:
    """Of numpy and whatever else has `tolist`."""
    numpy = pytest.importorskip("numpy")
    assert difference(numpy.array([0.5, 1.0]), numpy.array([0.5, 1.25])) == 0.25
    assert difference(numpy.float32(0.5), 0.5) == 0
    assert difference(numpy.array([1, 2]), [1, 2]) == 0


def test_bits_that_differ_within_the_tolerance_are_said_and_pass() -> None:
    """Single precision in another batch: all rows differ by 1e-6, no label does."""
    first = [("a", 0.5)] * 797
    judgement = deterministic(first, {"other batch": [("a", 0.500001)] * 797})
    assert judgement.outcome == "pass"
    assert judgement.message == (
        "PASS deterministic: 797 examples, the same answers in 1 variation",
        "  other batch: 0 of 797 differ; 797 within the tolerance 1e-05; scores by up to 1e-06",
        "  fewer than 0.38 % of such inputs can differ (95%); short and doubtful inputs show more",
    )
    assert deterministic(first, {"other batch": [("a", 0.500001)] * 797}, tolerance=0).outcome == "fail"


def test_the_variation_that_differs_is_named_and_an_example_counts_once() -> None:
    """13 of 300 on a second call, 3 of the same in another process."""
    first = ["en"] * 300
    again = ["de"] * 13 + ["en"] * 287
    process = ["fr"] * 3 + ["en"] * 297
    judgement = deterministic(
        first,
        {"second call": again, "other order": first, "other process": process},
        inputs=["x\u200b"] * 300,
    )
    assert judgement.outcome == "fail"
    assert judgement.message[:6] == (
        "FAIL deterministic: 13 of 300 examples are answered otherwise in: second call, other process",
        "  second call: 13 of 300 differ",
        "  other order: 0 of 300 differ",
        "  other process: 3 of 300 differ",
        "  second call: look for chance that is not seeded, or a state that calls change",
        "  other process: look for a start that is not seeded: weights, hashes of text, the order of a set",
    )
    assert judgement.examples[0].text == "'en' -> 'de' (second call, other process): 'x\\u200b'"
    assert judgement.examples[3].text == "'en' -> 'de' (second call): 'x\\u200b'"
    assert [(one.rule, one.text) for one in judgement.remarks] == [
        ("BUG403", "13 of 300 examples are answered otherwise in: second call, other process")
    ]
    assert judgement.figure("differing").value == pytest.approx(13 / 300)


def test_nothing_repeated_is_undecided_and_lengths_must_agree() -> None:
    """Neither is a pass."""
    assert deterministic(["a"], {}).message == ("UNDECIDED deterministic: no call was repeated",)
    assert deterministic([], {"second call": []}).message == ("UNDECIDED deterministic: no examples",)
    assert deterministic(["a"], {"second call": []}).message == (
        "INVALID deterministic: second call: 0 answers for 1 examples",
    )
    with pytest.raises(ValueError, match=r"tolerance == -1, must be >= 0\."):
        deterministic(["a"], {}, tolerance=-1)
