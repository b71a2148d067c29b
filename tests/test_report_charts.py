"""Charts: values become marks at the right places, whatever the values and the texts are."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import ANY_TEXT

from pytest_bugsle.report.page.charts import (
    WIDTH,
    Effect,
    Point,
    forest,
    interval_bar,
    number,
    strip,
    ticks,
    trend,
)
from pytest_bugsle.report.page.figures import MOST_PERIODS, Figure, duration, durations, percents, unit_of

NUMBERS = st.floats(0, 1e9, allow_nan=False)
POINTS = st.lists(
    st.builds(
        Point,
        label=ANY_TEXT,
        value=st.none() | NUMBERS,
        low=st.none() | NUMBERS,
        high=st.none() | NUMBERS,
        n=st.none() | st.integers(0, 99),
        marks=st.lists(ANY_TEXT, max_size=2).map(tuple),
    ),
    max_size=40,
)


def drawn(svg: str) -> ET.Element:
    """Read a chart as XML."""
    return ET.fromstring(svg)


def of_class(svg: str, name: str) -> list[ET.Element]:
    """Give the marks of one class."""
    return [each for each in drawn(svg).iter() if name in each.get("class", "").split()]


def months(*values: float | None, **more: object) -> list[Point]:
    """Make a series without intervals."""
    return [Point(label=f"2026-{index + 1:02}", value=value) for index, value in enumerate(values)]


def test_a_trend_steps_from_value_to_value_and_leaves_gaps() -> None:
    """A period without a value parts the line; each value has a dot; the axis begins at zero."""
    svg = trend(months(1.0, 2.0, None, 4.0), name="t", title="Lead time", unit=" d")
    (line,) = of_class(svg, "line")
    assert re.findall("[ML]", line.get("d", "")) == ["M", "L", "M"]
    heights = [float(dot.get("cy", "")) for dot in of_class(svg, "dot")]
    assert heights == sorted(heights, reverse=True) and len(heights) == 3
    assert [text.text for text in drawn(svg).iter("text")][:5] == ["0 d", "1 d", "2 d", "3 d", "4 d"]


def test_a_trend_shows_intervals_and_marks_failures() -> None:
    """A band spans low to high around its dot; a triangle names what failed."""
    point = Point(label="2026-05", value=0.4, low=0.2, high=0.6, n=9, marks=("v1.2", "v1.3"))
    svg = trend([Point(label="2026-04", value=0.1), point], name="t", title="Failures")
    (band,) = of_class(svg, "band")
    top, height = float(band.get("y", "")), float(band.get("height", ""))
    dot = float(of_class(svg, "dot")[1].get("cy", ""))
    assert top < dot < top + height and abs(dot - (top + height / 2)) < 0.2
    (mark,) = of_class(svg, "bad")
    assert mark[0].text == "2026-05: v1.2, v1.3"
    assert "2 periods, from 0.1 in 2026-04 to 0.4 in 2026-05; 1 with deployments that failed" in svg


def test_a_long_trend_labels_its_last_period_and_no_two_overlap() -> None:
    """As many labels as there is room for."""
    svg = trend(months(*[1.0] * 36), name="t", title="x")
    labels = [text for text in drawn(svg).iter("text") if (text.text or "").startswith("2026")]
    assert labels[-1].text == "2026-36" and 2 <= len(labels) <= 6


def test_a_bar_shows_a_share_and_its_interval() -> None:
    """In hundredths of its width; readers of the page aloud are not told, the numbers stand beside it."""
    svg = interval_bar(0.25, 0.1, 0.5)
    assert of_class(svg, "bar")[0].get("width") == "25"
    assert of_class(svg, "whisker")[0].get("d") == "M10 6H50M10 2V10M50 2V10"
    assert drawn(svg).get("aria-hidden") == "true"
    assert not of_class(interval_bar(None, None, None), "bar")
    assert of_class(interval_bar(7.0, None, None, most=2.0), "bar")[0].get("width") == "100"


def test_a_strip_tells_outcomes_by_height_and_form() -> None:
    """A failure stands tall and solid, an error tall and hollow, a pass low; a gap parts versions."""
    svg = strip(["..F", "Es"], name="s", title="t")
    rects = list(drawn(svg).iter("rect"))
    assert [rect.get("class") for rect in rects] == ["good", "good", "bad", "bad hollow", "mute"]
    heights = [float(rect.get("height", "")) for rect in rects]
    assert heights[2] == heights[3] > heights[0] > heights[4]
    xs = [float(rect.get("x", "")) for rect in rects]
    assert xs[3] - xs[2] > xs[2] - xs[1]
    assert "5 attempts, 2 of them not passed, oldest first: ..F Es" in svg


def test_a_long_strip_wraps() -> None:
    """No mark stands outside of the picture."""
    svg = strip(["." * 500, "F" * 3], name="s", title="t")
    width, height = (float(part) for part in drawn(svg).get("viewBox", "").split()[2:])
    for rect in drawn(svg).iter("rect"):
        assert 0 <= float(rect.get("x", "")) <= width - 4
        assert 0 <= float(rect.get("y", "")) <= height - float(rect.get("height", ""))


def test_a_forest_shows_effects_against_zero_and_the_margin() -> None:
    """In the order of the numbers, from left to right."""
    svg = forest(
        [Effect(label="latency", value=-1.0, low=-2.0, high=-0.1)],
        name="f",
        title="t",
        margin=-0.5,
        unit=" %",
    )
    zero = float(of_class(svg, "axis")[0].get("x1", ""))
    margin = float(of_class(svg, "margin")[0].get("x1", ""))
    dot = float(of_class(svg, "dot")[0].get("x", "")) + 3.5
    assert dot < margin < zero
    assert "latency -1 % (-2 to -0.1); margin -0.5 %" in svg


@given(POINTS, ANY_TEXT, ANY_TEXT)
def test_any_series_is_drawn_inside_its_picture(points: list[Point], title: str, unit: str) -> None:
    """Well-formed, no number that is none, no mark outside."""
    svg = trend(points, name="t", title=title, unit=" d")
    assert "nan" not in re.sub(r"<(title|desc|text)[^>]*>[^<]*<", "", svg)
    height = float(drawn(svg).get("viewBox", "").split()[3])
    for dot in of_class(svg, "dot"):
        assert 0 <= float(dot.get("cx", "")) <= WIDTH and 0 <= float(dot.get("cy", "")) <= height


@given(st.lists(st.text('._Fs<&"E!?x', max_size=90), max_size=9), ANY_TEXT)
def test_any_strip_is_well_formed(words: list[str], title: str) -> None:
    """A mark a letter."""
    assert len(list(drawn(strip(words, name="s", title=title)).iter("rect"))) == len("".join(words))


@given(
    st.lists(st.tuples(ANY_TEXT, st.floats(-1e6, 1e6), st.floats(0, 1e6)), max_size=9),
    st.none() | st.floats(-9, 9),
)
def test_any_forest_is_well_formed(rows: list[tuple[str, float, float]], margin: float | None) -> None:
    """One dot a row, inside."""
    effects = [
        Effect(label=label, value=value, low=value - half, high=value + half) for label, value, half in rows
    ]
    svg = forest(effects, name="f", title="t", margin=margin)
    dots = of_class(svg, "dot")
    assert len(dots) == len(rows) and all(0 <= float(dot.get("x", "")) <= WIDTH for dot in dots)


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_ticks_are_few_and_span_the_values(one: float, other: float) -> None:
    """Ascending, evenly, from below the least to above the most."""
    least, most = sorted((one, other))
    found = ticks(most, least)
    assert 2 <= len(found) <= 7 and found == sorted(set(found))
    slack = 1e-6 * max(1.0, abs(least), abs(most))
    assert found[0] <= least + slack and found[-1] >= most - slack


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (8.6, "8.6"),
        (1234.5, "1,234"),
        (0.001234, "0.00123"),
        (100.0, "100"),
        (math.inf, "–"),
        (-2.5, "-2.5"),
        (1e-12, "0"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    """And no exponent."""
    assert number(value) == text


def test_times_are_shown_in_the_unit_that_fits() -> None:
    """The longest decides for all of a series."""
    assert [duration(s) for s in (1.5, 90, 7200, 3 * 86400, 3 * 365.25 * 86400)] == [
        "1.5 s",
        "90 s",
        "2 h",
        "3 d",
        "3 y",
    ]
    points, unit = durations([Point(label="a", value=86400.0, low=None, high=3 * 86400.0)])
    assert (points[0].value, points[0].high, unit) == (1.0, 3.0, " d")
    assert percents([Point(label="a", value=0.25)])[0][0].value == 25.0
    assert unit_of([None]) == (1.0, " s")


def test_a_figure_shows_its_last_periods() -> None:
    """The earlier ones are counted by the page."""
    figure = Figure(title="x", now="1", points=tuple(months(*[1.0] * 50)))
    assert len(figure.shown) == MOST_PERIODS and figure.shown[-1] == figure.points[-1]
