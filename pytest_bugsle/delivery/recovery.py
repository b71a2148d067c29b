"""How long a failed deployment stayed so.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.delivery.links import RUNGS, Link

if TYPE_CHECKING:
    from pytest_bugsle.delivery.releases import Deployment


class Restored(msgspec.Struct, frozen=True):
    """One failed deployment: from when it failed to when all that is known of it was mended.

    `end` is None while something is not; `seconds` is then how long it has lasted until now, which is less
    than it will.
    """

    deployment: int
    start: int
    end: int | None
    seconds: int
    by: int | None = None


def recovery(deployments: Sequence[Deployment], links: Iterable[Link], until: int) -> list[Restored]:
    """Measure each failed deployment once: from its time, or an incident's start, to its complete fix.

    Every cause has to be mended, each by its earliest fix; the strongest rung that knows of a deployment
    decides alone, for a guess of blame does not keep open what a record closed. `until` is now, in seconds:
    a fix that was deployed later is not known.
    """
    by_deployment: defaultdict[int, list[Link]] = defaultdict(list)
    for link in links:
        by_deployment[link.deployment].append(link)
    return [_restored(deployments, by_deployment[n], until) for n in sorted(by_deployment)]


def _restored(deployments: Sequence[Deployment], links: Sequence[Link], until: int) -> Restored:
    strongest = min(RUNGS.index(link.rung) for link in links)
    links = [link for link in links if RUNGS.index(link.rung) == strongest]
    deployment = links[0].deployment
    start = min(
        (link.started for link in links if link.started is not None), default=deployments[deployment].time
    )
    by_cause: defaultdict[object, list[tuple[int, int | None]]] = defaultdict(list)
    for link in links:
        end = _end(deployments, link)
        # Two records of one deployment are two failures, though neither names a commit.
        cause = (link.cause, link.started) if link.rung == "incident" else link.cause
        ends = by_cause[cause]
        if end is not None and end[0] <= until:
            ends.append(end)
    if any(not ends for ends in by_cause.values()):
        return Restored(deployment, start, None, max(until - start, 0))
    end_time, by = max((min(ends, key=_by_time) for ends in by_cause.values()), key=_by_time)
    return Restored(deployment, start, end_time, end_time - start, by)


def _end(deployments: Sequence[Deployment], link: Link) -> tuple[int, int | None] | None:
    """Give when a link's fix reached its users: with its deployment; without a known fix, as the record says."""
    if link.fixed_in is not None:
        return deployments[link.fixed_in].time, link.fixed_in
    if link.fix is None and link.resolved is not None:
        return link.resolved, None
    return None


def _by_time(end: tuple[int, int | None]) -> tuple[int, int]:
    return end[0], -1 if end[1] is None else end[1]
