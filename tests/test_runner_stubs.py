"""Stubs let a test module be imported, and are an error of the test that uses them."""

from __future__ import annotations

import pytest
from runner_trees import Trees, by_name, statuses

from pytest_bugsle.runner.inner import Run

TESTS = """
    import pytest
    import pkg.extra
    from pkg.core import NewError, NEW, helper, decorator, Base, value, old
    from pkg.extra import thing
    from pkg.extra.deep import other

    DEFAULT = NEW + 1
    TABLE = {NEW: helper("x"), "y": value.part[0]}

    class Own(Base):
        x = 1

    @pytest.fixture(params=[NEW, value.member])
    def each(request): return request.param

    def test_old(): assert old() == 1
    def test_old_wrong(): assert old() == 2
    def test_raises_other():
        with pytest.raises(NewError):
            raise KeyError("real")
    def test_raises_nothing():
        with pytest.raises(NewError):
            old()
    def test_except():
        try: raise KeyError("real")
        except NewError: pass
    def test_call(): helper(1)
    def test_attribute(): NEW.part
    def test_equal(): assert old() == NEW
    def test_compare(): assert old() < NEW
    def test_instance(): assert isinstance(old(), NewError)
    def test_truth(): assert NEW
    def test_instance_truth(): assert TABLE["y"]
    def test_module(): pkg.extra.anything()
    def test_from_module(): thing()
    def test_deep(): other()
    def test_default(): assert DEFAULT == 2
    def test_table(): TABLE["y"].go()
    def test_own(): Own()
    def test_param(each): each()
    @decorator
    def test_decorated(): pass
    @decorator(1, two=2)
    def test_decorated_with(): pass
    @pytest.mark.parametrize("error", [NewError, helper(2)])
    def test_parameters(error): error.code
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Lay out a tree whose test module imports what the tree lacks."""
    trees = Trees(tmp_path_factory.mktemp("stubs"))
    trees.write({"pkg/__init__.py": "", "pkg/core.py": "def old(): return 1\n", "tests/test_new.py": TESTS})
    return trees


def run(trees: Trees, stub: bool) -> Run:
    """Run with or without stubs."""
    names = ("NewError", "NEW", "helper", "decorator", "Base", "value", "old", "Class.method")
    return trees.run(
        "tests/test_new.py",
        owned=("pkg",),
        absent=("pkg.extra", "pkg.extra.deep"),
        missing_names={"pkg.core": names},
        changed=("pkg/core.py",),
        stub=stub,
    )


def test_without_stubs_the_module_cannot_be_imported(trees: Trees) -> None:
    """The first try ends in a collection error."""
    found = run(trees, stub=False)
    assert found.outcomes == {}
    assert found.collect_errors["tests/test_new.py"].name == "pkg.extra"


def test_stubs_are_seen_only_by_the_tests_that_use_them(trees: Trees) -> None:
    """Tests of what exists keep their outcome; a use of what does not is marked as such."""
    found = run(trees, stub=True)
    assert found.collect_errors == {}, found.output
    assert found.wrong_tree == ()
    by_stub = {
        name for name, outcome in by_name(found).items() if outcome.error and outcome.error.missing_stub
    }
    rest = {name: status for name, status in statuses(found).items() if name not in by_stub}
    assert rest == {
        "test_old": "passed",
        "test_old_wrong": "failed",
        "test_raises_other": "failed",
        "test_raises_nothing": "failed",
        "test_except": "failed",
    }, found.output
    assert {name.partition("[")[0] for name in by_stub} == {
        "test_call", "test_attribute", "test_equal", "test_compare", "test_instance", "test_module", "test_truth",
        "test_instance_truth",
        "test_from_module", "test_deep", "test_default", "test_table", "test_own", "test_param",
        "test_decorated", "test_decorated_with", "test_parameters",
    }  # fmt: skip
    other, nothing = by_name(found)["test_raises_other"].error, by_name(found)["test_raises_nothing"].error
    assert other is not None and other.type == "KeyError"
    assert nothing is not None and "DID NOT RAISE" in nothing.message


def test_a_stub_error_names_what_is_missing(trees: Trees) -> None:
    """The name that the other side adds is in the error."""
    error = by_name(run(trees, stub=True))["test_call"].error
    assert error is not None
    assert (error.type, error.name) == ("BugsleMissing", "helper")
