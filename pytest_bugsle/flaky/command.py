"""`bugsle flaky …`: the options of its sub-commands, and what each hands to the top.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.flaky import command_history, command_quarantine
from pytest_bugsle.report import writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.flaky import hunt_lines
from pytest_bugsle.report.terminal import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_bugsle.report.terminal import Style
    from pytest_bugsle.runner.outcome import Outcome, Ran

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


@flaky.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--order",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Run the ids that this file has, one a line (a hunt saves such files in .bugsle/orders).",
)
@click.option(
    "--world",
    "worlds",
    metavar="KEY=VALUE",
    multiple=True,
    help="In a controlled world (repeatable): hashseed=1, rng=1, clock=EPOCH, tz=Asia/Kolkata, …",
)
@commands.python
@commands.reporting(verbose="Show every error in full.", quiet="Show only what failed.")
def replay(
    ids: tuple[str, ...],
    order: Path | None,
    worlds: tuple[str, ...],
    python: str | None,
    repo: Path,
    reports: tuple[str, ...],
    quiet: bool,
    verbose: int,
) -> int:
    """Run tests in exactly this order, in one clean process, and say how each ended.

    An id may come twice: then the test runs twice in the same process. Exits 1 if the last of them failed.
    """
    from pytest_bugsle import hunts

    if reports:
        raise UsageError("a replay writes no report.", hint="`bugsle flaky hunt --suspect ID` does.")
    wanted = (*_ids_of(order), *ids)
    if not wanted:
        raise UsageError("there is no test to run.", hint="name ids, or a file with ids: --order FILE")
    world = hunts.world_of(worlds)
    with commands.opened(repo) as repository:
        settings = commands.settings_of(repo, repository)
        request = commands.request_of(repo, repository, settings, python=python, args=settings.pytest_args)
        ran = hunts.replay(request, wanted, world)
    commands.print_lines(_replay_lines(wanted, ran, verbose - quiet), ())
    return int(ExitCode.FAIL if ran.last is not None and _failed(ran.last) else ExitCode.PASS)


def _ids_of(order: Path | None) -> tuple[str, ...]:
    if order is None:
        return ()
    try:
        text = order.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{order} cannot be read: {error.strerror}", hint="name a file with ids") from error
    return tuple(line for line in text.split("\n") if line and not line.startswith("#"))


def _failed(outcome: Outcome) -> bool:
    """Say whether a test failed."""
    return outcome.status not in ("passed", "skipped", "xfailed", "xpassed")


def _replay_lines(ids: Sequence[str], ran: Ran, verbosity: int = 0) -> list[Line]:
    """Return the lines of a replay: below 0 only what failed, above 0 whole errors."""
    report = []
    for number, id_ in enumerate(ids):
        outcome = ran.outcomes[number] if number < len(ran.outcomes) else None
        bad = outcome is not None and _failed(outcome)
        if verbosity < 0 and not bad:
            continue
        status = outcome.status if outcome is not None else "not run"
        report.append(_line(f"{status:<8} {id_}", "red" if bad else None if outcome else "yellow"))
        if outcome is not None and outcome.error is not None:
            lines = outcome.error.message.strip().split("\n")
            shown = lines if verbosity > 0 else lines[:1]
            report += [_line(f"         {outcome.error.type}: {shown[0]}", "dim")]
            report += [_line(f"         {line}", "dim") for line in shown[1:]]
    if ran.why:
        report.append(_line(f"nothing ran: {ran.why}", "yellow"))
    return report


def _line(text: str, style: Style | None = None) -> Line:
    return Line(for_terminal(text), style)


flaky.add_command(command_history.list_tests)
flaky.add_command(command_history.show_test)
flaky.add_command(command_history.merge)
flaky.add_command(command_quarantine.quarantine)
