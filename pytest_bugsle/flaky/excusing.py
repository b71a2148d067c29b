"""Excuse the failures of a session that the quarantine knows: they are shown as what they are, and block nothing.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from pytest_bugsle.flaky import quarantine
from pytest_bugsle.flaky.attempts import error_of, fingerprint, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from pytest_bugsle.findings import Finding, Level

OUTCOME = "quarantined"
_MARK = "bugsle_quarantined"


class Quarantine:
    """The entries that hold in one session, and which failures they excused."""

    def __init__(self, top: Path, today: dt.date, key: Callable[[str], str]) -> None:
        """Read the file; UsageError where it cannot be. `key` turns an id into the one of the history."""
        self.entries = quarantine.read(quarantine.place(top))
        self.excused: dict[str, str] = {}
        """The excused tests of the session, with the last day on which they are."""
        self._today = today
        self._key = key
        self._ids = {entry.id: entry for entry in self.entries}

    def excuse(self, report: Any, top: str) -> None:
        """Turn a known failure of a quarantined test's own call into an expected one.

        pytest, its reports and its exit status then take it as they take a test that is marked xfail. What
        the history keeps was noted before.
        """
        entry = self._ids.get(self._key(report.nodeid)) if report.failed else None
        if entry is None:
            return
        if "subtest" in type(report).__name__.lower() or report.when != "call":
            self.excused.pop(report.nodeid, None)
            return
        message, path = error_of(report)
        failure = quarantine.Failure(entry.id, fingerprint(message, inside(path, top)), "call")
        if quarantine.excuses(self.entries, self._today, [failure]).get(entry.id) == "":
            report.outcome = "skipped"
            report.wasxfail = f"quarantined until {entry.expires} (owner {entry.owner}, {entry.issue})"
            setattr(report, _MARK, True)
            self.excused[report.nodeid] = str(entry.expires)

    def findings(self, levels: Mapping[str, Level], *, ci: bool) -> list[Finding]:
        """Return what is wrong with the entries."""
        return quarantine.findings(self.entries, self._today, levels=levels, ci=ci)

    def notes(self, collected: Collection[str] | None) -> list[str]:
        """Return what was excused, and what should be known of the entries in time."""
        known = None if collected is None else {self._key(id_) for id_ in collected}
        said = [f"{id_} failed and is quarantined until {day}" for id_, day in self.excused.items()]
        return [*said, *quarantine.notes(self.entries, self._today, known)]


def status(report: Any) -> tuple[str, str, str] | None:
    """Return the word, letter and long word for an excused failure; None for any other report."""
    return (OUTCOME, "q", "QUARANTINED") if getattr(report, _MARK, False) else None
