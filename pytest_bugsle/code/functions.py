"""Where functions stand in a text, found by indentation alone.  PYTEST_DONT_REWRITE

A history has thousands of texts, of every Python and some of none: parsing them all takes minutes, and
half of an old project's do not parse. Definitions, their indentation, and the strings that go over several
lines are enough to say in which function a line stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LARGEST = 2_000_000
"""Bytes; a longer text is generated."""

_DEEPEST = 30
"""Classes inside one another; each is searched for its end."""

# Lines are found by the newline before them: a pattern with `^` is tried at each byte, four times as slow.
_HEAD = re.compile(
    rb"\n([ \t]*+)(?=[@acd])"
    rb"(?:(@)|(?:async[ \t]+)?(?:(class)|def)[ \t]+([A-Za-z_\x80-\xff][\w\x80-\xff]*+))"
)
# Comments and short strings are matched so that a quote in them opens nothing. What is not closed goes to
# the end of the line, or of the text: a pattern that failed there would be tried again from each quote.
_LEXEME = re.compile(
    rb"#[^\n]*"
    rb'|"""(?:[^"\\]++|\\.|"(?!""))*+(?:""")?'
    rb"|'''(?:[^'\\]++|\\.|'(?!''))*+(?:''')?"
    rb'|"(?:[^"\\\n]++|\\.)*+"?'
    rb"|'(?:[^'\\\n]++|\\.)*+'?",
    re.DOTALL,
)
_TRIPLE = re.compile(rb"'''|\"\"\"")


class Span(NamedTuple):
    """A function (`Class.method`; what is defined inside it belongs to it), from its decorators on."""

    name: str
    first: int
    """The number of its first line, from 1."""
    last: int
    line: int
    """The number of the line with its `def`."""
    indent: int


@lru_cache(maxsize=8)
def functions(source: bytes) -> tuple[Span, ...]:
    """List the functions of a text in order; a name that is defined twice is there twice."""
    if len(source) > LARGEST or b"def" not in source:
        return ()
    source = b"\n" + source
    strings = _Strings(source)
    found: list[Span] = []
    owners: list[tuple[int, int, bytes]] = []
    done, decorated = 0, -1
    lines = _Lines(source)
    for match in _HEAD.finditer(source):
        start = match.start()
        if start < done or strings.around(start):
            continue
        if match[2]:
            decorated = start if decorated < 0 else decorated
            continue
        indent, first, decorated = len(match[1]), start if decorated < 0 else decorated, -1
        while owners and (owners[-1][0] >= indent or owners[-1][1] <= start):
            owners.pop()
        if match[3] and len(owners) >= _DEEPEST:
            continue
        end = _end(source, match.end(), indent, strings)
        if match[3]:
            owners.append((indent, end, match[4]))
            continue
        done = end
        name = b".".join([*(owner for _, _, owner in owners), match[4]]).decode("utf-8", "surrogateescape")
        at = lines.at(first)
        line = lines.at(start)
        found.append(Span(name, at, lines.at(_trimmed(source, match.end(), end, indent)), line, indent))
    return tuple(found)


def functions_at(spans: Sequence[Span], lines: Collection[int]) -> frozenset[str]:
    """Name the functions in which any of these lines stand; lines between functions are in none."""
    starts = [span.first for span in spans]
    names = set()
    for line in lines:
        index = bisect_right(starts, line) - 1
        if index >= 0 and line <= spans[index].last:
            names.add(spans[index].name)
    return frozenset(names)


class _Strings:
    """The strings of a text that go over several lines."""

    def __init__(self, source: bytes) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        if _TRIPLE.search(source) is None:
            return
        for match in _LEXEME.finditer(source):
            start, end = match.span()
            if end - start > 5 and source.find(b"\n", start, end) >= 0:
                self._starts.append(start)
                self._ends.append(end)

    def around(self, at: int) -> int:
        """Give the end of the string in which a place lies, 0 for none."""
        index = bisect_right(self._starts, at) - 1
        return self._ends[index] if index >= 0 and at < self._ends[index] and at > self._starts[index] else 0


class _Lines:
    """Line numbers of places that are asked for in nearly rising order."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._place, self._line = 0, 0

    def at(self, place: int) -> int:
        """Give the number of the line that a newline at `place` begins, or in which the place lies."""
        place += 1
        if place >= self._place:
            self._line += self._source.count(b"\n", self._place, place)
        else:
            self._line -= self._source.count(b"\n", place, self._place)
        self._place = place
        return self._line


@lru_cache(maxsize=64)
def _dedent(indent: int) -> re.Pattern[bytes]:
    """Match the first line that stands no deeper; comments and closing brackets end nothing."""
    return re.compile(rb"\n[ \t]{0,%d}[^\s#)\]}\\]" % min(indent, 1_000))


def _end(source: bytes, at: int, indent: int, strings: _Strings) -> int:
    pattern = _dedent(indent)
    while True:
        match = pattern.search(source, at)
        if match is None:
            return len(source)
        inside = strings.around(match.start())
        if not inside:
            return match.start()
        at = inside


def _trimmed(source: bytes, start: int, end: int, indent: int) -> int:
    """Give the newline before a body's last line: blank lines and the comments above what follows are left out."""
    while True:
        newline = source.rfind(b"\n", start, end)
        if newline < 0:
            return start - 1
        line = source[newline + 1 : end].expandtabs()
        text = line.lstrip()
        if text and not (text.startswith(b"#") and len(line) - len(text) <= indent):
            return newline
        end = newline
