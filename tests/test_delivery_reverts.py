"""Deployments that failed because a commit of theirs was taken back later."""

from __future__ import annotations

from delivery_graphs import deployment, graph_of, sha_of

from pytest_bugsle.delivery.mentions import Revert
from pytest_bugsle.delivery.releases import labels
from pytest_bugsle.delivery.reverts import RevertPair, crossing, failure_rate, restore_times, revert_pairs
from pytest_bugsle.results import Reverts

GRAPH = graph_of({"d": "c", "c": "b", "b": "a", "a": ""})


def test_a_target_is_named_in_full_or_by_what_only_it_begins_with() -> None:
    """One that is not here is counted, and makes no pair."""
    reverts = [
        Revert(0, (sha_of("b"), "f" * 40), "x", by_subject=False),
        Revert(1, (sha_of("a")[:7],), "Revert y", by_subject=True),
        Revert(2, (), "Revert z", by_subject=True),
    ]
    counts, pairs = revert_pairs(GRAPH, reverts)
    assert counts == Reverts(body=2, subject=2, either=3, targets=3, resolved=2, crossing=0)
    assert pairs == [RevertPair(0, 2), RevertPair(1, 3)]


def test_what_is_taken_back_within_a_release_was_never_out() -> None:
    """Nor is a revert that is not out, or one of what is not out, a failure that was repaired."""
    made = [deployment(GRAPH, "b", 10), deployment(GRAPH, "c", 25)]
    labelled = labels(GRAPH, made)
    within, across, waits = RevertPair(2, 3), RevertPair(1, 2), RevertPair(0, 1)
    assert crossing([within, across, waits], labelled) == [(0, 1)]
    assert restore_times([(0, 1)], made) == [15]


def test_a_release_fails_once() -> None:
    """However many of its commits are taken back."""
    found = failure_rate([3, 3, 1], 4)
    assert (found.failed, found.rate) == (2, 0.5)
    assert found.interval is not None
    assert found.interval[0] < 0.5 < found.interval[1]
    assert failure_rate([], 0).rate is None
