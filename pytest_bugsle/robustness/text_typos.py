"""Slips of the fingers, and signs that only look like the right ones.  PYTEST_DONT_REWRITE

They fall on letters other than the first of words of four letters or more, and never on addresses, @names,
numbers or placeholders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.edits import TextEdit
from pytest_bugsle.robustness.perturbations import Nature, Perturbation, register

_SLIPPERY = re.compile(
    r"\w+://\S+|www\.\S+|\S+@\S+\.\w+|[@#$%]\w+|%\(\w*\)\w|\{[^{}\s]*\}|<[^<>\s]*>|\w*\d\w*|([^\W\d_]{4,})"
)
_ANY_WORD = re.compile(r"([^\W\d_]{4,})")
_ROWS: Mapping[str, tuple[str, ...]] = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
    "jcuken": ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
}
_CONFUSABLE = dict(zip("acehijopsxyABCEHIJKMOPSTXY", "асеһіјорѕхуАВСЕНІЈКМОРЅТХУ", strict=True))
_ZERO_WIDTH = "\u200b"

Slip = Literal["key", "swap", "drop", "insert", "confusable", "zero_width"]
Slipping = Callable[[str, int, Random], "tuple[int, int, str] | None"]


def _neighbours(layout: str) -> dict[str, str]:
    """Return the keys beside each key: in its row, and the two or three above and below it."""
    rows = _ROWS[layout]
    found = {}
    for number, row in enumerate(rows):
        for place, key in enumerate(row):
            beside = row[max(0, place - 1) : place] + row[place + 1 : place + 2]
            for other in (number - 1, number + 1):
                if 0 <= other < len(rows):
                    beside += rows[other][max(0, place - 1) : place + 2]
            found[key] = beside
    return found


_NEIGHBOURS = {layout: _neighbours(layout) for layout in _ROWS}


def typo(
    slip: Slip, *, edits: int = 1, layout: str = "qwerty", everywhere: bool = False, name: str = ""
) -> Perturbation:
    """Return a perturbation that slips in so many words, each once; UsageError for a layout that is none.

    Where fewer words can slip, fewer do; where none can, it does not apply. `everywhere` slips in addresses, names
    and placeholders as well.
    """
    if layout not in _ROWS:
        raise UsageError(f"there is no keyboard layout {layout!r}.", hint=f"one of {', '.join(_ROWS)}")
    if edits < 1:
        raise UsageError(f"edits == {edits}, must be at least 1.", hint="edits=1 is one slip a text")
    at = _slips(_NEIGHBOURS[layout])[slip]
    pattern = _ANY_WORD if everywhere else _SLIPPERY

    def edit(text: str, random: Random) -> list[TextEdit] | None:
        words = [match.span(1) for match in pattern.finditer(text) if match[1]]
        made: list[TextEdit] = []
        while words and len(made) < edits:
            # Every letter slips alike, so that long words do more often.
            start, stop = words.pop(_drawn(words, random))
            found = next((each for each in _tried(text, start, stop, random, at)), None)
            if found is not None:
                made.append(found)
        return sorted(made) or None

    adversarial = slip in ("confusable", "zero_width")
    nature: Nature = "adversarial" if adversarial else "typographic"
    return Perturbation(name or f"{'unicode' if adversarial else 'typos'}.{slip}", nature, edit)


def _drawn(words: list[tuple[int, int]], random: Random) -> int:
    """Return the number of a word, drawn by its letters but the first."""
    left = random.random() * sum(stop - start - 1 for start, stop in words)
    for number, (start, stop) in enumerate(words):
        left -= stop - start - 1
        if left < 0:
            return number
    return len(words) - 1


def _tried(text: str, start: int, stop: int, random: Random, at: Slipping) -> Iterator[TextEdit]:
    """Yield what a slip makes at each letter of a word but the first, from one taken by chance onwards."""
    many = stop - start - 1
    first = int(random.random() * many)
    for step in range(many):
        made = at(text, start + 1 + (first + step) % many, random)
        # The other letter of a swap may stand in the next word, or be none.
        if made is not None and made[1] <= stop:
            yield made


def _slips(neighbours: Mapping[str, str]) -> Mapping[str, Slipping]:
    def near(letter: str, random: Random) -> str | None:
        beside = neighbours.get(letter.lower())
        if not beside:
            return None
        key = beside[int(random.random() * len(beside))]
        return key.upper() if letter.isupper() else key

    def key(text: str, place: int, random: Random) -> TextEdit | None:
        other = near(text[place], random)
        return None if other is None else (place, place + 1, other)

    def insert(text: str, place: int, random: Random) -> TextEdit | None:
        other = near(text[place], random)
        return None if other is None else (place + 1, place + 1, other)

    def swap(text: str, place: int, random: Random) -> TextEdit | None:
        pair = text[place : place + 2]
        return None if len(pair) < 2 or pair[0] == pair[1] else (place, place + 2, pair[::-1])

    def drop(text: str, place: int, random: Random) -> TextEdit | None:
        return (place, place + 1, "")

    def confusable(text: str, place: int, random: Random) -> TextEdit | None:
        other = _CONFUSABLE.get(text[place])
        return None if other is None else (place, place + 1, other)

    def zero_width(text: str, place: int, random: Random) -> TextEdit | None:
        return (place, place, _ZERO_WIDTH)

    return {
        "key": key,
        "swap": swap,
        "drop": drop,
        "insert": insert,
        "confusable": confusable,
        "zero_width": zero_width,
    }


register(*(typo(slip) for slip in ("key", "swap", "drop", "insert", "confusable", "zero_width")))
