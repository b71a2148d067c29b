"""Intervals by rank, and the difference of two shares."""

from __future__ import annotations

from itertools import combinations
from math import comb, inf, nan
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.stats.intervals import difference, wilson
from pytest_bugsle.stats.ranks import median_interval, shift

SAMPLES = st.lists(st.integers(-50, 50), min_size=1, max_size=30)
SHARES = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("new", "old", "low", "high"),
    [
        # Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
        # Medicine 17 (1998), 873-890, table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_published_differences_are_met(
    new: tuple[int, int], old: tuple[int, int], low: float, high: float
) -> None:
    """To the digits in which they were published."""
    found = difference(*new, *old)
    assert (round(found[0], 4), round(found[1], 4)) == (low, high)


@given(SHARES, SHARES)
def test_a_difference_turns_round_with_its_sides(new: tuple[int, int], old: tuple[int, int]) -> None:
    """It holds the estimate, stays within -1 and 1, and is its own mirror."""
    low, high = difference(*new, *old)
    share = new[0] / new[1] - old[0] / old[1]
    assert -1 - 1e-9 <= low <= share + 1e-9 and share - 1e-9 <= high <= 1 + 1e-9
    assert difference(*old, *new) == pytest.approx((-high, -low), abs=1e-12)


@given(SHARES)
def test_no_change_is_never_excluded_by_equal_shares(counts: tuple[int, int]) -> None:
    """The interval of a share less itself holds 0."""
    low, high = difference(*counts, *counts)
    assert low <= 0 <= high
    assert high - low >= wilson(*counts)[1] - wilson(*counts)[0] - 1e-12


@given(SAMPLES, SAMPLES)
def test_the_shift_is_the_median_of_all_differences(new: list[int], old: list[int]) -> None:
    """By the definition, and the ends of the interval are differences, too."""
    every = sorted(a - b for a in new for b in old)
    found = shift(new, old)
    assert found.estimate == median(every)
    if found.interval is not None:
        low, high = found.interval
        assert low in every and high in every and low <= found.estimate <= high
        assert shift(old, new).interval == (-high, -low)


@given(SAMPLES, SAMPLES, st.integers(-100, 100))
def test_the_shift_moves_with_the_sample(new: list[int], old: list[int], by: int) -> None:
    """Everything later by so much is a shift by as much."""
    plain, moved = shift(new, old), shift([value + by for value in new], old)
    assert moved.estimate == plain.estimate + by
    if plain.interval is not None:
        assert moved.interval == (plain.interval[0] + by, plain.interval[1] + by)


@pytest.mark.parametrize("sizes", [(5, 5), (5, 8), (7, 4), (6, 6)])
def test_a_false_alarm_is_as_rare_as_promised(sizes: tuple[int, int]) -> None:
    """Of all ways to deal ranks to two samples of one source, at most 5 % exclude 0: exact, by counting."""
    n = sum(sizes)
    alarms = 0
    for chosen in combinations(range(n), sizes[0]):
        interval = shift(chosen, [rank for rank in range(n) if rank not in set(chosen)]).interval
        assert interval is not None
        alarms += interval[0] > 0 or interval[1] < 0
    assert 0 < alarms <= 0.05 * comb(n, sizes[0])


@pytest.mark.parametrize("n", [*range(8, 60), 200, 999])
def test_the_median_lies_where_it_is_said(n: int) -> None:
    """The chance by the binomial that both ends are on one side of the median is at most 5 %."""
    interval = median_interval(range(1, n + 1))
    assert interval is not None
    low, high = interval
    assert low + high == n + 1
    assert 2 * sum(comb(n, k) for k in range(low)) <= 0.05 * 2**n
    # And not idle: one rank further would be at most a little too bold.
    assert n < 10 or 2 * sum(comb(n, k) for k in range(low + 2)) > 0.05 * 2**n


def test_too_few_have_no_interval() -> None:
    """Seven values cannot hold a median, nor can three against three differ."""
    assert median_interval(range(7)) is None
    assert median_interval([]) is None
    assert shift([9, 9, 9], [1, 1, 1]).interval is None
    assert shift([9, 9, 9, 9], [1, 1, 1, 1]).interval == (8, 8)


def test_contradictions_are_named() -> None:
    """Nothing is no sample, and a level is a probability."""
    with pytest.raises(ValueError, match="samples of 0 and 1 values, must have one each"):
        shift([], [1])
    for level in (0, 1, nan, inf):
        with pytest.raises(ValueError, match="level == "):
            median_interval([1], level)
