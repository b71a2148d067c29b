"""Where figures lie in the tables that teams compare themselves with: dated data, each with its source.  PYTEST_DONT_REWRITE

DORA's levels are clusters of each year's answers to a survey, not targets, and since 2025 there are none.
A figure here is measured and has an interval; where that spans two tiers, both are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, get_args

from pytest_bugsle.results import Tier

if TYPE_CHECKING:
    from pytest_bugsle.results import DeliveryFigures

Figure = Literal["deployment-frequency", "lead-time", "change-failure-rate", "recovery"]
FIGURES: tuple[Figure, ...] = get_args(Figure)

_HOUR, _DAY, _WEEK, _MONTH = 3600, 86_400, 7 * 86_400, 30 * 86_400
_DAILY, _WEEKLY, _MONTHLY = 30.0, 30 / 7, 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """Tiers from the best to the worst, and where one ends: in deployments for 30 days, seconds and shares.

    A figure is of the first tier whose bound it keeps: at least so often; else at most so long or so many.
    The last tier has none. `remark` says what of it is ours.
    """

    name: str
    year: int | None
    source: str
    tiers: tuple[str, ...]
    bounds: Mapping[Figure, tuple[float, ...]]
    remark: str = ""


TABLES: tuple[Table, ...] = (
    Table(
        "the table most teams know",
        None,
        "the four rows that teams quote, in the style of DORA's reports up to 2021",
        ("high", "medium", "low"),
        {
            "deployment-frequency": (_DAILY, _MONTHLY),
            "lead-time": (_DAY, _WEEK),
            "change-failure-rate": (0.15, 0.30),
            "recovery": (_HOUR, _DAY),
        },
        "multiple a day / weekly to monthly / less; hours / days / weeks to months; under 15 / 15 to 30 / over "
        "30 %; under an hour / a day / more. Between a day and a week a frequency counts as medium.",
    ),
    Table(
        "DORA 2021",
        2021,
        "Accelerate State of DevOps 2021, as Apache DevLake has it (plugins/dora, benchmarks of 2021)",
        ("elite", "high", "medium", "low"),
        {
            "deployment-frequency": (_DAILY, _MONTHLY, _MONTHLY / 6),
            "lead-time": (_HOUR, _WEEK, 6 * _MONTH),
            "change-failure-rate": (0.15, 0.20, 0.30),
            "recovery": (_HOUR, _DAY, _WEEK),
        },
        "The report has 16 to 30 % for three levels; DevLake parted them at 20 and 30 %.",
    ),
    Table(
        "DORA 2023",
        2023,
        "Accelerate State of DevOps 2023, as Apache DevLake has it (plugins/dora, benchmarks of 2023)",
        ("elite", "high", "medium", "low"),
        {
            "deployment-frequency": (_DAILY, _WEEKLY, _MONTHLY),
            "lead-time": (_DAY, _WEEK, _MONTH),
            "change-failure-rate": (0.05, 0.10, 0.15),
            "recovery": (_HOUR, _DAY, _WEEK),
        },
        "The report has a rate for each cluster: 5, 10, 15 and 64 %; bounds between them are DevLake's.",
    ),
    Table(
        "DORA 2024",
        2024,
        "Accelerate State of DevOps 2024, as octopus.com/blog/2024-devops-performance-clusters has it",
        ("elite", "high", "medium", "low"),
        {
            "deployment-frequency": (_DAILY, _WEEKLY, _MONTHLY),
            "lead-time": (_DAY, _WEEK, _MONTH),
            "recovery": (_HOUR, _DAY, _WEEK),
        },
        "Rates are left out: 5, 20, 10 and 40 % are in no order (medium fails less often than high). High and "
        "medium both recover in less than a day.",
    ),
)
#: What the tables cannot say.
REMARKS: tuple[str, ...] = (
    "In 2025 seven archetypes took the place of the levels (redmonk.com/rstephens/2025/12/18/dora2025).",
    "DORA's levels are not made for comparing teams with one another (ibid.).",
)


def tiers(figures: DeliveryFigures, rung: str | None) -> list[Tier]:
    """Return where each figure lies in each table; one without an interval is in none.

    `rung` is the evidence of failures that counts.
    """
    found = []
    for figure, value, interval, n in _values(figures, rung):
        for table in TABLES:
            bounds = table.bounds.get(figure)
            if bounds is not None:
                found.append(
                    Tier(
                        figure=figure,
                        table=table.name,
                        year=table.year,
                        source=table.source,
                        names=_names(table.tiers, bounds, interval, rising=figure != "deployment-frequency"),
                        value=value,
                        interval=interval,
                        n=n,
                    )
                )
    return found


def _values(
    figures: DeliveryFigures, rung: str | None
) -> Iterator[tuple[Figure, float, tuple[float, float], int]]:
    often = figures.deployment_frequency
    if often.per_30_days is not None and often.interval is not None:
        yield "deployment-frequency", often.per_30_days, often.interval, often.deployments
    lead = figures.lead_time
    if lead.median_seconds is not None and lead.interval is not None:
        yield "lead-time", lead.median_seconds, lead.interval, lead.n
    rate = figures.change_failure.get(rung) if rung else None
    if rate is not None and rate.rate is not None and rate.interval is not None:
        yield "change-failure-rate", rate.rate, rate.interval, rate.deployments
    again = figures.recovery.get(rung) if rung else None
    if again is not None and again.median_seconds is not None and again.interval is not None:
        yield "recovery", again.median_seconds, again.interval, again.n


def _names(
    names: Sequence[str], bounds: Sequence[float], interval: tuple[float, float], *, rising: bool
) -> list[str]:
    """Return the tiers that the interval touches, the best first."""
    best, worst = interval if rising else (-interval[1], -interval[0])
    edges = [*(bounds if rising else (-bound for bound in bounds)), inf]
    first = next(place for place, edge in enumerate(edges) if best <= edge)
    last = next(place for place, edge in enumerate(edges) if worst <= edge)
    return list(names[first : last + 1])
