"""Which functions each commit changed, read once and kept.  PYTEST_DONT_REWRITE

git aligns the lines, and the text after the commit says in which function they stand. A commit's own text
is enough for that: no function needs to be followed from one revision to the next.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.code.functions import Span, functions, functions_at
from pytest_bugsle.history.alignment import OPTIONS, Hunk, file_diffs
from pytest_bugsle.history.past import MOST_CHANGES

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.history.past import PastCommit
    from pytest_bugsle.store.cache import Cache

_ROOM = "churn"
_KEY = "1"
_MOST_KEPT = 20_000
"""Commits; the cache is begun anew beyond, for nobody knows which are still asked for."""
_ROUND = 200
"""Commits in one call of git: what they print is held in memory."""

# The modules that pytest collects by its own defaults are half of what changes, and no function of theirs is
# ever named: a bug is mended elsewhere.
_PATHS = ("*.py", ":(exclude,glob)**/test_*.py", ":(exclude,glob)**/*_test.py")
_DEF = re.compile(rb"[ \t]*(?:async[ \t]+)?def[ \t]+([\w\x80-\xff]+)")


class FunctionChanges(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The functions of one file that one commit altered, and those that it made."""

    path: bytes
    altered: tuple[str, ...]
    made: tuple[str, ...]

    @property
    def file(self) -> str:
        """Give the path after the commit."""
        return os.fsdecode(self.path)


Changed = Mapping[str, tuple[FunctionChanges, ...]]


def changed_functions(repo: Repository, commits: Sequence[PastCommit], cache: Cache | None = None) -> Changed:
    """Say by commit which functions of which Python files it changed, modules of tests left out.

    Merges change nothing of their own, and commits of very many files nothing in particular. What an earlier call kept in `cache` is not read again.
    """
    known = _load(cache.get(_ROOM, _KEY)) if cache is not None else {}
    missing = [commit for commit in commits if commit.sha not in known and not commit.is_merge]
    if missing:
        if len(known) + len(missing) > _MOST_KEPT:
            known = {commit.sha: known[commit.sha] for commit in commits if commit.sha in known}
        for start in range(0, len(missing), _ROUND):
            known.update(_read(repo, missing[start : start + _ROUND]))
        if cache is not None:
            cache.put(_ROOM, _KEY, msgspec.msgpack.encode(known))
    return {commit.sha: known.get(commit.sha, ()) for commit in commits}


def _load(value: bytes | None) -> dict[str, tuple[FunctionChanges, ...]]:
    if value is None:
        return {}
    try:
        return msgspec.msgpack.decode(value, type=dict[str, tuple[FunctionChanges, ...]])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _read(repo: Repository, commits: Sequence[PastCommit]) -> dict[str, tuple[FunctionChanges, ...]]:
    found: dict[str, list[FunctionChanges]] = {commit.sha: [] for commit in commits}
    narrow = (commit for commit in commits if 0 < commit.files <= MOST_CHANGES)
    asked = "".join(" ".join((c.sha, *c.parents[:1])) + "\n" for c in narrow)
    if asked:
        out = repo.run(*OPTIONS, "--root", "--", *_PATHS, input=asked.encode())
        diffs = [diff for diff in file_diffs(out) if diff.new_path and diff.hunks]
        texts = repo.blobs({diff.new_blob for diff in diffs})
        for diff in diffs:
            altered, made = _functions_of(diff.hunks, functions(texts[diff.new_blob]))
            if altered or made:
                found[diff.commit].append(FunctionChanges(diff.new_path, altered, made))
    return {sha: tuple(changes) for sha, changes in found.items()}


def _functions_of(hunks: Sequence[Hunk], spans: Sequence[Span]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names: set[str] = set()
    added: set[int] = set()
    for hunk in hunks:
        start = hunk.new
        if hunk.added:
            lines = range(start, start + hunk.added)
            added.update(lines)
            names |= functions_at(spans, lines)
            continue
        # Lines went away between `start` and the next one: out of a function if both are in it, or if
        # they stood deeper than the function that ends there.
        before, after = functions_at(spans, (start,)), functions_at(spans, (start + 1,))
        if before == after:
            names |= before
        else:
            removed = hunk.removed[0] if hunk.removed else b""
            indent = len(removed) - len(removed.lstrip())
            names.update(s.name for s in spans if s.last == start and s.indent < indent and removed.strip())
    # A name that was also taken away is a function that moved or whose signature changed.
    gone = {
        match[1].decode("utf-8", "surrogateescape")
        for hunk in hunks
        for line in hunk.removed
        if (match := _DEF.match(line))
    }
    made = {
        s.name for s in spans if s.name in names and s.line in added and s.name.rpartition(".")[2] not in gone
    }
    return tuple(sorted(names - made)), tuple(sorted(made))
