"""Which commits wrote what a fix took out: SZZ over many fixes, kept for good.  PYTEST_DONT_REWRITE

Śliwerski, Zimmermann and Zeller, "When do changes induce fixes?" (MSR 2005), as B-SZZ: what a fix deletes is
blamed at its first parent, `-w`, over a histogram diff. Of what Kim et al. (2006) and others found to be
noise, comments, blank lines, docstrings, imports, annotations and formatting are left out (statements are
compared by their tokens), as are tests, generated files, and the commits of `.git-blame-ignore-revs`. A fix
that deletes nothing ("ghost": Rezk et al. 2021) is traced by the functions to which it adds, which is a
weaker sort of evidence and marked so.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import local
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from pytest_bugsle.code.functions import functions
from pytest_bugsle.code.syntax import same_code
from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.blame import blame
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.history.alignment import OPTIONS, FileDiff, file_diffs
from pytest_bugsle.history.origins import statements_of

if TYPE_CHECKING:
    from pytest_bugsle.code.tokens import LogicalLine

VERSION = 1
"""Of what is traced and how: results of another version are not read."""
MOST_FILES = 10
"""Files that are blamed for one fix, those with most statements first."""

_WORKERS = 2
_ROUND = 50
"""Fixes in one call of git: what they print, and their texts, are held in memory."""
_OPTIONS = (*OPTIONS, "-w", "--histogram", "--", "*.py")
_TEST = re.compile(r"(?:\A|.*/)(?:test_[^/]*|[^/]*_test|conftest)\.py|(?:.*/)?tests/.*|test/.*")

Sort = Literal["deleted", "enclosing", "none"]


class Culprit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A commit that wrote what a fix changed: how many of the lines, and the first of them before the fix."""

    commit: str
    lines: int
    path: bytes
    line: int


class Traced(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a fix is traced to, most lines first.

    `sort` says by what: the statements that it `deleted`, or the functions `enclosing` what it added; `none`
    where it changes no Python but comments and tests. `files_left` were not looked at.
    """

    sort: Sort
    culprits: tuple[Culprit, ...] = ()
    files_left: int = 0

    @property
    def weak(self) -> bool:
        """Say whether only the surroundings were blamed."""
        return self.sort == "enclosing"


@dataclass(frozen=True, slots=True)
class Traces:
    """Fixes by what they are traced to; `undecided` ones need objects that were not fetched."""

    by_fix: Mapping[str, Traced]
    undecided: tuple[str, ...] = ()
    reused: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a fix: where its two texts stand, and the lines that differ."""

    fix: str
    path: str
    old: str
    new: str
    deleted: Sequence[int]
    added: Sequence[int]


def trace(
    repo: Repository,
    fixes: Iterable[str],
    *,
    ignored: Sequence[str] = (),
    get: Callable[[str], bytes | None] = lambda key: None,
    put: Callable[[str, bytes], object] = lambda key, value: None,
    progress: Callable[[int], object] = lambda done: None,
) -> Traces:
    """Trace each fix (a full sha) to the commits that wrote what it changed.

    `ignored` are commits that blame looks through, and that are blamed for nothing (see
    `git.blame.ignored_revisions`). What `get` knows is not looked for again, and `put` is given the rest; it
    never grows old, for a fix and its past do not change. `progress` is told how many were looked at.
    In a partial clone nothing is fetched: a fix whose texts are not here is undecided, and not kept.
    So is one at the edge of a shallow clone, of which nobody knows what it changed; a root mends nothing.
    """
    found: dict[str, Traced] = {}
    missing: list[str] = []
    for fix in dict.fromkeys(fixes):
        kept = _load(get(key(fix, ignored)))
        if kept is None:
            missing.append(fix)
        else:
            found[fix] = kept
    reused = len(found)
    cut = repo.shallow_commits()
    undecided = [fix for fix in missing if fix in cut]
    missing = [fix for fix in missing if fix not in cut]
    parents = _first_parents(repo, missing)
    done = reused
    with _Blamers(repo, ignored) as blamers:
        for start in range(0, len(missing), _ROUND):
            these = missing[start : start + _ROUND]
            for fix, traced in _round(repo, these, parents, blamers):
                done += 1
                if traced is None:
                    undecided.append(fix)
                else:
                    found[fix] = traced
                    put(key(fix, ignored), msgspec.msgpack.encode(traced))
            progress(done)
    return Traces(found, tuple(undecided), reused)


def key(fix: str, ignored: Iterable[str] = ()) -> str:
    """Give the name under which a fix is kept: its sha, our version, and the commits that blame looks through."""
    listed = hashlib.sha256(" ".join(sorted(ignored)).encode()).hexdigest()[:12] if ignored else "-"
    return f"{VERSION} {listed} {fix}"


def is_left_out(path: str) -> bool:
    """Say whether a path is a test by its name: who wrote a test is not who broke the product."""
    return _TEST.fullmatch(path) is not None


def _load(value: bytes | None) -> Traced | None:
    if value is None:
        return None
    try:
        return msgspec.msgpack.decode(value, type=Traced)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Blamers:
    """Threads that blame, each with a repository of its own: one process reads objects for one thread."""

    def __init__(self, repo: Repository, ignored: Sequence[str]) -> None:
        self._where = repo.git_dir if repo.is_bare else repo.top
        self._ignored = frozenset(ignored)
        self._cut = repo.shallow_commits()
        self._own = local()
        self._opened: list[Repository] = []
        self._pool = ThreadPoolExecutor(_WORKERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for repo in self._opened:
            repo.close()

    def culprits(
        self, asked: Sequence[tuple[str, str, list[tuple[int, int]]]]
    ) -> list[list[tuple[str, int]] | None]:
        """Give commit and line of what is asked of (commit, path, ranges); None where objects are missing."""
        return list(self._pool.map(self._one, asked))

    def _one(self, asked: tuple[str, str, list[tuple[int, int]]]) -> list[tuple[str, int]] | None:
        repo: Repository | None = getattr(self._own, "repo", None)
        if repo is None:
            repo = self._own.repo = Repository.open(self._where)
            self._opened.append(repo)
        try:
            blamed = blame(repo, *asked, self._ignored, moves=False)
        except UndecidedError:
            return None
        # Where the history is cut off, git blames its edge for all that is older.
        return [(b.commit, b.line) for b in blamed if b.commit not in self._ignored | self._cut]


def _round(
    repo: Repository, fixes: Sequence[str], parents: Mapping[str, str], blamers: _Blamers
) -> Iterator[tuple[str, Traced | None]]:
    """Trace some fixes; None for what needs objects that are not here."""
    asked: list[tuple[str, str, list[tuple[int, int]]]] = []
    plans: list[tuple[str, Sort, list[str], int]] = []
    for fix, files in _changed(repo, fixes, parents):
        if files is None:
            yield fix, None
            continue
        sort, wanted = _wanted(files)
        chosen = sorted(wanted.items(), key=lambda item: (-sum(b - a + 1 for a, b in item[1]), item[0]))
        for path, ranges in chosen[:MOST_FILES]:
            asked.append((parents[fix], path, ranges))
        plans.append((fix, sort, [path for path, _ in chosen[:MOST_FILES]], max(len(chosen) - MOST_FILES, 0)))
    answers = iter(blamers.culprits(asked))
    for fix, sort, paths, left in plans:
        blamed = [(path, next(answers)) for path in paths]
        yield fix, None if any(lines is None for _, lines in blamed) else _traced(sort, blamed, left)


def _traced(sort: Sort, blamed: Sequence[tuple[str, list[tuple[str, int]] | None]], left: int) -> Traced:
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, int]] = {}
    for path, lines in blamed:
        for commit, line in lines or ():
            counts[commit] += 1
            first.setdefault(commit, (path, line))
    culprits = tuple(
        Culprit(commit, counts[commit], os.fsencode(first[commit][0]), first[commit][1])
        for commit in sorted(counts, key=lambda commit: (-counts[commit], commit))
    )
    return Traced(sort, culprits, left)


def _wanted(files: Sequence[tuple[_File, bytes, bytes]]) -> tuple[Sort, dict[str, list[tuple[int, int]]]]:
    """Give what is to be blamed: statements that went away or changed; without any, the functions added to.

    A file that does the same as before, by its syntax tree, says nothing: parentheses are formatting too.
    """
    files = [each for each in files if not same_code(each[1], each[2])]
    deleted = {file.path: found for file, old, new in files if (found := list(_deleted(file, old, new)))}
    if deleted:
        return "deleted", deleted
    around = {file.path: found for file, old, new in files if (found := list(_enclosing(file, old, new)))}
    return ("enclosing", around) if around else ("none", {})


def _deleted(file: _File, old: bytes, new: bytes) -> Iterator[tuple[int, int]]:
    kept = {line.tokens for line in _touched(statements_of(new), file.added)}
    for line in _touched(statements_of(old), file.deleted):
        if line.tokens not in kept:
            # Of a statement over several lines only those that differ.
            here = file.deleted[
                bisect_left(file.deleted, line.line) : bisect_left(file.deleted, line.last + 1)
            ]
            yield from ((number, number) for number in here)


def _enclosing(file: _File, old: bytes, new: bytes) -> Iterator[tuple[int, int]]:
    kept = {line.tokens for line in _touched(statements_of(old), file.deleted)}
    added = [line for line in _touched(statements_of(new), file.added) if line.tokens not in kept]
    if not added:
        return
    spans = functions(new)
    # A function that is new itself is not in the old text.
    names = {span.name for span in spans if any(span.line < line.line <= span.last for line in added)}
    yield from ((span.first, span.last) for span in functions(old) if span.name in names)


def _touched(lines: Iterable[LogicalLine], numbers: Sequence[int]) -> Iterator[LogicalLine]:
    for line in lines:
        if bisect_left(numbers, line.last + 1) > bisect_left(numbers, line.line):
            yield line


def _changed(
    repo: Repository, fixes: Sequence[str], parents: Mapping[str, str]
) -> Iterator[tuple[str, list[tuple[_File, bytes, bytes]] | None]]:
    """Give each fix with its files and their two texts; None where objects are missing."""
    asked = [fix for fix in fixes if fix in parents]
    found: dict[str, list[tuple[_File, bytes, bytes]] | None] = {fix: [] for fix in fixes}
    try:
        found.update(_texts(repo, asked, parents))
    except UndecidedError:
        # One that is missing stops git: each is asked alone, so that the others are traced.
        for fix in asked:
            try:
                found.update(_texts(repo, [fix], parents))
            except UndecidedError:
                found[fix] = None
    yield from found.items()


def _texts(
    repo: Repository, fixes: Sequence[str], parents: Mapping[str, str]
) -> dict[str, list[tuple[_File, bytes, bytes]] | None]:
    if not fixes:
        return {}
    out = repo.run(*_OPTIONS, input="".join(f"{fix} {parents[fix]}\n" for fix in fixes).encode())
    files = [
        file for file in map(_file, file_diffs(out)) if file.old and file.new and not is_left_out(file.path)
    ]
    blobs = repo.blobs({blob for file in files for blob in (file.old, file.new)})
    found: dict[str, list[tuple[_File, bytes, bytes]] | None] = {fix: [] for fix in fixes}
    for file in files:
        listed = found[file.fix]
        assert listed is not None
        listed.append((file, blobs[file.old], blobs[file.new]))
    return found


def _file(diff: FileDiff) -> _File:
    """Give the two texts; what is added, deleted, binary, or has a name that git has to quote has no two."""
    return _File(
        fix=diff.commit,
        path=os.fsdecode(diff.old_path),
        old=diff.old_blob if diff.old_path else "",
        new=diff.new_blob,
        deleted=[line for hunk in diff.hunks for line in range(hunk.old, hunk.old + len(hunk.removed))],
        added=[line for hunk in diff.hunks for line in range(hunk.new, hunk.new + hunk.added)],
    )


def _first_parents(repo: Repository, fixes: Sequence[str]) -> dict[str, str]:
    if not fixes:
        return {}
    out = repo.run(
        "log",
        "--no-walk=unsorted",
        "--format=%H %P",
        "--stdin",
        input="".join(f"{fix}\n" for fix in fixes).encode(),
    )
    rows = (line.split() for line in out.decode("ascii").splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}
