"""The beta distribution and paired tests: against scipy, against each other, and at their ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.stats.beta import at_least, at_most, beta_cdf, lower_bound, upper_bound
from pytest_bugsle.stats.binomial import clopper_pearson, upper_tail
from pytest_bugsle.stats.multiplicity import benjamini_hochberg, false_discovery
from pytest_bugsle.stats.paired import mcnemar_greater, paired_bounds, paired_score_z

counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
fractions = st.floats(0.01, 5000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n)))


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1, allow_subnormal=False), st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_the_beta_distribution_is_scipys(x: float, a: float, b: float) -> None:
    """To nine digits, whatever the shapes; scipy itself is off where x has lost its digits."""
    special = pytest.importorskip("scipy.special")
    assert beta_cdf(x, a, b) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-7, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(counts, st.floats(0.001, 0.999))
def test_between_whole_counts_it_is_the_binomial(counted: tuple[int, int], rate: float) -> None:
    """So that a fraction lies between its neighbours."""
    successes, trials = counted
    exact = upper_tail(successes, trials, rate)
    assert at_least(successes, trials, rate) == pytest.approx(exact, rel=1e-6, abs=1e-9)
    if successes < trials:
        half = at_least(successes + 0.5, trials, rate)
        assert at_least(successes + 1, trials, rate) <= half + 1e-12 <= exact + 1e-9
    assert at_most(successes, trials, rate) == pytest.approx(
        1 - at_least(successes + 1, trials, rate) if successes < trials else 1.0, abs=1e-9
    )


@settings(max_examples=100, deadline=None)
@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_are_clopper_and_pearsons(counted: tuple[int, int], level: float) -> None:
    """One end of the interval with twice the error."""
    low, high = clopper_pearson(*counted, level=1 - 2 * (1 - level))
    assert lower_bound(*counted, level) == pytest.approx(low, abs=1e-9)
    assert upper_bound(*counted, level) == pytest.approx(high, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(fractions)
def test_bounds_hold_the_share_and_turn_with_it(counted: tuple[float, float]) -> None:
    """Within 0 and 1, also for fractions."""
    successes, trials = counted
    low, high = lower_bound(successes, trials), upper_bound(successes, trials)
    assert 0 <= low <= successes / trials <= high + 1e-12 <= 1 + 1e-12
    assert upper_bound(trials - successes, trials) == pytest.approx(1 - low, abs=1e-9)


def test_no_flip_proves_what_is_known() -> None:
    """The rule of three, exactly: 5 % from 59 on, 2 % from 149, 1 % from 299; 13.9 % with 20."""
    for trials, rate in ((59, 0.05), (149, 0.02), (299, 0.01)):
        assert upper_bound(0, trials) <= rate < upper_bound(0, trials - 1)
    assert upper_bound(0, 20) == pytest.approx(0.1391, abs=1e-4)
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


def test_a_contradiction_is_named() -> None:
    """As everywhere in the statistics."""
    with pytest.raises(ValueError, match=r"successes == 3, must be between 0 and 2\."):
        lower_bound(3, 2)
    with pytest.raises(ValueError, match=r"shapes 0 and 1, must be > 0\."):
        beta_cdf(0.5, 0, 1)
    with pytest.raises(ValueError, match=r"x == 2, must be from 0 to 1\."):
        beta_cdf(2, 1, 1)
    with pytest.raises(ValueError, match=r"2 and 2 discordant pairs of 3, must be no more than all\."):
        paired_bounds(2, 2, 3)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_and_hochbergs_are_scipys_whatever_the_order(p_values: list[float]) -> None:
    """And no adjusted value is below its own."""
    pytest.importorskip("scipy.stats")
    made = benjamini_hochberg(p_values)
    assert made == pytest.approx(false_discovery(p_values), abs=1e-12)
    assert benjamini_hochberg(p_values[::-1]) == made[::-1]
    assert all(new >= old - 1e-15 for new, old in zip(made, p_values, strict=True))
    assert benjamini_hochberg([]) == []


def test_ranks_are_ranks_and_not_the_order_of_sorting() -> None:
    """A published implementation takes the order for the ranks; here the third value is of the first rank."""
    assert benjamini_hochberg([0.04, 0.5, 0.001, 0.03]) == pytest.approx([0.16 / 3, 0.5, 0.004, 0.16 / 3])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_at_a_half(first: int, second: int) -> None:
    """One-sided; both sides together hold all, and the middle twice."""
    stats = pytest.importorskip("scipy.stats")
    p_value = mcnemar_greater(first, second)
    if first + second:
        exact = stats.binomtest(first, first + second, 0.5, alternative="greater").pvalue
        assert p_value == pytest.approx(float(exact), abs=1e-9)
    else:
        assert p_value == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 2000))
def test_paired_bounds_hold_the_difference_and_turn_with_the_sides(
    first: int, second: int, same: int
) -> None:
    """At either bound the score is just at its quantile."""
    trials = first + second + same
    low, high = paired_bounds(first, second, trials)
    assert -1 <= low <= (first - second) / trials <= high <= 1
    assert paired_bounds(second, first, trials) == pytest.approx((-high, -low), abs=1e-7)
    assert paired_score_z(first, second, trials, low) == pytest.approx(1.6449, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 100), st.floats(-0.8, 0.8))
def test_the_score_takes_the_likeliest_shares(first: int, second: int, same: int, difference: float) -> None:
    """The closed form against a search for the share of the second side at which the data are likeliest."""
    optimize = pytest.importorskip("scipy.optimize")
    trials = first + second + same

    def unlikely(share: float) -> float:
        total = -float(same) * math.log(max(1e-300, 1 - 2 * share - difference))
        for count, chance in ((first, share + difference), (second, share)):
            total -= count * math.log(max(1e-300, chance)) if count else 0.0
        return total

    ends = (max(0.0, -difference), (1 - difference) / 2)
    found = optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-10}).x
    variance = trials * (2 * found + difference * (1 - difference))
    off = first - second - trials * difference
    if variance > 1e-3:
        expected = pytest.approx(off / math.sqrt(variance), rel=1e-2, abs=1e-3)
        assert paired_score_z(first, second, trials, difference) == expected


def test_paired_bounds_without_a_disagreement_are_wilsons() -> None:
    """And nothing is known without pairs."""
    z = 1.6448536
    assert paired_bounds(0, 0, 100)[1] == pytest.approx(z * z / (100 + z * z), abs=1e-6)
    assert paired_bounds(0, 0, 0) == (-1.0, 1.0)


def test_paired_bounds_are_the_published_ones() -> None:
    """7 and 1 of 21 pairs: Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), 2850-2875."""
    assert paired_bounds(7, 1, 21, 0.975) == pytest.approx((0.026, 0.517), abs=1e-3)
