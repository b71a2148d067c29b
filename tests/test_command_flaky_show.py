"""`bugsle flaky show`: the past of one test."""

from __future__ import annotations

import calendar
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from repositories import Repo, bugsle

from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

ID = "tests/t.py::test_a"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository without any history."""
    return Repo(tmp_path / "project", configuration="")


def record(
    repo: Repo, run: str, *outcomes: str, test: str = ID, tree: str = "t1", day: int = 1, **more: Any
) -> None:
    """Record one run with attempts of a test: an outcome, or `mode:outcome`; on a day of January 2030."""
    (repo.top / ".bugsle").mkdir(exist_ok=True)
    with open_history(repo.top / ".bugsle/history.db") as history:
        started = calendar.timegm((2030, 1, day, 12, 0, 0)) + int(run.strip("r"))
        history.begin(RunRecord(run_id=run, started=started, tree=tree))
        split = [outcome.rpartition(":") for outcome in outcomes]
        rows = [
            AttemptRecord(
                seq=100 * zlib.crc32(test.encode()) + number, test=test, mode=mode or "suite", outcome=outcome,
                attempt=sum(each == mode for each, _, _ in split[: number + 1]),
                fingerprint=more.get("error", "f1") if outcome in ("failed", "error", "died") else "",
            )
            for number, (mode, _, outcome) in enumerate(split)
        ]  # fmt: skip
        history.add(run, rows)
        if "disaster" in more:
            history.finish(run, collected=1, disaster=True)


def past(repo: Repo, *args: str) -> dict[str, Any]:
    """The past as JSON."""
    said = bugsle(repo, "flaky", "show", ID, "--json", *args)
    assert said.code == 0, said.err
    value: dict[str, Any] = json.loads(said.out)
    return value


def test_without_a_history_it_is_undecided(repo: Repo) -> None:
    """And says how one begins."""
    said = bugsle(repo, "flaky", "show", ID)
    assert said.code == 3 and "pytest --bugsle" in said.err


def test_the_strip_has_a_sign_for_each_attempt(repo: Repo) -> None:
    """A word for each version, oldest first; brackets where a run made several; experiments after a slash."""
    record(repo, "r1", "passed")
    record(repo, "r2", "failed", "passed")
    record(repo, "r3", "error", "alone:passed", "in-process:failed")
    record(repo, "r4", "died", tree="t2", day=2)
    record(repo, "r5", "skipped", tree="t2", day=2)
    record(repo, "r6", "xfailed", tree="t3", day=3)
    record(repo, "r7", "failed", tree="t3", day=3, disaster=True)
    record(repo, "r8", "odd", tree="t3", day=3)
    record(repo, "r9", "passed", tree="", day=4)
    record(repo, "r10", "passed", tree="", day=4)
    out = bugsle(repo, "flaky", "show", ID).out.splitlines()
    assert out[:2] == [ID, "  2030-01-01  .[F.][E/.F] !s x(F)? . ."]
    assert out[2].endswith(
        "F failed, E error in setup or teardown, x failed as expected, s skipped, ! died, ? anything else, "
        "[ ] more than one attempt in a run, / tried again on purpose, ( ) a run in which most tests failed, "
        "not counted; one word for each version of the code"
    )


def test_a_long_strip_has_lines_with_their_days(repo: Repo) -> None:
    """The legend explains only what is there."""
    for number in range(1, 31):
        record(repo, f"r{number}", *["passed"] * 5, tree=f"t{number}", day=number)
    out = bugsle(repo, "flaky", "show", ID).out.splitlines()
    assert [line.split()[0] for line in out[1:5]] == ["2030-01-01", "2030-01-10", "2030-01-19", "2030-01-28"]
    assert all(len(line) <= 86 for line in out[1:5])
    assert out[5] == "  . passed, [ ] more than one attempt in a run; one word for each version of the code"


def test_only_the_last_attempts_are_shown(repo: Repo) -> None:
    """But the rate is of all."""
    for number in range(1, 6):
        record(repo, f"r{number}", "failed" if number == 1 else "passed", day=number)
    out = bugsle(repo, "flaky", "show", ID, "--limit", "2").out
    assert "3 earlier attempts not shown" in out and "  2030-01-04  ..\n" in out
    assert "failed 1 of 5 first attempts" in out


def test_a_rate_has_an_interval_and_its_power(repo: Repo) -> None:
    """What so many passes would miss, or how many runs would show a failure again."""
    for number in range(1, 11):
        record(repo, f"r{number}", "passed", "failed")
    assert (
        "failed 0 of 10 first attempts (95 %: 0 % to 27.8 %); 10 passes would miss a 1 % flake 9 times in 10"
    ) in bugsle(repo, "flaky", "show", ID).out
    record(repo, "r11", "failed")
    assert (
        "at that rate 32 runs would show a failure 95 times in 100" in bugsle(repo, "flaky", "show", ID).out
    )


def test_it_says_whether_the_test_is_flaky(repo: Repo) -> None:
    """By both outcomes at one version, and by nothing else."""
    record(repo, "r1", "passed")
    assert "flaky" not in bugsle(repo, "flaky", "show", ID).out.partition("\n")[2].replace("% flake", "")
    record(repo, "r2", "failed", tree="t2")
    assert "that is not flaky" in bugsle(repo, "flaky", "show", ID).out
    record(repo, "r3", "failed")
    assert "flaky: both outcomes at 1 version of the code" in bugsle(repo, "flaky", "show", ID).out


def test_errors_and_modes_are_counted(repo: Repo) -> None:
    """The most frequent error first; disasters left out."""
    record(repo, "r1", "failed", "alone:passed", "alone:passed", "prefix:failed", error="common")
    record(repo, "r2", "failed", error="")
    record(repo, "r3", "failed", error="common")
    record(repo, "r4", "failed", error="else", disaster=True)
    told = past(repo)
    assert told["errors"] == [["common", 3], ["", 1]]
    assert {each["mode"]: (each["failures"], each["attempts"]) for each in told["modes"]} == {
        "alone": (0, 2), "prefix": (1, 1), "suite": (3, 3),
    }  # fmt: skip
    assert (told["failures"], told["attempts"], told["mixed"]) == (3, 3, 1)
    out = bugsle(repo, "flaky", "show", ID).out
    assert "failed, by how it was run: alone 0 of 2, prefix 1 of 1, suite 3 of 3" in out
    assert "error common: 3 times" in out and "error (not known): 1 time" in out


def test_tests_that_fail_with_it_are_named(repo: Repo) -> None:
    """Of the flaky ones, those with the same error in the same runs."""
    for test in (ID, "tests/t.py::test_b", "tests/t.py::test_c"):
        record(repo, "r1", "failed", test=test, error="else" if test.endswith("c") else "f1")
        record(repo, "r2", "passed", test=test)
    assert past(repo)["together"] == ["tests/t.py::test_b"]
    assert "fails together with tests/t.py::test_b" in bugsle(repo, "flaky", "show", ID).out


def test_a_part_of_an_id_is_enough(repo: Repo) -> None:
    """The end of one is better than the middle of another; addresses in it are no part of it."""
    for test in ("tests/t.py::test_a", "tests/t.py::test_ab", "tests/u.py::test_x[<address>]"):
        record(repo, "r1", "passed", test=test)
    for name, found in (
        ("test_a", "tests/t.py::test_a"),
        ("_ab", "tests/t.py::test_ab"),
        ("test_x", "tests/u.py::test_x[<address>]"),
        ("tests/u.py::test_x[0x7f0011223344]", "tests/u.py::test_x[<address>]"),
    ):
        assert bugsle(repo, "flaky", "show", name).out.splitlines()[0] == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t.py", "2 tests in the history are called t.py.\n  next: name one: tests/t.py::test_alpha, "),
        ("tests/t.py::test_alhpa", "there is no test tests/t.py::test_alhpa in the history.\n  next: did you mean: tests/t.py::test_alpha"),
        ("nowhere", "the names are in: bugsle flaky list"),
        ("", "there is no test"),
    ],
)  # fmt: skip
def test_an_id_that_is_not_clear_is_refused(repo: Repo, name: str, said: str) -> None:
    """With those that may be meant."""
    for test in ("tests/t.py::test_alpha", "tests/t.py::test_beta"):
        record(repo, "r1", "passed", test=test)
    answer = bugsle(repo, "flaky", "show", name)
    assert answer.code == 2 and said in answer.err


def test_a_quarantine_and_its_cause_are_shown(repo: Repo) -> None:
    """As the file has them."""
    record(repo, "r1", "passed", "failed")
    (repo.top / ".bugsle/quarantine.toml").write_text(
        f'[[test]]\nid = "{ID}"\ncause = "a race"\nowner = "Ada"\nissue = "#1"\n'
        "added = 2020-01-01\nexpires = 2020-01-20\n"
    )
    out = bugsle(repo, "flaky", "show", ID).out
    assert "cause: a race" in out and "quarantined ended on" not in out
    assert "quarantine ended on 2020-01-20 (owner Ada, #1)" in out


def test_a_time_beyond_all_calendars_is_shown(repo: Repo) -> None:
    """A history from elsewhere may hold anything."""
    (repo.top / ".bugsle").mkdir()
    with open_history(repo.top / ".bugsle/history.db") as history:
        history.begin(RunRecord(run_id="r", started=1e300, tree="t"))
        history.add("r", [AttemptRecord(seq=1, test=ID, outcome="passed")])
    assert "9999-12-31" in bugsle(repo, "flaky", "show", ID).out
