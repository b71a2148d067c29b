"""What a user reads of a model's gate: the rate with its bounds, the smallest failure, what to do next.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pytest_bugsle.report.characters import names_of, quoted
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.results import ModelEdit, ModelFailure, ModelResult
from pytest_bugsle.robustness.answers import shortened
from pytest_bugsle.robustness.cases import edits_shown
from pytest_bugsle.robustness.edits import unboxed
from pytest_bugsle.robustness.freezing import frozen, thawed
from pytest_bugsle.robustness.invariance import Asked, Judged, Smallest
from pytest_bugsle.robustness.relations import Relation, Same

_AROUND = 60
"""Characters that are shown on either side of an edit in a long text."""
_MOST_NAMED = 4
_LONGEST = 10_000
"""Characters of an example in a report."""
_MOST_EDITS = 1_000
"""Edits of a failure in a report."""


def percent(share: float) -> str:
    """Write a share in per cent with the digits that it needs."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    for digits in range(1, 5):
        text = f"{value:.{digits}f}"
        if float(text) not in (0, 100):
            return f"{text.removesuffix('.0') if digits == 1 else text} %"
    return "nearly 0 %" if value < 50 else "nearly 100 %"


def bounds_text(interval: tuple[float, float]) -> str:
    """Write two one-sided bounds."""
    return f"{percent(interval[0]).removesuffix(' %')} to {percent(interval[1])}"


def failure_of(smallest: Smallest, relation: Relation) -> ModelFailure:
    """Return a failing variation with the answers that break the relation, as the report has it."""
    before, after = unboxed(smallest.variation.before), unboxed(smallest.variation.after)
    edits = [
        ModelEdit(place=each[:2] if isinstance(before, str) else each[0], before=each[-2], after=each[-1])
        for each in edits_shown(before, smallest.variation.edits)
    ]
    return ModelFailure(
        before=_plain(before),
        after=_plain(after),
        edits=[
            ModelEdit(place=_plain(each.place), before=_plain(each.before), after=_plain(each.after))
            for each in edits
        ],
        output_before=relation.said(smallest.before, smallest.before),
        output_after=relation.said(smallest.after, smallest.before),
    )


def brief(failure: ModelFailure) -> ModelFailure:
    """Return a failure as short as a report can bear, with what was left out said in its place.

    A text keeps what surrounds its first edit; anything else becomes the beginning and the end of its JSON. Places
    of edits still count in the whole.
    """
    edits = [
        msgspec.structs.replace(each, before=_brief(each.before), after=_brief(each.after))
        for each in failure.edits[:_MOST_EDITS]
    ]
    if len(failure.edits) > _MOST_EDITS:
        edits.append(
            ModelEdit(place=None, before=f"… {len(failure.edits) - _MOST_EDITS:,} edits more …", after="")
        )
    place = failure.edits[0].place if failure.edits else None
    first = place[0] if place is not None and isinstance(failure.before, str) and _is_span(place) else 0
    return ModelFailure(
        before=_brief(failure.before, first),
        after=_brief(failure.after, first),
        edits=edits,
        output_before=shortened(failure.output_before, _LONGEST),
        output_after=shortened(failure.output_after, _LONGEST),
    )


def _brief(value: Any, around: int = 0) -> Any:
    if not isinstance(value, str):
        text = json.dumps(value)
        return value if len(text) <= _LONGEST else shortened(text, _LONGEST)
    if len(value) <= _LONGEST:
        return value
    start = max(0, min(around - _LONGEST // 2, len(value) - _LONGEST))
    rest = len(value) - start - _LONGEST
    head = f"… {start:,} characters … " if start else ""
    tail = f" … {rest:,} characters of {len(value):,} …" if rest else ""
    return f"{head}{value[start : start + _LONGEST]}{tail}"


def _is_span(place: Any) -> bool:
    """Say whether an edit's place is one in a text: what JSON cannot hold is a text in a report, too, by its repr."""
    return isinstance(place, list | tuple) and len(place) == 2 and all(type(each) is int for each in place)


def _plain(value: Any) -> Any:
    try:
        return frozen(value)
    except (TypeError, ValueError):
        return repr(value)


def failure_lines(failure: ModelFailure) -> list[str]:
    """Return the lines that show a failure: both texts around the edits, both answers, what cannot be seen."""
    before, after = failure.before, failure.after
    if isinstance(before, str) and isinstance(after, str) and all(_is_span(e.place) for e in failure.edits):
        before, after = _windows(before, after, failure.edits)
    else:
        changed = ", ".join(
            _shown(each.after, 80)
            if each.place is None  # all of it is another one
            else f"{each.place}: {_shown(each.before, 40)} -> {_shown(each.after, 40)}"
            for each in failure.edits[:_MOST_NAMED]
        )
        before, after = _whole(before), changed or _whole(after)
    lines = [
        f"  smallest: {before}",
        f"         -> {after}   {shortened(failure.output_before)} -> {shortened(failure.output_after)}",
    ]
    named = names_of(failure.edits)
    return [*lines, f"  there: {', '.join(named)}"] if named else lines


def _shown(value: Any, most: int) -> str:
    return shortened(repr(thawed(value)), most)


def _whole(value: Any) -> str:
    return shortened(value if isinstance(value, str) else repr(thawed(value)))


def _windows(before: str, after: str, edits: list[ModelEdit]) -> tuple[str, str]:
    """Return both texts quoted, cut to what surrounds the edits where they are long."""
    if not edits or max(len(before), len(after)) <= 4 * _AROUND:
        return quoted(before), quoted(after)
    start = max(0, edits[0].place[0] - _AROUND)
    end = max(0, len(before) - edits[-1].place[1] - _AROUND)
    most = 6 * _AROUND

    def cut(text: str) -> str:
        shown = text[start : len(text) - end]
        tail = end
        if len(shown) > most:
            tail += len(shown) - most
            shown = shown[:most]
        return f"{f'… {start:,} … ' if start else ''}{quoted(shown)}{f' … {tail:,} …' if tail else ''}"

    return cut(before), cut(after)


def variation_lines(result: ModelResult, judged: Judged, asked: Asked, *, verb: str) -> list[str]:
    """Return what is said of one perturbation: in one line where there is no more to say than its rate."""
    name = f"{result.gate} {result.perturbation}" if result.gate != "invariant" else result.perturbation
    head = f"{result.outcome.upper() if result.decides else 'too few'} {name}: "
    if result.rate is None:
        head += result.why
    else:
        interval = result.interval or (0.0, 1.0)
        rate = f"{result.flips:,} of {result.trials:,}"
        if result.trials != result.examples:
            rate += f" (in {result.flipping:,} of {result.examples:,} examples)"
        head += f"{verb} {rate} = {percent(result.rate)}, bounds {bounds_text(interval)}, limit {percent(judged.limit)}"
        head += f" ({result.nature})" if asked.by_nature else ""
    if not result.decides:
        return [f"{head} ({result.no_ops:,} no-ops)"]
    lines = [head]
    if result.outcome != "pass":
        lines.append(
            f"  {result.why}" + _needed(result) + _demanded(asked)
            if result.rate is not None
            else "  next: examples that it can change, or leave it out"
        )
        if result.smallest is not None:
            lines += failure_lines(result.smallest)
            if judged.smallest is not None and judged.smallest.variation.stopped:
                lines.append(
                    "  shrinking stopped early, for it has very many edits: a smaller one may fail as well"
                )
        if result.saved:
            lines.append(f"  saved: {result.saved}")
    counted = [f"n = {result.examples:,} examples", f"{result.no_ops:,} no-ops"]
    if result.duplicates:
        counted.append(f"{result.duplicates:,} duplicates")
    counted += result.notes
    # A pass of which there is nothing else to say is one line.
    return (
        lines
        if result.outcome == "pass" and len(counted) == 2 and not result.no_ops
        else [*lines, f"  {', '.join(counted)}"]
    )


def _demanded(asked: Asked) -> str:
    return "" if asked.relation == Same() else f"; {asked.relation.demand()}"


def _needed(result: ModelResult) -> str:
    if result.n_needed is None or not result.flips:
        return ""
    return f"; at this rate {result.n_needed:,} examples would settle it"


def shown(lines: list[str]) -> str:
    """Return lines as one message for a terminal."""
    return "\n".join(for_terminal(line) for line in lines)
