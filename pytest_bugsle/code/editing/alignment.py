"""Find what two sequences have in common, in order and without quadratic cost.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

_LARGEST_GAP = 40_000
"""Pairs; `SequenceMatcher` may need the cube of a length where items repeat."""

_LARGEST_TABLE = 4_000
"""Pairs whose likeness is asked for."""

Pair = tuple[int, int]
Gap = tuple[range, range]
_T = TypeVar("_T")


def aligned(olds: Sequence[Hashable], news: Sequence[Hashable]) -> list[Pair]:
    """Pair equal items by their indexes, in order."""
    shorter = min(len(olds), len(news))
    start = 0
    while start < shorter and olds[start] == news[start]:
        start += 1
    end = 0
    while end < shorter - start and olds[-1 - end] == news[-1 - end]:
        end += 1
    ours, theirs = range(start, len(olds) - end), range(start, len(news) - end)
    pairs = [(n, n) for n in range(start)]
    pairs += [(len(olds) - n, len(news) - n) for n in range(end, 0, -1)]
    if len(ours) * len(theirs) > _LARGEST_GAP:
        pairs += _rising(olds, news, ours, theirs)
    elif ours and theirs:
        matcher = SequenceMatcher(None, [olds[i] for i in ours], [news[j] for j in theirs], autojunk=False)
        for block in matcher.get_matching_blocks():
            pairs += [(ours[block.a + n], theirs[block.b + n]) for n in range(block.size)]
    return sorted(pairs)


def gaps(pairs: Sequence[Pair], olds: range, news: range) -> Iterator[Gap]:
    """Give the stretches between pairs that rise, before the first and after the last, empty ones too."""
    i, j = olds.start, news.start
    for old, new in pairs:
        yield range(i, old), range(j, new)
        i, j = old + 1, new + 1
    yield range(i, olds.stop), range(j, news.stop)


def _rising(olds: Sequence[Hashable], news: Sequence[Hashable], ours: range, theirs: range) -> list[Pair]:
    """Pair the first with the first of what is equal, the second with the second, and so on.

    Kept are as many pairs as stand in the same order on both sides: the longest rising run.
    """
    where = {numbered: i for i, numbered in zip(ours, _numbered(olds, ours), strict=True)}
    found = [
        (where[numbered], j)
        for j, numbered in zip(theirs, _numbered(news, theirs), strict=True)
        if numbered in where
    ]
    lows: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (i, _) in enumerate(found):
        at = bisect_left(lows, i)
        before.append(ends[at - 1] if at else -1)
        lows[at : at + 1], ends[at : at + 1] = [i], [number]
    run: list[Pair] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        run.append(found[number])
        number = before[number]
    return run[::-1]


def _numbered(items: Sequence[Hashable], places: range) -> Iterator[tuple[Hashable, int]]:
    seen: Counter[Hashable] = Counter()
    for place in places:
        seen[items[place]] += 1
        yield items[place], seen[items[place]]


def likeliest(olds: Sequence[_T], news: Sequence[_T], likeness: Callable[[_T, _T], float]) -> list[Pair]:
    """Pair items in order so that the sum of their likenesses is greatest; 0 keeps two apart."""
    width = len(news)
    if not olds or not width or len(olds) * width > _LARGEST_TABLE:
        return []
    like = [[likeness(old, new) for new in news] for old in olds]
    best = [[0.0] * (width + 1) for _ in range(len(olds) + 1)]
    for i in reversed(range(len(olds))):
        for j in reversed(range(width)):
            together = best[i + 1][j + 1] + like[i][j] if like[i][j] > 0 else 0.0
            best[i][j] = max(together, best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(olds) and j < width:
        if like[i][j] > 0 and best[i][j] == best[i + 1][j + 1] + like[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def shared(ours: Counter[bytes], theirs: Counter[bytes]) -> float:
    """Say which share of their words two texts have in common, from 0 to 1 (Dice, Sørensen)."""
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 0.0
