"""Warm work trees outside the user's repository."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_sandbox import Sandbox, fingerprint

from pytest_bugsle.errors import ProgramError, UndecidedError
from pytest_bugsle.git import pool as pool_module
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository

_ODD = os.fsdecode(b'odd\n\xff ".py')


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a repository with two commits and a tag."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit(
        {"a.py": "x = 1\n", "pkg/b.py": "y = 1\n", "old/c.py": "", ".gitignore": "*.log\n", "kind": "file\n"}
    )
    sandbox.git("tag", "-a", "v1.0", "-m", "one")
    sandbox.write(
        {"a.py": "x = 2\n", "old/c.py": None, "new/d.py": "", _ODD: "o\n", "kind": None, "kind/e.py": "e\n"}
    )
    (sandbox.top / "link").symlink_to("a.py")
    sandbox.commit()
    return sandbox


@pytest.fixture
def pool(sandbox: Sandbox, tmp_path: Path) -> Iterator[Pool]:
    """Give a pool over it."""
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
        yield pool


def _files(tree: Path) -> dict[str, bytes]:
    found = {}
    for path in tree.rglob("*"):
        name = os.fspath(path.relative_to(tree))
        if path.is_symlink():
            found[name] = os.fsencode(os.readlink(path))
        elif path.is_file() and name != ".git":
            found[name] = path.read_bytes()
        elif path.is_dir():
            found[name + "/"] = b""
    return found


def _tree(sandbox: Sandbox, ref: str) -> str:
    return sandbox.git("rev-parse", f"{ref}^{{tree}}")


_SECOND = {
    "a.py": b"x = 2\n", "pkg/": b"", "pkg/b.py": b"y = 1\n", "new/": b"", "new/d.py": b"", _ODD: b"o\n",
    "kind/": b"", "kind/e.py": b"e\n", "link": b"a.py", ".gitignore": b"*.log\n",
}  # fmt: skip
_FIRST = {
    "a.py": b"x = 1\n", "pkg/": b"", "pkg/b.py": b"y = 1\n", "old/": b"", "old/c.py": b"", ".gitignore": b"*.log\n",
    "kind": b"file\n",
}  # fmt: skip


def test_a_work_tree_switches_back_and_forth(sandbox: Sandbox, pool: Pool) -> None:
    """Each tree is there whole and alone, in the same folder, named as the project's."""
    for ref, files in (("HEAD", _SECOND), ("HEAD~1", _FIRST), ("HEAD", _SECOND)):
        where = pool.checkout("after", _tree(sandbox, ref), sandbox.git("rev-parse", ref))
        assert _files(where) == files
        assert where == pool.folder / "after" / "project"
        assert sandbox.git("status", "--porcelain", at=where) == ""
    other = pool.checkout("before", _tree(sandbox, "HEAD~1"), None)
    assert other != where and _files(other) == _FIRST and _files(where) == _SECOND


def test_dirt_of_every_kind_is_removed(sandbox: Sandbox, pool: Pool) -> None:
    """What tests write, change, delete, lock, link and hide does not reach the next run."""
    tree = _tree(sandbox, "HEAD")
    where = pool.checkout("after", tree, None)
    (where / "a.py").write_text("x = 3\n")
    (where / "pkg" / "b.py").unlink()
    (where / "pkg").rmdir()
    (where / "pkg").symlink_to("/etc")
    (where / "link").unlink()
    (where / "link").mkdir()
    (where / "link" / "x").write_text("x")
    (where / "noise.log").write_text("ignored")
    (where / "new" / "__pycache__").mkdir()
    (where / "new" / "__pycache__" / "d.cpython-311.pyc").write_text("stale")
    (where / "empty" / "deep").mkdir(parents=True)
    Sandbox(where / "nested").commit({"n.py": ""})
    locked = where / "locked" / "deep"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    locked.chmod(0o500)
    locked.parent.chmod(0)
    (where / "kind" / "e.py").chmod(0o000)
    (where / "kind").chmod(0o500)
    os.mkfifo(where / "pipe")
    assert _files(pool.checkout("after", tree, None)) == _SECOND
    assert (where / "kind" / "e.py").stat().st_mode & 0o777 == 0o644


def test_a_hidden_change_is_found(sandbox: Sandbox, pool: Pool) -> None:
    """A change of the same size with its time put back is undone all the same."""
    tree = _tree(sandbox, "HEAD")
    where = pool.checkout("after", tree, None)
    facts = (where / "a.py").stat()
    (where / "a.py").write_text("x = 9\n")
    os.utime(where / "a.py", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert _files(pool.checkout("after", tree, None)) == _SECOND


def test_what_tests_do_with_git_stays_in_the_work_tree(sandbox: Sandbox, pool: Pool) -> None:
    """Commits, flags, settings, hooks and a broken repository of a test's leave the user and the next run alone."""
    tree, head = _tree(sandbox, "HEAD"), sandbox.git("rev-parse", "HEAD")
    before = {name: facts[::2] for name, facts in fingerprint(sandbox.top).items()}
    where = pool.checkout("after", tree, head)
    assert sandbox.git("rev-parse", "--show-toplevel", at=where) == str(where)
    assert sandbox.git("rev-parse", "HEAD", at=where) == head
    assert sandbox.git("describe", "--tags", at=where).startswith("v1.0-1-g")
    (where / "a.py").write_text("x = 7\n")
    sandbox.git("commit", "-qam", "by a test", at=where)
    sandbox.git("update-index", "--skip-worktree", "pkg/b.py", at=where)
    sandbox.git("config", "core.fsmonitor", "touch ran", at=where)
    sandbox.git("config", "filter.x.smudge", "false", at=where)
    sandbox.git("branch", "left", at=where)
    (where / "pkg" / "b.py").write_text("y = 7\n")
    assert _files(pool.checkout("after", tree, head)) == _SECOND
    assert sandbox.git("branch", "--list", "left", at=where) == ""
    assert sandbox.git("status", "--porcelain", at=where) == ""
    assert sandbox.git("rev-parse", "HEAD", at=where) == head
    (pool.folder / "after.git" / "HEAD").unlink()
    (pool.folder / "after.git" / "index").write_bytes(b"broken")
    (where / ".git").unlink()
    assert _files(pool.checkout("after", tree, head)) == _SECOND
    assert sandbox.git("status", "--porcelain", at=where) == ""
    # The test's own git may touch the times of objects that it found: contents alone are compared.
    assert {name: facts[::2] for name, facts in fingerprint(sandbox.top).items()} == before


def test_the_user_s_repository_stays_byte_for_byte(sandbox: Sandbox, tmp_path: Path) -> None:
    """With hooks, a stash, a second work tree and a dirty index, nothing changes and no hook runs."""
    sandbox.write({"a.py": "stashed\n"})
    sandbox.git("stash")
    sandbox.git("worktree", "add", "-q", str(tmp_path / "linked"), "HEAD~1")
    mark = tmp_path / "hook ran"
    hooks = sandbox.top / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    names = (
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "pre-commit",
        "post-merge",
        "fsmonitor-watchman",
    )
    for name in names:
        (hooks / name).write_text(f'#!/bin/sh\ntouch "{mark}"\n')
        (hooks / name).chmod(0o755)
    sandbox.write({"a.py": "staged\n"})
    mark.unlink(missing_ok=True)
    sandbox.git("-c", "core.hooksPath=/dev/null", "add", "a.py")
    sandbox.write({"a.py": "dirty\n", "untracked.py": "u\n", "noise.log": "l\n", "pkg/b.py": None})
    before, linked = fingerprint(sandbox.top), fingerprint(tmp_path / "linked")
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
        tree = pool.snapshot()
        where = pool.checkout("after", tree, sandbox.git("rev-parse", "HEAD"))
        found = _files(where)
        assert (found["a.py"], found["untracked.py"], found["noise.log"]) == (b"dirty\n", b"u\n", b"l\n")
        assert "pkg/b.py" not in found
        edited = pool.write_tree(tree, {"a.py": ("100644", b"edited\n"), "untracked.py": None})
        found = _files(pool.checkout("before", edited, None))
        assert found["a.py"] == b"edited\n" and "untracked.py" not in found
        for name in ("after", "before"):
            pool.checkout(name, _tree(sandbox, "HEAD~1"), None)
    assert fingerprint(sandbox.top) == before
    assert fingerprint(tmp_path / "linked") == linked
    assert not mark.exists()


def test_the_pool_reads_both_kinds_of_objects(sandbox: Sandbox, pool: Pool) -> None:
    """Through `pool.repo` the user's objects and our own are read; the user's repository lacks ours."""
    tree = pool.write_tree(_tree(sandbox, "HEAD"), {"n.py": ("100644", b"n\n")})
    listing = pool.repo.listing(tree)
    assert pool.repo.blob(listing["n.py"].sha) == b"n\n"
    assert pool.repo.blob(listing["a.py"].sha) == b"x = 2\n"
    with pytest.raises(ProgramError):
        pool.user.blob(listing["n.py"].sha)


def test_two_runs_at_once_do_not_meet(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """A second pool has its own folders; the first one's are warm again for a third."""
    where = pool.checkout("after", _tree(sandbox, "HEAD"), None)
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as second:
        assert second.checkout("after", _tree(sandbox, "HEAD~1"), None) != where
        assert _files(where) == _SECOND
    inode = (where / "a.py").stat().st_ino
    pool.close()
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as third:
        assert third.checkout("after", _tree(sandbox, "HEAD"), None) == where
        assert (where / "a.py").stat().st_ino == inode


def test_scratch_is_empty_at_the_start(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """What an earlier run left there is gone."""
    (pool.scratch / "left").mkdir()
    pool.close()
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as again:
        assert list(again.scratch.iterdir()) == []


def test_what_a_kill_left_is_cleared(sandbox: Sandbox, pool: Pool) -> None:
    """A stale lock of the index is deleted under our own lock; a broken index and tree are made anew."""
    tree = _tree(sandbox, "HEAD")
    where = pool.checkout("after", tree, None)
    (pool.folder / "after.index.lock").write_text("")
    assert _files(pool.checkout("after", tree, None)) == _SECOND
    (pool.folder / "after.index").write_bytes(b"DIRC broken")
    assert _files(pool.checkout("after", tree, None)) == _SECOND
    (pool.folder / "after.index").unlink()
    (where / "a.py").write_text("half")
    assert _files(pool.checkout("after", tree, None)) == _SECOND


def test_a_broken_pool_is_made_anew(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """After a crash, settings, alternates and objects that were lost are written again."""
    git_dir = pool.folder / "pool.git"
    tree = pool.write_tree(_tree(sandbox, "HEAD"), {"n.py": ("100644", b"n\n")})
    sandbox.write({"dirty.py": "d\n"})
    dirty = pool.snapshot()
    pool.close()
    (git_dir / "config").write_text("[core\nbroken")
    (git_dir / "HEAD").unlink()
    (git_dir / "objects" / "info" / "alternates").write_text("/nowhere\n")
    (git_dir / "shallow").write_text("0" * 40 + "\n")
    for path in pool.folder.glob("*.git/objects/??/*"):
        path.chmod(0o600)
        path.write_bytes(b"")
    (pool.folder / "in-use").touch()
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as again:
        assert _files(again.checkout("after", _tree(sandbox, "HEAD"), None)) == _SECOND
        assert again.write_tree(_tree(sandbox, "HEAD"), {"n.py": ("100644", b"n\n")}) == tree
        assert (again.checkout("after", tree, None) / "n.py").read_bytes() == b"n\n"
        assert again.snapshot() == dirty
        assert (again.checkout("after", dirty, None) / "dirty.py").read_bytes() == b"d\n"


def test_a_pool_that_grew_too_large_starts_afresh(
    sandbox: Sandbox, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of many runs do not pile up for ever."""
    where = pool.checkout("after", _tree(sandbox, "HEAD"), None)
    full = pool.folder / "pool.git" / "objects" / "17"
    full.mkdir(exist_ok=True)
    for number in range(3):
        (full / str(number)).write_text("")
    pool.close()
    monkeypatch.setattr(pool_module, "_MOST_OBJECTS", 3)
    with Pool.acquire(sandbox.open(), tmp_path / "pool"):
        assert where.exists()
    monkeypatch.setattr(pool_module, "_MOST_OBJECTS", 2)
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as again:
        assert not where.exists() and not full.exists()
        assert _files(again.checkout("after", _tree(sandbox, "HEAD"), None)) == _SECOND


def test_tracked_bytecode_is_not_checked_out(sandbox: Sandbox, pool: Pool) -> None:
    """Bytecode that somebody committed could be stale."""
    sandbox.write(
        {"pkg/__pycache__/b.cpython-311.pyc": "stale", "pkg/c.pyc": "stale", "pkg/__pycache__/odd.txt": "x"}
    )
    sandbox.git("add", "-Af")
    sandbox.git("commit", "-qm", "bytecode")
    assert _files(pool.checkout("after", _tree(sandbox, "HEAD"), None)) == _SECOND
    assert _files(pool.checkout("after", _tree(sandbox, "HEAD"), None)) == _SECOND


def test_the_user_s_filters_and_line_ends_do_not_change_a_work_tree(
    sandbox: Sandbox, pool: Pool, tmp_path: Path
) -> None:
    """A smudge filter is not run, autocrlf is off; what attributes say about line ends is done."""
    sandbox.commit({"f.txt": "f\n", "w.bat": "w\n", ".gitattributes": "f.txt filter=odd\n*.bat eol=crlf\n"})
    for key, value in {
        "filter.odd.smudge": f"touch {tmp_path}/ran",
        "filter.odd.required": "true",
        "core.autocrlf": "true",
    }.items():
        sandbox.git("config", key, value)
    found = _files(pool.checkout("after", _tree(sandbox, "HEAD"), None))
    assert (found["f.txt"], found["w.bat"], found["a.py"]) == (b"f\n", b"w\r\n", b"x = 2\n")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "pool", "scratch", "snapshot", "-x", "A", "a.git", "x" * 32]
)
def test_names_of_work_trees_are_plain(sandbox: Sandbox, pool: Pool, name: str) -> None:
    """No name leads out of the slot or onto what is ours."""
    with pytest.raises(ProgramError, match="no name for a work tree"):
        pool.checkout(name, _tree(sandbox, "HEAD"), None)


def test_a_missing_tree_is_an_error(pool: Pool) -> None:
    """A tree that nobody has is said."""
    with pytest.raises(ProgramError):
        pool.checkout("after", "1" * 40, None)


def test_a_linked_work_tree_and_a_submodule_have_pools(sandbox: Sandbox, tmp_path: Path) -> None:
    """From either, the right files come."""
    inner = Sandbox(tmp_path / "inner")
    inner.commit({"lib.py": "l\n"})
    sandbox.git("submodule", "--quiet", "add", str(inner.top), "vendor")
    sandbox.git("worktree", "add", "-q", str(tmp_path / "linked"), "HEAD~1")
    with Pool.acquire(Repository.open(tmp_path / "linked"), tmp_path / "pool") as pool:
        assert _files(pool.checkout("after", pool.snapshot(), None)) == _FIRST
        assert pool.checkout("after", pool.snapshot(), None).name == "linked"
    with Pool.acquire(Repository.open(sandbox.top / "vendor"), tmp_path / "pool") as pool:
        assert _files(pool.checkout("after", pool.snapshot(), None)) == {"lib.py": b"l\n"}


def test_bare_shallow_borrowed_and_sha256_repositories_have_pools(sandbox: Sandbox, tmp_path: Path) -> None:
    """A repository without a work tree, with a cut history, over others' objects, or with long names."""
    sandbox.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    sandbox.git("clone", "-q", "--depth=1", sandbox.top.as_uri(), str(tmp_path / "shallow"))
    sandbox.git("clone", "-q", "--shared", ".", str(tmp_path / 'bor"rowed:#'))
    for name in ("bare.git", "shallow", 'bor"rowed:#'):
        with Pool.acquire(Repository.open(tmp_path / name), tmp_path / "pool") as pool:
            where = pool.checkout("after", pool.snapshot(), sandbox.git("rev-parse", "HEAD"))
            assert _files(where) == _SECOND
            assert where.name == name.removesuffix(".git")
            assert len(sandbox.git("log", "--format=%h", at=where).split()) == (1 if name == "shallow" else 2)
    long = Sandbox(tmp_path / "long", "--object-format=sha256")
    long.commit({"a.py": "x\n"})
    long.write({"b.py": "y\n"})
    with Pool.acquire(long.open(), tmp_path / "pool") as pool:
        tree = pool.write_tree(pool.snapshot(), {"c.py": ("100644", b"z\n")})
        where = pool.checkout("after", tree, long.git("rev-parse", "HEAD"))
        assert _files(where) == {"a.py": b"x\n", "b.py": b"y\n", "c.py": b"z\n"}
        assert long.git("log", "--format=%s", at=where) == "change"


def test_folders_with_odd_names_have_pools(tmp_path: Path) -> None:
    """Repository and pool may lie in folders whose names hold whatever a file system takes."""
    sandbox = Sandbox(tmp_path / os.fsdecode(b'a\n"b\xff:#'))
    sandbox.commit({"a.py": "x\n"})
    sandbox.write({"b.py": "y\n"})
    with Pool.acquire(sandbox.open(), tmp_path / os.fsdecode(b'#p\n":\xfe')) as pool:
        where = pool.checkout("after", pool.snapshot(), sandbox.git("rev-parse", "HEAD"))
        assert _files(where) == {"a.py": b"x\n", "b.py": b"y\n"}
        assert sandbox.git("status", "--porcelain", at=where) == "A  b.py"


def test_a_partial_clone_without_the_blobs_is_undecided(sandbox: Sandbox, tmp_path: Path) -> None:
    """A tree whose files were not fetched cannot be checked out, and nothing is fetched."""
    sandbox.git("config", "uploadpack.allowFilter", "true")
    sandbox.git("clone", "-q", "--filter=blob:none", sandbox.top.as_uri(), str(tmp_path / "partial"))
    before = fingerprint(tmp_path / "partial")
    with Pool.acquire(Repository.open(tmp_path / "partial"), tmp_path / "pool") as pool:
        assert _files(pool.checkout("after", pool.snapshot(), None)) == _SECOND
        with pytest.raises(UndecidedError, match="not fetched"):
            pool.checkout("after", _tree(sandbox, "HEAD~1"), None)
    assert fingerprint(tmp_path / "partial") == before


def test_hostile_trees_stay_inside(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """A tree with a path to .git is refused; a link to a folder outside is never written through."""
    (tmp_path / "outside").mkdir()
    blob = sandbox.git("hash-object", "-w", "--stdin", input=b"evil")
    inner = sandbox.git("mktree", input=f"100644 blob {blob}\tconfig\n".encode())
    raw = b"40000 .git\0" + bytes.fromhex(inner)
    evil = sandbox.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=raw)
    with pytest.raises(ProgramError):
        pool.checkout("after", evil, None)
    where = pool.checkout("after", _tree(sandbox, "HEAD"), None)
    assert (where / ".git").is_file()
    link = pool.write_tree(_tree(sandbox, "HEAD"), {"pkg": ("120000", os.fsencode(tmp_path / "outside"))})
    pool.checkout("after", link, None)
    assert _files(pool.checkout("after", _tree(sandbox, "HEAD"), None)) == _SECOND
    assert list((tmp_path / "outside").iterdir()) == []


def test_after_a_kill_the_heirs_of_the_lock_keep_the_slot(sandbox: Sandbox, tmp_path: Path) -> None:
    """A killed run whose child still holds the lock keeps its folders to itself; then they are free."""
    code = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "from pytest_bugsle.git.pool import Pool; from pytest_bugsle.git.repository import Repository\n"
        f"pool = Pool.acquire(Repository.open(Path({str(sandbox.top)!r})), Path({str(tmp_path / 'pool')!r}))\n"
        "child = subprocess.Popen(['sleep', '60'], pass_fds=(pool.lock,))\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert run.stdout
    child = int(run.stdout.readline())
    run.kill()
    run.wait()
    run.stdout.close()
    try:
        with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
            assert pool.folder.name == "1"
    finally:
        os.kill(child, signal.SIGKILL)
    for _ in range(100):
        with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
            if pool.folder.name == "0":
                return
    raise AssertionError("the slot is still held")
