"""`bugsle rule` and `bugsle doctor`: what the gate says, and what it sees.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle.errors import BugsleError, ExitCode
from pytest_bugsle.findings import RULES, rule_named
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.settings import MEANINGS, find_settings, make_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@click.argument("code", required=False)
def rule(code: str | None) -> int:
    """Explain rule CODE (or name); without one, list them all."""
    if code is not None:
        click.echo(rule_named(code).page())
        return int(ExitCode.PASS)
    for each in RULES.values():
        level = each.level if each.level_in_ci is None else f"{each.level}, {each.level_in_ci} in CI"
        click.echo(f"{each.code}  {each.name:<26} {level}")
    click.echo("\n`bugsle rule BUG101` says what, why, how to mend and how to switch off.")
    return int(ExitCode.PASS)


@click.command()
@click.option(
    "--repo",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository to look at (default: here).",
)
@click.option("--python", metavar="PATH", help="The interpreter that runs the tests.")
def doctor(repo: Path, python: str | None) -> int:
    """Say what the gate sees: range, base, unit, scope, interpreter, shallow or not, who runs what."""
    code = int(ExitCode.PASS)
    for name, value in _rows(repo, python):
        if isinstance(value, BugsleError):
            code = max(code, int(value.exit_code))
            lines = str(value).splitlines()
        else:
            lines = value.splitlines() or [""]
        click.echo(f"{name:<12} {for_terminal(lines[0])}")
        for line in lines[1:]:
            click.echo(" " * 13 + for_terminal(line))
    return code


def _rows(where: Path, python: str | None) -> Iterator[tuple[str, str | BugsleError]]:
    from pytest_bugsle import gate
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.runner import environment
    from pytest_bugsle.runner.configuration import read_configuration

    try:
        repo = Repository.open(where)
    except BugsleError as error:
        yield "repository", error
        return
    with repo:
        shallow = " (shallow: history is cut off)" if repo.is_shallow() else ""
        yield "repository", f"{repo.top}{' (bare)' if repo.is_bare else ''}{shallow}"
        head = repo.head()
        yield "head", f"{(head.sha or 'no commit yet')[:10]} on {head.branch or 'no branch (detached)'}"
        try:
            table, origin = find_settings(where, repo.top)
            settings = make_settings(table, origin=origin, environ=os.environ)
        except BugsleError as error:
            yield "settings", error
            return
        yield "settings", f"{origin or 'defaults: no [tool.bugsle] table'}"
        for key, meaning in MEANINGS.items():
            value = getattr(settings, key)
            yield "", f"{key} = {value!r}: {meaning}"
        try:
            configuration = read_configuration(where.resolve(), repo.top)
        except BugsleError as error:
            yield "pytest", error
            return
        yield "pytest", f"{configuration.inifile or 'no configuration file'}; rootdir {configuration.rootdir}"
        try:
            interpreter = environment.choose_python(repo.top, python, os.environ)
            facts = environment.interpreter_facts(interpreter)
            pytest_version = facts.pytest or "no pytest: install it there"
            yield (
                "interpreter",
                f"{interpreter} ({facts.implementation} {facts.version}), pytest {pytest_version}",
            )
        except BugsleError as error:
            yield "interpreter", error
        try:
            request = gate.Request(
                start=where,
                settings=settings,
                environ=dict(os.environ),
                today=dt.datetime.now(tz=dt.UTC).date(),
                configuration=configuration,
            )
            with gate.prepare(request) as plan:
                yield from plan.facts()
        except BugsleError as error:
            yield "range", error
