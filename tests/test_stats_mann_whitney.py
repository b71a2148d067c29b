"""Mann and Whitney's test and Hodges and Lehmann's shift, against scipy and by their definitions."""

from __future__ import annotations

from itertools import combinations
from math import comb
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.stats import ranks
from pytest_bugsle.stats.mann_whitney import Ranked, size
from pytest_bugsle.stats.proportions import normal_tail

np = pytest.importorskip("numpy")
scipy_stats = pytest.importorskip("scipy.stats")

WHOLE = st.lists(st.integers(-30, 30), min_size=2, max_size=25)
REAL = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=2, max_size=25)


@settings(max_examples=80, deadline=None)
@given(REAL, REAL)
def test_the_shift_is_the_median_of_all_differences(control: list[float], treatment: list[float]) -> None:
    """By the definition; the ends of the interval are differences, too, and turn with the arms."""
    every = [t - c for c in control for t in treatment]
    ranked = Ranked.of(control, treatment)
    assert ranked.shift() == pytest.approx(median(every), rel=1e-12, abs=1e-9)
    made = ranked.interval(0.2)
    if made is not None:
        for end in made:
            assert min(abs(end - value) for value in every) < 1e-9
        assert made[0] <= ranked.shift() + 1e-9 and ranked.shift() - 1e-9 <= made[1]
        turned = Ranked.of(treatment, control).interval(0.2)
        assert turned == pytest.approx((-made[1], -made[0]), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(WHOLE, WHOLE)
def test_whole_numbers_have_the_interval_of_the_other_room(control: list[int], treatment: list[int]) -> None:
    """One formula, written for sums of days and for values."""
    found = ranks.shift(treatment, control)
    ranked = Ranked.of(control, treatment)
    assert ranked.shift() == pytest.approx(found.estimate)
    assert ranked.interval(0.05) == (None if found.interval is None else pytest.approx(found.interval))


@settings(max_examples=80, deadline=None)
@given(WHOLE, WHOLE)
def test_statistic_and_p_value_are_scipys(control: list[int], treatment: list[int]) -> None:
    """U, and the p-value with ties and without."""
    ranked = Ranked.of(control, treatment)
    found = scipy_stats.mannwhitneyu(treatment, control)
    assert ranked.above() == found.statistic
    assert ranked.superiority() == pytest.approx(found.statistic / ranked.pairs)
    if len(set(control + treatment)) > 1:
        assert ranked.p_value() == pytest.approx(min(1.0, found.pvalue))
    else:
        assert ranked.p_value() == 1 and ranked.statistic() == 0


@settings(max_examples=60, deadline=None)
@given(WHOLE, WHOLE, st.integers(-20, 20), st.sampled_from([0.05, 0.2, 0.4]))
def test_the_one_sided_p_value_inverts_the_interval(
    control: list[int], treatment: list[int], margin: int, alpha: float
) -> None:
    """Where the lower end is over a margin, the p-value is at most half of alpha; and the other way round."""
    ranked = Ranked.of(control, treatment)
    over = sum(t - c > margin for c in control for t in treatment)
    expected = normal_tail((over - ranked.pairs / 2) / ranked.spread())
    assert ranked.p_above(margin) == pytest.approx(expected)
    ends = ranked.interval(alpha)
    if ends is not None and ends[0] > margin:
        assert ranked.p_above(margin) <= alpha / 2 + 1e-9
    if ranked.p_above(margin) < alpha / 2 * 0.5 and ends is not None:
        assert ends[0] >= margin


@settings(max_examples=40, deadline=None)
@given(REAL, REAL, st.floats(-100, 100))
def test_the_shift_moves_with_the_treatment(control: list[float], treatment: list[float], by: float) -> None:
    """And no unit changes the p-value."""
    plain, moved = Ranked.of(control, treatment), Ranked.of(control, [v + by for v in treatment])
    assert moved.shift() == pytest.approx(plain.shift() + by, abs=1e-6)
    scaled = Ranked.of([4 * v for v in control], [4 * v for v in treatment])
    assert scaled.above() == plain.above() and scaled.shift() == pytest.approx(4 * plain.shift(), abs=1e-6)


@pytest.mark.parametrize("sizes", [(5, 5), (5, 8), (7, 4)])
def test_a_false_alarm_is_as_rare_as_promised(sizes: tuple[int, int]) -> None:
    """Of all ways to deal ranks to two samples, at most 5 % leave 0 out: exact, by counting."""
    n = sum(sizes)
    alarms = 0
    for chosen in combinations(range(n), sizes[0]):
        others = [rank for rank in range(n) if rank not in set(chosen)]
        ends = Ranked.of(chosen, others).interval(0.05)
        assert ends is not None
        alarms += ends[0] > 0 or ends[1] < 0
    assert 0 < alarms <= 0.05 * comb(n, sizes[0])


def test_the_size_has_its_power() -> None:
    """In 400 samples of the size that Noether's formula names; its deviation is 0.02."""
    chance = np.random.default_rng(3)
    control = chance.exponential(1.0, 4000)
    needed = size(Ranked.of(control, control), 0.3, alpha=0.05, power=0.8)
    assert needed is not None
    n = round(needed)
    hits = 0
    for _ in range(400):
        c, t = chance.exponential(1.0, n), chance.exponential(1.0, n) + 0.3
        hits += abs(Ranked.of(c, t).statistic()) > 1.96
    assert 0.72 <= hits / 400 <= 0.9


def test_what_moves_no_rank_has_no_size() -> None:
    """And one value is no sample."""
    assert size(Ranked.of([1.0, 100.0], [1.0, 2.0]), 0.0, alpha=0.05, power=0.8) is None
    with pytest.raises(ValueError, match="control n == 1, must be >= 2"):
        Ranked.of([1], [1, 2])
