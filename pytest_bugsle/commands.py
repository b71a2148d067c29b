"""What the sub-commands share: options, requests, progress, and how a result becomes output and exit code.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_bugsle.errors import BugsleError, ExitCode, ProgramError, UsageError
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.report import terminal, writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.settings import find_settings, make_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_bugsle import gate
    from pytest_bugsle.results import Result
    from pytest_bugsle.settings import Settings


Command = Callable[..., int]

base = click.option("--base", metavar="REF", help="Begin the range at the merge base with REF.")
strict = click.option("--strict", is_flag=True, default=None, help="Undecided fails.")
python = click.option(
    "--python", metavar="PATH", help="The interpreter that runs the tests; it needs pytest, not us."
)


_BADGE = "pytest_bugsle.badge"


def _remember_badge(context: click.Context, option: click.Parameter, value: Path | None) -> None:
    """Keep the folder for `targets_of`, so that no command has to hand it on."""
    context.meta[_BADGE] = value


def reporting(
    verbose: str = "Show every unit, test and reason.", quiet: str = "Show only what is wrong."
) -> Callable[[Command], Command]:
    """Add the options that every command with a report has: where to look, and what to show."""

    def add(command: Command) -> Command:
        for option in (
            click.option("-v", "--verbose", count=True, help=verbose),
            click.option("-q", "--quiet", is_flag=True, help=quiet),
            click.option(
                "--report",
                "reports",
                metavar="FORMAT[:PATH]",
                multiple=True,
                help="Write a report: json, sarif, junit, markdown, github or html (repeatable).",
            ),
            click.option(
                "--badge",
                metavar="DIR",
                type=click.Path(path_type=Path),
                expose_value=False,
                callback=_remember_badge,
                help="Write SVG badges of the result into this folder.",
            ),
            click.option(
                "--repo",
                metavar="PATH",
                type=click.Path(path_type=Path),
                default=Path(),
                help="The repository (default: here).",
            ),
        ):
            command = option(command)
        return command

    return add


def shared(command: Command) -> Command:
    """Add the options of a command that judges a change."""
    return base(reporting()(strict(command)))


def revisions_of(names: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Tell a range from commits by name; UsageError where both are given."""
    ranges = [name for name in names if ".." in name]
    if len(ranges) > 1 or (ranges and len(names) > 1):
        raise UsageError(
            "give either one range or some commits.",
            why="a report has one range.",
            hint="`A..B`, or `COMMIT COMMIT`",
        )
    return (ranges[0] if ranges else None), (() if ranges else names)


class Progress:
    """A line of progress on standard error, drawn over itself, where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._on = sys.stderr.isatty() and not quiet

    def __call__(self, text: str) -> None:
        """Draw the line anew; an empty text takes it away."""
        if self._on:
            click.echo(f"\r\x1b[2K{for_terminal(text)}" if text else "\r\x1b[2K", nl=False, err=True)


def targets_of(reports: tuple[str, ...]) -> tuple[writer.Target, ...]:
    """Read where reports go, and find out before any work whether they can be written."""
    targets = writer.parse_targets(reports)
    context = click.get_current_context(silent=True)
    badge = context.meta.get(_BADGE) if context is not None else None
    if badge is not None:
        targets = (*targets, writer.Target(writer.BADGES, badge))
    writer.check_places(targets)
    return targets


def opened(where: Path) -> Repository:
    """Return the repository at `where`; UsageError where there is none."""
    return Repository.open(where)


def settings_of(where: Path, repository: Repository, **options: Any) -> Settings:
    """Return the policy that holds at `where`, under the options of the command line."""
    table, origin = find_settings(where, repository.top)
    return make_settings(table, origin=origin, environ=os.environ, options=options)


def request_of(where: Path, repository: Repository, settings: Settings, **more: Any) -> gate.Request:
    """Return what a command asks of the gate."""
    from pytest_bugsle import gate
    from pytest_bugsle.runner.configuration import read_configuration

    return gate.Request(
        start=where,
        settings=settings,
        environ=dict(os.environ),
        today=dt.datetime.now(tz=dt.UTC).date(),
        configuration=read_configuration(where.resolve(), repository.top),
        **more,
    )


def report(
    result: Result,
    settings: Settings,
    targets: tuple[writer.Target, ...],
    trouble: BugsleError | None,
    *,
    verbosity: int,
) -> int:
    """Print the section, write the reports, and return the exit code."""
    print_lines(terminal.lines(result, verbosity), targets)
    for target in targets:
        writer.write(result, target)
    if isinstance(trouble, ProgramError):
        return int(trouble.exit_code)
    return int(exit_code(result, settings))


def print_lines(lines: Iterable[terminal.Line], targets: tuple[writer.Target, ...]) -> None:
    """Print lines with their colours; on standard error where a report goes to standard output."""
    to_stdout = any(target.path is None for target in targets)
    for line in lines:
        click.secho(line.text, fg=_COLOURS.get(line.style or ""), dim=line.style == "dim", err=to_stdout)


_COLOURS = {"green": "green", "red": "red", "yellow": "yellow"}


def exit_code(result: Result, settings: Settings) -> ExitCode:
    """Return the exit code that a verdict and the policy's mode make."""
    blocks = settings.mode == "block"
    if result.verdict == "undecided":
        return ExitCode.FAIL if settings.strict and blocks else ExitCode.UNDECIDED
    return ExitCode.FAIL if result.verdict == "fail" and blocks else ExitCode.PASS
