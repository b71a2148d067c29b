"""The tests that a text defines, as pytest would collect them.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_bugsle.code.syntax import behaving, lines_of, parse

Function = ast.FunctionDef | ast.AsyncFunctionDef
CLASSES = ("Test",)
FUNCTIONS = ("test",)


@dataclass(frozen=True, slots=True, order=True)
class TestDef:
    """A test function where it is written; `name` is qualified (`TestA.test_x`) and has no parameters."""

    __test__ = False

    path: str
    name: str
    line: int
    last_line: int


def tests_in(
    source: bytes,
    path: str,
    python_classes: Collection[str] = CLASSES,  # noqa: PT028 - not a test, in spite of its name
    python_functions: Collection[str] = FUNCTIONS,  # noqa: PT028 - the same
) -> tuple[TestDef, ...]:
    """List the tests that pytest would collect from a text, in order, those of `unittest` included.

    A test that a class inherits from an uncollected base of the same text is named after the base.
    """
    module = TestModule(source, path, python_classes, python_functions)
    return tuple(found.test for found in module.tests.values())


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A test, its function, and the classes around it, the outermost first."""

    test: TestDef
    node: Function
    owners: tuple[ast.ClassDef, ...]


class TestModule:
    """A text as pytest sees it: tests, classes, and what stands at module level under which name."""

    __test__ = False

    def __init__(
        self,
        source: bytes,
        path: str,
        python_classes: Collection[str] = CLASSES,
        python_functions: Collection[str] = FUNCTIONS,
    ) -> None:
        self.path = path
        self.lines = lines_of(source)
        tree = parse(source)
        self.unreadable = tree is None
        self.tree = tree if tree is not None else ast.Module([], [])
        self.bindings = bindings_of(self.tree.body)
        self.classes = {node.name: node for node in flat(self.tree.body) if isinstance(node, ast.ClassDef)}
        self._names = (tuple(python_classes), tuple(python_functions))
        self.tests: dict[str, Found] = {}
        self._collect(self.tree.body, ())

    def text(self, node: ast.stmt) -> list[str]:
        """Give the lines of a statement, decorators included."""
        return self.lines[first_line(node) - 1 : node.end_lineno]

    def says(self, lines: list[str]) -> bool:
        """Say whether the text holds these lines, whatever their indentation."""
        return "\n".join(line.strip() for line in lines) in "\n".join(line.strip() for line in self.lines)

    def bases(self, node: ast.ClassDef) -> Iterator[ast.ClassDef]:
        """Give the classes of this text that a class derives from, itself first."""
        seen, queue = {node.name}, [node]
        while queue:
            current = queue.pop(0)
            yield current
            names = [getattr(base, "id", "") for base in current.bases]
            queue += [self.classes[name] for name in names if name in self.classes and name not in seen]
            seen.update(names)

    def _collect(self, body: Iterable[ast.stmt], owners: tuple[ast.ClassDef, ...]) -> None:
        classes, functions = self._names
        for node in flat(body):
            if isinstance(node, Function):
                if _named(node.name, functions) and not _is_fixture(node):
                    self._add(node, owners)
            elif isinstance(node, ast.ClassDef) and not _refuses(node):
                self._collect_class(node, owners, classes, functions)

    def _collect_class(
        self,
        node: ast.ClassDef,
        owners: tuple[ast.ClassDef, ...],
        classes: tuple[str, ...],
        functions: tuple[str, ...],
    ) -> None:
        family = list(self.bases(node))
        unittest = any(_last_name(base).endswith("TestCase") for member in family for base in member.bases)
        if not unittest and (not _named(node.name, classes) or _has_constructor(family)):
            return
        for member in family:
            chain = (*owners, node) if member is node else (member,)
            if not unittest:
                self._collect(member.body, chain)
                continue
            for method in flat(member.body):
                if isinstance(method, Function) and method.name.startswith("test"):
                    self._add(method, chain)

    def _add(self, node: Function, owners: tuple[ast.ClassDef, ...]) -> None:
        name = ".".join([*(owner.name for owner in owners), node.name])
        found = Found(
            TestDef(self.path, name, first_line(node), node.end_lineno or node.lineno), node, owners
        )
        self.tests[name] = found


def flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements of a block and of the conditions and `try`s in it, all of one namespace."""
    for node in behaving(body):
        yield node
        for part in ("body", "handlers", "orelse", "finalbody"):
            inner = getattr(node, part, None)
            if isinstance(inner, list) and not isinstance(node, Function | ast.ClassDef):
                for clause in inner:
                    yield from flat(clause.body if isinstance(clause, ast.ExceptHandler) else [clause])


def bindings_of(body: Iterable[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """Say which statements make or alter which name of a namespace."""
    result: defaultdict[str, list[ast.stmt]] = defaultdict(list)
    for node in behaving(body):
        for name in dict.fromkeys(_bound(node)):
            result[name].append(node)
    return dict(result)


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.Delete():
            targets = [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else node.targets
            yield from (name for target in targets for name in _roots(target))
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner))):
            yield from _roots(owner)  # CASES.append(...)
        case ast.If() | ast.Try() | ast.TryStar() | ast.With() | ast.For() | ast.While():
            for inner in flat([node]):
                if inner is not node:
                    yield from _bound(inner)


def _roots(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Tuple | ast.List):
        for element in node.elts:
            yield from _roots(element)


def first_line(node: ast.stmt) -> int:
    """Give the line where a definition begins, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _named(name: str, patterns: Collection[str]) -> bool:
    return any(name.startswith(p) or (set(p) & set("*?[") and fnmatchcase(name, p)) for p in patterns)


def _last_name(node: ast.expr) -> str:
    return getattr(node, "attr", None) or getattr(node, "id", None) or ""


def _has_constructor(family: Iterable[ast.ClassDef]) -> bool:
    names = {node.name for member in family for node in member.body if isinstance(node, Function)}
    return not names.isdisjoint({"__init__", "__new__"})


def _refuses(node: ast.ClassDef) -> bool:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__test__")], value=ast.Constant(value=False)):
                return True
    return False


def _is_fixture(node: ast.stmt) -> bool:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    called = [d.func if isinstance(d, ast.Call) else d for d in decorators]
    return any(_last_name(decorator).endswith("fixture") for decorator in called)


def is_autouse(node: ast.stmt) -> bool:
    """Say whether a fixture concerns every test that can see it."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    keywords = [k for d in decorators if isinstance(d, ast.Call) for k in d.keywords]
    return any(k.arg == "autouse" and getattr(k.value, "value", None) is not False for k in keywords)
