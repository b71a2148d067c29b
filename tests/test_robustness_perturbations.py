"""Perturbations: each does what its name says, changes nothing that it must not, and can be chosen by words."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chances import seeded as chance
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pytest_bugsle import robustness
from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.edits import apply, boxed, fits, unboxed
from pytest_bugsle.robustness.other_kinds import for_examples
from pytest_bugsle.robustness.perturbations import (
    NATURES,
    REGISTRY,
    TASKS,
    Perturbation,
    chosen,
    families,
    groups_of,
    load,
)
from pytest_bugsle.robustness.text_typos import typo
from pytest_bugsle.robustness.variations import once, varied

load()
TEXT = "I'm sure Anna isn't at http://foo.com/bar: \"naïve\" costs 23,5 euros, friends! Straße ｆｕｌｌ"


def after(name: str, text: str = TEXT, seed: int = 1) -> str:
    """Return the text as a perturbation changes it."""
    edits = REGISTRY[name].edit(text, chance(seed))
    assert edits
    return str(apply(text, edits))


@pytest.mark.parametrize("name", REGISTRY)
@hypothesis_settings(max_examples=25)
@given(
    text=st.text() | st.sampled_from([TEXT, "", "a", "'", "Don’t!", "e\u0301\u0327", "ΌΣΟΣ", "\ud800x word"]),
    seed=st.integers(0, 99),
)
def test_edits_fit_whatever_the_text(name: str, text: str, seed: int) -> None:
    """In order, within the text; and the same for the same seed."""
    edits = REGISTRY[name].edit(text, chance(seed))
    assert fits(text, edits or [])
    assert edits == REGISTRY[name].edit(text, chance(seed))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("case.upper", TEXT.upper()),
        ("case.lower", TEXT.lower()),
        ("case.swap", TEXT.swapcase()),
        ("whitespace.double", TEXT.replace(" ", "  ")),
        ("whitespace.pad", f" {TEXT} "),
        ("whitespace.no_break", TEXT.replace(" ", "\u00a0")),
        ("unicode.nfd", unicodedata.normalize("NFD", TEXT)),
        ("unicode.nfkc", unicodedata.normalize("NFKC", TEXT)),
        ("contractions.expand", TEXT.replace("I'm", "I am").replace("isn't", "is not")),
        ("punctuation.end", f"{TEXT}."),
    ],
)
def test_what_a_name_says(name: str, expected: str) -> None:
    """As Python itself would do it to the whole."""
    assert after(name) == expected


def test_a_title_leaves_apostrophes_alone() -> None:
    """Where str.title() makes “Don'T”."""
    assert after("case.title", "don't stop") == "Don't Stop"


def test_punctuation_within_words_and_before_numbers_stays() -> None:
    """It belongs to them."""
    assert (
        after("punctuation.strip", "“Stop”, don't pay $20 (or -5) #fail!") == "Stop don't pay $20 or -5 #fail"
    )
    assert after("punctuation.end", "Stop!") == "Stop"


def test_quotes_open_and_close() -> None:
    """And an apostrophe is a closing one."""
    assert after("quotes.curly", "\"I don't\", 'he' said.") == "“I don’t”, ‘he’ said."
    assert after("quotes.straight", "“I don’t”") == '"I don\'t"'


@pytest.mark.parametrize("slip", ["key", "swap", "drop", "insert", "confusable", "zero_width"])
@given(seed=st.integers(0, 500))
def test_a_typo_is_one_slip_in_a_word_of_four_letters_or_more(slip: Any, seed: int) -> None:
    """Not in its first letter, and not in addresses, @names, placeholders or numbers."""
    text = "go to http://example.org @somebody {name} A1234 %(count)s tiny letter"
    edits = typo(slip).edit(text, chance(seed)) or []
    made = str(apply(text, edits))
    assert len(edits) == 1 and made != text
    assert made.startswith(text[: text.index("tiny") + 1]) and made.rsplit(maxsplit=1)[-1].startswith("l")


@given(st.integers(0, 500))
def test_a_slip_of_a_key_is_a_neighbour_in_the_same_case(seed: int) -> None:
    """On the keyboard that is asked for."""
    (edit,) = typo("key", layout="qwertz").edit("aZZZ", chance(seed)) or []
    assert edit[2] in "TGHUJ"
    (other,) = typo("key", layout="qwerty").edit("azzz", chance(seed)) or []
    assert other[2] in "asx"


def test_more_slips_are_in_different_words() -> None:
    """As many as there are words for."""
    edits = typo("drop", edits=3).edit("some words here now", chance(0)) or []
    assert len(edits) == 3 and len({"some words here now"[: each[0]].count(" ") for each in edits}) == 3
    assert len(typo("drop", edits=9).edit("some words", chance(0)) or []) == 2


@pytest.mark.parametrize("text", ["", "a", "abc", "12345", "@mention"])
def test_where_a_typo_does_not_apply_it_says_so(text: str) -> None:
    """Without raising."""
    assert all(typo(slip).edit(text, chance(0)) is None for slip in ("key", "swap", "drop", "insert"))


def test_numbers_change_in_one_digit_each() -> None:
    """And stay as long."""
    made = after("numbers.change", "12 of 3.5 in v2, #7")
    assert (
        len(made) == len("12 of 3.5 in v2, #7")
        and made.endswith("in v2, #7")
        and made != "12 of 3.5 in v2, #7"
    )


def test_names_and_groups_are_swapped_in_their_case() -> None:
    """As whole words."""
    assert after("groups.gender", "He told HIS wife, the shepherd") == "She told HER husband, the shepherd"
    made = after("names.swap", "Anna met Anna and Annabel")
    first = made.split()[0]
    assert made == f"{first} met {first} and Annabel" and first != "Anna"


def test_a_twin_is_no_further_example_and_a_no_op_no_trial() -> None:
    """Both are counted."""
    examples = once(["same", "same", "OTHER", "123"])
    assert examples == ["same", "OTHER", "123"]
    made = varied(examples, REGISTRY["case.upper"], seed=0)
    assert (len(made.all), made.no_ops, made.duplicates) == (1, 2, 0)


def test_edits_that_change_nothing_are_no_trial() -> None:
    """Though they are there."""
    (same,) = chosen([lambda text: [(0, 1, text[0])]])
    made = varied(["some", "text"], same, seed=0)
    assert (made.all, made.no_ops) == ([], 2)


def test_a_variation_that_was_there_already_is_no_second_one() -> None:
    """However often it is drawn."""
    made = varied(["abcd"], typo("drop"), seed=0, variants=50)
    assert len(made.all) == 3 and made.duplicates == 47


@given(st.lists(st.text(min_size=4), min_size=1), st.text(min_size=4))
def test_an_example_more_changes_no_variation_of_the_others(texts: list[str], other: str) -> None:
    """Nor does their order."""
    typos = typo("swap")
    alone = {one.before: one.after for one in varied(once(texts), typos, seed=5).all}
    more = {one.before: one.after for one in varied(once([other, *reversed(texts)]), typos, seed=5).all}
    assert all(more[before] == made for before, made in alone.items())


def test_what_is_not_valid_is_no_trial() -> None:
    """A user says which variations keep the meaning."""
    made = varied(
        ["keep this", "drop that"],
        REGISTRY["case.upper"],
        seed=0,
        valid=lambda before, after: "keep" in before,
    )
    assert [one.before for one in made.all] == ["keep this"] and made.not_valid == 1


def test_words_choose() -> None:
    """Names, families, natures, functions; each once, and for a task."""
    assert [each.name for each in chosen(["case.upper", "case", "case.lower"])] == [
        "case.upper", "case.lower", "case.title", "case.swap",
    ]  # fmt: skip
    assert {each.nature for each in chosen(NATURES)} == set(NATURES)
    assert chosen([str.upper])[0].edit("ab", chance(0)) == [(0, 2, "AB")]
    assert all(chosen([], task) for task in TASKS)
    assert families()[:2] == ["case", "contractions"]


def test_no_perturbation_is_lost_for_its_name() -> None:
    """Two lambdas share one; what is asked for twice is one all the same."""
    one, other = (lambda text: f"{text}!"), (lambda text: f"{text}?")
    first, second = chosen([one, other, one])
    assert (first.name, second.name) == ("lambda", "lambda-2")
    assert [each.edit("a", chance(0)) for each in (first, second)] == [[(1, 1, "!")], [(1, 1, "?")]]
    tables = [robustness.swaps({word: "b"}, name="mine") for word in ("a", "c")]
    assert [each.name for each in chosen([*tables, tables[0], "case.upper", "case.upper"])] == [
        "mine", "mine-2", "case.upper",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "task", "said"),
    [
        (["typo"], None, "there is no perturbation 'typo'.\n  next: did you mean 'typos'?"),
        ([3], None, "3 is no perturbation."),
        ([], None, "no perturbation is named.\n  why: what keeps an answer depends on the task"),
        ([], "sentimnt", "there is no task 'sentimnt'.\n  next: did you mean 'sentiment'?"),
    ],
)
def test_a_wrong_word_names_the_nearest(words: list[Any], task: str | None, said: str) -> None:
    """And none at all says what there is."""
    with pytest.raises(UsageError) as raised:
        chosen(words, task)
    assert str(raised.value).startswith(said)


def test_a_users_own_function_becomes_a_perturbation() -> None:
    """By a decorator; edits are found by comparing."""

    @robustness.perturbation(nature="adversarial", name="mine.shout")
    def shout(text: str) -> str | None:
        return None if text.endswith("!") else f"{text}!"

    @robustness.perturbation
    def drawn(text: str, random: Random) -> str:
        return text + random.choice("ab")

    assert isinstance(shout, Perturbation) and shout.family == "mine" and not shout.chance and drawn.chance
    assert shout.edit("hey", chance(0)) == [(3, 3, "!")] and shout.edit("hey!", chance(0)) is None
    assert chosen([shout, drawn, shout]) == [shout, drawn]
    with pytest.raises(UsageError, match="there is no perturbation 'mine'"):
        chosen(["mine"])


def test_a_function_that_returns_no_text_is_told() -> None:
    """And so are edits that do not fit, and natures that are none."""
    with pytest.raises(UsageError, match=r"the perturbation .* returned int for a text"):
        varied(["text"], chosen([lambda text: 3])[0], seed=0)
    with pytest.raises(UsageError, match="returned edits that do not fit the example"):
        varied(["text"], chosen([lambda text: [(0, 99, "x")]])[0], seed=0)
    with pytest.raises(UsageError, match="there is no nature 'natral'"):
        robustness.perturbation(nature="natral")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no keyboard layout 'dvorak'"):
        typo("key", layout="dvorak")
    with pytest.raises(UsageError, match="edits == 0, must be at least 1"):
        typo("key", edits=0)


def test_paraphrases_are_a_users_own(tmp_path: Path) -> None:
    """From a mapping, a function, or a file of pairs."""
    (tmp_path / "pairs.csv").write_text("good film,fine film\n\n", encoding="utf-8")
    (tmp_path / "pairs.jsonl").write_text('["good film", "fine film"]\n', encoding="utf-8")
    for given_pairs in ({"good film": "fine film"}, tmp_path / "pairs.csv", str(tmp_path / "pairs.jsonl")):
        made = robustness.paraphrases(given_pairs)
        assert apply("good film", made.edit("good film", chance(0)) or []) == "fine film"
        assert made.edit("another", chance(0)) is None
    (tmp_path / "pairs.csv").write_text("one,two,three\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 1 is no pair of texts"):
        robustness.paraphrases(tmp_path / "pairs.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        robustness.paraphrases(tmp_path / "none.csv")


def test_words_to_swap_are_needed() -> None:
    """Some words, and two names."""
    with pytest.raises(UsageError, match="there is no word to swap"):
        robustness.swaps({}, name="mine")
    with pytest.raises(UsageError, match="between at least two"):
        robustness.names({"a": ["Ann"]})


def test_a_long_text_is_varied() -> None:
    """By each perturbation."""
    text = "Some words, isn't it, Anna? " * 10_000
    for each in REGISTRY.values():
        made = varied(once([text]), each, seed=0)
        assert len(made.all) + made.no_ops == 1


@given(st.data())
def test_variations_are_a_strategy(data: st.DataObject) -> None:
    """For a user's own properties."""
    before, changed = data.draw(robustness.variations(["some words", "other text"], "typos"))
    assert boxed(before) != boxed(changed) and before in ("some words", "other text")


def test_two_of_one_name_are_two() -> None:
    """Two lambdas, or a typo on another keyboard; the same one twice is one."""
    first, second = (lambda text: text.upper()), (lambda text: text.lower())
    made = chosen([first, second, first, "typos.key", typo("key", layout="qwertz"), "typos.key"])
    assert [each.name for each in made] == ["lambda", "lambda-2", "typos.key", "typos.key-2"]
    assert [each.edit("Ab", chance(0)) for each in made[:2]] == [[(0, 2, "AB")], [(0, 2, "ab")]]


def test_what_is_missing_is_not_varied() -> None:
    """Among texts or rows: None, NaN."""
    (upper,) = chosen(["case.upper"])
    made = varied(once(["a text", None, float("nan")]), upper, seed=0)
    assert (len(made.all), made.no_ops) == (1, 2)


def test_a_perturbation_may_change_its_copy() -> None:
    """The example stays as it was, and the change is found."""

    def slip(row: dict[str, float]) -> dict[str, float]:
        row["a"] *= 1000
        return row

    row = {"a": 1.0}
    (made,) = chosen([slip], others={})
    (variation,) = varied(once([row]), made, seed=0).all
    assert row == {"a": 1.0} and unboxed(variation.after) == {"a": 1000.0}


def test_a_perturbation_that_raises_is_named() -> None:
    """With what it was to vary; so is what says whether a variation is valid."""
    (broken,) = chosen([lambda text: text.no_such_method()])
    with pytest.raises(UsageError, match=r"lambda raises AttributeError: .*\n  why: it was to vary 'a text'"):
        varied(once(["a text"]), broken, seed=0)
    (upper,) = chosen(["case.upper"])
    with pytest.raises(
        UsageError, match=r"valid= raises ZeroDivisionError: .*\n  why: .* 'A' still means 'a'"
    ):
        varied(once(["a"]), upper, seed=0, valid=lambda before, after: bool(1 / 0))
    with pytest.raises(UsageError, match=r"case.upper raises TypeError: .*\n  why: it was to vary 5"):
        varied(once([5]), upper, seed=0)


def test_words_for_texts_are_none_for_rows() -> None:
    """And a nature is that of what can be varied."""
    rows = [{"a": 1.5}, {"a": 2.5}]
    known = for_examples(rows)
    assert {each.kind for each in chosen(["natural"], others=known)} == {"row"}
    assert {each.kind for each in chosen(["natural"], others=for_examples(["a text"]))} == {"text"}
    with pytest.raises(
        UsageError, match=r"'case' varies texts, and the examples are none.\n  next: there are columns"
    ):
        chosen(["case"], others=known)
    with pytest.raises(UsageError, match="there is no 'natural' for examples of this kind"):
        chosen(["natural"], others=for_examples([object()]))
    assert for_examples([None, "a text"]) is None


def test_rows_of_texts_and_numbers_are_no_arrays() -> None:
    """A family of both has what applies."""
    numpy = pytest.importorskip("numpy")
    for row in (("red", 1.5), numpy.array(["red", 1.5], dtype=object)):
        assert [each.name for each in chosen(["noise"], others=for_examples([row]))] == ["noise.row"]
    numbers = for_examples([(1.5, 2.0)])
    assert [each.name for each in chosen(["noise", "blur"], others=numbers)] == ["noise.row", "blur.box"]


def test_what_came_by_itself_decides_by_itself() -> None:
    """Though its nature was named, too."""

    def mine(text: str) -> str:
        return f"{text}!"

    words = ["natural", mine, typo("key", name="case.mine"), "case"]
    made = chosen(words)
    groups = groups_of(made, words, None)
    assert "mine" not in groups and "case.mine" not in groups and groups["case.upper"] == "case"
    assert groups["whitespace.pad"] == "natural"
