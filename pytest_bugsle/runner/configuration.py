"""What pytest's own configuration says about a project, read without starting pytest.  PYTEST_DONT_REWRITE

Inside a session pytest has already read it; the command reads the same files by the same order of
precedence (https://docs.pytest.org/en/stable/reference/customize.html#initialization-determining-rootdir-and-inifile).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ALWAYS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
_WITH_A_SECTION = ("pyproject.toml", "tox.ini", "setup.cfg")
_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "testpaths": (),
    "python_files": ("test_*.py", "*_test.py"),
    "python_classes": ("Test",),
    "python_functions": ("test",),
    "norecursedirs": ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}"),
    "pythonpath": (),
}


class Configuration(msgspec.Struct, frozen=True):
    """Where pytest stands and what it takes for a test."""

    rootdir: Path
    inifile: Path | None
    testpaths: tuple[str, ...] = _DEFAULTS["testpaths"]
    python_files: tuple[str, ...] = _DEFAULTS["python_files"]
    python_classes: tuple[str, ...] = _DEFAULTS["python_classes"]
    python_functions: tuple[str, ...] = _DEFAULTS["python_functions"]
    norecursedirs: tuple[str, ...] = _DEFAULTS["norecursedirs"]
    pythonpath: tuple[str, ...] = _DEFAULTS["pythonpath"]


def read_configuration(start: Path, top: Path) -> Configuration:
    """Return the configuration that pytest would find from `start`, looking no higher than `top`.

    UsageError names the file that cannot be read.
    """
    folders = [start, *start.parents]
    if top in folders:
        folders = folders[: folders.index(top) + 1]
    for folder in folders:
        for name in (*_ALWAYS, *_WITH_A_SECTION):
            path = folder / name
            if not path.is_file():
                continue
            values = _section(path)
            if values is not None:
                return Configuration(folder, path, **{key: _words(values, key) for key in _DEFAULTS})
    for folder in folders:
        if (folder / "setup.py").is_file():
            return Configuration(folder, None)
    return Configuration(top, None)


def _section(path: Path) -> Mapping[str, Any] | None:
    """Return pytest's part of a configuration file; None where the file is not pytest's."""
    try:
        if path.suffix == ".toml":
            return _toml_section(path)
        import iniconfig

        sections = iniconfig.IniConfig(str(path)).sections
    except (OSError, ValueError) as error:  # bytes that are no UTF-8, or no TOML
        raise _unreadable(path, error) from error
    except iniconfig.ParseError as error:
        raise _unreadable(path, error) from error
    wanted = "tool:pytest" if path.name == "setup.cfg" else "pytest"
    if wanted in sections:
        return sections[wanted]
    return {} if path.name in _ALWAYS else None


def _toml_section(path: Path) -> Mapping[str, Any] | None:
    import tomllib

    data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    if path.name in _ALWAYS:
        table = data.get("pytest", {})
    else:
        table = data.get("tool", {}).get("pytest")
        if isinstance(table, dict):
            table = table.get("ini_options", table)
    return table if isinstance(table, dict) else None


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read: {error}",
        why="it says which files are tests.",
        hint="run `pytest --collect-only` until pytest can read it.",
    )


def _words(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = values.get(key)
    if value is None:
        return _DEFAULTS[key]
    if isinstance(value, str):
        return tuple(shlex.split(value))
    return tuple(str(word) for word in value)
