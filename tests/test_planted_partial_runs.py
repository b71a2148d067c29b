"""What a partial run, an unusual end, and the exit status of the session do to the gate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from repositories import (
    CONFIGURATION,
    RIGHT,
    WRONG,
    Repo,
    clean_environment,
    guard,
    guarded,
    run_pytest,
    unguarded,
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A proven fix, and a test of something else."""
    repo = guarded(tmp_path_factory.mktemp("partial") / "project")
    repo.commit(
        "test: another",
        {"tests/test_other.py": "import pytest\n\n@pytest.mark.slow\ndef test_other():\n    pass\n"},
    )
    return repo


@pytest.mark.parametrize(
    "args",
    [
        ("-k", "other"),
        ("-m", "slow"),
        ("tests/test_other.py",),
        ("tests/test_other.py::test_other",),
        ("--deselect", "tests/test_a.py"),
        ("--ignore", "tests/test_a.py"),
        ("--ignore-glob", "*_a.py"),
    ],
    ids=" ".join,
)
def test_a_fix_whose_tests_were_left_out_is_not_in_this_run(repo: Repo, args: tuple[str, ...]) -> None:
    """It is neither judged nor counted, and fails nothing."""
    said = run_pytest(repo, *args)
    assert said.status("fix: a") == "not-in-run"
    assert (said.code, said.report["findings"], said.report["verdict"]) == (0, [], "pass")
    assert "not in this run" in said.out


@pytest.mark.parametrize(
    "args", [("-k", "test_a"), ("tests/test_a.py::test_a",), ("tests",), (".",)], ids=" ".join
)
def test_a_fix_whose_tests_were_collected_is_judged(repo: Repo, args: tuple[str, ...]) -> None:
    """A part of the suite is enough, where it holds the linked tests."""
    assert run_pytest(repo, *args).status("fix: a") == "proven"


def test_last_failed_is_a_partial_run(tmp_path: Path) -> None:
    """With --lf only what failed last time is collected."""
    repo = guarded(tmp_path / "project")
    failing = "import os\n\ndef test_other():\n    assert 'FAIL' not in os.environ\n"
    repo.commit("test: another", {"tests/test_other.py": failing, ".gitignore": ".pytest_cache\n"})
    run_pytest(repo, "-p", "cacheprovider", on=False, FAIL="1")
    said = run_pytest(repo, "-p", "cacheprovider", "--lf", FAIL="1")
    assert said.status("fix: a") == "not-in-run"


@pytest.mark.parametrize(
    "option", ['"-m", "not slow"', '"-k", "not test_other"', '"--ignore=tests/test_other.py"'], ids=str
)
def test_what_every_run_leaves_out_makes_no_partial_run(tmp_path: Path, option: str) -> None:
    """Options in the configuration file are not the user's choice of a part: a fix without a test is still found."""
    configuration = CONFIGURATION.replace("addopts = [", f"addopts = [{option}, ")
    assert option in configuration
    other = "import pytest\n\n@pytest.mark.slow\ndef test_other():\n    pass\n"
    start = {"src/pkg/b.py": WRONG, "tests/test_other.py": other}
    repo = Repo(tmp_path / "project", configuration=configuration, start=start)
    repo.branch("work")
    repo.commit("fix: b is wrong", {"src/pkg/b.py": RIGHT})
    assert run_pytest(repo).status("fix: b") == "no-test"


def test_collect_only_judges_nothing(repo: Repo) -> None:
    """There is no section and no report."""
    said = run_pytest(repo, "--collect-only")
    assert (said.code, said.report) == (0, {})
    assert "== bugsle ==" not in said.out


def test_a_failed_gate_raises_success_to_failure(tmp_path: Path) -> None:
    """Exit codes 0 and 5 become 1; 1 stays."""
    repo = unguarded(tmp_path / "project")
    assert run_pytest(repo).code == 1
    assert run_pytest(repo, on=False).code == 0
    empty = unguarded(tmp_path / "empty")
    empty.commit("test: away with them", {"tests/test_b.py": None, "tests/data.txt": "kept\n"})
    assert run_pytest(empty, on=False).code == 5
    said = run_pytest(empty)
    assert (said.code, said.status("fix: b")) == (1, "no-test")


@pytest.mark.parametrize(
    ("args", "code"),
    [(("--no-such-option",), 4), (("tests/nowhere.py",), 4), (("tests/test_broken.py",), 2)],
    ids=str,
)
def test_other_exit_codes_are_left_alone(repo: Repo, args: tuple[str, ...], code: int) -> None:
    """Wrong usage and a session that broke off are said, not judged."""
    repo.write({"tests/test_broken.py": "import nothing_of_this_name\n"})
    try:
        said = run_pytest(repo, *args)
    finally:
        (repo.top / "tests/test_broken.py").unlink()
    assert said.code == code
    assert said.report == {}


def test_an_interrupt_in_the_proof_keeps_the_summary(tmp_path: Path) -> None:
    """Ctrl-C while tests are proven ends the proof and everything below it, and pytest's summary still comes."""
    repo = guarded(tmp_path / "project")
    started = tmp_path / "started"
    slow = f"import os, time, pathlib\n\ndef test_slow():\n    if 'pool' in __file__:\n        pathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n        time.sleep(60)\n"
    repo.commit("fix: b", {"src/pkg/b.py": RIGHT, "tests/test_b.py": slow})
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "--bugsle"],
        cwd=repo.top,
        env=clean_environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + 30
        while not (started.exists() and started.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        inner = int(started.read_text())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert "interrupted: nothing was judged" in out
    assert "2 passed" in out
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in out
    until = time.monotonic() + 10
    while _is_alive(inner) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _is_alive(inner)


def test_a_gate_that_breaks_judged_nothing_and_says_so(tmp_path: Path) -> None:
    """What a hook of the project raises is BUG001: an error where CI is set, and pytest's summary still comes."""
    repo = unguarded(tmp_path / "project")
    repo.write({"conftest.py": "def pytest_bugsle_finding(finding):\n    raise ValueError('a hook broke')\n"})
    said = run_pytest(repo, CI="true")
    assert (said.code, said.rules()) == (1, ["BUG001"])
    assert "the gate itself failed: ValueError: a hook broke" in said.out
    assert "1 passed" in said.out


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_guard_that_fails_in_the_session_is_judged_and_the_session_stays_red(tmp_path: Path) -> None:
    """A session that failed is judged too, and its exit code is pytest's own."""
    repo = guarded(tmp_path / "project")
    repo.commit("test: another", {"tests/test_other.py": guard("b", "1")})
    said = run_pytest(repo)
    assert (said.code, said.status("fix: a")) == (1, "proven")
