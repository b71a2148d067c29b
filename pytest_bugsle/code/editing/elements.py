"""Split a changed statement into its changed elements, where each can be put back alone.  PYTEST_DONT_REWRITE

Elements are those of list, tuple, set and dict displays, the arguments of calls, the operands of `and`
and `or`, and the names of an import.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_bugsle.code.editing.alignment import aligned, gaps, likeliest, shared
from pytest_bugsle.code.editing.layout import Layout, Range, Span
from pytest_bugsle.code.syntax import shape

_MOST_ELEMENTS = 5_000
"""Of a longer collection, a generated table, the statement is one edit."""
_DEEPEST = 40  # levels of expressions; what is nested deeper is one element
_ALIKE = 0.5
# Fields that change nothing at run time, as `shape` has it.
_SAID = frozenset({"annotation", "ctx", "kind", "simple", "type_comment"})

_DATA = (
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.List,
    ast.Tuple,
    ast.Set,
    ast.Dict,
    ast.UnaryOp,
    ast.unaryop,
    ast.BinOp,
    ast.operator,
    ast.expr_context,
)

Nodes = tuple[ast.AST, ...]


@dataclass(frozen=True, slots=True)
class Element:
    """One element that was changed, added (no `old`) or taken out (no `new`); `spans` put it back.

    `shown` where its own code says enough without the statement around it; `moved` where it only stands
    elsewhere in a collection whose order says little; `sure` where nothing else can forbid to put it back.
    """

    spans: tuple[Span, ...]
    old: Range | None
    new: Range | None
    olds: Nodes
    news: Nodes
    shown: bool
    moved: bool = False
    sure: bool = False


def changed_elements(old: Layout, new: Layout, before: ast.AST, after: ast.AST) -> list[Element] | None:
    """Give the elements in which two statements or expressions differ; None where they differ elsewhere."""
    try:
        return _Comparison(old, new, free=_lists_names(after)).descend(before, after, 0)
    except _Elsewhere:
        return None


class _Elsewhere(Exception):
    """Two expressions differ in more than elements."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How elements are written down: what joins them, and whether that may also stand after the last."""

    name: str
    joint: bytes = b", "
    trailing: bool = True


@dataclass(frozen=True, slots=True)
class _Item:
    nodes: Nodes
    place: Range
    key: str
    name: str | None  # what a changed item is known by: a dict key, a keyword


@dataclass(frozen=True, slots=True)
class _Collection:
    kind: _Kind
    items: list[_Item]
    inside: Range  # where items may stand


class _Comparison:
    def __init__(self, old: Layout, new: Layout, *, free: bool) -> None:
        self.old = old
        self.new = new
        self.free = free

    def descend(self, before: ast.AST, after: ast.AST, depth: int) -> list[Element]:
        if shape(before) == shape(after):
            return []
        if depth > _DEEPEST:
            raise _Elsewhere
        for node in (before, after):
            if isinstance(node, ast.BoolOp):
                ours, theirs = _operands(self.old, before, node.op), _operands(self.new, after, node.op)
                whole = isinstance(before, ast.BoolOp) and isinstance(after, ast.BoolOp)
                if whole or {item.key for item in ours.items} & {item.key for item in theirs.items}:
                    return self._items(ours, theirs, depth)
        if type(before) is not type(after):
            raise _Elsewhere
        found = self._head(before, after, depth)
        if found is None:
            return self._fields(before, after, depth)
        left, right = _collection(self.old, before), _collection(self.new, after)
        return found + self._items(left, right, depth)

    def _head(self, before: ast.AST, after: ast.AST, depth: int) -> list[Element] | None:
        """Compare what stands before the elements; None for what has none."""
        match before, after:
            case ast.Call(), ast.Call():
                return self.descend(before.func, after.func, depth + 1)
            case ast.ImportFrom(), ast.ImportFrom():
                if (before.module, before.level) != (after.module, after.level):
                    raise _Elsewhere
                return []
            case ((ast.List() | ast.Tuple()), (ast.List() | ast.Tuple())):
                if not isinstance(after.ctx, ast.Load):
                    raise _Elsewhere
                return []
            case ast.arguments(), ast.arguments():
                if _starred(before) != _starred(after):
                    raise _Elsewhere
                return []
            case ((ast.Set() | ast.Dict() | ast.Import()), _):
                return []
            case ast.JoinedStr(), _:
                raise _Elsewhere  # what stands inside a string has no sure place before Python 3.12
        return None

    def _fields(self, before: ast.AST, after: ast.AST, depth: int) -> list[Element]:
        found: list[Element] = []
        for field in after._fields:
            left, right = getattr(before, field, None), getattr(after, field, None)
            if field in _SAID:
                continue
            if isinstance(left, ast.AST) and isinstance(right, ast.AST):
                found += self.descend(left, right, depth + 1)
            elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
                for old, new in zip(left, right, strict=True):
                    if isinstance(old, ast.AST) and isinstance(new, ast.AST):
                        found += self.descend(old, new, depth + 1)
                    elif old != new:
                        raise _Elsewhere
            elif left != right or type(left) is not type(right):
                raise _Elsewhere
        return found

    def _items(self, left: _Collection, right: _Collection, depth: int) -> list[Element]:
        if max(len(left.items), len(right.items)) > _MOST_ELEMENTS:
            raise _Elsewhere
        pairs, changed = self._pairs(left.items, right.items)
        taken = dict(pairs)
        kept = set(taken.values())
        added = [j for j in range(len(right.items)) if j not in kept]
        deleted = [i for i in range(len(left.items)) if i not in taken]
        if right.kind.name == "call" and changed and (added or deleted):
            raise _Elsewhere
        found: list[Element] = []
        for i, j in changed:
            found += self._changed(left.items[i], right.items[j], right.kind, depth)
        removals = _removals(self.new, right, added)
        elsewhere = {left.items[i].key: i for i in deleted}
        for j in added:
            item = right.items[j]
            if item.key not in elsewhere:
                span = removals[j]
                found.append(_element((span,), None, item, right.kind))
                continue
            i = elsewhere.pop(item.key)
            deleted.remove(i)
            spans = (removals[j], self._insertion(left, right, i, pairs, added))
            free = self.free or right.kind.name in {"set", "dict", "import"}
            found.append(_element(spans, left.items[i], item, right.kind, moved=free))
        for i in deleted:
            item = left.items[i]
            span = self._insertion(left, right, i, pairs, added)
            found.append(_element((span,), item, None, right.kind))
        return found

    def _pairs(
        self, olds: Sequence[_Item], news: Sequence[_Item]
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Pair the items of both sides in order; give all pairs, and those that changed."""
        same = aligned([item.key for item in olds], [item.key for item in news])
        changed: list[tuple[int, int]] = []
        for ours, theirs in gaps(same, range(len(olds)), range(len(news))):
            named = aligned([olds[i].name or i for i in ours], [news[j].name or -1 - j for j in theirs])
            known = [(ours[i], theirs[j]) for i, j in named]
            changed += known
            for left, right in gaps(known, ours, theirs):
                if len(left) == len(right):
                    nameless = zip(left, right, strict=True)
                    changed += [(i, j) for i, j in nameless if olds[i].name is news[j].name is None]
                else:
                    likely = likeliest(left, right, lambda i, j: self._likeness(olds[i], news[j]))
                    changed += [(left[i], right[j]) for i, j in likely]
        return sorted(same + changed), sorted(changed)

    def _likeness(self, old: _Item, new: _Item) -> float:
        if old.name or new.name or type(old.nodes[0]) is not type(new.nodes[0]):
            return 0.0
        likeness = shared(self.old.words(old.place), self.new.words(new.place))
        return likeness if likeness > _ALIKE else 0.0

    def _changed(self, old: _Item, new: _Item, kind: _Kind, depth: int) -> list[Element]:
        try:
            alike = len(old.nodes) == len(new.nodes) and old.name == new.name
            if alike and (found := self.descend(old.nodes[-1], new.nodes[-1], depth + 1)):
                return found
        except _Elsewhere:
            pass
        span = (*new.place, self.old.text(old.place))
        return [_element((span,), old, new, kind)]

    def _insertion(
        self, left: _Collection, right: _Collection, i: int, pairs: list[tuple[int, int]], added: list[int]
    ) -> Span:
        """Say where an element that was taken out goes: behind its neighbour, before all that is new there."""
        at = max((new for old, new in pairs if old < i), default=-1) + 1
        text = self.old.text(left.items[i].place)
        joint, items = right.kind.joint, right.items
        if not items:
            return right.inside[0], right.inside[0], text + joint
        if at < len(items) and (right.kind.trailing or at <= _leading(added)):
            start = items[at].place[0]
            return start, start, text + joint
        end = items[at - 1].place[1]
        return end, end, joint + text


def _element(
    spans: tuple[Span, ...], old: _Item | None, new: _Item | None, kind: _Kind, *, moved: bool = False
) -> Element:
    olds, news = (item.nodes if item else () for item in (old, new))
    return Element(
        spans,
        old.place if old else None,
        new.place if new else None,
        olds,
        news,
        shown=moved or kind.name not in {"call", "operand", "parameter"},
        moved=moved,
        sure=(
            kind.name in {"list", "set", "dict"}
            or (kind.name == "tuple" and old is not None and new is not None)
        )
        and all(map(_is_data, olds + news)),
    )


def _is_data(node: ast.AST) -> bool:
    return all(isinstance(inner, _DATA) for inner in ast.walk(node))


def _leading(added: list[int]) -> int:
    """Count the new elements before the first old one."""
    return next((n for n, j in enumerate(added) if n != j), len(added))


def _removals(layout: Layout, collection: _Collection, added: list[int]) -> dict[int, Span]:
    items, kind = collection.items, collection.kind
    leading, last = _leading(added), len(items) - 1
    found: dict[int, Span] = {}
    for j in added:
        start, end = items[j].place
        if not kind.trailing and leading == len(items):
            raise _Elsewhere  # nothing would be left
        if not kind.trailing and j >= leading:
            found[j] = (items[j - 1].place[1], end, b"")
        elif not kind.trailing:
            found[j] = (start, items[j + 1].place[0], b"")
        else:
            if kind.name == "tuple" and j == 0 and last == 1 and _comma(layout, items[1].place[1]) is None:
                raise _Elsewhere  # `(b)` is no tuple
            comma = _comma(layout, end)
            found[j] = (start, end if comma is None else comma + 1, b"")
    return found


def _comma(layout: Layout, end: int) -> int | None:
    """Give where the comma behind an element stands."""
    offset, sign = next(layout.signs(end, len(layout.code)), (0, b""))
    return offset if sign == b"," else None


def _collection(layout: Layout, node: ast.AST) -> _Collection:
    groups: list[Nodes]
    if isinstance(node, ast.arguments):
        groups = _parameters(node)
        if not groups:
            raise _Elsewhere  # no place is known for the first
        inside = layout.start(groups[0][0]), len(layout.code)
        return _Collection(_Kind("parameter"), _placed(layout, groups, inside, _Kind("parameter")), inside)
    start, end = layout.range((node,))
    match node:
        case ast.Call(args=args, keywords=keywords):
            bracket = next(at for at, sign in layout.signs(layout.end(node.func), end) if sign == b"(")
            kind, inside = _Kind("call"), (bracket + 1, end - 1)
            groups = [(argument,) for argument in sorted([*args, *keywords], key=layout.start)]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            kind, inside = _Kind("import", trailing=False), (start, end)
            groups = [(name,) for name in names]
        case ast.Tuple(elts=elements):
            kind, inside, groups = _Kind("tuple"), (start, end), [(element,) for element in elements]
        case ast.List(elts=elements) | ast.Set(elts=elements):
            kind = _Kind("set" if isinstance(node, ast.Set) else "list")
            inside, groups = (start + 1, end - 1), [(element,) for element in elements]
        case ast.Dict(keys=keys, values=values):
            kind, inside = _Kind("dict"), (start + 1, end - 1)
            groups = [(k, v) if k else (v,) for k, v in zip(keys, values, strict=True)]
        case _:
            raise _Elsewhere
    if kind.name == "call" and groups and layout.end(groups[-1][0]) > inside[1]:
        raise _Elsewhere  # the brackets of a call are those of its generator
    return _Collection(kind, _placed(layout, groups, inside, kind), inside)


def _operands(layout: Layout, node: ast.AST, operator: ast.boolop) -> _Collection:
    kind = _Kind("operand", b" and " if isinstance(operator, ast.And) else b" or ", trailing=False)
    inside = layout.range((node,)) if isinstance(node, ast.expr) else (0, 0)
    if isinstance(node, ast.BoolOp) and type(node.op) is type(operator):
        groups: list[Nodes] = [(value,) for value in node.values]
    elif isinstance(node, ast.expr):
        groups = [(node,)]
    else:
        raise _Elsewhere
    return _Collection(kind, _placed(layout, groups, inside, kind), inside)


def _placed(layout: Layout, groups: list[Nodes], inside: Range, kind: _Kind) -> list[_Item]:
    """Widen each element by the brackets around it, which no node has, and by the stars of `**mapping`."""
    places = [layout.range(nodes) for nodes in groups]
    lows = [inside[0], *(end for _, end in places)]
    highs = [*(start for start, _ in places[1:]), inside[1]]
    items: list[_Item] = []
    for nodes, (start, end), low, high in zip(groups, places, lows, highs, strict=False):
        opened: list[int] = []
        for offset, sign in layout.signs(low, start):
            if sign in {b",", b"and", b"or"}:
                opened = []
            elif sign in {b"(", b"**"}:
                opened.append(offset)
        closed: list[int] = []
        for offset, sign in layout.signs(end, high):
            if sign != b")":
                break
            closed.append(offset + 1)
        # A call and a tuple have round brackets of their own, outside those of their elements.
        count = min(len(opened), len(closed))
        if kind.name == "parameter":
            between = layout.signs(layout.end(nodes[0]), layout.start(nodes[-1]))
            end = [end, *closed][sum(sign == b"(" for _, sign in between)]
        elif kind.name == "dict":
            start, end = (opened or [start])[0], (closed or [end])[-1]
        elif count:
            start, end = opened[-count], closed[count - 1]
        items.append(
            _Item(nodes, (start, end), " ".join(map(shape, nodes)) + _stars(nodes, kind), _name(nodes))
        )
    return items


def _stars(nodes: Nodes, kind: _Kind) -> str:
    return "**" if kind.name == "dict" and len(nodes) == 1 else ""


def _parameters(node: ast.arguments) -> list[Nodes]:
    """Give the parameters, each with its default; those with stars of their own are told by the signature."""
    ordered = node.posonlyargs + node.args
    defaults = [*[None] * (len(ordered) - len(node.defaults)), *node.defaults, *node.kw_defaults]
    both = zip(ordered + node.kwonlyargs, defaults, strict=True)
    return [(parameter, default) if default else (parameter,) for parameter, default in both]


def _starred(node: ast.arguments) -> tuple[object, ...]:
    stars = [star.arg if star else None for star in (node.vararg, node.kwarg)]
    return (*stars, len(node.posonlyargs), not node.kwonlyargs)


def _name(nodes: Nodes) -> str | None:
    match nodes:
        case (ast.arg(arg=name), *_):
            return name
        case (ast.keyword(arg=str() as name),):
            return name
        case (ast.expr() as key, ast.expr()):
            return shape(key)
    return None


def _lists_names(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return True
    return False
