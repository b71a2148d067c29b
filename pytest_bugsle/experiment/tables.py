"""One table judged: checks first, then each treatment's effect, then the guardrails.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import checks, cuped, means, novelty, outcome, proportions
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.evidence import Evidence
from pytest_bugsle.experiment.gather import Columns, Summary, Table, summarise
from pytest_bugsle.experiment.judging import contradiction
from pytest_bugsle.results import ExperimentCheck, ExperimentResult
from pytest_bugsle.stats.moments import Moments

_GUARDRAIL_KEYS = ("margin", "margin_difference", "direction", "alpha")


def judge_table(
    table: Any,
    *,
    arm: str,
    metric: str,
    unit: str | None = None,
    denominator: str | None = None,
    covariate: str | None = None,
    control: str | None = None,
    split: Mapping[str, float] | None = None,
    segments: Sequence[str] = (),
    day: str | None = None,
    guardrails: Mapping[str, Mapping[str, Any]] | None = None,
    nan: Literal["refuse", "omit"] = "refuse",
    past: Sequence[float] | None = None,
    test: str = "",
    **design: Any,
) -> list[ExperimentResult]:
    """Judge a metric of a table and its guardrails: a result for each, and for each treatment.

    `arm`, `metric`, `unit`, `denominator`, `covariate`, `segments` and `day` name columns. `split` is the designed
    share of each arm, the control first unless `control` says otherwise; without it the arms are to be equal.
    `nan="omit"` leaves out units without a metric and checks that they lack alike in all arms. The other
    arguments are Design's. UsageError for a table or a design that is none.
    """
    if nan not in ("refuse", "omit"):
        raise UsageError(f"nan is {nan!r}.", hint="nan='refuse' or nan='omit'")
    plan = Design(**{"metric": metric, **design})
    rails = [_guardrail(name, wanted, plan) for name, wanted in (guardrails or {}).items()]
    read = table if isinstance(table, Table) else Table(table)
    columns = Columns(
        arm=arm,
        metric=metric,
        unit=unit,
        denominator=denominator,
        covariate=covariate,
        segments=tuple(segments),
        day=day,
    )
    made: list[ExperimentResult] = []
    for chosen, wanted in [(columns, plan), *((_of(columns, name), rail) for name, rail in rails)]:
        try:
            found = summarise(read, chosen)
        except ValueError as error:
            bad = contradiction(f"column {chosen.metric!r}: {error}")
            made.append(outcome.invalid(wanted, [bad], test=test))
            continue
        made += _judge(found, chosen, wanted, control, split, nan, past, test)
    return made


def _of(columns: Columns, metric: str) -> Columns:
    return Columns(arm=columns.arm, metric=metric, unit=columns.unit)


def _guardrail(name: str, wanted: Mapping[str, Any], plan: Design) -> tuple[str, Design]:
    unknown = [key for key in wanted if key not in _GUARDRAIL_KEYS]
    if unknown:
        raise UsageError(
            f"guardrail {name!r}: there is no {unknown[0]!r}.", hint=f"there are {', '.join(_GUARDRAIL_KEYS)}"
        )
    margins = {key: wanted[key] for key in ("margin", "margin_difference") if key in wanted}
    if len(margins) != 1 or not all(
        isinstance(value, int | float) and value > 0 for value in margins.values()
    ):
        raise UsageError(
            f"guardrail {name!r} needs one margin over 0, and has {margins or 'none'}.",
            hint='{"margin": 0.01} is relative to control, {"margin_difference": 5} absolute',
        )
    return name, Design(
        metric=name,
        min_lift=-margins["margin"] if "margin" in margins else None,
        min_difference=-margins["margin_difference"] if "margin_difference" in margins else None,
        direction=wanted.get("direction", "up"),
        alpha=wanted.get("alpha", plan.alpha),
        power=plan.power,
        look=plan.look,
        spending=plan.spending,
        days=plan.days,
        role="guardrail",
    )


def _arms(found: Summary, control: str | None, split: Mapping[str, float] | None) -> dict[str, float]:
    """Return the designed shares, control first; UsageError where nothing says which the control is."""
    names = [str(name) for name in found.arms if name is not None]
    shares = (
        {str(name): share for name, share in split.items()} if split else dict.fromkeys(sorted(names), 1.0)
    )
    first = control or (next(iter(shares)) if split else "control")
    if first not in shares:
        raise UsageError(
            f"no arm is {first!r}; the table has {', '.join(map(repr, sorted(names)[:10]))}.",
            why="an effect is the treatment less the control",
            hint=f"control={min(names)!r}" if names else "look at the column of arms",
        )
    if len(shares) < 2:
        raise UsageError("there is one arm only.", hint='split={"control": 0.5, "treatment": 0.5}')
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < float("inf"):
            raise UsageError(f"split: the share of {name!r} is {share!r}, and must be over 0.")
    return {first: shares[first], **shares}


def _judge(
    found: Summary,
    columns: Columns,
    plan: Design,
    control: str | None,
    split: Mapping[str, float] | None,
    nan: str,
    past: Sequence[float] | None,
    test: str,
) -> list[ExperimentResult]:
    shares = _arms(found, control, split)
    n = {name: found.arms[name].n if name in found.arms else 0 for name in shares}
    wrong = checks.known_arms(list(found.arms), list(shares))
    if wrong is not None:
        return [outcome.invalid(plan, [wrong], n, test=test)]
    ran = _trust(found, columns, shares, n, nan)
    notes = _notes(found, columns, n, has_split=split is not None)
    base = next(iter(shares))
    made = []
    for name in list(shares)[1:]:
        label = plan.metric if len(shares) == 2 else f"{plan.metric} [{name}]"
        wanted = replace(plan, metric=label, ratio=shares[name] / shares[base])
        of_pair, said = [*ran, *_of_pair(found, columns, base, name, wanted)], list(notes)
        pair = {arm: n[arm] for arm in (base, name)}
        try:
            evidence, more = _evidence(found, columns, base, name)
        except means.ConstantArms as error:
            bad = contradiction(str(error), "BUG306", "constant-arms")
            made.append(outcome.invalid(wanted, [*of_pair, bad], pair, test=test))
            continue
        except ValueError as error:
            made.append(outcome.invalid(wanted, [*of_pair, contradiction(str(error))], pair, test=test))
            continue
        made.append(
            outcome.judge(
                evidence,
                wanted,
                checks=of_pair,
                past=past,
                arms=(base, name),
                test=test,
                notes=[*said, *more],
            )
        )
    return made


def _trust(
    found: Summary, columns: Columns, shares: Mapping[str, float], n: dict[str, int], nan: str
) -> list[ExperimentCheck]:
    """Return the checks of the table as a whole."""
    ran = [checks.sample_ratio(n, shares)]
    if columns.unit is not None:
        ran.append(checks.in_two_arms(found.crossed, found.units))
    if found.varying:
        text = f"{columns.covariate!r} varies within {found.varying:,} units: it was not fixed before the exposure"
        ran.append(contradiction(text, "BUG305", "arms-differ-before"))
    missing = {name: found.arms[name].missing for name in shares}
    if any(missing.values()):
        if nan == "omit":
            ran.append(checks.missingness(missing, n))
        else:
            text = ", ".join(f"{arm} {many:,} of {n[arm]:,}" for arm, many in missing.items())
            ran.append(
                contradiction(
                    f"{columns.metric!r} is missing: {text}; nan='omit' leaves them out and checks them"
                )
            )
    return ran


def _notes(found: Summary, columns: Columns, n: Mapping[str, int], *, has_split: bool) -> list[str]:
    notes = []
    if not has_split:
        notes.append("no split= was given: the arms are to be of equal size")
    if columns.unit is not None and found.ratio and columns.denominator is None:
        notes.append(
            f"{found.rows:,} rows of {found.units:,} units: the mean of a row, with the variance between units"
        )
    if columns.unit is None:
        notes.append("a row counts as a unit: name the unit of randomisation with unit= where it is not")
    without = {arm: found.arms[arm].without_covariate for arm in n} if columns.covariate else {}
    if any(without.values()):
        notes.append(
            "without a covariate, and not adjusted: " + ", ".join(f"{a} {m:,}" for a, m in without.items())
        )
    return notes


def _of_pair(found: Summary, columns: Columns, base: str, name: str, plan: Design) -> list[ExperimentCheck]:
    """Return the checks that compare two arms."""
    empty = Moments(0, 0.0, 0.0)
    ran = []
    control, treatment = found.arms[base].moments, found.arms[name].moments
    if columns.covariate is not None and min(control.x.n, treatment.x.n) > 1:
        ran.append(checks.balance(columns.covariate, control.x, treatment.x))
    for column, rows in found.segments.items():
        pairs = {key: (arms.get(base, empty), arms.get(name, empty)) for key, arms in rows.items()}
        ran.append(checks.paradox(column, pairs, shares=found.shares, alpha=plan.alpha))
    if found.days:
        by_day = {key: (arms.get(base, empty), arms.get(name, empty)) for key, arms in found.days.items()}
        ran.append(novelty.fading(by_day, plan, plan.alpha))
    return ran


def _evidence(found: Summary, columns: Columns, base: str, name: str) -> tuple[Evidence, list[str]]:
    control, treatment = found.arms[base].moments, found.arms[name].moments
    kind: Literal["mean", "ratio"] = "ratio" if found.ratio else "mean"
    if columns.covariate is not None:
        adjusted = cuped.adjust(control, treatment)
        method = "delta method, CUPED" if found.ratio else "Welch on CUPED"
        made = means.evidence_of(
            adjusted.control, adjusted.treatment, kind=kind, method=method, contrast=adjusted.contrast
        )
        return made, [cuped.note(adjusted)]
    if found.shares:
        counts = [(round(arm.y.mean * arm.y.n), arm.y.n) for arm in (control, treatment)]
        return proportions.evidence_of(
            proportions.whole_counts(base, counts[0]), proportions.whole_counts(name, counts[1])
        ), []
    return means.evidence_of(
        control.y, treatment.y, kind=kind, method="delta method" if found.ratio else "Welch"
    ), []
