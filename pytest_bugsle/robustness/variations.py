"""All variations of all examples: each example once, each variation once, none that changes nothing.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pytest_bugsle.errors import BugsleError, UsageError
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.robustness.answers import told
from pytest_bugsle.robustness.edits import Edit, apply, boxed, fits, seeded, unboxed
from pytest_bugsle.robustness.judgement import shown
from pytest_bugsle.robustness.perturbations import Perturbation
from pytest_bugsle.robustness.traits import is_missing

Valid = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Variation:
    """One changed example: what it was, what it is, and the edits between.

    `stopped`: shrinking it ended before it was known that no edit can be left out.
    """

    before: Hashable
    after: Hashable
    edits: tuple[Edit, ...]
    stopped: bool = False

    def part(self, edits: Sequence[Edit]) -> Hashable:
        """Return the example with some of the edits alone."""
        return boxed(apply(unboxed(self.before), edits))


@dataclass(slots=True)
class Varied:
    """What one perturbation made of the examples, by example; and what it made that is no trial."""

    perturbation: Perturbation
    by_example: list[list[Variation]] = field(default_factory=list)
    no_ops: int = 0
    duplicates: int = 0
    not_valid: int = 0

    @property
    def all(self) -> list[Variation]:
        """Return the variations of all examples."""
        return [variation for each in self.by_example for variation in each]


def once(examples: Sequence[Any]) -> list[Hashable]:
    """Return each example once, in order, so that it can be asked: twins are no further evidence."""
    return list(dict.fromkeys(boxed(example) for example in examples))


def varied(
    examples: Sequence[Hashable],
    perturbation: Perturbation,
    *,
    seed: int,
    variants: int = 1,
    valid: Valid | None = None,
) -> Varied:
    """Return the variations of the examples, `variants` tries each; those that are not `valid` are no trials.

    UsageError where a perturbation returns edits that do not fit the example.
    """
    made = Varied(perturbation)
    none = Random(0)  # noqa: S311  # nobody draws from it
    for before in examples:
        example = unboxed(before)
        found: dict[Hashable, Variation] = {}
        for number in range(variants if perturbation.chance else 1):
            chance = seeded(seed, perturbation.name, before, number) if perturbation.chance else none
            edits = None if is_missing(example) else _edits(perturbation, example, chance)
            after = boxed(_changed(example, edits, perturbation)) if edits else before
            if not edits or after == before:
                made.no_ops += 1
            elif after in found:
                made.duplicates += 1
            elif valid is not None and not _holds(valid, example, unboxed(after)):
                made.not_valid += 1
            else:
                found[after] = Variation(before, after, tuple(edits))
        made.by_example.append(list(found.values()))
    return made


def _edits(perturbation: Perturbation, example: Any, chance: Random) -> Sequence[Edit] | None:
    """Return what a perturbation makes of an example; UsageError where it raises."""
    try:
        return perturbation.edit(example, chance)
    except BugsleError:
        raise
    except Exception as error:
        raise UsageError(
            f"the perturbation {for_terminal(perturbation.name)} raises {told(error)}",
            why=f"it was to vary {shown(example)}",
            hint="let it return None where it does not apply, or leave it out",
        ) from error


def _holds(valid: Valid, before: Any, after: Any) -> bool:
    try:
        return bool(valid(before, after))
    except Exception as error:
        raise UsageError(
            f"valid= raises {told(error)}",
            why=f"it was asked whether {shown(after)} still means {shown(before)}",
            hint="it takes an example and its variation, and returns True or False",
        ) from error


def _changed(example: Any, edits: Sequence[Edit], perturbation: Perturbation) -> Any:
    if not fits(example, edits):
        raise UsageError(
            f"the perturbation {perturbation.name} returned edits that do not fit the example.",
            why="edits of a text are (start, stop, replacement), in order, within it, and do not overlap",
            hint="return the changed example instead, and the edits are found",
        )
    return apply(example, edits)
