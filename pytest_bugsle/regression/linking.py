"""Find the tests of a fix in a tree: those that evidence links to it, and those near enough to be tried.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.regression.sides import Side
from pytest_bugsle.results import Link
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

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

    def plus_named(self, ids: Iterable[str], prefix: str) -> Linked:
        """Return these and the tests with these ids, that a hook of the project linked."""
        tests = dict(self.tests)
        for id in sorted(ids):
            path, _, name = id.partition("::")
            selector = Selector(prefix + path, frozenset({name.replace("::", ".")}))
            tests[selector] = (*tests.get(selector, ()), Link(kind="neighbour", evidence="a hook of the project says so"))
        return Linked(tests, self.broken)


NOTHING = Linked()


def touched(sides: TreeSides, steps: Sequence[Step]) -> frozenset[str]:
    """Return the test modules that a fix touches, by their paths in the tree."""
    paths = (change.path for _, _, found in steps for change in found)
    return frozenset(path for path in paths if is_test_module(sides, path))


def is_test_module(sides: TreeSides, path: str) -> bool:
    """Say whether pytest would collect tests from a path of the tree."""
    return path in sides.listing and sides.side(path) is Side.TEST and sides.layout.tree.is_test_module(path)


def near(
    surveyor: Surveyor, sides: TreeSides, steps: Sequence[Step], changed: Collection[str]
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
    return NOTHING
