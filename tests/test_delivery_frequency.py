"""How often deployments go out."""

from __future__ import annotations

from math import exp, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.frequency import DAY, frequency, poisson_interval


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390), (100, 81.364, 121.627)],
)
def test_the_interval_is_garwoods(count: int, low: float, high: float) -> None:
    """The values that tables of exact Poisson limits have."""
    assert poisson_interval(count) == pytest.approx((low, high), abs=6e-4)


@given(st.integers(0, 60))
def test_each_end_leaves_its_share_outside(count: int) -> None:
    """At the lower end so many and more have a chance of 2.5 %, at the upper so many and fewer."""
    low, high = poisson_interval(count)

    def below(upto: int, mean: float) -> float:
        return sum(exp(-mean) * mean**k / factorial(k) for k in range(upto + 1))

    assert below(count, high) == pytest.approx(0.025, rel=1e-6)
    if count:
        assert 1 - below(count - 1, low) == pytest.approx(0.025, rel=1e-6)
    assert low <= count < high


def test_a_large_count_has_an_interval_too() -> None:
    """Close to the normal one, and in no time."""
    low, high = poisson_interval(1_000_000)
    assert low == pytest.approx(1_000_000 - 1960, abs=5)
    assert high == pytest.approx(1_000_000 + 1960, abs=5)


def test_a_negative_count_is_an_error() -> None:
    """It names the value."""
    with pytest.raises(ValueError, match="count == -1"):
        poisson_interval(-1)


def test_the_rate_is_for_thirty_days() -> None:
    """3 in 365 days."""
    found = frequency(3, 365 * DAY)
    assert found.per_30_days == pytest.approx(0.24657, abs=1e-5)
    assert found.interval is not None
    assert found.interval[0] < 0.24657 < found.interval[1]


def test_without_time_there_is_no_rate() -> None:
    """But the count stands."""
    found = frequency(2, 0)
    assert (found.deployments, found.per_30_days, found.interval) == (2, None, None)
