"""Changes that were made several times ship with the first of their copies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from delivery_stories import line, story
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.command import dora
from pytest_bugsle.delivery.copies import first_copies, picked_pairs, same_patches

_DAY = 86_400


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


TOLD = story(
    {"base": "", "fix": "base", "feat": "fix", "pick": "base", "other": "pick", "again": "feat"},
    {"1.0": ("base", 1), "1.1": ("pick", 2), "1.2": ("other", 3), "2.0": ("again", 9)},
)


def landing() -> list[int]:
    """Give what HEAD contains: all but the branch."""
    return [-1 if name in {"pick", "other"} else 0 for name in TOLD.names]


def test_a_change_goes_out_with_the_first_of_its_copies() -> None:
    """Its own commit went out with 2.0."""
    found = first_copies(TOLD.graph, [(TOLD.at("pick"), TOLD.at("fix"))], TOLD.labels, landing())
    assert TOLD.labels[TOLD.at("fix")] == 3
    assert found.labels[TOLD.at("fix")] == 1
    assert (found.sooner, found.repeated) == (1, frozenset())
    assert [found.labels[TOLD.at(name)] for name in ("base", "feat")] == [0, 3]


def test_copies_of_copies_are_one_change_and_head_counts_it_once() -> None:
    """In whatever order they are named; the first that was authored stays."""
    pairs = [("again", "pick"), ("pick", "fix"), ("other", "pick")]
    numbered = [(TOLD.at(copy), TOLD.at(original)) for copy, original in pairs]
    for given_pairs in (numbered, numbered[::-1], [pair[::-1] for pair in numbered]):
        found = first_copies(TOLD.graph, given_pairs, TOLD.labels, landing())
        assert found.repeated == {TOLD.at("again")}
        assert found.labels[TOLD.at("fix")] == 1
        assert found.sooner == 1


def test_a_change_was_authored_when_the_first_of_its_copies_was() -> None:
    """A fix that was made on the branch and brought forward is as old as there."""
    pairs = [(TOLD.at("again"), TOLD.at("pick"))]
    found = first_copies(TOLD.graph, pairs, TOLD.labels, landing())
    assert found.authored[TOLD.at("again")] == TOLD.graph.author_times[TOLD.at("pick")]
    assert found.labels[TOLD.at("again")] == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_nothing_goes_out_later_for_having_copies(pairs: list[tuple[int, int]]) -> None:
    """Every commit of HEAD either counts, no later than alone, or is a copy of one that does."""
    found = first_copies(TOLD.graph, pairs, TOLD.labels, landing())
    inside = [commit for commit, place in enumerate(landing()) if place >= 0]
    for commit in inside:
        alone = TOLD.labels[commit]
        assert commit in found.repeated or alone < 0 or 0 <= found.labels[commit] <= alone
    assert len(found.repeated) < len(inside)
    assert {commit for pair in pairs for commit in pair} >= found.repeated


def test_a_pick_whose_original_is_not_here_is_no_copy() -> None:
    """And no commit is one of itself."""
    graph = story(line("a", "b"), {"1": ("b", 1)}).graph
    assert picked_pairs(graph, [(1, graph.shas[0][:9]), (1, "f" * 40), (1, graph.shas[1])]) == [(1, 0)]


def test_commits_with_one_patch_id_are_copies_of_the_first() -> None:
    """All others have nothing in common."""
    assert same_patches({1: "x", 2: "y", 3: "x", 4: "x"}) == [(3, 1), (4, 1)]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a fix of main that was picked to the 1.x line twice, with the trailer and without."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({"a": "1\n", "b": "1\n"}, "feat: first\n")
    sandbox.git("tag", "-a", "-m", "1.0", "v1.0")
    sandbox.git("branch", "1.x")
    marked = sandbox.commit({"a": "2\n"}, "fix: a\n")
    plain = sandbox.commit({"b": "2\n"}, "fix: b\n")
    sandbox.git("checkout", "-q", "1.x")
    sandbox.clock += 60
    sandbox.git("cherry-pick", "-x", marked)
    sandbox.git("cherry-pick", plain)
    sandbox.clock += _DAY
    sandbox.git("tag", "-a", "-m", "1.0.1", "v1.0.1")
    sandbox.git("checkout", "-q", "main")
    sandbox.clock += 10 * _DAY
    sandbox.commit({"c": "1\n"}, "feat: c\n")
    sandbox.git("tag", "-a", "-m", "2.0", "v2.0")
    sandbox.commit({"c": "2\n"}, "feat: c again\n")
    return sandbox


@pytest.mark.parametrize(
    ("args", "sooner", "days"),
    [
        ((), None, [0, 0, 11, 11]),
        (("--changes",), 1, [0, 0, 1, 11]),
        (("--changes", "patches"), 2, [0, 0, 1, 1]),
    ],
)
def test_lead_time_is_that_of_changes_where_it_is_asked_for(
    sandbox: Sandbox, tmp_path: Path, args: tuple[str, ...], sooner: int | None, days: list[int]
) -> None:
    """By trailers; by patches, too, on request; never unasked. Failures and counts stay those of commits."""
    report = tmp_path / "report.json"
    asked = ["--repo", str(sandbox.top), "--report", f"json:{report}", *args]
    said = CliRunner().invoke(dora, asked, catch_exceptions=False).output
    row = json.loads(report.read_bytes())["delivery"]["repositories"][0]
    assert row["sooner"] == sooner
    assert (row["commits"], row["lead_time"]["n"]) == (5, 4)
    assert round(row["lead_time"]["mean_seconds"] * 4 / _DAY) == sum(days)
    assert row["change_failure"]["revert"]["failed"] == 0
    if sooner is not None:
        assert f"lead time is that of changes: {sooner} of all of HEAD" in " ".join(said.split())
