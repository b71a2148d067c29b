"""Incident records, and the deployments that they say failed."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from delivery_stories import DAY, Story, line, sha_of, story
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.incidents import Incident, incident_links, parse_incident
from pytest_bugsle.delivery.releases import Deployment
from pytest_bugsle.errors import UsageError

RECORD = """---
# what happened
title: "The queue stood: still"
started: 2025-03-01T12:00:00+01:00   # the first alarm
resolved: '2025-03-01 13:00:00 +0100'
severity: SEV-2
tags: {a: 1}
caused_by: [1a2b3c4, "8.0.1"]
fixed_by:
  - 8.0.2
  # the backport
  - 'deadbee'
timeline:
  - at: 11:00
    started: never read
summary: |
  resolved: neither
---
# Text
started: nor this
"""
NOON = 1_740_826_800


def record(front: str) -> Incident | None:
    """Read a front matter."""
    return parse_incident(f"---\n{front}\n---\n".encode(), "postmortems/x.md")


def test_a_record_is_read_and_other_keys_are_left_alone() -> None:
    """Whatever they hold."""
    got = parse_incident(RECORD.encode(), "postmortems/x.md")
    assert got == Incident(
        "postmortems/x.md", NOON, NOON + 3600, "SEV-2", ("1a2b3c4", "8.0.1"), ("8.0.2", "deadbee")
    )


@pytest.mark.parametrize("change", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n")])
def test_marks_and_line_ends_of_other_systems(change: object) -> None:
    """The same record."""
    assert parse_incident(change(RECORD.encode()), "x") == parse_incident(RECORD.encode(), "x")  # type: ignore[operator]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# Title\n",
        b"---\ntitle: x\n---\n",
        b"---\nstarted:\nresolved: ~\ncaused_by: []\n---\n",
        b"---\n\nA rule.\n",
        b"----\nx",
    ],
)
def test_what_is_no_record_is_none(content: bytes) -> None:
    """A readme, a template, a page with a front matter of its own."""
    assert parse_incident(content, "x") is None


@pytest.mark.parametrize(
    ("front", "place", "what", "hint"),
    [
        ("severity: 1\nstarted: soon", "x.md:3: `started`:", "'soon' is no time", "2025-03-01T10:30:00"),
        ("started: [2025-01-01, 2025-01-02]", "x.md:2: `started`:", "is no time", "UTC"),
        (
            "started: 2025-01-02\nresolved: 2025-01-01",
            "x.md:3: `resolved`:",
            "before it started",
            "after `started`",
        ),
        (
            "started: 2025-01-01\nstarted: 2025-01-02",
            "x.md:3: `started`:",
            "stands in line 2 already",
            "once",
        ),
        ("started: 2025-01-01\nfixed_by: [a, b", "x.md:3: `fixed_by`:", "is not closed", "[1a2b3c4, 8.0.1]"),
        (
            "started: 2025-01-01\nfixed_by: [a] b",
            "x.md:3: `fixed_by`:",
            "behind the list",
            "[1a2b3c4, 8.0.1]",
        ),
        ("started: 2025-01-01\nfixed_by: [a, [b]]", "x.md:3: `fixed_by`:", "is not read", "[1a2b3c4, 8.0.1]"),
        (
            "started: &now 2025-01-01",
            "x.md:2: `started`:",
            "'&now 2025-01-01' is not read",
            "plain or a quoted",
        ),
        (
            "started: 2025-01-01\ncaused_by: |\n  a",
            "x.md:3: `caused_by`:",
            "'|' is not read",
            "plain or a quoted",
        ),
        ("started: 2025-01-01\ncaused_by:\n  a: b", "x.md:4: `caused_by`:", "'a: b' is not read", "- item"),
        ("started: 2025-01-01\ncaused_by: a\n  b", "x.md:4: `caused_by`:", "'b' is not read", "- item"),
        ('started: "2025-01-01', "x.md:2: `started`:", "never closed", '"…"'),
        ("started: '2025-01-01' x", "x.md:2: `started`:", "behind the quotes", "a quoted text"),
        ('severity: "\\q"\nstarted: 2025-01-01', "x.md:2: `severity`:", "\\q is not read", "one of"),
        ("started: 2025-01-01\nseverity: [1, 2]", "x.md:3: `severity`:", "several values", "one word"),
        (
            "resolved: 2025-01-01",
            "x.md:2: `started`:",
            "neither when it started nor what caused it",
            "a time such as",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_place(front: str, place: str, what: str, hint: str) -> None:
    """File, line, key, and what is expected there."""
    with pytest.raises(UsageError) as caught:
        record(front)
    assert place in caught.value.what and what in caught.value.what
    assert hint in caught.value.hint
    assert "strongest evidence" in caught.value.why


def test_a_list_on_the_line_of_its_key_is_refused() -> None:
    """As in YAML: `caused_by: - a` is no list."""
    with pytest.raises(UsageError, match=r"x\.md:2: `caused_by`: '- a' is not read"):
        record("caused_by: - a")


def test_a_record_that_is_never_closed_or_no_text() -> None:
    """It must not be lost unseen."""
    with pytest.raises(UsageError, match=r"x:1: the front matter is never closed"):
        parse_incident(b"---\nstarted: 2025-01-01\n\ntext", "x")
    with pytest.raises(UsageError, match=r"x:3: it is not UTF-8"):
        parse_incident(b"---\nstarted: 2025-01-01\ntitle: \xff\n---\n", "x")


PLAIN = st.text(
    st.characters(codec="ascii", exclude_characters="\r", categories=("L", "N", "P", "S", "Zs")), max_size=30
)
VALUES = st.lists(PLAIN.map(str.strip).filter(bool), min_size=1, max_size=5, unique=True)


@given(VALUES, st.sampled_from(["json", "single", "dashes", "yaml"]))
def test_what_yaml_writes_is_read_the_same(values: list[str], style: str) -> None:
    """A list in four spellings, by a YAML library and by hand."""
    if style == "yaml":
        front = yaml.safe_dump({"caused_by": values}, width=10_000, default_flow_style=False)
    elif style == "json":
        front = f"caused_by: {json.dumps(values)}"
    elif style == "single":
        front = "caused_by: [" + ", ".join("'" + value.replace("'", "''") + "'" for value in values) + "]"
    else:
        front = "caused_by:\n" + "\n".join(f"- {json.dumps(value)} # {value}" for value in values)
    assert yaml.safe_load(front) == {"caused_by": values}
    got = record(front)
    assert got is not None and got.caused_by == tuple(values)


@given(st.text(max_size=300))
def test_any_front_matter_is_read_or_refused(text: str) -> None:
    """Nothing else happens, and not for long."""
    for front in (f"started: 2025-01-01\ncaused_by: {text}", text):
        said = "postmortems/x.md:"
        try:
            record(front)
        except UsageError as error:
            said = error.what
        assert said.startswith("postmortems/x.md:")


def test_long_lines_are_read_in_time() -> None:
    """A record is a stranger's text: no pattern may try a line again from each of its places."""
    for text in (
        "a" + " " * 60_000,
        "'" * 60_000,
        "caused_by: [" + "a," * 30_000,
        "-" * 60_000,
        "a: " + "#" * 60_000,
    ):
        with contextlib.suppress(UsageError):
            record(text)


@pytest.fixture
def told() -> Story:
    """Three deployments of a line of commits, and a commit that is in none."""
    return story(line("a", "b", "c", "d"), {"v1.0": ("a", 10), "v1.1": ("b", 20), "v1.2": ("c", 30)})


def links(told: Story, incident: Incident, **more: int) -> list[tuple[object, ...]]:
    """Give deployment, cause, fix and the deployment of the fix of each link."""
    got = incident_links([incident], told.graph, told.deployments, told.labels, **more)
    return [(link.deployment, link.cause, link.fix, link.fixed_in) for link in got.links]


def test_causes_and_fixes_are_commits_or_versions(told: Story) -> None:
    """A version is found without its `v`, a commit by seven digits of its name."""
    incident = Incident("x", 21 * DAY, caused_by=("1.0", sha_of("b")[:7]), fixed_by=(sha_of("c"),))
    assert links(told, incident) == [(0, None, 2, 2), (1, 1, 2, 2)]
    got = incident_links([incident], told.graph, told.deployments, told.labels).links
    assert got[0].known_at == got[0].started == 21 * DAY
    assert got[0].evidence == "x names 1.0 as its cause, deployed with v1.0"


def test_the_last_of_several_fixes_mends_it(told: Story) -> None:
    """And one that is not deployed yet leaves it open."""
    assert links(told, Incident("x", DAY, caused_by=("v1.0",), fixed_by=("v1.1", "v1.2"))) == [
        (0, None, None, 2)
    ]
    both = Incident("x", DAY, caused_by=("v1.0",), fixed_by=("v1.1", sha_of("d")))
    assert links(told, both) == [(0, None, 3, None)]


def test_a_fix_that_was_deployed_no_later_than_the_failure_mends_nothing(told: Story) -> None:
    """A record can be wrong."""
    assert links(told, Incident("x", DAY, caused_by=("v1.1",), fixed_by=("v1.0",))) == [(1, None, None, None)]
    timeless = Incident("x", caused_by=("v1.1",), fixed_by=("v1.0",))
    (link,) = incident_links([timeless], told.graph, told.deployments, told.labels).links
    assert link.known_at == 20 * DAY


def test_without_a_cause_it_is_the_latest_deployment_before_the_start(told: Story) -> None:
    """Within a bound: an incident a year after the last deployment is not its doing."""
    assert links(told, Incident("x", 25 * DAY)) == [(1, None, None, None)]
    assert links(told, Incident("x", 20 * DAY)) == [(1, None, None, None)]
    got = incident_links([Incident("x", 99 * DAY)], told.graph, told.deployments, told.labels)
    assert got.links == ()
    assert got.problems == (
        "x: it names no `caused_by`, and nothing was deployed in the 30 days before it started",
    )
    assert links(told, Incident("x", 99 * DAY), attribution=80 * DAY) == [(2, None, None, None)]


def test_names_that_are_not_here_are_said(told: Story) -> None:
    """With the nearest; a post-mortem may well name a commit of another repository."""
    incident = Incident("x", DAY, caused_by=("1.11", sha_of("d")), fixed_by=("9999999",))
    got = incident_links([incident], told.graph, told.deployments, told.labels)
    assert got.links == ()
    assert (
        "x: `caused_by` 1.11 names no commit and no deployment that is here; the nearest deployments are v1.1"
        in got.problems[0]
    )
    assert got.problems[1] == f"x: `caused_by` {sha_of('d')} was never deployed"
    assert got.problems[2].startswith("x: `fixed_by` 9999999 names no commit")


def test_a_deployment_that_is_recorded_as_failed_is_an_incident() -> None:
    """Mended by the next one of its environment that did not fail."""
    told = story(line("a"), {"1": ("a", 1)})
    deployments = [
        Deployment("1", 1, 0, 0, failed=True, environment="eu"),
        Deployment("2", 2, 0, 0, failed=True, environment="eu"),
        Deployment("3", 3, 0, 0, failed=False, environment="us"),
        Deployment("4", 4, 0, 0, failed=False, environment="eu"),
    ]
    got = incident_links([], told.graph, deployments, told.labels).links
    assert [(link.rung, link.deployment, link.fixed_in) for link in got] == [
        ("incident", 0, 3),
        ("incident", 1, 3),
    ]
