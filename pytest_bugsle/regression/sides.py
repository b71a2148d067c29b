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
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from posixpath import dirname

from pytest_bugsle.code.imports import SOURCE_ROOTS, module_names


class Side(StrEnum):
    """Where a changed file belongs in the experiment."""

    TEST = "test"
    SOURCE = "source"
    NEUTRAL = "neutral"


_DOCS = frozenset({"doc", "docs", "documentation"})
_SHOWN = frozenset(
    {"example", "examples", "sample", "samples", "demo", "demos", "bench", "benchmark", "benchmarks"}
    | {"perf", "performance"}
)
_RECORDED = frozenset({"__snapshots__", "snapshots", "cassettes", "__image_snapshots__"})
_BUILDS = frozenset({"setup.py", "noxfile.py", "versioneer.py", "py.typed"})
_PROSE = (".md", ".rst", ".pyi", ".lock")
_NATIVE = (".pyx", ".pxd", ".pxi", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".rs", ".f", ".f90")
_OVERWHELMING = 3


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
    _imported: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    _sides: dict[str, Side] = field(default_factory=dict, repr=False)

    @cached_property
    def tree(self) -> _Tree:
        """The directories of the listing, counted once."""
        return _Tree(self)

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
    side = layout._sides.get(path)
    if side is None:
        side = layout._sides[path] = _classify(path, layout)
    return side


def in_scope(path: str, layout: Layout) -> bool:
    """Say whether a path is source that the gate answers for: by the `source` setting, else below rootdir."""
    if classify(path, layout) is not Side.SOURCE:
        return False
    if layout.source:
        return any(matches(path, pattern) for pattern in layout.source)
    return _below(path, layout.rootdir)


def matches(path: str, pattern: str) -> bool:
    """Say whether a pattern of the settings names a path, or a directory above it.

    `*` and `?` stop at a slash, `**` does not; `src`, `src/`, `./src` and `src/**` all mean what is in src.
    """
    return _compiled(pattern).match(path) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern.removeprefix("./").rstrip("/")
    if text in {"", "."}:
        return re.compile("")
    regex = ""
    for token in re.findall(r"\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]/]+\]|.", text, re.DOTALL):
        wild = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        is_set = len(token) > 2 and token[0] == "["
        regex += wild.get(token) or (token.replace("[!", "[^").replace("\\", r"\\") if is_set else re.escape(token))
    try:
        return re.compile(f"(?:{regex})(?:/|\\Z)", re.DOTALL)
    except re.error:
        return re.compile(re.escape(text) + r"(?:/|\Z)")


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
    if _below(path, layout.rootdir) and not tree.is_collected(path):
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
    if name in _BUILDS or name.endswith(_PROSE):
        return True
    above = layout.tree.above_package(path)
    if not _DOCS.isdisjoint(above):
        return True
    if name == "conf.py" and f"{dirname(path)}/index.rst".lstrip("/") in layout.tree.paths:
        return True
    if not _SHOWN.isdisjoint(above):
        return not any(layout.tree.is_test_module(other) for other in layout.importers_of(path))
    return False


def _below(path: str, directory: str) -> bool:
    return directory in {"", "."} or path == directory or path.startswith(f"{directory}/")


def _parents(path: str) -> Iterator[str]:
    """Give the directories above a path, the nearest first, without the top."""
    directory = dirname(path)
    while directory:
        yield directory
        directory = dirname(directory)


class _Tree:
    """The directories of one listing: where tests are, and where the product is."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.paths = frozenset(layout.listing)
        self.testpaths = tuple(
            _joined(layout.rootdir, entry) for entry in layout.testpaths if entry.strip("/") not in {"", "."}
        )
        self.everywhere = len(self.testpaths) < len(layout.testpaths) or not layout.testpaths
        self.tests: defaultdict[str, set[str]] = defaultdict(set)
        self.plain: defaultdict[str, set[str]] = defaultdict(set)
        self.tests_below: Counter[str] = Counter()
        for path in self.paths:
            if not path.endswith(".py"):
                continue
            directory, _, name = path.rpartition("/")
            if self.is_test_module(path):
                self.tests[directory].add(name)
                self.tests_below.update(_parents(path))
            elif name not in {"__init__.py", "conftest.py"} | _BUILDS:
                self.plain[directory].add(name)
        self._homes: dict[str, bool] = {}

    def is_test_module(self, path: str) -> bool:
        """Say whether pytest would take the file for a test module, were it asked to look there."""
        name = path.rpartition("/")[2]
        if not name.endswith(".py") or name == "conftest.py":
            return False
        for pattern in self.layout.python_files:
            if fnmatchcase(f"/{path}", f"*/{pattern}") if "/" in pattern else fnmatchcase(name, pattern):
                return not self._skipped(path)
        return False

    def is_doctest(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        found = not name.endswith(".py") and any(fnmatchcase(name, p) for p in self.layout.doctest_globs)
        return found and self.is_collected(path) and not self._skipped(path)

    def _skipped(self, path: str) -> bool:
        asked = max((entry for entry in self.testpaths if _under_entry(path, entry)), key=len, default="")
        directories = [d for d in _parents(path) if len(d) > len(asked)]
        return any(fnmatchcase(d.rpartition("/")[2], p) for d in directories for p in self.layout.norecursedirs)

    def is_collected(self, path: str) -> bool:
        if not _below(path, self.layout.rootdir):
            return False
        return self.everywhere or any(_under_entry(path, entry) for entry in self.testpaths)

    def is_packaged(self, path: str) -> bool:
        """Say whether a file lies in an import package, or in a source root's directory without `__init__`."""
        for directory in _parents(path):
            if f"{directory}/__init__.py" in self.paths:
                return True
        return self.source_root(path) is not None and "/" in path[len(self.source_root(path) or "") + 1 :]

    def source_root(self, path: str) -> str | None:
        """Give the `src` above a path, if that holds product code and is no package."""
        for directory in _parents(path):
            if directory in self._source_roots:
                return directory
        return None

    @cached_property
    def _source_roots(self) -> frozenset[str]:
        found = {d for path in self.plain | self.inits for d in (path, *_parents(path))}
        return frozenset(d for d in found if d.rpartition("/")[2] in SOURCE_ROOTS and d not in self.inits)

    @cached_property
    def inits(self) -> dict[str, set[str]]:
        return {dirname(p): {"__init__.py"} for p in self.paths if p.endswith("/__init__.py")}

    def above_package(self, path: str) -> list[str]:
        """Name the directories above a path down to its topmost package, that one included."""
        parts = dirname(path).split("/")
        for depth in range(1, len(parts) + 1):
            if "/".join(parts[:depth]) in self.inits or "/".join(parts[:depth]) in self._source_roots:
                return [p for p in parts[:depth] if p not in self.layout.packages]
        return parts

    @cached_property
    def _shipped(self) -> frozenset[str]:
        """The directories known to hold the product: source roots, and the packages that the project names."""
        names = {name.replace("-", "_").replace(".", "/") for name in self.layout.packages}
        named = {d for d in self.inits if dirname(d) not in self.inits and (d in names or d.split("/")[-1] in names)}
        return self._source_roots | named

    @cached_property
    def _product(self) -> dict[str, str]:
        """A module of each directory that could be part of the product: packages, source roots, the top."""
        found = {}
        for directory, names in [*self.plain.items(), *self.inits.items()]:
            sample = f"{directory}/{min(names)}".lstrip("/")
            shown = _DOCS | _SHOWN
            if (not directory or self.is_packaged(sample)) and shown.isdisjoint(self.above_package(sample)):
                found[directory] = sample
        return found

    def test_directory(self, path: str) -> str | None:
        """Give the nearest test directory above a path."""
        for directory in _parents(path):
            if directory not in self._homes:
                self._homes[directory] = self._is_test_directory(directory)
            if self._homes[directory]:
                return directory
        return None

    def _is_test_directory(self, directory: str) -> bool:
        if not self.tests_below[directory] or any(_below(home, directory) for home in self._shipped):
            return False
        if self._paired(directory) or all(_below(d, directory) for d in self._product if d not in self._inner(d)):
            return False
        if self._mostly_tests(directory):
            few = len(self.tests[directory]) >= _OVERWHELMING * len(self.plain[directory])
            return few or self._configured(directory) or self._tests_import_product(directory)
        return self._serves_tests(directory)

    def _inner(self, directory: str) -> tuple[str, ...]:
        return ()

    def _configured(self, directory: str) -> bool:
        return any(_under_entry(directory, entry) for entry in self.testpaths)
