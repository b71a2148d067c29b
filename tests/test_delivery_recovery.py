"""How long a failed deployment stayed so."""

from __future__ import annotations

from delivery_stories import DAY, line, story

from pytest_bugsle.delivery.links import Link
from pytest_bugsle.delivery.recovery import Restored, recovery

TOLD = story(line("a", "b", "c", "d"), {"1": ("a", 1), "2": ("b", 3), "3": ("c", 6), "4": ("d", 20)})
NOW = 100 * DAY


def link(
    deployment: int, cause: int | None, fixed_in: int | None, rung: str = "explicit", **more: int
) -> Link:
    """A failure of a deployment, mended in another."""
    return Link(rung, deployment, 0, "e", cause, more.pop("fix", None), fixed_in, **more)  # type: ignore[arg-type]


def days(*links: Link, until: int = NOW) -> list[float | None]:
    """Give the days of each failed deployment, None for what is open."""
    each = recovery(TOLD.deployments, links, until)
    return [None if one.end is None else one.seconds / DAY for one in each]


def test_from_the_deployment_to_the_earliest_deployed_fix() -> None:
    """A fix that came twice (a backport) ends it when the first copy ships."""
    assert days(link(0, 0, 2), link(0, 0, 1)) == [2]


def test_every_cause_has_to_be_mended() -> None:
    """The last of them ends the failure; one bad deployment is one value, however many pairs it has."""
    links = [link(0, 10, 1), link(0, 11, 2), link(0, 12, 2)]
    assert days(*links) == [5]


def test_what_is_not_mended_stays_open() -> None:
    """Left out, the worst failures would look as if they had not happened."""
    got = recovery(TOLD.deployments, [link(0, 10, 1), link(0, 11, None), link(2, 5, 3)], NOW)
    assert got[0] == Restored(0, DAY, None, 99 * DAY)
    assert [one.end is None for one in got] == [True, False]


def test_a_fix_that_was_deployed_after_now_is_not_known() -> None:
    """A window of the past is judged with what was known then."""
    assert days(link(0, 0, 2), until=5 * DAY) == [None]


def test_an_incident_begins_when_it_says() -> None:
    """And ends with the deployment of its fix, or without a known fix when the record says."""
    assert days(link(0, None, 2, "incident", started=2 * DAY)) == [4]
    assert days(link(0, None, None, "incident", started=2 * DAY, resolved=3 * DAY)) == [1]
    assert days(link(0, None, None, "incident", started=2 * DAY, resolved=3 * DAY, fix=7)) == [None]


def test_two_incidents_of_one_deployment_are_both_waited_for() -> None:
    """Though neither names a commit."""
    one = link(0, None, None, "incident", started=2 * DAY, resolved=3 * DAY)
    other = link(0, None, None, "incident", started=4 * DAY, resolved=9 * DAY)
    assert days(one, other) == [7]


def test_the_strongest_rung_decides() -> None:
    """Blame finds something to mend for years: it does not keep open what a record closed."""
    record = link(0, None, None, "incident", started=DAY, resolved=2 * DAY)
    assert days(record, link(0, 3, None, "szz"), link(0, 4, 3, "explicit")) == [1]


def test_clocks_that_disagree_are_not_clamped() -> None:
    """A fix from before the failure is a negative time, and stays one."""
    told = story(line("a", "b"), {"1": ("a", 3), "2": ("b", 1)})
    (one,) = recovery(told.deployments, [Link("explicit", 1, 0, "e", 0, 1, 0)], NOW)
    assert one.seconds == -2 * DAY


def test_nothing_failed() -> None:
    """Then nothing is measured."""
    assert recovery(TOLD.deployments, [], NOW) == []
