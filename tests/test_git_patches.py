"""Patches: the same change on another branch, by its text and by what its message says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.git.patches import MOST_COMMITS, carriers, patch_id, picked_from

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "".join(f"line {n}\n" for n in range(20))


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Begin a repository with a branch that parted."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.commit({"a.py": TEXT, "b.py": TEXT, "NEWS": "1\n"})
    sandbox.git("branch", "old")
    return sandbox


def on_old(sandbox: Sandbox) -> str:
    """Go to the other branch, where a.py is longer by a line at its top."""
    sandbox.git("switch", "-q", "old")
    return sandbox.commit({"a.py": "head\n" + TEXT}, "chore: head")


def test_a_pick_has_the_same_id_at_other_lines_and_under_other_words(sandbox: Sandbox) -> None:
    """Line numbers, messages and what else the commit touches do not count."""
    fix = sandbox.commit({"a.py": TEXT.replace("line 9", "mended")}, "fix: nine")
    first = on_old(sandbox)
    picked = sandbox.commit({"a.py": "head\n" + TEXT.replace("line 9", "mended"), "NEWS": "2\n"}, "backport")
    repo = sandbox.open()
    own = patch_id(repo, f"{fix}^", fix, ["a.py"])
    assert own is not None
    found = carriers(repo, "main~1", "old", ["a.py"])
    assert [carrier.commit for carrier in found] == [picked, first]
    assert [carrier.id == own for carrier in found] == [True, False]


def test_only_commits_that_touch_the_paths_are_looked_at(sandbox: Sandbox) -> None:
    """A branch may be years long."""
    on_old(sandbox)
    sandbox.commit({"b.py": "other\n"})
    assert len(carriers(sandbox.open(), "main", "old", ["a.py"])) == 1
    assert carriers(sandbox.open(), "main", "old", ["*.py"]) == ()


def test_without_a_base_the_whole_branch_is_looked_at(sandbox: Sandbox) -> None:
    """A shallow clone knows none; the root has a patch too."""
    on_old(sandbox)
    found = carriers(sandbox.open(), None, "old", ["a.py"])
    assert len(found) == 2
    assert all(carrier.id for carrier in found)


def test_a_merge_and_a_binary_change_have_no_id(sandbox: Sandbox) -> None:
    """Nothing could be compared."""
    sandbox.commit({"x.bin": b"\0one", "a.py": "mine\n" + TEXT})
    on_old(sandbox)
    binary = sandbox.commit({"x.bin": b"\0two", "b.py": "x\n"})
    sandbox.git("merge", "-q", "--no-ff", "-s", "ours", "-m", "merge", "main")
    merge = sandbox.git("rev-parse", "HEAD")
    repo = sandbox.open()
    ids = {carrier.commit: carrier.id for carrier in carriers(repo, None, "old", ["x.bin", "a.py"])}
    assert ids[binary] is None
    assert ids.get(merge) is None
    assert patch_id(repo, f"{binary}^", binary) is None


def test_an_empty_change_has_no_id(sandbox: Sandbox) -> None:
    """Two empty patches are no pick of each other."""
    assert patch_id(sandbox.open(), "main", "main") is None


def test_user_settings_do_not_change_an_id(sandbox: Sandbox) -> None:
    """Prefixes, context and algorithms are the user's own."""
    fix = sandbox.commit({"a.py": TEXT.replace("line 9", "mended")})
    before = patch_id(sandbox.open(), f"{fix}^", fix)
    for setting in ("diff.noprefix=true", "diff.context=9", "diff.algorithm=histogram", "color.ui=always"):
        sandbox.git("config", *setting.split("=", 1))
    assert patch_id(sandbox.open(), f"{fix}^", fix) == before


def test_a_line_that_looks_like_a_commit_splits_nothing(sandbox: Sandbox) -> None:
    """Content always has a sign before it."""
    sha = sandbox.commit({"a.py": f"{'1' * 40}\nBinary files differ\n"})
    (carrier, *_) = carriers(sandbox.open(), None, "main", ["a.py"])
    assert carrier.commit == sha
    assert carrier.id == patch_id(sandbox.open(), f"{sha}^", sha, ["a.py"])


def test_a_message_says_what_was_picked(sandbox: Sandbox) -> None:
    """As `cherry-pick -x` writes it, in a body with anything in it."""
    body = f"Fix\n\ntext\nreverts (cherry picked from commit {'a' * 40})\n(cherry picked from commit {'b' * 40})\n"
    sandbox.commit({"a.py": "x\n"}, body.encode() + b"\xff")
    (carrier, *_) = carriers(sandbox.open(), None, "main", ["a.py"])
    assert carrier.picked_from == ("b" * 40,)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (f"(cherry picked from commit {'a' * 40})", ["a" * 40]),
        ("Cherry-picked from commit ABC1234", ["abc1234"]),
        ("(cherry picked from abcdef12)", ["abcdef12"]),
        ("Backported from commit abcdef12.", ["abcdef12"]),
        ("not cherry picked from commit abcdef12", []),
        ("(cherry picked from commit abc)", []),
        ("(cherry picked from the branch)", []),
    ],
)
def test_the_ways_to_say_so(message: str, found: list[str]) -> None:
    """git's own, and those of people."""
    assert list(picked_from(f"Title\n\n{message}\n")) == found


@given(st.text())
def test_any_message_is_read(message: str) -> None:
    """It is written by strangers."""
    assert all(len(sha) >= 7 for sha in picked_from(message))


def test_the_look_is_bounded(sandbox: Sandbox) -> None:
    """Of thousands of commits the newest count."""
    stream = "".join(
        f"commit refs/heads/long\nmark :{n}\ncommitter A <a@b> {n} +0000\ndata 1\nx"
        + (f"\nfrom :{n - 1}" if n > 1 else "")
        + f"\nM 100644 inline a.py\ndata {len(str(n))}\n{n}\n"
        for n in range(1, 260)
    )
    sandbox.git("fast-import", "--quiet", input=stream.encode())
    assert len(carriers(sandbox.open(), None, "long", ["a.py"])) == MOST_COMMITS
