"""The report of an audit, on a terminal and as Markdown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_bugsle.findings import Finding
from pytest_bugsle.report.history import audit_lines, audit_markdown, share_text
from pytest_bugsle.results import (
    AuditResult,
    FixResult,
    GuardResult,
    Range,
    Result,
    Share,
    Timings,
    Unheld,
    Unjudged,
    count,
)

SHA = "0123456789" * 4


def share(name: str, fixes: int, judged: int, held: int) -> Share:
    """Give a share with an interval of its own."""
    known = judged > 0
    return Share(
        name=name, fixes=fixes, judged=judged, held=held, share=held / judged if known else None,
        low=0.1 if known else None, high=0.9 if known else None,
    )  # fmt: skip


def fix(number: int, status: str) -> FixResult:
    """Give a judged fix."""
    return FixResult(
        commit=f"{number:040x}", subject=f"fix: {number}", bugs=[], judgement="fix", reasons=[], status=status,  # type: ignore[arg-type]
        why="", tests=[], commits=[f"{number:040x}"], paths=[],
    )  # fmt: skip


def unheld(number: int, *, known: bool = False, subject: str = "") -> Unheld:
    """Give a fix that no test holds."""
    return Unheld(
        commit=f"{number:040x}", subject=subject or f"fix: {number}", bugs=[f"#{number}"], status="no-test",
        release="v1.0", folders=["src/pkg"], known=known,
    )  # fmt: skip


def result(**more: Any) -> Result:
    """Give an audit of four fixes."""
    fixes = [fix(1, "proven"), fix(2, "proven"), fix(3, "no-test"), fix(4, "undecided")]
    given: dict[str, Any] = {
        "since": None, "until": "HEAD", "ledger": None, "total": share("all", 10, 3, 2),
        "releases": [share("unreleased", 1, 0, 0), share("v1.0", 3, 3, 2)],
        "folders": [share("src/pkg/a.py", 2, 2, 1), share("src/pkg/b.py", 2, 1, 1)],
        "unheld": [unheld(3)], "unjudged": [Unjudged(why="ImportError: x", commits=[f"{n:040x}" for n in range(7)])],
    }  # fmt: skip
    top = {key: more.pop(key) for key in ("findings", "verdict", "notes", "timings") if key in more}
    return Result(
        range=Range(base=None, head=SHA, why="the whole history", commits=12),
        fixes=fixes,
        counts=count(fixes),
        audit=AuditResult(**{**given, **more}),
        **{"verdict": "pass", "findings": [], "timings": Timings(total=2.5, cached=3), **top},
    )


def text(found: Result, verbosity: int = 0) -> str:
    """Give the lines as one text."""
    return "\n".join(line.text for line in audit_lines(found, verbosity))


def test_the_whole_report_reads_from_the_share_to_its_parts() -> None:
    """What was read, how much is held, where not, which bugs, and why some could not be judged."""
    assert text(result()) == (
        "the history up to HEAD (0123456), 12 commits: 4 bug fixes\n"
        "held 2 of 3 judged fixes (67 %, 95 % interval 10 to 90 %); 7 of 10 could not be judged\n"
        "by release, the newest first\n"
        "  unreleased  0 of 1 judged\n"
        "  v1.0        2 of 3 held (67 %, 95 % interval 10 to 90 %)\n"
        "by folder, the worst first\n"
        "  src/pkg/a.py  1 of 2 held (50 %, 95 % interval 10 to 90 %)\n"
        "  src/pkg/b.py  1 of 1 held (100 %, 95 % interval 10 to 90 %), 1 not judged\n"
        "without a guard: 1 of 3 judged fixes\n"
        "  NO TEST   0000000 fix: 3 (#3; v1.0; src/pkg)\n"
        "not judged: 7 of 10 fixes\n"
        "  7 × ImportError: x (0000000, 0000000, 0000000, 0000000, 0000000 and 2 more)\n"
        "3 of 4 fixes judged in 2.5 s, 3 of them kept from before.  PASSED"
    )


def test_a_share_that_is_nearly_all_does_not_read_as_all() -> None:
    """999 of 1000 are not 100 %, and 1 of 1000 is not 0 %."""
    assert "(99.9 %" in share_text(share("x", 1000, 1000, 999))
    assert "(0.1 %" in share_text(share("x", 1000, 1000, 1))


def test_what_the_ledger_knows_is_quiet_and_last() -> None:
    """New debt stands before it; how much is new is told with its denominator."""
    found = result(ledger=".bugsle/ledger.txt", unheld=[unheld(3, known=True), unheld(5)], paid=[SHA])
    lines = audit_lines(found)
    rows = [line for line in lines if "fix: " in line.text]
    assert [(row.text.split()[0], row.style) for row in rows] == [("NO", "red"), ("known", "dim")]
    assert "ledger: 1 of 2 without a guard are new, 1 known" in text(found)
    assert "1 fix is no debt any more (0123456): `bugsle audit --write-baseline`" in text(found)


def test_guards_are_counted_by_what_was_tried() -> None:
    """What could not be tried is in no share."""
    guards = [
        GuardResult(commit=SHA, subject=f"s{state}", bugs=[], tests=[], state=state, why="because")  # type: ignore[arg-type]
        for state in ("held", "held", "weakened", "not-applicable", "undecided")
    ]
    said = text(result(guards=guards))
    assert "2 of 3 guards still notice their bugs in today's tree; 2 of 5 could not be tried" in said
    assert "guards: 3 of 5 were not shown to hold" in said
    assert "  weakened 0123456 sweakened: because" in said


def test_quiet_shows_only_what_is_wrong() -> None:
    """Nothing for a pass; the findings and the verdict for a fail."""
    assert text(result(), -1) == ""
    finding = Finding(
        rule="BUG101", name="n", level="error", message="no test", help="write one", path="a.py", line=3
    )
    info = Finding(rule="BUG102", name="n", level="info", message="hushed", help="")
    failed = result(findings=[info, finding], verdict="fail")
    assert text(failed, -1).splitlines()[:2] == ["a.py:3: BUG101 no test", "  write one"]
    assert text(failed, -1).endswith("FAILED")
    assert "hushed" not in text(failed)


def test_long_lists_are_cut_and_verbose_shows_them() -> None:
    """It says how many more there are."""
    many = result(
        releases=[share(f"v{n}", 1, 1, 1) for n in range(30)], unheld=[unheld(n) for n in range(60)]
    )
    assert "  and 20 more: -v shows them" in text(many)
    assert text(many, 1).count("NO TEST") == 60
    assert "held: 2 of 3 judged fixes" in text(many, 1)


@pytest.mark.parametrize("report", [text, lambda found: "\n".join(audit_markdown(found))])
def test_hostile_names_stay_text(report: Any) -> None:
    """Names of tags, subjects and reasons are written by strangers."""
    bad = "\x1b[31m<script>|`x`"
    found = result(
        releases=[share(bad, 1, 1, 1), share("v1", 1, 1, 1)],
        unheld=[unheld(3, subject=bad * 500)],
        unjudged=[Unjudged(why=bad, commits=[SHA])],
        notes=[bad],
    )
    assert "\x1b" not in report(found)
    assert max(map(len, report(found).splitlines())) < 3_000


def test_markdown_has_the_same_rows() -> None:
    """Heading, shares and lists; a run that is no audit has none of it."""
    rows = audit_markdown(result())
    assert rows[1] == "### Audit"
    assert any(row.startswith("held 2 of 3 judged fixes (67 %, 95 % interval 10 to 90 %)") for row in rows)
    assert "**without a guard: 1 of 3 judged fixes**" in rows
    assert audit_markdown(msgspec.structs.replace(result(), audit=msgspec.UNSET)) == []
