"""Sequences of tests in forks, and in processes of their own: what is asked is run, as pytest runs it."""

from __future__ import annotations

import os
import random
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from flaky_suites import elsewhere, numbered, sequences, statuses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.runner.outcome import Ran
from pytest_bugsle.runner.sequences import Sequences

pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks")


def both(collected: Sequences, top: Path, *names: str) -> list[str]:
    """Run a sequence in a fork and in a process of its own; they must agree, and say what both said."""
    numbers = [numbered(collected)[name] for name in names]
    fork = collected.run(numbers)
    apart = collected.apart(numbers, elsewhere(collected, top))
    assert statuses(fork) == statuses(apart), f"{names}: {fork} {apart}"
    assert fork.ended == apart.ended
    return statuses(fork)


# --- orders ----------------------------------------------------------------------------------------


ORDERED = {
    "test_a.py": """
        LOG = __import__("builtins").__dict__.setdefault("LOG", [])
        def test_a1(): LOG.append("a1")
        def test_a2(): LOG.append("a2")
        class TestIn:
            def test_a3(self): LOG.append("a3")
    """,
    "sub/test_b.py": """
        import builtins
        LOG = builtins.__dict__.setdefault("LOG", [])
        def test_b1(): LOG.append("b1")
        def test_b2(): LOG.append("b2")
        def test_show(): raise ValueError(",".join(LOG))
    """,
}


def test_a_sequence_is_run_as_asked(tmp_path: Path) -> None:
    """Across files and classes, in any order, some left out, some again; nothing is left for the next."""
    with sequences(tmp_path, ORDERED) as collected:
        numbers = numbered(collected)
        assert [item.number for item in collected.items] == list(range(len(collected.items)))
        random_order = random.Random(3)  # noqa: S311  # orders, not secrets
        for _ in range(6):
            names = random_order.choices(["test_a1", "test_a2", "test_a3", "test_b1", "test_b2"], k=4)
            ran = collected.run([numbers[name] for name in (*names, "test_show")])
            assert ran.ended == "finished"
            assert ran.last is not None and ran.last.error is not None
            assert ran.last.error.message == ",".join(name.removeprefix("test_") for name in names)
        names = ["test_b2", "test_a3", "test_a1", "test_show"]
        ran = collected.apart([numbers[name] for name in names], elsewhere(collected, tmp_path))
        assert ran.last is not None and ran.last.error is not None
        assert ran.last.error.message == "b2,a3,a1"
        assert [outcome.id for outcome in ran.outcomes] == [collected.items[numbers[n]].id for n in names]


def test_arguments_choose_what_is_collected(tmp_path: Path) -> None:
    """Paths, ids, -k and -m of the user hold; a sequence in a process of its own needs none of them."""
    with sequences(tmp_path, ORDERED, "-k", "b1 or show", "sub") as collected:
        assert sorted(numbered(collected)) == ["test_b1", "test_show"]
        assert both(collected, tmp_path, "test_show", "test_b1") == ["failed", "passed"]
    with sequences(tmp_path / "2", ORDERED, "test_a.py::TestIn") as collected:
        assert sorted(numbered(collected)) == ["test_a3"]


def test_a_plain_command_line_is_known_as_such(tmp_path: Path) -> None:
    """Where pytest itself would line up the ids so, that is said; not where one comes again."""
    with sequences(tmp_path, ORDERED) as collected:
        n = numbered(collected)
        where = elsewhere(collected, tmp_path)
        assert collected.apart([n["test_b1"], n["test_a1"]], where).plain
        assert not collected.apart([n["test_b1"], n["test_b1"]], where).plain


# --- fresh things, and kept things -----------------------------------------------------------------


FRESH = {
    "test_fresh.py": """
        import logging, os, sys, pytest

        class TestIn:
            def test_instance(self):
                assert not hasattr(self, "seen")
                self.seen = 1

        def test_tmp_path(tmp_path):
            assert not list(tmp_path.iterdir())
            (tmp_path / "x").touch()

        def test_request(request):
            assert "seen" not in request.node.stash._storage.values()
            assert not hasattr(request, "seen")
            request.seen = 1
            request.node.stash[pytest.StashKey()] = "seen"

        def test_marker(request):
            assert request.node.get_closest_marker("xfail") is None
            request.node.add_marker(pytest.mark.xfail(reason="from now on"))

        def test_capture(capsys):
            print("once")
            assert capsys.readouterr().out == "once\\n"

        def test_capture_fd(capfd):
            os.write(1, b"once")
            assert capfd.readouterr().out == "once"

        def test_caplog(caplog):
            logging.getLogger("x").warning("once")
            assert len(caplog.records) == 1

        def test_monkeypatch(monkeypatch):
            assert "BUGSLE_X" not in os.environ
            monkeypatch.setenv("BUGSLE_X", "1")

        def test_recwarn(recwarn):
            import warnings
            warnings.warn("x")
            assert len(recwarn) == 1

        @pytest.fixture
        def value():
            return []

        def test_fixture(value):
            assert not value
            value.append(1)

        @pytest.mark.parametrize("x", [1, 2])
        def test_parameters(x, value, tmp_path): assert not value

        def test_prints(): print("x" * 100)
    """
}


def test_a_repeated_test_gets_everything_fresh(tmp_path: Path) -> None:
    """Instance, request, stash, markers, `tmp_path`, capture, caplog, monkeypatch, function fixtures."""
    with sequences(tmp_path, FRESH) as collected:
        every = [item.number for item in collected.items]
        doubled = [number for number in every for _ in range(2)]
        for tests in (doubled, every + every[::-1]):
            fork = collected.run(tests)
            wrong = [(o.id, o.error) for o in fork.outcomes if o.status not in ("passed", "xpassed")]
            assert (wrong, len(fork.outcomes)) == ([], len(tests))
        apart = collected.apart(doubled, elsewhere(collected, tmp_path))
        assert set(statuses(apart)) == {"passed", "xpassed"}


WIDE = {
    "conftest.py": """
        import pytest
        LOG = []
        def logged(name):
            LOG.append("+" + name)
            yield name
            LOG.append("-" + name)
        @pytest.fixture(scope="session")
        def s(): yield from logged("s")
        @pytest.fixture(scope="module")
        def m(): yield from logged("m")
        @pytest.fixture(scope="class")
        def c(): yield from logged("c")
        @pytest.fixture
        def f(): yield from logged("f")
    """,
    "test_1.py": """
        from conftest import LOG
        class TestA:
            def test_1a(self, s, m, c, f): LOG.append("1a")
            def test_1b(self, s, m, c): LOG.append("1b")
        def test_1c(s, m): LOG.append("1c")
        def test_1show(): raise ValueError(" ".join(LOG))
    """,
    "test_2.py": """
        from conftest import LOG
        def test_2a(s): LOG.append("2a")
        def test_2show(): raise ValueError(" ".join(LOG))
    """,
}


@pytest.mark.parametrize(
    ("names", "log"),
    [
        ("1a 1a 1b 1show", "+s +m +c +f 1a -f +f 1a -f 1b -c"),
        ("1a 2a 1a 1show", "+s +m +c +f 1a -f -c -m 2a +m +c +f 1a -f -c"),
        ("1c 1c 2show", "+s +m 1c 1c -m"),
    ],
)
def test_wide_fixtures_are_kept_as_pytest_keeps_them(tmp_path: Path, names: str, log: str) -> None:
    """Set up once for neighbours of one class, module or session, and torn down where it is left."""
    with sequences(tmp_path, WIDE) as collected:
        numbers = [numbered(collected)[f"test_{name}"] for name in names.split()]
        for ran in (collected.run(numbers), collected.apart(numbers, elsewhere(collected, tmp_path))):
            assert ran.last is not None and ran.last.error is not None
            assert ran.last.error.message == log


KINDS = {
    "test_kinds.py": '''
        import unittest, pytest, asyncio
        STATE = {"setups": 0}

        class Case(unittest.TestCase):
            @classmethod
            def setUpClass(cls): STATE["setups"] += 1
            def setUp(self): self.fresh = []
            def test_fresh(self):
                self.assertEqual(self.fresh, [])
                self.assertFalse(hasattr(self, "seen"))
                self.seen = 1
                self.fresh.append(1)
            def test_setups(self): self.assertEqual(STATE["setups"], 1)
            def test_fails(self): self.fail("always")
            @unittest.expectedFailure
            def test_expected(self): self.fail("known")
            @unittest.skip("not here")
            def test_left_out(self): pass
            def test_parts(self):
                for i in range(3):
                    with self.subTest(i=i): self.assertNotEqual(i, 1)

        class Async(unittest.IsolatedAsyncioTestCase):
            async def test_await(self): await asyncio.sleep(0)

        @pytest.mark.asynchronous
        async def test_async():
            await asyncio.sleep(0)
            assert asyncio.get_running_loop()

        def test_subtests(subtests):
            for i in range(3):
                with subtests.test(i=i): assert i != 1

        def test_subtests_pass(subtests):
            for i in range(3):
                with subtests.test(i=i): assert i < 3

        @pytest.mark.skip
        def test_skipped(): pass
        @pytest.mark.xfail
        def test_xfailed(): assert 0
        @pytest.mark.xfail
        def test_xpassed(): pass
        @pytest.mark.xfail(strict=True)
        def test_strict(): pass

        class Box:
            """A box.

            >>> STATE["setups"] * 0
            0
            >>> x = 1
            >>> x + 1
            2
            """
    ''',
    "conftest.py": """
        import asyncio, inspect, pytest
        def pytest_configure(config): config.addinivalue_line("markers", "asynchronous: run in a loop")
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if inspect.iscoroutinefunction(pyfuncitem.obj):
                names = pyfuncitem._fixtureinfo.argnames
                asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
                return True
    """,
    "pytest.ini": """
        [pytest]
        addopts = --doctest-modules -p no:hypothesispytest -p no:randomly
    """,
}


def test_each_kind_of_test_runs_twice_as_it_runs_once(tmp_path: Path) -> None:
    """unittest (its class set up once), async, subtests, doctests, skips and expected failures."""
    expected = {
        "test_fresh": "passed",
        "test_setups": "passed",
        "test_fails": "failed",
        "test_expected": "xfailed",
        "test_left_out": "skipped",
        "test_parts": "failed",
        "test_await": "passed",
        "test_async": "passed",
        "test_subtests": "failed",
        "test_subtests_pass": "passed",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
        "test_strict": "failed",
        "test_kinds.Box": "passed",
    }
    with sequences(tmp_path, KINDS) as collected:
        numbers = numbered(collected)
        assert set(numbers) == set(expected)
        doubled = [number for number in numbers.values() for _ in range(2)]
        for ran in (collected.run(doubled), collected.apart(doubled, elsewhere(collected, tmp_path))):
            found = [(outcome.id.rpartition("::")[2], outcome.status) for outcome in ran.outcomes]
            assert found == [(name, expected[name]) for name in numbers for _ in range(2)]


IDS = """
    import pytest
    STRANGE = ["a\\nb", "::", "[x]", "ü", "", "a::b[", " ", "\\x1b[31m", "-k", "'\\"", "a/b.py::t", "\\ud800"]
    @pytest.mark.parametrize("x", STRANGE)
    def test_strange(x): assert x in STRANGE
    @pytest.mark.parametrize("f", [lambda: 1, lambda: 2])
    def test_lambda(f): assert f() in (1, 2)
    @pytest.mark.parametrize("x", [1, 2, 3], ids=["same", "same", "other"])
    def test_doubles(x): assert x
    def test_again(): assert 0
"""


@pytest.mark.slow
def test_strange_and_double_ids_name_their_tests(tmp_path: Path) -> None:
    """A process of its own runs the very test, also the second of those with one id."""
    conftest = """
        import pytest
        class Twin(pytest.Item):
            def runtest(self): raise ValueError(self.value)
        class Twins(pytest.File):
            def collect(self):
                for value in ("first", "second"):
                    item = Twin.from_parent(self, name="twin")
                    item.value = value
                    yield item
        def pytest_collect_file(parent, file_path):
            if file_path.suffix == ".twins": return Twins.from_parent(parent, path=file_path)
    """
    files = {"test_ids.py": IDS, "strange [x]/test_in.py": "def test_in(): pass", "a.twins": ""}
    with sequences(tmp_path, files | {"conftest.py": conftest}) as collected:
        twins = [item.number for item in collected.items if item.id.endswith("::twin")]
        assert len(twins) == 2
        others = [item.number for item in collected.items if item.number not in twins]
        order = others[::-1]
        fork = collected.run(order)
        apart = collected.apart(order, elsewhere(collected, tmp_path))
        assert [o.id for o in fork.outcomes] == [o.id for o in apart.outcomes]
        assert [o.id for o in fork.outcomes] == [collected.items[number].id for number in order]
        assert statuses(fork) == statuses(apart)
        for number, value in zip(twins, ("first", "second"), strict=True):
            for ran in (collected.run([number]), collected.apart([number], elsewhere(collected, tmp_path))):
                assert ran.last is not None and ran.last.error is not None
                assert ran.last.error.message == value


@pytest.mark.slow
def test_ids_too_long_for_a_command_line_are_run(tmp_path: Path) -> None:
    """A process of its own can be given any number of tests."""
    long = "import pytest\n@pytest.mark.parametrize('x', range(400), ids=lambda x: str(x) + 'x' * 8000)\n"
    with sequences(tmp_path, {"test_long.py": long + "def test_long(x): pass\n"}) as collected:
        every = [item.number for item in collected.items][::-1]
        ran = collected.apart(every, elsewhere(collected, tmp_path))
        assert (len(ran.outcomes), ran.ended) == (400, "finished")


# --- fixtures that fail ----------------------------------------------------------------------------


@pytest.mark.slow
def test_fixtures_that_fail_are_the_fault_of_the_test_that_pytest_blames(tmp_path: Path) -> None:
    """In setup all that use it, in teardown the last before it is left; alike in forks and apart."""
    files, blamed = {}, {}
    for scope, last in (("function", "two"), ("class", "free"), ("module", "after"), ("session", "")):
        for phase in ("setup", "teardown"):
            name = f"{scope}_{phase}"
            blamed[name] = {"one", "two"} if phase == "setup" or scope == "function" else {last}
            files[f"test_{name}.py"] = f"""
                import pytest
                @pytest.fixture(scope="{scope}")
                def wide():
                    assert "{phase}" != "setup"
                    yield
                    assert 0
                class TestA:
                    def test_{name}_one(self, wide): pass
                    def test_{name}_two(self, wide): pass
                    def test_{name}_free(self): pass
                def test_{name}_after(): pass
            """
    with sequences(tmp_path, files) as collected:
        names = [f"test_{name}_{test}" for name in blamed for test in ("one", "two", "free", "after")]
        expected = [
            "error" if n.rpartition("_")[2] in blamed[n[5:].rpartition("_")[0]] else "passed" for n in names
        ]
        expected[-1] = "error"  # the session's end
        assert both(collected, tmp_path, *names) == expected
        backwards = both(collected, tmp_path, *names[::-1])
        assert backwards.count("error") == expected.count("error") - 1  # the last fails in its setup, too
        assert both(collected, tmp_path, *(name for name in names for _ in range(2))).count("error") > 12


# --- held forks ------------------------------------------------------------------------------------


STATEFUL = {
    "conftest.py": """
        import pytest
        STATE = {"n": 7, "log": []}
        @pytest.fixture(scope="module")
        def module_state():
            STATE["n"] += 11
            yield STATE
            STATE["n"] *= 3
        @pytest.fixture(scope="class")
        def class_state():
            STATE["n"] += 13
            yield STATE
            STATE["n"] += 17
    """,
    **{
        f"test_{letter}.py": f"""
            import os, pytest
            from conftest import STATE
            def step(i):
                STATE["n"] = (STATE["n"] * {31 + 2 * index} + i) % 1009
                os.environ["STEP"] = os.environ.get("STEP", "") + "{letter}" + str(i)
                assert STATE["n"] % 4, str(STATE["n"]) + os.environ["STEP"]
            def test_{letter}0(): step(0)
            def test_{letter}1(module_state): step(1)
            class TestIn:
                def test_{letter}2(self, class_state): step(2)
                def test_{letter}3(self, class_state, module_state): step(3)
            @pytest.mark.parametrize("i", [4, 5])
            def test_{letter}4(i): step(i)
        """
        for index, letter in enumerate("abc")
    },
}


def told(ran: Ran) -> list[tuple[str, str, str]]:
    """Return all that a sequence shows but its times."""
    return [(o.id, o.status, o.error.message if o.error else "") for o in ran.outcomes]


def test_a_sequence_with_a_thread_is_not_held(tmp_path: Path) -> None:
    """No thread goes on in a fork: what comes after the one that started it is run from the beginning each time."""
    test = """
        import pytest, threading
        STARTED = []
        @pytest.mark.parametrize("n", range(10))
        def test_fill(n): pass
        def test_start():
            STARTED.append(threading.Thread(target=threading.Event().wait, daemon=True))
            STARTED[0].start()
        def test_alive(): assert STARTED[0].is_alive()
        def test_again(): assert STARTED[0].is_alive()
    """
    with sequences(tmp_path, {"test_it.py": test}) as collected:
        *start, alive, again = (item.number for item in collected.items)
        for last in (alive, again, alive):
            ran = collected.run([*start, last], hold=len(start))
            assert set(statuses(ran)) == {"passed"}, ran


def test_a_held_fork_shows_what_the_whole_sequence_shows(tmp_path: Path) -> None:
    """However a sequence goes on after what was held, by a state that depends on every step."""
    with sequences(tmp_path, STATEFUL) as collected:
        every = [item.number for item in collected.items]
        starts = [random.Random(seed).sample(every, 16) for seed in range(3)]  # noqa: S311  # orders, not secrets
        anew = sequences(tmp_path / "anew", STATEFUL)

        with anew as other:

            @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(
                start=st.sampled_from(starts),
                length=st.integers(0, 16),
                rest=st.lists(st.sampled_from(every), min_size=1, max_size=6),
            )
            def check(start: Sequence[int], length: int, rest: Sequence[int]) -> None:
                tests = [*start[:length], *rest]
                assert told(collected.run(tests, hold=length)) == told(other.run(tests))

            check()
            assert collected.started > other.started, "nothing was held"


def test_a_held_fork_stands_for_its_very_order_and_its_files(tmp_path: Path) -> None:
    """The same tests in another order are run anew; so are those that left a file, which is gone by now."""
    test = """
        import pathlib, pytest
        LEFT, SEEN = pathlib.Path(__file__).parent / "left", []
        @pytest.mark.parametrize("x", range(10))
        def test_sees(x): SEEN.append(x)
        def test_leaves(): LEFT.write_text("x")
        def test_shows(): raise ValueError(f"{SEEN} {LEFT.exists()}")
    """
    with sequences(tmp_path, {"test_a.py": test}) as collected:
        n = numbered(collected)
        order = list(range(10))
        for before, left in ((order, False), (order[::-1], False), ([n["test_leaves"], *order], True)):
            for _ in range(2):
                ran = collected.run([*before, n["test_shows"]], hold=len(before))
                assert ran.last is not None and ran.last.error is not None
                seen = [number for number in before if number in order]
                assert ran.last.error.message == f"{seen} {left}"


def test_wide_fixtures_stay_in_a_held_fork_until_it_is_known_what_comes_next(tmp_path: Path) -> None:
    """Whichever test comes first after it, and whatever came when it was made; a failing end is told."""
    fill = "\n".join(f"    def test_{number}(self, wide): pass" for number in range(10))
    test = f"""
import pytest
LOG = []
@pytest.fixture(scope="class")
def wide():
    LOG.append("+")
    yield
    LOG.append("-")
    assert 0
class TestIn:
{fill}
    def test_inside(self, wide): raise ValueError("".join(LOG))
def test_outside(): raise ValueError("".join(LOG))
"""
    with sequences(tmp_path, {"test_a.py": test}) as collected:
        n = numbered(collected)
        before = [n[f"test_{number}"] for number in range(10)]
        for name in ("test_outside", "test_inside", "test_outside"):
            ran = collected.run([*before, n[name]], hold=10)
            assert ran.last is not None and ran.last.error is not None
            assert ran.last.error.message == ("+-" if name == "test_outside" else "+")
            assert statuses(ran)[9] == ("error" if name == "test_outside" else "passed")
        assert len(collected._held) == 1


@pytest.mark.slow
def test_a_held_fork_outlives_the_time_limit_of_a_test(tmp_path: Path) -> None:
    """It waits for orders, and does not hang."""
    with sequences(tmp_path, STATEFUL, timeout=0.5) as collected:
        every = [item.number for item in collected.items]
        first = told(collected.run(every[:12], hold=11))
        held = [held.name for held in collected._held]
        time.sleep(1.5)
        assert told(collected.run(every[:12], hold=11)) == first
        assert held and [held.name for held in collected._held] == held


def test_a_held_fork_that_ends_is_made_up_for(tmp_path: Path) -> None:
    """An alarm that a test left goes off later, and takes its process with it."""
    alarm = """
        import os, pytest, signal, time
        COUNT = []
        @pytest.mark.parametrize("x", range(12))
        def test_counts(x): COUNT.append(x)
        def test_alarm(): signal.setitimer(signal.ITIMER_REAL, 0.3)
        def test_total(): assert len(COUNT) == 12, COUNT
        def test_parent(): os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)
    """
    with sequences(tmp_path, {"test_a.py": alarm}) as collected:
        n = numbered(collected)
        counts = list(range(12))
        tests = [n["test_alarm"], *counts, n["test_total"]]
        assert statuses(collected.run(tests, hold=13)) == ["passed"] * 14
        time.sleep(0.6)
        assert statuses(collected.run(tests, hold=13))[-1] == "passed"
        tests = [*counts, n["test_parent"]]
        assert statuses(collected.run(tests, hold=12))[-1] == "died"
        assert statuses(collected.run([*counts, n["test_total"]], hold=12)) == ["passed"] * 13


# --- tests that behave badly -----------------------------------------------------------------------


BAD = """
    import os, pathlib, shutil, signal, subprocess, sys, threading, time, pytest
    HERE = pathlib.Path(__file__).parent
    OUT = sys.stdout
    def test_ok(): pass
    def test_exit_0(): os._exit(0)
    def test_exit_3(): os._exit(3)
    def test_segfault(): os.kill(os.getpid(), signal.SIGSEGV)
    def test_abort(): os.abort()
    def test_interrupt(): raise KeyboardInterrupt
    def test_system_exit(): raise SystemExit(3)
    def test_pytest_exit(): pytest.exit("enough")
    def test_group(): os.killpg(os.getpgrp(), signal.SIGKILL)
    def test_hang():
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        while True: time.sleep(1)
    def test_parent(): os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)
    def test_parent_politely(): os.kill(os.getppid(), signal.SIGTERM); time.sleep(5)
    def test_closes(): os.closerange(3, 4096)
    def test_stream(): sys.stdout = sys.stderr = None
    def test_streams_end(): sys.stdout.close()
    def test_kept_stream(): print("to the stream of the import", file=OUT)
    def test_child_handler(): signal.signal(signal.SIGCHLD, lambda *_: os._exit(9))
    def test_child_ignored(): signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    def test_starts(): assert subprocess.run([sys.executable, "-c", ""]).returncode == 0
    def test_alarm(): signal.signal(signal.SIGALRM, lambda *_: os._exit(9)); signal.alarm(1)
    def test_wakeup():
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
    def test_wakeup_none(): assert signal.set_wakeup_fd(-1) == -1
    def test_umask(): os.umask(0o777)
    def test_umask_is(): assert os.umask(0o22) != 0o777
    def test_audit():
        def hook(event, args):
            if event == "open" and threading.current_thread() is threading.main_thread(): raise RuntimeError(event)
        sys.addaudithook(hook)
    def test_prints(): print("x" * 3_000_000); os.write(2, b"y" * 3_000_000)
    def test_prints_and_fails(): print("x" * 3_000_000); assert 0
    def test_chdir(): os.chdir("/")
    def test_cwd(): assert pathlib.Path.cwd() == HERE
    def test_cwd_gone(tmp_path): os.chdir(tmp_path); tmp_path.rmdir()
    def test_rewrites(): pathlib.Path(__file__).write_text("def test_other(): pass")
    def test_deletes(): shutil.rmtree(HERE)
    def test_leaves(): (HERE / "left").write_text("x")
    def test_nothing_left(): assert not (HERE / "left").exists() and (HERE / "data").read_text() == "data"
    def test_data(): (HERE / "data").write_text("other")
    def test_thread(): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    def test_nondaemon(): threading.Thread(target=time.sleep, args=(30,)).start()
    def test_daemon_process():
        if not os.fork():
            time.sleep(0.4)
            (HERE / "late").write_text("x")
            time.sleep(30)
            os._exit(0)
    def test_not_late(): time.sleep(0.8); assert not (HERE / "late").exists()
    def test_falls_through(): os.fork()
    def test_environ(): os.environ.clear()
    def test_environ_is(): assert "PATH" in os.environ
    def test_modules():
        for name in [n for n in sys.modules if n.startswith("json")]: del sys.modules[name]
    def test_json(): import json; assert json.dumps(1) == "1"
    def test_patches():
        import json
        json.dumps = json.loads = os.write = os.open = None
    def test_recursion():
        def f(): f()
        f()
"""

ENDS = {
    "test_exit_0": ("died", "the process exited with code 0"),
    "test_exit_3": ("died", "the process exited with code 3"),
    "test_segfault": ("died", "the process was killed by SIGSEGV"),
    "test_abort": ("died", "the process was killed by SIGABRT"),
    "test_interrupt": ("died", ""),
    "test_pytest_exit": ("died", ""),
    "test_group": ("died", "the process was killed by SIGKILL"),
    "test_hang": ("timeout", "still running at its time limit"),
    "test_parent": ("died", ""),
    "test_parent_politely": ("died", ""),
}


@pytest.mark.slow
def test_a_test_that_ends_or_stalls_its_process_costs_only_itself(tmp_path: Path) -> None:
    """The sequence ends there, says how, and the next one works; a fork and a clean process agree."""
    with sequences(tmp_path, {"test_bad.py": BAD, "data": "data"}, timeout=1.5) as collected:
        n = numbered(collected)
        for name, (ended, message) in ENDS.items():
            ran = collected.run([n["test_ok"], n[name], n["test_ok"]])
            assert (name, statuses(ran), ran.ended) == (name, ["passed", ended], ended)
            error = ran.outcomes[-1].error
            assert ran.last is None and error is not None
            assert message in error.message
        assert statuses(collected.run([n["test_ok"], n["test_ok"]])) == ["passed", "passed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_a_process_of_its_own_says_the_same_of_how_it_ended(tmp_path: Path, name: str) -> None:
    """Whatever the signal, the exit code, or the exception."""
    with sequences(tmp_path, {"test_bad.py": BAD, "data": "data"}, timeout=1.5) as collected:
        n = numbered(collected)
        ran = collected.apart([n["test_ok"], n[name], n["test_ok"]], elsewhere(collected, tmp_path))
        assert (statuses(ran), ran.ended) == (["passed", ENDS[name][0]], ENDS[name][0])


LEFT = [
    ("test_stream", "test_prints", "test_kept_stream"),
    ("test_system_exit", "test_ok"),
    ("test_kept_stream", "test_kept_stream"),
    ("test_child_handler", "test_ok"),
    ("test_child_ignored", "test_ok"),
    ("test_starts", "test_ok"),
    ("test_alarm", "test_ok"),
    ("test_wakeup", "test_ok"),
    ("test_umask", "test_ok"),
    ("test_chdir", "test_ok", "test_kept_stream"),
    ("test_cwd_gone", "test_ok"),
    ("test_prints", "test_prints_and_fails", "test_ok"),
    ("test_rewrites", "test_ok"),
    ("test_deletes", "test_ok"),
    ("test_leaves", "test_data", "test_ok"),
    ("test_thread", "test_ok"),
    ("test_nondaemon", "test_ok"),
    ("test_daemon_process", "test_ok"),
    ("test_falls_through", "test_ok"),
    ("test_environ", "test_ok"),
    ("test_modules", "test_json", "test_ok"),
    ("test_recursion", "test_ok"),
]
CLEAN = (
    "test_ok",
    "test_nothing_left",
    "test_cwd",
    "test_umask_is",
    "test_environ_is",
    "test_json",
    "test_wakeup_none",
    "test_starts",
    "test_kept_stream",
    "test_not_late",
)


def test_nothing_of_a_sequence_reaches_the_next(tmp_path: Path) -> None:
    """Folder, files, environment, handlers, umask, streams, threads and processes are as they were."""
    with sequences(tmp_path, {"test_bad.py": BAD, "data": "data"}, timeout=5) as collected:
        n = numbered(collected)
        for names in LEFT:
            ran = collected.run([n[name] for name in names])
            expected = [
                "failed" if "fails" in m or m in ("test_system_exit", "test_recursion") else "passed"
                for m in names
            ]
            assert (names, statuses(ran)) == (names, expected), ran
            assert ran.ended == "finished"
        for names in (
            ("test_closes", "test_ok"),
            ("test_audit", "test_ok"),
            ("test_patches", "test_ok"),
            ("test_streams_end",),
        ):
            ran = collected.run([n[name] for name in names])
            assert len(ran.outcomes) <= len(names)
        after = collected.run([n[name] for name in CLEAN])
        assert statuses(after) == ["passed"] * len(CLEAN), [o.error for o in after.outcomes]


def test_output_of_a_test_that_was_killed_is_no_other_test_s(tmp_path: Path) -> None:
    """Each fork captures for itself, for the sake of plugins that read what was printed."""
    conftest = """
        import pytest
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(item, call):
            report = (yield).get_result()
            if report.capstdout.strip() not in ("", item.name): report.outcome = "failed"
    """
    test = """
        import os
        def test_killed(): os.write(1, b"of another"); os._exit(0)
        def test_prints(): print("test_prints")
    """
    with sequences(tmp_path, {"conftest.py": conftest, "test_a.py": test}) as collected:
        n = numbered(collected)
        for _ in range(2):
            assert statuses(collected.run([n["test_prints"], n["test_prints"]])) == ["passed", "passed"]
            assert statuses(collected.run([n["test_killed"]])) == ["died"]


@pytest.mark.slow
def test_what_is_held_survives_what_its_tests_left(tmp_path: Path) -> None:
    """After closed descriptors, handlers, threads or a replaced stream, the answer is that of a whole run."""
    fill = "\n".join(f"def test_fill{number}(): pass" for number in range(10))
    bad = textwrap.dedent(BAD) + fill
    with sequences(tmp_path, {"test_bad.py": bad, "data": "data"}, timeout=5) as collected:
        n = numbered(collected)
        fills = [n[f"test_fill{number}"] for number in range(10)]
        for name in (
            "closes",
            "stream",
            "streams_end",
            "child_handler",
            "child_ignored",
            "wakeup",
            "umask",
            "environ",
            "chdir",
            "cwd_gone",
            "thread",
            "audit",
            "patches",
            "modules",
            "falls_through",
            "leaves",
            "prints",
            "kept_stream",
        ):
            tests = [n[f"test_{name}"], *fills, n["test_kept_stream"], n["test_ok"]]
            held = collected.run(tests, hold=11)
            whole = collected.run(tests)
            kept, collected._held = collected._held, []
            anew = collected.run(tests)
            collected._held = kept
            assert (name, told(held)) == (name, told(anew))
            assert told(whole) == told(anew)


# --- time, and what cannot be collected ------------------------------------------------------------


SLOW = "import time\ndef test_quick(): pass\ndef test_slow(): time.sleep(30)\n"


@pytest.mark.slow
def test_what_had_ended_is_told_when_the_time_is_over(tmp_path: Path) -> None:
    """A test that our own time cut off is neither failed nor hanging, and later sequences are not begun."""
    with sequences(tmp_path, {"test_a.py": SLOW}, deadline=2.0) as collected:
        n = numbered(collected)
        ran = collected.run([n["test_quick"], n["test_slow"], n["test_quick"]])
        assert (statuses(ran), ran.ended) == (["passed"], "budget")
        assert collected.spent
        ran = collected.run([n["test_quick"]])
        assert ran.ended == "budget"
    with sequences(tmp_path / "apart", {"test_a.py": SLOW}, deadline=2.5) as collected:
        tests = [n["test_quick"], n["test_slow"]]
        ran = collected.apart(tests, elsewhere(collected, tmp_path / "apart"))
        assert ran.ended == "budget" and set(statuses(ran)) <= {"passed"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"test_a.py": "import time\ntime.sleep(30)"}, "budget"),
        ({"test_a.py": ""}, "no test was collected"),
        ({"test_a.py": "import no_such_module"}, "test_a.py cannot be imported"),
    ],
)
def test_without_tests_nothing_can_be_tried(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """The reason is told, and no process is left."""
    with pytest.raises(UndecidedError, match=words), sequences(tmp_path, files, deadline=2.0):
        pass
    assert not list((tmp_path / "scratch").iterdir())


def test_threads_that_end_for_a_fork_forbid_none(tmp_path: Path) -> None:
    """Importing numpy starts those of OpenBLAS; they end for each fork, and start again where they have work."""
    pytest.importorskip("numpy")
    test = """
        import os, numpy
        def test_product(): assert (numpy.ones((300, 300)) @ numpy.ones((300, 300)) == 300).all()
        def test_fresh():
            assert "BUGSLE_SEEN" not in os.environ
            os.environ["BUGSLE_SEEN"] = "1"
    """
    with sequences(tmp_path, {"test_it.py": test}) as collected:
        assert collected.forks
        for _ in range(2):
            assert both(collected, tmp_path, "test_product", "test_fresh", "test_product") == ["passed"] * 3


def test_a_thread_of_another_library_forbids_forks(tmp_path: Path) -> None:
    """One that Python does not know of, and that no fork ends."""
    started = """
        import ctypes
        library = ctypes.CDLL(None)
        library.pthread_create(ctypes.byref(ctypes.c_ulong()), None, library.pause, None)
    """
    with sequences(tmp_path, {"conftest.py": started, "test_it.py": "def test_it(): pass\n"}) as collected:
        assert not collected.forks
        assert statuses(collected.apart([0], elsewhere(collected, tmp_path))) == ["passed"]


def test_a_thread_forbids_forks_and_nothing_else(tmp_path: Path) -> None:
    """Clean processes still run what is asked."""
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n"
    with sequences(tmp_path, {"conftest.py": thread, "test_a.py": SLOW}) as collected:
        assert not collected.forks
        ran = collected.apart([numbered(collected)["test_quick"]], elsewhere(collected, tmp_path))
        assert (statuses(ran), ran.ended) == (["passed"], "finished")


def test_a_file_that_cannot_be_imported_costs_its_own_tests(tmp_path: Path) -> None:
    """The others are collected, and the error is kept."""
    with sequences(tmp_path, {"test_a.py": "import no_such_module", "test_b.py": SLOW}) as collected:
        assert sorted(numbered(collected)) == ["test_quick", "test_slow"]
        assert list(collected.collect_errors) == ["test_a.py"]
        assert both(collected, tmp_path, "test_quick") == ["passed"]


def test_what_a_gate_imports_is_imported_once(tmp_path: Path) -> None:
    """A fork that judges an A/B result begins with scipy; where no test asks for that, nothing is loaded."""
    pytest.importorskip("scipy")
    asks = """
        import sys
        LOADED = "scipy.optimize" in sys.modules
        def test_gate(ab_gate):
            assert not LOADED and "scipy.optimize" in sys.modules
            ab_gate.proportions(control=(500, 5000), treatment=(640, 5000))
    """
    with sequences(tmp_path / "1", {"test_a.py": asks}) as collected:
        assert statuses(collected.run([0])) == ["passed"]
    plain = "import sys\ndef test_plain():\n    assert 'scipy.optimize' not in sys.modules\n"
    with sequences(tmp_path / "2", {"test_a.py": plain}) as collected:
        assert statuses(collected.run([0])) == ["passed"]
