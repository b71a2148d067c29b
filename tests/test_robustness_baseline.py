"""A model against the one before it, on the same examples."""

from __future__ import annotations

from collections import Counter

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness.baseline import not_worse_than, over_margin
from pytest_bugsle.robustness.judgement import Judgement
from pytest_bugsle.stats.paired import mcnemar_greater


def planted(seed: int, loss: float, n: int = 1000, margin: float = 0.01) -> Judgement:
    """Judge a model that changes 6 % of the answers and loses so much."""
    random = seeded(seed)
    now, then = [], []
    for _ in range(n):
        draw = random.random()
        now.append(0 if draw < 0.03 + loss else 1)
        then.append(0 if 0.03 + loss <= draw < 0.06 + loss else 1)
    return not_worse_than(now, then, [1] * n, margin=margin)


def test_a_loss_fails_and_every_newly_wrong_example_is_listed() -> None:
    """By exact McNemar and over the margin."""
    judgement = not_worse_than(
        ["n"] * 40 + ["p"] * 460, ["p"] * 490 + ["n"] * 10, ["p"] * 500, ids=[f"i{n}" for n in range(500)]
    )
    assert judgement.outcome == "fail"
    assert [one.id for one in judgement.examples] == [f"i{n}" for n in range(40)]
    assert judgement.examples[0].text == "'p' -> 'n', is 'p'"
    assert judgement.message[0] == (
        "FAIL not worse than baseline: accuracy 92.0 % against 98.0 %, a loss of +6.00 points, margin 1"
    )
    assert judgement.message[1].endswith("95% each; exact McNemar p = 1.19e-05")
    assert judgement.message[2] == "  40 newly wrong, 10 newly right of 500; 0 wrong in another way"
    assert [(one.rule, one.text) for one in judgement.remarks] == [
        ("BUG409", "6.00 points less accurate: 40 newly wrong and 10 newly right of 500 examples")
    ]


def test_a_loss_within_the_margin_passes_and_still_lists_what_is_newly_wrong() -> None:
    """Significant, and small."""
    judgement = not_worse_than([0] * 30 + [1] * 19_970, [1] * 20_000, [1] * 20_000)
    assert judgement.outcome == "pass" and len(judgement.examples) == 30
    assert judgement.figure("McNemar p-value").value == pytest.approx(2**-30)


def test_few_disagreements_are_undecided() -> None:
    """Five against none of 100 could be chance for either answer."""
    judgement = not_worse_than([0] * 4 + [1] * 96, [1] * 100, [1] * 100)
    assert judgement.outcome == "undecided"
    assert judgement.n_needed == 200
    assert "  next: 200 examples would settle it, were what is seen the truth" in judgement.message
    even = not_worse_than([0] + [1] * 99, [1] * 100, [1] * 100)
    assert even.n_needed is None
    assert "  next: no number of examples shows a loss that is exactly the margin" in even.message
    assert not_worse_than([], [], []).message == ("UNDECIDED not worse than baseline: no examples",)


def test_an_equal_model_passes_from_269_examples_on() -> None:
    """z²/(n + z²) within a hundredth."""
    assert not_worse_than([1] * 268, [1] * 268, [1] * 268).outcome == "pass"
    assert not_worse_than([1] * 267, [1] * 267, [1] * 267).outcome == "undecided"


def test_wrong_answers_that_changed_are_no_discordance() -> None:
    """Both wrong, in another way."""
    judgement = not_worse_than(["a"] * 10, ["b"] * 10, ["c"] * 10)
    assert judgement.message[2] == "  0 newly wrong, 0 newly right of 10; 10 wrong in another way"


def test_misses_and_false_alarms_are_as_rare_as_claimed() -> None:
    """At the margin neither answer comes more often than 5 %; without a loss of so many changes none fails."""
    at_margin = Counter(planted(seed, 0.02, margin=0.02).outcome for seed in range(200))
    assert at_margin["fail"] <= 18 and at_margin["pass"] <= 18
    assert all(planted(seed, 0.0).outcome != "fail" for seed in range(100))
    assert sum(planted(seed, 0.06).outcome == "fail" for seed in range(30)) >= 27


def test_lengths_must_agree() -> None:
    """They are the same examples."""
    with pytest.raises(ValueError, match=r"1 predictions, 2 of the baseline and 1 labels, must be as many\."):
        not_worse_than([1], [1, 1], [1])
    with pytest.raises(ValueError, match=r"2 inputs for 1 labels, must be as many\."):
        not_worse_than([1], [1], [1], inputs=["a", "b"])
    with pytest.raises(ValueError, match=r"margin == 2, must be from 0 to 1\."):
        not_worse_than([1], [1], [1], margin=2)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_the_counts_add_up(rows: list[tuple[bool, bool]]) -> None:
    """The loss is the difference of the two accuracies, and lies within its bounds."""
    judgement = not_worse_than([now for now, _ in rows], [then for _, then in rows], [True] * len(rows))
    loss = judgement.figure("loss of accuracy")
    now, then = sum(one for one, _ in rows), sum(one for _, one in rows)
    assert loss.value == pytest.approx((then - now) / len(rows))
    assert loss.lower is not None and loss.upper is not None
    assert loss.lower <= (then - now) / len(rows) <= loss.upper


@given(st.integers(0, 60), st.integers(0, 60), st.integers(120, 2000))
def test_without_a_margin_the_exact_test_is_that_of_mcnemar(lost: int, gained: int, n: int) -> None:
    """With one it says less, the more the larger it is."""
    at = [over_margin(lost, gained, n, margin) for margin in (0.0, 0.01, 0.05, 1.0)]
    assert at[0] == pytest.approx(mcnemar_greater(lost, gained))
    assert at == sorted(at) and at[-1] == pytest.approx(1.0)


def test_a_bound_over_the_margin_is_not_enough_among_few() -> None:
    """Of models that lose just 1 % of 300 the bound alone fails 8 in 100; six newly wrong ones may be chance."""
    outcomes = {}
    for lost in (6, 8):
        made = not_worse_than(["b"] * lost + ["a"] * (300 - lost), ["a"] * 300, ["a"] * 300, margin=0.01)
        assert made.figure("loss of accuracy").lower is not None
        assert (made.figure("loss of accuracy").lower or 0) > 0.01
        outcomes[lost] = made.outcome
    assert outcomes == {6: "undecided", 8: "fail"}
    few = not_worse_than(["b"] * 6 + ["a"] * 294, ["a"] * 300, ["a"] * 300, margin=0.01)
    assert "by the exact test of so few it may be chance (p = 0.18)" in "\n".join(few.message)
    assert few.n_needed is not None and few.n_needed > 300
