"""From a history and its deployments to the figures of a window, of one repository or of several.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from operator import and_, gt, sub
from typing import Literal, NamedTuple

import msgspec
from msgspec import structs

from pytest_bugsle.delivery.copies import Pair, first_copies
from pytest_bugsle.delivery.frequency import DAY, frequency
from pytest_bugsle.delivery.graph import NONE, Graph
from pytest_bugsle.delivery.guarded import held, shares
from pytest_bugsle.delivery.lead_time import (
    Shipment,
    durations,
    landing_times,
    shipments,
    waiting,
)
from pytest_bugsle.delivery.links import ANY, RUNGS
from pytest_bugsle.delivery.mentions import Mentions
from pytest_bugsle.delivery.releases import Deployment, TagRef, labels
from pytest_bugsle.delivery.reverts import (
    crossing,
    failure_rate,
    restore_times,
    revert_links,
    revert_pairs,
)
from pytest_bugsle.delivery.tiers import tiers
from pytest_bugsle.delivery.verdict import deciding_rung
from pytest_bugsle.delivery.watch import WATCH, Watch, watch
from pytest_bugsle.results import (
    DeliveryFigures,
    Failure,
    FailureRate,
    HistoryFacts,
    Recovery,
    Reverts,
    Rework,
)

WINDOW = 365 * DAY
LATE_TAG = 7 * DAY
"""A tag that was made so long after its commit: the two definitions of lead time part there."""


_RUNGS = ("revert", *RUNGS, ANY)


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
    watch: int = WATCH
    """Seconds for which a deployment is watched where windows are compared."""
    mainline: bool = False
    """The commits of the mainline are the deployments."""
    szz: bool = False
    component: str | None = None
    """Its releases alone, and the commits that change its paths."""
    changes: Literal["trailers", "patches"] | None = None
    """Copies of a commit are one change, known by their trailers, or by their patches, too."""


class Outline(NamedTuple):
    """What a window is made of, before anything is counted; times in seconds since the epoch, both ends included."""

    start: int
    end: int
    latest: int | None
    """What was committed later is not there; None where the window ends with HEAD."""
    known: list[Deployment]
    """In order, earlier ones among them."""
    labels: Sequence[int]
    landing: Sequence[int]
    mainline: Sequence[int]
    unreachable: int = 0
    """Deployments that HEAD does not contain."""

    @property
    def now(self) -> int:
        """Return the last moment of which anything is known: a tag of HEAD may be younger than its commit."""
        return max([self.end, *(one.time for one in self.known)]) if self.latest is None else self.end

    def has(self, graph: Graph, commit: int) -> bool:
        """Say whether HEAD or a deployment has a commit, and had it at the window's end."""
        if self.latest is not None and graph.commit_times[commit] > self.latest:
            return False
        return self.labels[commit] >= 0 or self.landing[commit] >= 0


def outline(
    graph: Graph,
    head: int,
    deployments: Sequence[Deployment],
    wanted: Wanted,
    only: Collection[int] | None = None,
) -> Outline:
    """Lay a window out: its ends, and which deployment first brought each commit.

    With `only` all other commits are in no deployment and not in HEAD, as if they did not exist.
    """
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
    unreachable = sum(landing[one.commit] < 0 for one in known)
    shipped_in = labels(graph, known)
    if only is not None:
        for commit in range(len(graph)):
            if commit not in only:
                landing[commit] = shipped_in[commit] = NONE
    return Outline(start, end, latest, known, shipped_in, landing, mainline, unreachable)


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
    """By rung that has a source: places in `shipments` that failed, each once."""
    recoveries: dict[str, list[int]]
    squashed: int
    mainline: int
    known: int
    """Deployments up to the end of the window, earlier ones among them."""
    holds_first: bool
    late: list[str] = []
    young: list[int] = []
    """Places in `shipments` of what is too young for any rung but `revert`, and how many of them failed already."""
    young_failed: int = 0
    open: dict[str, int] = {}
    """By rung: failures that are not mended."""
    rework: tuple[int, int, int] = (0, 0, 0)
    """Deployments that only repair, those that ship any work, and those that ship none."""
    failures: list[Failure] = []
    deployed_by: Literal["tags", "mainline", "file"] = "tags"
    watch: Watch = Watch(0, (0, 0), (0, 0))
    sooner: int | None = None
    """Changes of HEAD that went out by a copy before their own commit; None where commits count."""


def measure(
    graph: Graph,
    mentions: Mentions,
    head: int,
    deployments: Sequence[Deployment],
    wanted: Wanted,
    tags: Sequence[TagRef] = (),
    laid_out: Outline | None = None,
    copies: Sequence[Pair] | None = None,
) -> Measured:
    """Return the values of a window: HEAD's commits, and the deployments (in order) that brought them.

    With `copies` lead time is that of changes, of which several commits may be copies; failures stay by commit.
    Of the rungs only `revert` is among them; see `ladder.climb`.
    """
    laid_out = laid_out or outline(graph, head, deployments, wanted)
    start, end, latest, known, shipped_in, landing, mainline, _ = laid_out
    parents, times, bots = graph.parents, graph.commit_times, graph.bots
    counted = [
        (wanted.merges or len(above) < 2) and (wanted.bots or not bot)
        for above, bot in zip(parents, bots, strict=True)
    ]
    first = None if copies is None else first_copies(graph, copies, shipped_in, landing)
    out = shipped_in if first is None else first.labels
    authored = graph.author_times if first is None else first.authored
    for commit in () if first is None else first.repeated:
        counted[commit] = False
    # One deployment alone brought all that was before it, whenever that went out: it has no lead time.
    lone = len(known) == 1
    shipped = shipments(
        graph, known, out, landing, mainline, [False] * len(graph) if lone else counted, authored
    )
    inside = [place for place, one in enumerate(known) if one.time >= start]
    in_head = [
        commit
        for commit, place in enumerate(landing)
        if place >= 0 and (latest is None or times[commit] <= latest)
    ]
    in_window = [commit for commit in in_head if times[commit] >= start]
    unreleased = [commit for commit in in_head if out[commit] < 0]
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
    links = {"revert": revert_links(graph, pairs, shipped_in, known)}
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
        facts=facts_of(graph, mentions, tags, laid_out),
        unreleased=len(unreleased),
        unreleased_ages=[end - authored[commit] for commit in unreleased if counted[commit]],
        cohort_lead_times=[
            known[out[commit]].time - authored[commit] for commit in cohort if out[commit] >= 0 and not lone
        ],
        cohort_ages=[end - authored[commit] for commit in cohort if out[commit] < 0],
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
        watch=watch(known, links, start, end, wanted.watch),
        sooner=None if first is None else first.sooner,
    )


def facts_of(
    graph: Graph,
    mentions: Mentions,
    tags: Sequence[TagRef],
    laid_out: Outline,
) -> HistoryFacts:
    """Return what was read, whatever the window; its deployments are those up to its end."""
    known, landing = laid_out.known, laid_out.landing
    times = graph.commit_times
    merges = [len(above) > 1 for above in graph.parents]
    in_head = [place >= 0 for place in landing]
    return HistoryFacts(
        commits=sum(in_head),
        commits_with_tags=len(graph),
        merges=sum(map(and_, merges, in_head)),
        mainline=len(laid_out.mainline),
        tags=len(tags),
        lightweight_tags=sum(not tag.annotated for tag in tags),
        tags_on_no_commit=sum(tag.commit is None for tag in tags),
        releases=len(known),
        unreachable=laid_out.unreachable,
        release_commits=len({one.commit for one in known}),
        newer_parents=sum(
            times[parent] > time for above, time in zip(graph.parents, times, strict=True) for parent in above
        ),
        authored_later=sum(map(and_, map(gt, graph.author_times, times), in_head)),
        with_new_commits=len(set(laid_out.labels) - {NONE}),
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
    asked = {rung for one in measured for rung in one.failed}
    rungs = [rung for rung in _RUNGS if rung in asked or "explicit" in asked]
    reworked, worked, empty = map(sum, zip((0, 0, 0), *(one.rework for one in measured), strict=True))
    again = failure_rate(range(reworked), worked)
    plain = DeliveryFigures(
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
        change_failure={rung: _rate(measured, rung) for rung in rungs},
        recovery={
            rung: Recovery(
                **structs.asdict(
                    durations([value for one in measured for value in one.recoveries.get(rung, ())])
                ),
                open=sum(one.open.get(rung, 0) for one in measured),
            )
            for rung in rungs
        },
        rework=Rework(
            reworked=reworked, deployments=worked, rate=again.rate, interval=again.interval, empty=empty
        ),
        guarded=shares(sum((held(one.failures) for one in measured), Counter())),
        young=sum(len(one.young) for one in measured),
        young_failed=sum(one.young_failed for one in measured),
    )
    known = (rung for rung, rate in plain.change_failure.items() if rate.rate is not None)
    return structs.replace(plain, tiers=tiers(plain, deciding_rung(known)))


def _rate(measured: Sequence[Measured], rung: str) -> FailureRate:
    """Return the share of failed deployments of all repositories in which the rung was asked."""
    asked = [one for one in measured if rung in one.failed]
    young = rung != "revert"
    deployments = sum(len(one.shipments) - len(one.young) * young for one in asked or measured)
    failed = [(number, place) for number, one in enumerate(asked) for place in one.failed[rung]]
    found = failure_rate(failed, deployments)
    return found if asked else structs.replace(found, rate=None, interval=None, asked=False)
