"""Say which files differ between two trees, and which lines between two texts.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

# One limit for every git and every user: the default grew from 400 to 1,000 in 2.34.
DIFF_OPTIONS = ("-r", "-z", "-M", "-l1000", "--raw", "--no-abbrev", "--ignore-submodules=none")
# Two blocks without a line that is unique in both are aligned only up to this product of lengths:
# the alignment is quadratic.
_LARGEST_ALIGNMENT = 1_000_000


class Change(msgspec.Struct, frozen=True):
    """One file that differs: A(dded), M(odified), D(eleted), R(enamed) or T(ype changed)."""

    status: str
    old_path: str | None
    path: str
    old_mode: str | None
    mode: str | None
    old_blob: str | None
    blob: str | None


def changes(repo: Repository, old: str, new: str) -> tuple[Change, ...]:
    """Give the files that differ between two trees or commits; renames are followed."""
    out = repo.run("diff-tree", *DIFF_OPTIONS, "--end-of-options", old, new)
    return tuple(change for _, change in parse_raw(out))


def parse_raw(out: bytes) -> Iterator[tuple[str, Change]]:
    """Read `git diff-tree -z --raw`; with `--stdin`, each change comes with the commit named before it."""
    fields = iter(out.split(b"\0"))
    commit = ""
    for field in fields:
        if not field:
            continue
        if not field.startswith(b":"):
            commit = field.decode("ascii")
            continue
        old_mode, mode, old_blob, blob, score = field[1:].decode("ascii").split(" ")
        status = score[0]
        first = os.fsdecode(next(fields))
        path = os.fsdecode(next(fields)) if status in "RC" else first
        added, deleted = status in "AC", status == "D"
        yield (
            commit,
            Change(
                "A" if added else status,
                None if added else first,
                path,
                None if added else old_mode,
                None if deleted else mode,
                None if added else old_blob,
                None if deleted else blob,
            ),
        )


def line_changes(old: bytes, new: bytes) -> tuple[frozenset[int], frozenset[int]]:
    """Give the numbers of the lines deleted from `old` and of those added in `new`, from 1."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    deleted: set[int] = set()
    added: set[int] = set()
    blocks = [(0, len(before), 0, len(after))]
    while blocks:
        low, high, start, stop = blocks.pop()
        while low < high and start < stop and before[low] == after[start]:
            low, start = low + 1, start + 1
        while low < high and start < stop and before[high - 1] == after[stop - 1]:
            high, stop = high - 1, stop - 1
        if low < high and start < stop:
            anchors = _anchors(before, low, high, after, start, stop)
            if anchors:
                for x, y in anchors:
                    blocks.append((low, x, start, y))
                    low, start = x + 1, y + 1
                blocks.append((low, high, start, stop))
                continue
            if (high - low) * (stop - start) <= _LARGEST_ALIGNMENT:
                matcher = SequenceMatcher(None, before[low:high], after[start:stop], autojunk=False)
                for tag, i1, i2, j1, j2 in matcher.get_opcodes():
                    if tag != "equal":
                        deleted.update(range(low + i1 + 1, low + i2 + 1))
                        added.update(range(start + j1 + 1, start + j2 + 1))
                continue
        deleted.update(range(low + 1, high + 1))
        added.update(range(start + 1, stop + 1))
    return frozenset(deleted), frozenset(added)


def only_deleted(last: int, deleted: frozenset[int], added: frozenset[int]) -> frozenset[int]:
    """Give the deleted lines in whose place nothing was added; `last` is the number of the old text's last line."""
    gone: set[int] = set()
    here, there = 1, 1
    while here <= last:
        block = []
        while here in deleted:
            block.append(here)
            here += 1
        replaced = there in added
        while there in added:
            there += 1
        if not replaced:
            gone.update(block)
        here, there = here + 1, there + 1
    return frozenset(gone)


def _anchors(
    before: list[bytes], low: int, high: int, after: list[bytes], start: int, stop: int
) -> list[tuple[int, int]]:
    """Pair the lines that are unique in both blocks, in the longest order that both have (patience)."""
    counts_before, counts_after = Counter(before[low:high]), Counter(after[start:stop])
    place = {after[y]: y for y in range(start, stop) if counts_after[after[y]] == 1}
    pairs = [
        (x, place[before[x]])
        for x in range(low, high)
        if counts_before[before[x]] == 1 and before[x] in place
    ]
    ends: list[int] = []
    tails: list[int] = []
    previous: list[int] = []
    for index, (_, y) in enumerate(pairs):
        rank = bisect_left(ends, y)
        if rank == len(ends):
            ends.append(y)
            tails.append(index)
        else:
            ends[rank], tails[rank] = y, index
        previous.append(tails[rank - 1] if rank else -1)
    chain: list[tuple[int, int]] = []
    index = tails[-1] if tails else -1
    while index >= 0:
        chain.append(pairs[index])
        index = previous[index]
    return chain[::-1]
