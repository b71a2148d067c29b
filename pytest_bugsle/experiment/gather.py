"""A user's own table, summed up where it lies: of its rows only sufficient statistics come here.  PYTEST_DONT_REWRITE

All kinds of table are read by DuckDB: files and its own relations as they are, data frames and Arrow tables
without a copy where that can be. Sums are taken around a value of the column, so that a large offset costs nothing.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.stats.moments import Moments, PairedMoments

_NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "BOOLEAN",
    "U",
)
_WHOLE = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "BOOLEAN",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a table say what; `unit` is the unit of randomisation, where rows are not."""

    arm: str
    metric: str
    unit: str | None = None
    denominator: str | None = None
    covariate: str | None = None
    segments: tuple[str, ...] = ()
    day: str | None = None


@dataclass(frozen=True, slots=True)
class ArmSums:
    """One arm of one metric: its units, how many lack the metric or the covariate, and the moments of the others."""

    n: int
    missing: int
    without_covariate: int
    moments: PairedMoments


@dataclass(frozen=True, slots=True)
class Summary:
    """What was read of a table for one metric, by arm; an arm of None are rows without one."""

    arms: Mapping[str | None, ArmSums]
    shares: bool
    ratio: bool
    rows: int
    crossed: int
    varying: int
    segments: Mapping[str, Mapping[str, Mapping[str | None, Moments]]]
    days: Mapping[int, Mapping[str | None, Moments]]

    @property
    def units(self) -> int:
        """All units of all arms."""
        return sum(arm.n for arm in self.arms.values())


class Table:
    """A table that DuckDB reads; UsageError where it cannot be read."""

    def __init__(self, given: Any) -> None:
        if importlib.util.find_spec("duckdb") is None:
            raise UsageError(
                "to read a table the A/B gate needs duckdb, which is not installed.",
                why="the sums are taken where the data are",
                hint='pip install "pytest-bugsle[experiment,tables]"',
            )
        import duckdb

        self._error = duckdb.Error
        try:
            self._relation = _relation(given)
            self.columns: list[str] = list(self._relation.columns)
            self._types = dict(zip(self.columns, map(str, self._relation.types), strict=True))
        except (duckdb.Error, OSError, TypeError, ValueError) as error:
            raise _unreadable(error) from error

    def check(self, name: str, role: str, *, numeric: bool = False) -> None:
        """Raise UsageError, naming the nearest column, unless there is such a column, of numbers where asked."""
        if name not in self.columns:
            near = difflib.get_close_matches(name, self.columns, n=3, cutoff=0.4) or self.columns[:10]
            raise UsageError(
                f"the table has no column {name!r} for {role}.",
                hint=f"nearest: {', '.join(map(repr, near))}",
            )
        if numeric and not self._types[name].startswith(_NUMBERS):
            raise UsageError(
                f"column {name!r} for {role} is {self._types[name]}, and must be numbers.",
                why="often one cell of text, or a decimal comma, turns a whole column into text",
                hint="cast it, or mend the export",
            )

    def is_whole(self, name: str) -> bool:
        """Say whether a column holds whole numbers or truth values."""
        return self._types[name].startswith(_WHOLE)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query of `exposures` gives."""
        try:
            found: list[tuple[Any, ...]] = self._relation.query("exposures", sql).fetchall()
        except self._error as error:
            raise _unreadable(error) from error
        return found


def _unreadable(error: Exception) -> UsageError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(
        f"the table cannot be read: {first}", hint="a CSV or Parquet file, an Arrow table, or a data frame"
    )


def _relation(given: Any) -> Any:
    import duckdb

    if isinstance(given, duckdb.DuckDBPyRelation):
        return given
    connection = duckdb.connect()
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {str(path)!r}")
        reader = (
            connection.read_parquet if path.suffix.lower() in (".parquet", ".pq") else connection.read_csv
        )
        # A name with a star would be many files.
        return reader(_plain(path))
    if type(given).__module__.startswith("pandas."):
        return connection.from_df(given)
    import pyarrow

    return connection.from_arrow(given if isinstance(given, pyarrow.Table) else pyarrow.table(given))


def _plain(path: Path) -> str:
    text = str(path.resolve())
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def summarise(table: Table, columns: Columns) -> Summary:
    """Return the sums of one metric, by arm, by segment and by day; UsageError for a wrong column."""
    table.check(columns.arm, "arm")
    table.check(columns.metric, "metric", numeric=True)
    for role in ("unit", "denominator", "covariate", "day"):
        column = getattr(columns, role)
        if column is not None:
            table.check(column, role, numeric=role in ("denominator", "covariate"))
    for segment in columns.segments:
        table.check(segment, "a segment")
    rows = int(table.rows("SELECT count(*) FROM exposures")[0][0])
    crossed = varying = 0
    units = rows
    source = _rows_as_units(columns)
    if columns.unit is not None:
        grouped = _grouped(columns)
        units, crossed, varying = table.rows(
            f"SELECT count(*), count_if(crossed), count_if(varying) FROM ({grouped})"  # noqa: S608  # names are quoted
        )[0]
        if units < rows or columns.denominator is not None:
            source = grouped
    ratio = columns.denominator is not None or units < rows
    if ratio:
        source = _linearised(table, source)
    shift_y, shift_x = _shifts(table, source)
    paired = columns.covariate is not None
    rows_by_arm = table.rows(_sums_of(source, shift_y, shift_x, paired=paired))
    if paired and any(row[1] != row[2] or row[2] != row[5] for row in rows_by_arm):
        rows_by_arm = table.rows(_sums_of(source, shift_y, shift_x, paired=paired, gaps=True))
    try:
        arms = {row[0]: _sums(row[1:], shift_y, shift_x) for row in rows_by_arm}
    except ValueError:
        # A sum is not finite where a value is not: only then is it worth a second look which.
        _refuse_infinite(table, source, columns)
        raise
    seen = sum(arm.n for arm in arms.values())
    if seen != units:
        raise UsageError(
            f"the table changed while it was read: {units:,} units, then {seen:,}.",
            hint="hand over a snapshot of it",
        )
    shares = (
        not ratio
        and table.is_whole(columns.metric)
        and all(_is_share(arm.moments.y) for arm in arms.values())
    )
    segments = {name: _by(table, source, f"s{place}", shift_y) for place, name in enumerate(columns.segments)}
    days = {} if columns.day is None else _days(table, columns, shift_y)
    return Summary(arms, shares, ratio, rows, crossed, varying, segments, days)


def _refuse_infinite(table: Table, source: str, columns: Columns) -> None:
    """Raise ValueError, with the count by arm, where a value is no finite number."""
    bad = "count_if(NOT isfinite(y)), count_if(NOT isfinite(x))"
    rows = table.rows(f"SELECT CAST(arm AS VARCHAR) AS a, {bad} FROM ({source}) GROUP BY a ORDER BY a")  # noqa: S608
    for place, column in ((1, columns.metric), (2, columns.covariate)):
        if any(row[place] for row in rows):
            many = ", ".join(f"{row[0]} {row[place]:,}" for row in rows)
            raise ValueError(f"{column!r} is no finite number in {many} units")


def _is_share(moments: Moments) -> bool:
    """Say whether whole numbers are all 0 or 1: their squares add up to what they do themselves."""
    total = moments.mean * moments.n
    squares = moments.squares + moments.n * moments.mean**2
    return 0 <= moments.mean <= 1 and abs(squares - total) < 1e-6 * max(1.0, total)


def _rows_as_units(columns: Columns) -> str:
    covariate = "NULL" if columns.covariate is None else _name(columns.covariate)
    segments = "".join(
        f", CAST({_name(name)} AS VARCHAR) AS s{place}" for place, name in enumerate(columns.segments)
    )
    denominator = "1" if columns.denominator is None else _name(columns.denominator)
    return (
        f"SELECT {_name(columns.arm)} AS arm, CAST({_name(columns.metric)} AS DOUBLE) AS y, "  # noqa: S608
        f"CAST({covariate} AS DOUBLE) AS x, CAST({denominator} AS DOUBLE) AS d{segments} FROM exposures"
    )


def _grouped(columns: Columns) -> str:
    """Return one row for each unit: the sums of its rows, and what must be the same in all of them."""
    assert columns.unit is not None
    segments = "".join(f", min(s{place}) AS s{place}" for place in range(len(columns.segments)))
    inner = _rows_as_units(columns).replace(
        " FROM exposures", f", {_name(columns.unit)} AS unit FROM exposures"
    )
    return (
        "SELECT min(arm) AS arm, sum(y) AS y, min(x) AS x, sum(d) AS d, "  # noqa: S608
        f"min(arm) <> max(arm) AS crossed, min(x) <> max(x) AS varying{segments} FROM ({inner}) GROUP BY unit"
    )


def _linearised(table: Table, source: str) -> str:
    """Return units with (y - ratio·d) / mean of d + ratio instead of y, by arm: the delta method."""
    whens = []
    for arm, y, d in table.rows(
        f"SELECT CAST(arm AS VARCHAR), avg(y), avg(d) FROM ({source}) WHERE y IS NOT NULL GROUP BY 1"  # noqa: S608
    ):
        if arm is None or not d or not isfinite(d) or not isfinite(y):
            continue
        ratio = y / d
        whens.append(f"WHEN {_text(arm)} THEN (y - ({ratio!r}) * d) / ({d!r}) + ({ratio!r})")
    if not whens:
        return source
    case = f"CASE CAST(arm AS VARCHAR) {' '.join(whens)} END"
    return f"SELECT * REPLACE ({case} AS y) FROM ({source})"  # noqa: S608


def _shifts(table: Table, source: str) -> tuple[float, float]:
    """Return a value of each column to sum around."""
    made = []
    for column in ("y", "x"):
        found = table.rows(f"SELECT {column} FROM ({source}) WHERE isfinite({column}) LIMIT 1")  # noqa: S608
        made.append(float(found[0][0]) if found else 0.0)
    return made[0], made[1]


def _sums_of(source: str, shift_y: float, shift_x: float, *, paired: bool, gaps: bool = False) -> str:
    """Return the query of all sums by arm; `gaps` is for columns with nulls, and takes twice the time."""
    y, x = f"(y - ({shift_y!r}))", f"(x - ({shift_x!r}))"
    pairs = "0 AS c, 0 AS e, 0 AS f, 0 AS g"
    if gaps:
        # A unit without a covariate counts as one at the shift: a constant takes nothing out, and biases nothing.
        pairs = (
            f"count(x) AS c, sum(coalesce({x}, 0)) FILTER (y IS NOT NULL) AS e, "
            f"sum(coalesce({x} * {x}, 0)) FILTER (y IS NOT NULL) AS f, sum(coalesce({x} * {y}, 0)) AS g"
        )
    elif paired:
        pairs = f"count(x) AS c, sum({x}) AS e, sum({x} * {x}) AS f, sum({x} * {y}) AS g"
    return (
        "SELECT CAST(k AS VARCHAR), n, m, a, b, c, e, f, g FROM (SELECT arm AS k, count(*) AS n, "  # noqa: S608
        f"count(y) AS m, sum({y}) AS a, sum({y} * {y}) AS b, {pairs} FROM ({source}) GROUP BY arm)"
    )


def _sums(row: Sequence[Any], shift_y: float, shift_x: float) -> ArmSums:
    n, counted, y, yy, with_x, x, xx, xy = (value or 0 for value in row)
    made_y = Moments.shifted(counted, shift_y, float(y), float(yy))
    made_x = Moments.shifted(counted, shift_x, float(x), float(xx))
    products = float(xy) - float(x) * float(y) / counted if counted else 0.0
    return ArmSums(n, n - counted, n - with_x, PairedMoments(made_y, made_x, products))


def _by(table: Table, source: str, column: str, shift: float) -> dict[str, dict[str | None, Moments]]:
    y = f"(y - ({shift!r}))"
    made: dict[str, dict[str | None, Moments]] = {}
    for key, arm, n, total, squares in table.rows(
        f"SELECT {column}, CAST(arm AS VARCHAR), count(y), sum({y}), sum({y} * {y}) FROM ({source}) "  # noqa: S608
        f"GROUP BY {column}, arm ORDER BY 1, 2"
    ):
        name = "(none)" if key is None else str(key)
        made.setdefault(name, {})[arm] = Moments.shifted(n, shift, float(total or 0), float(squares or 0))
    return made


def _days(table: Table, columns: Columns, shift: float) -> dict[int, dict[str | None, Moments]]:
    """Return the moments by days since the unit's first row, or by the day as it is where rows are units."""
    day = f"CAST({_name(columns.day or '')} AS DATE)"
    if columns.unit is not None:
        since = f"{day} - min({day}) OVER (PARTITION BY {_name(columns.unit)})"
    else:
        since = f"{day} - min({day}) OVER ()"
    source = _rows_as_units(columns).replace(" FROM exposures", f", {since} AS since FROM exposures")
    return {int(key): value for key, value in _by(table, source, "since", shift).items() if key != "(none)"}
