"""Choose the interpreter and the environment that tests run in.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.runner import facts
from pytest_bugsle.runner.outcome import Facts

# `git rev-parse --local-env-vars`, and what redirects git's reading: a hook leaks them into its children.
# fmt: off
_GIT_LOCAL = frozenset((
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH", "GIT_EXEC_PATH",
    "GIT_REFLOG_ACTION",
))
# Which plugins are loaded is the suite's own affair, and the same inside a proof.
_KEPT = frozenset(("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS"))
_PREFIXES = ("PYTEST_", "BUGSLE_", "COV_CORE_", "COVERAGE_", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
# PYTHONOPTIMIZE drops asserts, PYTHONSAFEPATH drops the working folder, a prefix recompiles all of pytest.
_PYTHON = frozenset((
    "PYTHONPYCACHEPREFIX", "PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONSAFEPATH", "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
))
# fmt: on


TEMPORARY = "PYTEST_DEBUG_TEMPROOT"
"""Where pytest makes `tmp_path`; each run has its own, so that it also tells whose process one is."""


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what belongs to an outer pytest, coverage, git or us."""
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT or not (name.startswith(_PREFIXES) or name in _GIT_LOCAL or name in _PYTHON)
    }


def inner_environment(
    environ: Mapping[str, str],
    *,
    python: str,
    tree: Path,
    user_top: Path,
    first: Iterable[Path],
    temporary: str,
) -> dict[str, str]:
    """Return the environment of the inner pytest; `first` leads its PYTHONPATH."""
    env = scrubbed(environ)
    path = [str(folder) for folder in first]
    for entry in env.get("PYTHONPATH", "").split(os.pathsep):
        mapped = _in_tree(entry, tree, user_top) if entry else None
        if mapped is not None and mapped not in path:
            path.append(mapped)
    env["PYTHONPATH"] = os.pathsep.join(path)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["PYTHONHASHSEED"] = "0"
    env["BUGSLE_INNER"] = "1"
    env["BUGSLE_OUTER"] = str(user_top)
    env["GIT_CEILING_DIRECTORIES"] = str(tree.parent)
    env[TEMPORARY] = temporary
    scripts = os.path.dirname(os.path.abspath(python))
    if python != sys.executable and scripts not in env.get("PATH", "").split(os.pathsep):
        env["PATH"] = scripts + os.pathsep + env.get("PATH", os.defpath)
    return env


def _in_tree(entry: str, tree: Path, user_top: Path) -> str | None:
    """Map a folder of the checkout to the tree; None when the tree lacks it."""
    real, top = Path(os.path.realpath(entry)), Path(os.path.realpath(user_top))
    if not real.is_relative_to(top) or real.is_relative_to(os.path.realpath(tree)):
        return entry
    if "site-packages" in real.parts:
        return entry
    mapped = tree / real.relative_to(top)
    return str(mapped) if mapped.exists() else None


@lru_cache(maxsize=32)
def interpreter_facts(python: str) -> Facts:
    """Describe an interpreter: its version, pytest, and a digest of what is installed in it."""
    found = facts.collect() if python == sys.executable else _ask(python)
    return Facts(
        python=python,
        version=found["version"],
        implementation=found["implementation"],
        platform=found["platform"],
        pytest=found["pytest"],
        digest=found["digest"],
        distributions=frozenset(found["distributions"]),
    )


def _ask(python: str) -> dict[str, str]:
    """Run facts.py there."""
    try:
        done = subprocess.run(
            [python, facts.__file__],
            env=scrubbed(os.environ) | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot start the interpreter {python!r}: {error}",
            hint="name one that exists: --python PATH",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"the interpreter {python!r} did not answer within a minute") from error
    try:
        answer: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode("utf-8", "backslashreplace").strip().rpartition("\n")[2]
        raise UsageError(
            f"{python!r} is not a usable Python 3.8 or newer (exit code {done.returncode}): {last!r}",
            hint="name another interpreter: --python PATH",
        ) from None
    return answer


def lent_coverage(python: str) -> str | None:
    """Return the folder of our own coverage for an interpreter that may have none.

    Only for the same implementation and minor version: its tracer is compiled for one of them.
    """
    facts = interpreter_facts(python)
    ours = interpreter_facts(sys.executable)
    same = (
        facts.implementation == ours.implementation
        and facts.version.split(".")[:2] == ours.version.split(".")[:2]
    )
    found = importlib.util.find_spec("coverage") if same else None
    return None if found is None or found.origin is None else str(Path(found.origin).parent.parent)


def require_pytest(python: str) -> Facts:
    """Return the interpreter's facts, or say what to install there."""
    found = interpreter_facts(python)
    if not found.has_pytest:
        raise UsageError(
            f"{python} has no pytest",
            why="the tests of both sides run in the project's own interpreter",
            hint=f"{python} -m pip install pytest, or name another interpreter: --python PATH",
        )
    return found


def project_name(top: Path) -> str | None:
    """Return the distribution's name from pyproject.toml or setup.cfg, as indexes compare it."""
    try:
        name = tomllib.loads((top / "pyproject.toml").read_text("utf-8"))["project"]["name"]
        return facts.normalise(name) if isinstance(name, str) else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    parser = configparser.RawConfigParser()
    try:
        parser.read_string((top / "setup.cfg").read_text("utf-8"))
        return facts.normalise(parser.get("metadata", "name"))
    except (OSError, ValueError, configparser.Error):
        return None


def choose_python(repo_top: Path, wanted: str | None, environ: Mapping[str, str]) -> str:
    """Choose the project's interpreter: the one asked for, the running one, the active or the local one."""
    if wanted:
        path = shutil.which(wanted, path=environ.get("PATH")) or wanted
        path = os.path.abspath(path)
        require_pytest(path)
        return path
    project = project_name(repo_top)
    others = [
        folder for folder in (environ.get("VIRTUAL_ENV"), repo_top / ".venv", repo_top / "venv") if folder
    ]
    candidates = [found for folder in others if (found := _python_of(Path(folder))) is not None]
    running = interpreter_facts(sys.executable)
    if running.has_pytest and (project is None or project in running.distributions or not candidates):
        return sys.executable
    usable = [python for python in candidates if interpreter_facts(python).has_pytest]
    for python in usable:
        if project is None or project in interpreter_facts(python).distributions:
            return python
    if usable:
        return usable[0]
    if running.has_pytest:
        return sys.executable
    seen = ", ".join([sys.executable, *candidates])
    raise UsageError(
        f"no interpreter with pytest was found for {repo_top} (looked at {seen})",
        why="the tests run in the project's own interpreter, which needs pytest and the project's dependencies",
        hint="activate the project's environment, or name its interpreter: --python PATH",
    )


def _python_of(environment: Path) -> str | None:
    for place in ("bin/python", "Scripts/python.exe"):
        if (environment / place).exists():
            return str(environment / place)
    return None
