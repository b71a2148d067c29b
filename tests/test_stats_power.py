"""What a number of runs sees, what it misses, and how that is said."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.stats.binomial import clopper_pearson, upper_tail
from pytest_bugsle.stats.power import (
    hide,
    miss,
    percent,
    rate_seen,
    runs_to_see,
    see_both,
    sentence,
    times_in,
)

SHARES = st.floats(0, 1)
INSIDE = st.floats(1e-4, 1, exclude_max=True)
RUNS = st.integers(0, 2_000)


@pytest.mark.parametrize(
    ("rate", "runs"), [(0.5, 5), (0.2, 14), (0.1, 29), (0.05, 59), (0.0175, 170), (0.01, 299), (1.0, 1)]
)
def test_so_many_runs_see_a_flake_with_95_percent(rate: float, runs: int) -> None:
    """170 are those of Gruber et al., "An empirical study of flaky tests in Python", 2021."""
    assert runs_to_see(rate) == runs


@given(INSIDE, st.floats(0.001, 0.999))
def test_the_runs_to_see_are_enough_and_one_less_is_not(rate: float, chance: float) -> None:
    """The definition."""
    runs = runs_to_see(rate, chance)
    assert miss(rate, runs) <= 1 - chance
    assert runs == 1 or miss(rate, runs - 1) > 1 - chance


@pytest.mark.parametrize("rate", [0.1, 0.41, 0.5])
def test_a_quotient_of_logarithms_beside_a_whole_number_is_no_run_too_many_nor_too_few(rate: float) -> None:
    """Where a whole number of runs sees the chance just so, and at the floats beside it."""
    for just_so in (1 - (1 - rate) ** runs for runs in range(1, 40)):
        for chance in (nextafter(just_so, 0), just_so, nextafter(just_so, 1)):
            runs = runs_to_see(rate, chance)
            assert miss(rate, runs) <= 1 - chance
            assert runs == 1 or miss(rate, runs - 1) > 1 - chance


@given(SHARES, RUNS)
def test_a_miss_is_no_failure_among_the_runs(rate: float, runs: int) -> None:
    """The binomial's word on the same."""
    assert 0 <= miss(rate, runs) <= 1
    assert isclose(miss(rate, runs), 1 - upper_tail(1, runs, rate), abs_tol=1e-9)
    assert miss(rate, runs + 1) <= miss(rate, runs)


@given(SHARES, st.integers(0, 50))
def test_both_outcomes_are_seen_as_often_of_a_rate_as_of_its_complement(rate: float, runs: int) -> None:
    """What is neither only passes nor only failures."""
    assert isclose(see_both(rate, runs), see_both(1 - rate, runs), abs_tol=1e-9)
    assert 0 <= see_both(rate, runs) <= 1
    if runs < 2:
        assert see_both(rate, runs) <= 1e-12


def test_ten_retries_see_both_outcomes_of_few_rare_flakes() -> None:
    """Eleven runs: 99.9 % of what fails every second time, and one in ten of what fails once in 100."""
    assert [round(see_both(rate, 11), 3) for rate in (0.5, 0.1, 0.05, 0.01)] == [0.999, 0.686, 0.431, 0.105]


def test_five_retries_hide_half_of_what_fails_nine_times_in_ten() -> None:
    """Where any pass wins."""
    assert [round(hide(rate, 5), 2) for rate in (1, 0.9, 0.8, 0.5)] == [0, 0.47, 0.74, 0.98]
    assert isclose(hide(0.9, 0), 0.1)


@given(st.integers(1, 5_000), st.floats(0.5, 0.999))
def test_the_rate_seen_is_missed_just_so(runs: int, chance: float) -> None:
    """And it is the exact one-sided bound after as many passes."""
    rate = rate_seen(runs, chance)
    assert isclose(miss(rate, runs), 1 - chance, rel_tol=1e-6)
    assert isclose(rate, clopper_pearson(0, runs, 2 * chance - 1 or 1e-9)[1], rel_tol=1e-4)


def test_the_rule_of_three_is_near_the_rate_seen() -> None:
    """3 in 100, 3 in 1,000; and no runs have seen nothing."""
    assert isclose(rate_seen(100), 0.03, rel_tol=0.02)
    assert isclose(rate_seen(1_000), 0.003, rel_tol=0.003)
    assert rate_seen(0) == 1


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.01, "1 %"),
        (0.0175, "1.75 %"),
        (0.19857, "19.9 %"),
        (0.0004, "0.04 %"),
        (0.00001, "under 0.01 %"),
        (0.9994, "99.94 %"),
        (0.99999, "over 99.99 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_written_to_three_digits(share: float, text: str) -> None:
    """And never rounded to none or all."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("chance", "text"),
    [
        (0, "never"),
        (1, "always"),
        (0.904, "9 times in 10"),
        (0.1, "once in 10"),
        (0.5, "5 times in 10"),
        (0.0485, "5 times in 100"),
        (0.0101, "once in 100"),
        (0.99, "99 times in 100"),
        (0.65, "65 times in 100"),
        (0.86, "86 times in 100"),
        (0.00043, "4 times in 10,000"),
        (0.00001, "less than once in 10,000"),
        (0.99999, "all but less than once in 10,000"),
    ],
)
def test_a_chance_is_written_by_the_roundest_number(chance: float, text: str) -> None:
    """That is not a tenth off."""
    assert times_in(chance) == text


@given(SHARES)
def test_only_what_never_and_always_happens_is_called_so(chance: float) -> None:
    """Rounding makes no certainty."""
    assert (times_in(chance) == "never") == (chance == 0)
    assert (times_in(chance) == "always") == (chance == 1)
    assert (percent(chance) == "0 %") == (chance == 0)
    assert (percent(chance) == "100 %") == (chance == 1)


def test_a_sentence_says_what_passes_would_miss() -> None:
    """By a 1 % flake, or another one."""
    assert sentence(10) == "10 passes would miss a 1 % flake 9 times in 10"
    assert sentence(1) == "1 pass would miss a 1 % flake 99 times in 100"
    assert sentence(59, 0.05) == "59 passes would miss a 5 % flake 5 times in 100"
    assert sentence(2_000) == "2,000 passes would miss a 1 % flake less than once in 10,000"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: miss(-0.1, 1), "rate == -0.1, must be from 0 to 1"),
        (lambda: miss(0.1, -1), "runs == -1, must be >= 0"),
        (lambda: see_both(0.1, -1), "runs == -1, must be >= 0"),
        (lambda: see_both(2, 0), "rate == 2, must be from 0 to 1"),
        (lambda: hide(1.1, 1), "rate == 1.1, must be from 0 to 1"),
        (lambda: hide(0.1, -1), "retries == -1, must be >= 0"),
        (lambda: runs_to_see(0), "rate == 0, must be over 0, to 1"),
        (lambda: runs_to_see(float("nan")), "rate == nan, must be over 0"),
        (lambda: runs_to_see(0.1, 1), "chance == 1, must be between 0 and 1"),
        (lambda: rate_seen(-1), "runs == -1, must be >= 0"),
        (lambda: rate_seen(1, 0), "chance == 0, must be between 0 and 1"),
        (lambda: percent(1.01), "share == 1.01, must be from 0 to 1"),
        (lambda: times_in(float("nan")), "chance == nan, must be from 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_an_error(make: Callable[[], object], message: str) -> None:
    """By the name of the value and its bounds."""
    with pytest.raises(ValueError, match=message):
        make()
