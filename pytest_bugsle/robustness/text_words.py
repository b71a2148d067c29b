"""Other words for the same: contractions, numbers, names and groups, a user's own paraphrases.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.edits import TextEdit, differences
from pytest_bugsle.robustness.perturbations import Nature, Perturbation, register

#: Those with one reading: “it's” may be “it has”, “I'd” may be “I had”.
_CONTRACTIONS = {
    **{
        f"{word}n't": f"{word} not"
        for word in [
            "are",
            "could",
            "did",
            "do",
            "does",
            "had",
            "has",
            "have",
            "is",
            "might",
            "must",
            "need",
            "should",
            "was",
            "were",
            "would",
        ]
    },
    "can't": "cannot",
    "won't": "will not",
    **{f"{word}'re": f"{word} are" for word in ("we", "they", "you")},
    **{f"{word}'ve": f"{word} have" for word in ("i", "we", "they", "you")},
    **{f"{word}'ll": f"{word} will" for word in ("i", "we", "they", "you", "he", "she", "it")},
    "i'm": "I am",
    "let's": "let us",
}
_EXPANSIONS = {long.lower(): short for short, long in _CONTRACTIONS.items()}
_GENDER = {
    "he": "she", "she": "he", "him": "her", "his": "her", "her": "his", "hers": "his", "himself": "herself",
    "herself": "himself", "man": "woman", "woman": "man", "men": "women", "women": "men", "boy": "girl",
    "girl": "boy", "boys": "girls", "girls": "boys", "father": "mother", "mother": "father", "son": "daughter",
    "daughter": "son", "brother": "sister", "sister": "brother", "husband": "wife", "wife": "husband",
    "mr": "mrs", "mrs": "mr", "dad": "mom", "mom": "dad", "king": "queen", "queen": "king", "guy": "girl",
    "guys": "girls", "actor": "actress", "actress": "actor", "uncle": "aunt", "aunt": "uncle",
}  # fmt: skip
_NAMES = {
    "female": (
        "Aisha",
        "Anna",
        "Elena",
        "Emily",
        "Fatima",
        "Jane",
        "Latisha",
        "Maria",
        "Mary",
        "Mei",
        "Priya",
    ),
    "male": ("Ahmed", "Carlos", "David", "Ivan", "Jamal", "James", "John", "Mohammed", "Peter", "Raj", "Wei"),
}
_NUMBER = re.compile(r"(?<![\w.,@#/-])\d+(?:[.,]\d+)*(?![\w@/-])")


def _cased(like: str, word: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def swaps(table: Mapping[str, str], *, name: str, nature: Nature = "natural") -> Perturbation:
    """Return a perturbation that puts other words in place of whole words, in the case of what was there."""
    if not table:
        raise UsageError(
            "there is no word to swap.", hint='swaps({"he": "she", "she": "he"}, name="groups.mine")'
        )
    made = {before.lower(): after for before, after in table.items()}
    words = "|".join(re.escape(word).replace("'", "['’]") for word in sorted(made, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w'’-])(?:{words})(?![\w'’-])", re.IGNORECASE)

    def edit(text: str, random: Random) -> list[TextEdit]:
        return [
            (match.start(), match.end(), _cased(match[0], made[match[0].lower().replace("’", "'")]))
            for match in pattern.finditer(text)
        ]

    return Perturbation(name, nature, edit, chance=False)


def names(table: Mapping[str, Sequence[str]], *, name: str = "names.swap") -> Perturbation:
    """Return a perturbation that puts a name of any group in place of each name, the same one each time."""
    every = sorted({each for group in table.values() for each in group})
    if len(every) < 2:
        raise UsageError(
            "names are swapped between at least two.", hint='names({"a": ["Ann"], "b": ["Bob"]})'
        )
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, every))})\b")

    def edit(text: str, random: Random) -> list[TextEdit]:
        found = list(pattern.finditer(text))
        drawn: dict[str, str] = {}
        for match in found:
            if match[0] not in drawn:
                drawn[match[0]] = random.choice([other for other in every if other != match[0]])
        return [(match.start(), match.end(), drawn[match[0]]) for match in found]

    return Perturbation(name, "natural", edit)


def _other_numbers(text: str, random: Random) -> list[TextEdit]:
    made = []
    for match in _NUMBER.finditer(text):
        digits = [place for place in range(match.start(), match.end()) if text[place].isdigit()]
        place = random.choice(digits)
        others = [digit for digit in "123456789" if digit != text[place]]
        made.append((place, place + 1, random.choice(others)))
    return made


def paraphrases(
    given: Mapping[str, str] | Callable[[str], str | None] | str | Path, *, name: str = "paraphrases"
) -> Perturbation:
    """Return a perturbation by a user's paraphrases: a mapping, a function, or a file of pairs.

    A file has a pair a line, of the text and of the other wording: CSV, or JSON lines of two texts each.
    UsageError where it cannot be read, or has a line that is no pair.
    """
    if isinstance(given, str | Path):
        given = _pairs(Path(given))
    known = given
    wording: Callable[[str], str | None] = known if callable(known) else known.get

    def edit(text: str, random: Random) -> list[TextEdit] | None:
        other = wording(text)
        return None if other is None else differences(text, other)  # type: ignore[return-value]  # those of texts

    return Perturbation(name, "natural", edit, chance=False)


def _pairs(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = (
                [json.loads(line) for line in file if line.strip()]
                if path.suffix in (".jsonl", ".ndjson")
                else list(csv.reader(file))
            )
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(
            f"the paraphrases {str(path)!r} cannot be read: {error}", hint="CSV with two columns, in UTF-8"
        ) from error
    found = {}
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(text, str) for text in row)):
            raise UsageError(
                f"{path}: line {number} is no pair of texts.", hint="the text, then the other wording"
            )
        found[row[0]] = row[1]
    return found


register(
    swaps(_CONTRACTIONS, name="contractions.expand"),
    swaps(_EXPANSIONS, name="contractions.contract"),
    Perturbation("numbers.change", "natural", _other_numbers),
    swaps(_GENDER, name="groups.gender"),
    names(_NAMES),
)
