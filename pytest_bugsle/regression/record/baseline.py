"""What an audit and the ledger say of each other: known debt, paid debt, weakened guards, the ledger anew.

Pure: the ledger, the fixes and the guards that were tried come in as values.  PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from pytest_bugsle.findings import Finding, make_finding
from pytest_bugsle.regression.record.audit import is_held, is_known, is_unheld
from pytest_bugsle.regression.record.ledger import Debt, Guard, Ledger
from pytest_bugsle.regression.verdict import RULE_OF

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_bugsle.regression.verdict import Policy
    from pytest_bugsle.results import FixResult, GuardResult

WEAKENED = "BUG107"
_CAUSES: Mapping[str, str] = {
    "deleted": "is gone",
    "skipped": "is skipped",
    "xfailed": "is marked xfail",
    "passes": "passes with the bug put back",
}


def is_accepted(fix: FixResult, ledger: Ledger) -> bool:
    """Say whether the ledger already knows what an audit would say against a fix.

    Of a fix that it lists as held, it knows that other tests linked to it may fail in its own time's tree,
    and that it may be undecided where its tests do not run any more.
    """
    if is_known(fix, ledger.debt):
        return True
    return not is_unheld(fix) and is_known(fix, ledger.guards)


def paid(
    ledger: Ledger, fixes: Iterable[FixResult], covered: Collection[str], gone: Collection[str]
) -> list[str]:
    """Return the commits that the ledger lists as debt though they are held, no fix any more, or gone.

    `covered` are the commits that this audit has looked at, `gone` those that the repository has no more.
    """
    owners = {commit: fix for fix in fixes for commit in (fix.commit, *fix.commits)}
    found = []
    for commit, debt in ledger.debt.items():
        fix = owners.get(commit)
        if debt.rule == WEAKENED:  # it was held at its own commit all along: today's tree is what forgot it
            settled = commit in gone
        elif fix is None:
            settled = commit in gone or commit in covered
        else:
            settled = is_held(fix) or not (is_unheld(fix) or fix.status == "undecided")
        if settled:
            found.append(commit)
    return found


def rewritten(
    ledger: Ledger | None,
    fixes: Iterable[FixResult],
    guards: Mapping[str, Guard],
    tried: Iterable[GuardResult],
    covered: Collection[str],
) -> Ledger:
    """Return the ledger after an audit; what it did not cover stays as it was.

    Debt is what is not held, and what could not be judged: known as such, it fails no later audit. A guard
    that no longer notices its bug in today's tree becomes debt too: that is how its loss is accepted.
    """
    old = ledger or Ledger()
    debt = {commit: entry for commit, entry in old.debt.items() if commit not in covered}
    held = {commit: entry for commit, entry in old.guards.items() if commit not in covered}
    held.update(guards)
    for fix in fixes:
        rule = RULE_OF.get(fix.status) if fix.status is not None else None
        if rule is not None and fix.commit in covered:
            debt[fix.commit] = Debt(fix.commit, rule, tuple(fix.bugs), fix.subject)
    for result in tried:
        guard = held.get(result.commit)
        if guard is not None and result.state == "weakened":
            del held[result.commit]
            debt[result.commit] = Debt(guard.commit, WEAKENED, guard.bugs, guard.subject)
    return Ledger(dict(sorted(debt.items())), dict(sorted(held.items())))


def guard_finding(guard: GuardResult, policy: Policy) -> Finding | None:
    """Return what is wrong with a guard that was tried on today's tree; None where nothing is."""
    named = f"the fix {guard.commit[:7]} (“{guard.subject}”)"
    first = guard.tests[0] if guard.tests else ""
    others = f" (and {len(guard.tests) - 1} more)" if len(guard.tests) > 1 else ""
    name = f"{first.rpartition('::')[2] or 'a guard'}{others}"
    if guard.state == "weakened":
        bug = f"bug {guard.bugs[0]}" if guard.bugs else "its bug"
        cause = _CAUSES.get(guard.cause, guard.cause or "passes with the bug put back")
        message = f"{name} no longer holds {named}: it {cause}, so {bug} can come back unseen"
        message += f"; {guard.culprit[:7]} did it" if guard.culprit else ""
        message += f" ({guard.why})" if guard.why else ""
        rule, help = WEAKENED, ""
    elif guard.state == "undecided":
        rule = "BUG104"
        message = f"{name}, which holds {named}, could not be tried: {guard.why or 'no reason given'}"
        help = "Follow the reason, then run `bugsle audit --guards` again."
    else:
        return None
    path = posixpath.normpath(f"{policy.rootdir}/{first.partition('::')[0]}") if first else None
    return make_finding(
        rule, message, help=help, levels=policy.levels, ci=policy.ci, path=path, commit=guard.commit
    )


def tests_of(fix: FixResult) -> tuple[str, ...]:
    """Return the tests that hold a fix, by id without parameters."""
    return tuple(dict.fromkeys(test.id.partition("[")[0] for test in fix.tests if test.shows == "proven"))


def still_right(guard: Guard | None, fix: FixResult) -> bool:
    """Say whether a guard of the ledger is still what this fix would be written down as."""
    return guard is not None and bool(guard.tests) and set(guard.tests) <= set(tests_of(fix))


def summary(ledger: Ledger) -> str:
    """Return what a ledger holds, in words."""
    return f"{len(ledger.debt)} as debt, {len(ledger.guards)} as guards"


__all__: Sequence[str] = [
    "guard_finding",
    "is_accepted",
    "paid",
    "rewritten",
    "still_right",
    "summary",
    "tests_of",
]
