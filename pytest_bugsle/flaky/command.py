"""`bugsle flaky …`: the options of its sub-commands, and what each hands to the top.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.flaky import command_history
from pytest_bugsle.report import writer
from pytest_bugsle.report.flaky import hunt_lines

if TYPE_CHECKING:
    from pathlib import Path

_FOR_PYTEST = {"ignore_unknown_options": True}


@click.group()
def flaky() -> None:
    """Which tests cannot be trusted, why, and since when?"""


@flaky.command(context_settings=_FOR_PYTEST)
@click.argument("args", nargs=-1, metavar="[PYTEST_ARGS]...", type=click.UNPROCESSED)
@click.option(
    "--suspect",
    "suspects",
    metavar="ID",
    multiple=True,
    help="Look only into this test (repeatable): does it vary, and why?",
)
@click.option("--budget", type=float, metavar="SECONDS", help="Seconds for the whole hunt.")
@commands.python
@commands.reporting(verbose="Show every test that was tried.", quiet="Show only tests that vary.")
def hunt(
    args: tuple[str, ...],
    suspects: tuple[str, ...],
    budget: float | None,
    python: str | None,
    repo: Path,
    reports: tuple[str, ...],
    quiet: bool,
    verbose: int,
) -> int:
    """Look for flaky tests on purpose, and say why each of them is.

    Runs the tests in the order of collection, backwards, each alone and twice, and shuffled, all in a clean
    copy of the tree as it stands; then searches for what each test depends on, and confirms that in clean
    processes. What is not an option of this command is handed to pytest.
    """
    from pytest_bugsle import hunts

    targets = commands.targets_of(reports)
    with commands.opened(repo) as repository:
        settings = commands.settings_of(repo, repository, budget=budget)
        say = commands.Progress(quiet=quiet)
        request = commands.request_of(
            repo, repository, settings, python=python, args=(*settings.pytest_args, *args), say=say
        )
        try:
            result = hunts.hunt(hunts.Wanted(request=request, suspects=suspects))
        finally:
            say("")
    commands.print_lines(hunt_lines(result, verbose - quiet), targets)
    for target in targets:
        writer.write(result, target)
    return int(commands.exit_code(result, settings))


flaky.add_command(command_history.list_tests)
flaky.add_command(command_history.show_test)
flaky.add_command(command_history.merge)
flaky.add_command(command_history.quarantine)
