"""`--bugsle-base REF` begins the range at the merge base with REF."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import RIGHT, Repo, guarded, run_pytest


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two fixes on a branch, `main` a commit further on its own way."""
    repo = guarded(tmp_path_factory.mktemp("option") / "project")
    repo.git("branch", "first")
    repo.commit("fix: b", {"src/pkg/b.py": RIGHT})
    repo.switch("main")
    repo.commit("feat: elsewhere", {"src/pkg/c.py": "C = 1\n"})
    repo.switch("work")
    return repo


def test_the_base_bounds_the_range(repo: Repo) -> None:
    """Only what came after it is judged."""
    said = run_pytest(repo, "--bugsle-base", "first", "--bugsle-proof", "off")
    assert [fix["subject"] for fix in said.report["fixes"]] == ["fix: b"]
    assert said.report["range"]["base"] == repo.sha("first")


def test_the_merge_base_counts(repo: Repo) -> None:
    """What REF has gained since is not taken for a change of this branch."""
    said = run_pytest(repo, "--bugsle-base", "main", "--bugsle-proof", "off")
    assert said.report["range"]["base"] == repo.start
    assert len(said.report["fixes"]) == 2


def test_the_option_goes_before_environment_and_table(repo: Repo, tmp_path: Path) -> None:
    """BUGSLE_BASE holds where no option is given."""
    said = run_pytest(repo, "--bugsle-proof", "off", BUGSLE_BASE="first")
    assert said.report["range"]["base"] == repo.sha("first")
    said = run_pytest(repo, "--bugsle-base", "main", "--bugsle-proof", "off", BUGSLE_BASE="first")
    assert said.report["range"]["base"] == repo.start


def test_an_unknown_ref_is_a_usage_error(repo: Repo) -> None:
    """pytest ends with code 4 before any test runs."""
    said = run_pytest(repo, "--bugsle-base", "nowhere")
    assert said.code == 4
    assert "nowhere" in said.err and "passed" not in said.out
