"""`bugsle ab`: judge a table of exposures by a design file, without any test.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
import inspect
import os
import time
import tomllib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.experiment.multiple import adjusted
from pytest_bugsle.experiment.plugin import need_scipy
from pytest_bugsle.experiment.verdict import joined
from pytest_bugsle.report import writer
from pytest_bugsle.report.terminal import Line
from pytest_bugsle.results import Counts, ExperimentResult, Result, Timings
from pytest_bugsle.settings import is_ci, repository_top, settings_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_bugsle.experiment.counts import Judge, Remembered
    from pytest_bugsle.experiment.ledger import Owner

_STYLES = {"pass": "green", "fail": "red", "invalid": "red", "undecided": "yellow"}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--design",
    "design_file",
    metavar="TOML",
    type=click.Path(path_type=Path),
    help="What is to be shown, in which columns, and how surely.",
)
@click.option(
    "--aa",
    metavar="N",
    type=int,
    default=0,
    help="Deal the table's units anew to the arms N times, and check that the p-values are uniform then.",
)
@click.option("-v", "--verbose", count=True, help="Show the checks that passed, too.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what did not pass.")
@click.option(
    "--report", "reports", metavar="FORMAT[:PATH]", multiple=True, help="Write a report: json (repeatable)."
)
def ab(
    file: Path, design_file: Path | None, aa: int, verbose: int, quiet: bool, reports: tuple[str, ...]
) -> int:
    """Say whether the result of an A/B test may ship.

    FILE is CSV or Parquet, a row for each exposed unit, or several for one; or JSON with the counts of each arm,
    as in {"conversion": {"control": [50, 500], "treatment": [62, 520]}}. The design file names the columns and
    the least effect: `arm`, `metric`, `min_lift`, `mde`, `alpha`, `power` and others at its top, the table [split],
    a table [guardrails.NAME] for each guardrail, and [[metrics]] with what differs where there are several. By its
    `name` looks are remembered, else by where the file stands.
    """
    started = time.perf_counter()
    need_scipy()
    if design_file is None:
        raise UsageError(
            "there is no design to judge the table by.",
            why="what is to be shown is said before the data are seen",
            hint="--design design.toml",
        )
    targets = commands.targets_of(reports)
    from pytest_bugsle.experiment import lock
    from pytest_bugsle.experiment.arguments import check_shapes
    from pytest_bugsle.experiment.counts import is_counts
    from pytest_bugsle.experiment.ledger import Ledger
    from pytest_bugsle.experiment.registration import design_of

    name, wanted = read_design(design_file, of_counts=is_counts(file))
    start = Path.cwd()
    top = repository_top(start)
    settings = settings_at(start, top, os.environ)
    owner = _owner_of(name, design_file, top)
    ledger = Ledger(top, store=settings.store, ci=is_ci(os.environ), session=os.urandom(16).hex())

    def remembered(one: Mapping[str, Any], judge: Judge) -> list[ExperimentResult]:
        check_shapes(one)
        design = design_of(one)
        of = lock.fields_of(design, one)
        return ledger.judged(owner, judge, design, of)

    with closing(ledger):
        results = adjusted(_judged(file, wanted, aa, remembered))
        ledger.settle([result for result in results if "among the" in result.why])
    result = joined(
        Result(verdict="pass", range=None, fixes=[], counts=Counts(), findings=[]),
        results,
        settings.rules,
        ci=is_ci(os.environ),
    )
    commands.print_lines(_lines(results, verbose - quiet), targets)
    import msgspec

    result = msgspec.structs.replace(result, timings=Timings(total=time.perf_counter() - started))
    for target in targets:
        writer.write(result, target)
    return int(exit_code(results))


def _judged(
    file: Path, wanted: list[dict[str, Any]], aa: int, remembered: Remembered
) -> list[ExperimentResult]:
    """Judge each metric; `remembered` judges a design with what is known of its earlier looks."""
    from pytest_bugsle.experiment.counts import is_counts, judge_counts, read_counts

    if is_counts(file):
        if aa:
            raise UsageError(
                "counts cannot be dealt anew: they do not say which units they are of.", hint="leave out --aa"
            )
        return judge_counts(read_counts(file), wanted, str(file), remembered)
    from pytest_bugsle.experiment.gather import Table
    from pytest_bugsle.experiment.tables import judge_table

    table = Table(file)
    made = []
    for one in wanted:
        given: dict[str, Any] = {"aa": aa, **one}
        made += remembered(one, lambda past, given=given: judge_table(table, past=past, **given))  # type: ignore[misc]
    return made


def _owner_of(name: str | None, design_file: Path, top: Path) -> Owner:
    """Return whose looks these are: the design's by its name, else by where its file stands."""
    from pytest_bugsle.experiment.ledger import Owner

    where = design_file.resolve()
    place = where.relative_to(top).as_posix() if where.is_relative_to(top) else str(where)
    return Owner(name or place, test=place, is_named=name is not None)


def exit_code(results: list[ExperimentResult]) -> ExitCode:
    """Return the exit code: data that contradict themselves are wrong input."""
    outcomes = {result.outcome for result in results if result.role != "exploratory"}
    if any(result.outcome == "invalid" for result in results):
        return ExitCode.USAGE
    if "fail" in outcomes:
        return ExitCode.FAIL
    return ExitCode.UNDECIDED if "undecided" in outcomes else ExitCode.PASS


def _lines(results: list[ExperimentResult], verbosity: int) -> list[Line]:
    made = []
    for result in results:
        if verbosity < 0 and result.outcome == "pass":
            continue
        lines = result.message.splitlines()
        made.append(Line(lines[0], _STYLES[result.outcome]))  # type: ignore[arg-type]
        made += [Line(line) for line in lines[1:]]
        if verbosity > 0:
            made += [
                Line(f"  {check.name}: {check.message}", "dim")
                for check in result.checks
                if check.outcome == "pass"
            ]
    return made


def read_design(path: Path, *, of_counts: bool = False) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the name of a design file, and the arguments of each metric; UsageError names a key that is none."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"the design {str(path)!r} cannot be read: {error}", hint="--design design.toml"
        ) from error
    name = table.pop("name", None)
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise UsageError(
            f"{path}: name is {name!r}, and must be that of the experiment.", hint='name = "checkout-2026"'
        )
    several = table.pop("metrics", [{}])
    if not isinstance(several, list) or not several or not all(isinstance(one, dict) for one in several):
        raise UsageError("the design's `metrics` are no list of tables.", hint="[[metrics]], then metric = …")
    made = []
    for place, one in enumerate(several):
        merged = {**table, **one}
        if place:
            merged.pop("guardrails", None) if "guardrails" not in one else None
        check_keys(merged, path, of_counts=of_counts)
        if isinstance(merged.get("look"), list):
            merged["look"] = tuple(merged["look"])
        made.append(merged)
    return name, made


def check_keys(table: dict[str, Any], path: Path, *, of_counts: bool = False) -> None:
    """Raise UsageError unless these are the arguments of one metric."""
    from pytest_bugsle.experiment.design import Design
    from pytest_bugsle.experiment.tables import judge_table

    known = (
        ["control", "split"]
        if of_counts
        else [
            name
            for name in inspect.signature(judge_table).parameters
            if name not in ("table", "past", "test", "design")
        ]
    )
    known += ["name", *(name for name in inspect.signature(Design).parameters if name not in known)]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise UsageError(
                f"{path}: there is no key {key!r} in a design.",
                hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}",
            )
    for key in ("metric",) if of_counts and "metric" in table else () if of_counts else ("arm", "metric"):
        if not isinstance(table.get(key), str):
            raise UsageError(f"{path}: the design lacks {key!r}.", hint=f'{key} = "the name of a column"')
