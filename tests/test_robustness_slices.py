"""Weak slices: planted ones are found, even models stay clean, and finds are confirmed elsewhere."""

from __future__ import annotations

import pytest
from chances import seeded
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.robustness.judgement import Judgement
from pytest_bugsle.robustness.slices import detectable, dimensions, halves, weak_slices


def planted(seed: int, extra: float, *, n: int = 1200, predefined: list[str] | None = None) -> Judgement:
    """Judge a model that errs in 8 %, and by `extra` more on phones with a note."""
    random = seeded(seed)
    device = [random.choice(["phone", "desk"]) for _ in range(n)]
    note = [random.choice(["yes", "no"]) for _ in range(n)]
    market = [random.choice("abcdef") for _ in range(n)]
    correct = [
        random.random() > 0.08 + extra * (one == "phone" and other == "yes")
        for one, other in zip(device, note, strict=True)
    ]
    return weak_slices(
        correct, {"device": device, "note": note, "market": market}, predefined=predefined or ["market"]
    )


def test_a_predefined_slice_is_tested_against_its_complement() -> None:
    """The reference: tweets 4 % wrong, the others some 40 %."""
    wrong = {"tweets": 14, "movie": 434, "amazon": 114, "nyt": 122}
    sizes = {"tweets": 343, "movie": 1007, "amazon": 298, "nyt": 297}
    domain = [name for name, size in sizes.items() for _ in range(size)]
    correct = [place >= wrong[name] for name, size in sizes.items() for place in range(size)]
    judgement = weak_slices(correct, {"domain": domain}, depth=1)
    assert judgement.outcome == "fail"
    assert {one.text.split(":")[0] for one in judgement.remarks} == {"domain = movie", "domain = nyt"}
    assert judgement.tests == 4
    assert judgement.message[0] == "FAIL slices: 2 weak of 4 tested; 684 of 1945 wrong in all"
    assert (
        "domain = movie: 434 of 1007 wrong (43.1 %) against 250 of 938 elsewhere (26.7 %)"
        in judgement.message[1]
    )
    assert {one.rule for one in judgement.remarks} == {"BUG407"}


def test_a_pair_is_found_in_one_half_and_confirmed_in_the_other() -> None:
    """It errs more than each of its parts, and they are not blamed for it in its stead."""
    judgement = planted(1, 0.35)
    assert judgement.outcome == "fail"
    assert any(one.text.startswith("device = phone and note = yes: ") for one in judgement.remarks)
    figure = judgement.figure("device = phone and note = yes")
    assert figure.lower is not None and figure.value is not None and figure.lower < figure.value


def in_halves(searched: dict[str, int], held: dict[str, int]) -> Judgement:
    """Judge 1,600 examples by two columns, with so many errors of 100 by half and by both values ("ax", "ay" …)."""
    keys = [f"key {place}" for place in range(1600)]
    seen: dict[tuple[bool, str], int] = {}
    one, other, correct = [], [], []
    for place, out in enumerate(halves(keys)):
        cell = "ab"[place % 2] + "xy"[place // 2 % 2]
        seen[out, cell] = seen.get((out, cell), -1) + 1
        one.append(cell[0])
        other.append(cell[1])
        correct.append(seen[out, cell] * 37 % 100 >= (held if out else searched)[cell])
    return weak_slices(correct, {"one": one, "other": other}, predefined=[], keys=keys)


def test_what_the_other_half_does_not_show_is_not_confirmed() -> None:
    """Planted in the searched half alone, in both, and as a part that errs by itself in the other."""
    even = {"ax": 10, "ay": 10, "bx": 10, "by": 10}
    judgement = in_halves({**even, "ax": 50}, even)
    assert judgement.outcome == "pass"
    assert judgement.message[2].endswith(" searched in one half; 0 of 3 finds confirmed in the other")
    both = in_halves({**even, "ax": 50}, {**even, "ax": 50})
    assert "one = a and other = x" in both.message[1]
    part = in_halves({**even, "ax": 60, "ay": 30}, {**even, "ax": 45, "ay": 45})
    assert [one.text.split(":")[0] for one in part.remarks] == ["one = a"]


def test_even_models_are_clean() -> None:
    """Of 60 models that err evenly no more than 5 % have a weak slice, though each has 40 and more tested."""
    runs = [planted(seed, 0.0, n=600, predefined=["market", "device"]) for seed in range(60)]
    assert sum(one.outcome == "fail" for one in runs) <= 6
    assert runs[0].message[-1].startswith("  a slice of 30 is seen as weak from ")
    assert "none of " in runs[0].message[0]


def test_planted_pairs_are_rarely_missed() -> None:
    """35 points more on a quarter of 1,200 examples."""
    assert sum(planted(seed, 0.35).outcome == "fail" for seed in range(30)) >= 28


def test_too_small_slices_are_undecided_and_counted() -> None:
    """Nothing tested is no pass."""
    judgement = weak_slices([True, False] * 20, {"a": ["x", "y"] * 20})
    assert judgement.outcome == "undecided"
    assert judgement.message == (
        "UNDECIDED slices: no slice has 30 examples and as many outside (2 are smaller)",
    )
    assert weak_slices([], {}).message == ("UNDECIDED slices: no examples",)


def test_a_real_effect_that_is_too_small_to_matter_is_none() -> None:
    """Significant and under the least effect."""
    values = ["a"] * 20_000 + ["b"] * 20_000
    correct = [place % 20 != 0 for place in range(20_000)] + [place % 40 != 0 for place in range(20_000)]
    assert weak_slices(correct, {"v": values}, depth=1).outcome == "pass"
    assert weak_slices(correct, {"v": values}, depth=1, min_effect=0.01).outcome == "fail"


def test_true_and_predicted_together_are_no_slice() -> None:
    """They say that an answer is wrong, which is what is to be explained."""
    random = seeded(4)
    labels = [random.choice("ab") for _ in range(600)]
    said = [label if random.random() < 0.8 else "ab".replace(label, "") for label in labels]
    correct = [one == other for one, other in zip(said, labels, strict=True)]
    by = dimensions(predicted=said, labels=labels)
    assert weak_slices(correct, by, predefined=[]).outcome == "pass"


def test_dimensions_come_from_answers_inputs_and_columns() -> None:
    """Numbers of many values by quartile; text, script, bands of confidence."""
    by = dimensions(
        predicted=["a"] * 40,
        labels=["a"] * 40,
        inputs=["no 12"] * 39 + ["да"],
        confidence=[0.4, 0.95] * 20,
        columns={"age": [float(one) for one in range(39)] + [float("nan")], "plan": ["free", "paid"] * 20},
    )
    assert set(by) == {
        "predicted", "true", "length", "script", "language", "digits", "emoji", "negation", "confidence", "age", "plan",
    }  # fmt: skip
    assert by["age"][0] == "under 9" and by["age"][38] == "29 or more" and by["age"][39] == "no number"
    assert (by["script"][0], by["language"][39]) == ("Latin", "Cyrillic script")
    assert by["negation"][0] == "yes" and by["confidence"][:2] == ["under 0.5", "0.9 to under 0.99"]
    with pytest.raises(ValueError, match=r"2 values of plan for 1 examples, must be as many\."):
        dimensions(predicted=[1], labels=[1], columns={"plan": [1, 2]})


def test_wrong_names_and_lengths_are_errors() -> None:
    """What was named and is not there is not left out in silence."""
    with pytest.raises(ValueError, match=r"predefined names 'market', which is none of device\."):
        weak_slices([True], {"device": ["a"]}, predefined=["market"])
    with pytest.raises(ValueError, match=r"2 values of device for 1 answers, must be as many\."):
        weak_slices([True], {"device": ["a", "b"]})
    with pytest.raises(ValueError, match=r"depth == 3, must be 1 or 2\."):
        weak_slices([True], {}, depth=3)


def test_names_of_slices_are_escaped() -> None:
    """A column is written by strangers."""
    values = ["\x1b[31m"] * 60 + ["b"] * 60
    judgement = weak_slices([False] * 50 + [True] * 70, {"\x07v": values}, depth=1)
    assert judgement.outcome == "fail"
    assert "\x1b" not in "".join(judgement.message) and "\\x07v = \\x1b[31m" in judgement.message[1]


@given(st.lists(st.text(), max_size=30), st.text())
def test_no_example_moves_another_into_the_other_half(keys: list[str], more: str) -> None:
    """By content alone, lone surrogates too."""
    assert halves([more, *keys])[1:] == halves(keys)
    assert halves(["\ud800"]) == halves(["\ud800"])


def test_about_half_is_held_out() -> None:
    """Of a thousand keys."""
    assert 440 < sum(halves([f"key {place}" for place in range(1000)])) < 560


def test_what_could_be_seen() -> None:
    """A rate at which Fisher rejects after the correction; none where the slice is too small for it."""
    seen = detectable(30, 970, 0.1, 20)
    assert seen is not None and 0.25 < seen < 0.5
    assert detectable(2, 10, 0.5, 100) is None


def test_an_effect_that_shrinks_in_the_other_half_is_not_confirmed() -> None:
    """However significant what is left of it is."""
    keys = [str(number) for number in range(9000)]
    held = halves(keys)
    sides: dict[bool, list[int]] = {
        side: [n for n, out in enumerate(held) if out is side] for side in (False, True)
    }
    correct, values = [True] * len(keys), ["other"] * len(keys)
    for side, places in sides.items():
        many = len(places) // 2
        for place in places[:many]:
            values[place] = "slice"
        for share, group in ((0.07 if side else 0.2, places[:many]), (0.05, places[many:])):
            for place in group[: round(share * len(group))]:
                correct[place] = False
    made = weak_slices(correct, {"mine": values}, predefined=[], keys=keys, min_effect=0.05)
    assert made.outcome == "pass" and "0 of 1 finds confirmed in the other" in "\n".join(made.message)
    smaller = weak_slices(correct, {"mine": values}, predefined=[], keys=keys, min_effect=0.03)
    assert smaller.outcome == "fail"


def test_labels_that_share_their_ends_are_two() -> None:
    """They are shortened where they are shown alone."""
    one, other = f"{'a' * 30}/{'b' * 30}", f"{'a' * 30}+{'b' * 30}"
    made = dimensions(predicted=[one, one], labels=[one, other], columns={"mine": [(one,), (other,)]})
    assert made["true"] == [one, other] and len(set(made["mine"])) == 2
