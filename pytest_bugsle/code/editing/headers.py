"""Edits of what stands above blocks: headers, decorators, and whole clauses with their blocks.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_bugsle.code.editing.alignment import Pair, aligned, gaps, likeliest, shared
from pytest_bugsle.code.editing.drafting import Draft, Drafting, NotApart, Where, parts
from pytest_bugsle.code.editing.elements import Element, changed_elements
from pytest_bugsle.code.editing.layout import Clause, Definition, Layout, Range
from pytest_bugsle.code.editing.reversals import Region
from pytest_bugsle.code.syntax import behaving

_ALIKE = 0.3
_SAME_BLOCK = 0.6
# What makes an expression or a header a statement that can be parsed by itself.
_FRAMES = {
    "if": (b"if ", b": pass"),
    "except": (b"try: pass\n", b": pass"),
    "match": (b"", b":\n case _: pass"),
    "case": (b"match _:\n ", b": pass"),
}


class Headers:
    """The clauses of two statements that belong together."""

    def __init__(self, drafting: Drafting) -> None:
        self.drafting = drafting
        self.old = drafting.old
        self.new = drafting.new

    def pairs(self, ours: list[Clause], theirs: list[Clause]) -> list[Pair]:
        """Pair the clauses of a statement; the first ones stay together, but for those of an `if`."""
        fixed = [] if ours[0].kind == "if" else [(0, 0)]
        left, right = range(len(fixed), len(ours)), range(len(fixed), len(theirs))
        keys = [[self._key(side[n]) for n in place] for side, place in ((ours, left), (theirs, right))]
        same = [(left[i], right[j]) for i, j in aligned(*keys)]
        pairs = [*fixed, *same]
        for gap in gaps(same, left, right):
            inner = likeliest([ours[i] for i in gap[0]], [theirs[j] for j in gap[1]], self._likeness)
            pairs += [(gap[0][i], gap[1][j]) for i, j in inner]
        return sorted(pairs)

    def _key(self, clause: Clause) -> str:
        return f"{self.drafting.header(clause)} : {' '.join(map(self.drafting.shape, behaving(clause.body)))}"

    def _likeness(self, old: Clause, new: Clause) -> float:
        bodies = shared(self.old.words((old.colon, old.end)), self.new.words((new.colon, new.end)))
        if {old.kind, new.kind} == {"if", "else"}:
            return bodies if bodies >= _SAME_BLOCK else 0.0
        if old.kind != new.kind:
            return 0.0
        if self.drafting.header(old) == self.drafting.header(new):
            return 2 + bodies
        like = shared(self.old.words((old.start, old.end)), self.new.words((new.start, new.end)))
        return like if like >= _ALIKE else 0.0

    def first_arms(
        self, ours: list[Clause], theirs: list[Clause], pairs: list[Pair], where: Where
    ) -> tuple[list[Pair], list[Draft]]:
        """Put back what stands before the first arm that both have: the `if` is then another one's."""
        if not pairs:
            raise NotApart
        i, j = pairs[0]
        if i and j:
            return [(0, 0), *pairs], []
        if not i and not j:
            return pairs, []
        indent = self.new.indent(theirs[0].start)
        if ours[i].kind != "if" or theirs[j].kind != "if" or indent is None:
            raise NotApart
        at = theirs[0].start
        if j:
            place = at, theirs[j - 1].end
            span = (at, theirs[j].start + len(b"el"), b"")
            return pairs, [self.drafting.draft([span], (), parts(theirs[:j]), where, new=place)]
        place = ours[0].start, ours[i - 1].end
        blocks = [node for clause in ours[:i] for node in clause.body]
        text = self.old.moved(place, blocks, indent, self.new.newline) + self.new.newline + indent + b"el"
        return pairs, [self.drafting.draft([(at, at, text)], parts(ours[:i]), (), where, old=place)]

    def added(self, clauses: list[Clause], where: Where) -> Iterator[Draft]:
        """Take out clauses that are new."""
        for clause in filter(_does_something, clauses):
            place = clause.start, clause.end
            yield self.drafting.draft([(*place, b"")], (), parts([clause]), where, new=place)

    def lost(self, clauses: list[Clause], before: Clause, where: Where) -> Iterator[Draft]:
        """Put back clauses that were taken out, behind another one."""
        for clause in filter(_does_something, clauses):
            indent = self.new.indent(before.start)
            if indent is None or not where.lines or before.kind == "match":
                raise NotApart
            place, at = (clause.start, clause.end), before.end
            text = self.new.newline + indent + self.old.moved(place, clause.body, indent, self.new.newline)
            yield self.drafting.draft([(at, at, text)], parts([clause]), (), where, old=place)

    def changed(self, old: Clause, new: Clause, where: Where, *, first: bool = True) -> list[Draft]:
        """Put back a header, or those of its elements that changed."""
        if self.drafting.header(old) == self.drafting.header(new):
            return []
        if found := self._elements(old, new, where):
            return found
        ours, theirs = (old.start, old.colon + 1), (new.start, new.colon + 1)
        start, text = new.start, self.old.code[old.start : old.colon]
        if {old.kind, new.kind} <= {"if", "else"}:
            if first and old.kind == "else":
                raise NotApart
            text = (
                b"else"
                if old.kind == "else"
                else b"elif" + self.old.code[_condition(self.old, old) : old.colon]
            )
            if old.kind == new.kind:
                start, text = _condition(self.new, new), text.removeprefix(b"elif")
        return [
            self.drafting.draft([(start, new.colon, text)], old.parts, new.parts, where, old=ours, new=theirs)
        ]

    def _elements(self, old: Clause, new: Clause, where: Where) -> list[Draft] | None:
        if (old.kind, old.label) != (new.kind, new.label) or len(old.parts) != len(new.parts):
            return None
        found: list[Element] = []
        for before, after in zip(old.parts, new.parts, strict=True):
            elements = changed_elements(self.old, self.new, before, after)
            if elements is None:
                return None
            found += elements
        if not found:
            return None
        ours, theirs = (old.start, old.colon + 1), (new.start, new.colon + 1)
        drafts = self.drafting.elements(found, ours, theirs, where)
        left = (_condition(self.old, old) if old.kind == "if" else old.start), old.colon
        right = (_condition(self.new, new) if new.kind == "if" else new.start), new.colon
        frame = _FRAMES.get(new.kind, (b"\n", b": pass"))
        return Region(self.old, left, self.new, right, frame).standing(drafts)

    def decorators(self, old: Definition, new: Definition, where: Where) -> list[Draft]:
        """Put back decorators, each alone."""
        ours, theirs = _decorators(self.old, old), _decorators(self.new, new)
        keys = [[self.drafting.shape(node) for node in side.decorator_list] for side in (old, new)]
        starts = [*(start for start, _ in theirs), self.new.offset(new.lineno, new.col_offset)]
        found: list[Draft] = []
        for left, right in gaps(aligned(*keys), range(len(ours)), range(len(theirs))):
            both = len(left) if len(left) == len(right) else 0
            for i, j in zip(left[:both], right[:both], strict=True):
                span = (*theirs[j], self.old.text(ours[i]))
                nodes = (old.decorator_list[i],), (new.decorator_list[j],)
                found.append(self.drafting.draft([span], *nodes, where, old=ours[i], new=theirs[j]))
            for i in left[both:]:
                at, indent = starts[right.start], self.new.indent(starts[-1])
                if indent is None or not where.lines:
                    raise NotApart
                span = (at, at, self.old.text(ours[i]) + self.new.newline + indent)
                found.append(self.drafting.draft([span], (old.decorator_list[i],), (), where, old=ours[i]))
            for j in right[both:]:
                span = (*theirs[j], b"")
                found.append(self.drafting.draft([span], (), (new.decorator_list[j],), where, new=theirs[j]))
        return found


def _does_something(clause: Clause) -> bool:
    return clause.kind not in {"else", "finally"} or any(behaving(clause.body))


def _condition(layout: Layout, clause: Clause) -> int:
    """Give where an arm goes on behind its `if` or `elif`."""
    return clause.start + (4 if layout.code.startswith(b"elif", clause.start) else 2)


def _decorators(layout: Layout, node: Definition) -> list[Range]:
    """Give the places of decorators, with their sign and the brackets around them."""
    starts = [layout.code.rfind(b"@", 0, layout.start(expression)) for expression in node.decorator_list]
    stops = [*starts[1:], layout.offset(node.lineno, node.col_offset)]
    places: list[Range] = []
    for start, expression, stop in zip(starts, node.decorator_list, stops, strict=False):
        end = layout.end(expression)
        closed = [offset + 1 for offset, sign in layout.signs(end, stop) if sign == b")"]
        places.append((start, closed[-1] if closed else end))
    return places
