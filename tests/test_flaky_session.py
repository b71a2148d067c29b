"""Whole sessions under the gate: what they keep of their tests, say of their failures, and survive."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from repositories import CONFIGURATION as PLAIN
from repositories import Repo, Said, bugsle, clean_environment, run_pytest, state_of
from trap_suites import CONFIGURATION, FAILS_FIRST, PLACE, Trapped, counts, kept, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

MODES = pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])

VICTIM = """
    from pkg.keeping import log

    SEEN = []

    def test_polluter():
        log("polluter")
        SEEN.append(1)

    def test_between():
        pass

    def test_victim():
        log("victim")
        assert not SEEN
"""
PASSES = """
    import time

    def test_one():
        time.sleep(0.05)

    def test_two():
        time.sleep(0.05)
"""


def broken(failed: int, passed: int) -> str:
    """Give a test file of so many tests that fail every time, and that pass."""
    return f"""
        def pytest_generate_tests(metafunc):
            metafunc.parametrize("number", range({failed} + {passed}))

        def test_it(number):
            assert number >= {failed}
    """


def with_policy(*lines: str) -> str:
    """Give a configuration with settings of ours."""
    return CONFIGURATION + "\n    [tool.bugsle]\n" + "".join(f"    {line}\n" for line in lines)


def section(said: Said) -> str:
    """Return our part of the terminal report."""
    return said.out.partition("= bugsle =")[2]


def files_of(top: Path) -> dict[str, str]:
    """Return all files below a folder but ours and git's, by the digest of their content."""
    return {
        path.relative_to(top).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in top.rglob("*")
        if path.is_file() and not {".git", ".bugsle", "__pycache__"} & set(path.relative_to(top).parts)
    }


# --- what is told ---------------------------------------------------------------------------------


def test_a_victim_is_told_with_its_polluter_and_the_user_is_left_alone(tmp_path: Path) -> None:
    """The category, the polluter, a command that shows it; nothing in the session runs twice, nothing is left."""
    trapped = Trapped(tmp_path / "project", {"it": VICTIM})
    before, files = state_of(trapped.repo), files_of(trapped.repo.top)
    said = trapped.run()
    assert said.code == 1
    assert counts(said) == {"passed": 2, "flaky": 1}
    (test,) = said.report["tests"]
    assert (test["categories"], test["polluters"]) == (["victim"], ["tests/test_it.py::test_polluter"])
    assert test["reproduce"].endswith("tests/test_it.py::test_polluter tests/test_it.py::test_victim")
    assert "BUG203" in said.out and "alone it failed 0 of" in said.out
    assert list(trapped.log("user").values()) == [["polluter", "victim"]]
    assert (state_of(trapped.repo), files_of(trapped.repo.top)) == (before, files)
    assert trapped.repo.git("status", "--porcelain") == ""
    modes = {one.mode for one in kept(trapped.store, None) if one.test.endswith("victim")}
    assert modes == {"suite", "alone", "in-process", "prefix"}


def test_a_test_that_is_told_of_has_its_past_with_it(tmp_path: Path) -> None:
    """What the suite's earlier runs showed, a letter each; this one is none of them."""
    trapped = Trapped(tmp_path / "project", {"it": VICTIM})
    pasts = [trapped.run().report["tests"][0]["history"] for _ in range(3)]
    assert pasts == [[], ["F"], ["FF"]]


@pytest.mark.slow
def test_the_command_that_is_told_shows_it(tmp_path: Path) -> None:
    """Typed as it stands, it fails."""
    trapped = Trapped(tmp_path / "project", {"it": VICTIM})
    (test,) = trapped.run().report["tests"]
    words = test["reproduce"].split()
    assert words[:3] == ["python", "-m", "pytest"]
    again = trapped.run(*words[3:], on=False)
    assert counts(again) == {"failed": 1, "passed": 1}


def test_a_green_session_says_nothing_of_flakiness(tmp_path: Path) -> None:
    """No copy is made, no test is tried; the attempts are kept."""
    trapped = Trapped(tmp_path / "project", {"it": PASSES})
    said = trapped.run()
    assert (said.code, counts(said)) == (0, {"passed": 2})
    assert "tests" not in said.report
    assert [one.outcome for one in kept(trapped.store, None)] == ["passed", "passed"]
    assert runs(trapped.store) == [(True, 2, False)]


@pytest.mark.slow
def test_switched_off_nothing_is_kept(tmp_path: Path) -> None:
    """Installing changes nothing."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    said = trapped.run(on=False)
    assert (said.code, counts(said)) == (1, {"failed": 1, "passed": 1})
    assert not (trapped.repo.top / ".bugsle").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["warn", "block"])
def test_a_failure_stays_one_in_every_mode(tmp_path: Path, mode: str) -> None:
    """To warn keeps the verdict and touches no exit status: pytest's own is 1."""
    trapped = Trapped(
        tmp_path / "project", {"it": FAILS_FIRST}, configuration=with_policy(f'mode = "{mode}"')
    )
    said = trapped.run()
    assert (said.code, said.report["verdict"]) == (1, "fail")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["off", "warning"])
def test_a_rule_that_is_off_excuses_no_failure(tmp_path: Path, level: str) -> None:
    """The finding goes, the failure stays."""
    policy = with_policy("[tool.bugsle.rules]", f'BUG201 = "{level}"')
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST}, configuration=policy)
    said = trapped.run()
    assert (said.code, counts(said)) == (1, {"flaky": 1, "passed": 1})
    assert ("BUG201" in said.out) is (level == "warning")


def test_most_tests_failing_is_no_time_for_experiments(tmp_path: Path) -> None:
    """It is said, and none is tried; the run is marked, so that rates leave it out."""
    trapped = Trapped(tmp_path / "project", {"it": broken(8, 4)})
    said = trapped.run()
    assert (said.code, counts(said)) == (1, {"failed": 8, "passed": 4})
    assert "most tests failed: none was tried again" in section(said)
    assert "tests" not in said.report
    assert runs(trapped.store) == [(True, 12, True)]
    assert {one.mode for one in kept(trapped.store, None)} == {"suite"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("examine", "note"),
    [
        (2, "1 of 3 failed tests were not tried again (`examine`)"),
        (0, "3 of 3 failed tests were not tried again"),
    ],
)
def test_how_many_were_not_tried_is_said(tmp_path: Path, examine: int, note: str) -> None:
    """By the setting; the others are failures as pytest told them."""
    policy = with_policy(f"examine = {examine}")
    trapped = Trapped(tmp_path / "project", {"it": broken(3, 4)}, configuration=policy)
    said = trapped.run()
    assert (said.code, counts(said)) == (1, {"failed": 3, "passed": 4})
    assert note in section(said)
    assert len(said.report.get("tests", [])) == examine


@pytest.mark.slow
def test_ten_failures_are_tried_by_default(tmp_path: Path) -> None:
    """The first ten, in the order in which they failed."""
    trapped = Trapped(tmp_path / "project", {"it": broken(12, 13)})
    said = trapped.run("--bugsle-budget", "60")
    assert (said.code, counts(said)) == (1, {"failed": 12, "passed": 13})
    assert "2 of 12 failed tests were not tried again (`examine`)" in section(said)
    assert [test["id"] for test in said.report["tests"]] == [
        f"tests/test_it.py::test_it[{number}]" for number in range(10)
    ]


@pytest.mark.slow
def test_a_long_way_to_a_failure_is_not_gone_again(tmp_path: Path) -> None:
    """Tests before it that took much of the budget are left out, which is said; it is tried alone."""
    source = "import time\n" + VICTIM.replace("    pass", "    time.sleep(2.0)").replace("\n    ", "\n")
    trapped = Trapped(tmp_path / "project", {"it": source})
    said = trapped.run("--bugsle-budget", "6")
    assert said.code == 1
    assert "not tried after the same tests: they take too long" in section(said)
    assert "alone it failed 0 of" in section(said)
    assert counts(said) == {"passed": 2, "flaky": 1}


@pytest.mark.slow
def test_no_time_is_said(tmp_path: Path) -> None:
    """A budget that is over leaves the failure as it is, and says what was not done."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    said = trapped.run("--bugsle-budget", "0.01")
    assert (said.code, counts(said)) == (1, {"failed": 1, "passed": 1})
    assert "tried" in section(said) and "budget" in section(said)


# --- a part of the suite, another order -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("args", [("-k", "it"), ("-q", "--tb=no"), ("-p", "no:xdist"), ("-vv",)])
def test_any_part_of_a_suite_is_told_alike(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Stopped at the first failure, selected, quiet or loud: a flaky test is in the last line."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    said = trapped.run(*args)
    assert said.code == 1
    assert [(one["id"], one["categories"]) for one in said.report["tests"]] == [
        ("tests/test_it.py::test_it", ["non-deterministic"])
    ]
    assert counts(said).get("flaky") == 1, said.out


@pytest.mark.slow
def test_a_session_that_stops_early_counts_its_flaky_test(tmp_path: Path) -> None:
    """Pytest's last line names what was counted anew, wherever the session stopped."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    said = trapped.run("-x")
    assert (said.code, counts(said).get("flaky")) == (1, 1), said.out


@pytest.mark.slow
def test_workers_that_are_stopped_leave_the_failure(tmp_path: Path) -> None:
    """With workers `-x` interrupts the session, so nothing is judged: what had ended is kept, and is no pass."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    said = trapped.run("-x", "-n", "2")
    assert said.code == 2
    assert "nothing was judged" in said.out
    assert "failed" in [one.outcome for one in kept(trapped.store)]


@pytest.mark.slow
def test_a_flaky_test_is_among_the_last_failed(tmp_path: Path) -> None:
    """Pytest's own memory of failures knows it: `--lf` runs it, and it alone."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    assert trapped.run("-p", "no:randomly").code == 1
    again = trapped.run("-p", "no:randomly", "--lf")
    assert (again.code, counts(again)["passed"]) == (0, 1)
    assert [one.outcome for one in kept(trapped.store)] == ["failed", "passed", "passed"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shuffled_session_is_told_in_its_own_order(tmp_path: Path, seed: int) -> None:
    """What ran before the failure in this order is what is tried again, without the shuffling."""
    pytest.importorskip("pytest_randomly")
    configuration = CONFIGURATION.replace('"-p", "no:randomly", ', "")
    trapped = Trapped(tmp_path / "project", {"it": VICTIM}, configuration=configuration)
    said = trapped.run("-p", "randomly", f"--randomly-seed={seed}")
    order = [one.test.rpartition("::")[2] for one in kept(trapped.store)]
    if order.index("test_victim") < order.index("test_polluter"):
        assert (said.code, counts(said)) == (0, {"passed": 3})
    else:
        assert (said.code, counts(said)) == (1, {"passed": 2, "flaky": 1})
        assert said.report["tests"][0]["polluters"] == ["tests/test_it.py::test_polluter"]


# --- killed in the middle ---------------------------------------------------------------------------


HANGS = """
    import os
    import time

    import pytest
    from pkg.keeping import log

    @pytest.mark.parametrize("number", range(6))
    def test_before(number):
        time.sleep(0.05)
        log(f"test_before[{number}]")

    def test_hangs():
        time.sleep(0.7)
        open(os.path.join(os.environ["TRAP_PLACE"], "hangs"), "w").close()
        time.sleep(60)
"""


@contextmanager
def hanging(trapped: Trapped, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a session, and hand it out once it hangs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--bugsle", *args],
        cwd=trapped.repo.top,
        env=clean_environment(trapped.repo.top.parent, **{PLACE: str(trapped.place)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (trapped.place / "hangs").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def ended(trapped: Trapped) -> set[str]:
    """Return the tests that came to their end."""
    found = {f"tests/test_it.py::{name}" for names in trapped.log("user").values() for name in names}
    assert len(found) >= 3
    return found


@pytest.mark.parametrize(
    "args", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)], ids=["alone", "xdist"]
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_killed_session_has_kept_what_ended(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Every attempt that had ended is in the history; the one that ran is not, nor has the run ended."""
    trapped = Trapped(tmp_path / "project", {"it": HANGS})
    with hanging(trapped, *args) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    done = ended(trapped)
    listed = bugsle(trapped.repo, "flaky", "list", report=False)
    assert listed.code == 0, listed.out + listed.all
    assert {one.test for one in kept(trapped.store)} == done
    assert [finished for finished, _, _ in runs(trapped.store)] == [False]
    again = trapped.run("-k", "before")
    assert (again.code, len(kept(trapped.store))) == (0, len(done) + 6)


@pytest.mark.slow
@MODES
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_an_interrupted_session_has_kept_what_ended(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Ctrl-C says nothing of the test that ran; pytest's own exit status stays."""
    trapped = Trapped(tmp_path / "project", {"it": HANGS})
    with hanging(trapped, *args) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 2
    assert {one.test for one in kept(trapped.store)} == ended(trapped)
    assert {one.outcome for one in kept(trapped.store)} == {"passed"}
    assert [finished for finished, _, _ in runs(trapped.store)] == [True]


# --- trouble with the history ------------------------------------------------------------------------


def same_without_history(said: Said) -> None:
    """Assert that the session told all the same what its tests did."""
    assert (said.code, counts(said)) == (1, {"flaky": 1, "passed": 1})
    assert said.report["verdict"] == "fail"
    assert "non deterministic: tests/test_it.py::test_it" in section(said)


@pytest.mark.slow
def test_a_damaged_history_is_kept_aside(tmp_path: Path) -> None:
    """The result is the same, a new one is begun, and the user is told where the old one is."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    trapped.store.parent.mkdir()
    trapped.store.write_bytes(b"damaged " * 1000)
    said = trapped.run()
    same_without_history(said)
    aside = trapped.store.with_name("history.db.corrupt-1")
    assert aside.read_bytes() == b"damaged " * 1000
    assert "is damaged" in section(said) and aside.name in section(said)
    assert len(kept(trapped.store)) == 2


@pytest.mark.slow
def test_a_newer_history_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written into what this version does not know; it is said."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    trapped.run("-k", "other")
    with closing(sqlite3.connect(trapped.store)) as connection:
        connection.execute("INSERT INTO bugsle_schema (version, program) VALUES (99, '9.9')")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    said = trapped.run()
    same_without_history(said)
    assert "the attempts of this run are not kept" in section(said) and "pytest-bugsle 9.9" in section(said)
    assert len(kept(trapped.store)) == 1


@pytest.mark.slow
def test_a_locked_history_is_not_waited_for_long(tmp_path: Path) -> None:
    """Somebody else holds it all the time: that is said, and costs the attempts alone."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    trapped.run("-k", "other")
    with closing(sqlite3.connect(trapped.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = trapped.run()
    same_without_history(said)
    assert "the attempts of this run wait in" in section(said) and "is locked" in section(said)
    assert len(kept(trapped.store)) == 1
    trapped.run("-k", "other")
    assert len(kept(trapped.store)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("what", ["link", "folder"])
def test_a_history_that_is_no_file_is_not_followed(tmp_path: Path, what: str) -> None:
    """A checkout may contain anything: nothing is written where a link leads."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    trapped.store.parent.mkdir()
    target = tmp_path / "target.db"
    if what == "link":
        trapped.store.symlink_to(target)
    else:
        trapped.store.mkdir()
    said = trapped.run()
    same_without_history(said)
    assert "the attempts of this run are not kept" in section(said)
    assert not target.exists()


_POWERLESS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes")
def test_a_read_only_folder_has_the_history_elsewhere(tmp_path: Path) -> None:
    """In the user's cache, where the next session finds it again."""
    words = () if os.geteuid() else _POWERLESS
    if words and (shutil.which(words[0]) is None or subprocess.run([*words, "true"], check=False).returncode):
        pytest.skip("root may write anywhere, and setpriv, to be somebody else, is missing")
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    trapped.store.parent.mkdir()
    (trapped.store.parent / ".gitignore").write_text("*\n")
    trapped.store.parent.chmod(0o500)
    try:
        done = subprocess.run(
            [*words, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--bugsle"],
            cwd=trapped.repo.top,
            env=clean_environment(tmp_path, **{PLACE: str(trapped.place)}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        trapped.store.parent.chmod(0o700)
    assert done.returncode == 1 and "1 flaky" in done.stdout, done.stdout + done.stderr
    assert [path.name for path in trapped.store.parent.iterdir()] == [".gitignore"]
    (store,) = (tmp_path / "cache").rglob("history.db")
    assert len(kept(store)) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
def test_a_full_disk_costs_the_attempts_alone(tmp_path: Path) -> None:
    """The session is the same; what was kept before is still there, and whole."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST, "more": broken(0, 400)})
    folder = trapped.store.parent
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        first = trapped.run("tests/test_it.py", "-k", "other")
        assert first.code == 0 and len(kept(trapped.store)) == 1, first.all
        said = trapped.run()
        assert (said.code, counts(said)) == (1, {"flaky": 1, "passed": 401})
        assert "no room left" in section(said), section(said)
        assert kept(trapped.store)[0].test.endswith("test_other")
        with closing(sqlite3.connect(trapped.store)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.slow
def test_sixteen_sessions_write_one_history(tmp_path: Path) -> None:
    """At once, into a store that none of them finds there: every attempt of all is kept."""
    trapped = Trapped(tmp_path / "project", {"it": broken(0, 20)})
    environ = clean_environment(tmp_path, **{PLACE: str(trapped.place)})

    def session(_: int) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--bugsle"],
            cwd=trapped.repo.top,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    with ThreadPoolExecutor(16) as threads:
        done = list(threads.map(session, range(16)))
    assert [one.returncode for one in done] == [0] * 16, done[0].stdout
    assert not [one.stdout for one in done if b" wait in " in one.stdout or b"not kept" in one.stdout]
    assert runs(trapped.store) == [(True, 20, False)] * 16
    attempts = kept(trapped.store)
    assert len(attempts) == 320 and len({one.run_id for one in attempts}) == 16


# --- names --------------------------------------------------------------------------------------------


UNSTABLE = """
    import pytest
    from pkg.keeping import nth

    @pytest.mark.parametrize("it", [object(), object()], ids=repr)
    def test_it(it):
        {body}

    def test_other():
        pass
"""


def test_an_id_that_changes_is_told(tmp_path: Path) -> None:
    """A warning: the test is kept by what stays of its id, in every session alike."""
    trapped = Trapped(tmp_path / "project", {"it": UNSTABLE.format(body="pass")})
    said = trapped.run()
    assert (said.code, counts(said)) == (0, {"passed": 3})
    (finding,) = said.report["findings"]
    assert (finding["rule"], finding["level"]) == ("BUG206", "warning")
    assert "and 1 more" in finding["message"]
    trapped.run()
    name = "tests/test_it.py::test_it[<object object at <address>>]"
    tests = [one.test for one in kept(trapped.store)]
    assert tests == [name, f"{name}#1", "tests/test_it.py::test_other"] * 2


@pytest.mark.slow
def test_a_failure_whose_id_changes_stays_one(tmp_path: Path) -> None:
    """In a clean copy it has another id, and it is not mistaken for another test."""
    trapped = Trapped(tmp_path / "project", {"it": UNSTABLE.format(body="assert nth('it') != 1")})
    said = trapped.run()
    assert said.code == 1
    assert "BUG206" in said.out
    assert "not collected in a clean copy" in section(said) or counts(said).get("flaky") == 1


TWINS = """
    def pytest_collection_modifyitems(items):
        for item in items:
            if item.name in ("test_one", "test_two"):
                name = "_id" if hasattr(item, "_id") else "_nodeid"  # pytest 9.2, and before
                setattr(item, name, "tests/test_it.py::test_twin")
"""


@pytest.mark.slow
def test_tests_of_one_name_are_no_attempts_at_one_test(tmp_path: Path) -> None:
    """One passes, the other fails every time: that is no flaky test, and it is told that they share an id."""
    source = """
        def test_one():
            pass

        def test_two():
            assert not "right"
    """
    trapped = Trapped(tmp_path / "project", {"it": source}, start={"tests/conftest.py": TWINS})
    said = trapped.run()
    assert (said.code, counts(said)) == (1, {"failed": 1, "passed": 1})
    assert "another attempt of it passed" not in said.out
    assert "BUG206" in said.out


@pytest.mark.slow
def test_hostile_ids_are_kept_and_shown(tmp_path: Path) -> None:
    """Newlines, escapes, lone surrogates, markup: kept as they are, shown escaped."""
    source = """
        import pytest

        @pytest.mark.parametrize("it", ["a\\nb", "\\x1b[31m", "\\udcff", "::", "[x]", "<b>", "%s", "#1", "-k"])
        def test_it(it):
            assert it not in ("\\x1b[31m", "<b>")

        def test_other():
            pass
    """
    trapped = Trapped(tmp_path / "project", {"it": source})
    said = trapped.run()
    assert (said.code, counts(said)["failed"]) == (1, 2)
    assert "\x1b" not in section(said)
    assert section(said).count("fails every time") == 2
    assert len({one.test for one in kept(trapped.store)}) == 10


# --- can it come from the change? ------------------------------------------------------------------------


FLICKERS = """
    from pkg.a import used
    from pkg.keeping import nth

    def test_it():
        assert used() and nth("it") > 1

    def test_other():
        pass
"""
START = {"src/pkg/a.py": "def used():\n    return 1\n\n\ndef unused():\n    return 1\n"}


def changed(tmp_path: Path, change: dict[str, str | None], *, source: str = FLICKERS) -> Said:
    """Run a suite on a branch with a change, against `main`."""
    trapped = Trapped(tmp_path / "project", {"it": source}, start={**START, "tests/data.csv": "1\n"})
    trapped.repo.branch("work")
    trapped.repo.commit("feat: change", change)
    return trapped.run("--bugsle-base", "main")


def test_a_failure_that_runs_changed_lines_is_never_excused(tmp_path: Path) -> None:
    """It passed when it was tried again, and it blocks all the same."""
    said = changed(tmp_path, {"src/pkg/a.py": START["src/pkg/a.py"].replace("1", "2", 1)})
    assert (said.code, said.rules()) == (1, ["BUG202"])
    assert "it runs 1 of 1 changed statements" in section(said)
    assert "cannot come from this change" not in said.out


@pytest.mark.slow
def test_the_base_version_is_the_arbiter(tmp_path: Path) -> None:
    """A test that flickers at the base as it does here is flaky, and not newly so."""
    source = FLICKERS.replace('nth("it") > 1', 'nth("it") % 3 != 1')
    said = changed(tmp_path, {"src/pkg/a.py": START["src/pkg/a.py"].replace("1", "2", 1)}, source=source)
    assert (said.code, said.rules()) == (1, ["BUG201"])
    assert "it runs 1 of 1 changed statements; at the base alone it failed" in section(said)


@pytest.mark.slow
def test_a_failure_that_runs_none_of_the_change_says_so(tmp_path: Path) -> None:
    """In the same file as in another."""
    text = START["src/pkg/a.py"][::-1].replace("1", "2", 1)[::-1]
    said = changed(tmp_path, {"src/pkg/a.py": text, "README.md": "More.\n"})
    assert (said.code, said.rules()) == (1, ["BUG201"])
    assert "it cannot come from this change: it runs 0 of 1 changed statements" in section(said)


@pytest.mark.slow
def test_what_is_not_committed_is_part_of_the_change(tmp_path: Path) -> None:
    """The work tree is what was tested."""
    trapped = Trapped(tmp_path / "project", {"it": FLICKERS}, start=START)
    trapped.repo.branch("work")
    trapped.repo.write({"src/pkg/a.py": START["src/pkg/a.py"].replace("1", "2", 1)})
    said = trapped.run("--bugsle-base", "main")
    assert (said.code, said.rules()) == (1, ["BUG202"])


@pytest.mark.slow
def test_a_changed_data_file_leaves_it_unknown(tmp_path: Path) -> None:
    """No line of a test shows whether it was read."""
    said = changed(tmp_path, {"tests/data.csv": "2\n"})
    assert (said.code, said.rules()) == (1, ["BUG201"])
    assert "whether it comes from this change is unknown: tests/data.csv changed" in section(said)


@pytest.mark.slow
def test_a_test_that_fails_every_time_needs_no_excuse(tmp_path: Path) -> None:
    """What it runs of the change is said, and no rule of ours is broken: pytest reports it."""
    source = FLICKERS.replace('nth("it") > 1', "not used()")
    said = changed(tmp_path, {"src/pkg/a.py": START["src/pkg/a.py"].replace("1", "2", 1)}, source=source)
    assert (said.code, counts(said), said.rules()) == (1, {"failed": 1, "passed": 1}, [])
    assert "it runs 1 of 1 changed statements" in section(said)


@pytest.mark.slow
def test_a_changed_line_that_another_process_runs_is_no_excuse(tmp_path: Path) -> None:
    """Coverage sees none of it, so nothing is known."""
    source = FLICKERS.replace(
        "used()",
        "not __import__('subprocess').call([__import__('sys').executable, '-c', "
        "'from pkg.a import used; used()'], env=dict(__import__('os').environ, PYTHONPATH='src'))",
    )
    said = changed(tmp_path, {"src/pkg/a.py": START["src/pkg/a.py"].replace("1", "2", 1)}, source=source)
    assert said.code == 1
    assert "cannot come from this change" not in said.out


@pytest.mark.slow
@pytest.mark.parametrize("args", [(), ("--bugsle-base", "main")], ids=["no-base", "shallow"])
def test_without_a_base_nothing_is_excused(tmp_path: Path, args: tuple[str, ...]) -> None:
    """The first commit, or a clone that does not hold the past: the failure is told, its origin is not."""
    trapped = Trapped(tmp_path / "project", {"it": FLICKERS}, start=START)
    top = trapped.repo.top
    if args:
        trapped.repo.commit("feat: change", {"src/pkg/a.py": START["src/pkg/a.py"].replace("1", "2")})
        trapped.repo.commit("feat: more", {"more.py": "x = 1\n"})
        top = tmp_path / "clone"
        trapped.repo.git("clone", "-q", "--depth", "1", f"file://{trapped.repo.top}", str(top))
        args = ()
    said = run_pytest(top, *args, **{PLACE: str(trapped.place)})
    assert (said.code, counts(said)) == (1, {"flaky": 1, "passed": 1})
    assert "cannot come from this change" not in said.out


# --- what a clean copy lacks -----------------------------------------------------------------------------


LOCAL = """
    from pathlib import Path

    def test_it():
        assert Path(__file__).with_name("{name}").read_text() == "right"

    def test_other():
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lacks"), [(".env", True), ("local.cfg", False)])
def test_a_file_that_the_copy_lacks_is_no_flakiness(tmp_path: Path, name: str, lacks: bool) -> None:
    """Secrets are not copied: the test fails there with another error, which is said. Other ignored files are."""
    trapped = Trapped(
        tmp_path / "project", {"it": LOCAL.format(name=name)}, start={".gitignore": f"{name}\n"}
    )
    trapped.repo.write({f"tests/{name}": "wrong"})
    said = trapped.run()
    assert (said.code, counts(said), said.rules()) == (1, {"failed": 1, "passed": 1}, [])
    assert ("in a clean copy of the tree it fails with another error" in section(said)) is lacks


@pytest.mark.slow
def test_a_test_that_passes_for_want_of_a_file_blocks(tmp_path: Path) -> None:
    """It fails in the user's tree every time, and passes in each copy: whatever it is called, it is no pass."""
    source = LOCAL.format(name=".env").replace('.read_text() == "right"', ".exists() is False")
    trapped = Trapped(tmp_path / "project", {"it": source}, start={".gitignore": ".env\n"})
    trapped.repo.write({"tests/.env": "there"})
    for _ in range(2):
        said = trapped.run()
        assert said.code == 1
        assert counts(said)["passed"] == 1
        assert "in a clean copy of the tree it never failed: does it meet an ignored file here?" in section(
            said
        )


@pytest.mark.slow
def test_a_test_that_is_not_in_the_copy_costs_the_others_nothing(tmp_path: Path) -> None:
    """A file that no copy has: its test is not tried, which is said; the others are."""
    trapped = Trapped(
        tmp_path / "project", {"it": FAILS_FIRST}, start={".gitignore": ".cache\n__pycache__/\n"}
    )
    trapped.repo.write({"tests/.cache/test_local.py": "def test_here():\n    assert not 'right'\n"})
    said = trapped.run("tests/test_it.py", "tests/.cache/test_local.py")
    assert (said.code, counts(said)) == (1, {"flaky": 1, "failed": 1, "passed": 1})
    assert "not collected in a clean copy" in section(said)


@pytest.mark.slow
def test_failures_are_tried_beside_proofs(tmp_path: Path) -> None:
    """A fix that is not held and a flaky test: both are told in one verdict."""
    repo = Repo(
        tmp_path / "project", configuration=PLAIN, start={"src/pkg/a.py": "def used():\n    return 0\n"}
    )
    repo.branch("work")
    repo.commit(
        "fix: wrong (#43)",
        {
            "src/pkg/a.py": "def used():\n    return 1\n",
            "tests/test_a.py": "from pkg.a import used\n\n\ndef test_a():\n    assert used() < 2\n",
        },
    )
    victim = "S = []\n\n\ndef test_b():\n    S.append(1)\n\n\ndef test_c():\n    assert not S\n"
    repo.commit("test: more", {"tests/test_b.py": victim})
    said = run_pytest(repo, "--bugsle-base", "main")
    assert said.code == 1
    assert set(said.rules()) == {"BUG102", "BUG202"}
    assert counts(said) == {"passed": 2, "flaky": 1}
