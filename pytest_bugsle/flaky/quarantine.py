"""The quarantine: tests whose known failures are excused for a while, in a file that is committed.  PYTEST_DONT_REWRITE

`.bugsle/quarantine.toml` has one `[[test]]` table an entry, sorted by id. Excused is a failure of the test's
own call alone, with an error by which the test is already known, until the day `expires`. Everything else that
befalls a quarantined test fails as it would without: another error, a crash, an error in setup or teardown.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field, fields
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.findings import make_finding
from pytest_bugsle.stats.sequential import SequentialTest
from pytest_bugsle.store.place import refuse_links, write_committed
from pytest_bugsle.store.records import FIRST_MODE, NEITHER, PASSING, escaped, unescaped

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_bugsle.findings import Finding, Level
    from pytest_bugsle.store.questions import PastAttempt

FOLDER, NAME = ".bugsle", "quarantine.toml"
SHOWN = f"{FOLDER}/{NAME}"
LONGEST = 30
"""Days from `added` to `expires`."""
WARNING = 7
"""Days before the end in which it is spoken of."""

Phase = Literal["setup", "call", "teardown", "died"]

_HEAD = "# Committed, and written by `bugsle flaky quarantine add` and `release`.\n"
_MEND = "mend the entry, or take it out and type: bugsle flaky quarantine add ID --issue URL"
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TABLE = re.compile(r"^[ \t]*\[\[[ \t]*test[ \t]*\]\]", re.MULTILINE)
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})", re.MULTILINE)
# What ends a string, and what is not seen or changes how the text around it is read.
_TO_ESCAPE = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb'
    "\U000e0000-\U000e007f]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One quarantined test; `failures` of `attempts` and the errors' `fingerprints` are its evidence.

    `expires` is the last day on which it is excused; `line` is where a file has it, 0 where that is not known.
    """

    id: str
    cause: str = ""
    failures: int = 0
    attempts: int = 0
    fingerprints: tuple[str, ...] = ()
    owner: str = ""
    issue: str = ""
    added: dt.date
    expires: dt.date
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed phase of one attempt: the test as the history knows it, its error, and where it was raised."""

    id: str
    fingerprint: str
    phase: Phase


# --- the file --------------------------------------------------------------------------------------


def place(top: Path) -> Path:
    """Return where the quarantine of a repository stands."""
    return top / FOLDER / NAME


def read(path: Path) -> tuple[Entry, ...]:
    """Read a quarantine, by id; nothing where there is no file. UsageError says what is wrong, and where."""
    refuse_links(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="give the file back") from error
    try:
        return parse(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: this is no UTF-8.", hint="mend the line") from error


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a quarantine, whole or not at all, and let git see it. UsageError where it cannot be."""
    write_committed(path, text(entries).encode())


def text(entries: Iterable[Entry]) -> str:
    """Return a quarantine as it is written: the same for the same entries."""
    tables = []
    for entry in sorted(entries, key=lambda entry: entry.id):
        lines = [f"{name} = {_toml(getattr(entry, name))}" for name in _TYPES]
        tables.append("\n".join(["[[test]]", *lines, ""]))
    return "\n".join([_HEAD, *tables])


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{_TO_ESCAPE.sub(lambda found: _escape(found[0]), escaped(value))}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("id", "cause"), str),
    **dict.fromkeys(("failures", "attempts"), int),
    "fingerprints": list,
    **dict.fromkeys(("owner", "issue"), str),
    **dict.fromkeys(("added", "expires"), dt.date),
}
assert set(_TYPES) == {each.name for each in fields(Entry)} - {"line"}
_NEEDED = ("id", "owner", "issue", "added", "expires")
_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    list: "a list of texts",
    dt.date: "a date such as 2030-12-31",
}


def parse(content: str, name: str) -> tuple[Entry, ...]:
    """Read a quarantine's text, by id; UsageError names `name`, the entry and its line, and what to type."""
    try:
        data = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        found = _AT_LINE.search(str(error))
        at = f":{found[1]}" if found and found[1] else ""
        if _CONFLICT.search(content):
            raise UsageError(
                f"{name}{at}: a conflict marker of git.",
                hint="keep the tables of both sides, and take the markers out",
            ) from error
        raise UsageError(
            f"{name}{at}: this is no TOML: {_AT_LINE.sub('', str(error))}.", hint=_MEND
        ) from error
    tables = data.pop("test", [])
    if data:
        raise UsageError(f"{name}: there is no key {next(iter(data))!a}.", hint="entries are [[test]] tables")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{name}: `test` is no list of tables.", hint="begin each entry with [[test]]")
    lines = [content.count("\n", 0, found.start()) + 1 for found in _TABLE.finditer(content)]
    if len(lines) != len(tables):  # written in a way that only a parser follows
        lines = [0] * len(tables)
    entries: dict[str, Entry] = {}
    for number, (table, line) in enumerate(zip(tables, lines, strict=True), 1):
        entry = _entry(table, f"{name}:{line}" if line else f"{name}: entry {number}", line)
        if entry.id in entries:
            raise UsageError(
                f"{name}{f':{line}' if line else ''}: {entry.id!a} is listed twice.",
                hint="keep one of its tables",
            )
        entries[entry.id] = entry
    return tuple(sorted(entries.values(), key=lambda entry: entry.id))


def _entry(table: dict[str, Any], where: str, line: int) -> Entry:
    values: dict[str, Any] = {}
    for key, value in table.items():
        kind = _TYPES.get(key)
        if kind is None:
            near = difflib.get_close_matches(key, _TYPES, n=1)
            raise UsageError(
                f"{where}: there is no key {key!a}.",
                hint=f"did you mean {near[0]}?" if near else f"the keys are {', '.join(_TYPES)}",
            )
        if not _fits(value, kind):
            raise UsageError(f"{where}: `{key}` must be {_KINDS[kind]}.", hint=_MEND)
        if kind is list:
            values[key] = tuple(map(unescaped, value))
        else:
            values[key] = unescaped(value) if kind is str else value
    for key in _NEEDED:
        if not values.get(key):
            raise UsageError(f"{where}: the entry has no `{key}`.", hint=_MEND)
    entry = Entry(**values, line=line)
    if not 0 <= entry.failures <= entry.attempts:
        raise UsageError(
            f"{where}: {entry.failures} of {entry.attempts} attempts cannot have failed.", hint=_MEND
        )
    if entry.expires < entry.added:
        raise UsageError(f"{where}: it expires before it was added.", hint=_MEND)
    return entry


def _fits(value: Any, kind: type) -> bool:
    """Say whether a value is of exactly this kind: a bool is an int to Python, and a time is a date."""
    parts = value if isinstance(value, list) else ()
    return type(value) is kind and all(type(part) is str for part in parts)


# --- the judge -------------------------------------------------------------------------------------


def excuses(entries: Iterable[Entry], today: dt.date, failures: Iterable[Failure]) -> dict[str, str]:
    """Return for each quarantined test among `failures` why it is not excused; '' where it is.

    All failures of a test must be excused: one that is not makes it fail as without a quarantine.
    """
    by_id = {entry.id: entry for entry in entries}
    found: dict[str, str] = {}
    for failure in failures:
        entry = by_id.get(failure.id)
        if entry is not None and not found.get(failure.id):
            found[failure.id] = _refusal(entry, today, failure)
    return found


def _refusal(entry: Entry, today: dt.date, failure: Failure) -> str:
    if today > entry.expires:
        return f"its quarantine ended on {entry.expires}"
    if flaw := flaw_of(entry, today):
        return f"its quarantine does not hold: {flaw}"
    if failure.phase == "died":
        return "it is quarantined, but a crash is never excused"
    if failure.phase != "call":
        return f"it is quarantined, but an error in {failure.phase} is never excused"
    if not failure.fingerprint or failure.fingerprint not in entry.fingerprints:
        return "it is quarantined, but not for this error"
    return ""


def flaw_of(entry: Entry, today: dt.date) -> str:
    """Return why an entry excuses nothing, whatever its date (BUG205); '' where it may."""
    if not entry.failures or not any(entry.fingerprints):
        return "it does not say how often the test failed, of how many attempts, and with which errors"
    if entry.failures == entry.attempts:
        return "by its evidence the test never passed: it is broken, not flaky"
    # a day for clocks that differ
    if (entry.expires - min(entry.added, today + dt.timedelta(days=1))).days > LONGEST:
        return f"it lasts more than {LONGEST} days"
    return ""


def findings(
    entries: Iterable[Entry], today: dt.date, *, levels: Mapping[str, Level], ci: bool
) -> list[Finding]:
    """Return BUG204 for each entry that has expired, and BUG205 for each other one that cannot hold."""
    found = []
    for entry in entries:
        if today > entry.expires:
            code = "BUG204"
            said = (
                f"the quarantine of {entry.id} ended on {entry.expires}: it blocks again "
                f"(owner {entry.owner}, {entry.issue})"
            )
        elif flaw := flaw_of(entry, today):
            code, said = "BUG205", f"the quarantine of {entry.id} excuses nothing: {flaw}"
        else:
            continue
        found.append(make_finding(code, said, levels=levels, ci=ci, path=SHOWN, line=entry.line or None))
    return found


def notes(entries: Iterable[Entry], today: dt.date, collected: Collection[str] | None = None) -> list[str]:
    """Return what should be known of the entries in time: those about to end, and those without a test.

    `collected` are the tests of the whole suite, as the history knows them; None where not all were collected.
    """
    found = []
    for entry in entries:
        left = (entry.expires - today).days
        if 0 <= left < WARNING and not flaw_of(entry, today):
            when = {0: "today", 1: "tomorrow"}.get(left, f"in {left} days")
            found.append(
                f"the quarantine of {entry.id} ends {when} (owner {entry.owner}, {entry.issue}): "
                "then it blocks again"
            )
        if collected is not None and entry.id not in collected:
            found.append(
                f"{entry.id} is quarantined and does not exist: "
                "bugsle flaky quarantine release ID --force --reason TEXT"
            )
    return found


# --- what a history says ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evidence:
    """How often a test failed at versions of the code at which it did not always fail, and how.

    `mixed` counts the versions with both outcomes; `fingerprints` are of failures there, of the test's own
    call, with a known error: what can be excused. `last` is the day of the last failure there.
    """

    failures: int
    attempts: int
    fingerprints: tuple[str, ...]
    mixed: int
    last: dt.date = dt.date.min


def has_failed(outcome: str) -> bool | None:
    """Say whether an outcome is a failure; None where it is neither."""
    return None if outcome in NEITHER else outcome not in PASSING


def evidence(past: Iterable[PastAttempt]) -> Evidence:
    """Return what attempts say of a test's flakiness, on whatever occasion they were made.

    Left out are disasters, code that is not known, and versions at which the test always failed: there it
    was broken, and its error then is none to be excused.
    """
    versions: defaultdict[object, list[PastAttempt]] = defaultdict(list)
    for attempt in past:
        if not attempt.disaster and attempt.version.tree and attempt.outcome not in NEITHER:
            versions[attempt.version].append(attempt)
    failures, attempts, mixed, prints, last = 0, 0, 0, set(), dt.date.min
    for tried in versions.values():
        failed = [attempt for attempt in tried if has_failed(attempt.outcome)]
        if len(failed) < len(tried):
            failures, attempts, mixed = failures + len(failed), attempts + len(tried), mixed + bool(failed)
            prints |= {one.fingerprint for one in failed if one.outcome == "failed" and one.fingerprint}
            last = max([last, *(day_of(one.started) for one in failed)])
    return Evidence(failures, attempts, tuple(sorted(prints)), mixed, last)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a test fared since it was quarantined: failures, the passes since the last one, and those needed."""

    failures: int
    passes: int
    needed: int

    @property
    def is_shown(self) -> bool:
        """Say whether the test may be released."""
        return self.passes >= self.needed


def recovery(past: Sequence[PastAttempt], added: dt.date) -> Recovery:
    """Judge by a sequential test whether a quarantined test is stable again; `past` is oldest first.

    Counted are the days after `added`: first attempts in the suite as passes, a failure on any attempt as a
    failure. A failure begins the count anew with half the error, or trying long enough would release anything:
    5 % at first, in all never more than 10 %, of what fails once in 20 times.
    """
    failures = passes = 0
    for attempt in past:
        if attempt.disaster or day_of(attempt.started) <= added:
            continue
        failed = has_failed(attempt.outcome)
        if failed:
            failures, passes = failures + 1, 0
        elif failed is False and attempt.mode == FIRST_MODE and attempt.attempt == 1:
            passes += 1
    return Recovery(failures, passes, _passes_needed(failures))


def _passes_needed(failures: int) -> int:
    test = SequentialTest(stable_rate=0.001, flaky_rate=0.05, beta=0.05 / 2 ** min(failures, 100))
    return next(passes for passes in count(1) if test.decide(0, passes) == "stable")


def day_of(seconds: float) -> dt.date:
    """Return the day of a time in UTC seconds; the last or the first there is for what lies beyond."""
    try:
        return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).date()
    except (OverflowError, ValueError, OSError):
        return dt.date.max if seconds > 0 else dt.date.min
