"""What people say of links between failures and fixes, against our own judgement.  PYTEST_DONT_REWRITE

The file is committed, written by hand, and read as TOML:

    [[reject]]
    cause = "1a2b3c4"          # a commit, or the name of a deployment
    fix = "5d6e7f8"            # a commit or a deployment; without it every link of the cause is rejected
    reason = "the revert was planned"

    [[add]]
    cause = "8.0.1"
    fix = "8.0.3"              # may be left out: the failure is then not mended yet
    reason = "reported by phone, never written down"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_bugsle.delivery.links import Link, Names
from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.releases import Deployment

FILE = ".bugsle/failures.toml"
_TABLES = ("reject", "add")
_KEYS = ("cause", "fix", "reason")
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*[\"']?(reject|add)[\"']?[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Override:
    """One entry, and where it stands (`file:line`, not part of what it says)."""

    action: Literal["reject", "add"]
    cause: str
    reason: str
    fix: str | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Overruled:
    """The links that remain, those that were rejected, and what is to be said of entries that changed nothing."""

    links: tuple[Link, ...]
    rejected: tuple[tuple[Link, Override], ...]
    unused: tuple[str, ...]


def parse_overrides(text: str, name: str = FILE) -> list[Override]:
    """Read the file's text; UsageError names file, line and field of what is wrong."""
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(name, f"it is no TOML: {error}", "mend the line, or delete the entry") from error
    lines: dict[str, list[int]] = {table: [] for table in _TABLES}
    for found in _HEADER.finditer(text):
        lines[found[1]].append(text.count("\n", 0, found.start()) + 1)
    entries: list[tuple[int, Override]] = []
    for table, listed in data.items():
        if table not in _TABLES:
            near = difflib.get_close_matches(table, _TABLES, n=1)
            raise _wrong(
                name, f"{table!r} is not known here", f"use [[{near[0] if near else 'reject'}]] or [[add]]"
            )
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise _wrong(name, f"{table!r} must be a list of tables", f"begin each entry with [[{table}]]")
        for number, entry in enumerate(listed):
            known = lines[table]
            line = known[number] if number < len(known) else 0
            entries.append((line, _override(table, entry, f"{name}:{line}" if line else name)))
    return [override for _, override in sorted(entries, key=lambda entry: entry[0])]


def overrule(
    links: Iterable[Link],
    overrides: Iterable[Override],
    graph: Graph,
    deployments: Sequence[Deployment],
    labels: Sequence[int],
) -> Overruled:
    """Take out what is rejected and put in what is added; an added link is evidence of the rung `explicit`.

    An entry that rejects nothing, or names what is not here, is said: it may be a slip, or no longer needed.
    """
    links = list(links)
    names = Names(graph, deployments)
    rejected: list[tuple[Link, Override]] = []
    unused: list[str] = []
    for override in overrides:
        unknown = [n for n in (override.cause, override.fix) if n is not None and not _known(names, n)]
        if unknown:
            unused.append(
                f"{override.place}: {unknown[0]!r} names no commit and no deployment; {names.near(unknown[0])}"
            )
        elif override.action == "add":
            link = _added(override, names, graph, labels)
            if isinstance(link, Link):
                links.append(link)
            else:
                unused.append(link)
        else:
            hit = [link for link in links if _matches(link, override, names)]
            rejected += [(link, override) for link in hit]
            gone = set(hit)
            links = [link for link in links if link not in gone]
            if not hit:
                unused.append(
                    f"{override.place}: no link from {override.cause} is found that it could reject"
                )
    return Overruled(tuple(links), tuple(rejected), tuple(unused))


def write_override(path: Path, override: Override) -> None:
    """Add an entry to the end of the committed file; what stands in it stays as it is written."""
    from pytest_bugsle.store.place import write_committed

    have = path.read_text("utf-8") if path.is_file() and not path.is_symlink() else ""
    if override in parse_overrides(have, path.name):
        return
    text = have + ("" if not have else "\n" if have.endswith("\n") else "\n\n") + override_text(override)
    parse_overrides(text, path.name)
    write_committed(path, text.encode())


def override_text(override: Override) -> str:
    """Give an entry as TOML."""
    values = {"cause": override.cause, "fix": override.fix, "reason": override.reason}
    lines = [f"{key} = {_toml(value)}\n" for key, value in values.items() if value is not None]
    return f"[[{override.action}]]\n{''.join(lines)}"


def _override(table: str, entry: dict[str, Any], place: str) -> Override:
    for key, value in entry.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise _wrong(
                place, f"{key!r} is no key of [[{table}]]", f"use {near[0] if near else ', '.join(_KEYS)}"
            )
        if not isinstance(value, str) or not value.strip():
            raise _wrong(place, f"{key!r} must be a text that is not empty", f'write {key} = "…"')
    for key in ("cause", "reason"):
        if key not in entry:
            raise _wrong(place, f"[[{table}]] lacks {key!r}", f'write {key} = "…"')
    action: Literal["reject", "add"] = "add" if table == "add" else "reject"
    fix = entry.get("fix")
    return Override(
        action,
        entry["cause"].strip(),
        entry["reason"].strip(),
        fix.strip() if fix is not None else None,
        place,
    )


def _known(names: Names, name: str) -> bool:
    return names.deployment(name) is not None or names.commit(name) is not None


def _added(override: Override, names: Names, graph: Graph, labels: Sequence[int]) -> Link | str:
    deployments = names.deployments
    deployment = names.deployment(override.cause)
    cause = fix = fixed_in = None
    if deployment is None:
        cause = names.commit(override.cause)
        assert cause is not None
        deployment = labels[cause]
        if deployment < 0:
            return (
                f"{override.place}: {override.cause} was never deployed, so that no deployment failed by it"
            )
    known = deployments[deployment].time
    if override.fix is not None:
        fixed_in = names.deployment(override.fix)
        if fixed_in is None:
            fix = names.commit(override.fix)
            assert fix is not None
            fixed_in = labels[fix] if labels[fix] >= 0 else None
            known = graph.commit_times[fix]
        if fixed_in is not None:
            if deployments[fixed_in].time < deployments[deployment].time:
                return f"{override.place}: {override.fix} was deployed before {override.cause}: it cannot mend it"
            known = deployments[fixed_in].time
    evidence = f"{override.place} says so: {override.reason}"
    return Link("explicit", deployment, known, evidence, cause, fix, fixed_in)


def _matches(link: Link, override: Override, names: Names) -> bool:
    deployment, cause = names.deployment(override.cause), names.commit(override.cause)
    if not (
        (deployment is not None and link.deployment == deployment)
        or (cause is not None and link.cause == cause)
    ):
        return False
    if override.fix is None:
        return True
    fixed_in, fix = names.deployment(override.fix), names.commit(override.fix)
    return (fixed_in is not None and link.fixed_in == fixed_in) or (fix is not None and link.fix == fix)


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _wrong(place: str, what: str, hint: str) -> UsageError:
    return UsageError(f"{place}: {what}", why="it overrules what is counted as a change failure", hint=hint)
