"""Deployments as somebody else recorded them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from delivery_stories import line, sha_of, story
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.deployments import Row, choose, parse_deployments
from pytest_bugsle.errors import UsageError

A, B = sha_of("a"), sha_of("b")
CSV = f"""time,commit,environment,status,name,who
2025-03-01T12:00:00Z,{A},production,success,r1,"Ada, the first"

2025-03-02T12:00:00Z,{B[:9].upper()},Production,failed,,
1741003200,{B},staging,,,
"""
NOON = 1_740_830_400


def rows(text: str) -> list[Row]:
    """Read a file."""
    return parse_deployments(text.encode(), "d.csv")


def test_a_table_is_read() -> None:
    """Quoted fields, other columns and empty lines among it; each row knows its line."""
    assert rows(CSV) == [
        Row(NOON, A, "production", "live", "r1", "d.csv:2"),
        Row(NOON + 86_400, B[:9], "Production", "failed", "", "d.csv:4"),
        Row(1_741_003_200, B, "staging", "live", "", "d.csv:5"),
    ]
    other = CSV.replace("\n", "\r\n").encode("utf-8-sig")
    assert parse_deployments(other, "d.csv") == rows(CSV)


def test_a_field_over_several_lines_does_not_shift_the_next() -> None:
    """The line of a row is where it begins."""
    text = f'note,time,commit\n"two\nlines",2025-03-01,{A}\nx,2025-03-02,{B}\n'
    assert [row.place for row in rows(text)] == ["d.csv:2", "d.csv:4"]


def test_lines_of_json_are_read() -> None:
    """Numbers are times too, and a missing environment is none."""
    text = f'{{"time": {NOON}, "commit": "{A}"}}\n\n{{"time": "2025-03-02", "commit": "{B}", "environment": "eu", "status": null}}\n'
    assert rows(text) == [
        Row(NOON, A, None, "live", "", "d.csv:1"),
        Row(NOON + 43_200, B, "eu", "live", "", "d.csv:3"),
    ]


def deployment(sha: str, *states: tuple[str, str], **more: object) -> dict[str, object]:
    """Give a deployment as GitHub lists it."""
    statuses = [{"state": state, "created_at": when} for state, when in states]
    known = {"sha": sha, "created_at": "2025-03-01T11:00:00Z", "updated_at": "2030-01-01T00:00:00Z"}
    return {**known, "environment": "production", **({"statuses": statuses} if states else {}), **more}


def test_a_github_export_is_read() -> None:
    """Its time is that of the first success, or of its creation; never that of its last update."""
    listed = [
        deployment(A),
        deployment(A, ("inactive", "2025-03-03T00:00:00Z"), ("success", "2025-03-01T12:00:00Z")),
        deployment(B, ("in_progress", "2025-03-01T11:10:00Z"), ("failure", "2025-03-01T11:30:00Z")),
    ]
    got = parse_deployments(json.dumps(listed, indent=1).encode(), "g.json")
    assert [(row.time, row.outcome) for row in got] == [
        (NOON - 3600, "live"),
        (NOON, "live"),
        (NOON - 3600, "absent"),
    ]
    assert got[0].place == "g.json:2"
    named = json.dumps([deployment(A, ref="v1.2.3"), deployment(A, ref="main")]).encode()
    assert [row.name for row in parse_deployments(named, "g.json")] == ["v1.2.3", ""]
    pages = json.dumps(listed[:1]) + "\n" + json.dumps(listed[1:])
    slurped = json.dumps([listed[:1], listed[1:]])
    for text in (pages, slurped):
        again = parse_deployments(text.encode(), "g.json")
        assert [(r.time, r.commit, r.outcome) for r in again] == [(r.time, r.commit, r.outcome) for r in got]


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "d.csv:1: `time`: the header has no name", "time, commit, environment, status, name"),
        ("times,commit\n", "`time`: the header has 'times', 'commit' (is it 'times'?)", "a first line with"),
        ("time,sha\n", "`commit`: the header has 'time', 'sha'", "a first line with"),
        ("time,commit,time\n", "`time`: the header has it twice", "once"),
        (f"time,commit\nsoon,{A}\n", "d.csv:2: `time`: 'soon' is no time", "2025-03-01T10:30:00"),
        ("time,commit\n2025-03-01,main\n", "d.csv:2: `commit`: 'main' is no commit", "at least 7 digits"),
        (
            f"time,commit,status\n2025-03-01,{A},sucess\n",
            "d.csv:2: `status`: 'sucess' is not known",
            "success",
        ),
        (f"time,commit\n2025-03-01,{A},x\n", "d.csv:2: it has 3 fields, the header has 2", "quotes"),
        (f'time,commit\n2025-03-01,"{A}\n', "it is no CSV", "closed quotes"),
        ('{"time": 1', "d.csv:1: it is no JSON", "one object a line"),
        ("{}\n", "d.csv:1: `time`: it has ", '{"time": …'),
        ('{"time": "2025-03-01", "comit": "x"}\n', "`commit`: it has 'comit'", '{"time": …'),
        (f'{{"time": [1], "commit": "{A}"}}', "`time`: it is neither a text nor a number", "one value"),
        (f'{{"time": "2025-03-01", "commit": "{A}"}}\n[1]', "d.csv:2: it is no object", '{"time": …'),
        ('[\n{"sha": "x"}]', "d.csv:2: `created_at`: it is not there", "GitHub's list"),
        ('[{"sh": 1, "created_at": "x"}]', "`sha`: it has 'sh'", "GitHub's list"),
        ("[\n1]", "d.csv:2: it is no object", "GitHub's list"),
        ('[{"sha": "a", ', "it is no JSON", "GitHub's list"),
        ("[[[", "'[' does not belong here", "GitHub's list"),
        ("[] 1", "it stands in no list", "GitHub's list"),
        ("[[]", "a list is never closed", "a whole export"),
        (
            '[{"sha": "x", "created_at": "y", "statuses": 1}]',
            "`statuses`: it is no list of objects",
            "statuses_url",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_place(text: str, what: str, hint: str) -> None:
    """File, line, field, what is expected, and the nearest name."""
    with pytest.raises(UsageError) as caught:
        rows(text)
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert "makes every figure wrong" in caught.value.why


def test_a_file_that_is_no_text() -> None:
    """With the line of the first byte that is none."""
    with pytest.raises(UsageError, match=r"d\.csv:2: it is not UTF-8"):
        parse_deployments(b"time,commit\n\xff", "d.csv")


def test_one_environment_counts() -> None:
    """By default production, whatever its case; what did not count is counted, and said."""
    told = story(line("a", "b"), {})
    text = CSV + f"2025-03-03,{sha_of('gone')},production,success,,\n2025-03-04,{A},production,error,,\n"
    got = choose(rows(text), told.graph, name="d.csv")
    assert [(d.name, d.time, d.commit, d.failed) for d in got.deployments] == [
        ("r1", NOON, 0, False),
        (f"{B[:7]}@{NOON + 86_400}", NOON + 86_400, 1, True),
    ]
    assert (got.unknown, got.absent, got.elsewhere) == (1, 1, {"staging": 1})
    assert got.said == (
        f"d.csv: 1 of 3 deployments are of commits that are not here (the first: {sha_of('gone')[:12]} at d.csv:6)",
        "d.csv: 1 deployments never reached their users and do not count",
        "d.csv: 1 deployments are of other environments: staging (1)",
    )


def test_an_environment_that_no_row_has_is_an_error_with_the_nearest() -> None:
    """Nought deployments would be a figure that nobody meant."""
    told = story(line("a", "b"), {})
    with pytest.raises(UsageError, match="no deployment has the environment 'prod'") as caught:
        choose(rows(CSV), told.graph, environment="prod", name="d.csv")
    assert "production (2)" in caught.value.hint


def test_without_any_environment_all_rows_count() -> None:
    """A file of one environment need not say so."""
    told = story(line("a", "b"), {})
    got = choose(rows(f"time,commit\n2025-03-02,{B}\n2025-03-01,{A}\n"), told.graph)
    assert [one.commit for one in got.deployments] == [0, 1]
    assert choose([], told.graph).deployments == ()


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)


@given(
    st.lists(
        st.tuples(st.integers(10**9, 4 * 10**9), st.sampled_from([A, B]), CELLS, CELLS),
        min_size=1,
        max_size=10,
    )
)
def test_what_the_csv_module_writes_is_read(drawn: list[tuple[int, str, str, str]]) -> None:
    """Whatever stands in the cells."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["note", "time", "commit", "environment"])
    writer.writerows([note, time, sha, place] for time, sha, place, note in drawn)
    got = parse_deployments(out.getvalue().encode(), "d.csv")
    assert [(row.time, row.commit, row.environment) for row in got] == [
        (time, sha, place.strip() or None) for time, sha, place, _ in drawn
    ]


@given(
    st.text(max_size=200)
    | st.recursive(st.none() | st.text(max_size=9), st.lists, max_leaves=9).map(json.dumps)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else happens."""
    for each in (text, "[" + text, "{" + text, "time,commit\n" + text):
        said = "d.csv:"
        try:
            parse_deployments(each.encode("utf-8", "surrogatepass"), "d.csv")
        except UsageError as error:
            said = error.what
        assert said.startswith("d.csv:")
