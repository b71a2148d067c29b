"""Gather what the ladder of evidence rests on: records at HEAD, deployments of a file, messages, blame.  PYTEST_DONT_REWRITE

Records are read from HEAD's tree and never from the work tree: the same commits give the same figures, in a
bare repository too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pytest_bugsle.delivery.releases import Deployment
from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.log import changed_paths, read_commits

if TYPE_CHECKING:
    from pytest_bugsle.delivery.figures import Outline, Wanted
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.incidents import Incident
    from pytest_bugsle.delivery.ladder import Evidence
    from pytest_bugsle.delivery.mentions import Mentions
    from pytest_bugsle.delivery.overrides import Override
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.history.judgement import Facts, Policy
    from pytest_bugsle.settings import Settings
    from pytest_bugsle.store.cache import Cache

_ROOM = "szz"
MOST_COMPARED = 3_000
"""Commits of a window that are looked at one by one; of more, only the subjects are."""
_BATCH = 2_000
"""Messages that are held in memory at once."""
_FOLDERS = (".bugsle/", "postmortems/")


class Recorded(msgspec.Struct, frozen=True):
    """A file of deployments: its content, its name for messages, and which environment counts."""

    content: bytes
    name: str
    environment: str


class Records(NamedTuple):
    """The files at HEAD that are ours: path and blob; None where HEAD's tree was not fetched."""

    files: dict[str, str] | None

    def tracks(self, path: str) -> bool:
        """Say whether HEAD has a path; where nobody knows, it might."""
        return self.files is None or path in self.files


def read_records(repo: Repository) -> Records:
    """List the records of HEAD, links and folders left out."""
    try:
        out = repo.run("ls-tree", "-z", "--full-tree", "HEAD", "--", *_FOLDERS)
    except UndecidedError:
        return Records(None)
    found = {}
    for line in out.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, blob = facts.split(b" ")
        if mode.startswith(b"100"):
            found[os.fsdecode(path)] = blob.decode()
    return Records(found)


def incidents_of(repo: Repository, records: Records) -> list[Incident] | None:
    """Read the incident records; None where there is none. UsageError names file, line and field."""
    folder = _FOLDERS[1]
    paths = {
        path: blob
        for path, blob in (records.files or {}).items()
        if path.startswith(folder) and path.endswith(".md")
    }
    if not paths:
        return None
    from pytest_bugsle.delivery.incidents import parse_incident

    texts = repo.blobs(paths.values())
    read = (parse_incident(texts[blob], path) for path, blob in sorted(paths.items()))
    return [incident for incident in read if incident is not None] or None


def overrides_of(repo: Repository, records: Records) -> list[Override]:
    """Read the committed overrides; UsageError names file, line and field."""
    blob = (records.files or {}).get(".bugsle/failures.toml")
    if blob is None:
        return []
    from pytest_bugsle.delivery.overrides import parse_overrides

    return parse_overrides(repo.blob(blob).decode("utf-8", "replace"))


def mainline_of(graph: Graph, head: int) -> list[Deployment]:
    """Return every commit of HEAD's first-parent line as a deployment, the oldest first."""
    return [
        Deployment(graph.shas[commit][:10], graph.commit_times[commit], commit, graph.commit_times[commit])
        for commit in graph.mainline(head)
    ]


def reader(
    repo: Repository, graph: Graph, *, compare: bool = False
) -> Callable[[Sequence[int]], dict[int, Facts]]:
    """Return what reads the messages of commits by number; and where they are compared, whether they reach users at all.

    Where the trees were not fetched, nobody knows that, and the messages decide.
    """

    def read(commits: Sequence[int]) -> dict[int, Facts]:
        from pytest_bugsle.delivery.rework import reaches_users
        from pytest_bugsle.history.judgement import Facts

        shas = [graph.shas[commit] for commit in commits]
        try:
            changed = changed_paths(repo, shas) if compare else {}
        except UndecidedError:
            changed = {}
        return {
            graph.index[one.sha]: Facts(
                one.subject,
                one.body,
                one.author,
                one.author_email,
                one.trailers,
                # An empty commit changed nothing that could tell.
                source_changed=any(map(reaches_users, paths)) if (paths := changed.get(one.sha)) else None,
            )
            for one in read_commits(repo, shas)
        }

    return read


def causes_of(
    repo: Repository,
    graph: Graph,
    laid_out: Outline,
    policy: Policy,
    cache: Cache,
    say: Callable[[str], object],
) -> tuple[dict[int, list[tuple[int, bool]]], list[str]]:
    """Trace the fixes of the window to what they changed; a sentence says how many could not be."""
    from pytest_bugsle.delivery.rework import kind_of
    from pytest_bugsle.git.blame import ignored_revisions
    from pytest_bugsle.history.szz import trace

    window = [
        commit
        for commit, time in enumerate(graph.commit_times)
        if time >= laid_out.start and len(graph.parents[commit]) == 1 and laid_out.has(graph, commit)
    ]
    read = reader(repo, graph)
    fixes: list[str] = []
    for start in range(0, len(window), _BATCH):
        facts = read(window[start : start + _BATCH])
        fixes += [graph.shas[commit] for commit, each in facts.items() if kind_of(each, policy) == "repair"]
    try:
        ignored = ignored_revisions(repo, "HEAD")
    except UndecidedError:
        ignored = ()
    traces = trace(
        repo,
        fixes,
        ignored=ignored,
        get=lambda key: cache.get(_ROOM, key),
        put=lambda key, value: cache.put(_ROOM, key, value),
        progress=lambda done: say(f"blaming fix {done} of {len(fixes)} …"),
    )
    causes = {
        graph.index[fix]: [
            (graph.index[one.commit], traced.weak) for one in traced.culprits if one.commit in graph.index
        ]
        for fix, traced in traces.by_fix.items()
    }
    said = []
    if traces.undecided:
        said.append(
            f"szz: {len(traces.undecided)} of {len(fixes)} fixes could not be blamed, for what they changed was not "
            "fetched (git fetch --refetch --no-filter brings it): the rung counts too few"
        )
    return causes, said


def evidence_of(
    repo: Repository,
    graph: Graph,
    mentions: Mentions,
    laid_out: Outline,
    wanted: Wanted,
    settings: Settings,
    records: Records,
    cache: Cache,
    say: Callable[[str], object],
) -> tuple[Evidence, list[str], bool]:
    """Gather what the rungs rest on, say what could not be had, and whether it is all that HEAD's tree names."""
    from pytest_bugsle.delivery.ladder import Evidence
    from pytest_bugsle.delivery.rework import brought, kinds_by_subject, shipped_kinds
    from pytest_bugsle.history.judgement import policy

    missing: list[str] = []
    whole = True
    known = policy(settings.fix_patterns, settings.no_fix_patterns)
    inside = [number for number, one in enumerate(laid_out.known) if one.time >= laid_out.start]
    shipped = brought(graph, inside, laid_out.labels)
    fixes = frozenset(mentions.fixes)
    if sum(map(len, shipped.values())) > MOST_COMPARED:
        reverts = {revert.commit for revert in mentions.reverts}
        kinds = kinds_by_subject(shipped, mentions.subjects, graph.bots, fixes, reverts)
    else:
        read = reader(repo, graph, compare=True)
        kinds = shipped_kinds(shipped, mentions.subjects, graph.bots, fixes, read, known)
    if records.files is None:
        missing.append(
            "HEAD's files were not fetched: incident records and overruled links are not read (git fetch --refetch "
            "--no-filter brings them)"
        )
    causes = None
    if wanted.szz:
        causes, undecided = causes_of(repo, graph, laid_out, known, cache, say)
        missing += undecided
        whole = not undecided
    try:
        incidents, overrides = incidents_of(repo, records), overrides_of(repo, records)
    except UndecidedError as error:
        incidents, overrides = None, []
        missing.append(f"incident records and overruled links are not read: {error.what}")
        whole = False
    return Evidence(kinds, incidents, overrides, causes), missing, whole
