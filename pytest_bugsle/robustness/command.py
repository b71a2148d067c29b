"""`bugsle model check`: judge a model by a file of examples, without any test.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.report import writer
from pytest_bugsle.report.terminal import Line
from pytest_bugsle.results import Counts, ModelResult, Result, Timings
from pytest_bugsle.settings import is_ci, repository_top, settings_at

_STYLES = {"pass": "green", "fail": "red", "invalid": "red", "undecided": "yellow"}
_CHECKS = ("deterministic", "calibrated", "confident_errors", "slices")
_LABELLED = ("calibrated", "confident_errors", "slices")
F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)
_WORDS = (".csv", ".txt")
"""How files of words end: one that is not there is no perturbation of that name."""


def _limit(flag: str, said: str) -> Callable[[F], F]:
    """Declare an option for the share that a judgement allows; it is 0.05 where nothing is said."""
    return click.option(flag, metavar="SHARE", type=float, default=0.05, show_default=True, help=said)


@click.group()
def model() -> None:
    """Say whether a model may ship."""


@model.command(short_help="Judge a model by a file of examples: their variations, and its errors.")
@click.option(
    "--model",
    "spec",
    metavar="MODULE:NAME",
    required=True,
    help="The model, MODULE:NAME() for what a function returns, or the URL of one.",
)
@click.option(
    "--data",
    metavar="FILE",
    required=True,
    type=_FILE,
    help="Examples: CSV or .tsv, JSON lines (.jsonl) or a list (.json), Parquet, or a text a line.",
)
@click.option("--column", metavar="NAME", help="The column of the text (default: text, or the only one).")
@click.option("--label", metavar="NAME", help="The column of the right answer (default: label).")
@click.option(
    "--drop",
    "dropped",
    metavar="NAME",
    multiple=True,
    help="A column that the model is not given (repeatable).",
)
@click.option("--batch", metavar="N", type=int, help="The model takes lists of at most N inputs.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="How long one call of the model may take.",
)
@click.option(
    "--invariant",
    "words",
    metavar="NAME",
    multiple=True,
    help="What the answer must not depend on: a perturbation, its family or its nature (repeatable).",
)
@click.option(
    "--task", metavar="NAME", help="The perturbations of a task: topic, sentiment, toxicity or language."
)
@click.option(
    "--max-flip-rate", metavar="SHARE", type=float, help="The flips that are allowed (default: by nature)."
)
@click.option("--score-tolerance", metavar="SIZE", type=float, help="How far apart two scores may be.")
@click.option(
    "--swap",
    "swapped",
    metavar="FILE|NAME",
    multiple=True,
    help="Groups of people that must get the same answer: a file of words that stand for each other (he,she), "
    "groups.gender or names (repeatable).",
)
@click.option(
    "--templates",
    metavar="FILE",
    type=_FILE,
    help="Sentences with {}, one a line, for the words of --swap; without it they are swapped in the examples.",
)
@_limit("--max-swap-rate", "The swaps that may change the answer.")
@click.option(
    "--check", "checks", metavar="NAME", multiple=True, help=f"Judge {', '.join(_CHECKS)} (repeatable)."
)
@click.option(
    "--triaged",
    metavar="FILE",
    type=_FILE,
    help="confident_errors: ids of errors that somebody has looked at, one a line.",
)
@click.option(
    "--group", metavar="NAME", help="The column of the groups that are to fare alike; needs --positive."
)
@click.option("--positive", metavar="LABEL", help="The answer that helps.")
@_limit("--max-gap", "The gap between groups that is allowed.")
@click.option(
    "--baseline",
    metavar="MODULE:NAME",
    help="The model that this one must not be worse than, as --model has it.",
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="What the variations are drawn by."
)
@click.option("-v", "--verbose", count=True, help="Show what passed in full, too.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what did not pass.")
@click.option(
    "--report",
    "reports",
    metavar="FORMAT[:PATH]",
    multiple=True,
    help="Write a report: json, sarif, junit, markdown, github or html (repeatable).",
)
def check(
    spec: str,
    data: Path,
    column: str | None,
    label: str | None,
    dropped: tuple[str, ...],
    batch: int | None,
    timeout: float,
    words: tuple[str, ...],
    task: str | None,
    max_flip_rate: float | None,
    score_tolerance: float | None,
    swapped: tuple[str, ...],
    templates: Path | None,
    max_swap_rate: float,
    checks: tuple[str, ...],
    triaged: Path | None,
    group: str | None,
    positive: str | None,
    max_gap: float,
    baseline: str | None,
    seed: int,
    verbose: int,
    quiet: bool,
    reports: tuple[str, ...],
) -> int:
    """Ask a model the examples of a file and their variations, and judge its answers.

    The model is a function (of one input, or of a list with --batch), an estimator, a session, a module or a
    pipeline, by the name that Python imports it by; or the URL of one that takes {"inputs": […]}.
    """
    started = time.perf_counter()
    for name in checks:
        if name not in _CHECKS:
            raise UsageError(f"there is no check {name!r}.", hint=f"there are {', '.join(_CHECKS)}")
    if not (words or task or checks or swapped or group or baseline):
        raise UsageError(
            "nothing is asked of the model.",
            why="what an answer must not depend on is yours to say",
            hint="--task sentiment, --invariant case, or --check calibrated",
        )
    for given, needed, said in (
        (templates, swapped, "--templates needs --swap, whose words fill them"),
        (triaged, "confident_errors" in checks, "--triaged needs --check confident_errors"),
        (group, positive is not None, "--group needs --positive, the answer that helps"),
        (positive, group, "--positive needs --group, the column of the groups"),
    ):
        if given is not None and not needed:
            raise UsageError(f"{said}.", hint="bugsle model check --help")
    targets = commands.targets_of(reports)
    from pytest_bugsle.robustness import gather
    from pytest_bugsle.robustness.gates import ModelGate
    from pytest_bugsle.robustness.verdict import joined

    examples, labels = gather.read_examples(data, column, label, dropped)
    if labels is None:
        for name in (*(each for each in checks if each in _LABELLED), *(("--baseline",) if baseline else ())):
            raise UsageError(
                f"{name} needs the right answers, and {str(data)!r} has no column of them.",
                why="without them no answer is wrong",
                hint="--label names their column (CSV, JSON lines, Parquet)",
            )
    start = Path()
    gate = ModelGate(
        gather.model_named(spec, start.resolve()),
        examples,
        labels,
        seed=seed,
        batch=batch or False,
        timeout=timeout,
        task=task,
        name=spec,
        spec=None if "://" in spec else spec,
        test="",
    )
    if words or task:
        gate.invariant(*words, max_flip_rate=max_flip_rate, score_tolerance=score_tolerance)
    if swapped:
        gate.counterfactual(
            *_swaps(swapped, templates),
            templates=None if templates is None else gather.read_texts(templates),
            max_rate=max_swap_rate,
            tolerance=score_tolerance,
        )
    if group is not None and positive is not None:
        labelled = {str(each): each for each in labels or ()}
        if labels is None and positive.isdecimal():  # labels that are whole numbers are numbers
            labelled[positive] = int(positive)
        gate.fair(gather.read_column(data, group), positive=labelled.get(positive, positive), max_gap=max_gap)
    for name in checks:
        seen = {"triaged": gather.read_ids(triaged)} if name == "confident_errors" and triaged else {}
        getattr(gate, name)(**seen)
    if baseline is not None:
        gate.not_worse_than(gather.model_named(baseline, start.resolve()))
    results = gate.results()
    settings = settings_at(start, repository_top(start), os.environ)
    result = joined(
        Result(verdict="pass", range=None, fixes=[], counts=Counts(), findings=[]),
        results,
        settings.rules,
        ci=is_ci(os.environ),
    )
    commands.print_lines(
        [*_lines(results, verbose - quiet), Line(gate.message().splitlines()[-1], "dim")], targets
    )
    import msgspec

    result = msgspec.structs.replace(result, timings=Timings(total=time.perf_counter() - started))
    for target in targets:
        writer.write(result, target)
    return int(exit_code(result, results))


def _swaps(swapped: Sequence[str], templates: Path | None) -> list[Any]:
    """Return what --swap names: words of files, as lists for templates and as tables for examples, and names."""
    from pytest_bugsle.robustness.gather import read_words, tables_of

    files = [Path(each) for each in swapped if Path(each).is_file() or Path(each).suffix in _WORDS]
    words = [row for path in files for row in read_words(path)]
    names = [each for each in swapped if Path(each) not in files]
    return [*names, *(tables_of(words) if templates is None else words)]


def exit_code(result: Result, results: list[ModelResult]) -> ExitCode:
    """Return the exit code: data that contradict themselves are wrong input."""
    if any(each.outcome == "invalid" for each in results):
        return ExitCode.USAGE
    if result.verdict == "fail":
        return ExitCode.FAIL
    return ExitCode.UNDECIDED if result.verdict == "undecided" else ExitCode.PASS


def _lines(results: list[ModelResult], verbosity: int) -> list[Line]:
    made = []
    for result in results:
        if verbosity < 0 and result.outcome == "pass":
            continue
        lines = result.message.splitlines()
        made.append(Line(lines[0], _STYLES[result.outcome] if result.decides else "dim"))  # type: ignore[arg-type]
        if verbosity > 0 or (result.outcome != "pass" and result.decides) or result.findings:
            made += [Line(line) for line in lines[1:]]
    return made
