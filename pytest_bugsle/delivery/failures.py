"""Which deployments failed, on a ladder of evidence, and how many of how many.  PYTEST_DONT_REWRITE

A change failure is a deployment that had to be mended. What says so is never added up blindly: an incident
record is stronger than a revert, a revert stronger than a patch release soon after, and that stronger than
blame (SZZ). Each rung has its own count, and the cumulative view counts a deployment once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.delivery.links import RUNGS, Link, Rung, version_of

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


class ChangeFailures(msgspec.Struct, frozen=True):
    """Deployments by their places: those that count, those that are too `young`, and which failed.

    `failed` has a set for each rung that was asked; `young_failed` of the young are known to have failed
    already. `links` are those behind the counts.
    """

    counted: frozenset[int]
    failed: Mapping[Rung, frozenset[int]]
    young: frozenset[int]
    young_failed: int
    links: tuple[Link, ...]

    @property
    def any(self) -> frozenset[int]:
        """Give those on any rung, each once."""
        return frozenset().union(*self.failed.values())


def change_failures(
    deployments: Sequence[Deployment],
    links: Iterable[Link],
    since: int,
    until: int,
    *,
    rungs: Collection[Rung] = RUNGS,
    maturity: int = MATURITY_DAYS * DAY,
) -> ChangeFailures:
    """Tell which deployments with since < time <= until failed; all times in seconds.

    Those younger than `maturity` at `until` are in no count.
    """
    inside = frozenset(n for n, d in enumerate(deployments) if since < d.time <= until)
    young = frozenset(n for n in inside if deployments[n].time > until - maturity)
    counted = inside - young
    links = [link for link in links if link.rung in rungs and link.deployment in inside]
    kept = tuple(link for link in links if link.deployment in counted)
    return ChangeFailures(
        counted,
        {
            rung: frozenset(link.deployment for link in kept if link.rung == rung)
            for rung in RUNGS
            if rung in rungs
        },
        young,
        len({link.deployment for link in links} & young),
        kept,
    )


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
    from pytest_bugsle.delivery.repairs import idle

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
    fixes_of: Callable[[int], Sequence[int]] = lambda number: (),
    *,
    days: float = PATCH_DAYS,
) -> list[Link]:
    """Give the failures that a patch release soon after speaks of.

    A patch release marks the release before it on the same minor line, if that is at most `days` older.
    One that ships nothing but the work of bots, documentation and its own version (`ships_work` says so,
    of a deployment) mends nothing. Each of the fixes that it ships is a link of its own (`fixes_of`), for
    nobody knows which was urgent. Deployments without a version in their name have no such line.
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
            found += [
                Link("patch-release", before, known, evidence, fix=fix, fixed_in=number)
                for fix in fixes_of(number) or (None,)
            ]
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
