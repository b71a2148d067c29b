"""Sentences in which nothing but the group differs: holes that are filled, words that are swapped, and the verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.results import ModelResult
from pytest_bugsle.robustness import ModelGate, names, swaps
from pytest_bugsle.robustness.counterfactuals import HOLE, fillings

JOBS = ("doctor", "teacher", "nurse", "driver", "painter", "pilot", "farmer", "singer")
TEMPLATES = [f"I am a {{}} person, number {number}." for number in range(100)]
GENDER = swaps({"he": "she", "she": "he"}, name="groups.mine")


def asked(model: Any, *swapped: Any, examples: list[Any] | None = None, **options: Any) -> ModelResult:
    """Return what a gate says of swaps."""
    gate = ModelGate(model, ["a text"] if examples is None else examples)
    gate.counterfactual(*swapped, **options)
    (made,) = gate.results()
    return made


def test_a_group_that_changes_the_answer_is_found_and_named() -> None:
    """Nothing but the word differs; a model that does not look at it passes."""
    weak = asked(lambda text: "toxic" if "gay" in text else "fine", ["gay", "straight"], templates=TEMPLATES)
    assert (weak.outcome, weak.trials, weak.rate, weak.gate) == ("fail", 100, 1.0, "counterfactual")
    assert weak.findings[0].rule == "BUG408"
    assert "100 of 100 swaps in 100 templates change the answer" in weak.message
    assert "'I am a {} person, number 0.': 'gay' -> toxic, 'straight' -> fine" in weak.message
    assert asked(lambda text: "fine", ["gay", "straight"], templates=TEMPLATES).outcome == "pass"


def test_scores_count_where_a_tolerance_is_given() -> None:
    """Labels may be the same, and a number has no label."""

    def toxicity(text: str) -> float:
        return 0.955 if "gay" in text else 0.256 if "muslim" in text else 0.088

    groups = ["gay", "muslim", "straight"]
    made = asked(toxicity, groups, templates=TEMPLATES, tolerance=0.2)
    assert made.outcome == "fail" and made.rate == pytest.approx(2 / 3)
    assert "  'gay': 200 of 200" in made.message and "  'muslim': 100 of 200" in made.message
    assert asked(toxicity, groups, templates=TEMPLATES, tolerance=0.9).outcome == "pass"
    with pytest.raises(UsageError, match="the model answers numbers, and no tolerance is given"):
        asked(toxicity, groups, templates=TEMPLATES)
    scored = asked(
        lambda text: {"label": "fine", "score": 0.9 if "gay" in text else 0.6}, groups, templates=TEMPLATES
    )
    assert scored.outcome == "pass"


def test_each_of_several_tables_is_swapped() -> None:
    """Not the first alone."""
    texts = [f"the film {number} of a dog" for number in range(60)]
    made = asked(
        lambda text: "b" if "movie" in text else "a", {"dog": "cat"}, {"film": "movie"}, examples=texts
    )
    assert (made.outcome, made.rate) == ("fail", 0.5)


def test_templates_are_the_observations() -> None:
    """Many words in few templates show little."""
    groups = [f"group {number}" for number in range(12)]
    made = asked(lambda text: "fine", groups, templates=TEMPLATES[:5])
    assert (made.outcome, made.trials, made.n_needed) == ("undecided", 5, 59)
    assert "0 of 330 swaps in 5 templates" in made.message


def test_words_of_the_examples_are_swapped_and_clustered_by_what_is_left() -> None:
    """Both sentences of a pair that is there already are one template."""
    texts = [f"{who} is a {job}." for job in JOBS for who in ("He", "She")] + ["Nobody is here."]
    made = asked(lambda text: "no" if "She" in text else "yes", GENDER, examples=texts)
    assert (made.outcome, made.trials) == ("fail", len(JOBS))
    assert "'{} is a doctor.': 'he' -> yes, 'she' -> no" in made.message
    assert fillings([GENDER], texts, None)[0] == (
        "{} is a doctor.",
        {"he": "He is a doctor.", "she": "She is a doctor."},
    )
    by_table = fillings([{"he": "she", "she": "he"}], texts, None)
    assert by_table == fillings([GENDER], texts, None)


def test_names_are_swapped_too() -> None:
    """By name of the perturbation, or those of one's own."""
    texts = [f"{who} met Zoe, number {number}." for number in range(80) for who in ("Anna", "Peter")]
    own = names({"a": ["Anna"], "b": ["Peter"]}, name="names.mine")
    made = asked(lambda text: "Anna" in text, own, examples=texts)
    assert (made.outcome, made.trials, made.rate) == ("fail", 80, 1.0)
    assert asked(lambda text: "fine", "names.swap", examples=texts).outcome == "pass"


def test_where_no_text_has_a_word_nothing_is_shown() -> None:
    """Undecided, never a pass."""
    made = asked(lambda text: "fine", GENDER, examples=["nobody is here"] * 100)
    assert made.outcome == "undecided" and "no template was filled for two groups" in made.message
    assert asked(lambda text: "fine", ["alone"], templates=TEMPLATES).outcome == "undecided"


def test_a_group_on_which_the_model_raises_is_treated_otherwise() -> None:
    """And a template that it cannot judge at all is left out."""

    def picky(text: str) -> str:
        if "gay" in text or "number 7." in text:
            raise ValueError("not this")
        return "fine"

    made = asked(picky, ["straight", "gay"], templates=TEMPLATES)
    assert (made.outcome, made.trials) == ("fail", 99)
    assert "1 template left out on which the model raises for every group" in made.message
    assert "'gay' -> raises ValueError: not this" in made.message


@pytest.mark.parametrize(
    ("swapped", "options", "said"),
    [
        ((), {}, "there is nothing to swap"),
        ((["a", "b"],), {}, "lists of words fill the holes of templates, and nothing else"),
        ((["a", "b"], "names"), {"templates": TEMPLATES}, "lists of words fill the holes"),
        ((["a", "b"],), {"templates": ["I am a person."]}, r"the template 'I am a person\.' has no {}"),
        (("name",), {}, r"there is no perturbation 'name'\.\n  next: did you mean 'names'"),
        (("names",), {"max_rate": 1.1}, r"max_rate == 1\.1, must be from 0 to 1"),
        (("names",), {"variants": 0}, "variants == 0, must be at least 1"),
        (("names",), {"examples": [{"age": 3}]}, "the examples are none"),
    ],
)
def test_what_cannot_be_swapped_is_told_at_once(swapped: Any, options: dict[str, Any], said: str) -> None:
    """Before any model is asked."""
    with pytest.raises(UsageError, match=said):
        asked(lambda text: pytest.fail("asked"), *swapped, **options)


@given(
    st.lists(st.text(), min_size=1, max_size=5),
    st.lists(st.text(min_size=1), min_size=2, max_size=4, unique=True),
)
def test_a_hole_is_filled_with_each_word(rests: list[str], words: list[str]) -> None:
    """Whatever else stands in the template, braces and format fields among it."""
    templates = [f"{rest}{HOLE}{{0}}" for rest in rests]
    made = fillings([words], [], templates)
    assert [template for template, _ in made] == list(dict.fromkeys(templates))
    assert all(list(found) == words for _, found in made)
    assert all(found[word] == template.replace(HOLE, word) for template, found in made for word in words)


@given(st.lists(st.sampled_from(["He", "she", "SHE", "it", "a", "{}", "\ud800"]), min_size=1, max_size=6))
def test_a_swap_leaves_its_template_as_it_is(words: list[str]) -> None:
    """All sentences of one differ in the swapped words alone."""
    for template, groups in fillings([GENDER], [" ".join(words)], None):
        kept = [word for word in words if word.lower() not in ("he", "she")]
        for sentence in groups.values():
            found = sentence.split(" ")
            assert len(found) == len(words) == len(template.split(" "))
            assert [word for word in found if word.lower() not in ("he", "she")] == kept


def test_one_template_needs_no_list() -> None:
    """It was taken letter by letter."""
    gate = ModelGate(lambda text: "x" if "gay" in text else "y", ["a text"])
    gate.counterfactual(["gay", "straight"], templates="I am a {} person.")
    assert gate.results()[0].examples == 1
