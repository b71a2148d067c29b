"""Find the pool's folder, lock one slot of it, and clear what nobody uses.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.git.command import shown
from pytest_bugsle.locks import locked

VARIABLE = "BUGSLE_POOL"
_MOST_SLOTS = 64
_UNUSED_SECONDS = 14 * 86400
_SWEEP_SECONDS = 86400
_LITTLE_ROOM = 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_SAID = ("No space left on device", "Disk quota exceeded", "File too large")


@dataclass(frozen=True, slots=True)
class Slot:
    """One locked folder; the lock lives as long as any process that holds `lock` open."""

    root: Path
    folder: Path
    lock: int


def default_root(environ: Mapping[str, str]) -> Path:
    """Give the folder of all pools: BUGSLE_POOL, else the user's cache, else a private temporary folder."""
    named = environ.get(VARIABLE)
    if named:
        root = Path(os.path.abspath(os.path.expanduser(named)))
        if not _usable(root):
            raise UsageError(
                f"the pool {shown(str(root))} cannot be written",
                why=f"{VARIABLE} names it, and work trees are made there",
                hint=f"make it writable for you alone, or unset {VARIABLE}",
            )
        return root
    home = os.path.expanduser("~")
    if environ.get("XDG_CACHE_HOME", "").startswith("/"):
        root = Path(environ["XDG_CACHE_HOME"], "bugsle")
    elif sys.platform == "darwin":
        root = Path(home, "Library", "Caches", "bugsle")
    else:
        root = Path(home, ".cache", "bugsle")
    if os.path.isabs(home) and _usable(root):
        return root
    user = os.getuid() if hasattr(os, "getuid") else 0
    root = Path(tempfile.gettempdir(), f"bugsle-{user}")
    if not _usable(root):
        raise ProgramError(
            f"no folder for work trees: neither your cache nor {shown(str(root))} is writable for you alone",
            why="each side of a change is tried in a work tree outside your repository",
            hint=f"set {VARIABLE} to a folder of yours",
        )
    return root


def _usable(root: Path) -> bool:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = root.lstat() if not root.is_symlink() else root.stat()
        if hasattr(os, "getuid") and facts.st_uid != os.getuid():
            return False  # somebody else may swap what we run
        if root.is_symlink() and root.parent == Path(tempfile.gettempdir()):
            return False
        if stat.S_IMODE(facts.st_mode) & 0o022:
            root.chmod(stat.S_IMODE(facts.st_mode) & ~0o022)
        with tempfile.TemporaryFile(dir=root):
            return True
    except OSError:
        return False


def take(root: Path, common_dir: Path) -> Slot:
    """Lock the first free slot of the repository, so that two runs at once use two."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(common_dir))).hexdigest()[:16]
    with explained(root):
        home = root / digest
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(_MOST_SLOTS):
            lock = locked(home / f"{number}.lock", os.O_RDWR | os.O_CREAT)
            if lock is None:
                continue
            os.utime(lock)
            folder = home / str(number)
            folder.mkdir(mode=0o700, exist_ok=True)
            return Slot(root, folder, lock)
    raise ProgramError(
        f"all {_MOST_SLOTS} work places in {shown(str(home))} are in use",
        why="each run, and each process that a run left behind, holds one",
        hint="end the processes that are left over from earlier runs",
    )


def sweep(root: Path, now: float) -> None:
    """Delete slots that were not used for 14 days and that nobody holds; looks once a day."""
    marker = root / "swept"
    try:
        if now - marker.stat().st_mtime < _SWEEP_SECONDS:
            return
    except OSError:
        pass
    try:
        marker.touch()
        os.utime(marker, (now, now))
        for path in root.glob("*/*.lock"):
            if now - path.stat().st_mtime < _UNUSED_SECONDS:
                continue
            lock = locked(path, os.O_RDWR)
            if lock is None:
                continue
            try:
                remove(path.with_suffix(""))
                path.unlink()
            finally:
                os.close(lock)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
    except OSError:
        pass  # an old slot more or less; the next sweep tries again


def remove(path: Path) -> None:
    """Delete a file or folder with all it holds, whatever modes a test left there."""
    for attempt in (1, 2):
        try:
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path)
            return
        except PermissionError:
            if attempt == 2:
                raise
            make_writable(path)
        except OSError as error:
            # A process that a test left behind may still write: once more.
            if attempt == 2 or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _is_nearly_full(root: Path) -> bool:
    try:
        return shutil.disk_usage(root).free < _LITTLE_ROOM
    except OSError:
        return False


def make_writable(path: Path) -> None:
    """Give ourselves all rights on the folders below, without following links."""
    path.chmod(0o700)
    for folder, below, _ in os.walk(path):
        for name in below:
            inner = os.path.join(folder, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn a full disk under the pool into an error that says where, and how to move the pool."""
    try:
        yield
    except (OSError, ProgramError) as error:
        full = (
            error.errno in _FULL
            if isinstance(error, OSError)
            else any(said in str(error) for said in _FULL_SAID)
        )
        if full or _is_nearly_full(root):  # git does not always say why it could not write a file
            raise ProgramError(
                f"no space left in {shown(str(root))}",
                why="each side of a change is tried in a work tree there",
                hint=f"make room, or set {VARIABLE} to a folder on a larger disk",
            ) from error
        if isinstance(error, OSError):
            raise ProgramError(
                f"the pool {shown(str(root))} cannot be used: {shown(str(error))}",
                why="each side of a change is tried in a work tree there",
                hint=f"set {VARIABLE} to a folder of yours",
            ) from error
        raise
