"""Delivery on the page: figures with their n and interval, trends, and the periods that failed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from repositories import Repo, bugsle
from test_report_html import Page, held_to_the_rules

from pytest_bugsle.report import badges
from pytest_bugsle.report.html import render
from pytest_bugsle.report.page.delivery import failure_figures, groups, key_figures
from pytest_bugsle.results import Result


@pytest.fixture
def page(tmp_path: Path) -> tuple[Page, Result]:
    """Give the page of a repository with three releases, of which the second was mended by a revert."""
    repo = Repo(tmp_path / "repo", start={"a.py": "x = 1\n"})
    repo.git("tag", "v1.0.0")
    broken = repo.commit("feat: y", {"a.py": "x = 2\n"})
    repo.git("tag", "v1.1.0")
    repo.commit(f'Revert "feat: y"\n\nThis reverts commit {broken}.\n', {"a.py": "x = 1\n"})
    repo.git("tag", "v1.1.1")
    path = tmp_path / "dora.json"
    said = bugsle(repo, "dora", "--since", "1970-01-01", "--by", "release", "--report", f"json:{path}")
    assert said.code == 0, said.all
    result = msgspec.json.decode(path.read_bytes(), type=Result)
    return Page(render(result)), result


def test_each_figure_has_its_n_and_its_trend(page: tuple[Page, Result]) -> None:
    """Lead time, frequency, and the failures with the release that failed marked."""
    shown, result = page
    held_to_the_rules(shown)
    (group,) = groups(result)
    titles = [figure.title for figure in group.figures]
    assert titles[:2] == ["Lead time for changes", "Deployment frequency"]
    assert any(title.startswith("Change failure rate, by ") for title in titles)
    failing = next(figure for figure in group.figures if figure.title.startswith("Change failure"))
    assert [bool(point.marks) for point in failing.points] == [False, True, False]
    assert "1 of 3 deployments (95 %: 6.1 to 79.2 %)" in shown.text
    assert "1 with deployments that failed" in shown.text
    assert "v1.1.0 100 % 20.7 to 100 % 1 1 of 1" in shown.text


def test_the_figures_have_badges(page: tuple[Page, Result]) -> None:
    """Lead time, frequency, and each rung of failures."""
    _, result = page
    made = badges.render(result)
    (rung, name, value), *_ = failure_figures(result)
    assert value == "1 of 3" and name == f"failed, by {rung}"
    assert ET.fromstring(made[f"failures-{rung}.svg"]).get("aria-label") == f"{name}: 1 of 3"
    assert len(list(key_figures(result))) == 2 and {"lead-time.svg", "deployments.svg"} <= made.keys()


def test_what_the_gate_asks_and_where_the_figures_lie_stand_below_them(tmp_path: Path) -> None:
    """The gate's answers, tiers with their n, and what the repository knows of the causes, as in the terminal."""
    repo = Repo(tmp_path / "repo", start={"a.py": "x = 1\n"})
    for number in range(4):
        repo.commit("feat: more", {"a.py": f"x = {number + 2}\n"})
        repo.git("tag", f"v1.{number}.0")
    path = tmp_path / "dora.json"
    asked = ("--since", "1970-01-01", "--gate", "--why", "--report", f"json:{path}")
    assert bugsle(repo, "dora", *asked).code == 3
    result = msgspec.json.decode(path.read_bytes(), type=Result)
    (group,) = groups(result)
    names = [name for name, _ in group.rows]
    assert names[0] == "gate: UNDECIDED" and "tiers" in names and "why: the way" in names
    shown = Page(render(result))
    held_to_the_rules(shown)
    assert "deployments a window are needed" in shown.text
    assert all(text in shown.text for _, text in group.rows)
