"""Which tests a change added, altered, or reaches through what they use.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from pytest_bugsle.code.syntax import shape
from pytest_bugsle.regression.definitions import (
    CLASSES,
    FUNCTIONS,
    Found,
    Function,
    TestDef,
    TestModule,
    bindings_of,
    is_autouse,
)

_CLASS_SETUP = frozenset(
    {"setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown", "setup", "teardown"}
    | {"setup_method", "teardown_method", "setup_class", "teardown_class"}
)
_MODULE_SETUP = frozenset(
    {
        "setUpModule",
        "tearDownModule",
        "setup_module",
        "teardown_module",
        "setup_function",
        "teardown_function",
    }
)
_Bindings = Mapping[str, list[ast.stmt]]


class ChangedTest(NamedTuple):
    """A test that a change added, altered, or reaches through a name (`uses`) of the test's own file."""

    test: TestDef
    kind: Literal["added", "changed", "uses-changed"]
    uses: str = ""


def changed_tests(
    old: bytes | None,
    new: bytes,
    path: str,
    python_classes: Collection[str] = CLASSES,
    python_functions: Collection[str] = FUNCTIONS,
    *,
    also_changed: Collection[str] = (),
    moved_from: Collection[str] = (),
) -> tuple[ChangedTest, ...]:
    """Compare the tests of two texts; comments, docstrings and formatting aside, decorators included.

    A test that only got another name or place is no change: `moved_from` holds the shapes (`removed_shapes`)
    of tests that the same change took from other files. `also_changed` names what changed in the helpers
    and conftests that this file uses.
    """
    after = TestModule(new, path, python_classes, python_functions)
    before = TestModule(old or b"", path, python_classes, python_functions)
    gone = [found for name, found in before.tests.items() if name not in after.tests]
    known = (
        {shape(found.node, name=False) for found in gone} | set(moved_from) if gone or moved_from else set()
    )
    changes = _Changes(before, after, also_changed)
    result = []
    for name, found in after.tests.items():
        earlier = before.tests.get(name)
        if earlier is None and before.unreadable:
            # Another Python's text: its tests are known by their names and lines alone.
            if not before.says(after.text(found.node)):
                told = before.says([f"def {found.node.name}("])
                result.append(ChangedTest(found.test, "changed" if told else "added"))
            continue
        if earlier is None:
            if not known or shape(found.node, name=False) not in known:
                result.append(ChangedTest(found.test, "added"))
            continue
        if not _same(before, [earlier.node], after, [found.node]):
            result.append(ChangedTest(found.test, "changed"))
        elif uses := changes.reaching(found):
            result.append(ChangedTest(found.test, "uses-changed", uses))
    return tuple(result)


def removed_shapes(old: bytes, new: bytes | None, path: str) -> frozenset[str]:
    """Give the shapes of the tests that only the old text has, to find them again elsewhere."""
    after = TestModule(new or b"", path).tests
    gone = [found for name, found in TestModule(old, path).tests.items() if name not in after]
    return frozenset(shape(found.node, name=False) for found in gone)


def changed_bindings(old: bytes | None, new: bytes | None) -> frozenset[str]:
    """Give the module-level names (fixtures, helpers, constants) that a change added or altered."""
    return frozenset(_Changes(TestModule(old or b"", ""), TestModule(new or b"", "")).changed)


class _Changes:
    """What a change did to the names that tests use; each comes with the changed name behind it."""

    def __init__(self, before: TestModule, after: TestModule, also: Collection[str] = ()) -> None:
        self.before = before
        self.after = after
        self._tests = {found.node for found in after.tests.values()}
        self._holders = {owner for found in after.tests.values() for owner in found.owners}
        bindings = self._helpers(after.bindings)
        changed = self._altered(before.bindings, bindings)
        self.changed = _spread({name: name for name in (*changed, *also)}, bindings)
        self._everyone = _first(self.changed, self._of_everyone(bindings, _MODULE_SETUP))
        self._members: dict[ast.ClassDef, tuple[str, dict[str, str]]] = {}

    def reaching(self, found: Found) -> str:
        """Give a changed name that a test uses, or ""."""
        reached = self._everyone or _first(self.changed, used_names(found.node) if self.changed else ())
        for owner in found.owners:
            if reached:
                break
            everyone, members = self._class_members(owner)
            reached = everyone or _first(members, used_names(found.node, of_self=True) if members else ())
        return reached

    def _helpers(self, bindings: _Bindings) -> dict[str, list[ast.stmt]]:
        return {
            name: nodes
            for name, nodes in bindings.items()
            if self._tests.isdisjoint(nodes) and self._holders.isdisjoint(nodes)
        }

    def _altered(self, old: _Bindings, new: _Bindings) -> Iterator[str]:
        for name, nodes in new.items():
            imported = isinstance(nodes[0], ast.Import | ast.ImportFrom)
            if not imported and not _same(self.before, old.get(name, []), self.after, nodes):
                yield name

    def _of_everyone(self, bindings: _Bindings, setup: Collection[str]) -> Iterator[str]:
        for name, nodes in bindings.items():
            if name in setup or any(is_autouse(node) for node in nodes):
                yield name

    def _class_members(self, owner: ast.ClassDef) -> tuple[str, dict[str, str]]:
        """Give a changed name that concerns all tests of a class, and the changed members of the class."""
        if owner not in self._members:
            everyone, members = "", {}
            for node in self.after.bases(owner):
                old = self.before.classes.get(node.name)
                if old is None:
                    continue
                bindings = self._helpers(bindings_of(node.body))
                altered = self._altered(bindings_of(old.body), bindings)
                direct = {name: f"{node.name}.{name}" for name in altered}
                spread = _spread({**self.changed, **direct}, bindings)
                members.update({name: cause for name, cause in spread.items() if name in bindings})
                attributes = {n for n, nodes in bindings.items() if not isinstance(nodes[0], Function)}
                concerned = {*self._of_everyone(bindings, _CLASS_SETUP), *attributes}
                everyone = everyone or ("" if _header(old) == _header(node) else node.name)
                everyone = everyone or _first(members, concerned)
            self._members[owner] = everyone, members
        return self._members[owner]


def _first(causes: Mapping[str, str], names: Collection[str] | Iterator[str]) -> str:
    """Give the cause of the first of `names` that has one."""
    return next((causes[name] for name in sorted(names) if name in causes), "")


def _spread(changed: Mapping[str, str], bindings: _Bindings) -> dict[str, str]:
    """Add the names whose definition uses a changed one, with the name that it came from."""
    result = dict(changed)
    if not result:
        return result
    users: defaultdict[str, set[str]] = defaultdict(set)
    for name, nodes in bindings.items():
        for node in nodes:
            for used in used_names(node, of_self=True):
                users[used].add(name)
    queue = list(result)
    while queue:
        name = queue.pop()
        for user in sorted(users[name] - result.keys()):
            result[user] = result[name]
            queue.append(user)
    return result


def _same(
    before: TestModule, old: Collection[ast.stmt], after: TestModule, new: Collection[ast.stmt]
) -> bool:
    if len(old) != len(new):
        return False
    pairs = zip(old, new, strict=True)
    return all(before.text(a) == after.text(b) or shape(a) == shape(b) for a, b in pairs)


def _header(node: ast.ClassDef) -> str:
    return " ".join(shape(part) for part in (*node.decorator_list, *node.bases, *node.keywords))


def used_names(node: ast.AST, *, of_self: bool = False) -> set[str]:
    """Give the names that a definition reads, its parameters (fixtures), and the fixtures it names in text.

    With `of_self` also the attributes that it asks of `self` or `cls`.
    """
    names: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(ctx=ast.Load()):
                names.add(inner.id)
            case ast.arg():
                names.add(inner.arg)
            case ast.Attribute(value=ast.Name(id="self" | "cls")) if of_self:
                names.add(inner.attr)
            case ast.Call(func=ast.Attribute(attr="usefixtures" | "getfixturevalue"), args=arguments):
                names |= {
                    a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)
                }
    return names
