"""`bugsle hotspots`: its options, and the table that it prints.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_bugsle import commands
from pytest_bugsle.errors import ExitCode, UndecidedError
from pytest_bugsle.regression.directories import matches
from pytest_bugsle.report import writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.terminal import Line
from pytest_bugsle.report.words import plural
from pytest_bugsle.results import Counts, Range, Result
from pytest_bugsle.scope import commit_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.regression.hotspots import Hotspots
    from pytest_bugsle.results import Hotspot

_LONGEST_NAME = 24
_LONGEST_PLACE = 200


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="Show the N worst.",
)
@click.option(
    "--since", metavar="REF", help="Count only what came after this commit, tag or branch (default: all)."
)
@click.option(
    "--path", "patterns", metavar="PATTERN", multiple=True, help="Show only these files (repeatable)."
)
@commands.reporting(verbose="Show also when each was last changed.", quiet="Show the table alone.")
def hotspots(
    limit: int,
    since: str | None,
    patterns: tuple[str, ...],
    verbose: int,
    quiet: bool,
    reports: tuple[str, ...],
    repo: Path,
) -> int:
    """Say where the next bug is likely: changes × complexity × past fixes, function by function.

    A change counts half after a year. The score is relative to the worst function of the source. Looks at
    HEAD and at its history; nothing is run.
    """
    targets = commands.targets_of(reports)
    with commands.opened(repo) as repository:
        say = commands.Progress(quiet=quiet)
        try:
            result = _look(repo, repository, limit, since, patterns, say)
        except UndecidedError as error:
            result = _result(None, [], [str(error)])
        finally:
            say("")
    lines = _table(result, verbose=bool(verbose)) if result.verdict == "pass" else ()
    commands.print_lines(lines, targets)
    if not quiet or result.verdict != "pass":
        notes = (line for note in result.notes for line in note.splitlines())
        commands.print_lines((Line(for_terminal(f"note: {note}"), "yellow") for note in notes), targets)
    for target in targets:
        writer.write(result, target)
    return int(ExitCode.PASS if result.verdict == "pass" else ExitCode.UNDECIDED)


def _look(
    where: Path,
    repository: Repository,
    limit: int,
    since: str | None,
    patterns: tuple[str, ...],
    say: commands.Progress,
) -> Result:
    from pytest_bugsle.history.past import read_past
    from pytest_bugsle.regression.gather import Surveyor
    from pytest_bugsle.regression.hotspots import hotspots as find
    from pytest_bugsle.runner.configuration import read_configuration
    from pytest_bugsle.store.cache import open_cache
    from pytest_bugsle.store.place import state_folder

    why = "what came after it is what is counted."
    begin = None if since is None else commit_named(repository, since, why=why)
    head = repository.head().sha or "HEAD"
    settings = commands.settings_of(where, repository)
    surveyor = Surveyor(repository, read_configuration(where.resolve(), repository.top), settings)
    ground = surveyor.ground(repository.tree_of(head)) if repository.resolve(head) else None
    tracked = ground.listing if ground else {}
    cache, _ = open_cache(state_folder(repository.top, bare=repository.is_bare), tracked.__contains__)
    say("reading the history …")
    past = read_past(repository, head, cache, surveyor.policy())
    assert ground is not None  # without a commit there is no past, which is undecided
    say("reading which functions changed …")
    found = find(
        repository,
        past,
        ground.listing,
        ground.side,
        cache,
        limit=limit,
        since=begin,
        wanted=lambda path: not patterns or any(matches(path, pattern) for pattern in patterns),
    )
    notes = list(_notes(found, cut=past.is_cut, filtered=bool(patterns)))
    scope = Range(base=begin, head=past.head, why="the history of HEAD", commits=found.commits)
    return _result(scope, list(found.found), notes)


def _result(scope: Range | None, found: list[Hotspot], notes: list[str]) -> Result:
    return Result(
        verdict="pass" if found else "undecided",
        range=scope,
        fixes=[],
        counts=Counts(),
        findings=[],
        notes=notes,
        hotspots=found,
    )


def _notes(found: Hotspots, *, cut: bool, filtered: bool) -> Iterator[str]:
    if not found.found:
        which = " that --path names" if filtered else ""
        yield f"no function of the source{which} was changed in {plural(found.commits, 'commit')} that were read"
    if cut:
        yield "the history is cut off: older changes are not counted (`git fetch --unshallow` brings them)"
    if found.left_out:
        yield (
            f"only the newest {plural(found.commits, 'commit')} that change the source were read; "
            f"{found.left_out} older ones were not"
        )
    if found.unreadable:
        more = f" and {len(found.unreadable) - 3} more" if len(found.unreadable) > 3 else ""
        yield f"not this Python's syntax, left out: {', '.join(found.unreadable[:3])}{more}"


def _table(result: Result, *, verbose: bool) -> Iterator[Line]:
    """Yield the worst functions as an aligned table."""
    found: Iterable[Hotspot] = result.hotspots if isinstance(result.hotspots, list) else ()
    head = ("score", "changes", "fixes", "complexity", "people", "knows it best", "function")
    rows = [
        (
            f"{spot.score:.2f}",
            str(spot.changes),
            str(spot.fixes),
            str(spot.complexity),
            str(spot.people),
            f"{_cut(spot.knows, _LONGEST_NAME)} {spot.knows_share:.0%}",
            _cut(f"{spot.path}:{spot.line} {spot.function}", _LONGEST_PLACE)
            + (f"  (last changed {spot.last_changed})" if verbose else ""),
        )
        for spot in found
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for number, row in enumerate((head, *rows)):
        cells = [
            cell.rjust(width) if place < 5 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield Line("  ".join(cells).rstrip(), "dim" if number == 0 else None)


def _cut(text: str, longest: int) -> str:
    safe = for_terminal(text)
    return safe if len(safe) <= longest else f"{safe[: longest - 1]}…"
