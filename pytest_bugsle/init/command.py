"""`bugsle init`: settings, hooks and workflow for a project, shown before they are written.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.init import proposals, templates
from pytest_bugsle.init.project import read_project, read_toml
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.runner.configuration import read_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_bugsle.init.proposals import Proposal

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option(
    "--git-hooks",
    is_flag=True,
    help="Add plain git hooks instead of an entry for pre-commit; overwrites none.",
)
@click.option(
    "--repo",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository (default: here).",
)
def init(repo: Path, *, yes: bool, git_hooks: bool) -> int:
    """Write settings, hooks and workflow for this project; the diff is shown first.

    What is there already is left alone: a table [tool.bugsle], an entry for pre-commit, a workflow, a hook.
    """
    with Repository.open(repo) as repository:
        if repository.is_bare:
            raise UsageError(
                "a bare repository has no files to write.",
                hint="run it in a work tree: git clone, then `bugsle init` there",
            )
        found = list(_proposed(repository, git_hooks=git_hooks))
        top = repository.top
    for proposal in found:
        for line in proposal.diff():
            click.secho(for_terminal(line), fg=_COLOURS.get(line[:1]))
    for proposal in found:
        if proposal.note:
            first, *rest = proposal.note.split("\n")
            click.echo(
                for_terminal(
                    f"{proposal.path} {first}" if proposal.after is None else f"{proposal.path}: {first}"
                )
            )
            for line in rest:
                click.echo(for_terminal(line))
    due = [proposal for proposal in found if proposal.after is not None]
    if not due:
        click.echo("nothing to write")
        return int(ExitCode.PASS)
    if not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo("nothing was written; `bugsle init --yes` writes what is shown")
            return int(ExitCode.PASS)
        if not click.confirm(f"Write {'this file' if len(due) == 1 else f'these {len(due)} files'}?"):
            return int(ExitCode.PASS)
    for proposal in due:
        _write(top, proposal)
        click.echo(for_terminal(f"wrote {proposal.path}"))
    if any(proposal.path == ".pre-commit-config.yaml" for proposal in due):
        click.echo(f"next: pre-commit install   (installs {', '.join(templates.HOOK_TYPES)})")
    return int(ExitCode.PASS)


def _proposed(repo: Repository, *, git_hooks: bool) -> Iterator[Proposal]:
    top = repo.top
    text = proposals.content(top, "pyproject.toml")
    pyproject = read_toml(text, "pyproject.toml") if text is not None else {}
    project = read_project(repo, read_configuration(top.resolve(), top.resolve()), pyproject)
    yield proposals.settings(top, project)
    if git_hooks:
        folder = _hooks_folder(repo)
        yield from proposals.git_hooks(
            top, folder, {name: _place(name) for name in templates.GIT_HOOKS.values()}
        )
    else:
        yield proposals.pre_commit(top)
    yield proposals.workflow(top, project)


def _hooks_folder(repo: Repository) -> Path:
    """Return where git looks for this repository's hooks; UsageError where all repositories share them.

    Our own calls of git switch hooks off by `core.hooksPath`, so only what files say counts.
    """
    out = repo.run(
        "config", "-z", "--show-scope", "--type=path", "--get-all", "core.hooksPath", ok=(0, 1)
    ).decode("utf-8", "surrogateescape")
    fields = out.split("\0")
    told = [
        (scope, value) for scope, value in zip(fields[::2], fields[1::2], strict=False) if scope != "command"
    ]
    if not told:
        return repo.common_dir / "hooks"
    scope, value = told[-1]
    lines = "; ".join(f'{name} "$@"' for name in templates.GIT_HOOKS.values())
    if scope not in ("local", "worktree"):
        raise UsageError(
            f"core.hooksPath is {value} in git's {scope} configuration.",
            why="a hook written there would run in every repository of that user.",
            hint=f"add to the hooks there by hand: {lines}",
        )
    return Path(os.path.normpath(repo.top / value))


def _place(name: str) -> str:
    """Return where one of our hooks stands: beside this interpreter, else on PATH."""
    beside = shutil.which(name, path=os.path.dirname(sys.executable))
    return beside or shutil.which(name) or name


def _write(top: Path, proposal: Proposal) -> None:
    """Write a file whole or not at all; one that appeared in the meantime is not overwritten."""
    assert proposal.after is not None
    path = top / proposal.path
    mode = 0o755 if proposal.executable else 0o644
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if proposal.before is None:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(handle, "wb") as stream:
                stream.write(proposal.after)
            return
        if proposals.content(top, proposal.path) != proposal.before:
            raise UsageError(f"{proposal.path} has changed meanwhile.", hint="run `bugsle init` again.")
        mode = path.stat().st_mode & 0o7777
        handle, name = tempfile.mkstemp(prefix=".bugsle-", dir=path.parent)
        try:
            with open(handle, "wb") as stream:
                stream.write(proposal.after)
            os.chmod(name, mode)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise UsageError(
            f"{proposal.path} cannot be written: {error.strerror}",
            hint="mend that, then run `bugsle init` again.",
        ) from error
