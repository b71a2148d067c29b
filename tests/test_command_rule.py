"""`bugsle rule`: what the gate can say."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import bugsle

from pytest_bugsle.findings import RULES


def test_all_rules_are_listed(tmp_path: Path) -> None:
    """With code and name."""
    said = bugsle(tmp_path, "rule")
    assert said.code == 0
    assert all(rule.code in said.out and rule.name in said.out for rule in RULES.values())


@pytest.mark.parametrize("word", ["BUG102", "bug102", "test-passes-without-fix"])
def test_a_rule_has_a_page(tmp_path: Path, word: str) -> None:
    """What, why, how to mend and how to switch off."""
    said = bugsle(tmp_path, "rule", word)
    assert said.code == 0
    assert all(
        part in said.out for part in ("BUG102", "What.", "Why.", "How to mend.", "How to switch it off.")
    )


@pytest.mark.parametrize(
    ("word", "near"), [("BUG1021", "BUG102"), ("fix-without-tests", "fix-without-test"), ("\x1b[31m", "")]
)
def test_an_unknown_rule_names_the_nearest(tmp_path: Path, word: str, near: str) -> None:
    """Exit code 2, and nothing raw on the terminal."""
    said = bugsle(tmp_path, "rule", word)
    assert said.code == 2
    assert near in said.err and "\x1b" not in said.err


def test_an_unknown_command_names_the_nearest(tmp_path: Path) -> None:
    """Exit code 2."""
    said = bugsle(tmp_path, "prov")
    assert said.code == 2
    assert "prove" in said.err
