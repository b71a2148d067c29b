"""The ladder of evidence, end to end on real repositories: rungs, sources, overruling, and what is told of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from repositories import RIGHT, WRONG, Repo, bugsle, guard
from test_command_dora import _END, DAY, Project, of, report_of, run

from pytest_bugsle import cli, deliveries
from pytest_bugsle.delivery import sources
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.record import ledger
from pytest_bugsle.stats.intervals import wilson

RUNGS = ["revert", "incident", "explicit", "patch-release", "szz", "any"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    """Give five releases: 1.1.0 is taken back by its title, 1.2.0 is patched after three days, 1.3.0 is fine."""
    shop = Project(tmp_path / "shop")
    shop.at(200, "feat: start")
    shop.tag("v1.0.0", 199)
    shop.at(150, "Add a cart (#7)")
    shop.tag("v1.1.0", 149)
    shop.at(140, 'Revert "Add a cart"')
    shop.at(139, "feat: baskets")
    shop.tag("v1.2.0", 138)
    shop.at(136, "fix: baskets leak")
    shop.tag("v1.2.1", 135)
    shop.at(20, "feat: orders")
    shop.tag("v1.3.0", 19)
    shop.at(0, "docs: end")
    return shop


def rungs(found: dict[str, Any]) -> dict[str, tuple[int, int] | None]:
    """Give failed and all deployments of each rung; None where it was not asked."""
    return {
        rung: (rate["failed"], rate["deployments"]) if rate["asked"] else None
        for rung, rate in found["change_failure"].items()
    }


def write(project: Project, path: str, text: str) -> None:
    """Write a file and commit it at the end."""
    (project.top / path).parent.mkdir(exist_ok=True)
    (project.top / path).write_text(text, encoding="utf-8")
    project.git("add", "-f", path)
    project.clock = _END
    project.git("commit", "-q", "-m", "docs: records")


def iso(days: float) -> str:
    """Give a time so many days before the end."""
    return str(_END - int(days * DAY))


def test_each_rung_has_its_own_count_and_all_together_count_a_release_once(
    shop: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A title is evidence enough for `explicit`, and none for `revert`; what nobody asked has no rate."""
    found = of(report_of(capsys, "--repo", shop.top))
    assert list(found["change_failure"]) == RUNGS
    assert rungs(found) == {
        "revert": (0, 5),
        "incident": None,
        "explicit": (1, 5),
        "patch-release": (1, 5),
        "szz": None,
        "any": (2, 5),
    }
    assert found["change_failure"]["any"]["rate"] == 0.4
    assert found["change_failure"]["any"]["interval"] == list(wilson(2, 5))
    assert found["change_failure"]["incident"]["rate"] is None
    assert [found["recovery"][rung]["median_seconds"] for rung in ("explicit", "patch-release", "any")] == [
        11 * DAY,
        3 * DAY,
        7 * DAY,
    ]
    assert (found["rework"]["reworked"], found["rework"]["deployments"]) == (1, 5)


def test_every_link_is_listed_with_its_cause_fix_and_evidence(
    shop: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the report, and by --explain in words, of all releases or of one."""
    explicit, patch = of(report_of(capsys, "--repo", shop.top))["failures"]
    cart, undo, leak = (
        shop.git("log", "--format=%H", "-1", f"--grep={text}") for text in ("a cart (#7)", "Revert", "leak")
    )
    assert (explicit["rung"], explicit["deployment"], explicit["cause"], explicit["fix"]) == (
        "explicit",
        "v1.1.0",
        cart,
        undo,
    )
    assert (explicit["fixed_in"], explicit["guarded"], explicit["counted"]) == ("v1.2.0", "unknown", True)
    assert "whose title its message quotes" in explicit["evidence"]
    assert (patch["deployment"], patch["cause"], patch["fix"], patch["fixed_in"]) == (
        "v1.2.0",
        None,
        leak,
        "v1.2.1",
    )
    lines = run(capsys, "--repo", shop.top, "-q", "--explain")
    start = lines.index("failures in shop: 2")
    assert lines[start + 1 : start + 3] == [
        "  v1.1.0",
        f"    explicit       {cart[:7]}, mended in v1.2.0 by {undo[:7]}, unknown",
    ]
    one = run(capsys, "--repo", shop.top, "--explain", "v1.2.0")
    assert any("v1.2.1, a patch of the same line, followed v1.2.0 after 3.0 days" in line for line in one)
    assert "failures of v1.2.0 in shop: 1" in one and not any("v1.1.0" in line for line in one[-3:])
    assert run(capsys, "--repo", shop.top, "--explain", "v1.3.0")[-1].endswith("shop: none is known")
    assert cli.main(["dora", "--repo", str(shop.top), "--explain", "v1.2.9"]) == 2
    assert "the nearest: v1.2." in capsys.readouterr().err


def test_a_young_release_is_on_no_rung_but_revert(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It can hardly have failed yet; that it did is told beside the rates."""
    broken = shop.at(3, "feat: pay")
    shop.tag("v1.4.0", 3)
    shop.at(2, f'Revert "feat: pay"\n\nThis reverts commit {broken}.')
    shop.tag("v1.5.0", 2)
    shop.at(0, "docs: end")
    report = of(report_of(capsys, "--repo", shop.top, "--by", "release"))
    assert (rungs(report)["revert"], rungs(report)["any"]) == ((1, 7), (2, 5))
    assert (report["young"], report["young_failed"]) == (2, 1)
    assert [each["counted"] for each in report["failures"]] == [True, True, False]
    last = report["trend"][-2]["change_failure"]
    assert (last["revert"]["deployments"], last["any"]["deployments"], last["any"]["rate"]) == (1, 0, None)
    lines = run(capsys, "--repo", shop.top)
    assert "    too young to count  2 releases, 1 of them failed already" in lines


def test_the_past_is_judged_by_what_was_known_then(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A revert that came later is not heard."""
    day = shop.git("log", "--format=%cs", "-1", "v1.1.0")
    found = of(report_of(capsys, "--repo", shop.top, "--until", f"{day}T23:59:59+00:00"))
    assert found["failures"] == []
    later = shop.git("log", "--format=%cI", "-1", "--grep=Revert")
    (waits,) = of(report_of(capsys, "--repo", shop.top, "--until", later))["failures"]
    assert (waits["deployment"], waits["fixed_in"]) == ("v1.1.0", None)
    lines = run(capsys, "--repo", shop.top, "--until", later, "--explain")
    assert any(f"not mended yet, {waits['fix'][:7]} waits" in line for line in lines)


def test_what_happened_later_takes_nothing_back(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A revert that was taken back after the window's end still holds in it; an incident had not begun."""
    broken = shop.at(18, "feat: pay")
    shop.tag("v1.4.0", 17)
    (shop.top / "postmortems").mkdir()
    (shop.top / "postmortems" / "one.md").write_text(RECORD.format(iso(10), "", "1.0.0", ""))
    shop.git("add", "postmortems")
    undo = shop.at(8, f'Revert "feat: pay"\n\nThis reverts commit {broken}.')
    shop.at(7, f'Revert "Revert "feat: pay""\n\nThis reverts commit {undo}.')
    shop.tag("v1.5.0", 6)
    shop.at(0, "docs: end")
    found = of(report_of(capsys, "--repo", shop.top))
    assert {each["deployment"] for each in found["failures"]} == {"v1.0.0", "v1.1.0", "v1.2.0"}
    then = shop.git("log", "-1", "--format=%cI", undo)
    before = of(report_of(capsys, "--repo", shop.top, "--until", then))
    assert {each["deployment"] for each in before["failures"]} == {"v1.0.0", "v1.1.0", "v1.2.0", "v1.4.0"}
    early = shop.git("log", "-1", "--format=%cI", "v1.4.0^{commit}")
    assert "v1.0.0" not in {
        each["deployment"] for each in of(report_of(capsys, "--repo", shop.top, "--until", early))["failures"]
    }


RECORD = (
    "---\nstarted: {}\nresolved: {}\nseverity: high\ncaused_by: {}\nfixed_by: {}\n---\n# It stood still\n"
)


def test_incident_records_are_read_from_the_commit_and_not_from_the_work_tree(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same commits give the same figures, in a bare clone too; recovery runs from the start of the incident."""
    write(shop, "postmortems/one.md", RECORD.format(iso(18), iso(17), "1.3.0", ""))
    (shop.top / "postmortems" / "two.md").write_text("---\nstarted: never\n---\n")
    found = of(report_of(capsys, "--repo", shop.top))
    assert rungs(found)["incident"] == (1, 5) and rungs(found)["any"] == (3, 5)
    assert found["recovery"]["incident"] == {
        **found["recovery"]["incident"],
        "n": 1,
        "median_seconds": DAY,
        "open": 0,
    }
    shop.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    assert of(report_of(capsys, "--repo", tmp_path / "bare.git"))["change_failure"] == found["change_failure"]


def test_an_incident_that_names_what_is_not_here_is_said(
    shop: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the nearest names; a record without a front matter is none."""
    write(shop, "postmortems/one.md", RECORD.format(iso(18), iso(17), "1.9.9", ""))
    write(shop, "postmortems/README.md", "# How we write them\n")
    found = of(report_of(capsys, "--repo", shop.top))
    assert rungs(found)["incident"] == (0, 5)
    assert "postmortems/one.md: `caused_by` 1.9.9 names no commit and no deployment" in found["notes"][0]


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("postmortems/a.md", "---\nstarted: soon\n---\n", "postmortems/a.md:2: `started`: 'soon' is no time"),
        (".bugsle/failures.toml", "[[rejct]]\n", ".bugsle/failures.toml: 'rejct' is not known here"),
    ],
)
def test_a_malformed_record_is_wrong_usage_with_file_and_line(
    shop: Project, capsys: pytest.CaptureFixture[str], path: str, text: str, said: str
) -> None:
    """It is not guessed at."""
    write(shop, path, text)
    assert cli.main(["dora", "--repo", str(shop.top)]) == 2
    assert said in capsys.readouterr().err


def test_a_link_is_overruled_by_a_committed_file(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Rejected links go, added ones come, and an entry that changes nothing is said."""
    write(
        shop,
        ".bugsle/failures.toml",
        '[[reject]]\ncause = "1.2.0"\nreason = "planned"\n'
        '[[add]]\ncause = "1.3.0"\nreason = "by phone"\n'
        '[[reject]]\ncause = "1.0.0"\nreason = "a slip"\n',
    )
    found = of(report_of(capsys, "--repo", shop.top))
    assert rungs(found)["explicit"] == (2, 5) and rungs(found)["patch-release"] == (0, 5)
    assert found["recovery"]["any"]["open"] == 1
    assert "no link from 1.0.0 is found that it could reject" in found["notes"][0]
    assert any("1 not mended yet" in line for line in run(capsys, "--repo", shop.top))


def rows(shop: Project, *statuses: str) -> str:
    """Give a file of deployments, of the five releases."""
    lines = ["time,commit,environment,status,name"]
    for number, status in enumerate(statuses):
        tag = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.2.1", "v1.3.0")[number]
        commit = shop.git("rev-parse", f"{tag}^{{commit}}")
        lines.append(f"{iso(100 - 10 * number)},{commit[:12]},Production,{status},web-{number}")
    lines.append(f"{iso(5)},{shop.git('rev-parse', 'HEAD')},staging,success,")
    return "\n".join(lines)


def test_a_file_of_deployments_takes_the_place_of_the_tags(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recorded failure is an incident, without a version there is no patch release, and only production counts."""
    path = tmp_path / "deployments.csv"
    path.write_text(rows(shop, "success", "failed", "success", "pending", "success"))
    report = of(report_of(capsys, "--repo", shop.top, "--deployments", path, "--by", "release"))
    assert [point["period"] for point in report["trend"]] == ["web-0", "web-1", "web-2", "web-4"]
    assert (report["deployed_by"], report["releases"]) == ("file", 4)
    assert rungs(report) == {**rungs(report), "incident": (1, 4), "explicit": (1, 4), "patch-release": None}
    assert report["recovery"]["incident"]["median_seconds"] == 10 * DAY
    assert any("other environments: staging (1)" in note for note in report["notes"])
    head, *_ = run(capsys, "--repo", shop.top, "--deployments", path)
    assert "4 deployments, " in head
    path.write_text(rows(shop, "success"))
    assert of(report_of(capsys, "--repo", shop.top, "--deployments", path))["releases"] == 1
    staged = of(report_of(capsys, "--repo", shop.top, "--deployments", path, "--environment", "staging"))
    assert staged["releases"] == 1


def test_a_setting_names_the_file_and_stays_in_the_repository(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commits that no tag contains are read with it; --mainline goes before it."""
    shop.git("checkout", "-q", "-b", "side", "v1.0.0")
    aside = shop.at(90, "feat: aside")
    shop.git("checkout", "-q", "main")
    data = {"time": int(iso(80)), "commit": aside, "environment": "prod"}
    (shop.top / "out.jsonl").write_text(json.dumps(data) + "\n")
    settings = shop.top / "bugsle.toml"
    settings.write_text('deployments = "out.jsonl"\nenvironment = "prod"\n')
    found = of(report_of(capsys, "--repo", shop.top))
    assert (found["releases"], found["history"]["unreachable"]) == (1, 1)
    assert of(report_of(capsys, "--repo", shop.top, "--mainline"))["deployed_by"] == "mainline"
    (tmp_path / "beyond.csv").write_text("time,commit\n")
    settings.write_text('deployments = "../beyond.csv"\n')
    assert cli.main(["dora", "--repo", str(shop.top)]) == 2
    assert "lies outside of the repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("time,comit\n1,2\n", "d.csv:1: `commit`: the header has 'time', 'comit' (is it 'comit'?)"),
        ("time,commit\nnever,1234567\n", "d.csv:2: `time`: 'never' is no time"),
        (None, "d.csv cannot be read"),
    ],
)
def test_a_malformed_file_of_deployments_is_wrong_usage(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    """File, line and field are named."""
    path = tmp_path / "d.csv"
    if content is not None:
        path.write_text(content)
    assert cli.main(["dora", "--repo", str(shop.top), "--deployments", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_a_file_without_a_commit_of_ours_is_undecided(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No figure stands for it."""
    path = tmp_path / "d.csv"
    path.write_text(f"time,commit\n{iso(9)},{'1' * 40}\n")
    found = of(report_of(capsys, "--repo", shop.top, "--deployments", path, code=3))
    assert found["notes"][-1].endswith("d.csv has no deployment of a commit that is here")


def test_the_mainline_deploys_with_each_of_its_commits(
    shop: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a branch brought went out with its merge."""
    shop.git("checkout", "-q", "-b", "topic")
    shop.at(15, "feat: one")
    shop.at(14, "feat: two")
    shop.git("checkout", "-q", "main")
    shop.clock = _END + DAY
    shop.git("merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    found = of(report_of(capsys, "--repo", shop.top, "--mainline", "--by", "release"))
    merge = next(point for point in found["trend"] if point["start"] == _END + DAY)
    assert (found["releases"], merge["lead_time"]["n"]) == (8, 2)
    assert rungs(found)["explicit"] == (1, 6) and rungs(found)["patch-release"] is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--mainline", "--deployments", "x"), "give either --mainline or --deployments"),
        (("--mainline", "--verify", "3"), "--verify asks git about tags"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(
    shop: Project, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    """Neither wins in silence."""
    assert cli.main(["dora", "--repo", str(shop.top), *args]) == 2
    assert said in capsys.readouterr().err


def test_a_clone_without_files_says_what_it_cannot_read(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures are there, and are kept; only the records and the blame are missing."""
    write(shop, "postmortems/one.md", RECORD.format(iso(18), iso(17), "1.3.0", ""))
    shop.git("config", "uploadpack.allowFilter", "true")
    to = tmp_path / "partial.git"
    shop.git("clone", "-q", "--bare", "--filter=tree:0", shop.top.as_uri(), str(to))
    for _ in range(2):
        found = of(report_of(capsys, "--repo", to))
        assert rungs(found)["incident"] is None and rungs(found)["any"] == (2, 5)
        assert found["notes"][0].startswith("HEAD's files were not fetched")


@pytest.fixture
def traced(tmp_path: Path) -> Project:
    """Give a release whose line a fix of the next one changes."""
    project = Project(tmp_path / "traced")
    for days, message, text in (
        (100, "feat: total", "def total(n):\n    return n + 1\n"),
        (80, "fix: total is one too high", "def total(n):\n    return n\n"),
    ):
        (project.top / "cart.py").write_text(text)
        project.git("add", "cart.py")
        project.at(days, message)
        project.tag(f"v1.{100 - days}", days)
    project.at(0, "docs: end")
    return project


def test_blame_is_asked_on_request_and_kept_for_good(
    traced: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new HEAD asks for new figures, and blames nothing again."""
    assert rungs(of(report_of(capsys, "--repo", traced.top)))["szz"] is None
    found = of(report_of(capsys, "--repo", traced.top, "--szz"))
    assert (rungs(found)["szz"], rungs(found)["explicit"]) == ((1, 2), (0, 2))
    (link,) = found["failures"]
    assert (link["rung"], link["deployment"], link["fixed_in"], link["weak"]) == (
        "szz",
        "v1.0",
        "v1.20",
        False,
    )
    traced.at(0, "docs: more")
    monkeypatch.setattr("pytest_bugsle.history.szz.blame", None)
    assert rungs(of(report_of(capsys, "--repo", traced.top, "--szz")))["szz"] == (1, 2)


def test_a_fix_whose_texts_are_not_here_is_undecided_and_said(
    traced: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is fetched for it, and it is asked again the next time."""
    traced.git("config", "uploadpack.allowFilter", "true")
    to = tmp_path / "partial.git"
    traced.git("clone", "-q", "--bare", "--filter=blob:none", traced.top.as_uri(), str(to))
    found = of(report_of(capsys, "--repo", to, "--szz"))
    assert rungs(found)["szz"] == (0, 2)
    assert found["notes"][0].startswith("szz: 1 of 1 fixes could not be blamed")
    traced.git("fetch", "-q", "--refetch", "--no-filter", at=to)
    assert rungs(of(report_of(capsys, "--repo", to, "--szz")))["szz"] == (1, 2)


def test_the_ledger_tells_which_failures_are_guarded(
    shop: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guard guards, debt is unguarded, and what neither knows is in no share."""
    fixes = {
        each["deployment"]: each["fix"] for each in of(report_of(capsys, "--repo", shop.top))["failures"]
    }
    debt = ledger.Debt(fixes["v1.1.0"], "BUG101", (), "s")
    ledger.write(ledger.place(shop.top), ledger.Ledger({debt.commit: debt}, {}))
    found = of(report_of(capsys, "--repo", shop.top))
    assert [each["guarded"] for each in found["failures"]] == ["unguarded", "unknown"]
    assert found["guarded"] == {
        "guarded": 0,
        "unguarded": 1,
        "unknown": 1,
        "share": 0.0,
        "interval": list(wilson(0, 1)),
    }
    assert any(
        line.startswith("  guarded               0 of 1 failure (0.0 %")
        and line.endswith("of 1 more nothing is known")
        for line in run(capsys, "--repo", shop.top)
    )


@pytest.mark.slow
def test_missing_proofs_are_run_on_request_and_known_afterwards(tmp_path: Path) -> None:
    """Those of the failures' fixes alone; a later run knows them without --prove, and so does one after an audit."""
    repo = Repo(
        tmp_path / "project", start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG, "src/pkg/c.py": WRONG}
    )
    repo.git("tag", "1.0.0")
    held = repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    bare = repo.commit("fix: b is wrong", {"src/pkg/b.py": RIGHT})
    repo.git("tag", "1.0.1")
    repo.commit("feat: much later", {"src/pkg/d.py": RIGHT}, seconds=30 * DAY)
    repo.commit("fix: c is wrong", {"src/pkg/c.py": RIGHT})
    said = bugsle(repo, "dora", "--prove")
    (found,) = said.report["delivery"]["repositories"]
    assert {each["fix"]: each["guarded"] for each in found["failures"]} == {
        held: "guarded",
        bare: "unguarded",
    }
    again = bugsle(repo, "dora").report["delivery"]["repositories"][0]
    assert again["failures"] == found["failures"]
    with Repository.open(repo.top) as opened:
        assert deliveries.known(opened, {held, bare}) == {held: "guarded", bare: "unguarded"}


def test_nothing_of_the_work_tree_is_touched(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Every source is asked, and only our own folder is written."""
    write(shop, "postmortems/one.md", RECORD.format(iso(18), iso(17), "1.3.0", ""))
    before = {path: path.stat().st_mtime_ns for path in shop.top.rglob("*") if ".bugsle" not in path.parts}
    run(capsys, "--repo", shop.top, "--szz", "--explain")
    after = {path: path.stat().st_mtime_ns for path in shop.top.rglob("*") if ".bugsle" not in path.parts}
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {shop.top}


def test_hostile_names_stay_text(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of a deployment, a record's path and a severity are written by strangers."""
    write(
        shop,
        "postmortems/\x1b[31m.md",
        RECORD.format(iso(18), iso(17), "1.3.0", "").replace("high", '"\\x1b[2J"'),
    )
    lines = run(capsys, "--repo", shop.top, "--explain")
    assert not any("\x1b" in line for line in lines)
    assert any("postmortems/\\x1b[31m.md" in line for line in lines)


def test_windows_of_very_many_commits_are_told_by_subjects(
    shop: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message is read a second time, and the rungs are the same."""
    whole = of(report_of(capsys, "--repo", shop.top))
    monkeypatch.setattr(sources, "MOST_COMPARED", 2)
    monkeypatch.setattr(sources, "read_commits", None)
    found = of(report_of(capsys, "--repo", shop.top, "--since", "1970-01-01"))
    assert (found["change_failure"], found["rework"]) == (whole["change_failure"], whole["rework"])
