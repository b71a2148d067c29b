"""A file of counts: for a pipeline that has successes and trials, and no table.  PYTEST_DONT_REWRITE

`{"conversion": {"control": [50, 500], "treatment": [62, 520]}}`, or one metric without its name.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import checks, outcome, proportions
from pytest_bugsle.experiment.arguments import check_shapes
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import contradiction
from pytest_bugsle.experiment.looks import Memory
from pytest_bugsle.results import ExperimentResult

Arms = dict[str, tuple[Any, Any]]
"""The successes and trials of each arm, as they stand in the file."""

_SHAPE = '{"conversion": {"control": [50, 500], "treatment": [62, 520]}}'


def read_counts(path: Path) -> dict[str, Arms]:
    """Return the arms of each metric; '' is the name of one that has none. UsageError names file and field."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _refused(
            path, f"is no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _refused(path, f"cannot be read: {error}") from error
    if not isinstance(found, dict) or not found:
        raise _refused(path, f"holds {_kind(found)}, and must hold an object of arms or of metrics")
    if any(isinstance(value, list) for value in found.values()):
        return {"": _arms(path, "", found)}
    return {name: _arms(path, f"{name}.", value) for name, value in found.items()}


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"{name!r} stands in it twice")
        made[name] = value
    return made


def _arms(path: Path, where: str, value: Any) -> Arms:
    if not isinstance(value, dict) or len(value) < 2:
        raise _refused(path, f"{where[:-1] or 'it'}: {_kind(value)}, must be an object of two or more arms")
    made: Arms = {}
    for name, counts in value.items():
        if not isinstance(counts, list) or len(counts) != 2:
            raise _refused(path, f"{where}{name}: {_kind(counts)}, must be [successes, trials]")
        for place, what in enumerate(("successes", "trials")):
            if type(counts[place]) is not int:
                raise _refused(
                    path,
                    f"{where}{name}[{place}]: {_kind(counts[place])}, must be the whole number of {what}",
                )
        made[name] = (counts[0], counts[1])
    return made


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _refused(path: Path, what: str) -> UsageError:
    return UsageError(f"the counts {str(path)!r}: {what}.", hint=_SHAPE)


Judge = Callable[[Memory | None], list[ExperimentResult]]
"""Judges data with what is remembered of earlier looks."""

Remembered = Callable[[Mapping[str, Any], Judge], list[ExperimentResult]]
"""Judges the data of a design with what is remembered of it, and remembers that."""


def is_counts(path: Path) -> bool:
    """Say whether a file holds counts, by its name."""
    return path.suffix.lower() == ".json"


def _unremembered(design: Mapping[str, Any], judge: Judge) -> list[ExperimentResult]:
    return judge(None)


def judge_counts(
    found: Mapping[str, Arms],
    designs: Sequence[Mapping[str, Any]],
    file: str = "",
    remembered: Remembered = _unremembered,
) -> list[ExperimentResult]:
    """Judge each metric of a file by the design that names it, or by the only one.

    A design may have `control` and `split` beside the fields of Design. UsageError for a metric that is not there,
    and for one that no design names where there are several.
    """
    made: list[ExperimentResult] = []
    judged: list[str] = []
    for given in designs:
        check_shapes(given)
        wanted = dict(given)
        control, split = wanted.pop("control", None), wanted.pop("split", None)
        names = [wanted["metric"]] if "metric" in wanted else list(found)
        if "" in found:
            names = [""]
        for name in names:
            if name not in found:
                near = difflib.get_close_matches(name, found, n=3, cutoff=0.4) or list(found)[:10]
                raise UsageError(
                    f"{file}: there are no counts of {name!r}.",
                    hint=f"there are {', '.join(map(repr, near))}",
                )
            judged.append(name)
            named = {**wanted, "metric": name or wanted.get("metric", "metric")}
            plan, arms = Design(**named), found[name]
            made += remembered(
                {**named, "split": split},
                partial(_judge, arms, plan, control, split),
            )
    left = [name for name in found if name not in judged]
    if left:
        raise UsageError(
            f"{file}: no design is for {', '.join(map(repr, left[:10]))}.",
            why="a metric that is looked at and not judged is how noise is found",
            hint=f'[[metrics]], then metric = "{left[0]}"',
        )
    return made


def _judge(
    arms: Arms,
    plan: Design,
    control: str | None,
    split: Mapping[str, float] | None,
    past: Memory | None,
) -> list[ExperimentResult]:
    shares = {str(name): share for name, share in (split or dict.fromkeys(arms, 1.0)).items()}
    first = control or (next(iter(shares)) if split else "control")
    if first not in arms or set(shares) != set(arms):
        raise UsageError(
            f"{plan.metric}: the arms are {', '.join(map(repr, arms))}, and the design's "
            f"{', '.join(map(repr, shares))} with {first!r} as control.",
            hint=f"control = {json.dumps(next(iter(arms)))}, or [split] with these arms",
        )
    n = {name: counts[1] for name, counts in arms.items()}
    made = []
    for name in arms:
        if name == first:
            continue
        label = plan.metric if len(arms) == 2 else f"{plan.metric} [{name}]"
        wanted = replace(plan, metric=label, ratio=shares[name] / shares[first])
        try:
            pair = [proportions.whole_counts(arm, arms[arm]) for arm in (first, name)]
            ran = [checks.sample_ratio({arm: n[arm] for arm in shares}, shares, repeated=plan.is_repeated)]
        except ValueError as error:
            made.append(outcome.invalid(wanted, [contradiction(str(error))]))
            continue
        notes = [] if split else ["no split= was given: the arms are to be of equal size"]
        evidence = proportions.evidence_of(*pair)
        made.append(outcome.judge(evidence, wanted, checks=ran, past=past, arms=(first, name), notes=notes))
    return made
