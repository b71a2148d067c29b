"""The report for GitHub's runner: annotations that command nothing else, a summary in its limit, outputs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from composite import read_annotations, read_outputs
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from report_examples import (
    ANY_TEXT,
    HOSTILE,
    PRICE,
    PURGER,
    example,
    finding,
    fix_result,
    hostile,
    linked_test,
    result,
    results,
)

from pytest_bugsle.errors import UsageError
from pytest_bugsle.report import markdown, writer
from pytest_bugsle.report.figures import delivery_lines
from pytest_bugsle.report.github import (
    MOST_OF_A_KIND,
    command,
    delivery_outputs,
    merged,
    output_lines,
    outputs,
    render,
    step_summary,
)
from pytest_bugsle.results import AuditResult, Result, Share


def test_the_report_reads_as_promised() -> None:
    """A line a finding: kind, place, rule, message, and what to do next."""
    lines = render(example()).decode().splitlines()
    assert [line[: line.index("::", 2)] for line in lines] == [
        "::error file=src/ticks.py,line=7,title=BUG101 fix-without-test",
        "::error file=src/ui.py,line=88,title=BUG102 test-passes-without-fix",
        "::warning file=pyproject.toml,line=30,title=BUG003 waiver-unused",
    ]
    assert lines[1].endswith(
        "it does not hold bug #51%0AChange the test until it fails without the fix: "
        "`bugsle prove COMMIT` shows both sides."
    )


def test_what_stands_in_the_change_comes_first() -> None:
    """Of one kind, findings in files of the range come before others, so that the limit cuts the others."""
    test = linked_test("tests/test_z.py::test_z")
    fix = fix_result(PURGER, paths=["src/z.py"], tests=(test,))
    found = result(
        fix,
        findings=[
            finding("BUG101", "elsewhere", path="a.py", line=1),
            finding("BUG108", "same fix, other file", "error", path="b.py", line=1, commit=PURGER),
            finding("BUG101", "in the change", path="src/z.py", line=1),
            finding("BUG106", "in a changed test", path="tests/test_z.py"),
            finding("BUG001", "no place", "error"),
        ],
    )
    texts = [note.text.splitlines()[0] for note in read_annotations(render(found).decode())]
    assert texts == ["in the change", "in a changed test", "no place", "elsewhere", "same fix, other file"]


@pytest.mark.parametrize(
    ("number", "more"), [(MOST_OF_A_KIND, ""), (MOST_OF_A_KIND + 1, "and 2 more"), (99, "and 90 more")]
)
@pytest.mark.parametrize(("level", "kind"), [("error", "error"), ("warning", "warning"), ("info", "notice")])
def test_the_limit_of_a_kind_holds_and_says_how_many_more(
    number: int, more: str, level: str, kind: str
) -> None:
    """GitHub drops the eleventh of a kind without a word: the tenth says what is missing."""
    findings = [finding("BUG101", f"finding {n}", level, path="a.py", line=n + 1) for n in range(number)]  # type: ignore[arg-type]  # a level
    notes = read_annotations(render(result(findings=findings)).decode())
    assert len(notes) == MOST_OF_A_KIND and {note.kind for note in notes} == {kind}
    assert (more in notes[-1].text) if more else notes[-1].text.startswith("finding 9")
    assert not more or notes[-1].text.endswith(
        f"more {kind}s: the step summary and the JSON report list them"
    )


def test_what_is_switched_off_is_not_shown() -> None:
    """A rule at level off says nothing, and neither does a run without findings."""
    off = [replace(finding("BUG101", "x"), level="off")]
    assert render(result()) == b"" == render(result(findings=off))


def test_a_command_escapes_what_would_end_it() -> None:
    """Data escapes percent and line ends, properties colon and comma as well; empty ones are left out."""
    assert command("error", "50%\n:,", file="a:b,c%.py", line="", title="t") == (
        "::error file=a%3Ab%2Cc%25.py,title=t::50%25%0A:,"
    )
    assert command("notice", "x") == "::notice::x"
    assert len(command("error", "x" * 10**6)) < 3000


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_other_annotation(text: str) -> None:
    """Whatever a stranger wrote, the runner reads our annotations and no other command."""
    log = render(hostile(text)).decode()
    notes = read_annotations(log)
    assert sorted(note.properties["title"].split()[0] for note in notes) == ["BUG001", "BUG101", "BUG104"]
    assert len(log.splitlines()) == 3
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]|##\w*\[", log)
    assert {frozenset(note.properties) for note in notes} <= {
        frozenset({"title"}),
        frozenset({"title", "file", "line"}),
    }


@given(results())
def test_any_result_keeps_the_limits(found: Result) -> None:
    """Each line is one annotation, at most ten of a kind, the same bytes twice."""
    data = render(found)
    notes = read_annotations(data.decode("utf-8"))
    assert len(notes) == len(data.decode().splitlines())
    kinds = [note.kind for note in notes]
    assert all(kinds.count(kind) <= MOST_OF_A_KIND for kind in kinds)
    assert render(found) == data


@given(ANY_TEXT, ANY_TEXT)
def test_any_text_comes_back_as_it_is_shown(text: str, path: str) -> None:
    """The runner's unescaping gives the shown text: nothing is lost and no second property appears."""
    (note,) = read_annotations(command("error", text, file=path, title="t"))
    assert note.kind == "error" and set(note.properties) <= {"file", "title"}
    assert note.properties["title"] == "t"
    if text.isprintable() and "##" not in text and not text.strip().startswith("::"):
        assert note.text == text


# --- summary and outputs ------------------------------------------------------------------------------


def test_the_summary_keeps_to_the_room_that_is_left() -> None:
    """It is the Markdown report, cut; where not even its first lines fit there is none."""
    assert step_summary(example(), markdown.LIMIT) == markdown.render(example())
    tests = tuple(linked_test(f"tests/t.py::test_{n}", "proven", "failed", "passed") for n in range(400))
    found = result(*[fix_result(f"{n:040x}", f"fix: {n}", "proven", tests) for n in range(20)])
    for room in (5000, 20_000):
        cut = step_summary(found, room)
        assert 0 < len(cut) <= room and b"Cut to stay" in cut
    assert step_summary(found, 10) == b""


def test_outputs_count_fixes_and_findings() -> None:
    """What later steps ask for: the verdict, its line, counts."""
    assert outputs(example()) == {
        "verdict": "fail",
        "summary": "3 of 3 fixes judged in 2.1 s: 1 proven, 2 not held.",
        "fixes": "3",
        "proven": "1",
        "errors": "2",
        "warnings": "1",
    }


@given(st.dictionaries(st.sampled_from(["verdict", "json", "summary"]), ANY_TEXT))
def test_any_value_comes_back_from_the_file_of_outputs(values: dict[str, str]) -> None:
    """A value of several lines, with a heredoc of its own in it, is one value."""
    lines = output_lines(values, "f" * 32).decode("utf-8")
    readable = {name: value.encode("utf-8", "backslashreplace").decode() for name, value in values.items()}
    assert read_outputs(lines) == readable


def test_a_value_that_knows_the_delimiter_is_refused() -> None:
    """No value can close what it stands in."""
    with pytest.raises(ValueError, match="abc"):
        output_lines({"a": "x\nabc\nverdict=pass"}, "abc")


def test_delivery_figures_are_taken_from_the_pool() -> None:
    """Hours and shares of the pooled figures, and which rung the failures are counted by."""
    delivery = {
        "pooled": {
            "lead_time": {"n": 9, "median_seconds": 90_000},
            "recovery": {"incident": {"median_seconds": 7200}, "explicit": {"median_seconds": 1800.0}},
            "change_failure": {"incident": {"rate": None}, "explicit": {"rate": 0.125}, "szz": {"rate": 0.5}},
        }
    }
    assert delivery_outputs(delivery) == {
        "lead-time-hours": "25.0",
        "recovery-hours": "0.5",
        "change-failure-rate": "0.1250",
        "change-failure-rung": "explicit",
    }
    assert delivery_outputs({"pooled": {"recovery": {"median_seconds": 3600}}}) == {"recovery-hours": "1.0"}
    assert delivery_outputs({"pooled": None}) == {}
    rungs = [{"rung": "explicit", "rate": None}, {"rung": "patch-release", "rate": 0}]
    assert delivery_outputs({"pooled": {"change_failure": rungs}}) == {
        "change-failure-rate": "0.0000",
        "change-failure-rung": "patch-release",
    }


def test_the_summary_has_a_table_of_the_figures() -> None:
    """Each figure stands beside what it was made from; a stranger's rung stays text."""
    delivery = {
        "pooled": {
            "lead_time": {"n": 36, "median_seconds": 2_454_480},
            "deployment_frequency": {"deployments": 2, "days": 365.0, "per_30_days": 0.164},
            "change_failure": {
                "explicit": {"failed": 1, "deployments": 8, "rate": 0.125, "interval": [0.02, 0.47]}
            },
            "recovery": {"a|b": {"n": 1, "median_seconds": 1800}, "szz": {"n": 0, "median_seconds": None}},
        }
    }
    assert delivery_lines(delivery)[5:] == [
        "| lead time for changes | median 28.4 days | 36 commits |",
        "| deployments | 0.16 in 30 days | 2 in 365 days |",
        "| change failure rate, by explicit | 12.5% (95 % interval 2.0% to 47.0%) | 1 of 8 deployments |",
        "| recovery, by a&#124;b | median 0.5 hours | 1 failure |",
    ]
    assert delivery_lines({}) == [] == delivery_lines({"pooled": {"lead_time": {"n": 0}}})


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["pooled", "lead_time", "median_seconds", "change_failure", "explicit", "rate"]),
            inner,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["pooled", "repositories"]), _JSON))
def test_any_delivery_gives_outputs_or_none(delivery: dict[str, object]) -> None:
    """A figure that is absent, null or of another kind costs its output and nothing else."""
    found = delivery_outputs(delivery)
    assert all(line.count("|") in {0, 4} for line in delivery_lines(delivery))
    assert all(isinstance(value, str) and "\n" not in value for value in found.values())
    assert ("change-failure-rate" in found) == ("change-failure-rung" in found)


# --- several gates, one report --------------------------------------------------------------------------


def test_several_gates_become_one_result_with_the_worst_verdict() -> None:
    """Findings and notes add up, what one gate alone has is taken from it, the fixes stay."""
    audit = AuditResult(
        since=None,
        until=PRICE,
        ledger=None,
        total=Share(name="all", fixes=0, judged=0, held=0, share=None, low=None, high=None),
    )
    tests = replace(example(), verdict="pass", notes=["a"])
    dora = result(verdict="undecided", range=None, notes=["a", "b"], findings=[finding("BUG104", "x")])
    both = merged([tests, replace(dora, audit=audit)])
    assert both.verdict == "undecided" and both.fixes == tests.fixes and both.counts == tests.counts
    assert both.range == tests.range and both.audit == audit and both.notes == ["a", "b"]
    assert len(both.findings) == len(tests.findings) + 1
    assert both.timings.total == 4.2
    assert merged([tests]) is tests
    assert merged([dora, replace(tests, verdict="fail")]).fixes == tests.fixes
    assert merged([dora, replace(tests, verdict="fail")]).verdict == "fail"


# --- the files of the runner ------------------------------------------------------------------------------


def test_the_runners_files_are_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summary and outputs go behind what earlier writers of the step left; the annotations to their place."""
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    writer.write(example(), writer.Target("github", tmp_path / "annotations"))
    assert (tmp_path / "annotations").read_bytes() == render(example())
    assert summary.read_bytes() == b"before\n" + markdown.render(example())
    assert read_outputs(output.read_text(encoding="utf-8")) == outputs(example())
    os.truncate(summary, markdown.LIMIT - 10)
    writer.write(example(), writer.Target("github", tmp_path / "annotations"))
    assert summary.stat().st_size == markdown.LIMIT - 10


def test_without_the_runner_only_annotations_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off GitHub there is no other file."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    writer.write(example(), writer.Target("github", tmp_path / "annotations"))
    assert os.listdir(tmp_path) == ["annotations"]


def test_a_file_of_the_runner_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A summary that cannot be written is said, with its path."""
    with pytest.raises(UsageError, match=r"the report .*nowhere/summary cannot be written"):
        writer.tell_runner(example(), {"GITHUB_STEP_SUMMARY": str(tmp_path / "nowhere/summary")})
