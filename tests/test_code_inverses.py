"""The inverse of a change: it takes the change back, also in later versions of the text."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.code.editing.inverses import Inverse, inverses_of, put_all, put_inverse
from pytest_bugsle.code.syntax import parse, same_code

OLD = """\
import os

LIMIT = 1


class Cart:
    def total(self, items):
        found = 0
        for item in items:
            if item.price:
                found += item.price
            else:
                found += 1
        return found

    def other(self):
        return 0
"""
CHANGES = {
    "statement": [("found += item.price", "found += abs(item.price)")],
    "header": [("if item.price:", "if item.price is not None:")],
    "loop": [("for item in items:", "for item in list(items):")],
    "signature": [("def total(self, items):", "def total(self, items, limit=3):")],
    "added": [("        found = 0\n", "        found = 0\n        items = items or []\n")],
    "taken-out": [("            else:\n                found += 1\n", "")],
    "taken-out-alone": [("        found = 0\n", "")],
    "wrapped": [
        ("        return found\n", "        if found:\n            return found\n        return 0\n")
    ],
    "module": [("LIMIT = 1", "LIMIT = 2")],
    "import": [("import os\n", "import os\nimport sys\n")],
    "method-added": [("    def other", "    def more(self):\n        return 1\n\n    def other")],
    "several": [
        ("found = 0", "found = 1"),
        ("if item.price:", "if item.price > 0:"),
        ("return 0", "return 1"),
    ],
    "decorated": [("    def other", "    @staticmethod\n    def other")],
    "string": [("return 0", 'return """a\n  b\n"""')],
}


def changed(text: str, *pairs: tuple[str, str]) -> str:
    """Return the text with pieces replaced."""
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def taken_back(old: str, new: str, later: str) -> str | None:
    """Take the change `old` -> `new` out of `later`; None where not all of it applies."""
    text, applied = put_all(later.encode(), inverses_of(old.encode(), new.encode()))
    return text.decode() if applied and all(applied) else None


@pytest.mark.parametrize("kind", CHANGES)
def test_what_changed_is_taken_back(kind: str) -> None:
    """Out of the text as the change left it, every kind of change; and forwards as backwards."""
    new = changed(OLD, *CHANGES[kind])
    assert same_code((taken_back(OLD, new, new) or "").encode(), OLD.encode())
    assert same_code((taken_back(new, OLD, OLD) or "").encode(), new.encode())


@pytest.mark.parametrize("kind", CHANGES)
def test_formatting_comments_and_other_code_may_change_since(kind: str) -> None:
    """The place is found by scope and shape."""
    new = changed(OLD, *CHANGES[kind])
    more = "\n\ndef later(items):\n    found = 0\n    for item in items:\n        found += item.price\n    return found\n"
    later = f"# a comment\nFIRST = 0\n{ast.unparse(ast.parse(new))}{more}"
    wanted = f"FIRST = 0\n{OLD}{more}"
    assert same_code((taken_back(OLD, new, later) or "").encode(), wanted.encode())


def test_what_stands_there_keeps_its_form() -> None:
    """Only the statement is replaced: its comment, its neighbours and its indentation stay."""
    new = changed(OLD, *CHANGES["header"])
    later = changed(
        new,
        (
            "if item.price is not None:",
            "if (item.price\n                    is not None):  # dear\n                #",
        ),
    )
    text = taken_back(OLD, new, later)
    assert text is not None
    assert (
        "            if item.price:  # dear\n                #\n                found += item.price\n" in text
    )


def test_a_renamed_class_or_a_moved_function_is_found() -> None:
    """By the last name of the scope, where only one place fits."""
    new = changed(OLD, *CHANGES["statement"])
    assert "found += item.price" in (taken_back(OLD, new, new.replace("class Cart", "class Basket")) or "")
    function = dedent(new[new.index("    def total") : new.index("    def other")]).replace("self, ", "")
    assert "found += item.price" in (taken_back(OLD, new, function) or "")


def test_another_function_with_the_same_code_is_left_alone() -> None:
    """The scope decides before anything else."""
    old = "def a():\n    x = 1\n    return x\n\n\ndef b():\n    x = 2\n    return x\n"
    new = old.replace("x = 1", "x = 2")
    assert taken_back(old, new, new) == old


def test_a_neighbour_decides_between_equal_places() -> None:
    """And where none does, the inverse does not apply."""
    old = "def a(x):\n    one()\n    x += 1\n    two()\n    x += 2\n    three()\n"
    new = old.replace("x += 1", "x += 2")
    assert taken_back(old, new, new) == old
    same = new.replace("two()", "one()").replace("three()", "one()")
    assert taken_back(old, new, same) is None


def test_rewritten_code_does_not_apply() -> None:
    """Nor does code that is gone, nor a text that does not parse."""
    new = changed(OLD, *CHANGES["statement"])
    assert taken_back(OLD, new, new.replace("abs(item.price)", "round(item.price)")) is None
    assert taken_back(OLD, new, "x = 1\n") is None
    assert taken_back(OLD, new, f"{new}\n(") is None
    assert taken_back(OLD, new, OLD) is None


def test_a_part_applies_where_the_rest_was_rewritten() -> None:
    """Each change is an inverse of its own."""
    new = changed(OLD, *CHANGES["several"])
    inverses = inverses_of(OLD.encode(), new.encode())
    text, applied = put_all(new.replace("found = 1", "found = 3").encode(), inverses)
    assert sorted(applied) == [False, True, True]
    assert b"if item.price:" in text and b"found = 3" in text and b"return 0" in text


def test_an_inverse_is_small() -> None:
    """A header is kept without the block under it."""
    (inverse,) = inverses_of(OLD.encode(), changed(OLD, *CHANGES["header"]).encode())
    assert inverse == Inverse(
        "header", "Cart.total", "if item.price is not None:", "if item.price:", "", "found += item.price"
    )


def test_what_does_the_same_needs_no_inverse() -> None:
    """Comments, formatting, docstrings, annotations and the version."""
    new = OLD.replace("found = 0", "found: int = (0)  # none").replace(
        "import os", '"""Carts."""\nimport os\n\n__version__ = "2"'
    )
    assert inverses_of(OLD.encode(), new.encode()) == ()


def test_a_field_of_a_dataclass_is_code() -> None:
    """Its annotation alone makes it."""
    old = "@dataclass\nclass A:\n    x: int\n"
    new = old + "    y: int\n"
    assert same_code((taken_back(old, new, new) or "").encode(), old.encode())


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_line_ends_and_tabs_are_the_files_own(newline: str) -> None:
    """Kept code takes on the indentation and the line ends of the place."""
    old = "def a(x):\n    if x:\n        return 1\n    return 0\n"
    new = "def a(x):\n    return 0\n"
    later = new.replace("    ", "\t").replace("\n", newline)
    text = taken_back(old, new, later)
    assert text == "def a(x):\n\tif x:\n\t    return 1\n\treturn 0\n".replace("\n", newline)


def test_a_string_over_several_lines_stays_as_it_is() -> None:
    """Its inner lines are no indentation."""
    old = 'class A:\n    def f(self):\n        return """\n  x\n        """\n'
    new = old.replace("  x", "  y")
    assert taken_back(old, new, new) == old
    deeper = (
        "if x:\n"
        + "".join(f"    {line}\n" for line in new.split("\n")[:2])
        + new.split("\n", 2)[2].replace("        return", "            return")
    )
    assert taken_back(old, new, deeper) == deeper.replace("  y", "  x")


@pytest.mark.parametrize(
    ("old", "new", "later", "wanted"),
    [
        ("if x: y = 1\n", "if x: y = 2\n", "if x: y = 2\n", "if x: y = 1\n"),
        ("a(); b()\n", "a(); c()\n", "a(); c()\n", "a(); b()\n"),
        ("if x:\n    y()\n    z()\n", "if x: z()\n", "if x: z()\n", "if x:\n    y()\n    z()\n"),
        ("if a:\n    x()\nelif b:\n    y()\n", "if a:\n    x()\nelif c:\n    y()\n", "if a:\n    x()\nelif c:\n    y()\n", "if a:\n    x()\nelif b:\n    y()\n"),
        ("try:\n    x()\nexcept A:\n    y()\n", "try:\n    x()\nexcept (A, B):\n    y()\n", "try:\n    x()\nexcept (A, B):\n    z()\n", "try:\n    x()\nexcept A:\n    z()\n"),
        ("match x:\n    case 1:\n        y()\n", "match x:\n    case 2:\n        y()\n", "match x:\n    case 2:\n        z()\n", "match x:\n    case 1:\n        z()\n"),
        ("x = 1", "x = 2", "x = 2", "x = 1"),
        ("\ufeffx = 1\n", "\ufeffx = 2\n", "\ufeffx = 2\n", "\ufeffx = 1\n"),
        ("ä = 'ü'; x = 1\n", "ä = 'ü'; x = 2\n", "ä = 'ü'; x = 2\n", "ä = 'ü'; x = 1\n"),
    ],
    ids=["one-liner", "semicolon", "no-room", "elif", "except", "case", "no-line-end", "mark", "unicode"],
)  # fmt: skip
def test_odd_places(old: str, new: str, later: str, wanted: str | None) -> None:
    """Short forms, clauses, the end of the file and letters of several bytes."""
    assert taken_back(old, new, later) == wanted


def test_another_coding_is_kept() -> None:
    """Offsets count characters there, and what is put in is written in it."""
    old = "# coding: latin-1\nx = 'ä'; y = 'ö'\n".encode("latin-1")
    new = old.replace("ö".encode("latin-1"), b"o")
    assert put_all(new, inverses_of(old, new)) == (old, (True,))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"print 'a'\nx = 1\n", b"print 'a'\nx = 2\n"),
        (b"name: a\nsize: 1\n", b"name: a\nsize: 2\nmore: 3\n"),
        (b"a\xff\nb\n", b"a\xff\nc\n"),
        (b"a\r\nb", b"a\r\nb\r\n"),
    ],
    ids=["python-2", "data", "bytes", "line-ends"],
)
def test_what_is_no_python_is_kept_by_lines(old: bytes, new: bytes) -> None:
    """With the lines around them, and only where these stand once."""
    inverses = inverses_of(old, new, python=False)
    assert {inverse.form for inverse in inverses} == {"lines"}
    assert put_all(new, inverses)[0] == old
    assert put_all(b"something else\n", inverses) == (b"something else\n", (False,) * len(inverses))


def test_a_binary_file_has_no_inverse() -> None:
    """It is no text."""
    assert inverses_of(b"\0a", b"\0b") == ()


@pytest.mark.parametrize(
    "inverse",
    [
        Inverse("block", "", "(", "x = 1"),
        Inverse("block", "", "x = 2", "("),
        Inverse("block", "", "", "", "x = 2"),
        Inverse("header", "", "if x:", "x = 1"),
        Inverse("header", "", "x = 2", "if x:"),
        Inverse("block", "\udc80", "x = 2", "\udc80"),
        Inverse("file", "", "a", "b"),
        Inverse("block", "", "pass", "y()\nz()"),
        Inverse("lines", "", "", "", "", ""),
        Inverse("lines", "", "x", "\ud800"),
    ],
)
def test_an_inverse_that_makes_no_sense_does_not_apply(inverse: Inverse) -> None:
    """A ledger can be edited by hand."""
    assert put_inverse(b"x = 2\nif x: pass\n", inverse) is None


def test_a_deep_chain_is_no_crash() -> None:
    """A text may nest deeper than a recursion may go."""
    chain = "if x == 0:\n    y()\n" + "".join(f"elif x == {n}:\n    y()\n" for n in range(1, 600))
    new = chain.replace("x == 599", "x == 600")
    inverses = inverses_of(chain.encode(), new.encode())
    assert put_all(new.encode(), inverses)[0].decode() == chain


SIMPLE = st.sampled_from(["a = 1", "b(a)", "return a", "a += 'x'", "pass", "c = [1, 2]"])


def blocks(depth: int = 2) -> st.SearchStrategy[list[str]]:
    """Draw the lines of a block."""
    simple = SIMPLE.map(lambda line: [line])
    statement = simple
    if depth:
        inner = blocks(depth - 1).map(lambda lines: [f"    {line}" for line in lines])
        head = st.sampled_from(
            ["if a:", "for x in a:", "while b:", "with a as b:", "def f(x):", "class A:", "if b:"]
        )
        compound = st.builds(lambda first, body: [first, *body], head, inner)
        either = st.builds(lambda body, other: ["if c:", *body, "else:", *other], inner, inner)
        guarded = st.builds(lambda body, other: ["try:", *body, "except A:", *other], inner, inner)
        statement = simple | compound | either | guarded
    return st.lists(statement, min_size=1, max_size=4).map(
        lambda parts: [line for part in parts for line in part]
    )


def functions() -> st.SearchStrategy[str]:
    """Draw a text of one function."""
    return blocks().map(lambda lines: "def top(a, b):\n" + "".join(f"    {line}\n" for line in lines))


@settings(deadline=None)
@given(functions(), functions())
def test_any_change_is_taken_back(old: str, new: str) -> None:
    """Whatever changed: put back as a whole, the code is the old one."""
    inverses = inverses_of(old.encode(), new.encode())
    text, applied = put_all(new.encode(), inverses)
    assert all(applied)
    assert same_code(text, old.encode())
    assert bool(inverses) == (not same_code(old.encode(), new.encode()))


@settings(deadline=None)
@given(functions(), functions(), functions())
def test_what_applies_to_any_text_leaves_a_text_that_parses(old: str, new: str, later: str) -> None:
    """And a text that differs."""
    for inverse in inverses_of(old.encode(), new.encode()):
        put = put_inverse(later.encode(), inverse)
        assert put is None or (put != later.encode() and parse(put) is not None)


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.booleans())
def test_any_bytes_are_no_crash(old: bytes, new: bytes, python: bool) -> None:
    """An inverse that is given does what it says."""
    inverses = inverses_of(old, new, python=python)
    text, applied = put_all(new, inverses)
    assert all(applied)
    assert not inverses or text == old or same_code(text, old)


def test_a_rewritten_method_is_not_looked_for_in_another_class() -> None:
    """`serialize` of another class may read the same: the bug was never there."""
    old = b"class A:\n    def serialize(self, value):\n        return str(value)\n"
    new = old.replace(
        b"        return", b"        if value is None:\n            return None\n        return"
    )
    (inverse,) = inverses_of(old, new)
    other = new.replace(b"class A", b"class B")
    rewritten = old.replace(b"return str(value)", b"return None if value is None else str(value)")
    assert put_inverse(rewritten + b"\n\n" + other, inverse) is None
    moved = put_inverse(other, inverse)
    assert moved is not None, "where the class itself is gone, its method may have moved"
