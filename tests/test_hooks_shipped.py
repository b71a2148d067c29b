"""The hooks as they ship: manifest, scripts, folder and pages in step; from the checkout and from a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml
from repositories import RIGHT, WRONG, Repo, clean_environment, guard

from pytest_bugsle import cli
from pytest_bugsle.hooks import entries
from pytest_bugsle.init import templates

TOP = Path(__file__).resolve().parents[1]
MANIFEST = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text("utf-8"))
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
IDS = [hook["id"] for hook in MANIFEST]


# --- in step ---------------------------------------------------------------------------------------------


def test_manifest_scripts_and_folder_name_the_same_hooks() -> None:
    """Each hook of the manifest is a console script, a file of hooks/ and a shared script of the wheel."""
    scripts = PROJECT["project"]["scripts"]
    assert sorted(IDS) == sorted(name for name in scripts if name != "bugsle")
    shared = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-scripts"]
    assert shared == {f"hooks/{name}.py": f"{name}.py" for name in sorted(IDS)}
    assert sorted(path.name for path in (TOP / "hooks").iterdir() if path.suffix == ".py") == sorted(
        shared.values()
    )
    for name in IDS:
        module, _, attribute = scripts[name].partition(":")
        assert module == entries.__name__ and callable(getattr(entries, attribute))
        text = (TOP / f"hooks/{name}.py").read_text("utf-8")
        assert f"import {attribute}\n" in text and len(text.splitlines()) <= 10
        assert os.access(TOP / f"hooks/{name}.py", os.X_OK) and text.startswith("#!/usr/bin/env python3\n")


@pytest.mark.parametrize("hook", MANIFEST, ids=IDS)
def test_each_hook_of_the_manifest_is_whole(hook: dict[str, object]) -> None:
    """Entry and id are one, arguments are left to the user, and old names of stages are not used."""
    assert hook["entry"] == hook["id"] and "args" not in hook
    assert hook["minimum_pre_commit_version"] == "3.2.0"
    assert set(hook["stages"]) <= {"pre-commit", "commit-msg", "pre-push", "post-merge", "manual"}  # type: ignore[call-overload]
    assert hook["language"] == ("system" if hook["id"] == "bugsle-prove" else "python")
    assert ("pass_filenames" in hook) != (hook["id"] == "bugsle-commit-msg")


def test_init_installs_hooks_of_the_manifest() -> None:
    """What `bugsle init` lists is there, and each runs in a stage that it installs."""
    stages = {hook["id"]: set(hook["stages"]) for hook in MANIFEST}
    for hook, name in templates.GIT_HOOKS.items():
        assert hook in stages[name] and hook in templates.HOOK_TYPES


def test_the_page_names_each_hook_and_its_options() -> None:
    """docs/hooks.md has a heading for each, and its configuration is what `bugsle init` writes."""
    page = (TOP / "docs/hooks.md").read_text("utf-8")
    assert re.findall(r"^### `(bugsle-[a-z-]+)`", page, re.MULTILINE) == IDS
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    lines = [templates.pre_commit_types(), "repos:", *templates.pre_commit_entry()]
    assert example[1].splitlines() == lines
    for option in entries._complexity.params:
        assert f"`{option.opts[0]}" in page
    assert {key for key in ("complexity_limit", "complexity_step") if f"`{key}`" in page} == {
        "complexity_limit",
        "complexity_step",
    }
    assert "init" in cli.COMMANDS and "bugsle init --git-hooks" in page


# --- light ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in IDS if name != "bugsle-prove"])
def test_no_hook_imports_what_is_heavy(tmp_path: Path, name: str) -> None:
    """Neither scipy nor hypothesis nor pytest is in the process when a hook has done its work."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG, "tests/test_a.py": guard("a", "0")})
    repo.commit("fix: a is wrong (#42)", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    repo.write({"src/pkg/a.py": RIGHT + "MORE = 1\n", "message": "fix: more (#43)\n"})
    repo.git("add", "-A")
    asked = {"bugsle-commit-msg": ["message"]}.get(name, [])
    code = (
        "import sys\n"
        f"from pytest_bugsle.hooks.entries import {name.removeprefix('bugsle-').replace('-', '_')} as hook\n"
        f"sys.argv = ['{name}', *{asked!r}]\n"
        "try:\n    hook()\n"
        "finally:\n    print('HEAVY', sorted({'scipy', 'numpy', 'hypothesis', 'pytest', '_pytest'} & set(sys.modules)))\n"
    )
    environ = clean_environment(tmp_path, PRE_COMMIT_FROM_REF=repo.start, PRE_COMMIT_TO_REF="HEAD")
    if name in ("bugsle-commit-msg", "bugsle-complexity"):
        del environ["PRE_COMMIT_FROM_REF"]
    environ["PYTHONPATH"] = os.fspath(TOP)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo.top, env=environ, capture_output=True, check=False
    )
    assert b"HEAVY []" in done.stdout, done.stdout + done.stderr
    assert done.returncode == (1 if name == "bugsle-commit-msg" else 0), done.stderr


# --- the delivery figures ----------------------------------------------------------------------------------


def test_the_figures_stop_nothing(tmp_path: Path) -> None:
    """Whatever `bugsle dora` says, and git's own word about a squash is not handed on."""
    from hook_runs import hook

    repo = Repo(tmp_path / "project")
    said = hook(entries._dora, repo, "0")
    assert said.code == 0 and len(said.out.splitlines()) <= 5
    assert hook(entries._dora, repo, "--no-such-option").code == 0


# --- under pre-commit ----------------------------------------------------------------------------------------

PRE_COMMIT = shutil.which("pre-commit", path=os.path.dirname(sys.executable)) or shutil.which("pre-commit")
under_pre_commit = pytest.mark.skipif(PRE_COMMIT is None, reason="pre-commit is not installed (extra `dev`)")


def _run(repo: Repo, *args: str, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    assert PRE_COMMIT is not None
    return subprocess.run(
        [PRE_COMMIT, *args], cwd=repo.top, env=environ, capture_output=True, check=False, timeout=600
    )


@under_pre_commit
def test_the_manifest_is_valid() -> None:
    """By pre-commit's own schema."""
    assert PRE_COMMIT is not None
    subprocess.run(
        [PRE_COMMIT, "validate-manifest", str(TOP / ".pre-commit-hooks.yaml")], check=True, timeout=60
    )


@pytest.fixture
def project(tmp_path: Path) -> Repo:
    """A project with a pushed start, a guarded fix on top, and a fix without a test that is staged."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    repo.commit("fix: a is wrong (#42)", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    repo.write({"src/pkg/b.py": RIGHT})
    repo.git("add", "-A")
    (tmp_path / "MESSAGE").write_text("fix: b is wrong (#43)\n", "utf-8")
    return repo


STAGES = {
    "bugsle-commit-msg": ("--hook-stage", "commit-msg", "--commit-msg-filename", "../MESSAGE"),
    "bugsle-check": ("--hook-stage", "pre-push", "--from-ref", "HEAD~1", "--to-ref", "HEAD"),
    "bugsle-prove": ("--hook-stage", "pre-push", "--from-ref", "HEAD~1", "--to-ref", "HEAD"),
    "bugsle-complexity": ("--all-files",),
    "bugsle-dora": ("--hook-stage", "manual"),
}


def _copy(place: Path) -> Path:
    """Give a repository of what is in the checkout, committed or not; pre-commit clones it."""
    source = Repo(place / "source", configuration="")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        if (TOP / name).is_file():
            (source.top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, source.top / name)
    source.commit("all")
    return source.top


def _judged(id: str, done: subprocess.CompletedProcess[bytes]) -> None:
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    if id == "bugsle-commit-msg":
        assert done.returncode == 1 and "BUG101 fix-without-test" in said, said
    else:
        assert done.returncode == 0 and "Passed" in said, said


@pytest.mark.slow
@under_pre_commit
@pytest.mark.parametrize("installed", ["checkout", "wheel"])
def test_each_hook_runs_under_pre_commit(project: Repo, tmp_path: Path, installed: str) -> None:
    """`try-repo` of the checkout; and the commands of an installed wheel, as local hooks of the system."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    python = place / "bin/python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    source = _copy(tmp_path)
    subprocess.run([*pip, str(source)], check=True, timeout=600)
    for name in IDS:
        assert (place / f"bin/{name}").is_file() and (place / f"bin/{name}.py").is_file()
    shared = subprocess.run(
        [place / "bin/bugsle-commit-msg.py", "../MESSAGE"], cwd=project.top, capture_output=True, check=False
    )
    assert shared.returncode == 1 and b"BUG101" in shared.stderr, shared.stderr
    environ = clean_environment(
        tmp_path, PATH=f"{place}/bin:{os.environ['PATH']}", PRE_COMMIT_HOME=str(tmp_path / "pre-commit")
    )
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    local = [{**hook, "language": "system"} for hook in MANIFEST]
    (project.top / ".pre-commit-config.yaml").write_text(
        yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]}), "utf-8"
    )
    project.git("add", ".pre-commit-config.yaml")
    for id in IDS:
        if installed == "wheel":
            done = _run(project, "run", id, *STAGES[id], environ=environ)
        else:
            done = _run(project, "try-repo", str(source), id, *STAGES[id], environ=environ)
        _judged(id, done)
