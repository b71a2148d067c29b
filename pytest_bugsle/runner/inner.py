"""Run selected tests of a tree in a process of their own and say what happened.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from pytest_bugsle.runner import environment, keeper, records, staging
from pytest_bugsle.runner.kept import GRACE, TAIL, Kept, check_room, tail
from pytest_bugsle.runner.outcome import Error, Facts, Frame, Outcome, Request, Run, Selector

__all__ = ["Error", "Facts", "Frame", "Outcome", "Request", "Run", "Selector", "run"]

_IDLE = 60.0  # an import or a session's end may take longer than any one test


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
    spawned: set[str] = field(default_factory=set)

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
        self.spawned |= session.spawned
        for path, lines in session.reached_import.items():
            self.reached_import[path] = tuple(sorted({*self.reached_import.get(path, ()), *lines}))
        self.code = attempt.code if session.code is None else session.code
        self.output = (self.output + attempt.output)[-TAIL:]
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
                self.problem = self.problem or complaint(attempt.output) or death(attempt.code, None)
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
            what = "still running at its time limit" if timeout else death(attempt.code, session.code)
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
            what = "still being imported at the time limit" if timeout else death(attempt.code, session.code)
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
            spawned=frozenset(self.spawned),
        )


def death(code: int | None, session_code: int | None) -> str:
    """Say how a process died."""
    if session_code is not None:
        return f"the test ended the session (exit code {session_code})"
    if code is not None and code < 0:
        try:
            return f"the process was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"the process was killed by signal {-code}"
    return f"the process exited with code {code}"


def complaint(output: str) -> str:
    """Choose the line that says why pytest refused to run."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "rror: " in line and not line.startswith("ERROR: usage:")]
    return (errors or lines or [""])[-1]


def _attempt(
    request: Request, stage: staging.Stage, merged: _Merged, temporary: str
) -> tuple[records.Session, _Attempt]:
    """Run one process over what is left."""
    files = stage.prepare(skip=merged.outcomes, dead_files=merged.dead_files)
    spec = stage.task(
        files,
        temporary,
        timeout=request.timeout,
        idle_timeout=max(request.timeout, _IDLE),
        deadline=max(0.1, merged.until - time.monotonic()),
    )
    ended, code = _keep(spec, stage, stage.environment(temporary))
    check_room(stage)
    session = records.read(stage.records.read_bytes() if stage.records.exists() else b"")
    stack = stage.stack.read_bytes().decode("utf-8", "replace") if stage.stack.exists() else ""
    return session, _Attempt(ended, code, stack, tail(stage.output))


def _keep(spec: dict[str, object], stage: staging.Stage, env: dict[str, str]) -> tuple[str, int | None]:
    """Start the keeper over the command, and wait; whatever ends us ends everything below it."""
    if os.name == "nt":
        return _run_directly(spec, stage, env)
    kept = Kept(spec, stage, env)
    try:
        kept.wait(float(str(spec["deadline"])) + GRACE)
    finally:
        kept.end()  # also on Ctrl-C
    return kept.outcome()


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
