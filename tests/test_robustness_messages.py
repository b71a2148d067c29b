"""What a reader and a report get of a failure: short where the example is long, and what was not done is said."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.results import ModelEdit, ModelFailure
from pytest_bugsle.robustness import ModelGate, perturbation
from pytest_bugsle.robustness.messages import brief, failure_lines

MILLION = 1_000_000


def failure(before: Any, place: Any, old: Any, new: Any, after: Any, **outputs: str) -> ModelFailure:
    """Return a failure of one edit."""
    edits = [ModelEdit(place=place, before=old, after=new)]
    outputs = {"output_before": "a", "output_after": "b"} | outputs
    return ModelFailure(before=before, after=after, edits=edits, **outputs)


def test_a_long_example_is_cut_around_its_edit() -> None:
    """With the number of characters that are left out."""
    before = "a" * (MILLION // 2) + "HERE" + "b" * (MILLION // 2)
    after = before.replace("HERE", "there")
    made = brief(failure(before, [MILLION // 2, MILLION // 2 + 4], "HERE", "there", after))
    assert "HERE" in made.before and "there" in made.after
    assert made.before.startswith("… 495,000 characters … aaa")
    assert made.before.endswith("bbb … 495,004 characters of 1,000,004 …")
    assert len(msgspec.json.encode(made)) < 25_000


@given(st.integers(0, 30_000), st.integers(0, 30_000))
def test_what_is_cut_is_counted(head: int, tail: int) -> None:
    """And what is short is left as it is."""
    text = "h" * head + "X" + "t" * tail
    made = brief(failure(text, [head, head + 1], "X", "Y", text)).before
    if len(text) <= 10_000:
        assert made == text
    else:
        kept = sum(made.count(letter) for letter in "hXt")
        assert "X" in made and len(made) < 10_100 and kept >= 10_000


def test_other_long_things_are_cut_too() -> None:
    """Arrays, edits, outputs of models that write."""
    row = {"array": [0.123456] * 5_000, "dtype": "float64"}
    made = brief(failure(row, [3], 0.1, 0.2, row, output_before="word " * 5_000))
    assert isinstance(made.before, str) and "characters" in made.before and len(made.before) < 10_100
    assert len(made.output_before) < 10_100
    short = failure([1, 2], [0], 1, 3, [3, 2])
    assert brief(short) == short
    edits = [ModelEdit(place=[n, n + 1], before="a", after="b") for n in range(5_000)]
    many = brief(
        ModelFailure(before="a" * 5_000, after="b" * 5_000, edits=edits, output_before="", output_after="")
    )
    assert len(many.edits) == 1_001 and many.edits[-1].before == "… 4,000 edits more …"
    (_, shown) = failure_lines(failure("a", [0, 1], "a", "b", "b", output_after="word " * 5_000))
    assert len(shown) < 400


def test_an_example_of_a_million_characters_makes_a_short_result() -> None:
    """In its message as in the report."""
    long = "word " * (MILLION // 5)
    at_end = perturbation(lambda text: text + "!", name="mine.end")
    gate = ModelGate(lambda text: text[-1], [long])
    gate.invariant(at_end)
    (made,) = gate.results()
    assert made.smallest is not None and len(json.dumps(msgspec.to_builtins(made))) < 30_000
    assert made.smallest.before.startswith("… 990,000 characters … ")


def test_shrinking_that_stopped_early_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was smallest says nothing of it."""
    texts = [f"one two three four five six seven number {number}" for number in range(100)]

    def model(text: str) -> bool:
        return sum(map(str.isupper, text.split())) > 3

    for most, said in ((1_000_000, False), (10, True)):
        monkeypatch.setattr("pytest_bugsle.robustness.shrinking._MOST_EDITS", most)
        gate = ModelGate(model, texts)
        gate.invariant("case.upper")
        assert gate.results()[0].outcome == "fail"
        assert ("  shrinking stopped early" in gate.message()) is said


def test_near_duplicates_are_one_observation() -> None:
    """Case and white space make no other example: n would be what it is not."""
    texts = [f"the film number {number}" for number in range(40)]
    twins = [text.title() for text in texts] + [text.replace(" ", "  ") for text in texts]
    gate = ModelGate(lambda text: "same", texts + twins)
    gate.invariant("whitespace.pad", max_flip_rate=0.05)
    (made,) = gate.results()
    assert (made.trials, made.examples, made.outcome, made.n_needed) == (120, 40, "undecided", 59)
    assert "80 near-duplicates counted as one with their like" in made.message
    rows = ModelGate(lambda row: "same", [{"age": 1.5}, {"age": 2.5}])
    rows.invariant("units.ten")
    assert rows.results()[0].examples == 2


MODULE = """
import os

def model(text):
    return "fine"

def fails_elsewhere(text):
    if os.getpid() != HERE:
        raise SystemExit("no licence here")
    return "fine"

def silent_elsewhere(text):
    if os.getpid() != HERE:
        os._exit(0)
    return "fine"

HERE = None
"""


def test_why_no_other_process_was_asked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass without it proves less."""
    (tmp_path / "shipped_model.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import shipped_model  # type: ignore[import-not-found]  # made above

    shipped_model.HERE = os.getpid()
    try:
        said = {}
        for name, model, examples in [
            ("asked", shipped_model.model, ["a text"]),
            ("local", lambda text: "fine", ["a text"]),
            ("not JSON", shipped_model.model, [{"a": {1, 2}}]),
            ("dies", shipped_model.fails_elsewhere, ["a text"]),
            ("silent", shipped_model.silent_elsewhere, ["a text"]),
        ]:
            gate = ModelGate(model, examples)
            gate.deterministic()
            (made,) = gate.results()
            said[name] = made.message.partition("other process: not asked, ")[2]
        assert said == {
            "asked": "",
            "local": "another process can import a function of a module alone, by its name",
            "not JSON": "the examples are nothing that JSON holds",
            "dies": "it ended with 1: no licence here",
            "silent": "what it wrote are no answers",
        }
    finally:
        del sys.modules["shipped_model"]
