"""Start a command under a keeper, so that whatever ends us ends everything below it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_bugsle.errors import ProgramError
from pytest_bugsle.runner import environment, keeper

if TYPE_CHECKING:
    from pytest_bugsle.runner.staging import Stage

GRACE = 10.0
"""Seconds that a keeper has to end by itself."""
TAIL = 16_384
_NO_ROOM = 65_536


class Kept:
    """One command that runs under a keeper, as `spec` says (see keeper.py)."""

    def __init__(self, spec: dict[str, object], stage: Stage, env: dict[str, str]) -> None:
        self.spec = spec
        self.stage = stage
        self._complaints = stage.folder / "keeper.err"
        stage.spec.write_text(json.dumps(spec), encoding="utf-8")
        lifeline, self._ours = os.pipe()
        with open(self._complaints, "wb") as stream:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(stage.spec)],
                    stdin=lifeline,
                    stdout=stream,
                    stderr=stream,
                    env=env,
                    start_new_session=True,
                    pass_fds=stage.request.keep_open,
                )
            except BaseException:
                os.close(self._ours)
                raise
            finally:
                os.close(lifeline)

    def wait(self, seconds: float) -> bool:
        """Wait for a process and say whether it has ended.

        `Popen.wait` with a time limit sleeps up to 50 ms at a time, which is a tenth of a quick proof.
        """
        process = self._process
        if process.poll() is None and hasattr(os, "pidfd_open"):
            try:
                handle = os.pidfd_open(process.pid)
            except OSError:
                pass  # no such call in this kernel, or no descriptor left
            else:
                try:
                    watch = select.poll()
                    watch.register(handle, select.POLLIN)
                    watch.poll(seconds * 1000)
                finally:
                    os.close(handle)
                return process.poll() is not None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the command with all that it started; the keeper kills it when its lifeline ends."""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1
        process = self._process
        if not self.wait(GRACE):
            process.kill()
            process.wait()
        if process.returncode:
            keeper.kill_marked(f"{environment.TEMPORARY}={self.spec['temporary']}", process.pid)
            keeper.clear(str(self.spec["temporary"]))

    def outcome(self) -> tuple[str, int | None]:
        """Return how the command ended, and its exit code; ProgramError where it could not be started."""
        process, stage = self._process, self.stage
        try:
            result = json.loads(stage.result.read_text("utf-8"))
        except (OSError, ValueError):
            if process.returncode < 0:  # a test can kill its keeper, too
                return "exit", process.returncode
            check_room(stage)
            raise ProgramError(
                f"the inner pytest of {self.spec['cwd']!r} could not be started or watched",
                why=tail(self._complaints).strip().rpartition("\n")[2],
                hint=f"try it by hand: {stage.request.python} -m pytest",
            ) from None
        return str(result["ended"]), result["code"]


def check_room(stage: Stage) -> None:
    """Raise where the disk is full: what was recorded there may be cut off, and tests fail by it."""
    if shutil.disk_usage(stage.folder).free < _NO_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(stage.folder))


def tail(path: Path) -> str:
    """Return the end of what a process wrote."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            return stream.read().decode("utf-8", "backslashreplace")
    except OSError:
        return ""
