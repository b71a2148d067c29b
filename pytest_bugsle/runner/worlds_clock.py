"""Set the clock that Python code reads, without stopping anything that waits.  PYTEST_DONT_REWRITE

Standalone, like the recorder. Reached: `time.time`, `time_ns`, `clock_gettime`, what `localtime`, `gmtime`,
`ctime`, `asctime` and `strftime` take for now, `datetime.now`, `utcnow`, `today`, `date.today`, and names
that other modules imported from `time` before. `monotonic` and `perf_counter` go on as they were, so that
timeouts and durations are real. Not reached: C code that asks the system itself, file times, SQLite's
`CURRENT_TIMESTAMP`, `numpy.datetime64("now")`, the first id of `uuid1`, and other processes.
"""

from __future__ import annotations

import datetime
import errno
import gc
import importlib
import math
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

# They time the run itself, or wait by copies of what they imported.
_OWN = frozenset(
    {"_pytest", "pytest", "pluggy", "xdist", "execnet", "pytest_timeout", "threading", "queue", "selectors"}
    | {"asyncio", "concurrent", "multiprocessing", "subprocess", "datetime", "_pydatetime"}
)
_DEPRECATED = (
    "datetime.datetime.utcnow() is deprecated and scheduled for removal in a future version. Use "
    "timezone-aware objects to represent datetimes in UTC: datetime.datetime.now(datetime.UTC)."
)
_READ = 1_000  # nanoseconds that a standing clock goes on with each reading
_SECOND = 1_000_000_000


class _Running:
    """A clock that begins at a moment and goes on as the real one does."""

    def __init__(self, begin: int) -> None:
        self._begin = begin
        self._started = time.monotonic_ns()

    def __call__(self) -> int:
        return self._begin + time.monotonic_ns() - self._started

    def slept(self, seconds: float) -> None:
        """Take no note: the real clock went on."""


class _Standing:
    """A clock that depends on what was read and slept alone, within the first second.

    It never holds up a loop that waits for a moment: it goes on by a microsecond a reading, by what was
    slept, and by whole real seconds.
    """

    def __init__(self, begin: int) -> None:
        self._now = begin
        self._begin = begin
        self._started = time.monotonic_ns()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            elapsed = (time.monotonic_ns() - self._started) // _SECOND * _SECOND
            self._now = max(self._now + _READ, self._begin + elapsed)
            return self._now

    def slept(self, seconds: float) -> None:
        """Go on by what a thread slept."""
        with self._lock:
            self._now += math.ceil(seconds * _SECOND)


def travel(seconds: float, stand: bool) -> Callable[[], None]:
    """Begin the clock at `seconds` since the epoch, running or standing, and return what sets it right.

    A running clock is left to `time_machine` where the interpreter has it: it reaches all copies. The
    system's own clock cannot be set meanwhile: a test that sets it to what it reads would set it to ours.
    """
    undo = [_exchanged(_shut())]
    try:
        undo.append(_start(seconds, stand))
    except BaseException:
        undo.pop()()
        raise

    def back() -> None:
        while undo:
            undo.pop()()

    return back


def _start(seconds: float, stand: bool) -> Callable[[], None]:
    if not stand:
        try:
            time_machine: Any = importlib.import_module("time_machine")
        except ImportError:
            pass
        else:
            traveller = time_machine.travel(seconds, tick=True)
            traveller.start()
            return traveller.stop  # type: ignore[no-any-return]
    begin = round(seconds * 1_000_000) * 1_000
    return _replace(_Standing(begin) if stand else _Running(begin))


def _shut() -> dict[str, Any]:
    """Make what stands for the functions that set the clock."""

    def clock_settime(clk_id: int, time: float) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def clock_settime_ns(clk_id: int, time: int) -> None:
        clock_settime(clk_id, time)

    return {"clock_settime": clock_settime, "clock_settime_ns": clock_settime_ns}


def _replace(now: Any) -> Callable[[], None]:
    """Put functions that read `now` (nanoseconds) in the place of those that read the clock."""
    undo = [_exchanged(_functions(now))]

    def back() -> None:
        while undo:
            undo.pop()()

    try:
        for name, method in _readings(now):
            undo.append(_set(datetime.datetime, name, method))
    except BaseException:
        back()
        raise
    return back


def _exchanged(made: dict[str, Any]) -> Callable[[], None]:
    """Put these in the place of the functions of `time`, and return what puts those back."""
    pairs = [(getattr(time, name), made[name]) for name in made if hasattr(time, name)]
    _exchange(pairs)
    return lambda: _exchange([(ours, theirs) for theirs, ours in pairs])


def _exchange(pairs: list[tuple[Any, Any]]) -> None:
    """Put the second of each pair wherever a module has the first, under whatever name."""
    new = {id(old): made for old, made in pairs}
    for name, module in list(sys.modules.items()):
        space = getattr(module, "__dict__", None)
        if type(space) is dict and name.partition(".")[0] not in _OWN and name != __name__:
            for key, value in list(space.items()):
                if id(value) in new:
                    space[key] = new[id(value)]


def _functions(now: Any) -> dict[str, Any]:
    """Make what stands for each function of `time`."""
    real: dict[str, Any] = {name: getattr(time, name) for name in dir(time)}
    realtime = real.get("CLOCK_REALTIME")

    def read() -> float:
        return now() / _SECOND  # type: ignore[no-any-return]

    def localtime(seconds: Any = None) -> Any:
        return real["localtime"](now() // _SECOND if seconds is None else seconds)

    def gmtime(seconds: Any = None) -> Any:
        return real["gmtime"](now() // _SECOND if seconds is None else seconds)

    def ctime(seconds: Any = None) -> Any:
        return real["ctime"](now() // _SECOND if seconds is None else seconds)

    def asctime(t: Any = None) -> Any:
        return real["asctime"](localtime() if t is None else t)

    def strftime(format: str, t: Any = None) -> Any:
        return real["strftime"](format, localtime() if t is None else t)

    def clock_gettime(clk_id: int) -> Any:
        return read() if clk_id == realtime else real["clock_gettime"](clk_id)

    def clock_gettime_ns(clk_id: int) -> Any:
        return now() if clk_id == realtime else real["clock_gettime_ns"](clk_id)

    def sleep(seconds: float) -> None:
        real["sleep"](seconds)
        now.slept(seconds)

    made: list[Any] = [localtime, gmtime, ctime, asctime, strftime, clock_gettime, clock_gettime_ns, sleep]
    read.__name__ = "time"
    return {"time": read, "time_ns": now, **{function.__name__: function for function in made}}


def _readings(now: Any) -> list[tuple[str, Any]]:
    """Make what stands for the methods of `datetime.datetime` that ask the system.

    The class stays the one that everyone has imported, so that `isinstance`, pickles and subclasses hold.
    `datetime.today` and `date.today` ask `time.time` already.
    """

    def current(cls: Any, tz: Any = None) -> Any:
        return cls.fromtimestamp(now() // 1000 / 1_000_000, tz)

    def utcnow(cls: Any) -> Any:
        if sys.version_info >= (3, 12):
            warnings.warn(_DEPRECATED, DeprecationWarning, stacklevel=2)
        return cls(1970, 1, 1) + datetime.timedelta(microseconds=now() // 1000)

    current.__name__ = "now"
    return [("now", classmethod(current)), ("utcnow", classmethod(utcnow))]


def _set(cls: type, name: str, value: Any) -> Callable[[], None]:
    """Set an attribute of a class, of one written in C too, and return what puts the old one back."""
    old = cls.__dict__[name]

    def put(what: Any) -> None:
        try:
            setattr(cls, name, what)
        except TypeError:
            # The mapping proxy of a C class refers to its real dictionary; the cache of methods is told.
            import ctypes

            gc.get_referents(cls.__dict__)[0][name] = what
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))

    put(value)
    return lambda: put(old)
