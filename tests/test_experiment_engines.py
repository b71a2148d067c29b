"""Tables of all kinds, and other engines by way of Ibis: the same answer, and only sums come from there."""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_experiment_tables import exposures

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.reading import Table
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentResult

duckdb = pytest.importorskip("duckdb")
pyarrow = pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")

DESIGN: dict[str, Any] = {
    "arm": "variant",
    "metric": "revenue",
    "unit": "user_id",
    "covariate": "revenue_before",
    "segments": ["country"],
    "look": "final",
    "guardrails": {"latency": {"margin": 0.02, "direction": "down"}},
}


def same(found: list[ExperimentResult], expected: list[ExperimentResult]) -> None:
    """Assert that two judgements are the same to nine digits."""
    assert [one.outcome for one in found] == [one.outcome for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.n == other.n and one.notes == other.notes
        assert one.effect == pytest.approx(other.effect, rel=1e-9)
        assert one.p_value == pytest.approx(other.p_value, rel=1e-7)
        assert one.interval == pytest.approx(other.interval, rel=1e-9)


def pandas_frame(table: dict[str, list[Any]]) -> Any:
    """Return a data frame of pandas, its arms a category."""
    return pytest.importorskip("pandas").DataFrame(table).astype({"variant": "category"})


def polars_frame(table: dict[str, list[Any]]) -> Any:
    """Return a data frame of Polars."""
    return pytest.importorskip("polars").DataFrame(table)


def polars_lazy(table: dict[str, list[Any]]) -> Any:
    """Return a lazy one."""
    return pytest.importorskip("polars").LazyFrame(table)


def arrow_reader(table: dict[str, list[Any]]) -> Any:
    """Return batches that can be read once."""
    return pyarrow.table(table).to_reader(max_chunksize=500)


def arrow_blocks(table: dict[str, list[Any]]) -> Any:
    """Return a table in blocks, its arms a dictionary."""
    made = pyarrow.table(table)
    made = made.set_column(0, "variant", made["variant"].dictionary_encode())
    return pyarrow.concat_tables([made.slice(0, 100), made.slice(100)])


def arrow_dataset(table: dict[str, list[Any]]) -> Any:
    """Return a dataset."""
    return pytest.importorskip("pyarrow.dataset").dataset(pyarrow.table(table))


def numpy_columns(table: dict[str, list[Any]]) -> Any:
    """Return arrays by name."""
    return {name: np.array(column) for name, column in table.items()}


def numpy_records(table: dict[str, list[Any]]) -> Any:
    """Return one array with named fields."""
    return np.rec.fromarrays([np.array(column) for column in table.values()], names=list(table))


KINDS = [
    pandas_frame,
    polars_frame,
    polars_lazy,
    arrow_reader,
    arrow_blocks,
    arrow_dataset,
    numpy_columns,
    numpy_records,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_of_table_is_judged_alike(kind: Any) -> None:
    """Whatever holds the columns."""
    table = {name: column * 2 for name, column in exposures(600).items()}
    same(judge_table(kind(table), **DESIGN), judge_table(table, **DESIGN))


@pytest.mark.parametrize("kind", [pandas_frame, polars_frame, arrow_blocks], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("declared", [{"quantile": 0.9}, {"method": "bootstrap"}, {"winsorise": 0.9}])
def test_so_are_orders_and_resamples(kind: Any, declared: dict[str, Any]) -> None:
    """The order of rows does not matter to them, either."""
    table = exposures(400)
    design = {"arm": "variant", "metric": "revenue", "look": "final", **declared}
    backwards = {name: column[::-1] for name, column in table.items()}
    same(judge_table(kind(backwards), **design), judge_table(table, **design))


@pytest.fixture(params=["sqlite", "duckdb"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a connection of Ibis to an engine that this Ibis and this engine's version can do."""
    ibis = pytest.importorskip("ibis")
    try:
        connection = getattr(ibis, request.param).connect()
        connection.create_table("probe", pyarrow.table({"a": [1]})).alias("b").sql(
            "SELECT a FROM b"
        ).to_pyarrow()
    except Exception as error:  # noqa: BLE001  # each engine has its own
        pytest.skip(f"ibis and {request.param} do not work together here: {error}")
    yield connection
    connection.disconnect()


def test_another_engine_does_the_sums(engine: Any) -> None:
    """By the same queries in its dialect; an expression may be filtered and joined before."""
    table = {name: column * 2 for name, column in exposures(600).items()}
    expression = engine.create_table("exposures_of_users", pyarrow.table(table))
    same(judge_table(expression, **DESIGN), [without_copies(one) for one in judge_table(table, **DESIGN)])
    german = {
        name: [v for v, c in zip(column, table["country"], strict=True) if c == "de"]
        for name, column in table.items()
    }
    some = judge_table(expression.filter(expression.country == "de"), **DESIGN)
    same(some, [without_copies(one) for one in judge_table(german, **DESIGN)])
    assert sorted(engine.list_tables()) == ["exposures_of_users", "probe"]


def without_copies(result: ExperimentResult) -> ExperimentResult:
    """Return a result without the note on copied rows, which takes a hash that not all engines have."""
    import msgspec

    return msgspec.structs.replace(
        result, notes=[note for note in result.notes if "repeat another" not in note]
    )


def test_only_sums_come_from_there(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row by arm and segment, however many rows there are."""
    expression = engine.create_table("t", pyarrow.table(exposures(600)))
    most = []
    plain = Table.rows

    def counted(self: Table, sql: str) -> list[tuple[Any, ...]]:
        found = plain(self, sql)
        most.append(len(found))
        return found

    monkeypatch.setattr(Table, "rows", counted)
    judge_table(expression, **DESIGN)
    assert max(most) <= 4


def test_days_and_missing_values_are_read_there_too(engine: Any) -> None:
    """Dates, nulls, names with quotes."""
    table = exposures(600)
    table["day"] = [datetime.date(2026, 1, 1 + place % 9) for place in range(600)]
    table["revenue"] = [None if place % 10 == 0 else v for place, v in enumerate(table["revenue"])]
    table['odd "name'] = table.pop("country")
    design = {
        "arm": "variant",
        "metric": "revenue",
        "look": "final",
        "day": "day",
        "segments": ['odd "name'],
        "nan": "omit",
    }
    found = judge_table(engine.create_table("t", pyarrow.table(table)), **design)
    expected = judge_table(table, **design)
    same(found, expected)
    for one, other in zip(found[0].checks, expected[0].checks, strict=True):
        assert one.message == other.message


@pytest.mark.parametrize(
    "declared", [{"quantile": 0.5}, {"method": "rank"}, {"method": "bootstrap"}, {"winsorise": 0.99}]
)
def test_what_needs_the_values_is_refused_with_what_to_do(engine: Any, declared: dict[str, Any]) -> None:
    """No row leaves the engine unasked."""
    expression = engine.create_table("t", pyarrow.table(exposures(100)))
    with pytest.raises(UsageError, match="an Ibis expression gives sums") as caught:
        judge_table(expression, arm="variant", metric="revenue", **declared)
    assert "to_pyarrow()" in caught.value.hint


def test_a_wrong_column_of_another_engine_names_the_nearest(engine: Any) -> None:
    """And so does one that holds no numbers; what the engine itself says is shown."""
    expression = engine.create_table("t", pyarrow.table(exposures(100)))
    for wrong, named in (("revenu", "nearest: 'revenue'"), ("country", "must be numbers")):
        with pytest.raises(UsageError) as caught:
            judge_table(expression, arm="variant", metric=wrong)
        assert named in str(caught.value)
    engine.drop_table("t")
    with pytest.raises(UsageError, match="the table cannot be read"):
        judge_table(expression, arm="variant", metric="revenue")


LIMITED = """
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
    from pytest_bugsle.experiment.tables import judge_table
    design = dict(arm="v", metric="y", covariate="z", look="final")
    for more in ({{}}, {{"unit": "u"}}):
        (found,) = judge_table({path!r}, **design, **more)
        print(found.outcome, found.n["control"])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold such limits")
def test_a_table_larger_than_the_memory_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """50 million rows of 33 bytes, in a process that may have 1.5 GB for all of its code and data."""
    many, limit = 50_000_000, 1500 * 2**20
    path = tmp_path / "large.parquet"
    duckdb.sql(
        f"COPY (SELECT range // 100 AS u, CASE WHEN (range // 100) % 2 = 0 THEN 'control' ELSE 'treatment' END AS v, "  # noqa: S608  # a path of ours
        f"CAST((range * 7919) % 1009 AS DOUBLE) AS y, CAST((range // 100) % 1013 AS DOUBLE) AS z FROM range({many})) "
        f"TO '{path}'"
    )
    assert many * 33 > limit
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    code = textwrap.dedent(LIMITED.format(limit=limit, path=str(path)))
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert made.stdout.split() == ["undecided", "25000000", "undecided", "250000"], made.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["large.parquet"]
