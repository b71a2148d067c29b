"""What a judged history shows, and what it and the ledger say of each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.regression.record import baseline
from pytest_bugsle.regression.record.audit import NOT_YET, areas, audit_of, normalised, share
from pytest_bugsle.regression.record.ledger import Debt, Guard, Ledger
from pytest_bugsle.regression.verdict import Policy
from pytest_bugsle.results import FixResult, GuardResult, Status, TestResult

PATHS = st.lists(
    st.lists(st.sampled_from(["src", "pkg", "a", "b", "c"]), min_size=0, max_size=3).map(
        lambda p: "/".join([*p, "m.py"])
    ),
    max_size=3,
)


def fix(
    commit: str, status: Status = "proven", why: str = "", *paths: str, bugs: tuple[str, ...] = ()
) -> FixResult:
    """Give a judged fix."""
    return FixResult(
        commit=commit,
        subject=f"fix: {commit}",
        bugs=list(bugs),
        judgement="fix",
        reasons=[],
        status=status,
        why=why,
        tests=[],
        commits=[commit],
        paths=list(paths),
    )


def held_by(commit: str, *tests: str) -> FixResult:
    """Give a fix that these tests hold."""
    rows = [
        TestResult(
            id=id, links=[], before="failed", after="passed", before_error=None, reached=None, shows="proven"
        )
        for id in tests
    ]
    return FixResult(
        commit=commit, subject="s", bugs=[], judgement="fix", reasons=[], status="proven", why="", tests=rows,
        commits=[commit], paths=[],
    )  # fmt: skip


def tried(commit: str, state: str, **more: object) -> GuardResult:
    """Give a guard that was tried."""
    return GuardResult(
        commit=commit, subject="sums", bugs=["#42"], tests=["tests/test_a.py::test_a"], state=state, **more
    )  # type: ignore[arg-type]


def test_a_share_counts_what_was_judged_and_names_what_was_not() -> None:
    """Held of judged; what is out of scope, waived or not in the run is in neither."""
    found = share(
        "all",
        [
            fix("a"), fix("b"), fix("c", "no-test"), fix("d", "existence-only"), fix("e", "undecided"),
            fix("f", "out-of-scope"), fix("g", "waived"), fix("h", "guard-fails"), fix("i", "passes-without-fix"),
        ],
    )  # fmt: skip
    assert (found.fixes, found.judged, found.held) == (7, 6, 2)
    assert (found.share, found.low, found.high) == (0.3333, 0.0968, 0.7)


def test_a_share_of_nothing_is_no_share() -> None:
    """Where nothing was judged there is no figure to read as 0 %."""
    found = share("all", [fix("a", "undecided")])
    assert (found.fixes, found.judged, found.share, found.low, found.high) == (1, 0, None, None, None)


def test_releases_come_newest_first_and_folders_worst_first() -> None:
    """A folder with much evidence against it stands before one with a single unlucky fix."""
    fixes = [
        fix("a", "proven", "", "pkg/good.py"),
        *(fix(f"b{n}", "no-test", "", "pkg/bad.py") for n in range(3)),
        fix("c", "no-test", "", "pkg/once.py"),
        fix("d", "undecided", "why", "pkg/never.py"),
        fix("e", "proven", "", "pkg/good.py"),
    ]
    release = {"a": "unreleased", "b0": "2.0", "b1": "2.0", "b2": "1.0", "c": "1.0", "d": "1.0", "e": "1.0"}
    found = audit_of(
        fixes, since=None, until="HEAD", release_of=release, releases=["1.0", "1.1", "2.0", "unreleased"]
    )
    assert [s.name for s in found.releases] == ["unreleased", "2.0", "1.0"]
    assert [s.name for s in found.folders] == ["pkg/bad.py", "pkg/once.py", "pkg/good.py", "pkg/never.py"]
    assert found.unheld[0].commit == "b0"
    assert (found.unheld[0].release, found.unheld[0].folders) == ("2.0", ["pkg/bad.py"])
    assert {u.commit for u in found.unheld} == {"b0", "b1", "b2", "c"}


def test_what_the_ledger_knows_is_marked_by_any_commit_of_the_fix() -> None:
    """Later commits for the same bug change which of them leads."""
    both = fix("new", "no-test")
    both = FixResult(**{**{f: getattr(both, f) for f in both.__struct_fields__}, "commits": ["new", "old"]})
    found = audit_of([both, fix("x", "no-test")], since=None, until="HEAD", release_of={}, debt={"old"})
    assert [u.known for u in found.unheld] == [True, False]


def test_a_crowded_folder_is_divided() -> None:
    """Where most fixes are in one package, its modules and folders are the areas."""
    paths = {
        "1": ["src/pkg/a.py"], "2": ["src/pkg/a.py", "src/pkg/sub/x.py"], "3": ["src/pkg/sub/y.py"],
        "4": ["src/pkg/b.py"], "5": ["tools/run.py"],
    }  # fmt: skip
    found = areas(paths)
    assert found["1"] == ["src/pkg/a.py"]
    assert found["2"] == ["src/pkg/a.py", "src/pkg/sub"]
    assert (found["3"], found["5"]) == (["src/pkg/sub"], ["tools"])


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), PATHS, max_size=8))
def test_every_path_is_in_one_area_and_no_crowded_folder_is_left(paths: dict[str, list[str]]) -> None:
    """An area is a prefix of the paths that it stands for; more than half of the fixes never share a folder."""
    found = areas(paths)
    assert found.keys() == paths.keys()
    for commit, changed in paths.items():
        for path in changed:
            assert sum(path == area or path.startswith(f"{area}/") for area in found[commit]) == 1
    folders = {area for named in found.values() for area in named if not area.endswith(".py")}
    for folder in folders:
        assert 2 * sum(folder in named for named in found.values()) <= len(paths)


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("tests/test_a.py cannot be collected: ModuleNotFoundError: No module named 'nose'", "ModuleNotFoundError: No module named 'nose'"),
        (
            "no test near it: tests/b.py cannot be collected: ConftestImportFailure: ModuleNotFoundError: "  # noqa: ISC004
            "No module named 'nose' (from /tmp/x/0/after/p/tests/conftest.py)",
            "ModuleNotFoundError: No module named 'nose'",
        ),
        (
            "tests/a.py::T::test_b[x y]: its setup fails with the fix in place: sqlite3.OperationalError: no such table",
            "sqlite3.OperationalError: no such table",
        ),
        (
            "t.py cannot be collected: PluginValidationError: Plugin '/home/me/.cache/0/after/p/tests/conftest.py' for hook",
            "PluginValidationError: Plugin '…/conftest.py' for hook",
        ),
        ("tests/a.py::test_b: flaky: with the fix it passed once and failed once", "flaky: with the fix it passed once and failed once"),
        ("it changes pkg/_speed.c, which is compiled, and nothing is built anew without it", "it changes …, which is compiled, and nothing is built anew without it"),
        ("the parent of 0123456789abcdef is not here, after 12.5 s", "the parent of … is not here, after … s"),
        (f"{NOT_YET}: the budget was used up before its turn", NOT_YET),
        ("", "no reason given"),
    ],
)  # fmt: skip
def test_reasons_lose_what_differs_from_fix_to_fix(why: str, reason: str) -> None:
    """So that twelve commits without `nose` are one line."""
    assert normalised(why) == reason


@given(st.text(max_size=300) | st.text("abE rror:/.py[]()12", max_size=300))
def test_a_reason_is_short_and_stays_what_it_is(why: str) -> None:
    """To normalise twice changes nothing; there is always something to read."""
    once = normalised(why)
    assert once
    assert len(once) <= 160
    assert "\n" not in once
    assert normalised(once) == once


def test_the_most_frequent_reason_comes_first() -> None:
    """With the commits behind it."""
    fixes = [
        fix("a", "undecided", "x.py cannot be collected: ImportError: one"),
        fix("b", "undecided", "x.py cannot be collected: ImportError: two"),
        fix("c", "undecided", "y.py cannot be collected: ImportError: two"),
    ]
    found = audit_of(fixes, since=None, until="HEAD", release_of={}).unjudged
    assert [(group.why, group.commits) for group in found] == [
        ("ImportError: two", ["b", "c"]),
        ("ImportError: one", ["a"]),
    ]


DEBT = Debt("d", "BUG101", (), "s")
GUARD = Guard("g", ("#1",), "s", ("t.py::test",), ())


def test_the_ledger_knows_debt_and_what_became_of_its_guards() -> None:
    """A fix that it lists as held may be undecided, but not be found unheld."""
    book = Ledger({"d": DEBT}, {"g": GUARD})
    assert baseline.is_accepted(fix("d", "no-test"), book)
    assert baseline.is_accepted(fix("d", "undecided"), book)
    assert baseline.is_accepted(fix("g", "undecided"), book)
    assert not baseline.is_accepted(fix("g", "passes-without-fix"), book)
    assert not baseline.is_accepted(fix("x", "undecided"), book)


def test_paid_debt_is_held_or_no_fix_or_gone() -> None:
    """What the audit did not look at is not paid, and a lost guard is not paid by having held once."""
    book = Ledger(
        {sha: Debt(sha, "BUG101", (), "") for sha in ("held", "open", "nofix", "gone", "far", "undecided")}
    )
    book = Ledger({**book.debt, "weak": Debt("weak", "BUG107", (), "")})
    fixes = [fix("held"), fix("open", "no-test"), fix("undecided", "undecided"), fix("weak")]
    covered = {"held", "open", "nofix", "undecided", "weak"}
    assert baseline.paid(book, fixes, covered, {"gone"}) == ["held", "nofix", "gone"]


def test_a_ledger_anew_keeps_what_was_not_covered() -> None:
    """Inside the range the audit decides, outside of it the old entries stay."""
    old = Ledger({"far": DEBT, "held": DEBT, "late": DEBT}, {"g": GUARD, "old": GUARD})
    fixes = [
        fix("held"),
        fix("bad", "existence-only", bugs=("#7",)),
        fix("un", "undecided"),
        fix("late", "undecided"),
    ]
    made = baseline.rewritten(old, fixes, {"held": GUARD}, [], {"held", "bad", "un", "old"})
    assert {sha: debt.rule for sha, debt in made.debt.items()} == {
        "bad": "BUG103", "far": "BUG101", "late": "BUG101", "un": "BUG104",
    }  # fmt: skip
    assert made.debt["bad"].bugs == ("#7",)
    assert set(made.guards) == {"g", "held"}


def test_a_guard_that_is_lost_becomes_debt() -> None:
    """Writing the ledger anew is how a loss is accepted; what cannot be tried today stays a guard."""
    guards = {"a": GUARD, "b": GUARD}
    made = baseline.rewritten(
        None, [], guards, [tried("a", "weakened"), tried("b", "not-applicable")], {"a", "b"}
    )
    assert (set(made.guards), {sha: debt.rule for sha, debt in made.debt.items()}) == ({"b"}, {"a": "BUG107"})


def test_a_weakened_guard_is_a_finding_at_its_test() -> None:
    """It says what became of the test, what may come back, and which commit did it."""
    policy = Policy({}, ci=False, rootdir="sub")
    found = baseline.guard_finding(
        tried("a" * 40, "weakened", cause="skipped", culprit="b" * 40, why="needs X"), policy
    )
    assert found is not None
    assert (found.rule, found.level, found.path, found.commit) == (
        "BUG107",
        "error",
        "sub/tests/test_a.py",
        "a" * 40,
    )
    assert found.message == (
        "test_a no longer holds the fix aaaaaaa (“sums”): it is skipped, so bug #42 can come back unseen; "
        "bbbbbbb did it (needs X)"
    )
    open_ = baseline.guard_finding(tried("a" * 40, "undecided", why="no pytest"), policy)
    assert open_ is not None
    assert (open_.rule, open_.level) == ("BUG104", "warning")
    assert "test_a, which holds the fix aaaaaaa (“sums”), could not be tried: no pytest" in open_.message
    for state in ("held", "not-applicable"):
        assert baseline.guard_finding(tried("a", state), policy) is None


def test_a_guard_is_made_anew_when_its_tests_are_others() -> None:
    """Else the ledger's own stays as it is."""
    guard = Guard("g", (), "s", ("t.py::a",), ())
    assert baseline.still_right(guard, held_by("g", "t.py::a[1]", "t.py::a[2]", "t.py::b"))
    assert not baseline.still_right(guard, held_by("g", "t.py::b"))
    assert not baseline.still_right(None, held_by("g", "t.py::a"))
