"""An audit that ends at any moment keeps what it found, leaves nothing behind, and the next one goes on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from repositories import Repo, guard
from test_kill import Place, _difference, alive, ended, left_in, small_disk, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

AUDIT = (sys.executable, "-m", "pytest_bugsle", "audit")
NAMES = ("a", "b", "c", "d")
RIGHT = {f"fix: {name} is wrong": "proven" for name in NAMES}
_SOURCE = """
    def answer():
        return {value}
"""
_PATIENCE = 2.0


def build(folder: Path) -> Place:
    """Make a history of four held fixes, with a stash, a linked work tree and uncommitted changes in use."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    wrong = {f"src/pkg/{name}.py": _SOURCE.format(value=0) for name in NAMES}
    repo = Repo(folder / "project", start={**wrong, "staged.txt": "1\n", "unstaged.txt": "1\n"})
    for name in NAMES:
        fixed = {f"src/pkg/{name}.py": _SOURCE.format(value=1), f"tests/test_{name}.py": guard(name)}
        repo.commit(f"fix: {name} is wrong", fixed)
    repo.git("tag", "-a", "-m", "one", "v1.0")
    repo.git("worktree", "add", "-q", "-b", "linked", str(folder / "linked"))
    repo.write({"stashed.txt": "put aside\n"})
    repo.git("stash", "push", "-q", "--include-untracked")
    repo.write({"staged.txt": "2\n"})
    repo.git("add", "-A")
    repo.write({"unstaged.txt": "2\n", "untracked.txt": "mine\n"})
    return Place(folder, repo)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One repository for all runs of this file."""
    place = build(tmp_path_factory.mktemp("audit-kill"))
    yield place
    place.clean_up()


@pytest.fixture
def place(shared: Place) -> Place:
    """The repository, with nothing kept."""
    shared.forget()
    return shared


def kept(place: Place) -> list[dict[str, Any]]:
    """Read what is kept, as a database that must be whole."""
    path = place.repo.top / ".bugsle/cache.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        rows = connection.execute("SELECT value FROM cache WHERE room = 'audit'").fetchall() if tables else []
    return [json.loads(row[0]) for row in rows]


def audit_until(place: Place, number: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start an audit, and wait until so many results are kept."""
    process, mark = place.start(AUDIT)
    assert wait_until(lambda: process.poll() is not None or len(kept(place)) >= number)
    return process, mark


def assert_goes_on(place: Place, before: dict[str, object], known: int) -> None:
    """The next run takes what is kept, judges the rest, and counts nothing twice."""
    done = place.complete(AUDIT)
    assert (done.code, done.statuses(), done.left) == (0, RIGHT, {}), done.out
    assert done.report["timings"]["cached"] == known
    total = done.report["audit"]["total"]
    assert (total["fixes"], total["judged"], total["held"]) == (4, 4, 4)
    assert len(kept(place)) == 4
    assert _difference(before, place.state()) == {}


def test_a_killed_audit_goes_on(place: Place) -> None:
    """SIGKILL to all of it after the second result: nothing is left, nothing is lost."""
    before = place.state()
    process, mark = audit_until(place, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert wait_until(lambda: not alive(mark), _PATIENCE), alive(mark)
    assert _difference(before, place.state()) == {}
    assert left_in(place.temporary) == []
    assert_goes_on(place, before, len(kept(place)))


@pytest.mark.slow
def test_an_interrupted_audit_says_how_to_go_on(place: Place) -> None:
    """Ctrl-C: exit code 130, how much is kept, no traceback, no report, nothing left."""
    before = place.state()
    process, mark = audit_until(place, 1)
    process.send_signal(signal.SIGINT)
    done = ended(process, mark, place.folder / "none.json")
    known = len(kept(place))
    assert (done.code, done.left) == (130, {})
    assert "Traceback" not in done.out
    # What the signal caught between keeping it and counting it is not claimed.
    said = "{} of 4 fixes are judged and kept; the same command goes on from there"
    assert said.format(known) in done.out or said.format(known - 1) in done.out
    assert _difference(before, place.state()) == {}
    assert_goes_on(place, before, known)


@pytest.mark.slow
def test_two_audits_at_once_are_both_right(place: Place) -> None:
    """Each has a slot of its own in the pool, and the cache takes both."""
    before = place.state()
    reports = [place.folder / f"both-{number}.json" for number in range(2)]
    runs = [(*place.start((*AUDIT, f"--report=json:{report}")), report) for report in reports]
    for run in runs:
        done = ended(*run)
        assert (done.code, done.statuses(), done.left) == (0, RIGHT, {}), done.out
    assert len(kept(place)) == 4
    assert _difference(before, place.state()) == {}


@pytest.mark.slow
def test_a_full_disk_under_the_pool_is_named_and_loses_nothing(place: Place, tmp_path: Path) -> None:
    """Exit code 4 and where the room ended; what was not judged says so, and the next run judges it."""
    before = place.state()
    done = place.complete((*AUDIT, "--limit", "1"))
    assert done.statuses() == {"fix: d is wrong": "proven"}
    with small_disk(tmp_path / "pool", 150):
        done = place.complete(AUDIT, BUGSLE_POOL=str(tmp_path / "pool"))
    assert done.code == 4, done.out
    assert "Traceback" not in done.out
    assert f"no space left in {tmp_path / 'pool'}" in done.out
    assert done.statuses()["fix: d is wrong"] == "proven"
    assert done.statuses()["fix: a is wrong"] == "undecided"
    assert done.report["audit"]["unjudged"][0]["why"].startswith(("not judged yet", "no space left"))
    assert_goes_on(place, before, 1)


def test_results_that_cannot_be_kept_end_an_audit(place: Place) -> None:
    """Judging on would be for nothing: the first result is told, and where to make room."""
    folder = place.repo.top / ".bugsle"
    with small_disk(folder, 8):
        (folder / ".gitignore").write_text("*\n")
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        done = place.complete(AUDIT)
    assert done.code == 4, done.out
    assert f"no space left in {folder}" in done.out
    assert "0 of 4 fixes are judged and kept" in done.out
    assert sorted(done.statuses().values()) == ["proven", "undecided", "undecided", "undecided"]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 9, 3))
def test_killed_at_random_moments_it_always_goes_on(place: Place, first: int) -> None:
    """Whatever it was doing: reading the history, laying trees, running tests, keeping a result."""
    before = place.state()
    started = time.monotonic()
    place.complete(AUDIT)
    usual = time.monotonic() - started
    for seed in range(first, first + 3):
        chance = random.Random(seed)  # noqa: S311  # a moment to kill at is no secret
        place.forget()
        process, mark = place.start(AUDIT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=chance.uniform(0, usual))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert wait_until(lambda mark=mark: not alive(mark), _PATIENCE), (seed, alive(mark))
        assert _difference(before, place.state()) == {}, seed
        assert left_in(place.temporary) == [], seed
        assert_goes_on(place, before, len(kept(place)))


@pytest.mark.slow
def test_killed_again_and_again_it_comes_to_its_end(place: Place) -> None:
    """Each run keeps at least one result more."""
    before = place.state()
    for number in range(1, 4):
        process, mark = audit_until(place, number)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert wait_until(lambda mark=mark: not alive(mark), _PATIENCE)
        assert len(kept(place)) >= number
    assert_goes_on(place, before, len(kept(place)))
