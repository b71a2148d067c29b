"""The report as Markdown, for step summaries and pull requests.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.report.escape import for_markdown
from pytest_bugsle.report.figures import delivery_lines, plain_tables
from pytest_bugsle.report.history import audit_markdown, hotspots_markdown
from pytest_bugsle.report.words import (
    VERDICTS,
    asked,
    deciding,
    edits_line,
    folded,
    lead_line,
    place,
    plural,
    range_line,
    sentence,
    short,
    sorted_findings,
    summary,
    waiver_line,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import FixResult, Result

#: What GitHub takes as a step summary; it drops a longer one whole.
LIMIT = 1024 * 1024
#: No single text takes more of it than this many characters.
MOST_TEXT = 500
#: So many lines of the table of figures stand above its rows.
_HEAD = 5


@dataclass(slots=True)
class _Section:
    """Rows of one kind between what opens and what closes them."""

    noun: str
    head: list[str]
    rows: list[str]
    tail: list[str] = field(default_factory=list)
    kept: int = 0

    def text(self) -> str:
        if not self.kept:
            return ""
        return "\n".join([*self.head, *self.rows[: self.kept], *self.tail]) + "\n"


def render(result: Result, limit: int = LIMIT) -> bytes:
    """Return verdict, fixes, findings and folded details; over `limit` bytes it says what was cut."""
    top = [
        f"## {for_markdown(result.tool.name)}: {VERDICTS[result.verdict]}",
        "",
    ]
    shown = delivery_lines(plain_tables(result))
    if result.fixes or result.range is not None or not shown:
        top += [_text(summary(result)), "", _text(range_line(result)), ""]
    figures = _Section("figure", shown[:_HEAD], shown[_HEAD:])
    fixes = _Section(
        "fix",
        ["| status | fix | bugs | tests |", "|---|---|---|---|"],
        [_row(fix) for fix in result.fixes if asked(fix) or fix.judgement == "maybe"],
    )
    findings = _Section(
        "finding", ["", "### Findings", ""], [_finding(item) for item in sorted_findings(result)]
    )
    experiments = _Section("A/B metric", ["", "### A/B tests", ""], list(_gates(result.experiments, 3)))
    models = _Section("model judgement", ["", "### Models", ""], list(_gates(result.models, 1)))
    remarks = [waiver_line(waiver) for waiver in result.waivers] + [f"note: {note}" for note in result.notes]
    notes = _Section(
        "remark", ["", "### Waivers and notes", ""], [f"- {_text(remark)}" for remark in remarks]
    )
    leads = _Section(
        "lead",
        ["", "### What else needs a patch?", ""],
        [
            f"- {_text(short(fix.commit))}: {_text(lead_line(lead))}"
            for fix in result.fixes
            for lead in fix.what_else
        ],
    )
    history = _Section("line", [], [*audit_markdown(result), *hotspots_markdown(result)], [""])
    details = _Section(
        "line",
        ["", "<details>", "<summary>Every commit and test</summary>", ""],
        [row for fix in result.fixes for row in _details(fix)],
        ["", "</details>"],
    )
    left = limit - _size(top) - 300  # 300: the line that says what was cut
    sections = (history, fixes, experiments, models, findings, figures, leads, notes, details)
    # the most important first
    for section in (findings, figures, history, fixes, experiments, models, notes, leads, details):
        left = _keep(section, left)
    body = "\n".join(top) + "\n" + "".join(section.text() for section in sections)
    return (body + _cut(*sections)).encode("utf-8")


def _size(lines: list[str]) -> int:
    return sum(len(line.encode("utf-8")) + 1 for line in lines)


def _keep(section: _Section, left: int) -> int:
    left -= _size(section.head) + _size(section.tail)
    for row in section.rows:
        left -= _size([row])
        if left < 0:
            return 0
        section.kept += 1
    return left


def _cut(*sections: _Section) -> str:
    missing = [
        plural(len(section.rows) - section.kept, section.noun, "fixes" if section.noun == "fix" else "")
        for section in sections
        if section.kept < len(section.rows)
    ]
    if not missing:
        return ""
    return (
        f"\nCut to stay under the size limit: {', '.join(missing)} not shown. The JSON report has them all.\n"
    )


def _text(text: str) -> str:
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT - 1] + "…"
    return for_markdown(text)


def _row(fix: FixResult) -> str:
    folds = folded(deciding(fix))
    tests = ""
    if folds:
        more = len(fix.tests) - 1
        tests = f"{_text(folds[0].test.id)} {_text(sentence(folds[0].test))}"
        tests += f" (and {plural(more, 'more test')})" if more else ""
    elif fix.why:
        tests = _text(fix.why)
    bugs = _text(", ".join(fix.bugs))
    return f"| {word(fix)} | {_text(short(fix.commit))} {_text(fix.subject)} | {bugs} | {tests} |"


def _gates(results: object, lines: int) -> Iterator[str]:
    """Yield what each gate says, in the first `lines` of its message: the terminal and the page have the rest."""
    for one in results if isinstance(results, list) else ():
        says, *numbers = (line.strip() for line in one.message.split("\n")[:lines])
        text = f"- {_text(says)}" + (f" ({_text(one.test)})" if one.test else "")
        yield "\n  ".join([text, *filter(None, [_text("; ".join(numbers))])])


def _finding(finding: Finding) -> str:
    where = place(finding)
    text = f"- **{finding.level} {_text(finding.rule)}** " + f"{_text(where)}: " * bool(where)
    text += _text(finding.message)
    return f"{text}\n  {_text(finding.help)}" if finding.help else text


def _details(fix: FixResult) -> Iterator[str]:
    reasons = "; ".join(filter(None, [fix.why, *fix.reasons]))
    yield f"- {word(fix)} {_text(short(fix.commit))} {_text(fix.subject)}" + (
        f": {_text(reasons)}" if reasons else ""
    )
    if edits := edits_line(fix):
        yield f"  - {_text(edits)}"
    for test, more in folded(fix.tests):
        cases = f" (and {plural(more, 'more case')})" if more else ""
        yield f"  - {_text(test.id)}{cases} {_text(sentence(test))}"
