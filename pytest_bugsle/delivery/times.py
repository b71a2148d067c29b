"""Read a time that somebody wrote.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import re

EXPECTED = "a time such as 2025-03-01T10:30:00+01:00 (without a zone it is UTC), or seconds since 1970"
_SECONDS = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_BLANK_ZONE = re.compile(r"\s+(?=(?:[+-]\d\d:?\d\d|Z|z|UTC|GMT)\Z)")


def parse_time(text: str) -> int | None:
    """Give the seconds since 1970 of an ISO 8601 date or time, or of a number of seconds; None if it is neither.

    A time without a zone is UTC, and a date alone is its first second, as YAML has it
    (https://yaml.org/type/timestamp.html).
    """
    text = text.strip()
    if len(text) > 60:
        return None
    # From 1973 to 2286: a year, a date without hyphens, or milliseconds are no such count.
    if _SECONDS.fullmatch(text):
        return int(float(text))
    text = re.sub(r"\s?(?:UTC|GMT)\Z", "Z", _BLANK_ZONE.sub("", text))
    try:
        when = dt.datetime.fromisoformat(text)
        return int((when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
