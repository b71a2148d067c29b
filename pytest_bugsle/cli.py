"""The command `bugsle`: a table of lazily imported sub-commands over the gate.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib
import io
import sys
from typing import TYPE_CHECKING, Any

import click

from pytest_bugsle import __version__
from pytest_bugsle.errors import BugsleError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: name -> (module, attribute, one line of help)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "check": (
        "pytest_bugsle.regression.command",
        "check",
        "Say for each bug fix which tests are linked to it. Runs no test.",
    ),
    "prove": ("pytest_bugsle.regression.command", "prove", "Run linked tests without the fix and with it."),
    "what-else": (
        "pytest_bugsle.regression.command",
        "what_else",
        "Say where else a fixed bug may be: copies, partners, siblings, branches.",
    ),
    "audit": (
        "pytest_bugsle.regression.command_audit",
        "audit",
        "Prove every bug fix of the history at its own commit; hold the line with a ledger.",
    ),
    "hotspots": (
        "pytest_bugsle.regression.command_hotspots",
        "hotspots",
        "Say in which functions the next bug is likely: changes, complexity, past fixes.",
    ),
    "flaky": (
        "pytest_bugsle.flaky.command",
        "flaky",
        "Which tests cannot be trusted, and why: hunt, replay, list, show, quarantine, merge.",
    ),
    "dora": (
        "pytest_bugsle.delivery.command",
        "dora",
        "Say how often, how fast and how often wrong this repository delivers, from its own history.",
    ),
    "ab": (
        "pytest_bugsle.experiment.command",
        "ab",
        "Say whether an A/B result may ship: pass, fail, undecided or invalid.",
    ),
    "accept": (
        "pytest_bugsle.accept",
        "accept",
        "Write looks at A/B tests, locked designs and cases of models into files to be committed.",
    ),
    "model": (
        "pytest_bugsle.robustness.command",
        "model",
        "Say whether a model may ship: `model check` varies its inputs and reads its errors.",
    ),
    "init": (
        "pytest_bugsle.init.command",
        "init",
        "Write settings, hooks and workflow for this project; the diff is shown first.",
    ),
    "rule": ("pytest_bugsle.explain", "rule", "Explain a rule, or list them all."),
    "doctor": ("pytest_bugsle.explain", "doctor", "Say what the gate sees here."),
    "demo": ("pytest_bugsle.demo", "demo", "Play the story that named the project, in a real repository."),
}


class _Table(click.Group):
    """A group whose commands are imported when they are run, so that a hook starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error
            raise


@click.group(
    cls=_Table,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 pass, 1 a gate failed, 2 wrong usage or configuration, 3 undecided, "
    "4 a program that was called failed.",
)
@click.version_option(__version__, prog_name="bugsle")
def bugsle() -> None:
    """A bug fix is rarely a quick code change: is it held by a test?"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (see errors.ExitCode)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of few letters must not cost the report
            stream.reconfigure(errors="backslashreplace")
    try:
        # click swallows `--`; what stands behind it is for pytest, and `prove` finds it in `obj`.
        args = list(sys.argv[1:] if argv is None else argv)
        code: Any = bugsle.main(args=args, prog_name="bugsle", standalone_mode=False, obj=list(args))
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except BugsleError as error:
        from pytest_bugsle.report.escape import for_terminal

        for number, line in enumerate(str(error).splitlines()):
            click.echo(("bugsle: " if number == 0 else "") + for_terminal(line), err=True)
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.PROGRAM)
    return int(code or 0)


def run() -> None:
    """Run the command as a console script."""
    raise SystemExit(main())
