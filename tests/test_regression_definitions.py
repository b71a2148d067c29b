"""The tests of a text are those that pytest collects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.regression.definitions import tests_in as defined_tests

SOURCE = """
import unittest
import pytest

def test_plain(): pass
async def test_async(): pass
def helper(): pass

@pytest.fixture
def test_data(): pass

@pytest.mark.parametrize("x", [1, 2])
def test_many(x): pass

if True:
    def test_conditional(): pass
try:
    import nothing_there
except ImportError:
    def test_fallback(): pass

class TestA:
    def test_one(self): pass
    def helper(self): pass
    class TestInner:
        def test_two(self): pass
    class Other:
        def test_no(self): pass

class TestWithConstructor:
    def __init__(self): pass
    def test_no(self): pass

class TestRefused:
    __test__ = False
    def test_no(self): pass

class Mixin:
    def test_mixed(self): pass

class TestB(Mixin, TestA):
    def test_three(self): pass

class Case(unittest.TestCase):
    def test_case(self): pass
    def no(self): pass
    class TestInside:
        def test_no(self): pass

class Derived(Case):
    def test_derived(self): pass

class NotCollected:
    def test_no(self): pass
"""


def names(source: str, **options: tuple[str, ...]) -> list[str]:
    """List the names of a text's tests."""
    return [test.name for test in defined_tests(source.encode(), "test_a.py", **options)]


def test_agreement_with_pytest(tmp_path: Path) -> None:
    """Every place where a collected test is written is listed, and nothing else."""
    (tmp_path / "test_a.py").write_text(SOURCE)
    code = (
        "import pytest\n"
        "class P:\n"
        "    def pytest_collection_modifyitems(self, items):\n"
        "        print('FOUND', *sorted({i.function.__qualname__ for i in items}))\n"
        "pytest.main(['--collect-only', '-qq', '-p', 'no:cacheprovider', '-p', 'no:randomly'], plugins=[P()])\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    line = next(line for line in out.stdout.splitlines() if line.startswith("FOUND"))
    assert line.split()[1:] == sorted(names(SOURCE))


def test_lines_begin_with_the_decorators() -> None:
    """The span of a test holds its decorators."""
    (test,) = defined_tests(b"\n@a\n@b(\n1)\ndef test_x():\n    pass\n", "test_a.py")
    assert (test.path, test.line, test.last_line) == ("test_a.py", 2, 6)


def test_configured_names() -> None:
    """`python_classes` and `python_functions` are prefixes or globs."""
    source = "def check_a(): pass\nclass ASuite:\n    def check_b(self): pass\ndef test_c(): pass"
    assert names(source, python_classes=("*Suite",), python_functions=("check_*",)) == [
        "check_a",
        "ASuite.check_b",
    ]


@pytest.mark.parametrize(
    "source", ["print 1", "", "class A(A): pass", "class TestA(TestB): pass\nclass TestB(TestA): pass"]
)
def test_odd_texts(source: str) -> None:
    """Another Python, nothing, and classes that derive from themselves."""
    assert names(source) == []


@given(st.binary(max_size=200))
def test_any_bytes(source: bytes) -> None:
    """Whatever stands under a test's name."""
    assert isinstance(defined_tests(source, "x"), tuple)
