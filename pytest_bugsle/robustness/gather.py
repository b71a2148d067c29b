"""A user's model by its name, and examples from a file.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import difflib
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.report.escape import for_terminal

_TEXT_COLUMNS = ("text", "input", "sentence", "example")
_LABEL_COLUMNS = ("label", "target", "class", "y")


def model_named(spec: str, folder: Path) -> Any:
    """Return what `module:name` names, imported from `folder` as pytest would; a URL stays one.

    UsageError where there is no such thing, ProgramError where its module raises.
    """
    if spec.startswith(("http://", "https://")):
        return spec
    module, colon, name = spec.partition(":")
    if not colon or not module or not name:
        raise UsageError(f"{spec!r} names no model.", hint="--model package.module:function, or a URL")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"there is no module {error.name!r}.", hint="run it where your package is"
        ) from error
    except Exception as error:
        raise ProgramError(
            for_terminal(f"{module} cannot be imported: {type(error).__name__}: {error}")
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            raise UsageError(
                f"{module} has no {name!r}.",
                hint=f"did you mean {near[0]!r}?" if near else "--model module:name",
            )
        found = getattr(found, part)
    return found


def read_examples(
    path: Path, column: str | None = None, label: str | None = None
) -> tuple[list[Any], list[Any] | None]:
    """Return the examples of a file and their labels, None where it has none.

    CSV and JSON lines (.jsonl) have columns: the text stands in `column`, by default one named text, input,
    sentence or example, or in the only one beside the label's. Without a text, rows are mappings. Any other file has
    a text a line. Labels of CSV that are all whole numbers are numbers, as are columns of numbers in rows. UsageError where it cannot be read or lacks a column.
    """
    try:
        rows = _rows(path)
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(
            f"the data {str(path)!r} cannot be read: {error}",
            hint="CSV, JSON lines, or a text a line; in UTF-8",
        ) from error
    if not rows:
        raise UsageError(f"{path} has no examples.", hint="a row for each example")
    if isinstance(rows[0], str):
        return rows, None
    names = list(rows[0])
    labels_in = _column(label, names, _LABEL_COLUMNS, path)
    rest = [name for name in names if name != labels_in]
    text = _column(column, rest, _TEXT_COLUMNS, path) or (rest[0] if len(rest) == 1 else None)
    columns = {name: _numbers([row[name] for row in rows]) for name in rest if text is None}
    examples = (
        [row[text] for row in rows]
        if text
        else [{name: columns[name][place] for name in rest} for place in range(len(rows))]
    )
    return examples, None if labels_in is None else _numbers([row[labels_in] for row in rows], whole=True)


def _numbers(values: list[Any], *, whole: bool = False) -> list[Any]:
    """Return texts of numbers as numbers, where all of them are; others as they are."""
    for kind in (int,) if whole else (int, float):
        try:
            return [kind(value) if isinstance(value, str) else value for value in values]
        except ValueError:
            continue
    return values


def _rows(path: Path) -> list[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix in (".jsonl", ".ndjson"):
            rows = [json.loads(line) for line in file if line.strip()]
            _same_columns(rows, path)
            return rows
        if path.suffix == ".csv":
            rows = list(csv.DictReader(file, strict=True))
            _same_columns(rows, path)
            return rows
        return [line for line in file.read().splitlines() if line.strip()]


def _same_columns(rows: Sequence[Any], path: Path) -> None:
    if rows and all(isinstance(row, str) for row in rows):
        return
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or list(row) != list(rows[0]) or None in row or None in row.values():
            raise ValueError(f"row {number} does not have the columns of the first")


def _column(asked: str | None, names: Sequence[str], usual: Sequence[str], path: Path) -> str | None:
    if asked is None:
        return next((name for name in usual if name in names), None)
    if asked not in names:
        near = difflib.get_close_matches(asked, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise UsageError(f"{path} has no column {asked!r}.", hint=hint)
    return asked
