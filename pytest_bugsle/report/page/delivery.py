"""Delivery on the page: each figure with its n and interval, and its trend with the failures marked.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_bugsle.report.page.charts import Point, number
from pytest_bugsle.report.page.figures import Figure, Figures, duration, durations, percents
from pytest_bugsle.report.verdicts import Row, cause_rows, gate_rows, tier_rows
from pytest_bugsle.report.words import plural, short
from pytest_bugsle.results import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_bugsle.results import (
        DeliveryFigures,
        Durations,
        FailureRate,
        Frequency,
        Recovery,
        RepositoryDelivery,
        Result,
        TrendPoint,
    )

#: Fewer have no quarters.
_LEAST_QUARTERS = 4
_MONTH = re.compile(r"\d{4}-\d\d")


def groups(result: Result) -> list[Figures]:
    """Return the figures of each repository, those of all together first."""
    if not isinstance(result.delivery, Delivery):
        return []
    shown = result.delivery
    made = [_repository(one) for one in shown.repositories]
    if shown.pooled is not None and len(shown.repositories) > 1:
        title = f"All {len(shown.repositories)} repositories together"
        made.insert(
            0, Figures(title=title, detail=_read(shown.pooled), figures=tuple(_figures(shown.pooled, ())))
        )
    return made


def key_figures(result: Result) -> Iterator[tuple[str, str]]:
    """Yield name and value of lead time and frequency: of all repositories together, or of the only one."""
    shown = _whole(result)
    if shown is None or shown.lead_time.median_seconds is None:
        return
    yield "median lead time", duration(shown.lead_time.median_seconds)
    if shown.deployment_frequency.per_30_days is not None:
        yield "deployments in 30 days", number(shown.deployment_frequency.per_30_days)


def failure_figures(result: Result) -> Iterator[tuple[str, str, str]]:
    """Yield rung, name and value of each failure rate: of all repositories together, or of the only one."""
    shown = _whole(result)
    for rung, rate in shown.change_failure.items() if shown is not None else ():
        if rate.rate is not None:
            yield rung, f"failed, by {rung}", f"{rate.failed} of {rate.deployments}"


def _whole(result: Result) -> DeliveryFigures | None:
    if not isinstance(result.delivery, Delivery):
        return None
    if result.delivery.pooled is not None:
        return result.delivery.pooled
    return result.delivery.repositories[0] if len(result.delivery.repositories) == 1 else None


def _read(shown: DeliveryFigures) -> str:
    waiting = f", {plural(shown.unreleased, 'commit')} not deployed yet" if shown.unreleased else ""
    return f"{plural(shown.releases, 'deployment')}, {plural(shown.commits, 'commit')}{waiting}"


def _repository(one: RepositoryDelivery) -> Figures:
    window = f"{one.window.since[:10]} to {one.window.until[:10]} at {short(one.head)}: {_read(one)}"
    return Figures(
        title=one.repository,
        detail="; ".join([window, *one.notes]),
        figures=tuple(_figures(one, one.trend)),
        rows=tuple(_rows(one)),
    )


def _rows(one: RepositoryDelivery) -> Iterator[tuple[str, str]]:
    """Yield what the gate answers, where the figures lie in tables of tiers, and why they are so."""
    rows: list[Row] = list(gate_rows(one.gate)) if one.gate is not None else []
    rows += tier_rows(one.tiers, ())
    if one.causes is not None:
        rows += cause_rows(one.causes, duration)
    for name, text, _ in rows:
        yield name, text


def _figures(shown: DeliveryFigures, trend: Sequence[TrendPoint]) -> Iterator[Figure]:
    marks = [_failed(point) for point in trend]
    times = [
        Point(
            label=point.period,
            value=point.lead_time.median_seconds,
            low=point.lead_time.p25_seconds,
            high=point.lead_time.p75_seconds,
            n=point.lead_time.n,
            marks=failed,
        )
        for point, failed in zip(trend, marks, strict=True)
    ]
    points, unit = durations(times)
    said = _quantiles(shown.lead_time)
    yield Figure(
        title="Lead time for changes",
        now=_median(shown.lead_time),
        detail=f"{said}; bands are quartiles" if points else said,
        unit=unit,
        points=points,
    )
    counted = tuple(
        Point(label=point.period, value=point.releases, n=point.releases, marks=failed)
        for point, failed in zip(trend, marks, strict=True)
        if _MONTH.fullmatch(point.period)
    )
    yield Figure(
        title="Deployment frequency",
        now=_often(shown.deployment_frequency),
        detail=_counted(shown.deployment_frequency),
        points=counted,
    )
    for rung, rate in shown.change_failure.items():
        if rate.asked:
            yield _failures(rung, rate, trend, _recovered(shown.recovery.get(rung)))
    repaired = shown.rework
    if repaired.rate is not None:
        of = f"{repaired.reworked} of {plural(repaired.deployments, 'deployment')} only repair"
        yield Figure(
            title="Rework rate", now=f"{100 * repaired.rate:.1f} %", detail=of + _interval(repaired.interval)
        )
    held = shown.guarded
    known = held.guarded + held.unguarded
    if known or held.unknown:
        of = (
            f"{held.guarded} of {plural(known, 'failure')} whose fix was tried"
            if known
            else "no fix was tried"
        )
        more = f"; of {held.unknown} nothing is known" if held.unknown else ""
        share = f"{100 * held.share:.1f} %" if held.share is not None else "–"
        yield Figure(title="Guarded failures", now=share, detail=of + _interval(held.interval) + more)


def _recovered(again: Recovery | None) -> str:
    """Return how long it took to recover, and how many have not."""
    if again is None or not (again.n or again.open):
        return ""
    said = f"; recovery {_median(again)}, {_quantiles(again)}" if again.n else ""
    return said + (f"; {again.open} not mended yet" if again.open else "")


def _failures(rung: str, rate: FailureRate, trend: Sequence[TrendPoint], recovered: str) -> Figure:
    rates = [(point.period, point.change_failure[rung]) for point in trend if rung in point.change_failure]
    points, unit = percents(
        [
            Point(
                label=period,
                value=each.rate,
                low=each.interval[0] if each.interval else None,
                high=each.interval[1] if each.interval else None,
                n=each.deployments,
                marks=(f"{each.failed} of {each.deployments}",) if each.failed else (),
            )
            for period, each in rates
        ]
    )
    detail = f"{rate.failed} of {plural(rate.deployments, 'deployment')}"
    detail += _interval(rate.interval) + recovered
    now = f"{100 * rate.rate:.1f} %" if rate.rate is not None else "–"
    return Figure(title=f"Change failure rate, by {rung}", now=now, detail=detail, unit=unit, points=points)


def _interval(ends: tuple[float, float] | None) -> str:
    return f" (95 %: {100 * ends[0]:.1f} to {100 * ends[1]:.1f} %)" if ends is not None else ""


def _failed(point: TrendPoint) -> tuple[str, ...]:
    # What all rungs say together is said by each of them.
    return tuple(
        f"{rate.failed} of {rate.deployments} failed, by {rung}"
        for rung, rate in point.change_failure.items()
        if rate.failed and rung != "any"
    )


def _median(times: Durations) -> str:
    return duration(times.median_seconds) if times.median_seconds is not None else "–"


def _quantiles(times: Durations) -> str:
    text = f"median of {times.n}"
    if times.n < _LEAST_QUARTERS:
        return text
    if times.p25_seconds is not None and times.p75_seconds is not None and times.p90_seconds is not None:
        quarters = f"half between {duration(times.p25_seconds)} and {duration(times.p75_seconds)}"
        text += f"; {quarters}, 90 % within {duration(times.p90_seconds)}"
    return text + (f"; {times.negative} below zero" if times.negative else "")


def _often(often: Frequency) -> str:
    return f"{number(often.per_30_days)} in 30 days" if often.per_30_days is not None else "–"


def _counted(often: Frequency) -> str:
    text = f"{plural(often.deployments, 'deployment')} in {number(often.days)} days"
    if often.interval is not None:
        text += f" (95 %: {number(often.interval[0])} to {number(often.interval[1])})"
    return text
