"""Counts against the shares that they should have, at every moment at once; and the check of arms that uses it."""

from __future__ import annotations

from math import comb, exp, isfinite, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from pytest_bugsle.experiment import checks, srm
from pytest_bugsle.stats.multinomial import always_valid_p, check_counts, log_evidence

shares = st.lists(st.floats(0.05, 1), min_size=2, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0.01, 0.99), st.sampled_from([1.0, 50.0, 1e4]))
def test_two_arms_have_the_beta_binomial(one: int, other: int, share: float, concentration: float) -> None:
    """Whose logarithm the library of special functions knows."""
    expected = (
        special.betaln(concentration * share + one, concentration * (1 - share) + other)
        - special.betaln(concentration * share, concentration * (1 - share))
        - one * np.log(share)
        - other * np.log1p(-share)
    )
    found = log_evidence([one, other], [share, 1 - share], concentration)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-5 + 1e-15 * (one + other) * 20)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), shares, st.floats(0.5, 100))
def test_the_evidence_is_1_on_average_where_the_shares_are_right(
    total: int, split: list[float], concentration: float
) -> None:
    """Which makes it a martingale, and its bound hold at every moment."""
    wanted = check_counts([0] * len(split), split)

    def outcomes(left: int, arms: int) -> list[tuple[int, ...]]:
        if arms == 1:
            return [(left,)]
        return [(first, *rest) for first in range(left + 1) for rest in outcomes(left - first, arms - 1)]

    mean = 0.0
    for counts in outcomes(total, len(split)):
        ways, left = 1, total
        for count in counts:
            ways *= comb(left, count)
            left -= count
        chance = ways * prod(share**count for share, count in zip(wanted, counts, strict=True))
        mean += chance * exp(log_evidence(counts, split, concentration))
    assert mean == pytest.approx(1, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.floats(0.05, 1)), min_size=2, max_size=5), st.floats(0.1, 10)
)
def test_neither_the_order_of_the_arms_nor_the_unit_of_the_shares_matters(
    arms: list[tuple[int, float]], factor: float
) -> None:
    """And it is always a p-value."""
    counts, split = [count for count, _ in arms], [share for _, share in arms]
    found = always_valid_p(counts, split)
    assert 0 <= found <= 1 and isfinite(found)
    turned = always_valid_p(counts[::-1], [share * factor for share in split[::-1]])
    assert turned == pytest.approx(found, rel=1e-4, abs=1e-12)


def test_a_gross_mismatch_is_seen_at_once_and_a_small_one_in_time() -> None:
    """No units say nothing."""
    assert always_valid_p([0, 0], [1, 1]) == 1 and always_valid_p([500, 500], [1, 1]) == 1
    assert always_valid_p([90, 10], [1, 1]) < 1e-9
    assert always_valid_p([5050, 4950], [1, 1]) == 1
    assert always_valid_p([505_000, 495_000], [1, 1]) < 1e-15
    assert always_valid_p([10**12, 2 * 10**12], [1, 1]) == 0


@pytest.mark.parametrize(
    ("counts", "split", "words"),
    [
        ([1], [1], "1 counts and 1 shares"),
        ([1, 2], [1], "2 counts and 1 shares"),
        ([1, -2], [1, 1], r"observed\[1\] == -2"),
        ([1, 2], [1, 0], r"shares\[1\] == 0"),
        ([1, 2], [1, float("nan")], r"shares\[1\] == nan"),
    ],
)
def test_counts_and_shares_that_are_none_are_refused(
    counts: list[int], split: list[float], words: str
) -> None:
    """With their place."""
    with pytest.raises(ValueError, match=words):
        always_valid_p(counts, split)
    with pytest.raises(ValueError, match="concentration == 0"):
        log_evidence([1, 1], [1, 1], 0)


def test_fifty_looks_raise_fewer_false_alarms_than_the_level() -> None:
    """One test at 0.001 at each look raises more than 0.001."""
    rng = np.random.default_rng(3)
    runs, alarms, fixed = 1000, 0, 0
    for _ in range(runs):
        first = rng.binomial(2000, 0.5, 50).cumsum()
        total = 2000 * np.arange(1, 51)
        far = np.abs(2 * first - total) / np.sqrt(total)
        fixed += bool((far > 3.29).any())
        alarms += any(
            always_valid_p((int(first[at]), int(total[at] - first[at])), (1, 1)) < srm.ALWAYS_VALID_ALPHA
            for at in np.flatnonzero(far > 3)
        )
    assert alarms / runs <= srm.ALWAYS_VALID_ALPHA and fixed / runs > 0.003


# ---- the check


def test_where_looks_repeat_a_mismatch_must_hold_at_all_of_them() -> None:
    """What one look alone would refuse is a doubt, with which nothing passes; the message has both p-values."""
    n, split = {"control": 50_530, "treatment": 49_470}, {"control": 0.5, "treatment": 0.5}
    once, often = checks.sample_ratio(n, split), checks.sample_ratio(n, split, repeated=True)
    assert (once.outcome, once.rule, often.outcome, often.rule) == ("invalid", "BUG301", "undecided", None)
    assert "always-valid p = " in often.message and "may still be chance" in often.message
    far = checks.sample_ratio({"control": 51_000, "treatment": 49_000}, split, repeated=True)
    assert (far.outcome, far.rule) == ("invalid", "BUG301") and "furthest off" in far.message
    near = checks.sample_ratio({"control": 50_010, "treatment": 49_990}, split, repeated=True)
    assert (near.outcome, near.rule) == ("pass", None) and "always-valid p = 1.000" in near.message


def test_a_doubt_about_the_arms_lets_nothing_pass() -> None:
    """A declared look is held to the one test, and is refused by it."""
    pytest.importorskip("duckdb")
    pa = pytest.importorskip("pyarrow")
    from pytest_bugsle.experiment.tables import judge_table

    arms = ["control"] * 5060 + ["treatment"] * 4690
    sold = [int(place % 10 == 0) for place in range(5060)] + [int(place % 5 == 0) for place in range(4690)]
    table = pa.table({"arm": arms, "sold": sold})
    (often,) = judge_table(table, arm="arm", metric="sold")
    (once,) = judge_table(table, arm="arm", metric="sold", look="final")
    assert often.outcome == "undecided" and "designed sizes" in often.why and often.effect is not None
    assert once.outcome == "invalid" and once.effect is None
