"""Model gates on the page: rates against limits, the reliability diagram, slices, groups, failures, and the numbers beside."""

from __future__ import annotations

import html
import random
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from report_examples import HOSTILE, result
from small_models import THINGS, reviews, trained
from test_report_html import Page

from pytest_bugsle.report.characters import seen
from pytest_bugsle.report.html import LIMIT, render
from pytest_bugsle.report.page import models, reliability
from pytest_bugsle.results import (
    ModelEdit,
    ModelFailure,
    ModelFinding,
    ModelGroup,
    ModelPoint,
    ModelResult,
    Result,
)
from pytest_bugsle.robustness.command import model
from pytest_bugsle.robustness.gates import ModelGate
from pytest_bugsle.robustness.verdict import joined

INVISIBLE = "a\u200bb\u202ec\u00a0\ud800"


@cache
def judged() -> tuple[ModelResult, ...]:
    """Return all that a gate says of a model that is weak to capitals, errs on lectures, and guesses on empty texts."""
    texts, right = reviews(600, seed=1)
    chance = random.Random(3)  # noqa: S311  # made-up errors
    labels = [
        {"good": "bad", "bad": "good"}[label] if "lecture" in text and chance.random() < 0.6 else label
        for text, label in zip(texts, right, strict=True)
    ]
    things = [next(thing for thing in THINGS if thing in text) for text in texts]
    gate = ModelGate(trained(lowercase=False), texts, labels, name="reviews", test="test_ship.py::test_it")
    gate.invariant("case.upper", "whitespace.double", "unicode", max_flip_rate={"adversarial": 0.3})
    gate.invariant("typos.key", max_flip_rate=0.5)
    gate.deterministic()
    gate.calibrated(max_excess=0.02)
    gate.confident_errors(threshold=0.9)
    gate.slices(["thing"], columns={"thing": things})
    gate.fair(["lecture" if thing == "lecture" else "other" for thing in things], positive="good")
    gate.refuses(empty=True)
    gate.not_worse_than(trained())
    return tuple(gate.results())


def found(gate: str, perturbation: str = "") -> ModelResult:
    """Return one of them."""
    return next(one for one in judged() if one.gate == gate and one.perturbation == perturbation)


def page_of(results: list[ModelResult] | tuple[ModelResult, ...]) -> Result:
    """Return a run that judged these alone."""
    return joined(result(range=None), results, {}, ci=False)


def failing(before: Any, after: Any, *edits: tuple[Any, Any, Any], **rest: Any) -> ModelResult:
    """Return a judgement with this smallest failure."""
    values: dict[str, Any] = {
        "gate": "invariant",
        "family": "case",
        "perturbation": "case.upper",
        "nature": "natural",
        "outcome": "fail",
        "trials": 300,
        "flips": 150,
        "rate": 0.5,
        "interval": (0.45, 0.55),
        "limit": 0.02,
        "examples": 300,
        "flipping": 150,
        "model": "m",
        **rest,
    }
    return ModelResult(
        smallest=ModelFailure(
            before=before,
            after=after,
            edits=[ModelEdit(place=place, before=old, after=new) for place, old, new in edits],
            output_before="good (0.93)",
            output_after="bad (0.66)",
        ),
        **values,
    )


# --- what it says ----------------------------------------------------------------------------------


def test_every_number_of_a_gate_stands_beside_its_chart() -> None:
    """Outcomes in words, rates with bounds and limits, bins, slices with p-values, groups, confident errors."""
    text = Page(render(page_of(judged()))).text
    weak, slices, fair = found("invariant", "case.upper"), found("slices"), found("fair")
    assert weak.interval is not None
    (lecture,) = (group for group in slices.groups if group.word == "weak")
    assert lecture.effect is not None and lecture.name == "thing = lecture"
    gap = next(gap for gap in fair.gaps if gap.metric == "error rate")
    confident = found("confident_errors")
    for words in (
        "Models: may they ship? 1",
        "fail reviews test_ship.py::test_it",
        f"case.upper case fail {weak.flips} of 600",
        f"{models.span(weak.interval)} 2 %",
        "pass deterministic : 600 examples, the same answers",
        "fail refuses : 0 of 1 bad inputs are refused with an error BUG404",
        "fail slices : 1 weak of 10 tested",
        "too few examples are changed by unicode.nfc, unicode.nfd",
        "unicode.nfc unicode too few 0 of 0 – – 2 %",
        f"{lecture.hits} of {lecture.n} {lecture.other_hits} of {lecture.other_n} {models.points(lecture.effect)}",
        "37 to 61.4 pp < 0.0001 weak",
        f"error rate lecture other {models.points(gap.gap)}",
        f"lecture {lecture.hits} of {lecture.n}",
        f"{len(confident.notes)} confident errors, the surest first {confident.notes[0]}",
        "below: too sure",
        "BUG405",
    ):
        assert words in text, words


def test_the_first_lines_count_what_decides() -> None:
    """What came with its group and changes nothing is not counted."""
    text = Page(render(page_of(judged()))).text
    deciding = [one.outcome for one in judged() if one.decides]
    assert len(deciding) < len(judged())
    assert f"{deciding.count('fail')} of {len(deciding)} model checks fail" in text


def test_an_undecided_run_says_at_the_top_what_is_open() -> None:
    """Its findings are warnings."""
    texts, _ = reviews(20, seed=1)
    gate = ModelGate(trained(), texts, name="few")
    gate.invariant("case.upper")
    text = Page(render(page_of(gate.results()))).text
    assert text.index("few: case.upper: flips 0 of 20") < text.index("Models: may they ship?")
    assert text.startswith("pytest-bugsle: UNDECIDED")


def test_no_number_is_none() -> None:
    """Neither in a chart nor in a table."""
    text = render(page_of(judged())).decode()
    assert not re.search(r"\b(nan|NaN|inf|Infinity|None)\b", text)


def test_what_fails_comes_first() -> None:
    """Among gates, among their judgements, and among smallest failures."""
    passing = [replace(one, model="calm", outcome="pass", findings=[]) for one in judged()]
    gates = models.gates_of(page_of([*passing, *judged()]))
    assert [gate.model for gate in gates] == ["reviews", "calm"]
    order = [one.outcome for one in gates[0].others]
    assert order == sorted(order, key=["fail", "undecided", "pass"].index)
    assert gates[0].failures[0].outcome == "fail"


def test_a_gate_that_passes_with_a_finding_is_to_be_looked_at() -> None:
    """A few confident errors are within a rate, and none of them is good."""
    one = ModelResult(
        gate="confident_errors",
        family="confident errors",
        outcome="pass",
        trials=9,
        findings=[ModelFinding(rule="BUG405", message="x")],
    )
    (gate,) = models.gates_of(page_of([one]))
    assert gate.outcome == "pass" and gate.tone == "warn" and models.word_tone(one) == "warn"


def test_what_does_not_decide_decides_nothing() -> None:
    """It is shown as too few, or as shown alone."""
    idle = failing("a", "b", decides=False)
    replay = ModelResult(gate="replay", family="saved cases", outcome="fail", trials=3, decides=False)
    (gate,) = models.gates_of(page_of([replace(idle, model=""), replay]))
    assert gate.outcome == "pass"
    assert [models.word(one) for one in gate.results] == ["too few", "shown"]
    assert {models.word_tone(one) for one in gate.results} == {"mute"}


# --- drawings --------------------------------------------------------------------------------------


def test_natures_stand_apart_and_families_together() -> None:
    """Each nature has its own limit, so its own drawing."""
    (gate,) = models.gates_of(page_of(judged()))
    natures = {nature: [one.family for one in rows] for nature, rows in models.by_nature(gate)}
    assert list(natures) == ["natural", "typographic", "adversarial"]
    assert natures["natural"] == ["case", "whitespace", "unicode", "unicode"]
    mixed = [failing("a", "b", family=family) for family in ("typos", "case", "typos")]
    ((_, rows),) = models.by_nature(models.gates_of(page_of(mixed))[0])
    assert [one.family for one in rows] == ["typos", "typos", "case"]


def test_one_limit_is_one_line_and_several_are_one_each() -> None:
    """Below a common one the ground is shaded."""
    one = failing("a", "b")
    same = str(models.rate_chart([one, one], name="x", title="t"))
    assert same.count('class="margin"') == 1 and "← ships from here" in same and "margin 2 %" in same
    apart = str(models.rate_chart([one, replace(one, limit=0.1)], name="x", title="t"))
    assert apart.count('class="margin"') == 2 and "ships" not in apart


def test_of_many_rates_the_worst_are_drawn() -> None:
    """In their order; the table has all."""
    calm = [
        failing("a", "b", perturbation=f"p{n}", outcome="pass", rate=0.0, interval=(0, 0.01))
        for n in range(20)
    ]
    drawn = str(models.rate_chart([*calm, failing("a", "b", perturbation="worst")], name="x", title="t"))
    assert drawn.count('class="dot"') == models.MOST_DRAWN and "worst 150 of 300" in drawn
    text = Page(render(page_of([*calm, failing("a", "b", perturbation="worst")]))).text
    assert "12 of 21, the worst" in text and "p19 case pass" in text


def test_what_was_not_tried_is_not_drawn() -> None:
    """It is in the table."""
    assert models.rate_chart([failing("a", "b", rate=None, interval=None)], name="x", title="t") == ""


def test_slices_are_told_with_their_p_values() -> None:
    """And the weak one by a word."""
    drawn = str(models.slice_chart(found("slices"), name="x", title="t"))
    assert ">weak, p &lt; 0.0001</text>" in drawn and ">thing = lecture, n = 61</text>" in drawn
    others = [group.effect for group in found("slices").groups[1:]]
    assert (
        others == sorted(others, key=lambda effect: -(effect or 0))
        and ">p = 1</text>" in drawn
        and drawn.count('class="margin"') == 1
    )
    assert models.slice_chart(found("fair"), name="x", title="t") == ""


def test_gaps_stand_against_the_limit() -> None:
    """Each with its metric, its groups, and how it was judged."""
    drawn = str(models.gap_chart(found("fair"), name="x", title="t"))
    assert ">error: lecture over other</text>" in drawn and ">fail</text>" in drawn
    assert "margin 5 pp" in drawn and drawn.count('class="margin"') == 1
    assert models.gap_chart(found("slices"), name="x", title="t") == ""


def test_groups_that_are_too_few_say_so() -> None:
    """Those without an example have no rate to draw."""
    few = ModelGroup(
        name="c", metric="error rate", hits=1, n=3, rate=1 / 3, interval=(0.01, 0.9), word="too few"
    )
    none = ModelGroup(name="d", metric="error rate", hits=0, n=0, rate=None, interval=None, word="too few")
    assert {group.n < 30: group.word for group in found("fair").groups} == {True: "too few", False: ""}
    drawn = str(models.group_chart([few, none], name="x", title="t"))
    assert drawn.count('class="dot"') == 1 and ">too few</text>" in drawn
    assert models.group_chart([none], name="x", title="t") == ""
    page = render(page_of([replace(found("fair"), groups=[few, none])]))
    assert "d 0 of 0 – – too few" in Page(page).text


def point(confidence: float, right: float, lower: float, upper: float) -> ModelPoint:
    """Return a point of the diagram."""
    return ModelPoint(confidence=confidence, right=right, n=30, lower=lower, upper=upper)


def test_a_point_beside_its_band_is_a_square() -> None:
    """So that it is not told by its colour alone; under it the model is too sure."""
    points = [point(0.6, 0.6, 0.4, 0.8), point(0.9, 0.5, 0.8, 1.0), point(0.7, 1.0, 0.5, 0.9)]
    assert [reliability.beside(each) for each in points] == ["within", "below", "above"]
    drawn = str(reliability.diagram(points, name="x", title="t"))
    assert drawn.count("<circle") == 1 and drawn.count('<rect class="bad"') == 2
    assert "confidence 0.6, right 0.6 of 30 (by chance 0.4 to 0.8, within)" in drawn
    assert drawn.index("confidence 0.7") < drawn.index("confidence 0.9")


def test_an_end_of_the_band_is_within_it() -> None:
    """A share of 0.1 + 0.2 is no more than 0.3."""
    assert reliability.beside(point(0.3, 0.1 + 0.2, 0.1, 0.3)) == "within"


def test_the_diagram_of_the_judge_is_drawn() -> None:
    """As many points as it has bins, all of them in the drawing."""
    bins = found("calibrated").reliability
    drawn = str(reliability.diagram(bins, name="x", title="t"))
    assert drawn.count("<circle") + drawn.count('<rect class="bad"') == len(bins) == 10
    assert drawn.count('class="band"') == 1


def test_no_points_are_no_diagram() -> None:
    """Nor are such that are no number."""
    assert reliability.diagram([], name="x", title="t") == ""
    assert reliability.diagram([point(0.5, float("nan"), 0, 1)], name="x", title="t") == ""


SHARES = st.floats(0, 1)


@given(st.lists(st.builds(point, SHARES, SHARES, SHARES, SHARES), min_size=1, max_size=12))
def test_any_points_lie_within_the_drawing(points: list[ModelPoint]) -> None:
    """All at 1, all at 0, or anywhere."""
    drawn = str(reliability.diagram(points, name="x", title="t"))
    assert "nan" not in drawn and "inf" not in drawn
    places = re.findall(r'<circle class="dot" cx="([\d.-]+)" cy="([\d.-]+)"', drawn)
    height = float(re.search(r'viewBox="0 0 340 (\d+)"', drawn)[1])  # type: ignore[index]
    assert all(0 <= float(x) <= 340 and 0 <= float(y) <= height for x, y in places)


@given(SHARES)
def test_what_is_nearly_none_or_all_does_not_read_so(share: float) -> None:
    """0 and 100 are said of exactly these."""
    text = models.percent(share)
    assert (text in ("0", "100")) == (share in (0.0, 1.0))


# --- failures --------------------------------------------------------------------------------------


def test_edits_are_marked_in_both_texts() -> None:
    """What was taken out in the one, what was put in in the other; outside, both are the same."""
    one = failing("so dull <b>", "so DULL <b>!", ([3, 7], "dull", "DULL"), ([11, 11], "", "!"))
    assert one.smallest is not None
    before, after = models.both(one.smallest)
    assert before == '"so <del>dull</del> &lt;b&gt;"'
    assert after == '"so <ins>DULL</ins> &lt;b&gt;<ins>!</ins>"'


def test_what_cannot_be_seen_is_an_escape_with_its_name() -> None:
    """A zero-width space, a turn of direction, a blank that does not break, half a character."""
    one = failing("ab", f"a{INVISIBLE}b", ([1, 1], "", INVISIBLE))
    page = render(page_of([one]))
    text = Page(page).text
    assert r"a\u200bb\u202ec\xa0\ud800" in text
    assert "there: U+200B ZERO WIDTH SPACE, U+202E RIGHT-TO-LEFT OVERRIDE, U+00A0 NO-BREAK SPACE" in text
    assert not {each for each in INVISIBLE if not each.isascii()} & set(page.decode())


def test_look_alikes_are_named() -> None:
    """A Cyrillic letter looks like a Latin one."""
    text = Page(render(page_of([failing("lovely", "lovel\u0443", ([5, 6], "y", "\u0443"))]))).text
    assert "there: U+0443 CYRILLIC SMALL LETTER U" in text


def test_two_blanks_stay_two() -> None:
    """HTML would show one."""
    page = Page(render(page_of([failing("a b", "a  b", ([1, 1], "", " "))])))
    assert sum(each == {"class": "wrap"} for tag, each in page.tags if tag == "code") == 2


def test_a_long_text_is_cut_to_what_surrounds_its_edits() -> None:
    """And how much was left out is said."""
    long = "x" * 500_000
    one = failing(f"{long}dull{long}", f"{long}DULL{long}", ([500_000, 500_004], "dull", "DULL"))
    assert one.smallest is not None
    before, after = models.both(one.smallest)
    assert len(before) < 400 and "… 499,940 … " in before and " … 499,940 …" in before
    assert "<del>dull</del>" in before and "<ins>DULL</ins>" in after


def test_a_long_edit_is_cut() -> None:
    """The room is that of the whole text."""
    one = failing("so: " + "dull" * 1000, "so: " + "DULL" * 1000, ([4, 4004], "dull" * 1000, "DULL" * 1000))
    assert one.smallest is not None
    before, after = models.both(one.smallest)
    assert before.striptags() == f'"so: {"dull" * 74}" … 3,704 …'
    assert after.count("DULL") == 74


def test_marks_are_escapes() -> None:
    """An accent of its own looks like the letter with one."""
    assert seen("e\u0301é") == r"e\u0301é"


def test_thousands_of_edits_are_cut() -> None:
    """A direction is not shrunk: its variation may differ everywhere."""
    text = "ab" * 5000
    edits = [([2 * n, 2 * n + 1], "a", "A") for n in range(5000)]
    one = failing(text, "Ab" * 5000, *edits)
    assert one.smallest is not None
    before, after = models.both(one.smallest)
    assert len(before) < 3000 and after.count("<ins>") == 40
    assert re.sub("<[^>]+>", "", after).startswith('"' + "Ab" * 40 + "ab")


@pytest.mark.parametrize(
    "edits",
    [
        [([3, 99], "dull", "DULL")],
        [([0, 2], "dull", "DULL")],
        [("place", "so", "SO")],
        [([0, 2], 1, "SO")],
        [([3, 7], "dull", "DULL"), ([0, 2], "so", "SO")],
        [([0, 2], "so", "SOOO")],
    ],
)
def test_edits_that_do_not_fit_mark_nothing(edits: list[Any]) -> None:
    """Both texts stand as they are."""
    one = failing("so dull", "SO DULL", *edits)
    assert one.smallest is not None
    assert [text.unescape() for text in models.both(one.smallest)] == ['"so dull"', '"SO DULL"']


def test_a_row_is_shown_with_its_edits() -> None:
    """A table's row has keys and no places."""
    text = Page(render(page_of([failing({"income": 3}, {"income": 3000}, ("income", 3, 3000))]))).text
    assert "{'income': 3}" in text and "'income': 3 → 3000" in text


def test_an_array_of_a_million_is_cut() -> None:
    """It is no text, and has a repr all the same."""
    page = render(page_of([failing([0.5] * 1_000_000, [0.25] * 1_000_000, (3, 0.5, 0.25))]))
    assert len(page) < 30_000 and "3: 0.5 → 0.25" in Page(page).text


@given(
    st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())), st.data()
)
def test_marks_go_in_and_out_of_any_text(text: str, put: str, data: st.DataObject) -> None:
    """Without the marks both texts are what they were, with escapes for what cannot be seen."""
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    after = text[:start] + put + text[stop:]
    one = failing(text, after, ([start, stop], text[start:stop], put))
    assert one.smallest is not None
    for made, whole in zip(models.both(one.smallest), (text, after), strict=True):
        if len(whole) <= 120:
            unmarked = re.sub(r"</?(?:del|ins)>", "", made)
            assert html.unescape(unmarked) == f'"{seen(whole)}"'


# --- strangers and sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_texts_of_strangers_are_text_alone(name: str) -> None:
    """Of examples, models, tests, perturbations, slices, groups, notes and answers."""
    stranger = replace(
        failing(f"a{name}", f"b{name}", ([0, 1], "a", "b"), model=name, test=name),
        perturbation=name or "p",
        nature=name,
        family=name,
        saved=name,
        why=name,
        notes=[name],
        smallest=ModelFailure(
            before=f"a{name}",
            after=f"b{name}",
            edits=[ModelEdit(place=[0, 1], before="a", after="b")],
            output_before=name,
            output_after=name,
        ),
    )
    odd = replace(failing({name: [name]}, [name], (name, name, name)), model=name, test=name)
    others = [
        replace(
            one,
            model=name,
            test=name,
            why=name,
            message=f"x\n{name}",
            notes=[name],
            groups=[replace(group, name=name) for group in one.groups],
            gaps=[replace(gap, high=name, low=name) for gap in one.gaps],
        )
        for one in judged()
        if not one.perturbation
    ]
    page = Page(render(page_of([stranger, odd, *others, *others])))
    assert not {"script", "img", "iframe", "b>"} & {tag for tag, _ in page.tags}
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_hundreds_of_failures_stay_under_a_megabyte() -> None:
    """What is cut is counted."""
    text = "word " * 200_000
    many = [
        failing(text, f"W{text[1:]}", ([0, 1], "w", "W"), perturbation=f"own.{n}", model=f"m{n % 3}")
        for n in range(200)
    ]
    page = render(page_of(many))
    assert len(page) < LIMIT
    assert "62 failures more" in Page(page).text
    one_model = [replace(one, model="m") for one in many * 5]
    page = render(page_of(one_model))
    shown = int(re.search(r"shows the first (\d+) of each kind", Page(page).text)[1])  # type: ignore[index]
    assert len(page) < LIMIT and f"and {1000 - shown} failures more, in the JSON report" in Page(page).text


def test_thousands_of_confident_errors_are_counted() -> None:
    """The surest are there, the next are a click away."""
    notes = [f"{n:012x}: 'bad' (0.999), is 'good': '<script>'" for n in range(5000)]
    page = render(page_of([replace(found("confident_errors"), notes=notes)]))
    assert len(page) < LIMIT and "5000 confident errors, the surest first" in Page(page).text
    assert "confident errors more, in the JSON report" in Page(page).text


# --- who writes it ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_and_the_session_write_the_page(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`bugsle model check --report html:PATH`, and `pytest --bugsle --bugsle-report html:PATH`."""
    small = Path(__file__).with_name("small_models.py")
    (pytester.path / small.name).write_bytes(small.read_bytes())
    texts, _ = reviews(300, seed=1)
    (pytester.path / "texts.txt").write_text("\n".join(texts))
    (pytester.path / "shipping.py").write_text(
        "from small_models import trained\ncased = trained(lowercase=False)\n"
    )
    monkeypatch.chdir(pytester.path)
    monkeypatch.syspath_prepend(str(pytester.path))
    told = CliRunner().invoke(
        model,
        [
            "check",
            "--model",
            "shipping:cased",
            "--data",
            "texts.txt",
            "--invariant",
            "case.upper",
            "--report",
            "html:command.html",
        ],
        standalone_mode=False,
    )
    assert told.return_value == 1, told.output
    text = Page((pytester.path / "command.html").read_bytes()).text
    assert "fail shipping:cased" in text and "case.upper case fail 1" in text
    pytester.makepyfile(
        test_ship="""
        from shipping import cased
        def test_ship(robustness):
            with open("texts.txt") as file:
                robustness(cased, file.read().splitlines(), name="cased").invariant("case.upper", max_flip_rate=0.9)
    """
    )
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=pytester.path, check=True)
    pytester.runpytest_subprocess("--bugsle", "--bugsle-report", "html:session.html")
    text = Page((pytester.path / "session.html").read_bytes()).text
    assert "pass cased test_ship.py::test_ship" in text and "case.upper case pass 1" in text
