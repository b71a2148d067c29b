"""What of a metric is compared: its mean, unless a quantile, ranks or a resampled mean are declared.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.design import Design

METHODS = ("welch", "rank", "bootstrap")


@dataclass(frozen=True, slots=True)
class Measure:
    """A declared way to compare two arms.

    `winsorise` are the shares of all units below and above which values are cut, (0, 0.99) for the highest
    hundredth. UsageError for what contradicts itself.
    """

    quantile: float | None = None
    method: str = "welch"
    winsorise: tuple[float, float] | None = None

    @classmethod
    def of(cls, quantile: Any = None, method: Any = "welch", winsorise: Any = None) -> Measure:
        """Return what a user declared: one share for the upper end, or two."""
        if method not in METHODS:
            raise UsageError(f"method is {method!r}.", hint="method='welch', 'rank' or 'bootstrap'")
        if quantile is not None and not (_is_number(quantile) and 0 < quantile < 1):
            raise UsageError(
                f"quantile is {quantile!r}, and must lie between 0 and 1.", hint="quantile=0.5 for the median"
            )
        if quantile is not None and method != "welch":
            raise UsageError(
                f"quantile and method={method!r} are both given.",
                why="a quantile has an interval of its own, by order statistics",
                hint="keep one",
            )
        cut = None if winsorise is None else _cut(winsorise)
        if cut is not None and (quantile is not None or method == "rank"):
            raise UsageError(
                f"winsorise and {'quantile' if quantile is not None else 'method=' + repr(method)} are both given.",
                why="neither quantiles nor ranks depend on how far out the highest values are",
                hint="leave winsorise= away",
            )
        return cls(quantile, method, cut)

    @property
    def is_mean(self) -> bool:
        """Say whether sums are enough: neither order nor resamples are asked for."""
        return self.quantile is None and self.method == "welch"

    def check(self, design: Design) -> None:
        """Raise UsageError where a design asks for what this cannot say."""
        if self.method == "rank" and (
            design.min_lift or design.mde is not None or design.equivalence is not None
        ):
            raise UsageError(
                "a shift by ranks has no lift.",
                why="it moves all values by as much, so that there is no control that it is relative to",
                hint="min_difference=, mde_difference= or equivalence_difference=; or method='bootstrap' for the mean",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cut(given: Any) -> tuple[float, float]:
    ends = (0.0, given) if _is_number(given) else given
    if (
        isinstance(ends, Sequence)
        and not isinstance(ends, str)
        and len(ends) == 2
        and all(_is_number(end) for end in ends)
        and 0 <= ends[0] < 0.5 < ends[1] <= 1
        and tuple(ends) != (0, 1)
    ):
        return float(ends[0]), float(ends[1])
    raise UsageError(
        f"winsorise is {given!r}, and must be a share over 0.5, or one below and one above.",
        hint="winsorise=0.99 cuts the highest hundredth, winsorise=(0.01, 0.99) the lowest, too",
    )


def cut_note(bounds: tuple[float | None, float | None], cut: dict[str, int], n: dict[str, int]) -> str:
    """Say where values were cut, and how many in each arm."""
    from pytest_bugsle.experiment.messages import number

    ends = [
        f"{word} {number(bound)}"
        for word, bound in zip(("at least", "at most"), bounds, strict=True)
        if bound is not None
    ]
    many = ", ".join(f"{arm} {count:,} of {n[arm]:,}" for arm, count in cut.items())
    return f"winsorised, as declared: values count as {' and '.join(ends)} (of all units); cut: {many}"
