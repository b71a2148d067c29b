"""The Wilson score interval."""

from __future__ import annotations

from math import comb, isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.stats.intervals import wilson

COUNTS = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17
        # (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals_are_met(successes: int, trials: int, low: float, high: float) -> None:
    """To the digits in which they were published."""
    found = wilson(successes, trials)
    assert (round(found[0], 4), round(found[1], 4)) == (low, high)


@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_ends_solve_the_score_equation(counts: tuple[int, int], level: float) -> None:
    """At each end inside (0, 1) the share lies z standard errors of that end away: the definition."""
    successes, trials = counts
    z = {0.5: 0.6744897501960817, 0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}[
        level
    ]
    for end in wilson(successes, trials, level):
        if 0 < end < 1:
            away = abs(successes / trials - end)
            assert isclose(away, z * sqrt(end * (1 - end) / trials), rel_tol=1e-6, abs_tol=1e-9)


@given(COUNTS)
def test_the_interval_holds_the_share_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    """Also at none and at all, where it still has a width."""
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


@given(COUNTS)
def test_success_and_failure_mirror_each_other(counts: tuple[int, int]) -> None:
    """The interval of the failures is the other one turned around."""
    successes, trials = counts
    low, high = wilson(successes, trials)
    mirrored = wilson(trials - successes, trials)
    assert isclose(low, 1 - mirrored[1], abs_tol=1e-12)
    assert isclose(high, 1 - mirrored[0], abs_tol=1e-12)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_more_of_the_same_narrows_it_and_more_confidence_widens_it(counts: tuple[int, int]) -> None:
    """Ten times the trials with the same share know more; 99 % asks for more room than 90 %."""
    successes, trials = counts
    low, high = wilson(successes, trials)
    more = wilson(10 * successes, 10 * trials)
    assert more[1] - more[0] < high - low
    wide, narrow = wilson(successes, trials, 0.99), wilson(successes, trials, 0.9)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_it_covers_about_as_often_as_it_says(share: float) -> None:
    """Summed over all outcomes of 40 trials, it holds the true share in about 95 of 100 cases."""
    trials = 40
    covered = sum(
        comb(trials, k) * share**k * (1 - share) ** (trials - k)
        for k in range(trials + 1)
        if (found := wilson(k, trials))[0] <= share <= found[1]
    )
    assert 0.92 < covered < 0.98


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "trials == 0, must be >= 1"),
        ((-1, 3), "successes == -1, must be between 0 and 3"),
        ((4, 3), "successes == 4, must be between 0 and 3"),
        ((1, 3, 1.0), "level == 1.0, must be between 0 and 1"),
        ((1, 3, float("nan")), "level == nan"),
    ],
)
def test_what_has_no_share_is_an_error(arguments: tuple[int, int], message: str) -> None:
    """By the name of the argument and its bounds."""
    with pytest.raises(ValueError, match=message):
        wilson(*arguments)
