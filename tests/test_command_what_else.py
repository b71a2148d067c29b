"""`bugsle what-else` and its short form under a session, on histories planted for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from repositories import Repo, Said, bugsle, run_pytest, state_of

SITE = """
    def load_{name}(rows):
        {found} = []
        for {row} in rows:
            {key} = {row}.strip("{mark}")
            if len({key}) {op} {limit}:
                continue
            {found}.append({key}.lower())
        return sorted({found})
"""


def site(name: str, op: str = ">", **more: str) -> str:
    """Give one copy of a function: `names` and `literals` may differ, `op` is the mistake or its fix."""
    words = {"found": "found", "row": "row", "key": "key", "mark": " ", "limit": "80"} | more
    return SITE.format(name=name, op=op, **words)


RENAMED = [
    {"found": "result", "row": "line", "key": "name"},
    {"found": "names", "row": "entry", "key": "text"},
    {"found": "kept", "row": "record", "key": "value"},
]
LITERALS = [{"mark": "#", "limit": "120"}, {"mark": "!", "limit": "40"}]


def copies(op: str) -> dict[str, str]:
    """Give the copies of the wrong code, by path: three renamed, two with other literals, one elsewhere."""
    found = {f"src/pkg/renamed_{n}.py": site(f"r{n}", op, **names) for n, names in enumerate(RENAMED)}
    found |= {f"src/pkg/literal_{n}.py": site(f"l{n}", op, **words) for n, words in enumerate(LITERALS)}
    return found | {"src/other/deep/module.py": site("far", op)}


GUARD = """
    from pkg.main import load_main

    def test_long_names():
        assert load_main(["a" * 80]) == []
"""


def planted(top: Path) -> Repo:
    """Plant eight copies of one mistake, two of them mended long ago, and four decoys; then mend one."""
    start: dict[str, str | bytes | None] = {
        "src/other/__init__.py": "",
        "src/other/deep/__init__.py": "",
        "src/pkg/main.py": site("main"),
        **copies(">"),
        "src/pkg/patched_0.py": site("p0", ">="),
        "src/pkg/patched_1.py": site("p1", ">=", **RENAMED[0]),
        "src/pkg/words.py": '"""Says: if len(key) > 80: continue, and found.append(key.lower())."""\n',
        "src/pkg/logic.py": """
            def load_logic(rows):
                found = {}
                while rows:
                    row = rows.pop()
                    if row in found or not row:
                        return None
                    found[row] = row.upper()
                return found
        """,
        "src/pkg/_vendor/copy.py": site("v"),
        "tests/test_copy.py": site("t") + "\n    def test_nothing():\n        assert load_t([]) == []\n",
    }
    repo = Repo(top, start=start)
    text = repo.read("src/pkg/main.py").replace("> 80", ">= 80")
    repo.commit(
        "fix: names of 80 letters are too long (#7)", {"src/pkg/main.py": text, "tests/test_main.py": GUARD}
    )
    return repo


def leads(said: Said, kind: str | None = None) -> list[dict[str, Any]]:
    """Give the list of the one fix that has one."""
    (found,) = [fix["what_else"] for fix in said.report["fixes"] if fix["what_else"]] or [[]]
    return [lead for lead in found if kind in (None, lead["kind"])]


def test_all_unpatched_copies_stand_in_the_first_ten_lines_and_no_decoy_above_them(tmp_path: Path) -> None:
    """Renamed, with other literals, in another package; what is patched, vendored or a test is not there."""
    repo = planted(tmp_path / "p")
    before = state_of(repo)
    said = bugsle(repo, "what-else", "HEAD")
    assert said.code == 0, said.all
    first = [lead["path"] for lead in leads(said)[:10]]
    assert set(copies(">")) <= set(first), said.out
    assert set(first[:6]) == set(copies(">")), "a decoy stands above a copy"
    (named,) = [lead for lead in leads(said) if lead["path"] == "src/pkg/literal_0.py"]
    assert (named["kind"], named["line"], named["code"]) == ("clone", 5, "if len(key) > 120:")
    assert "src/pkg/main.py" in named["evidence"]
    assert 0 < named["confidence"] <= 1
    assert named["command"].startswith("git ")
    assert "BUG108" in said.rules()
    assert {finding["level"] for finding in said.report["findings"]} == {"warning"}
    assert state_of(repo) == before


def test_the_list_names_what_to_type_and_how_sure_it_is(tmp_path: Path) -> None:
    """Numbered, with the code, the evidence and a command."""
    out = bugsle(planted(tmp_path / "p"), "what-else", "HEAD").out
    assert "fix: names of 80 letters are too long" in out
    assert "  1. clone (" in out
    assert "%) src/" in out
    assert "       $ git " in out


def test_a_session_shows_the_first_lines_and_says_where_the_others_are(tmp_path: Path) -> None:
    """The short form stands under the fix; it is a warning at most, and blocks nothing."""
    repo = planted(tmp_path / "p")
    said = run_pytest(repo, "--bugsle-range", "HEAD~1..HEAD")
    assert said.code == 0, said.all
    assert said.out.count("what else? ") == 3
    assert "more places: `bugsle what-else " in said.out
    assert len(leads(said, "clone")) >= 6


def test_a_fix_that_left_nothing_behind_says_so(tmp_path: Path) -> None:
    """An empty list is an answer."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "def f():\n    return 0\n"})
    repo.commit("fix: the answer", {"src/pkg/a.py": "def f():\n    return 1\n"})
    said = bugsle(repo, "what-else", "HEAD")
    assert (said.code, leads(said), said.rules()) == (0, [], [])
    assert "nothing else was found" in said.out


def test_without_a_commit_the_uncommitted_change_is_looked_at(tmp_path: Path) -> None:
    """Copies are found before the fix is even committed."""
    repo = planted(tmp_path / "p")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.write({"src/pkg/main.py": site("main", ">=")})
    said = bugsle(repo, "what-else", "--no-run")
    assert set(copies(">")) <= {lead["path"] for lead in leads(said, "clone")}, said.all


def test_partners_that_did_not_come_along(tmp_path: Path) -> None:
    """Six commits changed both files; this one changed only the first."""
    repo = Repo(tmp_path / "p", start={"src/pkg/model.py": "A = 0\n", "src/pkg/schema.py": "B = 0\n"})
    for number in range(1, 7):
        repo.commit(
            f"feat: field {number}",
            {"src/pkg/model.py": f"A = {number}\n", "src/pkg/schema.py": f"B = {number}\n"},
        )
        repo.commit(
            f"docs: {number}", {f"notes_{number}.md": "x\n", f"src/pkg/more_{number}.py": f"N = {number}\n"}
        )
    repo.commit("fix: the last field", {"src/pkg/model.py": "A = 66\n"})
    said = bugsle(repo, "what-else", "HEAD")
    (lead,) = leads(said, "partner")
    assert lead["path"] == "src/pkg/schema.py"
    assert "7 of the 7 commits" in lead["evidence"]


def test_a_function_that_was_fixed_before_is_named(tmp_path: Path) -> None:
    """The third fix of one function, with the earlier two."""
    repo = Repo(
        tmp_path / "p", start={"src/pkg/a.py": "def f(x):\n    return x\n\n\ndef g(x):\n    return x\n"}
    )
    shas = [
        repo.commit(
            f"fix: f of {n}",
            {"src/pkg/a.py": f"def f(x):\n    return x + {n}\n\n\ndef g(x):\n    return x\n"},
        )
        for n in (1, 2, 3)
    ]
    (lead,) = leads(bugsle(repo, "what-else", "HEAD"), "repeat")
    assert (lead["path"], lead["line"]) == ("src/pkg/a.py", 1)
    assert shas[0][:7] in lead["evidence"]
    assert shas[1][:7] in lead["evidence"]


BRANCHED = "def f(x):\n    return x - 1\n"


def branched(top: Path) -> Repo:
    """Make a project with a release branch that holds the bug, and another that has the fix."""
    repo = Repo(top, start={"src/pkg/a.py": BRANCHED, "tests/test_old.py": "def test_old():\n    pass\n"})
    repo.branch("release/1.0")
    repo.commit("chore: version 1.0", {"VERSION": "1.0\n"})
    repo.branch("release/1.1", "main")
    repo.commit("chore: version 1.1", {"VERSION": "1.1\n"})
    repo.switch("main")
    fix = repo.commit(
        "fix: f was one too low",
        {
            "src/pkg/a.py": "def f(x):\n    return x\n",
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f(1) == 1\n",
        },
    )
    repo.switch("release/1.1")
    repo.git("cherry-pick", "-x", fix)
    repo.switch("main")
    return repo


def test_a_branch_is_shown_to_hold_the_bug_by_running_the_guard_there(tmp_path: Path) -> None:
    """BUG109 is a warning here; the branch that has the fix is not named."""
    repo = branched(tmp_path / "p")
    before = state_of(repo)
    said = bugsle(repo, "what-else", "HEAD")
    (lead,) = leads(said, "branch")
    assert (lead["branch"], lead["proven"], lead["confidence"]) == ("release/1.0", True, 1.0)
    assert "git" in lead["command"]
    assert said.rules() == ["BUG109"]
    assert (said.report["findings"][0]["level"], said.code) == ("warning", 0)
    assert state_of(repo) == before


def test_a_branch_is_only_suspected_where_nothing_may_run(tmp_path: Path) -> None:
    """The old code still stands there: a hint, with a confidence, and no finding."""
    said = bugsle(branched(tmp_path / "p"), "what-else", "--no-run", "HEAD")
    (lead,) = leads(said, "branch")
    assert (lead["branch"], lead["proven"]) == ("release/1.0", None)
    assert lead["confidence"] < 1
    assert (said.rules(), said.report["timings"]["runs"]) == ([], 0)


def test_which_branches_are_maintained_is_a_setting(tmp_path: Path) -> None:
    """None of these: nothing runs."""
    repo = branched(tmp_path / "p")
    repo.write({"bugsle.toml": 'branches = ["lts-*"]\n'})
    said = bugsle(repo, "what-else", "HEAD")
    assert (leads(said, "branch"), said.report["timings"]["runs"]) == ([], 0)


def test_unguarded_edits_are_open_ends_of_the_fix(tmp_path: Path) -> None:
    """`--edits` proves edit by edit, and the list begins with what no test notices."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "def f():\n    x = 1\n    return 0\n"})
    repo.commit(
        "fix: the answer",
        {
            "src/pkg/a.py": "def f():\n    x = 2\n    return 1\n",
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f() == 1\n",
        },
    )
    said = bugsle(repo, "what-else", "--edits", "HEAD")
    (lead,) = leads(said, "edit")
    assert (lead["path"], lead["line"], lead["code"]) == ("src/pkg/a.py", 2, "x = 2")
    assert said.rules() == ["BUG105"]


def test_the_policy_may_make_a_likely_copy_an_error(tmp_path: Path) -> None:
    """Then the command fails, as any gate does."""
    repo = planted(tmp_path / "p")
    repo.write({"bugsle.toml": '[rules]\nBUG108 = "error"\n'})
    assert bugsle(repo, "what-else", "HEAD").code == 1
    repo.write({"bugsle.toml": '[rules]\nBUG108 = "off"\n'})
    said = bugsle(repo, "what-else", "HEAD")
    assert (said.code, said.rules()) == (0, [])


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("nowhere",), 2, "names no commit"),
        (("A..B", "HEAD"), 2, "either one range or some commits"),
        (("HEAD", "--python", "/nowhere/python", "--edits"), 2, "/nowhere/python"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    tmp_path: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    """Wrong usage is exit code 2, with what to type instead."""
    repo = Repo(tmp_path / "p")
    found = bugsle(repo, "what-else", *args)
    assert found.code == code, found.all
    assert said in found.err


def test_an_empty_repository_is_undecided(tmp_path: Path) -> None:
    """There is nothing to look at yet."""
    repo = Repo(tmp_path / "p")
    repo.git("update-ref", "-d", "HEAD")
    found = bugsle(repo, "what-else")
    assert found.code == 3, found.all


def test_files_that_nothing_can_read_cost_no_answer(tmp_path: Path) -> None:
    """Python 2, binary, a notebook, a megabyte of one line, no UTF-8: they are passed over."""
    repo = planted(tmp_path / "p")
    repo.git("reset", "-q", "--soft", "HEAD~1")
    repo.commit(
        "fix: names of 80 letters are too long (#7)",
        {
            "src/pkg/old.py": 'print "x"\nexec "y"\n',
            "src/pkg/blob.py": b"\x00\x01\xff" * 1000,
            "src/pkg/note.ipynb": '{"cells": []}\n',
            "src/pkg/long.py": "X = [" + "1, " * 400_000 + "]\n",
            "src/pkg/latin.py": b"# -*- coding: latin-1 -*-\nNAME = '\xe9'\n",
        },
    )
    said = bugsle(repo, "what-else", "HEAD")
    assert said.code == 0, said.all
    assert set(copies(">")) <= {lead["path"] for lead in leads(said, "clone")}


def test_an_unrelated_branch_is_no_branch_of_this_history(tmp_path: Path) -> None:
    """An orphan that happens to be called a release is passed over, or said to be unclear; nothing breaks."""
    repo = branched(tmp_path / "p")
    repo.git("checkout", "-q", "--orphan", "release/0.1")
    repo.commit("chore: another world", {"src/pkg/a.py": None, "other.txt": "x\n"})
    repo.switch("main")
    said = bugsle(repo, "what-else", "HEAD")
    assert [lead["branch"] for lead in leads(said, "branch") if lead["proven"]] == ["release/1.0"]
