"""The figures month by month, or release by release."""

from __future__ import annotations

import datetime as dt

from delivery_graphs import deployment, graph_of
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.lead_time import Shipment
from pytest_bugsle.delivery.trend import iso, trend


def at(text: str) -> int:
    """Give the seconds of a time in UTC."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


def shipped(*times: str) -> list[Shipment]:
    """Give a shipment a time, each with a commit that is an hour older."""
    graph = graph_of({"a": ""})
    return [
        Shipment(deployment(graph, "a", at(time), f"v{n}.0"), [at(time) - 3600], [0])
        for n, time in enumerate(times)
    ]


def test_a_month_without_a_release_is_there_with_nothing() -> None:
    """From the first release to the end, over the year's; the last second of a month is the month's."""
    points = trend(
        shipped("2025-11-30T23:59:59", "2026-01-01", "2026-01-31"), {"revert": [1]}, at("2026-02-03"), "month"
    )
    assert [(point.period, point.releases, point.lead_time.n) for point in points] == [
        ("2025-11", 1, 1),
        ("2025-12", 0, 0),
        ("2026-01", 2, 2),
        ("2026-02", 0, 0),
    ]
    assert points[2].start == at("2026-01-01")
    assert points[2].change_failure["revert"].failed == 1
    assert points[2].change_failure["revert"].deployments == 2
    assert points[0].change_failure["revert"].failed == 0
    assert points[1].change_failure["revert"].rate is None


def test_by_release_each_has_a_point() -> None:
    """With its name and its time."""
    points = trend(shipped("2025-11-30", "2026-01-01"), {}, at("2026-02-03"), "release")
    assert [(point.period, point.start, point.releases) for point in points] == [
        ("v0.0", at("2025-11-30"), 1),
        ("v1.0", at("2026-01-01"), 1),
    ]


def test_without_a_release_there_is_no_trend() -> None:
    """Neither way."""
    assert trend([], {}, 0, "month") == trend([], {}, 0, "release") == []


@given(st.integers(-(2**62), 2**62))
def test_any_time_that_a_commit_claims_can_be_shown(seconds: int) -> None:
    """Outside of the calendar it is the calendar's end."""
    assert iso(seconds).endswith("Z")
    assert iso(0) == "1970-01-01T00:00:00Z"
