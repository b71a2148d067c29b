"""The JSON report: valid against the schema that ships, and the same bytes for the same result."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace
from report_examples import HOSTILE, example, hostile, result, results

from pytest_bugsle.report import schema
from pytest_bugsle.report.json import render
from pytest_bugsle.results import Result, Timings


@cache
def validator() -> Any:
    """Return a validator of the schema that ships in the package."""
    shipped = json.loads(files("pytest_bugsle.report").joinpath("schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(shipped)
    return jsonschema.Draft202012Validator(shipped)


def check(data: bytes) -> Any:
    """Assert that this is one valid JSON object in UTF-8, and return it."""
    assert data.endswith(b"}\n")
    value = json.loads(data.decode("utf-8"), parse_constant=pytest.fail)
    validator().validate(value)
    return value


def test_the_schema_that_ships_is_up_to_date() -> None:
    """`make schema` was run since the structs changed."""
    assert schema.PATH.read_bytes() == schema.render(), "run `make schema`"


def test_the_schema_asks_for_what_it_should() -> None:
    """The schema is no blank cheque: a missing verdict or an unknown status is refused."""
    value = check(render(example()))
    for broken in (
        {key: item for key, item in value.items() if key != "verdict"},
        {**value, "verdict": "maybe"},
        {**value, "fixes": [{**value["fixes"][0], "status": "fine"}]},
        {**value, "range": {**value["range"], "commits": "7"}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator().validate(broken)


def test_the_schema_command_renews_the_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes the schema where it ships."""
    monkeypatch.setattr(schema, "PATH", tmp_path / "schema.json")
    schema.main()
    assert (tmp_path / "schema.json").read_bytes() == schema.render()


def test_the_report_is_the_result() -> None:
    """Reading the report back gives the result, and the first keys are the promised ones."""
    data = render(example())
    assert msgspec.json.decode(data, type=Result) == example()
    assert list(check(data)) == [
        "schema",
        "tool",
        "verdict",
        "range",
        "fixes",
        "counts",
        "findings",
        "waivers",
        "notes",
        "timings",
    ]
    assert data.startswith(b'{\n  "schema": 1,\n  "tool": {\n    "name": "pytest-bugsle",\n')


def test_only_timings_differ_between_runs() -> None:
    """With the timings out, a slower run gives the same bytes."""
    slow = render(replace(example(), timings=Timings(total=99.0, tests=3.0, runs=8)))
    assert {**check(slow), "timings": 0} == {**check(render(example())), "timings": 0}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_carried(text: str) -> None:
    """What UTF-8 can carry comes back unchanged; bytes that it cannot are shown."""
    value = check(render(hostile(text)))
    shown = text.replace("\udce9", r"\xe9").replace("\udcff", r"\xff").replace("\ud800", r"\ud800")
    assert value["fixes"][0]["subject"] == shown
    assert value["fixes"][0]["tests"][0]["id"] == shown
    assert value["notes"] == [shown]


@given(results())
def test_any_result_is_valid_and_byte_identical(found: Result) -> None:
    """Any result gives valid JSON by the schema, twice the same."""
    data = render(found)
    check(data)
    assert render(found) == data


def test_an_empty_result_is_valid() -> None:
    """Nothing found, no range: still one valid object."""
    assert check(render(result(range=None, verdict="undecided")))["fixes"] == []
