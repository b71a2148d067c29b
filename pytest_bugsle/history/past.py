"""What a repository's past holds: every commit, read once and kept.  PYTEST_DONT_REWRITE

Replace refs and grafts are followed, as git itself follows them: where a project joined its old history to
the new one by them, it is the project's history. A change of them, or of where a shallow clone is cut,
makes what was kept worthless, and it is read anew.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.errors import ProgramError, UndecidedError
from pytest_bugsle.git.log import read_log
from pytest_bugsle.history import signs
from pytest_bugsle.history.judgement import NO_POLICY, Answer, Policy, judge
from pytest_bugsle.history.units import facts_of
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from pytest_bugsle.git.log import Commit
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.store.cache import Cache

_ROOM = "past"
_VERSION = 2
MOST_COMMITS = 50_000
"""The newest that are read; of older ones nothing is known."""
MOST_CHANGES = 100
"""Of a commit with more changes only the count and the renames are kept: it says nothing of any one file."""
_MOST_RENAMES = 10_000
_LONGEST_SUBJECT = 200
_LATEST = 253_402_300_799
"""The last second of the year 9999: a commit can claim any time."""
_IGNORED = ".git-blame-ignore-revs"

_FORMATTING = lazy_pattern(
    r"\A(?:style|sty|cln)(?:\([^)]*\))?!?:"
    r"|\b(?:blacken(?:ed|ing)?|isort(?:ed)?|yapf|autopep8|autoflake|pyupgrade|clang-format|docformatter)\b"
    r"|\b(?:run|ran|running|appl(?:y|ied|ying)|using|use|with|via|by|through) (?:the )?(?:black|ruff)\b"
    r"|\A(?:black|ruff)\b"
    r"|\bre-?format(?:s|ted|ting)?\b|\bauto-?format|\bre-?indent"
    r"|\b(?:code|source) (?:formatting|style)\b|\bformat (?:the )?(?:code|source|files|everything)\b"
    r"|\bpep-?8\b|\b(?:trailing|fix|strip|remove) white ?space",
    re.IGNORECASE,
)


class PastChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One changed file by the numbers of its paths; `old` is `path` but for renames, and -1 for a new file."""

    status: str
    path: int
    old: int


class PastCommit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One commit of the past. `files` counts what it changed, `changes` may hold less (`MOST_CHANGES`).

    `time` is the committer's, `authored` the author's, in seconds since the epoch.
    """

    sha: str
    parents: tuple[str, ...]
    person: int
    time: int
    authored: int
    subject: str
    answer: Answer
    formatting: bool
    files: int
    changes: tuple[PastChange, ...]

    @property
    def is_merge(self) -> bool:
        """Say whether it has more than one parent."""
        return len(self.parents) > 1

    @property
    def work(self) -> tuple[int, int]:
        """Give what a cherry-pick or a rebase leaves as it is: who wrote it, and when."""
        return self.person, self.authored

    @property
    def is_fix(self) -> bool:
        """Say whether its message alone makes it a bug fix."""
        return self.answer == "fix"


class Person(msgspec.Struct, frozen=True):
    """An author as the mailmap knows them."""

    name: str
    email: str
    is_bot: bool


class _Stored(msgspec.Struct, array_like=True, gc=False):
    view: str
    tip: str
    paths: list[bytes]
    people: list[bytes]
    commits: list[PastCommit]
    """Each after its parents."""


@dataclass(frozen=True)
class Past:
    """The commits reachable from `head`, newest first; paths and people by number.

    `listed` are the commits that the project's `.git-blame-ignore-revs` names. `is_cut` says that there
    are older commits which are not known: the clone is shallow, or the history longer than what is read.
    """

    head: str
    commits: tuple[PastCommit, ...]
    paths: tuple[str, ...]
    people: tuple[Person, ...]
    listed: frozenset[str] = frozenset()
    is_cut: bool = False

    def author(self, commit: PastCommit) -> Person:
        """Give the author of a commit."""
        return self.people[commit.person]

    def is_telling(self, commit: PastCommit) -> bool:
        """Say whether somebody changed these files for a reason: no merge, no bot, no formatting."""
        formatting = commit.formatting or commit.sha in self.listed
        return not (commit.is_merge or formatting or self.people[commit.person].is_bot)

    @cached_property
    def by_sha(self) -> dict[str, PastCommit]:
        """Map each sha to its commit."""
        return {commit.sha: commit for commit in self.commits}

    def until(self, commit: str | None) -> frozenset[str]:
        """Give the commits reachable from one, itself among them; none for None or an unknown one."""
        return _reachable(self.by_sha, commit)

    def lineages(
        self, base: str | None
    ) -> tuple[list[tuple[PastCommit, Mapping[int, int]]], Mapping[int, int]]:
        """Give the commits up to `base`, newest first, each with the files that it changed, renames followed.

        A file goes by the number of its path at `head`: each commit comes with a mapping of its own paths to
        that. The last mapping is the same for the paths at `base` that were renamed since.
        """
        old = self.until(base)
        today: dict[int, int] = {}
        for commit in self.commits:
            if commit.sha not in old:
                _rename_back(commit, today)
        at_base = dict(today)
        found: list[tuple[PastCommit, Mapping[int, int]]] = []
        for commit in self.commits:
            if commit.sha in old:
                found.append((commit, {c.path: today.get(c.path, c.path) for c in commit.changes}))
                _rename_back(commit, today)
        return found, at_base

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Map each path to its number."""
        return {path: number for number, path in enumerate(self.paths)}


def read_past(repo: Repository, head: str, cache: Cache, policy: Policy = NO_POLICY) -> Past:
    """Read the past of `head`; what an earlier call kept in `cache` is only added to.

    Raises UndecidedError where there is no commit, ProgramError where git fails.
    """
    sha = repo.resolve(head)
    if sha is None:
        raise UndecidedError(
            "there is no commit yet, or it is not here",
            why="what is likely to break is read from what was changed before",
            hint="commit something, or `git fetch` what the remote has",
        )
    key = f"{_VERSION}-{_digest(policy)}"
    view = _view(repo)
    stored = _load(cache.get(_ROOM, key), view)
    if stored is not None and repo.resolve(stored.tip) is None:
        stored = None
    kept = {commit.sha: commit for commit in stored.commits} if stored is not None else {}
    if stored is None or sha not in kept:
        new = read_log(repo, stored.tip if stored else None, sha, limit=MOST_COMMITS)
        stored = _extended(stored, kept, sha, view, new, policy)
        kept = {commit.sha: commit for commit in stored.commits}
        cache.put(_ROOM, key, msgspec.msgpack.encode(stored))
    reachable = _reachable(kept, sha)
    chosen = [commit for commit in stored.commits if commit.sha in reachable]
    return Past(
        sha,
        tuple(_newest_first(chosen)),
        tuple(map(os.fsdecode, stored.paths)),
        _people(repo, stored.people),
        _listed(repo, sha),
        repo.is_shallow() or any(p not in reachable for commit in chosen for p in commit.parents),
    )


def _extended(
    stored: _Stored | None,
    kept: dict[str, PastCommit],
    tip: str,
    view: str,
    new: Sequence[Commit],
    policy: Policy,
) -> _Stored:
    """Add commits, and drop what is no longer reachable: a branch that was rebased away."""
    paths = {path: number for number, path in enumerate(stored.paths)} if stored else {}
    people = {person: number for number, person in enumerate(stored.people)} if stored else {}
    every = dict(kept)
    for commit in _parents_first(new):
        if commit.sha not in every:
            every[commit.sha] = _kept(commit, paths, people, policy)
    reachable = _reachable(every, tip)
    return _Stored(view, tip, list(paths), list(people), [c for sha, c in every.items() if sha in reachable])


def _kept(commit: Commit, paths: dict[bytes, int], people: dict[bytes, int], policy: Policy) -> PastCommit:
    person = f"{commit.author} <{commit.author_email}>".encode("utf-8", "surrogateescape")
    changes = commit.changes
    if len(changes) > MOST_CHANGES:
        changes = tuple(change for change in changes if change.status == "R")[:_MOST_RENAMES]
    return PastCommit(
        commit.sha,
        commit.parents,
        people.setdefault(person, len(people)),
        min(max(commit.commit_time, 0), _LATEST),
        min(max(commit.author_time, 0), _LATEST),
        commit.subject[:_LONGEST_SUBJECT].encode("utf-8", "backslashreplace").decode(),
        judge(facts_of(commit), policy).answer,
        _FORMATTING.search(commit.subject[:_LONGEST_SUBJECT]) is not None,
        len(commit.changes),
        tuple(
            PastChange(
                change.status,
                paths.setdefault(os.fsencode(change.path), len(paths)),
                -1 if change.old_path is None else paths.setdefault(os.fsencode(change.old_path), len(paths)),
            )
            for change in changes
        ),
    )


def _parents_first(commits: Sequence[Commit]) -> Iterator[Commit]:
    """Order commits so that each comes after its parents: skewed clocks make git list them otherwise."""
    waiting = {commit.sha: commit for commit in commits}
    for start in reversed(commits):
        stack = [start.sha]
        while stack:
            commit = waiting.get(stack[-1])
            missing = [parent for parent in commit.parents if parent in waiting] if commit else []
            if missing:
                stack += missing
                continue
            stack.pop()
            if commit is not None:
                del waiting[commit.sha]
                yield commit


def _newest_first(commits: Sequence[PastCommit]) -> list[PastCommit]:
    """Order by time, then by the distance from the root: the same whatever was read when."""
    depth: dict[str, int] = {}
    for commit in commits:
        depth[commit.sha] = 1 + max((depth.get(parent, 0) for parent in commit.parents), default=0)
    return sorted(commits, key=lambda c: (-c.time, -depth[c.sha], c.sha))


def _reachable(commits: dict[str, PastCommit], start: str | None) -> frozenset[str]:
    if start is None or start not in commits:
        return frozenset()
    seen = {start}
    stack = [start]
    while stack:
        for parent in commits[stack.pop()].parents:
            if parent not in seen and parent in commits:
                seen.add(parent)
                stack.append(parent)
    return frozenset(seen)


def _rename_back(commit: PastCommit, today: dict[int, int]) -> None:
    """Take a commit's renames back. No path is both an old one and a new one: git pairs what went with what came."""
    for change in commit.changes:
        if change.status == "R":
            today[change.old] = today.get(change.path, change.path)


def _digest(policy: Policy) -> str:
    said = (
        [pattern.pattern for pattern in policy.fix],
        [pattern.pattern for pattern in policy.no_fix],
        sorted(policy.tracker.items()),
        policy.home,
    )
    return hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _view(repo: Repository) -> str:
    """Say what makes git see another history over the same objects."""
    grafts = repo.common_dir / "info" / "grafts"
    said = (
        sorted(repo.shallow_commits()),
        sorted(repo.refs("refs/replace/").items()),
        grafts.read_bytes() if grafts.is_file() else b"",
    )
    return hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _load(value: bytes | None, view: str) -> _Stored | None:
    if value is None:
        return None
    try:
        stored = msgspec.msgpack.decode(value, type=_Stored)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
    paths, people = len(stored.paths), len(stored.people)
    whole = all(
        0 <= commit.person < people and all(0 <= c.path < paths and c.old < paths for c in commit.changes)
        for commit in stored.commits
    )
    return stored if whole and stored.view == view else None


def _people(repo: Repository, raw: Sequence[bytes]) -> tuple[Person, ...]:
    """Name the authors as the mailmap does; without its answer, as the commits do."""
    try:
        told = repo.run("check-mailmap", "--stdin", input=b"".join(person + b"\n" for person in raw))
        mapped = told.split(b"\n")[:-1] if raw else []
    except ProgramError:
        mapped = []
    return tuple(map(_person, mapped if len(mapped) == len(raw) else raw))


def _person(raw: bytes) -> Person:
    name, _, email = raw.decode("utf-8", "backslashreplace").rpartition("<")
    name, email = name.strip(), email.removesuffix(">")
    return Person(name or email, email, signs.bot(name, email) != "")


def _listed(repo: Repository, head: str) -> frozenset[str]:
    """Read the commits that the project wants blame to pass over."""
    listed = repo.run("ls-tree", "--full-tree", "--end-of-options", head, "--", _IGNORED)
    kind = listed.partition(b"\t")[0].split()
    if len(kind) != 3 or kind[1] != b"blob":
        return frozenset()
    lines: Iterable[bytes] = repo.blob(kind[2].decode()).splitlines()
    names = (line.split(b"#")[0].strip() for line in lines)
    return frozenset(name.decode() for name in names if re.fullmatch(rb"[0-9a-f]{40,64}", name))
