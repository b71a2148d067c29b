"""Blocks that were put around statements, or taken away from around them.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_bugsle.code.editing.alignment import shared
from pytest_bugsle.code.editing.drafting import Block, Draft, Drafting, NotApart, Where, family, parts, shown
from pytest_bugsle.code.editing.layout import Clause, Compound, Layout, Range, Span
from pytest_bugsle.code.syntax import behaving

_ALIKE = 0.5
_AT_HOME = 0.6
_MOST_ENDS = 30
_LARGEST = 2_500  # pairs of statements compared to find old ones in a new block
_Holder = ast.If | ast.While | ast.For | ast.AsyncFor | ast.With | ast.AsyncWith | ast.Try | ast.TryStar


@dataclass(frozen=True, slots=True)
class Match:
    """Statements of both sides that belong together."""

    olds: range
    news: range
    around: Clause | None = None  # of the one new statement: it holds the old ones now
    gone: Clause | None = None  # of the one old statement: it held the new ones


class Enclosing:
    """Finds such blocks, and puts them back as they were."""

    def __init__(self, drafting: Drafting) -> None:
        self.drafting = drafting
        self.old = drafting.old
        self.new = drafting.new

    def matches(self, olds: Block, news: Block, ours: range, theirs: range) -> Iterator[Match]:
        """Find the old statements that a new one holds, or else the new ones that an old one held."""
        if len(ours) * len(theirs) > _LARGEST:
            return
        left, right = ours.start, theirs.start
        for j in theirs:
            others = range(left, ours.stop)
            if home := self._home(self.new, news[j], self.old, [olds[i] for i in others]):
                clause, place = home
                yield Match(others[place.start : place.stop], range(j, j + 1), around=clause)
                left, right = others[place.stop - 1] + 1, j + 1
        if (left, right) != (ours.start, theirs.start):
            return
        for i in ours:
            others = range(right, theirs.stop)
            if home := self._home(self.old, olds[i], self.new, [news[j] for j in others]):
                clause, place = home
                yield Match(range(i, i + 1), others[place.start : place.stop], gone=clause)
                right = others[place.stop - 1] + 1

    def _home(
        self, layout: Layout, holder: ast.stmt, elsewhere: Layout, others: Block
    ) -> tuple[Clause, range] | None:
        """Find the block of a statement that holds statements of the other side, and which ones."""
        if not isinstance(holder, _Holder) or not others:
            return None
        holds_new = layout is self.new
        best, found = _ALIKE, None
        for other in others:  # that the statement itself was before
            best = max(best, self.drafting.likeness(*((other, holder) if holds_new else (holder, other))))
        words = [self.drafting.words(elsewhere, other) for other in others]
        for clause in layout.clauses(holder):
            block = list(behaving(clause.body))
            if len(block) * len(others) > _LARGEST:
                continue
            known = [(family(node), self.drafting.words(layout, node)) for node in block]
            inside = Counter(map(self.drafting.shape, _nested(block)))
            same: list[int] = []
            alike: list[int] = []
            for n, other in enumerate(others):
                if inside[self.drafting.shape(other)] > 0:
                    inside[self.drafting.shape(other)] -= 1
                    same.append(n)
                # A statement of the holder's own kind may be what the holder was before.
                elif family(other) != family(holder) and any(
                    kind == family(other) and shared(words[n], held) >= _AT_HOME for kind, held in known
                ):
                    alike.append(n)
            total = _total(held for _, held in known)
            for place in _runs(same, alike):
                if (like := shared(_total(words[place.start : place.stop]), total)) > best:
                    best, found = like, (clause, place)
        return found

    def removal(self, new: Compound, clause: Clause, where: Where) -> Draft:
        """Take away what was put around the block of a clause: its lines move to the left."""
        layout = self.new
        place, start = layout.range((new,)), layout.start(clause.body[0])
        outer, within = layout.indent(place[0]), layout.indent(start)
        if outer is None:
            raise NotApart
        spans: list[Span] = [(place[0], start, b"")]
        if within is not None:
            spans += _indented(layout, clause.body, within, outer)
        if clause.end < place[1]:
            spans.append((clause.end, place[1], b""))
        places, code, nodes = _around(layout, new, clause)
        draft = self.drafting.draft(spans, (), nodes, where, new=place)
        return replace(draft, code=code, places=places)

    def comeback(self, old: Compound, news: Block, clause: Clause, where: Where) -> Draft:
        """Put back what stood around statements: its header before them, their lines to the right."""
        start, end = self.new.range(news)
        indent = self.new.indent(start)
        outer, within = self.old.indent(self.old.start(old)), self.old.indent(self.old.start(clause.body[0]))
        if indent is None or outer is None or within is None or not within.startswith(outer):
            raise NotApart
        newline, deeper = self.new.newline, indent + within[len(outer) :]
        places, was, nodes = _around(self.old, old, clause)
        head, *tail = (self.old.moved(place, (old,), indent, newline) for place in places)
        spans = [
            (start, start, head + newline + deeper),
            *_indented(self.new, news, indent, deeper),
            *((end, end, newline + indent + text) for text in tail),
        ]
        draft = self.drafting.draft(spans, nodes, (), where, old=self.old.range((old,)))
        return replace(draft, was=was)

    def beside(self, draft: Draft, around: Draft) -> Draft:
        """Leave out of a draft the indentation inside of it, which the draft of its block replaces."""
        found: list[Span] = []
        ranks: list[int] = []
        for (start, end, text), rank in zip(draft.spans, draft.ranks, strict=True):
            pieces: list[Span] = []
            at = start
            for first, last, _ in around.spans:
                if start == end and first <= start < last and self.new.line_start(start) in {start, first}:
                    raise NotApart
                if start < last and first < end:
                    taken = text == b"pass" or (not text and self.new.ends_line(end))
                    if not taken or first < start or last > end:
                        raise NotApart
                    pieces.append((at, first, b""))
                    at = last
            pieces.append((at, end, b""))
            pieces[0] = (*pieces[0][:2], text)
            found += pieces
            ranks += [rank] * len(pieces)
        return replace(draft, spans=tuple(found), ranks=tuple(ranks))


def _runs(same: list[int], alike: list[int]) -> Iterator[range]:
    """Give the stretches that hold all of `same` and start and end with one of either."""
    ends = sorted(same + alike)
    if len(ends) > _MOST_ENDS:
        ends = [ends[0], ends[-1]]
    for first in ends:
        for last in ends:
            if first <= last and (not same or (first <= same[0] and same[-1] <= last)):
                yield range(first, last + 1)


def _indented(layout: Layout, block: Sequence[ast.stmt], indent: bytes, other: bytes) -> Iterator[Span]:
    """Give another indentation to all lines of a block on which a statement starts, but for the first."""
    start = layout.start(block[0])
    for line in layout.logical_lines(block):
        if line > start:
            if not layout.code.startswith(indent, line):
                raise NotApart
            yield line, line + len(indent), other


def _around(layout: Layout, node: Compound, clause: Clause) -> tuple[tuple[Range, ...], str, list[ast.AST]]:
    """Give what stands around the block of a clause: where, how it reads, and its nodes."""
    start, end = layout.range((node,))
    clauses = layout.clauses(node)
    behind = [other.start for other in clauses if other.start > clause.start]
    places = ((start, clause.colon + 1), *([(behind[0], end)] if behind else ()))
    head, *tail = (shown(layout, place) for place in places)
    nodes = [*clause.parts, *parts(other for other in clauses if other.start != clause.start)]
    return places, "\n".join([head, "    ...", *tail]), nodes


def _nested(block: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    stack: list[ast.AST] = list(block)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt):
            yield node
        children = ast.iter_child_nodes(node)
        stack += [n for n in children if isinstance(n, ast.stmt | ast.excepthandler | ast.match_case)]


def _total(counts: Iterable[Counter[bytes]]) -> Counter[bytes]:
    total: Counter[bytes] = Counter()
    for count in counts:
        total.update(count)
    return total
