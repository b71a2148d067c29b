"""Put a process into a controlled world before a test runs, and take it out again.  PYTEST_DONT_REWRITE

Standalone, like the recorder. What a world can say, each part optional:

- `rng`: seeds the global generators of `random`, and of NumPy and torch where they were imported, and
  `random.Random()` without a seed.
- `entropy`: `os.urandom` and what stands on it: `uuid4`, `secrets`, `SystemRandom`, `default_rng()`. A part
  of its own, as two processes in one such world make the same "unique" names. File names of `tempfile`
  stay random in every world.
- `tz`: `TZ`. `locale`: `LC_ALL` and `setlocale`; not the encoding that Python chose at its start.
- `clock`: seconds since the epoch at which the clock begins; `stand`: it stands there (`worlds_clock`).
- `network`: `"off"`, what is not this machine cannot be reached by Python's sockets. Other processes and C
  libraries with sockets of their own are not reached.
- `listing`: `"sorted"`, `"reversed"` or `"shuffled:SEED"`, the order of `os.listdir` and `os.scandir` and
  so of `glob`, `pathlib` and `os.walk`.
- `switch`: seconds of the thread switch interval. `slow`: seconds by which each thread starts late.
- `load`: processes that burn CPU beside the test, `load_seconds` at most. `fds`: file descriptors left.

A world that this system does not have is refused: `WorldRefused`, and nothing is changed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import locale
import operator
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_undo: list[Callable[[], None]] = []

# The launcher ends at once: a test that waits for any child does not meet ours. What burns ends with its
# time, or when the pipe that is its standard input ends, that is with us.
_LAUNCH = """
import subprocess, sys
for _ in range(int(sys.argv[2])):
    subprocess.Popen([sys.executable, "-I", "-S", "-c", sys.argv[1], sys.argv[3]])
"""
_BURN = """
import os, sys, threading, time
end = time.monotonic() + float(sys.argv[1])
threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
os.write(1, b".")
while time.monotonic() < end: sum(range(1000))
"""


class WorldRefused(ValueError):
    """Raised for a world that this interpreter or system cannot be put into."""


def enter(world: dict[str, Any]) -> None:
    """Leave the world before, if any, and set each part of this one."""
    leave()
    unknown = sorted(set(world) - set(_PARTS) - {"stand", "load_seconds"})
    if unknown:
        raise WorldRefused(f"no world has {', '.join(unknown)}")
    try:
        for part, put in _PARTS.items():
            if part in world:
                put(world)
    except BaseException:
        leave()
        raise


def leave() -> None:
    """Put everything back as it was, last change first."""
    while _undo:
        _undo.pop()()


@contextlib.contextmanager
def inside(world: dict[str, Any]) -> Iterator[None]:
    """Hold a world for the length of a `with` block."""
    enter(world)
    try:
        yield
    finally:
        leave()


def offers(locales: list[str], zones: list[str]) -> dict[str, list[str]]:
    """Say which of these locales and time zones the system has, without going there."""
    known = []
    before = locale.setlocale(locale.LC_ALL)
    for name in locales:
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        known.append(name)
    locale.setlocale(locale.LC_ALL, before)
    return {"locale": known, "tz": [zone for zone in zones if _zone_is_known(zone)]}


def _replace(owner: Any, name: str, value: Any) -> None:
    """Set an attribute until the world is left, unless something else was put there meanwhile."""
    had = name in vars(owner)
    old = vars(owner).get(name)
    setattr(owner, name, value)

    def back() -> None:
        if vars(owner).get(name) is not value:
            return
        if had:
            setattr(owner, name, old)
        else:
            delattr(owner, name)

    _undo.append(back)


def _restore(put: Callable[[Any], Any], before: Any) -> None:
    _undo.append(lambda: put(before))


def _environment(name: str, value: str) -> None:
    old = os.environ.get(name)
    os.environ[name] = value

    def back() -> None:
        if old is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = old

    _undo.append(back)


# -- chance

_lineage: list[int] = []  # which fork of which fork this process is, from the one that was imported in
_forks: list[int] = []


def _watch_forks() -> None:
    """Let each fork have numbers of its own, as it would have from the system; the same ones each time."""

    def count() -> None:
        _forks[0] += 1

    def branch() -> None:
        _lineage.append(_forks[0])
        _forks[0] = 0

    if not _forks and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=count, after_in_child=branch)
    _forks[:] = [0]
    _lineage.clear()


def _rng(world: dict[str, Any]) -> None:
    seed = int(world["rng"])
    import tempfile

    _restore(random.setstate, random.getstate())
    random.seed(seed)
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None and hasattr(numpy, "get_state"):
        _restore(numpy.set_state, numpy.get_state())
        numpy.seed(seed % 2**32)
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        _restore(torch.set_rng_state, torch.get_rng_state())
        torch.manual_seed(seed)

    original = random.Random.seed
    made = [0]
    _watch_forks()

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None:
            made[0] += 1
            a = f"{seed}:{_lineage}:{made[0]}"
        original(self, a, version)

    # The same names of temporary files in two processes would meet.
    if hasattr(tempfile, "_Random"):
        _replace(tempfile, "_Random", type("Random", (random.Random,), {"seed": original}))
    seeded.__name__ = "seed"
    _replace(random.Random, "seed", seeded)
    _replace(random, "seed", getattr(random, "_inst").seed)  # noqa: B009


def _entropy(world: dict[str, Any]) -> None:
    _watch_forks()
    sources: dict[str, random.Random] = {}

    def urandom(size: int) -> bytes:
        size = operator.index(size)
        if size < 0:
            raise ValueError("negative argument not allowed")
        key = f"entropy:{int(world['entropy'])}:{_lineage}"
        source = sources.get(key) or sources.setdefault(key, random.Random(key))  # noqa: S311
        return source.getrandbits(8 * size).to_bytes(size, "big") if size else b""

    for owner in (os, random):
        name = "urandom" if owner is os else "_urandom"
        if hasattr(owner, name):
            _replace(owner, name, urandom)


# -- place and time


def _zone_is_known(zone: str) -> bool:
    try:
        import zoneinfo
    except ImportError:
        places = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"]
    else:
        places = list(zoneinfo.TZPATH)
    plain = zone.replace("/", "").replace("_", "").replace("-", "").replace("+", "").isalnum()
    return plain and any(os.path.isfile(os.path.join(place, *zone.split("/"))) for place in places)


def _tz(world: dict[str, Any]) -> None:
    zone = str(world["tz"])
    if not hasattr(time, "tzset") or not _zone_is_known(zone):
        raise WorldRefused(f"this system cannot be put into the time zone {zone!r}")
    _undo.append(time.tzset)
    _environment("TZ", zone)
    time.tzset()


def _locale(world: dict[str, Any]) -> None:
    name = str(world["locale"])
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        raise WorldRefused(f"this system has no locale {name!r}") from None
    _restore(lambda name: locale.setlocale(locale.LC_ALL, name), before)
    _environment("LC_ALL", name)


def _clock(world: dict[str, Any]) -> None:
    from . import worlds_clock

    _undo.append(worlds_clock.travel(float(world["clock"]), bool(world.get("stand", False))))


# -- network


def _hosts() -> dict[str, str]:
    """Read the names that this machine resolves without a network."""
    known: dict[str, str] = {}
    with contextlib.suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            address, *names = line.partition("#")[0].split() or [""]
            for name in names:
                known.setdefault(name.lower(), address)
    return known


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return True
    with contextlib.suppress(OSError):
        socket.inet_aton(host)  # 127.1
        return True
    return False


def _is_ours(address: str) -> bool:
    """Say whether an address is this machine's: another one cannot be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _network(world: dict[str, Any]) -> None:
    if world["network"] not in ("on", "off"):
        raise WorldRefused(f"the network is 'on' or 'off', not {world['network']!r}")
    if world["network"] == "on":
        return
    outer = (socket.AF_INET, socket.AF_INET6)
    hosts = _hosts()
    own_name = socket.gethostname().lower()

    def fault(host: Any, lookup: bool) -> Any:
        """Return what a cut cable answers, or None for what needs no cable."""
        text = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host or "")
        text = text.partition("%")[0].rstrip(".").lower()
        if text == own_name or text in ("", "localhost") or text.endswith(".localhost"):
            return None
        address = hosts.get(text, text)
        if not _is_address(address):
            return socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if lookup or _is_ours(address):
            return None
        return OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def guarded(name: str, place: Callable[[Any], Any]) -> None:
        original = getattr(socket.socket, name, None)
        if original is None:
            return

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            address = place(args)
            if self.family in outer and isinstance(address, tuple) and address:
                error = fault(address[0], lookup=False)
                if error is not None and name == "connect_ex" and error.errno == errno.ENETUNREACH:
                    return error.errno
                if error is not None:
                    raise error
            return original(self, *args, **kwargs)

        call.__name__ = name
        _replace(socket.socket, name, call)

    guarded("connect", lambda args: args[0] if args else None)
    guarded("connect_ex", lambda args: args[0] if args else None)
    guarded("sendto", lambda args: args[-1] if len(args) > 1 else None)
    guarded("sendmsg", lambda args: args[3] if len(args) > 3 else None)

    def named(name: str, lookup: bool) -> None:
        original = getattr(socket, name)

        def call(host: Any, *args: Any, **kwargs: Any) -> Any:
            error = fault(host, lookup)
            if error is not None and not lookup:
                error = socket.herror(2, "Host name lookup failure")
            if error is not None:
                raise error
            return original(host, *args, **kwargs)

        call.__name__ = name
        _replace(socket, name, call)

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        named(name, lookup=True)
    named("gethostbyaddr", lookup=False)


# -- order of directories


def _listing(world: dict[str, Any]) -> None:
    order = str(world["listing"])
    if order not in ("sorted", "reversed") and not order.startswith("shuffled:"):
        raise WorldRefused(f"a listing is 'sorted', 'reversed' or 'shuffled:SEED', not {order!r}")

    shuffled, backward = ":" in order, order == "reversed"

    def key(name: Any) -> bytes:
        raw = os.fsencode(name)
        return hashlib.sha256(order.encode() + b"\0" + raw).digest() if shuffled else raw

    def listdir(path: Any = None) -> Any:
        return sorted(real_listdir(path), key=key, reverse=backward)

    class ScanDir:
        """Entries of a directory, in the world's order."""

        def __init__(self, path: Any = None) -> None:
            with real_scandir(path) as entries:
                found = sorted(entries, key=lambda entry: key(entry.name), reverse=backward)
            self._entries = iter(found)

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            return next(self._entries)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

        def close(self) -> None:
            self._entries = iter(())

    def scandir(path: Any = None) -> Any:
        return ScanDir(path)

    real_listdir, real_scandir = os.listdir, os.scandir
    import glob
    import pathlib

    for real, stand in ((real_listdir, listdir), (real_scandir, scandir)):
        if real in os.supports_fd:
            os.supports_fd.add(stand)
            _restore(os.supports_fd.discard, stand)
        _replace(os, real.__name__, stand)
        # Some versions keep the functions in classes of their own.
        for owner in [*vars(pathlib).values(), *vars(glob).values()]:
            kept = vars(owner).get(real.__name__) if isinstance(owner, type) else None
            if getattr(kept, "__func__", kept) is real:
                _replace(owner, real.__name__, staticmethod(stand))


# -- threads, load and resources


def _switch(world: dict[str, Any]) -> None:
    _restore(sys.setswitchinterval, sys.getswitchinterval())
    sys.setswitchinterval(float(world["switch"]))


def _slow(world: dict[str, Any]) -> None:
    seconds = float(world["slow"])
    original, sleep = threading.Thread.start, time.sleep

    def start(self: Any) -> None:
        run = self.run

        def late() -> None:
            self.__dict__.pop("run", None)
            sleep(seconds)
            run()

        self.__dict__["run"] = late
        original(self)

    _replace(threading.Thread, "start", start)


def _load(world: dict[str, Any]) -> None:
    count, seconds = int(world["load"]), float(world.get("load_seconds", 60))
    if count < 1:
        return
    command = [sys.executable, "-I", "-S", "-c", _LAUNCH, _BURN, str(count), str(seconds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as launcher:
        assert launcher.stdin is not None and launcher.stdout is not None
        lifeline = os.dup(launcher.stdin.fileno())
        _undo.append(lambda: _close(lifeline))
        for _ in range(count):
            launcher.stdout.read(1)  # each burns from here on


def _close(number: int) -> None:
    with contextlib.suppress(OSError):  # a test may have closed whatever was open
        os.close(number)


def _fds(world: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:
        raise WorldRefused("this system has no limit of file descriptors") from None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    with contextlib.suppress(OSError):  # fewer are free already
        for _ in range(int(world["fds"])):
            held.append(os.open(os.devnull, os.O_RDONLY))  # which numbers are free, the system knows
    for number in held:
        os.close(number)
    _undo.append(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1 if held else soft, hard))


# In this order: what comes late may use what comes early, and the clock is set last.
_PARTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "load": _load,
    "tz": _tz,
    "locale": _locale,
    "switch": _switch,
    "slow": _slow,
    "network": _network,
    "listing": _listing,
    "entropy": _entropy,
    "rng": _rng,
    "clock": _clock,
    "fds": _fds,
}
