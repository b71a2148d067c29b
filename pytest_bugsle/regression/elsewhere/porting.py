"""Lay out a branch with the guards of a fix on it, and the same with the fix merged in.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.git.diff import Change, changes
from pytest_bugsle.git.merge import merge_file
from pytest_bugsle.regression.before import Conflict, take_out
from pytest_bugsle.regression.sides import Side
from pytest_bugsle.regression.trees import Difference, FileDifference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.git.repository import Entry
    from pytest_bugsle.regression.before import Edits
    from pytest_bugsle.regression.elsewhere.branches import Branch
    from pytest_bugsle.regression.gather import Surveyor, TreeSides
    from pytest_bugsle.regression.trees import Step

MOST_BROUGHT = 500
"""Files that come along where the guards do not run without them."""


@dataclass(frozen=True, slots=True)
class Ported:
    """The trees of one branch: `bare` has the guards, the after side of `difference` the fix as well.

    Where the fix cannot be merged in there is no `control`: both sides are bare, and the files of
    `difference` are those of the fix at home, so that a run knows what to watch. `why` says what is special.
    """

    bare: str
    difference: Difference
    control: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Porting:
    """A fix with its guards, as it was proven in the tree `home`, to be laid over branches."""

    surveyor: Surveyor
    pool: Pool
    steps: Sequence[Step]
    home: TreeSides
    guards: frozenset[str]

    def to(self, branch: Branch, *, widely: bool) -> Ported | None:
        """Return the trees of a branch; None where it has none of the files that the fix changes.

        With `widely` come also conftest.py and the helpers that stand beside the guards.
        """
        listing = self.pool.repo.listing(branch.commit)
        steps = [(old, self.home.source(found)) for old, _, found in reversed(self.steps)]
        found = [change for _, part in steps for change in part]
        moved: dict[str, str] = {}
        if steps and any(c.old_path is not None and c.old_path not in listing for c in found):
            renames = changes(self.pool.repo, steps[0][0], branch.commit)
            moved = {c.old_path: c.path for c in renames if c.status == "R" and c.old_path is not None}
        known = [c for c in found if c.old_path is None or moved.get(c.old_path, c.old_path) in listing]
        if not any(c.old_path is not None for c in known) and any(c.old_path is not None for c in found):
            return None
        bare = self.pool.write_tree(branch.commit, self._brought(listing, widely=widely))
        edits: Edits = {}
        control, why = True, ""
        try:
            edits = take_out(
                listing,
                [[_turned(change) for change in part] for _, part in steps],
                moved=moved,
                blob=self.pool.repo.blob,
                merge=lambda current, base, other: merge_file(self.pool.repo, current, base, other),
            )
            why = "" if edits else "what the fix changes is there already"
        except Conflict:
            control, why = False, "the fix does not apply there as it is"
        after = self.pool.write_tree(bare, edits) if edits else bare
        files = tuple(self._file(path, edit, listing) for path, edit in edits.items())
        if not control:
            files = tuple(self._at_home(change, moved) for change in known)
        difference = Difference(
            before=bare,
            after=after,
            commit=branch.commit,
            files=files,
            sides=self.surveyor.ground(after, self.pool.repo),
            before_listing=tuple(self.pool.repo.listing(bare)),
            pythonpath=tuple(self._from_top(path) for path in self.surveyor.configuration.pythonpath),
        )
        return Ported(bare, difference, control, why)

    def _file(
        self, path: str, edit: tuple[str, bytes] | None, listing: Mapping[str, Entry]
    ) -> FileDifference:
        entry = listing.get(path)
        before = self.pool.repo.blob(entry.sha) if entry is not None and entry.mode != "160000" else None
        after = edit[1] if edit is not None else None
        return FileDifference(
            path if before is not None else None, path if after is not None else None, before, after
        )

    def _at_home(self, change: Change, moved: Mapping[str, str]) -> FileDifference:
        path = change.old_path and moved.get(change.old_path, change.old_path)
        old, new = (
            self.pool.repo.blob(sha) if sha is not None and mode != "160000" else None
            for sha, mode in ((change.old_blob, change.old_mode), (change.blob, change.mode))
        )
        return FileDifference(path, path or change.path, old, new)

    def _brought(self, listing: Mapping[str, Entry], *, widely: bool) -> Edits:
        """Return the test side of the fix as it was proven, laid over a branch.

        A conftest.py of the branch's own stays, until its guards are found not to run with it.
        """
        home = self.home
        paths = set(self.guards)
        folders = {folder for path in paths for folder in _folders(path)}
        for _, _, found in self.steps:
            paths |= {change.path for change in found if _is_brought(home, change.path)}
        for folder in folders:
            for name in ("conftest.py", "__init__.py"):
                path = posixpath.join(folder, name)
                if home.side(path) is Side.TEST and (
                    path not in listing or (widely and name == "conftest.py")
                ):
                    paths.add(path)
        if widely:
            nearest = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[0]}
            beside = [
                path
                for path, entry in home.listing.items()
                if any(path.startswith(f"{folder}/") for folder in nearest)
                and listing.get(path) != entry
                and not home.layout.tree.is_test_module(path)
            ]
            paths |= {path for path in beside[:MOST_BROUGHT] if _is_brought(home, path)}
        entries = {path: home.listing[path] for path in sorted(paths) if path in home.listing}
        return {
            path: (entry.mode, self.pool.repo.blob(entry.sha))
            for path, entry in entries.items()
            if entry.mode != "160000"
        }

    def _from_top(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.surveyor.rootdir, path))


def _turned(change: Change) -> Change:
    """Return the change that undoes a change: taking that out puts the change in."""
    if change.status == "A":
        return Change("D", change.path, change.path, change.mode, None, change.blob, None)
    old_path = change.old_path or change.path
    if change.status == "D":
        return Change("A", None, old_path, None, change.old_mode, None, change.old_blob)
    return Change(
        change.status, change.path, old_path, change.mode, change.old_mode, change.blob, change.old_blob
    )


def _folders(path: str) -> list[str]:
    """Return the folders above a path, the top ("") last."""
    found = []
    while path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found


def _is_brought(home: TreeSides, path: str) -> bool:
    """Say whether a file belongs to the tests: pytest's settings and the conftest.py files are the branch's."""
    name = path.rpartition("/")[2]
    return path != home.layout.inifile and name != "conftest.py" and home.side(path) is Side.TEST
