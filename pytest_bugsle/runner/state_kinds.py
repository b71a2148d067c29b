"""The parts of a process's state that stand outside modules and classes, read and put back.  PYTEST_DONT_REWRITE

Standalone, like the recorder: standard library only, Python 3.8 or newer. What is called here is bound when
this module is imported, so that a test that leaves `os.getcwd` or `open` patched does not mislead the search.
"""

from __future__ import annotations

import contextvars
import gc
import logging
import os
import signal
import stat
import sys
import threading
import time
import warnings
from _locale import LC_ALL, setlocale
from collections.abc import Callable, Iterator
from os import chdir, getcwd, listdir, lstat, readlink, scandir, umask
from typing import Any, NamedTuple

FILES = 20_000
FILE_BYTES = 64 * 1024
ALL_BYTES = 16 * 1024 * 1024
_SKIPPED = {
    ".bugsle",
    ".git",
    ".hg",
    ".hypothesis",
    ".mypy_cache",
    ".nox",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    "__pycache__",
    "node_modules",
}
_LISTS = ("argv", "meta_path", "path", "path_hooks", "warnoptions")
_LOGGER: dict[str, Any] = {
    "level": 0,
    "propagate": True,
    "disabled": False,
    "handlers": [],
    "filters": [],
    "levels of handlers": [],
}


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


class Table(NamedTuple):
    """A group of items that are read together and put back one by one.

    `read` answers {key: value}; `put(key, value)` puts one back, ABSENT where it was not there, and raises
    where it cannot. `label` says a value in words, `nothing` says ABSENT. `ours` is true for the state of
    the tree under test.
    """

    kind: str
    name: str
    read: Callable[[], dict[Any, Any]]
    put: Callable[[Any, Any], object] | None = None
    ours: bool = False
    label: Callable[[Any], str] | None = None
    nothing: str = "absent"


def tables() -> Iterator[Table]:
    """Yield the tables of this process; what its modules and classes hold is not among them."""
    yield Table("environment", "", _environment, _put_environment)
    yield from _settings()
    yield from _sys_lists()
    yield Table("stream", "sys", _streams, lambda key, value: setattr(sys, key, value))
    yield Table("warnings", "warnings", _warnings, _put_warnings)
    yield Table("logging", "", _loggers, _put_logger, nothing="default")
    yield Table("signal handler", "", _signals, _put_signal)
    yield Table("context variable", "", _context, _put_context)
    yield from _imported()
    yield Table("thread", "", _threads)
    yield Table("open file", "", _descriptors)


def _environment() -> dict[Any, Any]:
    return {key: value for key, value in dict(os.environ).items() if key != "PYTEST_CURRENT_TEST"}


def _put_environment(key: Any, value: Any) -> None:
    if value is ABSENT:
        os.environ.pop(key, None)
    else:
        os.environ[key] = value


def _one(
    kind: str,
    name: str,
    read: Callable[[], Any],
    write: Callable[[Any], object] | None,
    label: Callable[[Any], str] | None = None,
) -> Table:
    put = None if write is None else lambda _key, value: write(value)
    return Table(kind, name, lambda: {"": read()}, put, label=label)


def _settings() -> Iterator[Table]:
    yield _one("working directory", "os.getcwd()", _cwd, chdir)
    yield _one("umask", "os.umask()", _umask, umask, oct)
    yield _one("recursion limit", "sys.getrecursionlimit()", sys.getrecursionlimit, sys.setrecursionlimit)
    yield _one("switch interval", "sys.getswitchinterval()", sys.getswitchinterval, sys.setswitchinterval)
    yield _one("trace function", "sys.gettrace()", sys.gettrace, sys.settrace)
    yield _one("trace function", "sys.getprofile()", sys.getprofile, sys.setprofile)
    yield _one("garbage collector", "gc.isenabled()", gc.isenabled, _enable_collector)
    yield _one("locale", "LC_ALL", lambda: setlocale(LC_ALL, None), lambda value: setlocale(LC_ALL, value))
    yield _one(
        "logging",
        "logging.disable()",
        lambda: logging.root.manager.disable,
        logging.disable,
    )
    if hasattr(time, "tzset"):
        zone, tzset = os.environ.get("TZ", ABSENT), time.tzset

        def put(_value: Any) -> None:
            _put_environment("TZ", zone)
            tzset()

        yield _one("time zone", "time.tzname", lambda: (time.tzname, time.timezone, time.altzone), put)


def _cwd() -> str:
    try:
        return getcwd()
    except OSError:
        return "a directory that is gone"


def _umask() -> int:
    value = umask(0o077)
    umask(value)
    return value


def _enable_collector(value: bool) -> None:
    (gc.enable if value else gc.disable)()


def _sys_lists() -> Iterator[Table]:
    kept = {name: vars(sys).get(name) for name in _LISTS}

    def read() -> dict[Any, Any]:
        now = {name: vars(sys).get(name) for name in _LISTS}
        return {name: list(value) if type(value) is list else value for name, value in now.items()}

    def put(name: Any, value: Any) -> None:
        original = kept[name]
        if type(original) is list:
            original[:] = value
        setattr(sys, name, original)

    yield Table("sys", "sys", read, put)


def _streams() -> dict[Any, Any]:
    return {name: vars(sys).get(name) for name in ("stdin", "stdout", "stderr")}


def _warnings() -> dict[Any, Any]:
    found: dict[Any, Any] = {"filters": list(warnings.filters)}
    once = vars(warnings).get("onceregistry")
    if type(once) is dict:
        found["onceregistry"] = dict.copy(once)
    return found


def _put_warnings(key: Any, value: Any) -> None:
    held = vars(warnings)[key]
    if key == "onceregistry":
        held.clear()
        held.update(value)
        return
    held[:] = value
    # Without this the registries of modules go on suppressing what the old filters suppressed.
    mutated = getattr(warnings, "_filters_mutated", None) or vars(warnings).get("_filters_mutated_lock_held")
    if mutated is not None:
        mutated()


def _loggers() -> dict[Any, Any]:
    known = logging.root.manager.loggerDict
    found: dict[Any, Any] = {}
    for name, logger in [("root", logging.root), *dict.copy(known).items()]:
        if not issubclass(type(logger), logging.Logger) or not issubclass(type(name), str):
            continue
        held = object.__getattribute__(logger, "__dict__")
        for attribute, default in _LOGGER.items():
            value = held.get(attribute, default)
            if attribute == "levels of handlers":
                value = [vars(handler).get("level") for handler in held.get("handlers", ())]
            if type(value) is list:
                value = value[:100]
            if value != default:
                found[f"{name}.{attribute}"] = value
    return found


def _put_logger(key: Any, value: Any) -> None:
    name, _, attribute = key.rpartition(".")
    logger = logging.root if name == "root" else logging.root.manager.loggerDict[name]
    held = object.__getattribute__(logger, "__dict__")
    value = _LOGGER[attribute] if value is ABSENT else value
    if attribute == "levels of handlers":
        for handler, level in zip(held["handlers"], value):  # noqa: B905 - Python 3.8
            handler.level = level
    elif type(value) is list:
        held[attribute][:] = value
    else:
        held[attribute] = value
    clear = getattr(logging.root.manager, "_clear_cache", None)
    if clear is not None:
        clear()


def _signals() -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for number in signal.valid_signals():
        name = number.name if isinstance(number, signal.Signals) else f"signal {int(number)}"
        found[name] = signal.getsignal(number)
    return found


def _put_signal(key: Any, value: Any) -> None:
    number = int(key.split()[1]) if " " in key else signal.Signals[key]
    signal.signal(number, value)


def _context() -> dict[Any, Any]:
    # Of the interpreter's own, the decimal context has its own row and the others are no state of a test.
    own = ("decimal_context", "warnings_context")
    found: dict[Any, Any] = {}
    for variable, value in contextvars.copy_context().items():
        if variable.name not in own:
            name = _Variable(variable.name)
            name.variable = variable
            found[name] = value
    return found


class _Variable(str):  # noqa: SLOT000 - it has an attribute
    """The name of a context variable, which brings the variable along."""

    variable: contextvars.ContextVar[Any]


def _put_context(key: Any, value: Any) -> None:
    if value is ABSENT:
        raise LookupError("a context variable can only be taken back by the token of its setting")
    key.variable.set(value)


def _threads() -> dict[Any, Any]:
    # A dictionary of the module itself: enumerate() waits for a lock.
    return {
        f"{vars(thread).get('_name')} ({ident})": "alive"
        for ident, thread in dict.copy(vars(threading)["_active"]).items()
    }


def _descriptors() -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            numbers = sorted(int(name) for name in listdir(folder))
        except (OSError, ValueError):
            continue
        for number in numbers[:FILES]:
            try:
                found[f"descriptor {number}"] = _target(f"{folder}/{number}")
            except OSError:
                continue  # the one that listed them
        break
    return found


def _target(path: str) -> str:
    try:
        return readlink(path)
    except OSError:
        number = int(path.rsplit("/", 1)[1])
        return stat.filemode(os.fstat(number).st_mode)


def _imported() -> Iterator[Table]:
    """Yield the tables of modules that not every program imports: we import none of them for the project."""
    modules = sys.modules
    if "atexit" in modules and hasattr(modules["atexit"], "_ncallbacks"):
        yield _one("exit functions", "atexit", modules["atexit"]._ncallbacks, None)
    if "random" in modules:
        yield from _random(modules["random"])
    if "numpy.random" in modules:
        legacy = modules["numpy.random"]
        yield _one(
            "random state",
            "numpy.random",
            lambda: [each.tobytes() if hasattr(each, "tobytes") else each for each in legacy.get_state()],
            _numpy_writer(legacy),
            _state_label,
        )
    if "decimal" in modules:
        decimal = modules["decimal"]
        kept = decimal.getcontext().copy()
        yield _one(
            "decimal context",
            "decimal.getcontext()",
            lambda: _decimal(decimal.getcontext()),
            lambda _value: decimal.setcontext(kept.copy()),
        )
    if "socket" in modules:
        socket = modules["socket"]
        yield _one(
            "socket timeout", "socket.getdefaulttimeout()", socket.getdefaulttimeout, socket.setdefaulttimeout
        )
    if "unittest.mock" in modules:
        yield Table("mock patch", "", _patches, _stop_patch)
    if "asyncio.events" in modules:
        yield from _event_loop(vars(modules["asyncio.events"]))


def _state_label(state: Any) -> str:
    return f"state {hash(repr(state)) & 0xFFFFFF:06x}"


def _random(random: Any) -> Iterator[Table]:
    made, get, put = vars(random).get("_inst"), random.Random.getstate, random.Random.setstate
    if made is not None:
        yield _one("random state", "random", lambda: get(made), lambda value: put(made, value), _state_label)


def _numpy_writer(legacy: Any) -> Callable[[Any], object]:
    state = legacy.get_state()
    return lambda _value: legacy.set_state(state)


def _decimal(context: Any) -> tuple[Any, ...]:
    # Flags are left out: any inexact sum raises one, and nothing but a test of flags reads them.
    traps = tuple(sorted(trap.__name__ for trap, on in context.traps.items() if on))
    return (
        context.prec,
        context.rounding,
        context.Emin,
        context.Emax,
        context.capitals,
        context.clamp,
        traps,
    )


def _patches() -> dict[Any, Any]:
    active = vars(sys.modules["unittest.mock"]._patch).get("_active_patches", ())
    found: dict[Any, Any] = {}
    for patch in list(active)[:1000]:
        held = vars(patch)
        target = held.get("target")
        name = getattr(target, "__name__", None) if isinstance(target, (type, type(sys))) else None
        found[f"{name or type(target).__name__}.{held.get('attribute', 'dict')}"] = patch
    return found


def _stop_patch(key: Any, value: Any) -> None:
    if value is ABSENT:
        _patches()[key].stop()
    else:
        value.start()


def _event_loop(events: dict[str, Any]) -> Iterator[Table]:
    def policy() -> Any:
        return events.get("_event_loop_policy")

    def local() -> Any:
        # Asking by the public function would make the policy, and some policies a loop.
        found = policy()
        return None if found is None else vars(found).get("_local")

    def loop() -> Any:
        held = local()
        return None if held is None else getattr(held, "_loop", None)

    def put_loop(value: Any) -> None:
        held = local()
        if held is None:
            raise LookupError("this event loop policy keeps its loop elsewhere")
        held._loop = value
        if value is None:
            held._set_called = False

    yield _one("event loop", "asyncio policy", policy, lambda value: events.update(_event_loop_policy=value))
    yield _one("event loop", "asyncio current loop", loop, put_loop)


class Files:
    """The files under a folder: their kind, mode, size and content, that of large ones by time alone."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self.left_out = ""
        self._first: dict[str, tuple[Any, ...]] | None = None
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._bytes = 0

    def table(self) -> Table:
        """Return the table of the files."""
        return Table("file", "", self.read, self.put, ours=True, label=_file_label)

    def read(self) -> dict[Any, Any]:
        """Read the tree; the first time decides what is kept, later only what changed is opened."""
        found: dict[str, tuple[Any, ...]] = {}
        stamps: dict[str, tuple[int, int, int]] = {}
        queue = [""]
        while queue:
            folder = queue.pop()
            try:
                with scandir(os.path.join(self.root, folder)) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in listed:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name in _SKIPPED or entry.name.startswith(".coverage"):
                    continue
                if len(found) >= FILES:
                    self.left_out = f"more than {FILES:,} files under {self.root}"
                    return self._keep(found, stamps)
                try:
                    self._entry(path, entry, found, stamps, queue)
                except OSError:
                    continue
        return self._keep(found, stamps)

    def _entry(
        self, path: str, entry: Any, found: dict[str, Any], stamps: dict[str, Any], queue: list[str]
    ) -> None:
        info = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(info.st_mode)
        if entry.is_symlink():
            found[path] = ("link", mode, readlink(entry.path))
        elif entry.is_dir():
            if os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                return
            if self._first is None or path in self._first:
                found[path] = ("folder", mode)
                queue.append(path)
            else:
                found[path] = ("folder", mode, len(listdir(entry.path)))
        elif stat.S_ISREG(info.st_mode):
            stamp = stamps[path] = (info.st_size, info.st_mtime_ns, info.st_ino)
            if self._first is not None and self._stamps.get(path) == stamp and path in self._first:
                found[path] = (self._first[path][0], mode, *self._first[path][2:])
            else:
                found[path] = ("file", mode, info.st_size, self._content(path, entry.path, info))
        else:
            found[path] = ("special file", mode)

    def _content(self, path: str, full: str, info: os.stat_result) -> Any:
        if self._first is None:
            wanted = info.st_size <= FILE_BYTES and self._bytes + info.st_size <= ALL_BYTES
            self._bytes += info.st_size if wanted else 0
        else:
            known = self._first.get(path, ())
            wanted = len(known) == 4 and type(known[3]) is bytes and info.st_size == known[2]
        if not wanted:
            return info.st_mtime_ns
        with open(full, "rb") as stream:
            return stream.read(FILE_BYTES)

    def _keep(self, found: dict[str, Any], stamps: dict[str, Any]) -> dict[Any, Any]:
        if self._first is None:
            self._first, self._stamps = found, stamps
        return found

    def put(self, path: Any, value: Any) -> None:
        """Put one file back, or a folder with what it held; OSError or ValueError where that is impossible."""
        full = os.path.join(self.root, *path.split("/"))
        parent = os.path.realpath(os.path.dirname(full))
        if parent != self.root and not parent.startswith(self.root + os.sep):
            raise ValueError("a link leads out of the tree")
        if value is ABSENT or not _alike(full, value):
            _remove(full)
        if value is ABSENT:
            return
        os.makedirs(parent, exist_ok=True)
        if value[0] == "folder":
            os.makedirs(full, exist_ok=True)
            for below, held in (self._first or {}).items():
                if below.startswith(path + "/") and not os.path.lexists(os.path.join(self.root, below)):
                    self.put(below, held)
        elif value[0] == "link":
            _remove(full)
            os.symlink(value[2], full)
            return
        elif value[0] == "file":
            if type(value[3]) is not bytes:
                raise ValueError("the content of a large file was not kept")
            with open(full, "wb") as stream:
                stream.write(value[3])
            os.utime(full, ns=(self._stamps[path][1], self._stamps[path][1]))
        os.chmod(full, value[1])


def _alike(full: str, value: Any) -> bool:
    try:
        mode = lstat(full).st_mode
    except OSError:
        return True
    return stat.S_ISREG(mode) if value[0] == "file" else stat.S_ISDIR(mode) and value[0] == "folder"


def _remove(full: str) -> None:
    if not os.path.lexists(full):
        return
    if not stat.S_ISDIR(lstat(full).st_mode):
        os.unlink(full)
        return
    for folder, folders, files in os.walk(full, topdown=False):
        for name in files + [each for each in folders if os.path.islink(os.path.join(folder, each))]:
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _file_label(value: Any) -> str:
    if value[0] == "file":
        return f"file of {value[2]:,} bytes, mode {value[1]:o}"
    return f"link to {value[2]!r}" if value[0] == "link" else f"{value[0]}, mode {value[1]:o}"
