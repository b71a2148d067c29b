"""Compose what an audit asks of guards: on other branches, on today's tree, and in the ledger.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle import gate, waivers
from pytest_bugsle.errors import ProgramError, UndecidedError
from pytest_bugsle.findings import make_finding
from pytest_bugsle.gate import nothing_judged
from pytest_bugsle.git.log import read_log
from pytest_bugsle.regression.record import audit, auditing, baseline, ledger
from pytest_bugsle.regression.verdict import Policy
from pytest_bugsle.results import GuardResult, Result, Timings, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_bugsle.audits import Audit
    from pytest_bugsle.findings import Finding
    from pytest_bugsle.regression.proving import Terms


def try_branches(found: Audit) -> None:
    """Run the guards of held fixes on the maintained branches that lack these fixes."""
    from pytest_bugsle.regression.elsewhere.branches import maintained

    repo, plan, until = found.repo, found.plan, found.plan.range
    assert until is not None
    held = [
        unit for unit in found.units if unit.head in found.judged and audit.is_held(found.judged[unit.head])
    ]
    branches = maintained(repo, plan.request.settings.branches, until.head) if held else ()
    has: dict[str, frozenset[str]] = {}
    for branch in branches:
        ends = [branch.commit, *((f"^{until.base}",) if until.base else ())]
        out = repo.run("rev-list", "--stdin", input="".join(f"{end}\n" for end in ends).encode())
        has[branch.name] = frozenset(out.decode("ascii").split())
    for number, unit in enumerate(held):
        lacking = [branch for branch in branches if unit.head not in has[branch.name]]
        if not lacking:
            continue
        if found.end - time.monotonic() < auditing.WORTH_STARTING:
            plan.notes.append(
                f"the guards of {len(held) - number} fixes were not tried on branches: the budget was used up"
            )
            return
        plan.request.say(f"branches: guards of fix {number + 1} of {len(held)}  {unit.head[:7]}")
        fix = found.judged[unit.head]
        try:
            leads = found.auditor.on_branches(unit, fix, lacking)
        except (ProgramError, UndecidedError) as error:
            plan.notes.append(f"the guards of {unit.head[:7]} could not be tried on branches: {error.what}")
            continue
        found.judged[unit.head] = msgspec.structs.replace(fix, what_else=leads)


def write_baseline(found: Audit) -> None:
    """Write the ledger from what was judged, with the guards that still notice their bugs in today's tree."""
    from pytest_bugsle.regression.record import decay

    old, plan = found.ledger, found.plan
    guards: dict[str, ledger.Guard] = {}
    for number, unit in enumerate(found.units):
        fix = found.judged.get(unit.head)
        if fix is None or not audit.is_held(fix):
            continue
        known = old.guards.get(unit.head) if old is not None else None
        if known is None or not baseline.still_right(known, fix):
            plan.request.say(f"guard {number + 1} of {len(found.units)}  {unit.head[:7]}")
            fixes, planned = found.auditor.plan(unit)
            known = decay.guard_of(fixes.surveyor, planned, fix)
        if known is not None:
            guards[unit.head] = known
    found.guards = tried(found, list(guards.values()))
    assert found.path is not None
    covered = found.covered() | _gone(found, found.covered())
    found.ledger = baseline.rewritten(old, found.results(), guards, found.guards, covered)
    ledger.write(found.path, found.ledger)
    if found.repo.run("check-ignore", "--", found.book, ok=(0, 1)):
        plan.notes.append(
            f"git ignores {found.book}, so that nobody else will see it: take .bugsle out of .gitignore"
        )
    plan.notes.append(f"written: {found.book}, {baseline.summary(found.ledger)}")
    lost = sum(guard.state == "weakened" for guard in found.guards)
    if lost:
        plan.notes.append(
            f"{lost} of {len(guards)} guards no longer notice their bugs today: they are debt (BUG107)"
        )
    if found.open:
        plan.notes.append(
            f"{len(found.open)} fixes are not judged yet: the ledger says of them what it said before"
        )


def tried(found: Audit, guards: Sequence[ledger.Guard]) -> list[GuardResult]:
    """Try guards on today's tree, uncommitted changes and all."""
    from pytest_bugsle.regression.record import decay

    if not guards:
        return []
    terms: Terms = found.auditor.terms
    most = time.monotonic() + auditing.CAP * terms.timeout * len(guards)
    terms = replace(terms, deadline=min(found.end, most), say=found.plan.request.say)
    return decay.try_guards(found.fixes.surveyor, guards, terms)


def paid(found: Audit) -> list[str]:
    """Return the commits that the ledger lists as debt and that are none any more."""
    if found.ledger is None:
        return []
    covered = found.covered()
    return baseline.paid(found.ledger, found.judged.values(), covered, _gone(found, covered))


def _gone(found: Audit, covered: set[str]) -> set[str]:
    """Return the debt whose commits this repository has no more; a shallow clone knows nothing of that."""
    if found.ledger is None or found.repo.is_shallow():
        return set()
    return {commit for commit in found.ledger.debt.keys() - covered if found.repo.resolve(commit) is None}


def guarded(found: Audit) -> Result:
    """Try the ledger's guards on today's tree; no history is proven."""
    plan, request = found.plan, found.plan.request
    assert found.ledger is not None and plan.range is not None
    try:
        found.guards = tried(found, list(found.ledger.guards.values()))
    except (ProgramError, UndecidedError) as error:
        plan.trouble = error
        return nothing_judged(plan, error)
    request.say("")
    policy = Policy(request.settings.rules, request.ci, found.fixes.surveyor.rootdir)
    grants = waivers.from_settings(request.settings.waivers, request.today)
    findings: list[Finding] = []
    used: list[waivers.Grant] = []
    seen: set[str] = set()
    for guard in found.guards:
        finding = baseline.guard_finding(guard, policy)
        if finding is None:
            continue
        commits = [guard.commit, *((guard.culprit,) if guard.culprit else ())]
        seen.update(commits)
        own = [*grants, *_granted(found, commits)]
        grant = next((g for g in own if g.covers(finding.rule, commits, guard.bugs)), None)
        used += [grant] if grant is not None else []
        findings += [finding] if grant is None else []
    states = [guard.state for guard in found.guards]
    if not states:
        plan.notes.append(f"{found.book} lists no guard: bugsle audit --write-baseline")
    if states and not {"held", "weakened"} & set(states):
        open_ = [guard.why for guard in found.guards if guard.state == "undecided"]
        why = open_[0] if open_ else found.guards[0].why
        text = f"0 of {len(states)} guards could be tried: {why or 'no reason given'}"
        findings.append(make_finding("BUG001", text, levels=policy.levels, ci=policy.ci))
    findings = [finding for finding in findings if finding.level != "off"]
    unsure = any(finding.rule == "BUG104" for finding in findings)
    nobody = audit.audit_of(
        [],
        since=None,
        until="HEAD",
        release_of={},
        ledger=found.book,
        guards=found.guards,
    )
    return Result(
        verdict=gate.verdict_of(findings, undecided=unsure),
        range=plan.range,
        fixes=[],
        counts=count([]),
        findings=findings,
        waivers=waivers.listed(
            list(dict.fromkeys(used)), used, seen, {bug for g in found.guards for bug in g.bugs}
        ),
        notes=list(dict.fromkeys(plan.notes)),
        audit=nobody,
        timings=Timings(total=round(time.monotonic() - plan.started, 3)),
    )


def _granted(found: Audit, commits: Iterable[str]) -> list[waivers.Grant]:
    """Return the waivers in the messages of some commits."""
    grants = []
    for commit in commits:
        if found.repo.resolve(commit) is not None:
            (message,) = read_log(found.repo, None, commit, limit=1, changes=False)
            grants += waivers.from_trailers(message.sha, message.trailers)[0]
    return grants
