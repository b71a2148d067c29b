"""Parse source texts without ever failing, and compare what they do.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

LARGEST = 4_000_000
"""Bytes; a longer text is generated, and would cost a gigabyte as a tree."""

_NEWLINE = re.compile(r"\r\n|\r|\n")
_VERSION_NAMES = frozenset({"__version__", "__version_info__"})
# Fields that change nothing at run time, or only what an annotation says.
_SILENT = frozenset(
    {"annotation", "returns", "type_comment", "type_ignores", "type_params", "ctx", "kind", "simple"}
)
_BLOCKS = frozenset({"body", "orelse", "finalbody"})


@lru_cache(
    maxsize=8
)  # a tree takes some hundred times its text; the two sides of a change are asked of together
def parse(source: bytes) -> ast.Module | None:
    """Parse `source` as this interpreter would, or give None; treat the tree as read-only, it is shared."""
    if len(source) > LARGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError):
        return None


def decode(source: bytes) -> str:
    """Decode by byte order mark or coding line, and as UTF-8 with escapes where that is not possible."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError, ValueError):
        return source.decode("utf-8", "surrogateescape")


def lines_of(source: bytes) -> list[str]:
    """Split into lines where the interpreter does; `str.splitlines` also splits at form feeds."""
    return _NEWLINE.split(decode(source))


def same_code(old: bytes, new: bytes, *, ignore_version: bool = True) -> bool:
    """Say whether both texts do the same: comments, formatting, docstrings and annotations aside."""
    if old == new:
        return True
    before, after = parse(old), parse(new)
    if before is None or after is None:
        return False
    left, right = _doing(before, ignore_version), _doing(after, ignore_version)
    if len(left) != len(right):
        return False
    # Most statements of a changed file are the same letter by letter: writing down what they do can wait.
    ours, theirs = lines_of(old), lines_of(new)
    return all(
        _text(one, ours) == _text(other, theirs) or shape(one) == shape(other)
        for one, other in zip(left, right, strict=True)
    )


def _doing(module: ast.Module, ignore_version: bool) -> list[ast.stmt]:
    return list(behaving(s for s in module.body if not (ignore_version and is_version(s))))


def _text(node: ast.stmt, lines: Sequence[str]) -> tuple[int, int | None, list[str]]:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    return node.col_offset, node.end_col_offset, list(lines[first - 1 : node.end_lineno])


def is_version(statement: ast.stmt) -> bool:
    """Say whether a statement only says which version this is."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in _VERSION_NAMES
    return False


def shape(node: ast.AST, *, name: bool = True) -> str:
    """Write down what `node` does, equal for equal behaviour; without its own name if not `name`.

    The walk keeps its own stack: a chain of a thousand operators must not end in a RecursionError.
    """
    parts: list[str] = []
    stack: list[object] = [node]
    nameless = None if name else node
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            label, fields = _described(item, item is nameless)
            parts.append(label)
            stack.append(_CLOSE)
            stack.extend(reversed(fields))
        elif isinstance(item, list):
            parts.append("[")
            stack.append(_CLOSE)
            stack.extend(reversed(item))
        elif isinstance(item, _Field):
            parts.append("Field")
            stack.extend((item.statement.value, item.statement.annotation, item.statement.target))
        elif item is _CLOSE:
            parts.append(")")
        else:
            parts.append(_constant(item))
    return " ".join(parts)


_CLOSE = object()


@dataclass(frozen=True, slots=True)
class _Field:
    """An annotated name whose annotation a decorator or a base class may read."""

    statement: ast.AnnAssign


def _constant(value: object) -> str:
    # Decimal digits of a huge integer raise ValueError; `True`, `1` and `1.0` are equal but not the same.
    return f"{type(value).__name__}:{hex(value) if type(value) is int else repr(value)}"


def _described(node: ast.AST, nameless: bool) -> tuple[str, list[object]]:
    match node:
        case ast.Constant():
            return "Constant", [node.value]
        case ast.AnnAssign():
            return "Assign", [[node.target], node.value]
    fields: list[object] = []
    for field in node._fields:
        if field in _SILENT or (nameless and field == "name"):
            continue
        value: object = getattr(node, field, None)
        if field in _BLOCKS and isinstance(value, list):
            reads = isinstance(node, ast.ClassDef) and reads_annotations(node)
            value = [
                _Field(s) if reads and isinstance(s, ast.AnnAssign) else s
                for s in behaving(value, annotations=reads)
            ]
        fields.append(value)
    return type(node).__name__, fields


def reads_annotations(node: ast.ClassDef) -> bool:
    """Say whether a decorator or a base (dataclass, NamedTuple, a model) may turn annotations into fields."""
    return bool(node.decorator_list or node.bases or node.keywords)


def behaving(body: Iterable[ast.stmt], *, annotations: bool = False) -> Iterator[ast.stmt]:
    """Give the statements of a block that do something at run time, in order."""
    for statement in body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case ast.AnnAssign(value=None) if not annotations:
                continue
            case ast.ImportFrom(module=("typing" | "__future__"), level=0):
                continue
            case ast.Import(names=names) if all(alias.name == "typing" for alias in names):
                continue
            case ast.If(test=test, orelse=orelse) if is_type_checking(test):
                yield from behaving(orelse, annotations=annotations)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if is_overload(statement):
                continue
            case _:
                yield statement


def is_type_checking(test: ast.expr) -> bool:
    """Say whether a condition is `TYPE_CHECKING`, which is false whenever code runs."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a definition is a `typing.overload`, which the real one replaces."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Name(id="overload") | ast.Attribute(attr="overload"):
                return True
    return False
