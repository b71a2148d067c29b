"""What differs between trees and between texts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.git.diff import Change, changes, line_changes

_TEXT = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give an empty repository."""
    return Sandbox(tmp_path / "project")


def test_each_kind_of_change_is_told(sandbox: Sandbox) -> None:
    """Added, modified, deleted, renamed and of another type."""
    old = sandbox.commit({"gone": "x\n", "changed": "1\n", "moved": _TEXT, "kind": "y\n"})
    sandbox.write({"gone": None, "changed": "2\n", "moved": None, "to/moved": _TEXT + "more\n", "new": "n\n"})
    (sandbox.top / "kind").unlink()
    (sandbox.top / "kind").symlink_to("new")
    new = sandbox.commit()
    repo = sandbox.open()
    before, after = repo.listing(old), repo.listing(new)
    assert set(changes(repo, old, new)) == {
        Change("D", "gone", "gone", "100644", None, before["gone"].sha, None),
        Change("M", "changed", "changed", "100644", "100644", before["changed"].sha, after["changed"].sha),
        Change("R", "moved", "to/moved", "100644", "100644", before["moved"].sha, after["to/moved"].sha),
        Change("T", "kind", "kind", "100644", "120000", before["kind"].sha, after["kind"].sha),
        Change("A", None, "new", None, "100644", None, after["new"].sha),
    }
    assert changes(repo, new, repo.tree_of(new)) == ()
    assert len(changes(repo, repo.empty_tree, old)) == 4


def test_a_mode_alone_is_a_change(sandbox: Sandbox) -> None:
    """The executable bit counts."""
    old = sandbox.commit({"run": "x\n"})
    (sandbox.top / "run").chmod(0o755)
    new = sandbox.commit()
    (change,) = changes(sandbox.open(), old, new)
    assert (change.status, change.old_mode, change.mode) == ("M", "100644", "100755")


def test_names_of_any_bytes_are_kept(sandbox: Sandbox) -> None:
    """Newlines, colons in front, quotes and bytes that are not UTF-8 survive, in renames as well."""
    one, two = os.fsdecode(b":100644 a\nb\xff"), os.fsdecode(b'"\t\xfe/:x')
    old = sandbox.commit({one: _TEXT})
    new = sandbox.commit({one: None, two: _TEXT})
    (change,) = changes(sandbox.open(), old, new)
    assert (change.status, change.old_path, change.path) == ("R", one, two)


def test_submodules_are_changes_of_mode_160000(sandbox: Sandbox, tmp_path: Path) -> None:
    """A submodule that moved to another commit is told, though the user's settings ignore submodules."""
    inner = Sandbox(tmp_path / "inner")
    first = inner.commit({"lib.py": ""})
    sandbox.git("submodule", "--quiet", "add", str(inner.top), "vendor")
    sandbox.git("config", "-f", ".gitmodules", "submodule.vendor.ignore", "all")
    old = sandbox.commit()
    second = inner.commit({"lib.py": "x = 1\n"})
    sandbox.git("pull", "-q", at=sandbox.top / "vendor")
    sandbox.git("update-index", "--cacheinfo", f"160000,{second},vendor")
    sandbox.git("commit", "-qm", "up")
    (change,) = changes(sandbox.open(), old, "HEAD")
    assert change == Change("M", "vendor", "vendor", "160000", "160000", first, second)


def test_renames_follow_our_limits_and_not_the_user_s(sandbox: Sandbox) -> None:
    """diff.renames and diff.renameLimit of the user's are not obeyed."""
    old = sandbox.commit({f"old{number}": f"{number}\n" + _TEXT for number in range(3)})
    new = sandbox.commit(
        {f"old{number}": None for number in range(3)}
        | {f"new{number}": f"{number}\n" + _TEXT + "z\n" for number in range(3)}
    )
    sandbox.git("config", "diff.renames", "false")
    sandbox.git("config", "diff.renameLimit", "1")
    assert {change.status for change in changes(sandbox.open(), old, new)} == {"R"}


@pytest.mark.parametrize(
    ("old", "new", "deleted", "added"),
    [
        (b"", b"", (), ()),
        (b"a\nb\nc\n", b"a\nb\nc\n", (), ()),
        (b"a\nb\nc\n", b"a\nB\nc\n", (2,), (2,)),
        (b"a\nc\n", b"a\nb\nc\n", (), (2,)),
        (b"a\nb\nc\n", b"a\nc\n", (2,), ()),
        (b"", b"a\nb\n", (), (1, 2)),
        (b"a\nb\n", b"", (1, 2), ()),
        (b"a\nb", b"a\nb\n", (2,), (2,)),
        (b"a\nb\n", b"a\r\nb\n", (1,), (1,)),
        (b"x\n" * 5, b"x\n" * 3, (4, 5), ()),
        (b"1\n2\n3\n4\n5\n6\n", b"1\n3\n4\nfour\n5\n6\n", (2,), (4,)),
        (
            b"def f():\n    a\n\ndef g():\n    b\n",
            b"def g():\n    b\n\ndef f():\n    a\n",
            (1, 2, 3),
            (3, 4, 5),
        ),
    ],
)
def test_line_numbers_of_a_change(
    old: bytes, new: bytes, deleted: tuple[int, ...], added: tuple[int, ...]
) -> None:
    """Lines are counted from 1, on either side."""
    assert line_changes(old, new) == (frozenset(deleted), frozenset(added))


_LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n", b"    return x\n", b"d\r\n"]), max_size=40)


@given(_LINES, _LINES)
def test_what_is_left_is_the_same_on_both_sides(old: list[bytes], new: list[bytes]) -> None:
    """Without the deleted lines the old text is the new one without the added lines."""
    _check(old, new)


@given(st.lists(st.binary(max_size=3)), st.lists(st.binary(max_size=3)))
def test_any_bytes_have_lines(old: list[bytes], new: list[bytes]) -> None:
    """Binary content has lines too."""
    _check(b"".join(old).splitlines(keepends=True), b"".join(new).splitlines(keepends=True))


def _check(old: list[bytes], new: list[bytes]) -> None:
    deleted, added = line_changes(b"".join(old), b"".join(new))
    assert deleted <= set(range(1, len(old) + 1)) and added <= set(range(1, len(new) + 1))
    left = [line for number, line in enumerate(old, 1) if number not in deleted]
    assert left == [line for number, line in enumerate(new, 1) if number not in added]
    if old == new:
        assert not deleted and not added


def test_large_texts_are_compared_in_order() -> None:
    """A hundred thousand lines with one edit in each hundred are told exactly, and repeated ones as a block."""
    old = [b"line %d\n" % number for number in range(100_000)]
    new = [b"edit %d\n" % number if number % 100 == 0 else line for number, line in enumerate(old)]
    deleted, added = line_changes(b"".join(old), b"".join(new))
    assert deleted == added == frozenset(range(1, 100_001, 100))
    same = [b"x\n", b"y\n"] * 20_000
    other = [b"y\n", b"z\n"] * 20_000
    deleted, added = line_changes(b"".join(same), b"".join(other))
    assert deleted == frozenset(range(1, 40_001)) and added == frozenset(range(1, 40_001))
