"""Incident records: the front matter of post-mortems.  PYTEST_DONT_REWRITE

A record is a Markdown file that begins with `---`. Five keys are read: `started`, `resolved`, `severity`,
`caused_by` and `fixed_by`; the shape is open for more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.delivery.front_matter import Entry, front_matter, wrong
from pytest_bugsle.delivery.links import Link, Names
from pytest_bugsle.delivery.times import EXPECTED, parse_time

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.releases import Deployment

DAY = 86_400
ATTRIBUTION_DAYS = 30
"""Days after a deployment within which an incident that names no cause is put down to it."""
FOLDER = "postmortems"

_KEYS = ("started", "resolved", "severity", "caused_by", "fixed_by")


@dataclass(frozen=True, slots=True)
class Incident:
    """One record: times in seconds; what caused and what mended it are names of commits or deployments."""

    path: str
    started: int | None = None
    resolved: int | None = None
    severity: str = ""
    caused_by: tuple[str, ...] = ()
    fixed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attributed:
    """The links that incidents make, and what is to be said of those that make none."""

    links: tuple[Link, ...]
    problems: tuple[str, ...]


def parse_incident(content: bytes, path: str) -> Incident | None:
    """Read one file; None for one without a front matter, or with none of the five keys filled in (a template).

    UsageError names the file, the line, the key and what is expected of it.
    """
    entries = front_matter(content, path, _KEYS)
    return None if entries is None else _incident(entries, path)


def incident_links(
    incidents: Iterable[Incident],
    graph: Graph,
    deployments: Sequence[Deployment],
    labels: Sequence[int],
    *,
    attribution: int = ATTRIBUTION_DAYS * DAY,
) -> Attributed:
    """Tie incidents to the deployments that failed; deployments recorded as failed are incidents too.

    `caused_by` decides; without it, the latest deployment before the start, if that is at most `attribution`
    seconds older: all deployments are asked, so that no incident moves with the window. Every cause is a
    link of its own, and is mended by the last of the fixes.
    """
    names = Names(graph, deployments)
    links: list[Link] = []
    problems: list[str] = []
    for incident in incidents:
        causes = list(_causes(incident, names, labels, attribution, problems))
        fixed_in, fix = _mended(incident, names, labels, problems)
        for deployment, cause, how in causes:
            # What was deployed no later than the failure cannot have mended it.
            later = fixed_in is not None and deployments[fixed_in].time > deployments[deployment].time
            known = incident.started
            if known is None:
                known = (
                    deployments[fixed_in].time
                    if fixed_in is not None and later
                    else deployments[deployment].time
                )
            links.append(
                Link(
                    "incident",
                    deployment,
                    known,
                    f"{incident.path} {how} {deployments[deployment].name}"
                    + (f" (severity {incident.severity})" if incident.severity else ""),
                    cause,
                    fix,
                    fixed_in if later else None,
                    incident.started,
                    incident.resolved,
                )
            )
    return Attributed((*links, *_recorded(deployments)), tuple(problems))


def _recorded(deployments: Sequence[Deployment]) -> Iterator[Link]:
    for number, deployment in enumerate(deployments):
        if not deployment.failed:
            continue
        place = deployment.environment
        after = range(number + 1, len(deployments))
        fixed_in = next(
            (n for n in after if deployments[n].environment == place and not deployments[n].failed), None
        )
        evidence = f"the record of deployments says that {deployment.name} failed"
        yield Link("incident", number, deployment.time, evidence, fixed_in=fixed_in)


def _causes(
    incident: Incident, names: Names, labels: Sequence[int], attribution: int, problems: list[str]
) -> Iterator[tuple[int, int | None, str]]:
    for name in incident.caused_by:
        deployment, commit = names.deployment(name), None
        if deployment is None:
            commit = names.commit(name)
            deployment = labels[commit] if commit is not None else -1
        if commit is not None and deployment < 0:
            problems.append(f"{incident.path}: `caused_by` {name} was never deployed")
        elif deployment < 0:
            problems.append(
                f"{incident.path}: `caused_by` {name} names no commit and no deployment that is here; "
                + names.near(name)
            )
        else:
            yield deployment, commit, f"names {name} as its cause, deployed with"
    if incident.caused_by or incident.started is None:
        return
    started = incident.started
    before = [n for n, deployment in enumerate(names.deployments) if deployment.time <= started]
    latest = max(before, key=lambda n: (names.deployments[n].time, n), default=None)
    if latest is None or started - names.deployments[latest].time > attribution:
        days = attribution // DAY
        problems.append(
            f"{incident.path}: it names no `caused_by`, and nothing was deployed in the {days} days before it started"
        )
        return
    yield latest, None, "names no cause, and it started after"


def _mended(
    incident: Incident, names: Names, labels: Sequence[int], problems: list[str]
) -> tuple[int | None, int | None]:
    """Give the deployment with the last of the fixes, and the first fix that is a commit."""
    shipped: list[int | None] = []
    commits: list[int] = []
    for name in incident.fixed_by:
        deployment = names.deployment(name)
        if deployment is None:
            commit = names.commit(name)
            if commit is None:
                problems.append(
                    f"{incident.path}: `fixed_by` {name} names no commit and no deployment that is here; "
                    + names.near(name)
                )
                continue
            commits.append(commit)
            deployment = labels[commit] if labels[commit] >= 0 else None
        shipped.append(deployment)
    known = [n for n in shipped if n is not None]
    last = (
        max(known, key=lambda n: names.deployments[n].time) if known and len(known) == len(shipped) else None
    )
    return last, commits[0] if commits else None


def _incident(entries: dict[str, Entry], path: str) -> Incident | None:
    filled = {key: entry for key, entry in entries.items() if entry[1]}
    if not filled:
        return None
    times = {key: _time(filled[key], path, key) for key in ("started", "resolved") if key in filled}
    if "started" not in times and "caused_by" not in filled:
        line = min(line for line, _ in filled.values())
        raise wrong(path, line, "started", "neither when it started nor what caused it is said", EXPECTED)
    started, resolved = times.get("started"), times.get("resolved")
    if started is not None and resolved is not None and started > resolved:
        line = filled["resolved"][0]
        raise wrong(path, line, "resolved", "it was resolved before it started", "a time after `started`")
    severity = filled.get("severity", (0, [""]))
    if len(severity[1]) > 1:
        raise wrong(path, severity[0], "severity", "it has several values", "one word or number")
    return Incident(
        path,
        started,
        resolved,
        severity[1][0],
        tuple(dict.fromkeys(filled.get("caused_by", (0, []))[1])),
        tuple(dict.fromkeys(filled.get("fixed_by", (0, []))[1])),
    )


def _time(entry: Entry, path: str, key: str) -> int:
    line, values = entry
    seconds = parse_time(values[0]) if len(values) == 1 else None
    if seconds is None:
        raise wrong(path, line, key, f"{', '.join(values)!r} is no time", EXPECTED)
    return seconds
