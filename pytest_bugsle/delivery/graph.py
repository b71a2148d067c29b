"""The commits of a repository as numbers, and what contains what.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable

NONE = -1
_SHORTEST = 4


class Graph:
    """Commits by number: names, parents, and times in seconds since the epoch.

    `parents` has a tuple of numbers a commit; a parent that was not read is left out. About 400 bytes a
    commit: arrays where a number is one of a column, no object a commit.
    """

    __slots__ = ("_sorted", "author_times", "bots", "commit_times", "index", "parents", "shas")

    def __init__(
        self,
        shas: list[str],
        parents: Iterable[str],
        author_times: array[int],
        commit_times: array[int],
        bots: bytearray | None = None,
    ) -> None:
        """Take the commits in their order; `parents` has the names of each one's parents, by a space."""
        self.shas = shas
        self.index = index = dict(zip(shas, range(len(shas)), strict=True))
        self.author_times = author_times
        self.commit_times = commit_times
        self.bots = bytearray(len(shas)) if bots is None else bots
        # A name of one parent is found at once; several, or one that was not read, are split first.
        self.parents: list[tuple[int, ...]] = [
            (index[names],)
            if names in index
            else tuple([index[name] for name in names.split() if name in index])
            for names in parents
        ]
        self._sorted: list[str] | None = None

    def __len__(self) -> int:
        return len(self.shas)

    def find(self, prefix: str) -> int | None:
        """Return the commit whose name begins so; None where none or several do, or below four digits."""
        prefix = prefix.lower()
        found = self.index.get(prefix)
        if found is not None or len(prefix) < _SHORTEST:
            return found
        if self._sorted is None:
            self._sorted = sorted(self.shas)
        place = bisect_left(self._sorted, prefix)
        matching = [sha for sha in self._sorted[place : place + 2] if sha.startswith(prefix)]
        return self.index[matching[0]] if len(matching) == 1 else None

    def label(self, tips: Iterable[int]) -> array[int]:
        """Return for each commit the place of the first tip that contains it, -1 where none does.

        The ancestors of an earlier tip are labelled already, so that a walk stops there: every edge is
        seen once, however many tips there are. Times play no part: a child may be older than its parent.
        """
        labels = [NONE] * len(self.shas)
        parents = self.parents
        for place, tip in enumerate(tips):
            waiting = [tip]
            while waiting:
                commit = waiting.pop()
                while labels[commit] < 0:
                    labels[commit] = place
                    above = parents[commit]
                    if not above:
                        break
                    if len(above) > 1:
                        waiting += above[1:]
                    commit = above[0]
        return array("i", labels)

    def mainline(self, head: int) -> list[int]:
        """Return the first-parent chain of a commit, the oldest first."""
        chain = [head]
        while above := self.parents[chain[-1]]:
            chain.append(above[0])
        chain.reverse()
        return chain

    def is_merge(self, commit: int) -> bool:
        """Say whether a commit has more than one parent."""
        return len(self.parents[commit]) > 1
