"""Reading a real repository's history and tags."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from git_sandbox import Sandbox, fingerprint

from pytest_bugsle.delivery.figures import Wanted
from pytest_bugsle.delivery.gather import History, measured_of, read_history, read_refs, tag_notes, verify
from pytest_bugsle.errors import ProgramError, UndecidedError
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.git.stream import stream_log, text_of
from pytest_bugsle.settings import Settings


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a repository of three commits, the first two released."""
    sandbox = Sandbox(tmp_path / "project")
    for number in (1, 2):
        sandbox.commit({"a": str(number)}, f"feat: {number}\n")
        sandbox.git("tag", f"v1.{number}")
    sandbox.commit({"a": "3"}, "fix: 3 – größer\n")
    return sandbox


def history_of(repo: Repository, pattern: str | None = None) -> History:
    """Give a repository's history."""
    return read_history(repo, read_refs(repo), pattern)


def test_the_history_has_what_git_says(sandbox: Sandbox) -> None:
    """Names, parents, times and releases."""
    with sandbox.open() as repo:
        history = history_of(repo)
    graph = history.graph
    assert graph.shas == sandbox.git("log", "--format=%H").split()
    assert graph.parents == [(1,), (2,), ()]
    assert [str(time) for time in graph.commit_times] == sandbox.git("log", "--format=%ct").split()
    assert history.head == 0
    assert [(one.name, one.commit) for one in history.deployments] == [("v1.1", 2), ("v1.2", 1)]
    assert list(history.mentions.fixes) == [0]


def test_blocks_end_anywhere_and_nothing_is_lost(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of seven bytes cuts every field, and letters of two bytes."""
    monkeypatch.setattr("pytest_bugsle.git.stream._BLOCK", 7)
    with sandbox.open() as repo:
        blocks = list(stream_log(repo, [sandbox.git("rev-parse", "HEAD")]))
    assert [sha for block in blocks for sha in block.shas] == sandbox.git("log", "--format=%H").split()
    assert [text_of(m) for block in blocks for m in block.messages] == [
        "fix: 3 – größer\n",
        "feat: 2\n",
        "feat: 1\n",
    ]
    assert {author for block in blocks for author in block.authors} == {"Ada <ada@example.org>"}


def test_a_tag_that_git_cannot_walk_is_an_error_with_what_git_says(sandbox: Sandbox) -> None:
    """The stream does not end as if that were all."""
    with sandbox.open() as repo, pytest.raises(ProgramError, match=r"git log .* ended with 128"):
        list(stream_log(repo, ["1" * 40]))


def test_replace_refs_and_grafts_change_nothing(sandbox: Sandbox) -> None:
    """They would give the same commits other parents."""
    head = sandbox.git("rev-parse", "HEAD")
    with sandbox.open() as repo:
        before = history_of(repo).graph.parents
    parent = sandbox.git("rev-parse", "HEAD~1")
    sandbox.git("replace", "--graft", head)
    (sandbox.top / ".git" / "info").mkdir(exist_ok=True)
    (sandbox.top / ".git" / "info" / "grafts").write_text(f"{parent}\n")
    with sandbox.open() as repo:
        assert history_of(repo).graph.parents == before


def test_tags_of_tags_blobs_and_tags_without_a_date(sandbox: Sandbox) -> None:
    """The first are peeled to the end, the second left out and said, the third get the commit's date."""
    sandbox.git("tag", "-a", "-m", "x", "inner", "HEAD")
    sandbox.clock += 500
    sandbox.git("tag", "-a", "-m", "x", "v2.0", "inner")
    sandbox.git("tag", "v2.1", "HEAD:a")
    head = sandbox.git("rev-parse", "HEAD")
    bare = f"object {head}\ntype commit\ntag v3.0\n\nno tagger\n"
    made = sandbox.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", input=bare.encode())
    sandbox.git("update-ref", "refs/tags/v3.0", made)
    with sandbox.open() as repo:
        history = history_of(repo)
        found = {one.name: (one.commit, one.time) for one in history.deployments}
        said = tag_notes(history.refs, history.deployments, None)
    assert found["v2.0"] == (0, sandbox.clock)
    assert found["v3.0"] == (0, sandbox.clock - 500)
    assert "v2.1" not in found
    assert said == ["left out, for they name no commit: v2.1"]


def test_a_pattern_without_a_match_names_the_nearest_tags(sandbox: Sandbox) -> None:
    """And how to say what a release is."""
    with sandbox.open() as repo:
        history = history_of(repo, r"version-\d")
        said = tag_notes(history.refs, history.deployments, r"version-\d")
    assert "tag_pattern 'version-\\\\d' matches none of 2 tags; the nearest: v1." in said[0]
    assert "tag_pattern" in said[1]


def test_a_shallow_clone_is_undecided_with_the_lines_to_add(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its figures would look right."""
    sandbox.git("clone", "-q", "--depth", "1", sandbox.top.as_uri(), str(tmp_path / "cut"))
    with (
        Repository.open(tmp_path / "cut") as repo,
        pytest.raises(UndecidedError, match=r"(?s)shallow.*fetch-depth: 0.*tree:0.*git fetch --unshallow"),
    ):
        read_refs(repo)


def test_an_empty_repository_is_undecided_without_data(tmp_path: Path) -> None:
    """It names the branch on which HEAD stands."""
    with (
        Sandbox(tmp_path / "empty").open() as repo,
        pytest.raises(UndecidedError, match=r"no data.*branch main"),
    ):
        read_refs(repo)


def test_a_clone_without_trees_is_enough(sandbox: Sandbox, tmp_path: Path) -> None:
    """Commits and tags are all that is read."""
    sandbox.git("config", "uploadpack.allowFilter", "true")
    to = tmp_path / "partial.git"
    sandbox.git("clone", "-q", "--bare", "--filter=tree:0", sandbox.top.as_uri(), str(to))
    with Repository.open(to) as repo:
        measured, _, _ = measured_of(repo, Wanted(start=0), Settings())
    assert (measured.commits, len(measured.shipments)) == (3, 2)


def test_what_was_measured_is_kept_until_head_or_a_tag_moves(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time no history is read; other wishes, a new tag and a new commit are read anew."""
    reads: list[str] = []

    def reading(*args: object, **named: object) -> History:
        reads.append("read")
        return read_history(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("pytest_bugsle.delivery.gather.read_history", reading)

    def ask(wanted: Wanted, pattern: str | None = None) -> int:
        with sandbox.open() as repo:
            return len(measured_of(repo, wanted, Settings(tag_pattern=pattern))[0].shipments)

    assert [ask(Wanted(start=0)), ask(Wanted(start=0)), len(reads)] == [2, 2, 1]
    assert [ask(Wanted(start=0), "x"), ask(Wanted(start=0, merges=True)), len(reads)] == [0, 2, 3]
    assert [ask(Wanted(start=0)), len(reads)] == [2, 3]
    sandbox.git("tag", "v1.3")
    assert [ask(Wanted(start=0)), len(reads)] == [3, 4]
    sandbox.commit({"a": "4"}, "feat: 4\n")
    assert [ask(Wanted(start=0)), len(reads)] == [3, 5]


def test_a_cache_that_came_with_a_commit_is_not_believed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change could bring its own figures along."""
    with sandbox.open() as repo:
        measured_of(repo, Wanted(), Settings())
    sandbox.git("add", "-f", ".bugsle/cache.db")
    sandbox.git("commit", "-qm", "cache")
    before = (sandbox.top / ".bugsle" / "cache.db").read_bytes()
    with sandbox.open() as repo:
        measured_of(repo, Wanted(), Settings())
    assert (sandbox.top / ".bugsle" / "cache.db").read_bytes() == before


def test_nothing_is_written_but_our_own_folder(sandbox: Sandbox) -> None:
    """No ref, no configuration, no file of the tree."""
    before = fingerprint(sandbox.top)
    with sandbox.open() as repo:
        measured_of(repo, Wanted(), Settings(), 2)
    after = fingerprint(sandbox.top)
    ours = {name for name in after if name.startswith(".bugsle")}
    assert {name: facts for name, facts in after.items() if name not in ours and name != "."} == {
        name: facts for name, facts in before.items() if name != "."
    }


def test_git_says_the_same_of_random_commits(sandbox: Sandbox) -> None:
    """And a label that is wrong is found, with the commit's name."""
    with sandbox.open() as repo:
        history = history_of(repo)
        assert verify(repo, history, 100) == 3
        moved = [msgspec.structs.replace(history.deployments[0], commit=0), *history.deployments[1:]]
        wrong = History(history.graph, history.mentions, history.head, history.refs, moved)
        with pytest.raises(ProgramError, match=r"[0-9a-f]{40} first went out with .* and git says"):
            verify(repo, wrong, 100)


def test_a_tag_name_that_is_no_utf8_is_measured(sandbox: Sandbox) -> None:
    """What cannot be kept is measured again."""
    head = sandbox.git("rev-parse", "HEAD")
    refs = sandbox.top / ".git" / "packed-refs"
    with refs.open("ab") as file:
        file.write(head.encode() + b" refs/tags/v9.9\xff\n")
    with sandbox.open() as repo:
        measured, _, _ = measured_of(repo, Wanted(start=0), Settings(tag_pattern=r"v9.*"))
    assert [one.deployment.name for one in measured.shipments] == [os.fsdecode(b"v9.9\xff")]
