"""Writing trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import ProgramError
from pytest_bugsle.git.trees import write_object, write_tree


@pytest.fixture(params=["sha1", "sha256"])
def sandbox(tmp_path: Path, request: pytest.FixtureRequest) -> Sandbox:
    """Give a repository of either object format with a few folders."""
    sandbox = Sandbox(tmp_path / "project", f"--object-format={request.param}")
    sandbox.commit({"a.py": "a\n", "a/b.py": "b\n", "a/c/d.py": "d\n", "z": "z\n"} | {"a.py": "a\n"})
    return sandbox


def _written(sandbox: Sandbox, edits: dict[str, tuple[str, bytes] | None]) -> str:
    with sandbox.open() as repo:
        return write_tree(repo, sandbox.top / ".git" / "objects", repo.tree_of("HEAD"), edits)


def test_no_edit_is_the_same_tree(sandbox: Sandbox) -> None:
    """The tree of a commit without edits is that of the commit."""
    assert _written(sandbox, {}) == sandbox.git("rev-parse", "HEAD^{tree}")


def test_edits_give_the_tree_that_git_writes(sandbox: Sandbox) -> None:
    """Changed, added and deleted files in new and vanishing folders: the name is git's own."""
    odd = os.fsdecode(b'odd\n\xff/".py')
    made = _written(
        sandbox,
        {
            "a.py": ("100755", b"new\n"), "a/c/d.py": None, "z": None, "z/y/x.py": ("100644", b""),
            odd: ("100644", b"\0"), "link": ("120000", b"a.py"), "not/there": None, "a-": ("100644", b"1"), "a0": ("100644", b"2"),
        },
    )  # fmt: skip
    sandbox.write(
        {"a/c/d.py": None, "z": None, "z/y/x.py": "", odd: b"\0", "a.py": "new\n", "a-": "1", "a0": "2"}
    )
    (sandbox.top / "link").symlink_to("a.py")
    (sandbox.top / "a.py").chmod(0o755)
    sandbox.git("add", "-A")
    assert made == sandbox.git("write-tree")
    sandbox.git("fsck", "--strict", made)


def test_a_folder_can_become_a_file_and_back(sandbox: Sandbox) -> None:
    """Either takes the other's place; deleting a folder deletes what is in it."""
    sandbox.git("read-tree", _written(sandbox, {"a": ("100644", b"file")}))
    assert sandbox.git("ls-files").split() == ["a", "a.py", "z"]
    sandbox.git("read-tree", _written(sandbox, {"a.py/x": ("100644", b"file"), "a": None}))
    assert sandbox.git("ls-files").split() == ["a.py/x", "z"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_deleted_path_may_have_files_below(sandbox: Sandbox, order: int) -> None:
    """A file that is deleted makes way for a folder of its name; a folder, for a new one with that alone."""
    for path, left in (("z", ["a.py", "a/b.py", "a/c/d.py", "z/new"]), ("a", ["a.py", "a/new", "z"])):
        edits = [(path, None), (f"{path}/new", ("100644", b""))][::order]
        sandbox.git("read-tree", _written(sandbox, dict(edits)))
        assert sandbox.git("ls-files").split() == left


def test_nothing_left_is_the_empty_tree(sandbox: Sandbox) -> None:
    """A tree without files is git's empty tree."""
    with sandbox.open() as repo:
        assert _written(sandbox, {"a": None, "a.py": None, "z": None}) == repo.empty_tree


@pytest.mark.parametrize(
    "path", ["", "/etc/x", "a//b", "../x", "a/../x", "./x", ".git/config", "a/.GIT/x", "x/", "a\0b"]
)
def test_paths_that_lead_out_are_refused(sandbox: Sandbox, path: str) -> None:
    """No tree is written that would write outside of its folder."""
    with pytest.raises(ProgramError, match="no path inside"):
        _written(sandbox, {path: ("100644", b"")})


@pytest.mark.parametrize("mode", ["160000", "40000", "100666", "x 1\0"])
def test_unknown_modes_are_refused(sandbox: Sandbox, mode: str) -> None:
    """Files and links alone are written."""
    with pytest.raises(ProgramError, match="mode"):
        _written(sandbox, {"x": (mode, b"")})


@pytest.mark.parametrize("order", [("x", "x/y"), ("x/y", "x")])
def test_a_file_and_a_folder_at_once_are_refused(sandbox: Sandbox, order: tuple[str, str]) -> None:
    """Edits that contradict each other are an error in either order."""
    with pytest.raises(ProgramError, match="at once"):
        _written(sandbox, dict.fromkeys(order, ("100644", b"")))


def test_an_object_is_written_once_and_whole(sandbox: Sandbox) -> None:
    """The name is git's, the content comes back, and nothing half written stays."""
    objects = sandbox.top / ".git" / "objects"
    form = sandbox.open().object_format
    sha = write_object(objects, "blob", b"x" * 100_000, form)
    assert write_object(objects, "blob", b"x" * 100_000, form) == sha
    assert sandbox.git("cat-file", "blob", sha) == "x" * 100_000
    place = objects / sha[:2] / sha[2:]
    place.chmod(0o600)
    place.write_bytes(b"")
    assert write_object(objects, "blob", b"x" * 100_000, form) == sha
    assert sandbox.git("cat-file", "blob", sha) == "x" * 100_000
    assert not list(objects.rglob("tmp_obj_*"))


_PATH = st.lists(st.sampled_from(["a", "b", "a.py", "c-", "ü"]), min_size=1, max_size=3).map("/".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.dictionaries(_PATH, st.one_of(st.none(), st.binary(max_size=4)), max_size=5))
def test_any_edits_read_back(sandbox: Sandbox, edits: dict[str, bytes | None]) -> None:
    """What was set is there, what was deleted is not, the rest is as it was."""
    if any(edits[one] is not None and two.startswith(one + "/") for one in edits for two in edits):
        return
    tree = _written(
        sandbox, {path: None if content is None else ("100644", content) for path, content in edits.items()}
    )
    with sandbox.open() as repo:
        before, after = repo.listing("HEAD"), repo.listing(tree)
        for path, content in edits.items():
            if content is None:
                assert path not in after
            else:
                assert repo.blob(after[path].sha) == content
        touched = lambda path: any(  # noqa: E731 (one expression, used twice below)
            path == edit or path.startswith(edit + "/") or edit.startswith(path + "/") for edit in edits
        )
        assert {p: e for p, e in before.items() if not touched(p)} == {
            p: e for p, e in after.items() if not touched(p)
        }
