"""The pre-push hooks: which commits a push brings, told by git and by pre-commit."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hook_runs import console_scripts, hook
from hypothesis import given
from hypothesis import strategies as st
from repositories import RIGHT, WRONG, Repo, Said, guard

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.hooks import entries
from pytest_bugsle.hooks.pushed import Push, from_environment, parse_lines, ranges_of

ZERO = "0" * 40


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A project with a remote that has its first commit, and a fix without a test on top."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    repo.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    repo.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    repo.git("push", "-q", "origin", "main")
    repo.commit("fix: a is wrong (#42)", {"src/pkg/a.py": RIGHT})
    return repo


def ranges(repo: Repo, *pushes: Push, remote: str = "origin") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give ranges and notes."""
    with Repository.open(repo.top) as opened:
        found = ranges_of(opened, pushes, remote)
    return found.ranges, found.notes


def pushed(repo: Repo, *lines: str, words: tuple[str, ...] = (), **environ: str) -> Said:
    """Run `bugsle-check` as git does."""
    text = "".join(f"{line}\n" for line in lines).encode()
    return hook(entries._check, repo, *words, "origin", "../remote.git", given=text, **environ)


# --- reading -----------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"refs/heads/[a-z]{1,9}", fullmatch=True),
            st.from_regex(r"[1-9a-f][0-9a-f]{39}", fullmatch=True),
            st.booleans(),
            st.booleans(),
        )
    )
)
def test_lines_of_a_push_are_read_back(refs: list[tuple[str, str, bool, bool]]) -> None:
    """Each line gives a push, a deleted ref none, a new one nothing known."""
    lines = [
        f"{ref} {ZERO if deleted else sha} {ref} {ZERO if new else sha}" for ref, sha, deleted, new in refs
    ]
    assert parse_lines("\n".join([*lines, ""])) == [
        Push(ref, sha, None if new else sha) for ref, sha, deleted, new in refs if not deleted
    ]


@given(st.text(max_size=60))
def test_any_other_text_is_a_usage_error_or_nothing(text: str) -> None:
    """No text is a crash."""
    with contextlib.suppress(UsageError):
        assert all(isinstance(push, Push) for push in parse_lines(text))


def test_pre_commits_variables() -> None:
    """Two ends give a range, a branch without a beginning a new one, nothing a run by hand."""
    assert from_environment({"PRE_COMMIT_FROM_REF": "a", "PRE_COMMIT_TO_REF": "b"}) == [Push("b", "b", "a")]
    assert from_environment({"PRE_COMMIT_LOCAL_BRANCH": "refs/heads/x"}) == [
        Push("refs/heads/x", "refs/heads/x", None)
    ]
    assert from_environment({}) is None


# --- ranges ------------------------------------------------------------------------------------------


def test_a_known_remote_gives_its_range(repo: Repo) -> None:
    """From what the remote has; the same range twice is one."""
    push = Push("refs/heads/main", repo.sha(), repo.start)
    assert ranges(repo, push, push)[0] == (f"{repo.start}..{repo.sha()}",)


@pytest.mark.parametrize("remote", ["origin", "/some/where/else.git"])
def test_a_new_branch_begins_where_the_remote_ends(repo: Repo, remote: str) -> None:
    """What no remote-tracking branch contains is new, whether the remote has a name or not."""
    repo.branch("topic")
    head = repo.commit("feat: c", {"src/pkg/c.py": RIGHT})
    assert ranges(repo, Push("refs/heads/topic", head, None), remote=remote)[0] == (f"{repo.start}..{head}",)


def test_a_remote_commit_that_was_never_fetched_counts_as_new(repo: Repo) -> None:
    """After somebody else's push, forced over."""
    push = Push("refs/heads/main", repo.sha(), "1" * 40)
    assert ranges(repo, push)[0] == (f"{repo.start}..{repo.sha()}",)


def test_what_the_remote_has_brings_nothing(repo: Repo) -> None:
    """A new name for an old commit, and a tag of a file."""
    blob = repo.git("rev-parse", "HEAD:src/pkg/a.py")
    assert ranges(repo, Push("refs/heads/x", repo.start, None), Push("refs/tags/t", blob, None)) == ((), ())
    assert ranges(repo, Push("refs/heads/main", repo.sha(), repo.sha())) == ((), ())


def test_a_whole_history_is_left_to_the_audit(repo: Repo) -> None:
    """The first push of all brings everything; that is said."""
    repo.git("update-ref", "-d", "refs/remotes/origin/main")
    found, notes = ranges(repo, Push("refs/heads/main", repo.sha(), None))
    assert found == () and "whole history, 2 commits" in notes[0] and "bugsle audit" in notes[0]


# --- the hook ------------------------------------------------------------------------------------------


def test_an_unguarded_fix_stops_the_push(repo: Repo) -> None:
    """By git's lines, and by pre-commit's variables, which go before them."""
    line = f"refs/heads/main {repo.sha()} refs/heads/main {repo.start}"
    said = pushed(repo, line)
    assert said.code == 1 and "BUG101" in said.out and "1 commit" in said.out
    said = hook(
        entries._check, repo, PRE_COMMIT="1", PRE_COMMIT_FROM_REF=repo.start, PRE_COMMIT_TO_REF=repo.sha()
    )
    assert said.code == 1 and "BUG101" in said.out


def test_a_guarded_fix_a_deleted_and_an_empty_push_go_on(repo: Repo) -> None:
    """Nothing is asked of what is linked, gone or not there."""
    gone = f"(delete) {ZERO} refs/heads/x {repo.sha()}"
    assert pushed(repo, gone).code == 0 and pushed(repo).code == 0
    repo.commit(
        "test: a\n\nRefs #42\n", {"tests/test_a.py": guard("a", above='@pytest.mark.regression("#42")\n')}
    )
    assert pushed(repo, f"refs/heads/main {repo.sha()} refs/heads/main {repo.start}").code == 0


def test_a_forced_push_is_judged_from_the_merge_base(repo: Repo) -> None:
    """What was thrown away is not judged again."""
    repo.git("push", "-q", "origin", "main")
    old = repo.sha()
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.commit("feat: c", {"src/pkg/c.py": RIGHT})
    said = pushed(repo, f"refs/heads/main {repo.sha()} refs/heads/main {old}")
    assert said.code == 0 and "1 commit" in said.out


def test_the_worst_of_several_branches_counts(repo: Repo) -> None:
    """Each range is judged; one that fails stops the push."""
    bad = repo.sha()
    repo.branch("good", repo.start)
    good = repo.commit("feat: c", {"src/pkg/c.py": RIGHT})
    said = pushed(
        repo,
        f"refs/heads/good {good} refs/heads/good {ZERO}",
        f"refs/heads/main {bad} refs/heads/main {ZERO}",
    )
    assert said.code == 1 and said.out.count("range ") == 2


def test_codes_are_ordered() -> None:
    """A program that failed goes before wrong usage, that before a failure, that before undecided."""
    assert [entries.worst(codes) for codes in ([0, 3], [3, 1], [1, 2], [2, 4], [])] == [3, 1, 2, 4, 0]


def test_undecided_stops_nothing_and_is_said(repo: Repo) -> None:
    """Histories without a common commit leave the range open."""
    repo.git("switch", "-q", "--orphan", "other")
    other = repo.commit("feat: x", {"src/pkg/x.py": RIGHT})
    said = pushed(repo, f"refs/heads/main {repo.sha('main')} refs/heads/main {other}")
    assert said.code == 0 and "undecided, so nothing is stopped" in said.err


def test_own_options_are_handed_on(repo: Repo) -> None:
    """Before git's words they are `bugsle check`'s."""
    line = f"refs/heads/main {repo.sha()} refs/heads/main {repo.start}"
    assert "+4" not in pushed(repo, line).out
    assert "+4" in pushed(repo, line, words=("-v",)).out
    assert pushed(repo, line, words=("--nonsense",)).code == 2
    own = ("--repo", ".", f"{repo.start}..{repo.sha()}")
    assert hook(entries._check, repo, *own, PRE_COMMIT="1").code == 1


def test_wrong_lines_are_a_usage_error(repo: Repo) -> None:
    """What git did not write is shown, not sent."""
    said = pushed(repo, "\x1b[31m nonsense")
    assert said.code == 2 and "no line of a push" in said.err and "\x1b" not in said.err


@pytest.mark.slow
def test_prove_runs_the_tests_of_what_is_pushed(repo: Repo) -> None:
    """The fix without a test fails by experiment; with its test it is proven."""
    names = {"PRE_COMMIT": "1", "PRE_COMMIT_FROM_REF": repo.start}
    said = hook(entries._prove, repo, **names, PRE_COMMIT_TO_REF=repo.sha())
    assert said.code == 1 and "BUG101" in said.out
    repo.commit(
        "test: a\n\nRefs #42\n", {"tests/test_a.py": guard("a", above='@pytest.mark.regression("#42")\n')}
    )
    said = hook(entries._prove, repo, **names, PRE_COMMIT_TO_REF=repo.sha())
    assert said.code == 0 and "PROVEN" in said.out


def test_git_itself_stops_the_push(repo: Repo) -> None:
    """As .git/hooks/pre-push; a new branch, a tag and a deletion go through the same hook."""
    scripts = console_scripts(repo.top.parent / "bin")
    place = repo.top / ".git/hooks/pre-push"
    place.parent.mkdir(exist_ok=True)
    place.write_text(f'#!/bin/sh\nexec "{scripts}/bugsle-check" "$@"\n', "utf-8")
    place.chmod(0o755)
    path = os.fspath(Path(__file__).parents[1])

    def push(*args: str) -> bool:
        try:
            repo.git("push", "-q", "origin", *args, PYTHONPATH=path)
        except AssertionError as error:
            if "failed to push" not in str(error):
                raise
            return False
        return True

    assert not push("main") and not push("HEAD:refs/heads/new")
    repo.commit(
        "test: a\n\nRefs #42\n", {"tests/test_a.py": guard("a", above='@pytest.mark.regression("#42")\n')}
    )
    repo.git("tag", "-m", "one", "v1")
    assert push("main") and push("v1") and push("HEAD:refs/heads/new") and push(":new")
