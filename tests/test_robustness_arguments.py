"""What users hand over: numbers that are none, containers that would fall apart, labels that are missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness import ModelGate, variations
from pytest_bugsle.robustness.arguments import (
    column_of,
    examples_of,
    labels_of,
    number,
    seconds,
    share,
    size,
    whole,
)

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

TEXTS = [f"this is the text number {number}" for number in range(160)]
LABELS = ["good" if len(text) % 2 else "bad" for text in TEXTS]
Ask = Callable[[ModelGate], None]


def scored(text: str) -> dict[str, float]:
    """Return a label with its score."""
    return {"good": 0.9, "bad": 0.1}


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans(), st.lists(st.integers())))
def test_a_share_is_a_number_from_0_to_1(value: Any) -> None:
    """Whatever else is told."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if good:
        assert share("limit", value) == value
    else:
        with pytest.raises(UsageError, match="limit == "):
            share("limit", value)


def test_numbers_of_numpy_are_numbers() -> None:
    """And nothing is as large as it likes."""
    assert (size("tolerance", None), size("tolerance", numpy.float32(0.5)), whole("n", numpy.int64(3))) == (
        None,
        0.5,
        3,
    )
    assert seconds("timeout", None) is None and number("lower_by", -1) == -1
    for value in (math.inf, 10**400, "5", 0):
        with pytest.raises(UsageError, match=r"timeout == .*\n  next: timeout=60, or None to wait for ever"):
            seconds("timeout", value)
    for value, said in (
        (1.0, "must be a whole number"),
        (True, "must be a whole number"),
        (0, "must be at least 1"),
    ):
        with pytest.raises(UsageError, match=said):
            whole("variants", value)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda gate: gate.invariant("case", max_flip_rate="2%"), "max_flip_rate == '2%', must be a number"),
        (lambda gate: gate.invariant("case", max_flip_rate={"natural": "x"}), "max_flip_rate == 'x'"),
        (
            lambda gate: gate.invariant("case", score_tolerance=math.nan),
            "score_tolerance == nan, must be at least 0",
        ),
        (lambda gate: gate.invariant("case", relative_tolerance=-1), "relative_tolerance == -1"),
        (lambda gate: gate.invariant("case", variants=1.5), "variants == 1.5, must be a whole number"),
        (lambda gate: gate.directional("case", lower_by=math.nan), "lower_by == nan, must be finite"),
        (lambda gate: gate.directional("case", higher_by="a bit"), "higher_by == 'a bit'"),
        (lambda gate: gate.directional("case", higher_by=0, max_rate=5), "max_rate == 5"),
        (lambda gate: gate.deterministic(tolerance=math.nan), "tolerance == nan, must be at least 0"),
        (lambda gate: gate.calibrated(max_excess="0.02"), "max_excess == '0.02'"),
        (lambda gate: gate.calibrated(bins=0), "bins == 0, must be at least 1"),
        (lambda gate: gate.confident_errors(threshold=95), "threshold == 95, must be from 0 to 1"),
        (lambda gate: gate.confident_errors(max_rate=None), "max_rate == None"),
        (lambda gate: gate.slices(fewest="x"), "fewest == 'x'"),
        (lambda gate: gate.slices(min_effect=5), "min_effect == 5"),
        (lambda gate: gate.fair(LABELS, max_gap=5), "max_gap == 5"),
        (lambda gate: gate.not_worse_than(scored, margin=math.nan), "margin == nan"),
        (lambda gate: gate.counterfactual({"this": "that"}, tolerance=math.nan), "tolerance == nan"),
        (lambda gate: gate.counterfactual({"this": "that"}, max_rate=math.nan), "max_rate == nan"),
    ],
)
def test_an_argument_that_is_none_is_told_at_once(ask: Ask, said: str) -> None:
    """What is no number would let everything through."""
    with pytest.raises(UsageError, match=said):
        ask(ModelGate(scored, TEXTS, LABELS))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "timeout == 0"),
        ({"seed": "abc"}, "seed == 'abc', must be a whole number"),
        ({"batch": 0}, "batch == 0, must be at least 1"),
        ({"batch": "x"}, "batch == 'x', must be a whole number"),
        ({"classes": ["a", "b", "a"]}, "classes has 'a' twice"),
    ],
)
def test_an_option_that_is_none_is_told_at_once(options: dict[str, Any], said: str) -> None:
    """Before any model is asked."""
    with pytest.raises(UsageError, match=said):
        ModelGate(scored, TEXTS, **options)


def test_no_batch_is_one_input_at_a_time() -> None:
    """None as well as False."""
    assert ModelGate(scored, TEXTS, batch=None).model.batch == 1


def test_a_table_is_its_rows() -> None:
    """Not the names of its columns; a column of it is its values."""
    table = {"text": ["a", "b"], "n": [1, 2]}
    rows = [{"text": "a", "n": 1}, {"text": "b", "n": 2}]
    assert examples_of(pandas.DataFrame(table, index=[7, 3])) == rows == examples_of(polars.DataFrame(table))
    assert (
        examples_of(pandas.Series(["a", "b"], index=[7, 3]))
        == ["a", "b"]
        == examples_of(polars.Series(["a", "b"]))
    )
    texts = examples_of(numpy.array(["a", "b"]))
    assert texts == ["a", "b"] and {type(text) for text in texts} == {str}
    assert [list(row) for row in examples_of(numpy.eye(2))] == [[1, 0], [0, 1]]
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(UsageError, match="the examples have two columns 'a'"):
        examples_of(twice)
    with pytest.raises(UsageError, match="there are no examples"):
        ModelGate(scored, pandas.DataFrame({"a": []}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("one text", "the examples are a str, and no list"),
        ({"a": 1}, "the examples are a dict, and no list"),
        ({"a", "b"}, "the examples are a set, and no list"),
        (5, "the examples: int is no list"),
        (numpy.array(5), "the examples: iteration over a 0-d array"),
    ],
)
def test_what_would_fall_apart_is_no_list_of_examples(given: Any, said: str) -> None:
    """A text into letters, a mapping into keys."""
    with pytest.raises(UsageError, match=said):
        ModelGate(scored, given)


def test_a_sparse_matrix_is_told() -> None:
    """Its rows are none that can be varied."""

    class Sparse:
        def toarray(self) -> None:
            """Stand for what makes a matrix sparse."""

    with pytest.raises(UsageError, match="the examples are a sparse matrix"):
        examples_of(Sparse())


def test_labels_that_are_missing_or_none_are_told() -> None:
    """A missing label made every answer wrong."""
    for missing in (None, math.nan, pandas.NA, pandas.NaT):
        with pytest.raises(UsageError, match="labels: 1 of 3 are missing, first that at 1"):
            labels_of(["a", missing, "b"])
    with pytest.raises(UsageError, match="labels: that at 0 is list"):
        labels_of([["a"], ["b"]])
    with pytest.raises(UsageError, match="labels: a single text"):
        labels_of("ab")
    with pytest.raises(UsageError, match="labels: DataFrame is no column"):
        labels_of(pandas.DataFrame({"a": [1]}))
    assert labels_of(numpy.array([1, 2])) == [1, 2] == labels_of(pandas.Series([1, 2], index=[5, 4]))


def test_columns_are_read_by_their_order_and_not_by_their_index() -> None:
    """As they come from a split of a data frame."""
    halves = ["first" if place < 80 else "second" for place in range(160)]
    shuffled = pandas.Series(halves, index=[(7 * place) % 160 for place in range(160)])
    assert column_of("groups", shuffled) == halves
    gate = ModelGate(lambda text: "good" if TEXTS.index(text) < 80 else "bad", TEXTS, LABELS)
    gate.fair(shuffled, positive="good")
    gate.slices([], columns={"half": pandas.Series(halves, index=range(1000, 1160))})
    fair, slices = gate.results()
    rates = {group.name: group.rate for group in fair.groups if group.metric == "positive rate"}
    assert rates == {"first": 1.0, "second": 0.0} and slices.outcome in ("pass", "fail")


def test_what_has_no_group_is_one_group() -> None:
    """NaN is not equal to itself, and was as many groups as there are of it."""
    groups = [None, *(float("nan") for _ in range(59)), *["a"] * 100]
    gate = ModelGate(scored, TEXTS, LABELS)
    gate.fair(groups, positive="good")
    (fair,) = gate.results()
    assert {group.name: group.n for group in fair.groups if group.metric == "error rate"} == {
        "None": 60,
        "a": 100,
    }
    with pytest.raises(UsageError, match="groups: list is no group"):
        gate.fair([["a"]] * 160)


def test_one_name_is_as_good_as_a_list_of_one() -> None:
    """Of dimensions, metrics and ids."""
    gate = ModelGate(scored, TEXTS, LABELS)
    gate.slices("length", min_effect=0.5)
    gate.fair(["a", "b"] * 80, positive="good", metrics="error rate", max_gap=0.9)
    slices, fair = gate.results()
    assert "no dimension" not in slices.message and {group.metric for group in fair.groups} == {"error rate"}
    one = ModelGate(scored, ["ab"], ["bad"])
    one.confident_errors(threshold=0.5)
    (found,) = one.results()
    again = ModelGate(scored, ["ab"], ["bad"])
    again.confident_errors(threshold=0.5, triaged=found.notes[0].partition(":")[0])
    assert [each.rule for each in found.findings] == ["BUG405", "BUG410"] or found.findings[
        0
    ].rule == "BUG405"
    assert "BUG405" not in {each.rule for each in again.results()[0].findings}


def test_examples_of_a_strategy_may_be_an_array() -> None:
    """Whose truth is none."""
    assert variations(numpy.array(TEXTS), "typos") is not None


def test_a_gate_takes_no_question_once_its_test_is_over() -> None:
    """Nobody would ask the model."""
    gate = ModelGate(scored, TEXTS, LABELS, test="test_a.py::test_first")
    gate.close()
    for ask in (lambda: gate.invariant("case"), gate.slices, gate.deterministic):
        with pytest.raises(UsageError, match=r"this gate belongs to test_a\.py::test_first, which is over"):
            ask()
