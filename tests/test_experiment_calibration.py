"""Units dealt anew: p-values of a sound metric are uniform, and rows that are no units are found out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import calibration, cuped, means, ratios
from pytest_bugsle.experiment.calibration import Groups, calibrated, distance_from_uniform, p_values
from pytest_bugsle.experiment.command import ab
from pytest_bugsle.experiment.dealing import MOST_GROUPS, find_clusters, groups_of, groups_of_values
from pytest_bugsle.experiment.gather import Columns, Table
from pytest_bugsle.experiment.judging import judge_means, judge_ratio
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentCheck, ExperimentResult
from pytest_bugsle.stats.moments import PairedMoments

np = pytest.importorskip("numpy")
duckdb = pytest.importorskip("duckdb")
pyarrow = pytest.importorskip("pyarrow")

ARMS = ("control", "treatment")


def users(seed: int = 1, count: int = 600, share: float = 0.5) -> dict[str, Any]:
    """Return rows of users: their rows are alike, and all in one arm."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(count), 1 + rng.poisson(4, count))
    # As many users in each arm, so that sizes are as designed.
    arm = rng.permutation(np.arange(count) < round(share * count))
    own = rng.normal(10, 2, count)
    value = own[rows] + rng.normal(0, 2, len(rows))
    return {
        "variant": np.where(arm[rows], "treatment", "control"),
        "user_id": rows,
        "value": value,
        "before": own[rows],
        "bought": (value > 11).astype(int),
        "day": rng.integers(0, 7, len(rows)),
    }


def check_of(result: ExperimentResult) -> ExperimentCheck:
    """Return the check of the p-values."""
    (found,) = [check for check in result.checks if check.name == "p-values-not-uniform"]
    return found


def judged(table: dict[str, Any], metric: str = "value", **more: Any) -> ExperimentResult:
    """Judge with the units dealt anew a thousand times."""
    split = {"control": 1, "treatment": 1} if "unit" in more else sizes(table)
    return judge_table(
        pyarrow.table(table), arm="variant", metric=metric, aa=1000, look="final", split=split, **more
    )[0]


def sizes(table: dict[str, Any]) -> dict[str, float]:
    """Return the arms' sizes as their split, so that no other check fires."""
    return {arm: float((table["variant"] == arm).sum()) for arm in ARMS}


@pytest.mark.parametrize("metric", ["value", "bought"])
def test_rows_that_are_no_units_fail_and_the_unit_is_named(metric: str) -> None:
    """The table shows of which unit the rows are: all rows of a user are in one arm."""
    result = judged(users(), metric)
    assert result.outcome == "invalid" and result.effect is None
    check = check_of(result)
    assert check.rule == "BUG312" and "unit='user_id'" in check.message
    assert "BUG312" in result.message and " deals of the same units" in check.message


@pytest.mark.parametrize("metric", ["value", "bought"])
def test_the_same_rows_by_their_unit_pass(metric: str) -> None:
    """The variance is then that between users."""
    check = check_of(judged(users(), metric, unit="user_id"))
    assert check.outcome == "pass" and check.rule is None and "as it should be" in check.message


def test_what_is_no_plain_mean_is_not_dealt_and_says_so() -> None:
    """A quantile of the same units, and values that are cut."""
    for more in ({"quantile": 0.5}, {"winsorise": 0.99}):
        found = check_of(judged(users(), unit="user_id", **more))
        assert found.outcome == "pass" and found.message.startswith("not dealt anew: ")


def test_the_same_table_gives_the_same_answer() -> None:
    """Chance has a seed, and rows of DuckDB's threads an order."""
    assert check_of(judged(users())) == check_of(judged(users()))


def test_a_unit_that_is_too_small_is_found_out() -> None:
    """Sessions of users who were dealt as users."""
    table = users()
    table["session"] = np.arange(len(table["value"])) // 2 * 0 + np.arange(len(table["value"]))
    result = judge_table(
        pyarrow.table(table),
        arm="variant",
        metric="value",
        unit="session",
        aa=1000,
        look="final",
        split=sizes(table),
    )[0]
    assert "unit='user_id'" in check_of(result).message
    assert "a 'session' is no unit" in check_of(result).message


def test_columns_that_say_nothing_of_units_are_none() -> None:
    """Cities and days are in both arms, an alias of the arm has two values, a row's number is one unit each."""
    table = users()
    table["city"] = table["user_id"] % 40
    table["alias"] = np.where(table["variant"] == "control", "A", "B")
    table["row"] = np.arange(len(table["value"]))
    table["all"] = np.zeros(len(table["value"]), dtype=int)
    read = Table(pyarrow.table(table))
    assert find_clusters(read, Columns(arm="variant", metric="value"), ARMS) == "user_id"
    assert find_clusters(read, Columns(arm="variant", metric="value", unit="user_id"), ARMS) is None
    del table["user_id"]
    read = Table(pyarrow.table(table))
    assert find_clusters(read, Columns(arm="variant", metric="value"), ARMS) is None


DRAWS = {
    "normal": lambda rng, n: rng.normal(5, 2, n),
    "skewed": lambda rng, n: rng.exponential(3, n),
    "events": lambda rng, n: rng.poisson(0.3, n).astype(float),
    "few values": lambda rng, n: rng.integers(0, 3, n).astype(float),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DRAWS)
def test_sound_metrics_are_rarely_doubted(kind: str) -> None:
    """At a level of 0.001 no alarm is to be expected in forty tables."""
    rng = np.random.default_rng(7)
    doubted = 0
    for _ in range(40):
        y = DRAWS[kind](rng, 600)
        groups = groups_of_values((y[:300], ()), (y[300:], ()), ratio=False)
        doubted += calibrated(groups, (300, 300), 300).outcome != "pass"
    assert doubted <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("share", "n"), [(0.5, 40), (0.02, 100), (0.1, 1000)])
def test_counts_of_few_values_are_not_doubted_for_that(share: float, n: int) -> None:
    """Neither those of an exact test, whose p-values are few and large."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        y = (rng.random(2 * n) < share).astype(int)
        table = {"variant": np.repeat(ARMS, n), "y": y}
        result = judge_table(pyarrow.table(table), arm="variant", metric="y", aa=300, look="final")[0]
        assert check_of(result).outcome == "pass"


def test_one_unit_with_most_of_the_sum_is_named() -> None:
    """No test of means can do with it."""
    y = [1.0 + (place % 7) / 10 for place in range(400)]
    y[3] = 1e6
    result = judge_means(y[:200], y[200:], aa=1000, look="final")
    assert result.outcome == "invalid" and "100 % of the metric's sum of squares" in check_of(result).message


def test_ratios_and_covariates_are_dealt_as_they_are_tested() -> None:
    """The delta method on users, and CUPED."""
    rng = np.random.default_rng(2)
    views = 1 + rng.poisson(5, 800)
    clicks = rng.binomial(views, rng.beta(2, 8, 800))
    arms = [(clicks[part].tolist(), views[part].tolist()) for part in (slice(0, 400), slice(400, 800))]
    assert check_of(judge_ratio(*arms, aa=500, look="final")).outcome == "pass"
    x = rng.normal(10, 3, 800)
    y = x + rng.normal(0, 1, 800)
    result = judge_means(
        y[:400].tolist(),
        y[400:].tolist(),
        control_covariate=x[:400].tolist(),
        treatment_covariate=x[400:].tolist(),
        aa=500,
        look="final",
    )
    assert check_of(result).outcome == "pass"
    table = users(4)
    assert check_of(judged(table, unit="user_id", covariate="before")).outcome == "pass"


def test_sums_give_the_moments_of_the_units() -> None:
    """Of a mean with a covariate, and of a ratio: those that the gate computes from the units themselves."""
    rng = np.random.default_rng(5)
    y, x = rng.normal(1e6, 2, 50), rng.normal(3, 1, 50)
    groups = groups_of_values((y[:25], x[:25]), (y[25:], x[25:]), ratio=False)
    made = calibration._paired(groups, np.asarray(groups.sums)[:25].sum(axis=0))
    exact = PairedMoments.of(y[:25], x[:25])
    assert made.y.mean == pytest.approx(exact.y.mean) and made.y.variance == pytest.approx(exact.y.variance)
    assert made.products == pytest.approx(exact.products)
    groups = groups_of_values((y[:25], x[:25]), (y[25:], x[25:]), ratio=True)
    made = calibration._paired(groups, np.asarray(groups.sums)[:25].sum(axis=0))
    linear = ratios.linearised(exact)
    assert made.y.mean == pytest.approx(linear.mean) and made.y.variance == pytest.approx(linear.variance)


def test_a_table_is_summed_up_as_its_gate_reads_it() -> None:
    """Units dealt as they were give the p-value of the gate."""
    table = users(9)
    read = Table(pyarrow.table(table))
    columns = Columns(arm="variant", metric="value", unit="user_id", covariate="before")
    groups = groups_of(read, columns, ARMS, shares=False, ratio=True)
    order = sorted(set(zip(table["user_id"].tolist(), table["variant"].tolist(), strict=True)))
    treated = np.array([arm == "treatment" for _, arm in order])
    sums = np.asarray(groups.sums)
    arms = [calibration._paired(groups, sums[rows].sum(axis=0)) for rows in (~treated, treated)]
    adjusted = cuped.adjust(*arms)
    found = means.evidence_of(adjusted.control, adjusted.treatment, contrast=adjusted.contrast)
    gate = judge_table(
        pyarrow.table(table),
        arm="variant",
        metric="value",
        unit="user_id",
        covariate="before",
        look="final",
    )[0]
    assert found.test_p == pytest.approx(gate.p_value)


@pytest.mark.slow
def test_a_large_table_is_dealt_in_groups() -> None:
    """Their sums are those of all units, and the p-values stay uniform."""
    rng = np.random.default_rng(1)
    y = rng.normal(5, 2, 4 * MOST_GROUPS)
    half = len(y) // 2
    groups = groups_of_values((y[:half], ()), (y[half:], ()), ratio=False)
    assert len(groups.sums) == MOST_GROUPS and groups.sums[:, 0].sum() == len(y)
    assert calibrated(groups, (half, half), 300).outcome == "pass"
    table = pyarrow.table({"variant": np.where(rng.random(len(y)) < 0.5, *ARMS), "y": y})
    read = Table(table)
    found = groups_of(read, Columns(arm="variant", metric="y"), ARMS, shares=False, ratio=False)
    assert 0.9 * MOST_GROUPS < len(found.sums) <= MOST_GROUPS
    assert sum(row[0] for row in found.sums) == len(y)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_distance_is_that_of_kolmogorov_and_smirnov_less_half_a_tie(values: list[float]) -> None:
    """Between 0 and the classic one."""
    distance, p_value = distance_from_uniform(values)
    ordered = sorted(values)
    classic = max(
        max((place + 1) / len(values) - value, value - place / len(values))
        for place, value in enumerate(ordered)
    )
    assert 0 <= distance <= classic and 0 <= p_value <= 1


def test_p_values_that_are_uniform_are_told_from_such_that_are_not() -> None:
    """In both directions: too many small ones, and too few."""
    even = [(place + 0.5) / 500 for place in range(500)]
    assert distance_from_uniform(even)[1] > 0.99
    assert distance_from_uniform([value**2 for value in even])[1] < 1e-9
    assert distance_from_uniform([value**0.5 for value in even])[1] < 1e-9
    exact = [0.1] * 100 + [0.4] * 300 + [1.0] * 600
    assert distance_from_uniform(exact)[1] > 0.99


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(1, 39), st.integers(0, 5))
def test_every_deal_has_all_units(count: int, treated: int, seed: int) -> None:
    """And some in each arm."""
    treated = min(treated, count - 1)
    chance = random.Random(seed)  # noqa: S311  # made-up units
    sums = [[1.0, chance.gauss(0, 1), *[0.0] * 8] for _ in range(count)]
    groups = Groups(sums=sums, centre=(0, 0, 0), kind="mean", adjusted=False)
    deals = list(calibration._deals(groups, (count - treated, treated), 100, seed))
    assert len(deals) == 100
    for control, treatment in deals:
        assert control[0] == count - treated and treatment[0] == treated
        assert control[1] + treatment[1] == pytest.approx(sum(row[1] for row in sums))


def test_constant_units_say_nothing() -> None:
    """And raise nothing."""
    groups = groups_of_values(([1.0] * 20, ()), ([1.0] * 20, ()), ratio=False)
    assert set(p_values(groups, (20, 20), 100)) == {1.0}
    assert calibrated(groups, (20, 20), 100).outcome == "pass"


@pytest.mark.parametrize("times", [1, 99, 100_001])
def test_too_few_or_too_many_deals_are_refused(times: int) -> None:
    """Before the table is read."""
    with pytest.raises(UsageError, match="must be 100 to 100,000"):
        judge_table(users(), arm="variant", metric="value", aa=times)
    with pytest.raises(UsageError, match="must be 100 to 100,000"):
        judge_means([1.0, 2.0], [1.0, 3.0], aa=times)


def test_names_of_strangers_stay_names() -> None:
    """In the queries, and in the message."""
    table = users()
    table['u"; DROP TABLE x; --\x1b[31m'] = table.pop("user_id")
    result = judged(table)
    assert "BUG312" in result.message and "\x1b" not in result.message


BODY = """
import pytest
rows = {rows!r}
def test_value(ab_gate):
    ab_gate.table(rows, arm="variant", metric="value", split={split!r}, look="final")
"""


def test_the_option_of_pytest(pytester: pytest.Pytester) -> None:
    """Without it nothing is dealt; a number that is none is refused."""
    table = users(count=150)
    rows = {name: table[name].tolist() for name in ("variant", "value", "user_id")}
    pytester.makepyfile(test_ab=BODY.format(rows=rows, split=sizes(table)))
    plain = pytester.runpytest_subprocess("-p", "no:randomly")
    plain.stdout.no_fnmatch_line("*BUG312*")
    made = pytester.runpytest_subprocess("-p", "no:randomly", "--bugsle-aa", "500")
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(["*BUG312 p-values-not-uniform: p < 0.05 in * unit='user_id'*"])
    few = pytester.runpytest_subprocess("-p", "no:randomly", "--bugsle-aa", "5")
    few.stdout.fnmatch_lines(["*dealt anew 5 times, and must be 100 to 100,000 times*"])


def test_the_option_of_the_command(tmp_path: Path) -> None:
    """It exits 2: the data cannot be trusted."""
    table = users()
    duckdb.from_arrow(pyarrow.table(table)).write_csv(str(tmp_path / "a.csv"))
    split = sizes(table)
    (tmp_path / "d.toml").write_text(
        'arm = "variant"\nmetric = "value"\nlook = "final"\n'
        f"[split]\ncontrol = {split['control']}\ntreatment = {split['treatment']}\n",
        encoding="utf-8",
    )
    arguments = [str(tmp_path / "a.csv"), "--design", str(tmp_path / "d.toml")]
    made = CliRunner().invoke(ab, [*arguments, "--aa", "300"], standalone_mode=False)
    assert made.return_value == 2 and "BUG312" in made.output
    plain = CliRunner().invoke(ab, arguments, standalone_mode=False)
    assert plain.return_value != 2
