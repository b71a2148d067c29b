"""`bugsle init`: what it finds out, what it shows, what it writes and what it leaves alone."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from git_sandbox import fingerprint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import Repo, bugsle, guard

from pytest_bugsle import __version__
from pytest_bugsle.init import proposals, templates
from pytest_bugsle.settings import make_settings

TOP = Path(__file__).parents[1]
HOOKS = ["bugsle-check", "bugsle-commit-msg", "bugsle-complexity"]
CONFIG = ".pre-commit-config.yaml"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A project without any setting of ours."""
    return Repo(tmp_path / "project", start={"tests/test_a.py": guard("a"), "src/pkg/a.py": "A = 1\n"})


def written(repo: Repo) -> dict[str, Any]:
    """Run `bugsle init --yes` and give the settings that it wrote, which the gate must take."""
    said = bugsle(repo, "init", "--yes")
    assert said.code == 0, said.all
    table: dict[str, Any]
    if (repo.top / "bugsle.toml").exists():
        table = tomllib.loads(repo.read("bugsle.toml"))
    else:
        table = tomllib.loads((repo.top / "pyproject.toml").read_bytes().decode("utf-8-sig"))["tool"][
            "bugsle"
        ]
    make_settings(table)
    return table


# --- shown first, written once ---------------------------------------------------------------------------


def test_without_a_terminal_the_diff_is_only_shown(repo: Repo) -> None:
    """Nothing is written, and how to write is said."""
    before = fingerprint(repo.top)
    said = bugsle(repo, "init")
    assert said.code == 0 and "`bugsle init --yes` writes" in said.out
    for line in ("+[tool.bugsle]", '+source = ["src/**"]', "+++ b/.pre-commit-config.yaml", "+name: bugsle"):
        assert line in said.out.splitlines()
    assert fingerprint(repo.top) == before


def test_yes_writes_what_was_shown_and_twice_changes_nothing(repo: Repo) -> None:
    """The second run says what it left alone."""
    shown = [line for line in bugsle(repo, "init").out.splitlines() if line.startswith(("+", " ", "@"))]
    said = bugsle(repo, "init", "--yes")
    assert [line for line in said.out.splitlines() if line.startswith(("+", " ", "@"))] == shown
    assert "wrote pyproject.toml" in said.out and "pre-commit install" in said.out
    before = fingerprint(repo.top)
    again = bugsle(repo, "init", "--yes")
    assert again.code == 0 and fingerprint(repo.top) == before
    assert again.out.count("left alone") == 3 and "nothing to write" in again.out


def test_the_command_works_with_what_was_written(repo: Repo) -> None:
    """Settings are read, hooks are as our manifest has them, the workflow fetches the history and runs the gate of this version."""
    assert written(repo) == {"unit": "auto", "source": ["src/**"], "tests": ["tests/**"]}
    assert bugsle(repo, "check").code in (0, 3)
    config = yaml.safe_load(repo.read(CONFIG))
    assert config["default_install_hook_types"] == ["pre-commit", "commit-msg", "pre-push"]
    assert [hook["id"] for hook in config["repos"][0]["hooks"]] == HOOKS
    manifest = {
        hook["id"]: hook for hook in yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text("utf-8"))
    }
    for hook in config["repos"][0]["hooks"]:
        assert hook["additional_dependencies"] == [f"pytest-bugsle=={__version__}"]
        theirs = manifest[hook["id"]]
        assert set(hook["stages"]) <= set(theirs["stages"])
        for key in ("entry", "language", "types", "always_run", "pass_filenames"):
            assert hook.get(key) == theirs.get(key), key
    job = yaml.safe_load(repo.read(".github/workflows/bugsle.yml"))["jobs"]["bugsle"]
    assert job["permissions"] == {"contents": "read"}
    assert job["steps"][0]["with"]["fetch-depth"] == 0
    assert job["steps"][-1]["run"] == "python -m pytest --bugsle --bugsle-report github"
    assert templates.REQUIREMENT in job["steps"][-2]["run"]


# --- what is found out ---------------------------------------------------------------------------------


def test_the_default_branch_is_a_comment_where_the_gate_finds_it(repo: Repo) -> None:
    """A setting `base` would go before what CI says of the event."""
    assert "base" not in written(repo)
    assert '# base = "main"' in repo.read("pyproject.toml")


def test_a_default_branch_of_its_own_name_is_set(repo: Repo) -> None:
    """Where nothing else tells it; in the workflow too."""
    repo.git("branch", "-q", "-m", "main", "production")
    assert written(repo)["base"] == "production"
    assert 'branches: ["production"]' in repo.read(".github/workflows/bugsle.yml")


def test_the_remotes_head_is_the_default_branch(repo: Repo) -> None:
    """Whatever branch is checked out."""
    repo.git("branch", "-q", "-m", "main", "live")
    clone = Repo.at(repo.top.parent / "clone")
    repo.git("clone", "-q", str(repo.top), str(clone.top))
    clone.git("switch", "-q", "-c", "topic")
    written(clone)
    assert '# base = "origin/live"' in clone.read("pyproject.toml")
    assert 'branches: ["live"]' in clone.read(".github/workflows/bugsle.yml")


def test_the_mainlines_shape_is_said(repo: Repo) -> None:
    """Squashed pull requests are judged as ranges by `auto`."""
    for number in range(10):
        repo.commit(f"feat: {number} (#{number})")
    written(repo)
    assert 'unit = "auto"  # the mainline holds squashed pull requests' in repo.read("pyproject.toml")


@pytest.mark.parametrize(
    ("tags", "pattern", "matching"),
    [
        ((), None, ""),
        (("v1.0", "v1.1", "nightly"), None, ""),
        (("pkg-1.0", "pkg-1.1", "pkg-2.0rc1"), r"pkg\-v?\d+(\.\d+)*", "pkg-1.1"),
        (("release/v1.0",), r"release/v?\d+(\.\d+)*", "release/v1.0"),
    ],
)
def test_tags_with_a_prefix_make_a_pattern(
    repo: Repo, tags: tuple[str, ...], pattern: str | None, matching: str
) -> None:
    """Plain versions need none."""
    import re

    for tag in tags:
        repo.git("tag", tag)
    assert written(repo).get("tag_pattern") == pattern
    assert pattern is None or re.fullmatch(pattern, matching)


def test_a_flat_layout_and_unusual_test_folders(tmp_path: Path) -> None:
    """Packages at the top are source, but for those of tests and scripts; `testpaths` says where tests are."""
    repo = Repo(
        tmp_path / "project",
        configuration='[tool.pytest.ini_options]\ntestpaths = ["checks"]\n',
        start={f"{name}/__init__.py": "" for name in ("core", "addon", "checks", "scripts")},
    )
    repo.git("rm", "-rq", "src")
    repo.commit("no src")
    assert written(repo) == {"unit": "auto", "source": ["addon/**", "core/**"], "tests": ["checks/**"]}


def test_without_a_pyproject_the_settings_stand_in_their_own_file(tmp_path: Path) -> None:
    """A `bugsle.toml` has no prefix."""
    repo = Repo(tmp_path / "project", configuration="", start={"tests/test_a.py": guard("a"), "a.py": ""})
    repo.git("rm", "-q", "-f", "pyproject.toml")
    repo.commit("none")
    assert written(repo) == {"unit": "auto", "tests": ["tests/**"]}
    assert "pip install pytest" in repo.read(".github/workflows/bugsle.yml")


@pytest.mark.parametrize(
    ("more", "install"),
    [
        ('[project]\nname = "x"\nversion = "1"\n', "-e . pytest"),
        ('[project]\nname = "x"\nversion = "1"\n[dependency-groups]\ntests = []\n', "-e . --group tests"),
        (
            '[project]\nname = "x"\nversion = "1"\n[project.optional-dependencies]\ntest = []\n',
            "-e '.[test]'",
        ),
    ],
)
def test_the_workflow_installs_the_project(repo: Repo, more: str, install: str) -> None:
    """With what its tests need."""
    repo.commit("p", {"pyproject.toml": more})
    written(repo)
    assert f"pip install {install} {templates.REQUIREMENT} #" in repo.read(".github/workflows/bugsle.yml")


# --- what is there stays -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"# a comment\r\n[project]\r\nname = 'x'  # odd\r\n",
        b"\xef\xbb\xbf[project]\nname = 'x'",
        b"[tool.other]\nz = 1\na = 2\n\n\n",
        b"\xef\xbb\xbf",
        b"",
    ],
    ids=["crlf", "bom", "order", "only-bom", "empty"],
)
def test_every_byte_of_the_pyproject_is_kept(repo: Repo, text: bytes) -> None:
    """The table is added at the end, with the line ends of the file."""
    repo.commit("p", {"pyproject.toml": text})
    written(repo)
    after = (repo.top / "pyproject.toml").read_bytes()
    assert after.startswith(text) and b"[tool.bugsle]" in after[len(text) :]
    assert (b"\r\n" in text) == (after.count(b"\r\n") == after.count(b"\n"))


def test_a_files_mode_is_kept(repo: Repo) -> None:
    """It is written anew beside the old one and takes its place."""
    (repo.top / "pyproject.toml").chmod(0o640)
    written(repo)
    assert stat.S_IMODE((repo.top / "pyproject.toml").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"pyproject.toml": "[tool.bugsle.rules]\n"}, "pyproject.toml has [tool.bugsle] already: left alone"),
        (
            {"pyproject.toml": 'tool.bugsle.mode = "warn"\n'},
            "pyproject.toml has [tool.bugsle] already: left alone",
        ),
        ({"bugsle.toml": 'mode = "warn"\n'}, "bugsle.toml is there already: left alone"),
        ({CONFIG: "repos:\n- repo: x/pytest-bugsle\n"}, f"{CONFIG} has our hooks already: left alone"),
        ({CONFIG: "repos: []\n"}, "has no plain list `repos:`: left alone; add to it"),
        ({".github/workflows/bugsle.yml": "x\n"}, "bugsle.yml is there already: left alone"),
    ],
)
def test_what_is_there_is_left_alone_and_said(repo: Repo, files: dict[str, str], note: str) -> None:
    """A table, an entry, a workflow."""
    repo.write({**files})
    before = {name: (repo.top / name).read_bytes() for name in files}
    said = bugsle(repo, "init", "--yes")
    assert said.code == 0 and note in said.out
    assert {name: (repo.top / name).read_bytes() for name in files} == before


def test_a_pyproject_that_cannot_be_added_to_gets_a_file_beside_it(repo: Repo) -> None:
    """`tool` as an inline table takes no more keys."""
    repo.write({"pyproject.toml": "tool = { x = 1 }\n"})
    said = bugsle(repo, "init", "--yes")
    assert said.code == 0 and repo.read("pyproject.toml") == "tool = { x = 1 }\n"
    assert tomllib.loads(repo.read("bugsle.toml"))["unit"] == "auto"


def test_a_broken_pyproject_is_an_error_with_its_line(repo: Repo) -> None:
    """Nothing at all is written then."""
    repo.write({"pyproject.toml": "[a]\nx = \n"})
    before = fingerprint(repo.top)
    said = bugsle(repo, "init", "--yes")
    assert said.code == 2 and "pyproject.toml cannot be read" in said.err and "line 2" in said.err
    assert fingerprint(repo.top) == before


@pytest.mark.parametrize(
    "name", ["pyproject.toml", CONFIG, ".github/workflows/bugsle.yml", ".github", "bugsle.toml"]
)
def test_links_are_not_followed(repo: Repo, name: str) -> None:
    """What a link leads to is not ours, and neither read nor written."""
    outside = repo.top.parent / "outside"
    outside.mkdir()
    place = repo.top / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(outside if name == ".github" else outside / "file")
    said = bugsle(repo, "init", "--yes")
    assert said.code == 2 and "is a link" in said.err and list(outside.iterdir()) == []


def test_no_commit_and_no_work_tree_are_errors(tmp_path: Path) -> None:
    """Each says what to do."""
    repo = Repo(tmp_path / "project")
    repo.git("clone", "-q", "--bare", str(repo.top), str(tmp_path / "bare.git"))
    said = bugsle(tmp_path / "bare.git", "init")
    assert said.code == 2 and "a bare repository has no files to write" in said.err
    repo.git("update-ref", "-d", "HEAD")
    said = bugsle(repo, "init")
    assert said.code == 2 and "no commit yet" in said.err


# --- pre-commit's configuration -------------------------------------------------------------------------

_LIST = st.lists(st.sampled_from(["black", "ruff", "x/y"]), min_size=1, max_size=3)


@given(
    repos=_LIST,
    indent=st.sampled_from(["", "  ", "    "]),
    head=st.sampled_from(
        ["", "---\n", "# a comment\n", "fail_fast: true\n", "default_install_hook_types: [pre-commit]\n"]
    ),
    between=st.sampled_from(["", "\n", "# said\n"]),
    tail=st.sampled_from(["", "\n\n", "ci:\n  skip: [a]\n", "# the end\n", "...\n"]),
    end=st.sampled_from(["\n", "\r\n"]),
    cut=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_entry_is_added_to_any_plain_list(
    tmp_path: Path, repos: list[str], indent: str, head: str, between: str, tail: str, end: str, cut: bool
) -> None:
    """YAML reads all that was there as before, then our entry; and again changes nothing."""
    items = "".join(
        f"{indent}- repo: {name}\n{indent}  rev: v1\n{between}{indent}  hooks:\n{indent}  - id: a\n"
        for name in repos
    )
    text = f"{head}repos:  # ours\n{items}{tail}".replace("\n", end)
    text = text.removesuffix(end) if cut else text
    (tmp_path / CONFIG).write_bytes(text.encode())
    proposal = proposals.pre_commit(tmp_path)
    assert proposal.after is not None
    old, new = yaml.safe_load(text), yaml.safe_load(proposal.after)
    *kept, added = new.pop("repos")
    assert kept == old.pop("repos") and [hook["id"] for hook in added["hooks"]] == HOOKS
    types = new.pop("default_install_hook_types")
    assert types == old.pop("default_install_hook_types", ["pre-commit", "commit-msg", "pre-push"])
    assert new == old
    assert ("add commit-msg, pre-push" in proposal.note) == ("hook_types" in head)
    (tmp_path / CONFIG).write_bytes(proposal.after)
    assert proposals.pre_commit(tmp_path).after is None


# --- plain git hooks --------------------------------------------------------------------------------------


def test_git_hooks_are_added_and_none_is_overwritten(repo: Repo) -> None:
    """An existing hook is left alone, and the line to add to it is printed; pre-commit's file is not proposed."""
    place = repo.top / ".git/hooks"
    place.mkdir(exist_ok=True)
    (place / "pre-push").write_text("#!/bin/sh\n", "utf-8")
    said = bugsle(repo, "init", "--git-hooks", "--yes")
    assert said.code == 0 and 'add this line to it: bugsle-check "$@" || exit 1' in said.out
    assert (place / "pre-push").read_text("utf-8") == "#!/bin/sh\n"
    assert os.access(place / "commit-msg", os.X_OK) and os.access(place / "pre-commit", os.X_OK)
    assert "bugsle-commit-msg" in (place / "commit-msg").read_text("utf-8")
    assert not (repo.top / CONFIG).exists()
    before = fingerprint(repo.top)
    assert "calls bugsle already" in bugsle(repo, "init", "--git-hooks", "--yes").out
    assert fingerprint(repo.top) == before


def test_the_users_hooks_folder_is_respected(repo: Repo) -> None:
    """`core.hooksPath` of the repository; one that all repositories share is left alone."""
    repo.git("config", "core.hooksPath", "my hooks")
    assert bugsle(repo, "init", "--git-hooks", "--yes").code == 0
    assert (repo.top / "my hooks/pre-push").is_file()
    repo.git("config", "--unset", "core.hooksPath")
    shared = repo.top.parent / "global"
    shared.write_text(f"[core]\n\thooksPath = {repo.top.parent}/shared\n", "utf-8")
    from repositories import _surroundings, clean_environment

    from pytest_bugsle import cli

    environ = clean_environment(repo.top.parent) | {"GIT_CONFIG_GLOBAL": str(shared)}
    with _surroundings(environ, repo.top) as (_, err):
        code = cli.main(["init", "--git-hooks", "--yes"])
    assert code == 2 and b"global configuration" in err.getvalue() and b'bugsle-check "$@"' in err.getvalue()
    assert not (repo.top.parent / "shared").exists()


def test_a_written_hook_runs_under_git(repo: Repo) -> None:
    """It finds its command on PATH where the one that it was written for is gone, and says so where there is none."""
    from hook_runs import console_scripts

    bugsle(repo, "init", "--git-hooks", "--yes")
    for hook in ("commit-msg", "pre-commit"):
        place = repo.top / f".git/hooks/{hook}"
        name = templates.GIT_HOOKS[hook]
        place.write_text(templates.git_hook(name, f"/nowhere/it's/{name}"), "utf-8")
    repo.write({"src/pkg/a.py": "A = 2\n"})
    repo.git("add", "-A", "src")
    repo._sandbox.clock += 60
    assert "bugsle" not in repo.git("commit", "-q", "-m", "refactor: a", PATH="/usr/bin:/bin")
    repo.write({"src/pkg/a.py": "A = 3\n"})
    repo.git("add", "-A", "src")
    repo._sandbox.clock += 60
    scripts = console_scripts(repo.top.parent / "bin")
    path = os.fspath(Path(__file__).parents[1])
    with pytest.raises(AssertionError, match="BUG101"):
        repo.git("commit", "-q", "-m", "fix: a (#1)", PATH=f"{scripts}:/usr/bin:/bin", PYTHONPATH=path)


def test_hostile_names_are_shown_and_quoted(repo: Repo) -> None:
    """A branch, a folder or a tag that looks like TOML, YAML or an escape stays a name."""
    repo.git("branch", "-q", "-m", "main", "a\"b']x${{y}}")
    repo.commit("x", {"src/pkg/\x1b[31m.py": ""})
    table = written(repo)
    assert table["base"] == "a\"b']x${{y}}"
    workflow = yaml.safe_load(repo.read(".github/workflows/bugsle.yml"))
    assert workflow[True]["push"]["branches"] == ["a\"b']x${{y}}"]
