"""`bugsle check`, `bugsle prove` and `bugsle what-else`: their options, and the requests they build.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import msgspec

from pytest_bugsle import commands, gate
from pytest_bugsle.errors import ExitCode, ProgramError
from pytest_bugsle.report import terminal, writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.runner.environment import choose_python
from pytest_bugsle.settings import is_ci

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.results import FixResult
    from pytest_bugsle.settings import ProofChoice, Settings


@click.command()
@click.argument("range", required=False, metavar="[A..B]")
@click.option("--explain", metavar="SHA", help="Say why this commit is, or is not, taken for a bug fix.")
@commands.shared
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
    with commands.opened(repo) as repository:
        settings = commands.settings_of(repo, repository, base=base, strict=strict, proof="off")
        request = commands.request_of(
            repo, repository, settings, range=range, named=(explain,) if explain else ()
        )
        targets = commands.targets_of(reports)
        with gate.prepare(request) as plan:
            result = gate.finish(plan, None)
            trouble = plan.trouble
    if explain is not None and trouble is None:
        for fix in result.fixes:
            _explain(fix)
        for target in targets:
            writer.write(result, target)
        return int(ExitCode.PASS)
    return commands.report(result, settings, targets, trouble, verbosity=verbose - quiet)


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("revisions", nargs=-1, metavar="[COMMIT|A..B]... [-- PYTEST_ARGS]", type=click.UNPROCESSED)
@commands.python
@click.option("--budget", type=float, metavar="SECONDS", help="Seconds for all proofs together.")
@click.option(
    "--at",
    type=click.Choice(["tree", "commit"]),
    default="tree",
    show_default=True,
    help="Judge in the tree under test (is the bug held today?) or in the fix's own commit.",
)
@click.option(
    "--edits/--no-edits",
    default=None,
    help="Also put each edit of a proven fix back alone (default: where CI is set).",
)
@commands.shared
@click.pass_context
def prove(
    context: click.Context,
    revisions: tuple[str, ...],
    edits: bool | None,
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
    with commands.opened(repo) as repository:
        settings = commands.settings_of(repo, repository, base=base, strict=strict, budget=budget)
        settings = msgspec.structs.replace(settings, proof=_proof(settings, edits))
        range, named = commands.revisions_of(names)
        request = commands.request_of(
            repo,
            repository,
            settings,
            range=range,
            named=named,
            uncommitted=not names,
            python=choose_python(repository.top, python, os.environ),
            args=(*settings.pytest_args, *args),
            own_commit=at == "commit",
            say=commands.Progress(quiet=quiet),
        )
        targets = commands.targets_of(reports)
        with gate.prepare(request) as plan:
            result = gate.finish(plan, None)
            trouble = plan.trouble
    return commands.report(result, settings, targets, trouble, verbosity=verbose - quiet)


@click.command("what-else")
@click.argument("revisions", nargs=-1, metavar="[COMMIT|A..B]...")
@click.option("--no-run", is_flag=True, help="Run no test: leave out what the guards show on other branches.")
@click.option("--edits", is_flag=True, help="Also put each edit of a proven fix back alone.")
@commands.python
@click.option("--budget", type=float, metavar="SECONDS", help="Seconds for all runs together.")
@commands.shared
def what_else(
    revisions: tuple[str, ...],
    no_run: bool,
    edits: bool,
    python: str | None,
    budget: float | None,
    repo: Path,
    base: str | None,
    reports: tuple[str, ...],
    strict: bool | None,
    quiet: bool,
    verbose: int,
) -> int:
    """Say where else the bug may be: copies of the code, its partners, its siblings, other branches.

    A COMMIT is looked at whatever it is judged to be. Without one, the uncommitted change is, and in a
    clean tree the fixes of the range under test. Tests run only where a maintained branch may hold the bug.
    """
    with commands.opened(repo) as repository:
        settings = commands.settings_of(repo, repository, base=base, strict=strict, budget=budget)
        runs = edits or (not no_run and _has_branches(repository, settings))
        proof: ProofChoice = "off" if not runs else "edits" if edits else "fix"
        settings = msgspec.structs.replace(settings, proof=proof)
        range, named = commands.revisions_of(revisions)
        request = commands.request_of(
            repo,
            repository,
            settings,
            range=range,
            named=named,
            uncommitted=not revisions,
            python=choose_python(repository.top, python, os.environ) if runs else None,
            args=settings.pytest_args,
            what_else=True,
            leads_only=True,
            on_branches=not no_run,
            say=commands.Progress(quiet=quiet),
        )
        targets = commands.targets_of(reports)
        with gate.prepare(request) as plan:
            result = gate.finish(plan, None)
            trouble = plan.trouble
    commands.print_lines(terminal.what_else_lines(result, verbose - quiet), targets)
    for target in targets:
        writer.write(result, target)
    if isinstance(trouble, ProgramError):
        return int(trouble.exit_code)
    if trouble is not None:
        return int(ExitCode.UNDECIDED)
    return int(commands.exit_code(result, settings))


def _proof(settings: Settings, edits: bool | None) -> ProofChoice:
    """Return how far `prove` goes: whoever types it wants a proof, whatever the policy of the gate is."""
    if edits is not None:
        return "edits" if edits else "fix"
    choice = settings.proof_choice(ci=is_ci(os.environ))
    return "fix" if choice == "off" else choice


def _has_branches(repository: Repository, settings: Settings) -> bool:
    """Say whether any branch is maintained beside this one: without one there is nothing to run."""
    from pytest_bugsle.regression.elsewhere.branches import maintained

    head = repository.head().sha
    return head is not None and bool(maintained(repository, settings.branches, head))


def _split(context: click.Context, revisions: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell revisions from what follows `--`, which click has already swallowed."""
    given: list[str] = context.obj or []
    if "--" not in given:
        return revisions, ()
    args = tuple(given[given.index("--") + 1 :])
    return revisions[: len(revisions) - len(args)], args


def _explain(fix: FixResult) -> None:
    click.echo(f"{fix.commit[:7]} {for_terminal(fix.subject)}")
    click.echo(f"judged: {fix.judgement}")
    for reason in fix.reasons:
        click.echo(f"  {for_terminal(reason)}")
