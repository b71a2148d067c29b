"""Models of all kinds behind one face: what they are asked, what they may answer, and what they may not."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import ProgramError, UndecidedError, UsageError
from pytest_bugsle.robustness.answers import Answer, NoAnswer, read, shortened
from pytest_bugsle.robustness.calling import Caller
from pytest_bugsle.robustness.edits import boxed
from pytest_bugsle.robustness.models import BATCH, adapted

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    ("raw", "label", "confidence", "value"),
    [
        ("good", "good", None, None),
        (1, 1, None, None),
        (True, True, None, None),
        (0.25, None, None, 0.25),
        (numpy.float32(0.5), None, None, 0.5),
        (numpy.int64(3), 3, None, None),
        ({"label": "a", "score": 0.9}, "a", 0.9, None),
        ({"label": "a"}, "a", None, None),
        ({"a": 0.2, "b": 0.8}, "b", 0.8, None),
        ([{"label": "a", "score": 0.2}, {"label": "b", "score": 0.8}], "b", 0.8, None),
        (("en", -54.3), "en", -54.3, None),
        ([0.1, 0.9], 1, 0.9, None),
        (numpy.array([0.7, 0.3]), 0, 0.7, None),
        ([0.4], None, None, 0.4),
    ],
    ids=repr,
)
def test_what_a_model_may_answer(raw: Any, label: Any, confidence: float | None, value: float | None) -> None:
    """A label, scores, a number, or both."""
    answer = read(raw)
    assert (answer.label, answer.confidence, answer.value) == (label, confidence, value)


def test_rows_of_scores_have_the_names_of_the_classes() -> None:
    """And as many; a float beside classes is a label."""
    assert read([0.1, 0.9], ["no", "yes"]) == Answer(label="yes", scores={"no": 0.1, "yes": 0.9})
    assert read(1.0, [0.0, 1.0]).label == 1.0
    with pytest.raises(NoAnswer, match="2 scores for 3 classes"):
        read([0.1, 0.9], "abc")


@pytest.mark.parametrize(
    "raw", [None, math.nan, math.inf, [], {}, [math.nan, 1.0], {"a": "b"}, object(), ["a", "b"]]
)
def test_what_is_no_answer_is_told(raw: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises(NoAnswer):
        read(raw)


@given(st.lists(st.text(), unique=True), st.integers(1, 7))
def test_each_input_is_asked_once_in_full_batches_and_order_is_kept(texts: list[str], batch: int) -> None:
    """However often it is wanted."""
    asked: list[list[str]] = []

    def model(inputs: list[str]) -> list[str]:
        asked.append(inputs)
        return [f"label of {text}" for text in inputs]

    caller = Caller(adapted(model, batch=batch))
    answers = caller([*texts, *texts])
    again = caller(texts)
    assert [answers[text].label for text in texts] == [f"label of {text}" for text in texts]
    assert again == answers
    assert [text for each in asked for text in each] == texts and len(asked) == math.ceil(len(texts) / batch)
    assert caller.inputs == len(texts) and caller.calls == len(asked)


def test_what_takes_a_list_is_said_and_not_guessed() -> None:
    """A plain callable takes one input."""
    assert Caller(adapted(str.upper))(["ab"])["ab"].label == "AB"
    assert adapted(lambda texts: texts, batch=True).batch == BATCH


def refuses_b(inputs: list[str]) -> list[str]:
    """Raise where any input is b."""
    if "b" in inputs:
        raise ValueError("no b")
    return ["fine"] * len(inputs)


def test_one_bad_input_is_found_and_named() -> None:
    """By halving its batch; the others are answered."""
    caller = Caller(adapted(refuses_b, batch=64))
    texts = [*"acdefghijklmnop", "b", *"qrstuv"]
    answers = caller(texts)
    assert answers["b"].error == "ValueError: no b"
    assert all(answers[text].label == "fine" for text in texts if text != "b")
    assert caller.calls <= 11


def test_a_model_that_raises_on_everything_is_told_at_once() -> None:
    """With the error and an input."""

    def broken(text: str) -> NoReturn:
        raise KeyError(text)

    with pytest.raises(
        ProgramError,
        match="has no answer to any of the first 5 inputs: KeyError: 'e'\n  why: the last one was 'e'",
    ):
        Caller(adapted(broken))(list("abcdefgh"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda inputs: ["x"], "gave 1 answers to 3 inputs"),
        (lambda inputs: "abc", "answered str to a list of 3 inputs"),
        (lambda inputs: 5, "answered int to a list of 3 inputs"),
        (lambda inputs: [None] * 3, "does not answer to 'a': NoneType None is no answer"),
        (lambda inputs: {"x", "y", "z"}, "answered set to a list of 3 inputs"),
        (lambda inputs: [{"label": None}] * 3, "does not answer to 'a': the label None is none"),
        (lambda inputs: [{"label": math.nan}] * 3, "does not answer to 'a': the label nan is none"),
        (lambda inputs: [{"label": ["x"]}] * 3, r"does not answer to 'a': the label \['x'\] is none"),
        (lambda inputs: (each for each in inputs), "answered generator to a list of 3 inputs"),
    ],
)
def test_answers_that_belong_to_no_input_are_told(model: Any, said: str) -> None:
    """Their number, their type, and which input it was."""
    with pytest.raises(UsageError, match=said):
        Caller(adapted(model, batch=True))(list("abc"))


@pytest.mark.parametrize("batch", [False, 2])
def test_a_model_that_hangs_is_left(batch: bool | int) -> None:
    """And the input is named."""
    ended = threading.Event()

    def model(given: Any) -> Any:
        if "c" in given:
            ended.wait(30)
        return "x" if isinstance(given, str) else ["x"] * len(given)

    started = time.monotonic()
    with pytest.raises(UndecidedError, match=r"did not answer within 0\.1 s") as raised:
        Caller(adapted(model, batch=batch), timeout=0.1)(list("abcd"))
    ended.set()
    assert "'c'" in str(raised.value) and time.monotonic() - started < 20


def test_a_slow_model_is_waited_for_as_long_as_it_answers() -> None:
    """The limit is for one call."""

    def model(text: str) -> str:
        time.sleep(0.05)
        return text

    assert len(Caller(adapted(model), timeout=0.2)(list("abcdefgh"))) == 8
    assert len(Caller(adapted(model), timeout=None)(list("ab"))) == 2


def test_what_happens_with_one_input_is_told() -> None:
    """It raises, answers, or hangs."""
    caller = Caller(adapted(refuses_b, batch=True), timeout=5)
    assert caller.attempt("b") == ("raised", "ValueError") and caller.attempt("a") == ("answered", "'fine'")
    hanging = Caller(adapted(lambda text: time.sleep(0.5)), timeout=0.05)
    assert hanging.attempt("a") == ("timed out", "0.05 s")


class Estimator:
    """What scikit-learn's classifiers have in common."""

    classes_ = numpy.array(["bad", "good"])

    def predict(self, table: Any) -> Any:
        return self.classes_[(numpy.asarray(table).sum(axis=1) > 0).astype(int)]

    def predict_proba(self, table: Any) -> Any:
        share = 1 / (1 + numpy.exp(-numpy.asarray(table).sum(axis=1)))
        return numpy.stack([1 - share, share], axis=1)


def test_estimators_give_probabilities_by_class() -> None:
    """Or labels, where they have none."""
    rows = [[1.0, 2.0], [-3.0, 0.5]]
    probes = [boxed(row) for row in rows]
    answers = Caller(adapted(Estimator()))(probes)
    assert [answers[probe].label for probe in probes] == ["good", "bad"]
    assert set(answers[probes[0]].scores) == {"bad", "good"}

    class Labels(Estimator):
        @property
        def predict_proba(self) -> Any:  # type: ignore[override]
            raise AttributeError("not fitted for it")

    plain = Caller(adapted(Labels()))(probes)
    assert plain[probes[1]] == Answer(label="bad")


def test_sessions_give_their_last_output() -> None:
    """By the name and the type of their input."""

    class Node:
        def __init__(self, name: str, kind: str) -> None:
            self.name, self.type, self.shape = name, kind, [None, 2]

    class Session:
        def get_inputs(self) -> list[Node]:
            return [Node("X", "tensor(float)")]

        def get_outputs(self) -> list[Node]:
            return [Node("label", "tensor(int64)"), Node("probabilities", "tensor(float)")]

        def run(self, outputs: list[str], given: dict[str, Any]) -> list[Any]:
            assert given["X"].dtype == numpy.float32 and outputs == ["label", "probabilities"]
            return [None, Estimator().predict_proba(given["X"])]

    probes = [boxed((1.0, 2.0))]
    assert Caller(adapted(Session(), classes=["bad", "good"]))(probes)[probes[0]].label == "good"
    two = Session()
    two.get_inputs = lambda: [Node("a", "tensor(float)"), Node("b", "tensor(float)")]  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="the session takes 2 inputs"):
        adapted(two)


def test_pipelines_take_lists() -> None:
    """With the size of a batch."""

    class Pipeline:
        task = "text-classification"

        def preprocess(self, text: str) -> None:
            """Stand for what makes a pipeline one."""

        def __call__(self, texts: list[str], batch_size: int) -> list[dict[str, Any]]:
            assert batch_size == 16
            return [{"label": "POSITIVE", "score": 0.75} for _ in texts]

    answers = Caller(adapted(Pipeline(), batch=16))(["a", "b"])
    assert answers["b"] == Answer(label="POSITIVE", scores={"POSITIVE": 0.75})


def test_what_is_no_model_is_told() -> None:
    """And so is a batch that is none."""
    with pytest.raises(UsageError, match="int is no model: it can neither be called nor has it `predict`"):
        adapted(5)
    with pytest.raises(UsageError, match="batch == -1, must be at least 1"):
        adapted(str, batch=-1)


def test_a_long_text_is_shown_by_its_ends() -> None:
    """With how much is left out."""
    assert shortened("x" * 1000, 20) == "xxxxxxxxxx … 980 characters … xxxxxxxxxx"


def test_an_answer_that_is_not_finite_is_one_bad_input() -> None:
    """The others are answered; it is shown as what it is."""
    caller = Caller(
        adapted(lambda text: math.nan if text == "b" else [math.inf, 0.5] if text == "c" else 0.5)
    )
    answers = caller(list("abc"))
    assert (answers["a"].value, answers["b"].error, answers["c"].error) == (
        0.5,
        "no answer: nan",
        "no answer: a score of inf",
    )
    assert answers["b"].shown() == "no answer: nan"
    with pytest.raises(ProgramError, match="has no answer to any of the first 5 inputs: no answer: nan"):
        Caller(adapted(lambda text: math.nan))(list("abcdefgh"))


def test_a_table_of_answers_is_read_by_its_rows() -> None:
    """Its columns are the labels, or a label and its score."""
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    for frame in (pandas.DataFrame, polars.DataFrame):
        scores = frame({"bad": [0.1, 0.7], "good": [0.9, 0.3]})
        answers = Caller(adapted(lambda inputs, made=scores: made, batch=True))(["a", "b"])
        assert [answers[text].label for text in "ab"] == ["good", "bad"] and answers["a"].confidence == 0.9
    labels = pandas.DataFrame({"label": ["x", "y"], "score": [0.5, 0.6]}, index=[9, 4])
    answers = Caller(adapted(lambda inputs: labels, batch=True))(["a", "b"])
    assert [(each.label, each.confidence) for each in answers.values()] == [("x", 0.5), ("y", 0.6)]


def test_a_model_may_do_what_it_likes_with_what_it_is_given() -> None:
    """Take inputs off the list, scale an array in place: the examples stay what they were."""

    def takes_off(inputs: list[Any]) -> list[float]:
        made = []
        while inputs:
            array = inputs.pop(0)
            array *= 2
            made.append(float(array.sum()))
        return made

    examples = [numpy.arange(3.0), numpy.arange(3.0) + 1]
    probes = [boxed(each) for each in examples]
    caller = Caller(adapted(takes_off, batch=True))
    first = caller(probes)
    assert [first[probe].value for probe in probes] == [6.0, 12.0]
    assert [each.value for each in caller.fresh(probes)] == [6.0, 12.0] and examples[0].sum() == 3.0
    assert caller.attempt(examples[0]) == ("answered", "6.0") and examples[0].sum() == 3.0


def test_what_cannot_be_copied_is_given_as_it_is() -> None:
    """A lock, for one."""
    lock = threading.Lock()
    probe = boxed((lock,))
    assert Caller(adapted(lambda given: str(given[0] is lock)))([probe])[probe].label == "True"


def test_a_model_that_leaves_the_program_raises() -> None:
    """Its exit code would else be that of the run: 0, a pass."""

    def model(text: str) -> str:
        if text == "b":
            raise SystemExit(0)
        return "x"

    caller = Caller(adapted(model))
    assert caller(list("abc"))["b"].error == "SystemExit: 0"
    assert caller.attempt("b") == ("raised", "SystemExit")


def test_an_error_without_words_is_told_by_its_kind() -> None:
    """Even where its own words raise."""

    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    def model(text: str) -> str:
        if text == "b":
            raise Silent
        return "x"

    assert Caller(adapted(model))(list("ab"))["b"].error == "Silent"


def test_an_answer_of_another_shape_is_an_answer_all_the_same() -> None:
    """Nothing that a batch was answered is taken for a refusal."""
    for answer in (None, 5, (each for each in "a"), {"x": 1}):
        happened, _ = Caller(adapted(lambda inputs, made=answer: made, batch=True)).attempt("a")
        assert happened == "answered"


def test_an_estimator_of_several_outputs_is_told() -> None:
    """A row of two answers is no row of scores."""

    class Several:
        classes_ = (numpy.array([0, 1]), numpy.array(["a", "b", "c"]))

        def predict(self, table: Any) -> Any:
            return numpy.zeros((len(table), 2))

        def predict_proba(self, table: Any) -> Any:
            return [numpy.zeros((len(table), 2)), numpy.zeros((len(table), 3))]

    with pytest.raises(UsageError, match="the estimator gives 2 answers to each input"):
        Caller(adapted(Several()))([boxed([1.0])])


def test_classes_may_be_an_array() -> None:
    """As an estimator has them."""
    given = adapted(Estimator(), classes=numpy.array(["no", "yes"]))
    assert given.classes == ["no", "yes"] and {type(each) for each in given.classes} == {str}


def test_names_and_errors_of_strangers_send_nothing_to_a_terminal() -> None:
    """They are shown on one line, with escapes."""

    def model(text: str) -> str:
        raise ValueError("\x1b[31mred\n::error::x")

    adapted_model = adapted(model, name="m\x1b[31m")
    assert adapted_model.name == "m\\x1b[31m"
    with pytest.raises(ProgramError) as raised:
        Caller(adapted_model)(list("abcdef"))
    assert "\x1b" not in str(raised.value) and "ValueError: \\x1b[31mred\\n::error::x" in raised.value.what


def test_one_answer_of_an_array_is_shown_alone() -> None:
    """As that of a list is."""
    assert Caller(adapted(Estimator())).attempt([1.0, 2.0])[1].startswith("[0.0")


def test_after_a_bad_input_that_hangs_the_model_is_asked_on() -> None:
    """It was left once, and not for good."""
    ended = threading.Event()
    caller = Caller(adapted(lambda text: ended.wait(20) and "x" if text == "b" else "y"), timeout=0.1)
    assert caller.attempt("b") == ("timed out", "0.1 s")
    assert caller(["a"])["a"].label == "y"
    ended.set()
