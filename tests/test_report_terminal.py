"""The terminal report: golden text, three verbosities, nothing that a terminal would obey."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import (
    HOSTILE,
    OFF_BY_ONE,
    PRICE,
    PURGER,
    TICKER,
    example,
    finding,
    fix_result,
    hostile,
    linked_test,
    result,
    results,
)

from pytest_bugsle.report.terminal import MOST_FINDINGS, MOST_FIXES, MOST_TESTS, MOST_TEXT, lines
from pytest_bugsle.results import Link, ModelResult, Reach, Result, WaiverResult


def text(found: Result, verbosity: int = 0) -> str:
    """Return the report as one text."""
    return "\n".join(line.text for line in lines(found, verbosity))


GOLDEN = """\
range 3f1c2aa..9be04d1 (merge base with origin/main), 7 commits: 3 bug fixes, 1 maybe
PROVEN      9be04d1 fix: purger skips dated folders (#42)
              tests/test_purger.py::test_dated_layout  fails without the fix: AssertionError (3 files left), \
passes with it; 6 of 6 changed statements run
NOT HELD    77aa001 fix(ui): stale price after reconnect (#51)
              tests/test_ui.py::test_reconnect  passes without the fix
NO TEST     12c0ffe Fix off-by-one in tick window
maybe       5d1e0aa Handle empty ticker file
src/ticks.py:7: BUG101 no test is linked to the fix 12c0ffe
  Write a test that fails without the fix. If one exists elsewhere, mark it with \
`@pytest.mark.regression("#42")` or name it in a trailer `Regression-Test: path::test`.
src/ui.py:88: BUG102 tests/test_ui.py::test_reconnect passes without the fix 77aa001: it does not hold bug #51
  Change the test until it fails without the fix: `bugsle prove COMMIT` shows both sides.
pyproject.toml:30: BUG003 the waiver of BUG101 for #7 was not needed
  Take the waiver out.
3 of 3 fixes judged in 2.1 s: 1 proven, 2 not held.  FAILED"""


def test_the_report_reads_as_promised() -> None:
    """Range, one row a fix with its deciding test, findings with errors first, the summary."""
    assert text(example()) == GOLDEN


def test_styles_follow_status_level_and_verdict() -> None:
    """Green, red, yellow and dim stand for what a row means."""
    found = {line.text.split()[0]: line.style for line in lines(example())}
    assert found["PROVEN"] == "green"
    assert found["NOT"] == "red"
    assert found["NO"] == "red"
    assert found["maybe"] == "dim"
    assert found["src/ui.py:88:"] == "red"
    assert found["pyproject.toml:30:"] == "yellow"
    assert lines(example())[-1].style == "red"


@pytest.mark.parametrize(
    ("status", "row"),
    [
        ("proven", "PROVEN      9be04d1 fix: a bug"),
        ("passes-without-fix", "NOT HELD    9be04d1 fix: a bug"),
        ("existence-only", "EXISTENCE   9be04d1 fix: a bug"),
        ("no-test", "NO TEST     9be04d1 fix: a bug"),
        ("guard-fails", "FAILS       9be04d1 fix: a bug"),
        ("undecided", "UNDECIDED   9be04d1 fix: a bug"),
        ("waived", "waived      9be04d1 fix: a bug"),
        ("out-of-scope", "out of scope 9be04d1 fix: a bug"),
        ("not-in-run", "not in this run 9be04d1 fix: a bug"),
    ],
)
def test_every_status_has_its_words(status: Any, row: str) -> None:
    """A status is said in words, and -v gives the reason whatever the status."""
    report = text(result(fix_result(status=status, why="the reason")), 1)
    assert report.splitlines()[1] == row
    assert report.splitlines()[2].strip() == "the reason"


def test_links_alone_are_called_linked() -> None:
    """Without a proof a fix with linked tests is LINKED, and the link is shown."""
    tests = (linked_test(links=(Link(kind="marker", evidence="#42"),)),)
    report = text(result(fix_result(tests=tests), fix_result(PRICE, status="no-test")))
    assert (
        "LINKED      9be04d1 fix: a bug\n              tests/test_a.py::test_a  linked by marker (#42)"
        in report
    )
    assert "NO TEST     77aa001" in report
    assert "2 fixes looked at in 2.1 s, no test run: 1 not held, 1 linked.  PASSED" in report


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (
            linked_test(shows="proven", before="timeout", after="passed"),
            "times out without the fix, passes with it",
        ),
        (
            linked_test(
                shows="proven", before="failed", after="passed", reached=Reach(ran=1, of=3, import_time=1)
            ),
            "fails without the fix, passes with it; 1 of 3 changed statements run (1 at import)",
        ),
        (
            linked_test(
                shows="proven",
                before="failed",
                after="passed",
                reached=Reach(ran=0, of=0, import_time=0, note="n"),
            ),
            "fails without the fix, passes with it; n",
        ),
        (
            linked_test(shows="existence-only", before="error", after="passed", error="ImportError: no x"),
            "errors without the fix only because a name is missing: ImportError: no x",
        ),
        (
            linked_test(shows="guard-fails", before="failed", after="failed", why="AssertionError"),
            "fails with the fix in place: AssertionError",
        ),
        (
            linked_test(shows="undecided", before="died", after="passed", why="the process ended"),
            "crashes without the fix, passes with it: the process ended",
        ),
        (linked_test(shows="undecided", why="not collected"), "not collected"),
        (linked_test(shows="undecided", after="skipped"), "is skipped with the fix"),
        (linked_test(links=()), "linked by nothing"),
    ],
)
def test_a_test_is_told_in_a_sentence(test: Any, said: str) -> None:
    """Both sides, the error, the reach and the reason stand in one line."""
    fix = fix_result(status=test.shows, tests=(test,))
    assert f"tests/test_a.py::test_a  {said}" in text(result(fix)).splitlines()[2]


def test_only_deciding_tests_are_shown_and_v_shows_all() -> None:
    """A proven fix shows what proves it; -v shows the other tests, reasons, links and missed lines."""
    proof = linked_test(
        "t.py::a",
        "proven",
        "failed",
        "passed",
        reached=Reach(ran=1, of=2, import_time=0, missed=["src/a.py:9"], note="threads are not seen"),
        why="seen twice",
    )
    other = linked_test("t.py::b", "passes-without-fix", "passed", "passed")
    found = result(
        fix_result(status="proven", tests=(proof, other), reasons=["the subject says fix"], bugs=["#42"]),
        fix_result(TICKER, "Add x", judgement="no", reasons=["it adds a feature"]),
    )
    assert "t.py::b" not in text(found)
    assert "Add x" not in text(found)
    report = text(found, 1)
    for part in (
        "t.py::b  passes without the fix",
        "seen twice",
        "linked by added (the commit adds it)",
        "not run: src/a.py:9",
        "threads are not seen",
        "a bug fix: the subject says fix",
        "bugs: #42",
        "no fix      5d1e0aa Add x",
        "no bug fix: it adds a feature",
    ):
        assert part in report
        assert part not in text(found)


def test_cases_are_folded_and_tests_capped() -> None:
    """Parameter cases that did the same are one line, and no fix shows more than its share."""
    cases = [linked_test(f"t.py::c[{n}-x[y]]", "proven", "failed", "passed") for n in range(13)]
    odd = linked_test("t.py::c[odd]", "proven", "timeout", "passed")
    report = text(result(fix_result(status="proven", tests=(*cases, odd))))
    assert "t.py::c[0-x[y]] (and 12 more cases)  fails without the fix" in report
    assert "t.py::c[odd]  times out" in report
    many = [linked_test(f"t.py::t{n}", "proven", "failed", "passed") for n in range(MOST_TESTS + 2)]
    report = text(result(fix_result(status="proven", tests=(*many, *cases))))
    assert report.count("t.py::") == MOST_TESTS
    assert "and 15 more tests: -v shows them" in report
    assert (
        text(result(fix_result(status="proven", tests=(*many, *cases))), 1).count("t.py::") == len(many) + 13
    )


def test_long_lists_are_capped_but_no_trouble_is_hidden() -> None:
    """Proven fixes beyond a number are counted, a fix that is not held never; findings are capped."""
    good = [fix_result(f"{n:040x}", f"good {n}", "proven") for n in range(MOST_FIXES + 5)]
    bad = [fix_result(f"{n + 9999:040x}", f"bad {n}", "no-test") for n in range(MOST_FIXES + 5)]
    findings = [finding("BUG101", f"finding {n}") for n in range(MOST_FINDINGS + 1)]
    found = result(*good, *bad, findings=findings)
    report = text(found)
    assert report.count(" good ") == MOST_FIXES
    assert report.count(" bad ") == MOST_FIXES + 5
    assert "and 5 more that need nothing: -v shows them" in report
    assert "and 1 more finding: -v shows them" in report
    assert "more that need nothing" not in text(found, 1)
    assert "more finding" not in text(found, 1)


def test_a_subject_of_a_megabyte_is_one_short_line() -> None:
    """A line is cut, and says so by its last character."""
    row = text(result(fix_result(subject="x" * 1_000_000, status="proven"))).splitlines()[1]
    assert len(row) == MOST_TEXT
    assert row.endswith("x…")


@pytest.mark.parametrize("status", ["undecided", "waived", "out-of-scope", "not-in-run"])
def test_what_was_not_judged_says_why(status: Any) -> None:
    """A fix that was not judged gives its reason without being asked."""
    assert (
        "              the reason" in text(result(fix_result(status=status, why="the reason"))).splitlines()
    )


def test_what_was_not_asked_shows_no_tests_without_v() -> None:
    """A waived fix is its row and its reason; an undecided one shows its tests too."""
    test = linked_test("t.py::a", "undecided", why="the process ended")
    waived = result(fix_result(status="waived", why="until May", tests=(test,)))
    assert "t.py::a" not in text(waived)
    assert "t.py::a" in text(waived, 1)
    assert "t.py::a  the process ended" in text(result(fix_result(status="undecided", tests=(test,))))


def test_quiet_says_nothing_when_all_is_well() -> None:
    """-q prints nothing on a pass without remarks, else the findings and the summary."""
    well = result(fix_result(status="proven"))
    assert lines(well, -1) == []
    quiet = text(example(), -1).splitlines()
    assert quiet[-1] == GOLDEN.splitlines()[-1]
    assert [line.split()[1] for line in quiet[:-1] if not line.startswith(" ")] == [
        "BUG101",
        "BUG102",
        "BUG003",
    ]
    warned = result(fix_result(status="proven"), findings=[finding("BUG103", "m")])
    assert "BUG103" in text(warned, -1)
    assert text(warned, -1).endswith("1 of 1 fix judged in 2.1 s: 1 proven.  PASSED")
    assert text(result(verdict="undecided"), -1) == "0 fixes in the range.  UNDECIDED"
    models = [
        ModelResult(gate="slices", family="slices", outcome=outcome, trials=9, decides=decides)
        for outcome, decides in (("pass", True), ("fail", True), ("pass", False))
    ]
    modelled = msgspec.structs.replace(result(verdict="undecided"), models=models)
    assert text(modelled, -1) == "0 fixes in the range. 1 of 2 model checks pass.  UNDECIDED"
    informed = result(fix_result(status="proven"), findings=[finding("BUG103", "m", "info")])
    assert lines(informed, -1) == []


def test_the_summary_counts_only_what_could_be_judged() -> None:
    """m leaves out what was waived, out of scope or not in this run; undecided stays in m and not in n."""
    statuses: tuple[Any, ...] = (
        "proven",
        "undecided",
        "waived",
        "out-of-scope",
        "not-in-run",
        "existence-only",
    )
    fixes = [fix_result(f"{n:040x}", status=status) for n, status in enumerate((*statuses, "guard-fails"))]
    assert text(result(*fixes, verdict="undecided")).splitlines()[-1] == (
        "3 of 4 fixes judged in 2.1 s: 1 proven, 1 held by existence only, 1 with a failing test, 1 undecided, "
        "1 waived, 1 out of scope, 1 not in this run.  UNDECIDED"
    )
    assert text(result(fixes[2])).splitlines()[-1] == "no fix to judge: 1 waived.  PASSED"


def test_no_fixes_is_said_without_alarm() -> None:
    """A range without a fix passes in plain words."""
    assert text(result()) == (
        "range 3f1c2aa..9be04d1 (merge base with origin/main), 7 commits: no bug fix\n0 fixes in the range.  PASSED"
    )
    assert lines(result())[-1].style == "green"
    assert text(result(range=None, verdict="undecided")) == "no range of commits\n0 fixes judged.  UNDECIDED"


def test_waivers_and_notes_are_always_listed() -> None:
    """A waiver is told with rule, subject, source, expiry, state and reason."""
    waivers = [
        WaiverResult(rule="BUG101", subject=PRICE, reason="r1", source="trailer", expires=None, state="used"),
        WaiverResult(
            rule="BUG102", subject="#7", reason="r2", source="settings", expires="2026-01-31", state="expired"
        ),
    ]
    report = lines(result(waivers=waivers, notes=["shallow"]))
    assert ("waiver BUG101 of 77aa001 (trailer): r1", "dim") in report
    assert ("waiver BUG102 of #7 (settings, until 2026-01-31): expired: r2", "yellow") in report
    assert ("note: shallow", "yellow") in report


def test_a_finding_without_a_place_begins_with_its_rule_and_off_is_silent() -> None:
    """BUG001 has no file; a finding that policy switched off is not shown."""
    findings = [
        finding("BUG001", "m", help="h"),
        finding("BUG101", "silent", "off"),
        finding("BUG104", "p", path="a"),
    ]
    report = text(result(findings=findings))
    assert "\nBUG001 m\n  h\na: BUG104 p\n" in report
    assert "silent" not in report


def test_a_whole_range_as_one_unit_is_shortened_on_both_ends() -> None:
    """A unit that is a range shows both hashes short; other hexadecimal words stay."""
    fix = fix_result(f"{OFF_BY_ONE}..{PURGER}", f"fix: {'ab' * 15}", "proven")
    assert f"PROVEN      12c0ffe..9be04d1 fix: {'ab' * 15}" in text(result(fix))


@pytest.mark.parametrize("hostile_text", HOSTILE)
@pytest.mark.parametrize("verbosity", [0, 1])
def test_strangers_do_not_reach_the_terminal(hostile_text: str, verbosity: int) -> None:
    """Whatever stands in subjects, paths and ids, each line is one line and commands nothing."""
    _harmless(hostile(hostile_text), verbosity)


@given(results(), st.sampled_from([-1, 0, 1]))
def test_any_result_gives_harmless_lines(found: Result, verbosity: int) -> None:
    """The same holds for any result, and rendering twice gives the same lines."""
    _harmless(found, verbosity)
    assert lines(found, verbosity) == lines(found, verbosity)


def _harmless(found: Result, verbosity: int) -> None:
    for line in lines(found, verbosity):
        assert not {unicodedata.category(character) for character in line.text} & {"Cc", "Cs", "Zl", "Zp"}
        assert not line.text.lstrip().startswith("::")
        assert not re.search(r"##\w*\[", line.text)
        line.text.encode("utf-8")


def test_a_pass_of_the_gate_is_no_pass_of_the_session() -> None:
    """Beside failed tests the verdict says whose it is."""
    passed = result(fix_result(status="proven"))
    assert lines(passed)[-1].text.endswith("  PASSED")
    assert lines(passed, failed=1)[-1].text.endswith("  PASSED (this gate; 1 test failed)")
    assert lines(example(), failed=2)[-1] == lines(example())[-1]
