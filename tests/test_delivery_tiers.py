"""Where figures lie in dated tables of tiers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_bugsle.delivery.figures import figures
from pytest_bugsle.delivery.frequency import DAY, frequency
from pytest_bugsle.delivery.lead_time import durations
from pytest_bugsle.delivery.reverts import failure_rate
from pytest_bugsle.delivery.tiers import FIGURES, TABLES, tiers
from pytest_bugsle.results import DeliveryFigures

_EMPTY = figures([])


def shown(**values: Any) -> dict[tuple[str, str], list[str]]:
    """Give the names by figure and table."""
    found: DeliveryFigures = replace(_EMPTY, **values)
    return {(tier.figure, tier.table): tier.names for tier in tiers(found, "revert")}


@pytest.mark.parametrize(
    ("seconds", "known", "of_2021", "of_2023"),
    [
        (1800, ["high"], ["elite"], ["elite"]),
        (5 * 3600, ["high"], ["high"], ["elite"]),
        (3 * DAY, ["medium"], ["high"], ["high"]),
        (20 * DAY, ["low"], ["medium"], ["medium"]),
        (200 * DAY, ["low"], ["low"], ["low"]),
    ],
)
def test_a_lead_time_lies_where_the_table_of_the_year_says(
    seconds: int, known: list[str], of_2021: list[str], of_2023: list[str]
) -> None:
    """The same figure has another name in another year."""
    found = shown(lead_time=durations([seconds] * 20))
    assert found["lead-time", "the table most teams know"] == known
    assert found["lead-time", "DORA 2021"] == of_2021
    assert found["lead-time", "DORA 2023"] == of_2023 == found["lead-time", "DORA 2024"]


def test_where_the_interval_spans_tiers_each_is_named() -> None:
    """Two of ten may be anything from 6 to 51 %."""
    found = shown(change_failure={"revert": failure_rate(range(2), 10)})
    assert found["change-failure-rate", "the table most teams know"] == ["high", "medium", "low"]
    assert found["change-failure-rate", "DORA 2023"] == ["high", "medium", "low"]
    many = shown(change_failure={"revert": failure_rate(range(200), 1000)})
    assert many["change-failure-rate", "the table most teams know"] == ["medium"]
    assert ("change-failure-rate", "DORA 2024") not in many


def test_often_is_better_than_seldom() -> None:
    """Twice a day, twice a week, twice a month, twice a year."""
    for count, days, name in (
        (2000, 1000, "elite"),
        (286, 1000, "high"),
        (66, 1000, "medium"),
        (4, 730, "low"),
    ):
        found = shown(deployment_frequency=frequency(count, days * DAY))
        assert found["deployment-frequency", "DORA 2023"] == [name]


def test_a_figure_without_an_interval_is_in_no_tier() -> None:
    """Seven lead times have a median and no tier; a tier has its n and its interval beside it."""
    assert shown(lead_time=durations([5] * 7)) == {}
    (first, *_) = tiers(replace(_EMPTY, recovery={"revert": durations([60] * 9)}), "revert")
    assert (first.figure, first.n, first.value, first.interval) == ("recovery", 9, 60.0, (60, 60))
    assert tiers(replace(_EMPTY, recovery={"revert": durations([60] * 9)}), "incident") == []


def test_every_table_has_a_source_and_bounds_in_order() -> None:
    """One bound less than it has tiers, from the best to the worst."""
    for table in TABLES:
        assert table.source and set(table.bounds) <= set(FIGURES)
        for figure, bounds in table.bounds.items():
            assert len(bounds) == len(table.tiers) - 1
            assert list(bounds) == sorted(bounds, reverse=figure == "deployment-frequency")


@given(st.lists(st.integers(0, 400 * DAY), min_size=8, max_size=40), st.integers(0, 100 * DAY))
def test_what_waits_longer_is_in_no_better_tier(values: list[int], more: int) -> None:
    """And the names of one figure stand beside one another in the table."""
    one, other = (shown(lead_time=durations([v + by for v in values])) for by in (0, more))
    for table in TABLES:
        names = table.tiers
        first, second = one["lead-time", table.name], other["lead-time", table.name]
        assert names.index(first[0]) <= names.index(second[0])
        assert names.index(first[-1]) <= names.index(second[-1])
        start = names.index(first[0])
        assert tuple(first) == names[start : start + len(first)]
