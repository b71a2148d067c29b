"""The report of a repository's delivery: each figure with its n, and what it rests on.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.terminal import MOST_TEXT, Line, Style
from pytest_bugsle.report.verdicts import Row, cause_rows, gate_rows, tier_rows
from pytest_bugsle.report.words import VERDICTS, plural, short, sorted_findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_bugsle.results import (
        DeliveryFigures,
        Durations,
        Failure,
        FailureRate,
        RepositoryDelivery,
        Result,
    )

#: How many points of a trend are shown.
MOST_POINTS = 24
_BRIEF = 5
_NAME = 22
_HOUR, _DAY = 3600, 86_400


def delivery_lines(
    result: Result, verbosity: int = 0, *, tiers: bool = False, remarks: Sequence[str] = ()
) -> list[Line]:
    """Return the lines of a report on delivery: below 0 the figures alone, above 0 the trend, too.

    `remarks` are to be read with `tiers`.
    """
    lines: list[Line] = []
    if not isinstance(result.delivery, msgspec.UnsetType):
        shown = result.delivery
        for one in shown.repositories:
            lines += [_line(*row) for row in _repository(one, verbosity)]
            if tiers:
                lines += _rows(tier_rows(one.tiers, remarks))
        if shown.pooled is not None and len(shown.repositories) > 1:
            words = {_word(one) for one in shown.repositories}
            word = words.pop() if len(words) == 1 else "deployment"
            title = f"all {_rows_word(shown.repositories)} together, pooled: {_released(shown.pooled, word)}"
            lines.append(_line(title))
            lines += [_line(*row) for row in _figures(shown.pooled, verbosity, word)]
            if tiers:
                lines += _rows(tier_rows(shown.pooled.tiers, remarks))
    for note in result.notes:
        lines += [
            _line(f"note: {text}" if not number else text, "yellow")
            for number, text in enumerate(note.splitlines())
        ]
    lines += [
        _line(text, "red" if finding.level == "error" else "yellow")
        for finding in sorted_findings(result)
        for text in (f"{finding.rule} {finding.message}", f"  {finding.help}")
    ]
    if result.verdict != "pass":
        lines.append(_line(VERDICTS[result.verdict], "red" if result.verdict == "fail" else "yellow"))
    return lines


def brief_lines(result: Result) -> list[Line]:
    """Return the figures in at most five lines: of the one repository, or of all together."""
    lines: list[Line] = []
    if not isinstance(result.delivery, msgspec.UnsetType):
        shown = result.delivery
        figures: DeliveryFigures | None = shown.pooled
        title, word = f"all {_rows_word(shown.repositories)} together: ", "deployment"
        if len(shown.repositories) == 1:
            figures = one = shown.repositories[0]
            word = _word(one)
            title = (
                f"{one.repository} at {short(one.head)}, {one.window.since[:10]} to {one.window.until[:10]}: "
            )
        if figures is not None:
            lines.append(_line(title + _released(figures, word)))
            # Each rung by itself stands further in, and is for who has more than five lines.
            lines += [_line(*row) for row in _figures(figures, -1, word) if not row[0].startswith("   ")]
    # What is missing comes before what would be a sixth line.
    notes = [_line(f"note: {note.splitlines()[0]}", "yellow") for note in result.notes if note]
    return [*lines[: _BRIEF - min(len(notes), 1)], *notes][:_BRIEF]


def span(seconds: float) -> str:
    """Return seconds as a person says them: `50.2 days`, `3.1 hours`, `12 minutes`."""
    size = abs(seconds)
    if size >= 2 * _DAY:
        return f"{seconds / _DAY:,.1f} days"
    if size >= 2 * _HOUR:
        return f"{seconds / _HOUR:.1f} hours"
    if size >= 120:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} s"


def _rows(rows: Iterable[Row]) -> list[Line]:
    return [_line(_row(name, text), style) for name, text, style in rows]


def _line(text: str, style: Style | None = None) -> Line:
    return Line(for_terminal(text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"), style)


def _repository(one: RepositoryDelivery, verbosity: int) -> Iterator[tuple[str, Style | None]]:
    yield (
        f"{one.repository} at {short(one.head)}, {one.window.since[:10]} to {one.window.until[:10]}: {_released(one, _word(one))}",
        None,
    )
    yield from _figures(one, verbosity, _word(one))
    if one.gate is not None:
        yield from ((_row(name, text), style) for name, text, style in gate_rows(one.gate))
    if one.causes is not None:
        yield from ((_row(name, text), style) for name, text, style in cause_rows(one.causes, span))
    if verbosity >= 0:
        reverts = one.reverts
        if verbosity > 0 and reverts.either:
            named = f"{reverts.body} name a commit, {reverts.subject} say so in the subject"
            out = f"{reverts.crossing} of a commit that was out already"
            yield f"  reverts, all of HEAD: {reverts.either} ({named}), {out}", "dim"
        for note in one.notes:
            yield f"  note: {note}", "yellow"
    if verbosity > 0:
        hidden = len(one.trend) - MOST_POINTS
        if hidden > 0:
            yield (
                f"  the newest {MOST_POINTS} of {len(one.trend)} points of the trend; the JSON report has all",
                "dim",
            )
        for point in one.trend[-MOST_POINTS:]:
            yield (
                f"  {point.period:<{_NAME}}{plural(point.releases, _word(one))}, {_median(point.lead_time)}",
                None,
            )


def _rows_word(shown: Sequence[RepositoryDelivery]) -> str:
    """Say how many of what: one repository may have several rows."""
    parts = all(one.component is not None for one in shown)
    return f"{len(shown)} {'components' if parts else 'repositories'}"


def _word(one: RepositoryDelivery) -> str:
    return "release" if one.deployed_by == "tags" else "deployment"


def _released(shown: DeliveryFigures, word: str) -> str:
    return f"{plural(shown.releases, word)}, {plural(shown.commits, 'commit')}"


def _figures(shown: DeliveryFigures, verbosity: int, word: str) -> Iterator[tuple[str, Style | None]]:
    often = shown.deployment_frequency
    if often.per_30_days is None or often.interval is None:
        yield _row("deployment frequency", "no time to count in"), "yellow"
    else:
        low, high = often.interval
        yield (
            _row(
                "deployment frequency",
                f"{often.per_30_days:.2f} in 30 days ({plural(often.deployments, word)} in {often.days:,.0f} days; "
                f"95 % interval {low:.2f} to {high:.2f})",
            ),
            None,
        )
    lead = shown.lead_time
    yield _row("lead time", _quantiles(lead)), None if lead.n else "yellow"
    if verbosity > 0 and lead.n:
        yield _row("  by commit date", _quantiles(shown.lead_time_by_commit_date)), "dim"
        yield _row("  author → mainline", _quantiles(shown.author_to_mainline)), "dim"
        yield _row("  mainline → release", _quantiles(shown.mainline_to_release)), "dim"
    yield from _failures(shown, word, verbosity)
    if shown.unreleased:
        age = shown.unreleased_age
        waits = (
            f", median age {span(age.median_seconds)} (n = {age.n})" if age.median_seconds is not None else ""
        )
        yield _row("unreleased", f"{plural(shown.unreleased, 'commit')}{waits}"), None
    still = shown.lead_time_with_unreleased
    if verbosity > 0 and still.n > still.released and still.median_seconds is not None:
        text = f"median {span(still.median_seconds)} (n = {still.n}, {still.n - still.released} not out yet)"
        yield _row("  counted as waiting", text), "dim"


def _row(name: str, text: str) -> str:
    return f"  {name:<{_NAME}}{text}"


def _median(values: Durations) -> str:
    if values.median_seconds is None:
        return "no lead time"
    return f"median {span(values.median_seconds)} (n = {values.n})"


def _quantiles(values: Durations) -> str:
    if values.median_seconds is None or values.p25_seconds is None:
        return "none (n = 0)"
    assert values.p75_seconds is not None
    assert values.p90_seconds is not None
    negative = f", {values.negative} negative" if values.negative else ""
    return (
        f"median {span(values.median_seconds)}, half between {span(values.p25_seconds)} and {span(values.p75_seconds)}, "
        f"9 of 10 below {span(values.p90_seconds)} (n = {values.n}{negative})"
    )


def _failures(shown: DeliveryFigures, word: str, verbosity: int) -> Iterator[tuple[str, Style | None]]:
    """Give a row a rung, all of them together first, and what became of the failures."""
    rates = shown.change_failure
    together = rates.get("any")
    if together is not None:
        yield _row("failed", _rate(together, word)), None
    for rung, rate in rates.items():
        if rung != "any" and rate.asked:
            yield _row(f"  by {rung}", _rate(rate, word)), "dim"
        if verbosity > 0 and (again := shown.recovery.get(rung)) is not None and again.n:
            yield _row("    recovery" if rung != "any" else "  recovery", _quantiles(again)), "dim"
    missing = [
        f"{rung} ({_SOURCES[rung]})" for rung, rate in rates.items() if not rate.asked and rung in _SOURCES
    ]
    if missing and verbosity >= 0:
        yield _row("  not asked", ", ".join(missing)), "dim"
    if shown.young:
        failed = f", {shown.young_failed} of them failed already" if shown.young_failed else ""
        yield _row("  too young to count", f"{plural(shown.young, word)}{failed}"), "dim"
    again = shown.recovery.get("any")
    if again is not None and (again.n or again.open):
        still = f"; {again.open} not mended yet" if again.open else ""
        yield _row("recovery", _quantiles(again) + still), None
    if shown.rework.rate is not None and shown.rework.interval is not None:
        yield (
            _row(
                "rework",
                f"{shown.rework.reworked} of {plural(shown.rework.deployments, word)} only repair "
                f"({_percent(shown.rework.rate, shown.rework.interval)})",
            ),
            None,
        )
    held = shown.guarded
    known = held.guarded + held.unguarded
    if held.share is not None and held.interval is not None:
        unknown = f"; of {held.unknown} more nothing is known" if held.unknown else ""
        text = (
            f"{held.guarded} of {plural(known, 'failure')} ({_percent(held.share, held.interval)}){unknown}"
        )
        yield _row("guarded", text), None
    elif held.unknown:
        yield _row("guarded", f"nothing is known of {plural(held.unknown, 'failure')} (--prove)"), "dim"


def explain_lines(result: Result, deployment: str | None = None) -> list[Line]:
    """Return every failure with its evidence, or those of one deployment."""
    if isinstance(result.delivery, msgspec.UnsetType):
        return []
    lines: list[Line] = []
    for one in result.delivery.repositories:
        shown = [each for each in one.failures if deployment in {None, each.deployment}]
        about = "" if deployment is None else f" of {deployment}"
        lines.append(_line(f"failures{about} in {one.repository}: {len(shown) or 'none is known'}"))
        last = None
        for failure in shown:
            if failure.deployment != last:
                last = failure.deployment
                lines.append(_line(f"  {last}{'' if failure.counted else ' (too young to count)'}"))
            lines.append(_line(f"    {failure.rung:<14} {_link(failure)}"))
            lines.append(_line(f"    {'':<14} {failure.evidence}", "dim"))
    return lines


def _link(failure: Failure) -> str:
    cause = short(failure.cause) if failure.cause else "unknown cause"
    by = f" by {short(failure.fix)}" if failure.fix else ""
    mended = (
        f"mended in {failure.fixed_in}{by}"
        if failure.fixed_in
        else f"not mended yet{by and f', {by[4:]} waits'}"
    )
    guard = f", {failure.guarded}" if failure.fix else ""
    return f"{cause}, {mended}{guard}{', weak' if failure.weak else ''}"


_SOURCES = {
    "incident": "no record in postmortems/",
    "patch-release": "no version in a name",
    "szz": "--szz",
}


def _rate(rate: FailureRate, word: str) -> str:
    if rate.rate is None or rate.interval is None:
        return f"no {word} (n = 0)"
    return f"{rate.failed} of {plural(rate.deployments, word)} ({_percent(rate.rate, rate.interval)})"


def _percent(share: float, interval: tuple[float, float]) -> str:
    return f"{100 * share:.1f} %; 95 % interval {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
