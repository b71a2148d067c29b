"""Where the model is sure and wrong, which classes it mistakes, and what its errors share.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_bugsle.robustness.bounds import LEVEL, rate_bound
from pytest_bugsle.robustness.judgement import (
    CONFIDENT_AND_WRONG,
    Figure,
    Judgement,
    Listed,
    Remark,
    count,
    headline,
    listing,
    named,
    percent,
    shown,
    unjudged,
    unusable,
)
from pytest_bugsle.robustness.probabilities import Certainty, NoProbabilityError, certainty
from pytest_bugsle.robustness.traits import columns_of
from pytest_bugsle.stats.binomial import check_rate, fisher_greater
from pytest_bugsle.stats.multiplicity import holm


@dataclass(frozen=True, slots=True)
class Pattern:
    """A group that has more errors than all others: what it is, its counts, theirs, and Holm's p-value."""

    what: str
    errors: int
    n: int
    other_errors: int
    other_n: int
    p_value: float

    def line(self) -> str:
        """Return it as a user reads it."""
        return (
            f"{self.what}: {self.errors} of {self.n} ({percent(self.errors / self.n)}) against"
            f" {self.other_errors} of {self.other_n} ({percent(self.other_errors / self.other_n)}),"
            f" Holm p = {self.p_value:.2g}"
        )


def confident_errors(
    probabilities: Sequence[Any] | None,
    labels: Sequence[Hashable],
    *,
    classes: Sequence[Hashable] | None = None,
    threshold: float = 0.95,
    max_rate: float = 0.01,
    ids: Sequence[str] | None = None,
    inputs: Sequence[Any] | None = None,
    triaged: Collection[str] = (),
    level: float = LEVEL,
) -> Judgement:
    """Judge whether answers of at least `threshold` confidence are wrong at no more than `max_rate`.

    The rate is that among the confident answers, bounded by Clopper and Pearson. Each confident error whose id
    is not in `triaged` is listed and makes one finding for all, which fails a test whatever the outcome: triage says that somebody
    has looked at it (a wrong label, a case that may be lost), and takes it out of the finding, not of the rate.
    """
    gate = "confident errors"
    check_rate("threshold", threshold)
    check_rate("max_rate", max_rate)
    names = named(ids, len(labels))
    if probabilities is None or (len(probabilities) and all(row is None for row in probabilities)):
        return unjudged(gate, "the model gives labels and no probabilities", len(labels), max_rate)
    if inputs is not None and len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} inputs for {len(labels)} labels, must be as many.")
    try:
        read = certainty(probabilities, labels, classes)
    except NoProbabilityError as error:
        return unusable(gate, str(error), len(labels), max_rate)
    sure = [place for place, one in enumerate(read.confidence) if one >= threshold]
    wrong = [place for place in sure if not read.correct[place]]
    bound = rate_bound(len(wrong), len(sure), level)
    outcome = bound.outcome(max_rate)
    needed = bound.needed(max_rate) if outcome == "undecided" else None
    unsure_wrong = len(labels) - sum(read.correct) - len(wrong)
    unsure = len(labels) - len(sure)
    seen = frozenset(triaged)
    wrong.sort(key=lambda place: -read.confidence[place])
    untriaged = [place for place in wrong if names[place] not in seen]
    listed = [_listed(place, names, labels, read, inputs) for place in untriaged]
    lines = [
        headline(
            gate,
            outcome,
            f"{len(wrong)} of {len(sure)} answers at {threshold:g} or surer are wrong"
            f" = {percent(bound.rate)}, limit {percent(max_rate)}",
        ),
        f"  bounds {percent(bound.lower)} to {percent(bound.upper)}, {level:.0%} each",
        f"  below {threshold:g}: {unsure_wrong} of {unsure} wrong"
        + (f" = {percent(unsure_wrong / unsure)}" if unsure else ""),
    ]
    if needed is not None:
        lines.append(f"  next: {needed:,} answers as sure would settle it, were this rate the true one")
    if len(wrong) > len(untriaged):
        lines.append(f"  {len(wrong) - len(untriaged)} of them triaged: in the rate, not in the finding")
    lines += listing(listed)
    if untriaged:
        ids = ", ".join([*(repr(one.id) for one in listed[:2]), *(["…"] if len(listed) > 2 else [])])
        whose = "it is a finding" if len(untriaged) == 1 else "each is a finding"
        lines.append(
            f"  {CONFIDENT_AND_WRONG}: {whose} whatever the rate; next: mend the model or the label, or triaged={{{ids}}} (--triaged)"
        )
    mistaken = class_errors(read.predicted, labels, alpha=1 - level)
    shared = shared_traits(read.correct, inputs, alpha=1 - level) if inputs is not None else ()
    lines += [f"  class {one.line()}" for one in mistaken]
    lines += [f"  errors share {one.line()} (seen here, not confirmed elsewhere)" for one in shared]
    remarks: tuple[Remark, ...] = ()
    if untriaged:
        first = listed[0]
        remarks = (
            Remark(
                CONFIDENT_AND_WRONG,
                f"{count(len(untriaged), 'answer')} at {threshold:g} or surer wrong, and not triaged;"
                f" the surest: {shown(first.id, 30)}: {first.text}",
            ),
        )
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=len(sure),
        message=tuple(lines),
        figures=(
            Figure("confident error rate", bound.rate, len(sure), bound.lower, bound.upper, max_rate),
            Figure("other error rate", unsure_wrong / unsure if unsure else None, unsure),
            Figure("error rate", 1 - sum(read.correct) / len(labels) if len(labels) else None, len(labels)),
        ),
        limit=max_rate,
        n_needed=needed,
        remarks=remarks,
        examples=tuple(listed),
        tests=1,
    )


def _listed(
    place: int,
    names: Sequence[str],
    labels: Sequence[Hashable],
    read: Certainty,
    inputs: Sequence[Any] | None,
) -> Listed:
    said = f"{shown(read.predicted[place], 30)} ({read.confidence[place]:.3f}), is {shown(labels[place], 30)}"
    return Listed(names[place], said if inputs is None else f"{said}: {shown(inputs[place])}")


def class_errors(
    predicted: Sequence[Hashable], labels: Sequence[Hashable], *, alpha: float = 0.05
) -> tuple[Pattern, ...]:
    """Return the classes that are mistaken more often than the others, and for which class; the clearest first.

    Each true class against all other examples, and with three classes or more each (true, taken for) against
    the other true classes that could have been taken for it: one-sided Fisher, Holm over all of them, those
    without any error among them.
    """
    if len(predicted) != len(labels):
        raise ValueError(f"{len(predicted)} predictions and {len(labels)} labels, must be as many.")
    counted = Counter(labels)
    cells = Counter((label, said) for label, said in zip(labels, predicted, strict=True) if label != said)
    wrong: Counter[Hashable] = Counter()
    taken: Counter[Hashable] = Counter()
    for (label, said), times in cells.items():
        wrong[label] += times
        taken[said] += times
    n, errors = len(labels), sum(wrong.values())
    order = sorted(counted, key=repr)
    tested = [
        (
            f"{shown(label, 30)} is wrong",
            wrong[label],
            counted[label],
            errors - wrong[label],
            n - counted[label],
        )
        for label in order
    ]
    if len(order) > 2:
        for label in order:
            for said in sorted({*counted, *taken}, key=repr):
                if said != label:
                    others = n - counted[label] - counted[said]
                    what = f"{shown(label, 30)} is taken for {shown(said, 30)}"
                    tested.append(
                        (what, cells[label, said], counted[label], taken[said] - cells[label, said], others)
                    )
    return _patterns(tested, alpha)


def shared_traits(
    correct: Sequence[bool], inputs: Sequence[Any], *, alpha: float = 0.05
) -> tuple[Pattern, ...]:
    """Return the characteristics of inputs that are wrong more often than inputs without them; the clearest first.

    One-sided Fisher against the complement, Holm over all characteristics.
    """
    if len(correct) != len(inputs):
        raise ValueError(f"{len(correct)} answers and {len(inputs)} inputs, must be as many.")
    n, errors = len(inputs), len(correct) - sum(correct)
    tested = []
    for trait, values in columns_of(inputs).items():
        counted = Counter(values)
        wrong = Counter(value for value, right in zip(values, correct, strict=True) if not right)
        for value in sorted(counted):
            tested.append(
                (
                    f"{trait} {shown(value, 30)}",
                    wrong[value],
                    counted[value],
                    errors - wrong[value],
                    n - counted[value],
                )
            )
    return _patterns(tested, alpha)


def _patterns(tested: Sequence[tuple[str, int, int, int, int]], alpha: float) -> tuple[Pattern, ...]:
    # Where all examples are in the group there is nothing to compare it with, and no test is made.
    made = [one for one in tested if one[4] > 0]
    adjusted = holm([fisher_greater(*one[1:]) for one in made])
    found = [Pattern(*one, p_value) for one, p_value in zip(made, adjusted, strict=True) if p_value <= alpha]
    return tuple(sorted(found, key=lambda one: (one.p_value, one.what)))
