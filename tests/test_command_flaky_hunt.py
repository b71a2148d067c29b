"""`bugsle flaky hunt`: real suites, from the collection to the command line that shows what was found."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flaky_suites import CONFIGURATION, hunt, project, told_of
from repositories import Repo, Said, clean_environment, state_of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks")

FILL = "\n".join(f"def test_fill_{number}(): pass" for number in range(12))

POLLUTED = {
    "lib.py": """
        REGISTRY = []
        CONFIGURED = {}
    """,
    "tests/test_a.py": """
        import lib
        def test_polluter(): lib.REGISTRY.append(1)
        def test_first(): lib.CONFIGURED["first"] = 1
        def test_second():
            if "first" in lib.CONFIGURED: lib.CONFIGURED["second"] = 1
        def test_needs_setter(): assert lib.REGISTRY
    """,
    "tests/test_b.py": f"""
import lib, itertools
COUNT = []
def test_victim(): assert not lib.REGISTRY
def test_pair_victim(): assert "second" not in lib.CONFIGURED
def test_cleaner(): lib.REGISTRY.clear()
def test_twice():
    COUNT.append(1)
    assert len(COUNT) == 1
def test_fails(): assert 0
{FILL}
""",
    "conftest.py": "",
}
TOP = CONFIGURATION + '\n    pythonpath = ["."]\n'


@pytest.fixture(scope="module")
def polluted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Said]:
    """A hunt over a suite with one test of each kind; uncommitted work beside it."""
    repo = project(tmp_path_factory.mktemp("hunt"), POLLUTED, configuration=TOP)
    repo.write({"tests/test_new.py": "def test_uncommitted(): pass"})
    before = _facts(repo)
    said = hunt(repo, "--budget", "60")
    assert _facts(repo) == before, "the user's repository was touched"
    return repo, said


def _facts(repo: Repo) -> dict[str, object]:
    """Say all of a repository that must not change: git's files, the status, and all files with their times."""
    return {
        **state_of(repo),
        "status": repo.git("--no-optional-locks", "status", "--porcelain", "--ignored", "--", ":!.bugsle"),
        "files": {
            path.relative_to(repo.top).as_posix(): (path.stat().st_mtime_ns, path.stat().st_mode)
            for path in repo.top.rglob("*")
            if not {".git", ".bugsle"} & set(path.parts)  # the second is where the history is kept
        },
    }


def test_each_kind_is_told_with_its_reason(polluted: tuple[Repo, Said]) -> None:
    """Victim with polluter, pair in its order, cleaner, brittle with setter, not idempotent, failing, stable."""
    _, said = polluted
    tests = told_of(said)
    a, b = "tests/test_a.py::", "tests/test_b.py::"
    assert tests["test_victim"]["categories"] == ["victim"]
    assert tests["test_victim"]["polluters"] == [a + "test_polluter"]
    assert tests["test_victim"]["cleaners"] in ([], [b + "test_cleaner"])
    assert tests["test_pair_victim"]["polluters"] == [a + "test_first", a + "test_second"]
    assert tests["test_needs_setter"]["categories"] == ["brittle"]
    assert tests["test_needs_setter"]["setters"] == [a + "test_polluter"]
    assert tests["test_twice"]["categories"] == ["not-idempotent"]
    assert tests["test_fails"]["categories"] == ["failing"]
    assert tests["test_uncommitted"]["categories"] == ["stable"]
    others = {name for name, test in tests.items() if test["categories"] not in (["stable"], ["failing"])}
    assert others == {"test_victim", "test_pair_victim", "test_needs_setter", "test_twice"}
    assert said.code == 1
    assert {finding["rule"] for finding in said.report["findings"]} == {"BUG203"}


def test_a_skip_is_no_outcome_that_a_test_varies_by(tmp_path: Path) -> None:
    """One that never runs is no finding; one that fails where it is not skipped is a victim, and not failing."""
    files = {
        "lib.py": "BROKEN = []",
        "tests/test_s.py": """
            import lib
            import pytest
            @pytest.mark.skipif(True, reason="never")
            def test_never(): assert 0
            def test_passes_or_is_skipped():
                if lib.BROKEN: pytest.skip("broken")
            def test_breaker(): lib.BROKEN.append(1)
            def test_fails_or_is_skipped():
                assert not lib.BROKEN
                pytest.skip("nothing there")
        """,
    }
    said = hunt(project(tmp_path, files, configuration=TOP), "--budget", "60")
    tests = told_of(said)
    assert {name: test["categories"] for name, test in tests.items()} == {
        "test_never": [],
        "test_passes_or_is_skipped": ["stable"],
        "test_breaker": ["stable"],
        "test_fails_or_is_skipped": ["victim"],
    }
    victim = tests["test_fails_or_is_skipped"]
    assert victim["polluters"] == ["tests/test_s.py::test_breaker"]
    assert [state["name"] for state in victim["state"] if state["turns"]] == ["lib.BROKEN"]
    assert [finding["rule"] for finding in said.report["findings"]] == ["BUG203"]
    assert "1 test showed nothing: skipped, or not come to" in said.out


def test_a_test_that_many_others_pollute_together_is_told_with_the_state_that_grows(tmp_path: Path) -> None:
    """A cache that forty tests fill: no polluters, the cache itself, and an order that shows it."""
    filling = "".join(f"def test_{number}(): lib.CACHE[{number}] = 1\n" for number in range(40))
    files = {
        "lib.py": "CACHE = {}",
        "tests/test_a.py": "import lib\n" + filling,
        "tests/test_b.py": "import lib\ndef test_full(): assert len(lib.CACHE) <= 30\n",
    }
    repo = project(tmp_path, files, configuration=TOP)
    said = hunt(repo, "--budget", "60", "--suspect", "tests/test_b.py::test_full")
    full = told_of(said)["test_full"]
    assert (full["categories"], full["polluters"], full["confirmed"]) == (["victim"], [], 3)
    assert "failed after 40 other tests, and 20 of them were not found to be enough" in said.out
    assert [state["name"] for state in full["state"] if state["turns"]] == ["lib.CACHE"]
    words = shlex.split(full["reproduce"])
    assert words[:4] == ["bugsle", "flaky", "replay", "--order"]
    assert len((repo.top / words[4]).read_text().splitlines()) == 41


def test_a_suite_with_a_test_that_is_always_skipped_passes(tmp_path: Path) -> None:
    """As it does elsewhere."""
    files = {
        "tests/test_s.py": "import pytest\ndef test_never(): pytest.skip()\ndef test_passes(): pass",
    }
    said = hunt(project(tmp_path, files, configuration=TOP), "--budget", "60")
    assert (said.code, said.report["verdict"], said.report["findings"]) == (0, "pass", [])


def test_numbers_are_of_the_planned_runs(polluted: tuple[Repo, Said]) -> None:
    """Each test is counted in as many runs, with an interval around its share."""
    tests = told_of(polluted[1])
    assert len({test["attempts"] for test in tests.values()}) == 1
    for test in tests.values():
        low, high = test["interval"]
        assert 0 <= low <= test["failures"] / test["attempts"] <= high <= 1
    assert tests["test_fails"]["failures"] == tests["test_fails"]["attempts"]
    assert tests["test_fill_3"]["failures"] == 0
    assert tests["test_victim"]["probes"] > 0 and tests["test_fill_3"]["probes"] == 0


def test_the_command_that_is_told_shows_it_in_a_fresh_clone(
    polluted: tuple[Repo, Said], tmp_path: Path
) -> None:
    """Run by hand with plain pytest: the last test fails (or passes, where it needs a setter), alone it does not."""
    repo, said = polluted
    subprocess.run(["git", "clone", "-q", str(repo.top), str(tmp_path / "clone")], check=True)
    shown = 0
    for test in told_of(said).values():
        command = shlex.split(test["reproduce"])
        if command[:3] != ["python", "-m", "pytest"]:
            continue
        shown += 1
        status = _by_hand(tmp_path / "clone", command[3:])
        alone = _by_hand(tmp_path / "clone", [test["id"]])
        if test["categories"] == ["failing"]:
            assert (status, alone) == ("FAILED", "FAILED")
        else:
            brittle = "brittle" in test["categories"]
            assert (status, alone) == (("PASSED", "FAILED") if brittle else ("FAILED", "PASSED"))
            assert test["confirmed"] == 3
    assert shown >= 3


def _by_hand(where: Path, args: list[str]) -> str:
    """Run plain pytest and give the outcome of the last test."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *args],
        cwd=where,
        env=clean_environment(where.parent),
        capture_output=True,
        text=True,
        check=False,
    )
    return re.findall(r"::\S+ (PASSED|FAILED|ERROR)", done.stdout)[-1]


@pytest.mark.slow
def test_arguments_of_pytest_choose_and_a_suspect_alone_is_looked_into(polluted: tuple[Repo, Said]) -> None:
    """Paths, -k and the like are pytest's own."""
    repo, _ = polluted
    said = hunt(repo, "-k", "victim or polluter", "tests/test_a.py", "tests/test_b.py")
    assert set(told_of(said)) == {"test_polluter", "test_victim", "test_pair_victim"}
    assert told_of(said)["test_victim"]["categories"] == ["victim"]
    said = hunt(repo, "--suspect", "tests/test_b.py::test_victim")
    assert set(told_of(said)) == {"test_victim"}
    assert told_of(said)["test_victim"]["polluters"] == ["tests/test_a.py::test_polluter"]
    said = hunt(repo, "--suspect", "tests/test_b.py::test_victom")
    assert said.code == 2 and "did you mean tests/test_b.py::test_victim?" in said.err


# --- suites that are hard to hunt in ---------------------------------------------------------------

VICTIM = {
    "tests/test_a.py": "import builtins\ndef test_polluter(): builtins.POLLUTED = 1\n",
    "tests/test_b.py": "import builtins\ndef test_victim(): assert not hasattr(builtins, 'POLLUTED')\n"
    + FILL,
}


def is_found(said: Said) -> bool:
    """Say whether the one victim was found, with its polluter and nothing else."""
    tests = told_of(said)
    varying = {name for name, test in tests.items() if test["categories"] not in (["stable"], ["failing"])}
    assert varying == {"test_victim"}, {name: tests[name] for name in varying}
    assert tests["test_victim"]["polluters"] == ["tests/test_a.py::test_polluter"]
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        "-x --maxfail=1 -p no:cacheprovider --strict-config --strict-markers",
        "-n auto --cov=. --reruns=2 --timeout=20 -p randomly",
        "-n 2 --dist loadscope --lf --ff --sw -q",
    ],
)
def test_options_of_the_suite_do_not_change_what_is_found(tmp_path: Path, options: str) -> None:
    """Those that stop, spread, retry, measure or reorder; with the plugins that they are of installed."""
    configuration = CONFIGURATION.replace('"-p", "no:randomly", ', "").replace(
        "addopts = [", f"addopts = [{', '.join(repr(word) for word in options.split())}, "
    )
    assert is_found(hunt(project(tmp_path, VICTIM, configuration=configuration)))


def test_plugins_that_retry_hide_nothing(tmp_path: Path) -> None:
    """A test that fails once and then passes in the same process, marked to be run again, is not stable."""
    flaky = """
        import pytest, random
        SEEN = []
        @pytest.mark.flaky(reruns=3)
        def test_fails_first():
            SEEN.append(1)
            assert len(SEEN) > 1
    """
    configuration = CONFIGURATION.replace("addopts = [", 'addopts = ["--strict-markers", ')
    said = hunt(
        project(tmp_path, {"tests/test_a.py": flaky, "tests/test_b.py": FILL}, configuration=configuration)
    )
    assert told_of(said)["test_fails_first"]["categories"] == ["failing"]


@pytest.mark.slow
def test_a_thread_that_was_started_at_import_costs_speed_alone(tmp_path: Path) -> None:
    """Forking is then unsafe: each probe is a process of its own, and the answer is the same."""
    thread = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"
    )
    few = {"tests/test_b.py": VICTIM["tests/test_b.py"].partition("def test_fill_2")[0]}
    said = hunt(project(tmp_path, {**VICTIM, **few, "conftest.py": thread}))
    assert is_found(said)
    assert any("thread" in note for note in said.report["notes"])


def test_a_file_that_cannot_be_imported_is_told_and_the_others_are_hunted(tmp_path: Path) -> None:
    """What is missing stands in the notes."""
    said = hunt(project(tmp_path, {**VICTIM, "tests/test_c.py": "import nothing_of_this_name"}))
    assert is_found(said)
    assert any("tests/test_c.py cannot be imported" in note for note in said.report["notes"])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"tests/test_a.py": ""}, "no test was collected"),
        ({"tests/test_a.py": "import nothing_of_this_name"}, "tests/test_a.py cannot be imported"),
        ({"conftest.py": "import nothing_of_this_name"}, "nothing_of_this_name"),
    ],
)
def test_nothing_to_hunt_in_is_undecided(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """No test is no pass."""
    said = hunt(project(tmp_path, files))
    assert said.code in (3, 4) and words in said.err and "Traceback" not in said.all


def test_conftests_at_several_levels_belong_to_their_folders(tmp_path: Path) -> None:
    """Fixtures of each level, in forks and in clean processes."""
    level = "import pytest\n@pytest.fixture\ndef level(): return {level}\n"
    files = {
        "conftest.py": level.format(level=0),
        "tests/one/conftest.py": level.format(level=1),
        "tests/one/test_in.py": "def test_one(level): assert level == 1",
        "tests/test_zero.py": "def test_zero(level): assert level == 0",
    }
    assert is_found(hunt(project(tmp_path, {**VICTIM, **files})))


@pytest.mark.slow
def test_files_that_tests_leave_in_the_tree_are_met_by_nobody_later(tmp_path: Path) -> None:
    """Within a sequence they count, and the victim of a file is found; in the next they are gone."""
    files = {
        "tests/test_a.py": """
            import os, pathlib, shutil
            HERE = pathlib.Path(__file__).parent
            def test_writes(): (HERE / "left").write_text("x")
            def test_rewrites_itself(): pathlib.Path(__file__).write_text("")
            def test_changes_folder(): os.chdir("/")
        """,
        "tests/test_b.py": """
            import pathlib
            HERE = pathlib.Path(__file__).parent
            def test_reads(): assert not (HERE / "left").exists()
            def test_relative(): assert pathlib.Path("tests").is_dir()
        """,
        "tests/test_c.py": FILL,
    }
    repo = project(tmp_path, files)
    before = _facts(repo)
    tests = told_of(hunt(repo))
    assert _facts(repo) == before
    varying = {
        n: t["polluters"] for n, t in tests.items() if t["categories"] not in (["stable"], ["failing"])
    }
    assert varying == {
        "test_reads": ["tests/test_a.py::test_writes"],
        "test_relative": ["tests/test_a.py::test_changes_folder"],
    }


@pytest.mark.slow
def test_tests_that_end_their_process_are_failing_and_accuse_nobody(tmp_path: Path) -> None:
    """Others keep their turn; a crash that depends on another test is found like a failure."""
    bad = """
        import builtins, os, signal, sys, time, pytest
        def test_crashes_after(): assert not hasattr(builtins, "POLLUTED") or os.abort()
        def test_exits(): os._exit(0)
        def test_closes(): os.closerange(3, 4096)
        def test_interrupts(): raise KeyboardInterrupt
        def test_leaves(): pytest.exit("enough")
        def test_kills_group(): os.killpg(os.getpgrp(), signal.SIGKILL)
        def test_kills_parent(): os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)
    """
    said = hunt(
        project(tmp_path, {**VICTIM, "tests/test_bad.py": bad}), "--deselect=tests/test_bad.py::test_closes"
    )
    tests = told_of(said)
    for name in ("exits", "interrupts", "leaves", "kills_group", "kills_parent"):
        assert tests[f"test_{name}"]["categories"] == ["failing"], tests[f"test_{name}"]
    for name in ("test_victim", "test_crashes_after"):
        assert tests[name]["categories"] == ["victim"]
        assert tests[name]["polluters"] == ["tests/test_a.py::test_polluter"]
    assert tests["test_fill_1"]["categories"] == ["stable"]


@pytest.mark.slow
def test_a_test_that_hangs_costs_its_time_limit(tmp_path: Path) -> None:
    """It is failing, by its time; the victim beside it is found."""
    files = {**VICTIM, "tests/test_hang.py": "import time\ndef test_hangs(): time.sleep(1000)"}
    said = hunt(
        project(tmp_path, files, configuration=CONFIGURATION + "\n    [tool.bugsle]\n    timeout = 0.4\n")
    )
    assert is_found(said)
    assert told_of(said)["test_hangs"]["categories"] == ["failing"]


def test_a_budget_that_is_too_small_ends_in_time_and_says_what_is_missing(tmp_path: Path) -> None:
    """Of a suite that needs a minute, in three seconds: what was seen is told, nothing else is claimed."""
    slow = (
        "import time, pytest\n@pytest.mark.parametrize('x', range(120))\ndef test_slow(x): time.sleep(0.5)\n"
    )
    repo = project(tmp_path, {"tests/test_slow.py": slow})
    begun = time.monotonic()
    said = hunt(repo, "--budget", "3")
    assert time.monotonic() - begun < 20
    assert "Traceback" not in said.all
    tests = told_of(said)
    assert {tuple(test["categories"]) for test in tests.values()} <= {(), ("stable",)}
    assert all(test["failures"] == 0 for test in tests.values())
    assert any(test["attempts"] == 0 and not test["categories"] for test in tests.values())
    assert any("time" in note for note in said.report["notes"])


@pytest.mark.slow
def test_a_budget_that_ends_in_a_clean_process_makes_no_failure_of_it(tmp_path: Path) -> None:
    """A test that was cut off by our time is no hanging test, forks or no forks."""
    slow = """
        import threading, time, pytest
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        @pytest.mark.parametrize('x', range(20))
        def test_slow(x): time.sleep(0.5)
    """
    tests = told_of(hunt(project(tmp_path, {"tests/test_slow.py": slow}), "--budget", "4"))
    assert all(test["failures"] == 0 for test in tests.values())
    assert {tuple(test["categories"]) for test in tests.values()} <= {(), ("stable",)}


# --- ended from outside ----------------------------------------------------------------------------


def _marked(mark: str) -> list[int]:
    """List the processes that have this in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if mark.encode() in Path(f"/proc/{name}/environ").read_bytes():
                    found.append(int(name))
            except OSError:
                continue
    return found


FORKED = "def test_other(): pass\n"
APART = "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"


@pytest.fixture(params=["forks", "one clean process", "clean processes side by side"])
def hanging(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Repo, subprocess.Popen[bytes], str]]:
    """A hunt in the middle of a test that never ends, and what marks its processes."""
    runs = {"forks": 0, "one clean process": 0, "clean processes side by side": 2}[request.param]
    hang = f"""
        import os, pathlib, time
        def test_hangs():
            place = pathlib.Path({str(tmp_path)!r})
            with open(place / "runs", "a") as stream: stream.write("x")
            run = (place / "runs").stat().st_size
            if run <= {runs}: assert run % 2
            else:
                if not os.fork(): time.sleep(1000)
                (place / "running").touch()
                time.sleep(1000)
    """
    conftest = FORKED if request.param == "forks" else APART
    repo = project(tmp_path, {"tests/test_a.py": hang, "conftest.py": conftest})
    mark = f"HUNTED_BY={tmp_path}"
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_bugsle", "flaky", "hunt"],
        cwd=repo.top,
        env=clean_environment(tmp_path, HUNTED_BY=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while not (tmp_path / "running").exists() and time.monotonic() < until:
        time.sleep(0.05)
    yield repo, process, mark
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_hunt_that_is_ended_leaves_no_process_and_nothing_in_the_tree(
    hanging: tuple[Repo, subprocess.Popen[bytes], str], number: int
) -> None:
    """Control-C, a polite end and a kill, in forks and in clean processes; the next hunt works."""
    repo, process, mark = hanging
    before = _facts(repo)
    assert len(_marked(mark)) >= 4
    process.send_signal(number)
    process.wait(15)
    until = time.monotonic() + 15
    while _marked(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _marked(mark)
    assert _facts(repo) == before
    repo.write({"tests/test_a.py": "def test_fine(): pass", "conftest.py": ""})
    assert hunt(repo, "--budget", "20").code == 0
    assert not list(repo.top.parent.glob("pool/**/run-*/records.jsonl"))


HYPOTHESIS = """
    from hypothesis import given, settings, strategies as st
    import builtins
    @given(st.integers())
    def test_holds(x): assert x == x
    @given(st.integers())
    @settings(derandomize=True)
    def test_breaks(x): assert x < 100
    @given(st.integers())
    def test_polluted(x): assert not hasattr(builtins, "POLLUTED")
"""


@pytest.mark.slow
def test_hypothesis_tests_are_hunted_like_others(tmp_path: Path) -> None:
    """What they leave in their database is met by no later sequence."""
    configuration = CONFIGURATION.replace('"-p", "no:hypothesispytest", ', "")
    repo = project(tmp_path, {**VICTIM, "tests/test_h.py": HYPOTHESIS}, configuration=configuration)
    told = told_of(hunt(repo))
    assert told["test_holds"]["categories"] == ["stable"]
    assert told["test_breaks"]["categories"] == ["failing"]
    assert told["test_polluted"]["polluters"] == ["tests/test_a.py::test_polluter"]
    assert not (repo.top / ".hypothesis").exists()


@pytest.mark.slow
def test_a_suite_that_retries_is_shown_without_its_retries(tmp_path: Path) -> None:
    """Plain pytest would try the victim again until it passed: the command that is told leaves that out."""
    pytest.importorskip("pytest_rerunfailures")
    source = """
        import pytest

        SEEN = []

        def test_polluter():
            SEEN.append(1)

        @pytest.mark.flaky(reruns=3)
        def test_victim():
            assert not SEEN
    """
    said = hunt(project(tmp_path, {"tests/test_a.py": source}), "--budget", "30")
    test = told_of(said)["test_victim"]
    assert (test["categories"], test["confirmed"]) == (["victim"], 3)
    assert shlex.split(test["reproduce"]) == [
        "bugsle", "flaky", "replay", "tests/test_a.py::test_polluter", "tests/test_a.py::test_victim",
    ]  # fmt: skip
