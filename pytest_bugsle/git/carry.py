"""Bring into a work tree what tests need and git does not hold.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.command import shown

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Entry, Repository

LARGEST_TOTAL = 50 * 1024 * 1024
MOST_FILES = 10_000
_MOST_SEEN = 200_000
_UNWANTED = frozenset({
    ".bugsle", ".bzr", ".cache", ".coverage", ".direnv", ".eggs", ".git", ".hg", ".hypothesis", ".idea",
    ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pixi", ".pytest_cache", ".pytype", ".ruff_cache", ".svn",
    ".tox", ".venv", ".vscode", "__pycache__", "__pypackages__", "build", "dist", "htmlcov", "node_modules",
})  # fmt: skip
_SECRET = re.compile(r"\.env(\..*|rc)?|\.netrc|\.pypirc")
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE = 1024

Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Load:
    """What to copy from the user's work tree (relative files and links), and what is too much."""

    files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def is_unwanted(name: str) -> bool:
    """Say whether a file or folder of this name is made by tools, or secret, and never copied unasked."""
    return name in _UNWANTED or name.endswith((".pyc", ".pyo")) or _SECRET.fullmatch(name) is not None


def ignored(repo: Repository, roots: tuple[str, ...], extra: tuple[str, ...], pool: Path) -> Load:
    """List what git ignores below `roots` (default: everywhere), and `extra` whatever it is."""
    if repo.is_bare:
        return Load()
    kept_roots = tuple(_inside(root) for root in roots)
    seen: dict[str, int] = {}
    out = repo.run("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    left_out: list[str] = []
    for raw in out.split(b"\0")[:-1]:
        path = os.fsdecode(raw).rstrip("/")
        if any(is_unwanted(part) for part in path.split("/")):
            continue
        below = tuple(root for root in kept_roots if root.startswith(path + "/"))
        if kept_roots and not below and not any(_is_below(path, root) for root in kept_roots):
            continue
        for start in below or (path,):
            _walk(repo.top, start, pool, seen, left_out)
    named: dict[str, int] = {}
    for path in map(_inside, extra):
        _walk(repo.top, path, pool, named, left_out, unasked=False)
    return _capped({**seen, **named}, left_out)


def submodule(top: Path, path: str, pool: Path) -> Load:
    """List the files of a checked-out submodule of the user's."""
    seen: dict[str, int] = {}
    left_out: list[str] = []
    if (top / path).is_dir() and not (top / path).is_symlink():
        _walk(top, path, pool, seen, left_out)
    return _capped(seen, left_out)


def lfs_content(repo: Repository, tree: Path, listing: dict[str, Entry]) -> Iterator[tuple[str, bool]]:
    """Put the content in place of LFS pointers where the user has it; give each path and if that went well."""
    if repo.is_bare or not _uses_lfs(tree, listing):
        return
    left = LARGEST_TOTAL
    for path, entry in listing.items():
        here = tree / path
        if not entry.mode.startswith("100") or not _is_real(here, tree):
            continue
        pointer = _pointer(here)
        if pointer is None:
            continue
        stored = re.search(rb"^oid sha256:([0-9a-f]{64})$", pointer, re.MULTILINE)
        oid = stored[1].decode() if stored else "0" * 64
        source = repo.common_dir / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
        if not source.is_file():
            source = repo.top / path
            if not _is_real(source, repo.top) or _pointer(source) is not None:
                yield path, False
                continue
        size = source.stat().st_size
        if size > left:
            yield path, False
            continue
        left -= size
        mode = stat.S_IMODE(here.stat().st_mode)
        here.unlink()
        shutil.copyfile(source, here)
        here.chmod(mode)
        yield path, True


def signature(path: Path) -> Signature | None:
    """Say what a file looks like, so that a later look tells if anything touched it."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _inside(path: str) -> str:
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or ".git" in parts:
        raise UsageError(
            f"{shown(path)} is no path inside the repository",
            why="only what lies in your work tree is copied beside it",
            hint="name it relative to the repository's top level",
        )
    return "/".join(parts)


def _is_below(path: str, root: str) -> bool:
    return not root or path == root or path.startswith(root + "/")


def _walk(
    top: Path, path: str, pool: Path, seen: dict[str, int], left_out: list[str], unasked: bool = True
) -> None:
    """Collect files and links with their sizes; what is made by tools is passed over unless asked for."""
    folders = [path]
    while folders:
        here = folders.pop()
        full = os.path.join(top, here)
        try:
            facts = os.lstat(full)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode):
            seen[here] = facts.st_size
        if not stat.S_ISDIR(facts.st_mode):
            continue
        if len(seen) > _MOST_SEEN:
            left_out.append(here + "/")
            continue
        if full == os.fspath(pool):
            continue
        try:
            names = sorted(os.listdir(full))
        except OSError:
            left_out.append(here + "/")
            continue
        if unasked and any(name in names for name in _ENVIRONMENT):
            continue
        for name in names:
            if name in (".git", "__pycache__") or (unasked and is_unwanted(name)):
                continue
            folders.append(f"{here}/{name}" if here else name)


def _capped(seen: dict[str, int], left_out: list[str]) -> Load:
    """Take the small files first, so that one big file does not keep out a hundred."""
    total = 0
    files: list[str] = []
    for path in sorted(seen, key=lambda path: (seen[path], path)):
        total += seen[path]
        if total > LARGEST_TOTAL or len(files) >= MOST_FILES:
            left_out.append(path)
        else:
            files.append(path)
    return Load(tuple(sorted(files)), tuple(sorted(left_out)))


def copy(path: str, top: Path, tree: Path) -> Signature | None:
    """Copy one file or link, and say what the copy looks like; None where that cannot be done."""
    # Never a hard link: a test that writes to its copy would write to the user's file.
    source, target = top / path, tree / path
    folder = tree
    # A link among the folders would lead the copy out of the tree.
    for part in path.split("/")[:-1]:
        folder = folder / part
        try:
            folder.mkdir()
        except FileExistsError:
            if folder.is_symlink() or not folder.is_dir():
                return None
    try:
        facts = source.lstat()
        if os.path.lexists(target):
            if target.is_dir() and not target.is_symlink():
                return None
            target.unlink()
        if stat.S_ISLNK(facts.st_mode):
            target.symlink_to(_pointing(source, top, target, tree))
            return signature(target)
        if not stat.S_ISREG(facts.st_mode) or not os.access(source, os.R_OK):
            return None
        shutil.copyfile(source, target, follow_symlinks=False)
        target.chmod(stat.S_IMODE(facts.st_mode) & 0o777 | 0o600)
        os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    except FileNotFoundError:
        return None  # the user's file went away while we copied
    return signature(target)


def _pointing(source: Path, top: Path, target: Path, tree: Path) -> str:
    """Give a link's text in the copy: what lay in the user's tree is meant to be that of the copy."""
    text = os.readlink(source)
    meant = os.path.normpath(os.path.join(source.parent, text))
    if meant == os.fspath(top) or meant.startswith(os.path.join(top, "")):
        return os.path.relpath(os.path.join(tree, os.path.relpath(meant, top)), target.parent)
    return meant


def _is_real(path: Path, top: Path) -> bool:
    """Say whether a path is a file without a link on its way down from `top`."""
    try:
        for folder in path.relative_to(top).parents:
            if folder != Path(".") and (top / folder).is_symlink():
                return False
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _pointer(path: Path) -> bytes | None:
    try:
        if path.stat().st_size >= _POINTER_SIZE:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    return content if content.startswith(_POINTER) else None


def _uses_lfs(tree: Path, listing: dict[str, Entry]) -> bool:
    for path in listing:
        if path == ".gitattributes" or path.endswith("/.gitattributes"):
            file = tree / path
            if _is_real(file, tree) and b"filter=lfs" in file.read_bytes():
                return True
    return False
