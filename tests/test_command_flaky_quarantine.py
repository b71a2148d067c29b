"""`bugsle flaky quarantine`: added from evidence, renewed by new evidence, released by passing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from days import same_day, today  # noqa: F401  the fixture is for each test
from repositories import Repo, Said, bugsle, run_pytest

from pytest_bugsle.flaky import quarantine
from pytest_bugsle.flaky.quarantine import Entry
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

ID = "tests/t.py::test_a"
_OUTCOMES = {".": "passed", "F": "failed", "E": "error", "!": "died"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository of somebody with a name, without any history."""
    made = Repo(tmp_path / "project", configuration="")
    made.git("config", "user.name", "Ada")
    return made


def record(repo: Repo, marks: str, *, tree: str = "t1", days_ago: int = 20, test: str = ID) -> None:
    """Record one run for each outcome."""
    noon = dt.datetime.combine(today() - dt.timedelta(days=days_ago), dt.time(12), dt.UTC)
    (repo.top / ".bugsle").mkdir(exist_ok=True)
    with open_history(repo.top / ".bugsle/history.db") as history:
        for number, mark in enumerate(marks):
            run = f"{tree}-{days_ago}-{number}-{test}"
            history.begin(RunRecord(run_id=run, started=noon.timestamp() + number, tree=tree))
            error = f"f-{tree}" if mark in "FE!" else ""
            history.add(run, [AttemptRecord(seq=1, test=test, outcome=_OUTCOMES[mark], fingerprint=error)])


def entries(repo: Repo) -> tuple[Entry, ...]:
    """What is quarantined."""
    return quarantine.read(quarantine.place(repo.top))


def add(repo: Repo, *args: str, issue: str = "#42") -> Said:
    """Quarantine a test."""
    return bugsle(repo, "flaky", "quarantine", "add", *(args or (ID,)), "--issue", issue)


def release(repo: Repo, *args: str) -> Said:
    """Release it."""
    return bugsle(repo, "flaky", "quarantine", "release", *(args or (ID,)))


def test_an_entry_is_made_of_evidence(repo: Repo) -> None:
    """How often it failed and with which errors; git's user owns it, it lasts 30 days, and git sees it."""
    record(repo, "..F.")
    record(repo, "FFF", tree="broken")
    said = add(repo, ID, "--cause", 'a "race"')
    assert said.code == 0, said.err
    assert entries(repo) == (
        Entry(
            id=ID, cause='a "race"', failures=1, attempts=4, fingerprints=("f-t1",), owner="Ada", issue="#42",
            added=today(), expires=today() + dt.timedelta(days=30),
        ),
    )  # fmt: skip
    assert (
        f"added: {ID}" in said.out
        and "failed 1 of 4 attempts, with 1 error that is excused until" in said.out
    )
    assert "git add :/.bugsle && git commit" in said.out
    repo.git("add", ":/.bugsle")
    assert repo.git("diff", "--cached", "--name-only").split() == [
        ".bugsle/.gitignore",
        ".bugsle/quarantine.toml",
    ]


def test_who_and_how_long_can_be_said(repo: Repo) -> None:
    """For at most 30 days, with a reference that can be followed."""
    record(repo, ".F")
    assert add(repo, "test_a", "--owner", "Grace", "--days", "7", issue="https://example.org/i/7").code == 0
    (entry,) = entries(repo)
    assert (entry.owner, entry.issue, (entry.expires - entry.added).days) == (
        "Grace",
        "https://example.org/i/7",
        7,
    )
    assert add(repo, ID, "--days", "31").code == 2
    assert add(repo, ID, "--days", "0").code == 2
    assert add(repo, issue="later").code == 2
    assert bugsle(repo, "flaky", "quarantine", "add", ID).code == 2


@pytest.mark.parametrize(
    "issue", ["#42", "GH-42", "PROJ-7", "INC-2025-001", "CVE-2025-12345", "own/repo#3", "!12"]
)
def test_references_are_of_many_kinds(repo: Repo, issue: str) -> None:
    """As in messages of commits."""
    record(repo, ".F")
    assert add(repo, issue=issue).code == 0


def test_without_an_owner_nothing_is_quarantined(repo: Repo) -> None:
    """Where git knows nobody, somebody is named."""
    record(repo, ".F")
    repo.git("config", "--unset", "user.name")
    said = add(repo)
    assert said.code == 2 and "--owner NAME" in said.err and not entries(repo)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"t1": "....", "t2": "."}, "no version of the code saw it pass and fail"),
        ({"t1": "FF", "t2": ".."}, "no version of the code saw it pass and fail"),
        ({"": ".F"}, "no version of the code saw it pass and fail"),
        ({"t1": ".E"}, "no error that could be excused"),
        ({"t1": ".!"}, "no error that could be excused"),
    ],
)
def test_without_evidence_nothing_is_quarantined(repo: Repo, runs: dict[str, str], said: str) -> None:
    """A test that fails always, at code that is not known, or with what is never excused."""
    for tree, marks in runs.items():
        record(repo, marks, tree=tree)
    answer = add(repo)
    assert answer.code == 3 and said in answer.err and "BUG205" in answer.err
    assert not entries(repo)
    assert said.startswith("no error") or f"bugsle flaky hunt --suspect {ID}" in answer.err


def test_without_a_history_there_is_no_evidence(repo: Repo) -> None:
    """Nor of a test that the history does not know."""
    assert add(repo).code == 3
    record(repo, ".F")
    said = add(repo, "tests/t.py::test_b")
    assert said.code == 2 and f"did you mean: {ID}" in said.err


def test_a_renewal_needs_new_evidence(repo: Repo) -> None:
    """A failure after the day on which it was added; what was not said anew stays."""
    record(repo, "..F.")
    before = Entry(
        id=ID, cause="a race", failures=1, attempts=4, fingerprints=("f-t1",), owner="Grace", issue="#1",
        added=today() - dt.timedelta(days=10), expires=today() + dt.timedelta(days=2),
    )  # fmt: skip
    quarantine.write(quarantine.place(repo.top), [before])
    record(repo, "F..", tree="t3", days_ago=10)
    record(repo, "...", days_ago=5)
    said = add(repo)
    assert (
        said.code == 3 and "did not fail since it was quarantined" in said.err and entries(repo) == (before,)
    )
    record(repo, "F.", tree="t2", days_ago=4)
    said = add(repo)
    assert said.code == 0 and f"renewed: {ID}" in said.out
    (entry,) = entries(repo)
    assert (entry.failures, entry.attempts, entry.fingerprints) == (3, 12, ("f-t1", "f-t2", "f-t3"))
    assert (entry.cause, entry.owner, entry.added) == ("a race", "Grace", today())


def test_old_evidence_is_none(repo: Repo) -> None:
    """Or a release by force and a new entry would be a renewal without end."""
    record(repo, ".F", days_ago=31)
    record(repo, "FF", tree="broken", days_ago=3)
    said = add(repo)
    assert said.code == 3 and "more than 30 days ago" in said.err and not entries(repo)
    record(repo, "F.", tree="t2", days_ago=30)
    assert add(repo).code == 0


def test_a_history_that_cannot_be_read_does_not_keep_a_test(repo: Repo) -> None:
    """A release by force asks nobody; one that is earned needs the history."""
    quarantined(repo)
    (repo.top / ".bugsle/history.db").mkdir()
    assert release(repo).code == 2 and entries(repo)
    assert release(repo, ID, "--force", "--reason", "x").code == 0 and not entries(repo)


def test_entries_stand_by_id(repo: Repo) -> None:
    """Whatever the order in which they came; the others are left alone."""
    for name in ("b", "c", "a"):
        record(repo, ".F", test=f"tests/t.py::{name}")
        assert add(repo, f"tests/t.py::{name}").code == 0
    assert [entry.id[-1] for entry in entries(repo)] == ["a", "b", "c"]
    assert release(repo, "tests/t.py::b", "--force", "--reason", "gone").code == 0
    assert [entry.id[-1] for entry in entries(repo)] == ["a", "c"]


def test_a_release_is_earned_by_passing(repo: Repo) -> None:
    """Sixty times in a row since it was added; until then it is said how many are missing."""
    record(repo, ".F")
    quarantined(repo)
    said = release(repo)
    assert said.code == 3 and "60 more straight passes needed" in said.err
    record(repo, "." * 59, tree="t2", days_ago=5)
    said = release(repo)
    assert said.code == 3 and "1 more straight pass needed" in said.err and "it passed 59 times" in said.err
    assert entries(repo)
    record(repo, ".", tree="t3", days_ago=4)
    said = release(repo, "test_a")
    assert said.code == 0, said.err
    assert (
        f"released: {ID}\n" in said.out
        and "it is shown to be stable" in said.out
        and "git commit" in said.out
    )
    assert entries(repo) == ()


def test_a_failure_since_then_asks_for_more(repo: Repo) -> None:
    """The count begins anew."""
    record(repo, ".F")
    quarantined(repo)
    record(repo, "." * 60 + "F" + "." * 60, tree="t2", days_ago=5)
    said = release(repo)
    assert said.code == 3 and "14 more straight passes needed" in said.err
    assert "it failed 1 time, and then passed 60 times" in said.err


def test_a_release_by_force_has_a_reason(repo: Repo) -> None:
    """That is printed; one without the other is no way."""
    quarantined(repo)
    for args in (["--force"], ["--reason", "x"], ["--force", "--reason", " "]):
        assert release(repo, ID, *args).code == 2
    assert release(repo).code == 3 and entries(repo)
    said = release(repo, ID, "--force", "--reason", "the test is \x1bdeleted")
    assert said.code == 0 and r"by force: the test is \x1bdeleted" in said.out
    assert entries(repo) == ()


def test_what_is_not_quarantined_cannot_be_released(repo: Repo) -> None:
    """The nearest that is will be named."""
    assert "there is no test" in release(repo).err
    quarantined(repo)
    said = release(repo, "tests/t.py::test_b")
    assert said.code == 2 and f"did you mean: {ID}" in said.err


def test_a_broken_file_is_named_and_left(repo: Repo) -> None:
    """Nothing is added to it, and nothing lost."""
    record(repo, ".F")
    path = quarantine.place(repo.top)
    path.write_text("[[test]]\nid = 3\n")
    for said in (add(repo), release(repo), bugsle(repo, "flaky", "list"), bugsle(repo, "flaky", "show", ID)):
        assert said.code == 2 and "quarantine.toml:1: `id` must be a text" in said.err
    assert path.read_text() == "[[test]]\nid = 3\n"


def test_a_link_in_its_place_is_refused(repo: Repo, tmp_path: Path) -> None:
    """What it leads to is left alone."""
    record(repo, ".F")
    elsewhere = tmp_path / "elsewhere"
    quarantine.place(repo.top).symlink_to(elsewhere)
    said = add(repo)
    assert said.code == 2 and "symbolic link" in said.err and not elsewhere.exists()


def test_a_bare_repository_has_no_quarantine(repo: Repo, tmp_path: Path) -> None:
    """It has no files to commit."""
    bare = tmp_path / "bare.git"
    repo.git("clone", "-q", "--bare", str(repo.top), str(bare))
    said = release(Repo.at(bare))
    assert said.code == 2 and "bare repository" in said.err


def test_a_real_session_is_evidence(repo: Repo) -> None:
    """Two runs of one version: quarantined by the error that pytest showed."""
    test = "import os\n\ndef test_env():\n    assert os.environ.get('BROKEN') is None\n"
    repo.commit("chore: a test", {"tests/test_env.py": test})
    assert run_pytest(repo, BUGSLE_EXAMINE="0").code == 0
    assert run_pytest(repo, BUGSLE_EXAMINE="0", BROKEN="1").code == 1
    assert add(repo, "test_env").code == 0
    (entry,) = entries(repo)
    assert entry.id == "tests/test_env.py::test_env" and entry.failures == 1 < entry.attempts
    failure = quarantine.Failure(entry.id, entry.fingerprints[0], "call")
    assert quarantine.excuses([entry], today(), [failure]) == {entry.id: ""}


def quarantined(repo: Repo) -> None:
    """Quarantine the test ten days ago."""
    added = today() - dt.timedelta(days=10)
    entry = Entry(
        id=ID, failures=1, attempts=2, fingerprints=("f-t1",), owner="Ada", issue="#42", added=added,
        expires=added + dt.timedelta(days=30),
    )  # fmt: skip
    (repo.top / ".bugsle").mkdir(exist_ok=True)
    quarantine.write(quarantine.place(repo.top), [entry])
