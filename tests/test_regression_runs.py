"""How probes share processes: what one process can answer runs once, and nobody starves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_bugsle.regression.proof import Probe, Side
from pytest_bugsle.regression.runs import Ground, Runs
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from pytest_bugsle.git.pool import Pool


def probe(fix: str, side: Side, *tests: str, repeat: int = 0) -> Probe:
    """Return a probe for some tests of one file."""
    return Probe(fix, "tree", side, frozenset({Selector("tests/test_a.py", frozenset(tests))}), repeat)


def runs(*fixes: str) -> Runs:
    """Return the runner of these fixes: one after tree for all, a before tree each. Nothing is started."""

    def ground(tree: str) -> Ground:
        return Ground(tree, None, ("src/a.py",), ("src",), ("a",))

    return Runs(
        pool=cast("Pool", None),
        python="python",
        user_top=Path(),
        rootdir=".",
        inifile=None,
        grounds={
            (fix, "tree", side): ground("after" if side == "after" else f"without {fix}")
            for fix in fixes
            for side in ("before", "after")
        },
        timeout=1.0,
        deadline=0.0,
        args=(),
        copy=(),
        no_reach="",
        say=lambda text: None,
    )


def test_the_after_side_of_small_fixes_is_one_process() -> None:
    """The tree under test is the same for all; each fix has its own tree without it."""
    probes = [probe(fix, side, "test_x") for fix in ("one", "two") for side in ("after", "before")]
    groups = runs("one", "two")._groups(probes)
    assert sorted([p.fix for p in group] for group in groups) == [["one"], ["one", "two"], ["two"]]


def test_a_fix_with_many_tests_runs_alone_and_last() -> None:
    """Its hundred tests must not cost the others their answer."""
    many = [f"test_{number}" for number in range(100)]
    groups = runs("heavy", "light")._groups(
        [probe("heavy", "after", *many), probe("light", "after", "test_x")]
    )
    assert [[p.fix for p in group] for group in groups] == [["light"], ["heavy"]]


def test_another_repetition_is_another_process() -> None:
    """A second run in the same process would share what the first left behind."""
    groups = runs("one")._groups([probe("one", "after", "test_x"), probe("one", "after", "test_x", repeat=1)])
    assert len(groups) == 2


def test_without_time_nothing_is_started() -> None:
    """A probe that is not answered is not judged."""
    assert runs("one")([probe("one", "after", "test_x")]) == {}
    assert not runs("one").affordable()
