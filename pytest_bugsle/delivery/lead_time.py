"""From a commit's author time to the first deployment that contains it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from pytest_bugsle.delivery.graph import Graph
from pytest_bugsle.delivery.releases import Deployment
from pytest_bugsle.results import Durations, Waiting
from pytest_bugsle.stats.ranks import median_interval


class Shipment(msgspec.Struct, frozen=True, array_like=True):
    """What one deployment brought first: when its commits were authored, and when they reached the mainline."""

    deployment: Deployment
    authored: list[int] = []
    landed: list[int] = []
    left_out: int = 0
    """Commits that were shipped and not counted: merges, or bots'."""

    @property
    def lead_times(self) -> list[int]:
        """Give seconds from authoring to the deployment, never clamped."""
        time = self.deployment.time
        return [time - authored for authored in self.authored]

    @property
    def lead_times_by_commit_date(self) -> list[int]:
        """Give the same to the time of the deployed commit, as if it had been deployed when it was made."""
        time = self.deployment.commit_time
        return [time - authored for authored in self.authored]


def landing_times(graph: Graph, head: int) -> tuple[array[int], list[int]]:
    """Return for each commit which commit of the mainline first contains it (-1: not in HEAD), and the mainline."""
    mainline = graph.mainline(head)
    return graph.label(mainline), mainline


def shipments(
    graph: Graph,
    deployments: Sequence[Deployment],
    labels: Sequence[int],
    landing: Sequence[int],
    mainline: Sequence[int],
    counted: Sequence[bool],
    authored: Sequence[int] | None = None,
) -> list[Shipment]:
    """Return what each deployment brought of HEAD's commits; `counted` says of each if it has a lead time.

    `authored` takes the place of the commits' own times.
    """
    brought: list[tuple[list[int], list[int]]] = [([], []) for _ in deployments]
    left_out = [0] * len(brought)
    landed = [graph.commit_times[commit] for commit in mainline]
    for label, place, counts, time in zip(
        labels, landing, counted, authored or graph.author_times, strict=True
    ):
        if label < 0 or place < 0:
            continue
        if counts:
            made, on_mainline = brought[label]
            made.append(time)
            on_mainline.append(landed[place])
        else:
            left_out[label] += 1
    return [
        Shipment(deployment, *times, out)
        for deployment, times, out in zip(deployments, brought, left_out, strict=True)
    ]


def durations(values: Iterable[int]) -> Durations:
    """Return the quantiles of some seconds: the median is the mean of two for an even n, the others by nearest rank.

    Source: R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
    (1996), 361-365, definition 1 for the nearest rank.
    """
    ranked = sorted(values)
    n = len(ranked)
    if not n:
        return Durations(n=0)
    return Durations(
        n=n,
        median_seconds=(ranked[(n - 1) // 2] + ranked[n // 2]) / 2,
        mean_seconds=sum(ranked) / n,
        min_seconds=ranked[0],
        p25_seconds=_nearest(ranked, 25),
        p75_seconds=_nearest(ranked, 75),
        p90_seconds=_nearest(ranked, 90),
        negative=bisect_left(ranked, 0),
        interval=median_interval(ranked),
    )


def _nearest(ranked: Sequence[int], percent: int) -> int:
    # In whole numbers: 0.9 × 10 is 9.000000000000002 for some, and the rank would be one too high.
    return ranked[-(-percent * len(ranked) // 100) - 1]


def waiting(released: Sequence[int], ages: Sequence[int]) -> Waiting:
    """Return the median lead time with those that still wait: they took longer than their ages.

    The first time at which no more than half are unreleased. Source: E. L. Kaplan and P. Meier,
    "Nonparametric estimation from incomplete observations", Journal of the American Statistical Association
    53 (1958), 457-481. Of equal times a release comes before one that still waits.
    """
    at_risk = n = len(released) + len(ages)
    survival = 1.0
    median = None
    # Twice the time, and one more for those that still wait: whole numbers sort faster than pairs.
    for moment in sorted([2 * time for time in released] + [2 * age + 1 for age in ages]):
        if not moment % 2:
            survival *= 1 - 1 / at_risk
            # A product of fractions may miss one half by a rounding.
            if survival <= 0.5 + 1e-9:
                median = moment // 2
                break
        at_risk -= 1
    return Waiting(n=n, released=len(released), median_seconds=median)
