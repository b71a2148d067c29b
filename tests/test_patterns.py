"""A pattern that is compiled later is a pattern like another."""

from __future__ import annotations

import re

import pytest

from pytest_bugsle.patterns import lazy_pattern


def test_it_answers_what_the_pattern_itself_answers() -> None:
    """Text and bytes, with flags, asked once and again."""
    text, raw = lazy_pattern("(?P<word>fix)es", re.IGNORECASE), lazy_pattern(rb"\d+")
    for _ in range(2):
        found = text.search("It Fixes this")
        assert found is not None and found["word"] == "Fix"
        assert text.sub("-", "fixes") == "-"
        assert raw.findall(b"1 22") == [b"1", b"22"]
    assert (text.pattern, raw.groups) == ("(?P<word>fix)es", 0)


def test_nothing_is_compiled_before_it_is_asked() -> None:
    """A wrong one is told by its first use."""
    wrong = lazy_pattern("(")
    with pytest.raises(re.error, match="unterminated"):
        wrong.match("x")
