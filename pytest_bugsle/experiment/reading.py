"""A user's own table, wherever it lies: who computes its sums, and what is wrong with it.  PYTEST_DONT_REWRITE

Files, DuckDB's relations, data frames and Arrow tables are read by DuckDB, without a copy where that can be. An Ibis
expression is computed by its own backend: the same queries, in its dialect, and only their sums come here.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.report.escape import visible

_SIZES = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_BITS = ("int8", "int16", "int32", "int64")
# As DuckDB names them, and Ibis.
_WHOLE = (
    *_SIZES,
    *(f"U{name}" for name in _SIZES),
    "BOOLEAN",
    *_BITS,
    *(f"u{name}" for name in _BITS),
    "boolean",
)
_NUMBERS = (*_WHOLE, "FLOAT", "DOUBLE", "DECIMAL", "float", "decimal")
_TEXTS = ("VARCHAR", "ENUM", "string")

_KINDS = "a CSV or Parquet file, a data frame, an Arrow table, a DuckDB relation, an Ibis expression, or a dict of lists"


class Table:
    """A table that answers queries about `exposures`; UsageError where it cannot be read."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._path = Path(given) if isinstance(given, str | Path) else None
        self._seen = self._signature()
        self._errors: tuple[type[Exception], ...] = (OSError, TypeError, ValueError, OverflowError)
        self.is_remote = _package(given) == "ibis"
        """Whether another engine does the sums: then values never come here."""
        _need("ibis" if self.is_remote else "duckdb")
        try:
            self._open(given)
        except self._errors as error:
            raise self._unreadable(error) from error

    def _open(self, given: Any) -> None:
        if self.is_remote:
            self._errors = (Exception,)  # each backend has its own
            self._relation = given
            schema = given.schema()
            self.columns: list[str] = list(schema.names)
            self._types = {name: str(schema[name]).removeprefix("!") for name in self.columns}
            return
        import duckdb

        self._errors = (*self._errors, duckdb.Error)
        self._relation = _relation(given, self._path)
        self.columns = list(self._relation.columns)
        self._types = dict(zip(self.columns, map(str, self._relation.types), strict=True))

    def check(self, name: str, role: str, *, numeric: bool = False) -> None:
        """Raise UsageError, naming the nearest column, unless there is such a column, of numbers where asked."""
        if not isinstance(name, str):
            raise UsageError(f"{role} is {name!r}, and must be the name of a column.", hint=f"{role}='…'")
        if name not in self.columns:
            near = difflib.get_close_matches(name, self.columns, n=3, cutoff=0.4) or self.columns[:10]
            raise UsageError(
                f"the table has no column {name!r} for {role}.",
                why=f"{str(self._path)!r} has one cell in each row: no separator gives all rows as many"
                if self._path and len(self.columns) == 1
                else "",
                hint=f"nearest: {', '.join(map(repr, near))}",
            )
        kind = self._types[name]
        if numeric and (not kind.startswith(_NUMBERS) or kind.endswith("]")):
            raise UsageError(
                f"column {name!r} for {role} is {kind}, and must be numbers.",
                why=self._first_text(name)
                or "often one cell of text, or a decimal comma, turns a whole column into text",
                hint="cast it, or mend the export",
            )

    def _first_text(self, name: str) -> str:
        """Say which cell of a column of text is no number."""
        if self.is_remote or not self._types[name].startswith(_TEXTS):
            return ""
        text = f"CAST({quoted(name)} AS VARCHAR)"
        found = self.rows(
            f"SELECT {text} FROM exposures WHERE {text} <> '' AND TRY_CAST({text} AS DOUBLE) IS NULL LIMIT 1"  # noqa: S608
        )
        if not found:
            return "its numbers are written as text"
        return f"a cell of it is {str(found[0][0])[:80]!r}"

    def is_whole(self, name: str) -> bool:
        """Say whether a column holds whole numbers or truth values."""
        return self._types[name].startswith(_WHOLE)

    def zones(self, name: str) -> set[str]:
        """Return the time zones of Python's own times in a column, "none" where one has none."""
        if isinstance(self._given, dict) or (
            _package(self._given) == "pandas" and self._given[name].dtype == object
        ):
            column = self._given[name]
        else:
            return set()
        return {str(value.tzinfo or "none") for value in column if hasattr(value, "tzinfo")}

    def type_of(self, name: str) -> str:
        """Return a column's type, in the words of who reads it."""
        return self._types[name]

    def is_text(self, name: str) -> bool:
        """Say whether a column holds text."""
        return self._types[name].startswith(_TEXTS)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query of `exposures` gives; the query is in DuckDB's dialect."""
        try:
            if self.is_remote:
                found = self._relation.alias("exposures").sql(sql, dialect="duckdb").to_pyarrow()
                return list(zip(*(column.to_pylist() for column in found.columns), strict=True))
            rows: list[tuple[Any, ...]] = self._relation.query("exposures", sql).fetchall()
        except self._errors as error:
            raise self._unreadable(error) from error
        return rows

    def numbers(self, sql: str) -> Any:
        """Return the one column of a query as an array of floats."""
        try:
            found = self._relation.query("exposures", sql).fetchnumpy()
        except self._errors as error:
            raise self._unreadable(error) from error
        (column,) = found.values()
        return column

    def as_text(self, name: str) -> Table:
        """Return the table with a column as it was written, where it is a CSV file; else the table itself."""
        if self._path is None or _is_parquet(self._path):
            return self
        made = object.__new__(Table)
        made.__dict__ |= self.__dict__
        try:
            made._relation = _read_csv(self._path, dtype={name: "VARCHAR"})
        except self._errors as error:
            raise self._unreadable(error) from error
        made._types = {**self._types, name: "VARCHAR"}
        return made

    def unchanged(self) -> None:
        """Raise UsageError where the file is another than when it was opened."""
        if self._signature() != self._seen:
            raise UsageError(
                f"the file {str(self._path)!r} changed while it was read.",
                why="what was summed up is partly of the one and partly of the other",
                hint="judge a copy, or wait until the export is through",
            )

    def _signature(self) -> tuple[int, ...]:
        if self._path is None:
            return ()
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev

    def _unreadable(self, error: Exception) -> UsageError:
        if self._seen and os.path.exists(str(self._path)):
            self.unchanged()
        lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
        # DuckDB says in its first two lines where a file is wrong, and then lists its options.
        said = "; ".join(lines[:2]) if lines else type(error).__name__
        where = f"the file {str(self._path)!r}" if self._path is not None else "the table"
        if "sniffing" in said.lower():
            return UsageError(
                f"{where} cannot be read as CSV: no separator gives each row as many cells.",
                hint="look for unquoted separators or line ends in cells, and whether it was cut off",
            )
        if "out of memory" in said.lower():
            return UsageError(
                f"{where} does not fit into the memory: {visible(said)[:300]}",
                hint="hand over a Parquet file with the columns that are needed, or an Ibis expression of where the data are",
            )
        return UsageError(f"{where} cannot be read: {visible(said)[:400]}", hint=_KINDS)


def _package(given: Any) -> str:
    """Return which package an object's class is of: no data frame is imported to be told apart."""
    return type(given).__module__.partition(".")[0]


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            f"to read a table the A/B gate needs {package}, which is not installed.",
            why="the sums are taken where the data are",
            hint='pip install "pytest-bugsle[experiment,tables]"',
        )


def _connected() -> Any:
    """Return a connection that spills to the system's folder for such files, and keeps within the process' limit."""
    import duckdb

    options: dict[str, Any] = {"temp_directory": os.path.join(tempfile.gettempdir(), f"bugsle-{os.getpid()}")}
    limit = _memory_limit()
    if limit is not None:
        options |= {"memory_limit": f"{limit // 2**20}MiB", "preserve_insertion_order": False}
    connection = duckdb.connect(config=options)
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output
    return connection


def _memory_limit() -> int | None:
    """Return what of the process' own limit DuckDB may take, which reads that of the container by itself."""
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    set_limits = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    return max(64 * 2**20, min(set_limits) // 4) if set_limits else None


def _read_csv(path: Path, **options: Any) -> Any:
    # Left to guess, a quote that is never closed would be a letter like others.
    return _connected().read_csv(_plain(path), quotechar='"', escapechar='"', **options)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _relation(given: Any, path: Path | None) -> Any:
    import duckdb

    if isinstance(given, duckdb.DuckDBPyRelation):
        return given
    if path is not None:
        if not path.is_file():
            raise FileNotFoundError("it is a folder" if path.is_dir() else f"there is no file {str(path)!r}")
        if not path.stat().st_size:
            raise ValueError("it is empty")
        # A name with a star would be many files.
        return _connected().read_parquet(_plain(path)) if _is_parquet(path) else _read_csv(path)
    if _package(given) == "pandas":
        return _connected().from_df(given)
    _need("pyarrow")
    import pyarrow

    if type(given).__module__ == "pyarrow._dataset":
        return _connected().from_arrow(given)
    if type(given).__name__ == "LazyFrame":
        given = given.collect()
    names = getattr(getattr(given, "dtype", None), "names", None)
    if names:  # a numpy array with named fields
        given = {name: given[name] for name in names}
    return _connected().from_arrow(given if isinstance(given, pyarrow.Table) else pyarrow.table(given))


def _plain(path: Path) -> str:
    text = str(path.resolve())
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def quoted(column: str) -> str:
    """Return a column's name as SQL has it."""
    return '"' + column.replace('"', '""') + '"'


def text_of(values: Sequence[str]) -> str:
    """Return texts as SQL has them."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
