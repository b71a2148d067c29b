"""Blame: who brought a line in, and what must not stop the question."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest
from git_sandbox import Onlooker, Sandbox, fingerprint
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.git.blame import IGNORED_REVS, Blamed, blame, ignored_revisions, parse_incremental

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "def one():\n    return 'x'\n\n\ndef two():\n    return 'y'\n"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Begin a repository."""
    return Sandbox(tmp_path / "repo")


def commits(found: tuple[Blamed, ...]) -> dict[int, str]:
    """Return the commit of each line."""
    return {line.line: line.commit for line in found}


def test_each_line_has_its_commit(sandbox: Sandbox) -> None:
    """The root is a boundary: nobody knows what was before."""
    root = sandbox.commit({"a.py": FIRST})
    second = sandbox.commit({"a.py": FIRST.replace("'y'", "'z'")})
    found = blame(sandbox.open(), second, "a.py", [(1, 2), (6, 6)])
    assert commits(found) == {1: root, 2: root, 6: second}
    assert [line.boundary for line in found] == [True, True, False]


def test_whitespace_moves_and_renames_are_seen_through(sandbox: Sandbox) -> None:
    """The commit that wrote a line is asked for, not the one that indented or moved it."""
    sandbox.commit({"README": "x\n"})
    body = "".join(f"    total = total + items[{n}].weight * factor\n" for n in range(8))
    wrote = sandbox.commit({"a.py": f"def one():\n{body}"})
    sandbox.commit({"a.py": f"if True:\n  def one():\n{body.replace('    ', '       ')}"})
    sandbox.git("mv", "a.py", "b.py")
    last = sandbox.commit()
    found = blame(sandbox.open(), last, "b.py", [(3, 5)])
    assert set(commits(found).values()) == {wrote}
    assert {line.path for line in found} == {"a.py"}
    assert [line.origin for line in found] == [2, 3, 4]


@pytest.mark.parametrize(
    "ranges",
    [[(7, 9)], [(0, 0)], [(5, 2)], [(-3, -1)], []],
    ids=["behind", "zero", "turned", "below", "none"],
)
def test_lines_that_are_not_there_have_no_origin(sandbox: Sandbox, ranges: list[tuple[int, int]]) -> None:
    """git itself would refuse."""
    sha = sandbox.commit({"a.py": FIRST})
    assert blame(sandbox.open(), sha, "a.py", ranges) == ()


def test_a_range_that_reaches_behind_the_end_is_cut(sandbox: Sandbox) -> None:
    """Also where the last line has no newline."""
    sha = sandbox.commit({"a.py": FIRST.rstrip("\n")})
    assert [line.line for line in blame(sandbox.open(), sha, "a.py", [(5, 10**9)])] == [5, 6]


@pytest.mark.parametrize("path", ["missing.py", "", "folder", "empty.py", "binary.py", "link.py", "../a.py"])
def test_what_is_no_text_has_no_origins(sandbox: Sandbox, path: str) -> None:
    """A missing path, a folder, an empty file, a binary one, a link."""
    sandbox.write({"folder/a.py": FIRST, "empty.py": "", "binary.py": b"a\0b\n"})
    os.symlink("folder/a.py", sandbox.top / "link.py")
    sha = sandbox.commit()
    assert blame(sandbox.open(), sha, path, [(1, 9)]) == ()


def test_an_unknown_commit_and_a_tree_have_no_history(sandbox: Sandbox) -> None:
    """An uncommitted change is a tree."""
    sandbox.commit({"a.py": FIRST})
    repo = sandbox.open()
    assert blame(repo, "0" * 40, "a.py", [(1, 1)]) == ()
    assert blame(repo, repo.tree_of("HEAD"), "a.py", [(1, 1)]) == ()


@pytest.mark.parametrize(
    "path",
    ["-L1,2", ":(glob)*.py", "*.py", 'a"b\\c.py', "new\nline\ttab.py", "é.py", os.fsdecode(b"\xff.py")],
)
def test_hostile_paths_are_only_paths(sandbox: Sandbox, path: str) -> None:
    """No option, no pattern, no magic, whatever the bytes; the name comes back as it was."""
    sandbox.commit({"other.py": "x\n"})
    sha = sandbox.commit({path: FIRST})
    found = blame(sandbox.open(), sha, path, [(1, 2)])
    assert [(line.path, line.commit) for line in found] == [(path, sha)] * 2


def test_a_shallow_clone_ends_at_its_boundary(sandbox: Sandbox, tmp_path: Path) -> None:
    """What the clone does not have is not made up."""
    sandbox.commit({"a.py": FIRST})
    cut = sandbox.commit({"b.py": "x\n"})
    last = sandbox.commit({"a.py": FIRST.replace("'y'", "'z'")})
    clone = Sandbox(tmp_path / "clone")
    clone.git("fetch", "-q", "--depth=2", f"file://{sandbox.top}", "main")
    found = blame(clone.open(), last, "a.py", [(2, 2), (6, 6)])
    assert [(line.commit, line.boundary) for line in found] == [(cut, True), (last, False)]


# Commits that are looked through.


def formatted(sandbox: Sandbox) -> tuple[str, str]:
    """Write a file, and change all its quotes in another commit."""
    sandbox.commit({"README": "x\n"})
    wrote = sandbox.commit({"a.py": FIRST})
    return wrote, sandbox.commit({"a.py": FIRST.replace("'", '"')})


def test_a_formatting_commit_is_looked_through(sandbox: Sandbox) -> None:
    """The file at the top of the tree names it; comments, short names and unknown ones do no harm."""
    wrote, format = formatted(sandbox)
    sandbox.commit(
        {
            IGNORED_REVS: f"# quotes\n{format[:12]}  # short\n{'1' * 40}\nnonsense\n\n  {format.upper()}\nabcdef1\n"
        }
    )
    repo = sandbox.open()
    ignored = ignored_revisions(repo, "HEAD")
    assert ignored == (format,)
    assert commits(blame(repo, "HEAD", "a.py", [(2, 2)])) == {2: format}
    assert commits(blame(repo, "HEAD", "a.py", [(2, 2)], ignored)) == {2: wrote}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0\n", b"deadbeef" * 20_000, b"1" * 40])
def test_any_file_may_be_called_so(sandbox: Sandbox, content: bytes) -> None:
    """It is written by strangers."""
    sha = sandbox.commit({"a.py": FIRST, IGNORED_REVS: content})
    repo = sandbox.open()
    assert ignored_revisions(repo, sha) == ()
    assert len(blame(repo, sha, "a.py", [(1, 1)], ignored_revisions(repo, sha))) == 1


@pytest.mark.parametrize("kind", ["good", "lost", "broken", "relative"])
def test_the_users_own_setting_counts_and_does_not_break(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    """git refuses to blame where `blame.ignoreRevsFile` names a lost file or one with a wrong line."""
    wrote, format = formatted(sandbox)
    place = tmp_path / "revs"
    texts = {"good": f"{format}\n", "relative": f"{format}\n", "broken": f"no name\n{format}\n"}
    if kind in texts:
        (sandbox.top / "revs" if kind == "relative" else place).write_text(texts[kind])
    sandbox.git("config", "blame.ignoreRevsFile", "revs" if kind == "relative" else str(place))
    repo = sandbox.open()
    before = fingerprint(sandbox.top / ".git")
    found = commits(blame(repo, format, "a.py", [(2, 2)], ignored_revisions(repo, format)))
    assert found == {2: format if kind == "lost" else wrote}
    assert fingerprint(sandbox.top / ".git") == before


@given(st.binary())
def test_any_output_is_read_without_failing(out: bytes) -> None:
    """What is no group of lines is passed over."""
    assert all(line.line > 0 or line.line == 0 for line in parse_incremental(out))


def test_a_quoted_name_is_read_as_it_is() -> None:
    """git writes control characters, quotes and backslashes as C does."""
    out = b"1" * 40 + b' 3 7 2\nsummary boundary\nboundary\nfilename "a\\tb\\"\\\\\\303\\251"\n'
    first, second = parse_incremental(out)
    assert (first.path, first.line, first.origin, first.boundary) == ('a\tb"\\é', 7, 3, True)
    assert (second.line, second.origin) == (8, 4)


def test_a_kill_while_git_blames_leaves_no_file(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of commits to look through has no name in the temporary folder."""
    root = sandbox.commit({"a.py": FIRST})
    second = sandbox.commit({"a.py": FIRST.replace("'y'", "'z'")})
    repo = sandbox.open()
    onlooker = Onlooker(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(onlooker.temporary))
    monkeypatch.setattr(repo, "_git", str(onlooker.path))
    assert commits(blame(repo, second, "a.py", [(6, 6)], [second])) == {6: root}
    assert onlooker.seen and set(onlooker.seen) == {"call"}
