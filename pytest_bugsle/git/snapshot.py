"""Take a tree of the user's work tree as it stands, without a write to the user's repository.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from pytest_bugsle.errors import UndecidedError
from pytest_bugsle.git.carry import is_unwanted
from pytest_bugsle.git.command import shown
from pytest_bugsle.git.repository import Repository

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


def take_snapshot(user: Repository, git_dir: Path, index: Path, pool: Path) -> Snapshot:
    """Write the user's work tree (tracked changes, small unignored files) as a tree into `git_dir`.

    git runs in our `git_dir` over the user's work tree with a copy of the user's index: of the user's
    repository it sees neither configuration (filters, hooks) nor a place to write to.
    """
    if user.is_bare:
        head = user.head().sha
        return Snapshot(user.empty_tree if head is None else user.tree_of(head))
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
    )
    changed = _changed(ours)
    untracked, left_out = _untracked(ours, user.top, pool)
    if changed or untracked:
        paths = b"".join(os.fsencode(path) + b"\0" for path in (*changed, *untracked))
        ours.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=paths)
    tree = ours.run("write-tree", "--missing-ok").decode().strip()
    return Snapshot(tree, tuple(sorted(left_out)))


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
    settings = {
        "core.safecrlf": "false",
        "core.splitindex": "false",
        "core.untrackedcache": "false",
        "core.fsmonitor": "false",
    }
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


def _changed(ours: Repository) -> list[str]:
    """Give the tracked paths that may differ from the index."""
    # A dirty submodule is not looked into: git would run in it, with its own configuration.
    fields = ours.run("diff-files", "--raw", "-z", "--no-renames", "--ignore-submodules=dirty").split(b"\0")[:-1]
    unmerged = sorted({os.fsdecode(path) for facts, path in zip(fields[::2], fields[1::2], strict=True) if facts.endswith(b"U")})
    if unmerged:
        more = f" and {len(unmerged) - 1} more" if len(unmerged) > 1 else ""
        raise UndecidedError(
            f"a merge is unfinished: {shown(unmerged[0])}{more}",
            why="a work tree with conflicts is not what anybody wants to ship",
            hint="resolve them and `git add` them, or `git merge --abort`",
        )
    return [os.fsdecode(path) for path in fields[1::2]]


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
        elif facts.st_size > LARGEST_FILE or total + facts.st_size > LARGEST_TOTAL or not os.access(full, os.R_OK):
            left_out.append(path)
        else:
            total += facts.st_size
            taken.append(path)
    return taken, left_out
