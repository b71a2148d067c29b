"""Release tags that name another commit than they did."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.command import dora
from pytest_bugsle.delivery.moved import format_lock, moved, parse_lock, sentence
from pytest_bugsle.errors import UsageError

_NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Z")), min_size=1).filter(
    lambda name: len(name.split()) == 1 and len(name.splitlines()) == 1
)
_COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give two releases."""
    sandbox = Sandbox(tmp_path / "project")
    for number in (1, 2):
        sandbox.commit({"a": str(number)}, f"feat: {number}\n")
        sandbox.git("tag", f"v1.{number}")
    return sandbox


def said(sandbox: Sandbox, *args: str) -> str:
    """Run the command and give what it prints, the lines of a note joined."""
    done = CliRunner().invoke(dora, ["--repo", str(sandbox.top), *args], catch_exceptions=False)
    return done.output


def move(sandbox: Sandbox) -> tuple[str, str]:
    """Move the first tag to HEAD; give both commits as they are shown."""
    before = sandbox.git("rev-parse", "v1.1")
    sandbox.git("tag", "-f", "v1.1", "HEAD")
    return before[:10], sandbox.git("rev-parse", "HEAD")[:10]


@given(st.dictionaries(_NAMES, _COMMITS))
def test_what_was_written_is_read_back(tags: dict[str, str]) -> None:
    """A name may begin with anything: a line begins with its commit."""
    assert parse_lock(format_lock(tags)) == tags


def test_a_name_that_is_no_utf8_is_kept() -> None:
    """Git takes any bytes."""
    name = os.fsdecode(b"v1.\xff")
    assert parse_lock(format_lock({name: "1" * 40})) == {name: "1" * 40}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# words\n\nv1.0\n", r"tags\.lock:3: it is no commit and tag"),
        (b"12 v1.0\n", r"tags\.lock:1: it is no commit"),
        (b"1" * 40 + b" v1\n" + b"2" * 40 + b" v1\n", r"tags\.lock:2: tag 'v1' has two commits"),
    ],
)
def test_a_lock_file_that_is_none_is_named_with_its_line(content: bytes, message: str) -> None:
    """A slip in it would hide what it is for."""
    with pytest.raises(UsageError, match=message):
        parse_lock(content)


def test_only_what_names_another_commit_was_moved() -> None:
    """What is gone or new was not."""
    assert moved({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == [("c", "3", "4")]


def test_of_many_moved_tags_the_first_are_named() -> None:
    """A note stays one line."""
    text = sentence([(f"v{n}", "1" * 40, "2" * 40) for n in range(5)])
    assert text.startswith("5 release tags were moved: v0 named 1111111111 and names 2222222222, ")
    assert "v2 named" in text and "v3 named" not in text and "2 more" in text


def test_a_tag_that_moves_is_said_with_both_commits_in_every_run(sandbox: Sandbox) -> None:
    """One that was never read elsewhere is new; what was first read is what it was."""
    assert "moved" not in said(sandbox)
    before, now = move(sandbox)
    expected = f"note: a release tag was moved: v1.1 named {before} and names {now}"
    assert expected in said(sandbox)
    assert expected in said(sandbox)  # the figures are kept by now
    sandbox.git("tag", "v1.3")
    said(sandbox)
    assert expected in said(sandbox), "a new tag is kept beside what was first read"
    sandbox.git("tag", "-d", "v1.3")
    sandbox.git("tag", "-f", "v1.1", before)
    assert "moved" not in said(sandbox)


def test_a_tag_that_is_no_release_may_move(sandbox: Sandbox) -> None:
    """`v1` and `nightly` do so by plan."""
    sandbox.git("tag", "nightly", "v1.1")
    sandbox.git("tag", "v1", "v1.1")
    said(sandbox)
    sandbox.git("tag", "-f", "nightly", "HEAD")
    sandbox.git("tag", "-f", "v1", "HEAD")
    assert "moved" not in said(sandbox)


def test_deployments_of_a_file_or_the_mainline_ask_no_tag(sandbox: Sandbox) -> None:
    """What was recorded wins."""
    said(sandbox)
    before, _ = move(sandbox)
    recorded = sandbox.top.parent / "deployed.csv"
    recorded.write_text(f"time,commit\n2023-11-15T00:00:00Z,{before}\n")
    assert "moved" not in said(sandbox, "--deployments", str(recorded))
    assert "moved" not in said(sandbox, "--mainline")


def test_a_lock_file_tells_another_clone_and_a_new_one_accepts(sandbox: Sandbox, tmp_path: Path) -> None:
    """It counts as HEAD has it, so that a clone that never read the tag knows what it named."""
    assert "written: .bugsle/tags.lock, 2 release tags" in said(sandbox, "--lock-tags")
    assert "?? .bugsle/tags.lock" in sandbox.git("status", "--porcelain", "-uall")
    sandbox.commit(None, "chore: lock the tags\n")
    before, now = move(sandbox)
    clone = Sandbox(tmp_path / "clone")
    clone.git("pull", "-q", "--tags", str(sandbox.top), "main")
    expected = f"v1.1 named {before} and names {now}"
    assert expected in said(clone)
    said(clone, "--lock-tags")
    assert expected in said(clone), "what is not committed does not count yet"
    clone.commit(None, "chore: lock the tags\n")
    assert "moved" not in said(clone)


def test_a_bare_repository_has_no_lock_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """What is to be committed needs a work tree."""
    sandbox.git("clone", "-q", "--bare", str(sandbox.top), str(tmp_path / "bare.git"))
    done = CliRunner().invoke(dora, ["--repo", str(tmp_path / "bare.git"), "--lock-tags"])
    assert isinstance(done.exception, UsageError)
    assert "a bare repository has no place" in str(done.exception)
