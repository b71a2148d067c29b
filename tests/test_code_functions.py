"""Finding functions by indentation alone."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.code.functions import LARGEST, functions, functions_at


def spans(text: str) -> list[tuple[str, int, int]]:
    """Give name, first and last line of each function."""
    return [(span.name, span.first, span.last) for span in functions(dedent(text).lstrip("\n").encode())]


def test_functions_and_methods_have_qualified_names_and_lines() -> None:
    """Decorators belong to the function, inner functions too; what follows a class is outside of it."""
    text = """
        import os

        @one
        @two(
            3,
        )
        def f(
            a,
        ):
            def inner():
                pass

            return inner

        class A:
            x = 1

            async def g(self): return 1

            class B(
                object,
            ):
                def h(self):
                    pass

            y = 2

        def k():
            pass
    """
    assert spans(text) == [("f", 3, 13), ("A.g", 18, 18), ("A.B.h", 23, 24), ("k", 28, 29)]


def test_lines_between_functions_are_in_none() -> None:
    """Blank lines, comments above the next function and statements of the module belong to no function."""
    source = b"def f():\n    return 1\n    # its own\n\n\n# of g\ndef g():\n    pass\n\nX = 1\n"
    found = functions(source)
    assert [(span.name, span.first, span.last) for span in found] == [("f", 1, 3), ("g", 7, 8)]
    assert functions_at(found, range(4, 7)) == functions_at(found, (9, 10, 99)) == frozenset()
    assert functions_at(found, (2,)) == {"f"}
    assert functions_at(found, (3, 7)) == {"f", "g"}


def test_a_string_over_several_lines_neither_ends_nor_begins_a_function() -> None:
    """Text at the margin inside a string is no statement, and a `def` in it no function."""
    text = '''
        def f():
            """Say.

        def no():
        x = 1 # "
            """
            # an apostrophe isn't a string, nor is this: """
            return 'it"""s'

        TEMPLATE = \'\'\'
        def neither(): pass
        \'\'\'

        def g():
            pass
    '''
    assert spans(text) == [("f", 1, 8), ("g", 14, 15)]


def test_definitions_under_conditions_are_found() -> None:
    """An `if` is no owner, and a class ends before it."""
    text = """
        class A:
            def f(self):
                pass

        if True:
            def g():
                pass
        else:
            def g():
                pass
    """
    assert [name for name, *_ in spans(text)] == ["A.f", "g", "g"]


@pytest.mark.parametrize(
    "source",
    [
        b"def f():\n    print 'x'\n    exec 'y' in z\n\ndef g():\n    raise E, 'x'\n",
        b"<<<<<<< HEAD\ndef f():\n    x = (\n=======\n    y\n>>>>>>> b\ndef g(:\n    pass\n",
        b"def f():\r\n    pass\r\n\r\ndef g():\r\n    pass\r\n",
        b"def f():\n\tpass\n\n\tif x:\n\t\treturn\n\ndef g(): pass",
        b"def f():\n    '''never closed'\ndef no(): pass\n'''\n\ndef g():\n    \"\"\"to the end\ndef no(): pass\n",
    ],
    ids=["python2", "conflict", "crlf", "tabs", "unclosed string"],
)
def test_texts_that_cannot_be_parsed_are_read(source: bytes) -> None:
    """Another Python, a merge conflict, other line ends, tabs and a string that is not closed."""
    assert [span.name for span in functions(source)] == ["f", "g"]


def test_what_no_person_wrote_is_left_out() -> None:
    """A huge text, a binary one and an empty one have no functions."""
    assert functions(b"def f(): pass\n" * (LARGEST // 10)) == ()
    assert functions(b"\0\xff" * 100) == functions(b"") == ()


def test_names_may_be_any_letters() -> None:
    """Names beyond ASCII are read, bytes that are no UTF-8 too."""
    assert functions("def größe(): pass".encode())[0].name == "größe"
    assert functions(b"def gr\xf6\xdfe(): pass")[0].name == "gr\udcf6\udcdfe"


@given(
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"def f():", b"class A:", b'"""', b"'", b"\n", b"  ", b"#", b"@x"])),
)
def test_any_bytes_are_read(noise: bytes, pieces: list[bytes]) -> None:
    """Nothing raises, and each span lies in the text, in order and without overlap."""
    for source in (noise, b"".join(pieces), noise.join(pieces)):
        last = 0
        for span in functions(source):
            assert last < span.first <= span.line <= span.last <= source.count(b"\n") + 1
            last = span.last


_NAMES = st.sampled_from(["f", "g", "h"])


@st.composite
def _modules(draw: st.DrawFn, depth: int = 0) -> str:
    """Make a module, or a block of one, of functions, classes, strings, comments and statements."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["def", "class", "text", "x", "if"] if depth < 3 else ["x", "text"]))
        if kind == "x":
            lines.append(
                draw(
                    st.sampled_from(
                        ["x = 1", "x = [\n  1,\n]", "# note\nx = 'it''s'", "x = '''\ndef no(): pass\n'''"]
                    )
                )
            )
        elif kind == "text":
            lines.append('"""Say.\n\nclass No:\n    def no(): pass\n"""')
        else:
            head = {
                "def": f"@deco\ndef {draw(_NAMES)}(a,\n  b=1):",
                "class": f"class {draw(_NAMES)}:",
                "if": "if x:",
            }[kind]
            inner = draw(_modules(depth + 1))
            inside = [
                ("    " + line) if not _in_string(inner, at) else line
                for at, line in enumerate(inner.split("\n"))
            ]
            lines.append("\n".join([head, *inside]))
        lines.append(draw(st.sampled_from(["", "# a comment", "\n"])))
    return "\n".join([*lines, "pass"])


def _in_string(text: str, at: int) -> bool:
    before = "\n".join(text.split("\n")[:at])
    return before.count('"""') % 2 == 1 or before.count("'''") % 2 == 1


def _known(body: list[ast.stmt], owner: str = "") -> list[tuple[str, int]]:
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.append((f"{owner}{node.name}", node.lineno))
        elif isinstance(node, ast.ClassDef):
            found += _known(node.body, f"{owner}{node.name}.")
        elif isinstance(node, ast.If):
            found += _known(node.body, owner)
    return found


@given(_modules())
def test_what_is_found_is_what_the_parser_finds(text: str) -> None:
    """For a text of this Python the names and places are those of its syntax tree."""
    found = [(span.name, span.line) for span in functions(text.encode())]
    assert found == _known(ast.parse(text).body)
