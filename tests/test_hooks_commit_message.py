"""The commit-msg hook: what is judged, what is missing, and what a user reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_sandbox import fingerprint
from hook_runs import commit_msg, console_scripts
from repositories import RIGHT, WRONG, Repo, guard

FIX = "fix: a is wrong (#42)\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A project whose fix is in the work tree and staged, without a test."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG, "tests/test_a.py": guard("a", "0")})
    repo.write({"src/pkg/a.py": RIGHT})
    repo.git("add", "-A")
    return repo


def test_a_fix_without_a_test_is_stopped_and_told_what_to_do(repo: Repo) -> None:
    """The text says what was judged and why, what is missing, what is near, and how to go on."""
    said = commit_msg(repo, FIX)
    assert said.code == 1
    assert "BUG101 fix-without-test" in said.err
    assert "“fix: a is wrong (#42)”" in said.err and "+4 the header's type is “fix”" in said.err
    assert "changes  src/pkg/a.py" in said.err and "near     tests/test_a.py" in said.err
    assert "Regression-Test: tests/test_a.py::test_name" in said.err
    assert "Bugsle-Waive: BUG101 the reason" in said.err and "COMMIT_EDITMSG" in said.err
    assert said.out == ""


def test_a_fix_with_a_staged_test_is_silent(repo: Repo) -> None:
    """A test that is staged with the fix is linked to it."""
    repo.write({"tests/test_a.py": guard("a")})
    repo.git("add", "-A")
    said = commit_msg(repo, FIX)
    assert (said.code, said.all) == (0, "")


def test_what_is_not_staged_does_not_count(repo: Repo) -> None:
    """A test in the work tree alone is no part of the commit."""
    repo.write({"tests/test_a.py": guard("a")})
    assert commit_msg(repo, FIX).code == 1


def test_a_trailer_names_a_test_that_is_there(repo: Repo) -> None:
    """A test of an earlier commit can hold the fix; one that is not there is named."""
    assert commit_msg(repo, f"{FIX}\nRegression-Test: tests/test_a.py::test_a\n").code == 0
    said = commit_msg(repo, f"{FIX}\nRegression-Test: tests/test_a.py::test_b\n")
    assert said.code == 1 and "tests/test_a.py has no test test_b" in said.err


def test_a_waiver_needs_a_reason(repo: Repo) -> None:
    """A waiver with a reason lets the commit go on; one without, or of no rule, is named and lifts nothing."""
    assert commit_msg(repo, f"{FIX}\nBugsle-Waive: BUG101 seen by eye\n").code == 0
    said = commit_msg(repo, f"{FIX}\nBugsle-Waive: BUG101\n")
    assert said.code == 1 and "gives no reason" in said.err
    said = commit_msg(repo, f"{FIX}\nBugsle-Waive: BUG110 seen\n")
    assert said.code == 1 and "no rule 'BUG110'" in said.err


def test_a_trailer_that_git_reads_as_text_is_named(repo: Repo) -> None:
    """A line that stands among other text is no trailer for git, and the user is told."""
    said = commit_msg(repo, f"{FIX}\nFixes #42\nBugsle-Waive: BUG101 seen by eye\n")
    assert said.code == 1 and "git reads “Bugsle-Waive: BUG101 seen by eye” as text" in said.err
    folded = commit_msg(repo, f"{FIX}\nBugsle-Waive: BUG101 seen\n by eye\n")
    assert (folded.code, folded.all) == (0, "")


def test_a_missing_bug_is_a_hint(repo: Repo) -> None:
    """A fix with a test that names no bug goes on."""
    repo.write({"tests/test_a.py": guard("a")})
    repo.git("add", "-A")
    said = commit_msg(repo, "fix: a is wrong\n")
    assert said.code == 0 and "hint: the message names no bug" in said.err


@pytest.mark.parametrize(
    "message",
    [
        "refactor: a\n",
        "fixup! fix: a is wrong\n",
        "squash! fix: a is wrong\n",
        "amend! fix: a is wrong\n",
        "\n",
        "# fix: a comment\n",
        "refactor: a\n# fix: a comment\n",
    ],
)
def test_what_is_no_fix_is_silent(repo: Repo, message: str) -> None:
    """Other changes, commits that belong to another one, and empty messages are not judged."""
    said = commit_msg(repo, message)
    assert (said.code, said.all) == (0, "")


@pytest.mark.parametrize(
    "message", ["handle none in a\n", 'Revert "feat: x"\n\nThis reverts commit 1234567.\n']
)
def test_a_doubt_is_said_and_blocks_nothing(repo: Repo, message: str) -> None:
    """What may be a fix goes on, with one remark, which a staged test takes away."""
    said = commit_msg(repo, message)
    assert said.code == 0 and "undecided: this may be a bug fix" in said.err
    repo.write({"tests/test_a.py": guard("a")})
    repo.git("add", "-A")
    assert "undecided" not in commit_msg(repo, message).err


def test_a_fix_of_prose_asks_for_no_test(repo: Repo) -> None:
    """A change outside of the source is out of scope."""
    repo.git("reset", "-q", "--hard")
    repo.write({"README.md": "right\n"})
    repo.git("add", "-A")
    assert commit_msg(repo, FIX).code == 0


def test_a_change_of_the_message_alone_is_silent(repo: Repo) -> None:
    """Nothing staged, nothing judged."""
    repo.git("reset", "-q", "--hard")
    assert commit_msg(repo, FIX).code == 0


def test_a_merge_is_left_to_the_push(repo: Repo) -> None:
    """What a merge brings was judged when it was made, and is when it is pushed."""
    (repo.top / ".git/MERGE_HEAD").write_text(repo.sha(), "ascii")
    assert commit_msg(repo, FIX).code == 0


def test_the_first_commit_is_judged(tmp_path: Path) -> None:
    """A repository without a commit has a staged tree as any other."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": RIGHT})
    repo.git("update-ref", "-d", "HEAD")
    assert commit_msg(repo, FIX).code == 1


@pytest.mark.parametrize(("settings", "code", "word"), [
    ('mode = "warn"', 0, "the commit goes on"),
    ('rules = { BUG101 = "warning" }', 0, "warning; the commit goes on"),
    ('rules = { BUG101 = "off" }', 0, ""),
    ('source = ["lib/**"]', 0, ""),
    ("no_fix_patterns = ['^fix: a']", 0, ""),
    ("nonsense = 1", 2, "unknown key 'nonsense'"),
])  # fmt: skip
def test_the_policy_holds_here_too(repo: Repo, settings: str, code: int, word: str) -> None:
    """Settings say what blocks; wrong ones are an error."""
    (repo.top / "bugsle.toml").write_text(f"{settings}\n", "utf-8")
    said = commit_msg(repo, FIX)
    assert said.code == code and word in said.err and (word or not said.err)


def test_nothing_of_the_users_is_touched(repo: Repo) -> None:
    """Neither the index nor an object, nor a time of one."""
    before = fingerprint(repo.top)
    assert commit_msg(repo, FIX).code == 1
    assert fingerprint(repo.top) == before


@pytest.mark.parametrize(
    "message",
    [
        b"fix: \x1b[31mred\x1b[0m \xe2\x80\xae ::error::x\n",
        b"fix: \xff\xfe bytes\n",
        b"fix: nul \x00 and more\n",
        b"fix: \r\r\n::error::x\r\n",
        b"fix: " + b"a" * 3_000_000,
        b"fix: a\n\n" + b"Regression-Test: ((((\n" * 100_000,
    ],
    ids=["escapes", "bytes", "nul", "returns", "long", "many"],
)
def test_hostile_messages_are_shown_and_not_sent(repo: Repo, message: bytes) -> None:
    """No control character reaches the terminal, no command the log, and no message is a crash."""
    said = commit_msg(repo, message)
    assert said.code == 1 and "BUG101" in said.err
    assert not any(ord(c) < 32 and c != "\n" for c in said.err) and "\u202e" not in said.err
    assert not any(line.lstrip().startswith("::") for line in said.err.splitlines())
    assert len(said.err) < 5_000


def test_a_hostile_file_name_is_shown_on_one_line(repo: Repo) -> None:
    """A staged name with a line end cannot forge a line."""
    repo.write({"src/pkg/b\n::error::x\x1b[1m.py": RIGHT})
    repo.git("add", "-A")
    said = commit_msg(repo, FIX)
    assert "\\n::error" in said.err and "\x1b" not in said.err


def test_a_message_file_that_is_not_there_is_a_usage_error(repo: Repo) -> None:
    """The error says who gives the file."""
    from hook_runs import hook

    from pytest_bugsle.hooks import entries

    said = hook(entries._commit_msg, repo, "nowhere")
    assert said.code == 2 and "the message file cannot be read" in said.err and "next:" in said.err


# --- under git itself ---------------------------------------------------------------------------------


@pytest.fixture
def hooked(repo: Repo) -> Repo:
    """The same, with the hook in place."""
    scripts = console_scripts(repo.top.parent / "bin")
    hook = repo.top / ".git/hooks/commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nexec "{scripts}/bugsle-commit-msg" "$@"\n', "utf-8")
    hook.chmod(0o755)
    return repo


def commit(repo: Repo, *args: str, **environ: str) -> bool:
    """Say whether git made the commit; a minute has passed since the last one."""
    repo._sandbox.clock += 60
    path = os.pathsep.join(str(entry) for entry in Path(__file__).parents[1:2])
    try:
        repo.git("commit", "-q", *args, PYTHONPATH=path, **environ)
    except AssertionError as error:
        if "BUG101" not in str(error):
            raise
        return False
    return True


def test_git_is_stopped_and_goes_on_with_a_test(hooked: Repo) -> None:
    """`git commit` fails without the test and works with it; `-a` commits what is not staged yet."""
    assert not commit(hooked, "-m", FIX)
    hooked.write({"tests/test_a.py": guard("a")})
    assert not commit(hooked, "-m", FIX)
    assert commit(hooked, "-a", "-m", FIX)
    assert hooked.git("status", "--short") == ""


def test_an_amended_commit_is_judged_with_all_that_it_holds(hooked: Repo) -> None:
    """A test in the commit that is amended counts, and so does a fix there without one."""
    assert commit(hooked, "-m", "change a")
    assert not commit(hooked, "--amend", "-m", "change a", "-m", "Fixes bug #42")
    hooked.write({"tests/test_a.py": guard("a")})
    assert commit(hooked, "-a", "--amend", "-m", "change a", "-m", "Fixes bug #42")
    hooked.write({"src/pkg/a.py": RIGHT + "\n\nMORE = 1\n"})
    assert commit(hooked, "-a", "--amend", "-m", "change a", "-m", "Fixes bug #42, again")


def test_a_second_commit_of_the_same_second_is_no_amendment(hooked: Repo) -> None:
    """Scripts commit twice in a second; the test of the first does not hold the second."""
    hooked.write({"tests/test_a.py": guard("a")})
    assert commit(hooked, "-a", "-m", FIX)
    hooked.write({"src/pkg/a.py": RIGHT + "\n\nMORE = 1\n"})
    hooked._sandbox.clock -= 60
    assert not commit(hooked, "-a", "-m", "fix: more (#43)")


def test_git_keeps_a_comment_without_an_editor_and_drops_it_with_one(hooked: Repo) -> None:
    """What git takes for a comment depends on whether an editor was open, which the hook is told."""
    hooked.write({"draft": "change x\n\n# this fixes bug #42\n"})
    assert not commit(hooked, "-F", "draft")
    assert commit(hooked, "-e", "-F", "draft", GIT_EDITOR="true")


def test_a_verbose_commit_ends_at_the_scissors(hooked: Repo) -> None:
    """The diff below the scissors is no part of the message."""
    hooked.write({"src/pkg/a.py": "# this fixes bug #42\n" + RIGHT, "draft": "change x\n"})
    assert commit(hooked, "-a", "-v", "-e", "-F", "draft", GIT_EDITOR="true")


def test_an_amended_commit_may_get_another_subject(repo: Repo) -> None:
    """The author's second, long over, tells an amendment; one of a merge is left to the push."""
    sha = repo.commit("change a")
    seconds = repo.git("show", "-s", "--format=%at", sha)
    amends = {
        "GIT_AUTHOR_DATE": f"@{seconds} +0000", "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
    }  # fmt: skip
    assert commit_msg(repo, FIX).code == 0
    assert commit_msg(repo, FIX, **amends).code == 1
    assert commit_msg(repo, FIX, **{**amends, "GIT_AUTHOR_NAME": "Bea"}).code == 0
    assert commit_msg(repo, FIX, **amends, GIT_COMMITTER_DATE="2001-01-01T00:00:00Z").code == 0
    repo.branch("side", "HEAD~1")
    repo.commit("change b", {"src/pkg/b.py": RIGHT})
    repo.merge("main", "Merge branch 'main'")
    seconds = repo.git("show", "-s", "--format=%at")
    assert commit_msg(repo, FIX, **{**amends, "GIT_AUTHOR_DATE": f"@{seconds} +0000"}).code == 0
