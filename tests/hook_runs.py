"""Run the hooks as git would: on what is staged, with the variables that git gives them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click
from repositories import Repo, Said, _surroundings, clean_environment

from pytest_bugsle.hooks import entries


def hook(
    command: click.Command, repo: Repo | Path, *args: str, given: bytes | None = None, **environ: str
) -> Said:
    """Run one hook in this process; `given` is its standard input, which else is empty."""
    top = repo.top if isinstance(repo, Repo) else repo
    before = sys.stdin
    with _surroundings(clean_environment(top.parent, **environ), top) as (out, err):
        sys.stdin = io.TextIOWrapper(io.BytesIO(given or b""))
        try:
            code = entries.started(command, args)
        finally:
            sys.stdin = before
    return Said(code, out.getvalue().decode(), err.getvalue().decode())


def commit_msg(repo: Repo, message: str | bytes, **environ: str) -> Said:
    """Run the commit-msg hook on a message and what is staged."""
    file = repo.top.parent / "MESSAGE"
    file.write_bytes(message.encode() if isinstance(message, str) else message)
    return hook(entries._commit_msg, repo, str(file), **environ)


def console_scripts(folder: Path) -> Path:
    """Write each hook as an executable of this interpreter, and give their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("check", "commit_msg", "complexity", "dora", "prove"):
        script = folder / f"bugsle-{name.replace('_', '-')}"
        script.write_text(
            f"#!{sys.executable}\nfrom pytest_bugsle.hooks.entries import {name}\n\n{name}()\n", "utf-8"
        )
        script.chmod(0o755)
    return folder
