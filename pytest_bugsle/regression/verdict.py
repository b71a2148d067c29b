"""From judged fixes to findings; waivers are honoured here.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.findings import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_bugsle.results import EditResult, FixResult, Status, TestResult
    from pytest_bugsle.waivers import Grant

RULE_OF: Mapping[Status, str] = {
    "no-test": "BUG101",
    "passes-without-fix": "BUG102",
    "existence-only": "BUG103",
    "undecided": "BUG104",
    "guard-fails": "BUG106",
}
"""The rule that a fix of this status breaks."""


class Policy(msgspec.Struct, frozen=True):
    """What decides a finding's level."""

    levels: Mapping[str, Level]
    ci: bool
    rootdir: str = "."
    """Test ids begin at pytest's rootdir, the places of findings at the repository's top."""


def findings_of(
    fixes: Sequence[FixResult], grants: Sequence[Grant], policy: Policy
) -> tuple[list[FixResult], list[Finding], list[Grant]]:
    """Return the fixes (waived ones marked), their findings, and the waivers that were needed."""
    judged: list[FixResult] = []
    findings: list[Finding] = []
    used: list[Grant] = []
    for fix in fixes:
        waived = ""
        for rule, test in _raised(fix):
            grant = next((g for g in grants if g.covers(rule, fix.commits, fix.bugs)), None)
            if grant is not None:
                used.append(grant)
                if RULE_OF.get(fix.status or "proven") == rule:
                    waived = f"{rule}: {grant.reason}"
                continue
            findings.append(_finding(rule, fix, test, policy))
        open_edits = list(_unguarded(fix))
        grant = next((g for g in grants if g.covers("BUG105", fix.commits, fix.bugs)), None)
        if open_edits and grant is not None:
            used.append(grant)
        elif fix.status == "proven":
            findings += [_edit_finding(edit, fix, policy) for edit in open_edits]
        judged.append(msgspec.structs.replace(fix, status="waived", waived=waived) if waived else fix)
    return judged, findings, used


def _raised(fix: FixResult) -> Iterator[tuple[str, TestResult | None]]:
    """Yield the rules that a fix breaks, and the test that shows it."""
    rule = RULE_OF.get(fix.status) if fix.status is not None else None
    if rule is not None and rule != "BUG106":
        yield rule, next((test for test in fix.tests if test.shows == fix.status), None)
    if fix.status is not None:
        for test in fix.tests:
            if test.shows == "guard-fails":
                yield "BUG106", test


def _finding(rule: str, fix: FixResult, test: TestResult | None, policy: Policy) -> Finding:
    path, line = place_of(fix)
    named = f"the fix {fix.commit[:7]} (“{fix.subject}”)"
    name = _short_name(test.id) if test else "no test"
    bug = f"bug {fix.bugs[0]}" if fix.bugs else "its bug"
    help = ""
    if rule == "BUG101":
        message = f"no test holds {named}: {fix.why or 'no test is linked to it'}"
    elif rule == "BUG102":
        message = f"{name} passes without {named}: it does not hold {bug}"
        if test is None:
            message = f"{named} is not held: {fix.why}"
        help = f"change the test until it fails without the fix; `bugsle prove {fix.commit[:7]}` shows both sides."
    elif rule == "BUG103":
        why = f" ({test.before_error})" if test and test.before_error else ""
        message = f"{name} fails without {named} only because a name that the fix adds is missing{why}"
    elif rule == "BUG106":
        message = (
            f"{name} is linked to {named}, and {test.why if test and test.why else 'does not pass with it'}"
        )
        help = f"run it alone: `pytest {test.id}`, then mend the fix or the test." if test else ""
        if test is not None:
            path, line = posixpath.normpath(f"{policy.rootdir}/{test.id.partition('::')[0]}"), None
    else:
        message = f"{named} could not be judged: {fix.why}"
        help = f"Follow the reason, then run `bugsle prove {fix.commit[:7]}`."
    return make_finding(
        rule, message, help=help, levels=policy.levels, ci=policy.ci, path=path, line=line, commit=fix.commit
    )


def _unguarded(fix: FixResult) -> Iterator[EditResult]:
    """Yield the edits that no test notices; of a group that was put back as one, the first.

    A definition or an import that the fix took out only binds a name again: nothing could notice it.
    """
    told: set[int] = set()
    for edit in fix.edits:
        binds = not edit.code and edit.was.startswith(("def ", "async def ", "class ", "import ", "from "))
        if edit.guarded is not False or edit.group in told or binds:
            continue
        if edit.group is not None:
            told.add(edit.group)
        yield edit


def _edit_finding(edit: EditResult, fix: FixResult, policy: Policy) -> Finding:
    code = edit.code.strip() or edit.was.strip()
    first, _, more = code.partition("\n")
    quoted = f"“{first.strip()}{' …' if more else ''}”" if first else edit.path
    what = f"putting back {quoted}" if edit.code.strip() else f"bringing {quoted} back"
    message = f"no test notices {what} alone, an edit of the fix {fix.commit[:7]} (“{fix.subject}”)"
    near = ", ".join(_short_name(id) for id in edit.near[:3])
    told = f"{edit.why}; nearest: {near}" if edit.why else f"run it and pass: {near}"
    help = "Write a test that needs this edit, or take the edit out" + (f" ({told})." if near else ".")
    here = fix.judged_at != "commit"
    return make_finding(
        "BUG105",
        message,
        help=help,
        levels=policy.levels,
        ci=policy.ci,
        path=edit.path,
        line=edit.line if here else None,
        commit=fix.commit,
    )


def place_of(fix: FixResult) -> tuple[str | None, int | None]:
    """Return path and line of the first changed statement, as far as they are known."""
    if fix.place is None:
        return (fix.paths[0], None) if fix.paths else (None, None)
    path, _, line = fix.place.rpartition(":")
    return path, int(line)


def _short_name(id: str) -> str:
    """Return a test id's last part, with its parameters."""
    head, bracket, rest = id.partition("[")
    return head.rpartition("::")[2] + bracket + rest
