"""The report of a repository's delivery: each figure with its n, and what it rests on.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.terminal import MOST_TEXT, Line, Style
from pytest_bugsle.report.words import VERDICTS, plural, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_bugsle.results import DeliveryFigures, Durations, FailureRate, RepositoryDelivery, Result

#: How many points of a trend are shown.
MOST_POINTS = 24
_NAME = 22
_HOUR, _DAY = 3600, 86_400


def delivery_lines(result: Result, verbosity: int = 0) -> list[Line]:
    """Return the lines of a report on delivery: below 0 the figures alone, above 0 the trend, too."""
    lines: list[Line] = []
    if not isinstance(result.delivery, msgspec.UnsetType):
        shown = result.delivery
        for one in shown.repositories:
            lines += [_line(*row) for row in _repository(one, verbosity)]
        if shown.pooled is not None and len(shown.repositories) > 1:
            title = f"all {len(shown.repositories)} repositories together, pooled: {_released(shown.pooled)}"
            lines.append(_line(title))
            lines += [_line(*row) for row in _figures(shown.pooled, verbosity)]
    for note in result.notes:
        lines += [
            _line(f"note: {text}" if not number else text, "yellow")
            for number, text in enumerate(note.splitlines())
        ]
    if result.verdict != "pass":
        lines.append(_line(VERDICTS[result.verdict], "yellow"))
    return lines


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


def _line(text: str, style: Style | None = None) -> Line:
    return Line(for_terminal(text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"), style)


def _repository(one: RepositoryDelivery, verbosity: int) -> Iterator[tuple[str, Style | None]]:
    yield (
        f"{one.repository} at {short(one.head)}, {one.window.since[:10]} to {one.window.until[:10]}: {_released(one)}",
        None,
    )
    yield from _figures(one, verbosity)
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
                f"  {point.period:<{_NAME}}{plural(point.releases, 'release')}, {_median(point.lead_time)}",
                None,
            )


def _released(shown: DeliveryFigures) -> str:
    return f"{plural(shown.releases, 'release')}, {plural(shown.commits, 'commit')}"


def _figures(shown: DeliveryFigures, verbosity: int) -> Iterator[tuple[str, Style | None]]:
    often = shown.deployment_frequency
    if often.per_30_days is None or often.interval is None:
        yield _row("deployment frequency", "no time to count in"), "yellow"
    else:
        low, high = often.interval
        yield (
            _row(
                "deployment frequency",
                f"{often.per_30_days:.2f} in 30 days ({plural(often.deployments, 'release')} in {often.days:,.0f} days; "
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
    for rung, rate in shown.change_failure.items():
        yield _row(f"failed, by {rung}", _rate(rate)), None
        again = shown.recovery.get(rung)
        if again is not None and again.n:
            yield _row("  recovery", _quantiles(again)), None
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
        f"median {span(values.median_seconds)}, half within {span(values.p25_seconds)} to {span(values.p75_seconds)}, "
        f"9 of 10 below {span(values.p90_seconds)} (n = {values.n}{negative})"
    )


def _rate(rate: FailureRate) -> str:
    if rate.rate is None or rate.interval is None:
        return "no release (n = 0)"
    low, high = rate.interval
    return (
        f"{rate.failed} of {plural(rate.deployments, 'release')} ({100 * rate.rate:.1f} %; "
        f"95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    )
