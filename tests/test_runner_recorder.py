"""The recorder tells what each test did, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from runner_trees import Trees, by_name, only, statuses

from pytest_bugsle.runner.inner import Run

SOURCE = """
    def double(x):
        return x * 2

    def broken(x):
        return x.nothing

    def chained():
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise ValueError("second") from error

    class Thing:
        def go(self, a):
            return a
"""

TESTS = """
    import threading, unittest, warnings
    import pytest
    import pkg.core
    from pkg import core

    def test_passes(): assert core.double(1) == 2
    def test_asserts(): assert core.double(1) == 3
    def test_raises_inside(): core.broken(1)
    def test_attribute(): core.added()
    def test_class_attribute(): core.Thing.fresh
    def test_instance_attribute(): core.Thing().fresh
    def test_import_name():
        from pkg.core import added
    def test_import_module():
        import pkg.added
    def test_keyword(): core.double(1, factor=3)
    def test_positional(): core.double(1, 2)
    def test_missing_argument(): core.Thing().go()
    def test_name(): added_name
    def test_chained():
        try:
            core.broken(1)
        except AttributeError as error:
            raise RuntimeError("outer") from error
    def test_did_not_raise():
        with pytest.raises(ValueError):
            core.double(1)
    def test_bad_str():
        class Bad(Exception):
            def __str__(self): raise KeyError
        raise Bad
    def test_group():
        try:
            core.broken(1)
        except AttributeError as error:
            raise ExceptionGroup("many", [error])

    @pytest.mark.parametrize("text", ["a", "ü\\n", "::x[", ""])
    def test_parameters(text): assert text != "a"

    @pytest.mark.skip(reason="not here")
    def test_skipped(): pass
    @pytest.mark.xfail(reason="known")
    def test_xfailed(): assert 0
    @pytest.mark.xfail(run=False)
    def test_not_run(): assert 0
    @pytest.mark.xfail
    def test_xpassed(): pass
    @pytest.mark.xfail(strict=True, reason="gone")
    def test_strict(): pass

    @pytest.fixture
    def bad_setup(): core.broken(1)
    @pytest.fixture
    def bad_teardown():
        yield
        raise OSError("after")
    def test_setup_error(bad_setup): pass
    def test_teardown_error(bad_teardown): pass
    def test_both(bad_teardown): assert 0
    def test_no_fixture(unknown_fixture): pass

    @pytest.mark.filterwarnings("ignore")
    def test_thread():
        thread = threading.Thread(target=core.broken, args=(1,)); thread.start(); thread.join()

    class TestUnit(unittest.TestCase):
        def test_unit_passes(self): self.assertEqual(core.double(1), 2)
        def test_unit_fails(self): self.assertEqual(core.double(1), 3)
        def test_subtests(self):
            for n in range(3):
                with self.subTest(n=n):
                    self.assertEqual(n % 2, 0)

    def test_sub_fixture(subtests):
        with subtests.test(msg="one"): assert core.double(1) == 2
        with subtests.test(msg="two"): assert core.double(1) == 5
    def test_sub_passes(subtests):
        with subtests.test(msg="one"): assert 1

    attempts = []
    @pytest.mark.flaky(reruns=2)
    def test_rerun():
        attempts.append(1)
        assert len(attempts) == 2

    @pytest.mark.timeout(0.2)
    def test_pytest_timeout():
        import time
        time.sleep(5)
"""

FAILED = (
    "test_asserts", "test_raises_inside", "test_attribute", "test_class_attribute", "test_instance_attribute",
    "test_import_name", "test_import_module", "test_keyword", "test_positional", "test_missing_argument",
    "test_name", "test_chained", "test_did_not_raise", "test_bad_str", "test_group", "test_parameters[a]",
    "test_strict", "test_both", "test_unit_fails", "test_subtests", "test_sub_fixture",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one file with a test of every kind."""
    trees = Trees(tmp_path_factory.mktemp("kinds"))
    trees.write({"pkg/__init__.py": "", "pkg/core.py": SOURCE, "tests/test_kinds.py": TESTS})
    return trees.run("tests/test_kinds.py", owned=("pkg",), changed=("pkg/core.py",))


def test_each_kind_of_test_has_its_status(run: Run) -> None:
    """Every phase, marker, subtest and rerun ends in the status that it means."""
    found = statuses(run)
    assert found == {
        "test_passes": "passed",
        **dict.fromkeys(FAILED, "failed"),
        "test_parameters[\\xfc\\n]": "passed",
        "x[]": "passed",
        "test_parameters[]": "passed",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_not_run": "xfailed",
        "test_xpassed": "xpassed",
        "test_setup_error": "error",
        "test_teardown_error": "error",
        "test_no_fixture": "error",
        "test_thread": "passed",
        "test_unit_passes": "passed",
        "test_sub_passes": "passed",
        "test_rerun": "passed",
        "test_pytest_timeout": "timeout",
    }
    assert run.wrong_tree == ()
    assert (run.ended, run.exit_code, run.problem) == ("finished", 1, "")


def test_errors_name_what_is_missing_and_who_should_have_it(run: Run) -> None:
    """An existence error carries the name and the file that lacks it."""
    found = by_name(run)

    def missing(name: str) -> tuple[str, str | None, str | None, bool, bool]:
        error = found[name].error
        assert error is not None
        return error.type, error.name, error.owner, error.in_changed, error.in_test

    core = "pkg/core.py"
    assert missing("test_attribute") == ("AttributeError", "added", core, False, True)
    assert missing("test_class_attribute") == ("AttributeError", "fresh", core, False, True)
    assert missing("test_instance_attribute") == ("AttributeError", "fresh", core, False, True)
    assert missing("test_import_name") == ("ImportError", "added", core, False, True)
    assert missing("test_import_module") == (
        "ModuleNotFoundError",
        "pkg.added",
        "pkg/__init__.py",
        False,
        True,
    )
    assert missing("test_keyword") == ("TypeError", "factor", core, False, True)
    assert missing("test_positional") == ("TypeError", "double", core, False, True)
    assert missing("test_missing_argument") == ("TypeError", "a", core, False, True)
    assert missing("test_name") == ("NameError", "added_name", "tests/test_kinds.py", False, True)
    assert missing("test_raises_inside") == ("AttributeError", "nothing", None, True, False)


def test_errors_say_where_they_were_raised(run: Run) -> None:
    """Frames, the changed file, groups and causes are told apart."""
    found = by_name(run)
    inside = found["test_raises_inside"].error
    assert inside is not None
    assert [(frame.path, frame.function) for frame in inside.frames] == [
        ("tests/test_kinds.py", "test_raises_inside"),
        ("pkg/core.py", "broken"),
    ]
    chained, group = found["test_chained"].error, found["test_group"].error
    assert chained is not None and group is not None
    assert (chained.type, chained.in_changed, chained.chained_in_changed) == ("RuntimeError", False, True)
    assert (group.type, group.in_changed) == ("ExceptionGroup", True)
    asserted, raised = found["test_asserts"].error, found["test_did_not_raise"].error
    assert asserted is not None and raised is not None
    assert asserted.message == "assert 2 == 3" and "AssertionError" in asserted.mro
    assert (raised.type, raised.message) == (
        "Failed",
        "DID NOT RAISE ValueError",
    ) or "DID NOT RAISE" in raised.message
    bad = found["test_bad_str"].error
    assert bad is not None and bad.message == "<KeyError in __str__>"


def test_phases_and_reasons_are_kept(run: Run) -> None:
    """Setup and teardown errors, strict xpasses and skips say so."""
    found = by_name(run)
    assert found["test_setup_error"].phase == "setup"
    setup = found["test_setup_error"].error
    assert setup is not None and setup.in_changed
    assert found["test_teardown_error"].phase == "teardown"
    assert found["test_both"].phase == "call"
    strict = found["test_strict"].error
    assert strict is not None and strict.type == "XPASS(strict)"
    assert found["test_skipped"].reason == "Skipped: not here"
    assert found["test_xfailed"].reason == "known"
    subtest = found["test_sub_fixture"].error
    assert subtest is not None and subtest.message == "assert 2 == 5"


def test_outcomes_know_their_place(run: Run) -> None:
    """Path, qualified name without parameters, and line come with each outcome."""
    found = by_name(run)
    assert (found["test_unit_fails"].path, found["test_unit_fails"].name) == (
        "tests/test_kinds.py",
        "TestUnit.test_unit_fails",
    )
    assert {found[name].name for name in found if name.startswith("test_parameters")} == {"test_parameters"}
    assert found["test_passes"].line == 7


def test_only_the_selected_functions_run(tmp_path: Path) -> None:
    """Names select by class and function, with all parameters, also when inherited or decorated."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "tests/test_a.py": """
                import functools, pytest
                class Base:
                    def test_inherited(self): pass
                    def test_other(self): pass
                class TestOne(Base):
                    def test_own(self): pass
                class TestTwo(Base): pass
                def wrapped(f):
                    @functools.wraps(f)
                    def inner(*a): return f(*a)
                    return inner
                class TestDeep:
                    class TestIn:
                        @pytest.mark.parametrize("n", [1, 2])
                        def test_deep(self, n): pass
                        def test_left_out(self): pass
                class TestWrapped(Base):
                    @wrapped
                    def test_wrapped(self): pass
                def test_plain(): pass
            """,
            "tests/test_b.py": "def test_plain(): pass\ndef test_rest(): pass\n",
        }
    )
    run = trees.run(
        only(
            "tests/test_a.py", "Base.test_inherited", "TestDeep.TestIn.test_deep", "TestWrapped.test_wrapped"
        ),
        only("tests/test_b.py", "test_rest", "test_unknown"),
        only("tests/test_gone.py", "test_x"),
    )
    assert {id_: outcome.status for id_, outcome in run.outcomes.items()} == {
        "tests/test_a.py::TestOne::test_inherited": "passed",
        "tests/test_a.py::TestTwo::test_inherited": "passed",
        "tests/test_a.py::TestDeep::TestIn::test_deep[1]": "passed",
        "tests/test_a.py::TestDeep::TestIn::test_deep[2]": "passed",
        "tests/test_a.py::TestWrapped::test_wrapped": "passed",
        "tests/test_a.py::TestWrapped::test_inherited": "passed",
        "tests/test_b.py::test_rest": "passed",
        "tests/test_b.py::test_unknown": "missing",
        "tests/test_gone.py::test_x": "missing",
    }


def test_doctests_and_other_items_run_by_file(tmp_path: Path) -> None:
    """Doctests of a source file and items of a collecting conftest are run when the file is selected."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "pytest.ini": "[pytest]\naddopts = --doctest-modules\n",
            "pkg/__init__.py": "",
            "pkg/core.py": '''
                def f():
                    """
                    >>> f()
                    2
                    """
                    return 1
                def g():
                    """
                    >>> g()
                    """
                    return {}["x"]
            ''',
            "tests/conftest.py": """
                import pytest
                class Item(pytest.Item):
                    def runtest(self): assert self.name == "good"
                class File(pytest.File):
                    def collect(self):
                        for line in self.path.read_text().split():
                            yield Item.from_parent(self, name=line)
                def pytest_collect_file(parent, file_path):
                    if file_path.suffix == ".words": return File.from_parent(parent, path=file_path)
            """,
            "tests/list.words": "good bad",
        }
    )
    run = trees.run(
        "pkg/core.py", "tests/list.words", owned=("pkg",), changed=("pkg/core.py",), inifile="pytest.ini"
    )
    assert statuses(run) == {
        "pkg.core.f": "failed",
        "pkg.core.g": "failed",
        "good": "passed",
        "bad": "failed",
    }
    found = by_name(run)
    doctest, key = found["pkg.core.f"].error, found["pkg.core.g"].error
    assert doctest is not None and (doctest.type, doctest.in_test) == ("DocTestFailure", True)
    assert key is not None and (key.type, key.in_changed) == ("KeyError", True)


def test_collection_errors_name_the_real_cause(tmp_path: Path) -> None:
    """An import error at the top of a test file, a syntax error and a nested conftest's are told by file."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "pkg/__init__.py": "",
            "pkg/core.py": "def go():\n    return {}['x']\n",
            "tests/test_name.py": "from pkg.core import added\ndef test_old(): pass\n",
            "tests/test_module.py": "import pkg.added\n",
            "tests/test_inside.py": "import pkg.core\npkg.core.go()\n",
            "tests/test_syntax.py": "def test(:\n",
            "tests/sub/conftest.py": "import pkg.core\npkg.core.nothing\n",
            "tests/sub/test_sub.py": "def test_sub(): pass\n",
            "tests/test_good.py": "def test_good(): pass\n",
        }
    )
    names = ("name", "module", "inside", "syntax", "good")
    run = trees.run(*(f"tests/test_{name}.py" for name in names), owned=("pkg",), changed=("pkg/core.py",))
    found = {path: (error.type, error.name, error.owner) for path, error in run.collect_errors.items()}
    assert found == {
        "tests/test_name.py": ("ImportError", "added", "pkg/core.py"),
        "tests/test_module.py": ("ModuleNotFoundError", "pkg.added", "pkg/__init__.py"),
        "tests/test_inside.py": ("KeyError", None, None),
        "tests/test_syntax.py": ("SyntaxError", None, None),
    }
    assert run.collect_errors["tests/test_name.py"].in_test
    assert run.collect_errors["tests/test_inside.py"].in_changed
    assert run.wrong_tree == ()
    conftest = trees.run("tests/sub/test_sub.py", owned=("pkg",), changed=("pkg/core.py",))
    assert {path: error.name for path, error in conftest.collect_errors.items()} == {
        "tests/sub/conftest.py": "nothing"
    }
    assert conftest.exit_code == 4 and "nothing" in conftest.problem


def test_a_collection_error_does_not_keep_the_rest_from_running(tmp_path: Path) -> None:
    """One file that cannot be imported leaves the tests of another their outcomes."""
    trees = Trees(tmp_path)
    trees.write({"test_bad.py": "import nothing_like_it\n", "test_good.py": "def test_good(): pass\n"})
    run = trees.run("test_bad.py", "test_good.py")
    assert statuses(run) == {"test_good": "passed"}
    assert list(run.collect_errors) == ["test_bad.py"]


def test_an_internal_error_is_a_problem_not_a_pass(tmp_path: Path) -> None:
    """A plugin of the suite that breaks pytest itself is told with its message."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "conftest.py": "def pytest_collection_finish(session): raise RuntimeError('plugin broke')\n",
            "test_a.py": "def test_a(): pass\n",
        }
    )
    run = trees.run("test_a.py")
    assert run.problem == "RuntimeError: plugin broke"
    assert statuses(run) == {"test_a": "missing"}
    assert "INTERNALERROR" in run.output


def test_the_suites_own_options_are_kept_and_those_of_a_proof_neutral(tmp_path: Path) -> None:
    """Workers, coverage, -x, -k, -m, reordering, reruns, reports and required plugins do not disturb."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "pyproject.toml": """
                [tool.pytest.ini_options]
                addopts = ["-n2", "--dist=loadfile", "--cov=pkg", "--cov-fail-under=100", "-x", "-k", "nothing",
                  "-m", "slow", "--lf", "--sw", "--reruns=3", "--strict-config", "--strict-markers", "-W", "error",
                  "--import-mode=importlib", "--junitxml=out.xml", "--basetemp=here", "--durations=3", "--own=7",
                  "--collect-only", "--setup-plan"]
                required_plugins = ["pytest-xdist", "pytest-cov"]
                markers = ["slow"]
                xfail_strict = true
            """,
            "conftest.py": """
                def pytest_addoption(parser): parser.addoption("--own", default="0")
                def pytest_xdist_auto_num_workers(): return 3
            """,
            "pkg/__init__.py": "def f(): return 1\n",
            "tests/test_a.py": """
                import os
                import pkg
                seen = []
                def test_first(pytestconfig, worker_id, cache, cov):
                    seen.append(1)
                    assert pytestconfig.getoption("own") == "7"
                    assert worker_id == "master"
                    assert pytestconfig.getini("xfail_strict") is True
                def test_second(): seen.append(2); assert 0
                def test_third(): seen.append(3); assert seen == [1, 2, 3]
                def test_fourth(): seen.append(4); assert seen == [1, 2, 3, 4]
                def test_fifth(): assert seen == [1, 2, 3, 4]
            """,
        }
    )
    run = trees.run("tests/test_a.py", inifile="pyproject.toml", owned=("pkg",), changed=("pkg/__init__.py",))
    assert statuses(run) == {
        "test_first": "passed",
        "test_second": "failed",
        "test_third": "passed",
        "test_fourth": "passed",
        "test_fifth": "passed",
    }, run.output
    assert sorted(path.name for path in trees.tree.iterdir()) == [
        "conftest.py",
        "pkg",
        "pyproject.toml",
        "tests",
    ]


@pytest.mark.parametrize(
    "options", ["-p no:cacheprovider --strict-config", "-p no:xdist -p no:cov -p no:randomly"]
)
def test_a_suite_without_some_plugins_still_runs(tmp_path: Path, options: str) -> None:
    """Options are neutralised only where their plugin is there."""
    trees = Trees(tmp_path)
    trees.write({"pytest.ini": f"[pytest]\naddopts = {options}\n", "test_a.py": "def test_a(): pass\n"})
    run = trees.run("test_a.py", inifile="pytest.ini")
    assert statuses(run) == {"test_a": "passed"}, run.output


def test_files_with_hostile_names_run(tmp_path: Path) -> None:
    """A name that pytest would read as a node id, an option or a response file is still just a name."""
    trees = Trees(tmp_path)
    names = ["-x.py", "@a.py", "test_[1].py", "a b.py", "ü.py", "x::y.py", "d[1]/test_d.py"]
    trees.write(
        {f"tests/{name}": "def test_it(): pass\n" for name in names}
        | {
            "tests/test_other.py": "def test_other(): assert 0\n",
            "tests/sub/test_more.py": "import nothing_there\n",
        }
    )
    run = trees.run(
        *(f"tests/{name}" for name in names), args=("--import-mode=importlib", "-o", "python_files=*.py")
    )
    assert {outcome.path: outcome.status for outcome in run.outcomes.values()} == {
        f"tests/{name}": "passed" for name in names
    }, run.output
    assert not run.collect_errors
