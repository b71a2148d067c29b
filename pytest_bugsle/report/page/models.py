"""Model gates as the page shows them: flip rates against their limits, smallest failures, slices, groups.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pytest_bugsle.report.characters import seen
from pytest_bugsle.report.escape import visible
from pytest_bugsle.report.page.charts import Effect, forest, number
from pytest_bugsle.report.page.experiments import Tone, tone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_bugsle.results import ModelEdit, ModelFailure, ModelGroup, ModelResult, Result

MOST_DRAWN = 12
"""Rows of one drawing: what failed, then the highest. The table has more."""
NATURES = ("natural", "typographic", "adversarial")
_WORST_FIRST = ("invalid", "fail", "undecided", "pass")
_AROUND = 60
"""Characters of a long text that are shown on either side of its edits."""
_MOST_SHOWN = 300
_MOST_EDITS = 40
_LEAST_P = 0.0001

Pieces = list[tuple[str, bool]]
"""A text in parts, each with whether it is an edit."""


@dataclass(frozen=True, slots=True)
class Gate:
    """All that one test asked of one model."""

    model: str
    test: str
    results: tuple[ModelResult, ...]

    @property
    def outcome(self) -> str:
        """Return the worst outcome of what decides."""
        found = {one.outcome for one in self.results if one.decides}
        return next((word for word in _WORST_FIRST if word in found), "pass")

    @property
    def tone(self) -> Tone:
        """Return the tone of the outcome; one that passes with findings is to be looked at."""
        open_ = self.outcome == "pass" and any(one.findings for one in self.results)
        return "warn" if open_ else tone(self.outcome)

    @property
    def variations(self) -> list[ModelResult]:
        """Return what was judged by varying inputs."""
        return [one for one in self.results if one.perturbation]

    @property
    def others(self) -> list[ModelResult]:
        """Return all other judgements, what needs work first."""
        found = [one for one in self.results if not one.perturbation]
        return sorted(found, key=_weight)

    @property
    def failures(self) -> list[ModelResult]:
        """Return what has a smallest failure, what needs work first."""
        return sorted((one for one in self.results if one.smallest is not None), key=_weight)


def models_of(result: Result) -> list[ModelResult]:
    """Return what was judged of models."""
    return result.models if isinstance(result.models, list) else []


def gates_of(result: Result) -> list[Gate]:
    """Return the judgements by test and model, what needs work first."""
    found: dict[tuple[str, str], list[ModelResult]] = {}
    for one in models_of(result):
        found.setdefault((one.test, one.model), []).append(one)
    gates = [Gate(model, test, tuple(results)) for (test, model), results in found.items()]
    return sorted(gates, key=lambda gate: (_WORST_FIRST.index(gate.outcome), gate.tone != "warn"))


def _weight(one: ModelResult) -> tuple[bool, int, bool]:
    return not one.decides, _WORST_FIRST.index(one.outcome), not one.findings


def word(one: ModelResult) -> str:
    """Return the outcome; of what does not decide, that it does not."""
    if one.decides:
        return one.outcome
    return "too few" if one.perturbation else "shown"


def word_tone(one: ModelResult) -> Tone:
    """Return the tone of that word."""
    if not one.decides:
        return "mute"
    return "warn" if one.outcome == "pass" and one.findings else tone(one.outcome)


def name_of(one: ModelResult) -> str:
    """Return what a judgement is called."""
    if not one.perturbation:
        return one.gate.replace("_", " ")
    return one.perturbation if one.gate == "invariant" else f"{one.gate} {one.perturbation}"


def percent(share: float) -> str:
    """Return a share in per cent with three digits; what is not quite none or all does not read so."""
    text = number(100 * share)
    return f"nearly {text}" if text in ("0", "100") and share not in (0.0, 1.0) else text


def span(interval: tuple[float, float]) -> str:
    """Return two bounds in per cent."""
    return f"{percent(interval[0])} to {percent(interval[1])} %"


def points(*effects: float) -> str:
    """Return a difference of two shares, or its two bounds, in percentage points."""
    return " to ".join(number(100 * effect) for effect in effects) + " pp"


# --- drawings --------------------------------------------------------------------------------------


def by_nature(gate: Gate) -> Iterator[tuple[str, list[ModelResult]]]:
    """Yield each nature with its perturbations, families together, as they were asked for."""
    found = gate.variations
    families = list(dict.fromkeys(one.family for one in found))
    for nature in dict.fromkeys([*NATURES, *(one.nature for one in found)]):
        rows = [one for one in found if one.nature == nature]
        if rows:
            yield nature, sorted(rows, key=lambda one: families.index(one.family))


def rate_chart(found: Sequence[ModelResult], *, name: str, title: str) -> Markup:
    """Return flip rates with their bounds against the limit; nothing where none was tried."""
    rows = [
        (
            one,
            Effect(
                label=f"{name_of(one)} {one.flips:,} of {one.trials:,}",
                value=100 * one.rate,
                low=100 * one.interval[0],
                high=100 * one.interval[1],
                margin=None if one.limit is None else 100 * one.limit,
                word=word(one),
            ),
        )
        for one in found
        if one.rate is not None and one.interval is not None and _finite(one.rate, *one.interval)
    ]
    if not rows:
        return Markup()
    drawn = sorted(rows, key=lambda row: (_weight(row[0]), -row[1].value))[:MOST_DRAWN]
    kept = [row for one, row in rows if any(one is each for each, _ in drawn)]
    return _against(kept, name=name, title=title)


def gap_chart(one: ModelResult, *, name: str, title: str) -> Markup:
    """Return the widest gap of each metric with its bounds, against the limit."""
    limit = None if one.limit is None else 100 * one.limit
    rows = [
        Effect(
            label=f"{gap.metric.removesuffix(' rate')}: {gap.high} over {gap.low}",
            value=100 * gap.gap,
            low=100 * gap.interval[0],
            high=100 * gap.interval[1],
            margin=limit,
            word=gap.outcome,
        )
        for gap in one.gaps
        if _finite(gap.gap, *gap.interval)
    ]
    return _against(rows[:MOST_DRAWN], name=name, title=title, unit=" pp") if rows else Markup()


def _against(rows: list[Effect], *, name: str, title: str, unit: str = " %") -> Markup:
    """Return a forest with one limit for all rows where they have the same, else with each row's own."""
    limits = {row.margin for row in rows}
    limit = next(iter(limits))
    if len(limits) == 1 and limit is not None and math.isfinite(limit):
        common = [
            Effect(label=row.label, value=row.value, low=row.low, high=row.high, word=row.word)
            for row in rows
        ]
        return forest(common, name=name, title=title, margin=limit, unit=unit, ships="down")
    return forest(rows, name=name, title=title, unit=unit)


def slice_chart(one: ModelResult, *, name: str, title: str) -> Markup:
    """Return by how much each slice errs more than its complement; the dashed line is the least that counts."""
    rows = [
        Effect(
            label=f"{group.name}, n = {group.n:,}",
            value=100 * group.effect,
            low=100 * group.effect_interval[0],
            high=100 * group.effect_interval[1],
            word=(f"{group.word}, " if group.word else "") + f"p {p_value(group)}",
        )
        for group in slices_of(one)[:MOST_DRAWN]
        if group.effect is not None
        and group.effect_interval is not None
        and _finite(group.effect, *group.effect_interval)
    ]
    if not rows:
        return Markup()
    limit = None if one.limit is None else 100 * one.limit
    return forest(rows, name=name, title=title, margin=limit, unit=" pp")


def slices_of(one: ModelResult) -> list[ModelGroup]:
    """Return the groups that have a complement."""
    return [group for group in one.groups if group.effect is not None]


def metrics_of(one: ModelResult) -> Iterator[tuple[str, list[ModelGroup]]]:
    """Yield each metric of fairness with its groups."""
    groups = [group for group in one.groups if group.effect is None]
    for metric in dict.fromkeys(group.metric for group in groups):
        yield metric, [group for group in groups if group.metric == metric]


def group_chart(found: Sequence[ModelGroup], *, name: str, title: str) -> Markup:
    """Return the rates of groups with their bounds; those without an example are in the table alone."""
    rows = [
        Effect(
            label=f"{group.name} {group.hits:,} of {group.n:,}",
            value=100 * group.rate,
            low=100 * group.interval[0],
            high=100 * group.interval[1],
            word=group.word,
        )
        for group in found[:MOST_DRAWN]
        if group.rate is not None and group.interval is not None and _finite(group.rate, *group.interval)
    ]
    return forest(rows, name=name, title=title, unit=" %") if rows else Markup()


def p_value(group: ModelGroup) -> str:
    """Return the adjusted p-value with two digits and its sign."""
    value = group.adjusted_p_value
    if value is None:
        return "–"
    return f"= {value:.2g}" if value >= _LEAST_P else f"< {_LEAST_P}"


def _finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


# --- failures --------------------------------------------------------------------------------------


def both(failure: ModelFailure) -> tuple[Markup, Markup]:
    """Return example and variation, with what was taken out and put in marked.

    A long text is cut to what surrounds its edits; what cannot be seen is an escape. A row or an array is its repr.
    """
    before, after = failure.before, failure.after
    if not isinstance(before, str) or not isinstance(after, str):
        return _plain(_SHORT.repr(before)), _plain(_SHORT.repr(after))
    edits = _fitting(before, after, failure.edits)
    if edits is None:
        return _plain(_ends(before)), _plain(_ends(after))
    taken: Pieces = []
    put: Pieces = []
    cursor = 0
    for (start, stop), edit in edits:
        same = (before[cursor:start], False)
        taken += [same, (before[start:stop], True)]
        put += [same, (edit.after, True)]
        cursor = stop
    rest = (before[cursor:], False)
    return _marked([*taken, rest], "del"), _marked([*put, rest], "ins")


def edits_of(failure: ModelFailure) -> list[str]:
    """Return the edits of what is no text, each as its place with the old and the new value."""
    if isinstance(failure.before, str):
        return []
    return [
        f"{_SHORT.repr(edit.place)}: {_SHORT.repr(edit.before)} → {_SHORT.repr(edit.after)}"
        for edit in failure.edits
    ]


def _fitting(before: str, after: str, edits: Sequence[ModelEdit]) -> list[tuple[tuple[int, int], Any]] | None:
    """Return the first edits with their places; None where they do not lead from one text to the other."""
    found, cursor, grown = [], 0, 0
    for edit in edits:
        match edit.place, edit.before, edit.after:
            case [int(start), int(stop)], str(old), str(new) if cursor <= start <= stop <= len(before):
                if before[start:stop] != old:
                    return None
                found.append(((start, stop), edit))
                cursor, grown = stop, grown + len(new) - len(old)
            case _:
                return None
    return found[:_MOST_EDITS] if len(after) == len(before) + grown else None


def _marked(pieces: Pieces, tag: str) -> Markup:
    """Return the text around its edits, quoted, with how many characters were left out on either side."""
    first, last = pieces[0][0], pieces[-1][0]
    skipped = max(0, len(first) - _AROUND) if len(first) > 2 * _AROUND else 0
    dropped = max(0, len(last) - _AROUND) if len(last) > 2 * _AROUND else 0
    shown: Pieces = [(first[skipped:], False), *pieces[1:-1], (last[: len(last) - dropped], False)]
    parts, room = [], _MOST_SHOWN
    for text, edited in shown:
        kept = text[:room]
        room -= len(kept)
        dropped += len(text) - len(kept)
        if kept:
            parts.append(Markup(f"<{tag}>{{}}</{tag}>" if edited else "{}").format(seen(kept)))  # noqa: S704
    head = Markup('<span class="aside">… {:,} … </span>').format(skipped) if skipped else Markup()
    tail = Markup('<span class="aside"> … {:,} …</span>').format(dropped) if dropped else Markup()
    return head + Markup('"{}"').format(Markup().join(parts)) + tail


def _ends(text: str) -> str:
    """Return the quoted beginning of a text."""
    return f'"{seen(text[:_MOST_SHOWN])}"' + (
        f" … {len(text) - _MOST_SHOWN:,} …" if len(text) > _MOST_SHOWN else ""
    )


def _plain(text: str) -> Markup:
    return Markup("{}").format(visible(text))


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxdict = 12
