"""A proof is kept, and kept no longer than what it was made of."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from repositories import Repo, Said, bugsle, guard, guarded


def _judged(said: Said) -> str:
    """Give the report without its timings, as text."""
    return json.dumps({key: value for key, value in said.report.items() if key != "timings"})


def _runs(said: Said) -> tuple[int, int]:
    return said.report["timings"]["runs"], said.report["timings"]["cached"]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A project with a proven fix."""
    return guarded(tmp_path / "project")


def test_a_proof_is_asked_once(repo: Repo) -> None:
    """The second run starts no test and says the same, byte for byte."""
    first = bugsle(repo, "prove", "main..HEAD")
    again = bugsle(repo, "prove", "main..HEAD")
    assert first.status("fix: a") == "proven"
    assert (_runs(first), _runs(again)) == ((4, 0), (0, 1))
    assert _judged(first) == _judged(again)


def test_a_proof_outlives_what_it_is_not_made_of(repo: Repo) -> None:
    """A new README, and another commit with it, leave the proof as it was."""
    bugsle(repo, "prove", "main..HEAD")
    repo.commit("docs: say it", {"README.md": "text\n"})
    assert _runs(bugsle(repo, "prove", "main..HEAD")) == (0, 1)


def test_a_proof_ends_with_what_it_is_made_of(repo: Repo) -> None:
    """A change of any test, source or configuration file asks again."""
    repo.commit("feat: later", {"src/pkg/c.py": "C = 1\n"})
    assert _runs(bugsle(repo, "prove", "main..HEAD"))[1] == 0
    assert _runs(bugsle(repo, "prove", "main..HEAD"))[1] == 1
    for path in ("tests/test_a.py", "src/pkg/a.py", "src/pkg/b.py", "tests/conftest.py", "pyproject.toml"):
        old = repo.read(path) if (repo.top / path).exists() else ""
        repo.commit("chore: a comment", {path: (old + "\n# a comment\n").encode()})
        said = bugsle(repo, "prove", "main..HEAD", "--budget", "0.5")
        assert _runs(said)[1] == 0, path


def test_a_committed_store_is_not_believed(repo: Repo) -> None:
    """A change cannot bring its own proofs along."""
    bugsle(repo, "prove", "main..HEAD")
    repo.git("add", "-f", ".bugsle/cache.db")
    repo.commit("chore: trust me")
    said = bugsle(repo, "prove", "main..HEAD")
    assert _runs(said)[1] == 0
    assert any("cache.db is committed" in note for note in said.report["notes"])


def test_a_store_that_is_damaged_costs_time_only(repo: Repo) -> None:
    """It is begun anew, and the answer is the same."""
    first = bugsle(repo, "prove", "main..HEAD")
    store = repo.top / ".bugsle/cache.db"
    store.write_bytes(b"no database at all" * 100)
    again = bugsle(repo, "prove", "main..HEAD")
    assert _judged(again) == _judged(first)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE cache SET value = ?", (b'{"status": "proven", "lies": true',))
        connection.commit()
    assert _judged(bugsle(repo, "prove", "main..HEAD")) == _judged(first)


def test_an_undecided_proof_is_not_kept(tmp_path: Path) -> None:
    """What may be known tomorrow is asked again tomorrow."""
    repo = guarded(tmp_path / "project")
    repo.commit("test: not today", {"tests/test_a.py": guard("a", above="@pytest.mark.skip\n")})
    assert bugsle(repo, "prove", "main..HEAD").status("fix: a") == "undecided"
    assert _runs(bugsle(repo, "prove", "main..HEAD"))[1] == 0


def test_our_own_files_never_show(repo: Repo) -> None:
    """`.bugsle/` ignores itself."""
    bugsle(repo, "prove", "main..HEAD")
    assert (repo.top / ".bugsle/cache.db").exists()
    assert repo.git("status", "--porcelain") == ""
