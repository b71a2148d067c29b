"""Say which commits of a branch carry the same patch: by patch id, and by what they say of themselves.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

MOST_COMMITS = 200
"""Commits of a branch that are looked at, the newest first."""

_PICKED = re.compile(
    r"^\(?(?:cherry[- ]picked|backported) from (?:commit )?(?P<sha>[0-9a-f]{7,64})\b",
    re.IGNORECASE | re.MULTILINE,
)
_AT_ONCE = 500
"""Patches that are held in memory at once."""
_READ = 20_000
"""Characters of a message that are read."""
# A line of a patch begins with a sign or with a word of git's, so that a bare name begins a commit's.
_COMMIT = re.compile(rb"^(?=[0-9a-f]{40}(?:[0-9a-f]{24})?\n)", re.MULTILINE)
_BINARY = re.compile(rb"^(?:Binary files |GIT binary patch)", re.MULTILINE)
_DIFF = ("-p", "-r", "--no-renames", "--full-index", "--ignore-submodules=none")


@dataclass(frozen=True, slots=True)
class Carrier:
    """A commit of a branch: the patch that it is, and the commits that it says it was picked from.

    `id` is None for a merge, and where the patch is empty or holds what is no text.
    """

    commit: str
    id: str | None
    picked_from: tuple[str, ...]


def patch_id(repo: Repository, old: str, new: str, paths: Iterable[str] = ()) -> str | None:
    """Give the stable patch id of the change between two trees or commits in `paths` (default: everywhere)."""
    args = ("--literal-pathspecs", "diff-tree", "--no-ext-diff", "--no-textconv", *_DIFF)
    patch = repo.run(*args, "--end-of-options", old, new, "--", *paths)
    return next(iter(_ids(repo, [patch]).values()), None)


def carriers(repo: Repository, base: str | None, tip: str, paths: Sequence[str]) -> tuple[Carrier, ...]:
    """Give the commits of base..tip (all up to `tip` without a base) that touch `paths`, newest first.

    Their patch ids are those of their changes to `paths` alone.
    """
    args = ["--literal-pathspecs", "log", "-z", "--format=tformat:%H%x00%P%x00%B", "--encoding=UTF-8"]
    args += ["--no-notes", f"--max-count={MOST_COMMITS}", "--end-of-options", tip]
    out = repo.run(*args, *([f"^{base}"] if base else []), "--", *paths).decode("utf-8", "replace")
    fields = out.split("\0")
    found = [(fields[at], fields[at + 1].split(), fields[at + 2]) for at in range(0, len(fields) - 3, 3)]
    # The parent is named on the line: without it a merge is left out, and a graft's parents are the true ones.
    lines = "".join(f"{' '.join((sha, *parents))}\n" for sha, parents, _ in found if len(parents) < 2)
    ids: dict[str, str] = {}
    if lines:
        asked = ("--literal-pathspecs", "diff-tree", "--stdin", "--root", "--no-ext-diff", "--no-textconv")
        patches = repo.run(*asked, *_DIFF, "--", *paths, input=lines.encode())
        ids = _ids(repo, _COMMIT.split(patches))
    return tuple(Carrier(sha, ids.get(sha), tuple(picked_from(message))) for sha, _, message in found)


def patch_ids(repo: Repository, commits: Sequence[Sequence[str]]) -> dict[str, str]:
    """Give the stable patch ids of commits, each with its parent behind it (a root has none).

    Commits whose patch is empty or holds what is no text are left out.
    """
    found: dict[str, str] = {}
    for start in range(0, len(commits), _AT_ONCE):
        lines = "".join(f"{' '.join(names)}\n" for names in commits[start : start + _AT_ONCE])
        asked = ("diff-tree", "--stdin", "--root", "--no-ext-diff", "--no-textconv", *_DIFF)
        found |= _ids(repo, _COMMIT.split(repo.run(*asked, input=lines.encode())))
    return found


def picked_from(message: str) -> Iterator[str]:
    """Yield the commits, full or shortened, that a message says its change was picked from."""
    for match in _PICKED.finditer(message[:_READ]):
        yield match["sha"].lower()


def _ids(repo: Repository, patches: Iterable[bytes]) -> dict[str, str]:
    """Give patch ids by commit; in a binary patch git sees the names alone."""
    text = b"".join(patch for patch in patches if not _BINARY.search(patch))
    if not text:
        return {}
    out = repo.run("patch-id", "--stable", input=text).decode("ascii", "replace")
    return {sha: id for id, _, sha in (line.partition(" ") for line in out.splitlines())}
