"""Measure which wanted lines each test reaches, by coverage's API.  PYTEST_DONT_REWRITE

Standalone, like the recorder that uses it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from typing import Any

_INSTALL = (
    "coverage is not installed for this interpreter ({}): install it there to see which tests reach a fix"
)


class Reach:
    """Trace the changed files, one context for each test."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.tree = os.path.realpath(params["tree"])
        self.wanted = {path: set(lines) for path, lines in params["reach"].items()}
        self.note = ""
        self._coverage: Any = None
        if "coverage" in params["owned"]:
            self.note = "reach was not measured: the tree under test is coverage itself"
            return
        if sys.gettrace() is not None:
            self.note = "reach was not measured: another tracer (a debugger, or coverage) is active"
            return
        try:
            self._start(_import_coverage(params.get("coverage_dir")))
        except Exception as error:  # noqa: BLE001 - any release of coverage may be there
            self.note = f"reach was not measured: {error}"

    def _start(self, coverage: Any) -> None:
        files = [os.path.join(self.tree, *path.split("/")) for path in self.wanted]
        # A path is a pattern to coverage; a closing bracket has no escape of its own there.
        include = [
            "".join(f"[{c}]" if c in "*?[" else "?" if c == "]" else c for c in file) for file in files
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            measured = coverage.Coverage(data_file=None, include=include, config_file=False, messages=False)
        compiled = importlib.util.find_spec("coverage.tracer") is not None
        # The sys.monitoring core, default of the newest Pythons, cannot tell contexts apart.
        core = "ctrace" if compiled else "pytrace"
        previous = os.environ.pop("COVERAGE_CORE", None)
        try:
            if hasattr(measured.config, "core"):
                measured.set_option("run:core", core)
            measured.set_option(
                "run:disable_warnings", ["no-data-collected", "module-not-measured", "trace-changed"]
            )
            measured.start()
        finally:
            if previous is not None:
                os.environ["COVERAGE_CORE"] = previous
        self._coverage = measured

    def switch(self, test: str) -> None:
        """Credit the lines that follow to a test; '' is import time."""
        if self._coverage is not None:
            try:
                self._coverage.switch_context(test)
            except Exception as error:  # noqa: BLE001 - a test may stop any tracer, ours too
                self.note = f"reach was not measured: {error}"
                self._coverage = None

    def finish(self) -> tuple[dict[str, dict[str, list[int]]], dict[str, list[int]]]:
        """Stop, and return the wanted lines reached by each test and at import time."""
        tests: dict[str, dict[str, list[int]]] = {}
        imports: dict[str, list[int]] = {}
        if self._coverage is None:
            return tests, imports
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._coverage.stop()
            data = self._coverage.get_data()
        for file in data.measured_files():
            path = os.path.relpath(os.path.realpath(file), self.tree).replace(os.sep, "/")
            wanted = self.wanted.get(path)
            if wanted is None:
                continue
            for line, contexts in sorted(data.contexts_by_lineno(file).items()):
                if line not in wanted:
                    continue
                for context in contexts:
                    if context:
                        tests.setdefault(context, {}).setdefault(path, []).append(line)
                    else:
                        imports.setdefault(path, []).append(line)
        return tests, imports


def _import_coverage(folder: Any) -> Any:
    if "coverage" not in sys.modules and importlib.util.find_spec("coverage") is None:
        package = os.path.join(folder, "coverage") if folder else ""
        if not os.path.isfile(os.path.join(package, "__init__.py")):
            raise RuntimeError(_INSTALL.format(sys.executable))
        spec = importlib.util.spec_from_file_location(
            "coverage", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["coverage"] = module
        try:
            spec.loader.exec_module(module)
        except Exception:  # noqa: BLE001 - made for another Python, it fails in any way
            for name in [name for name in sys.modules if name.partition(".")[0] == "coverage"]:
                del sys.modules[name]
            raise RuntimeError(_INSTALL.format(sys.executable)) from None
    import coverage

    return coverage
