"""`bugsle audit`: its options, and what it says when it is interrupted.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle import audits, commands
from pytest_bugsle.errors import ExitCode, ProgramError
from pytest_bugsle.report import history, writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.runner.environment import choose_python

if TYPE_CHECKING:
    from pytest_bugsle.results import Result
    from pytest_bugsle.settings import Settings


def _finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("it must be a number of seconds.", context, option)
    return value


@click.command()
@click.option(
    "--since", metavar="REF", help="Begin after this commit, tag or branch (default: the beginning)."
)
@click.option("--until", metavar="REF", help="End with this commit, tag or branch (default: HEAD).")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Judge the N newest fixes only.")
@click.option("--retry", is_flag=True, help="Ask again what is kept as undecided.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    metavar="SECONDS",
    help="Seconds for this run (default: no limit); the next one goes on.",
)
@click.option("--no-branches", is_flag=True, help="Do not run the guards on the maintained branches.")
@click.option(
    "--write-baseline",
    is_flag=True,
    help="Write the ledger: what is not held as known debt, what is held as guards.",
)
@click.option("--guards", is_flag=True, help="Only try the guards of the ledger on today's tree.")
@commands.python
@commands.strict
@commands.reporting(verbose="Show every fix, release and folder.")
def audit(
    since: str | None,
    until: str | None,
    limit: int | None,
    retry: bool,
    budget: float | None,
    no_branches: bool,
    write_baseline: bool,
    guards: bool,
    python: str | None,
    verbose: int,
    quiet: bool,
    strict: bool | None,
    reports: tuple[str, ...],
    repo: Path,
) -> int:
    """Prove every bug fix of the history, each at its own commit, and keep what was found.

    A second run asks only what is new. With a ledger (`--write-baseline`), a fix that no test holds
    fails the audit unless the ledger knows it.
    """
    with commands.opened(repo) as repository:
        settings = commands.settings_of(repo, repository, strict=strict)
        if guards and (write_baseline or since or until or limit):
            raise click.UsageError("--guards tries today's tree: it takes no range, and writes no ledger.")
        request = commands.request_of(
            repo,
            repository,
            settings,
            python=choose_python(repository.top, python, os.environ),
            args=settings.pytest_args,
            say=commands.Progress(quiet=quiet),
        )
        targets = commands.targets_of(reports)
        wanted = audits.Wanted(
            request=request,
            since=since,
            until=until,
            limit=limit,
            budget=budget,
            retry=retry,
            branches=not no_branches,
            guards=guards,
            write_baseline=write_baseline,
        )
        with audits.prepare(wanted) as found:
            try:
                result = audits.finish(found)
            except KeyboardInterrupt:
                request.say("")
                click.echo(found.progress(), err=True)
                raise
            trouble = found.plan.trouble
    commands.print_lines(history.audit_lines(result, verbose - quiet), targets)
    for target in targets:
        writer.write(result, target)
    if trouble is not None:
        for line in str(trouble).splitlines():
            click.echo(for_terminal(line), err=True)
    return int(_exit_code(result, settings, trouble))


def _exit_code(result: Result, settings: Settings, trouble: Exception | None) -> ExitCode:
    if isinstance(trouble, ProgramError):
        return ExitCode.PROGRAM
    return commands.exit_code(result, settings)
