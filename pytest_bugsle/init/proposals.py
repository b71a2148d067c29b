"""What `bugsle init` would write where; what stands there already is never changed, only added to.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UsageError
from pytest_bugsle.init import templates
from pytest_bugsle.init.project import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_bugsle.init.project import Project

_OURS = re.compile(r"pytest-bugsle|\bbugsle-(?:check|commit-msg|complexity|dora|prove)\b")
_REPOS = re.compile(r"^repos:[ \t]*(?:#[^\r\n]*)?\r?$", re.MULTILINE)
_TYPES = re.compile(r"^default_install_hook_types:(?P<value>[^\n]*(?:\n[ \t-][^\n]*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One file: what it holds, what it is to hold, and what is said of it.

    `before` is None where there is no file yet, `after` None where it is left alone.
    """

    path: str
    before: bytes | None = None
    after: bytes | None = None
    note: str = ""
    executable: bool = False

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        if self.after is not None:
            old = _lines(self.before or b"")
            new = _lines(self.after)
            yield from unified_diff(
                old,
                new,
                "/dev/null" if self.before is None else f"a/{self.path}",
                f"b/{self.path}",
                lineterm="",
            )


def _lines(text: bytes) -> list[str]:
    lines = text.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def content(top: Path, path: str) -> bytes | None:
    """Return what a file below `top` holds, None where it is not there; a link is not followed.

    UsageError where a link or something else than a file stands in the way.
    """
    here = top
    for part in path.split("/"):
        here = here / part
        if here.is_symlink():
            raise UsageError(
                f"{path}: {here.name} is a link.",
                why="what it leads to may belong to something else, so it is neither read nor written.",
                hint="write the file by hand; the documentation shows what belongs there.",
            )
    try:
        return here.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="mend that, then run `bugsle init` again."
        ) from error


def settings(top: Path, project: Project) -> Proposal:
    """Propose the table: added to pyproject.toml, or in a bugsle.toml where there is none."""
    if content(top, "bugsle.toml") is not None:
        return Proposal("bugsle.toml", note="is there already: left alone")
    before = content(top, "pyproject.toml")
    own = templates.table(project, prefix=False).encode()
    if before is None:
        return Proposal("bugsle.toml", None, own)
    data = read_toml(before, "pyproject.toml")
    tool = data.get("tool", {})
    if isinstance(tool, dict) and "bugsle" in tool:
        return Proposal("pyproject.toml", before, note="has [tool.bugsle] already: left alone")
    after = _added(before, templates.table(project, prefix=True))
    try:
        read_toml(after, "pyproject.toml")
    except UsageError:  # `tool = { … }` on one line cannot be added to
        return Proposal("bugsle.toml", None, own, "beside pyproject.toml, whose `tool` cannot be added to")
    return Proposal("pyproject.toml", before, after)


def _added(before: bytes, text: str) -> bytes:
    """Return a file with a text at its end, with the line ends that the file has."""
    end = b"\r\n" if b"\r\n" in before else b"\n"
    gap = b"" if before.endswith(b"\n") or not before.strip(b"\xef\xbb\xbf") else end
    blank = end if before.strip(b"\xef\xbb\xbf\r\n\t ") else b""
    return before + gap + blank + text.encode().replace(b"\n", end)


def pre_commit(top: Path) -> Proposal:
    """Propose our entry in .pre-commit-config.yaml, and the line that lets all hooks be installed."""
    path = ".pre-commit-config.yaml"
    before = content(top, path)
    if before is None:
        lines = [templates.pre_commit_types(), "repos:", *templates.pre_commit_entry()]
        return Proposal(path, None, "".join(f"{line}\n" for line in lines).encode())
    text = before.decode("utf-8", "surrogateescape")
    types = _TYPES.search(text)
    missing = [name for name in templates.HOOK_TYPES if types is not None and name not in types["value"]]
    note = f"add {', '.join(missing)} to its default_install_hook_types" if missing else ""
    if _OURS.search(text):
        return Proposal(
            path, before, note="; ".join(filter(None, ("has our hooks already: left alone", note)))
        )
    after = _with_entry(text, add_types=types is None)
    if after is None:
        entry = "\n".join(["repos:", *templates.pre_commit_entry()])
        return Proposal(path, before, note=f"has no plain list `repos:`: left alone; add to it\n{entry}")
    return Proposal(path, before, after.encode("utf-8", "surrogateescape"), note)


def _with_entry(text: str, *, add_types: bool) -> str | None:
    """Return the configuration with our entry as the last of `repos:`; None where that is no block list."""
    found = _REPOS.search(text)
    if found is None:
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    if found.end() == len(text):
        text += end
    start = text.index("\n", found.end() - 1 if text[found.end() - 1] == "\n" else found.end()) + 1
    place, indent = start, None
    for line in text[start:].splitlines(keepends=True):
        if re.match(r"[^\s#-]|---|\.\.\.", line):
            break
        item = re.match(r"([ ]*)- ", line)
        indent = item[1] if item and indent is None else indent
        start += len(line)
        if line.strip() and not line.startswith("#"):
            place = start
    head, tail = text[:place], text[place:]
    if not head.endswith("\n"):
        head += end
    entry = templates.pre_commit_entry("  " if indent is None else indent)
    made = head + "".join(f"{line}{end}" for line in entry) + tail
    if add_types:
        made = f"{made[: found.start()]}{templates.pre_commit_types()}{end}{made[found.start() :]}"
    return made


def workflow(top: Path, project: Project) -> Proposal:
    """Propose the workflow of GitHub."""
    path = ".github/workflows/bugsle.yml"
    before = content(top, path)
    if before is not None:
        return Proposal(path, before, note="is there already: left alone")
    return Proposal(path, None, templates.workflow(project).encode())


def git_hooks(top: Path, folder: Path, commands: dict[str, str]) -> list[Proposal]:
    """Propose a script for each of git's hooks; `commands` says where ours stand by name."""
    proposals = []
    for hook, name in templates.GIT_HOOKS.items():
        place = folder / hook
        path = place.relative_to(top).as_posix() if place.is_relative_to(top) else place.as_posix()
        script = templates.git_hook(name, commands[name]).encode()
        if place.is_symlink() or place.exists() or folder.is_symlink():
            same = not place.is_symlink() and place.is_file() and b"bugsle" in place.read_bytes()
            note = "calls bugsle already" if same else f'add this line to it: {name} "$@" || exit 1'
            proposals.append(Proposal(path, b"", note=f"is there already: left alone; {note}"))
        else:
            proposals.append(Proposal(path, None, script, executable=True))
    return proposals
