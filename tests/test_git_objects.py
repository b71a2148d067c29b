"""Reading objects through one process."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.errors import ProgramError
from pytest_bugsle.git.objects import ObjectReader
from pytest_bugsle.git.repository import Repository


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Give a repository with twenty files."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({f"f{number}": f"{number}\n" * (number + 1) * 3000 for number in range(20)})
    return sandbox.open()


def _children() -> set[int]:
    return {int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are counted in /proc")


@needs_proc
def test_closing_ends_the_process(repo: Repository) -> None:
    """No process stays behind, and a read after that starts another."""
    before = _children()
    sha = repo.listing("HEAD")["f3"].sha
    repo.blob(sha)
    repo.blob(sha)
    assert len(_children() - before) == 1
    repo.close()
    assert _children() <= before
    assert repo.blob(sha).startswith(b"3\n")
    repo.close()


@needs_proc
def test_a_forgotten_repository_takes_its_process_along(repo: Repository) -> None:
    """Without close, the process ends with the object."""
    before = _children()
    other = Repository.open(repo.top)
    other.blob(other.listing("HEAD")["f1"].sha)
    assert _children() - before
    del other
    gc.collect()
    assert _children() <= before


@needs_proc
def test_a_killed_process_is_started_again(repo: Repository) -> None:
    """A reader that something else has killed is replaced once."""
    before = _children()
    sha = repo.listing("HEAD")["f5"].sha
    content = repo.blob(sha)
    (child,) = _children() - before
    os.kill(child, signal.SIGKILL)
    assert repo.blob(sha) == content
    repo.close()


def test_threads_get_their_own_answers(repo: Repository) -> None:
    """Readers in several threads do not mix what they read."""
    listing = repo.listing("HEAD")
    wrong: list[str] = []

    def read() -> None:
        for name, entry in listing.items():
            if repo.blob(entry.sha) != f"{name[1:]}\n".encode() * (int(name[1:]) + 1) * 3000:
                wrong.append(name)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repo.close()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_reads_by_itself(repo: Repository) -> None:
    """After a fork the child's reads and its end leave the parent's process alone."""
    listing = repo.listing("HEAD")

    def read(times: int) -> bool:
        return all(
            repo.blob(listing[f"f{number}"].sha).startswith(f"{number}\n".encode())
            for _ in range(times)
            for number in range(20)
        )

    assert read(1)
    child = os.fork()
    if child == 0:
        right = False
        try:
            right = read(10)
            repo.close()
        finally:
            os._exit(0 if right else 1)
    assert read(20)
    assert os.waitpid(child, 0)[1] == 0
    assert read(1)
    repo.close()


def test_a_program_that_answers_nothing_is_an_error() -> None:
    """A git that ends at once is not asked for ever."""
    reader = ObjectReader(["true"], dict(os.environ))
    with pytest.raises(ProgramError, match="cat-file ended"):
        list(reader.read(["0" * 40]))
