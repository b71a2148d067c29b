"""What is seen of an input without the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.robustness.traits import columns_of, script, traits


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hello", "Latin"),
        ("привет and", "Cyrillic"),
        ("مرحبا", "Arabic"),
        ("日本語です", "Japanese"),
        ("中文", "Han"),
        ("ｈｅｌｌｏ", "Fullwidth"),
        ("12 :-)", "none"),
        ("", "none"),
        ("\ud800", "none"),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, name: str) -> None:
    """It hints at a language and tells none."""
    assert script(text) == name


@pytest.mark.parametrize(
    ("text", "trait", "value"),
    [
        ("", "length", "empty"),
        ("a" * 20, "length", "1-20"),
        ("a" * 21, "length", "21-80"),
        ("a" * 1_000_000, "length", "over 1000"),
        ("room 12", "digits", "yes"),
        ("room", "digits", "no"),
        ("nice :)", "emoji", "yes"),
        ("nice 😀", "emoji", "yes"),
        ("nice", "emoji", "no"),
        ("I don\u2019t know", "negation", "yes"),
        ("Cannot", "negation", "yes"),
        ("knot", "negation", "no"),
    ],
)
def test_texts_have_traits(text: str, trait: str, value: str) -> None:
    """In bands and by yes and no."""
    assert traits(text)[trait] == value


def test_rows_say_what_is_missing_and_other_inputs_nothing() -> None:
    """None and NaN are missing, 0 and "" are not."""
    assert traits({"a": None, "b": float("nan"), "c": 0, "d": ""}) == {"missing": "a, b"}
    assert traits({"a": 1}) == {"missing": "none"}
    assert traits([1, 2]) == {}
    assert columns_of(["a", {"x": 1}])["missing"] == ["unknown", "none"]


@given(st.lists(st.text(), max_size=10))
def test_every_text_has_every_trait(texts: list[str]) -> None:
    """One value for each example."""
    assert all(len(values) == len(texts) for values in columns_of(texts).values())
