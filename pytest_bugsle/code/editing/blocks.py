"""The blocks and headers of a source text, and what each statement is known by.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from pytest_bugsle.code.editing.layout import Layout, NoPlace
from pytest_bugsle.code.syntax import parse, shape

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Loop = ast.For | ast.AsyncFor
Compound = (
    Definition | _Loop | ast.If | ast.While | ast.With | ast.AsyncWith | ast.Try | ast.TryStar | ast.Match
)
Clause = ast.ExceptHandler | ast.match_case
Headed = Compound | Clause
# What a header needs around it before it parses alone.
_FRAMES = ("{}", "{} pass", "{} pass\nfinally: pass", "try: pass\n{} pass", "match _:\n {} pass")


class Source:
    """A text with its syntax tree; offsets count in `layout.code`."""

    def __init__(self, raw: bytes) -> None:
        """Read a text that parses; NoPlace for a coding in which offsets cannot be told."""
        tree = parse(raw)
        if tree is None:
            raise NoPlace("the text does not parse")
        self.tree = tree
        self.layout = Layout(raw, tree)

    def is_elif(self, node: ast.stmt) -> bool:
        """Say whether a statement stands in the place of an `else`."""
        return self.layout.code.startswith(b"elif", self.layout.start(node))

    def text(self, body: Sequence[ast.stmt]) -> str:
        """Return statements that follow one another, without their indentation."""
        return self.layout.moved(self.layout.range(body), body, b"", b"\n").decode() if body else ""

    def heads(self, node: ast.stmt) -> list[tuple[Headed, int, int]]:
        """Return the headers of a compound statement, and where each stands with its colon."""
        if not isinstance(node, Compound):
            return []
        first, *others = self.layout.clauses(node)
        rest = [clause for clause in others if clause.kind in ("except", "case")]
        found: list[tuple[Headed, int, int]] = [(node, self.layout.start(node), first.colon + 1)]
        for inner, clause in zip(clauses_of(node), rest, strict=True):
            found.append((inner, clause.start, clause.colon + 1))
        return found

    def head_text(self, head: tuple[Headed, int, int]) -> str:
        """Return a header without its indentation, `elif` as `if`."""
        node, start, end = head
        text = self.layout.moved((start, end), _parts(node), b"", b"\n").decode()
        return text.removeprefix("el") if isinstance(node, ast.If) else text

    def headline(self, node: ast.stmt) -> str:
        """Return what a statement is known by as a neighbour: itself, or a short header."""
        if isinstance(node, Definition):
            return f"class {node.name}:" if isinstance(node, ast.ClassDef) else f"def {node.name}():"
        return self.head_text(self.heads(node)[0]) if isinstance(node, Compound) else self.text([node])


def _parts(node: Headed) -> list[ast.AST]:
    """Return what the header of a compound statement holds."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, node.args]
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *node.keywords]
        case ast.If() | ast.While():
            return [node.test]
        case ast.For() | ast.AsyncFor():
            return [node.target, node.iter]
        case ast.With() | ast.AsyncWith():
            return list(node.items)
        case ast.Match():
            return [node.subject]
        case ast.ExceptHandler():
            return [] if node.type is None else [node.type]
        case ast.match_case():
            return [node.pattern] if node.guard is None else [node.pattern, node.guard]
    return []


def head_of(node: ast.AST) -> str:
    """Return the shape of a header; empty for what has none."""
    if not isinstance(node, Headed):
        return ""
    name = getattr(node, "name", None) or ""
    return f"{type(node).__name__} {name} {' '.join(shape(part) for part in _parts(node))}"


def neighbour_of(node: ast.stmt) -> str:
    """Return what a neighbour is known by: equal for the same statement with another block or signature."""
    if isinstance(node, Definition):
        return f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {node.name}"
    return head_of(node) if isinstance(node, Compound) else shape(node)


def read(text: str) -> list[ast.stmt]:
    """Parse what an inverse holds: statements, or a header alone."""
    for frame in _FRAMES:
        tree = parse(frame.format(text).encode("utf-8", "surrogatepass"))
        if tree is not None:
            return tree.body
    return []


def headed(text: str) -> ast.AST | None:
    """Parse a header."""
    body = read(text)
    if text.startswith("except") and body and isinstance(body[0], ast.Try | ast.TryStar):
        return body[0].handlers[0]
    if text.startswith("case") and body and isinstance(body[0], ast.Match):
        return body[0].cases[0]
    return body[0] if body and isinstance(body[0], Compound) else None


def known_as(text: str) -> str:
    """Return what the neighbour with this headline is known by; empty for the edge of a block."""
    body = read(text) if text else []
    return neighbour_of(body[0]) if body else ""


def clauses_of(node: ast.AST) -> list[Clause]:
    """Return the handlers or the cases of a statement."""
    return [*getattr(node, "handlers", ()), *getattr(node, "cases", ())]


def blocks_of(node: ast.AST) -> dict[str, list[ast.stmt]]:
    """Return the blocks that stand directly under a header, by what they are called."""
    found = {field: getattr(node, field, None) for field in ("body", "orelse", "finalbody")}
    return {field: block for field, block in found.items() if isinstance(block, list) and block}
