"""The report for GitHub's runner: annotations, a step summary and outputs.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.report import markdown
from pytest_bugsle.report.escape import for_markdown, for_terminal, visible
from pytest_bugsle.report.words import plural, sorted_findings, summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import Result

#: GitHub shows so many annotations of one kind from one step, and drops the others without a word.
MOST_OF_A_KIND = 10
#: No annotation holds more than this many characters; GitHub cuts at 64 KiB.
MOST_TEXT = 2000

_KINDS: Mapping[str, str] = {"error": "error", "warning": "warning", "info": "notice"}
_IN_DIFF = frozenset({"added", "changed"})
#: An explicit `Fixes:` or revert is the rung that needs no policy of its own, SZZ the one with most noise.
_RUNGS = ("explicit", "incident", "patch-release", "szz")


def render(result: Result) -> bytes:
    """Return the findings as workflow commands, one a line, those in files of the change first.

    At most `MOST_OF_A_KIND` of errors, warnings and notices each, the last of which says how many more
    there are: what goes beyond that is not shown by GitHub.
    """
    changed = changed_paths(result)
    ordered = sorted(sorted_findings(result), key=lambda finding: finding.path not in changed)
    lines: list[str] = []
    for level, kind in _KINDS.items():
        findings = [finding for finding in ordered if finding.level == level]
        shown = findings if len(findings) <= MOST_OF_A_KIND else findings[: MOST_OF_A_KIND - 1]
        lines += [_annotation(kind, finding) for finding in shown]
        if more := len(findings) - len(shown):
            text = f"and {plural(more, f'more {kind}')}: the step summary and the JSON report list them"
            lines.append(command(kind, text, title=result.tool.name))
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def changed_paths(result: Result) -> frozenset[str]:
    """Return the files that the range under test changes, as far as the result names them.

    Those are the source files of every unit, and the files of the tests that a fix added or changed.
    """
    tests = (test for fix in result.fixes for test in fix.tests)
    theirs = (
        test.id.partition("::")[0] for test in tests if any(link.kind in _IN_DIFF for link in test.links)
    )
    return frozenset([*theirs, *(path for fix in result.fixes for path in fix.paths)])


def _annotation(kind: str, finding: Finding) -> str:
    text = finding.message + (f"\n{finding.help}" if finding.help else "")
    line = str(finding.line) if finding.path and finding.line is not None and finding.line > 0 else ""
    return command(
        kind, text, file=finding.path or "", line=line, title=f"{finding.rule} {finding.name}".strip()
    )


def command(kind: str, text: str, **properties: str) -> str:
    """Return one workflow command, such as `::error file=a.py,line=3::text`; empty properties are left out.

    Escapes as the runner unescapes (github.com/actions/toolkit, core/src/command.ts).
    """
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{kind}{f' {given}' if given else ''}::{_data(text)}"


def _data(text: str) -> str:
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT - 1] + "…"
    shown = "\n".join(for_terminal(line) for line in text.split("\n"))
    return shown.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return for_terminal(text[:MOST_TEXT]).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def step_summary(result: Result, room: int) -> bytes:
    """Return the Markdown for the step summary, in at most `room` bytes; empty where not even a line fits."""
    figures = "".join(f"{line}\n" for line in delivery_lines(_delivery(result))).encode("utf-8")
    text = markdown.render(result, room - len(figures)) + figures
    return text if len(text) <= room else b""


def delivery_lines(delivery: Mapping[str, Any]) -> list[str]:
    """Return a Markdown table of `delivery.pooled`, each figure with what it was made from; empty without any."""
    rows = _delivery_rows(delivery)
    shown = [f"| {for_markdown(name)} | {value} | {for_markdown(of)} |" for name, value, of in rows]
    return ["", "### Delivery", "", "| figure | value | from |", "|---|---|---|", *shown] if shown else []


def _delivery_rows(delivery: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return name, value and origin of each figure that is there."""
    pooled = _table(delivery, "pooled")
    rows = _duration_rows("lead time for changes", _table(pooled, "lead_time"), "commit")
    frequency = _table(pooled, "deployment_frequency")
    if (number := _number(frequency, "per_30_days")) is not None:
        of = f"{frequency.get('deployments')} in {_number(frequency, 'days') or 0:.0f} days"
        rows.append(("deployments", f"{number:.2f} in 30 days", of))
    for rung, failure in _tables(pooled, "change_failure").items():
        if (rate := _number(failure, "rate")) is not None:
            of = f"{failure.get('failed')} of {failure.get('deployments')} deployments"
            rows.append((f"change failure rate, by {rung}", f"{rate:.1%}{_interval(failure)}", of))
    for rung, durations in _tables(pooled, "recovery").items():
        rows += _duration_rows(f"recovery, by {rung}", durations, "failure")
    return rows


def _duration_rows(name: str, durations: Mapping[str, Any], of: str) -> list[tuple[str, str, str]]:
    seconds, n = _number(durations, "median_seconds"), durations.get("n")
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


def outputs(result: Result) -> dict[str, str]:
    """Return what later steps may ask of the run: the verdict, counts, and delivery figures where it has them."""
    findings = sorted_findings(result)
    found = {
        "verdict": result.verdict,
        "summary": visible(summary(result)),
        "fixes": str(result.counts.found),
        "proven": str(result.counts.proven),
        "errors": str(sum(finding.level == "error" for finding in findings)),
        "warnings": str(sum(finding.level == "warning" for finding in findings)),
    }
    delivery = _delivery(result)
    if result.range is None and (rows := _delivery_rows(delivery)):
        found["summary"] = visible(", ".join(f"{name}: {value}" for name, value, _ in rows))
    return found | delivery_outputs(delivery)


def _delivery(result: Result) -> Mapping[str, Any]:
    """Return the delivery figures as plain tables; empty in a run that has none."""
    delivery = msgspec.to_builtins(getattr(result, "delivery", None) or None)
    return delivery if isinstance(delivery, dict) else {}


def delivery_outputs(delivery: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of `delivery.pooled` that are there: hours with one decimal, shares with four.

    Failures and recoveries are counted by kinds of evidence; theirs is the first of `_RUNGS`, or else of
    all, that has a rate, and `change-failure-rung` names it.
    """
    pooled = _table(delivery, "pooled")
    lead_time = _number(_table(pooled, "lead_time"), "median_seconds")
    found = {} if lead_time is None else {"lead-time-hours": f"{lead_time / 3600:.1f}"}
    rungs, recovery = _table(pooled, "change_failure"), _table(pooled, "recovery")
    median = _number(recovery, "median_seconds")
    for name in (*_RUNGS, *(rung for rung in rungs if rung not in _RUNGS)):
        rate = _number(_table(rungs, name), "rate")
        if rate is not None:
            found |= {"change-failure-rate": f"{rate:.4f}", "change-failure-rung": visible(name)}
            median = _number(_table(recovery, name), "median_seconds") if median is None else median
            break
    return found if median is None else found | {"recovery-hours": f"{median / 3600:.1f}"}


def _table(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the table of this name; a list of tables becomes one by what each is called."""
    value = holder.get(name)
    if isinstance(value, list):
        named = [item for item in value if isinstance(item, dict)]
        return {str(item.get("rung", item.get("name", ""))): item for item in named}
    return value if isinstance(value, dict) else {}


def _tables(holder: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Return the tables within the table of this name."""
    within = _table(holder, name)
    return {str(key): value for key, value in within.items() if isinstance(value, dict)}


def _number(holder: Mapping[str, Any], name: str) -> float | None:
    value = holder.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def output_lines(values: Mapping[str, str], delimiter: str) -> bytes:
    """Return what goes into GITHUB_OUTPUT; the delimiter is a random one, which no value can hold.

    ValueError where one holds it all the same.
    """
    if any(delimiter in value for value in values.values()):
        raise ValueError(delimiter)
    lines: Iterable[str] = (f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())
    return "".join(lines).encode("utf-8", "backslashreplace")


def merged(results: Sequence[Result]) -> Result:
    """Return one result of several gates on one repository: the first one's, and what the others add.

    The verdict is the worst of them; what only one gate found (`audit`, `tests` …) is taken from it.
    """
    first = results[0]
    for other in results[1:]:
        verdicts = (first.verdict, other.verdict)
        gained = {
            name: getattr(other, name)
            for name in first.__struct_fields__
            if getattr(first, name) in (msgspec.UNSET, None) and getattr(other, name) is not msgspec.UNSET
        }
        first = msgspec.structs.replace(
            first,
            verdict=next(word for word in ("fail", "undecided", "pass") if word in verdicts),
            fixes=first.fixes or other.fixes,
            counts=first.counts if first.fixes else other.counts,
            findings=[*first.findings, *other.findings],
            waivers=first.waivers or other.waivers,
            notes=list(dict.fromkeys([*first.notes, *other.notes])),
            timings=msgspec.structs.replace(
                first.timings, total=round(first.timings.total + other.timings.total, 3)
            ),
            **gained,
        )
    return first
