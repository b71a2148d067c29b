"""Counts in, one of four outcomes out: the judgement by the interval, and the table of edge cases."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.judging import judge_design, judge_means, judge_proportions, judge_ratio
from pytest_bugsle.results import ExperimentResult


def judged(control: Any, treatment: Any, **design: Any) -> ExperimentResult:
    """Judge a conversion as the only look."""
    return judge_proportions(control, treatment, **{"metric": "conversion", "look": "final", **design})


# --- shares -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", [None, "final", (1, 3)])
def test_fifty_users_an_arm_cannot_decide(look: Any) -> None:
    """It names the size that the plan needs, however the look is counted."""
    found = judged((10, 50), (12, 50), min_lift=0.0, mde=0.25, look=look)
    assert found.outcome == "undecided"
    assert found.n_needed == 1094
    assert "1,094 per arm" in found.message and "1,044 more in control" in found.message


@pytest.mark.parametrize("look", [None, "final"])
def test_a_few_hundred_cannot_decide_a_tenth_either(look: Any) -> None:
    """And says so with its numbers."""
    found = judged((50, 500), (62, 520), min_lift=0.0, mde=0.10, look=look)
    assert found.outcome == "undecided" and found.n_needed == 14_751
    for text in ("11.92 % (62 of 520)", "10.00 % (50 of 500)", "+1.92 points", "+19.2 %", "14,751 per arm"):
        assert text in found.message


def test_a_lower_end_over_the_least_effect_passes() -> None:
    """Statistical and practical significance are one question."""
    found = judged((1000, 10_000), (1300, 10_000), min_lift=0.1)
    assert found.outcome == "pass" and found.relative is not None and found.relative.interval is not None
    assert found.relative.interval[0] > 0.1
    assert judged((1000, 10_000), (1300, 10_000), min_lift=0.25).outcome == "undecided"


def test_an_upper_end_below_the_least_effect_fails() -> None:
    """Whatever the p-value says of no effect."""
    assert judged((1000, 10_000), (1010, 10_000), min_lift=0.2).outcome == "fail"
    assert judged((1000, 10_000), (800, 10_000)).outcome == "fail"


@pytest.mark.parametrize(
    ("treatment", "design", "why", "ships"),
    [
        (700, {}, "the upper end is below 0", "the effect is below 0"),
        (1300, {}, "even the lower end is over 0", "the effect is below 0"),
        (
            1010,
            {"min_lift": -0.1},
            "the upper end is below +10.0 %",
            "treatment has not more than control by 10.0 % or more",
        ),
        (
            500,
            {"min_lift": 0.1},
            "the upper end is below -10.0 %",
            "treatment has less than control by over 10.0 %",
        ),
        (
            1300,
            {"min_lift": 0.1},
            "even the lower end is over -10.0 %",
            "treatment has less than control by over 10.0 %",
        ),
    ],
)
def test_where_less_is_better_the_words_are_those_of_the_numbers_shown(
    treatment: int, design: dict[str, float], why: str, ships: str
) -> None:
    """The interval is not turned round for that, and neither are its ends."""
    found = judged((1000, 10_000), (treatment, 10_000), direction="down", **design)
    assert found.why == why and f"ships where {ships} (" in found.message


def test_at_the_planned_size_what_is_not_shown_fails() -> None:
    """A test that goes on until it passes is no test."""
    found = judged((2000, 20_000), (2040, 20_000), mde=0.10)
    assert found.outcome == "fail" and "not shown at the planned size" in found.why


def test_what_looks_clear_before_the_planned_size_is_undecided() -> None:
    """With the only look declared, there is no early one."""
    found = judged((500, 10_000), (700, 10_000), mde=0.05)
    assert found.p_value is not None and found.p_value < 1e-6
    assert found.outcome == "undecided" and "fewer units than planned" in found.why


def test_where_less_is_better_a_fall_passes() -> None:
    """The margin is of the improvement."""
    assert judged((1000, 10_000), (800, 10_000), direction="down").outcome == "pass"
    assert judged((1000, 10_000), (1010, 10_000), direction="down", min_difference=-0.02).outcome == "pass"
    assert judged((1000, 10_000), (1200, 10_000), direction="down").outcome == "fail"


def test_nothing_in_both_arms_is_undecided_with_a_finite_interval() -> None:
    """The z is undefined there, and the share is not."""
    for count in (0, 200):
        found = judged((count, 200), (count, 200))
        assert found.outcome == "undecided" and found.p_value == 1
        assert found.interval is not None and found.interval[0] < 0 < found.interval[1]


def test_no_success_in_the_control_has_no_lift() -> None:
    """The difference is judged, a lift is not; and Fisher's test keeps what z would let pass."""
    found = judged((0, 1000), (5, 1000))
    assert found.relative is not None and found.relative.effect is None and found.relative.interval is None
    assert found.p_value == pytest.approx(0.0622, abs=1e-4) and found.outcome == "undecided"
    assert "control rate is 0" in found.message and "Fisher" in found.message
    assert judged((0, 1000), (500, 1000), min_lift=0.1).outcome == "undecided"


@pytest.mark.parametrize(
    ("control", "treatment", "named"),
    [
        ((5, 3), (1, 9), "control successes is 5"),
        ((-1, 3), (1, 9), "control successes is -1"),
        ((1, 9), (0, 0), "treatment trials is 0"),
        ((1, 9), (1, 1), "treatment trials is 1"),
        ((1.5, 9), (1, 9), "control successes is 1.5"),
        ((True, 9), (1, 9), "control successes is True"),
        ((float("nan"), 9), (1, 9), "control successes is nan"),
        (5, (1, 9), "must be (successes, trials)"),
    ],
)
def test_counts_that_contradict_themselves_are_invalid(control: Any, treatment: Any, named: str) -> None:
    """The value is named, and no effect is shown."""
    found = judged(control, treatment)
    assert found.outcome == "invalid" and found.effect is None and found.p_value is None
    assert named in found.message and found.checks[0].rule == "BUG302"


@pytest.mark.parametrize(
    ("design", "named"),
    [
        ({"min_lift": 0.0, "min_difference": 0.1}, "min_lift and min_difference"),
        ({"mde": 0.1, "mde_difference": 0.1}, "mde and mde_difference"),
        ({"alpha": 0}, "alpha is 0"),
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"power": 1}, "power is 1"),
        ({"mde": -0.1}, "mde is -0.1"),
        ({"mde": 0.1, "min_lift": 0.1}, "not over the least effect"),
        ({"look": (3, 2)}, "look is (3, 2)"),
        ({"look": "last"}, "look is 'last'"),
        ({"direction": "left"}, "direction is 'left'"),
        ({"sides": 3}, "sides is 3"),
        ({"ratio": 0}, "ratio is 0"),
        ({"min_lift": float("inf")}, "min_lift is inf"),
    ],
)
def test_a_design_that_contradicts_itself_is_a_usage_error(design: dict[str, Any], named: str) -> None:
    """It is said before any data are looked at, with what to write instead."""
    with pytest.raises(UsageError) as caught:
        judged((1, 9), (2, 9), **design)
    assert named in str(caught.value) and caught.value.hint


def test_one_side_has_its_own_level() -> None:
    """Its lower end is that of twice the alpha."""
    two, one = judged((500, 5000), (560, 5000)), judged((500, 5000), (560, 5000), sides=1)
    assert two.interval is not None and one.interval is not None
    assert two.interval[0] < 0 < one.interval[0] and one.outcome == "pass"


def test_unequal_arms_need_unequal_sizes() -> None:
    """Both are named."""
    found = judged((20, 200), (12, 100), mde=0.2, ratio=0.5)
    assert found.n_needed_by_arm == {"control": 5699, "treatment": 2850}
    assert "5,699 in control and 2,850 in treatment" in found.message


def test_the_days_that_are_left_follow_from_the_rate_so_far() -> None:
    """The slower arm says."""
    found = judged((20, 100), (24, 100), mde=0.25, days=2)
    assert found.days_needed == pytest.approx((1094 - 100) / 50)
    assert "about 20 days" in found.message


counts = st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=150, deadline=None)
@given(counts, counts, st.sampled_from([None, "final", (2, 4)]), st.sampled_from([0.0, 0.1, -0.1]))
def test_no_number_of_a_message_is_none(control: Any, treatment: Any, look: Any, least: float) -> None:
    """Neither NaN nor infinity is in message or JSON, and a pass has bounds."""
    found = judged(control, treatment, look=look, min_lift=least, mde=0.2)
    text = found.message + json.dumps(msgspec.to_builtins(found))
    assert not any(word in text for word in ("nan", "NaN", "inf ", "Infinity", "-0.0 "))
    assert found.interval is not None and -1 <= found.interval[0] <= found.interval[1] <= 1
    if found.outcome == "pass":
        assert found.interval[0] > (0 if not least else -1) and found.p_value is not None


@settings(max_examples=100, deadline=None)
@given(counts, counts)
def test_the_interval_leaves_zero_out_where_the_test_rejects(control: Any, treatment: Any) -> None:
    """A message never says two things, but where an exact test overrules the interval."""
    found = judged(control, treatment)
    assert found.interval is not None and found.p_value is not None
    if "pooled z" in found.method and abs(found.p_value - 0.05) > 1e-9:
        assert (found.p_value < 0.05) == (found.interval[0] > 0 or found.interval[1] < 0)


# --- means and ratios -------------------------------------------------------------------------------


def test_constant_arms_that_differ_are_invalid() -> None:
    """A p-value of 0 by division is none."""
    found = judge_means([5, 5, 5], [6, 6, 6], metric="revenue")
    assert found.outcome == "invalid" and found.checks[0].rule == "BUG306"


def test_constant_arms_that_are_equal_are_undecided() -> None:
    """No difference and no variance: p is 1."""
    found = judge_means([5, 5, 5], [5, 5], look="final")
    assert found.outcome == "undecided" and found.p_value == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_invalid(bad: float) -> None:
    """Comparisons with it are false, which would read as not significant."""
    assert judge_means([1.0, 2.0, bad], [1.0, 2.0, 3.0]).outcome == "invalid"


def test_a_large_offset_costs_nothing() -> None:
    """The variance is that of the small differences."""
    small = judge_means([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 8, 9], look="final")
    large = judge_means(
        [1e9 + v for v in (1, 2, 3, 4, 5, 6)], [1e9 + v for v in (2, 3, 4, 5, 6, 8, 9)], look="final"
    )
    assert small.p_value == pytest.approx(0.17623558765, rel=1e-9)
    assert large.p_value == pytest.approx(small.p_value, rel=1e-6)


def test_a_control_near_zero_has_no_bounded_lift_and_no_pass_by_it() -> None:
    """A relative threshold cannot be judged there."""
    found = judge_means([-3, 3.1, -2, 2.2, 0], [9, 10, 11, 10, 9.5], min_lift=0.1, look="final")
    assert found.outcome == "undecided" and found.relative is not None and found.relative.interval is None


def test_a_negative_control_keeps_sign_and_order() -> None:
    """The lift is relative to its size."""
    found = judge_means(
        {"mean": -1.0, "deviation": 1.0, "n": 100}, {"mean": 0.5, "deviation": 1.0, "n": 100}, look="final"
    )
    assert found.relative is not None and found.relative.effect == pytest.approx(1.5)
    low, high = found.relative.interval or (math.nan, math.nan)
    assert low < 1.5 < high


def test_a_covariate_takes_out_variance() -> None:
    """And the message says how much."""
    x = [float(v % 17) for v in range(60)]
    y = [2 * v + (place % 3) for place, v in enumerate(x)]
    found = judge_means(y, [v + 1.0 for v in y], control_covariate=x, treatment_covariate=x, look="final")
    plain = judge_means(y, [v + 1.0 for v in y], look="final")
    assert found.outcome == "pass" and plain.outcome == "undecided"
    assert "CUPED takes out 9" in found.message


def test_rows_of_a_user_are_one_unit() -> None:
    """A ratio has the variance between users."""
    found = judge_ratio(
        ([1, 0, 2, 1, 2, 0, 1, 1], [3, 1, 4, 2, 5, 2, 3, 1]),
        ([1, 2, 0, 2, 4, 1, 1, 1, 1], [2, 3, 1, 4, 6, 2, 3, 2, 1]),
        look="final",
    )
    assert found.p_value == pytest.approx(0.0734594957760184)


# --- plans --------------------------------------------------------------------------------------------


def test_a_plan_without_power_fails_before_the_test() -> None:
    """And one with power passes."""
    found = judge_design(baseline=0.2, mde=0.25, n=1000)
    assert found.outcome == "fail" and "1,094 per arm" in found.message and "0.76" in found.message
    assert judge_design(baseline=0.2, mde=0.25, n=1094).outcome == "pass"
    assert judge_design(baseline=0.2, mde=0.25, per_day=200, days=14).outcome == "pass"
    assert judge_design(baseline=10.0, deviation=4.0, mde_difference=0.5, n=500).n_needed == 1005


def test_a_plan_that_says_too_little_is_a_usage_error() -> None:
    """With what to add."""
    with pytest.raises(UsageError, match="a plan needs a baseline"):
        judge_design(mde=0.1, n=100)
    with pytest.raises(UsageError, match="must be the units of each arm"):
        judge_design(baseline=0.1, mde=0.1)
    with pytest.raises(UsageError, match="no size shows"):
        judge_design(baseline=0.9, mde=0.5, n=100)
