"""`bugsle demo`: the story that named the project, played in a real git repository.  PYTEST_DONT_REWRITE

A purge job deletes `/data/{nyse,nasdaq,amex,kraken}.ticker`. Then the layout becomes one folder a
day. The job finds nothing, deletes nothing, says nothing, and the disk fills.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, NamedTuple

import click

from pytest_bugsle.errors import ExitCode, UsageError
from pytest_bugsle.git.create import Scribe
from pytest_bugsle.runner.outer import run_pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Step(NamedTuple):
    """One commit of the story."""

    subject: str
    told: str
    files: Mapping[str, str]


_PURGE_FLAT = '''
    """Delete what is too old."""

    EXCHANGES = ("nyse", "nasdaq", "amex", "kraken")


    def purge(data):
        """Delete the ticker files and return how many there were."""
        deleted = 0
        for exchange in EXCHANGES:
            ticker = data / f"{exchange}.ticker"
            if ticker.exists():
                ticker.unlink()
                deleted += 1
        return deleted
'''
_PURGE_DATED = '''
    """Delete what is too old."""

    EXCHANGES = ("nyse", "nasdaq", "amex", "kraken")


    def purge(data):
        """Delete the ticker files and return how many there were."""
        deleted = 0
        for exchange in EXCHANGES:
            for ticker in data.glob(f"**/{exchange}.ticker"):
                ticker.unlink()
                deleted += 1
        return deleted
'''
_LAYOUT = '''
    """Say where a day's ticker file stands."""


    def ticker_path(data, exchange, day):
        """One folder a day, so that a day can be archived alone."""
        return data / day.isoformat() / f"{exchange}.ticker"
'''
_WATCH = '''
    """Watch the disk."""


    def is_full(used, size):
        """Say whether to wake somebody."""
        return used / size > 0.9


    def days_left(free, per_day):
        """Say for how many whole days the disk will do."""
        return free // per_day
'''
_TEST_PURGE = """
    from tickers.purge import EXCHANGES, purge


    def test_purge_deletes_every_exchange(tmp_path):
        for exchange in EXCHANGES:
            (tmp_path / f"{exchange}.ticker").write_text("1,2,3")
        assert purge(tmp_path) == 4
"""
_TEST_DATED = """

    def test_purge_finds_dated_folders(tmp_path):
        day = tmp_path / "2025-03-01"
        day.mkdir()
        for exchange in EXCHANGES:
            (day / f"{exchange}.ticker").write_text("1,2,3")
        purge(tmp_path)
        left = sorted(path.name for path in day.iterdir())
        assert left == [], f"{len(left)} files left"
"""
_TEST_WATCH = """
    from tickers.watch import is_full


    def test_a_full_disk_wakes_somebody():
        assert is_full(used=99, size=100)
"""
BEFORE = (
    Step(
        "feat: purge old tickers",
        "A purge job deletes data/{nyse,nasdaq,amex,kraken}.ticker, and it has a test.",
        {
            ".gitignore": "__pycache__/\n",
            "tickers/__init__.py": "",
            "tickers/purge.py": _PURGE_FLAT,
            "tickers/watch.py": _WATCH,
            "tests/test_purge.py": _TEST_PURGE,
            "pyproject.toml": """
                [tool.pytest.ini_options]
                testpaths = ["tests"]
                pythonpath = ["."]

                [tool.bugsle]
                burn_in = 4  # seconds: a demo is waited for
            """,
        },
    ),
    Step(
        "feat: one folder a day",
        "The layout becomes one folder a day. Nobody thinks of the purge: it deletes nothing, the test\n"
        "stays green, and the disk fills.",
        {"tickers/layout.py": _LAYOUT},
    ),
)
FIXES = (
    Step(
        "fix: purger skips dated folders (#42)",
        "A fix, with a test that was red before it.",
        {"tickers/purge.py": _PURGE_DATED, "tests/test_purge.py": _TEST_PURGE.rstrip() + "\n" + _TEST_DATED},
    ),
    Step(
        "fix(watch): nobody is woken when the disk is exactly at its limit (#51)",
        "A fix, with a test that never saw the bug: 99 % was an alarm before, too.",
        {
            "tickers/watch.py": _WATCH.replace("used / size > 0.9", "used / size >= 0.9"),
            "tests/test_watch.py": _TEST_WATCH,
        },
    ),
    Step(
        "Fix off-by-one in the forecast of days left",
        "A fix with no test at all.",
        {
            "tickers/watch.py": _WATCH.replace("used / size > 0.9", "used / size >= 0.9").replace(
                "free // per_day", "max(free // per_day - 1, 0)"
            )
        },
    ),
)


def tell(folder: Path) -> None:
    """Build the story's repository in an empty folder."""
    scribe = Scribe.create(folder, branch="main")
    for number, step in enumerate((*BEFORE, *FIXES)):
        if number == len(BEFORE):
            scribe.branch("disk-is-full")
        for name, text in step.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        scribe.commit(step.subject, when=1_740_787_200 + 86_400 * number)


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="bugsle-demo-") as folder:
            yield Path(folder) / "tickers"
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError(
            f"{keep} is not an empty folder.", hint="give --keep a folder that does not exist yet."
        )
    yield keep


def quiet_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a surrounding CI run or pytest says nothing to the demo."""
    prefixes = ("GITHUB_", "GITLAB_", "CI_", "BUGSLE_", "PYTEST_", "GIT_", "COV_", "COVERAGE_")
    kept = {key: value for key, value in environ.items() if key != "CI" and not key.startswith(prefixes)}
    for key in ("BUGSLE_POOL",):
        if key in environ:
            kept[key] = environ[key]
    return kept


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Build the repository in this folder and leave it there.",
)
def demo(keep: Path | None) -> int:
    """Play the story that named the project, in a real repository."""
    with _place(keep) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        tell(folder)
        for step in (*BEFORE, *FIXES):
            click.secho(f"* {step.subject}", bold=True)
            click.echo("  " + step.told.replace("\n", "\n  "))
        click.echo("\nThree commits say that they fix a bug. Which of those bugs can come back unseen?\n")
        click.secho("$ pytest --bugsle", bold=True)
        sys.stdout.flush()
        color = "--color=yes" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "--color=no"
        code = run_pytest(
            sys.executable,
            folder,
            ("-p", "no:cacheprovider", "--bugsle", color),
            quiet_environment(os.environ),
        )
        click.echo("\nNext: write the two missing tests until each fails without its fix, and look again:")
        click.echo(
            f"  cd {folder}\n  bugsle prove HEAD"
            if keep
            else "  bugsle demo --keep DIR, then `bugsle prove HEAD` there"
        )
        click.echo("  bugsle rule BUG102")
    return int(ExitCode.PASS if code == ExitCode.FAIL else ExitCode.PROGRAM)
