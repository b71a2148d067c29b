"""What may be wrong with data: each row of the table of edge cases, and every way in which a file may be broken."""

from __future__ import annotations

import datetime
import json
import math
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.gather import Table
from pytest_bugsle.experiment.judging import judge_means, judge_proportions, judge_ratio
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentResult

duckdb = pytest.importorskip("duckdb")
pyarrow = pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")

N = 400
ARMS = ["control", "treatment"] * (N // 2)


def users(**columns: Any) -> dict[str, Any]:
    """Return a plain table of N users, with other columns where given."""
    return {
        "arm": ARMS,
        "spent": [float(place * 37 % 101) for place in range(N)],
        "user": list(range(N)),
        **columns,
    }


def judged(table: Any, **design: Any) -> ExperimentResult:
    """Judge what users spent, as the only look."""
    return judge_table(table, **{"arm": "arm", "metric": "spent", "look": "final", **design})[0]


def wrong(table: Any, **design: Any) -> str:
    """Return what a usage error says of a table."""
    with pytest.raises(UsageError) as caught:
        judged(table, **design)
    assert caught.value.hint
    return str(caught.value)


def invalid(found: ExperimentResult) -> str:
    """Return why a result is invalid; nothing of the effect is shown."""
    assert found.outcome == "invalid" and found.effect is None and found.interval is None
    assert found.p_value is None and found.relative is None
    text = json.dumps(msgspec.to_builtins(found))
    assert "NaN" not in text and "Infinity" not in text
    return found.why


# --- numbers handed over ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ((5, 3), "successes is 5, must be from 0 to its trials, 3"),
        ((-1, 9), "successes is -1"),
        ((1, -9), "trials is -9, must be at least 2"),
        ((0, 0), "trials is 0"),
        ((1, 1), "trials is 1"),
        ((1.0, 9), "successes is 1.0, must be a whole number"),
        ((True, 9), "successes is True"),
        ((np.bool_(True), 9), "successes is np.True_"),
        (("3", 9), "successes is '3'"),
        ((Decimal(3), 9), "successes is Decimal('3')"),
        ((None, 9), "successes is None"),
        ((3, math.inf), "trials is inf"),
        ((math.nan, 9), "successes is nan"),
        ((1, 2, 3), "must be (successes, trials)"),
        ("12", "must be (successes, trials)"),
        (np.array([3, 9]), "must be (successes, trials)"),
    ],
)
def test_counts_that_are_none_are_invalid(counts: Any, named: str) -> None:
    """In either arm, by field and value."""
    for place, arm in enumerate(("control", "treatment")):
        arms: list[Any] = [(4, 9), (4, 9)]
        arms[place] = counts
        why = invalid(judge_proportions(*arms))
        assert arm in why and named in why


def test_counts_of_any_size_are_counted() -> None:
    """numpy's, and ones that no float holds."""
    assert judge_proportions((np.int64(3), np.uint8(9)), (4, 9), look="final").outcome == "undecided"
    huge = judge_proportions((10**18, 10**19), (10**18 + 5 * 10**9, 10**19), look="final")
    assert (
        huge.outcome == "pass" and "1,000,000,005,000,000,000 of 10,000,000,000,000,000,000" in huge.message
    )
    far = judge_proportions((0, 10**6), (10**6, 10**6), look="final")
    assert far.p_value is not None and "p < 1e-300" in far.message


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, "1.5", [1.0], 1e200, 10**400])
def test_a_value_that_is_no_number_is_invalid(bad: Any) -> None:
    """For means, ratios and covariates; text that looks like a number is text."""
    good = [1.0, 2.0, 4.0]
    for found in (
        judge_means([1.0, bad, 2.0], good),
        judge_means(good, [1.0, bad, 2.0]),
        judge_means(good, good, control_covariate=good, treatment_covariate=[1.0, bad, 2.0]),
        judge_ratio((good, good), ([1.0, bad, 2.0], good)),
        judge_ratio((good, [1.0, bad, 2.0]), (good, good)),
    ):
        assert "control" in invalid(found) or "treatment" in invalid(found)


@pytest.mark.parametrize(
    "values", [[], [1.0], 5, None, {"mean": 1.0}, {"mean": math.nan, "deviation": 1, "n": 9}]
)
def test_an_arm_of_fewer_than_two_values_is_invalid(values: Any) -> None:
    """And so is what are no values."""
    assert "treatment" in invalid(judge_means([1.0, 2.0], values))


def test_columns_of_different_length_are_invalid() -> None:
    """They are not of the same units."""
    assert "must be as many" in invalid(
        judge_means([1, 2, 3], [1, 2, 3], control_covariate=[1, 2], treatment_covariate=[1, 2, 3])
    )
    assert "denominators add up to 0" in invalid(judge_ratio(([1, 2], [0, 0]), ([1, 2], [1, 1])))


def test_one_constant_arm_is_said() -> None:
    """Welch's test is defined there; two that differ are invalid, two that are equal say nothing."""
    assert "one arm is constant" in judge_means([1, 1, 1], [1, 2, 3], look="final").message
    assert "both arms are constant" in invalid(judge_means([1, 1, 1], [2, 2, 2]))
    assert judge_means([1, 1, 1], [1, 1, 1]).p_value == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats() | st.none() | st.text(max_size=3) | st.booleans(), max_size=6))
def test_no_values_whatever_raise_or_show_a_number_that_is_none(values: list[Any]) -> None:
    """An outcome for everything."""
    for judge in (judge_means, judge_proportions):
        found = judge(values, [1.0, 2.0, 5.0])
        text = found.message + json.dumps(msgspec.to_builtins(found))
        assert "NaN" not in text and "Infinity" not in text
        assert found.outcome in ("invalid", "undecided", "fail", "pass")


# --- columns of a table -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "design", "named"),
    [
        ({}, {"metric": "spend"}, "no column 'spend' for metric.\n  next: nearest: 'spent'"),
        ({}, {"arm": "ARM"}, "no column 'ARM' for arm"),
        ({}, {"unit": "usr"}, "'user'"),
        ({}, {"covariate": "spent_before"}, "'spent'"),
        ({}, {"segments": ["land"]}, "no column 'land' for a segment"),
        ({}, {"day": "date"}, "no column 'date' for day"),
        ({}, {"denominator": "rows"}, "for denominator"),
        ({}, {"metric": 1}, "metric is 1, and must be the name of a column"),
        (
            {"spent": ["12"] * N},
            {},
            "is VARCHAR, and must be numbers.\n  why: its numbers are written as text",
        ),
        ({"spent": ["12"] * (N - 1) + ["n/a"]}, {}, "a cell of it is 'n/a'"),
        ({"spent": ["1,5"] * N}, {}, "a cell of it is '1,5'"),
        ({"spent": [datetime.date(2026, 1, 1)] * N}, {}, "is DATE, and must be numbers"),
        ({"spent": [[1.0]] * N}, {}, "is DOUBLE[], and must be numbers"),
        ({"spent": [datetime.timedelta(1)] * N}, {}, "is INTERVAL, and must be numbers"),
        ({"spent": [None] * N}, {}, "must be numbers"),
        ({"arm": ["control"] * N}, {}, "there is one arm only"),
        ({"user": [p // 2 for p in range(N)]}, {"unit": "user"}, "only.\n  why: 200 units are in several"),
        ({"arm": ["a", "b"] * (N // 2)}, {}, "no arm is 'control'; the table has 'a', 'b'"),
        ({"spent": [10**30 + place for place in range(N)]}, {}, "cannot be read"),
        ({"spent": [1.0]}, {}, "cannot be read"),
    ],
)
def test_a_wrong_column_is_a_usage_error(columns: dict[str, Any], design: dict[str, Any], named: str) -> None:
    """With its type, a cell of it, or the nearest names."""
    assert named in wrong(users(**columns), **design)


@pytest.mark.parametrize("table", [5, None, [1, 2], np.zeros((3, 2)), object()])
def test_what_is_no_table_is_a_usage_error(table: Any) -> None:
    """With the kinds that are."""
    assert "a data frame, an Arrow table" in wrong(table)


def test_a_table_without_rows_is_a_usage_error() -> None:
    """It was exported, and holds nothing."""
    assert "the table has no rows" in wrong({"arm": [], "spent": []})


@pytest.mark.parametrize(
    ("columns", "design", "named"),
    [
        ({"arm": [*ARMS[:-1], "other"]}, {"split": {"control": 1, "treatment": 1}}, "does not know: 'other'"),
        ({"arm": [*ARMS[:-1], "Treatment "]}, {"split": {"control": 1, "treatment": 1}}, "'Treatment '"),
        ({"arm": [*ARMS[:-1], None]}, {"split": {"control": 1, "treatment": 1}}, "rows without an arm"),
        ({}, {"split": {"control": 1, "treatment": 1, "third": 1}}, "no unit in 'third'"),
        (
            {"user": [None if place % 40 == 0 else place for place in range(N)]},
            {"unit": "user"},
            "10 rows have no 'user'",
        ),
        (
            {"user": [p // 2 if p < 10 else p for p in range(N)]},
            {"unit": "user"},
            "5 of 395 units are in more",
        ),
        ({"spent": [math.nan, *range(1, N)]}, {}, "no finite number in control 1, treatment 0 units"),
        ({"spent": [1.0, -math.inf, *range(2, N)]}, {}, "no finite number in control 0, treatment 1 units"),
        ({"spent": [None, *range(1, N)]}, {}, "missing: control 1 of 200, treatment 0 of 200"),
        ({"spent": [2**62 + place for place in range(N)]}, {}, "less than floats of their size can tell"),
        ({"spent": [1.0, 2.0] * (N // 2)}, {}, "both arms are constant, 1 and 2"),
        ({"before": [math.inf] + [1.0] * (N - 1)}, {"covariate": "before"}, "'before' is no finite number"),
    ],
)
def test_data_that_contradict_themselves_are_invalid(
    columns: dict[str, Any], design: dict[str, Any], named: str
) -> None:
    """With the counts, by arm."""
    assert named in invalid(judged(users(**columns), **design))


@pytest.mark.parametrize(
    ("arms", "control"),
    [
        ([False, True], False),
        ([0, 1], 0),
        ([Decimal("0.50"), Decimal("1.50")], "0.50"),
        ([datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)], "2026-01-01"),
        (["", "b"], ""),
    ],
)
def test_arms_may_be_of_any_type(arms: list[Any], control: Any) -> None:
    """They are named as the table writes them; in the split, too."""
    table = users(arm=arms * (N // 2))
    assert judged(table, control=control).effect == pytest.approx(judged(users()).effect)
    if not isinstance(arms[0], Decimal | datetime.date):
        assert judged(table, split=dict.fromkeys(arms, 0.5)).effect == pytest.approx(judged(users()).effect)


@pytest.mark.parametrize(
    "spent", [[Decimal(place % 7) for place in range(N)], [place % 7 for place in range(N)]]
)
def test_numbers_may_be_of_any_type(spent: list[Any]) -> None:
    """Decimals and whole numbers."""
    assert judged(users(spent=spent)).effect == pytest.approx(
        judged(users(spent=list(map(float, spent)))).effect
    )


def test_truth_values_are_a_share() -> None:
    """With its tests."""
    assert "pooled z" in judged(users(spent=[place % 3 == 0 for place in range(N)])).method


def test_a_large_offset_costs_nothing() -> None:
    """Sums are taken around a value."""
    plain, far = judged(users()), judged(users(spent=[1e9 + place * 37 % 101 for place in range(N)]))
    assert far.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_rows_that_repeat_others_are_said_and_refused_where_one_arm_has_more() -> None:
    """An export that ran twice doubles all, a join that went wrong rather one arm."""
    twice = {name: column * 2 for name, column in users().items()}
    found = judged(twice, unit="user")
    assert (
        found.outcome == "undecided"
        and "repeat another in all columns: control 200, treatment 200" in found.message
    )
    some = {
        name: column + [v for v, a in zip(column, ARMS, strict=True) if a == "control"]
        for name, column in users().items()
    }
    assert "more often in one arm: control 200 of 400, treatment 0 of 200" in invalid(
        judged(some, unit="user")
    )


# --- days and their zones ---------------------------------------------------------------------------

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=2))


def days(*zones: str, clock: str = "T23:30:00") -> list[str]:
    """Return days as text, by turns in these zones."""
    return [f"2026-01-{1 + place % 9:02d}{clock}{zones[place % len(zones)]}" for place in range(N)]


@pytest.mark.parametrize(
    ("day", "zones"),
    [
        (days("+01:00", "+02:00"), "+01:00, +02:00"),
        (days("Z", ""), "none, Z"),
        (days("+0100", "-05"), "+0100, -05"),
        (
            [datetime.datetime(2026, 1, 1 + p % 9, tzinfo=UTC if p % 2 else EAST) for p in range(N)],
            "UTC, UTC+02:00",
        ),
        (
            [datetime.datetime(2026, 1, 1 + p % 9, tzinfo=UTC if p % 2 else None) for p in range(N)],
            "UTC, none",
        ),
    ],
)
def test_days_of_several_zones_are_a_usage_error(day: list[Any], zones: str, tmp_path: Path) -> None:
    """In a table in memory, and in a file, whose reader would quietly turn them into one."""
    table = users(day=day)
    assert f"several zones: {zones}" in wrong(table, day="day")
    if isinstance(day[0], str):
        duckdb.from_arrow(pyarrow.table(table)).write_csv(str(tmp_path / "a.csv"))
        assert f"several zones: {zones}" in wrong(tmp_path / "a.csv", day="day")


def test_pandas_own_times_of_several_zones_are_a_usage_error() -> None:
    """A column of objects."""
    pandas = pytest.importorskip("pandas")
    mixed = [datetime.datetime(2026, 1, 1 + p % 9, tzinfo=UTC if p % 2 else None) for p in range(N)]
    frame = pandas.DataFrame(users()).assign(day=pandas.Series(mixed, dtype=object))
    assert "several zones: UTC, none" in wrong(frame, day="day")


@pytest.mark.parametrize("zone", ["", "Z", "+02:00"])
def test_a_day_is_the_same_wherever_it_is_read(zone: str) -> None:
    """In one zone it is UTC's, not that of the machine."""
    day = [f"2026-01-{1 + place % 9:02d}T{'23' if place % 3 else '00'}:30:00{zone}" for place in range(N)]
    table = pyarrow.table(users(day=day, spent=[float(place % 9 + place * 37 % 11) for place in range(N)]))
    said = set()
    for machine in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        connection = duckdb.connect()
        connection.execute(f"SET TimeZone = '{machine}'")
        texts = connection.from_arrow(table)
        times = texts.project("* EXCLUDE (day), CAST(day AS TIMESTAMPTZ) AS day") if zone else texts
        for form in (texts, times):
            said.add(next(c.message for c in judged(form, day="day").checks if c.name == "effect-fades"))
    assert len(said) == 1


def test_a_day_may_be_counted() -> None:
    """Whole numbers say what the dates say that they count."""
    spent = [float(place % 9 + place * 37 % 11) for place in range(N)]
    said = {
        next(
            c.message
            for c in judged(users(day=day, spent=spent), day="day").checks
            if c.name == "effect-fades"
        )
        for day in (days(""), [int(one[8:10]) for one in days("")])
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    ("day", "named"),
    [
        (["soon"] * N, "holds 'soon', which is no date"),
        ([1.5] * N, "is DOUBLE, and must be dates, times, or whole days"),
        (
            [1_700_000_000, 1_790_000_000] * (N // 2),
            "whole numbers from 1700000000 to 1790000000, which are no days",
        ),
    ],
)
def test_a_day_that_is_none_is_a_usage_error(day: list[Any], named: str) -> None:
    """By its cell or its type."""
    assert named in wrong(users(day=day), day="day")


# --- files --------------------------------------------------------------------------------------------

ROWS = "".join(f"{'control' if place % 2 else 'treatment'},{place % 7}\n" for place in range(30_000))


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("text.csv", f"arm,spent\n{ROWS}control,abc\n{ROWS}", "Line: 30002; Original Line: control,abc"),
        ("wide.csv", f"arm,spent\n{ROWS}control,1,2,3\n{ROWS}", "Line: 30002; Original Line: control,1,2,3"),
        ("quote.csv", f'arm,spent\n{ROWS}"control,1\n{ROWS}', "Line: 30002"),
        ("cut.csv", f"arm,spent\n{ROWS}contr", "Line: 30002; Original Line: contr"),
        ("empty.csv", "", "it is empty"),
        ("words.parquet", "arm,spent\n", "too small to be a Parquet file"),
        ("words2.parquet", f"arm,spent\n{ROWS}", "magic bytes"),
        ("small.csv", "arm,spent\ncontrol,1\ntreatment\n", "one cell in each row"),
    ],
)
def test_a_broken_file_is_named_with_the_row(name: str, content: str, named: str, tmp_path: Path) -> None:
    """Where its reader knows it."""
    (tmp_path / name).write_text(content)
    said = wrong(tmp_path / name)
    assert name in said and named in said and len(said) < 900


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    """Missing, or a folder, or noise."""
    assert "there is no file" in wrong(tmp_path / "none.csv")
    assert "it is a folder" in wrong(tmp_path)
    (tmp_path / "noise.csv").write_bytes(bytes(place * 7919 % 256 for place in range(4000)))
    assert "noise.csv" in wrong(tmp_path / "noise.csv")


@pytest.mark.parametrize("left", [0.2, 0.5, 0.9, 0.999])
def test_a_parquet_file_that_was_cut_off_is_no_table(left: float, tmp_path: Path) -> None:
    """However much of it is there."""
    duckdb.from_arrow(pyarrow.table(users())).write_parquet(str(tmp_path / "a.parquet"))
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: int(len(whole) * left)])
    assert "a.parquet" in wrong(tmp_path / "a.parquet")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """As the system says it."""
    (tmp_path / "a.csv").write_text("arm,spent\n")
    (tmp_path / "a.csv").chmod(0)
    assert "a.csv" in wrong(tmp_path / "a.csv")


@pytest.mark.parametrize("how", ["grown", "replaced", "touched"])
def test_a_file_that_changes_while_it_is_read_is_judged_by_nothing(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, time and inode are compared at the end, however the change went."""
    path = tmp_path / "a.csv"
    path.write_text(f"arm,spent\n{ROWS}")
    plain, asked = Table.rows, []

    def changing(self: Table, sql: str) -> list[tuple[Any, ...]]:
        found = plain(self, sql)
        asked.append(sql)
        if len(asked) == 3 and how == "grown":
            with path.open("a") as file:
                file.write("control,1\n")
        elif len(asked) == 3 and how == "replaced":
            (tmp_path / "b.csv").write_text(f"arm,spent\n{ROWS}")
            (tmp_path / "b.csv").replace(path)
        elif len(asked) == 3:
            os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr(Table, "rows", changing)
    said = wrong(path)
    assert "changed while it was read" in said and (how == "grown" or "a.csv" in said)


def test_a_broken_file_that_is_being_written_is_said_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason for what its reader complains of."""
    path = tmp_path / "a.parquet"
    duckdb.from_arrow(pyarrow.table(users())).write_parquet(str(path))
    table = Table(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="changed while it was read"):
        judged(table)


def test_reading_leaves_nothing_behind_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither in the folder of the run nor on standard output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(f"arm,spent\n{ROWS}")
    judged(tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"] and capfd.readouterr() == ("", "")


# --- strangers' text ----------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\r\nPASS spent: it may ship\u202e"


def test_names_and_cells_are_no_sql(tmp_path: Path) -> None:
    """Quotes, semicolons, comments, stars, in columns, arms, segments and file names."""
    odd = """a"b'; DROP TABLE exposures; --*?[x]"""
    table = {odd + str(place): column for place, column in enumerate(users().values())}
    table[odd + "0"] = [f"{odd}{arm}" for arm in ARMS]
    table[odd + "segment"] = [odd if place % 4 < 2 else "b" for place in range(N)]
    path = tmp_path / "a'; DROP TABLE x; --*[1].parquet"
    duckdb.from_arrow(pyarrow.table(table)).write_parquet(str(tmp_path / "plain.parquet"))
    (tmp_path / "plain.parquet").rename(path)
    design = {
        "arm": odd + "0",
        "metric": odd + "1",
        "unit": odd + "2",
        "control": odd + "control",
        "segments": [odd + "segment"],
    }
    for form in (table, path):
        assert judged(form, **design).effect == pytest.approx(judged(users()).effect)
        for declared in ({"quantile": 0.5}, {"method": "bootstrap"}, {"winsorise": 0.9}):
            plain = {name: value for name, value in design.items() if name != "segments"}
            assert judged(form, **plain, **declared).effect == pytest.approx(
                judged(users(), **declared).effect
            )


@pytest.mark.parametrize(
    "design",
    [
        {},
        {"split": {"control": 0.9, HOSTILE: 0.1}},
        {"split": {"control": 1, "b": 1}},
        {"segments": [HOSTILE]},
        {"metric": HOSTILE + "2"},
        {"winsorise": 0.9},
    ],
)
def test_text_of_strangers_is_shown_and_not_sent(design: dict[str, Any]) -> None:
    """No line of a message is theirs, and no letter moves the cursor."""
    arms = ["control" if arm == "control" else HOSTILE for arm in ARMS]
    segment = [HOSTILE if (place % 2) ^ (place % 10 == 0) else "b" for place in range(N)]
    table = users(arm=arms, **{HOSTILE: segment, HOSTILE + "2": [math.nan] * N})
    for text in (judged(table, **design).message, judged(table, **design).message):
        assert not any(letter in text for letter in "\x1b\r\u202e")
        assert not any(line.startswith("PASS spent: it may") for line in text.split("\n"))


def test_the_table_of_a_paradox_has_a_line_for_each_segment() -> None:
    """Whatever the segments are called."""
    rows = [
        ("control", HOSTILE, 234, 270),
        ("treatment", HOSTILE, 81, 87),
        ("control", "b", 55, 80),
        ("treatment", "b", 192, 263),
    ]
    table: dict[str, list[Any]] = {"arm": [], "stone": [], "spent": []}
    for arm, stone, cured, n in rows:
        table["arm"] += [arm] * n
        table["stone"] += [stone] * n
        table["spent"] += [1] * cured + [0] * (n - cured)
    lines = judged(table, segments=["stone"]).message.split("\n")
    assert (
        sum("control 234 of 270, treatment 81 of 87" in line or "control 55 of 80" in line for line in lines)
        == 2
    )
    assert not any("\x1b" in line or line.startswith("PASS") for line in lines)
