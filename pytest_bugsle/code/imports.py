"""Which module a file is, and which modules a text imports.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from pytest_bugsle.code.syntax import decode, parse

SOURCE_ROOTS = frozenset({"src", "lib", "python"})
"""Directories that by custom stand on `sys.path` themselves, unless they are packages."""

_NOT_IMPORTED = frozenset({"setup", "conftest", "noxfile"})
_BY_NAME = frozenset({"import_module", "importorskip", "__import__", "find_spec", "run_module"})
_CALLED = re.compile("|".join(sorted(_BY_NAME)).encode())
_LINE = re.compile(r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import\b|import[ \t]+([\w., \t]+))", re.MULTILINE)


def module_name(path: str, listing: Collection[str], roots: Collection[str] = ()) -> tuple[str, str] | None:
    """Give the directory on `sys.path` ("." for the top) and the dotted name by which a file is imported.

    `roots` are directories known to be on `sys.path`. Without them a package's root is the first directory
    above it without `__init__.py`, or the `src` (`lib`, `python`) above that, for namespace packages.
    None for what no import statement can name.
    """
    parts = _module_parts(path)
    if parts is None:
        return None
    packaged = _packaged(path, listing)
    known = [root for root in roots if _under(path, root) and _depth(root) <= packaged]
    start = max(map(_depth, known), default=-1)
    if start < 0:
        custom = [i + 1 for i in range(packaged) if parts[i] in SOURCE_ROOTS]
        start = custom[-1] if custom else packaged
    name = parts[start:]
    if not name or not all(part.isidentifier() for part in name):
        return None
    return "/".join(parts[:start]) or ".", ".".join(name)


def module_names(path: str, listing: Collection[str]) -> tuple[str, ...]:
    """Give every dotted name by which a file could be imported, whatever is on `sys.path`; longest first."""
    parts = _module_parts(path)
    if parts is None:
        return ()
    names = []
    for start in range(min(_packaged(path, listing), len(parts) - 1) + 1):
        if all(part.isidentifier() for part in parts[start:]):
            names.append(".".join(parts[start:]))
    return tuple(names)


def is_package(path: str) -> bool:
    """Say whether a file is the `__init__` of a package."""
    return path.rpartition("/")[2].partition(".")[0] == "__init__"


def import_roots(
    listing: Collection[str], source_paths: Iterable[str], pythonpath: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Give the directories to put on `sys.path`: pytest's own `pythonpath` first, then each source's root."""
    roots = dict.fromkeys(root.strip("/").removeprefix("./") or "." for root in pythonpath)
    found = (module_name(path, listing, tuple(roots)) for path in sorted(source_paths))
    return tuple(dict.fromkeys([*roots, *(place[0] for place in found if place is not None)]))


def owned_modules(
    listing: Collection[str], roots: Iterable[str], source_paths: Iterable[str] = ()
) -> tuple[str, ...]:
    """Give the names that must come from this tree: its modules, packages, and parts of namespace packages.

    A namespace package may be shared with what is installed, so it is owned by its parts ("ns.part").
    Below the top a directory without `__init__.py` is owned only for the sake of `source_paths`.
    """
    roots = tuple(dict.fromkeys(roots))
    wanted, names = frozenset(source_paths), set()
    for path in listing:
        found = module_name(path, listing, roots)
        if found is None or found[0] not in roots:
            continue
        root, dotted = found
        start, packaged = _depth(root), _packaged(path, listing)
        if packaged > start and root == "." and path not in wanted:
            continue
        name = ".".join(dotted.split(".")[: packaged - start + 1])
        if name not in _NOT_IMPORTED:
            names.add(name)
    return tuple(sorted(names))


def imported_modules(source: bytes, own_dotted: str | None, *, package: bool = False) -> frozenset[str]:
    """Give the dotted names that a text imports anywhere, functions and `TYPE_CHECKING` blocks included.

    `from a import b` names `a` and `a.b`, for `b` may be a module. `own_dotted` resolves relative imports;
    `package` says that the text is an `__init__`. A text of another Python is read line by line.
    """
    tree = parse(source)
    if tree is None:
        return frozenset(_by_line(decode(source), own_dotted, package))
    # Most texts import by statements alone, and those are a tenth of the nodes.
    nodes = ast.walk(tree) if _CALLED.search(source) else _statements(tree)
    return frozenset(_by_tree(nodes, own_dotted, package))


def mention_pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    """Give a pattern that a text must contain before it can import any of `names`: a fast first sieve."""
    words = {name.rpartition(".")[2].encode("utf-8", "surrogateescape") for name in names}
    if not words:
        return re.compile(rb"(?!)")
    return re.compile(rb"(?<![\w])(?:" + rb"|".join(map(re.escape, sorted(words))) + rb")(?![\w])")


def importers(path: str, sources: Mapping[str, bytes], listing: Collection[str]) -> tuple[str, ...]:
    """Give the files among `sources` that import the module in `path`, under any name it may have."""
    names = frozenset(module_names(path, listing))
    if not names:
        return ()
    # A package is also imported by `from . import x`, which does not name it.
    sieve = None if is_package(path) else mention_pattern(names)
    return tuple(
        sorted(
            other
            for other, source in sources.items()
            if other != path
            and (sieve is None or sieve.search(source))
            and imports(other, source, listing, names)
        )
    )


def imported_by(path: str, source: bytes, listing: Collection[str]) -> frozenset[str]:
    """Give the dotted names that the file at `path` imports, relative ones resolved by its place."""
    own = module_name(path, listing)
    return imported_modules(source, own[1] if own else None, package=is_package(path))


def imports_any(found: Collection[str], names: Collection[str]) -> bool:
    """Say whether imported names are among `names`, or inside one of them."""
    return any(name in names or any(name.startswith(f"{wanted}.") for wanted in names) for name in found)


def imports(path: str, source: bytes, listing: Collection[str], names: Collection[str]) -> bool:
    """Say whether the text in `path` imports one of the modules `names`, or something inside one."""
    return imports_any(imported_by(path, source, listing), names)


def _module_parts(path: str) -> list[str] | None:
    directory, _, name = path.rpartition("/")
    stem, dot, suffix = name.partition(".")
    # `speedups.cpython-311-x86_64-linux-gnu.so` is imported as `speedups`.
    if not dot or (suffix not in {"py", "pyx", "pyd"} and not suffix.endswith(("so", ".pyd"))):
        return None
    parts = directory.split("/") if directory else []
    return parts if stem == "__init__" else [*parts, stem]


def _packaged(path: str, listing: Collection[str]) -> int:
    """Count the directories above the topmost package that a file belongs to."""
    directory = path.rpartition("/")[0]
    while directory and f"{directory}/__init__.py" in listing:
        directory = directory.rpartition("/")[0]
    return _depth(directory)


def _depth(directory: str) -> int:
    return directory.count("/") + 1 if directory not in {"", "."} else 0


def _under(path: str, directory: str) -> bool:
    return directory in {"", "."} or path.startswith(f"{directory}/")


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every statement of a text, and not the expressions in them."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                waiting += inner


def _by_tree(nodes: Iterable[ast.AST], own: str | None, package: bool) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(module or "", level, own, package)
                if base is not None:
                    yield from ([base] if base else [])
                    yield from (f"{base}.{a.name}".lstrip(".") for a in names if a.name != "*")
            case ast.Call(func=function, args=[ast.Constant(value=str() as name), *_]):
                called = getattr(function, "attr", None) or getattr(function, "id", None)
                if called in _BY_NAME:
                    level = len(name) - len(name.lstrip("."))
                    base = _absolute(name.lstrip("."), level, own, package)
                    yield from ([base] if base else [])
            case ast.Assign(targets=[ast.Name(id="pytest_plugins")], value=value):
                for inner in ast.walk(value):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value


def _by_line(text: str, own: str | None, package: bool) -> Iterator[str]:
    for match in _LINE.finditer(text):
        if match[1]:
            name = match[1].lstrip(".")
            base = _absolute(name, len(match[1]) - len(name), own, package)
            yield from ([base] if base else [])
        else:
            yield from (part.split()[0] for part in match[2].split(",") if part.strip())


def _absolute(name: str, level: int, own: str | None, package: bool) -> str | None:
    """Resolve a relative import; None where it points above the top, "" for the top itself."""
    if level == 0:
        return name
    if own is None:
        return None
    parts = own.split(".")
    keep = len(parts) - level + (1 if package else 0)
    if keep < 0:
        return None
    return ".".join([*parts[:keep], *([name] if name else [])])
