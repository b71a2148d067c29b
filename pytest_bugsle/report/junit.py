"""The report as JUnit XML: a suite `bugsle` with one test case a fix.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pytest_bugsle.report.escape import for_xml
from pytest_bugsle.report.words import (
    EXEMPT,
    asked,
    owners,
    place,
    sentence,
    short,
    sorted_findings,
    split_place,
    summary,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.results import FixResult, FlakyTest, Result

SUITE = "bugsle"
FIXES = "bugsle.regression"
RUN = "bugsle.run"
TESTS = "bugsle.flaky"


def render(result: Result) -> bytes:
    """Return JUnit XML; an error is a failure of its fix, an error of no fix is a case of its own."""
    findings = sorted_findings(result)
    suite = ElementTree.Element("testsuite")
    _properties(suite, [("verdict", result.verdict), ("summary", summary(result)), *_range(result)])
    fixes = owners(result)
    own: dict[int, list[Finding]] = {id(fix): [] for fix in result.fixes if asked(fix)}
    rest: list[Finding] = []
    for finding in findings:
        own.get(id(fixes.get(finding.commit)), rest).append(finding)
    for fix in result.fixes:
        if id(fix) in own:
            _fix_case(suite, fix, own[id(fix)])
    if isinstance(result.tests, list):
        for test in result.tests:
            if test.categories != ["stable"]:
                about = [finding for finding in rest if _is_about(finding, test)]
                _test_case(suite, test, about)
                rest = [finding for finding in rest if finding not in about]
    for finding in rest:
        _run_case(suite, finding)
    if result.verdict == "undecided" and not len(suite.findall("testcase")):
        case = _case(suite, RUN, "verdict")
        ElementTree.SubElement(case, "skipped", _attributes(type="undecided", message=summary(result)))
    _count(suite, result)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _count(suite: ElementTree.Element, result: Result) -> None:
    for name, value in (
        ("name", SUITE),
        ("tests", len(suite.findall("testcase"))),
        ("failures", len(suite.findall("testcase/failure"))),
        ("errors", 0),
        ("skipped", len(suite.findall("testcase/skipped"))),
        ("time", f"{result.timings.total:.3f}"),
    ):
        suite.set(name, str(value))


def _fix_case(suite: ElementTree.Element, fix: FixResult, findings: Sequence[Finding]) -> None:
    case = _case(suite, FIXES, f"{short(fix.commit)} {fix.subject}")
    where = fix.place or (fix.paths[0] if fix.paths else None)
    if where:
        path, line = split_place(where) if fix.place else (where, None)
        case.set("file", for_xml(path))
        if line is not None:
            case.set("line", str(line))
    _properties(case, _fix_properties(fix))
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        _failure(case, errors)
    elif fix.status == "undecided" or fix.status in EXEMPT:
        reason = fix.waived or fix.why or word(fix)
        ElementTree.SubElement(case, "skipped", _attributes(type=fix.status, message=reason))
    others = [finding for finding in findings if finding.level != "error"]
    out = [_text(finding) for finding in others]
    out += [f"{test.id}  {sentence(test)}" for test in fix.tests]
    if out:
        ElementTree.SubElement(case, "system-out").text = for_xml("\n".join(out))


def _is_about(finding: Finding, test: FlakyTest) -> bool:
    return finding.message.startswith(f"{test.id} ") and finding.rule.startswith("BUG2")


def _test_case(suite: ElementTree.Element, test: FlakyTest, findings: Sequence[Finding]) -> None:
    """Write a test that was tried again: its failures stay, in the words that Surefire has for them.

    `flakyFailure` is a failure of a test that passes too, `rerunFailure` one of a test that failed again; a
    reader that knows neither still sees the failure of the rule.
    """
    case = _case(suite, TESTS, test.id)
    if test.place:
        path, line = split_place(test.place)
        case.set("file", for_xml(path))
        if line is not None:
            case.set("line", str(line))
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        _failure(case, errors)
    if not errors and test.categories == ["failing"]:
        message = f"failed in {test.failures} of {test.attempts} runs"
        ElementTree.SubElement(case, "failure", _attributes(type="failing", message=message))
    if test.failures or test.in_session:
        passes = test.failures < test.attempts
        message = "failed in the session, and " * test.in_session
        message += f"failed in {test.failures} of {test.attempts} runs"
        words = ", ".join(test.categories) or "unknown"
        element = ElementTree.SubElement(
            case, "flakyFailure" if passes else "rerunFailure", _attributes(type=words, message=message)
        )
        ElementTree.SubElement(element, "stackTrace").text = for_xml(test.why or message)
    out = [_text(finding) for finding in findings if finding.level != "error"]
    out += [test.reproduce] if test.reproduce else []
    if out:
        ElementTree.SubElement(case, "system-out").text = for_xml("\n".join(out))


def _run_case(suite: ElementTree.Element, finding: Finding) -> None:
    case = _case(suite, RUN, f"{finding.rule} {finding.name}: {finding.message}")
    if finding.path:
        case.set("file", for_xml(finding.path))
    if finding.level == "error":
        _failure(case, [finding])
    else:
        ElementTree.SubElement(case, "system-out").text = for_xml(_text(finding))


def _failure(case: ElementTree.Element, errors: Sequence[Finding]) -> None:
    attributes = _attributes(type=errors[0].rule, message=errors[0].message)
    failure = ElementTree.SubElement(case, "failure", attributes)
    failure.text = for_xml("\n".join(_text(finding) for finding in errors))


def _text(finding: Finding) -> str:
    where = place(finding)
    lines = [f"{where}: " * bool(where) + f"{finding.rule} {finding.message}"]
    if finding.help:
        lines.append(f"  {finding.help}")
    return "\n".join(lines)


def _fix_properties(fix: FixResult) -> Iterator[tuple[str, str]]:
    yield "commit", fix.commit
    yield "judgement", fix.judgement
    if fix.status:
        yield "status", fix.status
    for bug in fix.bugs:
        yield "bug", bug
    for test in fix.tests:
        for link in test.links:
            yield "link", f"{test.id} ({link.kind}: {link.evidence})"


def _range(result: Result) -> Iterator[tuple[str, str]]:
    if result.range:
        yield "base", result.range.base or ""
        yield "head", result.range.head


def _case(suite: ElementTree.Element, classname: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", _attributes(classname=classname, name=name, time="0.000")
    )


def _properties(
    parent: ElementTree.Element, pairs: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]
) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in pairs:
        ElementTree.SubElement(properties, "property", _attributes(name=name, value=value))


def _attributes(**values: str) -> dict[str, str]:
    return {name: for_xml(value) for name, value in values.items()}
