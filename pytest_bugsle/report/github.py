"""The report for GitHub's runner: annotations, a step summary and outputs.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.report import markdown
from pytest_bugsle.report.escape import for_terminal, visible
from pytest_bugsle.report.figures import figure_rows, number, plain_tables, table
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
#: A deployment failed if anything that was asked says so; the rungs alone are in the JSON report.
_RUNGS = ("any", "incident", "explicit", "patch-release", "szz")


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
    text = markdown.render(result, room)
    return text if len(text) <= room else b""


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
    delivery = plain_tables(result)
    if result.range is None and (rows := figure_rows(delivery)):
        found["summary"] = visible(", ".join(f"{name}: {value}" for name, value, _ in rows))
    return found | delivery_outputs(delivery)


def delivery_outputs(delivery: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of `delivery.pooled` that are there: hours with one decimal, shares with four.

    Failures and recoveries are counted by kinds of evidence; theirs is the first of `_RUNGS`, or else of
    all, that has a rate, and `change-failure-rung` names it.
    """
    pooled = table(delivery, "pooled")
    lead_time = number(table(pooled, "lead_time"), "median_seconds")
    found = {} if lead_time is None else {"lead-time-hours": f"{lead_time / 3600:.1f}"}
    rungs, recovery = table(pooled, "change_failure"), table(pooled, "recovery")
    median = number(recovery, "median_seconds")
    for name in (*_RUNGS, *(rung for rung in rungs if rung not in _RUNGS)):
        rate = number(table(rungs, name), "rate")
        if rate is not None:
            found |= {"change-failure-rate": f"{rate:.4f}", "change-failure-rung": visible(name)}
            median = number(table(recovery, name), "median_seconds") if median is None else median
            break
    return found if median is None else found | {"recovery-hours": f"{median / 3600:.1f}"}


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
