"""Write a repository of our own, such as the demo's; never the user's.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from pytest_bugsle.git.command import environment, executable, failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_AUTHOR = "pytest-bugsle demo"
_EMAIL = "demo@example.invalid"


class Scribe:
    """Commits to a repository that it made itself, whatever the user's git configuration says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def create(cls, folder: Path, *, branch: str) -> Scribe:
        """Make an empty repository in an existing folder, on `branch`."""
        scribe = cls(folder)
        scribe._run("init", "--quiet", "--template=")
        scribe._run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        return scribe

    def branch(self, name: str) -> None:
        """Start a branch at HEAD and go there."""
        self._run("checkout", "--quiet", "-b", name)

    def commit(self, message: str, *, when: int) -> None:
        """Commit all files as of `when`, in seconds since 1970 (UTC)."""
        self._run("add", "--all")
        date = f"@{when} +0000"
        self._run(
            "commit",
            "--quiet",
            "--message",
            message,
            env={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        )

    def _run(self, *args: str, env: Mapping[str, str] | None = None) -> None:
        identity = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": _AUTHOR,
            "GIT_AUTHOR_EMAIL": _EMAIL,
            "GIT_COMMITTER_NAME": _AUTHOR,
            "GIT_COMMITTER_EMAIL": _EMAIL,
        }
        done = subprocess.run(
            [executable(), "-C", str(self._folder), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**environment(os.environ), **identity, **(env or {})},
            check=False,
        )
        if done.returncode:
            raise failure(args, done.returncode, done.stderr)
