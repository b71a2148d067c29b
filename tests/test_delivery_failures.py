"""The ladder of evidence: which deployments failed, and how many of how many."""

from __future__ import annotations

import pytest
from delivery_stories import DAY, Story, line, sha_of, story
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.failures import (
    change_failures,
    explicit_links,
    has_versions,
    patch_links,
    szz_links,
)
from pytest_bugsle.delivery.links import RUNGS, Link, version_of
from pytest_bugsle.delivery.repairs import Pair


def never(commit: int) -> bool:
    """No commit is a revert of a revert."""
    return False


def explicit(told: Story, *pairs: Pair) -> list[Link]:
    """Give the links of pairs."""
    return explicit_links(told.graph, told.deployments, told.labels, pairs, never)


def releases(**days: float) -> Story:
    """Deployments `v1_2_3` on these days, of one commit each."""
    names = list(days)
    return story(line(*names), {n[1:].replace("_", "."): (n, day) for n, day in days.items()})


def failed(told: Story, links: list[Link]) -> list[str]:
    """Name the deployments that failed."""
    return [told.deployments[link.deployment].name for link in links]


def test_a_revert_counts_where_it_crosses_a_deployment() -> None:
    """Taken back inside the same deployment, or before it was ever deployed, nobody saw it."""
    told = story(line("a", "b", "c", "d", "e"), {"1.0": ("b", 1), "1.1": ("c", 2)})
    assert explicit(told, Pair(1, 0, "body")) == []
    assert explicit(told, Pair(4, 3, "body")) == []
    (link,) = explicit(told, Pair(2, 0, "body"))
    assert (link.rung, link.deployment, link.cause, link.fix, link.fixed_in) == ("explicit", 0, 0, 2, 1)
    assert link.known_at == 2 * DAY
    assert link.evidence == (
        f"{sha_of('c')[:7]} takes back {sha_of('a')[:7]}, which its message names; {sha_of('a')[:7]} was deployed "
        f"with 1.0, {sha_of('c')[:7]} was deployed with 1.1"
    )


def test_a_change_that_is_landed_again_speaks_against_no_deployment() -> None:
    """Taking a revert back is no failure of the deployment of the revert."""
    told = story(line("x", "r1", "r2"), {"1": ("x", 1), "2": ("r1", 2), "3": ("r2", 3)})
    every = [Pair(1, 0, "body"), Pair(2, 1, "body")]
    links = explicit_links(told.graph, told.deployments, told.labels, every, {1}.__contains__)
    assert [(link.cause, link.fix) for link in links] == [(0, 1)]


def test_a_fix_that_is_not_deployed_leaves_the_failure_open() -> None:
    """It is known since the fix was committed."""
    told = story(line("a", "b"), {"1.0": ("a", 1)})
    (link,) = explicit(told, Pair(1, 0, "trailer"))
    assert (link.fixed_in, link.known_at) == (None, told.graph.commit_times[1])
    assert "says `Fixes:`" in link.evidence
    assert link.evidence.endswith("is not deployed yet")


def test_a_fix_on_an_older_line_that_shipped_before_is_none() -> None:
    """A deployment cannot be mended before it happened."""
    told = story({"root": "", "fix": "root", "bad": "root"}, {"1.0.1": ("fix", 1), "2.0": ("bad", 2)})
    assert explicit(told, Pair(told.at("fix"), told.at("bad"), "body")) == []


def test_a_patch_release_soon_after_speaks_of_its_predecessor() -> None:
    """On the same minor line, within the days that are said, and only if it mends something."""
    told = releases(v1_0_0=0, v1_1_0=1, v1_0_1=3, v1_1_1=20, v1_1_2=21)
    links = patch_links(told.deployments, lambda n: True)
    assert failed(told, links) == ["1.0.0", "1.1.1"]
    assert "1.0.1, a patch of the same line, followed 1.0.0 after 3.0 days (at most 7 days count)" in {
        link.evidence for link in links
    }
    assert [link.fixed_in for link in links] == [2, 4]
    assert failed(told, patch_links(told.deployments, lambda n: True, days=1)) == ["1.1.1"]
    assert patch_links(told.deployments, lambda n: False) == []


def test_the_next_minor_release_is_no_patch() -> None:
    """However soon it comes."""
    told = releases(v1_0=0, v1_1=1, v2_0=2)
    assert patch_links(told.deployments, lambda n: True) == []


def test_lines_of_several_products_are_apart() -> None:
    """`cli-1.0.1` patches no `core-1.0.0`."""
    told = story(line("a", "b"), {"core-1.0.0": ("a", 1), "cli-1.0.1": ("b", 2)})
    assert patch_links(told.deployments, lambda n: True) == []


def test_a_second_tag_of_the_same_version_is_no_patch() -> None:
    """Of 1.0.1, whichever way it is written."""
    told = story(line("a", "b"), {"1.0.1": ("a", 1), "v1.0.1": ("b", 2)})
    assert patch_links(told.deployments, lambda n: True) == []


def test_a_patch_tagged_before_what_it_patches_says_nothing() -> None:
    """Tags are moved and made late."""
    told = releases(v1_0_1=1, v1_0_0=2)
    assert patch_links(told.deployments, lambda n: True) == []


@pytest.mark.parametrize(
    ("name", "line_", "patch"),
    [
        ("1.2.3", (1, 2), (3, 0, 0, 0, 0)),
        ("v1.2", (1, 2), (0, 0, 0, 0, 0)),
        ("release-1.2.0", (1, 2), (0, 0, 0, 0, 0)),
        ("1.2.post1", (1, 2), (0, 0, 0, 0, 2)),
        ("2024.1.15", (2024, 1), (15, 0, 0, 0, 0)),
    ],
)
def test_versions_are_read(name: str, line_: tuple[int, int], patch: tuple[int, ...]) -> None:
    """With or without marks; a post-release comes after its release and before the next patch."""
    version = version_of(name)
    assert version is not None and (version.line, version.patch) == (line_, patch)
    assert version.is_patch == any(patch)


@pytest.mark.parametrize(
    "name", ["1.2.0rc1", "1.2.dev3", "main", "2024", "1.2.3.4.5.6.7", "deploy 17", "9" * 300]
)
def test_what_is_no_final_version_has_no_line(name: str) -> None:
    """So that the rung cannot be asked."""
    assert version_of(name) is None
    assert not has_versions(story(line("a"), {name: ("a", 1)}).deployments)


@given(st.text(max_size=50))
def test_any_name_is_read_in_time(name: str) -> None:
    """Tags are named by strangers."""
    version_of(name + "1.2")


def test_blame_links_every_candidate_but_merges_and_itself() -> None:
    """A merge writes nothing of its own."""
    told = story(
        {"a": "", "b": "a", "side": "a", "merge": "b side", "fix": "merge"},
        {"1.0": ("merge", 1), "1.1": ("fix", 2)},
    )
    causes = {told.at("fix"): [(told.at(n), n == "b") for n in ("a", "b", "merge", "fix")]}
    links = szz_links(told.graph, told.deployments, told.labels, causes)
    assert [(link.cause, link.weak) for link in links] == [(told.at("a"), False), (told.at("b"), True)]
    assert f"wrote lines that {sha_of('fix')[:7]} mends" in links[0].evidence
    assert f"wrote the function to which {sha_of('fix')[:7]} adds" in links[1].evidence


def test_each_rung_has_its_count_and_the_cumulative_view_counts_a_deployment_once() -> None:
    """1.0.0 is on three rungs and one failure."""
    told = releases(v1_0_0=10, v1_0_1=12, v1_0_2=30, v1_0_3=50)
    links = [
        Link("incident", 0, 11 * DAY, "e"),
        Link("explicit", 0, 12 * DAY, "e"),
        Link("explicit", 0, 12 * DAY, "another cause"),
        Link("patch-release", 0, 12 * DAY, "e"),
        Link("patch-release", 2, 50 * DAY, "e"),
        Link("szz", 3, 60 * DAY, "e"),
    ]
    got = change_failures(told.deployments, links, 0, 100 * DAY)
    assert [len(got.failed[rung]) for rung in RUNGS] == [1, 1, 2, 1]
    assert (got.any, got.counted) == ({0, 2, 3}, {0, 1, 2, 3})
    assert got.links == tuple(links)


def test_a_young_deployment_is_in_neither_count() -> None:
    """It cannot have failed yet; that it has is told beside the rate."""
    told = releases(v1_0_0=1, v1_1_0=95, v1_2_0=98)
    links = [Link("explicit", 2, 99 * DAY, "e"), Link("explicit", 0, 99 * DAY, "e")]
    got = change_failures(told.deployments, links, 0, 100 * DAY, maturity=7 * DAY)
    assert (got.failed["explicit"], got.counted, got.young, got.young_failed) == ({0}, {0}, {1, 2}, 1)
    everything = change_failures(told.deployments, links, 0, 100 * DAY, maturity=0)
    assert (everything.failed["explicit"], len(everything.counted), everything.young) == (
        {0, 2},
        3,
        frozenset(),
    )


def test_a_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    """A deployment at its first second belongs to the window before."""
    told = releases(v1_0_0=1, v1_1_0=2, v1_2_0=3)
    got = change_failures(told.deployments, [], DAY, 2 * DAY, maturity=0)
    assert got.counted == {1}


def test_a_rung_that_nobody_could_ask_has_no_rate() -> None:
    """No incident record is no proof of no incident."""
    told = releases(v1_0_0=1)
    guess = Link("szz", 0, 2 * DAY, "e")
    got = change_failures(told.deployments, [guess], 0, 100 * DAY, rungs=("explicit",))
    assert got.links == ()
    assert got.failed == {"explicit": frozenset()} and got.any == frozenset()


def test_no_deployment_gives_no_count() -> None:
    """Nothing of nothing."""
    assert change_failures([], [], 0, DAY).counted == frozenset()


@given(
    st.lists(st.tuples(st.sampled_from(RUNGS), st.integers(0, 4), st.integers(0, 200)), max_size=30),
    st.integers(0, 100),
    st.integers(0, 40),
)
def test_counts_hold_together(drawn: list[tuple[str, int, int]], until: int, maturity: int) -> None:
    """No rung has more failures than deployments, and the cumulative view never falls."""
    told = releases(v1_0_0=10, v1_0_1=20, v1_0_2=30, v1_0_3=50, v2_0_0=60)
    links = [Link(rung, n, day * DAY, "e") for rung, n, day in drawn]  # type: ignore[arg-type]
    got = change_failures(told.deployments, links, 0, until * DAY, maturity=maturity * DAY)
    assert all(those <= got.any <= got.counted for those in got.failed.values())
    assert got.young_failed <= len(got.young) and not got.young & got.counted
