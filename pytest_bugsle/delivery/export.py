"""Write a repository's delivery for other tools: Parquet, and JSON lines for Apache DevLake.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from pytest_bugsle.delivery.figures import Wanted, outline
from pytest_bugsle.delivery.tables import TABLES, columns, devlake
from pytest_bugsle.errors import UsageError
from pytest_bugsle.store.place import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_bugsle.delivery.gather import History
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.results import Failure

_EXTRA = "pip install 'pytest-bugsle[tables]'"


def check_parquet() -> None:
    """Raise UsageError, naming the extra, where Parquet cannot be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--parquet needs pyarrow: {error}",
            why="Parquet is written by it, and the rest of this command needs no such package",
            hint=_EXTRA,
        ) from error


def export(
    repo: Repository,
    history: History,
    failures: Sequence[Failure],
    name: str,
    parquet: Path | None,
    lake: Path | None,
) -> list[str]:
    """Write the files of one repository and HEAD, all of its history, and return what is to be said.

    `failures` are those of the whole history. UsageError where a place cannot be written.
    """
    view = outline(history.graph, history.head, history.deployments, Wanted(start=0))
    # A name is a stranger's: nothing of it may climb out of the folder.
    file = f"{quote(name, safe='', errors='surrogateescape')[:150]}@{history.graph.shas[history.head][:12]}"
    file = f"_{file}" if file.startswith(".") else file
    said = []
    if parquet is not None:
        made = columns(name, history.graph, history.head, view, failures)
        for table in TABLES:
            _write(parquet / table / f"{file}.parquet", _parquet(table, made[table]))
        said.append(f"{len(made['commits']['commit'])} commits written as Parquet")
    if lake is not None:
        deployments, issues = devlake(name, origin_url(repo) or name, history.graph, view, failures)
        encode = msgspec.json.Encoder().encode_lines
        _write(lake / f"{file}.deployments.jsonl", encode(deployments))
        _write(lake / f"{file}.issues.jsonl", encode(issues))
        said.append(f"{len(deployments)} deployments and {len(issues)} failures written for DevLake")
    return said


def origin_url(repo: Repository) -> str:
    """Return the URL of the remote `origin` without a name or password in it; empty where there is none."""
    url = repo.config("remote.origin.url") or ""
    if not re.match(r"[a-z+]+://", url):
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _parquet(table: str, values: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "text": pa.string(),
        "time": pa.timestamp("ms"),
        "flag": pa.bool_(),
        "count": pa.int64(),
    }
    schema = pa.schema([pa.field(name, types[kind]) for name, (kind, _) in TABLES[table].items()])
    made = pa.table({name: pa.array(values[name], schema.field(name).type) for name in schema.names}, schema)
    buffer = io.BytesIO()
    parquet.write_table(made, buffer, compression="zstd")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}",
            why="other tools are to read it",
            hint="name a folder that can be written",
        ) from error
