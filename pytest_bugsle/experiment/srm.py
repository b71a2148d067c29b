"""Sample-ratio mismatch: did each arm get the share of units that the design gave it?  PYTEST_DONT_REWRITE

Sources: A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019; for
looks that repeat, M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from pytest_bugsle.stats.multinomial import always_valid_p, check_counts

ALPHA = 0.001
"""A mismatch is an error of the machinery, and is looked for at every look: a strict level."""

ALWAYS_VALID_ALPHA = 0.01
"""Of the test that holds at all looks at once: it needs half as many units again as one look at 0.001 does."""

__all__ = ["ALPHA", "ALWAYS_VALID_ALPHA", "always_valid_p", "chi_square", "exact", "p_value"]


def chi_square(observed: Sequence[int], split: Sequence[float]) -> tuple[float, float]:
    """Return Pearson's chi-square of the arms' sizes against the designed split, and its p-value."""
    from scipy import special

    shares, total = check_counts(observed, split), sum(observed)
    if total == 0:
        return 0.0, 1.0
    statistic = fsum(
        (seen - total * share) ** 2 / (total * share) for seen, share in zip(observed, shares, strict=True)
    )
    return statistic, float(special.chdtrc(len(shares) - 1, statistic))


def exact(observed: Sequence[int], split: Sequence[float]) -> float:
    """Return the exact p-value of two arms' sizes, by the binomial distribution."""
    from scipy import stats

    shares = check_counts(observed, split)
    if len(shares) != 2:
        raise ValueError(f"{len(shares)} arms, must be 2.")
    return float(stats.binomtest(observed[0], sum(observed), shares[0]).pvalue) if sum(observed) else 1.0


def p_value(observed: Sequence[int], split: Sequence[float]) -> float:
    """Return the p-value: exact for two arms of which one is to have fewer than 5 units, else Pearson's."""
    shares = check_counts(observed, split)
    if len(shares) == 2 and min(shares) * sum(observed) < 5:
        return exact(observed, split)
    return chi_square(observed, split)[1]
