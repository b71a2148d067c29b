"""Take a fix out of a tree: what each source file held before it.  PYTEST_DONT_REWRITE

Pure: blobs, and git's three-way merge of one file, come in as callables. Where the fix was the
last to touch a file, the file's old blob is put back. Where it was changed again since, the fix's
own change is merged out. The commits of one fix are taken out newest first: the other order
conflicts with itself, and taking them out as one also undoes what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.repository import Entry

SUBMODULE = "160000"
SYMLINK = "120000"
Edits = dict[str, tuple[str, bytes] | None]


class Conflict(Exception):
    """The fix cannot be taken out of this tree alone; the text says where and why."""


@dataclass(slots=True)
class _Overlay:
    """A tree with edits on top of it."""

    listing: Mapping[str, Entry]
    blob: Callable[[str], bytes]
    edits: Edits = field(default_factory=dict)

    def get(self, path: str) -> tuple[str, bytes] | None:
        if path in self.edits:
            return self.edits[path]
        entry = self.listing.get(path)
        if entry is None or entry.mode == SUBMODULE:
            return None
        return entry.mode, self.blob(entry.sha)


def take_out(
    listing: Mapping[str, Entry],
    commits: Iterable[Iterable[Change]],
    *,
    moved: Mapping[str, str],
    blob: Callable[[str], bytes],
    merge: Callable[[bytes, bytes, bytes], bytes | None],
) -> Edits:
    """Return the edits that undo the source-side `commits` (newest first) in a tree.

    `moved` maps a path at the fix to its path in the tree, where the file was renamed since.
    `merge(current, base, other)` is a three-way merge, None on conflict. An empty result says
    that the tree has already lost the fix. Raises Conflict.
    """
    tree = _Overlay(listing, blob)
    for changes in commits:
        for change in changes:
            if SUBMODULE in (change.old_mode, change.mode):
                raise Conflict(f"{change.path} is a submodule, which cannot be put back in a copy")
            _undo(change, tree, moved, blob, merge)
    return {path: content for path, content in tree.edits.items() if _differs(path, content, listing, blob)}


def _differs(
    path: str,
    content: tuple[str, bytes] | None,
    listing: Mapping[str, Entry],
    blob: Callable[[str], bytes],
) -> bool:
    entry = listing.get(path)
    if entry is None or content is None:
        return (entry is None) != (content is None)
    return (entry.mode, blob(entry.sha)) != content


def _undo(
    change: Change,
    tree: _Overlay,
    moved: Mapping[str, str],
    blob: Callable[[str], bytes],
    merge: Callable[[bytes, bytes, bytes], bytes | None],
) -> None:
    path = moved.get(change.path, change.path)
    current = tree.get(path)
    if change.status == "D":
        assert change.old_blob is not None and change.old_mode is not None
        old = (change.old_mode, blob(change.old_blob))
        if current is not None and current != old:
            raise Conflict(f"{path} was deleted by the fix and written anew since")
        tree.edits[path] = old
        return
    if current is None:
        return  # the code that the fix changed is gone: nothing is left to put back
    assert change.blob is not None
    new_content = blob(change.blob)
    if change.status == "A":
        if current[1] != new_content:
            raise Conflict(f"{path} was added by the fix and changed since")
        tree.edits[path] = None
        return
    assert change.old_blob is not None and change.old_mode is not None
    old_content = blob(change.old_blob)
    mode = change.old_mode if current[0] == change.mode else current[0]
    content = _merged(path, current, new_content, old_content, merge)
    if change.status == "R" and change.old_path is not None and change.old_path != change.path:
        if path != change.path:
            raise Conflict(f"{change.path} was renamed by the fix and again since, to {path}")
        if tree.get(change.old_path) is not None:
            raise Conflict(f"{change.old_path} was renamed by the fix and written anew since")
        tree.edits[path] = None
        tree.edits[change.old_path] = (mode, content)
        return
    tree.edits[path] = (mode, content)


def _merged(
    path: str,
    current: tuple[str, bytes],
    new: bytes,
    old: bytes,
    merge: Callable[[bytes, bytes, bytes], bytes | None],
) -> bytes:
    if current[1] == new:
        return old
    if current[1] == old:
        return old
    merged = merge(current[1], new, old) if current[0] != SYMLINK else None
    if merged is None:
        raise Conflict(f"{path} was changed again where the fix changed it")
    return merged
