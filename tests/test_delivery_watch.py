"""Two windows that were watched for equally long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.links import Link
from pytest_bugsle.delivery.releases import Deployment
from pytest_bugsle.delivery.watch import DAY, watch


def deployed(*days: int) -> list[Deployment]:
    """Give deployments on these days."""
    return [Deployment(f"v{day}", day * DAY, 0, day * DAY) for day in days]


def failed(deployment: int, by: int, deployments: list[Deployment]) -> Link:
    """Give a failure that a later deployment mended, and that showed with it."""
    return Link("explicit", deployment, deployments[by].time, "", deployment, by, by)


def test_windows_are_equally_long_and_meet() -> None:
    """Of a year with 30 days of watching, 335 days are compared with the 335 before them."""
    found = watch([], {}, 366 * DAY, 731 * DAY - 1, 30 * DAY)
    assert found.recent == (366 * DAY, 701 * DAY - 1)
    assert found.earlier == (31 * DAY, 366 * DAY - 1)


def test_a_deployment_is_watched_for_the_same_time_in_both() -> None:
    """What showed later than that, and what is too young to be watched so long, counts on neither side."""
    deployments = deployed(10, 40, 95, 110, 120, 195, 199)
    links = [
        failed(0, 1, deployments),  # after 10 days
        failed(1, 3, deployments),  # after 70 days: later than both are watched
        failed(3, 4, deployments),  # after 10 days
        failed(5, 6, deployments),  # too young
    ]
    found = watch(deployments, {"explicit": links}, 100 * DAY, 200 * DAY - 1, 30 * DAY)
    recent, earlier = found.by_rung["explicit"]
    assert found.recent == (100 * DAY, 170 * DAY - 1) and found.earlier == (30 * DAY, 100 * DAY - 1)
    assert (recent.deployments, recent.failed, recent.recoveries) == (2, 1, [10 * DAY])
    assert (earlier.deployments, earlier.failed) == (2, 0)


def test_a_recovery_takes_at_most_the_time_of_watching() -> None:
    """Longer and open ones are counted as that: an old window could show longer ones, a new one could not."""
    deployments = deployed(10, 60, 100, 400)
    links = [
        Link("incident", 0, 11 * DAY, "", 0, 1, 1, started=11 * DAY),  # 49 days
        Link("incident", 2, 101 * DAY, "", 2, None, None, started=101 * DAY),  # open
    ]
    found = watch(deployments, {"incident": links}, 50 * DAY, 150 * DAY - 1, 30 * DAY)
    recent, earlier = found.by_rung["incident"]
    assert (recent.failed, recent.recoveries, recent.open) == (1, [30 * DAY], 1)
    assert (earlier.failed, earlier.recoveries, earlier.open) == (1, [30 * DAY], 1)


def test_a_window_shorter_than_the_watching_is_empty() -> None:
    """And no window before it is longer than none."""
    found = watch(deployed(1, 5, 9), {"explicit": []}, 0, 10 * DAY, 30 * DAY)
    assert found.by_rung["explicit"][0].deployments == found.by_rung["explicit"][1].deployments == 0


@given(
    st.lists(st.integers(0, 400), min_size=2, max_size=20, unique=True),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 18), st.integers(1, 19)), max_size=20),
)
def test_moving_all_by_a_window_moves_what_is_found(
    days: list[int], watching: int, pairs: list[tuple[int, int]]
) -> None:
    """The earlier window of one view is the recent one of the view that ended then: neither saw more."""
    deployments = deployed(*sorted(days))
    links = [
        failed(first, second, deployments) for first, second in pairs if first < second < len(deployments)
    ]
    later = watch(deployments, {"explicit": links}, 250 * DAY, 450 * DAY - 1, watching * DAY)
    length = later.recent[1] - later.recent[0] + 1
    earlier = watch(
        deployments,
        {"explicit": links},
        250 * DAY - length,
        250 * DAY - 1 + watching * DAY,
        watching * DAY,
    )
    assert earlier.recent == later.earlier
    assert earlier.by_rung["explicit"][0] == later.by_rung["explicit"][1]
