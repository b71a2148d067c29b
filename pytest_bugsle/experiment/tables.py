"""One table judged: checks first, then each treatment's effect, then the guardrails.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import (
    calibration,
    checks,
    cuped,
    dealing,
    heavy_tails,
    means,
    novelty,
    outcome,
    proportions,
    segment_sums,
)
from pytest_bugsle.experiment import segments as segmented
from pytest_bugsle.experiment.arguments import check_shapes
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.evidence import Evidence
from pytest_bugsle.experiment.gather import Columns, Summary, Table, summarise
from pytest_bugsle.experiment.judging import contradiction
from pytest_bugsle.experiment.looks import Memory
from pytest_bugsle.experiment.measures import Measure, cut_note
from pytest_bugsle.results import ExperimentCheck, ExperimentResult
from pytest_bugsle.stats.moments import Moments

_GUARDRAIL_KEYS = ("margin", "margin_difference", "direction", "alpha", "quantile", "method", "winsorise")


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
    quantile: float | None = None,
    method: Literal["welch", "rank", "bootstrap"] = "welch",
    winsorise: float | tuple[float, float] | None = None,
    aa: int = 0,
    past: Memory | None = None,
    test: str = "",
    **design: Any,
) -> list[ExperimentResult]:
    """Judge a metric of a table and its guardrails: a result for each, and for each treatment.

    `arm`, `metric`, `unit`, `denominator`, `covariate`, `segments` and `day` name columns. `split` is the designed
    share of each arm, the control first unless `control` says otherwise; without it the arms are to be equal.
    `nan="omit"` leaves out units without a metric and checks that they lack alike in all arms. `quantile` compares
    that quantile, `method` ranks or a resampled mean, `winsorise` cuts the values beyond these shares of all units.
    `aa` deals the units anew to the arms so many times, and checks that the p-values are uniform then. The other
    arguments are Design's. UsageError for a table or a design that is none.
    """
    if nan not in ("refuse", "omit"):
        raise UsageError(f"nan is {nan!r}.", hint="nan='refuse' or nan='omit'")
    segments = [segments] if isinstance(segments, str) else segments or ()
    columns_given = {
        "arm": arm,
        "metric": metric,
        "unit": unit,
        "denominator": denominator,
        "covariate": covariate,
        "day": day,
    }
    check_shapes({**columns_given, "segments": segments, "split": split, "guardrails": guardrails})
    plan = Design(**{"metric": metric, **design})
    if metric in (guardrails or {}):
        raise UsageError(
            f"guardrail {metric!r} is the metric itself.",
            why="both would be looks at one metric of the experiment",
            hint="judge it in a test of its own, with role='guardrail'",
        )
    rails = [_guardrail(name, wanted, plan) for name, wanted in (guardrails or {}).items()]
    measure = Measure.of(quantile, method, winsorise)
    measure.check(plan)
    _check_measure(measure, denominator, covariate, segments, day)
    read = table if isinstance(table, Table) else Table(table)
    columns = Columns(
        arm=arm,
        metric=metric,
        unit=unit,
        denominator=denominator,
        covariate=covariate,
        segments=tuple(segments),
        day=day,
        measure=measure,
    )
    made: list[ExperimentResult] = []
    for chosen, wanted in [(columns, plan), *((_of(columns, name, how), rail) for name, how, rail in rails)]:
        try:
            found = summarise(read, chosen)
        except ValueError as error:
            bad = contradiction(f"column {chosen.metric!r}: {error}")
            made.append(outcome.invalid(wanted, [bad], test=test))
            continue
        deal, within = _dealing(read, chosen, found, aa), _within(read, chosen, found)
        made += _judge(found, chosen, wanted, control, split, nan, past, test, deal, within)
    read.unchanged()
    return made


def _dealing(
    table: Table, columns: Columns, found: Summary, times: int
) -> Callable[[str, str], list[ExperimentCheck]]:
    """Return what checks a pair of arms by dealing their units anew; nothing where that was not asked for."""

    def check(base: str, name: str) -> list[ExperimentCheck]:
        if not times:
            return []
        if table.is_remote or columns.measure != Measure():
            return [
                ExperimentCheck(
                    name="p-values-not-uniform",
                    outcome="pass",
                    message="not dealt anew: that needs units at hand, and plain means, shares or ratios of them",
                )
            ]
        groups = dealing.groups_of(table, columns, (base, name), shares=found.shares, ratio=found.ratio)
        n = [found.arms[arm].moments.y.n for arm in (base, name)]
        return [calibration.calibrated(groups, n, times)]

    if times:
        calibration.check_times(times)
    return check


def _check_measure(
    measure: Measure, denominator: str | None, covariate: str | None, segments: Sequence[str], day: str | None
) -> None:
    """Raise UsageError for what is made of means alone."""
    given = {"covariate": covariate, "segments": segments, "day": day}
    if measure.quantile is not None:
        given["denominator"] = denominator
    for name, value in given.items():
        if value and not measure.is_mean:
            what = "quantile" if measure.quantile is not None else f"method={measure.method!r}"
            raise UsageError(
                f"{name} and {what} are both given.",
                why=f"what {name} adds is computed of means",
                hint="judge the mean in a call of its own, with role='exploratory' where it decides nothing",
            )


def _within(
    table: Table, columns: Columns, found: Summary
) -> Callable[[str, str], list[segmented.Segmented]]:
    """Return what gives the segments of a pair of arms."""

    def rows(base: str, name: str) -> list[segmented.Segmented]:
        if found.ratio:
            return segment_sums.ratio_segments(table, columns, (base, name))
        return segmented.rows_of(found.segments, (base, name))

    return rows


def _of(columns: Columns, metric: str, measure: Measure) -> Columns:
    return Columns(arm=columns.arm, metric=metric, unit=columns.unit, measure=measure)


def _guardrail(name: str, wanted: Mapping[str, Any], plan: Design) -> tuple[str, Measure, Design]:
    unknown = [key for key in wanted if key not in _GUARDRAIL_KEYS]
    if unknown:
        raise UsageError(
            f"guardrail {name!r}: there is no {unknown[0]!r}.", hint=f"there are {', '.join(_GUARDRAIL_KEYS)}"
        )
    margins = {key: wanted[key] for key in ("margin", "margin_difference") if key in wanted}
    if len(margins) != 1 or not all(
        isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        for value in margins.values()
    ):
        raise UsageError(
            f"guardrail {name!r} needs one margin over 0, and has {margins or 'none'}.",
            hint='{"margin": 0.01} is relative to control, {"margin_difference": 5} absolute',
        )
    measure = Measure.of(wanted.get("quantile"), wanted.get("method", "welch"), wanted.get("winsorise"))
    made = Design(
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
    measure.check(made)
    return name, measure, made


def _arms(found: Summary, control: str | None, split: Mapping[str, float] | None) -> dict[str, float]:
    """Return the designed shares, control first; UsageError where nothing says which the control is."""
    names = [str(name) for name in found.arms if name is not None]
    shares = (
        {_arm_name(name): share for name, share in split.items()}
        if split
        else dict.fromkeys(sorted(names), 1.0)
    )
    first = _arm_name(control) if control is not None else next(iter(shares)) if split else "control"
    if first not in shares:
        raise UsageError(
            f"no arm is {first!r}; the table has {', '.join(map(repr, sorted(names)[:10]))}.",
            why="an effect is the treatment less the control",
            hint=f"control={min(names)!r}" if names else "look at the column of arms",
        )
    if len(shares) < 2:
        why = f"{found.crossed:,} units are in several, and count for the first" if found.crossed else ""
        raise UsageError("there is one arm only.", why=why, hint='split={"control": 0.5, "treatment": 0.5}')
    return {first: shares[first], **shares}


def _arm_name(name: object) -> str:
    """Return an arm's name as the table's engine writes it."""
    return str(name).lower() if isinstance(name, bool) else str(name)


def _judge(
    found: Summary,
    columns: Columns,
    plan: Design,
    control: str | None,
    split: Mapping[str, float] | None,
    nan: str,
    past: Memory | None,
    test: str,
    deal: Callable[[str, str], list[ExperimentCheck]],
    within: Callable[[str, str], list[segmented.Segmented]],
) -> list[ExperimentResult]:
    shares = _arms(found, control, split)
    n = {name: found.arms[name].n if name in found.arms else 0 for name in shares}
    wrong = checks.known_arms(list(found.arms), list(shares))
    if wrong is not None:
        return [outcome.invalid(plan, [wrong], n, test=test)]
    ran = _trust(found, columns, shares, n, nan, repeated=plan.is_repeated)
    notes = _notes(found, columns, n, has_split=split is not None)
    base = next(iter(shares))
    made = []
    for name in list(shares)[1:]:
        label = plan.metric if len(shares) == 2 else f"{plan.metric} [{name}]"
        wanted = replace(plan, metric=label, ratio=shares[name] / shares[base])
        of_pair, said = [*ran, *_of_pair(found, columns, base, name, wanted), *deal(base, name)], list(notes)
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
                segments=segmented.effects_of(
                    within(base, name), (base, name), shares=found.shares, alpha=plan.alpha
                ),
            )
        )
    return made


def _trust(
    found: Summary,
    columns: Columns,
    shares: Mapping[str, float],
    n: dict[str, int],
    nan: str,
    *,
    repeated: bool,
) -> list[ExperimentCheck]:
    """Return the checks of the table as a whole."""
    ran = [checks.sample_ratio(n, shares, repeated=repeated)]
    if columns.unit is not None:
        ran.append(checks.in_two_arms(found.crossed, found.units))
    if found.nameless:
        text = f"{found.nameless:,} rows have no {columns.unit!r}: nothing says whose they are"
        ran.append(contradiction(text))
    if any(copied for copied, _ in found.copies.values()):
        ran.append(checks.copied_rows({arm: found.copies.get(arm, (0, 0)) for arm in shares}))
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
    if any(copied for copied, _ in found.copies.values()):
        many = ", ".join(f"{arm} {found.copies.get(arm, (0, 0))[0]:,}" for arm in n)
        notes.append(f"rows that repeat another in all columns: {many}; an export that ran twice makes such")
    if found.tails.bounds is not None:
        notes.append(cut_note(found.tails.bounds, {arm: found.tails.cut.get(arm, 0) for arm in n}, dict(n)))
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
    if found.days and plan.margin is None:
        by_day = {key: (arms.get(base, empty), arms.get(name, empty)) for key, arms in found.days.items()}
        ran.append(novelty.fading(by_day, plan, plan.alpha))
    return ran


def _evidence(found: Summary, columns: Columns, base: str, name: str) -> tuple[Evidence, list[str]]:
    measure, tails = columns.measure, found.tails
    if measure.quantile is not None:
        if base not in tails.orders or name not in tails.orders:
            raise ValueError("an arm has fewer than two values.")
        clustered = columns.unit is not None and found.rows > found.units
        return heavy_tails.of_quantiles(
            tails.orders[base], tails.orders[name], measure.quantile, clustered=clustered
        ), []
    if not measure.is_mean:
        return heavy_tails.evidence_of_values(measure, tails.values[base], tails.values[name]), []
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
