"""Simulate A/B tests of arms that do not differ, by quantiles, ranks and resampled means.

    python -m benchmarks.experiment_tails [--runs N]

How often an interval of 95 % leaves 0 out, with three standard errors. Never more than 5.5 % but for resampled means of
long tails in arms of unequal size, where Welch's test, printed beside them, errs more. Equivalence is
that of arms that differ by just the margin.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from pytest_bugsle.experiment import means
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.outcome import judge
from pytest_bugsle.stats import mann_whitney, quantiles, resampling
from pytest_bugsle.stats.means import welch
from pytest_bugsle.stats.moments import Moments

Draw = Callable[[Any, int], Any]
Z = 1.959964

KINDS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "log-normal": lambda rng, n: rng.lognormal(0, 1, n),
    "long tail": lambda rng, n: rng.lognormal(0, 1.5, n),
    "nine of ten are 0": lambda rng, n: (rng.random(n) < 0.1) * rng.lognormal(0, 1, n),
}


def leaves_out(interval: tuple[float, float] | None) -> bool:
    """Say whether an interval leaves 0 out; none leaves nothing out."""
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def by_quantile(q: float) -> Callable[[Any, Any], bool]:
    """Return the test of a quantile."""

    def test(control: Any, treatment: Any) -> bool:
        arms = [quantiles.of_sorted(np.sort(arm).tolist(), q) for arm in (control, treatment)]
        return leaves_out(quantiles.difference_limits(arms[0], arms[1], Z))

    return test


def by_rank(control: Any, treatment: Any) -> bool:
    """Test the shift."""
    return leaves_out(mann_whitney.Ranked.of(control, treatment).interval(0.05))


def by_resamples(control: Any, treatment: Any) -> bool:
    """Test the resampled mean."""
    return leaves_out(resampling.difference(*resampling.draws_of(control, treatment, 1999)).interval(0.05))


def by_welch(control: Any, treatment: Any) -> bool:
    """Test the mean."""
    return leaves_out(welch(Moments.of(control), Moments.of(treatment)).interval(0.05))


def equivalent(rng: Any, runs: int) -> float:
    """Return how often arms that differ by the margin pass as equivalent."""
    passed = 0
    for _ in range(runs):
        arms = [Moments.of(rng.normal(mean, 1, 500)) for mean in (0.0, 0.2)]
        design = Design(equivalence_difference=0.2, look="final", deviation=0.4)
        passed += judge(means.evidence_of(arms[0], arms[1]), design).outcome == "pass"
    return passed / runs


def main() -> None:
    """Print each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(20261122)
    plans: list[tuple[str, Callable[[Any, Any], bool], str, int, int]] = []
    for kind in ("normal", "log-normal"):
        plans += [("median", by_quantile(0.5), kind, n, n) for n in (50, 200, 1000)]
        plans += [("0.95 quantile", by_quantile(0.95), kind, n, n) for n in (200, 1000)]
        plans += [("ranks", by_rank, kind, n, n) for n in (50, 200)]
    for kind in ("long tail", "nine of ten are 0"):
        for sizes in ((200, 200), (100, 500), (500, 100)):
            plans += [("resampled mean", by_resamples, kind, *sizes), ("Welch", by_welch, kind, *sizes)]
    for name, test, kind, n_c, n_t in plans:
        wrong = sum(test(KINDS[kind](rng, n_c), KINDS[kind](rng, n_t)) for _ in range(runs)) / runs
        print(
            f"{name}, {kind}, {n_c} and {n_t}: {wrong:.4f} ({3 * sqrt(0.05 * 0.95 / runs):.4f})", flush=True
        )
    print(f"equivalence at the margin: {equivalent(rng, runs):.4f} ({3 * sqrt(0.05 * 0.95 / runs):.4f})")


if __name__ == "__main__":
    main()
