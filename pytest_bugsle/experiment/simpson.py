"""Simpson's paradox: the whole says the opposite of its parts, because the parts are mixed unequally.  PYTEST_DONT_REWRITE

Segments that merely disagree are heterogeneity: with five segments of a plain effect one differs in sign by
chance in more than four of five tests. Reversed is only an aggregate against the Mantel-Haenszel effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import sqrt

from pytest_bugsle.stats import stratified
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.proportions import Counts, difference, normal_tail

MIX_ALPHA = 0.001
"""The level at which the mix of segments counts as unequal: that of a sample-ratio mismatch."""


@dataclass(frozen=True, slots=True)
class Paradox:
    """The effect of the whole and within the segments; `reversed` where they contradict each other."""

    aggregate: float
    within: float | None
    odds_ratio: float | None
    p_value: float
    mix_p_value: float
    heterogeneity: float | None
    reversed: bool


def examine(segments: Sequence[stratified.Segment], alpha: float = 0.05) -> Paradox:
    """Compare the aggregate with the effect within the segments; ValueError where an arm is empty.

    The sign must turn, and either the arms must be mixed unequally of the segments, or the effect within
    them must be clear by itself (Cochran-Mantel-Haenszel).
    """
    control: Counts = (sum(c[0] for c, _ in segments), sum(c[1] for c, _ in segments))
    treatment: Counts = (sum(t[0] for _, t in segments), sum(t[1] for _, t in segments))
    if not control[1] or not treatment[1]:
        raise ValueError("an arm is empty in every segment.")
    aggregate = difference(control, treatment)
    within = stratified.risk_difference(segments)
    p_value = stratified.cochran_p(segments)
    mix = stratified.independence([[c[1] for c, _ in segments], [t[1] for _, t in segments]])
    mix_p = 1.0 if mix is None else mix[1]
    turned = within is not None and aggregate * within < 0
    return Paradox(
        aggregate,
        within,
        stratified.odds_ratio(segments),
        p_value,
        mix_p,
        stratified.breslow_day(segments),
        turned and (mix_p < MIX_ALPHA or p_value < alpha),
    )


def examine_means(segments: Sequence[tuple[Moments, Moments]], alpha: float = 0.05) -> Paradox:
    """Compare the aggregate with the effect within the segments, for means, with the weights of Mantel and Haenszel.

    Every segment must have units in both arms.
    """
    control = reduce(Moments.merge, (c for c, _ in segments))
    treatment = reduce(Moments.merge, (t for _, t in segments))
    total = sum(c.n * t.n / (c.n + t.n) for c, t in segments)
    within = variance = 0.0
    for c, t in segments:
        weight = c.n * t.n / (c.n + t.n) / total
        within += weight * (t.mean - c.mean)
        variance += weight * weight * (c.variance / c.n + t.variance / t.n)
    p_value = min(1.0, 2 * normal_tail(abs(within) / sqrt(variance))) if variance > 0 else 1.0
    mix = stratified.independence([[c.n for c, _ in segments], [t.n for _, t in segments]])
    mix_p = 1.0 if mix is None else mix[1]
    aggregate = treatment.mean - control.mean
    errors = [sqrt(c.variance / c.n + t.variance / t.n) for c, t in segments]
    return Paradox(
        aggregate,
        within,
        None,
        p_value,
        mix_p,
        stratified.cochran_q([t.mean - c.mean for c, t in segments], errors),
        aggregate * within < 0 and (mix_p < MIX_ALPHA or p_value < alpha),
    )
