"""Deployments that were made only to repair."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from delivery_stories import DAY, line, story

from pytest_bugsle.delivery.rework import (
    brought,
    kind_of,
    kinds_by_subject,
    reaches_users,
    rework,
    shipped_kinds,
    ships_work,
)
from pytest_bugsle.history.judgement import Facts


@pytest.mark.parametrize(
    ("subject", "author", "kind"),
    [
        ("Fix crash when the list is empty", "Ada", "repair"),
        ('Revert "Add a thing"', "Ada", "repair"),
        ("Add a thing", "Ada", "work"),
        ("docs: explain a thing", "Ada", "upkeep"),
        ("Fix typo in README", "Ada", "upkeep"),
        ("ci: run on 3.14", "Ada", "upkeep"),
        ("Prepare release version 8.3.4", "Ada", "upkeep"),
        ("bump version to 2.0", "Ada", "upkeep"),
        ("Bump actions/checkout from 3 to 4", "dependabot[bot]", "bot"),
        ("fix: the crash of the parser", "dependabot[bot]", "bot"),
    ],
)
def test_what_a_commit_is_for(subject: str, author: str, kind: str) -> None:
    """By its message and its author."""
    assert kind_of(Facts(subject, author=author)) == kind


def test_a_picked_merge_says_it_in_its_body() -> None:
    """Its subject names a branch alone."""
    subject = "Merge pull request #12 from ada/patch-1"
    assert kind_of(Facts(subject, "Fix crash of the parser\n\nmore")) == "repair"
    assert kind_of(Facts(subject, "ci: run on 3.14\n(cherry picked from commit 1234567)")) == "upkeep"
    assert kind_of(Facts(subject)) == "work"


def test_what_changes_no_source_is_upkeep() -> None:
    """Whatever its message claims: it reaches no user."""
    assert kind_of(Facts("Fix crash of the build", source_changed=False)) == "upkeep"
    assert kind_of(Facts("Fix crash of the build", source_changed=True)) == "repair"


def test_a_deployment_of_repairs_alone_is_rework() -> None:
    """Upkeep and bots beside them make it no plan; one piece of work does."""
    told = story(line("a", "b", "c", "d"), {"1": ("a", 1), "2": ("b", 2), "3": ("c", 3), "4": ("d", 4)})
    kinds = {0: {"work"}, 1: {"repair", "upkeep", "bot"}, 2: {"repair", "work"}, 3: {"upkeep"}}
    got = rework(told.deployments, kinds, 0, 10 * DAY)  # type: ignore[arg-type]
    assert (got.n, got.empty, got.deployments) == (3, 1, (1,))
    assert rework(told.deployments, kinds, DAY, 2 * DAY).n == 1  # type: ignore[arg-type]


def test_a_deployment_that_ships_nothing_is_in_no_count() -> None:
    """A second tag of one commit, or nothing but a bot's updates."""
    told = story(line("a"), {"1": ("a", 1), "1-again": ("a", 2)})
    got = rework(told.deployments, {0: {"bot"}}, 0, 10 * DAY)
    assert (got.n, got.deployments, got.empty) == (0, (), 2)


def read_by(subjects: dict[int, str], asked: list[list[int]]) -> Callable[[Sequence[int]], dict[int, Facts]]:
    """Give a reader of messages that notes what it was asked for."""

    def read(commits: Sequence[int]) -> dict[int, Facts]:
        asked.append(list(commits))
        return {commit: Facts(subjects[commit], author="Ada") for commit in commits}

    return read


def test_each_commit_counts_for_the_deployment_that_first_contains_it() -> None:
    """Merges bring nothing of their own, and what was work is looked at no further."""
    told = story(
        {"a": "", "side": "a", "m": "a side", "b": "m", "later": "b"}, {"1": ("m", 1), "2": ("b", 2)}
    )
    shipped = brought(told.graph, (0, 1), told.labels)
    assert shipped == {0: [0, 1], 1: [3]}
    subjects = {0: "Add a thing", 1: "docs: a thing", 2: "Merge", 3: "Fix crash of it", 4: "Add more"}
    asked: list[list[int]] = []
    last = {3}
    found = shipped_kinds(shipped, list(subjects.values()), bytes(5), last, read_by(subjects, asked))
    assert found[0] >= {"work"} and found[1] == {"repair"}
    assert asked == [[0, 1, 3], [], []]
    assert ships_work(found[1]) and not ships_work({"bot", "upkeep"})


def test_a_feature_by_its_header_needs_no_message() -> None:
    """But a bot's is none."""
    shipped = {0: [0, 1], 1: [2]}
    subjects = {0: "fix: x", 1: "feat(api)!: y", 2: "feat(deps): bump"}
    asked: list[list[int]] = []
    found = shipped_kinds(shipped, list(subjects.values()), b"\0\0\1", {0}, read_by(subjects, asked))
    assert found[0] == {"work"} and asked[0] == [2]
    assert kind_of(Facts("feat: repair the broken crash", author="Ada")) == "work"


def test_a_deployment_is_read_to_its_end_before_it_is_rework() -> None:
    """The only work may be the last of many."""
    subjects = dict.fromkeys(range(40), "Fix crash of the reader") | {39: "Merge carts and orders"}
    for last, kinds in ((40, {"repair", "work"}), (39, {"repair"})):
        asked: list[list[int]] = []
        shipped = {0: range(last)}
        found = shipped_kinds(
            shipped, list(subjects.values()), bytes(40), range(39), read_by(subjects, asked)
        )
        assert found == {0: kinds}
        assert sorted(commit for commits in asked for commit in commits) == list(range(last))


def test_by_subjects_alone_one_work_is_enough() -> None:
    """Of very many commits nothing is read."""
    subjects = ["fix: x", "docs: y", "Add z", "bump", "chore"]
    found = kinds_by_subject({0: [0, 1], 1: [0, 2, 3], 2: [3], 3: [4]}, subjects, b"\0\0\0\1\0", {0}, set())
    assert found == {0: {"repair", "upkeep"}, 1: {"repair", "work"}, 2: {"bot"}, 3: {"upkeep"}}
    assert kinds_by_subject({0: [2]}, subjects, bytes(5), (), {2}) == {0: {"repair"}}


@pytest.mark.parametrize(
    ("path", "reaches"),
    [
        ("src/shop/cart.py", True),
        ("setup.cfg", True),
        ("pyproject.toml", True),
        ("docs/conf.py", False),
        ("README.rst", False),
        ("changelog/12.bugfix", False),
        ("tests/test_cart.py", False),
        ("src/shop/test_cart.py", False),
        (".github/workflows/ci.yml", False),
        (".pre-commit-config.yaml", False),
        ("tox.ini", False),
        ("src/docs.py", True),
        ("testing\nx/a.py", True),
    ],
)
def test_a_path_tells_whether_users_see_it(path: str, reaches: bool) -> None:
    """By its folder or its name."""
    assert reaches_users(path) is reaches
