"""Drafts of edits: what is put back where, and what a reader is shown of it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from textwrap import dedent

from pytest_bugsle.code.editing.alignment import shared
from pytest_bugsle.code.editing.elements import Element
from pytest_bugsle.code.editing.layout import Clause, Definition, Layout, Range, Span
from pytest_bugsle.code.syntax import shape

Block = list[ast.stmt]

_ALIKE = 0.5


class NotApart(Exception):
    """A change cannot be put back in parts here: what encloses it is tried as a whole."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An edit in the making: its places count in the new text as UTF-8.

    Texts that go to one place are put there in the order of their `ranks`.
    """

    spans: tuple[Span, ...]
    ranks: tuple[int, ...]
    places: tuple[Range, ...]  # the changed code in the new text
    code: str
    was: str
    olds: tuple[ast.AST, ...]
    news: tuple[ast.AST, ...]
    scope: str
    import_time: bool
    moved: bool = False
    sure: bool = False  # nothing else can forbid to put it back

    def joined(self, other: Draft) -> Draft:
        """Make one of two that cannot stand alone."""
        return replace(
            self,
            spans=self.spans + other.spans,
            ranks=self.ranks + other.ranks,
            places=self.places + other.places,
            code="\n".join(filter(None, (self.code, other.code))),
            was="\n".join(filter(None, (self.was, other.was))),
            olds=self.olds + other.olds,
            news=self.news + other.news,
            import_time=self.import_time or other.import_time,
            moved=self.moved and other.moved,
            sure=self.sure and other.sure,
        )


@dataclass(frozen=True, slots=True)
class Where:
    """What encloses a block of statements."""

    body: Block  # of the new text, with what does nothing
    scope: str = ""
    import_time: bool = True
    reads: bool = False  # annotations are fields
    unit: bool = False  # inside a statement that is looked at as a whole
    lines: bool = True  # new lines can be put in; not where the indentation changes too


class Drafting:
    """Two texts, what their statements are compared by, and the drafts made of their changes."""

    def __init__(self, old: Layout, new: Layout) -> None:
        self.old = old
        self.new = new
        self._rank = 0
        self._shapes: dict[ast.AST, str] = {}
        self._words: dict[ast.AST, Counter[bytes]] = {}

    def shape(self, node: ast.AST, *, reads: bool = False) -> str:
        """Write down what a node does; with its annotation where that is a field."""
        found = self._shapes.get(node)
        if found is None:
            found = self._shapes[node] = shape(node)
        if reads and isinstance(node, ast.AnnAssign):
            return f"{found} : {shape(node.annotation)}"
        return found

    def header(self, clause: Clause) -> str:
        """Write down what a header does."""
        return f"{clause.kind} {clause.label} {' '.join(map(self.shape, clause.parts))}"

    def words(self, layout: Layout, node: ast.stmt) -> Counter[bytes]:
        """Count the words of a statement."""
        found = self._words.get(node)
        if found is None:
            found = self._words[node] = layout.words(layout.range((node,)))
        return found

    def likeness(self, old: ast.stmt, new: ast.stmt) -> float:
        """Say how sure it is that one statement became the other: from 0 (no sign) to 2 (the same name)."""
        if family(old) != family(new):
            return 0.0
        if isinstance(old, Definition) and isinstance(new, Definition) and old.name == new.name:
            return 2.0
        like = shared(self.words(self.old, old), self.words(self.new, new))
        if (target := _target(old)) is not None and target == _target(new):
            return (1 + like) / 2
        tests = [node.test for node in (old, new) if isinstance(node, ast.If | ast.While)]
        if tests and self.shape(tests[0]) == self.shape(tests[1]):
            return (1 + like) / 2
        return like if like >= _ALIKE else 0.0

    def moved(self, run: Sequence[ast.stmt], indent: bytes) -> bytes:
        """Give old statements at an indentation of the new text."""
        return self.old.moved(self.old.range(run), run, indent, self.new.newline)

    def rank(self) -> int:
        """Give the next rank among texts that go to one place."""
        self._rank += 1
        return self._rank

    def draft(
        self,
        spans: Sequence[Span],
        olds: Sequence[ast.AST],
        news: Sequence[ast.AST],
        where: Where,
        *,
        old: Range | None = None,
        new: Range | None = None,
        moved: bool = False,
    ) -> Draft:
        """Make a draft; its code is that of the nodes, or that of the ranges where they are given."""
        before = old or (self.old.range(olds) if olds else None)
        after = new or (self.new.range(news) if news else None)
        return Draft(
            spans=tuple(spans),
            ranks=tuple(self.rank() for _ in spans),
            places=(after,) if after else (),
            code=shown(self.new, after) if after else "",
            was=shown(self.old, before) if before else "",
            olds=tuple(olds),
            news=tuple(news),
            scope=where.scope,
            import_time=where.import_time,
            moved=moved,
        )

    def replaced(self, olds: Block, news: Block, where: Where) -> Draft:
        """Put old statements back for new ones, as a whole."""
        place = self.new.range(news)
        span = (*place, self.moved(olds, self.new.indent(place[0]) or b""))
        return self.draft([span], olds, news, where)

    def elements(self, found: list[Element], before: Range, after: Range, where: Where) -> list[Draft]:
        """Make drafts of elements; one that is alone on a line is shown with that line."""
        line = b"\n" not in self.old.text(before) and b"\n" not in self.new.text(after)
        drafts: list[Draft] = []
        for element in found:
            draft = self.draft(
                element.spans,
                element.olds,
                element.news,
                where,
                old=element.old,
                new=element.new,
                moved=element.moved,
            )
            if line and len(found) == 1 and ((element.old and element.new) or not element.shown):
                code, was = shown(self.new, after), shown(self.old, before)
                draft = replace(draft, places=(after,), code=code, was=was)
            drafts.append(replace(draft, sure=element.sure))
        return drafts


def shown(layout: Layout, place: Range) -> str:
    """Give code as a reader wants it: from the left margin on."""
    indent = layout.indent(place[0]) or b""
    return dedent((indent + layout.text(place)).decode(errors="replace")).strip()


def parts(clauses: Iterable[Clause]) -> list[ast.AST]:
    """List the nodes of clauses."""
    return [node for clause in clauses for node in (*clause.parts, *clause.body)]


def family(node: ast.stmt) -> str:
    """Name the kind of a statement, the same for kinds that easily become one another."""
    match node:
        case ast.AnnAssign() | ast.AugAssign():
            return "Assign"
        case ast.TryStar():
            return "Try"
    return type(node).__name__.removeprefix("Async")


def _target(node: ast.stmt) -> str | None:
    match node:
        case ast.Assign(targets=[target]) | ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return shape(target)
    return None
