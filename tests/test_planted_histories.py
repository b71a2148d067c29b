"""Fixes that a history hides: split, squashed, merged, reverted, lost, or overgrown by later commits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from repositories import Repo, Said, bugsle

_BROKEN = "def answer():\n    return {}\n"


def _module(name: str, value: str = "0") -> dict[str, str]:
    return {f"src/pkg/{name}.py": _BROKEN.format(value)}


def _test(name: str, value: str = "1", function: str = "answer") -> dict[str, str]:
    return {
        f"tests/test_{name}.py": f"from pkg.{name} import {function}\n\ndef test_it():\n    assert {function}() == {value}\n"
    }


_LONG = """\
def first():
    return 0


def second():
    return 0


def third():
    return 0
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Said]:
    """One branch with all of these histories, proven once."""
    place: Path = tmp_path_factory.mktemp("histories")
    start: dict[str, str] = {}
    for name in ("lost", "squashed", "merged", "reverted", "rearmed", "feature", "moved", "gone"):
        start |= _module(name)
    for name in ("split", "near", "over"):
        start[f"src/pkg/{name}.py"] = _LONG
    repo = Repo(place / "project", start=start)
    named: dict[str, str] = {}
    repo.branch("work")

    repo.change(
        "fix: the first half of it\n\nFixes #70\n",
        "src/pkg/split.py",
        "first():\n    return 0",
        "first():\n    return 1",
    )
    repo.change("feat: third counts", "src/pkg/split.py", "third():\n    return 0", "third():\n    return 3")
    named["split"] = repo.change(
        "fix: the second half of it\n\nFixes #70\n",
        "src/pkg/split.py",
        "second():\n    return 0",
        "second():\n    return first() + third()",
        _test("split", "4", "second"),
    )

    named["lost"] = repo.commit("fix: the answer gets lost (#71)", {**_module("lost", "1"), **_test("lost")})
    repo.commit("feat: another layout", {**_module("lost", "0"), "tests/test_lost.py": None})

    named["squashed"] = repo.commit(
        "Better answers (#72)\n\n* feat: prettier answers\n\n* fix: the squashed answer was wrong\n\n* docs: say so\n",
        {**_module("squashed", "1"), **_test("squashed")},
    )

    repo.branch("topic")
    repo.commit("wip", {"src/pkg/merged.py": "def answer():\n    return 2\n"})
    repo.commit("more", {**_module("merged", "1"), **_test("merged")})
    repo.switch("work")
    named["merged"] = repo.merge(
        "topic", "Merge pull request #7 from ada/topic\n\nFix wrong answer of merged\n"
    )

    named["reverted"] = repo.commit(
        "fix: reverted answer (#73)", {**_module("reverted", "1"), **_test("reverted")}
    )
    named["revert"] = repo.commit(
        f'Revert "fix: reverted answer (#73)"\n\nThis reverts commit {named["reverted"]}.\n',
        {**_module("reverted", "0"), "tests/test_reverted.py": None},
    )

    named["rearmed"] = repo.commit(
        "fix: rearmed answer (#74)", {**_module("rearmed", "1"), **_test("rearmed")}
    )
    away = repo.commit(
        f'Revert "fix: rearmed answer (#74)"\n\nThis reverts commit {named["rearmed"]}.\n',
        {**_module("rearmed", "0"), "tests/test_rearmed.py": None},
    )
    named["again"] = repo.commit(
        f'Revert "Revert "fix: rearmed answer (#74)""\n\nThis reverts commit {away}.\n',
        {**_module("rearmed", "1"), **_test("rearmed")},
    )

    named["near"] = repo.change(
        "fix: near (#75)",
        "src/pkg/near.py",
        "first():\n    return 0",
        "first():\n    return 1",
        _test("near", "1", "first"),
    )
    repo.change("feat: near grows", "src/pkg/near.py", "third():\n    return 0", "third():\n    return 33")

    named["over"] = repo.change(
        "fix: over (#76)",
        "src/pkg/over.py",
        "first():\n    return 0",
        "first():\n    return 1",
        _test("over", "1", "first"),
    )
    repo.change(
        "refactor: over is written anew", "src/pkg/over.py", "    return 1\n", "    one = 1\n    return one\n"
    )

    named["moved"] = repo.commit("fix: moved answer (#77)", {**_module("moved", "1"), **_test("moved")})
    repo.git("mv", "src/pkg/moved.py", "src/pkg/elsewhere.py")
    repo.commit(
        "refactor: move it",
        {"tests/test_moved.py": repo.read("tests/test_moved.py").replace("pkg.moved", "pkg.elsewhere")},
    )

    named["gone"] = repo.commit("fix: gone answer (#78)", {**_module("gone", "1"), **_test("gone")})
    repo.commit("feat: nobody needs it", {"src/pkg/gone.py": None, "tests/test_gone.py": None})
    return named, bugsle(repo, "prove", "main..HEAD", "--budget", "600")


def test_two_commits_that_mend_one_bug_are_one_fix(told: tuple[dict[str, str], Said]) -> None:
    """They are taken out together, newest first, and what lies between them stays."""
    named, said = told
    fix = said.fix(named["split"])
    assert fix["status"] == "proven"
    assert len(fix["commits"]) == 2
    assert not [other for other in said.report["fixes"] if other["subject"].startswith("fix: the first half")]


def test_a_fix_that_was_lost_again_is_undecided(told: tuple[dict[str, str], Said]) -> None:
    """Taking it out changes nothing, which is not the same as a test that passes without it."""
    named, said = told
    fix = said.fix(named["lost"])
    assert fix["status"] == "undecided"
    assert "no longer in the tree" in fix["why"]
    assert said.rules(named["lost"]) == ["BUG104"]


def test_a_fix_whose_file_is_gone_is_undecided(told: tuple[dict[str, str], Said]) -> None:
    """Where the code of the fix was deleted since, nothing is left to put back."""
    named, said = told
    assert said.status(named["gone"]) == "undecided"
    assert "no longer in the tree" in said.fix(named["gone"])["why"]


def test_a_bullet_of_a_squashed_commit_makes_it_a_fix(told: tuple[dict[str, str], Said]) -> None:
    """Its title says nothing of a fix, one of its bullets does."""
    named, said = told
    assert said.status(named["squashed"]) == "proven"


def test_a_merge_is_one_fix_by_its_title(told: tuple[dict[str, str], Said]) -> None:
    """It is judged against its first parent, and its commits are not judged again."""
    named, said = told
    fix = said.fix(named["merged"])
    assert fix["subject"] == "Fix wrong answer of merged"
    assert fix["status"] == "proven"
    assert len(fix["commits"]) == 3
    assert not [other for other in said.report["fixes"] if other["subject"] in ("wip", "more")]


def test_a_revert_cancels_the_fix(told: tuple[dict[str, str], Said]) -> None:
    """A fix that the range itself takes back asks for no test, and neither does the revert."""
    named, said = told
    reverted = [fix for fix in said.report["fixes"] if named["reverted"] in fix["commits"]]
    assert [fix["status"] for fix in reverted] == [None]
    assert said.fix(named["revert"])["status"] is None


def test_a_revert_of_a_revert_brings_the_fix_back(told: tuple[dict[str, str], Said]) -> None:
    """It counts once, and is proven in the tree that has it again."""
    named, said = told
    about = [fix for fix in said.report["fixes"] if {named["rearmed"], named["again"]} & {*fix["commits"]}]
    assert [fix["status"] for fix in about if fix["status"]] == ["proven"]


def test_a_fix_is_taken_out_from_under_later_changes(told: tuple[dict[str, str], Said]) -> None:
    """A later change of the same file, not of the same lines, is merged with what was there before."""
    named, said = told
    fix = said.fix(named["near"])
    assert (fix["status"], fix["judged_at"]) == ("proven", "tree")


def test_a_fix_that_was_written_over_is_judged_at_its_own_commit(told: tuple[dict[str, str], Said]) -> None:
    """Where it cannot be taken out of the tree alone, the answer says what it was judged in, and why."""
    named, said = told
    fix = said.fix(named["over"])
    assert (fix["status"], fix["judged_at"]) == ("proven", "commit")
    assert (
        "judged at its own commit: src/pkg/over.py was changed again where the fix changed it" in fix["why"]
    )


def test_a_fix_is_followed_to_where_its_file_was_moved(told: tuple[dict[str, str], Said]) -> None:
    """A rename since the fix is no conflict."""
    named, said = told
    fix = said.fix(named["moved"])
    assert (fix["status"], fix["judged_at"]) == ("proven", "tree")


def test_a_pull_request_of_a_squashing_team_is_one_fix_by_its_title(tmp_path: Path) -> None:
    """On a mainline of squashed commits the whole range is one unit, with the title from GitHub's event."""
    repo = Repo(tmp_path / "project", start={**_module("whole"), **_module("other")})
    for number in range(1, 5):
        repo.commit(f"feat: number {number} (#{number})", {"src/pkg/other.py": f"VALUE = {number}\n"})
    base = repo.sha()
    repo.branch("work")
    repo.commit("wip", _module("whole", "5"))
    head = repo.commit("tests", {**_module("whole", "1"), **_test("whole")})
    event = {
        "pull_request": {
            "title": "Fix the whole answer",
            "body": "Fixes #99",
            "base": {"sha": base},
            "head": {"sha": head},
            "merge_commit_sha": "",
        }
    }
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    said = bugsle(
        repo,
        "prove",
        "--strict",
        CI="true",
        GITHUB_ACTIONS="true",
        GITHUB_EVENT_NAME="pull_request",
        GITHUB_EVENT_PATH=str(path),
    )
    assert said.code == 0, said.all
    (fix,) = said.report["fixes"]
    assert (fix["status"], len(fix["commits"])) == ("proven", 2)
    assert (fix["subject"], fix["bugs"]) == ("Fix the whole answer", ["#99"])
    assert said.report["range"]["base"] == base
