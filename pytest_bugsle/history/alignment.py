"""Where the texts of a file differ, as `git diff-tree --stdin -p -U0 --full-index` prints it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

OPTIONS = (
    *("-c", "core.bigFileThreshold=2m"),  # git takes what is larger for binary, and prints none of it
    *("diff-tree", "--no-ext-diff", "--no-textconv", "--no-color"),
    *("--stdin", "-r", "-M", "-l200", "-p", "-U0", "--full-index"),
    *("--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/"),
)
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_COMMIT = re.compile(rb"[0-9a-f]{40,64}")


class Hunk(NamedTuple):
    """Lines that were taken away, by the number of the first one before; and the lines that came, by number."""

    old: int
    removed: list[bytes]
    new: int
    added: int


@dataclass(slots=True)
class FileDiff:
    """One file of one commit: its names and texts before and after ('' and b'' where there is none)."""

    commit: str
    old_path: bytes = b""
    new_path: bytes = b""
    old_blob: str = ""
    new_blob: str = ""
    hunks: list[Hunk] = field(default_factory=list)


def file_diffs(out: bytes) -> Iterator[FileDiff]:
    """Read what git printed: by counts, for a changed line may look like any header.

    A file without hunks (binary, renamed only) comes without any; a path that git has to quote is b''.
    """
    lines = out.split(b"\n")
    commit = ""
    found: FileDiff | None = None
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"diff --git "):
            if found is not None:
                yield found
            found = FileDiff(commit)
        elif _COMMIT.fullmatch(line):
            commit = line.decode("ascii")
        elif found is None:
            continue
        elif line.startswith(b"@@ ") and (match := _HUNK.match(line)):
            removed, added = int(match[2] or 1), int(match[4] or 1)
            taken = [text[1:] for text in lines[at : at + removed]]
            at += removed
            while at < len(lines) and lines[at].startswith(b"\\"):  # the old text has no newline at its end
                at += 1
            at += added
            found.hunks.append(Hunk(int(match[1]), taken, int(match[3]), added))
        elif line.startswith(b"index ") and b".." in line:
            old, _, new = line.split(b" ")[1].partition(b"..")
            # A file that was not there has a name of noughts.
            found.old_blob = old.decode("ascii", "replace") if old.strip(b"0") else ""
            found.new_blob = new.decode("ascii", "replace") if new.strip(b"0") else ""
        elif line.startswith(b"--- a/"):
            # git ends a path that holds a blank with a tab; one with stranger signs is quoted, and left out.
            found.old_path = line[6:].removesuffix(b"\t")
        elif line.startswith(b"+++ b/"):
            found.new_path = line[6:].removesuffix(b"\t")
    if found is not None:
        yield found
