"""Find the tests of a fix in a tree: those that evidence links to it, and those near enough to be tried.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_bugsle.git.diff import changes
from pytest_bugsle.history.references import same_bug
from pytest_bugsle.regression import links
from pytest_bugsle.regression.sides import Side
from pytest_bugsle.results import Link
from pytest_bugsle.runner.outcome import Selector
from pytest_bugsle.settings import CASES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.history.units import Unit
    from pytest_bugsle.regression.gather import Surveyor, TreeSides
    from pytest_bugsle.regression.trees import Step

MOST_NEAR = 60
"""Test files that are tried when no link proves a fix; what lies further is too far to be its guard."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The linked tests, one selector a test, and what is wrong with links that lead nowhere."""

    tests: Mapping[Selector, tuple[Link, ...]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


def selector_of(id: str, rootdir: str) -> Selector:
    """Return how to ask for the test function behind a test id, which begins at pytest's rootdir."""
    path, _, name = id.partition("::")  # a folder may have a bracket in its name, as parameters have
    name = name.partition("[")[0].replace("::", ".")
    return Selector(posixpath.normpath(f"{rootdir}/{path}"), frozenset({name}) if name else None)


def plus_named(
    linked: Mapping[Selector, tuple[Link, ...]], ids: Iterable[str], rootdir: str
) -> dict[Selector, tuple[Link, ...]]:
    """Return `linked` and the tests with these ids, that a hook of the project linked."""
    tests = dict(linked)
    for id in sorted(ids):
        selector = selector_of(id, rootdir)
        tests[selector] = (
            *tests.get(selector, ()),
            Link(kind="hook", evidence="a hook of the project says so"),
        )
    return tests


def touched(sides: TreeSides, steps: Sequence[Step]) -> frozenset[str]:
    """Return the test modules that a fix touches, by their paths in the tree."""
    paths = (change.path for _, _, found in steps for change in found)
    return frozenset(path for path in paths if is_test_module(sides, path))


def is_test_module(sides: TreeSides, path: str) -> bool:
    """Say whether pytest would collect tests from a path of the tree."""
    return path in sides.listing and sides.side(path) is Side.TEST and sides.layout.tree.is_test_module(path)


def near(
    sides: TreeSides, steps: Sequence[Step], changed: Collection[str]
) -> tuple[tuple[Selector, ...], ...]:
    """Return the tests to try in stages: those in touched files, then those that import a changed module."""
    first = sorted(touched(sides, steps))
    importing: set[str] = set()
    for path in changed:
        if path.endswith(".py"):
            importing |= {other for other in sides.layout.importers_of(path) if is_test_module(sides, other)}
    second = sorted(importing - set(first), key=lambda path: (-_likeness(path, changed), path))[:MOST_NEAR]
    return tuple(tuple(Selector(path) for path in stage) for stage in (first, second) if stage)


def _likeness(path: str, changed: Collection[str]) -> int:
    """Count the words that a test file's name shares with the changed files' names."""
    words = _words(path)
    return max((len(words & _words(other)) for other in changed), default=0)


def _words(path: str) -> set[str]:
    name = path.rpartition("/")[2].removesuffix(".py")
    return {word for word in name.split("_") if word and word != "test"}


def find(surveyor: Surveyor, sides: TreeSides, unit: Unit, steps: Sequence[Step], tree: str) -> Linked:
    """Return the tests that evidence links to a unit, as they are called in the tree under test."""
    reader = _Reader(surveyor, sides)
    changed = [test for _, _, found in steps for test in reader.changed(found)]
    neighbours = [
        (test.test, f"{commit.sha[:7]} {test.kind} it, for the same bug")
        for commit in unit.evidence
        for test in reader.changed(commit.changes)
    ]
    trailers = [
        trailer for commit in (*unit.commits, *unit.parts, *unit.evidence) for trailer in commit.trailers
    ]
    mentioning = reader.mentioning(unit.bugs)
    named_by_trailer = [
        node.path for key, value in trailers if (node := _trailer_path(key, value)) is not None
    ]
    home = surveyor.policy().home
    cases = reader.cases(unit.bugs, home, steps, surveyor.rootdir)
    paths = {
        *(test.test.path for test in changed),
        *(test.path for test, _ in neighbours),
        *(node.path for node, _ in cases),
        *named_by_trailer,
    }
    renames = reader.renames(steps[0][1], tree) if any(path not in sides.listing for path in paths) else {}
    wanted = paths | set(mentioning) | {renames[path] for path in paths if path in renames}
    found = links.link(
        unit.bugs,
        {path: reader.names(path) for path in sorted(wanted) if path in sides.listing},
        trailers=trailers,
        marked=[claim for path in mentioning for claim in reader.marked(path)],
        cases=cases,
        changed=changed,
        named=[claim for path in mentioning for claim in reader.named(path, home)],
        neighbours=neighbours,
        renames=renames,
        home=home,
    )
    tests: dict[Selector, tuple[Link, ...]] = {}
    for each in found:
        if each.broken:
            continue
        selector = Selector(each.path, frozenset({each.name}) if each.name else None)
        tests[selector] = (*tests.get(selector, ()), Link(kind=each.kind, evidence=each.evidence))
    # A test that the fix changed and that is gone since is no fault; a link that somebody wrote down is.
    broken = tuple(
        f"{unit.head[:7]}: {each.evidence}, but {each.broken}"
        for each in found
        if each.broken and each.kind in ("case", "trailer")
    )
    return Linked(tests, broken)


def _trailer_path(key: str, value: str) -> links.NodeId | None:
    return links.parse_node_id(value) if key.casefold() == links.TRAILER.casefold() else None


def _case(raw: bytes) -> tuple[str, str]:
    """Return the id of the test that a case belongs to and the bug that it names; empty where it says none."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return "", ""
    found = said if isinstance(said, dict) else {}
    test, bug = found.get("test"), found.get("bug")
    return test if isinstance(test, str) else "", bug if isinstance(bug, str) else ""


class _Reader:
    """Reads test modules of a tree, and what a change did to them."""

    def __init__(self, surveyor: Surveyor, sides: TreeSides) -> None:
        self.sides = sides
        self.marker = surveyor.settings.marker
        self.classes = surveyor.configuration.python_classes
        self.functions = surveyor.configuration.python_functions

    def _text(self, path: str) -> bytes:
        return self.sides.repo.blob(self.sides.listing[path].sha)

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(
            test.name for test in links.tests_in(self._text(path), path, self.classes, self.functions)
        )

    def changed(self, found: Iterable[Change]) -> list[links.ChangedTest]:
        """Return the tests that a change added, altered, or reaches through what they use."""
        modules: list[tuple[str, bytes | None, bytes]] = []
        fixtures: list[tuple[str, frozenset[str]]] = []
        gone: set[str] = set()
        for change in found:
            if not change.path.endswith(".py") or "160000" in (change.old_mode, change.mode):
                continue
            old = self.sides.repo.blob(change.old_blob) if change.old_blob else None
            new = self.sides.repo.blob(change.blob) if change.blob else None
            if old is not None and self._holds_tests(change.old_path or change.path):
                gone |= links.removed_shapes(old, new, change.path)
            if new is None or self.sides.side(change.path) is not Side.TEST:
                continue
            if change.path.rpartition("/")[2] == "conftest.py":
                fixtures.append((change.path.rpartition("/")[0], links.changed_bindings(old, new)))
            elif self._holds_tests(change.path):
                modules.append((change.path, old, new))
        return [
            test
            for path, old, new in modules
            for test in links.changed_tests(
                old,
                new,
                path,
                self.classes,
                self.functions,
                also_changed={
                    name for folder, names in fixtures if f"{path}/".startswith(folder) for name in names
                },
                moved_from=gone,
            )
        ]

    def _holds_tests(self, path: str) -> bool:
        return self.sides.side(path) is Side.TEST and self.sides.layout.tree.is_test_module(path)

    def mentioning(self, bugs: Sequence[str]) -> list[str]:
        """Return the test modules of the tree that may name one of these bugs."""
        words = {
            word for bug in bugs for word in (re.search(r"[A-Za-z]*-?\d[\w-]*$", bug),) if word is not None
        }
        numbers = sorted({re.escape(word[0].lstrip("-")) for word in words})
        if not numbers:
            return []
        tree = self.sides.tree
        args = [argument for number in numbers for argument in ("-e", number)]
        out = self.sides.repo.run("grep", "-l", "-z", "-I", "-i", "-E", *args, tree, "--", "*.py", ok=(0, 1))
        prefix = f"{tree}:".encode()
        paths = [os.fsdecode(raw.removeprefix(prefix)) for raw in out.split(b"\0") if raw]
        return [path for path in paths if is_test_module(self.sides, path)]

    def marked(self, path: str) -> tuple[tuple[links.TestDef, tuple[str, ...]], ...]:
        return links.regression_markers(self._text(path), path, self.marker, self.classes, self.functions)

    def named(self, path: str, home: str | None) -> tuple[links.NamedBug, ...]:
        return links.named_bugs(self._text(path), path, self.classes, self.functions, home=home)

    def cases(
        self, bugs: Sequence[str], home: str | None, steps: Sequence[Step], rootdir: str
    ) -> list[tuple[links.NodeId, str]]:
        """Return the tests of which an accepted case names one of these bugs, or comes with the fix, and the case."""
        brought = {change.path for _, _, found in steps for change in found}
        made = []
        for path in sorted(path for path in self.sides.listing if path.startswith(f"{CASES}/")):
            if not path.endswith(".json") or self.sides.listing[path].mode == "160000":
                continue
            test, bug = _case(self._text(path))
            node = links.parse_node_id(test)
            if node is None:
                continue
            node = replace(node, path=posixpath.normpath(f"{rootdir}/{node.path}"))
            if any(same_bug(bug, other, home) for other in bugs):
                made.append((node, f"its case {path} names {bug}"))
            elif path in brought:
                made.append((node, f"the fix brings its case {path}"))
        return made

    def renames(self, commit: str, tree: str) -> dict[str, str]:
        moved = changes(self.sides.repo, commit, tree)
        return {c.old_path: c.path for c in moved if c.status == "R" and c.old_path is not None}
