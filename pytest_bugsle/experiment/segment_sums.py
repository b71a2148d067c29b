"""The sums of a ratio metric within segments, where the data are.  PYTEST_DONT_REWRITE

A ratio of sums has within a segment a ratio of its own: what was linearised around that of the whole does not do.
"""

from __future__ import annotations

from pytest_bugsle.experiment import ratios
from pytest_bugsle.experiment.dealing import units_of
from pytest_bugsle.experiment.gather import Columns, Table
from pytest_bugsle.experiment.segments import Segmented
from pytest_bugsle.stats.moments import Moments, PairedMoments


def ratio_segments(table: Table, columns: Columns, arms: tuple[str, str]) -> list[Segmented]:
    """Return the linearised moments of both arms in each segment of each column; of units in one segment alone.

    A unit whose rows are in several segments counts in the first by name. A segment without a denominator is left out.
    """
    made = []
    for column in columns.segments:
        units = units_of(columns, arms, column)
        y, d = (
            float(value or 0.0)
            for value in table.rows(f"SELECT avg(y), avg(d) FROM ({units})")[0]  # noqa: S608  # names are quoted
        )
        off = f"SELECT cluster, arm, y - ({y!r}) AS y, d - ({d!r}) AS d FROM ({units})"  # noqa: S608
        found: dict[str, dict[str, Moments]] = {}
        for key, arm, n, *sums in table.rows(
            "SELECT cluster, arm, count(*), sum(y), sum(d), sum(y * y), sum(d * d), sum(y * d) "  # noqa: S608
            f"FROM ({off}) GROUP BY cluster, arm ORDER BY cluster, arm"
        ):
            of_y, of_d, yy, dd, yd = (float(value) for value in sums)
            pair = PairedMoments(
                Moments.shifted(n, y, of_y, yy), Moments.shifted(n, d, of_d, dd), yd - of_y * of_d / n
            )
            if pair.x.mean:
                name = "(none)" if key is None else str(key)
                found.setdefault(name, {})[arm] = ratios.linearised(pair)
        empty = Moments(0, 0.0, 0.0)
        made += [
            Segmented(column, value, by_arm.get(arms[0], empty), by_arm.get(arms[1], empty))
            for value, by_arm in found.items()
        ]
    return made
