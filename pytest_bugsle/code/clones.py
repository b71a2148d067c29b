"""Find code that is like what a fix changed, as it was before the fix.  PYTEST_DONT_REWRITE

The asymmetry is that of ReDeBug (Jang, Agrawal, Brumley, 2012): what was removed and what surrounded it is
searched, and what was added must not stand there yet. Lines are compared by their shape first, in which
names and literals are alike, and then name by name: one name for another, always the same.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pytest_bugsle.code.tokens import KEYWORDS, LogicalLine, is_name, shape, words
from pytest_bugsle.code.windows import LOCAL, WORTH, Text, Window, roles, weight

_SLACK = 2
"""Lines that a copy may have between those of the window."""
_FAR = 500
"""Lines in which the fix is looked for, so that no function is too long."""
_FEWEST_LINES = 3
_FEWEST_TOKENS = 15
_SURE = 0.75
"""The confidence of a long window of which all agrees."""
_HALF = 12.0
"""Weight of agreeing tokens at which half of that is reached."""
_ADDED_ONLY = 0.9
"""The share of it that is left where the fix only added: no token then shows that the bug is there."""
_OTHER_CALL = 0.5
"""The share that is left where the changed line calls something else."""
_NO_FUNCTION = 0.6
"""The share that is left in a class or a module: lists of settings are alike and mean different things."""

_FIXED = frozenset({"attribute", "called", "global", "keyword", "literal", "builtin"})
_TESTS = frozenset({"if", "elif", "while", "assert"})
_CONDITIONS = _TESTS | {"for", "return"}
# A condition and its opposite guard the same.
_ALIKE = {"<": "order", ">": "order", "<=": "order", ">=": "order", "==": "equal", "!=": "equal", "in": "in"}


@dataclass(frozen=True, slots=True)
class Match:
    """A place that is like a window: its line at the change, how many lines match, and which names differ."""

    place: int
    lines: int
    renamed: dict[str, str]
    confidence: float


def candidates(window: Window, shapes: array[int] | Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Give (how many lines of the window are near, position, anchor) for each place with an anchor's shape."""
    present = window.shapes
    for anchor in window.anchors:
        at, wanted = -1, present[anchor]
        before, after = set(present[:anchor]), set(present[anchor + 1 :])
        while True:
            try:
                at = shapes.index(wanted, at + 1)
            except ValueError:
                break
            above = before.intersection(shapes[max(at - anchor - _SLACK, 0) : at])
            below = after.intersection(shapes[at + 1 : at + len(present) - anchor + _SLACK])
            yield 1 + len(above) + len(below), at, anchor


def compare(window: Window, text: Text, position: int, anchor: int) -> Match | None:
    """Say how alike a place is to the window, or None where it is not, or has the fix already.

    The confidence grows with the weight of what agrees, and falls with the share of the lines there that
    are at odds and with the share of the window that is not there at all.
    """
    span = text.span(position)
    pairs = dict(_aligned(window, text, position, anchor, span))
    needed = window.focus or window.anchors
    if sum(at not in pairs for at in needed) * 4 > len(needed):
        return None
    lines = [
        (window.lines[at].tokens, text.lines[there].tokens, window.focus.get(at, frozenset()))
        for at, there in pairs.items()
    ]
    matched = sum(weight(window.lines[at]) for at in pairs)
    if matched <= 0 or (
        len(pairs) < _FEWEST_LINES and sum(len(ours) for ours, _, _ in lines) < _FEWEST_TOKENS
    ):
        return None
    names = _Names(lines)
    if not all(names.same(*line) for line in lines):
        return None
    after = [there for at, there in sorted(pairs.items()) if at >= window.change]
    place = after[0] if after else max(pairs.values())
    around = range(max(span.start, position - _FAR), min(span.stop, position + _FAR))
    in_time = place if after else place + 1 + _SLACK
    if not window.focus and _has_added(window, names, text, around, in_time):
        return None
    gain = max(sum(names.agree(ours, theirs) for ours, theirs, _ in lines), 0.0)
    share = matched / sum(map(weight, window.lines))
    confidence = _SURE * (1 - 2 ** (-gain / _HALF)) * (gain / matched) ** 2 * share**2
    if not window.focus:
        confidence *= _ADDED_ONLY
    if any(focus and not names.same(ours, theirs, _calls(ours)) for ours, theirs, focus in lines):
        confidence *= _OTHER_CALL
    if not window.function:
        confidence *= _NO_FUNCTION
    return Match(place, len(pairs), names.renamed(), confidence)


def _calls(tokens: Sequence[str]) -> list[int]:
    return [at for at, role in enumerate(roles(tokens)) if role == "called"]


def _aligned(
    window: Window, text: Text, position: int, anchor: int, span: range
) -> Iterator[tuple[int, int]]:
    """Pair the lines of the window with those around a position, in order, by shape."""
    yield anchor, position
    above = max(position - anchor - _SLACK, span.start)
    ours, theirs = window.shapes[:anchor], text.shapes[above:position]
    for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        yield from ((block.a + step, above + block.b + step) for step in range(block.size))
    ours = window.shapes[anchor + 1 :]
    theirs = text.shapes[position + 1 : min(position + 1 + len(ours) + _SLACK, span.stop)]
    for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        yield from (
            (anchor + 1 + block.a + step, position + 1 + block.b + step) for step in range(block.size)
        )


class _Names:
    """Which name of the copy stands for which of the window: one for one, by the most votes."""

    def __init__(self, lines: Iterable[tuple[Sequence[str], Sequence[str], Collection[int]]]) -> None:
        """Take pairs of lines; the tokens that the fix changed have no vote: they are what is asked."""
        votes: Counter[tuple[bool, str, str]] = Counter()
        for ours, theirs, focus in lines:
            for at, (role, old, now) in enumerate(zip(roles(ours), ours, theirs, strict=True)):
                if at not in focus and is_name(old):
                    votes[role in LOCAL, old, now] += 1
        self.there: dict[tuple[bool, str], str] = {}
        self.here: dict[tuple[bool, str], str] = {}
        for local, old, now in sorted(votes, key=lambda vote: (-votes[vote], vote)):
            if (local, old) not in self.there and (local, now) not in self.here:
                self.there[local, old], self.here[local, now] = now, old

    def _stands_for(self, local: bool, old: str, now: str) -> bool:
        if (local, old) in self.there or (local, now) in self.here:
            return self.there.get((local, old)) == now
        return True

    def agree(self, ours: Sequence[str], theirs: Sequence[str]) -> float:
        """Give the weight of the tokens that agree, less that of those at odds with the others."""
        gain = 0.0
        for role, old, now in zip(roles(ours), ours, theirs, strict=True):
            same, renamed = WORTH[role]
            at_odds = is_name(old) and not self._stands_for(role in LOCAL, old, now)
            gain += -same if at_odds else same if old == now else renamed
        return gain

    def same(self, ours: Sequence[str], theirs: Sequence[str], focus: Collection[int]) -> bool:
        """Say whether the copy has the old form where the fix changed it."""
        return all(
            old == now if role in _FIXED else role not in LOCAL or self._stands_for(True, old, now)
            for at, (role, old, now) in enumerate(zip(roles(ours), ours, theirs, strict=True))
            if at in focus
        )

    def stands(self, line: LogicalLine, there: LogicalLine) -> bool:
        """Say whether a line of the fix, of the same shape, stands in the copy in the names of the copy.

        A lock by any name is one.
        """
        fixed = _FIXED - {"attribute"} if "with" in line.tokens[:2] else _FIXED
        return all(
            self.there.get((role in LOCAL, ours), ours if role in fixed else theirs) == theirs
            for role, ours, theirs in zip(roles(line.tokens), line.tokens, there.tokens, strict=True)
            if is_name(ours)
        )

    def mapped(self, name: str) -> str:
        """Give what a variable is called in the copy."""
        return self.there.get((True, name), self.there.get((False, name), name))

    def renamed(self) -> dict[str, str]:
        """Give the names that differ."""
        return {old: now for (_, old), now in self.there.items() if old != now}


def _has_added(window: Window, names: _Names, text: Text, around: Iterable[int], in_time: int) -> bool:
    """Say whether the copy's function has what the fix added, or, in time, a condition on the same things."""
    for line in window.added:
        if weight(line) < 1 and line.tokens[0] not in _TESTS:
            continue
        wanted = shape(line.tokens)
        about, tests = _condition(line)
        subject = {names.mapped(name) for name in about}
        for index in around:
            there = text.lines[index]
            if text.shapes[index] == wanted and names.stands(line, there):
                return True
            if index < in_time and subject and there.tokens[0] in _CONDITIONS:
                others, kinds = _condition(there)
                if subject <= others and tests & kinds:
                    return True
    return False


def _condition(line: LogicalLine) -> tuple[set[str], set[str]]:
    """Give the names that a condition is about, and the kinds of its tests; a test and its opposite are alike."""
    tokens = line.tokens
    if tokens[0] not in _TESTS and "if" not in tokens:
        return set(), set()
    parts = list(zip(tokens, roles(tokens), strict=True))
    subject = {token for token, role in parts if role in {"variable", "attribute"}}
    kinds = {_ALIKE[token] for token in tokens if token in _ALIKE}
    kinds |= {token for token, role in parts if role in {"called", "builtin"}} - {"self", "cls", "len"}
    if "None" in tokens or "len" in tokens or not kinds:
        kinds.add("truth")
    return subject, kinds


def uses(word: str, text: Text, *, quoted: bool) -> tuple[list[int], bool]:
    """Give the lines that have a word in their code, or in a string; and say whether one of them defines it."""
    found: list[int] = []
    defined = False
    for index, line in enumerate(text.lines):
        tokens = line.tokens
        hits = [
            at
            for at, t in enumerate(tokens)
            if (t[0] == '"' and word in words((t,)) if quoted else t == word)
        ]
        if hits:
            found.append(index)
            defined = defined or (not quoted and any(_defines_word(tokens, at) for at in hits))
    return found, defined


def _defines_word(tokens: Sequence[str], at: int) -> bool:
    before = tokens[at - 1] if at else ""
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    if before in {"def", "class", "as", "for", "global", "nonlocal"} or after == ":=":
        return True
    depth = sum((t in {"(", "[", "{"}) - (t in {")", "]", "}"}) for t in tokens[:at])
    if "def" in tokens[:2]:
        return before in {"(", ",", "*", "**"}
    return depth == 0 and "=" in tokens[at:] and tokens[0] not in KEYWORDS
