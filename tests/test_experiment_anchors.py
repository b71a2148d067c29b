"""Mistakes that published libraries make, and what is right: each was seen in one of them."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from pytest_bugsle.experiment import ratios, simpson, srm
from pytest_bugsle.experiment.judging import judge_means, judge_proportions
from pytest_bugsle.stats import means, proportions, sizes
from pytest_bugsle.stats.moments import Moments, PairedMoments


def test_the_score_interval_is_that_of_its_test() -> None:
    """A constrained likelihood with a wrong coefficient gives (0.0054332, 0.0446019), and no interval for few."""
    assert proportions.score((200, 2000), (250, 2000), 0.05) == pytest.approx(
        (0.0054321, 0.0446629), abs=1e-7
    )
    assert proportions.score((3, 20), (9, 25), 0.05) == pytest.approx((-0.05364, 0.44082), abs=1e-5)
    assert proportions.farrington_manning((200, 2000), (195, 2000), 0.02) == pytest.approx(0.032190, abs=1e-6)


def test_the_interval_of_a_difference_has_no_pooled_error() -> None:
    """Pooled and corrected for continuity it is (0.00492, 0.04508)."""
    found = judge_proportions((200, 2000), (250, 2000), look="final")
    assert found.interval == pytest.approx((0.0054321, 0.0446629), abs=1e-7)
    # Where rates and sizes differ much, a pooled error is much too small or too large.
    low, high = proportions.score((1, 1000), (10, 20), 0.05)
    assert low == pytest.approx(0.2979, abs=2e-3) and high == pytest.approx(0.7, abs=0.01)


def test_a_negative_control_does_not_turn_the_ends_of_a_lift() -> None:
    """Divided by the mean itself the lower end is over the upper one."""
    found = judge_means(
        {"mean": -1.0, "deviation": 1.0, "n": 100}, {"mean": 0.5, "deviation": 1.0, "n": 100}, look="final"
    )
    assert found.relative is not None and found.relative.interval is not None
    assert found.relative.interval[0] < 1.5 < found.relative.interval[1] and found.outcome == "pass"


@pytest.mark.parametrize("margin", [{}, {"min_difference": -0.01}, {"min_lift": -0.1}])
def test_what_cannot_be_analysed_is_no_p_of_1(margin: dict[str, float]) -> None:
    """No success in the control is no reason for p = 1, an effect of 0 and a guardrail that passes."""
    found = judge_proportions((0, 1000), (5, 1000), look="final", **margin)
    assert found.effect == 0.005 and found.p_value == pytest.approx(0.0622, abs=1e-4)
    assert found.interval is not None and found.interval[0] < 0.005 < found.interval[1]
    if "min_lift" in margin:
        assert found.outcome == "undecided" and "no bounds" in found.why


def test_tails_are_not_0() -> None:
    """1 - cdf is 0 from 8 standard errors on."""
    far = judge_means(
        {"mean": 0, "deviation": 1, "n": 10_000}, {"mean": 0.2, "deviation": 1, "n": 10_000}, look="final"
    )
    assert far.p_value == pytest.approx(4.1e-45, rel=0.05)
    assert 0 < srm.p_value([510_000, 490_000], [1, 1]) < 1e-80
    assert means.student_tail(14.3, 1e6) > 0


def test_alpha_is_halved_once() -> None:
    """Halved twice, 4,651 units are named where 3,841 do."""
    two = sizes.shares_size(0.10, 0.12, alpha=0.05, sides=2)
    assert two == pytest.approx(3840.85, abs=0.01)
    assert sizes.shares_size(0.10, 0.12, alpha=0.025, sides=1) == pytest.approx(two)
    # And what is solved for an effect is solved to the last digits.
    assert sizes.arcsine_size(sizes.arcsine_detectable(5000)) == pytest.approx(5000, rel=1e-9)


def test_no_success_at_all_has_an_interval_and_no_exception() -> None:
    """A ratio divides by 0 there, and Wald's interval is [0, 0]."""
    found = judge_proportions((0, 100), (0, 100), look="final")
    assert found.outcome == "undecided" and found.interval is not None
    assert found.interval[0] < -0.03 and found.interval[1] > 0.03
    assert proportions.katz((0, 100), (3, 100), 0.05) is None
    assert proportions.newcombe((0, 500), (0, 500), 1e-12)[1] < 0.15


def test_constants_are_not_infinitely_significant() -> None:
    """A t test of them has p = 0, and of what is not finite none, which is not below 0.05."""
    assert judge_means([5, 5, 5], [6, 6, 6]).outcome == "invalid"
    for bad in (float("nan"), float("inf")):
        found = judge_means([1.0, 2.0, bad], [5.0, 6.0, 7.0])
        assert found.outcome == "invalid" and found.p_value is None
        assert "NaN" not in json.dumps(msgspec.to_builtins(found))


def test_a_covariate_keeps_the_level_of_the_metric() -> None:
    """Centred wrongly the difference is right, and a lift of 10 % is one of 193 %."""
    x = [float(place % 17) for place in range(200)]
    y = [100 + 3 * value for value in x]
    found = judge_means(y, [v * 1.1 for v in y], control_covariate=x, treatment_covariate=x, look="final")
    assert found.relative is not None and found.relative.effect == pytest.approx(0.1, abs=1e-9)
    assert found.values["control"] == pytest.approx(sum(y) / 200)


@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_a_lift_with_a_covariate_covers_as_often_as_it_says(correlation: float) -> None:
    """Of 800 tests about 40 leave the true lift out; the deviation is 6."""
    numpy = pytest.importorskip("numpy")
    chance = numpy.random.default_rng(11)
    missed = 0
    for _ in range(800):
        x = chance.normal(0, 1, (2, 60))
        y = 5 + 2 * (correlation * x + (1 - correlation**2) ** 0.5 * chance.normal(0, 1, (2, 60)))
        found = judge_means(y[0], y[1] * 1.1, control_covariate=x[0], treatment_covariate=x[1], look="final")
        assert found.relative is not None and found.relative.interval is not None
        missed += not found.relative.interval[0] <= 0.1 <= found.relative.interval[1]
    assert 20 <= missed <= 64


def test_rows_of_one_user_are_no_independent_evidence() -> None:
    """Row by row, one in five tests of nothing finds something; by user one in twenty, of 400 with a deviation of 4.4."""
    numpy = pytest.importorskip("numpy")
    chance = numpy.random.default_rng(5)
    by_row = by_user = 0
    for _ in range(400):
        arms = []
        for _ in range(2):
            views = chance.integers(1, 12, 150)
            clicks = chance.binomial(views, chance.beta(1, 3, 150))
            arms.append((clicks, views))
        counts = [(int(clicks.sum()), int(views.sum())) for clicks, views in arms]
        by_row += abs(proportions.pooled_z(*counts)) > 1.96
        pairs = [PairedMoments.of(clicks, views) for clicks, views in arms]
        by_user += ratios.difference(*pairs).p_value() < 0.05
    assert by_row > 60 and 8 <= by_user <= 34


def test_segments_that_merely_disagree_are_no_paradox() -> None:
    """A rule that any segment's sign will do flags most tests of five equal segments."""
    chance = random.Random(3)  # noqa: S311  # made-up counts
    naive = ours = 0
    for _ in range(300):
        segments = []
        for _ in range(5):
            c, t = (sum(chance.random() < share for _ in range(200)) for share in (0.10, 0.105))
            segments.append(((c, 200), (t, 200)))
        found = simpson.examine(segments)
        naive += any((t[0] - c[0]) * found.aggregate < 0 for c, t in segments)
        ours += found.reversed
    assert naive > 150 and ours <= 3


def test_unequal_variances_are_not_pooled() -> None:
    """Student's test errs in more than a third of such tests; of 600 here one in twenty, deviation 5.3."""
    numpy = pytest.importorskip("numpy")
    chance = numpy.random.default_rng(9)
    missed = 0
    for _ in range(600):
        arms: list[Any] = [chance.normal(0, 3, 50), chance.normal(0, 1, 500)]
        missed += means.welch(*(Moments.of(arm) for arm in arms)).p_value() < 0.05
    assert 14 <= missed <= 48


def test_a_short_run_is_never_said_to_be_equal() -> None:
    """Not significant is not the same: to be equal is a claim of its own, and needs its own size."""
    found = judge_proportions((50, 500), (52, 500), look="final")
    assert found.p_value is not None and found.p_value > 0.8 and found.outcome == "undecided"
    same = judge_proportions((50, 500), (52, 500), equivalence=0.1, look="final")
    assert same.outcome == "undecided" and same.n_needed == 15_430
