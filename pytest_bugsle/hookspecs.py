"""The hooks by which others extend the gate; implement them in a conftest.py or a plugin.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.git.log import Commit
    from pytest_bugsle.results import FixResult, Result

hookspec = pluggy.HookspecMarker("pytest")


@hookspec(firstresult=True)
def pytest_bugsle_is_fix(commit: Commit) -> bool | None:
    """Say whether a commit is a bug fix; None leaves it to the others and to the gate."""


@hookspec
def pytest_bugsle_link(fix: FixResult, test: str) -> bool | None:
    """Say whether the collected test with this id belongs to a fix, beside the links that the gate finds."""


@hookspec(firstresult=True)
def pytest_bugsle_finding(finding: Finding) -> Finding | None:
    """Return the finding to report in its place; None leaves it as it is."""


@hookspec
def pytest_bugsle_report(result: Result) -> Sequence[str] | None:
    """Look at the whole result; lines that are returned stand at the end of the section."""
