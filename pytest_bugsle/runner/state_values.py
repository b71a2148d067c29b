"""Read values of a stranger raw, compare them, and say them in a few words.  PYTEST_DONT_REWRITE

Standalone, as state.py is: nothing of the project is called, no `__eq__`, `__repr__` or property.
"""

from __future__ import annotations

import datetime
import pathlib
import re
import types
from collections import deque
from collections.abc import Callable
from typing import Any

from .state_kinds import ABSENT

DEPTH = 6
CONTAINER = 10_000
WIDTH = 80
CONTAINERS = (list, dict, set, deque, bytearray)


def _ids(*kinds: Any) -> frozenset[int]:
    """Return types by identity: to ask whether a type is among them would call the `__eq__` of its metaclass."""
    return frozenset(map(id, kinds))


ATOMS = _ids(type(None), bool, int, float, complex, str, bytes, re.Pattern, range)
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
EXACT = _ids(*CONTAINERS)
_TEXTS = _ids(str, bytes, bytearray)
FROZEN = _ids(tuple, frozenset)
COMPARED = _ids(tuple, list, dict, set, frozenset, bytearray)
dict_of: Callable[[Any], Any] = type.__dict__["__dict__"].__get__
mro_of: Callable[[Any], Any] = type.__dict__["__mro__"].__get__
_qualname_of: Callable[[Any], Any] = type.__dict__["__qualname__"].__get__
_module_of: Callable[[Any], Any] = type.__dict__["__module__"].__get__
flags_of: Callable[[Any], Any] = type.__dict__["__flags__"].__get__
module_dict: Callable[[Any], Any] = vars(types.ModuleType)["__dict__"].__get__
HEAP_TYPE = 1 << 9


def module_file(module: Any) -> str:
    """Return a module's file, or ''."""
    held = module_dict(module) if issubclass(type(module), types.ModuleType) else {}
    file = held.get("__file__")
    return file if type(file) is str else ""


def instance_dict(value: Any) -> Any:
    """Return an instance's own dictionary, or None; a class that answers by a property is not asked."""
    for owner in mro_of(type(value)):
        found = dict_of(owner).get("__dict__")
        if found is not None:
            held = found.__get__(value) if type(found) is types.GetSetDescriptorType else None
            return held if type(held) is dict else None
    return None


def same(one: Any, other: Any, kinds: frozenset[int], depth: int = 0, left: list[int] | None = None) -> bool:
    """Say whether two values are one object, or equal data of these kinds; nobody's `__eq__` is called."""
    if one is other:
        return True
    made = type(one)
    if made is not type(other):
        return False
    if id(made) in ATOMS:
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
            same(key, key2, kinds, depth + 1, left) and same(value, value2, kinds, depth + 1, left)
            for (key, value), (key2, value2) in pairs
        )
    if made is set or made is frozenset:
        return {_token(each) for each in one} == {_token(each) for each in other}
    return all(same(each, each2, kinds, depth + 1, left) for each, each2 in zip(one, other))  # noqa: B905 - of one length


def _token(value: Any) -> Any:
    """Return what stands for a value in a comparison: its type and itself where that is safe, else its id."""
    return (type(value), value) if id(type(value)) in ATOMS else id(value)


def same_code(one: Any, other: Any) -> bool:
    """Say whether a function or a class was made again by the same statement."""
    if one is other or type(one) is not type(other):
        return False
    if type(one) is types.FunctionType:
        return bool(one.__code__.co_filename == other.__code__.co_filename and one.__name__ == other.__name__)
    return issubclass(type(one), type) and class_name(one) == class_name(other)


def class_name(owner: Any) -> str:
    """Return a class's name with its module, but for builtins."""
    module = module_name(owner)
    name = text_of(_qualname_of(owner))
    return name if module in ("", "builtins") else f"{module}.{name}"


def module_name(owner: Any) -> str:
    """Return the name of the module that a class says it is from; '' where it says none."""
    heap = flags_of(owner) & HEAP_TYPE
    module = dict_of(owner).get("__module__") if heap else _module_of(owner)
    return module[: 2 * WIDTH] if type(module) is str else ""


def text_of(value: Any) -> str:
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
        return f"<class {class_name(value)}>"
    if made is types.FunctionType:
        return f"<function {text_of(value.__module__)}.{text_of(value.__qualname__)}>"
    if issubclass(made, types.ModuleType):
        return f"<module {text_of(module_dict(value).get('__name__'))}>"
    if made is types.BuiltinFunctionType or made is types.MethodType:
        return f"<{'method' if made is types.MethodType else 'function'} {text_of(value.__name__)}>"
    if id(made) in COMPARED and depth < 3:
        return _show_container(value, depth)
    held = instance_dict(value) if depth < 1 else None
    if not held:
        return f"<{class_name(made)}>"
    parts = [f"{text_of(key)}={show(each, 2)}" for key, each in list(held.items())[:4]]
    return f"<{class_name(made)} {', '.join(parts)}{', …' if len(held) > 4 else ''}>"


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


def contrast(was: Any, now: Any) -> tuple[str, str]:
    """Say how many entries two containers have, and which came, went and changed."""
    if id(type(was)) in _TEXTS:
        return show(was), show(now)
    one, other = ({_token(key): key for key in each} for each in (was, now))
    parts = [f"+{show(key, 1)}" for token, key in other.items() if token not in one]
    parts += [f"-{show(key, 1)}" for token, key in one.items() if token not in other]
    if type(was) is dict:
        for token in (token for token in one if token in other):
            old, new = was[one[token]], now[other[token]]
            if not same(old, new, COMPARED):
                parts.append(f"{show(one[token], 1)}: {show(old, 1)} -> {show(new, 1)}")
    if not parts:
        if same(was, now, COMPARED):
            parts = ["another one"]
        else:
            parts = ["in another order" if len(was) == len(now) else "with repeated ones"]
    counts = [f"{len(each):,} {'entry' if len(each) == 1 else 'entries'}" for each in (was, now)]
    return counts[0], f"{counts[1]}: {', '.join(parts[:20])}"


def line(text: str, width: int = WIDTH) -> str:
    """Return one printable line of at most `width` characters."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "replace").decode() for each in cut
    )
