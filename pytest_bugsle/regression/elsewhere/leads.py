"""What else needs a patch: a fix as the finders see it, and how their leads are ranked.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_bugsle.git.repository import Entry, Repository
    from pytest_bugsle.regression.sides import Side
    from pytest_bugsle.results import Lead


class Measured(NamedTuple):
    """How often hints of one kind were right, and how often a blind guess would have been.

    Measured by `python -m benchmarks.leads` over 368 fixes of ten projects; docs/what-else.md tells how.
    """

    right: int
    of: int
    guess: float

    @property
    def share(self) -> float:
        """Return the share that was right."""
        return self.right / self.of


MEASURED: Mapping[str, Measured] = {
    "clone": Measured(5, 18, 0.08),
    "partner file": Measured(59, 125, 0.25),
    "partner function": Measured(13, 71, 0.10),
    "sibling": Measured(11, 63, 0.08),
    "repeat": Measured(76, 152, 0.12),
}


_FOREIGN = frozenset(
    {"_vendor", "vendor", "vendored", "_vendored", "third_party", "thirdparty", "site-packages"}
    | {"node_modules", "extern", "external", "externals"}
)


def is_foreign(path: str) -> bool:
    """Say whether a file was brought in from elsewhere: its bugs are mended there."""
    return not _FOREIGN.isdisjoint(path.lower().split("/"))


class FixedFile(msgspec.Struct, frozen=True):
    """One source file that the fix changes; None where it is absent. Paths are at the fix."""

    old_path: str | None
    path: str | None
    old: bytes | None
    new: bytes | None


class FixView(msgspec.Struct, frozen=True):
    """A fix, and the tree in which more places like it are looked for.

    `commit` is the newest commit of the fix, `base` the commit before its oldest (None for a root),
    `time` the commit time in seconds since the epoch. `touched` are all paths of the fix, on every
    side. `tree` is the tree searched, `listing` what it holds, `side` the side of each of its paths.
    """

    repo: Repository
    commit: str
    commits: tuple[str, ...]
    base: str | None
    time: int
    files: tuple[FixedFile, ...]
    touched: frozenset[str]
    tree: str
    listing: Mapping[str, Entry]
    side: Callable[[str], Side]


_SAID_BY_FINDER = frozenset({"branch", "clone", "edit"})
"""Kinds whose confidence is that of the single lead; the others have the measured share of their kind."""


def ranked(leads: Iterable[Lead]) -> list[Lead]:
    """Return leads with their confidence, those first that say most beyond a blind guess.

    What only speaks of the fixed place itself stands last. A place that several finders name is told
    once, by the strongest.
    """
    found = sorted(leads, key=lambda lead: -lead.confidence)  # the finders' own order within a kind
    told = [lead if lead.kind in _SAID_BY_FINDER else _with_share(lead) for lead in found]
    best: dict[object, Lead] = {}
    for lead in sorted(told, key=lambda lead: (lead.kind == "repeat", -_gain(lead))):
        apart = lead.kind in ("repeat", "edit", "branch")
        what = (lead.kind, lead.code) if apart else ()
        best.setdefault((lead.path, lead.line, lead.branch, what), lead)
    return list(best.values())


def _with_share(lead: Lead) -> Lead:
    return replace(lead, confidence=round(MEASURED[_kind(lead)].share, 2))


def _gain(lead: Lead) -> float:
    known = MEASURED.get(_kind(lead))
    return lead.confidence - (known.guess if known else 0.0)


def _kind(lead: Lead) -> str:
    if lead.kind != "partner":
        return lead.kind
    return "partner file" if lead.line is None else "partner function"
