"""How many ways lead through each function.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pytest_bugsle.code.syntax import parse


class Function(NamedTuple):
    """A function's place, from its `def` (its decorators are above) to its last statement, and its complexity."""

    line: int
    last_line: int
    complexity: int


def complexity(source: bytes) -> Mapping[str, Function] | None:
    """Measure the cyclomatic complexity (McCabe 1976, as radon counts it) of each function and method.

    Names are qualified (`Class.method`); the branches of what is defined inside a function are its own. Of a
    name that is defined more than once the most complex is given. None for a text that this Python cannot parse.
    """
    from radon.visitors import ComplexityVisitor  # type: ignore[import-untyped] # radon ships no types

    tree = parse(source)
    if tree is None:
        return None
    found: dict[str, Function] = {}
    for statement in tree.body:
        visitor = ComplexityVisitor(off=False)
        try:
            visitor.visit(statement)
        except (RecursionError, AttributeError):
            continue  # it walks by recursion, and does not know every node of every Python
        for name, block in _functions("", visitor):
            measured = Function(block.lineno, block.endline, _branches(block) + 1)
            if name not in found or measured.complexity > found[name].complexity:
                found[name] = measured
    return found


def _functions(owner: str, visitor: Any) -> Iterator[tuple[str, Any]]:
    """Yield radon's functions by qualified name, out of a visitor or a class of its."""
    is_class = hasattr(visitor, "methods")
    for block in visitor.methods if is_class else visitor.functions:
        yield f"{owner}{block.name}", block
    for inner in visitor.inner_classes if is_class else visitor.classes:
        yield from _functions(f"{owner}{inner.name}.", inner)


def _branches(block: Any) -> int:
    total: int = block.complexity - 1
    return total + sum(map(_branches, block.closures))
