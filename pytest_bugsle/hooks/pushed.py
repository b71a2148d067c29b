"""Which commits a push brings: from git's own lines, or from pre-commit's variables.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.command import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_bugsle.git.repository import Repository

_LINE = re.compile(
    r"(?P<local_ref>\S+) (?P<local>[0-9a-f]{40,64}) (?P<remote_ref>\S+) (?P<remote>[0-9a-f]{40,64})"
)


@dataclass(frozen=True, slots=True)
class Push:
    """One ref of a push: what it will hold, and what it holds on the remote (None: nothing that is known)."""

    ref: str
    local: str
    remote: str | None


@dataclass(frozen=True, slots=True)
class Pushed:
    """The ranges that a push brings (each `A..B`), and what is said of refs that bring none."""

    ranges: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def parse_lines(text: str) -> list[Push]:
    """Read what git gives its pre-push hook: `<local ref> <local sha> <remote ref> <remote sha>` a line.

    A deleted ref is left out. UsageError names a line that reads otherwise.
    """
    pushes = []
    for line in text.split("\n"):
        if not line:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise UsageError(
                f"this is no line of a push: {shown(line[:200])}",
                why="git tells its pre-push hook on standard input what is pushed.",
                hint="run it as a pre-push hook, or give it a range by hand: bugsle check A..B",
            )
        if found["local"].strip("0"):
            remote = found["remote"] if found["remote"].strip("0") else None
            pushes.append(Push(found["local_ref"], found["local"], remote))
    return pushes


def from_environment(environ: Mapping[str, str]) -> list[Push] | None:
    """Return what pre-commit says is pushed or compared; None where it was started by hand.

    It names no beginning where the first push brings a root commit.
    """
    begin, end = environ.get("PRE_COMMIT_FROM_REF"), environ.get("PRE_COMMIT_TO_REF")
    if begin and end:
        return [Push(end, end, begin)]
    branch = environ.get("PRE_COMMIT_LOCAL_BRANCH")
    return [Push(branch, branch, None)] if branch else None


def ranges_of(repo: Repository, pushes: Iterable[Push], remote: str) -> Pushed:
    """Return the ranges that are new to a remote, each once.

    A known beginning gives `begin..end`, from the merge base after a force-push. Of a new branch, and where
    the remote's commit was never fetched, what no remote-tracking branch contains is new; `remote` may be a
    URL, and then those of all remotes count.
    """
    ranges: list[str] = []
    notes: list[str] = []
    for push in pushes:
        end = repo.resolve(push.local)
        if end is None:  # a tag of a tree or a blob
            continue
        begin = repo.resolve(push.remote) if push.remote else None
        if begin is None:
            new = _new_commits(repo, end, remote)
            if not new:
                continue
            begin = repo.resolve(f"{new[-1]}^")
            if begin is None:
                notes.append(
                    f"{push.ref} brings the whole history, {len(new)} commit{'s' * (len(new) != 1)}, which a "
                    "push does not judge; `bugsle audit` does"
                )
                continue
        if begin != end:
            ranges.append(f"{begin}..{end}")
    return Pushed(tuple(dict.fromkeys(ranges)), tuple(notes))


def _new_commits(repo: Repository, end: str, remote: str) -> Sequence[str]:
    """Give the commits that no remote-tracking branch contains, parents last."""
    known = repo.refs(f"refs/remotes/{remote}/" if remote in repo.remotes() else "refs/remotes/")
    excluded = "".join(f"^{sha}\n" for sha in dict.fromkeys(known.values()))
    out = repo.run("rev-list", "--topo-order", "--stdin", input=f"{end}\n{excluded}".encode())
    return out.decode("ascii").split()
