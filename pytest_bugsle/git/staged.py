"""Read what is staged, without a write to the user's repository.  PYTEST_DONT_REWRITE

The index is copied, and the trees that it stands for are written to a folder of our own: git would
otherwise write them, and the time of each object that it finds, into the user's repository.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.command import shown
from pytest_bugsle.git.diff import DIFF_OPTIONS, Change, parse_raw
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.git.worktree import quoted

# A split index would leave a part of itself in the user's git directory.
_WHOLE = ("-c", "core.splitIndex=false")


@dataclass(frozen=True, slots=True)
class Staged:
    """A repository that also holds the staged tree, and that tree's name."""

    repo: Repository
    tree: str


def index_of(repo: Repository, environ: Mapping[str, str]) -> Path:
    """Return the index that git is about to commit; `git commit -a` gives its hooks another than the user's.

    git names it from the top of the work tree, where it starts its hooks.
    """
    named = environ.get("GIT_INDEX_FILE")
    if named and (index := repo.top / named).is_file():
        return index
    return repo.git_dir / "index"


def staged_changes(repo: Repository, base: str, index: Path) -> tuple[Change, ...]:
    """Give the files that differ between a commit or tree and what is staged; renames are followed."""
    out = repo.run(
        "diff-index",
        "--cached",
        "--ita-invisible-in-index",  # `git add -N` only says that a file will be added
        *DIFF_OPTIONS,
        "--end-of-options",
        base,
        env={"GIT_INDEX_FILE": str(index)},
    )
    found = tuple(change for _, change in parse_raw(out))
    unmerged = sorted(change.path for change in found if change.status == "U")
    if unmerged:
        raise UndecidedError(
            f"a merge is unfinished: {shown(unmerged[0])}",
            why="a file with conflicts is not what anybody wants to commit",
            hint="resolve them and `git add` them, or `git merge --abort`",
        )
    return found


@contextmanager
def staged_tree(repo: Repository, index: Path) -> Iterator[Staged]:
    """Give what is staged as a tree; it is gone afterwards, and was never in the user's repository."""
    with tempfile.TemporaryDirectory(prefix="bugsle-staged-") as name:
        folder = Path(name)
        objects = folder / "objects"
        objects.mkdir()
        copy = folder / "index"
        if index.is_file():
            shutil.copyfile(index, copy)
        where = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_INDEX_FILE": str(copy)}
        # The user's objects stay out of sight: git touches the time of what it finds instead of writing it.
        tree = repo.run(*_WHOLE, "write-tree", "--missing-ok", env=where).decode("ascii").strip()
        both = Repository(
            repo.top,
            repo.git_dir,
            repo.common_dir,
            is_bare=repo.is_bare,
            object_format=repo.object_format,
            env={
                "GIT_OBJECT_DIRECTORY": str(objects),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.fsdecode(quoted(repo.common_dir / "objects")),
            },
        )
        try:
            yield Staged(both, tree)
        finally:
            both.close()
