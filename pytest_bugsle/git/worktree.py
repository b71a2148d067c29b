"""Clear a work tree of ours, and let tests run git in it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from pytest_bugsle.git import slots
from pytest_bugsle.git.carry import Signature
from pytest_bugsle.git.repository import Entry, Repository


def tidy(tree: Path, listing: dict[str, Entry], carried: dict[str, Signature]) -> None:
    """Remove what the next tree does not hold, but keep the copies in `carried` that nobody touched.

    What stays is of the kind that git will write there. A folder that a test locked raises OSError.
    """
    files: set[str] = set()
    folders: set[str] = set()
    submodules: set[str] = set()
    for path, entry in listing.items():
        (submodules if entry.mode == "160000" else files).add(path)
        _add_parents(path, folders)
    for path in carried:
        _add_parents(path, folders)
    folders -= files  # a copy may lie where the next tree has a file
    kept: set[str] = set()
    tree.chmod(0o700)
    stack = [""]
    while stack:
        here = stack.pop()
        with os.scandir(os.path.join(tree, here)) as entries:
            found = list(entries)
        for entry_found in found:
            path = f"{here}{entry_found.name}"
            facts = entry_found.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                if path in folders or path in submodules:
                    stack.append(path + "/")
                    continue
            elif path in files:
                # git itself may overlook a mode that changed in the second of the checkout.
                mode = 0o700 if listing[path].mode == "100755" else 0o600
                if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o700 == mode:
                    continue
            elif path in carried:
                copied = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
                if carried[path] == copied:
                    kept.add(path)
                    continue
            slots.remove(Path(entry_found.path))
    for path in carried.keys() - kept:
        del carried[path]
    _remove_hollow(tree, folders, listing, kept)


def remove_bytecode(tree: Path, listing: dict[str, Entry]) -> None:
    """Remove bytecode that is tracked: stale bytecode runs in place of the source beside it."""
    for path in listing:
        if path.endswith((".pyc", ".pyo")) or "__pycache__/" in path:
            (tree / path).unlink(missing_ok=True)
            parent = (tree / path).parent
            if parent.name == "__pycache__" and not any(parent.iterdir()):
                parent.rmdir()


def _add_parents(path: str, folders: set[str]) -> None:
    folder = path.rpartition("/")[0]
    while folder and folder not in folders:
        folders.add(folder)
        folder = folder.rpartition("/")[0]


def _remove_hollow(tree: Path, folders: set[str], listing: dict[str, Entry], kept: set[str]) -> None:
    """Remove folders that only copies needed which are gone: an empty folder is a namespace package."""
    needed: set[str] = set()
    for path in (*listing, *kept):
        _add_parents(path, needed)
    for folder in sorted(folders - needed, reverse=True):
        try:
            os.rmdir(tree / folder)
        except OSError:
            pass


class Facade:
    """Make the git directory that tests see in a work tree; it is made anew at each switch."""

    def __init__(self, user: Repository, objects: Path) -> None:
        self._user = user
        self._alternates = [objects, user.common_dir / "objects"]
        form = "--format=%(objectname) %(refname)%(if)%(*objectname)%(then)%0a^%(*objectname)%(end)"
        tags = user.run("for-each-ref", form, "refs/tags")
        self._packed_refs = b"# pack-refs with: peeled fully-peeled sorted \n" + tags

    def build(self, tree: Path, git_dir: Path, index: Path, commit: str | None) -> None:
        """Put a `.git` file into the tree, and behind it a repository of its own at `commit`."""
        slots.remove(git_dir)
        make_git_dir(git_dir, self._user, self._alternates, bare=False)
        (git_dir / "HEAD").write_text(f"{commit}\n" if commit else "ref: refs/heads/main\n", "ascii")
        (git_dir / "packed-refs").write_bytes(self._packed_refs)
        shutil.copy2(index, git_dir / "index")
        (tree / ".git").write_bytes(b"gitdir: " + os.fsencode(git_dir) + b"\n")


def make_git_dir(git_dir: Path, user: Repository, alternates: list[Path], *, bare: bool) -> None:
    """Write a git directory that reads the user's objects and writes to its own."""
    info = git_dir / "objects" / "info"
    info.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in ("refs/heads", "refs/tags", "info"):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_bytes(b"".join(quoted(path) + b"\n" for path in alternates))
    _write(git_dir / "HEAD", b"ref: refs/heads/main\n")
    config = [
        "[core]",
        f"\trepositoryformatversion = {int(user.object_format != 'sha1')}",
        f"\tbare = {str(bare).lower()}",
        "\thooksPath = /dev/null",
        "\tautocrlf = false",
        "\tlogAllRefUpdates = false",
        "[gc]",
        "\tauto = 0",
        "[maintenance]",
        "\tauto = false",
    ]
    if user.object_format != "sha1":
        config += ["[extensions]", f"\tobjectFormat = {user.object_format}"]
    _write(git_dir / "config", "\n".join([*config, ""]).encode())
    shallow = "".join(f"{sha}\n" for sha in sorted(user.shallow_commits()))
    if shallow:
        _write(git_dir / "shallow", shallow.encode())
    else:
        (git_dir / "shallow").unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    slots.remove(path)
    path.write_bytes(content)


def quoted(path: Path) -> bytes:
    """Write an object folder's path as git reads it in lists."""
    raw = os.fsencode(path)
    if raw.startswith((b'"', b"#")) or b"\n" in raw or os.pathsep.encode() in raw:
        return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    return raw
