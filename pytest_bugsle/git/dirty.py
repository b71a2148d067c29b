"""Say what is not committed, without running anything of the user's.  PYTEST_DONT_REWRITE

`git status` compares contents, and runs the user's clean filters and file system monitor for that. The index
is read here as it stands, and a file whose time or size it does not know is read as bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_bugsle.git.repository import Repository

_ENTRY = lazy_pattern(
    rb"(\d{6}) ([0-9a-f]+) (\d)\t([^\0]*)\0"
    rb"  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev:[^\n]*\n  uid:[^\n]*\n  size: (\d+)\tflags: [0-9a-f]+\n"
)
_QUIET = ("-c", "core.fsmonitor=false")
_OURS = ".bugsle/"  # whose own .gitignore hides all of it, which git sees only once it looks inside
_LARGEST = 1024 * 1024


def untracked(repo: Repository) -> frozenset[str]:
    """Return what stands in the work tree and is neither tracked nor ignored; a folder of such ends in '/'."""
    if repo.is_bare:
        return frozenset()
    words = ("--others", "--exclude-standard", "--directory", "--no-empty-directory", "-z")
    found = {os.fsdecode(path) for path in repo.run(*_QUIET, "ls-files", *words).split(b"\0") if path}
    return frozenset(found - {_OURS})


def uncommitted(repo: Repository, head: str | None, strange: Iterable[str]) -> dict[str, str]:
    """Return what differs from HEAD by path, each with a digest of what stands there ('' where nothing does).

    `head` is HEAD's commit, `strange` is what is `untracked`.
    """
    if repo.is_bare:
        return {}
    found: dict[str, str] = {}
    if head is not None:
        out = repo.run(*_QUIET, "diff-index", "--cached", "--name-only", "-z", head)
        found |= {os.fsdecode(path): "" for path in out.split(b"\0") if path}
    out = repo.run(*_QUIET, "ls-files", "--stage", "--debug", "-z")
    for mode, sha, stage, raw, seconds, nanoseconds, size in _ENTRY.findall(out):
        path = os.fsdecode(raw)
        if mode == b"160000" or path in found:
            continue
        known = (int(seconds) * 1_000_000_000 + int(nanoseconds), int(size))
        if stage != b"0" or _differs(repo, path, sha.decode("ascii"), known):
            found[path] = ""
    for path in strange:
        found[path] = ""
    return {path: _digest(os.path.join(repo.top, path)) for path in sorted(found)}


def _differs(repo: Repository, path: str, sha: str, known: tuple[int, int]) -> bool:
    """Say whether a file may differ from its blob; one that git would convert does, and always in the same way."""
    whole = os.path.join(repo.top, path)
    try:
        facts = os.lstat(whole)
        if (facts.st_mtime_ns, facts.st_size & 0xFFFFFFFF) == known:
            return False
        if stat.S_ISLNK(facts.st_mode):
            content = os.fsencode(os.readlink(whole))
        else:
            with open(whole, "rb") as stream:
                content = stream.read()
    except OSError:
        return True
    digest = hashlib.new(repo.object_format, usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest() != sha


def _digest(whole: str) -> str:
    """Return a digest of a file's content; of a big one, of its size and time."""
    try:
        facts = os.lstat(whole)
        if not stat.S_ISREG(facts.st_mode):
            return f"{facts.st_mode:o}"
        if facts.st_size > _LARGEST:
            return f"{facts.st_size} {facts.st_mtime_ns}"
        with open(whole, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return ""
