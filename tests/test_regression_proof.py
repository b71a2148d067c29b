"""The proof as a pure judge: given what the runs showed, what is the status?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_bugsle.probes import drive
from pytest_bugsle.regression.proof import (
    MOST_REPEATED,
    Added,
    Case,
    Pair,
    Probe,
    first_status,
    judge,
)
from pytest_bugsle.results import STATUS_ORDER, Link
from pytest_bugsle.runner.outcome import Error, Frame, Outcome, Run, Selector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_bugsle.regression.proof import Proof

TEST = "tests/test_a.py"
ID = f"{TEST}::test_x"
LINKED = Selector(TEST, frozenset({"test_x"}))
CHANGED = "src/pkg/a.py"
ADDED = Added(
    names=frozenset({"new_name"}),
    parameters=frozenset({"new_option"}),
    signatures=frozenset({"compute"}),
    modules=frozenset({"pkg.fresh"}),
    changed=frozenset({CHANGED}),
)
IN_TEST = Frame(TEST, 3, "test_x")
IN_CHANGED = Frame(CHANGED, 9, "compute")


def error(type: str, *bases: str, **more: object) -> Error:
    """Return an error raised in the test's own frame."""
    values: dict[str, object] = {"frames": (IN_TEST,), "in_test": True, **more}
    return Error(type, (type, *bases), **values)  # type: ignore[arg-type]  # a test's shorthand


def outcome(status: str, problem: Error | None = None, *, phase: str = "call", id: str = ID) -> Outcome:
    """Return one outcome of the linked test."""
    path, _, name = id.partition("::")
    return Outcome(id, status, phase, problem, path=path, name=name.partition("[")[0].replace("::", "."))


def run(*outcomes: Outcome, **more: object) -> Run:
    """Return a run that ended well unless `more` says otherwise."""
    values: dict[str, object] = {
        "collect_errors": {},
        "wrong_tree": (),
        "exit_code": 1,
        "ended": "finished",
        **more,
    }
    return Run(outcomes={each.id: each for each in outcomes}, **values)  # type: ignore[arg-type]  # a test's shorthand


PASSED = run(outcome("passed"))
RED = run(outcome("failed", error("AssertionError", message="3 files left")))


def pair(where: str = "tree", near: tuple[tuple[Selector, ...], ...] = (), **more: object) -> Pair:
    """Return a pair of trees with one linked test."""
    link = Link(kind="added", evidence="added by the fix")
    values: dict[str, object] = {"linked": {LINKED: (link,)}, "touched": frozenset({TEST}), **more}
    return Pair(where, f"b-{where}", f"a-{where}", near=near, **values)  # type: ignore[arg-type]  # a test's shorthand


def prove(
    before: Callable[[Probe], Run] | Run,
    after: Callable[[Probe], Run] | Run = PASSED,
    *,
    pairs: tuple[Pair, ...] = (pair(),),
    outside: Mapping[str, str] | None = None,
    asked: list[Probe] | None = None,
) -> Proof:
    """Drive the judge with canned runs."""

    def answer(probes: Sequence[Probe]) -> dict[Probe, Run]:
        if asked is not None:
            asked.extend(probes)
        sides = {"before": before, "after": after}
        return {p: side(p) if callable(side := sides[p.side]) else side for p in probes}

    case = Case("f", pairs, ADDED, outside or {})
    proof = drive({"f": judge(case)}, answer)["f"]
    assert proof is not None
    return proof


def test_an_assertion_that_fails_only_without_the_fix_proves_it() -> None:
    """Red before, green after, twice each: proven."""
    proof = prove(RED)
    assert proof.status == "proven"
    assert [test.shows for test in proof.tests] == ["proven"]
    assert proof.keep


def test_every_decisive_test_runs_twice_on_each_side() -> None:
    """A single red run may be a flake, so the second is never left out."""
    asked: list[Probe] = []
    prove(RED, asked=asked)
    assert sorted((p.side, p.repeat) for p in asked) == [
        ("after", 0),
        ("after", 1),
        ("before", 0),
        ("before", 1),
    ]


def test_a_test_that_passes_without_the_fix_does_not_hold_it() -> None:
    """The accidental green is what the gate is for."""
    assert prove(PASSED).status == "passes-without-fix"


@pytest.mark.parametrize(
    ("problem", "phase", "status"),
    [
        (error("AssertionError"), "call", "proven"),
        (error("Failed", message="DID NOT RAISE ValueError"), "call", "proven"),
        (
            error("AttributeError", name="issupserset", frames=(IN_TEST, IN_CHANGED), in_changed=True),
            "call",
            "proven",
        ),
        (error("AttributeError", "AttributeError", name="fixed", owner=None), "call", "proven"),
        (error("ValueError", frames=(IN_TEST, IN_CHANGED), in_changed=True), "setup", "proven"),
        (error("AttributeError", name="new_name", owner=CHANGED), "call", "existence-only"),
        (error("ImportError", name="new_name"), "call", "existence-only"),
        (error("ModuleNotFoundError", "ImportError", name="pkg.fresh.inner"), "call", "existence-only"),
        (error("NameError", name="new_name"), "call", "existence-only"),
        (error("TypeError", name="new_option"), "call", "existence-only"),
        (error("AttributeError", name="new_option", owner=CHANGED), "call", "proven"),
        (error("TypeError", name="compute"), "call", "existence-only"),
        (error("BugsleMissing", "NameError", missing_stub=True), "call", "existence-only"),
        (error("TypeError", name="other"), "call", "proven"),
        (error("ModuleNotFoundError", "ImportError", name="requests"), "call", "undecided"),
        (error("FixtureLookupError", message="fixture 'x' not found"), "setup", "undecided"),
        (error("TimeoutError", "OSError"), "call", "undecided"),
        (error("Failed", message="Timeout >1.0s"), "call", "undecided"),
    ],
)
def test_the_kind_of_failure_decides_what_it_shows(problem: Error, phase: str, status: str) -> None:
    """The table of valid reds: the same red means different things by its cause."""
    before = run(outcome("error" if phase == "setup" else "failed", problem, phase=phase))
    assert prove(before).status == status


@pytest.mark.parametrize("status", ["skipped", "timeout", "died", "xpassed"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_what_did_not_run_to_its_end_is_undecided(status: str, side: str) -> None:
    """A skip, a hang and a dead process say nothing on either side."""
    silent = run(outcome(status))
    proof = prove(silent, PASSED) if side == "before" else prove(RED, silent)
    assert proof.status == "undecided"
    assert proof.why


@pytest.mark.parametrize("status", ["failed", "xfailed"])
def test_a_linked_test_that_is_red_with_the_fix_is_reported(status: str) -> None:
    """An expected failure is not a pass either."""
    assert prove(RED, run(outcome(status, error("AssertionError")))).status == "guard-fails"


def test_a_test_that_passes_at_home_and_fails_in_the_clean_copy_is_undecided() -> None:
    """The copy lacks something: that is not the guard's fault."""
    red = run(outcome("failed", error("FileNotFoundError", "OSError")))
    proof = prove(red, red, outside={ID: "passed"})
    assert proof.status == "undecided"
    assert "clean copy" in proof.why


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_side_that_disagrees_with_itself_is_flaky_and_undecided(side: str) -> None:
    """Red once and green once is neither."""

    def flicker(first: Run, second: Run) -> Callable[[Probe], Run]:
        return lambda probe: second if probe.repeat else first

    proof = prove(flicker(RED, PASSED)) if side == "before" else prove(RED, flicker(PASSED, RED))
    assert proof.status == "undecided"
    assert "flaky" in proof.why
    assert not proof.keep


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("repeat", [0, 1])
def test_a_run_against_the_wrong_tree_is_undecided_whatever_its_outcome(side: str, repeat: int) -> None:
    """A red or green of another tree's code is no evidence."""

    def lost(good: Run) -> Callable[[Probe], Run]:
        return lambda probe: (
            replace(good, wrong_tree=("pkg.a came from elsewhere",)) if probe.repeat == repeat else good
        )

    proof = prove(lost(RED)) if side == "before" else prove(RED, lost(PASSED))
    assert proof.status == "undecided"
    assert "pkg.a came from elsewhere" in proof.why


def test_the_first_status_in_order_is_the_fixs() -> None:
    """One proven case is enough, and the others are listed beside it."""
    green, other = outcome("passed"), outcome("passed", id=f"{ID}[2]")
    red = outcome("failed", error("AssertionError"), id=f"{ID}[2]")
    proof = prove(run(green, red), run(green, other))
    assert proof.status == "proven"
    assert {test.id: test.shows for test in proof.tests} == {ID: "passes-without-fix", f"{ID}[2]": "proven"}


def test_the_order_of_statuses_is_the_contracts() -> None:
    """Proven, guard-fails, existence-only, passes-without-fix, undecided."""
    assert first_status(reversed(STATUS_ORDER)) == "proven"
    assert first_status(["undecided", "passes-without-fix", "existence-only"]) == "existence-only"
    assert first_status(["undecided", "guard-fails", "existence-only"]) == "guard-fails"
    assert first_status([]) == "undecided"


def test_a_missing_name_at_module_level_is_stubbed_and_the_tests_speak_for_themselves() -> None:
    """The whole module fails for one name; with it stubbed, an old test in it can prove the fix."""
    broken = run(collect_errors={TEST: error("ImportError", name="new_name")})
    proof = prove(lambda probe: RED if probe.stub else broken)
    assert proof.status == "proven"
    uses = run(outcome("failed", error("BugsleMissing", missing_stub=True)))
    assert prove(lambda probe: uses if probe.stub else broken).status == "existence-only"


def test_another_collection_error_is_undecided_with_its_reason() -> None:
    """A module that cannot be imported for a reason of its own shows nothing."""
    broken = run(collect_errors={TEST: error("SyntaxError", message="invalid syntax")})
    proof = prove(broken)
    assert proof.status == "undecided"
    assert "SyntaxError: invalid syntax" in proof.why


def test_tests_that_only_use_what_changed_run_where_stronger_links_do_not_prove() -> None:
    """A changed fixture links a whole file, and is asked only if need be."""
    weak = Selector("tests/test_weak.py", frozenset({"test_w"}))
    weak_red = run(outcome("failed", error("AssertionError"), id="tests/test_weak.py::test_w"))
    weak_green = run(outcome("passed", id="tests/test_weak.py::test_w"))
    linked = {
        LINKED: (Link(kind="added", evidence="the fix adds it"),),
        weak: (Link(kind="uses-changed", evidence="it uses data"),),
    }
    asked: list[Probe] = []
    assert prove(RED, pairs=(pair(linked=linked),), asked=asked).status == "proven"
    assert not any(weak in probe.selectors for probe in asked)

    def either(strong: Run, other: Run) -> Callable[[Probe], Run]:
        return lambda probe: other if weak in probe.selectors else strong

    proof = prove(either(PASSED, weak_red), either(PASSED, weak_green), pairs=(pair(linked=linked),))
    assert proof.status == "proven"
    assert {test.id: test.shows for test in proof.tests} == {
        ID: "passes-without-fix",
        "tests/test_weak.py::test_w": "proven",
    }


def test_of_many_deciding_tests_the_quickest_run_again() -> None:
    """A hundred flips prove no more than thirty, and each costs two runs."""
    names = [f"test_{number}" for number in range(MOST_REPEATED + 5)]
    link = (Link(kind="added", evidence="the fix adds it"),)
    linked = {Selector(TEST, frozenset({name})): link for name in names}

    def many(status: str, problem: Error | None = None) -> Run:
        return run(
            *(
                replace(outcome(status, problem, id=f"{TEST}::{name}"), duration=float(number))
                for number, name in enumerate(names)
            )
        )

    asked: list[Probe] = []
    proof = prove(
        many("failed", error("AssertionError")), many("passed"), pairs=(pair(linked=linked),), asked=asked
    )
    assert proof.status == "proven"
    again = {name for p in asked if p.repeat for s in p.selectors for name in s.names or ()}
    assert again == set(names[:MOST_REPEATED])


NEAR = Selector("tests/test_near.py")
NEAR_ID = "tests/test_near.py::test_old"
NEAR_RED = run(outcome("failed", error("AssertionError"), id=NEAR_ID))
NEAR_GREEN = run(outcome("passed", id=NEAR_ID))


def _by_path(linked: Run, near: Run) -> Callable[[Probe], Run]:
    return lambda probe: near if any(s.path == NEAR.path for s in probe.selectors) else linked


def test_a_test_that_flips_is_discovered_where_no_link_proves() -> None:
    """Test first, fix second: the guard is there, only nobody declared it."""
    unlinked = pair(near=((NEAR,),), linked={})
    proof = prove(NEAR_RED, NEAR_GREEN, pairs=(unlinked,))
    assert proof.status == "proven"
    assert [(test.id, test.links[0].kind) for test in proof.tests] == [(NEAR_ID, "discovered")]


def test_discovery_also_helps_a_link_that_does_not_prove() -> None:
    """The linked test passes without the fix, its neighbour does not: the bug is held."""
    proof = prove(_by_path(PASSED, NEAR_RED), _by_path(PASSED, NEAR_GREEN), pairs=(pair(near=((NEAR,),)),))
    assert proof.status == "proven"
    assert {test.id for test in proof.tests} == {ID, NEAR_ID}


def test_no_discovery_run_is_spent_where_a_link_proves() -> None:
    """Runs cost time."""
    asked: list[Probe] = []
    prove(RED, pairs=(pair(near=((NEAR,),)),), asked=asked)
    assert not any(NEAR in probe.selectors for probe in asked)


def test_without_any_flip_a_fix_that_touches_no_test_has_none() -> None:
    """NO TEST is said only after the tests near the change were tried."""
    unlinked = pair(near=((NEAR,),), linked={}, touched=frozenset())
    assert prove(NEAR_GREEN, NEAR_GREEN, pairs=(unlinked,)).status == "no-test"


def test_tests_near_the_change_that_cannot_run_leave_the_fix_undecided() -> None:
    """What was not tried is no absence of a test."""
    unlinked = pair(near=((NEAR,),), linked={}, touched=frozenset({NEAR.path}))
    proof = prove(run(problem="pytest: error: unrecognized arguments: --cov"), NEAR_GREEN, pairs=(unlinked,))
    assert proof.status == "undecided"
    assert "unrecognized arguments" in proof.why
    proof = prove(NEAR_GREEN, run(outcome("passed", id=NEAR_ID), ended="timeout"), pairs=(unlinked,))
    assert (proof.status, proof.keep) == ("undecided", False)


def test_touched_tests_that_all_pass_without_the_fix_do_not_hold_it() -> None:
    """A test file came along, and none of its tests notices."""
    touched = pair(near=((NEAR,),), linked={}, touched=frozenset({NEAR.path}))
    proof = prove(NEAR_GREEN, NEAR_GREEN, pairs=(touched,))
    assert proof.status == "passes-without-fix"
    assert NEAR.path in proof.why


def test_where_the_tree_cannot_answer_the_fixs_own_commit_is_asked() -> None:
    """A later change needs the fix, so that the tree without it does not import."""
    broken = run(collect_errors={TEST: error("ImportError", name="elsewhere")})
    both = (pair("tree"), pair("commit"))
    proof = prove(lambda probe: RED if probe.where == "commit" else broken, pairs=both)
    assert (proof.status, proof.where) == ("proven", "commit")
    proof = prove(broken, pairs=both)
    assert (proof.status, proof.where) == ("undecided", "tree")


def test_a_run_that_was_not_afforded_leaves_the_fix_unjudged() -> None:
    """The budget ends a proof without an answer, never with a wrong one."""
    case = Case("f", (pair(),), ADDED)
    assert drive({"f": judge(case)}, lambda probes: {})["f"] is None
    assert drive({"f": judge(case)}, lambda probes: dict.fromkeys(probes, RED), lambda: False)["f"] is None
