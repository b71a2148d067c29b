"""A/B tests on the page: effects against the margin, looks with their bounds, segments, and the numbers beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from report_examples import HOSTILE, result
from test_report_html import Page

from pytest_bugsle.experiment.judging import judge_means, judge_proportions
from pytest_bugsle.experiment.picture import interval_picture
from pytest_bugsle.experiment.verdict import joined
from pytest_bugsle.report.html import render
from pytest_bugsle.report.page import charts, experiments
from pytest_bugsle.results import (
    ExperimentCheck,
    ExperimentLook,
    ExperimentResult,
    ExperimentSegment,
    Result,
)


def looks() -> list[ExperimentLook]:
    """Return three looks of five at counts that grow."""
    made = []
    for number in (1, 2, 3):
        n = 5000 * number
        one = judge_proportions(
            (n // 10, n), (n // 10 + 60 * number, n), mde=0.1, baseline=0.1, look=(number, 5)
        )
        assert one.look is not None
        made.append(one.look)
    return made


def segment(value: str, effect: float, **rest: Any) -> ExperimentSegment:
    """Return one segment of a column."""
    fields: dict[str, Any] = {
        "column": "country",
        "value": value,
        "n": {"control": 400, "treatment": 410},
        "values": {"control": 0.1, "treatment": 0.1 + effect},
        "effect": effect,
        "interval": (effect - 0.03, effect + 0.03),
        "p_value": 0.2,
        "adjusted_p_value": 0.4,
        **rest,
    }
    return ExperimentSegment(**fields)


def shop() -> list[ExperimentResult]:
    """Return a pass with looks and segments, a guardrail, one that is undecided, and one that is withheld."""
    n = 15_000
    growing = judge_proportions(
        (1500, n),
        (1800, n),
        metric="conversion",
        mde=0.1,
        baseline=0.1,
        look=(3, 5),
        test="test_ab.py::test_new",
    )
    growing = replace(
        growing,
        looks=looks(),
        segments=[
            segment("de", 0.01),
            segment("fr", 0.09, p_value=0.0001, adjusted_p_value=0.0002),
        ],
        checks=[ExperimentCheck(name="sample-ratio-mismatch", outcome="pass", message="as designed")],
    )
    rail = judge_means(
        {"mean": 200, "deviation": 20, "n": 4000},
        {"mean": 200.2, "deviation": 20, "n": 4000},
        metric="latency",
        direction="down",
        min_lift=-0.01,
        role="guardrail",
        look="final",
    )
    small = judge_proportions((50, 500), (62, 520), metric="signups", mde=0.1)
    wrong = judge_proportions((5, 3), (1, 9), metric="broken")
    return [growing, rail, small, wrong]


def page_of(found: list[ExperimentResult]) -> Result:
    """Return a run that judged these alone."""
    return joined(result(range=None), found, {}, ci=False)


def test_every_number_of_a_metric_stands_beside_its_chart() -> None:
    """Outcome in words, values, interval, least effect, looks and segments."""
    page = Page(render(page_of(shop())))
    for words in (
        "A/B tests: may it ship? 4",
        "pass conversion",
        "pass latency guardrail",
        "undecided signups",
        "invalid broken",
        "test_ab.py::test_new",
        "10 % n = 15,000",
        "2 pp",
        "1,020",
        "sample-ratio-mismatch",
        "BUG302 contradictory-data",
        "withheld",
        "3 of 5",
        "fr 10 % n = 400 19 % n = 410 9 pp 6 to 12 pp 0.0001 0.0002 yes",
        "de 10 % n = 400 11 % n = 410 1 pp -2 to 4 pp 0.2 0.4 no",
    ):
        assert words in page.text, words
    assert "1 of 4 metrics undecided" in page.text


def test_no_number_is_none() -> None:
    """Neither in a chart nor in a table."""
    text = render(page_of(shop())).decode()
    assert not re.search(r"\b(nan|NaN|inf|Infinity|None)\b", text)


def test_the_side_that_ships_follows_the_direction() -> None:
    """Less is better for a latency: the margin lies over 0, and the side below it ships."""
    rail = shop()[1]
    found = experiments.judged(rail)
    assert found is not None and found.margin == pytest.approx(1.0)
    assert "← ships from here" in experiments.effect_chart(rail, "x")
    up = judge_proportions((50, 500), (62, 520), metric="m", min_lift=0.05)
    assert "ships from here →" in experiments.effect_chart(up, "x")
    judged = experiments.judged(up)
    assert judged is not None and judged.margin == pytest.approx(5.0) and judged.unit == " %"


def test_an_effect_that_is_withheld_is_not_drawn() -> None:
    """Nor is a lift without bounds."""
    broken = shop()[3]
    assert experiments.judged(broken) is None and experiments.effect_chart(broken, "x") == ""
    nothing = judge_proportions((0, 500), (6, 500), min_lift=0.1)
    assert experiments.judged(nothing) is None


def test_a_bound_is_that_of_the_level() -> None:
    """What the gate decides by, in standard errors."""
    one = replace(looks()[0], alpha=0.05)
    assert experiments.bound(one) == pytest.approx(1.959964, abs=1e-6)
    assert experiments.bound(replace(one, alpha=1e-12)) > 7


def test_looks_rise_from_left_to_right_and_bounds_fall() -> None:
    """As O'Brien and Fleming have it; all of it is told to who cannot see it."""
    drawn = str(experiments.look_chart(looks(), name="x", title="t"))
    dots = [float(x) for x in re.findall(r'<circle class="dot" cx="([\d.]+)"', drawn)]
    assert len(dots) == 3 and dots == sorted(dots)
    assert "3 looks: look 1 of 5" in drawn and "decides beyond" in drawn
    assert drawn.count('class="margin"') == 2


def test_looks_without_units_stand_in_their_order() -> None:
    """An old report may not know them."""
    old = [replace(look, units=None, z=None) for look in looks()]
    drawn = str(experiments.look_chart(old, name="x", title="t"))
    assert "not defined" in drawn and "circle" not in drawn


def test_all_lifts_in_one_drawing_need_two() -> None:
    """Each with its own margin."""
    assert experiments.overview(shop()[:1], "x") == ""
    drawn = str(experiments.overview(shop(), "x"))
    assert drawn.count('class="margin"') == 3 and "latency (guardrail)" in drawn


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_strangers_are_text_alone(name: str) -> None:
    """Of metrics, arms, columns and their values, tests and notes."""
    whole = shop()[0]
    stranger = replace(
        whole,
        metric=name,
        test=name,
        why=name,
        n={name: 3, "b": 4},
        values={name: 0.1, "b": 0.2},
        segments=[segment(name, 0.01, column=name)],
        checks=[ExperimentCheck(name=name, outcome="invalid", message=name)],
        notes=[name],
        looks=[replace(look, why=name) for look in whole.looks],
    )
    page = Page(render(page_of([stranger, stranger])))
    assert not {"script", "img", "iframe"} & {tag for tag, _ in page.tags}


FLOATS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(
    FLOATS,
    st.floats(0, 1e9),
    st.floats(0, 10),
    st.sampled_from(["up", "down"]),
    st.booleans(),
    st.sampled_from(["share", "mean"]),
)
def test_any_effect_is_drawn_without_a_number_that_is_none(
    effect: float, half: float, least: float, direction: Any, relative: bool, kind: Any
) -> None:
    """However large, small or far from its margin."""
    one = replace(
        shop()[0],
        effect=effect,
        interval=(effect - half, effect + half),
        least=least,
        direction=direction,
        least_is_relative=relative,
        kind=kind,
    )
    drawn = str(experiments.effect_chart(one, "x"))
    assert drawn.startswith("<svg") and "nan" not in drawn and "inf" not in drawn


def test_a_row_of_a_forest_says_how_it_was_judged() -> None:
    """The word stands beside the label, and is told with it."""
    row = charts.Effect(label="latency", value=1.0, low=0.5, high=2.0, margin=0.7, word="undecided")
    drawn = str(charts.forest([row], name="x", title="t"))
    assert ">undecided</text>" in drawn and "margin 0.7, undecided" in drawn


def test_equivalence_has_two_margins() -> None:
    """The ground between them is where the interval is to lie."""
    one = judge_means(
        {"mean": 200, "deviation": 20, "n": 4000},
        {"mean": 200.2, "deviation": 20, "n": 4000},
        metric="latency",
    )
    equal = replace(one, within=3.0)
    drawn = str(experiments.effect_chart(equal, "x"))
    assert drawn.count('class="margin"') == 2 and "equal enough: within ±3" in drawn
    assert "within ±3" in Page(render(page_of([equal]))).text
    assert interval_picture(equal).count("|") == 3
