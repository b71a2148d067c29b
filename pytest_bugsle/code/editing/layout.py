"""Where the parts of a parsed text stand, byte for byte.  PYTEST_DONT_REWRITE

Offsets count in the text as UTF-8 without a byte order mark, which is how `ast` counts columns.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Range = tuple[int, int]
Span = tuple[int, int, bytes]

_NEWLINE = re.compile(rb"\r\n|\r|\n")
_SIGN = re.compile(rb"#[^\r\n]*|[(),:@]|\*\*|[^\W\d]\w*")
_WORD = re.compile(rb"[\w\x80-\xff]+")
_REST = re.compile(rb"[ \t\f]*(?:#[^\r\n]*)?(?=\r|\n|\Z)")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Try = ast.Try | ast.TryStar
Compound = (
    Definition | ast.If | ast.While | ast.For | ast.AsyncFor | ast.With | ast.AsyncWith | Try | ast.Match
)
_Placed = ast.expr | ast.stmt | ast.excepthandler | ast.alias | ast.keyword | ast.pattern | ast.arg


@dataclass(frozen=True, slots=True)
class Clause:
    """A header and the block under it: `if`, `elif`, `else`, `except`, `case`, `def` and so on."""

    kind: str  # the keyword, with "if" for "elif"
    start: int  # of the keyword
    colon: int
    end: int  # of the block
    parts: tuple[ast.AST, ...]  # what runs as the header
    label: str  # what else the header says: a name, "async"
    body: list[ast.stmt]


class NoPlace(Exception):
    """Where a part of a text stands cannot be told."""


class Layout:
    """A parsed text. NoPlace for a coding in which a letter is written in more than one way."""

    def __init__(self, source: bytes, tree: ast.Module) -> None:
        self.tree = tree
        encoding = _encoding(source)
        self._shift = 3 if source.startswith(codecs.BOM_UTF8) else 0
        self._encoding = None if encoding == "utf-8" else encoding
        self.code = source[self._shift :]
        if self._encoding is not None:
            text = source.decode(self._encoding)
            letters = Counter(text)
            size = sum(len(letter.encode(self._encoding)) * count for letter, count in letters.items())
            if text.encode(self._encoding) != source or size != len(source):
                raise NoPlace
            self.code = text.encode()
        self._starts = [0, *(found.end() for found in _NEWLINE.finditer(self.code))]
        found = _NEWLINE.search(self.code)
        self.newline = found.group() if found else b"\n"

    def original(self, span: Span) -> Span:
        """Give a span and its text as the file holds them; UnicodeError if its coding lacks a letter."""
        start, end, text = span
        if self._encoding is None:
            return start + self._shift, end + self._shift, text
        first = len(self.code[:start].decode().encode(self._encoding))
        size = len(self.code[start:end].decode().encode(self._encoding))
        return first, first + size, text.decode().encode(self._encoding)

    # Places

    def offset(self, line: int, column: int) -> int:
        """Turn a line (from 1) and a column in bytes (from 0) into an offset."""
        return self._starts[line - 1] + column

    def line(self, offset: int) -> int:
        """Give the line (from 1) of an offset, the last one for the end of the text."""
        found = bisect_right(self._starts, offset)
        return found - 1 if found > 1 and self._starts[found - 1] == len(self.code) else found

    def line_start(self, offset: int) -> int:
        """Give where the line of an offset starts."""
        return self._starts[bisect_right(self._starts, offset) - 1]

    def next_line(self, offset: int) -> int:
        """Give where the line after that of an offset starts, or the end of the text."""
        found = bisect_right(self._starts, offset)
        return self._starts[found] if found < len(self._starts) else len(self.code)

    def start(self, node: ast.AST) -> int:
        """Give where a node starts, a definition at its first decorator."""
        if isinstance(node, Definition) and node.decorator_list:
            return self.code.rfind(b"@", 0, self.start(node.decorator_list[0]))
        assert isinstance(node, _Placed)
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.AST) -> int:
        """Give where a node ends."""
        assert isinstance(node, _Placed)
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def range(self, nodes: Iterable[ast.AST]) -> Range:
        """Give where the first of some nodes starts and the last of them ends."""
        found = list(nodes)
        return self.start(found[0]), self.end(found[-1])

    def text(self, place: Range) -> bytes:
        """Give the code of a range."""
        return self.code[place[0] : place[1]]

    def words(self, place: Range) -> Counter[bytes]:
        """Count the words of a range."""
        return Counter(_WORD.findall(self.code, *place))

    def signs(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Give the brackets, commas, colons and words between two nodes, comments left out."""
        for found in _SIGN.finditer(self.code, start, end):
            if not found.group().startswith(b"#"):
                yield found.start(), found.group()

    # Lines

    def indent(self, offset: int) -> bytes | None:
        """Give what stands before the first statement of a line, or None for a later one on its line."""
        start = self.line_start(offset)
        before = self.code[start:offset]
        continued = self.code[max(start - 3, 0) : start].rstrip(b"\r\n").endswith(b"\\")
        return None if continued or before.strip(b" \t\f") else before

    def ends_line(self, offset: int) -> bool:
        """Say whether nothing but a comment follows on the line."""
        return _REST.match(self.code, offset) is not None

    def logical_lines(self, body: Iterable[ast.stmt]) -> list[int]:
        """Give where the lines start on which a statement of a block, or a clause of one, starts."""
        found: set[int] = set()
        stack: list[ast.stmt] = list(body)
        while stack:
            node = stack.pop()
            found.add(self.line_start(self.start(node)))
            if isinstance(node, Definition):
                found |= {self.line_start(self.start(decorator)) for decorator in node.decorator_list}
            if isinstance(node, Compound):
                for clause in self.clauses(node):
                    found.add(self.line_start(clause.start))
                    stack += clause.body
        return sorted(found)

    def moved(self, place: Range, nodes: Iterable[ast.AST], indent: bytes, newline: bytes) -> bytes:
        """Give the code of a range at another indentation; the inner lines of strings stay as they are."""
        start, end = place
        before = self.indent(start)
        if before is None:
            before = b""
        kept = {line for node in nodes for line in _string_lines(node)}
        first = self.line(start)
        lines = _NEWLINE.split(self.code[start:end])
        for number, line in enumerate(lines[1:], first + 1):
            if number not in kept and line.startswith(before) and line.strip(b" \t\f"):
                lines[number - first] = indent + line[len(before) :]
        return newline.join(lines)

    # Clauses

    def clauses(self, node: Compound) -> list[Clause]:
        """Take a compound statement apart; an `elif` chain, however long, is one statement."""
        kind, label, parts, first = _first_clause(node)
        start = self.offset(node.lineno, node.col_offset)
        found = [self._clause(kind, start, parts, first, label, _silent_parts(node))]
        match node:
            case ast.If():
                while len(node.orelse) == 1 and isinstance(inner := node.orelse[0], ast.If):
                    start = self.start(inner)
                    if not self.code.startswith(b"elif", start):
                        break
                    node = inner
                    found.append(self._clause("if", start, (node.test,), node.body))
                self._add_word(found, "else", node.orelse)
            case ast.While() | ast.For() | ast.AsyncFor():
                self._add_word(found, "else", node.orelse)
            case ast.Try() | ast.TryStar():
                for handler in node.handlers:
                    caught = (handler.type,) if handler.type else ()
                    start = self.start(handler)
                    star = "*" if isinstance(node, ast.TryStar) else ""
                    found.append(self._clause("except", start, caught, handler.body, f"{star}{handler.name}"))
                self._add_word(found, "else", node.orelse)
                self._add_word(found, "finally", node.finalbody)
            case ast.Match():
                for case in node.cases:
                    tests = (case.pattern, case.guard) if case.guard else (case.pattern,)
                    self._add_word(found, "case", case.body, tests)
        return found

    def _clause(
        self,
        kind: str,
        start: int,
        parts: tuple[ast.AST, ...],
        body: list[ast.stmt],
        label: str = "",
        silent: tuple[ast.AST, ...] = (),
    ) -> Clause:
        colon = self._sign(max([start, *(self._last(part) for part in parts + silent)]), b":")
        return Clause(kind, start, colon, self.end(body[-1]) if body else colon + 1, parts, label, body)

    def _add_word(
        self, found: list[Clause], kind: str, body: list[ast.stmt], parts: tuple[ast.AST, ...] = ()
    ) -> None:
        if body:
            start = self._sign(found[-1].end, kind.encode())
            found.append(self._clause(kind, start, parts, body))

    def _sign(self, start: int, wanted: bytes) -> int:
        for offset, sign in self.signs(start, len(self.code)):
            if sign == wanted:
                return offset
        raise NoPlace

    def _last(self, part: ast.AST) -> int:
        """Give where a part of a header ends; `arguments` and `withitem` end with their children."""
        if getattr(part, "end_lineno", None) is not None:
            return self.end(part)
        return max((self._last(child) for child in ast.iter_child_nodes(part)), default=0)


def _encoding(source: bytes) -> str:
    """Name the coding; a comment that is no UTF-8 does not keep the interpreter from taking it for that."""
    try:
        found, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError:
        return "utf-8"
    return "utf-8" if found == "utf-8-sig" else found


def _first_clause(node: Compound) -> tuple[str, str, tuple[ast.AST, ...], list[ast.stmt]]:
    """Give kind, label, parts of the header and body of what a compound statement begins with."""
    label = "async" if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith) else ""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "def", f"{label} {node.name}", (node.args,), node.body
        case ast.ClassDef():
            return "class", node.name, (*node.bases, *node.keywords), node.body
        case ast.If():
            return "if", "", (node.test,), node.body
        case ast.While():
            return "while", "", (node.test,), node.body
        case ast.For() | ast.AsyncFor():
            return "for", label, (node.target, node.iter), node.body
        case ast.With() | ast.AsyncWith():
            return "with", label, tuple(node.items), node.body
        case ast.Try() | ast.TryStar():
            return "try", "", (), node.body
        case ast.Match():
            return "match", "", (node.subject,), []


def _silent_parts(node: Compound) -> tuple[ast.AST, ...]:
    """Give what a header says to readers alone."""
    returns = getattr(node, "returns", None)
    return (*getattr(node, "type_params", ()), *((returns,) if returns else ()))


def _string_lines(node: ast.AST) -> Iterator[int]:
    """Give the lines that start inside a string (or between two parts of one, where it does not matter)."""
    for inner in ast.walk(node):
        match inner:
            case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
                pass
            case ast.expr() if type(inner).__name__ == "TemplateStr":
                pass
            case _:
                continue
        yield from range(inner.lineno + 1, (inner.end_lineno or inner.lineno) + 1)
