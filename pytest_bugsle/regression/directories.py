"""Where in a tree the tests are, and where the product is.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from posixpath import dirname
from typing import TYPE_CHECKING

from pytest_bugsle.code.imports import SOURCE_ROOTS

if TYPE_CHECKING:
    from pytest_bugsle.regression.sides import Layout

DOCS = frozenset({"doc", "docs", "documentation"})
SHOWN = frozenset(
    {"example", "examples", "sample", "samples", "demo", "demos", "bench", "benchmark", "benchmarks"}
    | {"perf", "performance"}
)
BUILDS = frozenset({"setup.py", "noxfile.py", "versioneer.py", "py.typed"})
_RECORDED = frozenset({"__snapshots__", "snapshots", "cassettes", "__image_snapshots__"})
_OVERWHELMING = 3
_SAMPLE = 20


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
        regex += wild.get(token) or (
            token.replace("[!", "[^").replace("\\", r"\\") if is_set else re.escape(token)
        )
    try:
        return re.compile(f"(?:{regex})(?:/|\\Z)", re.DOTALL)
    except re.error:
        return re.compile(re.escape(text) + r"(?:/|\Z)")


def below(path: str, directory: str) -> bool:
    """Say whether a path is a directory or lies in it; "." is the top."""
    return directory in {"", "."} or path == directory or path.startswith(f"{directory}/")


def parents(path: str) -> Iterator[str]:
    """Give the directories above a path, the nearest first, without the top."""
    while path := path.rpartition("/")[0]:
        yield path


class Directories:
    """The directories of one listing, and which of them hold tests."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.paths = frozenset(layout.listing)
        root = layout.rootdir.strip("/")
        self.rootdir = "" if root == "." else root
        entries = [entry.removeprefix("./").strip("/") for entry in layout.testpaths]
        joined = [f"{self.rootdir}/{entry}".lstrip("/") for entry in entries if entry not in {"", "."}]
        # A `testpaths` entry for the whole of rootdir says nothing.
        self.testpaths = tuple(joined) if len(joined) == len(entries) else ()
        self.tests: defaultdict[str, set[str]] = defaultdict(set)
        self.plain: defaultdict[str, set[str]] = defaultdict(set)
        self.packages = {dirname(path) for path in self.paths if path.endswith("/__init__.py")}
        self.tests_below: Counter[str] = Counter()
        for path in self.paths:
            if not path.endswith(".py"):
                continue
            directory, _, name = path.rpartition("/")
            if self.is_test_module(path):
                self.tests[directory].add(name)
                self.tests_below.update(parents(path))
            elif name not in BUILDS | {"__init__.py", "conftest.py"}:
                self.plain[directory].add(name)
        self._known: dict[str, bool] = {}

    def is_test_module(self, path: str) -> bool:
        """Say whether pytest would take the file for a test module, were it told to look there."""
        name = path.rpartition("/")[2]
        if not name.endswith(".py") or name == "conftest.py":
            return False
        for pattern in self.layout.python_files:
            if fnmatchcase(f"/{path}", f"*/{pattern}") if "/" in pattern else fnmatchcase(name, pattern):
                return not self._skipped(path)
        return False

    def is_collected(self, path: str) -> bool:
        """Say whether pytest, told nothing, looks where the file is."""
        return below(path, self.rootdir) and (not self.testpaths or self._configured(path))

    def is_doctest(self, path: str) -> bool:
        """Say whether pytest collects a text file for its examples."""
        name = path.rpartition("/")[2]
        found = not name.endswith(".py") and any(
            fnmatchcase(name, glob) for glob in self.layout.doctest_globs
        )
        return found and self.is_collected(path) and not self._skipped(path)

    def is_recorded(self, path: str) -> bool:
        """Say whether a file is a snapshot, or data named after a test module beside it."""
        inner = "" if path.endswith(".py") else path
        while inner:
            directory, _, name = inner.rpartition("/")
            stems = {module.removesuffix(".py") for module in self.tests.get(directory, ())}
            if stems and (name in _RECORDED or name.partition(".")[0] in stems):
                return True
            inner = directory
        return False

    def is_packaged(self, path: str) -> bool:
        """Say whether a file lies in an import package, or in a directory below a source root."""
        above = list(parents(path))
        if any(directory in self.packages for directory in above):
            return True
        return any(directory in self.source_roots for directory in above[1:])

    def above_package(self, path: str) -> list[str]:
        """Name the directories from the top to a file's topmost package, that one included."""
        names: list[str] = []
        for directory in reversed(list(parents(path))):
            name = directory.rpartition("/")[2]
            if directory in self._shipped or name in self.layout.packages:
                break
            names.append(name)
            if directory in self.packages:
                break
        return names

    def imported_by_product(self, path: str, *, outside: str | None) -> bool:
        """Say whether product code, from outside a directory, imports the module in `path`."""
        others = self.layout.importers_of(path)
        return any(self._is_product(o) for o in others if outside is None or not below(o, outside))

    def test_directory(self, path: str) -> str | None:
        """Give the nearest test directory above a path."""
        for directory in parents(path):
            if directory not in self._known:
                self._known[directory] = self._is_test_directory(directory)
            if self._known[directory]:
                return directory
        return None

    @cached_property
    def source_roots(self) -> frozenset[str]:
        """The `src` directories that hold modules: of the top and of rootdir, else of each project within."""
        holding = {d for place in {*self.plain, *self.packages} for d in (place, *parents(place)) if d}
        found = {d for d in holding if d.rpartition("/")[2] in SOURCE_ROOTS and d not in self.packages}
        near = {d for d in found if dirname(d) in {"", self.rootdir}}
        beside_tests = {d for d in found if any(self.tests.get(parent) for parent in parents(d))}
        if near or any(dirname(package) in {"", self.rootdir} for package in self.packages):
            return frozenset(near | {d for d in found - beside_tests if not below(d, self.rootdir)})
        return frozenset(found - beside_tests)

    @cached_property
    def _shipped(self) -> frozenset[str]:
        """The directories known to hold the product: source roots, and the packages that the project names."""
        names = {name.replace("-", "_") for name in self.layout.packages}
        tops = {p for p in self.packages if dirname(p) not in self.packages}
        return self.source_roots | {p for p in tops if p.rpartition("/")[2] in names}

    @cached_property
    def _product(self) -> dict[str, str]:
        """One module of each directory that may be product: the top, packages, and what is in a source root."""
        found = {}
        for directory in {*self.plain, *self.packages}:
            name = "__init__.py" if directory in self.packages else min(self.plain[directory])
            module = f"{directory}/{name}".lstrip("/")
            if self._may_be_product(module):
                found[directory] = module
        return found

    def _may_be_product(self, path: str) -> bool:
        placed = "/" not in path or self.is_packaged(path) or dirname(path) in self.source_roots
        return placed and (DOCS | SHOWN).isdisjoint(self.above_package(path))

    def _is_product(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        if name == "conftest.py" or name in BUILDS or self.is_test_module(path):
            return False
        return self._may_be_product(path) and not self._among_tests(path)

    def _among_tests(self, path: str) -> bool:
        return any(self._mostly_tests(directory) for directory in parents(path))

    def _skipped(self, path: str) -> bool:
        asked = max((len(d) for d in parents(path) if d in self.testpaths), default=0)
        names = [d.rpartition("/")[2] for d in parents(path) if len(d) > asked]
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.layout.norecursedirs)

    def _configured(self, path: str) -> bool:
        return any(matches(path, entry) for entry in self.testpaths)

    def _mostly_tests(self, directory: str) -> bool:
        count = len(self.tests.get(directory, ()))
        return count > len(self.plain.get(directory, ())) and not self._paired(directory)

    def _paired(self, directory: str) -> bool:
        """Say whether a module stands beside a test module named after it, and nowhere else."""
        tests = self.tests.get(directory, set())
        stems = {name.removesuffix(".py") for name in tests}
        tested = {stem.removeprefix("test_").removesuffix("_test") for stem in stems}
        if directory in self.packages and directory.rpartition("/")[2] in tested:
            return True
        pairs = [name for name in self.plain.get(directory, ()) if name.removesuffix(".py") in tested]
        alone = sum(not self._elsewhere(name.removesuffix(".py"), directory) for name in pairs)
        # Below `testpaths` a helper may have a test of its own.
        return alone * 2 >= len(tests) > 0 if self._configured(directory) else alone > 0

    def _elsewhere(self, stem: str, directory: str) -> bool:
        places = (place for place, names in self.plain.items() if f"{stem}.py" in names)
        packages = (place for place in self.packages if place.rpartition("/")[2] == stem)
        return any(not below(place, directory) for place in (*places, *packages))

    def _is_test_directory(self, directory: str) -> bool:
        holds_home = any(below(home, directory) for home in (*self._shipped, self.rootdir) if home)
        if not self.tests_below[directory] or holds_home or self._paired(directory):
            return False
        if all(below(place, directory) for place in self._product):
            return False  # the only product there is
        configured = self._configured(directory)
        if self._mostly_tests(directory):
            plain = len(self.plain.get(directory, ()))
            many = len(self.tests[directory]) >= _OVERWHELMING * plain
            return many or configured or self._tests_import_product(directory)
        loose = self._loose(directory)
        if not loose:
            return dirname(directory) not in self.source_roots
        if any(below(directory, home) for home in self._shipped):
            return False
        outside = directory if configured else None
        served = not any(self.imported_by_product(path, outside=outside) for path in loose[:_SAMPLE])
        return served and self._tests_import_product(directory)

    def _loose(self, directory: str) -> list[str]:
        """List the modules below a directory that are neither tests nor in a directory full of tests."""
        return sorted(
            f"{place}/{name}"
            for place, names in self.plain.items()
            if below(place, directory) and not self._among_tests(f"{place}/x")
            for name in names
        )

    def _tests_import_product(self, directory: str) -> bool:
        tops = sorted(place for place in self._product if dirname(place) not in self._product or not place)
        modules = [self._product[place] for place in tops if place and not below(place, directory)]
        modules += sorted(self.plain.get("", ()))
        return any(below(o, directory) for module in modules for o in self.layout.importers_of(module))
