"""Bounds of a flip rate whose trials come in clusters: what they hold, and what would settle them."""

from __future__ import annotations

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness.bounds import (
    FEWEST_FLIPPING,
    FEWEST_FOR_DESIGN_EFFECT,
    RateBound,
    flip_bound,
    least,
    needed_trials,
    rate_bound,
)

clusters = st.lists(
    st.integers(0, 8).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=40
)


def of(found: list[tuple[int, int]]) -> RateBound:
    """Return the bound of (flips, variants) by example."""
    return flip_bound([flips for flips, _ in found], [variants for _, variants in found])


@settings(max_examples=200, deadline=None)
@given(clusters)
def test_the_bounds_hold_the_rate(found: list[tuple[int, int]]) -> None:
    """Within 0 and 1; the mean of the examples' own rates, those without variants left out."""
    bound = of(found)
    rates = [flips / variants for flips, variants in found if variants]
    assert bound.examples == len(rates)
    assert bound.flips == sum(flips for flips, _ in found)
    assert 0 <= bound.lower <= bound.upper <= 1
    if rates:
        assert bound.rate == pytest.approx(sum(rates) / len(rates))
        assert bound.lower <= bound.rate + 1e-12 and bound.rate <= bound.upper + 1e-12
    else:
        assert bound.rate is None and (bound.lower, bound.upper) == (0.0, 1.0)


@settings(max_examples=50, deadline=None)
@given(clusters, st.integers(2, 5))
def test_more_variants_that_all_agree_are_no_more_evidence(found: list[tuple[int, int]], times: int) -> None:
    """Twenty typos of one tweet that all flip are one tweet."""
    many = of([(flips * times, variants * times) for flips, variants in found])
    assert (many.lower, many.upper, many.effective_n) == pytest.approx(
        (of(found).lower, of(found).upper, of(found).effective_n)
    )


def test_zero_flips_count_examples_and_not_variants() -> None:
    """4,000 variants of 200 examples without a flip are worth 200."""
    bound = flip_bound([0] * 200, [20] * 200)
    assert bound.upper == pytest.approx(0.01487, abs=1e-5)
    assert bound.rule == "examples" and bound.effective_n == 200


def test_one_variant_each_is_plain_clopper_pearson() -> None:
    """The reference: 297 of 300 flip."""
    bound = flip_bound([1] * 297 + [0] * 3, [1] * 300)
    assert bound == rate_bound(297, 300)
    assert (bound.lower, bound.upper) == pytest.approx((0.97436, 0.99727), abs=1e-5)
    assert bound.outcome(0.02) == "fail"


def spread(examples: int, flipping: int) -> RateBound:
    """Return the bound where some examples flip in 4 of 20 variants, and the others never."""
    return flip_bound([4] * flipping + [0] * (examples - flipping), [20] * examples)


def test_the_design_effect_waits_for_enough_examples_on_both_sides() -> None:
    """Below 200 examples, 20 that flip, or 20 that do not always, n is the number of examples."""
    n = FEWEST_FOR_DESIGN_EFFECT
    assert spread(n, 60).rule == "design effect" and spread(n, 60).effective_n > n
    assert spread(n - 1, 60).rule == "examples" and spread(n - 1, 60).effective_n == n - 1
    assert spread(n, FEWEST_FLIPPING - 1).rule == "examples"
    some_stay = [16] * (FEWEST_FLIPPING - 1) + [20] * (n - FEWEST_FLIPPING + 1)
    assert flip_bound(some_stay, [20] * n).rule == "examples"


def test_the_design_effect_is_never_worth_less_than_the_examples_nor_more_than_the_trials() -> None:
    """Whatever the variance says."""
    random = seeded(5)
    for _ in range(30):
        n = random.randrange(200, 400)
        variants = [random.randrange(1, 20) for _ in range(n)]
        flips = [random.randrange(count + 1) for count in variants]
        bound = flip_bound(flips, variants)
        assert n <= bound.effective_n <= sum(variants)


def test_examples_that_agree_too_well_are_worth_no_more_than_their_trials() -> None:
    """All flip in 4 of 20 variants: less spread than chance would make."""
    assert spread(2000, 2000).effective_n == 2000 * 20


def test_the_bounds_turn_with_what_is_counted() -> None:
    """What flips and what does not, also by the design effect."""
    flips = [4] * 60 + [1] * 30 + [0] * 120
    bound, turned = (flip_bound(counts, [20] * 210) for counts in (flips, [20 - one for one in flips]))
    assert (bound.rule, turned.rule) == ("design effect", "design effect")
    assert (turned.lower, turned.upper) == pytest.approx((1 - bound.upper, 1 - bound.lower))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.001, 0.999),
)
def test_the_outcome_and_the_p_values_say_the_same(counted: tuple[int, int], limit: float) -> None:
    """Pass where the first is at most alpha, fail where the second is below it."""
    bound = rate_bound(*counted)
    below, above = bound.p_values(limit)
    if abs(below - 0.05) > 1e-6 and abs(above - 0.05) > 1e-6:
        assert bound.outcome(limit) == ("pass" if below <= 0.05 else "fail" if above < 0.05 else "undecided")


def test_the_n_that_would_settle_it() -> None:
    """Without a flip 59, 149, 299; never where the rate is the limit; less where examples are worth more."""
    assert [rate_bound(0, 1).needed(limit) for limit in (0.05, 0.02, 0.01)] == [59, 149, 299]
    assert rate_bound(0, 0).needed(0.02) == 149
    assert rate_bound(2, 100).needed(0.02) is None
    assert rate_bound(0, 100).needed(0.0) is None
    assert rate_bound(7, 996).needed(0.02) == 343
    plain = needed_trials(0.1, 0.06)
    assert plain is not None and (spread(400, 120).needed(0.1, 0.06) or plain) < plain


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.3), st.floats(0.01, 0.3))
def test_what_is_needed_settles_it_and_one_less_does_not(rate: float, limit: float) -> None:
    """The bounds at rate·n trials are on one side of the limit."""
    n = needed_trials(limit, rate)
    if n is None or n > 10**6:
        return
    from pytest_bugsle.stats.beta import lower_bound, upper_bound

    def settled(trials: int) -> bool:
        count = rate * trials
        return upper_bound(count, trials) <= limit or lower_bound(count, trials) > limit

    assert settled(n + 1)
    assert n == 1 or not settled(n - 1)


def test_contradictions_are_named() -> None:
    """Lengths, and more flips than variants."""
    with pytest.raises(ValueError, match=r"1 counts of flips and 2 of variants, must be as many\."):
        flip_bound([1], [1, 1])
    with pytest.raises(ValueError, match=r"flips_by_example\[1\] == 3, must be between 0 and 2\."):
        flip_bound([0, 3], [1, 2])
    with pytest.raises(ValueError, match=r"limit == 1\.5, must be from 0 to 1\."):
        rate_bound(0, 1).outcome(1.5)
    assert least(lambda n: False, 100) is None


def test_it_covers_where_examples_differ() -> None:
    """50 examples of 20 variants, correlated: what is claimed for one-sided 95 % holds (a seeded simulation)."""
    random = seeded(11)
    rate, missed_low, missed_high, runs = 0.06, 0, 0, 400
    for _ in range(runs):
        chances = [random.betavariate(rate * 2.3, (1 - rate) * 2.3) for _ in range(50)]
        flips = [sum(random.random() < chance for _ in range(20)) for chance in chances]
        bound = flip_bound(flips, [20] * 50)
        missed_low += bound.lower > rate
        missed_high += bound.upper < rate
    assert missed_low / runs <= 0.05 and missed_high / runs <= 0.05
