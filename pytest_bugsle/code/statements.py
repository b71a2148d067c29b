"""Turn changed lines into changed statements, the unit that a test can reach.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import warnings
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from types import CodeType

from pytest_bugsle.code.syntax import behaving, lines_of, parse, reads_annotations, shape

_LARGEST_ALIGNMENT = 1_000_000
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, or the header of a compound one, with the lines that a line tracer reports for it."""

    first_line: int
    last_line: int
    measured_lines: tuple[int, ...]
    text: str
    import_time: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """The statements that a change put in (lines of the new text) and took out (lines of the old one)."""

    added: tuple[Statement, ...]
    deleted: tuple[Statement, ...]


def changed_statements(old: bytes, new: bytes, deleted: frozenset[int], added: frozenset[int]) -> Changed:
    """Find the statements behind the deleted lines of `old` and the added lines of `new`.

    Reformatted, re-commented and re-annotated statements are no change. A text that cannot be parsed has
    no statements; an empty text stands for a file that does not exist.
    """
    before, after = _Text(old, deleted), _Text(new, added)
    settled = _unchanged(before, after)
    return Changed(added=_report(after, before, settled), deleted=_report(before, after, settled))


def statements(source: bytes) -> tuple[Statement, ...]:
    """List every statement of a text that a line tracer can see."""
    text = _Text(source, frozenset())
    return tuple(_public(text, text.pieces))


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    node: ast.AST
    parts: tuple[ast.AST, ...]  # what belongs to the statement itself, without the blocks that it heads
    first: int
    last: int
    scope: str  # where it stands: names of definitions and kinds of blocks
    import_time: bool

    def identity(self) -> str:
        named = getattr(self.node, "name", "") or ""
        kind = (
            "" if isinstance(self.node, ast.stmt) and self.parts == (self.node,) else type(self.node).__name__
        )
        return f"{self.scope}|{kind} {named}|{' '.join(shape(part) for part in self.parts)}"


class _Text:
    """One side of a change: its statements in order, and which of its lines changed."""

    def __init__(self, source: bytes, changed: frozenset[int]) -> None:
        self.source = source
        self.changed = changed
        self.tree = parse(source)
        self._changed_sorted = sorted(changed)

    @cached_property
    def pieces(self) -> list[_Piece]:
        if self.tree is None:
            return []
        return sorted(_pieces(self.tree.body), key=lambda piece: (piece.first, piece.last))

    @cached_property
    def touched(self) -> list[_Piece]:
        return [p for p in self.pieces if self._changed_before(p.last + 1) > self._changed_before(p.first)]

    @cached_property
    def lines(self) -> list[str]:
        return lines_of(self.source)

    @cached_property
    def code_lines(self) -> frozenset[int] | None:
        """The lines of which a tracer can speak, or None where the text parses but does not compile."""
        if self.tree is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(self.tree, "<source>", "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None
        return frozenset(_code_lines(code))

    @cached_property
    def definitions(self) -> tuple[frozenset[str], frozenset[str]]:
        """Which names are defined where, and with which header."""
        found = [piece for piece in self.pieces if isinstance(piece.node, _Definition)]
        return frozenset(map(_place, found)), frozenset(piece.identity() for piece in found)

    def _changed_before(self, line: int) -> int:
        return bisect_left(self._changed_sorted, line)

    def position(self, piece: _Piece) -> tuple[int, bool]:
        """Say after how many untouched lines a statement stands, which is the same on both sides."""
        return piece.first - 1 - self._changed_before(piece.first), piece.first in self.changed

    def measured(self, piece: _Piece) -> tuple[int, ...]:
        span = range(piece.first, piece.last + 1)
        return tuple(n for n in span if self.code_lines is None or n in self.code_lines)


def _code_lines(code: CodeType) -> Iterator[int]:
    stack = [code]
    while stack:
        current = stack.pop()
        yield from (line for _, _, line in current.co_lines() if line)
        stack.extend(const for const in current.co_consts if isinstance(const, CodeType))


def _place(piece: _Piece) -> str:
    return f"{piece.scope}|{getattr(piece.node, 'name', '')}"


def _pieces(body: Iterable[ast.stmt]) -> Iterator[_Piece]:
    # An own stack: an `elif` chain nests as deep as it is long.
    stack: list[tuple[Iterable[ast.stmt], str, bool, bool]] = [(body, "", True, False)]
    while stack:
        block, scope, import_time, reads = stack.pop()
        for node in behaving(block, annotations=reads):
            parts, blocks = _taken_apart(node, reads)
            if parts is not None:
                yield _piece(node, parts, scope, import_time)
            for label, inner in blocks:
                where = f"{scope}/{label}"
                if isinstance(inner, ast.ExceptHandler | ast.match_case):
                    yield _piece(inner, _clause_parts(inner), where, import_time)
                    inner_body = inner.body
                else:
                    inner_body = inner
                at_import = import_time and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                fields = isinstance(node, ast.ClassDef) and reads_annotations(node)
                stack.append((inner_body, where, at_import, fields))


_Block = list[ast.stmt] | ast.ExceptHandler | ast.match_case


def _taken_apart(node: ast.stmt, reads: bool) -> tuple[tuple[ast.AST, ...] | None, list[tuple[str, _Block]]]:
    """Split a statement into what runs as its header (None: nothing) and its labelled blocks."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return (*node.decorator_list, node.args), [(node.name, node.body)]
        case ast.ClassDef():
            return (*node.decorator_list, *node.bases, *node.keywords), [(node.name, node.body)]
        case ast.If() | ast.While():
            return (node.test,), [("if", node.body), ("else", node.orelse)]
        case ast.For() | ast.AsyncFor():
            return (node.target, node.iter), [("for", node.body), ("else", node.orelse)]
        case ast.With() | ast.AsyncWith():
            return tuple(node.items), [("with", node.body)]
        case ast.Match():
            return (node.subject,), [("case", case) for case in node.cases]
        case ast.AnnAssign() if reads:
            return (node, node.annotation), []
        case ast.Try() | ast.TryStar():
            handlers = [("except", handler) for handler in node.handlers]
            return None, [("try", node.body), *handlers, ("else", node.orelse), ("finally", node.finalbody)]
    return (node,), []


def _clause_parts(node: ast.ExceptHandler | ast.match_case) -> tuple[ast.AST, ...]:
    if isinstance(node, ast.match_case):
        return (node.pattern,) if node.guard is None else (node.pattern, node.guard)
    return () if node.type is None else (node.type,)


def _piece(node: ast.AST, parts: tuple[ast.AST, ...], scope: str, import_time: bool) -> _Piece:
    placed = [inner for part in parts for inner in _placed(part)]
    if isinstance(node, ast.stmt | ast.ExceptHandler):
        placed.append((node.lineno, node.lineno))
    return _Piece(
        node, parts, min(first for first, _ in placed), max(last for _, last in placed), scope, import_time
    )


def _placed(part: ast.AST) -> Iterator[tuple[int, int]]:
    """Give the lines of a part; `arguments` and `withitem` have none of their own, their children have."""
    line = getattr(part, "lineno", None)
    if line is not None:
        yield line, getattr(part, "end_lineno", None) or line
    else:
        for child in ast.iter_child_nodes(part):
            yield from _placed(child)


def _unchanged(before: _Text, after: _Text) -> frozenset[_Piece]:
    """Find changed lines whose statement stands at the same place on both sides and does the same."""
    sides = (before, after)
    wanted = {text.position(piece) for text in sides for piece in text.touched}
    groups: dict[tuple[int, bool], tuple[list[_Piece], list[_Piece]]] = defaultdict(lambda: ([], []))
    for index, text in enumerate(sides):
        for piece in text.pieces:
            position = text.position(piece)
            if position in wanted:
                groups[position][index].append(piece)
    settled: set[_Piece] = set()
    for ours, theirs in groups.values():
        for left, right in _aligned([p.identity() for p in ours], [p.identity() for p in theirs]):
            settled |= {ours[left], theirs[right]}
    return frozenset(settled)


def _aligned(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int]]:
    shorter = min(len(ours), len(theirs))
    start = 0
    while start < shorter and ours[start] == theirs[start]:
        yield start, start
        start += 1
    end = 0
    while end < shorter - start and ours[-1 - end] == theirs[-1 - end]:
        yield len(ours) - 1 - end, len(theirs) - 1 - end
        end += 1
    left, right = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    if len(left) * len(right) > _LARGEST_ALIGNMENT:
        return
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            yield start + block.a + offset, start + block.b + offset


def _report(side: _Text, other: _Text, settled: frozenset[_Piece]) -> tuple[Statement, ...]:
    return tuple(_public(side, (p for p in side.touched if p not in settled and _counts(p, other))))


def _counts(piece: _Piece, other: _Text) -> bool:
    """Say whether a definition's header is more than a name: `def` alone only binds it."""
    if not isinstance(piece.node, _Definition):
        return True
    places, headers = other.definitions
    if _place(piece) in places:
        return piece.identity() not in headers
    if isinstance(piece.node, ast.ClassDef):
        return bool(piece.parts)
    arguments = piece.node.args
    return bool(piece.node.decorator_list or arguments.defaults or any(arguments.kw_defaults))


def _public(text: _Text, pieces: Iterable[_Piece]) -> Iterator[Statement]:
    last: tuple[int, int] | None = None
    for piece in pieces:
        measured = text.measured(piece)
        if not measured or (piece.first, piece.last) == last:
            continue  # nothing to see, or a second statement on the very same lines
        last = piece.first, piece.last
        yield Statement(
            piece.first, piece.last, measured, text.lines[piece.first - 1].strip(), piece.import_time
        )
