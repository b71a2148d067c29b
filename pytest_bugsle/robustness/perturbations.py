"""Perturbations: what a model's answer should not depend on, by name, family and nature.  PYTEST_DONT_REWRITE

A perturbation `case.upper` belongs to the family `case`. Its nature says what limit is fair: `natural` (what every
user does), `typographic` (what happens to text on its way) or `adversarial` (what somebody does on purpose).
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any, Literal, TypeAlias, get_args

from pytest_bugsle.errors import HIDDEN, UsageError
from pytest_bugsle.robustness.arguments import number
from pytest_bugsle.robustness.edits import Edit, differences

__tracebackhide__ = HIDDEN

Nature = Literal["natural", "typographic", "adversarial"]
NATURES: tuple[Nature, ...] = get_args(Nature)
LIMITS: Mapping[Nature, float] = {"natural": 0.02, "typographic": 0.05, "adversarial": 0.10}
"""The flip rates that are allowed where the test names none."""

Editing: TypeAlias = Callable[[Any, Random], "Sequence[Edit] | None"]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One way to vary an example: `edit` returns the edits, or None where it does not apply.

    `kind` is what it takes: text, row or array. Without `chance` an example has one variation alone.
    """

    name: str
    nature: Nature
    edit: Editing
    kind: str = "text"
    chance: bool = True

    @property
    def family(self) -> str:
        """Return the family: what stands before the dot."""
        return self.name.partition(".")[0]


REGISTRY: dict[str, Perturbation] = {}
"""All that can be asked for by name."""

TASKS: Mapping[str, tuple[str, ...]] = {
    "topic": ("case", "whitespace", "typos", "quotes", "punctuation", "contractions", "unicode"),
    "sentiment": ("case.lower", "whitespace", "typos", "quotes", "contractions", "unicode"),
    "toxicity": ("case", "whitespace", "typos", "quotes", "contractions", "unicode"),
    "language": ("case", "whitespace", "typos", "quotes", "numbers", "unicode"),
}
"""What keeps the label, by task: "!" and capitals are signs of sentiment, and no task allows a price to change."""


def register(*made: Perturbation) -> None:
    """Let perturbations be asked for by name."""
    for each in made:
        REGISTRY[each.name] = each


def perturbation(
    function: Callable[..., Any] | None = None,
    *,
    name: str = "",
    nature: Nature = "natural",
    kind: str = "text",
) -> Any:
    """Make a perturbation of a function, as a decorator, with arguments or without.

    The function takes an example, and a `random.Random` if it has a second parameter. It returns the changed
    example, a list of edits, or None where it does not apply.
    """
    if nature not in NATURES:
        raise UsageError(f"there is no nature {nature!r}.", hint=f"one of {', '.join(NATURES)}")
    if function is None:
        return lambda wrapped: perturbation(wrapped, name=name, nature=nature, kind=kind)
    # It is asked for by itself, not by name: what one test file makes is not in another's families.
    return Perturbation(name or _name_of(function), nature, _editing(function), kind, _takes_chance(function))


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__).strip("<>")


def _editing(function: Callable[..., Any]) -> Editing:
    chance = _takes_chance(function)

    def edit(example: Any, random: Random) -> Sequence[Edit] | None:
        # A copy, for a function may change a row in place and return it.
        given = example if isinstance(example, str) else deepcopy(example)
        made = function(given, random) if chance else function(given)
        if made is None:
            return None
        if isinstance(made, list) and all(isinstance(each, tuple) and len(each) in (2, 3) for each in made):
            return made
        if isinstance(example, str) and not isinstance(made, str):
            raise UsageError(
                f"the perturbation {_name_of(function)} returned {type(made).__name__} for a text.",
                hint="return a text, a list of edits (start, stop, replacement), or None",
            )
        return differences(example, made)

    return edit


def _takes_chance(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # str.upper and its kin have none that can be read
        return False
    places = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
    ]
    return len(places) == 2


def chosen(
    words: Iterable[Any], task: str | None = None, others: Mapping[str, Perturbation] | None = None
) -> list[Perturbation]:
    """Return the perturbations that are asked for: by name, family, nature, or as functions; each one once.

    Without words, those of the task. `others` are those of examples that are no texts, in place of what is
    registered. Two of one name get a number. UsageError names the nearest word.
    """
    load()
    given = list(words)
    words = [word for place, word in enumerate(given) if word not in given[:place]]
    if task is not None and task not in TASKS:
        raise _unknown("task", task, TASKS)
    if not words and task is None:
        raise UsageError(
            "no perturbation is named.",
            why="what keeps an answer depends on the task: “!” is noise for a topic and a sign of sentiment",
            hint=f"name some ({', '.join(families())}), or task= ({', '.join(TASKS)})",
        )
    found: dict[str, Perturbation] = {}
    for word in words or TASKS[task or ""]:
        for each in _named(word, REGISTRY if others is None else others):
            if each not in found.values():
                name = _free(each.name, found)
                found[name] = replace(each, name=name)
    return list(found.values())


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number where another perturbation has it: two lambdas are two."""
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _named(word: Any, known: Mapping[str, Perturbation]) -> list[Perturbation]:
    if isinstance(word, Perturbation):
        return [word]
    if callable(word):
        return [Perturbation(_name_of(word), "natural", _editing(word), chance=_takes_chance(word))]
    if not isinstance(word, str):
        raise UsageError(
            f"{word!r} is no perturbation.", hint="the name of one, a function, or what @perturbation made"
        )
    made = [each for each in known.values() if word in (each.name, each.family, each.nature)]
    if not made and not known:
        raise UsageError(
            f"there is no {word!r} for examples of this kind.",
            why="what ships varies texts, rows, and arrays of numbers",
            hint="a function of your own, which takes an example and returns the changed one",
        )
    if not made and any(word in (each.name, each.family) for each in REGISTRY.values()):
        raise UsageError(
            f"{word!r} varies texts, and the examples are none.",
            hint=f"there are {', '.join(sorted({each.family for each in known.values()}))}",
        )
    if not made:
        raise _unknown(
            "perturbation", word, dict.fromkeys([*(each.family for each in known.values()), *NATURES, *known])
        )
    return made


def limits_of(made: Sequence[Perturbation], given: float | Mapping[str, float] | None) -> dict[str, float]:
    """Return the limit of each perturbation; UsageError for one that is none."""
    if given is None or isinstance(given, Mapping):
        table: dict[str, float] = dict(LIMITS) | dict(given or {})
        wrong = [key for key in table if key not in NATURES]
        if wrong:
            raise UsageError(f"there is no nature {wrong[0]!r}.", hint=f"limits by {', '.join(NATURES)}")
        found = {each.name: number("max_flip_rate", table[each.nature]) for each in made}
    else:
        found = dict.fromkeys((each.name for each in made), number("max_flip_rate", given))
    for limit in found.values():
        if not 0 <= limit <= 1:
            raise UsageError(f"a limit of {limit} is no share.", hint="max_flip_rate=0.02 allows 2 %")
    return found


def groups_of(made: Sequence[Perturbation], words: Sequence[Any], task: str | None) -> dict[str, str]:
    """Return the word by which each perturbation came that was not asked for by its own name, or by itself."""
    found = {}
    asked = {word for word in words if isinstance(word, str)}
    own = {word.edit for word in words if isinstance(word, Perturbation)}
    shipped = {each.edit for each in REGISTRY.values()}
    for each in made:
        if not words:
            found[each.name] = task or ""
        elif (
            each.name not in asked and each.edit not in own and (each.kind != "text" or each.edit in shipped)
        ):
            word = next((word for word in (each.family, each.nature) if word in asked), None)
            if word is not None:
                found[each.name] = word
    return found


def families() -> list[str]:
    """Return the names of all families."""
    load()
    return sorted({each.family for each in REGISTRY.values()})


def _unknown(what: str, word: str, known: Iterable[str]) -> UsageError:
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return UsageError(f"there is no {what} {word!r}.", hint=hint)


def load() -> None:
    """Register what ships."""
    from pytest_bugsle.robustness import text_forms, text_typos, text_words  # noqa: F401
