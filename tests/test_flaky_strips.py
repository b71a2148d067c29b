"""A test's past as words of letters: which attempts count, and what parts the words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flaky_suites import CONFIGURATION, hunt, project, told_of
from hypothesis import given
from hypothesis import strategies as st
from repositories import run_pytest

from pytest_bugsle.flaky.strips import strip
from pytest_bugsle.results import OUTCOME_MARKS
from pytest_bugsle.store.questions import PastAttempt
from pytest_bugsle.store.records import CodeVersion


def attempt(outcome: str = "passed", tree: str = "a", **more: object) -> PastAttempt:
    """Make an attempt in the suite, the first of its run."""
    values: dict[str, object] = {
        "started": 0.0,
        "run_id": "r1",
        "version": CodeVersion(tree=tree),
        "disaster": False,
        "mode": "suite",
        "attempt": 1,
        "outcome": outcome,
        "duration": 0.1,
        "fingerprint": "",
    }
    return PastAttempt(**{**values, **more})  # type: ignore[arg-type]


def test_a_version_of_the_code_is_a_word() -> None:
    """Oldest first, a letter an attempt."""
    past = [attempt(), attempt("failed"), attempt("error", "b"), attempt("skipped", "b"), attempt("odd", "c")]
    assert strip(past) == [".F", "Es", "?"]


def test_only_first_attempts_of_the_suite_count() -> None:
    """No rerun, nothing that was tried on purpose, no run in which most tests failed."""
    past = [
        attempt("failed", attempt=2),
        attempt("failed", mode="alone"),
        attempt("failed", disaster=True),
        attempt(),
    ]
    assert strip(past) == ["."]


def test_code_that_is_not_known_is_equal_to_no_other() -> None:
    """Each run without a version is a word of its own."""
    assert strip([attempt(tree="", run_id="r1"), attempt(tree="", run_id="r2")]) == [".", "."]


@given(st.lists(st.tuples(st.sampled_from([*OUTCOME_MARKS, "odd"]), st.sampled_from("ab"))))
def test_no_attempt_is_lost(made: list[tuple[str, str]]) -> None:
    """As many letters as attempts, no empty word."""
    words = strip(attempt(outcome, tree) for outcome, tree in made)
    assert len("".join(words)) == len(made) and all(words)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="forks")
def test_a_hunt_tells_the_past_of_what_varies(tmp_path: Path) -> None:
    """The suite's runs before it, one word for the one version; a test that is calm has none."""
    lib = "REGISTRY = []\n"
    tests = {
        "lib.py": lib,
        "tests/test_a.py": "import lib\ndef test_polluter(): lib.REGISTRY.append(1)\n",
        "tests/test_b.py": "import lib\ndef test_victim(): assert not lib.REGISTRY\ndef test_calm(): pass\n",
        "conftest.py": "",
    }
    repo = project(tmp_path, tests, configuration=CONFIGURATION + '\n    pythonpath = ["."]\n')
    for _ in range(2):
        run_pytest(repo)
    told = told_of(hunt(repo, "--budget", "30"))
    assert told["test_victim"]["history"] == ["FF"]
    assert told["test_calm"]["history"] == []
