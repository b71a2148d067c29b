"""Say which commit brought each line of a file in.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_bugsle.git.command import nameless
from pytest_bugsle.git.worktree import make_git_dir

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

IGNORED_REVS = ".git-blame-ignore-revs"
"""The file at the top of a tree in which projects name the commits that blame should look through."""
LARGEST = 1_000_000
"""Bytes; following a larger file through a history costs minutes."""
MOST_LINES = 500
"""Lines that are asked of at once; the first of them where there are more."""

_BINARY_WITHIN = 8000
_MOST_IGNORED = 2000
_REVISION = re.compile(r"^[ \t]*([0-9a-fA-F]{7,64})[ \t]*(?:#.*)?$", re.MULTILINE)
_GROUP = re.compile(rb"([0-9a-f]{40,64}) (\d+) (\d+) (\d+)")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class Blamed:
    """One line (from 1): the commit that brought it in, and where it stood there.

    `boundary` says that the history begins at that commit, or is cut off there.
    """

    line: int
    commit: str
    path: str
    origin: int
    boundary: bool


def blame(
    repo: Repository,
    commit: str,
    path: str,
    ranges: Iterable[tuple[int, int]],
    ignored: Iterable[str] = (),
    *,
    moves: bool = True,
) -> tuple[Blamed, ...]:
    """Give the origin of the lines in `ranges` (first, last) of a file, in their order.

    Whitespace is no change, and lines are followed through moves and copies (without `moves` through renames
    of the file alone, which is much quicker). `ignored` are commits that are looked through. What is no text, too large or not there has no origins; lines behind the end of
    the file are left out.
    """
    sha = repo.resolve(commit)
    last = 0 if sha is None else _count_lines(repo, sha, path)
    wanted = sorted({n for first, end in ranges for n in range(max(first, 1), min(end, last) + 1)})
    if sha is None or not wanted:
        return ()
    args = ["blame", "--incremental", "-w", *(("-M", "-C") if moves else ()), *_options(wanted[:MOST_LINES])]
    listed = "".join(f"{name}\n" for name in ignored).encode("ascii")
    with _undisturbed(repo) as env, nameless(listed) as ([names], handles):
        out = repo.run(*args, "--ignore-revs-file", names, sha, "--", path, env=env, handles=handles)
    return tuple(sorted(parse_incremental(out), key=lambda blamed: blamed.line))


def ignored_revisions(repo: Repository, tree: str) -> tuple[str, ...]:
    """Give the commits that blame should look through: those that the tree's top names, and the user's settings.

    git refuses to blame at all where a name is wrong; here it is left out.
    """
    texts = []
    entry = _entry(repo, tree, IGNORED_REVS)
    if entry is not None:
        texts.append(repo.blob(entry)[:LARGEST].decode("utf-8", "replace"))
    own = repo.config("blame.ignoreRevsFile")
    if own:
        try:
            with open(repo.top / Path(own).expanduser(), encoding="utf-8", errors="replace") as file:
                texts.append(file.read(LARGEST))
        except (OSError, RuntimeError):  # no such file, or no such home
            pass
    names = dict.fromkeys(name.lower() for text in texts for name in _REVISION.findall(text))
    if not names:
        return ()
    asked = "".join(f"{name}^{{commit}}\n" for name in list(names)[:_MOST_IGNORED]).encode()
    answers = (
        repo.run("cat-file", "--batch-check=%(objectname)", input=asked, ok=(0, 128)).decode().split("\n")
    )
    return tuple(dict.fromkeys(name for name in answers if re.fullmatch(r"[0-9a-f]{40,64}", name)))


def parse_incremental(out: bytes) -> Iterator[Blamed]:
    """Read what `git blame --incremental` prints: groups of lines, each ended by its file name."""
    group: re.Match[bytes] | None = None
    boundaries: dict[bytes, bool] = {}
    for line in out.split(b"\n"):
        if group is None:
            group = _GROUP.fullmatch(line)
            if group is not None:
                boundaries.setdefault(group[1], False)
        elif line == b"boundary":
            boundaries[group[1]] = True
        elif line.startswith(b"filename "):
            sha, origin, first, count = group[1], int(group[2]), int(group[3]), int(group[4])
            path = os.fsdecode(_unquoted(line.removeprefix(b"filename ")))
            for offset in range(count):
                yield Blamed(first + offset, sha.decode(), path, origin + offset, boundaries[sha])
            group = None


def _unquoted(name: bytes) -> bytes:
    """Read a name as git writes it where it holds control characters, quotes or backslashes."""
    if not (name.startswith(b'"') and name.endswith(b'"') and len(name) > 1):
        return name
    return _ESCAPE.sub(
        lambda m: bytes([int(m[1], 8) & 255]) if len(m[1]) == 3 else _ESCAPED.get(m[1], m[1]), name[1:-1]
    )


def _options(lines: list[int]) -> Iterator[str]:
    """Write ascending line numbers as ranges."""
    first = last = lines[0]
    for line in [*lines[1:], 0]:
        if line == last + 1:
            last = line
            continue
        yield f"-L{first},{last}"
        first = last = line


def _count_lines(repo: Repository, commit: str, path: str) -> int:
    sha = _entry(repo, commit, path)
    content = b"" if sha is None else repo.blob(sha)
    if len(content) > LARGEST or b"\0" in content[:_BINARY_WITHIN]:
        return 0
    return content.count(b"\n") + (not content.endswith(b"\n") and content != b"")


def _entry(repo: Repository, tree: str, path: str) -> str | None:
    """Give the blob of a regular file in a tree, or None."""
    if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        return None
    out = repo.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", tree, "--", path)
    for record in out.split(b"\0")[:-1]:
        facts, _, name = record.partition(b"\t")
        mode, _, sha = facts.split(b" ")
        if mode.startswith(b"100") and name == os.fsencode(path):
            return sha.decode()
    return None


@contextmanager
def _undisturbed(repo: Repository) -> Iterator[Mapping[str, str] | None]:
    """Give what keeps git from reading `blame.ignoreRevsFile` itself: it dies of a wrong line or a lost file.

    No option takes that setting back, so that git is shown the same objects in a directory without it.
    """
    if repo.config("blame.ignoreRevsFile") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bugsle-blame-") as folder:
        make_git_dir(Path(folder), repo, [repo.common_dir / "objects"], bare=True)
        yield {"GIT_DIR": folder, "GIT_GRAFT_FILE": str(repo.common_dir / "info" / "grafts")}
