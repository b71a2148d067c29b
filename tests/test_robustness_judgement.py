"""How a judgement is told: values escaped and short, numbers with their nouns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.robustness.judgement import (
    Figure,
    Judgement,
    Listed,
    count,
    listing,
    named,
    percent,
    shown,
    word,
)


@given(st.text(), st.integers(10, 80))
def test_a_value_is_one_short_line_without_control_characters(text: str, most: int) -> None:
    """Whatever strangers wrote."""
    for made in (shown(text, most), word(text, most)):
        assert len(made) <= most and made.isprintable()


def test_a_long_value_is_shortened_in_its_middle() -> None:
    """Both ends tell more than one."""
    assert shown("a" * 1000 + "z" * 1000, 20) == "'aaaaaaaa…zzzzzzzz'"
    assert shown([1, 2]) == "[1, 2]" and word(3) == "3" and word("it's") == "it's"


def test_numbers_are_told_as_a_user_reads_them() -> None:
    """Shares with the digits that matter."""
    assert [percent(one) for one in (0.0, 0.0014, 0.0613, 0.99, 1.0, None)] == [
        "0.0 %", "0.14 %", "6.13 %", "99.0 %", "100.0 %", "-",
    ]  # fmt: skip
    assert (count(1, "bin"), count(1200, "bin")) == ("1 bin", "1,200 bins")


def test_lists_are_cut_and_counted() -> None:
    """Five, and how many more."""
    many = [Listed(str(place), "wrong") for place in range(7)]
    assert listing(many)[0] == "  '0': wrong" and listing(many)[-1] == "  and 2 more"
    assert len(listing(many)) == 6 and len(listing(many[:5])) == 5


def test_ids_are_places_where_none_are_given() -> None:
    """And must be as many as the examples."""
    assert named(None, 2) == ["0", "1"] and named(["a"], 1) == ["a"]
    with pytest.raises(ValueError, match=r"1 ids for 2 examples, must be as many\."):
        named(["a"], 2)


def test_a_figure_is_found_by_its_name() -> None:
    """Or is not there."""
    judgement = Judgement("g", "pass", 1, ("PASS g: so",), (Figure("rate", 0.5, 2),))
    assert judgement.figure("rate").value == 0.5
    with pytest.raises(KeyError, match="other"):
        judgement.figure("other")
