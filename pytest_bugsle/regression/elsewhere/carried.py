"""What of a fix stands in another version of its files: compared by statements, not by line numbers.  PYTEST_DONT_REWRITE

Pure. Only this tells a branch that has the fix where a pick was edited by hand, or was taken back since.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_bugsle.code.syntax import lines_of
from pytest_bugsle.code.tokens import defined_name, owners
from pytest_bugsle.history.origins import around, statements_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_bugsle.code.tokens import LogicalLine

Content = Literal["has", "holds", "lacks", "unclear"]
_MOST = 0.5
"""Share of the statements from which a side of the fix is said to stand there; picks are often edited."""

#: A statement, in the function that it is in.
Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Version:
    """One file of a fix: before it, with it, and as another tree has it (None: it has no such file)."""

    path: str
    old: bytes | None
    new: bytes | None
    there: bytes | None


@dataclass(frozen=True, slots=True)
class Carried:
    """What stands there of the fix; `path`, `line` and `code` are the first of the old statements there."""

    content: Content
    why: str
    path: str | None = None
    line: int | None = None
    code: str = ""


def carried(versions: Iterable[Version]) -> Carried:
    """Judge whether other versions of a fix's files have it, still hold what it mended, or neither."""
    old = new = of_old = of_new = 0
    beside = False
    first: tuple[str, int, str] | None = None
    missing: list[str] = []
    for version in versions:
        before, after = _counted(version.path, version.old), _counted(version.path, version.new)
        gone, come = before - after, after - before
        if not gone and not come:
            continue
        if version.there is None:
            if version.old is not None:
                missing.append(version.path)
            elif version.new is not None:
                of_new += len(come)
            continue
        there = _counted(version.path, version.there)
        functions = {function for function, _ in there}
        absent = {function for function, _ in gone} | {f for f, _ in come if any(f == g for g, _ in before)}
        if absent and absent.isdisjoint(functions):
            missing += [f"{function}() of {version.path}" for function in sorted(absent)]
            continue
        standing = [key for key in gone if there[key] > after[key]]
        old, of_old = old + len(standing), of_old + len(gone)
        new, of_new = new + sum(there[key] >= after[key] for key in come), of_new + len(come)
        beside = beside or (not gone and _is_around(version, there))
        if standing and first is None:
            first = _place(version, set(standing))
    path, line, code = first or (None, None, "")
    content, why = _judged(old, of_old, new, of_new, beside=beside, missing=missing)
    return Carried(content, why, path, line, code)


def _judged(
    old: int, of_old: int, new: int, of_new: int, *, beside: bool, missing: Sequence[str]
) -> tuple[Content, str]:
    counted = f"{old} of the {of_old} statements that the fix took out stand there, {new} of the {of_new} that it put in"
    if not of_old and not of_new:
        if missing:
            return "lacks", f"there is no {missing[0]}"
        return "unclear", "the fix changes no statement that could be looked for"
    if of_old and old >= _MOST * of_old and (not of_new or new < _MOST * of_new):
        return "holds", counted
    if of_new and new >= _MOST * of_new and (not of_old or old < _MOST * of_old):
        return "has", counted
    if not of_new and not old and not missing:
        return "has", counted
    if not of_old and beside:
        return (
            "holds",
            f"what the fix adds to stands there, and {new} of the {of_new} statements that it adds",
        )
    if missing and not old and not new:
        return "lacks", f"there is no {missing[0]}"
    return "unclear", counted


def placed(lines: Sequence[LogicalLine]) -> list[tuple[str, LogicalLine]]:
    """Return each statement with the dotted name of the function or class that it is in."""
    names: list[str] = []
    found = []
    for line, owner in zip(lines, owners(list(lines)), strict=True):
        outer = names[owner] if owner >= 0 else ""
        own = defined_name(line)
        names.append(f"{outer}.{own}".lstrip(".") if own else outer)
        found.append((outer, line))
    return found


def _counted(path: str, content: bytes | None) -> Counter[Key]:
    return Counter((function, tokens) for function, tokens, _ in _statements(path, content or b""))


def _statements(path: str, content: bytes) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield function, tokens and line of each statement; of another language, its lines."""
    if path.endswith(".py"):
        for function, line in placed(statements_of(content)):
            yield function, line.tokens, line.line
    elif b"\0" not in content:
        for number, text in enumerate(lines_of(content), 1):
            if text.strip():
                yield "", tuple(text.split()), number


def _is_around(version: Version, there: Counter[Key]) -> bool:
    """Say whether the statements that the fix adds to stand there."""
    if not version.path.endswith(".py") or version.old is None:
        return False
    near = {line.line for line in around(version.old, version.new or b"")}
    wanted = [(f, line.tokens) for f, line in placed(statements_of(version.old)) if line.line in near]
    return bool(wanted) and sum(there[key] > 0 for key in wanted) >= _MOST * len(wanted)


def _place(version: Version, standing: set[Key]) -> tuple[str, int, str] | None:
    assert version.there is not None
    for function, tokens, line in _statements(version.path, version.there):
        if (function, tokens) in standing:
            return version.path, line, lines_of(version.there)[line - 1].strip()[:200]
    return None
