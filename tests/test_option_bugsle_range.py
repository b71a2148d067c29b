"""`--bugsle-range A..B` judges the commits of this range."""

from __future__ import annotations

import pytest
from repositories import RIGHT, Repo, guarded, run_pytest


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two fixes on a branch."""
    repo = guarded(tmp_path_factory.mktemp("option") / "project")
    repo.commit("fix: b", {"src/pkg/b.py": RIGHT})
    return repo


def test_the_range_is_judged(repo: Repo) -> None:
    """Its end need not be HEAD."""
    said = run_pytest(repo, "--bugsle-range", "main..HEAD~1", "--bugsle-proof", "off")
    assert [fix["subject"] for fix in said.report["fixes"]] == ["fix: a is wrong"]
    assert said.report["range"]["head"] == repo.sha("HEAD~1")


@pytest.mark.parametrize("text", ["HEAD", "..HEAD", "a..b..c", "nowhere..HEAD", "-x..HEAD"])
def test_what_is_no_range_is_a_usage_error(repo: Repo, text: str) -> None:
    """pytest ends with code 4."""
    said = run_pytest(repo, f"--bugsle-range={text}")
    assert said.code == 4
    assert "Traceback" not in said.all
