"""The evidence that ties tests to a bug: markers, trailers, names, texts and changes.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_bugsle.code.syntax import decode
from pytest_bugsle.history.references import bug_references, normalise, same_bug
from pytest_bugsle.regression.changes import ChangedTest, changed_bindings, changed_tests, removed_shapes
from pytest_bugsle.regression.definitions import CLASSES, FUNCTIONS, Found, TestDef, TestModule, tests_in
from pytest_bugsle.results import LinkKind

__all__ = [
    "ChangedTest", "Link", "NamedBug", "NodeId", "TestDef", "changed_bindings", "changed_tests", "link",
    "named_bugs", "parse_node_id", "regression_markers", "removed_shapes", "tests_in",
]  # fmt: skip

TRAILER = "Regression-Test"

_ORDER = {kind: rank for rank, kind in enumerate(get_args(LinkKind))}
_KEYWORDS = frozenset({"bug", "bugs", "issue", "issues", "ticket", "tickets"})
_IN_NAME = re.compile(
    r"(?:(?<![A-Za-z])|(?<=[a-z0-9])(?=[A-Z]))(?P<word>(?i:issue|bug|gh|bpo|pr|ticket|cve))[_#-]*(?P<number>\d+)"
    r"(?P<more>_\d{4,7})?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Link:
    """One piece of evidence for one test; an empty name is the whole file.

    `broken` says why the evidence leads nowhere in the tree under test. `param` is what a node id had in
    brackets.
    """

    path: str
    name: str
    kind: LinkKind
    evidence: str
    param: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True)
class NodeId:
    """A test as a person writes it: file, qualified name (empty: the whole file), parameters."""

    path: str
    name: str = ""
    param: str = ""


@dataclass(frozen=True, slots=True)
class NamedBug:
    """Bugs that a test names, and where it does."""

    test: TestDef
    bugs: tuple[str, ...]
    where: Literal["name", "docstring", "comment", "parameters"]


def parse_node_id(text: str) -> NodeId | None:
    """Read `tests/test_a.py::TestB::test_c[x]`; brackets and colons in the parameters stay there."""
    text = text.strip().strip("`'\"").strip()
    path, colons, rest = text.partition("::")
    name, bracket, param = rest.partition("[")
    path = path.strip().removeprefix("./")
    if not path or (colons and not name) or "\n" in text:
        return None
    return NodeId(path, name.strip().replace("::", "."), param.removesuffix("]") if bracket else "")


def regression_markers(
    source: bytes,
    path: str,
    marker: str = "regression",
    python_classes: Collection[str] = CLASSES,
    python_functions: Collection[str] = FUNCTIONS,
) -> tuple[tuple[TestDef, tuple[str, ...]], ...]:
    """Give the tests that the marker ties to bugs: on the test, its class, the module or one parameter set.

    A marker without a bug links nothing.
    """
    if marker.encode() not in source:
        return ()
    module = TestModule(source, path, python_classes, python_functions)
    reader = _Markers(module, marker)
    everywhere = reader.of_block(module.tree.body)
    result = []
    for found in module.tests.values():
        bugs = [*everywhere]
        for owner in found.owners:
            for node in reversed(list(module.bases(owner))):
                bugs += reader.of_decorators(node) + reader.of_block(node.body)
        bugs += reader.of_decorators(found.node)
        if bugs:
            result.append((found.test, tuple(dict.fromkeys(bugs))))
    return tuple(result)


class _Markers:
    def __init__(self, module: TestModule, marker: str) -> None:
        self.marker = marker
        self.aliases: set[str] = set()
        self.constants: dict[str, ast.expr] = {}
        for node in module.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.constants[name] = value
                    if self._is_marker(value):
                        self.aliases.add(name)

    def of_decorators(self, node: ast.stmt) -> list[str]:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        return [bug for decorator in decorators for bug in self._bugs(decorator)]

    def of_block(self, body: Iterable[ast.stmt]) -> list[str]:
        bugs: list[str] = []
        for node in body:
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets):
                bugs += self._bugs(node)
        return bugs

    def _bugs(self, node: ast.AST, depth: int = 0) -> Iterator[str]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and self._is_marker(inner.func):
                for argument in inner.args:
                    yield from self._texts(argument)
                for keyword in inner.keywords:
                    if keyword.arg in _KEYWORDS:
                        yield from self._texts(keyword.value)
            elif isinstance(inner, ast.Name) and inner.id in self.constants and depth < 2:
                # Marks and parameter sets are often kept in a constant.
                yield from self._bugs(self.constants[inner.id], depth + 1)

    def _texts(self, node: ast.expr, depth: int = 0) -> Iterator[str]:
        match node:
            case ast.Constant(value=str() as text):
                if text.strip():
                    yield normalise(text)
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                yield f"#{number}"
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                for element in elements:
                    yield from self._texts(element, depth)
            case ast.Starred(value=value):
                yield from self._texts(value, depth)
            case ast.Name(id=name) if name in self.constants and depth < 2:
                yield from self._texts(self.constants[name], depth + 1)

    def _is_marker(self, node: ast.expr) -> bool:
        match node:
            case ast.Attribute(attr=attr, value=ast.Attribute(attr="mark") | ast.Name(id="mark")):
                return attr == self.marker
            case ast.Name(id=name):
                return name in self.aliases
        return False


def named_bugs(
    source: bytes,
    path: str,
    python_classes: Collection[str] = CLASSES,
    python_functions: Collection[str] = FUNCTIONS,
    *,
    home: str | None = None,
) -> tuple[NamedBug, ...]:
    """Give the tests that name a bug: in their name, docstring, comments or parameter ids.

    In a name a number counts only after a word such as `issue` or `bug`.
    """
    module = TestModule(source, path, python_classes, python_functions)
    comments = _comments(source) if b"#" in source else {}
    result: list[NamedBug] = []
    for found in module.tests.values():
        test = found.test
        told = {
            "name": _in_name(test.name),
            "docstring": bug_references(inspect.cleandoc(ast.get_docstring(found.node) or ""), home),
            "comment": bug_references(_comments_of(test, comments, module.lines), home),
            "parameters": tuple(bug for id in _parameter_ids(found) for bug in _in_text(id, home)),
        }
        for where, bugs in told.items():
            if bugs:
                result.append(NamedBug(test, tuple(dict.fromkeys(bugs)), where))  # type: ignore[arg-type]
    return tuple(result)


def _in_name(name: str) -> tuple[str, ...]:
    bugs = []
    for match in _IN_NAME.finditer(name):
        word, number, more = match["word"].lower(), match["number"], match["more"]
        if word == "cve":
            bugs += [f"CVE-{number}-{more[1:]}"] if more and len(number) == 4 else []
        else:
            bugs.append(f"bpo-{int(number)}" if word == "bpo" else f"#{int(number)}")
    return tuple(bugs)


def _in_text(text: str, home: str | None) -> tuple[str, ...]:
    return (*_in_name(text), *bug_references(text, home))


def _comments(source: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(decode(source)).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string
    except (tokenize.TokenError, SyntaxError):
        pass  # what came before the fault counts
    return found


def _comments_of(test: TestDef, comments: Mapping[int, str], lines: list[str]) -> str:
    """Give the comments within a test, and those directly above it."""
    first = test.line
    while first - 1 in comments and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    found = (comments[number] for number in range(first, test.last_line + 1) if number in comments)
    # `#42` at the start of a comment is its mark and a number.
    return "\n".join(text if re.match(r"#\d", text) else text.lstrip("#") for text in found)


def _parameter_ids(found: Found) -> Iterator[str]:
    for decorator in found.node.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.keyword) and node.arg in {"id", "ids"}:
                for inner in ast.walk(node.value):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value


def link(
    bugs: Collection[str],
    tests: Mapping[str, Collection[str]],
    *,
    trailers: Iterable[tuple[str, str]] = (),
    marked: Iterable[tuple[TestDef, tuple[str, ...]]] = (),
    cases: Iterable[tuple[NodeId, str]] = (),
    changed: Iterable[ChangedTest] = (),
    named: Iterable[NamedBug] = (),
    neighbours: Iterable[tuple[TestDef, str]] = (),
    discovered: Iterable[tuple[str, str]] = (),
    renames: Mapping[str, str] | None = None,
    home: str | None = None,
) -> tuple[Link, ...]:
    """Gather all evidence for one fix, the strongest first.

    `tests` are the names in the tree under test by path, `renames` leads from paths at the fix to paths
    there. `marked` and `named` are all tests that mention any bug; those of `bugs` are taken. `cases` and
    `neighbours` come with their evidence, `discovered` as path and name.
    """
    place = _Places(tests, renames or {})
    links: list[Link] = []
    for key, value in trailers:
        if key.casefold() == TRAILER.casefold():
            links.append(place.trailer(value))
    for test, claimed in marked:
        for bug in _shared(claimed, bugs, home):
            links.append(place.link(test, "marker", f"it is marked as the regression test of {bug}"))
    links += [place.node(node, "case", evidence_text) for node, evidence_text in cases]
    for test, kind, uses in changed:
        evidence = {
            "added": "the fix adds it",
            "changed": "the fix changes it",
            "uses-changed": f"it uses {uses}, which the fix changes",
        }
        links.append(place.link(test, kind, evidence[kind]))
    for claim in named:
        for bug in _shared(claim.bugs, bugs, home):
            links.append(place.link(claim.test, "bug-id", f"its {claim.where} mentions {bug}"))
    for test, evidence_text in neighbours:
        links.append(place.link(test, "neighbour", evidence_text))
    for path, name in discovered:
        links.append(Link(path, name, "discovered", "it fails without the fix and passes with it"))
    return tuple(sorted(dict.fromkeys(links), key=lambda found: (_ORDER[found.kind], found.path, found.name)))


def _shared(claimed: Iterable[str], bugs: Collection[str], home: str | None) -> Iterator[str]:
    return (bug for bug in claimed if any(same_bug(bug, other, home) for other in bugs))


@dataclass(frozen=True, slots=True)
class _Places:
    """Where tests of the fix stand in the tree under test."""

    tests: Mapping[str, Collection[str]]
    renames: Mapping[str, str]

    def now(self, path: str) -> str:
        seen: set[str] = set()
        while path in self.renames and path not in self.tests and path not in seen:
            seen.add(path)
            path = self.renames[path]
        return path

    def broken(self, path: str, name: str) -> str:
        if path not in self.tests:
            return f"no test file {path} is in the tree"
        names = self.tests[path]
        # A class may inherit the test from another file.
        inherited = any(other.startswith(f"{name.rpartition('.')[0]}.") for other in names if "." in name)
        return "" if not name or name in names or inherited else f"{path} has no test {name}"

    def link(self, test: TestDef, kind: LinkKind, evidence: str) -> Link:
        path = self.now(test.path)
        names = self.tests.get(path, ())
        name = test.name
        if name not in names:
            # Moved into, out of or between classes: followed where only one test of that name is left.
            same = [other for other in names if other.rpartition(".")[2] == name.rpartition(".")[2]]
            name = same[0] if len(same) == 1 else name
            missing = "" if len(same) == 1 else self.broken(path, name) or f"{path} has no test {name}"
            return Link(path, name, kind, evidence, broken=missing)
        return Link(path, name, kind, evidence)

    def trailer(self, value: str) -> Link:
        node = parse_node_id(value)
        evidence = f"the commit names it: {TRAILER}: {value.strip()}"
        if node is None:
            return Link("", "", "trailer", evidence, broken="it does not read as path::name")
        return self.node(node, "trailer", evidence)

    def node(self, node: NodeId, kind: LinkKind, evidence: str) -> Link:
        path = self.now(node.path)
        return Link(path, node.name, kind, evidence, node.param, self.broken(path, node.name))
