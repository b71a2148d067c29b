"""Deployments that were made only to repair."""

from __future__ import annotations

import pytest
from delivery_stories import DAY, line, story

from pytest_bugsle.delivery.rework import kind_of, rework, shipped_kinds, ships_work
from pytest_bugsle.history.judgement import Facts
from pytest_bugsle.stats.intervals import wilson


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
    assert (got.reworked, got.n, got.empty, got.deployments) == (1, 3, 1, (1,))
    assert got.rate == pytest.approx(1 / 3) and got.interval == wilson(1, 3)
    assert rework(told.deployments, kinds, DAY, 2 * DAY).n == 1  # type: ignore[arg-type]


def test_a_deployment_that_ships_nothing_is_in_no_count() -> None:
    """A second tag of one commit, or nothing but a bot's updates."""
    told = story(line("a"), {"1": ("a", 1), "1-again": ("a", 2)})
    got = rework(told.deployments, {0: {"bot"}}, 0, 10 * DAY)
    assert (got.n, got.rate, got.interval, got.empty) == (0, None, None, 2)


def test_each_commit_counts_for_the_deployment_that_first_contains_it() -> None:
    """Merges bring nothing of their own."""
    told = story(line("a", "merge", "b", "later"), {"1": ("merge", 1), "2": ("b", 2)})
    kinds = {0: "work", 1: None, 2: "repair", 3: "work"}
    found = shipped_kinds((0, 1), told.labels, kinds.get)  # type: ignore[arg-type]
    assert found == {0: {"work"}, 1: {"repair"}}
    assert ships_work(found[1]) and not ships_work({"bot", "upkeep"})
