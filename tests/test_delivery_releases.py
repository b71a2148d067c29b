"""Which tags are releases, in which order, and what shipped first in which."""

from __future__ import annotations

import pytest
from delivery_graphs import deployment, graph_of, sha_of
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.releases import TagRef, labels, nearest_names, order, release_names, released


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["1.0", "v1.2.3", "2024.01", "0.12.x"], {"1.0", "v1.2.3", "2024.01"}),
        (["1.0rc1", "1.0.dev0", "1.0b2", "v1.0-alpha.1", "1.0.post1", "1.0"], {"1.0"}),
        (["v2", "latest", "nightly-1.2", "v2.1"], {"v2.1"}),
        (["release-1.2", "rel_1_3", "V1.4"], {"release-1.2", "rel_1_3", "V1.4"}),
        (["core-1.2", "core-1.3"], {"core-1.2", "core-1.3"}),
        (["core-1.2", "cli-3.0"], set()),
        (["core-1.2", "1.0"], {"1.0"}),
        (["1.0+build.5"], {"1.0+build.5"}),
    ],
)
def test_final_versions_are_releases(names: list[str], kept: set[str]) -> None:
    """No pre- or post-releases, no moving majors, no products of a larger repository."""
    assert release_names(names) == kept


def test_a_pattern_must_match_the_whole_name() -> None:
    """And it decides alone."""
    assert release_names(["deploy-1", "deploy-12", "my-deploy-1", "1.0"], r"deploy-\d") == {"deploy-1"}


def test_the_nearest_names_are_those_that_look_like_the_pattern() -> None:
    """With none that does, the last ones."""
    assert nearest_names(["nightly", "release-1.2", "release-1.3"], r"^releases-\d\.\d$")[0].startswith(
        "release-1"
    )
    assert nearest_names(["x", "y"], r"^v\d+$") == ["y", "x"]
    assert nearest_names([], None) == []


def test_releases_of_one_second_are_ordered_by_the_bytes_of_their_names() -> None:
    """1.10 comes before 1.9 then: the rule is published, and it is the same everywhere."""
    graph = graph_of({"a": ""})
    made = [deployment(graph, "a", 5, name) for name in ("v1.9", "v1.10", "é1.0", "v1.1")]
    assert [one.name for one in order([*made, deployment(graph, "a", 4, "z")])] == [
        "z",
        "v1.1",
        "v1.10",
        "v1.9",
        "é1.0",
    ]


def test_a_tag_without_a_date_gets_its_commits_and_one_on_no_commit_is_left_out() -> None:
    """As is one whose commit was not read."""
    graph = graph_of({"b": "a", "a": ""}, {"b": (1, 70), "a": (1, 50)})
    tags = [
        TagRef("v1.1", sha_of("b"), None),
        TagRef("v1.0", sha_of("a"), 60, annotated=True),
        TagRef("v1.2", None, 80, annotated=True),
        TagRef("v1.3", sha_of("z"), 90),
    ]
    found = released(graph, tags)
    assert [(one.name, one.time, one.commit, one.commit_time) for one in found] == [
        ("v1.0", 60, 1, 50),
        ("v1.1", 70, 0, 70),
    ]


def test_the_first_release_that_contains_a_commit_is_not_the_next_in_time() -> None:
    """A patch of the old line comes later and brings its own commit alone."""
    # a ── b ── d   (mainline: v1.0 is a, v2.0 is d)
    #  └── c        (old line: v1.1 is c, released between them)
    graph = graph_of({"d": "b", "c": "a", "b": "a", "a": ""})
    made = [deployment(graph, name, time) for name, time in (("a", 10), ("c", 20), ("d", 30))]
    assert list(labels(graph, made)) == [2, 1, 2, 0]


def test_what_no_release_contains_is_unreleased() -> None:
    """Its label is -1."""
    graph = graph_of({"b": "a", "a": ""})
    assert list(labels(graph, [deployment(graph, "a", 10)])) == [-1, 0]
    assert list(labels(graph, [])) == [-1, -1]


@given(st.lists(st.text(max_size=12)), st.one_of(st.none(), st.just(r"v\d+")))
def test_any_names_can_be_sorted_and_asked(names: list[str], pattern: str | None) -> None:
    """Names of tags are written by strangers."""
    assert release_names(names, pattern) <= set(names)
    assert set(nearest_names(names, pattern)) <= set(names)
