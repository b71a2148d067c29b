"""Commits as numbers, and what contains what."""

from __future__ import annotations

from array import array

from delivery_graphs import ancestors, graph_of, graphs, sha_of
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.graph import Graph


def test_a_commit_is_found_by_an_abbreviation_that_only_it_has() -> None:
    """Two that begin alike are told apart by more digits, and by fewer not at all."""
    graph = Graph(
        ["a" * 39 + "1", "a" * 39 + "2", "b" * 40], ["", "", ""], array("q", [0] * 3), array("q", [0] * 3)
    )
    assert graph.find("a" * 39 + "2") == 1
    assert graph.find("BBBBbbb") == 2
    assert graph.find("aaaaaaa") is None
    assert graph.find("ccccccc") is None
    assert graph.find("bbb") is None


def test_parents_are_numbers_and_one_that_was_not_read_is_left_out() -> None:
    """A merge keeps its parents' order."""
    graph = graph_of({"d": "bc", "c": "a", "b": "a", "a": "z"})
    assert graph.parents == [(2, 1), (3,), (3,), ()]
    assert [graph.is_merge(commit) for commit in range(4)] == [True, False, False, False]


def test_the_mainline_follows_first_parents_from_the_oldest() -> None:
    """What a merge brought in is not on it."""
    graph = graph_of({"e": "dc", "d": "a", "c": "b", "b": "a", "a": ""})
    assert [graph.shas[commit] for commit in graph.mainline(0)] == [sha_of(name) for name in "ade"]


@given(graphs(), st.data())
def test_a_commit_gets_the_first_tip_that_contains_it(graph: Graph, data: st.DataObject) -> None:
    """The one sweep says what the definition says, whatever the times, the order and the merges."""
    tips = data.draw(st.lists(st.integers(0, len(graph) - 1), max_size=6))
    contained = [ancestors(graph, tip) for tip in tips]
    expected = [
        next((place for place, inside in enumerate(contained) if commit in inside), -1)
        for commit in range(len(graph))
    ]
    assert list(graph.label(tips)) == expected
