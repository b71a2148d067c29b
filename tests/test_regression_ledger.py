"""The ledger: what is written is read again, by people and by git's merges too."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import Repo

from pytest_bugsle.code.editing.inverses import Inverse
from pytest_bugsle.errors import UsageError
from pytest_bugsle.regression.record.ledger import (
    Debt,
    Guard,
    Ledger,
    PutBack,
    parse,
    place,
    read,
    text,
    write,
)
from pytest_bugsle.store.place import let_through, state_folder, write_whole


def sha(start: str) -> str:
    """Return a commit's name that begins so."""
    return start.ljust(40, "0")


def debt(start: str, subject: str = "fix: it") -> Debt:
    """Return a debt."""
    return Debt(sha(start), "BUG101", ("#42",), subject)


def guard(start: str, test: str = "tests/test_a.py::test_a") -> Guard:
    """Return a guard."""
    edit = PutBack("src/a.py", Inverse("block", "A.f", "x = 1", "x = 2", "y()", ""))
    return Guard(sha(start), ("#42",), "fix: it", (test,), (edit,))


def of(*entries: Debt | Guard) -> Ledger:
    """Return a ledger with these entries."""
    return Ledger(
        {each.commit: each for each in entries if isinstance(each, Debt)},
        {each.commit: each for each in entries if isinstance(each, Guard)},
    )


def test_a_person_can_read_it() -> None:
    """One entry a line, the debt as one would write it."""
    lines = text(of(debt("ab"), guard("cd"))).splitlines()
    assert lines[0] == "pytest-bugsle ledger 1"
    assert f"{sha('ab')} BUG101 #42 fix: it" in lines
    assert (
        f'{sha("cd")} {{"bugs": ["#42"], "subject": "fix: it", "tests": ["tests/test_a.py::test_a"], "edits": '
        '[{"path": "src/a.py", "form": "block", "scope": "A.f", "new": "x = 1", "old": "x = 2", "above": "y()"}]}'
    ) in lines
    assert (
        lines.index("[debt]")
        < lines.index("# a")
        < lines.index(f"{sha('ab')} BUG101 #42 fix: it")
        < lines.index("# b")
    )
    assert lines.index("[guards]") < lines.index("# cd") < lines.index("# ce")


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HOSTILE = WORDS | st.sampled_from(
    ["\n", "\r\n", "\x1b[31m", "\u2028", "\u202e", "a\udcffb", "\\n", "\\x41", "-", " a ", ",", "{", "[debt]", "<<<<<<<", "\\"]
)  # fmt: skip
SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)
BUGS = st.lists(HOSTILE.filter(bool), max_size=3).map(tuple)
DEBTS = st.builds(Debt, SHAS, st.sampled_from(["BUG101", "BUG107"]), BUGS, HOSTILE)
INVERSES = st.builds(
    Inverse,
    st.sampled_from(["block", "header", "lines", "file"]),
    HOSTILE,
    HOSTILE,
    HOSTILE,
    HOSTILE,
    HOSTILE,
)
PATHS = HOSTILE.map(
    lambda name: "src/" + name.replace("/", "_").replace("\0", "_").replace("::", "_") + ".py"
)
EDITS = st.lists(st.builds(PutBack, PATHS, INVERSES), min_size=1, max_size=3).map(tuple)
TESTS = st.lists(st.builds("{}::{}".format, PATHS, HOSTILE), min_size=1, max_size=3).map(tuple)
GUARDS = st.builds(Guard, SHAS, BUGS, HOSTILE, TESTS, EDITS)
LEDGERS = st.lists(DEBTS | GUARDS, max_size=6).map(lambda entries: of(*entries))


@settings(deadline=None)
@given(LEDGERS)
def test_what_is_written_is_read_again(known: Ledger) -> None:
    """Whatever strangers wrote; and nothing in it can be mistaken for a line or move a cursor."""
    written = text(known)
    assert parse(written, "ledger") == known
    assert text(parse(written, "ledger")) == written
    entries = [line for line in written.split("\n") if not line.startswith(("#", "[", "pytest-bugsle"))]
    assert sum(map(bool, entries)) == len(known.debt) + len(known.guards)
    assert written.encode().isascii() or all(c == "\n" or c >= " " for c in written)
    assert not set(written) & set("\x1b\x7f\x85\u2028\u202e\ufeff")


@settings(deadline=None)
@given(LEDGERS, st.randoms())
def test_order_and_repetition_are_no_matter(known: Ledger, random: object) -> None:
    """A hand that sorted, doubled or emptied lines, and an editor with other line ends."""
    lines = text(known).split("\n")
    random.shuffle(lines)  # type: ignore[attr-defined]
    assert parse("\r\n".join(lines + lines), "ledger") == known


MARKED = f"""\
pytest-bugsle ledger 1
[debt]
<<<<<<< ours
{sha("a")} BUG101 - one
=======
{sha("b")} BUG101 - two
>>>>>>> theirs
"""


@pytest.mark.parametrize(
    ("content", "line", "what", "hint"),
    [
        (MARKED, 3, "a conflict marker", "keep both sides' lines and take the markers out"),
        (f"pytest-bugsle ledger 1\n[debts]\n{sha('a')} BUG101 - x\n", 2, "no section '[debts]'", "[debt] and [guards]"),
        ("pytest-bugsle ledger 2\n", 1, "ledger '2'", "update pytest-bugsle"),
        (f"[debt]\n{sha('a')} BUG101 - x\n", 1, "does not say its version", "begin it with: pytest-bugsle ledger 1"),
        ("", 1, "does not say its version", "pytest-bugsle ledger 1"),
        ("pytest-bugsle ledger 1\nabc BUG101 - x\n", 2, "whole name of a commit", "take the line out"),
        (f"pytest-bugsle ledger 1\n{sha('a')} what - x\n", 2, "commit, rule, bugs, subject", "take the line out"),
        (f"pytest-bugsle ledger 1\n{sha('a')} {{\n", 2, "this guard cannot be read", "take the line out"),
        (f"pytest-bugsle ledger 1\n{sha('a')} {{}}\n", 2, "this guard cannot be read: \"'edits'\"", "take the line out"),
        (f'pytest-bugsle ledger 1\n{sha("a")} {{"edits": [1]}}\n', 2, "this guard cannot be read", "take the line out"),
        (f'pytest-bugsle ledger 1\n{sha("a")} {{"edits": [{{"path": 1}}]}}\n', 2, "path is no text", "take the line out"),
        (f'pytest-bugsle ledger 1\n{sha("a")} {{"edits": [{{"path": "a", "form": "none"}}]}}\n', 2, "'none'", "take the line out"),
        (f'pytest-bugsle ledger 1\n{sha("a")} {{"edits": [], "bugs": 1, "subject": "", "tests": []}}\n', 2, "bugs", "take the line out"),
        (f"pytest-bugsle ledger 1\n{sha('a')} {'[' * 90000}\n", 2, "commit, rule, bugs, subject", "take the line out"),
        (f"pytest-bugsle ledger 1\n{sha('a')} BUG101 - x\n{sha('a')} BUG102 - x\n", 3, "aaaaaaaaaa"[:1], "keep one of its lines"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, content: str, line: int, what: str, hint: str
) -> None:
    """And with what to type: `bugsle audit --write-baseline` always helps, or the line's own remedy."""
    path = tmp_path / "ledger.txt"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        read(path)
    assert error.value.what.startswith(f"{path}:{line}: ")
    assert what in error.value.what
    assert hint in error.value.hint


def test_what_is_no_text_is_said_with_its_line(tmp_path: Path) -> None:
    """Bytes that are no UTF-8; an editor's byte order mark is none of them."""
    path = tmp_path / "ledger.txt"
    path.write_text(text(of(debt("a"))), encoding="utf-8-sig")
    assert read(path) == of(debt("a"))
    path.write_bytes(b"pytest-bugsle ledger 1\n\n\xff\n")
    with pytest.raises(UsageError, match=r"ledger\.txt:3: this is no UTF-8"):
        read(path)


def test_no_file_is_no_ledger(tmp_path: Path) -> None:
    """And an empty ledger is one."""
    assert read(place(tmp_path)) is None
    write(place(tmp_path), Ledger())
    assert read(place(tmp_path)) == Ledger()


def project(tmp_path: Path) -> Repo:
    """Return a repository without a ledger, in which a plain run has left its folder."""
    repo = Repo(tmp_path / "project", configuration="", start={"a.py": ""})
    assert state_folder(repo.top, bare=False) == repo.top / ".bugsle"
    return repo


def test_git_sees_the_ledger_once_it_is_written(tmp_path: Path) -> None:
    """A plain run leaves the status clean; a folder of before is upgraded, and nothing else of it shows."""
    repo = project(tmp_path)
    (repo.top / ".bugsle" / "cache.db").write_bytes(b"x")
    assert repo.git("status", "--porcelain", "-uall") == ""
    write(place(repo.top), of(debt("a")))
    shown = ["?? .bugsle/.gitattributes", "?? .bugsle/.gitignore", "?? .bugsle/ledger.txt"]
    assert repo.git("status", "--porcelain", "-uall").split("\n") == shown
    repo.git("add", "-A")
    assert repo.git("check-attr", "merge", ".bugsle/ledger.txt") == ".bugsle/ledger.txt: merge: union"
    state_folder(repo.top, bare=False)
    write(place(repo.top), of(debt("a")))
    assert repo.git("status", "--porcelain").split("\n") == [f"A  {line[3:]}" for line in shown]
    assert sorted(path.name for path in (repo.top / ".bugsle").iterdir()) == [
        ".gitattributes", ".gitignore", "cache.db", "ledger.txt"
    ]  # fmt: skip


def test_what_a_user_wrote_beside_it_stays(tmp_path: Path) -> None:
    """Only what is missing is added."""
    folder = tmp_path / ".bugsle"
    folder.mkdir()
    (folder / ".gitignore").write_text("*\n!notes.md")
    (folder / ".gitattributes").write_text("*.md text\n")
    for _ in range(2):
        write(place(tmp_path), Ledger())
        assert (
            folder / ".gitignore"
        ).read_text() == "*\n!notes.md\n!ledger.txt\n!.gitattributes\n!.gitignore\n"
        assert (folder / ".gitattributes").read_text() == "*.md text\nledger.txt merge=union\n"


@pytest.mark.parametrize("linked", [".bugsle", ".bugsle/ledger.txt"])
def test_a_link_is_refused(tmp_path: Path, linked: str) -> None:
    """It may lead anywhere; nothing is read or written there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ledger.txt").write_text("precious")
    top = tmp_path / "top"
    (top / linked).parent.mkdir(parents=True, exist_ok=True)
    (top / linked).symlink_to(outside if linked == ".bugsle" else outside / "ledger.txt")
    for action in (lambda: write(place(top), Ledger()), lambda: read(place(top))):
        with pytest.raises(UsageError, match="is a symbolic link"):
            action()
    assert (outside / "ledger.txt").read_text() == "precious"
    assert len(list(outside.iterdir())) == 1


def test_linked_neighbours_are_replaced_not_followed(tmp_path: Path) -> None:
    """`.gitignore` and `.gitattributes` may be links too."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "top" / ".bugsle"
    folder.mkdir(parents=True)
    for name in (".gitignore", ".gitattributes"):
        (folder / name).symlink_to(victim)
    write(folder / "ledger.txt", Ledger())
    assert victim.read_text() == "precious"
    assert not (folder / ".gitignore").is_symlink()
    assert (folder / ".gitattributes").read_text() == "ledger.txt merge=union\n"


def test_a_ledger_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    """Whole or not at all."""
    path = place(tmp_path)
    write(path, of(debt("a")))
    with pytest.raises(AssertionError, match="hexadecimal"):
        write(path, of(Debt("HEAD", "BUG101", (), "")))
    assert read(path) == of(debt("a"))
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write(path, Ledger())
    with pytest.raises(UsageError, match="cannot be read"):
        read(path)
    assert not [each for each in path.parent.iterdir() if each.name.startswith("ledger.txt.")]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in between leaves the old file, and nothing beside it."""
    path = tmp_path / "a"
    write_whole(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_let_through_where_no_ignore_was(tmp_path: Path) -> None:
    """The folder stays hidden but for it."""
    let_through(tmp_path, ["a"])
    assert (tmp_path / ".gitignore").read_text() == "*\n!a\n!.gitignore\n"


def merged(repo: Repo, base: Ledger | None, ours: Ledger, theirs: Ledger, *, union: bool) -> tuple[int, str]:
    """Merge two branches that each wrote the ledger; return git's exit code and the merged text."""
    path = place(repo.top)

    def written(known: Ledger) -> None:
        write(path, known)
        if not union:
            (path.parent / ".gitattributes").write_text("")

    if base is not None:
        written(base)
    repo.commit("base")
    repo.branch("theirs")
    written(theirs)
    repo.commit("theirs")
    repo.switch("main")
    written(ours)
    repo.commit("ours")
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "merge", "-q", "--no-edit", "theirs"],
        cwd=repo.top,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        check=False,
    )
    return done.returncode, path.read_text()


FEW = of(guard("10"), debt("7"))


@pytest.mark.parametrize("union", [True, False], ids=["union", "plain"])
@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        (Ledger(), [guard("20")], [guard("30")]),
        (Ledger(), [guard("20")], [guard("21")]),
        (Ledger(), [debt("2")], [debt("3")]),
        (Ledger(), [guard("00"), debt("f")], [guard("ff"), debt("0")]),
        (FEW, [guard("11")], [guard("0f")]),
        (FEW, [guard("11"), guard("13")], [guard("12"), guard("14")]),
        (FEW, [guard("20"), debt("20")], [guard("20"), debt("20")]),
    ],
    ids=["apart", "next", "debt", "edges", "around", "interleaved", "same"],
)
def test_two_branches_that_add_are_merged(
    tmp_path: Path, union: bool, base: Ledger, ours: list[Debt | Guard], theirs: list[Debt | Guard]
) -> None:
    """By git alone, next to each other too, and the ledger holds what both added."""
    known = [*base.debt.values(), *base.guards.values()]
    code, result = merged(project(tmp_path), base, of(*known, *ours), of(*known, *theirs), union=union)
    assert code == 0, result
    assert parse(result, "ledger") == of(*known, *ours, *theirs)


@pytest.mark.parametrize("base", [None, Ledger()], ids=["both-begin", "same-place"])
def test_where_they_meet_the_union_keeps_both(tmp_path: Path, base: Ledger | None) -> None:
    """Two first ledgers, and two entries at one place: clean with the attribute that is written beside it."""
    ours, theirs = of(guard("201"), debt("2")), of(guard("202"), debt("f"))
    code, result = merged(project(tmp_path), base, ours, theirs, union=True)
    assert code == 0, result
    assert parse(result, "ledger") == of(guard("201"), debt("2"), guard("202"), debt("f"))


def test_a_paid_debt_goes_while_another_is_added(tmp_path: Path) -> None:
    """One branch takes a line out, the other adds one."""
    base = of(debt("1"), debt("2"), debt("3"))
    code, result = merged(
        project(tmp_path),
        base,
        of(debt("1"), debt("3")),
        of(debt("1"), debt("2"), debt("3"), debt("4")),
        union=False,
    )
    assert code == 0
    assert parse(result, "ledger") == of(debt("1"), debt("3"), debt("4"))


def test_a_conflict_that_remains_is_explained(tmp_path: Path) -> None:
    """Two branches that made the same guard otherwise: git asks, and so do we."""
    ours, theirs = of(guard("20", "one")), of(guard("20", "two"))
    code, result = merged(project(tmp_path), Ledger(), ours, theirs, union=False)
    assert code == 1
    with pytest.raises(UsageError, match="a conflict marker of git"):
        parse(result, "ledger")
    code, result = merged(project(tmp_path / "again"), Ledger(), ours, theirs, union=True)
    assert code == 0
    with pytest.raises(UsageError, match="is listed twice, and not the same both times"):
        parse(result, "ledger")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tests", []),
        ("edits", []),
        ("tests", ["../../etc/passwd::test_a"]),
        ("tests", ["/etc/passwd::test_a"]),
        ("tests", ["a\0b.py::test_a"]),
        ("tests", ["a\ud800b.py::test_a"]),
    ],
)
def test_a_guard_that_no_audit_wrote_is_refused(field: str, value: object) -> None:
    """A ledger may come from anybody: its paths stay inside the repository, and none of its lists is empty."""
    import json

    entry = text(of(guard("cd"))).split(sha("cd"))[1].split("\n")[0]
    data = json.loads(entry)
    data[field] = value
    broken = text(of(guard("cd"))).replace(entry, " " + json.dumps(data))
    with pytest.raises(UsageError, match="this guard cannot be read"):
        parse(broken, "ledger")
