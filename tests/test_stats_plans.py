"""Sizes, bounds and families: limits, invariances, and what statsmodels says."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.stats import multiplicity, sizes, spending, stratified, trends
from pytest_bugsle.stats.proportions import normal_quantile, normal_tail

stats = pytest.importorskip("scipy.stats")

PLAIN = settings(max_examples=60, deadline=None)
ALPHAS = st.sampled_from([0.01, 0.05, 0.1])
POWERS = st.sampled_from([0.5, 0.8, 0.95])
RATIOS = st.sampled_from([0.25, 1.0, 3.0])
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
COUNTS = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SEGMENTS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=6)


# --- sizes --------------------------------------------------------------------------------------------


@PLAIN
@given(st.floats(0.05, 5), st.floats(0.1, 10), ALPHAS, POWERS, RATIOS, st.sampled_from([1, 2]))
def test_the_size_of_means_has_its_power(
    off: float, deviation: float, alpha: float, power: float, ratio: float, sides: Any
) -> None:
    """Four times the size shows half the difference; a unit changes nothing."""
    options: dict[str, Any] = {"alpha": alpha, "power": power, "ratio": ratio, "sides": sides}
    size = sizes.means_size(off, deviation, **options)
    found = sizes.means_power(off, deviation, size, alpha=alpha, ratio=ratio, sides=sides)
    assert power - 1e-9 <= found <= power + alpha / 2
    assert sizes.means_size(off / 2, deviation, **options) == pytest.approx(4 * size)
    assert sizes.means_size(7 * off, 7 * deviation, **options) == pytest.approx(size)
    assert sizes.means_size(-off, deviation, **options) == pytest.approx(size)


@PLAIN
@given(st.floats(0.02, 0.97), st.floats(0.02, 0.97), ALPHAS, POWERS, RATIOS)
def test_the_size_of_shares_does_not_ask_which_is_success(
    control: float, treatment: float, alpha: float, power: float, ratio: float
) -> None:
    """Nor, in arms of one size, which is control."""
    if abs(control - treatment) < 0.01:
        return
    size = sizes.shares_size(control, treatment, alpha=alpha, power=power, ratio=ratio)
    assert sizes.shares_size(
        1 - control, 1 - treatment, alpha=alpha, power=power, ratio=ratio
    ) == pytest.approx(size, rel=1e-6)
    if ratio == 1:
        assert sizes.shares_size(treatment, control, alpha=alpha, power=power) == pytest.approx(
            size, rel=1e-6
        )
    one = sizes.shares_size(control, treatment, alpha=alpha / 2, power=power, ratio=ratio, sides=1)
    assert one == pytest.approx(size, rel=1e-6)


@PLAIN
@given(st.floats(0.1, 1.2), ALPHAS, POWERS, st.sampled_from([0.5, 1.0, 2.0]))
def test_the_size_of_a_t_test_is_that_of_statsmodels(
    d: float, alpha: float, power: float, ratio: float
) -> None:
    """By the noncentral t; and hardly below the normal's, of which the far tail is left out."""
    module = pytest.importorskip("statsmodels.stats.power")
    size = sizes.t_test_size(d, alpha=alpha, power=power, ratio=ratio)
    assert size >= 0.999 * sizes.means_size(d, 1.0, alpha=alpha, power=power, ratio=ratio)
    if size > 3 and size * ratio > 3:
        found = module.TTestIndPower().power(d, size, alpha, ratio=ratio)
        assert found == pytest.approx(power, abs=1e-6)


@PLAIN
@given(st.floats(0.02, 0.9), st.integers(50, 100_000), POWERS)
def test_what_is_detectable_has_the_planned_power(control: float, size: int, power: float) -> None:
    """Or nothing is."""
    rise = sizes.shares_detectable(control, size, power=power)
    if rise is None:
        assert sizes.shares_power(control, 1.0, size) < power
        return
    assert sizes.shares_power(control, control + rise, size) == pytest.approx(power, abs=1e-6)
    more = sizes.shares_detectable(control, 2 * size, power=power)
    assert more is not None and more <= rise


@PLAIN
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), POWERS)
def test_the_arcsine_size_is_that_of_its_effect(control: float, treatment: float, power: float) -> None:
    """h turns its sign with the arms."""
    h = sizes.effect_h(control, treatment)
    assert sizes.effect_h(treatment, control) == pytest.approx(-h)
    assert sizes.effect_h(1 - control, 1 - treatment) == pytest.approx(-h, abs=1e-12)
    if abs(h) > 0.01:
        size = sizes.arcsine_size(h, power=power)
        assert size == pytest.approx(sizes.arcsine_size(-h, power=power))
        assert sizes.arcsine_detectable(size, power=power) == pytest.approx(abs(h), rel=1e-6)


def test_sizes_name_what_they_cannot_do() -> None:
    """By the value."""
    for call, named in (
        (lambda: sizes.means_size(0, 1), "difference == 0"),
        (lambda: sizes.shares_size(0.1, 0.1), "equals the margin"),
        (lambda: sizes.shares_size(0.1, 1.2), "treatment == 1.2"),
        (lambda: sizes.means_size(1, 1, ratio=0), "ratio == 0"),
        (lambda: sizes.means_size(1, 1, sides=3), "sides == 3"),
        (lambda: sizes.means_size(1, 1, alpha=0), "alpha == 0"),
    ):
        with pytest.raises(ValueError, match=named):
            call()
    assert sizes.design_effect(1, 0.5) == 1 and sizes.design_effect(11, 0.1) == pytest.approx(2)


# --- bounds -------------------------------------------------------------------------------------------

SHARES = st.lists(st.floats(0.05, 0.95), min_size=1, max_size=3, unique=True).map(
    lambda found: [*sorted(found), 1.0]
)


@settings(max_examples=12, deadline=None)
@given(SHARES, ALPHAS, st.sampled_from(["obrien-fleming", "pocock", "power"]), st.sampled_from([1, 2]))
def test_bounds_spend_alpha_and_no_more(shares: list[float], alpha: float, kind: Any, sides: Any) -> None:
    """By simulation of what crosses any of them; its deviation is 0.0022 at most."""
    numpy = pytest.importorskip("numpy")
    made = spending.bounds(shares, alpha, kind, sides)
    steps = numpy.diff([0.0, *shares])
    paths = numpy.random.default_rng(1).normal(size=(20_000, len(shares))) * numpy.sqrt(steps)
    z = paths.cumsum(axis=1) / numpy.sqrt(shares)
    crossed = ((numpy.abs(z) if sides == 2 else z) > made).any(axis=1).mean()
    assert crossed == pytest.approx(alpha, abs=0.008)


@PLAIN
@given(st.floats(0, 1), st.floats(0, 1), ALPHAS, st.sampled_from(["obrien-fleming", "pocock", "power"]))
def test_more_information_may_spend_more(first: float, second: float, alpha: float, kind: Any) -> None:
    """From nothing to all of alpha."""
    low, high = sorted((first, second))
    assert 0 <= spending.spent(low, alpha, kind) <= spending.spent(high, alpha, kind) <= alpha + 1e-15
    assert spending.spent(0, alpha, kind) == 0 and spending.spent(1, alpha, kind) == alpha


@PLAIN
@given(st.integers(2, 10**7), st.floats(10, 1e6), ALPHAS)
def test_always_valid_bounds_and_p_values_say_the_same(n: int, n_star: float, alpha: float) -> None:
    """At the bound the p-value is alpha; it is wider than one look's, and nearly narrowest at n_star."""
    z = spending.always_valid_z(n, n_star, alpha)
    assert z > normal_quantile(1 - alpha / 2)
    assert spending.always_valid_p(z, n, n_star, alpha) == pytest.approx(alpha, rel=1e-6)
    assert spending.always_valid_p(0, n, n_star, alpha) == 1
    width = z / math.sqrt(n)
    best = spending.always_valid_z(n_star, n_star, alpha) / math.sqrt(n_star)
    assert width * math.sqrt(n / n_star) >= 0.97 * best


def test_classic_bounds_are_the_published_ones() -> None:
    """Pocock 1977 and O'Brien and Fleming 1979, five looks."""
    assert spending.classic(5)[0] == pytest.approx(2.413, abs=1e-3)
    assert spending.classic(5, shape="obrien-fleming")[-1] == pytest.approx(2.040, abs=1e-3)
    assert spending.classic(1) == pytest.approx([1.959964], abs=1e-5)


# --- families -------------------------------------------------------------------------------------------


@PLAIN
@given(P_VALUES)
def test_adjusted_p_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    """All five procedures."""
    module = pytest.importorskip("statsmodels.stats.multitest")
    for ours, theirs in (
        (multiplicity.holm(p_values), "holm"),
        (multiplicity.bonferroni(p_values), "bonferroni"),
        (multiplicity.hommel(p_values), "hommel"),
        (multiplicity.false_discovery(p_values), "fdr_bh"),
        (multiplicity.false_discovery(p_values, dependent=True), "fdr_by"),
    ):
        assert ours == pytest.approx(list(module.multipletests(p_values, method=theirs)[1]), abs=1e-9)


@PLAIN
@given(P_VALUES, st.randoms())
def test_the_order_of_a_family_does_not_matter(p_values: list[float], chance: Any) -> None:
    """And one test alone is no family."""
    order = list(range(len(p_values)))
    chance.shuffle(order)
    for adjust in (
        multiplicity.holm,
        multiplicity.hommel,
        multiplicity.bonferroni,
        multiplicity.false_discovery,
    ):
        plain, mixed = adjust(p_values), adjust([p_values[place] for place in order])
        assert mixed == pytest.approx([plain[place] for place in order])
        assert adjust([p_values[0]]) == pytest.approx([p_values[0]]) and adjust([]) == []
        with pytest.raises(ValueError, match=r"p_values\[0\] == 1.5"):
            adjust([1.5])


# --- segments and lines ---------------------------------------------------------------------------------


@PLAIN
@given(SEGMENTS)
def test_segments_turn_with_the_arms_and_in_any_order(segments: Any) -> None:
    """An effect within them is between the least and the most of theirs."""
    turned, backwards = [(t, c) for c, t in segments], segments[::-1]
    found = stratified.risk_difference(segments)
    each = [t[0] / t[1] - c[0] / c[1] for c, t in segments]
    assert found is not None and min(each) - 1e-9 <= found <= max(each) + 1e-9
    assert stratified.risk_difference(turned) == pytest.approx(-found)
    assert stratified.risk_difference(backwards) == pytest.approx(found)
    assert stratified.cochran_z(turned) == pytest.approx(-stratified.cochran_z(segments))
    assert 0 <= stratified.cochran_p(segments) <= 1
    odds = stratified.odds_ratio(segments)
    if odds:
        assert stratified.odds_ratio(turned) == pytest.approx(1 / odds)
        same, other = stratified.breslow_day(segments), stratified.breslow_day(turned)
        assert (same is None) == (other is None) and (same is None or same == pytest.approx(other, abs=1e-6))


@PLAIN
@given(
    st.lists(
        st.tuples(*[st.integers(5, 200).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n)))] * 2),
        min_size=2,
        max_size=6,
    )
)
def test_segments_are_those_of_statsmodels(segments: Any) -> None:
    """Mantel-Haenszel's odds ratio, Cochran's test and Breslow's and Day's."""
    module = pytest.importorskip("statsmodels.stats.contingency_tables")
    numpy = pytest.importorskip("numpy")
    tables = [numpy.array([[t[0], t[1] - t[0]], [c[0], c[1] - c[0]]]) for c, t in segments]
    made = module.StratifiedTable(tables)
    assert stratified.odds_ratio(segments) == pytest.approx(made.oddsratio_pooled)
    assert stratified.cochran_p(segments) == pytest.approx(made.test_null_odds().pvalue, abs=1e-9)
    equal = made.test_equal_odds().pvalue
    # Where all odds ratios are exactly the same it has no number, and they agree perfectly.
    assert stratified.breslow_day(segments) == pytest.approx(1.0 if math.isnan(equal) else equal, abs=1e-6)


@PLAIN
@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=2, max_size=5))
def test_independence_is_scipys(table: list[list[int]]) -> None:
    """Without its empty rows and columns."""
    found = stratified.independence(table)
    rows = [row for row in table if sum(row)]
    columns = [column for column in zip(*rows, strict=True) if sum(column)]
    if found is None:
        assert len(rows) < 2 or len(columns) < 2
        return
    expected = stats.chi2_contingency(list(zip(*columns, strict=True)), correction=False)
    assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9, abs=1e-9)


@PLAIN
@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 5)), min_size=2, max_size=8), st.floats(-100, 100)
)
def test_one_effect_behind_several_does_not_ask_where_zero_is(pairs: Any, shift: float) -> None:
    """Nor for the unit; equal estimates agree."""
    values, errors = [value for value, _ in pairs], [error for _, error in pairs]
    found = stratified.cochran_q(values, errors)
    assert found is not None and 0 <= found <= 1
    assert stratified.cochran_q([value + shift for value in values], errors) == pytest.approx(found, abs=1e-6)
    assert stratified.cochran_q([3 * v for v in values], [3 * e for e in errors]) == pytest.approx(
        found, abs=1e-9
    )
    assert stratified.cochran_q([shift] * len(errors), errors) == pytest.approx(1)
    assert stratified.cochran_q(values[:1], errors[:1]) is None


@PLAIN
@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 5)), min_size=3, max_size=10),
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_a_weighted_line_is_that_of_statsmodels(pairs: Any, start: float, slope: float) -> None:
    """And moves with what is added to the values; a perfect one is found."""
    module = pytest.importorskip("statsmodels.api")
    at = list(range(len(pairs)))
    values, errors = [value for value, _ in pairs], [error for _, error in pairs]
    found = trends.weighted_slope(at, values, errors)
    assert found is not None
    expected = module.WLS(values, module.add_constant(at), weights=[1 / error**2 for error in errors]).fit()
    assert found.value == pytest.approx(expected.params[1], abs=1e-9)
    if found.error > 1e-6:
        assert found.error == pytest.approx(expected.bse[1], rel=1e-6)
        assert found.p_value == pytest.approx(expected.pvalues[1], abs=1e-6)
    moved = trends.weighted_slope(
        at, [v + start + slope * x for v, x in zip(values, at, strict=True)], errors
    )
    assert moved is not None and moved.value == pytest.approx(found.value + slope, abs=1e-9)
    assert moved.error == pytest.approx(found.error, abs=1e-6)


def test_a_line_needs_three_places_of_its_own() -> None:
    """And errors."""
    assert trends.weighted_slope([1, 1, 1], [1, 2, 3], [1, 1, 1]) is None
    assert trends.weighted_slope([1, 2, 3], [1, 2, 3], [1, 1, 0]) is None
    assert normal_tail(0) == 0.5
