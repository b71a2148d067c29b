"""A user's table: every kind is read alike, checks come first, and a wrong column names the nearest."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.command import ab
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentResult

duckdb = pytest.importorskip("duckdb")
pyarrow = pytest.importorskip("pyarrow")

DESIGN: dict[str, Any] = {"arm": "variant", "metric": "revenue", "look": "final"}


def exposures(n: int = 4000, effect: float = 0.4, seed: int = 1) -> dict[str, list[Any]]:
    """Return users of two arms, with a covariate that says much of the metric."""
    chance = random.Random(seed)  # noqa: S311  # made-up users
    before = [chance.gauss(10, 3) for _ in range(n)]
    arms = ["treatment" if chance.random() < 0.5 else "control" for _ in range(n)]
    revenue = [
        x + chance.gauss(0, 1) + effect * (arm == "treatment") for x, arm in zip(before, arms, strict=True)
    ]
    return {
        "variant": arms,
        "user_id": list(range(n)),
        "revenue": revenue,
        "revenue_before": before,
        "country": [chance.choice(["de", "fr"]) for _ in range(n)],
        "latency": [chance.gauss(200, 20) for _ in range(n)],
        "bought": [int(chance.random() < 0.1) for _ in range(n)],
    }


def judged(table: Any, **design: Any) -> ExperimentResult:
    """Judge one metric."""
    return judge_table(table, **{**DESIGN, **design})[0]


def fired(result: ExperimentResult) -> set[str | None]:
    """Return the rules of the checks that fired, which is where nothing of the effect may be shown."""
    assert result.outcome == "invalid" and result.effect is None and result.interval is None
    assert result.p_value is None
    return {check.rule for check in result.checks if check.outcome == "invalid"}


def test_every_kind_of_table_gives_the_same(tmp_path: Path) -> None:
    """Lists, Arrow, relations, CSV and Parquet."""
    table = pyarrow.table(exposures())
    duckdb.from_arrow(table).write_parquet(str(tmp_path / "a.parquet"))
    duckdb.from_arrow(table).write_csv(str(tmp_path / "a*.csv"))
    kinds = [exposures(), table, duckdb.from_arrow(table), tmp_path / "a.parquet", str(tmp_path / "a*.csv")]
    found = [judged(kind) for kind in kinds]
    for result in found:
        assert result.effect == pytest.approx(found[0].effect, rel=1e-12)
        assert result.p_value == pytest.approx(found[0].p_value, rel=1e-9)


def test_a_covariate_narrows_the_interval_and_keeps_the_effect() -> None:
    """It was the same in both arms."""
    plain, adjusted = judged(exposures()), judged(exposures(), covariate="revenue_before")
    assert plain.interval is not None and adjusted.interval is not None
    assert adjusted.interval[1] - adjusted.interval[0] < (plain.interval[1] - plain.interval[0]) / 2
    assert adjusted.outcome == "pass" and adjusted.effect == pytest.approx(0.4, abs=0.1)


def test_a_guardrail_must_not_get_worse_by_its_margin() -> None:
    """Each is a result of its own."""
    rails = {"latency": {"margin": 0.02, "direction": "down"}}
    main, rail = judge_table(exposures(), **DESIGN, guardrails=rails)
    assert (main.outcome, rail.outcome, rail.role) == ("pass", "pass", "guardrail")
    slow = exposures()
    slow["latency"] = [
        v * 1.05 if a == "treatment" else v for v, a in zip(slow["latency"], slow["variant"], strict=True)
    ]
    assert judge_table(slow, **DESIGN, guardrails=rails)[1].outcome == "fail"


def test_zeros_and_ones_are_a_share() -> None:
    """With the tests of counts."""
    found = judged(exposures(), metric="bought")
    assert "pooled z" in found.method and "points" in found.message


def test_a_sample_ratio_mismatch_withholds_the_effect() -> None:
    """Against the designed split, and only that."""
    table = exposures()
    keep = [place for place, arm in enumerate(table["variant"]) if arm == "control" or place % 4]
    lossy = {name: [column[place] for place in keep] for name, column in table.items()}
    found = judged(lossy, split={"control": 0.5, "treatment": 0.5})
    assert fired(found) == {"BUG301"} and "BUG301 sample-ratio-mismatch" in found.message
    assert judged(lossy, split={"control": 4, "treatment": 3}).outcome != "invalid"


def test_a_unit_in_two_arms_withholds_the_effect() -> None:
    """It has seen both."""
    table = exposures()
    table["user_id"] = [place // 2 for place in table["user_id"]]
    assert "BUG303" in fired(judged(table, unit="user_id"))


def test_rows_of_a_unit_are_put_together() -> None:
    """Three copies of every row are no more evidence than one."""
    table = exposures()
    thrice = {name: column * 3 for name, column in table.items()}
    once, found = judged(table, unit="user_id"), judged(thrice, unit="user_id")
    assert found.n == once.n and found.effect == pytest.approx(once.effect)
    assert found.p_value == pytest.approx(once.p_value, rel=1e-6)
    assert "12,000 rows of 4,000 units" in found.message


def test_missing_values_are_refused_or_compared_between_the_arms() -> None:
    """Left out alike they may be, in one arm alone they may not."""
    table = exposures()
    table["revenue"] = [None if place % 10 == 0 else v for place, v in enumerate(table["revenue"])]
    assert fired(judged(table)) == {"BUG302"}
    assert judged(table, nan="omit").outcome == "pass"
    table["revenue"] = [
        None if a == "treatment" and place % 5 == 0 else v
        for place, (v, a) in enumerate(zip(table["revenue"], table["variant"], strict=True))
    ]
    assert fired(judged(table, nan="omit")) == {"BUG304"}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_invalid_with_their_count(bad: float) -> None:
    """By arm."""
    table = exposures()
    table["revenue"][7] = bad
    found = judged(table)
    assert fired(found) == {"BUG302"} and "no finite number" in found.message


def test_arms_that_differed_before_are_invalid() -> None:
    """Such a covariate was measured after the exposure, or the assignment was not random."""
    table = exposures(effect=1)
    table["revenue_before"] = list(table["revenue"])
    assert fired(judged(table, covariate="revenue_before")) == {"BUG305"}


def test_simpsons_paradox_is_shown_by_its_table() -> None:
    """The whole says the opposite of both segments."""
    rows = [
        ("control", "small", 234, 270),
        ("treatment", "small", 81, 87),
        ("control", "large", 55, 80),
        ("treatment", "large", 192, 263),
    ]
    table: dict[str, list[Any]] = {"variant": [], "stone": [], "cured": []}
    for arm, stone, cured, n in rows:
        table["variant"] += [arm] * n
        table["stone"] += [stone] * n
        table["cured"] += [1] * cured + [0] * (n - cured)
    found = judged(table, metric="cured", segments=["stone"])
    assert fired(found) == {"BUG307"}
    assert "small: control 234 of 270, treatment 81 of 87" in found.message


def test_arms_that_the_design_does_not_know_are_invalid() -> None:
    """And empty ones, and rows without one."""
    table = exposures(200)
    assert "'treatment'" in judged(table, split={"control": 1, "b": 1}).why
    table["variant"][3] = None
    assert "rows without an arm" in judged(table, split={"control": 1, "treatment": 1}).why


@pytest.mark.parametrize(
    ("design", "named"),
    [
        ({"metric": "revenu"}, "nearest: 'revenue'"),
        ({"arm": "varient"}, "'variant'"),
        ({"metric": "country"}, "is VARCHAR, and must be numbers"),
        ({"control": "a"}, "no arm is 'a'"),
        ({"nan": "drop"}, "nan is 'drop'"),
        ({"split": {"control": 1, "treatment": 0}}, "share of 'treatment' is 0"),
        ({"guardrails": {"latency": {"margn": 1}}}, "there is no 'margn'"),
        ({"guardrails": {"latency": {}}}, "needs one margin"),
    ],
)
def test_what_is_wrong_with_a_call_is_named(design: dict[str, Any], named: str) -> None:
    """With what to write instead."""
    with pytest.raises(UsageError) as caught:
        judged(exposures(200), **design)
    assert named in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    """Missing, or cut off."""
    with pytest.raises(UsageError, match="there is no file"):
        judged(tmp_path / "none.csv")
    duckdb.from_arrow(pyarrow.table(exposures())).write_parquet(str(tmp_path / "a.parquet"))
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="cannot be read"):
        judged(tmp_path / "cut.parquet")


def test_names_of_strangers_stay_names() -> None:
    """Quotes in columns and arms are no SQL."""
    table = exposures(400)
    odd = {
        'a"; DROP TABLE x; --': table["revenue"],
        "arm'": ["it's" if a == "control" else "b" for a in table["variant"]],
        "u": table["user_id"],
    }
    twice = {name: column * 2 for name, column in odd.items()}
    found = judge_table(
        twice, arm="arm'", metric='a"; DROP TABLE x; --', unit="u", control="it's", look="final"
    )
    assert found[0].n["it's"] + found[0].n["b"] == 400 and found[0].effect is not None


TOML = 'arm = "variant"\nmetric = "{metric}"\n{more}\nlook = "final"\n'


@pytest.mark.parametrize(
    ("metric", "more", "code", "said"),
    [
        ("revenue", "", 0, "PASS revenue"),
        ("bought", "mde = 0.2", 3, "UNDECIDED bought"),
        ("revenue", "min_lift = 0.2", 1, "FAIL revenue"),
        ("revenue", "[split]\ncontrol = 0.1\ntreatment = 0.9", 2, "INVALID revenue"),
    ],
)
def test_the_command_returns_the_outcome(
    tmp_path: Path, metric: str, more: str, code: int, said: str
) -> None:
    """0, 3, 1 and 2, with the same message as the fixture."""
    duckdb.from_arrow(pyarrow.table(exposures())).write_csv(str(tmp_path / "a.csv"))
    lines = TOML.format(metric=metric, more="" if "[" in more else more) + (more if "[" in more else "")
    (tmp_path / "design.toml").write_text(lines)
    made = CliRunner().invoke(
        ab, [str(tmp_path / "a.csv"), "--design", str(tmp_path / "design.toml")], standalone_mode=False
    )
    assert made.return_value == code and said in made.output


def test_a_key_that_is_none_names_the_nearest(tmp_path: Path) -> None:
    """As everywhere."""
    (tmp_path / "a.csv").write_text("variant,revenue\ncontrol,1\n")
    (tmp_path / "design.toml").write_text(TOML.format(metric="revenue", more="min_lft = 0.1"))
    made = CliRunner().invoke(ab, [str(tmp_path / "a.csv"), "--design", str(tmp_path / "design.toml")])
    assert isinstance(made.exception, UsageError) and "'min_lift'" in made.exception.hint


def test_a_covariate_that_changes_within_a_unit_is_none() -> None:
    """It was not fixed before the exposure."""
    table = exposures()
    twice = {name: column * 2 for name, column in table.items()}
    assert judged(twice, unit="user_id", covariate="revenue_before").outcome == "pass"
    twice["revenue_before"] = [value + place % 7 for place, value in enumerate(twice["revenue_before"])]
    assert fired(judged(twice, unit="user_id", covariate="revenue_before")) == {"BUG305"}


def test_the_command_needs_a_design(tmp_path: Path) -> None:
    """What is to be shown is said before the data are seen."""
    made = CliRunner().invoke(ab, [str(tmp_path / "a.csv")])
    assert isinstance(made.exception, UsageError) and made.exception.hint == "--design design.toml"
