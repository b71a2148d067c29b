"""From a history and its deployments to the figures of a window, of one repository or of several.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from operator import and_, gt, sub
from typing import Literal

import msgspec

from pytest_bugsle.delivery.frequency import DAY, frequency
from pytest_bugsle.delivery.graph import NONE, Graph
from pytest_bugsle.delivery.lead_time import (
    Shipment,
    durations,
    landing_times,
    shipments,
    waiting,
)
from pytest_bugsle.delivery.mentions import Mentions
from pytest_bugsle.delivery.releases import Deployment, TagRef, labels
from pytest_bugsle.delivery.reverts import crossing, failure_rate, restore_times, revert_pairs
from pytest_bugsle.results import DeliveryFigures, HistoryFacts, Reverts

WINDOW = 365 * DAY
LATE_TAG = 7 * DAY
"""A tag that was made so long after its commit: the two definitions of lead time part there."""
SQUASHED = 0.5
"""Of the commits on the mainline: where more end with `(#12)` and are no merges, the team squashes."""


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for: a window in seconds since the epoch, both ends included, and what counts.

    Without an `end` it is HEAD's commit time, and a tag on HEAD that was made later is in; without a
    `start`, 365 days before.
    """

    start: int | None = None
    end: int | None = None
    by: Literal["month", "release"] = "month"
    merges: bool = False
    bots: bool = True
    reachable: bool = False


class Measured(msgspec.Struct, frozen=True, array_like=True):
    """The plain values behind the figures of one repository's window: what can be pooled, and kept."""

    head: str
    start: int
    end: int
    observed: int
    """Seconds of the window in which there was a history at all."""
    shipments: list[Shipment]
    commits: int
    merges: int
    bots: int
    facts: HistoryFacts
    unreleased: int
    unreleased_ages: list[int]
    cohort_lead_times: list[int]
    cohort_ages: list[int]
    reverts: Reverts
    failed: dict[str, list[int]]
    """By rung: places in `shipments` that failed, each once."""
    recoveries: dict[str, list[int]]
    squashed: int
    mainline: int
    known: int
    """Deployments up to the end of the window, earlier ones among them."""
    holds_first: bool
    late: list[str] = []


def measure(
    graph: Graph,
    mentions: Mentions,
    head: int,
    deployments: Sequence[Deployment],
    wanted: Wanted,
    tags: Sequence[TagRef] = (),
) -> Measured:
    """Return the values of a window: HEAD's commits, and the deployments (in order) that brought them."""
    end = graph.commit_times[head] if wanted.end is None else wanted.end
    start = end - WINDOW + 1 if wanted.start is None else wanted.start
    latest = None if wanted.end is None else end
    landing, mainline = landing_times(graph, head)
    known = [
        one
        for one in deployments
        if (one.time <= end or (latest is None and one.commit == head))
        and (not wanted.reachable or landing[one.commit] >= 0)
    ]
    shipped_in = labels(graph, known)
    parents, times, bots = graph.parents, graph.commit_times, graph.bots

    counted = [
        (wanted.merges or len(above) < 2) and (wanted.bots or not bot)
        for above, bot in zip(parents, bots, strict=True)
    ]
    # One deployment alone brought all that was before it, whenever that went out: it has no lead time.
    lone = len(known) == 1
    shipped = shipments(
        graph, known, shipped_in, landing, mainline, [False] * len(graph) if lone else counted
    )
    inside = [place for place, one in enumerate(known) if one.time >= start]
    in_head = [
        commit
        for commit, place in enumerate(landing)
        if place >= 0 and (latest is None or times[commit] <= latest)
    ]
    in_window = [commit for commit in in_head if times[commit] >= start]
    unreleased = [commit for commit in in_head if shipped_in[commit] < 0]
    cohort = [commit for commit in in_window if counted[commit]]
    reverts, pairs = revert_pairs(
        graph,
        (
            revert
            for revert in mentions.reverts
            if landing[revert.commit] >= 0 and len(parents[revert.commit]) < 2
        ),
    )
    crossed = crossing(pairs, shipped_in)
    at = {place: number for number, place in enumerate(inside)}
    crossed_inside = [(failed, repaired) for failed, repaired in crossed if failed in at]
    on_line = [commit for commit in mainline if times[commit] >= start]
    squashes = set(mentions.squashed)
    return Measured(
        head=graph.shas[head],
        start=start,
        end=end,
        observed=max(0, end - max(start, times[mainline[0]]) + 1),
        shipments=[shipped[place] for place in inside],
        commits=len(in_window),
        merges=sum(len(parents[commit]) > 1 for commit in in_window),
        bots=sum(bots[commit] and len(parents[commit]) < 2 for commit in in_window),
        facts=facts_of(graph, mentions, tags, known, shipped_in, landing, mainline),
        unreleased=len(unreleased),
        unreleased_ages=[end - graph.author_times[commit] for commit in unreleased if counted[commit]],
        cohort_lead_times=[
            known[shipped_in[commit]].time - graph.author_times[commit]
            for commit in cohort
            if shipped_in[commit] >= 0 and not lone
        ],
        cohort_ages=[end - graph.author_times[commit] for commit in cohort if shipped_in[commit] < 0],
        reverts=Reverts(
            body=reverts.body,
            subject=reverts.subject,
            either=reverts.either,
            targets=reverts.targets,
            resolved=reverts.resolved,
            crossing=len(crossed),
        ),
        failed={"revert": sorted({at[failed] for failed, _ in crossed_inside})},
        recoveries={"revert": restore_times(crossed_inside, known)},
        squashed=sum(commit in squashes and len(parents[commit]) < 2 for commit in on_line),
        mainline=len(on_line),
        known=len(known),
        holds_first=bool(inside) and inside[0] == 0,
        late=[
            known[place].name for place in inside if known[place].time - known[place].commit_time > LATE_TAG
        ],
    )


def facts_of(
    graph: Graph,
    mentions: Mentions,
    tags: Sequence[TagRef],
    known: Sequence[Deployment],
    shipped_in: Sequence[int],
    landing: Sequence[int],
    mainline: Sequence[int],
) -> HistoryFacts:
    """Return what was read, whatever the window; `known` are the deployments up to its end."""
    times = graph.commit_times
    merges = [len(above) > 1 for above in graph.parents]
    in_head = [place >= 0 for place in landing]
    return HistoryFacts(
        commits=sum(in_head),
        commits_with_tags=len(graph),
        merges=sum(map(and_, merges, in_head)),
        mainline=len(mainline),
        tags=len(tags),
        lightweight_tags=sum(not tag.annotated for tag in tags),
        tags_on_no_commit=sum(tag.commit is None for tag in tags),
        releases=len(known),
        unreachable=sum(not in_head[one.commit] for one in known),
        release_commits=len({one.commit for one in known}),
        newer_parents=sum(
            times[parent] > time for above, time in zip(graph.parents, times, strict=True) for parent in above
        ),
        authored_later=sum(map(and_, map(gt, graph.author_times, times), in_head)),
        with_new_commits=len(set(shipped_in) - {NONE}),
        fixes=sum(in_head[commit] and not merges[commit] for commit in mentions.fixes),
        named_fixes=sum(in_head[commit] and not merges[commit] for commit, _ in mentions.fixed),
        picked=len(mentions.picked),
        squashed=sum(in_head[commit] and not merges[commit] for commit in mentions.squashed),
    )


def figures(measured: Sequence[Measured]) -> DeliveryFigures:
    """Return the figures of one repository, or of several together: values are pooled, no medians averaged."""
    shipped = [shipment for one in measured for shipment in one.shipments]
    lead_times: list[int] = []
    by_commit_date: list[int] = []
    to_mainline: list[int] = []
    to_release: list[int] = []
    for shipment in shipped:
        time = shipment.deployment.time
        lead_times += shipment.lead_times
        by_commit_date += shipment.lead_times_by_commit_date
        to_mainline += map(sub, shipment.landed, shipment.authored)
        to_release += [time - landed for landed in shipment.landed]
    rungs = list(dict.fromkeys(rung for one in measured for rung in one.failed))
    return DeliveryFigures(
        releases=len(shipped),
        commits=sum(one.commits for one in measured),
        merges=sum(one.merges for one in measured),
        bots=sum(one.bots for one in measured),
        left_out=sum(shipment.left_out for shipment in shipped),
        unreleased=sum(one.unreleased for one in measured),
        unreleased_age=durations([age for one in measured for age in one.unreleased_ages]),
        lead_time=durations(lead_times),
        lead_time_by_commit_date=durations(by_commit_date),
        lead_time_with_unreleased=waiting(
            [value for one in measured for value in one.cohort_lead_times],
            [age for one in measured for age in one.cohort_ages],
        ),
        author_to_mainline=durations(to_mainline),
        mainline_to_release=durations(to_release),
        deployment_frequency=frequency(len(shipped), sum(one.observed for one in measured)),
        change_failure={
            rung: failure_rate(
                [
                    (number, place)
                    for number, one in enumerate(measured)
                    for place in one.failed.get(rung, ())
                ],
                len(shipped),
            )
            for rung in rungs
        },
        recovery={
            rung: durations([value for one in measured for value in one.recoveries.get(rung, ())])
            for rung in rungs
        },
    )


def is_squashed(measured: Measured) -> bool:
    """Say whether most commits of the mainline are squash merges."""
    return measured.squashed > SQUASHED * measured.mainline


def notes(measured: Measured) -> list[str]:
    """Return what a reader must know of the figures, a sentence each."""
    said = []
    if measured.known == 1:
        said.append(
            "one deployment is known, so there is no lead time: it holds all that was ever done before it"
        )
    elif measured.holds_first and measured.shipments[0].authored:
        first = measured.shipments[0]
        held = f"{len(first.authored)} commit{'s' * (len(first.authored) != 1)}"
        said.append(
            f"{first.deployment.name} is the first deployment that is known: its {held} may have gone out before it"
        )
    if is_squashed(measured):
        said.append(
            f"{measured.squashed} of {measured.mainline} commits on the mainline are squash merges: lead time "
            "begins at the merge"
        )
    if measured.late:
        names = ", ".join(measured.late[:3]) + f" and {len(measured.late) - 3} more" * (
            len(measured.late) > 3
        )
        said.append(f"tagged more than 7 days after the commit: {names} (see lead time by commit date)")
    return said
