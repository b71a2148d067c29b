"""`bugsle flaky list`: the flaky tests of a history, ranked by what they cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from days import same_day  # noqa: F401  the fixture is for each test
from repositories import Repo, Said, bugsle, run_pytest

from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

DAY = 86_400.0
_OUTCOMES = {".": "passed", "F": "failed", "s": "skipped"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository without any history."""
    return Repo(tmp_path / "project", configuration="")


def record(
    repo: Repo, tree: str, days_ago: float, seconds: float = 1.0, disaster: bool = False, **tests: str
) -> None:
    """Record runs: one for each letter of a test's outcomes, `-` where it did not run, `|` before a rerun."""
    folder = repo.top / ".bugsle"
    folder.mkdir(exist_ok=True)
    lines: Mapping[str, list[str]] = {name: marks.split(" ") for name, marks in tests.items()}
    with open_history(folder / "history.db") as history:
        for number in range(max(map(len, lines.values()))):
            run_id = f"{tree}-{days_ago}-{number}"
            started = time.time() - days_ago * DAY + number
            history.begin(RunRecord(run_id=run_id, started=started, tree=tree))
            rows = [
                AttemptRecord(
                    seq=100 * place + attempt, test=f"tests/t.py::{name}", attempt=attempt, outcome=_OUTCOMES[mark],
                    duration=seconds, fingerprint=f"f-{name[0]}" if mark == "F" else "",
                )
                for place, (name, runs) in enumerate(lines.items()) if number < len(runs)
                for attempt, mark in enumerate(runs[number], 1)
            ]  # fmt: skip
            history.add(run_id, rows)
            history.finish(run_id, collected=len(lines), disaster=disaster)


def ranking(repo: Repo, *args: str) -> dict[str, Any]:
    """The ranking as JSON."""
    said = bugsle(repo, "flaky", "list", "--json", *args)
    assert said.code == 0, said.err
    value: dict[str, Any] = json.loads(said.out)
    return value


def names(repo: Repo, *args: str) -> list[str]:
    """The names of the ranked tests."""
    return [row["id"].rpartition("::")[2] for row in ranking(repo, *args)["tests"]]


def test_without_a_history_it_is_undecided(repo: Repo) -> None:
    """And says how one begins; nothing is begun."""
    said = bugsle(repo, "flaky", "list")
    assert (said.code, said.out) == (3, "")
    assert "pytest --bugsle" in said.err
    assert not (repo.top / ".bugsle/history.db").exists()


def test_an_empty_history_is_undecided(repo: Repo) -> None:
    """And so is one of which nothing is recent enough."""
    record(repo, "t1", 9, a=". F")
    said = bugsle(repo, "flaky", "list", "--since", "3")
    assert said.code == 3 and "no test for that time" in said.err


def test_what_breaks_more_runs_is_first(repo: Repo) -> None:
    """Then what costs more time: reruns, and a whole run for each that was broken."""
    record(repo, "t1", 5, a="F . . .", b="F F . .", c=". . . F.", d=". . . .")
    assert names(repo) == ["b", "c", "a"]
    b, c, a = ranking(repo)["tests"]
    # A run of all four takes four seconds; the rerun of c one more.
    assert [(row["runs_broken"], row["seconds"]) for row in (b, c, a)] == [(2, 8.0), (1, 5.0), (1, 4.0)]


def test_a_rate_is_of_first_attempts(repo: Repo) -> None:
    """A rerun is made because something failed."""
    record(repo, "t1", 5, a="FF. . . .")
    (row,) = ranking(repo)["tests"]
    assert (row["failures"], row["attempts"], row["versions"]) == (1, 4, 1)
    assert [round(end, 3) for end in row["interval"]] == [0.046, 0.699]
    assert "failed 1 of 4 first attempts (95 %: 4.56 % to 69.9 %)" in bugsle(repo, "flaky", "list").out


def test_a_test_that_only_failed_is_not_flaky(repo: Repo) -> None:
    """It is counted: it may have been broken, and mended at the next version."""
    record(repo, "t1", 5, broken="F F", fine=". .")
    record(repo, "t2", 4, broken=". .", fine=". .")
    told = ranking(repo)
    assert (told["tests"], told["unproven"], told["seen"]) == ([], 1, 2)
    out = bugsle(repo, "flaky", "list").out
    assert "1 test failed and never passed with the same code" in out and "0 flaky of 2 tests" in out


def test_disasters_count_nothing(repo: Repo) -> None:
    """Runs in which most tests failed say nothing of one."""
    record(repo, "t1", 5, a=". .")
    record(repo, "t1", 4, disaster=True, a="F")
    assert ranking(repo)["tests"] == []


def test_the_past_can_be_left_out(repo: Repo) -> None:
    """By days, and by a date."""
    record(repo, "t1", 20, old=". F")
    record(repo, "t2", 5, new=". F")
    assert names(repo) == ["new", "old"]
    assert names(repo, "--since", "10") == ["new"]
    date = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 10 * DAY))
    assert names(repo, "--since", date) == ["new"]
    said = bugsle(repo, "flaky", "list", "--since", "yesterday")
    assert said.code == 2 and "a number of days, or a date" in said.err


def test_tests_that_fail_together_are_one_line(repo: Repo) -> None:
    """With the same error in the same runs; one that fails alone has its own."""
    record(
        repo,
        "t1",
        5,
        ta="F . F .",
        tb="F . F .",
        tc="F . F .",
        td="F . F .",
        te="F . F .",
        tf=". . . F",
        u="F . F .",
    )
    rows = {row["id"][-2:]: row["together"] for row in ranking(repo)["tests"]}
    assert sorted(rows) == [":u", "ta", "tf"]
    assert rows["ta"] == [f"tests/t.py::t{letter}" for letter in "bcde"]
    out = bugsle(repo, "flaky", "list").out
    assert "t.py::tc, tests/t.py::td and 1 more (-v)" in out and "7 flaky of 7" in out
    assert "tests/t.py::te" in bugsle(repo, "flaky", "list", "-v").out


def test_the_worst_are_shown_and_the_rest_counted(repo: Repo) -> None:
    """As many as asked for; the sum at the end is of all."""
    record(repo, "t1", 5, a="F F F . .", b="F F . . .", c=". . . . F")
    assert names(repo, "--limit", "1") == ["a"]
    out = bugsle(repo, "flaky", "list", "--limit", "1").out
    assert "and 2 more tests" in out and "3 flaky of 3 tests" in out


def test_quiet_is_one_line_a_test(repo: Repo) -> None:
    """And the sum."""
    record(repo, "t1", 5, a="F .", b=". F")
    assert len(bugsle(repo, "flaky", "list", "-q").out.splitlines()) == 3


def test_a_quarantined_test_says_so(repo: Repo) -> None:
    """With its last day, and whether that has passed."""
    record(repo, "t1", 5, a="F .", b=". F")
    entry = '[[test]]\nid = "tests/t.py::{}"\nowner = "x"\nissue = "#1"\nadded = 2020-01-01\nexpires = {}\n'
    (repo.top / ".bugsle/quarantine.toml").write_text(
        entry.format("a", "2020-01-20") + entry.format("b", "2999-01-01")
    )
    rows = {row["id"][-1]: (row["quarantined"], row["expired"]) for row in ranking(repo)["tests"]}
    assert rows == {"a": ("2020-01-20", True), "b": ("2999-01-01", False)}
    out = bugsle(repo, "flaky", "list").out
    assert "quarantined, ended on 2020-01-20" in out and "quarantined, until 2999-01-01" in out


def test_hostile_ids_are_shown_and_not_sent(repo: Repo) -> None:
    """On the terminal; JSON holds them as they are."""
    record(repo, "t1", 5, **{"\u202e\x1b[2J\n::error::\udcff": "F ."})
    said = bugsle(repo, "flaky", "list")
    assert not {"\x1b", "\u202e"} & set(said.out) and "\n::error" not in said.out and r"\x1b[2J\n" in said.out
    assert bugsle(repo, "flaky", "list", "--json").out.isascii()
    assert ranking(repo)["tests"][0]["id"].endswith("\u202e\x1b[2J\n::error::\udcff")


def test_a_history_can_be_elsewhere(repo: Repo, tmp_path: Path) -> None:
    """By the option, and by the environment."""
    record(repo, "t1", 5, a="F .")
    other = tmp_path / "other.db"
    (repo.top / ".bugsle/history.db").rename(other)
    assert bugsle(repo, "flaky", "list").code == 3
    assert names(repo, "--store", str(other)) == ["a"]
    assert bugsle(repo, "flaky", "list", BUGSLE_STORE=str(other)).code == 0
    said = bugsle(repo, "flaky", "list", "--store", "mysql://x/y")
    assert said.code == 2 and "postgresql://" in said.err


def test_a_file_that_is_not_there_is_not_made(repo: Repo, tmp_path: Path) -> None:
    """A question leaves nothing behind."""
    said: Said = bugsle(repo, "flaky", "list", "--store", str(tmp_path / "none.db"))
    assert said.code == 3 and not (tmp_path / "none.db").exists()


def test_real_runs_are_ranked(repo: Repo) -> None:
    """Of a test that depends on what pytest cannot see: two sessions, one version of the code."""
    repo.commit(
        "chore: a test",
        {"tests/test_env.py": "import os\n\ndef test_env():\n    assert os.environ.get('BROKEN') is None\n"},
    )
    assert run_pytest(repo, BUGSLE_EXAMINE="0").code == 0
    assert run_pytest(repo, BUGSLE_EXAMINE="0", BROKEN="1").code == 1
    (row,) = ranking(repo)["tests"]
    assert (row["id"], row["runs_broken"], row["failures"], row["attempts"]) == (
        "tests/test_env.py::test_env",
        1,
        1,
        2,
    )
