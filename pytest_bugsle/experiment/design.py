"""What is to be shown, and how surely: the design of an A/B test, said before its data are seen.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.stats import sizes

Role = Literal["decision", "guardrail", "exploratory"]
Look = Literal["final"] | tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A metric, the least effect that ships, and the risks that are taken.

    `min_lift` and `mde` are relative to control, `min_difference` and `mde_difference` absolute; an effect counts
    as an improvement in `direction`. `ratio` is treatment units per control unit. `baseline` (and for means
    `deviation`) is what the control was expected to be: without it the data say so. `look` is `"final"` for the only
    look, `(2, 5)` for the second of five; None leaves it to the ledger. UsageError for what contradicts itself.
    """

    metric: str = "metric"
    min_lift: float | None = None
    min_difference: float | None = None
    mde: float | None = None
    mde_difference: float | None = None
    alpha: float = 0.05
    power: float = 0.80
    sides: Literal[1, 2] = 2
    direction: Literal["up", "down"] = "up"
    ratio: float = 1.0
    baseline: float | None = None
    deviation: float | None = None
    look: Look = None
    spending: Literal["obrien-fleming", "pocock", "power"] = "obrien-fleming"
    days: float | None = None
    role: Role = "decision"

    def __post_init__(self) -> None:
        for name in ("alpha", "power"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 < value < 1):
                _refuse(f"{name} is {value!r}, and must lie between 0 and 1", f"{name}=0.05")
        for name in ("min_lift", "min_difference", "mde", "mde_difference", "baseline", "deviation", "days"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and isfinite(value)):
                _refuse(f"{name} is {value!r}, and must be a finite number", f"{name}=0.1")
        for name in ("mde", "mde_difference", "deviation", "days"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                _refuse(
                    f"{name} is {value}, and must be over 0", "for a metric that is to fall: direction='down'"
                )
        for one, other in (("min_lift", "min_difference"), ("mde", "mde_difference")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                _refuse(
                    f"{one} and {other} are both given",
                    f"keep one: {one} is relative to control, {other} is absolute",
                )
        if self.sides not in (1, 2):
            _refuse(f"sides is {self.sides!r}, and must be 1 or 2", "sides=2")
        if self.direction not in ("up", "down"):
            _refuse(f"direction is {self.direction!r}, and must be 'up' or 'down'", "direction='down'")
        if not (_is_number(self.ratio) and 0 < self.ratio < float("inf")):
            _refuse(f"ratio is {self.ratio!r}, and must be over 0", "ratio=1.0")
        if self.spending not in ("obrien-fleming", "pocock", "power"):
            _refuse(f"spending is {self.spending!r}", "spending='obrien-fleming', 'pocock' or 'power'")
        if self.role not in ("decision", "guardrail", "exploratory"):
            _refuse(f"role is {self.role!r}", "role='decision', 'guardrail' or 'exploratory'")
        _check_look(self.look)
        same_kind = self.min_lift if self.mde is not None else self.min_difference
        planned = self.mde if self.mde is not None else self.mde_difference
        if planned is not None and same_kind is not None and planned <= same_kind:
            _refuse(
                f"the planned effect {planned} is not over the least effect {same_kind}",
                "no size can show that an effect at the margin is over it: raise mde, or lower the margin",
            )

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.direction == "up" else -1

    @property
    def is_relative(self) -> bool:
        """Say whether the least effect is a lift: one of 0 is the same either way, and needs no ratio."""
        return bool(self.min_lift)

    @property
    def least(self) -> float:
        """The least improvement that ships, in the unit that `is_relative` says."""
        return self.min_lift or self.min_difference or 0.0

    def planned_difference(self, baseline: float) -> float | None:
        """Return the planned effect as a signed difference from this baseline; None without a plan."""
        if self.mde_difference is not None:
            return self.sign * self.mde_difference
        return None if self.mde is None else self.sign * self.mde * abs(baseline)

    def margin_difference(self, baseline: float) -> float:
        """Return the least effect as a signed difference from this baseline."""
        return self.sign * (self.least * abs(baseline) if self.is_relative else self.least)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(what: str, hint: str) -> None:
    raise UsageError(f"{what}.", why="the design of the test contradicts itself", hint=hint)


def _check_look(look: object) -> None:
    if look is None or look == "final":
        return
    whole = isinstance(look, tuple) and len(look) == 2 and all(type(part) is int for part in look)
    if whole and isinstance(look, tuple) and 1 <= look[0] <= look[1]:
        return
    _refuse(f"look is {look!r}", "look='final', or look=(2, 5) for the second of five")


def shares_needed(design: Design, baseline: float) -> tuple[float, float] | None:
    """Return the planned units of control and treatment for a share; None where the plan names no size.

    That is where no effect is planned, and where the planned effect leads out of 0 to 1 or is none.
    """
    off = design.planned_difference(baseline)
    if off is None or not 0 <= baseline + off <= 1:
        return None
    margin = design.margin_difference(baseline)
    if (off - margin) * design.sign <= 0 or not -1 < margin < 1:
        return None
    control = sizes.shares_size(
        baseline,
        baseline + off,
        alpha=design.alpha,
        power=design.power,
        margin=margin,
        ratio=design.ratio,
        sides=design.sides,
    )
    return control, control * design.ratio


def means_needed(
    design: Design, baseline: float, deviations: tuple[float, float]
) -> tuple[float, float] | None:
    """Return the planned units of control and treatment for a mean; None where the plan names no size."""
    off = design.planned_difference(baseline)
    if off is None or not any(deviations):
        return None
    left = off - design.margin_difference(baseline)
    if left * design.sign <= 0:
        return None
    control = sizes.means_size(
        left,
        deviations[0],
        deviations[1],
        alpha=design.alpha,
        power=design.power,
        ratio=design.ratio,
        sides=design.sides,
    )
    return control, control * design.ratio


def whole(size: float) -> int:
    """Return a size as units: rounded up, but for what is rounding of the machine; at least 2."""
    return max(2, ceil(size - 1e-9 * max(1.0, size)))


def days_left(n: tuple[int, int], needed: tuple[int, int], days: float | None) -> float | None:
    """Return how many more days the slower arm needs at its rate so far; None without days, or units."""
    if days is None or not min(n):
        return None
    return max(max(0.0, (want - have) * days / have) for have, want in zip(n, needed, strict=True))
