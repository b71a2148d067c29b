"""Why a test varies: the state that others leave behind, or the factor that turns its outcome."""

from __future__ import annotations

from pathlib import Path

import pytest
from flaky_suites import hunt
from repositories import Repo, bugsle

pytestmark = pytest.mark.slow

LIBRARY = """
    class Foo:
        registry = {}
"""
SUITE = """
    import datetime, os, random
    from pkg.lib import Foo

    def test_pollutes():
        Foo.registry["a"] = 1
        os.environ["NOT_THIS"] = "1"

    def test_victim():
        assert not Foo.registry

    def test_brittle():
        assert "NOT_THIS" in os.environ

    def test_dice():
        assert random.random() > 0.4

    def test_clock():
        assert datetime.datetime.now().microsecond % 2

    def test_hash():
        assert list({"a", "b", "c"})[0] != "a"
"""


def test_each_reason_is_named_by_the_experiment_that_turns_the_outcome(tmp_path: Path) -> None:
    """The class attribute and not the variable beside it; the seed, the clock, the hash seed."""
    repo = Repo(tmp_path / "project", start={"src/pkg/lib.py": LIBRARY, "tests/test_a.py": SUITE})
    said = hunt(repo, "--budget", "200")
    tests = {test["id"].partition("::")[2]: test for test in said.report["tests"]}
    first = {name: test["state"][0] for name, test in tests.items() if test["state"]}
    assert {name: (one["name"].rpartition(".")[2], one["turns"]) for name, one in first.items()} == {
        "test_victim": ("registry", True),
        "test_brittle": ("NOT_THIS", True),
    }
    causes = {name: test["cause"] for name, test in tests.items() if test["cause"]}
    assert causes == {"test_dice": "rng-seed", "test_clock": "clock", "test_hash": "hash-seed"}
    for name in causes:
        command = tests[name]["reproduce"].split()
        assert command[:3] == ["bugsle", "flaky", "replay"]
        assert bugsle(repo, *command[1:]).code == 1, name
