"""`bugsle dora`: the figures of delivery from a repository's own history."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from git_sandbox import Sandbox

from pytest_bugsle import cli
from pytest_bugsle.results import json_schema

DAY = 86_400
_END = 1_700_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Project(Sandbox):
    """A repository whose clock is counted in days before its end."""

    def at(self, days: float, message: str, *, authored: float | None = None, bot: bool = False) -> str:
        """Commit so many days before the end."""
        self.clock = _END - int(days * DAY)
        env = {"GIT_AUTHOR_DATE": f"{_END - int((authored or days) * DAY)} +0000"}
        env |= {"GIT_AUTHOR_NAME": "dependabot[bot]"} if bot else {}
        self.git("commit", "-q", "--allow-empty", "-m", message, **env)
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, days: float, commit: str = "HEAD") -> None:
        """Put an annotated tag so many days before the end."""
        self.git("tag", "-a", "-m", name, name, commit, GIT_COMMITTER_DATE=f"{_END - int(days * DAY)} +0000")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Give two years: a release long ago, two in the window of which one was taken back, and work that waits."""
    project = Project(tmp_path / "shop")
    project.at(700, "feat: start")
    project.tag("v1.0", 699)
    broken = project.at(110, "feat: cart", authored=120)
    project.at(105, "build: bump", bot=True)
    project.tag("v1.1", 100)
    project.at(92, f'Revert "feat: cart"\n\nThis reverts commit {broken}.')
    project.tag("v1.2", 90)
    project.at(5, "fix: prices")
    project.at(0, "docs: end")
    return project


def run(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> list[str]:
    """Run the command, and give what it prints."""
    assert cli.main(["dora", *map(str, args)]) == code
    return capsys.readouterr().out.splitlines()


def report_of(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> dict[str, Any]:
    """Give the JSON report, held to its schema."""
    out = run(capsys, *args, "--report", "json", code=code)
    report: dict[str, Any] = json.loads("\n".join(out))
    jsonschema.validate(report, json_schema())
    return report


def of(report: dict[str, Any]) -> dict[str, Any]:
    """Give the one repository of a report."""
    (found,) = report["delivery"]["repositories"]
    return dict(found)


def test_a_stranger_reads_the_figures_with_their_n(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eleven lines, each with what it is counted from."""
    lines = run(capsys, "--repo", project.top)
    head = project.git("rev-parse", "HEAD")[:7]
    twenty, ten = (f"{days}.0 days, 9 of 10 below {days}.0 days" for days in (20, 10))
    assert lines == [
        f"shop at {head}, 2022-11-14 to 2023-11-14: 2 releases, 5 commits",
        "  deployment frequency  0.16 in 30 days (2 releases in 365 days; 95 % interval 0.02 to 0.59)",
        f"  lead time             median 5.0 days, half between 2.0 days and {twenty} (n = 3)",
        "  failed                1 of 2 releases (50.0 %; 95 % interval 9.5 to 90.5 %)",
        "    by revert           1 of 2 releases (50.0 %; 95 % interval 9.5 to 90.5 %)",
        "    by explicit         1 of 2 releases (50.0 %; 95 % interval 9.5 to 90.5 %)",
        "    by patch-release    0 of 2 releases (0.0 %; 95 % interval 0.0 to 65.8 %)",
        "    not asked           incident (no record in postmortems/), szz (--szz)",
        f"  recovery              median 10.0 days, half between 10.0 days and {ten} (n = 1)",
        "  rework                1 of 2 releases only repair (50.0 %; 95 % interval 9.5 to 90.5 %)",
        "  guarded               nothing is known of 1 failure (--prove)",
        "  unreleased            2 commits, median age 2.5 days (n = 2)",
    ]


def test_an_earlier_release_takes_what_it_brought(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commit of 700 days ago is in no lead time of the window; over the whole history it is."""
    assert of(report_of(capsys, "--repo", project.top))["lead_time"]["n"] == 3
    whole = of(report_of(capsys, "--repo", project.top, "--since", "1970-01-01"))
    assert (whole["lead_time"]["n"], whole["releases"], whole["commits"]) == (4, 3, 6)
    assert whole["notes"] == [
        "v1.0 is the first deployment that is known: its 1 commit may have gone out before it"
    ]


def test_bots_merges_and_other_lines_are_counted_by_option(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is left out is said."""
    project.git("checkout", "-q", "-b", "old", "v1.1")
    project.at(80, "fix: old line")
    project.tag("v1.1.1", 80)
    project.git("checkout", "-q", "main")
    project.clock = _END
    project.git("merge", "-q", "--no-ff", "-m", "Merge old", "old")
    project.tag("v1.3", 0)
    plain = of(report_of(capsys, "--repo", project.top))
    assert (
        plain["releases"],
        plain["lead_time"]["n"],
        plain["merges"],
        plain["bots"],
        plain["left_out"],
    ) == (4, 6, 1, 1, 1)
    assert of(report_of(capsys, "--repo", project.top, "--merges"))["lead_time"]["n"] == 7
    assert of(report_of(capsys, "--repo", project.top, "--no-bots"))["lead_time"]["n"] == 5
    project.git("update-ref", "--no-deref", "HEAD", "HEAD~1")
    project.git("tag", "-d", "v1.3")
    assert of(report_of(capsys, "--repo", project.top, "--reachable"))["releases"] == 2


def test_until_looks_at_the_past_as_it_was(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What came later is not out yet, and what was written later is not there; a day includes its last second."""
    day = project.git("log", "-1", "--format=%cs", "v1.1^{commit}")
    found = of(report_of(capsys, "--repo", project.top, "--until", day))
    assert (found["releases"], found["unreleased"], found["commits"]) == (0, 2, 2)
    assert found["window"]["until"] == f"{day}T23:59:59Z"


def test_a_tag_on_head_is_in_though_it_is_later_than_its_commit(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release is tagged some seconds after its commit, and the figures of that moment are asked for."""
    project.tag("v2.0", -0.01)
    found = of(report_of(capsys, "--repo", project.top))
    assert (found["releases"], found["unreleased"], found["window"]["end"]) == (3, 0, _END)


def test_one_release_alone_has_no_lead_time(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It holds all that was ever done before it."""
    project.git("tag", "-d", "v1.0", "v1.1")
    report = report_of(capsys, "--repo", project.top)
    assert of(report)["lead_time"] == {
        "n": 0, "median_seconds": None, "mean_seconds": None, "min_seconds": None,
        "p25_seconds": None, "p75_seconds": None, "p90_seconds": None, "negative": 0, "interval": None,
    }  # fmt: skip
    assert "one deployment is known, so there is no lead time" in of(report)["notes"][0]


def test_without_a_release_it_is_undecided_and_names_the_nearest_tags(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is written all the same."""
    (project.top / "pyproject.toml").write_text("[tool.bugsle]\ntag_pattern = 'version-.*'\n")
    report = report_of(capsys, "--repo", project.top, code=3)
    assert report["verdict"] == "undecided"
    assert "matches none of 3 tags; the nearest: v1." in of(report)["notes"][0]


def test_a_shallow_clone_is_undecided_and_gives_no_figure(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to add to the checkout."""
    project.git("clone", "-q", "--depth", "2", project.top.as_uri(), str(tmp_path / "cut"))
    lines = run(capsys, "--repo", tmp_path / "cut", code=3)
    assert lines[0] == "note: cut: the clone is shallow: its history is cut off"
    assert "fetch-depth: 0" in lines[2]
    assert lines[-1] == "UNDECIDED"
    assert report_of(capsys, "--repo", tmp_path / "cut", code=3)["delivery"] == {
        "pooled": None,
        "repositories": [],
    }


def test_several_repositories_are_pooled_and_one_that_is_cut_is_named(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values are put together, no medians averaged."""
    other = Project(tmp_path / "other")
    other.at(50, "feat: one")
    other.tag("v1.0", 40)
    other.at(30, "feat: two")
    other.tag("v1.1", 29)
    other.at(0, "docs: end")
    report = report_of(capsys, "--repo", project.top, "--repo", other.top)
    pooled = report["delivery"]["pooled"]
    assert [one["repository"] for one in report["delivery"]["repositories"]] == ["shop", "other"]
    assert (pooled["releases"], pooled["lead_time"]["n"], pooled["lead_time"]["median_seconds"]) == (
        4,
        5,
        5 * DAY,
    )
    assert pooled["change_failure"]["revert"]["deployments"] == 4
    empty = Sandbox(tmp_path / "empty").top
    lines = run(capsys, "--repo", project.top, "--repo", empty, code=3)
    assert any(line.startswith("note: empty: no data") for line in lines)


def test_the_same_repository_gives_the_same_bytes(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the history and from what was kept of it; the timings alone differ."""
    first, second = (report_of(capsys, "--repo", project.top, "--by", "release") for _ in range(2))
    assert first.pop("timings") is not None
    second.pop("timings")
    assert first == second
    assert [point["period"] for point in of(first)["trend"]] == ["v1.1", "v1.2"]


def test_squash_merges_are_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What came before the merge is in no lead time."""
    for number in range(9):
        project.at(0, f"feat: x (#{number})")
    lines = run(capsys, "--repo", project.top)
    assert (
        lines[-1]
        == "  note: 9 of 14 commits on the mainline are squash merges: lead time begins at the merge"
    )


def test_verify_asks_git(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how many commits it asked for."""
    lines = run(capsys, "--repo", project.top, "--verify", "4")
    assert lines[-1] == "  note: verified: git says the same of 4 random commits"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--since", "yesterday"), "--since 'yesterday' is no date"),
        (("--until", "2026-02-30"), "--until '2026-02-30' is no date"),
        (
            ("--since", "2026-02-02", "--until", "2026-02-01"),
            "--since 2026-02-02 comes after --until 2026-02-01",
        ),
    ],
)
def test_a_window_that_is_none_is_wrong_usage(
    project: Project, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], message: str
) -> None:
    """It says what to type."""
    assert cli.main(["dora", "--repo", str(project.top), *args]) == 2
    assert message in capsys.readouterr().err


def test_a_pattern_that_is_none_is_wrong_usage(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the key."""
    (project.top / "pyproject.toml").write_text("[tool.bugsle]\ntag_pattern = '('\n")
    assert cli.main(["dora", "--repo", str(project.top)]) == 2
    assert "tag_pattern: '(' is no regular expression" in capsys.readouterr().err


def test_a_hostile_tag_is_shown_and_not_sent(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of tags are written by strangers."""
    head = project.git("rev-parse", "HEAD")
    with (project.top / ".git" / "packed-refs").open("ab") as file:
        file.write(head.encode() + " refs/tags/v2.0\u202ex".encode() + b"\xff\n")
    os.environ["BUGSLE_TAG_PATTERN"] = "v.*"
    try:
        lines = run(capsys, "--repo", project.top, "--by", "release", "-v")
        report_of(capsys, "--repo", project.top, "--by", "release")
    finally:
        del os.environ["BUGSLE_TAG_PATTERN"]
    assert any("v2.0\\u202ex\\xff" in line for line in lines)
