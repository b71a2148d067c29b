"""Regular expressions that are compiled at their first use.  PYTEST_DONT_REWRITE

A session imports some ninety, and compiling them all would take 25 ms at each start; a message that plainly
is no fix, in a suite that passes, needs few of them.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Later:
    """Stands for a pattern until it is asked for anything."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)  # from here on as quick as the pattern's own
        return found


def lazy_pattern(text: AnyStr, flags: int | re.RegexFlag = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` would, without compiling it yet."""
    return cast("re.Pattern[AnyStr]", _Later(text, int(flags)))
