"""What of a table is dealt anew to the arms: sums of the units that were dealt together.  PYTEST_DONT_REWRITE

Units are dealt, not rows. Where the design names no unit, or too small a one, the table often shows it: in a column
whose every value has all its rows in one arm. Large tables are put into a few thousand groups of units by chance, and
these are dealt: the sums lose nothing, and the spread between so many groups is that between units to a hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

from pytest_bugsle.experiment.calibration import Groups
from pytest_bugsle.experiment.gather import Columns, Table
from pytest_bugsle.experiment.reading import quoted, text_of

MOST_GROUPS = 16_384
LEAST_CLUSTERS = 20
_CHANCE = 1e-9
"""How unlikely it must be that all rows of every value are in one arm by chance."""

_MOST_COLUMNS = 50
_INEXACT = ("FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN")


def groups_of(table: Table, columns: Columns, arms: tuple[str, str], *, shares: bool, ratio: bool) -> Groups:
    """Return the units of two arms in the groups that are dealt; `shares` and `ratio` say how they are tested."""
    clusters = find_clusters(table, columns, arms)
    units = units_of(columns, arms, clusters)
    covariate = columns.covariate is not None
    y, d, x = (
        float(value or 0.0)
        for value in table.rows(f"SELECT avg(y), avg(d), avg(x) FROM ({units})")[0]  # noqa: S608  # names are quoted
    )
    slope = y / d if ratio and d else 0.0
    off = f"(y - ({y!r}) - ({slope!r}) * (d - ({d!r})))"
    many, heaviest, squares = table.rows(
        f"SELECT count(*), max({off} * {off}), sum({off} * {off}) FROM ({units})"  # noqa: S608
    )[0]
    key = "unit" if clusters is None else "cluster"
    dealt = (
        many if clusters is None else table.rows(f"SELECT count(DISTINCT cluster) FROM ({units})")[0][0]  # noqa: S608
    )
    if dealt > MOST_GROUPS:
        key = f"hash({key}) % {MOST_GROUPS}"
    centred = (
        f"SELECT {key} AS k, y - ({y!r}) AS y, d - ({d!r}) AS d, coalesce(x - ({x!r}), 0) AS x FROM ({units})"  # noqa: S608
    )
    sums = table.rows(
        "SELECT count(*), sum(y), sum(d), sum(x), sum(y * y), sum(d * d), sum(x * x), sum(y * d), sum(y * x), "  # noqa: S608
        f"sum(d * x) FROM ({centred}) GROUP BY k ORDER BY k"
    )
    return Groups(
        sums=sums,
        centre=(y, d, x),
        kind="ratio" if ratio else "share" if shares and not covariate else "mean",
        adjusted=covariate,
        heaviest=float(heaviest or 0.0) / float(squares) if squares else 0.0,
        clusters=clusters,
        units=columns.unit,
    )


def find_clusters(table: Table, columns: Columns, arms: tuple[str, str]) -> str | None:
    """Return the column by which the units seem to have been dealt, None where it is the declared unit.

    Each of its values has all its units in one arm, too many for chance, and it is the coarsest such column.
    """
    used = {columns.arm, columns.metric, columns.denominator, columns.covariate, columns.unit}
    found = []
    # Rows and units are counted apart: a column that says of rows what the unit says is no coarser.
    unit = "count(*)" if columns.unit is None else f"count(DISTINCT {quoted(columns.unit)})"
    arm = f"CAST({quoted(columns.arm)} AS VARCHAR)"
    total = int(table.rows(f"SELECT {unit} FROM exposures WHERE {arm} IN {_in(arms)}")[0][0])  # noqa: S608
    first = int(
        table.rows(f"SELECT {unit} FROM exposures WHERE {arm} = {text_of(arms[:1])}")[0][0]  # noqa: S608
    )
    share = max(first, total - first) / total if total else 1.0
    if not 0 < share < 1:
        return None
    for column in [name for name in table.columns if name not in used][:_MOST_COLUMNS]:
        if table.type_of(column).startswith(_INEXACT):
            continue
        many, crossed, inside, largest = table.rows(
            "SELECT count(*), count_if(low <> high), sum(units), max(units) FROM ("  # noqa: S608
            f"SELECT min({arm}) AS low, max({arm}) AS high, {unit} AS units FROM exposures WHERE {arm} IN {_in(arms)} "
            f"AND {quoted(column)} IS NOT NULL GROUP BY {quoted(column)})"
        )[0]
        # What says the same of all is no cluster, and neither is a value for each unit.
        if many < LEAST_CLUSTERS or crossed or largest == 1 or inside != total:
            continue
        if (inside - many) * log(share) < log(_CHANCE):
            found.append((many, column))
    return min(found)[1] if found else None


def groups_of_values(
    control: Sequence[Sequence[float]], treatment: Sequence[Sequence[float]], *, ratio: bool
) -> Groups:
    """Return units that a test handed over as values: (values, other) of each arm, where each unit is a group.

    `other` is the denominator of a ratio, else the covariate, and may be empty.
    """
    import numpy as np

    y, other = (
        np.concatenate([np.asarray(arm[place], dtype=float) for arm in (control, treatment)])
        for place in (0, 1)
    )
    paired = len(other) == len(y)
    zeros = np.zeros(len(y))
    centre_y, centre_other = float(y.mean()), float(other.mean()) if paired else 0.0
    y = y - centre_y
    off = other - centre_other if paired else zeros
    d, x = (off, zeros) if ratio else (zeros, off)
    sums = np.column_stack([np.ones(len(y)), y, d, x, y * y, d * d, x * x, y * d, y * x, d * x])
    slope = centre_y / centre_other if ratio and centre_other else 0.0
    squares = (y - slope * d) ** 2
    if len(sums) > MOST_GROUPS:
        sums = _put_together(sums)
    return Groups(
        sums=sums,
        centre=(centre_y, centre_other if ratio else 0.0, 0.0 if ratio else centre_other),
        kind="ratio" if ratio else "mean",
        adjusted=paired and not ratio,
        heaviest=float(squares.max() / squares.sum()) if squares.sum() > 0 else 0.0,
    )


def _put_together(sums: Any) -> Any:
    import numpy as np

    place = np.random.default_rng(1).permutation(len(sums)) % MOST_GROUPS
    return np.column_stack([np.bincount(place, weights=column, minlength=MOST_GROUPS) for column in sums.T])


def units_of(columns: Columns, arms: tuple[str, str], clusters: str | None) -> str:
    """Return the query of one row for each unit of these arms that has the metric: unit, arm, cluster, y, d and x."""
    arm = f"CAST({quoted(columns.arm)} AS VARCHAR)"
    unit = "row_number() OVER ()" if columns.unit is None else quoted(columns.unit)
    d = "1" if columns.denominator is None else quoted(columns.denominator)
    x = "NULL" if columns.covariate is None else quoted(columns.covariate)
    cluster = "NULL" if clusters is None else quoted(clusters)
    rows = (
        f"SELECT {unit} AS unit, {arm} AS arm, {cluster} AS cluster, CAST({quoted(columns.metric)} AS DOUBLE) AS y, "  # noqa: S608
        f"CAST({d} AS DOUBLE) AS d, CAST({x} AS DOUBLE) AS x FROM exposures WHERE {arm} IN {_in(arms)}"
    )
    if columns.unit is not None:
        rows = (
            "SELECT unit, min(arm) AS arm, min(cluster) AS cluster, sum(y) AS y, sum(d) AS d, min(x) AS x "  # noqa: S608
            f"FROM ({rows}) GROUP BY unit"
        )
    return f"SELECT * FROM ({rows}) WHERE y IS NOT NULL"  # noqa: S608


def _in(values: Sequence[str]) -> str:
    return f"({text_of(values)})"
