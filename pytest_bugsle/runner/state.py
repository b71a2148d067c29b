"""Find what a test left behind in the process, and put it back one item at a time.  PYTEST_DONT_REWRITE

Standalone, like the recorder: standard library only, Python 3.8 or newer. Nothing of the project is called:
modules, classes and instances are read from their raw dictionaries, containers by the methods of their base
types, and texts are made here, since a `__repr__` or a property can raise, never end, or change the state.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import gc
import os
import pathlib
import re
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .state_kinds import ABSENT, Files, Table, tables

DEPTH = 6
ENTRIES = 150_000  # looked at in all, of the tree's own data
CONTAINER = 10_000
DIFFERENCES = 1_000
WIDTH = 80
_WHOLE = "*"
_CONTAINERS = (list, dict, set, deque, bytearray)


def _ids(*kinds: Any) -> frozenset[int]:
    """Return types by identity: to ask whether a type is among them would call the `__eq__` of its metaclass."""
    return frozenset(map(id, kinds))


_ATOMS = _ids(type(None), bool, int, float, complex, str, bytes, re.Pattern, range)
_PLAIN = _ids(
    type(None),
    bool,
    float,
    complex,
    re.Pattern,
    range,
    type(pathlib.Path()),
    datetime.date,
    datetime.timedelta,
)
_CACHE = type(functools.lru_cache(len))
_EXACT = _ids(*_CONTAINERS)
_TEXTS = _ids(str, bytes, bytearray)
_FROZEN = _ids(tuple, frozenset)
_COMPARED = _ids(tuple, list, dict, set, frozenset, bytearray)
# What binds names to objects, in contrast to what is compared as data.
_BINDINGS = {
    "global",
    "class attribute",
    "instance attribute",
    "closure",
    "function attribute",
    "module attribute",
}
# What Python itself writes there, at a time of its own.
_PYTHONS = {
    "__annotations__",
    "__annotations_cache__",
    "__annotate_func__",
    "__builtins__",
    "__slotnames__",
    "tearDown_exceptions",  # by unittest, on each class of tests
    "__warningregistry__",
    "_abc_impl",
}
# pytest, what it is made of and its plugins write in their own modules; that is their business unless they
# are the tree under test.
_MACHINERY = {
    "_pytest",
    "pluggy",
    "iniconfig",
    "py",
    "xdist",
    "execnet",
    "coverage",
    "hypothesis",
    "_hypothesis",
}
_MACHINERY |= {__name__.partition(".")[0]}
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
_TEST_FILE = re.compile(r"(test_.*|.*_test|conftest|tests?)\.py\Z")

_dict_of: Callable[[Any], Any] = type.__dict__["__dict__"].__get__
_mro_of: Callable[[Any], Any] = type.__dict__["__mro__"].__get__
_qualname_of: Callable[[Any], Any] = type.__dict__["__qualname__"].__get__
_module_of: Callable[[Any], Any] = type.__dict__["__module__"].__get__
_flags_of: Callable[[Any], Any] = type.__dict__["__flags__"].__get__
_module_dict: Callable[[Any], Any] = vars(types.ModuleType)["__dict__"].__get__
_HEAP_TYPE = 1 << 9


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
            self.left_out.append(_line(f"{table.kind} {table.name}: {type(error).__name__}"))


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
    walk = _Walk(snapshot, {name: module for name, module in modules.items() if origin.ours(name, module)})
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
                rebound += _same_code(one, other)
                try:
                    found.append(_difference(table, number, key, one, other, before))
                except Exception as error:  # noqa: BLE001 - as in add()
                    before.left_out.append(_line(f"{table.kind} {table.name}: {type(error).__name__}"))
            if table.kind == "global" and rebound > 2:
                text = f"executed again: {rebound} functions and classes are others"
                found.append(
                    Difference("module", table.name, "executed once", text, True, True, 0, number, _WHOLE)
                )
        except Exception as error:  # noqa: BLE001 - as in add()
            before.left_out.append(_line(f"{table.kind} {table.name}: {type(error).__name__}"))
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
    kinds = _FROZEN if table.kind in _BINDINGS and "" not in was else _COMPARED
    keys = [key for key, value in was.items() if key not in now or not _same(value, now[key], kinds)]
    return keys + [key for key in now if key not in was]


def _difference(table: Table, number: int, key: Any, was: Any, now: Any, before: Snapshot) -> Difference:
    name = f"{table.name}.{key}" if table.name and key != "" else table.name or str(key)
    if table.kind in _BINDINGS and key != "":
        was = before.contents.get(id(was), was)
    if table.label is not None:
        texts = [table.nothing if each is ABSENT else table.label(each) for each in (was, now)]
    elif type(was) is type(now) and issubclass(type(was), _CONTAINERS):
        texts = list(_contrast(was, now))
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
        _line(name, 200),
        _line(texts[0]),
        _line(texts[1]),
        table.ours,
        table.put is not None,
        rank,
        number,
        key,
    )


# --- modules ---------------------------------------------------------------------------------------------


class _Origin:
    """Tell modules of the tree, of the standard library and of others apart, by their files."""

    def __init__(self, is_ours: Callable[[str], bool], modules: dict[str, Any]) -> None:
        self._is_ours = is_ours
        self._known: dict[str, bool] = {}
        self._library = os.path.dirname(os.__file__) + os.sep
        self.names = {name for name, module in modules.items() if self._by_file(module)}

    def _by_file(self, module: Any) -> bool:
        file = self.file(module)
        if file and file not in self._known:
            try:
                self._known[file] = bool(self._is_ours(file))
            except Exception:  # noqa: BLE001 - a file's name can be anything
                self._known[file] = False
        return self._known.get(file, False)

    @staticmethod
    def file(module: Any) -> str:
        """Return the module's file, or ''."""
        held = _module_dict(module) if issubclass(type(module), types.ModuleType) else {}
        file = held.get("__file__")
        return file if type(file) is str else ""

    def ours(self, name: str, module: Any) -> bool:
        """Say whether a module is the tree's; one that stands in for a module of the tree is."""
        return name in self.names or self._by_file(module)

    def library(self, module: Any) -> bool:
        """Say whether a module is the standard library's."""
        file = self.file(module)
        return not file or (file.startswith(self._library) and "-packages" + os.sep not in file)


def _module_table(origin: _Origin, ours: bool) -> Table:
    def read() -> dict[Any, Any]:
        return {
            name: module
            for name, module in list(sys.modules.items())
            if type(name) is str and origin.ours(name, module) is ours and not _machinery(name)
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
    held = _module_dict(package)
    if value is not ABSENT:
        held[leaf] = value
    elif held.get(leaf) is current:
        del held[leaf]


def _machinery(name: str) -> bool:
    top = name.partition(".")[0]
    return top in _MACHINERY or top.startswith(("pytest", "_hypothesis"))


def _others(snapshot: Snapshot, name: str, module: Any, origin: _Origin) -> None:
    """Add the names of a module that is not the tree's, and those of its classes."""
    if _machinery(name):
        return
    held = _module_dict(module)
    library = origin.library(module) and name != "builtins"
    kept, own = _PRIVATE.get(name, set()), _OWN.get(name, set()) | _PYTHONS

    def wanted(key: Any) -> bool:
        return key not in own and (not library or not key.startswith("_") or key in kept)

    snapshot.add(_namespace("module attribute", name, held, wanted, ours=False))
    for key, value in list(held.items()):
        kind = type(value)
        if type(key) is not str or not wanted(key):
            continue
        if issubclass(kind, type) and _flags_of(value) & _HEAP_TYPE and _module_name(value) == name:
            snapshot.add(_class_table("module attribute", f"{name}.{key}", value, ours=False))
        elif (
            id(kind) in _EXACT
            and key[:2] != "__"
            and len(value) <= CONTAINER
            and (not library or key in kept)
        ):
            snapshot.add(_container("module attribute", f"{name}.{key}", value, ours=False))


def _namespace(
    kind: str, name: str, held: dict[str, Any], wanted: Callable[[Any], bool], *, ours: bool
) -> Table:
    module_type, own = types.ModuleType, name + "."

    def read() -> dict[Any, Any]:
        # A submodule is an attribute of its package too; `sys.modules` has the word about it.
        return {
            key: value
            for key, value in dict.copy(held).items()
            if type(key) is str
            and wanted(key)
            and not (
                issubclass(type(value), module_type)
                and _text(_module_dict(value).get("__name__")) == own + key
            )
        }

    return Table(kind, name, read, functools.partial(_put_key, held), ours)


def _put_key(held: dict[str, Any], key: Any, value: Any) -> None:
    if value is ABSENT:
        dict.pop(held, key, None)
    else:
        dict.__setitem__(held, key, value)


def _class_table(kind: str, name: str, owner: Any, *, ours: bool) -> Table:
    def read() -> dict[Any, Any]:
        return {key: value for key, value in dict(_dict_of(owner)).items() if key not in _PYTHONS}

    def put(key: Any, value: Any) -> None:
        if value is ABSENT:
            type.__delattr__(owner, key)
        else:
            type.__setattr__(owner, key, value)

    return Table(kind, name, read, put, ours)


# --- the tree's own data ---------------------------------------------------------------------------------


class _Walk:
    """Follow what modules of the tree hold, breadth first, so that each object gets its shortest name."""

    def __init__(self, snapshot: Snapshot, modules: dict[str, Any]) -> None:
        self.snapshot = snapshot
        self.modules = modules
        self._seen: dict[int, Any] = {}
        self._queue: deque[tuple[str, str, Any, int]] = deque()
        self._functions: dict[str, dict[str, Any]] = {}
        self._entries = 0
        self._full = False

    def run(self) -> None:
        """Add the tables of all that is reached."""
        for name in self._ordered():
            module = self.modules[name]
            if not issubclass(type(module), types.ModuleType):
                continue
            held = _module_dict(module)
            self.snapshot.add(_namespace("global", name, held, lambda key: key not in _PYTHONS, ours=True))
            for key, value in list(held.items()):
                if type(key) is str and (key[:2] != "__" or key == "__path__"):
                    self._push("global", f"{name}.{key}", value, 1)
        while self._queue and not self._full:
            kind, name, value, depth = self._queue.popleft()
            try:
                self._visit(kind, name, value, depth)
            except Exception as error:  # noqa: BLE001 - whatever a stranger's object raises
                self.snapshot.left_out.append(_line(f"{name}: {type(error).__name__}"))
        # One table for all functions: nearly none of them has attributes.
        self.snapshot.add(Table("function attribute", "", self._read_functions, self._put_function, True))

    def _read_functions(self) -> dict[Any, Any]:
        return {
            f"{name}.{key}": value
            for name, held in self._functions.items()
            if held
            for key, value in list(held.items())
        }

    def _put_function(self, name: Any, value: Any) -> None:
        function, _, key = name.rpartition(".")
        _put_key(self._functions[function], key, value)

    def _ordered(self) -> list[str]:
        """Return the modules, imported ones before their importers and tests last.

        The same list can stand in several; it is named by the first.
        """
        order: list[str] = []
        state: set[str] = set()

        def needs(name: str) -> Iterator[str]:
            module = self.modules[name]
            held = _module_dict(module) if issubclass(type(module), types.ModuleType) else {}
            for value in list(held.values()):
                if issubclass(type(value), types.ModuleType):
                    other = _module_dict(value).get("__name__")
                elif type(value) is types.FunctionType:
                    other = value.__module__
                elif issubclass(type(value), type):
                    other = _module_name(value)
                else:
                    continue
                if type(other) is str and other in self.modules:
                    yield other

        for start in reversed(list(self.modules)):
            stack = [(start, needs(start))] if start not in state else []
            state.add(start)
            while stack:
                others = stack[-1][1]
                following = next((other for other in others if other not in state), None)
                if following is None:
                    order.append(stack.pop()[0])
                else:
                    state.add(following)
                    stack.append((following, needs(following)))
        return sorted(order, key=lambda name: bool(_TEST_FILE.match(_base(self.modules[name]))))

    def _push(self, kind: str, name: str, value: Any, depth: int) -> None:
        self._entries += 1
        if id(type(value)) in _ATOMS or id(value) in self._seen:
            return
        if self._entries > ENTRIES:
            if not self._full:
                self.snapshot.left_out.append(
                    _line(f"{name} and what follows: {ENTRIES:,} entries were looked at")
                )
            self._full = True
        elif depth > DEPTH:
            self.snapshot.left_out.append(_line(f"deeper than {DEPTH} levels: {name}"))
        else:
            self._seen[id(value)] = value
            self._queue.append((kind, name, value, depth))

    def _visit(self, kind: str, name: str, value: Any, depth: int) -> None:
        made = type(value)
        if made is types.FunctionType:
            self._function(name, value, depth)
        elif made is staticmethod or made is classmethod:
            self._push(kind, name, value.__func__, depth)
        elif made is property:
            for part in (value.fget, value.fset, value.fdel):
                self._push(kind, name, part, depth)
        elif made is types.MethodType:
            self._push(kind, name, value.__self__, depth)
        elif made is _CACHE:
            self._cache(name, value, depth)
        elif issubclass(made, type):
            self._class(value, depth)
        elif made is tuple or made is frozenset:
            self._children(kind, name, list(enumerate(value)), depth)
        elif not issubclass(made, types.ModuleType):
            if issubclass(made, _CONTAINERS):
                self._contents(kind, name, value, depth)
            self._instance(kind, name, value, depth)

    def _children(self, kind: str, name: str, pairs: list[tuple[Any, Any]], depth: int) -> None:
        for key, value in pairs[:CONTAINER]:
            if id(type(value)) not in _ATOMS:
                self._push(kind, f"{name}[{show(key, 2)}]", value, depth + 1)

    def _contents(self, kind: str, name: str, value: Any, depth: int) -> None:
        base = next(each for each in _CONTAINERS if issubclass(type(value), each))
        length = base.__len__(value)
        if length > CONTAINER:
            self.snapshot.left_out.append(
                _line(f"{name}: of {length:,} entries only the number was looked at")
            )
            self.snapshot.add(
                Table(kind, name, lambda: {"": base.__len__(value)}, None, True, "{:,} entries".format)
            )
            return
        self._entries += length
        table = _container(kind, name, value, ours=True)
        self.snapshot.contents[id(value)] = table.read()[""]
        self.snapshot.add(table)
        if base in (list, deque):
            self._children(kind, name, list(enumerate(base.__iter__(value))), depth)
        elif base is dict:
            self._children(kind, name, list(dict.items(value)), depth)

    def _class(self, owner: Any, depth: int) -> None:
        own = _dict_of(owner)
        if _module_name(owner) not in self.modules or not _flags_of(owner) & _HEAP_TYPE:
            return
        name = _class_name(owner)
        self.snapshot.add(_class_table("class attribute", name, owner, ours=True))
        subclasses = Table(
            "subclasses", name + ".__subclasses__()", lambda: _subclasses(owner), _collect, True
        )
        self.snapshot.add(subclasses)
        for key, value in list(own.items()):
            if key not in _PYTHONS and key not in ("__dict__", "__weakref__"):
                self._push("class attribute", f"{name}.{key}", value, depth + 1)

    def _function(self, name: str, function: Any, depth: int) -> None:
        for default in function.__defaults__ or ():
            self._push("default argument", f"{name}.__defaults__", default, depth + 1)
        for key, default in (function.__kwdefaults__ or {}).items():
            self._push("default argument", f"{name}.__kwdefaults__[{show(key)}]", default, depth + 1)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))  # noqa: B905 - Python 3.8
        if cells:
            self.snapshot.add(_closure(name, cells))
            for key, value in _closure(name, cells).read().items():
                self._push("closure", f"{name}.<closure>.{key}", value, depth + 1)
        held = function.__dict__
        self._functions[name] = held
        if held:
            for key, value in list(held.items()):
                self._push("function attribute", f"{name}.{key}", value, depth + 1)

    def _cache(self, name: str, cached: Any, depth: int) -> None:
        size = _CACHE.__dict__["cache_info"]

        def read() -> dict[Any, Any]:
            _hits, misses, limit, entries = size(cached)
            return {"": (entries, misses) if entries and entries == limit else (entries,)}

        def put(_key: Any, value: Any) -> None:
            if value[0]:
                raise ValueError("a cache can only be emptied")
            _CACHE.__dict__["cache_clear"](cached)

        label = lambda value: f"{value[0]:,} entries"  # noqa: E731 - a word for one place
        self.snapshot.add(Table("lru_cache", name, read, put, True, label))
        held = _instance_dict(cached)
        if held is not None:
            self._push("global", name, held.get("__wrapped__"), depth)

    def _instance(self, kind: str, name: str, value: Any, depth: int) -> None:
        made = type(value)
        top = _module_name(made)
        foreign = top not in self.modules
        if foreign and (_machinery(top) or top.partition(".")[0] in ("logging", "threading", "typing", "re")):
            return
        # Of a stranger's instance only what stands in it directly, not the objects that it knows.
        deeper = max(depth, DEPTH - 2) if foreign else depth
        if foreign and depth >= DEPTH - 1:
            return
        held = _instance_dict(value)
        if held is not None:
            self._attributes("instance attribute", name, held, deeper)
        slots = _slots(made) if not foreign else {}
        if slots:
            table = _slot_table(name, value, slots)
            self.snapshot.add(table)
            for key, held_value in table.read().items():
                self._push("instance attribute", f"{name}.{key}", held_value, depth + 1)

    def _attributes(self, kind: str, name: str, held: dict[str, Any], depth: int) -> None:
        self.snapshot.add(Table(kind, name, lambda: dict.copy(held), functools.partial(_put_key, held), True))
        for key, value in list(dict.items(held))[:CONTAINER]:
            if type(key) is str:
                self._push(kind, f"{name}.{key}", value, depth + 1)


def _base(module: Any) -> str:
    return os.path.basename(_Origin.file(module))


def _subclasses(owner: Any) -> dict[Any, Any]:
    return {"": [_class_name(each) for each in type.__subclasses__(owner)]}


def _collect(_key: Any, _value: Any) -> None:
    # A class lives in cycles of its own: it goes once nobody holds it.
    gc.collect()


def _closure(name: str, cells: dict[str, Any]) -> Table:
    def read() -> dict[Any, Any]:
        found = {}
        for key, cell in cells.items():
            try:
                found[key] = cell.cell_contents
            except ValueError:
                continue  # not yet bound
        return found

    def put(key: Any, value: Any) -> None:
        if value is ABSENT:
            del cells[key].cell_contents
        else:
            cells[key].cell_contents = value

    return Table("closure", name + ".<closure>", read, put, True)


def _instance_dict(value: Any) -> Any:
    """Return an instance's own dictionary, or None; a class that answers by a property is not asked."""
    for owner in _mro_of(type(value)):
        found = _dict_of(owner).get("__dict__")
        if found is not None:
            held = found.__get__(value) if type(found) is types.GetSetDescriptorType else None
            return held if type(held) is dict else None
    return None


def _slots(made: Any) -> dict[str, Any]:
    return {
        key: found
        for owner in _mro_of(made)
        for key, found in _dict_of(owner).items()
        if type(found) is types.MemberDescriptorType and _flags_of(owner) & _HEAP_TYPE
    }


def _slot_table(name: str, value: Any, slots: dict[str, Any]) -> Table:
    def read() -> dict[Any, Any]:
        found = {}
        for key, slot in slots.items():
            try:
                found[key] = slot.__get__(value)
            except AttributeError:
                continue  # empty
        return found

    def put(key: Any, old: Any) -> None:
        if old is ABSENT:
            slots[key].__delete__(value)
        else:
            slots[key].__set__(value, old)

    return Table("instance attribute", name, read, put, True)


def _container(kind: str, name: str, held: Any, *, ours: bool) -> Table:
    """Return the table of a container's contents, by the methods of its base type."""
    if issubclass(type(held), bytearray):
        return Table(
            kind,
            name,
            lambda: {"": bytes(memoryview(held))},
            lambda _key, value: bytearray.__setitem__(held, slice(None), value),
            ours,
        )
    if issubclass(type(held), dict):
        ordered = issubclass(type(held), OrderedDict)

        def put(_key: Any, value: Any) -> None:
            if not ordered:
                dict.clear(held)
                dict.update(held, value)
                return
            OrderedDict.clear(held)
            for key, each in value.items():
                OrderedDict.__setitem__(held, key, each)

        return Table(kind, name, lambda: {"": dict.copy(held)}, put, ours)
    base: Any = next(each for each in (list, deque, set) if issubclass(type(held), each))
    make: Any = set if base is set else list
    add: Any = set.update if base is set else base.extend

    def refill(_key: Any, value: Any) -> None:
        base.clear(held)
        add(held, value)

    return Table(kind, name, lambda: {"": make(base.__iter__(held))}, refill, ours)


# --- values ----------------------------------------------------------------------------------------------


def _same(one: Any, other: Any, kinds: frozenset[int], depth: int = 0, left: list[int] | None = None) -> bool:
    """Say whether two values are one object, or equal data of these kinds; nobody's `__eq__` is called."""
    if one is other:
        return True
    made = type(one)
    if made is not type(other):
        return False
    if id(made) in _ATOMS:
        return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN
    left = [2 * CONTAINER] if left is None else left
    if depth > DEPTH or id(made) not in kinds or len(one) != len(other):
        return False
    left[0] -= len(one)
    if left[0] < 0:
        return False
    if made is bytearray:
        return bool(one == other)
    if made is dict:
        pairs: Any = zip(one.items(), other.items())  # noqa: B905 - of one length
        return all(
            _same(key, key2, kinds, depth + 1, left) and _same(value, value2, kinds, depth + 1, left)
            for (key, value), (key2, value2) in pairs
        )
    if made is set or made is frozenset:
        return {_token(each) for each in one} == {_token(each) for each in other}
    return all(_same(each, each2, kinds, depth + 1, left) for each, each2 in zip(one, other))  # noqa: B905 - of one length


def _token(value: Any) -> Any:
    """Return what stands for a value in a comparison: its type and itself where that is safe, else its id."""
    return (type(value), value) if id(type(value)) in _ATOMS else id(value)


def _same_code(one: Any, other: Any) -> bool:
    """Say whether a function or a class was made again by the same statement."""
    if one is other or type(one) is not type(other):
        return False
    if type(one) is types.FunctionType:
        return bool(one.__code__.co_filename == other.__code__.co_filename and one.__name__ == other.__name__)
    return issubclass(type(one), type) and _class_name(one) == _class_name(other)


def _class_name(owner: Any) -> str:
    module = _module_name(owner)
    name = _text(_qualname_of(owner))
    return name if module in ("", "builtins") else f"{module}.{name}"


def _module_name(owner: Any) -> str:
    heap = _flags_of(owner) & _HEAP_TYPE
    module = _dict_of(owner).get("__module__") if heap else _module_of(owner)
    return module[: 2 * WIDTH] if type(module) is str else ""


def _text(value: Any) -> str:
    """Return the first characters of a text, of a subclass of str too."""
    return str.__getitem__(value, slice(0, 2 * WIDTH)) if issubclass(type(value), str) else "?"


def show(value: Any, depth: int = 0) -> str:
    """Say a value in a few words, without calling it: `repr` of plain data, class and attributes of the rest."""
    made = type(value)
    if id(made) in _TEXTS:
        return repr(value[:WIDTH]) + ("…" if len(value) > WIDTH else "")
    if made is int:
        return repr(value) if value.bit_length() <= 256 else f"<int of {value.bit_length():,} bits>"
    if id(made) in _PLAIN or value is ABSENT:
        return repr(value)
    if issubclass(made, type):
        return f"<class {_class_name(value)}>"
    if made is types.FunctionType:
        return f"<function {_text(value.__module__)}.{_text(value.__qualname__)}>"
    if issubclass(made, types.ModuleType):
        return f"<module {_text(_module_dict(value).get('__name__'))}>"
    if made is types.BuiltinFunctionType or made is types.MethodType:
        return f"<{'method' if made is types.MethodType else 'function'} {_text(value.__name__)}>"
    if id(made) in _COMPARED and depth < 3:
        return _show_container(value, depth)
    held = _instance_dict(value) if depth < 1 else None
    if not held:
        return f"<{_class_name(made)}>"
    parts = [f"{_text(key)}={show(each, 2)}" for key, each in list(held.items())[:4]]
    return f"<{_class_name(made)} {', '.join(parts)}{', …' if len(held) > 4 else ''}>"


def _show_container(value: Any, depth: int) -> str:
    made, shown = type(value), list(value)[:8]
    more = f", … {len(value) - 8:,} more" if len(value) > 8 else ""
    if made is dict:
        inner = ", ".join(f"{show(key, depth + 1)}: {show(value[key], depth + 1)}" for key in shown)
        return "{" + inner + more + "}"
    inner = ", ".join(show(each, depth + 1) for each in shown) + more
    if made is tuple:
        return f"({inner}{',' if len(value) == 1 else ''})"
    return f"[{inner}]" if made is list else f"{{{inner}}}" if value else f"{made.__name__}()"


def _contrast(was: Any, now: Any) -> tuple[str, str]:
    """Say how many entries two containers have, and which came, went and changed."""
    if id(type(was)) in _TEXTS:
        return show(was), show(now)
    one, other = ({_token(key): key for key in each} for each in (was, now))
    parts = [f"+{show(key, 1)}" for token, key in other.items() if token not in one]
    parts += [f"-{show(key, 1)}" for token, key in one.items() if token not in other]
    if type(was) is dict:
        for token in (token for token in one if token in other):
            old, new = was[one[token]], now[other[token]]
            if not _same(old, new, _COMPARED):
                parts.append(f"{show(one[token], 1)}: {show(old, 1)} -> {show(new, 1)}")
    if not parts:
        if _same(was, now, _COMPARED):
            parts = ["another one"]
        else:
            parts = ["in another order" if len(was) == len(now) else "with repeated ones"]
    counts = [f"{len(each):,} {'entry' if len(each) == 1 else 'entries'}" for each in (was, now)]
    return counts[0], f"{counts[1]}: {', '.join(parts[:20])}"


def _line(text: str, width: int = WIDTH) -> str:
    """Return one printable line of at most `width` characters."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "replace").decode() for each in cut
    )
