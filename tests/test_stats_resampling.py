"""The bootstrap of Student's t: the same each time, right where Welch is, and skewed where the data are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.stats import resampling
from pytest_bugsle.stats.means import welch
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.resampling import Resampled, draws_of, lift

np = pytest.importorskip("numpy")

VALUES = st.lists(st.floats(-100, 100), min_size=3, max_size=30)


def found(control: object, treatment: object, resamples: int = 999) -> Resampled:
    """Return the difference of two samples."""
    return resampling.difference(*draws_of(control, treatment, resamples))


@settings(max_examples=40, deadline=None)
@given(VALUES, VALUES, st.randoms())
def test_it_is_the_same_each_time_and_turns_with_the_arms(
    control: list[float], treatment: list[float], chance: object
) -> None:
    """Whatever the order of the rows is."""
    shuffled = sorted(control, key=lambda _: chance.random())  # type: ignore[attr-defined]
    made, again, turned = found(control, treatment), found(shuffled, treatment), found(treatment, control)
    assert made.interval(0.05) == again.interval(0.05)
    ends, other = made.interval(0.1), turned.interval(0.1)
    assert (ends is None) == (other is None)
    if ends is not None and other is not None and sorted(control) != sorted(treatment):
        assert other == pytest.approx((-ends[1], -ends[0]), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(VALUES, VALUES)
def test_p_values_and_intervals_say_the_same(control: list[float], treatment: list[float]) -> None:
    """Beyond the ends the one-sided p-value is at most half of alpha and a resample."""
    made = found(control, treatment)
    if made.error == 0:
        return
    for alpha in (0.2, 0.05, 0.001):
        ends = made.interval(alpha)
        if ends is None:
            continue
        assert ends[0] <= ends[1]
        slack = 2 / 1000
        further = [1e-6 * max(1.0, abs(end)) for end in ends]
        assert made.p_above(ends[0] - further[0]) <= alpha / 2 + slack
        assert made.p_below(ends[1] + further[1]) <= alpha / 2 + slack
    wide, narrow = made.interval(0.05), made.interval(0.3)
    if wide is not None and narrow is not None:
        assert wide[0] <= narrow[0] + 1e-12 and narrow[1] <= wide[1] + 1e-12


def test_where_the_data_are_normal_it_is_welch() -> None:
    """To a few hundredths of the width, at levels that the resamples reach and at ones that they do not."""
    chance = np.random.default_rng(5)
    control, treatment = chance.normal(10, 2, 800), chance.normal(10.2, 3, 900)
    true = welch(Moments.of(control), Moments.of(treatment))
    made = found(control, treatment, resampling.RESAMPLES)
    assert made.value == pytest.approx(true.value) and made.error == pytest.approx(true.error)
    for alpha in (0.05, 0.01, 1e-4, 1e-6):
        ends, exact = made.interval(alpha), true.interval(alpha)
        assert ends is not None
        assert ends == pytest.approx(exact, abs=0.12 * (exact[1] - exact[0]))
    assert made.p_above() == pytest.approx(true.p_above(), abs=0.02)


def test_a_long_tail_bends_the_interval() -> None:
    """A small arm may have missed a few large values: its mean is open upwards further than downwards."""
    chance = np.random.default_rng(6)
    made = found(chance.lognormal(0, 1.5, 5000), chance.lognormal(0, 1.5, 200))
    low, high = made.interval(0.05) or (0.0, 0.0)
    assert high - made.value > 1.2 * (made.value - low)
    even = found(chance.lognormal(0, 1.5, 400), chance.lognormal(0, 1.5, 400))
    low, high = even.interval(0.05) or (0.0, 0.0)
    assert high - even.value == pytest.approx(even.value - low, rel=0.2)


def test_many_values_are_dealt_to_bags() -> None:
    """The spread of their mean stays what it was."""
    values = np.random.default_rng(7).lognormal(0, 1, 23_001)
    for made in draws_of(values, values[:7_003] * 2, 2000):
        assert made.means.std() == pytest.approx(np.sqrt(made.squared), rel=0.08)
        assert made.squares.mean() == pytest.approx(made.squared, rel=0.08)


def test_a_lift_follows_the_control() -> None:
    """It is relative to the control's size, and none where the control may be 0."""
    chance = np.random.default_rng(8)
    control, treatment = chance.normal(10, 2, 300), chance.normal(11, 2, 300)
    made = lift(*draws_of(control, treatment, 999))
    assert made is not None and made.value == pytest.approx(treatment.mean() / control.mean() - 1)
    negative = lift(*draws_of(control - 20, treatment - 20, 999))
    assert negative is not None and negative.value > 0
    low, high = negative.interval(0.05) or (1.0, 0.0)
    assert 0 < low < negative.value < high
    assert lift(*draws_of(control - control.mean(), treatment, 999)) is None


def test_one_value_is_no_sample() -> None:
    """Nothing can be drawn from it."""
    with pytest.raises(ValueError, match="treatment n == 1, must be >= 2"):
        draws_of([1.0, 2.0], [1.0])
