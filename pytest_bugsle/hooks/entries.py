"""What git and pre-commit start; undecided never blocks.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import click

from pytest_bugsle import cli
from pytest_bugsle.errors import BugsleError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_WIDEST = 500
"""Letters of a line: subjects and paths are a stranger's, and one of a megabyte buries what matters."""

_FOREIGN = {"ignore_unknown_options": True, "help_option_names": []}
_NAMED = {"help_option_names": ["-h", "--help"]}
_SWITCH_OFF = "once: `git commit --no-verify`, or under pre-commit SKIP=bugsle-complexity"


@click.command("bugsle-commit-msg", context_settings=_NAMED)
@click.argument("file", type=click.Path(), metavar="MESSAGE_FILE")
def _commit_msg(file: str) -> int:
    """Ask a bug fix for a linked test or a waiver, before git makes the commit."""
    import datetime as dt
    from pathlib import Path

    from pytest_bugsle.hooks.commit_message import judge_message

    answer = judge_message(Path(), Path(file), os.environ, dt.datetime.now(tz=dt.UTC))
    _say(*answer.lines)
    return int(ExitCode.FAIL if answer.blocks else ExitCode.PASS)


@click.command("bugsle-complexity", context_settings=_NAMED)
@click.option(
    "--limit", type=click.IntRange(1), help="The most complexity of a function (default: settings)."
)
@click.option("--step", type=click.IntRange(0), help="The most it may grow at once (default: settings).")
def _complexity(limit: int | None, step: int | None) -> int:
    """Say which changed functions grow past the limit, or by too much at once."""
    from pathlib import Path

    from pytest_bugsle.hooks.complexity import judge_growth

    findings, blocks = judge_growth(Path(), os.environ, limit=limit, step=step)
    _say(*(f"{each.path}:{each.line}: {each.rule} {each.message}" for each in findings))
    if findings:
        _say(f"  next     {findings[0].help}", f"           {_SWITCH_OFF}")
    return int(ExitCode.FAIL if blocks else ExitCode.PASS)


@click.command("bugsle-check", context_settings=_FOREIGN)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def _check(words: tuple[str, ...]) -> int:
    return _of_push("check", words)


@click.command("bugsle-prove", context_settings=_FOREIGN)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def _prove(words: tuple[str, ...]) -> int:
    return _of_push("prove", words)


def _of_push(command: str, words: Sequence[str]) -> int:
    """Run a command of `bugsle` on each range that is pushed; by hand, on what it finds by itself.

    git gives its pre-push hook the remote's name and URL, and the refs on standard input; pre-commit gives
    both by variables. Other words are the command's own options.
    """
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.hooks import pushed

    options, remote = list(words), os.environ.get("PRE_COMMIT_REMOTE_NAME", "")
    pushes = pushed.from_environment(os.environ)
    by_git = len(words) > 1 and not any(word.startswith("-") for word in words[-2:])
    if pushes is None and by_git and "PRE_COMMIT" not in os.environ and not sys.stdin.isatty():
        options, remote = list(words[:-2]), words[-2]
        pushes = pushed.parse_lines(sys.stdin.buffer.read().decode("utf-8", "surrogateescape"))
    if pushes is None:
        return cli.main([command, *options])
    with Repository.open(_here()) as repo:
        found = pushed.ranges_of(repo, pushes, remote)
    _say(*(f"bugsle: {note}" for note in found.notes))
    return worst(cli.main([command, each, *options]) for each in found.ranges)


@click.command("bugsle-dora", context_settings=_FOREIGN)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def _dora(words: tuple[str, ...]) -> int:
    # git gives its post-merge hook a 0 or a 1 for a squash, which says nothing here.
    cli.main(["dora", "--brief", *(word for word in words if word not in ("0", "1"))])
    return int(ExitCode.PASS)


def worst(codes: Iterable[int]) -> int:
    """Return the code that goes before the others: 4, 2, 1, then 3."""
    found = set(codes)
    return next((code for code in (130, 4, 2, 1, 3) if code in found), 0)


def _here() -> Path:
    from pathlib import Path

    return Path()


def _say(*lines: str) -> None:
    from pytest_bugsle.report.escape import for_terminal

    for line in lines:
        short = line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
        click.echo(for_terminal(short), err=True)


def started(command: click.Command, argv: Sequence[str] | None = None) -> int:
    """Run one hook and return what git is told: 0 goes on, anything else stops it.

    Undecided (3) is said, and becomes 0.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of few letters must not stop a commit
            stream.reconfigure(errors="backslashreplace")
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = int(command.main(args=args, prog_name=command.name, standalone_mode=False) or 0)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except BugsleError as error:
        first, *rest = str(error).splitlines()
        _say(f"bugsle: {first}", *rest)
        code = int(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.PROGRAM)
    if code == ExitCode.UNDECIDED:
        _say(f"{command.name}: undecided, so nothing is stopped")
        return int(ExitCode.PASS)
    return code


def commit_msg() -> None:
    """Run the commit-msg hook."""
    raise SystemExit(started(_commit_msg))


def check() -> None:
    """Run the pre-push hook that runs no test."""
    raise SystemExit(started(_check))


def prove() -> None:
    """Run the pre-push hook that proves the fixes that are pushed."""
    raise SystemExit(started(_prove))


def complexity() -> None:
    """Run the pre-commit hook on complexity."""
    raise SystemExit(started(_complexity))


def dora() -> None:
    """Run the hook that prints the delivery figures."""
    raise SystemExit(started(_dora))
