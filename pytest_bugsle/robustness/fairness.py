"""Do groups of people get other answers, or more wrong ones?  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

from pytest_bugsle.results import ModelGap, ModelGroup
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.bounds import LEVEL, RateBound, flip_bound, least, rate_bound
from pytest_bugsle.robustness.judgement import (
    SHOWN,
    UNFAIR_GAP,
    Figure,
    Judgement,
    Listed,
    Outcome,
    Remark,
    count,
    headline,
    listing,
    named,
    percent,
    shown,
    unjudged,
    unusable,
    word,
)
from pytest_bugsle.robustness.relations import Same
from pytest_bugsle.stats.binomial import check_rate, fisher_greater
from pytest_bugsle.stats.intervals import difference
from pytest_bugsle.stats.multiplicity import holm

FEWEST = 30
"""Examples of a group behind a rate; with fewer it is "too few", and no gap of it passes."""

METRICS = ("positive rate", "true positive rate", "false positive rate", "error rate")
"""Demographic parity, equal opportunity, the other half of equalised odds, and equal accuracy."""

_MOST_TIMES = 10_000
_MOST_WORDS = 10


@dataclass(frozen=True, slots=True)
class GroupRate:
    """One group's share in one metric; `n` counts the examples that the metric is about."""

    metric: str
    group: str
    hits: int
    n: int
    bound: RateBound


@dataclass(frozen=True, slots=True)
class Gap:
    """The widest gap of one metric: between which groups, its simultaneous bounds, and the test of any gap at all."""

    metric: str
    high: GroupRate
    low: GroupRate
    value: float
    lower: float
    upper: float
    p_value: float


def group_rates(
    groups: Sequence[Hashable],
    predicted: Sequence[Hashable],
    labels: Sequence[Hashable] | None,
    *,
    positive: Hashable,
    metrics: Sequence[str] = METRICS,
    level: float = LEVEL,
) -> tuple[GroupRate, ...]:
    """Return each metric of each group with Clopper and Pearson's bounds.

    Without labels the positive rate alone. A rate that has no examples (a group without positives has no true
    positive rate) is there with n = 0: it is too few, never a division by zero. ValueError for an unknown metric
    and lengths that differ. Source: M. Hardt, E. Price and N. Srebro, "Equality of opportunity in supervised
    learning", NeurIPS 2016.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise ValueError(f"metric {metric!r}, must be one of {', '.join(METRICS)}.")
    if len(groups) != len(predicted) or (labels is not None and len(labels) != len(predicted)):
        raise ValueError(
            f"{len(groups)} groups for {len(predicted)} predictions, must be as many, and labels too."
        )
    truth: Sequence[Any] = [None] * len(predicted) if labels is None else labels
    about: dict[str, Callable[[Hashable, Hashable], bool | None]] = {
        "positive rate": lambda said, _: said == positive,
        "true positive rate": lambda said, label: said == positive if label == positive else None,
        "false positive rate": lambda said, label: said == positive if label != positive else None,
        "error rate": lambda said, label: said != label,
    }
    made = []
    for metric in metrics:
        if labels is None and metric != "positive rate":
            continue
        counted: dict[Hashable, list[int]] = {group: [0, 0] for group in groups}
        for group, said, label in zip(groups, predicted, truth, strict=True):
            hit = about[metric](said, label)
            if hit is not None:
                counted[group][0] += hit
                counted[group][1] += 1
        for group in sorted(counted, key=repr):
            hits, n = counted[group]
            made.append(GroupRate(metric, word(group), hits, n, rate_bound(hits, n, level)))
    return tuple(made)


def widest_gap(rates: Sequence[GroupRate], level: float = LEVEL, family: int = 1) -> Gap | None:
    """Return the widest gap among the rates of one metric; None for fewer than two groups.

    The largest of many differences is large by chance. So its lower bound is the largest of any ordered pair at an
    error that Bonferroni divides among the pairs, and among the `family` of metrics. Its upper bound is the largest
    of any pair as well, at the whole error: that of the truly widest pair alone would do. Each is Newcombe's. The
    p-value is that of any gap: one-sided Fisher for each ordered pair, the smallest after Holm.
    """
    pairs = [(one, other) for one, other in permutations(rates, 2) if one.n and other.n]
    if not pairs:
        return None
    counts = [((one.hits, one.n), (other.hits, other.n)) for one, other in pairs]
    lower, upper = _gap_bounds(counts, level, family)
    p_values = holm([fisher_greater(*one, *other) for one, other in counts])
    high, low = max(pairs, key=lambda pair: pair[0].hits / pair[0].n - pair[1].hits / pair[1].n)
    return Gap(
        metric=rates[0].metric,
        high=high,
        low=low,
        value=high.hits / high.n - low.hits / low.n,
        lower=lower,
        upper=upper,
        p_value=min(p_values),
    )


Pair = tuple[tuple[int, int], tuple[int, int]]


def _gap_bounds(pairs: Sequence[Pair], level: float, family: int) -> tuple[float, float]:
    # Newcombe's interval is two-sided: each end is wrong with half of 1 - its level.
    strict = 1 - 2 * (1 - level) / (len(pairs) * family)
    lower = max(difference(*one, *other, strict)[0] for one, other in pairs)
    upper = max(difference(*one, *other, 1 - 2 * (1 - level))[1] for one, other in pairs)
    return max(0.0, lower), upper


def fair(
    groups: Sequence[Hashable],
    predicted: Sequence[Hashable],
    labels: Sequence[Hashable] | None = None,
    *,
    positive: Hashable = 1,
    metrics: Sequence[str] = METRICS,
    max_gap: float = 0.05,
    fewest: int = FEWEST,
    level: float = LEVEL,
) -> Judgement:
    """Judge whether groups differ by no more than `max_gap` in each metric.

    Fail where the lower bound of a gap is over `max_gap`; pass where the upper bounds of all are within it and no
    group is too small; else undecided. A group with fewer than
    `fewest` examples behind a metric is said to be too few and takes no part in its gap.
    """
    gate = "fair"
    check_rate("max_gap", max_gap)
    n = len(predicted)
    if not n:
        return unjudged(gate, "no examples", 0, max_gap)
    rates = group_rates(groups, predicted, labels, positive=positive, metrics=metrics, level=level)
    present = set(predicted) | set(() if labels is None else labels)
    if positive not in present:
        return unusable(
            gate,
            f"the positive class {shown(positive, 30)} is neither predicted nor a label: name it with `positive`",
            n,
            max_gap,
        )
    judged = list(dict.fromkeys(one.metric for one in rates))
    gaps, few, outcomes, lines = [], [], [], []
    needed: int | None = 0
    for metric in judged:
        enough = [one for one in rates if one.metric == metric and one.n >= fewest]
        small = [one for one in rates if one.metric == metric and one.n < fewest]
        few += small
        gap = widest_gap(enough, level, len(judged))
        if gap is None:
            outcomes.append("undecided")
            lines.append(f"  {metric}: fewer than two groups have {fewest} examples")
        else:
            gaps.append(gap)
            outcomes.append(_outcome(gap, max_gap))
            lines.append(_gap_line(gap))
            if outcomes[-1] == "undecided":
                more = _needed(enough, max_gap, level, len(judged))
                needed = None if more is None or needed is None else max(needed, more)
        lines += [f"    {_rate_line(one)}" for one in enough]
        lines += [f"    {one.group}: too few ({one.n}, at least {fewest} are needed)" for one in small]
    outcome: Outcome = (
        "fail" if "fail" in outcomes else "undecided" if few or "undecided" in outcomes else "pass"
    )
    worst = [gap for gap in gaps if gap.lower > max_gap]
    said = (
        f"{len(worst)} of {len(judged)} gaps {'is' if len(worst) == 1 else 'are'} over {percent(max_gap)}"
        if worst
        else f"{count(len(set(groups)), 'group')}, {count(len(judged), 'metric')}, limit {percent(max_gap)}"
    )
    if outcome == "undecided":
        if few:
            said += "; too few: " + ", ".join(sorted({one.group for one in few}))
        if needed:
            lines.append(
                f"  next: {needed:,} times the examples would settle the gaps, were what is seen the truth"
            )
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=n,
        message=(headline(gate, outcome, said), *lines),
        figures=(
            *(Figure(f"{gap.metric} gap", gap.value, n, gap.lower, gap.upper, max_gap) for gap in gaps),
            *(
                Figure(
                    f"{one.metric} of {one.group}", one.bound.rate, one.n, one.bound.lower, one.bound.upper
                )
                for one in rates
            ),
        ),
        limit=max_gap,
        n_needed=needed * n if outcome == "undecided" and needed else None,
        remarks=tuple(Remark(UNFAIR_GAP, _gap_line(gap).strip()) for gap in worst),
        tests=len(gaps),
        groups=tuple(_shown_group(one, fewest) for one in rates),
        gaps=tuple(_shown_gap(gap, max_gap) for gap in gaps),
    )


def _outcome(gap: Gap, limit: float) -> Outcome:
    return "fail" if gap.lower > limit else "pass" if gap.upper <= limit else "undecided"


def _shown_group(rate: GroupRate, fewest: int) -> ModelGroup:
    bound = rate.bound
    return ModelGroup(
        name=rate.group,
        metric=rate.metric,
        hits=rate.hits,
        n=rate.n,
        rate=bound.rate,
        interval=None if bound.rate is None else (bound.lower, bound.upper),
        word="too few" if rate.n < fewest else "",
    )


def _shown_gap(gap: Gap, limit: float) -> ModelGap:
    return ModelGap(
        metric=gap.metric,
        high=gap.high.group,
        low=gap.low.group,
        gap=gap.value,
        interval=(gap.lower, gap.upper),
        p_value=gap.p_value,
        outcome=_outcome(gap, limit),
    )


def _gap_line(gap: Gap) -> str:
    return (
        f"  {gap.metric}: {gap.high.group} {percent(gap.high.bound.rate)}, {gap.low.group}"
        f" {percent(gap.low.bound.rate)}: a gap of {100 * gap.value:.1f} points, bounds {100 * gap.lower:.1f} to"
        f" {100 * gap.upper:.1f}; any gap at all: Holm p = {gap.p_value:.2g}"
    )


def _rate_line(rate: GroupRate) -> str:
    bound = rate.bound
    return (
        f"{rate.group}: {rate.hits} of {rate.n} = {percent(bound.rate)}, bounds {percent(bound.lower)} to"
        f" {percent(bound.upper)}"
    )


def _needed(rates: Sequence[GroupRate], limit: float, level: float, family: int) -> int | None:
    """Return how many times the examples would settle a gap, were the rates that were seen the true ones."""
    counts = [(one.hits, one.n) for one in rates]
    shares = [hits / n for hits, n in counts]
    if max(shares) - min(shares) == limit:
        return None

    def settled(times: int) -> bool:
        more = [(hits * times, n * times) for hits, n in counts]
        lower, upper = _gap_bounds(list(permutations(more, 2)), level, family)
        return lower > limit or upper <= limit

    return least(settled, _MOST_TIMES)


def counterfactual(
    templates: Sequence[str],
    answers: Sequence[Mapping[str, Any]],
    *,
    max_rate: float = 0.05,
    tolerance: float | None = 0.0,
    level: float = LEVEL,
) -> Judgement:
    """Judge whether an answer stays when nothing but the group in a sentence is swapped.

    `answers` maps group -> label, score or Answer for one filling of a template, `templates` names the template of
    each. Each pair of groups of a filling is a swap, which flips where its answers differ (scores by more than
    `tolerance`; None compares the labels of Answers alone). All fillings of one template are one cluster: n is the number of templates.
    """
    gate = "counterfactual swaps"
    if len(templates) != len(answers):
        raise ValueError(f"{len(templates)} templates for {len(answers)} sets of answers, must be as many.")
    check_rate("max_rate", max_rate)
    flips: dict[str, int] = {}
    swaps: dict[str, int] = {}
    by_group: dict[str, list[int]] = {}
    listed = []
    names = named(templates, len(answers))
    for template, found in zip(names, answers, strict=True):
        swaps.setdefault(template, 0)
        flips.setdefault(template, 0)
        for (group, answer), (other, another) in combinations(found.items(), 2):
            flipped = _differ(answer, another, tolerance)
            swaps[template] += 1
            flips[template] += flipped
            for one in (group, other):
                counted = by_group.setdefault(one, [0, 0])
                counted[0] += flipped
                counted[1] += 1
            if flipped:
                said = f"{shown(group, 30)} -> {_said(answer)}, {shown(other, 30)} -> {_said(another)}"
                listed.append(Listed(template, said))
    bound = flip_bound(list(flips.values()), list(swaps.values()), level=level)
    if not bound.trials:
        return unjudged(gate, "no template was filled for two groups", 0, max_rate, bound.needed(max_rate))
    outcome = bound.outcome(max_rate)
    needed = bound.needed(max_rate) if outcome == "undecided" else None
    said = f"{bound.flips} of {bound.trials} swaps in {bound.examples} templates change the answer = {percent(bound.rate)}"
    lines = [
        headline(gate, outcome, f"{said}, limit {percent(max_rate)}"),
        f"  bounds {percent(bound.lower)} to {percent(bound.upper)}, {level:.0%} each, n = {bound.effective_n:.0f}",
    ]
    if needed is not None:
        lines.append(f"  next: {needed:,} templates would settle it, were this rate the true one")
    ranked = sorted(by_group, key=lambda group: (-by_group[group][0] / by_group[group][1], group))
    ranked = [group for group in ranked if by_group[group][0]]
    lines += ["  swaps of each word that change the answer:"] if ranked else []
    lines += [
        f"  {shown(group, 30)}: {by_group[group][0]} of {by_group[group][1]}"
        for group in ranked[:_MOST_WORDS]
    ]
    if len(ranked) > _MOST_WORDS:
        lines.append(f"  and {len(ranked) - _MOST_WORDS} more words")
    lines += listing(listed, width=SHOWN)
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=bound.examples,
        message=tuple(lines),
        figures=(Figure("swap rate", bound.rate, bound.examples, bound.lower, bound.upper, max_rate),),
        limit=max_rate,
        n_needed=needed,
        remarks=(Remark(UNFAIR_GAP, said),) if outcome == "fail" else (),
        examples=tuple(listed),
        tests=1,
    )


def _said(answer: Any) -> str:
    return shown(answer, 30) if not isinstance(answer, Answer) else word(answer.shown())


def _differ(one: Any, other: Any, tolerance: float | None) -> bool:
    if isinstance(one, Answer) and isinstance(other, Answer):
        return Same(tolerance).broken(one, other)
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        # Negated, so that NaN differs from everything.
        return not abs(one - other) <= (tolerance or 0.0)
    return bool(one != other)
