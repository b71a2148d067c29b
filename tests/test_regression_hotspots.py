"""Where the next bug is likely."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_sandbox import Sandbox
from past_views import source_of

from pytest_bugsle.history.past import read_past
from pytest_bugsle.regression import hotspots as module
from pytest_bugsle.regression.hotspots import HALF_LIFE, Hotspots, hotspots
from pytest_bugsle.regression.sides import Layout
from pytest_bugsle.results import Hotspot
from pytest_bugsle.store.cache import Cache

A = "src/pkg/a.py"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give a repository with one module of three functions."""
    sandbox = Sandbox(tmp_path / "project")
    sandbox.commit({"src/pkg/__init__.py": "", A: source_of(3)}, "start")
    return sandbox


def look(sandbox: Sandbox, cache: Cache | None = None, **options: object) -> Hotspots:
    """Rank the functions of HEAD."""
    with sandbox.open() as repo:
        past = read_past(repo, "HEAD", Cache(None))
        listing = repo.listing("HEAD")
        side = Layout(tuple(listing), testpaths=("tests",)).side
        return hotspots(repo, past, listing, side, cache, **options)  # type: ignore[arg-type]  # as they come


def ranked(found: Hotspots) -> list[str]:
    """Give the names of the functions, the worst first."""
    return [spot.function for spot in found.found]


def test_changes_fixes_complexity_and_people_make_a_hotspot(sandbox: Sandbox, tmp_path: Path) -> None:
    """The figures of one function, with the score of the formula; the cache changes nothing."""
    sandbox.commit({A: source_of(3, f1=1)}, "feat: f1")
    sandbox.write({A: source_of(3, f1=2)})
    sandbox.clock += 60
    sandbox.git("commit", "-qam", "fix: f1", GIT_AUTHOR_NAME="Bob", GIT_AUTHOR_EMAIL="b@x")
    sandbox.clock += HALF_LIFE - 60
    sandbox.commit({A: source_of(3, f1=2, f2=1)}, "feat: f2")
    found = look(sandbox)
    assert found.found[0] == Hotspot(
        path=A,
        line=6,
        function="f1",
        score=1.0,
        changes=3,
        fixes=1,
        complexity=1,
        people=2,
        knows="Ada",
        knows_share=0.667,
        last_changed="2023-11-14",
    )
    assert ranked(found) == ["f1", "f2", "f0"]
    # f1: three changes and a fix, a year old each; f2: one of a year ago, one of today; f0: one of a year ago.
    assert [spot.score for spot in found.found] == pytest.approx(
        [1, 1.5 / (1.5 * 1.5), 0.5 / (1.5 * 1.5)], abs=1e-3
    )
    assert (found.commits, found.left_out, found.unreadable) == (4, 0, ())
    cache = Cache(tmp_path / "cache.db")
    assert look(sandbox, cache) == look(sandbox, cache) == found


def test_what_is_more_complex_is_worse(sandbox: Sandbox) -> None:
    """Of two functions that changed alike."""
    text = "def plain(x):\n    return x\n\n\ndef forked(x):\n    return 1 if x else 2\n"
    sandbox.commit({A: text}, "feat: both")
    assert ranked(look(sandbox)) == ["forked", "plain"]


def test_what_changed_lately_is_worse(sandbox: Sandbox) -> None:
    """Two changes of long ago weigh less than one of now."""
    sandbox.commit({A: source_of(3, f0=1)}, "feat: f0")
    sandbox.clock += 3 * HALF_LIFE
    sandbox.commit({A: source_of(3, f0=1, f2=1)}, "feat: f2")
    assert ranked(look(sandbox)) == ["f2", "f0", "f1"]


def test_tests_prose_and_what_is_gone_are_no_hotspots(sandbox: Sandbox) -> None:
    """Only functions of today's source are named, in files that were not moved as well as in those that were."""
    sandbox.commit(
        {"tests/conftest.py": source_of(2), "docs/conf.py": source_of(2), "notes.md": "x"}, "feat: more"
    )
    sandbox.commit({"src/pkg/gone.py": source_of(2), A: source_of(3, f1=1)}, "feat: gone")
    sandbox.git("mv", A, "src/pkg/moved.py")
    sandbox.commit({"src/pkg/gone.py": None}, "refactor: move")
    sandbox.commit({"src/pkg/moved.py": source_of(2, f1=1)}, "feat: drop f2")
    found = look(sandbox)
    assert {(spot.path, spot.function, spot.changes) for spot in found.found} == {
        ("src/pkg/moved.py", "f0", 1),
        ("src/pkg/moved.py", "f1", 2),
    }


def test_bots_formatting_and_merges_do_not_count(sandbox: Sandbox) -> None:
    """They neither change a function for a reason nor know it."""
    sandbox.commit({A: source_of(3, f1=1)}, "style: quotes")
    sandbox.write({A: source_of(3, f1=2)})
    sandbox.git("commit", "-qam", "bump", GIT_AUTHOR_NAME="renovate[bot]", GIT_AUTHOR_EMAIL="b@x")
    found = look(sandbox)
    assert {(spot.function, spot.changes, spot.people) for spot in found.found} == {
        ("f0", 1, 1),
        ("f1", 1, 1),
        ("f2", 1, 1),
    }


def test_limit_since_and_wanted_choose_what_is_shown(sandbox: Sandbox) -> None:
    """`since` counts later changes alone; a filter of paths leaves the scores as they are."""
    start = sandbox.git("rev-parse", "HEAD")
    sandbox.commit({"src/pkg/b.py": source_of(1)}, "feat: b")
    sandbox.commit({A: source_of(3, f1=1)}, "fix: f1")
    assert len(look(sandbox, limit=2).found) == 2
    later = look(sandbox, since=start)
    assert {spot.function: spot.changes for spot in later.found} == {"f1": 1, "f0": 1} and later.commits == 2
    every, only = look(sandbox, limit=None), look(sandbox, wanted=lambda path: path.endswith("b.py"))
    assert only.found == tuple(spot for spot in every.found if spot.path.endswith("b.py"))
    assert len(every.found) == 4 and only.found[0].score < 1


def test_more_commits_than_are_read_are_said(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest count, and how many do not is told."""
    for number in range(1, 5):
        sandbox.commit({A: source_of(3, f1=number)}, f"feat: {number}")
    monkeypatch.setattr(module, "MOST_COMMITS", 2)
    found = look(sandbox)
    assert (found.commits, found.left_out, [(s.function, s.changes) for s in found.found]) == (
        2,
        3,
        [("f1", 2)],
    )


def test_files_of_another_python_are_named(sandbox: Sandbox) -> None:
    """They have no complexity that could be measured."""
    sandbox.commit({"src/pkg/old.py": "def f():\n    print 'x'\n"}, "feat: old")
    found = look(sandbox)
    assert found.unreadable == ("src/pkg/old.py",)
    assert ranked(found) == ["f0", "f1", "f2"]


def test_nothing_changed_is_nothing_found(tmp_path: Path) -> None:
    """A repository without Python has no hotspots."""
    sandbox = Sandbox(tmp_path / "other")
    sandbox.commit({"notes.md": "x"}, "start")
    assert look(sandbox) == Hotspots((), 0, 0, ())
