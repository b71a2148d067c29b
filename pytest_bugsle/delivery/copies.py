"""Changes that were made several times: a cherry-pick to a release branch, a backport, a fix brought forward.  PYTEST_DONT_REWRITE

A change ships when the first of its copies does. By default each commit counts for itself, as `git tag --contains`
has it: with copies a fix that went out with 7.0.3 is not one that waited for 8.0.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph

Pair = tuple[int, int]


class FirstCopies(NamedTuple):
    """Where each change first went out, by its commit in HEAD that was authored first.

    `labels` are places of deployments, -1 for what is unreleased; `authored` is when the first of all copies was
    made, in seconds since the epoch; `repeated` has HEAD's other copies, which count no more. `sooner` is how many changes went out by a copy before their own commit did.
    """

    labels: Sequence[int]
    authored: Sequence[int]
    repeated: frozenset[int]
    sooner: int


def picked_pairs(graph: Graph, picked: Iterable[tuple[int, str]]) -> list[Pair]:
    """Return copies and originals by the line that `git cherry-pick -x` leaves; originals that are not here are left out."""
    found = ((commit, graph.find(name)) for commit, name in picked)
    return [(commit, original) for commit, original in found if original is not None and original != commit]


def same_patches(ids: Mapping[int, str]) -> list[Pair]:
    """Return the pairs of commits with one patch id, each with the first that has it."""
    first: dict[str, int] = {}
    return [
        (commit, kept) for commit, id_ in ids.items() if (kept := first.setdefault(id_, commit)) != commit
    ]


def first_copies(
    graph: Graph, pairs: Iterable[Pair], labels: Sequence[int], landing: Sequence[int]
) -> FirstCopies:
    """Return where the changes first went out; `landing` is -1 for what HEAD does not contain.

    Copies of copies are copies of the same change.
    """
    root: dict[int, int] = {}

    def find(commit: int) -> int:
        while (above := root.setdefault(commit, commit)) != commit:
            root[commit] = commit = root[above]
        return commit

    for copy, original in pairs:
        root[find(copy)] = find(original)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for commit in sorted(root):
        groups[find(commit)].append(commit)
    moved = array("i", labels)
    authored = array("q", graph.author_times)
    repeated: set[int] = set()
    sooner = 0
    for members in groups.values():
        own = sorted(
            (commit for commit in members if landing[commit] >= 0),
            key=lambda commit: (graph.author_times[commit], graph.commit_times[commit], commit),
        )
        if not own:
            continue
        kept, *others = own
        repeated.update(others)
        out = min((labels[commit] for commit in members if labels[commit] >= 0), default=-1)
        sooner += out != min((labels[commit] for commit in own if labels[commit] >= 0), default=-1)
        moved[kept] = out
        authored[kept] = min(graph.author_times[commit] for commit in members)
    return FirstCopies(moved, authored, frozenset(repeated), sooner)
