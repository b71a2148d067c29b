"""The Markdown report: a table, findings and details, in which strangers' text stays text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from report_examples import (
    HOSTILE,
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

from pytest_bugsle.report.markdown import LIMIT, render
from pytest_bugsle.results import ExperimentResult, ModelResult, Result, WaiverResult

GOLDEN = r"""## pytest-bugsle: FAILED

3 of 3 fixes judged in 2.1 s: 1 proven, 2 not held.

range 3f1c2aa..9be04d1 (merge base with origin/main), 7 commits: 3 bug fixes, 1 maybe

| status | fix | bugs | tests |
|---|---|---|---|
| PROVEN | 9be04d1 fix: purger skips dated folders (#42) | \#42 | tests/test\_purger.py::test\_dated\_layout fails without the fix: AssertionError (3 files left), passes with it; 6 of 6 changed statements run |
| NOT HELD | 77aa001 fix(ui): stale price after reconnect (#51) | \#51 | tests/test\_ui.py::test\_reconnect passes without the fix |
| NO TEST | 12c0ffe Fix off-by-one in tick window |  | no test is linked to it |
| maybe | 5d1e0aa Handle empty ticker file |  |  |

### Findings

- **error BUG101** src/ticks.py:7: no test is linked to the fix 12c0ffe
  Write a test that fails without the fix. If one exists elsewhere, mark it with \`@&#8203;pytest.mark.regression(&#34;#42&#34;)\` or name it in a trailer \`Regression-Test: path::test\`.
- **error BUG102** src/ui.py:88: tests/test\_ui.py::test\_reconnect passes without the fix 77aa001: it does not hold bug #51
  Change the test until it fails without the fix: \`bugsle prove COMMIT\` shows both sides.
- **warning BUG003** pyproject.toml:30: the waiver of BUG101 for #7 was not needed
  Take the waiver out.

<details>
<summary>Every commit and test</summary>

- PROVEN 9be04d1 fix: purger skips dated folders (#42): the subject begins with fix:
  - tests/test\_purger.py::test\_dated\_layout fails without the fix: AssertionError (3 files left), passes with it; 6 of 6 changed statements run
- NOT HELD 77aa001 fix(ui): stale price after reconnect (#51)
  - tests/test\_ui.py::test\_reconnect passes without the fix
- NO TEST 12c0ffe Fix off-by-one in tick window: no test is linked to it
- maybe 5d1e0aa Handle empty ticker file

</details>
"""


def check(data: bytes) -> str:
    """Assert that no line breaks out of its place, and return the text."""
    text = data.decode("utf-8")
    assert text.startswith("## ")
    assert text.endswith("\n")
    assert set(re.findall(r"<[^>]*>", text)) <= {"<details>", "<summary>", "</summary>", "</details>"}
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.count("|") == 5
        assert not re.search(r"@(?!&#8203;)|://", line)
    return text


def test_the_report_reads_as_promised() -> None:
    """Verdict, summary, table, findings, details."""
    assert check(render(example())) == GOLDEN


def test_waivers_and_notes_are_listed() -> None:
    """Waivers and notes have a section of their own."""
    waiver = WaiverResult(
        rule="BUG101", subject=PRICE, reason="legacy", source="trailer", expires=None, state="used"
    )
    text = check(render(result(waivers=[waiver], notes=["the clone is shallow"])))
    assert "- waiver BUG101 of 77aa001 (trailer): legacy\n- note: the clone is shallow\n" in text


def test_cases_are_folded() -> None:
    """Parameter cases that did the same are one line of the details."""
    cases = tuple(linked_test(f"t.py::c[{n}]", "proven", "failed", "passed") for n in range(5))
    text = check(render(result(fix_result(status="proven", tests=cases))))
    assert text.count("t.py::c") == 2
    assert "(and 4 more tests)" in text
    assert "(and 4 more cases)" in text


def _gated(metric: str) -> Result:
    said = (
        f"PASS {metric}: the lower end is over 0\n  treatment 12.80 %\n  difference +2.80 points\n  [--o--]"
    )
    experiment = ExperimentResult(
        metric=metric, outcome="pass", effect=0.028, interval=(0.005, 0.051), relative=None, p_value=None,
        n={"control": 5000, "treatment": 5000}, n_needed=None, checks=[], look=None, test="t.py::test_ab", message=said,
    )  # fmt: skip
    said = "FAIL case.upper: flips 100 of 200 = 50 %, limit 2 %\n  smallest: a text"
    model = ModelResult(gate="invariant", family="case", outcome="fail", trials=200, message=said)
    return result(experiments=[experiment], models=[model])


def test_gates_of_tests_are_listed_with_their_numbers() -> None:
    """Those that pass, too: who reviews the change sees what it was judged by, without the drawings."""
    text = check(render(_gated("conversion")))
    assert (
        "### A/B tests\n\n- PASS conversion: the lower end is over 0 (t.py::test\\_ab)\n"
        "  treatment 12.80 %; difference +2.80 points\n"
    ) in text
    assert "### Models\n\n- FAIL case.upper: flips 100 of 200 = 50 %, limit 2 %\n" in text
    assert "--o--" not in text and "smallest" not in text


@pytest.mark.parametrize("hostile_text", HOSTILE)
def test_hostile_text_of_a_gate_stays_text(hostile_text: str) -> None:
    """The name of a metric is data."""
    text = check(render(_gated(hostile_text)))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["## pytest-bugsle: PASSED", "### A/B tests", "### Models"]
    assert len([line for line in text.splitlines() if line.startswith(("- ", "* ", "+ "))]) == 2


def test_gates_that_find_no_room_are_counted() -> None:
    """As all that is cut."""
    text = check(render(_gated("conversion"), limit=500))
    assert "1 A/B metric, 1 model judgement not shown" in text


def test_nothing_found_is_short() -> None:
    """Without a fix there is no table and no heading."""
    text = check(render(result()))
    assert text.splitlines()[2] == "0 fixes in the range."
    assert "###" not in text
    assert "|" not in text


def test_a_long_report_is_cut_and_says_what_was_cut() -> None:
    """Details go first, the findings last, and the limit holds."""
    tests = tuple(linked_test(f"tests/t.py::test_{n}", "proven", "failed", "passed") for n in range(400))
    fixes = [fix_result(f"{n:040x}", f"fix: {n}", "proven", tests) for n in range(60)]
    findings = [finding("BUG103", f"finding {n}", path="src/a.py", line=n + 1) for n in range(10)]
    found = result(*fixes, findings=findings)
    whole = render(found, limit=LIMIT * 10)
    assert len(whole) > LIMIT
    assert b"Cut to stay" not in whole
    text = check(render(found))
    assert len(text.encode()) <= LIMIT
    assert re.search(r"\nCut to stay under the size limit: \d+ lines not shown\. The JSON report", text)
    assert text.count("fix: ") >= 60
    text = check(render(found, limit=7000))
    assert len(text.encode()) <= 7000
    assert text.count("finding ") == 10
    assert re.search(r"Cut to stay under the size limit: \d+ fixes, 24060 lines not shown", text)
    assert "<details>" not in text


def test_one_long_text_does_not_push_out_the_rest() -> None:
    """A subject of a megabyte is cut by itself."""
    text = check(
        render(result(fix_result(PURGER, "|" * LIMIT, "proven"), fix_result(TICKER, "next", "no-test")))
    )
    assert "…" in text
    assert "next" in text
    assert "Cut to stay" not in text


@pytest.mark.parametrize("hostile_text", HOSTILE)
def test_hostile_text_stays_text(hostile_text: str) -> None:
    """No row, heading, list, link, mention or tag comes of a stranger's text."""
    text = check(render(hostile(hostile_text)))
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## pytest-bugsle: FAILED",
        "### Findings",
        "### Waivers and notes",
    ]


@pytest.mark.parametrize("hostile_text", HOSTILE)
def test_a_parser_sees_only_our_own_markup(hostile_text: str) -> None:
    """A CommonMark parser finds the same elements whatever the text."""
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark").enable("table").enable("strikethrough")

    def inline(text: str) -> set[Any]:
        tokens = parser.parse(render(hostile(text)).decode())
        return {child.type for token in tokens for child in token.children or ()}

    assert inline(hostile_text) <= inline("plain") | {"text_special"}


@given(results())
def test_any_result_is_markdown_and_byte_identical(found: Result) -> None:
    """Any result gives the same harmless text twice."""
    data = render(found)
    check(data)
    assert render(found) == data
