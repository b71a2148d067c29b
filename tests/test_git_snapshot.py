"""A tree of the user's work tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_sandbox import Sandbox, fingerprint

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a repository with a few files."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({"a.py": "x = 1\n", "pkg/b.py": "y = 1\n", "run": "#!\n", ".gitignore": "*.log\n"})
    return sandbox


@pytest.fixture
def pool(sandbox: Sandbox, tmp_path: Path) -> Iterator[Pool]:
    """Give a pool over it."""
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
        yield pool


def _contents(pool: Pool, tree: str) -> dict[str, bytes]:
    listing = pool.repo.listing(tree)
    blobs = pool.repo.blobs(entry.sha for entry in listing.values() if entry.mode != "160000")
    return {path: blobs.get(entry.sha, b"") for path, entry in listing.items()}


def test_a_clean_work_tree_is_the_tree_of_head(sandbox: Sandbox, pool: Pool) -> None:
    """Without changes the snapshot has the name of HEAD's tree."""
    assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")
    assert pool.left_out == ()


def test_all_that_is_uncommitted_is_in_it(sandbox: Sandbox, pool: Pool) -> None:
    """Staged, unstaged, deleted, new, intended, linked, re-moded: as `git add -A` would have it."""
    odd = os.fsdecode(b'new\nline "\xff\\.py')
    sandbox.write({"staged.py": "s\n", "a.py": "x = 2\n"})
    sandbox.git("add", "-A")
    sandbox.write(
        {
            "a.py": "x = 3\n",
            "pkg/b.py": None,
            "intended.py": "i\n",
            odd: "o\n",
            "noise.log": "l\n",
            "-x": "d\n",
        }
    )
    sandbox.git("add", "-N", "intended.py")
    (sandbox.top / "run").chmod(0o755)
    (sandbox.top / "link").symlink_to("/etc/passwd")
    before = fingerprint(sandbox.top)
    tree = pool.snapshot()
    assert fingerprint(sandbox.top) == before
    assert set(pool.repo.listing(tree)) == {
        "a.py",
        "staged.py",
        "intended.py",
        odd,
        "run",
        "link",
        ".gitignore",
        "-x",
    }
    assert _contents(pool, tree)["a.py"] == b"x = 3\n"
    assert _contents(pool, tree)["intended.py"] == b"i\n"
    assert pool.repo.listing(tree)["run"].mode == "100755"
    assert pool.repo.listing(tree)["link"].mode == "120000"
    sandbox.git("add", "-A")
    assert tree == sandbox.git("write-tree")


def test_nothing_is_written_to_the_repository(sandbox: Sandbox, pool: Pool) -> None:
    """Not an object, not a byte or a time of the index, though changes are large and the index is stale."""
    sandbox.write({"a.py": "x = 2\n", "big.txt": "b" * 1_000_000})
    os.utime(sandbox.top / "pkg" / "b.py", (1, 1))
    before = fingerprint(sandbox.top)
    tree = pool.snapshot()
    assert fingerprint(sandbox.top) == before
    assert sandbox.open().resolve(tree) is None
    with pytest.raises(AssertionError):
        sandbox.git("cat-file", "-e", tree)


def test_a_change_in_the_tick_of_the_index_is_seen(sandbox: Sandbox, pool: Pool) -> None:
    """A file of the same size, written within the index's own time, is compared by content."""
    sandbox.git("config", "core.trustctime", "false")
    path = sandbox.top / "a.py"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    sandbox.git("update-index", "a.py")
    with open(path, "r+b") as file:
        file.write(b"X")
    for touched in (path, sandbox.top / ".git" / "index"):
        os.utime(touched, (1_000_000_000, 1_000_000_000))
    assert _contents(pool, pool.snapshot())["a.py"] == b"X = 1\n"


def test_files_and_folders_that_took_each_other_s_place(sandbox: Sandbox, pool: Pool) -> None:
    """A file became a folder, and a folder a link."""
    sandbox.write({"a.py": None, "a.py/inner.py": "i\n", "pkg/b.py": None})
    (sandbox.top / "pkg").rmdir()
    (sandbox.top / "pkg").symlink_to("a.py")
    tree = pool.snapshot()
    assert set(pool.repo.listing(tree)) == {"a.py/inner.py", "pkg", "run", ".gitignore"}
    assert pool.repo.listing(tree)["pkg"].mode == "120000"


def test_an_unfinished_merge_is_undecided(sandbox: Sandbox, pool: Pool) -> None:
    """Conflicts in the index are named; nothing is made of them."""
    sandbox.git("checkout", "-qb", "other")
    sandbox.commit({"a.py": "x = 2\n"})
    sandbox.git("checkout", "-q", "main")
    sandbox.commit({"a.py": "x = 3\n"})
    with pytest.raises(AssertionError):
        sandbox.git("merge", "other")
    with pytest.raises(UndecidedError, match=r"a merge is unfinished: a\.py"):
        pool.snapshot()
    sandbox.write({"a.py": "x = 4\n"})
    sandbox.git("add", "a.py")
    assert _contents(pool, pool.snapshot())["a.py"] == b"x = 4\n"


def test_what_is_too_big_or_a_repository_of_its_own_is_left_out_and_named(
    sandbox: Sandbox, pool: Pool
) -> None:
    """Files above 5 MB, nested repositories and virtual environments stay outside; tools' traces silently."""
    Sandbox(sandbox.top / "nested").commit({"n.py": "n\n"})
    sandbox.write({
        "huge.bin": b"\0" * (5 * 1024 * 1024 + 1), "small.bin": b"\0" * (5 * 1024 * 1024),
        "env/pyvenv.cfg": "home = /\n", "env/lib/x.py": "x\n", "pkg/__pycache__/b.pyc": "c\n", "node_modules/x.js": "j\n",
        ".env": "SECRET=1\n",
    })  # fmt: skip
    os.mkfifo(sandbox.top / "pipe")
    tree = pool.snapshot()
    assert set(pool.repo.listing(tree)) == {"a.py", "pkg/b.py", "run", ".gitignore", "small.bin"}
    assert pool.left_out == ("env/", "huge.bin", "nested/")


def test_filters_hooks_and_daemons_of_the_user_do_not_run(
    sandbox: Sandbox, pool: Pool, tmp_path: Path
) -> None:
    """Clean filters, required or not, processes, hooks and fsmonitor programs are not started."""
    mark = tmp_path / "ran"
    for key, value in {
        "filter.odd.clean": f"touch {mark}; cat", "filter.odd.required": "true", "filter.odd.smudge": f"touch {mark}",
        "filter.two.process": f"touch {mark}", "filter.two.required": "true", "core.fsmonitor": f"touch {mark}",
        "core.hooksPath": str(tmp_path / "hooks"),
    }.items():  # fmt: skip
        sandbox.git("config", key, value)
    (tmp_path / "hooks").mkdir()
    for name in ("post-index-change", "post-checkout", "reference-transaction"):
        hook = tmp_path / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    sandbox.write(
        {"a.py": "x = 2\n", "new.two": "t\n", ".gitattributes": "*.py filter=odd\n*.two filter=two\n"}
    )
    contents = _contents(pool, pool.snapshot())
    assert (contents["a.py"], contents["new.two"]) == (b"x = 2\n", b"t\n")
    assert not mark.exists()


def test_line_ends_are_read_as_the_user_s_settings_say(sandbox: Sandbox, pool: Pool) -> None:
    """With autocrlf a work tree of carriage returns is clean, even when safecrlf would stop git."""
    sandbox.git("config", "core.autocrlf", "true")
    sandbox.git("config", "core.safecrlf", "true")
    sandbox.write({"a.py": "x = 1\r\n"})
    assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")
    sandbox.write({"new.py": "mixed\r\nends\n"})
    assert _contents(pool, pool.snapshot())["new.py"] == b"mixed\nends\n"


def test_line_ends_that_were_committed_stay(sandbox: Sandbox, pool: Pool) -> None:
    """Under text=auto git mends the line ends of new files only: an edit is not a change of every line."""
    sandbox.commit({"old.txt": "one\r\ntwo\r\n"})
    sandbox.commit({".gitattributes": "*.txt text=auto\n"})
    sandbox.write({"old.txt": "one\r\nthree\r\n", "new.txt": "n\r\n"})
    contents = _contents(pool, pool.snapshot())
    assert (contents["old.txt"], contents["new.txt"]) == (b"one\r\nthree\r\n", b"n\n")


def test_a_mode_that_the_user_ignores_is_ignored(sandbox: Sandbox, pool: Pool) -> None:
    """core.fileMode=false holds for the snapshot."""
    sandbox.git("config", "core.fileMode", "false")
    (sandbox.top / "run").chmod(0o755)
    assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")


def test_all_three_lists_of_ignored_names_are_read(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """.gitignore, info/exclude and the user's own file."""
    (tmp_path / "mine").write_text("*.mine\n")
    sandbox.git("config", "core.excludesFile", str(tmp_path / "mine"))
    (sandbox.top / ".git" / "info").mkdir(exist_ok=True)
    (sandbox.top / ".git" / "info" / "exclude").write_text("*.local\n")
    sandbox.write({"x.mine": "", "x.local": "", "x.log": ""})
    assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")


def test_sparse_and_split_indexes_are_read(sandbox: Sandbox, pool: Pool) -> None:
    """Paths outside a sparse checkout are not taken for deleted; a split index is put together."""
    tree = sandbox.git("rev-parse", "HEAD^{tree}")
    sandbox.git("update-index", "--split-index")
    sandbox.write({"a.py": "x = 2\n"})
    before = fingerprint(sandbox.top)
    assert _contents(pool, pool.snapshot())["a.py"] == b"x = 2\n"
    assert fingerprint(sandbox.top) == before
    sandbox.git("checkout", "-q", "a.py")
    sandbox.git("sparse-checkout", "set", "--cone", "--sparse-index", "nowhere")
    assert not (sandbox.top / "pkg").exists()
    before = fingerprint(sandbox.top)
    assert pool.snapshot() == tree
    assert fingerprint(sandbox.top) == before


def test_a_submodule_on_another_commit_is_a_change(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    """The commit that the user checked out in the submodule is in the tree; its dirt is not looked at."""
    inner = Sandbox(tmp_path / "inner")
    inner.commit({"lib.py": "a\n"})
    sandbox.git("submodule", "--quiet", "add", str(inner.top), "vendor")
    sandbox.commit()
    assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")
    sandbox.git("config", "filter.odd.clean", f"touch {tmp_path}/ran; cat", at=sandbox.top / "vendor")
    attributes = sandbox.top / ".git" / "modules" / "vendor" / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("*.py filter=odd\n")
    (sandbox.top / "vendor" / "lib.py").write_text("b\n")
    assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")
    assert not (tmp_path / "ran").exists()
    attributes.unlink()
    second = inner.commit({"lib.py": "x = 1\n"})
    sandbox.git("checkout", "-q", "lib.py", at=sandbox.top / "vendor")
    sandbox.git("pull", "-q", at=sandbox.top / "vendor")
    assert pool.repo.listing(pool.snapshot())["vendor"].sha == second


def test_a_repository_before_its_first_commit(tmp_path: Path) -> None:
    """Without HEAD and without an index the files alone are the tree."""
    sandbox = Sandbox(tmp_path / "young")
    with Pool.acquire(sandbox.open(), tmp_path / "pool") as pool:
        assert pool.snapshot() == pool.user.empty_tree
        sandbox.write({"a.py": "x\n"})
        assert list(pool.repo.listing(pool.snapshot())) == ["a.py"]


def test_a_bare_repository_has_the_tree_of_head(sandbox: Sandbox, tmp_path: Path) -> None:
    """There is no work tree to look at."""
    sandbox.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    with Pool.acquire(Repository.open(tmp_path / "bare.git"), tmp_path / "pool") as pool:
        assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")


def test_the_pool_may_lie_in_the_work_tree(sandbox: Sandbox) -> None:
    """A pool that the user put into the repository is not part of the snapshot."""
    with Pool.acquire(sandbox.open(), sandbox.top / "pool") as pool:
        pool.checkout("after", sandbox.git("rev-parse", "HEAD^{tree}"), None)
        (pool.scratch / "file").write_text("x")
        assert pool.snapshot() == sandbox.git("rev-parse", "HEAD^{tree}")


def test_a_linked_work_tree_has_its_own_index(sandbox: Sandbox, tmp_path: Path) -> None:
    """The snapshot is of the work tree that was opened."""
    sandbox.git("worktree", "add", "-q", str(tmp_path / "linked"))
    (tmp_path / "linked" / "new.py").write_text("n\n")
    sandbox.git("add", "new.py", at=tmp_path / "linked")
    sandbox.write({"main.py": "m\n"})
    with Pool.acquire(Repository.open(tmp_path / "linked"), tmp_path / "pool") as pool:
        assert set(pool.repo.listing(pool.snapshot())) == {"a.py", "pkg/b.py", "run", ".gitignore", "new.py"}


def test_a_hook_s_index_does_not_stand_in_for_the_work_tree(
    sandbox: Sandbox, pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GIT_INDEX_FILE of a running `git commit -a` is not written to."""
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    sandbox.write({"a.py": "x = 2\n"})
    with Pool.acquire(sandbox.open(), tmp_path / "second") as inner:
        assert _contents(inner, inner.snapshot())["a.py"] == b"x = 2\n"
    assert not (tmp_path / "index").exists()
