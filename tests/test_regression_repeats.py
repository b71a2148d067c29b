"""Functions that are mended once more."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from past_views import source_of, view_of

from pytest_bugsle.history.past import read_past
from pytest_bugsle.regression.elsewhere.leads import FixedFile
from pytest_bugsle.regression.elsewhere.repeats import fixed_functions, repeats
from pytest_bugsle.results import Lead
from pytest_bugsle.store.cache import Cache

A = "src/pkg/a.py"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a repository with one module of three functions."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({"src/pkg/__init__.py": "", A: source_of(3)}, "start")
    return sandbox


def leads(
    sandbox: Sandbox, commit: str, *, tree: str | None = None, cache: Cache | None = None
) -> list[Lead]:
    """Look at a commit as a fix, with the past of HEAD."""
    with sandbox.open() as repo:
        past = read_past(repo, "HEAD", Cache(None))
        return repeats(view_of(sandbox, repo, commit, tree), past, cache)


def fix(sandbox: Sandbox, number: int, message: str = "", path: str = A) -> str:
    """Mend `f1` and give the commit."""
    return sandbox.commit({path: source_of(3, f1=number)}, message or f"fix: wrong value {number}")


def test_the_third_fix_of_a_function_is_named_with_the_earlier_ones(sandbox: Sandbox, tmp_path: Path) -> None:
    """Two fixes are no news, three are; the cache changes nothing."""
    one, two = fix(sandbox, 1), fix(sandbox, 2)
    assert leads(sandbox, two) == []
    third = fix(sandbox, 3)
    (lead,) = leads(sandbox, third)
    assert (lead.kind, lead.path, lead.line, lead.code) == ("repeat", A, 6, "def f1(x):")
    assert lead.evidence == (
        f"this is fix number 3 of f1: before it {two[:7]} (“fix: wrong value 2”), {one[:7]} (“fix: wrong value 1”)"
    )
    assert lead.command == f"git log --oneline -s -L 6,8:{A}"
    assert sandbox.git(*shlex.split(lead.command)[1:]).count("fix: wrong") == 3
    cache = Cache(tmp_path / "cache.db")
    assert leads(sandbox, third, cache=cache) == leads(sandbox, third, cache=cache) == [lead]


def test_more_fixes_are_counted_and_surer(sandbox: Sandbox) -> None:
    """Three are shown, the others are a number."""
    for number in range(1, 7):
        last = fix(sandbox, number)
    (lead,) = leads(sandbox, last)
    assert "this is fix number 6 of f1: before it" in lead.evidence and lead.evidence.endswith(" and 2 more")
    assert lead.evidence.count("“fix: wrong") == 3
    (third,) = leads(sandbox, sandbox.git("rev-parse", "HEAD~3"))
    assert lead.confidence > third.confidence


def test_what_is_no_earlier_fix_of_the_function_does_not_count(sandbox: Sandbox) -> None:
    """Features, fixes of another function, formatting, and what came after."""
    fix(sandbox, 1)
    fix(sandbox, 2, "feat: another value")
    fix(sandbox, 3, "style: fix quotes")
    sandbox.commit({A: source_of(3, f1=3, f0=1)}, "fix: f0")
    third = sandbox.commit({A: source_of(3, f1=4, f0=1)}, "fix: f1")
    fix(sandbox, 5)
    assert leads(sandbox, third) == []


def test_the_fix_that_made_a_function_did_not_mend_it(sandbox: Sandbox) -> None:
    """A function that came with a fix was fixed one time less."""
    sandbox.commit({A: source_of(4)}, "fix: add what was missing")
    for number in (1, 2):
        last = sandbox.commit({A: source_of(4, f3=number)}, f"fix: wrong {number}")
    assert leads(sandbox, last) == []


def test_one_change_on_two_branches_counts_once(sandbox: Sandbox) -> None:
    """A cherry-pick is the same work, however the two come together."""
    base = sandbox.git("rev-parse", "HEAD")
    one = fix(sandbox, 1)
    sandbox.git("switch", "-qc", "stable", base)
    sandbox.clock += 500
    sandbox.git("cherry-pick", "-x", one)
    sandbox.git("switch", "-q", "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "stable")
    assert leads(sandbox, fix(sandbox, 2)) == []
    assert len(leads(sandbox, fix(sandbox, 3))) == 1


def test_fixes_are_followed_through_renames(sandbox: Sandbox) -> None:
    """The file moved between them, and since; a function that is gone is not named."""
    fix(sandbox, 1)
    sandbox.git("mv", A, "src/pkg/b.py")
    sandbox.commit({}, "move")
    fix(sandbox, 2, path="src/pkg/b.py")
    third = fix(sandbox, 3, path="src/pkg/b.py")
    assert [lead.path for lead in leads(sandbox, third)] == ["src/pkg/b.py"]
    sandbox.commit({"src/pkg/b.py": "import os\n\n\n" + source_of(3, f1=3)}, "feat: import")
    assert [lead.line for lead in leads(sandbox, third, tree="HEAD")] == [9]
    sandbox.commit({"src/pkg/b.py": source_of(1)}, "drop")
    assert leads(sandbox, third, tree="HEAD") == []


def test_a_function_that_grew_too_complex_is_named(sandbox: Sandbox) -> None:
    """Above ten ways and at least three more than before; a small growth, or a simple function, is not."""

    def branches(count: int) -> str:
        return "def f(x):\n" + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(count))

    sandbox.commit({A: branches(9)}, "feat: f")
    grown = sandbox.commit({A: branches(12)}, "fix: more cases")
    (lead,) = leads(sandbox, grown)
    assert lead.evidence == "the fix takes f from 10 to 13 ways through it (cyclomatic complexity)"
    assert leads(sandbox, sandbox.commit({A: branches(14)}, "feat: two cases")) == []
    sandbox.commit({A: branches(2)}, "refactor: f")
    assert leads(sandbox, sandbox.commit({A: branches(6)}, "fix: cases")) == []


def test_texts_that_cannot_be_parsed_are_still_looked_at(sandbox: Sandbox) -> None:
    """Complexity is not known there, and earlier fixes are."""
    for number in range(3):
        last = sandbox.commit({A: f"def f():\n    print 'x', {number}\n"}, f"fix: python 2, {number}")
    sandbox.commit({A: "def f():\n    print 'x', 7\n"}, "fix: once more")
    last = sandbox.commit({A: "def f():\n    print 'x', 8\n"}, "fix: at last")
    (lead,) = leads(sandbox, last)
    assert "this is fix number 4 of f" in lead.evidence


def test_what_has_no_two_sides_has_no_fixed_functions() -> None:
    """A new file, a deleted one, and what is no Python; what only one side has was not mended."""
    text = source_of(2).encode()
    assert fixed_functions(FixedFile(None, "a.py", None, text)) == frozenset()
    assert fixed_functions(FixedFile("a.py", None, text, None)) == frozenset()
    assert fixed_functions(FixedFile("a.c", "a.c", text, source_of(2, f1=1).encode())) == frozenset()
    assert fixed_functions(FixedFile("a.py", "a.py", text, source_of(3, f1=1).encode())) == {"f1"}
    assert fixed_functions(FixedFile("a.py", "a.py", source_of(3).encode(), text)) == frozenset()
