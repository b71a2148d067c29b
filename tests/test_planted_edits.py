"""Fixes that are held as a whole, and edits of them that no test notices, planted in real repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from repositories import Repo, Said, bugsle, run_pytest, state_of

from pytest_bugsle.code.editing.edits import edits_of
from pytest_bugsle.regression.edit_proof import Shown
from pytest_bugsle.regression.edit_proving import Judged, decode_judged, encode

SETS = {
    "src/pkg/sets.py": """
        def covers(left, right):
            if len(left) < len(right):
                return False
            if isinstance(right, list):
                return set(left).issupserset(right)
            return left.issupserset(right)
    """,
    "tests/test_old.py": """
        from pkg.sets import covers

        def test_smaller():
            assert not covers({1}, {1, 2})
    """,
}


def proven(repo: Repo, *args: str) -> Said:
    """Prove the last commit edit by edit; the guards of the whole fix are known already, so that runs count."""
    first = bugsle(repo, "prove", "--no-edits", "HEAD", *args)
    assert first.report["fixes"][0]["status"] == "proven", first.all
    assert first.report["fixes"][0]["edits"] == []
    return bugsle(repo, "prove", "--edits", "HEAD", *args)


def edits(said: Said) -> list[dict[str, Any]]:
    """Give the edits of the one fix."""
    (fix,) = said.report["fixes"]
    found: list[dict[str, Any]] = fix["edits"]
    return found


def verdicts(said: Said) -> dict[str, bool | None]:
    """Give what each edit showed, by its code (or, where it only took code out, by what that was)."""
    return {(edit["code"] or edit["was"]).partition("\n")[0]: edit["guarded"] for edit in edits(said)}


def groups(said: Said) -> int:
    """Count the groups of edits."""
    return len({edit["group"] for edit in edits(said)} - {None})


def is_thrifty(said: Said) -> bool:
    """Say whether no more ran than the edits, the groups and two more."""
    runs: int = said.report["timings"]["runs"]
    return 0 < runs <= len(edits(said)) + groups(said) + 2


def test_a_typo_mended_in_two_branches_with_a_test_for_one(tmp_path: Path) -> None:
    """The branch that no test reaches is named with its place, its code, and the tests nearest to it."""
    repo = Repo(tmp_path / "p", start=SETS)
    text = repo.read("src/pkg/sets.py").replace("issupserset", "issuperset")
    repo.commit(
        "fix: covers() raised AttributeError",
        {
            "src/pkg/sets.py": text.encode(),
            "tests/test_covers.py": """
                from pkg.sets import covers

                def test_covers():
                    assert covers({1, 2}, {1})
            """,
        },
    )
    before = state_of(repo)
    said = proven(repo)
    assert verdicts(said) == {
        "return set(left).issuperset(right)": False,
        "return left.issuperset(right)": True,
    }
    lost, held = edits(said)
    assert (lost["path"], lost["line"], lost["lines"]) == ("src/pkg/sets.py", 5, [5])
    assert lost["was"] == "return set(left).issupserset(right)"
    assert (lost["by"], lost["near"]) == ([], ["tests/test_covers.py::test_covers"])
    assert held["by"] == ["tests/test_covers.py::test_covers"]
    assert is_thrifty(said)
    assert said.rules() == ["BUG105"]
    (finding,) = said.report["findings"]
    assert (finding["level"], finding["path"], finding["line"]) == ("warning", "src/pkg/sets.py", 5)
    assert "return set(left).issuperset(right)" in finding["message"]
    assert "test_covers" in finding["help"]
    assert "1 of 2 edits noticed when put back alone, 1 not" in said.out
    assert said.code == 0, "a warning blocks nothing"
    assert state_of(repo) == before


def test_an_edit_that_the_fix_did_not_need_is_told(tmp_path: Path) -> None:
    """A test runs it, and does not notice when it is put back."""
    repo = Repo(
        tmp_path / "p",
        start={
            "src/pkg/money.py": """
                def total(prices):
                    result = 0
                    for price in prices[1:]:
                        result = result + price
                    return result
            """
        },
    )
    text = repo.read("src/pkg/money.py")
    text = text.replace("prices[1:]", "prices").replace("result = result + price", "result += price")
    repo.commit(
        "fix: the first price was left out",
        {
            "src/pkg/money.py": text.encode(),
            "tests/test_money.py": """
                from pkg.money import total

                def test_total():
                    assert total([1, 2]) == 3
            """,
        },
    )
    said = proven(repo)
    found = {edit["line"]: edit["guarded"] for edit in edits(said)}
    assert found == {3: True, 4: False}
    assert is_thrifty(said)
    assert edits(said)[1]["near"] == ["tests/test_money.py::test_total"]


def test_two_edits_that_only_work_together_are_judged_as_one(tmp_path: Path) -> None:
    """A parameter and the call that gives it: neither stands alone, and both are held."""
    repo = Repo(
        tmp_path / "p",
        start={
            "src/pkg/split.py": """
                def parts(text):
                    return text.split(",")

                def words(text):
                    return [part.strip() for part in parts(text)]
            """
        },
    )
    repo.commit(
        "fix: empty words",
        {
            "src/pkg/split.py": """
                def parts(text, drop):
                    return [p for p in text.split(",") if p or not drop]

                def words(text):
                    return [part.strip() for part in parts(text, drop=True)]
            """,
            "tests/test_split.py": """
                from pkg.split import words

                def test_words():
                    assert words("a,,b") == ["a", "b"]
            """,
        },
    )
    said = proven(repo)
    assert {edit["guarded"] for edit in edits(said)} == {True}
    assert groups(said) == 1
    together = [edit["line"] for edit in edits(said) if edit["group"] == 1]
    assert {1, 5} <= set(together)
    assert said.rules() == []
    assert is_thrifty(said)


def test_an_added_import_is_judged_with_its_use(tmp_path: Path) -> None:
    """Without its import the use only raises NameError, which shows nothing of the bug."""
    repo = Repo(tmp_path / "p", start={"src/pkg/clean.py": "def clean(name):\n    return name\n"})
    repo.commit(
        "fix: control characters in names",
        {
            "src/pkg/clean.py": """
                import re
                import textwrap

                def clean(name):
                    return re.sub(r"[\\x00-\\x1f]", "", name)

                def short(name):
                    return textwrap.shorten(name, 10)
            """,
            "tests/test_clean.py": """
                from pkg.clean import clean

                def test_clean():
                    assert clean("a\\x01b") == "ab"
            """,
        },
    )
    said = proven(repo)
    assert verdicts(said) == {
        "import re": True,
        "import textwrap": False,
        'return re.sub(r"[\\x00-\\x1f]", "", name)': True,
        "def short(name):": False,
    }
    grouped = {edit["code"].partition("\n")[0] for edit in edits(said) if edit["group"] is not None}
    assert grouped >= {"import re", 'return re.sub(r"[\\x00-\\x1f]", "", name)'}
    assert is_thrifty(said)


def test_a_new_name_that_only_its_test_misses_is_undecided(tmp_path: Path) -> None:
    """The guard of the bug is one thing, a test of a new helper another: the helper's reversal shows nothing."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "def half(n):\n    return n // 2 + 1\n"})
    repo.commit(
        "fix: half was one too much",
        {
            "src/pkg/a.py": "LIMIT = 5\n\n\ndef half(n):\n    return n // 2\n",
            "tests/test_a.py": """
                from pkg import a

                def test_half():
                    assert a.half(4) == 2
                    assert a.half(a.LIMIT) == 2
            """,
        },
    )
    said = proven(repo)
    found = {edit["code"].partition("\n")[0]: edit for edit in edits(said)}
    assert found["return n // 2"]["guarded"] is True
    assert found["LIMIT = 5"]["guarded"] is None
    assert "LIMIT is missing" in found["LIMIT = 5"]["why"]
    assert said.rules() == [], "undecided is no finding of an edit"


def test_a_test_that_is_no_guard_may_notice_an_edit(tmp_path: Path) -> None:
    """An old test of a touched file fails with one half of a rewriting put back: somebody does notice."""
    old_test = """
        from pkg import a

        def test_total():
            assert a.total(7) == 7
    """
    start = {
        "src/pkg/a.py": """
            def low(n):
                return n < 0

            def pair(n):
                return (n, 0)

            def total(n):
                return pair(n)[0]
        """,
        "tests/test_a.py": old_test,
    }
    repo = Repo(tmp_path / "p", start=start)
    text = repo.read("src/pkg/a.py").replace("n < 0", "n <= 0").replace("(n, 0)", "(0, n)")
    repo.commit(
        "fix: zero is low",
        {
            "src/pkg/a.py": text.replace("[0]", "[1]").encode(),
            "tests/test_a.py": f"{old_test}\n        def test_low():\n            assert a.low(0)\n",
        },
    )
    said = proven(repo)
    found = {edit["code"]: edit["by"] for edit in edits(said) if edit["guarded"]}
    assert found.pop("return n <= 0") == ["tests/test_a.py::test_low"]
    assert len(found) >= 2
    assert set(map(tuple, found.values())) == {("tests/test_a.py::test_total",)}


def test_comments_docstrings_annotations_and_formatting_are_no_edits(tmp_path: Path) -> None:
    """Only what runs can be put back."""
    start = {
        "src/pkg/a.py": "def f(n):\n    return n + 2\n\n\ndef g(x): return x\n",
        "src/pkg/b.py": "B = 1\n",
    }
    repo = Repo(tmp_path / "p", start=start)
    repo.commit(
        "fix: one too much",
        {
            "src/pkg/a.py": '''
                """Numbers."""

                def f(n: int) -> int:
                    """Add one."""
                    # one, not two
                    return n + 1


                def g(x):
                    return x
            ''',
            "src/pkg/b.py": "# the first one\nB: int = 1\n",
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f(1) == 2\n",
        },
    )
    assert verdicts(proven(repo)) == {"return n + 1": True}


@pytest.mark.slow
def test_an_edit_that_hangs_when_it_is_put_back_is_undecided(tmp_path: Path) -> None:
    """The other edits are judged all the same."""
    repo = Repo(
        tmp_path / "p",
        start={
            "pyproject.toml": """
                [tool.pytest.ini_options]
                testpaths = ["tests"]
                pythonpath = ["src"]
                [tool.bugsle]
                timeout = 2
            """,
            "src/pkg/a.py": """
                def count(n):
                    found = 1
                    while n > 0:
                        found += 1
                        n = n - 1
                    return found
            """,
        },
    )
    repo.commit(
        "fix: counts were one too high",
        {
            "src/pkg/a.py": """
                def count(n):
                    found = 0
                    while n > 0:
                        found += 1
                        step = 1
                        n = n - step
                    return found
            """,
            "tests/test_a.py": "from pkg.a import count\n\n\ndef test_count():\n    assert count(3) == 3\n",
        },
    )
    repo.change("chore: after it", "pyproject.toml", "timeout = 2", "timeout = 3")
    said = bugsle(repo, "prove", "--edits", "HEAD~1")
    found = {edit["code"]: edit["guarded"] for edit in edits(said)}
    assert found["found = 0"] is True


@pytest.mark.parametrize("kind", ["added", "deleted", "renamed", "data"])
def test_files_that_come_go_and_move_are_edits_too(tmp_path: Path, kind: str) -> None:
    """A file is put back as a whole where it has no statements to tell apart."""
    start: dict[str, str | bytes | None] = {
        "src/pkg/a.py": "from pkg.b import ONE\n\n\ndef f():\n    return ONE + 1\n",
        "src/pkg/b.py": "ONE = 1\n",
        "src/pkg/table.txt": "wrong\n",
        "src/pkg/shadow.py": "",
    }
    repo = Repo(tmp_path / "p", start=start)
    right = "from pkg.b import ONE\n\n\ndef f():\n    return ONE\n"
    changes: dict[str, dict[str, str | bytes | None]] = {
        "added": {"src/pkg/c.py": "def g():\n    return 2\n", "src/pkg/a.py": right},
        "deleted": {"src/pkg/shadow.py": None, "src/pkg/a.py": right},
        "renamed": {
            "src/pkg/b.py": None,
            "src/pkg/numbers_.py": "ONE = 1\n",
            "src/pkg/a.py": right.replace("pkg.b", "pkg.numbers_"),
        },
        "data": {"src/pkg/table.txt": "right\n", "src/pkg/a.py": right},
    }
    repo.commit(
        "fix: f() was one too much",
        {**changes[kind], "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f() == 1\n"},
    )
    said = proven(repo)
    found = {(edit["path"], edit["code"].partition("\n")[0]): edit["guarded"] for edit in edits(said)}
    assert found[("src/pkg/a.py", "return ONE")] is True
    other = {path: guarded for (path, _), guarded in found.items() if path != "src/pkg/a.py"}
    expected = {
        "added": {"src/pkg/c.py": False},
        "deleted": {"src/pkg/shadow.py": False},
        "renamed": {"src/pkg/numbers_.py": True},
        "data": {"src/pkg/table.txt": False},
    }
    if kind == "renamed":  # put back together with the import that needs it, nothing is lost but the fix
        assert set(other) == {"src/pkg/numbers_.py"}
    else:
        assert other == expected[kind]
    assert is_thrifty(said)


def many(count: int, value: int) -> str:
    """Give a module of many functions."""
    return "\n\n".join(f"def f{n}():\n    return {n + value}\n" for n in range(count))


@pytest.mark.slow
def test_what_did_not_fit_into_the_budget_is_listed_as_not_judged_and_goes_on_next_time(
    tmp_path: Path,
) -> None:
    """A kept judgement is not asked again; nothing that was cut off is called guarded or not."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": many(12, 1)})
    tests = "from pkg import a\n" + "\n\n".join(
        f"def test_{n}():\n    assert a.f{n}() == {n}\n" for n in range(12)
    )
    repo.commit("fix: all were one too high", {"src/pkg/a.py": many(12, 0), "tests/test_a.py": tests})
    bugsle(repo, "prove", "--no-edits", "HEAD")
    said = bugsle(repo, "prove", "--edits", "--budget", "4", "HEAD")
    cut = [edit for edit in edits(said) if edit["guarded"] is None]
    assert all("budget" in edit["why"] for edit in cut)
    again = bugsle(repo, "prove", "--edits", "HEAD")
    assert len(edits(again)) == 12
    assert all(edit["guarded"] for edit in edits(again))
    assert again.report["timings"]["runs"] <= len(cut) + 2
    third = bugsle(repo, "prove", "--edits", "HEAD")
    assert third.report["timings"]["runs"] == 0
    assert edits(third) == edits(again)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "args", "asked"),
    [
        ({}, (), False),
        ({"CI": "true"}, (), True),
        ({"CI": "true"}, ("--bugsle-proof", "fix"), False),
        ({}, ("--bugsle-proof", "edits"), True),
        ({"BUGSLE_PROOF": "edits"}, (), True),
    ],
)
def test_edits_are_put_back_by_default_where_nobody_waits(
    tmp_path: Path, environ: dict[str, str], args: tuple[str, ...], asked: bool
) -> None:
    """In CI the proof goes edit by edit, at the desk as a whole, and a setting goes before both."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "def f():\n    return 0\n"})
    repo.commit(
        "fix: the answer",
        {
            "src/pkg/a.py": "def f():\n    return 1\n",
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f() == 1\n",
        },
    )
    said = run_pytest(repo, "--bugsle-range", "HEAD~1..HEAD", *args, **environ)
    assert said.fix("fix: the answer")["status"] == "proven", said.all
    assert bool(edits(said)) is asked


def test_a_waiver_lifts_the_finding_and_not_the_evidence(tmp_path: Path) -> None:
    """The edits are still listed."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "def f():\n    x = 1\n    return 0\n"})
    repo.commit(
        "fix: the answer\n\nBugsle-Waive: BUG105 the second edit only tidies up\n",
        {
            "src/pkg/a.py": "def f():\n    x = 2\n    return 1\n",
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f() == 1\n",
        },
    )
    said = proven(repo)
    assert verdicts(said) == {"x = 2": False, "return 1": True}
    assert said.rules() == []
    assert [waiver["state"] for waiver in said.report["waivers"]] == ["used"]


HIDDEN = {
    "at import": (
        """
        def build():
            return {"a": 2}

        TABLE = build()

        def get(key):
            return TABLE[key] + 1
        """,
        {'{"a": 2}': '{"a": 1}', "TABLE[key] + 1": "TABLE[key]"},
        """
        from pkg import a

        def test_get():
            assert a.get("a") == 1
        """,
    ),
    "in a fixture": (
        """
        def kind():
            return "wrong"

        def size():
            return 0
        """,
        {'"wrong"': '"right"', "return 0": "return 1"},
        """
        import pytest
        from pkg import a

        @pytest.fixture(scope="module")
        def made():
            return a.kind()

        def test_size(made):
            assert a.size() == 1

        def test_kind(made):
            assert made == "right"
        """,
    ),
    "in another process": (
        """
        import sys

        def name():
            return "wrong"

        def size():
            return 0

        if __name__ == "__main__":
            print(name())
        """,
        {'"wrong"': '"right"', "return 0": "return 1"},
        """
        import subprocess, sys
        from pkg import a

        def test_both():
            assert a.size() == 1
            done = subprocess.run([sys.executable, "-m", "pkg.a"], capture_output=True, text=True)
            assert done.stdout.strip() == "right"
        """,
    ),
}


@pytest.mark.parametrize("where", list(HIDDEN))
def test_what_nobody_saw_a_test_run_is_tried_before_it_is_called_unguarded(
    tmp_path: Path, where: str
) -> None:
    """Code that runs at import, in a shared fixture or in a child process is nobody's by measurement."""
    wrong, mended, test = HIDDEN[where]
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": wrong})
    text = repo.read("src/pkg/a.py")
    for old, new in mended.items():
        assert old in text
        text = text.replace(old, new)
    repo.commit("fix: both halves", {"src/pkg/a.py": text.encode(), "tests/test_a.py": test})
    said = proven(repo)
    assert [edit["guarded"] for edit in edits(said)] == [True, True], said.out
    assert is_thrifty(said)


def test_a_name_that_old_code_misses_was_the_bug(tmp_path: Path) -> None:
    """The import is all of the fix: without it the code that needs it fails, as it did before."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "def f(text):\n    return re.sub('x', '', text)\n"})
    repo.commit(
        "fix: NameError in f",
        {
            "src/pkg/a.py": "import re\n\n\ndef f(text):\n    return re.sub('x', '', text)\n",
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f('ax') == 'a'\n",
        },
    )
    (edit,) = edits(proven(repo))
    assert (edit["guarded"], edit["group"], edit["by"]) == (True, None, ["tests/test_a.py::test_f"])


def test_of_several_edits_that_nobody_was_seen_to_run_the_one_that_matters_is_found(tmp_path: Path) -> None:
    """Put back together they turn the guard red, so that each has its own run."""
    wrong, mended, test = HIDDEN["in another process"]
    start = wrong.replace("def size", "def never():\n            return 2\n\n        def size")
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": start})
    text = repo.read("src/pkg/a.py").replace("return 2", "return 3")
    for old, new in mended.items():
        text = text.replace(old, new)
    repo.commit(
        "fix: both halves, and one that nothing needs",
        {"src/pkg/a.py": text.encode(), "tests/test_a.py": test},
    )
    said = proven(repo)
    assert verdicts(said) == {'return "right"': True, "return 3": False, "return 1": True}
    assert is_thrifty(said)


def test_edits_that_no_test_runs_need_no_run_of_their_own(tmp_path: Path) -> None:
    """One run with the fix, one with all of them put back, and one for the edit that a test runs."""
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": many(6, 1)})
    repo.commit(
        "fix: all were one too high",
        {
            "src/pkg/a.py": many(6, 0),
            "tests/test_a.py": "from pkg import a\n\n\ndef test_0():\n    assert a.f0() == 0\n",
        },
    )
    said = proven(repo)
    assert [edit["guarded"] for edit in edits(said)] == [True] + [False] * 5
    assert {edit["why"] for edit in edits(said)[1:]} == {"no test runs it"}
    assert said.report["timings"]["runs"] == 3


def test_a_function_that_only_moved_is_no_edit(tmp_path: Path) -> None:
    """No test need notice where in its file a function stands."""
    wrong = "def f(n):\n    return n + 2\n"
    others = ["def g(n):\n    return n\n", "def h(n):\n    return -n\n"]
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": "\n\n".join([wrong, *others])})
    right = "\n\n".join([wrong.replace("2", "1"), *reversed(others)])
    assert any(edit.moved for edit in edits_of(repo.read("src/pkg/a.py").encode(), right.encode()))
    repo.commit(
        "fix: one too much",
        {
            "src/pkg/a.py": right,
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f(1) == 2\n",
        },
    )
    assert verdicts(proven(repo)) == {"return n + 1": True}


def test_what_was_judged_is_read_again_and_not_where_it_was_judged_otherwise() -> None:
    """Kept judgements have a version; what cannot be read is not known."""
    judged = Judged(
        {
            1: Shown(True, by=("t",)),
            2: Shown(None, missing=frozenset({"x"}), unbound=frozenset({"x"}), why="no"),
        },
        {(1, 2): Shown(False, near=("t",))},
    )
    kept = encode(judged)
    assert decode_judged(kept) == judged
    for other in (b"[1" + kept[2:], kept[:-1], b"null", b"{}", None):
        assert decode_judged(other) == Judged()


def test_variables_of_the_same_name_in_two_functions_are_no_group(tmp_path: Path) -> None:
    """What holds the one must not be taken to hold the other."""
    wrong = "def {0}(k):\n    return k\n"
    right = "def {0}(k):\n    key = k.lower()\n    return key\n"
    repo = Repo(tmp_path / "p", start={"src/pkg/a.py": wrong.format("f"), "src/pkg/b.py": wrong.format("g")})
    repo.commit(
        "fix: letters of any case",
        {
            "src/pkg/a.py": right.format("f"),
            "src/pkg/b.py": right.format("g"),
            "tests/test_a.py": "from pkg.a import f\n\n\ndef test_f():\n    assert f('A') == 'a'\n",
        },
    )
    found = {(edit["path"], edit["code"]): edit["guarded"] for edit in edits(proven(repo))}
    assert {guarded for (path, _), guarded in found.items() if path == "src/pkg/a.py"} == {True}
    assert {guarded for (path, _), guarded in found.items() if path == "src/pkg/b.py"} == {False}
