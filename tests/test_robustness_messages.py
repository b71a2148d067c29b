"""What a reader and a report get of a failure: short where the example is long, and what was not done is said."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.report.characters import names_of
from pytest_bugsle.results import ModelEdit, ModelFailure
from pytest_bugsle.robustness import ModelGate, perturbation
from pytest_bugsle.robustness.answers import shortened
from pytest_bugsle.robustness.cases import CaseStore
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


def test_what_json_cannot_hold_is_shown_as_it_is() -> None:
    """Rows with a date among many columns, by keys that are no texts."""
    when = datetime.date(2026, 1, 1)
    for row in (
        {"when": when, **{f"column {n}": n + 0.5 for n in range(30)}},
        {0: when, 1: 1.5},
        {0: 2.5, 1: 1.5},
    ):
        rows = [{**row, key: 1.5 + number} for number in range(100) for key in [list(row)[-1]]]
        gate = ModelGate(lambda given: "rich" if list(given.values())[-1] > 500 else "poor", rows)
        gate.invariant("units.thousand")
        (made,) = gate.results()
        assert made.smallest is not None and json.dumps(msgspec.to_builtins(made))
        assert f"  smallest: {{{next(iter(row))!r}: " in made.message and ".0   poor -> rich" in made.message
        assert f"-> {list(row)[-1]}: " in made.message


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
import os, sys

def model(text):
    return "fine"

def fails_elsewhere(text):
    if os.getpid() != HERE:
        print("no licence here", file=sys.stderr, flush=True)
        os._exit(1)
    return "fine"

def silent_elsewhere(text):
    if os.getpid() != HERE:
        os._exit(0)
    return "fine"

def last_word(text):
    if os.getpid() != HERE:
        import atexit
        atexit.register(lambda: print("\\n0"))
    return "fine"

def garbled(text):
    if os.getpid() != HERE:
        os.write(1, b"\\xff\\n")
        os.write(2, b"\\xff\\n")
        if text == "end":
            os._exit(1)
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
            ("last word", shipped_model.last_word, ["a text"]),
            ("garbled", shipped_model.garbled, ["a text"]),
            ("garbled end", shipped_model.garbled, ["end"]),
        ]:
            gate = ModelGate(model, examples)
            gate.deterministic()
            (made,) = gate.results()
            said[name] = made.message.partition("other process: not asked, ")[2]
        assert said == {
            "asked": "",
            "local": "for it cannot import this model; a function of a module it can",
            "not JSON": "the examples are nothing that JSON holds",
            "dies": "it ended with 1: no licence here",
            "silent": "what it wrote are no answers",
            "last word": "what it wrote are no answers",
            "garbled": "",
            "garbled end": "it ended with 1: \ufffd",
        }
    finally:
        del sys.modules["shipped_model"]


TEXTS = [f"this text has the number {number} and ends well" for number in range(160)]


def told(model: Any, ask: Callable[[ModelGate], None], texts: list[Any] | None = None, **more: Any) -> str:
    """Return what a gate says."""
    gate = ModelGate(model, texts or TEXTS, **more)
    ask(gate)
    gate.results()
    return gate.message()


def test_a_limit_by_nature_says_which() -> None:
    """One that the test names speaks for itself."""
    asked = told(lambda text: "same", lambda gate: gate.invariant("case.swap", "unicode.zero_width"))
    assert "limit 5 % (typographic)" in asked and "limit 10 % (adversarial)" in asked
    named = told(lambda text: "same", lambda gate: gate.invariant("case.swap", max_flip_rate=0.05))
    assert "limit 5 %\n" in named and "typographic" not in named
    table = told(
        lambda text: "same", lambda gate: gate.invariant("case.swap", max_flip_rate={"typographic": 0.3})
    )
    assert "limit 30 % (typographic)" in table


def test_what_decides_nothing_is_one_line() -> None:
    """It is no news."""
    said = told(lambda text: "same", lambda gate: gate.invariant("unicode"), [*TEXTS, "a ﬁnal"])
    assert [line for line in said.splitlines() if line.startswith(("too few", " "))] == [
        "too few unicode.nfc: no example was changed, so that nothing was tried (161 no-ops)",
        "too few unicode.nfd: no example was changed, so that nothing was tried (161 no-ops)",
        "too few unicode.nfkc: flips 0 of 1 = 0 %, bounds 0 to 95 %, limit 5 % (typographic) (160 no-ops)",
    ]


def test_what_was_asked_stands_beside_what_failed() -> None:
    """A score that differs is no flip of a label, and a direction has a size."""

    def length(text: str) -> dict[str, float]:
        share = min(len(text), 99) / 100
        return {"long": share, "short": 1 - share}

    same = told(
        length, lambda gate: gate.invariant("whitespace.pad", max_flip_rate=0.02, score_tolerance=0.005)
    )
    assert "above the limit; the answer must stay, and its score within 0.005\n" in same
    lower = told(length, lambda gate: gate.directional(lambda text: f"{text}!", lower_by=0.1, target="long"))
    assert "above the limit; the score of 'long' must fall by 0.1\n" in lower
    assert "must" not in told(
        lambda text: text, lambda gate: gate.invariant("case.upper", max_flip_rate=0.02)
    )


def test_what_is_saved_says_what_to_do_with_it(tmp_path: Path) -> None:
    """Once, and not where nothing was."""

    def ask(gate: ModelGate) -> None:
        gate.invariant("case.upper", "case.lower", max_flip_rate=0.02)

    store = CaseStore("t.py::t", local=tmp_path, committed=tmp_path / "cases", top=tmp_path)
    assert told(lambda text: text, ask, store=store).count("`bugsle accept models`") == 1
    assert "bugsle accept" not in told(lambda text: text, ask)


def test_a_refusal_that_cannot_be_asked_for_is_said() -> None:
    """A text has no NaN; and an answer is quoted once."""
    said = told(lambda text: "fine", lambda gate: gate.refuses(empty=True, nan=True, columns=False))
    assert said.splitlines()[1:4] == [
        "  empty: answered 'fine' where an error is due",
        "  nan: not tried, such examples cannot have it",
        "  next: let the model raise an error for these before it answers",
    ]


def test_a_weak_slice_shows_what_was_wrong_in_it() -> None:
    """A few of its errors, beside the answer and the label."""
    labels = ["good"] * len(TEXTS)
    said = told(
        lambda text: "good" if len(text) < 42 else "bad",
        lambda gate: gate.slices([], columns={"tens": [len(text) for text in TEXTS]}),
        labels=labels,
    )
    lines = said.splitlines()
    assert lines[1].startswith("  tens = 42") and lines[5].startswith("  2 predefined")
    assert lines[2:5] == [
        f"    'bad', is 'good': 'this text has the number {number} and ends well'"
        for number in (100, 101, 102)
    ]


def test_swapped_words_are_named_and_the_rest_counted() -> None:
    """Those that changed an answer."""
    words = [f"word{number}" for number in range(14)]
    said = told(
        lambda text: text, lambda gate: gate.counterfactual(words, templates=["a {} there"]), ["a text"]
    )
    lines = said.splitlines()
    start = lines.index("  swaps of each word that change the answer:")
    assert lines[start + 1] == "  'word0': 13 of 13" and lines[start + 11] == "  and 4 more words"
    assert "'a {} there'" in said


def test_a_row_in_another_order_is_shown_as_it_is() -> None:
    """It has no place of its own."""
    said = told(
        lambda row: next(iter(row)),
        lambda gate: gate.invariant("columns", max_flip_rate=0.02),
        [{"a": 1.5, "b": number} for number in range(160)],
    )
    assert "         -> {'b': 0, 'a': 1.5}   a -> b\n" in said and "None" not in said


def test_a_character_that_was_there_already_is_not_named() -> None:
    """It is not what was brought in."""
    edit = ModelEdit(place=[0, 2], before="é©", after="e\u0301©")
    assert names_of([edit]) == ["U+0301 COMBINING ACUTE ACCENT"]


@given(st.text(max_size=60), st.integers(2, 30))
def test_what_is_shortened_gets_shorter(text: str, most: int) -> None:
    """Or is left as it is."""
    assert shortened(text, most) == text or len(shortened(text, most)) < len(text)
