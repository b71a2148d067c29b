"""Plant faults of known size into models that are simulated, and count how often the judges err.

    python -m benchmarks.robustness_selftest [--runs N] [--seed N]

False alarms are runs in which a model at the limit, or without a fault, fails; false passes are runs in which one at
the limit passes; both are bound by 5 %. Misses are runs in which a fault far over the limit does not fail. Coverage
is one-sided, with 20 variants an example. Every figure has its Monte Carlo error, three standard errors.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from random import Random
from typing import Any

import numpy as np
from scipy import special

from benchmarks.measuring import Share
from pytest_bugsle.robustness import bounds
from pytest_bugsle.robustness.baseline import not_worse_than
from pytest_bugsle.robustness.calibration import calibrated
from pytest_bugsle.robustness.confident import class_errors, confident_errors
from pytest_bugsle.robustness.determinism import deterministic
from pytest_bugsle.robustness.fairness import counterfactual, fair
from pytest_bugsle.robustness.judgement import Judgement
from pytest_bugsle.robustness.slices import weak_slices

ALPHA = 0.05
VARIANTS = 20


def clusters(chance: Any, runs: int, examples: int, rate: float, kind: str, size: float) -> Any:
    """Return flips by run and example, of VARIANTS each, by kind of cluster.

    beta: examples differ by a beta distribution with this correlation; part: examples flip at this rate or never;
    rare: this part of the rate is that of examples that flip always, the rest falls on all alike.
    """
    shape = (runs, examples)
    if kind == "beta":
        spread = (1 - size) / size
        return chance.binomial(VARIANTS, chance.beta(rate * spread, (1 - rate) * spread, size=shape))
    if kind == "part":
        return chance.binomial(VARIANTS, size, size=shape) * (chance.random(shape) < rate / size)
    always = rate * size
    others = chance.binomial(VARIANTS, (rate - always) / (1 - always), size=shape)
    return np.where(chance.random(shape) < always, VARIANTS, others)


KINDS = (
    ("beta", 0.02), ("beta", 0.1), ("beta", 0.3), ("beta", 0.8),
    ("part", 0.25), ("part", 1.0),
    ("rare", 0.25), ("rare", 0.5), ("rare", 0.75),
)  # fmt: skip
RATES = (0.005, 0.01, 0.02, 0.06, 0.2, 0.5)


def effective(rates: Any, unseen: int, fewest: int) -> Any:
    """Return the effective n of each run, as `flip_bound` has it, for all runs at once."""
    n, mean = rates.shape[1], rates.mean(axis=1)
    squares = ((rates - mean[:, None]) ** 2).sum(axis=1)
    off = np.maximum(mean, 1 - mean)
    worst = squares + off**2 * n * unseen / (n + unseen)
    made = np.clip(mean * (1 - mean) * n * (n - 1) / np.maximum(worst, 1e-300), n, n * VARIANTS)
    few = np.minimum((rates > 0).sum(axis=1), (rates < 1).sum(axis=1)) < bounds.FEWEST_FLIPPING
    return np.where(few | (n < fewest), n, made)


def coverage(runs: int, seed: int) -> Iterator[Share]:
    """Yield the worst one-sided coverage over kinds of clusters and rates, by rule and number of examples."""
    chance = np.random.default_rng(seed)
    naive = "all variants as independent (not used)"
    plain = "design effect with a floor on flipping examples alone (not used)"
    for examples in (50, 200):
        worst: dict[tuple[str, str], tuple[float, str]] = {}
        for (kind, size), rate in product(KINDS, RATES):
            if kind == "part" and rate > size:
                continue
            flips = clusters(chance, runs, examples, rate, kind, size)
            rates = flips / VARIANTS
            recommended = effective(rates, bounds.UNSEEN, bounds.FEWEST_FOR_DESIGN_EFFECT)
            for run in range(20):
                bound = bounds.flip_bound(flips[run].tolist(), [VARIANTS] * examples)
                assert abs(bound.effective_n - recommended[run]) < 1e-6 * examples, "not the rule that ships"
            trials = {
                "recommended rule": recommended,
                "examples as n": np.full(runs, float(examples)),
                naive: np.full(runs, float(examples * VARIANTS)),
                plain: effective(rates, 0, bounds.FEWEST_FOR_DESIGN_EFFECT),
            }
            for rule, n in trials.items():
                count = rates.mean(axis=1) * n
                # A bound covers the rate just where its test does not reject it.
                most = np.where(
                    count >= n, 1.0, special.betaincc(count + 1, np.maximum(n - count, 1e-9), rate)
                )
                least = np.where(
                    count <= 0, 1.0, special.betainc(np.maximum(count, 1e-9), n - count + 1, rate)
                )
                for side, p_value in (("upper", most), ("lower", least)):
                    share = float((p_value >= ALPHA).mean())
                    place = f"{kind} {size:g} at {rate:g}"
                    worst[rule, side] = min(worst.get((rule, side), (2.0, "")), (share, place))
        for (rule, side), (share, place) in worst.items():
            bound_of = 0.0 if "(not used)" in rule else 1 - ALPHA
            name = f"coverage, {examples} examples, {rule}, {side} bound, worst: {place}"
            yield Share(name, share, bound_of, 1.0, runs)


def _outcomes(runs: int, seed: int, judge: Callable[[Random], Judgement]) -> Counter[str]:
    return Counter(judge(_chance(seed * 1_000_003 + run)).outcome for run in range(runs))


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311  # a simulation keeps no secret


def calibration(random: Random, n: int, off: float) -> Judgement:
    """Judge a model that is too sure by `off` everywhere."""
    chances = [random.uniform(0.6, 1) for _ in range(n)]
    labels = [int(random.random() < chance - off) for chance in chances]
    return calibrated(chances, labels, uniform=random.random, max_excess=0.05, resamples=200)


def one_bin(random: Random, n: int, off: float) -> Judgement:
    """Judge a model that is too sure in its surest fifth alone, by five times `off`."""
    chances = [random.uniform(0.6, 1) for _ in range(n)]
    labels = [int(random.random() < chance - 5 * off * (chance > 0.92)) for chance in chances]
    return calibrated(chances, labels, uniform=random.random, max_excess=0.05, resamples=200)


def confident(random: Random, n: int, rate: float) -> Judgement:
    """Judge a model whose sure answers are wrong at a rate."""
    return confident_errors([0.99] * n, [int(random.random() >= rate) for _ in range(n)], max_rate=0.02)


def classes(random: Random, n: int, extra: float) -> Judgement:
    """Judge a model that takes the first class for the second more often than it errs elsewhere."""
    labels = [random.choice("abcde") for _ in range(n)]
    predicted = [
        "b"
        if label == "a" and random.random() < extra
        else random.choice("abcde".replace(label, ""))
        if random.random() < 0.1
        else label
        for label in labels
    ]
    found = class_errors(predicted, labels)
    return Judgement("classes", "fail" if found else "pass", n, ("",))


def slices(random: Random, n: int, extra: float) -> Judgement:
    """Judge a model that errs in 8 %, and by `extra` more where two columns meet."""
    by = {name: [random.choice(values) for _ in range(n)] for name, values in COLUMNS.items()}
    correct = [
        random.random() > 0.08 + extra * (one == "a" and other == "x")
        for one, other in zip(by["device"], by["plan"], strict=True)
    ]
    return weak_slices(correct, by, predefined=["market"])


COLUMNS = {"device": "abc", "plan": "xy", "market": "123456", "age": "pqrs"}


def fairness(random: Random, n: int, extra: float, groups: str = "abc") -> Judgement:
    """Judge a model that errs in 10 %, and by `extra` more on the last group."""
    group = [random.choice(groups) for _ in range(n)]
    labels = [random.randrange(2) for _ in range(n)]
    predicted = [
        1 - label if random.random() < 0.1 + extra * (one == groups[-1]) else label
        for one, label in zip(group, labels, strict=True)
    ]
    return fair(group, predicted, labels, max_gap=0.05)


def swaps(random: Random, templates: int, rate: float) -> Judgement:
    """Judge a model that answers one group otherwise in some templates, in all of their 8 fillings."""
    names, answers = [], []
    for place in range(templates):
        odd = random.random() < rate
        for _ in range(8):
            names.append(f"t{place}")
            answers.append({"a": "pos", "b": "neg" if odd else "pos"})
    return counterfactual(names, answers, max_rate=0.05)


def baseline(random: Random, n: int, loss: float) -> Judgement:
    """Judge a model that wins 3 % of the answers and loses by `loss` more."""
    draws = [random.random() for _ in range(n)]
    now = [int(draw >= 0.03 + loss) for draw in draws]
    then = [int(not 0.03 + loss <= draw < 0.06 + loss) for draw in draws]
    return not_worse_than(now, then, [1] * n, margin=0.02)


def repeats(random: Random, n: int, rate: float) -> Judgement:
    """Judge a model that answers otherwise on a second call at a rate."""
    return deterministic(
        ["a"] * n, {"second call": ["b" if random.random() < rate else "a" for _ in range(n)]}
    )


def figures(runs: int, seed: int) -> Iterator[Share]:
    """Yield every figure: the judge, the planted size, and the share of runs."""
    yield from coverage(runs * 20, seed)
    # What is quick to judge is judged more often.
    few, many = max(100, runs // 2), runs * 5
    planted: tuple[tuple[str, Callable[[Random], Judgement], str, float, bool, int], ...] = (
        ("calibration 1,000, at the limit 0.05, fails", lambda r: calibration(r, 1000, 0.05), "fail", ALPHA, False, few),
        ("calibration 1,000, at the limit 0.05, passes", lambda r: calibration(r, 1000, 0.05), "pass", ALPHA, False, few),
        ("calibration 1,000, one bin at the limit, fails", lambda r: one_bin(r, 1000, 0.05), "fail", ALPHA, False, few),
        ("calibration 1,000, one bin at the limit, passes", lambda r: one_bin(r, 1000, 0.05), "pass", ALPHA, False, few),
        ("calibration 300, no fault, fails", lambda r: calibration(r, 300, 0.0), "fail", ALPHA, False, few),
        ("calibration 1,000, off by 0.15, found", lambda r: calibration(r, 1000, 0.15), "fail", 0.9, True, few),
        ("calibration 2,000, no fault, passes", lambda r: calibration(r, 2000, 0.0), "pass", 0.9, True, few),
        ("confident errors 500, at the limit 2 %, fails", lambda r: confident(r, 500, 0.02), "fail", ALPHA, False, many),
        ("confident errors 500, at the limit 2 %, passes", lambda r: confident(r, 500, 0.02), "pass", ALPHA, False, many),
        ("confident errors 500, rate 6 %, found", lambda r: confident(r, 500, 0.06), "fail", 0.9, True, many),
        ("class errors 500, even, named", lambda r: classes(r, 500, 0.0), "fail", ALPHA, False, runs),
        ("class errors 500, 30 points more, named", lambda r: classes(r, 500, 0.3), "fail", 0.9, True, runs),
        ("slices 1,200, even, fails", lambda r: slices(r, 1200, 0.0), "fail", ALPHA, False, runs),
        ("slices 1,200, a sixth errs by 35 points more, found", lambda r: slices(r, 1200, 0.35), "fail", 0.9, True, runs),
        ("fairness 3 groups of 500, gap 5 points, fails", lambda r: fairness(r, 1500, 0.05), "fail", ALPHA, False, runs),
        ("fairness 3 groups of 500, gap 5 points, passes", lambda r: fairness(r, 1500, 0.05), "pass", ALPHA, False, runs),
        ("fairness 8 groups of 100, even, fails", lambda r: fairness(r, 800, 0.0, "abcdefgh"), "fail", ALPHA, False, few),
        ("fairness 3 groups of 500, gap 20 points, found", lambda r: fairness(r, 1500, 0.2), "fail", 0.9, True, runs),
        ("swaps 200 templates, at the limit 5 %, fails", lambda r: swaps(r, 200, 0.05), "fail", ALPHA, False, many),
        ("swaps 200 templates, at the limit 5 %, passes", lambda r: swaps(r, 200, 0.05), "pass", ALPHA, False, many),
        ("swaps 200 templates, rate 15 %, found", lambda r: swaps(r, 200, 0.15), "fail", 0.9, True, many),
        ("baseline 1,000, loss at the margin 2 points, fails", lambda r: baseline(r, 1000, 0.02), "fail", ALPHA, False, many),
        ("baseline 1,000, loss at the margin 2 points, passes", lambda r: baseline(r, 1000, 0.02), "pass", ALPHA, False, many),
        ("baseline 1,000, loss 6 points, found", lambda r: baseline(r, 1000, 0.06), "fail", 0.9, True, many),
        ("determinism 300, 1 % differ, found", lambda r: repeats(r, 300, 0.01), "fail", 0.9, True, many),
        ("determinism 300, none differ, fails", lambda r: repeats(r, 300, 0.0), "fail", 0.0, False, many),
    )  # fmt: skip
    for name, judge, outcome, bound, least, times in planted:
        low, high = (bound, 1.0) if least else (0.0, bound)
        yield Share(name, _outcomes(times, seed, judge)[outcome] / times, low, high, times)


def main() -> int:
    """Print the figures; exit 1 when one is beyond its bound and its error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    held = True
    for figure in figures(options.runs, options.seed):
        held = held and figure.held
        word = "held " if figure.held else "WRONG"
        asked = f">= {figure.low:g}" if figure.low else f"<= {figure.high:g}"
        print(
            f"{word} {figure.name}: {figure.value:.4f} ({asked}, ±{figure.error:.4f}, {figure.runs:,} runs)",
            flush=True,
        )
    return int(not held)


if __name__ == "__main__":
    raise SystemExit(main())
