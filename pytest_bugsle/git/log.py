"""Read commits, their trailers and what they changed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.command import shown
from pytest_bugsle.git.diff import DIFF_OPTIONS, Change, parse_raw

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

# A message cannot hold a NUL (git ends it there), so a fixed count of NUL-ended fields needs no escaping.
_FIELDS = ("%H", "%P", "%T", "%an", "%ae", "%at", "%ct", "%s", "%b", "%(trailers:only=true,unfold=true)")
_FORMAT = "--format=tformat:" + "%x00".join(_FIELDS)


class Commit(msgspec.Struct, frozen=True):
    """One commit; `changes` are against the first parent, for a root against the empty tree.

    Where a shallow clone cuts the parents off (`cut`), nobody knows what the commit changed: `parents`
    and `changes` are empty.
    """

    sha: str
    parents: tuple[str, ...]
    tree: str
    author: str
    author_email: str
    author_time: int
    commit_time: int
    subject: str
    body: str
    trailers: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    cut: bool = False


def read_log(
    repo: Repository,
    base: str | None,
    head: str,
    *,
    first_parent: bool = False,
    limit: int | None = None,
    changes: bool = True,
) -> list[Commit]:
    """Give the commits of base..head (all up to `head` without a base), newest first."""
    args = ["log", "-z", _FORMAT, "--encoding=UTF-8", "--no-patch", "--no-notes"]
    if first_parent:
        args.append("--first-parent")
    if limit is not None:
        args.append(f"--max-count={max(limit, 0)}")
    args += ["--end-of-options", _commit(repo, head)]
    if base is not None:
        args.append("^" + _commit(repo, base))
    shallow = repo.shallow_commits()
    commits = list(parse_log(repo.run(*args, "--"), shallow))
    if not changes:
        return commits
    found = first_parent_changes(repo, (commit for commit in commits if not commit.cut))
    return [replace(commit, changes=tuple(found.get(commit.sha, ()))) for commit in commits]


def read_commits(repo: Repository, shas: Sequence[str]) -> list[Commit]:
    """Give commits by their full names, in that order; without changes."""
    if not shas:
        return []
    options = ("log", "-z", _FORMAT, "--encoding=UTF-8", "--no-patch", "--no-notes", "--no-walk=unsorted")
    named = "".join(f"{sha}\n" for sha in shas).encode("ascii")
    return list(parse_log(repo.run(*options, "--stdin", input=named), repo.shallow_commits()))


def parse_log(out: bytes, shallow: frozenset[str] = frozenset()) -> Iterator[Commit]:
    """Read what `git log -z` printed in our format; without changes."""
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    for start in range(0, len(fields) - len(_FIELDS) + 1, len(_FIELDS)):
        record = fields[start : start + len(_FIELDS)]
        sha, parents, tree, author, email, authored, committed, subject, body, trailers = record
        yield Commit(
            sha,
            tuple(parents.split()),
            tree,
            author,
            email,
            _seconds(authored),
            _seconds(committed),
            subject,
            body.removesuffix("\n"),
            tuple(parse_trailers(trailers)),
            (),
            sha in shallow,
        )


def parse_trailers(text: str) -> Iterator[tuple[str, str]]:
    """Read the trailers as git prints them: one a line, `key: value`."""
    for line in text.split("\n"):
        key, separator, value = line.partition(":")
        if separator:
            yield key.strip(), value.strip()


def first_parent_changes(repo: Repository, commits: Iterable[Commit]) -> dict[str, list[Change]]:
    """Give what each commit changed against its first parent, in one git call."""
    # The parent is named on the line, so that a merge is compared with the first one in every git.
    lines = [" ".join((commit.sha, *commit.parents[:1])) for commit in commits]
    if not lines:
        return {}
    out = repo.run(
        "diff-tree", "--stdin", "--root", *DIFF_OPTIONS, input="".join(f"{x}\n" for x in lines).encode()
    )
    found: dict[str, list[Change]] = {}
    for sha, change in parse_raw(out):
        found.setdefault(sha, []).append(change)
    return found


def changed_paths(repo: Repository, shas: Sequence[str]) -> dict[str, list[str]]:
    """Give the paths that each commit (by its full name, no merge) changed; a rename is two."""
    if not shas:
        return {}
    options = ("-r", "-z", "--root", "--name-only", "--no-renames", "--always", "--ignore-submodules=none")
    named = "".join(f"{sha}\n" for sha in shas).encode("ascii")
    found: dict[str, list[str]] = {}
    wanted, paths = set(shas), []
    for field in repo.run("diff-tree", "--stdin", *options, input=named).split(b"\0")[:-1]:
        path = os.fsdecode(field)
        # Each commit is named before its paths, and only once.
        if path in wanted and path not in found:
            paths = found[path] = []
        else:
            paths.append(path)
    return found


def _commit(repo: Repository, ref: str) -> str:
    sha = repo.resolve(ref)
    if sha is None:
        raise UsageError(
            f"{shown(ref)} names no commit of this repository",
            why="a range needs two commits that are here",
            hint="`git fetch` brings what the remote has; `git branch -a` lists the names",
        )
    return sha


def _seconds(text: str) -> int:
    return int(text) if text.lstrip("-").isdecimal() else 0
