"""The sequential test, the sampling under it, and the interval that holds at every moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from math import ceil, comb, inf, isclose, log, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.stats.binomial import clopper_pearson, fisher_greater, upper_tail
from pytest_bugsle.stats.intervals import wilson
from pytest_bugsle.stats.sequential import Sampling, SequentialTest, confidence_sequence

RATES = [0.0, 0.005, 0.01, 0.05, 0.2, 0.5]
HISTORIES = 2_000
COUNTS = st.integers(1, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.5, 0.9, 0.95, 0.99])
Interval = Callable[[int, int], tuple[float, float]]


@cache
def covered(interval: Interval, rate: float, longest: int) -> list[tuple[int, int]]:
    """The least and the greatest count of failures of 1, 2, ... trials whose interval holds the rate.

    Both grow by at most one a trial, as more failures never lower an end.
    """
    found = []
    least, greatest = 0, 0
    for trials in range(1, longest + 1):
        while least < trials and interval(least, trials)[1] < rate:
            least += 1
        greatest = max(greatest, least)
        while greatest < trials and interval(greatest + 1, trials)[0] <= rate:
            greatest += 1
        found.append((least, greatest))
    return found


def ever_missed(interval: Interval, rate: float, longest: int, seed: int) -> float:
    """The share of histories in which somebody who stops where the interval is worst misses the rate."""
    draw = random.Random(seed).random  # noqa: S311 - a seeded simulation
    bounds = covered(interval, rate, longest)
    missed = 0
    for _ in range(HISTORIES):
        failures = 0
        for least, greatest in bounds:
            failures += draw() < rate
            if not least <= failures <= greatest:
                missed += 1
                break
    return missed / HISTORIES


def ever_missed_exactly(interval: Interval, rate: float, longest: int) -> float:
    """The chance of the same, from the chances of all paths that were always covered."""
    live = {0: 1.0}
    for least, greatest in covered(interval, rate, longest):
        following: dict[int, float] = {}
        for failures, chance in live.items():
            for count, share in ((failures + 1, chance * rate), (failures, chance * (1 - rate))):
                if share and least <= count <= greatest:
                    following[count] = following.get(count, 0.0) + share
        live = following
    return 1 - sum(live.values())


# The interval that holds at every moment


@given(COUNTS, LEVELS)
def test_the_ends_are_where_the_mixture_outweighs_the_rate_just_so(
    counts: tuple[int, int], level: float
) -> None:
    """The mixture, as the product of its predictions one trial ahead, is 1 / (1 - level) times as likely."""
    failures, trials = counts
    outcomes = [True] * failures + [False] * (trials - failures)
    mixture, seen = 0.0, 0
    for before, failed in enumerate(outcomes):
        count = seen if failed else before - seen
        mixture += log((count + 0.5) / (before + 1))
        seen += failed
    for end in confidence_sequence(failures, trials, level):
        if 0 < end < 1:
            likelihood = failures * log(end) + (trials - failures) * log1p(-end)
            assert isclose(mixture - likelihood, -log(1 - level), rel_tol=1e-6, abs_tol=1e-6)


@given(COUNTS, LEVELS)
def test_it_holds_the_share_stays_within_0_and_1_and_mirrors(counts: tuple[int, int], level: float) -> None:
    """Passes are failures turned around; none and all leave their end at 0 and 1."""
    failures, trials = counts
    low, high = confidence_sequence(failures, trials, level)
    assert 0 <= low <= failures / trials <= high <= 1
    assert (low == 0) == (failures == 0)
    assert (high == 1) == (failures == trials)
    mirrored = confidence_sequence(trials - failures, trials, level)
    assert isclose(low, 1 - mirrored[1], abs_tol=1e-12)
    assert isclose(high, 1 - mirrored[0], abs_tol=1e-12)


@given(COUNTS, LEVELS)
def test_one_more_failure_lowers_no_end_and_one_more_pass_raises_none(
    counts: tuple[int, int], level: float
) -> None:
    """What the simulations below rely upon."""
    failures, trials = counts
    low, high = confidence_sequence(failures, trials, level)
    failed = confidence_sequence(failures + 1, trials + 1, level)
    passed = confidence_sequence(failures, trials + 1, level)
    for after, before in ((low, passed[0]), (high, passed[1]), (failed[0], low), (failed[1], high)):
        assert after >= before - 1e-12


@given(COUNTS)
def test_it_is_wider_than_the_interval_for_a_fixed_number(counts: tuple[int, int]) -> None:
    """Looking at any time has its price; and more confidence has one too."""
    failures, trials = counts
    low, high = confidence_sequence(failures, trials)
    exact = clopper_pearson(failures, trials)
    assert low <= exact[0] + 1e-12
    assert exact[1] <= high + 1e-12
    surer = confidence_sequence(failures, trials, 0.99)
    assert surer[0] <= low
    assert high <= surer[1]


def test_before_the_first_trial_nothing_is_known() -> None:
    """And one failure leaves half of what its error is: Beta(1/2, 1/2) gave it a half."""
    assert confidence_sequence(0, 0) == (0.0, 1.0)
    low, high = confidence_sequence(1, 1)
    assert isclose(low, 0.025)
    assert high == 1.0


@pytest.mark.parametrize("rate", RATES)
def test_it_holds_the_rate_however_one_stops(rate: float) -> None:
    """In 2,000 histories of 300 trials, each stopped where it is worst, at most 5 % miss it."""
    assert ever_missed(confidence_sequence, rate, 300, seed=1) <= 0.05
    assert ever_missed_exactly(confidence_sequence, rate, 300) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_it_holds_the_rate_however_long_one_goes_on(rate: float) -> None:
    """The same for histories of 2,000 trials."""
    assert ever_missed(confidence_sequence, rate, 2_000, seed=2) <= 0.05
    assert ever_missed_exactly(confidence_sequence, rate, 2_000) <= 0.05


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_a_naive_interval_does_not(rate: float) -> None:
    """The same histories: whoever stops Wilson's interval where he likes misses in a third or more of them."""
    assert ever_missed(wilson, rate, 300, seed=1) > 0.3


# The sequential test


def wald_bounds(test: SequentialTest) -> tuple[float, float]:
    """The logarithms of Wald's own bounds, upper and lower."""
    return log((1 - test.beta) / test.alpha), log(test.beta / (1 - test.alpha))


def stable_by(test: SequentialTest, upper: float, lower: float, rate: float) -> float:
    """The chance that a test with other bounds says stable, from the chances of all paths."""
    live, stable = {0: 1.0}, 0.0
    trials = 0
    while sum(live.values()) > 1e-12:
        trials += 1
        following: dict[int, float] = {}
        for failures, chance in live.items():
            for count, share in ((failures + 1, chance * rate), (failures, chance * (1 - rate))):
                ratio = test.log_ratio(count, trials)
                if ratio <= lower:
                    stable += share
                elif ratio < upper:
                    following[count] = following.get(count, 0.0) + share
        live = following
    return stable


PAIRS = [(0.001, 0.05), (0.01, 0.1), (0.005, 0.05), (0.01, 0.2), (0.05, 0.2), (0.2, 0.5)]


@pytest.mark.parametrize(
    ("test", "wald_passes", "passes", "failures", "last_single"),
    [(SequentialTest(0.001, 0.05), 59, 60, 1, 19), (SequentialTest(0.01, 0.1), 31, 32, 2, 0)],
    ids=["0.1 % or 5 %", "1 % or 10 %"],
)
def test_straight_passes_and_first_failures_decide_as_by_hand(
    test: SequentialTest, wald_passes: int, passes: int, failures: int, last_single: int
) -> None:
    """So many passes are stable, Wald's bound being one sooner; a failure is flaky only while it comes early."""
    assert test.decide(0, passes) == "stable"
    assert test.decide(0, passes - 1) == "continue"
    assert ceil(wald_bounds(test)[1] / test.log_ratio(0, 1)) == wald_passes
    assert test.decide(failures, failures) == "flaky"
    assert test.decide(failures - 1, failures - 1) == "continue"
    if last_single:
        assert test.decide(1, last_single) == "flaky"
        assert test.decide(1, last_single + 1) == "continue"


def test_walds_bounds_would_not_keep_the_error() -> None:
    """Why ours lie further out: 5.03 % of what fails once in 20 times would be called stable, and ours 4.79 %."""
    test = SequentialTest(0.001, 0.05)
    assert round(stable_by(test, *wald_bounds(test), 0.05), 4) == 0.0503
    assert round(test.operation(0.05).stable, 4) == 0.0479


@pytest.mark.parametrize(("stable", "flaky"), PAIRS)
@pytest.mark.parametrize("error", [0.01, 0.05, 0.1])
def test_its_errors_are_as_stated_at_the_rates_and_beyond(stable: float, flaky: float, error: float) -> None:
    """Exactly, not by approximation; and further out they are smaller still."""
    test = SequentialTest(stable, flaky, error, error)
    assert test.operation(stable).flaky <= error
    assert test.operation(stable / 2).flaky <= test.operation(stable).flaky
    assert test.operation(flaky).stable <= error
    assert test.operation((1 + flaky) / 2).stable <= test.operation(flaky).stable


@pytest.mark.parametrize("rate", RATES)
def test_simulated_histories_end_as_stated(rate: float) -> None:
    """2,000 histories: errors at most as stated, mean length near the exact one, the interval at its level."""
    draw = random.Random(3).random  # noqa: S311 - a seeded simulation
    test = SequentialTest(0.005, 0.05)
    ended = {"stable": 0, "flaky": 0}
    lengths = []
    missed = 0
    for _ in range(HISTORIES):
        sampling = test.start()
        while sampling.decision == "continue":
            sampling = sampling.record(draw() < rate)
        ended[sampling.decision] += 1
        lengths.append(sampling.trials)
        low, high = sampling_interval(sampling.failures, sampling.trials)
        missed += not low <= rate <= high
    if rate <= test.stable_rate:
        assert ended["flaky"] <= test.alpha * HISTORIES
    if rate >= test.flaky_rate:
        assert ended["stable"] <= test.beta * HISTORIES + 2 * (0.05 * 0.95 * HISTORIES) ** 0.5
    exact = test.operation(rate)
    assert abs(ended["flaky"] / HISTORIES - exact.flaky) <= 0.03
    assert isclose(sum(lengths) / HISTORIES, exact.mean_trials, rel_tol=0.08)
    assert missed <= 0.05 * HISTORIES


@cache
def sampling_interval(failures: int, trials: int) -> tuple[float, float]:
    """The interval that a sampling with these counts carries."""
    return Sampling(SequentialTest(), failures, trials, "stable").interval()


@pytest.mark.parametrize(("stable", "flaky"), [(0.2, 0.3), (0.1, 0.15), (0.4, 0.5)])
def test_its_mean_length_is_near_walds_formula_where_steps_are_small(stable: float, flaky: float) -> None:
    """(L log B + (1 - L) log A) / E[z], which leaves out by how much a bound is overshot: too short by that."""
    test = SequentialTest(stable, flaky)
    for rate in (stable, flaky):
        exact = test.operation(rate)
        step = rate * test.log_ratio(1, 1) + (1 - rate) * test.log_ratio(0, 1)
        theory = (exact.stable * log(test.beta) - exact.flaky * log(test.alpha)) / step
        assert theory <= exact.mean_trials <= 1.1 * theory


def test_a_budget_always_ends_it_and_adds_to_no_error() -> None:
    """At the limit it is undecided; before it nothing changes."""
    free, bound = SequentialTest(0.01, 0.1), SequentialTest(0.01, 0.1, limit=40)
    for rate in RATES:
        unlimited, limited = free.operation(rate), bound.operation(rate)
        assert unlimited.undecided == 0
        assert limited.flaky <= unlimited.flaky
        assert limited.stable <= unlimited.stable
        assert limited.mean_trials <= min(40, unlimited.mean_trials)
        assert isclose(limited.flaky + limited.stable + limited.undecided, 1, abs_tol=1e-9)
    assert bound.operation(0.05).undecided > 0.2
    assert bound.replay([False] * 10 + [True] + [False] * 29).decision == "undecided"


def test_the_exact_chances_are_those_of_all_sequences() -> None:
    """Of ten trials, all 1,024 sequences one by one."""
    test, rate = SequentialTest(0.05, 0.5, limit=10), 0.3
    ended = {"stable": 0.0, "flaky": 0.0, "undecided": 0.0}
    mean = 0.0
    for number in range(1 << 10):
        outcomes = [bool(number >> place & 1) for place in range(10)]
        sampling, length = test.start(), 0
        for failed in outcomes:
            if sampling.decision == "continue":
                sampling, length = sampling.record(failed), length + 1
        chance = rate ** sum(outcomes) * (1 - rate) ** (10 - sum(outcomes))
        ended[sampling.decision] += chance
        mean += length * chance
    found = test.operation(rate)
    assert isclose(found.stable, ended["stable"])
    assert isclose(found.flaky, ended["flaky"])
    assert isclose(found.undecided, ended["undecided"])
    assert isclose(found.mean_trials, mean)


@given(st.sampled_from(PAIRS), COUNTS)
def test_more_failures_never_speak_for_stable(pair: tuple[float, float], counts: tuple[int, int]) -> None:
    """In the order stable, continue, flaky."""
    order = ["stable", "continue", "flaky"]
    test = SequentialTest(*pair)
    failures, trials = counts
    decision = order.index(test.decide(failures, trials))
    assert order.index(test.decide(failures + 1, trials + 1)) >= decision
    assert order.index(test.decide(failures, trials + 1)) <= decision


def test_a_decision_stands_and_later_trials_only_narrow_the_interval() -> None:
    """The ratio of all counts would not say the same any more: what was decided is kept."""
    test = SequentialTest(0.001, 0.05)
    decided = test.replay([True])
    later = test.replay([True] + [False] * 200)
    assert decided.decision == later.decision == "flaky"
    assert test.decide(later.failures, later.trials) == "stable"
    assert (later.failures, later.trials) == (1, 201)
    assert later.interval()[1] < decided.interval()[1]


def test_an_end_leaves_undecided_what_was_and_keeps_what_was_decided() -> None:
    """When the time is used up; and what comes after that decides nothing either."""
    test = SequentialTest(0.001, 0.05)
    ended = test.replay([False] * 30).end()
    assert ended.decision == "undecided"
    assert ended.record(True).decision == "undecided"
    assert test.replay([True]).end().decision == "flaky"
    assert test.start().end() == Sampling(test, decision="undecided")


def test_a_sampling_has_the_interval_that_holds_at_every_moment() -> None:
    """And no other."""
    sampling = SequentialTest().replay([False] * 60)
    assert sampling.decision == "stable"
    assert sampling.interval() == confidence_sequence(0, 60)
    assert sampling.interval(0.9) == confidence_sequence(0, 60, 0.9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SequentialTest(0.0), "stable_rate == 0.0, must be between 0 and 1"),
        (lambda: SequentialTest(0.1, 1.0), "flaky_rate == 1.0, must be between 0 and 1"),
        (lambda: SequentialTest(0.1, 0.1), "flaky_rate == 0.1, must be > stable_rate == 0.1"),
        (lambda: SequentialTest(alpha=0.0), "alpha == 0.0, must be between"),
        (lambda: SequentialTest(beta=float("nan")), "beta == nan, must be between"),
        (lambda: SequentialTest(alpha=0.5, beta=0.5), r"alpha \+ beta == 1.0, must be < 1"),
        (lambda: SequentialTest(limit=0), "limit == 0, must be >= 1"),
        (lambda: SequentialTest().decide(2, 1), "failures == 2, must be between 0 and 1"),
        (lambda: SequentialTest().operation(1.5), "rate == 1.5, must be from 0 to 1"),
        (lambda: Sampling(SequentialTest(), -1, 2), "failures == -1, must be between 0 and 2"),
        (lambda: confidence_sequence(1, 0), "failures == 1, must be between 0 and 0"),
        (lambda: confidence_sequence(0, -1), "trials == -1, must be >= 0"),
        (lambda: confidence_sequence(0, 1, 1.0), "level == 1.0, must be between 0 and 1"),
        (lambda: upper_tail(1, 2, inf), "rate == inf, must be from 0 to 1"),
        (lambda: upper_tail(1, -2, 0.5), "trials == -2, must be >= 0"),
        (lambda: clopper_pearson(3, 2), "failures == 3, must be between 0 and 2"),
        (lambda: clopper_pearson(1, 2, 0), "level == 0, must be between 0 and 1"),
        (lambda: fisher_greater(1, 2, 3, 2), "failures == 3, must be between 0 and 2"),
    ],
)
def test_what_makes_no_sense_is_an_error(make: Callable[[], object], message: str) -> None:
    """By the name of the value and its bounds."""
    with pytest.raises(ValueError, match=message):
        make()


# Exact tails


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0, 1))
def test_the_tail_is_the_sum_of_its_terms(failures: int, trials: int, rate: float) -> None:
    """Added one by one with whole binomial coefficients."""
    exact = sum(comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(failures, trials + 1))
    assert isclose(upper_tail(failures, trials, rate), min(exact, 1), rel_tol=1e-9, abs_tol=1e-12)


@given(COUNTS, LEVELS)
def test_the_ends_of_the_exact_interval_have_the_error_that_they_promise(
    counts: tuple[int, int], level: float
) -> None:
    """At the lower end so many failures or more come with half of it, at the upper end so many or fewer."""
    failures, trials = counts
    low, high = clopper_pearson(failures, trials, level)
    assert 0 <= low <= failures / trials <= high <= 1
    if failures:
        assert isclose(upper_tail(failures, trials, low), (1 - level) / 2, rel_tol=1e-6)
    if failures < trials:
        assert isclose(1 - upper_tail(failures + 1, trials, high), (1 - level) / 2, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((81, 263), 0.2527, 0.3676),
        ((15, 148), 0.0578, 0.1617),
        ((0, 20), 0.0, 0.1684),
        ((1, 29), 0.0009, 0.1776),
    ],
)
def test_published_exact_intervals_are_met(counts: tuple[int, int], low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 5."""
    found = clopper_pearson(*counts)
    assert (round(found[0], 4), round(found[1], 4)) == (low, high)


SIDES = st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(SIDES, SIDES)
def test_fishers_test_counts_the_tables_that_are_as_bad_or_worse(
    head: tuple[int, int], base: tuple[int, int]
) -> None:
    """With whole binomial coefficients."""
    both, trials, others = head[0] + base[0], head[1], base[1]
    tables = {
        k: comb(trials, k) * comb(others, both - k) for k in range(min(trials, both) + 1) if both - k >= 0
    }
    exact = sum(count for k, count in tables.items() if k >= head[0]) / comb(trials + others, both)
    assert isclose(fisher_greater(*head, *base), exact, rel_tol=1e-9)


def test_fishers_test_meets_the_lady_tasting_tea_and_large_counts() -> None:
    """All four cups right of four: 1 in 70 (Fisher, "The design of experiments", 1935); three: 17 in 70."""
    assert isclose(fisher_greater(4, 4, 0, 4), 1 / 70)
    assert isclose(fisher_greater(3, 4, 1, 4), 17 / 70)
    assert fisher_greater(1, 100_000, 90_000, 100_000) == 1
    assert fisher_greater(90_000, 100_000, 1, 100_000) == 0
    assert fisher_greater(0, 0, 3, 4) == 1
