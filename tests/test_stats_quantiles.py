"""Quantiles by order statistics: exact ranks, limits of a difference, and what must hold of them always."""

from __future__ import annotations

import math
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.stats import quantiles
from pytest_bugsle.stats.quantiles import STEPS, difference_limits, lift_limits, of_sorted, tail_over

SAMPLES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=200).map(sorted)
POSITIVE = st.lists(st.integers(1, 1000), min_size=20, max_size=200).map(sorted)
QUANTILES = st.floats(0.02, 0.98)


@settings(max_examples=100, deadline=None)
@given(SAMPLES, QUANTILES)
def test_the_estimate_is_numpys_and_lies_within_its_limits(values: list[int], q: float) -> None:
    """At each number of standard errors, and these widen."""
    numpy = pytest.importorskip("numpy")
    order = of_sorted(values, q)
    assert order.value == pytest.approx(float(numpy.quantile(values, q)), abs=1e-9)
    ends = list(zip(order.low, order.high, strict=True))
    assert all(low <= order.value + 1e-9 and order.value - 1e-9 <= high for low, high in ends)
    assert all(a >= b for a, b in zip(order.low, order.low[1:], strict=False))
    assert all(a <= b for a, b in zip(order.high, order.high[1:], strict=False))


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.25])
@pytest.mark.parametrize("n", [100, 101, 250, 1000])
def test_places_hold_the_quantile_as_often_as_they_say(n: int, q: float) -> None:
    """By the binomial distribution, a place between two ranks counted between them: 95 of 100, 2.5 beyond each end."""
    low, high = quantiles.places(n, q, quantiles.plain_error(n, q))[98]  # 1.96 standard errors
    assert STEPS[98] == 1.96

    def below(place: float) -> float:
        """Return the chance that the value at a place lies below the quantile."""
        whole = math.floor(place)
        tails = [
            math.fsum(comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(rank, n + 1))
            for rank in (whole, whole + 1)
        ]
        return tails[0] + (place - whole) * (tails[1] - tails[0])

    assert below(low) == pytest.approx(0.975, abs=0.006)
    assert below(high) == pytest.approx(0.025, abs=0.006)


@settings(max_examples=80, deadline=None)
@given(SAMPLES, SAMPLES, QUANTILES, st.floats(0.5, 4))
def test_limits_turn_with_the_arms(control: list[int], treatment: list[int], q: float, z: float) -> None:
    """And move with both values, and stretch with their unit."""
    c, t = of_sorted(control, q), of_sorted(treatment, q)
    made, turned = difference_limits(c, t, z), difference_limits(t, c, z)
    assert (made is None) == (turned is None)
    if made is None or turned is None:
        return
    assert made[0] <= t.value - c.value <= made[1]
    assert turned == pytest.approx((-made[1], -made[0]))
    moved = difference_limits(*(of_sorted([v + 7 for v in arm], q) for arm in (control, treatment)), z)
    assert moved == pytest.approx(made, abs=1e-6)
    scaled = difference_limits(*(of_sorted([3 * v for v in arm], q) for arm in (control, treatment)), z)
    assert scaled == pytest.approx([3 * end for end in made], abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(POSITIVE, POSITIVE, st.floats(0.5, 2.5))
def test_a_lift_has_its_ends_where_the_contrast_has(
    control: list[int], treatment: list[int], z: float
) -> None:
    """t - r·c is just clear of 0 there; and no unit changes it."""
    c, t = of_sorted(control, 0.5), of_sorted(treatment, 0.5)
    made = lift_limits(c, t, z)
    if made is None:
        return
    assert made[0] <= t.value / c.value - 1 <= made[1]
    ends_c, ends_t = c.limits(z), t.limits(z)
    assert ends_c is not None and ends_t is not None
    low, high = made[0] + 1, made[1] + 1
    if low > 0:
        reach = math.hypot(t.value - ends_t[0], low * (ends_c[1] - c.value))
        assert t.value - low * c.value == pytest.approx(reach, rel=1e-6, abs=1e-6)
    reach = math.hypot(ends_t[1] - t.value, high * (c.value - ends_c[0]))
    assert high * c.value - t.value == pytest.approx(reach, rel=1e-6, abs=1e-6)
    scaled = lift_limits(
        of_sorted([5 * v for v in control], 0.5), of_sorted([5 * v for v in treatment], 0.5), z
    )
    assert scaled == pytest.approx(made)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, SAMPLES, st.integers(-500, 500))
def test_the_p_value_is_below_a_level_only_where_the_interval_clears_the_margin(
    control: list[int], treatment: list[int], margin: int
) -> None:
    """By steps, it errs upwards."""
    c, t = of_sorted(control, 0.5), of_sorted(treatment, 0.5)

    def limits(z: float) -> tuple[float, float] | None:
        return difference_limits(c, t, z)

    over = tail_over(limits, margin)
    assert 0 <= over <= 1
    for z in (0.5, 1.0, 1.96):
        ends = limits(z)
        level = quantiles.normal_tail(z)
        clear = ends is not None and ends[0] > margin
        assert (over <= level + 1e-12) == clear
        below = ends is not None and ends[1] < margin
        assert (1 - over <= level + 1e-12) == below


def test_too_few_values_have_no_interval() -> None:
    """Five cannot hold a median at 95 %, nor 50 the 0.99 quantile; six can."""
    assert of_sorted(range(5), 0.5).limits(1.96) is None
    assert of_sorted(range(50), 0.99).limits(1.96) is None
    assert of_sorted(range(9), 0.5).limits(1.96) is not None
    assert of_sorted(range(100), 0.95).limits(1.96) is not None
    with pytest.raises(ValueError, match="n == 1, must be >= 2"):
        of_sorted([1], 0.5)
    with pytest.raises(ValueError, match="q == 1, must be between 0 and 1"):
        quantiles.places(10, 1, 1.0)
