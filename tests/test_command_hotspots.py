"""`bugsle hotspots`: where the next bug is likely."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner
from git_sandbox import fingerprint
from past_views import source_of
from repositories import Repo

from pytest_bugsle.errors import BugsleError, UsageError
from pytest_bugsle.regression.command_hotspots import hotspots
from pytest_bugsle.results import json_schema

A = "src/pkg/a.py"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """Give a project with a module that was changed, and fixed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repo = Repo(tmp_path / "project", start={A: source_of(3)})
    repo.commit("feat: f1", {A: source_of(3, f1=1)})
    repo.commit("fix: f1", {A: source_of(3, f1=2)})
    return repo


def run(repo: Repo | Path, *args: str, code: int = 0) -> list[str]:
    """Run the command and give the lines that it prints."""
    top = repo.top if isinstance(repo, Repo) else repo
    done = CliRunner().invoke(hotspots, ["--repo", str(top), *args], standalone_mode=False)
    if isinstance(done.exception, BugsleError | click.ClickException):
        raise done.exception
    assert done.exception is None, done.exc_info
    assert done.return_value == code, done.output
    return done.output.splitlines()


def report_of(repo: Repo, *args: str, code: int = 0) -> dict[str, object]:
    """Give the JSON report, held to its schema."""
    path = repo.top.parent / "hotspots.json"
    run(repo, "--report", f"json:{path}", *args, code=code)
    report: dict[str, object] = json.loads(path.read_bytes())
    jsonschema.validate(report, json_schema())
    return report


def test_the_table_is_aligned_and_the_worst_is_first(repo: Repo) -> None:
    """One row a function, its figures under their names."""
    assert run(repo) == [
        "score  changes  fixes  complexity  people  knows it best  function",
        " 1.00        3      1           1       1  Ada 100%       src/pkg/a.py:6 f1",
        " 0.17        1      0           1       1  Ada 100%       src/pkg/a.py:1 f0",
        " 0.17        1      0           1       1  Ada 100%       src/pkg/a.py:11 f2",
    ]


def test_limit_path_since_and_verbosity(repo: Repo) -> None:
    """How many, which files, from where on, and when it changed last."""
    assert len(run(repo, "--limit", "1")) == 2
    repo.commit("feat: b", {"src/pkg/b.py": source_of(1)})
    assert [line.split()[-2] for line in run(repo, "--path", "src/pkg/b*")[1:]] == ["src/pkg/b.py:1"]
    assert [line.split()[-1] for line in run(repo, "--since", "HEAD~1")[1:]] == ["f0"]
    assert re.search(r"f1  \(last changed \d{4}-\d\d-\d\d\)$", run(repo, "-v")[1])


def test_the_report_has_the_hotspots_and_is_the_same_each_time(repo: Repo) -> None:
    """The verdict is pass, nothing is counted, the range is what was read; a second run gives the same bytes."""
    report = report_of(repo)
    again = report_of(repo)
    assert report == again
    assert (report["verdict"], report["fixes"], report["findings"]) == ("pass", [], [])
    assert report["range"] == {"base": None, "head": repo.sha(), "why": "the history of HEAD", "commits": 3}
    found = report["hotspots"]
    assert isinstance(found, list)
    assert [(spot["function"], spot["score"]) for spot in found] == [
        ("f1", 1.0),
        ("f0", 0.167),
        ("f2", 0.167),
    ]


def test_nothing_but_our_own_folder_is_written(repo: Repo) -> None:
    """The history is kept in `.bugsle/`, which git does not see."""
    before = {k: v for k, v in fingerprint(repo.top).items() if k != "."}
    run(repo)
    after = fingerprint(repo.top)
    assert {k: v for k, v in after.items() if k in before} == before
    assert {path.split("/")[0] for path in after.keys() - before.keys() if path != "."} == {".bugsle"}
    assert repo.git("status", "--porcelain") == ""


def test_a_cache_that_is_committed_is_not_believed(repo: Repo) -> None:
    """Anybody may have written it: it is neither read nor written."""
    run(repo)
    repo.git("add", "-f", ".bugsle/cache.db")
    repo.commit("chore: a cache")
    before = (repo.top / ".bugsle/cache.db").read_bytes()
    assert "f1" in run(repo)[1]
    assert (repo.top / ".bugsle/cache.db").read_bytes() == before


def test_an_empty_repository_is_undecided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3, what is missing, and a report that says so too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repo = Repo.at(tmp_path / "empty")
    repo.top.mkdir()
    repo.git("init", "-q", "-b", "main")
    lines = run(repo, code=3)
    assert lines[0] == "note: there is no commit yet, or it is not here"
    assert lines[-1].startswith("note:   next: commit something")
    assert report_of(repo, code=3)["verdict"] == "undecided"


def test_a_repository_without_python_is_undecided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was looked at, and that is said, quiet or not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repo = Repo(tmp_path / "prose", configuration="", start={"a.md": "x"})
    said = ["note: no function of the source was changed in 0 commits that were read"]
    assert run(repo, code=3) == run(repo, "-q", code=3) == said


def test_what_is_no_repository_and_no_commit_is_wrong_usage(repo: Repo, tmp_path: Path) -> None:
    """The errors say what to type."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(UsageError, match="is not in a git repository"):
        run(tmp_path / "plain")
    with pytest.raises(UsageError, match="'nowhere' names no commit of this repository"):
        run(repo, "--since", "nowhere")
    with pytest.raises(click.UsageError, match="0 is not in the range"):
        run(repo, "--limit", "0")
    with pytest.raises(UsageError, match="there is no report format"):
        run(repo, "--report", "jsn")


def test_a_shallow_clone_is_looked_at_with_a_note(repo: Repo) -> None:
    """What is here counts; that there is more is said, but not to who wants the table alone."""
    shallow = repo.top.parent / "shallow"
    repo.git("clone", "-q", "--depth=2", f"file://{repo.top}", str(shallow))
    *table, note = run(shallow)
    assert [line.split()[1] for line in table[1:]] == ["1"]
    assert note == (
        "note: the history is cut off: older changes are not counted (`git fetch --unshallow` brings them)"
    )
    assert run(shallow, "-q") == table


def test_files_of_another_python_are_noted(repo: Repo) -> None:
    """By name, a few of them."""
    repo.commit("feat: old", {f"src/pkg/old{n}.py": "def f():\n    print 'x'\n" for n in range(5)})
    assert run(repo)[-1] == (
        "note: not this Python's syntax, left out: src/pkg/old0.py, src/pkg/old1.py, src/pkg/old2.py and 2 more"
    )


def test_strangers_names_are_harmless_on_a_terminal(repo: Repo) -> None:
    """Control characters are shown, an endless name is cut, and the columns stay in line."""
    repo.write({A: source_of(3, f1=3)})
    repo.git("add", "-A")
    name = "Eve\x1b[31m" + "x" * 500
    repo.git("commit", "-qm", "feat: x", GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL="x@y")
    repo.commit("feat: odd", {"src/pkg/b\udcff.py": source_of(1)})
    lines = run(repo, "--since", "HEAD~2")
    assert "\x1b" not in "\n".join(lines)
    assert r"Eve\x1b[31mxxx" in lines[1] + lines[2] and "…" in lines[1] + lines[2]
    column = lines[0].index("function")
    assert {line[column - 1] for line in lines} == {" "} and all(line[column] != " " for line in lines)
    assert r"src/pkg/b\xff.py:1 f0" in "\n".join(lines)
