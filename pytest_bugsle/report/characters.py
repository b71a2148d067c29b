"""Text that tells its reader each character: escapes for what cannot be seen, names for what looks alike.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_bugsle.results import ModelEdit

_MOST_NAMED = 4


def seen(text: str) -> str:
    r"""Return a text with everything that cannot be seen as an escape of Python.

    Letters, digits, punctuation and symbols are written as they are, marks and formats are not.
    """
    return "".join(_written(character) for character in text)


def quoted(text: str) -> str:
    """Return a text as `seen` does, in double quotes."""
    return f'"{seen(text)}"'


def _written(character: str) -> str:
    if character in "'\"":
        return character
    made = repr(character)[1:-1]
    if len(made) > 1 or made.isascii() or unicodedata.category(made)[0] in "LNPS":
        return made
    number = ord(made)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def names_of(edits: Sequence[ModelEdit]) -> list[str]:
    """Return the names of the characters that edits bring in, and that a reader cannot tell by their look."""
    found: dict[str, str] = {}
    for edit in edits:
        there = edit.before if isinstance(edit.before, str) else ""
        for character in edit.after if isinstance(edit.after, str) else "":
            if not character.isascii() and character not in there:
                found.setdefault(
                    character, f"U+{ord(character):04X} {unicodedata.name(character, 'without a name')}"
                )
    named = list(found.values())
    more = len(named) - _MOST_NAMED
    return [*named[:_MOST_NAMED], f"{more} more"] if more > 0 else named
