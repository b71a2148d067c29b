"""The gate of a model: planted weaknesses are found, controls pass, too few examples are undecided."""

from __future__ import annotations

from typing import Any

import pytest
from small_models import BAD, GOOD, reviews, trained

from pytest_bugsle.errors import UsageError
from pytest_bugsle.results import ModelResult
from pytest_bugsle.robustness import ModelGate, paraphrases, perturbation, typo
from pytest_bugsle.robustness.gates import ModelGate as Gate

TEXTS, LABELS = reviews(300, seed=1)


def one(results: list[ModelResult], name: str) -> ModelResult:
    """Return the result of a perturbation or of a gate."""
    (found,) = [result for result in results if name in (result.perturbation, result.gate)]
    return found


def asked(model: Any, *words: Any, examples: list[Any] = TEXTS, **options: Any) -> list[ModelResult]:
    """Return what a gate says of invariance."""
    gate = ModelGate(model, examples)
    gate.invariant(*words, **options)
    return gate.results()


def test_a_cased_model_fails_and_its_control_passes() -> None:
    """By the bound of the rate, not by the rate."""
    weak = one(asked(trained(lowercase=False), "case.upper"), "case.upper")
    assert weak.outcome == "fail" and weak.interval is not None and weak.interval[0] > 0.02 == weak.limit
    assert weak.trials == weak.examples == 300 and weak.flips > 100 and weak.family == "case"
    control = one(asked(trained(), "case.upper"), "case.upper")
    assert (control.outcome, control.flips) == ("pass", 0)
    assert control.interval is not None and control.interval[1] == pytest.approx(1 - 0.05 ** (1 / 300))


def test_the_smallest_failure_is_one_word() -> None:
    """Of a variation that changes all of them."""
    weak = one(asked(trained(lowercase=False), "case.upper"), "case.upper")
    assert weak.smallest is not None and len(weak.smallest.edits) == 1
    (edit,) = weak.smallest.edits
    assert edit.after == edit.before.upper() and edit.before.strip(".,") in GOOD + BAD
    assert weak.smallest.before[edit.place[0] : edit.place[1]] == edit.before
    assert {weak.smallest.output_before[:3], weak.smallest.output_after[:3]} == {"bad", "goo"}
    assert '  smallest: "' in weak.message and '         -> "' in weak.message


def test_no_flips_among_few_say_little() -> None:
    """Undecided, with the number that would do."""
    few = one(asked(trained(), "case.upper", examples=TEXTS[:20]), "case.upper")
    assert (few.outcome, few.n_needed, few.flips) == ("undecided", 149, 0)
    assert "no flip among 20 says no more than up to 14 %; 149 examples would do" in few.message
    alone = one(asked(trained(), "case.upper", examples=TEXTS[:1]), "case.upper")
    assert alone.outcome == "undecided" and alone.interval == (0.0, 0.95)


def test_no_op_and_twin_are_no_trials() -> None:
    """They are counted and shown."""
    made = one(asked(trained(), "case.upper", examples=[*TEXTS, *TEXTS[:50], "123", "45"]), "case.upper")
    assert (made.trials, made.no_ops) == (300, 2) and "2 no-ops" in made.message


def test_where_nothing_applies_it_is_undecided() -> None:
    """And said."""
    made = one(asked(trained(), "unicode.nfd"), "unicode.nfd")
    assert (made.outcome, made.trials, made.rate, made.interval) == ("undecided", 0, None, None)
    assert "no example was changed, so that nothing was tried" in made.message


def test_what_came_with_its_family_and_could_not_pass_decides_nothing() -> None:
    """Unless none of the family decides, or it was named."""
    mixed = asked(trained(), "unicode", examples=[*TEXTS, "das schöne Café"], max_flip_rate=0.9)
    assert not one(mixed, "unicode.nfd").decides and one(mixed, "unicode.zero_width").decides
    assert one(mixed, "unicode.nfd").message.startswith("too few unicode.nfd: flips 0 of 1")
    named = asked(
        trained(), "unicode", "unicode.nfd", examples=[*TEXTS, "das schöne Café"], max_flip_rate=0.9
    )
    assert one(named, "unicode.nfd").decides
    none = asked(trained(), "quotes", examples=TEXTS[:20])
    assert [result.decides for result in none if result.trials] == [True]


def test_a_task_is_one_group() -> None:
    """What its texts do not have leaves nothing undecided; what is named does."""
    gate = ModelGate(trained(), TEXTS, task="topic")
    gate.invariant(max_flip_rate=0.9)
    made = gate.results()
    assert {result.outcome for result in made if result.decides} == {"pass"}
    assert not one(made, "contractions.expand").decides and not one(made, "quotes.straight").decides
    named = asked(trained(), "contractions", "natural", max_flip_rate=0.9)
    assert one(named, "contractions.expand").decides and not one(named, "unicode.nfc").decides


def test_variants_of_one_example_are_one_cluster() -> None:
    """However many there are, n is that of the examples."""
    made = one(asked(trained(), "typos.key", variants=20, max_flip_rate=0.5), "typos.key")
    assert made.trials > 4000 and made.examples == 300 and made.duplicates > 0
    assert "(in " in made.message and " of 300 examples)" in made.message


def test_limits_are_by_nature() -> None:
    """Or one for all."""
    made = asked(
        trained(), "case.upper", "case.swap", "unicode.zero_width", max_flip_rate={"adversarial": 0.5}
    )
    assert [result.limit for result in made] == [0.02, 0.05, 0.5]
    assert {result.limit for result in asked(trained(), "case", max_flip_rate=0.3)} == {0.3}


def test_many_tests_are_adjusted_for() -> None:
    """What fails alone may be undecided among others, and the examples that would do are more."""
    names = iter(range(100))

    def flips_some(text: str) -> str:
        return f"{text} #{next(names)}"

    def model(text: str) -> str:
        return "flipped" if "#" in text and int(text.rpartition("#")[2]) in range(0, 100, 17) else "same"

    flips_some_named = perturbation(flips_some, name="mine.some")
    alone = one(asked(model, flips_some_named, examples=TEXTS[:100]), "mine.some")
    assert (alone.outcome, alone.flips) == ("fail", 6)
    names = iter(range(100))
    others = [typo("key", name=f"mine.other{number}") for number in range(60)]
    among = one(asked(model, flips_some_named, *others, examples=TEXTS[:100]), "mine.some")
    assert among.outcome == "undecided" and among.n_needed is not None and among.n_needed > 100
    assert "above the limit alone, not among all here (Holm: p = " in among.message


def test_scores_are_compared_where_a_tolerance_is_given() -> None:
    """A label may stay while its score falls."""
    gate = ModelGate(trained(), TEXTS)
    gate.invariant("typos.drop", max_flip_rate=0.5)
    gate.invariant("typos.drop", max_flip_rate=0.5, score_tolerance=0.0001)
    labels, scores = gate.results()
    assert scores.flips > labels.flips


def test_numbers_need_a_tolerance() -> None:
    """Which is absolute, relative, or both."""

    def length(text: str) -> float:
        return float(len(text))

    with pytest.raises(UsageError, match="the model answers numbers, and no tolerance is given"):
        asked(length, "whitespace.pad")
    assert asked(length, "whitespace.pad", score_tolerance=2.0)[0].flips == 0
    assert asked(length, "whitespace.pad", score_tolerance=1.9)[0].flips == 300
    assert asked(length, "whitespace.pad", relative_tolerance=0.2)[0].flips == 0


def test_a_direction_is_one_of_the_score() -> None:
    """It falls, or rises, by as much as is asked."""
    gate = ModelGate(trained(), TEXTS)
    gate.directional(lambda text: f"{text} Superb, wonderful!", higher_by=0.0, target="good")
    gate.directional(lambda text: f"{text} Awful.", higher_by=0.0, target="good")
    rises, falls = gate.results()
    assert (rises.outcome, rises.flips, falls.outcome) == ("pass", 0, "fail")
    assert falls.findings[0].rule == "BUG402" and "goes the wrong way for" in falls.message
    with pytest.raises(UsageError, match="either lower_by or higher_by"):
        gate.directional(str.upper)
    labels = ModelGate(trained().predict, TEXTS, batch=True)
    labels.directional(str.upper, lower_by=0.1)
    with pytest.raises(UsageError, match="the model gives no score for"):
        labels.results()


def test_everything_is_asked_together_and_once() -> None:
    """Originals and changed variants, in full batches; then what shrinking needs."""
    calls: list[list[str]] = []

    def model(texts: list[str]) -> list[str]:
        calls.append(texts)
        return ["same"] * len(texts)

    gate = ModelGate(model, TEXTS, batch=100)
    gate.invariant("case.upper", "case.lower")
    gate.invariant("case.upper", "whitespace.pad")
    gate.results()
    asked_texts = [text for each in calls for text in each]
    wanted = {*TEXTS, *(t.upper() for t in TEXTS), *(t.lower() for t in TEXTS), *(f" {t} " for t in TEXTS)}
    assert len(asked_texts) == len(set(asked_texts)) and set(asked_texts) == wanted
    assert [len(each) for each in calls[:-1]] == [100] * (len(calls) - 1)
    assert f"{len(wanted):,} inputs in {len(calls)} calls, seed 0" in gate.message()


def test_examples_on_which_a_model_raises_are_left_out_and_said() -> None:
    """And a variant on which it raises is a flip."""
    model = trained()

    def picky(text: str) -> str:
        if "film" in text or "BOOK" in text:
            raise ValueError("not this one")
        return model.predict([text])[0]

    examples = [text for text in TEXTS if "film" not in text] + [text for text in TEXTS if "film" in text][
        :10
    ]
    made = asked(picky, "case.upper", examples=examples)
    raising = one(made, "answers")
    assert raising.outcome == "fail" and raising.flips == 10 and raising.findings[0].rule == "BUG411"
    assert "raises on 10 of" in raising.message and "ValueError: not this one" in raising.message
    upper = one(made, "case.upper")
    assert "10 left out on which the model raises" in upper.message and upper.flips == sum(
        "book" in t for t in examples
    )


def test_a_model_that_hangs_is_undecided() -> None:
    """With what it was asked."""
    import threading

    ended = threading.Event()
    gate = ModelGate(lambda text: ended.wait(20), TEXTS, timeout=0.1)
    gate.invariant("case")
    (made,) = gate.results()
    ended.set()
    assert made.outcome == "undecided" and "did not answer within 0.1 s" in made.message
    assert made.findings[0].rule == "BUG410"


def test_rows_are_varied_in_their_own_units() -> None:
    """A slip of a unit is found, by its field."""
    rows = [
        {"age": 20 + number % 50, "income": 1000.5 + 37 * number, "member": number % 2}
        for number in range(200)
    ]

    def model(row: dict[str, float]) -> str:
        return "rich" if row["income"] > 20_000 else "poor"

    gate = ModelGate(model, rows)
    gate.invariant("units.thousand", "rounding", "columns", max_flip_rate=0.02)
    slip, rounding, order = gate.results()
    assert slip.outcome == "fail" and slip.smallest is not None
    assert [edit.place for edit in slip.smallest.edits] == ["income"]
    assert rounding.outcome == "pass" and order.trials == 200 and order.outcome == "pass"


def test_images_are_shifted() -> None:
    """And what cannot be is told."""
    numpy = pytest.importorskip("numpy")
    images = [numpy.roll(numpy.eye(4), number % 4, axis=1) * (1 + number) for number in range(200)]
    gate = ModelGate(lambda image: int(image[0].argmax()), images)
    gate.invariant("shift", "precision", max_flip_rate=0.05)
    made = gate.results()
    assert one(made, "shift.right").outcome == "fail" and one(made, "shift.right").smallest is not None
    with pytest.raises(UsageError, match="there is no perturbation 'unit'"):
        ModelGate(len, images).invariant("unit")


def test_the_judges_of_predictions_have_their_own_results() -> None:
    """All of them over the same answers, asked once."""
    texts, labels = reviews(200, seed=2)
    wrong = ["bad" if number < 60 else label for number, label in enumerate(labels)]
    gate = ModelGate(trained(), texts, wrong)
    gate.deterministic()
    gate.calibrated()
    gate.confident_errors()
    gate.slices(["length", "mine"], columns={"mine": ["first" if n < 60 else "rest" for n in range(200)]})
    gate.fair(["a" if number % 2 else "b" for number in range(200)], positive="good")
    gate.refuses(empty=True, too_long=10_000)
    gate.not_worse_than(trained(lowercase=False))
    made = {result.gate: result for result in gate.results()}
    assert made["deterministic"].outcome == "pass"
    assert made["calibrated"].outcome == "fail" and made["confident_errors"].outcome == "fail"
    assert [finding.rule for finding in made["confident_errors"].findings] == ["BUG405"]
    assert made["slices"].outcome == "fail" and "mine = first" in made["slices"].message
    assert made["refuses"].outcome == "fail" and made["refuses"].findings[0].rule == "BUG404"
    assert made["not_worse_than"].outcome in ("pass", "undecided") and "fair" in made


def test_triaged_errors_are_found_no_more() -> None:
    """They stay in the rate."""
    texts, labels = reviews(300, seed=2)
    labels[0] = "bad" if labels[0] == "good" else "good"
    gate = ModelGate(trained(), texts, labels)
    gate.confident_errors(threshold=0.6, max_rate=0.05)
    (found,) = gate.results()
    assert found.outcome == "pass" and [each.rule for each in found.findings] == ["BUG405"]
    (note,) = found.notes
    again = ModelGate(trained(), texts, labels)
    again.confident_errors(threshold=0.6, max_rate=0.05, triaged={note.partition(":")[0]})
    assert again.results()[0].findings == []


def test_a_confidence_without_the_other_classes_is_enough() -> None:
    """What is not said goes to the others."""
    model = trained()

    def confident(text: str) -> dict[str, Any]:
        row = model.predict_proba([text])[0]
        return {"label": model.classes_[row.index(max(row))], "score": max(row)}

    texts, labels = reviews(300, seed=2)
    results = []
    for each in (model, confident):
        gate = ModelGate(each, texts, labels)
        gate.confident_errors()
        gate.calibrated()
        results.append(gate.results())
    assert [(r.outcome, r.rate) for r in results[0]] == [(r.outcome, r.rate) for r in results[1]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ModelGate(len, []), "there are no examples"),
        (lambda: ModelGate(len, ["a"], ["x", "y"]), "labels: there are 2 for 1 examples"),
        (lambda: ModelGate(len, ["a"]).calibrated(), "calibrated needs the right answers"),
        (lambda: ModelGate(len, ["a"]).invariant("case", max_flip_rate=2), "a limit of 2.0 is no share"),
        (
            lambda: ModelGate(len, ["a"]).invariant("case", max_flip_rate={"natrual": 1}),
            "there is no nature 'natrual'",
        ),
        (lambda: ModelGate(len, ["a"]).invariant("case", variants=0), "variants == 0, must be at least 1"),
        (lambda: ModelGate(len, ["a"]).fair(["x", "y"]), "groups: there are 2 for 1 examples"),
        (lambda: ModelGate(len, ["a"]).refuses(nun=True), "there is no such bad input"),
    ],
)
def test_what_contradicts_itself_is_told_at_once(make: Any, said: str) -> None:
    """Before any model is asked."""
    with pytest.raises(UsageError, match=said):
        make()


def test_labels_that_the_model_never_gives_are_told() -> None:
    """They are other names for the same, most likely."""
    gate = ModelGate(trained(), TEXTS, [1] * len(TEXTS))
    gate.confident_errors()
    with pytest.raises(
        UsageError, match="no answer of the model is ever one of the labels: 'bad', 'good', and 1"
    ):
        gate.results()
    other = ModelGate(trained(), TEXTS, LABELS)
    other.slices(["lenght"])
    with pytest.raises(UsageError, match=r"there is no dimension 'lenght'.\n  next: did you mean 'length'"):
        other.results()
    third = ModelGate(trained(), TEXTS, LABELS)
    third.fair(LABELS)
    with pytest.raises(UsageError, match="the positive label 1 is none of 'bad', 'good'"):
        third.results()


def test_an_argument_out_of_its_range_is_told() -> None:
    """By the judge that takes it."""
    gate = ModelGate(trained(), TEXTS, LABELS)
    gate.calibrated(max_excess=1.0)
    with pytest.raises(UsageError, match=r"calibrated: max_excess == 1\.0, must be from 0 to under 0.5"):
        gate.results()


def test_the_same_seed_gives_the_same_results() -> None:
    """And another seed other variants."""
    first, second, third = (ModelGate(trained(), TEXTS, seed=seed) for seed in (0, 0, 1))
    for gate in (first, second, third):
        gate.invariant("typos", max_flip_rate=0.5)
        gate.results()
    assert first.results() == second.results() != third.results()


def test_a_paraphrase_of_ones_own_is_a_perturbation() -> None:
    """Where it applies."""
    table = {text: text.replace("was", "used to be") for text in TEXTS if "was" in text}
    (made,) = asked(trained(), paraphrases(table), max_flip_rate=0.05)
    assert made.trials == len(table) and made.no_ops == len(TEXTS) - len(table) and made.outcome == "pass"


def test_with_a_block_the_model_is_asked_at_its_end() -> None:
    """Not after it, where what it needs may be gone."""
    with Gate(trained(), TEXTS) as gate:
        gate.invariant("case.upper")
        assert gate.judged == []
    assert len(gate.judged) == 1


def test_the_baseline_has_names_of_its_own() -> None:
    """Labels that are none of the right ones would make any model better; columns are those of its own classes."""

    class Named:
        def __init__(self, classes: list[str]) -> None:
            self.classes_ = classes

        def predict(self, texts: list[str]) -> list[str]:
            return [self.classes_[-1] for _ in texts]

        def predict_proba(self, texts: list[str]) -> list[list[float]]:
            return [[*(0.0 for _ in self.classes_[1:]), 1.0] for _ in texts]

    gate = ModelGate(Named(["bad", "good"]), TEXTS, LABELS)
    gate.not_worse_than(Named(["bad", "fair", "good"]))
    (made,) = gate.results()
    assert made.figures["loss of accuracy"] == 0
    other = ModelGate(Named(["bad", "good"]), TEXTS, LABELS)
    other.not_worse_than(lambda text: "POSITIVE", margin=0.5)
    with pytest.raises(
        UsageError, match=r"no answer of the baseline .* is ever one of the labels: 'POSITIVE', and"
    ):
        other.results()


def test_what_the_baseline_raises_on_takes_no_part() -> None:
    """It would else be newly right."""

    def old(text: str) -> str:
        if "film" in text:
            raise ValueError("no films")
        return trained().predict([text])[0]

    gate = ModelGate(trained(), TEXTS[:60], LABELS[:60])
    gate.not_worse_than(old, margin=0.5)
    (made,) = gate.results()
    films = sum("film" in text for text in TEXTS[:60])
    assert made.examples == 60 - films and made.figures["newly right"] == 0
    assert f"{films} examples left out on which the baseline" in made.message and "raises" in made.message


def test_a_model_that_is_always_wrong_is_judged() -> None:
    """Where its scores know the labels, they are no other names."""
    gate = ModelGate(lambda text: {"good": 0.9, "bad": 0.1}, TEXTS[:20], ["bad"] * 20)
    gate.confident_errors(threshold=0.8)
    assert gate.results()[0].outcome == "fail"


def test_a_score_that_is_hardly_any_is_no_probability() -> None:
    """It would need as many other labels as there are atoms."""
    gate = ModelGate(lambda text: ("good", 1e-300), TEXTS[:20], LABELS[:20])
    gate.confident_errors()
    assert gate.results()[0].outcome == "invalid"


def test_classes_are_named_in_the_other_process_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what JSON would change is not asked there."""
    (tmp_path / "scoring_model.py").write_text(
        "def rows(inputs):\n    return [[0.1, 0.9] for _ in inputs]\n\n"
        "def keys(row):\n    return str(type(next(iter(row))))\n\ndef kinds(row):\n    return type(row).__name__\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import scoring_model  # type: ignore[import-not-found]  # made above

    gate = ModelGate(scoring_model.rows, TEXTS[:2], batch=True, classes=["bad", "good"])
    gate.deterministic()
    (made,) = gate.results()
    assert made.outcome == "pass" and "other process: 0 of 2 differ" in made.message
    for model, example in ((scoring_model.keys, {1: 2.0}), (scoring_model.kinds, (1.0, 2.0))):
        gate = ModelGate(model, [example])
        gate.deterministic()
        (made,) = gate.results()
        assert (
            made.outcome == "pass"
            and "other process: not asked, the examples are nothing that JSON holds" in made.message
        )
