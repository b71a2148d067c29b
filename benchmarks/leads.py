"""How often the lines of `bugsle what-else` were right, judged by what happened later.

    python -m benchmarks.leads REPOSITORY... [--each 10] [--years 2] [--days 90] [--json PATH]

For fixes spread over the history of each repository, what else needed a patch is looked for as it stood
on the day of the fix. A line that points at a function was right where a later fix, within the years
given, changed that function; one that names a file, where a fix within the days given changed the file.
The same is asked of all functions and files of that day's tree: what a blind guess would have been worth.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_bugsle import scope
from pytest_bugsle.code.functions import functions, functions_at
from pytest_bugsle.git.diff import changes, line_changes
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.history.past import read_past
from pytest_bugsle.regression.elsewhere.clones import clones
from pytest_bugsle.regression.elsewhere.partners import partners
from pytest_bugsle.regression.elsewhere.repeats import repeats
from pytest_bugsle.regression.elsewhere.siblings import siblings
from pytest_bugsle.regression.elsewhere.what_else import WhatElse
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.planning import Fixes
from pytest_bugsle.runner.configuration import read_configuration
from pytest_bugsle.settings import Settings
from pytest_bugsle.stats.intervals import wilson
from pytest_bugsle.store.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_bugsle.history.past import Past, PastCommit
    from pytest_bugsle.regression.elsewhere.leads import FixView
    from pytest_bugsle.results import Lead

Place = tuple[str, str]
"""A path, and a qualified function name; the name is empty for what stands in no function."""
BINS = (0.0, 0.15, 0.3, 0.45, 0.6, 1.01)


@dataclass
class Tally:
    """Lines of one kind: how many there were, how many were right, and what a guess was worth."""

    right: int = 0
    of: int = 0
    guess: list[float] = field(default_factory=list)

    def row(self) -> dict[str, float | int | None]:
        """Return the figures."""
        share = self.right / self.of if self.of else None
        low, high = wilson(self.right, self.of) if self.of else (None, None)
        guess = sum(self.guess) / len(self.guess) if self.guess else None
        return {
            "lines": self.of,
            "right": self.right,
            "share": share,
            "low": low,
            "high": high,
            "guess": guess,
        }


class Later:
    """What the fixes after a commit changed."""

    def __init__(self, repo: Repository, past: Past) -> None:
        self.repo = repo
        self.fixes = [commit for commit in past.commits if commit.is_fix and past.is_telling(commit)]
        self.past = past
        self._places: dict[str, frozenset[Place]] = {}

    def after(self, commit: str, time: int, years: float) -> list[PastCommit]:
        """Give the fixes of the years after a commit."""
        before = self.past.until(commit)
        end = time + years * 365.25 * 86_400
        return [fix for fix in self.fixes if time < fix.time <= end and fix.sha not in before]

    def places(self, fixes: Iterable[PastCommit]) -> frozenset[Place]:
        """Give the functions that fixes changed; with an empty name what stands in none."""
        return frozenset(place for fix in fixes for place in self._of(fix))

    def _of(self, fix: PastCommit) -> frozenset[Place]:
        if fix.sha not in self._places:
            found: set[Place] = set()
            for change in changes(self.repo, fix.parents[0], fix.sha) if fix.parents else ():
                if not change.path.endswith(".py") or None in (change.blob, change.old_blob):
                    continue
                old, new = self.repo.blob(change.old_blob or ""), self.repo.blob(change.blob or "")
                gone, added = line_changes(old, new)
                for text, lines in ((old, gone), (new, added)):
                    spans = functions(text)
                    named = functions_at(spans, lines)
                    found |= {(change.path, name) for name in named}
                    if any(not any(s.first <= line <= s.last for s in spans) for line in lines):
                        found.add((change.path, ""))
            self._places[fix.sha] = frozenset(found)
        return self._places[fix.sha]


def fixes_of(surveyor: Surveyor, past: Past, each: int) -> list[str]:
    """Choose fixes evenly from the second to the eighth tenth of a history, where there is a before and an after."""
    newest_first = past.commits[len(past.commits) // 5 : len(past.commits) * 9 // 10]
    found = [
        commit.sha
        for commit in newest_first
        if commit.is_fix
        and past.is_telling(commit)
        and commit.parents
        and commit.files <= 30
        and any(_is_source(surveyor, past.paths[c.path]) and c.status == "M" for c in commit.changes)
    ]
    step = max(1, len(found) // each)
    return found[::step][:each]


def _is_source(surveyor: Surveyor, path: str) -> bool:
    head = surveyor.repo.head().sha or ""
    return path.endswith(".py") and surveyor.ground(surveyor.repo.tree_of(head)).side(path) == "source"


def look(
    repository: Path, each: int, years: float, days: float, tallies: dict[str, Tally]
) -> list[dict[str, object]]:
    """Look at the fixes of one repository, and give each line with whether it was right."""
    repo = Repository.open(repository)
    head = repo.head().sha
    assert head is not None
    surveyor = Surveyor(repo, read_configuration(repo.top, repo.top), Settings())
    cache = Cache(None)
    past = read_past(repo, head, cache)
    later = Later(repo, past)
    rows: list[dict[str, object]] = []
    for sha in fixes_of(surveyor, past, each):
        _, _, units = scope.named(repo, surveyor, (sha,))
        fixes = Fixes(surveyor, proof=False, own_commit=True)
        fixes.plan(units, lambda unit: surveyor.ground(unit.commits[0].tree), named=True, pool=lambda: None)  # type: ignore[arg-type, return-value]  # nothing is proven, so no pool is asked for
        (planned,) = fixes.planned
        if not planned.in_scope:
            continue
        view = WhatElse(surveyor, cache, repo, head).view(planned)
        after = later.after(sha, view.time, years)
        places = later.places(after)
        soon = later.after(sha, view.time, days / 365.25)
        files = {past.paths[c.path] for fix in soon for c in fix.changes}
        guess = _guess(view, places, files)
        leads: list[Lead] = [
            *clones(view, cache),
            *partners(view, past, cache),
            *siblings(view),
            *repeats(view, past, cache),
        ]
        for lead in leads:
            right = _right(view, lead, places, files)
            if right is None:
                continue
            base = guess[0] if lead.kind == "partner" and lead.line is None else guess[1]
            kind = f"{lead.kind} (file)" if lead.kind == "partner" and lead.line is None else lead.kind
            for name in (kind, f"{kind} {_bin(lead.confidence)}"):
                tally = tallies[name]
                tally.of += 1
                tally.right += right
                tally.guess.append(base)
            rows.append(
                {
                    "repository": repository.name,
                    "fix": sha[:10],
                    "subject": planned.unit.subject,
                    "kind": lead.kind,
                    "place": f"{lead.path}:{lead.line}",
                    "confidence": round(lead.confidence, 3),
                    "right": right,
                    "evidence": lead.evidence,
                }
            )
        day = dt.datetime.fromtimestamp(view.time, tz=dt.UTC).date()
        print(f"{repository.name} {sha[:10]} {day} {len(leads)} lines", flush=True)
        tallies["fixes"].of += 1
        tallies["fixes with a line"].of += bool(leads)
    return rows


def _bin(confidence: float) -> str:
    low = max(edge for edge in BINS if edge <= confidence)
    return f"from {low:.2f}"


def _guess(view: FixView, places: frozenset[Place], files: set[str]) -> tuple[float, float]:
    """Give the share of all files, and of all functions, of a tree that later fixes changed."""
    paths = [p for p in view.listing if p.endswith(".py") and view.side(p) == "source"]
    texts = view.repo.blobs({view.listing[path].sha for path in paths})
    named = {(path, span.name) for path in paths for span in functions(texts[view.listing[path].sha])}
    return (
        sum(path in files for path in paths) / max(len(paths), 1),
        len(named & places) / max(len(named), 1),
    )


def _right(view: FixView, lead: Lead, places: frozenset[Place], files: set[str]) -> bool | None:
    if lead.path is None:
        return None
    if lead.kind == "partner" and lead.line is None:
        return lead.path in files
    entry = view.listing.get(lead.path)
    if entry is None or lead.line is None:
        return None
    names = functions_at(functions(view.repo.blob(entry.sha)), {lead.line}) or frozenset({""})
    return any((lead.path, name) in places for name in names)


def table(tallies: dict[str, Tally]) -> list[str]:
    """Return the figures as the rows of a Markdown table."""
    lines = ["| line | right of shown | share | 95 % interval | a guess |", "|---|---|---|---|---|"]
    for name in sorted(tallies):
        row = tallies[name].row()
        if row["share"] is None or name.startswith("fixes"):
            continue
        lines.append(
            f"| {name} | {row['right']} of {row['lines']} | {row['share']:.0%} "
            f"| {row['low']:.0%} to {row['high']:.0%} | {row['guess'] or 0:.0%} |"
        )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leads", description=__doc__)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=10, help="fixes of each repository")
    parser.add_argument("--years", type=float, default=2.0, help="how long after a fix is looked at")
    parser.add_argument("--days", type=float, default=90.0, help="the same for lines that name a file")
    parser.add_argument("--json", type=Path, help="write every line with its judgement")
    given = parser.parse_args(argv)
    tallies: dict[str, Tally] = defaultdict(Tally)
    rows = [
        row for path in given.repositories for row in look(path, given.each, given.years, given.days, tallies)
    ]
    print("\n".join(table(tallies)))
    print(f"{tallies['fixes'].of} fixes, {tallies['fixes with a line'].of} with a line or more")
    if given.json:
        text = json.dumps({"rows": rows, "tallies": {k: t.row() for k, t in tallies.items()}}, indent=1)
        given.json.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
