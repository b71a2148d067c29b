"""Simulate A/B tests and count how often the experiment room errs.

    python -m benchmarks.experiment_calibration [--runs N] [--only WORD]

Every figure has its Monte Carlo error: three standard errors of a share. One that is to lie at 0.05 at most, or
between 0.045 and 0.055, is judged by its estimate within that error. Exact tests are conservative by nature, so
theirs is printed and bound from above alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from math import ceil, sqrt
from typing import Any

import numpy as np

from benchmarks.measuring import Share as Figure
from pytest_bugsle.experiment import calibration, cuped, dealing, means, ratios, simpson, srm
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.evidence import Evidence
from pytest_bugsle.experiment.judging import judge_proportions
from pytest_bugsle.experiment.looks import Memory, PastLook, look_of
from pytest_bugsle.experiment.proportions import evidence_of
from pytest_bugsle.experiment.sequential import look_at
from pytest_bugsle.stats import proportions, sizes, spending
from pytest_bugsle.stats.moments import Moments, PairedMoments

ALPHA = 0.05


def figures(runs: int, rng: Any, only: str = "") -> Iterator[Figure]:
    """Yield every figure, or those of the groups whose name holds a word."""
    few = max(200, runs // 5)
    for group in (
        exact_sizes,
        shares_alone,
        means_alone,
        coverage_of_shares,
        coverage_of_means,
        peeking,
        gates_at_every_look,
        trust,
        power,
        dealt_anew,
    ):
        if only in group.__name__:
            yield from group(runs, few, rng)


def _drawn(rng: Any, n: int, shares: tuple[float, float], runs: int) -> Iterator[Evidence]:
    """Yield counts of both arms; the same counts give the same evidence, which is made once."""
    kept: dict[tuple[int, int], Evidence] = {}
    for c, t in zip(rng.binomial(n, shares[0], runs), rng.binomial(n, shares[1], runs), strict=True):
        key = (int(c), int(t))
        if key not in kept:
            kept[key] = evidence_of((key[0], n), (key[1], n))
        yield kept[key]


EXACT = 10**12
"""So many runs is a figure that was counted out."""


def exact_sizes(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield the least and the largest size of the pooled z test over shares with 20 expected or more, counted out.

    With few units and a share of one half the counts lie on a lattice so coarse that no test without chance of its
    own is nearer: of 40 against 40 the next critical value has a size of 0.0415.
    """
    for n in (40, 50, 60, 80, 100, 150, 200, 400, 1000, 2000):
        found = [_exact_size(n, share) for share in np.linspace(20 / n, 0.5, 40)]
        most = 0.055 if n >= 200 else 0.057
        for which, value in (("least", min(found)), ("largest", max(found))):
            yield Figure(
                f"A/A, pooled z, exact size, n {n:,}, {which} of all shares", value, 0.045, most, EXACT
            )


def _exact_size(n: int, share: float) -> float:
    from scipy import stats

    at = np.arange(n + 1)
    pooled = (at[:, None] + at[None, :]) / (2 * n)
    off = (at[None, :] - at[:, None]) / n
    rejected = off**2 > proportions.normal_quantile(1 - ALPHA / 2) ** 2 * pooled * (1 - pooled) * 2 / n
    chance = stats.binom.pmf(at, n, share)
    return float(chance @ rejected @ chance)


def shares_alone(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often equal shares are found to differ: as drawn, and where a cell is small."""
    for share, n in ((0.5, 60), (0.5, 1000), (0.1, 200), (0.1, 5000), (0.01, 2500), (0.02, 50_000)):
        wrong = [one.test_p < ALPHA for one in _drawn(rng, n, (share, share), runs)]
        yield Figure(
            f"A/A, pooled z, share {share}, n {n:,} ({share * n:,.0f} expected)",
            float(np.mean(wrong)),
            0.045,
            0.055,
            runs,
        )
    for share, n in ((0.02, 100), (0.01, 300), (0.1, 40)):
        drawn = list(_drawn(rng, n, (share, share), few))
        yield Figure(
            f"A/A, Fisher's exact test or pooled z, share {share}, n {n}",
            float(np.mean([one.test_p < ALPHA for one in drawn])),
            0.0,
            0.055,
            few,
        )


#: Metrics that a shop has: how to draw n of them.
DRAWS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("normal", lambda rng, size: rng.normal(5, 2, size)),
    ("exponential", lambda rng, size: rng.exponential(3, size)),
    ("revenue, 10 % paying", lambda rng, size: rng.lognormal(1, 1, size) * (rng.random(size) < 0.1)),
    ("events, Poisson .3", lambda rng, size: rng.poisson(0.3, size).astype(float)),
)


def means_alone(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often Welch's test, the delta method and CUPED find what is not there."""
    for name, draw in DRAWS:
        wrong = [
            means.evidence_of(_moments(c), _moments(t)).test_p < ALPHA
            for c, t in _arms(rng, draw, 2000, runs)
        ]
        yield Figure(f"A/A, Welch, {name}, n 2,000", float(np.mean(wrong)), 0.045, 0.055, runs)
    wrong = [
        means.evidence_of(_moments(rng.normal(0, 3, 50)), _moments(rng.normal(0, 1, 500))).test_p < ALPHA
        for _ in range(runs)
    ]
    yield Figure("A/A, Welch, n 50 and 500, deviations 3 and 1", float(np.mean(wrong)), 0.045, 0.055, runs)
    wrong = [
        means.evidence_of(*(_ratio(rng, 1.0) for _ in range(2)), kind="ratio").test_p < ALPHA
        for _ in range(runs)
    ]
    yield Figure("A/A, ratio of correlated rows, 1,000 users", float(np.mean(wrong)), 0.045, 0.055, runs)
    wrong = []
    for _ in range(runs):
        made = cuped.adjust(*(_with_covariate(rng, 1.0, 500) for _ in range(2)))
        wrong.append(means.evidence_of(made.control, made.treatment, contrast=made.contrast).test_p < ALPHA)
    yield Figure("A/A, CUPED, correlation .98, n 500", float(np.mean(wrong)), 0.045, 0.055, runs)


def _arms(rng: Any, draw: Callable[[Any, Any], Any], n: int, runs: int) -> Iterator[tuple[Any, Any]]:
    block = max(1, 400_000 // n)
    for start in range(0, runs, block):
        many = min(block, runs - start)
        yield from zip(draw(rng, (many, n)), draw(rng, (many, n)), strict=True)


def _moments(values: Any) -> Moments:
    return Moments(len(values), float(values.mean()), float(((values - values.mean()) ** 2).sum()))


def _pair(y: Any, x: Any) -> PairedMoments:
    return PairedMoments(_moments(y), _moments(x), float(((y - y.mean()) * (x - x.mean())).sum()))


def _with_covariate(rng: Any, lift: float, n: int) -> PairedMoments:
    x = rng.normal(10, 5, n)
    return _pair(lift * (x + rng.normal(0, 1, n)), x)


def _ratio(rng: Any, lift: float, users: int = 1000) -> Moments:
    """Return clicks per view of users who differ in both."""
    views = 1 + rng.poisson(5, users)
    rates = np.clip(lift * rng.beta(2, 8, users), 0, 1)
    return ratios.linearised(_pair(rng.binomial(views, rates).astype(float), views.astype(float)))


def coverage_of_shares(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often the intervals of shares hold what is true."""
    for c, t, n in ((0.1, 0.12, 500), (0.3, 0.4, 30), (0.02, 0.03, 200), (0.5, 0.5, 1000)):
        kept: dict[int, tuple[bool, bool]] = {}
        held = []
        for one in _drawn(rng, n, (c, t), runs):
            if id(one) not in kept:
                low, high = one.interval(ALPHA)
                lift = one.lift_interval(ALPHA)
                kept[id(one)] = (
                    low <= t - c <= high,
                    lift is None or lift[0] <= t / c - 1 <= lift[1],
                )
            held.append(kept[id(one)])
        first, second = (float(np.mean(column)) for column in zip(*held, strict=True))
        yield Figure(f"coverage, score interval, {c} and {t}, n {n:,}", first, 0.94, 1, runs)
        yield Figure(f"coverage, Katz' lift, {c} and {t}, n {n:,}", second, 0.94, 1, runs)


def coverage_of_means(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often the intervals of means, ratios and lifts hold what is true; a lift of half counts most."""
    good = lifts = 0
    for c, t in _arms(rng, lambda rng, size: rng.exponential(3, size), 1000, runs):
        found = means.evidence_of(_moments(c), _moments(1.1 * t))
        low, high = found.interval(ALPHA)
        good += low <= 0.3 <= high
        bounds = found.lift_interval(ALPHA)
        assert bounds is not None
        lifts += bounds[0] <= 0.1 <= bounds[1]
    yield Figure("coverage, Welch, exponential +10 %, n 1,000", good / runs, 0.945, 0.955, runs)
    yield Figure("coverage, Fieller's lift, exponential +10 %, n 1,000", lifts / runs, 0.945, 0.955, runs)
    good = lifts = 0
    for _ in range(runs):
        found = means.evidence_of(_ratio(rng, 1.0), _ratio(rng, 1.1), kind="ratio")
        low, high = found.interval(ALPHA)
        # Shares cut off at 1 lose next to nothing of the mean: Beta(2, 8) is over 1/1.1 once in 10^8.
        good += low <= 0.02 <= high
        bounds = found.lift_interval(ALPHA)
        lifts += bounds is not None and bounds[0] <= 0.1 <= bounds[1]
    yield Figure("coverage, delta method, ratio +10 %, 1,000 users", good / runs, 0.945, 0.955, runs)
    yield Figure("coverage, Fieller's lift, ratio +10 %, 1,000 users", lifts / runs, 0.945, 0.955, runs)
    good = lifts = 0
    for _ in range(runs):
        made = cuped.adjust(_with_covariate(rng, 1.0, 200), _with_covariate(rng, 1.5, 200))
        found = means.evidence_of(made.control, made.treatment, contrast=made.contrast)
        low, high = found.interval(ALPHA)
        good += low <= 5 <= high
        bounds = found.lift_interval(ALPHA)
        lifts += bounds is not None and bounds[0] <= 0.5 <= bounds[1]
    yield Figure("coverage, CUPED difference, +50 %, n 200", good / runs, 0.94, 0.96, runs)
    yield Figure("coverage, CUPED lift, +50 %, n 200", lifts / runs, 0.94, 0.96, runs)


def peeking(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often a mean without effect is found at any look, in standard errors of the sum so far."""
    runs *= 5
    planned = 10_000
    plan = Design(mde=0.1, baseline=0.1)
    for looks in (5, 20, 50):
        at = np.arange(1, looks + 1)
        z = np.abs(rng.normal(size=(runs, looks)).cumsum(axis=1) / np.sqrt(at))
        levels = [look_at(plan, (n, n), (planned, planned), None).alpha for n in (at * planned // looks)]
        kinds: list[tuple[str, list[float], float]] = [
            ("the same p-value each time (to compare)", [1.959964] * looks, 1.0),
            ("always-valid", [-proportions.normal_quantile(level / 2) for level in levels], 0.05),
        ]
        for name in ("obrien-fleming", "pocock", "power"):
            kinds.append((f"{name} spending", spending.bounds(list(at / looks), ALPHA, name), 0.055))  # type: ignore[arg-type]
        for name, bounds, most in kinds:
            wrong = float((z > np.array(bounds)).any(axis=1).mean())
            yield Figure(f"peeking {looks} times, {name}", wrong, 0, most, runs)


def gates_at_every_look(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often counts without an effect leave 0 out of the gate's interval at any of several looks."""
    fewer = max(100, runs // 20)
    for looks in (5, 20, 50):
        for how in ("obrien-fleming", "pocock", "always"):
            most = 0.05 if how == "always" else 0.055
            wrong = sum(_is_found(rng, looks, how) for _ in range(fewer))
            yield Figure(f"gate, {looks} looks at growing counts, {how}", wrong / fewer, 0, most, fewer)


def _is_found(rng: Any, looks: int, how: str) -> bool:
    """Say whether any look finds what is not there: through the gate itself, as runs of CI look.

    The looks are at shares of the plan that chance chooses, with what a ledger remembers; `how` is a spending
    function, or "always" for no ledger. The planned size comes from the data: 20 % and 24 % need 1,683 an arm.
    """
    past: list[PastLook] = []
    memory = None if how == "always" else Memory("peeking", lambda _: past)
    design: dict[str, Any] = {"mde": 0.2} if how == "always" else {"mde": 0.2, "spending": how}
    days = np.sort(rng.choice(np.arange(1, 70), looks - 1, replace=False))
    counts, before = [0, 0], 0
    for number, end in enumerate([int(day) * 25 for day in [*days, 70]], start=1):
        counts = [count + int(rng.binomial(end - before, 0.2)) for count in counts]
        before = end
        made = judge_proportions((counts[0], end), (counts[1], end), past=memory, **design)
        assert made.interval is not None
        if made.interval[0] > 0 or made.interval[1] < 0:
            return True
        look = look_of(made, metric="metric", number=number, at=f"{number:04d}")
        if look is not None:
            past.append(look)
    return False


def trust(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often the checks cry wolf."""
    total = rng.binomial(100_000, 0.5, runs)
    fired = [srm.p_value([int(n), 100_000 - int(n)], [1, 1]) < srm.ALPHA for n in total]
    yield Figure(
        "sample-ratio mismatch flagged, designed split, level .001", float(np.mean(fired)), 0, 0.001, runs
    )
    for name, mixed in (("random mix", True), ("the same mix", False)):
        flagged = 0
        for _ in range(runs):
            segments = []
            for base in rng.uniform(0.05, 0.3, 5):
                c, t = (int(n) for n in rng.poisson(1000, 2)) if mixed else (1000, 1000)
                segments.append(((int(rng.binomial(c, base)), c), (int(rng.binomial(t, base * 1.05)), t)))
            flagged += simpson.examine(segments).reversed
        yield Figure(f"Simpson's paradox flagged, +5 % everywhere, {name}", flagged / runs, 0, 0.01, runs)
    flagged = 0
    for _ in range(few):
        segments_of_means = [
            tuple(_moments(rng.exponential(base, int(rng.poisson(500)))) for _ in range(2))
            for base in rng.uniform(1, 3, 5)
        ]
        flagged += simpson.examine_means(segments_of_means).reversed  # type: ignore[arg-type]
    yield Figure("Simpson's paradox flagged, means without effect", flagged / few, 0, 0.01, few)


def power(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often a planned effect is shown at the planned size."""
    for c, t in ((0.1, 0.12), (0.2, 0.25), (0.02, 0.025)):
        n = ceil(sizes.shares_size(c, t))
        plan = Design(mde_difference=t - c, baseline=c, look="final")
        found = [made.test_p < ALPHA and made.effect > 0 for made in _drawn(rng, n, (c, t), runs)]
        assert plan.planned_difference(c) is not None
        yield Figure(
            f"power as designed (.80), {c} and {t}, n {n:,}", float(np.mean(found)), 0.79, 0.81, runs
        )
    n = ceil(sizes.shares_size(0.1, 0.1, margin=-0.015, sides=1))
    found = [made.interval(2 * ALPHA)[0] > -0.015 for made in _drawn(rng, n, (0.1, 0.1), few)]
    yield Figure(
        f"power of non-inferiority (.80), margin 1.5 points, n {n:,}",
        float(np.mean(found)),
        0.785,
        0.815,
        few,
    )
    n = ceil(sizes.means_size(0.5, 4.0, 4.0))
    found = [
        means.evidence_of(_moments(c), _moments(t + 0.5)).test_p < ALPHA
        for c, t in _arms(rng, lambda rng, size: rng.normal(10, 4, size), n, few)
    ]
    yield Figure(f"power as designed (.80), means, n {n:,}", float(np.mean(found)), 0.785, 0.815, few)
    shares = np.arange(1, 6) / 5
    bounds = np.array(spending.bounds(list(shares), ALPHA))
    drift = proportions.normal_quantile(0.975) + proportions.normal_quantile(0.8)
    z = rng.normal(size=(runs, 5)).cumsum(axis=1) / np.sqrt(np.arange(1, 6)) + drift * np.sqrt(shares)
    found = (z > bounds).any(axis=1)
    yield Figure(
        "power at 5 looks, O'Brien-Fleming, planned for one", float(np.mean(found)), 0.78, 0.81, runs
    )


def dealt_anew(runs: int, few: int, rng: Any) -> Iterator[Figure]:
    """Yield how often `--bugsle-aa 1000` doubts a metric that is sound, and one whose rows are no units."""
    tables = max(100, min(1000, runs // 50))
    for name, draw in DRAWS:
        fired = 0
        for _ in range(tables):
            y = draw(rng, 8000)
            groups = dealing.groups_of_values((y[:4000], ()), (y[4000:], ()), ratio=False)
            seed = int(rng.integers(1 << 30))
            fired += calibration.calibrated(groups, (4000, 4000), 1000, seed=seed).outcome != "pass"
        yield Figure(f"dealt anew 1,000 times: sound metric doubted, {name}", fired / tables, 0, 0.01, tables)
    for correlation, least in ((0.1, 0.5), (0.3, 0.99)):
        fired = 0
        for _ in range(tables):
            users = np.repeat(np.arange(500), 1 + rng.poisson(4, 500))
            own = rng.normal(0, sqrt(correlation), 500)
            y = own[users] + rng.normal(0, sqrt(1 - correlation), len(users))
            groups = calibration.Groups(
                sums=_by_user(users, y),
                centre=(0.0, 1.0, 0.0),
                kind="mean",
                adjusted=False,
                clusters="user_id",
            )
            seed = int(rng.integers(1 << 30))
            fired += calibration.calibrated(groups, (1, 1), 1000, seed=seed).outcome != "pass"
        yield Figure(
            f"dealt anew 1,000 times: rows of users found out, correlation {correlation}",
            fired / tables,
            least,
            1,
            tables,
        )


def _by_user(users: Any, y: Any) -> Any:
    zeros = np.zeros(len(y))
    columns = (np.ones(len(y)), y, zeros, zeros, y * y, zeros, zeros, zeros, zeros, zeros)
    return np.column_stack([np.bincount(users, weights=column) for column in columns])


def main() -> int:
    """Print the figures; exit 1 when one is beyond its bound and its error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", default="", help="the groups of figures whose name holds this word, such as peeking"
    )
    options = parser.parse_args()
    held = True
    started = time.perf_counter()
    for figure in figures(options.runs, np.random.default_rng(options.seed), options.only):
        held = held and figure.held
        word = "held " if figure.held else "WRONG"
        sure = "exact" if figure.runs == EXACT else f"±{figure.error:.4f}, {figure.runs:,} runs"
        print(f"{word} {figure.name}: {figure.value:.4f} ({sure})", flush=True)
    print(f"{time.perf_counter() - started:.0f} s")
    return int(not held)


if __name__ == "__main__":
    raise SystemExit(main())
