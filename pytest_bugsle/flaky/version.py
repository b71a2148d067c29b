"""Say which version of the code a run has, and where its attempts are kept.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.dirty import uncommitted, untracked
from pytest_bugsle.store import journal
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.place import state_folder
from pytest_bugsle.store.records import CodeVersion, RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_bugsle.git.repository import Head, Repository
    from pytest_bugsle.store.history import History

FILE = "history.db"
_LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "requirements.txt",
    "conda-lock.yml",
)
_COMPILED = ("__pycache__/", ".pytest_cache/", ".pyc")


class Standing(NamedTuple):
    """What stands in a work tree: the version of the code, HEAD, and what is neither tracked nor ignored.

    `python` says whether Python is, or may be, among what is not committed.
    """

    version: CodeVersion
    head: Head
    untracked: frozenset[str]
    python: bool


def standing(repo: Repository, environment: str) -> Standing:
    """Return what stands in the work tree; its version is not the commit, which a rebase changes.

    `environment` is a digest of what is installed; the files that lock dependencies join it.
    """
    head, strange = repo.head(), untracked(repo)
    lock = hashlib.sha256(environment.encode())
    for name in _LOCKS:
        path = repo.top / name
        if path.is_file():
            lock.update(name.encode() + b"\0" + path.read_bytes())
    found = uncommitted(repo, head.sha, strange)
    dirty = {path: digest for path, digest in found.items() if not path.endswith(_COMPILED)}
    tree = repo.tree_of(head.sha) if head.sha else ""
    version = CodeVersion(tree=tree, dirty=_digest(dirty), lock=lock.hexdigest()[:32])
    return Standing(version, head, strange, any(path.endswith((".py", "/")) for path in dirty))


def _digest(dirty: Mapping[str, str]) -> str:
    """Return a digest of what is not committed; '' where all is."""
    if not dirty:
        return ""
    digest = hashlib.sha256()
    for path, content in dirty.items():
        digest.update(os.fsencode(path) + b"\0" + content.encode() + b"\0")
    return digest.hexdigest()[:32]


def new_run(stands: Standing, environ: Mapping[str, str], *, python: str, mode: str = "suite") -> RunRecord:
    """Return the record of a run that begins now; `python` is the version of the interpreter."""
    version, head = stands.version, stands.head
    return RunRecord(
        run_id=os.urandom(16).hex(),
        started=time.time(),
        commit_sha=head.sha or "",
        tree=version.tree,
        dirty=version.dirty,
        lock=version.lock,
        branch=head.branch or "",
        job=environ.get("GITHUB_JOB") or environ.get("CI_JOB_NAME") or "",
        python=python,
        platform=f"{sys.platform}-{platform.machine()}",
        hashseed=environ.get("PYTHONHASHSEED", ""),
        mode=mode,
    )


def journals_of(repo: Repository) -> Path | None:
    """Return the folder of the journals of running sessions; None where nothing can be written."""
    folder = state_folder(repo.top, bare=repo.is_bare)
    return None if folder is None else folder / journal.FOLDER


def anything_kept(repo: Repository) -> bool:
    """Say whether the state folder has a history, or what a killed run has left for one."""
    folder = state_folder(repo.top, bare=repo.is_bare)
    return folder is not None and ((folder / FILE).exists() or journal.anything_left(folder / journal.FOLDER))


def open_kept(repo: Repository, url: str | None) -> History:
    """Open the history of a repository, at the URL of the settings, else in the state folder.

    What runs that were killed have left is taken in.
    """
    from pytest_bugsle.store.history import open_history

    folder = state_folder(repo.top, bare=repo.is_bare)
    local = folder / FILE if folder is not None else None
    if url is not None:
        history = open_history(url, fallback=local)
    elif local is None:
        raise UndecidedError("there is no folder that can be written to")
    else:
        history = open_history(local)
    if folder is not None:
        with suppress(StoreError, OSError):  # they wait for the next one
            journal.take_left(folder / journal.FOLDER, history)
    return history
