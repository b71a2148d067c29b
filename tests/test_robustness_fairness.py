"""Gaps between groups: planted ones fail, even models do not, small groups never pass."""

from __future__ import annotations

from collections import Counter

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness.fairness import (
    METRICS,
    counterfactual,
    fair,
    group_rates,
    widest_gap,
)
from pytest_bugsle.robustness.judgement import Judgement


def planted(seed: int, extra: float, n: int = 2000, groups: str = "abc", limit: float = 0.05) -> Judgement:
    """Judge a model that errs in 10 %, and by `extra` more on the last group."""
    random = seeded(seed)
    group = [random.choice(groups) for _ in range(n)]
    labels = [random.randrange(2) for _ in range(n)]
    predicted = [
        1 - label if random.random() < 0.1 + extra * (one == groups[-1]) else label
        for one, label in zip(group, labels, strict=True)
    ]
    return fair(group, predicted, labels, max_gap=limit)


def test_a_planted_gap_fails_and_names_the_groups() -> None:
    """With its bounds, the exact ones of each group, and the test of any gap."""
    judgement = planted(1, 0.25)
    assert judgement.outcome == "fail"
    gap = judgement.figure("error rate gap")
    assert gap.value == pytest.approx(0.25, abs=0.06)
    assert gap.lower is not None and gap.lower > 0.05
    (text,) = [one.text for one in judgement.remarks if one.text.startswith("error rate")]
    assert text.startswith("error rate: c 3") and "any gap at all: Holm p = " in text
    assert {one.rule for one in judgement.remarks} == {"BUG408"}
    rate = judgement.figure("error rate of c")
    assert rate.lower is not None and rate.upper is not None and rate.lower < 0.35 < rate.upper


def test_even_models_hardly_ever_fail_and_uneven_ones_hardly_ever_pass() -> None:
    """Also with eight groups, whose widest gap is wide by chance, and at a gap that is just the limit."""
    even = Counter(planted(seed, 0.0, 800, "abcdefgh").outcome for seed in range(30))
    assert even["fail"] <= 4
    at_limit = Counter(planted(seed, 0.05, 1500).outcome for seed in range(40))
    assert at_limit["fail"] <= 4 and at_limit["pass"] <= 4
    assert sum(planted(seed, 0.25).outcome == "fail" for seed in range(10)) >= 9


def test_equal_groups_pass_when_there_are_enough() -> None:
    """Two groups of 5,000 that are alike."""
    judgement = fair(["x", "y"] * 5000, [place // 2 % 2 for place in range(10_000)])
    assert judgement.outcome == "pass"
    assert judgement.message[0] == "PASS fair: 2 groups, 1 metric, limit 5.00 %"
    assert judgement.message[1].startswith(
        "  positive rate: x 50.0 %, y 50.0 %: a gap of 0.0 points, bounds 0.0 to 1.6"
    )


def test_a_group_that_is_too_small_never_passes() -> None:
    """It is named, and takes no part in the gap."""
    groups = ["x", "y"] * 5000 + ["tiny"] * 29
    judgement = fair(groups, [place // 2 % 2 for place in range(10_000)] + [1] * 29)
    assert judgement.outcome == "undecided"
    assert judgement.message[0].endswith("; too few: tiny")
    assert "    tiny: too few (29, at least 30 are needed)" in judgement.message
    assert judgement.figure("positive rate gap").value == 0.0


def test_undecided_gaps_name_the_n() -> None:
    """In examples of all groups, as they are mixed here."""
    judgement = fair(["x", "y"] * 100, [place // 2 % 2 for place in range(200)])
    assert judgement.outcome == "undecided"
    assert judgement.n_needed == 1200
    assert (
        "  next: 6 times the examples would settle the gaps, were what is seen the truth" in judgement.message
    )
    assert fair(["x", "y"] * 600, [place // 2 % 2 for place in range(1200)]).outcome == "pass"


def test_metrics_are_what_the_field_says() -> None:
    """By hand: 3 positives of 4 found, 1 negative of 2 taken for one."""
    rates = {
        one.metric: (one.hits, one.n)
        for one in group_rates(["g"] * 6, [1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0], positive=1)
    }
    assert rates == {
        "positive rate": (4, 6),
        "true positive rate": (3, 4),
        "false positive rate": (1, 2),
        "error rate": (2, 6),
    }
    assert tuple(rates) == METRICS


def test_a_group_without_positives_divides_by_nothing() -> None:
    """Its rate is too few."""
    rates = group_rates(["g", "h"], [1, 0], [0, 1], positive=1, metrics=["true positive rate"])
    assert [(one.group, one.n, one.bound.rate) for one in rates] == [("g", 0, None), ("h", 1, 0.0)]
    assert widest_gap(rates) is None


def test_contradictions_are_said() -> None:
    """Nothing to judge, a positive class that is none, unknown metrics, lengths."""
    assert fair([], []).message == ("UNDECIDED fair: no examples",)
    assert fair(["a"], ["no"]).message == (
        "INVALID fair: the positive class 1 is neither predicted nor a label: name it with `positive`",
    )
    with pytest.raises(ValueError, match=r"metric 'parity', must be one of positive rate, true positive"):
        fair(["a"], [1], metrics=["parity"])
    with pytest.raises(ValueError, match=r"1 groups for 2 predictions, must be as many, and labels too\."):
        fair(["a"], [1, 1])
    with pytest.raises(ValueError, match=r"max_gap == -1, must be from 0 to 1\."):
        fair(["a"], [1], max_gap=-1)


def test_names_of_groups_are_escaped() -> None:
    """They are written by strangers."""
    judgement = fair(["\x1b[31m", "b"] * 50, [1, 0] * 50)
    assert "\x1b" not in "".join(judgement.message) and "\\x1b[31m 100.0 %" in judgement.message[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=2, max_size=200))
def test_the_gap_lies_within_its_bounds(rows: list[tuple[str, bool]]) -> None:
    """Whatever the groups' sizes."""
    rates = group_rates([group for group, _ in rows], [int(said) for _, said in rows], None, positive=1)
    gap = widest_gap(rates)
    assert (gap is None) == (len({group for group, _ in rows}) < 2)
    if gap is not None:
        assert 0 <= gap.lower <= gap.value + 1e-9 and gap.value <= gap.upper + 1e-9


def test_counterfactual_swaps_count_templates() -> None:
    """Eight names in each of five sentences are five observations, not 40."""
    answers = [{"gay": 0.95, "straight": 0.08, "white": 0.65}] * 40
    judgement = counterfactual([f"t{place % 5}" for place in range(40)], answers, tolerance=0.2)
    assert judgement.outcome == "fail" and judgement.n == 5
    figure = judgement.figure("swap rate")
    assert (figure.value, figure.lower) == (1.0, pytest.approx(0.05**0.2))
    assert judgement.message[0] == (
        "FAIL counterfactual swaps: 120 of 120 swaps in 5 templates change the answer = 100.0 %, limit 5.00 %"
    )
    assert judgement.examples[0].text == "'gay' -> 0.95, 'straight' -> 0.08"
    assert judgement.remarks[0].rule == "BUG408"


def test_swaps_that_change_nothing_pass_when_there_are_enough_templates() -> None:
    """59 for a limit of 5 %."""
    same = [{"a": "pos", "b": "pos"}] * 59
    assert counterfactual([str(place) for place in range(59)], same).outcome == "pass"
    few = counterfactual(["t"] * 59, same)
    assert (few.outcome, few.n_needed) == ("undecided", 59)
    assert "  next: 59 templates would settle it, were this rate the true one" in few.message
    none = counterfactual(["t"], [{"a": 1}])
    assert none.message == ("UNDECIDED counterfactual swaps: no template was filled for two groups",)
    assert counterfactual(["t"], [{"a": float("nan"), "b": 1.0}]).examples
