"""Perturbations as Hypothesis strategies, for properties of a user's own.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from random import Random
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.arguments import examples_of
from pytest_bugsle.robustness.edits import apply
from pytest_bugsle.robustness.other_kinds import for_examples
from pytest_bugsle.robustness.perturbations import chosen


def variations(examples: Sequence[Any], *perturbations: Any, task: str | None = None) -> Any:
    """Return a strategy of pairs (example, changed example): what applies and changes something.

    UsageError without Hypothesis.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise UsageError(
            "a strategy needs hypothesis, which is not installed.",
            hint='pip install "pytest-bugsle[robustness]"',
        )
    known = examples_of(examples)
    if not known:
        raise UsageError("there are no examples.", hint='variations(texts, "typos")')
    from hypothesis import strategies

    made = chosen(perturbations, task, for_examples(known))

    def varied(example: Any, number: int, seed: int) -> tuple[Any, Any] | None:
        chance = Random(seed)  # noqa: S311  # Hypothesis draws the seed
        edits = made[number].edit(example, chance)
        if not edits:
            return None
        after = apply(example, edits)
        return (example, after) if not isinstance(example, str) or after != example else None

    return strategies.builds(
        varied,
        strategies.sampled_from(known),
        strategies.integers(0, len(made) - 1),
        strategies.integers(0, 2**32 - 1),
    ).filter(lambda pair: pair is not None)
