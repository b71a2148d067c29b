"""`--bugsle-strict`: undecided fails."""

from __future__ import annotations

import pytest
from repositories import Repo, guard, guarded, run_pytest


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A fix whose guard is skipped, beside one that is proven."""
    repo = guarded(tmp_path_factory.mktemp("option") / "project")
    repo.commit(
        "fix: b\n",
        {
            "src/pkg/b.py": "def answer():\n    return 1\n",
            "tests/test_b.py": guard("b", above="@pytest.mark.skip\n"),
        },
    )
    return repo


@pytest.mark.slow
def test_undecided_passes_without_it(repo: Repo) -> None:
    """It is a warning, and the verdict says undecided."""
    said = run_pytest(repo)
    assert (said.code, said.report["verdict"], said.rules()) == (0, "undecided", ["BUG104"])


def test_undecided_fails_with_it(repo: Repo) -> None:
    """By option, by environment and in the settings alike."""
    assert run_pytest(repo, "--bugsle-strict").code == 1
    assert run_pytest(repo, BUGSLE_STRICT="true").code == 1


def test_warn_goes_before_strict(repo: Repo) -> None:
    """`mode = "warn"` keeps the verdict and fails nothing."""
    said = run_pytest(repo, "--bugsle-strict", BUGSLE_MODE="warn")
    assert (said.code, said.report["verdict"]) == (0, "undecided")
