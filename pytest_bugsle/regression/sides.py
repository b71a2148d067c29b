"""Which side of a fix a path is on: the tests', the source's, or neither.  PYTEST_DONT_REWRITE

The before tree is the tree under test with the *source* side of the fix put back; *test* and *neutral*
files stay. pytest's own configuration and imports decide; the word "test" in a path decides nothing.

1. What a `tests` pattern of the settings names is test. What a `source` pattern names is source, unless
   a test directory is nearer to the file than the pattern.
2. `conftest.py`, and the file that holds pytest's settings, are test.
3. A module that pytest collects (`python_files`, below `testpaths`) is test. Beside product code it is
   source if product code imports it.
4. A test directory is one that holds such modules while the product lives elsewhere: one below
   `testpaths`, one whose modules are mostly tests, or one that serves only tests. Everything in it is test,
   save a module that product code imports. `foo.py` beside its `test_foo.py` is no helper of tests.
5. Snapshots and data named after a test module beside them are test.
6. Documentation, examples, benchmarks, stubs, CI, lock files and `setup.py` are neutral. An example or a
   benchmark that tests import is source.
7. Other Python and native code, and any file inside an import package, is source. The rest is neutral.

In doubt a module is source: a helper put back too much makes a proof undecided, a fix kept makes it wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from posixpath import dirname

from pytest_bugsle.code.imports import module_names
from pytest_bugsle.regression.directories import BUILDS, DOCS, SHOWN, Directories, below, matches, parents


class Side(StrEnum):
    """Where a changed file belongs in the experiment."""

    TEST = "test"
    SOURCE = "source"
    NEUTRAL = "neutral"


_PROSE = (".md", ".rst", ".pyi", ".lock")
_NATIVE = (".pyx", ".pxd", ".pxi", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".rs", ".f", ".f90")


def _nobody(module: str) -> Collection[str]:
    return ()


@dataclass(frozen=True, eq=False)
class Layout:
    """What is known of a tree: its paths, pytest's configuration, the settings, and who imports what.

    `importers` is given a dotted name and answers with the paths that import it or something inside it;
    it is asked only where listing and configuration leave a doubt. `rootdir` is relative to the top,
    `testpaths` to `rootdir`. `packages` are the names of the import packages that the project ships.
    """

    listing: Collection[str]
    testpaths: tuple[str, ...] = ()
    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    rootdir: str = "."
    norecursedirs: tuple[str, ...] = (
        "*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}"
    )  # fmt: skip
    importers: Callable[[str], Collection[str]] = _nobody
    inifile: str | None = None
    doctest_globs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    _imported: dict[str, frozenset[str]] = field(default_factory=dict, init=False, repr=False)
    _sides: dict[str, Side] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def tree(self) -> Directories:
        """The directories of the listing, counted once."""
        return Directories(self)

    def side(self, path: str) -> Side:
        """Say on which side a path is."""
        if path not in self._sides:
            self._sides[path] = _classify(path, self)
        return self._sides[path]

    def importers_of(self, path: str) -> frozenset[str]:
        """Give the other files that import the module in `path`, under any name that it may have."""
        found: set[str] = set()
        for name in module_names(path, self.tree.paths):
            if name not in self._imported:
                self._imported[name] = frozenset(self.importers(name))
            found |= self._imported[name]
        return frozenset(found - {path})


def classify(path: str, layout: Layout) -> Side:
    """Say on which side a path is; it need not be in the listing (a file that the fix deletes is not)."""
    return layout.side(path)


def is_native(path: str) -> bool:
    """Say whether a file takes effect only when an extension is built from it."""
    return path.endswith(_NATIVE)


def is_prose(path: str, layout: Layout) -> bool:
    """Say by its name alone whether a file is neutral; what stands among tests may be their data.

    Telling the side of every file of a tree would cost an import look-up for each doubtful one.
    """
    if path.startswith("."):
        return True
    among_tests = any(layout.tree.tests_below[directory] for directory in parents(path))
    return path.endswith(_PROSE) and not among_tests


def in_scope(path: str, layout: Layout) -> bool:
    """Say whether a path is source that the gate answers for: by the `source` setting, else below rootdir."""
    if classify(path, layout) is not Side.SOURCE:
        return False
    if layout.source:
        return any(matches(path, pattern) for pattern in layout.source)
    return below(path, layout.rootdir)


def _classify(path: str, layout: Layout) -> Side:
    tree = layout.tree
    name = path.rpartition("/")[2]
    if any(matches(path, pattern) for pattern in layout.tests):
        return Side.TEST
    home = tree.test_directory(path)
    for pattern in layout.source:
        if matches(path, pattern) and _names_more(pattern, path, home):
            return Side.SOURCE
    if name == "conftest.py" or path == layout.inifile:
        return Side.TEST
    if any(part.startswith(".") for part in path.split("/")):
        return Side.NEUTRAL
    if tree.is_test_module(path):
        return _module_side(path, home, layout)
    if tree.is_doctest(path):
        return Side.TEST
    if home is not None:
        helper = name.endswith(".py") and tree.imported_by_product(path, outside=home)
        return Side.SOURCE if helper else Side.TEST
    if tree.is_recorded(path):
        return Side.TEST
    if _neutral(path, layout):
        return Side.NEUTRAL
    if name.endswith((".py", *_NATIVE)) or tree.is_packaged(path):
        return Side.SOURCE
    return Side.NEUTRAL


def _module_side(path: str, home: str | None, layout: Layout) -> Side:
    tree = layout.tree
    if home is not None:
        return Side.TEST
    if below(path, layout.rootdir) and not tree.is_collected(path):
        # pytest is told to look elsewhere: in a package this is a shipped helper, outside one a test run by hand.
        return Side.SOURCE if tree.is_packaged(path) else Side.TEST
    return Side.SOURCE if tree.imported_by_product(path, outside=None) else Side.TEST


def _names_more(pattern: str, path: str, home: str | None) -> bool:
    """Say whether a `source` pattern is nearer to the file than its test directory, or names files by kind."""
    literal = pattern.removeprefix("./").rstrip("/").split("/")
    plain = [part for part in literal if not re.search(r"[*?\[]", part)]
    if home is not None:
        return len(plain) > home.count("/") + 1
    return "." in literal[-1].strip(".") or literal == path.split("/")


def _neutral(path: str, layout: Layout) -> bool:
    name = path.rpartition("/")[2]
    if name in BUILDS or name.endswith(_PROSE):
        return True
    above = layout.tree.above_package(path)
    if not DOCS.isdisjoint(above):
        return True
    if name == "conf.py" and f"{dirname(path)}/index.rst".lstrip("/") in layout.tree.paths:
        return True
    if not SHOWN.isdisjoint(above):
        return not any(layout.tree.is_test_module(other) for other in layout.importers_of(path))
    return False
