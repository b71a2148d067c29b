"""The judge of single edits: who runs an edit, what its reversal shows, and which edits belong together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.regression.edit_proof import (
    MOST_OTHERS,
    Piece,
    Shown,
    Witness,
    groups_of,
    in_order,
    judge,
    read,
    witnesses_of,
)
from pytest_bugsle.regression.proof import Probe
from pytest_bugsle.runner.outcome import Error, Frame, Outcome, Run, Selector

GUARD = "tests/test_a.py::test_guard"


def witness(
    id: str = GUARD, *, guard: bool = True, ran: tuple[int, ...] = (), seconds: float = 0.1
) -> Witness:
    """Make a test that passes with the fix."""
    path, _, name = id.partition("::")
    return Witness(
        id, Selector(path, frozenset({name})), seconds, guard, {"pkg/a.py": frozenset(ran)} if ran else {}
    )


def error(kind: str = "AssertionError", name: str | None = None, *, in_changed: bool = False) -> Error:
    """Make an error with its one frame."""
    frames = (Frame("pkg/a.py", 3, "f"),) if in_changed else (Frame("tests/test_a.py", 5, "test_guard"),)
    parents = {"ModuleNotFoundError": ("ImportError",), "UnboundLocalError": ("NameError",)}.get(kind, ())
    return Error(kind, (kind, *parents, "Exception"), "message", name, frames=frames, in_changed=in_changed)


def run(status: str = "passed", why: Error | None = None, **more: object) -> Run:
    """Make a run of the guard alone."""
    outcome = Outcome(GUARD, status, "call", why, path="tests/test_a.py", name="test_guard")
    fields: dict[str, object] = {"outcomes": {GUARD: outcome}, "collect_errors": {}, "wrong_tree": ()}
    fields |= {"exit_code": 1, "ended": "finished"} | more
    return Run(**fields)  # type: ignore[arg-type]  # a table of fields


def shown(done: Run, names: tuple[str, ...] = ()) -> Shown:
    """Judge a run of the guard."""
    return read((witness(),), done, frozenset(names))


def test_an_edit_whose_tests_still_pass_is_unguarded() -> None:
    """The tests that ran it are named as the nearest."""
    assert shown(run()) == Shown(False, near=(GUARD,))


@pytest.mark.parametrize("why", [error(), error("KeyError"), error("NameError", "other", in_changed=True)])
def test_an_edit_whose_test_fails_is_guarded(why: Error) -> None:
    """Any valid red counts, whatever its type."""
    assert shown(run("failed", why), ("helper",)) == Shown(True, by=(GUARD,))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("NameError", "re"),
        ("UnboundLocalError", "re"),
        ("AttributeError", "re"),
        ("TypeError", "re"),
        ("ImportError", "re"),
    ],
)
def test_an_error_on_a_name_of_the_fix_shows_only_that_the_edit_cannot_stand_alone(
    kind: str, name: str
) -> None:
    """Also where it is raised inside the code of the fix: an import put back fails at its use."""
    found = shown(run("failed", error(kind, name, in_changed=True)), ("re",))
    assert (found.guarded, found.missing) == (None, frozenset({"re"}))
    assert "re is missing" in found.why


def test_another_test_that_fails_for_a_good_reason_decides() -> None:
    """One test misses the name, another one sees the bug: the edit is guarded."""
    other = "tests/test_a.py::test_other"
    outcomes = {
        GUARD: Outcome(GUARD, "failed", "call", error("NameError", "re"), path="tests/test_a.py"),
        other: Outcome(other, "failed", "call", error(), path="tests/test_a.py"),
    }
    found = read((witness(), witness(other)), run(outcomes=outcomes), {"re"})
    assert found == Shown(True, by=(other,))


def test_a_module_of_the_fix_that_is_missing_is_a_name_of_the_fix() -> None:
    """It is told by the module's last name, which its users import."""
    found = read(
        (witness(),), run("failed", error("ModuleNotFoundError", "pkg.new.part")), frozenset(), {"pkg.new"}
    )
    assert found.missing == {"part"}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("skipped", None),
        ("timeout", None),
        ("died", None),
        ("error", error("OSError")),
        ("failed", error("TimeoutError")),
        ("failed", error("ImportError", "os")),
    ],
)
def test_what_is_no_valid_red_decides_nothing(status: str, why: Error | None) -> None:
    """Undecided, with what the test did."""
    found = shown(run(status, why))
    assert found.guarded is None
    assert GUARD in found.why


def test_code_that_cannot_be_imported_without_the_edit_is_noticed() -> None:
    """The module of the fix itself fails at import: so does every test of it."""
    broken = error("ValueError", in_changed=True)
    found = shown(run(outcomes={}, collect_errors={"tests/test_a.py": broken}))
    assert found == Shown(True, by=(GUARD,))


def test_a_collection_error_from_elsewhere_decides_nothing() -> None:
    """What the fix does not explain is said."""
    found = shown(run(outcomes={}, collect_errors={"tests/test_a.py": error("ImportError", "os")}))
    assert found.guarded is None
    assert "cannot be collected" in found.why


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"wrong_tree": ("pkg came from elsewhere",)}, "pkg came from elsewhere"),
        ({"problem": "no pytest there"}, "no pytest there"),
        ({"outcomes": {}, "ended": "timeout"}, "time for this run"),
        ({"outcomes": {}}, "not collected"),
    ],
)
def test_a_run_that_told_nothing_says_why(more: dict[str, object], said: str) -> None:
    """It is never taken for a pass."""
    found = shown(run(**more))
    assert found.guarded is None
    assert said in found.why


def test_an_edit_that_no_test_runs_needs_no_run() -> None:
    """The judge answers at once."""
    with pytest.raises(StopIteration) as end:
        next(judge(Probe("f", "tree", "edit-1", frozenset()), (), frozenset(), ()))
    assert end.value.value.guarded is False


def test_the_tests_that_run_an_edit_are_asked_guards_first_and_the_quickest_first() -> None:
    """A test that runs other lines is not."""
    piece = Piece(0, "pkg/a.py", 3, measured=frozenset({3, 4}))
    slow, quick = (
        witness("t.py::slow", guard=False, ran=(3,), seconds=2),
        witness("t.py::quick", guard=False, ran=(4,)),
    )
    elsewhere = witness("t.py::other", guard=False, ran=(9,))
    guard = witness(ran=(3,), seconds=5)
    found = witnesses_of(piece, [slow, quick, elsewhere, guard], measured=True)
    assert found == (guard, quick, slow)


def test_a_guard_that_runs_other_lines_of_the_fix_is_not_asked() -> None:
    """It was measured, and does not run this edit."""
    assert (
        witnesses_of(Piece(0, "pkg/a.py", 3, measured=frozenset({3})), [witness(ran=(9,))], measured=True)
        == ()
    )


def test_a_guard_whose_process_recorded_nothing_is_asked_for_every_edit() -> None:
    """It works in a child of its own, which nobody measured."""
    blind = witness()
    piece = Piece(0, "pkg/a.py", 3, measured=frozenset({3}))
    seen = witness("t.py::b", ran=(3,))
    found = witnesses_of(piece, [blind, seen], measured=True)
    assert {w.id for w in found} == {blind.id, seen.id}


@pytest.mark.parametrize(("lines", "measured"), [(frozenset[int](), True), (frozenset({3}), False)])
def test_where_nobody_can_say_who_runs_an_edit_all_guards_are_asked(
    lines: frozenset[int], measured: bool
) -> None:
    """An edit at import time, a deletion, or no measurement at all."""
    other = witness("t.py::other", guard=False, ran=(9,))
    assert witnesses_of(Piece(0, "pkg/a.py", 3, measured=lines), [witness(), other], measured=measured) == (
        witness(),
    )


def test_all_guards_and_few_others_are_asked() -> None:
    """One edit must not run the whole suite."""
    guards = [witness(f"t.py::g{n}", ran=(3,)) for n in range(30)]
    others = [witness(f"t.py::o{n}", guard=False, ran=(3,)) for n in range(50)]
    found = witnesses_of(Piece(0, "pkg/a.py", 3, measured=frozenset({3})), [*others, *guards], measured=True)
    assert len(found) == 30 + MOST_OTHERS
    assert all(w.guard for w in found[:30])


IMPORT = Piece(0, "pkg/a.py", 1, defines=frozenset({"re"}), uses=frozenset())
USE = Piece(1, "pkg/a.py", 9, uses=frozenset({"re", "text"}))
OTHER = Piece(2, "pkg/b.py", 4, defines=frozenset({"limit"}), uses=frozenset({"x"}))
CALL = Piece(3, "pkg/c.py", 4, uses=frozenset({"limit", "re"}))


def missing(*names: str, variable: bool = False) -> Shown:
    """Make what an edit showed that stumbled over names."""
    return Shown(None, missing=frozenset(names), unbound=frozenset(names if variable else ()))


def test_an_import_joins_its_use() -> None:
    """Definition and use are one group."""
    assert groups_of([IMPORT, USE, OTHER], {0: missing("re", variable=True)}) == (frozenset({0, 1}),)


def test_a_call_joins_the_signature_that_it_needs() -> None:
    """Whichever of the two stumbles."""
    assert groups_of([OTHER, CALL], {3: missing("limit")}) == (frozenset({2, 3}),)
    assert groups_of([OTHER, CALL], {2: missing("limit")}) == (frozenset({2, 3}),)


def test_groups_with_a_common_edit_are_one() -> None:
    """Else the second would stumble over the first."""
    found = groups_of([IMPORT, USE, OTHER, CALL], {0: missing("re"), 2: missing("limit")})
    assert found == (frozenset({0, 1, 2, 3}),)


def test_an_edit_that_only_tests_use_is_no_group() -> None:
    """It stays undecided: the test only misses the new name."""
    assert groups_of([IMPORT, OTHER], {0: missing("re")}) == ()


@pytest.mark.parametrize(
    ("path", "scope", "joined"),
    [("a.py", "f", True), ("a.py", "", True), ("a.py", "g", False), ("b.py", "f", False)],
)
def test_a_variable_of_one_function_is_not_that_of_another(path: str, scope: str, joined: bool) -> None:
    """`key` in two functions is two things; an attribute of the same name would be one."""
    one = Piece(0, "a.py", 2, "f", defines=frozenset({"key"}))
    other = Piece(1, path, 2, scope, uses=frozenset({"key"}))
    assert bool(groups_of([one, other], {0: missing("key", variable=True)})) is joined
    assert bool(groups_of([one, other], {0: missing("key")}))


def asked_twice(first: Run, second: Run, *tests: Witness) -> Shown:
    """Judge an edit, with what the test does in each of two runs."""
    judging = judge(Probe("f", "tree", "edit-1", frozenset()), tests, frozenset(), ())
    (probe,) = next(judging)
    found: Shown
    try:
        (again,) = judging.send({probe: first})
        assert again.repeat == 1
        judging.send({again: second})
    except StopIteration as end:
        found = end.value
    return found


def test_a_test_that_is_no_guard_has_to_notice_twice() -> None:
    """Guards were seen to be steady; of others nobody knows."""
    near = witness(guard=False)
    red = run("failed", error())
    assert asked_twice(red, red, near) == Shown(True, by=(GUARD,))
    flaky = asked_twice(red, run(), near)
    assert (flaky.guarded, flaky.why) == (None, f"{GUARD} is flaky")
    assert asked_twice(red, run(), witness()) == Shown(True, by=(GUARD,)), "a guard is asked once"


def test_a_name_that_older_code_of_the_fixed_file_misses_is_told_apart_from_one_that_a_test_misses() -> None:
    """The first was the bug, the second shows only that something new exists."""
    inside = shown(run("failed", error("NameError", "re", in_changed=True)), ("re",))
    assert (inside.by, inside.unbound) == ((GUARD,), frozenset({"re"}))
    assert shown(run("failed", error("AttributeError", "re")), ("re",)).by == ()


@given(
    st.lists(
        st.tuples(st.frozensets(st.sampled_from("abcd")), st.frozensets(st.sampled_from("abcd"))), max_size=8
    ),
    st.dictionaries(st.integers(0, 7), st.frozensets(st.sampled_from("abcd"), min_size=1), max_size=8),
)
def test_groups_never_overlap_and_hold_every_user(
    names: list[tuple[frozenset[str], frozenset[str]]], stumbled: dict[int, frozenset[str]]
) -> None:
    """A partition: at most one group a piece, and definition and use are together."""
    pieces = [Piece(n, "a.py", n, defines=d, uses=u) for n, (d, u) in enumerate(names)]
    stumbled = {n: found for n, found in stumbled.items() if n < len(pieces)}
    groups = groups_of(pieces, {n: missing(*found) for n, found in stumbled.items()})
    assert sum(map(len, groups)) == len(frozenset[int]().union(*groups))
    for number, wanted in stumbled.items():
        joined = {p.number for p in pieces if wanted & (p.defines | p.uses)} | {number}
        assert len(joined) == 1 or any(joined <= group for group in groups)


def test_the_first_answers_come_from_different_files_and_quick_tests() -> None:
    """Ten edits of one file must not keep the others waiting."""
    pieces = [Piece(n, "a.py", n) for n in range(3)] + [Piece(3, "b.py", 1)]
    assert [p.number for p in in_order(pieces, {0: 3.0, 1: 0.1, 2: 0.2, 3: 1.0})] == [1, 3, 2, 0]
