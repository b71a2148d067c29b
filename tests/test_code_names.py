"""What a change newly defines, offers for import, and accepts as arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.code.names import added_names, added_top_level, changed_signatures


def everything(old: bytes | None, new: bytes | None) -> set[str]:
    """Return added attributes and parameters alike."""
    return set().union(*added_names(old, new))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(a, /, b, *c, d=1, **e): pass", "f a b c d e"), ("async def f(): pass", "f"),
        ("class A(B):\n    x = 1\n    y: int\n    def m(self): self.z = 1", "A x y m self z"),
        ("import a.b\nimport c.d as e\nfrom g import h, i as j", "a e h j"), ("from a import *", ""),
        ("__all__ = ['p']\n__all__ += ('q',)\nclass A:\n    __slots__ = ('r',)", "__all__ p q A __slots__ r"),
        ("x, (y, *z) = 1, (2, 3)", "x y z"), ("if (n := 1): pass", "n"), ("for i in a: pass", "i"),
        ("with a as b: pass", "b"), ("try: pass\nexcept E as e: pass", "e"), ("match x:\n    case [a, *b]: pass", "a b"),
        ("def f():\n    local = 1\n    import os\n    def inner(option): pass", "f option"),
        ("def f():\n    global g\n    g = 1", "f g"), ("f.attribute = 1", "attribute"),
        ("def f(**options):\n    options.pop('colour', None)\n    other.pop('no')", "f options colour"),
        ("__all__: list = ['p']", "__all__ p"), ("names = ['p']", "names"), ("__all__ = [1]", "__all__"),
        ("def f():\n    try: pass\n    except E as e: pass", "f"), ("x = lambda a, b=1: a", "x a b"), ("def f():\n    class A:\n        def m(self): pass", "f m self"),
    ],
)  # fmt: skip
def test_names_that_a_text_defines(source: str, names: str) -> None:
    """Everything that a test can ask a module, class, instance or call for; not a function's own variables."""
    assert everything(None, source.encode()) == set(names.split())
    assert everything(source.encode(), source.encode()) == set()
    assert everything(source.encode(), None) == set()


def test_only_the_new_names_are_given() -> None:
    """A name is new where it stands, whatever else has long been called so."""
    assert added_names(b"def f(a): pass", b"def f(a, b): pass\ndef a(): pass") == ({"a"}, {"b"})
    old = b"def f(x): pass\nclass A:\n    def y(self): pass"
    new = b"def f(x): pass\nclass A:\n    def y(self): pass\n    def x(self): pass\nclass B:\n    def y(self): pass"
    assert added_names(old, new).attributes == {"x", "B", "y"}


def test_an_old_text_that_cannot_be_parsed_defines_its_words() -> None:
    """A file of another Python is not a file without names."""
    assert added_names(b"print 1\ndef f(a): pass", b"def f(a, b): pass") == (set(), {"b"})
    assert added_top_level(b"print 1\ndef f(a): pass", b"def f(a, b): pass\ng = 1") == ("g",)
    assert everything(b"x = 1", b"print 1") == set()


def test_what_can_be_imported_from_the_new_module_alone() -> None:
    """In order of definition, conditions and `try` included, functions and type-checking blocks not."""
    new = b"""
import os
try:
    import fast
except ImportError:
    fast = None
if TYPE_CHECKING:
    from a import Typed, Hidden
else:
    Typed = object
def f():
    inner = 1
class A:
    x = 1
LIST = [item for item in ()]
old = 2
"""
    assert added_top_level(b"old = 1", new) == ("os", "fast", "Typed", "f", "A", "LIST")
    assert added_top_level(new, None) == ()


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("def f(a): pass", "def f(a, b=1): pass", "f"), ("def f(a): pass", "def f(a=1): pass", "f"),
        ("def f(a, b): pass", "def f(a): pass", ""), ("def f(a): pass", "def f(a: int) -> int: return 1", ""),
        ("def f(a): pass", "def f(*a): pass", "f"), ("def f(a): pass", "def f(a, **k): pass", "f"),
        ("def f(a): pass", "def f(b): pass", "f"), ("def f(a, /): pass", "def f(a): pass", "f"),
        ("def f(*, a): pass", "def f(*, a=1): pass", "f"), ("def f(a=1): pass", "def f(a=2): pass", ""),
        ("class A:\n    def __init__(self): pass", "class A:\n    def __init__(self, x): pass", "A A.__init__"),
        ("class A:\n    def m(self): pass", "class A:\n    def m(self, x): pass", "A.m"),
        ("@dataclass\nclass A:\n    x: int", "@dataclass\nclass A:\n    x: int\n    y: int = 1", "A"),
        ("class A:\n    x: int", "class A:\n    x: int\n    y: int", ""), ("", "def f(a): pass", ""),
        ("def __init__(): pass", "def __init__(a): pass", "__init__"),
        ("@d\nclass A:\n    x: int", "@d\nclass A:\n    x: int = 1", "A"),
        ("if x:\n    def f(): pass", "if x:\n    def f(a): pass", "f"),
        ("def f(a): pass", "@overload\ndef f(a, b): ...\ndef f(a): pass", ""),
        ("def f():\n    def g(): pass", "def f():\n    def g(a): pass", "f.g"),
    ],
)  # fmt: skip
def test_calls_that_are_newly_accepted(old: str, new: str, names: str) -> None:
    """More parameters, more names for them, and arguments that may be left out."""
    assert changed_signatures(old.encode(), new.encode()) == set(names.split())


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes_are_answered(old: bytes, new: bytes) -> None:
    """What cannot be parsed defines nothing."""
    assert everything(old, new) >= set(added_top_level(old, new))
    assert isinstance(changed_signatures(old, new), frozenset)
