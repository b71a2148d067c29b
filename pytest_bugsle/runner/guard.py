"""Let the code under test come from the tree under test alone.  PYTEST_DONT_REWRITE

Standalone: copied beside the tree and installed by `sitecustomize` in pytest and in the Python children of
its tests. Standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import threading

TYPE_CHECKING = False  # typing itself costs milliseconds of each child's start
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_ENVIRONMENTS = {"site-packages", "dist-packages"}
_BUILDS = {"build", "_build", "builddir", "_skbuild", "_skbuild_editable"}
_GENERATED = {"_version", "version", "__version__", "_scm_version", "__about__"}
_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)


def _inside(path: str, top: str) -> str | None:
    """Return `path` relative to `top`, or None when it lies elsewhere."""
    if path == top:
        return ""
    prefix = top if top.endswith(os.sep) else top + os.sep
    return path[len(prefix) :] if path.startswith(prefix) else None


class Places:
    """Tell the tree under test, the user's checkout and everything else apart."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.tree = os.path.realpath(params["tree"])
        self.home = os.path.realpath(params["home"])
        self.users = {os.path.realpath(params["user_top"]), os.path.abspath(params["user_top"])}
        self.roots = [os.path.normpath(os.path.join(self.tree, root)) for root in params["import_roots"]]
        self._real: dict[str, str] = {}
        self._venv: dict[str, bool] = {}
        bases = {os.path.realpath(getattr(sys, name)) for name in ("prefix", "base_prefix", "exec_prefix")}
        self._prefixes = [base for base in bases if any(_inside(base, user) for user in self.users)]

    def real(self, path: str) -> str:
        """Resolve symbolic links, remembering folders: thousands of modules live in few of them."""
        folder, base = os.path.split(os.path.abspath(path))
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        joined = os.path.join(self._real[folder], base)
        return os.path.realpath(joined) if os.path.islink(joined) else joined

    def in_tree(self, path: str) -> bool:
        """Say whether a file belongs to the tree under test."""
        return _inside(self.real(path), self.tree) is not None

    def tree_path(self, path: str) -> str:
        """Return the path relative to the tree with '/', or '' outside."""
        inside = _inside(self.real(path), self.tree)
        return "" if inside is None else inside.replace(os.sep, "/")

    def user_path(self, path: str) -> str | None:
        """Return the path relative to the user's checkout when it is a file of that checkout's own."""
        real = self.real(path)
        for own in (self.tree, self.home):
            if _inside(real, own) is not None:
                return None
        for candidate in (real, os.path.abspath(path)):
            for user in self.users:
                inside = _inside(candidate, user)
                if inside is not None:
                    return None if self._installed(candidate, inside, user) else inside
        return None

    def _installed(self, path: str, inside: str, user: str) -> bool:
        parts = inside.split(os.sep)
        if _ENVIRONMENTS.intersection(parts):
            return True
        if any(_inside(path, prefix) is not None for prefix in self._prefixes):
            return True
        folder = user
        for part in parts[:-1]:
            folder = os.path.join(folder, part)
            if folder not in self._venv:
                self._venv[folder] = os.path.exists(os.path.join(folder, "pyvenv.cfg"))
            if self._venv[folder]:
                return True
        return False

    def built(self, path: str, inside: str) -> bool:
        """Say whether a file of the checkout is a build's result, which no commit holds."""
        if path.endswith(_EXTENSIONS):
            return True
        parts = inside.split(os.sep)
        return parts[0] in _BUILDS and not any(part.startswith("__editable__") for part in parts)

    def to_tree(self, path: str) -> str | None:
        """Map a folder or file of the checkout to the tree; None when the tree lacks it."""
        inside = self.user_path(path)
        if inside is None:
            return path
        mapped = os.path.join(self.tree, inside) if inside else self.tree
        return mapped if os.path.exists(mapped) else None


class Guard:
    """A finder for the front of `sys.meta_path` that judges what the other finders find."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.places = Places(params)
        self.owned = set(params["owned"])
        self.absent = set(params["absent"])
        self.stubs: Any = None
        self.early: list[Any] = []
        self._busy = threading.local()

    def install(self) -> None:
        """Go to the front and mend what `.pth` files did before us."""
        self.early = [finder for finder in sys.meta_path if finder is not self]
        self.keep_first()
        self._mend_path()
        self._mend_modules()

    def keep_first(self) -> None:
        """Return to the front when another finder was put before us."""
        if self.params["guard"] and sys.meta_path[:1] != [self]:
            sys.meta_path[:] = [self] + [finder for finder in sys.meta_path if finder is not self]

    def _mend_path(self) -> None:
        mended: list[str] = []
        for entry in sys.path:
            mapped = self.places.to_tree(entry) if isinstance(entry, str) and os.path.isabs(entry) else entry
            if mapped is not None and mapped not in mended:
                mended.append(mapped)
        sys.path[:] = mended

    def _mend_modules(self) -> None:
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and self._foreign(file):
                del sys.modules[name]
                continue
            locations = getattr(module, "__path__", None)
            if locations is not None and any(self._foreign(where) for where in locations):
                module.__path__ = self._portions(name, locations)

    def _foreign(self, path: str) -> bool:
        return isinstance(path, str) and os.path.isabs(path) and self.places.user_path(path) is not None

    def _portions(self, name: str, locations: Iterable[str]) -> list[str]:
        """Give a package the tree's folders first, and none of the checkout's."""
        own = [os.path.join(root, *name.split(".")) for root in self.places.roots]
        found = [folder for folder in own if os.path.isdir(folder)]
        for where in locations:
            mapped = self.places.to_tree(where) if os.path.isabs(where) else where
            if mapped is not None and mapped not in found:
                found.append(mapped)
        return found

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module where it may come from, or raise ModuleNotFoundError."""
        __tracebackhide__ = True
        busy = self._busy.__dict__.setdefault("names", set())
        if name in busy:  # another finder asks the whole path again
            return None
        busy.add(name)
        try:
            spec = self._find(name, path, target)
        finally:
            busy.discard(name)
        if spec is not None and self.stubs is not None:
            self.stubs.fill_later(name, spec)
        return spec

    def _find(self, name: str, path: Any, target: Any) -> Any:
        __tracebackhide__ = True
        top = name.partition(".")[0]
        spec = None
        if top in self.owned and name not in self.absent:
            spec = self._find_owned(name, path, target)
        if spec is None:
            spec = self._find_elsewhere(name, path, target)
        if spec is None and top in self.owned and "." in name and name not in self.absent:
            spec = self._find_installed_part(name)
        if name in self.absent and not (spec is not None and self._all_in_tree(spec)):
            if self.stubs is not None:
                return self.stubs.module_spec(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec

    def _find_owned(self, name: str, path: Any, target: Any) -> Any:
        folders = self._tree_folders(name, path)
        spec = importlib.machinery.PathFinder.find_spec(name, folders) if folders else None
        if spec is None or spec.origin is None or spec.loader is None:
            return None  # unknown here, or a namespace: its portions may be in several places
        # Finders that came after the site's own (assertion rewriting, type checkers) wrap the loading.
        for finder in list(sys.meta_path):
            if finder is self or finder in self.early:
                continue
            other = _ask(finder, name, path if path is not None else folders, target)
            if other is not None and other.origin is not None and self.places.in_tree(other.origin):
                return other
        return spec

    def _tree_folders(self, name: str, path: Any) -> list[str]:
        parent = name.rpartition(".")[0]
        if path is None and not parent:
            return list(self.places.roots)
        if path is None:
            path = getattr(sys.modules.get(parent), "__path__", ())
        folders = []
        for where in path:
            mapped = self.places.to_tree(where) if isinstance(where, str) else None
            if mapped is not None and self.places.in_tree(mapped):
                folders.append(mapped)
        if not folders and parent:
            own = [os.path.join(root, *parent.split(".")) for root in self.places.roots]
            folders = [folder for folder in own if os.path.isdir(folder)]
        return folders

    def _find_elsewhere(self, name: str, path: Any, target: Any) -> Any:
        for finder in list(sys.meta_path):
            if finder is self:
                continue
            spec = _ask(finder, name, path, target)
            if spec is not None:
                return self._judge(name, spec)
        return None

    def _judge(self, name: str, spec: Any) -> Any:
        origin = spec.origin
        if isinstance(origin, str) and os.path.isabs(origin):
            inside = self.places.user_path(origin)
            if inside is None:
                locations = spec.submodule_search_locations
                owned = name.partition(".")[0] in self.owned
                if owned and locations is not None and not self.places.in_tree(origin):
                    spec.submodule_search_locations = self._portions(name, locations)
                return spec
            mapped = os.path.join(self.places.tree, inside)
            if not os.path.exists(mapped):
                if self.places.built(origin, inside) and name not in self.absent:
                    return spec
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            package = spec.submodule_search_locations is not None
            return importlib.util.spec_from_file_location(
                name, mapped, submodule_search_locations=[os.path.dirname(mapped)] if package else None
            )
        locations = spec.submodule_search_locations
        if locations is not None and any(self._foreign(where) for where in locations):
            portions = self._portions(name, locations)
            if not portions:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            spec.submodule_search_locations = portions
        return spec

    def _find_installed_part(self, name: str) -> Any:
        """Find what only an installation has of a package: compiled parts and generated versions."""
        parts = name.split(".")
        suffixes = _EXTENSIONS + ((".py",) if parts[-1] in _GENERATED else ())
        for entry in sys.path:
            for suffix in suffixes:
                file = os.path.join(entry, *parts) + suffix
                if os.path.isfile(file) and self.places.user_path(file) is None:
                    return importlib.util.spec_from_file_location(name, file)
        return None

    def _all_in_tree(self, spec: Any) -> bool:
        if spec.origin is not None and spec.loader is not None and os.path.isabs(spec.origin):
            return self.places.in_tree(spec.origin)
        locations = list(spec.submodule_search_locations or ())
        return bool(locations) and all(self.places.in_tree(where) for where in locations)

    def certify(self) -> list[str]:
        """List what was imported from a wrong place; empty when the tree was surely tested."""
        wrong: list[str] = []
        for name, module in sorted(sys.modules.items(), key=lambda pair: str(pair[0])):
            spec = getattr(module, "__spec__", None)
            for file in (getattr(module, "__file__", None), getattr(spec, "origin", None)):
                if not isinstance(file, str) or not os.path.isabs(file):
                    continue
                inside = self.places.user_path(file)
                if inside is not None and not self.places.built(file, inside):
                    wrong.append(f"{name} was imported from the checkout: {file}")
                    break
                if name in self.absent and not self.places.in_tree(file):
                    wrong.append(f"{name}, which this tree lacks, was imported from {file}")
                    break
        for path in self.params["changed"]:
            for name in self._dotted(path):
                file = getattr(sys.modules.get(name), "__file__", None)
                if isinstance(file, str) and not self.places.in_tree(file):
                    reason = f"{name} ({path}) was imported from {file}"
                    if not any(line.startswith(name + " ") for line in wrong):
                        wrong.append(reason)
        return wrong

    def _dotted(self, path: str) -> list[str]:
        names = []
        if path.endswith(".py"):
            for root in self.params["import_roots"]:
                inside = (
                    path if root in (".", "") else _inside(path.replace("/", os.sep), os.path.normpath(root))
                )
                if inside:
                    parts = inside.replace(os.sep, "/")[:-3].split("/")
                    if parts[-1] == "__init__":
                        parts.pop()
                    if parts:
                        names.append(".".join(parts))
        return names


def _ask(finder: Any, name: str, path: Any, target: Any) -> Any:
    find = getattr(finder, "find_spec", None)
    if find is None:
        return None
    return find(name, path, target)


_installed: Guard | None = None


def install(params: dict[str, Any]) -> Guard:
    """Install the guard once in this process."""
    global _installed
    if _installed is None:
        _installed = Guard(params)
        if params["guard"]:
            if params["stub"]:
                from . import stubs

                _installed.stubs = stubs.Stubs(params["missing_names"], params["absent"], _installed.places)
            _installed.install()
    return _installed
