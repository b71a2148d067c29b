"""What else needs a patch: look at one fix with every finder, and rank what they found.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.findings import make_finding
from pytest_bugsle.regression.elsewhere.leads import FixedFile, FixView, ranked
from pytest_bugsle.results import Lead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.history.past import Past
    from pytest_bugsle.regression.elsewhere.branches import Branch
    from pytest_bugsle.regression.gather import Surveyor
    from pytest_bugsle.regression.planning import PlannedFix
    from pytest_bugsle.regression.proving import Terms
    from pytest_bugsle.regression.verdict import Policy
    from pytest_bugsle.results import EditResult, FixResult
    from pytest_bugsle.store.cache import Cache

WORTH_A_FINDING = 0.3
"""Confidence from which an unpatched clone is a finding, and not only a line of the list."""
MOST_OF_A_KIND = 4
"""Partners and siblings in one list: the weaker ones only hide what is strong."""


class WhatElse(msgspec.Struct):
    """Looks at fixes; what is read once (the past, the branches) is kept for all of them."""

    surveyor: Surveyor
    cache: Cache
    repo: Repository
    """Where objects are read from: the pool's, which also holds uncommitted trees."""
    head: str
    _past: Past | None = None
    _branches: tuple[Branch, ...] | None = None

    def look(self, planned: PlannedFix, fix: FixResult, terms: Terms | None = None) -> FixResult:
        """Return the fix with its ranked list; with `terms` the guards run on branches that may hold the bug."""
        import msgspec

        from pytest_bugsle.regression.elsewhere.clones import clones
        from pytest_bugsle.regression.elsewhere.partners import partners
        from pytest_bugsle.regression.elsewhere.repeats import repeats
        from pytest_bugsle.regression.elsewhere.siblings import siblings

        view = self.view(planned)
        found = [
            *clones(view, self.cache),
            *partners(view, self.past, self.cache, limit=MOST_OF_A_KIND),
            *siblings(view, limit=MOST_OF_A_KIND),
            *repeats(view, self.past, self.cache),
            *open_edits(fix.edits),
            *self._on_branches(view, planned, fix, terms),
        ]
        return msgspec.structs.replace(fix, what_else=ranked(found))

    def view(self, planned: PlannedFix) -> FixView:
        """Return a fix as the finders see it."""
        tree = self.surveyor.ground(planned.tree, self.repo)
        unit = planned.unit
        return FixView(
            repo=self.repo,
            commit=unit.head,
            commits=tuple(commit.sha for commit in unit.commits),
            base=planned.steps[-1][0] if planned.steps else unit.base,
            time=max((commit.commit_time for commit in unit.commits), default=0),
            files=fixed_files(planned, tree.source, self.repo.blob),
            touched=frozenset(change.path for _, _, found in planned.steps for change in found),
            tree=planned.tree,
            listing=tree.listing,
            side=tree.side,
        )

    @property
    def past(self) -> Past:
        """Return the history up to HEAD."""
        if self._past is None:
            from pytest_bugsle.history.past import read_past

            self._past = read_past(self.surveyor.repo, self.head, self.cache, self.surveyor.policy())
        return self._past

    def _on_branches(
        self, view: FixView, planned: PlannedFix, fix: FixResult, terms: Terms | None
    ) -> list[Lead]:
        from pytest_bugsle.regression.elsewhere import branches

        if self._branches is None:
            patterns = self.surveyor.settings.branches
            self._branches = branches.maintained(self.surveyor.repo, patterns, self.head)
        if not self._branches:
            return []
        if terms is None or fix.status != "proven":
            return branches.branches(view, self._branches)
        return branches.try_on(self.surveyor, planned, fix, self._branches, terms, view=view)


def fixed_files(
    planned: PlannedFix, source: Callable[[Iterable[Change]], Iterable[Change]], blob: Callable[[str], bytes]
) -> tuple[FixedFile, ...]:
    """Return the source files of a fix as its oldest commit found them and its newest one left them."""
    files: dict[str | None, FixedFile] = {}
    for _, _, found in reversed(planned.steps):  # oldest first
        for change in source(found):
            old_path = None if change.status == "A" else (change.old_path or change.path)
            path = None if change.status == "D" else change.path
            new = blob(change.blob) if path and change.blob and change.mode != "160000" else None
            old = (
                blob(change.old_blob)
                if old_path and change.old_blob and change.old_mode != "160000"
                else None
            )
            earlier = files.pop(old_path, None) if old_path else None
            first = earlier or FixedFile(old_path, path, old, new)
            files[path or old_path] = FixedFile(first.old_path, path, first.old, new)
    return tuple(files.values())


def open_edits(edits: Iterable[EditResult]) -> list[Lead]:
    """Return the edits of the fix that no test notices."""
    return [
        Lead(
            kind="edit",
            path=edit.path,
            line=edit.line,
            confidence=1.0,
            evidence="no test notices when this edit of the fix is put back alone",
            code=(edit.code or edit.was).strip().partition("\n")[0],
        )
        for edit in edits
        if edit.guarded is False
    ]


def findings_of(fix: FixResult, policy: Policy) -> list[Finding]:
    """Return what of a fix's list is a finding: likely unpatched clones, and branches shown to hold the bug."""
    named = f"the fix {fix.commit[:7]} (“{fix.subject}”)"
    found = []
    for lead in fix.what_else:
        if lead.kind == "clone" and lead.confidence >= WORTH_A_FINDING:
            code, message = "BUG108", f"“{lead.code}” looks like what {named} changed: {lead.evidence}"
        elif lead.kind == "branch" and lead.proven:
            code, message = "BUG109", f"the branch {lead.branch} misses {named}: {lead.evidence}"
        else:
            continue
        found.append(
            make_finding(
                code,
                message,
                help=f"look closer: {lead.command}" if lead.command else "",
                levels=policy.levels,
                ci=policy.ci,
                path=lead.path,
                line=lead.line,
                commit=fix.commit,
            )
        )
    return found
