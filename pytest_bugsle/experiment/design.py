"""What is to be shown, and how surely: the design of an A/B test, said before its data are seen.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import Literal

from pytest_bugsle.errors import UsageError
from pytest_bugsle.stats import sizes
from pytest_bugsle.stats.moments import LARGEST

Role = Literal["decision", "guardrail", "exploratory"]
Look = Literal["final"] | tuple[int, int] | None

_POSITIVE = ("mde", "mde_difference", "equivalence", "equivalence_difference", "deviation", "days")
_FINITE = ("min_lift", "min_difference", "baseline", *_POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A metric, the least effect that ships, and the risks that are taken.

    `min_lift` and `mde` are relative to control, `min_difference` and `mde_difference` absolute; an effect counts
    as an improvement in `direction`. `equivalence` (relative) or `equivalence_difference` asks instead whether the arms
    are the same to within that margin, by two one-sided tests at alpha each. `ratio` is treatment units per control unit. `baseline` (and for means
    `deviation`) is what the control was expected to be: without it the data say so. `look` is `"final"` for the only
    look, `(2, 5)` for the second of five; None leaves it to the ledger. UsageError for what contradicts itself.
    """

    metric: str = "metric"
    min_lift: float | None = None
    min_difference: float | None = None
    mde: float | None = None
    mde_difference: float | None = None
    equivalence: float | None = None
    equivalence_difference: float | None = None
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
        if not isinstance(self.metric, str) or not self.metric.strip():
            _refuse(f"metric is {self.metric!r}, and must be a name", 'metric="conversion"')
        for name in ("alpha", "power"):
            value = getattr(self, name)
            most = 0.5 if name == "alpha" else 1
            if not (_is_number(value) and 0 < value < most):
                _refuse(
                    f"{name} is {value!r}, and must lie between 0 and {most:g}",
                    f"{name}={getattr(Design, name, 0.05)}",
                )
        for name in _FINITE:
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and isfinite(value) and abs(value) <= LARGEST):
                _refuse(f"{name} is {value!r}, and must be a finite number", f"{name}=0.1")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value <= 0:
                _refuse(
                    f"{name} is {value}, and must be over 0", "for a metric that is to fall: direction='down'"
                )
        pairs = (
            ("min_lift", "min_difference"),
            ("mde", "mde_difference"),
            ("equivalence", "equivalence_difference"),
        )
        for one, other in pairs:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                _refuse(
                    f"{one} and {other} are both given",
                    f"keep one: {one} is relative to control, {other} is absolute",
                )
        if self.margin is not None:
            self._check_equivalence()
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

    def _check_equivalence(self) -> None:
        """Refuse what asks for more than being the same; each of the two tests has one side."""
        for name in ("min_lift", "min_difference", "mde", "mde_difference"):
            if getattr(self, name) is not None:
                _refuse(
                    f"equivalence and {name} are both given",
                    "keep one: equivalence asks whether the arms are the same to within a margin, and its planned size "
                    "follows from the margin",
                )
        object.__setattr__(self, "sides", 1)

    @property
    def is_repeated(self) -> bool:
        """Say whether there may be more looks than this one."""
        return self.look not in ("final", (1, 1))

    @property
    def margin(self) -> float | None:
        """The margin of equivalence, in the unit that `is_relative` says; None where none is asked for."""
        return self.equivalence if self.equivalence is not None else self.equivalence_difference

    def both_ways(self) -> tuple[Design, Design]:
        """Return the two designs of non-inferiority, up and down, that together are equivalence."""
        made = replace(
            self,
            equivalence=None,
            equivalence_difference=None,
            min_lift=None if self.equivalence is None else -self.equivalence,
            min_difference=None if self.equivalence_difference is None else -self.equivalence_difference,
        )
        return replace(made, direction="up"), replace(made, direction="down")

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.direction == "up" else -1

    @property
    def is_relative(self) -> bool:
        """Say whether the least effect is a lift: one of 0 is the same either way, and needs no ratio."""
        return bool(self.min_lift) or self.equivalence is not None

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
    if design.margin is not None:
        wide = design.margin * baseline if design.is_relative else design.margin
        if not (0 < baseline < 1 and 0 < wide < 1):
            return None
        equal = sizes.shares_size(
            baseline,
            baseline,
            alpha=design.alpha,
            power=_either(design.power),
            margin=-wide,
            ratio=design.ratio,
            sides=1,
        )
        return equal, equal * design.ratio
    off = design.planned_difference(baseline)
    if off is None or not 0 <= baseline <= 1 or not 0 <= baseline + off <= 1:
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
    return (
        (control, control * design.ratio) if control > 0 else None
    )  # of a share next to 0 rounding leaves none


def _either(power: float) -> float:
    """Return the power of each of two one-sided tests that both have this one, where the arms are the same.

    Source: S.-C. Chow, J. Shao and H. Wang, "Sample size calculations in clinical research", 2008, section 3.2.3.
    """
    return (1 + power) / 2


def means_needed(
    design: Design, baseline: float, deviations: tuple[float, float]
) -> tuple[float, float] | None:
    """Return the planned units of control and treatment for a mean; None where the plan names no size."""
    if design.margin is not None:
        wide = design.margin * abs(baseline) if design.is_relative else design.margin
        if not (wide and any(deviations)):
            return None
        equal = sizes.means_size(
            wide, *deviations, alpha=design.alpha, power=_either(design.power), ratio=design.ratio, sides=1
        )
        return equal, equal * design.ratio
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
