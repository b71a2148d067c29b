"""Which change failures cannot come back unseen."""

from __future__ import annotations

from pytest_bugsle.delivery.guarded import Status, held, joined, shares
from pytest_bugsle.results import Failure
from pytest_bugsle.stats.intervals import wilson


def failure(deployment: str, cause: str | None, fix: str | None, rung: str = "explicit") -> Failure:
    """A link of a failed deployment."""
    return Failure(rung=rung, deployment=deployment, cause=cause, fix=fix, fixed_in=None, evidence="e")


def counted(failures: list[Failure], statuses: dict[str, Status]) -> dict[Status, int]:
    """Join and count."""
    return dict(held(joined(failures, statuses)))


def test_the_share_is_of_those_that_are_known() -> None:
    """Unknown is never shown as either."""
    failures = [failure(name, "x", fix) for name, fix in zip("1234", ("aa", "bb", "cc", None), strict=True)]
    counts = counted(failures, {"aa": "guarded", "bb": "unguarded"})
    assert counts == {"guarded": 1, "unguarded": 1, "unknown": 2}
    got = shares(counts)
    assert (got.share, got.interval, got.unknown) == (0.5, wilson(1, 2), 2)


def test_one_guarded_fix_guards_its_failure() -> None:
    """A backport without its test does not take the guard away; on two rungs it is one failure."""
    failures = [failure("1", "x", "aa"), failure("1", "x", "bb"), failure("1", "x", "bb", "szz")]
    assert counted(failures, {"aa": "unguarded", "bb": "guarded"}) == {"guarded": 1}
    assert counted(failures, {"aa": "unguarded"}) == {"unguarded": 1}


def test_a_rung_without_a_cause_adds_only_what_no_cause_has() -> None:
    """A patch release speaks of the same failure as the revert that it ships, and of its other fixes as another."""
    failures = [failure("1", "x", "aa"), failure("1", None, None, "patch-release")]
    assert counted(failures, {"aa": "guarded"}) == {"guarded": 1}
    assert counted([*failures, failure("1", None, "aa", "patch-release")], {"aa": "guarded"}) == {
        "guarded": 1
    }
    more = [*failures, failure("1", None, "bb", "patch-release")]
    assert counted(more, {"aa": "guarded", "bb": "unguarded"}) == {"guarded": 1, "unguarded": 1}
    assert counted([failure("2", None, None, "patch-release")], {}) == {"unknown": 1}


def test_nothing_known_has_no_share() -> None:
    """Nor has nothing at all."""
    assert shares(counted([failure("1", "x", "aa")], {})).share is None
    assert shares(counted([], {})).unknown == 0
