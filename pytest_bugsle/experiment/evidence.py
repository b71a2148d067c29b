"""What two arms say about one metric, whatever kind of metric it is.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from pytest_bugsle.experiment.design import Design

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """An effect (treatment less control) and what can be asked of it; an alpha is two-sided.

    `z` is the effect in standard errors, `test_p` the two-sided p-value of no effect. `interval` is None where so few
    units have none at this level, `lift_interval` where a lift has no bound. `over` is the one-sided p-value of an improvement over the design's least,
    by the test that the interval inverts, None where it is undefined. `needed` are the planned units of control and treatment, None without a plan, and
    `detectable` is the least effect that today's units show. `exact` says that small counts had to be counted out,
    `label` what the values of the arms are where they are no share, mean or ratio,
    `without` why there is no interval where there is none.
    """

    kind: Literal["share", "mean", "ratio", "quantile", "shift"]
    control: float
    treatment: float
    n: tuple[int, int]
    interval: Callable[[float], Interval | None]
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
    estimate: float | None = None
    label: str = ""
    without: str = "so few units have no interval at this level"

    @property
    def effect(self) -> float:
        """The treatment less the control, unless the effect is estimated by itself."""
        return self.treatment - self.control if self.estimate is None else self.estimate

    @property
    def lift(self) -> float | None:
        """The effect relative to the size of the control; None for a control of 0, and for a shift of all values."""
        if not self.control or self.kind == "shift":
            return None
        lift = self.effect / abs(self.control)
        return lift if isfinite(lift) else None
