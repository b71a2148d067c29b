"""Source texts are cut into logical lines, whatever they hold."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_bugsle.code
from pytest_bugsle.code.tokens import (
    fingerprint,
    is_literal,
    logical_lines,
    owners,
    readable_lines,
    shape,
    word_hash,
)

SOURCES = sorted(Path(pytest_bugsle.code.__file__).parent.glob("*.py"))


def tokens(text: str) -> list[str]:
    """Write each logical line of a text with a blank between its tokens."""
    return [" ".join(line.tokens) for line in logical_lines(dedent(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1  # one\n\n\n# two\ny = 2\n", ["x = 1", "y = 2"]),
        ("x = f(a,\n      b)\n", ["x = f ( a , b )"]),
        ("x = f(\n    a,\n    b,\n)\n", ["x = f ( a , b )"]),
        ("x = (a,)\n", ["x = ( a , )"]),
        ("x = [a,]\n", ["x = [ a ]"]),
        ("x = a + \\\n  b\n", ["x = a + b"]),
        ("if x: y(); z()\n", ["if x :", "y ( )", "z ( )"]),
        ("if x[1:2]: y\n", ["if x [ 1 : 2 ] :", "y"]),
        ("if (lambda: 1)(): y\n", ["if ( lambda : 1 ) ( ) :", "y"]),
        ("if lambda: x: y\n", ["if lambda : x :", "y"]),
        ("else: y = {1: 2}\n", ["else :", "y = { 1 : 2 }"]),
        ('"""Words."""\nimport os\nfrom a import (b,\n  c)\nx = 1\n', ["x = 1"]),
        ("x: int = 1\ny: dict[str, int]\n", ["x = 1"]),
        ("self.x: int = 1\n", ["self . x = 1"]),
        (
            "def f(a: int, *b: str, c: dict[str, int] = {1: 2}) -> list[int]:\n    pass\n",
            ["def f ( a , * b , c = { 1 : 2 } ) :", "pass"],
        ),
        ("async def f(a) -> int: return a\n", ["async def f ( a ) :", "return a"]),
        ("print 'a'\nexcept X, e:\n    exec \"b\"\n", ['print ":a', "except X , e :", 'exec ":b']),
        ("x = 1e-3 + 0x1F + .5 + 1_0j\n", ["x = 1e-3 + 0x1F + .5 + 1_0j"]),
        ("a <= b != c ** d // e -> f := g ... h\n", ["a <= b != c ** d // e -> f := g ... h"]),
        ("\ufeffx = 1\r\ny = 2\rz = 3", ["x = 1", "y = 2", "z = 3"]),
        ("", []),
    ],
)
def test_logical_lines(text: str, expected: list[str]) -> None:
    """A simple statement, or the header of a compound one, is a line; taste and annotations are left out."""
    assert tokens(text) == expected


def test_strings_are_the_same_in_all_quotes() -> None:
    """Quotes and an idle prefix are taste; what another prefix changes is not."""
    same = {tokens(f"x = {one}")[0] for one in ("'a'", '"a"', "u'a'", "'''a'''", 'U"""a"""')}
    assert len(same) == 1
    assert tokens("x = b'a'") != tokens("x = 'a'")
    assert tokens("x = 'a'") != tokens("x = 'b'")
    assert len(logical_lines("x = 'a' \"b\"\n")[0].tokens) == 3


def test_lines_and_indentation_are_told() -> None:
    """A line knows where it begins and ends, behind strings and brackets of several lines too."""
    text = 'x = """\n\n"""\nif x:\n    y = f(\n        1,\n    )\n\tz = 1\\\n + 2\n'
    assert [(line.line, line.last, line.indent) for line in logical_lines(text)] == [
        (1, 3, 0),
        (4, 4, 0),
        (5, 7, 4),
        (8, 9, 8),
    ]


def test_lines_are_counted_as_the_interpreter_does() -> None:
    """A carriage return, alone or not, ends a line; a form feed does not."""
    assert [line.line for line in logical_lines("a\r\nb\rc\n\x0cd\n")] == [1, 2, 3, 4]


def test_a_bracket_that_is_never_closed_ends_at_the_next_statement() -> None:
    """A broken line does not swallow the rest of the text."""
    assert tokens("x = f(1\ndef g():\n    return 2\n")[1:] == ["def g ( ) :", "return 2"]


def test_tokens_are_those_of_the_interpreter() -> None:
    """On code that is valid, nothing is made up or cut in two, and each statement begins a line."""
    for path in SOURCES:
        source = path.read_bytes()
        kinds = {tokenize.NAME, tokenize.NUMBER}
        truth = [t.string for t in tokenize.tokenize(io.BytesIO(source).readline) if t.type in kinds]
        lines = logical_lines(source.decode())
        rest = iter(truth)
        ours = [t for line in lines for t in line.tokens if t[0].isalnum() or t[0] == "_"]
        assert all(token in rest for token in ours), path
        wanted = {node.lineno for node in ast.walk(ast.parse(source)) if _is_told(node)}
        assert wanted <= {line.line for line in lines}, path


def _is_told(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
            return False
        case ast.AnnAssign(value=None):
            return False
    return isinstance(node, ast.stmt)


@given(st.text(alphabet=st.sampled_from("ab1 \n\t\\'\"#()[]{}:;,.=@fr\x00é\ud800") | st.characters()))
def test_any_text_is_cut(text: str) -> None:
    """No text fails, and no line is outside of it."""
    physical = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    for line in logical_lines(text):
        assert line.tokens
        assert 1 <= line.line <= line.last <= physical


@given(st.binary(max_size=300))
def test_any_bytes_have_a_fingerprint(source: bytes) -> None:
    """Nor do any bytes fail, and the same bytes have the same fingerprint."""
    assert fingerprint(source) == fingerprint(source)


@pytest.mark.parametrize(
    "evil", ['"""\\' * 40_000, "'" * 100_000, "(" * 100_000, "if x:" * 20_000, "f'" * 50_000]
)
def test_hostile_texts_are_read_in_one_go(evil: str) -> None:
    """Open quotes and brackets cost no more than closed ones, and no recursion."""
    logical_lines(evil)


def test_a_shape_tells_operators_and_not_names() -> None:
    """Names and literals are alike, operators, keywords and attributes' dots are not."""

    def of(text: str) -> int:
        return shape(logical_lines(text)[0].tokens)

    assert of("x = a.b + 1") == of("y = c.d + 'e'")
    assert (
        len({of(t) for t in ("x = a < b", "x = a <= b", "x = a is b", "x = a.b", "x = a(b)", "x = -a")}) == 6
    )
    assert is_literal(".5") and not is_literal("...")


def test_fingerprints_are_the_same_in_every_process() -> None:
    """What is kept must be found again: no hash of this process is in it."""
    assert shape(("x", "=", "1")) == 0xBD21EE1D
    assert word_hash("encoding") == 0x6848F94F


@pytest.mark.parametrize(
    "source",
    [
        b"# Generated by the protocol compiler.  DO NOT EDIT!\nx = 1\n",
        b"#!/usr/bin/env python\n# This file is auto-generated from model.yaml\nx = 1\n",
        b'"""Autogenerated by Thrift; do not edit."""\nx = 1\n',
        b"x = 1\0\n",
        b"x = [" + b"1," * 3000 + b"]\n",
        b"x = 1\n" * 200_000,
    ],
    ids=["generated", "generated from", "docstring", "binary", "packed", "huge"],
)
def test_what_nobody_writes_is_not_read(source: bytes) -> None:
    """Generated, packed, binary and huge texts have no lines."""
    assert readable_lines(source) == []
    assert not fingerprint(source).shapes


def test_code_that_speaks_of_generating_is_read() -> None:
    """The word alone, in code or far below, makes no text generated."""
    source = (
        b'"""Write reports."""\n\ntext = "generated by us, do not edit"\n'
        + b"x = 1\n" * 300
        + b"# do not edit\n"
    )
    assert len(readable_lines(source)) == 301


def test_words_are_found_in_names_and_strings() -> None:
    """A fingerprint knows the words of a text from four letters on, but not those of comments."""
    words = fingerprint(b'value.issupset("Lenght: 3")  # remark\n').words
    assert word_hash("issupset") in words and word_hash("Lenght") in words
    assert word_hash("remark") not in words


def test_owners_are_the_headers_around() -> None:
    """Each line knows the function or class that it stands in."""
    lines = logical_lines(
        "x = 1\nclass A:\n    def f(self):\n        if x:\n            y\n    z = 1\nw = 2\n"
    )
    assert owners(lines) == [-1, -1, 1, 2, 2, 1, -1]
