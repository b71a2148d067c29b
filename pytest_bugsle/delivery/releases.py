"""Deployments, by default the tags of final versions, and which of them first contains a commit.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Sequence

import msgspec

from pytest_bugsle.delivery.components import tags_of
from pytest_bugsle.delivery.graph import Graph
from pytest_bugsle.history.releases import parse_tag


class TagRef(msgspec.Struct, frozen=True):
    """A tag: its short name, the commit that it names in the end (None: a blob or a tree), and its own date."""

    name: str
    commit: str | None
    time: int | None
    """Seconds since the epoch: the tagger's, for a lightweight tag the committer's; None where it has none."""
    annotated: bool = False


class Deployment(msgspec.Struct, frozen=True):
    """A commit that went out, and when; times in seconds since the epoch."""

    name: str
    time: int
    commit: int
    commit_time: int
    failed: bool | None = None
    environment: str = ""


def order(deployments: Iterable[Deployment]) -> list[Deployment]:
    """Return deployments by time, and by the bytes of their names where that is the same."""
    return sorted(deployments, key=lambda one: (one.time, os.fsencode(one.name)))


def released(
    graph: Graph, tags: Iterable[TagRef], pattern: str | None = None, component: str | None = None
) -> list[Deployment]:
    """Return the release tags, of the repository or of one component, as deployments, in order.

    Without a pattern, which must match the whole name, they are the final versions (`release_names`). A tag
    without a date gets that of its commit; one that names no commit is left out. UsageError for a component that
    is none.
    """
    tags = list(tags)
    names = [tag.name for tag in tags]
    wanted = release_names(names, pattern) if component is None else tags_of(component, names, pattern)
    made = []
    for tag in tags:
        commit = graph.index.get(tag.commit) if tag.name in wanted and tag.commit else None
        if commit is not None:
            committed = graph.commit_times[commit]
            made.append(Deployment(tag.name, committed if tag.time is None else tag.time, commit, committed))
    return order(made)


def release_names(names: Iterable[str], pattern: str | None = None) -> set[str]:
    """Return which names of tags are releases: those that match, else final versions.

    A version stands alone or behind words as `v` and `release`. Where all are of one product (`core-1.2`),
    that is how tags are written there; of several products none is *the* repository's.
    """
    if pattern is not None:
        whole = re.compile(pattern)
        return {name for name in names if whole.fullmatch(name)}
    found = [tag for name in names if (tag := parse_tag(name)) is not None and tag.is_final]
    products = {tag.product for tag in found}
    kept = "" if "" in products else next(iter(products)) if len(products) == 1 else None
    return {tag.name for tag in found if tag.product == kept}


def named_releases(tags: Iterable[TagRef], pattern: str | None = None) -> dict[str, str]:
    """Return the tags that are releases of the repository or of any part of it, each with its commit."""
    named = {tag.name: tag.commit for tag in tags if tag.commit is not None}
    if pattern is not None:
        return {name: named[name] for name in release_names(named, pattern)}
    return {name: sha for name, sha in named.items() if (tag := parse_tag(name)) is not None and tag.is_final}


def nearest_names(names: Sequence[str], pattern: str | None, most: int = 3) -> list[str]:
    """Return the tags that look most like what was asked for, the last ones first where none does."""
    import difflib

    asked = re.sub(
        r"\\(.)|[\^$]", lambda found: "1" if found[1] == "d" else found[1] or "", pattern or "v1.2.3"
    )
    near = difflib.get_close_matches(asked, names[-1000:], n=most, cutoff=0.3)
    return near or list(reversed(names))[:most]


def labels(graph: Graph, deployments: Sequence[Deployment]) -> array[int]:
    """Return the place of the first deployment that contains each commit, -1 for what is unreleased.

    By containment in the graph over all parents, never by time. A deployment from before the window takes
    part: it labels what it brought, which would else be counted as the window's.
    """
    return graph.label(deployment.commit for deployment in deployments)
