"""`bugsle check`: is a test linked to every bug fix? It runs none."""

from __future__ import annotations

import pytest
from repositories import RIGHT, Repo, bugsle, guarded


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A fix with a test, a fix without one, and a commit that is none."""
    repo = guarded(tmp_path_factory.mktemp("command") / "project")
    repo.commit("fix: b", {"src/pkg/b.py": RIGHT})
    repo.commit("feat: c", {"src/pkg/c.py": "C = 1\n"})
    return repo


def test_a_range_is_checked_without_running_a_test(repo: Repo) -> None:
    """The fix without a test fails the gate; no pool is made."""
    said = bugsle(repo, "check", "main..HEAD")
    assert (said.code, said.rules("fix: b")) == (1, ["BUG101"])
    assert said.rules("fix: a") == []
    assert said.report["timings"]["runs"] == 0
    assert not (repo.top.parent / "pool").exists()


def test_a_linked_test_is_not_called_a_proof(repo: Repo) -> None:
    """What was only linked has no status."""
    assert bugsle(repo, "check", "main..HEAD~2").status("fix: a") is None


def test_explain_gives_the_reasons(repo: Repo) -> None:
    """Each commit is explained, a fix or not."""
    said = bugsle(repo, "check", "--explain", "HEAD~1", report=False)
    assert said.code == 0
    assert "judged: fix" in said.out and "+4" in said.out
    said = bugsle(repo, "check", "--explain", "HEAD", report=False)
    assert "judged: no" in said.out and "feat" in said.out


def test_a_tree_with_uncommitted_changes_is_checked_as_committed(repo: Repo) -> None:
    """`check` looks at commits alone."""
    repo.write({"src/pkg/b.py": "broken ="})
    try:
        assert bugsle(repo, "check", "main..HEAD").code == 1
    finally:
        repo.git("checkout", "-q", "--", ".")
