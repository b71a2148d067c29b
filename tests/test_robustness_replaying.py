"""Saved cases are judged by what they broke: a label, a score, a direction; and by an older file as well as it can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_bugsle.results import ModelResult
from pytest_bugsle.robustness import ModelGate
from pytest_bugsle.robustness.cases import Case, CaseStore, accept_cases, read_case
from pytest_bugsle.robustness.relations import Direction, Same
from pytest_bugsle.settings import CASES

TEST = "tests/test_model.py::test_it"
TEXTS = [f"the text number {number} is here" for number in range(200)]
Ask = Callable[[ModelGate], None]


class Repository:
    """A folder with new and accepted cases of one test."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.store = CaseStore(TEST, local=top / ".bugsle", committed=top / CASES, top=top)

    def asked(self, model: Any, ask: Ask) -> dict[str, ModelResult]:
        """Return the results of one run by gate."""
        gate = ModelGate(model, TEXTS, test=TEST, store=self.store)
        ask(gate)
        return {result.gate: result for result in gate.results()}

    def cases(self) -> list[tuple[Path, Case]]:
        """Return all saved cases with their files."""
        found = [(path, read_case(path)) for path in sorted(self.top.rglob("*.json"))]
        return [(path, case) for path, case in found if isinstance(case, Case)]

    def accept(self) -> None:
        """Move new cases into the repository."""
        accept_cases(self.top / ".bugsle", self.top / CASES, bug="#7")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return an empty one."""
    return Repository(tmp_path)


def loud(text: str) -> float:
    """Return the share of capitals: a number."""
    return sum(map(str.isupper, text)) / max(1, len(text))


def upper(tolerance: float, limit: float = 0.02) -> Ask:
    """Return what asks for scores that stay."""
    return lambda gate: gate.invariant("case.upper", score_tolerance=tolerance, max_flip_rate=limit)


def falls(limit: float = 0.05) -> Ask:
    """Return what asks for a score that falls."""
    return lambda gate: gate.directional(lambda text: f"SO {text} SO", lower_by=0.1, max_rate=limit)


def test_a_number_that_moved_is_replayed_by_its_tolerance(repository: Repository) -> None:
    """Numbers have no label that could flip."""
    made = repository.asked(loud, upper(0.01))["invariant"]
    assert made.outcome == "fail" and made.saved is not None
    ((_, case),) = repository.cases()
    assert case.schema == 2 and case.relation == Same(0.01)
    repository.accept()
    again = repository.asked(loud, upper(0.01, 1.0))["replay"]
    assert (again.outcome, again.findings[0].rule, again.flips) == ("fail", "BUG412", 1)
    assert "FAIL replay: 1 of 1 accepted cases fail again" in again.message
    assert "case.upper, bug #7: the answer must stay, and its score within 0.01" in again.message
    mended = repository.asked(lambda text: loud(text) / 1000, upper(0.01))["replay"]
    assert (mended.outcome, mended.findings) == ("pass", [])


def test_a_score_that_moved_under_a_label_that_stayed_is_replayed(repository: Repository) -> None:
    """By the tolerance of the test that saved it."""

    def model(text: str) -> dict[str, Any]:
        return {"label": "same", "score": 0.9 - loud(text) / 2}

    repository.asked(model, upper(0.01))
    repository.accept()
    lenient: Ask = lambda gate: gate.invariant("case.upper", max_flip_rate=1.0)  # noqa: E731
    assert repository.asked(model, lenient)["replay"].outcome == "fail"
    assert repository.asked(lambda text: {"label": "same", "score": 0.9}, lenient)["replay"].outcome == "pass"


def test_a_wrong_direction_is_shrunk_saved_and_replayed(repository: Repository) -> None:
    """One of two edits is enough to move it the wrong way."""
    made = repository.asked(loud, falls())["directional"]
    assert made.outcome == "fail" and made.saved is not None and made.smallest is not None
    assert len(made.smallest.edits) == 1 and made.smallest.edits[0].after.strip() == "SO"
    ((_, case),) = repository.cases()
    assert case.gate == "directional" and case.relation == Direction(lower_by=0.1)
    repository.accept()
    assert repository.asked(loud, falls(1.0))["replay"].outcome == "fail"
    mended = repository.asked(lambda text: -float("SO" in text), falls())
    assert mended["replay"].outcome == mended["directional"].outcome == "pass"


def test_a_score_that_moves_too_little_is_not_shrunk(repository: Repository) -> None:
    """Any part of its edits moves it as little: what is left would say nothing."""
    made = repository.asked(lambda text: 0.5, falls())["directional"]
    assert made.outcome == "fail" and made.smallest is not None and len(made.smallest.edits) == 2
    assert "moves too little, or the wrong way, for 200 of 200" in made.message


def test_a_direction_shows_the_score_that_should_move(repository: Repository) -> None:
    """The score of the target, where the answer is another label."""

    def model(text: str) -> dict[str, float]:
        return {"good": 0.1 - loud(text) / 20, "bad": 0.9 + loud(text) / 20}

    made = repository.asked(model, lambda gate: gate.directional(str.upper, higher_by=0.0, target="good"))
    shown = made["directional"].smallest
    assert (
        shown is not None
        and shown.output_before == "good 0.1000"
        and shown.output_after.startswith("good 0.0")
    )
    ((_, case),) = repository.cases()
    assert (case.output_before, case.output_after) == (shown.output_before, shown.output_after)


def test_a_new_case_is_said_and_fails_nothing(repository: Repository) -> None:
    """Whether it still fails or no more."""
    repository.asked(loud, upper(0.01))
    still = repository.asked(loud, upper(0.01, 1.0))["replay"]
    assert still.outcome == "pass" and not still.decides
    assert still.notes == ["1 saved by earlier runs replayed: 1 still fails"]
    gone = repository.asked(lambda text: 0.0, upper(0.01))["replay"]
    assert gone.notes == ["1 saved by earlier runs replayed: 0 still fail"]


def test_a_file_of_the_first_schema_is_judged_by_its_labels(repository: Repository) -> None:
    """It keeps its name, so that it is not saved a second time."""
    ask: Ask = lambda gate: gate.invariant("case.upper")  # noqa: E731
    label = lambda text: "up" if text.isupper() else "low"  # noqa: E731
    repository.asked(label, ask)
    ((path, case),) = repository.cases()
    table = json.loads(path.read_text()) | {"schema": 1}
    del table["relation"]
    path.write_text(json.dumps(table))
    repository.accept()
    again = repository.asked(label, ask)
    assert (
        again["replay"].outcome == "fail"
        and "case.upper, bug #7: the label must stay" in again["replay"].message
    )
    assert len(repository.cases()) == 1 and repository.cases()[0][1].name() == case.name()
    assert repository.asked(lambda text: "same", ask)["replay"].outcome == "pass"


def test_what_cannot_be_judged_is_undecided(repository: Repository) -> None:
    """A number without a tolerance, a direction without a score: never a pass."""
    repository.asked(loud, upper(0.01))
    ((path, _),) = repository.cases()
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"schema": 1, "relation": None}))
    repository.accept()
    made = repository.asked(loud, upper(0.01, 1.0))["replay"]
    assert (made.outcome, made.decides, made.findings[0].rule) == ("undecided", True, "BUG410")
    assert "cannot be judged: it was saved before files said how far apart" in made.message


def test_a_direction_without_a_score_is_undecided(repository: Repository) -> None:
    """The model gives labels alone by now."""
    repository.asked(loud, falls())
    repository.accept()
    made = repository.asked(lambda text: "label", lambda gate: gate.invariant("case.lower"))["replay"]
    assert (
        made.outcome == "undecided"
        and "cannot be judged: the model gives no score for 'label'" in made.message
    )


def test_what_is_within_its_limit_is_not_saved(repository: Repository) -> None:
    """Though some of it flips."""
    made = repository.asked(loud, upper(0.001, limit=1.0))["invariant"]
    assert (made.outcome, made.saved) == ("pass", None) and made.flips and repository.cases() == []


def test_an_accepted_case_whose_file_is_broken_is_undecided(repository: Repository) -> None:
    """It guards nothing any more; a new one is a note."""
    repository.asked(loud, upper(0.001))
    ((path, _),) = repository.cases()
    path.write_text("{")
    assert repository.asked(loud, upper(0.9))["replay"].outcome == "pass"
    path.unlink()
    repository.asked(loud, upper(0.001))
    repository.accept()
    ((path, _),) = repository.cases()
    path.write_text("{")
    made = repository.asked(loud, upper(0.9))["replay"]
    assert (made.outcome, made.decides) == ("undecided", True) and made.findings[0].rule == "BUG410"
    assert "UNDECIDED replay: accepted cases cannot be replayed\n  saved case tests/" in made.message
    assert made.message.endswith("  next: mend or delete the file of what is not replayed")


@pytest.mark.parametrize("ask", [upper(0.01), falls()], ids=["score", "direction"])
def test_a_model_that_raises_on_a_case_fails_it(repository: Repository, ask: Ask) -> None:
    """On its example as on its variation."""
    repository.asked(loud, ask)
    repository.accept()
    ((_, case),) = repository.cases()

    def picky(text: str) -> float:
        if text == case.before:
            raise ValueError("not this one")
        return 0.0

    assert repository.asked(picky, ask)["replay"].outcome == "fail"


def test_the_same_variation_under_another_tolerance_is_another_case(repository: Repository) -> None:
    """Each is judged by its own."""
    repository.asked(loud, upper(0.01))
    repository.asked(loud, upper(0.02))
    assert len({case.name() for _, case in repository.cases()}) == 2


def test_a_target_that_no_file_holds_is_not_saved(repository: Repository) -> None:
    """It is judged all the same."""

    def model(text: str) -> dict[Any, float]:
        return {("a", 1): loud(text), ("b", 2): 1 - loud(text)}

    ask: Ask = lambda gate: gate.directional(str.upper, lower_by=0.1, target=("a", 1))  # noqa: E731
    made = repository.asked(model, ask)["directional"]
    assert made.outcome == "fail" and made.saved is None and not repository.cases()


def test_an_accepted_case_that_cannot_be_replayed_leaves_it_undecided(repository: Repository) -> None:
    """A regression case that somebody broke by hand, or left behind with its test's old name, guards nothing."""
    repository.asked(loud, upper(0.01))
    repository.accept()
    ((path, case),) = repository.cases()
    for broken in ("<<<<<<< HEAD\n", json.dumps(json.loads(path.read_text()) | {"after": "other"})):
        kept = path.read_bytes()
        path.write_text(broken)
        made = repository.asked(lambda text: 0.0, upper(0.01))["replay"]
        assert (made.outcome, made.decides, made.findings[0].rule) == ("undecided", True, "BUG410")
        assert "UNDECIDED replay: accepted cases cannot be replayed\n  saved case tests/" in made.message
        path.write_bytes(kept)
    (repository.top / "tests" / "test_model.py").write_text("def test_renamed(): pass\n")
    gate = ModelGate(
        lambda text: 0.0,
        TEXTS,
        test="tests/test_model.py::test_renamed",
        store=CaseStore(
            "tests/test_model.py::test_renamed",
            local=None,
            committed=repository.top / CASES,
            top=repository.top,
        ),
    )
    upper(0.01)(gate)
    replayed = gate.results()[0]
    assert (replayed.outcome, replayed.decides) == ("undecided", True)
    assert f"there is no {case.test}; next: bugsle accept models --only" in replayed.message
