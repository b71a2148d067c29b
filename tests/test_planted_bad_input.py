"""Fixes, files, branches and repositories that nobody would make on purpose, and the lists made of them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from repositories import RIGHT, WRONG, Repo, Said, bugsle, guard, state_of

_GITLINK = "160000,{},vendor/sub"


def edits(said: Said) -> dict[tuple[str, int], bool | None]:
    """Give what each edit of the one fix showed, by its place."""
    (fix,) = said.report["fixes"]
    return {(edit["path"].rpartition("/")[2], edit["line"]): edit["guarded"] for edit in fix["edits"]}


def leads(said: Said) -> list[dict[str, Any]]:
    """Give the list of the one fix."""
    (fix,) = said.report["fixes"]
    found: list[dict[str, Any]] = fix["what_else"]
    return found


def _fixed(top: Path) -> Repo:
    repo = Repo(top, start={"src/pkg/a.py": WRONG})
    repo.git("branch", "release/1")
    repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    return repo


@pytest.mark.slow
def test_files_in_odd_encodings_are_put_back_edit_by_edit(tmp_path: Path) -> None:
    """CRLF with tabs, a byte order mark, Latin-1, a form feed and data: each edit alone, each file as it was."""
    top = tmp_path / "p"
    old = {
        "src/pkg/crlf.py": b"def f(x):\r\n\tif x:\r\n\t\treturn 1\r\n\treturn 0\r\n",
        "src/pkg/bom.py": b"\xef\xbb\xbfdef f(x):\n    return x\n",
        "src/pkg/latin.py": b'# -*- coding: latin-1 -*-\ndef f(x):\n    return "\xe9" + x\n',
        "src/pkg/feed.py": b'\x0cdef f(x):\n    a = "\xc2\x85"; return a + x\n',
        "src/pkg/data.bin": b"\0\1",
    }
    new = {
        "src/pkg/crlf.py": b"def f(x):\r\n\tif x > 1:\r\n\t\treturn 2\r\n\treturn 0\r\n",
        "src/pkg/bom.py": b"\xef\xbb\xbfdef f(x):\n    return x + 1\n",
        "src/pkg/latin.py": b'# -*- coding: latin-1 -*-\ndef f(x):\n    return "\xe8" + x\n',
        "src/pkg/feed.py": b'\x0cdef f(x):\n    a = "\xc2\x85"; return x + a\n',
        "src/pkg/data.bin": b"\0\2",
    }
    tests = """
        from pathlib import Path

        from pkg import bom, crlf, feed, latin

        def test_crlf():
            assert (crlf.f(1), crlf.f(2)) == (0, 2)

        def test_bom():
            assert bom.f(1) == 2

        def test_latin():
            assert latin.f("a") == "\\xe8a"

        def test_feed():
            assert feed.f("a") == "a\\x85"

        def test_data():
            assert Path(bom.__file__).with_name("data.bin").read_bytes() == b"\\0\\2"
    """
    repo = Repo(top, start=old)
    repo.commit("fix: all of them", {**new, "tests/test_all.py": tests})
    before = state_of(repo)
    said = bugsle(repo, "prove", "--edits", "HEAD")
    places = [("bom.py", 2), ("crlf.py", 2), ("crlf.py", 3), ("data.bin", 1), ("feed.py", 2), ("latin.py", 3)]
    assert edits(said) == dict.fromkeys(places, True)
    assert state_of(repo) == before


@pytest.mark.slow
def test_links_a_submodule_and_a_mode_are_looked_at(tmp_path: Path) -> None:
    """A link that points elsewhere and a file that may run now are edits as a whole; the submodule stays."""
    repo = Repo(
        tmp_path / "p",
        start={
            "src/pkg/a.py": WRONG,
            "src/pkg/b.py": RIGHT,
            "src/pkg/c.py": WRONG,
            "src/pkg/run.sh": "#!/bin/sh\necho 1\n",
        },
    )
    link = repo.top / "src/pkg/link.py"
    link.symlink_to("c.py")
    repo.git("update-index", "--add", "--cacheinfo", _GITLINK.format("1" * 40))
    repo.commit("chore: links")
    link.unlink()
    link.symlink_to("b.py")
    (repo.top / "src/pkg/run.sh").chmod(0o755)
    repo.write(
        {
            "src/pkg/a.py": RIGHT,
            "tests/test_a.py": """
                import subprocess
                from pathlib import Path

                from pkg import a, link

                def test_a():
                    assert a.answer() == 1

                def test_link():
                    assert link.answer() == 1

                def test_run():
                    assert subprocess.check_output([Path(a.__file__).with_name("run.sh")]) == b"1\\n"
            """,
        }
    )
    repo.git("add", "-A")
    repo.git("update-index", "--add", "--cacheinfo", _GITLINK.format("2" * 40))
    repo.git("commit", "-q", "-m", "fix: links")
    said = bugsle(repo, "what-else", "--edits", "HEAD")
    found = edits(said)
    assert (found["link.py", 1], found["run.sh", 1]) == (True, True)
    assert found["a.py", 2] is True
    assert "Traceback" not in said.all


@pytest.mark.slow
def test_what_cannot_be_parsed_is_an_edit_by_lines(tmp_path: Path) -> None:
    """Python 2, a half-written module and a notebook stand in the fix: no test notices them, and nothing breaks."""
    repo = Repo(
        tmp_path / "p",
        start={
            "src/pkg/a.py": WRONG,
            "src/pkg/old.py": "def f(x):\n    print 'a'\n    return x\n",
            "src/pkg/note.ipynb": '{"cells": [{"source": ["x = 1"]}]}\n',
        },
    )
    repo.git("branch", "release/1")
    repo.commit(
        "fix: old",
        {
            "src/pkg/a.py": RIGHT,
            "src/pkg/old.py": "def f(x):\n    print 'a'\n    return x + 1\n",
            "src/pkg/note.ipynb": '{"cells": [{"source": ["x = 2"]}]}\n',
            "src/pkg/half.py": "def (:\n",
            "tests/test_a.py": guard("a"),
        },
    )
    said = bugsle(repo, "what-else", "--edits", "HEAD")
    assert edits(said) == {
        ("a.py", 2): True,
        ("half.py", 1): False,
        ("note.ipynb", 1): False,
        ("old.py", 3): False,
    }
    assert [lead["proven"] for lead in leads(said) if lead["kind"] == "branch"] == [True]


@pytest.mark.parametrize(
    "name",
    ["--x", ";id", "$(touch${IFS}pwned)", "`id`", "a'b", '"q', "ü\u202e", "l" * 200],
    ids=["option", "semicolon", "dollar", "backtick", "quote", "quotes", "turned", "long"],
)
def test_the_command_for_a_branch_does_what_it_says(tmp_path: Path, name: str) -> None:
    """Whatever the branch is called, the printed command picks the fix there, and runs nothing else."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": WRONG})
    repo.git("update-ref", f"refs/heads/release/{name}", repo.sha())
    repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    said = bugsle(repo, "what-else", "--no-run", "HEAD")
    (lead,) = [lead for lead in leads(said) if lead["kind"] == "branch"]
    assert "\u202e" not in said.out
    switch, _, pick = lead["command"].partition(" && ")
    assert shlex.split(pick) == ["git", "cherry-pick", "-x", repo.sha()[:12]]
    subprocess.run(["/bin/sh", "-c", switch], cwd=repo.top, check=True, capture_output=True)
    assert repo.sha() == repo.start
    assert not (repo.top / "pwned").exists()


def test_a_subject_full_of_escapes_reaches_no_terminal(tmp_path: Path) -> None:
    """Escapes, a bell, a workflow command and bytes that are no text are shown, not sent."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": WRONG})
    repo.git("branch", "release/1")
    repo.commit(
        b"fix: a \x1b[31mred\x07 ::error file=x::boo \xff \xe2\x80\xae",
        {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")},
    )
    said = bugsle(repo, "what-else", "--no-run", "HEAD", GITHUB_ACTIONS="true")
    assert not {"\x1b", "\x07", "\u202e"} & {*said.out}
    assert not [line for line in said.out.splitlines() if line.startswith("::")]


@pytest.mark.parametrize("kind", ["orphan", "lacks"])
def test_a_branch_without_the_code_is_not_named(tmp_path: Path, kind: str) -> None:
    """A branch of another history, and one cut before the module came, have no bug to tell of."""
    repo = Repo(tmp_path / "p")
    if kind == "orphan":
        repo.git("checkout", "-q", "--orphan", "release/1")
        repo.commit("chore: other", {"src/pkg/a.py": WRONG})
        repo.switch("main")
    else:
        repo.git("branch", "release/1")
    repo.commit("feat: a", {"src/pkg/a.py": WRONG})
    repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    said = bugsle(repo, "what-else", "HEAD")
    assert (leads(said), said.rules(), said.code) == ([], [], 0)


def test_a_grafted_fix_is_looked_at_as_git_shows_it(tmp_path: Path) -> None:
    """A parent replaced by an earlier one, by `git replace`: the fix and the branches that lack it are the same."""
    repo = _fixed(tmp_path / "p")
    repo.commit("chore: more", {"more.txt": "1"})
    fix = repo.change("fix: a again", "src/pkg/a.py", "return 1", "return 2 - 1")
    plain = leads(bugsle(repo, "what-else", "--no-run", "HEAD"))
    assert [lead["kind"] for lead in plain] == []
    repo.git("replace", "--graft", fix, repo.start)
    found = leads(bugsle(repo, "what-else", "--no-run", "HEAD"))
    assert [lead["branch"] for lead in found if lead["kind"] == "branch"] == ["release/1"]


def test_a_shallow_clone_says_what_it_lacks(tmp_path: Path) -> None:
    """Without the fix's parent nothing is judged; with it the branches are."""
    repo = _fixed(tmp_path / "p")
    for depth, code in ((1, 3), (2, 0)):
        clone = tmp_path / f"clone{depth}"
        repo.git("clone", "-q", "--no-single-branch", f"--depth={depth}", f"file://{repo.top}", str(clone))
        said = bugsle(clone, "what-else", "--no-run", "HEAD")
        assert said.code == code
        assert ("shallow" in said.out) == (depth == 1)
        if depth == 2:
            assert [lead["branch"] for lead in leads(said)] == ["origin/release/1"]


@pytest.mark.slow
def test_a_bare_repository_is_judged(tmp_path: Path) -> None:
    """There is no work tree: the list and the edits are those of the commit."""
    repo = _fixed(tmp_path / "p")
    bare = tmp_path / "bare"
    repo.git("clone", "-q", "--bare", str(repo.top), str(bare))
    said = bugsle(bare, "what-else", "--edits", "HEAD")
    assert edits(said) == {("a.py", 2): True}
    assert [(lead["branch"], lead["proven"]) for lead in leads(said)] == [("release/1", True)]


@pytest.mark.slow
def test_edits_of_all_sorts_are_noticed_and_told_alike_twice(tmp_path: Path) -> None:
    """Decorators, class bodies, async, match, f-strings, defaults, walrus, try and with: each by its own test."""
    old = """
        import contextlib

        def deco(k):
            def wrap(f):
                f.k = k
                return f
            return wrap

        @deco(1)
        def d(): return 0

        class C:
            limit = 5
            names = ["a", "b"]
            async def go(self): return 1
            @property
            def x(self): return 1

        def m(v):
            match v:
                case [a, b]: return a
                case {"k": k}: return 0

        def fs(v): return f"{v:>4}"
        lam = lambda a, b=2: a + b

        def wal(xs):
            if (n := len(xs)) > 3: return n
            return 0

        def outer():
            def inner(q=1):
                return q
            return inner()

        def t(x):
            return int(x)

        @contextlib.contextmanager
        def cm(log):
            yield
            log.append(1)

        def wi(log):
            log.append(0)
    """
    new = old
    for was, now in {
        "@deco(1)": "@deco(2)",
        "limit = 5": "limit = 6",
        '["a", "b"]': '["a", "b", "c"]',
        "go(self): return 1": "go(self): return 2",
        "x(self): return 1": "x(self): return 3",
        "return a\n": "return b\n",
        'case {"k": k}: return 0': 'case {"k": k} if k: return k\n                case {"k": k}: return 0',
        ":>4": ":<4",
        "b=2": "b=3",
        "> 3": "> 2",
        "q=1": "q=2",
        "            return int(x)": (
            "            try:\n                return int(x)\n            except ValueError:\n                return 0"
        ),
        "            log.append(0)": "            with cm(log):\n                log.append(0)",
    }.items():
        assert new.count(was) == 1, was
        new = new.replace(was, now)
    tests = """
        import unittest

        import pytest

        from pkg import a

        class TestC(unittest.TestCase):
            def test_limit(self): self.assertEqual(a.C.limit, 6)
            def test_names(self): self.assertIn("c", a.C.names)
            def test_x(self): self.assertEqual(a.C().x, 3)

        class TestGo(unittest.IsolatedAsyncioTestCase):
            async def test_go(self): self.assertEqual(await a.C().go(), 2)

        @pytest.mark.parametrize("v, w", [([1, 2], 2), ({"k": 3}, 3)])
        def test_m(v, w): assert a.m(v) == w

        def test_d(): assert a.d.k == 2
        def test_fs(): assert a.fs(1) == "1   "
        def test_lam(): assert a.lam(1) == 4
        def test_wal(): assert a.wal([1, 2, 3]) == 3
        def test_outer(): assert a.outer() == 2
        def test_t(): assert a.t("x") == 0

        def test_wi():
            log = []
            a.wi(log)
            assert log == [0, 1]
    """
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": old})
    repo.commit("fix: much", {"src/pkg/a.py": new, "tests/test_a.py": tests})
    first = bugsle(repo, "prove", "--edits", "HEAD")
    (fix,) = first.report["fixes"]
    assert len(fix["edits"]) == 13
    assert [edit["code"] for edit in fix["edits"] if edit["guarded"] is not True] == []
    assert {len(edit["by"]) for edit in fix["edits"]} == {1}
    second = bugsle(repo, "prove", "--edits", "HEAD")
    assert second.report["timings"]["runs"] == 0
    assert {**second.report, "timings": 0} == {**first.report, "timings": 0}


@pytest.mark.slow
def test_a_large_generated_module_costs_seconds(tmp_path: Path) -> None:
    """One line of five megabytes of Python changes: it is found, put back and searched."""
    body = "".join(
        f"def f{i}(x, y):\n    if x > y:\n        return x + {i}\n    return y\n\n" for i in range(60_000)
    )
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": WRONG, "src/pkg/big.py": body.encode()})
    repo.commit(
        "fix: big",
        {
            "src/pkg/a.py": RIGHT,
            "src/pkg/big.py": body.replace("x + 500\n", "x + 501\n").encode(),
            "tests/test_a.py": guard("a"),
        },
    )
    said = bugsle(repo, "what-else", "--edits", "HEAD")
    assert edits(said) == {("a.py", 2): True, ("big.py", 5 * 500 + 3): False}
