"""Failing variations as readable files: kept beside the history, replayed first, committed by `accept_cases`.  PYTEST_DONT_REWRITE

A case is one JSON file, named by what it holds, so that two processes that save the same one write the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.history.references import normalise
from pytest_bugsle.report.escape import for_json
from pytest_bugsle.robustness.edits import Edit, apply, digest_of, fits
from pytest_bugsle.robustness.freezing import thawed
from pytest_bugsle.robustness.relations import Relation, Same
from pytest_bugsle.settings import CASES
from pytest_bugsle.store.place import refuse_links, state_folder, write_whole

if TYPE_CHECKING:
    import datetime as dt

    from pytest_bugsle.settings import Settings

LOCAL = "robustness"
"""The folder of new cases, in our own."""
SCHEMA = 2
_READ = (1, SCHEMA)
"""Files of 1 do not say which relation broke: labels differed."""
_LARGEST = 8 * 1024 * 1024
_LONGEST_NAME = 60
MOST_KEPT = 100
"""New cases of one test: older ones go, or each run would ask more than the last."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One failing variation: what was varied and how, and what the model said to both.

    `relation` is what the two answers break, and what a replay judges by. `bug` names what it guards, once it is
    accepted. `test` is the id of the test whose gate found it.
    """

    schema: int = SCHEMA
    test: str
    perturbation: str
    gate: str = "invariant"
    model: str = ""
    seed: int = 0
    bug: str | None = None
    relation: Relation | None = None
    before: Any
    edits: list[list[Any]]
    after: Any
    output_before: str
    output_after: str

    def name(self) -> str:
        """Return the file's name: the perturbation, and a digest of what makes the case."""
        made = [self.test, self.gate, self.perturbation, self.before, self.edits]
        # A label that changed has the name that it had before files said what broke.
        if self.relation not in (None, Same()):
            made.append(msgspec.to_builtins(self.relation))
        content = json.dumps(made, sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        return f"{_slug(self.perturbation)}-{digest}.json"

    def variation(self) -> tuple[Any, tuple[Edit, ...], Any] | None:
        """Return the example, its edits and what they make of it; None where these do not belong together."""
        try:
            return self._variation()
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            return None  # a stranger's file may hold anything

    def _variation(self) -> tuple[Any, tuple[Edit, ...], Any] | None:
        before, after = thawed(self.before), thawed(self.after)
        edits = tuple(tuple(each) for each in self.edits)
        if isinstance(before, str):
            edits = tuple((each[0], each[1], each[-1]) for each in edits if len(each) == 4)
            same = all(
                before[start:stop] == old
                for (start, stop, _), (_, _, old, _) in zip(edits, self.edits, strict=False)
            )
            if not same:
                return None
        else:
            edits = tuple((_key(each[0]), each[-1]) for each in edits if len(each) == 3)
        if len(edits) != len(self.edits) or not fits(before, edits):
            return None
        return (before, edits, after) if digest_of(apply(before, edits)) == digest_of(after) else None


def _key(place: Any) -> Any:
    return tuple(place) if isinstance(place, list) else place


def edits_shown(example: Any, edits: Sequence[Any]) -> list[list[Any]]:
    """Return edits as a case has them: [start, stop, old, new] in a text, [place, old, new] elsewhere."""
    if isinstance(example, str):
        return [[start, stop, example[start:stop], new] for start, stop, new in edits]
    made: list[list[Any]] = [
        [list(place) if isinstance(place, tuple) else place, _old(example, place), new]
        for place, new in edits
    ]
    return made


def _old(example: Any, place: Any) -> Any:
    try:
        return None if place is None else example[place]
    except (IndexError, KeyError, TypeError):
        return None


class CaseStore:
    """The cases of one test: new ones in `local` (None where nothing can be written), accepted in `committed`."""

    def __init__(self, test: str, *, local: Path | None, committed: Path, top: Path) -> None:
        self.test = test
        self._top = top
        self._local = None if local is None else _unlinked(local, local / LOCAL / folder_name(test))
        self._committed = committed / folder_name(test)

    def load(self) -> tuple[list[Case], list[Case], list[str], list[str]]:
        """Return accepted cases, new ones, and what is to be said of files that are none (any more): accepted, new."""
        lost: list[str] = []
        said: list[str] = []
        accepted = list(self._cases(self._committed, lost))
        known = {case.name() for case in accepted}
        new = (
            [case for case in self._cases(self._local, said) if case.name() not in known]
            if self._local
            else []
        )
        return accepted, new, lost, said

    def orphans(self) -> list[str]:
        """Return what is to be said of accepted cases that no test replays, for theirs is gone."""
        said: list[str] = []
        parent = self._committed.parent
        # Below the top of a repository may be several of pytest's own, of which each has its ids.
        is_whole = parent == self._top / CASES
        folders = sorted(parent.iterdir()) if is_whole and parent.is_dir() else []
        for folder in folders if _unlinked(parent, parent) else ():
            first = next((read_case(path) for path in sorted(folder.glob("*.json"))), "")
            if (
                folder != self._committed
                and not folder.is_symlink()
                and isinstance(first, Case)
                and self._is_gone(first.test)
            ):
                said.append(
                    f"accepted cases in {self.shown(folder)} are not replayed: there is no {first.test};"
                    f" next: bugsle accept models --only {folder_name(first.test)} --test and its id now, or delete them"
                )
        return said

    def _is_gone(self, test: str) -> bool:
        """Say whether a test is there no more: of those of this test's own file, or of a file that is gone."""
        name, _, rest = test.partition("::")
        file = self._top / name
        if not file.is_file():
            return True
        if name != self.test.partition("::")[0]:
            return False
        # A test of a class may be inherited from another file.
        outer, colons, _ = rest.partition("[")[0].partition("::")
        made = rf"class\s+{re.escape(outer)}\b" if colons else rf"def\s+{re.escape(outer)}\b"
        return re.search(made, file.read_text(encoding="utf-8", errors="replace")) is None

    def _cases(self, folder: Path, said: list[str]) -> Iterator[Case]:
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            case = read_case(path)
            if isinstance(case, str) or case.test != self.test:
                reason = case if isinstance(case, str) else f"it belongs to {case.test}"
                said.append(f"saved case {self.shown(path)} is not replayed: {reason}")
            elif case.variation() is None:
                said.append(
                    f"saved case {self.shown(path)} no longer applies: its edits do not make its `after`"
                )
            else:
                yield case

    def save(self, case: Case) -> str | None:
        """Write a new case and return its place; None where nothing can be written, or nothing so large.

        The newest MOST_KEPT of a test are kept.
        """
        content = encoded(case)
        if self._local is None or len(content) > _LARGEST:
            return None
        path = self._local / case.name()
        if (self._committed / path.name).is_file():
            return self.shown(self._committed / path.name)
        try:
            self._local.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
            _forget_oldest(self._local)
        except OSError:
            return None
        return self.shown(path)

    def shown(self, path: Path) -> str:
        """Return a path as a user reads it: from the top."""
        return path.relative_to(self._top).as_posix() if path.is_relative_to(self._top) else str(path)


def _unlinked(top: Path, folder: Path) -> Path | None:
    """Return the folder, None where it, or one above it, is a link: a checkout may contain anything."""
    return None if any(each.is_symlink() for each in (folder, folder.parent, top)) else folder


def _forget_oldest(folder: Path) -> None:
    """Delete what goes beyond MOST_KEPT; another process may do so at the same time."""
    found = []
    for path in folder.glob("*.json"):
        with suppress(OSError):
            found.append((path.stat().st_mtime_ns, path.name, path))
    for _, _, path in sorted(found)[:-MOST_KEPT]:
        path.unlink(missing_ok=True)


def folder_name(test: str) -> str:
    """Return the folder of a test's cases: what can be read of its id, and a digest that tells it apart."""
    digest = hashlib.sha256(test.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{_slug(test).strip('-_.')}-{digest}"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[-_LONGEST_NAME:].strip("-.") or "case"


def encoded(case: Case) -> bytes:
    """Return the case as the bytes of its file."""
    table = msgspec.to_builtins(case)
    # As escapes, for a reader must see what is invisible, and UTF-8 has no lone surrogates.
    return (json.dumps(table, indent=2, ensure_ascii=True) + "\n").encode("ascii")


def read_case(path: Path) -> Case | str:
    """Return the case of a file, or why it is none."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return "it is a link or a folder, and no file"
        if status.st_size > _LARGEST:
            return "it is larger than 8 MB"
        # Not msgspec's decoder: it refuses lone surrogates, which a saved text may hold.
        case = msgspec.convert(json.loads(path.read_bytes()), Case)
    except (OSError, ValueError, RecursionError) as error:
        return f"it cannot be read ({for_json(str(error))[:200]})"
    return (
        case
        if case.schema in _READ
        else f"its schema is {case.schema}, and {SCHEMA} the newest that is known"
    )


def accept_cases(
    local: Path, committed: Path, *, only: str = "", bug: str | None = None, test: str = ""
) -> list[tuple[Path, Path]]:
    """Move new cases into the repository, and return where each was and is.

    `only` is a part of the name of test, perturbation, folder or file; `bug` and `test` (the id of a test that was
    renamed) are written into what is moved, and into accepted cases that `only` names. A file that is no case stays.
    UsageError where a folder is a link or cannot be written.
    """
    found = [path for path in sorted((local / LOCAL).glob("*/*.json")) if _unlinked(local, path.parent)]
    if only and (bug or test):
        found += [path for path in sorted(committed.glob("*/*.json")) if _unlinked(committed, path.parent)]
    moved: list[tuple[Path, Path]] = []
    for path in found:
        case = read_case(path)
        if isinstance(case, str) or case.variation() is None:
            continue
        if not any(only in name for name in (case.test, case.perturbation, path.name, path.parent.name)):
            continue
        made = msgspec.structs.replace(case, bug=bug or case.bug, test=test or case.test)
        goal = committed / folder_name(made.test) / made.name()
        if path == goal and case == made:
            continue
        for parent in (committed, goal.parent):
            refuse_links(parent)
        refuse_links(goal)
        try:
            goal.parent.mkdir(parents=True, exist_ok=True)
            write_whole(goal, encoded(made))
        except OSError as error:
            raise UsageError(
                f"{goal} cannot be written: {error.strerror}", hint="make the folder writable"
            ) from error
        if path != goal:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # if it is empty
        moved.append((path, goal))
    return moved


def accept_models(
    top: Path,
    settings: Settings,
    today: dt.date,
    *,
    only: str = "",
    bug: str | None = None,
    test: str = "",
) -> list[str]:
    """Move new cases into the repository for `bugsle accept`; return a line for each.

    `only`, `bug` and `test` are those of `accept_cases`; the bug is written in the one spelling that references have.
    """
    local = state_folder(top, bare=False)
    if local is None:
        return []
    bug = normalise(bug) if bug else None
    return [
        goal.relative_to(top).as_posix() + (f": names bug {bug}" if bug else "")
        for _, goal in accept_cases(local, top / CASES, only=only, bug=bug, test=test)
    ]
