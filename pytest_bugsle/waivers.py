"""Waivers: explicit, reasoned, and always listed.  PYTEST_DONT_REWRITE

A waiver is a trailer of a commit message, `Bugsle-Waive: BUG101 reason`, or an entry of the
settings with a reason and an expiry date. Pure: the day comes in as a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.findings import rule_named
from pytest_bugsle.history.references import same_bug
from pytest_bugsle.results import WaiverResult

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence

    from pytest_bugsle.settings import Waiver

TRAILER = "bugsle-waive"


class Grant(msgspec.Struct, frozen=True):
    """A waiver of one rule, from either source."""

    rule: str
    reason: str
    source: Literal["trailer", "settings"]
    commit: str | None = None
    bug: str | None = None
    expires: str | None = None
    expired: bool = False

    @property
    def subject(self) -> str:
        """Return the commit or the bug that is waived."""
        return self.commit or self.bug or ""

    def concerns(self, commits: Iterable[str], bugs: Iterable[str]) -> bool:
        """Say whether what is waived is among these commits and bugs at all."""
        if self.commit is not None:
            return any(sha.startswith(self.commit) for sha in commits)
        return self.bug is not None and any(same_bug(self.bug, bug) for bug in bugs)

    def covers(self, rule: str, commits: Iterable[str], bugs: Iterable[str]) -> bool:
        """Say whether this waiver lifts `rule` for a fix of these commits and bugs."""
        return not self.expired and rule == self.rule and self.concerns(commits, bugs)


def from_trailers(sha: str, trailers: Iterable[tuple[str, str]]) -> tuple[list[Grant], list[str]]:
    """Return the waivers of one commit message, and what is wrong with those that are none."""
    grants: list[Grant] = []
    wrong: list[str] = []
    for key, value in trailers:
        if key.lower() != TRAILER:
            continue
        code, _, reason = value.strip().partition(" ")
        try:
            rule = rule_named(code.rstrip(":")).code
        except UsageError as error:
            wrong.append(
                f"the trailer `Bugsle-Waive: {value.strip()}` waives nothing: {error.what} {error.hint}"
            )
            continue
        if not reason.strip():
            wrong.append(
                f"the trailer `Bugsle-Waive: {code}` waives nothing: it gives no reason. "
                f"Write `Bugsle-Waive: {rule} the reason`."
            )
            continue
        grants.append(Grant(rule, reason.strip(), "trailer", commit=sha))
    return grants, wrong


def from_settings(waivers: Sequence[Waiver], today: dt.date) -> list[Grant]:
    """Return the waivers of the settings; the expiry date is the last day on which one holds."""
    return [
        Grant(
            rule_named(waiver.rule).code,
            waiver.reason,
            "settings",
            commit=waiver.commit,
            bug=waiver.bug,
            expires=waiver.expires.isoformat(),
            expired=today > waiver.expires,
        )
        for waiver in waivers
    ]


def listed(
    grants: Iterable[Grant], used: Iterable[Grant], commits: Collection[str], bugs: Collection[str]
) -> list[WaiverResult]:
    """Return how each waiver fared, in their order.

    One for a commit or a bug that this run did not look at is not listed: it may be needed elsewhere.
    One that has expired always is.
    """
    needed = set(used)
    return [
        WaiverResult(
            rule=grant.rule,
            subject=grant.subject,
            reason=grant.reason,
            source=grant.source,
            expires=grant.expires,
            state="expired" if grant.expired else "used" if grant in needed else "unused",
        )
        for grant in grants
        if grant.expired or grant.concerns(commits, bugs)
    ]
