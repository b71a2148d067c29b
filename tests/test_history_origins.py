"""Origins: the commits that brought in what a fix changed, without the noise."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from git_sandbox import Sandbox
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.history.origins import Mended, Origins, around, changed, origins, put_in

if TYPE_CHECKING:
    from pathlib import Path

START = dedent("""
    import os


    def first(items):
        # what is first
        for item in items:
            if item.weight > 1:
                return item
        return None
""").lstrip()
WRONG, RIGHT = "if item.weight > 1:", "if item.weight >= 1:"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Begin a repository; its root is not what is asked for."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.commit({"README": "x\n"}, "initial commit")
    return sandbox


def asked(sandbox: Sandbox, fix: str, *paths: str, time: int | None = None) -> Origins:
    """Ask for the origins of a fix."""
    repo = sandbox.open()

    def text(ref: str, path: str) -> bytes:
        entry = repo.listing(ref).get(path)
        return repo.blob(entry.sha) if entry is not None else b""

    mended = [Mended(path, text(f"{fix}^", path), text(fix, path)) for path in paths or ("a.py",)]
    return origins(repo, f"{fix}^", mended, time=time)


def found(sandbox: Sandbox, fix: str, *paths: str, time: int | None = None) -> list[str]:
    """Return the commits alone."""
    return [origin.commit.sha for origin in asked(sandbox, fix, *paths, time=time).found]


def test_the_commit_that_wrote_the_line(sandbox: Sandbox) -> None:
    """Not the one that touched its neighbour."""
    wrote = sandbox.commit({"a.py": START})
    other = START.replace("return None", "return ()")
    sandbox.commit({"a.py": other})
    fix = sandbox.commit({"a.py": other.replace(WRONG, RIGHT)})
    (origin,) = asked(sandbox, fix).found
    assert origin.commit.sha == wrote
    (old,) = origin.statements
    assert (old.path, old.origin_path, old.statement.line, old.added_to) == ("a.py", "a.py", 7, False)


def test_cosmetic_lines_say_nothing(sandbox: Sandbox) -> None:
    """Comments, imports, blank lines and formatting have no origin that is worth a look."""
    sandbox.commit({"a.py": START})
    text = START.replace("# what is first", "# which is first").replace("import os", "import sys")
    text = text.replace(WRONG, "if (\n            item.weight > 1\n        ):").replace(
        "return None", "return  None"
    )
    assert "weight > 1:" not in text
    fix = sandbox.commit(
        {"a.py": text.replace("(\n            item.weight > 1\n        )", "item.weight   >   1")}
    )
    assert found(sandbox, fix) == []


def test_wide_commits_roots_and_later_ones_are_left_out(sandbox: Sandbox) -> None:
    """What came in one go with everything else, or after the fix by its clock, is no origin."""
    wide = sandbox.commit({"a.py": START, **{f"f{n}.py": "x\n" for n in range(40)}})
    fix = sandbox.commit({"a.py": START.replace(WRONG, RIGHT)})
    assert found(sandbox, fix) == []
    narrow = sandbox.commit({"b.py": START})
    sandbox.git("tag", "narrow", narrow)
    later = sandbox.commit({"b.py": START.replace(WRONG, RIGHT)})
    assert found(sandbox, later, "b.py") == [narrow]
    assert found(sandbox, later, "b.py", time=sandbox.clock - 3600) == []
    assert wide != narrow


def test_a_root_is_no_origin(tmp_path: Path) -> None:
    """An import of a whole project says nothing of what belongs together."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.commit({"a.py": START})
    fix = sandbox.commit({"a.py": START.replace(WRONG, RIGHT)})
    assert found(sandbox, fix) == []


def test_a_fix_that_only_adds_is_traced_by_its_block(sandbox: Sandbox) -> None:
    """The loop that it adds a line to."""
    sandbox.commit({"a.py": START.replace("    return None\n", "")})
    loop = sandbox.commit(
        {"a.py": START.replace(WRONG, "if item.weight > 2:").replace("items:", "items[1:]:")}
    )
    text = START.replace(WRONG, "if item.weight > 2:").replace("items:", "items[1:]:")
    lines = text.splitlines(keepends=True)
    fix = sandbox.commit(
        {"a.py": "".join([*lines[:6], "        if item is None:\n            continue\n", *lines[6:]])}
    )
    (origin,) = asked(sandbox, fix).found
    assert origin.commit.sha == loop
    assert all(old.added_to for old in origin.statements)


def test_a_new_function_has_nothing_around_it() -> None:
    """It was not there to be wrong."""
    new = START + "\n\ndef second(items):\n    return first(items[1:])\n"
    assert list(around(START.encode(), new.encode())) == []


def test_what_is_added_to_a_class_has_nothing_around_it() -> None:
    """An attribute beside others is no mistake in them."""
    old = "class A:\n    one = 1\n    two = 2\n"
    assert list(around(old.encode(), old.replace("    two", "    more = 3\n    two").encode())) == []


def test_a_block_is_told_by_its_nearest_statements() -> None:
    """The statement before and behind, and the header of an `if` or a loop."""
    new = START.replace("        if item.weight", "        item = item.real\n        if item.weight")
    near = [" ".join(line.tokens) for line in around(START.encode(), new.encode())]
    assert near == ["for item in items :", "if item . weight > 1 :"]


def test_what_moved_or_was_formatted_is_not_changed() -> None:
    """Quotes, line breaks and trailing commas are a matter of taste."""
    old = "x = call('a', 'b')\ny = 1\n"
    new = 'x = call(\n    "a",\n    "b",\n)\ny = 2\n'
    assert [" ".join(line.tokens) for line in changed(old.encode(), new.encode())] == ["y = 1"]
    assert [" ".join(line.tokens) for line in put_in(old.encode(), new.encode())] == ["y = 2"]


def test_only_the_files_with_most_changes_are_blamed(sandbox: Sandbox) -> None:
    """And it is said how many were not."""
    paths = [f"m{n}.py" for n in range(5)]
    sandbox.commit(dict.fromkeys(paths, START))
    fix = sandbox.commit(dict.fromkeys(paths, START.replace(WRONG, RIGHT)))
    assert asked(sandbox, fix, *paths).files_left == 2


@pytest.mark.parametrize(
    "text", ["print 'x'\nexec y in z\n", "def broken(:\n    x = (1\n", "\x00\x01", "x" * 5000]
)
def test_texts_of_any_kind_are_read(sandbox: Sandbox, text: str) -> None:
    """Python 2, broken, binary, packed."""
    sandbox.commit({"a.py": text})
    fix = sandbox.commit({"a.py": text + "\ny = call(1, 2)\n"})
    asked(sandbox, fix)


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["if a:\n", "    b = c(1)\n", "\n", "x = y\n", "def f():\n", "# c\n"]), max_size=12
    ),
    st.lists(
        st.sampled_from(["if a:\n", "    b = c(2)\n", "\n", "x = z\n", "def f():\n", "# d\n"]), max_size=12
    ),
)
def test_changed_statements_are_of_the_old_text(old: list[str], new: list[str]) -> None:
    """And none of them is left where both texts are the same."""
    before, after = "".join(old).encode(), "".join(new).encode()
    assert {line.line for line in changed(before, after)} <= set(range(1, len(old) + 1))
    assert list(changed(before, before)) == []
    assert {line.line for line in around(before, after)} <= set(range(1, len(old) + 1))
