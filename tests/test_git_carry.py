"""What tests need and git does not hold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git import carry
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a repository that ignores much."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({
        ".gitignore": "_version.py\n*.so\ndata/\n.env\nbuild/\n__pycache__/\n*.pyc\n.tox/\nenv/\nnode_modules/\n.bugsle/\n",
        "src/pkg/__init__.py": "", "tests/test_a.py": "",
    })  # fmt: skip
    return sandbox


@pytest.fixture
def pool(sandbox: Sandbox, tmp_path: Path) -> Iterator[Pool]:
    """Give a pool over it."""
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
        yield pool


def _ignored(where: Path) -> set[str]:
    tracked = {".git", ".gitignore", "src/pkg/__init__.py", "tests/test_a.py"}
    names = {
        os.fspath(path.relative_to(where))
        for path in where.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    return names - tracked


def _checkout(sandbox: Sandbox, pool: Pool, roots: tuple[str, ...] = (), extra: tuple[str, ...] = ()) -> Path:
    tree = sandbox.git("rev-parse", "HEAD^{tree}")
    return pool.checkout("after", tree, None, copy_roots=roots, copy_extra=extra)


def test_what_is_ignored_and_needed_is_copied(sandbox: Sandbox, pool: Pool) -> None:
    """Generated modules, built extensions and data come along; caches, environments and secrets do not."""
    wanted = {
        "src/pkg/_version.py": "v\n",
        "src/pkg/fast.so": "elf",
        "tests/data/deep/x.bin": "d",
        "data/y": "y",
    }
    sandbox.write({
        **wanted, ".env": "SECRET", "tests/.env": "SECRET", "build/lib/x.so": "b", ".bugsle/store": "s",
        "src/pkg/__pycache__/a.pyc": "c", "data/__pycache__/b.pyc": "c", "data/c.pyc": "c", ".tox/py/x.so": "t",
        "env/pyvenv.cfg": "", "env/lib/x.so": "e", "node_modules/m/x.so": "n", "data/.mypy_cache/x": "m",
    })  # fmt: skip
    assert _ignored(_checkout(sandbox, pool)) == set(wanted)
    assert pool.uncopied == ()


def test_ignored_files_in_a_new_folder_are_copied(sandbox: Sandbox, pool: Pool) -> None:
    """A folder that git does not know yet may hold ignored files as well."""
    sandbox.write({"src/new/fast.so": "elf", "src/new/mod.py": ""})
    where = pool.checkout("after", pool.snapshot(), None)
    assert _ignored(where) == {"src/new/fast.so", "src/new/mod.py"}


def test_roots_bound_what_is_copied(sandbox: Sandbox, pool: Pool) -> None:
    """Under roots, only they are looked into, and inside of an ignored folder too."""
    sandbox.write(
        {
            "src/pkg/_version.py": "v\n",
            "tests/data/x": "d",
            "data/y": "y",
            "data/sub/z": "z",
            "_version.py": "",
        }
    )
    assert _ignored(_checkout(sandbox, pool, ("src", "data/sub"))) == {"src/pkg/_version.py", "data/sub/z"}
    assert _ignored(_checkout(sandbox, pool, ("./tests/",))) == {"tests/data/x"}
    assert len(_ignored(_checkout(sandbox, pool, (".",)))) == 5


def test_secrets_are_copied_when_named(sandbox: Sandbox, pool: Pool) -> None:
    """`.env` and what is else passed over come along only by name, folders whole."""
    sandbox.write({".env": "SECRET", "build/lib/x.so": "b", "build/.git/x": "g"})
    assert _ignored(_checkout(sandbox, pool, extra=(".env", "build", "nothing"))) == {
        ".env",
        "build/lib/x.so",
    }
    assert _ignored(_checkout(sandbox, pool)) == set()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ".git/config", "..\\x"])
def test_paths_outside_are_wrong_usage(sandbox: Sandbox, pool: Pool, path: str) -> None:
    """Nothing from outside of the repository is copied."""
    for roots, extra in (((path,), ()), ((), (path,))):
        with pytest.raises(UsageError, match="no path inside"):
            _checkout(sandbox, pool, roots, extra)


def test_a_write_to_the_copy_does_not_reach_the_original(sandbox: Sandbox, pool: Pool) -> None:
    """Files are copied, never linked, with their modes and times, and changed copies are made anew."""
    sandbox.write({"data/y": "y", "data/ro": "r"})
    (sandbox.top / "data" / "ro").chmod(0o555)
    where = _checkout(sandbox, pool)
    assert (where / "data" / "y").stat().st_nlink == 1
    assert (where / "data" / "y").stat().st_mtime_ns == (sandbox.top / "data" / "y").stat().st_mtime_ns
    assert os.access(where / "data" / "ro", os.X_OK)
    kept = (where / "data" / "ro").stat().st_ino
    facts = (where / "data" / "y").stat()
    (where / "data" / "y").write_text("z")
    os.utime(where / "data" / "y", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (where / "data" / "more").write_text("z")
    assert (sandbox.top / "data" / "y").read_text() == "y"
    _checkout(sandbox, pool)
    assert (where / "data" / "y").read_text() == "y"
    assert not (where / "data" / "more").exists()
    assert (where / "data" / "ro").stat().st_ino == kept


def test_links_do_not_lead_back_to_the_user(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """A link into the user's tree points into the copy; one to elsewhere keeps its target."""
    sandbox.write({"data/y": "y"})
    for name, target in {
        "inside": str(sandbox.top / "data" / "y"), "relative": "../src/pkg", "outside": "/etc", "up": "../../elsewhere",
    }.items():  # fmt: skip
        (sandbox.top / "data" / name).symlink_to(target)
    where = _checkout(sandbox, pool)
    assert os.readlink(where / "data" / "inside") == "y"
    assert os.readlink(where / "data" / "relative") == "../src/pkg"
    assert os.readlink(where / "data" / "outside") == "/etc"
    assert os.readlink(where / "data" / "up") == str(tmp_path / "elsewhere")


def test_copies_are_never_written_through_a_link(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """Where the tree has a link in place of the folder, nothing is copied, and that is said."""
    (tmp_path / "outside").mkdir()
    sandbox.write({"data/y": "y"})
    tree = sandbox.git("rev-parse", "HEAD^{tree}")
    linked = pool.write_tree(tree, {"data": ("120000", os.fsencode(tmp_path / "outside"))})
    where = pool.checkout("after", linked, None)
    assert list((tmp_path / "outside").iterdir()) == []
    assert (where / "data").is_symlink()
    assert pool.uncopied == ("data/y",)


def test_a_tracked_file_goes_before_an_ignored_one(sandbox: Sandbox, pool: Pool) -> None:
    """Where the other tree tracks the path, its content stands, in either order."""
    sandbox.write({"src/pkg/_version.py": "user's\n"})
    tree = sandbox.git("rev-parse", "HEAD^{tree}")
    tracked = pool.write_tree(tree, {"src/pkg/_version.py": ("100644", b"tracked\n")})
    for name, text in ((tree, "user's\n"), (tracked, "tracked\n"), (tree, "user's\n")):
        where = pool.checkout("after", name, None)
        assert (where / "src" / "pkg" / "_version.py").read_text() == text


def test_what_is_too_much_is_left_out_and_named(
    sandbox: Sandbox, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files first, up to the cap; special files are no files."""
    monkeypatch.setattr(carry, "LARGEST_TOTAL", 1000)
    sandbox.write({"data/big": "b" * 900, "data/small": "s" * 100, "data/tiny": "t"})
    os.mkfifo(sandbox.top / "data" / "pipe")
    assert _ignored(_checkout(sandbox, pool)) == {"data/small", "data/tiny"}
    assert pool.uncopied == ("data/big",)


def test_a_file_that_went_away_is_no_error(sandbox: Sandbox, pool: Pool) -> None:
    """Between the listing and the copy the user may delete."""
    sandbox.write({"data/y": "y"})
    _checkout(sandbox, pool)
    (sandbox.top / "data" / "y").unlink()
    where = pool.checkout("before", sandbox.git("rev-parse", "HEAD^{tree}"), None)
    assert _ignored(where) == set()
    assert pool.uncopied == ("data/y",)


def test_a_bare_repository_has_nothing_to_copy(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without a work tree there are no ignored files."""
    sandbox.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    assert carry.ignored(Repository.open(tmp_path / "bare.git"), (), (), tmp_path) == carry.Load()


def test_submodules_come_along_without_their_repositories(
    sandbox: Sandbox, pool: Pool, tmp_path: Path
) -> None:
    """The user's checked-out submodule is copied, cleaned at each switch, and gone where the tree lacks it."""
    inner = Sandbox(tmp_path / "inner")
    inner.commit({"lib.py": "l\n", "deep/m.py": "m\n"})
    without = sandbox.git("rev-parse", "HEAD^{tree}")
    sandbox.git("submodule", "--quiet", "add", str(inner.top), "vendor/inner")
    sandbox.commit()
    (sandbox.top / "vendor" / "inner" / "__pycache__").mkdir()
    (sandbox.top / "vendor" / "inner" / "__pycache__" / "lib.pyc").write_text("c")
    for _ in range(2):
        where = _checkout(sandbox, pool)
        assert _ignored(where) == {".gitmodules", "vendor/inner/lib.py", "vendor/inner/deep/m.py"}
        assert (where / "vendor" / "inner" / "lib.py").read_text() == "l\n"
        (where / "vendor" / "inner" / "lib.py").write_text("dirt")
        (where / "vendor" / "inner" / "dirt").write_text("dirt")
    where = pool.checkout("after", without, None)
    assert not (where / "vendor").exists()


def _pointer(content: bytes) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


def test_lfs_pointers_become_what_they_point_to(sandbox: Sandbox, pool: Pool) -> None:
    """From LFS's own store if it has the version, else from the user's file; never over a link; else said."""
    real, older = b"real content", b"older content"
    sandbox.commit({
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": _pointer(real), "b.bin": _pointer(older),
        "c.bin": _pointer(b"nowhere"), "d.bin": "no pointer",
    })  # fmt: skip
    tree = sandbox.git("rev-parse", "HEAD^{tree}")
    sandbox.write({"a.bin": real, "b.bin": real})
    oid = hashlib.sha256(older).hexdigest()
    store = sandbox.top / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4]
    store.mkdir(parents=True)
    (store / oid).write_bytes(older)
    for _ in range(2):
        where = pool.checkout("after", tree, None)
        assert (where / "a.bin").read_bytes() == real
        assert (where / "b.bin").read_bytes() == older
        assert (where / "c.bin").read_text() == _pointer(b"nowhere")
        assert (where / "d.bin").read_text() == "no pointer"
        assert pool.uncopied == ("c.bin",)
        (where / "a.bin").write_text("dirt")
    assert (sandbox.top / "a.bin").read_bytes() == real
