"""`bugsle check` and `bugsle prove`: their options, and the requests they build.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_bugsle import gate
from pytest_bugsle.errors import BugsleError, ExitCode, ProgramError, UsageError
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.report import terminal, writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.runner.configuration import read_configuration
from pytest_bugsle.runner.environment import choose_python
from pytest_bugsle.settings import find_settings, make_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_bugsle.results import FixResult, Result
    from pytest_bugsle.settings import Settings


def _shared(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that both commands have."""
    for option in (
        click.option("-v", "--verbose", count=True, help="Show every unit, test and reason."),
        click.option("-q", "--quiet", is_flag=True, help="Show only what is wrong."),
        click.option("--strict", is_flag=True, default=None, help="Undecided fails."),
        click.option(
            "--report",
            "reports",
            metavar="FORMAT[:PATH]",
            multiple=True,
            help="Write a report: json, sarif, junit or markdown (repeatable).",
        ),
        click.option("--base", metavar="REF", help="Begin the range at the merge base with REF."),
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


@click.command()
@click.argument("range", required=False, metavar="[A..B]")
@click.option("--explain", metavar="SHA", help="Say why this commit is, or is not, taken for a bug fix.")
@_shared
def check(
    range: str | None,
    explain: str | None,
    repo: Path,
    base: str | None,
    reports: tuple[str, ...],
    strict: bool | None,
    quiet: bool,
    verbose: int,
) -> int:
    """Say for each bug fix of the range which tests are linked to it. Runs no test."""
    with _opened(repo) as repository:
        settings = _settings(repo, repository, base=base, strict=strict, proof="off")
        request = _request(repo, repository, settings, range=range, named=(explain,) if explain else ())
        targets = _targets(reports)
        with gate.prepare(request) as plan:
            result = gate.finish(plan, None)
            trouble = plan.trouble
    if explain is not None and trouble is None:
        for fix in result.fixes:
            _explain(fix)
        for target in targets:
            writer.write(result, target)
        return int(ExitCode.PASS)
    return _report(result, settings, targets, trouble, verbosity=verbose - quiet)


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("revisions", nargs=-1, metavar="[COMMIT|A..B]... [-- PYTEST_ARGS]", type=click.UNPROCESSED)
@click.option(
    "--python", metavar="PATH", help="The interpreter that runs the tests; it needs pytest, not us."
)
@click.option("--budget", type=float, metavar="SECONDS", help="Seconds for all proofs together.")
@click.option(
    "--at",
    type=click.Choice(["tree", "commit"]),
    default="tree",
    show_default=True,
    help="Judge in the tree under test (is the bug held today?) or in the fix's own commit.",
)
@_shared
@click.pass_context
def prove(
    context: click.Context,
    revisions: tuple[str, ...],
    python: str | None,
    budget: float | None,
    at: str,
    repo: Path,
    base: str | None,
    reports: tuple[str, ...],
    strict: bool | None,
    quiet: bool,
    verbose: int,
) -> int:
    """Run the linked tests without the fix and with it.

    A COMMIT that is named is proven whatever it is judged to be. Without one, the uncommitted
    change is proven, and in a clean tree the fixes of the range under test.
    """
    names, args = _split(context, revisions)
    with _opened(repo) as repository:
        settings = _settings(repo, repository, base=base, strict=strict, budget=budget, proof="fix")
        ranges = [name for name in names if ".." in name]
        if len(ranges) > 1 or (ranges and len(names) > 1):
            raise UsageError(
                "give either one range or some commits.",
                why="a report has one range.",
                hint="`bugsle prove A..B`, or `bugsle prove COMMIT COMMIT`",
            )
        request = _request(
            repo,
            repository,
            settings,
            range=ranges[0] if ranges else None,
            named=() if ranges else names,
            uncommitted=not names,
            python=choose_python(repository.top, python, os.environ),
            args=(*settings.pytest_args, *args),
            own_commit=at == "commit",
            say=_Progress(quiet=quiet),
        )
        targets = _targets(reports)
        with gate.prepare(request) as plan:
            result = gate.finish(plan, None)
            trouble = plan.trouble
    return _report(result, settings, targets, trouble, verbosity=verbose - quiet)


def _split(context: click.Context, revisions: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell revisions from what follows `--`, which click has already swallowed."""
    given: list[str] = context.obj or []
    if "--" not in given:
        return revisions, ()
    args = tuple(given[given.index("--") + 1 :])
    return revisions[: len(revisions) - len(args)], args


class _Progress:
    """A line of progress on standard error, drawn over itself, where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._on = sys.stderr.isatty() and not quiet

    def __call__(self, text: str) -> None:
        if self._on:
            click.echo(f"\r\x1b[2K{for_terminal(text)}" if text else "\r\x1b[2K", nl=False, err=True)


def _targets(reports: tuple[str, ...]) -> tuple[writer.Target, ...]:
    """Read where reports go, and find out before any work whether they can be written."""
    targets = writer.parse_targets(reports)
    writer.check_places(targets)
    return targets


def _opened(where: Path) -> Repository:
    return Repository.open(where)


def _settings(where: Path, repository: Repository, **options: Any) -> Settings:
    table, origin = find_settings(where, repository.top)
    return make_settings(table, origin=origin, environ=os.environ, options=options)


def _request(where: Path, repository: Repository, settings: Settings, **more: Any) -> gate.Request:
    return gate.Request(
        start=where,
        settings=settings,
        environ=dict(os.environ),
        today=dt.datetime.now(tz=dt.UTC).date(),
        configuration=read_configuration(where.resolve(), repository.top),
        **more,
    )


def _explain(fix: FixResult) -> None:
    click.echo(f"{fix.commit[:7]} {for_terminal(fix.subject)}")
    click.echo(f"judged: {fix.judgement}")
    for reason in fix.reasons:
        click.echo(f"  {for_terminal(reason)}")


def _report(
    result: Result,
    settings: Settings,
    targets: tuple[writer.Target, ...],
    trouble: BugsleError | None,
    *,
    verbosity: int,
) -> int:
    """Print the section, write the reports, and return the exit code."""
    to_stdout = any(target.path is None for target in targets)
    for line in terminal.lines(result, verbosity):
        click.secho(line.text, fg=_COLOURS.get(line.style or ""), dim=line.style == "dim", err=to_stdout)
    for target in targets:
        writer.write(result, target)
    if isinstance(trouble, ProgramError):
        return int(trouble.exit_code)
    return int(exit_code(result, settings))


_COLOURS = {"green": "green", "red": "red", "yellow": "yellow"}


def exit_code(result: Result, settings: Settings) -> ExitCode:
    """Return the exit code that a verdict and the policy's mode make."""
    blocks = settings.mode == "block"
    if result.verdict == "undecided":
        return ExitCode.FAIL if settings.strict and blocks else ExitCode.UNDECIDED
    return ExitCode.FAIL if result.verdict == "fail" and blocks else ExitCode.PASS
