"""Where the next bug is likely: changes × complexity × past fixes, by function.  PYTEST_DONT_REWRITE

After Graves, Karr, Marron and Siy, "Predicting fault incidence using software change history" (IEEE
Transactions on Software Engineering 26(7), 2000): how often code was changed says more of its faults than its
size, and recent changes say most, so that each counts less the older it is. That complexity and past fixes
multiply what changes say is the reading of a hotspot by Tornhill, "Your Code as a Crime Scene" (2015).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.code.complexity import Function, complexity
from pytest_bugsle.history.churn import changed_functions
from pytest_bugsle.regression.sides import Side
from pytest_bugsle.results import Hotspot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_bugsle.git.repository import Entry, Repository
    from pytest_bugsle.history.past import Past, PastCommit
    from pytest_bugsle.store.cache import Cache

MOST_COMMITS = 3_000
"""The newest that changed source and are read; beyond eight half-lives a change weighs next to nothing."""
HALF_LIFE = 365 * 86_400
"""Seconds in which a change loses half its weight."""


@dataclass(frozen=True, slots=True)
class Hotspots:
    """The worst functions first, what they were found in, and what could not be looked at."""

    found: tuple[Hotspot, ...]
    commits: int
    left_out: int
    """Older commits that changed source and were not read."""
    unreadable: tuple[str, ...]
    """Files that this Python cannot parse."""


@dataclass(slots=True)
class _Record:
    """What happened to one function."""

    weight: float = 0.0
    fix_weight: float = 0.0
    changes: int = 0
    fixes: set[tuple[int, int]] = field(default_factory=set)
    people: Counter[str] = field(default_factory=Counter)
    last: int = 0


def hotspots(
    repo: Repository,
    past: Past,
    listing: Mapping[str, Entry],
    side: Callable[[str], Side],
    cache: Cache | None = None,
    *,
    limit: int | None = 20,
    since: str | None = None,
    wanted: Callable[[str], bool] = lambda path: True,
) -> Hotspots:
    """Rank the functions of the source at the past's head; `since` leaves out what is reachable from there.

    The score is W × C × (1 + F) over that of the repository's worst function, with W the changes and F the
    fixes, each weighed by ½^(age / one year), and C the cyclomatic complexity today. Ages end at the head's
    commit. Merges, bots and formatting are left out, and a fix that stands on two branches counts once.
    `wanted` says which files are shown; the score is relative to all of them.
    """
    old = past.until(since)
    history, _ = past.lineages(past.head)
    source = _source(past, listing, side, (files for commit, files in history if commit.sha not in old))
    chosen = [
        (commit, files)
        for commit, files in history
        if commit.sha not in old and past.is_telling(commit) and not source.keys().isdisjoint(files.values())
    ]
    read = chosen[:MOST_COMMITS]
    changed = changed_functions(repo, [commit for commit, _ in read], cache)
    now = past.by_sha[past.head].time
    records: defaultdict[tuple[int, str], _Record] = defaultdict(_Record)
    for commit, files in read:
        numbers = {past.paths[path]: number for path, number in files.items()}
        for change in changed[commit.sha]:
            number = numbers.get(change.file)
            if number in source:
                for name in (*change.altered, *change.made):
                    _note(records[number, name], past, commit, now, altered=name in change.altered)
    measured, unreadable = _measured(repo, listing, source, {number for number, _ in records})
    scored = [
        (
            record.weight * (1 + record.fix_weight) * function.complexity,
            source[number],
            name,
            function,
            record,
        )
        for (number, name), record in records.items()
        if (function := measured.get((number, name))) is not None
    ]
    worst = max((score for score, *_ in scored), default=0.0)
    shown = sorted((s for s in scored if wanted(s[1])), key=lambda s: (-s[0], s[1], s[2]))[:limit]
    found = tuple(_hotspot(score / worst, path, name, f, record) for score, path, name, f, record in shown)
    return Hotspots(found, len(read), len(chosen) - len(read), unreadable)


def _source(
    past: Past,
    listing: Mapping[str, Entry],
    side: Callable[[str], Side],
    changes: Iterator[Mapping[int, int]],
) -> dict[int, str]:
    """Return the source files that changed and are still there, by number; others are not asked for a side."""
    numbers = {number for files in changes for number in files.values()}
    paths = {number: past.paths[number] for number in sorted(numbers)}
    return {
        number: path
        for number, path in paths.items()
        if path.endswith(".py")
        and path in listing
        and listing[path].mode.startswith("100")
        and side(path) is Side.SOURCE
    }


def _note(record: _Record, past: Past, commit: PastCommit, now: int, *, altered: bool) -> None:
    weight = 0.5 ** (max(0, now - commit.time) / HALF_LIFE)
    record.weight += weight
    record.changes += 1
    record.people[past.author(commit).name] += 1
    record.last = max(record.last, commit.time)
    if altered and commit.is_fix and commit.work not in record.fixes:
        record.fixes.add(commit.work)
        record.fix_weight += weight


def _measured(
    repo: Repository, listing: Mapping[str, Entry], source: Mapping[int, str], numbers: set[int]
) -> tuple[dict[tuple[int, str], Function], tuple[str, ...]]:
    found: dict[tuple[int, str], Function] = {}
    unreadable = []
    for number in sorted(numbers):
        functions = complexity(repo.blob(listing[source[number]].sha))
        if functions is None:
            unreadable.append(source[number])
            continue
        found.update(((number, name), function) for name, function in functions.items())
    return found, tuple(sorted(unreadable))


def _hotspot(score: float, path: str, name: str, function: Function, record: _Record) -> Hotspot:
    knows, most = min(record.people.items(), key=lambda one: (-one[1], one[0]))
    return Hotspot(
        path=path,
        line=function.line,
        function=name,
        score=round(score, 3),
        changes=record.changes,
        fixes=len(record.fixes),
        complexity=function.complexity,
        people=len(record.people),
        knows=knows,
        knows_share=round(most / record.changes, 3),
        last_changed=dt.datetime.fromtimestamp(record.last, tz=dt.UTC).date().isoformat(),
    )
