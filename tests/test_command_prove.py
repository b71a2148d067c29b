"""`bugsle prove`: the linked tests without the fix and with it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from repositories import CONFIGURATION, RIGHT, WRONG, Repo, bugsle, clean_environment, guard, guarded


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A held fix, and a change that its message does not call one."""
    repo = guarded(tmp_path_factory.mktemp("command") / "project")
    repo.commit("Change b", {"src/pkg/b.py": RIGHT, "tests/test_b.py": guard("b")})
    return repo


def test_a_named_commit_is_proven_whatever_it_is_judged_to_be(repo: Repo) -> None:
    """The user knows that it mends something."""
    said = bugsle(repo, "prove", "HEAD")
    assert (said.code, said.status("Change b")) == (0, "proven")
    assert said.fix("Change b")["judgement"] == "no"


def test_several_commits_can_be_named(repo: Repo) -> None:
    """Each is judged by itself."""
    said = bugsle(repo, "prove", "HEAD~1", "HEAD")
    assert [fix["status"] for fix in said.report["fixes"]] == ["proven", "proven"]


def test_a_clean_tree_is_judged_by_its_range(repo: Repo) -> None:
    """Without an argument, and with nothing uncommitted, the fixes of the range are proven."""
    said = bugsle(repo, "prove")
    assert said.status("fix: a") == "proven"
    assert said.status("Change b") is None


def test_a_range_and_a_commit_together_are_wrong_usage(repo: Repo) -> None:
    """A report has one range."""
    said = bugsle(repo, "prove", "main..HEAD", "HEAD")
    assert said.code == 2
    assert "either one range or some commits" in said.err


def test_what_follows_two_dashes_is_for_pytest(repo: Repo) -> None:
    """It is no commit, and reaches the inner pytest."""
    said = bugsle(repo, "prove", "HEAD", "--", "-p", "no_such_plugin")
    assert said.status("Change b") == "undecided"
    said = bugsle(repo, "prove", "HEAD", "--", "--no-such-option")
    assert any("--no-such-option" in note for note in said.report["notes"])


def test_at_commit_judges_where_the_fix_was_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A guard that was weakened since held the bug once, and does not today."""
    repo = guarded(tmp_path_factory.mktemp("at") / "project")
    fix = repo.sha()
    repo.commit("test: weaker", {"tests/test_a.py": guard("a", "answer()")})
    assert bugsle(repo, "prove", fix).status("fix: a") == "passes-without-fix"
    said = bugsle(repo, "prove", "--at", "commit", fix)
    assert said.status("fix: a") == "proven"


def test_an_interpreter_without_pytest_is_named(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is no verdict on the fix."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    said = bugsle(repo, "prove", "--python", str(folder / "venv/bin/python"), "HEAD")
    assert said.code in (2, 3, 4)
    assert "pytest" in said.all and "Traceback" not in said.all


def test_warn_says_the_same_and_exits_with_success(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The verdict is kept."""
    configuration = CONFIGURATION + '\n    [tool.bugsle]\n    mode = "warn"\n'
    repo = Repo(
        tmp_path_factory.mktemp("warn") / "project",
        configuration=configuration,
        start={"src/pkg/a.py": WRONG},
    )
    repo.commit("fix: a", {"src/pkg/a.py": RIGHT})
    said = bugsle(repo, "prove", "HEAD")
    assert (said.code, said.report["verdict"]) == (0, "fail")


def test_a_report_to_standard_output_is_that_alone(repo: Repo) -> None:
    """The section goes to standard error, so that the JSON can be piped."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_bugsle", "prove", "--report", "json", "HEAD"],
        cwd=repo.top,
        env=clean_environment(repo.top.parent),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith(b"{\n") and b"PROVEN" in done.stderr
