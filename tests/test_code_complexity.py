"""The complexity of functions."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

from pytest_bugsle.code.complexity import complexity


def measured(text: str) -> dict[str, tuple[int, int, int]]:
    """Give line, last line and complexity by name."""
    found = complexity(dedent(text).lstrip("\n").encode())
    assert found is not None
    return {name: tuple(function) for name, function in found.items()}  # type: ignore[misc]  # three numbers


def test_functions_and_methods_are_measured_by_qualified_name() -> None:
    """One way without a branch, one more for each branch; async functions and inner classes too."""
    found = measured("""
        def f(x):
            return x

        class A:
            async def g(self, x):
                if x and self:
                    return 1
                for y in x:
                    pass

            class B:
                def h(self):
                    return [z for z in self if z]
    """)
    assert found == {"f": (1, 2, 1), "A.g": (5, 9, 4), "A.B.h": (12, 13, 3)}


def test_what_is_defined_inside_a_function_counts_into_it() -> None:
    """Its branches are those of the function around it; its own way is none."""
    found = measured("""
        def f(x):
            if x:
                pass
            def inner(y):
                if y:
                    pass
                def innermost(z):
                    return 1 if z else 2
            return inner
    """)
    assert found["f"][2] == 4
    assert set(found) == {"f"}


def test_of_two_definitions_the_more_complex_counts() -> None:
    """A property's setter has its name."""
    found = measured("""
        class A:
            @property
            def x(self):
                return 1

            @x.setter
            def x(self, value):
                if value:
                    self.y = value
    """)
    assert found == {"A.x": (7, 9, 2)}


def test_what_cannot_be_parsed_is_none_and_not_empty() -> None:
    """Python 2, NUL, and a conflict; an empty text has no functions."""
    assert complexity(b"print 'x'\n") is None
    assert complexity(b"x = 1\0") is None
    assert complexity(b"<<<<<<< HEAD\n") is None
    assert complexity(b"") == {}


def test_a_nest_too_deep_costs_only_its_own_function() -> None:
    """The other functions of the file are measured."""
    deep = "+".join(["1"] * 800)
    found = measured(f"def deep():\n    return {deep}\n\ndef plain(x):\n    return x or 1\n")
    assert found["plain"] == (4, 5, 2)


def test_radon_is_imported_when_it_is_asked() -> None:
    """Importing the module does not import radon."""
    code = "import sys, pytest_bugsle.code.complexity; sys.exit('radon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
