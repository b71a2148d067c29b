"""The history's tables, and the steps that bring an older history forward.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_bugsle import __version__
from pytest_bugsle.errors import UsageError
from pytest_bugsle.store.database import CorruptError

if TYPE_CHECKING:
    from pytest_bugsle.store.database import Database

SCHEMA = "bugsle_schema"
_PROGRAM = re.compile(r"[\w.+!-]{0,40}", re.ASCII)

_ATTEMPT = (
    "run, test, seq, attempt, mode, position, worker, setup, call, teardown, outcome, duration, fingerprint, "
    "covers_changed, first, failed"
)
# What a version was is never edited: a new step is added instead, in the SQL that both databases share.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE bugsle_run (
            run bigint PRIMARY KEY NOT NULL, version bigint,
            run_id text NOT NULL, started double precision NOT NULL, commit_sha text NOT NULL,
            tree text NOT NULL, dirty text NOT NULL, lock text NOT NULL, base text NOT NULL,
            branch text NOT NULL, job text NOT NULL, python text NOT NULL, platform text NOT NULL,
            pytest text NOT NULL, seed text NOT NULL, hashseed text NOT NULL, order_id text NOT NULL,
            workers bigint NOT NULL, mode text NOT NULL, collected bigint NOT NULL,
            ended smallint NOT NULL, disaster smallint NOT NULL)""",
        "CREATE INDEX bugsle_run_version ON bugsle_run (version)",
        "CREATE TABLE bugsle_test (test bigint PRIMARY KEY NOT NULL, name text NOT NULL)",
        """CREATE TABLE bugsle_attempt (
            run bigint NOT NULL, seq bigint NOT NULL, test bigint NOT NULL, attempt bigint NOT NULL,
            mode text NOT NULL, position bigint NOT NULL, worker text NOT NULL, setup text NOT NULL,
            call text NOT NULL, teardown text NOT NULL, outcome text NOT NULL,
            duration double precision NOT NULL, fingerprint text NOT NULL, covers_changed bigint,
            first smallint NOT NULL, failed smallint, PRIMARY KEY (run, seq))""",
        # a list over all tests reads this index alone, and of the table only what failed
        "CREATE INDEX bugsle_attempt_test ON bugsle_attempt (test, run, first, failed, duration)",
        "CREATE INDEX bugsle_attempt_failed ON bugsle_attempt (test, run) WHERE failed = 1",
    ),
    (
        """CREATE TABLE bugsle_entry (
            entry bigint PRIMARY KEY NOT NULL, kind text NOT NULL, owner text NOT NULL, name text NOT NULL,
            digest text NOT NULL, written double precision NOT NULL, content text NOT NULL)""",
        "CREATE INDEX bugsle_entry_owner ON bugsle_entry (kind, owner)",
    ),
    (  # a run's attempts side by side: by test they were spread over as many pages as there are tests
        "ALTER TABLE bugsle_attempt RENAME TO bugsle_attempt_2",
        """CREATE TABLE bugsle_attempt (
            run bigint NOT NULL, test bigint NOT NULL, seq bigint NOT NULL, attempt bigint NOT NULL,
            mode text NOT NULL, position bigint NOT NULL, worker text NOT NULL, setup text NOT NULL,
            call text NOT NULL, teardown text NOT NULL, outcome text NOT NULL,
            duration double precision NOT NULL, fingerprint text NOT NULL, covers_changed bigint,
            first smallint NOT NULL, failed smallint, PRIMARY KEY (run, test, seq)) WITHOUT ROWID""",
        f"INSERT INTO bugsle_attempt ({_ATTEMPT}) SELECT {_ATTEMPT} FROM bugsle_attempt_2 ORDER BY run, test, seq",  # noqa: S608  our names
        "DROP TABLE bugsle_attempt_2",
        "CREATE INDEX bugsle_attempt_failed ON bugsle_attempt (test, run) WHERE failed = 1",
    ),
)
# How a file lies on its disk is no matter of a server, which keeps its rows in no order anyway.
_OF_FILES = frozenset({3})


def schema_version(database: Database) -> int:
    """Return the schema's version, 0 where there is none yet; UsageError for one from a newer program."""
    if not database.has_table(SCHEMA):
        return 0
    rows = database.rows("SELECT version, program FROM bugsle_schema ORDER BY version DESC LIMIT 1")
    version, program = rows[0] if rows else (0, "")
    if not isinstance(version, int) or not _PROGRAM.fullmatch(str(program)):
        raise CorruptError(f"the history {database.name} is damaged: its schema has no version")
    if version > len(MIGRATIONS):
        raise UsageError(
            f"the history {database.name} was written by pytest-bugsle {program} (schema {version})",
            why=f"pytest-bugsle {__version__} reads schemas up to {len(MIGRATIONS)}, and does not guess",
            hint=f"pip install 'pytest-bugsle>={program}', or use another history",
        )
    return version


def migrate(database: Database) -> None:
    """Bring the schema up to date, all steps or none; one that is up to date is only read."""
    if schema_version(database) == len(MIGRATIONS):
        return
    with database.writing():
        database.exclude_migrations()
        done = schema_version(database)  # someone else may have been faster
        if not done:
            database.execute(
                "CREATE TABLE IF NOT EXISTS bugsle_schema (version bigint PRIMARY KEY NOT NULL, program text)"
            )
        for number, statements in enumerate(MIGRATIONS[done:], start=done + 1):
            for statement in statements if database.is_file or number not in _OF_FILES else ():
                database.execute(statement)
            database.execute(
                "INSERT INTO bugsle_schema (version, program) VALUES (?, ?)", (number, __version__)
            )
