"""What a call may be given: names that there are, and tables where tables must be.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.design import Design

_OURS = ("past", "test", "design")
_COLUMNS = ("arm", "metric", "unit", "denominator", "covariate", "day", "control")


def check_names(judge: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise UsageError, with the nearest name, for an argument that this judgement does not take."""
    known = [name for name in inspect.signature(judge).parameters if name not in _OURS]
    known += [one.name for one in fields(Design) if one.name not in known]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"there is no argument {name!r}.",
                hint=f"did you mean {near[0]}=?" if near else f"there are {', '.join(known)}",
            )


def check_shapes(given: Mapping[str, Any]) -> None:
    """Raise UsageError where an argument of a table is no name, no list of names, or no table of what it must hold."""
    for name in _COLUMNS:
        value = given.get(name)
        # Arms may be numbers or truth values, as they stand in the table.
        if value is not None and name != "control" and not isinstance(value, str):
            _refuse(name, value, "the name of a column", f'{name}="…"')
    segments = given.get("segments")
    if segments is not None and (
        not isinstance(segments, Sequence) or not all(isinstance(one, str) for one in segments)
    ):
        _refuse("segments", segments, "names of columns", 'segments=["country"]')
    split = given.get("split")
    if split is not None and not isinstance(split, Mapping):
        _refuse("split", split, "a share for each arm", 'split={"control": 0.5, "treatment": 0.5}')
    for arm, share in (split or {}).items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < float("inf"):
            raise UsageError(f"split: the share of {arm!r} is {share!r}, and must be over 0.")
    rails, shape = given.get("guardrails"), '{"latency_ms": {"margin": 0.01, "direction": "down"}}'
    if rails is not None and not isinstance(rails, Mapping):
        _refuse("guardrails", rails, "a table for each column", f"guardrails={shape}")
    for name, wanted in (rails or {}).items():
        if not isinstance(wanted, Mapping):
            _refuse(f"guardrail {name!r}", wanted, "a table with a margin", shape)


def _refuse(name: str, value: object, wanted: str, hint: str) -> None:
    text = repr(value)
    raise UsageError(
        f"{name} is {text if len(text) <= 80 else text[:79] + '…'}, and must be {wanted}.", hint=hint
    )
