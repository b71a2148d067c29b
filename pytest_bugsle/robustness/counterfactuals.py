"""Sentences in which nothing but the group differs: templates filled with words, or texts whose words are swapped.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.edits import boxed, unboxed
from pytest_bugsle.robustness.fairness import counterfactual
from pytest_bugsle.robustness.judgement import Judgement, count
from pytest_bugsle.robustness.perturbations import Perturbation, chosen
from pytest_bugsle.robustness.shrinking import Asking
from pytest_bugsle.robustness.text_words import swaps
from pytest_bugsle.robustness.variations import once, varied

HOLE = "{}"

Filling: TypeAlias = tuple[str, dict[str, str]]
"""A template, and its sentence for each group."""


def fillings(
    swapped: Sequence[Any],
    texts: Sequence[Any],
    templates: Sequence[str] | None,
    *,
    seed: int = 0,
    variants: int = 1,
) -> list[Filling]:
    """Return the templates with the sentence of each group, those that have two groups or more.

    `swapped` are lists of words, one of which fills the hole `{}` of each of the `templates`, or else perturbations
    (by name, made by `swaps` and `names`, or as a table of words) of the templates, without any of the `texts`.
    There a template is a text without the words that are swapped, so that "He is late." and "She is late." are one.
    UsageError for what cannot be filled or swapped.
    """
    if not swapped:
        raise UsageError(
            "there is nothing to swap.",
            hint='["gay", "straight"] with templates=["I am a {} person."], or "groups.gender"',
        )
    words = [each for each in swapped if isinstance(each, list | tuple | set | frozenset)]
    sentences = list(texts if templates is None else templates)
    if any(not isinstance(each, str) for each in sentences):
        raise UsageError(
            "words are swapped in texts, and the examples are none.",
            hint="templates=[…], or gate.fair(groups), which compares examples of groups",
        )
    if not words:
        made = chosen([_as_perturbation(each) for each in swapped])
        return [filling for each in made for filling in _of_texts(sentences, each, seed, variants)]
    if templates is None or len(words) < len(swapped):
        raise UsageError(
            "lists of words fill the holes of templates, and nothing else.",
            why="which word of a text stands for a group is not known",
            hint='templates=["I am a {} person."]; or swaps({"he": "she"}, name="groups.mine") for texts',
        )
    without = next((each for each in sentences if HOLE not in each), None)
    if without is not None:
        raise UsageError(f"the template {without[:80]!r} has no {HOLE}.", hint='"I am a {} person."')
    return [
        (template, {str(word): template.replace(HOLE, str(word)) for word in each})
        for each in words
        for template in dict.fromkeys(sentences)
        if len(each) > 1
    ]


def _as_perturbation(swapped: Any) -> Any:
    return swaps(swapped, name="words") if isinstance(swapped, Mapping) else swapped


def _of_texts(texts: Sequence[str], perturbation: Perturbation, seed: int, variants: int) -> list[Filling]:
    made: dict[str, dict[str, str]] = {}
    for one in varied(once(texts), perturbation, seed=seed, variants=variants).all:
        before: str = unboxed(one.before)
        edits = [edit for edit in one.edits if len(edit) == 3]
        template = unboxed(one.part([(start, stop, HOLE) for start, stop, _ in edits]))
        groups = made.setdefault(template, {})
        groups[_group([before[start:stop] for start, stop, _ in edits])] = before
        groups[_group([new for _, _, new in edits])] = unboxed(one.after)
    return [(template, groups) for template, groups in made.items() if len(groups) > 1]


def _group(words: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(word.casefold() for word in words))


def judge(made: Sequence[Filling], *, max_rate: float, tolerance: float | None) -> Asking[Judgement]:
    """Return what the sentences show: whether the answer stays whichever group stands in them.

    Without a tolerance labels are compared, with one the scores as well. A sentence on which the model raises, and
    does not for another group, is another answer; where it raises for all groups the template is left out.
    """
    answers = yield tuple(boxed(text) for _, groups in made for text in groups.values())
    kept, raising = [], 0
    for template, groups in made:
        found = {group: answers[boxed(text)] for group, text in groups.items()}
        if all(answer.error for answer in found.values()):
            raising += 1
        else:
            kept.append((template, found))
    judgement = counterfactual(
        [template for template, _ in kept],
        [found for _, found in kept],
        max_rate=max_rate,
        tolerance=tolerance,
    )
    if raising:
        said = f"  {count(raising, 'template')} left out on which the model raises for every group"
        judgement = replace(judgement, message=(*judgement.message, said))
    return judgement
