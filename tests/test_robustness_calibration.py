"""Calibration beyond chance: a perfect model never fails for its n, a wrong one is found."""

from __future__ import annotations

from collections import Counter

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness import calibration
from pytest_bugsle.robustness.calibration import (
    Bin,
    bins_of,
    calibrated,
    calibration_error,
    count_quantiles,
    debiased_squared_error,
)
from pytest_bugsle.robustness.judgement import Judgement


def judged(n: int, off: float, seed: int = 0, limit: float = 0.02, resamples: int = 300) -> Judgement:
    """Judge a model that is too sure by `off`, of two classes."""
    random = seeded(seed)
    chances = [random.uniform(0.5, 1) for _ in range(n)]
    labels = [int(random.random() < chance - off) for chance in chances]
    return calibrated(chances, labels, uniform=seeded(1).random, max_excess=limit, resamples=resamples)


def test_a_perfect_model_of_few_examples_is_undecided_and_not_failed() -> None:
    """Its plain error is some 0.06 with 300 examples; the message says what chance makes and what is needed."""
    judgement = judged(300, 0.0)
    assert judgement.outcome == "undecided"
    assert judgement.figure("calibration error").value == pytest.approx(0.06, abs=0.03)
    assert judgement.figure("null calibration error").value == pytest.approx(0.058, abs=0.01)
    assert judgement.message[0].startswith("UNDECIDED calibrated: off by 0.")
    assert " where chance makes 0.05" in judgement.message[0]
    assert "limit 0.02" in judgement.message[0]
    assert judgement.n_needed is not None and 1_000 < judgement.n_needed < 100_000
    assert judgement.message[-1].startswith("  next: some ")


def test_enough_examples_show_that_it_is_calibrated() -> None:
    """And no bound shown contradicts the outcome."""
    judgement = judged(12_000, 0.0)
    assert judgement.outcome == "pass"
    upper = judgement.figure("calibration error").upper
    assert upper is not None and upper <= 0.02
    assert judgement.n_needed is None and not judgement.remarks


def test_a_model_that_is_too_sure_fails_and_the_finding_says_where() -> None:
    """Signed, debiased, with its worst bin."""
    judgement = judged(1000, 0.1)
    assert judgement.outcome == "fail"
    assert judgement.figure("signed gap").value == pytest.approx(0.1, abs=0.04)
    assert judgement.figure("debiased squared error").value == pytest.approx(0.01, abs=0.008)
    assert any("too sure on average" in line for line in judgement.message)
    assert judgement.remarks[0].rule == "BUG406"
    assert "beyond chance (limit 0.02); most between 0." in judgement.remarks[0].text
    lower = judgement.figure("calibration error").lower
    assert lower is not None and lower >= 0.02


def test_false_alarms_and_misses_are_as_rare_as_claimed() -> None:
    """A planted error at the limit neither passes nor fails in more than 5 % of runs; one far over it fails."""
    at_limit = Counter(judged(200, 0.05, seed, 0.05, 60).outcome for seed in range(40))
    assert at_limit["fail"] <= 6 and at_limit["pass"] <= 6
    assert {judged(400, 0.25, seed, 0.05, 60).outcome for seed in range(8)} == {"fail"}


def test_a_limit_of_zero_is_never_passed() -> None:
    """Not even where every bin is right exactly as often as it says, which chance hardly ever makes."""
    chances = [0.9] * 100 + [0.8] * 100 + [0.7] * 100
    labels = [int(place % 100 < 100 * chance - 0.5) for place, chance in enumerate(chances)]
    judgement = calibrated(chances, labels, uniform=seeded(0).random, max_excess=0.0)
    assert judgement.figure("calibration error").value == pytest.approx(0)
    assert (judgement.outcome, judgement.n_needed) == ("undecided", None)


def test_the_same_seed_gives_the_same_figures() -> None:
    """Chance comes in as a value."""
    assert judged(200, 0.1) == judged(200, 0.1)


def test_a_confidence_of_exactly_one_is_refuted_by_its_errors() -> None:
    """All say 1.0 and 4 of 10 are wrong; one in a hundred is within the limit's doubt."""
    labels = [int(place % 10 < 6) for place in range(300)]
    assert calibrated([1.0] * 300, labels, uniform=seeded(0).random).outcome == "fail"
    few = calibrated([1.0] * 300, [0, 0, 0] + [1] * 297, uniform=seeded(0).random)
    assert few.outcome == "undecided"
    sure = calibrated([1.0] * 300, [1] * 300, uniform=seeded(0).random)
    assert sure.outcome == "pass"
    assert "  the model predicts one class alone: its confidence there is all that was judged" in sure.message


@pytest.mark.parametrize(
    ("given", "outcome", "said"),
    [
        (None, "undecided", "UNDECIDED calibrated: the model gives labels and no probabilities"),
        ([None] * 30, "undecided", "UNDECIDED calibrated: the model gives labels and no probabilities"),
        ([float("nan")] * 30, "invalid", "INVALID calibrated: row 0: nan is no probability."),
        ([[0.3, 0.3]] * 30, "invalid", "INVALID calibrated: row 0: the sum is 0.6, not 1"),
        ([4.0] * 30, "invalid", "INVALID calibrated: row 0: -3 is no probability, it looks like a logit"),
        ([0.9] * 19, "undecided", "UNDECIDED calibrated: 19 examples, at least 20 are needed"),
        ([], "undecided", "UNDECIDED calibrated: 0 examples, at least 20 are needed"),
    ],
)
def test_bad_input_is_no_pass(given: list[object] | None, outcome: str, said: str) -> None:
    """Nor a figure without a meaning."""
    labels = [1] * (30 if given is None else len(given))
    judgement = calibrated(given, labels, uniform=seeded(0).random)
    assert judgement.outcome == outcome
    assert judgement.message[0].startswith(said)


def test_a_limit_must_be_one() -> None:
    """Half is what a coin is off."""
    with pytest.raises(ValueError, match=r"max_excess == 0\.5, must be from 0 to under 0\.5\."):
        calibrated([0.9] * 30, [1] * 30, uniform=seeded(0).random, max_excess=0.5)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.61, 0.9, 1.0]), st.booleans()), max_size=60),
    st.integers(1, 15),
)
def test_bins_hold_every_example_once_and_part_no_tie(pairs: list[tuple[float, bool]], bins: int) -> None:
    """In order of confidence, whatever the order of the examples."""
    made = bins_of([one for one, _ in pairs], [right for _, right in pairs], bins)
    turned = bins_of([one for one, _ in pairs[::-1]], [right for _, right in pairs[::-1]], bins)
    assert made == turned
    assert [c for one in made for c in one.confidences] == sorted(c for c, _ in pairs)
    assert sum(one.right for one in made) == sum(right for _, right in pairs)
    assert len({c for one in made for c in set(one.confidences)}) == sum(
        len(set(one.confidences)) for one in made
    )
    assert len(made) <= bins


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_count_is_distributed_as_all_its_cases_say(chances: list[float]) -> None:
    """The exact distribution against the sum over all subsets."""
    exact = [1.0]
    for chance in chances:
        exact = [
            (exact[k] if k < len(exact) else 0) * (1 - chance) + (exact[k - 1] * chance if k else 0)
            for k in range(len(exact) + 1)
        ]
    quantile = count_quantiles(chances)
    total = 0.0
    for k, weight in enumerate(exact):
        if weight > 1e-9:
            assert quantile(total + weight / 2) == k
        total += weight


def test_the_debiased_error_of_a_perfect_model_is_zero_on_average() -> None:
    """Where the plain one is not."""
    random, squared, plain = seeded(3), 0.0, 0.0
    for _ in range(200):
        chances = [random.uniform(0.5, 1) for _ in range(200)]
        made = bins_of(chances, [random.random() < chance for chance in chances])
        squared += debiased_squared_error(made) / 200
        plain += calibration_error(made) / 200
    assert abs(squared) < 0.001 and plain > 0.05


def test_a_bin_of_one_has_no_variance() -> None:
    """And divides by nothing."""
    assert debiased_squared_error([Bin((0.9,), 1)]) == 0.0


def test_the_diagram_has_a_point_and_a_band_for_each_bin() -> None:
    """A model that is right as often as it says lies within most bands, one that is too sure below them."""
    good, bad = judged(2000, 0.0).reliability, judged(2000, 0.2).reliability
    assert len(good) == 10 and sum(one.n for one in good) == 2000
    assert sum(one.lower <= one.right <= one.upper for one in good) >= 8
    assert all(one.lower <= one.confidence <= one.upper for one in good)
    assert sum(one.right < one.lower for one in bad) >= 9


def test_both_sides_of_an_error_must_be_refuted_for_a_pass() -> None:
    """A model may be too sure or not sure enough."""
    made = bins_of([0.9] * 40 + [0.6] * 40, [True] * 40 + [False] * 20 + [True] * 20)
    chance = calibration._Chance(made, seeded(0).random, 200)
    for off in (0.05, 0.1, 0.2):
        sides = [chance.errors(off, towards=side) for side in (True, False)]
        shares = [sum(one <= 0.1 for one in side) / 201 for side in sides]
        assert chance.under(0.1, off) >= max(shares)
    assert shares[0] != shares[1]
