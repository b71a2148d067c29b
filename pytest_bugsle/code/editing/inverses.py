"""The inverse of a change, kept so that it can be put into later versions of the file.  PYTEST_DONT_REWRITE

An inverse holds the statements that the change put in, those that stood there before, and what stands above
and below. It finds its place by scope and shape, so that formatting, comments, line numbers and statements
elsewhere may have changed since; where two places fit and no neighbour decides, it does not apply.

A compound statement whose block is another one is not kept as a whole: its header is an inverse of its own,
and so is each change inside. Texts that are no Python are kept as blocks of lines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from pytest_bugsle.code.editing.blocks import (
    Compound,
    Definition,
    Source,
    blocks_of,
    clauses_of,
    head_of,
    headed,
    known_as,
    neighbour_of,
    read,
)
from pytest_bugsle.code.editing.layout import Layout, NoPlace
from pytest_bugsle.code.syntax import parse, reads_annotations, same_code, shape

Form = Literal["block", "header", "lines", "file"]

_REST_OF_LINE = re.compile(rb"[^\r\n]*")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Inverse:
    """One change backwards: put `old` where `new` stands, or where it stood between `above` and `below`.

    `block` and `header` are Python: dedented statements, or the head of a compound one, within `scope`
    (`Class.method`, empty for the module); either of `new` and `old` may be empty. `lines` is any text.
    `file` is a whole file by the names of its blobs, and for the reader of the repository to put back.
    """

    form: Form
    scope: str
    new: str
    old: str
    above: str = ""
    below: str = ""


def inverses_of(old: bytes, new: bytes, *, python: bool = True) -> tuple[Inverse, ...]:
    """Return what takes the change `old` -> `new` back; put back into `new` they give the code of `old`.

    Nothing where both do the same, and where the change cannot be kept in this way (a binary file).
    """
    if python and parse(old) is not None and parse(new) is not None:
        if same_code(old, new):
            return ()
        try:
            found = _Difference(Source(old), Source(new)).all()
        except (NoPlace, RecursionError):
            found = ()
        again, applied = put_all(new, found)
        if all(applied) and same_code(old, again):
            return found
    if old == new or b"\0" in old or b"\0" in new:
        return ()
    for apart in (True, False):
        found = tuple(_line_inverses(old, new, apart=apart))
        again, applied = put_all(new, found)
        if all(applied) and again == old:
            return found
    return ()


def put_all(text: bytes, inverses: Sequence[Inverse]) -> tuple[bytes, tuple[bool, ...]]:
    """Put into `text` all inverses that apply, and say of each whether it did.

    One may only find its place once its neighbour is back, so that they are tried until none applies.
    """
    applied = [False] * len(inverses)
    progress = True
    while progress:
        progress = False
        for index in reversed(range(len(inverses))):
            if not applied[index] and (put := put_inverse(text, inverses[index])) is not None:
                text, applied[index], progress = put, True, True
    return text, tuple(applied)


def put_inverse(text: bytes, inverse: Inverse) -> bytes | None:
    """Return `text` with the change taken back; None where it no longer applies."""
    if inverse.form == "lines":
        put = _put_lines(text, inverse)
        broken = put is not None and parse(text) is not None and parse(put) is None
        return None if broken else put
    if inverse.form == "file" or inverse.new == inverse.old or parse(text) is None:
        return None
    try:
        source = Source(text)
        edit = _place(source, inverse)
        if edit is None or edit.replacement is None:
            return None
        start, end, put = source.layout.original((edit.start, edit.end, edit.replacement))
    except (NoPlace, UnicodeError, RecursionError):
        return None
    result = text[:start] + put + text[end:]
    return result if result != text and parse(result) is not None else None


def _place(source: Source, inverse: Inverse) -> _Edit | None:
    """Return the one place where an inverse fits best."""
    for scopes in _scopes(source.tree, inverse.scope):
        edits = (_headers if inverse.form == "header" else _blocks)(source, scopes, inverse)
        if edits:
            most = max(edit.fits for edit in edits)
            best, *others = (edit for edit in edits if edit.fits == most)
            return None if others else best
    return None


@dataclass(frozen=True, slots=True)
class _Edit:
    """A place where an inverse fits, by how many neighbours, and what to write there (None: it cannot be)."""

    start: int
    end: int
    replacement: bytes | None
    fits: int


class _Difference:
    """Two texts, aligned statement by statement from the outside in."""

    def __init__(self, old: Source, new: Source) -> None:
        self.old = old
        self.new = new

    def all(self) -> tuple[Inverse, ...]:
        return tuple(self._between(self.old.tree.body, self.new.tree.body, "") or ())

    def _between(
        self, olds: list[ast.stmt], news: list[ast.stmt], scope: str, *, reads: bool = False
    ) -> list[Inverse] | None:
        """Return the inverses of one block; None where it can only be put back with what is around it."""
        before = [_identity(node, reads) for node in olds]
        after = [_identity(node, reads) for node in news]
        found: list[Inverse] = []
        for tag, low, high, start, stop in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            x, y = low, start
            for i, j in [*_pairs(olds[low:high], news[start:stop]), (high - low, stop - start)]:
                gap = self._gap(olds[x : low + i], news, y, start + j, scope, reads=reads)
                if gap is None:
                    return None
                found += gap
                x, y = low + i + 1, start + j + 1
                if low + i == high:
                    break
                within = self._within(olds[x - 1], news, y - 1, scope)
                if within is None:
                    within = self._gap(olds[x - 1 : x], news, y - 1, y, scope, reads=reads)
                if within is None:
                    return None
                found += within
        return found

    def _gap(
        self, olds: list[ast.stmt], block: list[ast.stmt], start: int, stop: int, scope: str, *, reads: bool
    ) -> list[Inverse] | None:
        """Return the inverse that puts `olds` where `block[start:stop]` stands."""
        news = block[start:stop]
        if not olds and not news:
            return []
        if any(body and source.is_elif(body[0]) for source, body in ((self.old, olds), (self.new, news))):
            return None
        old, new = self.old.text(olds), self.new.text(news)
        if not reads and same_code(old.encode(), new.encode()):
            return []
        above = self.new.headline(block[start - 1]) if start else ""
        below = self.new.headline(block[stop]) if stop < len(block) else ""
        return [Inverse("block", scope, new, old, above, below)]

    def _within(self, old: ast.stmt, block: list[ast.stmt], at: int, scope: str) -> list[Inverse] | None:
        """Return the inverses inside a compound statement that both texts have."""
        new = block[at]
        ours, theirs = self.old.heads(old), self.new.heads(new)
        if len(ours) != len(theirs):
            return None
        inner = f"{scope}.{new.name}".lstrip(".") if isinstance(new, Definition) else scope
        found: list[Inverse] = []
        for a, b in zip(ours, theirs, strict=True):
            before, after = blocks_of(a[0]), blocks_of(b[0])
            if before.keys() != after.keys():
                return None
            if head_of(a[0]) != head_of(b[0]):
                above = self.new.headline(block[at - 1]) if at and b[0] is new else ""
                below = self.new.headline(after["body"][0]) if after else ""
                header = self.new.head_text(b), self.old.head_text(a)
                found.append(Inverse("header", scope, *header, above, below))
            reads = isinstance(b[0], ast.ClassDef) and reads_annotations(b[0])
            for field, body in before.items():
                deeper = self._between(body, after[field], inner, reads=reads)
                if deeper is None:
                    return None
                found += deeper
        return found


def _identity(node: ast.stmt, reads: bool) -> str:
    annotation = shape(node.annotation) if reads and isinstance(node, ast.AnnAssign) else ""
    return f"{shape(node)} {annotation}"


def _pairs(olds: list[ast.stmt], news: list[ast.stmt]) -> list[tuple[int, int]]:
    """Pair the compound statements that are the same one, changed: by name, or by what they share."""
    found: list[tuple[int, int]] = []
    next_new = 0
    for i, old in enumerate(olds):
        for j in range(next_new, len(news)):
            if _is_same(old, news[j]):
                found.append((i, j))
                next_new = j + 1
                break
    return found


def _is_same(old: ast.stmt, new: ast.stmt) -> bool:
    if type(old) is not type(new) or not isinstance(old, Compound):
        return False
    if isinstance(old, Definition) and isinstance(new, Definition):
        return old.name == new.name
    if not isinstance(old, ast.Try | ast.TryStar) and head_of(old) == head_of(new):
        return True
    return not _shapes(old).isdisjoint(_shapes(new))


def _shapes(node: ast.AST) -> set[str]:
    holders: list[ast.AST] = [node, *clauses_of(node)]
    return {shape(inner) for holder in holders for block in blocks_of(holder).values() for inner in block}


def _scopes(tree: ast.Module, wanted: str) -> Iterator[list[ast.AST]]:
    """Yield the definitions of a scope, then those elsewhere with its last name."""
    if not wanted:
        yield [tree]
        return
    named: dict[str, list[ast.AST]] = {}
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, scope = stack.pop()
        for child in ast.iter_child_nodes(node):
            name = f"{scope}.{child.name}".lstrip(".") if isinstance(child, Definition) else scope
            if isinstance(child, Definition):
                named.setdefault(name, []).append(child)
            if not isinstance(child, ast.expr):
                stack.append((child, name))
    own = named.pop(wanted, [])
    yield own
    if own:
        return  # it is there, and was written anew: a namesake elsewhere is another function
    last = wanted.rpartition(".")[2]
    yield [node for name, nodes in named.items() if name.rpartition(".")[2] == last for node in nodes]


def _inner_blocks(scopes: list[ast.AST]) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of a scope, without those of the definitions in it."""
    stack = list(scopes)
    while stack:
        node = stack.pop()
        for block in blocks_of(node).values():
            yield block
            stack += [inner for inner in block if not isinstance(inner, Definition)]
        stack += clauses_of(node)


def _blocks(source: Source, scopes: list[ast.AST], inverse: Inverse) -> list[_Edit]:
    """Return the places where the statements stand, or, where there are none, stood."""
    wanted = [shape(node) for node in read(inverse.new)]
    if bool(wanted) != bool(inverse.new) or bool(read(inverse.old)) != bool(inverse.old):
        return []  # a ledger may hold anything
    above, below = known_as(inverse.above), known_as(inverse.below)
    found = []
    for block in _inner_blocks(scopes):
        shapes = [shape(node) for node in block] if wanted else []
        for at in range(len(block) - len(wanted) + 1):
            if shapes[at : at + len(wanted)] != wanted:
                continue
            stop = at + len(wanted)
            near = [
                (above, neighbour_of(block[at - 1]) if at else ""),
                (below, neighbour_of(block[stop]) if stop < len(block) else ""),
            ]
            fits = sum(known == there for known, there in near)
            if wanted:
                found.append(_replaced(source, block[at:stop], inverse.old, fits))
            elif fits == len(near) or any(known and known == there for known, there in near):
                after = bool(above) and near[0][0] == near[0][1]
                found.append(
                    _inserted(source, block[at - 1 if after else at], inverse.old, fits, after=after)
                )
    return found


def _replaced(source: Source, body: list[ast.stmt], old: str, fits: int) -> _Edit:
    start, end = source.layout.range(body)
    text, indent = old or "pass", source.layout.indent(start)
    # Beside another statement on one line there is only room for a short one.
    short = "\n" not in text and not any(isinstance(node, Compound) for node in read(text))
    if source.is_elif(body[0]) or not (short or (indent is not None and source.layout.ends_line(end))):
        return _Edit(start, end, None, fits)
    return _Edit(start, end, _indented(source, text, indent or b""), fits)


def _inserted(source: Source, neighbour: ast.stmt, old: str, fits: int, *, after: bool) -> _Edit:
    start, end = source.layout.range([neighbour])
    place, indent = end if after else start, source.layout.indent(start)
    if indent is None or (after and not source.layout.ends_line(end)) or source.is_elif(neighbour):
        return _Edit(place, place, None, fits)
    text, newline = _indented(source, old, indent), source.layout.newline
    if not after:
        return _Edit(start, start, text + newline + indent, fits)
    comment = _REST_OF_LINE.match(source.layout.code, end)
    place = comment.end() if comment else end
    return _Edit(place, place, newline + indent + text, fits)


def _headers(source: Source, scopes: list[ast.AST], inverse: Inverse) -> list[_Edit]:
    """Return the compound statements and clauses that have the header."""
    wanted = headed(inverse.new)
    if wanted is None or headed(inverse.old) is None:
        return []
    above, below = known_as(inverse.above), known_as(inverse.below)
    found = []
    for block in _inner_blocks(scopes):
        for at, statement in enumerate(block):
            if not any(head_of(node) == head_of(wanted) for node in (statement, *clauses_of(statement))):
                continue
            over = neighbour_of(block[at - 1]) if at else ""
            for node, start, end in source.heads(statement):
                if head_of(node) != head_of(wanted):
                    continue
                first = next(iter(blocks_of(node).values()), [])
                fits = (above == (over if node is statement else "")) + (
                    below == neighbour_of(first[0]) if first else 0
                )
                text = _indented(source, inverse.old, source.layout.indent(start) or b"")
                found.append(
                    _Edit(start, end, b"el" * source.layout.code.startswith(b"elif", start) + text, fits)
                )
    return found


def _indented(source: Source, text: str, indent: bytes) -> bytes:
    """Return kept code as it stands at an indentation."""
    code = text.encode()
    layout = Layout(code, ast.Module([], []))
    return layout.moved((0, len(layout.code)), read(text), indent, source.layout.newline)


def _line_inverses(old: bytes, new: bytes, *, apart: bool) -> Iterator[Inverse]:
    """Yield a block of lines for each change, or, not `apart`, one for all of them."""
    before, after = (_LINE.findall(_text(side)) for side in (old, new))
    opcodes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    blocks = [places for tag, *places in opcodes if tag != "equal"]
    if not apart:
        blocks = [[blocks[0][0], blocks[-1][1], blocks[0][2], blocks[-1][3]]]
    for low, high, start, stop in blocks:
        above = "".join(after[max(start - _CONTEXT, 0) : start])
        below = "".join(after[stop : stop + _CONTEXT])
        yield Inverse("lines", "", "".join(after[start:stop]), "".join(before[low:high]), above, below)


def _put_lines(text: bytes, inverse: Inverse) -> bytes | None:
    """Put lines back where they stand with their neighbours, or, alone, only once."""
    whole = _text(text)
    around = [(inverse.above, inverse.below), *([("", "")] if inverse.new.strip() else [])]
    for above, below in around:
        wanted = above + inverse.new + below
        if wanted and whole.count(wanted) == 1:
            put = whole.replace(wanted, above + inverse.old + below)
            try:
                return put.encode("utf-8", "surrogateescape") if put != whole else None
            except UnicodeEncodeError:
                return None  # a ledger may hold anything
    return None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
