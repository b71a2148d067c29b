"""Merging a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from git_sandbox import Onlooker, Sandbox

from pytest_bugsle.git.merge import merge_file
from pytest_bugsle.git.repository import Repository

_BASE = b"".join(b"line %d\n" % number for number in range(12))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Give a repository that asks for union merges."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({".gitattributes": "* merge=union\n", "a": "x\n"})
    sandbox.git("config", "merge.conflictStyle", "diff3")
    return sandbox.open()


def test_a_change_is_carried_over(repo: Repository) -> None:
    """Edits at some distance are both kept."""
    current, other = _BASE.replace(b"line 1\n", b"one\n"), _BASE.replace(b"line 9\n", b"nine\n")
    assert merge_file(repo, current, _BASE, other) == current.replace(b"line 9\n", b"nine\n")


def test_edits_of_the_same_line_conflict(repo: Repository) -> None:
    """A conflict is no text, though the repository's attributes would join both sides."""
    assert merge_file(repo, _BASE.replace(b"line 3", b"a"), _BASE, _BASE.replace(b"line 3", b"b")) is None


def test_more_conflicts_than_git_counts_are_conflicts(repo: Repository) -> None:
    """Two hundred conflicts are not taken for an error of git's."""
    base = b"".join(b"x %d\n%s" % (number, b"same\n" * 5) for number in range(200))
    assert merge_file(repo, base.replace(b"x", b"y"), base, base.replace(b"x", b"z")) is None


def test_binary_content_is_not_merged(repo: Repository) -> None:
    """A NUL byte makes a file binary."""
    assert merge_file(repo, b"\0a\n", b"\0b\n", b"\0c\n") is None


def test_one_sided_changes_need_no_merge(repo: Repository) -> None:
    """Where one side did nothing, or both did the same, the answer is the other, binary or not."""
    assert merge_file(repo, b"\0a", b"\0b", b"\0b") == b"\0a"
    assert merge_file(repo, b"\0b", b"\0b", b"\0c") == b"\0c"
    assert merge_file(repo, b"\0c", b"\0b", b"\0c") == b"\0c"


def test_line_ends_survive(repo: Repository) -> None:
    """Carriage returns and a missing last newline stay as they are."""
    base = _BASE.replace(b"\n", b"\r\n") + b"end"
    other = base.replace(b"line 2", b"two")
    current = base.replace(b"line 8", b"eight")
    assert merge_file(repo, current, base, other) == current.replace(b"line 2", b"two")


def test_a_kill_while_git_merges_leaves_no_file(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three versions have no names in the temporary folder."""
    onlooker = Onlooker(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(onlooker.temporary))
    monkeypatch.setattr(repo, "_git", str(onlooker.path))
    current, other = _BASE.replace(b"line 1\n", b"one\n"), _BASE.replace(b"line 9\n", b"nine\n")
    assert merge_file(repo, current, _BASE, other) == current.replace(b"line 9\n", b"nine\n")
    assert onlooker.seen == ["call"]
