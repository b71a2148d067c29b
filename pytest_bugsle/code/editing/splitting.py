"""Take the change of a parsed text apart into its smallest edits, statement by statement.  PYTEST_DONT_REWRITE

Blocks are aligned by what their statements do; what is left over is paired by kind, name and words.
A statement that is taken out again leaves `pass` in its place: no block gets empty, and no line moves.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pytest_bugsle.code.editing.alignment import Pair, aligned, gaps, likeliest
from pytest_bugsle.code.editing.drafting import Block, Draft, Drafting, NotApart, Where, family
from pytest_bugsle.code.editing.elements import changed_elements
from pytest_bugsle.code.editing.enclosing import Enclosing, Match
from pytest_bugsle.code.editing.headers import Headers
from pytest_bugsle.code.editing.layout import Compound, Definition, Layout, Span
from pytest_bugsle.code.editing.reversals import Region
from pytest_bugsle.code.syntax import behaving, reads_annotations

_Import = ast.Import | ast.ImportFrom


def split(old: Layout, new: Layout, olds: Block, news: Block) -> list[Draft]:
    """Give the edits between the statements of two modules. NotApart where that cannot be done."""
    splitting = _Splitting(old, new)
    found = splitting.block(olds, news, Where(new.tree.body))
    if not splitting.declares:
        return found
    # Where `global` stands outside functions, each edit may be forbidden by all that stands around it.
    region = Region(old, (0, len(old.code)), new, (0, len(new.code)))
    standing = region.standing(found)
    if standing is None:
        raise NotApart
    return standing


class _Splitting:
    def __init__(self, old: Layout, new: Layout) -> None:
        self.old = old
        self.new = new
        self.drafting = Drafting(old, new)
        self.headers = Headers(self.drafting)
        self.enclosing = Enclosing(self.drafting)
        self.declares = False

    def block(self, olds: Block, news: Block, where: Where) -> list[Draft]:
        """Give the edits of a block, in the order in which their texts are put in."""
        same, matches = self._matches(olds, news, where.reads)
        behind = {i: j + 1 for i, j in same} | {i: match.news.stop for match in matches for i in match.olds}
        met = {j for _, j in same} | {j for match in matches for j in match.news}
        starts = {match.news.start: match for match in matches}
        fenced = {j for match in matches if match.gone for j in match.news}
        runs: dict[int, list[int]] = {}
        at = 0
        for i in range(len(olds)):
            at = behind.get(i, at)
            if i not in behind:
                runs.setdefault(at, []).append(i)
        added = [j for j in range(len(news)) if j not in met]
        deleted = [i for run in runs.values() for i in run]
        moves = self._moves(olds, news, deleted, added, where.reads)
        arrived = set(moves.values())
        found: list[Draft] = []
        for j in sorted({*runs, *starts, *added}):
            if run := runs.get(j):
                spans = self._insertions([olds[i] for i in run], j, news, where, fenced)
                for i, span in zip(run, spans, strict=True):
                    found.append(self._gone(olds[i], news[moves[i]] if i in moves else None, span, where))
            if j in starts:
                found += self._matched(olds, news, starts[j], where)
            elif j < len(news) and j not in met and j not in arrived:
                found.append(self.drafting.draft([self._removal(news[j])], (), (news[j],), where))
        if found and not where.unit and _declares(olds + news):
            self.declares = True
        return found

    def _matches(self, olds: Block, news: Block, reads: bool) -> tuple[list[Pair], list[Match]]:
        """Pair what does the same, and between those what belongs together."""
        same = aligned(
            [self.old.text(self.old.range((node,))) for node in olds],
            [self.new.text(self.new.range((node,))) for node in news],
        )
        matches: list[Match] = []
        for ours, theirs in list(gaps(same, range(len(olds)), range(len(news)))):
            if ours and theirs:
                left = [self.drafting.shape(olds[i], reads=reads) for i in ours]
                right = [self.drafting.shape(news[j], reads=reads) for j in theirs]
                equal = [(ours[i], theirs[j]) for i, j in aligned(left, right)]
                same += equal
                for gap in gaps(equal, ours, theirs):
                    matches += self._related(olds, news, *gap)
        return same, matches

    def _related(self, olds: Block, news: Block, ours: range, theirs: range) -> Iterator[Match]:
        if not ours or not theirs:
            return
        known = aligned(
            [_known_as(olds[i]) or i for i in ours], [_known_as(news[j]) or -1 - j for j in theirs]
        )
        named = [(ours[i], theirs[j]) for i, j in known]
        yield from (_pair(i, j) for i, j in named)
        for gap in gaps(named, ours, theirs):
            wraps = list(self.enclosing.matches(olds, news, *gap))
            yield from wraps
            for left, right in _between(wraps, *gap):
                pairs = likeliest([olds[i] for i in left], [news[j] for j in right], self.drafting.likeness)
                likely = [(left[i], right[j]) for i, j in pairs]
                yield from (_pair(i, j) for i, j in likely)
                for rest, other in gaps(likely, left, right):
                    if (
                        len(rest) == len(other) == 1
                        and _is_plain(olds[rest[0]])
                        and _is_plain(news[other[0]])
                    ):
                        yield _pair(rest[0], other[0])

    def _moves(
        self, olds: Block, news: Block, deleted: list[int], added: list[int], reads: bool
    ) -> dict[int, int]:
        """Pair what only stands elsewhere in its block, and a definition of the same name elsewhere."""
        moves: dict[int, int] = {}
        if not deleted or not added:
            return moves
        keys: list[Callable[[ast.stmt], str]] = [
            lambda node: self.drafting.shape(node, reads=reads),
            _defined,
        ]
        for key in keys:
            taken = set(moves.values())
            places = {key(news[j]): j for j in reversed(added) if j not in taken}
            for i in deleted:
                if i not in moves and (found := key(olds[i])) and found in places:
                    moves[i] = places.pop(found)
        return moves

    def _removal(self, node: ast.stmt) -> Span:
        return *self.new.range((node,)), b"pass"

    def _gone(self, old: ast.stmt, new: ast.stmt | None, span: Span, where: Where) -> Draft:
        """Put back a statement that was taken out, or that stands elsewhere now."""
        if new is None:
            return self.drafting.draft([span], (old,), (), where)
        moved = isinstance(new, Definition | _Import) and self.drafting.shape(old) == self.drafting.shape(new)
        return self.drafting.draft([span, self._removal(new)], (old,), (new,), where, moved=moved)

    def _insertions(self, run: Block, j: int, news: Block, where: Where, fenced: set[int]) -> list[Span]:
        """Say where statements that were taken out go: before the statement `j` of the new block.

        On the line of a neighbour where all of them are simple: then no line moves. But not beside a `fenced`
        one, around which a block comes back.
        """

        def simple(n: int) -> bool:
            return 0 <= n < len(news) and n not in fenced and not isinstance(news[n], Compound)

        if not any(isinstance(node, Compound) for node in run):
            if simple(j):
                at = self.new.start(news[j])
                return [(at, at, self.drafting.moved((node,), b"") + b"; ") for node in run]
            if simple(j - 1):
                at = self.new.end(news[j - 1])
                return [(at, at, b"; " + self.drafting.moved((node,), b"")) for node in run]
        if not where.lines:
            raise NotApart
        newline = self.new.newline
        if j < len(news) and (indent := self.new.indent(self.new.start(news[j]))) is not None:
            at = self.new.line_start(self.new.start(news[j]))
            return [(at, at, indent + self.drafting.moved((node,), indent) + newline) for node in run]
        before = news[j - 1] if j else where.body[-1] if where.body else None
        if j < len(news):
            raise NotApart  # between two statements on one line
        if before is None:
            at, indent = len(self.new.code), b""
        else:
            at = self.new.end(before)
            first = [node for node in where.body if self.new.line(self.new.end(node)) == self.new.line(at)]
            indent = self.new.indent(self.new.start((first or [before])[0]))
        if indent is None:
            raise NotApart
        return [(at, at, newline + indent + self.drafting.moved((node,), indent)) for node in run]

    # Statements that belong together

    def _matched(self, olds: Block, news: Block, match: Match, where: Where) -> list[Draft]:
        ours, theirs = olds[match.olds.start : match.olds.stop], news[match.news.start : match.news.stop]
        old, new = ours[0], theirs[0]
        if match.around is None and match.gone is None and not isinstance(new, Compound):
            return self._simple(old, new, where)
        unit, doubtful = not where.unit, False
        if match.gone is None and isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
            # Its statements are looked at one by one, unless only one side makes fields of its annotations.
            doubtful = reads_annotations(old) != reads_annotations(new)
            unit = unit and doubtful
        inner = replace(where, unit=where.unit or unit)
        try:
            found = self._apart(ours, theirs, match, inner)
        except NotApart:
            found = [self.drafting.replaced(ours, theirs, where)]
        if unit:
            places = self.old.range(ours), self.new.range(theirs)
            region = Region(self.old, places[0], self.new, places[1], fields=where.reads, doubtful=doubtful)
            standing = region.standing(found) or region.standing(
                [self.drafting.replaced(ours, theirs, where)]
            )
            if standing is None:
                raise NotApart
            found = standing
        return found

    def _apart(self, olds: Block, news: Block, match: Match, where: Where) -> list[Draft]:
        old, new = olds[0], news[0]
        within = replace(where, reads=False, lines=False)
        if match.around is not None:
            assert isinstance(new, Compound)
            around = self.enclosing.removal(new, match.around, where)
            inner = self._inside(olds, match.around.body, replace(within, body=match.around.body))
        elif match.gone is not None:
            assert isinstance(old, Compound)
            around = self.enclosing.comeback(old, news, match.gone, where)
            inner = self._inside(match.gone.body, news, within)
            if around.spans[-1][0] == self.new.end(news[-1]):  # behind whatever else is put there
                around = replace(around, ranks=(*around.ranks[:-1], self.drafting.rank()))
        else:
            assert isinstance(old, Compound) and isinstance(new, Compound)
            return self._compound(old, new, where)
        return [around, *(self.enclosing.beside(draft, around) for draft in inner)]

    def _simple(self, old: ast.stmt, new: ast.stmt, where: Where) -> list[Draft]:
        field = where.reads and isinstance(old, ast.AnnAssign)
        found = None if field else changed_elements(self.old, self.new, old, new)
        if found:
            places = self.old.range((old,)), self.new.range((new,))
            drafts = self.drafting.elements(found, *places, where)
            # From a line of its own on it needs no indentation.
            region = Region(self.old, places[0], self.new, places[1], (b"\n", b""))
            if standing := region.standing(drafts):
                return standing
        return [self.drafting.replaced([old], [new], where)]

    def _compound(self, old: Compound, new: Compound, where: Where) -> list[Draft]:
        ours, theirs = self.old.clauses(old), self.new.clauses(new)
        found: list[Draft] = []
        if isinstance(old, Definition) and isinstance(new, Definition):
            scope = f"{where.scope}.{new.name}" if where.scope else new.name
            named = replace(where, scope=scope)
            found += self.headers.decorators(old, new, named)
            found += self.headers.changed(ours[0], theirs[0], named)
            classes = [node for node in (old, new) if isinstance(node, ast.ClassDef)]
            inner = replace(
                named,
                body=new.body,
                import_time=where.import_time and bool(classes),
                reads=any(map(reads_annotations, classes)),
                unit=where.unit or not classes,
            )
            return found + self._inside(old.body, new.body, inner)
        where = replace(where, reads=False, unit=True)
        pairs = self.headers.pairs(ours, theirs)
        if isinstance(new, ast.If):
            pairs, found = self.headers.first_arms(ours, theirs, pairs, where)
        starts = [i for i, _ in pairs[1:]] + [len(ours)]
        stops = [j for _, j in pairs[1:]] + [len(theirs)]
        for (i, j), next_old, next_new in zip(pairs, starts, stops, strict=True):
            found += self.headers.changed(ours[i], theirs[j], where, first=j == 0)
            found += self._inside(ours[i].body, theirs[j].body, replace(where, body=theirs[j].body))
            found += self.headers.lost(ours[i + 1 : next_old], theirs[j], where)
            found += self.headers.added(theirs[j + 1 : next_new], where)
        return found

    def _inside(self, olds: Block, news: Block, where: Where) -> list[Draft]:
        left = list(behaving(olds, annotations=where.reads))
        return self.block(left, list(behaving(news, annotations=where.reads)), where)


def _pair(i: int, j: int) -> Match:
    return Match(range(i, i + 1), range(j, j + 1))


def _between(matches: Sequence[Match], olds: range, news: range) -> Iterator[tuple[range, range]]:
    i, j = olds.start, news.start
    for match in matches:
        yield range(i, match.olds.start), range(j, match.news.start)
        i, j = match.olds.stop, match.news.stop
    yield range(i, olds.stop), range(j, news.stop)


def _declares(block: Block) -> bool:
    """Say whether `global` or `nonlocal` is said of a block itself, not of a function or class in it."""
    stack: list[ast.AST] = list(block)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Global | ast.Nonlocal):
            return True
        if not isinstance(node, Definition | ast.expr):
            stack += ast.iter_child_nodes(node)
    return False


def _is_plain(node: ast.stmt) -> bool:
    return not isinstance(node, Compound | _Import)


def _known_as(node: ast.stmt) -> str | None:
    """Name what a statement is known by, where that is enough to find it again."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return f"{family(node)} {node.name}"
        case ast.ImportFrom():
            return f"from {node.level} {node.module}"
    return None


def _defined(node: ast.stmt) -> str:
    return _known_as(node) or "" if isinstance(node, Definition) else ""
