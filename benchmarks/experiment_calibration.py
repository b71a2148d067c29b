"""Simulate A/B tests and count how often the experiment room errs.

    python -m benchmarks.experiment_calibration [--runs N]

Every figure has its Monte Carlo error: three standard errors of a share at its bound. Exact tests are conservative
by nature, so theirs is printed and bound from above alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from pytest_bugsle.experiment import cuped, means, simpson
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.proportions import evidence_of
from pytest_bugsle.experiment.sequential import look_at
from pytest_bugsle.stats import sizes, spending
from pytest_bugsle.stats.moments import Moments, PairedMoments

ALPHA = 0.05


class Figure(NamedTuple):
    """A share of runs, the bounds it is to keep, and the number of runs."""

    name: str
    value: float
    low: float
    high: float
    runs: int

    @property
    def error(self) -> float:
        """Three standard errors."""
        return 3 * sqrt(max(self.value * (1 - self.value), 1 / self.runs) / self.runs)

    @property
    def held(self) -> bool:
        """Say whether it is within its bounds, but for chance."""
        return self.low - self.error <= self.value <= self.high + self.error


def figures(runs: int, rng: Any) -> Iterator[Figure]:
    """Yield every figure."""
    for share, n in ((0.1, 5000), (0.01, 2500), (0.5, 60), (0.02, 100)):
        wrong = [
            evidence_of((int(c), n), (int(t), n)).test_p < ALPHA
            for c, t in zip(rng.binomial(n, share, runs), rng.binomial(n, share, runs), strict=True)
        ]
        small = share * n < 5
        low = 0.0 if small else 0.045
        kind = "Fisher's exact test" if small else "pooled z"
        yield Figure(f"A/A, {kind}, share {share}, n {n}", float(np.mean(wrong)), low, 0.055, runs)
    few = max(200, runs // 5)
    yield Figure(
        "coverage, score interval, .10 and .12, n 500", _covered(few, rng, 500, "interval"), 0.94, 1, few
    )
    yield Figure("coverage, Katz, .10 and .12, n 500", _covered(few, rng, 500, "lift_interval"), 0.94, 1, few)
    for name, draw in (
        ("normal", lambda n: rng.normal(5, 2, n)),
        ("revenue, 10 % paying", lambda n: rng.lognormal(1, 1, n) * (rng.random(n) < 0.1)),
    ):
        yield Figure(f"A/A, Welch, {name}, n 2000", _means_errors(few, draw), 0.045, 0.055, few)
    for what, value in _cuped(few, rng).items():
        yield Figure(what, value, 0.94, 0.96, few)
    for looks in (5, 20, 50):
        yield Figure(
            f"peeking {looks} times, spending", _peeking(runs, rng, looks, "spending"), 0, 0.055, runs
        )
        yield Figure(
            f"peeking {looks} times, always-valid", _peeking(runs, rng, looks, "always"), 0, 0.05, runs
        )
        yield Figure(
            f"peeking {looks} times, the same p-value each time",
            _peeking(runs, rng, looks, "naive"),
            0,
            1,
            runs,
        )
    yield Figure("Simpson's paradox flagged, plain +5 %, random mix", _simpson(few, rng), 0, 0.01, few)
    n = int(np.ceil(sizes.shares_size(0.1, 0.12)))
    found = [
        evidence_of((int(c), n), (int(t), n)).test_p < ALPHA
        for c, t in zip(rng.binomial(n, 0.1, few), rng.binomial(n, 0.12, few), strict=True)
    ]
    yield Figure(f"power as designed (.80), .10 and .12, n {n}", float(np.mean(found)), 0.79, 0.81, few)


def _covered(runs: int, rng: Any, n: int, method: str) -> float:
    true = 0.02 if method == "interval" else 0.2
    good = 0
    for c, t in zip(rng.binomial(n, 0.1, runs), rng.binomial(n, 0.12, runs), strict=True):
        low, high = getattr(evidence_of((int(c), n), (int(t), n)), method)(ALPHA)
        good += low <= true <= high
    return good / runs


def _moments(values: Any) -> Moments:
    return Moments(len(values), float(values.mean()), float(((values - values.mean()) ** 2).sum()))


def _means_errors(runs: int, draw: Callable[[int], Any]) -> float:
    wrong = sum(
        means.evidence_of(_moments(draw(2000)), _moments(draw(2000))).test_p < ALPHA for _ in range(runs)
    )
    return wrong / runs


def _pair(y: Any, x: Any) -> PairedMoments:
    return PairedMoments(_moments(y), _moments(x), float(((y - y.mean()) * (x - x.mean())).sum()))


def _cuped(runs: int, rng: Any) -> dict[str, float]:
    """Cover a lift of half with few units: where the common error of both arms counts."""
    good = lifts = 0
    for _ in range(runs):
        arms = []
        for lift in (1.0, 1.5):
            x = rng.normal(10, 5, 200)
            arms.append(_pair(lift * (x + rng.normal(0, 1, 200)), x))
        made = cuped.adjust(arms[0], arms[1])
        found = means.evidence_of(made.control, made.treatment, contrast=made.contrast)
        low, high = found.interval(ALPHA)
        good += low <= 5 <= high
        bounds = found.lift_interval(ALPHA)
        assert bounds is not None
        lifts += bounds[0] <= 0.5 <= bounds[1]
    return {
        "coverage, CUPED difference, lift +50 %, n 200": good / runs,
        "coverage, CUPED lift +50 %, n 200": lifts / runs,
    }


def _peeking(runs: int, rng: Any, looks: int, how: str) -> float:
    """Return how often a mean without effect is found at any look, in standard errors of the sum so far."""
    steps = rng.normal(size=(runs, looks)).cumsum(axis=1)
    at = np.arange(1, looks + 1)
    z = np.abs(steps / np.sqrt(at))
    planned = 10_000
    if how == "spending":
        bounds = spending.bounds(list(at / looks), ALPHA)
    elif how == "always":
        plan = Design(mde=0.1, baseline=0.1)
        levels = [look_at(plan, (n, n), (planned, planned), None).alpha for n in (at * planned // looks)]
        bounds = [-spending.normal_quantile(level / 2) for level in levels]
    else:
        bounds = [1.959964] * looks
    return float((z > np.array(bounds)).any(axis=1).mean())


def _simpson(runs: int, rng: Any) -> float:
    flagged = 0
    for _ in range(runs):
        segments = []
        for base in rng.uniform(0.05, 0.3, 5):
            c, t = (int(n) for n in rng.poisson(1000, 2))
            segments.append(((int(rng.binomial(c, base)), c), (int(rng.binomial(t, base * 1.05)), t)))
        flagged += simpson.examine(segments).reversed
    return flagged / runs


def main() -> int:
    """Print the figures; exit 1 when one is beyond its bound and its error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    held = True
    for figure in figures(options.runs, np.random.default_rng(options.seed)):
        held = held and figure.held
        word = "held " if figure.held else "WRONG"
        print(f"{word} {figure.name}: {figure.value:.4f} (±{figure.error:.4f}, {figure.runs:,} runs)")
    return int(not held)


if __name__ == "__main__":
    raise SystemExit(main())
