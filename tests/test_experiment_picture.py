"""The interval in one line: ASCII, short, and on the side of the least effect on which the judgement is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.experiment.judging import judge_means, judge_proportions
from pytest_bugsle.experiment.picture import draw, draw_within, interval_picture
from pytest_bugsle.results import ExperimentResult


def test_a_line_is_read_from_the_interval_to_the_least_effect() -> None:
    """What would ship is drawn as `=`, what would not as `-`."""
    assert draw(-2, 1, 4, 0, better=1, width=24) == "..[-----|===o========].."
    assert draw(1, 2, 4, 0, better=1, width=24) == "..|....[====o========].."
    assert draw(1, 2, 4, 0, better=-1, width=24) == "..|....[----o--------].."


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), NUMBERS, st.sampled_from([1, -1]), st.integers(16, 60))
def test_the_mark_stands_on_the_side_on_which_it_is(
    ends: tuple[float, float, float], least: float, better: int, width: int
) -> None:
    """However near an end is to the least effect: no picture contradicts the judgement."""
    low, effect, high = sorted(ends)
    line = draw(low, effect, high, least, better=better, width=width)
    assert len(line) == width and line.isascii()
    assert line.count("|") == 1
    mark = line.index("|")
    if low > least:
        assert "[" in line[mark:] or "o" in line[mark:]
        assert ("-" not in line) if better > 0 else ("=" not in line)
    elif high < least:
        assert "]" in line[:mark] or "o" in line[:mark]
        assert ("=" not in line) if better > 0 else ("-" not in line)


def test_a_margin_lies_on_the_side_that_the_direction_says() -> None:
    """A latency may rise by one in a hundred: the mark stands to the right of it, in per cent as in its own unit."""
    arms = {"mean": 200, "deviation": 20, "n": 40_000}, {"mean": 200.1, "deviation": 20, "n": 40_000}
    for least in ({"min_lift": -0.01}, {"min_difference": -2}):
        line = interval_picture(judge_means(*arms, direction="down", look="final", **least))
        assert line.index("o") < line.index("|") < line.index("least that ships")
        assert "=" in line


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.floats(1e-3, 1e6), st.integers(16, 60))
def test_margins_to_both_sides_stand_where_the_ends_are_judged(
    ends: tuple[float, float, float], margin: float, width: int
) -> None:
    """Within them is `=` alone where the gate says that the whole interval is."""
    low, effect, high = sorted(ends)
    line = draw_within(low, effect, high, margin, width=width)
    assert len(line) == width and line.isascii()
    if -margin < low and high < margin:
        assert "-" not in line and line.count("|") == 2
    if low > margin or high < -margin:
        assert "=" not in line


@pytest.mark.parametrize(
    "result",
    [
        judge_proportions((50, 500), (62, 520), mde=0.1),
        judge_proportions((50, 500), (62, 520), min_lift=0.05),
        judge_means({"mean": -1e9, "deviation": 1e7, "n": 50}, {"mean": -1.2e9, "deviation": 1e8, "n": 50}),
        judge_means(
            {"mean": 5, "deviation": 1e-9, "n": 50}, {"mean": 4, "deviation": 1, "n": 50}, direction="down"
        ),
    ],
)
def test_the_line_fits_into_eighty_columns(result: ExperimentResult) -> None:
    """With its indentation and its numbers; it is in the message."""
    line = interval_picture(result)
    assert line and line.isascii() and len(line) + 2 <= 80
    assert f"  {line}" in result.message.splitlines()


@pytest.mark.parametrize("bad", [((5, 3), (1, 9)), ((0, 50), (3, 50))])
def test_what_has_no_interval_is_not_drawn(bad: Any) -> None:
    """Withheld effects, and lifts without bounds."""
    result = judge_proportions(*bad, min_lift=0.1)
    assert interval_picture(result) == ""
