"""The report as JSON: the result's own structs, indented, the same bytes for the same result.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.report.escape import for_json

if TYPE_CHECKING:
    from pytest_bugsle.results import Result


def render(result: Result) -> bytes:
    r"""Return the result as UTF-8 JSON with a final newline; bytes that are no UTF-8 stand as `\xNN`."""
    try:
        data = msgspec.json.encode(result)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_readable(msgspec.to_builtins(result)))
    return msgspec.json.format(data, indent=2) + b"\n"


def _readable(value: Any) -> Any:  # Any: what JSON can hold
    if isinstance(value, str):
        return for_json(value)
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return value
