"""What two answers must have to do with each other: labels, scores, directions, and in words."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.relations import Direction, Relation, Same

NUMBERS = st.floats(-10, 10)
SIZES = st.floats(0, 5)
RELATIONS = st.one_of(
    st.builds(Same, st.none() | SIZES, SIZES),
    st.builds(Direction, lower_by=SIZES, target=st.none() | st.text() | st.integers(-9, 9) | st.booleans()),
    st.builds(Direction, higher_by=SIZES),
)


@given(RELATIONS)
def test_a_relation_is_the_same_after_its_file(relation: Relation) -> None:
    """As plain JSON, which says its kind."""
    table = json.loads(json.dumps(msgspec.to_builtins(relation)))
    assert table["kind"] in ("same", "direction")
    assert msgspec.convert(table, Same | Direction) == relation


@given(NUMBERS, NUMBERS, SIZES)
def test_a_score_may_move_by_its_tolerance(one: float, other: float, size: float) -> None:
    """Absolute, and relative to the first."""
    before, after = Answer(value=one), Answer(value=other)
    assert Same(size).broken(before, after) == (abs(other - one) > size)
    if size:
        assert Same(None, size).broken(before, after) == (abs(other - one) > size * abs(one))


@given(NUMBERS, NUMBERS, SIZES)
def test_what_shrinks_a_direction_breaks_it(one: float, other: float, size: float) -> None:
    """A part that moves the wrong way at all does not move far enough, either."""
    before, after = Answer(value=one), Answer(value=other)
    for relation in (Direction(lower_by=size), Direction(higher_by=size)):
        if relation.for_parts().broken(before, after):
            assert relation.broken(before, after)
    assert Direction(lower_by=0.0).broken(before, after) == (other - one > 1e-9)
    assert Direction(higher_by=0.0).broken(before, after) == (one - other > 1e-9)


def test_labels_errors_and_what_has_no_score() -> None:
    """An error is another answer; a direction needs a score."""
    good, bad, raised = Answer("good", {"good": 0.9}), Answer("bad", {"bad": 0.9}), Answer(error="ValueError")
    assert Same().broken(good, bad) and Same().broken(good, raised) and not Same().broken(good, good)
    assert Same(0.01).broken(good, Answer("good"))
    with pytest.raises(UsageError, match="labels without scores, and a tolerance of scores is given"):
        Same(0.01).broken(Answer("good"), Answer("good"))
    with pytest.raises(UsageError, match="numbers, and no tolerance is given"):
        Same().broken(Answer(value=1.0), Answer(value=1.0))
    assert Direction(lower_by=0.1).broken(good, raised)
    with pytest.raises(UsageError, match="the model gives no score for 'good'"):
        Direction(lower_by=0.1, target="good").broken(good, bad)


@pytest.mark.parametrize(
    ("relation", "said"),
    [
        (Same(), "the label must stay"),
        (Same(0.1), "the answer must stay, and its score within 0.1"),
        (Same(0.1, 0.02), "the answer must stay, and its score within 0.1 + 2 %"),
        (Direction(lower_by=0.1), "the score must fall by 0.1"),
        (Direction(higher_by=0.0, target="good"), "the score of 'good' must not fall"),
        (Direction(lower_by=0.0), "the score must not rise"),
    ],
)
def test_a_relation_is_said_in_words(relation: Relation, said: str) -> None:
    """For who reads a failure long after the test was written."""
    assert relation.demand() == said


def test_a_whole_number_beside_another_number_is_one() -> None:
    """A regression that answers 0 for 0.0 has not changed its mind; a label beside a number has."""
    whole, number = Answer(0), Answer(value=0.001)
    for before, after in ((whole, number), (number, whole)):
        assert not Same(0.1).broken(before, after) and Same(0.0001).broken(before, after)
        assert not Direction(lower_by=-0.1).broken(before, after)
        assert Same(0.1).broken(Answer("0"), number) and Same(0.1).broken(number, Answer(True))
    assert Direction(higher_by=0.0).broken(number, whole) and not Direction(lower_by=0.0).broken(
        number, whole
    )
