"""Which change failures cannot come back unseen."""

from __future__ import annotations

from pytest_bugsle.delivery.guarded import guarded
from pytest_bugsle.delivery.links import Link
from pytest_bugsle.stats.intervals import wilson

SHAS = ["aa", "bb", "cc", "dd"]


def link(deployment: int, cause: int | None, fix: int | None, rung: str = "explicit") -> Link:
    """A failure with its fix."""
    return Link(rung, deployment, 0, "e", cause, fix)  # type: ignore[arg-type]


def test_the_share_is_of_those_that_are_known() -> None:
    """Unknown is never shown as either."""
    links = [link(0, 10, 0), link(1, 11, 1), link(2, 12, 2), link(3, 13, None)]
    got = guarded(links, SHAS, {"aa": "guarded", "bb": "unguarded"})
    assert (got.guarded, got.unguarded, got.unknown, got.n) == (1, 1, 2, 2)
    assert got.share == 0.5 and got.interval == wilson(1, 2)


def test_one_guarded_fix_guards_its_failure() -> None:
    """A backport without its test does not take the guard away; on two rungs it is one failure."""
    links = [link(0, 10, 0), link(0, 10, 1), link(0, 10, 1, "szz")]
    (held,) = guarded(links, SHAS, {"aa": "unguarded", "bb": "guarded"}).each
    assert (held.status, held.fixes) == ("guarded", (0, 1))
    assert guarded(links[:1] + links[2:], SHAS, {"aa": "unguarded"}).unguarded == 1


def test_a_rung_without_a_cause_adds_nothing_to_one_that_knows_it() -> None:
    """A patch release speaks of the same failure as the revert that it ships."""
    links = [link(0, 10, 0), link(0, None, None, "patch-release"), link(1, None, None, "patch-release")]
    got = guarded(links, SHAS, {"aa": "guarded"})
    assert [(held.deployment, held.status) for held in got.each] == [(0, "guarded"), (1, "unknown")]


def test_nothing_known_has_no_share() -> None:
    """Nor has nothing at all."""
    assert guarded([link(0, 1, 1)], SHAS, {}).share is None
    assert guarded([], SHAS, {}).n == 0
