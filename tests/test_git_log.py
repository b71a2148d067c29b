"""Reading commits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.diff import changes
from pytest_bugsle.git.log import parse_log, parse_trailers, read_log
from pytest_bugsle.git.repository import Repository


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give an empty repository."""
    return Sandbox(tmp_path / "project")


def test_a_commit_is_read_with_all_its_facts(sandbox: Sandbox) -> None:
    """Names, times, parents, tree, subject, body, trailers and changes."""
    first = sandbox.commit({"a.py": "x = 1\n"}, "start")
    message = (
        "fix: purge\nof #42\n\nIt kept\nold rows.\n\nFixes: #42\nBugsle-Waive: BUG101 because\n  of this\n"
    )
    second = sandbox.commit({"a.py": "x = 2\n"}, message)
    repo = sandbox.open()
    commit, root = read_log(repo, None, "main")
    assert (commit.sha, commit.parents, commit.tree) == (second, (first,), repo.tree_of(second))
    assert (commit.author, commit.author_email) == ("Ada", "ada@example.org")
    assert commit.author_time == commit.commit_time == sandbox.clock
    assert commit.subject == "fix: purge of #42"
    assert commit.body.startswith("It kept\nold rows.\n\nFixes: #42\n")
    assert commit.trailers == (("Fixes", "#42"), ("Bugsle-Waive", "BUG101 because of this"))
    assert commit.changes == changes(repo, first, second)
    assert (root.sha, root.parents, root.cut) == (first, (), False)
    assert root.changes == changes(repo, repo.empty_tree, first)


def test_the_range_excludes_its_base(sandbox: Sandbox) -> None:
    """base..head, newest first, at most `limit`."""
    shas = [sandbox.commit({"a.py": f"{number}\n"}, f"c{number}") for number in range(5)]
    repo = sandbox.open()
    assert [commit.sha for commit in read_log(repo, shas[1], "HEAD")] == shas[:1:-1]
    assert [commit.subject for commit in read_log(repo, None, "HEAD", limit=2)] == ["c4", "c3"]
    assert read_log(repo, "HEAD", shas[0]) == []
    assert read_log(repo, None, "HEAD", limit=0) == []
    assert all(commit.changes == () for commit in read_log(repo, None, "HEAD", changes=False))


def test_a_merge_is_compared_with_its_first_parent(sandbox: Sandbox) -> None:
    """What a merge brings is what the branch did, and --first-parent keeps to the main line."""
    sandbox.commit({"a.py": "1\n", "z.py": "1\n"}, "start")
    sandbox.git("checkout", "-qb", "topic")
    topic = sandbox.commit({"b.py": "1\n"}, "topic")
    sandbox.git("checkout", "-q", "main")
    main = sandbox.commit({"a.py": "2\n"}, "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    repo = sandbox.open()
    merge = read_log(repo, None, "HEAD")[0]
    assert merge.parents == (main, topic)
    assert [change.path for change in merge.changes] == ["b.py"]
    assert [commit.subject for commit in read_log(repo, None, "HEAD", first_parent=True)] == [
        "merge",
        "main",
        "start",
    ]
    assert {commit.subject for commit in read_log(repo, main, "HEAD")} == {"merge", "topic"}


def test_an_empty_commit_has_no_changes(sandbox: Sandbox) -> None:
    """Between commits with changes, one without them gets none of theirs."""
    sandbox.commit({"a.py": "1\n"}, "one")
    sandbox.commit({}, "nothing")
    sandbox.commit({"b.py": "1\n"}, "")
    log = read_log(sandbox.open(), None, "HEAD")
    assert [(commit.subject, [change.path for change in commit.changes]) for commit in log] == [
        ("", ["b.py"]), ("nothing", []), ("one", ["a.py"]),
    ]  # fmt: skip


def test_an_empty_repository_and_unknown_names_are_wrong_usage(sandbox: Sandbox) -> None:
    """A name without a commit is named, and never obeyed as an option."""
    with pytest.raises(UsageError, match="HEAD names no commit"):
        read_log(sandbox.open(), None, "HEAD")
    sha = sandbox.commit({"a.py": ""})
    with pytest.raises(UsageError, match="--output=x names no commit"):
        read_log(sandbox.open(), "--output=x", "HEAD")
    assert not (sandbox.top / "x").exists()
    sandbox.git("update-ref", "refs/heads/--upload-pack=x", sha)
    assert read_log(sandbox.open(), None, "--upload-pack=x")[0].sha == sha


def test_a_shallow_commit_has_no_changes_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    """Where the parents are cut off, the whole tree is not taken for new."""
    for number in range(3):
        sandbox.commit({f"{number}.py": f"{number}\n"}, str(number))
    sandbox.git("clone", "-q", "--depth=2", sandbox.top.as_uri(), str(tmp_path / "shallow"))
    newest, cut = read_log(Repository.open(tmp_path / "shallow"), None, "HEAD")
    assert not newest.cut and [change.path for change in newest.changes] == ["2.py"]
    assert cut.cut and cut.changes == () and cut.parents == ()


def _raw(sandbox: Sandbox, commit: str, message: bytes) -> str:
    """Give HEAD another message, past all that `git commit` mends."""
    header = sandbox.git("cat-file", "commit", commit).partition("\n\n")[0]
    sha = sandbox.git(
        "hash-object", "-t", "commit", "-w", "--stdin", input=header.encode() + b"\n\n" + message
    )
    sandbox.git("reset", "-q", "--soft", sha)
    return sha


@pytest.mark.parametrize(
    "message",
    [
        b"::error file=a::x",
        b"\x1b]0;title\x07 subject\n\n\x1b[31mbody\x1b[0m\n",
        b"latin \xe9\xff\n\n\xfe\xff\n",
        b":100644 100644 0000 1111 M\n\n:100644 body\n",
        b"commit 0123456789012345678901234567890123456789\n\ntree x\n\n\n",
        b"\n\n\n  leading\n\n\nbody\r\nwith returns\r\n",
        b"x" * 300_000 + b"\n\n" + b"y\n" * 100_000,
        "سلام \u202e\u2028 x\n\n\x85\n".encode(),
    ],
)
def test_any_message_is_read_and_its_neighbours_too(sandbox: Sandbox, message: bytes) -> None:
    """A hostile message stays one message, byte for byte."""
    sandbox.commit({"a.py": "1\n"}, "before")
    _raw(sandbox, sandbox.commit({"b.py": "1\n"}), message)
    sandbox.commit({"c.py": "1\n"}, "after")
    after, commit, before = read_log(sandbox.open(), None, "HEAD")
    assert (after.subject, before.subject) == ("after", "before")
    assert [change.path for change in commit.changes] == ["b.py"]
    subject, _, body = message.lstrip(b"\n ").partition(b"\n\n")
    assert os.fsencode(commit.subject).split() == subject.split()
    assert commit.body.encode("utf-8", "surrogateescape").strip() == body.strip()


def test_a_commit_in_another_encoding_is_read(sandbox: Sandbox) -> None:
    """Where git is told the encoding of a message, letters come out right."""
    sandbox.git("config", "i18n.commitEncoding", "iso-8859-1")
    sandbox.commit({"a.py": "1\n"}, "caf\xe9".encode("latin-1"))
    assert read_log(sandbox.open(), None, "HEAD")[0].subject == "café"


def test_settings_of_the_user_do_not_change_the_log(sandbox: Sandbox) -> None:
    """Mail maps, signatures, other separators of trailers, notes and another output encoding are not obeyed."""
    sandbox.commit(
        {"a.py": "1\n", ".mailmap": "Eve <eve@example.org> <ada@example.org>\n"}, "é\n\nFixes: #1\nA=b\n"
    )
    plain = read_log(sandbox.open(), None, "HEAD")
    sandbox.git("notes", "add", "-m", "note")
    for key, value in {
        "log.showSignature": "true", "i18n.logOutputEncoding": "latin-1", "trailer.separators": "=:",
        "log.diffMerges": "combined", "format.pretty": "oneline", "log.follow": "true", "log.decorate": "full",
        "notes.displayRef": "*", "diff.orderFile": "nothing", "log.mailmap": "true",
    }.items():  # fmt: skip
        sandbox.git("config", key, value)
    assert read_log(sandbox.open(), None, "HEAD") == plain
    assert plain[0].trailers == ()


def test_absurd_dates_are_no_error(sandbox: Sandbox) -> None:
    """A commit object with a date that is no number is read."""
    tree = sandbox.git("write-tree")
    raw = f"tree {tree}\nauthor A <a> soon +0000\ncommitter C <c> 99999999999999999999 +0000\n\nodd\n"
    sha = sandbox.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", input=raw.encode())
    sandbox.git("update-ref", "refs/heads/main", sha)
    (commit,) = read_log(sandbox.open(), None, "HEAD")
    assert commit.subject == "odd" and commit.author_time == 0


_WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    message=st.lists(
        st.one_of(_WORD, st.sampled_from(["\n\n", "Fixes: #1\n", "---\n", "\x01\x02", ": "]))
    ).map("".join)
)
def test_what_git_stored_is_what_is_read(sandbox: Sandbox, message: str) -> None:
    """For any message, subject and body are what git itself says of the commit."""
    sha = _raw(sandbox, sandbox.commit({}), message.encode())
    commit = read_log(sandbox.open(), None, "HEAD", limit=1)[0]
    assert commit.sha == sha
    assert commit.subject == sandbox.git("log", "-1", "--format=%s")
    assert commit.body == sandbox.git("log", "-1", "--format=tformat:%b").removesuffix("\n")


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=10, max_size=10)
    )
)
def test_fields_come_back_in_order(records: list[list[str]]) -> None:
    """Any text in any field stays in its field."""
    out = "".join("\0".join(record) + "\0" for record in records).encode()
    parsed = list(parse_log(out))
    assert [(c.sha, c.tree, c.author, c.author_email, c.subject) for c in parsed] == [
        (record[0], record[2], record[3], record[4], record[7]) for record in records
    ]


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z][A-Za-z-]{0,20}", fullmatch=True),
            st.from_regex(r"[^\s][ -~]{0,30}", fullmatch=True),
        )
    )
)
def test_trailers_come_back(trailers: list[tuple[str, str]]) -> None:
    """What git prints as trailers is read as they were."""
    text = "".join(f"{key}: {value}\n" for key, value in trailers)
    assert list(parse_trailers(text)) == [(key, value.strip()) for key, value in trailers]
