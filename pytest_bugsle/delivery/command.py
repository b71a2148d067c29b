"""`bugsle dora`: its options, and how repositories become one report.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pytest_bugsle import commands
from pytest_bugsle.delivery.figures import Measured, Wanted, figures, is_squashed, notes
from pytest_bugsle.delivery.gather import measured_of
from pytest_bugsle.delivery.trend import iso, trend
from pytest_bugsle.errors import ExitCode, UndecidedError, UsageError
from pytest_bugsle.report import writer
from pytest_bugsle.report.delivery import delivery_lines
from pytest_bugsle.results import (
    Counts,
    Delivery,
    DeliveryFigures,
    RepositoryDelivery,
    Result,
    Timings,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = 86_400


@click.command()
@click.option(
    "--repo",
    "repos",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A repository (repeatable; default: here).",
)
@click.option(
    "--since", metavar="DATE", help="Begin with this day or time, in UTC (default: 365 days before the end)."
)
@click.option(
    "--until", metavar="DATE", help="End with this day or time, in UTC (default: HEAD's commit time)."
)
@click.option(
    "--by",
    type=click.Choice(("month", "release")),
    default="month",
    show_default=True,
    help="The steps of the trend.",
)
@click.option("--merges", is_flag=True, help="Count merge commits in the lead time, too.")
@click.option("--no-bots", is_flag=True, help="Leave out what bots wrote.")
@click.option("--reachable", is_flag=True, help="Count only releases that HEAD contains, no other lines.")
@click.option(
    "--verify",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Check N random commits against `git tag --contains` (slow).",
)
@click.option("-v", "--verbose", count=True, help="Show the trend, and both halves of the lead time.")
@click.option("-q", "--quiet", is_flag=True, help="Show only the figures.")
@click.option(
    "--report", "reports", metavar="FORMAT[:PATH]", multiple=True, help="Write a report: json (repeatable)."
)
def dora(
    repos: tuple[Path, ...],
    since: str | None,
    until: str | None,
    by: Literal["month", "release"],
    merges: bool,
    no_bots: bool,
    reachable: bool,
    verify: int,
    verbose: int,
    quiet: bool,
    reports: tuple[str, ...],
) -> int:
    """Say how often, how fast and how often wrong this repository delivers, from its own history.

    A deployment is a release tag. Lead time runs from a commit's author time to the first release that
    contains it. Nothing is judged, and no network is asked.
    """
    started = time.perf_counter()
    targets = commands.targets_of(reports)
    wanted = Wanted(
        start=None if since is None else moment(since, "--since"),
        end=None if until is None else moment(until, "--until", last=True),
        by=by,
        merges=merges,
        bots=not no_bots,
        reachable=reachable,
    )
    if wanted.start is not None and wanted.end is not None and wanted.start > wanted.end:
        raise UsageError(
            f"--since {since} comes after --until {until}",
            why="a window has a beginning and then an end",
            hint="exchange the two",
        )
    say = commands.Progress(quiet=quiet)
    found: list[tuple[str, Measured, list[str]]] = []
    missing: list[str] = []
    for name, where in _named(repos or (Path(),)):
        say(f"reading the history of {name} …")
        try:
            found.append((name, *_measured(where, wanted, verify)))
        except UndecidedError as error:
            missing.append(f"{name}: {error}")
        finally:
            say("")
    result = _result(found, missing, wanted, time.perf_counter() - started)
    commands.print_lines(delivery_lines(result, verbose - quiet), targets)
    for target in targets:
        writer.write(result, target)
    return int(ExitCode.PASS if result.verdict == "pass" else ExitCode.UNDECIDED)


def moment(text: str, option: str, *, last: bool = False) -> int:
    """Return a date or time of ISO 8601 in seconds since the epoch; a day alone is its first second, or its last.

    Without a zone it is UTC. UsageError where it is none.
    """
    try:
        made = dt.datetime.fromisoformat(text)
        made = made if made.tzinfo else made.replace(tzinfo=dt.UTC)
        seconds = int((made - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds())
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {text!r} is no date",
            why="the window would be another than the one that was meant",
            hint=f"{option} 2026-01-31, or {option} 2026-01-31T12:00:00+02:00",
        ) from error
    return seconds + (_DAY - 1 if last and len(text) <= len("2026-01-31") else 0)


def _named(repos: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return each repository with its folder's name, or with its path as given where two have one name."""
    names = [where.resolve().name.removesuffix(".git") or str(where) for where in repos]
    return [
        (name if names.count(name) == 1 else str(where), where)
        for name, where in zip(names, repos, strict=True)
    ]


def _measured(where: Path, wanted: Wanted, check: int) -> tuple[Measured, list[str]]:
    with commands.opened(where) as repository:
        settings = commands.settings_of(where, repository)
        measured, said, checked = measured_of(repository, wanted, settings.tag_pattern, check)
    if check:
        said = [*said, f"verified: git says the same of {checked} random commits"]
    return measured, [*said, *notes(measured)]


def _result(
    found: Sequence[tuple[str, Measured, list[str]]], missing: Sequence[str], wanted: Wanted, seconds: float
) -> Result:
    repositories = [_repository(name, measured, said, wanted) for name, measured, said in found]
    pooled: DeliveryFigures | None = None
    if len(found) == 1:
        pooled = DeliveryFigures(
            **{field: getattr(repositories[0], field) for field in DeliveryFigures.__struct_fields__}
        )
    elif found:
        pooled = figures([measured for _, measured, _ in found])
    undecided = bool(missing) or not any(measured.known for _, measured, _ in found)
    return Result(
        verdict="undecided" if undecided else "pass",
        range=None,
        fixes=[],
        counts=Counts(),
        findings=[],
        notes=list(missing),
        delivery=Delivery(pooled=pooled, repositories=repositories),
        timings=Timings(total=seconds),
    )


def _repository(name: str, measured: Measured, said: list[str], wanted: Wanted) -> RepositoryDelivery:
    plain = figures([measured])
    window = Window(
        start=measured.start,
        end=measured.end,
        since=iso(measured.start),
        until=iso(measured.end),
        days=(measured.end - measured.start + 1) / _DAY,
    )
    return RepositoryDelivery(
        **{field: getattr(plain, field) for field in plain.__struct_fields__},
        repository=name,
        head=measured.head,
        window=window,
        history=measured.facts,
        reverts=measured.reverts,
        trend=trend(measured.shipments, measured.failed, measured.end, wanted.by),
        squashed=is_squashed(measured),
        notes=said,
    )
