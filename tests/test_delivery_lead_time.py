"""From a commit's author time to the first deployment that contains it."""

from __future__ import annotations

import math
import statistics

from delivery_graphs import deployment, graph_of
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.lead_time import durations, landing_times, shipments, waiting
from pytest_bugsle.delivery.releases import labels
from pytest_bugsle.results import Durations

seconds = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=60)


def test_a_shipment_has_the_commits_that_it_brought_first() -> None:
    """With the times at which they were written and at which they reached the mainline; the rest is counted."""
    graph = graph_of(
        {"d": "ac", "c": "b", "b": "a", "a": ""},
        {"a": (0, 1), "b": (10, 11), "c": (20, 21), "d": (30, 31)},
    )
    made = [deployment(graph, "a", 5), deployment(graph, "d", 40)]
    landing, mainline = landing_times(graph, 0)
    counted = [False, True, True, True]
    first, second = shipments(graph, made, labels(graph, made), landing, mainline, counted)
    assert (first.authored, first.landed, first.left_out) == ([0], [1], 0)
    assert (second.authored, second.landed, second.left_out) == ([20, 10], [31, 31], 1)
    assert second.lead_times == [20, 30]
    assert second.lead_times_by_commit_date == [11, 21]


def test_what_head_does_not_contain_is_in_no_shipment() -> None:
    """A commit of a release branch that was never merged is not of HEAD's history."""
    graph = graph_of({"c": "a", "b": "a", "a": ""})
    made = [deployment(graph, "c", 50)]
    landing, mainline = landing_times(graph, 1)
    (only,) = shipments(graph, made, labels(graph, made), landing, mainline, [True] * 3)
    assert len(only.authored) == 1
    assert only.left_out == 0


def test_a_release_before_the_mainline_is_a_negative_time_and_not_clamped() -> None:
    """A commit that was released on a branch and merged back later."""
    graph = graph_of({"c": "ab", "b": "a", "a": ""}, {"a": (0, 0), "b": (10, 10), "c": (90, 90)})
    made = [deployment(graph, "b", 20)]
    landing, mainline = landing_times(graph, 0)
    (only,) = shipments(graph, made, labels(graph, made), landing, mainline, [True] * 3)
    assert sorted(only.deployment.time - landed for landed in only.landed) == [-70, 20]


def test_quantiles_of_nothing_are_null_and_n_is_there() -> None:
    """No figure without its n."""
    assert durations([]) == Durations(n=0)


def test_quantiles_are_by_nearest_rank_and_the_median_is_the_mean_of_two() -> None:
    """The numbers from 1 to 10, and one negative."""
    found = durations(range(1, 11))
    assert (found.n, found.median_seconds, found.p25_seconds, found.p75_seconds, found.p90_seconds) == (
        10,
        5.5,
        3,
        8,
        9,
    )
    assert (found.mean_seconds, found.min_seconds, found.negative) == (5.5, 1, 0)
    assert durations([-1, 0, 1]).negative == 1


@given(seconds)
def test_quantiles_agree_with_their_definitions(values: list[int]) -> None:
    """The ⌈p·n⌉-th smallest, and the standard library's median."""
    found = durations(values)
    ranked = sorted(values)
    assert found.median_seconds == statistics.median(values)
    for share, got in ((25, found.p25_seconds), (75, found.p75_seconds), (90, found.p90_seconds)):
        assert got == ranked[math.ceil(share * len(ranked) / 100) - 1]
    assert found.negative == sum(value < 0 for value in values)


def test_those_that_still_wait_count() -> None:
    """Half of four were out after 20; two that waited longer than that are not left out."""
    assert waiting([10, 20], [30, 40]).median_seconds == 20
    assert waiting([10], [30, 40]).median_seconds is None
    assert waiting([], []).median_seconds is None
    # The textbook's: 3 of 4 at risk after the first, then one lost to view.
    assert waiting([1, 3], [2, 4]).median_seconds == 3


@given(seconds)
def test_with_nobody_waiting_it_is_the_lower_median(values: list[int]) -> None:
    """Kaplan and Meier without censoring is the empirical distribution."""
    assert waiting(values, []).median_seconds == sorted(values)[(len(values) - 1) // 2]


@given(seconds, seconds)
def test_waiting_longer_never_shortens_the_median(values: list[int], ages: list[int]) -> None:
    """It is at least the median of those that are out, where it is reached."""
    found = waiting(values, ages)
    assert (found.n, found.released) == (len(values) + len(ages), len(values))
    if found.median_seconds is not None:
        assert found.median_seconds >= sorted(values)[(len(values) - 1) // 2]
