"""`bugsle flaky replay`: tests in exactly this order, in one clean process."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import Repo, bugsle

SUITE = """
    import os, random

    SEEN = []

    def test_first():
        SEEN.append(1)

    def test_second():
        assert not SEEN, "somebody was here"

    def test_dice():
        assert random.random() < 0.5

    def test_hash():
        assert hash("a") % 2

    def test_writes():
        open("left.txt", "w").close()
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A suite in which one test needs that another did not run."""
    return Repo(tmp_path_factory.mktemp("replay") / "project", start={"tests/test_a.py": SUITE})


A = "tests/test_a.py::"


def test_the_order_is_that_of_the_arguments_and_the_last_test_decides(repo: Repo) -> None:
    """Each outcome is said; the exit code is the last one's."""
    said = bugsle(repo, "flaky", "replay", f"{A}test_first", f"{A}test_second")
    assert said.code == 1
    assert said.out.splitlines()[:2] == [f"passed   {A}test_first", f"failed   {A}test_second"]
    assert "somebody was here" in said.out
    assert bugsle(repo, "flaky", "replay", f"{A}test_second", f"{A}test_first").code == 0
    assert not (repo.top / "left.txt").exists()


def test_a_test_can_run_twice_in_one_process(repo: Repo) -> None:
    """An id may come twice."""
    said = bugsle(repo, "flaky", "replay", f"{A}test_first", f"{A}test_first", f"{A}test_second", "-q")
    assert said.code == 1 and said.out.count("passed") == 0 and said.out.count("failed") == 1


def test_an_order_comes_from_a_file(repo: Repo, tmp_path: Path) -> None:
    """One id a line."""
    order = tmp_path / "order.txt"
    order.write_text(f"{A}test_first\n{A}test_second\n")
    assert bugsle(repo, "flaky", "replay", "--order", str(order)).code == 1


@pytest.mark.slow
def test_a_world_turns_what_depends_on_it(repo: Repo) -> None:
    """The same seed gives the same outcome, in each process anew."""
    codes = {
        seed: bugsle(repo, "flaky", "replay", "--world", f"rng={seed}", f"{A}test_dice").code
        for seed in range(4)
    }
    assert set(codes.values()) == {0, 1}
    again = next(iter(codes))
    assert bugsle(repo, "flaky", "replay", "--world", f"rng={again}", f"{A}test_dice").code == codes[again]
    hashes = {
        bugsle(repo, "flaky", "replay", "--world", f"hashseed={s}", f"{A}test_hash").code for s in range(5)
    }
    assert hashes == {0, 1}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "there is no test to run"),
        ((f"{A}test_frist",), f"did you mean {A}test_first?"),
        (("--world", "rgn=1", f"{A}test_first"), "did you mean rng=…?"),
        (("--world", "rng", f"{A}test_first"), "it is KEY=VALUE"),
        (("--order", "nowhere.txt"), "nowhere.txt cannot be read"),
        (("--report", "json", f"{A}test_first"), "a replay writes no report"),
    ],
)
def test_what_cannot_be_replayed_is_said_with_what_to_type(
    repo: Repo, args: tuple[str, ...], words: str
) -> None:
    """Wrong usage is exit code 2."""
    said = bugsle(repo, "flaky", "replay", *args)
    assert said.code == 2
    assert words in said.all
