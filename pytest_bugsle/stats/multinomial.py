"""Counts of several kinds against the shares that they should have, valid at every moment at once.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, inf, lgamma, log

CONCENTRATIONS = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
"""How near to the shares the alternatives lie: gross mismatches are seen at once, small ones in time."""


def check_counts(observed: Sequence[int], shares: Sequence[float]) -> list[float]:
    """Return the shares so that they add up to 1; ValueError for counts and shares that are none."""
    if len(observed) != len(shares) or len(shares) < 2:
        raise ValueError(f"{len(observed)} counts and {len(shares)} shares, must be as many, at least 2.")
    for place, count in enumerate(observed):
        if count < 0:
            raise ValueError(f"observed[{place}] == {count}, must be >= 0.")
    for place, share in enumerate(shares):
        if not 0 < share < inf:
            raise ValueError(f"shares[{place}] == {share}, must be > 0.")
    total = fsum(shares)
    return [share / total for share in shares]


def log_evidence(observed: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    """Return the logarithm of the likelihood of a Dirichlet mixture over that of the shares; 0 without counts.

    The mixture is Dirichlet(concentration * shares), as M. Lindon and A. Malek have it, "Anytime-valid inference
    for multinomial count data", NeurIPS 2022, equation 4. ValueError as `check_counts`, and for a concentration
    that is not over 0.
    """
    if not 0 < concentration < inf:
        raise ValueError(f"concentration == {concentration}, must be > 0.")
    wanted = check_counts(observed, shares)
    found = lgamma(concentration) - lgamma(concentration + sum(observed))
    return fsum(
        [
            found,
            *(
                lgamma(concentration * share + count) - lgamma(concentration * share) - count * log(share)
                for count, share in zip(observed, wanted, strict=True)
            ),
        ]
    )


def always_valid_p(observed: Sequence[int], shares: Sequence[float]) -> float:
    """Return the p-value of these shares that holds at every moment at once: how ever often one looks.

    It is 1 over the mean of the evidence by several concentrations, at most 1: a mean of nonnegative martingales is
    one, and by Ville's inequality it is ever over 1 / alpha with a chance of at most alpha.
    """
    logs = [log_evidence(observed, shares, concentration) for concentration in CONCENTRATIONS]
    top = max(logs)
    log_mean = top + log(fsum(exp(each - top) for each in logs) / len(logs))
    return min(1.0, exp(-log_mean)) if log_mean > 0 else 1.0
