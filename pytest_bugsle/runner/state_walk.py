"""Follow what the modules of the tree hold.  PYTEST_DONT_REWRITE

Standalone, as state.py is.
"""

from __future__ import annotations

import functools
import gc
import os
import re
import types
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .state_kinds import Table
from .state_tables import (
    PYTHONS,
    class_table,
    closure,
    container,
    is_machinery,
    namespace,
    put_key,
    slot_table,
    slots_of,
)
from .state_values import (
    ATOMS,
    CONTAINER,
    CONTAINERS,
    DEPTH,
    HEAP_TYPE,
    class_name,
    dict_of,
    flags_of,
    instance_dict,
    line,
    module_dict,
    module_file,
    module_name,
    show,
)

if TYPE_CHECKING:
    from .state import Snapshot

ENTRIES = 150_000  # looked at in all, of the tree's own data
_CACHE = type(functools.lru_cache(len))
_TEST_FILE = re.compile(r"(test_.*|.*_test|conftest|tests?)\.py\Z")


class Walk:
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
            held = module_dict(module)
            self.snapshot.add(namespace("global", name, held, lambda key: key not in PYTHONS, ours=True))
            for key, value in list(held.items()):
                if type(key) is str and (key[:2] != "__" or key == "__path__"):
                    self._push("global", f"{name}.{key}", value, 1)
        while self._queue and not self._full:
            kind, name, value, depth = self._queue.popleft()
            try:
                self._visit(kind, name, value, depth)
            except Exception as error:  # noqa: BLE001 - whatever a stranger's object raises
                self.snapshot.left_out.append(line(f"{name}: {type(error).__name__}"))
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
        put_key(self._functions[function], key, value)

    def _ordered(self) -> list[str]:
        """Return the modules, imported ones before their importers and tests last.

        The same list can stand in several; it is named by the first.
        """
        order: list[str] = []
        state: set[str] = set()

        def needs(name: str) -> Iterator[str]:
            module = self.modules[name]
            held = module_dict(module) if issubclass(type(module), types.ModuleType) else {}
            for value in list(held.values()):
                if issubclass(type(value), types.ModuleType):
                    other = module_dict(value).get("__name__")
                elif type(value) is types.FunctionType:
                    other = value.__module__
                elif issubclass(type(value), type):
                    other = module_name(value)
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
        if id(type(value)) in ATOMS or id(value) in self._seen:
            return
        if self._entries > ENTRIES:
            if not self._full:
                self.snapshot.left_out.append(
                    line(f"{name} and what follows: {ENTRIES:,} entries were looked at")
                )
            self._full = True
        elif depth > DEPTH:
            self.snapshot.left_out.append(line(f"deeper than {DEPTH} levels: {name}"))
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
            if issubclass(made, CONTAINERS):
                self._contents(kind, name, value, depth)
            self._instance(kind, name, value, depth)

    def _children(self, kind: str, name: str, pairs: list[tuple[Any, Any]], depth: int) -> None:
        for key, value in pairs[:CONTAINER]:
            if id(type(value)) not in ATOMS:
                self._push(kind, f"{name}[{show(key, 2)}]", value, depth + 1)

    def _contents(self, kind: str, name: str, value: Any, depth: int) -> None:
        base = next(each for each in CONTAINERS if issubclass(type(value), each))
        length = base.__len__(value)
        if length > CONTAINER:
            self.snapshot.left_out.append(
                line(f"{name}: of {length:,} entries only the number was looked at")
            )
            self.snapshot.add(
                Table(kind, name, lambda: {"": base.__len__(value)}, None, True, "{:,} entries".format)
            )
            return
        self._entries += length
        table = container(kind, name, value, ours=True)
        self.snapshot.contents[id(value)] = table.read()[""]
        self.snapshot.add(table)
        if base in (list, deque):
            self._children(kind, name, list(enumerate(base.__iter__(value))), depth)
        elif base is dict:
            self._children(kind, name, list(dict.items(value)), depth)

    def _class(self, owner: Any, depth: int) -> None:
        own = dict_of(owner)
        if module_name(owner) not in self.modules or not flags_of(owner) & HEAP_TYPE:
            return
        name = class_name(owner)
        self.snapshot.add(class_table("class attribute", name, owner, ours=True))
        subclasses = Table(
            "subclasses", name + ".__subclasses__()", lambda: _subclasses(owner), _collect, True
        )
        self.snapshot.add(subclasses)
        for key, value in list(own.items()):
            if key not in PYTHONS and key not in ("__dict__", "__weakref__"):
                self._push("class attribute", f"{name}.{key}", value, depth + 1)

    def _function(self, name: str, function: Any, depth: int) -> None:
        for default in function.__defaults__ or ():
            self._push("default argument", f"{name}.__defaults__", default, depth + 1)
        for key, default in (function.__kwdefaults__ or {}).items():
            self._push("default argument", f"{name}.__kwdefaults__[{show(key)}]", default, depth + 1)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))  # noqa: B905 - Python 3.8
        if cells:
            self.snapshot.add(closure(name, cells))
            for key, value in closure(name, cells).read().items():
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
        held = instance_dict(cached)
        if held is not None:
            self._push("global", name, held.get("__wrapped__"), depth)

    def _instance(self, kind: str, name: str, value: Any, depth: int) -> None:
        made = type(value)
        top = module_name(made)
        foreign = top not in self.modules
        if foreign and (
            is_machinery(top) or top.partition(".")[0] in ("logging", "threading", "typing", "re")
        ):
            return
        # Of a stranger's instance only what stands in it directly, not the objects that it knows.
        deeper = max(depth, DEPTH - 2) if foreign else depth
        if foreign and depth >= DEPTH - 1:
            return
        held = instance_dict(value)
        if held is not None:
            self._attributes("instance attribute", name, held, deeper)
        slots = slots_of(made) if not foreign else {}
        if slots:
            table = slot_table(name, value, slots)
            self.snapshot.add(table)
            for key, held_value in table.read().items():
                self._push("instance attribute", f"{name}.{key}", held_value, depth + 1)

    def _attributes(self, kind: str, name: str, held: dict[str, Any], depth: int) -> None:
        self.snapshot.add(Table(kind, name, lambda: dict.copy(held), functools.partial(put_key, held), True))
        for key, value in list(dict.items(held))[:CONTAINER]:
            if type(key) is str:
                self._push(kind, f"{name}.{key}", value, depth + 1)


def _base(module: Any) -> str:
    return os.path.basename(module_file(module))


def _subclasses(owner: Any) -> dict[Any, Any]:
    return {"": [class_name(each) for each in type.__subclasses__(owner)]}


def _collect(_key: Any, _value: Any) -> None:
    # A class lives in cycles of its own: it goes once nobody holds it.
    gc.collect()
