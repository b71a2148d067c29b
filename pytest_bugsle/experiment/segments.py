"""The effect within each segment: to look at, not to decide by.  PYTEST_DONT_REWRITE

Of twenty segments of no effect at all one is expected to look like one. So each p-value is adjusted for all of the
metric's segments, and no outcome depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pytest_bugsle.experiment import means, proportions
from pytest_bugsle.experiment.evidence import Evidence
from pytest_bugsle.results import ExperimentSegment
from pytest_bugsle.stats import multiplicity
from pytest_bugsle.stats.moments import Moments

MOST = 200
"""How many segments of a metric are judged at most: the largest. A column with more is an id, and no segment."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """One segment of one column, with the moments of control and treatment."""

    column: str
    value: str
    control: Moments
    treatment: Moments

    @property
    def units(self) -> int:
        """The units of both arms."""
        return self.control.n + self.treatment.n


def effects_of(
    rows: Sequence[Segmented], arms: tuple[str, str], *, shares: bool, alpha: float
) -> list[ExperimentSegment]:
    """Return the effect of each segment in which both arms have units enough, the largest segment first.

    By column, in the columns' order. `alpha` is that of the interval, two-sided; the adjusted p-value is that of
    Benjamini and Hochberg over all rows.
    """
    columns = list(dict.fromkeys(row.column for row in rows))
    largest = sorted(rows, key=lambda row: (-row.units, row.column, row.value))[:MOST]
    made = []
    for row in sorted(largest, key=lambda row: (columns.index(row.column), -row.units, row.value)):
        evidence = _evidence(row, shares=shares)
        interval = None if evidence is None else evidence.interval(alpha)
        if evidence is None or interval is None:
            continue
        made.append(
            ExperimentSegment(
                column=row.column,
                value=row.value,
                n=dict(zip(arms, evidence.n, strict=True)),
                values=dict(zip(arms, (evidence.control, evidence.treatment), strict=True)),
                effect=evidence.effect,
                interval=interval,
                p_value=evidence.test_p,
                adjusted_p_value=1.0,
            )
        )
    if not made:
        return []
    adjusted = multiplicity.false_discovery([one.p_value for one in made])
    return [
        msgspec.structs.replace(one, adjusted_p_value=p_value)
        for one, p_value in zip(made, adjusted, strict=True)
    ]


def rows_of(
    segments: Mapping[str, Mapping[str, Mapping[str | None, Moments]]], arms: tuple[str, str]
) -> list[Segmented]:
    """Return the segments of all columns as rows of two arms."""
    empty = Moments(0, 0.0, 0.0)
    return [
        Segmented(column, value, by_arm.get(arms[0], empty), by_arm.get(arms[1], empty))
        for column, found in segments.items()
        for value, by_arm in found.items()
    ]


def _evidence(row: Segmented, *, shares: bool) -> Evidence | None:
    """Return what a segment says; None where an arm has fewer than two units, or both are constant."""
    if min(row.control.n, row.treatment.n) < 2:
        return None
    if shares:
        control, treatment = ((round(arm.mean * arm.n), arm.n) for arm in (row.control, row.treatment))
        return proportions.evidence_of(control, treatment)
    if row.control.variance + row.treatment.variance <= 0:
        return None
    return means.evidence_of(row.control, row.treatment)
