"""Which functions each commit changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.history import churn
from pytest_bugsle.history.churn import changed_functions
from pytest_bugsle.history.past import MOST_CHANGES, read_past
from pytest_bugsle.store.cache import Cache

BODY = "def f(x):\n    a = 1\n    return x\n\n\ndef g(x):\n    b = 2\n    c = 3\n    return x\n"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give an empty repository."""
    return Sandbox(tmp_path / "project")


Found = dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]]


def changed(sandbox: Sandbox, cache: Cache | None = None) -> Found:
    """Give by subject and path what was altered and what was made."""
    with sandbox.open() as repo:
        past = read_past(repo, "HEAD", Cache(None))
        found = changed_functions(repo, past.commits, cache)
    return {c.subject: {x.file: (x.altered, x.made) for x in found[c.sha]} for c in past.commits}


def test_a_change_belongs_to_the_functions_in_which_its_lines_stand(sandbox: Sandbox) -> None:
    """Altered, made, gone, and outside of every function."""
    sandbox.commit({"a.py": BODY}, "start")
    sandbox.commit({"a.py": BODY.replace("b = 2", "b = 9")}, "alter")
    sandbox.commit({"a.py": BODY + "\n\ndef h():\n    pass\n"}, "make")
    sandbox.commit({"a.py": BODY}, "take away")
    sandbox.commit({"a.py": "import os\n\n\n" + BODY}, "import")
    sandbox.commit({"a.py": BODY.replace("    c = 3\n", "").replace("    return x\n", "", 1)}, "delete lines")
    sandbox.commit({"a.py": BODY.replace("def g(x)", "def g(x, y)")}, "signature")
    found = changed(sandbox)
    assert found["start"] == {"a.py": ((), ("f", "g"))}
    assert found["alter"] == {"a.py": (("g",), ())}
    assert found["make"] == {"a.py": (("g",), ("h",))}  # it also puts `b = 2` back
    assert found["take away"] == {}
    assert found["import"] == {}
    assert found["delete lines"] == {"a.py": (("f", "g"), ())}
    assert found["signature"] == {"a.py": (("f", "g"), ())}


def test_renamed_files_keep_what_they_had(sandbox: Sandbox) -> None:
    """A move alone changes no function, a move with a change that function alone."""
    sandbox.commit({"a.py": BODY}, "start")
    sandbox.git("mv", "a.py", "b c.py")
    sandbox.commit({}, "move")
    sandbox.git("mv", "b c.py", "d e.py")
    sandbox.commit({"d e.py": BODY.replace("a = 1", "a = 9")}, "move and alter")
    found = changed(sandbox)
    assert found["move"] == {}
    assert found["move and alter"] == {"d e.py": (("f",), ())}


def test_merges_tests_other_files_and_huge_commits_change_no_function(sandbox: Sandbox) -> None:
    """What pytest collects by default is left out, and so is what is no Python."""
    sandbox.commit({"test_a.py": BODY, "tests/b_test.py": BODY, "c.txt": BODY, "d.pyx": BODY}, "others")
    sandbox.commit({f"m{n}.py": BODY for n in range(MOST_CHANGES + 1)}, "huge")
    sandbox.git("switch", "-qc", "topic", "HEAD~1")
    sandbox.commit({"conftest.py": BODY}, "topic")
    sandbox.git("switch", "-q", "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    found = changed(sandbox)
    assert found["others"] == found["huge"] == found["merge"] == {}
    assert found["topic"] == {"conftest.py": ((), ("f", "g"))}


def test_lines_that_look_like_a_patch_are_text(sandbox: Sandbox) -> None:
    """Headers, hunks and commits inside a file mislead nobody."""
    trap = (
        'X = """\ndiff --git a/b.py b/b.py\nindex ' + "0" * 40 + ".." + "1" * 40 + " 100644\n"
        "++ b/evil.py\n-- a/evil.py\n@@ -1 +1,9 @@\n" + "a" * 40 + '\n"""\n'
    )
    sandbox.commit({"a.py": trap + BODY}, "start")
    sandbox.commit({"a.py": trap.replace("\n++", "\n+++") + BODY.replace("a = 1", "a = 9")}, "alter")
    sandbox.commit({"a.py": BODY.rstrip("\n"), "b.py": BODY}, "no newline at the end")
    found = changed(sandbox)
    assert found["start"] == {"a.py": ((), ("f", "g"))}
    assert found["alter"] == {"a.py": (("f",), ())}
    assert found["no newline at the end"] == {"a.py": (("f", "g"), ()), "b.py": ((), ("f", "g"))}


def test_hostile_files_are_passed_over(sandbox: Sandbox) -> None:
    """Binary, huge, links, and paths that git has to quote; bytes that are no UTF-8 come back."""
    sandbox.write({"bin.py": b"\0def f(): pass\n", "big.py": b"def f():\n" + b"    x\n" * 500_000})
    (sandbox.top / "link.py").symlink_to("/etc/passwd")
    sandbox.commit({'q"uote.py': BODY, "new\nline.py": BODY, "\udcff.py": BODY}, "start")
    assert changed(sandbox) == {"start": {"\udcff.py": ((), ("f", "g"))}}


def test_users_settings_and_attributes_change_no_answer(sandbox: Sandbox) -> None:
    """An external diff, a text conversion, other prefixes and more context are not heard."""
    sandbox.commit({"a.py": BODY, ".gitattributes": "*.py diff=mine\n"}, "start")
    sandbox.commit({"a.py": BODY.replace("a = 1", "a = 9")}, "alter")
    for key, value in {
        "diff.mine.command": "false",
        "diff.mine.textconv": "false",
        "diff.external": "false",
        "diff.noprefix": "true",
        "diff.context": "9",
        "diff.srcPrefix": "x/",
        "diff.dstPrefix": "y/",
        "color.diff": "always",
        "core.quotePath": "true",
    }.items():
        sandbox.git("config", key, value)
    assert changed(sandbox)["alter"] == {"a.py": (("f",), ())}


def test_what_was_read_is_kept(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only new commits are read; a cache that is broken, or too full, is begun anew."""
    seen: list[int] = []
    original = churn._read

    def counted(repo: object, commits: list[object]) -> object:
        seen.append(len(commits))
        return original(repo, commits)  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(churn, "_read", counted)
    cache = Cache(tmp_path / "cache.db")
    sandbox.commit({"a.py": BODY}, "start")
    sandbox.commit({"a.py": BODY.replace("a = 1", "a = 2")}, "one")
    first = changed(sandbox, cache)
    assert first == changed(sandbox, cache) == changed(sandbox)
    sandbox.commit({"a.py": BODY}, "two")
    assert changed(sandbox, cache)["two"] == {"a.py": (("f",), ())}
    assert seen == [2, 2, 1]
    cache.put("churn", "1", b"\xc1")
    assert changed(sandbox, cache)["one"] == first["one"]
    monkeypatch.setattr(churn, "_MOST_KEPT", 3)
    sandbox.commit({"a.py": BODY + "\n"}, "three")
    assert changed(sandbox, cache)["one"] == first["one"]
    assert seen == [2, 2, 1, 3, 1]
