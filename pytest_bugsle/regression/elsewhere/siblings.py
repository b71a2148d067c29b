"""Find the other lines that came with the wrong ones: same commit, much alike, and still there.  PYTEST_DONT_REWRITE

A hint, never a finding: who made a mistake once may have made it elsewhere in the same change.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_bugsle.code.syntax import lines_of
from pytest_bugsle.code.tokens import KEYWORDS, defined_name, is_literal, is_name, owners
from pytest_bugsle.git.blame import ignored_revisions
from pytest_bugsle.git.diff import line_changes
from pytest_bugsle.history.origins import Mended, origins, put_in, statements_of
from pytest_bugsle.regression.elsewhere.leads import is_foreign
from pytest_bugsle.results import Lead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_bugsle.code.tokens import LogicalLine
    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.history.origins import Old, Origin
    from pytest_bugsle.regression.elsewhere.leads import FixView

    Tokens = tuple[str, ...]

ALIKE = 0.7
"""Likeness from which a statement is told."""
ALIKE_AT_LEAST = 0.9
"""The same where less speaks for it: the fix changed nothing in the statement, or only took it out, or
it is the header of a definition.
"""
MOST_STATEMENTS = 3000
"""Statements of one commit that are compared; the files behind them are left out."""
_COUNTERPART = 0.5
_WRONG = 2
_HINT, _FAINT_HINT = 0.3, 0.1
"""How often such hints are worth the look, by eye over 160 fixes of four projects; times the likeness."""
_LEAST_NAMES, _LEAST_TOKENS = 2, 5


def siblings(view: FixView, *, limit: int = 10) -> list[Lead]:
    """Return the surviving statements that came with those that the fix changed and are like them, best first."""
    mended = [
        Mended(file.old_path, file.old, file.new or b"")
        for file in view.files
        if file.old_path is not None and file.old is not None and _is_searched(view, file.old_path)
    ]
    if view.base is None or not mended:
        return []
    found = origins(
        view.repo,
        view.base,
        mended,
        time=view.time or None,
        ignored=ignored_revisions(view.repo, view.tree),
        own=frozenset(view.commits),
    )
    fresh = {file.path: [line.tokens for line in put_in(file.old, file.new)] for file in mended}
    best: dict[tuple[str | None, int | None], Lead] = {}
    for origin in found.found:
        for lead in _Family(view, origin, fresh, found.files_left).leads():
            known = best.get((lead.path, lead.line))
            if known is None or known.confidence < lead.confidence:
                best[lead.path, lead.line] = lead
    order = sorted(best.values(), key=lambda lead: (-lead.confidence, lead.path or "", lead.line or 0))
    return order[:limit]


def _is_searched(view: FixView, path: str) -> bool:
    return path.endswith(".py") and not is_foreign(path) and view.side(path) == "source"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A statement that a fix changed: what the fix took out of it, and what it put into it.

    `gone` and `come` are words where there are any, else what other tokens differ.
    """

    old: Old
    gone: frozenset[str]
    come: frozenset[str]

    @property
    def is_changed(self) -> bool:
        """Say whether the fix made another statement of it."""
        return bool(self.gone or self.come)

    def shared_by(self, tokens: Tokens) -> bool:
        """Say whether another statement still has what was wrong here, and has not what mended it."""
        here = set(tokens)
        if _kind(tokens) != _kind(self.old.statement.tokens) or (self.come and self.come <= here):
            return False
        return 2 * len(self.gone & here) >= len(self.gone)

    def least(self) -> float:
        """Return the likeness from which another statement is worth telling."""
        plain = self.is_changed and _kind(self.old.statement.tokens) not in ("def", "class", "async")
        return ALIKE if plain else ALIKE_AT_LEAST


def _kind(tokens: Tokens) -> str:
    return tokens[0] if tokens[0] in KEYWORDS else ""


def wrong(old: Old, fresh: Iterable[Tokens]) -> Wrong:
    """Compare a statement with what the fix made of it: the likest of the statements that it put in."""
    before = Counter(old.statement.tokens)
    if old.added_to:
        return Wrong(old, frozenset(), frozenset())
    best = max(fresh, key=lambda tokens: likeness(old.statement.tokens, tokens, _share), default=())
    if likeness(old.statement.tokens, best, _share) < _COUNTERPART:
        return Wrong(old, frozenset(), frozenset())
    after = Counter(best)
    return Wrong(old, _words(before - after), _words(after - before))


def _words(tokens: Iterable[str]) -> frozenset[str]:
    every = frozenset(tokens)
    return frozenset(token for token in every if _share(token) >= 0.5) or every


@dataclass(frozen=True, slots=True)
class _Brought:
    """One file that the commit touched: what it added there, and all that was there then."""

    change: Change
    added: Sequence[LogicalLine]
    then: Sequence[LogicalLine]


@dataclass(frozen=True)
class _Family:
    """What one commit brought in, seen from the statements of it that the fix changed."""

    view: FixView
    origin: Origin
    fresh: Mapping[str, Sequence[Tokens]]
    """What the fix put into each file: a statement that already reads so has nothing to mend."""
    files_left: int
    """Files of the fix that were not asked for their origins."""

    def leads(self) -> Iterator[Lead]:
        for brought in self._brought:
            likely = [(line, *self._likest(line)) for line in brought.added]
            like = [(line, one, alike) for line, one, alike in likely if one is not None]
            if like:
                yield from self._surviving(brought, like)

    @cached_property
    def _brought(self) -> list[_Brought]:
        brought = []
        left = MOST_STATEMENTS
        for change in self.origin.commit.changes:
            if change.blob is None or not change.path.endswith(".py") or change.mode == "160000":
                continue
            new = self.view.repo.blob(change.blob)
            added = put_in(self.view.repo.blob(change.old_blob) if change.old_blob else b"", new)
            left -= len(added)
            if left < 0:
                break
            brought.append(_Brought(change, added, statements_of(new)))
        return brought

    @cached_property
    def _weight(self) -> Callable[[str], float]:
        """How much a token says: the rarer among the statements of these files, the more.

        A file may hold little but siblings, so that what they share is not rare there: hence the 1.
        """
        every = [set(line.tokens) for brought in self._brought for line in brought.then]
        count = Counter(token for tokens in every for token in tokens)
        most = len(every) + 1
        return lambda token: (1 + math.log(most / (count[token] + 0.5))) * _share(token)

    def _weigh(self, one: Wrong) -> Callable[[str], float]:
        """Weigh tokens as seen from one wrong statement: what the fix took out of it says most of all."""
        return lambda token: self._weight(token) * (_WRONG if token in one.gone else 1)

    @cached_property
    def _wrongs(self) -> list[Wrong]:
        return [wrong(old, self.fresh.get(old.path, ())) for old in self.origin.statements]

    def _likest(self, line: LogicalLine) -> tuple[Wrong | None, float]:
        best: Wrong | None = None
        most = 0.0
        if not _speaks(line.tokens) or any(line.tokens in fresh for fresh in self.fresh.values()):
            return best, most
        for one in self._wrongs:
            alike = likeness(one.old.statement.tokens, line.tokens, self._weigh(one))
            if alike > most and alike >= one.least() and one.shared_by(line.tokens):
                best, most = one, alike
        return best, most

    def _surviving(
        self, brought: _Brought, like: Sequence[tuple[LogicalLine, Wrong, float]]
    ) -> Iterator[Lead]:
        path = self._path_now(brought.change.path)
        if path is None or not _is_searched(self.view, path):
            return
        content = self.view.repo.blob(self.view.listing[path].sha)
        lines = statements_of(content)
        now = surviving(brought.then, lines)
        text = lines_of(content)
        mended = self._mended_functions(path)
        commit = self.origin.commit
        files = f"{self.files_left} file{'s' * (self.files_left > 1)}"
        left = f" ({files} of the fix not looked at)" if self.files_left else ""
        for line, one, alike in like:
            index = now.get(line.line)
            if index is None or (not one.is_changed and self._has_it(lines, index, mended)):
                continue
            place = lines[index].line
            yield Lead(
                kind="sibling",
                confidence=round(alike * (_HINT if one.is_changed else _FAINT_HINT), 3),
                evidence=f"came with {commit.sha[:7]} (“{commit.subject}”), as the fixed line did; {alike:.2f} alike{left}",
                path=path,
                line=place,
                code=text[place - 1].strip()[:200],
                command=f"git show {commit.sha[:12]} -- {shlex.quote(':(top,literal)' + brought.change.path)}",
            )

    def _mended_functions(self, path: str) -> frozenset[str]:
        """Return the functions of a file that the fix adds to."""
        names: set[str] = set()
        for file in self.view.files:
            if file.path == path and file.new is not None:
                put = {line.line for line in put_in(file.old or b"", file.new)}
                names |= {name for line, name in _functions(statements_of(file.new)) if line.line in put}
        return frozenset(names)

    def _has_it(self, lines: Sequence[LogicalLine], index: int, mended: frozenset[str]) -> bool:
        """Say whether a place is what the fix mended, or already has beside it what the fix adds."""
        if _functions(lines)[index][1] in mended:
            return True
        near = lines[max(index - 2, 0) : index + 3]
        return any(
            likeness(line.tokens, tokens, _share) >= ALIKE
            for line in near
            for fresh in self.fresh.values()
            for tokens in fresh
        )

    def _path_now(self, path: str) -> str | None:
        """Return where a file of the commit is in the tree searched: a file that moved keeps its name."""
        moved = {old.origin_path: old.path for old in self.origin.statements}
        renamed = {file.old_path: file.path for file in self.view.files}
        known = moved.get(path, path)
        for candidate in (path, known, renamed.get(known)):
            if candidate is not None and candidate in self.view.listing:
                return candidate
        name = path.rpartition("/")[2]
        same = [other for other in self.view.listing if other.endswith(f"/{name}") or other == name]
        return same[0] if len(same) == 1 and name != "__init__.py" else None


def _share(token: str) -> float:
    """Weigh a token by its kind: names and literals say what a statement is about, brackets do not."""
    if is_name(token) or is_literal(token):
        return 1.0
    return 0.5 if token in KEYWORDS else 0.2


def _speaks(tokens: Tokens) -> bool:
    """Say whether a statement is more than an idiom (`return None`, `i += 1`)."""
    names = {token for token in tokens if is_name(token) or is_literal(token)}
    return len(tokens) >= _LEAST_TOKENS and len(names) >= _LEAST_NAMES


def likeness(one: Tokens, other: Tokens, weight: Callable[[str], float]) -> float:
    """Return how alike two statements are, from 0 to 1: the weight of the tokens that they share (Dice)."""
    here, there = Counter(one), Counter(other)
    shared = sum(weight(token) * n for token, n in (here & there).items())
    total = sum(weight(token) * n for token, n in (here + there).items())
    return 2 * shared / total if total > 0 else 0.0


def surviving(then: Sequence[LogicalLine], now: Sequence[LogicalLine]) -> dict[int, int]:
    """Map the first lines of statements of an old text to the index of those that are still in a newer one.

    Statements are followed in their order, and where they moved by the function that they are in.
    """
    gone, fresh = line_changes(_as_lines(then), _as_lines(now))
    kept_then = [line for n, line in enumerate(then, 1) if n not in gone]
    kept_now = [index for index in range(len(now)) if index + 1 not in fresh]
    found = {line.line: index for line, index in zip(kept_then, kept_now, strict=True)}
    if gone and fresh:
        names = {(name, line.tokens): i for i, (line, name) in enumerate(_functions(now)) if i + 1 in fresh}
        for line, name in _functions(then):
            if line.line not in found and (name, line.tokens) in names:
                found[line.line] = names[name, line.tokens]
    return found


def _functions(lines: Sequence[LogicalLine]) -> list[tuple[LogicalLine, str]]:
    """Return each statement with the name of the function or class that it is in."""
    return [
        (line, defined_name(lines[owner]) if owner >= 0 else "")
        for line, owner in zip(lines, owners(list(lines)), strict=True)
    ]


def _as_lines(lines: Iterable[LogicalLine]) -> bytes:
    """Write each statement as one line, so that texts can be compared by statements."""
    return b"".join(b"%d\n" % hash(line.tokens) for line in lines)
