"""Speed of the A/B gate: against tea-tasting and DuckDB's bare sums on Arrow, and of a gate on counts."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Figure

ROWS = 10_000_000
_ROUNDS = 7
_GATES = 300

_BARE = """
SELECT variant, count(*), sum(y - 10), sum((y - 10) * (y - 10)), sum(x - 10), sum((x - 10) * (x - 10)),
sum((x - 10) * (y - 10)) FROM exposures GROUP BY variant
"""


def big_table(folder: Path) -> list[Figure]:
    """Check the arms' sizes, and test a mean with its covariate, on 10^7 rows of Arrow; in turn with the peers."""
    import duckdb
    import numpy as np
    import pyarrow

    from pytest_bugsle.experiment.tables import judge_table

    rng = np.random.default_rng(1)
    x = rng.normal(10, 3, ROWS)
    arms = rng.integers(0, 2, ROWS).astype(np.int8)
    table = pyarrow.table({"variant": arms, "y": x + rng.normal(0, 2, ROWS), "x": x})

    def ours() -> None:
        (made,) = judge_table(
            table, arm="variant", metric="y", covariate="x", split={"0": 0.5, "1": 0.5}, look="final"
        )
        assert made.outcome != "invalid"

    def bare() -> None:
        connection = duckdb.connect()
        connection.register("exposures", table)
        assert len(connection.execute(_BARE).fetchall()) == 2

    ratio, mine, floor = _in_turn(ours, bare)
    figures = [
        Figure(
            "ab: 10^7 rows, time against DuckDB's bare sums",
            ratio,
            3.0,
            "x",
            f"{mine:.2f} s / {floor:.2f} s, {ROWS / mine / 1e6:.0f} million rows a second",
        )
    ]
    if importlib.util.find_spec("tea_tasting") is None:
        print("tea-tasting is not installed: nothing to compare with")
        return figures
    import tea_tasting

    experiment = tea_tasting.Experiment(y=tea_tasting.Mean("y", "x"), srm=tea_tasting.SampleRatio())
    ratio, mine, peer = _in_turn(ours, lambda: experiment.analyze(table, control=0))
    return [
        *figures,
        Figure("ab: 10^7 rows, time against tea-tasting", ratio, 0.2, "x", f"{mine:.2f} s / {peer:.2f} s"),
    ]


def _in_turn(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float, float]:
    """Return the ratio of the best times of both, and these, after a warm-up.

    They run in turn, and the best of each is taken: what else the machine does takes from one that uses all of its
    processors more than from one that uses a single one, and only ever adds.
    """
    one(), other()
    pairs = [(_seconds(one), _seconds(other)) for _ in range(_ROUNDS)]
    first, second = (min(column) for column in zip(*pairs, strict=True))
    return first / second, first, second


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def counts(folder: Path) -> list[Figure]:
    """Judge counts, other ones each time, after the first import: at any look, at the only one, at the last of five."""
    from pytest_bugsle.experiment.judging import judge_proportions

    looks: tuple[tuple[str, Any], ...] = (
        ("always valid", None),
        ("the only look", "final"),
        ("look 5 of 5", (5, 5)),
    )
    figures = []
    for name, look in looks:
        times = []
        for number in range(_GATES):
            control, treatment = (500 + number, 5000), (560 + number, 5020)
            started = time.perf_counter()
            judge_proportions(control, treatment, metric="conversion", mde=0.1, look=look)
            times.append(1e3 * (time.perf_counter() - started))
        figures.append(
            Figure(
                f"ab: a gate on counts, {name}", statistics.median(times), 1.0, "ms", f"median of {_GATES}"
            )
        )
    return figures


MEASURES = (counts, big_table)
