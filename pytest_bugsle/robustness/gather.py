"""A user's model by its name, and examples from a file.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import difflib
import importlib
import inspect
import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, TextIO

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.report.escape import for_terminal

_TEXT_COLUMNS = ("text", "input", "sentence", "example")
_LABEL_COLUMNS = ("label", "target", "class", "y")
_FORMATS = (
    "CSV (.csv, .tsv), JSON lines (.jsonl), a list in JSON (.json), Parquet, or a text a line; in UTF-8"
)
_OTHERS = (".feather", ".arrow", ".xls", ".xlsx", ".pkl", ".gz", ".zip", ".npy", ".npz")
_LONGEST = 2**31 - 1
"""Characters of a field; a C long of Windows holds no more."""


def model_named(spec: str, folder: Path) -> Any:
    """Return what `module:name` names, imported from `folder` as pytest would; a URL stays one.

    `module:name()` is what that function returns. UsageError where there is no such thing, ProgramError where its
    module or the function raises.
    """
    if spec.startswith(("http://", "https://")):
        return spec
    module, colon, name = spec.partition(":")
    made, name = name.endswith("()"), name.removesuffix("()")
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
    # A script that ends by itself would end us, with its 0 for a pass.
    except (Exception, SystemExit) as error:
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
    if not made:
        if inspect.isfunction(found) and not inspect.signature(found).parameters:
            raise UsageError(f"{spec} takes no input.", hint=f"--model '{spec}()' is what it returns")
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise ProgramError(for_terminal(f"{spec} raises {type(error).__name__}: {error}")) from error


def read_examples(
    path: Path, column: str | None = None, label: str | None = None, dropped: Sequence[str] = ()
) -> tuple[list[Any], list[Any] | None]:
    """Return the examples of a file and their labels, None where it has none.

    CSV (.csv, .tsv), JSON lines (.jsonl), a list in JSON (.json) and Parquet have columns: the text stands in `column`,
    by default one named text, input, sentence or example, or in the only one beside the label's. Without a text, rows
    are mappings. Any other file has a text a line. The `dropped` columns are in no row. Labels of CSV that are all
    whole numbers are numbers, as are columns of numbers in rows; an empty one is None. UsageError where it cannot be
    read or lacks a column.
    """
    rows = _rows_of(path)
    if isinstance(rows[0], str):
        return rows, None
    names = list(rows[0])
    labels_in = _column(label, names, _LABEL_COLUMNS, path)
    for name in dropped:
        _column(name, names, (), path)
    rest = [name for name in names if name != labels_in and name not in dropped]
    if not rest:
        raise UsageError(f"{path} has no column of inputs.", hint="--column names that of the text")
    text = _column(column, rest, _TEXT_COLUMNS, path) or (rest[0] if len(rest) == 1 else None)
    columns = {name: _numbers([row[name] for row in rows]) for name in rest if text is None}
    examples = (
        [row[text] for row in rows]
        if text
        else [{name: columns[name][place] for name in rest} for place in range(len(rows))]
    )
    if labels_in is None:
        return examples, None
    return examples, _numbers([None if row[labels_in] == "" else row[labels_in] for row in rows], whole=True)


def read_column(path: Path, name: str) -> list[Any]:
    """Return one column of a file of examples, in their order; UsageError where it has none of that name."""
    rows = _rows_of(path)
    if isinstance(rows[0], str):
        raise UsageError(
            f"{path} has no column {name!r}: it has a text a line.", hint="CSV, JSON lines or Parquet"
        )
    _column(name, list(rows[0]), (), path)
    return _numbers([row[name] for row in rows], whole=True)


def read_ids(path: Path) -> list[str]:
    """Return the first word of each line; what follows it, and what begins with #, is for people.

    Quotes and a colon around it, as messages have them, are taken off. UsageError where the file cannot be read.
    """
    first = [line.split()[0] for line in _lines(path) if line.strip()]
    return [word.strip("'\",:") for word in first if not word.startswith("#")]


def read_words(path: Path) -> list[list[str]]:
    """Return the sets of words that may stand for each other, one a line, parted by commas.

    UsageError for a line of fewer than two, and for a file without any.
    """
    made = []
    for number, row in enumerate(csv.reader(_lines(path)), 1):
        words = list(dict.fromkeys(word.strip() for word in row if word.strip()))
        if len(words) == 1:
            raise UsageError(
                f"{path}: line {number} has {words[0]!r} alone.",
                why="a word is swapped for another",
                hint="he,she",
            )
        made += [words] if words else []
    if not made:
        raise UsageError(f"{path} has no words.", hint="a set a line: he,she")
    return made


def tables_of(words: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Return tables in which each word stands for each other one of its set, each word once in a table."""
    tables: list[dict[str, str]] = []
    for each in words:
        for one, other in combinations(each, 2):
            table = next((found for found in tables if not found.keys() & {one, other}), None)
            if table is None:
                tables.append(table := {})
            table |= {one: other, other: one}
    return tables


def read_texts(path: Path) -> list[str]:
    """Return a text a line, without those that are blank; UsageError where there is none."""
    made = [line for line in _lines(path) if line.strip()]
    if not made:
        raise UsageError(f"{path} has no text.", hint="a text a line")
    return made


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error}", hint="text in UTF-8") from error


def _rows_of(path: Path) -> list[Any]:
    try:
        rows = _rows(path)
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(
            f"the data {str(path)!r} cannot be read: {error}",
            hint=_FORMATS,
        ) from error
    if not rows:
        raise UsageError(f"{path} has no examples.", hint="a row for each example")
    return rows


def _numbers(values: list[Any], *, whole: bool = False) -> list[Any]:
    """Return texts of numbers as numbers, where all of them are; others as they are."""
    for kind in (int,) if whole else (int, float):
        try:
            return [kind(value) if isinstance(value, str) else value for value in values]
        except ValueError:
            continue
    return values


def _rows(path: Path) -> list[Any]:
    kind = path.suffix.lower()
    if kind in (".parquet", ".pq"):
        return _of_json(_parquet(path))
    if kind in _OTHERS:
        raise ValueError(f"a file that ends in {kind} is none of texts")
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind in (".jsonl", ".ndjson"):
            return _of_json([json.loads(line) for line in file if line.strip()])
        if kind == ".json":
            rows = json.load(file)
            if not isinstance(rows, list):
                raise ValueError("it is no list")
            return _of_json(rows)
        if kind in (".csv", ".tsv"):
            return _of_csv(file, "\t" if kind == ".tsv" else ",")
        return [line for line in file.read().splitlines() if line.strip()]


def _parquet(path: Path) -> list[Any]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError("reading Parquet needs pyarrow.", hint="pip install pyarrow") from error
    rows: list[Any] = pq.read_table(path).to_pylist()
    return rows


def _of_json(rows: list[Any]) -> list[Any]:
    if rows and all(isinstance(row, str) for row in rows):
        return rows
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or list(row) != list(rows[0]):
            raise ValueError(f"row {number} does not have the columns of the first")
    return rows


def _of_csv(file: TextIO, delimiter: str) -> list[Any]:
    # A text may be longer than the 131,072 characters that the module takes; its limit is that of the process.
    limit = csv.field_size_limit(_LONGEST)
    try:
        reader = csv.DictReader(file, strict=True, delimiter=delimiter)
        rows = list(reader)
    finally:
        csv.field_size_limit(limit)
    names = list(reader.fieldnames or ())
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ValueError(f"there are two columns {twice!r}")
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise ValueError(f"its only column is {names[0]!r}: columns are parted by commas")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} does not have the columns of the first")
    return rows


def _column(asked: str | None, names: Sequence[str], usual: Sequence[str], path: Path) -> str | None:
    if asked is None:
        return next((name for name in usual if name in names), None)
    if asked not in names:
        near = difflib.get_close_matches(asked, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise UsageError(f"{path} has no column {asked!r}.", hint=hint)
    return asked
