"""Segments are looked at: their effects, adjusted for their number, decide nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pytest_bugsle.experiment.segments import MOST, Segmented, effects_of
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.stats.moments import Moments

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

ARMS = ("control", "treatment")


def table(effect: dict[str, float], n: int = 3000, seed: int = 5) -> dict[str, list[Any]]:
    """Return units of several countries, with an effect of their own in each."""
    chance = random.Random(seed)  # noqa: S311  # made-up users
    arms = [chance.choice(ARMS) for _ in range(n)]
    where = [chance.choice(list(effect)) for _ in range(n)]
    made = [
        chance.gauss(10, 2) + effect[place] * (arm == "treatment")
        for arm, place in zip(arms, where, strict=True)
    ]
    return {"variant": arms, "country": where, "revenue": made, "bought": [int(y > 11) for y in made]}


def judged(rows: dict[str, list[Any]], metric: str = "revenue", **more: Any) -> ExperimentResult:
    """Judge one metric by country."""
    return judge_table(rows, arm="variant", metric=metric, segments=["country"], look="final", **more)[0]


def test_each_segment_has_its_effect_and_its_interval() -> None:
    """The largest first, as many units as the whole, and the one with an effect stands out."""
    result = judged(table({"de": 0.0, "fr": 1.0, "it": 0.0}))
    assert {one.value for one in result.segments} == {"de", "fr", "it"}
    assert sum(sum(one.n.values()) for one in result.segments) == sum(result.n.values())
    sizes = [sum(one.n.values()) for one in result.segments]
    assert sizes == sorted(sizes, reverse=True)
    for one in result.segments:
        assert one.interval[0] <= one.effect <= one.interval[1]
        assert one.effect == pytest.approx(one.values["treatment"] - one.values["control"])
        assert (one.adjusted_p_value < 0.05) == (one.value == "fr")


def test_zeros_and_ones_are_shares_in_segments_too() -> None:
    """With the score interval, which stays within -1 to 1."""
    result = judged(table({"de": 0.5, "fr": 0.5}), "bought")
    assert result.kind == "share"
    assert all(0 <= value <= 1 for one in result.segments for value in one.values.values())


def test_p_values_are_adjusted_for_all_segments_of_the_metric() -> None:
    """One in twenty would stand out by chance."""
    noise = {f"place {number}": 0.0 for number in range(40)}
    alone = adjusted = 0
    for seed in range(10):
        found = judged(table(noise, 8000, seed)).segments
        alone += any(one.p_value < 0.05 for one in found)
        adjusted += any(one.adjusted_p_value < 0.05 for one in found)
        assert all(one.p_value <= one.adjusted_p_value <= 1 for one in found)
    assert alone >= 8 and adjusted <= 3


def test_a_segment_without_both_arms_or_without_variance_is_left_out() -> None:
    """It says nothing, and breaks nothing."""
    rows = [
        Segmented("c", "one arm", Moments.of([1.0, 2.0]), Moments.of([])),
        Segmented("c", "one unit", Moments.of([1.0, 2.0]), Moments.of([3.0])),
        Segmented("c", "constant", Moments.of([1.0, 1.0]), Moments.of([2.0, 2.0])),
        Segmented("c", "fine", Moments.of([1.0, 2.0, 3.0]), Moments.of([2.0, 2.5, 4.0])),
    ]
    assert [one.value for one in effects_of(rows, ARMS, shares=False, alpha=0.05)] == ["fine"]
    assert effects_of([], ARMS, shares=True, alpha=0.05) == []


def test_a_column_of_ids_is_cut_to_the_largest() -> None:
    """A page of ten thousand rows says nothing to anybody."""
    rows = [Segmented("id", str(n), Moments.of([1.0, 2.0]), Moments.of([1.0, 3.0])) for n in range(MOST + 50)]
    rows.append(Segmented("id", "large", Moments.of([1.0, 2.0, 5.0]), Moments.of([1.0, 3.0])))
    found = effects_of(rows, ARMS, shares=False, alpha=0.05)
    assert len(found) == MOST and found[0].value == "large"


def test_a_reversal_keeps_the_segments_that_show_it_and_withholds_the_effect() -> None:
    """Any other check that fires withholds them too."""
    rows: dict[str, list[Any]] = {"variant": [], "y": [], "seg": []}
    for seg, counts in {"small": (100, 10, 900, 120), "large": (900, 400, 100, 50)}.items():
        for arm, n, x in (("control", *counts[:2]), ("treatment", *counts[2:])):
            rows["variant"] += [arm] * n
            rows["seg"] += [seg] * n
            rows["y"] += [1] * x + [0] * (n - x)
    result = judge_table(rows, arm="variant", metric="y", segments=["seg"], look="final")[0]
    assert result.outcome == "invalid" and result.effect is None
    assert {one.value: one.effect > 0 for one in result.segments} == {"small": True, "large": True}
    assert "\n    large: control 400 of 900" in result.message
    rows["y"][0] = None
    mixed = judge_table(rows, arm="variant", metric="y", segments=["seg"], look="final")[0]
    assert mixed.outcome == "invalid" and mixed.segments == []


def test_segments_change_no_outcome() -> None:
    """They are looked at."""
    rows = table({"de": -2.0, "fr": 2.0})
    without = judge_table(rows, arm="variant", metric="revenue", look="final")[0]
    assert judged(rows).outcome == without.outcome


def test_a_ratio_has_its_own_ratio_in_each_segment() -> None:
    """By its units, as the whole is judged; where all are in one segment it is the whole."""
    chance = random.Random(3)  # noqa: S311  # made-up users
    rows: dict[str, list[Any]] = {
        "variant": [],
        "user": [],
        "clicks": [],
        "views": [],
        "country": [],
        "all": [],
    }
    for user in range(800):
        arm, place = ARMS[user % 2], "de" if user % 5 else "fr"
        rate = {"de": 0.2, "fr": 0.6}[place] + 0.1 * (arm == "treatment")
        for _ in range(chance.randint(1, 4)):
            views = chance.randint(1, 9)
            rows["variant"].append(arm)
            rows["user"].append(user)
            rows["views"].append(views)
            rows["clicks"].append(sum(chance.random() < rate for _ in range(views)))
            rows["country"].append(place)
            rows["all"].append("x")
    result = judge_table(
        rows,
        arm="variant",
        unit="user",
        metric="clicks",
        denominator="views",
        segments=["country", "all"],
        look="final",
    )[0]
    found = {one.value: one for one in result.segments}
    assert found["de"].values["control"] == pytest.approx(0.2, abs=0.03)
    assert found["fr"].values["control"] == pytest.approx(0.6, abs=0.05)
    assert found["de"].effect == pytest.approx(0.1, abs=0.03)
    assert found["x"].effect == pytest.approx(result.effect) and found["x"].interval == pytest.approx(
        result.interval
    )
    assert found["x"].n == result.n
