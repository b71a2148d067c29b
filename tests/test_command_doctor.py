"""`bugsle doctor`: what the gate sees here."""

from __future__ import annotations

from pathlib import Path

from repositories import Repo, bugsle, guarded


def test_everything_that_decides_is_said(tmp_path: Path) -> None:
    """Range, units, interpreter, settings and pytest's configuration."""
    repo = guarded(tmp_path / "project")
    said = bugsle(repo, "doctor")
    assert said.code == 0
    assert f"{repo.start[:10]}..{repo.sha()[:10]} (merge base with main), 1 commit" in said.out
    assert "1 by commit" in said.out and f"fix   {repo.sha()[:7]} fix: a is wrong" in said.out
    assert ("pyproject.toml" in said.out and "pytest 9" in said.out) or "pytest 8" in said.out
    assert "budget = None" in said.out


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """A shallow clone is undecided, a folder without a repository wrong usage."""
    repo = guarded(tmp_path / "project")
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.top}", str(tmp_path / "clone"), at=tmp_path)
    said = bugsle(Repo.at(tmp_path / "clone"), "doctor")
    assert said.code == 3
    assert "shallow" in said.out and "git fetch --unshallow" in said.out
    (tmp_path / "plain").mkdir()
    assert bugsle(tmp_path / "plain", "doctor", GIT_CEILING_DIRECTORIES=str(tmp_path)).code == 2


def test_a_misspelled_setting_is_named(tmp_path: Path) -> None:
    """With the nearest known key, by each command alike."""
    repo = guarded(tmp_path / "project")
    repo.write({"bugsle.toml": "bugdet = 3\n"})
    for args in (("doctor",), ("check",), ("prove",)):
        said = bugsle(repo, *args)
        assert said.code == 2
        assert "did you mean 'budget'" in said.all
