"""What stands below the figures of delivery: the gate's answers, tiers and causes.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_bugsle.report.words import VERDICTS, plural

if TYPE_CHECKING:
    from pytest_bugsle.report.terminal import Style
    from pytest_bugsle.results import DeliveryCauses, DeliveryGate, FailingFolder, FlakyGuard, Tier, Wait

Row = tuple[str, str, "Style | None"]
"""A name ('' where it goes on), what is said of it, and how."""
_STYLES: Mapping[str, Style] = {"pass": "green", "fail": "red", "undecided": "yellow"}
_FIGURES: Mapping[str, str] = {
    "deployment-frequency": "deployment frequency",
    "lead-time": "lead time",
    "change-failure-rate": "change failure rate",
    "recovery": "recovery",
}
_HOUR, _DAY = 3600, 86_400


def gate_rows(gate: DeliveryGate) -> Iterator[Row]:
    """Yield a row a question, and which windows were compared."""
    for question in gate.questions:
        yield f"gate: {VERDICTS[question.answer]}", question.says, _STYLES[question.answer]
    if any(question.asked == "trend" for question in gate.questions):
        windows = f"{gate.window[0][:10]} to {gate.window[1][:10]} after {gate.earlier[0][:10]} to {gate.earlier[1][:10]}"
        yield "", f"{windows}, each deployment watched for {gate.watched_days:g} days", "dim"


def tier_rows(tiers: Sequence[Tier], remarks: Sequence[str]) -> Iterator[Row]:
    """Yield a row a figure with its n and interval, and below it where it lies in each table."""
    for figure, those in groupby(tiers, key=lambda tier: tier.figure):
        listed = list(those)
        one = listed[0]
        value, low, high = (_value(figure, number) for number in (one.value, *one.interval))
        yield "tiers", f"{_FIGURES[figure]} {value} (n = {one.n}, 95 % interval {low} to {high})", None
        yield "", "; ".join(f"{tier.table}: {' or '.join(tier.names)}" for tier in listed), None
    for remark in remarks:
        yield "", remark, "dim"


def cause_rows(causes: DeliveryCauses, span: Callable[[float], str]) -> Iterator[Row]:
    """Yield what waits longest, what fails where, which fixes brought a test, and the suite's duration."""
    if causes.whole is not None:
        yield "why: the way", _way(causes.whole, span), None
    for title, waits in (("why: folders", causes.folders), ("why: kinds", causes.kinds)):
        for number, wait in enumerate(waits[:5]):
            yield title if not number else "", f"{wait.name}: {_way(wait, span)}", None
    if causes.folders or causes.kinds:
        yield "", f"the longest first, of those with {causes.least} commits and more; not tested", "dim"
    for number, folder in enumerate(causes.failing[:5]):
        text, style = _failing(folder, span)
        yield "why: failures" if not number else "", text, style
    if causes.interval is not None and causes.share is not None:
        low, high = causes.interval
        text = (
            f"{causes.fixes_with_test} of {plural(causes.fixes, 'fix', 'fixes')} changed a test with it "
            f"({100 * causes.share:.0f} %; 95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
        )
        yield "why: fixes", text, None
    if causes.suite:
        first, last = causes.suite[0], causes.suite[-1]
        text = f"median run {span(last.median_seconds)} in {last.period} (n = {last.runs})"
        if first is not last:
            text += f", {span(first.median_seconds)} in {first.period} (n = {first.runs})"
        yield "why: the suite", text, None
    if causes.flaky_guards is not None:
        for number, guard in enumerate(causes.flaky_guards[:5]):
            yield "why: flaky guards" if not number else "", _flaky_guard(guard), "yellow"
        if not causes.flaky_guards:
            yield (
                "why: flaky guards",
                "none of the ledger's passed and failed at one version of the code",
                "dim",
            )


def _flaky_guard(guard: FlakyGuard) -> str:
    return (
        f"{guard.test}: passed and failed at {plural(guard.versions, 'version')} of the code, in {guard.broken} of "
        f"{plural(guard.runs, 'run')}; it guards {plural(len(guard.fixes), 'fix', 'fixes')}"
    )


def _failing(folder: FailingFolder, span: Callable[[float], str]) -> tuple[str, Style | None]:
    text = f"{folder.folder}: {folder.failed} of {plural(folder.deployments, 'deployment')} that changed it failed"
    if folder.median_recovery is not None:
        text += f", recovery {span(folder.median_recovery)} (n = {folder.recovered})"
    who = plural(folder.people, "person", "people")
    text += f"; {who} changed it in a year" + (": a risk" if folder.people == 1 else "")
    if folder.hotspots:
        hot = folder.hotspots[0]
        text += f"; hotspot {hot.path} ({plural(hot.changes, 'change')}, {plural(hot.fixes, 'fix', 'fixes')})"
    return text, "yellow" if folder.people == 1 else None


def _way(wait: Wait, span: Callable[[float], str]) -> str:
    return (
        f"median {span(wait.median_seconds)} (n = {wait.n}): {span(wait.author_to_mainline)} to the mainline, "
        f"{span(wait.mainline_to_release)} from there"
    )


def _value(figure: str, value: float) -> str:
    if figure == "deployment-frequency":
        return f"{value:.2f} in 30 days"
    if figure == "change-failure-rate":
        return f"{100 * value:.1f} %"
    return f"{value / _DAY:.1f} days" if abs(value) >= 2 * _DAY else f"{value / _HOUR:.1f} hours"
