"""Reading a repository's past, and keeping it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from git_sandbox import Sandbox, fingerprint

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.history import past as past_module
from pytest_bugsle.history.judgement import policy
from pytest_bugsle.history.past import MOST_CHANGES, Past, PastCommit, read_past
from pytest_bugsle.store.cache import Cache


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give an empty repository."""
    return Sandbox(tmp_path / "project")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Give a cache of the test's own."""
    return Cache(tmp_path / "cache.db")


def read(sandbox: Sandbox, cache: Cache | None = None, head: str = "HEAD") -> Past:
    """Read the past of a repository."""
    with sandbox.open() as repo:
        return read_past(repo, head, cache or Cache(None))


def changes(past: Past, commit: PastCommit) -> list[tuple[str, str | None, str]]:
    """Give a commit's changes with their paths: status, old path, path."""
    return [(c.status, past.paths[c.old] if c.old >= 0 else None, past.paths[c.path]) for c in commit.changes]


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many commits each call reads from git."""
    seen: list[int] = []
    original = past_module.read_log

    def counted(*args: object, **options: object) -> list[object]:
        found = original(*args, **options)  # type: ignore[arg-type]  # as it is called
        seen.append(len(found))
        return list(found)

    monkeypatch.setattr(past_module, "read_log", counted)
    return seen


def test_a_commit_is_kept_with_what_history_asks_of_it(sandbox: Sandbox, cache: Cache) -> None:
    """Parents, author, times, subject, judgement and changes; read once more from the cache it is the same."""
    first = sandbox.commit({"a.py": "x = 1\n" * 9}, "start")
    sandbox.git("mv", "a.py", "b.py")
    second = sandbox.commit({"c.py": ""}, "fix: crash in b\n\nFixes #7")
    for past in (read(sandbox, cache), read(sandbox, cache)):
        assert past.head == second
        newest, oldest = past.commits
        assert (newest.sha, newest.parents, oldest.parents) == (second, (first,), ())
        assert (newest.subject, newest.answer, oldest.answer) == ("fix: crash in b", "fix", "no")
        assert newest.is_fix and not newest.is_merge
        assert newest.time == newest.authored == sandbox.clock
        author = past.author(newest)
        assert (author.name, author.email, author.is_bot) == ("Ada", "ada@example.org", False)
        assert changes(past, newest) == [("R", "a.py", "b.py"), ("A", None, "c.py")]
        assert (newest.files, oldest.files, past.is_cut) == (2, 1, False)


def test_only_what_is_new_is_read(sandbox: Sandbox, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later call reads the commits since, and finds what a call without a cache finds."""
    seen = count_reads(monkeypatch)
    for number in range(5):
        sandbox.commit({"a.py": f"{number}\n"}, f"c{number}")
    read(sandbox, cache)
    sandbox.commit({"b.py": "1\n"}, "c5")
    sandbox.commit({"a.py": None, "b.py": "2\n"}, "c6")
    late = read(sandbox, cache)
    read(sandbox, cache)
    assert seen == [5, 2]
    fresh = read(sandbox)
    assert [(c.sha, changes(late, c)) for c in late.commits] == [
        (c.sha, changes(fresh, c)) for c in fresh.commits
    ]


def test_another_branch_and_a_rebased_one_read_what_they_do_not_share(
    sandbox: Sandbox, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both have is kept, and the past is that of the head that was asked for."""
    for number in range(5):
        sandbox.commit({"a.py": f"{number}\n"}, f"c{number}")
    sandbox.git("switch", "-qc", "topic", "HEAD~2")
    sandbox.commit({"b.py": "1\n"}, "topic")
    read(sandbox, cache, "main")
    seen = count_reads(monkeypatch)
    assert [c.subject for c in read(sandbox, cache, "topic").commits] == ["topic", "c2", "c1", "c0"]
    assert [c.subject for c in read(sandbox, cache, "main").commits] == ["c4", "c3", "c2", "c1", "c0"]
    assert [c.subject for c in read(sandbox, cache, "main~3").commits] == ["c1", "c0"]
    assert seen == [1, 2]


def test_a_lost_tip_is_no_trouble(sandbox: Sandbox, cache: Cache) -> None:
    """After a rebase and a garbage collection the past is read anew."""
    sandbox.commit({"a.py": "1\n"}, "one")
    sandbox.commit({"a.py": "2\n"}, "two")
    read(sandbox, cache)
    sandbox.git("reset", "-q", "--hard", "HEAD~1")
    sandbox.git("reflog", "expire", "--expire=now", "--all")
    sandbox.git("gc", "-q", "--prune=now")
    sandbox.commit({"a.py": "3\n"}, "three")
    assert [c.subject for c in read(sandbox, cache).commits] == ["three", "one"]


def test_a_replaced_and_a_deepened_history_is_read_anew(tmp_path: Path, cache: Cache) -> None:
    """Replace refs count as git counts them, and what a shallow clone did not know is learned."""
    origin = Sandbox(tmp_path / "origin")
    for number in range(4):
        origin.commit({"a.py": f"{number}\n"}, f"c{number}")
    origin.git("clone", "-q", "--depth=2", f"file://{origin.top}", str(tmp_path / "clone"))
    clone = Sandbox.__new__(Sandbox)
    clone.top, clone.clock = tmp_path / "clone", origin.clock
    past = read(clone, cache)
    assert [c.subject for c in past.commits] == ["c3", "c2"]
    assert past.is_cut and past.commits[-1].changes == ()
    clone.git("fetch", "-q", "--unshallow")
    past = read(clone, cache)
    assert [c.subject for c in past.commits] == ["c3", "c2", "c1", "c0"]
    assert not past.is_cut and past.commits[1].changes != ()
    clone.git("replace", "--graft", "HEAD", "HEAD~3")
    assert [c.subject for c in read(clone, cache).commits] == ["c3", "c0"]
    clone.git("replace", "-d", clone.git("rev-parse", "HEAD"))
    assert len(read(clone, cache).commits) == 4


def test_a_history_longer_than_what_is_read_is_cut(
    sandbox: Sandbox, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest commits are known, and that there are others."""
    for number in range(5):
        sandbox.commit({"a.py": f"{number}\n"}, f"c{number}")
    monkeypatch.setattr(past_module, "MOST_COMMITS", 3)
    past = read(sandbox, cache)
    assert [c.subject for c in past.commits] == ["c4", "c3", "c2"]
    assert past.is_cut and read(sandbox, cache).is_cut


def test_an_empty_repository_and_an_unknown_head_are_undecided(sandbox: Sandbox) -> None:
    """The error says what is missing."""
    with pytest.raises(UndecidedError, match="there is no commit yet, or it is not here"):
        read(sandbox)


def test_of_a_huge_commit_the_count_and_the_renames_are_kept(sandbox: Sandbox) -> None:
    """A move of everything is followed, and its thousand files are nobody's partners."""
    files = {f"old/m{number}.py": f"x = {number}\n" * 5 for number in range(MOST_CHANGES + 1)}
    sandbox.commit(files, "start")
    sandbox.git("mv", "old", "new")
    sandbox.commit({f"data/{number}": str(number) for number in range(3)}, "move")
    past = read(sandbox)
    move, start = past.commits
    assert (start.files, start.changes) == (MOST_CHANGES + 1, ())
    assert move.files == MOST_CHANGES + 4
    assert {status for status, _, _ in changes(past, move)} == {"R"} and len(move.changes) == MOST_CHANGES + 1


def test_files_are_followed_through_renames(sandbox: Sandbox) -> None:
    """A file goes by its path at the head; a new file at an old path is another."""
    sandbox.commit({"a.py": "one\n" * 9, "b.py": "two\n" * 9}, "start")
    sandbox.git("mv", "a.py", "m.py")
    base = sandbox.commit({}, "move")
    sandbox.commit({"a.py": "new\n"}, "a new a")
    sandbox.git("mv", "b.py", "y.py")
    sandbox.git("mv", "m.py", "z.py")
    sandbox.commit({}, "move later")
    past = read(sandbox)

    def names(until: str | None) -> dict[str, dict[str, str]]:
        found, _ = past.lineages(until)
        return {c.subject: {past.paths[a]: past.paths[b] for a, b in files.items()} for c, files in found}

    every = names(past.head)
    assert every["a new a"] == {"a.py": "a.py"}
    assert every["start"] == {"a.py": "z.py", "b.py": "y.py"}
    assert every["move"] == {"m.py": "z.py"}
    assert set(names(base)) == {"start", "move"}
    _, today = past.lineages(base)
    assert {past.paths[a]: past.paths[b] for a, b in today.items()} == {"b.py": "y.py", "m.py": "z.py"}
    assert past.lineages("0" * 40)[0] == past.lineages(None)[0] == []


def test_only_what_came_before_a_commit_is_before_it(sandbox: Sandbox) -> None:
    """A branch that was merged later is no part of the past of what stood beside it."""
    start = sandbox.commit({"a.py": "1\n"}, "start")
    sandbox.git("switch", "-qc", "topic")
    topic = sandbox.commit({"b.py": "1\n"}, "topic")
    sandbox.git("switch", "-q", "main")
    main = sandbox.commit({"a.py": "2\n"}, "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    past = read(sandbox)
    assert past.until(main) == {start, main} and past.until(topic) == {start, topic}
    assert len(past.until(past.head)) == 4 and past.until(None) == past.until("f" * 40) == frozenset()
    assert past.commits[0].is_merge and not past.is_telling(past.commits[0])


def test_bots_formatting_and_listed_commits_tell_nothing(sandbox: Sandbox) -> None:
    """They change files for no reason of the files' own."""
    sandbox.commit({"a.py": "1\n"}, "start")
    bot = {
        "GIT_AUTHOR_NAME": "dependabot[bot]",
        "GIT_AUTHOR_EMAIL": "49699333+dependabot[bot]@users.noreply.github.com",
    }
    sandbox.git("commit", "-q", "--allow-empty", "-m", "Bump x", **bot)
    for subject in ("Run black", "style: quotes", "Reformat with ruff", "isort everything"):
        sandbox.commit({}, subject)
    for subject in (
        "Fix crash on black list",
        "Use a blacklist",
        "Handle styles",
        "Format of dates is wrong",
    ):
        sandbox.commit({}, subject)
    listed = sandbox.commit({"a.py": "2\n"}, "Quotes")
    sandbox.commit({".git-blame-ignore-revs": f"# quotes\n{listed} # why\nnonsense\n\n"}, "List it")
    past = read(sandbox)
    assert [c.subject for c in reversed(past.commits) if past.is_telling(c)] == [
        "start",
        "Fix crash on black list",
        "Use a blacklist",
        "Handle styles",
        "Format of dates is wrong",
        "List it",
    ]


def test_one_person_of_two_names_is_one_by_the_mailmap(sandbox: Sandbox, cache: Cache) -> None:
    """A mailmap that came later holds for what is kept already."""
    sandbox.commit({"a.py": "1\n"}, "one")
    sandbox.git(
        "commit", "-q", "--allow-empty", "-m", "two", GIT_AUTHOR_NAME="ada l", GIT_AUTHOR_EMAIL="l@home"
    )
    assert {p.name for p in read(sandbox, cache).people} == {"Ada", "ada l"}
    sandbox.write({".mailmap": "Ada Lovelace <ada@example.org>\nAda Lovelace <ada@example.org> <l@home>\n"})
    assert {p.name for p in read(sandbox, cache).people} == {"Ada Lovelace"}


def test_the_projects_own_words_decide_and_are_not_mixed_up(sandbox: Sandbox, cache: Cache) -> None:
    """A past that was judged by other patterns is not taken for this one's."""
    sandbox.commit({"a.py": "1\n"}, "PURGE: rows")
    with sandbox.open() as repo:
        assert not read_past(repo, "HEAD", cache).commits[0].is_fix
        assert read_past(repo, "HEAD", cache, policy(fix=["^purge:"])).commits[0].is_fix
        assert not read_past(repo, "HEAD", cache).commits[0].is_fix


def test_any_bytes_in_paths_names_and_subjects_are_kept(sandbox: Sandbox, cache: Cache) -> None:
    """Paths come back as git gave them; what is only shown is made text."""
    names = ["new\nline.py", 'quo"te\\.py', "tab\t.py", "bell\x07.py", "-dash.py", "\udcff\udcfe.py"]
    sandbox.commit(dict.fromkeys(names, "x\n"), b"\xff subject \x1b[31m\xf0\x9f\x90\x9b")
    sandbox.git(
        "commit", "-q", "--allow-empty", "-m", "x", GIT_AUTHOR_NAME="a\udcff\x1bb", GIT_AUTHOR_EMAIL="e<e"
    )
    for _ in range(2):
        past = read(sandbox, cache)
        assert {path for _, _, path in changes(past, past.commits[1])} == set(names)
        assert past.commits[1].subject.endswith("🐛")
        assert len(past.people) == 2
        str([past.people, past.commits]).encode()


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91\x01", b"\x95\xa0\xa0\x90\x90\x91\x9a"], ids=repr)
def test_a_cache_that_cannot_be_read_is_a_miss(sandbox: Sandbox, tmp_path: Path, value: bytes) -> None:
    """Cut off, of another shape, or nonsense: the past is read anew and kept."""
    sandbox.commit({"a.py": "1\n"}, "one")
    cache = Cache(tmp_path / "cache.db")
    read(sandbox, cache)
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("UPDATE cache SET value = ?", (value,))
    connection.close()
    assert [c.subject for c in read(sandbox, cache).commits] == ["one"]


def test_a_cache_whose_numbers_lead_nowhere_is_a_miss(sandbox: Sandbox, tmp_path: Path) -> None:
    """A number of a path or a person that is not there is not believed."""
    import msgspec

    sandbox.commit({"a.py": "1\n"}, "one")
    cache = Cache(tmp_path / "cache.db")
    read(sandbox, cache)
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        raw = connection.execute("SELECT value FROM cache").fetchone()[0]
        stored = msgspec.msgpack.decode(raw)
        stored[2] = []
        connection.execute("UPDATE cache SET value = ?", (msgspec.msgpack.encode(stored),))
    connection.close()
    past = read(sandbox, cache)
    assert changes(past, past.commits[0]) == [("A", None, "a.py")]


def test_two_processes_may_keep_a_past_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """Whoever is last is believed, and nothing is lost but time."""
    for number in range(30):
        sandbox.commit({"a.py": f"{number}\n"}, f"c{number}")
    code = (
        "import sys; from pathlib import Path; from pytest_bugsle.git.repository import Repository;"
        "from pytest_bugsle.store.cache import Cache; from pytest_bugsle.history.past import read_past;"
        "repo = Repository.open(Path(sys.argv[1]));"
        "heads = [f'HEAD~{n}' for n in range(20, -1, -1)];"
        "print([len(read_past(repo, head, Cache(Path(sys.argv[2]))).commits) for head in heads][-1])"
    )
    command = [sys.executable, "-c", code, str(sandbox.top), str(tmp_path / "cache.db")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [b"30", b"30"]
    assert len(read(sandbox, Cache(tmp_path / "cache.db")).commits) == 30


def test_reading_leaves_the_repository_as_it_was(sandbox: Sandbox, cache: Cache) -> None:
    """Not a file, not a time."""
    sandbox.commit({"a.py": "1\n", ".mailmap": "A <a@b>\n"}, "one")
    before = fingerprint(sandbox.top)
    read(sandbox, cache)
    assert fingerprint(sandbox.top) == before


def test_a_commit_of_any_claimed_time_is_read(sandbox: Sandbox) -> None:
    """The order is by time, and of one time by descent."""
    times = [4_000_000_000, 1, 1, 1]
    for number, time in enumerate(times):
        sandbox.write({"a.py": f"{number}\n"})
        sandbox.git("add", "-A")
        date = f"@{time} +0000"
        sandbox.git("commit", "-qm", f"c{number}", GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
    assert [c.subject for c in read(sandbox).commits] == ["c0", "c3", "c2", "c1"]
