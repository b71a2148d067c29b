"""Climb the ladder of evidence: from what is known of a history to its failures, recovery and rework.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from pytest_bugsle.delivery.failures import (
    change_failures,
    explicit_links,
    has_versions,
    patch_links,
    szz_links,
)
from pytest_bugsle.delivery.links import ANY, RUNGS, Link, Rung
from pytest_bugsle.delivery.recovery import recovery
from pytest_bugsle.delivery.rework import rework, ships_work
from pytest_bugsle.delivery.watch import watch
from pytest_bugsle.results import Failure

if TYPE_CHECKING:
    from pytest_bugsle.delivery.figures import Measured, Outline
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.incidents import Incident
    from pytest_bugsle.delivery.mentions import Mentions
    from pytest_bugsle.delivery.overrides import Override
    from pytest_bugsle.delivery.rework import Kind

#: Rungs whose sources know the whole history. Blame and the kinds of commit are looked up for the window alone, so
#: that the window before it would always look better by them, or worse.
_WHOLE: tuple[Rung, ...] = ("incident", "explicit")


class Evidence(NamedTuple):
    """What the rungs rest on beside the history itself.

    `incidents` are None where nobody keeps records, `causes` (of each fix the commits that blame points to,
    and whether weakly) where SZZ was not asked. `kinds` are those of commit that each deployment of the
    window ships.
    """

    kinds: Mapping[int, set[Kind]]
    incidents: Sequence[Incident] | None = None
    overrides: Sequence[Override] = ()
    causes: Mapping[int, Sequence[tuple[int, bool]]] | None = None


def climb(
    graph: Graph, mentions: Mentions, laid_out: Outline, measured: Measured, evidence: Evidence
) -> tuple[Measured, list[str]]:
    """Return what was measured with all rungs, and what is to be said of records that name nothing."""
    deployments, now = laid_out.known, laid_out.now
    since = laid_out.start - 1
    links, asked, said = _links(graph, mentions, laid_out, evidence)
    # Of an earlier moment: an incident that had not begun by then.
    links = [link for link in links if link.known_at <= now]
    found = change_failures(deployments, links, since, now, rungs=asked)
    inside = sorted(found.counted | found.young)
    at = {number: place for place, number in enumerate(inside)}
    failed: dict[str, list[int]] = {"revert": measured.failed["revert"]}
    failed |= {rung: [at[number] for number in sorted(those)] for rung, those in found.failed.items()}
    failed[ANY] = [at[number] for number in sorted(found.any)]
    recoveries, still = dict(measured.recoveries), {}
    for rung in (*found.failed, ANY):
        each = recovery(deployments, [link for link in found.links if rung in {link.rung, ANY}], now)
        recoveries[rung] = [one.seconds for one in each if one.end is not None]
        still[rung] = sum(one.end is None for one in each)
    watched = watch(
        deployments,
        {rung: [link for link in links if link.rung == rung] for rung in _WHOLE if rung in asked},
        laid_out.start,
        laid_out.end,
        measured.watch.seconds,
    )
    again = rework(deployments, evidence.kinds, since, now)
    measured = replace(
        measured,
        failed=failed,
        recoveries=recoveries,
        open=still,
        watch=replace(watched, by_rung={**measured.watch.by_rung, **watched.by_rung}),
        young=[at[number] for number in sorted(found.young)],
        young_failed=found.young_failed,
        rework=(len(again.deployments), again.n, again.empty),
        failures=[
            _failure(graph, laid_out, link, counted=link.deployment in found.counted)
            for link in sorted(links, key=lambda link: (link.deployment, RUNGS.index(link.rung)))
            if link.deployment in at
        ],
    )
    return measured, said


def _links(
    graph: Graph, mentions: Mentions, laid_out: Outline, evidence: Evidence
) -> tuple[Sequence[Link], set[Rung], list[str]]:
    deployments, labels = laid_out.known, laid_out.labels
    asked: set[Rung] = {"explicit"}
    said: list[str] = []
    links = _explicit(graph, mentions, laid_out)
    if has_versions(deployments):
        asked.add("patch-release")
        links += _patches(graph, mentions, laid_out, evidence)
    if evidence.incidents is not None or any(one.failed is not None for one in deployments):
        from pytest_bugsle.delivery.incidents import incident_links

        asked.add("incident")
        told = incident_links(evidence.incidents or (), graph, deployments, labels)
        links += told.links
        said += told.problems
    if evidence.causes is not None:
        asked.add("szz")
        links += szz_links(graph, deployments, labels, evidence.causes)
    if evidence.overrides:
        from pytest_bugsle.delivery.overrides import overrule

        overruled = overrule(links, evidence.overrides, graph, deployments, labels)
        said += overruled.unused
        links = list(overruled.links)
    return links, asked, said


def _explicit(graph: Graph, mentions: Mentions, laid_out: Outline) -> list[Link]:
    telling = [message for message in mentions.telling if laid_out.has(graph, message.commit)]
    if not telling:
        return []
    from pytest_bugsle.delivery import repairs

    subjects = (
        (
            commit,
            subject if subject.isascii() else subject.encode("latin-1").decode("utf-8", "surrogateescape"),
        )
        for commit, subject in enumerate(mentions.subjects)
    )
    pairs = repairs.pairs(
        graph,
        telling,
        repairs.titles_of(subjects, repairs.quoting(graph, telling)),
        repairs.copies_of(graph, mentions.picked),
    )
    reverting = {message.commit for message in telling if repairs.is_revert(message)}
    return explicit_links(graph, laid_out.known, laid_out.labels, pairs, reverting.__contains__)


def _patches(graph: Graph, mentions: Mentions, laid_out: Outline, evidence: Evidence) -> list[Link]:
    fixes: dict[int, list[int]] = {}
    for commit in mentions.fixes:
        if len(graph.parents[commit]) < 2:
            fixes.setdefault(laid_out.labels[commit], []).append(commit)
    # Those before the window have no kinds, and a failure of theirs is not shown.
    return patch_links(
        laid_out.known,
        lambda number: number not in evidence.kinds or ships_work(evidence.kinds[number]),
        lambda number: fixes.get(number, ()),
    )


def _failure(graph: Graph, laid_out: Outline, link: Link, *, counted: bool) -> Failure:
    shas, deployments = graph.shas, laid_out.known
    return Failure(
        rung=link.rung,
        deployment=deployments[link.deployment].name,
        cause=None if link.cause is None else shas[link.cause],
        fix=None if link.fix is None else shas[link.fix],
        fixed_in=None if link.fixed_in is None else deployments[link.fixed_in].name,
        evidence=link.evidence,
        weak=link.weak,
        counted=counted,
    )
