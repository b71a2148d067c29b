"""The figures month by month, or deployment by deployment.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from pytest_bugsle.delivery.lead_time import Shipment, durations
from pytest_bugsle.delivery.reverts import failure_rate
from pytest_bugsle.results import TrendPoint

MOST_MONTHS = 1200
_FIRST, _LAST = -62_135_596_800, 253_402_300_799


def utc(seconds: int) -> dt.datetime:
    """Return a time in UTC; a commit can claim any time, and what lies outside of the calendar is its end."""
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(seconds=min(max(seconds, _FIRST), _LAST))


def iso(seconds: int) -> str:
    """Return a time as `2026-01-31T12:00:00Z`."""
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def trend(
    shipments: Sequence[Shipment],
    failed: Mapping[str, Sequence[int]],
    end: int,
    by: Literal["month", "release"],
    young: Collection[int] = (),
) -> list[TrendPoint]:
    """Return a point a month (UTC) from the first deployment to the end, empty ones too, or one a deployment.

    `failed` has the places of the deployments that failed, by rung of evidence. The `young` are on no rung but `revert`.
    """
    failures = {rung: frozenset(places) for rung, places in failed.items()}
    young = frozenset(young)
    if by == "release":
        return [
            _point(one.deployment.name, one.deployment.time, [place], shipments, failures, young)
            for place, one in enumerate(shipments)
        ]
    if not shipments:
        return []
    places: dict[tuple[int, int], list[int]] = {}
    for place, one in enumerate(shipments):
        made = utc(one.deployment.time)
        places.setdefault((made.year, made.month), []).append(place)
    # A deployment of HEAD may be later than the end, which is HEAD's own time.
    latest = max(end, shipments[-1].deployment.time)
    months = list(_months(shipments[0].deployment.time, latest))[-MOST_MONTHS:]
    return [
        _point(
            f"{year:04}-{month:02}",
            int((dt.datetime(year, month, 1, tzinfo=dt.UTC) - utc(0)).total_seconds()),
            places.get((year, month), []),
            shipments,
            failures,
            young,
        )
        for year, month in months
    ]


def _point(
    period: str,
    start: int,
    places: Sequence[int],
    shipments: Sequence[Shipment],
    failed: Mapping[str, Collection[int]],
    young: Collection[int],
) -> TrendPoint:
    return TrendPoint(
        period=period,
        start=start,
        releases=len(places),
        lead_time=durations(value for place in places for value in shipments[place].lead_times),
        change_failure={
            rung: failure_rate(
                [place for place in places if place in those],
                sum(rung == "revert" or place not in young for place in places),
            )
            for rung, those in failed.items()
        },
    )


def _months(first: int, last: int) -> Iterator[tuple[int, int]]:
    begin, end = utc(first), utc(last)
    for number in range(begin.year * 12 + begin.month - 1, end.year * 12 + end.month):
        yield number // 12, number % 12 + 1
