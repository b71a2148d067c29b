"""Two arms compared: what must hold of every test and interval of means and shares, and what other libraries say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_bugsle.stats import means, proportions
from pytest_bugsle.stats.moments import Moments, PairedMoments

stats = pytest.importorskip("scipy.stats")

COUNTS = st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
INSIDE = st.integers(5, 400).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n)))
VALUES = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=2, max_size=30)
SPREAD = VALUES.filter(lambda column: Moments.of(column).deviation > 1e-3)
ALPHAS = st.sampled_from([0.01, 0.05, 0.1, 0.3])
PLAIN = settings(max_examples=80, deadline=None)


# --- shares -----------------------------------------------------------------------------------------


@PLAIN
@given(COUNTS, COUNTS)
def test_the_pooled_z_is_pearsons_chi_square(control: Any, treatment: Any) -> None:
    """And turns its sign with the arms, and with successes and failures."""
    z = proportions.pooled_z(control, treatment)
    assert proportions.pooled_z(treatment, control) == pytest.approx(-z)
    turned = [(n - x, n) for x, n in (control, treatment)]
    assert proportions.pooled_z(*turned) == pytest.approx(-z)
    successes = control[0] + treatment[0]
    if 0 < successes < control[1] + treatment[1]:
        table = [[x, n - x] for x, n in (control, treatment)]
        assert z * z == pytest.approx(stats.chi2_contingency(table, correction=False).statistic, abs=1e-9)
        assert proportions.least_expected(control, treatment) == pytest.approx(
            stats.contingency.expected_freq(table).min()
        )


@PLAIN
@given(COUNTS, COUNTS, ALPHAS, st.sampled_from(["wald", "agresti_caffo", "newcombe", "score"]))
def test_intervals_turn_with_the_arms_and_narrow_with_the_level(
    control: Any, treatment: Any, alpha: float, method: str
) -> None:
    """And with failures for successes."""
    interval = getattr(proportions, method)
    low, high = interval(control, treatment, alpha)
    assert interval(treatment, control, alpha) == pytest.approx((-high, -low), abs=1e-9)
    failed = [(n - x, n) for x, n in (control, treatment)]
    assert interval(*failed, alpha) == pytest.approx((-high, -low), abs=1e-9)
    wide = interval(control, treatment, alpha / 2)
    assert wide[0] <= low + 1e-9 and high <= wide[1] + 1e-9


@PLAIN
@given(COUNTS, COUNTS, ALPHAS)
def test_known_intervals_are_those_of_statsmodels(control: Any, treatment: Any, alpha: float) -> None:
    """Those that it has right: Wald, Agresti and Caffo, Newcombe."""
    module = pytest.importorskip("statsmodels.stats.proportion")
    for ours, theirs in (("wald", "wald"), ("agresti_caffo", "agresti-caffo"), ("newcombe", "newcomb")):
        expected = module.confint_proportions_2indep(
            *treatment, *control, method=theirs, compare="diff", alpha=alpha
        )
        found = getattr(proportions, ours)(control, treatment, alpha)
        assert found == pytest.approx(
            [max(-1.0, min(1.0, end)) if ours == "newcombe" else end for end in expected], abs=1e-9
        )


@PLAIN
@given(INSIDE, INSIDE, st.floats(-0.5, 0.5))
def test_constrained_shares_are_the_likeliest(control: Any, treatment: Any, margin: float) -> None:
    """No other pair that differs by the margin makes the counts likelier."""
    share, other = proportions.constrained(control, treatment, margin)
    assert other - share == pytest.approx(margin, abs=1e-9)

    def likelihood(at: float) -> float:
        pairs = ((control, at), (treatment, at + margin))
        if not all(0 < p < 1 for _, p in pairs):
            return -math.inf
        return sum(x * math.log(p) + (n - x) * math.log1p(-p) for (x, n), p in pairs)

    best = likelihood(share)
    assume(best > -math.inf)
    for off in (-0.01, -1e-4, 1e-4, 0.01):
        assert likelihood(share + off) <= best + 1e-9


@PLAIN
@given(INSIDE, INSIDE, ALPHAS)
def test_the_ends_of_the_score_interval_are_just_not_rejected(
    control: Any, treatment: Any, alpha: float
) -> None:
    """By the test that it inverts; non-inferiority by it says the same."""
    low, high = proportions.score(control, treatment, alpha)
    z = proportions.normal_quantile(1 - alpha / 2)
    for end, sign in ((low, 1), (high, -1)):
        if abs(end) < 1 - 1e-9:
            assert proportions.score_z(control, treatment, end) * sign == pytest.approx(z, abs=1e-5)
    if low < -1e-6:
        assert proportions.farrington_manning(control, treatment, -low + 1e-9) <= alpha / 2 + 1e-6


@PLAIN
@given(INSIDE, INSIDE, ALPHAS)
def test_katz_interval_is_scipys(control: Any, treatment: Any, alpha: float) -> None:
    """Of the ratio, less 1."""
    made = stats.contingency.relative_risk(*treatment, *control)
    ends = made.confidence_interval(1 - alpha)
    assert proportions.katz(control, treatment, alpha) == pytest.approx((ends.low - 1, ends.high - 1))
    assert proportions.katz((0, 9), treatment, alpha) is None


# --- means ------------------------------------------------------------------------------------------


@PLAIN
@given(SPREAD, SPREAD, ALPHAS)
def test_welch_is_scipys(control: list[float], treatment: list[float], alpha: float) -> None:
    """Statistic, p-values on each side, degrees of freedom and interval."""
    made = means.welch(Moments.of(control), Moments.of(treatment))
    expected = stats.ttest_ind(treatment, control, equal_var=False)
    assert made.statistic() == pytest.approx(expected.statistic, rel=1e-9, abs=1e-12)
    assert made.p_value() == pytest.approx(expected.pvalue, rel=1e-8)
    assert made.df == pytest.approx(expected.df)
    ends = expected.confidence_interval(1 - alpha)
    assert made.interval(alpha) == pytest.approx((ends.low, ends.high), rel=1e-8, abs=1e-9)
    greater = stats.ttest_ind(treatment, control, equal_var=False, alternative="greater")
    assert made.p_above() == pytest.approx(greater.pvalue, rel=1e-8)


@PLAIN
@given(SPREAD, SPREAD, st.floats(-100, 100), st.sampled_from([0.5, 4.0, 1024.0]))
def test_a_unit_and_an_offset_change_no_p_value(
    control: list[float], treatment: list[float], offset: float, unit: float
) -> None:
    """And the arms' turn only the sign."""
    plain = means.welch(Moments.of(control), Moments.of(treatment))
    moved = means.welch(*(Moments.of([unit * (v + offset) for v in arm]) for arm in (control, treatment)))
    assert moved.p_value() == pytest.approx(plain.p_value(), rel=1e-5, abs=1e-12)
    assert moved.value == pytest.approx(unit * plain.value, rel=1e-6, abs=1e-6)
    turned = means.welch(Moments.of(treatment), Moments.of(control))
    assert (
        turned.value == -plain.value and turned.error == plain.error and turned.df == pytest.approx(plain.df)
    )


@PLAIN
@given(
    st.lists(st.floats(1, 100), min_size=3, max_size=20), st.lists(st.floats(1, 100), min_size=3, max_size=20)
)
def test_the_lift_by_four_ways_agrees(control: list[float], treatment: list[float]) -> None:
    """Fieller, the delta method and the logarithm, where the control is sure."""
    c, t = Moments.of(control * 400), Moments.of(treatment * 400)
    assume(c.deviation > 0 and t.deviation > 0)
    lift, z = t.mean / c.mean - 1, 1.96
    made = means.fieller(c.mean, t.mean, (t.variance / t.n, 0.0, c.variance / c.n), z)
    reach = z * means.lift_error(c, t)
    logged = means.log_lift(c, t, 0.05)
    assert made is not None and logged is not None
    assert made == pytest.approx((lift - reach, lift + reach), abs=0.1 * reach)
    assert logged == pytest.approx(made, abs=0.1 * reach)


@PLAIN
@given(SPREAD, SPREAD, st.floats(0.1, 50))
def test_equivalence_is_the_worse_of_two_tests(
    control: list[float], treatment: list[float], margin: float
) -> None:
    """It rejects just where the interval of 1 - 2 alpha lies inside."""
    made = means.welch(Moments.of(control), Moments.of(treatment))
    p_value = made.p_equivalent(-margin, margin)
    low, high = made.interval(0.1)
    assert (p_value < 0.05) == (-margin < low and high < margin) or abs(p_value - 0.05) < 1e-9
    assert p_value >= 0.5 or abs(made.value) <= margin
    with pytest.raises(ValueError, match="must be < high"):
        made.p_equivalent(1, 1)


# --- moments ----------------------------------------------------------------------------------------


@PLAIN
@given(VALUES, st.floats(-1e6, 1e6), st.floats(-100, 100))
def test_moments_are_those_of_the_definition(values: list[float], shift: float, factor: float) -> None:
    """Around whatever value they are summed, and scaled."""
    numpy = pytest.importorskip("numpy")
    made = Moments.of(values)
    assert made.mean == pytest.approx(float(numpy.mean(values)), abs=1e-9)
    assert made.variance == pytest.approx(float(numpy.var(values, ddof=1)), rel=1e-9, abs=1e-9)
    off = [value - shift for value in values]
    around = Moments.shifted(len(off), shift, math.fsum(off), math.fsum(value * value for value in off))
    assert around.mean == pytest.approx(made.mean, abs=1e-6)
    assert around.squares == pytest.approx(made.squares, rel=1e-6, abs=1e-3 * (1 + shift * shift * 1e-6))
    scaled = made.scaled(factor)
    assert scaled.squares == pytest.approx(
        Moments.of([factor * value for value in values]).squares, rel=1e-9, abs=1e-6
    )


@PLAIN
@given(VALUES, VALUES, VALUES)
def test_moments_merge_in_any_order(first: list[float], second: list[float], third: list[float]) -> None:
    """Blocks may come as they like; an empty one changes nothing."""
    a, b, c = map(Moments.of, (first, second, third))
    left, right = a.merge(b).merge(c), c.merge(a.merge(b))
    assert (left.n, left.mean) == (right.n, pytest.approx(right.mean, abs=1e-9))
    assert left.squares == pytest.approx(right.squares, rel=1e-9, abs=1e-6)
    assert a.merge(Moments(0, 0.0, 0.0)) == a


@PLAIN
@given(VALUES, st.integers(1, 29))
def test_paired_moments_merge_to_those_of_all(values: list[float], cut: int) -> None:
    """Products, too."""
    x = [math.cos(place) for place in range(len(values))]
    parts = [PairedMoments.of(values[:cut], x[:cut]), PairedMoments.of(values[cut:], x[cut:])]
    merged, whole = parts[0].merge(parts[1]), PairedMoments.of(values, x)
    assert merged.products == pytest.approx(whole.products, rel=1e-9, abs=1e-6)
    assert merged.covariance == pytest.approx(whole.covariance, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_no_moment(bad: float) -> None:
    """Wherever it turns up."""
    with pytest.raises(ValueError, match="must be finite"):
        Moments.of([1.0, bad])
    with pytest.raises(ValueError, match="not finite"):
        Moments.shifted(2, 0.0, bad, 1.0)
    with pytest.raises(ValueError, match="2 values and 1 covariates"):
        PairedMoments.of([1, 2], [1])
