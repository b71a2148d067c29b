"""How git is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.command import (
    LOCAL_VARIABLES,
    arguments,
    environment,
    executable,
    failure,
    shown,
)


def test_all_local_variables_of_this_git_are_known() -> None:
    """What the installed git calls local to a repository is in our list."""
    said = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True
    )
    assert set(said.stdout.split()) <= LOCAL_VARIABLES


@pytest.mark.parametrize(
    "name",
    ["GIT_DIR", "GIT_INDEX_FILE", "GIT_LITERAL_PATHSPECS", "GIT_EXTERNAL_DIFF", "GIT_TRACE", "LANGUAGE"],
)
def test_what_can_change_an_answer_does_not_reach_git(name: str) -> None:
    """Our own calls see none of the variables that steer git."""
    assert name not in environment({name: "1", "PATH": "/bin"})


def test_the_environment_never_asks_nor_fetches() -> None:
    """No prompt, no lazy fetch, no protocol, one language."""
    made = environment({"GIT_SSH_COMMAND": "ssh -v", "LC_ALL": "de_DE"})
    assert made["GIT_TERMINAL_PROMPT"] == "0"
    assert made["GIT_NO_LAZY_FETCH"] == "1"
    assert made["GIT_ALLOW_PROTOCOL"] == "none"
    assert made["LC_ALL"] == "C"
    assert made["GIT_SSH_COMMAND"] == "ssh -v"


def test_trust_given_by_variables_is_kept_alone() -> None:
    """A job that trusts a folder by GIT_CONFIG_COUNT is believed; its other settings are dropped."""
    made = environment({
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": "diff.external", "GIT_CONFIG_VALUE_0": "evil",
        "GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "/one",
        "GIT_CONFIG_KEY_2": "Safe.Directory", "GIT_CONFIG_VALUE_2": "/two",
    })  # fmt: skip
    assert made["GIT_CONFIG_COUNT"] == "2"
    assert (made["GIT_CONFIG_VALUE_0"], made["GIT_CONFIG_VALUE_1"]) == ("/one", "/two")
    assert {made["GIT_CONFIG_KEY_0"], made["GIT_CONFIG_KEY_1"]} == {"safe.directory"}
    assert "GIT_CONFIG_KEY_2" not in made


@pytest.mark.parametrize("count", ["-1", "x", "", "²", "9" * 5000])
def test_a_senseless_count_of_settings_is_no_error(count: str) -> None:
    """Whatever stands in the variable, git starts."""
    assert "GIT_CONFIG_COUNT" not in environment({"GIT_CONFIG_COUNT": count})


def test_a_missing_git_is_said(tmp_path: Path) -> None:
    """Without git on PATH the user learns what to install."""
    with pytest.raises(UsageError, match="git is not installed") as caught:
        executable(str(tmp_path))
    assert "install git" in caught.value.hint


@pytest.mark.parametrize("said", ["git version 2.29.3", "git version 1.8.3.1", "something else", ""])
def test_a_git_that_is_too_old_is_refused(tmp_path: Path, said: str) -> None:
    """Below 2.30, or without a version that can be read, nothing is judged."""
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match="too old or unknown"):
        executable(str(tmp_path))


@pytest.mark.parametrize(
    "said", ["git version 2.30.0", "git version 2.39.5 (Apple Git-154)", "git version 3.0"]
)
def test_a_git_that_is_new_enough_is_taken(tmp_path: Path, said: str) -> None:
    """2.30 and all that follow are taken, as vendors spell them."""
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    assert executable(str(tmp_path)) == str(program)


def test_every_call_leaves_locks_hooks_and_daemons_alone() -> None:
    """The options that keep git from writing and from running others' programs are on each call."""
    made = arguments("git", "/top", ("diff", "HEAD"))
    assert made[:4] == ["git", "--no-optional-locks", "-C", "/top"]
    assert {"core.fsmonitor=false", "core.hooksPath=/dev/null"} <= set(made)
    assert made[-5:] == ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD"]


def test_text_from_git_is_shown_and_not_sent() -> None:
    """Escape sequences, bells and newlines never reach a terminal."""
    said = shown(b"a\x1b[31mred\x07\r\n\n b\xff")
    assert said == "a\\x1b[31mred\\x07; b\\xff"
    assert shown("x\udcff\u202e") == "x\\udcff\\u202e"


def test_a_failure_names_the_command_and_what_git_said() -> None:
    """The error of a git call carries its command, code and words."""
    error = failure(("log", "-1", "x", "y"), 128, b"fatal: bad\x1b[1m\n")
    assert str(error).startswith("git log -1 x … ended with 128: fatal: bad\\x1b[1m")
    assert error.exit_code == 4
    assert os.linesep in str(error)
