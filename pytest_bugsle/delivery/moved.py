"""Release tags that name another commit than they did when they were first read.  PYTEST_DONT_REWRITE

One clone cannot show that a tag was moved: what it named is kept, for this machine in the cache, and for everybody
in `.bugsle/tags.lock`, a line for each tag as `git show-ref` has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pytest_bugsle.errors import UsageError

LOCK = ".bugsle/tags.lock"
_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([^\x00-\x20\x7f]+)")
_MOST = 3


def parse_lock(content: bytes, path: str = LOCK) -> dict[str, str]:
    """Return which commit each tag of a lock file names; UsageError with the line that says none.

    Empty lines and those that begin with `#` are left out.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        match = _LINE.fullmatch(line)
        name = os.fsdecode(match[2]) if match else ""
        if match is None or found.get(name, match[1].decode()) != match[1].decode():
            wrong = f"tag {name!r} has two commits" if match else "it is no commit and tag"
            raise UsageError(
                f"{path}:{number}: {wrong}",
                why="a tag that was moved would not be noticed",
                hint="bugsle dora --lock-tags writes the file anew",
            )
        found[name] = match[1].decode()
    return found


def format_lock(tags: Mapping[str, str]) -> bytes:
    """Return a lock file, in the order of the names' bytes."""
    rows = sorted((os.fsencode(name), commit.encode()) for name, commit in tags.items())
    return b"".join(commit + b" " + name + b"\n" for name, commit in rows)


def moved(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the tags that name another commit now, by name: each with what it named and what it names.

    A tag that is gone, or new, was not moved.
    """
    return sorted((name, was, now[name]) for name, was in before.items() if now.get(name, was) != was)


def sentence(found: list[tuple[str, str, str]]) -> str:
    """Say which tags were moved, with both commits: the figures are of what they name now."""
    shown = [f"{name} named {was[:10]} and names {now[:10]}" for name, was, now in found[:_MOST]]
    if len(found) > _MOST:
        shown.append(f"{len(found) - _MOST} more")
    tags = f"{len(found)} release tags were moved" if len(found) > 1 else "a release tag was moved"
    return f"{tags}: {', '.join(shown)}; the figures are of what they name now (--lock-tags accepts it)"
