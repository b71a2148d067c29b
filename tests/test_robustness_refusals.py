"""Bad inputs are made after a good example, and must be refused with an error."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_bugsle.robustness.refusals import TOO_LONG, Attempt, bad_inputs, refused

EVERYTHING: dict[str, Any] = {
    "whitespace": True,
    "too_long": TOO_LONG,
    "nan": True,
    "infinite": True,
    "none": True,
    "wrong_type": True,
    "columns": True,
}


def by_name(example: Any, **asked: Any) -> dict[str, Any]:
    """Return the bad inputs by their names."""
    return {one.name: one.value for one in bad_inputs(example, **asked)}


def test_bad_texts() -> None:
    """No numbers in them to be NaN."""
    made = by_name("good", **EVERYTHING)
    assert list(made) == ["empty", "whitespace only", "too long (10,001)", "None", "wrong type"]
    assert made["empty"] == "" and not made["whitespace only"].strip() and made["wrong type"] == 12345
    assert len(made["too long (10,001)"]) == 10_001
    assert len(by_name("", too_long=7)["too long (8)"]) == 8


def test_bad_rows() -> None:
    """A length does not make a row bad; a flag is no number."""
    made = by_name({"flag": True, "age": 4, "name": "x"}, **EVERYTHING)
    assert list(made) == [
        "empty", "NaN", "infinity", "None", "wrong type", "a column missing", "an unknown column",
    ]  # fmt: skip
    assert math.isnan(made["NaN"]["age"]) and made["NaN"]["flag"] is True
    assert made["infinity"]["age"] == math.inf
    assert made["a column missing"] == {"age": 4, "name": "x"}
    assert made["an unknown column"]["no such column"] == 1


def test_bad_arrays() -> None:
    """Nested and of numpy; the good example stays as it was."""
    good = [[1, 2], [3, 4]]
    made = by_name(good, **EVERYTHING | {"too_long": 4})
    assert math.isnan(made["NaN"][0][0]) and made["NaN"][1] == [3, 4]
    assert len(made["too long (5)"]) == 5
    assert made["a column missing"] == [[3, 4]] and made["a column too many"] == [[1, 2], [3, 4], [3, 4]]
    assert good == [[1, 2], [3, 4]]
    numpy = pytest.importorskip("numpy")
    assert math.isnan(by_name(numpy.array([1.5, 2.0]), nan=True)["NaN"][0])
    assert by_name([], too_long=3, nan=True) == {"empty": []}


def test_a_limit_must_be_one() -> None:
    """One character at least."""
    with pytest.raises(ValueError, match=r"too_long == 0, must be >= 1\."):
        bad_inputs("a", too_long=0)


def test_only_an_error_is_a_refusal() -> None:
    """An answer is a guess; a hang, a death and running out of stack are accidents."""
    judgement = refused(
        [
            Attempt("None", "raised", "TypeError"),
            Attempt("empty", "answered", "'positive'"),
            Attempt("NaN", "timed out", "2 s"),
            Attempt("wrong type", "died", "signal 11"),
            Attempt("too long", "raised", "RecursionError"),
        ]
    )
    assert judgement.outcome == "fail"
    assert judgement.message == (
        "FAIL refuses: 1 of 5 bad inputs are refused with an error",
        "  None: refused (TypeError)",
        "  empty: answered 'positive' where an error is due",
        "  NaN: no answer and no error within 2 s",
        "  wrong type: the process died (signal 11)",
        "  too long: RecursionError: an accident, no refusal",
        "  next: let the model raise an error for these before it answers",
    )
    assert [one.id for one in judgement.examples] == ["empty", "NaN", "wrong type", "too long"]
    assert judgement.remarks[0].rule == "BUG404"
    assert judgement.remarks[0].text == "empty is not refused: answered 'positive' where an error is due"


def test_all_refused_pass_and_none_asked_is_undecided() -> None:
    """A gate that asked nothing has not passed."""
    assert refused([Attempt("empty", "raised", "ValueError")]).outcome == "pass"
    assert refused([]).message == (
        "UNDECIDED refuses: no bad input could be made for such examples: name some, or hand over your own",
    )


def test_bad_inputs_are_of_the_kind_of_the_good_one() -> None:
    """A model of arrays refuses a list by accident, and NaN not at all."""
    numpy = pytest.importorskip("numpy")
    asked: dict[str, Any] = {"nan": True, "infinite": True, "too_long": 5, "columns": True}
    for good in (numpy.array([1.5, 2.0]), numpy.eye(2, dtype="int64"), numpy.eye(2, dtype="float32")):
        made = by_name(good, **asked)
        assert {type(value) for value in made.values()} == {numpy.ndarray} and len(made) == 6
        assert numpy.isnan(made["NaN"]).sum() == 1 and made["NaN"].shape == good.shape
        assert made["a column missing"].dtype == good.dtype
    assert {type(value) for value in by_name((1.5, 2.0), **asked).values()} == {tuple}


def test_an_endpoint_that_breaks_has_refused_nothing() -> None:
    """ProgramError is ours: no answer came."""
    assert refused([Attempt("empty", "raised", "ProgramError")]).outcome == "fail"
    assert refused([Attempt("empty", "raised", "EndpointRefused")]).outcome == "pass"
