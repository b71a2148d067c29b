"""Does an answer hold when its input is varied? Trials, flips and the verdict by a bound.  PYTEST_DONT_REWRITE

Passes where the upper bound of the flip rate is within the limit, and fails where the lower bound is above it, after
Holm's adjustment for all that decides in one gate. No adjustment is needed for a pass: all of them must.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from pytest_bugsle.results import Outcome
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.bounds import LEVEL, RateBound, flip_bound, needed_trials
from pytest_bugsle.robustness.edits import unboxed
from pytest_bugsle.robustness.perturbations import Perturbation
from pytest_bugsle.robustness.relations import Relation
from pytest_bugsle.robustness.shrinking import Asking, shrink, together
from pytest_bugsle.robustness.variations import Valid, Variation, Varied, varied
from pytest_bugsle.stats.multiplicity import holm

_SHRUNK = 3
"""Failing variations of a perturbation that are shrunk: those of fewest edits in the shortest texts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call of a gate asks: how examples are varied, and which relation their answers must keep.

    `limits` is the rate allowed to each perturbation; `groups` is the word (family, nature, task) by which each that was not
    asked for by its own name came: such a one need not decide alone.
    """

    gate: str
    perturbations: Sequence[Perturbation]
    limits: Mapping[str, float]
    relation: Relation
    seed: int = 0
    variants: int = 1
    valid: Valid | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    by_nature: bool = False


@dataclass(frozen=True, slots=True)
class Smallest:
    """A failing variation with both answers."""

    variation: Variation
    before: Answer
    after: Answer


@dataclass(frozen=True, slots=True)
class Judged:
    """What one perturbation showed."""

    varied: Varied
    bound: RateBound
    limit: float
    outcome: Outcome
    why: str
    decides: bool
    adjusted_p_value: float | None
    n_needed: int | None
    smallest: Smallest | None
    unusable: int
    twins: int


def judge(examples: Sequence[Hashable], asked: Asked) -> Asking[list[Judged]]:
    """Return what each perturbation shows. All variations are asked at once, then failing ones are shrunk."""
    made = [
        varied(examples, each, seed=asked.seed, variants=asked.variants, valid=asked.valid)
        for each in asked.perturbations
    ]
    probes = [*examples, *(variation.after for each in made for variation in each.all)]
    answers = yield tuple(probes)
    return (yield from _judged(made, asked, answers))


def _judged(made: Sequence[Varied], asked: Asked, answers: Mapping[Hashable, Answer]) -> Asking[list[Judged]]:
    flipped: list[list[Variation]] = []
    bounds: list[RateBound] = []
    unusable: list[int] = []
    twins: list[int] = []
    likes = {found[0].before: _like(found[0].before) for each in made for found in each.by_example if found}
    for each in made:
        usable = [found for found in each.by_example if found and not answers[found[0].before].error]
        unusable.append(sum(bool(found) for found in each.by_example) - len(usable))
        flips = [
            [one for one in found if asked.relation.broken(answers[one.before], answers[one.after])]
            for found in usable
        ]
        flipped.append([one for found in flips for one in found])
        # Twins make one cluster: each would else be an example of its own in n.
        clusters: dict[Hashable, list[int]] = {}
        for found, broken in zip(usable, flips, strict=True):
            counted = clusters.setdefault(likes[found[0].before], [0, 0])
            counted[0] += len(broken)
            counted[1] += len(found)
        twins.append(len(usable) - len(clusters))
        bounds.append(
            flip_bound([some for some, _ in clusters.values()], [every for _, every in clusters.values()])
        )
    smallest = yield from together([_smallest(found, asked, answers) for found in flipped])
    limits = [asked.limits[each.perturbation.name] for each in made]
    decides = _deciding(made, bounds, limits, asked.groups)
    adjusted = _adjusted(bounds, limits, decides)
    judged = []
    for number, (each, bound, limit) in enumerate(zip(made, bounds, limits, strict=True)):
        outcome, why = _outcome(bound, limit, adjusted[number])
        judged.append(
            Judged(
                varied=each,
                bound=bound,
                limit=limit,
                outcome=outcome,
                why=why,
                decides=decides[number],
                adjusted_p_value=adjusted[number],
                n_needed=_needed(bound, limit, sum(decides)) if outcome == "undecided" else None,
                smallest=smallest[number],
                unusable=unusable[number],
                twins=twins[number],
            )
        )
    return judged


def _deciding(
    made: Sequence[Varied], bounds: Sequence[RateBound], limits: Sequence[float], groups: Mapping[str, str]
) -> list[bool]:
    """Say which perturbations decide.

    One that came by the name of a group, flips nothing, and changes too few examples to ever pass says nothing, as
    long as another of its group does decide. Where none does, those that tried anything decide: undecided.
    """
    names = [each.perturbation.name for each in made]
    found = [
        name not in groups or bound.flips > 0 or (bound.trials > 0 and bound.outcome(limit) != "undecided")
        for name, bound, limit in zip(names, bounds, limits, strict=True)
    ]
    for group in set(groups.values()):
        own = [number for number, name in enumerate(names) if groups.get(name) == group]
        if not any(found[number] for number in own):
            tried = [number for number in own if bounds[number].trials]
            for number in tried or own:
                found[number] = True
    return found


def _adjusted(
    bounds: Sequence[RateBound], limits: Sequence[float], decides: Sequence[bool]
) -> list[float | None]:
    family = [number for number, each in enumerate(decides) if each]
    above = holm([bounds[number].p_values(limits[number])[1] for number in family])
    found: list[float | None] = [None] * len(bounds)
    for number, p_value in zip(family, above, strict=True):
        found[number] = p_value
    return found


def _outcome(bound: RateBound, limit: float, above: float | None) -> tuple[Outcome, str]:
    if not bound.trials:
        return "undecided", "no example was changed, so that nothing was tried"
    outcome = bound.outcome(limit)
    if outcome == "pass":
        return "pass", "the upper bound is within the limit"
    if outcome == "fail":
        if above is not None and above > 1 - LEVEL:
            return (
                "undecided",
                f"the lower bound is above the limit alone, not among all here (Holm: p = {above:.2g})",
            )
        return "fail", "the lower bound is above the limit"
    if not bound.flips:
        needed = needed_trials(limit, 0.0)
        return (
            "undecided",
            f"no flip among {bound.examples:,} says no more than up to {100 * bound.upper:.2g} %"
            + (f"; {needed:,} examples would do" if needed else ""),
        )
    return "undecided", "the limit lies between the bounds"


def _needed(bound: RateBound, limit: float, many: int) -> int | None:
    """Return the examples that would settle the limit, were the rate seen the true one: a fail among so many."""
    rate = bound.rate or 0.0
    if rate <= limit:
        return bound.needed(limit)
    needed = needed_trials(limit, rate, 1 - (1 - LEVEL) / max(1, many))
    return None if needed is None else ceil(needed * bound.examples / bound.effective_n)


def _smallest(
    flipped: Sequence[Variation], asked: Asked, answers: Mapping[Hashable, Answer]
) -> Asking[Smallest | None]:
    """Return the smallest of a few failing variations, shrunk where its parts can fail as it does."""
    parts = asked.relation.for_parts()

    def shrinks(one: Variation) -> bool:
        return parts.broken(answers[one.before], answers[one.after])

    def fails(one: Variation) -> Callable[[Answer], bool]:
        return lambda answer: parts.broken(answers[one.before], answer)

    def size(one: Variation) -> tuple[int, int]:
        return len(one.edits), _length(one.before)

    first = sorted(flipped, key=lambda one: (not shrinks(one), size(one)))[:_SHRUNK]
    if not first:
        return None
    shrunk = yield from together([shrink(each, fails(each)) for each in first if shrinks(each)])
    best = min(shrunk or first, key=size)
    last = yield (best.after,)
    return Smallest(best, answers[best.before], last[best.after])


def _like(example: Hashable) -> Hashable:
    """Return what near-duplicates share: they flip together, so that they are one observation."""
    return " ".join(example.casefold().split()) if isinstance(example, str) else example


def _length(example: Hashable) -> int:
    value = unboxed(example)
    return len(value) if hasattr(value, "__len__") else 0
