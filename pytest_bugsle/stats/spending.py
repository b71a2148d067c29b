"""Bounds for several looks at growing data that together err no more than one look would.  PYTEST_DONT_REWRITE

Sources: K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70
(1983), 659-663 (the spending functions); P. Armitage, C. K. McPherson and B. C. Rowe, "Repeated
significance tests on accumulating data", Journal of the Royal Statistical Society A 132 (1969), 235-244
(the recursion); S. J. Pocock, Biometrika 64 (1977), 191-199, and P. C. O'Brien and T. R. Fleming, Biometrics 35
(1979), 549-556 (the classic designs).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache, lru_cache
from math import ceil, e, exp, log, pi, sqrt
from typing import Any, Literal

from pytest_bugsle.stats.binomial import check_inside
from pytest_bugsle.stats.proportions import normal_quantile, normal_tail

Spending = Literal["obrien-fleming", "pocock", "power"]

_NODES = 3.0
"""Nodes for each standard error of a step: from 2.5 on no digit of a bound changes any more."""

_FAR = 8.0
"""A bound beyond this many standard errors spends less than 1e-15: it is none."""


def spent(share: float, alpha: float, spending: Spending, sides: int = 2) -> float:
    """Return how much of alpha may be spent when this share of the planned information is there.

    `obrien-fleming` spends late, `pocock` evenly, `power` as the third power of the share.
    """
    check_inside("alpha", alpha)
    if share <= 0:
        return 0.0
    if share >= 1:
        return alpha
    if spending == "pocock":
        return alpha * log(1 + (e - 1) * share)
    if spending == "power":
        return alpha * share**3
    return 2 * sides * normal_tail(normal_quantile(1 - alpha / sides / 2) / sqrt(share))


def bounds(
    shares: Sequence[float],
    alpha: float = 0.05,
    spending: Spending = "obrien-fleming",
    sides: int = 2,
) -> list[float]:
    """Return the z at which each look decides; `shares` of the planned information must rise, to 1 at most.

    ValueError where they do not. A look that may spend nothing yet has a bound of 8.
    """
    _check(shares, sides)
    if shares and shares[-1] > 1:
        raise ValueError(f"shares[-1] == {shares[-1]}, must be <= 1.")
    return list(_bounds(tuple(shares), alpha, spending, sides))


@lru_cache(maxsize=256)
def _bounds(shares: tuple[float, ...], alpha: float, spending: Spending, sides: int) -> tuple[float, ...]:
    """Return the bounds; all metrics of one look ask for the same."""
    path = _Path(sides)
    made: list[float] = []
    previous = before = 0.0
    for share in shares:
        total = spent(share, alpha, spending, sides)
        if made:
            path.step(previous, made[-1])
        made.append(path.bound(share, max(0.0, total - before)))
        previous, before = share, total
    return tuple(made)


def next_bound(
    past: Sequence[tuple[float, float]],
    information: float,
    allowed: float,
    sides: int = 2,
    spent_before: float = 0.0,
) -> tuple[float, float]:
    """Return the z at which the next look decides, and how much of alpha all looks together have spent then.

    `past` are information and z of the looks before, as they were, whatever was planned: information in any
    unit, rising up to `information`. Of `allowed`, the alpha that may be spent by now, the next look gets what
    they left; where they left nothing its z is 8. Some looks may be left out of `past` where `spent_before` is what
    all have spent: the bound is then a little wider. ValueError for information that does not rise.
    """
    _check([*(there for there, _ in past), information], sides)
    path, used = _followed(tuple(past), sides)
    used = max(used, spent_before)
    if allowed <= used:
        return _FAR, used
    bound = path.bound(information, allowed - used)
    return bound, used + path.crossing(information, bound)


@lru_cache(maxsize=256)
def _followed(past: tuple[tuple[float, float], ...], sides: int) -> tuple[_Path, float]:
    """Return the path after these looks, and the chance that any of them crosses; who has it must not step on."""
    if not past:
        return _Path(sides), 0.0
    before, used = _followed(past[:-1], sides)
    path = copy(before)
    chance = path.crossing(*past[-1])
    path.step(*past[-1])
    return path, used + chance


def classic(
    looks: int, alpha: float = 0.05, shape: Literal["pocock", "obrien-fleming"] = "pocock"
) -> list[float]:
    """Return the two-sided bounds of equally spaced looks: all the same, or falling as 1 / sqrt(share)."""
    if looks < 1:
        raise ValueError(f"looks == {looks}, must be >= 1.")
    check_inside("alpha", alpha)
    shares = [(look + 1) / looks for look in range(looks)]

    def crossed(constant: float) -> float:
        path = _Path(2)
        total = 0.0
        for share in shares:
            bound = constant if shape == "pocock" else constant / sqrt(share)
            total += path.crossing(share, bound)
            path.step(share, bound)
        return total - alpha

    from scipy import optimize

    constant = float(optimize.brentq(crossed, 0.1, _FAR, xtol=1e-12))
    return [constant if shape == "pocock" else constant / sqrt(share) for share in shares]


def _check(shares: Sequence[float], sides: int) -> None:
    if sides not in (1, 2):
        raise ValueError(f"sides == {sides}, must be 1 or 2.")
    before = 0.0
    for place, share in enumerate(shares):
        if not share > before:
            raise ValueError(f"shares[{place}] == {share}, must be > {before}.")
        before = share


@cache
def _gauss(count: int) -> tuple[Any, Any]:
    """Return the points and weights of Gauss and Legendre, which take longer to find than to use."""
    import numpy as np

    points, weights = np.polynomial.legendre.leggauss(count)
    return points, weights


class _Path:
    """The density of the sum (z·sqrt(share)) among what no look has decided, on the nodes of an integral."""

    def __init__(self, sides: int) -> None:
        self._sides = sides
        self._share = 0.0
        self._nodes: Any = None  # None before the first look: the sum is 0
        self._mass: Any = None

    def crossing(self, share: float, bound: float) -> float:
        """Return the chance that the look at `share` is the first to cross `bound`."""
        # Both bounds are as far from 0, and so are the nodes: what crosses one is what crosses the other.
        return self._sides * self._beyond(bound * sqrt(share), share)[0]

    def _beyond(self, edge: float, share: float) -> tuple[float, float]:
        """Return the chance that the sum at `share` is over `edge`, and its density there."""
        import numpy as np
        from scipy import special

        error = sqrt(share - self._share)
        if self._nodes is None:
            off = edge / error
            return float(special.ndtr(-off)), exp(-off * off / 2) / (error * sqrt(2 * pi))
        off = (edge - self._nodes) / error
        density = float(self._mass @ np.exp(-off * off / 2)) / (error * sqrt(2 * pi))
        return float(self._mass @ special.ndtr(-off)), density

    def bound(self, share: float, chance: float) -> float:
        """Return the bound that the look at `share` crosses first with this chance.

        By Newton's method on the logarithm of the tail, which is concave (a density that is cut off stays
        log-concave, and so does its convolution): from the first step on it falls to the root and never passes it.
        """
        if chance <= self.crossing(share, _FAR):
            return _FAR
        root = sqrt(share)
        # Without the looks before, the bound would be this one; they only take chances away.
        made = min(_FAR, normal_quantile(1 - chance / self._sides)) if chance < self._sides else 0.0
        for _ in range(100):
            tail, density = self._beyond(made * root, share)
            if tail <= 0 or density <= 0:
                # Soon after another look next to nothing is so far out, and no float says which way to go.
                made *= 0.9
                continue
            step = log(self._sides * tail / chance) * tail / (density * root)
            made += step
            if abs(step) <= 1e-13 * max(1.0, abs(made)):
                break
        return min(_FAR, made)

    def step(self, share: float, bound: float) -> None:
        """Go on to the next look: keep what did not cross."""
        if self._nodes is None and bound >= _FAR:
            return  # nothing is cut off: to the next look the sum is as if there had been none
        import numpy as np

        error = sqrt(share - self._share)
        high = min(bound, _FAR) * sqrt(share)
        low = -high if self._sides == 2 else -_FAR * sqrt(share)
        # Looks close to one another have narrow kernels: the nodes must stand closer than these.
        count = min(2000, 16 * ceil((_NODES * (high - low) / error + 24) / 16))
        points, weights = _gauss(count)
        nodes = (high - low) / 2 * points + (high + low) / 2
        if self._nodes is None:
            density = np.exp(-((nodes / error) ** 2) / 2) / (error * sqrt(2 * pi))
        else:
            off = (nodes[:, None] - self._nodes[None, :]) / error
            density = (np.exp(-(off**2) / 2) @ self._mass) / (error * sqrt(2 * pi))
        self._nodes, self._mass, self._share = nodes, density * weights * (high - low) / 2, share


def mixture_width(n_star: float, alpha: float) -> float:
    """Return rho, by which an always-valid interval is narrowest at about `n_star` units.

    Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), equation 9 and appendix B.
    """
    check_inside("alpha", alpha)
    if not n_star > 0:
        raise ValueError(f"n_star == {n_star}, must be > 0.")
    doubled = -2 * log(alpha)
    return sqrt((doubled + log(doubled + 1)) / n_star)


def always_valid_z(n: float, n_star: float, alpha: float) -> float:
    """Return how many standard errors an interval reaches that holds at all sizes at once.

    The asymptotic confidence sequence of Waudby-Smith et al. (2024), equation 9, in standard errors of the
    estimate at n units: sqrt(2·(n·rho² + 1) / (n·rho²) · log(sqrt(n·rho² + 1) / alpha)).
    """
    grown = n * mixture_width(n_star, alpha) ** 2
    return sqrt(2 * (grown + 1) / grown * log(sqrt(grown + 1) / alpha))


def always_valid_p(z: float, n: float, n_star: float, alpha: float) -> float:
    """Return the p-value that holds at all sizes at once: 1 over the mixture's likelihood ratio, at most 1."""
    grown = n * mixture_width(n_star, alpha) ** 2
    return min(1.0, sqrt(grown + 1) * exp(-grown / (grown + 1) * z * z / 2))
