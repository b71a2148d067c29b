"""Make small commit graphs, and the deployments on them, for tests of delivery."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from pytest_bugsle.delivery.graph import Graph
from pytest_bugsle.delivery.releases import Deployment

HOUR = 3600


def graph_of(parents: Mapping[str, str], times: Mapping[str, tuple[int, int]] | None = None) -> Graph:
    """Give a graph of commits by one letter each, `{"b": "a"}`; times are (author, commit), else 100 apart."""
    names = list(parents)
    at = {name: (times or {}).get(name, (100 * n, 100 * n)) for n, name in enumerate(names)}
    return Graph(
        [sha_of(name) for name in names],
        [" ".join(sha_of(parent) for parent in parents[name]) for name in names],
        array("q", [at[name][0] for name in names]),
        array("q", [at[name][1] for name in names]),
    )


def sha_of(name: str) -> str:
    """Give the full name of a commit that a letter stands for."""
    return f"{ord(name):02x}" * 20


def deployment(graph: Graph, commit: str, time: int, name: str = "") -> Deployment:
    """Give a deployment of a commit by its letter."""
    number = graph.index[sha_of(commit)]
    return Deployment(name or f"v{time}", time, number, graph.commit_times[number])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph with merges and several roots, numbered in any order, with times in no order at all."""
    size = draw(st.integers(1, 14))
    parents = [
        sorted(draw(st.sets(st.integers(0, number - 1), max_size=3))) if number else []
        for number in range(size)
    ]
    order: Sequence[int] = draw(st.permutations(range(size)))
    names = [f"{number:040x}" for number in range(size)]
    times = draw(st.lists(st.integers(0, 50), min_size=size, max_size=size))
    return Graph(
        [names[number] for number in order],
        [" ".join(names[parent] for parent in parents[number]) for number in order],
        array("q", times),
        array("q", times),
    )


def ancestors(graph: Graph, commit: int) -> set[int]:
    """Give a commit with all that it contains, by the definition."""
    found = {commit}
    while more := {above for one in found for above in graph.parents[one]} - found:
        found |= more
    return found
