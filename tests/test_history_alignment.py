"""What git prints of the lines that differ is read by counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.history.alignment import FileDiff, Hunk, file_diffs

COMMIT = b"a" * 40
HEAD = (
    COMMIT + b"\ndiff --git a/x b/x\nindex " + b"1" * 40 + b".." + b"2" * 40 + b" 100644\n--- a/x\n+++ b/x\n"
)


def test_hunks_stand_with_their_lines() -> None:
    """What went away is kept as text, what came as a range."""
    out = HEAD + b"@@ -1,2 +1 @@\n-old\n-older\n+new\n@@ -9,0 +9,2 @@ def f():\n+a\n+b\n"
    assert list(file_diffs(out)) == [
        FileDiff(
            "a" * 40, b"x", b"x", "1" * 40, "2" * 40, [Hunk(1, [b"old", b"older"], 1, 1), Hunk(9, [], 9, 2)]
        )
    ]


def test_a_changed_line_that_looks_like_a_header_is_a_line() -> None:
    """Also behind the note that the old text has no newline at its end."""
    out = (
        HEAD
        + b"@@ -1 +1 @@\n--- a/y\n\\ No newline at end of file\n+++ b/y\n\\ No newline at end of file\n"
        + b"b" * 40
        + b"\ndiff --git a/z b/z\nindex "
        + b"3" * 40
        + b".."
        + b"0" * 40
        + b"\n--- a/z\n+++ /dev/null\n@@ -1 +0,0 @@\n-diff --git a/q b/q\n"
    )
    first, second = file_diffs(out)
    assert (first.old_path, first.new_path, first.hunks) == (b"x", b"x", [Hunk(1, [b"-- a/y"], 1, 1)])
    assert (second.commit, second.old_path, second.new_path) == ("b" * 40, b"z", b"")
    assert (second.new_blob, second.hunks) == ("", [Hunk(1, [b"diff --git a/q b/q"], 0, 0)])


def test_a_name_with_a_blank_and_one_that_git_quotes() -> None:
    """The tab behind the first is no part of it; the second is left out."""
    out = HEAD.replace(b"--- a/x\n", b"--- a/x y\t\n").replace(b"+++ b/x", b'+++ "b/\\"x"')
    (found,) = file_diffs(out)
    assert (found.old_path, found.new_path, found.hunks) == (b"x y", b"", [])


@given(st.binary(max_size=300))
def test_any_output_is_read(out: bytes) -> None:
    """Strangers write the lines of it."""
    for found in file_diffs(HEAD + b"@@ -1,2 +1 @@\n" + out):
        assert found.commit == "a" * 40 or found.old_path != b"x"
