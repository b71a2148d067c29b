"""`bugsle accept`: the one command that writes what tests have found into files to be committed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.settings import repository_top, settings_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Accept = Callable[..., list[str]]

#: kind -> (module, function, what it writes); each takes the repository's top, the settings and the day (that of
#: models also what --bug, --only and --test say), and returns a line for each thing that was written, or was not.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "looks": (
        "pytest_bugsle.experiment.accepting",
        "accept_looks",
        "looks at A/B tests and their locked designs, in tests/bugsle_looks/",
    ),
    "models": (
        "pytest_bugsle.robustness.cases",
        "accept_models",
        "variations that turned a model's answer, in tests/bugsle_cases/",
    ),
}

_MODELS = "models"


@click.command()
@click.argument("kinds", nargs=-1, metavar="[KIND]...")
@click.option(
    "--repo",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository (default: here).",
)
@click.option(
    "--bug", metavar="ID", help="models: the bug that the cases guard; their test is then linked to its fix."
)
@click.option(
    "--only",
    metavar="PART",
    default="",
    help="models: only cases with PART in the id of their test, their perturbation or the name of their file.",
)
@click.option(
    "--test", metavar="ID", default="", help="models: the id of the cases' test, after it was renamed."
)
def accept(kinds: tuple[str, ...], repo: Path, bug: str | None, only: str, test: str) -> int:
    """Write what the tests' runs have kept into files to be committed.

    KIND is `looks`, for looks at A/B tests and the designs of named experiments, or `models`, for the variations that
    turned a model's answer; without one, all kinds. With --bug, --only or --test it is `models`.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(
                f"there is nothing of kind {kind!r} to accept.", hint=f"there are: {', '.join(KINDS)}"
            )
    more = {key: value for key, value in (("bug", bug), ("only", only), ("test", test)) if value}
    if bug is not None and not bug.strip():
        raise UsageError("--bug names no bug.", hint="--bug 42")
    if test and not only:
        raise UsageError(
            "--test needs --only, for cases belong to one test each.", hint="--only and the old id"
        )
    if more and set(kinds) - {_MODELS}:
        raise UsageError(
            f"--{next(iter(more))} is for cases of models.",
            hint=f"bugsle accept {_MODELS} --{next(iter(more))} …",
        )
    start = repo.resolve()
    if not start.is_dir():
        raise UsageError(f"there is no folder {str(repo)!r}.", hint="--repo names the repository")
    top = repository_top(start)
    settings = settings_at(start, top, os.environ)
    today = dt.datetime.now(tz=dt.UTC).date()
    lines: list[str] = []
    for kind in kinds or ((_MODELS,) if more else KINDS):
        module, function, _ = KINDS[kind]
        accept_kind: Accept = getattr(importlib.import_module(module), function)
        lines += accept_kind(top, settings, today, **more)
    for line in lines:
        click.echo(for_terminal(line))
    click.echo("to be committed: look at them, then git add" if lines else "there is nothing new to accept")
    return int(ExitCode.PASS)
