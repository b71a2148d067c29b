"""A change is split into its smallest edits, and each can be put back alone."""

from __future__ import annotations

import random
import warnings
from itertools import pairwise
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.code.editing.alignment import aligned, likeliest
from pytest_bugsle.code.editing.edits import Edit, edits_of, put_back
from pytest_bugsle.code.syntax import parse, same_code


def compiles(source: bytes) -> bool:
    """Say whether the interpreter takes a text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<test>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def checked(old: bytes, new: bytes) -> tuple[Edit, ...]:
    """Split a change of two texts that can be parsed, and see all that must hold of its edits."""
    edits = edits_of(old, new)
    assert put_back(new, ()) == new
    assert same_code(old, put_back(new, edits))
    assert bool(edits) != same_code(old, new)
    places = sorted((start, end) for edit in edits for start, end, _ in edit.spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    assert put_back(new, reversed(edits)) == put_back(new, edits)
    for edit in edits:
        alone = put_back(new, [edit])
        assert parse(alone) is not None
        assert compiles(alone) or not (compiles(old) and compiles(new))
        assert not same_code(alone, new)
        assert list(edit.spans) == sorted(edit.spans, key=lambda span: span[:2])
        assert bool(edit.lines) == bool(edit.code)
        assert 1 <= edit.line <= max(new.count(b"\n") + 1, 1)
    return edits


def split(old: str, new: str) -> list[tuple[str, str]]:
    """Give the new and the old code of each edit."""
    found = checked(dedent(old).encode(), dedent(new).encode())
    return [(edit.code, edit.was) for edit in found]


def one(old: str, new: str) -> Edit:
    """Give the only edit of a change."""
    (edit,) = checked(dedent(old).encode(), dedent(new).encode())
    return edit


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1\n", "x = 1  # why\n"),
        ("x = f(1, 2)\n", "x = f(\n    1,\n    2,\n)\n"),
        ("def f(a):\n    return a\n", "def f(a: int) -> int:\n    '''Doc.'''\n    return a\n"),
        ("x = 1\n", "from typing import Any\n\nx: Any = 1\npass\n"),
        ("__version__ = '1'\n", "__version__ = '2'\n"),
        ("if TYPE_CHECKING:\n    import a\nx = 1\n", "if TYPE_CHECKING:\n    import b\nx = 1\n"),
        ("try:\n    a()\nexcept E:\n    pass\n", "try:\n    a()\nexcept E:\n    pass\nelse:\n    pass\n"),
        ("", "# a comment\n"),
    ],
)
def test_what_does_the_same_is_no_edit(old: str, new: str) -> None:
    """Comments, formatting, docstrings, annotations, typing and the version are no edits."""
    assert split(old, new) == []


def test_one_hunk_of_three_edits() -> None:
    """A changed condition, a guard put in and a changed call are told apart."""
    old = """
        def f(x):
            if x > 2:
                a = g(x)
            return a
        """
    new = """
        def f(x):
            if x >= 2:
                if not x.ok:
                    return None
                a = g(x, 1)
            return a
        """
    assert split(old, new) == [
        ("if x >= 2:", "if x > 2:"),
        ("if not x.ok:\n    return None", ""),
        ("a = g(x, 1)", "a = g(x)"),
    ]


def test_the_same_slip_in_two_branches_is_two_edits() -> None:
    """Each of two equal changes is an edit of its own."""
    old = (
        "def f(x):\n    if x:\n        return x.issupserset(1)\n    else:\n        return x.issupserset(2)\n"
    )
    found = checked(old.encode(), old.replace("issupserset", "issuperset").encode())
    assert [edit.line for edit in found] == [3, 5]


def test_statements_put_in_and_taken_out() -> None:
    """Each is an edit of its own; a deletion has no lines."""
    found = checked(b"def f():\n    a()\n    b()\n    c()\n", b"def f():\n    c()\n    d()\n    import e\n")
    assert [(edit.line, edit.lines, edit.code, edit.was) for edit in found] == [
        (2, (), "", "a()"),
        (2, (), "", "b()"),
        (3, (3,), "d()", ""),
        (4, (4,), "import e", ""),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "x = ['a', 'c']\n",
            "x = ['a', 'b', 'c']\n",
            [("'b'", "")],
        ),
        ("x = ['a', 'b']\n", "x = ['a']\n", [("", "'b'")]),
        ("x = []\n", "x = ['a', 'b']\n", [("'a'", ""), ("'b'", "")]),
        ("x = ['a', 'b']\n", "x = []\n", [("", "'a'"), ("", "'b'")]),
        (
            "x = {\n  1: 2,\n  3: 4,\n}\n",
            "x = {\n  1: 5,\n  3: 4,\n  6: 7,\n}\n",
            [("1: 5", "1: 2"), ("6: 7", "")],
        ),
        ("x = f(k={1, 2})\n", "x = f(k={1, 3, 2, 4})\n", [("3", ""), ("4", "")]),
        (
            "x = frozenset([((1)), (2)])\n",
            "x = frozenset([((1)), (3), (4)])\n",
            [("", "(2)"), ("(3)", ""), ("(4)", "")],
        ),
        ("x = [(1, 'a'), (2, 'b')]\n", "x = [(1, 'A'), (2, 'B')]\n", [("'A'", "'a'"), ("'B'", "'b'")]),
        ("x = (1,)\n", "x = (1, 2)\n", [("2", "")]),
        ("x = 1, 2\n", "x = (1, 2, 3)\n", [("3", "")]),
        ("f(a, 1)\n", "f(a, 1, k=2)\n", [("f(a, 1, k=2)", "f(a, 1)")]),
        ("f(a, b=1, c=2)\n", "f(a, b=3, c=4)\n", [("b=3", "b=1"), ("c=4", "c=2")]),
        ("f(a, 1)\n", "f(b, 1, k=2)\n", [("f(b, 1, k=2)", "f(a, 1)")]),
        ("f()\n", "f(\n  *a,\n  **b,\n)\n", [("*a", ""), ("**b", "")]),
        ("f(x for x in y)\n", "f(x for x in z)\n", [("f(x for x in z)", "f(x for x in y)")]),
        ("if a and (b or c):\n    d()\n", "if a and (b or c or e) and f:\n    d()\n", [("e", ""), ("f", "")]),
        ("if a:\n    d()\n", "if a and b:\n    d()\n", [("if a and b:", "if a:")]),
        ("while a and b:\n    d()\n", "while b:\n    d()\n", [("while b:", "while a and b:")]),
        ("from m import a\n", "from m import a, b, c\n", [("b", ""), ("c", "")]),
        ("from m import c\n", "from m import a, b, c\n", [("a", ""), ("b", "")]),
        ("from m import (\n  a,\n)\n", "from m import (\n  a,\n  b as c,\n)\n", [("b as c", "")]),
        ("import a\n", "import a, b.c\n", [("b.c", "")]),
        (
            "r = re.compile('a|b')\n",
            "r = re.compile('a|b|c')\n",
            [("r = re.compile('a|b|c')", "r = re.compile('a|b')")],
        ),
        ("x, y = 1, a\n", "x, y, z = 1, a, b\n", [("x, y, z = 1, a, b", "x, y = 1, a")]),
        ("x = f'{a}' + g(b)\n", "x = f'{c}' + g(b)\n", [("x = f'{c}' + g(b)", "x = f'{a}' + g(b)")]),
    ],
)
def test_elements(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    """Elements of collections, arguments, operands and imported names are edits of their own."""
    assert split(old, new) == expected


def test_a_signature() -> None:
    """A default and a decorator are put back alone, and so is a parameter that was added."""
    old = "@a\ndef f(x, y=1, *, z):\n    return x\n"
    assert split(old, "@a\n@b(2)\ndef f(x, y=2, *, z):\n    return x\n") == [
        ("@b(2)", ""),
        ("def f(x, y=2, *, z):", "def f(x, y=1, *, z):"),
    ]
    assert split(old, "@a\ndef f(x, y=1, *, z, k=None):\n    return x\n") == [
        ("def f(x, y=1, *, z, k=None):", "def f(x, y=1, *, z):")
    ]
    assert split(old, "def f(x, y=2, *, z=(3)):\n    return x\n") == [
        ("", "@a"),
        ("y=2", "y=1"),
        ("z=(3)", "z"),
    ]
    assert split(old, "@c\nasync def g(x):\n    return x\n") == [
        ("@c", "@a"),
        ("async def g(x):", old.split("\n")[1]),
    ]
    assert split("class A(B):\n    x = 1\n", "class A(B, C, metaclass=M):\n    x = 1\n") == [
        ("class A(B, C, metaclass=M):", "class A(B):")
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("if a:\n    b()\n", "if a:\n    b()\nelse:\n    c()\n", [("else:\n    c()", "")]),
        ("if a:\n    b()\nelse:\n    c()\n", "if a:\n    b()\n", [("", "else:\n    c()")]),
        (
            "if a:\n    b()\nelse:\n    c()\n",
            "if a:\n    b()\nelif d:\n    e()\nelse:\n    c()\n",
            [("elif d:\n    e()", "")],
        ),
        ("if a:\n    b()\nelse:\n    c()\n", "if a:\n    b()\nelif d:\n    c()\n", [("elif d:", "else:")]),
        ("if a:\n    b()\n", "if x:\n    y()\nelif a:\n    b()\n", [("if x:\n    y()", "")]),
        ("if x:\n    y()\nelif a:\n    b()\n", "if a:\n    b()\n", [("", "if x:\n    y()")]),
        (
            "try:\n    a()\nexcept A:\n    b()\n",
            "try:\n    a()\nexcept (A, B) as e:\n    b()\nfinally:\n    c()\n",
            [("except (A, B) as e:", "except A:"), ("finally:\n    c()", "")],
        ),
        (
            "match a:\n    case 1:\n        b()\n",
            "match a:\n    case 1 if c:\n        b()\n    case [2]:\n        d()\n",
            [("case 1 if c:", "case 1:"), ("case [2]:\n    d()", "")],
        ),
        ("for a in b:\n    c()\n", "for a in b[1:]:\n    c()\n", [("for a in b[1:]:", "for a in b:")]),
        ("with a:\n    c()\n", "with a, b as d:\n    c()\n", [("with a, b as d:", "with a:")]),
    ],
)
def test_clauses(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    """Clauses that were put in or taken out are edits of their own, and so are changed headers."""
    assert split(old, new) == expected
    indented = [
        f"def f():\n    for q in z:\n{'        '.join(['', *text.splitlines(keepends=True)])}"
        for text in (old, new)
    ]
    assert split(*indented) == expected


def test_a_block_around_old_statements() -> None:
    """What was put around statements goes alone; what changed inside is an edit of its own."""
    old = """
        def f(x):
            a = g(x)
            text = '''one
          two'''
            return h(a, text)
        """
    new = """
        def f(x):
            with lock:
                a = g(x)
                log()
                text = '''one
          two'''
                return h(a, text, 1)
        """
    found = checked(dedent(old).encode(), dedent(new).encode())
    assert [(edit.code, edit.was) for edit in found] == [
        ("with lock:\n    ...", ""),
        ("log()", ""),
        ("return h(a, text, 1)", "return h(a, text)"),
    ]
    assert found[0].lines == (3,)
    alone = put_back(dedent(new).encode(), found[:1])
    assert b"    a = g(x)\n    log()\n    text = '''one\n  two'''\n    return" in alone


def test_a_block_with_more_clauses_around_old_statements() -> None:
    """The other clauses go with the one around the statements."""
    old = "def f():\n    a()\n    b()\n"
    new = "def f():\n    try:\n        a()\n        b()\n    except E:\n        c()\n"
    assert split(old, new) == [("try:\n    ...\nexcept E:\n    c()", "")]
    assert split(new, old) == [("", "try:\n    ...\nexcept E:\n    c()")]
    new = "def f():\n    if x:\n        c()\n    else:\n        a()\n        b(1)\n    d()\n"
    assert split(old + "    d()\n", new) == [("if x:\n    c()\nelse:\n    ...", ""), ("b(1)", "b()")]


def test_two_blocks_around_two_statements() -> None:
    """Each new block finds its own statements, however alike they are."""
    old = "".join(
        f"if name in {it}.data:\n    found = {it}.data[name]\n    kind = found\n" for it in ("ours", "theirs")
    )
    new = "".join(
        f"for one in {it}.mro:\n    if name in one.data:\n        found = one.data[name]\n        kind = found\n"
        for it in ("ours", "theirs")
    )
    assert [code for code, _ in split(old, new)] == [
        "for one in ours.mro:\n    ...",
        "if name in one.data:",
        "found = one.data[name]",
        "for one in theirs.mro:\n    ...",
        "if name in one.data:",
        "found = one.data[name]",
    ]


def test_a_block_that_was_taken_away() -> None:
    """It comes back around its statements, beside and behind what else comes back there."""
    old = """
        def f():
            n = None
            if m:
                a()
                b()
                q()
            else:
                z()
            c()
        """
    new = """
        def f():
            a()
            b()
            c(1)
        """
    assert split(old, new) == [
        ("", "n = None"),
        ("", "if m:\n    ...\nelse:\n    z()"),
        ("", "q()"),
        ("c(1)", "c()"),
    ]


def test_a_block_that_cannot_come_off_alone() -> None:
    """Where lines would have to come back at two indentations, the block is one edit; others stay apart."""
    old = "def f():\n    a(1)\n    for x in y:\n        c()\n    b(2)\n    d()\n"
    new = "def f():\n    with lock:\n        a(1)\n        b(2)\n    d(1)\n"
    whole = ("with lock:\n    a(1)\n    b(2)", "a(1)\nfor x in y:\n    c()\nb(2)")
    assert split(old, new) == [whole, ("d(1)", "d()")]
    old = "def f():\n    a(1)\n    if q:\n        b(2)\n        for x in y:\n            c()\n    d()\n"
    new = "def f():\n    with lock:\n        a(1)\n        if q:\n            b(2)\n    d(1)\n"
    found = split(old, new)
    assert [was for _, was in found] == ["a(1)\nif q:\n    b(2)\n    for x in y:\n        c()", "d()"]


def test_a_block_around_a_statement_that_became_longer() -> None:
    """Inner statements over several lines can be taken out while their block comes off."""
    old = "def f():\n    a(1, 2)\n    b(3, 4)\n"
    new = "def f():\n    if x:\n        a(1, 2)\n        if y:\n            z()\n            z()\n        b(3, 4)\n"
    found = checked(old.encode(), new.encode())
    assert [edit.code for edit in found] == ["if x:\n    ...", "if y:\n    z()\n    z()"]


def test_what_stands_elsewhere_now() -> None:
    """A move is one edit, told as such for definitions, imports and names; moved and changed is one too."""
    f, g = "def f():\n    return 1\n", "def g():\n    return 2\n"
    edit = one(f + g + "x = f()\n", g + f + "x = f()\n")
    assert edit.moved and edit.code == edit.was
    assert not one(f + g + "x = f()\n", g + f.replace("1", "3") + "x = f()\n").moved
    assert one("import a\nimport b\nx = a\n", "import b\nimport a\nx = a\n").moved
    assert one("__all__ = ['a', 'b', 'c']\n", "__all__ = ['b', 'c', 'a']\n").moved
    assert not one("x = ['a', 'b', 'c']\n", "x = ['b', 'c', 'a']\n").moved
    assert not one("a()\nb()\n", "b()\na()\n").moved


def test_where_an_edit_stands() -> None:
    """Scope and import time: bodies of functions run later, what heads them when they are defined."""
    old = "x = 1\nclass A:\n    y = 1\n    @d\n    def m(self, a=1):\n        return 1\n"
    found = checked(old.encode(), old.replace("1", "2").replace("@d", "@e").encode())
    assert [(edit.scope, edit.import_time) for edit in found] == [
        ("", True),
        ("A", True),
        ("A.m", True),
        ("A.m", True),
        ("A.m", False),
    ]
    assert not one(
        "def f():\n    class B:\n        z = 1\n", "def f():\n    class B:\n        z = 2\n"
    ).import_time


def test_names_that_an_edit_defines_and_uses() -> None:
    """What only the new code binds, and all that it mentions."""
    old = "import a\n\n\ndef f(x):\n    return a.b(x)\n"
    new = "import a\nfrom m import n as o\n\n\ndef f(x, size=None):\n    self.q, r = o(a.b(x), size=size)\n    return a.b(x)\n"
    found = checked(old.encode(), new.encode())
    assert [sorted(edit.defines) for edit in found] == [["o"], ["size"], ["q", "r"]]
    assert [sorted(edit.uses) for edit in found] == [
        ["m", "n"],
        [],
        ["a", "b", "o", "q", "self", "size", "x"],
    ]
    added = one("", "class A:\n    z = 1\n\n    def g(self, w):\n        self.v = inner = [i for i in w]\n")
    assert sorted(added.defines) == ["A", "g", "v", "w", "z"]
    assert one("x = 1\n", "x = 2\n").defines == frozenset()
    assert one("x = 1\ny = 1\n", "y = 1\n").uses == frozenset()


def test_fields_of_a_data_class() -> None:
    """Annotations that become fields are code."""
    old = "@dataclass\nclass A:\n    x: int\n    y: int = 1\n"
    new = "@dataclass\nclass A:\n    x: str\n    y: int = 1\n    z: int = 2\n"
    assert split(old, new) == [("x: str", "x: int"), ("z: int = 2", "")]
    assert split(old, old.replace("@dataclass\n", "").replace("x: int\n    ", "")) == [
        ("", "@dataclass\nx: int")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a = 1; b = 2\n", b"a = 1; b = 3; c = 4\n"),
        (b"a = 1; b = 2; c = 3", b"b = 2"),
        (b"if x: a = 1; b = 2\n", b"if x: a = 1\n"),
        (b"if x: a = 1\n", b"if x:\n    for b in c:\n        a = 1\n"),
        (b"if x:\n    for b in c:\n        a = 1\n", b"if x: a = 1\n"),
        (b"def f(): return 1", b"def f(): return 2"),
        (b"x = 1 + \\\n    2\ny = \\\n    3", b"x = 1 + \\\n    4\n"),
        (b"x = 1; \\\ny = 2\n", b"x = 1; \\\ny = 3\n"),
        (b"def f():\n\ta()\n\tif b:\n\t\tc()\n", b"def f():\n    if b:\n        d()\n"),
        (b"def f():\n    a()\n    if b:\n        c()\n", b"def f():\n\tif b:\n\t\td()\n\t\te()"),
        (b"\x0cdef f():\n    a()\n", b"\x0cdef f():\n    a()\n\x0c    b()\n"),
        (b"def f():\r\n    a()\r\n    b()\r\n", b"def f():\n    b()\n"),
        (b"\xef\xbb\xbfx = 1\ny = 1\n", b"\xef\xbb\xbfx = 1\ny = [2]\n"),
        (b"x = 'e'\ny = 1\n", b"# coding: latin-1\nx = '\xe9'; z = '\xe9'\ny = 2\n"),
        (b"# coding: shift_jis\nx = '\x83\x5c'; y = 1\n", b"# coding: shift_jis\nx = '\x83\x5c'; y = 2\n"),
        (
            b"# coding: iso2022_jp\nx = '\x1b$B%=\x1b(B'; y = 1\n",
            b"# coding: iso2022_jp\nx = '\x1b$B%=\x1b(B'; y = 2\n",
        ),
        (b"#\xe9\nx = 1  # \xe9\ny = 1\n", b"#\xe9\nx = [1, 2]  # \xe9\ny = 2\nif x: z()  # \xe9"),
        (b"x = '\xc3\xa9'\ny = 1\n", b"# coding: ascii\ny = 1\n"),
        (b"", b"x = 1"),
        (b"x = 1", b""),
        (b"x = 1\n", b"# nothing left"),
        (b"def f():\n    a()\n", b"def f():\n    '''Only said.'''\n"),
        (b"def f():\n    a()\n    def g(): pass\n", b"def f():\n    pass"),
        (
            b"if TYPE_CHECKING:\n    import a\nelse:\n    b = 1\n",
            b"if TYPE_CHECKING:\n    import a\nelse:\n    b = 2\n    c = 3\n",
        ),
        (b"global x\nx = 1\n", b"global x\nx = 2\n"),
        (b"if a: x = 1\n", b"global x\n"),
        (b"if a: x = 1\n", b"try:\n    global x\nfinally:\n    y()\n"),
        (
            b"def f():\n    def g():\n        return 1\n",
            b"def f():\n    x = 1\n    def g():\n        nonlocal x\n        return 1\n",
        ),
        (
            b"def f():\n    a()\n",
            b"def f():\n    for x in y:\n        if x:\n            break\n        a()\n",
        ),
        (b"@(\n  a\n)\n@b\ndef f(): pass\n", b"@b\n@(\n  c\n)\ndef f(): pass\n"),
        (b"x = (1, 2)\n", b"x = (3, 1)\n"),
        (b"x = {1}\n", b"x = {2, 3}\n"),
        (b"x = [a, b, c]\n", b"x = [d, b, e, f]\n"),
        (b"from m import a, b, c\n", b"from m import d, b\n"),
        (b"try:\n    a()\nexcept A:\n    b()\n", b"try:\n    a()\nfinally:\n    c()\n"),
        (b"if a:\n    b()\nelse:\n    c()\n", b"if d:\n    e()\nelif f:\n    g()\n"),
        (
            b"def f(a, /, b, *c, d=1, **e): pass\n",
            b"def f(a, b, *c, d=2, **e):\n    return lambda x, y=1: x\n",
        ),
        (b"x = lambda a, b=1: a\n", b"x = lambda a: a\n"),
        (b"x = not (a and b)\n", b"x = not a\n"),
        (
            b"def f():\n    if a:\n        b()\n        c()\n",
            b"def f():\n    try:\n        if a:\n            b()\n    finally:\n        c()\n",
        ),
    ],
)
def test_layouts_and_corners(old: bytes, new: bytes) -> None:
    """Whatever the layout: all edits together give the old code, and each can be put back alone."""
    assert checked(old, new)
    checked(new, old)
    indented = [
        b"class C:\n  if z:\n    " + text.replace(b"\n", b"\n    ") + b"\n    end()\n" for text in (old, new)
    ]
    if all(parse(text) is not None for text in indented):
        assert checked(*indented)


def test_the_rest_of_the_file_stays_byte_for_byte() -> None:
    """Line ends, tabs, comments and an odd coding around an edit are not touched."""
    head, tail = b"# coding: latin-1\r\ndef f():\r\n\ty = '\xe9' # \xe9\r\n\tz = [1", b"]  # x\r\n\x0c"
    new, old = head + b",  2" + tail, head + tail
    (edit,) = checked(old, new)
    alone = put_back(new, [edit])
    assert alone.startswith(head) and alone.endswith(tail)
    assert len(alone) - len(head) - len(tail) < 4


def test_global_outside_of_functions() -> None:
    """It may forbid what stands before it: such edits are joined, others stay apart."""
    old = "if a: x = 1\ny = 1\n"
    new = "z = 1\ny = 2\nif b:\n    global x\n    x = 3\n"
    joined = ("if b:\n    global x\n    x = 3", "if a: x = 1")
    assert split(old, new) == [("z = 1", ""), ("y = 2", "y = 1"), joined]


def test_what_cannot_stand_alone_is_joined() -> None:
    """A variable and the `nonlocal` that needs it make one edit."""
    old = "def f():\n    def g():\n        return 1\n    return g\n"
    new = "def f():\n    x = 1\n    def g():\n        nonlocal x\n        return 1\n    return g, 2\n"
    assert split(old, new) == [("x = 1\nnonlocal x", ""), ("return g, 2", "return g")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"print 'a'\nb\nc\n", b"print 'x'\nb\nd\n", [("print 'x'", "print 'a'"), ("d", "c")]),
        (b"x = 1\n", b"x = (\n", [("x = (", "x = 1")]),
        (b"x = 1\0\ny\n", b"x = 1\0\n", [("", "y")]),
        (b"\xff\xfe", b"\xff\xfe\n(", [("\ufffd\ufffd\n(", "\ufffd\ufffd")]),
        (b"a\rb\r", b"a\rb\r(\r", [("(", "")]),
    ],
)
def test_texts_that_cannot_be_parsed(old: bytes, new: bytes, expected: list[tuple[str, str]]) -> None:
    """They are compared by lines."""
    found = edits_of(old, new)
    assert [(edit.code, edit.was) for edit in found] == expected
    assert put_back(new, found) == old


def test_huge_and_deep_texts() -> None:
    """Neither depth nor size ends in an error, and what is long is still split."""
    arms = "if a == 0:\n    x()\n" + "".join(f"elif a == {n}:\n    x({n})\n" for n in range(1, 400))
    assert split(arms, arms.replace("x(77)", "y(77)").replace("a == 300:", "a == 301:")) == [
        ("y(77)", "x(77)"),
        ("elif a == 301:", "elif a == 300:"),
    ]
    deep = "".join("    " * n + f"if x{n}:\n" for n in range(90)) + "    " * 90 + "y()\n"
    assert split(deep, deep.replace("y()", "z()")) == [("z()", "y()")]
    chain = "x = " + " + ".join(["a"] * 3000) + "\n"
    assert len(edits_of(chain.encode(), chain.replace("a\n", "b\n").encode())) == 1
    brackets = "x = " + "[" * 80 + "1" + "]" * 80 + "\n"
    assert len(checked(brackets.encode(), brackets.replace("1", "2").encode())) == 1
    lines = [f"x{n % 7} = f({n})\n" for n in range(3000)]
    changed = [
        line.replace("f(", "g(") if n % 500 == 3 else line for n, line in enumerate(lines) if n % 700 != 5
    ]
    old, new = "".join(lines).encode(), "".join(changed).encode()
    assert len(edits_of(old, new)) == 6 + 5
    assert same_code(old, put_back(new, edits_of(old, new)))
    large = b"x = (\n" + b"a\n" * 100_000
    assert len(edits_of(large, large + b"b\n")) == 1


def test_many_changes_of_one_statement_stay_affordable() -> None:
    """In a function so long that each change cannot be looked at alone, neighbours share an edit."""
    old = "def f():\n" + "".join(f"    x{n} = g({n}, a, b)\n" for n in range(1500))
    found = edits_of(old.encode(), old.replace("a, b", "a").encode())
    assert 1 < len(found) < 1500
    assert same_code(old.encode(), put_back(old.replace("a, b", "a").encode(), found))


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)), st.booleans())
def test_alignment(olds: list[int], news: list[int], long: bool) -> None:
    """Pairs are equal and rise on both sides, whether what differs is long or short."""
    if long:
        olds, news = olds * 40, news * 40
    pairs = aligned(olds, news)
    assert all(olds[i] == news[j] for i, j in pairs)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))
    assert not pairs or pairs[0] or olds[0] != news[0]


def test_the_likeliest_pairs() -> None:
    """The sum of likenesses decides, not the first that is alike."""
    assert likeliest([1, 5], [4, 9], lambda a, b: max(0, 3 - abs(a - b))) == [(1, 0)]
    assert likeliest("ab", "ba", lambda a, b: float(a == b)) in ([(0, 1)], [(1, 0)])


NAMES = "abcdef"


class Writer:
    """Writes programs, by the choices of `chance`, that can be parsed most of the time."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def expression(self, depth: int = 0) -> str:
        pick, name = self.chance.randrange(12), self.chance.choice(NAMES)
        if depth > 2 or pick < 5:
            return self.chance.choice(
                [name, "1", f"'{name}'", f"self.{name}", f"f'{{{name}}}'", '"""x\n  y"""']
            )
        inner = [self.expression(depth + 1) for _ in range(self.chance.randrange(1, 4))]
        joint = self.chance.choice([", ", ",\n      ", " , # c, )\n  "])
        both = joint.join(inner)
        match pick:
            case 5:
                return f"[{both}{self.chance.choice(['', ','])}]"
            case 6:
                return f"({both},)"
            case 7:
                return "{" + joint.join(f"{name}{n}: {value}" for n, value in enumerate(inner)) + "}"
            case 8 | 9:
                return f"{name}({both}{joint}k={self.expression(3)})"
            case 10:
                return "(" + self.chance.choice([" and ", " or "]).join([*inner, "(a)"]) + ")"
        return f"({inner[0]})"

    def simple(self) -> str:
        name, value = self.chance.choice(NAMES), f"({self.expression()})"
        return self.chance.choice(
            [
                f"{name} = {value}",
                f"{name}: int = {value}",
                value,
                f"return {value}",
                f"from m import {', '.join(self.chance.sample(NAMES, 2))}",
                f"from typing import {name}",
                f"import {name}; x = 1",
                "pass",
                "continue",
                "nonlocal a",
                f"raise {name}  # why",
                f"{name}: int",
                "__all__ = ['a', 'b']",
            ]
        )

    def block(self, indent: str, depth: int) -> list[str]:
        return [line for _ in range(self.chance.randrange(1, 4)) for line in self.statement(indent, depth)]

    def statement(self, indent: str = "", depth: int = 0) -> list[str]:
        pick, name = self.chance.randrange(16), self.chance.choice(NAMES)
        if depth > 3 or pick < 7:
            return [indent + self.simple()]
        deeper = indent + self.chance.choice(["    ", "    ", "  ", "\t"])

        def clause(header: str) -> list[str]:
            return [indent + header, *self.block(deeper, depth + 1)]

        match pick:
            case 7 | 8:
                arms = [line for _ in range(self.chance.randrange(3)) for line in clause(f"elif {name}:")]
                return [
                    *clause(f"if ({self.expression(1)}):"),
                    *arms,
                    *(clause("else:") if pick == 8 else []),
                ]
            case 9:
                return clause(f"for {name} in ({self.expression(1)}):")
            case 10:
                return clause(f"with {name}, b as c:")
            case 11:
                return [*clause("try:"), *clause(f"except {name.upper()} as e:"), *clause("finally:")]
            case 12:
                case = [f"{deeper}case [{name}]:", *self.block(deeper + " ", depth + 1)]
                return [f"{indent}match {name}:", *case]
            case 13:
                decorator = self.chance.choice([[], [f"{indent}@dataclass"]])
                return [*decorator, *clause(f"class {name.upper()}:")]
        parameters = self.chance.choice(["", "self", "a, b=1", "a, *, c=(1)", "a: int = 2, *d, **e"])
        decorator = self.chance.choice([[], [], [f"{indent}@{name}(1)"]])
        return [*decorator, *clause(f"def {name}({parameters}):")]

    def program(self) -> list[str]:
        while True:
            lines = [line for _ in range(self.chance.randrange(1, 6)) for line in self.statement()]
            if parse("\n".join(lines).encode()) is not None:
                return lines

    def changed(self, lines: list[str]) -> list[str]:
        for _ in range(20):
            found = "\n".join(lines).split("\n")
            for _ in range(self.chance.randrange(1, 4)):
                self.change(found)
            if parse("\n".join(found).encode()) is not None:
                return found
        return self.program()

    def change(self, lines: list[str]) -> None:
        at, pick = self.chance.randrange(len(lines)), self.chance.randrange(7)
        line = lines[at]
        indent = line[: len(line) - len(line.lstrip())]
        end = at + self.chance.randrange(1, 4)
        match pick:
            case 0 if len(lines) > 3:
                del lines[at:end]
            case 1:
                lines[at:at] = self.statement(indent, 2)
            case 2:
                lines[at : at + 1] = self.statement(indent, 2)
            case 3:
                header = self.chance.choice(["if q:", "with q:", "for q in z:"])
                lines[at:end] = [indent + header, *(f"    {inner}" for inner in lines[at:end])]
            case 4:
                lines[at] = line.replace(self.chance.choice(NAMES), self.chance.choice(NAMES))
            case 5:
                other = self.chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], line
            case _:
                lines[at] = line.replace(", ", ", zz, ", 1).replace("if ", "if zz and ")


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=True), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_random_programs(chance: random.Random, unrelated: bool, newline: str) -> None:
    """For any two programs, all edits together give the old one, and each alone is sound."""
    writer = Writer(chance)
    old = writer.program()
    new = writer.program() if unrelated else writer.changed(old)
    checked("\n".join(old).encode(), newline.join(new).encode())


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes(old: bytes, new: bytes) -> None:
    """No text ends in an error."""
    found = edits_of(old, new)
    assert put_back(new, ()) == new
    assert put_back(new, found) == old or same_code(old, put_back(new, found))
