"""Results to render in the tests of the reports."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_bugsle.findings import RULES, Finding, Level, make_finding
from pytest_bugsle.results import (
    FixResult,
    Link,
    Range,
    Reach,
    Result,
    Status,
    TestResult,
    Timings,
    WaiverResult,
    count,
)

PURGER = "9be04d1" + "a" * 33
PRICE = "77aa001" + "b" * 33
OFF_BY_ONE = "12c0ffe" + "c" * 33
TICKER = "5d1e0aa" + "d" * 33
BASE = "3f1c2aa" + "e" * 33

#: What a stranger can put into a subject, a path, a test id or an error.
HOSTILE = (
    "::error file=a.py::pwned",
    "##[add-mask]a ##vso[task.complete]",
    "\x1b[31mred\x1b[0m\a\x9b2J",
    "<script>alert(1)</script> & \"quoted\" 'single'",
    "]]> <!-- --> --",
    "two\nlines\r\nand a third\rover",
    "caf\udce9 \udcff\ud800",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "| a | b |\n|---|---|",
    "`code` **bold** _it_ ~~no~~ [link](https://evil.example) ![i](x) <https://evil.example>",
    "@everyone owner/repo#12 https://evil.example www.evil.example me@evil.example",
    "# heading",
    "- [ ] item",
    "1. item",
    "\ufffe\uffff\x00\x0b",
    "$x$ {0} %0A %s \\",
    "",
    " ",
)


def linked_test(
    id: str = "tests/test_a.py::test_a",
    shows: Status | None = None,
    before: str | None = None,
    after: str | None = None,
    error: str | None = None,
    reached: Reach | None = None,
    why: str = "",
    links: tuple[Link, ...] = (Link(kind="added", evidence="the commit adds it"),),
) -> TestResult:
    """Make a linked test."""
    return TestResult(
        id=id,
        links=list(links),
        before=before,
        after=after,
        before_error=error,
        reached=reached,
        shows=shows,
        why=why,
    )


def fix_result(
    commit: str = PURGER,
    subject: str = "fix: a bug",
    status: Status | None = None,
    tests: tuple[TestResult, ...] = (),
    **rest: Any,
) -> FixResult:
    """Make a unit that is a bug fix unless told otherwise."""
    values: dict[str, Any] = {
        "bugs": [],
        "judgement": "fix",
        "reasons": [],
        "why": "",
        "commits": [commit],
        "paths": ["src/a.py"],
        **rest,
    }
    return FixResult(commit=commit, subject=subject, status=status, tests=list(tests), **values)


def result(*fixes: FixResult, verdict: Any = "pass", **rest: Any) -> Result:
    """Make a result of these units."""
    values: dict[str, Any] = {
        "range": Range(base=BASE, head=PURGER, why="merge base with origin/main", commits=7),
        "findings": [],
        "timings": Timings(total=2.1),
        **rest,
    }
    return Result(verdict=verdict, fixes=list(fixes), counts=count(list(fixes)), **values)


def finding(code: str, message: str, level: Level | None = None, **rest: Any) -> Finding:
    """Make a finding at its default level."""
    return make_finding(code, message, levels={code: level} if level else {}, ci=False, **rest)


def example() -> Result:
    """Return a run with a proven fix, two that are not held, and one that may be a fix."""
    proven = fix_result(
        PURGER,
        "fix: purger skips dated folders (#42)",
        "proven",
        (
            linked_test(
                "tests/test_purger.py::test_dated_layout",
                "proven",
                "failed",
                "passed",
                "AssertionError (3 files left)",
                Reach(ran=6, of=6, import_time=0),
            ),
        ),
        bugs=["#42"],
        reasons=["the subject begins with fix:"],
        place="src/purger.py:12",
        judged_at="tree",
    )
    loose = fix_result(
        PRICE,
        "fix(ui): stale price after reconnect (#51)",
        "passes-without-fix",
        (linked_test("tests/test_ui.py::test_reconnect", "passes-without-fix", "passed", "passed"),),
        bugs=["#51"],
        place="src/ui.py:88",
    )
    bare = fix_result(OFF_BY_ONE, "Fix off-by-one in tick window", "no-test", why="no test is linked to it")
    maybe = fix_result(TICKER, "Handle empty ticker file", judgement="maybe")
    findings = [
        finding("BUG003", "the waiver of BUG101 for #7 was not needed", path="pyproject.toml", line=30),
        finding(
            "BUG102",
            "tests/test_ui.py::test_reconnect passes without the fix 77aa001: it does not hold bug #51",
            path="src/ui.py",
            line=88,
            commit=PRICE,
        ),
        finding(
            "BUG101", "no test is linked to the fix 12c0ffe", path="src/ticks.py", line=7, commit=OFF_BY_ONE
        ),
    ]
    return result(proven, loose, bare, maybe, verdict="fail", findings=findings)


def hostile(text: str) -> Result:
    """Return a result with this text wherever a stranger can put it."""
    test = linked_test(
        text,
        "proven",
        "failed",
        "passed",
        text,
        Reach(ran=1, of=2, import_time=1, missed=[text], note=text),
        text,
        (Link(kind="trailer", evidence=text),),
    )
    fix = fix_result(
        PURGER,
        text,
        "proven",
        (test,),
        bugs=[text],
        reasons=[text],
        paths=[text or "a"],
        why=text,
        place=text,
    )
    undecided = fix_result(PRICE, text, "undecided", (test,), why=text)
    maybe = fix_result(TICKER, text, judgement="maybe", reasons=[text])
    return result(
        fix,
        undecided,
        maybe,
        verdict="fail",
        range=Range(base=None, head=text, why=text, commits=1),
        findings=[
            finding("BUG101", text, help=text, path=text or None, line=3, commit=PURGER),
            finding("BUG104", text, help=text, commit=PRICE),
            finding("BUG001", text, "error", help=text),
        ],
        waivers=[
            WaiverResult(
                rule="BUG101", subject=text, reason=text, source="settings", expires=text, state="used"
            )
        ],
        notes=[text],
    )


#: Every text Python can hold, lone surrogates among them, leaning towards what is special somewhere.
ANY_TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=())),
    st.text(st.sampled_from("\x1b\n\r\t\0\x85\u2028\u202e\udc80\ud800:#[]()<>&|`*_~@!\\$%+-=.1a /\"'{}^w")),
)

_STATUSES = st.sampled_from(
    [
        None,
        "proven",
        "passes-without-fix",
        "existence-only",
        "no-test",
        "guard-fails",
        "undecided",
        "out-of-scope",
        "not-in-run",
        "waived",
    ]
)
_OUTCOMES = st.sampled_from(
    [None, "passed", "failed", "error", "skipped", "timeout", "died", "missing", "xfailed"]
)


def results() -> st.SearchStrategy[Result]:
    """Return a strategy of whole results."""
    links = st.lists(
        st.builds(Link, evidence=ANY_TEXT, kind=st.sampled_from(["marker", "added"])), max_size=2
    )
    reach = st.builds(Reach, note=ANY_TEXT, missed=st.lists(ANY_TEXT, max_size=2))
    tests = st.builds(
        TestResult,
        id=ANY_TEXT,
        links=links,
        before=_OUTCOMES,
        after=_OUTCOMES,
        before_error=st.none() | ANY_TEXT,
        reached=st.none() | reach,
        shows=_STATUSES,
        why=ANY_TEXT,
    )
    commits = st.sampled_from([PURGER, PRICE, TICKER, f"{BASE}..{PURGER}"])
    fixes = st.builds(
        FixResult,
        commit=commits,
        subject=ANY_TEXT,
        bugs=st.lists(ANY_TEXT, max_size=2),
        reasons=st.lists(ANY_TEXT, max_size=2),
        status=_STATUSES,
        why=ANY_TEXT,
        tests=st.lists(tests, max_size=2),
        commits=st.lists(commits, max_size=1),
        paths=st.lists(ANY_TEXT, max_size=2),
        place=st.none() | ANY_TEXT,
        waived=st.none() | ANY_TEXT,
    )
    findings = st.builds(
        Finding,
        rule=st.sampled_from([*RULES, "ACME1"]),
        name=ANY_TEXT,
        message=ANY_TEXT,
        help=ANY_TEXT,
        path=st.none() | ANY_TEXT,
        line=st.none() | st.integers(0, 9999),
        commit=st.none() | commits | ANY_TEXT,
    )
    ranges = st.builds(
        Range, base=st.none() | commits, head=commits, why=ANY_TEXT, commits=st.integers(0, 99)
    )
    made = st.builds(
        Result,
        range=st.none() | ranges,
        fixes=st.lists(fixes, max_size=3),
        findings=st.lists(findings, max_size=3),
        waivers=st.lists(st.builds(WaiverResult, reason=ANY_TEXT, subject=ANY_TEXT), max_size=1),
        notes=st.lists(ANY_TEXT, max_size=1),
    )
    return made.map(lambda one: replace(one, counts=count(one.fixes)))
