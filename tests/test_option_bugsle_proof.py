"""`--bugsle-proof off|fix`: how far to prove."""

from __future__ import annotations

import pytest
from repositories import Repo, guarded, run_pytest, unguarded


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A fix that is held by its test."""
    return guarded(tmp_path_factory.mktemp("option") / "project")


def test_off_looks_for_links_only(repo: Repo) -> None:
    """No test runs beside the session's own, and no fix is called proven."""
    said = run_pytest(repo, "--bugsle-proof=off")
    fix = said.fix("fix: a")
    assert (said.code, fix["status"], said.report["timings"]["runs"]) == (0, None, 0)
    assert [link["kind"] for link in fix["tests"][0]["links"]] == ["added"]


def test_off_finds_the_fix_without_a_test(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A fix that nothing is linked to is BUG101 without any proof."""
    repo = unguarded(tmp_path_factory.mktemp("option") / "project")
    repo.git("rm", "-q", "-r", "tests")
    repo.commit("test: away", {"tests/test_x.py": "def test_x():\n    pass\n"})
    said = run_pytest(repo, "--bugsle-proof=off")
    assert (said.code, said.rules()) == (1, ["BUG101"])


def test_fix_is_the_default(repo: Repo) -> None:
    """The linked tests run without the fix and with it."""
    assert run_pytest(repo).status("fix: a") == "proven"


def test_another_word_is_a_usage_error(repo: Repo) -> None:
    """pytest ends with code 4 and says which words there are."""
    said = run_pytest(repo, "--bugsle-proof=deep")
    assert said.code == 4
    assert "proof" in said.err
