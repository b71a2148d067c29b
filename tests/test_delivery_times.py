"""Times that somebody wrote."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.times import parse_time

NOON = 1_740_830_400  # 2025-03-01T12:00:00Z


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-01T12:00:00Z",
        "2025-03-01T13:00:00+01:00",
        "2025-03-01 07:00:00 -0500",
        "2025-03-01 12:00",
        "2025-03-01 12:00:00 UTC",
        "2025-03-01T12:00:00.000Z",
        " 1740830400 ",
        "1740830400.7",
    ],
)
def test_one_moment_in_many_spellings(text: str) -> None:
    """Without a zone it is UTC."""
    assert parse_time(text) == NOON


def test_a_date_alone_is_its_first_second() -> None:
    """In UTC."""
    assert parse_time("2025-03-01") == NOON - 43_200


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-13-01", "2025", "17:30", "99999999999", "1" * 100, "12-03-2025"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    """And never guessed at."""
    assert parse_time(text) is None


@given(st.integers(10**8, 10**11), st.timezones())
def test_what_python_writes_is_read(seconds: int, zone: dt.tzinfo) -> None:
    """With any zone."""
    assert parse_time(dt.datetime.fromtimestamp(seconds, zone).isoformat()) == seconds


@given(st.text(max_size=70))
def test_any_text_is_a_time_or_none(text: str) -> None:
    """Nothing else comes out."""
    got = parse_time(text)
    assert got is None or isinstance(got, int)
