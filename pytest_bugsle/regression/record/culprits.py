"""Which commit weakened a test: the history of its file, and what each change did to it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.code.syntax import shape
from pytest_bugsle.git.diff import DIFF_OPTIONS, changes, parse_raw
from pytest_bugsle.regression.changes import changed_tests
from pytest_bugsle.regression.definitions import TestModule, flat
from pytest_bugsle.regression.linking import is_test_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.regression.gather import Surveyor, TreeSides

_MOST_COMMITS = 1000
"""Commits of one file that are looked at; who changed it longer ago is not asked."""
_STOPS = frozenset(
    {"skip", "skipif", "skipIf", "skipUnless", "skipTest", "SkipTest", "importorskip"}
    | {"xfail", "expectedFailure"}
)


ONE_BY_ONE = 8
"""Versions of a test that are tried one by one."""


@dataclass(frozen=True, slots=True)
class Version:
    """What one commit did to a file; `commit` is empty for what is not committed yet."""

    commit: str
    change: Change
    others: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A test, by path and qualified name, in the tree under test."""

    path: str
    name: str


@dataclass(slots=True)
class Past:
    """The history of files up to the tree under test; `repo` reads the objects of both."""

    surveyor: Surveyor
    repo: Repository
    sides: TreeSides
    head: str | None
    _uncommitted: tuple[Change, ...] | None = None
    _since: dict[str, bool] = field(default_factory=dict)
    _versions: dict[tuple[str, str | None], list[Version]] = field(default_factory=dict)
    _modules: dict[tuple[str, str], TestModule] = field(default_factory=dict)

    def since(self, commit: str) -> str | None:
        """Return the commit, where the history of the tree goes back to it."""
        repo = self.surveyor.repo
        if commit not in self._since:
            known = self.head is not None and repo.resolve(commit) is not None
            self._since[commit] = known and repo.is_ancestor(commit, self.head or "")
        return commit if self._since[commit] else None

    def versions(self, path: str, since: str | None) -> list[Version]:
        """Return what changed a file since a commit, newest first; renames are followed backwards."""
        if (path, since) not in self._versions:
            self._versions[path, since] = list(self._walk(path, since))
        return self._versions[path, since]

    def _walk(self, path: str, since: str | None) -> Iterator[Version]:
        if self.head is None:
            return
        if self._uncommitted is None:
            self._uncommitted = changes(self.repo, self.head, self.sides.tree)
        start: str | None = self.head
        for change in self._uncommitted:
            if path in (change.path, change.old_path):
                yield Version("", change, self._uncommitted)
                path = change.old_path or path
        while start is not None:
            start, found = self._until_renamed(path, start, since)
            yield from found
            if found:
                path = found[-1].change.old_path or path

    def _until_renamed(self, path: str, start: str, since: str | None) -> tuple[str | None, list[Version]]:
        """Return the commits that changed `path`, and the parent of the one that gave it this name."""
        args = ["log", "--topo-order", "--format=%H %P", f"--max-count={_MOST_COMMITS}", "--end-of-options"]
        bound = [f"^{since}"] if since is not None else []
        out = self.repo.run(*args, start, *bound, "--", f":(literal){path}")
        commits = [line.split() for line in out.decode().splitlines()]
        if not commits:
            return None, []
        lines = "".join(f"{' '.join(names[:2])}\n" for names in commits)
        raw = self.repo.run("diff-tree", "--stdin", "--root", *DIFF_OPTIONS, input=lines.encode())
        by_commit: dict[str, list[Change]] = {}
        for commit, change in parse_raw(raw):
            by_commit.setdefault(commit, []).append(change)
        found = []
        for commit, *parents in commits:
            others = tuple(by_commit.get(commit, ()))
            for change in [c for c in others if path in (c.path, c.old_path)][:1]:
                found.append(Version(commit, change, others))
                if change.status == "R" and change.path == path:
                    return next(iter(parents), None), found
        return None, found

    def path_now(self, path: str, since: str | None) -> str | None:
        """Return what a file is called in the tree under test; None where it is gone."""
        seen: set[str] = set()
        while path not in self.sides.listing:
            seen.add(path)
            latest = next(iter(self.versions(path, since)), None)
            if latest is None or latest.change.status != "R" or latest.change.path in seen:
                return None
            path = latest.change.path
        return path

    def module(self, blob: str | None, path: str) -> TestModule:
        """Return the tests that a blob defines; none for a file that is absent."""
        key = (blob or "", path)
        if key not in self._modules:
            text = self.repo.blob(blob) if blob is not None else b""
            names = self.surveyor.configuration
            self._modules[key] = TestModule(text, path, names.python_classes, names.python_functions)
        return self._modules[key]

    def today(self, path: str) -> TestModule:
        """Return the tests of a file of the tree under test."""
        entry = self.sides.listing.get(path)
        return self.module(entry.sha if entry is not None and entry.mode != "160000" else None, path)

    def whereabouts(self, test: Place, since: str | None) -> tuple[Place | None, Version | None]:
        """Return where a test stands today, and the change that moved it or took it away.

        It moved where the change that took it away added a test with the same code, or with the same name.
        """
        seen, moved = {test}, None
        while test.name not in self.today(test.path).tests:
            moved = self._lost(test, since)
            target = self._target(test, moved) if moved is not None else None
            if target is None or target in seen:
                return None, moved
            seen.add(target)
            test = target
        if moved is not None and not is_test_module(self.sides, test.path):
            return None, moved  # it stands where pytest does not look for tests any more
        return test, moved

    def _lost(self, test: Place, since: str | None) -> Version | None:
        for version in self.versions(test.path, since):
            change = version.change
            old_path = change.old_path or test.path
            if test.name not in self.module(change.old_blob, old_path).tests:
                continue
            if change.path != test.path or test.name not in self.module(change.blob, change.path).tests:
                return version
        return None

    def _target(self, test: Place, version: Version) -> Place | None:
        change = version.change
        lost = self.module(change.old_blob, change.old_path or test.path).tests[test.name]
        code, last = shape(lost.node, name=False), test.name.rpartition(".")[2]
        same_name = None
        for other in sorted(version.others, key=lambda c: test.path not in (c.path, c.old_path)):
            if other.status == "D" or not other.path.endswith(".py") or other.mode == "160000":
                continue
            before = self.module(other.old_blob, other.old_path or other.path).tests
            for name, found in self.module(other.blob, other.path).tests.items():
                if name in before and other.path == (other.old_path or other.path):
                    continue
                if shape(found.node, name=False) == code:
                    return Place(other.path, name)
                if name.rpartition(".")[2] == last:
                    same_name = same_name or Place(other.path, name)
        return same_name

    def stopped(self, test: Place, since: str | None) -> Version | None:
        """Return the change that brought a skip or an xfail to a test; None where it is none of its file."""
        for version in self.versions(test.path, since):
            change = version.change
            new = stops(self.module(change.blob, change.path), test.name)
            old = stops(self.module(change.old_blob, change.old_path or change.path), test.name)
            if change.old_blob is not None and new - old:
                return version
        return None

    def altered(self, test: Place, since: str | None) -> list[tuple[Version, str]]:
        """Return the changes of a test, or of what it uses in its file, newest first.

        Each comes with the name that the test had before it.
        """
        found: list[tuple[Version, str]] = []
        name, names = test.name, self.surveyor.configuration
        for version in self.versions(test.path, since):
            change = version.change
            if change.old_blob is None or change.blob is None:
                break
            before = self.module(change.old_blob, change.old_path or change.path)
            after = self.module(change.blob, change.path)
            if name not in after.tests:
                break
            if name not in before.tests:
                code = shape(after.tests[name].node, name=False)
                known = (n for n, f in before.tests.items() if shape(f.node, name=False) == code)
                earlier = next((n for n in known if n not in after.tests), None)
                if earlier is None:
                    break
                name = earlier
                continue
            told = changed_tests(
                self.repo.blob(change.old_blob),
                self.repo.blob(change.blob),
                change.path,
                names.python_classes,
                names.python_functions,
            )
            if any(each.test.name == name for each in told):
                found.append((version, name))
        return found


def first_of(count: int, is_so: Callable[[int], bool | None]) -> int | None:
    """Return the smallest number below `count` for which `is_so` holds; `count` for none.

    None where `is_so` could not tell (None) on the way. The first few are asked one by one: a test may
    have been weakened, restored and weakened again. The others are halved.
    """
    for number in range(min(count, ONE_BY_ONE)):
        answer = is_so(number)
        if answer is None or answer:
            return None if answer is None else number
    low, high = min(count, ONE_BY_ONE), count
    while low < high:
        middle = (low + high) // 2
        answer = is_so(middle)
        if answer is None:
            return None
        low, high = (low, middle) if answer else (middle + 1, high)
    return low


def since_when(version: Version | None) -> str:
    """Return since when a text is as it is, in words that end a sentence; empty where that is not known."""
    if version is None:
        return ""
    return f" since, by {version.commit[:7]}" if version.commit else " by the uncommitted change"


def stops(module: TestModule, name: str) -> frozenset[str]:
    """Return the code that can skip a test or mark it xfail: on it, in it, on its classes and its module."""
    found = module.tests.get(name)
    if found is None:
        return frozenset()
    nodes: list[ast.AST] = [*found.node.decorator_list, *found.node.body, *_of_block(module.tree.body)]
    for owner in found.owners:
        for base in module.bases(owner):
            nodes += [*base.decorator_list, *_of_block(base.body)]
    told: set[str] = set()
    for node in nodes:
        for inner in ast.walk(node):
            if _last_name(inner) in _STOPS:
                told.add(shape(node))
            elif isinstance(inner, ast.Name) and inner.id in module.bindings:
                bound = module.bindings[inner.id]
                told |= {shape(each) for each in bound if not isinstance(each, _DEFINITIONS) and _stops(each)}
    return frozenset(told)


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _of_block(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Give what a block says of all its tests: `pytestmark`, and calls that skip it as a whole."""
    for node in flat(body):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="pytestmark")])
                | ast.AnnAssign(target=ast.Name(id="pytestmark"))
            ):
                yield node
            case ast.Expr() | ast.Assign() | ast.Raise() if _stops(node) and not _is_mark(node):
                yield node


def _stops(node: ast.AST) -> bool:
    return any(_last_name(inner) in _STOPS for inner in ast.walk(node))


def _is_mark(node: ast.AST) -> bool:
    """Say whether a statement only makes a mark, to be put on some tests."""
    return any(isinstance(inner, ast.Attribute) and inner.attr == "mark" for inner in ast.walk(node))


def _last_name(node: ast.AST) -> str:
    return getattr(node, "attr", None) or (node.id if isinstance(node, ast.Name) else "")
