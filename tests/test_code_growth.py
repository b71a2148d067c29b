"""Which functions a change has made more complex."""

from __future__ import annotations

from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.code.growth import Growth, Text, grown_too_far, growths


def function(name: str, branches: int, indent: str = "") -> str:
    """Give a function with this many branches."""
    lines = [f"def {name}(x):"]
    for number in range(branches):
        lines += [f"    if x == {number}:", f"        return {number}"]
    return "".join(f"{indent}{line}\n" for line in [*lines, "    return x"])


def grown(old: str | None, new: str | None, path: str = "a.py") -> list[tuple[str, int | None, int]]:
    """Give name, before and after of what grew in one file."""
    text = Text(path, old.encode() if old is not None else None, new.encode() if new is not None else None)
    return [(each.name, each.before, each.after) for each in growths([text])]


@given(before=st.integers(0, 14), after=st.integers(0, 14))
def test_a_function_grows_by_its_branches(before: int, after: int) -> None:
    """Complexity is branches plus one; what shrinks or stays is not listed."""
    found = grown(function("f", before), function("f", after))
    assert found == ([("f", before + 1, after + 1)] if after > before else [])


@given(
    before=st.none() | st.integers(1, 30),
    growth=st.integers(1, 30),
    limit=st.integers(1, 30),
    step=st.integers(0, 30),
)
def test_the_limit_holds_for_all_and_the_step_for_old_ones(
    before: int | None, growth: int, limit: int, step: int
) -> None:
    """Past the limit is too far; so is too much at once, of a function that was there."""
    after = (before or 0) + growth
    too_far = bool(grown_too_far([Growth("a.py", 1, "f", before, after)], limit, step))
    assert too_far == (after > limit or (before is not None and growth > step))


def test_only_changed_functions_count() -> None:
    """A neighbour that is past every limit is not told of."""
    assert grown(function("g", 30) + function("f", 1), function("g", 30) + function("f", 2)) == [("f", 2, 3)]


def test_new_functions_and_methods_have_no_before() -> None:
    """In a new file, and in an old one; nested functions count for their owner."""
    assert grown(None, function("f", 2)) == [("f", None, 3)]
    method = "class A:\n" + function("f", 2, "    ")
    assert grown("x = 1\n", method) == [("A.f", None, 3)]


def test_a_renamed_or_moved_function_is_known_again() -> None:
    """By its lines: within a file, into a class, and from one file to another."""
    assert grown(function("f", 12), function("g", 12)) == []
    assert grown(function("f", 12), "class A:\n" + function("f", 12, "    ")) == []
    assert grown(function("f", 12), function("g", 13)) == [("g", 13, 14)]
    moved = [Text("a.py", function("f", 12).encode(), b""), Text("b.py", None, function("f", 12).encode())]
    assert growths(moved) == []
    other = "def g(y):\n    with y as z:\n        print(z)\n    for q in z:\n        yield q\n"
    assert grown(function("f", 12), other) == [("g", None, 2)]


def test_deleted_and_broken_files_tell_nothing() -> None:
    """A text that no Python can parse is not judged."""
    assert grown(function("f", 2), None) == grown("def f(:", function("f", 30)) == []
    assert grown(function("f", 2), "def f(:") == []


def test_the_line_is_that_of_the_def() -> None:
    """Not that of a decorator."""
    source = dedent("""
        @decorated
        def f(x):
            return x or 1
    """)
    assert growths([Text("a.py", None, source.encode())]) == [Growth("a.py", 3, "f", None, 2)]
