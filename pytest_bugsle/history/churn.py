"""Which functions each commit changed, read once and kept.  PYTEST_DONT_REWRITE

git aligns the lines, and the text after the commit says in which function they stand. A commit's own text
is enough for that: no function needs to be followed from one revision to the next.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.code.functions import Span, functions, functions_at
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

_OPTIONS = (
    *("-c", "core.bigFileThreshold=2m"),  # git takes what is larger for binary, and prints none of it
    *("diff-tree", "--no-ext-diff", "--no-textconv", "--no-color"),
    *("--stdin", "--root", "-r", "-M", "-l200", "-p", "-U0", "--full-index"),
    *("--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/"),
)
# The modules that pytest collects by its own defaults are half of what changes, and no function of theirs is
# ever named: a bug is mended elsewhere.
_PATHS = ("*.py", ":(exclude,glob)**/test_*.py", ":(exclude,glob)**/*_test.py")
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_DEF = re.compile(rb"-[ \t]*(?:async[ \t]+)?def[ \t]+([\w\x80-\xff]+)")


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


@dataclass(slots=True)
class _Patch:
    """What a patch says of one file: its text after the commit, and where that differs."""

    commit: str
    path: bytes = b""
    blob: str = ""
    hunks: list[tuple[int, int, bytes]] = None  # type: ignore[assignment]
    gone: list[bytes] = None  # type: ignore[assignment]


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
        out = repo.run(*_OPTIONS, "--", *_PATHS, input=asked.encode())
        patches = [patch for patch in _patches(out) if patch.path and patch.hunks]
        texts = repo.blobs({patch.blob for patch in patches})
        for patch in patches:
            altered, made = _functions_of(patch, functions(texts[patch.blob]))
            if altered or made:
                found[patch.commit].append(FunctionChanges(patch.path, altered, made))
    return {sha: tuple(changes) for sha, changes in found.items()}


def _functions_of(patch: _Patch, spans: Sequence[Span]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names: set[str] = set()
    added: set[int] = set()
    for start, count, removed in patch.hunks:
        if count:
            lines = range(start, start + count)
            added.update(lines)
            names |= functions_at(spans, lines)
            continue
        # Lines went away between `start` and the next one: out of a function if both are in it, or if
        # they stood deeper than the function that ends there.
        before, after = functions_at(spans, (start,)), functions_at(spans, (start + 1,))
        if before == after:
            names |= before
        else:
            indent = len(removed) - len(removed.lstrip())
            names.update(s.name for s in spans if s.last == start and s.indent < indent and removed.strip())
    # A name that was also taken away is a function that moved or whose signature changed.
    gone = {name.decode("utf-8", "surrogateescape") for name in patch.gone}
    made = {
        s.name for s in spans if s.name in names and s.line in added and s.name.rpartition(".")[2] not in gone
    }
    return tuple(sorted(names - made)), tuple(sorted(made))


def _patches(out: bytes) -> Iterator[_Patch]:
    """Read `git diff-tree --stdin -p -U0`: by counts, for a changed line may look like any header."""
    lines = out.split(b"\n")
    commit = ""
    patch = _Patch("")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"diff --git "):
            if patch.path:
                yield patch
            patch = _Patch(commit, hunks=[], gone=[])
        elif line.startswith(b"@@ ") and (match := _HUNK.match(line)):
            removed = int(match[1] or 1)
            count = int(match[3] or 1)
            taken = lines[at : at + removed]
            patch.hunks.append((int(match[2]), count, taken[0][1:] if taken else b""))
            patch.gone += [found[1] for text in taken if (found := _DEF.match(text))]
            at += removed + count
            while at < len(lines) and lines[at].startswith(b"\\"):
                at += 1
        elif line.startswith(b"index ") and b".." in line:
            patch.blob = line.split(b" ")[1].partition(b"..")[2].decode("ascii")
        elif line.startswith(b"+++ b/"):
            # git ends a path that holds a blank with a tab; one with stranger signs is quoted, and left out.
            patch.path = line[6:].removesuffix(b"\t")
        elif re.fullmatch(rb"[0-9a-f]{40,64}", line):
            commit = line.decode("ascii")
    if patch.path:
        yield patch
