"""The JUnit report: one test case a fix, legal XML whatever it holds."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
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
    result,
    results,
)

from pytest_bugsle.report.junit import render
from pytest_bugsle.results import Result

GOLDEN = """\
<?xml version='1.0' encoding='utf-8'?>
<testsuites>
  <testsuite name="bugsle" tests="4" failures="2" errors="0" skipped="0" time="2.100">
    <properties>
      <property name="verdict" value="fail" />
      <property name="summary" value="3 of 3 fixes judged in 2.1 s: 1 proven, 2 not held." />
      <property name="base" value="3f1c2aaeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee" />
      <property name="head" value="9be04d1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" />
    </properties>
    <testcase classname="bugsle.regression" name="9be04d1 fix: purger skips dated folders (#42)" time="0.000" \
file="src/purger.py" line="12">
      <properties>
        <property name="commit" value="9be04d1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" />
        <property name="judgement" value="fix" />
        <property name="status" value="proven" />
        <property name="bug" value="#42" />
        <property name="link" value="tests/test_purger.py::test_dated_layout (added: the commit adds it)" />
      </properties>
      <system-out>tests/test_purger.py::test_dated_layout  fails without the fix: \
AssertionError (3 files left), passes with it; 6 of 6 changed statements run</system-out>
    </testcase>
    <testcase classname="bugsle.regression" name="77aa001 fix(ui): stale price after reconnect (#51)" \
time="0.000" file="src/ui.py" line="88">
      <properties>
        <property name="commit" value="77aa001bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" />
        <property name="judgement" value="fix" />
        <property name="status" value="passes-without-fix" />
        <property name="bug" value="#51" />
        <property name="link" value="tests/test_ui.py::test_reconnect (added: the commit adds it)" />
      </properties>
      <failure type="BUG102" message="tests/test_ui.py::test_reconnect passes without the fix 77aa001: \
it does not hold bug #51">src/ui.py:88: BUG102 tests/test_ui.py::test_reconnect passes without the fix 77aa001: \
it does not hold bug #51
  Change the test until it fails without the fix: `bugsle prove COMMIT` shows both sides.</failure>
      <system-out>tests/test_ui.py::test_reconnect  passes without the fix</system-out>
    </testcase>
    <testcase classname="bugsle.regression" name="12c0ffe Fix off-by-one in tick window" time="0.000" \
file="src/a.py">
      <properties>
        <property name="commit" value="12c0ffeccccccccccccccccccccccccccccccccc" />
        <property name="judgement" value="fix" />
        <property name="status" value="no-test" />
      </properties>
      <failure type="BUG101" message="no test is linked to the fix 12c0ffe">src/ticks.py:7: BUG101 \
no test is linked to the fix 12c0ffe
  Write a test that fails without the fix. If one exists elsewhere, mark it with \
`@pytest.mark.regression("#42")` or name it in a trailer `Regression-Test: path::test`.</failure>
    </testcase>
    <testcase classname="bugsle.run" name="BUG003 waiver-unused: the waiver of BUG101 for #7 was not needed" \
time="0.000" file="pyproject.toml">
      <system-out>pyproject.toml:30: BUG003 the waiver of BUG101 for #7 was not needed
  Take the waiver out.</system-out>
    </testcase>
  </testsuite>
</testsuites>
"""


def check(data: bytes) -> ElementTree.Element:
    """Assert well-formed XML with counts that hold and elements in the order readers expect."""
    root = ElementTree.fromstring(data)
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    for case in cases:
        assert case.get("classname") in {"bugsle.regression", "bugsle.run"}
        assert case.get("name") is not None
        order = ["properties", "failure", "skipped", "system-out"]
        tags = [child.tag for child in case]
        assert tags == [tag for tag in order if tag in tags]
        assert not {"failure", "skipped"} <= set(tags)
    return suite


def test_the_report_reads_as_promised() -> None:
    """A case a fix with properties, failures and output; a finding of no fix is a case of its own."""
    data = render(example())
    check(data)
    assert data.decode("utf-8") == GOLDEN


@pytest.mark.parametrize("status", ["undecided", "waived", "out-of-scope", "not-in-run"])
def test_what_was_not_judged_is_skipped_with_its_reason(status: Any) -> None:
    """The reason of a skipped case is the fix's own; a waiver's goes before it."""
    suite = check(render(result(fix_result(status=status, why="the reason"))))
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert dict(skipped.items()) == {"type": status, "message": "the reason"}
    suite = check(render(result(fix_result(status=status, why="the reason", waived="until May"))))
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "until May"


def test_only_errors_are_failures() -> None:
    """Policy decides: a warning on a fix is output, an error on an undecided fix a failure."""
    warned = fix_result(PURGER, status="existence-only")
    strict = fix_result(PRICE, status="undecided", why="w")
    findings = [
        finding("BUG103", "only existence", commit=PURGER),
        finding("BUG104", "strict", "error", commit=PRICE),
        finding("BUG101", "silent", "off", commit=PRICE),
        finding("BUG001", "nothing judged", "error"),
    ]
    suite = check(render(result(warned, strict, verdict="fail", findings=findings)))
    kinds = [[child.tag for child in case] for case in suite.findall("testcase")]
    assert kinds == [["properties", "system-out"], ["properties", "failure"], ["failure"]]
    assert b"silent" not in render(result(strict, findings=findings))


def test_all_errors_of_a_fix_are_one_failure() -> None:
    """Readers take one failure a case: it holds every message."""
    findings = [finding("BUG101", "one", commit=PURGER), finding("BUG106", "two", commit=TICKER)]
    fix = fix_result(PURGER, status="guard-fails", commits=[PURGER, TICKER])
    suite = check(render(result(fix, findings=findings)))
    (failure,) = suite.findall("testcase/failure")
    assert "BUG101 one" in str(failure.text)
    assert "BUG106 two" in str(failure.text)
    assert suite.get("tests") == "1"


def test_a_unit_that_is_no_fix_has_no_case_and_loses_no_error() -> None:
    """A maybe is no test case, but an error about it is shown."""
    maybe = fix_result(OFF_BY_ONE, judgement="maybe")
    assert check(render(result(maybe))).get("tests") == "0"
    suite = check(render(result(maybe, findings=[finding("BUG101", "m", commit=OFF_BY_ONE)])))
    assert suite.get("failures") == "1"


def test_undecided_without_a_case_is_not_an_empty_suite() -> None:
    """A suite without cases would be read as a pass."""
    suite = check(render(result(range=None, verdict="undecided")))
    (case,) = suite.findall("testcase")
    assert (case.get("classname"), case.get("name")) == ("bugsle.run", "verdict")
    assert suite.get("skipped") == "1"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """No element comes of a stranger's text, and every character is legal."""
    suite = check(render(hostile(text)))
    assert {element.tag for element in suite.iter()} <= {
        "testsuite",
        "testcase",
        "properties",
        "property",
        "failure",
        "skipped",
        "system-out",
    }


@given(results())
def test_any_result_is_junit_and_byte_identical(found: Result) -> None:
    """Any result gives legal XML, twice the same."""
    data = render(found)
    check(data)
    assert render(found) == data
