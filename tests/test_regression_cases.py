"""Accepted cases of models as links: the test whose gate replays one guards the bug that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from repositories import CONFIGURATION, Repo, bugsle

from pytest_bugsle.regression.links import NodeId, link
from pytest_bugsle.robustness.cases import folder_name
from pytest_bugsle.settings import CASES

TEST = "tests/test_model.py::test_capitals"
FILE = f"{CASES}/{folder_name(TEST)}/case.upper-1.json"
WRONG = 'def sentiment(text):\n    return "good" if "great" in text else "bad"\n'
MENDED = WRONG.replace("in text", "in text.lower()")
GATE = """
from pkg.model import sentiment

TEXTS = [f"Item {number} was great." for number in range(60)]

def test_capitals(robustness):
    robustness(sentiment, TEXTS).invariant("case.upper", max_flip_rate=1.0)
"""


def case(**more: object) -> str:
    """A file of an accepted case."""
    before, after = "Item 0 was great.", "Item 0 was GREAT."
    table = {
        "schema": 2,
        "test": TEST,
        "perturbation": "case.upper",
        "bug": "#42",
        "before": before,
        "edits": [[11, 17, "great.", "GREAT."]],
        "after": after,
        "output_before": "good",
        "output_after": "bad",
    }
    return json.dumps({**table, **more})


def project(top: Path) -> Repo:
    """A model, and the gate that asks it."""
    return Repo(
        top, configuration=CONFIGURATION, start={"src/pkg/model.py": WRONG, "tests/test_model.py": GATE}
    )


@pytest.mark.parametrize(
    ("files", "with_fix", "evidence"),
    [
        ({FILE: case()}, False, f"its case {FILE} names #42"),
        ({FILE: case(bug=None)}, True, f"the fix brings its case {FILE}"),
        ({FILE: case(bug="#43")}, False, ""),
        ({FILE: case(bug=None)}, False, ""),
        ({FILE: case(test=7)}, True, ""),
        ({FILE: case(test="::")}, True, ""),
        ({FILE: "[" * 100_000}, True, ""),
        ({FILE: "[]"}, True, ""),
        ({f"{CASES}/note.txt": case()}, True, ""),
        ({f"cases/{FILE.rpartition('/')[2]}": case()}, True, ""),
    ],
    ids=[
        "named", "brought", "another bug", "no bug", "number for a test", "no test", "deep", "list", "no case",
        "elsewhere",
    ],
)  # fmt: skip
def test_a_case_links_its_test_to_a_fix(
    files: dict[str, str | bytes | None], with_fix: bool, evidence: str, tmp_path: Path
) -> None:
    """By the bug that it names, or by coming with the fix; a file of a stranger links nothing."""
    repo = project(tmp_path / "project")
    if not with_fix:
        repo.commit("test: a case", files)
    repo.commit("fix: shouted praise (#42)", {"src/pkg/model.py": MENDED, **(files if with_fix else {})})
    fix = bugsle(repo, "check", "HEAD~1..HEAD").fix("fix: shouted")
    links = [(each["id"], link["kind"], link["evidence"]) for each in fix["tests"] for link in each["links"]]
    assert links == ([(TEST, "case", evidence)] if evidence else [])


def test_ids_begin_where_pytest_does(tmp_path: Path) -> None:
    """Which may be below the top of the repository; a submodule among the cases is none."""
    files: dict[str, str | bytes | None] = {
        "part/pyproject.toml": CONFIGURATION,
        "part/src/pkg/__init__.py": "",
        "part/src/pkg/model.py": WRONG,
        "part/tests/test_model.py": GATE,
        FILE: case(),
    }
    repo = Repo(tmp_path / "project", configuration="", start=files)
    repo.commit("fix: shouted praise (#42)", {"part/src/pkg/model.py": MENDED})
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.sha()},{CASES}/module.json")
    repo.git("commit", "-q", "-m", "chore: a module")
    said = bugsle(repo.top / "part", "check", "HEAD~2..HEAD")
    (test,) = said.fix("fix: shouted")["tests"]
    assert (test["id"], test["links"][0]["kind"]) == (TEST, "case")


def test_a_case_whose_test_is_gone_is_told() -> None:
    """Somebody tied it to the bug."""
    (found,) = link(
        ["#42"], {"tests/test_a.py": ["test_x"]}, cases=[(NodeId("tests/test_a.py", "test_y"), "its case")]
    )
    assert (found.kind, found.broken) == ("case", "tests/test_a.py has no test test_y")


@pytest.mark.slow
def test_an_accepted_case_proves_the_fix_of_its_bug(tmp_path: Path) -> None:
    """Without the fix its test fails, and passes with it, though the rate is within the limit on both sides."""
    repo = project(tmp_path / "project")
    repo.commit("test: a case", {FILE: case()})
    repo.commit("fix: shouted praise (#42)", {"src/pkg/model.py": MENDED})
    said = bugsle(repo, "prove", "HEAD")
    assert (said.code, said.status("fix: shouted")) == (0, "proven")
