"""What was found last of each commit of a fix, for whoever asks about the commit and not about a run.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_bugsle.store.cache import Cache

_ROOM = "audit-by-commit"
_HELD, _UNHELD = b"held", b"unheld"


def keep(cache: Cache, commits: Iterable[str], *, held: bool) -> None:
    """Keep of the commits of one fix (full names) whether a test holds it."""
    for commit in commits:
        cache.put(_ROOM, commit, _HELD if held else _UNHELD)


def held_commits(cache: Cache) -> dict[str, bool]:
    """Return of each commit whether a test holds its fix, as it was found last. Undecided ones are left out."""
    return {commit: value == _HELD for commit, value in cache.all_of(_ROOM).items()}
