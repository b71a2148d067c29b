"""Adjusted p-values of a family of tests; scipy has those for the false discovery rate.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_bugsle.stats.binomial import check_rate


def _check(p_values: Sequence[float]) -> list[int]:
    for place, value in enumerate(p_values):
        check_rate(f"p_values[{place}]", value)
    return sorted(range(len(p_values)), key=lambda place: p_values[place])


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values: rejecting those up to alpha keeps the chance of any false one at alpha.

    The i-th smallest of m times m - i + 1, and never below one before it. Source: S. Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    order = _check(p_values)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Return each p-value times their number, at most 1."""
    _check(p_values)
    return [min(1.0, len(p_values) * value) for value in p_values]


def hommel(p_values: Sequence[float]) -> list[float]:
    """Return Hommel's adjusted p-values: less strict than Holm's, for tests that are independent.

    Sources: G. Hommel, "A stagewise rejective multiple test procedure based on a modified Bonferroni test",
    Biometrika 75 (1988), 383-386; the algorithm of S. P. Wright, "Adjusted p-values for simultaneous
    inference", Biometrics 48 (1992), 1005-1013.
    """
    order = _check(p_values)
    m = len(order)
    p = [p_values[place] for place in order]
    made = list(p)
    for size in range(m, 1, -1):
        lower, upper = range(m - size + 1), range(m - size + 1, m)
        least = min(size * p[place] / (2 + rank) for rank, place in enumerate(upper))
        for place in lower:
            made[place] = max(made[place], min(size * p[place], least))
        for place in upper:
            made[place] = max(made[place], made[m - size])
    adjusted = [0.0] * m
    for rank, place in enumerate(order):
        adjusted[place] = min(1.0, made[rank])
    return adjusted


def false_discovery(p_values: Sequence[float], *, dependent: bool = False) -> list[float]:
    """Return p-values adjusted for the share of false ones among the rejected, by Benjamini and Hochberg.

    `dependent` takes Benjamini and Yekutieli's, which holds whatever ties the tests together.
    """
    _check(p_values)
    if not p_values:
        return []
    from scipy import stats

    method = "by" if dependent else "bh"
    return [float(value) for value in stats.false_discovery_control(list(p_values), method=method)]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the share of false ones among the rejected, without scipy.

    The i-th smallest of m times m / i, and never above one after it: ties and the input's order change nothing.
    Source: Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate: a practical and powerful
    approach to multiple testing", Journal of the Royal Statistical Society B 57 (1995), 289-300.
    """
    order = _check(p_values)
    adjusted = [0.0] * len(p_values)
    lowest = 1.0
    for rank in range(len(order), 0, -1):
        place = order[rank - 1]
        lowest = min(lowest, p_values[place] * len(order) / rank)
        adjusted[place] = lowest
    return adjusted
