"""Attempts are read from pytest's own reports, and errors are known again in another process and copy."""

from __future__ import annotations

import hashlib
import re
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_bugsle.flaky.attempts import Attempts, error_print, fingerprint, inside, stable_id
from pytest_bugsle.runner.outcome import Error, Frame, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP = "/home/me/project"
Phase = Literal["setup", "call", "teardown"]


def report(
    when: str,
    outcome: str = "passed",
    *,
    id_: str = "t.py::test_it",
    worker: str = "",
    message: str = "",
    **more: Any,
) -> pytest.TestReport:
    """One of pytest's own reports."""
    found = pytest.TestReport(
        nodeid=id_,
        location=("t.py", 1, "test_it"),
        keywords={},
        outcome=outcome,  # type: ignore[arg-type]  # a plugin's own outcomes too
        longrepr=message or (None if outcome == "passed" else "Error: it broke"),
        when=when,  # type: ignore[arg-type]
        duration=0.25,
    )
    if worker:
        found.worker_id = worker  # type: ignore[attr-defined]
    for name, value in more.items():
        setattr(found, name, value)
    return found


def crash(id_: str, worker: str) -> pytest.TestReport:
    """What xdist's controller says for a worker that died: in its own name, with the worker as node."""
    node = SimpleNamespace(gateway=SimpleNamespace(id=worker))
    return report(
        "???", "failed", id_=id_, message=f"worker {worker!r} crashed while running {id_!r}", node=node
    )


def noted(*reports: pytest.TestReport) -> Attempts:
    """Attempts that took these reports in."""
    attempts = Attempts(TOP)
    for one in reports:
        attempts.note(one)
    return attempts


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        (("passed", "passed", "passed"), "passed"),
        (("passed", "failed", "passed"), "failed"),
        (("passed", "failed", "failed"), "failed"),
        (("failed", None, "passed"), "error"),
        (("failed", None, "failed"), "error"),
        (("passed", "passed", "failed"), "error"),
        (("passed", "skipped", "failed"), "error"),
        (("skipped", None, "passed"), "skipped"),
        (("passed", "skipped", "passed"), "skipped"),
        (("rerun", None, "passed"), "error"),
        (("passed", "rerun", "passed"), "failed"),
        (("passed", "passed", "rerun"), "error"),
        (("passed", None, "passed"), "died"),
    ],
)
def test_the_outcome_is_that_of_all_phases(phases: tuple[str | None, ...], outcome: str) -> None:
    """A failure in any phase is one, under whatever name a plugin reports it; a setup alone is no pass."""
    names: tuple[Phase, ...] = ("setup", "call", "teardown")
    given_ = [report(name, phase) for name, phase in zip(names, phases, strict=True) if phase]
    (attempt,) = noted(*given_).ended
    assert attempt.outcome == outcome
    assert attempt.failed is (outcome in ("failed", "error", "died"))
    assert attempt.skipped is (outcome == "skipped")
    assert bool(attempt.fingerprint) is attempt.failed
    assert attempt.duration == 0.25 * len(given_)


@pytest.mark.parametrize(
    ("when", "outcome", "kept"),
    [("call", "skipped", "xfailed"), ("call", "passed", "xpassed"), ("setup", "skipped", "xfailed")],
)
def test_expected_failures_are_no_failures(when: str, outcome: str, kept: str) -> None:
    """Xfail and xpass keep their names, raised in a setup too; a strict xpass is reported as failed."""
    before = [report("setup")] if when == "call" else []
    (attempt,) = noted(*before, report(when, outcome, wasxfail="why"), report("teardown")).ended
    assert (attempt.outcome, attempt.failed) == (kept, False)


class SubtestReport(pytest.TestReport):
    """What tells of a part of a test, by the name that pytest and its plugin give it."""


def drawn(when: str, outcome: str, id_: str, worker: str, kind: str) -> pytest.TestReport:
    """One of pytest's own reports, or one that tells of something unusual."""
    made = report(when, outcome, id_=id_, worker=worker)
    if kind == "expected":
        made.wasxfail = "why"
    if kind == "subtest" and when == "call":
        made.__class__ = SubtestReport
    return made


def reports(when: str, outcomes: str = "passed") -> st.SearchStrategy[pytest.TestReport]:
    """Reports of a phase, which mostly are those of one test in this process."""
    return st.builds(
        drawn,
        st.sampled_from(when.split()),
        st.sampled_from(outcomes.split()),
        st.sampled_from([*["t.py::test_a"] * 5, "t.py::test_b"]),
        st.sampled_from([*[""] * 5, "gw0"]),
        st.sampled_from([*["plain"] * 5, "expected", "subtest"]),
    )


PASSES = st.tuples(reports("setup"), reports("call"), reports("teardown"))
ANY = st.lists(reports("setup call teardown ???", "passed failed skipped rerun"), min_size=1, max_size=4)


@given(st.lists(PASSES | ANY, max_size=4))
@settings(max_examples=400)
def test_reports_taken_in_together_say_what_each_says_alone(
    batches: list[Sequence[pytest.TestReport]],
) -> None:
    """Those of a test that passed are taken in at once; it makes no difference, whatever else there is."""
    together = Attempts(TOP)
    for batch in batches:
        together.note_all(batch)
    assert together == noted(*(one for batch in batches for one in batch))


def test_an_attempt_ends_with_its_teardown() -> None:
    """Not before."""
    attempts = Attempts(TOP)
    counts = []
    for when in ("setup", "call", "teardown"):
        attempts.note(report(when))
        counts.append(len(attempts.ended))
    assert counts == [0, 0, 1]


def test_another_setup_is_another_attempt() -> None:
    """A plugin that tries again logs no teardown of the failed attempt: both are kept, with their numbers."""
    attempts = Attempts(TOP)
    told = []
    for when, outcome in (
        ("setup", "passed"),
        ("call", "rerun"),
        ("setup", "passed"),
        ("call", "passed"),
        ("setup", "rerun"),
        ("setup", "passed"),
        ("setup", "passed"),
        ("call", "passed"),
        ("teardown", "passed"),
    ):
        before = len(attempts.ended)
        attempts.note(report(when, outcome))
        told.append([(one.number, one.outcome) for one in attempts.ended[before:]])
    assert told == [[], [], [(1, "failed")], [], [(2, "passed")], [(3, "error")], [], [], [(5, "passed")]]


def test_positions_are_counted_by_worker() -> None:
    """Two workers run at once, and the same test may run in both."""
    attempts = noted(
        *(
            report(when, id_=f"t.py::test_{name}", worker=worker)
            for name, worker in (("a", "gw0"), ("a", "gw1"), ("b", "gw0"), ("c", "gw1"))
            for when in ("setup", "call", "teardown")
        )
    )
    assert [(one.worker, one.position, one.number) for one in attempts.ended] == [
        ("gw0", 0, 1),
        ("gw1", 0, 2),
        ("gw0", 1, 1),
        ("gw1", 1, 1),
    ]


def test_reports_of_several_workers_may_be_mixed() -> None:
    """Each report belongs to the attempt of its own worker."""
    attempts = noted(
        report("setup", worker="gw0"),
        report("setup", worker="gw1", id_="t.py::test_b"),
        report("call", "failed", worker="gw0"),
        report("call", worker="gw1", id_="t.py::test_b"),
        report("teardown", worker="gw1", id_="t.py::test_b"),
        report("teardown", worker="gw0"),
    )
    assert [(one.id, one.outcome) for one in attempts.ended] == [
        ("t.py::test_b", "passed"),
        ("t.py::test_it", "failed"),
    ]


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_a_worker_that_dies_ends_its_attempt(reached: int) -> None:
    """The controller speaks for the worker: what that had said is part of the same attempt, and no pass."""
    said = [report(when, worker="gw1") for when in ("setup", "call")[:reached]]
    attempts = noted(*said, crash("t.py::test_it", "gw1"))
    (attempt,) = attempts.ended
    assert (attempt.outcome, attempt.worker, attempt.number) == ("died", "gw1", 1)
    attempts.close()
    assert attempts.ended == [attempt]


def test_a_death_is_known_again_in_a_clean_copy() -> None:
    """Whichever worker died, and whoever tells of it."""
    prints = {
        noted(crash("t.py::test_it", "gw0")).ended[0].fingerprint,
        noted(crash("t.py::test_it", "gw12")).ended[0].fingerprint,
        error_print(Outcome("t.py::test_it", "died", "call", Error("Died", message="killed by SIGKILL"))),
    }
    assert len(prints) == 1 and "" not in prints


def test_what_was_interrupted_is_no_attempt() -> None:
    """Ctrl-C in a test says nothing of it; a failure that was reported before is kept."""
    attempts = noted(
        report("setup"),
        report("setup", id_="t.py::test_b", worker="gw0"),
        report("call", "failed", id_="t.py::test_b", worker="gw0"),
    )
    assert attempts.ended == []
    for _ in range(2):
        attempts.close()
        assert [(one.id, one.outcome) for one in attempts.ended] == [("t.py::test_b", "failed")]


SUBTESTS = """
    import unittest
    import pytest

    def test_plain(subtests):
        for number in range(3):
            with subtests.test(number=number):
                assert number != 1

    def test_kept(subtests):
        with subtests.test(number=0):
            pass

    def test_skipped(subtests):
        with subtests.test(number=0):
            pytest.skip("not here")

    class TestCase(unittest.TestCase):
        def test_case(self):
            for number in range(3):
                with self.subTest(number=number):
                    assert number != 1
"""


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has its own subtests from 9 on")
def test_a_failed_subtest_fails_its_test(pytester: pytest.Pytester) -> None:
    """Pytest leaves the parent passed in its reports; one attempt a test is kept, and the error is the subtest's."""
    attempts = Attempts(str(pytester.path))

    class Watching:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            attempts.note(report)

    pytester.makepyfile(test_it=SUBTESTS)
    pytester.inline_run("-p", "no:randomly", "-p", "no:bugsle", plugins=[Watching()])
    found = {one.id.rpartition("::")[2]: one for one in attempts.ended}
    assert {name: one.outcome for name, one in found.items()} == {
        "test_plain": "failed",
        "test_kept": "passed",
        "test_skipped": "passed",
        "test_case": "failed",
    }
    assert len(attempts.ended) == 4
    assert found["test_plain"].message == "assert 1 != 1"
    assert found["test_plain"].path == "test_it.py"


def test_the_file_of_an_error_is_told_from_where_it_was_raised(pytester: pytest.Pytester) -> None:
    """The last frame counts; a file outside the tree has no name, since it differs from place to place."""
    attempts = Attempts(str(pytester.path))

    class Watching:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            attempts.note(report)

    pytester.makepyfile(
        test_it="""
        import json
        from lib import broken

        def test_in_the_tree():
            broken()

        def test_outside():
            json.loads("{")
        """,
        lib="def broken():\n    raise ValueError('no')\n",
    )
    pytester.inline_run("-p", "no:randomly", "-p", "no:bugsle", plugins=[Watching()])
    assert [one.path for one in attempts.ended] == ["lib.py", ""]
    assert attempts.ended[0].fingerprint == error_print(
        Outcome(
            "x", "failed", "call", Error("ValueError", message="no", frames=(Frame("lib.py", 2, "broken"),))
        )
    )


# --- fingerprints ---------------------------------------------------------------------------------

SAME = [
    ("assert 1 == 2", "assert 10 == 222"),
    ("AssertionError: assert 1 > 1", "assert 1 > 1"),
    ("pkg.errors.Broken: at 3", "Broken: at 4"),
    ("Broken", "pkg.errors.Broken"),
    ("assert 0.25 < 0.1", "assert 1e-05 < 3"),
    ("E: <Thing object at 0x7f2d3b2848d0>", "E: <Thing object at 0x55d1c2>"),
    ("E: run c5558e38-e63f-11f1-ad98-02fc00000001", "E: run 8999ea75-ba8f-4aae-b3b3-d32f96ce8617"),
    ("E: first line", "E: first line\nand a second one"),
    (
        "FileNotFoundError: [Errno 2] No such file: '/home/me/project/data/a.json'",
        "FileNotFoundError: [Errno 2] No such file: '/var/cache/pool/sequences-0/data/a.json'",
    ),
    ("E: " + "x" * 300 + " and so on", "E: " + "x" * 300 + " and on"),
    ("E: in " + "/long" * 100 + "/x.txt is bad", "E: in /x.txt is bad"),
]
DIFFERENT = [
    ("ValueError: no", "TypeError: no"),
    ("ValueError: no", "ValueError: yes"),
    ("assert a == b", "assert a != b"),
    ("FileNotFoundError: '/a/b.json'", "FileNotFoundError: '/a/c.json'"),
    ("", "ValueError: no"),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=range(len(SAME)))
def test_what_changes_from_run_to_run_is_no_part_of_a_fingerprint(one: str, other: str) -> None:
    """Numbers, addresses, uuids, folders, the module of a type, and further lines."""
    assert fingerprint(one, "t.py") == fingerprint(other, "t.py") != ""


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_another_error_has_another_fingerprint(one: str, other: str) -> None:
    """Another type, another text, another file; and no error has none."""
    assert fingerprint(one, "t.py") != fingerprint(other, "t.py")
    assert fingerprint("E: no", "t.py") != fingerprint("E: no", "u.py")
    assert fingerprint("", "t.py") == ""


@given(st.text(max_size=200), st.text(max_size=20))
@example("\ud800", "\udcff")
@example("/" * 4000, "")
@example("0x" * 2000, "")
@example("a." * 2000, "")
def test_any_text_has_a_fingerprint(message: str, path: str) -> None:
    """Of sixteen hexadecimal digits; '' for no message alone."""
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint(message, path)) or not message


@given(
    st.lists(st.integers(min_value=0), min_size=2, max_size=2), st.from_regex(r"[a-z ]{1,20}", fullmatch=True)
)
def test_a_number_anywhere_is_no_part_of_a_fingerprint(numbers: list[int], text: str) -> None:
    """Whatever stands around it."""
    one, other = (fingerprint(f"E: {text}{number} {text}", "t.py") for number in numbers)
    assert one == other


@given(st.lists(st.uuids(version=4) | st.uuids(version=1), max_size=3), st.integers(0x10000, 2**63))
def test_a_stable_id_is_the_same_in_every_process(ids: list[uuid.UUID], address: int) -> None:
    """Addresses and uuids are taken out, in any notation, and taking them out twice changes nothing."""
    text = "".join(f"-{one}-{one.hex}" for one in ids)
    stable = stable_id(f"t.py::test_it[<object at 0x{address:x}>{text}]")
    assert stable == "t.py::test_it[<object at <address>>" + "-<uuid>-<uuid>" * len(ids) + "]"
    assert stable_id(stable) == stable
    assert [stable_id(one.hex) for one in ids] == ["<uuid>"] * len(ids)


@pytest.mark.parametrize(
    "id_",
    [
        f"t.py::test_it[{hashlib.md5(b'', usedforsecurity=False).hexdigest()}]",
        f"t.py::test_it[{uuid.uuid5(uuid.NAMESPACE_DNS, 'python.org')}]",
        f"t.py::test_it[{uuid.UUID(int=0)}]",
        f"t.py::test_it[{hashlib.sha256(b'').hexdigest()}]",
        "t.py::test_it[0xff-0xdead]",
        "t.py::test_it[a\\nb-<lambda>]",
        "",
    ],
)
def test_a_constant_is_no_unstable_id(id_: str) -> None:
    """Digests, uuids made from names, and small numbers are the same in every process."""
    assert stable_id(id_) == id_


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"{TOP}/src/a.py", "src/a.py"),
        (f"{TOP}s/src/a.py", ""),
        ("/usr/lib/a.py", ""),
        ("src/a.py", "src/a.py"),
        (TOP, ""),
        ("", ""),
    ],
)
def test_a_path_is_told_from_the_top(path: str, found: str) -> None:
    """A folder whose name only begins alike is elsewhere."""
    assert inside(path, TOP) == found
    assert inside(path, TOP + "/") == found
