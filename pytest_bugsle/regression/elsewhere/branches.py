"""Which maintained branches still hold the bug that a fix mended: by history, by content, by the guard.  PYTEST_DONT_REWRITE

Histories and messages only hint: a pick that was edited by hand has another patch id, one that was
taken back still has its trailer. What decides is the proven guard, run on the branch's own tree
(`try_on`): it fails there, and passes once the fix is merged in.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_bugsle.git.diff import changes
from pytest_bugsle.git.log import read_log
from pytest_bugsle.git.patches import carriers, patch_id, picked_from
from pytest_bugsle.regression.elsewhere.carried import Version, carried
from pytest_bugsle.results import Lead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_bugsle.git.patches import Carrier
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.regression.elsewhere.leads import FixView
    from pytest_bugsle.regression.gather import Surveyor
    from pytest_bugsle.regression.planning import PlannedFix
    from pytest_bugsle.regression.proving import Terms
    from pytest_bugsle.results import FixResult

Kind = Literal["contains", "picked", "has", "holds", "lacks", "unrelated", "unclear"]

HOLDS = 0.7
"""Confidence in a branch whose text still holds what the fix mended."""
UNCLEAR = 0.2
_FIELDS = "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(symref)%00%(committerdate:unix)"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that is kept alive: `name` as a user writes it, `short` without its remote."""

    name: str
    ref: str
    commit: str
    time: int
    short: str


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one fix on one branch without running anything.

    contains: the fix is an ancestor; picked: a commit there says so or is the same patch; has, holds and
    lacks: by content, it has the fix, holds what was wrong, or has not that code at all; unrelated: there
    is no common history. `path`, `line` and `code` are the first old statement there.
    """

    kind: Kind
    why: str
    path: str | None = None
    line: int | None = None
    code: str = ""


def maintained(repo: Repository, patterns: Sequence[str], head: str) -> tuple[Branch, ...]:
    """Return the branches, local and remote, whose name without the remote matches a pattern; newest first.

    Of branches of one name the one that contains the others counts; where they parted, the remote's does,
    for that is what users get. The current branch drops out, what stands at `head`, and what was merged
    into it. A branch on the first-parent line of `head` was not merged but cut off there: it stays.
    """
    current = repo.head().branch
    chosen: dict[str, Branch] = {}
    for branch in _refs(repo):
        if branch.short == current or not any(fnmatchcase(branch.short, pattern) for pattern in patterns):
            continue
        known = chosen.get(branch.short)
        if known is None or (known.commit != branch.commit and not _goes_before(repo, known, branch)):
            chosen[branch.short] = branch
    inside = repo.run(
        "for-each-ref", "--format=%(refname)", f"--merged={head}", "refs/heads/", "refs/remotes/"
    )
    merged = {os.fsdecode(ref) for ref in inside.split(b"\n")}
    found = [b for b in chosen.values() if not (b.ref in merged and _merged(repo, b, head))]
    return tuple(sorted(found, key=lambda branch: (-branch.time, branch.name)))


def _refs(repo: Repository) -> Iterator[Branch]:
    """Yield all branches, those of remotes first."""
    remotes = sorted(repo.remotes(), key=len, reverse=True)
    for room in ("refs/remotes/", "refs/heads/"):
        for line in repo.run("for-each-ref", _FIELDS, "--", room).split(b"\n")[:-1]:
            ref, commit, kind, symref, time = (os.fsdecode(field) for field in line.split(b"\0"))
            if kind != "commit" or symref:
                continue
            name = short = ref.removeprefix(room)
            if room == "refs/remotes/":
                remote = next((r for r in remotes if name.startswith(f"{r}/")), name.partition("/")[0])
                short = name.removeprefix(f"{remote}/")
            yield Branch(name, ref, commit, int(time) if time.isdecimal() else 0, short)


def _goes_before(repo: Repository, known: Branch, other: Branch) -> bool:
    return not repo.is_ancestor(known.commit, other.commit)


def _merged(repo: Repository, branch: Branch, head: str) -> bool:
    """Say whether a branch in the history of `head` is `head`, or came in by a merge and not by its mainline."""
    args = ("rev-list", "--first-parent", "--parents", "--end-of-options", head, f"^{branch.commit}", "--")
    above = repo.run(*args).decode().split("\n")[:-1]
    return not above or above[-1].split()[1:2] != [branch.commit]


def state(view: FixView, branch: Branch) -> State:
    """Say what is known of a fix on a branch.

    Content goes before what messages say: a pick that was taken back since leaves the old code standing.
    """
    return _States(view).of(branch)


@dataclass(frozen=True)
class _States:
    """One fix, looked at on branches; what is the same for all of them is found out once."""

    view: FixView

    def of(self, branch: Branch) -> State:
        repo, fix = self.view.repo, self.fix
        start = fix or self.view.base
        base = repo.merge_base(start, branch.commit) if start else None
        if fix is not None and base == fix:
            return State("contains", "the fix is in its history")
        if base is None and not repo.is_shallow():
            return State("unrelated", "it has no history in common with the fix")
        versions = self._versions(branch)
        content = carried(versions)
        touched = {*self._paths, *(version.path for version in versions)}
        there = carriers(repo, base, branch.commit, sorted(touched)) if touched else ()
        picked = self._picked(branch, there)
        if picked and content.content != "holds":
            return State("picked", picked)
        why = f"{content.why}; {picked}, but not as it stands now" if picked else content.why
        return State(content.content, why, content.path, content.line, content.code)

    @cached_property
    def fix(self) -> str | None:
        """The commit of the fix; an uncommitted one has none."""
        return self.view.repo.resolve(self.view.commit)

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        known = [path for file in self.view.files for path in (file.old_path, file.path) if path is not None]
        return tuple(dict.fromkeys(known))

    @cached_property
    def _patch(self) -> str | None:
        if self.fix is None or not self._paths:
            return None
        return patch_id(self.view.repo, self.view.base or self.view.repo.empty_tree, self.fix, self._paths)

    @cached_property
    def _origins(self) -> tuple[str, ...]:
        """The commits that the fix itself says it was picked from."""
        if self.fix is None:
            return ()
        body = read_log(self.view.repo, None, self.fix, limit=1, changes=False)[0].body
        return tuple(sha for name in picked_from(body) if (sha := self.view.repo.resolve(name)) is not None)

    def _versions(self, branch: Branch) -> list[Version]:
        """Return each file of the fix with its text on the branch, where it may have another name."""
        repo = self.view.repo
        listing = repo.listing(branch.commit)
        moved: dict[str, str] | None = None
        versions = []
        for file in self.view.files:
            known = [path for path in (file.old_path, file.path) if path is not None]
            path = next((path for path in known if path in listing), None)
            if path is None and file.old_path is not None and self.view.base is not None:
                if moved is None:
                    renames = changes(repo, self.view.base, branch.commit)
                    moved = {
                        c.old_path: c.path for c in renames if c.status == "R" and c.old_path is not None
                    }
                path = moved.get(file.old_path)
            entry = listing.get(path) if path is not None else None
            there = repo.blob(entry.sha) if entry is not None and entry.mode.startswith("100") else None
            versions.append(Version(path or known[0], file.old, file.new, there))
        return versions

    def _picked(self, branch: Branch, there: Sequence[Carrier]) -> str:
        """Say which commit of the branch brought the fix over, by its own words or by its patch."""
        repo = self.view.repo
        for carrier in there:
            for sha in carrier.picked_from:
                own = any(commit.startswith(sha) for commit in self.view.commits)
                if own or _brought_in(repo, sha, self.fix):
                    return f"{carrier.commit[:7]} was picked from {sha[:7]}"
        for sha in self._origins:
            if repo.is_ancestor(sha, branch.commit):
                return f"the fix was picked from {sha[:7]}, which is in its history"
        same = next((c for c in there if c.id is not None and c.id == self._patch), None)
        return f"{same.commit[:7]} is the same patch" if same is not None else ""


def _brought_in(repo: Repository, sha: str, fix: str | None) -> bool:
    """Say whether a commit is the merge that brought the fix in: picks often name that."""
    merge = repo.resolve(sha)
    first = repo.resolve(f"{merge}^1") if merge is not None else None
    if fix is None or merge is None or first is None or repo.resolve(f"{merge}^2") is None:
        return False
    return repo.is_ancestor(fix, merge) and not repo.is_ancestor(fix, first)


def branches(view: FixView, found: Iterable[Branch]) -> list[Lead]:
    """Return the branches that may still hold the bug, told without running anything."""
    states = _States(view)
    leads = (lead_of(view, branch, states.of(branch)) for branch in found)
    return [lead for lead in leads if lead is not None]


def lead_of(view: FixView, branch: Branch, state: State) -> Lead | None:
    """Return what to tell of a branch; None where it has the fix, or nothing there reads as it did before."""
    if state.kind not in ("holds", "unclear") or (state.kind == "unclear" and state.line is None):
        return None
    confidence = HOLDS if state.kind == "holds" else UNCLEAR
    return Lead(
        kind="branch",
        confidence=confidence,
        evidence=state.why,
        path=state.path,
        line=state.line,
        branch=branch.name,
        code=state.code,
        command=command(view.repo, branch, view.commits),
    )


def command(repo: Repository, branch: Branch, commits: Sequence[str]) -> str:
    """Return what brings a fix (its commits, newest first) to a branch; empty where they are no commits.

    It is safe to paste whatever the branch is called.
    """
    found = [sha for commit in reversed(commits) if (sha := repo.resolve(commit)) is not None]
    if not found or len(found) != len(commits):
        return ""
    # A merge is picked against its first parent; with other commits beside it git refuses that.
    merges = [sha for sha in found if repo.resolve(f"{sha}^2") is not None]
    if merges and len(found) > 1:
        return ""
    main = "-m 1 " if merges else ""
    if branch.short.startswith("-") or not branch.short.isprintable():
        # No switch takes such a name.
        where = f"--detach {shlex.quote(branch.commit[:12])}"
    else:
        where = shlex.quote(branch.short)
    return f"git switch {where} && git cherry-pick -x {main}{' '.join(sha[:12] for sha in found)}"


def try_on(
    surveyor: Surveyor,
    planned: PlannedFix,
    fix: FixResult,
    found: Sequence[Branch],
    terms: Terms,
    *,
    view: FixView | None = None,
) -> list[Lead]:
    """Run the guards of a proven fix on each branch, as far as the budget goes, and tell which miss the fix.

    With a `view`, branches whose history or text has the fix are left out, and those that could not be
    tried are told by what is known without running anything.
    """
    from pytest_bugsle.regression.elsewhere.trials import Trials

    seen = _States(view) if view is not None else None
    states = {branch.name: seen.of(branch) for branch in found} if seen is not None else {}
    due = [branch for branch in found if branch.name not in states or _is_due(states[branch.name])]
    order = ("holds", "unclear", "lacks")
    due.sort(key=lambda b: order.index(states[b.name].kind) if b.name in states else 0)
    tried = Trials(surveyor, planned, fix, terms).run(due)
    leads = []
    for branch in due:
        known = states.get(branch.name)
        text = lead_of(view, branch, known) if view is not None and known is not None else None
        lead = _both(text, tried.get(branch.name))
        if lead is not None and lead.proven is not False:
            leads.append(lead)
    return leads


def _both(text: Lead | None, run: Lead | None) -> Lead | None:
    """Return what text and run tell of one branch: the run decides, and where it cannot the text still stands."""
    if text is None or run is None or run.proven is False:
        return run or text
    return msgspec.structs.replace(
        run,
        confidence=max(run.confidence, text.confidence),
        evidence=run.evidence if run.proven else f"{text.evidence}; {run.evidence}",
        path=text.path,
        line=text.line,
        code=text.code,
    )


def _is_due(state: State) -> bool:
    return state.kind in ("holds", "unclear")
