"""`bugsle flaky merge`: histories of parallel jobs, taken into one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from repositories import Repo, bugsle, run_pytest

from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

ID = "tests/t.py::test_a"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository without any history."""
    return Repo(tmp_path / "project", configuration="")


def job(path: Path, run: str, *outcomes: str) -> Path:
    """Write the history of a job, with one run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_history(path) as history:
        history.begin(RunRecord(run_id=run, started=1_900_000_000.0, tree="t"))
        history.add(
            run,
            [
                AttemptRecord(seq=number, test=f"{ID}[{number}]", outcome=each)
                for number, each in enumerate(outcomes)
            ],
        )
        history.finish(run, collected=len(outcomes), disaster=False)
    return path


def seen(repo: Repo) -> int:
    """How many tests the history knows."""
    return int(json.loads(bugsle(repo, "flaky", "list", "--json").out)["seen"])


def test_histories_are_taken_once(repo: Repo, tmp_path: Path) -> None:
    """Into one that is made; again there is nothing new, and the files stay as they were."""
    one = job(tmp_path / "jobs/1/history.db", "one", "passed", "failed")
    two = job(tmp_path / "jobs/2/history.db", "two", "failed", "passed", "passed")
    before = one.read_bytes()
    said = bugsle(repo, "flaky", "merge", str(one), str(two), str(one))
    assert said.code == 0 and said.out.splitlines() == [
        f"{one}: 1 run, 2 attempts",
        f"{two}: 1 run, 3 attempts",
        f"{one}: nothing new",
    ]
    assert seen(repo) == 3
    assert "nothing new" in bugsle(repo, "flaky", "merge", str(two)).out
    assert one.read_bytes() == before
    assert "2 flaky of 3 tests" in bugsle(repo, "flaky", "list").out


def test_the_history_itself_is_nothing_new(repo: Repo) -> None:
    """Named by accident, with the others of a pattern."""
    own = job(repo.top / ".bugsle/history.db", "one", "passed")
    said = bugsle(repo, "flaky", "merge", str(own))
    assert (said.code, said.out) == (0, f"{own}: nothing new\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no history"), (b"no database" * 100, "cannot be read"), (b"", "is no history")],
)
def test_a_bad_file_is_named_and_the_others_are_taken(
    repo: Repo, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """It is a usage error, and is left as it is."""
    bad = tmp_path / "bad\x1b.db"
    if content is not None:
        bad.write_bytes(content)
    one = job(tmp_path / "1.db", "one", "passed")
    two = job(tmp_path / "2.db", "two", "passed", "passed")
    answer = bugsle(repo, "flaky", "merge", str(one), str(bad), str(two))
    assert answer.code == 2
    assert said in answer.err and r"bad\x1b.db" in answer.err and "next: " in answer.err
    assert len(answer.out.splitlines()) == 2 and seen(repo) == 2
    assert (bad.read_bytes() if bad.exists() else None) == content


def test_a_history_elsewhere_takes_them(repo: Repo, tmp_path: Path) -> None:
    """By --store; the local one is not made."""
    one = job(tmp_path / "1.db", "one", "passed")
    team = tmp_path / "team.db"
    assert bugsle(repo, "flaky", "merge", "--store", str(team), str(one)).code == 0
    assert bugsle(repo, "flaky", "list", "--store", str(team)).code == 0
    assert not (repo.top / ".bugsle/history.db").exists()


def test_a_file_must_be_named(repo: Repo) -> None:
    """Merging nothing is a mistake."""
    assert bugsle(repo, "flaky", "merge").code == 2


def test_a_session_of_another_clone_is_taken(repo: Repo, tmp_path: Path) -> None:
    """As parallel jobs of one commit are: what differs between them is flaky."""
    test = "import os\n\ndef test_env():\n    assert os.environ.get('BROKEN') is None\n"
    repo.commit("chore: a test", {"tests/test_env.py": test})
    repo.git("clone", "-q", str(repo.top), str(tmp_path / "clone/project"))
    other = tmp_path / "clone/project"
    assert run_pytest(repo, BUGSLE_EXAMINE="0").code == 0
    assert run_pytest(other, BUGSLE_EXAMINE="0", BROKEN="1").code == 1
    assert "0 flaky of 1 test" in bugsle(repo, "flaky", "list").out
    assert bugsle(repo, "flaky", "merge", str(other / ".bugsle/history.db")).code == 0
    assert "1 flaky of 1 test" in bugsle(repo, "flaky", "list").out
