"""Put changes of a text back, alone and together, and see that what comes out is sound.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Sequence

from pytest_bugsle.code.editing.drafting import Draft
from pytest_bugsle.code.editing.layout import Layout, Range, Span
from pytest_bugsle.code.syntax import shape

_AFFORDED = 2_000_000
"""Bytes compiled to see the changes of one statement stand alone; the half of a second."""

_NEAREST = 8

_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


def spliced(text: bytes, spans: Iterable[tuple[Span, int]]) -> bytes:
    """Replace spans of a text, each with its rank among those at the same place."""
    pieces: list[bytes] = []
    at = 0
    for (start, end, piece), _ in sorted(spans, key=lambda item: (item[0][0], item[0][1], item[1])):
        pieces += [text[at:start], piece]
        at = end
    return b"".join([*pieces, text[at:]])


class Region:
    """A stretch of the new text that can be parsed by itself, and the old one that it came from."""

    def __init__(
        self,
        old: Layout,
        before: Range,
        new: Layout,
        after: Range,
        frame: tuple[bytes, bytes] | None = None,
        *,
        fields: bool = False,
        doubtful: bool = False,
    ) -> None:
        self._code = new.code
        self._after = after
        self._frame = frame or _ground(new, after, fields)
        head, tail = frame or _ground(old, before, fields)
        text = head + old.text(before) + tail
        self._wanted = _shape(text)
        self._compiles = _compiles(text) and _compiles(self._text(()))
        self._unchanged = _shape(self._text(())) if doubtful else None  # a draft may do nothing alone

    def _text(self, drafts: Iterable[Draft]) -> bytes:
        start, end = self._after
        spans = [
            ((a - start, b - start, piece), rank)
            for draft in drafts
            for (a, b, piece), rank in zip(draft.spans, draft.ranks, strict=True)
        ]
        return self._frame[0] + spliced(self._code[start:end], spans) + self._frame[1]

    def restored(self, drafts: Iterable[Draft]) -> bool:
        """Say whether the drafts together give the old code."""
        return self._wanted is not None and _shape(self._text(drafts)) == self._wanted

    def stands(self, draft: Draft) -> bool:
        """Say whether a draft can be put back alone."""
        if draft.sure:
            return True
        text = self._text((draft,))
        if self._unchanged is not None and _shape(text) == self._unchanged:
            return False
        return _compiles(text) if self._compiles else _parsed(text) is not None

    def standing(self, drafts: Sequence[Draft]) -> list[Draft] | None:
        """Join what cannot stand alone with as little as makes it stand; None if all do not give the old code."""
        if not self.restored(drafts):
            return None
        waiting = self._afforded(sorted(drafts, key=lambda draft: draft.spans[0]))
        number = 0
        while number < len(waiting):
            if self.stands(waiting[number]):
                number += 1
                continue
            group = self._grown(waiting, number)
            if group is None:
                return None
            joined = _joined(waiting[n] for n in sorted(group))
            waiting = [draft for n, draft in enumerate(waiting) if n not in group]
            number = min(group)
            waiting.insert(number, joined)
            number += 1
        return waiting

    def _afforded(self, drafts: Sequence[Draft]) -> list[Draft]:
        unsure = [draft for draft in drafts if not draft.sure]
        step = 1 + len(unsure) * (self._after[1] - self._after[0]) // _AFFORDED
        joined = [_joined(unsure[start : start + step]) for start in range(0, len(unsure), step)]
        return sorted([*joined, *(draft for draft in drafts if draft.sure)], key=lambda draft: draft.spans[0])

    def _grown(self, drafts: list[Draft], number: int) -> set[int] | None:
        """Find the nearest other draft, or else the smallest stretch, with which one can be put back."""
        others = sorted(set(range(len(drafts))) - {number}, key=lambda n: abs(n - number))
        for other in others[:_NEAREST]:
            if self.stands(drafts[min(number, other)].joined(drafts[max(number, other)])):
                return {number, other}
        reach = 1
        while reach < 2 * len(drafts):
            group = set(range(max(number - reach, 0), min(number + reach + 1, len(drafts))))
            if self.stands(_joined(drafts[n] for n in sorted(group))):
                return group
            reach *= 2
        return None


def _joined(drafts: Iterable[Draft]) -> Draft:
    first, *rest = drafts
    for draft in rest:
        first = first.joined(draft)
    return first


def _ground(layout: Layout, place: Range, fields: bool) -> tuple[bytes, bytes]:
    """Give what an indented region stands in: a block, or a class that reads annotations as fields."""
    indent = layout.indent(place[0])
    head = b"@_\nclass _:\n" if fields else b"if _:\n"
    return (head + indent if indent else b""), b""


def _parsed(text: bytes) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.decode(errors="replace"))
    except _ERRORS:
        return None


def _shape(text: bytes) -> str | None:
    tree = _parsed(text)
    return None if tree is None else shape(tree)


def _compiles(text: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text.decode(errors="replace"), "<edit>", "exec", dont_inherit=True, optimize=0)
    except _ERRORS:
        return False
    return True
