"""The hooks by which a project extends the gate."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import RIGHT, WRONG, Repo, guard, guarded, run_pytest, unguarded


@pytest.mark.slow
def test_a_project_says_what_is_a_fix(tmp_path: Path) -> None:
    """`pytest_bugsle_is_fix` makes a fix of what no message calls one, and spares another."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    hook = "def pytest_bugsle_is_fix(commit):\n    return {'Change a': True, 'fix: b': False}.get(commit.subject)\n"
    repo.commit("chore: a hook", {"conftest.py": hook})
    repo.branch("work", "HEAD")
    repo.git("branch", "-f", "main", "HEAD")
    repo.commit("Change a", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    repo.commit("fix: b", {"src/pkg/b.py": RIGHT})
    said = run_pytest(repo)
    assert said.status("Change a") == "proven"
    assert said.status("fix: b") is None
    assert said.code == 0


def test_a_project_links_a_test(tmp_path: Path) -> None:
    """`pytest_bugsle_link` ties a test to a fix that no name, place or message ties it to."""
    repo = Repo(
        tmp_path / "project",
        start={
            "src/pkg/a.py": WRONG,
            "tests/test_far.py": "import importlib\n\ndef test_far():\n    assert importlib.import_module('pkg.' + 'a').answer() == 1\n",
        },
    )
    repo.branch("work")
    repo.commit("fix: a", {"src/pkg/a.py": RIGHT})
    assert run_pytest(repo).status("fix: a") == "no-test"
    hook = "def pytest_bugsle_link(fix, test):\n    return fix.subject == 'fix: a' and 'test_far' in test\n"
    repo.commit("chore: a hook", {"conftest.py": hook})
    said = run_pytest(repo)
    assert said.status("fix: a") == "proven"
    assert "hook" in said.fix("fix: a")["tests"][0]["links"][0]["evidence"]


def test_a_project_rewrites_a_finding(tmp_path: Path) -> None:
    """`pytest_bugsle_finding` gives the finding that is reported, its level too."""
    repo = unguarded(tmp_path / "project")
    hook = "import msgspec\n\ndef pytest_bugsle_finding(finding):\n    return msgspec.structs.replace(finding, level='info', message='ours')\n"
    repo.commit("chore: a hook", {"conftest.py": hook})
    said = run_pytest(repo)
    assert said.code == 0
    assert [finding["message"] for finding in said.report["findings"]] == ["ours"]


def test_a_project_adds_lines_to_the_section(tmp_path: Path) -> None:
    """`pytest_bugsle_report` sees the whole result, and its lines are escaped like all others."""
    repo = guarded(tmp_path / "project")
    hook = (
        "def pytest_bugsle_report(result):\n    return [f'ours: {result.counts.proven} proven \\x1b[31m']\n"
    )
    repo.commit("chore: a hook", {"conftest.py": hook})
    assert "ours: 1 proven \\x1b[31m" in run_pytest(repo).out
