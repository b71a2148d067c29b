"""Keep warm work trees outside the user's repository and switch them fast.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pytest_bugsle.errors import ProgramError
from pytest_bugsle.git import carry, slots, trees
from pytest_bugsle.git.repository import Entry, Repository
from pytest_bugsle.git.snapshot import take_snapshot
from pytest_bugsle.git.worktree import Facade, make_git_dir, remove_bytecode, tidy

_MOST_OBJECTS = 27  # in one of 256 folders: about the 6,700 at which git itself would pack


class Pool:
    """Work trees over the user's objects in one locked slot; nothing is written to the user's repository.

    The lock is a file descriptor (`lock`). Hand it to every process that may write into the slot
    (`subprocess` takes `pass_fds=(pool.lock,)`): then the slot stays locked until the last of them has
    ended, even when this process is killed.
    """

    def __init__(self, user: Repository, slot: slots.Slot) -> None:
        self.user = user
        self.root = slot.root
        self.folder = slot.folder
        self.lock = slot.lock
        self._held = () if sys.platform == "win32" else (slot.lock,)
        self.scratch = slot.folder / "scratch"
        self.left_out: tuple[str, ...] = ()
        self._git_dir = slot.folder / "pool.git"
        self._snapshot_dir = slot.folder / "snapshot.git"
        self._objects = self._git_dir / "objects"
        self._uncopied: set[str] = set()
        self._loads: dict[tuple[tuple[str, ...], tuple[str, ...]], carry.Load] = {}
        self._carried: dict[str, dict[str, carry.Signature]] = {}
        self._facade: Facade | None = None
        self._mark = slot.folder / "in-use"
        if self._is_overgrown():
            for path in slot.folder.iterdir():
                slots.remove(path)
        self._make()
        self.repo = Repository(
            self._git_dir,
            self._git_dir,
            self._git_dir,
            is_bare=True,
            object_format=user.object_format,
            partial=user.is_partial(),
            env=self._environment(),
            pass_fds=self._held,
        )

    @classmethod
    def acquire(cls, repo: Repository, root: Path | None = None) -> Self:
        """Lock a slot for the repository; `root` is the folder of all pools (default: the user's cache)."""
        place = slots.default_root(os.environ) if root is None else Path(os.path.abspath(root))
        slot = slots.take(place, repo.common_dir)
        try:
            slots.sweep(place, time.time())
            with slots.explained(place):
                return cls(repo, slot)
        except BaseException:
            os.close(slot.lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the slot; its work trees stay warm for the next run."""
        self.repo.close()
        if self.lock >= 0:
            self._mark.unlink(missing_ok=True)
            os.close(self.lock)
            self.lock = -1

    @property
    def uncopied(self) -> tuple[str, ...]:
        """Name what git does not hold and was too much, or impossible, to copy into the work trees."""
        return tuple(sorted(self._uncopied))

    def snapshot(self) -> str:
        """Give the tree of the user's work tree with its uncommitted changes; see `left_out` after it."""
        with slots.explained(self.root):
            taken = take_snapshot(
                self.user, self._snapshot_dir, self.folder / "snapshot.index", self.root, self._held
            )
        self.left_out = taken.left_out
        return taken.tree

    def write_tree(self, base_tree: str, edits: Mapping[str, tuple[str, bytes] | None]) -> str:
        """Give `base_tree` with some paths set to (mode, content), or deleted by None."""
        with slots.explained(self.root):
            return trees.write_tree(self.repo, self._objects, base_tree, edits)

    def checkout(
        self,
        name: str,
        tree: str,
        commit: str | None,
        *,
        copy_roots: tuple[str, ...] = (),
        copy_extra: tuple[str, ...] = (),
    ) -> Path:
        """Switch the named work tree to `tree`, remove all dirt, copy in what git ignores; HEAD is `commit`.

        Ignored files come from below `copy_roots` (default: everywhere) and from `copy_extra`, which may
        name what is else never copied (`.env`).
        """
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,30}", name) or name in ("scratch", "pool", "snapshot"):
            raise ProgramError(f"{name!a} is no name for a work tree")
        with slots.explained(self.root):
            where = self.folder / name / self._basename()
            listing = self.repo.listing(tree)
            loads = self._to_carry(listing, copy_roots, copy_extra)
            try:
                self._switch(name, where, tree, listing, loads)
            except (OSError, ProgramError):
                # Whatever a kill, a full disk or a test left there: once more from nothing.
                slots.remove(self.folder / name)
                (self.folder / f"{name}.index").unlink(missing_ok=True)
                self._switch(name, where, tree, listing, loads)
            if self._facade is None:
                self._facade = Facade(self.user, self._objects)
            self._facade.build(where, self.folder / f"{name}.git", self.folder / f"{name}.index", commit)
        return where

    def _switch(
        self, name: str, where: Path, tree: str, listing: dict[str, Entry], loads: list[carry.Load]
    ) -> None:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        index = self.folder / f"{name}.index"
        index.with_name(index.name + ".lock").unlink(missing_ok=True)  # ours to delete: we hold the slot
        carried = self._carried.setdefault(name, {})
        wanted = {path for load in loads for path in load.files if path not in listing}
        for path in carried.keys() - wanted:
            del carried[path]
        tidy(where, listing, carried)
        self.repo.run(
            "-C",
            str(where),
            "read-tree",
            "-u",
            "--reset",
            tree,
            env={"GIT_DIR": str(self._git_dir), "GIT_WORK_TREE": str(where), "GIT_INDEX_FILE": str(index)},
        )
        remove_bytecode(where, listing)
        for path in sorted(wanted - carried.keys()):
            copied = carry.copy(path, self.user.top, where)
            if copied is None:
                self._uncopied.add(path)
            else:
                carried[path] = copied
        self._uncopied.update(path for path, done in carry.lfs_content(self.user, where, listing) if not done)

    def _to_carry(
        self, listing: dict[str, Entry], roots: tuple[str, ...], extra: tuple[str, ...]
    ) -> list[carry.Load]:
        if self.user.is_bare:
            return []
        if (roots, extra) not in self._loads:
            self._loads[roots, extra] = carry.ignored(self.user, roots, extra, self.root)
        loads = [self._loads[roots, extra]]
        for path, entry in listing.items():
            if entry.mode == "160000":
                loads.append(carry.submodule(self.user.top, path, self.root))
        for load in loads:
            self._uncopied.update(load.left_out)
        return loads

    def _basename(self) -> str:
        top = self.user.top
        name = top.parent.name if top.name == ".git" else top.name.removesuffix(".git")
        return name or "repository"

    def _environment(self) -> dict[str, str]:
        return {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            # Before 2.32 git knows no GIT_CONFIG_GLOBAL, and it reads attributes from there in any version.
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
        }

    def _is_overgrown(self) -> bool:
        return any(
            len(list((git_dir / "objects" / "17").glob("*"))) > _MOST_OBJECTS
            for git_dir in (self._git_dir, self._snapshot_dir)
        )

    def _make(self) -> None:
        if self._mark.exists():  # a run was killed, or the power failed: its objects may be half written
            slots.remove(self._git_dir)
            slots.remove(self._snapshot_dir)
        self._mark.touch()
        slots.remove(self.scratch)
        self.scratch.mkdir(mode=0o700)
        for git_dir, alternates in (
            (self._git_dir, [self.user.common_dir / "objects", self._snapshot_dir / "objects"]),
            (self._snapshot_dir, []),
        ):
            for path in git_dir.glob("*.lock"):
                path.unlink()
            make_git_dir(git_dir, self.user, alternates, bare=True)
