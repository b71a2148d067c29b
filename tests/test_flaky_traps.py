"""The cases in which retrying hides a failure: under the gate each stays failed, and is told for what it is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from repositories import Said, state_of
from trap_suites import (
    CRASHES,
    FAILS,
    FAILS_FIRST,
    SUBTESTS,
    TRAPS,
    VARIES,
    Trap,
    Trapped,
    counts,
    kept,
)

ID = "tests/test_it.py::"
QUICK = {"setup-fails-later", "module-fixture"}
MODES = pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])


def told(said: Said) -> dict[str, str]:
    """Return how each failed test is told of in the section, by its name."""
    found = {}
    for line in said.out.splitlines():
        word, _, rest = line.partition(f": {ID}")
        if word in (FAILS, VARIES, "not idempotent", "victim", "brittle", "probabilistic"):
            found[rest.partition(" ")[0]] = word
    return found


def in_report(said: Said) -> dict[str, str]:
    """Return the same of the JSON report."""
    words = {"failing": FAILS}
    return {
        test["id"].removeprefix(ID): words.get(word := test["categories"][0], word.replace("-", " "))
        for test in said.report["tests"]
    }


def assert_once_a_process(trapped: Trapped, sessions: int) -> None:
    """What is set up once a process is: in the user's session, and in every copy; and is torn down."""
    user = trapped.log("user")
    assert 1 <= len(user) <= sessions
    assert all(words == ["setup", "teardown"] for words in user.values())
    copies = trapped.log("copy")
    assert copies and not copies.keys() & user.keys()
    assert all(words == ["setup", "teardown"] for words in copies.values())


@pytest.mark.parametrize(
    ("trap", "args"),
    [
        pytest.param(
            one,
            ("-n", "2") if parallel else (),
            id=f"{one.name}-{'xdist' if parallel else 'alone'}",
            marks=[] if parallel and one.name in QUICK else [pytest.mark.slow],
        )
        for one in TRAPS
        for parallel in (False, True)
    ],
)
def test_no_failure_is_hidden(tmp_path: Path, trap: Trap, args: tuple[str, ...]) -> None:
    """Exit status 1, pytest's own count of what failed, the right word, and the session's attempt kept as it was."""
    trapped = Trapped(tmp_path / "project", {"it": trap.source})
    before = state_of(trapped.repo)
    said = trapped.run(*args)
    assert said.code == 1
    assert counts(said) == dict(trap.counts)
    assert told(said) == dict(trap.told) == in_report(said)
    assert ("BUG201" in said.out) is (VARIES in trap.told.values())
    assert trap.why in said.out
    assert {
        one.test.removeprefix(ID): (one.attempt, one.outcome)
        for one in kept(trapped.store)
        if one.test.removeprefix(ID) in trap.told
    } == {name: (1, trap.outcomes.get(name, "failed")) for name in trap.told}
    assert state_of(trapped.repo) == before
    if trap.name != "setup-fails-first-in-the-tree":  # whose own test writes there
        assert trapped.repo.git("status", "--porcelain") == ""
    if "log(" in trap.source:
        assert_once_a_process(trapped, len(args) or 1)


@pytest.mark.slow
@MODES
def test_a_test_that_passes_elsewhere_has_no_other_error(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Where it did not fail in the copy, there is no error to compare, and no file missing."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    said = trapped.run(*args)
    assert (said.code, told(said)) == (1, {"test_it": VARIES})
    assert "another error" not in said.out


@pytest.mark.slow
@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has its own subtests from 9 on")
@MODES
def test_a_test_fails_with_its_subtests(tmp_path: Path, args: tuple[str, ...]) -> None:
    """The parent is as its subtests are, in pytest's own and in those of unittest."""
    trapped = Trapped(tmp_path / "project", {"it": SUBTESTS})
    said = trapped.run(*args)
    assert said.code == 1
    words = {
        "test_always": FAILS,
        "test_first": VARIES,
        "TestCase::test_always": FAILS,
        "TestCase::test_first": VARIES,
    }
    assert told(said) == words == in_report(said)
    outcomes = {one.test.removeprefix(ID): one.outcome for one in kept(trapped.store)}
    assert outcomes == {**dict.fromkeys(words, "failed"), "test_other": "passed"}


@pytest.mark.slow
@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has its own subtests from 9 on")
@MODES
def test_subtests_of_a_broken_test_stay_in_the_summary(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Those of a flaky test with the same parameters are others: none of the six failures is lost."""
    trapped = Trapped(tmp_path / "project", {"it": SUBTESTS})
    said = trapped.run(*args)
    found = counts(said)
    assert found["failed"] + found["flaky"] == 6, said.out
    assert "tests/test_it.py::TestCase::test_always - assert 1 != 1" in said.out


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_test(tmp_path: Path) -> None:
    """A test that ends its process every time is broken; it never passes because its setup did."""
    trapped = Trapped(tmp_path / "project", {"it": CRASHES})
    said = trapped.run("-n", "2")
    assert said.code == 1
    assert told(said) == {"test_first": VARIES, "test_always": FAILS} == in_report(said)
    assert "another attempt of it passed" not in said.out
    found = counts(said)
    assert (found["passed"], found["failed"], found["flaky"]) == (2, 1, 1)
    assert Counter((one.test.removeprefix(ID), one.attempt, one.outcome) for one in kept(trapped.store)) == {
        ("test_before", 1, "passed"): 1,
        ("test_first", 1, "died"): 1,
        ("test_always", 1, "died"): 1,
        ("test_after", 1, "passed"): 1,
    }


def test_a_session_that_dies_keeps_what_had_ended(tmp_path: Path) -> None:
    """Without workers a test that ends its process ends the session: with its own status, as without the gate."""
    trapped = Trapped(tmp_path / "project", {"it": CRASHES})
    said = trapped.run()
    assert (said.code, said.report) == (7, {})
    again = trapped.run("-k", "not always")
    assert (again.code, counts(again)) == (0, {"passed": 3, "deselected": 1})
    first, *more = kept(trapped.store)
    assert (first.test.removeprefix(ID), first.outcome) == ("test_before", "passed")
    assert len(more) == 3 and first.run_id not in {one.run_id for one in more}


RERUNS = [
    pytest.param(("-p", "rerunfailures"), id="alone"),
    pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("args", RERUNS)
def test_a_rerun_that_passed_is_no_pass(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Pytest-rerunfailures turns the session green, with workers too; the gate finds the failed attempt, and fails."""
    pytest.importorskip("pytest_rerunfailures")
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    args = args if "-n" in args else ()
    said = trapped.run("--reruns", "2", *args)
    assert said.code == 1
    assert told(said) == {"test_it": VARIES}
    assert "another attempt of it passed in this run" in said.out
    assert [(one.attempt, one.outcome) for one in kept(trapped.store) if one.test == f"{ID}test_it"] == [
        (1, "failed"),
        (2, "passed"),
    ]


@pytest.mark.slow
@MODES
@pytest.mark.parametrize(
    "name",
    [one.name for one in TRAPS if FAILS in one.told.values()],
)
def test_reruns_excuse_no_broken_test(tmp_path: Path, name: str, args: tuple[str, ...]) -> None:
    """Whatever the reruns in the session made of it: what fails in every new process fails the session."""
    pytest.importorskip("pytest_rerunfailures")
    trap = next(one for one in TRAPS if one.name == name)
    trapped = Trapped(tmp_path / "project", {"it": trap.source})
    said = trapped.run("--reruns", "2", *args)
    assert said.code == 1
    for test in trap.told:
        outcomes = [one.outcome for one in kept(trapped.store) if one.test == ID + test]
        assert outcomes[0] in ("failed", "error"), outcomes
    assert told(said).keys() == trap.told.keys()


@pytest.mark.slow
@MODES
def test_junit_shows_the_failed_attempt(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Pytest's own report keeps the failure, and ours names it a flaky one; each test is there once."""
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST})
    own, ours = tmp_path / "own.xml", tmp_path / "ours.xml"
    said = trapped.run(f"--junitxml={own}", f"--bugsle-report=junit:{ours}", *args)
    assert said.code == 1
    cases = {case.get("name"): case for case in ET.parse(own).iter("testcase")}
    assert {name: [child.tag for child in case] for name, case in cases.items()} == {
        "test_it": ["failure"],
        "test_other": [],
    }
    found = [case for case in ET.parse(ours).iter("testcase") if case.find("flakyFailure") is not None]
    assert [case.get("name") for case in found] == [f"{ID}test_it"]
