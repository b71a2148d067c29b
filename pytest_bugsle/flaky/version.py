"""Say which version of the code a run has, and where its attempts are kept.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.dirty import uncommitted
from pytest_bugsle.store.place import state_folder
from pytest_bugsle.store.records import CodeVersion, RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_bugsle.git.repository import Repository
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
    found = {path: digest for path, digest in uncommitted(repo).items() if not path.endswith(_COMPILED)}
    if not found:
        return "", False
    digest = hashlib.sha256()
    for path, content in found.items():
        digest.update(os.fsencode(path) + b"\0" + content.encode() + b"\0")
    return digest.hexdigest()[:32], any(path.endswith((".py", "/")) for path in found)


def new_run(
    repo: Repository, version: CodeVersion, environ: Mapping[str, str], *, python: str, mode: str = "suite"
) -> RunRecord:
    """Return the record of a run that begins now; `python` is the version of the interpreter."""
    head = repo.head()
    return RunRecord(
        run_id=uuid.uuid4().hex,
        started=time.time(),
        commit_sha=head.sha or "",
        tree=version.tree,
        dirty=version.dirty,
        lock=version.lock,
        branch=head.branch or "",
        job=environ.get("GITHUB_JOB") or environ.get("CI_JOB_NAME") or "",
        python=python,
        platform=platform.platform(),
        hashseed=environ.get("PYTHONHASHSEED", ""),
        mode=mode,
    )


def open_kept(repo: Repository, url: str | None) -> History:
    """Open the history of a repository: at the URL of the settings, else in the state folder."""
    from pytest_bugsle.store.history import open_history

    folder = state_folder(repo.top, bare=repo.is_bare)
    local = folder / FILE if folder is not None else None
    if url is not None:
        return open_history(url, fallback=local)
    if local is None:
        raise UndecidedError("there is no folder that can be written to")
    return open_history(local)
