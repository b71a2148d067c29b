"""The fixture `ab_gate` in real pytest runs: outcomes, messages, the JSON report, families, and what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from git_sandbox import Sandbox

SHIPS = "ab_gate.proportions(control=(500, 10_000), treatment=(700, 10_000), metric='sales', mde=0.2)"
SMALL = "ab_gate.proportions(control=(10, 50), treatment=(12, 50), metric='conversion', mde=0.25)"


def run(pytester: pytest.Pytester, body: str, *args: str) -> pytest.RunResult:
    """Run one file of tests in a process of its own."""
    pytester.makepyfile(test_ab=body)
    return pytester.runpytest_subprocess("-p", "no:randomly", *args)


def test_a_pass_passes_and_undecided_fails_with_the_analysis(pytester: pytest.Pytester) -> None:
    """No gate need be switched on for that."""
    made = run(pytester, f"def test_ships(ab_gate):\n    {SHIPS}\n\ndef test_small(ab_gate):\n    {SMALL}\n")
    made.assert_outcomes(passed=1, failed=1)
    made.stdout.fnmatch_lines(
        ["*A/B gate: conversion undecided*", "UNDECIDED conversion:*", "*1,094 per arm*"]
    )
    made.stdout.no_fnmatch_line("*Traceback*")


def test_all_calls_of_a_test_are_judged_and_reported_together(pytester: pytest.Pytester) -> None:
    """The first that does not pass does not end the test."""
    bad = "ab_gate.proportions(control=(5, 3), treatment=(1, 9), metric='broken')"
    made = run(
        pytester, f"def test_all(ab_gate):\n    {SMALL}\n    {bad}\n    {SHIPS}\n    print('to the end')\n"
    )
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(
        [
            "A/B gate: conversion undecided, broken invalid",
            "UNDECIDED conversion*",
            "INVALID broken*",
            "PASS sales*",
        ]
    )
    made.stdout.fnmatch_lines(["*to the end*"])


def test_a_failure_of_the_test_itself_is_shown_with_what_the_gate_says(pytester: pytest.Pytester) -> None:
    """Neither hides the other."""
    made = run(pytester, f"def test_both(ab_gate):\n    {SMALL}\n    assert 1 == 2\n")
    made.stdout.fnmatch_lines(["*assert 1 == 2*", "*A/B gate*", "UNDECIDED conversion*"])


def test_a_wrong_design_is_said_in_the_line_of_the_user(pytester: pytest.Pytester) -> None:
    """Without the frames of the gate."""
    made = run(
        pytester,
        "def test_x(ab_gate):\n    ab_gate.proportions((1, 9), (2, 9), min_lift=0, min_difference=1)\n",
    )
    made.stdout.fnmatch_lines(["*min_lift and min_difference are both given*", "test_ab.py:2: UsageError"])
    made.stdout.no_fnmatch_line("*__post_init__*")


def test_what_is_exploratory_fails_no_test(pytester: pytest.Pytester) -> None:
    """It is looked at, and decides nothing."""
    made = run(pytester, f"def test_x(ab_gate):\n    {SMALL[:-1]}, role='exploratory')\n")
    made.assert_outcomes(passed=1)


FAMILY = "def test_{0}(ab_gate):\n    ab_gate.proportions((500, 5000), ({1}, 5000), metric='m{0}', look='final')\n\n"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_decisions_of_a_session_are_one_family(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Each passes alone; together Holm lets none pass, and the session fails."""
    made = run(pytester, "".join(FAMILY.format(place, 562 + place) for place in range(3)), *workers)
    made.assert_outcomes(passed=3)
    assert made.ret == 1
    made.stdout.fnmatch_lines(["*A/B gates*", "*test_ab.py::test_0: UNDECIDED m0:*among the 3 decisions*"])
    alone = run(pytester, FAMILY.format(0, 562), *workers)
    assert alone.ret == 0


@pytest.mark.slow
def test_the_json_report_has_the_experiments(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the fields of the contract, and the findings and the verdict that follow."""
    monkeypatch.delenv("CI", raising=False)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=pytester.path, check=True)
    body = f"def test_small(ab_gate):\n    {SMALL}\n"
    run(pytester, body, "--bugsle", "--bugsle-report", "json:out.json")
    found = json.loads(Path(pytester.path / "out.json").read_text())
    (one,) = found["experiments"]
    assert one["metric"] == "conversion" and one["outcome"] == "undecided" and one["n_needed"] == 1094
    assert one["n"] == {"control": 50, "treatment": 50} and one["effect"] == pytest.approx(0.04)
    assert {"interval", "relative", "p_value", "checks", "look"} <= set(one)
    assert one["look"]["method"] == "spending" and one["test"] == "test_ab.py::test_small"
    assert "BUG311" in {finding["rule"] for finding in found["findings"]} and found["verdict"] != "pass"


def test_a_gate_that_is_expected_to_fail_decides_nothing(pytester: pytest.Pytester) -> None:
    """Its findings are told, and the run is not undecided for them."""
    Sandbox(pytester.path).commit()
    body = f"import pytest\n\n@pytest.mark.xfail(reason='too few units')\ndef test_small(ab_gate):\n    {SMALL}\n"
    run(pytester, body, "--bugsle", "--bugsle-report", "json:out.json")
    found = json.loads(Path(pytester.path / "out.json").read_text())
    (told,) = [each for each in found["findings"] if each["rule"] == "BUG311"]
    assert told["level"] == "info" and told["message"].endswith("(its test is expected to fail)")
    assert found["verdict"] == "pass" and len(found["experiments"]) == 1


def test_nothing_is_imported_until_the_fixture_is_used(pytester: pytest.Pytester) -> None:
    """And then only what counts need."""
    body = """
        import sys
        HEAVY = ("scipy", "numpy", "duckdb", "pyarrow", "pytest_bugsle.experiment")
        def test_before():
            assert not [name for name in HEAVY if name in sys.modules]
        def test_counts(ab_gate):
            ab_gate.proportions((500, 10_000), (700, 10_000))
            assert not [name for name in ("duckdb", "pyarrow", "scipy.stats") if name in sys.modules]
    """
    run(pytester, body, "-p", "no:hypothesispytest").assert_outcomes(passed=2)


def test_without_scipy_the_fixture_says_what_to_install(pytester: pytest.Pytester) -> None:
    """Of the extra, by its name."""
    pytester.makeconftest(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'scipy' else find(name, *more)\n"
    )
    made = run(pytester, f"def test_small(ab_gate):\n    {SMALL}\n")
    made.stdout.fnmatch_lines(['*pip install "pytest-bugsle?experiment?"*'])


def test_a_gate_that_was_asked_nothing_fails(pytester: pytest.Pytester) -> None:
    """A loop over no data is green for no reason; a test that skips, or fails, says why by itself."""
    made = run(
        pytester,
        "import pytest\n"
        "def test_idle(ab_gate):\n    for counts in []:\n        ab_gate.proportions(**counts)\n"
        "def test_skips(ab_gate):\n    pytest.skip('no data yet')\n"
        "def test_fails(ab_gate):\n    assert 0\n",
    )
    made.assert_outcomes(failed=2, skipped=1)
    made.stdout.fnmatch_lines(["ab_gate was asked nothing.", "  next: ab_gate.proportions(*"])
    assert made.stdout.str().count("\nab_gate was asked nothing.\n") == 1
    made.stdout.no_fnmatch_line("*During handling*")


def test_a_plan_is_judged_without_data(pytester: pytest.Pytester) -> None:
    """It fails where it has no power."""
    made = run(
        pytester,
        "def test_plan(ab_gate):\n    ab_gate.design(metric='sales', baseline=.2, mde=.25, n=1000)\n",
    )
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(["FAIL plan of sales:*1,094 per arm*"])


def test_letters_that_would_move_the_cursor_are_shown(pytester: pytest.Pytester) -> None:
    """A metric's name comes from a stranger's table."""
    made = run(
        pytester, "def test_x(ab_gate):\n    ab_gate.proportions((1, 9), (2, 9), metric='a\\x1b[2Kb')\n"
    )
    assert "UNDECIDED a" in made.stdout.str() and "\x1b[2Kb: " not in made.stdout.str()


def test_importing_the_plugin_imports_no_library_of_tables_or_statistics() -> None:
    """A session without A/B tests pays nothing for them; each module of the room can wait as well."""
    code = (
        "import sys, pytest_bugsle.plugin, pytest_bugsle.experiment.plugin, pytest_bugsle.experiment.command\n"
        "heavy = ('scipy', 'numpy', 'duckdb', 'pandas', 'pyarrow', 'polars', 'ibis')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
