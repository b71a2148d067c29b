"""A user's own table, summed up where it lies: of its rows only sufficient statistics come here.  PYTEST_DONT_REWRITE

Sums are taken around a value of the column, so that a large offset costs nothing. Only ranks and resamples need the
values of the units themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, ulp
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.gather_tails import Tails, cut_of, tails_of
from pytest_bugsle.experiment.measures import Measure
from pytest_bugsle.experiment.reading import Table, quoted, text_of
from pytest_bugsle.stats.moments import LARGEST, Moments, PairedMoments

__all__ = ["ArmSums", "Columns", "Summary", "Table", "summarise"]

_LARGEST = "1.7976931348623157e308"
_MOST_DAYS = 36_525
"""A hundred years: who counts days has fewer, and who counts seconds more."""

_TELLABLE = 64
"""A deviation of fewer steps of a float than that is one of rounding, as of whole numbers beyond 2^53."""


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
    measure: Measure = field(default_factory=Measure)


@dataclass(frozen=True, slots=True)
class ArmSums:
    """One arm of one metric: its units, how many lack the metric or the covariate, and the moments of the others."""

    n: int
    missing: int
    without_covariate: int
    moments: PairedMoments


@dataclass(frozen=True, slots=True)
class Summary:
    """What was read of a table for one metric, by arm; an arm of None are rows without one.

    `crossed` units are in two arms, `varying` ones have two values of the covariate, `nameless` rows have no unit, and
    `copies` are, where there are more rows than units, those that repeat another in all columns, and all rows.
    """

    arms: Mapping[str | None, ArmSums]
    shares: bool
    ratio: bool
    rows: int
    crossed: int
    varying: int
    segments: Mapping[str, Mapping[str, Mapping[str | None, Moments]]]
    days: Mapping[int, Mapping[str | None, Moments]]
    nameless: int = 0
    copies: Mapping[str | None, tuple[int, int]] = field(default_factory=dict)
    tails: Tails = field(default_factory=Tails)

    @property
    def units(self) -> int:
        """All units of all arms."""
        return sum(arm.n for arm in self.arms.values())


def summarise(table: Table, columns: Columns) -> Summary:
    """Return the sums of one metric, by arm, by segment and by day; UsageError for a wrong column."""
    table.check(columns.arm, "arm")
    rows = int(table.rows("SELECT count(*) FROM exposures")[0][0])
    if not rows:
        raise UsageError("the table has no rows.", hint="look at the query or the export that made it")
    table.check(columns.metric, "metric", numeric=True)
    for role in ("unit", "denominator", "covariate", "day"):
        column = getattr(columns, role)
        if column is not None:
            table.check(column, role, numeric=role in ("denominator", "covariate"))
    for segment in columns.segments:
        table.check(segment, "a segment")
    measure = columns.measure
    if table.is_remote and (not measure.is_mean or measure.winsorise is not None):
        raise UsageError(
            "quantiles, ranks, resamples and winsorising need the values themselves, and an Ibis expression gives sums.",
            why="no row leaves the engine that holds the table",
            hint="hand over .to_pyarrow() of the columns that are needed, or cut the values in the query",
        )
    crossed = varying = nameless = 0
    copies: dict[str | None, tuple[int, int]] = {}
    units = rows
    source = by_row = _rows_as_units(columns)
    if columns.unit is not None:
        grouped = _grouped(columns)
        units, crossed, varying, nameless = (
            int(value or 0)
            for value in table.rows(
                "SELECT count(*), count_if(crossed), count_if(varying), "  # noqa: S608  # names are quoted
                f"sum(CASE WHEN unit IS NULL THEN many ELSE 0 END) FROM ({grouped})"
            )[0]
        )
        if units < rows or columns.denominator is not None:
            source = grouped
        if units < rows:
            copies = _copies(table, columns)
    tails = cut_of(table, source, measure.winsorise, columns) if measure.winsorise else Tails()
    if tails.bounds is not None:
        source = _replaced(source, columns, _clipped(tails.bounds))
    ratio = (columns.denominator is not None or units < rows) and measure.quantile is None
    if ratio:
        source = _linearised(table, source, columns)
    paired = columns.covariate is not None
    shift_y, shift_x = _shift(table, source, "y"), _shift(table, source, "x") if paired else 0.0
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
        and measure.is_mean
        and measure.winsorise is None
        and table.is_whole(columns.metric)
        and all(_is_share(arm.moments.y) for arm in arms.values())
    )
    if not measure.is_mean:
        tails = tails_of(
            table, source, by_row, tails, columns, [arm for arm in arms if arm is not None], units < rows
        )
    segments = {name: _by(table, source, f"s{place}", shift_y) for place, name in enumerate(columns.segments)}
    days = {} if columns.day is None else _days(table, columns, shift_y)
    return Summary(
        arms,
        shares,
        ratio,
        rows,
        crossed,
        varying,
        segments,
        days,
        nameless=nameless,
        copies=copies,
        tails=tails,
    )


def _copies(table: Table, columns: Columns) -> dict[str | None, tuple[int, int]]:
    """Return by arm how many rows are the same as another in all columns, and how many there are.

    By a hash of 64 bits, so that a row takes as much memory whatever it holds.
    """
    if table.is_remote:
        return {}
    names = ", ".join(map(quoted, table.columns))
    rows = table.rows(
        "SELECT a, sum(many - 1), sum(many) FROM (SELECT CAST("  # noqa: S608  # names are quoted
        f"{quoted(columns.arm)} AS VARCHAR) AS a, hash({names}), count(*) AS many FROM exposures GROUP BY 1, 2) GROUP BY a"
    )
    return {arm: (int(copied), int(many)) for arm, copied, many in rows}


def _clipped(bounds: tuple[float | None, float | None]) -> str:
    low, high = bounds
    made = "y" if high is None else f"CASE WHEN y > ({high!r}) THEN ({high!r}) ELSE y END"
    return made if low is None else f"CASE WHEN y < ({low!r}) THEN ({low!r}) ELSE {made} END"


def _replaced(source: str, columns: Columns, y: str) -> str:
    """Return the units with another y."""
    segments = "".join(f", s{place}" for place in range(len(columns.segments)))
    return f"SELECT arm, {y} AS y, x, d{segments} FROM ({source})"  # noqa: S608


def _refuse_infinite(table: Table, source: str, columns: Columns) -> None:
    """Raise ValueError, with the count by arm, where a value is no finite number."""
    bad = ", ".join(
        f"sum(CASE WHEN {name} BETWEEN -{_LARGEST} AND {_LARGEST} THEN 0 WHEN {name} IS NULL THEN 0 ELSE 1 END)"
        for name in ("y", "x")
    )
    rows = table.rows(f"SELECT CAST(arm AS VARCHAR) AS a, {bad} FROM ({source}) GROUP BY a ORDER BY a")  # noqa: S608
    for place, column in ((1, columns.metric), (2, columns.covariate)):
        if any(row[place] for row in rows):
            many = ", ".join(f"{row[0]} {int(row[place]):,}" for row in rows)
            raise ValueError(f"{column!r} is no finite number in {many} units")


def _is_share(moments: Moments) -> bool:
    """Say whether whole numbers are all 0 or 1: their squares add up to what they do themselves."""
    total = moments.mean * moments.n
    squares = moments.squares + moments.n * moments.mean**2
    return 0 <= moments.mean <= 1 and abs(squares - total) < 1e-6 * max(1.0, total)


def _rows_as_units(columns: Columns) -> str:
    covariate = "NULL" if columns.covariate is None else quoted(columns.covariate)
    segments = "".join(
        f", CAST({quoted(name)} AS VARCHAR) AS s{place}" for place, name in enumerate(columns.segments)
    )
    denominator = "1" if columns.denominator is None else quoted(columns.denominator)
    return (
        f"SELECT {quoted(columns.arm)} AS arm, CAST({quoted(columns.metric)} AS DOUBLE) AS y, "  # noqa: S608
        f"CAST({covariate} AS DOUBLE) AS x, CAST({denominator} AS DOUBLE) AS d{segments} FROM exposures"
    )


def _grouped(columns: Columns) -> str:
    """Return one row for each unit: the sums of its rows, and what must be the same in all of them."""
    assert columns.unit is not None
    segments = "".join(f", min(s{place}) AS s{place}" for place in range(len(columns.segments)))
    inner = _rows_as_units(columns).replace(
        " FROM exposures", f", {quoted(columns.unit)} AS unit FROM exposures"
    )
    return (
        "SELECT min(arm) AS arm, sum(y) AS y, min(x) AS x, sum(d) AS d, unit, count(*) AS many, "  # noqa: S608
        f"unit IS NOT NULL AND min(arm) <> max(arm) AS crossed, min(x) <> max(x) AS varying{segments} FROM ({inner}) GROUP BY unit"
    )


def _linearised(table: Table, source: str, columns: Columns) -> str:
    """Return units with (y - ratio·d) / mean of d + ratio instead of y, by arm: the delta method."""
    whens = []
    for arm, y, d in table.rows(
        f"SELECT CAST(arm AS VARCHAR), avg(y), avg(d) FROM ({source}) WHERE y IS NOT NULL GROUP BY 1"  # noqa: S608
    ):
        if arm is None or not d or not isfinite(d) or not isfinite(y):
            continue
        ratio = y / d
        whens.append(f"WHEN {text_of([arm])} THEN (y - ({ratio!r}) * d) / ({d!r}) + ({ratio!r})")
    if not whens:
        return source
    return _replaced(source, columns, f"CASE CAST(arm AS VARCHAR) {' '.join(whens)} END")


def _shift(table: Table, source: str, column: str) -> float:
    """Return a value of a column to sum around."""
    finite = f"{column} BETWEEN -{_LARGEST} AND {_LARGEST}"
    found = table.rows(f"SELECT {column} FROM ({source}) WHERE {finite} LIMIT 1")  # noqa: S608
    return float(found[0][0]) if found else 0.0


def _sums_of(source: str, shift_y: float, shift_x: float, *, paired: bool, gaps: bool = False) -> str:
    """Return the query of all sums by arm; `gaps` is for columns with nulls, and takes twice the time."""
    y, x = f"(y - ({shift_y!r}))", f"(x - ({shift_x!r}))"
    pairs = "0 AS c, 0 AS e, 0 AS f, 0 AS g"
    if gaps:
        # A unit without a covariate counts as one at the shift: a constant takes nothing out, and biases nothing.
        pairs = (
            f"count(x) AS c, sum(coalesce({x}, 0)) FILTER (y IS NOT NULL) AS e, "
            f"sum(coalesce({x} * {x}, 0)) FILTER (WHERE y IS NOT NULL) AS f, sum(coalesce({x} * {y}, 0)) AS g"
        )
    elif paired:
        pairs = f"count(x) AS c, sum({x}) AS e, sum({x} * {x}) AS f, sum({x} * {y}) AS g"
    return (
        "SELECT CAST(k AS VARCHAR), n, m, a, b, c, e, f, g FROM (SELECT arm AS k, count(*) AS n, "  # noqa: S608
        f"count(y) AS m, sum({y}) AS a, sum({y} * {y}) AS b, {pairs} FROM ({source}) GROUP BY arm)"
    )


def _sums(row: Sequence[Any], shift_y: float, shift_x: float) -> ArmSums:
    n, counted, with_x = (int(row[place] or 0) for place in (0, 1, 4))
    y, yy, x, xx, xy = (row[place] or 0 for place in (2, 3, 5, 6, 7))
    made_y = Moments.shifted(counted, shift_y, float(y), float(yy))
    made_x = Moments.shifted(counted, shift_x, float(x), float(xx))
    for column in (made_y, made_x):
        if max(abs(column.mean), column.deviation) > LARGEST:
            raise ValueError("its values are too large for their variance to be squared")
        tellable = column.deviation >= _TELLABLE * ulp(column.mean)
        if not tellable and (column.deviation > 0 or abs(column.mean) > 2**53):
            raise ValueError(
                "its values differ by less than floats of their size can tell: take off what they share"
            )
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
        made.setdefault(name, {})[arm] = Moments.shifted(
            int(n), shift, float(total or 0), float(squares or 0)
        )
    return made


def _days(table: Table, columns: Columns, shift: float) -> dict[int, dict[str | None, Moments]]:
    """Return the moments by days since the unit's first row, or by the day as it is where rows are units."""
    day = _day(table, columns.day or "")
    since = f"{day} - min({day}) OVER (" + (
        f"PARTITION BY {quoted(columns.unit)})" if columns.unit is not None else ")"
    )
    source = _rows_as_units(columns).replace(" FROM exposures", f", {since} AS since FROM exposures")
    return {int(key): value for key, value in _by(table, source, "since", shift).items() if key != "(none)"}


def _day(table: Table, name: str) -> str:
    """Return the expression of a column's day, as days since 1970, by UTC where it knows its zone.

    UsageError where its times have several zones, or some have one and some none: then a day is not the same day for
    all, and which rows are of the first days depends on who reads them.
    """
    column = quoted(name)
    kind = table.type_of(name)
    if table.is_whole(name) and kind.lower() != "boolean":
        low, high = table.rows(f"SELECT min({column}), max({column}) FROM exposures")[0]  # noqa: S608
        if low is not None and high - low > _MOST_DAYS:
            raise UsageError(
                f"column {name!r} for day has whole numbers from {low} to {high}, which are no days.",
                why="seconds taken for days would put each unit on a day of its own",
                hint="count the days, or cast it to a date",
            )
        return column
    if table.is_remote:
        return f"date_diff('day', DATE '1970-01-01', CAST({column} AS DATE))"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        _check_zones(table.as_text(name) if kind == "TIMESTAMP WITH TIME ZONE" else table, name)
        return f"CAST(floor(epoch({column}) / 86400) AS BIGINT)"
    if not table.is_text(name):
        raise UsageError(
            f"column {name!r} for day is {kind}, and must be dates, times, or whole days.",
            hint="cast it to a date",
        )
    zoned = _check_zones(table, name) not in ([], ["none"])
    text = f"CAST({column} AS VARCHAR)"
    made = f"TRY_CAST({text} AS {'TIMESTAMPTZ' if zoned else 'TIMESTAMP'})"
    bad = table.rows(f"SELECT {text} FROM exposures WHERE {column} IS NOT NULL AND {made} IS NULL LIMIT 1")  # noqa: S608
    if bad:
        raise UsageError(
            f"column {name!r} for day holds {str(bad[0][0])[:80]!r}, which is no date.",
            hint="write it as 2026-01-31",
        )
    return f"CAST(floor(epoch({made}) / 86400) AS BIGINT)"


def _check_zones(table: Table, name: str) -> list[str]:
    """Return the one zone of a column's times, "none" where they have none; UsageError for several."""
    zones = sorted(table.zones(name))
    if table.is_text(name):
        text = f"CAST({quoted(name)} AS VARCHAR)"
        zone = (
            f"regexp_extract({text}, ':[0-9]{{2}}([.][0-9]+)? *(Z|z|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$', 2)"
        )
        found = table.rows(f"SELECT DISTINCT {zone} FROM exposures WHERE {text} <> '' ORDER BY 1 LIMIT 6")  # noqa: S608
        zones = [row[0] or "none" for row in found]
    if len(zones) > 1:
        raise UsageError(
            f"column {name!r} for day has times of several zones: {', '.join(zones[:6])}.",
            why="a day is not the same day in all of them, and so not the first day either",
            hint="write all of them in one zone, or as dates",
        )
    return zones
