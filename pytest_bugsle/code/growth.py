"""Which functions a change has made more complex.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from pytest_bugsle.code.complexity import Function, complexity

_SAME = 0.6
"""The share of equal lines from which a function that is gone and one that is new are one that moved."""

_MOST_LINES = 400
"""Lines of a function that are compared with others: the comparison is quadratic."""


@dataclass(frozen=True, slots=True)
class Text:
    """One changed file, as it was and as it will be; None where it is not there."""

    path: str
    old: bytes | None
    new: bytes | None


@dataclass(frozen=True, slots=True)
class Growth:
    """A function that became more complex; `before` is None for a new one."""

    path: str
    line: int
    name: str
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class _Known:
    path: str
    name: str
    found: Function
    lines: tuple[bytes, ...]


def growths(texts: Iterable[Text]) -> list[Growth]:
    """Give the functions that are more complex than before, and the new ones, in order of path and line.

    A function is known again by its qualified name in its file, and where it was renamed or moved, by its
    lines. A file that this Python cannot parse, before or after, tells nothing.
    """
    found: list[Growth] = []
    gone: list[_Known] = []
    new: list[_Known] = []
    for text in texts:
        old = complexity(text.old) if text.old is not None else {}
        now = complexity(text.new) if text.new is not None else {}
        if old is None or now is None:
            continue
        gone += _known(text.path, text.old, old, without=now)
        new += _known(text.path, text.new, now, without=old)
        for name, function in now.items():
            before = old[name].complexity if name in old else None
            if before is not None and function.complexity > before:
                found.append(Growth(text.path, function.line, name, before, function.complexity))
    for each in new:
        origin = _origin(each, gone)
        before = origin.found.complexity if origin is not None else None
        if before is None or each.found.complexity > before:
            found.append(Growth(each.path, each.found.line, each.name, before, each.found.complexity))
    return sorted(found, key=lambda growth: (growth.path, growth.line, growth.name))


def grown_too_far(found: Iterable[Growth], limit: int, step: int) -> list[Growth]:
    """Give those that are past `limit` now, and those that were there before and grew by more than `step`."""
    return [
        growth
        for growth in found
        if growth.after > limit or (growth.before is not None and growth.after - growth.before > step)
    ]


def _known(
    path: str, source: bytes | None, here: Mapping[str, Function], *, without: Mapping[str, Function]
) -> Iterator[_Known]:
    if source is None:
        return
    lines = source.splitlines()
    for name, function in here.items():
        if name not in without:
            body = lines[function.line - 1 : function.last_line][:_MOST_LINES]
            yield _Known(path, name, function, tuple(line.strip() for line in body if line.strip()))


def _origin(new: _Known, gone: list[_Known]) -> _Known | None:
    """Give the function that is gone and most like this one, if they are alike at all."""
    best, score = None, _SAME
    for other in gone:
        matcher = SequenceMatcher(None, other.lines, new.lines, autojunk=False)
        # The first line names the function: a rename changes it.
        if (
            matcher.real_quick_ratio() >= score
            and matcher.quick_ratio() >= score
            and matcher.ratio() >= score
        ):
            best, score = other, matcher.ratio()
    return best
