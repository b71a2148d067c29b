"""Badges: small pictures that say a figure in words, and a folder of them from any command."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from msgspec.structs import replace
from report_examples import ANY_TEXT, example, result
from repositories import bugsle, unguarded
from test_report_html import contrast, full

from pytest_bugsle.errors import UsageError
from pytest_bugsle.report import badges
from pytest_bugsle.report.writer import BADGES, Target, check_places, write

SVG = "{http://www.w3.org/2000/svg}"


def said(data: bytes) -> str | None:
    """Read a badge and give what it says."""
    return ET.fromstring(data).get("aria-label")


def test_each_figure_of_a_run_has_a_badge() -> None:
    """The verdict always, fixes and tests where there are some; an audit says its share."""
    assert {name: said(data) for name, data in badges.render(example()).items()} == {
        "bugsle.svg": "bugsle: failed",
        "fixes.svg": "bug fixes held: 1 of 3",
    }
    assert {name: said(data) for name, data in badges.render(full()).items()} == {
        "bugsle.svg": "bugsle: failed",
        "fixes.svg": "bug fixes held: 82 % of 38",
        "flaky.svg": "tests that vary: 1 of 2",
    }
    assert list(badges.render(result())) == ["bugsle.svg"]
    assert said(badges.render(result(verdict="undecided"))["bugsle.svg"]) == "bugsle: undecided"


@given(ANY_TEXT, ANY_TEXT)
def test_any_text_makes_a_badge(label: str, value: str) -> None:
    """Well-formed, two texts, and the picture is as wide as they are together."""
    root = ET.fromstring(badges.badge(label, value, "good"))
    texts = root.findall(f".//{SVG}text")
    assert len(texts) == 2
    assert int(root.get("width", "")) == 4 * 7 + sum(int(text.get("textLength", "")) for text in texts)


def test_the_text_can_be_read() -> None:
    """White on each colour, 4.5 to 1."""
    for colour in (*badges._COLOURS.values(), badges._LABEL):
        assert contrast("#ffffff", colour) >= 4.5


def test_a_command_writes_a_folder_of_badges(tmp_path: Path) -> None:
    """It is made where it is missing, and a second run renews it."""
    repo, folder = unguarded(tmp_path / "repo"), tmp_path / "badges"
    for _ in range(2):
        assert bugsle(repo, "check", "--badge", str(folder)).code == 0
        assert said((folder / "bugsle.svg").read_bytes()) == "bugsle: passed"
    assert not [path for path in folder.iterdir() if path.suffix != ".svg"]


def test_a_folder_that_cannot_be_is_found_out_before_any_work(tmp_path: Path) -> None:
    """A file in its place, or no folder above it."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="a file stands there"):
        check_places([Target(BADGES, tmp_path / "file")])
    with pytest.raises(UsageError, match="its folder does not exist"):
        check_places([Target(BADGES, tmp_path / "no" / "such")])
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    check_places([Target(BADGES, tmp_path / "file")])
    write(replace(example(), verdict="pass"), Target(BADGES, Path("file")), folder=tmp_path)
    assert said((tmp_path / "file" / "bugsle.svg").read_bytes()) == "bugsle: passed"
