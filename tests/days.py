"""Which day it is, for tests of what counts days: none of them runs over midnight."""

from __future__ import annotations

import datetime as dt
import time

import pytest

_LAST = 60
"""Seconds: no such test takes longer."""


def today() -> dt.date:
    """Return the day in UTC."""
    return dt.datetime.now(tz=dt.UTC).date()


@pytest.fixture(autouse=True)
def same_day() -> None:
    """Wait for the next day where this one ends within a minute; a module that imports this has it for each test."""
    left = 86400 - time.time() % 86400
    if left < _LAST:
        time.sleep(left)
