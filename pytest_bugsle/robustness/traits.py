"""What can be seen of an input without the model: length, script, digits, emoji, negation.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from unicodedata import category, name

_LOOKED_AT = 2000
"""Characters of a text from which its script is told."""

_LENGTHS = ((0, "empty"), (20, "1-20"), (80, "21-80"), (280, "81-280"), (1000, "281-1000"))

_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|nowhere|cannot|without|hardly|barely|\w+n['\u2019]t)\b",
    re.IGNORECASE,
)

_EMOJI = re.compile(
    "[\u2600-\u27bf\u2b00-\u2bff\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]|[:;=8][-']?[)(DPpO/|]|<3"
)

_DIGIT = re.compile(r"\d")

_JOINED = {"HIRAGANA": "Japanese", "KATAKANA": "Japanese", "CJK": "Han"}


def traits(example: Any) -> dict[str, str]:
    """Return name -> value of what can be seen of one input.

    Of a text: its length in bands of characters, its main script (which hints at a language and tells none),
    and whether it has digits, emoji or an (English) negation. Of a row: which of its fields are missing. Of
    anything else nothing.
    """
    if isinstance(example, str):
        return {
            "length": _length(len(example)),
            "script": script(example),
            "digits": "yes" if _DIGIT.search(example) else "no",
            "emoji": "yes" if _EMOJI.search(example) else "no",
            "negation": "yes" if _NEGATION.search(example) else "no",
        }
    if isinstance(example, Mapping):
        missing = [str(key) for key, value in example.items() if is_missing(value)]
        return {"missing": ", ".join(missing) if missing else "none"}
    return {}


def is_missing(value: object) -> bool:
    """Say whether a field holds nothing: None, NaN, or the NaT and NA of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124  # this is what NaN is


def _length(characters: int) -> str:
    for most, band in _LENGTHS:
        if characters <= most:
            return band
    return "over 1000"


@lru_cache(maxsize=4096)
def _script_of(character: str) -> str:
    if not category(character).startswith("L"):
        return ""
    first = name(character, "").split(" ")[0].split("-")[0]
    return _JOINED.get(first, first.capitalize())


def script(text: str) -> str:
    """Return the script of most letters among the first of a text: "Latin", "Cyrillic", "Han" …; "none" without letters.

    By the first word of a letter's Unicode name, which is not always the Script property: full-width Latin
    letters are their own, as they look and read otherwise. Kana make a text Japanese however many Han it has.
    """
    counted = Counter(_script_of(character) for character in text[:_LOOKED_AT])
    del counted[""]
    if not counted:
        return "none"
    if counted["Japanese"]:
        return "Japanese"
    return max(sorted(counted), key=lambda one: counted[one])


def columns_of(examples: Sequence[Any]) -> dict[str, list[str]]:
    """Return trait -> its value for each example; "unknown" for those that do not have it."""
    seen = [traits(example) for example in examples]
    names = sorted({one for row in seen for one in row})
    return {one: [row.get(one, "unknown") for row in seen] for one in names}
