"""Say what of a fix to search for: lines as they were before it, and words that it replaced.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property

from pytest_bugsle.code.tokens import (
    BUILTINS,
    KEYWORDS,
    LogicalLine,
    defined_name,
    is_literal,
    is_name,
    owners,
    shape,
    words,
)

_CONTEXT = 3
_CONTEXT_OF_HEADER = 7
_NEAR = 2
"""Unchanged lines between two changes that are searched as one."""
_MOST_CHANGED = 12
"""Changed lines from which a region is rewritten: its old form says nothing of others."""
_LARGEST_PAIRING = 400
_LONGEST_PAIRED = 200
_LIKE = 0.5
_SPELLED_ALIKE = 0.8

WORTH = {
    "variable": (1.0, 0.8),
    "own": (1.0, 0.6),
    "attribute": (1.5, 0.6),
    "called": (2.0, 0.5),
    "global": (1.5, 0.3),
    "keyword": (1.5, 0.0),
    "literal": (1.0, 0.4),
    "builtin": (0.7, 0.0),
    "sign": (0.5, 0.0),
    "": (0.0, 0.0),
}
"""What a token that agrees is worth by its role, and one that is renamed as everywhere else in the copy."""
LOCAL = frozenset({"variable", "own"})
"""Roles of names that a copy may give as it likes."""
_ACTS = frozenset({"if", "elif", "while", "assert", "with", "try", "except", "raise", "await"})
_SILENT = frozenset("()[]{},:.=") | {"return", "pass", "def", "class", "else", "try"}


class Text:
    """The logical lines of a text, and which of them stand in one function."""

    def __init__(self, lines: list[LogicalLine]) -> None:
        self.lines = lines

    @cached_property
    def shapes(self) -> list[int]:
        """The shape of each line."""
        return [shape(line.tokens) for line in self.lines]

    @cached_property
    def owners(self) -> list[int]:
        """The header that each line stands below, or -1."""
        return owners(self.lines)

    def span(self, index: int) -> range:
        """Give the lines of the function around a line; of a class or module those up to the next function."""
        lines = self.lines
        head = index if "def" in lines[index].tokens[:2] else self.owners[index]
        if head >= 0 and "def" in lines[head].tokens[:2]:
            end = index + 1
            while end < len(lines) and lines[end].indent > lines[head].indent:
                end += 1
            return range(head, end)
        first = last = index
        while first > 0 and self.owners[first - 1] == head:
            first -= 1
        while last + 1 < len(lines) and self.owners[last + 1] == head:
            last += 1
        return range(first, last + 1)

    def function(self, index: int) -> str:
        """Name the function that a line stands in with all that is around it; "" where there is none."""
        names = []
        head = index if "def" in self.lines[index].tokens[:2] else self.owners[index]
        is_function = head >= 0 and "def" in self.lines[head].tokens[:2]
        while head >= 0:
            names.append(defined_name(self.lines[head]))
            head = self.owners[head]
        return ".".join(reversed(names)) if is_function else ""


@dataclass(frozen=True, slots=True)
class Window:
    """Lines as they were before the fix: what it changed, with what surrounds it.

    `focus` says which tokens of which line the fix changed; `anchors` are the lines that a copy must have;
    `added` what the fix put in between. `change` is the first line that was changed, or before which was
    added; `function` the name of the function they stand in.
    """

    lines: tuple[LogicalLine, ...]
    shapes: tuple[int, ...]
    focus: dict[int, frozenset[int]]
    anchors: tuple[int, ...]
    added: tuple[LogicalLine, ...]
    change: int
    function: str

    @property
    def line(self) -> int:
        """The first changed line in the text before the fix."""
        return self.lines[min(self.change, len(self.lines) - 1)].line


@dataclass(frozen=True, slots=True)
class Swap:
    """A word that a fix replaced: by which words, how often, and whether it stood in a string."""

    word: str
    by: frozenset[str]
    times: int
    quoted: bool
    line: int


def misspelt(word: str, by: Iterable[str]) -> bool:
    """Say whether a word was replaced by one that is spelled almost like it, and is no other form of it."""
    return any(
        abs(len(other) - len(word)) <= 2
        and other.replace("_", "").lower() != word.replace("_", "").lower()
        and not other.startswith(word)
        and not other.endswith(word)
        and SequenceMatcher(None, other, word, autojunk=False).ratio() >= _SPELLED_ALIKE
        for other in by
    )


@dataclass(slots=True)
class _Region:
    first: int
    stop: int
    deleted: set[int] = field(default_factory=set)
    pairs: dict[int, LogicalLine] = field(default_factory=dict)
    added: list[LogicalLine] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)


def windows(
    old: Text, new: Text, deleted: Collection[int], added: Collection[int]
) -> tuple[list[Window], list[Swap]]:
    """Give what of `old` to search for, and the words that were replaced.

    `deleted` and `added` are indexes of the logical lines that only `old`, or only `new`, has.
    """
    regions = list(_regions(old, new, deleted, added))
    replaced = list(_swaps(regions, old))
    written = {new.lines[index].tokens for index in added}
    found = (_window(region, old, written) for region in _merged(regions, old))
    return [window for window in found if window is not None], replaced


def _regions(old: Text, new: Text, deleted: Collection[int], added: Collection[int]) -> Iterator[_Region]:
    here = there = 0
    while here < len(old.lines) or there < len(new.lines):
        first, begin = here, there
        while here in deleted:
            here += 1
        while there in added:
            there += 1
        if here > first or there > begin:
            region = _Region(first, here, set(range(first, here)))
            _pair(region, old, new.lines[begin:there])
            yield region
        here, there = here + 1, there + 1


def _pair(region: _Region, old: Text, added: list[LogicalLine]) -> None:
    """Find what became of each deleted line, in order."""
    rest = 0
    for index in range(region.first, region.stop):
        if len(added) * len(region.deleted) > _LARGEST_PAIRING:
            break
        likes = [
            (SequenceMatcher(None, old.lines[index].tokens, line.tokens, autojunk=False).ratio(), -at)
            for at, line in enumerate(added[rest:])
            if len(line.tokens) < _LONGEST_PAIRED
        ]
        like, at = max(likes, default=(0.0, 0))
        if like >= _LIKE:
            region.pairs[index] = added[rest - at]
            region.added += added[rest : rest - at]
            rest += 1 - at
    region.added += added[rest:]
    if not region.deleted:
        region.gaps.append(region.first)


def _merged(regions: list[_Region], old: Text) -> Iterator[_Region]:
    current: _Region | None = None
    for region in regions:
        if (
            current is not None
            and region.first - current.stop <= _NEAR
            and current.stop < len(old.lines)
            and max(region.stop - 1, current.stop) in old.span(max(current.stop - 1, 0))
        ):
            current.stop = region.stop
            current.deleted |= region.deleted
            current.pairs |= region.pairs
            current.added += region.added
            current.gaps += region.gaps
            continue
        if current is not None:
            yield current
        current = region
    if current is not None:
        yield current


def _window(region: _Region, old: Text, written: Collection[tuple[str, ...]]) -> Window | None:
    if len(region.deleted) > _MOST_CHANGED or not old.lines:
        return None
    if not region.deleted and (len(region.added) > _MOST_CHANGED or _defines(region.added)):
        return None
    if _defines([old.lines[index] for index in region.deleted - region.pairs.keys()]):
        return None
    home = _home(region, old)
    span = old.span(home)
    below = _CONTEXT_OF_HEADER if defined_name(old.lines[home]) else _CONTEXT
    first, stop = max(region.first - _CONTEXT, span.start), min(region.stop + below, span.stop)
    if first >= stop:
        return None
    lines = tuple(old.lines[first:stop])
    focus = {
        index - first: _focus(old.lines[index], region.pairs.get(index))
        for index in sorted(region.deleted)
        if first <= index < stop
        and old.lines[index].tokens not in written  # it was moved
        and not _only_renames(old.lines[index], region.pairs.get(index))
    }
    if region.deleted and not focus:
        return None
    function = old.function(min(region.deleted, default=_home(region, old)))
    if not focus and not function:  # what is added to a class or a module is seldom a guard
        return None
    anchors = tuple(focus) or _beside(region, lines, first)
    if not anchors:
        return None
    return Window(
        lines,
        tuple(old.shapes[first:stop]),
        focus,
        anchors,
        tuple(region.added),
        min(focus, default=region.first - first),
        function,
    )


def _home(region: _Region, old: Text) -> int:
    """Give a line of the function that a region is in: where it was added last in one, the line before."""
    if region.deleted or region.first == 0:
        return min(region.first, len(old.lines) - 1)
    before, after = region.first - 1, min(region.first, len(old.lines) - 1)
    inside = bool(region.added) and region.added[0].indent > old.lines[after].indent
    return before if inside or "def" in old.lines[after].tokens[:2] else after


def _defines(added: Sequence[LogicalLine]) -> bool:
    return any(line.tokens[0] == "@" or {"def", "class"} & set(line.tokens[:2]) for line in added)


def _beside(region: _Region, lines: Sequence[LogicalLine], first: int) -> tuple[int, ...]:
    """Give the lines that what was added is about: the nearest that have its names, else those around it."""
    gaps = [gap - first for gap in region.gaps]
    named = {
        token
        for line in region.added
        for token, role in zip(line.tokens, roles(line.tokens), strict=True)
        if role == "variable"
    }
    telling = [at for at, line in enumerate(lines) if "def" not in line.tokens[:2] and weight(line) >= 1]
    using = [at for at in telling if named.intersection(lines[at].tokens)]
    using.sort(key=lambda at: min(abs(2 * (at - gap) + 1) for gap in gaps))
    if using or not any(_acts(line) for line in region.added):
        return tuple(sorted(using[:2]))
    return tuple(at for at in telling if {at, at + 1}.intersection(gaps))


def _acts(line: LogicalLine) -> bool:
    """Say whether a line does more than to set a value."""
    return bool(_ACTS.intersection(line.tokens[:2])) or "called" in roles(line.tokens)


def _focus(old: LogicalLine, new: LogicalLine | None) -> frozenset[int]:
    """Give the tokens of a line that a fix replaced; beside which it put some in; or all that carry it."""
    if new is None:
        return frozenset(at for at, role in enumerate(roles(old.tokens)) if role in {"called", "attribute"})
    found: set[int] = set()
    for tag, i1, i2, _, _ in SequenceMatcher(None, old.tokens, new.tokens, autojunk=False).get_opcodes():
        if tag in {"replace", "delete"}:
            found.update(range(i1, i2))
        elif tag == "insert":
            beside = [at for at in (i1 - 1, i1) if 0 <= at < len(old.tokens) and is_name(old.tokens[at])]
            found.update(beside or [at for at in range(i1 - 1, -1, -1) if is_name(old.tokens[at])][:1])
    return frozenset(found)


def _only_renames(old: LogicalLine, new: LogicalLine | None) -> bool:
    """Say whether a header differs in the name alone that it defines."""
    if new is None or not defined_name(old):
        return False
    before, after = ([t for t in line.tokens if t != defined_name(line)] for line in (old, new))
    return before == after


def roles(tokens: Sequence[str]) -> Iterator[str]:
    """Say of each token what part it plays: a variable may be renamed, what is called may hardly be."""
    header = "def" in tokens[:2] or "lambda" in tokens
    depth = 0
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else ""
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        depth += (token in {"(", "[", "{"}) - (token in {")", "]", "}"})
        if is_literal(token):
            yield "literal"
        elif not is_name(token):
            yield "" if token in _SILENT else "sign"
        elif before in {"def", "class"}:
            yield "own"
        elif after == "(":
            yield "builtin" if token in BUILTINS and before != "." else "called"
        elif before == ".":
            yield "attribute"
        elif token in BUILTINS:
            yield "builtin"
        elif after == "=" and depth and before in {"(", ","} and not header:
            yield "keyword"
        else:
            yield "global" if token[0].isupper() else "variable"


def weight(line: LogicalLine) -> float:
    """Give what a line is worth of which all agrees."""
    return sum(WORTH[role][0] for role in roles(line.tokens))


def _swaps(regions: Iterable[_Region], old: Text) -> Iterator[Swap]:
    """Give the words that the fix replaced, one by one, in lines that it kept.

    A word that is no attribute is told only where it is misspelt: others have names of their own.
    """
    gone: dict[tuple[str, bool], tuple[set[str], int, int]] = {}
    for region in regions:
        for index, new in region.pairs.items():
            line = old.lines[index]
            matcher = SequenceMatcher(None, line.tokens, new.tokens, autojunk=False)
            replaced = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
            for tag, i1, i2, j1, j2 in replaced:
                if tag != "replace" or (i2 - i1, j2 - j1) != (1, 1):
                    continue
                token = line.tokens[i1]
                by = set(words((new.tokens[j1],))) - set(words((token,)))
                if len(by) > 1:  # a sentence was written anew
                    continue
                attribute = i1 > 0 and line.tokens[i1 - 1] == "." and len(replaced) == 1
                for word in set(words((token,))) - set(words(new.tokens)) - KEYWORDS - BUILTINS:
                    if by and (attribute or misspelt(word, by)):
                        known, times, _ = gone.get((word, token[0] == '"'), (set(), 0, 0))
                        gone[word, token[0] == '"'] = (known | by, times + 1, line.line)
    for (word, quoted), (by, times, at) in gone.items():
        yield Swap(word, frozenset(by), times, quoted, at)
