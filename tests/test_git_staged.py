"""What is staged, read without a write to the user's repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_sandbox import Sandbox, fingerprint

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.staged import index_of, staged_changes, staged_tree


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A repository with a staged change, another in the work tree, and a file that is only meant to be added."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.commit({"a/one": "1\n", "a/two": "2\n" * 30, "b": "3\n"})
    sandbox.write({"a/one": "changed\n", "new": "n\n", "later": "l\n"})
    sandbox.git("mv", "a/two", "a/moved")
    sandbox.git("add", "a/one", "new")
    sandbox.git("add", "-N", "later")
    sandbox.write({"a/one": "not staged\n"})
    return sandbox


def _but_shared(sandbox: Sandbox) -> dict[str, tuple[int, int, str]]:
    """Give the state of all but the shared index, whose time git renews whenever anybody reads it."""
    found = fingerprint(sandbox.top)
    return {name: (0, 0, facts[2]) if "sharedindex" in name else facts for name, facts in found.items()}


@pytest.mark.parametrize("settings", [{}, {"core.splitIndex": "true"}, {"core.untrackedCache": "true"}])
def test_the_staged_tree_is_gits_own_and_nothing_is_touched(
    sandbox: Sandbox, settings: dict[str, str]
) -> None:
    """The tree is what `git write-tree` would write; not even a time changes, and the folder is gone."""
    for key, value in settings.items():
        sandbox.git("config", key, value)
    if settings:
        sandbox.git("update-index", "--split-index" if "core.splitIndex" in settings else "--untracked-cache")
    before = _but_shared(sandbox)
    with sandbox.open() as repo, staged_tree(repo, index_of(repo, {})) as staged:
        listing = staged.repo.listing(staged.tree)
        assert staged.repo.blob(listing["a/one"].sha) == b"changed\n"
        assert sorted(listing) == ["a/moved", "a/one", "b", "new"]
        objects = Path(staged.repo._env["GIT_OBJECT_DIRECTORY"])
        tree = staged.tree
    assert _but_shared(sandbox) == before and not objects.exists()
    assert sandbox.git("write-tree") == tree


def test_changes_are_those_of_the_index(sandbox: Sandbox) -> None:
    """Against HEAD, renames followed, nothing of the work tree."""
    with sandbox.open() as repo:
        found = staged_changes(repo, "HEAD", index_of(repo, {}))
    assert {(change.status, change.path) for change in found} == {
        ("M", "a/one"),
        ("R", "a/moved"),
        ("A", "new"),
    }


def test_the_index_that_git_names_is_read(sandbox: Sandbox) -> None:
    """`git commit -a` and `git commit PATH` commit another index than the user's; one that is gone is not asked."""
    sandbox.git("add", "-A", GIT_INDEX_FILE=".git/next-index")
    with sandbox.open() as repo:
        index = index_of(repo, {"GIT_INDEX_FILE": ".git/next-index"})
        assert "later" in {change.path for change in staged_changes(repo, "HEAD", index)}
        assert index_of(repo, {"GIT_INDEX_FILE": "nowhere"}) == repo.git_dir / "index"


def test_a_repository_without_an_index_has_an_empty_tree(tmp_path: Path) -> None:
    """Nothing was ever staged."""
    with Sandbox(tmp_path / "repo").open() as repo, staged_tree(repo, index_of(repo, {})) as staged:
        assert staged.tree == repo.empty_tree


def test_an_unfinished_merge_is_undecided(sandbox: Sandbox) -> None:
    """It names a file with conflicts."""
    sandbox.git("reset", "-q", "--hard")
    sandbox.git("switch", "-q", "-c", "side")
    sandbox.commit({"b": "side\n"})
    sandbox.git("switch", "-q", "main")
    sandbox.commit({"b": "main\n"})
    with pytest.raises(AssertionError):
        sandbox.git("merge", "-q", "side")
    with sandbox.open() as repo, pytest.raises(UndecidedError, match="a merge is unfinished: b"):
        staged_changes(repo, "HEAD", index_of(repo, {}))


def test_linked_work_trees_and_odd_folders(tmp_path: Path) -> None:
    """A work tree has its own index; a colon and a quote in the path are no trap."""
    sandbox = Sandbox(tmp_path / f'od"d{os.pathsep}one' / "repo")
    sandbox.commit({"a": "1\n"})
    other = tmp_path / "other"
    sandbox.git("worktree", "add", "-q", str(other))
    (other / "b").write_text("2\n", "ascii")
    sandbox.git("add", "-A", at=other)
    from pytest_bugsle.git.repository import Repository

    with Repository.open(other) as repo, staged_tree(repo, index_of(repo, {})) as staged:
        assert sorted(staged.repo.listing(staged.tree)) == ["a", "b"]
        assert staged.repo.blob(staged.repo.listing(staged.tree)["a"].sha) == b"1\n"
