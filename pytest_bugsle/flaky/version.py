"""Say which version of the code a session runs.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from pytest_bugsle.store.records import CodeVersion

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

_LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "requirements.txt",
    "conda-lock.yml",
)
_COMPILED = (b"__pycache__/", b".pytest_cache/", b".pyc")
_LARGEST = 1024 * 1024


def code_version(repo: Repository, environment: str) -> tuple[CodeVersion, bool]:
    """Return the version of the code that stands in the work tree: not the commit, which a rebase changes.

    The second value says whether Python is among what is not committed. `environment` is a digest of what is installed; the files that lock dependencies join it.
    """
    head = repo.head().sha
    lock = hashlib.sha256(environment.encode())
    for name in _LOCKS:
        path = repo.top / name
        if path.is_file():
            lock.update(name.encode() + b"\0" + path.read_bytes())
    dirty, python = ("", False) if repo.is_bare else _dirty(repo)
    tree = repo.tree_of(head) if head else ""
    return CodeVersion(tree=tree, dirty=dirty, lock=lock.hexdigest()[:32]), python


def _dirty(repo: Repository) -> tuple[str, bool]:
    """Return a digest of what is not committed ('' where all is), and whether Python is, or may be, among it."""
    out = repo.run("status", "--porcelain=v1", "-z", "--untracked-files=normal", "--no-renames")
    found = [line for line in out.split(b"\0") if line]
    found = [line for line in found if not line.endswith(_COMPILED)]
    if not found:
        return "", False
    digest = hashlib.sha256()
    for line in sorted(found):
        path = repo.top / os.fsdecode(line[3:])
        digest.update(line + b"\0")
        try:
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            continue
    return digest.hexdigest()[:32], any(line.endswith((b".py", b"/")) for line in found)
