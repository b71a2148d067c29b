"""Waivers: explicit, reasoned, listed, and with an end."""

from __future__ import annotations

from pathlib import Path

from repositories import CONFIGURATION, RIGHT, WRONG, Repo, Said, bugsle, guard


def _judge(
    top: Path, *, trailer: str = "", waiver: str = "", tested: bool = False, command: str = "prove"
) -> Said:
    table = f"\n[[tool.bugsle.waivers]]\n{waiver}\n" if waiver else ""
    repo = Repo(top, configuration=CONFIGURATION.replace("    ", "") + table, start={"src/pkg/a.py": WRONG})
    repo.branch("work")
    files = {"src/pkg/a.py": RIGHT} | ({"tests/test_a.py": guard("a")} if tested else {})
    repo.commit(f"fix: a is wrong\n\nFixes #42\n\n{trailer}\n", files)
    return bugsle(repo, command, "main..HEAD")


def test_a_trailer_waives_one_rule_for_one_commit(tmp_path: Path) -> None:
    """The fix is listed as waived, with the reason, and the gate passes."""
    said = _judge(tmp_path / "project", trailer="Bugsle-Waive: BUG101 the hardware is gone")
    assert (said.code, said.status("fix: a"), said.rules()) == (0, "waived", [])
    assert said.fix("fix: a")["waived"] == "BUG101: the hardware is gone"
    assert said.report["waivers"][0]["state"] == "used"
    assert "the hardware is gone" in said.out


def test_a_trailer_without_a_reason_waives_nothing(tmp_path: Path) -> None:
    """It is said what to write."""
    said = _judge(tmp_path / "project", trailer="Bugsle-Waive: BUG101")
    assert (said.code, said.status("fix: a")) == (1, "no-test")
    assert any("gives no reason" in note for note in said.report["notes"])


def test_a_trailer_for_another_rule_waives_nothing(tmp_path: Path) -> None:
    """BUG102 was not what was found: the waiver is unused."""
    said = _judge(tmp_path / "project", trailer="Bugsle-Waive: BUG102 wrong rule")
    assert (said.code, said.rules()) == (1, ["BUG101", "BUG003"])


def test_a_waiver_in_the_settings_holds_for_a_bug(tmp_path: Path) -> None:
    """The bug is named in any of its spellings."""
    said = _judge(
        tmp_path / "project",
        waiver='rule = "fix-without-test"\nbug = "GH-42"\nreason = "later"\nexpires = 2999-01-01',
    )
    assert (said.code, said.status("fix: a"), said.rules()) == (0, "waived", [])


def test_an_expired_waiver_is_an_error(tmp_path: Path) -> None:
    """It waives no more, and says so: BUG002."""
    said = _judge(
        tmp_path / "project", waiver='rule = "BUG101"\nbug = "#42"\nreason = "later"\nexpires = 2001-01-01'
    )
    assert (said.code, said.rules()) == (1, ["BUG101", "BUG002"])
    assert "expired on 2001-01-01" in said.out


def test_a_waiver_that_nothing_needs_is_named(tmp_path: Path) -> None:
    """BUG003 is a warning."""
    said = _judge(
        tmp_path / "project",
        waiver='rule = "BUG101"\nbug = "#42"\nreason = "later"\nexpires = 2999-01-01',
        tested=True,
    )
    assert (said.code, said.status("fix: a"), said.rules()) == (0, "proven", ["BUG003"])


def test_a_waiver_in_the_settings_needs_reason_and_date(tmp_path: Path) -> None:
    """One without is a wrong configuration, exit code 2."""
    said = _judge(tmp_path / "one", waiver='rule = "BUG101"\nbug = "#42"\nexpires = 2999-01-01')
    assert said.code == 2 and "reason" in said.err
    said = _judge(tmp_path / "two", waiver='rule = "BUG101"\nbug = "#42"\nreason = "later"')
    assert said.code == 2 and "expires" in said.err


def test_a_waiver_of_the_linkage_holds_in_check_too(tmp_path: Path) -> None:
    """`bugsle check` honours the same waivers."""
    said = _judge(tmp_path / "project", trailer="Bugsle-Waive: BUG101 the hardware is gone", command="check")
    assert (said.code, said.status("fix: a")) == (0, "waived")


def test_a_waiver_for_what_is_not_in_this_run_is_no_news(tmp_path: Path) -> None:
    """It is for another branch's fix, and may well be needed there."""
    said = _judge(
        tmp_path / "project",
        waiver='rule = "BUG101"\nbug = "#7"\nreason = "later"\nexpires = 2999-01-01',
        tested=True,
    )
    assert (said.code, said.rules(), said.report["waivers"]) == (0, [], [])
