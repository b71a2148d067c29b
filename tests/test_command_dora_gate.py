"""`bugsle dora --gate`, `--tiers`, `--why` and `--brief`: from options to exit codes and reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from git_sandbox import Sandbox

from pytest_bugsle import cli
from pytest_bugsle.regression.record import ledger
from pytest_bugsle.results import json_schema

DAY = 86_400
_END = 1_700_000_000
_EASY = '[tool.bugsle.dora]\nleast_deployments = 6\nwatch = "20d"\n'


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder, and be nobody's CI."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)


class Shop(Sandbox):
    """A repository that is released every ten days; some releases are taken back by the next."""

    def release(self, days: int, number: int, *, broken: bool = False) -> None:
        """Commit and tag so many days before the end; a broken one is taken back three days later."""
        self.commit(days, f"feat: {number}")
        sha = self.git("rev-parse", "HEAD")
        self.git("tag", f"v1.{number}")
        if broken:
            self.commit(days - 3, f'Revert "feat: {number}"\n\nThis reverts commit {sha}.')
            self.git("tag", f"v1.{number}.1")

    def commit(self, days: int, message: str) -> None:
        """Commit so many days before the end."""
        self.clock = _END - days * DAY
        self.git("commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a year of good releases and a year in which every other one is taken back."""
    shop = Shop(tmp_path_factory.mktemp("worse") / "shop")
    for number in range(40):
        shop.release(700 - 15 * number, number, broken=number > 20)
    shop.commit(0, "docs: end")
    (shop.top / "pyproject.toml").write_text(_EASY, encoding="utf-8")
    return shop.top


def run(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> list[str]:
    """Run the command, and give what it prints."""
    found = cli.main(["dora", *map(str, args)])
    out = capsys.readouterr().out
    assert found == code, out
    return out.splitlines()


def report_of(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> dict[str, Any]:
    """Give the JSON report, held to its schema."""
    report: dict[str, Any] = json.loads("\n".join(run(capsys, *args, "--report", "json", code=code)))
    jsonschema.validate(report, json_schema())
    return report


def test_without_the_gate_the_command_only_reports(worse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However bad the figures are."""
    report = report_of(capsys, "--repo", worse)
    assert report["verdict"] == "pass" and report["findings"] == []
    assert report["delivery"]["repositories"][0]["gate"] is None


def test_a_rise_beyond_chance_fails(worse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, with the finding and both windows."""
    report = report_of(capsys, "--repo", worse, "--gate", code=1)
    assert report["verdict"] == "fail"
    (finding,) = report["findings"]
    assert (finding["rule"], finding["level"]) == ("BUG501", "error")
    gate = report["delivery"]["repositories"][0]["gate"]
    assert (gate["rung"], gate["watched_days"]) == ("explicit", 20)
    rate, recovery = gate["questions"]
    assert (rate["answer"], rate["interval"][0] > 0) == ("fail", True)
    assert finding["message"] == rate["says"]
    assert recovery["answer"] == "undecided"  # no failure in the earlier window to compare with
    lines = run(capsys, "--repo", worse, "--gate", code=1)
    assert any(
        line.startswith("  gate: FAILED          change failure rate, by explicit: ") for line in lines
    )
    assert any(line.startswith("BUG501 change failure rate") for line in lines) and lines[-1] == "FAILED"


def test_the_policy_says_what_blocks(worse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`warn` exits 0, a rule that is off asks nothing, and a finding below an error fails nothing."""
    settings = worse / "pyproject.toml"
    try:
        settings.write_text('[tool.bugsle]\nmode = "warn"\n' + _EASY, encoding="utf-8")
        assert report_of(capsys, "--repo", worse, "--gate")["verdict"] == "fail"
        off = '[tool.bugsle.rules]\nBUG501 = "off"\nBUG502 = "off"\n'
        settings.write_text(off + _EASY + "max_failure_rate = 0.9\n", encoding="utf-8")
        report = report_of(capsys, "--repo", worse, "--gate")
        (only,) = report["delivery"]["repositories"][0]["gate"]["questions"]
        assert (only["asked"], only["answer"]) == ("limit", "pass")
        rules = '[tool.bugsle.rules]\nBUG501 = "warning"\nBUG502 = "off"\n'
        settings.write_text(rules + _EASY, encoding="utf-8")
        report = report_of(capsys, "--repo", worse, "--gate")
        assert report["verdict"] == "pass" and report["findings"][0]["level"] == "warning"
    finally:
        settings.write_text(_EASY, encoding="utf-8")


def test_limits_are_asked_for(worse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By options, which go before the settings; the whole interval must lie beyond."""
    limits = ("--max-failure-rate", "0.05", "--max-recovery", "1h", "--max-lead-time", "52w")
    report = report_of(capsys, "--repo", worse, "--gate", *limits, code=1)
    assert [finding["rule"] for finding in report["findings"]] == ["BUG501", "BUG505", "BUG506"]
    answers = {
        (one["figure"], one["asked"]): one["answer"]
        for one in report["delivery"]["repositories"][0]["gate"]["questions"]
    }
    assert answers["lead-time", "limit"] == "pass"


def test_too_little_data_is_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, and what is missing is said."""
    shop = Shop(tmp_path / "small")
    for number in range(4):
        shop.release(300 - 50 * number, number)
    shop.commit(0, "docs: end")
    lines = run(capsys, "--repo", shop.top, "--gate", code=3)
    missing = "0 of 4 after 0 of 0; 10 deployments a window are needed"
    assert f"  gate: UNDECIDED       change failure rate, by explicit: {missing}" in lines
    assert lines[-1] == "UNDECIDED"
    lines = run(capsys, "--repo", shop.top, "--gate", "--rung", "incident", code=3)
    assert any("the rung 'incident' has no source that knows both windows" in line for line in lines)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--max-lead-time", "3d"), "a limit was given without --gate"),
        (("--gate", "--max-recovery", "soon"), "--max-recovery 'soon' is no time"),
        (("--gate", "--max-recovery", "0h"), "--max-recovery '0h' is no time"),
        (("--gate", "--max-failure-rate", "15"), "15.0 is not in the range"),
    ],
)
def test_a_limit_that_is_none_is_an_error(
    worse: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    """Before any work."""
    assert cli.main(["dora", "--repo", str(worse), *args]) == 2
    assert said in capsys.readouterr().err


def test_the_gates_findings_stand_in_every_report(
    worse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JUnit has a failure, SARIF a result, Markdown a finding and the table of figures, GitHub an annotation."""
    names = {"junit": "r.xml", "sarif": "r.sarif", "markdown": "r.md", "github": "r.txt", "html": "r.html"}
    reports = [arg for kind, name in names.items() for arg in ("--report", f"{kind}:{tmp_path / name}")]
    run(capsys, "--repo", worse, "--gate", *reports, code=1)
    (case,) = ElementTree.parse(tmp_path / "r.xml").getroot().iter("testcase")
    assert "BUG501" in str(case.get("name")) + str(ElementTree.tostring(case))
    assert case.find("failure") is not None
    sarif = json.loads((tmp_path / "r.sarif").read_text(encoding="utf-8"))
    assert [one["ruleId"] for one in sarif["runs"][0]["results"]] == ["BUG501"]
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "**error BUG501**" in text and "### Delivery" in text and "| gate | FAILED | " in text
    assert "fixes judged" not in text
    assert (tmp_path / "r.txt").read_text(encoding="utf-8").startswith("::error title=BUG501 ")
    assert "BUG501" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_tiers_are_shown_with_n_and_interval(worse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only when asked for; the JSON always has them."""
    plain = run(capsys, "--repo", worse)
    assert not any("DORA 20" in line for line in plain)
    lines = run(capsys, "--repo", worse, "--tiers")
    place = next(n for n, line in enumerate(lines) if line.startswith("  tiers                 deployment"))
    assert "(n = " in lines[place] and "95 % interval" in lines[place]
    assert "DORA 2021: " in lines[place + 1] and "DORA 2024: " in lines[place + 1]
    tiers = report_of(capsys, "--repo", worse)["delivery"]["pooled"]["tiers"]
    assert {"figure", "n", "interval", "names", "source", "year"} <= set(tiers[0])


def test_five_lines_are_enough_for_a_hook(
    worse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever there is to say; what is missing goes before a figure."""
    lines = run(capsys, "--repo", worse, "--brief")
    starts = ["  deployment frequency", "  lead time", "  failed", "  recovery"]
    assert [line.startswith(start) for line, start in zip(lines[1:], starts, strict=True)] == [True] * 4
    empty = Sandbox(tmp_path / "empty").top
    lines = run(capsys, "--repo", worse, "--repo", empty, "--brief", code=3)
    assert len(lines) == 5 and lines[-1].startswith("note: empty: no data")
    (line,) = run(capsys, "--repo", empty, "--brief", code=3)
    assert line.startswith("note: empty: no data")


def test_why_is_in_the_report_and_needs_trees(
    tmp_path: Path, worse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a partial clone has no trees, the figures stand and the causes are said to be unknown."""
    shop = Shop(tmp_path / "full")
    for number in range(3):
        shop.write({f"src/shop/{number}.py": "1"})
        shop.git("add", "-A")
        shop.release(90 - 10 * number, number)
    found = report_of(capsys, "--repo", shop.top, "--why")["delivery"]["repositories"][0]
    assert found["causes"]["whole"]["n"] == 3
    assert any("why: the way" in line for line in run(capsys, "--repo", shop.top, "--why"))
    shop.git("config", "uploadpack.allowFilter", "true")
    cut = tmp_path / "cut"
    shop.git("clone", "-q", "--bare", "--filter=tree:0", f"file://{shop.top}", str(cut))
    found = report_of(capsys, "--repo", cut, "--why")["delivery"]["repositories"][0]
    assert found["causes"] is None and found["lead_time"]["n"] == 3
    assert any(note.startswith("the causes are not known: ") for note in found["notes"])


def test_a_failure_that_is_known_to_be_unguarded_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One for each, from what the ledger knows; a failure of which nothing is known is none."""
    shop = Shop(tmp_path / "shop")
    for number in range(12):
        shop.release(330 - 25 * number, number, broken=number in (2, 5))
    shop.commit(0, "docs: end")
    assert report_of(capsys, "--repo", shop.top, "--gate", code=3)["findings"] == []
    fix = shop.git("rev-parse", "v1.5.1^{commit}")
    path = ledger.place(shop.top)
    path.parent.mkdir(exist_ok=True)
    ledger.write(path, ledger.Ledger(debt={fix: ledger.Debt(fix, "BUG101", (), "Revert")}))
    (finding,) = report_of(capsys, "--repo", shop.top, "--gate", code=3)["findings"]
    assert (finding["rule"], finding["level"], finding["commit"]) == ("BUG503", "warning", fix)
    assert finding["message"] == f"v1.5 failed, and no test fails without its fix {fix[:7]}"
    assert report_of(capsys, "--repo", shop.top)["findings"] == []


def test_a_record_of_an_incident_decides_before_a_revert(
    worse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The strongest rung that has a source; another one can be asked for."""
    shutil.copytree(worse, tmp_path / "shop")
    shop = Shop(tmp_path / "shop")
    shop.write({"postmortems/one.md": "---\nstarted: 2023-05-01\ncaused_by: v1.30\nfixed_by: v1.31\n---\n"})
    shop.git("add", "-A")
    shop.commit(0, "docs: end")

    def rung(*args: str, code: int) -> str:
        found = report_of(capsys, "--repo", shop.top, "--gate", *args, code=code)
        return str(found["delivery"]["repositories"][0]["gate"]["rung"])

    assert rung(code=0) == "incident"
    assert rung("--rung", "explicit", code=1) == "explicit"
    assert rung("--rung", "szz", "--szz", code=3) == "None"  # of the window alone
