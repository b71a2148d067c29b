"""A world holds what it says while it lasts, and leaves nothing behind."""

from __future__ import annotations

import datetime
import errno
import glob
import locale
import os
import pathlib
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime as imported_datetime
from time import time as imported_time
from typing import Any

import pytest

from pytest_bugsle.runner import worlds, worlds_clock

LEAP = 951_782_400.25  # 2000-02-29T00:00:00.25Z


@pytest.fixture(autouse=True)
def _left() -> Iterator[None]:
    yield
    worlds.leave()


def both(world: dict[str, Any], read: Callable[[], Any]) -> tuple[Any, Any]:
    """Read twice, each time in the world anew."""
    with worlds.inside(world):
        first = read()
    with worlds.inside(world):
        return first, read()


def test_a_seed_makes_generators_repeat_and_another_seed_differs() -> None:
    """The global generator, and those that are made without a seed, each with numbers of its own."""

    def drawn() -> list[float]:
        return [random.random(), random.Random().random(), random.Random().random()]  # noqa: S311

    first, again = both({"rng": 1}, drawn)
    assert first == again and len(set(first)) == 3
    with worlds.inside({"rng": 2}):
        assert drawn() != first
    assert drawn() != drawn()


def test_a_generator_with_a_seed_and_the_state_of_the_process_stay_as_they_were() -> None:
    """Also what `random.seed()` does, and names of temporary files."""
    random.seed(5)
    expected = random.Random(7).random()  # noqa: S311
    state = random.getstate()
    with worlds.inside({"rng": 1}):
        assert random.Random(7).random() == expected  # noqa: S311
        names = [next(tempfile._RandomNameSequence()) for _ in range(2)]  # type: ignore[attr-defined]
        random.seed()
    assert random.getstate() == state
    with worlds.inside({"rng": 1}):
        assert next(tempfile._RandomNameSequence()) not in names  # type: ignore[attr-defined]
    assert random.seed.__func__ is random.Random.seed  # type: ignore[attr-defined]


def test_the_entropy_of_the_system_repeats_where_it_is_asked_for() -> None:
    """Ids, tokens and bytes; and not by a seed alone."""

    def drawn() -> list[Any]:
        return [uuid.uuid4(), secrets.token_hex(8), os.urandom(8), random.SystemRandom().random()]

    first, again = both({"entropy": 1}, drawn)
    assert first == again and len(os.urandom(0)) == 0
    unseeded, anew = both({"rng": 1}, drawn)
    assert all(left != right for left, right in zip(unseeded, anew, strict=True))
    with worlds.inside({"entropy": 1}):
        with pytest.raises(ValueError, match="negative"):
            os.urandom(-1)
        with pytest.raises(TypeError):
            os.urandom(1.5)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_have_ids_of_their_own_which_repeat() -> None:
    """Two workers of one test must not make the same unique name."""

    def forked() -> list[bytes]:
        found = [os.urandom(8)]
        for _ in range(2):
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                os.write(writing, os.urandom(8))
                os._exit(0)
            os.close(writing)
            found.append(os.read(reading, 8))
            os.close(reading)
            os.waitpid(child, 0)
        return found

    first, again = both({"entropy": 1}, forked)
    assert first == again and len(set(first)) == 3


@pytest.mark.parametrize("stand", [False, True])
def test_the_clock_begins_where_it_is_set(stand: bool) -> None:
    """For all that asks it, also by names that were imported before; and it goes on."""
    with worlds.inside({"clock": LEAP, "stand": stand}):
        for read in (time.time, imported_time, lambda: time.time_ns() / 1e9):
            assert 0 <= read() - LEAP < 60
        for now in (datetime.datetime.now(), imported_datetime.now(), imported_datetime.today()):  # noqa: DTZ002, DTZ005
            assert type(now) is datetime.datetime and abs(now.timestamp() - LEAP) < 60
        assert imported_datetime.now(datetime.UTC).isoformat().startswith("2000-02-29T00:0")
        assert abs(datetime.date.today().toordinal() - LEAP // 86400 - 719_163) <= 1  # noqa: DTZ011
        assert (
            time.strftime("%Y") == "2000"
            and time.gmtime().tm_year == 2000
            and time.localtime(0).tm_year < 1971
        )
        assert time.ctime().endswith("2000") and time.asctime().endswith("2000")
        assert time.clock_gettime(time.CLOCK_REALTIME) - LEAP < 60
        begun, real = time.time(), time.monotonic()
        time.sleep(0.01)
        assert time.time() - begun >= 0.01 and time.monotonic() - real >= 0.01
    for read in (time.time, imported_time, lambda: datetime.datetime.now().timestamp()):  # noqa: DTZ005
        assert read() - LEAP > 60
    assert (
        imported_time is time.time
        and type(vars(datetime.datetime)["now"]).__name__ == "classmethod_descriptor"
    )


def test_a_standing_clock_depends_on_what_was_asked_alone() -> None:
    """Not on how fast this machine is."""

    def read() -> list[Any]:
        found: list[Any] = [time.time_ns(), imported_datetime.now()]  # noqa: DTZ005
        threading.Event().wait(0.003)
        time.sleep(0.25)
        return [*found, time.time_ns(), imported_datetime.now(datetime.UTC)]

    first, again = both({"clock": LEAP, "stand": True}, read)
    assert first == again
    assert 250_000_000 <= first[2] - first[0] < 250_100_000


def test_a_loop_that_waits_for_a_moment_ends_under_a_standing_clock() -> None:
    """It waits otherwise than by sleeping."""
    with worlds.inside({"clock": LEAP, "stand": True}):
        end = time.time() + 0.02
        while time.time() < end:
            pass
        end = time.time() + 1.5
        while time.time() < end:
            threading.Event().wait(0.05)


def test_subclasses_of_datetime_are_made_by_their_own_constructor() -> None:
    """As the real methods do it."""

    class Own(datetime.datetime):
        def __new__(cls, *args: Any, **kwargs: Any) -> Own:  # noqa: PYI034
            made = super().__new__(cls, *args, **kwargs)
            made.mark = 1  # type: ignore[attr-defined]
            return made

    with worlds.inside({"clock": LEAP, "stand": True}):
        for now in (Own.now(), Own.now(datetime.UTC)):
            assert type(now) is Own and now.mark == 1  # type: ignore[attr-defined]


def test_the_clock_of_the_system_cannot_be_set_from_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that sets it to what it reads would set the machine's clock to ours."""
    called: list[Any] = []
    monkeypatch.setattr(time, "clock_settime", lambda *args: called.append(args))
    for stand in (False, True):
        with worlds.inside({"clock": LEAP, "stand": stand}), pytest.raises(PermissionError):
            time.clock_settime(time.CLOCK_REALTIME, time.time())
    assert not called
    time.clock_settime(time.CLOCK_REALTIME, 0)
    assert len(called) == 1


def test_a_module_that_was_imported_in_a_world_is_put_right_too() -> None:
    """It took the world's function for the real one."""
    module = type(sys)("imported_in_a_world")
    sys.modules[module.__name__] = module
    try:
        with worlds.inside({"clock": LEAP, "stand": True}):
            module.now = time.time  # type: ignore[attr-defined]
        assert module.now is time.time  # type: ignore[attr-defined]
    finally:
        del sys.modules[module.__name__]


def test_the_time_zone_is_set_and_put_back() -> None:
    """For this process and its children; one that is not there is refused."""
    zones = worlds.offers([], ["Asia/Kolkata"])["tz"]
    if not zones:
        pytest.skip("this system has no time zones")
    before = (os.environ.get("TZ"), time.strftime("%z"))
    with worlds.inside({"tz": "Asia/Kolkata"}):
        assert time.strftime("%z") == "+0530" and os.environ["TZ"] == "Asia/Kolkata"
    assert (os.environ.get("TZ"), time.strftime("%z")) == before
    for zone in ("No/Where", "../../etc/passwd", "/etc/passwd", ""):
        with pytest.raises(worlds.WorldRefused):
            worlds.enter({"tz": zone})
    assert (os.environ.get("TZ"), time.strftime("%z")) == before


def test_the_locale_is_set_and_put_back() -> None:
    """One that the system lacks is refused, and not offered."""
    before = (locale.setlocale(locale.LC_ALL), os.environ.get("LC_ALL"))
    with worlds.inside({"locale": "C"}):
        assert locale.setlocale(locale.LC_ALL) == "C" and os.environ["LC_ALL"] == "C"
    with pytest.raises(worlds.WorldRefused, match="xx_XX"):
        worlds.enter({"locale": "xx_XX.UTF-8"})
    assert worlds.offers(["C", "xx_XX.UTF-8"], ["No/Where"]) == {"locale": ["C"], "tz": []}
    assert (locale.setlocale(locale.LC_ALL), os.environ.get("LC_ALL")) == before


def test_without_a_network_this_machine_can_still_be_reached() -> None:
    """By address and by name, and through Unix sockets."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with worlds.inside({"network": "off"}):
            for host in ("127.0.0.1", "localhost", "127.1"):
                socket.create_connection((host, port), 5).close()
            left, right = socket.socketpair()
            left.close()
            right.close()
            assert socket.getaddrinfo(None, 80)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                assert sender.sendto(b"x", ("127.0.0.1", port)) == 1


def test_without_a_network_nothing_else_can_be_reached() -> None:
    """As with a cut cable: at once, with the errors that such a system gives."""
    with worlds.inside({"network": "off"}):
        with pytest.raises(OSError, match="unreachable") as unreachable:
            socket.create_connection(("192.0.2.1", 80), 1)
        assert unreachable.value.errno == errno.ENETUNREACH
        with socket.socket() as client:
            assert client.connect_ex(("192.0.2.1", 80)) == errno.ENETUNREACH
            with pytest.raises(socket.gaierror):
                client.connect(("test.invalid", 80))
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
            pytest.raises(OSError, match="unreach"),
        ):
            sender.sendto(b"x", ("192.0.2.1", 80))
        for lookup in (
            lambda: socket.getaddrinfo("test.invalid", 80),
            lambda: socket.gethostbyname(b"a.invalid"),
        ):
            with pytest.raises(socket.gaierror, match="Temporary failure"):
                lookup()
        with pytest.raises(socket.herror):
            socket.gethostbyaddr("192.0.2.1")
    assert "connect" not in vars(socket.socket)
    assert socket.getaddrinfo.__module__ == "socket"


@pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled:1", "shuffled:2"])
def test_a_listing_has_the_same_order_for_all_that_lists(tmp_path: pathlib.Path, order: str) -> None:
    """And the same names."""
    for name in "dbca":
        (tmp_path / name).mkdir()
    with worlds.inside({"listing": order}):
        names = os.listdir(tmp_path)
        with os.scandir(tmp_path) as entries:
            assert [entry.name for entry in entries] == names
        assert [os.path.basename(path) for path in glob.glob(f"{tmp_path}/*")] == names
        assert [path.name for path in tmp_path.iterdir()] == names
        assert [path.name for path in tmp_path.glob("*")] == names
        assert next(os.walk(tmp_path))[1] == names
        assert [name.decode() for name in os.listdir(os.fsencode(tmp_path))] == names
        assert os.listdir in os.supports_fd
    expected = {"sorted": list("abcd"), "reversed": list("dcba")}
    assert names == expected.get(order, names) and sorted(names) == list("abcd")
    assert os.listdir.__module__ == "posix" or os.name == "nt"


def test_shuffles_differ_by_their_seed(tmp_path: pathlib.Path) -> None:
    """Of ten seeds there are several orders."""
    for name in "dbca":
        (tmp_path / name).touch()
    orders = set()
    for seed in range(10):
        with worlds.inside({"listing": f"shuffled:{seed}"}):
            orders.add(tuple(os.listdir(tmp_path)))
    assert len(orders) > 3


def test_threads_switch_and_start_as_told() -> None:
    """A thread that starts late has not run when `start` returns."""
    before = sys.getswitchinterval()
    done: list[int] = []
    with worlds.inside({"switch": 1e-6, "slow": 0.1}):
        assert sys.getswitchinterval() == pytest.approx(1e-6, rel=0.01)
        thread = threading.Thread(target=done.append, args=(1,))
        thread.start()
        assert not done
        thread.join()
        assert done == [1]
    assert sys.getswitchinterval() == before


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_load_is_no_child_of_the_test_and_ends_with_the_world() -> None:
    """It burns from the start; its time is bounded."""

    def burning() -> int:
        found = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as stream:
                    words = stream.read().split(b"\0")
            except OSError:
                continue
            found += words[-2:-1] == [b"12.345"]
        return found

    def children() -> set[str]:
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                parent = stream.read().rpartition(")")[2].split()[1]
                found |= {pid} if parent == str(os.getpid()) else set()
        return found

    before = children()  # what other tests have left
    with worlds.inside({"load": 2, "load_seconds": 12.345}):
        assert burning() == 2
        assert children() <= before
    end = time.monotonic() + 5
    while burning() and time.monotonic() < end:
        time.sleep(0.02)
    assert not burning()


def test_load_ends_with_a_process_that_is_killed() -> None:
    """Nobody is left to leave the world: a pipe that ends is the sign."""
    code = (
        "import os, sys\nfrom pytest_bugsle.runner import worlds\n"
        "worlds.enter({'load': 1, 'load_seconds': 30})\nos.kill(os.getpid(), 9)"
    )
    begun = time.monotonic()
    # Its standard error is a pipe that the burner would keep open.
    subprocess.run([sys.executable, "-c", code], check=False, timeout=20, stderr=subprocess.PIPE)
    assert time.monotonic() - begun < 20


def test_so_many_descriptors_are_left_as_told() -> None:
    """However many are open, and as many as before afterwards."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []

    def exhaust() -> None:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))

    with worlds.inside({"fds": 7}):
        try:
            with pytest.raises(OSError, match="Too many open files"):
                exhaust()
        finally:
            for number in held:
                os.close(number)
    assert len(held) == 7
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_a_world_that_is_refused_changes_nothing() -> None:
    """Also where the refusal comes after other parts were set."""
    before = (sys.getswitchinterval(), os.listdir, random.getstate())
    for wrong in ({"listing": "random"}, {"moon": 1}, {"network": "slow"}):
        with pytest.raises(worlds.WorldRefused):
            worlds.enter({"switch": 1e-6, "rng": 1, **wrong})
        assert (sys.getswitchinterval(), os.listdir, random.getstate()) == before


def test_what_a_test_replaced_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves behind is evidence of its own."""
    own = lambda path=".": ["own"]  # noqa: E731
    monkeypatch.setattr(os, "listdir", os.listdir)
    with worlds.inside({"listing": "sorted"}):
        os.listdir = own
    assert os.listdir is own


def test_the_modules_need_nothing_of_ours_and_old_pythons_can_read_them() -> None:
    """They are copied beside a tree, under another name."""
    import ast

    for module in (worlds, worlds_clock):
        source = pathlib.Path(str(module.__file__)).read_text(encoding="utf-8")
        tree = ast.parse(source, feature_version=(3, 8))
        names = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        names |= {
            str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level
        }
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
