"""The ledger of looks in real runs: at a desk, in CI, under xdist, in PostgreSQL, and with two who look at once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from postgres_server import NoServer, Server, postgres_server

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.experiment import lock
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import judge_proportions
from pytest_bugsle.experiment.ledger import LOOK, Ledger, Owner, looks_of
from pytest_bugsle.experiment.looks import Memory
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.store.history import open_history

Counts = tuple[int, int]
SMALL: tuple[Counts, Counts] = ((200, 2000), (210, 2000))
LARGER: tuple[Counts, Counts] = ((300, 3000), (320, 3000))
NOWHERE = "postgresql://me:hunter2@127.0.0.1:1/db"  # nothing listens on port 1


@pytest.fixture(autouse=True)
def at_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as at a desk, unless a test says otherwise."""
    for name in ("CI", "BUGSLE_STORE", "BUGSLE_INNER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running PostgreSQL server, or a skip that says why there is none."""
    pytest.importorskip("psycopg")
    try:
        with postgres_server() as running:
            yield running
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> str | None:
    """Where the looks are kept: None for the repository's own file."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("server").new_database()
    return url


def ledger_at(top: Path, *, store: str | None = None, ci: bool = False, session: str = "s") -> Ledger:
    """A ledger of a run."""
    return Ledger(top, store=store, ci=ci, session=session)


def looked(
    ledger: Ledger,
    counts: tuple[Counts, Counts] = SMALL,
    *,
    name: str = "shop",
    test: str = "t.py::t",
    **design: Any,
) -> ExperimentResult:
    """Look once, in a test of its own."""
    design = {"metric": "sales", "mde": 0.2, **design}
    (made,) = ledger.judged(
        Owner(name, test=test),
        lambda past: [judge_proportions(*counts, past=past, test=test, **design)],
        Design(**design),
    )
    return made


def look_numbers(top: Path) -> list[tuple[str, int]]:
    """Metric and number of each look that is kept."""
    with closing(sqlite3.connect(top / ".bugsle" / "history.db")) as connection:
        rows = connection.execute(
            "SELECT content FROM bugsle_entry WHERE kind = 'look' ORDER BY name, written"
        ).fetchall()
    return [(found["metric"], found["number"]) for found in (json.loads(row) for (row,) in rows)]


# ---- looks from run to run


def test_identical_data_are_no_new_look_and_grown_data_are_one(tmp_path: Path, store: str | None) -> None:
    """And the first data, given back, are the first look again, to the last digit."""
    seen = []
    for counts in (SMALL, SMALL, LARGER, SMALL):
        with closing(ledger_at(tmp_path, store=store, session=str(len(seen)))) as ledger:
            seen.append(looked(ledger, counts))
    assert [made.look.number for made in seen if made.look] == [1, 1, 2, 1]
    assert seen[0].message == seen[1].message == seen[3].message and seen[0].interval == seen[3].interval
    assert all(made.look and made.look.method == "spending" for made in seen)


def test_who_looks_in_between_is_noticed_and_the_data_are_judged_anew(
    tmp_path: Path, store: str | None
) -> None:
    """So that no two looks have one number."""
    mine, other = ledger_at(tmp_path, store=store, session="a"), ledger_at(tmp_path, store=store, session="b")
    times = 0

    def judge(past: Memory) -> list[ExperimentResult]:
        nonlocal times
        times += 1
        if times == 1:
            assert looked(other, SMALL).look.number == 1  # type: ignore[union-attr]
        return [judge_proportions(*LARGER, past=past, metric="sales", mde=0.2)]

    with closing(mine), closing(other):
        (made,) = mine.judged(Owner("shop"), judge, Design(metric="sales", mde=0.2))
    assert times == 2 and made.look is not None and made.look.number == 2


def test_looks_that_never_stop_coming_end_in_an_error(tmp_path: Path) -> None:
    """Nothing is judged by half."""
    mine, other = ledger_at(tmp_path, session="a"), ledger_at(tmp_path, session="b")
    times = 0

    def judge(past: Memory) -> list[ExperimentResult]:
        nonlocal times
        times += 1
        looked(other, ((200, 1000 + times), (210, 1000)))
        return [judge_proportions(*LARGER, past=past, metric="sales", mde=0.2)]

    with closing(mine), closing(other), pytest.raises(ProgramError, match="change all the time"):
        mine.judged(Owner("shop"), judge, Design(metric="sales", mde=0.2))


def test_a_writer_that_is_killed_leaves_a_whole_ledger(tmp_path: Path) -> None:
    """With the looks before it, and without its own."""
    with closing(ledger_at(tmp_path)) as ledger:
        looked(ledger)
    program = textwrap.dedent(
        f"""
        import os
        from pathlib import Path
        from pytest_bugsle.store.entries import Entry, put
        from pytest_bugsle.store.history import open_history
        history = open_history(Path({str(tmp_path / ".bugsle" / "history.db")!r}))
        with history._database.writing():
            put(history._database, [Entry("look", "shop", "sales", "x", 1.0, "{{}}")])
            os.kill(os.getpid(), 9)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -9
    with closing(ledger_at(tmp_path, session="later")) as ledger:
        assert looked(ledger, LARGER).look.number == 2  # type: ignore[union-attr]
    assert look_numbers(tmp_path) == [("sales", 1), ("sales", 2)]


def test_two_gates_of_one_name_in_one_test_are_two(tmp_path: Path) -> None:
    """A loop without names of metrics gives each turn looks of its own."""
    for session in ("1", "2"):
        with closing(ledger_at(tmp_path, session=session)) as ledger:
            owner = Owner("t.py::t", test="t.py::t")
            for counts in (SMALL, LARGER):
                (made,) = ledger.judged(
                    owner,
                    lambda past, counts=counts: [judge_proportions(*counts, past=past, mde=0.2)],
                    Design(),  # type: ignore[misc]
                )
                assert made.look is not None and made.look.number == 1
    assert look_numbers(tmp_path) == [("metric", 1), ("metric #2", 1)]


def test_two_tests_that_judge_one_metric_by_different_data_are_refused(tmp_path: Path) -> None:
    """In one session they are no looks at the same thing."""
    with closing(ledger_at(tmp_path)) as ledger:
        looked(ledger, SMALL, test="t.py::one")
        looked(ledger, SMALL, test="t.py::two")
        with pytest.raises(UsageError, match=r"t\.py::one and t\.py::three judge 'sales'") as error:
            looked(ledger, LARGER, test="t.py::three")
    assert "metric=" in error.value.hint


def test_a_pass_that_the_other_decisions_take_away_is_no_pass_later(tmp_path: Path) -> None:
    """The level of what passed is free for all later looks, so it must have passed."""
    import msgspec

    passing = ((380, 3800), (480, 3800))
    with closing(ledger_at(tmp_path)) as ledger:
        made = looked(ledger, passing)
        assert made.outcome == "pass"
        ledger.settle([msgspec.structs.replace(made, outcome="undecided")])
        (kept,) = looks_of(ledger.kept(LOOK))["shop"]
    assert kept.outcome == "undecided"
    with closing(ledger_at(tmp_path, session="later")) as ledger:
        grown = looked(ledger, ((390, 3900), (490, 3900)))
    assert grown.look is not None and "after the pass" not in grown.look.why


def test_each_arm_and_guardrail_of_a_table_has_looks_of_its_own(tmp_path: Path) -> None:
    """And a table that is read twice, in whatever order its sums are taken, is the same data."""
    pytest.importorskip("duckdb")
    np, pa = pytest.importorskip("numpy"), pytest.importorskip("pyarrow")
    from pytest_bugsle.experiment.tables import judge_table

    rng = np.random.default_rng(1)

    def judged(n: int) -> list[ExperimentResult]:
        table = pa.table(
            {
                "arm": np.repeat(["control", "a", "b"], n),
                "spent": np.random.default_rng(2).normal(1e6, 3, 3 * n),
                "ms": np.random.default_rng(3).lognormal(3, 1, 3 * n),
            }
        ).take(rng.permutation(3 * n))
        with closing(ledger_at(tmp_path, session=str(rng.random()))) as ledger:
            return ledger.judged(
                Owner("shop"),
                lambda past: judge_table(
                    table, arm="arm", metric="spent", mde=1e-6, guardrails={"ms": {"margin": 0.1}}, past=past
                ),
                Design(metric="spent", mde=1e-6),
            )

    first, again, grown = judged(60_000), judged(60_000), judged(70_000)
    assert [made.metric for made in first] == ["spent [a]", "spent [b]", "ms [a]", "ms [b]"]
    assert [made.data for made in first] == [made.data for made in again]
    assert [made.look.alpha for made in first if made.look] == [
        made.look.alpha for made in again if made.look
    ]
    assert sorted(look_numbers(tmp_path)) == [
        (made.metric, number) for made in sorted(first, key=lambda made: made.metric) for number in (1, 2)
    ]
    assert grown[0].look is not None and grown[0].look.number == 2


# ---- where nothing persists


def test_a_new_ci_machine_is_always_valid_and_says_so_until_its_folder_is_seen_to_last(
    tmp_path: Path,
) -> None:
    """What another run has left there is the proof."""
    with closing(ledger_at(tmp_path, ci=True, session="1")) as ledger:
        first, again = looked(ledger), looked(ledger, LARGER)
    for made in (first, again):
        assert made.look is not None and made.look.method == "always-valid"
        assert "no look of an earlier run" in made.look.why
    with closing(ledger_at(tmp_path, ci=True, session="2")) as ledger:
        later = looked(ledger, ((350, 3500), (370, 3500)))
    assert later.look is not None and (later.look.method, later.look.number) == ("spending", 3)


def test_a_worker_of_the_same_ci_run_is_no_proof_that_the_folder_lasts(tmp_path: Path) -> None:
    """Its looks are of today."""
    for counts in (SMALL, LARGER):
        with closing(ledger_at(tmp_path, ci=True, session="1")) as worker:
            made = looked(worker, counts)
        assert made.look is not None and made.look.method == "always-valid"


def test_a_server_out_of_reach_leaves_the_always_valid_interval(tmp_path: Path) -> None:
    """What it remembers is unknown; the look waits in the file that stands in for it."""
    pytest.importorskip("psycopg")
    with closing(ledger_at(tmp_path, store=NOWHERE)) as ledger:
        made = looked(ledger)
    assert made.look is not None and made.look.method == "always-valid" and "out of reach" in made.look.why
    assert "hunter2" not in made.message
    assert look_numbers(tmp_path) == [("sales", 1)]


def test_a_look_made_while_the_server_was_away_is_sent_to_it(tmp_path: Path, server: Server) -> None:
    """And counts there from then on."""
    with closing(ledger_at(tmp_path, store=NOWHERE)) as ledger:
        looked(ledger)
    url = server.new_database()
    with closing(ledger_at(tmp_path, store=url, session="later")) as ledger:
        assert looked(ledger, LARGER).look.number == 2  # type: ignore[union-attr]
    assert look_numbers(tmp_path) == []


def test_a_history_of_another_machine_brings_its_looks(tmp_path: Path) -> None:
    """Merged twice, they are there once."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        with closing(ledger_at(tmp_path / name, session=name)) as ledger:
            looked(ledger, SMALL if name == "here" else LARGER)
    with open_history(tmp_path / "here/.bugsle/history.db") as history:
        assert history.merge(tmp_path / "there/.bugsle/history.db").entries == 1
        assert history.merge(tmp_path / "there/.bugsle/history.db").entries == 0
        assert len(history.entries("look", "shop")) == 2


def test_a_ledger_that_cannot_be_written_leaves_the_always_valid_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that nobody will remember may not pass by those that somebody does."""
    with closing(ledger_at(tmp_path, session="1")) as ledger:
        looked(ledger)
    with closing(sqlite3.connect(tmp_path / ".bugsle/history.db")) as connection, connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON bugsle_entry BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    with closing(ledger_at(tmp_path, session="2")) as ledger:
        made = looked(ledger, LARGER)
    assert made.look is not None and made.look.method == "always-valid"
    assert "the ledger cannot be used" in made.look.why


def test_a_named_experiment_whose_design_cannot_be_written_is_judged_anew(tmp_path: Path) -> None:
    """Its design is written first; that nothing is remembered must be known before anything passes."""
    with closing(ledger_at(tmp_path, session="1")) as ledger:
        looked(ledger)
    with closing(sqlite3.connect(tmp_path / ".bugsle/history.db")) as connection, connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON bugsle_entry BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    design = Design(metric="sales", mde=0.2)
    with closing(ledger_at(tmp_path, session="2")) as ledger:
        (made,) = ledger.judged(
            Owner("shop", test="t.py::t", is_named=True),
            lambda past: [judge_proportions(*LARGER, past=past, metric="sales", mde=0.2)],
            design,
            lock.fields_of(design),
        )
    assert made.look is not None and made.look.method == "always-valid"


def test_a_damaged_ledger_is_said(tmp_path: Path) -> None:
    """What looks were in it is not known any more."""
    with closing(ledger_at(tmp_path, session="1")) as ledger:
        looked(ledger)
    (tmp_path / ".bugsle/history.db").write_bytes(b"no database" * 400)
    with closing(ledger_at(tmp_path, session="2")) as ledger:
        made = looked(ledger, LARGER)
    assert "note: the ledger: " in made.message and "corrupt-1" in made.message


# ---- in runs of pytest


BODY = """
import os, pytest
N = int(os.environ.get("N", "2000"))
@pytest.mark.parametrize("place", range(6))
def test_ab(ab_gate, place):
    ab_gate.proportions((N // 10 + place, N), (N // 9, N), metric="sales", mde=0.2)
"""


def run(pytester: pytest.Pytester, body: str, *args: str) -> pytest.RunResult:
    """Run one file of tests in a process of its own."""
    pytester.makepyfile(test_ab=body)
    return pytester.runpytest_subprocess("-p", "no:randomly", *args)


def test_all_looks_of_all_workers_are_kept_once(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers write to one file; the next run, alone, looks for the second time."""
    run(pytester, BODY, "-n", "2").assert_outcomes(failed=6)
    assert look_numbers(pytester.path) == [("sales", 1)] * 6
    monkeypatch.setenv("N", "3000")
    made = run(pytester, BODY)
    assert sorted(look_numbers(pytester.path)) == [("sales", 1)] * 6 + [("sales", 2)] * 6
    made.stdout.fnmatch_lines(["*look 2, by the ledger of looks*"])


def test_a_run_in_a_copy_knows_the_looks_and_adds_none(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees the same data as the run around it, from another place, and must say the same of them."""
    monkeypatch.setenv("N", "2000")
    run(pytester, BODY, "-k", "0").stdout.fnmatch_lines(["*look 1, by the ledger*"])
    copy = pytester.mkdir("copy")
    (copy / "pytest.ini").write_text("[pytest]\n")
    (copy / "test_ab.py").write_text(BODY)
    monkeypatch.setenv("BUGSLE_INNER", "1")
    monkeypatch.setenv("BUGSLE_OUTER", str(pytester.path))
    monkeypatch.chdir(copy)
    for units, number in (("2000", 1), ("3000", 2), ("3500", 2)):
        monkeypatch.setenv("N", units)
        made = pytester.runpytest_subprocess("-p", "no:randomly", "-k", "0", "--rootdir", str(copy))
        made.stdout.fnmatch_lines([f"*look {number}, by the ledger*"])
    assert look_numbers(pytester.path) == [("sales", 1)] and not (copy / ".bugsle").exists()


def test_the_store_of_the_settings_keeps_the_looks(pytester: pytest.Pytester, server: Server) -> None:
    """As it keeps the attempts."""
    url = server.new_database()
    run(pytester, BODY, "-k", "0", "--bugsle-store", url)
    with open_history(url) as history:
        assert len(history.entries("look")) == 1


def test_looks_are_kept_from_the_repositorys_top(pytester: pytest.Pytester) -> None:
    """Wherever pytest was started."""
    (pytester.path / ".git").mkdir()
    below = pytester.mkdir("below")
    (below / "pytest.ini").write_text("[pytest]\n")
    (below / "test_ab.py").write_text(BODY)
    pytester.runpytest_subprocess("-p", "no:randomly", "-k", "0", "--rootdir", str(below), str(below))
    assert look_numbers(pytester.path) == [("sales", 1)] and not (below / ".bugsle").exists()
