"""Markers, trailers, names and changes tie tests to a bug."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.regression.changes import ChangedTest
from pytest_bugsle.regression.definitions import TestDef
from pytest_bugsle.regression.links import (
    Link,
    NamedBug,
    NodeId,
    link,
    named_bugs,
    parse_node_id,
    regression_markers,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tests/test_a.py::TestB::test_c[x]", NodeId("tests/test_a.py", "TestB.test_c", "x")),
        ("tests/test_a.py::test_c[a::b[0]]", NodeId("tests/test_a.py", "test_c", "a::b[0]")),
        ("a[1]/test_a.py::test_c", NodeId("a[1]/test_a.py", "test_c")), ("test_a.py", NodeId("test_a.py")),
        (" `./tests/test_a.py::test_c` ", NodeId("tests/test_a.py", "test_c")),
        ("my tests/test_a.py::test_c[x y]", NodeId("my tests/test_a.py", "test_c", "x y")),
        ("::test_c", None), ("", None), ("test_a.py::", None), ("a\nb::c", None), ("test_a.py::[x]", None),
    ],
)  # fmt: skip
def test_node_ids(text: str, expected: NodeId | None) -> None:
    """File, qualified name and parameters; what is in brackets is kept as it is."""
    assert parse_node_id(text) == expected


@given(st.text(max_size=60))
def test_any_node_id_is_answered(text: str) -> None:
    """A trailer is a stranger's text."""
    assert parse_node_id(text) is None or isinstance(parse_node_id(text), NodeId)


MARKED = b"""
import pytest
from pytest import mark
BUG = "#7"
reg = pytest.mark.regression
CASES = [pytest.param(1, marks=pytest.mark.regression("#8"))]

@pytest.mark.regression("#1", "#2")
def test_two(): pass
@mark.regression(3)
def test_number(): pass
@reg(BUG)
def test_alias(): pass
@pytest.mark.regression(bug="GH-4", reason="#99")
def test_keyword(): pass
@pytest.mark.regression
def test_bare(): pass
@pytest.mark.regression()
def test_empty(): pass
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.regression("#5")), 2])
def test_param(x): pass
@pytest.mark.parametrize("x", [pytest.param(1, marks=[pytest.mark.slow, pytest.mark.regression("#6")])])
def test_param_list(x): pass
@pytest.mark.parametrize("x", CASES)
def test_cases(x): pass
@pytest.mark.other("#9")
def test_other(): pass

@pytest.mark.regression("#10")
class TestA:
    pytestmark = [pytest.mark.regression("#11")]
    @pytest.mark.regression("#12")
    def test_inner(self): pass

class TestB(TestA):
    def test_derived(self): pass
"""


def test_markers() -> None:
    """On functions, classes, bases and parameter sets; by alias and constant; without a bug it links nothing."""
    found = {test.name: bugs for test, bugs in regression_markers(MARKED, "test_a.py")}
    assert found == {
        "test_two": ("#1", "#2"), "test_number": ("#3",), "test_alias": ("#7",), "test_keyword": ("#4",),
        "test_param": ("#5",), "test_param_list": ("#6",), "test_cases": ("#8",),
        "TestA.test_inner": ("#10", "#11", "#12"), "TestB.test_derived": ("#10", "#11"),
    }  # fmt: skip


def test_module_marker_and_other_name() -> None:
    """`pytestmark` holds for the file, and the settings may give the marker another name."""
    source = b"import pytest\npytestmark = pytest.mark.guards('#1')\ndef test_a(): pass\n"
    assert [bugs for _, bugs in regression_markers(source, "a", "guards")] == [("#1",)]
    assert regression_markers(source, "a") == ()


NAMED = b'''
import pytest
def test_handling_issue57(): pass
def test_bug_110_again(): pass
def test_gh_42(): pass
def test_bpo_1234(): pass
def test_cve_2024_12345(): pass
class TestIssue9:
    def test_inside(self): pass
def test_42_things(): pass
def test_debug_1(): pass
def test_expr_2(): pass
def test_doc():
    """Guards https://github.com/o/r/issues/11."""
# Found in #12.
# More words.
@pytest.mark.parametrize("x", [1], ids=["issue_13"])
def test_comment(x):
    x = "#14"
    assert x  #15 is this
@pytest.mark.parametrize("x", [pytest.param(1, id="GH-16")])
def test_parameters(x): pass
# no test follows #17

def test_last(): pass
'''


def test_bugs_that_tests_name() -> None:
    """In names after a word, in docstrings, comments at or in the test, and parameter ids; not in strings."""
    found = [(named.test.name, named.where, named.bugs) for named in named_bugs(NAMED, "a", home="o/r")]
    assert found == [
        ("test_handling_issue57", "name", ("#57",)), ("test_bug_110_again", "name", ("#110",)),
        ("test_gh_42", "name", ("#42",)), ("test_bpo_1234", "name", ("bpo-1234",)),
        ("test_cve_2024_12345", "name", ("CVE-2024-12345",)), ("TestIssue9.test_inside", "name", ("#9",)),
        ("test_doc", "docstring", ("#11",)), ("test_comment", "comment", ("#12", "#15")),
        ("test_comment", "parameters", ("#13",)), ("test_parameters", "parameters", ("#16",)),
    ]  # fmt: skip


@given(st.binary(max_size=200))
def test_any_text_is_answered(source: bytes) -> None:
    """Whatever stands under a test's name."""
    assert isinstance(named_bugs(b"#1 regression\n" + source, "a"), tuple)
    assert isinstance(regression_markers(b"# regression\n" + source, "a"), tuple)


TESTS = {"tests/test_a.py": {"test_x", "TestB.test_y"}, "tests/new.py": {"test_z"}}


def defined(name: str = "test_x", path: str = "tests/test_a.py") -> TestDef:
    """Define a test somewhere."""
    return TestDef(path, name, 1, 2)


def test_all_evidence_is_gathered_strongest_first() -> None:
    """Each kind says what it rests on; other bugs' evidence is left out."""
    found = link(
        ["#42"],
        TESTS,
        trailers=[("Regression-Test", "tests/test_a.py::TestB::test_y[1]"), ("Fixes", "#42")],
        marked=[(defined(), ("GH-42", "#1")), (defined("TestB.test_y"), ("#1",))],
        changed=[ChangedTest(defined(), "uses-changed", "CASES"), ChangedTest(defined(), "added")],
        named=[NamedBug(defined(), ("o/r#42",), "comment"), NamedBug(defined(), ("#43",), "name")],
        neighbours=[(defined(), "the commit before adds it")],
        discovered=[("tests/test_a.py", "test_x")],
    )
    assert [(f.kind, f.path, f.name, f.broken) for f in found] == [
        ("marker", "tests/test_a.py", "test_x", ""), ("trailer", "tests/test_a.py", "TestB.test_y", ""),
        ("added", "tests/test_a.py", "test_x", ""), ("uses-changed", "tests/test_a.py", "test_x", ""),
        ("bug-id", "tests/test_a.py", "test_x", ""), ("neighbour", "tests/test_a.py", "test_x", ""),
        ("discovered", "tests/test_a.py", "test_x", ""),
    ]  # fmt: skip
    assert found[0].evidence == "it is marked as the regression test of GH-42"
    assert found[1].param == "1"
    assert "CASES" in found[3].evidence and "comment" in found[4].evidence


def test_another_repositorys_bug_is_another_bug() -> None:
    """Where the home is known, a bug of the same number elsewhere is not this one."""
    marked = [(defined(), ("other/repo#42",))]
    assert link(["#42"], TESTS, marked=marked, home="o/r") == ()
    assert len(link(["#42"], TESTS, marked=marked)) == 1


@pytest.mark.parametrize(
    ("value", "broken"),
    [
        ("tests/gone.py::test_x", "no test file tests/gone.py is in the tree"),
        ("tests/test_a.py::test_gone", "tests/test_a.py has no test test_gone"), ("::", "it does not read as path::name"),
        ("tests/test_a.py::TestB::test_inherited", ""), ("tests/test_a.py", ""), ("tests/old.py::test_z", ""),
    ],
)  # fmt: skip
def test_a_trailer_that_leads_nowhere_is_reported(value: str, broken: str) -> None:
    """Unknown files and tests are told; renames are followed, inherited tests believed."""
    (found,) = link(
        [], TESTS, trailers=[("regression-test", value)], renames={"tests/old.py": "tests/new.py"}
    )
    assert (found.kind, found.broken) == ("trailer", broken)


def test_renamed_files_and_moved_tests_are_followed() -> None:
    """Along several renames, and into a class where one test alone has the name."""
    renames = {"a.py": "b.py", "b.py": "tests/new.py", "loop.py": "pool.py", "pool.py": "loop.py"}
    changed = [
        ChangedTest(defined("test_z", "a.py"), "added"), ChangedTest(defined("test_y"), "added"),
        ChangedTest(defined("test_w"), "added"), ChangedTest(defined("test_v", "loop.py"), "added"),
    ]  # fmt: skip
    found = {(f.path, f.name): f.broken for f in link([], TESTS, changed=changed, renames=renames)}
    assert found == {
        ("tests/new.py", "test_z"): "", ("tests/test_a.py", "TestB.test_y"): "",
        ("tests/test_a.py", "test_w"): "tests/test_a.py has no test test_w",
        ("loop.py", "test_v"): "no test file loop.py is in the tree",
    }  # fmt: skip


def test_links_are_values() -> None:
    """The same evidence twice is one link."""
    twice = [ChangedTest(defined(), "added")] * 2
    assert link([], TESTS, changed=twice) == (Link("tests/test_a.py", "test_x", "added", "the fix adds it"),)
