"""Run one command and let nothing of it outlive us.  PYTEST_DONT_REWRITE

Standalone: started with `python -I -S keeper.py SPEC.json` in a session of its own. Standard input is the
lifeline, a pipe whose other end our parent holds: at its end every descendant is killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # typing itself costs milliseconds of each start
if TYPE_CHECKING:
    from typing import Any

POLL = 0.1
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: a daemon of a test is handed to us, not to init


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux)."""
    if sys.platform.startswith("linux"):
        import ctypes

        try:
            ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
        except (OSError, AttributeError):
            pass


def children(pid: int) -> list[int]:
    """List the direct children of a process (Linux)."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children") as stream:
                found.extend(int(word) for word in stream.read().split())
        except (OSError, ValueError):
            continue
    return found


def descendants(pid: int) -> list[int]:
    """List children of children too, parents first."""
    found: list[int] = []
    queue = [pid]
    while queue:
        for child in children(queue.pop()):
            if child not in found:
                found.append(child)
                queue.append(child)
    return found


def reap() -> dict[int, int]:
    """Collect every child that has ended."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except OSError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def kill_descendants() -> None:
    """Kill until none is left: one may fork while we look."""
    for _ in range(200):
        alive = descendants(os.getpid())
        if not alive:
            return
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.002)
        reap()


def kill_marked(mark: str, group: int) -> None:
    """Kill what a keeper left that was killed itself: its group, and daemons by their environment (Linux)."""
    for _ in range(200):
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass
        alive = marked(os.fsencode(mark))
        if not alive:
            return
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.002)


def marked(mark: bytes) -> list[int]:
    """List the processes that have this variable with this value in their environment (Linux)."""
    found: list[int] = []
    for name in os.listdir("/proc") if sys.platform.startswith("linux") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as stream:
                if mark in stream.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


class Progress:
    """Tell from the growing records how long the run may stay silent."""

    def __init__(self, path: str, timeout: float, idle_timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self.idle_timeout = idle_timeout
        self.size = 0
        self.since = time.monotonic()
        self.in_test = False

    def stalled(self) -> bool:
        """Say whether nothing was recorded for longer than allowed."""
        try:
            size = os.stat(self.path).st_size
        except OSError:
            size = 0
        if size != self.size:
            self.since = time.monotonic()
            with open(self.path, "rb") as stream:
                stream.seek(max(0, size - 65536))
                last = stream.read().rstrip(b"\n").rpartition(b"\n")[2]
            self.in_test = last.startswith((b'{"t":"run"', b'{"t":"phase"', b'{"t":"begin"'))
            self.size = size
        limit = self.timeout if self.in_test else self.idle_timeout
        return time.monotonic() - self.since > limit


def keep(spec: dict[str, Any]) -> dict[str, object]:
    """Run the command of `spec` and say how it ended."""
    adopt_orphans()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    stopping: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    os.chdir(spec["cwd"])
    os.mkdir(spec["temporary"], 0o700)
    command = [str(word) for word in spec["command"]]
    output = spec["output"]
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsigdef=[signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE],
    )
    deadline = time.monotonic() + spec["deadline"]
    progress = Progress(spec["records"], spec["timeout"], spec["idle_timeout"])
    ended = ""
    status: int | None = None
    while True:
        status = reap().get(child)
        if status is not None:
            ended = "exit"
        elif stopping:
            ended = "stopped"
        elif time.monotonic() > deadline:
            ended = "deadline"
        elif progress.stalled():
            ended = "stalled"
        if ended:
            break
        ready, _, _ = select.select([0, wake_read], [], [], POLL)
        if 0 in ready and not os.read(0, 1):
            ended = "orphaned"
            break
        if wake_read in ready:
            os.read(wake_read, 4096)
    if ended in ("stalled", "deadline"):
        ask_for_stack(child, spec["signal"], spec["stack"])
    kill_descendants()
    if ended == "orphaned":
        clear(spec["folder"])
    code: int | None = None
    if ended == "stopped":  # somebody asked us to end, which may have been the test
        return {"ended": "exit", "code": -stopping[0]}
    if status is not None:
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return {"ended": ended, "code": code}


def clear(folder: str) -> None:
    """Remove a folder with all it holds, whatever modes a test left there; what cannot be removed stays."""
    pending, emptied = [folder], []
    while pending:
        here = pending.pop()
        emptied.append(here)
        try:
            os.chmod(here, 0o700)
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        os.unlink(entry.path)
        except OSError:
            continue
    for here in reversed(emptied):
        try:
            os.rmdir(here)
        except OSError:
            continue


def ask_for_stack(child: int, number: int, path: str) -> None:
    """Let faulthandler in the child write where it is: it answers even inside C code."""
    if number <= 0:
        return
    try:
        os.kill(child, number)
    except OSError:
        return
    for _ in range(20):
        time.sleep(0.01)
        try:
            if os.stat(path).st_size:
                time.sleep(0.02)
                return
        except OSError:
            pass


def main() -> int:
    """Keep the command of the spec file named on the command line."""
    with open(sys.argv[1], encoding="utf-8") as stream:
        spec = json.load(stream)
    try:
        result = keep(spec)
    finally:
        kill_descendants()
        clear(spec["temporary"])
    partial = spec["result"] + ".part"
    if result["ended"] != "orphaned":
        with open(partial, "w", encoding="utf-8") as stream:
            json.dump(result, stream)
        os.replace(partial, spec["result"])
    if not sys.platform.startswith("linux"):
        os.killpg(os.getpgrp(), signal.SIGKILL)  # no /proc to find descendants by; we are the group's leader
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
