"""Run sequences of tests: each in a fork of one collected pytest, or one in a process of its own.  PYTEST_DONT_REWRITE

Standalone, like the recorder, which loads it. The process collects once and then waits for commands on a
named pipe, one JSON object a line; each command is run in a fork, made before any fixture exists, and its
end is told on another named pipe. A fork can also be held: it stops in the middle of a sequence and takes
commands itself, so that what begins alike is run once.

Named pipes are opened by path where they are used, because tests may close any descriptor.
"""

from __future__ import annotations

import copy
import errno
import gc
import json
import os
import random
import select
import signal
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

import pytest

POLL_MS = 200
_KILLED_AFTER = 2.0
_TRIAL_SECONDS = 2.0
# Plugins that run a failed test again: a hunt wants every outcome. One of them starts a thread, too.
_RETRYING = ("rerunfailures", "pytest-retry", "flaky")


def one_thread() -> bool:
    """Say whether this process has no second thread, which may hold a lock that stays held in a fork for ever."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return threading.active_count() == 1


def may_fork() -> bool:
    """Say whether this process can fork safely, at the price of a fork that does nothing where it has threads.

    OpenBLAS starts threads when numpy is imported, and ends them around each fork (pthread_atfork); those of
    others stay, and so does the lock that one of them may hold.
    """
    if not hasattr(os, "fork"):
        return False
    if one_thread():
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 and later warn of other threads
        child = os.fork()
    if not child:
        os._exit(0)
    until = time.monotonic() + _TRIAL_SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:  # it waits for such a lock already
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.001)
    return one_thread()


def again(item: Any) -> Any:
    """Return a second item for the same test: a fresh instance, request and stash, under the same parents.

    The very item cannot run twice: pytest would keep its function fixtures for the item that comes next,
    and its instance and captured sections would tell of the first run.
    """
    other = copy.copy(item)
    other.stash = pytest.Stash()
    other._report_sections = []
    other.own_markers = list(item.own_markers)  # a test may add some to itself
    other.__dict__.pop("_excinfo", None)  # what a test of unittest gathered
    if hasattr(item, "dtest"):  # running a doctest empties its globals
        other.dtest = copy.copy(item.dtest)
        other.dtest.globs = dict(item.dtest.globs)
    if isinstance(item, pytest.Function):
        for name in ("_instance", "_obj"):
            other.__dict__.pop(name, None)
        if not isinstance(item.parent, pytest.Class):
            other.__dict__["_obj"] = item.__dict__.get("_obj", getattr(item, "obj", None))
    if hasattr(other, "_initrequest"):
        other._initrequest()
    return other


def reseed() -> None:
    """Seed the global generators anew, as those of a fresh process are: a fork begins with its parent's."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


class Sequences:
    """Hold the collected tests and run sequences of them; its methods are pytest's hooks."""

    def __init__(self, recorder: Any, params: dict[str, Any]) -> None:
        self.recorder = recorder
        self.params = params
        self.sequence = params.get("sequence")
        self.home = params["home"]
        self.name = "root"
        self.cwd = ""
        self.items: list[Any] = []
        self.ran: set[int] = set()
        self.phases: list[dict[str, Any]] = []
        self.number = 0
        self.children: dict[int, dict[str, Any]] = {}
        self.session: Any = None
        self.left_out = False

    # --- pytest's hooks ----------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: Any) -> None:
        """Leave out the plugins that retry, and keep their marker."""
        for name in _RETRYING:
            if early_config.pluginmanager.unregister(name=name) is not None:
                early_config.addinivalue_line("markers", "flaky: of a plugin that is left out")
                self.left_out = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> Any:
        """Serve instead of running, or run the one sequence that was asked for."""
        self.session = session
        self.items = list(session.items)
        if self.sequence is not None:
            if [item.nodeid for item in self.items] == [
                id_ for id_, _ in self.sequence
            ] and not self.retries():
                self.recorder.write("plain")
            session.items = self.line_up(self.numbers(self.sequence))
            reseed()  # a plugin may have seeded them while it collected
            self.enter(self.params["world"])
            return None
        if session.config.option.collectonly:
            return None
        if not may_fork():
            self.recorder.write("threads")
            return True
        try:
            self.cwd = os.getcwd()
        except OSError:
            pass  # a conftest went to a folder that is gone
        gc.collect()
        gc.freeze()  # what is collected is not touched by the children's collector: their pages stay shared
        self.serve("root")
        return True

    def retries(self) -> bool:
        """Say whether a plain pytest would try failures again, by an option or by a marker."""
        option = self.session.config.option
        asked = getattr(option, "reruns", None) or getattr(option, "retries", None)
        return self.left_out and bool(asked or any(item.get_closest_marker("flaky") for item in self.items))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Write which test begins, and its phases when it ends."""
        self.number += 1
        self.phases = []
        self.recorder.write("begin", n=self.number)
        outcome = yield
        if outcome.excinfo is None:  # else the test ends pytest, by `pytest.exit` or KeyboardInterrupt
            self.recorder.write("ran", n=self.number, id=item.nodeid, phases=self.phases)

    def note(self, phase: dict[str, Any]) -> None:
        """Take one phase of the test that runs."""
        self.phases.append(phase)

    # --- running -----------------------------------------------------------------------------------

    def numbers(self, sequence: list[list[Any]]) -> list[int]:
        """Return the numbers of tests by id, and by which of those with the same id is meant."""
        places: dict[str, list[int]] = {}
        for number, item in enumerate(self.items):
            places.setdefault(item.nodeid, []).append(number)
        found = []
        for id_, nth in sequence:
            if nth >= len(places.get(id_, ())):
                self.recorder.write("absent", id=id_)
                return []
            found.append(places[id_][nth])
        return found

    def line_up(self, numbers: list[int]) -> list[Any]:
        """Return the items of a sequence; a test that ran already, or comes again, is a second item."""
        found = []
        for number in numbers:
            item = self.items[number]
            repeated = number in self.ran or hasattr(item, "dtest")
            found.append(again(item) if repeated else item)
            self.ran.add(number)
        return found

    def run(self, items: list[Any], after: Any) -> None:
        """Run items one after the other; `after` is what comes next, None where nothing does."""
        if items:
            try:
                self.session._setupstate.teardown_exact(items[0])  # what a held fork still has set up
            except Exception as error:  # noqa: BLE001  # a fixture's own; it is the previous test's trouble
                self.recorder.write("teardown", error=repr(error)[:500])
        for position, item in enumerate(items):
            following = items[position + 1] if position + 1 < len(items) else after
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.session.shouldfail or self.session.shouldstop:
                self.session.shouldfail = self.session.shouldstop = False

    def run_watched(self, items: list[Any], count: int, wanted: list[str] | None) -> None:
        """Tell what the first `count` tests leave behind; put back what is wanted of it, and run the others."""
        from . import state

        places = self.recorder.guard.places
        before = state.take(lambda path: bool(places.tree_path(path)), self.params["tree"])
        self.run(items[:count], items[count])
        left = state.differences(before)
        self.recorder.write("state", left=[dict(one.as_json(), restorable=one.restorable) for one in left])
        if wanted is not None:
            done = [state.restore(before, one) for one in left if [one.kind, one.name] == wanted]
            self.recorder.write("restored", done=bool(done) and all(done))
        self.run(items[count:], None)

    # --- serving -----------------------------------------------------------------------------------

    def path(self, name: str) -> str:
        """Return the path of one of the run's files."""
        return os.path.join(self.home, name)

    def tell(self, **answer: Any) -> None:
        """Answer in one write, which a pipe keeps whole."""
        line = json.dumps(answer, separators=(",", ":")).encode("ascii") + b"\n"
        handle = os.open(self.path("answers"), os.O_WRONLY)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def serve(self, name: str, command: int = 0) -> None:
        """Take commands until told to end; returns only in the root."""
        self.name = name
        if not os.path.exists(self.path(name)):
            os.mkfifo(self.path(name), 0o600)
        commands = os.open(self.path(name), os.O_RDWR | os.O_NONBLOCK)
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        handler = signal.signal(signal.SIGCHLD, lambda *_: None)
        wakeup = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        own = (commands, wake_read, wake_write)
        self.children = {}
        self.tell(command=command, event="ready", name=name, pid=os.getpid())
        pending = b""
        poller = select.poll()
        poller.register(commands, select.POLLIN)
        poller.register(wake_read, select.POLLIN)
        while True:
            poller.poll(POLL_MS if self.children else None)
            _drain(wake_read)
            self.reap()
            self.kill_stalled()
            pending += _drain(commands)
            *lines, pending = pending.split(b"\n")
            for line in lines:
                order = json.loads(line)
                if order.get("end"):
                    signal.set_wakeup_fd(wakeup)
                    signal.signal(signal.SIGCHLD, handler)
                    if name != "root":
                        os._exit(0)
                    return
                self.fork(order, own, handler, wakeup)

    def fork(self, order: dict[str, Any], own: tuple[int, ...], handler: Any, wakeup: int) -> None:
        """Run one command in a child."""
        pid = os.fork()
        if pid:
            self.children[pid] = {"order": order, "size": -1, "since": time.monotonic()}
            return
        try:
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGCHLD, handler)
            for handle in own:
                os.close(handle)
            os.setpgid(0, 0)
            self.child(order)
        except BaseException as error:  # noqa: BLE001  # a child must never fall back into the parent's loop
            try:
                self.recorder.write("broken", error=repr(error)[:500])
            finally:
                os._exit(70)
        os._exit(0)

    def child(self, order: dict[str, Any]) -> None:
        """Run the tests of a command; one that is to be held then takes commands itself."""
        self.number = 0
        self.recorder.adopt(self.path(order["records"]))
        self.fresh_capture()
        reseed()
        if self.name == "root":  # the folder may be another one by now, under the same path
            _change_to(self.cwd)
        self.enter(order.get("world"))
        items = self.line_up(order["tests"])
        if order.get("watch"):
            self.run_watched(items, order["watch"], order.get("restore"))
            return
        # What comes after a held fork is not known yet: as before the same test again, all wide fixtures stay.
        self.run(items, again(items[-1]) if order.get("hold") else None)
        if not order.get("hold"):
            return
        if not may_fork():
            self.recorder.write("threads")
            return
        gc.freeze()
        self.recorder.write("held")
        self.serve(order["hold"], order["command"])

    def enter(self, world: dict[str, Any] | None) -> None:
        """Put this process into a controlled world."""
        if world:
            from . import worlds

            worlds.enter(world)

    def fresh_capture(self) -> None:
        """Give this child its own capture files: those of its parent are shared with every other child.

        The objects stay, under the same descriptors: modules may have kept `sys.stdout` when they were imported.
        """
        manager = self.session.config.pluginmanager.getplugin("capturemanager")
        capturing = getattr(manager, "_global_capturing", None)
        for name in ("out", "err"):
            try:
                handle = getattr(capturing, name).tmpfile.fileno()
            except (AttributeError, OSError, ValueError):
                continue  # not captured, or in memory
            with tempfile.TemporaryFile(buffering=0) as own:
                os.dup2(own.fileno(), handle, inheritable=False)

    def reap(self) -> None:
        """Tell how each child ended that did."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self.children.pop(pid, None)
            if child is not None:
                _kill_group(pid)  # what its tests left running
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                stalled = bool(child.get("stalled"))
                self.tell(command=child["order"]["command"], event="ended", code=code, stalled=stalled)

    def kill_stalled(self) -> None:
        """End a child whose test takes too long: its records no longer grow."""
        for pid, child in list(self.children.items()):
            order = child["order"]
            try:
                size = os.stat(self.path(order["records"])).st_size
            except OSError:
                size = 0
            now = time.monotonic()
            if size != child["size"]:
                child["size"], child["since"] = size, now
            elif now - child["since"] > order["timeout"]:
                child["since"] = now + _KILLED_AFTER - order["timeout"]
                if not self.is_held(order):
                    child["stalled"] = True
                    _kill_group(pid)
                    os.kill(pid, signal.SIGKILL)

    def is_held(self, order: dict[str, Any]) -> bool:
        """Say whether a child has come to the point where it is held."""
        try:
            with open(self.path(order["records"]), "rb") as stream:
                return b'{"t":"held"' in stream.read()[-64:]
        except OSError:
            return False


def _change_to(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError:
        pass


def _kill_group(leader: int) -> None:
    """End all processes of a child's group, whether or not the child still is."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except OSError:
        pass


def _drain(handle: int) -> bytes:
    """Read what is there."""
    found = b""
    while True:
        try:
            piece = os.read(handle, 65536)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
                raise
            return found
        if not piece:
            return found
        found += piece
