"""The ledger of an experiment that is committed: its locked designs and its looks, in readable JSON.  PYTEST_DONT_REWRITE

`tests/bugsle_looks/<experiment>.json` has sorted keys, a line for each field of a design and one for each look.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import lock
from pytest_bugsle.experiment.looks import PastLook
from pytest_bugsle.store.place import refuse_links, write_whole

VERSION = 1
FOLDER = ("tests", "bugsle_looks")

_MARKS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_UNFIT = re.compile(r"[^a-z0-9._-]+")
_KEYS = ("designs", "experiment", "looks", "version")


@dataclass(frozen=True, slots=True)
class Committed:
    """What a committed ledger says; `text` is the file."""

    path: Path
    looks: Sequence[PastLook] = ()
    designs: Mapping[str, lock.Fields] = field(default_factory=dict)
    text: str = ""

    def line_of(self, metric: str, name: str) -> int:
        """Return the line of a field of a locked design, or the nearest that there is: the metric's, or 1."""
        place, inside = 1, False
        for number, line in enumerate(self.text.splitlines(), start=1):
            if line.startswith(f"    {json.dumps(metric)}: "):
                place, inside = number, True
            elif inside and line.startswith("    }"):
                break
            elif inside and line.strip().startswith(f"{json.dumps(name.partition('.')[0])}: "):
                return number
        return place


def place(top: Path, experiment: str) -> Path:
    """Return where the ledger of an experiment stands; names that differ have files that differ."""
    plain = _UNFIT.sub("-", experiment.lower())[:60].strip("-.")
    if plain != experiment:
        plain += "-" + hashlib.blake2b(experiment.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return top.joinpath(*FOLDER, f"{plain}.json")


def read(path: Path, experiment: str) -> Committed | None:
    """Return what a ledger says; None where there is no file. UsageError says what is wrong with it, and where."""
    if not path.parent.is_dir():
        return None
    refuse_links(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="make it readable") from error
    except UnicodeDecodeError:
        _refuse(path, 1, "this is no UTF-8")
    _refuse_conflict(path, text)
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        _refuse(
            path, getattr(error, "lineno", 1), f"this is no JSON: {getattr(error, 'msg', 'nested too deep')}"
        )
    if not isinstance(found, dict) or not isinstance(found.get("version"), int):
        _refuse(path, 1, "this is no ledger of looks")
    if found["version"] != VERSION:
        raise UsageError(
            f"{path} has version {found['version']}, and this program reads version {VERSION}.",
            why="a look that is not understood would be one more look for free",
            hint="use the newest pytest-bugsle everywhere",
        )
    if sorted(found) != sorted(_KEYS) or found["experiment"] != experiment:
        _refuse(path, 1, f"this is no ledger of {experiment!r} with {', '.join(_KEYS)}")
    return Committed(path, _looks(path, text, found["looks"]), _designs(path, text, found["designs"]), text)


def _looks(path: Path, text: str, found: Any) -> list[PastLook]:
    if not isinstance(found, list):
        _refuse(path, 1, "`looks` is no list")
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if line.startswith("    {")]
    made = []
    for place_, one in enumerate(found):
        line = lines[place_] if place_ < len(lines) else 1
        try:
            look = msgspec.convert(one, PastLook)
        except msgspec.ValidationError as error:
            _refuse(path, line, f"this is no look: {error}")
        if min(look.n) < 1 or not 0 < look.level < 1:
            _refuse(path, line, "this is no look: its units or its level are impossible")
        made.append(look)
    return made


def _designs(path: Path, text: str, found: Any) -> dict[str, lock.Fields]:
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        _refuse(path, 1, "`designs` is no table of designs")
    for metric, one in found.items():
        if not lock.is_whole(one):
            line = Committed(path, text=text).line_of(metric, "")
            _refuse(path, line, f"the lock of {metric!r} was changed by hand: its digest is another")
    return dict(found)


def _refuse(path: Path, line: int, what: str) -> NoReturn:
    raise UsageError(
        f"{path}:{line}: {what}.",
        why="looks that are forgotten are looks for free, so nothing is judged without them",
        hint="give back the file of the last commit (git checkout), then `bugsle accept`",
    )


def _refuse_conflict(path: Path, text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(_MARKS):
            raise UsageError(
                f"{path}:{number}: a merge left its conflict here.",
                why="both sides have looks that count, so nothing is judged by one of them",
                hint="keep the looks of both sides, a comma after each but the last, delete the marks, then "
                "`bugsle accept`",
            )


def text_of(experiment: str, designs: Mapping[str, lock.Fields], looks: Sequence[PastLook]) -> str:
    """Return the file of a ledger."""
    rows = [
        json.dumps({k: v for k, v in msgspec.to_builtins(look).items() if k != "session"}, sort_keys=True)
        for look in looks
    ]
    listed = "[\n    " + ",\n    ".join(rows) + "\n  ]" if rows else "[]"
    shown = json.dumps(designs, sort_keys=True, indent=2).replace("\n", "\n  ")
    return (
        f'{{\n  "designs": {shown},\n  "experiment": {json.dumps(experiment)},\n'
        f'  "looks": {listed},\n  "version": {VERSION}\n}}\n'
    )


def write(path: Path, text: str) -> None:
    """Write a ledger, whole or not at all; UsageError where it cannot be."""
    refuse_links(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="make the folder writable"
        ) from error
