"""Read a repository's history and its release tags, and keep what was measured.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import gc
import hashlib
import os
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import structs

from pytest_bugsle import __version__
from pytest_bugsle.delivery.components import components
from pytest_bugsle.delivery.figures import Measured, measure, outline
from pytest_bugsle.delivery.graph import NONE, Graph
from pytest_bugsle.delivery.mentions import Authors, Mentions
from pytest_bugsle.delivery.releases import (
    Deployment,
    TagRef,
    labels,
    nearest_names,
    released,
)
from pytest_bugsle.delivery.sources import Recorded, Records, evidence_of, mainline_of, read_records
from pytest_bugsle.delivery.tagged import copies_of, moved_tags, own_incidents, touching
from pytest_bugsle.errors import ProgramError, UndecidedError, UsageError
from pytest_bugsle.git.command import shown
from pytest_bugsle.git.stream import PINNED, stream_log

if TYPE_CHECKING:
    from pytest_bugsle.delivery.figures import Wanted
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.settings import Settings

_ROOM = "delivery"
_VERSION = 3
_OBJECT = re.compile(rb"[0-9a-f]{40,64}")
_SNIPPET = "with: { fetch-depth: 0, filter: 'tree:0' }   # of actions/checkout; by hand: git fetch --unshallow --tags"


@dataclass(frozen=True, slots=True)
class Refs:
    """What the figures rest on: HEAD's commit, all tags, and a digest of both."""

    head: str
    tags: list[TagRef]
    digest: str


@dataclass(frozen=True, slots=True)
class History:
    """A repository as it was read: HEAD by its number, and the release tags as deployments, in order."""

    graph: Graph
    mentions: Mentions
    head: int
    refs: Refs
    deployments: list[Deployment]
    only: frozenset[int] | None = None
    """The commits that change a component's paths; None: all count."""


def read_refs(repo: Repository) -> Refs:
    """Return HEAD and the tags; UndecidedError for a repository without a commit, or one that is cut off.

    A cut history gives figures that look right: nothing is said of it.
    """
    if repo.is_shallow():
        raise UndecidedError(
            "the clone is shallow: its history is cut off",
            why="which release brought a commit cannot be told, and figures would look right and be wrong",
            hint=_SNIPPET,
        )
    head = repo.resolve("HEAD")
    if head is None:
        branch = repo.head().branch
        on = f" (HEAD is the branch {shown(branch)}, which has none)" if branch else ""
        raise UndecidedError(
            f"no data: the repository has no commit to start from{on}",
            why="the figures are of the history of HEAD",
            hint="commit something, or set HEAD to a branch that is there",
        )
    form = "--format=%(objecttype) %(objectname) %(creatordate:unix) %(refname)"
    listed = repo.run("for-each-ref", form, "refs/tags", env=PINNED)
    rows = [line.split(b" ", 3) for line in listed.splitlines()]
    peeled = _peeled(repo, [row[1] for row in rows if row[0] == b"tag"])
    tags = [
        TagRef(
            os.fsdecode(name).removeprefix("refs/tags/"),
            sha.decode() if kind == b"commit" else peeled.get(sha),
            int(time) if re.fullmatch(rb"-?[0-9]{1,18}", time) else None,
            kind == b"tag",
        )
        for kind, sha, time, name in rows
    ]
    return Refs(head, tags, hashlib.sha256(head.encode() + b"\n" + listed).hexdigest())


def _peeled(repo: Repository, tags: Sequence[bytes]) -> dict[bytes, str]:
    """Return the commit that each annotated tag names in the end: a tag may name a tag."""
    if not tags:
        return {}
    asked = b"".join(tag + b"^{commit}\n" for tag in tags)
    answers = repo.run("cat-file", "--batch-check=%(objectname)", input=asked, env=PINNED).split(b"\n")
    return {
        tag: answer.decode() for tag, answer in zip(tags, answers, strict=False) if _OBJECT.fullmatch(answer)
    }


def read_history(
    repo: Repository,
    refs: Refs,
    pattern: str | None = None,
    tips: Iterable[str] = (),
    component: str | None = None,
) -> History:
    """Read all commits that HEAD, the tags and further `tips` (full names of commits) contain, in one pass."""
    named = {tag.commit for tag in refs.tags if tag.commit} | {refs.head} | set(tips)
    shas: list[str] = []
    parents: list[str] = []
    author_times, commit_times = array("q"), array("q")
    bots = bytearray()
    mentions, authors = Mentions(), Authors()
    # Nothing here makes a cycle, and looking for some among so many lists costs a tenth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for block in stream_log(repo, sorted(named)):
            mentions.read(len(shas), block.messages)
            bots += authors.bots(block.authors)
            shas += block.shas
            parents += block.parents
            author_times += block.author_times
            commit_times += block.commit_times
        graph = Graph(shas, parents, author_times, commit_times, bots)
    finally:
        if collecting:
            gc.enable()
    return History(
        graph, mentions, graph.index[refs.head], refs, released(graph, refs.tags, pattern, component)
    )


def tag_notes(refs: Refs, deployments: Sequence[Deployment], pattern: str | None) -> list[str]:
    """Return what is to be said of the tags: which name no commit, and the nearest where none is a release."""
    said = []
    blobs = [tag.name for tag in refs.tags if tag.commit is None]
    if blobs:
        more = f" and {len(blobs) - 3} more" * (len(blobs) > 3)
        said.append(f"left out, for they name no commit: {', '.join(blobs[:3])}{more}")
    if not deployments:
        asked = f"tag_pattern {pattern!r} matches" if pattern else "a final version is the name of"
        names = [tag.name for tag in refs.tags if tag.commit is not None]
        near = f"; the nearest: {', '.join(nearest_names(names, pattern))}" if names else ""
        said.append(f"{asked} none of {len(names)} tags{near}: no deployment is known")
        said.append('[tool.bugsle] tag_pattern = "…" says which tags are releases')
    parts = components((tag.name for tag in refs.tags if tag.commit is not None), pattern)
    own = {one.name for one in deployments}
    others = {part: names - own for part, names in parts.items() if names - own}
    count = sum(map(len, others.values()))
    if count > len(own) or (pattern is not None and len(parts) > 1):
        named = sorted(others or parts)
        more = f" and {len(named) - 3} more" * (len(named) > 3)
        said.append(f"the tags release components, {', '.join(named[:3])}{more}: --components shows each")
    return said


def verify(repo: Repository, history: History, count: int) -> int:
    """Compare the first releases of random commits of HEAD with `git tag --contains`; return how many.

    The choice is seeded by HEAD. ProgramError names the first commit on which the two disagree.
    """
    import random

    graph = history.graph
    found = labels(graph, history.deployments)
    reached = [commit for commit, place in enumerate(graph.label([history.head])) if place == 0]
    chosen = random.Random(history.refs.head).sample(reached, min(count, len(reached)))  # noqa: S311
    places = {one.name: place for place, one in enumerate(history.deployments)}
    for commit in chosen:
        sha = graph.shas[commit]
        listed = repo.run("for-each-ref", "--format=%(refname)", f"--contains={sha}", "refs/tags", env=PINNED)
        names = (os.fsdecode(line).removeprefix("refs/tags/") for line in listed.splitlines())
        expected = min((places[name] for name in names if name in places), default=NONE)
        if expected != found[commit]:
            ours, theirs = (
                history.deployments[place].name if place >= 0 else "no release"
                for place in (found[commit], expected)
            )
            raise ProgramError(
                f"{sha} first went out with {shown(ours)}, and git says with {shown(theirs)}",
                why="every commit is counted once, with its first release",
                hint=f"git tag --contains {sha}",
            )
    return len(chosen)


class Kept:
    """What earlier runs measured, in the repository's cache: one entry for each set of wishes."""

    def __init__(self, repo: Repository, refs: Refs, records: Records, wishes: object) -> None:
        """Look for what was measured of these refs; HEAD or a tag that moved makes it worthless."""
        from pytest_bugsle.store.cache import open_cache
        from pytest_bugsle.store.place import state_folder

        folder = state_folder(repo.top, bare=repo.is_bare)
        # The work tree of a bare repository is nowhere: our folder is not in its tree.
        self.cache, _ = open_cache(folder, lambda path: not repo.is_bare and records.tracks(path))
        self._key = hashlib.sha256(repr(wishes).encode("utf-8", "surrogatepass")).hexdigest()
        self._state = f"{__version__} {_VERSION} {refs.digest} ".encode()

    def get(self) -> tuple[Measured, list[str]] | None:
        """Return the values and the notes, None where they are not kept or of another state."""
        found = self.cache.get(_ROOM, self._key)
        if found is None or not found.startswith(self._state):
            return None
        try:
            return msgspec.msgpack.decode(found[len(self._state) :], type=tuple[Measured, list[str]])
        except msgspec.DecodeError:
            return None

    def put(self, measured: Measured, said: list[str]) -> None:
        """Keep them, in place of what was measured of another state."""
        with suppress(UnicodeEncodeError):  # a tag whose name is no UTF-8
            self.cache.put(_ROOM, self._key, self._state + msgspec.msgpack.encode((measured, said)))


def measured_of(
    repo: Repository,
    wanted: Wanted,
    settings: Settings,
    check: int = 0,
    recorded: Recorded | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> tuple[Measured, list[str], int]:
    """Return what a repository's window holds, the notes to it, and how many commits were verified.

    What was measured before of the same HEAD and tags is taken from the cache, unless commits are to be
    checked. UndecidedError where there is nothing to measure, ProgramError where git disagrees, UsageError for
    a record that cannot be read.
    """
    refs = read_refs(repo)
    records = read_records(repo)
    told = (settings.tag_pattern, settings.components, settings.fix_patterns, settings.no_fix_patterns)
    # The steps of the trend are made from what is kept.
    kept = Kept(
        repo, refs, records, (structs.replace(wanted, by="month"), told, recorded, records.files is None)
    )
    # A file of deployments goes before the tags, and so does the mainline.
    by_tags = recorded is None and not wanted.mainline
    strayed = moved_tags(repo, refs, settings.tag_pattern, records, kept.cache) if by_tags else []
    if not check and (found := kept.get()) is not None:
        return found[0], [*found[1], *strayed], 0
    history, said = deployed(repo, refs, wanted, settings, recorded)
    laid_out = outline(history.graph, history.head, history.deployments, wanted, history.only)
    measured = measure(
        history.graph,
        history.mentions,
        history.head,
        history.deployments,
        wanted,
        refs.tags,
        laid_out,
        copies_of(repo, history, laid_out, wanted.changes),
    )
    from pytest_bugsle.delivery.ladder import climb

    evidence, missing, whole = evidence_of(
        repo, history.graph, history.mentions, laid_out, wanted, settings, records, kept.cache, say
    )
    if wanted.component is not None and evidence.incidents:
        evidence = evidence._replace(incidents=own_incidents(evidence.incidents, history))
    measured, problems = climb(history.graph, history.mentions, laid_out, measured, evidence)
    if wanted.component is not None:
        problems = []  # a record of another component names nothing here: that is no slip
    deployed_by: Literal["tags", "mainline", "file"] = (
        "file" if recorded else "mainline" if wanted.mainline else "tags"
    )
    measured = structs.replace(measured, deployed_by=deployed_by)
    said += [*missing, *problems]
    if whole:  # what was not fetched may be here the next time
        kept.put(measured, said)
    return measured, [*said, *strayed], verify(repo, history, check) if check else 0


def deployed(
    repo: Repository, refs: Refs, wanted: Wanted, settings: Settings, recorded: Recorded | None
) -> tuple[History, list[str]]:
    """Read the history with the deployments that count, and what is to be said of those that do not."""
    pattern, component = settings.tag_pattern, wanted.component
    if component is not None:
        if recorded is not None or wanted.mainline:
            raise UsageError(
                f"--component {component}: the releases of a component are its tags",
                why="a file of deployments and the mainline are of the whole repository",
                hint="leave out --component, --mainline and --deployments, and `deployments` of the settings",
            )
        history = read_history(repo, refs, pattern, component=component)
        only, paths = touching(repo, history, component, settings.components)
        return replace(history, only=only), [f"component {component}: {len(only)} commits changed {paths}"]
    if recorded is not None:
        from pytest_bugsle.delivery.deployments import choose, parse_deployments

        rows = parse_deployments(recorded.content, recorded.name)
        named = (repo.resolve(name) for name in {row.commit for row in rows})
        history = read_history(repo, refs, pattern, (sha for sha in named if sha is not None))
        chosen = choose(rows, history.graph, environment=recorded.environment, name=recorded.name)
        said = list(chosen.said)
        if not chosen.deployments:
            said.append(f"{recorded.name} has no deployment of a commit that is here")
        return replace(history, deployments=list(chosen.deployments)), said
    history = read_history(repo, refs, pattern)
    if wanted.mainline:
        return replace(history, deployments=mainline_of(history.graph, history.head)), []
    return history, tag_notes(refs, history.deployments, pattern)
