"""What of a table sums do not say: where values are cut, order statistics, the values of the units.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import ratios
from pytest_bugsle.experiment.reading import Table, quoted, text_of
from pytest_bugsle.stats import quantiles
from pytest_bugsle.stats.moments import Moments, PairedMoments

if TYPE_CHECKING:
    from pytest_bugsle.experiment.gather import Columns


@dataclass(frozen=True, slots=True)
class Tails:
    """By arm: how many units were cut, at which bounds, the order statistics, the sorted values; empty if not asked for."""

    bounds: tuple[float | None, float | None] | None = None
    cut: Mapping[str, int] = field(default_factory=dict)
    orders: Mapping[str, quantiles.Order] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


def cut_of(table: Table, source: str, shares: tuple[float, float], columns: Columns) -> Tails:
    """Return the bounds of all units together, and how many each arm has beyond them."""
    asked = [share for share in shares if 0 < share < 1]
    (found,) = table.rows(
        f"SELECT quantile_cont(y, [{', '.join(map(repr, asked))}]) FROM ({source}) WHERE isfinite(y)"  # noqa: S608
    )
    if found[0] is None:
        return Tails()
    ends = dict(zip(asked, map(float, found[0]), strict=True))
    bounds = ends.get(shares[0]), ends.get(shares[1])
    beyond = " OR ".join(
        f"y {sign} ({bound!r})" for sign, bound in zip("<>", bounds, strict=True) if bound is not None
    )
    rows = table.rows(
        f"SELECT CAST(arm AS VARCHAR) AS a, count_if({beyond}) FROM ({source}) GROUP BY a ORDER BY a"  # noqa: S608
    )
    return Tails(bounds, {arm: many for arm, many in rows if arm is not None})


def tails_of(
    table: Table, source: str, by_row: str, cut: Tails, columns: Columns, arms: Sequence[str], clustered: bool
) -> Tails:
    """Return what the declared measure needs of each arm; UsageError for a measure of units that have several rows."""
    measure = columns.measure
    if measure.quantile is not None:
        orders = {arm: _order(table, by_row, columns, arm, measure.quantile, clustered) for arm in arms}
        return Tails(orders={arm: order for arm, order in orders.items() if order is not None})
    if measure.method == "rank" and (clustered or columns.denominator is not None):
        raise UsageError(
            "ranks need one value for each unit, and the units have several rows, or a denominator.",
            why="rows of one unit are no independent evidence",
            hint="hand over one row for each unit, with the sum or the mean of its rows",
        )
    values = {}
    for arm in arms:
        named = f"CAST(arm AS VARCHAR) = {text_of([arm])} AND y IS NOT NULL"
        values[arm] = table.numbers(f"SELECT y FROM ({source}) WHERE {named}")  # noqa: S608
    return Tails(cut.bounds, cut.cut, values=values)


def _order(
    table: Table, by_row: str, columns: Columns, arm: str, q: float, clustered: bool
) -> quantiles.Order | None:
    """Return the order statistics of one arm; None where it has fewer than two values."""
    named = f"CAST(arm AS VARCHAR) = {text_of([arm])} AND y IS NOT NULL"
    n = int(table.rows(f"SELECT count(*) FROM ({by_row}) WHERE {named}")[0][0])  # noqa: S608
    if n < 2:
        return None
    units, ends = n, quantiles.places(n, q, quantiles.plain_error(n, q))
    centre = quantiles.ranks_of(quantiles.middle(n, q), n)
    if clustered:
        around = _at(table, by_row, named, n, sorted(set(centre[:2])))
        value = around[centre[0]] + centre[2] * (around[centre[1]] - around[centre[0]])
        units, error = _clustered_error(table, by_row, columns, named, value, n)
        if units < 2:
            return None
        ends = quantiles.places(n, q, error, skewed=False)
    wanted = {rank for pair in ends for place in pair for rank in quantiles.ranks_of(place, n)[:2]}
    found = _at(table, by_row, named, n, sorted({*wanted, *centre[:2]}))
    return quantiles.order_of(found.__getitem__, n, q, ends, units)


def _at(table: Table, source: str, named: str, n: int, ranks: Sequence[int]) -> dict[int, float]:
    """Return the values of these ranks, from 1."""
    # The middle of a rank's share, so that rounding names no other rank.
    shares = ", ".join(repr((rank - 0.5) / n) for rank in ranks)
    (found,) = table.rows(f"SELECT quantile_disc(y, [{shares}]) FROM ({source}) WHERE {named}")  # noqa: S608
    return dict(zip(ranks, map(float, found[0]), strict=True))


def _clustered_error(
    table: Table, by_row: str, columns: Columns, named: str, value: float, n: int
) -> tuple[int, float]:
    """Return how many units there are, and the standard error of how many of their rows lie below a value."""
    assert columns.unit is not None
    with_unit = by_row.replace(" FROM exposures", f", {quoted(columns.unit)} AS unit FROM exposures")
    (row,) = table.rows(
        "SELECT count(*), sum(s), sum(s * s), sum(k), sum(k * k), sum(s * k) FROM (SELECT unit, "  # noqa: S608
        f"CAST(count_if(y <= ({value!r})) AS DOUBLE) AS s, CAST(count(*) AS DOUBLE) AS k FROM ({with_unit}) "
        f"WHERE {named} GROUP BY unit)"
    )
    units = int(row[0])
    s, ss, k, kk, sk = (float(value or 0) for value in row[1:])
    pairs = PairedMoments(
        Moments.shifted(units, 0.0, s, ss), Moments.shifted(units, 0.0, k, kk), sk - s * k / units
    )
    return units, n * sqrt(ratios.linearised(pairs).variance / units)
