"""Which deployments failed, on a ladder of evidence, and how many of how many.  PYTEST_DONT_REWRITE

A change failure is a deployment that had to be mended. What says so is never added up blindly: an incident
record is stronger than a revert, a revert stronger than a patch release soon after, and that stronger than
blame (SZZ). Each rung has its own count, and the cumulative view counts a deployment once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_bugsle.delivery.links import RUNGS, Link, Rung, version_of
from pytest_bugsle.delivery.repairs import idle
from pytest_bugsle.stats.intervals import wilson

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.releases import Deployment
    from pytest_bugsle.delivery.repairs import Pair

DAY = 86_400
PATCH_DAYS = 7
"""Days within which a patch release speaks of a failure; users may set another number."""
MATURITY_DAYS = 7
"""Days for which a deployment is too young to count: its failure may not be known yet."""

_HOW = {
    "body": "takes back {target}, which its message names",
    "sha": "takes back {target}, which its message names",
    "title": "takes back {target}, whose title its message quotes",
    "number": "takes back {target}, whose pull request its message names",
    "trailer": "says `Fixes:` {target}",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Failed deployments of all that count, with the Wilson interval; no rate without a deployment.

    `asked` is False for a rung without a source (no incident record, no version): it has no rate either, for
    a nought would claim that somebody looked.
    """

    rung: Rung
    failed: int
    deployments: int
    rate: float | None
    interval: tuple[float, float] | None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class ChangeFailures:
    """The rungs, and the same added up from the top: any of the rungs up to each one.

    `young` deployments are younger than the maturity window and in neither count; `young_failed` of them
    are known to have failed already. `links` are those behind the counts.
    """

    rungs: tuple[Rate, ...]
    cumulative: tuple[Rate, ...]
    young: int
    young_failed: int
    links: tuple[Link, ...]


def change_failures(
    deployments: Sequence[Deployment],
    links: Iterable[Link],
    since: int,
    until: int,
    *,
    rungs: Collection[Rung] = RUNGS,
    maturity: int = MATURITY_DAYS * DAY,
    within: int | None = None,
) -> ChangeFailures:
    """Count the deployments with since < time <= until that failed; all times in seconds.

    Those younger than `maturity` at `until` are in no count. `within`: only failures that showed so soon
    after their deployment, so that an old window and a new one are watched for equally long.
    """
    counted = {n for n, d in enumerate(deployments) if since < d.time <= until - maturity}
    young = {n for n, d in enumerate(deployments) if since < d.time <= until} - counted
    links = list(links)
    kept = [
        link
        for link in links
        if link.deployment in counted
        and link.rung in rungs
        and (within is None or link.known_at - deployments[link.deployment].time <= within)
    ]
    failed = {rung: {link.deployment for link in kept if link.rung == rung} for rung in RUNGS}
    single, added = [], []
    seen: set[int] = set()
    asked = False
    for rung in RUNGS:
        seen |= failed[rung]
        asked = asked or rung in rungs
        single.append(rate(rung, len(failed[rung]), len(counted), asked=rung in rungs))
        added.append(rate(rung, len(seen), len(counted), asked=asked))
    young_failed = {link.deployment for link in links if link.deployment in young and link.rung in rungs}
    return ChangeFailures(tuple(single), tuple(added), len(young), len(young_failed), tuple(kept))


def rate(rung: Rung, failed: int, deployments: int, *, asked: bool = True) -> Rate:
    """Give a share with its interval."""
    if not asked or not deployments:
        return Rate(rung, failed, deployments, None, None, asked)
    return Rate(rung, failed, deployments, failed / deployments, wilson(failed, deployments))


def explicit_links(
    graph: Graph,
    deployments: Sequence[Deployment],
    labels: Sequence[int],
    pairs: Iterable[Pair],
    is_revert: Callable[[int], bool],
) -> list[Link]:
    """Give the failures that a revert or a `Fixes:` trailer names.

    What was taken back before it was deployed, or in the very deployment that brought it, is no failure.
    A fix that is not yet deployed is one that nobody has recovered from.
    """
    pairs = list(pairs)
    void = idle(pairs, labels, is_revert)
    return [
        _crossing(
            "explicit", graph, deployments, labels, pair.target, pair.fix, _HOW[pair.how], partly=pair.partly
        )
        for pair in pairs
        if pair not in void and _crosses(labels, pair.target, pair.fix)
    ]


def szz_links(
    graph: Graph,
    deployments: Sequence[Deployment],
    labels: Sequence[int],
    causes: Mapping[int, Iterable[tuple[int, bool]]],
) -> list[Link]:
    """Give the failures that blame points to: for each fix, commits that wrote what it changed.

    The flag of a cause says that it is a weak one: only the function around what the fix added was blamed.
    A merge writes nothing of its own, and no commit is the cause of itself.
    """
    how = ("wrote lines that {fix} mends", "wrote the function to which {fix} adds")
    return [
        _crossing("szz", graph, deployments, labels, cause, fix, how[weak], weak=weak)
        for fix, found in causes.items()
        for cause, weak in found
        if cause != fix and len(graph.parents[cause]) <= 1 and _crosses(labels, cause, fix)
    ]


def patch_links(
    deployments: Sequence[Deployment],
    ships_work: Callable[[int], bool],
    *,
    days: float = PATCH_DAYS,
) -> list[Link]:
    """Give the failures that a patch release soon after speaks of.

    A patch release marks the release before it on the same minor line, if that is at most `days` older.
    One that ships nothing but the work of bots, documentation and its own version (`ships_work` says so,
    of a deployment) mends nothing. Deployments without a version in their name have no such line.
    """
    lines: dict[tuple[str, tuple[int, int]], list[tuple[tuple[int, ...], int]]] = {}
    for number, deployment in enumerate(deployments):
        version = version_of(deployment.name)
        if version is not None:
            lines.setdefault((version.product, version.line), []).append((version.patch, number))
    found = []
    for releases in lines.values():
        releases.sort()
        for (patch, before), (later, number) in pairwise(releases):
            gap = deployments[number].time - deployments[before].time
            # A tag may be moved or made late: a patch that is older than what it patches says nothing.
            if later == patch or not 0 <= gap <= days * DAY or not ships_work(number):
                continue
            evidence = (
                f"{deployments[number].name}, a patch of the same line, followed {deployments[before].name} "
                f"after {_days(gap)} (at most {days:g} days count)"
            )
            known = deployments[number].time
            found.append(Link("patch-release", before, known, evidence, fixed_in=number))
    return sorted(found, key=lambda link: link.deployment)


def has_versions(deployments: Iterable[Deployment]) -> bool:
    """Say whether any deployment is named for a version: without one the rung `patch-release` cannot be asked."""
    return any(version_of(deployment.name) is not None for deployment in deployments)


def _crosses(labels: Sequence[int], cause: int, fix: int) -> bool:
    return labels[cause] >= 0 and (labels[fix] < 0 or labels[fix] > labels[cause])


def _crossing(
    rung: Rung,
    graph: Graph,
    deployments: Sequence[Deployment],
    labels: Sequence[int],
    cause: int,
    fix: int,
    how: str,
    *,
    partly: bool = False,
    weak: bool = False,
) -> Link:
    target, mended = graph.shas[cause][:7], graph.shas[fix][:7]
    said = how.format(target=target, fix=mended)
    said = f"{target} {said}" if rung == "szz" else f"{mended} {said}"
    if partly:
        said += " (in part)"
    fixed_in = labels[fix] if labels[fix] >= 0 else None
    known = graph.commit_times[fix] if fixed_in is None else deployments[fixed_in].time
    shipped = "is not deployed yet" if fixed_in is None else f"was deployed with {deployments[fixed_in].name}"
    evidence = f"{said}; {target} was deployed with {deployments[labels[cause]].name}, {mended} {shipped}"
    return Link(rung, labels[cause], known, evidence, cause, fix, fixed_in, weak=weak)


def _days(seconds: int) -> str:
    return f"{seconds / DAY:.1f} days" if seconds >= DAY else f"{seconds / 3600:.1f} hours"
