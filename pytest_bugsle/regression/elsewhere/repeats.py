"""Functions that a fix mends once more.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_bugsle.code.complexity import complexity
from pytest_bugsle.code.functions import functions, functions_at
from pytest_bugsle.git.diff import line_changes
from pytest_bugsle.history.churn import changed_functions
from pytest_bugsle.history.messages import excerpt
from pytest_bugsle.results import Lead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.history.past import Past, PastCommit
    from pytest_bugsle.regression.elsewhere.leads import FixedFile, FixView
    from pytest_bugsle.store.cache import Cache

LEAST_FIXES = 2
"""Earlier fixes of a function from which it is named."""
_AGAIN = (0.2, 0.25, 0.3, 0.35, 0.4, 0.4, 0.45)
"""Share of functions that were fixed again within a year, by the number of earlier fixes: read off some 3,400
fixes of functions in four public libraries (the last for all that have more)."""
MOST_COMMITS = 200
"""The newest earlier fixes of the fixed files whose texts are read."""
_COMPLEX = 10
"""McCabe's own bound (1976): what is more complex is hard to test."""
_GROWN = 3
_SHOWN = 3


def repeats(view: FixView, past: Past, cache: Cache | None = None, *, limit: int = 10) -> list[Lead]:
    """Name the functions of this fix that were fixed twice or more before, and those that grew too complex.

    An earlier fix is a commit that says so and that altered the function; renames of files are followed, and
    the same change on two branches counts once. `cache` keeps which functions a commit changed.
    """
    found = []
    before = _earlier_fixes(view, past, cache)
    for file in view.files:
        if file.old is None or file.new is None or file.path is None:
            continue
        names = fixed_functions(file)
        grown = _grown(file)
        for name in sorted(names):
            fixes = before.get((file.old_path or "", name), [])
            growth = grown.get(name)
            if len(fixes) >= LEAST_FIXES or growth:
                found.append(_lead(view, file, name, fixes, growth))
    return sorted(filter(None, found), key=lambda lead: (-lead.confidence, lead.path or "", lead.line or 0))[
        :limit
    ]


def fixed_functions(file: FixedFile) -> frozenset[str]:
    """Name the functions that a fix altered: those that it made, and those that it took away, are none."""
    if file.old is None or file.new is None or not (file.path or "").endswith(".py"):
        return frozenset()
    deleted, added = line_changes(file.old, file.new)
    old, new = functions(file.old), functions(file.new)
    both = {span.name for span in old} & {span.name for span in new}
    return (functions_at(old, deleted) | functions_at(new, added)) & both


def _earlier_fixes(
    view: FixView, past: Past, cache: Cache | None
) -> Mapping[tuple[str, str], Sequence[PastCommit]]:
    """Return the earlier fixes by path before this fix and function, newest first."""
    history, today = past.lineages(view.base)
    fixed = {
        today.get(number, number): file.old_path
        for file in view.files
        if file.old_path and (number := past.numbers.get(file.old_path)) is not None
    }
    fixes: list[tuple[PastCommit, Mapping[int, int]]] = []
    seen: set[tuple[int, int]] = set()
    for commit, files in history:
        telling = commit.is_fix and past.is_telling(commit) and not fixed.keys().isdisjoint(files.values())
        if telling and commit.work not in seen:
            seen.add(commit.work)
            fixes.append((commit, files))
    fixes = fixes[:MOST_COMMITS]
    changed = changed_functions(view.repo, [commit for commit, _ in fixes], cache)
    found: dict[tuple[str, str], list[PastCommit]] = defaultdict(list)
    for commit, files in fixes:
        numbers = {past.paths[path]: number for path, number in files.items()}
        for change in changed[commit.sha]:
            path = fixed.get(numbers.get(change.file, -1))
            if path is not None:
                for name in change.altered:
                    found[path, name].append(commit)
    return found


def _grown(file: FixedFile) -> Mapping[str, tuple[int, int]]:
    """Return the complexity before and after of functions that the fix made too complex."""
    before, after = complexity(file.old or b""), complexity(file.new or b"")
    if not before or not after:
        return {}
    return {
        name: (before[name].complexity, now.complexity)
        for name, now in after.items()
        if name in before and now.complexity > _COMPLEX and now.complexity >= before[name].complexity + _GROWN
    }


def _lead(
    view: FixView, file: FixedFile, name: str, fixes: Sequence[PastCommit], growth: tuple[int, int] | None
) -> Lead | None:
    path = file.path or ""
    said = []
    if len(fixes) >= LEAST_FIXES:
        earlier = ", ".join(f"{c.sha[:7]} (“{excerpt(c.subject, 40)}”)" for c in fixes[:_SHOWN])
        more = f" and {len(fixes) - _SHOWN} more" if len(fixes) > _SHOWN else ""
        said.append(f"this is fix number {len(fixes) + 1} of {name}: before it {earlier}{more}")
    if growth:
        said.append(
            f"the fix takes {name} from {growth[0]} to {growth[1]} ways through it (cyclomatic complexity)"
        )
    entry = view.listing.get(path)
    text = (file.new or b"") if entry is None else view.repo.blob(entry.sha)
    span = next((span for span in functions(text) if span.name == name), None)
    if span is None:
        return None  # it is gone by now
    return Lead(
        kind="repeat",
        path=path,
        line=span.line,
        confidence=_AGAIN[min(len(fixes), len(_AGAIN) - 1)],
        evidence="; ".join(said),
        code=text.split(b"\n")[span.line - 1].decode("utf-8", "backslashreplace").strip()[:200],
        command=f"git log --oneline -s -L {shlex.quote(f'{span.first},{span.last}:{path}')}",
    )
