"""The burn-in of new and changed tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import run_pytest
from trap_suites import PLACE, Trapped

BEFORE = "def total(xs):\n    return xs[0]\n"
AFTER = "def total(xs):\n    return sum(xs)\n"


def fixed(tmp_path: Path, test: str) -> Trapped:
    """Make a project whose last commit is a fix with this test."""
    trapped = Trapped(
        tmp_path / "project", {"other": "def test_other(): pass\n"}, start={"src/pkg/a.py": BEFORE}
    )
    trapped.repo.commit("fix: all is added up (#7)", {"src/pkg/a.py": AFTER, "tests/test_a.py": test})
    return trapped


SOLID = """
    from pkg.a import total

    def test_total():
        assert total([1, 2]) == 3
"""
FLICKERS = """
    from pkg.a import total
    from pkg.keeping import nth

    def test_total():
        assert total([1, 2]) == 3 and nth("total") != 9
"""


def test_a_solid_new_test_passes_sixty_times_and_is_a_guard(tmp_path: Path) -> None:
    """What that would miss is said; at the same version of the code it is not burnt in again."""
    trapped = fixed(tmp_path, SOLID)
    said = trapped.run("--bugsle-range=HEAD~1..HEAD")
    assert (said.code, said.status("fix:")) == (0, "proven")
    (note,) = [note for note in said.report["notes"] if note.startswith("burn-in: ")]
    assert note.startswith(
        "burn-in: 1 new or changed test, 0 of them vary; the others passed 60 times or more (60 "
    )
    again = trapped.run("--bugsle-range=HEAD~1..HEAD")
    assert again.report["notes"] == said.report["notes"]


def test_a_new_test_that_flickers_is_found_and_holds_no_fix(tmp_path: Path) -> None:
    """It passed in the session and would prove the fix: its ninth run shows that it is no guard."""
    said = fixed(tmp_path, FLICKERS).run("--bugsle-range=HEAD~1..HEAD")
    assert said.code == 1 and "2 passed" in said.out
    assert said.status("fix:") == "undecided"
    assert "tests/test_a.py::test_total is flaky" in said.fix("fix:")["why"]
    assert {"BUG201", "BUG104"} <= set(said.rules())
    (test,) = said.report["tests"]
    assert (test["id"], test["categories"]) == ("tests/test_a.py::test_total", ["non-deterministic"])
    assert test["failures"] == 1 and test["interval"][0] > 0


@pytest.mark.slow
def test_without_a_burn_in_nothing_is_run_again(tmp_path: Path) -> None:
    """`burn_in = 0` switches it off."""
    trapped = fixed(tmp_path, SOLID)
    said = run_pytest(
        trapped.repo, "--bugsle-range=HEAD~1..HEAD", **{PLACE: str(trapped.place), "BUGSLE_BURN_IN": "0"}
    )
    assert (said.code, said.status("fix:"), said.report["notes"]) == (0, "proven", [])


@pytest.mark.slow
def test_parametrised_tests_are_burnt_in_too(tmp_path: Path) -> None:
    """Each parameter is a test of its own; one that is skipped is none that could be trusted, or not."""
    source = """
        import pytest
        from pkg.a import total

        @pytest.mark.parametrize("xs", [[1, 2], [3]])
        def test_total(xs):
            assert total(xs) == 3

        def test_skipped():
            pytest.skip("there is nothing to total")
    """
    said = fixed(tmp_path, source).run("--bugsle-range=HEAD~1..HEAD")
    (note,) = [note for note in said.report["notes"] if note.startswith("burn-in: ")]
    assert note.startswith("burn-in: 2 new or changed tests, 0 of them vary; the others passed 60 times")
    assert "did not run again" not in note


@pytest.mark.slow
def test_new_tests_that_need_their_order_are_told(tmp_path: Path) -> None:
    """Fresh orders show what the order of the file hides."""
    source = """
        SEEN = []

        def test_first():
            SEEN.append(1)

        def test_second():
            assert SEEN
    """
    said = fixed(tmp_path, source).run("--bugsle-range=HEAD~1..HEAD")
    (test,) = said.report["tests"]
    assert test["categories"] == ["brittle"]
    assert test["setters"] == ["tests/test_a.py::test_first"]
    assert "BUG203" in said.rules()


@pytest.mark.slow
def test_many_new_tests_burn_in_those_that_a_proof_needs_and_say_what_was_left_out(tmp_path: Path) -> None:
    """There is time for a few runs of each, or for none: the guard is burnt in, the slow ones are counted."""
    slow = """
        import time
        import pytest

        @pytest.mark.parametrize("number", range(12))
        def test_slow(number):
            time.sleep(0.5)
    """
    trapped = Trapped(
        tmp_path / "project", {"other": "def test_other(): pass\n"}, start={"src/pkg/a.py": BEFORE}
    )
    trapped.repo.commit("test: slow ones", {"tests/test_slow.py": slow})
    trapped.repo.commit("fix: all is added up (#7)", {"src/pkg/a.py": AFTER, "tests/test_a.py": SOLID})
    said = trapped.run("--bugsle-range=HEAD~2..HEAD", "-p", "no:randomly")
    assert (said.code, said.status("fix:")) == (0, "proven")
    (note,) = [note for note in said.report["notes"] if note.startswith("burn-in: ")]
    assert note.startswith("burn-in: 13 new or changed tests, 0 of them vary; ")
    left = int(note.partition(" did not run again: `burn_in` is over")[0].rpartition(" ")[2])
    assert 6 <= left <= 12
    assert "passed" in note and not note.endswith("0 of them vary")
