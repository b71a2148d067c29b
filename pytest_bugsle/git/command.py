"""Start git with an environment and settings that cannot change its answers.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from pytest_bugsle.errors import ProgramError, UsageError

OLDEST_GIT = (2, 30)

# What `git rev-parse --local-env-vars` names, in the oldest and the newest git that we know.
LOCAL_VARIABLES = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_REFERENCE_BACKEND", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
    "GIT_NAMESPACE", "GIT_QUARANTINE_PATH",
})  # fmt: skip

# Of all that begins with GIT_, our own calls see these alone: the rest (pathspec modes, traces,
# external diffs, whatever a later git invents) can change an answer.
_KEPT = frozenset({
    "GIT_ASKPASS", "GIT_ATTR_NOSYSTEM", "GIT_CEILING_DIRECTORIES", "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
})  # fmt: skip

SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "core.pager=cat",
    "color.ui=false",
    "log.showSignature=false",
    "log.mailmap=false",
    "trailer.separators=:",
    "diff.orderFile=/dev/null",
    "diff.relative=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.renames=true",
    "diff.algorithm=default",
    "diff.context=3",
    "diff.interHunkContext=0",
    "diff.ignoreSubmodules=none",
    "diff.submodule=short",
    "diff.suppressBlankEmpty=false",
)
_WITH_DIFF = frozenset({"diff", "diff-files", "diff-index", "diff-tree", "format-patch", "log", "show"})


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Make the environment of a git call of ours from that of this process."""
    made = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _KEPT}
    made.pop("LANGUAGE", None)
    # GIT_NO_LAZY_FETCH is known from git 2.44 on; before, no allowed protocol stops a lazy fetch.
    made.update(LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_NO_LAZY_FETCH="1", GIT_ALLOW_PROTOCOL="none")
    # A container job may trust the folder by GIT_CONFIG_COUNT alone: that, and nothing else, is kept.
    count = environ.get("GIT_CONFIG_COUNT", "")
    trusted = [
        environ.get(f"GIT_CONFIG_VALUE_{number}", "")
        for number in range(int(count) if re.fullmatch("[0-9]{1,3}", count) else 0)
        if environ.get(f"GIT_CONFIG_KEY_{number}", "").lower() == "safe.directory"
    ]
    if trusted:
        made["GIT_CONFIG_COUNT"] = str(len(trusted))
        for number, value in enumerate(trusted):
            made[f"GIT_CONFIG_KEY_{number}"] = "safe.directory"
            made[f"GIT_CONFIG_VALUE_{number}"] = value
    return made


@functools.cache
def executable(path: str | None = None) -> str:
    """Find a git on `path` (default: PATH) that is new enough; UsageError if there is none."""
    found = shutil.which("git", path=path)
    if found is None:
        raise UsageError(
            "git is not installed, or not on PATH",
            why="every judgement starts from the repository's history",
            hint="install git 2.30 or newer, then run `git --version`",
        )
    said = subprocess.run([found, "--version"], capture_output=True, check=False).stdout.decode(
        "ascii", "replace"
    )
    version = re.search(r"(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_GIT:
        raise UsageError(
            f"{shown(found)} is too old or unknown: {shown(said.strip()) or 'it says no version'}",
            why="renames and settings are read in ways that git has since 2.30",
            hint="install git 2.30 or newer",
        )
    return found


def arguments(git: str, where: str, args: tuple[str, ...]) -> list[str]:
    """Give the whole argument list of one git call at the folder `where`."""
    listed = [git, "--no-optional-locks", "-C", where]
    for setting in SETTINGS:
        listed += ("-c", setting)
    if args and args[0] in _WITH_DIFF:
        return [*listed, args[0], "--no-ext-diff", "--no-textconv", "--no-color", *args[1:]]
    return [*listed, *args]


def shown(text: str | bytes) -> str:
    """Make text from git fit for a terminal: one line, control characters written out."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(
        "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in line)
        for line in lines
        if line
    )


def failure(args: tuple[str, ...], code: int, stderr: bytes) -> ProgramError:
    """Make the error for a git call that failed."""
    said = shown(stderr[-4000:]) or "it said nothing"
    command = shown(" ".join(args[:3])) + (" …" if len(args) > 3 else "")
    return ProgramError(
        f"git {command} ended with {code}: {said}",
        why="what git cannot tell us is not judged",
        hint="run the same command by hand; `git fsck` finds a damaged repository",
    )


@contextmanager
def nameless(*contents: bytes) -> Iterator[tuple[list[str], list[int]]]:
    """Give files that have no name: paths by which git reads them, and the descriptors to hand on to it.

    Of what has no name in a temporary folder, a kill at whatever moment leaves nothing there.
    """
    with ExitStack() as stack:
        handles = []
        for content in contents:
            file = stack.enter_context(tempfile.TemporaryFile())
            file.write(content)
            file.seek(0)  # where /dev/fd duplicates a descriptor, the place in the file comes along
            handles.append(file.fileno())
        yield [f"/dev/fd/{handle}" for handle in handles], handles
