"""Merge three versions of a file.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_bugsle.git.command import nameless

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

_MOST_CONFLICTS = 127  # git counts no further; above stand its errors
_BINARY_WITHIN = 8000  # where git looks for a NUL


def merge_file(repo: Repository, current: bytes, base: bytes, other: bytes) -> bytes | None:
    """Carry the change base -> other over to `current`; None on a conflict or for binary content.

    `git merge-file` reads no attributes, so that `merge=union` cannot make a wrong merge clean.
    """
    if other in (base, current):
        return current
    if current == base:
        return other
    versions = (current, base, other)
    if any(b"\0" in content[:_BINARY_WITHIN] for content in versions):
        return None
    with nameless(*versions) as (paths, handles):
        code, merged = repo.call(
            "merge-file", "--stdout", "--quiet", *paths, ok=range(_MOST_CONFLICTS + 1), handles=handles
        )
    return merged if code == 0 else None
