"""The report of an audit: what a history shows, every share with its denominator.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pytest_bugsle.report.escape import for_markdown, for_terminal
from pytest_bugsle.report.terminal import MOST_TEXT, Line, Style
from pytest_bugsle.report.words import (
    VERDICTS,
    WORDS,
    place,
    plural,
    short,
    sorted_findings,
    waiver_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import AuditResult, Result, Share, Unheld

#: How many rows of each kind are shown without -v.
MOST_SHARES = 10
MOST_UNHELD = 40
MOST_REASONS = 10
MOST_COMMITS = 5
_WIDEST = 44

_VERDICT_STYLES: Mapping[str, Style] = {"pass": "green", "fail": "red", "undecided": "yellow"}
_LEVEL_STYLES: Mapping[str, Style] = {"error": "red", "warning": "yellow", "info": "dim"}


class _Part(NamedTuple):
    """A heading with its rows, and how many more there are."""

    title: str
    rows: list[tuple[str, Style | None]]
    hidden: int = 0


def audit_lines(result: Result, verbosity: int = 0) -> list[Line]:
    """Return the lines of an audit: below 0 only what is wrong, above 0 everything."""
    loud = [finding for finding in sorted_findings(result) if finding.level != "info"]
    last = _line(_verdict_line(result), _VERDICT_STYLES[result.verdict])
    if verbosity < 0:
        return [] if result.verdict == "pass" and not loud else [*_findings(loud), last]
    report: list[Line] = []
    if not isinstance(result.audit, msgspec.UnsetType):
        shown = result.audit
        report = [_line(text, style) for text, style in _head(result, shown)]
        for part in _parts(result, shown, everything=verbosity > 0):
            report.append(_line(part.title))
            report += [_line(f"  {text}", style) for text, style in part.rows]
            if part.hidden:
                report.append(_line(f"  and {part.hidden} more: -v shows them", "dim"))
    report += [_line(waiver_line(w), "dim" if w.state == "used" else "yellow") for w in result.waivers]
    report += [_line(f"note: {note}", "yellow") for note in result.notes]
    return [*report, *_findings(loud), last]


def audit_markdown(result: Result) -> list[str]:
    """Return the part of the Markdown report that is an audit's own, line by line; empty for other runs."""
    if isinstance(result.audit, msgspec.UnsetType):
        return []
    rows = ["", "### Audit", ""]
    rows += [f"{_marked(text)}  " for text, _ in _head(result, result.audit)]
    for part in _parts(result, result.audit, everything=False):
        rows += ["", f"**{_marked(part.title)}**", ""]
        rows += [f"- {_marked(text)}" for text, _ in part.rows]
        if part.hidden:
            rows.append(f"- and {part.hidden} more: the JSON report has them all")
    return rows


def hotspots_markdown(result: Result) -> list[str]:
    """Return the table of hotspots for the Markdown report; empty for other runs."""
    if isinstance(result.hotspots, msgspec.UnsetType):
        return []
    rows = ["", "### Hotspots", "", "| score | changes | fixes | complexity | people | function |"]
    rows.append("|---|---|---|---|---|---|")
    for spot in result.hotspots:
        where = _marked(f"{spot.path}:{spot.line} {spot.function}")
        rows.append(
            f"| {spot.score:.2f} | {spot.changes} | {spot.fixes} | {spot.complexity} | {spot.people} | {where} |"
        )
    return rows


def share_text(share: Share) -> str:
    """Return `31 of 40 held (78 %, 95 % interval 62 to 88 %)`, and how many could not be judged."""
    open_ = share.fixes - share.judged
    more = f", {open_} not judged" if open_ else ""
    if share.share is None or share.low is None or share.high is None:
        return f"0 of {share.fixes} judged"
    interval = f"95 % interval {_percent(share.low)} to {_percent(share.high)} %"
    return f"{share.held} of {share.judged} held ({_percent(share.share)} %, {interval}){more}"


def _percent(share: float) -> str:
    # A share that is not quite all must not read as all.
    percent = round(100 * share)
    return f"{100 * share:.1f}" if percent in (0, 100) and share not in (0.0, 1.0) else str(percent)


def _line(text: str, style: Style | None = None) -> Line:
    return Line(for_terminal(text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"), style)


def _marked(text: str) -> str:
    return for_markdown(text if len(text) <= MOST_TEXT // 2 else text[: MOST_TEXT // 2 - 1] + "…")


def _head(result: Result, shown: AuditResult) -> Iterator[tuple[str, Style | None]]:
    """Yield what was read, and the share of all."""
    where, total = result.range, shown.total
    if where is not None and where.commits:
        since = f"{shown.since}.." if shown.since else "the history up to "
        end = f"{since}{shown.until}" + f" ({short(where.head)})" * (shown.until != where.head)
        found = plural(len(result.fixes), "bug fix", "bug fixes")
        beside = [
            f"{number} {text}"
            for number, text in (
                (result.counts.out_of_scope, "out of scope"),
                (result.counts.waived, "waived"),
            )
            if number
        ]
        yield (
            f"{end}, {plural(where.commits, 'commit')}: {found}" + f" ({', '.join(beside)})" * bool(beside),
            None,
        )
        if total.fixes:
            open_ = total.fixes - total.judged
            text = f"held {total.held} of {plural(total.judged, 'judged fix', 'judged fixes')}"
            if total.share is not None and total.low is not None and total.high is not None:
                text += f" ({_percent(total.share)} %, 95 % interval {_percent(total.low)} to {_percent(total.high)} %)"
            yield text + (f"; {open_} of {total.fixes} could not be judged" if open_ else ""), None
    if shown.guards:
        held = sum(guard.state == "held" for guard in shown.guards)
        tried = held + sum(guard.state == "weakened" for guard in shown.guards)
        rest = len(shown.guards) - tried
        text = f"{held} of {plural(tried, 'guard')} still notice their bugs in today's tree"
        yield text + (f"; {rest} of {len(shown.guards)} could not be tried" if rest else ""), None
    if shown.ledger is not None and where is not None and where.commits:
        known = sum(fix.known for fix in shown.unheld)
        text = f"ledger: {len(shown.unheld) - known} of {len(shown.unheld)} without a guard are new, {known} known"
        yield text, "red" if len(shown.unheld) > known else None
    if shown.paid:
        were = "fix is" if len(shown.paid) == 1 else "fixes are"
        yield (
            f"{len(shown.paid)} {were} no debt any more ({_commits(shown.paid)}): `bugsle audit --write-baseline`",
            "green",
        )


def _parts(result: Result, shown: AuditResult, *, everything: bool) -> Iterator[_Part]:
    if shown.total.fixes and len(shown.releases) > 1:
        yield _shares("by release, the newest first", shown.releases, everything=everything)
    if shown.total.fixes and len(shown.folders) > 1:
        yield _shares("by folder, the worst first", shown.folders, everything=everything)
    if shown.unheld:
        # What the ledger knows comes last: it is no news.
        rows = sorted(shown.unheld, key=lambda fix: fix.known)
        most = len(rows) if everything else MOST_UNHELD
        texts: list[tuple[str, Style | None]] = [
            (_unheld(fix), "dim" if fix.known else "red") for fix in rows[:most]
        ]
        title = f"without a guard: {len(rows)} of {plural(shown.total.judged, 'judged fix', 'judged fixes')}"
        yield _Part(title, texts, len(rows) - len(texts))
    if shown.unjudged:
        most = len(shown.unjudged) if everything else MOST_REASONS
        reasons: list[tuple[str, Style | None]] = [
            (f"{len(group.commits)} × {group.why} ({_commits(group.commits)})", "yellow")
            for group in shown.unjudged[:most]
        ]
        left = sum(len(group.commits) for group in shown.unjudged)
        yield _Part(
            f"not judged: {left} of {plural(shown.total.fixes, 'fix', 'fixes')}",
            reasons,
            len(shown.unjudged) - len(reasons),
        )
    lost = [guard for guard in shown.guards if guard.state != "held"]
    if lost:
        rows_: list[tuple[str, Style | None]] = [
            (
                f"{guard.state} {short(guard.commit)} {guard.subject}" + f": {guard.why}" * bool(guard.why),
                "red" if guard.state == "weakened" else "yellow" if guard.state == "undecided" else "dim",
            )
            for guard in lost
        ]
        yield _Part(f"guards: {len(lost)} of {len(shown.guards)} were not shown to hold", rows_)
    if everything and (held := [fix for fix in result.fixes if fix.status == "proven"]):
        yield _Part(
            f"held: {len(held)} of {plural(shown.total.judged, 'judged fix', 'judged fixes')}",
            [
                (
                    f"{short(fix.commit)} {fix.subject}: {next((t.id for t in fix.tests if t.shows == 'proven'), '')}",
                    "green",
                )
                for fix in held
            ],
        )


def _shares(title: str, shares: Sequence[Share], *, everything: bool) -> _Part:
    shown = shares if everything else shares[:MOST_SHARES]
    width = min(_WIDEST, max(len(for_terminal(share.name)) for share in shown))
    rows: list[tuple[str, Style | None]] = [
        (f"{share.name:<{width}}  {share_text(share)}", None) for share in shown
    ]
    return _Part(title, rows, len(shares) - len(shown))


def _unheld(fix: Unheld) -> str:
    where = [
        part for part in (", ".join(fix.bugs[:3]), fix.release or "", ", ".join(fix.folders[:2])) if part
    ]
    known = "known " if fix.known else ""
    about = f" ({'; '.join(where)})" if where else ""
    return f"{known}{WORDS[fix.status]:<9} {short(fix.commit)} {fix.subject}{about}"


def _commits(commits: Sequence[str]) -> str:
    more = f" and {len(commits) - MOST_COMMITS} more" if len(commits) > MOST_COMMITS else ""
    return ", ".join(short(commit) for commit in commits[:MOST_COMMITS]) + more


def _findings(findings: Sequence[Finding]) -> Iterator[Line]:
    for finding in findings:
        where = place(finding)
        yield _line(
            f"{where}: " * bool(where) + f"{finding.rule} {finding.message}", _LEVEL_STYLES[finding.level]
        )
        if finding.help:
            yield _line(f"  {finding.help}", "dim")


def _verdict_line(result: Result) -> str:
    times = result.timings
    if isinstance(result.audit, msgspec.UnsetType) or not result.fixes:
        text = f"{times.total:.1f} s."
    else:
        text = f"{result.counts.judged} of {plural(len(result.fixes), 'fix', 'fixes')} judged in {times.total:.1f} s"
        text += f", {times.cached} of them kept from before." if times.cached else "."
    return f"{text}  {VERDICTS[result.verdict]}"
