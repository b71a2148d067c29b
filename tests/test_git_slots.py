"""The pool's folder and its locks."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.git import slots
from pytest_bugsle.locks import locked

_DAY = 86400
as_user = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")


def test_the_variable_names_the_root(tmp_path: Path) -> None:
    """BUGSLE_POOL goes before everything else."""
    named = tmp_path / "named"
    assert slots.default_root({"BUGSLE_POOL": str(named), "XDG_CACHE_HOME": str(tmp_path)}) == named
    assert stat.S_IMODE(named.stat().st_mode) == 0o700


def test_a_named_root_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    """What the user named is not silently replaced."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written") as caught:
        slots.default_root({"BUGSLE_POOL": str(tmp_path / "file")})
    assert "BUGSLE_POOL" in caught.value.hint


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has its own place")
def test_the_user_s_cache_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$XDG_CACHE_HOME, if it is an absolute path, else ~/.cache."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert slots.default_root({"XDG_CACHE_HOME": str(tmp_path / "xdg")}) == tmp_path / "xdg" / "bugsle"
    for other in ({}, {"XDG_CACHE_HOME": "relative"}, {"BUGSLE_POOL": ""}):
        assert slots.default_root(other) == tmp_path / "home" / ".cache" / "bugsle"


def test_without_a_writable_cache_a_private_temporary_folder_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only home is no obstacle; a folder or link that somebody else put there is."""
    (tmp_path / "home").write_text("")
    (tmp_path / "temp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    root = slots.default_root({})
    assert root == tmp_path / "temp" / f"bugsle-{os.getuid()}"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    root.chmod(0o777)
    assert stat.S_IMODE(slots.default_root({}).stat().st_mode) == 0o755
    slots.remove(root)
    root.symlink_to(tmp_path)
    with pytest.raises(ProgramError, match="no folder for work trees") as caught:
        slots.default_root({})
    assert "BUGSLE_POOL" in caught.value.hint


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away"
)
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    """Who owns the folder can swap what we run."""
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(UsageError):
        slots.default_root({"BUGSLE_POOL": str(tmp_path)})


def test_two_runs_take_two_slots(tmp_path: Path) -> None:
    """A slot in use is passed over, and free again when its lock is closed."""
    one = slots.take(tmp_path / "pool", tmp_path)
    two = slots.take(tmp_path / "pool", tmp_path)
    other = slots.take(tmp_path / "pool", tmp_path / "other")
    assert (one.folder.name, two.folder.name, other.folder.name) == ("0", "1", "0")
    assert one.folder.parent == two.folder.parent != other.folder.parent
    os.close(one.lock)
    again = slots.take(tmp_path / "pool", tmp_path)
    assert again.folder == one.folder
    for slot in (two, other, again):
        os.close(slot.lock)


def test_a_heir_of_the_lock_keeps_the_slot(tmp_path: Path) -> None:
    """A process that was handed the lock holds the slot after its parent let go; others do not inherit it."""
    slot = slots.take(tmp_path, tmp_path)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(slot.lock,)
        ) as heir,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as stranger,
    ):
        assert heir.stdout and stranger.stdout
        heir.stdout.readline(), stranger.stdout.readline()
        os.close(slot.lock)
        second = slots.take(tmp_path, tmp_path)
        assert second.folder.name == "1"
        heir.communicate()
        third = slots.take(tmp_path, tmp_path)
        assert third.folder == slot.folder
        stranger.communicate()
    os.close(second.lock)
    os.close(third.lock)


def test_all_slots_in_use_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to what leftover processes may take."""
    monkeypatch.setattr(slots, "_MOST_SLOTS", 2)
    held = [slots.take(tmp_path, tmp_path) for _ in range(2)]
    with pytest.raises(ProgramError, match="all 2 work places"):
        slots.take(tmp_path, tmp_path)
    for slot in held:
        os.close(slot.lock)


def test_slots_without_use_are_swept(tmp_path: Path) -> None:
    """After 14 days a slot goes, unless somebody holds it; younger ones stay; the look is once a day."""
    now = time.time()
    old, held, young = (slots.take(tmp_path, tmp_path / name) for name in ("old", "held", "young"))
    for slot in (old, held, young):
        (slot.folder / "file").write_text("x")
    for slot in (old, held):
        os.utime(slot.lock, (now - 15 * _DAY, now - 15 * _DAY))
    os.utime(young.lock, (now - 12 * _DAY, now - 12 * _DAY))
    os.close(old.lock)
    os.close(young.lock)
    (tmp_path / "swept").touch()
    slots.sweep(tmp_path, now)
    assert old.folder.exists()
    slots.sweep(tmp_path, now + _DAY / 2 + _DAY / 2 + 1)
    assert not old.folder.parent.exists()
    assert (held.folder / "file").exists() and (young.folder / "file").exists()
    os.close(held.lock)


def test_a_lock_file_that_was_deleted_is_not_a_lock(tmp_path: Path) -> None:
    """After somebody deleted the lock file, two runs do not share a slot by two files."""
    one = slots.take(tmp_path, tmp_path)
    os.unlink(one.folder.with_name("0.lock"))
    two = slots.take(tmp_path, tmp_path)
    assert os.path.samestat(os.fstat(two.lock), os.stat(two.folder.with_name("0.lock")))
    os.close(one.lock)
    os.close(two.lock)


def test_a_lock_file_deleted_under_our_lock_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep between our open and our lock: what was deleted is no lock, and the next try has the new file."""
    import fcntl

    flock = fcntl.flock
    path = tmp_path / "x.lock"

    def late(handle: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        path.touch()
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert locked(path, os.O_RDWR | os.O_CREAT) is None
    lock = locked(path, os.O_RDWR | os.O_CREAT)
    assert lock is not None and os.path.samestat(os.fstat(lock), path.stat())
    os.close(lock)


def test_stubborn_folders_are_removed(tmp_path: Path) -> None:
    """Folders without rights, read-only files and links are removed, and what a link points to is not."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "keep").write_text("x")
    inner = tmp_path / "tree" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (inner / "file").chmod(0o400)
    (inner / "link").symlink_to(tmp_path / "outside")
    inner.chmod(0o500)
    inner.parent.chmod(0)
    slots.remove(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert (tmp_path / "outside" / "keep").exists()
    (tmp_path / "tree").symlink_to(tmp_path / "outside")
    slots.remove(tmp_path / "tree")
    slots.remove(tmp_path / "never")
    assert (tmp_path / "outside" / "keep").exists()


@as_user
def test_folders_without_rights_are_opened_first(tmp_path: Path) -> None:
    """As a plain user too, nothing that a test locked away stays."""
    test_stubborn_folders_are_removed(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "quota"),
        ProgramError("git read-tree ended with 128: error: unable to write file x: No space left on device"),
    ],
)
def test_a_full_disk_says_where_and_how_to_move(tmp_path: Path, error: Exception) -> None:
    """Whoever noticed it, the user learns which disk is full."""
    with pytest.raises(ProgramError, match="no space left in") as caught, slots.explained(tmp_path):
        raise error
    assert str(tmp_path) in caught.value.what and "BUGSLE_POOL" in caught.value.hint


def test_other_errors_of_the_pool_are_explained_and_git_s_are_kept(tmp_path: Path) -> None:
    """An I/O error names the pool; an error of git's stays what it is."""
    with pytest.raises(ProgramError, match="cannot be used"), slots.explained(tmp_path):
        raise OSError(errno.EIO, "I/O error")
    with pytest.raises(ProgramError, match=r"^git x"), slots.explained(tmp_path):
        raise ProgramError("git x")
