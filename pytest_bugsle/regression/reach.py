"""Which changed statements a guard runs.  PYTEST_DONT_REWRITE

Added and replaced statements are looked for with the fix, deleted ones without it. A statement that
runs at import counts as reached where the module was imported: the test flips, so it did matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_bugsle.results import Reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_bugsle.code.statements import Statement
    from pytest_bugsle.runner.outcome import Run


def reach_of(
    id: str, statements: Sequence[tuple[str, str, Statement]], before: Run | None, after: Run | None
) -> Reach | None:
    """Return the reach of one test over `statements`: (side, path, statement).

    None where nothing was measured and nothing is to be said.
    """
    runs = {"before": before, "after": after}
    note = next((run.reach_note for run in runs.values() if run is not None and run.reach_note), "")
    if note:
        return Reach(ran=0, of=0, import_time=0, note=note)
    ran, imported, missed = 0, 0, []
    for side, path, statement in statements:
        run = runs[side]
        if run is None:
            return None
        lines = set(statement.measured_lines)
        if not lines.isdisjoint(run.reached.get(id, {}).get(path, ())):
            ran += 1
        elif not lines.isdisjoint(run.reached_import.get(path, ())):
            ran += 1
            imported += 1
        else:
            missed.append(f"{path}:{statement.first_line}")
    return Reach(ran=ran, of=len(statements), import_time=imported, missed=missed)
