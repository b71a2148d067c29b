"""Two windows that were watched for equally long: what a trend is made of.  PYTEST_DONT_REWRITE

A deployment of last week has had less time to fail than one of last year. So that old and new can be
compared, each is watched for the same time from its deployment on: what showed later is not counted on
either side, and what is not yet so old is on neither side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.delivery.recovery import recovery

if TYPE_CHECKING:
    from pytest_bugsle.delivery.links import Link
    from pytest_bugsle.delivery.releases import Deployment

DAY = 86_400
WATCH = 30 * DAY
"""For so long a deployment is watched; users may set another time."""


class Watched(msgspec.Struct, frozen=True, array_like=True):
    """One window by one rung: its deployments, those that failed while watched, and how long each recovery took.

    A recovery that was not done within the time of watching has that time: it took at least as long.
    """

    deployments: int
    failed: int
    recoveries: list[int] = []
    open: int = 0
    """Of the recoveries: not done within the time of watching."""


class Watch(msgspec.Struct, frozen=True, array_like=True):
    """The recent window and the one before it, equally long, both ends included; by rung (recent, earlier)."""

    seconds: int
    recent: tuple[int, int]
    earlier: tuple[int, int]
    by_rung: dict[str, tuple[Watched, Watched]] = {}


def watch(
    deployments: Sequence[Deployment],
    links: Mapping[str, Sequence[Link]],
    start: int,
    end: int,
    seconds: int = WATCH,
) -> Watch:
    """Return both windows: the recent one begins at `start` and ends so long before `end` as is watched.

    `links` has the change failures of both windows by rung: one without a source, or whose source was asked of
    one window alone, is not in it. All times in seconds.
    """
    last = max(end - seconds, start - 1)
    recent, earlier = (start, last), (start - (last - start + 1), start - 1)
    return Watch(
        seconds=seconds,
        recent=recent,
        earlier=earlier,
        by_rung={
            rung: (
                _watched(deployments, those, recent, seconds),
                _watched(deployments, those, earlier, seconds),
            )
            for rung, those in links.items()
        },
    )


def _watched(
    deployments: Sequence[Deployment], links: Sequence[Link], window: tuple[int, int], seconds: int
) -> Watched:
    first, last = window
    inside = {number for number, one in enumerate(deployments) if first <= one.time <= last}
    shown = [
        link
        for link in links
        if link.deployment in inside and link.known_at - deployments[link.deployment].time <= seconds
    ]
    # A recovery is watched from its own start on: an incident may begin late.
    each = recovery(deployments, shown, last + 2 * seconds)
    times = [one.seconds if one.end is not None else seconds for one in each]
    return Watched(
        len(inside),
        len(each),
        sorted(min(time, seconds) for time in times),
        sum(one.end is None or one.seconds > seconds for one in each),
    )
