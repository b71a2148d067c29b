"""Regular expressions that are compiled at their first use.  PYTEST_DONT_REWRITE

This room has some sixty, and compiling them all takes 25 ms at each start; a message that plainly is no
fix needs few of them.
"""

from __future__ import annotations

import re
from typing import Any, cast


class _Later:
    """Stands for a pattern until it is asked for anything."""

    __slots__ = ("_compiled", "_flags", "_text")

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags
        self._compiled: re.Pattern[str] | None = None

    def __getattr__(self, name: str) -> Any:
        if self._compiled is None:
            self._compiled = re.compile(self._text, self._flags)
        return getattr(self._compiled, name)


def lazy_pattern(text: str, flags: int | re.RegexFlag = 0) -> re.Pattern[str]:
    """Return what `re.compile` would, without compiling it yet."""
    return cast("re.Pattern[str]", _Later(text, int(flags)))
