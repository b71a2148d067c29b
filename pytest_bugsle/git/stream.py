"""Read a long history while git still walks it, in blocks of columns.  PYTEST_DONT_REWRITE

A commit object a commit would cost more than git's own walk. A block of commits comes as one list a field,
which the reader can work on without a loop of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pytest_bugsle.git.command import arguments, environment, executable, failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import IO

    from pytest_bugsle.git.repository import Repository

# A message cannot hold a NUL (git ends it there), so a fixed count of NUL-ended fields needs no escaping.
FIELDS = ("%H", "%P", "%at", "%ct", "%an <%ae>", "%B")
ARGUMENTS = (
    "log",
    "-z",
    "--format=tformat:" + "%x00".join(FIELDS),
    "--encoding=UTF-8",
    "--no-patch",
    "--no-notes",
)
#: What would change parents, and so every answer, without a trace in the commits.
PINNED: Mapping[str, str] = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
_BLOCK = 1 << 18


class Block(NamedTuple):
    """Some commits, field by field; text is Latin-1, one character a byte (`text_of` reads it as UTF-8)."""

    shas: list[str]
    parents: list[str]
    author_times: array[int]
    commit_times: array[int]
    authors: list[str]
    messages: list[str]


def stream_log(repo: Repository, tips: Iterable[str]) -> Iterator[Block]:
    """Yield all commits that are reachable from the tips (full names of commits), in git's order.

    Replace refs, grafts and the mailmap are not followed. ProgramError when git fails.
    """
    width = len(FIELDS)
    rest = ""
    for block in _output(repo, (*ARGUMENTS, "--stdin"), "".join(f"{tip}\n" for tip in tips).encode("ascii")):
        # Latin-1 is a copy: nothing is decoded that nobody reads.
        fields = (rest + block.decode("latin-1")).split("\0")
        whole = (len(fields) - 1) // width * width
        rest = "\0".join(fields[whole:])
        del fields[whole:]
        yield Block(
            fields[0::width],
            fields[1::width],
            _seconds(fields[2::width]),
            _seconds(fields[3::width]),
            fields[4::width],
            fields[5::width],
        )


def text_of(latin: str) -> str:
    """Return text of a block as UTF-8 says it; bytes that are none become lone surrogates."""
    return latin.encode("latin-1").decode("utf-8", "surrogateescape")


def _output(repo: Repository, args: tuple[str, ...], given: bytes) -> Iterator[bytes]:
    # What git complains about goes to a file: a full pipe would stop it.
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            arguments(executable(), str(repo.top), args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            # Into a pipe git would write each commit by itself: half again the time of its walk.
            env={**environment(os.environ), **PINNED, "GIT_FLUSH": "0"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _widen(process.stdout)
            with suppress(BrokenPipeError):
                process.stdin.write(given)
                process.stdin.close()
            while block := process.stdout.read(_BLOCK):
                yield block
            code = process.wait()
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            process.wait()
        if code:
            complaints.seek(0)
            raise failure(args, code, complaints.read())


def _widen(pipe: IO[bytes]) -> None:
    # Linux alone: with room for a block git walks on while the last one is read.
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _BLOCK)


def _seconds(column: list[str]) -> array[int]:
    try:
        return array("q", map(int, column))
    except (ValueError, OverflowError):  # a damaged commit: git prints no time for it
        return array(
            "q", [int(text) if text.lstrip("-").isdecimal() and len(text) < 18 else 0 for text in column]
        )
