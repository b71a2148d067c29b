"""What a judged history shows: shares by release and by area, what is not held, and what kept us from judging.

Pure: fixes, releases and the ledger come in as values.  PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from pytest_bugsle.results import AuditResult, Share, Unheld, Unjudged
from pytest_bugsle.stats.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_bugsle.results import FixResult, GuardResult

NOT_YET = "not judged yet"
"""How the reason of a fix begins that this run had no time for."""

_HELD = "proven"
_UNHELD = frozenset({"no-test", "passes-without-fix", "existence-only", "guard-fails"})
_DUE = _UNHELD | {_HELD, "undecided"}
_LONGEST_REASON = 160
_MOST_READ = 2_000

_ERROR = r"(?:[A-Za-z_][\w.]{0,80}\.)?[A-Z]\w{0,60}(?:Error|Exception|Failure|Failed|Exit|Warning)"
_FROM_ERROR = re.compile(rf"(?<![\w.]){_ERROR}: .*")
_WRAPPED = re.compile(rf"{_ERROR}: (?={_ERROR}: )")
_FILE_IN_BRACKETS = re.compile(r" \((?:from )?/[^()]*\)")
_OF_ONE_TEST = re.compile(r"\A[^\s:]+\.py(?:::[^:]+)*?(?:\[.*\])?: ")
_PATH = re.compile(r"[\w./-]+\.[A-Za-z]{1,5}(?:::[\w\[\]:.-]+)?(?=[\s,;:)]|\Z)")
_FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s'\":/]+/)+")
_HASH = re.compile(r"\b(?:0x)?(?=[0-9a-f]*[0-9])[0-9a-f]{7,64}\b")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?= s(?:econds?)?\b)")


def audit_of(
    fixes: Sequence[FixResult],
    *,
    since: str | None,
    until: str,
    release_of: Mapping[str, str],
    releases: Sequence[str] = (),
    ledger: str | None = None,
    debt: Collection[str] = (),
    paid: Sequence[str] = (),
    guards: Sequence[GuardResult] = (),
) -> AuditResult:
    """Return what the judged fixes show together (newest first, as they come).

    `release_of` is by commit, `releases` are in order, the oldest first; `debt` are the commits that the
    ledger knows as not held.
    """
    due = [fix for fix in fixes if fix.status in _DUE]
    area_of = areas({fix.commit: fix.paths for fix in due})
    by_release: dict[str, list[FixResult]] = defaultdict(list)
    by_area: dict[str, list[FixResult]] = defaultdict(list)
    for fix in due:
        by_release[release_of.get(fix.commit, "")].append(fix)
        for area in area_of[fix.commit]:
            by_area[area].append(fix)
    place = {name: number for number, name in enumerate(releases)}
    newest_first = sorted(filter(None, by_release), key=lambda name: (-place.get(name, -1), name))
    return AuditResult(
        since=since,
        until=until,
        ledger=ledger,
        total=share("all", due),
        releases=[share(name, by_release[name]) for name in newest_first],
        folders=sorted((share(name, found) for name, found in by_area.items()), key=_worst_first),
        unheld=[
            Unheld(
                commit=fix.commit,
                subject=fix.subject,
                bugs=fix.bugs,
                status=fix.status,
                release=release_of.get(fix.commit),
                folders=area_of[fix.commit],
                known=is_known(fix, debt),
            )
            for fix in due
            if fix.status in _UNHELD
        ],
        unjudged=unjudged(due),
        guards=list(guards),
        paid=list(paid),
    )


def share(name: str, fixes: Iterable[FixResult]) -> Share:
    """Return how many of these fixes are held, of those that could be judged."""
    asked = [fix for fix in fixes if fix.status in _DUE]
    judged = [fix for fix in asked if fix.status != "undecided"]
    held = sum(fix.status == _HELD for fix in judged)
    if not judged:
        return Share(name=name, fixes=len(asked), judged=0, held=0, share=None, low=None, high=None)
    low, high = wilson(held, len(judged))
    return Share(
        name=name,
        fixes=len(asked),
        judged=len(judged),
        held=held,
        share=round(held / len(judged), 4),
        low=round(low, 4),
        high=round(high, 4),
    )


def _worst_first(share: Share) -> tuple[float, int, str]:
    # By the upper end: 2 held of 20 says more than 0 of 1.
    return (share.high if share.high is not None else 2.0, -share.fixes, share.name)


def is_held(fix: FixResult) -> bool:
    """Say whether a guard of this fix was proven."""
    return fix.status == _HELD


def is_unheld(fix: FixResult) -> bool:
    """Say whether the fix was judged, and no test holds it."""
    return fix.status in _UNHELD


def is_known(fix: FixResult, commits: Collection[str]) -> bool:
    """Say whether one of a fix's commits is among these: later commits for the same bug change which one leads."""
    return any(commit in commits for commit in (fix.commit, *fix.commits))


def areas(paths: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return for each fix the areas of the source that it changed.

    An area is a folder at the top; one that more than half of the fixes touch says too little, so that it is
    divided into what lies in it, again and again, down to single modules.
    """
    divided: set[str] = set()
    while True:
        found = {fix: sorted({_area(path, divided) for path in changed}) for fix, changed in paths.items()}
        sizes = Counter(area for named in found.values() for area in named)
        folders = {
            area for changed in paths.values() for path in changed if (area := _area(path, divided)) != path
        }
        crowded = {area for area in folders if 2 * sizes[area] > len(paths)}
        if not crowded:
            return found
        divided |= crowded


def _area(path: str, divided: Collection[str]) -> str:
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        area = "/".join(parts[:end])
        if area not in divided:
            return area
    return path


def unjudged(fixes: Iterable[FixResult]) -> list[Unjudged]:
    """Return the fixes that could not be judged by their common reason, the most frequent first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for fix in fixes:
        if fix.status == "undecided":
            groups[normalised(fix.why)].append(fix.commit)
    return [
        Unjudged(why=why, commits=commits)
        for why, commits in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]


def normalised(why: str) -> str:
    """Return a reason without what differs from fix to fix: ids of tests, paths, hashes, seconds.

    An error is what is left of a reason that tells one: `ModuleNotFoundError: No module named 'nose'`.
    """
    if why.startswith(NOT_YET):
        return NOT_YET
    text = " ".join(why[:_MOST_READ].split())
    error = _FROM_ERROR.search(text)
    if error is not None:
        text = error[0]
        while (wrapped := _WRAPPED.match(text)) is not None:
            text = text[wrapped.end() :]
        text = _FOLDERS.sub("…/", _FILE_IN_BRACKETS.sub("", text))
    else:
        text = _PATH.sub("…", _OF_ONE_TEST.sub("", text, count=1))
    text = _NUMBER.sub("…", _HASH.sub("…", text)).strip()
    if len(text) > _LONGEST_REASON:
        text = text[: _LONGEST_REASON - 1].rstrip("…") + "…"
    return text or "no reason given"
