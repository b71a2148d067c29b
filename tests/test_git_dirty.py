"""What is not committed, told without running anything of the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.git.dirty import uncommitted, untracked
from pytest_bugsle.git.repository import Repository


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A repository with two committed files."""
    made = Sandbox(tmp_path / "project")
    made.commit({"a.py": "A = 1\n", "b.txt": "b\n", ".gitignore": "*.log\n"}, "feat: two files")
    return made


def dirty(sandbox: Sandbox) -> dict[str, str]:
    """Ask a repository."""
    with Repository.open(sandbox.top) as repo:
        return uncommitted(repo, repo.head().sha, untracked(repo))


def test_a_clean_tree_has_nothing_uncommitted(sandbox: Sandbox) -> None:
    """Ignored files do not count."""
    (sandbox.top / "x.log").write_text("x")
    sandbox.write({".bugsle/.gitignore": "*\n", ".bugsle/history.db": "x", "logs/x.log": "x"})
    (sandbox.top / "empty").mkdir()
    assert dirty(sandbox) == {}


def test_each_kind_of_change_is_told_once_with_a_digest_of_what_stands_there(sandbox: Sandbox) -> None:
    """Changed, staged, deleted and new; what is gone has no digest."""
    (sandbox.top / "a.py").write_text("A = 2\n")
    sandbox.write({"staged.py": "S = 1\n", "new/c.py": "C = 1\n"})
    sandbox.git("add", "staged.py")
    (sandbox.top / "b.txt").unlink()
    found = dirty(sandbox)
    assert list(found) == ["a.py", "b.txt", "new/", "staged.py"]
    assert found["b.txt"] == "" and len(found["a.py"]) == len(found["staged.py"]) == 64
    (sandbox.top / "a.py").write_text("A = 3\n")
    assert dirty(sandbox)["a.py"] != found["a.py"]


def test_a_file_that_was_only_touched_is_no_change(sandbox: Sandbox) -> None:
    """Another time with the same bytes is the same code."""
    os.utime(sandbox.top / "a.py", (1, 1))
    assert dirty(sandbox) == {}


def test_no_filter_and_no_monitor_of_the_user_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    """Neither what git calls to compare contents, nor what it asks which files changed."""
    sprung = tmp_path / "sprung"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch '{sprung}'\ncat\n")
    trap.chmod(0o755)
    sandbox.commit({".gitattributes": "*.py filter=trap\n"}, "chore: attributes")
    for key in ("filter.trap.clean", "filter.trap.smudge", "core.fsmonitor"):
        sandbox.git("config", key, str(trap))
    (sandbox.top / "a.py").write_text("A = 2\n")
    index = (sandbox.top / ".git" / "index").read_bytes()
    assert list(dirty(sandbox)) == ["a.py"]
    assert not sprung.exists()
    assert (sandbox.top / ".git" / "index").read_bytes() == index


def test_hostile_names_and_links_are_told_as_they_are(sandbox: Sandbox) -> None:
    """A newline, a tab, bytes that are no text, and a link that leads nowhere."""
    names = ["a\nb.py", "tab\t.py", os.fsdecode(b"\xff.py"), "-x.py"]
    for name in names:
        (sandbox.top / name).write_text("x\n")
    (sandbox.top / "link").symlink_to("/nowhere")
    sandbox.git("add", "-A")
    sandbox.git("commit", "-qm", "feat: names")
    assert dirty(sandbox) == {}
    for name in names:
        (sandbox.top / name).write_text("longer\n")
    (sandbox.top / "link").unlink()
    (sandbox.top / "link").symlink_to("/elsewhere")
    assert set(dirty(sandbox)) == {*names, "link"}


def test_what_is_untracked_ends_in_a_slash_where_it_is_a_folder(sandbox: Sandbox) -> None:
    """And an empty repository has only that."""
    sandbox.write({"new/c.py": "C = 1\n", "d.py": "D = 1\n"})
    with Repository.open(sandbox.top) as repo:
        assert untracked(repo) == {"new/", "d.py"}
    empty = Sandbox(sandbox.top.parent / "empty")
    empty.write({"a.py": "A = 1\n"})
    assert list(dirty(empty)) == ["a.py"]
