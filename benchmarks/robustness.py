"""Measure what the model gate adds to the model: inputs, calls and own time.

    python -m benchmarks.robustness

The model is a counter of letters, so that what is measured is the gate; the model's own time is taken out. Times are
those of the processor, which what else runs on the machine does not lengthen much. Prints the figures with their bounds;
exit 1 when one is over its bound.
"""

from __future__ import annotations

import random
import statistics
import time
from math import ceil

from benchmarks import robustness_peers
from benchmarks.measuring import Figure
from pytest_bugsle.probes import drive
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.calling import Caller
from pytest_bugsle.robustness.gates import ModelGate
from pytest_bugsle.robustness.models import adapted
from pytest_bugsle.robustness.perturbations import chosen
from pytest_bugsle.robustness.shrinking import shrink
from pytest_bugsle.robustness.variations import varied

TEXTS = 1_000
BATCH = 64
FIVE = ("case.upper", "case.lower", "typos.key", "whitespace.double", "punctuation.strip")
FAILURES = 60
ROUNDS = 7
_WORDS = [
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "is",
    "it",
    "you",
    "that",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "his",
    "they",
    "at",
    "be",
    "this",
    "from",
    "have",
    "or",
    "by",
    "one",
    "had",
    "not",
    "but",
    "what",
    "all",
    "were",
    "when",
    "we",
    "there",
    "can",
    "said",
    "which",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
    "make",
    "like",
    "him",
    "into",
    "time",
    "has",
    "look",
    "two",
    "more",
    "write",
    "go",
    "see",
    "number",
    "no",
    "way",
    "could",
    "people",
    "than",
    "first",
    "water",
    "been",
    "call",
    "who",
    "oil",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "Berlin",
    "Anna",
    "London",
    "NASA",
]


def texts(many: int, seed: int = 1) -> list[str]:
    """Return texts of five to thirty words, as tweets are."""
    chance = random.Random(seed)  # noqa: S311  # made-up texts
    return [
        " ".join(chance.choice(_WORDS) for _ in range(chance.randint(5, 30))).capitalize()
        + f" ({number}){chance.choice(['.', '!', ' :)', ''])}"
        for number in range(many)
    ]


class Timed:
    """A model that says whether a text has few capitals, and notes what it is asked and how long it took."""

    def __init__(self) -> None:
        self.inputs = 0
        self.calls = 0
        self.seconds = 0.0

    def __call__(self, batch: list[str]) -> list[str]:
        """Call a text loud by its words in capitals, three of them at least."""
        started = time.process_time()
        made = ["loud" if sum(map(str.isupper, text.split())) > 2 else "quiet" for text in batch]
        self.inputs += len(batch)
        self.calls += 1
        self.seconds += time.process_time() - started
        return made


class Steady(Timed):
    """A model that no variation flips: what is asked beyond the variations would be for shrinking."""

    def __call__(self, batch: list[str]) -> list[str]:
        """Give all texts the same label."""
        return ["same" for _ in super().__call__(batch)]


def asking() -> list[Figure]:
    """Return what a gate of five perturbations asks, and the time that it takes for itself."""
    examples = texts(TEXTS)
    wanted = set(examples)
    for perturbation in chosen(FIVE):
        wanted.update(str(one.after) for one in varied(examples, perturbation, seed=0).all)
    calls = ceil(len(wanted) / BATCH)
    seconds, beyond = [], (0, 0)
    for _ in range(ROUNDS):
        model = Steady()
        started = time.process_time()
        gate = ModelGate(model, examples, batch=BATCH)
        gate.invariant(*FIVE, max_flip_rate=1.0)
        gate.results()
        seconds.append(time.process_time() - started - model.seconds)
        beyond = (model.inputs - len(wanted), model.calls - calls)
    return [
        Figure(
            "inputs beyond the unique ones",
            beyond[0],
            0,
            "",
            f"{len(wanted):,} originals and changed variants",
        ),
        Figure("calls beyond those of full batches", beyond[1], 0, "", f"{calls:,} calls of {BATCH}"),
        Figure("own time of 5 perturbations", statistics.median(seconds), 0.3, "s", f"{TEXTS:,} texts"),
    ]


def shrinking() -> list[Figure]:
    """Return what it takes to shrink failing variations of many edits to 1-minimal ones."""
    (upper,) = chosen(["case.upper"])
    failing = [one for one in varied(texts(TEXTS), upper, seed=0).all if len(one.edits) >= 10][:FAILURES]

    def loud(answer: Answer) -> bool:
        return answer.label == "loud"

    seconds, rounds, minimal, inputs = [], 0, 0, 0
    for _ in range(ROUNDS):
        model = Timed()
        caller = Caller(adapted(model, batch=BATCH * 16))
        started = time.process_time()
        made = drive({number: shrink(one, loud) for number, one in enumerate(failing)}, caller)
        seconds.append(time.process_time() - started - model.seconds)
        inputs, rounds = model.inputs, model.calls
        minimal = sum(
            one is not None
            and loud(caller([one.after])[one.after])
            and not any(
                loud(answer)
                for edit in one.edits
                for answer in caller([one.part([other for other in one.edits if other is not edit])]).values()
            )
            for one in made.values()
        )
    return [
        Figure("failures that are not 1-minimal", len(failing) - minimal, 0, "", f"{len(failing)} shrunk"),
        Figure(
            "own time of shrinking",
            statistics.median(seconds),
            1.0,
            "s",
            f"{inputs:,} inputs in {rounds} calls",
        ),
    ]


def figures() -> list[Figure]:
    """Return all figures; those beside gemtest where it is there."""
    made = [*asking(), *shrinking()]
    python = robustness_peers.interpreter()
    if python is None:
        print(
            "  gemtest is not installed, and not measured (GEMTEST_PYTHON names an interpreter that has it)"
        )
        return made
    return [*made, *robustness_peers.figures(python, texts(TEXTS), FIVE)]


def main() -> int:
    """Print the figures; exit 1 when one is over its bound."""
    made = figures()
    for figure in made:
        print(
            f"{'  ' if figure.held else '! '}{figure.name:<38} {figure.value:8.3f}{figure.unit} "
            f"(bound {figure.bound:g}{figure.unit}; {figure.detail})"
        )
    return int(not all(figure.held for figure in made))


if __name__ == "__main__":
    raise SystemExit(main())
