"""What is known of fixes beside their history: proofs of earlier runs, and guards that flicker."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import RIGHT, Repo, bugsle, guard, guarded

from pytest_bugsle import deliveries
from pytest_bugsle.code.editing.inverses import Inverse
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.record import ledger
from pytest_bugsle.report.verdicts import cause_rows
from pytest_bugsle.results import DeliveryCauses, FlakyGuard
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.place import state_folder
from pytest_bugsle.store.records import AttemptRecord, RunRecord

GUARD = "tests/test_a.py::test_a"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A held fix."""
    return guarded(tmp_path / "project")


def known(repo: Repo, commit: str) -> dict[str, str]:
    """Give what is known of a commit."""
    with Repository.open(repo.top) as opened:
        return dict(deliveries.known(opened, [commit]))


def test_a_proof_is_known_of_its_commit_from_then_on(repo: Repo) -> None:
    """Whoever proves a fix need not audit it."""
    fix = repo.git("rev-parse", "HEAD")
    assert known(repo, fix) == {}
    assert bugsle(repo, "prove", "HEAD").report["fixes"][0]["status"] == "proven"
    assert known(repo, fix) == {fix: "guarded"}


def test_a_fix_without_a_guard_is_for_an_audit_to_find(repo: Repo) -> None:
    """A proof looks at linked tests alone."""
    fix = repo.commit("fix: b\n\nFixes #8", {"src/pkg/b.py": RIGHT})
    assert bugsle(repo, "prove", "HEAD").report["fixes"][0]["status"] == "no-test"
    assert known(repo, fix) == {}


def test_what_is_not_committed_guards_nothing_for_good(repo: Repo) -> None:
    """The proof is of a tree that nobody else has."""
    fix = repo.commit("fix: b\n\nFixes #8", {"src/pkg/b.py": RIGHT})
    repo.write({"tests/test_b.py": guard("b", above='@pytest.mark.regression("#8")\n')})
    (found,) = bugsle(repo, "prove", fix).report["fixes"]
    assert found["status"] == "proven"
    assert known(repo, fix) == {}


def listed(repo: Repo, *tests: str) -> None:
    """Write a ledger with a guard of each test."""
    edit = ledger.PutBack("src/pkg/a.py", Inverse("block", "answer", "x = 1", "x = 2"))
    guards = {
        str(number) * 40: ledger.Guard(str(number) * 40, (), "fix", (test,), (edit,))
        for number, test in enumerate(tests, 1)
    }
    folder = state_folder(repo.top, bare=False)
    assert folder is not None
    ledger.write(ledger.place(repo.top), ledger.Ledger({}, guards))


def ran(repo: Repo, *outcomes: tuple[str, str, str]) -> None:
    """Keep runs of one test each: the tree, the test, how it ended."""
    folder = state_folder(repo.top, bare=False)
    assert folder is not None
    with open_history(folder / "history.db") as history:
        for number, (tree, test, outcome) in enumerate(outcomes):
            run = f"run{number}"
            history.begin(RunRecord(run_id=run, started=1_900_000_000.0 + number, tree=tree))
            history.add(run, [AttemptRecord(seq=1, test=test, attempt=1, outcome=outcome)])
            history.finish(run, collected=1, disaster=False)


def flaky(repo: Repo) -> list[FlakyGuard] | None:
    """Ask for the guards that flicker."""
    with Repository.open(repo.top) as opened:
        return deliveries.flaky_guards(opened, None)


def test_a_guard_with_both_outcomes_at_one_version_is_told(repo: Repo) -> None:
    """A broken version is no flicker, nor is a test that guards nothing."""
    assert flaky(repo) is None
    listed(repo, GUARD, "tests/test_a.py::test_other")
    assert flaky(repo) is None, "nothing is known without a history"
    ran(
        repo,
        ("x", f"{GUARD}[1]", "passed"),
        ("x", f"{GUARD}[1]", "failed"),
        ("y", f"{GUARD}[1]", "passed"),
        ("x", "tests/test_a.py::test_other", "failed"),
        ("y", "tests/test_a.py::test_other", "passed"),
        ("x", "tests/test_a.py::test_no_guard", "failed"),
        ("x", "tests/test_a.py::test_no_guard", "passed"),
    )
    assert flaky(repo) == [FlakyGuard(test=GUARD, fixes=["1" * 40], versions=1, broken=1, runs=3)]


@pytest.mark.parametrize(
    ("guards", "expected"),
    [
        (None, []),
        ([], ["none of the ledger's passed and failed at one version of the code"]),
        (
            [FlakyGuard(test="t.py::test_a", fixes=["1"], versions=1, broken=2, runs=9)],
            ["t.py::test_a: passed and failed at 1 version of the code, in 2 of 9 runs; it guards 1 fix"],
        ),
    ],
)
def test_the_report_says_which_guards_cannot_be_trusted(
    guards: list[FlakyGuard] | None, expected: list[str]
) -> None:
    """And nothing where nobody knows."""
    causes = DeliveryCauses(
        least=10,
        whole=None,
        folders=[],
        kinds=[],
        failing=[],
        fixes=0,
        fixes_with_test=0,
        share=None,
        interval=None,
        suite=[],
        flaky_guards=guards,
    )
    assert [text for _, text, _ in cause_rows(causes, str)] == expected
