"""What happens to the form of a text: case, spaces, punctuation, quotes, Unicode.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from random import Random

from pytest_bugsle.robustness.edits import TextEdit
from pytest_bugsle.robustness.perturbations import Perturbation, register

Edits = list[TextEdit] | None

_CHUNK = re.compile(r"\S+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SPACE = re.compile(r" +")
#: That of sentences, at the edges of words: “don't”, “$20” and “#fail” are words.
_PUNCTUATION = re.compile(
    r"(?<!\w)[.,;:!?…\"'“”‘’„«»¡¿()\[\]–—-]+(?!\d)|[.,;:!?…\"'“”‘’„«»¡¿()\[\]–—-]+(?!\w)"
)
_QUOTE = re.compile(r"[\"']")
_CURLY = re.compile("[“”„‘’‚]")
_END_MARK = re.compile(r"[.!?…]\s*\Z")
_BEYOND_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_ASCII_SIGNS = re.compile(r"[!-~]+")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_CURLY_TO_STRAIGHT = {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'"}


def _each(pattern: re.Pattern[str], change: Callable[[str], str]) -> Callable[[str, Random], Edits]:
    """Return what makes an edit of each match that changes."""

    def edit(text: str, random: Random) -> Edits:
        made = []
        for match in pattern.finditer(text):
            before = match[0]
            after = change(before)
            if after != before:
                made.append((*match.span(), after))
        return made

    return edit


def _capitalised(word: str) -> str:
    # str.title() makes “Don'T” of “don't”.
    return word[:1].upper() + word[1:].lower()


def _pad(text: str, random: Random) -> Edits:
    return [(0, 0, " "), (len(text), len(text), " ")]


def _end_mark(text: str, random: Random) -> Edits:
    """Take the end mark away, or put a full stop there."""
    found = _END_MARK.search(text)
    if found:
        return [(found.start(), found.start() + 1, "")]
    end = len(text.rstrip())
    return [(end, end, ".")] if end else None


def _curly(text: str, random: Random) -> Edits:
    made = []
    for match in _QUOTE.finditer(text):
        place = match.start()
        opens = (place == 0 or not text[place - 1].isalnum()) and text[place + 1 : place + 2].strip() != ""
        sign = ("“" if opens else "”") if match[0] == '"' else ("‘" if opens else "’")
        made.append((place, place + 1, sign))
    return made


def _normalised(form: str) -> Callable[[str, Random], Edits]:
    def edit(text: str, random: Random) -> Edits:
        if text.isascii() or unicodedata.is_normalized(form, text):  # type: ignore[arg-type]  # one of the four
            return None
        whole = unicodedata.normalize(form, text)  # type: ignore[arg-type]  # as above
        made = _each(_BEYOND_ASCII, lambda part: unicodedata.normalize(form, part))(text, random)  # type: ignore[arg-type]
        shift = sum(len(after) - (stop - start) for start, stop, after in made or ())
        # A mark may belong to a letter before the match: then the text is one edit.
        return made if len(text) + shift == len(whole) else [(0, len(text), whole)]

    return edit


def _made(name: str, edit: Callable[[str, Random], Edits], nature: str = "natural") -> Perturbation:
    return Perturbation(name, nature, edit, chance=False)  # type: ignore[arg-type]  # a nature by name


register(
    _made("case.upper", _each(_CHUNK, str.upper)),
    _made("case.lower", _each(_CHUNK, str.lower)),
    _made("case.title", _each(_WORD, _capitalised)),
    _made("case.swap", _each(_CHUNK, str.swapcase), "typographic"),
    _made("whitespace.double", _each(_SPACE, lambda spaces: spaces * 2)),
    _made("whitespace.pad", _pad),
    _made("whitespace.no_break", _each(_SPACE, lambda spaces: "\u00a0" * len(spaces)), "typographic"),
    _made("punctuation.end", _end_mark),
    _made("punctuation.strip", _each(_PUNCTUATION, lambda signs: ""), "typographic"),
    _made("quotes.curly", _curly),
    _made("quotes.straight", _each(_CURLY, lambda sign: _CURLY_TO_STRAIGHT[sign])),
    _made("unicode.nfc", _normalised("NFC")),
    _made("unicode.nfd", _normalised("NFD")),
    _made("unicode.nfkc", _normalised("NFKC"), "typographic"),
    _made(
        "unicode.full_width", _each(_ASCII_SIGNS, lambda signs: signs.translate(_FULL_WIDTH)), "adversarial"
    ),
)
