"""Split the change of a source text into its smallest edits, each of which can be put back alone.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from textwrap import dedent

from pytest_bugsle.code.editing.drafting import Draft, NotApart
from pytest_bugsle.code.editing.layout import Layout, NoPlace, Span
from pytest_bugsle.code.editing.reversals import spliced
from pytest_bugsle.code.editing.splitting import split
from pytest_bugsle.code.syntax import behaving, is_version, parse, same_code, shape

_LARGEST_ALIGNMENT = 1_000_000


@dataclass(frozen=True, slots=True)
class Edit:
    """The smallest change of a text that can be put back alone. Lines count from 1 in the new text.

    `line` is where it stands, for a pure deletion where it would be put back; `lines` are those of the
    changed code, none for a pure deletion. `code` and `was` are its new and old code, from the left
    margin on; "" where there is none. `scope` names the definitions around it, with a dot. `spans` are
    the bytes of the new text that are replaced to put it back, and by what: sorted, apart from each
    other and from those of every other edit; `ranks` order what edits put in at one and the same place.
    `defines` are the names that only the new code binds, `uses` those that it mentions. `moved` where a
    definition, an import or a name in a list only stands elsewhere: no test need notice that.
    """

    line: int
    lines: tuple[int, ...]
    code: str
    was: str
    scope: str
    import_time: bool
    spans: tuple[Span, ...]
    ranks: tuple[int, ...]
    defines: frozenset[str]
    uses: frozenset[str]
    moved: bool = False


def edits_of(old: bytes, new: bytes) -> tuple[Edit, ...]:
    """Give the edits that made `old` into `new`, by position; none where both do the same.

    Texts that cannot be parsed are compared by lines.
    """
    if old == new:
        return ()
    before, after = parse(old), parse(new)
    if before is None or after is None:
        return _hunks(old, new, whole=False)
    olds, news = _behaving(before), _behaving(after)
    try:
        sides = Layout(old, before), Layout(new, after)
        drafts = split(*sides, olds, news)
        edits = [_edit(draft, sides[1]) for draft in drafts]
    except (NotApart, NoPlace, UnicodeError, RecursionError):
        return () if same_code(old, new) else _hunks(old, new, whole=True)
    if not _restores(put_back(new, edits), olds, sides[0]):
        return _hunks(old, new, whole=True)
    return tuple(sorted(edits, key=lambda edit: (edit.line, edit.spans[0][:2], edit.ranks)))


def put_back(new: bytes, edits: Iterable[Edit]) -> bytes:
    """Give `new` without some of its edits."""
    return spliced(new, (item for edit in edits for item in zip(edit.spans, edit.ranks, strict=True)))


def _behaving(module: ast.Module) -> list[ast.stmt]:
    return [node for node in behaving(module.body) if not is_version(node)]


def _restores(text: bytes, olds: list[ast.stmt], old: Layout) -> bool:
    """Say whether a text does the same as an old one; what is written alike is not looked into."""
    tree = parse.__wrapped__(text)  # not kept: nobody asks for it again
    if tree is None:
        return False
    try:
        layout = Layout(text, tree)
    except (NoPlace, UnicodeError):
        return False
    news = _behaving(tree)
    return len(news) == len(olds) and all(
        old.text(old.range((a,))) == layout.text(layout.range((b,))) or shape(a) == shape(b)
        for a, b in zip(olds, news, strict=True)
    )


def _edit(draft: Draft, layout: Layout) -> Edit:
    spans = [layout.original(span) for span in draft.spans]
    ordered = sorted(zip(spans, draft.ranks, strict=True), key=lambda item: (item[0][:2], item[1]))
    lines = sorted({line for start, end in draft.places for line in _lines(layout, start, end)})
    line = lines[0] if lines else _line(layout, min(draft.spans))
    return Edit(
        line=line,
        lines=tuple(lines),
        code=draft.code,
        was=draft.was,
        scope=draft.scope,
        import_time=draft.import_time,
        spans=tuple(span for span, _ in ordered),
        ranks=tuple(rank for _, rank in ordered),
        defines=frozenset(_bound(draft.news)) - frozenset(_bound(draft.olds)),
        uses=frozenset(_mentioned(draft.news)),
        moved=draft.moved,
    )


def _line(layout: Layout, span: Span) -> int:
    """Give the line at which something comes back that was taken out."""
    start, _, text = span
    below = layout.next_line(start) if text[:1] in {b"\r", b"\n"} else start
    return layout.line(below)


def _lines(layout: Layout, start: int, end: int) -> range:
    return range(layout.line(start), layout.line(max(end - 1, start)) + 1)


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Give the names that code binds for others: not what a function or a comprehension keeps to itself."""
    stack = [(node, False) for node in nodes]
    while stack:
        node, local = stack.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if not local:
                    yield node.name
                stack.append((node.args, local))
                stack += [(inner, True) for inner in node.body]
                continue
            case ast.ClassDef() if not local:
                yield node.name
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case ast.arg() if node.arg not in {"self", "cls"}:
                yield node.arg
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.Name(ctx=ast.Store()) if not local:
                yield node.id
            case ast.alias() if not local and node.name != "*":
                yield node.asname or node.name.partition(".")[0]
            case ast.MatchAs() | ast.MatchStar() | ast.ExceptHandler() if node.name and not local:
                yield node.name
            case ast.MatchMapping() if node.rest and not local:
                yield node.rest
        stack += [(child, local) for child in ast.iter_child_nodes(node)]


def _mentioned(nodes: Iterable[ast.AST]) -> Iterator[str]:
    stack = list(nodes)
    while stack:
        node = stack.pop()
        match node:
            case ast.Name(ctx=ast.Load() | ast.Del()):
                yield node.id
            case ast.Attribute():
                yield node.attr
            case ast.keyword(arg=str() as name):
                yield name
            case ast.alias():
                yield from node.name.split(".")
            case ast.ImportFrom(module=str() as module):
                yield from module.split(".")
        stack += ast.iter_child_nodes(node)


def _hunks(old: bytes, new: bytes, *, whole: bool) -> tuple[Edit, ...]:
    """Give the changed lines, stretch by stretch, or all from the first to the last as one edit."""
    ours, theirs = old.splitlines(keepends=True), new.splitlines(keepends=True)
    shorter = min(len(ours), len(theirs))
    start = 0
    while start < shorter and ours[start] == theirs[start]:
        start += 1
    end = 0
    while end < shorter - start and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    left, right = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    changes = [(0, len(left), 0, len(right))]
    if not whole and len(left) * len(right) <= _LARGEST_ALIGNMENT:
        matcher = SequenceMatcher(None, left, right, autojunk=False)
        changes = [(i, k, j, m) for kind, i, k, j, m in matcher.get_opcodes() if kind != "equal"]
    offsets = list(accumulate(map(len, theirs), initial=0))
    found: list[Edit] = []
    for number, (i, k, j, m) in enumerate(changes):
        was = b"".join(left[i:k])
        place = offsets[start + j], offsets[start + m]
        found.append(
            Edit(
                line=max(min(start + j + 1, len(theirs)), 1),
                lines=tuple(range(start + j + 1, start + m + 1)),
                code=_shown(new[slice(*place)]),
                was=_shown(was),
                scope="",
                import_time=False,
                spans=((*place, was),),
                ranks=(number,),
                defines=frozenset(),
                uses=frozenset(),
            )
        )
    return tuple(found)


def _shown(text: bytes) -> str:
    return dedent(text.decode("utf-8", "replace")).strip()
