"""What two arms say about one metric, whatever kind of metric it is.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pytest_bugsle.experiment.design import Design

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """An effect (treatment less control) and what can be asked of it; an alpha is two-sided.

    `z` is the effect in standard errors, `test_p` the two-sided p-value of no effect. `lift_interval` is None
    where a lift has no bound. `over` is the one-sided p-value of an improvement over the design's least,
    by the test that the interval inverts, None where it is undefined. `needed` are the planned units of control and treatment, None without a plan, and
    `detectable` is the least effect that today's units show. `exact` says that small counts had to be counted out.
    """

    kind: Literal["share", "mean", "ratio"]
    control: float
    treatment: float
    n: tuple[int, int]
    interval: Callable[[float], Interval]
    lift_interval: Callable[[float], Interval | None]
    z: float
    test_p: float
    test: str
    method: str
    over: Callable[[Design], float | None]
    needed: Callable[[Design], tuple[float, float] | None]
    detectable: Callable[[Design], float | None]
    exact: bool = False
    counts: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @property
    def effect(self) -> float:
        """The treatment less the control."""
        return self.treatment - self.control

    @property
    def lift(self) -> float | None:
        """The effect relative to the size of the control; None for a control of 0."""
        return self.effect / abs(self.control) if self.control else None
