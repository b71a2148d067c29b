"""Collect once, then run sequences of tests: in forks, or each in a process of its own.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import errno
import json
import os
import secrets
import select
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from pytest_bugsle.errors import ProgramError, UndecidedError
from pytest_bugsle.runner import environment, keeper, records, staging
from pytest_bugsle.runner.inner import complaint, death
from pytest_bugsle.runner.kept import GRACE, Kept, tail
from pytest_bugsle.runner.outcome import Error, Item, Outcome, Ran, Request, Selector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

World = tuple[tuple[str, str | int | float | bool], ...]

_POLL_MS = 100
_HELD = 4
"""How many forks are held at once: each keeps what it changed of its parent's memory."""
_WORTH_HOLDING = 8
"""Tests that must have run before a fork is held: fewer are run again in the time that holding takes."""
_MOST_NAMED = 100_000
"""Characters of ids that a command line may hold."""


@dataclass(slots=True)
class _Held:
    """A fork that waits in the middle of a sequence."""

    name: str
    tests: tuple[int, ...]
    outcomes: tuple[Outcome, ...]
    commands: int
    pid: int
    records: Path


class Sequences:
    """One collected pytest over a tree, which runs sequences of tests.

    `tidy` puts the tree back as it was and says whether anything had changed: tests that leave files behind
    would else be met by the next sequence.
    """

    def __init__(self, request: Request, tidy: Callable[[], bool]) -> None:
        """Start pytest and collect; ProgramError, or UndecidedError, where that fails."""
        self.request = replace(request, everything=True)
        self._tidy = tidy
        self._until = time.monotonic() + request.deadline
        self._stage = staging.Stage(self.request)
        self._temporary = _temporary()
        self._answers = -1
        self._pending = b""
        self._command = 0
        self._held: list[_Held] = []
        self._root = -1
        self._kept: Kept | None = None
        self.forks = True
        self.started = 0
        self._targets: list[str] = []
        self.unordered: list[str] = []
        self.collect_errors: Mapping[str, Error] = {}
        try:
            self.items = self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End pytest with all its forks."""
        for handle in (self._answers, self._root, *(held.commands for held in self._held)):
            if handle >= 0:
                os.close(handle)
        self._answers = self._root = -1
        self._held.clear()
        if self._kept is not None:
            self._kept.end()
            self._kept = None
        self._stage.remove()
        keeper.clear(self._temporary)

    def _taken(self, data: bytes) -> tuple[Item, ...]:
        self._targets = _listed(data, "targets", "targets")
        self.unordered = _listed(data, "unordered", "options")
        return _items(data)

    @property
    def spent(self) -> bool:
        """Say whether the time is over: what still runs is then of no use."""
        return time.monotonic() >= self._until

    # --- starting ----------------------------------------------------------------------------------

    def _start(self) -> tuple[Item, ...]:
        environment.require_pytest(self.request.python)
        if os.name == "nt":
            self.forks = False
            return self._collect()
        os.mkfifo(self._stage.folder / "answers", 0o600)
        self._answers = os.open(self._stage.folder / "answers", os.O_RDWR | os.O_NONBLOCK)
        return self._serve()

    def _serve(self) -> tuple[Item, ...]:
        """Start the pytest that collects and then takes commands."""
        self._kept = _keep(self._stage, self.request, self._temporary, self._until, {})
        ready = self._await(0)
        if ready is None and self.spent:
            raise UndecidedError(
                "the budget was used up while tests were collected", hint="give more: --budget SECONDS"
            )
        data = _bytes_of(self._stage.records)
        session = records.read(data)
        if ready is None or ready.get("event") != "ready":
            if b'{"t":"threads"' not in data:
                raise _not_collected(session, tail(self._stage.output))
            self.forks = False  # a conftest or an import started a thread
        else:
            self._root = _commands(self._stage.folder / "root")
        self.collect_errors = session.collect_errors
        if not session.items:
            raise _not_collected(session, tail(self._stage.output))
        return self._taken(data)

    def _serve_again(self) -> None:
        """Start anew after a test ended the pytest that takes commands, which is its parent."""
        for handle in (self._root, *(held.commands for held in self._held)):
            if handle >= 0:
                os.close(handle)
        self._root = -1
        self._held.clear()
        if self._kept is not None:
            self._kept.end()
        (self._stage.folder / "root").unlink(missing_ok=True)
        self._pending = b""
        while select.select([self._answers], [], [], 0)[0]:
            os.read(self._answers, 65536)
        if self._serve() != self.items or not self.forks:
            raise ProgramError(
                "pytest collects other tests when it collects again",
                hint="a test may kill its parent process: leave it out with -k or --deselect",
            )

    def _collect(self) -> tuple[Item, ...]:
        """Collect in a process that runs nothing."""
        _, data, output = _one(self._stage, self.request, self._temporary, self._until, ())
        session = records.read(data)
        self.collect_errors = session.collect_errors
        if not session.items:
            raise _not_collected(session, output)
        return self._taken(data)

    # --- running -----------------------------------------------------------------------------------

    def run(self, tests: Sequence[int], *, hold: int = 0) -> Ran:
        """Run tests by their numbers, in this order, in a fork.

        The first `hold` of them are likely to come again: what they leave is kept in a held fork.
        """
        begun = time.monotonic()
        wanted = tuple(tests)
        held = self._nearest(wanted)
        if hold - (len(held.tests) if held else 0) >= _WORTH_HOLDING:
            self._hold(held, wanted[:hold])
        answer: dict[str, Any] = {"event": "lost"}
        while answer["event"] == "lost":
            held = self._nearest(wanted)
            left = wanted[len(held.tests) :] if held else wanted
            answer, data = self._order(held, left)
            self._tidy()
        ran = _ran(
            data, answer["code"], len(left), stalled=answer["stalled"], seconds=time.monotonic() - begun
        )
        if answer["event"] == "budget":
            ran = _cut_off(ran, data)
        if held is None:
            return ran
        before = held.outcomes
        if b'{"t":"teardown"' in data and before and before[-1].status not in ("failed", "error"):
            before = (*before[:-1], replace(before[-1], status="error", phase="teardown"))
        return replace(ran, outcomes=(*before, *ran.outcomes), of=len(before) + ran.of)

    def inside(self, tests: Sequence[int], world: Mapping[str, Any]) -> Ran:
        """Run tests in a fork that is put into a controlled world first (see worlds.py)."""
        return self._special(tests, world=dict(world))[0]

    def watched(
        self, tests: Sequence[int], count: int, restore: tuple[str, str] | None = None
    ) -> tuple[Ran, list[dict[str, Any]], bool]:
        """Run tests in a fork; return also what the first `count` left behind, what matters most first.

        The difference of the kind and name `restore` is put back before the rest runs; the third value says
        whether that could be done.
        """
        more = {} if restore is None else {"restore": list(restore)}
        ran, data = self._special(tests, watch=count, **more)
        left = _listed(data, "state", "left")
        return ran, left, b'{"t":"restored","done":true}' in data

    def _special(self, tests: Sequence[int], **more: Any) -> tuple[Ran, bytes]:
        begun = time.monotonic()
        answer, data = self._order(None, tuple(tests), **more)
        self._tidy()
        seconds = time.monotonic() - begun
        if answer["event"] == "budget":
            return Ran((), "budget", seconds), data
        return _ran(data, answer["code"], len(tests), stalled=answer["stalled"], seconds=seconds), data

    def apart(
        self,
        tests: Sequence[int],
        where: Path,
        environ: Mapping[str, str] | None = None,
        world: World = (),
    ) -> Ran:
        """Run tests by their numbers in a pytest of their own, over another copy of the tree at `where`.

        It collects no more than the files of these tests, as a user would who tries them by hand.
        """
        begun = time.monotonic()
        sequence: list[tuple[str, int]] = []
        for number in tests:
            item = self.items[number]
            twins = [other.number for other in self.items if other.id == item.id]
            sequence.append((item.id, twins.index(number)))
        request = replace(self.request, tree=where, sequence=tuple(sequence), world=world)
        fewer = replace(request, args=_without(request.args, self._targets))
        ids = tuple(id_ for id_, _ in sequence)
        files = tuple(Selector(path) for path in dict.fromkeys(self.items[n].path for n in tests))
        ways = [
            replace(fewer, args=(*fewer.args, *ids)),
            replace(fewer, selectors=files),  # where no command line says this
            request,  # nor any path, as where a folder has brackets
        ]
        if len(set(sequence)) < len(sequence) or sum(map(len, ids)) > _MOST_NAMED:
            ways.pop(0)
        for way in ways:
            ran = self._apart(way, environ)
            if ran.ended != "unable":
                break
        return replace(ran, seconds=time.monotonic() - begun)

    def _apart(self, request: Request, environ: Mapping[str, str] | None) -> Ran:
        stage = staging.Stage(request)
        temporary = _temporary()
        try:
            (ended, code), data, output = _one(stage, request, temporary, self._until, environ or {})
        finally:
            stage.remove()
            keeper.clear(temporary)
        ran = _ran(data, code, len(request.sequence or ()), stalled=ended != "exit", seconds=0.0)
        if self.spent or ended == "deadline":
            return _cut_off(ran, data)
        if not ran.outcomes:
            return replace(ran, ended="unable", why=complaint(output))
        return replace(ran, plain=b'{"t":"plain"' in data and not request.selectors)

    def _nearest(self, wanted: tuple[int, ...]) -> _Held | None:
        """Return the held fork that has run most of how this sequence begins."""
        fitting = [held for held in self._held if held.tests == wanted[: len(held.tests)]]
        nearest = max(fitting, key=lambda held: len(held.tests), default=None)
        if nearest is not None:  # the last used goes last
            self._held.remove(nearest)
            self._held.append(nearest)
        return nearest

    def _hold(self, held: _Held | None, tests: tuple[int, ...]) -> None:
        """Run tests and keep the fork that ran them, where what they leave can be kept."""
        done = len(held.tests) if held else 0
        name = f"held-{self._command + 1}"
        answer, data = self._order(held, tests[done:], hold=name)
        dirty = self._tidy()
        if answer["event"] != "ready":
            return
        outcomes, _ = records.read_sequence(data)
        before = held.outcomes if held else ()
        commands = _commands(self._stage.folder / name)
        if commands < 0:
            return
        kept = self._stage.folder / f"sequence-{self._command}"
        reached = _Held(name, tests, (*before, *outcomes), commands, answer["pid"], kept)
        if dirty:  # the files that go with its memory are gone
            self._dismiss(reached)
            return
        self._held.append(reached)
        if len(self._held) > _HELD:
            self._dismiss(self._held.pop(0))

    def _dismiss(self, held: _Held) -> None:
        with suppress(OSError):
            os.write(held.commands, b'{"end":true}\n')
        os.close(held.commands)
        held.records.unlink(missing_ok=True)
        (self._stage.folder / held.name).unlink(missing_ok=True)

    def _order(self, held: _Held | None, tests: tuple[int, ...], **more: Any) -> tuple[dict[str, Any], bytes]:
        self._command += 1
        self.started += 1
        path = self._stage.folder / f"sequence-{self._command}"
        order = {
            "command": self._command,
            "tests": tests,
            "records": path.name,
            "timeout": self.request.timeout,
            **more,
        }
        line = json.dumps(order, separators=(",", ":")).encode("ascii") + b"\n"
        handle = held.commands if held else self._root
        with suppress(OSError):
            while line:
                line = line[os.write(handle, line) :]
        answer = self._await(self._command, held)
        data = _bytes_of(path)
        if answer is not None:
            if answer["event"] != "ready":  # by its records, a held fork is known to be no stalled one
                path.unlink(missing_ok=True)
            return answer, data
        if self.spent:
            return {"event": "budget", "code": None, "stalled": False}, data
        if held is not None:
            self._held = [other for other in self._held if other is not held]
            self._dismiss(held)
            return {"event": "lost"}, data
        self._serve_again()
        return {"event": "ended", "code": -signal.SIGKILL, "stalled": False}, data

    def _await(self, command: int, held: _Held | None = None) -> dict[str, Any] | None:
        """Return the answer to a command; None where who was to answer has ended, or the time."""
        assert self._kept is not None
        watch = select.poll()
        watch.register(self._answers, select.POLLIN)
        while True:
            *lines, self._pending = self._pending.split(b"\n")
            for number, line in enumerate(lines):
                answer: dict[str, Any] = json.loads(line)
                if answer["command"] == command:
                    self._pending = b"\n".join([*lines[number + 1 :], self._pending])
                    return answer
            if self.spent:
                return None
            if watch.poll(_POLL_MS):
                try:
                    self._pending += os.read(self._answers, 65536)
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        raise
            elif self._kept.wait(0) or (held is not None and not _alive(held.pid)):
                return None


def _without(args: tuple[str, ...], targets: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments without the paths and ids that pytest read among them (from the end: `-k tests tests`)."""
    left = list(args)[::-1]
    for target in targets:
        if target in left:
            left.remove(target)
    return tuple(left[::-1])


def _temporary() -> str:
    return os.path.join(tempfile.gettempdir(), f"bgs-{secrets.token_hex(6)}")


def _keep(
    stage: staging.Stage, request: Request, temporary: str, until: float, environ: dict[str, str]
) -> Kept:
    files = stage.prepare(skip=(), dead_files=())
    left = max(0.1, until - time.monotonic())
    spec = stage.task(
        files,
        temporary,
        timeout=request.timeout if request.sequence is not None else left,
        idle_timeout=left,
        deadline=left,
    )
    return Kept(spec, stage, stage.environment(temporary) | environ)


def _one(
    stage: staging.Stage, request: Request, temporary: str, until: float, environ: Any
) -> tuple[tuple[str, int | None], bytes, str]:
    kept = _keep(stage, request, temporary, until, dict(environ))
    try:
        kept.wait(max(0.0, until - time.monotonic()) + GRACE)
    finally:
        kept.end()
    return kept.outcome(), _bytes_of(stage.records), tail(stage.output)


def _commands(path: Path) -> int:
    """Open a pipe of commands for writing; -1 where who read them is gone."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return -1
    os.set_blocking(handle, True)
    return handle


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _cut_off(ran: Ran, data: bytes) -> Ran:
    """Return what had ended when the time was over."""
    ended, _ = records.read_sequence(data)
    return replace(ran, outcomes=tuple(ended), ended="budget")


def _ran(data: bytes, code: int | None, wanted: int, *, stalled: bool, seconds: float) -> Ran:
    outcomes, cut = records.read_sequence(data)
    ended = "finished"
    if cut or stalled:
        ended = "timeout" if stalled else "died"
        text = "still running at its time limit" if stalled else death(code, None)
        error = Error(type="Timeout" if stalled else "Died", message=text)
        outcomes.append(Outcome("", ended, "call", error))
    elif len(outcomes) < wanted:
        ended = "died"  # between two tests
    return Ran(tuple(outcomes), ended, seconds, of=wanted)


def _items(data: bytes) -> tuple[Item, ...]:
    for line in data.split(b"\n"):
        if line.startswith(b'{"t":"collected"'):
            found = json.loads(line)["items"]
            return tuple(Item(number, *fields) for number, fields in enumerate(found))
    return ()


def _listed(data: bytes, kind: str, field: str) -> list[Any]:
    """Return the list that a record of this kind holds."""
    for line in data.split(b"\n"):
        if line.startswith(b'{"t":"%s"' % kind.encode()):
            found: list[Any] = json.loads(line)[field]
            return found
    return []


def _not_collected(session: records.Session, output: str) -> Exception:
    for path, error in session.collect_errors.items():
        return UndecidedError(
            f"{path} cannot be imported: {error.type}: {error.message}",
            why="tests that are not collected cannot be tried",
            hint="mend the import, or name the files to hunt in",
        )
    if session.collected and not session.items:
        return UndecidedError("no test was collected", hint="name a folder or a file with tests")
    return ProgramError(
        "pytest could not collect the tests",
        why=session.problem or complaint(output),
        hint="run `pytest --collect-only` until it can",
    )


def _bytes_of(path: Any) -> bytes:
    try:
        found: bytes = path.read_bytes()
    except OSError:
        return b""
    return found
