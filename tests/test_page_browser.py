"""The page in a real Chromium: real results, both colour schemes, a phone and a desk, a keyboard and a printer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, launched
from msgspec.structs import replace
from report_examples import HOSTILE, fix_result, result
from repositories import Repo, bugsle, guard
from result_builder import everywhere
from test_report_experiments import page_of, shop
from test_report_html import full
from test_report_page_models import INVISIBLE, failing, judged
from test_report_page_models import page_of as models_page

from pytest_bugsle.report.html import render
from pytest_bugsle.report.page.charts import Point
from pytest_bugsle.report.page.figures import Figure, Figures

pytestmark = pytest.mark.slow

SCHEMES = {"light": "rgb(246, 247, 249)", "dark": "rgb(20, 23, 28)"}
WIDTHS = (360, 1280)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give one Chromium for all tests."""
    with launched() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make pages: real runs of the gate, the audit and the hotspots, each part at once, a stranger's, a long one."""
    folder = tmp_path_factory.mktemp("pages")
    repo = Repo(
        folder / "repo",
        start={
            "src/pkg/a.py": "def answer():\n    return 0\n",
            "src/pkg/b.py": "def answer():\n    return 0\n",
        },
    )
    repo.branch("work")
    two = "LIMIT = 7\n\n\ndef answer():\n    return 1\n"
    repo.commit("fix: a is wrong\n\nFixes #42\n", {"src/pkg/a.py": two, "tests/test_a.py": guard("a")})
    repo.commit(
        "fix: b <script>alert(1)</script> is wrong (#43)", {"src/pkg/b.py": "def answer():\n    return 1\n"}
    )
    made = {name: folder / f"{name}.html" for name in ("prove", "audit", "hotspots")}
    assert bugsle(repo, "prove", "--edits", "--report", f"html:{made['prove']}").code == 1
    bugsle(repo, "audit", "--report", f"html:{made['audit']}")
    assert bugsle(repo, "hotspots", "--report", f"html:{made['hotspots']}").code == 0
    long = [fix_result(f"{number:040x}", "fix: " + "long" * 60, "no-test") for number in range(1500)]
    for name, page in {
        "everything": render(full()),
        "experiments": render(page_of(shop())),
        "models": render(
            models_page(
                [*judged(), failing("ab" * 900, f"a{INVISIBLE}{'ab' * 900}", ([0, 0], "", f"a{INVISIBLE}"))]
            )
        ),
        "strangers": render(everywhere("".join(HOSTILE) + "w" * 200)),
        "long": render(replace(result(*long, verdict="fail"), notes=["x"])),
    }.items():
        made[name] = folder / f"{name}.html"
        made[name].write_bytes(page)
    return made


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "name", ["prove", "audit", "hotspots", "everything", "experiments", "models", "strangers", "long"]
)
def test_every_page_opens_quietly_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str, width: int
) -> None:
    """No word on the console, no request but for the file itself, the right colours, nothing wider than the window."""
    with browser.opened(pages[name], scheme=scheme, width=width) as seen:
        assert seen.console == []
        assert seen.requests == [pages[name].as_uri()]
        assert seen.run("getComputedStyle(document.body).backgroundColor") == SCHEMES[scheme]
        wide, window = seen.widths
        assert wide <= window
        seen.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        wide, window = seen.widths
        assert wide <= window, "with everything unfolded"


def test_what_the_gate_found_is_what_the_page_shows(browser: Browser, pages: dict[str, Path]) -> None:
    """Verdict, both fixes with their status, both sides of the proof, the edit that nothing guards."""
    with browser.opened(pages["prove"]) as seen:
        text = " ".join(seen.page.inner_text("body").split())
        assert seen.page.inner_text("h1") == "FAILED"
        assert [seen.page.inner_text(f"article:nth-of-type({n}) .chip") for n in (1, 2)] == [
            "NO TEST",
            "PROVEN",
        ]
        assert "fix: b <script>alert(1)</script> is wrong (#43)" in text
        assert re.search(r"failed → ?, with it passed tests/test_a.py::test_a", text)
        assert "✓ guarded src/pkg/a.py:5" in text and "✗ unguarded src/pkg/a.py:1" in text
    with browser.opened(pages["audit"]) as seen:
        assert "1 of 2" in seen.page.inner_text(".shares")
        assert "fix: b" in seen.page.inner_text("#audit")
    with browser.opened(pages["hotspots"]) as seen:
        assert "src/pkg/a.py" in seen.page.inner_text(".hotspots")


def test_nothing_that_a_stranger_wrote_runs(browser: Browser, pages: dict[str, Path]) -> None:
    """No script, image or frame came into being, and a dialog would have stopped the page."""
    with browser.opened(pages["strangers"]) as seen:
        assert (
            seen.run("document.querySelectorAll('script, img, iframe, object, a[href*=\"//\"]').length") == 0
        )
        assert "<script>alert(1)</script>" in seen.page.inner_text("body")


def test_the_policy_stops_what_is_not_ours(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """A script or a style that got in all the same would not run."""
    page = pages["everything"].read_bytes()
    planted = b'<script>document.title = "ran"</script><p id="planted" style="color: red">x</p></body>'
    (tmp_path / "planted.html").write_bytes(page.replace(b"</body>", planted))
    with browser.opened(tmp_path / "planted.html") as seen:
        assert seen.page.title() != "ran"
        assert seen.run("getComputedStyle(document.getElementById('planted')).color") != "rgb(255, 0, 0)"
        assert len(seen.console) == 2 and all("Content Security Policy" in line for line in seen.console)


def test_a_keyboard_reaches_everything(browser: Browser, pages: dict[str, Path]) -> None:
    """First the link to the content, then the contents; what has the focus is outlined; Enter unfolds."""
    with browser.opened(pages["everything"]) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.run("document.activeElement.textContent") == "Skip to the content"
        assert seen.run("document.activeElement.getBoundingClientRect().left >= 0")
        assert seen.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        seen.page.keyboard.press("Enter")
        assert seen.run("document.activeElement.id") == "content"
        for _ in range(40):
            seen.page.keyboard.press("Tab")
            if seen.run(
                "document.activeElement.tagName === 'SUMMARY' && !document.activeElement.parentElement.open"
            ):
                break
        seen.page.keyboard.press("Enter")
        assert seen.run("document.activeElement.parentElement.open")


def test_a_reader_aloud_is_told_what_the_eyes_see(browser: Browser, pages: dict[str, Path]) -> None:
    """Roles and names in the tree that assistive technology reads."""
    with browser.opened(pages["everything"]) as seen:
        tree = seen.page.locator("body").aria_snapshot()
        assert 'heading "FAILED" [level=1]' in tree
        assert 'navigation "Contents"' in tree and "- main" in tree
        assert 'img "History of the test' in tree
        assert 'row "2.1' in tree


def test_it_prints_on_paper(browser: Browser, pages: dict[str, Path]) -> None:
    """White paper whatever the scheme, no contents, and a few pages."""
    with browser.opened(pages["everything"], scheme="dark") as seen:
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert seen.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        paper = seen.page.pdf()
        assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6


def test_text_of_a_chart_is_large_enough_on_a_phone(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    """A trend is not scaled below 10 pixels, its table is at hand."""
    from pytest_bugsle.report.html import environment

    points = tuple(
        Point(label=f"2026-{n:02}", value=n / 10, low=n / 20, high=n / 5, n=n, marks=("v1",))
        for n in range(1, 13)
    )
    group = Figures(
        title="a repository", figures=(Figure(title="Lead time", now="1.2 d", unit=" d", points=points),)
    )
    part = environment().from_string(
        '{% from "figures.html" import figures with context %}{{ figures(groups, 5) }}'
    )
    html = pages["everything"].read_text(encoding="utf-8")
    (tmp_path / "trend.html").write_text(
        html.replace('<section id="notes"', part.render(groups=[group]) + '<section id="notes"'),
        encoding="utf-8",
    )
    with browser.opened(tmp_path / "trend.html", width=360) as seen:
        heights = seen.run(
            "[...document.querySelectorAll('svg.chart text')].map(each => each.getBoundingClientRect().height)"
        )
        assert len(heights) > 5 and min(heights) >= 10
        assert seen.console == [] and seen.widths[0] <= 360
        seen.page.locator(".figure summary").click()
        assert "2026-12 1.2 d 0.6 to 2.4 d 12 v1" in " ".join(seen.page.inner_text(".figure table").split())


def test_what_an_experiment_shows_is_drawn_and_told(browser: Browser, pages: dict[str, Path]) -> None:
    """The interval lies over the margin where the gate says pass; text is large enough on a phone; tables unfold."""
    with browser.opened(pages["experiments"], width=360) as seen:
        heights = seen.run(
            "[...document.querySelectorAll('svg.chart text')].map(each => each.getBoundingClientRect().height)"
        )
        assert len(heights) > 20 and min(heights) >= 10
        left, margin = seen.run(
            """(() => {
                const chart = document.querySelector('#experiments article svg.chart')
                return [chart.querySelector('.whisker'), chart.querySelector('.margin')]
                    .map(each => each.getBoundingClientRect().left)
            })()"""
        )
        assert left > margin
        seen.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert "1 of 5" in seen.page.inner_text("#experiments table >> nth=0")
        assert seen.widths[0] <= 360
        tree = seen.page.locator("#experiments").aria_snapshot()
        assert 'img "conversion: effect and interval' in tree and 'heading "pass conversion"' in tree


def test_what_a_model_gate_shows_is_drawn_and_told(browser: Browser, pages: dict[str, Path]) -> None:
    """A rate that fails lies over its limit; text is large enough on a phone; edits are marked by more than colour."""
    with browser.opened(pages["models"], width=360) as seen:
        heights = seen.run(
            "[...document.querySelectorAll('svg.chart text')].map(each => each.getBoundingClientRect().height)"
        )
        assert len(heights) > 60 and min(heights) >= 10
        left, limit = seen.run(
            """(() => {
                const chart = document.querySelector('#models article svg.chart')
                return [chart.querySelector('.whisker'), chart.querySelector('.margin')]
                    .map(each => each.getBoundingClientRect().left)
            })()"""
        )
        assert left > limit
        band, point = seen.run(
            """(() => {
                const band = document.querySelector('#models svg path.band')
                return [band, band.parentElement.querySelector('circle')]
                    .map(each => each.getBoundingClientRect()).map(each => [each.left, each.right])
            })()"""
        )
        assert band[0] - 5 <= point[0] and point[1] <= band[1] + 5
        taken, put = (
            seen.run(f"getComputedStyle(document.querySelector('.change {tag}')).textDecorationLine")
            for tag in ("del", "ins")
        )
        assert (taken, put) == ("line-through", "underline")
        seen.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert seen.widths[0] <= 360
        assert "U+200B ZERO WIDTH SPACE" in seen.page.inner_text("#models")
        tree = seen.page.locator("#models").aria_snapshot()
        assert 'img "Flip rates of natural variations' in tree and 'img "Reliability diagram' in tree
        assert "- deletion: great" in tree and "- insertion: GREAT" in tree
        seen.page.emulate_media(media="print")
        assert 2 <= len(re.findall(rb"/Type\s*/Page\b", seen.page.pdf())) <= 30
