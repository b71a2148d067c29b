"""Sums of a column, or of two, that can be merged and lose nothing to a large offset.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, isfinite, sqrt

LARGEST = 1e70
"""Beyond it the square of a variance is no float, and what is made of it is none at all."""


@dataclass(frozen=True, slots=True)
class Moments:
    """How many, their mean, and the sum of squares of what they are off it."""

    n: int
    mean: float
    squares: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Return the moments of values; ValueError names the first that is not finite. Two passes."""
        column = [float(value) for value in values]
        for value in column:
            if not isfinite(value):
                raise ValueError(f"a value is {value}, must be finite.")
        if not column:
            return cls(0, 0.0, 0.0)
        # Around the first value, so that a large offset is gone before anything is added up.
        first = column[0]
        shifted = [value - first for value in column]
        return cls.shifted(len(column), first, fsum(shifted), fsum(value * value for value in shifted))

    @classmethod
    def shifted(cls, n: int, shift: float, total: float, squares: float) -> Moments:
        """Return the moments from the sums of `value - shift` and of its square.

        ValueError where a sum is not finite. Source: T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for
        computing the sample variance", The American Statistician 37 (1983), 242-247.
        """
        if not (isfinite(total) and isfinite(squares) and isfinite(shift)):
            raise ValueError("a sum is not finite: a value is infinite, none at all, or too large.")
        if n == 0:
            return cls(0, 0.0, 0.0)
        mean, squared = shift + total / n, max(0.0, squares - total * total / n)
        # What is so near 0 that its square is none is 0.
        return cls(n, mean if abs(mean) > 1 / LARGEST else 0.0, squared if squared > LARGEST**-2 else 0.0)

    @property
    def variance(self) -> float:
        """The variance with n - 1; 0 for fewer than two values."""
        return self.squares / (self.n - 1) if self.n > 1 else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return sqrt(self.variance)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both together (the pairwise formula of Chan, Golub and LeVeque)."""
        n = self.n + other.n
        if not n:
            return self
        off = other.mean - self.mean
        return Moments(
            n,
            self.mean + off * other.n / n,
            self.squares + other.squares + off * off * self.n * other.n / n,
        )

    def scaled(self, factor: float) -> Moments:
        """Return the moments of the values times a factor."""
        return Moments(self.n, self.mean * factor, self.squares * factor * factor)


@dataclass(frozen=True, slots=True)
class PairedMoments:
    """Two columns of the same units: the moments of each, and the sum of products of what both are off."""

    y: Moments
    x: Moments
    products: float

    @classmethod
    def of(cls, y: Iterable[float], x: Iterable[float]) -> PairedMoments:
        """Return the moments of pairs; ValueError where one is longer, or a value is not finite."""
        first, second = list(y), list(x)
        if len(first) != len(second):
            raise ValueError(f"{len(first)} values and {len(second)} covariates, must be as many.")
        made_y, made_x = Moments.of(first), Moments.of(second)
        products = fsum((a - made_y.mean) * (b - made_x.mean) for a, b in zip(first, second, strict=True))
        return cls(made_y, made_x, products)

    @property
    def covariance(self) -> float:
        """The covariance with n - 1; 0 for fewer than two units."""
        return self.products / (self.y.n - 1) if self.y.n > 1 else 0.0

    def merge(self, other: PairedMoments) -> PairedMoments:
        """Return the moments of both together."""
        n = self.y.n + other.y.n
        cross = (other.y.mean - self.y.mean) * (other.x.mean - self.x.mean)
        share = cross * self.y.n * other.y.n / n if n else 0.0
        return PairedMoments(
            self.y.merge(other.y), self.x.merge(other.x), self.products + other.products + share
        )

    def less(self, factor: float, centre: float) -> Moments:
        """Return the moments of y - factor · (x - centre)."""
        squares = self.y.squares - 2 * factor * self.products + factor * factor * self.x.squares
        return Moments(self.y.n, self.y.mean - factor * (self.x.mean - centre), max(0.0, squares))
