"""`bugsle dora`: its options, and how repositories become one report.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pytest_bugsle import commands
from pytest_bugsle.delivery import verdict
from pytest_bugsle.delivery.command_look import by_component, look
from pytest_bugsle.delivery.figures import Wanted, figures
from pytest_bugsle.delivery.fleet import Found, Job, look_at_all
from pytest_bugsle.delivery.further import Further, asking, listed
from pytest_bugsle.delivery.notes import is_squashed
from pytest_bugsle.delivery.options import EVERY, Asked, evidence
from pytest_bugsle.delivery.tiers import REMARKS
from pytest_bugsle.delivery.trend import iso, trend
from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.report import writer
from pytest_bugsle.report.delivery import brief_lines, delivery_lines, explain_lines
from pytest_bugsle.results import (
    Counts,
    Delivery,
    DeliveryFigures,
    DeliveryGate,
    RepositoryDelivery,
    Result,
    Timings,
    Window,
)
from pytest_bugsle.settings import is_ci

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.report.terminal import Line

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
@evidence
@click.option("-v", "--verbose", count=True, help="Show the trend, and both halves of the lead time.")
@click.option("-q", "--quiet", is_flag=True, help="Show only the figures.")
@click.option(
    "--report",
    "reports",
    metavar="FORMAT[:PATH]",
    multiple=True,
    help="Write a report: json, sarif, junit, markdown, github or html (repeatable).",
)
@asking
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
    further: Further,
    **values: Any,
) -> int:
    """Say how often, how fast and how often wrong this repository delivers, from its own history.

    A deployment is a release tag, unless a file of deployments or the mainline takes their place. Lead time runs from a commit's author time to the first release that
    contains it. Without --gate nothing is judged, and no network is asked.
    """
    started = time.perf_counter()
    asked = Asked.of(values)
    if verify and (asked.mainline or asked.deployments):
        raise UsageError(
            "--verify asks git about tags.",
            why="other deployments are not known to git",
            hint="leave out --mainline and --deployments",
        )
    targets = commands.targets_of(reports)
    wanted = Wanted(
        start=None if since is None else moment(since, "--since"),
        end=None if until is None else moment(until, "--until", last=True),
        by=by,
        merges=merges,
        bots=not no_bots,
        reachable=reachable,
        mainline=asked.mainline,
        szz=asked.szz,
        changes=asked.changes,
    )
    if wanted.start is not None and wanted.end is not None and wanted.start > wanted.end:
        raise UsageError(
            f"--since {since} comes after --until {until}",
            why="a window has a beginning and then an end",
            hint="exchange the two",
        )
    places = [*repos, *(listed(further.list_of_repos) if further.list_of_repos else ())] or [Path()]
    if further.parquet is not None:
        from pytest_bugsle.delivery.export import check_parquet

        check_parquet()
    jobs = [
        Job(name, where, wanted, asked, verify, further.why, further.parquet, further.devlake)
        for name, where in _named(places)
    ]
    if asked.component or asked.components:
        if further.parquet is not None or further.devlake is not None:
            raise UsageError(
                "tables are of whole repositories.",
                why="the same commit would stand in the table of each component.",
                hint="leave out --component and --components, or --parquet and --devlake",
            )
        jobs = [each for job in jobs for each in by_component(job, asked.component, every=asked.components)]
    say = commands.Progress(quiet=quiet)
    try:
        found = list(look_at_all(look, jobs, further.jobs, say))
    finally:
        say("")
    if asked.explain is not None and asked.explain != EVERY:
        _check_name(asked.explain, found)
    result = _result(found, further, wanted, time.perf_counter() - started)
    commands.print_lines(_lines(result, asked, further, verbose - quiet), targets)
    for target in targets:
        writer.write(result, target)
    return _exit_code(result, found)


def _lines(result: Result, asked: Asked, further: Further, verbosity: int) -> list[Line]:
    if further.brief:
        return brief_lines(result)
    lines = delivery_lines(result, verbosity, tiers=further.tiers, remarks=REMARKS)
    if asked.explain is not None:
        lines += explain_lines(result, None if asked.explain == EVERY else asked.explain)
    return lines


def _exit_code(result: Result, found: Sequence[Found]) -> int:
    """Return the first of 4, 2, 1 and 3 that any repository has; each by the mode of its own settings."""
    codes = {one.code for one in found}
    if result.verdict != "pass":
        # A repository that only warns stops none; one that blocks does.
        codes |= {int(commands.exit_code(result, one.settings)) for one in found if one.measured is not None}
    return next((code for code in (4, 2, 1, 3) if code in codes), int(ExitCode.PASS))


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


def _check_name(name: str, found: Sequence[Found]) -> None:
    """Raise UsageError where no deployment of the window has that name."""
    names = [shipment.deployment.name for one in found if one.measured for shipment in one.measured.shipments]
    if name in names or not any(one.measured for one in found):
        return
    import difflib

    near = difflib.get_close_matches(name[:200], names[-2_000:], n=3) or list(names[-3:])
    raise UsageError(
        f"--explain {name}: no deployment of the window has that name.",
        why="its failures would seem to be none",
        hint=f"the nearest: {', '.join(near)}" if near else "bugsle dora --since 1970-01-01",
    )


def _result(found: Sequence[Found], further: Further, wanted: Wanted, seconds: float) -> Result:
    repositories: list[RepositoryDelivery] = []
    findings: list[Finding] = []
    for one in found:
        if one.measured is not None:
            made = _repository(one, further, wanted)
            repositories.append(made)
            if made.gate is not None:
                name = one.name if len(found) > 1 else ""
                findings += verdict.findings_of(
                    made.gate.questions,
                    _unguarded(made),
                    one.settings.rules,
                    ci=is_ci(os.environ),
                    repository=name,
                    head=made.head,
                )
    measured = [one.measured for one in found if one.measured is not None]
    pooled: DeliveryFigures | None = None
    if len(repositories) == 1:
        pooled = DeliveryFigures(
            **{field: getattr(repositories[0], field) for field in DeliveryFigures.__struct_fields__}
        )
    elif repositories:
        pooled = figures(measured)
    undecided = len(measured) < len(found) or not any(one.known for one in measured)
    undecided |= any(
        made.gate and verdict.answer(made.gate.questions) == "undecided" for made in repositories
    )
    failed = any(finding.level == "error" for finding in findings)
    return Result(
        verdict="fail" if failed else "undecided" if undecided else "pass",
        range=None,
        fixes=[],
        counts=Counts(),
        findings=findings,
        notes=[f"{one.name}: {one.error}" for one in found if one.measured is None],
        delivery=Delivery(pooled=pooled, repositories=repositories),
        timings=Timings(total=seconds),
    )


def _unguarded(shown: RepositoryDelivery) -> list[verdict.Unguarded]:
    """Return the failures of the window, each once, of which it is known that no test holds their fix."""
    held = {(one.deployment, one.cause) for one in shown.failures if one.guarded == "guarded"}
    return [
        verdict.Unguarded(deployment, fix)
        for deployment, fix in dict.fromkeys(
            (one.deployment, one.fix)
            for one in shown.failures
            if one.guarded == "unguarded" and one.fix and (one.deployment, one.cause) not in held
        )
    ]


def _repository(one: Found, further: Further, wanted: Wanted) -> RepositoryDelivery:
    measured = one.measured
    assert measured is not None
    plain = figures([measured])
    gate = None
    if further.gate:
        policy = further.policy(one.settings)
        watched = measured.watch
        gate = DeliveryGate(
            rung=verdict.deciding_rung(watched.by_rung, policy.rung),
            watched_days=watched.seconds / _DAY,
            window=(iso(watched.recent[0]), iso(watched.recent[1])),
            earlier=(iso(watched.earlier[0]), iso(watched.earlier[1])),
            questions=verdict.questions(watched, plain, policy),
        )
    window = Window(
        start=measured.start,
        end=measured.end,
        since=iso(measured.start),
        until=iso(measured.end),
        days=(measured.end - measured.start + 1) / _DAY,
    )
    return RepositoryDelivery(
        **{field: getattr(plain, field) for field in plain.__struct_fields__},
        repository=one.name,
        component=one.component,
        sooner=measured.sooner,
        head=measured.head,
        window=window,
        history=measured.facts,
        reverts=measured.reverts,
        trend=trend(measured.shipments, measured.failed, measured.end, wanted.by, measured.young),
        failures=measured.failures,
        deployed_by=measured.deployed_by,
        squashed=is_squashed(measured),
        gate=gate,
        causes=one.causes,
        notes=one.notes,
    )
