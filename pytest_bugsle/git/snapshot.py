"""Take a tree of the user's work tree as it stands, without a write to the user's repository.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.carry import is_unwanted
from pytest_bugsle.git.command import shown
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.git.trees import write_object
from pytest_bugsle.git.worktree import quoted

LARGEST_FILE = 5 * 1024 * 1024
LARGEST_TOTAL = 200 * 1024 * 1024

# What the user set about reading files into git; filters, hooks and daemons are not among them.
_SETTINGS = frozenset({
    "core.attributesfile", "core.autocrlf", "core.checkstat", "core.eol", "core.excludesfile", "core.filemode",
    "core.ignorecase", "core.precomposeunicode", "core.symlinks", "core.trustctime",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tree, and the untracked paths that were too big, unreadable or repositories of their own."""

    tree: str
    left_out: tuple[str, ...] = ()


def take_snapshot(
    user: Repository, git_dir: Path, index: Path, pool: Path, pass_fds: tuple[int, ...] = ()
) -> Snapshot:
    """Write the user's work tree (tracked changes, small unignored files) as a tree into `git_dir`.

    git runs in our `git_dir` over the user's work tree with a copy of the user's index: of the user's
    repository it sees neither configuration (filters, hooks) nor a place to write to. It does not see
    the user's objects either: git touches the time of each object that it finds instead of writing it.
    """
    head = user.head().sha
    clean = user.empty_tree if head is None else user.tree_of(head)
    if user.is_bare:
        return Snapshot(clean)
    _copy_state(user, git_dir, index)
    ours = Repository(
        user.top,
        git_dir,
        git_dir,
        is_bare=False,
        object_format=user.object_format,
        partial=user.is_partial(),
        env={
            "GIT_DIR": str(git_dir),
            "GIT_WORK_TREE": str(user.top),
            "GIT_INDEX_FILE": str(index),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **_as_user(user),
        },
        pass_fds=pass_fds,
    )
    deleted, modified = _changed(ours)
    untracked, left_out = _untracked(ours, user.top, pool)
    if not (deleted or modified or untracked):
        objects = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": os.fsdecode(quoted(user.common_dir / "objects"))}
        if ours.call("diff-index", "--cached", "--quiet", clean, env=objects, ok=(0, 1))[0] == 0:
            return Snapshot(clean, tuple(sorted(left_out)))
    if deleted:
        ours.run("update-index", "--force-remove", "-z", "--stdin", input=_lines(deleted))
    if modified or untracked:
        # Whether git mends line ends depends on those of the version before.
        for content in user.blobs(sha for sha in modified.values() if sha.strip("0")).values():
            write_object(git_dir / "objects", "blob", content, user.object_format)
        paths = _lines((*modified, *untracked))
        ours.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=paths)
    tree = ours.run("write-tree", "--missing-ok").decode().strip()
    return Snapshot(tree, tuple(sorted(left_out)))


def _lines(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _copy_state(user: Repository, git_dir: Path, index: Path) -> None:
    for old in (index, index.with_name(index.name + ".lock"), *git_dir.glob("sharedindex.*")):
        old.unlink(missing_ok=True)
    try:
        with open(user.git_dir / "index", "rb") as source, open(index, "wb") as copy:
            shutil.copyfileobj(source, copy)
            facts = os.fstat(source.fileno())
        # Files changed within the index's own tick are told by its time: keep it.
        os.utime(index, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    except FileNotFoundError:
        index.unlink(missing_ok=True)
    for shared in user.git_dir.glob("sharedindex.*"):
        shutil.copy2(shared, git_dir / shared.name)
    (git_dir / "info").mkdir(exist_ok=True)
    for name in ("exclude", "attributes"):
        copied = git_dir / "info" / name
        try:
            copied.write_bytes((user.common_dir / "info" / name).read_bytes())
        except OSError:
            copied.unlink(missing_ok=True)


def _as_user(user: Repository) -> dict[str, str]:
    """Carry the user's settings over, as variables: a value may hold whatever a command line may not."""
    settings: dict[str, str] = {}
    out = user.run("config", "-z", "--get-regexp", "^core\\.", ok=(0, 1))
    for record in out.split(b"\0")[:-1]:
        key, separator, value = os.fsdecode(record).partition("\n")
        if key in _SETTINGS:
            settings[key] = value if separator else "true"
    made = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        made[f"GIT_CONFIG_KEY_{number}"] = key
        made[f"GIT_CONFIG_VALUE_{number}"] = value
    return made


def _changed(ours: Repository) -> tuple[list[str], dict[str, str]]:
    """Give the tracked paths that are gone, and those that may differ from the index with their blobs there."""
    # A dirty submodule is not looked into: git would run in it, with its own configuration.
    out = ours.run("diff-files", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=dirty")
    fields = out.split(b"\0")[:-1]
    deleted: list[str] = []
    modified: dict[str, str] = {}
    unmerged: set[str] = set()
    for facts, name in zip(fields[::2], fields[1::2], strict=True):
        mode, _, sha, _, status = facts.decode("ascii").split(" ")
        path = os.fsdecode(name)
        if status == "U":
            unmerged.add(path)
        elif status == "D":
            deleted.append(path)
        else:
            modified[path] = sha if mode in {":100644", ":100755"} else ""
    if unmerged:
        more = f" and {len(unmerged) - 1} more" if len(unmerged) > 1 else ""
        raise UndecidedError(
            f"a merge is unfinished: {shown(min(unmerged))}{more}",
            why="a work tree with conflicts is not what anybody wants to ship",
            hint="resolve them and `git add` them, or `git merge --abort`",
        )
    return deleted, modified


def _untracked(ours: Repository, top: Path, pool: Path) -> tuple[list[str], list[str]]:
    listed = ours.run("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")[:-1]
    paths = [os.fsdecode(path) for path in listed]
    environments = tuple(path.removesuffix("pyvenv.cfg") for path in paths if path.endswith("/pyvenv.cfg"))
    own = os.path.relpath(pool, top) + "/"
    taken: list[str] = []
    left_out = list(environments)
    total = 0
    for path in paths:
        if path.startswith((own, *environments)) or any(is_unwanted(part) for part in path.split("/")[:-1]):
            continue
        if is_unwanted(path.rpartition("/")[2]):
            continue
        if path.endswith("/"):  # a repository of its own
            left_out.append(path)
            continue
        full = os.path.join(top, path)
        try:
            facts = os.lstat(full)
        except OSError:
            continue
        if stat.S_ISLNK(facts.st_mode):
            taken.append(path)
        elif not stat.S_ISREG(facts.st_mode):
            continue
        elif (
            facts.st_size > LARGEST_FILE
            or total + facts.st_size > LARGEST_TOTAL
            or not os.access(full, os.R_OK)
        ):
            left_out.append(path)
        else:
            total += facts.st_size
            taken.append(path)
    return taken, left_out
