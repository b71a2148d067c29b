"""Components of a repository that releases several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.command import dora
from pytest_bugsle.delivery.components import components, paths_of, tags_of
from pytest_bugsle.errors import UsageError

_DAY = 86_400


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give two packages: core waits a day for its release, cli two; a side branch changes core, too."""
    sandbox = Sandbox(tmp_path / "shop")

    def change(path: str, text: str, message: str, *tags: str, days: float = 0) -> str:
        made = sandbox.commit({path: text}, message)
        for tag in tags:
            sandbox.clock += int(days * _DAY)
            sandbox.git("tag", "-a", "-m", tag, tag)
        return made

    change("packages/core/a.py", "1", "feat: core\n", "core@1.0.0")
    change("packages/cli/a.py", "1", "feat: cli\n", "cli@1.0.0")
    change("packages/core/a.py", "2", "feat: more\n")
    sandbox.git("checkout", "-qb", "side")
    change("packages/core/b.py", "1", "feat: on the side\n")
    sandbox.git("checkout", "-q", "main")
    change("packages/cli/a.py", "2", "fix: cli\n")
    sandbox.clock += 60
    sandbox.git("merge", "-q", "--no-ff", "-m", "Merge side", "side")
    sandbox.clock += _DAY
    sandbox.git("tag", "-a", "-m", "core", "core@1.1.0")
    sandbox.clock += _DAY
    sandbox.git("tag", "-a", "-m", "cli", "cli@1.0.1")
    change("README.md", "words", "docs: words\n")
    change("packages/core/a.py", "3", "feat: not out yet\n")
    return sandbox


def figures(sandbox: Sandbox, tmp_path: Path, *args: str) -> list[dict[str, object]]:
    """Run the command over the whole history and give the rows of its report."""
    report = tmp_path / "report.json"
    asked = ["--repo", str(sandbox.top), "--since", "1970-01-01", "--report", f"json:{report}", *args]
    CliRunner().invoke(dora, asked, catch_exceptions=False)
    rows: list[dict[str, object]] = json.loads(report.read_bytes())["delivery"]["repositories"]
    return rows


def lead(row: dict[str, object]) -> dict[str, int]:
    """Give a row's lead time."""
    found = row["lead_time"]
    assert isinstance(found, dict)
    return found


@given(
    st.lists(st.from_regex(r"[a-z]{2,6}", fullmatch=True).filter(lambda name: name != "rc"), unique=True),
    st.sampled_from(["@", "/v", "-", "-v", "=="]),
)
def test_each_tag_is_of_the_component_that_a_pattern_names(names: list[str], between: str) -> None:
    """However the version is set off."""
    tags = [f"{name}{between}{minor}.0" for name in names for minor in (1, 2)]
    pattern = rf"(?P<component>[a-z]+){between}[\d.]+"
    assert components(tags, pattern) == {
        name: {f"{name}{between}1.0", f"{name}{between}2.0"} for name in names
    }


def test_without_a_pattern_the_words_before_final_versions_are_components() -> None:
    """Candidates are no releases, and `v` and `release` are no names."""
    tags = ["v1.0", "release-2.0", "core@1.0.0", "core@1.1.0rc1", "cli/v1.0.0", "Cli/v2.0.0", "notes"]
    assert components(tags) == {"core": {"core@1.0.0"}, "cli": {"cli/v1.0.0", "Cli/v2.0.0"}}


def test_a_component_that_is_none_has_its_nearest_named() -> None:
    """A slip is near."""
    with pytest.raises(UsageError, match="--component coer: no release tag") as caught:
        tags_of("coer", ["core@1.0", "cli@1.0", "zebra@1.0"])
    assert "the nearest: core" in caught.value.hint


def test_a_pattern_must_say_which_part_is_the_component() -> None:
    """Else all tags would be of each."""
    with pytest.raises(UsageError, match="does not say which part is the component"):
        tags_of("core", ["core@1.0"], r"[a-z]+@[\d.]+")


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("core", ("packages/core",)),
        ("my-lib", ("libs/my_lib",)),
        ("@scope/core", ("packages/core",)),
        ("twice", ("a/twice", "b/twice")),
    ],
)
def test_the_highest_folders_of_the_name_are_its_paths(component: str, expected: tuple[str, ...]) -> None:
    """Case and the sign between words play no part."""
    folders = ["packages", "packages/core", "packages/core/core", "libs", "libs/my_lib", "a/twice", "b/twice"]
    assert paths_of(component, folders) == expected


def test_the_settings_go_before_the_folders_and_no_path_is_an_error() -> None:
    """It says what to write."""
    assert paths_of("core", ["core"], {"core": ("x", "y")}) == ("x", "y")
    with pytest.raises(UsageError, match="no folder has its name") as caught:
        paths_of("core", ["cli"])
    assert '"core" = ["path/to/it"]' in caught.value.hint


def test_a_component_has_its_own_releases_and_the_commits_of_its_paths(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Those of a side branch among them; what was not released of it waits."""
    (row,) = figures(sandbox, tmp_path, "--component", "core")
    assert (row["repository"], row["component"]) == ("shop/core", "core")
    assert (row["releases"], row["commits"], row["unreleased"]) == (2, 5, 1)  # with the merge
    assert lead(row)["n"] == 3
    # feat: core goes out at once, the other two a day after the merge, which is 120 and 180 seconds after them.
    assert lead(row)["median_seconds"] == _DAY + 120
    assert row["history"]["commits"] == 5  # type: ignore[index]


def test_every_component_is_a_row_and_all_are_pooled(sandbox: Sandbox, tmp_path: Path) -> None:
    """Cli's release contains core's commits, and ships none of them."""
    core, cli = sorted(
        figures(sandbox, tmp_path, "--components"), key=lambda row: str(row["component"]), reverse=True
    )
    assert (cli["component"], cli["releases"], cli["commits"], lead(cli)["n"]) == ("cli", 2, 2, 2)
    assert core["component"] == "core"
    said = CliRunner().invoke(
        dora, ["--repo", str(sandbox.top), "--since", "1970-01-01", "--components"], catch_exceptions=False
    )
    assert "all 2 components together, pooled: 4 releases, 7 commits" in said.output
    assert "component core: 5 commits changed packages/core" in said.output


def test_a_failure_is_one_of_the_component_that_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    """A revert in core says nothing of cli."""
    target = sandbox.git("log", "--format=%H", "-1", "--grep=feat: more")
    sandbox.commit({"packages/core/a.py": "4"}, f'Revert "feat: more"\n\nThis reverts commit {target}.\n')
    sandbox.clock += 60
    sandbox.git("tag", "-a", "-m", "core", "core@1.2.0")
    sandbox.clock += 30 * _DAY
    sandbox.commit({"packages/core/a.py": "5", "packages/cli/a.py": "5"}, "feat: later\n")
    failed = {
        row["component"]: row["change_failure"]["explicit"]["failed"]  # type: ignore[index]
        for row in figures(sandbox, tmp_path, "--components")
    }
    assert failed == {"core": 1, "cli": 0}


def test_an_incident_counts_for_the_component_that_it_names(sandbox: Sandbox, tmp_path: Path) -> None:
    """One that names none may be of any, and no name of another component is a slip."""
    sandbox.commit(
        {
            "postmortems/1.md": "---\nstarted: 2023-11-17\ncaused_by: core@1.1.0\n---\n",
            "postmortems/2.md": "---\nstarted: 2023-11-17\n---\n",
            ".bugsle/failures.toml": '[[reject]]\ncause = "core@1.0.0"\nreason = "planned"\n',
        },
        "docs: what went wrong\n",
    )
    sandbox.clock += 30 * _DAY
    sandbox.commit({"packages/core/a.py": "5", "packages/cli/a.py": "5"}, "feat: later\n")
    rows = {row["component"]: row for row in figures(sandbox, tmp_path, "--components")}
    found = {name: [one["rung"] for one in row["failures"]] for name, row in rows.items()}  # type: ignore[attr-defined]
    assert found["core"].count("incident") == 1
    assert "incident" not in found["cli"]
    assert not any(".toml" in note or ".md" in note for row in rows.values() for note in row["notes"])  # type: ignore[attr-defined]


def test_the_paths_of_the_settings_decide(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also for a tag pattern with a group; a path is no pattern."""
    table = (
        "tag_pattern = '(?P<component>[a-z]+)@[0-9.]+'\n[components]\ncore = ['README.md', 'packages/c*']\n"
    )
    (sandbox.top / "bugsle.toml").write_text(table)
    (row,) = figures(sandbox, tmp_path, "--component", "core")
    assert (row["releases"], row["commits"]) == (2, 1)


def test_the_folders_and_why_are_of_the_component_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    """What others change waits for others."""
    (row,) = figures(sandbox, tmp_path, "--component", "cli", "--why")
    causes = row["causes"]
    assert isinstance(causes, dict)
    assert causes["whole"]["n"] == 2


def test_tags_of_components_alone_are_said(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without the option they are releases of nothing."""
    said = CliRunner().invoke(dora, ["--repo", str(sandbox.top)]).output
    assert "the tags release components, cli, core: --components shows each" in said


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--component", "core", "--components"), "give either --component or --components"),
        (("--component", "core", "--mainline"), "the releases of a component are its tags"),
        (("--component", "core", "--devlake", "out"), "tables are of whole repositories"),
        (("--component", "cores"), "no release tag is of that component"),
    ],
)
def test_what_contradicts_itself_is_an_error(sandbox: Sandbox, args: tuple[str, ...], message: str) -> None:
    """It says which."""
    done = CliRunner().invoke(dora, ["--repo", str(sandbox.top), *args])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
