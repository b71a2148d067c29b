"""The interpreter and the environment that tests run in."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import pytest
from runner_trees import make_venv

from pytest_bugsle.errors import UsageError
from pytest_bugsle.runner import environment
from pytest_bugsle.runner.environment import choose_python, interpreter_facts, project_name, scrubbed


@pytest.fixture(autouse=True)
def fresh_facts() -> None:
    """Forget what was learned of interpreters."""
    interpreter_facts.cache_clear()


def test_facts_of_the_running_interpreter_and_by_asking_agree() -> None:
    """The same interpreter has the same facts whether it is asked or running."""
    running = interpreter_facts(sys.executable)
    asked = environment._ask(sys.executable)
    assert running.has_pytest and running.pytest == pytest.__version__
    assert (running.version, running.digest) == (asked["version"], asked["digest"])
    assert "pytest" in running.distributions and "pluggy" in running.distributions


def test_an_installation_changes_the_digest(tmp_path: Path) -> None:
    """A new distribution, and an editable that moved, make other facts."""
    python, site = make_venv(tmp_path / "venv")
    seen = [interpreter_facts(python).digest]
    (site / "Some_Project-1.0.dist-info").mkdir()
    interpreter_facts.cache_clear()
    facts = interpreter_facts(python)
    seen.append(facts.digest)
    assert "some-project" in facts.distributions
    for text in ("a", "b"):
        (site / "Some_Project-1.0.dist-info" / "direct_url.json").write_text(text)
        interpreter_facts.cache_clear()
        seen.append(interpreter_facts(python).digest)
    assert len(set(seen)) == 4


def test_the_wanted_interpreter_wins_and_must_have_pytest(tmp_path: Path) -> None:
    """`--python` is taken, found on PATH too, and told what it lacks."""
    python, _ = make_venv(tmp_path / "with")
    assert choose_python(tmp_path, python, {}) == python
    assert choose_python(tmp_path, "python", {"PATH": os.path.dirname(python)}) == python
    venv.create(tmp_path / "without", with_pip=False, symlinks=True)
    bare = str(tmp_path / "without" / "bin" / "python")
    with pytest.raises(UsageError, match="has no pytest") as error:
        choose_python(tmp_path, bare, {})
    assert f"{bare} -m pip install pytest" in error.value.hint


def test_the_running_interpreter_is_taken_unless_the_project_lives_elsewhere(tmp_path: Path) -> None:
    """Where the project is found decides between ours, the active and the local environment."""
    top = tmp_path / "repo"
    top.mkdir()
    assert choose_python(top, None, {}) == sys.executable
    (top / "pyproject.toml").write_text("[project]\nname = 'Some.Project'\n")
    assert choose_python(top, None, {}) == sys.executable
    local, site = make_venv(top / ".venv")
    active, _ = make_venv(tmp_path / "active")
    assert choose_python(top, None, {}) == local
    assert choose_python(top, None, {"VIRTUAL_ENV": str(tmp_path / "active")}) == active
    (site / "some_project-2.dist-info").mkdir()
    interpreter_facts.cache_clear()
    assert choose_python(top, None, {"VIRTUAL_ENV": str(tmp_path / "active")}) == local
    (top / "pyproject.toml").write_text("[project]\nname = 'pytest'\n")
    assert choose_python(top, None, {"VIRTUAL_ENV": str(tmp_path / "active")}) == sys.executable


def test_without_any_pytest_the_user_is_told_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No interpreter with pytest is a usage error that names where it looked."""
    venv.create(tmp_path / ".venv", with_pip=False, symlinks=True)
    bare = str(tmp_path / ".venv" / "bin" / "python")
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "python"
    other.symlink_to(bare)
    venv.create(tmp_path / "ours", with_pip=False, symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "ours" / "bin" / "python"))
    monkeypatch.setattr(environment.facts, "collect", lambda: environment._ask(sys.executable))
    with pytest.raises(UsageError, match="no interpreter with pytest was found") as error:
        choose_python(tmp_path, None, {})
    assert bare in error.value.what and "--python PATH" in error.value.hint


def test_a_broken_environment_folder_is_passed_over(tmp_path: Path) -> None:
    """A `.venv` that is no environment is no candidate."""
    (tmp_path / ".venv").mkdir()
    assert choose_python(tmp_path, None, {}) == sys.executable


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("pyproject.toml", "[project]\nname = 'A_b.c'\n", "a-b-c"),
        ("pyproject.toml", "[project\n", None),
        ("pyproject.toml", "[project]\nname = 3\n", None),
        ("setup.cfg", "[metadata]\nname = A_b\n", "a-b"),
        ("setup.cfg", "nonsense", None),
        ("other", "", None),
    ],
)
def test_the_projects_name_is_read(tmp_path: Path, file: str, text: str, name: str | None) -> None:
    """From pyproject.toml or setup.cfg; what cannot be read is no name."""
    (tmp_path / file).write_text(text)
    assert project_name(tmp_path) == name


def test_the_environment_is_scrubbed() -> None:
    """Only what an outer tool set for itself goes."""
    kept = {
        "PATH": "/bin",
        "HOME": "/root",
        "PYTHONPATH": "x",
        "GIT_AUTHOR_NAME": "A",
        "DJANGO_SETTINGS_MODULE": "s",
    }
    gone = dict.fromkeys(
        ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "COV_CORE_SOURCE", "COVERAGE_FILE", "PYTHONPYCACHEPREFIX", "GIT_DIR",
         "GIT_CONFIG_KEY_0", "BUGSLE_BASE"), "x"
    )  # fmt: skip
    assert scrubbed({**kept, **gone}) == kept


def test_the_python_path_is_led_to_the_tree(tmp_path: Path) -> None:
    """Folders of the checkout become those of the tree or go; others stay, and ours come first."""
    user, tree = tmp_path / "user", tmp_path / "tree"
    for folder in (user / "src", user / "gone", tree / "src", tmp_path / "lib"):
        folder.mkdir(parents=True)
    old = os.pathsep.join([str(user / "src"), str(user / "gone"), str(tmp_path / "lib"), ""])
    env = environment.inner_environment(
        {"PYTHONPATH": old, "PATH": "/bin"},
        python=str(tmp_path / "venv" / "bin" / "python"),
        tree=tree,
        user_top=user,
        first=[tmp_path / "site"],
        temporary="x",
    )
    assert env["PYTHONPATH"].split(os.pathsep) == [
        str(tmp_path / part) for part in ("site", "tree/src", "lib")
    ]
    assert env["PATH"] == f"{tmp_path / 'venv' / 'bin'}{os.pathsep}/bin"
