"""Cut source texts into logical lines of tokens, and say which lines have one shape.  PYTEST_DONT_REWRITE

A pattern of our own in place of `tokenize`: that is twenty times slower, and it gives up at the first
text of another Python. What no compiler would take is cut as well as may be.
"""

from __future__ import annotations

import builtins
import keyword
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from pytest_bugsle.code.syntax import decode

LARGEST = 1_000_000
"""Bytes; a longer text is data or generated."""

KEYWORDS = frozenset(keyword.kwlist)
BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_")) | {"self", "cls"}

# Every alternative takes what it began, to the end of the line or the text at worst: an open quote is
# never tried twice, and time stays linear.
_TOKEN = re.compile(
    r"\n[ \t\f]*"
    r"|\\\n"
    r"|\#[^\n]*"
    r'|(?:[bfrtu]|[bft]r|r[bft])?(?:"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+(?:\'\'\'|\Z)'
    r'|"(?:[^"\\\n]|\\.)*+"?|\'(?:[^\'\\\n]|\\.)*+\'?)'
    r"|[^\W\d]\w*"
    r"|\.?\d(?:[eE][+-](?=\d)|[\w.])*"
    r"|\.\.\.|\*\*=|//=|>>=|<<=|->|:=|<>|[-+*/%&|^@<>=!]=|\*\*|//|<<|>>|[^\s\w]",
    re.DOTALL | re.IGNORECASE,
)
_QUOTED = re.compile(r"(?i:[bfrtu]{0,2})[\"']")
_WORD = re.compile(r"[^\W\d]\w{3,}")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
# No expression begins with one of these: at the start of a line they end a bracket that was never closed.
_STARTS = frozenset({"class", "def", "del", "import", "raise", "return", "try", "while"})
_COMPOUND = frozenset(
    {"async", "class", "def", "elif", "else", "except", "finally", "for", "if", "try", "while", "with"}
)
_GENERATED = re.compile(
    r"^(?:\#|//|[rR]?\"\"\"|''').*(?:\bgenerated\b.{0,20}\b(?:by|from)\b|\bdo not (?:edit|modify)\b|@generated)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER = 1500
_LONG_LINES = 400
"""Characters a line, on average, from which a text is taken for packed data."""


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """A simple statement, or the header of a compound one: its physical lines, indentation and tokens."""

    line: int
    last: int
    indent: int
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The shapes of a text's logical lines in order, and its words; 32 bits each."""

    shapes: array[int]
    words: array[int]


def logical_lines(text: str) -> list[LogicalLine]:
    """Cut a text into logical lines, without comments, docstrings, imports and annotations.

    Blocks on the line of their header, and statements behind a semicolon, get a line of their own. The
    quotes of a string, and a comma before a closing bracket, are a matter of taste and left out.
    """
    found: list[LogicalLine] = []
    tokens: list[str] = []
    brackets: list[tuple[bool, int]] = []  # is it a call or a subscript, and where does it begin
    line = first = last = 1
    indent, fresh = 0, True
    for piece in _TOKEN.findall(_plain(text)):
        start = piece[0]
        if start == "\n":
            line += 1
            fresh = True
            if not brackets:
                if tokens:
                    _end(found, tokens, first, last, indent)
                    tokens = []
                indent = len(piece.expandtabs(8)) - 1
            continue
        if start == "#":
            continue
        if start == "\\" and len(piece) > 1:
            line += 1
            continue
        if fresh and brackets and piece in _STARTS:
            _end(found, tokens, first, last, indent)
            tokens, brackets = [], []
        fresh = False
        if not tokens:
            first = line
        if start in "\"'" or (piece[-1] in "\"'" and _QUOTED.match(piece)):
            line += piece.count("\n")
            piece = _string(piece)
            if tokens and tokens[-1][0] == '"':  # strings side by side are one
                piece = tokens.pop() + piece
        elif piece in _OPENING:
            brackets.append((bool(tokens) and _ends_operand(tokens[-1]), len(tokens)))
        elif piece in _CLOSING and brackets:
            called, began = brackets.pop()
            # `(x,)` is a tuple and `(x)` is not.
            if tokens[-1] == "," and (called or piece != ")" or "," in tokens[began:-1]):
                tokens.pop()
        last = line
        tokens.append(piece)
    if tokens:
        _end(found, tokens, first, last, indent)
    return found


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _string(piece: str) -> str:
    """Write a string in one kind of quotes, with what its prefix changes."""
    head = _QUOTED.match(piece)
    assert head is not None
    prefix, quote = head[0][:-1].lower().replace("u", ""), head[0][-1]
    body = piece[head.end() - 1 :]
    width = 3 if body.startswith(quote * 3) else 1
    return f'"{prefix}:{body[width : -width if len(body) >= 2 * width else None]}'


def _ends_operand(piece: str) -> bool:
    return piece in {")", "]"} or (piece[0].isidentifier() and piece not in KEYWORDS)


def _end(found: list[LogicalLine], tokens: list[str], first: int, last: int, indent: int) -> None:
    start = tokens[0]
    if start in {"import", "from"} or (start[0] == '"' and len(tokens) == 1):
        return
    is_compound = start in _COMPOUND
    several = ";" in tokens or (is_compound and tokens[-1] != ":")
    for index, part in enumerate(_parts(tokens) if several else (tokens,)):
        if ":" in part:
            part = _without_annotations(part)
        if part:
            found.append(LogicalLine(first, last, indent + (is_compound and index > 0), tuple(part)))


def _parts(tokens: list[str]) -> Iterator[list[str]]:
    """Part `if x: y` behind the colon, and `x; y` at the semicolon."""
    depth = lambdas = 0
    header = tokens[0] in _COMPOUND
    part: list[str] = []
    for piece in tokens:
        depth += (piece in _OPENING) - (piece in _CLOSING)
        if depth == 0 and piece == ";":
            if part:
                yield part
            part = []
            continue
        part.append(piece)
        if depth == 0 and piece == "lambda":
            lambdas += 1
        elif depth == 0 and piece == ":":
            if lambdas:
                lambdas -= 1
            elif header:
                yield part
                part, header = [], False
    if part:
        yield part


def _without_annotations(tokens: list[str]) -> list[str]:
    if "def" in tokens[:2]:
        return _bare_header(tokens)
    if tokens[0] in KEYWORDS or tokens[-1] == ":":
        return tokens
    depth = 0
    for index, piece in enumerate(tokens):
        depth += (piece in _OPENING) - (piece in _CLOSING)
        if depth == 0 and piece in {"=", "lambda"}:
            break
        if depth == 0 and piece == ":":
            rest = tokens[index:]
            return tokens[:index] + rest[rest.index("=") :] if "=" in rest else []
    return tokens


def _bare_header(tokens: list[str]) -> list[str]:
    kept: list[str] = []
    depth = 0
    skipping = False
    for piece in tokens[:-1]:
        depth += (piece in _OPENING) - (piece in _CLOSING)
        if depth == 0 and piece == "->":
            break
        if depth == 1 and piece == ":" and "lambda" not in kept:
            skipping = True
        elif depth == 0 or (depth == 1 and piece in {",", "="}):
            skipping = False
        if not skipping:
            kept.append(piece)
    return [*kept, tokens[-1]]


def is_name(token: str) -> bool:
    """Say whether a token is an identifier."""
    return token[0].isidentifier() and token not in KEYWORDS


def is_literal(token: str) -> bool:
    """Say whether a token is a string or a number."""
    return token[0] == '"' or token[0].isdigit() or (token[0] == "." and token[1:2].isdigit())


class _Abstract(dict[str, str]):
    """What stands for a token in a shape: names are alike, and so are literals."""

    def __missing__(self, token: str) -> str:
        kind = "n" if is_name(token) else "l" if is_literal(token) else token
        if len(token) < 40 and len(self) < 100_000:
            self[token] = kind
        return kind


_ABSTRACT = _Abstract()


def shape(tokens: Iterable[str]) -> int:
    """Give a number that lines have in common which differ in names and literals alone."""
    return zlib.crc32(" ".join([_ABSTRACT[token] for token in tokens]).encode("utf-8", "surrogatepass"))


def words(tokens: Iterable[str]) -> Iterator[str]:
    """Give the identifiers of a line, and the words in its strings, from four letters on."""
    for token in tokens:
        if token[0] == '"' or len(token) > 3:
            yield from _WORD.findall(token)


def word_hash(word: str) -> int:
    """Give the number that stands for a word in a fingerprint."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


def fingerprint(source: bytes) -> Fingerprint:
    """Take the fingerprint of a text; that of generated, packed and huge ones is empty."""
    lines = readable_lines(source)
    texts = {token for line in lines for token in line.tokens}
    return Fingerprint(
        array("I", [shape(line.tokens) for line in lines]),
        array("I", sorted(set(map(word_hash, words(texts))))),
    )


def readable_lines(source: bytes) -> list[LogicalLine]:
    """Give the logical lines of a text that people write; none of generated, packed and huge ones."""
    if len(source) > LARGEST or b"\0" in source:
        return []
    if len(source) > _LONG_LINES * (source.count(b"\n") + source.count(b"\r") + 4):
        return []
    text = decode(source)
    return [] if _GENERATED.search(text[:_HEADER]) else logical_lines(text)


def owners(lines: list[LogicalLine]) -> list[int]:
    """Give, for each line, the index of the header of the function or class that it stands in, or -1."""
    found: list[int] = []
    stack: list[int] = []
    for index, line in enumerate(lines):
        while stack and lines[stack[-1]].indent >= line.indent:
            stack.pop()
        found.append(stack[-1] if stack else -1)
        if {"def", "class"} & set(line.tokens[:2]):
            stack.append(index)
    return found


def defined_name(line: LogicalLine) -> str:
    """Give the name that a `def` or `class` header defines, else nothing."""
    return next((name for word, name in pairwise(line.tokens[:3]) if word in {"def", "class"}), "")
