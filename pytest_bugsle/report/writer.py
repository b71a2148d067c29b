"""Where reports go: the table of formats, and the one function that writes files.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import shlex
import stat
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.report.escape import for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

    from pytest_bugsle.results import Result

FORMATS: Mapping[str, str] = {
    "json": "pytest_bugsle.report.json",
    "sarif": "pytest_bugsle.report.sarif",
    "junit": "pytest_bugsle.report.junit",
    "markdown": "pytest_bugsle.report.markdown",
    "github": "pytest_bugsle.report.github",
    "html": "pytest_bugsle.report.html",
}
#: The format whose place is a folder; `--badge DIR` asks for it.
BADGES = "badges"
_SUFFIXES: Mapping[str, str] = {
    ".json": "json",
    ".sarif": "sarif",
    ".xml": "junit",
    ".md": "markdown",
    ".html": "html",
}
_THEIR_CHOICE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    }
)


class Reporter(Protocol):
    """One format: a module of this package, or whatever an extension brings."""

    def render(self, result: Result) -> bytes:
        """Return the report of a result."""


class Target(NamedTuple):
    """A format, and the file it goes to (None: standard output)."""

    format: str
    path: Path | None


def parse_target(text: str) -> Target:
    """Return format and file of `FORMAT[:PATH]`; no path, or `-`, is standard output.

    UsageError names the nearest format.
    """
    name, _, path = text.partition(":")
    if name not in FORMATS:
        raise UsageError(
            f"there is no report format {for_terminal(name)!r}.",
            why=f"the formats are {', '.join(FORMATS)}.",
            hint=_meant(text, name, path),
        )
    if "\0" in path:
        raise UsageError("the path of a report cannot hold a NUL.", hint=f"{name}:report.{name}")
    return Target(name, None if path in {"", "-"} else Path(path))


def _meant(text: str, name: str, path: str) -> str:
    drive = len(name) == 1 and name.isalpha() and path[:1] in {"\\", "/"}
    suffix = (PureWindowsPath(text) if drive else PurePosixPath(text)).suffix.lower()
    if (drive or not path) and suffix in _SUFFIXES:
        return f"did you mean {_SUFFIXES[suffix]}:{for_terminal(text)}?"
    import difflib

    near = difflib.get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.4)
    if near:
        return f"did you mean {near[0]}{for_terminal(f':{path}' if path else '')}?"
    return "write FORMAT or FORMAT:PATH, such as json:bugsle.json"


def parse_targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """Return all targets; UsageError where two would write to the same place."""
    targets: list[Target] = []
    for text in texts:
        target = parse_target(text)
        if any(target.path == other.path for other in targets):
            where = for_terminal(str(target.path)) if target.path else "standard output"
            raise UsageError(
                f"two reports would be written to {where}.",
                why="the second would destroy the first.",
                hint="give each a file of its own: --report json:bugsle.json --report sarif:bugsle.sarif",
            )
        targets.append(target)
    return tuple(targets)


def check_places(targets: Iterable[Target], folder: Path | None = None) -> None:
    """Raise UsageError now, before a long run, for a report that could not be written after it."""
    for target in targets:
        if target.path is None:
            continue
        place = folder / target.path if folder else target.path
        if place.is_dir() and target.format != BADGES:
            raise _error(place, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
        if not place.parent.is_dir():
            raise _error(place, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        if target.format == BADGES and place.exists() and not place.is_dir():
            raise _error(place, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))


def reporter(name: str) -> Reporter:
    """Return the module that renders a format, imported when it is asked for."""
    return cast("Reporter", importlib.import_module(FORMATS[name]))


def write(
    result: Result, target: Target, *, stdout: BinaryIO | None = None, folder: Path | None = None
) -> Path | None:
    """Render a result and put it where it goes; return the file, or None for standard output."""
    if target.format == BADGES:
        return _write_badges(result, target, folder)
    data = reporter(target.format).render(result)
    if target.path is None:
        _print(data, stdout)
    else:
        write_bytes(target.path, data, folder=folder)
    if target.format == "github":
        tell_runner(result, os.environ)
    return target.path


def _write_badges(result: Result, target: Target, folder: Path | None) -> Path:
    """Write each badge into the folder, which is made where it does not stand yet."""
    from pytest_bugsle.report import badges

    assert target.path is not None
    place = folder / target.path if folder else target.path
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise _error(place, error) from error
    for name, data in badges.render(result).items():
        write_bytes(place / name, data)
    return target.path


def tell_runner(result: Result, environ: Mapping[str, str], outputs: Mapping[str, str] | None = None) -> None:
    """Append the step summary and the outputs to the files that GitHub's runner names; elsewhere nothing.

    `outputs` stands for those of the result. The summary takes what room is left under GitHub's limit.
    """
    from secrets import token_hex

    from pytest_bugsle.report import github, markdown

    if summary := environ.get("GITHUB_STEP_SUMMARY"):
        path = Path(summary)
        room = markdown.LIMIT - (path.stat().st_size if path.is_file() else 0)
        append(path, github.step_summary(result, room))
    if output := environ.get("GITHUB_OUTPUT"):
        values = github.outputs(result) if outputs is None else outputs
        append(Path(output), github.output_lines(values, token_hex(16)))


def append(path: Path, data: bytes) -> None:
    """Append to a file that others write to as well; UsageError or ProgramError where it cannot be."""
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise _error(path, error) from error


def write_bytes(path: Path, data: bytes, *, folder: Path | None = None) -> None:
    """Write a file whole or not at all: what stood there before stays until the new one is complete.

    A relative path begins at `folder`. A device or a pipe is written to as it is. UsageError where
    the path cannot be written to, ProgramError where writing fails.
    """
    place = folder / path if folder else path
    try:
        _write(place, data)
    except OSError as error:
        raise _error(place, error) from error


def _print(data: bytes, stdout: BinaryIO | None) -> None:
    try:
        sys.stdout.flush()
        stream = stdout or getattr(sys.stdout, "buffer", None)
        if stream is None:  # a text stream that somebody put there
            sys.stdout.write(data.decode("utf-8"))
        else:
            stream.write(data)
            stream.flush()
    except OSError as error:
        raise ProgramError(f"standard output took no report: {_reason(error)}.") from error


def _write(path: Path, data: bytes) -> None:
    path = Path(os.path.realpath(path))  # a link stays a link, its file is replaced
    try:
        mode: int | None = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if mode is not None and not stat.S_ISREG(mode):
        with path.open("wb", buffering=0) as device:
            view = memoryview(data)
            while view:
                view = view[device.write(view) :]
        return
    beside = path.with_name(f".bugsle-{os.urandom(8).hex()}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(data)
        if mode is not None:
            beside.chmod(stat.S_IMODE(mode))
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _error(path: Path, error: OSError) -> UsageError | ProgramError:
    shown = for_terminal(str(path))
    what = f"the report {shown} cannot be written: {_reason(error)}."
    if error.errno not in _THEIR_CHOICE:
        return ProgramError(
            what, why="nothing was left half-written.", hint="make room, or choose another place."
        )
    if error.errno == errno.ENOTDIR and path.is_file():
        return UsageError(what, why="a file stands there.", hint="name a folder for the badges.")
    if not path.parent.is_dir():
        folder = for_terminal(shlex.quote(str(path.parent)))
        return UsageError(what, why="its folder does not exist.", hint=f"mkdir -p {folder}")
    if path.is_dir():
        return UsageError(what, why="a folder stands there.", hint=f"name a file in it: {shown}/bugsle.json")
    return UsageError(what, hint="choose a file that you may write to.")


def _reason(error: OSError) -> str:
    return for_terminal(error.strerror or type(error).__name__)
