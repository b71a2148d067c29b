"""The ledger: the open debt and the guards of a project, in a file that is committed.  PYTEST_DONT_REWRITE

`.bugsle/ledger.txt` has one entry a line, sorted by commit:

    <commit> BUG101 #42,#43 fix: the subject          a fix that no test holds; a bare - is no bug
    <commit> {"bugs": ["#42"], "edits": [...], ...}   a guard, with the edits that put its bug back

Between the entries stand fixed lines, one for each beginning that a commit's name can have: two branches
that each add an entry then change places that a common line separates, and git merges them. Where they meet
all the same, `merge=union` keeps the lines of both. So lines are read in any order, repeated, and under
either heading.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pytest_bugsle.code.editing.inverses import Inverse
from pytest_bugsle.errors import UsageError
from pytest_bugsle.store.place import refuse_links, write_committed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = 1

_NAME = "ledger.txt"
_FIRST = "pytest-bugsle ledger "
_HEAD = f"""\
{_FIRST}{VERSION}
# Committed, and written by `bugsle audit --write-baseline`. A line may be deleted; lines that begin with #
# stay, so that branches merge.
"""
_MARKS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_SECTIONS = {"[debt]": 1, "[guards]": 2}
"""The headings, and of how many hexadecimal digits the fixed lines below them are."""
_ENTRY = re.compile(r"([0-9a-f]{40}(?:[0-9a-f]{24})?) (.*)")
_DEBT = re.compile(r"([A-Z]+\d+) (\S+)(?: (.*))?")
_ANEW = "delete it and write it anew: bugsle audit --write-baseline"
# What is not seen, or changes how the text around it is read: controls, separators, directions, surrogates.
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
_TO_ESCAPE = re.compile(rf"[\\{_UNSEEN}]|^ | $")
_IN_A_BUG = re.compile(rf"[\\{_UNSEEN}\s,]|^-$")
_IN_JSON = re.compile(f"[{_UNSEEN}]")
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


@dataclass(frozen=True, slots=True)
class Debt:
    """A fix that no test holds, and the rule that says so."""

    commit: str
    rule: str
    bugs: tuple[str, ...]
    subject: str


@dataclass(frozen=True, slots=True)
class PutBack:
    """One edit that puts a bug back into the file that has this path at the fix."""

    path: str
    inverse: Inverse


@dataclass(frozen=True, slots=True)
class Guard:
    """A proven fix: the tests that hold it, by id without parameters, and what puts its bug back."""

    commit: str
    bugs: tuple[str, ...]
    subject: str
    tests: tuple[str, ...]
    edits: tuple[PutBack, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The open debt and the guards, by commit."""

    debt: Mapping[str, Debt] = field(default_factory=dict)
    guards: Mapping[str, Guard] = field(default_factory=dict)


def place(top: Path) -> Path:
    """Return where the ledger of a repository stands."""
    return top / ".bugsle" / _NAME


def read(path: Path) -> Ledger | None:
    """Read a ledger; None where there is no file. UsageError says what is wrong with it, and where."""
    refuse_links(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="give the file back, or " + _ANEW
        ) from error
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _wrong(str(path), line, "this is no UTF-8", f"mend the line, or {_ANEW}") from error
    return parse(content, str(path))


def write(path: Path, ledger: Ledger) -> None:
    """Write a ledger, whole or not at all, and let git see it and merge it. UsageError where it cannot be."""
    write_committed(path, text(ledger).encode(), union=True)


def text(ledger: Ledger) -> str:
    """Return a ledger as it is written: the same for the same entries."""
    debt = {commit: _debt_line(entry) for commit, entry in ledger.debt.items()}
    guards = {commit: _guard_line(entry) for commit, entry in ledger.guards.items()}
    lines = []
    for (heading, digits), entries in zip(_SECTIONS.items(), (debt, guards), strict=True):
        lines.append(heading)
        waiting = sorted(entries.items(), reverse=True)
        for number in range(16**digits):
            anchor = f"{number:0{digits}x}"
            lines.append(f"# {anchor}")
            while waiting and waiting[-1][0].startswith(anchor):
                lines.append(waiting.pop()[1])
        assert not waiting, "the name of a commit is hexadecimal"
        lines.append("")
    return _HEAD + "\n".join(lines)


def parse(text: str, name: str) -> Ledger:
    """Read a ledger's text; UsageError names `name` and the line, and what to type."""
    debt: dict[str, Debt] = {}
    guards: dict[str, Guard] = {}
    version = False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r")
        entry = _ENTRY.fullmatch(line)
        if line.startswith(_MARKS):
            hint = f"keep both sides' lines and take the markers out, or {_ANEW}"
            raise _wrong(name, number, "a conflict marker of git", hint)
        if line.startswith(_FIRST):
            version = line == f"{_FIRST}{VERSION}"
            if not version:
                raise _wrong(
                    name,
                    number,
                    f"this is ledger {line.removeprefix(_FIRST)!a}, and version {VERSION} is what can be read",
                    f"update pytest-bugsle, or {_ANEW}",
                )
        elif not line.strip() or line.startswith("#") or line.strip() in _SECTIONS:
            continue
        elif line.startswith("["):
            hint = f"take the line out; the sections are {' and '.join(_SECTIONS)}"
            raise _wrong(name, number, f"there is no section {line!a}", hint)
        elif entry is None:
            raise _wrong(name, number, "an entry begins with the whole name of a commit", _MEND)
        elif entry[2].startswith("{"):
            _add(guards, _guard(entry[1], entry[2], name, number), name, number)
        else:
            _add(debt, _debt(entry[1], entry[2], name, number), name, number)
    if not version:
        raise _wrong(name, 1, "the ledger does not say its version", f"begin it with: {_FIRST}{VERSION}")
    return Ledger(dict(sorted(debt.items())), dict(sorted(guards.items())))


_MEND = f"take the line out, or {_ANEW}"


def _wrong(name: str, line: int, what: str, hint: str) -> UsageError:
    return UsageError(f"{name}:{line}: {what}.", hint=hint)


_Entry = TypeVar("_Entry", Debt, Guard)


def _add(entries: dict[str, _Entry], entry: _Entry, name: str, number: int) -> None:
    if entries.setdefault(entry.commit, entry) != entry:
        what = f"{entry.commit[:10]} is listed twice, and not the same both times"
        raise _wrong(name, number, what, f"keep one of its lines, or {_ANEW}")


def _debt_line(entry: Debt) -> str:
    bugs = ",".join(_IN_A_BUG.sub(_escape, bug) for bug in entry.bugs if bug) or "-"
    return f"{entry.commit} {entry.rule} {bugs} {_TO_ESCAPE.sub(_escape, entry.subject)}".rstrip(" ")


def _debt(commit: str, rest: str, name: str, number: int) -> Debt:
    found = _DEBT.fullmatch(rest)
    if found is None:
        raise _wrong(name, number, "a debt reads: commit, rule, bugs, subject", _MEND)
    bugs = () if found[2] == "-" else tuple(_unescaped(bug) for bug in found[2].split(","))
    return Debt(commit, found[1], bugs, _unescaped(found[3] or ""))


def _guard_line(entry: Guard) -> str:
    data = {
        "bugs": entry.bugs,
        "subject": entry.subject,
        "tests": entry.tests,
        "edits": [_edit(edit) for edit in entry.edits],
    }
    return f"{entry.commit} {_IN_JSON.sub(_escape_json, json.dumps(data, ensure_ascii=False))}"


def _edit(edit: PutBack) -> dict[str, str]:
    told = asdict(edit.inverse)
    return {"path": edit.path, **{key: value for key, value in told.items() if value}}


def _guard(commit: str, rest: str, name: str, number: int) -> Guard:
    try:
        data: Any = json.loads(rest)
        edits = [
            PutBack(_text_of(edit, "path"), msgspec.convert({**_EMPTY, **edit}, Inverse))
            for edit in data.pop("edits")
        ]
        guard = msgspec.convert({**data, "commit": commit, "edits": ()}, Guard)
        return _checked(Guard(guard.commit, guard.bugs, guard.subject, guard.tests, tuple(edits)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _wrong(name, number, f"this guard cannot be read: {str(error)!a}", _MEND) from error


def _checked(guard: Guard) -> Guard:
    """Refuse what no audit has written: a ledger may come from anybody."""
    if not guard.tests or not guard.edits:
        raise ValueError("it has no tests, or no edits")
    for path in (*(edit.path for edit in guard.edits), *(test.partition("::")[0] for test in guard.tests)):
        path.encode("utf-8", "surrogateescape")
        if "\0" in path or {"", ".", ".."} & set(path.split("/")):
            raise ValueError(f"{path!a} is no path of a repository")
    return guard


_EMPTY = {"scope": "", "new": "", "old": ""}


def _text_of(data: Mapping[str, Any], key: str) -> str:
    value = data[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2] or found[3], 16)), text)


def _escape_json(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
