"""Which commits are under test: a range, commits by name, or the uncommitted change.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.errors import UndecidedError, UsageError
from pytest_bugsle.git.log import Commit, read_log
from pytest_bugsle.history.ranges import RangeChoice, choose_range
from pytest_bugsle.results import Range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.history.units import Unit
    from pytest_bugsle.regression.gather import Surveyor

Scope = tuple[Range, "Sequence[Commit]", "tuple[Unit, ...]"]


def ranged(
    repo: Repository,
    surveyor: Surveyor,
    environ: Mapping[str, str],
    *,
    range_option: str | None,
    base_option: str | None,
) -> Scope:
    """Return the range under test: the one that was asked for, else what CI or the branch says."""
    choice = choose_range(
        Refs.of(repo),
        environ,
        _event(environ),
        range_option=range_option,
        base_option=base_option,
    )
    commits = read_log(repo, choice.base, choice.head)
    units = surveyor.units(
        commits,
        lambda: surveyor.ground(repo.tree_of(choice.head)),
        base=choice.base,
        head=choice.head,
        title=choice.title,
        description=choice.description,
        on_mainline=not _is_branch(choice),
    )
    return Range(base=choice.base, head=choice.head, why=choice.why, commits=len(commits)), commits, units


def _is_branch(choice: RangeChoice) -> bool:
    return choice.source in ("github-pull-request", "gitlab-merge-request") or choice.title is not None


def commit_named(repo: Repository, name: str, *, why: str) -> str:
    """Return the commit that a user named; UsageError, with `why` it is needed, where there is none."""
    sha = repo.resolve(name)
    if sha is None:
        raise UsageError(
            f"{name!a} names no commit of this repository.",
            why=why,
            hint="`git log --oneline`, `git tag` and `git branch -a` list them; "
            "`git fetch --tags` brings what the remote has.",
        )
    return sha


def named(repo: Repository, surveyor: Surveyor, names: Sequence[str]) -> Scope:
    """Return the commits with these names, whatever they are judged to be."""
    commits: list[Commit] = []
    units: list[Unit] = []
    for name in names:
        sha = commit_named(repo, name, why="only a commit that is here can be judged.")
        commit = read_log(repo, None, sha, limit=1)[0]
        if commit.cut:
            raise UndecidedError(
                f"the parent of {sha[:10]} is not in this shallow clone.",
                why="what the commit changed cannot be known without it.",
                hint="git fetch --unshallow",
            )
        commits.append(commit)
        base = commit.parents[0] if commit.parents else None
        units += surveyor.units([commit], partial(surveyor.ground, commit.tree), base=base, head=sha)
    first = commits[-1]
    why = "named" if len(commits) == 1 else "named commits"
    base = first.parents[0] if first.parents else None
    return Range(base=base, head=commits[0].sha, why=why, commits=len(commits)), commits, tuple(units)


def uncommitted(repo: Repository, surveyor: Surveyor, acquire: Callable[[], Pool]) -> Scope | None:
    """Return the uncommitted change as a commit of its own; None where there is none."""
    head = repo.head().sha
    if head is None or repo.is_bare:
        return None
    pool = acquire()
    tree = pool.snapshot()
    if tree == repo.tree_of(head):
        return None
    from pytest_bugsle.git.diff import changes

    commit = Commit(
        sha=tree,
        parents=(head,),
        tree=tree,
        author="",
        author_email="",
        author_time=0,
        commit_time=0,
        subject="the uncommitted change",
        body="",
        trailers=(),
        changes=changes(pool.repo, head, tree),
    )
    surveyor.ground(tree, pool.repo)
    units = surveyor.units([commit], partial(surveyor.ground, tree), base=head, head=tree)
    return Range(base=head, head=tree, why="the uncommitted change", commits=1), [commit], units


def touches_source(surveyor: Surveyor, commits: Sequence[Commit]) -> bool:
    """Say whether any of these commits changes the source side."""
    return any(surveyor.ground(commit.tree).source(commit.changes) for commit in commits)


class Refs(msgspec.Struct, frozen=True):
    """What `history.ranges` asks of a repository."""

    repo: Repository
    head: str | None
    branch: str | None
    upstream: str | None
    remotes: Sequence[str]
    init_default_branch: str | None
    shallow: bool
    shallow_commits: frozenset[str]

    @classmethod
    def of(cls, repo: Repository) -> Refs:
        """Read a repository's refs."""
        head = repo.head()
        upstream = ""
        if head.branch is not None and repo.config(f"branch.{head.branch}.merge") is not None:
            name = f"refs/heads/{head.branch}"
            found = repo.run("for-each-ref", "--format=%(upstream:short)", "--", name)
            upstream = found.decode("utf-8", "surrogateescape").strip()
        return cls(
            repo,
            head.sha,
            head.branch,
            upstream or None,
            repo.remotes(),
            repo.config("init.defaultBranch"),
            repo.is_shallow(),
            repo.shallow_commits(),
        )

    def resolve(self, ref: str) -> str | None:
        """Return the commit that a ref names."""
        return self.repo.resolve(ref)

    def merge_base(self, a: str, b: str) -> str | None:
        """Return the best common ancestor."""
        return self.repo.merge_base(a, b)

    def is_ancestor(self, a: str, b: str) -> bool:
        """Say whether `a` is contained in `b`."""
        return self.repo.is_ancestor(a, b)


def _event(environ: Mapping[str, str]) -> Mapping[str, object] | None:
    from pathlib import Path

    path = environ.get("GITHUB_EVENT_PATH")
    if not path or not environ.get("GITHUB_ACTIONS"):
        return None
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UndecidedError(
            f"GitHub's event file {path} cannot be read: {error}",
            why="it names the commits of the pull request.",
            hint="give the range yourself: --bugsle-base origin/main",
        ) from error
    return event if isinstance(event, dict) else None
