"""What is a probability, and what is refused as none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.robustness.probabilities import NoProbabilityError, certainty

INF = float("inf")


def test_every_form_reads_alike() -> None:
    """One number, a row with classes, a mapping."""
    forms = [
        certainty([0.8, 0.3], ["yes", "yes"], ["no", "yes"]),
        certainty([[0.2, 0.8], [0.7, 0.3]], ["yes", "yes"], ["no", "yes"]),
        certainty([{"no": 0.2, "yes": 0.8}, {"no": 0.7, "yes": 0.3}], ["yes", "yes"]),
    ]
    for read in forms:
        assert read.predicted == ("yes", "no")
        assert read.confidence == pytest.approx((0.8, 0.7))
        assert read.correct == (True, False)
        assert read.brier == pytest.approx((0.04 + 0.49) / 2)


def test_rows_without_classes_are_numbered_and_ties_go_to_the_first() -> None:
    """As argmax does; three classes have the sum over all of them as their Brier score."""
    read = certainty([[0.4, 0.4, 0.2]], [2])
    assert read.predicted == (0,)
    assert read.brier == pytest.approx(0.16 + 0.16 + 0.64)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (float("nan"), r"row 0: nan is no probability\."),
        (INF, r"row 0: inf is no probability\."),
        (3.2, r"row 0: -2\.2 is no probability, it looks like a logit: apply softmax or a sigmoid first\."),
        ([2.5, -1.5], r"row 0: 2\.5 is no probability, it looks like a logit"),
        ([0.2, 0.2], r"row 0: the sum is 0\.4, not 1: scores of separate labels, or not normalised\."),
        ([0.5, 0.2, 0.3], r"row 0: the label 'x' is none of the classes \[0, 1, 2\]\."),
        (None, r"row 0: no probabilities\."),
        ("0.5", r"row 0: '0\.5' is no probability\."),
        (["a", "b"], r"row 0: 'a' is no number\."),
        ([], r"row 0: the label|row 0: no class at all"),
    ],
)
def test_what_is_no_probability_is_refused_by_name(row: object, said: str) -> None:
    """Never clipped, never normalised in silence."""
    with pytest.raises(NoProbabilityError, match=said):
        certainty([row], ["x"])


def test_classes_must_be_as_many_as_the_numbers() -> None:
    """And rows as many as labels."""
    with pytest.raises(NoProbabilityError, match=r"row 0: 2 numbers for 3 classes\."):
        certainty([[0.5, 0.5]], ["a"], ["a", "b", "c"])
    with pytest.raises(NoProbabilityError, match=r"row 0: one number for 3 classes\."):
        certainty([0.5], ["a"], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"1 rows and 2 labels, must be as many\."):
        certainty([0.5], [0, 1])


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6))
def test_half_precision_passes(weights: list[float]) -> None:
    """A sum that is off by rounding is none to refuse, and no confidence is over 1."""
    total = sum(weights)
    row = [round(weight / total, 4) for weight in weights]
    read = certainty([row], [0])
    assert 0 <= read.confidence[0] <= 1
