"""The uncommitted change, and the user's repository, which no experiment touches."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import RIGHT, WRONG, Repo, bugsle, guard, guarded, run_pytest, state_of


def _dirty(top: Path) -> Repo:
    """Give a repository with a stash, a staged file, and a fix that is not committed yet."""
    repo = Repo(top, start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    repo.write({"src/pkg/b.py": RIGHT})
    repo.git("stash")
    repo.write({"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a"), "staged.txt": "staged\n"})
    repo.git("add", "staged.txt")
    return repo


def test_an_uncommitted_fix_is_proven_before_it_is_committed(tmp_path: Path) -> None:
    """`bugsle prove` without a commit takes out the uncommitted change, and touches nothing of the user's."""
    repo = _dirty(tmp_path / "project")
    before, status = state_of(repo), repo.git("status", "--porcelain")
    said = bugsle(repo, "prove")
    after = state_of(repo)
    assert (said.code, said.status("the uncommitted change")) == (0, "proven")
    assert {key for key in before if before[key] != after[key]} == set()
    assert repo.git("status", "--porcelain") == status


def test_an_uncommitted_test_that_holds_nothing_is_caught(tmp_path: Path) -> None:
    """The answer comes before the commit."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG})
    repo.write({"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a", "answer()")})
    assert bugsle(repo, "prove").status("the uncommitted change") == "passes-without-fix"


@pytest.mark.slow
def test_a_session_proves_in_the_working_tree_as_it_is(tmp_path: Path) -> None:
    """With uncommitted changes `pytest --bugsle` judges what pytest itself has just run."""
    repo = guarded(tmp_path / "project")
    repo.write({"tests/test_a.py": guard("a", "answer()")})
    before = state_of(repo)
    said = run_pytest(repo)
    assert said.status("fix: a") == "passes-without-fix"
    assert state_of(repo) == before
    repo.git("checkout", "-q", "--", ".")
    assert run_pytest(repo).status("fix: a") == "proven"


def test_an_untracked_guard_counts(tmp_path: Path) -> None:
    """A test that is not added yet is part of the working tree."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG})
    repo.branch("work")
    repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT})
    assert run_pytest(repo).status("fix: a") == "no-test"
    repo.write({"tests/test_a.py": guard("a")})
    assert run_pytest(repo).status("fix: a") == "proven"


def test_a_flat_layout_is_proven(tmp_path: Path) -> None:
    """The package stands at the top, and no setting tells pytest where."""
    repo = Repo(tmp_path / "project", configuration="", start={"flat/__init__.py": "", "flat/a.py": WRONG})
    repo.commit(
        "fix: a",
        {"flat/a.py": RIGHT, "tests/__init__.py": "", "tests/test_a.py": guard("a").replace("pkg", "flat")},
    )
    assert bugsle(repo, "prove", "HEAD").status("fix: a") == "proven"


def test_a_namespace_package_is_proven(tmp_path: Path) -> None:
    """A package without `__init__.py` is found all the same."""
    repo = Repo(tmp_path / "project", start={"src/space/part/a.py": WRONG})
    repo.commit(
        "fix: a", {"src/space/part/a.py": RIGHT, "tests/test_a.py": guard("a").replace("pkg", "space.part")}
    )
    assert bugsle(repo, "prove", "HEAD").status("fix: a") == "proven"


def test_a_project_below_the_top_of_its_repository_is_proven(tmp_path: Path) -> None:
    """In a repository of many projects the gate answers for the one that pytest runs in."""
    configuration = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["src"]\n'
    repo = Repo(
        tmp_path / "mono",
        configuration="",
        start={
            "one/pyproject.toml": configuration,
            "one/src/pkg/a.py": WRONG,
            "two/pyproject.toml": configuration,
            "two/src/pkg/b.py": WRONG,
        },
    )
    repo.branch("work")
    repo.commit("fix: one", {"one/src/pkg/a.py": RIGHT, "one/tests/test_a.py": guard("a")})
    repo.commit("fix: two", {"two/src/pkg/b.py": RIGHT})
    said = run_pytest(repo, cwd=repo.top / "one")
    assert said.status("fix: one") == "proven"
    assert said.status("fix: two") == "out-of-scope"
    assert said.code == 0
    assert said.fix("fix: one")["tests"][0]["id"] == "tests/test_a.py::test_a"
    assert bugsle(repo, "prove", "--repo", "one", "main..HEAD").status("fix: one") == "proven"
