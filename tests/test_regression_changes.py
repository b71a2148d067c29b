"""A change adds tests, alters them, or alters what they use; a touched line alone is nothing."""

from __future__ import annotations

import textwrap

import pytest

from pytest_bugsle.regression.changes import changed_bindings, changed_tests, removed_shapes


def kinds(old: str | None, new: str, **options: object) -> dict[str, str]:
    """Say what happened to which test."""
    before = None if old is None else textwrap.dedent(old).encode()
    found = changed_tests(before, textwrap.dedent(new).encode(), "test_a.py", **options)  # type: ignore[arg-type]
    return {test.name: f"{kind} {uses}".strip() for test, kind, uses in found}


def test_added_and_changed() -> None:
    """New tests are added, tests with another body or decorator are changed, the rest is not listed."""
    old = "def test_a():\n    assert f(1)\ndef test_b(): pass\ndef test_c(): assert 1\n"
    new = "def test_a():\n    assert f(2)\n@mark\ndef test_b(): pass\ndef test_c(): assert 1\ndef test_d(): assert 3\n"
    assert kinds(old, new) == {"test_a": "changed", "test_b": "changed", "test_d": "added"}
    assert set(kinds(None, new).values()) == {"added"}


@pytest.mark.parametrize(
    "new",
    [
        "def test_a():\n    '''Doc.'''\n    assert  f( 1 )  # why\n", "\n\n\ndef test_a() -> None:\n    assert f(1)\n",
        "import os\ndef helper(): pass\nX = 1\ndef test_a():\n    assert f(1)\n",
        "def test_renamed():\n    assert f(1)\n", "class TestA:\n    def test_a():\n        assert f(1)\n",
    ],
)  # fmt: skip
def test_what_is_no_change(new: str) -> None:
    """Formatting, docstrings, comments, unused helpers, another name and another place."""
    assert kinds("def test_a():\n    assert f(1)\n", new) == {}


def test_a_copy_is_added() -> None:
    """A test with the body of one that stays is new, whatever else was removed."""
    old = "def test_a():\n    assert f(1)\ndef test_gone(): pass\n"
    new = "def test_a():\n    assert f(1)\ndef test_copy():\n    assert f(1)\n"
    assert kinds(old, new) == {"test_copy": "added"}


def test_a_test_moved_from_another_file() -> None:
    """Known by the shape that the other file lost."""
    other = b"def test_a():\n    assert f(1)\n"
    shapes = removed_shapes(other, None, "test_old.py")
    assert kinds(None, "def test_b():\n    assert f(1)\n", moved_from=shapes) == {}
    assert kinds(None, "def test_b():\n    assert f(2)\n", moved_from=shapes) == {"test_b": "added"}
    assert removed_shapes(other, other, "test_old.py") == frozenset()


MODULE = """
import pytest
CASES = [1, 2]
OTHER = 0
@pytest.fixture
def thing(): return helper()
def helper(): return 1
@pytest.mark.parametrize("x", CASES)
def test_cases(x): pass
def test_thing(thing): pass
@pytest.mark.usefixtures("thing")
def test_named(): pass
def test_call(): helper()
def test_free(): pass
"""


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("[1, 2]", "[1, 2, 3]", {"test_cases": "CASES"}), ("OTHER = 0", "OTHER = 1", {}),
        ("OTHER = 0", "CASES.append(3)", {"test_cases": "CASES"}), ("OTHER = 0", "CASES += [3]", {"test_cases": "CASES"}),
        ("return helper()", "return 2", {"test_thing": "thing", "test_named": "thing"}),
        ("return 1", "return 2", {"test_thing": "helper", "test_named": "helper", "test_call": "helper"}),
        ("import pytest", "import pytest, os", {}), ("@pytest.fixture", "@pytest.fixture(autouse=True)", dict.fromkeys(("test_cases", "test_thing", "test_named", "test_call", "test_free"), "thing")),
        ("@pytest.fixture", "@pytest.fixture(autouse=False)", {"test_thing": "thing", "test_named": "thing"}),
        ("OTHER = 0", "def setup_module(): pass", dict.fromkeys(("test_cases", "test_thing", "test_named", "test_call", "test_free"), "setup_module")),
    ],
)  # fmt: skip
def test_what_tests_use(old: str, new: str, names: dict[str, str]) -> None:
    """Constants, helpers and fixtures of the file, by name, by parameter, by text, and through one another."""
    expected = {name: f"uses-changed {cause}" for name, cause in names.items()}
    assert kinds(MODULE, MODULE.replace(old, new)) == expected


CLASS = """
class Base:
    size = 1
class TestA(Base):
    number = 1
    def setup_method(self): self.x = 1
    def check(self): assert True
    def test_checked(self): self.check()
    def test_free(self): pass
class TestB:
    def test_other(self): pass
"""


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("self.x = 1", "self.x = 2", {"test_checked": "TestA.setup_method", "test_free": "TestA.setup_method"}),
        ("number = 1", "number = 2", {"test_checked": "TestA.number", "test_free": "TestA.number"}),
        ("size = 1", "size = 2", {"test_checked": "Base.size", "test_free": "Base.size"}),
        ("assert True", "assert False", {"test_checked": "TestA.check"}),
        ("class TestA(Base)", "@mark\nclass TestA(Base)", {"test_checked": "TestA", "test_free": "TestA"}),
    ],
)  # fmt: skip
def test_what_tests_of_a_class_use(old: str, new: str, names: dict[str, str]) -> None:
    """Set-up, attributes, bases and decorators concern all of its tests, a method those that call it."""
    expected = {f"TestA.{name}": f"uses-changed {cause}" for name, cause in names.items()}
    found = kinds(CLASS, CLASS.replace(old, new))
    assert found.keys() == expected.keys()
    assert "size" in old or found == expected


def test_what_changed_in_other_files() -> None:
    """A fixture of a conftest counts for the tests that ask for it."""
    changed = changed_bindings(b"def thing(): return 1\nX = 1", b"def thing(): return 2\nX = 1\nNEW = 1")
    assert changed == {"thing", "NEW"}
    assert kinds(MODULE.replace("thing", "own"), MODULE.replace("thing", "own"), also_changed=changed) == {}
    assert kinds("def test_a(thing): pass", "def test_a(thing): pass", also_changed=changed) == {
        "test_a": "uses-changed thing"
    }  # fmt: skip


def test_a_file_of_another_python() -> None:
    """A text that cannot be parsed is compared by the names and lines of its tests."""
    old = "def test_a():\n    print 1\ndef test_b():\n    assert 1\n"
    new = "def test_a():\n    print(1)\ndef test_b():\n    assert 1\ndef test_c(): pass\n"
    assert kinds(old, new) == {"test_a": "changed", "test_c": "added"}
    assert kinds(new, old) == {}
