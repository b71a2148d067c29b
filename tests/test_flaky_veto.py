"""Whether a failure can come from the change is judged from what the test was seen to run, and from that alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repositories import Repo

from pytest_bugsle.flaky.gather import Ground, changed_lines
from pytest_bugsle.flaky.veto import ChangedLines, judge
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.runner.configuration import Configuration

CHANGED = ChangedLines({"a.py": [(3,), (5, 6)], "b.py": [(9,)]}, {"c.py": [(1, 2)]})
IN_FUNCTIONS = ChangedLines({"a.py": [(3,)]}, {})


@pytest.mark.parametrize(
    ("reached", "ran"),
    [
        ({"a.py": (3,)}, 1),
        ({"a.py": (6,)}, 1),
        ({"a.py": (5, 6)}, 1),
        ({"a.py": (3, 5), "b.py": (9,)}, 3),
        ({"c.py": (2,)}, 1),
    ],
)
def test_a_statement_counts_once_however_many_of_its_lines_ran(
    reached: Mapping[str, tuple[int, ...]], ran: int
) -> None:
    """One line of a statement is enough; statements are counted, not lines."""
    found = judge(CHANGED, reached, {})
    assert (found.word, found.ran, found.of) == ("runs", ran, 4)
    assert found.sentence == f"it runs {ran} of 4 changed statements"


def test_what_runs_nothing_of_the_change_cannot_come_from_it() -> None:
    """The same line of another file is no part of the change."""
    found = judge(IN_FUNCTIONS, {"a.py": (4,), "b.py": (3,)}, {"a.py": (1, 2), "z.py": (3,)})
    assert found.word == "cannot"
    assert found.sentence == "it cannot come from this change: it runs 0 of 1 changed statements"


def test_an_empty_change_is_no_cause() -> None:
    """Nothing differs from the base."""
    assert judge(ChangedLines({}, {}), {}, {}).word == "cannot"


@pytest.mark.parametrize(
    ("changed", "imported", "note", "why"),
    [
        (IN_FUNCTIONS, {}, "coverage cannot be used", "coverage cannot be used"),
        (CHANGED, {"c.py": (1,)}, "", "c.py changed in what runs when it is imported"),
        (ChangedLines({}, {}, ("data/a.csv",)), {}, "", "data/a.csv changed, which no line of a test shows"),
        (ChangedLines({"a.py": [()]}, {}), {}, "", "a.py changed where no line is measured"),
        (ChangedLines({"a.py": [(3,), ()]}, {}), {}, "", "a.py changed where no line is measured"),
    ],
)
def test_what_was_not_seen_is_no_excuse(
    changed: ChangedLines, imported: Mapping[str, tuple[int, ...]], note: str, why: str
) -> None:
    """What cannot be measured, runs at import, is no Python, or has no line leaves it unknown."""
    found = judge(changed, {}, imported, note)
    assert (found.word, found.why) == ("unknown", why)
    assert found.sentence == f"whether it comes from this change is unknown: {why}"


def test_what_runs_at_an_import_that_did_not_happen_is_no_cause() -> None:
    """A module that nothing imported did nothing."""
    assert judge(CHANGED, {}, {"d.py": (1, 2)}).word == "cannot"


def test_a_line_that_was_seen_to_run_outweighs_what_is_unknown() -> None:
    """Then there is nothing left to excuse."""
    changed = ChangedLines({"a.py": [(3,)]}, {"c.py": [(1,)]}, ("data.csv",))
    assert judge(changed, {"a.py": (3,)}, {"c.py": (1,)}, "measured in part").word == "runs"


LINES = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(1, 6), max_size=3).map(tuple), max_size=3
)
GROUPS = st.dictionaries(
    st.sampled_from("abc"),
    st.lists(st.lists(st.integers(1, 6), max_size=2).map(tuple), max_size=3),
    max_size=3,
)


@given(GROUPS, GROUPS, st.lists(st.sampled_from(["x.csv"]), max_size=1).map(tuple), LINES, LINES, LINES)
def test_seeing_more_never_makes_an_excuse(
    groups: dict[str, list[tuple[int, ...]]],
    at_import: dict[str, list[tuple[int, ...]]],
    others: tuple[str, ...],
    reached: dict[str, tuple[int, ...]],
    imported: dict[str, tuple[int, ...]],
    more: dict[str, tuple[int, ...]],
) -> None:
    """More lines run, or a note, only take the word away from 'cannot'; no count exceeds the whole."""
    changed = ChangedLines(groups, at_import, others)
    found = judge(changed, reached, imported)
    assert 0 <= found.ran <= found.of
    assert (found.word == "runs") is (found.ran > 0)
    wider = {path: (*reached.get(path, ()), *more.get(path, ())) for path in {*reached, *more}}
    for again in (judge(changed, wider, imported), judge(changed, reached, {**more, **imported}, "a note")):
        assert again.ran >= found.ran
        assert found.word == "cannot" or again.word != "cannot"
    assert judge(changed, reached, imported, "a note").word != "cannot"


# --- what a change is -------------------------------------------------------------------------------

BEFORE = """\
import os


def used(x):
    check(x)
    return x


def unused(x):
    return x
"""


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with something to change."""
    top = tmp_path_factory.mktemp("veto") / "project"
    return Repo(
        top,
        start={
            "src/pkg/a.py": BEFORE,
            "tests/data.txt": "1\n",
            "tests/page.md": "1\n",
            "tests/.env": "1\n",
            ".env": "1\n",
            "requirements.txt": "a==1\n",
            "README.md": "1\n",
            "docs/page.rst": "1\n",
        },
    )


def change_of(past: Repo, files: Mapping[str, str | bytes | None]) -> ChangedLines:
    """Return what these files change, as the work tree stands."""
    past.git("reset", "-q", "--hard")
    past.git("clean", "-qfd")
    past.write(files)
    repo = Repository.open(past.top)
    configuration = Configuration(past.top, None, (), (), (), (), (), ())
    with Pool.acquire(repo, past.top.parent / "pool") as pool:
        return changed_lines(Ground.lay(repo, pool, configuration, ()), past.start)


UNSEEN = {
    "a line that is gone, and another that came": {
        "src/pkg/a.py": BEFORE.replace("    check(x)\n", "") + "\n\ndef more(x):\n    return x\n"
    },
    "a line that is gone": {"src/pkg/a.py": BEFORE.replace("    check(x)\n", "")},
    "a function that is gone": {"src/pkg/a.py": BEFORE.partition("\n\ndef unused")[0] + "\n"},
    "a file that is gone": {"src/pkg/a.py": None},
    "a text that no longer parses": {"src/pkg/a.py": BEFORE.replace("(x):", "(x:")},
    "a file of another name": {"src/pkg/a.py": None, "src/pkg/z.py": BEFORE},
    "data in a text file": {"tests/data.txt": "2\n"},
    "data in a page": {"tests/page.md": "2\n"},
    "data in a hidden file": {"tests/.env": "2\n"},
    "a dependency": {"requirements.txt": "a==2\n"},
    "settings in a hidden file": {".env": "2\n"},
    "the configuration": {"pyproject.toml": "[tool.pytest.ini_options]\n"},
    "a new file of data": {"tests/new.csv": "2\n"},
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_line_of_a_test_shows_is_no_excuse(past: Repo, name: str) -> None:
    """A test that runs nothing of such a change may fail because of it."""
    assert judge(change_of(past, UNSEEN[name]), {}, {}).word == "unknown"


@pytest.mark.parametrize("path", ["README.md", "docs/page.rst"])
def test_prose_is_no_cause(past: Repo, path: str) -> None:
    """What is written for people beside the code fails no test."""
    assert judge(change_of(past, {path: "2\n"}), {}, {}).word == "cannot"


def test_a_changed_line_is_one_to_run(past: Repo) -> None:
    """The new line where one took the place of another; a comment is none."""
    changed = change_of(past, {"src/pkg/a.py": BEFORE.replace("check(x)", "check(x, 1)  # why")})
    assert dict(changed.groups) == {"src/pkg/a.py": [(5,)]} and not changed.at_import and not changed.others
    assert change_of(past, {"src/pkg/a.py": BEFORE.replace("check(x)", "check(x)  # why")}).count == 0


def test_what_runs_at_import_is_told_apart(past: Repo) -> None:
    """A constant, an import, the header of a function."""
    changed = change_of(past, {"src/pkg/a.py": BEFORE.replace("import os", "import os\n\nLIMIT = 3")})
    assert dict(changed.at_import) == {"src/pkg/a.py": [(3,)]}
    assert judge(changed, {}, {"src/pkg/a.py": (1, 3)}).word == "unknown"
