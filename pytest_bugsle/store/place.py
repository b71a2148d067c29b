"""Where our own files stand: `.bugsle/` at the repository's top, else the user's cache folder.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path


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

    `.bugsle/` holds its own `.gitignore`, so that it never shows in the user's `git status`. A
    bare or read-only repository gets a folder in the user's cache instead.
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
    beside = folder / f".gitignore.{secrets.token_hex(4)}"
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write("*\n")
        beside.replace(ignore)  # also in place of a link, which may lead anywhere
    except OSError:
        with suppress(OSError):
            beside.unlink()
            folder.rmdir()
        raise
