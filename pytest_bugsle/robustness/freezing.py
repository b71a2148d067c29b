"""Values as JSON can hold them, and back: arrays, tuples, and mappings by other keys than texts.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import Any

_MARKS = ({"array", "dtype"}, {"tuple"}, {"items"})
"""The keys by which a value is told that is none of JSON; a mapping that has just these is written as its items."""

_LARGEST_ITEM = 4096


def frozen(value: Any) -> Any:
    """Return a value as JSON can hold it; TypeError where it cannot."""
    made = _frozen(value)
    json.dumps(made)
    return made


def _frozen(value: Any) -> Any:
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        if getattr(value, "shape", ()) == ():
            return value.item()
        return {"array": _frozen(value.tolist()), "dtype": str(value.dtype)}
    if isinstance(value, dict):
        if set(value) not in _MARKS and all(isinstance(key, str) for key in value):
            return {key: _frozen(each) for key, each in value.items()}
        return {"items": [[_frozen(key), _frozen(each)] for key, each in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_frozen(each) for each in value]}
    if isinstance(value, list):
        return [_frozen(each) for each in value]
    return value


def thawed(value: Any) -> Any:
    """Return what was frozen; whatever a stranger's file makes numpy or a mapping raise, where it is nothing of ours."""
    if isinstance(value, dict):
        if set(value) == {"array", "dtype"}:
            return _array(value["array"], value["dtype"])
        if set(value) == {"tuple"}:
            return tuple(map(thawed, value["tuple"]))
        if set(value) == {"items"}:
            return {thawed(key): thawed(each) for key, each in value["items"]}
        return {key: thawed(each) for key, each in value.items()}
    return [thawed(each) for each in value] if isinstance(value, list) else value


def _array(values: Any, dtype: Any) -> Any:
    import numpy as np

    kind = np.dtype(str(dtype))
    if kind.itemsize > _LARGEST_ITEM and kind.kind not in "SU":
        raise ValueError(f"{kind} is no type of a number")
    # A few letters of JSON would else ask for gigabytes: texts are as long as the longest of them.
    return np.asarray(thawed(values), dtype=kind.kind if kind.kind in "SU" else kind)
