"""Which commits brought in the lines that a fix changed (SZZ).  PYTEST_DONT_REWRITE

After Śliwerski, Zimmermann and Zeller, "When do changes induce fixes?" (MSR 2005), with the noise that
later work found taken out: comments, formatting and imports (Kim et al. 2006), commits that change a
great many files, merges, and the beginning of a history, which says nothing of what belongs together.
A fix that only adds ("ghost commits") is traced by the block that it adds to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_bugsle.code.tokens import readable_lines as _read
from pytest_bugsle.git.blame import blame
from pytest_bugsle.git.diff import line_changes
from pytest_bugsle.git.log import read_log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from pytest_bugsle.code.tokens import LogicalLine
    from pytest_bugsle.git.blame import Blamed
    from pytest_bugsle.git.log import Commit
    from pytest_bugsle.git.repository import Repository

WIDEST = 30
"""Files; what a wider commit brought in has little in common."""
MOST_FILES = 3
"""Files that are blamed for one fix, those with most changed statements first."""
MOST_ORIGINS = 4
"""Commits that are looked at, those with most of the changed lines first."""
_NEAR = 1
"""Statements of a block on either side of what a fix adds to it."""


@dataclass(frozen=True, slots=True)
class Mended:
    """One file that a fix changes: its path and text before it, and its text after it."""

    path: str
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Old:
    """One statement before the fix, and the file that it stood in when it came."""

    path: str
    statement: LogicalLine
    origin_path: str
    added_to: bool = False
    """The fix does not change it: it adds code beside it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A commit, and what of it a fix changed."""

    commit: Commit
    statements: tuple[Old, ...]


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins of a fix, those of most lines first, and how many files were not looked at."""

    found: tuple[Origin, ...] = ()
    files_left: int = 0


def origins(
    repo: Repository,
    base: str,
    mended: Iterable[Mended],
    *,
    time: int | None = None,
    ignored: Collection[str] = (),
    own: Collection[str] = (),
) -> Origins:
    """Give the commits that brought in what a fix changed.

    `base` is the commit before it, `time` its own in seconds, where it has one; `ignored` are commits that blame looks through, `own` those of the fix itself.
    """
    asked = [(file, list(changed(file.old, file.new))) for file in mended]
    added_to = not any(statements for _, statements in asked)
    if added_to:
        asked = [(file, list(around(file.old, file.new))) for file, _ in asked]
    asked = sorted((each for each in asked if each[1]), key=lambda each: -len(each[1]))
    lines: defaultdict[str, int] = defaultdict(int)
    by_commit: defaultdict[str, dict[tuple[str, int], Old]] = defaultdict(dict)
    for file, statements in asked[:MOST_FILES]:
        spans = [(s.line, s.last) for s in statements]
        for blamed in blame(repo, base, file.path, spans, ignored):
            if blamed.commit not in own:
                lines[blamed.commit] += 1
                _note(by_commit[blamed.commit], file.path, statements, blamed, added_to)
    found = []
    for sha in sorted(lines, key=lambda sha: -lines[sha])[: 2 * MOST_ORIGINS]:
        commit = read_log(repo, None, sha, limit=1)[0]
        if _tells(commit) and (time is None or commit.commit_time <= time):
            found.append(Origin(commit, tuple(by_commit[sha].values())))
    return Origins(tuple(found[:MOST_ORIGINS]), max(len(asked) - MOST_FILES, 0))


def _note(
    into: dict[tuple[str, int], Old],
    path: str,
    statements: Sequence[LogicalLine],
    blamed: Blamed,
    added: bool,
) -> None:
    for statement in statements:
        if statement.line <= blamed.line <= statement.last:
            into.setdefault((path, statement.line), Old(path, statement, blamed.path, added))


def _tells(commit: Commit) -> bool:
    """Say whether what a commit brought in belongs together."""
    return len(commit.parents) == 1 and not commit.cut and 0 < len(commit.changes) <= WIDEST


@lru_cache(maxsize=32)  # the same texts are asked of for one fix after another
def statements_of(source: bytes) -> tuple[LogicalLine, ...]:
    """Give the statements of a text that people write."""
    return tuple(_read(source))


def changed(old: bytes, new: bytes) -> Iterator[LogicalLine]:
    """Yield the statements of `old` that are no longer in `new`, or not as they were.

    Comments, docstrings, imports and formatting are no statements, nor is what only moved.
    """
    deleted, added = (sorted(lines) for lines in line_changes(old, new))
    kept = {line.tokens for line in _touched(statements_of(new), added)}
    for line in _touched(statements_of(old), deleted):
        if line.tokens not in kept:
            yield line


def put_in(old: bytes, new: bytes) -> list[LogicalLine]:
    """Give the statements of `new` that are not in `old`, or not as they were."""
    return list(changed(new, old))


def _touched(lines: Iterable[LogicalLine], numbers: Sequence[int]) -> Iterator[LogicalLine]:
    for line in lines:
        if bisect_left(numbers, line.last + 1) > bisect_left(numbers, line.line):
            yield line


def around(old: bytes, new: bytes) -> Iterator[LogicalLine]:
    """Yield the statements of the innermost blocks of `old` that `new` adds to, the nearest on either side.

    What is added to a module or a class is a definition of its own, and has nothing around it.
    """
    deleted, added = (sorted(lines) for lines in line_changes(old, new))
    kept = [n for n in range(1, old.count(b"\n") + 2) if n not in set(deleted)]
    before = statements_of(old)
    starts = [line.line for line in before]
    told: set[int] = set()
    outermost = -1  # the indentation of the definition or block that is added as a whole
    for line in put_in(old, new):
        if 0 <= outermost < line.indent:
            continue
        outermost = line.indent
        place = line.line - 1 - bisect_left(added, line.line)
        at = bisect_left(starts, kept[place] if place < len(kept) else old.count(b"\n") + 2)
        for index in _block(before, at, line.indent):
            if index not in told:
                told.add(index)
                yield before[index]


def _block(lines: Sequence[LogicalLine], at: int, indent: int) -> Iterator[int]:
    """Yield what is near a statement put before `lines[at]`, and the header of its block if that runs with it."""
    start = at
    while start > 0 and lines[start - 1].indent >= indent:
        start -= 1
    if start == 0 or "class" in lines[start - 1].tokens[:1]:
        return
    end = at
    while end < len(lines) and lines[end].indent >= indent:
        end += 1
    if "def" not in lines[start - 1].tokens[:2]:
        yield start - 1
    for index in range(max(start, at - _NEAR), min(end, at + _NEAR)):
        if lines[index].indent == indent:
            yield index
