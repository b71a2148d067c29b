"""The figures of delivery as rows of a table: of this run, or of a report that another version wrote.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.report.escape import for_markdown
from pytest_bugsle.report.words import VERDICTS, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_bugsle.results import Result


def plain_tables(result: Result) -> Mapping[str, Any]:
    """Return the delivery figures as plain tables; empty in a run that has none."""
    delivery = msgspec.to_builtins(getattr(result, "delivery", None) or None)
    return delivery if isinstance(delivery, dict) else {}


def delivery_lines(delivery: Mapping[str, Any]) -> list[str]:
    """Return a Markdown table of `delivery.pooled`, each figure with what it was made from; empty without any.

    Below the figures stands what the gate was asked of each repository.
    """
    rows = [*figure_rows(delivery), *_gate_rows(delivery)]
    shown = [f"| {for_markdown(name)} | {value} | {for_markdown(of)} |" for name, value, of in rows]
    return ["", "### Delivery", "", "| figure | value | from |", "|---|---|---|", *shown] if shown else []


def figure_rows(delivery: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return name, value and origin of each figure that is there."""
    pooled = table(delivery, "pooled")
    rows = _duration_rows("lead time for changes", table(pooled, "lead_time"), "commit")
    frequency = table(pooled, "deployment_frequency")
    if (often := number(frequency, "per_30_days")) is not None:
        of = f"{frequency.get('deployments')} in {number(frequency, 'days') or 0:.0f} days"
        rows.append(("deployments", f"{often:.2f} in 30 days", of))
    for rung, failure in tables(pooled, "change_failure").items():
        if (rate := number(failure, "rate")) is not None:
            of = f"{failure.get('failed')} of {failure.get('deployments')} deployments"
            rows.append((f"change failure rate, by {rung}", f"{rate:.1%}{_interval(failure)}", of))
    for rung, durations in tables(pooled, "recovery").items():
        rows += _duration_rows(f"recovery, by {rung}", durations, "failure")
    return rows


def _gate_rows(delivery: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    listed = delivery.get("repositories")
    repositories = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    rows = []
    for one in repositories:
        asked = table(one, "gate").get("questions")
        for question in asked if isinstance(asked, list) else []:
            if isinstance(question, dict) and str(question.get("answer")) in VERDICTS:
                name = f"gate, {one.get('repository')}" if len(repositories) > 1 else "gate"
                rows.append((name, VERDICTS[str(question["answer"])], str(question.get("says", ""))))
    return rows


def _duration_rows(name: str, durations: Mapping[str, Any], of: str) -> list[tuple[str, str, str]]:
    seconds, n = number(durations, "median_seconds"), durations.get("n")
    if seconds is None:
        return []
    days = abs(seconds) >= 2 * 86_400
    text = f"{seconds / 86_400:.1f} days" if days else f"{seconds / 3600:.1f} hours"
    return [(name, f"median {text}", plural(n, of) if isinstance(n, int) else "")]


def _interval(failure: Mapping[str, Any]) -> str:
    ends = failure.get("interval")
    if not isinstance(ends, list | tuple) or len(ends) != 2 or not all(isinstance(e, float) for e in ends):
        return ""
    return f" (95 % interval {ends[0]:.1%} to {ends[1]:.1%})"


def table(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the table of this name; a list of tables becomes one by what each is called."""
    value = holder.get(name)
    if isinstance(value, list):
        named = [item for item in value if isinstance(item, dict)]
        return {str(item.get("rung", item.get("name", ""))): item for item in named}
    return value if isinstance(value, dict) else {}


def tables(holder: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Return the tables within the table of this name."""
    within = table(holder, name)
    return {str(key): value for key, value in within.items() if isinstance(value, dict)}


def number(holder: Mapping[str, Any], name: str) -> float | None:
    """Return the number of this name; None where it is absent or of another kind."""
    value = holder.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
