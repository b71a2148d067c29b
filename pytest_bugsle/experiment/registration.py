"""An experiment that is registered before its data: the marker `experiment` gives a test's gates their design.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.design import Design

OF_TABLES = ("split", "guardrails")
_MARGINS = {"margin": "min_lift", "margin_difference": "min_difference"}
_KNOWN = (
    *(one.name for one in fields(Design) if one.name not in ("look", "days")),
    *OF_TABLES,
    *_MARGINS,
)


@dataclass(frozen=True, slots=True)
class Registered:
    """The name of an experiment, and the design that each of its gates has; `metrics` are all that it may judge."""

    name: str
    design: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    def applied(self, given: Mapping[str, Any], *, table: bool = False) -> dict[str, Any]:
        """Return a gate's arguments with what is registered; UsageError for what contradicts it."""
        made = dict(given)
        for name, value in self.design.items():
            if name in OF_TABLES and not table:
                continue
            if name in given and given[name] != value:
                self._refuse(name, given[name], value)
            made[name] = value
        metric = made.get("metric", "metric")
        if self.metrics and metric not in self.metrics:
            self._refuse("metric", metric, " or ".join(map(repr, self.metrics)))
        return made

    def _refuse(self, name: str, here: object, registered: object) -> None:
        said = registered if name == "metric" and isinstance(registered, str) else repr(registered)
        raise UsageError(
            f"{name} is {here!r} here, and experiment {self.name!r} was registered with {said}.",
            why="what a pass means is said before the data are seen",
            hint=f"leave {name}= out here, or change it in the marker before the first look",
        )


def of_marker(args: Sequence[Any], design: Mapping[str, Any]) -> Registered:
    """Return what a marker registers; UsageError for one that has no name, or a key that no design has."""
    if len(args) != 1 or not isinstance(args[0], str) or not args[0].strip():
        raise UsageError(
            f"the marker `experiment` has {', '.join(map(repr, args)) or 'no name'}.",
            why="an experiment's looks are remembered by its name",
            hint='@pytest.mark.experiment("checkout-2026", metric="conversion", mde=0.1)',
        )
    made = dict(design)
    for name in made:
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, n=1)
            raise UsageError(
                f"the marker of experiment {args[0]!r}: there is no {name!r} in a design.",
                hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KNOWN)}",
            )
    for name, least in _MARGINS.items():
        if name not in made:
            continue
        value = made.pop(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0 or least in made:
            raise UsageError(
                f"the marker of experiment {args[0]!r}: {name} is {value!r}"
                + (f" beside {least}." if least in made else ", and must be over 0."),
                hint=f"{name}=0.01 is the same as {least}=-0.01",
            )
        made[least] = -value
    metrics = made.get("metric", ())
    if isinstance(metrics, str):
        metrics = (metrics,)
    else:
        made.pop("metric", None)
    if not isinstance(metrics, list | tuple) or not all(isinstance(one, str) for one in metrics):
        raise UsageError(
            f"the marker of experiment {args[0]!r}: metric is {metrics!r}.", hint='metric="conversion"'
        )
    registered = Registered(args[0], made, tuple(metrics))
    Design(**{name: value for name, value in made.items() if name not in OF_TABLES})
    return registered


def design_of(given: Mapping[str, Any]) -> Design:
    """Return the design among a gate's arguments; UsageError where it contradicts itself."""
    known = {one.name for one in fields(Design)}
    return Design(**{name: value for name, value in given.items() if name in known})
