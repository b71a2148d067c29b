"""Changed lines become changed statements, which a line tracer can be asked about."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from types import FrameType
from typing import Any

import coverage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.code.statements import Changed, changed_statements, statements
from pytest_bugsle.git.diff import line_changes


def changed(old: str, new: str) -> Changed:
    """Compare two texts by their real line changes."""
    before, after = textwrap.dedent(old).encode(), textwrap.dedent(new).encode()
    return changed_statements(before, after, *line_changes(before, after))


def texts(found: Changed) -> tuple[list[str], list[str]]:
    """Give the first lines of what was taken out and put in."""
    return [s.text for s in found.deleted], [s.text for s in found.added]


def test_a_changed_condition() -> None:
    """Both sides of a changed line are statements, the untouched body is not."""
    found = changed(
        "def f(x):\n    if x > 2:\n        return 1\n", "def f(x):\n    if x >= 2:\n        return 1\n"
    )
    assert texts(found) == (["if x > 2:"], ["if x >= 2:"])
    assert found.added[0].measured_lines == (2,)
    assert not found.added[0].import_time


def test_a_pure_deletion_and_a_pure_addition() -> None:
    """Each is seen on the side where it stands."""
    assert texts(changed("def f():\n    a()\n    b()\n", "def f():\n    b()\n")) == (["a()"], [])
    assert texts(changed("def f():\n    b()\n", "def f():\n    a()\n    b()\n")) == ([], ["a()"])


def test_a_line_inside_a_call_over_several_lines() -> None:
    """One changed argument makes the whole call the changed statement."""
    found = changed("x = f(\n    1,\n    2,\n)\n", "x = f(\n    1,\n    3,\n)\n")
    assert [(s.first_line, s.last_line) for s in found.added] == [(1, 4)]
    assert 1 in found.added[0].measured_lines
    assert found.added[0].import_time


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1\n", "x = 1  # why\n"), ("x = 1\n", "\n# more\nx = 1\n"), ("x = f(1, 2)\n", "x = f(\n    1,\n    2,\n)\n"),
        ("def f(a):\n    return a\n", "def f(a: int) -> int:\n    '''Doc.'''\n    return a\n"),
        ("x = 1\n", "x: int = 1\n"), ("def f():\n    x = 1\n", "def f():\n    y: str\n    x = 1\n"),
        ("a()\n", "from typing import Any\nif TYPE_CHECKING:\n    import os\na()\n"),
        ("class A:\n    x: int\n", "class A:\n    x: str\n"), ("x = f(\n    1,\n)\n", "x = f(\n    # one\n    1,\n)\n"), ("x = 'a'\n", 'x = "a"\n'),
        ("def f():\n    a()\n", "def f():\n    a()\n\n\ndef g():\n    pass\n"),
        ("a()\r\nb()\r\n", "a()\nb()\n"),
    ],
)  # fmt: skip
def test_lines_that_change_nothing(old: str, new: str) -> None:
    """Comments, formatting, docstrings, annotations, type-checking blocks and a bare `def` are no statements."""
    assert texts(changed(old, new)) == ([], [])


def test_bare_keywords_are_dropped_and_clauses_kept() -> None:
    """`try`, `else` and `finally` alone do nothing; an `except` decides something."""
    old = "def f():\n    a()\n"
    new = "def f():\n    try:\n        a()\n    except E:\n        b()\n    else:\n        c()\n    finally:\n        d()\n"
    assert texts(changed(old, new))[1] == ["a()", "except E:", "b()", "c()", "d()"]
    bare = "def f():\n    try:\n        a()\n    except:\n        b()\n"
    assert texts(changed(old, bare))[1] == ["a()", "except:", "b()"]


def test_a_moved_statement_is_a_change() -> None:
    """The same text at another place in the order of execution is taken out and put in."""
    old = "def f():\n    a()\n    b()\n    c()\n"
    assert texts(changed(old, "def f():\n    b()\n    c()\n    a()\n")) == (["a()"], ["a()"])
    reordered = changed_statements(b"a()\nb()\n", b"b()\na()\n", frozenset({1, 2}), frozenset({1, 2}))
    assert reordered.added and reordered.deleted


def test_a_doubled_statement_is_an_addition() -> None:
    """Whichever of two equal lines the diff marks."""
    old, new = b"def f():\n    a()\n", b"def f():\n    a()\n    a()\n"
    for line in (2, 3):
        found = changed_statements(old, new, frozenset(), frozenset({line}))
        assert [s.first_line for s in found.added] == [line]
        assert not found.deleted


def test_a_dedented_statement_is_a_change() -> None:
    """Out of a condition the same text runs at other times."""
    old = "def f(x):\n    if x:\n        a()\n        b()\n"
    assert texts(changed(old, "def f(x):\n    if x:\n        a()\n    b()\n")) == (["b()"], ["b()"])


def test_headers_of_definitions() -> None:
    """Defaults, decorators, bases and parameters are statements of import time; inside a function they are not."""
    old = "def f(a, b=1):\n    return a\nclass A(B):\n    x = 1\n"
    found = changed(old, "@d\ndef f(a, b=2):\n    return a\nclass A(C):\n    x = 2\n")
    assert [s.text for s in found.added] == ["@d", "class A(C):", "x = 2"]
    assert all(s.import_time for s in found.added)
    inner = changed("def f():\n    def g(a=1):\n        pass\n", "def f():\n    def g(a=2):\n        pass\n")
    assert [(s.text, s.import_time) for s in inner.added] == [("def g(a=2):", False)]


def test_new_definitions() -> None:
    """Of a new function the body counts; its header only if it does more than bind a name."""
    new = "def f():\n    a()\ndef g(x=1):\n    b()\n@d\nclass A:\n    def m(self):\n        c()\nclass B:\n    y = 1\n"
    assert texts(changed("", new))[1] == ["a()", "def g(x=1):", "b()", "@d", "c()", "y = 1"]
    assert texts(changed("", "@d\ndef f():\n    a()\n"))[1] == ["@d", "a()"]
    assert texts(changed("", "def f(*, x=1):\n    a()\n"))[1] == ["def f(*, x=1):", "a()"]
    assert texts(changed("", "def f(*, x):\n    a()\n"))[1] == ["a()"]


def test_a_renamed_function() -> None:
    """The untouched body of a function with a new name is not changed."""
    assert texts(changed("def f():\n    a()\n", "def g():\n    a()\n")) == ([], [])


def test_only_lines_with_code_are_measured() -> None:
    """Comments and closing brackets inside a statement are never reported; nor is what has no code at all."""
    found = changed("", "def f():\n    global x\n    x = f(\n        # one\n        y,\n    )\n")
    assert [s.measured_lines for s in found.added] == [(3, 5)]


def test_a_class_inside_a_function() -> None:
    """Its statements run when the function does."""
    assert [s.import_time for s in changed("", "def f():\n    class A:\n        x = 1\n").added] == [False]


def test_fields_of_a_decorated_class() -> None:
    """An annotation that makes a field is a statement."""
    assert texts(changed("@d\nclass A:\n    x: int\n", "@d\nclass A:\n    x: str\n")) == (
        ["x: int"],
        ["x: str"],
    )


def test_statements_on_one_line_are_one() -> None:
    """A tracer cannot tell them apart."""
    found = changed("", "def f(x):\n    if x: return 1; y = 2\n")
    assert [(s.first_line, s.last_line) for s in found.added] == [(2, 2)]


def test_what_cannot_be_parsed_has_no_statements() -> None:
    """A side of another Python is silent; so is one that parses but is not there."""
    found = changed_statements(b"print 1\n", b"print(1)\n", frozenset({1}), frozenset({1}))
    assert found.deleted == () and len(found.added) == 1


def test_a_text_that_parses_but_does_not_compile() -> None:
    """`return` at module level still has lines."""
    assert [s.measured_lines for s in statements(b"return 1\n")] == [(1,)]


def test_a_long_chain_of_conditions() -> None:
    """An `elif` nests as deep as the chain is long."""
    source = "if x == 0:\n    pass\n" + "".join(f"elif x == {n}:\n    a()\n" for n in range(1, 60))
    assert len(statements(source.encode())) == 60 + 59


PROGRAM = """
def f(n):
    total = sum(
        [n,
         1],
    )
    if (n > 1 and
            total):
        total += 1
    elif n == 1:
        total -= 1
    else:
        total = 0
    for i in range(
        n
    ):
        if i: continue
        total += i
    while total > 100:
        total = 0
    try:
        with open("/nonexistent") as a, \\
                open("/other") as b:
            pass
    except (ValueError,
            OSError):
        total += 2
    else:
        total += 3
    finally:
        total += 4
    match n:
        case 0:
            return 0
        case int(x) if x > 5:
            return 1
        case _:
            del i
    return {
        "a": lambda: 1,
        "b": [
            y for y in range(3)
        ],
    }


def unused(a=1):
    return a


class A:
    x = 1

    @staticmethod
    def m():
        yield 1


f(2)
list(A.m())
"""


def test_agreement_with_coverage(tmp_path: Path) -> None:
    """coverage.py reports a statement's lines exactly if the statement ran."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    measured = coverage.Coverage(data_file=None, include=[str(path)])
    with measured.collect():
        exec(compile(PROGRAM, str(path), "exec"), {"__name__": "program"})  # noqa: S102 - our own text
    ran = set(measured.get_data().lines(str(path)) or ())
    missed = [s.text for s in statements(PROGRAM.encode()) if ran.isdisjoint(s.measured_lines)]
    assert missed == [
        "elif n == 1:", "total -= 1", "total = 0", "total = 0", "total += 3", "return 0", "return 1", "return a"
    ]  # fmt: skip


def hits(number: int, *rest: object) -> str:
    """Write a call that leaves its number, on one line or on several."""
    return f"hit({number},\n 0)" if number % 3 == 0 else f"hit({number})"


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Draw a function of nested blocks in which every statement leaves its own number when it runs."""
    count = iter(range(1000))

    def block(depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(
                st.sampled_from(["call", "if", "for", "while", "try", "with", "return", "match", "assign"])
            )
            call = hits(next(count))
            if depth == 0 or kind in {"call", "assign"}:
                lines += [f"x = {call}" if kind == "assign" else call]
                continue
            inner = ["    " + line for part in block(depth - 1) for line in part.split("\n")]
            if kind == "return":
                lines.append(f"return {call}")
            elif kind in {"if", "while"}:
                lines += [f"{kind} {call}:", *inner, *(["    break"] if kind == "while" else [])]
            elif kind == "for":
                lines += [f"for _ in range({call}):", *inner]
            elif kind == "with":
                lines += [f"with managed({call}):", *inner]
            elif kind == "match":
                lines += [f"match {call}:", "    case 1:", *["    " + line for line in inner]]
            else:
                clause = hits(next(count))
                lines += ["try:", *inner, "    fail()", f"except caught({clause}):", *[
                    "    " + line for part in block(0) for line in part.split("\n")
                ]]  # fmt: skip
        return [line for part in lines for line in part.split("\n")]

    return "def f():\n" + "\n".join("    " + line for line in block(3)) + "\nf()\n"


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(0, 2**30))
def test_agreement_with_a_tracer(source: str, seed: int) -> None:
    """A statement's lines are reported exactly if it ran, in any nesting of blocks."""
    ran: set[int] = set()
    seen: set[int] = set()

    def hit(number: int, *_: object) -> int:
        ran.add(number)
        return (seed >> (number % 30)) & 1

    class managed:  # noqa: N801 - a function to its users
        def __init__(self, *_: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    def fail() -> None:
        raise KeyError

    def caught(*_: object) -> type[Exception]:
        return KeyError

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != "<program>":
            return None
        if event == "line":
            seen.add(frame.f_lineno)
        return trace

    code = compile(source, "<program>", "exec")
    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        exec(code, {"hit": hit, "managed": managed, "fail": fail, "caught": caught})  # noqa: S102
    finally:
        sys.settrace(previous)
    for statement in statements(source.encode()):
        if "hit(" in statement.text:
            number = int(statement.text.partition("hit(")[2].partition(")")[0].rstrip(","))
            assert (number in ran) == (not seen.isdisjoint(statement.measured_lines)), statement


@given(
    st.binary(max_size=120), st.binary(max_size=120), st.sets(st.integers(-1, 9)), st.sets(st.integers(-1, 9))
)
def test_any_input_is_answered(old: bytes, new: bytes, deleted: set[int], added: set[int]) -> None:
    """Wrong line numbers and any bytes give an answer."""
    assert isinstance(changed_statements(old, new, frozenset(deleted), frozenset(added)), Changed)
