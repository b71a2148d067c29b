"""Read what tags say beside when a release was: moves, components, copies.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pytest_bugsle.delivery.components import paths_of
from pytest_bugsle.delivery.copies import picked_pairs, same_patches
from pytest_bugsle.delivery.links import Names
from pytest_bugsle.delivery.moved import LOCK, format_lock, moved, parse_lock, sentence
from pytest_bugsle.delivery.releases import named_releases
from pytest_bugsle.delivery.sources import read_records
from pytest_bugsle.errors import UndecidedError, UsageError
from pytest_bugsle.git.patches import patch_ids
from pytest_bugsle.git.stream import PINNED

if TYPE_CHECKING:
    from pytest_bugsle.delivery.copies import Pair
    from pytest_bugsle.delivery.figures import Outline
    from pytest_bugsle.delivery.gather import History, Refs
    from pytest_bugsle.delivery.incidents import Incident
    from pytest_bugsle.delivery.sources import Records
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.store.cache import Cache

_ROOM = "delivery"
_KEY = "tags"


def moved_tags(
    repo: Repository, refs: Refs, pattern: str | None, records: Records, cache: Cache
) -> list[str]:
    """Say which release tags name another commit than the lock file at HEAD has, or than when first read here.

    What is read for the first time is kept. UsageError for a lock file that cannot be read.
    """
    now = named_releases(refs.tags, pattern)
    data = cache.get(_ROOM, _KEY) or b""
    before = parse_lock(data)
    if not now.keys() <= before.keys():
        cache.put(_ROOM, _KEY, format_lock(now | before))
    blob = (records.files or {}).get(LOCK)
    if blob is not None:
        try:
            before |= parse_lock(repo.blob(blob))
        except UndecidedError as error:
            return [f"{LOCK} is not read: {error.what}"]
    found = moved(before, now)
    return [sentence(found)] if found else []


def lock_tags(repo: Repository, refs: Refs, pattern: str | None) -> str:
    """Write which commits the release tags name into the lock file, and take them as right here, too; say so."""
    if repo.is_bare:
        raise UsageError(
            "a bare repository has no place for a file that is to be committed",
            why=f"--lock-tags writes {LOCK} into the work tree",
            hint="run it in a clone with a work tree",
        )
    from pytest_bugsle.store.cache import open_cache
    from pytest_bugsle.store.place import state_folder, write_committed

    now = named_releases(refs.tags, pattern)
    write_committed(repo.top / LOCK, format_lock(now))
    cache, _ = open_cache(state_folder(repo.top, bare=False), read_records(repo).tracks)
    cache.put(_ROOM, _KEY, format_lock(now))
    return f"written: {LOCK}, {len(now)} release tag{'s' * (len(now) != 1)}; it counts once it is committed"


def touching(
    repo: Repository, history: History, component: str, table: Mapping[str, Sequence[str]]
) -> tuple[frozenset[int], str]:
    """Return the commits that change a component's paths, and those paths in words.

    UndecidedError where trees were not fetched, UsageError where no path is known.
    """
    folders: list[str] = []
    if not table.get(component):
        listed = repo.run("ls-tree", "-r", "-d", "-z", "--name-only", "--full-tree", "HEAD")
        folders = [os.fsdecode(name) for name in listed.split(b"\0")[:-1]]
    paths = paths_of(component, folders, table)
    tips = {history.refs.head, *(history.graph.shas[one.commit] for one in history.deployments)}
    # Without --full-history a side branch whose result was made twice would be left out.
    walk = ("--literal-pathspecs", "rev-list", "--full-history", "--stdin", "--", *paths)
    out = repo.run(*walk, input="".join(f"{tip}\n" for tip in sorted(tips)).encode(), env=PINNED).decode()
    graph = history.graph
    found = {graph.index[sha] for sha in out.split() if sha in graph.index}
    # A merge changes what it does to its first parent: to the other it brings the whole mainline.
    merges = [commit for commit in found if graph.is_merge(commit)]
    asked = "".join(f"{graph.shas[commit]} {graph.shas[graph.parents[commit][0]]}\n" for commit in merges)
    compare = ("--literal-pathspecs", "diff-tree", "--stdin", "-r", "--", *paths)
    changing = repo.run(*compare, input=asked.encode(), env=PINNED) if merges else b""
    kept = {
        graph.index[sha] for sha in re.findall(r"^[0-9a-f]{40,64}$", changing.decode("latin-1"), re.MULTILINE)
    }
    found -= set(merges) - kept
    shown = ", ".join(paths[:3]) + f" and {len(paths) - 3} more" * (len(paths) > 3)
    return frozenset(found), shown


def copies_of(
    repo: Repository, history: History, laid_out: Outline, asked: Literal["trailers", "patches"] | None
) -> list[Pair] | None:
    """Return which commits are copies of which; None where nobody asked.

    Patches are compared of what the window holds, and of what was committed in it and is not in HEAD.
    """
    if asked is None:
        return None
    graph = history.graph
    pairs = picked_pairs(graph, history.mentions.picked)
    if asked == "patches":
        first = next((n for n, one in enumerate(laid_out.known) if one.time >= laid_out.start), None)
        wanted = [
            commit
            for commit, (label, time) in enumerate(zip(laid_out.labels, graph.commit_times, strict=True))
            if len(graph.parents[commit]) < 2
            and laid_out.has(graph, commit)
            and (time >= laid_out.start or (first is not None and label >= first))
        ]
        lines = [(graph.shas[c], *(graph.shas[above] for above in graph.parents[c])) for c in wanted]
        pairs += same_patches({graph.index[sha]: id_ for sha, id_ in patch_ids(repo, lines).items()})
    return pairs


def own_incidents(incidents: Sequence[Incident], history: History) -> list[Incident]:
    """Return the incidents that name a deployment or a commit of the component as their cause.

    One without a cause may be of any component: for the whole repository it counts.
    """
    names = Names(history.graph, history.deployments)

    def is_own(name: str) -> bool:
        return names.deployment(name) is not None or names.commit(name) in (history.only or ())

    return [incident for incident in incidents if any(map(is_own, incident.caused_by))]
