"""The options of `bugsle dora` that ask more than the figures: gate, tiers, causes, many repositories.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_bugsle.delivery.verdict import Policy
from pytest_bugsle.errors import UsageError
from pytest_bugsle.settings import seconds_of

if TYPE_CHECKING:
    from pytest_bugsle.settings import Settings


@dataclass(frozen=True, slots=True)
class Further:
    """What these options say; the names are those of the options."""

    gate: bool
    max_failure_rate: float | None
    max_recovery: str | None
    max_lead_time: str | None
    rung: str | None
    tiers: bool
    why: bool
    brief: bool
    list_of_repos: str | None
    jobs: int | None
    parquet: Path | None
    devlake: Path | None

    def policy(self, settings: Settings) -> Policy:
        """Return what the gate asks of a repository: the command line goes before its settings."""
        theirs = settings.dora
        rate = theirs.max_failure_rate if self.max_failure_rate is None else self.max_failure_rate
        return Policy(
            rung=self.rung or theirs.rung,
            least_deployments=theirs.least_deployments,
            least_recoveries=theirs.least_recoveries,
            max_failure_rate=rate,
            max_recovery=_seconds(self.max_recovery or theirs.max_recovery, "--max-recovery"),
            max_lead_time=_seconds(self.max_lead_time or theirs.max_lead_time, "--max-lead-time"),
            off=frozenset(code for code, level in settings.rules.items() if level == "off"),
        )

    def check(self) -> None:
        """Raise UsageError for a limit that is none, before any work."""
        _seconds(self.max_recovery, "--max-recovery")
        _seconds(self.max_lead_time, "--max-lead-time")
        limits = (self.max_failure_rate, self.max_recovery, self.max_lead_time)
        if not self.gate and any(limit is not None for limit in limits):
            raise UsageError(
                "a limit was given without --gate",
                why="without it the command only reports, and the limit would judge nothing",
                hint="add --gate",
            )


def asking(command: Callable[..., int]) -> Callable[..., int]:
    """Add these options to a command, which gets them as `further`."""
    names = tuple(field.name for field in fields(Further))

    @functools.wraps(command)
    def collected(**given: Any) -> int:
        further = Further(**{name: given.pop(name) for name in names})
        further.check()
        return command(further=further, **given)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


_FOLDER = click.Path(path_type=Path, file_okay=False)
_OPTIONS: tuple[Callable[[Callable[..., int]], Callable[..., int]], ...] = (
    click.option("--gate", is_flag=True, help="Judge the trends of failures and recovery; exit 1 if worse."),
    click.option(
        "--max-failure-rate",
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="With --gate: fail above this share of failed deployments.",
    ),
    click.option(
        "--max-recovery", metavar="TIME", help="With --gate: fail above this median, such as 36h or 3d."
    ),
    click.option("--max-lead-time", metavar="TIME", help="With --gate: fail above this median."),
    click.option(
        "--rung",
        metavar="NAME",
        help="The evidence of failures that the gate judges (default: the strongest that has a source).",
    ),
    click.option("--tiers", is_flag=True, help="Show where the figures lie in the tables of tiers."),
    click.option("--why", is_flag=True, help="Say what waits, what fails and where, from the history."),
    click.option("--brief", is_flag=True, help="Show the figures in five lines."),
    click.option(
        "--repos",
        "list_of_repos",
        metavar="FILE",
        help="A file of repositories, one path a line, # for comments; - for standard input.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Read so many repositories at once (default: one for each processor).",
    ),
    click.option(
        "--parquet",
        type=_FOLDER,
        metavar="DIR",
        help="Write commits, deployments and failures as Parquet (extra: tables).",
    ),
    click.option(
        "--devlake",
        type=_FOLDER,
        metavar="DIR",
        help="Write what the webhooks of Apache DevLake take, as JSON lines.",
    ),
)


def listed(name: str) -> list[Path]:
    """Return the repositories of a file, relative to its folder; UsageError for one that cannot be read or is empty.

    Bytes that are no UTF-8 are kept: a path may be of any.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(
            f"--repos {name}: {error.strerror or error}",
            why="the repositories to look at are listed there",
            hint="one path a line; - reads them from standard input",
        ) from error
    folder = Path() if name == "-" else Path(name).parent
    lines = (line.strip() for line in data.removeprefix(b"\xef\xbb\xbf").splitlines())
    paths = [os.fsdecode(line) for line in lines if line and not line.startswith(b"#")]
    unusable = next((number for number, path in enumerate(paths, 1) if "\0" in path), None)
    if not paths or unusable is not None:
        raise UsageError(
            f"--repos {name} names no repository"
            if not paths
            else f"--repos {name}: a path holds a zero byte",
            why="nothing would be looked at",
            hint="one path a line, # for comments",
        )
    return list(dict.fromkeys(folder / path for path in paths))


def _seconds(text: str | None, option: str) -> int | None:
    return None if text is None else seconds_of(text, option)
