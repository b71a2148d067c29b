"""The page: everything is there, a stranger's text is text alone, and nothing comes from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from report_examples import (
    ANY_TEXT,
    HOSTILE,
    PRICE,
    PURGER,
    example,
    finding,
    fix_result,
    linked_test,
    result,
    results,
)
from repositories import bugsle, run_pytest, unguarded
from result_builder import everywhere

from pytest_bugsle.report.escape import visible
from pytest_bugsle.report.html import LIMIT, MOST_TEXT, render
from pytest_bugsle.results import (
    AuditResult,
    EditResult,
    FlakyTest,
    Hotspot,
    Lead,
    Range,
    Reach,
    Result,
    Share,
    Timings,
    Unheld,
)

VOID = {"meta", "link", "br", "img", "hr", "input"}
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "a",
    "header",
    "div",
    "p",
    "h1",
    "h2",
    "h3",
    "span",
    "ul",
    "ol",
    "li",
    "strong",
    "b",
    "nav",
    "main",
    "section",
    "article",
    "code",
    "pre",
    "del",
    "ins",
    "details",
    "summary",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "figure",
    "figcaption",
    "footer",
    "svg",
    "desc",
    "rect",
    "path",
    "line",
    "circle",
    "text",
}
ATTRIBUTES = {
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "class",
    "href",
    "id",
    "tabindex",
    "scope",
    "role",
    "open",
    "data-label",
    "aria-label",
    "aria-labelledby",
    "aria-hidden",
    "viewbox",
    "preserveaspectratio",
    "width",
    "height",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "cx",
    "cy",
    "r",
    "d",
    "text-anchor",
}
PLAIN = st.text(st.characters(exclude_categories=(), exclude_characters="`"), min_size=1, max_size=40)


class Page(HTMLParser):
    """A page as a browser's parser would see it: its tags, their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    @property
    def text(self) -> str:
        """All text, with blanks as one blank."""
        return " ".join(" ".join(self.words).split())

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        """The tags with the names of their attributes, but for the marks of a strip, one a letter."""
        return [(tag, tuple(attributes)) for tag, attributes in self.tags if tag != "rect"]

    def values(self, name: str) -> list[str]:
        """All values of one attribute."""
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def full() -> Result:
    """Return a result with every part of the page."""
    base = example()
    edits = [
        EditResult(path="src/a.py", line=3, lines=[3], guarded=True, by=["t::a"], code="x = 1", was="x = 2"),
        EditResult(path="src/a.py", line=9, lines=[9], guarded=False, by=[], near=["t::b"], code="y = 1"),
        EditResult(path="src/a.py", line=12, lines=[], guarded=None, by=[], group=1, why="it needs x"),
    ]
    leads = [
        Lead(kind="clone", confidence=0.62, evidence="9 of 10 lines are alike", path="src/b.py", line=40),
        Lead(kind="branch", confidence=1.0, evidence="the guard fails there", branch="1.x", proven=True),
    ]
    fixes = [replace(base.fixes[0], edits=edits, what_else=leads), *base.fixes[1:]]
    share = Share(name="2.1", fixes=40, judged=38, held=31, share=31 / 38, low=0.665, high=0.911)
    audit = AuditResult(
        since="v1", until="HEAD", ledger=None, total=share, releases=[share, replace(share, name="2.0")],
        unheld=[Unheld(commit=PRICE, subject="fix: price", bugs=["#51"], status="no-test", release="2.1", folders=["ui"])],
    )  # fmt: skip
    spot = Hotspot(
        path="src/a.py", line=5, function="purge", score=1.0, changes=9, fixes=3, complexity=12, people=1,
        knows="Ada", knows_share=1.0, last_changed="2026-01-02",
    )  # fmt: skip
    victim = FlakyTest(
        id="tests/test_v.py::test_victim", categories=["victim"], polluters=["tests/test_p.py::test_p"], failures=5,
        attempts=13, interval=(0.18, 0.64), probes=9, reproduce="python -m pytest a b", confirmed=3,
        history=["..F", ".EsT.F"],
    )  # fmt: skip
    stable = FlakyTest(
        id="t::calm", categories=["stable"], failures=0, attempts=9, interval=(0.0, 0.3), probes=9
    )
    return replace(
        base,
        fixes=fixes,
        audit=audit,
        hotspots=[spot],
        tests=[stable, victim],
        notes=["a note for the reader"],
    )


# --- what it says ----------------------------------------------------------------------------------


def test_everything_that_was_found_stands_in_the_page() -> None:
    """Verdict and why, each fix with both sides of its tests, edits with a sign, leads, findings with help …"""
    text = Page(render(full())).text
    for words in (
        "FAILED",
        "range 3f1c2aa..9be04d1 (merge base with origin/main), 7 commits: 3 bug fixes, 1 maybe",
        "NOT HELD fix(ui): stale price after reconnect (#51) 77aa001 #51 src/ui.py:88",
        "without the fix failed → , with it passed tests/test_purger.py::test_dated_layout",
        "fails without the fix: AssertionError (3 files left), passes with it; 6 of 6 changed statements run",
        "✓ guarded src/a.py:3",
        "✗ unguarded src/a.py:9",
        "? not judged src/a.py:12 group 1 it needs x",
        "clone 62 % src/b.py:40 9 of 10 lines are alike 9be04d1",
        "branch shown 1.x the guard fails there",
        "error BUG102 test-passes-without-fix src/ui.py:88 77aa001",
        "Change the test until it fails without the fix: bugsle prove COMMIT shows both sides.",
        "31 of 38 (2 not judged) 82 % 66 to 91 %",
        "NO TEST 77aa001 fix: price #51 2.1 ui",
        "purge src/a.py:5 1.00 9 3 12 1 (one knows)",
        "Ada 100 % 2026-01-02",
        "victim tests/test_v.py::test_victim",
        "failed in 5 of 13 runs (95 %: 18 to 64 %)",
        "9 attempts, 4 of them not passed, oldest first: ..F .EsT.F",
        "fails after tests/test_p.py::test_p",
        "Seen in 3 of 3 clean processes. See it yourself:",
        "python -m pytest a b",
        "t::calm stable, 9 runs",
        "a note for the reader",
    ):
        assert words in text, words


def test_what_needs_work_comes_first() -> None:
    """Among fixes and among tests."""
    text = Page(render(full())).text
    order = ["NOT HELD fix(ui)", "NO TEST Fix off-by-one", "PROVEN fix: purger", "maybe Handle empty"]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert text.index("test_victim") < text.index("t::calm")


def test_the_reason_of_a_verdict_is_at_the_top() -> None:
    """The first errors; what could not be decided; the warnings of what passed."""
    many = [finding("BUG101", f"reason {number}", commit=PURGER) for number in range(5)]
    text = Page(render(result(verdict="fail", findings=many))).text
    assert text.index("reason 2 and 2 more, below") < text.index("Findings 5")
    open_ = fix_result(status="undecided", why="pytest could not start")
    assert Page(render(result(open_, verdict="undecided"))).text.index("pytest could not start") < 200
    note = result(verdict="undecided", range=None, notes=["the clone is shallow"])
    assert "UNDECIDED the clone is shallow" in Page(render(note)).text


def test_a_page_without_anything_says_so() -> None:
    """An empty result is no empty page."""
    text = Page(render(result(range=None))).text
    assert "PASSED" in text and "There is nothing more to show." in text


def test_many_tests_of_a_fix_are_folded() -> None:
    """Three are shown, the others a click away, and what did not decide after what did."""
    tests = tuple(linked_test(f"t.py::t{number}", "proven", "failed", "passed") for number in range(5))
    beside = linked_test("t.py::other", "passes-without-fix", "passed", "passed")
    text = Page(render(result(fix_result(status="proven", tests=(beside, *tests))))).text
    assert (
        text.index("t.py::t2")
        < text.index("3 more tests")
        < text.index("t.py::t3")
        < text.index("t.py::other")
    )


# --- bytes ------------------------------------------------------------------------------------------


def test_the_same_result_gives_the_same_bytes_whatever_it_took() -> None:
    """Seconds are left out."""
    one, other = (
        full(),
        replace(full(), timings=Timings(total=99.0, tests=98.0, runs=7, cached=3, search=1.0)),
    )
    assert render(one) == render(other)


def test_thousands_of_rows_stay_under_a_megabyte() -> None:
    """What is cut is counted."""
    tests = tuple(
        linked_test(f"t.py::{'x' * 300}{number}", "proven", "failed", "passed") for number in range(30)
    )
    fixes = [fix_result(f"{number:040x}", "fix: " + "y" * 900, "proven", tests) for number in range(3000)]
    spots = [
        Hotspot(
            path="p" * 300, line=1, function="f" * 300, score=0.1, changes=1, fixes=1, complexity=1, people=2
        )
        for _ in range(4000)
    ]
    page = render(replace(result(*fixes), hotspots=spots))
    assert len(page) < LIMIT <= 1_000_000
    text = Page(page).text
    shown = int(re.search(r"shows the first (\d+) of each kind", text)[1])  # type: ignore[index]
    assert f"and {3000 - shown} fixes more, in the JSON report" in text
    assert f"and {4000 - shown} functions more, in the JSON report" in text
    assert "y" * 300 in text and "y" * MOST_TEXT not in text


# --- strangers --------------------------------------------------------------------------------------


def held_to_the_rules(page: Page) -> None:
    """Assert that only our tags and attributes are there, and that every link stays on the page."""
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert all(link.startswith("#") and link[1:] in ids for link in page.values("href"))


@given(
    text=PLAIN | st.sampled_from([text for text in HOSTILE if text.strip() and "`" not in text]),
    pick=st.integers(0, 9),
)
@settings(deadline=None, max_examples=30)
def test_any_text_in_any_field_is_text_alone(text: str, pick: int) -> None:
    """The page has the tags that it would have with a harmless text, and shows the text as it is."""
    page, plain = Page(render(everywhere(text, pick))), Page(render(everywhere("x", pick)))
    held_to_the_rules(page)
    same = not any(sign in text for sign in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")  # lines of code are split
    if same:
        assert page.skeleton == plain.skeleton
    assert " ".join(visible(text).split()) in page.text or not same


@given(text=ANY_TEXT, pick=st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_no_text_brings_a_tag(text: str, pick: int) -> None:
    """Whatever Python can hold, backticks and line ends among it."""
    held_to_the_rules(Page(render(everywhere(text, pick, rows=2))))


@given(results())
@settings(deadline=None, max_examples=25)
def test_any_result_makes_a_page(made: Result) -> None:
    """Fields in any combination."""
    held_to_the_rules(Page(render(made)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("</script><img src=x onerror=alert(1)>", "</script><img src=x onerror=alert(1)>"),
        ("</title></style><script>", "</title></style><script>"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\x1b[31m\x00b", r"a\x1b[31m\x00b"),
        ("caf\udce9", r"caf\xe9"),
        ('" onclick="x', '" onclick="x'),
        ("{{ 7 * 7 }}{% raw %}", "{{ 7 * 7 }}{% raw %}"),
    ],
)
def test_what_a_stranger_wrote_is_shown_as_it_is(text: str, shown: str) -> None:
    """Markup as its letters, what is invisible as an escape."""
    page = Page(render(result(fix_result(subject=text))))
    assert shown in page.text
    held_to_the_rules(page)


# --- by itself, and for everybody ------------------------------------------------------------------


def test_nothing_comes_from_elsewhere_and_nothing_runs() -> None:
    """The policy forbids all but the one style sheet, which is named by its hash and loads nothing."""
    page = Page(render(full()))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert policy in page.values("content")
    assert not re.search(r"url\(|@import|expression|https?:", page.style)
    assert not {"script", "iframe", "object", "embed", "form", "img", "link"} & {tag for tag, _ in page.tags}


def test_headings_stand_in_order_and_regions_have_names() -> None:
    """One h1, no level left out; each section is named by its heading; landmarks and language are there."""
    page = Page(render(full()))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = set(page.values("id"))
    named = [name for value in page.values("aria-labelledby") for name in value.split()]
    assert named and set(named) <= ids
    counts = Counter(tag for tag, _ in page.tags)
    assert counts["main"] == counts["header"] == counts["footer"] == counts["nav"] == 1
    assert page.tags[0] == ("html", {"lang": "en"})


def test_every_chart_has_a_name_and_its_numbers_beside_it() -> None:
    """A chart is either an image with title, description and a table or text in its figure, or told to nobody."""
    page = Page(render(full()))
    open_figure, images = False, 0
    for index, (tag, attributes) in enumerate(page.tags):
        open_figure = tag == "figure" or (open_figure and tag != "section")
        if tag == "svg":
            assert (attributes.get("role") == "img" and open_figure) or attributes.get(
                "aria-hidden"
            ) == "true"
            if attributes.get("role") == "img":
                images += 1
                assert [name for name, _ in page.tags[index + 1 : index + 3]] == ["title", "desc"]
                assert "details" in [name for name, _ in page.tags[index:]]
    assert images
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")


def variables(style: str) -> Iterator[dict[str, str]]:
    """Yield the colours of the light and of the dark scheme."""
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]:
        yield dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_text_can_be_read_in_both_schemes() -> None:
    """4.5 to 1 for each text on each ground that it stands on, 3 to 1 for marks and bars."""
    schemes = list(variables(Page(render(full())).style))
    assert len(schemes) == 2 and schemes[0].keys() == schemes[1].keys()
    for colours in schemes:
        pairs = [
            (text, ground)
            for text in ("text", "mute", "good", "bad", "warn", "link")
            for ground in ("page", "panel")
        ]
        pairs += [(tone, f"{tone}-soft") for tone in ("good", "bad", "warn", "mute")]
        pairs += [("text", f"{tone}-soft") for tone in ("good", "bad", "warn", "mute")]
        pairs += [("text", "code"), ("mute", "code")]
        for text, ground in pairs:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for mark, ground in (("bar", "mute-soft"), ("link", "panel"), ("text", "bar"), ("bar", "panel")):
            assert contrast(colours[mark], colours[ground]) >= 3, (mark, ground)


def test_no_status_is_told_by_its_colour_alone() -> None:
    """Every toned thing has words: a chip, a sign or a fact is never empty."""
    page = render(full()).decode()
    for found in re.findall(r'<(?:span class="chip|b class="sign|span class="verdict)[^>]*>([^<]*)<', page):
        assert re.search(r"\w", found)


@pytest.mark.parametrize(
    ("help", "code"),
    [("run `a b` and `c`.", ["a b", "c"]), ("a lone ` stays", []), ("`a` and `", ["a"]), ("``", [""])],
)
def test_help_shows_what_to_type_as_code(help: str, code: list[str]) -> None:
    """What stands between two backticks; one without a partner stays what it is."""
    made = result(findings=[finding("BUG101", "x", help=help)])
    page = render(made).decode()
    shown = re.search(r'<p class="help">(.*?)</p>', page)
    assert shown and re.findall("<code>(.*?)</code>", shown[1]) == code
    assert ("`" in shown[1]) == (help.count("`") % 2 == 1)


# --- from any command -------------------------------------------------------------------------------


def test_a_command_writes_it(tmp_path: Path) -> None:
    """`--report html:PATH`, and the same bytes from a second run."""
    repo = unguarded(tmp_path / "repo")
    said = bugsle(repo, "check", "--report", f"html:{tmp_path / 'a.html'}")
    bugsle(repo, "check", "--report", f"html:{tmp_path / 'b.html'}")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes(), said.all
    assert "fix: b is wrong" in Page((tmp_path / "a.html").read_bytes()).text


@pytest.mark.slow
def test_pytest_writes_it(tmp_path: Path) -> None:
    """`pytest --bugsle --bugsle-report html:PATH`."""
    repo = unguarded(tmp_path / "repo")
    run_pytest(repo, f"--bugsle-report=html:{tmp_path / 'c.html'}")
    page = Page((tmp_path / "c.html").read_bytes())
    assert "FAILED" in page.text and "passed → , with it passed tests/test_b.py::test_b" in page.text
    held_to_the_rules(page)


def test_a_page_of_an_older_report_can_be_made() -> None:
    """A result that went through JSON and back gives the same page."""
    again = msgspec.json.decode(msgspec.json.encode(full()), type=Result)
    assert render(again) == render(full())


def test_templates_are_read_only_when_a_page_is_asked_for() -> None:
    """Writing another format imports no Jinja2."""
    code = (
        "import sys; from pytest_bugsle.report import writer, terminal, json, markdown; "
        "sys.exit('jinja2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reach_and_ranges_without_a_base_are_shown() -> None:
    """What was not run is named; a history from its start says so."""
    test = linked_test(
        "t::a",
        "proven",
        "failed",
        "passed",
        reached=Reach(ran=1, of=3, import_time=0, missed=["a.py:4", "a.py:7"]),
    )
    made = result(
        fix_result(status="proven", tests=(test,)), range=Range(base=None, head=PURGER, why="all", commits=2)
    )
    text = Page(render(made)).text
    assert "(not run: a.py:4 , a.py:7 )" in text and "range (start)..9be04d1 (all), 2 commits" in text
