"""Record what the inner pytest collects and finds, one JSON line an event.  PYTEST_DONT_REWRITE

Standalone pytest plugin: copied beside the tree under a unique package name and loaded with `-p`, so that it
never comes from the tree under test. Standard library and pytest only, Python 3.8 or newer. Its parameters
stand in `params.json` beside it: a test may empty the environment.
"""

from __future__ import annotations

import faulthandler
import inspect
import json
import os
import re
import sys
from collections.abc import Generator
from typing import Any

import pytest

from . import faults, guard, measure

_HERE = os.path.dirname(os.path.abspath(__file__))
_PARAMETERS = re.compile(r"\[.*\Z", re.DOTALL)
# What a suite's own addopts may hold and a proof must not: option name -> neutral value.
_NEUTRAL: dict[str, Any] = {
    "basetemp": None,
    "collectonly": False,
    "continue_on_collection_errors": True,
    "dist": "no",
    "distload": False,
    "durations": None,
    "failedfirst": False,
    "force_reruns": None,
    "htmlpath": None,
    "keyword": "",
    "last_failed": False,
    "lf": False,
    "looponfail": False,
    "markexpr": "",
    "maxfail": 0,
    "newfirst": False,
    "no_cov": True,
    "numprocesses": 0,
    "random_order_bucket": None,
    "randomly_reorganize": False,
    "randomly_seed": 1,
    "report_log": None,
    "reruns": 0,
    "setuponly": False,
    "setupplan": False,
    "stepwise": False,
    "stepwise_skip": False,
    "trace": False,
    "tx": [],
    "usepdb": False,
    "xmlpath": None,
}
_SPAWNS = frozenset(("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"))
# Plugins that change the order of tests.
_ORDERING = ("randomly", "random_order")
# What the user's own arguments may choose among where they say what is collected.
_CHOOSING = frozenset(("keyword", "markexpr"))


class Recorder:
    """Hold one run's state; its methods are pytest's hooks."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.pid = os.getpid()
        self.guard = guard.install(params)
        self.witness = faults.Witness(self.guard.places, params["changed"], params["import_roots"])
        self.skip = set(params["skip"])
        self.everything = params["selectors"] is None
        self.selectors = {
            path: None if names is None else set(names) for path, names in params["selectors"] or ()
        }
        self.sequences = _sequences(self, params) if self.everything else None
        self.neutral = {
            name: value for name, value in _NEUTRAL.items() if not (self.everything and name in _CHOOSING)
        }
        if self.everything:
            self.neutral["randomly_reset_seed"] = False  # one seed for ever would hide what depends on it
            self.neutral["tbstyle"] = (
                "value"  # nobody reads the text; to lay it out takes longer than most tests
            )
        self.current = ""
        self.distributed = False
        self.reach: measure.Reach | None = None
        self._stack: Any = None
        self.watch()
        self.running = ""
        self.spawned: set[str] = set()
        if params["reach"] is not None:
            self.reach = measure.Reach(params)
            sys.addaudithook(self.see_spawn)

    def write(self, kind: str, **record: Any) -> None:
        """Append one record; the file is opened each time, since tests may close any descriptor."""
        if os.getpid() != self.pid:
            os._exit(0)  # a child that a test forked fell through into pytest: its results are nobody's
        line = json.dumps(dict({"t": kind}, **record), separators=(",", ":"), default=str)
        with open(self.params["records"], "ab", buffering=0) as stream:
            stream.write(line.encode("ascii") + b"\n")

    def adopt(self, records: str) -> None:
        """Write from here on as another process, to another file."""
        self.pid = os.getpid()
        self.params["records"] = records

    def watch(self) -> None:
        """Answer the keeper's signal with the stack, without a thread (which would hinder tests that fork)."""
        number = self.params["signal"]
        if number <= 0 or not hasattr(faulthandler, "register"):
            return
        try:
            if self._stack is not None:
                here, there = os.fstat(self._stack.fileno()), os.stat(self.params["stack"])
                if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                    return
                self._stack = None
        except (OSError, ValueError):
            self._stack = None
        self._stack = _Descriptor(self.params["stack"])
        faulthandler.register(number, file=self._stack, all_threads=False, chain=False)

    def see_spawn(self, event: str, _: Any) -> None:
        """Note which test starts another process: nothing is measured there."""
        if event in _SPAWNS and self.running:
            self.spawned.add(self.running)

    # --- options -----------------------------------------------------------------------------------

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(
        self, early_config: Any, parser: Any, args: Any
    ) -> Generator[None, Any, None]:
        """Neutralise options before plugins act on them, and note a conftest that cannot be imported."""
        self.guard.keep_first()
        known = early_config.known_args_namespace
        self.distributed = bool(getattr(known, "numprocesses", None) or getattr(known, "tx", None))
        _neutralise(known, self.neutral)
        if hasattr(known, "no_cov"):
            args.append("--no-cov")
        outcome = yield
        if outcome.excinfo is not None:
            error = outcome.excinfo[1]
            path = self.witness.path(str(getattr(error, "path", "")))
            self.write("startup_error", path=path, error=self.witness.describe(error, path))
            return
        dropped = _drop_unknown(parser, args, self.params["targets"])
        if dropped:
            self.write("dropped", options=dropped)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: Any) -> Generator[None, Any, None]:
        """Neutralise what the full command line, addopts included, has set."""
        _neutralise(config.option, self.neutral)
        self.write("start", python=sys.version.split()[0], pytest=pytest.__version__)
        yield

    def pytest_configure(self) -> None:
        """Stay in front of the finders that plugins put first."""
        self.guard.keep_first()

    # --- collection --------------------------------------------------------------------------------

    def pytest_ignore_collect(self, collection_path: Any) -> Any:
        """Leave out files that only came along with the folder of an unspeakable name."""
        if not self.params["folders"]:
            return None
        path = self.witness.path(str(collection_path))
        if collection_path.is_dir():
            return (
                None if any(wanted.startswith(path + "/") for wanted in self.selectors) or not path else True
            )
        return (
            None if path in self.selectors or collection_path.name in ("conftest.py", "__init__.py") else True
        )

    def pytest_collectstart(self, collector: Any) -> None:
        """Say which file is being imported, should it never end."""
        if isinstance(collector, pytest.File):
            self.guard.keep_first()
            self.watch()
            self.write("file", path=self.witness.path(str(collector.path)))

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        """Record a collection error from the live exception."""
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            path = self.witness.path(str(getattr(node, "path", "")))
            error = self.witness.describe(call.excinfo.value, path, call.excinfo.tb)
            self.write("collect_error", path=path, error=error)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Keep the tests that a selector wants."""
        kept, dropped, records = [], [], []
        matched = set()
        for item in items:
            path, name = self.identity(item)
            match = (path, name) if self.everything else self.match(item, path, name)
            if match is not None:
                matched.add(match)
                records.append([item.nodeid, path, name, (item.location[1] or 0) + 1])
                if item.nodeid not in self.skip:
                    kept.append(item)
                    continue
            dropped.append(item)
        items[:] = kept
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        self.write("collected", items=records, matched=sorted(matched))
        if self.sequences is not None:
            self.write("targets", targets=getattr(config.option, "file_or_dir", None) or [])
            ordering = [name for name in _ORDERING if config.pluginmanager.has_plugin(name)]
            unordered = [word for name in ordering for word in ("-p", f"no:{name}")]
            self.write("unordered", options=unordered + ["-n0"] * self.distributed)
        self.write("certificate", wrong=self.guard.certify())

    def identity(self, item: Any) -> tuple[str, str]:
        """Return an item's file and its qualified name without parameters."""
        path = self.witness.path(str(item.path))
        classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        function = getattr(item, "originalname", None) or item.name
        if isinstance(item, pytest.Function):
            function = _PARAMETERS.sub("", function)
        return path, ".".join([*classes, function])

    def match(self, item: Any, path: str, name: str) -> tuple[str, str] | None:
        """Match the item's place, or the place where an inherited test was written."""
        if path in self.selectors:
            names = self.selectors[path]
            if names is None or name in names:
                return path, name
        function = getattr(item, "obj", None)
        if function is None or not isinstance(item, pytest.Function):
            return None
        try:
            function = inspect.unwrap(function)
        except ValueError:
            return None
        function = getattr(function, "__func__", function)
        code = getattr(function, "__code__", None)
        written = self.witness.path(code.co_filename) if code is not None else ""
        qualified = str(getattr(function, "__qualname__", ""))
        return (written, qualified) if qualified in (self.selectors.get(written) or ()) else None

    # --- tests -------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Arm the stubs: from now on, using one is an error of the test."""
        stubs: Any = sys.modules.get(guard.__name__.rpartition(".")[0] + ".stubs")
        if stubs is not None:
            stubs.collecting = False

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, None]:
        """Say which test is running, and credit it with the lines it reaches."""
        self.guard.keep_first()
        self.current = self.witness.path(str(item.path))
        if self.sequences is None:
            self.watch()
            self.write("run", id=item.nodeid)
        if self.reach is not None:
            self.reach.switch(item.nodeid)
            self.running = item.nodeid
        yield
        if self.reach is not None:
            self.reach.switch("")
            self.running = ""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: Any) -> Generator[None, Any, None]:
        """Look at the exception while it is alive; reports may be logged much later, and copied before."""
        outcome = yield
        if call.excinfo is not None and outcome.excinfo is None:
            error = self.witness.describe(call.excinfo.value, self.current, call.excinfo.tb)
            outcome.get_result().bugsle_error = error

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Record one phase of a test, or one of its subtests."""
        reason = ""
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2])
        elif report.outcome == "failed" and isinstance(report.longrepr, str):
            reason = report.longrepr  # XPASS(strict) has no exception
        phase = {
            "id": report.nodeid,
            "when": report.when,
            "outcome": report.outcome,
            "wasxfail": getattr(report, "wasxfail", None),
            "reason": reason[:500],
            "duration": round(report.duration, 6),
            "error": getattr(report, "bugsle_error", None),
            "sub": "subtest" in type(report).__name__.lower(),
        }
        if self.sequences is None:
            self.write("phase", **phase)
        else:
            self.sequences.note(phase)

    # --- end ---------------------------------------------------------------------------------------

    def pytest_internalerror(self, excinfo: Any) -> None:
        """Record an error of pytest itself or of a plugin."""
        self.write("internal_error", error=self.witness.describe(excinfo.value, "", excinfo.tb))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: Any) -> Generator[None, Any, None]:
        """Certify once more, after the last import."""
        self.write("done")
        yield
        if self.reach is not None:
            tests, imports = self.reach.finish()
            spawned = sorted(self.spawned)
            self.write("reach", tests=tests, imports=imports, note=self.reach.note, spawned=spawned)
        self.write("certificate", wrong=self.guard.certify())
        self.write("end", code=int(exitstatus))


class _Descriptor:
    """A file for faulthandler at a high number, which a test's `os.closerange` seldom reaches."""

    def __init__(self, path: str) -> None:
        low = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.number = low
        try:
            import fcntl

            self.number = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 700)
            os.close(low)
        except (ImportError, OSError):
            pass

    def fileno(self) -> int:
        return self.number


def _drop_unknown(parser: Any, args: Any, targets: list[str]) -> list[str]:
    """Take out of the command line what the plugins and conftests of this interpreter do not know.

    A suite's addopts may name plugins that are not installed where a proof runs, coverage above all.
    Both sides lose the same options; a test that needs the plugin fails on both.
    """
    known, unknown = parser.parse_known_and_unknown_args(list(args))
    if not unknown:
        return []
    # The value of an unknown option looks like a file to collect: ours are known.
    strays = [path for path in getattr(known, "file_or_dir", None) or [] if path not in targets]
    dropped = []
    for token in [*unknown, *strays]:
        if token in args:
            args.remove(token)
            dropped.append(token)
    return dropped


def _sequences(recorder: Recorder, params: dict[str, Any]) -> Any:
    from . import forks

    return forks.Sequences(recorder, params)


def _neutralise(options: Any, neutral: dict[str, Any]) -> None:
    for name, value in neutral.items():
        if hasattr(options, name):
            setattr(options, name, value)


def _load() -> Recorder:
    with open(os.path.join(_HERE, "params.json"), encoding="utf-8") as stream:
        return Recorder(json.load(stream))


recorder: Recorder


def pytest_addoption(parser: Any, pluginmanager: Any) -> None:
    """Register the recorder: `-p` loads a module, the hooks are an object's."""
    pluginmanager.register(recorder, "bugsle-recorder")
    if recorder.sequences is not None:
        pluginmanager.register(recorder.sequences, "bugsle-sequences")


if os.path.exists(os.path.join(_HERE, "params.json")):
    recorder = _load()
