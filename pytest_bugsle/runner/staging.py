"""Lay out beside a tree what its inner pytest needs: the recorder, the guard and their parameters.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import secrets
import shutil
import signal
from collections.abc import Collection, Iterable
from pathlib import Path

from pytest_bugsle.errors import UsageError
from pytest_bugsle.runner.environment import inner_environment
from pytest_bugsle.runner.outcome import Request

_STANDALONE = ("faults.py", "guard.py", "measure.py", "recorder.py", "stubs.py")
_FOR_SEQUENCES = (
    "forks.py",
    "state.py",
    "state_kinds.py",
    "state_tables.py",
    "state_values.py",
    "state_walk.py",
    "worlds.py",
    "worlds_clock.py",
)
_HOSTILE = ("::", "[")  # pytest reads these inside an argument, whatever the file is called

_LAUNCH = """\
import os, runpy, sys
sys.path[0] = os.getcwd()
import {package}.recorder
runpy.run_module("pytest", run_name="__main__", alter_sys=True)
"""

# Python runs the first sitecustomize on its path only, so ours runs the one it hides.
_SITECUSTOMIZE = """\
import os, sys
def _bugsle_start():
    import importlib.machinery, importlib.util, json
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "{package}", "params.json"), encoding="utf-8") as stream:
        params = json.load(stream)
    from {package} import guard
    guard.install(params)
    others = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)
_bugsle_start()
"""


class Stage:
    """One run's folder in scratch, used by each process of the run in turn."""

    def __init__(self, request: Request, *, guard: bool = True) -> None:
        self.request = request
        self.guard = guard
        self.tree = Path(os.path.realpath(request.tree))
        token = secrets.token_hex(4)
        self.folder = Path(os.path.realpath(request.scratch)) / f"run-{token}"
        self.site = self.folder / "site"
        self.package = f"_bugsle_{token}"
        self.records = self.folder / "records.jsonl"
        self.output = self.folder / "output"
        self.result = self.folder / "result.json"
        self.spec = self.folder / "spec.json"
        self.stack = self.folder / "stack"
        self.files = [
            selector.path for selector in request.selectors if os.path.isfile(self.tree / selector.path)
        ]
        self._lay_out()

    def _lay_out(self) -> None:
        package = self.site / self.package
        (package / "__pycache__").mkdir(parents=True)
        (self.folder / "empty").mkdir()
        (self.folder / "empty" / "pytest.ini").touch()
        (package / "__init__.py").write_text('"""The recorder.  PYTEST_DONT_REWRITE"""\n', encoding="utf-8")
        here = Path(__file__).parent
        for name in (*_STANDALONE, *(_FOR_SEQUENCES if self.request.everything else ())):
            shutil.copy2(here / name, package / name)  # with its times, which compiled files are checked by
            for compiled in _compiled(here / name):
                shutil.copy2(compiled, package / "__pycache__" / compiled.name)
        (self.folder / "launch.py").write_text(_LAUNCH.format(package=self.package), encoding="utf-8")
        (self.site / "sitecustomize.py").write_text(
            _SITECUSTOMIZE.format(package=self.package), encoding="utf-8"
        )
        remove_bytecode(self.tree)

    def prepare(self, skip: Iterable[str], dead_files: Collection[str]) -> list[str]:
        """Write the parameters of the next process, and return the files that it is to collect."""
        for file in (self.records, self.output, self.result, self.stack):
            file.unlink(missing_ok=True)
        request = self.request
        files = [path for path in dict.fromkeys(self.files) if path not in dead_files]
        params = {
            "tree": str(self.tree),
            "home": str(self.folder),
            "user_top": str(request.user_top),
            "import_roots": list(request.import_roots),
            "owned": list(request.owned),
            "absent": list(request.absent),
            "missing_names": {name: list(names) for name, names in request.missing_names.items()},
            "stub": request.stub,
            "guard": self.guard,
            "changed": list(request.changed),
            "selectors": None if request.everything else merged_selectors(request),
            "sequence": None if request.sequence is None else [list(pair) for pair in request.sequence],
            "world": dict(request.world),
            "skip": list(skip),
            "folders": any(_unspeakable(path) for path in files),
            "records": str(self.records),
            "targets": self._targets(files),
            "reach": None
            if request.reach is None
            else {path: list(lines) for path, lines in request.reach.items()},
            "coverage_dir": request.coverage_dir,
            "stack": str(self.stack),
            "signal": stack_signal(),
        }
        (self.site / self.package / "params.json").write_text(json.dumps(params), encoding="utf-8")
        return files

    def _targets(self, files: Iterable[str]) -> list[str]:
        rootdir = self.tree / self.request.rootdir
        return _targets([os.path.relpath(self.tree / path, rootdir) for path in files])

    def command(self, files: Iterable[str]) -> list[str]:
        """Return the command line of the inner pytest; ours comes after the suite's own addopts."""
        request = self.request
        rootdir = self.tree / request.rootdir
        # Without -c an ini file of a folder above the tree would be found and used.
        inifile = self.tree / request.inifile if request.inifile else self.folder / "empty" / "pytest.ini"
        targets = self._targets(files)
        python = shutil.which(request.python) or request.python
        return [
            os.path.abspath(python),
            str(self.folder / "launch.py"),
            "-p",
            f"{self.package}.recorder",
            f"--rootdir={os.path.normpath(rootdir)}",
            f"--confcutdir={os.path.normpath(rootdir)}",
            "-c",
            str(inifile),
            *(("-o", f"cache_dir={self.folder / 'cache'}") if self._has_cache(inifile) else ()),
            "--color=no",
            *request.args,
            *targets,
        ]

    def environment(self, temporary: str) -> dict[str, str]:
        """Return the environment of the inner pytest; `temporary` is the folder of its `tmp_path`s."""
        request = self.request
        return inner_environment(
            os.environ,
            python=request.python,
            tree=self.tree,
            user_top=request.user_top,
            first=[self.site, *(self.tree / root for root in request.import_roots if self.guard)],
            temporary=temporary,
        )

    def task(self, files: Iterable[str], temporary: str, **limits: float) -> dict[str, object]:
        """Return what the keeper is to run (see keeper.py), within `timeout`, `idle_timeout` and `deadline`."""
        return {
            "command": self.command(files),
            "cwd": str(self.tree / self.request.rootdir),
            "output": str(self.output),
            "records": str(self.records),
            "result": str(self.result),
            "stack": str(self.stack),
            "temporary": temporary,
            "folder": str(self.folder),
            "signal": stack_signal(),
            **limits,
        }

    def _has_cache(self, inifile: Path) -> bool:
        """Say whether pytest's cache is on: where it is off, its option is unknown, and strict suites fail for that."""
        try:
            text = inifile.read_text("utf-8", "replace")
        except OSError:
            text = ""
        return "no:cacheprovider" not in " ".join((text, *self.request.args))

    def remove(self) -> None:
        """Delete the run's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _unspeakable(path: str) -> bool:
    return any(part in path for part in _HOSTILE)


def _targets(paths: Iterable[str]) -> list[str]:
    """Return what to call files on pytest's command line: themselves, or the nearest folder that can be named."""
    files, folders = [], set()
    for path in paths:
        if not _unspeakable(path):
            files.append(path)
            continue
        while _unspeakable(path):
            path = os.path.dirname(path)
        folders.add(path)
    # A file beside its own folder is collected once only, and by early releases of pytest 8 alone.
    files = [path for path in files if not any(_below(path, folder) for folder in folders)]
    tops = [path for path in sorted(folders) if not any(_below(path, folder) for folder in folders - {path})]
    return [os.path.join(os.curdir, path) for path in [*files, *tops]]


def _below(path: str, folder: str) -> bool:
    return folder == "" or path.startswith(folder + os.sep)


def merged_selectors(request: Request) -> list[tuple[str, list[str] | None]]:
    """Join selectors of one file; all of the file wins over names."""
    found: dict[str, set[str] | None] = {}
    for selector in request.selectors:
        previous = found.get(selector.path, set())
        found[selector.path] = (
            None if selector.names is None or previous is None else previous | selector.names
        )
    return [(path, None if names is None else sorted(names)) for path, names in found.items()]


def _compiled(source: Path) -> list[Path]:
    """Return the compiled forms of a standalone file, made once beside it when there are none."""
    own = Path(importlib.util.cache_from_source(str(source)))
    try:
        if not own.exists() or own.stat().st_mtime < source.stat().st_mtime:
            py_compile.compile(str(source), doraise=True)
    except (OSError, py_compile.PyCompileError):
        pass  # an installation that we may not write to: each run compiles for itself
    return [*own.parent.glob(f"{source.stem}.*.pyc")]


def remove_bytecode(tree: Path) -> None:
    """Remove compiled files: theirs are checked by time and size only, which a swapped line may keep."""
    pending = [str(tree)]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name == "__pycache__":
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.name not in (".git", "node_modules", "site-packages"):
                    pending.append(entry.path)


def stack_signal() -> int:
    """Choose the signal that asks for a stack, one that neither pytest nor tests use; 0 where there is none."""
    last = getattr(signal, "SIGRTMAX", None)
    return (
        int(last) - 2 if last is not None else int(getattr(signal, "SIGINFO", getattr(signal, "SIGUSR2", 0)))
    )


def check_tree(request: Request) -> None:
    """Refuse a tree that is not there."""
    if not (request.tree / request.rootdir).is_dir():
        raise UsageError(f"there is no folder {str(request.tree / request.rootdir)!r} to run tests in")
