"""`bugsle model check`: judge a model by a file of examples, without any test.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.report import writer
from pytest_bugsle.report.terminal import Line
from pytest_bugsle.results import Counts, ModelResult, Result, Timings
from pytest_bugsle.settings import is_ci, repository_top, settings_at

_STYLES = {"pass": "green", "fail": "red", "invalid": "red", "undecided": "yellow"}
_CHECKS = ("deterministic", "calibrated", "confident_errors", "slices")


@click.group()
def model() -> None:
    """Say whether a model may ship."""


@model.command()
@click.option("--model", "spec", metavar="MODULE:NAME", required=True, help="The model, or the URL of one.")
@click.option(
    "--data",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="Examples: CSV, JSON lines, or a text a line.",
)
@click.option("--column", metavar="NAME", help="The column of the text (default: text, or the only one).")
@click.option("--label", metavar="NAME", help="The column of the right answer (default: label).")
@click.option("--batch", metavar="N", type=int, help="The model takes lists of at most N inputs.")
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
    "--check", "checks", metavar="NAME", multiple=True, help=f"Judge {', '.join(_CHECKS)} (repeatable)."
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
    batch: int | None,
    words: tuple[str, ...],
    task: str | None,
    max_flip_rate: float | None,
    score_tolerance: float | None,
    checks: tuple[str, ...],
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
    if not words and not task and not checks:
        raise UsageError(
            "nothing is asked of the model.",
            why="what an answer must not depend on is yours to say",
            hint="--task sentiment, --invariant case, or --check calibrated",
        )
    targets = commands.targets_of(reports)
    from pytest_bugsle.robustness.gates import ModelGate
    from pytest_bugsle.robustness.gather import model_named, read_examples
    from pytest_bugsle.robustness.verdict import joined

    examples, labels = read_examples(data, column, label)
    start = Path()
    gate = ModelGate(
        model_named(spec, start.resolve()),
        examples,
        labels,
        seed=seed,
        batch=batch or False,
        task=task,
        name=spec,
        test="",
    )
    if words or task:
        gate.invariant(*words, max_flip_rate=max_flip_rate, score_tolerance=score_tolerance)
    for name in checks:
        getattr(gate, name)()
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
