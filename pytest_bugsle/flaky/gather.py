"""Lay out a clean copy of the tree in which tests may be run in any order.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.code.functions import functions, functions_at
from pytest_bugsle.code.imports import import_roots, owned_modules
from pytest_bugsle.code.statements import changed_statements
from pytest_bugsle.code.syntax import parse
from pytest_bugsle.flaky.veto import ChangedLines
from pytest_bugsle.git.diff import changes, line_changes, only_deleted
from pytest_bugsle.runner.outcome import Request

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.runner.configuration import Configuration

#: What tests may leave without meeting it again.
_OURS = frozenset((".git", "__pycache__", ".pytest_cache"))
_LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "requirements.txt",
    "conda-lock.yml",
)
# What no test reads: everything else that changed may be its data.
_NO_CODE = re.compile(
    r"(?:README|CHANGELOG|CHANGES|HISTORY|NEWS|LICENSE|CONTRIBUTING|AUTHORS)(?:\.\w+)?"
    r"|docs?/.*\.(?:md|rst|txt|adoc)|\.github/.*|\.git(?:ignore|attributes)|\.editorconfig",
    re.IGNORECASE | re.DOTALL,
)
_LARGEST = 1024 * 1024


@dataclass(slots=True)
class Ground:
    """A copy of the user's tree, uncommitted changes included, that can be put back as it was."""

    repo: Repository
    pool: Pool
    configuration: Configuration
    copy: tuple[str, ...]
    name: str
    tree: str
    where: Path
    _state: dict[str, tuple[int, int, int, int]]

    @classmethod
    def lay(
        cls,
        repo: Repository,
        pool: Pool,
        configuration: Configuration,
        copy: tuple[str, ...],
        number: int = 0,
        left: Collection[str] = (),
        commit: str | None = None,
    ) -> Ground:
        """Copy the tree as it stands, but for files and folders that were `left` there by tests.

        Several copies have several numbers. With a `commit`, its tree is copied.
        """
        tree = pool.snapshot() if commit is None else repo.tree_of(commit)
        if left:
            folders = tuple(path for path in left if path.endswith("/"))
            gone = [path for path in pool.repo.listing(tree) if path in left or path.startswith(folders)]
            tree = pool.write_tree(tree, dict.fromkeys(gone))
        name = f"sequences-{number}"
        where = pool.checkout(name, tree, repo.head().sha, copy_extra=copy)
        return cls(repo, pool, configuration, copy, name, tree, where, _state_of(where))

    def tidy(self) -> bool:
        """Put the copy back as it was; say whether anything had changed."""
        if _state_of(self.where) == self._state:
            return False
        self.where = self.pool.checkout(self.name, self.tree, self.repo.head().sha, copy_extra=self.copy)
        self._state = _state_of(self.where)
        return True

    def request(self, python: str, args: tuple[str, ...], timeout: float, deadline: float) -> Request:
        """Return what pytest is asked; `deadline` is in seconds from now."""
        listing = tuple(self.pool.repo.listing(self.tree))
        rootdir = self._from_top(self.configuration.rootdir)
        pythonpath = tuple(
            posixpath.normpath(posixpath.join(rootdir, path)) for path in self.configuration.pythonpath
        )
        source = [
            path
            for path in listing
            if path.endswith("/__init__.py")
            or (posixpath.dirname(path) in ("src", "lib") and path.endswith(".py"))
        ]
        roots = import_roots(listing, source, pythonpath) or (".",)
        inifile = self.configuration.inifile
        return Request(
            python=python,
            tree=self.where,
            scratch=self.pool.scratch,
            selectors=(),
            user_top=self.repo.top,
            rootdir=rootdir,
            inifile=None if inifile is None else self._from_top(inifile),
            import_roots=roots,
            owned=owned_modules(listing, roots),
            timeout=timeout,
            deadline=deadline,
            args=args,
            keep_open=(self.pool.lock,),
            everything=True,
        )

    def _from_top(self, path: Path) -> str:
        return os.path.relpath(path, self.repo.top).replace(os.sep, "/")


def _state_of(where: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return mode, size, time and inode of all files, and the folders."""
    found: dict[str, tuple[int, int, int, int]] = {}
    pending = [str(where)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name in _OURS:
                    continue
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode):
                    pending.append(entry.path)
                    found[entry.path] = (facts.st_mode, 0, 0, 0)
                else:
                    found[entry.path] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return found


def changed_tests(repo: Repository, base: str, rootdir: str, collected: frozenset[str]) -> set[str]:
    """Return the collected tests whose own lines are new or changed since the base commit, committed or not."""
    by_path: dict[str, list[str]] = {}
    for id_ in collected:
        path = posixpath.normpath(posixpath.join(rootdir, id_.partition("::")[0]))
        by_path.setdefault(path, []).append(id_)
    before = repo.listing(repo.tree_of(base))
    found: set[str] = set()
    for path, ids in by_path.items():
        try:
            new = (repo.top / path).read_bytes()
        except OSError:
            continue
        entry = before.get(path)
        old = repo.blob(entry.sha) if entry is not None and entry.mode != "160000" else b""
        if old == new:
            continue
        _, added = line_changes(old, new)
        names = functions_at(functions(new), added)
        found |= {id_ for id_ in ids if id_.partition("[")[0].partition("::")[2].replace("::", ".") in names}
    return found


def changed_lines(ground: Ground, base: str) -> ChangedLines:
    """Return what differs between the base commit and the copy of the tree, statement by statement."""
    repo = ground.pool.repo
    groups: dict[str, list[tuple[int, ...]]] = {}
    at_import: dict[str, list[tuple[int, ...]]] = {}
    others: list[str] = []
    for change in changes(repo, base, ground.tree):
        if not change.path.endswith(".py"):
            if not _NO_CODE.fullmatch(change.path):
                others.append(change.path)
            continue
        old = repo.blob(change.old_blob) if change.old_blob else b""
        new = repo.blob(change.blob) if change.blob else b""
        if not change.blob or change.status in "RT" or parse(new) is None:
            others.append(change.path)
            continue
        deleted, added = line_changes(old, new)
        found = changed_statements(old, new, deleted, added)
        for statement in found.added:
            kind = at_import if statement.import_time else groups
            kind.setdefault(change.path, []).append(statement.measured_lines)
        gone = only_deleted(len(old.splitlines()), deleted, added)
        if any(not gone.isdisjoint(range(one.first_line, one.last_line + 1)) for one in found.deleted):
            others.append(change.path)  # what is gone leaves no line to run
    return ChangedLines(groups, at_import, tuple(others))
