"""`--bugsle-report FORMAT[:PATH]` writes reports, as many as are asked for."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from repositories import Repo, run_pytest, unguarded


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A fix that no test holds."""
    return unguarded(tmp_path_factory.mktemp("option") / "project")


def test_every_format_is_written_in_one_run(repo: Repo, tmp_path: Path) -> None:
    """They all speak of the same finding."""
    formats = ("json", "sarif", "junit", "markdown")
    run_pytest(repo, *(f"--bugsle-report={form}:{tmp_path / form}" for form in formats))
    assert json.loads((tmp_path / "json").read_text())["findings"][0]["rule"] == "BUG102"
    assert json.loads((tmp_path / "sarif").read_text())["runs"][0]["results"][0]["ruleId"] == "BUG102"
    assert "BUG102" in ET.tostring(ET.fromstring((tmp_path / "junit").read_text()), encoding="unicode")
    assert "BUG102" in (tmp_path / "markdown").read_text()


def test_a_relative_path_is_meant_from_where_pytest_was_started(repo: Repo) -> None:
    """Not from the folder of the configuration."""
    run_pytest(repo, "--bugsle-report=json:own.json", cwd=repo.top / "tests")
    try:
        assert (repo.top / "tests/own.json").exists()
    finally:
        (repo.top / "tests/own.json").unlink()


def test_a_folder_that_does_not_exist_is_a_usage_error(repo: Repo) -> None:
    """It is said before any test runs, with what to type."""
    said = run_pytest(repo, "--bugsle-report=json:no/such/report.json")
    assert said.code == 4
    assert "mkdir -p" in said.err and "passed" not in said.out


@pytest.mark.parametrize("target", ["jsn", "jsn:x", ""])
def test_an_unknown_format_is_a_usage_error(repo: Repo, target: str) -> None:
    """The nearest one is named, before any test runs."""
    said = run_pytest(repo, f"--bugsle-report={target}")
    assert said.code == 4
    assert "json" in said.err


def test_a_report_that_cannot_be_written_costs_neither_the_others_nor_the_summary(
    repo: Repo, tmp_path: Path
) -> None:
    """The trouble is said, and the verdict stands."""
    gone = tmp_path / "gone"
    gone.mkdir()
    hook = "import os, shutil\n\ndef pytest_sessionstart():\n    shutil.rmtree(os.environ.get('GONE', 'none'), ignore_errors=True)\n"
    repo.write({"conftest.py": hook})
    said = run_pytest(repo, f"--bugsle-report=sarif:{gone / 'x'}", GONE=str(gone))
    assert said.code == 1
    assert said.report["verdict"] == "fail"
    assert "cannot be written" in said.out
    assert "1 passed" in said.out and "Traceback" not in said.all
