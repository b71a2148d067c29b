"""The SARIF report: what the 2.1.0 standard and code scanning ask for."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from msgspec.structs import replace
from report_examples import HOSTILE, PRICE, example, finding, fix_result, hostile, result, results

from pytest_bugsle.findings import RULES
from pytest_bugsle.report.sarif import FINGERPRINT, NOWHERE, SCHEMA_URI, render
from pytest_bugsle.results import Result


def check(data: bytes) -> Any:
    """Assert the structure of a SARIF 2.1.0 log, and return its only run."""
    assert data.endswith(b"}\n")
    log = json.loads(data.decode("utf-8"), parse_constant=pytest.fail)
    assert log.keys() == {"$schema", "version", "runs"}
    assert (log["$schema"], log["version"]) == (SCHEMA_URI, "2.1.0")
    (run,) = log["runs"]
    assert run.keys() == {"tool", "invocations", "originalUriBaseIds", "results", "properties"}
    assert all(key.startswith("%") for key in run["originalUriBaseIds"])
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.keys() <= {
            "id",
            "name",
            "shortDescription",
            "fullDescription",
            "help",
            "defaultConfiguration",
        }
        assert isinstance(rule["shortDescription"]["text"], str)
    (invocation,) = run["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for notification in invocation.get("toolExecutionNotifications", ()):
        assert notification["level"] == "note"
        message(notification)
    prints = [one["partialFingerprints"][FINGERPRINT] for one in run["results"]]
    assert len(set(prints)) == len(prints)
    for one in run["results"]:
        assert one.keys() == {
            "ruleId",
            "ruleIndex",
            "level",
            "message",
            "locations",
            "partialFingerprints",
            "properties",
        }
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["level"] in {"error", "warning", "note"}
        message(one)
        (location,) = one["locations"]
        physical = location["physicalLocation"]
        uri = urlsplit(physical["artifactLocation"]["uri"])
        assert uri.path
        assert uri.path.isascii()
        assert not uri.scheme
        assert not uri.netloc
        assert physical["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
        assert physical.get("region", {"startLine": 1})["startLine"] >= 1
    return run


def message(holder: Any) -> None:
    """Assert that a message is text in which no link is embedded."""
    assert holder["message"].keys() == {"text"}
    text = holder["message"]["text"]
    assert not re.search(r"(?<!\\)(?:\\\\)*\[[^\]]*(?<!\\)(?:\\\\)*\]\(", text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)


def test_every_finding_is_a_result_with_its_place() -> None:
    """Rule, level, place and message of the findings stand in the results, errors first."""
    run = check(render(example()))
    found = [
        (
            one["ruleId"],
            one["level"],
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            one["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for one in run["results"]
    ]
    assert found == [
        ("BUG101", "error", "src/ticks.py", 7),
        ("BUG102", "error", "src/ui.py", 88),
        ("BUG003", "warning", "pyproject.toml", 30),
    ]
    assert run["results"][1]["message"]["text"] == (
        "tests/test_ui.py::test_reconnect passes without the fix 77aa001: it does not hold bug #51\n"
        "Change the test until it fails without the fix: `bugsle prove COMMIT` shows both sides."
    )
    assert run["results"][1]["properties"] == {"commit": PRICE}
    assert run["properties"]["verdict"] == "fail"
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_every_rule_stands_in_the_table_with_its_help() -> None:
    """The table of rules holds what `bugsle rule` prints, at the rule's own level."""
    rules = {rule["id"]: rule for rule in check(render(result()))["tool"]["driver"]["rules"]}
    assert rules.keys() == RULES.keys()
    for code, rule in RULES.items():
        assert rules[code]["name"] == rule.name
        assert rules[code]["help"]["text"] == rule.page()
        assert rules[code]["defaultConfiguration"] == {"enabled": True, "level": rule.level}


def test_levels_are_those_of_the_standard() -> None:
    """`info` is called `note`, and what is switched off is left out."""
    findings = [finding("BUG103", "a", "info"), finding("BUG104", "b", "off")]
    assert [one["level"] for one in check(render(result(findings=findings)))["results"]] == ["note"]


def test_undecided_is_no_successful_execution() -> None:
    """An empty list of results is not read as a pass where nothing could be decided; notes say why."""
    run = check(render(result(verdict="undecided", notes=["the clone is shallow"])))
    assert run["invocations"] == [
        {
            "executionSuccessful": False,
            "toolExecutionNotifications": [{"level": "note", "message": {"text": "the clone is shallow"}}],
        }
    ]


def test_a_finding_without_a_place_gets_that_of_its_fix_or_none() -> None:
    """Code scanning refuses a result without a place."""
    placed = fix_result(place="src/b:c.py:12")
    bare = fix_result(PRICE, paths=["src/only.py"])
    findings = [
        finding("BUG101", "a", commit=placed.commit),
        finding("BUG102", "b", commit=PRICE),
        finding("BUG001", "c", "error"),
    ]
    places = {
        one["ruleId"]: one["locations"][0]["physicalLocation"]
        for one in check(render(result(placed, bare, findings=findings)))["results"]
    }
    assert places["BUG101"]["artifactLocation"]["uri"] == "src/b%3Ac.py"
    assert places["BUG101"]["region"] == {"startLine": 12}
    assert places["BUG102"]["artifactLocation"]["uri"] == "src/only.py"
    (lineless,) = check(render(result(findings=[finding("BUG101", "m", path="a.py", line=0)])))["results"]
    assert "region" not in lineless["locations"][0]["physicalLocation"]
    assert places["BUG001"]["artifactLocation"]["uri"] == "no%20file%20belongs%20to%20this%20finding"


def test_fingerprints_stay_when_lines_move_or_the_commit_is_rebased() -> None:
    """Neither a line number nor a hash is part of a fingerprint; the rule, the path and the fix are."""

    def prints(commit: str, line: int, path: str = "a.py", subject: str = "fix: s") -> list[str]:
        fix = fix_result(commit, subject)
        findings = [
            finding("BUG102", f"t passes without {commit[:7]}", path=path, line=line, commit=commit),
            finding("BUG002", f"a.py:{line}: the waiver of {commit} is over"),
        ]
        run = check(render(result(fix, findings=findings)))
        return [one["partialFingerprints"][FINGERPRINT] for one in run["results"]]

    first = prints("a" * 40, 3)
    assert prints("b" * 40, 99) == first
    changed = prints("a" * 40, 3, path="b.py")
    assert (changed[0] == first[0]) != (changed[1] == first[1])
    assert prints("a" * 40, 3, subject="fix: another") != first


def test_a_rule_of_an_extension_is_listed() -> None:
    """A finding with a code that is not in our table brings its own row."""
    own = replace(finding("BUG104", "m"), rule="ACME1", name="acme-rule")
    run = check(render(result(findings=[own])))
    assert run["tool"]["driver"]["rules"][run["results"][0]["ruleIndex"]]["name"] == "acme-rule"


def test_a_fix_whose_path_is_empty_has_no_place() -> None:
    """An empty URI names nothing."""
    fix = fix_result(PRICE, paths=[""])
    (one,) = check(render(result(fix, findings=[finding("BUG102", "b", commit=PRICE)])))["results"]
    uri = one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == NOWHERE


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """No control character, no embedded link and no broken URI comes of a stranger's text."""
    check(render(hostile(text)))


@given(results())
def test_any_result_is_sarif_and_byte_identical(found: Result) -> None:
    """Any result gives a valid log, twice the same."""
    data = render(found)
    check(data)
    assert render(found) == data
