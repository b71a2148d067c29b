"""Tables of what modules, classes, instances and containers hold: read, and put back.  PYTEST_DONT_REWRITE

Standalone, as state.py is.
"""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from .state_kinds import ABSENT, Table
from .state_values import HEAP_TYPE, dict_of, flags_of, module_dict, mro_of, text_of

# What Python itself writes there, at a time of its own.
PYTHONS = {
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


def is_machinery(name: str) -> bool:
    """Say whether a module is of pytest, of what it is made of, or of its plugins."""
    top = name.partition(".")[0]
    return top in _MACHINERY or top.startswith(("pytest", "_hypothesis"))


def namespace(
    kind: str, name: str, held: dict[str, Any], wanted: Callable[[Any], bool], *, ours: bool
) -> Table:
    """Return the table of the names in a module's dictionary that are `wanted`."""
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
                and text_of(module_dict(value).get("__name__")) == own + key
            )
        }

    return Table(kind, name, read, functools.partial(put_key, held), ours)


def put_key(held: dict[str, Any], key: Any, value: Any) -> None:
    """Set a key of a raw dictionary, or take it out where it was absent."""
    if value is ABSENT:
        dict.pop(held, key, None)
    else:
        dict.__setitem__(held, key, value)


def class_table(kind: str, name: str, owner: Any, *, ours: bool) -> Table:
    """Return the table of a class's own attributes."""

    def read() -> dict[Any, Any]:
        return {key: value for key, value in dict(dict_of(owner)).items() if key not in PYTHONS}

    def put(key: Any, value: Any) -> None:
        if value is ABSENT:
            type.__delattr__(owner, key)
        else:
            type.__setattr__(owner, key, value)

    return Table(kind, name, read, put, ours)


def closure(name: str, cells: dict[str, Any]) -> Table:
    """Return the table of what a function has closed over."""

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


def slots_of(made: Any) -> dict[str, Any]:
    """Return the slots of a class by name, those of its bases too."""
    return {
        key: found
        for owner in mro_of(made)
        for key, found in dict_of(owner).items()
        if type(found) is types.MemberDescriptorType and flags_of(owner) & HEAP_TYPE
    }


def slot_table(name: str, value: Any, slots: dict[str, Any]) -> Table:
    """Return the table of what stands in an instance's slots."""

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


def container(kind: str, name: str, held: Any, *, ours: bool) -> Table:
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
