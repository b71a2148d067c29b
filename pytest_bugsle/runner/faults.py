"""Describe a live exception: what was missing, where it was raised, through which files.  PYTEST_DONT_REWRITE

Standalone, like the recorder that uses it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep  # our guard's frames are no news
_FRAMES = 60
_MESSAGE = 500
_CANNOT_IMPORT = re.compile(r"cannot import name '([^']+)' from (?:partially initialized module )?'([^']+)'")
_NO_ATTRIBUTE = re.compile(r"'?([\w.]+)'? (?:object )?has no attribute '([^']+)'")
_NO_NAME = re.compile(r"(?:^|\s)(?:name|local variable|free variable) '([^']+)'")
_SIGNATURE = (
    re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '([^']+)'"),
    re.compile(r"([\w.<>]+)\(\) missing \d+ required [\w-]+ arguments?: '([^']+)'"),
    re.compile(r"([\w.<>]+)\(\) got some positional-only arguments passed as keyword arguments: '([^']+)'"),
    re.compile(
        r"([\w.<>]+)\(\) takes (?:from |at most |exactly )?\w+ (?:to \w+ )?(?:positional )?arguments?()"
    ),
    re.compile(r"([\w.<>]+)\(\) takes no arguments()"),
)


class Witness:
    """Know the tree, so that frames and owners can be told by its paths."""

    def __init__(self, places: Any, changed: list[str], import_roots: list[str]) -> None:
        self.places = places
        self.changed = set(changed)
        self._paths: dict[str, str] = {}

    def path(self, file: str) -> str:
        """Return a source file relative to the tree, '' outside."""
        if file not in self._paths:
            usable = file and not file.startswith("<")
            self._paths[file] = self.places.tree_path(file) if usable else ""
        return self._paths[file]

    def frames(self, traceback: Any) -> list[list[Any]]:
        """List (path, line, function), outermost first."""
        found = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if not code.co_filename.startswith(_HERE):
                found.append([self.path(code.co_filename), traceback.tb_lineno, code.co_name])
            traceback = traceback.tb_next
        return found

    def describe(self, error: BaseException, test_path: str, traceback: Any = None) -> dict[str, Any]:
        """Describe the primary exception; causes and contexts only mark `chained`."""
        error, traceback = _unwrap(error, traceback)
        frames = self.frames(traceback if traceback is not None else error.__traceback__)
        in_changed = any(frame[0] in self.changed for frame in frames)
        for inner in _grouped(error):
            in_changed = in_changed or self._through_changed(inner)
        chained = any(self._through_changed(other) for other in _chain(error))
        mro = [cls.__name__ for cls in type(error).__mro__]
        own = [frame[0] for frame in frames if frame[0]]
        name, owner = self._missing(error, frames)
        first = next((index for index, frame in enumerate(frames) if frame[0]), max(0, len(frames) - 5))
        frames = frames[first:]  # what lies before is pytest's own way to the test
        if len(frames) > _FRAMES:
            frames = frames[:10] + frames[-(_FRAMES - 10) :]
        return {
            "type": type(error).__name__,
            "mro": mro,
            "message": first_line(error),
            "name": name,
            "owner": owner,
            "frames": frames,
            "in_changed": in_changed,
            "in_test": bool(own and own[-1] == test_path) or "DocTestFailure" in mro,
            "missing_stub": "BugsleMissing" in mro,
            "chained": chained,
        }

    def _through_changed(self, error: BaseException) -> bool:
        return any(frame[0] in self.changed for frame in self.frames(error.__traceback__))

    def _missing(self, error: BaseException, frames: list[list[Any]]) -> tuple[str | None, str | None]:
        message = first_line(error)
        if isinstance(error, ImportError):
            match = _CANNOT_IMPORT.search(message)
            if match:
                return match.group(1), self._module_file(match.group(2)) or self._file(error.path)
            return error.name, self._parent_file(error.name)
        if isinstance(error, AttributeError):
            return self._missing_attribute(error, message)
        if isinstance(error, NameError):
            match = _NO_NAME.search(message)
            name = getattr(error, "name", None) or (match.group(1) if match else None)
            return name, (frames[-1][0] or None) if frames else None
        if isinstance(error, TypeError):
            for pattern in _SIGNATURE:
                match = pattern.search(message)
                if match:
                    return match.group(2) or match.group(1).rpartition(".")[2], self._definer(match.group(1))
        return None, None

    def _missing_attribute(self, error: AttributeError, message: str) -> tuple[str | None, str | None]:
        name = getattr(error, "name", None)
        match = _NO_ATTRIBUTE.search(message)
        if name is None and match:
            name = match.group(2)
        if name is None:
            return None, None
        thing = getattr(error, "obj", None)
        if thing is not None:
            if isinstance(thing, type(sys)):
                return name, self._module_file(thing.__name__)
            cls = thing if isinstance(thing, type) else type(thing)
            return name, self._module_file(cls.__module__) if isinstance(cls.__module__, str) else None
        return name, (self._module_file(match.group(1)) or self._definer(match.group(1))) if match else None

    def _file(self, file: Any) -> str | None:
        return (self.path(file) or None) if isinstance(file, str) else None

    def _module_file(self, name: str) -> str | None:
        return self._file(getattr(sys.modules.get(name), "__file__", None))

    def _parent_file(self, name: Any) -> str | None:
        while isinstance(name, str) and "." in name:
            name = name.rpartition(".")[0]
            found = self._module_file(name)
            if found:
                return found
        return None

    def _definer(self, qualified: str) -> str | None:
        """Find the changed file whose module has this function, class or method."""
        parts = qualified.split(".")
        for module in list(sys.modules.values()):
            file = self._file(getattr(module, "__file__", None))
            if file not in self.changed:
                continue
            thing: Any = module
            for part in parts:
                thing = getattr(thing, "__dict__", {}).get(part)
            if thing is not None:
                return file
            if len(parts) == 1:  # before 3.10 the message names a method without its class
                for member in list(vars(module).values()):
                    own = isinstance(member, type) and member.__module__ == module.__name__
                    if own and parts[0] in vars(member):
                        return file
        return None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, whatever its __str__ does."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a tested class's own code
        text = f"<{type(broken).__name__} in __str__>"
    return text.strip().partition("\n")[0][:_MESSAGE]


def _unwrap(error: BaseException, traceback: Any) -> tuple[BaseException, Any]:
    """Go from a wrapper of pytest or doctest to what was really raised."""
    for _ in range(4):
        kind = type(error).__name__
        cause: Any = None
        if kind == "CollectError":
            cause = error.__cause__ or error.__context__
        elif kind == "ConftestImportFailure":
            cause = getattr(error, "cause", None) or error.__cause__ or error.__context__
        elif kind == "MultipleDoctestFailures":
            cause = next(iter(getattr(error, "failures", ())), None)
        elif kind == "UnexpectedException":  # a doctest's example raised
            info = getattr(error, "exc_info", None)
            cause = info[1] if info else None
        if not isinstance(cause, BaseException):
            break
        error, traceback = cause, None
    return error, traceback


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    current = error
    while True:
        following = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if following is None or id(following) in seen:
            return
        seen.add(id(following))
        yield following
        current = following


def _grouped(error: BaseException, depth: int = 3) -> Iterator[BaseException]:
    for inner in getattr(error, "exceptions", ()) if depth else ():
        if isinstance(inner, BaseException):
            yield inner
            yield from _grouped(inner, depth - 1)
