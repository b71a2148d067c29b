"""Run selected tests of a tree in a process of their own and say what happened.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import errno
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from pytest_bugsle.errors import ProgramError
from pytest_bugsle.runner import environment, keeper, records, staging
from pytest_bugsle.runner.outcome import Error, Facts, Frame, Outcome, Request, Run, Selector

__all__ = ["Error", "Facts", "Frame", "Outcome", "Request", "Run", "Selector", "run"]

_TAIL = 16_384
_IDLE = 60.0  # an import or a session's end may take longer than any one test
_GRACE = 10.0
_NO_ROOM = 65_536


def run(request: Request) -> Run:
    """Run the selected tests in the tree; one that hangs or kills its process costs only itself."""
    return _run(request, guard=True)


def _run(request: Request, *, guard: bool) -> Run:
    """Run with or without the import guard: without, the certificate has to notice a wrong tree."""
    started = time.monotonic()
    staging.check_tree(request)
    environment.require_pytest(request.python)
    merged = _Merged(request, started + request.deadline)
    stage = staging.Stage(request, guard=guard)
    # Its keeper makes it and removes it, so that it does not outlive a kill of ours at any moment.
    temporary = os.path.join(tempfile.gettempdir(), f"bgs-{secrets.token_hex(6)}")
    try:
        if stage.files:
            while merged.goes_on():
                merged.add(*_attempt(request, stage, merged, temporary))
        else:
            merged.ended, merged.certified = "finished", True
    finally:
        stage.remove()
        keeper.clear(temporary)
    return merged.result(time.monotonic() - started)


@dataclass(slots=True)
class _Attempt:
    """How one process ended."""

    ended: str
    code: int | None
    stack: str
    output: str


@dataclass(slots=True)
class _Merged:
    """Join the processes that one run may need."""

    request: Request
    until: float
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    matched: set[tuple[str, str]] = field(default_factory=set)
    items: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    collect_errors: dict[str, Error] = field(default_factory=dict)
    dead_files: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    certified: bool = False
    collected: bool = False
    code: int | None = None
    ended: str = ""
    again: bool = True
    reached: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    reached_import: dict[str, tuple[int, ...]] = field(default_factory=dict)
    reach_note: str = ""
    output: str = ""
    problem: str = ""
    dropped: tuple[str, ...] = ()

    def goes_on(self) -> bool:
        """Say whether tests are left that another process can run in time."""
        return self.again and time.monotonic() < self.until

    def add(self, session: records.Session, attempt: _Attempt) -> None:
        """Take in what one process found, and decide whether to start another for the rest."""
        request = self.request
        self.items.update(session.items)
        self.matched.update(session.matched)
        self.outcomes.update(session.outcomes)
        self.collect_errors.update(session.collect_errors)
        self.wrong.extend(reason for reason in session.wrong if reason not in self.wrong)
        self.certified = self.certified or session.certified
        self.collected = self.collected or session.collected
        self.reached.update(session.reached)
        for path, lines in session.reached_import.items():
            self.reached_import[path] = tuple(sorted({*self.reached_import.get(path, ()), *lines}))
        self.code = attempt.code if session.code is None else session.code
        self.output = (self.output + attempt.output)[-_TAIL:]
        self.problem = self.problem or session.problem
        self.dropped = self.dropped or session.dropped
        if request.reach is not None and session.reach_note != "":
            self.reach_note = session.reach_note or "reach is incomplete: the run was cut short"
        cut = attempt.ended != "exit"
        if not cut and session.code is not None and session.current is None:
            self.ended, self.again = self.ended or "finished", False
            return
        self.ended = "timeout" if cut else "died" if session.code is None else "interrupted"
        if not cut and session.code is None and (session.problem or not session.started):
            self.ended, self.again = "finished", False  # refused before any test: usage, a conftest, a plugin
            if not session.collect_errors:
                self.problem = self.problem or _complaint(attempt.output) or _death(attempt.code, None)
            return
        self.again = attempt.ended != "deadline" and self._blame(session, attempt)

    def _blame(self, session: records.Session, attempt: _Attempt) -> bool:
        """Give the test or file that was running the blame; say whether there was one."""
        tree = os.path.realpath(self.request.tree)
        timeout = attempt.ended != "exit"
        if session.current is not None:
            path, name, line = session.items.get(session.current, ("", "", None))
            text = attempt.stack or attempt.output
            frames, in_changed, in_test = records.stack_of(text, tree, self.request.changed, path)
            timeout = timeout or "+ Timeout +" in attempt.output  # pytest-timeout's thread method
            what = "still running at its time limit" if timeout else _death(attempt.code, session.code)
            error = Error(
                type="Timeout" if timeout else "Died",
                message=what,
                frames=frames,
                in_changed=in_changed,
                in_test=in_test,
            )
            status = "timeout" if timeout else "died"
            self.outcomes[session.current] = Outcome(
                session.current, status, "call", error, 0.0, path, name, line
            )
            return True
        if session.file is not None and session.file not in self.dead_files:
            frames, in_changed, in_test = records.stack_of(
                attempt.stack or attempt.output, tree, self.request.changed, session.file
            )
            what = "still being imported at the time limit" if timeout else _death(attempt.code, session.code)
            self.collect_errors[session.file] = Error(
                type="Timeout" if timeout else "Died",
                message=what,
                frames=frames,
                in_changed=in_changed,
                in_test=in_test,
            )
            self.dead_files.add(session.file)
            return True
        return False

    def result(self, seconds: float) -> Run:
        """Complete the run with what is missing, and withhold trust where nothing was checked."""
        wrong = list(self.wrong)
        if not self.certified and self.ended == "finished" and not self.problem and not self.collect_errors:
            wrong.append("the run ended before it could be checked where the code came from")
        for id_, (path, name, line) in self.items.items():
            if id_ not in self.outcomes:
                self.outcomes[id_] = Outcome(id_, "missing", path=path, name=name, line=line)
        for selector in self.request.selectors:
            if selector.path not in self.collect_errors and not self.problem:
                for name in sorted(selector.names or ()):
                    if (selector.path, name) not in self.matched:
                        id_ = f"{selector.path}::{name.replace('.', '::')}"
                        missing = Outcome(id_, "missing", path=selector.path, name=name)
                        self.outcomes.setdefault(id_, missing)
        return Run(
            outcomes=self.outcomes,
            collect_errors=self.collect_errors,
            wrong_tree=tuple(wrong),
            exit_code=self.code,
            ended=self.ended or "timeout",
            reached=self.reached,
            reached_import=self.reached_import,
            reach_note=self.reach_note,
            output=self.output,
            seconds=seconds,
            problem=self.problem,
            dropped=self.dropped,
        )


def _death(code: int | None, session_code: int | None) -> str:
    if session_code is not None:
        return f"the test ended the session (exit code {session_code})"
    if code is not None and code < 0:
        try:
            return f"the process was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"the process was killed by signal {-code}"
    return f"the process exited with code {code}"


def _complaint(output: str) -> str:
    """Choose the line that says why pytest refused to run."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "rror: " in line and not line.startswith("ERROR: usage:")]
    return (errors or lines or [""])[-1]


def _attempt(
    request: Request, stage: staging.Stage, merged: _Merged, temporary: str
) -> tuple[records.Session, _Attempt]:
    """Run one process over what is left."""
    files = stage.prepare(skip=merged.outcomes, dead_files=merged.dead_files)
    env = environment.inner_environment(
        os.environ,
        python=request.python,
        tree=stage.tree,
        user_top=request.user_top,
        first=[stage.site, *(stage.tree / root for root in request.import_roots if stage.guard)],
        temporary=temporary,
    )
    spec = {
        "command": stage.command(files),
        "cwd": str(stage.tree / request.rootdir),
        "output": str(stage.output),
        "records": str(stage.records),
        "result": str(stage.result),
        "stack": str(stage.stack),
        "temporary": temporary,
        "folder": str(stage.folder),
        "signal": staging.stack_signal(),
        "timeout": request.timeout,
        "idle_timeout": max(request.timeout, _IDLE),
        "deadline": max(0.1, merged.until - time.monotonic()),
    }
    ended, code = _keep(spec, stage, env)
    _check_room(stage)
    session = records.read(stage.records.read_bytes() if stage.records.exists() else b"")
    stack = stage.stack.read_bytes().decode("utf-8", "replace") if stage.stack.exists() else ""
    return session, _Attempt(ended, code, stack, _tail(stage.output))


def _keep(spec: dict[str, object], stage: staging.Stage, env: dict[str, str]) -> tuple[str, int | None]:
    """Start the keeper over the command, and wait; whatever ends us ends everything below it."""
    if os.name == "nt":
        return _run_directly(spec, stage, env)
    stage.spec.write_text(json.dumps(spec), encoding="utf-8")
    complaints = stage.folder / "keeper.err"
    lifeline, ours = os.pipe()
    with open(complaints, "wb") as stream:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(stage.spec)],
                stdin=lifeline,
                stdout=stream,
                stderr=stream,
                env=env,
                start_new_session=True,
                pass_fds=stage.request.keep_open,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(lifeline)
    try:
        _wait(process, float(str(spec["deadline"])) + _GRACE)
    finally:
        os.close(ours)  # also on Ctrl-C: the keeper then kills all that it started
        if not _wait(process, _GRACE):
            process.kill()
            process.wait()
        if process.returncode:
            keeper.kill_marked(f"{environment.TEMPORARY}={spec['temporary']}", process.pid)
            keeper.clear(str(spec["temporary"]))
    try:
        result = json.loads(stage.result.read_text("utf-8"))
    except (OSError, ValueError):
        if process.returncode < 0:  # a test can kill its keeper, too
            return "exit", process.returncode
        _check_room(stage)
        raise ProgramError(
            f"the inner pytest of {spec['cwd']!r} could not be started or watched",
            why=_tail(complaints).strip().rpartition("\n")[2],
            hint=f"try it by hand: {stage.request.python} -m pytest",
        ) from None
    return str(result["ended"]), result["code"]


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process and say whether it has ended.

    `Popen.wait` with a time limit sleeps up to 50 ms at a time, which is a tenth of a quick proof.
    """
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


def _check_room(stage: staging.Stage) -> None:
    """Raise where the disk is full: what was recorded there may be cut off, and tests fail by it."""
    if shutil.disk_usage(stage.folder).free < _NO_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(stage.folder))


def _run_directly(
    spec: dict[str, object], stage: staging.Stage, env: dict[str, str]
) -> tuple[str, int | None]:
    """Run without a keeper, where there are no process groups: a daemon of a test may outlive us."""
    command = spec["command"]
    assert isinstance(command, list)
    os.makedirs(str(spec["temporary"]), 0o700, exist_ok=True)
    with open(stage.output, "wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env, cwd=str(spec["cwd"])
        )
        try:
            return "exit", process.wait(float(str(spec["deadline"])))
        except subprocess.TimeoutExpired:
            return "deadline", None
        finally:
            process.kill()
            process.wait()


def _tail(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            return stream.read().decode("utf-8", "backslashreplace")
    except OSError:
        return ""
