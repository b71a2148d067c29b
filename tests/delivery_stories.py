"""Small histories by hand: commits with their parents, deployments of them, and what each first shipped in."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_bugsle.delivery.graph import Graph
from pytest_bugsle.delivery.releases import Deployment

DAY = 86_400


@dataclass
class Story:
    """A graph, its deployments in order, and the label of each commit."""

    graph: Graph
    deployments: list[Deployment]
    labels: Sequence[int]
    names: list[str]

    def at(self, name: str) -> int:
        """Give the number of a commit."""
        return self.names.index(name)

    def sha(self, name: str) -> str:
        """Give the sha of a commit."""
        return self.graph.shas[self.at(name)]


def sha_of(name: str) -> str:
    """Give the sha that a commit of that name has."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def story(parents: Mapping[str, str], deployed: Mapping[str, tuple[str, float]]) -> Story:
    """Build a history: commits with the names of their parents, in order; deployments by commit and day."""
    names = list(parents)
    times = array("q", [n * 3600 for n in range(len(names))])
    graph = Graph(
        [sha_of(name) for name in names],
        [" ".join(map(sha_of, above.split())) for above in parents.values()],
        times,
        array("q", times),
    )
    deployments = [
        Deployment(name, int(day * DAY), names.index(commit), times[names.index(commit)])
        for name, (commit, day) in deployed.items()
    ]
    deployments.sort(key=lambda one: (one.time, one.name))
    return Story(graph, deployments, graph.label(one.commit for one in deployments), names)


def line(*names: str) -> dict[str, str]:
    """Give commits one after another."""
    return dict(zip(names, ("", *names[:-1]), strict=True))
