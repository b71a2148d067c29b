"""The report as SARIF 2.1.0, for code scanning.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from pytest_bugsle.findings import RULES
from pytest_bugsle.report.escape import for_json, for_uri, visible
from pytest_bugsle.report.words import owners, sorted_findings, split_place, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import FixResult, Result

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "bugsle/v1"
#: Code scanning drops a whole upload if one result has no place; this path is in no repository.
NOWHERE = "no file belongs to this finding"

_LEVELS: Mapping[str, str] = {"error": "error", "warning": "warning", "info": "note", "off": "none"}
_MOVES = re.compile(r"(?<!\w)[0-9a-f]{7,64}(?!\w)|(?<=:)\d+\b")

Json = dict[str, Any]  # Any: what JSON can hold


def render(result: Result) -> bytes:
    """Return one SARIF run with every finding as a result.

    An undecided verdict is an execution without success: an empty list of results is then no pass.
    """
    findings = sorted_findings(result)
    codes = sorted({*RULES, *(finding.rule for finding in findings)})
    fixes = owners(result)
    seen: dict[str, int] = {}
    run: Json = {
        "tool": {
            "driver": {
                "name": for_json(result.tool.name),
                "version": for_json(result.tool.version),
                "rules": [_rule(code, findings) for code in codes],
            }
        },
        "invocations": [_invocation(result)],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The top of the repository."}}},
        "results": [_result(finding, codes, fixes.get(finding.commit), seen) for finding in findings],
        "properties": _properties(result),
    }
    log = {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}
    return (json.dumps(log, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _rule(code: str, findings: Sequence[Finding]) -> Json:
    rule = RULES.get(code)
    if rule is None:  # a rule that an extension brought
        name = next(finding.name for finding in findings if finding.rule == code)
        return {"id": for_json(code), "name": for_json(name), "shortDescription": {"text": visible(name)}}
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.name.replace("-", " ")},
        "fullDescription": {"text": f"{rule.what} {rule.why}"},
        "help": {"text": rule.page()},
        "defaultConfiguration": {"enabled": rule.level != "off", "level": _LEVELS[rule.level]},
    }


def _invocation(result: Result) -> Json:
    invocation: Json = {"executionSuccessful": result.verdict != "undecided"}
    if result.notes:
        invocation["toolExecutionNotifications"] = [
            {"level": "note", "message": {"text": _text(note)}} for note in result.notes
        ]
    return invocation


def _result(finding: Finding, codes: list[str], fix: FixResult | None, seen: dict[str, int]) -> Json:
    path, line = _place(finding, fix)
    physical: Json = {"artifactLocation": {"uri": for_uri(path), "uriBaseId": ROOT}}
    if line is not None and line > 0:
        physical["region"] = {"startLine": line}
    text = _text(finding.message) + (f"\n{_text(finding.help)}" if finding.help else "")
    properties = {"commit": for_json(finding.commit)} if finding.commit else {}
    return {
        "ruleId": for_json(finding.rule),
        "ruleIndex": codes.index(finding.rule),
        "level": _LEVELS[finding.level],
        "message": {"text": text},
        "locations": [{"physicalLocation": physical}],
        "partialFingerprints": {FINGERPRINT: _fingerprint(finding, fix, path, seen)},
        "properties": properties,
    }


def _place(finding: Finding, fix: FixResult | None) -> tuple[str, int | None]:
    if finding.path:
        return finding.path, finding.line
    if fix and fix.place:
        return split_place(fix.place)
    return (fix.paths[0] if fix and fix.paths else "") or NOWHERE, None


def _fingerprint(finding: Finding, fix: FixResult | None, path: str, seen: dict[str, int]) -> str:
    """Return what stays the same when lines move and when the commit is rebased."""
    subject = fix.subject if fix else _MOVES.sub("", finding.message)
    key = f"{finding.rule}\0{path}\0{subject}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(key).hexdigest()[:32]
    seen[digest] = seen.get(digest, 0) + 1
    return f"{digest}:{seen[digest]}"


def _text(text: str) -> str:
    """Return text that shows no control characters and that SARIF does not read as `[a link](to)`."""
    text = visible(text)
    if "](" in text:
        text = re.sub(r"[\\\[\]]", r"\\\g<0>", text)
    return text


def _properties(result: Result) -> Json:
    where = result.range
    return {
        "verdict": result.verdict,
        "summary": visible(summary(result)),
        "base": for_json(where.base) if where and where.base else None,
        "head": for_json(where.head) if where else None,
    }
