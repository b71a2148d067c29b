"""Reach: which wanted lines each test executes."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import coverage
import pytest
from runner_trees import Trees, statuses

SOURCE = """\
LIMIT = 3
def check(x):
    if x > LIMIT:
        return "big"
    return "small"
"""
TESTS = """
    import pytest
    from pkg import core
    @pytest.fixture
    def made(): return core.check(9)
    def test_small(): assert core.check(1) == "small"
    def test_big(): assert core.check(5) == "small"
    def test_fixture(made): pass
    @pytest.mark.parametrize("n", ["a[0]"])
    def test_none(n): pass
"""


def laid_out(top: Path, name: str = "pkg") -> Trees:
    """Write a package and its tests."""
    trees = Trees(top)
    trees.write(
        {f"{name}/__init__.py": "", f"{name}/core.py": SOURCE, "tests/test_a.py": TESTS.replace("pkg", name)}
    )
    return trees


def test_lines_are_credited_to_the_test_that_reached_them(tmp_path: Path) -> None:
    """Only wanted lines, by test, setup included; import time stands apart."""
    trees = laid_out(tmp_path)
    wanted = {"pkg/core.py": (1, 2, 4, 5), "pkg/absent.py": (1,)}
    run = trees.run("tests/test_a.py", owned=("pkg",), changed=("pkg/core.py",), reach=wanted)
    assert run.reached == {
        "tests/test_a.py::test_small": {"pkg/core.py": (5,)},
        "tests/test_a.py::test_big": {"pkg/core.py": (4,)},
        "tests/test_a.py::test_fixture": {"pkg/core.py": (4,)},
    }
    assert run.reached_import == {"pkg/core.py": (1, 2)}
    assert run.reach_note == ""


def test_reach_is_measured_in_a_folder_with_pattern_characters(tmp_path: Path) -> None:
    """Brackets and stars of a folder's name are no pattern."""
    trees = laid_out(tmp_path / "a[b]*c")
    run = trees.run("tests/test_a.py", owned=("pkg",), reach={"pkg/core.py": (5,)})
    assert run.reached == {"tests/test_a.py::test_small": {"pkg/core.py": (5,)}}


def test_reach_is_measured_despite_the_suites_own_coverage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest-cov, a chosen core and a configuration of coverage do not disturb."""
    monkeypatch.setenv("COVERAGE_CORE", "sysmon")
    trees = laid_out(tmp_path)
    trees.write(
        {"pytest.ini": "[pytest]\naddopts = --cov --cov-branch\n", ".coveragerc": "[run]\nomit = *\n"}
    )
    run = trees.run("tests/test_a.py", inifile="pytest.ini", owned=("pkg",), reach={"pkg/core.py": (5,)})
    assert run.reached == {"tests/test_a.py::test_small": {"pkg/core.py": (5,)}}, run.output


def test_lines_of_a_run_that_was_cut_are_said_to_be_incomplete(tmp_path: Path) -> None:
    """A process that dies takes its figures along; the note says so and the rest has its own."""
    trees = laid_out(tmp_path)
    trees.write(
        {
            "tests/test_a.py": TESTS
            + "    def test_a_exit():\n        import os; os._exit(1)\n    def test_z(): core.check(1)\n"
        }
    )
    run = trees.run("tests/test_a.py", owned=("pkg",), reach={"pkg/core.py": (5,)})
    assert statuses(run)["test_a_exit"] == "died"
    assert run.reached == {"tests/test_a.py::test_z": {"pkg/core.py": (5,)}}
    assert "cut short" in run.reach_note


def test_coverage_under_test_is_not_measured_with(tmp_path: Path) -> None:
    """A tree that owns coverage gets a note and its outcomes."""
    trees = laid_out(tmp_path)
    run = trees.run("tests/test_a.py", owned=("pkg", "coverage"), reach={"pkg/core.py": (5,)})
    assert "coverage itself" in run.reach_note
    assert statuses(run)["test_small"] == "passed"


def test_another_tracer_is_left_alone(tmp_path: Path) -> None:
    """A debugger that is active from the start keeps reach from being measured."""
    trees = laid_out(tmp_path)
    folder = tmp_path / "start"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.settrace(lambda *_: None)\n")
    os.environ["PYTHONPATH"], previous = str(folder), os.environ.get("PYTHONPATH")
    try:
        run = trees.run("tests/test_a.py", owned=("pkg",), reach={"pkg/core.py": (5,)})
    finally:
        if previous is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = previous
    assert "another tracer" in run.reach_note
    assert run.reached == {}


def test_an_interpreter_without_coverage_uses_ours_or_says_what_to_install(tmp_path: Path) -> None:
    """The copy is imported from its own folder, and nothing else of that folder is seen."""
    trees = laid_out(tmp_path)
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    ours = Path(pytest.__file__).parent.parent
    for name in ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py.py"):
        (site / name).symlink_to(ours / name)
        for metadata in ours.glob(f"{name}-*.dist-info"):
            (site / metadata.name).symlink_to(metadata)
    python = str(tmp_path / "venv" / "bin" / "python")
    options = {"python": python, "owned": ("pkg",), "reach": {"pkg/core.py": (5,)}}
    bare = trees.run("tests/test_a.py", **options)
    assert f"coverage is not installed for this interpreter ({python})" in bare.reach_note
    assert statuses(bare)["test_small"] == "passed"
    folder = str(Path(coverage.__file__).parent.parent)
    run = trees.run("tests/test_a.py", coverage_dir=folder, **options)
    assert run.reached == {"tests/test_a.py::test_small": {"pkg/core.py": (5,)}}, run.reach_note
    assert sys.version_info >= (3, 11)
