"""Guards that decay: real histories in which a test is weakened, and the commit that did it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from repositories import RIGHT, WRONG, Repo, clean_environment, guard

from pytest_bugsle.code.editing.inverses import Inverse
from pytest_bugsle.git.log import read_log
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.planning import Fixes, PlannedFix
from pytest_bugsle.regression.proving import Terms, prove
from pytest_bugsle.regression.record.culprits import first_of
from pytest_bugsle.regression.record.decay import guard_of, try_guards
from pytest_bugsle.regression.record.ledger import Guard, Ledger, PutBack, parse, text
from pytest_bugsle.results import FixResult, GuardResult
from pytest_bugsle.runner.configuration import read_configuration
from pytest_bugsle.settings import Settings
from pytest_bugsle.store.cache import Cache


@dataclass
class Bench:
    """A project, the guards that its fixes gave, and what trying them says."""

    project: Repo
    pools: Path
    said: list[str] = field(default_factory=list)

    def surveyor(self) -> Surveyor:
        """Look at the project as it is now."""
        top = self.project.top
        return Surveyor(Repository.open(top), read_configuration(top, top), Settings())

    def terms(self, pool: Pool, seconds: float = 60.0) -> Terms:
        """Run by this interpreter, with nothing kept."""
        return Terms(
            python=sys.executable,
            args=(),
            deadline=time.monotonic() + seconds,
            timeout=20.0,
            copy=(),
            no_reach="not measured",
            cache=Cache(None),
            pool=pool,
            say=self.said.append,
        )

    def proven(self, *shas: str) -> list[tuple[Surveyor, PlannedFix, FixResult]]:
        """Prove commits as they are judged today."""
        surveyor = self.surveyor()
        repo = surveyor.repo
        with repo, Pool.acquire(repo, self.pools) as pool:
            fixes = Fixes(surveyor)
            for sha in shas:
                commits = read_log(repo, None, sha, limit=1)
                base = next(iter(commits[0].parents), None)
                units = surveyor.units(
                    commits, lambda sha=sha: surveyor.ground(repo.tree_of(sha)), base=base, head=sha
                )
                fixes.plan(
                    units, lambda unit: surveyor.ground(unit.commits[0].tree), named=True, pool=lambda: pool
                )
            results = prove(fixes, self.terms(pool)).results
            return [
                (surveyor, planned, result) for planned, result in zip(fixes.planned, results, strict=True)
            ]

    def guards(self, *shas: str) -> list[Guard]:
        """Make guards of proven fixes, as they come back from a ledger."""
        made = [guard_of(*each) for each in self.proven(*shas)]
        assert all(made)
        known = {guard.commit: guard for guard in made if guard is not None}
        return [parse(text(Ledger({}, known)), "ledger").guards[sha] for sha in shas]

    def tried(self, *guards: Guard, seconds: float = 60.0) -> list[GuardResult]:
        """Try guards on the work tree as it is."""
        surveyor = self.surveyor()
        with surveyor.repo, Pool.acquire(surveyor.repo, self.pools) as pool:
            return try_guards(surveyor, guards, self.terms(pool, seconds))

    def one(self, guard: Guard) -> GuardResult:
        """Try one guard."""
        (result,) = self.tried(guard)
        return result


FIXED = """\
def answer(limit=0):
    total = 1
    if limit:
        total = limit
    return total
"""
BUGGY = FIXED.replace("total = 1", "total = 0")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project with one fix, its test, and an innocent test beside it."""
    for name, value in clean_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    project = Repo(tmp_path / "project", start={"src/pkg/a.py": BUGGY, "src/pkg/b.py": WRONG})
    bench = Bench(project, tmp_path / "pools")
    bench.project.commit(
        "fix: a is wrong\n\nFixes #42\n",
        {"src/pkg/a.py": FIXED, "tests/test_a.py": f"{guard('a')}\n\ndef test_other():\n    assert True\n"},
    )
    return bench


@pytest.fixture(scope="module")
def known() -> dict[str, Guard]:
    """Guards by commit: the same project has the same commits in every test."""
    return {}


@pytest.fixture
def held(bench: Bench, known: dict[str, Guard]) -> Guard:
    """The guard of the fix."""
    sha = bench.project.sha()
    if sha not in known:
        (known[sha],) = bench.guards(sha)
    return known[sha]


def test_a_guard_keeps_its_test_and_the_edit(bench: Bench, held: Guard) -> None:
    """What is kept fits one line of the ledger."""
    assert held.tests == ("tests/test_a.py::test_a",)
    assert [(e.path, e.inverse.scope, e.inverse.new, e.inverse.old) for e in held.edits] == [
        ("src/pkg/a.py", "answer", "total = 1", "total = 0")
    ]
    assert held.bugs == ("#42",) and held.subject == "fix: a is wrong"


def test_a_fix_that_is_not_proven_gives_no_guard(bench: Bench) -> None:
    """There is no test to keep."""
    sha = bench.project.commit("fix: b is wrong\n\nFixes #43\n", {"src/pkg/b.py": RIGHT})
    ((surveyor, planned, result),) = bench.proven(sha)
    assert result.status != "proven"
    assert guard_of(surveyor, planned, result) is None


def test_a_guard_that_notices_is_held(bench: Bench, held: Guard) -> None:
    """Though the code was formatted anew, moved and added to."""
    bench.project.commit(
        "style: format",
        {
            "src/pkg/a.py": "# new\n\ndef other():\n    pass\n\n\ndef answer(\n    limit=0,\n):\n    total = (1)  # one\n    if limit:\n        total = limit * 1\n    return total\n"
        },
    )
    result = bench.one(held)
    assert (result.state, result.applied, result.edits, result.why, result.culprit) == (
        "held",
        1,
        1,
        "",
        None,
    )


def test_an_assertion_taken_out_is_found(bench: Bench, held: Guard) -> None:
    """The test is green with the bug in it, and the commit is named among innocent ones."""
    project = bench.project
    project.change("style: reword", "tests/test_a.py", "assert answer() == 1", "assert answer() == 1, 'no'")
    culprit = project.change("test: simplify", "tests/test_a.py", "assert answer() == 1, 'no'", "answer()")
    project.change("test: more", "tests/test_a.py", "answer()\n", "answer()\n    assert 1\n")
    project.change("test: other", "tests/test_a.py", "assert True", "assert not False")
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "passes", culprit)
    assert result.why == f"tests/test_a.py::test_a passes with the bug put back since, by {culprit[:7]}"


@pytest.mark.parametrize(
    "body", ["if False:\n        assert answer() == 1", "return\n    assert answer() == 1"]
)
def test_code_that_is_never_reached_notices_nothing(bench: Bench, held: Guard, body: str) -> None:
    """An assertion below an early return, or below a condition that never holds."""
    culprit = bench.project.change("test: tidy", "tests/test_a.py", "assert answer() == 1", body)
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "passes", culprit)


def test_a_helper_that_swallows_the_failure_is_blamed(bench: Bench) -> None:
    """The test function itself never changed."""
    project = bench.project
    helper = "from pkg.b import answer\n\n\ndef check(value):\n    assert value == 1\n\n\ndef test_b():\n    check(answer())\n"
    sha = project.commit("fix: b is wrong\n\nFixes #43\n", {"src/pkg/b.py": RIGHT, "tests/test_b.py": helper})
    (guard,) = bench.guards(sha)
    culprit = project.change("test: tidy", "tests/test_b.py", "assert value == 1", "assert value is not None")
    result = bench.one(guard)
    assert (result.cause, result.culprit) == ("passes", culprit)


def test_a_test_that_is_deaf_for_another_reason_names_no_commit(bench: Bench, held: Guard) -> None:
    """Something else makes the answer right: nobody touched the test."""
    above = "import pkg.a\n\npkg.a.answer = lambda: 1\n"
    bench.project.commit("test: patch", {"tests/conftest.py": above})
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "passes", None)
    assert result.why.endswith("; the test itself is unchanged: the code around it changed")


def test_a_deleted_test_is_found(bench: Bench, held: Guard) -> None:
    """With the commit that took it out of a file that stays."""
    culprit = bench.project.commit("test: less", {"tests/test_a.py": "def test_other():\n    assert True\n"})
    bench.project.commit("test: more", {"tests/test_a.py": "def test_other():\n    assert 1\n"})
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "deleted", culprit)
    assert result.why == f"tests/test_a.py::test_a was taken out since, by {culprit[:7]}"


def test_a_deleted_file_is_found(bench: Bench, held: Guard) -> None:
    """With the commit that deleted it."""
    bench.project.write({"tests/test_c.py": "def test_c():\n    pass\n"})
    culprit = bench.project.commit("test: less", {"tests/test_a.py": None})
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "deleted", culprit)


def test_a_test_that_is_deleted_but_not_committed_has_no_culprit(bench: Bench, held: Guard) -> None:
    """It is the uncommitted change that did it."""
    bench.project.write({"tests/test_a.py": "def test_other():\n    assert True\n"})
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "deleted", None)
    assert result.why.endswith("by the uncommitted change")


@pytest.mark.parametrize(
    "files",
    [
        {"tests/test_a.py": guard("a").replace("test_a", "test_answer")},
        {"tests/test_a.py": None, "tests/unit/test_moved.py": guard("a")},
        {"tests/test_a.py": "def test_other():\n    assert True\n", "tests/test_new.py": guard("a")},
        {
            "tests/test_a.py": "from pkg.a import answer\n\n\nclass TestA:\n    def test_a(self):\n        value = answer()\n        assert value == 1\n"
        },
    ],
    ids=["renamed", "file-renamed", "other-file", "into-a-class"],
)
def test_a_test_that_moved_is_followed(bench: Bench, held: Guard, files: dict[str, str | None]) -> None:
    """It is run where it is now, and that is said."""
    bench.project.commit("test: move", files)
    result = bench.one(held)
    assert result.state == "held", result
    assert result.why.startswith("tests/test_a.py::test_a is now tests/")


def test_a_test_that_lost_its_point_while_moving_is_weakened(bench: Bench, held: Guard) -> None:
    """A move does not hide it."""
    bench.project.commit(
        "test: move", {"tests/test_a.py": None, "tests/test_new.py": guard("a").replace(" == 1", " < 9")}
    )
    result = bench.one(held)
    assert (result.state, result.cause) == ("weakened", "passes")


SKIPS = {
    "mark": (
        "import pytest\n",
        "import pytest\n",
        "def test_a",
        "@pytest.mark.skip(reason='later')\ndef test_a",
    ),
    "skipif": ("", "", "def test_a", "@pytest.mark.skipif(1 > 0, reason='later')\ndef test_a"),
    "module": ("import pytest\n", "import pytest\n\npytestmark = pytest.mark.skip(reason='later')\n", "", ""),
    "call": ("", "", "    assert answer", "    pytest.skip('later')\n    assert answer"),
    "constant": (
        "import pytest\n",
        "import pytest\n\nlater = pytest.mark.skip(reason='later')\n",
        "def test_a",
        "@later\ndef test_a",
    ),
    "importorskip": ("import pytest\n", "import pytest\n\npytest.importorskip('no_such_module')\n", "", ""),
    "whole-file": (
        "import pytest\n",
        "import pytest\n\npytest.skip('later', allow_module_level=True)\n",
        "",
        "",
    ),
}


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skipped_test_is_found(bench: Bench, held: Guard, kind: str) -> None:
    """Wherever the skip was put, the commit that put it is named."""
    source = bench.project.read("tests/test_a.py")
    first, second = SKIPS[kind][:2], SKIPS[kind][2:]
    for old, new in (first, second):
        source = source.replace(old, new, 1) if old else source
    culprit = bench.project.commit("test: later", {"tests/test_a.py": source.encode()})
    bench.project.commit(
        "test: more", {"tests/test_a.py": f"{source}\n\ndef test_more():\n    pass\n".encode()}
    )
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "skipped", culprit), result


def test_a_test_that_never_ran_here_is_undecided(bench: Bench, held: Guard) -> None:
    """It is skipped by what stood there from the start: the machine differs, not the test."""
    project = bench.project
    skip = "import os\n\nimport pytest\n\n\n@pytest.mark.skipif('NEED_IT' in os.environ, reason='not here')\ndef test_b():\n    from pkg.b import answer\n    assert answer() == 1\n"
    sha = project.commit("fix: b is wrong\n\nFixes #43\n", {"src/pkg/b.py": RIGHT, "tests/test_b.py": skip})
    (guard,) = bench.guards(sha)
    project.commit("test: env", {"tests/conftest.py": "import os\n\nos.environ['NEED_IT'] = '1'\n"})
    result = bench.one(guard)
    assert (result.state, result.cause, result.culprit) == ("undecided", "", None)
    assert result.why == "tests/test_b.py::test_b is skipped here, by no change of its own file (not here)"


@pytest.mark.parametrize("strict", ["", "(strict=True)", "(reason='flaky')"])
def test_an_xfail_marker_is_found(bench: Bench, held: Guard, strict: str) -> None:
    """A test that may fail holds nothing."""
    culprit = bench.project.change(
        "test: later", "tests/test_a.py", "def test_a", f"@pytest.mark.xfail{strict}\ndef test_a"
    )
    result = bench.one(held)
    assert (result.state, result.cause, result.culprit) == ("weakened", "xfailed", culprit)


def test_code_that_was_rewritten_is_not_applicable(bench: Bench, held: Guard) -> None:
    """The commit that rewrote it is named; the guard counts neither as held nor as weakened."""
    culprit = bench.project.commit(
        "refactor: a", {"src/pkg/a.py": "def answer(limit=0):\n    return limit or 1\n"}
    )
    result = bench.one(held)
    assert (result.state, result.cause, result.applied) == ("not-applicable", "", 0)
    assert result.why == f"the fixed code in src/pkg/a.py (answer) was rewritten since, by {culprit[:7]}"


def test_a_file_that_is_gone_is_not_applicable(bench: Bench, held: Guard) -> None:
    """Though its test is gone with it."""
    culprit = bench.project.commit("refactor: drop a", {"src/pkg/a.py": None, "tests/test_a.py": None})
    result = bench.one(held)
    assert (result.state, result.why) == ("not-applicable", f"src/pkg/a.py is gone since, by {culprit[:7]}")


def test_a_fixed_file_that_was_renamed_is_found(bench: Bench, held: Guard) -> None:
    """The edit goes where the file is now."""
    project = bench.project
    project.commit(
        "refactor: move",
        {
            "src/pkg/a.py": None,
            "src/pkg/core.py": FIXED,
            "tests/test_a.py": guard("a").replace("pkg.a", "pkg.core"),
        },
    )
    result = bench.one(held)
    assert (result.state, result.applied) == ("held", 1), result


def test_one_of_two_guards_is_enough(bench: Bench) -> None:
    """The bug is held by the other test, and the loss is told."""
    project = bench.project
    both = "from pkg.b import answer\n\n\ndef test_one():\n    assert answer() == 1\n\n\ndef test_two():\n    assert answer() > 0\n"
    sha = project.commit("fix: b is wrong\n\nFixes #43\n", {"src/pkg/b.py": RIGHT, "tests/test_b.py": both})
    (guard,) = bench.guards(sha)
    assert len(guard.tests) == 2
    project.change("test: less", "tests/test_b.py", "def test_one():\n    assert answer() == 1\n\n\n", "")
    result = bench.one(guard)
    assert (result.state, result.cause) == ("held", "")
    assert result.why == "tests/test_b.py::test_one is no longer there"


TWO = "def answer():\n    return {}\n\n\ndef other():\n    return {}\n"
OF_TWO = "from pkg.b import answer\n\n\ndef test_b():\n    assert answer() == 1\n"


@pytest.mark.parametrize(("rewritten", "state"), [("other", "held"), ("answer", "not-applicable")])
def test_a_part_of_the_bug_proves_only_what_it_shows(bench: Bench, rewritten: str, state: str) -> None:
    """Noticed in part is noticed; unnoticed in part says nothing."""
    project = bench.project
    project.commit("feat: b", {"src/pkg/b.py": TWO.format(0, 0)})
    sha = project.commit(
        "fix: b is wrong\n\nFixes #43\n", {"src/pkg/b.py": TWO.format(1, 1), "tests/test_b.py": OF_TWO}
    )
    (guard,) = bench.guards(sha)
    assert len(guard.edits) == 2
    source = project.read("src/pkg/b.py")
    old = f"def {rewritten}():\n    return 1"
    culprit = project.commit(
        "refactor: b",
        {"src/pkg/b.py": source.replace(old, f"def {rewritten}():\n    return [1][0]").encode()},
    )
    result = bench.one(guard)
    assert (result.state, result.applied, result.edits) == (state, 1, 2), result
    assert (
        f"1 of 2 edits could be put back: the fixed code in src/pkg/b.py ({rewritten}) was rewritten"
        in result.why
    )
    assert culprit[:7] in result.why


def test_a_merge_takes_out_what_the_edits_cannot(bench: Bench) -> None:
    """Two equal places and no neighbour that decides: the fix's own commit knows."""
    project = bench.project
    twice = "def answer():\n    value = [{}]\n    value.sort()\n    return value[0]\n"
    project.commit("feat: b", {"src/pkg/b.py": twice.format(0)})
    sha = project.commit(
        "fix: b is wrong\n\nFixes #43\n", {"src/pkg/b.py": twice.format(1), "tests/test_b.py": OF_TWO}
    )
    (guard,) = bench.guards(sha)
    source = (
        twice.format(1)
        + "\n\nif True:\n    def answer():\n"
        + "".join(f"    {line}\n" for line in twice.format(1).splitlines()[1:])
    )
    project.commit(
        "refactor: b", {"src/pkg/b.py": source.replace("if True", "if not callable(answer)").encode()}
    )
    result = bench.one(guard)
    assert (result.state, result.why) == ("held", "put back by merging the commit out"), result


def test_a_commit_that_is_a_part_of_the_fix_is_not_merged_out(bench: Bench, held: Guard) -> None:
    """The guard's other commits are not known, so that what it takes out would not be the whole bug."""
    more = PutBack("src/pkg/a.py", Inverse("block", "answer", "gone = 1", "gone = 2"))
    result = bench.one(replace(held, edits=(*held.edits, more)))
    assert (result.state, result.applied, result.edits) == ("held", 1, 2)
    assert result.why.startswith("1 of 2 edits could be put back: the fixed code in src/pkg/a.py (answer)")


def test_a_test_that_fails_on_both_sides_is_undecided(bench: Bench, held: Guard) -> None:
    """It says nothing of the bug."""
    bench.project.change("test: break", "tests/test_a.py", "== 1", "== 2")
    result = bench.one(held)
    assert result.state == "undecided"
    assert "it fails with the fix in place" in result.why


def test_a_file_that_cannot_be_collected_is_undecided(bench: Bench, held: Guard) -> None:
    """An environment that lacks a module has not deleted the test."""
    bench.project.change(
        "test: need", "tests/test_a.py", "import pytest\n", "import pytest\nimport no_such_module\n"
    )
    result = bench.one(held)
    assert result.state == "undecided"
    assert "tests/test_a.py cannot be collected: ModuleNotFoundError" in result.why


def test_without_time_nothing_is_decided(bench: Bench, held: Guard) -> None:
    """The budget is named."""
    (result,) = bench.tried(held, seconds=0.0)
    assert (result.state, result.cause) == ("undecided", "")
    assert "setting `budget`" in result.why


def test_a_ledger_from_another_history_still_works(bench: Bench, held: Guard) -> None:
    """The commit is not in this repository: the edits alone put the bug back."""
    foreign = replace(held, commit="f" * 40)
    assert bench.one(foreign).state == "held"
    bench.project.commit("test: less", {"tests/test_a.py": "def test_other():\n    assert True\n"})
    result = bench.one(foreign)
    assert (result.state, result.cause) == ("weakened", "deleted")


def test_many_guards_share_the_side_with_the_fix(bench: Bench, held: Guard) -> None:
    """One process with the fix for all, one a bug without it, in the order of the ledger; progress is told."""
    bench.said.clear()
    guards = [replace(held, commit=f"{number:040x}") for number in range(3)]
    results = bench.tried(*guards)
    assert [result.commit for result in results] == [guard.commit for guard in guards]
    assert {result.state for result in results} == {"held"}
    assert sum(text.startswith("after ") for text in bench.said) == 1
    assert bench.said[-1] == ""


def test_nothing_to_try_is_nothing_to_do(bench: Bench) -> None:
    """An empty ledger starts no process."""
    assert bench.tried() == []


def test_the_newest_change_that_weakened_a_test_is_found_among_several() -> None:
    """Weakened, restored and weakened again: what was undone since did not do it."""
    noticed = [False, True, False, True]
    assert first_of(4, lambda index: noticed[index]) == 1
    assert first_of(40, lambda index: index >= 29) == 29
    assert first_of(3, lambda index: False) == 3
    assert first_of(3, lambda index: None) is None
