"""`bugsle demo`: the story that named the project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from repositories import clean_environment


def test_the_story_ends_with_two_bugs_that_nothing_holds(tmp_path: Path) -> None:
    """It is played in a repository that is kept where asked, and its gate fails as it should."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_bugsle", "demo", "--keep", str(tmp_path / "story")],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3 fixes judged" in done.stdout and "1 proven" in done.stdout
    assert "BUG101" in done.stdout and "BUG102" in done.stdout
    assert (tmp_path / "story/tickers/purge.py").exists()
    again = subprocess.run(
        [sys.executable, "-m", "pytest_bugsle", "demo", "--keep", str(tmp_path / "story")],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 2
    assert "not an empty folder" in again.stderr
