"""Can a failure come from the change? What the failing test runs of it has a veto.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Word = Literal["runs", "cannot", "unknown"]


@dataclass(frozen=True, slots=True)
class ChangedLines:
    """What a change did: groups of measured lines by path (one group a statement), and what nobody can measure.

    `at_import` are groups that run when their module is imported; `others` are changed files that are no
    Python: data, configuration, dependencies.
    """

    groups: Mapping[str, Sequence[tuple[int, ...]]]
    at_import: Mapping[str, Sequence[tuple[int, ...]]]
    others: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Return how many changed statements can be measured."""
        return sum(map(len, self.groups.values())) + sum(map(len, self.at_import.values()))


@dataclass(frozen=True, slots=True)
class Veto:
    """How many of the changed statements a failing test runs, and what that says."""

    word: Word
    ran: int
    of: int
    why: str

    @property
    def sentence(self) -> str:
        """Say it."""
        if self.word == "runs":
            return f"it runs {self.ran} of {self.of} changed statements"
        if self.word == "cannot":
            return f"it cannot come from this change: it runs {self.ran} of {self.of} changed statements"
        return f"whether it comes from this change is unknown: {self.why}"


def judge(
    changed: ChangedLines,
    reached: Mapping[str, Sequence[int]],
    imported: Mapping[str, Sequence[int]],
    note: str = "",
) -> Veto:
    """Say whether a test runs changed statements: `reached` lines by path, and those run while importing.

    What runs at import, in a file that is no Python, or where nothing could be measured, leaves it unknown:
    coverage sees none of it, and an excuse must not rest on what was not seen.
    """
    ran = sum(
        not set(lines).isdisjoint(reached.get(path, ()))
        for path, groups in (*changed.groups.items(), *changed.at_import.items())
        for lines in groups
    )
    if ran:
        return Veto("runs", ran, changed.count, "")
    touched = [
        path
        for path, groups in changed.at_import.items()
        for lines in groups
        if not set(lines).isdisjoint(imported.get(path, ()))
    ]
    if note:
        return Veto("unknown", 0, changed.count, note)
    unmeasured = [path for path, groups in changed.groups.items() if () in map(tuple, groups)]
    if unmeasured:
        return Veto("unknown", 0, changed.count, f"{unmeasured[0]} changed where no line is measured")
    if touched:
        return Veto("unknown", 0, changed.count, f"{touched[0]} changed in what runs when it is imported")
    if changed.others:
        return Veto(
            "unknown", 0, changed.count, f"{changed.others[0]} changed, which no line of a test shows"
        )
    return Veto("cannot", 0, changed.count, "")
