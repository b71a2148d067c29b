"""Find what a test left behind in the process, and put it back one item at a time.  PYTEST_DONT_REWRITE

Standalone, like the recorder: standard library only, Python 3.8 or newer. Nothing of the project is called:
modules, classes and instances are read from their raw dictionaries, containers by the methods of their base
types, and texts are made here, since a `__repr__` or a property can raise, never end, or change the state.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .state_kinds import ABSENT, Files, Table, tables
from .state_tables import PYTHONS, class_table, container, is_machinery, namespace
from .state_values import (
    COMPARED,
    CONTAINER,
    CONTAINERS,
    EXACT,
    FROZEN,
    HEAP_TYPE,
    contrast,
    flags_of,
    line,
    module_dict,
    module_file,
    module_name,
    same,
    same_code,
    show,
)
from .state_walk import Walk

DIFFERENCES = 1_000
_WHOLE = "*"
# What binds names to objects, in contrast to what is compared as data.
_BINDINGS = {
    "global",
    "class attribute",
    "instance attribute",
    "closure",
    "function attribute",
    "module attribute",
}
# Caches of the standard library stand behind private names; these are state.
_PRIVATE = {
    "urllib.request": {"_opener"},
    "logging": {"_loggerClass", "_logRecordFactory", "_nameToLevel", "_levelToName"},
    "xml.etree.ElementTree": {"_namespace_map"},
}
# Public names of the standard library that are caches, or have a kind of their own.
_OWN = {
    "sys": {
        "argv",
        "meta_path",
        "modules",
        "path",
        "path_hooks",
        "path_importer_cache",
        "stderr",
        "stdin",
        "stdout",
    }
    | {"last_exc", "last_traceback", "last_type", "last_value", "warnoptions"},
    "warnings": {"filters", "onceregistry"},
    "linecache": {"cache"},
    "inspect": {"modulesbyfile"},
}
# The lower the likelier to matter; what is not named here is 4, what the tree itself holds 1.
_RANKS = {
    **dict.fromkeys(("environment", "working directory", "module attribute", "mock patch"), 3),
    **dict.fromkeys(("context variable", "sys.modules"), 6),
    **dict.fromkeys(("random state", "trace function", "exit functions", "thread", "open file"), 7),
}


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let no garbage collection start: it would walk the project's objects several times over."""
    thresholds = gc.get_threshold()
    gc.set_threshold(0)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class Difference(NamedTuple):
    """One item that is not as it was; `was` and `now` are one short line each."""

    kind: str
    name: str
    was: str
    now: str
    ours: bool = False
    restorable: bool = True
    rank: int = 5
    table: int = -1
    key: Any = ""

    def as_json(self) -> dict[str, str]:
        """Return the four texts."""
        return {"kind": self.kind, "name": self.name, "was": self.was, "now": self.now}


class Snapshot:
    """What was read, and in `left_out` what was not, a line each. It keeps what it read alive."""

    def __init__(self) -> None:
        self.tables: list[tuple[Table, dict[Any, Any]]] = []
        self.left_out: list[str] = []
        self.contents: dict[int, Any] = {}  # of the containers that were followed, by id

    def add(self, table: Table) -> None:
        """Read a table and keep it; one that cannot be read is left out."""
        try:
            self.tables.append((table, table.read()))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's object raises
            self.left_out.append(line(f"{table.kind} {table.name}: {type(error).__name__}"))


def take(is_ours: Callable[[str], bool], root: str | None = None) -> Snapshot:
    """Read the state of this process, and of the files under `root` where that is given.

    `is_ours(filename)` says whether a module's file belongs to the tree under test: what its modules and
    classes hold is followed, six levels deep; of all others only names are compared. Give a `root` only if
    the folder is a private copy, since `restore` writes there.
    """
    with _uncollected():
        return _take(is_ours, root)


def _take(is_ours: Callable[[str], bool], root: str | None) -> Snapshot:
    snapshot = Snapshot()
    modules = {name: module for name, module in list(sys.modules.items()) if type(name) is str}
    origin = _Origin(is_ours, modules)
    walk = Walk(snapshot, {name: module for name, module in modules.items() if origin.ours(name, module)})
    walk.run()
    for name, module in modules.items():
        if name not in walk.modules and issubclass(type(module), types.ModuleType):
            _others(snapshot, name, module, origin)
    for ours in (True, False):
        snapshot.add(_module_table(origin, ours))
    for table in tables():
        snapshot.add(table)
    if root is not None:
        files = Files(root)
        snapshot.add(files.table())
        snapshot.left_out += [files.left_out] if files.left_out else []
    return snapshot


def differences(before: Snapshot) -> list[Difference]:
    """List what is not as it was, the tree's own first, then what most likely matters to a test."""
    with _uncollected():
        return _differences(before)


def _differences(before: Snapshot) -> list[Difference]:
    found: list[Difference] = []
    for number, (table, was) in enumerate(before.tables):
        try:
            now = table.read()
            changed = _changed(table, was, now)
            rebound = 0
            for key in changed[:DIFFERENCES]:
                one, other = was.get(key, ABSENT), now.get(key, ABSENT)
                rebound += same_code(one, other)
                try:
                    found.append(_difference(table, number, key, one, other, before))
                except Exception as error:  # noqa: BLE001 - as in add()
                    before.left_out.append(line(f"{table.kind} {table.name}: {type(error).__name__}"))
            if table.kind == "global" and rebound > 2:
                text = f"executed again: {rebound} functions and classes are others"
                found.append(
                    Difference("module", table.name, "executed once", text, True, True, 0, number, _WHOLE)
                )
        except Exception as error:  # noqa: BLE001 - as in add()
            before.left_out.append(line(f"{table.kind} {table.name}: {type(error).__name__}"))
    found.sort(key=lambda each: (each.rank, each.kind, each.name))
    if len(found) > DIFFERENCES:
        before.left_out.append(f"{len(found) - DIFFERENCES:,} differences beyond the first {DIFFERENCES:,}")
    return found[:DIFFERENCES]


def restore(before: Snapshot, difference: Difference) -> bool:
    """Put one item back in this process, with what it held, and say whether it is as it was.

    A rebound name gets its old object, and that object its old content; other changes stay.
    """
    table, was = before.tables[difference.table]
    if table.put is None:
        return False
    try:
        now = table.read()
        keys = _changed(table, was, now) if difference.key is _WHOLE else [difference.key]
        for key in keys:
            table.put(key, was.get(key, ABSENT))
        if difference.key is not _WHOLE and difference.key != "":
            _restore_below(before, difference.name)
        left = _changed(table, was, table.read())
        return not any(key in left for key in keys)
    except Exception:  # noqa: BLE001 - as in add()
        return False


def _restore_below(before: Snapshot, name: str) -> None:
    for table, was in before.tables:
        if not table.ours or table.put is None or not table.name.startswith(name):
            continue
        if table.name[len(name) :][:1] in ("", ".", "["):
            for key in _changed(table, was, table.read()):
                table.put(key, was.get(key, ABSENT))


def _changed(table: Table, was: dict[Any, Any], now: dict[Any, Any]) -> list[Any]:
    """Return the keys whose values are not the same, in the order of the earlier reading.

    A name that is bound to another container is another, equal or not: whoever holds the old one is cut off.
    """
    kinds = FROZEN if table.kind in _BINDINGS and "" not in was else COMPARED
    keys = [key for key, value in was.items() if key not in now or not same(value, now[key], kinds)]
    return keys + [key for key in now if key not in was]


def _difference(table: Table, number: int, key: Any, was: Any, now: Any, before: Snapshot) -> Difference:
    name = f"{table.name}.{key}" if table.name and key != "" else table.name or str(key)
    if table.kind in _BINDINGS and key != "":
        was = before.contents.get(id(was), was)
    if table.label is not None:
        texts = [table.nothing if each is ABSENT else table.label(each) for each in (was, now)]
    elif type(was) is type(now) and issubclass(type(was), CONTAINERS):
        texts = list(contrast(was, now))
    else:
        texts = [table.nothing if each is ABSENT else show(each) for each in (was, now)]
    if table.kind == "environment" and re.search(
        "SECRET|TOKEN|PASSW|API_?KEY|CREDENTIAL|PRIVATE", name, re.IGNORECASE
    ):
        texts = [text if text == "absent" else "hidden" for text in texts]
    rank = 1 if table.ours else _RANKS.get(table.kind, 4)
    if texts[0] == texts[1]:
        texts[1] += " (another one)"
    # Bound to another object that is equal: least likely to be felt.
    rank += texts[1].endswith(("another one", "another one)"))
    return Difference(
        table.kind,
        line(name, 200),
        line(texts[0]),
        line(texts[1]),
        table.ours,
        table.put is not None,
        rank,
        number,
        key,
    )


# --- modules -------------------------------------------------------------------------------------------------


class _Origin:
    """Tell modules of the tree, of the standard library and of others apart, by their files."""

    def __init__(self, is_ours: Callable[[str], bool], modules: dict[str, Any]) -> None:
        self._is_ours = is_ours
        self._known: dict[str, bool] = {}
        self._library = os.path.dirname(os.__file__) + os.sep
        self.names = {name for name, module in modules.items() if self._by_file(module)}

    def _by_file(self, module: Any) -> bool:
        file = module_file(module)
        if file and file not in self._known:
            try:
                self._known[file] = bool(self._is_ours(file))
            except Exception:  # noqa: BLE001 - a file's name can be anything
                self._known[file] = False
        return self._known.get(file, False)

    def ours(self, name: str, module: Any) -> bool:
        """Say whether a module is the tree's; one that stands in for a module of the tree is."""
        return name in self.names or self._by_file(module)

    def library(self, module: Any) -> bool:
        """Say whether a module is the standard library's."""
        file = module_file(module)
        return not file or (file.startswith(self._library) and "-packages" + os.sep not in file)


def _module_table(origin: _Origin, ours: bool) -> Table:
    def read() -> dict[Any, Any]:
        return {
            name: module
            for name, module in list(sys.modules.items())
            if type(name) is str and origin.ours(name, module) is ours and not is_machinery(name)
        }

    return Table("sys.modules", "", read, _put_module, ours)


def _put_module(name: Any, value: Any) -> None:
    current = sys.modules.get(name, ABSENT)
    if value is ABSENT:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = value
    parent, _, leaf = name.rpartition(".")
    package = sys.modules.get(parent)
    if not parent or not issubclass(type(package), types.ModuleType):
        return
    held = module_dict(package)
    if value is not ABSENT:
        held[leaf] = value
    elif held.get(leaf) is current:
        del held[leaf]


def _others(snapshot: Snapshot, name: str, module: Any, origin: _Origin) -> None:
    """Add the names of a module that is not the tree's, and those of its classes."""
    if is_machinery(name):
        return
    held = module_dict(module)
    library = origin.library(module) and name != "builtins"
    kept, own = _PRIVATE.get(name, set()), _OWN.get(name, set()) | PYTHONS

    def wanted(key: Any) -> bool:
        return key not in own and (not library or not key.startswith("_") or key in kept)

    snapshot.add(namespace("module attribute", name, held, wanted, ours=False))
    for key, value in list(held.items()):
        kind = type(value)
        if type(key) is not str or not wanted(key):
            continue
        if issubclass(kind, type) and flags_of(value) & HEAP_TYPE and module_name(value) == name:
            snapshot.add(class_table("module attribute", f"{name}.{key}", value, ours=False))
        elif (
            id(kind) in EXACT and key[:2] != "__" and len(value) <= CONTAINER and (not library or key in kept)
        ):
            snapshot.add(container("module attribute", f"{name}.{key}", value, ours=False))
