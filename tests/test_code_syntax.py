"""Source texts are parsed without failing and compared by what they do."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.code.syntax import LARGEST, decode, lines_of, parse, same_code, shape


@pytest.mark.parametrize(
    "source",
    [
        b"print 'two'", b"x = \0", b"(" * 5000, b"x = " + b"-" * 100_000 + b"1", b"x = " + b"1+" * 50_000 + b"1",
        b"# coding: nonsense\nx", b"# coding: utf-8\n\xff", b"x = '''", b"\tx\n  y", b"#" * (LARGEST + 1),
    ],
)  # fmt: skip
def test_what_cannot_be_parsed_is_none(source: bytes) -> None:
    """Another Python's syntax, null bytes, endless nesting and wrong encodings end in None."""
    assert parse(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "\ufeffx = 'é'\n".encode(), "# coding: latin-1\nx = 'é'\n".encode("latin-1"), b"x = 1\r\ny = 2\r\n",
        b"x = 1\x0c\n\x0cy = 2\n", b"", b"# only a comment",
    ],
)  # fmt: skip
def test_encodings_and_line_ends_are_parsed(source: bytes) -> None:
    """Byte order marks, coding lines, CRLF and form feeds are Python."""
    assert parse(source) is not None


def test_warnings_of_the_text_stay_silent() -> None:
    """An invalid escape in somebody's file is no error of ours, even where warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(b"x = '\\d' is 'warned about'  # unique to this test") is not None


def test_lines_are_split_where_the_parser_splits() -> None:
    """A form feed or a Unicode line separator does not end a line."""
    source = "a = '\x0c'\nb = '\u2028'\r\nc = 1\rd = 2".encode()
    tree = parse(source)
    assert tree is not None
    assert [lines_of(source)[node.lineno - 1][0] for node in tree.body] == ["a", "b", "c", "d"]


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(source: bytes) -> None:
    """Whatever git holds under a `.py` name."""
    parse(source)
    assert isinstance(decode(source), str)
    assert same_code(source, source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x=1", "x = 1  # why"), ("def f(a): return a", "def f(a: int) -> int:\n    'Say.'\n    return a"),
        ("x = 1", "x: int = 1"), ("y = 1", "x: int\ny = 1"), ("def f(): pass", "def f():\n    '''Doc.'''"),
        ("def f(): ...", "def f(): pass"), ("class A:\n    x = 1", "class A:\n    '''Doc.'''\n    x = 1\n    y: int"),
        ("x = 'a' 'b'", 'x = "ab"'), ("__version__ = '1'", "__version__ = '2'"),
        ("x = 1", "from typing import Any\nx = 1"), ("x = 1", "from __future__ import annotations\nx = 1"),
        ("x = 1", "import typing as t\nif t.TYPE_CHECKING:\n    import os\nx = 1"),
        ("def f(a): return a", "@overload\ndef f(a: int): ...\ndef f(a): return a"),
        ("x = (1)", "x = 1"), ("if a:\n    b()", "if a: b()"), ("x = 0x10", "x = 16"),
    ],
)  # fmt: skip
def test_what_changes_nothing(old: str, new: str) -> None:
    """Comments, formatting, docstrings, annotations and a version number leave the behaviour."""
    assert same_code(old.encode(), new.encode())
    assert same_code(new.encode(), old.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1", "x = 2"), ("x = 1", "x = 1.0"), ("x = 1", "x = True"), ("x = a + b", "x = a - b"),
        ("def f(a): return a", "def f(a=1): return a"), ("def f(a): return a", "def g(a): return a"),
        ("@d\nclass A:\n    x: int", "@d\nclass A:\n    x: str"), ("class A(B):\n    x: int", "class A(B): pass"),
        ("class A(B):\n    x: int = 1", "class A(B):\n    x: str = 1"), ("x = 'a'", "x = b'a'"),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    b = 1", "if TYPE_CHECKING:\n    import a\nelse:\n    b = 2"),
        ("a()\nb()", "b()\na()"), ("def f():\n    yield", "async def f():\n    yield"), ("f(a)", "f(*a)"),
        ("try:\n    a()\nexcept A:\n    pass", "try:\n    a()\nexcept (A, B):\n    pass"), ("import a", "import a.b"),
        ("def f():\n    return\n    x = 1", "def f():\n    x = 1\n    return"), ("a < b < c", "a < b <= c"),
    ],
)  # fmt: skip
def test_what_changes_something(old: str, new: str) -> None:
    """Everything that can be seen at run time counts, fields that a decorator or base reads among it."""
    assert not same_code(old.encode(), new.encode())


def test_version_counts_if_asked() -> None:
    """A release commit may be of interest."""
    assert not same_code(b"__version__ = '1'", b"__version__ = '2'", ignore_version=False)
    assert not same_code(b"version = '1'", b"version = '2'")


def test_texts_that_cannot_be_parsed_are_compared_as_bytes() -> None:
    """Nothing is known about them but whether they are equal."""
    assert same_code(b"print 1", b"print 1")
    assert not same_code(b"print 1", b"print  1")
    assert not same_code(b"print(1)", b"print 1")
    assert not same_code(b"print 1", b"print(1)")


def test_annotations_that_make_fields() -> None:
    """Where a decorator, a base or a metaclass may read annotations they count, elsewhere they do not."""
    assert same_code(b"class A:\n    x: int = 1", b"class A:\n    x = 1")
    for header in (b"class A(metaclass=M):", b"class A(B):", b"@d\nclass A:"):
        assert not same_code(header + b"\n    x: int = 1", header + b"\n    x = 1")
        assert same_code(header + b"\n    x = 1", header + b"\n    x = (1)")


def test_deep_chains_and_huge_numbers_have_a_shape() -> None:
    """The walk does not recurse, and long integers are not written in decimal digits."""
    deep: ast.expr = ast.Name("x", ast.Load())
    for _ in range(50_000):
        deep = ast.UnaryOp(ast.Not(), deep)
    assert shape(ast.Expr(deep)).count("Not") == 50_000
    while isinstance(deep, ast.UnaryOp):  # taken apart by hand: freeing the whole chain at once recurses in C
        deep.operand, deep = ast.Name("x", ast.Load()), deep.operand
    tree = parse(b"x = 0x" + b"f" * 20_000)
    assert tree is not None and "0xff" in shape(tree)


def test_shape_without_the_own_name() -> None:
    """A renamed function has the same shape but for its name, and inner names still count."""
    one, two, three = (
        ast.parse(f"def {name}():\n    def {inner}(): pass").body[0] for name, inner in ("ax", "bx", "by")
    )
    assert shape(one) != shape(two)
    assert shape(one, name=False) == shape(two, name=False) != shape(three, name=False)
