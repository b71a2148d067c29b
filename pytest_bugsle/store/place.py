"""Where our own files stand: `.bugsle/` at the repository's top, else the user's cache folder.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_EVERYTHING = b"*\n"


def user_cache() -> Path:
    """Return the user's cache folder for this program (it may not exist)."""
    if configured := os.environ.get("XDG_CACHE_HOME"):
        return Path(configured) / "bugsle"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "bugsle"
    if local := os.environ.get("LOCALAPPDATA"):
        return Path(local) / "bugsle" / "Cache"
    return Path.home() / ".cache" / "bugsle"


def state_folder(top: Path, *, bare: bool) -> Path | None:
    """Return the folder for history and caches, made if need be; None where nothing can be written.

    `.bugsle/` holds its own `.gitignore`, so that it never shows in the user's `git status` (but for what
    is `let_through`). A bare or read-only repository gets a folder in the user's cache instead.
    """
    digest = hashlib.sha256(os.fsencode(top)).hexdigest()[:16]
    places = [user_cache() / "state" / digest]
    if not bare:
        places.insert(0, top / ".bugsle")
    for folder in places:
        if folder.is_symlink():
            continue  # a checkout may contain anything: never write where a link of its leads
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _ignore(folder)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def _ignore(folder: Path) -> None:
    """Write the folder's `.gitignore`, whole or not at all; without room for it the folder goes again."""
    ignore = folder / ".gitignore"
    if ignore.exists():
        return
    try:
        write_whole(ignore, _EVERYTHING)
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        raise


def let_through(folder: Path, names: Iterable[str]) -> None:
    """Make git see these files of the folder, and the `.gitignore` that says so."""
    ignore = folder / ".gitignore"
    add_lines(ignore, [f"!{name}" for name in (*names, ignore.name)], start=_EVERYTHING)


def refuse_links(path: Path) -> None:
    """Raise UsageError where a file that is to be committed, or its folder, is a link."""
    for each in (path.parent, path):
        if each.is_symlink():
            raise UsageError(
                f"{each} is a symbolic link",
                why="a checkout may contain anything, and nothing is written where a link of its leads.",
                hint=f"put a real {'folder' if each is path.parent else 'file'} there, or delete the link",
            )


def write_committed(path: Path, content: bytes, *, union: bool = False) -> None:
    """Write a file of ours that is committed, whole or not at all, and let git see it; UsageError where it cannot be.

    `union`: git is to merge it line by line.
    """
    refuse_links(path)
    try:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content)
        seen = [path.name]
        if union:
            attributes = path.with_name(".gitattributes")
            add_lines(attributes, [f"{path.name} merge=union"])
            seen.append(attributes.name)
        let_through(path.parent, seen)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="make the folder writable"
        ) from error


def add_lines(path: Path, lines: Iterable[str], *, start: bytes = b"") -> None:
    """Add the lines that a file lacks; one that is not there, or is a link, begins with `start`."""
    have = path.read_bytes() if path.is_file() and not path.is_symlink() else start
    missing = [line for line in map(os.fsencode, lines) if line not in have.splitlines()]
    if missing:
        before = have.removesuffix(b"\n") + b"\n" if have else b""
        write_whole(path, before + b"\n".join([*missing, b""]))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, in place of what stands there, a link too: it may lead anywhere."""
    beside = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
