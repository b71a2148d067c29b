"""Which names a text defines, and which calls it newly accepts.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pytest_bugsle.code.syntax import decode, is_overload, is_type_checking, parse, reads_annotations

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_LISTED = frozenset({"__all__", "__slots__", "__match_args__", "_fields"})


class AddedNames(NamedTuple):
    """What only the new text defines: what can be asked for by a dot or an import, and by a keyword."""

    attributes: frozenset[str]
    parameters: frozenset[str]


def added_names(old: bytes | None, new: bytes | None) -> AddedNames:
    """Give the names that only the new text defines: what a test can ask for in vain without the fix.

    Attributes are functions, classes, methods, module, class and instance attributes, import aliases, and
    the names listed in `__all__` and `__slots__`; not a function's own variables, which no test can reach.
    A name is new where it stands: `A.x` is, though some function has long had a parameter `x`.
    An old text that cannot be parsed is taken to define every word in it.
    """
    known, words = _defined(old), _words(old)
    added = [(scope, name) for scope, name in _defined(new) - known if name not in words]
    parameters = frozenset(name for scope, name in added if scope.endswith("()"))
    return AddedNames(frozenset(name for scope, name in added if not scope.endswith("()")), parameters)


def added_top_level(old: bytes | None, new: bytes | None) -> tuple[str, ...]:
    """Give the names that can be imported from the new module alone, in order of definition."""
    known = _words(old) or set(_top_level(old))
    return tuple(dict.fromkeys(name for name in _top_level(new) if name not in known))


def changed_signatures(old: bytes | None, new: bytes | None) -> frozenset[str]:
    """Name the functions, methods and classes that accept calls which they refused before.

    A class stands for its `__init__` and `__new__`, and for the fields of a dataclass.
    """
    before, after = dict(_signatures(old)), dict(_signatures(new))
    return frozenset(name for name, signature in after.items() if name in before and signature - before[name])


def _words(source: bytes | None) -> frozenset[str]:
    """Give all words of a text that cannot be parsed, and none of one that can."""
    if not source or parse(source) is not None:
        return frozenset()
    return frozenset(re.findall(r"[^\W\d]\w*", decode(source)))


def _defined(source: bytes | None) -> frozenset[tuple[str, str]]:
    tree = parse(source) if source else None
    return frozenset(_names(tree)) if tree is not None else frozenset()


def _names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (scope, name): a module's `f` and a parameter `f` of some function are not the same.

    The scope is the class (of attributes and methods), the function with brackets (of parameters), or "".
    """
    stack: list[tuple[ast.AST, bool, str, str]] = [(tree, False, "", "")]
    while stack:
        node, local, owner, function = stack.pop()
        inner = local
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if not local:
                    yield owner, node.name
                function = f"{function or owner}.{node.name}()"
                yield from ((function, name) for name in _popped_options(node))
                inner = True
            case ast.ClassDef():
                if not local:
                    yield owner, node.name
                owner, function, inner = f"{owner}.{node.name}", "", False
            case ast.Lambda():
                inner = True
            case ast.arg():
                yield function, node.arg
            case ast.Global():
                yield from (("", name) for name in node.names)
            case ast.Attribute(ctx=ast.Store()):
                yield owner, node.attr
            case ast.Name(ctx=ast.Store()) if not local:
                yield owner, node.id
            case ast.alias() if not local and node.name != "*":
                yield owner, node.asname or node.name.partition(".")[0]
            case ast.MatchAs() | ast.MatchStar() | ast.ExceptHandler() if node.name and not local:
                yield owner, node.name
            case ast.Assign(targets=targets) | ast.AugAssign(target=ast.Name() as targets):
                if _listing(targets):
                    yield from ((owner, text) for text in _strings(node.value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name in _LISTED:
                yield from ((owner, text) for text in _strings(value))
        stack.extend((child, inner, owner, function) for child in ast.iter_child_nodes(node))


def _listing(targets: list[ast.expr] | ast.Name) -> bool:
    named = [targets] if isinstance(targets, ast.Name) else targets
    return any(isinstance(target, ast.Name) and target.id in _LISTED for target in named)


def _strings(value: ast.expr) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _popped_options(function: _Function) -> Iterator[str]:
    """Give the names in `options.pop("name")`, where `**options` takes what the signature does not say."""
    if function.args.kwarg is None:
        return
    for node in ast.walk(function):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr="pop" | "get" | "setdefault"),
                args=[ast.Constant(value=str() as option), *_],
            ) if owner == function.args.kwarg.arg:
                yield option


def _top_level(source: bytes | None) -> Iterator[str]:
    tree = parse(source) if source else None
    stack: list[ast.AST] = list(reversed(tree.body)) if tree is not None else []
    while stack:
        node = stack.pop()
        children: Iterable[ast.AST] = ast.iter_child_nodes(node)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
                continue
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case ast.If(test=test, orelse=orelse) if is_type_checking(test):
                children = orelse
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.alias() if node.name != "*":
                yield node.asname or node.name.partition(".")[0]
        stack.extend(reversed(list(children)))


def _signatures(source: bytes | None) -> Iterator[tuple[str, frozenset[str]]]:
    tree = parse(source) if source else None
    stack: list[tuple[ast.AST, str, bool]] = [(tree, "", False)] if tree is not None else []
    while stack:
        node, scope, method = stack.pop()
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _Scope):
                stack.append((child, scope, method))
                continue
            name = f"{scope}.{child.name}" if scope else child.name
            if isinstance(child, ast.ClassDef):
                if fields := _fields(child):
                    yield name, fields
                stack.append((child, name, True))
            elif not is_overload(child):
                accepted = frozenset(_accepted(child.args))
                yield name, accepted
                if method and child.name in {"__init__", "__new__"}:
                    yield scope, accepted
                stack.append((child, name, False))


def _accepted(arguments: ast.arguments) -> Iterator[str]:
    """List what a call may do: give by position, give by name, leave out."""
    ordered = arguments.posonlyargs + arguments.args
    required = len(ordered) - len(arguments.defaults)
    for index, argument in enumerate(ordered):
        yield f"position {index}"
        if argument in arguments.args:
            yield f"name {argument.arg}"
        if index >= required:
            yield f"without {argument.arg}"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield f"name {argument.arg}"
        if default is not None:
            yield f"without {argument.arg}"
    if arguments.vararg:
        yield "any position"
    if arguments.kwarg:
        yield "any name"


def _fields(node: ast.ClassDef) -> frozenset[str]:
    """List what the `__init__` that a decorator or a base makes of annotations accepts."""
    found: set[str] = set()
    for statement in node.body if reads_annotations(node) else ():
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=default):
                found |= {f"name {name}"} if default is None else {f"name {name}", f"without {name}"}
    return frozenset(found)
