"""Siblings: what came with the wrong line, is like it, and was not mended."""

from __future__ import annotations

import subprocess
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from fix_views import fix_view
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from repositories import Repo

from pytest_bugsle.git.blame import IGNORED_REVS
from pytest_bugsle.history.origins import statements_of
from pytest_bugsle.regression.elsewhere.siblings import likeness, siblings, surviving

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_bugsle.results import Lead

BEFORE = '''
"""Sets."""


def same(one, other):
    return one.items == other.items


def length(one):
    return len(one.items)
'''
FAMILY = '''

def below(one, other):
    """Say whether one lies in the other."""
    return one.included.issubset(other.included) and one.kind == other.kind


def above(one, other):
    return one.included.issupserset(other.included) and one.kind == other.kind


def outside(one, other):
    return one.excluded.issupserset(other.excluded) and one.kind == other.kind


def around(one, other):
    return other.included.issupserset(one.included) and one.kind == other.kind


def inside(one, other):
    return other.excluded.issupserset(one.excluded) and one.kind == other.kind
'''
WRONG = "return one.included.issupserset(other.included) and one.kind == other.kind"
RIGHT = WRONG.replace("issupserset", "issuperset")


def text(*parts: str) -> str:
    """Join parts of a file."""
    return "".join(parts).lstrip("\n")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A project in which one commit brought four like lines in, one of which is mended."""
    repo = Repo(tmp_path / "repo", start={"src/pkg/sets.py": text(BEFORE), "src/pkg/other.py": "x = 1\n"})
    repo.commit("feat: compare sets", {"src/pkg/sets.py": text(BEFORE, FAMILY)})
    return repo


def mend(repo: Repo) -> str:
    """Mend one of the four."""
    return repo.change("fix: above", "src/pkg/sets.py", WRONG, RIGHT)


def lines(leads: list[Lead]) -> list[str]:
    """Return the code that leads point at."""
    return [lead.code for lead in leads]


def test_the_other_three_are_found(repo: Repo) -> None:
    """With who brought them, how alike they are, and how to look closer."""
    origin = repo.sha()
    mend(repo)
    leads = siblings(fix_view(repo.top))
    assert sorted(lines(leads)) == [
        "return one.excluded.issupserset(other.excluded) and one.kind == other.kind",
        "return other.excluded.issupserset(one.excluded) and one.kind == other.kind",
        "return other.included.issupserset(one.included) and one.kind == other.kind",
    ]
    assert leads[0].code == "return other.included.issupserset(one.included) and one.kind == other.kind"
    first = leads[0]
    assert (first.kind, first.path, first.line) == ("sibling", "src/pkg/sets.py", 26)
    assert first.evidence.startswith(
        f"came with {origin[:7]} (“feat: compare sets”), as the fixed line did; "
    )
    assert first.proven is None
    assert 0 < first.confidence <= 0.3
    shown = subprocess.run(["sh", "-c", first.command], cwd=repo.top, capture_output=True, check=True).stdout
    assert b"issupserset" in shown


def test_the_limit_keeps_the_likest(repo: Repo) -> None:
    """Who looks at one looks at the best one."""
    mend(repo)
    view = fix_view(repo.top)
    assert siblings(view, limit=1) == siblings(view)[:1]


def test_a_fix_that_mends_them_all_leaves_none(repo: Repo) -> None:
    """Neither mended lines nor those that never had the wrong word are told."""
    content = text(BEFORE, FAMILY).replace("issupserset", "issuperset")
    repo.commit("fix: all", {"src/pkg/sets.py": content.encode()})
    assert siblings(fix_view(repo.top)) == []


def test_what_was_mended_or_deleted_since_is_gone(repo: Repo) -> None:
    """The tree searched is HEAD's, not the fix's own."""
    fix = mend(repo)
    content = repo.read("src/pkg/sets.py").replace("other.included.issupserset", "other.included.issuperset")
    head, _, _ = content.partition("\n\ndef inside")
    repo.commit("fix: around, too", {"src/pkg/sets.py": f"{head}\n".encode()})
    assert lines(siblings(fix_view(repo.top, fix))) == [
        "return one.excluded.issupserset(other.excluded) and one.kind == other.kind"
    ]


def test_a_line_that_only_looks_alike_came_by_itself(repo: Repo) -> None:
    """A copy from another commit is no sibling: clones are somebody else's to find."""
    repo.commit("feat: more", {"src/pkg/more.py": f"def more(one, other):\n    {WRONG}\n"})
    mend(repo)
    assert {lead.path for lead in siblings(fix_view(repo.top))} == {"src/pkg/sets.py"}


def test_tests_documents_and_vendored_files_are_left_out(tmp_path: Path) -> None:
    """The origin brought them all in at once."""
    repo = Repo(tmp_path / "repo")
    body = text(BEFORE, FAMILY)
    repo.commit(
        "feat: sets",
        {
            "src/pkg/sets.py": body,
            "src/pkg/_vendor/sets.py": body,
            "tests/test_sets.py": body + "\n\ndef test_x():\n    pass\n",
            "docs/conf.py": body,
            "docs/index.rst": "x\n",
            "setup.py": body,
        },
    )
    mend(repo)
    assert {lead.path for lead in siblings(fix_view(repo.top))} == {"src/pkg/sets.py"}


@pytest.mark.parametrize("listed", [True, False])
def test_a_formatting_commit_is_looked_through(repo: Repo, listed: bool) -> None:
    """Where `.git-blame-ignore-revs` names it; else it would be taken for the origin of every line."""
    content = repo.read("src/pkg/sets.py").replace("one.kind == other.kind", "(one.kind) == (other.kind)")
    style = repo.commit("style: brackets", {"src/pkg/sets.py": content.encode()})
    if listed:
        repo.commit("chore: look through it", {IGNORED_REVS: f"{style}\n"})
    wrong = WRONG.replace("one.kind == other.kind", "(one.kind) == (other.kind)")
    repo.change("fix: above", "src/pkg/sets.py", wrong, wrong.replace("issupserset", "issuperset"))
    named = {lead.evidence.partition("“")[2].partition("”")[0] for lead in siblings(fix_view(repo.top))}
    assert named == (set() if listed else {"style: brackets"})


def test_quotes_and_line_breaks_do_not_hide_a_survivor(repo: Repo) -> None:
    """A formatter rewrote the file between the two."""
    content = repo.read("src/pkg/sets.py").replace(
        "return other.included.issupserset(one.included) and",
        "return other.included.issupserset(\n        one.included,\n    ) and",
    )
    style = repo.commit("style: break lines", {"src/pkg/sets.py": content.encode()})
    repo.commit("chore: look through it", {IGNORED_REVS: f"{style}\n"})
    mend(repo)
    assert len(siblings(fix_view(repo.top))) == 3


def test_files_that_were_renamed_since_are_followed(tmp_path: Path) -> None:
    """The fixed file by blame, its neighbour by its name."""
    repo = Repo(tmp_path / "repo")
    one, other = text(BEFORE, FAMILY).split("\n\ndef around")
    repo.commit("feat: sets", {"src/pkg/one.py": one + "\n", "src/pkg/two.py": "def around" + other})
    repo.commit("refactor: move", {"src/pkg/core/__init__.py": ""})
    repo.git("mv", "src/pkg/one.py", "src/pkg/first.py")
    repo.git("mv", "src/pkg/two.py", "src/pkg/core/two.py")
    repo.commit("refactor: move more")
    repo.change("fix: above", "src/pkg/first.py", WRONG, RIGHT)
    assert {lead.path for lead in siblings(fix_view(repo.top))} == {"src/pkg/first.py", "src/pkg/core/two.py"}


def test_a_function_that_moved_within_its_file_still_survives(repo: Repo) -> None:
    """Its statements stand in another order now."""
    content = repo.read("src/pkg/sets.py")
    head, tail = content.split("def inside")
    repo.commit("refactor: sort", {"src/pkg/sets.py": f"def inside{tail}\n\n{head}".encode()})
    mend(repo)
    assert len(siblings(fix_view(repo.top))) == 3


def test_a_fix_that_only_adds_points_at_the_like_block(tmp_path: Path) -> None:
    """The other loop of the same commit has no guard, and a third one has it already."""
    repo = Repo(tmp_path / "repo", start={"src/pkg/load.py": "LIMIT = 3\n"})

    def loop(name: str, guard: str = "") -> str:
        return dedent(f"""
            def {name}(rows, table):
                for row in rows:
                    {guard or "pass"}
                    table.insert(row.key, row.value, replace=True)
                return table
        """).replace("        pass\n", "")

    guard = "if row.value is None: continue"
    repo.commit(
        "feat: load",
        {"src/pkg/load.py": "LIMIT = 3\n" + loop("load") + loop("append") + loop("merge", guard)},
    )
    repo.change("fix: no empty rows", "src/pkg/load.py", loop("load"), loop("load", guard))
    leads = siblings(fix_view(repo.top))
    assert {(lead.line, lead.code) for lead in leads} == {
        (10, "for row in rows:"),
        (11, "table.insert(row.key, row.value, replace=True)"),
    } or {lead.code for lead in leads} == {"table.insert(row.key, row.value, replace=True)"}
    assert {lead.line for lead in leads} <= {9, 10, 11}
    assert all(lead.confidence <= 0.1 for lead in leads)


def test_idioms_and_other_kinds_of_statements_are_no_siblings(tmp_path: Path) -> None:
    """`return None` is everywhere, and a condition is not like an assignment."""
    repo = Repo(tmp_path / "repo", start={"src/pkg/a.py": "x = 1\n"})
    body = "def f(a):\n    if a.count > a.limit:\n        return None\n    b = a.count > a.limit\n    return b\n\n\n"
    body += "def g(a):\n    print(a)\n    return None\n"
    repo.commit("feat: f", {"src/pkg/a.py": body})
    repo.change("fix: f", "src/pkg/a.py", "if a.count > a.limit", "if a.count >= a.limit")
    repo.change("fix: none", "src/pkg/a.py", "        return None", "        return 0")
    assert siblings(fix_view(repo.top)) == []
    assert siblings(fix_view(repo.top, "HEAD~1")) == []


def test_a_fix_at_the_root_and_one_that_adds_a_file_have_none(tmp_path: Path) -> None:
    """There is nothing to blame."""
    repo = Repo(tmp_path / "repo", start={"src/pkg/a.py": "x = 1\n"})
    repo.commit("fix: new file", {"src/pkg/b.py": FAMILY})
    assert siblings(fix_view(repo.top)) == []
    assert siblings(replace(fix_view(repo.top), base=None)) == []


def test_hostile_paths_are_quoted(tmp_path: Path) -> None:
    """The command is to be pasted."""
    name = "src/pkg/a;touch x $(y) 'z'.py"
    repo = Repo(tmp_path / "repo", start={name: text(BEFORE)})
    repo.commit("feat: compare", {name: text(BEFORE, FAMILY)})
    repo.change("fix: above", name, WRONG, RIGHT)
    leads = siblings(fix_view(repo.top))
    assert len(leads) == 3
    done = subprocess.run(["sh", "-c", leads[0].command], cwd=repo.top, capture_output=True, check=True)
    assert b"issupserset" in done.stdout
    assert not (repo.top / "x").exists()


WORDS = st.lists(st.sampled_from(["a", "b", "(", ")", "if", "1"]), max_size=8).map(tuple)


@given(WORDS, WORDS)
def test_likeness_is_a_share(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Symmetric, 1 for the same tokens, 0 for none in common."""
    alike = likeness(one, other, lambda token: 1.0)
    assert 0 <= alike <= 1
    assert alike == likeness(other, one, lambda token: 1.0)
    assert likeness(one, one, lambda token: 1.0) == (1.0 if one else 0.0)
    if not set(one) & set(other):
        assert alike == 0


STATEMENTS = st.lists(
    st.sampled_from(["a = f(1)\n", "b = g(2)\n", "c = h(3)\n", "return_ = 0\n"]), max_size=8
)


@given(STATEMENTS, STATEMENTS)
def test_survivors_are_the_same_statements(then: list[str], now: list[str]) -> None:
    """Whatever was put in, taken out or moved."""
    old, new = statements_of("".join(then).encode()), statements_of("".join(now).encode())
    tokens = {line.line: line.tokens for line in old}
    found = surviving(old, new)
    assert all(new[index].tokens == tokens[line] for line, index in found.items())
    assert len(surviving(old, old)) == len(old)
