"""Clearing a work tree."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_bugsle.git import slots
from pytest_bugsle.git.carry import Signature, signature
from pytest_bugsle.git.repository import Entry
from pytest_bugsle.git.worktree import quoted, tidy

_NAMES = st.sampled_from(["a", "b", "c.py", "__pycache__"])
_PATHS = st.sets(st.lists(_NAMES, min_size=1, max_size=3).map("/".join), max_size=6)


def _free(paths: set[str]) -> set[str]:
    """Leave out what cannot lie beside the others: a file under a file."""
    return {path for path in paths if not any(path.startswith(other + "/") for other in paths)}


def _tracked(paths: set[str]) -> dict[str, Entry]:
    return {
        path: Entry("100644", "0" * 40) for path in sorted(paths) if "__pycache__" not in path.split("/")[:-1]
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(present=_PATHS, wanted=_PATHS, copied=_PATHS)
def test_only_what_is_wanted_and_untouched_copies_stay(
    tmp_path: Path, present: set[str], wanted: set[str], copied: set[str]
) -> None:
    """Whatever lies there, after tidying only paths of the next tree and known copies are left."""
    tree = tmp_path / "tree"
    slots.remove(tree)
    tree.mkdir()
    present = _free(present)
    for path in present:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    listing = _tracked(_free(wanted))
    carried: dict[str, Signature] = {}
    for path in copied & present - listing.keys():
        facts = signature(tree / path)
        assert facts is not None
        carried[path] = facts
    tidy(tree, listing, carried)
    left = {os.fspath(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}
    assert left <= listing.keys() | carried.keys()
    assert carried.keys() <= left
    assert {path for path in present & listing.keys() if "__pycache__" not in path.split("/")[:-1]} <= left
    for folder in (path for path in tree.rglob("*") if path.is_dir()):
        name = os.fspath(folder.relative_to(tree)) + "/"
        assert any(path.startswith(name) for path in listing.keys() | carried.keys())


def test_a_touched_copy_is_removed(tmp_path: Path) -> None:
    """A copy that a test wrote to is no copy any more."""
    (tmp_path / "x").write_text("x")
    facts = signature(tmp_path / "x")
    assert facts is not None
    carried = {"x": facts}
    tidy(tmp_path, {}, carried)
    assert carried and (tmp_path / "x").exists()
    (tmp_path / "x").write_text("y")
    tidy(tmp_path, {}, carried)
    assert not carried and not (tmp_path / "x").exists()


def test_object_folders_are_quoted_where_git_would_misread_them() -> None:
    """Plain paths stay plain."""
    assert quoted(Path("/a b/c")) == b"/a b/c"
    assert quoted(Path('/a\n"\\')) == b'"/a\\n\\"\\\\"'
