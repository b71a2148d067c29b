"""Repositories in every state that a user may have one in: each gets an answer or a reason, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repositories import Repo, bugsle, clean_environment, guarded, run_pytest


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A proven fix on a branch; the proof is kept, so that the tests below are fast."""
    repo = guarded(tmp_path_factory.mktemp("repositories") / "project")
    assert bugsle(repo, "prove", "main..HEAD").status("fix: a") == "proven"
    return repo


@pytest.fixture
def shallow(repo: Repo, tmp_path: Path) -> Repo:
    """A clone with one commit."""
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.top}", str(tmp_path / "clone"), at=tmp_path)
    return Repo.at(tmp_path / "clone")


def test_a_shallow_clone_is_undecided_and_says_what_to_add(shallow: Repo) -> None:
    """Nothing was judged: exit code 3 at the desk."""
    said = bugsle(shallow, "prove")
    assert (said.code, said.rules(), said.report["verdict"]) == (3, ["BUG001"], "undecided")
    assert "git fetch --unshallow" in said.out
    assert bugsle(shallow, "check").code == 3
    named = bugsle(shallow, "prove", "HEAD")
    assert (named.code, named.rules()) == (3, ["BUG001"])


def test_a_shallow_clone_fails_in_ci(shallow: Repo) -> None:
    """A gate that judges nothing does not stay green there, and names the line for the workflow."""
    said = run_pytest(shallow, CI="true", GITHUB_ACTIONS="true")
    assert (said.code, said.rules(), said.report["verdict"]) == (1, ["BUG001"], "fail")
    assert "fetch-depth: 0" in said.out
    at_the_desk = run_pytest(shallow)
    assert (at_the_desk.code, at_the_desk.report["verdict"]) == (0, "undecided")


def test_no_repository_is_wrong_usage(tmp_path: Path) -> None:
    """The gate needs one: exit code 2 of the command, 4 of pytest."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "test_it.py").write_text("def test_it():\n    pass\n")
    said = bugsle(folder, "prove", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert said.code == 2
    assert said.err.startswith("bugsle: ") and "Traceback" not in said.all
    said = run_pytest(folder, GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert said.code == 4
    assert "Traceback" not in said.all and "INTERNALERROR" not in said.all
    assert run_pytest(folder, on=False).code == 0


def test_an_empty_repository_is_undecided(tmp_path: Path) -> None:
    """There is no commit yet, and so no fix."""
    folder = tmp_path / "empty"
    folder.mkdir()
    Repo.at(folder).git("init", "-q", "-b", "main")
    said = bugsle(folder, "prove")
    assert (said.code, said.rules()) == (3, ["BUG001"])
    assert "no commit yet" in said.out


def test_a_detached_head_is_judged(repo: Repo) -> None:
    """The range begins at the merge base with the default branch all the same."""
    repo.git("checkout", "-q", "--detach")
    try:
        said = bugsle(repo, "prove")
    finally:
        repo.switch("work")
    assert (said.code, said.status("fix: a")) == (0, "proven")


@pytest.mark.parametrize(
    "ref", ["nowhere", "-x", "--output=/tmp/x", "HEAD^{tree}", "", "a b", "HEAD:src", "\x1b[31m"], ids=repr
)
def test_what_names_no_commit_is_wrong_usage(repo: Repo, ref: str) -> None:
    """A ref never becomes an option of git's, and is shown with its control characters escaped."""
    asked = [bugsle(repo, "check", f"{ref}..HEAD"), bugsle(repo, "check", f"--explain={ref or 'x y'}")]
    asked += [bugsle(repo, "check", "--base", ref)] if ref else []
    for said in asked:
        assert said.code == 2
        assert "\x1b" not in said.all and "Traceback" not in said.all


def test_a_bare_repository_is_judged(repo: Repo, tmp_path: Path) -> None:
    """It has no work tree, and needs none."""
    repo.git("clone", "-q", "--bare", str(repo.top), str(tmp_path / "bare.git"), at=tmp_path)
    said = bugsle(tmp_path / "bare.git", "prove", "work")
    assert (said.code, said.status("fix: a")) == (0, "proven")


def test_a_linked_worktree_is_judged(repo: Repo, tmp_path: Path) -> None:
    """Its own HEAD and files count."""
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "work")
    try:
        said = bugsle(tmp_path / "linked", "prove", "main..HEAD")
    finally:
        repo.git("worktree", "remove", "--force", str(tmp_path / "linked"))
    assert (said.code, said.status("fix: a")) == (0, "proven")


def test_a_git_hook_that_leaks_its_variables_misleads_nobody(repo: Repo, tmp_path: Path) -> None:
    """GIT_DIR and GIT_INDEX_FILE of the hook point elsewhere; the repository asked for is judged, and theirs kept."""
    other = Repo(tmp_path / "other")
    index = (other.top / ".git/index").read_bytes()
    leaked = {
        "GIT_DIR": str(other.top / ".git"),
        "GIT_INDEX_FILE": str(other.top / ".git/index"),
        "GIT_WORK_TREE": str(other.top),
    }
    said = bugsle(repo, "prove", "main..HEAD", **leaked)
    assert (said.code, said.status("fix: a")) == (0, "proven")
    assert (other.top / ".git/index").read_bytes() == index


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_checkout_that_cannot_be_written_is_judged(tmp_path: Path) -> None:
    """The store then stands in the user's cache."""
    repo = guarded(tmp_path / "project")
    repo.top.chmod(0o555)
    try:
        said = bugsle(repo, "prove", "main..HEAD")
    finally:
        repo.top.chmod(0o755)
    assert (said.code, said.status("fix: a")) == (0, "proven")
    assert not (repo.top / ".bugsle").exists()


def test_a_folder_that_is_a_link_is_never_written_through(tmp_path: Path) -> None:
    """A checkout may hold `.bugsle` as a link to elsewhere."""
    repo = guarded(tmp_path / "project")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (repo.top / ".bugsle").symlink_to(elsewhere, target_is_directory=True)
    assert bugsle(repo, "prove", "main..HEAD").status("fix: a") == "proven"
    assert list(elsewhere.iterdir()) == []


def test_a_clone_begins_at_its_remote(repo: Repo, tmp_path: Path) -> None:
    """The default branch of `origin` is where the range begins."""
    repo.git("clone", "-q", "-b", "main", str(repo.top), str(tmp_path / "clone"), at=tmp_path)
    clone = Repo.at(tmp_path / "clone")
    clone.git("remote", "set-head", "origin", "main")
    clone.git("merge", "-q", "--ff-only", "origin/work")
    said = bugsle(clone, "check")
    assert said.report["range"]["base"] == clone.sha("origin/main")
    assert "merge base with origin/main" in said.out


def test_nothing_to_judge_is_a_pass(repo: Repo) -> None:
    """A range without a fix passes, and says how many commits it looked at."""
    said = bugsle(repo, "prove", "HEAD..HEAD")
    assert (said.code, said.report["verdict"], said.report["fixes"]) == (0, "pass", [])


def test_the_environment_of_these_tests_is_a_clean_one(tmp_path: Path) -> None:
    """No CI and no configuration of the user decides what they see."""
    environ = clean_environment(tmp_path)
    assert not [name for name in environ if name.startswith(("GITHUB_", "CI_", "PYTEST_")) or name == "CI"]
