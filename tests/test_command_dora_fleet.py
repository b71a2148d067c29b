"""Many repositories: `bugsle dora --repos`, `--jobs`, `--parquet` and `--devlake`."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from git_sandbox import Sandbox

from pytest_bugsle import cli
from pytest_bugsle.delivery import fleet
from pytest_bugsle.delivery.export import origin_url
from pytest_bugsle.delivery.figures import Wanted
from pytest_bugsle.delivery.fleet import Found, Job, Say, look_at_all
from pytest_bugsle.delivery.tables import TABLES
from pytest_bugsle.git.repository import Repository

DAY = 86_400
_END = 1_700_000_000
PAGE = Path(__file__).resolve().parents[1] / "docs" / "delivery-fleet.md"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def project(top: Path, releases: int = 3) -> Sandbox:
    """Give a repository with a release every ten days, of which the first is taken back by the second."""
    sandbox = Sandbox(top)
    first = ""
    for number in range(releases):
        sandbox.clock = _END - (100 - 10 * number) * DAY
        message = f'Revert "x"\n\nThis reverts commit {first}.' if number == 1 else f"feat: {number}"
        sandbox.git("commit", "-q", "--allow-empty", "-m", message)
        first = first or sandbox.git("rev-parse", "HEAD")
        sandbox.clock += DAY
        sandbox.git("tag", "-a", "-m", "x", f"v1.{number}")
    sandbox.clock = _END
    sandbox.git("commit", "-q", "--allow-empty", "-m", "docs: end")
    return sandbox


def die(job: Job, say: Say) -> Found:
    """End the process as a lack of memory does."""
    os._exit(9)


def stumble(job: Job, say: Say) -> Found:
    """Fail as a mistake of ours does."""
    raise ZeroDivisionError("by zero")


def run(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> dict[str, Any]:
    """Run the command, and give its JSON report."""
    found = cli.main(["dora", *map(str, args), "--report", "json"])
    out, err = capsys.readouterr()
    assert found == code, err
    report: dict[str, Any] = json.loads(out) if out else {"err": err}
    report.pop("timings", None)
    return report


def test_a_list_of_repositories_is_read_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments, empty lines, a byte order mark and doubles are nothing; paths are relative to the file."""
    for name in ("b", "a"):
        project(tmp_path / "all" / name)
    listed = tmp_path / "all" / "repos.txt"
    listed.write_bytes(b"\xef\xbb\xbf# ours\r\n\r\n  b  \r\na\r\nb\r\n")
    report = run(capsys, "--repos", listed)
    assert [one["repository"] for one in report["delivery"]["repositories"]] == ["b", "a"]
    assert report["delivery"]["pooled"]["releases"] == 6
    monkeypatch.chdir(tmp_path / "all")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    report = run(capsys, "--repos", "-")
    assert [one["repository"] for one in report["delivery"]["repositories"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"# none\n", "names no repository"), (b"a\0b\n", "a zero byte")],
)
def test_a_list_that_names_nothing_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    """With what to write instead."""
    listed = tmp_path / "repos.txt"
    if content is not None:
        listed.write_bytes(content)
    err = run(capsys, "--repos", listed, code=2)["err"]
    assert said in err and "one path a line" in err


def test_one_that_fails_is_named_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is the first of 4, 2, 1 and 3; what was found of the others is there."""
    good, bad = project(tmp_path / "good"), project(tmp_path / "bad")
    (bad.top / "pyproject.toml").write_text("[tool.bugsle]\nnonsense = 1\n", encoding="utf-8")
    (tmp_path / "none").mkdir()
    empty = Sandbox(tmp_path / "empty").top
    args = [arg for each in (tmp_path / "none", bad.top, empty, good.top) for arg in ("--repo", each)]
    report = run(capsys, *args, code=2)
    assert [one["repository"] for one in report["delivery"]["repositories"]] == ["good"]
    assert report["verdict"] == "undecided"
    starts = [note.partition(":")[0] for note in report["notes"]]
    assert starts == ["none", "bad", "empty"]
    assert "unknown key 'nonsense'" in report["notes"][1]
    assert "unknown key" in run(capsys, "--repo", bad.top, code=2)["err"]


def test_processes_and_one_process_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the list, whoever is done first."""
    for number in range(4):
        project(tmp_path / f"p{number}", 2 + number % 2)
    Sandbox(tmp_path / "p9")
    listed = tmp_path / "repos.txt"
    listed.write_text("p0\np1\np9\np2\np3\n", encoding="utf-8")
    alone = run(capsys, "--repos", listed, "--jobs", "1", code=3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setattr(fleet, "LEAST_FOR_A_POOL", 4)
    for number in range(4):
        (tmp_path / f"p{number}" / ".bugsle" / "cache.db").unlink()
    assert run(capsys, "--repos", listed, "--jobs", "2", code=3) == alone


def test_a_process_that_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the command goes on to say what it has."""
    monkeypatch.setattr(fleet, "LEAST_FOR_A_POOL", 2)
    jobs = [Job(f"p{number}", project(tmp_path / f"p{number}").top, Wanted()) for number in range(2)]
    found = list(look_at_all(die, jobs, 2))
    assert [one.name for one in found] == ["p0", "p1"]
    assert all(one.code == 4 and "--jobs 1" in one.error for one in found)


def test_a_mistake_of_ours_costs_one_repository(tmp_path: Path) -> None:
    """Of many; of one alone it is shown whole."""
    jobs = [Job(f"p{number}", project(tmp_path / f"p{number}").top, Wanted()) for number in range(2)]
    found = list(look_at_all(stumble, jobs))
    assert [(one.code, one.error) for one in found] == [(4, "ZeroDivisionError: by zero")] * 2
    with pytest.raises(ZeroDivisionError):
        list(look_at_all(stumble, jobs[:1]))


def test_the_tables_have_the_documented_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file a repository and head; a name cannot climb out of the folder."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is of the extra `tables`")
    for name in ("%2e..", "x;é"):
        project(tmp_path / "all" / name)
    out = tmp_path / "out"
    run(capsys, "--repo", tmp_path / "all" / "%2e..", "--repo", tmp_path / "all" / "x;é", "--parquet", out)
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert len(files) == 6 and all(
        re.fullmatch(r"\w+/[\w%.-]+@[0-9a-f]{12}\.parquet", file) for file in files
    )
    for table, columns in TABLES.items():
        paths = [path for path in files if path.startswith(f"{table}/")]
        assert len(paths) == 2
        assert parquet.read_schema(out / paths[0]).names == list(columns)
    first = parquet.read_table(out / next(path for path in files if path.startswith("failures/"))).to_pylist()
    assert [(row["rung"], row["deployment"], row["fixed_in"]) for row in first] == [
        ("explicit", "v1.0", "v1.1")
    ]


def test_the_documented_queries_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As they stand in the page, over a real export; an older head of a repository counts once."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb reads the tables")
    pytest.importorskip("pyarrow.parquet", reason="pyarrow is of the extra `tables`")
    shop = project(tmp_path / "shop")
    project(tmp_path / "other")
    args = ("--repo", shop.top, "--repo", tmp_path / "other", "--parquet", tmp_path / "delivery")
    run(capsys, *args)
    shop.clock += DAY
    shop.git("commit", "-q", "--allow-empty", "-m", "docs: more")
    run(capsys, *args)
    queries = re.findall(r"```text\n(WITH .*?;)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(queries) == 2
    waits, failures = (
        duckdb.sql(query.replace("'delivery/", f"'{tmp_path}/delivery/")).fetchall() for query in queries
    )
    assert {row[0]: row[1] for row in waits} == {"other": 3, "shop": 3}
    assert {row[2] for row in waits} == {1.0}
    assert [(row[1], row[2]) for row in failures] == [(2, 2), (2, 0), (2, 0)] or sum(
        row[1] for row in failures
    ) == 6
    assert sum(row[2] for row in failures) == 2


def test_without_the_extra_its_name_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any work."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    err = run(capsys, "--repo", project(tmp_path / "shop").top, "--parquet", tmp_path / "out", code=2)["err"]
    assert "--parquet needs pyarrow" in err and "pip install 'pytest-bugsle[tables]'" in err
    assert not (tmp_path / "out").exists()


def test_devlakes_webhooks_get_what_they_ask_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The required keys, an incident a second after its deployment, and no password of the remote."""
    shop = project(tmp_path / "shop")
    shop.git("remote", "add", "origin", "https://user:secret@git.example.org/shop.git?x=1")
    run(capsys, "--repo", shop.top, "--devlake", tmp_path / "lake")
    deployments, issues = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in sorted((tmp_path / "lake").iterdir())
    )
    assert [one["name"] for one in deployments] == ["v1.0", "v1.1", "v1.2"]
    for one in deployments:
        assert one.keys() >= {"id", "startedDate", "finishedDate", "deploymentCommits"}
        (commit,) = one["deploymentCommits"]
        assert commit["repoUrl"] == "https://git.example.org/shop.git"
        assert commit.keys() >= {"commitSha", "startedDate", "finishedDate", "refName"}
    (issue,) = issues
    assert issue.keys() >= {"issueKey", "title", "status", "originalStatus", "createdDate", "type"}
    assert (issue["status"], issue["type"]) == ("DONE", "INCIDENT")
    assert deployments[0]["startedDate"] < issue["createdDate"] < deployments[1]["startedDate"]
    assert issue["resolutionDate"] == deployments[1]["startedDate"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("https://t0ken@example.org/a/b#x", "https://example.org/a/b"),
        ("ssh://git@example.org:22/a", "ssh://example.org:22/a"),
    ],
)
def test_a_remote_is_named_without_its_secrets(tmp_path: Path, url: str, shown: str) -> None:
    """A token in a URL is a password."""
    sandbox = Sandbox(tmp_path / "shop")
    if url:
        sandbox.git("config", "remote.origin.url", url)
    with Repository.open(sandbox.top) as repo:
        assert origin_url(repo) == shown


def test_a_place_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its path."""
    (tmp_path / "lake").mkdir()
    shop = project(tmp_path / "shop")
    head = shop.git("rev-parse", "HEAD")[:12]
    (tmp_path / "lake" / f"shop@{head}.deployments.jsonl").mkdir()
    err = run(capsys, "--repo", shop.top, "--devlake", tmp_path / "lake", code=2)["err"]
    assert "cannot be written" in err and "name a folder that can be written" in err
