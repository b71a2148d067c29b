"""Really built and installed editables of each backend lead to the tree under test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from runner_trees import Trees, by_name, make_venv, statuses

from pytest_bugsle.runner.inner import Run

pytestmark = pytest.mark.slow

TESTS = """
    import os, subprocess, sys
    def test_changed():
        from {package} import core
        assert core.VALUE == "fixed"
    def test_unchanged():
        from {package} import same
        assert same.VALUE == 1
        assert same.__file__.startswith(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    def test_added(): import {package}.added
    def test_later(): import {package}.later
    def test_child():
        assert subprocess.run([sys.executable, "-c", "import {package}.added"]).returncode == 0
"""
WANTED = {
    "test_changed": ("failed", "AssertionError"),
    "test_unchanged": ("passed", None),
    "test_added": ("failed", "ModuleNotFoundError"),
    "test_later": ("failed", "ModuleNotFoundError"),
    "test_child": ("failed", "AssertionError"),
}
SETUPTOOLS = """
    [build-system]
    requires = ["setuptools>=68"]
    build-backend = "setuptools.build_meta"
    [project]
    name = "demo"
    version = "1"
"""
SRC = SETUPTOOLS + '[tool.setuptools.packages.find]\n    where = ["src"]\n'
FLAT = SETUPTOOLS + '[tool.setuptools]\n    packages = ["demo"]\n'
HATCH = """
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"
    [project]
    name = "demo"
    version = "1"
    [tool.hatch.build.targets.wheel]
    packages = ["src/demo"]
    {extra}
"""
MESON = """
    [build-system]
    requires = ["meson-python"]
    build-backend = "mesonpy"
    [project]
    name = "demo"
    version = "1"
"""
MESON_BUILD = """
    project('demo', 'c', version: '1')
    py = import('python').find_installation(pure: false)
    py.extension_module('_fast', 'src/demo/_fast.c', install: true, subdir: 'demo')
    py.install_sources('src/demo/__init__.py', 'src/demo/core.py', 'src/demo/same.py', 'src/demo/added.py',
                       'src/demo/later.py', subdir: 'demo')
"""
C_SOURCE = """
    #include <Python.h>
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", NULL, -1, NULL};
    PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
"""
NAMESPACE = """
    from setuptools import setup
    setup(name="demo", version="1", packages=["ns", "ns.demo"], namespace_packages=["ns"], package_dir={"": "src"})
"""


@dataclass(frozen=True)
class Build:
    """One way to install a project."""

    files: Mapping[str, str]
    pip: tuple[str, ...] = ("-e", ".")
    root: str = "src"
    package: str = "demo"
    needs: tuple[str, ...] = ()
    unguarded: bool = True  # whether a run without the guard tests the checkout
    extra: Mapping[str, str] = field(default_factory=dict)


BUILDS = {
    "setuptools-src": Build({"pyproject.toml": SRC}),
    "setuptools-flat": Build({"pyproject.toml": FLAT}, root=".", unguarded=False),
    "setuptools-strict": Build(
        {"pyproject.toml": SRC}, ("--config-settings", "editable_mode=strict", "-e", ".")
    ),
    "setuptools-compat": Build(
        {"pyproject.toml": SRC}, ("--config-settings", "editable_mode=compat", "-e", ".")
    ),
    "hatchling": Build({"pyproject.toml": HATCH.replace("{extra}", "")}),
    "hatchling-exact": Build(
        {"pyproject.toml": HATCH.replace("{extra}", "[tool.hatch.build]\n    dev-mode-exact = true")}
    ),
    "meson-python": Build(
        {"pyproject.toml": MESON, "meson.build": MESON_BUILD, "src/demo/_fast.c": C_SOURCE},
        ("--no-build-isolation", "-e", "."),
        needs=("meson-python", "meson", "ninja"),
        extra={"tests/test_fast.py": "def test_fast(): import demo._fast\n"},
    ),
    "old-namespace": Build(
        {
            "setup.py": NAMESPACE,
            "src/ns/__init__.py": "__import__('pkg_resources').declare_namespace(__name__)\n",
        },
        ("--no-build-isolation", "--no-use-pep517", "-e", "."),
        package="ns.demo",
        needs=("setuptools==65.7.0", "wheel", "pip<23"),
    ),
    "plain": Build({"pyproject.toml": SRC}, (".",)),
}


def install(build: Build, trees: Trees) -> str:
    """Install the fixed checkout into a fresh environment."""
    folder = f"{build.root}/{build.package.replace('.', '/')}"
    source = {
        f"{folder}/__init__.py": "",
        f"{folder}/core.py": "VALUE = 'broken'\n",
        f"{folder}/same.py": "VALUE = 1\n",
    }
    tests = {"tests/test_demo.py": textwrap.dedent(TESTS).replace("{package}", build.package), **build.extra}
    fixed = {f"{folder}/core.py": "VALUE = 'fixed'\n", f"{folder}/added.py": "", f"{folder}/later.py": ""}
    trees.write({**build.files, **source, **tests}, user={**build.files, **source, **tests, **fixed})
    python, _ = make_venv(trees.top / "venv")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check"]
    if build.needs:
        subprocess.run([*pip, *build.needs], check=True)
    if any(need.startswith("pip") for need in build.needs):
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    else:
        pip.append("--no-deps")
    subprocess.run([*pip, *build.pip], check=True, cwd=trees.user, env=_path(python))
    return python


def _path(python: str) -> dict[str, str]:
    import os

    return {**os.environ, "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"}


def kinds(run: Run) -> dict[str, tuple[str, str | None]]:
    """Return status and exception of each test."""
    return {
        name: (outcome.status, outcome.error.type if outcome.error else None)
        for name, outcome in by_name(run).items()
    }


@pytest.mark.parametrize("name", sorted(BUILDS))
def test_an_installed_editable_leads_to_the_tree(tmp_path: Path, name: str) -> None:
    """The tree is tested, what the fix adds is absent, and without the guard the certificate notices."""
    build = BUILDS[name]
    trees = Trees(tmp_path)
    python = install(build, trees)
    folder = f"{build.root}/{build.package.replace('.', '/')}".removeprefix("./")
    options = {
        "python": python,
        "import_roots": (build.root,),
        "owned": (build.package.partition(".")[0],),
        "absent": (f"{build.package}.added",),
        "changed": (f"{folder}/core.py",),
    }
    run = trees.run("tests/test_demo.py", **options)
    assert kinds(run) == WANTED, run.output
    assert run.wrong_tree == ()
    for path in build.extra:
        extra = trees.run(path, **options)
        assert set(statuses(extra).values()) == {"passed"}, extra.output
        assert extra.wrong_tree == ()
    if build.unguarded:
        unguarded = trees.run("tests/test_demo.py", guard=False, **options)
        assert statuses(unguarded)["test_changed"] == "passed", unguarded.output
        assert any(f"{build.package}.core" in reason for reason in unguarded.wrong_tree)
