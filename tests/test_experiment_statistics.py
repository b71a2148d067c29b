"""What scipy lacks: each formula against known values, and what must hold of it always."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_bugsle.experiment import cuped, novelty, simpson, srm
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import judge_proportions
from pytest_bugsle.experiment.multiple import adjusted
from pytest_bugsle.experiment.sequential import look_at
from pytest_bugsle.stats import means, multiplicity, proportions, sizes, spending, stratified, trends
from pytest_bugsle.stats.moments import Moments, PairedMoments

counts = st.integers(2, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


def test_the_score_interval_is_right_where_a_library_is_wrong() -> None:
    """A published implementation gives (0.0054332, 0.0446019) here, and breaks on the second."""
    assert proportions.score((200, 2000), (250, 2000), 0.05) == pytest.approx(
        (0.0054321258, 0.0446629165), abs=1e-9
    )
    assert proportions.score((3, 20), (9, 25), 0.05) == pytest.approx((-0.05364, 0.44082), abs=1e-5)
    assert proportions.farrington_manning((200, 2000), (195, 2000), 0.02) == pytest.approx(0.032190, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(counts, counts, st.sampled_from(["score", "newcombe"]))
def test_intervals_of_shares_hold_the_estimate_and_turn_with_the_arms(
    control: tuple[int, int], treatment: tuple[int, int], method: str
) -> None:
    """They lie within -1 and 1."""
    low, high = getattr(proportions, method)(control, treatment, 0.05)
    assert -1 <= low <= proportions.difference(control, treatment) <= high <= 1
    assert getattr(proportions, method)(treatment, control, 0.05) == pytest.approx((-high, -low), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(counts, counts)
def test_the_score_interval_of_a_lift_holds_it_and_turns_with_the_arms(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    """It leaves 0 out where the pooled z test rejects equal shares, and has width wherever counts leave doubt."""
    found = proportions.koopman(control, treatment, 0.05)
    if not control[0]:
        assert found is None
        return
    assert found is not None
    lift = treatment[0] * control[1] / (treatment[1] * control[0]) - 1
    assert -1 <= found[0] <= lift <= found[1] and found[0] < found[1]
    z = proportions.pooled_z(control, treatment)
    assert proportions.ratio_score_z(control, treatment, 1.0) == pytest.approx(z, abs=1e-9)
    if abs(abs(z) - 1.959963984540054) > 1e-6:
        assert (found[0] > 0 or found[1] < 0) == (abs(z) > 1.959963984540054)
    turned = proportions.koopman(treatment, control, 0.05)
    if turned is not None and found[0] > -1:
        assert (1 + turned[0], 1 + turned[1]) == pytest.approx(
            (1 / (1 + found[1]), 1 / (1 + found[0])), rel=1e-6
        )


def test_an_arm_in_which_all_succeed_leaves_doubt_of_its_lift() -> None:
    """Katz's interval knows no doubt of 2 of 2, and would fail a test of 2 units; many counts agree with it."""
    assert proportions.katz((2, 2), (2, 2), 0.05) == (0.0, 0.0)
    assert proportions.koopman((2, 2), (2, 2), 0.05) == pytest.approx((-0.657620, 1.920729), abs=1e-5)
    found = judge_proportions((2, 2), (216, 225), look="final", min_lift=0.1)
    assert found.outcome == "undecided" and "the lift's interval is by the score test" in found.message
    assert proportions.koopman((1000, 10000), (1300, 10000), 0.05) == pytest.approx(
        proportions.katz((1000, 10000), (1300, 10000), 0.05), abs=1e-3
    )


def test_tails_do_not_vanish() -> None:
    """1 - cdf would be 0 far out."""
    assert 0 < proportions.normal_tail(14) < 1e-40
    assert 0 < srm.chi_square([510_000, 490_000], [1, 1])[1] < 1e-80


@settings(max_examples=100, deadline=None)
@given(values, values)
def test_moments_merge_to_those_of_all(first: list[float], second: list[float]) -> None:
    """However they are split."""
    merged, whole = Moments.of(first).merge(Moments.of(second)), Moments.of(first + second)
    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, abs=1e-9)
    assert merged.squares == pytest.approx(whole.squares, rel=1e-9, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(values, st.floats(-10, 10))
def test_paired_moments_adjust_as_the_values_would(y: list[float], factor: float) -> None:
    """y - factor·x, by sums alone."""
    x = [math.sin(place) for place in range(len(y))]
    made = PairedMoments.of(y, x).less(factor, 0.0)
    true = Moments.of([a - factor * b for a, b in zip(y, x, strict=True)])
    assert made.mean == pytest.approx(true.mean, abs=1e-6)
    assert made.squares == pytest.approx(true.squares, rel=1e-6, abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.01, 5), st.floats(0.01, 5))
def test_fieller_ends_where_the_contrast_is_just_significant(
    c: float, t: float, v_c: float, v_t: float
) -> None:
    """And is none where the control may be 0."""
    made = means.fieller(c, t, (v_t, 0.0, v_c), 1.96)
    assert (made is None) == (c * c <= 1.96**2 * v_c)
    assume(made is not None and c * c > 1.05 * 1.96**2 * v_c)
    assert made is not None and made[0] <= (t - c) / abs(c) + 1e-9 and made[1] >= (t - c) / abs(c) - 1e-9
    for lift in made:
        ratio = 1 + lift * (1 if c > 0 else -1)
        assert (t - ratio * c) ** 2 == pytest.approx(1.96**2 * (v_t + ratio**2 * v_c), rel=1e-5, abs=1e-6)


def test_sizes_are_those_of_fleiss() -> None:
    """And not half of it, which is the one-sample form."""
    assert sizes.shares_size(0.1, 0.12) == pytest.approx(3840.847, abs=1e-2)
    assert sizes.shares_size(0.2, 0.25) == pytest.approx(1093.74, abs=1e-2)
    assert sizes.means_size(0.5, 4.0) == pytest.approx(1004.65, abs=1e-2)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.02, 0.6), st.floats(0.02, 0.3), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_planned_size_has_the_planned_power(control: float, rise: float, ratio: float) -> None:
    """With two sides a little more, for the far one."""
    size = sizes.shares_size(control, control + rise, ratio=ratio)
    power = sizes.shares_power(control, control + rise, size, ratio=ratio)
    assert 0.8 - 1e-9 <= power < 0.801
    found = sizes.shares_detectable(control, size, ratio=ratio)
    assert found == pytest.approx(rise, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("obrien-fleming", [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
        ("power", [3.5401, 2.9743, 2.6045, 2.3064, 2.0455]),
    ],
)
def test_bounds_of_five_looks(kind: spending.Spending, expected: list[float]) -> None:
    """As published programs have them."""
    assert spending.bounds([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, kind) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=5, unique=True))
def test_one_look_at_the_end_spends_all_and_more_looks_cost(shares: list[float]) -> None:
    """The last bound is never below that of a single look."""
    made = spending.bounds([*sorted(shares)[:-1], 1.0] if max(shares) < 1 else sorted(shares))
    assert made[-1] >= 1.95996
    assert spending.bounds([1.0]) == pytest.approx([1.959964], abs=1e-5)


def test_a_look_that_may_spend_nothing_changes_no_later_bound() -> None:
    """Its bound of 8 cuts nothing off."""
    early = spending.bounds([0.01, 0.02, 0.03, 0.5, 1.0])
    assert early[:3] == [8.0, 8.0, 8.0]
    assert early[3:] == pytest.approx(spending.bounds([0.5, 1.0]), abs=1e-9)


@pytest.mark.parametrize("kind", ["obrien-fleming", "pocock"])
def test_twice_the_nodes_change_no_digit(monkeypatch: pytest.MonkeyPatch, kind: spending.Spending) -> None:
    """The integral has as many as it needs."""
    shares = [0.1, 0.11, 0.3, 0.31, 0.6, 0.9, 1.0]
    made = spending.bounds(shares, 0.05, kind)
    monkeypatch.setattr(spending, "_NODES", 2 * spending._NODES)
    spending._bounds.cache_clear()
    assert made == pytest.approx(spending.bounds(shares, 0.05, kind), abs=1e-10)
    spending._bounds.cache_clear()


@given(st.lists(st.floats(0.02, 1), min_size=2, max_size=6, unique=True), st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=30)
def test_every_look_is_crossed_first_with_the_chance_that_it_spends(shares: list[float], sides: int) -> None:
    """All digits: the tail beyond each bound is what the spending function gave it."""
    shares = sorted(shares)
    assume(all(later - earlier > 0.01 for earlier, later in itertools.pairwise(shares)))
    path, before = spending._Path(sides), 0.0
    for place, bound in enumerate(spending.bounds(shares, 0.05, "pocock", sides)):
        total = spending.spent(shares[place], 0.05, "pocock", sides)
        assert path.crossing(shares[place], bound) == pytest.approx(total - before, rel=1e-9)
        path.step(shares[place], bound)
        before = total


def test_looks_that_do_not_grow_are_refused() -> None:
    """Identical data are no new look."""
    with pytest.raises(ValueError, match=r"shares\[1\] == 0.5, must be > 0.5"):
        spending.bounds([0.5, 0.5])


def test_a_look_is_declared_remembered_or_always_valid() -> None:
    """In this order, and the last says so."""
    needed = (1000.0, 1000.0)
    assert look_at(Design(look="final", mde=0.1), (500, 500), needed, []).method == "fixed"
    declared = look_at(Design(look=(2, 5), mde=0.1), (400, 400), needed, None)
    assert declared.alpha == pytest.approx(2 * proportions.normal_tail(3.3570), rel=1e-3)
    assert look_at(Design(mde=0.1), (400, 400), needed, []).method == "spending"
    open_end = look_at(Design(mde=0.1), (400, 400), needed, None)
    assert open_end.method == "always-valid" and 'look="final"' in open_end.why
    assert open_end.alpha < 0.05


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_values_keep_their_order(p_values: list[float]) -> None:
    """Hommel's are at most Holm's, these at most Bonferroni's, and none is below its own."""
    plain, holm, hommel = (getattr(multiplicity, name)(p_values) for name in ("bonferroni", "holm", "hommel"))
    for place, value in enumerate(p_values):
        assert value - 1e-12 <= hommel[place] <= holm[place] + 1e-12 <= plain[place] + 2e-12 <= 1 + 2e-12


def test_a_pass_that_does_not_outlive_its_family_is_undecided() -> None:
    """Two of twenty would pass by chance alone; a guardrail counts for none."""

    def one(treatment: int, role: str = "decision") -> object:
        return judge_proportions(
            (500, 5000), (treatment, 5000), metric=f"m{treatment}", look="final", role=role
        )

    found = adjusted([one(565), one(505), one(502)])  # type: ignore[list-item]
    assert [result.outcome for result in found] == ["undecided"] * 3
    assert "among the 3 decisions" in found[0].why
    kept = adjusted([one(565), one(505, "guardrail"), one(502, "exploratory")])  # type: ignore[list-item]
    assert kept[0].outcome == "pass" and kept[0].adjusted_p_value is None


def test_simpsons_paradox_is_the_whole_against_its_parts() -> None:
    """Segments that merely disagree are none."""
    kidney = [((234, 270), (81, 87)), ((55, 80), (192, 263))]
    assert simpson.examine(kidney).reversed
    assert not simpson.examine([((100, 1000), (120, 1000)), ((100, 1000), (90, 1000))]).reversed
    assert stratified.breslow_day(kidney) == pytest.approx(0.3250679378893343, abs=1e-7)


def test_a_mismatch_is_told_from_chance() -> None:
    """Small arms exactly, large ones by chi-square, against the designed split."""
    assert srm.p_value([50_912, 49_088], [0.5, 0.5]) < 1e-8
    assert srm.p_value([9000, 1000], [0.9, 0.1]) == 1
    assert srm.p_value([17, 5], [0.9, 0.1]) == pytest.approx(0.06213367134670096)
    with pytest.raises(ValueError, match=r"shares\[1\] == 0"):
        srm.p_value([1, 2], [1, 0])


def test_a_slope_needs_three_places() -> None:
    """And a perfect line has no error."""
    assert trends.weighted_slope([1, 2], [1, 2], [1, 1]) is None
    made = trends.weighted_slope([1, 2, 3], [1, 2, 3], [1, 1, 2])
    assert made is not None and made.value == pytest.approx(1) and made.p_value < 1e-6


def test_a_lift_with_a_covariate_knows_what_both_means_share() -> None:
    """The contrast's variance is that of y less its share of x, for every ratio."""
    control = PairedMoments.of([1.0, 2.0, 4.0, 7.0], [1.0, 2.0, 3.0, 4.0])
    treatment = PairedMoments.of([3.0, 3.5, 8.0, 9.0, 12.0], [1.0, 1.5, 3.0, 3.5, 5.0])
    made = cuped.adjust(control, treatment)
    constant, linear, square = made.contrast
    for ratio in (0.5, 1.0, 2.5):
        weight = made.theta * (4 + 5 * ratio) / 9
        true = treatment.less(weight, 0.0).variance / 5
        scaled = PairedMoments(control.y.scaled(ratio), control.x, ratio * control.products)
        true += scaled.less(weight, 0.0).variance / 4
        assert constant + linear * ratio + square * ratio**2 == pytest.approx(true)


def test_a_sign_that_turns_by_chance_is_no_paradox() -> None:
    """The arms must be mixed unequally, or the segments clear."""
    turned = [((100, 1000), (94, 950)), ((300, 1000), (314, 1050))]
    found = simpson.examine(turned)
    assert found.within is not None and found.aggregate * found.within < 0 and not found.reversed


def test_an_effect_that_fades_below_the_least_is_doubted() -> None:
    """A steady one is not, and neither is one that is still enough."""

    def days(effects: list[float]) -> dict[int, tuple[Moments, Moments]]:
        return {
            day: (Moments(500, 10.0, 500.0), Moments(500, 10 + e, 500.0)) for day, e in enumerate(effects)
        }

    fading = [1.0 - 0.1 * day for day in range(14)]
    assert novelty.fading(days(fading), Design(min_difference=0.4), 0.05).rule == "BUG308"
    assert novelty.fading(days(fading), Design(min_difference=-0.5), 0.05).outcome == "pass"
    assert novelty.fading(days([0.5] * 14), Design(min_difference=0.6), 0.05).outcome == "pass"
    assert novelty.fading(days(fading[:3]), Design(), 0.05).outcome == "pass"
