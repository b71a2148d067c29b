"""A result in which every text is the same one: made from the structs, so that no field is forgotten."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from pytest_bugsle.results import Result


def everywhere(text: str, pick: int = 0, rows: int = 1) -> Result:
    """Return a result with `text` in every field that holds a text, and `rows` items in every list.

    `pick` chooses among the words of a field that has a few only.
    """
    made = _value(inspect.type_info(Result), text, pick, rows)
    return msgspec.convert(made, Result)


def _value(type_: inspect.Type, text: str, pick: int, rows: int) -> Any:
    match type_:
        case inspect.StrType():
            return text
        case inspect.BoolType():
            return bool(pick % 2)
        case inspect.IntType():
            return 3
        case inspect.FloatType():
            return 0.5
        case inspect.LiteralType(values=values):
            return sorted(values, key=str)[pick % len(values)]
        case inspect.UnionType(types=types):
            useful = [each for each in types if not isinstance(each, inspect.NoneType)]
            return _value(useful[0], text, pick, rows)
        case inspect.ListType(item_type=item):
            return [_value(item, text, pick + index, rows) for index in range(rows)]
        case inspect.VarTupleType(item_type=item):
            return [_value(item, text, pick + index, rows) for index in range(rows)]
        case inspect.TupleType(item_types=items):
            return [_value(item, text, pick, rows) for item in items]
        case inspect.DictType(value_type=item):
            return {text: _value(item, text, pick, rows)}
        case inspect.StructType(fields=fields):
            return {field.encode_name: _value(field.type, text, pick, rows) for field in fields}
    return None
