"""Groups of examples on which the model errs more than elsewhere.  PYTEST_DONT_REWRITE

A slice is tested against its complement, by the error rates of both; all slices that were tested count in the
correction, whether they look bad or not. What was fixed beforehand (a column, the classes, the length …) is
tested on all examples. What is found by looking at errors, here the pairs of conditions, is searched in one half
of the examples and counts only if the other half confirms it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations
from typing import Any

from pytest_bugsle.results import ModelGroup
from pytest_bugsle.robustness.bounds import LEVEL, least
from pytest_bugsle.robustness.judgement import (
    WEAK_SLICE,
    Figure,
    Judgement,
    Listed,
    Outcome,
    Remark,
    headline,
    named,
    percent,
    unjudged,
    unshortened,
    word,
)
from pytest_bugsle.robustness.traits import columns_of, is_missing
from pytest_bugsle.stats.beta import lower_bound, upper_bound
from pytest_bugsle.stats.binomial import check_rate, fisher_greater
from pytest_bugsle.stats.intervals import difference
from pytest_bugsle.stats.multiplicity import benjamini_hochberg, holm

FEWEST = 30
"""Examples that a slice and its complement must have."""

MIN_EFFECT = 0.05
"""By how much the error rate must exceed that of the complement, and for a pair that of each of its parts."""

MOST_VALUES = 20
"""Distinct values of a column of numbers; with more it is cut at its quartiles."""

SHOWN_ERRORS = 3
"""Wrong examples of a weak slice that a message shows."""
MOST_COMPARED = 100
"""Slices that a judgement carries at most: those that were found, then those of the largest effect."""

CONFIDENCE_BANDS = (0.5, 0.7, 0.9, 0.99)

_TAUTOLOGIES = frozenset({"true", "predicted"})
"""Together they say whether the answer is right: no pattern of errors, but the errors themselves."""

Condition = tuple[str, str]
"""A dimension and its value."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A group of examples by one or two conditions: its errors and its complement's, and the adjusted p-value."""

    conditions: tuple[Condition, ...]
    errors: int
    n: int
    other_errors: int
    other_n: int
    p_value: float

    @property
    def effect(self) -> float:
        """Return by how much the error rate exceeds that of the complement."""
        return self.errors / self.n - self.other_errors / self.other_n

    @property
    def name(self) -> str:
        """Return the conditions in words."""
        return " and ".join(f"{word(dimension)} = {word(value)}" for dimension, value in self.conditions)

    def line(self) -> str:
        """Return it as a user reads it."""
        return (
            f"{self.name}: {self.errors} of {self.n} wrong ({percent(self.errors / self.n)}) against"
            f" {self.other_errors} of {self.other_n} elsewhere ({percent(self.other_errors / self.other_n)}),"
            f" adjusted p = {self.p_value:.2g}"
        )


def dimensions(
    *,
    predicted: Sequence[Hashable],
    labels: Sequence[Hashable],
    inputs: Sequence[Any] | None = None,
    confidence: Sequence[float] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, list[str]]:
    """Return every dimension that examples can be sliced by, with its value for each example.

    "predicted", "true", the traits of inputs ("length", "script", also called "language", "digits", "emoji",
    "negation"), "confidence" and the user's columns, which go before the others where names collide. ValueError
    where a length differs.
    """
    made = {
        "predicted": [unshortened(one) for one in predicted],
        "true": [unshortened(one) for one in labels],
    }
    if inputs is not None:
        made |= columns_of(inputs)
        if "script" in made:
            made["language"] = [f"{one} script" for one in made["script"]]
    if confidence is not None:
        made["confidence"] = [_band(one, CONFIDENCE_BANDS) for one in confidence]
    for name, values in (columns or {}).items():
        made[name] = _as_groups(values)
    for name, values in made.items():
        if len(values) != len(labels):
            raise ValueError(f"{len(values)} values of {name} for {len(labels)} examples, must be as many.")
    return made


def _as_groups(values: Sequence[Any]) -> list[str]:
    """Return a column as groups: numbers of many values by quartile, else each value by itself."""
    numbers = [
        one
        for one in values
        if isinstance(one, int | float) and not isinstance(one, bool) and not is_missing(one)
    ]
    if len(numbers) < len(values) * 0.9 or len(set(numbers)) <= MOST_VALUES:
        return [unshortened(one) for one in values]
    ranked = sorted(numbers)
    cuts = sorted({ranked[len(ranked) * part // 4] for part in (1, 2, 3)})
    kept = set(map(id, numbers))
    return [_band(one, cuts) if id(one) in kept else "no number" for one in values]


def _band(value: float, cuts: Sequence[float]) -> str:
    below = [cut for cut in cuts if cut <= value]
    above = [cut for cut in cuts if cut > value]
    if not below:
        return f"under {above[0]:g}"
    return f"{below[-1]:g} to under {above[0]:g}" if above else f"{below[-1]:g} or more"


def halves(keys: Sequence[str]) -> list[bool]:
    """Return for each example whether it is held out: by a hash of its key, so that no other example moves it."""
    return [blake2b(key.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] % 2 == 1 for key in keys]


def weak_slices(
    correct: Sequence[bool],
    by: Mapping[str, Sequence[str]],
    *,
    predefined: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    told: Sequence[str] | None = None,
    depth: int = 2,
    fewest: int = FEWEST,
    min_effect: float = MIN_EFFECT,
    level: float = LEVEL,
) -> Judgement:
    """Judge whether some slice is worse than its complement by at least `min_effect`.

    `by` are the dimensions (see `dimensions`), `predefined` those of them that the user named (by default all);
    the others, and all pairs at a depth of 2, are searched in one half and confirmed in the other. `keys` are the
    examples' contents or ids, by which they are parted, `told` what a message says of one that is wrong. One-sided Fisher, Benjamini and Hochberg over all tested;
    what is confirmed is tested by Holm among what was found. Fail where a slice is weak, pass where none is among
    those that were tested, undecided where none has `fewest` examples on both sides.
    """
    gate = "slices"
    if depth not in (1, 2):
        raise ValueError(f"depth == {depth}, must be 1 or 2.")
    check_rate("min_effect", min_effect)
    if not len(correct):
        return unjudged(gate, "no examples")
    for name, values in by.items():
        if len(values) != len(correct):
            raise ValueError(f"{len(values)} values of {name} for {len(correct)} answers, must be as many.")
    for name in predefined or ():
        if name not in by:
            raise ValueError(f"predefined names {name!r}, which is none of {', '.join(sorted(by))}.")
    known = list(by) if predefined is None else list(dict.fromkeys(predefined))
    everything = list(range(len(correct)))
    fixed, few = _test(correct, _single(by, known, everything), everything, fewest)
    weak = [one for one in fixed if one.p_value <= 1 - level and one.effect >= min_effect]
    names = named(keys, len(correct))
    held = halves(names)
    searched, dropped, confirmed = _search(correct, by, known, held, depth, fewest, min_effect, 1 - level)
    tests = len(fixed) + searched
    if not tests:
        return unjudged(
            gate, f"no slice has {fewest} examples and as many outside ({few} are smaller)", len(correct)
        )
    found = sorted((*weak, *confirmed), key=lambda one: -one.effect)
    outcome: Outcome = "fail" if found else "pass"
    errors = len(correct) - sum(correct)
    said = f"{len(found)} weak of {tests} tested" if found else f"none of {tests} tested is weak"
    lines = [
        headline(gate, outcome, f"{said}; {errors} of {len(correct)} wrong in all"),
    ]
    for one in found:
        lines.append(f"  {one.line()}")
        lines += [f"    {told[place]}" for place in _wrong(one, correct, by)[:SHOWN_ERRORS] if told]
    finds = f"{len(confirmed)} of {len(confirmed) + dropped} finds confirmed in the other"
    lines.append(f"  {len(fixed)} predefined, on all examples; {few} with under {fewest} examples not tested")
    if searched:
        lines.append(
            f"  {searched} searched in one half; {finds if confirmed or dropped else 'nothing found there'}"
        )
    if not found:
        seen = detectable(fewest, len(correct) - fewest, errors / len(correct), max(1, len(fixed)), 1 - level)
        lines.append(
            f"  a slice of {fewest} is seen as weak from {percent(seen)} wrong on"
            if seen is not None
            else f"  a slice of {fewest} is too small to be seen as weak among so many: ask for fewer or larger ones"
        )
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=len(correct),
        message=tuple(lines),
        figures=tuple(
            Figure(
                one.name,
                one.errors / one.n,
                one.n,
                lower_bound(one.errors, one.n, level),
                upper_bound(one.errors, one.n, level),
            )
            for one in found
        ),
        limit=min_effect,
        remarks=tuple(Remark(WEAK_SLICE, one.line()) for one in found),
        examples=tuple(
            Listed(names[place], one.name + (f": {told[place]}" if told else ""))
            for one in found[:1]  # the weakest
            for place in _wrong(one, correct, by)
        ),
        tests=tests,
        groups=_compared(found, fixed, level),
    )


def _compared(found: Sequence[Slice], fixed: Sequence[Slice], level: float) -> tuple[ModelGroup, ...]:
    """Return what was found, then what was tested on all examples and is not weak, each beside its complement."""
    others = sorted((one for one in fixed if one not in found), key=lambda one: -one.effect)
    return tuple(
        ModelGroup(
            name=one.name,
            metric="error rate",
            hits=one.errors,
            n=one.n,
            rate=one.errors / one.n,
            interval=(lower_bound(one.errors, one.n, level), upper_bound(one.errors, one.n, level)),
            other_hits=one.other_errors,
            other_n=one.other_n,
            effect=one.effect,
            effect_interval=difference(one.errors, one.n, one.other_errors, one.other_n),
            adjusted_p_value=one.p_value,
            word="weak" if place < len(found) else "",
        )
        for place, one in enumerate([*found, *others][:MOST_COMPARED])
    )


def _search(
    correct: Sequence[bool],
    by: Mapping[str, Sequence[str]],
    known: Sequence[str],
    held: Sequence[bool],
    depth: int,
    fewest: int,
    min_effect: float,
    alpha: float,
) -> tuple[int, int, list[Slice]]:
    """Return how many slices were searched, how many finds were not confirmed, and those that were."""
    first = [place for place, out in enumerate(held) if not out]
    second = [place for place, out in enumerate(held) if out]
    groups = dict(_single(by, [name for name in by if name not in known], first))
    if depth == 2:
        groups |= dict(_pairs(by, first, fewest))
    tested, _ = _test(correct, groups.items(), first, fewest)
    rates = {
        conditions: sum(not correct[place] for place in places) / len(places)
        for conditions, places in _single(by, list(by), first)
    }
    found = [
        one
        for one in tested
        if one.p_value <= alpha
        and one.effect >= min_effect
        and all(
            one.errors / one.n >= rates[(part,)] + min_effect
            for part in one.conditions
            if len(one.conditions) > 1
        )
    ]
    checked = [_counts(correct, one.conditions, _places(by, one.conditions, second), second) for one in found]
    p_values = holm([_worse(correct, by, one, second) for one in checked])
    confirmed = [
        Slice(*one, p_value)
        for one, p_value in zip(checked, p_values, strict=True)
        if p_value <= alpha and Slice(*one, p_value).effect >= min_effect / 2
    ]
    return len(tested), len(found) - len(confirmed), confirmed


def _worse(
    correct: Sequence[bool], by: Mapping[str, Sequence[str]], counted: Counts, places: Sequence[int]
) -> float:
    """Return the p-value of a slice that errs more than its complement, and a pair more than the rest of each part.

    The largest of them, for all must hold. Source: R. L. Berger, "Multiparameter hypothesis testing and acceptance
    sampling", Technometrics 24 (1982), 295-300 (the intersection-union test).
    """
    conditions, errors, n, other_errors, other_n = counted
    if not n or not other_n:
        return 1.0
    found = [fisher_greater(errors, n, other_errors, other_n)]
    if len(conditions) > 1:
        for part in conditions:
            inside = _places(by, (part,), places)
            wrong = sum(not correct[place] for place in inside)
            found.append(fisher_greater(errors, n, wrong - errors, len(inside) - n))
    return max(found)


Group = tuple[tuple[Condition, ...], list[int]]
Counts = tuple[tuple[Condition, ...], int, int, int, int]


def _single(by: Mapping[str, Sequence[str]], names: Sequence[str], places: Sequence[int]) -> Iterator[Group]:
    for name in names:
        grouped: dict[str, list[int]] = {}
        for place in places:
            grouped.setdefault(by[name][place], []).append(place)
        for value in sorted(grouped):
            yield ((name, value),), grouped[value]


def _pairs(by: Mapping[str, Sequence[str]], places: Sequence[int], fewest: int) -> Iterator[Group]:
    """Yield the pairs of conditions of two dimensions whose parts both leave somebody out."""
    for one, other in combinations(sorted(by), 2):
        if {one, other} == _TAUTOLOGIES or {one, other} == {"script", "language"}:
            continue
        grouped: dict[tuple[str, str], list[int]] = {}
        for place in places:
            grouped.setdefault((by[one][place], by[other][place]), []).append(place)
        if len({key[0] for key in grouped}) < 2 or len({key[1] for key in grouped}) < 2:
            continue
        for key in sorted(grouped):
            if len(grouped[key]) >= fewest:
                yield ((one, key[0]), (other, key[1])), grouped[key]


def _places(
    by: Mapping[str, Sequence[str]], conditions: Sequence[Condition], places: Sequence[int]
) -> list[int]:
    return [place for place in places if all(by[name][place] == value for name, value in conditions)]


def _counts(
    correct: Sequence[bool], conditions: tuple[Condition, ...], inside: Sequence[int], places: Sequence[int]
) -> Counts:
    wrong = sum(not correct[place] for place in inside)
    errors = sum(not correct[place] for place in places)
    return conditions, wrong, len(inside), errors - wrong, len(places) - len(inside)


def _test(
    correct: Sequence[bool], groups: Any, places: Sequence[int], fewest: int
) -> tuple[list[Slice], int]:
    """Return the slices that have enough examples on both sides, with adjusted p-values, and how many have not."""
    errors = sum(not correct[place] for place in places)
    counted: list[Counts] = []
    few = 0
    for conditions, inside in groups:
        if min(len(inside), len(places) - len(inside)) < fewest:
            few += len(inside) < len(places)
            continue
        wrong = sum(not correct[place] for place in inside)
        counted.append((conditions, wrong, len(inside), errors - wrong, len(places) - len(inside)))
    adjusted = benjamini_hochberg([fisher_greater(*one[1:]) for one in counted])
    return [Slice(*one, p_value) for one, p_value in zip(counted, adjusted, strict=True)], few


def _wrong(one: Slice, correct: Sequence[bool], by: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the places of the wrong examples of a slice."""
    return _places(by, one.conditions, [place for place, right in enumerate(correct) if not right])


def detectable(n: int, other_n: int, rate: float, tests: int, alpha: float = 0.05) -> float | None:
    """Return the least error rate of a slice of n that so many tests show, were the others wrong at `rate`; None for none."""
    others = round(rate * other_n)
    errors = least(lambda count: fisher_greater(count, n, others, other_n) <= alpha / tests, n)
    return None if errors is None else errors / n
