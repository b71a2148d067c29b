"""Deployments that failed because a commit of theirs was taken back later.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from pytest_bugsle.delivery.graph import Graph
from pytest_bugsle.delivery.links import Link
from pytest_bugsle.delivery.mentions import Revert
from pytest_bugsle.delivery.releases import Deployment
from pytest_bugsle.results import FailureRate, Reverts
from pytest_bugsle.stats.intervals import wilson


class RevertPair(NamedTuple):
    """A revert and the commit that it takes back."""

    revert: int
    target: int


def revert_pairs(graph: Graph, reverts: Iterable[Revert]) -> tuple[Reverts, list[RevertPair]]:
    """Return how many commits revert, and the pairs whose target is here; merges are to be left out before.

    A target must be named in full, or by an abbreviation that only one commit has.
    """
    listed = list(reverts)
    pairs = []
    targets = 0
    for revert in listed:
        targets += len(revert.shas)
        for name in revert.shas:
            target = graph.find(name)
            if target is not None:
                pairs.append(RevertPair(revert.commit, target))
    counts = Reverts(
        body=sum(bool(revert.shas) for revert in listed),
        subject=sum(revert.by_subject for revert in listed),
        either=len(listed),
        targets=targets,
        resolved=len(pairs),
        crossing=0,
    )
    return counts, pairs


def crossing(pairs: Iterable[RevertPair], labels: Sequence[int]) -> list[tuple[int, int]]:
    """Return (failed, repaired) deployments by their places, a pair each.

    The revert must have gone out later than its target: what is taken back within a release was never seen.
    """
    return [
        (labels[pair.target], labels[pair.revert])
        for pair in pairs
        if 0 <= labels[pair.target] < labels[pair.revert]
    ]


def revert_links(
    graph: Graph, pairs: Iterable[RevertPair], labels: Sequence[int], deployments: Sequence[Deployment]
) -> list[Link]:
    """Return the same pairs as links, with when each failure showed: its revert went out."""
    return [
        Link(
            "explicit",
            failed,
            deployments[repaired].time,
            f"{graph.shas[pair.revert][:7]} takes back {graph.shas[pair.target][:7]}, which its message names",
            pair.target,
            pair.revert,
            repaired,
        )
        for pair in pairs
        if 0 <= (failed := labels[pair.target]) < (repaired := labels[pair.revert])
    ]


def failure_rate(failed: Iterable[Hashable], deployments: int) -> FailureRate:
    """Return the share of deployments that failed, each counted once, with its Wilson interval of 95 %."""
    count = len(set(failed))
    if not deployments:
        return FailureRate(failed=count, deployments=0, rate=None, interval=None)
    return FailureRate(
        failed=count,
        deployments=deployments,
        rate=count / deployments,
        interval=wilson(count, deployments),
    )


def restore_times(found: Iterable[tuple[int, int]], deployments: Sequence[Deployment]) -> list[int]:
    """Return the seconds from each failed deployment to the one that repaired it."""
    return [deployments[repaired].time - deployments[failed].time for failed, repaired in found]
