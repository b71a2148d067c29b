"""Save the smallest failures of a gate as cases, and ask those of earlier runs again.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.cases import Case, CaseStore, edits_shown
from pytest_bugsle.robustness.edits import boxed, unboxed
from pytest_bugsle.robustness.freezing import frozen
from pytest_bugsle.robustness.invariance import Asked, Smallest
from pytest_bugsle.robustness.relations import Direction, Same, Target
from pytest_bugsle.robustness.shrinking import Asking
from pytest_bugsle.robustness.variations import Variation

State = Literal["fails", "holds", "cannot be judged"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A saved case asked again: what it shows now, and why where it cannot be judged."""

    case: Case
    accepted: bool
    found: Smallest
    state: State
    why: str = ""


def save(
    store: CaseStore, smallest: Smallest, asked: Asked, perturbation: str, *, model: str, test: str
) -> str | None:
    """Write a failing variation with the relation that it breaks, and return its place; None where it cannot be."""
    example = unboxed(smallest.variation.before)
    relation = asked.relation
    if isinstance(relation, Direction) and not isinstance(relation.target, get_args(Target)):
        return None
    try:
        case = Case(
            test=test,
            perturbation=perturbation,
            gate=asked.gate,
            model=model,
            seed=asked.seed,
            relation=relation,
            before=frozen(example),
            edits=frozen(edits_shown(example, smallest.variation.edits)),
            after=frozen(unboxed(smallest.variation.after)),
            output_before=relation.said(smallest.before, smallest.before),
            output_after=relation.said(smallest.after, smallest.before),
        )
    except (TypeError, ValueError, RecursionError):  # it holds what JSON does not
        return None
    return store.save(case)


def replay(store: CaseStore) -> Asking[tuple[list[Replayed], list[str], list[str]]]:
    """Return what the saved cases show now, accepted ones first, and what is to be said of files that are none.

    First of accepted ones, which guard no longer what they did, then of new ones.
    """
    accepted, new, lost, said = store.load()
    asked: list[tuple[Case, Variation]] = []
    for case in (*accepted, *new):
        found = case.variation()
        assert found is not None, "load() keeps those that apply"
        asked.append((case, Variation(boxed(found[0]), boxed(found[2]), found[1])))
    answers: Mapping[Hashable, Answer] = {}
    if asked:
        answers = yield tuple(probe for _, each in asked for probe in (each.before, each.after))
    return (
        [
            _judged(case, number < len(accepted), Smallest(each, answers[each.before], answers[each.after]))
            for number, (case, each) in enumerate(asked)
        ],
        lost,
        said,
    )


def _judged(case: Case, accepted: bool, found: Smallest) -> Replayed:
    made = Replayed(case, accepted, found, "holds")
    if found.before.error or found.after.error:
        return replace(made, state="fails")
    if case.relation is None and found.before.value is not None:
        why = (
            "it was saved before files said how far apart two numbers may be: delete it, and it is saved anew"
        )
        return replace(made, state="cannot be judged", why=why)
    try:
        broken = (case.relation or Same()).broken(found.before, found.after)
    except UsageError as error:
        return replace(made, state="cannot be judged", why=error.what.rstrip("."))
    return replace(made, state="fails" if broken else "holds")


def states(replayed: Sequence[Replayed], state: State, *, accepted: bool) -> list[Replayed]:
    """Return the cases that are in a state."""
    return [each for each in replayed if each.state == state and each.accepted is accepted]
