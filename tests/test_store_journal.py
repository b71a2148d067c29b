"""The journal of a run: all that was added comes back, whatever it says, and from whom nothing is left nothing does."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.journal import Journal, take_left
from pytest_bugsle.store.records import AttemptRecord, RunRecord

RUN = RunRecord(run_id="r" * 32, started=1.0, tree="t", branch="main")
TEXT = st.text(st.characters(), max_size=12)


def left(folder: Path, *attempts: AttemptRecord, run: RunRecord = RUN) -> Path:
    """A journal that a run which is gone has left."""
    journal = Journal(folder, run)
    for attempt in attempts:
        journal.add(attempt)
    journal.close(keep=True)
    return journal.path


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ids=st.lists(TEXT, unique=True, max_size=5), branch=TEXT, outcome=TEXT, duration=st.floats())
@example(ids=["\ud800\n\x1a"], branch="\udcff", outcome="\x00", duration=float("nan"))
@example(ids=["plain"], branch="main", outcome="passed", duration=float("nan"))
def test_what_was_added_comes_back(
    tmp_path: Path, ids: list[str], branch: str, outcome: str, duration: float
) -> None:
    """Lone surrogates, line feeds and NaN among it: a journal is one line an attempt, whatever stands in it."""
    folder = tmp_path / os.urandom(8).hex()
    folder.mkdir()
    attempts = [
        AttemptRecord(seq=number, test=id_, outcome=outcome, duration=duration)
        for number, id_ in enumerate(ids, start=1)
    ]
    left(folder / "runs", *attempts, run=RunRecord(run_id="r", started=1.0, tree="t", branch=branch))
    with open_history(folder / "history.db") as history:
        assert take_left(folder / "runs", history) == 1
        for id_ in ids:
            (one,) = history.past(id_)
            assert one.outcome == outcome
    assert list((folder / "runs").iterdir()) == []


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    """A kill, or a full disk, may cut the last one; a line of something else is passed over."""
    path = left(tmp_path, *(AttemptRecord(seq=n, test=f"t{n}", outcome="passed") for n in (1, 2)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"[1, 2]\n", b"{]\n", lines[1], lines[2][:-5]]))
    with open_history(tmp_path / "history.db") as history:
        take_left(tmp_path, history)
        assert [len(history.past(f"t{n}")) for n in (1, 2)] == [1, 0]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"not json\n", b"[]\n", b"[1]\n", b"\xff\xfe\x00"])
def test_what_is_no_journal_is_cleared_away(tmp_path: Path, content: bytes) -> None:
    """It holds nothing that could be kept."""
    (tmp_path / "x.jsonl").write_bytes(content)
    with open_history(tmp_path / "history.db") as history:
        assert take_left(tmp_path, history) == 0
        assert history.tallies() == []
    assert not (tmp_path / "x.jsonl").exists()


def test_the_journal_of_a_living_run_is_left_alone(tmp_path: Path) -> None:
    """It holds a lock, within one process as among several."""
    journal = Journal(tmp_path, RUN)
    journal.add(AttemptRecord(seq=1, test="t", outcome="passed"))
    with open_history(tmp_path / "history.db") as history:
        assert take_left(tmp_path, history) == 0
        assert journal.path.exists()
        journal.close(keep=True)
        assert take_left(tmp_path, history) == 1


def test_a_journal_whose_run_was_kept_is_gone(tmp_path: Path) -> None:
    """The history has it all by then."""
    journal = Journal(tmp_path, RUN)
    journal.close(keep=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no links")
def test_no_link_is_followed(tmp_path: Path) -> None:
    """A checkout may contain anything: nothing is read, written or deleted where a link leads."""
    elsewhere = tmp_path / "elsewhere"
    kept = left(elsewhere, AttemptRecord(seq=1, test="t", outcome="passed"))
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.symlink_to(elsewhere)
    file.mkdir()
    (file / "x.jsonl").symlink_to(kept)
    with pytest.raises(OSError, match="symbolic link"):
        Journal(folder, RUN)
    (file / f"{RUN.run_id}.jsonl").symlink_to(tmp_path / "new")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        Journal(file, RUN)
    with open_history(tmp_path / "history.db") as history:
        assert [take_left(place, history) for place in (folder, file)] == [0, 0]
    assert kept.exists() and not (tmp_path / "new").exists()
