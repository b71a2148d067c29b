"""Stand in for names that only the other side has, so that a test module can be imported.  PYTEST_DONT_REWRITE

Standalone, like the guard. A stub may be imported, subclassed, raised for and decorated with while modules
are imported; any use of it while a test runs raises `BugsleMissing`.
"""

from __future__ import annotations

import functools
import importlib.machinery
import sys
import types
from typing import Any

collecting = True  # the recorder clears it when the first test starts
_places: Any = None


class BugsleMissing(NameError):
    """Raised when a test uses a name that this tree lacks."""


def _missing(name: str) -> BugsleMissing:
    error = BugsleMissing(f"name {name!r} is not defined on this side")
    error.name = name
    return error


def _asked_by_the_tree() -> bool:
    """Say whether the code that uses a stub is the tree's own, not pytest's or the interpreter's."""
    frame = sys._getframe(2)
    return not collecting and _places is not None and bool(_places.tree_path(frame.f_code.co_filename))


class StubType(type):
    """Make the class itself the trap."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an instance, or trap what is decorated, while modules are imported."""
        if not collecting:
            raise _missing(cls.__name__)
        if len(args) == 1 and not kwargs and isinstance(args[0], (types.FunctionType, type)):
            return _trap(args[0], cls.__name__)
        return type.__call__(cls)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not collecting:
            raise _missing(cls.__name__)
        return make_stub(cls.__name__, cls.__module__)

    def __instancecheck__(cls, instance: Any) -> bool:
        if _asked_by_the_tree():
            raise _missing(cls.__name__)
        return type.__instancecheck__(cls, instance)

    def __eq__(cls, other: object) -> bool:
        if cls is not other and _asked_by_the_tree():
            raise _missing(cls.__name__)
        return cls is other

    __hash__ = type.__hash__

    def __bool__(cls) -> bool:
        if _asked_by_the_tree():
            raise _missing(cls.__name__)
        return True


def _trap(target: Any, name: str) -> Any:
    """Replace what a missing decorator decorated: it fails when used, not when defined."""
    if isinstance(target, type):
        return target

    @functools.wraps(target)
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise _missing(name)

    return fail


def _stub_use(self: Any, *args: Any, **kwargs: Any) -> Any:
    owner = self if isinstance(self, type) else type(self)
    if not collecting:
        raise _missing(owner.__name__)
    if len(args) == 1 and not kwargs and isinstance(args[0], types.FunctionType):
        return _trap(args[0], owner.__name__)
    return self


def _stub_truth(self: Any) -> bool:
    if _asked_by_the_tree():
        raise _missing(type(self).__name__)
    return True


def _stub_attribute(self: Any, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _stub_use(self)


# fmt: off
_OPERATORS = (
    "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod",
    "or", "ror", "and", "rand", "xor", "lt", "le", "gt", "ge", "getitem", "iter", "len", "contains", "enter",
    "exit", "neg",
)
# fmt: on
for _operator in _OPERATORS:
    if _operator != "or":  # `X | None` in annotations is a type's own business
        setattr(StubType, f"__{_operator}__", _stub_use)


def make_stub(name: str, module: str) -> StubType:
    """Make the stand-in for one name."""
    body: dict[str, Any] = {"__module__": module, "__getattr__": _stub_attribute, "__call__": _stub_use}
    body["__bool__"] = _stub_truth
    for operator in _OPERATORS:
        body[f"__{operator}__"] = _stub_use
    return StubType(name, (Exception,), body)


class _StubModule(types.ModuleType):
    __bugsle_stub__ = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        stub = make_stub(name, self.__name__)
        setattr(self, name, stub)
        return stub


class _StubModuleLoader:
    def create_module(self, spec: Any) -> Any:
        return _StubModule(spec.name)

    def exec_module(self, module: Any) -> None:
        module.__path__ = []


class _FillingLoader:
    """Add the missing names after the module's own code ran."""

    def __init__(self, loader: Any, names: list[str]) -> None:
        self._loader = loader
        self._names = names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        for name in self._names:
            if name not in vars(module):
                setattr(module, name, make_stub(name, module.__name__))


class Stubs:
    """Know which names and modules to stand in for."""

    def __init__(self, missing_names: dict[str, list[str]], absent: list[str], places: Any) -> None:
        global _places
        _places = places
        self.missing_names = missing_names
        self.absent = set(absent)

    def module_spec(self, name: str) -> Any:
        """Make a module whose every attribute is a stub."""
        return importlib.machinery.ModuleSpec(name, _StubModuleLoader(), is_package=True)  # type: ignore[arg-type]

    def fill_later(self, name: str, spec: Any) -> None:
        """Let a module get its missing names once it is executed."""
        names = [
            missing
            for missing in self.missing_names.get(name, ())
            if "." not in missing and f"{name}.{missing}" not in self.absent
        ]
        if names and spec.loader is not None and not isinstance(spec.loader, _StubModuleLoader):
            spec.loader = _FillingLoader(spec.loader, names)
