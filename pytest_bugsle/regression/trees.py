"""Lay out the experiment of one fix: its before tree, and what differs there.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_bugsle.code.imports import import_roots, module_name, owned_modules
from pytest_bugsle.code.names import added_names, added_top_level, changed_signatures
from pytest_bugsle.code.statements import Statement, changed_statements
from pytest_bugsle.git.diff import changes, line_changes, only_deleted
from pytest_bugsle.git.merge import merge_file
from pytest_bugsle.regression.before import Conflict, take_out
from pytest_bugsle.regression.proof import Added
from pytest_bugsle.regression.runs import Ground
from pytest_bugsle.regression.sides import Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.regression.before import Edits
    from pytest_bugsle.regression.gather import Surveyor, TreeSides

__all__ = ["Conflict", "Difference", "FileDifference", "lay_out"]

Step = tuple[str, str, "tuple[Change, ...]"]


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One source file on both sides; None where it is absent."""

    before_path: str | None
    after_path: str | None
    before: bytes | None
    after: bytes | None
    before_mode: str = "100644"


@dataclass(frozen=True)
class Difference:
    """The two trees of an experiment and the files in which they differ."""

    before: str
    after: str
    commit: str | None
    files: tuple[FileDifference, ...]
    sides: TreeSides
    before_listing: tuple[str, ...]
    pythonpath: tuple[str, ...]

    @cached_property
    def changed(self) -> frozenset[str]:
        """Return the paths that the fix changes, on either side."""
        return frozenset(p for f in self.files for p in (f.before_path, f.after_path) if p is not None)

    @cached_property
    def statements(self) -> tuple[tuple[str, str, Statement], ...]:
        """Return the changed statements: (side, path, statement).

        A statement that is only deleted is looked for on the before side; one that is replaced is
        represented by what replaces it.
        """
        found: list[tuple[str, str, Statement]] = []
        for file in self.files:
            if file.after_path is not None and file.after_path.endswith(".py"):
                old, new = file.before or b"", file.after or b""
                deleted, added = line_changes(old, new)
                changed = changed_statements(old, new, deleted, added)
                found += [("after", file.after_path, statement) for statement in changed.added]
                if file.before_path is not None:
                    gone = only_deleted(len(old.splitlines()), deleted, added)
                    found += [
                        ("before", file.before_path, statement)
                        for statement in changed.deleted
                        if not gone.isdisjoint(range(statement.first_line, statement.last_line + 1))
                    ]
            elif file.before_path is not None and file.before_path.endswith(".py"):
                whole = changed_statements(
                    file.before or b"", b"", _all_lines(file.before or b""), frozenset()
                )
                found += [("before", file.before_path, statement) for statement in whole.deleted]
        return tuple(found)

    def wanted(self, side: str) -> dict[str, tuple[int, ...]]:
        """Return the lines to measure on one side, by path."""
        lines: dict[str, set[int]] = {}
        for at, path, statement in self.statements:
            if at == side:
                lines.setdefault(path, set()).update(statement.measured_lines)
        return {path: tuple(sorted(numbers)) for path, numbers in lines.items()}

    @cached_property
    def added(self) -> Added:
        """Return the names, signatures and modules that the fix adds."""
        names: set[str] = set()
        parameters: set[str] = set()
        signatures: set[str] = set()
        modules: set[str] = set()
        for file in self.files:
            found = added_names(file.before, file.after)
            names |= found.attributes
            parameters |= found.parameters
            for name in changed_signatures(file.before, file.after):
                signatures |= {name, name.rpartition(".")[2]}
            if file.before_path is None and file.after_path is not None:
                modules |= set(self.dotted(file.after_path, tuple(self.sides.listing)))
        return Added(
            frozenset(names), frozenset(parameters), frozenset(signatures), frozenset(modules), self.changed
        )

    def dotted(self, path: str, listing: Sequence[str]) -> tuple[str, ...]:
        """Return the dotted name by which a path is imported; empty where it is no module."""
        found = module_name(path, listing, self.roots)
        return (found[1],) if found else ()

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Return the folders to put on `sys.path`."""
        changed = sorted(path for path in self.changed if path in self.sides.listing)
        source = [path for path in self.sides.listing if path.endswith("/__init__.py")]
        packages = [path for path in source if self.sides.side(path) is Side.SOURCE]
        return import_roots(tuple(self.sides.listing), [*changed, *packages], self.pythonpath) or (".",)

    def ground(self, side: str) -> Ground:
        """Return what a run on this side has to know."""
        listing = tuple(self.sides.listing)
        here, there = (listing, self.before_listing) if side == "after" else (self.before_listing, listing)
        absent: set[str] = set()
        for file in self.files:
            path, other = (
                (file.after_path, file.before_path)
                if side == "after"
                else (file.before_path, file.after_path)
            )
            if path is None and other is not None:
                absent |= set(self.dotted(other, there))
        # A package may take the place of a module of the same name: what this side has is not absent.
        absent -= {name for path in self.changed if path in here for name in self.dotted(path, here)}
        missing: dict[str, tuple[str, ...]] = {}
        if side == "before":
            for file in self.files:
                if file.before_path is None or file.after_path is None:
                    continue
                for name in self.dotted(file.before_path, here):
                    missing[name] = added_top_level(file.before, file.after)
        both = tuple(dict.fromkeys((*listing, *self.before_listing)))
        return Ground(
            tree=self.after if side == "after" else self.before,
            commit=self.commit,
            changed=tuple(sorted(self.changed)),
            import_roots=self.roots,
            owned=owned_modules(both, self.roots, tuple(sorted(self.changed))),
            absent=tuple(sorted(absent)),
            missing_names={name: names for name, names in missing.items() if names},
            wanted=self.wanted(side),
        )


def lay_out(
    surveyor: Surveyor, pool: Pool, steps: Sequence[Step], tree: str, commit: str | None
) -> Difference | None:
    """Return the experiment that takes `steps` (newest first) out of `tree`.

    None where the tree has already lost the fix. Raises Conflict where it cannot be taken out alone.
    """
    sides = surveyor.ground(tree, pool.repo)
    repo = pool.repo
    source = [(old, new, sides.source(found)) for old, new, found in steps]
    missing = any(c.path not in sides.listing for _, _, found in source for c in found if c.status != "D")
    moved: dict[str, str] = {}
    if missing and steps:
        renames = changes(repo, steps[0][1], tree)
        moved = {c.old_path: c.path for c in renames if c.status == "R" and c.old_path is not None}
    edits = take_out(
        sides.listing,
        [found for _, _, found in source],
        moved=moved,
        blob=repo.blob,
        merge=lambda current, base, other: merge_file(repo, current, base, other),
    )
    if not edits:
        return None
    before = pool.write_tree(tree, edits)
    listing = [path for path in sides.listing if edits.get(path, "kept") is not None]
    listing += [path for path, content in edits.items() if content is not None and path not in sides.listing]
    return Difference(
        before=before,
        after=tree,
        commit=commit,
        files=tuple(_files(edits, sides, (c for _, _, found in source for c in found))),
        sides=sides,
        before_listing=tuple(listing),
        pythonpath=tuple(_from_top(surveyor.rootdir, path) for path in surveyor.configuration.pythonpath),
    )


def _files(edits: Edits, sides: TreeSides, found: Iterable[Change]) -> Iterable[FileDifference]:
    renamed = {c.old_path: c.path for c in found if c.status == "R" and c.old_path is not None}
    paired = {
        new: old for old, new in renamed.items() if edits.get(old) is not None and edits.get(new, "") is None
    }
    for path, content in edits.items():
        entry = sides.listing.get(path)
        after = sides.repo.blob(entry.sha) if entry is not None and entry.mode != "160000" else None
        if path in paired:
            old = edits[paired[path]]
            yield FileDifference(paired[path], path, old[1] if old else None, after, old[0] if old else "")
        elif path not in paired.values():
            yield FileDifference(
                path if content is not None else None,
                path if after is not None else None,
                content[1] if content is not None else None,
                after,
                content[0] if content is not None else "",
            )


def _all_lines(source: bytes) -> frozenset[int]:
    return frozenset(range(1, len(source.splitlines()) + 1))


def _from_top(rootdir: str, path: str) -> str:
    import posixpath

    return posixpath.normpath(path if rootdir == "." else f"{rootdir}/{path}")
