"""Two arms compared within segments: one difference for all, and whether the segments agree.  PYTEST_DONT_REWRITE

A segment is (control, treatment), each (successes, trials). Segments without both arms say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from pytest_bugsle.stats.proportions import Counts, normal_tail

Segment = tuple[Counts, Counts]


def _whole(segments: Sequence[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment[0][1] > 0 and segment[1][1] > 0]


def risk_difference(segments: Sequence[Segment]) -> float | None:
    """Return the Mantel-Haenszel difference of shares; None where no segment has both arms.

    The mean of the segments' differences, weighted by nc·nt / (nc + nt). Source: S. Greenland and J. M.
    Robins, "Estimation of a common effect parameter from sparse follow-up data", Biometrics 41 (1985), 55-68.
    """
    total = weights = 0.0
    for (x_c, n_c), (x_t, n_t) in _whole(segments):
        weight = n_c * n_t / (n_c + n_t)
        total += weight * (x_t / n_t - x_c / n_c)
        weights += weight
    return total / weights if weights else None


def odds_ratio(segments: Sequence[Segment]) -> float | None:
    """Return the Mantel-Haenszel odds ratio; None where it is undefined.

    Source: N. Mantel and W. Haenszel, "Statistical aspects of the analysis of data from retrospective
    studies of disease", Journal of the National Cancer Institute 22 (1959), 719-748.
    """
    above = below = 0.0
    for (x_c, n_c), (x_t, n_t) in _whole(segments):
        above += x_t * (n_c - x_c) / (n_c + n_t)
        below += x_c * (n_t - x_t) / (n_c + n_t)
    return above / below if below else None


def cochran_z(segments: Sequence[Segment]) -> float:
    """Return the Cochran-Mantel-Haenszel statistic as a z, without continuity correction; 0 without variance."""
    off = variance = 0.0
    for (x_c, n_c), (x_t, n_t) in _whole(segments):
        n, x = n_c + n_t, x_c + x_t
        if n < 2:
            continue
        off += x_t - x * n_t / n
        variance += x * (n - x) * n_c * n_t / (n * n * (n - 1))
    return off / sqrt(variance) if variance > 0 else 0.0


def cochran_p(segments: Sequence[Segment]) -> float:
    """Return the two-sided p-value of no difference within the segments."""
    return min(1.0, 2 * normal_tail(abs(cochran_z(segments))))


def breslow_day(segments: Sequence[Segment]) -> float | None:
    """Return the p-value of one odds ratio for all segments; None where it is undefined.

    Without Tarone's correction. Source: N. E. Breslow and N. E. Day, "Statistical methods in cancer research",
    volume 1, 1980, section 4.4.
    """
    whole, common = _whole(segments), odds_ratio(segments)
    if common is None or common <= 0 or len(whole) < 2:
        return None
    total = 0.0
    used = 0
    for (x_c, n_c), (x_t, n_t) in whole:
        successes = x_c + x_t
        if successes in (0, n_c + n_t):
            continue  # no odds ratio can be told apart here
        expected = _expected(common, n_t, n_c, successes)
        variance = 1 / (
            1 / expected
            + 1 / (successes - expected)
            + 1 / (n_t - expected)
            + 1 / (n_c - successes + expected)
        )
        total += (x_t - expected) ** 2 / variance
        used += 1
    if used < 2:
        return None
    from scipy import special

    return float(special.chdtrc(used - 1, total))


def _expected(common: float, n_t: int, n_c: int, successes: int) -> float:
    """Return how many of the successes the treatment would have at this odds ratio."""
    if abs(common - 1) < 1e-12:
        return successes * n_t / (n_t + n_c)
    a = 1 - common
    b = n_c - successes + common * (n_t + successes)
    root = sqrt(max(0.0, b * b + 4 * a * common * n_t * successes))
    # Of the two forms the one that does not subtract near-equal numbers.
    return 2 * common * n_t * successes / (b + root)


def cochran_q(estimates: Sequence[float], errors: Sequence[float]) -> float | None:
    """Return the p-value of one effect behind several independent estimates; None for fewer than two.

    Source: W. G. Cochran, "The combination of estimates from different experiments", Biometrics 10 (1954),
    101-129.
    """
    pairs = [(value, 1 / error**2) for value, error in zip(estimates, errors, strict=True) if error > 0]
    if len(pairs) < 2:
        return None
    from scipy import special

    middle = sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)
    total = sum(weight * (value - middle) ** 2 for value, weight in pairs)
    return float(special.chdtrc(len(pairs) - 1, total))


def independence(table: Sequence[Sequence[int]]) -> tuple[float, float] | None:
    """Return chi-square and p-value of a table of counts; None where rows or columns are too few.

    Empty rows and columns are left out. Pearson's, without continuity correction: the same as
    scipy.stats.chi2_contingency, without the second that its import takes.
    """
    rows = [row for row in table if sum(row)]
    columns = [column for column in zip(*rows, strict=True) if sum(column)]
    if len(rows) < 2 or len(columns) < 2:
        return None
    from scipy import special

    rows = [list(row) for row in zip(*columns, strict=True)]
    total = sum(map(sum, rows))
    statistic = 0.0
    for row in rows:
        for place, seen in enumerate(row):
            expected = sum(row) * sum(columns[place]) / total
            statistic += (seen - expected) ** 2 / expected
    return statistic, float(special.chdtrc((len(rows) - 1) * (len(columns) - 1), statistic))
