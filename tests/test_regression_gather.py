"""From a range of commits to judged units: what is read, and what it changes in the judgement."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from repositories import Repo

from pytest_bugsle.git.log import read_log
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.runner.configuration import read_configuration
from pytest_bugsle.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = "def subset(a, b):\n    return a.issupserset(b)\n"
AFTER = "def subset(a, b):\n    return a.issuperset(b)\n"


def judged(tmp_path: Path, message: str, files: dict[str, str]) -> str:
    """Return what one commit is judged to be."""
    repo = Repo(tmp_path / "project", start={"src/pkg/__init__.py": "", "src/pkg/a.py": BEFORE})
    repo.commit(message, files)
    with Repository.open(repo.top) as repository:
        surveyor = Surveyor(repository, read_configuration(repo.top, repo.top), Settings())
        commits = read_log(repository, None, "HEAD", limit=1)
        base, head = commits[0].parents[0], commits[0].sha
        units = surveyor.units(commits, partial(surveyor.ground, commits[0].tree), base=base, head=head)
    assert len(units) == 1
    return units[0].judgement.answer


@pytest.mark.parametrize(
    ("message", "files", "answer"),
    [
        (
            "Fix issupserset typo in comparisons\n\nIt kept raising AttributeError.",
            {"src/pkg/a.py": AFTER},
            "fix",
        ),
        ("Fix a typo\n\nIt kept raising eyebrows.", {"src/pkg/a.py": "# a typo\n" + BEFORE}, "no"),
        ("Fix a typo\n\nIt kept raising eyebrows.", {"README.md": "fixed\n"}, "no"),
    ],
)
def test_a_softening_word_weighs_less_where_the_source_really_changes(
    tmp_path: Path, message: str, files: dict[str, str], answer: str
) -> None:
    """“Typo” is a veto for a comment and a bug in an attribute's name: the text decides, once it is read."""
    assert judged(tmp_path, message, files) == answer


def test_a_message_that_speaks_of_no_fix_needs_no_tree(tmp_path: Path) -> None:
    """Most ranges hold no fix, and a listing of a large tree is not free."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": BEFORE})
    repo.commit("docs: say more", {"src/pkg/a.py": AFTER})
    asked: list[str] = []
    with Repository.open(repo.top) as repository:
        surveyor = Surveyor(repository, read_configuration(repo.top, repo.top), Settings())
        commits = read_log(repository, None, "HEAD", limit=1)

        def sides() -> object:
            asked.append("tree")
            return surveyor.ground(commits[0].tree)

        units = surveyor.units(commits, sides, base=commits[0].parents[0], head=commits[0].sha)  # type: ignore[arg-type]  # counts
    assert [unit.judgement.answer for unit in units] == ["no"]
    assert asked == []
