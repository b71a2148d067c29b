"""Files are modules by their place, and texts import modules by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.code.imports import (
    import_roots,
    imported_modules,
    importers,
    is_package,
    mention_pattern,
    module_name,
    module_names,
    owned_modules,
)

TREE = frozenset(
    [
        "parse.py",
        "setup.py",
        "conftest.py",
        "pkg/__init__.py",
        "pkg/a.py",
        "pkg/sub/__init__.py",
        "pkg/sub/b.py",
        "src/lay/__init__.py",
        "src/lay/c.py",
        "src/ns/part/__init__.py",
        "src/ns/part/d.py",
        "src/single.py",
        "tests/test_a.py",
        "tests/unit/__init__.py",
        "tests/unit/test_b.py",
        "scripts/run.py",
        "scripts/my-tool.py",
        "lib/__init__.py",
        "lib/e.py",
        "proj/src/deep/__init__.py",
        "pkg/fast.pyx",
        "pkg/quick.cpython-311-x86_64-linux-gnu.so",
        "pkg/data.json",
        "pkg/a.pyi",
    ]
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("parse.py", (".", "parse")), ("pkg/__init__.py", (".", "pkg")), ("pkg/sub/b.py", (".", "pkg.sub.b")),
        ("src/lay/c.py", ("src", "lay.c")), ("src/ns/part/d.py", ("src", "ns.part.d")),
        ("src/single.py", ("src", "single")), ("tests/test_a.py", ("tests", "test_a")),
        ("tests/unit/test_b.py", ("tests", "unit.test_b")), ("scripts/my-tool.py", None), ("lib/e.py", (".", "lib.e")),
        ("proj/src/deep/__init__.py", ("proj/src", "deep")), ("pkg/fast.pyx", (".", "pkg.fast")),
        ("pkg/quick.cpython-311-x86_64-linux-gnu.so", (".", "pkg.quick")), ("pkg/data.json", None),
        ("pkg/a.pyi", None), ("__init__.py", None), ("Makefile", None),
    ],
)  # fmt: skip
def test_module_of_a_path(path: str, expected: tuple[str, str] | None) -> None:
    """A package's root is above its topmost `__init__`, and a `src` above that makes namespace packages."""
    assert module_name(path, TREE) == expected


def test_known_roots_come_first() -> None:
    """A directory known to be on `sys.path` names what lies below it, unless it is inside the package."""
    assert module_name("tests/test_a.py", TREE, (".",)) == (".", "tests.test_a")
    assert module_name("tests/test_a.py", TREE, (".", "tests")) == ("tests", "test_a")
    assert module_name("pkg/sub/b.py", TREE, ("pkg",)) == (".", "pkg.sub.b")


def test_all_names_of_a_path() -> None:
    """Every root that could be on `sys.path` gives a name; a root inside the package does not."""
    assert module_names("src/lay/c.py", TREE) == ("src.lay.c", "lay.c")
    assert module_names("tests/test_a.py", TREE) == ("tests.test_a", "test_a")
    assert module_names("pkg/__init__.py", TREE) == ("pkg",)
    assert module_names("scripts/my-tool.py", TREE) == ()
    assert is_package("pkg/__init__.py") and not is_package("pkg/a.py")


def test_import_roots() -> None:
    """pytest's own `pythonpath` leads, then the root of each source."""
    assert import_roots(TREE, ["src/lay/c.py", "src/ns/part/d.py"]) == ("src",)
    assert import_roots(TREE, ["parse.py"], ("./src/", ".")) == ("src", ".")
    assert import_roots(TREE, ["pkg/data.json"]) == ()


def test_owned_modules() -> None:
    """Top-level modules and packages, parts of namespace packages, and no stray directory of scripts."""
    assert owned_modules(TREE, (".", "src")) == ("lay", "lib", "ns.part", "parse", "pkg", "single")
    assert owned_modules(TREE, (".",), ["scripts/run.py"]) == ("lib", "parse", "pkg", "scripts.run")
    assert owned_modules(TREE, ("src",)) == ("lay", "ns.part", "single")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a, b.c as d", "a b.c"), ("from a.b import c, d as e", "a.b a.b.c a.b.d"), ("from a import *", "a"),
        ("from . import x", "pkg.sub pkg.sub.x"), ("from .y import x", "pkg.sub.y pkg.sub.y.x"),
        ("from .. import x", "pkg pkg.x"), ("from ... import x", "x"), ("from .... import x", ""),
        ("def f():\n    import late", "late"), ("if TYPE_CHECKING:\n    import t", "t"),
        ("importlib.import_module('a.b')", "a.b"), ("import_module('.c', 'x')", "pkg.sub.c"),
        ("pytest.importorskip('n', minversion='1')", "n"), ("__import__('o')", "o"), ("import_module(name)", ""),
        ("pytest_plugins = ['p.q', 'r']", "p.q r"), ("pytest_plugins = 'p'", "p"),
        ("print 'old'\nimport a, b as c\n  from .d import e", "a b pkg.sub.d"),
    ],
)  # fmt: skip
def test_imports_of_a_text(source: str, names: str) -> None:
    """Absolute and relative, at any depth, by name, and of another Python line by line."""
    assert imported_modules(source.encode(), "pkg.sub.mod") == set(names.split())


def test_relative_imports_of_a_package() -> None:
    """In an `__init__` one dot is the package itself."""
    assert imported_modules(b"from . import x", "pkg.sub", package=True) == {"pkg.sub", "pkg.sub.x"}
    assert imported_modules(b"from . import x", None) == set()


def test_importers_of_a_file() -> None:
    """Found under any name, also through a package, and never by a word alone."""
    sources = {
        "pkg/a.py": b"import a",
        "pkg/sub/b.py": b"from .. import a",
        "tests/test_a.py": b"from pkg.a import thing",
        "parse.py": b"a = 'pkg.a'",
        "scripts/run.py": b"import pkg",
        "pkg/sub/__init__.py": b"from ..a import *",
    }
    assert importers("pkg/a.py", sources, TREE) == ("pkg/sub/__init__.py", "pkg/sub/b.py", "tests/test_a.py")
    assert importers("pkg/__init__.py", sources, TREE) == (
        "pkg/sub/__init__.py", "pkg/sub/b.py", "scripts/run.py", "tests/test_a.py"
    )  # fmt: skip
    assert importers("pkg/data.json", sources, TREE) == ()


def test_first_sieve() -> None:
    """Only the last word of a name is looked for, as a whole word."""
    pattern = mention_pattern(["pkg.core", "other"])
    assert pattern.search(b"from .core import x") and pattern.search(b"import other")
    assert not pattern.search(b"import score, core_2, another")
    assert not mention_pattern([]).search(b"anything")


@pytest.mark.parametrize("path", ["parse.py", "pkg/sub/b.py", "src/ns/part/d.py", "tests/unit/test_b.py"])
def test_agreement_with_the_import_system(tmp_path: Path, path: str) -> None:
    """With the root on `sys.path` the name imports that very file."""
    for name in TREE:
        if name.endswith(".py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
    found = module_name(path, TREE)
    assert found is not None
    code = f"import sys, importlib; sys.path[:0] = ['{tmp_path / found[0]}']\n"
    code += f"print(importlib.import_module('{found[1]}').__file__)"
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(out.stdout.strip()) == tmp_path / path


@given(st.binary(max_size=100), st.text(max_size=20))
def test_any_input_is_answered(source: bytes, path: str) -> None:
    """Paths and texts come from strangers."""
    assert isinstance(imported_modules(source, "a.b"), frozenset)
    names = module_names(path, {path})
    found = module_name(path, {path})
    assert found is None or found[1] in names
