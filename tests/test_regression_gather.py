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


@pytest.mark.parametrize("greps", [0, 1000])
def test_who_imports_a_module_is_told_alike_by_many_greps_and_by_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greps: int
) -> None:
    """Helpers of tests, in all the ways in which they can be imported; a word in a string imports nothing."""
    monkeypatch.setattr("pytest_bugsle.regression.gather._GREPS", greps)
    files = {f"tests/support/part_{n}.py": f"VALUE = {n}\n" for n in range(5)}
    files |= {
        "tests/support/__init__.py": "",
        "tests/test_a.py": "from tests.support import (\n    part_0,\n    part_1 as one,\n)\n\n\ndef test_a():\n    pass\n",
        "tests/test_b.py": "import tests.support.part_2\n\n\ndef test_b():\n    pass\n",
        "src/pkg/product.py": "from tests.support.part_3 import VALUE\n",
        "src/pkg/other.py": "'''import tests.support.part_4'''\nNAME = 'part_4'\n",
        "src/pkg/helper.py": "X = 1\n",
    }
    repo = Repo(tmp_path / "p", start={**files})
    repository = Repository.open(repo.top)
    surveyor = Surveyor(repository, read_configuration(repo.top, repo.top), Settings())
    tree = surveyor.ground(repository.tree_of(repo.start))
    sides = {path.rpartition("/")[2]: tree.side(path) for path in files}
    repository.close()
    assert sides["part_3.py"] == "source", "product code imports it"
    assert {sides[f"part_{n}.py"] for n in (0, 1, 2, 4)} == {"test"}
    assert (sides["product.py"], sides["test_a.py"]) == ("source", "test")
