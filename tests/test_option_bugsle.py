"""`--bugsle` and the setting `bugsle = true` turn the gate on; nothing else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from repositories import CONFIGURATION, Repo, guarded, run_pytest, unguarded


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A fix that no test holds."""
    return unguarded(tmp_path_factory.mktemp("option") / "project")


def test_installing_changes_nothing(repo: Repo) -> None:
    """Without the option there is no word of the gate, and no file."""
    shutil.rmtree(repo.top / ".bugsle", ignore_errors=True)  # of a test that ran before this one
    said = run_pytest(repo, on=False)
    assert said.code == 0
    assert "bugsle:" not in said.out and "= bugsle =" not in said.out
    assert not (repo.top / ".bugsle").exists()


def test_the_option_turns_the_gate_on(repo: Repo) -> None:
    """The header says so, the section names the fix, and the session fails."""
    said = run_pytest(repo, "--bugsle", on=False)
    assert said.code == 1
    assert "bugsle: on" in said.out
    assert "BUG102" in said.out and "FAILED" in said.out


def test_the_configuration_turns_the_gate_on(tmp_path: Path) -> None:
    """`bugsle = true` in pytest's own configuration does the same, and the inner pytest does not start over."""
    repo = guarded(tmp_path / "project", configuration=CONFIGURATION + "    bugsle = true\n")
    said = run_pytest(repo, on=False)
    assert said.code == 0
    assert "PROVEN" in said.out and "1 of 1 fix" in said.out


def test_the_marker_is_known_with_the_gate_off(tmp_path: Path) -> None:
    """`regression` works under --strict-markers, with bugs and bare."""
    repo = guarded(tmp_path / "project")
    test = "import pytest\n\n@pytest.mark.regression('#1')\ndef test_one():\n    pass\n\n@pytest.mark.regression\ndef test_two():\n    pass\n"
    repo.write({"tests/test_marked.py": test})
    assert run_pytest(repo, "--strict-markers", "--strict-config", "-W", "error", on=False).code == 0


def test_an_option_of_a_gate_that_is_off_is_warned_of(repo: Repo, tmp_path: Path) -> None:
    """Also under -q: nothing is written, and what to add is said; what `addopts` brings may wait there."""
    said = run_pytest(
        repo, "-q", f"--bugsle-report=json:{tmp_path / 'report'}", "--bugsle-range", "HEAD~1..HEAD", on=False
    )
    assert said.code == 0
    assert "--bugsle-range, --bugsle-report do nothing here: the gate is off" in said.out
    assert "Add --bugsle to this command" in said.out
    assert not (tmp_path / "report").exists()
    alone = run_pytest(repo, "--bugsle-strict", on=False)
    assert "--bugsle-strict does nothing here" in alone.out
    for args in (("-o", "addopts=--bugsle-strict"), ("--bugsle-aa=2",)):
        assert "nothing here" not in run_pytest(repo, *args, on=False).out
