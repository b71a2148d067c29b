"""Quantiles, ranks, resampled means and cut tails: declared, said, and judged like any other metric."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.command import ab
from pytest_bugsle.experiment.judging import judge_means, judge_quantile
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentResult

np = pytest.importorskip("numpy")

CALLS: dict[str, Any] = {
    "median": judge_quantile,
    "p90": lambda c, t, **design: judge_quantile(c, t, q=0.9, **design),
    "rank": lambda c, t, **design: judge_means(c, t, method="rank", **design),
    "bootstrap": lambda c, t, **design: judge_means(c, t, method="bootstrap", **design),
    "winsorised": lambda c, t, **design: judge_means(c, t, winsorise=0.9, **design),
}


def spending(n: int, factor: float = 1.0, seed: int = 1) -> list[float]:
    """Return what n users spend: a long tail."""
    return [float(value) for value in np.random.default_rng(seed).lognormal(0, 1, n) * factor]


@pytest.mark.parametrize("call", CALLS)
def test_a_clear_effect_passes_and_a_clear_loss_fails(call: str) -> None:
    """In both directions, and by a margin of non-inferiority."""
    control, more, less = spending(2000), spending(2000, 1.5, 2), spending(2000, 0.6, 3)
    judge = CALLS[call]
    assert judge(control, more, look="final").outcome == "pass"
    assert judge(control, less, look="final").outcome == "fail"
    assert judge(control, less, look="final", direction="down").outcome == "pass"
    assert judge(control, spending(2000, 1.0, 4), look="final").outcome == "undecided"
    assert judge(control, spending(2000, 1.0, 4), min_difference=-0.6, look="final").outcome == "pass"
    assert judge(control, more, min_difference=2.5, look="final").outcome == "fail"


@pytest.mark.parametrize("call", CALLS)
def test_a_plan_and_looks_are_judged_as_everywhere(call: str) -> None:
    """The planned size, the early look, and the interval that is always valid."""
    control, treatment = spending(300), spending(300, 1.3, 2)
    found = CALLS[call](control, treatment, mde_difference=0.1, look="final")
    assert found.outcome == "undecided" and found.n_needed is not None and found.n_needed > 600
    assert "more in control" in found.message
    always = CALLS[call](control, treatment)
    assert always.look is not None and always.look.method == "always-valid"
    assert always.interval is not None and found.interval is not None
    assert always.interval[0] < found.interval[0] and found.interval[1] < always.interval[1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("median", ["treatment median ", "(order statistics)"]),
        ("p90", ["treatment 0.9 quantile ", "(order statistics)"]),
        ("rank", ["(Hodges-Lehmann shift)", "(Mann-Whitney)", "times in 100, ties split"]),
        ("bootstrap", ["(bootstrap t, no narrower than Student's)", "4,999 resamples, the same each time"]),
        ("winsorised", ["winsorised, as declared: values count as at most ", "cut: control "]),
    ],
)
def test_the_message_names_the_method(call: str, said: list[str]) -> None:
    """And what was done to the data."""
    found = CALLS[call](spending(200), spending(200, 1.2, 2), look="final")
    assert all(text in found.message for text in said), found.message


def test_what_was_cut_is_counted_by_arm() -> None:
    """By the share of both arms together."""
    control, treatment = [1.0] * 90 + [1000.0] * 10, [1.0] * 95 + [-50.0] * 5
    found = judge_means(control, treatment, winsorise=(0.05, 0.9), look="final")
    said = (
        "values count as at least 1 and at most 1 (of all units); cut: control 10 of 100, treatment 5 of 100"
    )
    assert said in found.message and found.values == {"control": 1.0, "treatment": 1.0}
    plain = judge_means(spending(100), spending(100, 1.1, 2), winsorise=0.9, look="final")
    many = [int(text.split()[1]) for text in plain.notes[0].partition("cut: ")[2].split(", ")]
    assert sum(many) == 20 and plain.values["control"] < sum(spending(100)) / 100


@pytest.mark.parametrize("call", ["median", "p90", "rank"])
def test_so_few_values_that_none_is_beyond_are_undecided(call: str) -> None:
    """There is no interval, and so no pass; nothing is judged by a number that is none."""
    found = CALLS[call]([1.0, 2.0, 3.0], [5.0, 6.0, 7.0], look="final")
    assert found.outcome == "undecided" and found.interval is None
    assert "no 95 % interval" in found.message
    assert "nan" not in found.message + json.dumps(msgspec.to_builtins(found))


def test_ties_are_named() -> None:
    """A shift of values that are mostly 0 is 0."""
    control = [0.0] * 90 + spending(10)
    found = judge_means(control, [0.0] * 80 + spending(20, 2, 2), method="rank", look="final")
    assert (
        found.effect == 0 and found.outcome == "undecided" and "72 % of all pairs are equal" in found.message
    )
    assert found.relative is not None and found.relative.effect is None


def test_constant_arms_are_judged_as_by_welch() -> None:
    """Equal ones say nothing, and different ones contradict themselves."""
    assert judge_means([5.0] * 9, [5.0] * 9, method="bootstrap", look="final").outcome == "undecided"
    found = judge_means([5.0] * 9, [6.0] * 9, method="bootstrap", look="final")
    assert found.outcome == "invalid" and found.checks[0].rule == "BUG306"
    assert judge_means([5.0] * 9, [5.0] * 9, method="rank", look="final").p_value == 1


@pytest.mark.parametrize(
    ("design", "named"),
    [
        ({"method": "t"}, "method is 't'"),
        ({"method": "rank", "min_lift": 0.1}, "a shift by ranks has no lift"),
        ({"method": "rank", "winsorise": 0.9}, "winsorise and method='rank' are both given"),
        ({"winsorise": 0.4}, "winsorise is 0.4"),
        ({"winsorise": (0.6, 0.9)}, "winsorise is (0.6, 0.9)"),
        ({"winsorise": True}, "winsorise is True"),
        (
            {"method": "rank", "control_covariate": [1], "treatment_covariate": [1]},
            "a covariate goes with Welch's",
        ),
    ],
)
def test_declarations_that_contradict_themselves_are_usage_errors(design: dict[str, Any], named: str) -> None:
    """With what to write instead."""
    with pytest.raises(UsageError) as caught:
        judge_means([1.0, 2.0], [1.0, 2.0], **design)
    assert named in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("q", [0, 1, -0.5, "median", True])
def test_a_quantile_that_is_none_is_a_usage_error(q: Any) -> None:
    """By its value."""
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        judge_quantile([1.0, 2.0], [1.0, 2.0], q=q)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "5", 1e200])
def test_a_value_that_is_no_number_is_invalid(call: str, bad: Any) -> None:
    """The arm is named, and no effect is shown."""
    found = CALLS[call]([1.0, bad, 3.0], [1.0, 2.0, 3.0])
    assert found.outcome == "invalid" and found.effect is None and "control" in found.why


@pytest.mark.parametrize("call", ["median", "rank", "bootstrap"])
def test_sums_are_not_enough(call: str) -> None:
    """Their values are needed."""
    found = CALLS[call]({"mean": 1.0, "deviation": 1.0, "n": 9}, [1.0, 2.0])
    assert found.outcome == "invalid" and "must be values" in found.why


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=25),
    st.lists(st.floats(-50, 50), min_size=2, max_size=25),
    st.sampled_from(sorted(CALLS)),
    st.sampled_from([{}, {"min_difference": -1.0}, {"equivalence_difference": 3.0}, {"mde_difference": 1.0}]),
)
def test_no_number_of_a_message_is_none(
    control: Any, treatment: Any, call: str, design: dict[str, float]
) -> None:
    """Neither NaN nor infinity is in message or JSON, and a pass has bounds."""
    found = CALLS[call](control, treatment, look="final", **design)
    text = found.message + json.dumps(msgspec.to_builtins(found))
    assert not any(word in text for word in ("nan", "NaN", "inf ", "Infinity", "-0.0 "))
    if found.outcome == "pass":
        assert found.interval is not None and found.decision_p_value is not None
        assert found.decision_p_value <= 0.05 + 1e-9 or call == "bootstrap"


# --- tables -----------------------------------------------------------------------------------------


def visits(users: int = 1500, factor: float = 1.3, seed: int = 1, most: int = 1) -> dict[str, list[Any]]:
    """Return visits of users; those of one user are alike."""
    chance = random.Random(seed)  # noqa: S311  # made-up users
    table: dict[str, list[Any]] = {"variant": [], "user": [], "seconds": [], "latency": []}
    for user in range(users):
        arm = "treatment" if chance.random() < 0.5 else "control"
        usual = chance.lognormvariate(1, 1) * (factor if arm == "treatment" else 1)
        for _ in range(chance.randint(1, most)):
            table["variant"].append(arm)
            table["user"].append(user)
            table["seconds"].append(usual * chance.lognormvariate(0, 0.1))
            table["latency"].append(chance.gauss(200, 20))
    return table


def judged(table: Any, **design: Any) -> ExperimentResult:
    """Judge the seconds of a table."""
    pytest.importorskip("duckdb")
    return judge_table(table, **{"arm": "variant", "metric": "seconds", "look": "final", **design})[0]


@pytest.mark.parametrize(
    ("declared", "plain"),
    [
        ({"quantile": 0.5}, lambda c, t: judge_quantile(c, t, look="final")),
        ({"quantile": 0.95}, lambda c, t: judge_quantile(c, t, q=0.95, look="final")),
        ({"method": "rank"}, lambda c, t: judge_means(c, t, method="rank", look="final")),
        ({"method": "bootstrap"}, lambda c, t: judge_means(c, t, method="bootstrap", look="final")),
        ({"winsorise": 0.95}, lambda c, t: judge_means(c, t, winsorise=0.95, look="final")),
        ({"winsorise": (0.05, 0.95)}, lambda c, t: judge_means(c, t, winsorise=(0.05, 0.95), look="final")),
    ],
)
def test_a_table_is_judged_as_its_values_are(declared: dict[str, Any], plain: Any) -> None:
    """To the last digits."""
    table = visits()
    arms = {
        arm: [v for v, a in zip(table["seconds"], table["variant"], strict=True) if a == arm]
        for arm in ("control", "treatment")
    }
    found, expected = judged(table, unit="user", **declared), plain(*arms.values())
    assert found.effect == pytest.approx(expected.effect, rel=1e-9)
    assert found.interval == pytest.approx(expected.interval, rel=1e-7)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-6) and found.outcome == expected.outcome
    note = [text for text in found.notes if "winsorised" in text]
    assert note == [text for text in expected.notes if "winsorised" in text]


def test_rows_of_one_user_are_no_independent_values_of_a_quantile() -> None:
    """The interval is that of the users, much wider than rows would make it."""
    table = visits(most=9)
    found, rows = judged(table, unit="user", quantile=0.5), judged(table, quantile=0.5)
    assert "with the variance between units" in found.message and found.n["control"] < rows.n["control"]
    assert found.effect == pytest.approx(rows.effect)
    assert found.interval is not None and rows.interval is not None
    assert found.interval[1] - found.interval[0] > 1.5 * (rows.interval[1] - rows.interval[0])


def test_a_guardrail_may_be_a_quantile() -> None:
    """The slowest are what it is for."""
    rails = {"latency": {"margin": 0.05, "direction": "down", "quantile": 0.9}}
    pytest.importorskip("duckdb")
    _, rail = judge_table(visits(), arm="variant", metric="seconds", look="final", guardrails=rails)
    assert rail.outcome == "pass" and "0.9 quantile" in rail.message


@pytest.mark.parametrize(
    ("design", "named"),
    [
        ({"quantile": 0.5, "denominator": "latency"}, "denominator and quantile are both given"),
        ({"quantile": 0.5, "covariate": "latency"}, "covariate and quantile are both given"),
        ({"method": "rank", "segments": ["user"]}, "segments and method='rank' are both given"),
        ({"method": "bootstrap", "day": "user"}, "day and method='bootstrap' are both given"),
        ({"method": "rank", "quantile": 0.5}, "quantile and method='rank' are both given"),
        ({"method": "rank", "min_lift": 0.1}, "a shift by ranks has no lift"),
        ({"method": "rank", "unit": "user"}, "ranks need one value for each unit"),
        ({"guardrails": {"latency": {"margin": 0.1, "method": "rank"}}}, "a shift by ranks has no lift"),
    ],
)
def test_what_is_made_of_means_alone_is_refused(design: dict[str, Any], named: str) -> None:
    """Not quietly left out."""
    with pytest.raises(UsageError) as caught:
        judged(visits(most=3), **design)
    assert named in str(caught.value)


def test_a_declared_cut_goes_with_a_covariate_and_with_clusters() -> None:
    """What is cut is the sum of a unit's rows."""
    found = judged(visits(most=3), unit="user", covariate="latency", winsorise=0.9)
    assert found.outcome == "invalid" and "'latency' varies" in found.message
    plain = judged(visits(most=3), unit="user", winsorise=0.9)
    assert plain.outcome == "pass" and "cut: control" in plain.message and "delta method" in plain.method


# --- as a user meets them -----------------------------------------------------------------------------


def test_the_fixture_takes_them(pytester: pytest.Pytester) -> None:
    """Each call is judged, and the message says how."""
    pytester.makepyfile(
        test_ab="""
        VALUES = [float(place * 37 % 101) for place in range(400)]
        MORE = [value + 30 for value in VALUES]

        def test_ships(ab_gate):
            ab_gate.quantile(control=VALUES, treatment=MORE, metric="seconds", look="final")
            ab_gate.means(control=VALUES, treatment=MORE, metric="spent", method="rank", look="final")
            ab_gate.means(control=VALUES, treatment=VALUES[::-1], equivalence=0.3, look="final")

        def test_not(ab_gate):
            ab_gate.quantile(control=VALUES, treatment=VALUES, q=0.9, metric="slow", look="final")
            ab_gate.means(control=VALUES, treatment=VALUES, winsorise=0.9, method="bootstrap", look="final")
        """
    )
    made = pytester.runpytest_subprocess("-p", "no:randomly")
    made.assert_outcomes(passed=1, failed=1)
    made.stdout.fnmatch_lines(
        [
            "UNDECIDED slow: 0 lies within the interval",
            "*treatment 0.9 quantile 90 (n = 400) against control 0.9 quantile 90 (n = 400)",
            "*(order statistics)*",
            "UNDECIDED metric*",
            "*note: winsorised, as declared: values count as at most * cut: control 39 of 400, treatment 39 of 400",
        ]
    )


DESIGN = """
arm = "variant"
unit = "user"
metric = "seconds"
look = "final"
{declared}

[guardrails.latency]
margin = 0.05
direction = "down"
quantile = 0.9
"""


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("quantile = 0.5", "treatment median"),
        ('method = "rank"', "Hodges-Lehmann shift"),
        ('method = "bootstrap"', "bootstrap t"),
        ("winsorise = 0.99", "values count as at most"),
        ("winsorise = [0.01, 0.99]", "values count as at least"),
        ("equivalence_difference = 50.0", "within -50 and +50"),
    ],
)
def test_the_design_file_takes_them(declared: str, said: str, tmp_path: Path) -> None:
    """And the JSON report has what they found."""
    duckdb = pytest.importorskip("duckdb")
    pyarrow = pytest.importorskip("pyarrow")
    duckdb.from_arrow(pyarrow.table(visits())).write_parquet(str(tmp_path / "a.parquet"))
    (tmp_path / "design.toml").write_text(DESIGN.format(declared=declared))
    report = tmp_path / "ab.json"
    made = CliRunner().invoke(
        ab,
        [
            str(tmp_path / "a.parquet"),
            "--design",
            str(tmp_path / "design.toml"),
            "--report",
            f"json:{report}",
        ],
        standalone_mode=False,
    )
    assert made.return_value == 0 and said in made.output and "0.9 quantile" in made.output, made.output
    found = json.loads(report.read_text())["experiments"]
    assert [one["outcome"] for one in found] == ["pass", "pass"] and said.rpartition(" ")[2] in json.dumps(
        found
    )
    assert found[0]["interval"][0] <= found[0]["effect"] <= found[0]["interval"][1]


def test_a_design_file_with_a_method_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    """As in the fixture."""
    pytest.importorskip("duckdb")
    (tmp_path / "a.csv").write_text("variant,user,seconds,latency\ncontrol,1,2,3\n")
    (tmp_path / "design.toml").write_text(DESIGN.format(declared='method = "wilcoxon"'))
    made = CliRunner().invoke(ab, [str(tmp_path / "a.csv"), "--design", str(tmp_path / "design.toml")])
    assert isinstance(made.exception, UsageError) and "'rank' or 'bootstrap'" in made.exception.hint
