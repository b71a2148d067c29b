"""Put a bug back into today's tree: by its kept edits, or by merging its fix out.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.code.editing.inverses import Inverse, inverses_of, put_all, put_inverse
from pytest_bugsle.code.syntax import same_code
from pytest_bugsle.git.log import read_log
from pytest_bugsle.regression.record.culprits import first_of, since_when
from pytest_bugsle.regression.record.ledger import Guard, PutBack
from pytest_bugsle.regression.trees import Conflict, Difference, FileDifference, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.regression.before import Edits
    from pytest_bugsle.regression.gather import TreeSides
    from pytest_bugsle.regression.record.culprits import Past
    from pytest_bugsle.regression.trees import Step

_SHA = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LARGEST = 8_000
"""Characters of edits up to which a file's are kept; a larger change is kept by the names of its blobs."""


def edits_of(sides: TreeSides, steps: Sequence[Step]) -> Iterator[PutBack]:
    """Yield what takes the source side of a fix back, the newest step first."""
    for _, _, found in steps:
        for change in sides.source(found):
            if "160000" not in (change.old_mode, change.mode):
                yield from (PutBack(change.path, inverse) for inverse in _inverses(sides, change))


def _inverses(sides: TreeSides, change: Change) -> Sequence[Inverse]:
    whole = Inverse("file", "", change.blob or "", change.old_blob or "")
    if change.old_blob is None or change.blob is None:
        return (whole,)
    if change.old_blob == change.blob:
        return ()
    python = change.path.endswith(".py")
    old, new = sides.repo.blob(change.old_blob), sides.repo.blob(change.blob)
    found = inverses_of(old, new, python=python)
    size = sum(len(part) for inverse in found for part in (inverse.new, inverse.old))
    if python and not found and same_code(old, new):
        return ()
    return found if found and size <= _LARGEST else (whole,)


@dataclass(frozen=True, slots=True)
class Relapse:
    """Today's tree with a bug in it; no difference where none of its edits found a place.

    `whole` where the bug is back as a whole; `why` says what is missing, or that a merge did it.
    """

    difference: Difference | None
    applied: int
    whole: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Relapses:
    """Puts bugs back into the tree that `past` leads up to."""

    past: Past
    pool: Pool

    @property
    def sides(self) -> TreeSides:
        """Return the tree, and which side of it each path is on."""
        return self.past.sides

    def of(self, guard: Guard) -> Relapse:
        """Put the bug of a guard back, as far as that goes."""
        edits, missed = self._put(guard)
        if not missed:
            return Relapse(self._difference(edits), len(guard.edits), whole=True)
        merged = self._merged(guard)
        if merged is not None:
            return Relapse(merged, len(guard.edits), whole=True, why="put back by merging the commit out")
        why, applied = self._reason(guard, missed[0]), len(guard.edits) - len(missed)
        if not applied:
            return Relapse(None, 0, why=why)
        why = f"{applied} of {len(guard.edits)} edits could be put back: {why}"
        return Relapse(self._difference(edits), applied, why=why)

    def _put(self, guard: Guard) -> tuple[Edits, list[PutBack]]:
        """Return today's files with the bug, and the edits that found no place."""
        edits: Edits = {}
        missed: list[PutBack] = []
        by_path: dict[str, list[PutBack]] = {}
        for edit in guard.edits:
            by_path.setdefault(edit.path, []).append(edit)
        for path, wanted in by_path.items():
            files = [edit for edit in wanted if edit.inverse.form == "file"]
            missed += [edit for edit in files if not self._put_file(edit, edits)]
            parts = [edit for edit in wanted if edit.inverse.form != "file"]
            now = self.past.path_now(path, self.past.since(guard.commit)) if parts else None
            entry = self.sides.listing.get(now or "")
            if now is None or entry is None or entry.mode == "160000":
                missed += parts
                continue
            text, applied = put_all(self.sides.repo.blob(entry.sha), [edit.inverse for edit in parts])
            missed += [edit for edit, done in zip(parts, applied, strict=True) if not done]
            if any(applied):
                edits[now] = (entry.mode, text)
        return edits, missed

    def _put_file(self, edit: PutBack, edits: Edits) -> bool:
        """Put a whole file back, where it is as the fix left it and the old one is in the repository."""
        entry = self.sides.listing.get(edit.path)
        if (entry.sha if entry is not None else "") != edit.inverse.new:
            return False
        if not edit.inverse.old:
            edits[edit.path] = None
            return True
        if not self._has_blob(edit.inverse.old):
            return False
        edits[edit.path] = (entry.mode if entry else "100644", self.sides.repo.blob(edit.inverse.old))
        return True

    def _has_blob(self, sha: str) -> bool:
        if not _SHA.fullmatch(sha):
            return False
        out = self.sides.repo.run("cat-file", "--batch-check", input=f"{sha}\n".encode())
        return out.split()[1:2] == [b"blob"]

    def _reason(self, guard: Guard, edit: PutBack) -> str:
        """Say why an edit finds no place."""
        since = self.past.since(guard.commit)
        path = self.past.path_now(edit.path, since)
        form = edit.inverse.form
        if path is None:
            versions = self.past.versions(edit.path, since)
            return f"{edit.path} is gone{since_when(next(iter(versions), None))}"
        if form == "file":
            return f"{edit.path} was changed as a whole, and is not as the fix left it"
        where = f"{path} ({edit.inverse.scope})" if edit.inverse.scope else path
        versions = [v for v in self.past.versions(path, since) if v.change.old_blob and v.change.blob]

        def fitted(index: int) -> bool:
            old = versions[index].change.old_blob
            return old is not None and put_inverse(self.sides.repo.blob(old), edit.inverse) is not None

        found = first_of(len(versions), fitted)
        culprit = versions[found] if found is not None and found < len(versions) else None
        return f"the fixed code in {where} was rewritten{since_when(culprit)}"

    def _merged(self, guard: Guard) -> Difference | None:
        """Merge the guard's commit out of today's tree; None where that conflicts, or is not the whole fix."""
        repo = self.past.surveyor.repo
        if self.past.since(guard.commit) is None:
            return None
        commit = read_log(repo, None, guard.commit, limit=1)[0]
        if commit.cut:
            return None
        parent = commit.parents[0] if commit.parents else repo.empty_tree
        steps = [(parent, commit.sha, commit.changes)]
        if tuple(edits_of(self.sides, steps)) != guard.edits:
            return None
        try:
            return lay_out(self.past.surveyor, self.pool, steps, self.sides.tree, self.past.head)
        except Conflict:
            return None

    def _difference(self, edits: Edits) -> Difference:
        files = []
        for path, content in edits.items():
            entry = self.sides.listing.get(path)
            after = self.sides.repo.blob(entry.sha) if entry is not None else None
            put = content is not None
            there = path if after is not None else None
            files.append(FileDifference(path if put else None, there, content[1] if content else None, after))
        listing = [path for path in self.sides.listing if edits.get(path, "kept") is not None]
        listing += [path for path in edits if path not in self.sides.listing]
        rootdir = self.past.surveyor.rootdir
        roots = self.past.surveyor.configuration.pythonpath
        return Difference(
            before=self.pool.write_tree(self.sides.tree, edits),
            after=self.sides.tree,
            commit=self.past.head,
            files=tuple(files),
            sides=self.sides,
            before_listing=tuple(listing),
            pythonpath=tuple(posixpath.normpath(posixpath.join(rootdir, root)) for root in roots),
        )
