"""Confident errors apart from the others, their triage, and what errors share."""

from __future__ import annotations

from collections import Counter

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness.confident import class_errors, confident_errors, shared_traits


def test_confident_errors_are_counted_apart_from_the_others() -> None:
    """The rate is that among the sure answers; the unsure ones are shown beside it."""
    probabilities = [0.99] * 100 + [0.6] * 50
    labels = [0] * 10 + [1] * 90 + [0] * 25 + [1] * 25
    judgement = confident_errors(probabilities, labels, threshold=0.95, max_rate=0.01)
    assert judgement.outcome == "fail"
    assert judgement.n == 100 and judgement.figure("confident error rate").value == 0.1
    assert judgement.figure("other error rate").value == 0.5
    assert judgement.message[:3] == (
        "FAIL confident errors: 10 of 100 answers at 0.95 or surer are wrong = 10.0 %, limit 1.00 %",
        "  bounds 5.53 % to 16.4 %, 95% each",
        "  below 0.95: 25 of 50 wrong = 50.0 %",
    )
    assert [one.id for one in judgement.examples] == [str(place) for place in range(10)]
    assert "  and 5 more" in judgement.message


def test_one_untriaged_confident_error_is_a_finding_however_good_the_rest() -> None:
    """BUG405 stands beside an outcome that passes."""
    judgement = confident_errors([0.99] * 2000, [0] + [1] * 1999, ids=[f"id{n}" for n in range(2000)])
    assert judgement.outcome == "pass"
    (finding,) = judgement.remarks
    assert finding.rule == "BUG405"
    assert finding.text == (
        "1 answer at 0.95 or surer wrong, and not triaged; the surest: 'id0': 1 (0.990), is 0"
    )


def test_triage_takes_an_error_out_of_the_finding_and_not_out_of_the_rate() -> None:
    """And says so."""
    labels = [0, 0] + [1] * 1998
    ids = [f"id{n}" for n in range(2000)]
    judgement = confident_errors([0.99] * 2000, labels, ids=ids, triaged={"id0", "id1", "old"})
    assert not judgement.remarks and not judgement.examples
    assert judgement.figure("confident error rate").value == 0.001
    assert "  2 of them triaged: in the rate, not in the finding" in judgement.message


def test_too_few_confident_answers_are_undecided_and_name_the_n() -> None:
    """Nothing sure at all proves nothing."""
    judgement = confident_errors([0.99] * 50, [1] * 50)
    assert (judgement.outcome, judgement.n_needed) == ("undecided", 299)
    assert "  next: 299 answers as sure would settle it, were this rate the true one" in judgement.message
    unsure = confident_errors([0.6] * 50, [1] * 50)
    assert (unsure.outcome, unsure.n, unsure.n_needed) == ("undecided", 0, 299)
    assert "0 of 0 answers" in unsure.message[0]


def test_bad_input_is_said() -> None:
    """No probabilities, logits, lengths."""
    assert confident_errors(None, [1]).message == (
        "UNDECIDED confident errors: the model gives labels and no probabilities",
    )
    assert confident_errors([7.0], [1]).outcome == "invalid"
    with pytest.raises(ValueError, match=r"2 ids for 1 examples, must be as many\."):
        confident_errors([0.5], [1], ids=["a", "b"])
    with pytest.raises(ValueError, match=r"2 inputs for 1 labels, must be as many\."):
        confident_errors([0.5], [1], inputs=["a", "b"])
    with pytest.raises(ValueError, match=r"threshold == 2, must be from 0 to 1\."):
        confident_errors([0.5], [1], threshold=2)


def test_inputs_are_shown_escaped_and_short() -> None:
    """Control characters of strangers reach no terminal; a million characters no report."""
    judgement = confident_errors([0.99], [0], inputs=["\x1b[31mred\u200b" + "x" * 1_000_000])
    assert "\x1b" not in "".join(judgement.message) and "\\x1b[31mred\\u200b" in judgement.message[3]
    assert max(len(line) for line in judgement.message) < 200


def test_a_class_that_is_mistaken_for_another_is_named() -> None:
    """Planted: cats are called dogs in 30 of 100; all else errs evenly."""
    random = seeded(2)
    labels = ["cat", "dog", "fox"] * 100
    predicted = [
        "dog" if label == "cat" and place % 10 < 3 else label if random.random() > 0.02 else "fox"
        for place, label in enumerate(labels)
    ]
    found = class_errors(predicted, labels)
    assert {one.what for one in found} == {"'cat' is wrong", "'cat' is taken for 'dog'"}
    (taken,) = [one for one in found if one.what == "'cat' is taken for 'dog'"]
    # Dogs cannot be taken for dogs: the others are the foxes.
    assert (taken.errors, taken.n, taken.other_n) == (30, 100, 100)
    assert " against " in found[0].line() and "Holm p = " in found[0].line()


def test_classes_that_err_alike_are_rarely_named() -> None:
    """At most 5 % of runs name any, whatever the number of pairs."""
    named = 0
    for seed in range(120):
        random = seeded(seed)
        labels = [random.choice("abcde") for _ in range(200)]
        predicted = [random.choice("abcde") if random.random() < 0.3 else label for label in labels]
        named += bool(class_errors(predicted, labels))
    assert named <= 12


def test_what_the_errors_share_is_named() -> None:
    """Planted: texts with a negation are wrong."""
    inputs = ["this is not good", "this is good", "all is well now", "fine by me too"] * 30
    correct = [place % 4 != 0 for place in range(120)]
    found = shared_traits(correct, inputs)
    assert [one.what for one in found] == ["negation 'yes'"]
    assert (found[0].errors, found[0].n, found[0].other_errors, found[0].other_n) == (30, 30, 0, 90)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0.34, 1)), min_size=1, max_size=40
    )
)
def test_the_counts_add_up(rows: list[tuple[str, str, float]]) -> None:
    """Every error is in one of the two groups, and every untriaged one listed, the surest first."""
    probabilities = [
        {one: share if one == said else (1 - share) / 2 for one in "abc"} for said, _, share in rows
    ]
    judgement = confident_errors(probabilities, [label for _, label, _ in rows], threshold=0.7)
    wrong = Counter(share >= 0.7 for said, label, share in rows if said != label)
    sure = sum(share >= 0.7 for _, _, share in rows)
    assert judgement.n == sure and len(judgement.examples) == wrong[True]
    other = judgement.figure("other error rate").value
    assert other == (wrong[False] / (len(rows) - sure) if sure < len(rows) else None)
