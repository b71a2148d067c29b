"""Make real git repositories for tests."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pytest_bugsle.git.repository import Repository

_START = 1_700_000_000


class Sandbox:
    """A repository of a test's own, written by plain git with a fixed identity and clock."""

    def __init__(self, top: Path, *init: str) -> None:
        self.top = top
        self.clock = _START
        top.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *init)

    def git(self, *args: str, input: bytes | None = None, at: Path | None = None, **env: str) -> str:
        """Run git; what it prints comes back without the last newline."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        date = f"{self.clock} +0000"
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *args],
            cwd=at or self.top,
            input=input,
            capture_output=True,
            env={
                **clean,
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_AUTHOR_NAME": "Ada",
                "GIT_AUTHOR_EMAIL": "ada@example.org",
                "GIT_COMMITTER_NAME": "Ada",
                "GIT_COMMITTER_EMAIL": "ada@example.org",
                "GIT_AUTHOR_DATE": date,
                "GIT_COMMITTER_DATE": date,
                **env,
            },
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"git {args}: {os.fsdecode(done.stderr)}")
        return os.fsdecode(done.stdout.removesuffix(b"\n"))

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; None deletes one."""
        for name, content in files.items():
            path = self.top / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(
        self, files: Mapping[str, str | bytes | None] | None = None, message: str | bytes = "change"
    ) -> str:
        """Write files, add everything, commit, and give the sha."""
        self.clock += 60
        self.write(files or {})
        self.git("add", "-A")
        raw = message.encode() if isinstance(message, str) else message
        self.git(
            "commit",
            "-q",
            "--allow-empty",
            "--allow-empty-message",
            "--cleanup=verbatim",
            "-F",
            "-",
            input=raw,
        )
        return self.git("rev-parse", "HEAD")

    def open(self) -> Repository:
        """Open it as the package does."""
        return Repository.open(self.top)


def fingerprint(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Say all that a write below a folder would change: content, modes and times, of folders too."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        facts = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        found[os.fspath(path.relative_to(folder))] = (facts.st_mode, facts.st_mtime_ns, content)
    return found


class Onlooker:
    """A `git` that first looks for names in a temporary folder: what is there while git runs, a kill would leave."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._seen = folder / "seen"
        self.path = folder / "git"
        self.path.write_text(
            f'#!/bin/sh\necho call >>"{self._seen}"\nls -A "{self.temporary}" >>"{self._seen}"\nexec git "$@"\n'
        )
        self.path.chmod(0o755)

    @property
    def seen(self) -> list[str]:
        """Return the word `call` for each call, each followed by the names that were there."""
        return self._seen.read_text().split() if self._seen.exists() else []
