"""Are the arms the same to within a margin? Two one-sided tests: pass inside, fail outside, else undecided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.design import Design, means_needed, shares_needed
from pytest_bugsle.experiment.judging import judge_design, judge_means, judge_proportions
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.stats.means import welch
from pytest_bugsle.stats.moments import Moments

SAME = ((20_000, 200_000), (20_010, 200_000))


def test_an_interval_within_the_margins_passes() -> None:
    """That of 1 - 2 alpha, as each of the two tests has alpha."""
    found = judge_proportions(*SAME, equivalence=0.03, look="final")
    assert found.outcome == "pass" and "the whole interval lies within -3.0 % and +3.0 %" in found.why
    assert "90 % interval" in found.message and "two one-sided tests" in found.message
    assert judge_proportions(*SAME, equivalence_difference=0.003, look="final").outcome == "pass"


def test_the_report_has_the_margin() -> None:
    """Whether the effect is shown or withheld."""
    assert judge_proportions(*SAME, equivalence=0.03, look="final").within == 0.03
    broken = judge_proportions((3, 2), (1, 9), equivalence_difference=0.01)
    assert (broken.outcome, broken.within) == ("invalid", 0.01)


def test_an_interval_outside_fails_and_one_across_is_undecided() -> None:
    """Whichever side it is on."""
    for treatment in (24_000, 16_000):
        found = judge_proportions((20_000, 200_000), (treatment, 200_000), equivalence=0.03, look="final")
        assert found.outcome == "fail" and "no part of the interval lies within" in found.why
    small = judge_proportions((50, 500), (52, 500), equivalence_difference=0.02, look="final")
    assert (
        small.outcome == "undecided"
        and "neither within -2.00 points and +2.00 points nor outside" in small.why
    )
    assert small.n_needed is not None and f"{small.n_needed - 500:,} more in control" in small.message


def test_at_the_planned_size_what_is_not_shown_fails() -> None:
    """As everywhere."""
    found = judge_proportions((20_000, 200_000), (20_500, 200_000), equivalence=0.03, look="final")
    assert found.outcome == "fail" and "not shown at the planned size" in found.why


def test_the_p_value_of_the_decision_is_that_of_both_tests() -> None:
    """The larger of the two, as two-sided ones are compared."""
    control, treatment = Moments(500, 10.0, 499 * 4.0), Moments(600, 10.05, 599 * 4.0)
    arms = [{"mean": arm.mean, "deviation": 2.0, "n": arm.n} for arm in (control, treatment)]
    found = judge_means(*arms, equivalence_difference=0.4, look="final")
    exact = welch(control, treatment).p_equivalent(-0.4, 0.4)
    assert found.decision_p_value == pytest.approx(exact, rel=1e-9)
    assert (found.decision_p_value < 0.05) == (found.outcome == "pass")


def test_it_is_tost_of_a_library() -> None:
    """statsmodels, unequal variances."""
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    control, treatment = [9.1, 10.2, 11.3, 9.9, 10.4, 10.1], [9.6, 10.3, 11.0, 10.2, 9.7, 10.6, 10.9]
    found = judge_means(control, treatment, equivalence_difference=1.5, look=(1, 1))
    p_value = weightstats.ttost_ind(treatment, control, -1.5, 1.5, usevar="unequal")[0]
    assert found.decision_p_value == pytest.approx(p_value, rel=1e-9)


@pytest.mark.parametrize("name", ["min_lift", "min_difference", "mde", "mde_difference"])
@pytest.mark.parametrize("margin", ["equivalence", "equivalence_difference"])
def test_to_be_the_same_and_to_be_better_contradict_each_other(name: str, margin: str) -> None:
    """One question at a time."""
    with pytest.raises(UsageError, match=f"equivalence and {name} are both given"):
        Design(**{name: 0.1, margin: 0.1})


@pytest.mark.parametrize(
    ("design", "named"),
    [
        ({"equivalence": 0.1, "equivalence_difference": 1}, "equivalence and equivalence_difference"),
        ({"equivalence": 0}, "equivalence is 0, and must be over 0"),
        ({"equivalence": -0.1}, "equivalence is -0.1, and must be over 0"),
        ({"equivalence": float("nan")}, "equivalence is nan"),
        ({"equivalence": True}, "equivalence is True"),
    ],
)
def test_a_margin_that_is_none_is_a_usage_error(design: dict[str, Any], named: str) -> None:
    """By its value."""
    with pytest.raises(UsageError) as caught:
        Design(**design)
    assert named in str(caught.value)


def test_the_planned_size_is_that_of_the_textbook() -> None:
    """(za + zb/2)² · 2 s² / margin², Chow, Shao and Wang: 108 per arm for a margin of 0.05 and a deviation of 0.1, power 0.8.

    That is for a true difference of 0.01; for none the same formula has 69.
    """
    needed = means_needed(Design(equivalence_difference=0.05), 1.0, (0.1, 0.1))
    assert needed is not None and needed[0] == pytest.approx(68.5, abs=0.1)
    assert shares_needed(Design(equivalence=0.1), 0.0) is None
    assert shares_needed(Design(equivalence_difference=0.5), 0.6) is not None


def test_the_planned_size_has_its_power() -> None:
    """By the normal distribution: the interval of the planned size lies inside as often as was planned."""
    numpy = pytest.importorskip("numpy")
    needed = means_needed(Design(equivalence_difference=0.2), 0.0, (1.0, 1.0))
    assert needed is not None
    error = (2 / needed[0]) ** 0.5
    estimates = numpy.random.default_rng(1).normal(0, error, 20_000)
    inside = (numpy.abs(estimates) + 1.6448536 * error < 0.2).mean()
    assert inside == pytest.approx(0.8, abs=0.012)


def test_a_plan_is_judged_before_its_data() -> None:
    """It passes with the size that the message names, and not with one less."""
    plan = {"baseline": 10.0, "deviation": 3.0, "equivalence": 0.02}
    small = judge_design(n=1000, **plan)
    assert (
        small.outcome == "fail" and "within -2.0 % and +2.0 % at power 0.8 needs 3,854 per arm" in small.why
    )
    assert judge_design(n=3854, **plan).outcome == "pass"
    assert "power of the plan: 0.80" in judge_design(n=3854, **plan).message
    assert judge_design(baseline=0.1, equivalence=0.1, n=15_430).outcome == "pass"


def test_several_looks_spend_alpha() -> None:
    """The first of five hardly passes anything; without a ledger the interval is always valid."""
    arms = [{"mean": 10.0, "deviation": 3.0, "n": 400}, {"mean": 10.01, "deviation": 3.0, "n": 400}]
    last, first = (judge_means(*arms, equivalence=0.04, look=look) for look in ((5, 5), (1, 5)))
    assert last.outcome == "pass" and first.outcome == "undecided"
    always = judge_means(*arms, equivalence=0.04)
    assert always.look is not None and always.look.method == "always-valid" and always.outcome == "undecided"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.02, 0.1, 0.3]))
def test_it_does_not_matter_which_arm_is_which(first: int, second: int, margin: float) -> None:
    """For a difference the margins are the same on both sides; a pass lies within them."""
    one, other = (
        judge_proportions((c, 300), (t, 300), equivalence_difference=margin, look="final")
        for c, t in ((first, second), (second, first))
    )
    assert one.interval is not None and other.interval is not None and one.decision_p_value is not None
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]), abs=1e-9)
    assert one.decision_p_value == pytest.approx(other.decision_p_value, abs=1e-9)
    inside = -margin < one.interval[0] and one.interval[1] < margin
    assert inside == (one.decision_p_value < 0.05) or abs(one.decision_p_value - 0.05) < 1e-6
    assert inside or one.outcome != "pass"


def test_a_control_near_zero_has_no_margin_relative_to_it() -> None:
    """A lift without bounds is judged as nothing."""
    found = judge_means([-3, 3.1, -2, 2.2, 0], [-2.9, 3, -2.1, 2.2, 0.1], equivalence=0.1, look="final")
    assert found.outcome == "undecided" and "it has no bounds" in found.why


def test_an_effect_that_fades_within_the_margin_is_no_doubt() -> None:
    """What fades was none to ship for."""
    pytest.importorskip("duckdb")
    table: dict[str, list[Any]] = {"arm": [], "spent": [], "day": []}
    for place in range(3600):
        arm, day = ("control", "treatment")[place % 2], place // 2 % 9
        table["arm"].append(arm)
        table["day"].append(f"2026-01-{1 + day:02d}")
        table["spent"].append(10 + place // 18 % 5 * 0.1 + (place % 2) * (0.2 - 0.05 * day))
    design: dict[str, Any] = {"arm": "arm", "metric": "spent", "day": "day", "look": "final"}
    assert judge_table(table, equivalence=0.05, **design)[0].outcome == "pass"
    (plain,) = judge_table(table, min_difference=-0.05, **design)
    assert "BUG308" in plain.message
