"""`--bugsle-budget SECONDS`: time for all proofs together."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import Repo, guarded, run_pytest


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A fix that is held by its test."""
    return guarded(tmp_path_factory.mktemp("option") / "project")


def test_a_budget_that_is_too_small_leaves_fixes_undecided(repo: Repo) -> None:
    """It is said that time ran out, nothing was judged, and nothing of it is kept."""
    said = run_pytest(repo, "--bugsle-budget=0.5")
    assert (said.status("fix: a"), said.rules()) == ("undecided", ["BUG104", "BUG001"])
    assert "budget" in said.fix("fix: a")["why"]
    assert run_pytest(repo).status("fix: a") == "proven"


@pytest.mark.parametrize("text", ["0", "-1", "much", "nan", "inf"])
def test_what_is_no_time_is_a_usage_error(repo: Repo, text: str) -> None:
    """pytest ends with code 4."""
    said = run_pytest(repo, f"--bugsle-budget={text}")
    assert said.code == 4
    assert "budget" in said.err


@pytest.mark.slow
def test_the_sessions_own_tests_do_not_spend_the_budget(tmp_path: Path) -> None:
    """A suite that takes longer than the budget is judged all the same, and the time told is the gate's."""
    repo = guarded(tmp_path / "project")
    repo.commit("test: a slow one", {"tests/test_slow.py": "import time\ndef test_slow(): time.sleep(12)\n"})
    said = run_pytest(repo, "--bugsle-budget=10")
    assert said.status("fix: a") == "proven"
    assert said.report["timings"]["total"] < 11
