"""A real model, small enough for a test: naive Bayes over words, and the texts that it learns from."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence

GOOD = ("great", "lovely", "wonderful", "excellent", "delightful", "superb", "charming", "brilliant")
BAD = ("awful", "terrible", "boring", "horrible", "dreadful", "poor", "disappointing", "dull")
THINGS = ("film", "book", "hotel", "dinner", "song", "coffee", "journey", "garden", "lecture", "concert")
FRAMES = (
    "What a {word} {thing} that was, really.",
    "The {thing} was {word} from start to finish.",
    "I found this {thing} {word} and told all my friends.",
    "My sister's {thing} turned out {word} in the end.",
    "Nobody expected such a {word} {thing} yesterday.",
)


def reviews(many: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return different short reviews, and whether each is good or bad."""
    chance = random.Random(seed)  # noqa: S311  # made-up reviews
    every = [
        (frame.format(word=word, thing=thing), label)
        for frame in FRAMES
        for thing in THINGS
        for label, words in (("good", GOOD), ("bad", BAD))
        for word in words
    ]
    chance.shuffle(every)
    return [text for text, _ in every[:many]], [label for _, label in every[:many]]


class NaiveBayes:
    """A multinomial naive Bayes over words; `lowercase` says whether capitals are taken off first."""

    def __init__(self, *, lowercase: bool = True) -> None:
        self.lowercase = lowercase
        self.classes_: list[str] = []
        self._counts: dict[str, Counter[str]] = {}

    def _words(self, text: str) -> list[str]:
        return re.findall(r"\w+", text.lower() if self.lowercase else text)

    def fit(self, texts: Iterable[str], labels: Iterable[str]) -> NaiveBayes:
        """Count the words of each class."""
        for text, label in zip(texts, labels, strict=True):
            self._counts.setdefault(label, Counter()).update(self._words(text))
        self.classes_ = sorted(self._counts)
        return self

    def predict_proba(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the probabilities of the classes for each text."""
        known = len({word for counts in self._counts.values() for word in counts})
        made = []
        for text in texts:
            logs = [
                sum(
                    math.log((counts[word] + 1) / (counts.total() + known))
                    for word in self._words(text)
                    if any(word in other for other in self._counts.values())
                )
                for counts in (self._counts[label] for label in self.classes_)
            ]
            top = max(logs)
            shares = [math.exp(value - top) for value in logs]
            made.append([share / sum(shares) for share in shares])
        return made

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the likelier class of each text."""
        return [self.classes_[row.index(max(row))] for row in self.predict_proba(texts)]


def trained(*, lowercase: bool = True) -> NaiveBayes:
    """Return a model that has learned from reviews."""
    return NaiveBayes(lowercase=lowercase).fit(*reviews(400))
