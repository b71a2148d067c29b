"""The files that `bugsle init` proposes, as they are written.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from pytest_bugsle import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_bugsle.init.project import Project

REQUIREMENT = f"pytest-bugsle=={__version__}"
"""Where hooks and workflow take the program from: the package index, wherever its repository lives."""

HOOK_TYPES = ("pre-commit", "commit-msg", "pre-push")
"""What `pre-commit install` must install: without the second the message is never looked at."""

GIT_HOOKS: Mapping[str, str] = {
    "commit-msg": "bugsle-commit-msg",
    "pre-commit": "bugsle-complexity",
    "pre-push": "bugsle-check",
}
"""git's hook -> ours."""

_FILES = {
    "bugsle-commit-msg": (),
    "bugsle-complexity": ("types: [python]", "pass_filenames: false"),
    "bugsle-check": ("always_run: true", "pass_filenames: false"),
}
"""What pre-commit has to know of the files of a hook, as in our manifest."""

_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
_SETUP_PYTHON = "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0"

WORKFLOW = f"""\
# Written by `bugsle init`: is every bug fix of a change held by a test that fails without it?
name: bugsle

on:
  push:
    branches: [@BRANCH@]
  pull_request:
  merge_group:

permissions: {{}}

jobs:
  bugsle:
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: {_CHECKOUT}
        with:
          fetch-depth: 0 # the gate reads the history
          persist-credentials: false
      - uses: {_SETUP_PYTHON}
        with:
          python-version: "3.x"
      - run: python -m pip install @INSTALL@ {REQUIREMENT} # the environment that the tests need
      - run: python -m pytest --bugsle --bugsle-report github
"""

GIT_HOOK = """\
#!/bin/sh
# Written by `bugsle init --git-hooks`; delete this file to take the hook out.
hook=@PATH@
[ -x "$hook" ] || hook=@NAME@
command -v "$hook" >/dev/null 2>&1 || { echo "@NAME@ was not found, so nothing is checked" >&2; exit 0; }
exec "$hook" "$@"
"""


def workflow(project: Project) -> str:
    """Return the workflow for a project: run on its default branch, with what its tests need."""
    branch = json.dumps(project.branch, ensure_ascii=False)  # a string of JSON is one of YAML
    return WORKFLOW.replace("@BRANCH@", branch).replace("@INSTALL@", project.install)


def git_hook(name: str, path: str) -> str:
    """Return the shell script that starts the hook `name`, which stands at `path` today."""
    return GIT_HOOK.replace("@PATH@", shlex.quote(path)).replace("@NAME@", name)


def pre_commit_entry(indent: str = "  ") -> list[str]:
    """Return the entry of our hooks in `repos:`, one line each, without line ends."""
    lines = [f"{indent}- repo: local", f"{indent}  hooks:"]
    for stage, name in sorted(GIT_HOOKS.items(), key=lambda item: item[1]):
        keys = (
            f"name: {name}",
            f"entry: {name}",
            "language: python",
            f'additional_dependencies: ["{REQUIREMENT}"]',
            f"stages: [{stage}]",
            *_FILES[name],
        )
        lines += [f"{indent}    - id: {name}", *(f"{indent}      {key}" for key in keys)]
    return lines


def pre_commit_types() -> str:
    """Return the line by which `pre-commit install` installs all that our hooks need."""
    return f"default_install_hook_types: [{', '.join(HOOK_TYPES)}]"


def table(project: Project, *, prefix: bool) -> str:
    """Return the settings as TOML: what was found out, and as comments what the gate finds by itself."""
    lines = ["[tool.bugsle]"] if prefix else []
    lines.append("# Written by `bugsle init`. What is commented out the gate finds by itself in each run.")
    base = f"base = {_toml(project.base)}"
    lines.append(
        f"{base}  # the default branch" if project.base_is_needed else f"# {base}  # the default branch"
    )
    lines.append(f'unit = "{project.unit}"  # {project.unit_why}')
    for key, found in (("source", project.source), ("tests", project.tests)):
        value = f"[{', '.join(map(_toml, found))}]"
        lines.append(f"{key} = {value}" if found else f"# {key} = []")
    if project.tag_pattern:
        lines.append(f"tag_pattern = {_toml(project.tag_pattern)}  # such as {_comment(project.tag)}")
    elif project.tag:
        lines.append(f"# tag_pattern: versions such as {_comment(project.tag)} are releases")
    return "".join(f"{line}\n" for line in lines)


def _toml(text: str) -> str:
    """Write a string of TOML; as a literal one where that is plainer."""
    if text.isprintable() and "\\" in text and "'" not in text:
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return text if text.isprintable() else ascii(text)
