"""A design as it was locked before the first look, field by field, and what has changed since.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from types import MappingProxyType
from typing import Any, NamedTuple

from pytest_bugsle.experiment.design import Design
from pytest_bugsle.results import ExperimentCheck

PLANNING = frozenset({"power", "mde", "mde_difference", "baseline", "deviation", "ratio", "split"})
"""What may change with a note: how large the test is to be changes no risk of a wrong pass."""

_OF_A_RUN = frozenset({"look", "days"})
_LOCKED, _DIGEST, _GUARDRAILS = "locked", "digest", "guardrails"
_MEASURED = ("quantile", "q", "method", "winsorise", "unit", "denominator", "covariate")
_DEFAULTS = {field.name: field.default for field in fields(Design) if field.default is not MISSING} | {
    "method": "welch"
}

Fields = Mapping[str, Any]


class Change(NamedTuple):
    """One field that is not as it was locked; `None` is a field that is not given."""

    field: str
    old: Any
    new: Any


def fields_of(design: Design, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return what is locked of a design: every field that has a value, but for those of a single run.

    `given` are the arguments of the gate, of which what is measured, the split and the guardrails are locked, too.
    """
    made = {
        name: value for name, value in asdict(design).items() if name not in _OF_A_RUN and value is not None
    }
    for least in ("min_lift", "min_difference"):
        if not made.get(least, 1):
            del made[least]  # nothing is asked either way
    for name in _MEASURED:
        value = given.get(name)
        if value is not None:
            made["quantile" if name == "q" else name] = list(value) if isinstance(value, tuple) else value
    if given.get("split"):
        made["split"] = {str(arm): float(share) for arm, share in given["split"].items()}
    if given.get(_GUARDRAILS):
        made[_GUARDRAILS] = {str(name): dict(wanted) for name, wanted in given[_GUARDRAILS].items()}
    return made


def digest_of(design: Fields) -> str:
    """Return the digest of a design's fields, `locked` among them, whatever their order."""
    said = json.dumps({name: value for name, value in design.items() if name != _DIGEST}, sort_keys=True)
    return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()


def locked(design: Fields, date: str) -> dict[str, Any]:
    """Return a design with the date on which it was locked, and the digest by which a change by hand is seen."""
    made = {**design, _LOCKED: date}
    return {**made, _DIGEST: digest_of(made)}


def is_whole(lock: Fields) -> bool:
    """Say whether a lock is as it was written."""
    return lock.get(_DIGEST) == digest_of(lock)


def changes(lock: Fields, design: Fields) -> Iterator[Change]:
    """Yield what differs from the lock; each guardrail is a field of its own."""
    names = ({*lock} | {*design}) - {_LOCKED, _DIGEST, _GUARDRAILS}
    for name in sorted(names):
        # What this version knows and the lock does not name was at its default.
        default = _DEFAULTS.get(name)
        old, new = lock.get(name, default), design.get(name, default)
        if old != new:
            yield Change(name, old, new)
    before, after = lock.get(_GUARDRAILS) or {}, design.get(_GUARDRAILS) or {}
    for name in sorted({*before} | {*after}):
        if before.get(name) != after.get(name):
            yield Change(f"{_GUARDRAILS}.{name}", before.get(name), after.get(name))


def is_grave(change: Change) -> bool:
    """Say whether a change after the first look changes what a pass means: one more guardrail only asks more."""
    if change.field.startswith(f"{_GUARDRAILS}."):
        return change.old is not None
    return change.field not in PLANNING


def changed_after_look(change: Change, where: str, first: str) -> ExperimentCheck:
    """Return the check that fires; `where` is the lock's file and line, `first` the time of the first look."""
    return ExperimentCheck(
        name="design-changed-after-look",
        rule="BUG309",
        outcome="invalid",
        message=f"{change.field} is {_value(change.new)}, and was locked as {_value(change.old)} ({where}); the "
        f"first look was at {first}",
    )


def noted(change: Change, where: str) -> str:
    """Return what is said of a change that is allowed."""
    return f"{change.field} is {_value(change.new)}, and was locked as {_value(change.old)} ({where})"


def _value(value: Any) -> str:
    return "not given" if value is None else repr(value)
