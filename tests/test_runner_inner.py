"""One inner run: what hangs, dies or misbehaves costs only itself, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from runner_trees import Trees, by_name, only, statuses

from pytest_bugsle.errors import ProgramError, UsageError


def test_a_test_that_kills_its_process_costs_only_itself(tmp_path: Path) -> None:
    """`os._exit`, a segmentation fault and a signal are told by test, and the rest still runs."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "core.py": """
                import ctypes
                def crash(): ctypes.string_at(0)
            """,
            "test_a.py": """
                import os, signal, core
                def test_first(): pass
                def test_exit(): os._exit(0)
                def test_between(): pass
                def test_crash(): core.crash()
                def test_signal(): os.kill(os.getpid(), signal.SIGKILL)
                def test_last(): assert 0
            """,
        }
    )
    run = trees.run("test_a.py", changed=("core.py",), owned=("core",))
    assert statuses(run) == {
        "test_first": "passed",
        "test_exit": "died",
        "test_between": "passed",
        "test_crash": "died",
        "test_signal": "died",
        "test_last": "failed",
    }
    found = by_name(run)
    crash, killed, left = (found[name].error for name in ("test_crash", "test_signal", "test_exit"))
    assert crash is not None and crash.in_changed and crash.frames[-2].path == "core.py"
    assert killed is not None and killed.message == "the process was killed by SIGKILL"
    assert left is not None and left.message == "the process exited with code 0"
    assert (run.ended, run.wrong_tree) == ("died", ())


def test_a_test_that_hangs_is_timed_out_with_its_stack(tmp_path: Path) -> None:
    """A loop, a sleep and a regular expression that never ends are cut, and say whether the fix's file ran."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "core.py": """
                import re
                def loop():
                    while True: pass
                def match(): return re.match("(a*)*$", "a" * 60 + "b")
            """,
            "test_a.py": """
                import os, time, core
                def test_loop(): core.loop()
                def test_regex(): core.match()
                def test_sleep():
                    os.closerange(3, 5000)
                    time.sleep(60)
                def test_quick(): pass
            """,
        }
    )
    run = trees.run("test_a.py", changed=("core.py",), owned=("core",), timeout=0.8)
    assert statuses(run) == {
        "test_loop": "timeout",
        "test_regex": "timeout",
        "test_sleep": "timeout",
        "test_quick": "passed",
    }
    loop, regex, sleep = (by_name(run)[name].error for name in ("test_loop", "test_regex", "test_sleep"))
    assert loop is not None and regex is not None and sleep is not None
    assert loop.in_changed and [frame.function for frame in loop.frames][-2:] == ["test_loop", "loop"]
    assert regex.in_changed
    assert not sleep.in_changed
    assert (run.ended, run.wrong_tree) == ("timeout", ())


def test_a_file_that_hangs_while_imported_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endless import is a collection error of its file."""
    monkeypatch.setattr("pytest_bugsle.runner.inner._IDLE", 2.5)
    trees = Trees(tmp_path)
    trees.write(
        {
            "core.py": "def loop():\n    while True: pass\n",
            "test_a.py": "import core\ncore.loop()\n",
            "test_b.py": "def test_b(): pass\n",
            "test_c.py": "import os\nos._exit(3)\n",
        }
    )
    run = trees.run("test_a.py", "test_c.py", "test_b.py", changed=("core.py",), timeout=1.0)
    assert statuses(run) == {"test_b": "passed"}
    errors = run.collect_errors
    assert {path: error.type for path, error in errors.items()} == {
        "test_a.py": "Timeout",
        "test_c.py": "Died",
    }
    assert errors["test_a.py"].in_changed and not errors["test_c.py"].in_changed


def test_the_deadline_ends_the_whole_run(tmp_path: Path) -> None:
    """What did not run in time is missing, never passed."""
    trees = Trees(tmp_path)
    trees.write(
        {"test_a.py": "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\ndef test_c(): pass\n"}
    )
    started = time.monotonic()
    run = trees.run("test_a.py", timeout=30, deadline=2.5)
    assert time.monotonic() - started < 10
    assert statuses(run)["test_a"] == "passed"
    assert statuses(run)["test_c"] == "missing"
    assert run.ended == "timeout"


def test_pytest_exit_in_a_test_is_that_tests_death(tmp_path: Path) -> None:
    """A test that ends the session does not take the others with it."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "test_a.py": """
                import pytest
                def test_exit(): pytest.exit("enough", returncode=0)
                def test_interrupt(): raise KeyboardInterrupt
                def test_after(): pass
            """
        }
    )
    run = trees.run("test_a.py")
    assert statuses(run) == {"test_exit": "died", "test_interrupt": "died", "test_after": "passed"}


def test_a_forked_child_adds_no_results(tmp_path: Path) -> None:
    """A child that falls through into pytest is nobody's result."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "test_a.py": """
                import os, time
                def test_fork():
                    pid = os.fork()
                    if not pid:
                        time.sleep(0.3)  # its result would come last
                    assert pid
                def test_fork_and_return():
                    pid = os.fork()
                    if pid: os.waitpid(pid, 0)
                def test_after(): time.sleep(0.9)
            """
        }
    )
    run = trees.run("test_a.py")
    assert statuses(run) == {"test_fork": "passed", "test_fork_and_return": "passed", "test_after": "passed"}
    assert run.ended == "finished"


def test_tests_that_change_their_process_are_recorded(tmp_path: Path) -> None:
    """Another folder, no environment, closed descriptors and a replaced meta path lose no record."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "test_a.py": """
                import os, sys
                def test_chdir(tmp_path): os.chdir(tmp_path)
                def test_closed(): os.closerange(40, 5000)
                def test_environment(): os.environ.clear()
                def test_path(): sys.path[:] = []; sys.meta_path[:] = list(reversed(sys.meta_path))
                def test_write(): open(os.path.join(os.path.dirname(__file__), "left.txt"), "w").close()
                def test_exit(): sys.exit(3)
                def test_last(): assert 0
            """
        }
    )
    run = trees.run("test_a.py")
    names = ("test_chdir", "test_closed", "test_environment", "test_path", "test_write")
    assert statuses(run) == {**dict.fromkeys(names, "passed"), "test_exit": "failed", "test_last": "failed"}
    assert run.wrong_tree == ()
    assert (trees.tree / "left.txt").exists()


def test_swapped_content_is_seen_at_once(tmp_path: Path) -> None:
    """A change of the same size within the same second is run, not its predecessor's compiled form."""
    trees = Trees(tmp_path)
    trees.write({"core.py": "X = 1\n", "test_a.py": "import core\ndef test_x(): assert core.X == 1\n"})
    for file in ("core.py", "test_a.py"):
        os.utime(trees.tree / file, (1_700_000_000, 1_700_000_000))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONTWRITE")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=trees.tree, env=env, check=True, capture_output=True
    )
    assert list(trees.tree.rglob("*.pyc")), "the user's own run left compiled files"
    assert statuses(trees.run("test_a.py")) == {"test_x": "passed"}
    (trees.tree / "core.py").write_text("X = 2\n")
    os.utime(trees.tree / "core.py", (1_700_000_000, 1_700_000_000))
    assert statuses(trees.run("test_a.py")) == {"test_x": "failed"}
    assert not list(trees.tree.rglob("*.pyc"))


def test_an_outer_sessions_environment_does_not_leak_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options, git's local variables and coverage's of an outer process are scrubbed."""
    for name, value in {
        "PYTEST_ADDOPTS": "--no-such-option",
        "PYTEST_XDIST_WORKER": "gw7",
        "GIT_INDEX_FILE": "/nowhere",
        "COVERAGE_PROCESS_START": "/nowhere",
        "PYTHONOPTIMIZE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    trees = Trees(tmp_path)
    trees.write(
        {
            "test_a.py": """
                import os, sys
                def test_environment(worker_id, tmp_path):
                    gone = ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "GIT_INDEX_FILE",
                            "COVERAGE_PROCESS_START", "PYTHONOPTIMIZE")
                    assert not [name for name in gone if name in os.environ]
                    assert os.environ["BUGSLE_INNER"] == "1"
                    assert os.environ["PYTHONHASHSEED"] == "0"
                    assert os.getcwd() == os.path.dirname(__file__)
                    assert "bgs-" in str(tmp_path)
            """
        }
    )
    run = trees.run("test_a.py")
    assert statuses(run) == {"test_environment": "passed"}, run.output


def test_node_ids_are_relative_to_the_root_folder(tmp_path: Path) -> None:
    """A root folder inside the tree, or an ini file above it, leaves ids and conftests right."""
    trees = Trees(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    trees.write(
        {
            "conftest.py": "raise RuntimeError('above the root folder')\n",
            "project/conftest.py": "import pytest\n@pytest.fixture\ndef one(): return 1\n",
            "project/tests/test_a.py": "def test_a(one): assert one == 1\n",
        }
    )
    run = trees.run("project/tests/test_a.py", rootdir="project")
    assert {id_: outcome.path for id_, outcome in run.outcomes.items()} == {
        "tests/test_a.py::test_a": "project/tests/test_a.py"
    }, run.output
    assert statuses(run) == {"test_a": "passed"}


def test_a_refused_option_is_a_problem_with_its_message(tmp_path: Path) -> None:
    """Wrong usage of pytest is told, not taken for a result."""
    trees = Trees(tmp_path)
    trees.write({"test_a.py": "def test_a(): pass\n"})
    run = trees.run(only("test_a.py", "test_a"), args=("--import-mode=sideways",))
    assert run.outcomes == {}
    assert run.exit_code == 4
    assert "sideways" in run.problem


@pytest.mark.parametrize(("value", "loaded"), [("", True), ("1", False)])
def test_whether_plugins_load_by_themselves_is_the_suites_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, loaded: bool
) -> None:
    """A suite that runs with autoload off runs so inside a proof, too."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", value)
    trees = Trees(tmp_path)
    trees.write(
        {
            "test_a.py": f"def test_a(pytestconfig): assert pytestconfig.pluginmanager.hasplugin('xdist') is {loaded}\n"
        }
    )
    assert statuses(trees.run("test_a.py")) == {"test_a": "passed"}


def test_an_unusable_interpreter_is_named(tmp_path: Path) -> None:
    """A missing program, and one that is no Python, are usage errors that say what to type."""
    trees = Trees(tmp_path)
    trees.write({"test_a.py": "def test_a(): pass\n"})
    with pytest.raises(UsageError, match="cannot start the interpreter '/no/such/python'") as missing:
        trees.run("test_a.py", python="/no/such/python")
    assert "--python" in missing.value.hint
    with pytest.raises(UsageError, match="is not a usable Python"):
        trees.run("test_a.py", python="/bin/false")


def test_a_tree_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing folder is told before anything is started."""
    with pytest.raises(UsageError, match="there is no folder"):
        Trees(tmp_path).run("test_a.py", rootdir="nowhere")


def test_no_selected_file_in_the_tree_starts_nothing(tmp_path: Path) -> None:
    """Tests of files that this side lacks are missing."""
    trees = Trees(tmp_path)
    trees.write({})
    run = trees.run(only("test_a.py", "test_a"))
    assert statuses(run) == {"test_a": "missing"}
    assert (run.ended, run.wrong_tree, run.exit_code) == ("finished", (), None)


def _alive(marker: str) -> list[str]:
    """List the command lines of processes that carry a marker in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if marker.encode() in (folder / "environ").read_bytes() and "Z" not in _state(folder):
                    found.append((folder / "cmdline").read_bytes().decode().replace("\0", " "))
            except OSError:
                continue
    return found


def _state(folder: Path) -> str:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0]


_DAEMONS = """
    import os, subprocess, sys, time
    def test_daemon():
        code = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nif os.fork(): os._exit(0)\\ntime.sleep(60)"
        subprocess.run([sys.executable, "-c", code], check=True)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_daemons_of_tests_do_not_outlive_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that detached itself from the session is killed at the end of the run."""
    marker = f"marker-{os.urandom(6).hex()}"
    monkeypatch.setenv("RUN_MARKER", marker)
    trees = Trees(tmp_path)
    trees.write({"test_a.py": _DAEMONS})
    run = trees.run("test_a.py")
    assert statuses(run) == {"test_daemon": "passed"}, run.output
    monkeypatch.delenv("RUN_MARKER")
    assert _alive(marker) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_an_outer_process_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    """`kill -9` and Ctrl-C of the outer process end keeper, pytest and daemons within a second."""
    trees = Trees(tmp_path)
    trees.write({"test_a.py": textwrap.dedent(_DAEMONS) + "def test_wait():\n    time.sleep(60)\n"})
    marker = f"marker-{os.urandom(6).hex()}"
    here = Path(__file__).parent
    program = f"""
import sys
sys.path[:0] = [{str(here.parent)!r}, {str(here)!r}]
from pathlib import Path
from runner_trees import Trees
Trees(Path({str(tmp_path)!r})).run("test_a.py")
"""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    outer = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "RUN_MARKER": marker, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 30
    running = '"t":"run","id":"test_a.py::test_wait"'
    while not any(running in path.read_text() for path in tmp_path.glob("scratch/run-*/records.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.05)
    while len(_alive(marker)) < 5:  # the outer process, the keeper, pytest, a child and a daemon
        assert time.monotonic() < until
        time.sleep(0.05)  # one that is just being started has no environment yet
    outer.send_signal(number)
    _, errors = outer.communicate(timeout=30)
    until = time.monotonic() + 1.0
    while _alive(marker) and time.monotonic() < until:
        time.sleep(0.02)
    assert _alive(marker) == []
    assert not list(tmp_path.glob("scratch/run-*")) and not list(temporary.iterdir())
    if number == signal.SIGINT:
        assert b"KeyboardInterrupt" in errors


def test_a_keeper_that_cannot_start_is_a_programs_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken interpreter of our own is told as such."""
    trees = Trees(tmp_path)
    trees.write({"test_a.py": "def test_a(): pass\n"})
    request = trees.request("test_a.py", python=sys.executable)
    from pytest_bugsle.runner import inner

    monkeypatch.setattr("pytest_bugsle.runner.environment.require_pytest", lambda python: None)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ProgramError, match="could not be started or watched"):
        inner.run(request)


def test_scratch_and_temporary_folders_are_removed(tmp_path: Path) -> None:
    """A run leaves nothing in scratch."""
    trees = Trees(tmp_path)
    trees.write({"test_a.py": "def test_a(tmp_path): (tmp_path / 'x').touch()\n"})
    trees.run("test_a.py")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_options_of_plugins_that_are_not_installed_are_left_out_and_named(tmp_path: Path) -> None:
    """A suite's addopts may name a plugin that the interpreter lacks; its values are no test files."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "pytest.ini": "[pytest]\naddopts = --nowhere=x --elsewhere value -rs --own=1\n",
            "conftest.py": "def pytest_addoption(parser): parser.addoption('--own')\n",
            "test_a.py": "def test_own(request): assert request.config.getoption('--own') == '1'\n",
        }
    )
    run = trees.run("test_a.py", inifile="pytest.ini")
    assert statuses(run) == {"test_own": "passed"}
    assert run.dropped == ("--nowhere=x", "--elsewhere", "value")
