"""Deployments as somebody else recorded them: CSV, JSON lines, or GitHub's own export.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_bugsle.delivery.links import version_of
from pytest_bugsle.delivery.releases import Deployment
from pytest_bugsle.delivery.times import EXPECTED, parse_time
from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph

ENVIRONMENT = "production"
COLUMNS = ("time", "commit", "environment", "status", "name")
Outcome = Literal["live", "failed", "absent"]
STATUSES: Mapping[str, Outcome] = {
    **dict.fromkeys(
        ("", "success", "succeeded", "successful", "ok", "deployed", "live", "active", "inactive"), "live"
    ),
    **dict.fromkeys(("failed", "failure", "rolled_back", "rolled-back", "rollback", "degraded"), "failed"),
    **dict.fromkeys(
        (
            "error",
            "aborted",
            "cancelled",
            "canceled",
            "skipped",
            "pending",
            "queued",
            "waiting",
            "in_progress",
        ),
        "absent",
    ),
}
"""What a status says: it reached users; it reached them and failed; or it never reached them, and does not count."""

_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
_DECODER = json.JSONDecoder()
_GAP = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded deployment, and where it stands (`file:line`). `environment` is None where nothing says it."""

    time: int
    commit: str
    environment: str | None
    outcome: Outcome
    name: str
    place: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The deployments that count, oldest first, and what became of the other rows.

    `unknown` rows name a commit that is not here, `absent` ones never reached users, `elsewhere` counts the
    rows of other environments. `said` is all that in sentences.
    """

    deployments: tuple[Deployment, ...]
    unknown: int
    absent: int
    elsewhere: Mapping[str, int]
    said: tuple[str, ...]


def parse_deployments(content: bytes, name: str) -> list[Row]:
    """Read a file by what it holds: CSV with a header, JSON lines, or GitHub's list of deployments.

    UsageError names file, line, field, what is expected there, and the nearest names.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(name, line, "", "it is not UTF-8", "text in UTF-8") from error
    start = text.lstrip()[:1]
    if start == "[":
        return list(_github(text, name))
    return list(_json_lines(text, name) if start == "{" else _csv(text, name))


def choose(
    rows: Sequence[Row], graph: Graph, *, environment: str = ENVIRONMENT, name: str = "the deployments file"
) -> Chosen:
    """Take the rows of one environment whose commit is here.

    Where no row says its environment, all count. Names are compared without regard to case; one that no row has is
    a UsageError with the nearest. A deployment's name is the one given, else its commit and time.
    """
    places = Counter(row.environment.lower() for row in rows if row.environment is not None)
    wanted = environment.lower()
    if rows and places and wanted not in places:
        near = difflib.get_close_matches(wanted, places, n=3, cutoff=0.4) or [
            p for p, _ in places.most_common(5)
        ]
        raise UsageError(
            f"{name}: no deployment has the environment {environment!r}",
            why="only what reached its users is a deployment.",
            hint="name the one that counts: " + ", ".join(f"{p} ({places[p]})" for p in near),
        )
    here = [row for row in rows if not places or (row.environment or "").lower() == wanted]
    elsewhere = Counter(row.environment or "without one" for row in rows)
    for row in here:
        elsewhere.subtract([row.environment or "without one"])
    shipped = [row for row in here if row.outcome != "absent"]
    found: list[tuple[Row, int]] = []
    unknown: list[Row] = []
    known: dict[str, int | None] = {}
    for row in shipped:
        if row.commit not in known:
            known[row.commit] = graph.find(row.commit)
        number = known[row.commit]
        if number is None:
            unknown.append(row)
        else:
            found.append((row, number))
    deployments = sorted(
        (
            Deployment(
                row.name or f"{row.commit[:7]}@{row.time}",
                row.time,
                number,
                graph.commit_times[number],
                row.outcome == "failed",
                row.environment or "",
            )
            for row, number in found
        ),
        key=lambda deployment: (deployment.time, deployment.name),
    )
    others = {place: count for place, count in elsewhere.items() if count > 0}
    said = []
    if unknown:
        first = unknown[0]
        said.append(
            f"{name}: {len(unknown)} of {len(shipped)} deployments are of commits that are not here "
            f"(the first: {first.commit[:12]} at {first.place})"
        )
    absent = len(here) - len(shipped)
    if absent:
        said.append(f"{name}: {absent} deployments never reached their users and do not count")
    if others:
        listed = ", ".join(f"{place} ({count})" for place, count in sorted(others.items())[:5])
        said.append(f"{name}: {sum(others.values())} deployments are of other environments: {listed}")
    return Chosen(tuple(deployments), len(unknown), absent, others, tuple(said))


def _csv(text: str, name: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        while header is not None and not any(cell.strip() for cell in header):
            header = next(reader, None)
        columns = _columns(header or [], name, reader.line_num or 1)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(header or ()):
                    told = f"it has {len(cells)} fields, the header has {len(header or ())}"
                    raise _wrong(
                        name, line, "", told, "a comma between fields, and quotes around one with a comma"
                    )
                yield _row({key: cells[at] for key, at in columns.items()}, name, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise _wrong(
            name, reader.line_num, "", f"it is no CSV: {error}", "fields with closed quotes"
        ) from error


def _columns(header: Sequence[str], name: str, line: int) -> dict[str, int]:
    cells = [cell.strip().lower() for cell in header]
    for needed in ("time", "commit"):
        if needed not in cells:
            near = difflib.get_close_matches(needed, cells, n=1, cutoff=0.5)
            found = f"the header has {', '.join(repr(cell) for cell in cells[:8]) or 'no name'}"
            meant = f" (is it {near[0]!r}?)" if near else ""
            raise _wrong(name, line, needed, f"{found}{meant}", f"a first line with {', '.join(COLUMNS)}")
    twice = next((key for key in COLUMNS if cells.count(key) > 1), None)
    if twice is not None:
        raise _wrong(name, line, twice, "the header has it twice", "each name once")
    return {key: cells.index(key) for key in COLUMNS if key in cells}


def _json_lines(text: str, name: str) -> Iterator[Row]:
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            data = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise _wrong(name, line, "", f"it is no JSON: {error}", "one object a line") from error
        if not isinstance(data, dict):
            raise _wrong(name, line, "", "it is no object", '{"time": …, "commit": …}')
        for needed in ("time", "commit"):
            if needed not in data:
                near = difflib.get_close_matches(needed, data, n=1, cutoff=0.5)
                meant = f"it has {near[0]!r}" if near else f"it has {', '.join(map(repr, list(data)[:8]))}"
                raise _wrong(name, line, needed, meant, '{"time": …, "commit": …}')
        yield _row(data, name, line)


def _row(data: Mapping[str, Any], name: str, line: int) -> Row:
    commit = _text(data, "commit", name, line)
    if not _SHA.fullmatch(commit):
        raise _wrong(name, line, "commit", f"{commit[:80]!r} is no commit", "a sha, of at least 7 digits")
    status = _text(data, "status", name, line).lower().replace(" ", "_")
    if status not in STATUSES:
        near = difflib.get_close_matches(status, STATUSES, n=2) or ["success", "failed"]
        raise _wrong(
            name, line, "status", f"{status[:80]!r} is not known", f"for instance {' or '.join(near)}"
        )
    written = _text(data, "time", name, line)
    time = parse_time(written)
    if time is None:
        raise _wrong(name, line, "time", f"{written[:80]!r} is no time", EXPECTED)
    environment = _text(data, "environment", name, line) if "environment" in data else None
    return Row(
        time,
        commit.lower(),
        environment or None,
        STATUSES[status],
        _text(data, "name", name, line),
        f"{name}:{line}",
    )


def _text(data: Mapping[str, Any], key: str, name: str, line: int) -> str:
    value = data.get(key, "")
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(name, line, key, "it is neither a text nor a number", "one value")
    return str(value).strip()


def _github(text: str, name: str) -> Iterator[Row]:
    """Read deployments as `gh api --paginate repos/{owner}/{repo}/deployments` prints them, statuses if they are there.

    The pages may stand behind one another, or in one list. A deployment's time is that of its first
    successful status, else `created_at`; `updated_at` changes later, and says nothing.
    """
    for data, line in _elements(text, name):
        if not isinstance(data, dict):
            raise _wrong(name, line, "", "it is no object", "GitHub's list of deployments")
        for needed in ("sha", "created_at"):
            if not isinstance(data.get(needed), str):
                near = difflib.get_close_matches(needed, data, n=1, cutoff=0.5)
                meant = f"it has {near[0]!r}" if near else "it is not there"
                raise _wrong(name, line, needed, meant, "GitHub's list of deployments")
        statuses = data.get("statuses", [])
        if not isinstance(statuses, list) or not all(isinstance(status, dict) for status in statuses):
            raise _wrong(
                name, line, "statuses", "it is no list of objects", "what GitHub lists under statuses_url"
            )
        won = [s for s in statuses if s.get("state") in {"success", "inactive"}]
        first = min(
            (s["created_at"] for s in won if isinstance(s.get("created_at"), str)), default=data["created_at"]
        )
        ref = data.get("ref")
        # A branch or a sha is no name of a deployment: each has many, or says nothing new.
        ref = ref if isinstance(ref, str) and version_of(ref) is not None else ""
        row = _row(
            {"time": first, "commit": data["sha"], "environment": data.get("environment"), "name": ref},
            name,
            line,
        )
        yield (
            row
            if won or not statuses
            else Row(row.time, row.commit, row.environment, "absent", row.name, row.place)
        )


def _elements(text: str, name: str) -> Iterator[tuple[Any, int]]:
    """Yield what the lists of a text hold, each with its line; one list inside another is a page."""
    depth = at = line = 0
    line, counted = 1, 0
    while True:
        gap = _GAP.match(text, at)
        at = gap.end() if gap else at
        line, counted = line + text.count("\n", counted, at), at
        if at >= len(text):
            if depth:
                raise _wrong(name, line, "", "a list is never closed", "a whole export")
            return
        if text[at] in "[]":
            depth += 1 if text[at] == "[" else -1
            if not 0 <= depth <= 2:
                raise _wrong(
                    name, line, "", f"{text[at]!r} does not belong here", "GitHub's list of deployments"
                )
            at += 1
            continue
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            where = line + text.count("\n", at, getattr(error, "pos", at))
            raise _wrong(
                name, where, "", f"it is no JSON: {error}", "GitHub's list of deployments"
            ) from error
        if not depth:
            raise _wrong(name, line, "", "it stands in no list", "GitHub's list of deployments")
        yield value, line
        at = end


def _wrong(name: str, line: int, field: str, what: str, expected: str) -> UsageError:
    return UsageError(
        f"{name}:{line}:{f' `{field}`:' if field else ''} {what}",
        why="a deployment that is read wrongly makes every figure wrong.",
        hint=f"expected: {expected}",
    )
